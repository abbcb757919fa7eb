"""Keys of an identifier as conditions of SQL (PS3.4 C.2.2.2)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, false, or_

from dicomio.archive.index import whole_number
from dicomio.archive.schema import Kind
from dicomio.matching import Empty, Key, Range, Single, UIDList, Values, Wildcard

__all__ = ["Condition", "condition"]

# More values than these are compared one by one, as databases count parameters.
MOST_VALUES: Final = 10_000
# As many as these nest in one statement, and databases bound that.
MOST_ALTERNATIVES: Final = 100
# Pieces of a pattern that the database looks for; the others are left to the matching afterwards.
MOST_PIECES: Final = 4
# Characters that mean something in a pattern, or may be left out of a name.
NOT_LITERAL: Final = re.compile(r"[*?]")
NOT_LITERAL_IN_NAME: Final = re.compile(r"[*?^=]")
SPECIAL: Final = re.compile(r"[/%_]")
TEXTS: Final = frozenset({"CS", "LO", "SH", "UI"})
LAST_BEFORE_SURROGATES: Final = 0xD7FF


class Condition(NamedTuple):
    """What a database can do for a key.

    Args:
        sql: holds for every row that matches.
        exact: holds for no other row.
    """

    sql: ColumnElement[bool]
    exact: bool


def condition(key: Key, kind: Kind) -> Condition | None:
    """The condition for a key on the column of its attribute; `None` where there is none."""
    column = kind.column
    match key:
        case Values(keys) if len(keys) <= MOST_ALTERNATIVES:
            found = [condition(each, kind) for each in keys]
            parts = [each for each in found if each is not None]
            if len(parts) < len(found):
                return None
            return Condition(or_(*(part.sql for part in parts)), all(part.exact for part in parts))
        case Empty():
            # What makes no sense as a date is not empty, though nothing is in its column.
            return Condition(column.is_(None) if kind.vr == "IS" else column == "", kind.vr in TEXTS)
        case UIDList(uids) if kind.vr == "UI" and len(uids) <= MOST_VALUES:
            return Condition(column.in_(sorted(uids)), True)
        case Single(_, vr) if vr == kind.vr:
            return single(key, kind)
        case Wildcard(pattern, vr) if vr == kind.vr:
            return like(pattern, kind)
        case Range(low, high, vr) if vr == kind.vr:
            bounds = [column != ""]
            bounds += [column >= low] if low is not None else []
            bounds += [column <= high] if high is not None else []
            return Condition(and_(*bounds), True)
    return None


def single(key: Single, kind: Kind) -> Condition:
    """One value."""
    if kind.vr == "PN":
        return like(str(key.value), kind)
    if kind.vr != "IS":
        return Condition(kind.column == str(key.value), True)
    number = whole_number(key.value)
    return Condition(false() if number is None else kind.column == number, True)


def like(pattern: str, kind: Kind) -> Condition:
    """The pieces of a pattern between wild cards, in their order.

    It is not exact: what is upper and lower case to `LIKE` differs from database to database.
    """
    name = kind.vr == "PN"
    pieces = (NOT_LITERAL_IN_NAME if name else NOT_LITERAL).split(pattern)
    anchor = "" if name else pieces[0]
    rest = [piece for piece in (pieces if name else pieces[1:]) if piece][:MOST_PIECES]
    text = escaped(anchor) + "".join(f"%{escaped(piece)}" for piece in rest) + "%"
    conditions = [kind.column.like(text, escape="/"), *beginning(anchor, kind)]
    return Condition(and_(*conditions), False)


def beginning(anchor: str, kind: Kind) -> Sequence[ColumnElement[bool]]:
    """That a text begins so, in a way for which an index is used."""
    if not anchor or ord(anchor[-1]) >= LAST_BEFORE_SURROGATES:
        return []
    after = anchor[:-1] + chr(ord(anchor[-1]) + 1)
    return [kind.column >= anchor, kind.column < after]


def escaped(text: str) -> str:
    """A text in which nothing is special to `LIKE`."""
    return SPECIAL.sub(r"/\g<0>", text)

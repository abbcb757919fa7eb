"""Shapes of command sets: those of one kind from one peer differ in little more than numbers and UIDs.

Once an element after the other has been looked at and found regular, the next command set with the same elements of the
same lengths takes one unpacking and one comparison.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple

__all__ = ["REGULAR_UID", "Place", "Shape", "Shapes"]

REGULAR_UID: Final = re.compile(rb"([0-9.]{1,64})\0?")

# Shapes that are kept, and those of one length among them: a peer may send any number.
MOST_SHAPES: Final = 256
MOST_ALIKE: Final = 8

CODES: Final = {"US": "H", "UL": "I"}


@lru_cache(maxsize=256)
def regular_uid(raw: bytes) -> str | None:
    """The text of a UID; `None` where it is not a regular one."""
    regular = REGULAR_UID.fullmatch(raw)
    return regular[1].decode("ascii") if regular is not None else None


class Place(NamedTuple):
    """One element of a regular command set.

    Attributes:
        vr: US, UL or UI.
        length: of its value, bytes.
        target: where its value goes in what the shape gives; `None` for one that has to be `expected`.
        expected: the value without which it is another shape, where it goes nowhere.
    """

    vr: str
    length: int
    target: int | None
    expected: int | None = None


class Shape:
    """The elements of a command set: which, how long, and where their values go.

    Args:
        content: a command set of this shape.
        places: its elements, in order.
        values: what there is but for the values of elements that have a target.
    """

    __slots__ = ("expected", "headers", "numbers", "uids", "unpack", "values")

    def __init__(self, content: bytes, places: Sequence[Place], values: list[Any]) -> None:
        codes = "".join(f"Q{CODES.get(place.vr) or f'{place.length}s'}" for place in places)
        self.unpack = Struct(f"<{codes}").unpack
        self.headers = self.unpack(content)[::2]
        at = [(2 * number + 1, place) for number, place in enumerate(places)]
        self.expected = tuple((number, place.expected) for number, place in at if place.target is None)
        self.uids = tuple(
            (number, place.target) for number, place in at if place.target is not None and place.vr == "UI"
        )
        self.numbers = tuple(
            (number, place.target) for number, place in at if place.target is not None and place.vr != "UI"
        )
        self.values = values

    def read(self, content: bytes) -> list[Any] | None:
        """The values of a command set of the same length; `None` where it has another shape or is not regular."""
        found = self.unpack(content)
        if found[::2] != self.headers:
            return None
        for at, expected in self.expected:
            if found[at] != expected:
                return None
        values = self.values.copy()
        for at, index in self.numbers:
            values[index] = found[at]
        for at, index in self.uids:
            uid = regular_uid(found[at])
            if uid is None:
                return None
            values[index] = uid
        return values


class Shapes:
    """The shapes that were seen, by the length of the command set."""

    __slots__ = ("by_length", "count")

    def __init__(self) -> None:
        self.by_length: dict[int, list[Shape]] = {}
        self.count = 0

    def read(self, content: bytes) -> list[Any] | None:
        """The values of a command set whose shape has been seen."""
        for shape in self.by_length.get(len(content), ()):
            values = shape.read(content)
            if values is not None:
                return values
        return None

    def add(self, content: bytes, shape: Shape) -> None:
        """Keeps a shape; begins anew where there are too many."""
        if self.count >= MOST_SHAPES:
            self.by_length.clear()
            self.count = 0
        alike = self.by_length.setdefault(len(content), [])
        if len(alike) < MOST_ALIKE:
            alike.append(shape)
            self.count += 1

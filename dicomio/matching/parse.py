"""From elements of an identifier to keys: VR and value say which kind of matching it is (PS3.4 C.2.2.2)."""

import re
from collections.abc import Callable
from math import isnan
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio.matching.keys import (
    Empty,
    FuzzyName,
    Key,
    Keys,
    SequenceKey,
    Single,
    UIDList,
    Universal,
    Values,
    Wildcard,
)
from dicomio.matching.options import InvalidKey, MatchOptions
from dicomio.matching.patterns import is_pattern
from dicomio.matching.ranges import combined_ranges, parse_temporal
from dicomio.matching.timezones import TIMEZONE_OFFSET_FROM_UTC
from dicomio.matching.values import is_blank, items_of, raw_values, reader

__all__ = ["compile_keys", "is_key", "key_element", "parse_key"]

# Say how the identifier is to be read, and are never matched (PS3.4 C.2.2.2, C.4.1.1.3).
SPECIFIC_CHARACTER_SET = BaseTag(0x00080005)
QUERY_RETRIEVE_LEVEL = BaseTag(0x00080052)
QUERY_RETRIEVE_VIEW = BaseTag(0x00080053)
# No element of a data set has it (PS3.10 7.1).
FILE_META_GROUP = 0x0002
NEVER_MATCHED = {SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW, TIMEZONE_OFFSET_FROM_UTC}

WILDCARD_VRS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
EMPTY_VALUE = '""'

# Each is tried on each candidate, so there is an end to them; a list of UIDs may be of any length.
MOST_VALUES = 1_000
LONGEST_PATTERN = 1_024

AGE = re.compile(r"\d{3}[DWMY]", re.ASCII)


def is_key(tag: BaseTag) -> bool:
    """Whether an element of an identifier is a key at all; some peers send file meta information with it."""
    return tag.element != 0 and tag.group != FILE_META_GROUP and tag not in NEVER_MATCHED


def key_element(identifier: Dataset, tag: BaseTag) -> DataElement:
    """An element of an identifier.

    Raises:
        InvalidKey: when its value makes no sense.
    """
    try:
        return identifier[tag]
    except Exception as error:  # whatever pydicom makes of hostile bytes
        raise InvalidKey(tag, identifier.get_item(tag).value, f"cannot be read: {error}") from error


def compile_keys(identifier: Dataset, options: MatchOptions) -> Keys:
    """The keys of an identifier, or of an item in it."""
    elements = {tag: key_element(identifier, tag) for tag in identifier.keys() if is_key(tag)}
    combined = combined_ranges(elements) if options.combined_datetime else []
    together = {tag for pair in combined for tag in (pair.date, pair.time)}
    keys = ((tag, parse_key(element, options)) for tag, element in elements.items() if tag not in together)
    return Keys(tuple((tag, key) for tag, key in keys if not isinstance(key, Universal)), tuple(combined))


def parse_key(element: DataElement, options: MatchOptions | None = None) -> Key:
    """What a key of a C-FIND identifier matches (PS3.4 C.2.2.2).

    Args:
        element: of the identifier.
        options: for person names, and for items of a sequence; `timezone` is that of datetimes without their own.

    Returns:
        Universal for no value, and for a sequence in whose items nothing is asked for; Single, UIDList or Wildcard for
        texts, names and numbers; Single for a day, and Range for everything else that is DA, TM or DT; SequenceKey for
        SQ; Empty for `""`; Values for several values of anything but UI.

    Raises:
        InvalidKey: when nothing can be matched by this value.
    """
    options = options or MatchOptions()
    if element.VR == "SQ":
        return parse_sequence(element, options)
    values = [value for value in raw_values(element) if not is_blank(value)]
    if not values:
        return Universal()
    if len(values) == 1:
        return parse_value(element, values[0], options)
    if element.VR == "UI":
        return UIDList(frozenset(parse_uid(element, value) for value in values))
    return parse_values(element, values, options)


def parse_values(element: DataElement, values: list[Any], options: MatchOptions) -> Key:
    """Several values, each of which may match (PS3.4 C.2.2.2.8)."""
    if len(values) > MOST_VALUES:
        raise InvalidKey(element.tag, len(values), f"values are more than {MOST_VALUES}")
    keys = tuple(parse_value(element, value, options) for value in values)
    return Universal() if Universal() in keys else Values(keys)


def parse_value(element: DataElement, value: Any, options: MatchOptions) -> Key:
    """One value that is not empty."""
    if not isinstance(value, int | float | bytes) and str(value).strip(" \0") == EMPTY_VALUE:
        return Empty()
    parse = PARSERS.get(element.VR)
    return parse_plain(element, value) if parse is None else parse(element, value, options)


def parse_sequence(element: DataElement, options: MatchOptions) -> Key:
    """A sequence; one in whose items nothing is to be matched asks for what there is (PS3.4 C.2.2.2.6)."""
    items = items_of(element)
    if len(items) > MOST_VALUES:
        raise InvalidKey(element.tag, len(items), f"items are more than {MOST_VALUES}")
    keys = tuple(compile_keys(item, options) for item in items)
    return SequenceKey(keys) if keys and Keys() not in keys else Universal()


def parse_text(element: DataElement, value: Any, options: MatchOptions) -> Key:
    """A text, a name or a pattern."""
    vr = element.VR
    if vr == "PN" and options.fuzzy_names:
        return parse_fuzzy(element, str(value))
    ignore_case = vr == "PN" and options.ignore_case_in_names
    wanted = str(reader(vr, ignore_case)(value))
    # PS3.4 C.2.2.2.4: "Wild Card Matching on a value of "*" is equivalent to Universal Matching"
    if not wanted.strip("*=" if vr == "PN" else "*"):
        return Universal()
    if is_pattern(wanted):
        return Wildcard(checked_pattern(element, wanted), vr, ignore_case)
    return Single(wanted, vr, ignore_case)


def parse_fuzzy(element: DataElement, name: str) -> Key:
    """A name that need not be quite right."""
    return FuzzyName(checked_pattern(element, name)) if name.strip(" ^=*") else Universal()


def checked_pattern(element: DataElement, pattern: str) -> str:
    """A pattern, if it is not too long."""
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidKey(element.tag, pattern, f"is a pattern of more than {LONGEST_PATTERN} characters")
    return pattern


def parse_uid(element: DataElement, value: Any) -> str:
    """A UID, in which there are no wild cards."""
    uid = str(value).strip(" \0")
    if is_pattern(uid):
        raise InvalidKey(element.tag, uid, "is no UID, for which there are no wild cards")
    return uid


def parse_single_uid(element: DataElement, value: Any, options: MatchOptions) -> Key:
    """One UID."""
    return Single(parse_uid(element, value), "UI")


def parse_age(element: DataElement, value: Any, options: MatchOptions) -> Key:
    """An age: digits and a unit (PS3.5 6.2)."""
    age = str(value).strip(" \0")
    if AGE.fullmatch(age) is None:
        raise InvalidKey(element.tag, age, "is no age such as 045Y")
    return Single(age, "AS")


def parse_plain(element: DataElement, value: Any) -> Key:
    """A number, or bytes."""
    wanted = reader(element.VR, ignore_case=False)(value)
    if wanted is None or (isinstance(wanted, float) and isnan(wanted)):
        raise InvalidKey(element.tag, value, f"is no value for {element.VR}")
    return Single(wanted, element.VR)


PARSERS: dict[str, Callable[[DataElement, Any, MatchOptions], Key]] = {
    **dict.fromkeys(WILDCARD_VRS, parse_text),
    "AS": parse_age,
    "UI": parse_single_uid,
    **dict.fromkeys(("DA", "TM", "DT"), parse_temporal),
}

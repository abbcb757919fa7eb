"""The values of an element in the forms in which keys compare them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from dicomio.matching.names import canonical_name
from dicomio.matching.temporal import first_date, first_datetime, first_time

__all__ = ["Comparable", "comparable", "element_of", "is_blank", "items_of", "raw_values", "reader"]

Comparable = str | int | float | bytes
Reader = Callable[[Any], Comparable | None]

MANY = (MultiValue, list, tuple)
NUMBER = re.compile(r"[+-]?(?=\.?\d)\d*(?P<fraction>\.\d*([eE][+-]?\d{1,3})?|[eE][+-]?\d{1,3})?", re.ASCII)


def element_of(ds: Dataset, tag: BaseTag) -> DataElement | None:
    """An element of a candidate, `None` where it has none, or where its value makes no sense."""
    element = cast("DataElement | RawDataElement | None", ds.get_item(tag))
    if not isinstance(element, RawDataElement):
        return element
    try:
        return ds[tag]
    except Exception:  # whatever pydicom makes of hostile bytes
        return None


def raw_values(element: DataElement) -> list[Any] | tuple[Any, ...] | MultiValue[Any]:
    """The values of an element as pydicom has them; a sequence has none that could be compared."""
    value = element.value
    if isinstance(value, str):
        return (value,)
    if value is None or element.VR == "SQ":
        return ()
    return value if isinstance(value, MANY) else (value,)


def items_of(element: DataElement) -> Sequence[Dataset]:
    """The items of a sequence; nothing else has any."""
    return element.value or () if element.VR == "SQ" else ()


def is_blank(value: Any) -> bool:
    """Whether there is nothing but padding in a value."""
    if isinstance(value, bytes):
        return not value
    return not isinstance(value, int | float) and not str(value).strip(" \0")


def comparable(element: DataElement, *, ignore_case_in_names: bool = True) -> Iterator[Comparable]:
    """The values of an element of a candidate as keys compare them; those that are empty or senseless are left out.

    Keys accept an element when they accept one of these, so an index that keeps them can be searched by the same keys:
    texts without padding, names in canonical (and folded) form, `YYYYMMDD`, `HHMMSS.FFFFFF`,
    `YYYYMMDDHHMMSS.FFFFFF` as the clock showed it, numbers, bytes.

    Args:
        element: of the candidate.
        ignore_case_in_names: as in `MatchOptions`.
    """
    read = reader(element.VR, ignore_case_in_names)
    for each in raw_values(element):
        value = read(each)
        if value or isinstance(value, int | float):
            yield value


def reader(vr: str, ignore_case: bool) -> Reader:
    """What brings one value of this VR into the form in which it is compared."""
    if vr == "PN":
        return folded_name if ignore_case else name
    return READERS.get(vr, plain)


def padded_text(value: Any) -> str:
    """A text whose spaces at both ends are padding (PS3.5 Table 6.2-1)."""
    return str(value).strip(" \0")


def text(value: Any) -> str:
    """A text whose spaces at the end are padding."""
    return str(value).rstrip(" \0")


def name(value: Any) -> str:
    """A person name."""
    return canonical_name(str(value), ignore_case=False)


def folded_name(value: Any) -> str:
    """A person name in which upper and lower case are the same."""
    return canonical_name(str(value), ignore_case=True)


def date(value: Any) -> str | None:
    """A date; old objects have dots in it."""
    return first_date(padded_text(value))


def time(value: Any) -> str | None:
    """A time, or its first moment."""
    return first_time(padded_text(value))


def clock(value: Any) -> str | None:
    """A datetime as the clock showed it, or its first moment."""
    moment = first_datetime(padded_text(value))
    return None if moment is None else moment[0]


def number(value: Any) -> int | float | None:
    """A number, `None` when it is none: pydicom leaves texts that are no numbers as they are."""
    if isinstance(value, int):
        return int(value)
    try:
        if not isinstance(value, str):
            return float(value)
        found = NUMBER.fullmatch(value := padded_text(value))
        return None if found is None else int(value) if found["fraction"] is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def plain(value: Any) -> Comparable | None:
    """Bytes without the one that makes their number even, or a number."""
    return bytes(value).removesuffix(b"\0") if isinstance(value, bytes | bytearray) else number(value)


READERS: dict[str, Reader] = {
    **dict.fromkeys(("AE", "AS", "CS", "LO", "SH", "UI"), padded_text),
    **dict.fromkeys(("LT", "ST", "UC", "UR", "UT"), text),
    **dict.fromkeys(("AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), number),
    "DA": date,
    "TM": time,
    "DT": clock,
}

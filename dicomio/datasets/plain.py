"""Encoding what identifiers consist of: short texts, one level deep. pydicom takes some ten times as long for it."""

from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import IS, PersonName

from dicomio.datasets.elements import SHORTS, WORDS
from dicomio.datasets.syntax import Encoding

__all__ = ["encode_plain"]

SPECIFIC_CHARACTER_SET = 0x00080005
FIRST_DATA_SET_TAG = 0x00080000

ASCII_VRS = {"AE": b" ", "AS": b" ", "CS": b" ", "DA": b" ", "DT": b" ", "IS": b" ", "TM": b" ", "UI": b"\0"}
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST"})


def encode_plain(ds: Dataset, encoding: Encoding) -> bytes | None:
    """Encodes a data set of single texts in ASCII or UTF-8.

    Args:
        ds: the data set; group 0002 is left out.
        encoding: how to encode it; deflating is left to the caller.

    Returns:
        What pydicom would write, or `None` when there is anything else in the data set.
    """
    head = WORDS[encoding.little].pack if encoding.implicit else SHORTS[encoding.little].pack
    text_codec, parts = "ascii", []
    for element in sorted(ds.values(), key=tag_of):
        tag = int(element.tag)
        if tag < FIRST_DATA_SET_TAG:
            continue
        if not isinstance(element, DataElement):
            return None
        vr, text = element.VR, text_of(element.value)
        if text is None:
            return None
        if tag == SPECIFIC_CHARACTER_SET and text == "ISO_IR 192":
            text_codec = "utf-8"
        padding = b" " if vr in TEXT_VRS else ASCII_VRS.get(vr)
        if padding is None:
            return None
        try:
            value = text.encode(text_codec if vr in TEXT_VRS else "ascii")
        except UnicodeEncodeError:
            return None
        if len(value) % 2:
            value += padding
        if len(value) > 0xFFFE:
            return None
        group, number, length = tag >> 16, tag & 0xFFFF, len(value)
        parts.append(head(group, number, length) if encoding.implicit else head(group, number, vr.encode(), length))
        parts.append(value)
    return b"".join(parts)


def tag_of(element: Any) -> int:
    """The tag as a plain number, which sorts much faster than pydicom's."""
    return int(element.tag)


def text_of(value: Any) -> str | None:
    """The text of a value as it is written, or `None` if it is not a text."""
    kind = type(value)
    if kind is str or kind is UID:
        return str(value)
    if value is None:
        return ""
    if kind is PersonName or kind is IS:
        return str(value)
    if kind is MultiValue and all(type(each) in (str, UID) for each in value):
        return "\\".join(value)
    return None

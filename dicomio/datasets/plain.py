"""Encoding what identifiers, references and reports consist of: short texts. pydicom takes some ten times as long."""

from collections.abc import Iterable
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import IS, PersonName

from dicomio.datasets.elements import LONG, SHORTS, WORDS
from dicomio.datasets.syntax import Encoding

__all__ = ["encode_plain"]

SPECIFIC_CHARACTER_SET = 0x00080005
FIRST_DATA_SET_TAG = 0x00080000

ASCII_VRS = {"AE": b" ", "AS": b" ", "CS": b" ", "DA": b" ", "DT": b" ", "IS": b" ", "TM": b" ", "UI": b"\0"}
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST"})

ITEM = 0xFFFEE000
# Deeper than anything that is asked or told; recursion has to end somewhere.
MOST_NESTING = 16


def encode_plain(ds: Dataset, encoding: Encoding) -> bytes | None:
    """Encodes a data set of single texts in ASCII or UTF-8, 16-bit numbers, and sequences of these.

    Args:
        ds: the data set; group 0002 is left out.
        encoding: how to encode it; deflating is left to the caller.

    Returns:
        What pydicom would write, or `None` when there is anything else in the data set.
    """
    elements = [element for element in ds.values() if int(element.tag) >= FIRST_DATA_SET_TAG]
    return encode_elements(elements, encoding, "ascii", MOST_NESTING)


def encode_elements(elements: Iterable[Any], encoding: Encoding, text_codec: str, nesting: int) -> bytes | None:
    """The elements of a data set or an item, which has the character set of what it is in unless it names its own."""
    parts = []
    for element in sorted(elements, key=tag_of):
        if not isinstance(element, DataElement):
            return None
        tag = int(element.tag)
        if tag == SPECIFIC_CHARACTER_SET:
            text_codec = "utf-8" if element.value == "ISO_IR 192" else "ascii"
        vr = element.VR
        if vr == "SQ":
            value = encode_items(element, encoding, text_codec, nesting - 1)
        elif vr == "US":
            value = encode_short(element.value, encoding)
        else:
            value = encode_text(element.value, vr, text_codec)
        if value is None:
            return None
        parts.append(head_of(tag, vr, len(value), encoding))
        parts.append(value)
    return b"".join(parts)


def head_of(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    """Tag, VR and length of an element (PS3.5 7.1)."""
    group, number, little = tag >> 16, tag & 0xFFFF, encoding.little
    if encoding.implicit:
        return WORDS[little].pack(group, number, length)
    if vr == "SQ":
        return SHORTS[little].pack(group, number, b"SQ", 0) + LONG[little].pack(length)
    return SHORTS[little].pack(group, number, vr.encode(), length)


def encode_items(element: DataElement, encoding: Encoding, text_codec: str, nesting: int) -> bytes | None:
    """The items of a sequence, with explicit lengths (PS3.5 7.5)."""
    if element.is_undefined_length or not nesting:
        return None
    parts = []
    for item in element.value or ():
        if getattr(item, "is_undefined_length_sequence_item", False):
            return None
        value = encode_elements(item.values(), encoding, text_codec, nesting)
        if value is None:
            return None
        parts.append(WORDS[encoding.little].pack(ITEM >> 16, ITEM & 0xFFFF, len(value)))
        parts.append(value)
    return b"".join(parts)


def encode_short(value: Any, encoding: Encoding) -> bytes | None:
    """A single number of 16 bits."""
    if value is None:
        return b""
    if type(value) is not int or not 0 <= value <= 0xFFFF:
        return None
    return value.to_bytes(2, "little" if encoding.little else "big")


def encode_text(value: Any, vr: str, text_codec: str) -> bytes | None:
    """A text, padded."""
    text = text_of(value)
    padding = b" " if vr in TEXT_VRS else ASCII_VRS.get(vr)
    if text is None or padding is None:
        return None
    try:
        encoded = text.encode(text_codec if vr in TEXT_VRS else "ascii")
    except UnicodeEncodeError:
        return None
    if len(encoded) % 2:
        encoded += padding
    return encoded if len(encoded) <= 0xFFFE else None


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

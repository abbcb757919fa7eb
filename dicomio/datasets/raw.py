"""Data sets whose elements are decoded when they are looked at, made without the detour through pydicom's reader."""

from collections.abc import Mapping
from functools import partial
from itertools import product
from struct import Struct
from typing import Any, Final

from pydicom import config
from pydicom.charset import default_encoding, python_encoding
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio.datasets.elements import LONG, PLAIN_LONG_VRS, SEQUENCES, SHORT_VRS, Data
from dicomio.datasets.part10 import LONG_VRS

__all__ = ["raw_data_set"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
DELIMITERS: Final = 0xFFFE
CHARSET_TAG: Final = BaseTag(SPECIFIC_CHARACTER_SET)
# Others are in no hurry, and what they would take in memory is looked at first.
LONGEST: Final = 65_536
# Tags that are kept ready; a peer may name any number of private elements.
MOST_TAGS: Final = 16_384

# What pydicom makes of Specific Character Set (0008,0005), by what stands in it: none, or a single one that it knows
CHARSETS: Final[Mapping[bytes | None, str]] = {None: default_encoding, b"": default_encoding} | {
    term.encode() + b" " * (len(term) % 2): name for term, name in python_encoding.items() if term
}

Elements = dict[BaseTag, DataElement | RawDataElement]

# The constructor of a NamedTuple takes twice as long.
raw_element: Final[Any] = partial(tuple.__new__, RawDataElement)


class Unplain(KeyError):
    """An element whose value is not plain."""


class Tags(dict[int, BaseTag]):
    """Tags by how they are read in one byte order, as one number; `Unplain` for those whose values are not plain.

    Args:
        little: the byte order.
        implicit: there are no VRs to tell what is plain.
        checked: sequences have been looked into, so that they can be taken for plain.
    """

    def __init__(self, little: bool, implicit: bool, checked: bool) -> None:
        super().__init__()
        self.little = little
        self.guessing = implicit and not checked

    def __missing__(self, wire: int) -> BaseTag:
        number = (wire & 0xFFFF) << 16 | wire >> 16 if self.little else wire
        if number >> 16 == DELIMITERS or (self.guessing and (number & 0x10000 or number in SEQUENCES)):
            raise Unplain(number)
        tag = BaseTag(number)
        if len(self) < MOST_TAGS:
            self[wire] = tag
        return tag


class Prototype:
    """Makes data sets like one that pydicom has read, but for its elements.

    `Dataset` looks up each of its attributes in the data dictionary when it sets them, which takes longer than all the
    elements of an identifier.

    Args:
        implicit: how it was encoded.
        little: how it was encoded.
        charset: what pydicom calls its Specific Character Set (0008,0005): names, or only one where it has none.
    """

    def __init__(self, implicit: bool, little: bool, charset: list[str] | str) -> None:
        elements: Elements = {}
        ds = Dataset(elements)
        ds.set_original_encoding(implicit, little, charset)
        self.attributes = vars(ds)
        self.holder = next(name for name, value in self.attributes.items() if value is elements)
        kept = [name for name, value in self.attributes.items() if isinstance(value, dict | list)]
        self.containers = [name for name in kept if name != self.holder]

    def data_set(self, elements: Elements) -> Dataset:
        """A data set of these elements."""
        ds = Dataset.__new__(Dataset)
        attributes = vars(ds)
        attributes.update(self.attributes)
        for name in self.containers:
            attributes[name] = attributes[name].copy()
        attributes[self.holder] = elements
        return ds


class RawReader:
    """Reads data sets of one encoding.

    Args:
        implicit: VRs are left out.
        little: the byte order.
        checked: whether the structure of what it gets has been checked.
    """

    def __init__(self, implicit: bool, little: bool, checked: bool) -> None:
        self.little = little
        self.checked = checked
        self.read = self.without_vrs if implicit else self.with_vrs
        self.tags = Tags(little, implicit, checked)
        order = "<" if little else ">"
        self.words = Struct(order + "LL").unpack_from
        self.shorts = Struct(order + "L2sH").unpack_from
        self.long = LONG[little].unpack_from
        self.short_vrs = {vr: vr.decode() for vr in SHORT_VRS}
        self.long_vrs = {vr: vr.decode() for vr in (LONG_VRS if checked else PLAIN_LONG_VRS)}
        self.empty = {
            vr: empty_value_for_VR(vr, raw=True) for vr in (*self.short_vrs.values(), *self.long_vrs.values())
        }
        self.without = Prototype(implicit, little, default_encoding)
        self.prototypes = {name: Prototype(implicit, little, [name]) for name in set(python_encoding.values())}

    def data_set(self, data: bytes) -> Dataset:
        """A data set.

        Raises:
            Unplain: it is not plain, or damaged.
        """
        elements: Elements = {}
        end = self.read(data, elements)
        # What is left of one whose structure has been checked is padding.
        if end > len(data) or (end < len(data) and not self.checked):
            raise Unplain(end)
        charset = elements.get(CHARSET_TAG)
        if charset is None:
            return self.without.data_set(elements)
        name = CHARSETS.get(charset.value)
        if name is None:
            raise Unplain(SPECIFIC_CHARACTER_SET)
        return self.prototypes[name].data_set(elements)

    def without_vrs(self, data: bytes, elements: Elements) -> int:
        """Adds the elements of a data set in Implicit VR (PS3.5 7.1.3); where the last one says that it ends."""
        words, tags, little, last, position = self.words, self.tags, self.little, len(data) - 8, 0
        while position <= last:
            wire, length = words(data, position)
            tag = tags[wire]
            start = position + 8
            position = start + length
            value = data[start:position] if length else None
            elements[tag] = raw_element((tag, None, length, value, start, True, little, True, False))
        return position

    def with_vrs(self, data: bytes, elements: Elements) -> int:
        """Adds the elements of a data set in Explicit VR (PS3.5 7.1.2); where the last one says that it ends."""
        shorts, tags, little, last, position = self.shorts, self.tags, self.little, len(data) - 8, 0
        short_vrs, long_vrs = self.short_vrs, self.long_vrs
        while position <= last:
            wire, code, length = shorts(data, position)
            tag = tags[wire]
            start = position + 8
            vr = short_vrs.get(code)
            if vr is None:
                vr = long_vrs.get(code)
                if vr is None or start > last + 4:
                    raise Unplain(tag)
                (length,) = self.long(data, start)
                start += 4
            position = start + length
            value = data[start:position] if length else self.empty[vr]
            elements[tag] = raw_element((tag, vr, length, value, start, False, little, True, False))
        return position


BOTH: Final = (False, True)
READERS: Final = {each: RawReader(*each) for each in product(BOTH, BOTH, BOTH)}


def raw_data_set(data: Data, implicit: bool, little: bool, *, checked: bool) -> Dataset | None:
    """Reads a data set as pydicom does, where all elements of its own have single values; sequences stay encoded.

    Args:
        data: the encoded data set.
        implicit: VRs are left out, as found.
        little: the byte order.
        checked: whether its structure has been checked; where it has not, there must not be any sequence.

    Returns:
        The data set; `None` where there is anything else in it, or anything wrong with it.
    """
    if len(data) > LONGEST or config.use_none_as_empty_text_VR_value:
        return None
    try:
        return READERS[implicit, little, checked].data_set(bytes(data))
    except Unplain:
        return None

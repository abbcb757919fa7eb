"""Data sets whose elements are decoded when they are looked at, made without the detour through pydicom's reader."""

from collections.abc import Mapping
from functools import partial
from itertools import product
from struct import Struct
from typing import Any, Final

from pydicom import config
from pydicom.charset import default_encoding, python_encoding
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dicomio.datasets.elements import (
    ITEM,
    ITEM_DELIMITER,
    LONG,
    PLAIN_LONG_VRS,
    SEQUENCE_DELIMITER,
    SEQUENCES,
    SHORT_VRS,
    UNDEFINED,
    Data,
    sniff_implicit,
)
from dicomio.datasets.part10 import LONG_VRS

__all__ = ["raw_data_set"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
DELIMITERS: Final = 0xFFFE
CHARSET_TAG: Final = BaseTag(SPECIFIC_CHARACTER_SET)
# Others are in no hurry, and what they would take in memory is looked at first.
LONGEST: Final = 65_536
# Deeper than anything that is asked or told; recursion has to end somewhere.
MOST_NESTING: Final = 16
# Tags that are kept ready; a peer may name any number of private elements.
MOST_TAGS: Final = 16_384
# pydicom takes those of the repeating groups for sequences only where it sees an item.
SEQUENCE_TAGS: Final = tuple(BaseTag(tag) for tag in SEQUENCES if dictionary_has_tag(tag))

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


def on_wire(tag: int, little: bool) -> int:
    """A tag as it is read in one byte order, as one number."""
    return (tag & 0xFFFF) << 16 | tag >> 16 if little else tag


class Prototype:
    """Makes data sets like one that pydicom has read, but for its elements.

    `Dataset` looks up each of its attributes in the data dictionary when it sets them, which takes longer than all the
    elements of an identifier.

    Args:
        implicit: how it was encoded.
        little: how it was encoded.
        charset: what pydicom calls its Specific Character Set (0008,0005); empty where neither it nor what it is in
            has one.
        parent: the same of what it is in.
    """

    def __init__(self, implicit: bool, little: bool, charset: str, parent: str) -> None:
        elements: Elements = {}
        ds = Dataset(elements, parent_encoding=encodings(parent))
        ds.set_original_encoding(implicit, little, encodings(charset))
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


def encodings(charset: str) -> list[str] | str:
    """What pydicom keeps of a character set: a list, or only a name where nothing was said."""
    return [charset] if charset else default_encoding


class Prototypes(dict[tuple[bool, str, str], Prototype]):
    """Prototypes by whether VRs are left out, character set, and that of what a data set is in.

    Args:
        little: the byte order.
    """

    def __init__(self, little: bool) -> None:
        super().__init__()
        self.little = little

    def __missing__(self, key: tuple[bool, str, str]) -> Prototype:
        implicit, charset, parent = key
        prototype = self[key] = Prototype(implicit, self.little, charset, parent)
        return prototype


def charset_in(elements: Elements, parent: str) -> str:
    """What pydicom calls the Specific Character Set (0008,0005) of a data set, else that of what it is in.

    Raises:
        Unplain: there are several, or it is one that pydicom does not know.
    """
    element = elements.get(CHARSET_TAG)
    if element is None:
        return parent
    name = CHARSETS.get(element.value) if element.VR in (None, "CS") else None
    if name is None:
        raise Unplain(SPECIFIC_CHARACTER_SET)
    return name


class RawReader:
    """Reads data sets of one encoding.

    Args:
        implicit: VRs are left out.
        little: the byte order.
        checked: whether the structure of what it gets has been checked.
    """

    def __init__(self, implicit: bool, little: bool, checked: bool) -> None:
        self.implicit = implicit
        self.little = little
        self.checked = checked
        self.read = self.without_vrs if implicit else self.with_vrs
        self.check = self.check_without_vrs if implicit else self.check_with_vrs
        self.tags = Tags(little, implicit, checked)
        order = "<" if little else ">"
        self.words = Struct(order + "LL").unpack_from
        self.shorts = Struct(order + "L2sH").unpack_from
        self.long = LONG[little].unpack_from
        self.short_vrs = {vr: vr.decode() for vr in SHORT_VRS}
        self.long_vrs = {vr: vr.decode() for vr in (LONG_VRS if checked else PLAIN_LONG_VRS | {b"SQ"})}
        self.empty = {
            vr: empty_value_for_VR(vr, raw=True) for vr in (*self.short_vrs.values(), *self.long_vrs.values())
        }
        self.item, self.item_end, self.sequence_end = (
            on_wire(tag, little) for tag in (ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER)
        )
        self.sequences = {on_wire(tag, little): tag for tag in SEQUENCE_TAGS}
        self.special = self.sequences.keys() | {self.item_end}
        self.prototypes = Prototypes(little)

    def data_set(self, data: bytes, nesting: int) -> Dataset:
        """A data set.

        Raises:
            Unplain: it is not plain, or damaged.
        """
        elements: Elements = {}
        end = self.read(data, 0, len(data), elements, nesting, "")
        # What is left of one whose structure has been checked is padding.
        if end > len(data) or (end < len(data) and not self.checked):
            raise Unplain(end)
        return self.prototypes[self.implicit, charset_in(elements, ""), ""].data_set(elements)

    def without_vrs(self, data: bytes, position: int, end: int, elements: Elements, nesting: int, charset: str) -> int:
        """Adds the elements of a data set in Implicit VR (PS3.5 7.1.3); where the last one says that it ends."""
        words, tags, special, little, last = self.words, self.tags, self.special, self.little, end - 8
        while position <= last:
            wire, length = words(data, position)
            start = position + 8
            if wire in special:
                if wire == self.item_end:
                    break
                tag = self.sequences[wire]
                if length == UNDEFINED:
                    position = self.sequence(data, start, end, elements, tag, nesting, charset)
                    continue
                if not self.checked:
                    self.check_items(data, start, start + length, nesting)
            else:
                tag = tags[wire]
            position = start + length
            value = data[start:position] if length else None
            elements[tag] = raw_element((tag, None, length, value, start, True, little, True, False))
        return position

    def with_vrs(self, data: bytes, position: int, end: int, elements: Elements, nesting: int, charset: str) -> int:
        """Adds the elements of a data set in Explicit VR (PS3.5 7.1.2); where the last one says that it ends."""
        shorts, tags, little, last = self.shorts, self.tags, self.little, end - 8
        short_vrs, long_vrs = self.short_vrs, self.long_vrs
        while position <= last:
            wire, code, length = shorts(data, position)
            start = position + 8
            vr = short_vrs.get(code)
            if vr is None:
                if wire == self.item_end:
                    break
                vr = long_vrs.get(code)
                if vr is None or start > last + 4:
                    raise Unplain(wire)
                (length,) = self.long(data, start)
                start += 4
                if code == b"SQ":
                    if length == UNDEFINED:
                        position = self.sequence(data, start, end, elements, tags[wire], nesting, charset)
                        continue
                    if not self.checked:
                        self.check_items(data, start, start + length, nesting)
            tag = tags[wire]
            position = start + length
            value = data[start:position] if length else self.empty[vr]
            elements[tag] = raw_element((tag, vr, length, value, start, False, little, True, False))
        return position

    def sequence(
        self, data: bytes, position: int, end: int, elements: Elements, tag: BaseTag, nesting: int, charset: str
    ) -> int:
        """Adds a sequence of undefined length with its items, as pydicom does (PS3.5 7.5.2); where it ends."""
        if not nesting:
            raise Unplain(tag)
        charset = charset_in(elements, charset)
        items: list[Dataset] = []
        start = position
        while position + 8 <= end:
            wire, length = self.words(data, position)
            if wire == self.item:
                item, position = self.read_item(data, position, length, end, nesting - 1, charset)
                items.append(item)
            elif wire == self.sequence_end and not length:
                value = Sequence(items)
                value.is_undefined_length = True
                elements[tag] = DataElement(tag, "SQ", value, start, is_undefined_length=True)
                return position + 8
            else:
                break
        raise Unplain(tag)

    def read_item(
        self, data: bytes, position: int, length: int, end: int, nesting: int, charset: str
    ) -> tuple[Dataset, int]:
        """The item at `position`, and where it ends (PS3.5 7.5)."""
        elements: Elements = {}
        start = position + 8
        undefined = length == UNDEFINED
        stop = end if undefined else start + length
        if stop > end:
            raise Unplain(ITEM)
        after = self.read(data, start, stop, elements, nesting, charset)
        if undefined:
            if after + 8 > end or self.words(data, after) != (self.item_end, 0):
                raise Unplain(ITEM_DELIMITER)
            after += 8
        elif after != stop:
            raise Unplain(ITEM)
        # Where an item is empty, pydicom takes what comes after it for its first element.
        implicit = self.implicit or sniff_implicit(data, start, len(data)) is True
        item = self.prototypes[implicit, charset_in(elements, charset), charset].data_set(elements)
        places = {"is_undefined_length_sequence_item": undefined, "seq_item_tell": position, "file_tell": position}
        vars(item).update(places)
        return item, after

    def check_items(self, data: bytes, position: int, end: int, nesting: int) -> None:
        """Looks whether what stays encoded are items of plain elements, all with their lengths (PS3.5 7.5).

        Raises:
            Unplain: it is anything else.
        """
        if not nesting or end > len(data):
            raise Unplain(ITEM)
        words, item, check, last = self.words, self.item, self.check, end - 8
        while position <= last:
            wire, length = words(data, position)
            start = position + 8
            position = start + length
            if wire != item or position > end or check(data, start, position, nesting - 1) != position:
                raise Unplain(wire)
        if position != end:
            raise Unplain(ITEM)

    def check_without_vrs(self, data: bytes, position: int, end: int, nesting: int) -> int:
        """Where the last element of an item in Implicit VR says that it ends."""
        words, tags, sequences, last = self.words, self.tags, self.sequences, end - 8
        while position <= last:
            wire, length = words(data, position)
            start = position + 8
            position = start + length
            if wire in sequences:
                self.check_items(data, start, position, nesting)
            else:
                tags[wire]  # which is what says that it is plain
        return position

    def check_with_vrs(self, data: bytes, position: int, end: int, nesting: int) -> int:
        """Where the last element of an item in Explicit VR says that it ends."""
        shorts, short_vrs, long_vrs, last = self.shorts, self.short_vrs, self.long_vrs, end - 8
        while position <= last:
            wire, code, length = shorts(data, position)
            start = position + 8
            if code not in short_vrs:
                if code not in long_vrs or start > last + 4:
                    raise Unplain(wire)
                (length,) = self.long(data, start)
                start += 4
                if code == b"SQ":
                    self.check_items(data, start, start + length, nesting)
            position = start + length
        return position


BOTH: Final = (False, True)
READERS: Final = {each: RawReader(*each) for each in product(BOTH, BOTH, BOTH)}


def raw_data_set(
    data: Data, implicit: bool, little: bool, *, checked: bool, nesting: int = MOST_NESTING
) -> Dataset | None:
    """Reads a data set as pydicom does; values stay encoded, and so do sequences that have a length.

    Args:
        data: the encoded data set.
        implicit: VRs are left out, as found.
        little: the byte order.
        checked: whether its structure has been checked; where it has not, only items of plain elements are read.
        nesting: how deep sequences may be nested.

    Returns:
        The data set; `None` where there is anything else in it, or anything wrong with it.
    """
    if len(data) > LONGEST or config.use_none_as_empty_text_VR_value:
        return None
    try:
        return READERS[implicit, little, checked].data_set(bytes(data), min(nesting, MOST_NESTING))
    except Unplain:
        return None

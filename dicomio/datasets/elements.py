"""The structure of an encoded data set: elements, sequences and items (PS3.5 7), without their values."""

from struct import Struct
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, keyword_dict, private_dictionary_VR

from dicomio.datasets.part10 import LONG_VRS, text_of_uid
from dicomio.datasets.syntax import Encoding
from dicomio.errors import InvalidInstance

__all__ = [
    "UNDEFINED",
    "Element",
    "check_structure",
    "find_uids",
    "read_element",
    "read_item",
    "sniff_implicit",
    "value_vr",
]

Data = bytes | memoryview

UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_DELIMITER = 0xFFFEE00D
SEQUENCE_DELIMITER = 0xFFFEE0DD
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018

WORDS = {True: Struct("<HHL"), False: Struct(">HHL")}
SHORTS = {True: Struct("<HH2sH"), False: Struct(">HH2sH")}
LONG = {True: Struct("<L"), False: Struct(">L")}

SHORT_VRS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH"}
    | {b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)

PLAIN_LONG_VRS = LONG_VRS - {b"SQ", b"UN"}

SEQUENCES = frozenset(tag for tag in keyword_dict.values() if dictionary_VR(tag) == "SQ")
SEQUENCES |= {group << 16 | 0x2600 for group in range(0x5000, 0x5100, 2)}  # the one among the repeating groups

# What a data set becomes in memory: some hundred bytes for an element, and as much as 16 of them for an item. A bomb
# of empty items would otherwise grow by a factor of 200; two million elements are more than any image has.
ITEM_EFFORT = 16
MOST_EFFORT = 4_000_000

Creators = dict[int, str]


class Element(NamedTuple):
    """The head of a data element.

    Args:
        tag: group and element number, 32 bits.
        vr: the two letters; `None` where the encoding leaves them out.
        length: of the value in bytes, or `UNDEFINED`.
        start: where the value begins.
    """

    tag: int
    vr: bytes | None
    length: int
    start: int


def read_element(data: Data, position: int, end: int, implicit: bool, little: bool) -> Element:
    """Reads the head of the data element at `position` (PS3.5 7.1); its value lies before `end` too.

    Raises:
        InvalidInstance: when head or value go beyond `end`.
    """
    start = position + 8
    if start > end:
        raise InvalidInstance(f"the data set is cut off within the element at byte {position}")
    vr: bytes | None = None
    if implicit:
        group, element, length = WORDS[little].unpack_from(data, position)
    else:
        group, element, vr, length = SHORTS[little].unpack_from(data, position)
        if vr in LONG_VRS:
            start += 4
            if start > end:
                raise InvalidInstance(f"the data set is cut off within the element at byte {position}")
            (length,) = LONG[little].unpack_from(data, position + 8)
        elif vr not in SHORT_VRS and not b"AA" <= vr <= b"ZZ":
            # Delimiters carry no VR, and some writers fall back to implicit VR amid an explicit data set.
            vr = None
            (length,) = LONG[little].unpack_from(data, position + 4)
    tag = group << 16 | element
    if length != UNDEFINED and start + length > end:
        raise InvalidInstance(
            f"({group:04X},{element:04X}) at byte {position} claims {length} bytes where {end - start} are left"
        )
    return Element(tag, vr, length, start)


def read_item(data: Data, position: int, end: int, little: bool) -> tuple[int, int]:
    """Reads tag and length of the item or delimiter at `position` (PS3.5 7.5).

    Raises:
        InvalidInstance: when it is neither, or goes beyond `end`.
    """
    if position + 8 > end:
        raise InvalidInstance(f"the data set is cut off within the sequence at byte {position}")
    group, element, length = WORDS[little].unpack_from(data, position)
    tag = group << 16 | element
    if tag not in (ITEM, SEQUENCE_DELIMITER):
        raise InvalidInstance(f"({group:04X},{element:04X}) at byte {position} is not an item of a sequence")
    if tag == ITEM and length != UNDEFINED and position + 8 + length > end:
        raise InvalidInstance(f"the item at byte {position} claims {length} bytes where {end - position - 8} are left")
    return tag, length


def sniff_implicit(data: Data, position: int, end: int) -> bool | None:
    """Whether the element at `position` lacks the two letters of a VR; `None` when there is no element."""
    if position + 6 > end:
        return None
    return not (0x41 <= data[position + 4] <= 0x5A and 0x41 <= data[position + 5] <= 0x5A)


def value_vr(tag: int, creators: Creators) -> str:
    """The VR that the data dictionary (PS3.6) or a known private one gives for a tag, `UN` when neither does.

    It may be one of the ambiguous ones, such as `OB or OW`.
    """
    try:
        if not tag & 0x10000:
            return dictionary_VR(tag)
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return "LO"  # private creator, PS3.5 7.8.1
        return private_dictionary_VR(tag, creators[tag >> 8])
    except KeyError:
        return "UL" if tag & 0xFFFF == 0 else "UN"


def note_creator(data: Data, element: Element, creators: Creators) -> None:
    """Remembers which block of private elements this private creator reserves (PS3.5 7.8.1)."""
    tag, _, length, start = element
    if 0x10 <= tag & 0xFFFF <= 0xFF and length != UNDEFINED:
        creators[tag >> 16 << 8 | tag & 0xFF] = str(data[start : start + length], "latin-1").strip(" \0")


def is_sequence(data: Data, end: int, element: Element, creators: Creators, little: bool) -> bool:
    """Whether the value consists of items that are data sets; UN may hide them (PS3.5 6.2.2)."""
    tag, vr, length, start = element
    if vr == b"SQ":
        return True
    if vr is not None and vr != b"UN":
        return False
    if vr == b"UN" and length == UNDEFINED:
        return True
    known = value_vr(tag, creators)
    if known != "UN" or length != UNDEFINED:
        return known == "SQ"
    return start + 4 <= end and data[start : start + 4] == (b"\xfe\xff\x00\xe0" if little else b"\xff\xfe\xe0\x00")


def skip_fragments(data: Data, position: int, end: int, little: bool) -> int:
    """The position behind an encapsulated value: items of bytes and a delimiter (PS3.5 A.4)."""
    while True:
        tag, length = read_item(data, position, end, little)
        position += 8
        if tag == SEQUENCE_DELIMITER:
            return position
        if length == UNDEFINED:
            raise InvalidInstance(f"the fragment at byte {position - 8} has no length")
        position += length


def skip_plain(data: Data, position: int, level: "Level") -> tuple[int, int]:
    """Skips the elements that are plainly single values, which nearly all are.

    Returns:
        The position behind them, and how many they are.
    """
    end, count = level.end, 0
    if level.implicit:
        words = WORDS[level.little].unpack_from
        while position + 8 <= end:
            group, element, length = words(data, position)
            if group & 1 or length > end - position - 8 or group == 0xFFFE or group << 16 | element in SEQUENCES:
                break
            position += 8 + length
            count += 1
        return position, count
    shorts, long = SHORTS[level.little].unpack_from, LONG[level.little].unpack_from
    while position + 12 <= end:
        group, element, vr, length = shorts(data, position)
        size = 8 + length
        if vr in PLAIN_LONG_VRS:
            size = 12 + long(data, position + 8)[0]
        elif vr not in SHORT_VRS or (group & 1 and element < 0x100):
            break
        if size > end - position:
            break
        position += size
        count += 1
    return position, count


class Level(NamedTuple):
    """A data set or a sequence that is being walked through."""

    sequence: bool
    implicit: bool
    little: bool
    end: int
    delimited: bool
    creators: Creators


def check_structure(data: Data, encoding: Encoding, nesting: int) -> bool:
    """Walks through a whole data set without recursion, so that what decodes it later cannot be led astray.

    Args:
        data: the encoded data set, inflated.
        encoding: how it should be encoded.
        nesting: how deep sequences may be nested.

    Returns:
        Whether the data set leaves out VRs, as found, which may differ from what was announced.

    Raises:
        InvalidInstance: when a length goes beyond its container, a delimiter is missing, nesting is too deep, or there
            are so many elements that their number is the danger.
    """
    size = len(data)
    found = sniff_implicit(data, 0, size)
    top_implicit = encoding.implicit if found is None else found
    level = Level(False, top_implicit, encoding.little, size, False, {})
    stack: list[Level] = []
    position = effort = 0
    while True:
        if effort > MOST_EFFORT:
            raise InvalidInstance(f"the data set of {size} bytes has too many elements and items")
        if position >= level.end or (not stack and is_padding(data, position)):
            if level.delimited:
                raise InvalidInstance("the data set ends within a sequence or an item")
            if not stack:
                return top_implicit
            level = stack.pop()
        elif level.sequence:
            tag, length = read_item(data, position, level.end, level.little)
            position += 8
            if tag == SEQUENCE_DELIMITER:
                if not level.delimited:
                    raise InvalidInstance(f"the sequence that ends at byte {position} has a length and a delimiter")
                level = stack.pop()
                continue
            stack.append(level)
            level = item_level(data, position, level, length)
            effort += ITEM_EFFORT
        else:
            position, count = skip_plain(data, position, level)
            effort += count + 1
            if count:
                continue
            element = read_element(data, position, level.end, level.implicit, level.little)
            position = element.start
            if element.tag >> 16 == 0xFFFE:
                if element.tag != ITEM_DELIMITER or not level.delimited:
                    raise InvalidInstance(f"an item or delimiter at byte {position - 8} where there cannot be one")
                level = stack.pop()
                continue
            if element.tag & 0x10000:
                note_creator(data, element, level.creators)
            if is_sequence(data, level.end, element, level.creators, level.little):
                stack.append(level)
                if len(stack) > 2 * nesting:
                    raise InvalidInstance(f"sequences are nested deeper than {nesting} levels")
                level = sequence_level(level, element)
            elif element.length == UNDEFINED:
                position = skip_fragments(data, position, level.end, level.little)
            else:
                position += element.length


def is_padding(data: Data, position: int) -> bool:
    """Whether only a few zeros are left, which some senders append to a data set."""
    return len(data) - position < 8 and not any(data[position:])


def sequence_level(level: Level, element: Element) -> Level:
    """The level of the items of a sequence; within UN they are Little Endian and have no VRs (PS3.5 6.2.2)."""
    undefined = element.length == UNDEFINED
    end = level.end if undefined else element.start + element.length
    # Whether VRs are there is looked up item by item, as pydicom does: there are writers of explicit ones within UN.
    return Level(True, level.implicit, level.little or element.vr == b"UN", end, undefined, {})


def item_level(data: Data, position: int, level: Level, length: int) -> Level:
    """The level of the elements of an item; some writers leave out VRs within items."""
    undefined = length == UNDEFINED
    end = level.end if undefined else position + length
    implicit = level.implicit or sniff_implicit(data, position, end) is True
    return Level(False, implicit, level.little, end, undefined, {})


def find_uids(data: bytes, encoding: Encoding) -> tuple[str, str]:
    """SOP Class UID (0008,0016) and SOP Instance UID (0008,0018) from the beginning of a data set.

    Returns:
        The two UIDs, each empty when it is not there.

    Raises:
        InvalidInstance: when what comes before them is not an element.
    """
    found = {SOP_CLASS_UID: "", SOP_INSTANCE_UID: ""}
    implicit = sniff_implicit(data, 0, len(data)) is not False
    position, size = 0, len(data)
    while position + 8 <= size:
        tag, _, length, start = read_element(data, position, size, implicit, encoding.little)
        if tag > SOP_INSTANCE_UID or length == UNDEFINED:
            break
        position = start + length
        if tag in found:
            found[tag] = text_of_uid(bytes(data[start:position]))
    return found[SOP_CLASS_UID], found[SOP_INSTANCE_UID]

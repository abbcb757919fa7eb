"""From one uncompressed encoding to another on the encoded bytes: no value is decoded, so none can change."""

from array import array
from dataclasses import dataclass
from struct import Struct

from dicomio.datasets.elements import (
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    SHORTS,
    UNDEFINED,
    WORDS,
    Element,
    Level,
    check_structure,
    is_sequence,
    item_level,
    note_creator,
    read_element,
    read_item,
    sequence_level,
    value_vr,
)
from dicomio.datasets.part10 import LONG_VRS
from dicomio.datasets.syntax import Encoding
from dicomio.errors import InvalidInstance

__all__ = ["transcode"]

# PS3.5 7.3: how wide the units are whose bytes change places; OB and UN have none, text neither.
UNIT = {b"US": 2, b"SS": 2, b"OW": 2, b"AT": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"OL": 4, b"OF": 4}
UNIT |= {b"FD": 8, b"SV": 8, b"UV": 8, b"OD": 8, b"OV": 8}
TYPECODES = {2: "H", 4: "I", 8: "Q"}

# PS3.5 6.2: padded with a space; everything else with NUL.
TEXT = frozenset({b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"PN", b"SH", b"ST", b"TM"})
TEXT |= {b"UC", b"UR", b"UT"}

# What decides about ambiguous value representations
BITS_ALLOCATED = 0x00280100
PIXEL_REPRESENTATION = 0x00280103
LUT_DESCRIPTOR = 0x00283002
WAVEFORM_BITS_ALLOCATED = 0x54001004
FACTS = frozenset({BITS_ALLOCATED, PIXEL_REPRESENTATION, LUT_DESCRIPTOR, WAVEFORM_BITS_ALLOCATED})
PIXEL_DATA = 0x7FE00010

Facts = dict[int, int]

LONGS = {True: Struct("<HH2sHL"), False: Struct(">HH2sHL")}
US = {True: Struct("<H"), False: Struct(">H")}


def transcode(data: bytes | memoryview, source: Encoding, target: Encoding, nesting: int) -> bytes:
    """Encodes a data set anew: with or without VRs, in either byte order.

    Group lengths are left out (retired, PS3.5 7.2), odd lengths padded, and lengths kept defined or undefined as
    they were. An element whose VR nobody knows becomes UN, which is never swapped (PS3.5 6.2.2).

    Args:
        data: the data set, inflated, with native Pixel Data.
        source: how it is encoded.
        target: how it shall be encoded.
        nesting: how deep sequences may be nested.

    Raises:
        InvalidInstance: when it is damaged, nested too deep, or contains encapsulated Pixel Data.
    """
    implicit = check_structure(data, source, nesting)
    level = Level(False, implicit, source.little, len(data), False, {})
    body, _ = Transcoder(memoryview(data), target).data_set(0, level, {})
    return body


def swapped(value: bytes, width: int) -> bytes:
    """The value with the bytes of each whole unit reversed."""
    whole = len(value) - len(value) % width
    units = array(TYPECODES[width], value[:whole])
    units.byteswap()
    return units.tobytes() + value[whole:]


def resolve(ambiguous: str, tag: int, facts: Facts) -> bytes:
    """The VR meant by an entry such as `US or SS` (PS3.5 A.1, A.2, PS3.3 C.7.6.3.1, C.11.1.1.1)."""
    if ambiguous == "US or SS":
        return b"SS" if facts.get(PIXEL_REPRESENTATION) == 1 else b"US"
    if ambiguous == "US or OW":
        return b"US" if facts.get(LUT_DESCRIPTOR) == 1 else b"OW"
    if tag == PIXEL_DATA:
        return b"OB" if facts.get(BITS_ALLOCATED, 16) <= 8 else b"OW"
    if tag >> 16 == 0x5400:
        return b"OB" if facts.get(WAVEFORM_BITS_ALLOCATED, 16) <= 8 else b"OW"
    return b"OW"


@dataclass(slots=True)
class Transcoder:
    """Reads `data`, whose structure has been checked, and writes it in `target`.

    Args:
        data: the encoded data set.
        target: how to encode it.
    """

    data: memoryview
    target: Encoding

    def data_set(self, position: int, level: Level, facts: Facts) -> tuple[bytes, int]:
        """The elements from `position` on, encoded anew, and the position behind them."""
        data, facts = self.data, facts.copy()
        values: list[tuple[Element, bytes]] = []
        while position + 8 <= level.end:  # fewer bytes are padding behind the last element
            element = read_element(data, position, level.end, level.implicit, level.little)
            tag, _, length, position = element
            if tag == ITEM_DELIMITER:
                break
            if tag & 0x10000:
                note_creator(data, element, level.creators)
            if is_sequence(data, level.end, element, level.creators, level.little):
                value, position = self.sequence(position, sequence_level(level, element), facts)
                values.append((Element(tag, b"SQ", length, 0), value))
            elif length == UNDEFINED:
                raise InvalidInstance(
                    f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is encapsulated in an uncompressed data set"
                )
            else:
                values.append((element, bytes(data[position : position + length])))
                if tag in FACTS and length >= 2:
                    (facts[tag],) = US[level.little].unpack_from(data, position)
                position += length
        # Only now, because what decides about a VR may come behind the element.
        return b"".join([self.element(each, value, level, facts) for each, value in values]), position

    def element(self, element: Element, value: bytes, level: Level, facts: Facts) -> bytes:
        """One element; the value of a sequence comes encoded."""
        tag, vr, length, _ = element
        if vr == b"SQ":
            return self.head(tag, vr, length if length == UNDEFINED else len(value)) + value
        if tag & 0xFFFF == 0:
            return b""
        if vr not in SHORT_VRS and vr not in LONG_VRS:
            known = value_vr(tag, level.creators)
            vr = resolve(known, tag, facts) if " " in known else known.encode("ascii")
        if len(value) % 2:
            value += b" " if vr in TEXT else b"\0"
        if level.little != self.target.little and vr in UNIT and not self.overlong(vr, value):
            value = swapped(value, UNIT[vr])
        return self.head(tag, b"UN" if self.overlong(vr, value) else vr, len(value)) + value

    def overlong(self, vr: bytes, value: bytes) -> bool:
        """Whether the length does not fit into 16 bits, so that the VR has to become UN (PS3.5 6.2.2)."""
        return len(value) > 0xFFFF and vr not in LONG_VRS and not self.target.implicit

    def head(self, tag: int, vr: bytes, length: int) -> bytes:
        """Tag, VR and length of an element (PS3.5 7.1.2, 7.1.3)."""
        little, group, number = self.target.little, tag >> 16, tag & 0xFFFF
        if self.target.implicit:
            return WORDS[little].pack(group, number, length)
        if vr in LONG_VRS:
            return LONGS[little].pack(group, number, vr, 0, length)
        return SHORTS[little].pack(group, number, vr, length)

    def sequence(self, position: int, level: Level, facts: Facts) -> tuple[bytes, int]:
        """The items of a sequence, and the position behind them (PS3.5 7.5)."""
        parts = []
        while position < level.end:
            tag, length = read_item(self.data, position, level.end, level.little)
            position += 8
            if tag == SEQUENCE_DELIMITER:
                break
            item, position = self.data_set(position, item_level(self.data, position, level, length), facts)
            parts.append(self.mark(ITEM, UNDEFINED if length == UNDEFINED else len(item)))
            parts.append(item)
            if length == UNDEFINED:
                parts.append(self.mark(ITEM_DELIMITER, 0))
        if level.delimited:
            parts.append(self.mark(SEQUENCE_DELIMITER, 0))
        return b"".join(parts), position

    def mark(self, tag: int, length: int) -> bytes:
        """The head of an item, or a delimiter; they have no VR in any encoding (PS3.5 7.5)."""
        return WORDS[self.target.little].pack(tag >> 16, tag & 0xFFFF, length)

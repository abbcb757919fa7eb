"""The header of an object in a file: the elements before its bulk data, as plain values (PS3.5 7).

Nothing here trusts the file: each length is checked against its container, sequences that are not wanted are skipped
without being built, and both the number of steps and the bytes of what is kept are bounded.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR

from dicomio import Instance, InvalidInstance
from dicomio.datasets import encode
from dicomio.sop import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

__all__ = ["LAST", "Field", "Fields", "Header", "read_header"]

# A text, values separated by backslashes; numbers; items.
Value: TypeAlias = str | list[int | float] | list["Fields"]
# A value representation and what goes with it.
Field: TypeAlias = tuple[str, Value]
Fields: TypeAlias = dict[str, Field]
# Tag and VR of an element, where its value begins, where it ends, delimiter included, whether there is one, and whether
# the VR is that of the dictionary where the file says UN.
Element: TypeAlias = tuple[int, str, int, int, bool, bool]

UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
SPECIFIC_CHARACTER_SET: Final = 0x00080005
STUDY_INSTANCE_UID: Final = "0020000D"
SERIES_INSTANCE_UID: Final = "0020000E"
# Behind group 0088 come annotations, plans and pixels: nothing that is queried.
LAST: Final = 0x0088FFFF
LAST_GROUP: Final = LAST >> 16

WINDOW: Final = 16_384  # bytes read from the file at a time
MOST_VALUE: Final = 1_024  # bytes of a value that is kept
MOST_KEPT: Final = 32_768  # bytes of values kept of one object
MOST_STEPS: Final = 100_000  # heads of elements and items read of one object
TOO_MANY: Final = f"there are more than {MOST_STEPS} elements and items before the bulk data"
MOST_NESTING: Final = 64  # depth of sequences that are skipped
MOST_DEPTH: Final = 3  # depth of sequences that are kept

SHORT_VRS: Final = {vr.encode(): vr for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()}
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
TEXTS: Final = frozenset("AE AS CS DA DS DT IS TM UI UR".split())
CODED_TEXTS: Final = frozenset("LO LT PN SH ST UC UT".split())
CODES: Final = {"AT": "HH", "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
CODES["US or SS"] = "H"
# By whether the byte order is little endian, and VR.
NUMBERS: Final[Mapping[bool, Mapping[str, Struct]]] = {
    little: {vr: Struct(f"{'<' if little else '>'}{code}") for vr, code in CODES.items()} for little in (True, False)
}
# PS3.5 6.1.2.5.3: what ends the scope of an escape sequence.
DELIMITERS: Final = {0x09, 0x0A, 0x0C, 0x0D, 0x5C}
NAME_DELIMITERS: Final = DELIMITERS | {0x3D, 0x5E}
ESCAPE: Final = 0x1B

HEADS: Final = {True: Struct("<HHI"), False: Struct(">HHI")}
SHORT_HEADS: Final = {True: Struct("<HH2sH"), False: Struct(">HH2sH")}
LONG_LENGTHS: Final = {True: Struct("<I"), False: Struct(">I")}


class Header(NamedTuple):
    """What a file says before its bulk data.

    Args:
        instance: what it is, and where its data set lies.
        fields: the values of the elements that were kept, by tag in eight hexadecimal digits.
    """

    instance: Instance
    fields: Fields


def read_header(path: Path) -> Header:
    """Reads the header of a DICOM file.

    Raises:
        InvalidInstance: it is none, or damaged before its bulk data.
        OSError: it cannot be read.
    """
    instance = Instance.open(path)
    syntax = instance.transfer_syntax
    if syntax == DeflatedExplicitVRLittleEndian:
        plain = encode(instance.dataset(), ImplicitVRLittleEndian)
        return Header(instance, Walker(-1, 0, len(plain), plain).read(implicit=True, little=True))
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        walker = Walker(descriptor, instance.offset, instance.offset + instance.length)
        return Header(instance, walker.read(syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian))
    finally:
        os.close(descriptor)


class Walker:
    """Goes through the elements of a data set that lies in a file, a window of it in memory.

    Args:
        descriptor: of the file, -1 where all of it is in `data`.
        start: where the data set begins.
        end: where it ends.
        data: what is in memory already.
    """

    __slots__ = ("base", "data", "descriptor", "encodings", "end", "kept", "little", "start", "steps")

    def __init__(self, descriptor: int, start: int, end: int, data: bytes = b"") -> None:
        self.descriptor = descriptor
        self.start = start
        self.end = end
        self.data = data
        self.base = start
        self.little = True
        self.encodings: Sequence[str] = ["ascii"]
        self.steps = 0
        self.kept = 0

    def read(self, implicit: bool, little: bool) -> Fields:
        """The fields of the data set."""
        self.little = little
        if self.end - self.start >= 6:
            # What announces itself as explicit may be implicit, and the other way round.
            at = self.at(self.start, 6)
            implicit = not self.data[at + 4 : at + 6].isalpha()
        found: Fields = {}
        try:
            self.fill(found, self.start, self.end, implicit, MOST_DEPTH)
        except InvalidInstance:
            # An odd private element need not keep an object out that says where it belongs.
            if not found.keys() >= {STUDY_INSTANCE_UID, SERIES_INSTANCE_UID}:
                raise
        return found

    def at(self, position: int, count: int) -> int:
        """Where in the window the `count` bytes at a position of the file are."""
        index = position - self.base
        if 0 <= index and index + count <= len(self.data):
            return index
        if position + count > self.end:
            raise InvalidInstance(f"the data set is cut off at byte {position - self.start}")
        if self.descriptor >= 0:
            self.data = os.pread(self.descriptor, min(max(count, WINDOW), self.end - position), position)
            self.base = position
        if len(self.data) < position - self.base + count:
            raise InvalidInstance("the file has become shorter")
        return position - self.base

    def step(self) -> None:
        """Counts what is read, so that a data set of nothing but heads does not take for ever."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise InvalidInstance(TOO_MANY)

    # structure

    def head(self, position: int, end: int, implicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR (empty where there is none), length and start of the value of the element at a position."""
        self.step()
        if position + 8 > end:
            raise InvalidInstance(f"an element is cut off at byte {position - self.start}")
        at = self.at(position, 8)
        group, number, vr, length = SHORT_HEADS[self.little].unpack_from(self.data, at)
        tag = group << 16 | number
        if implicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
            return tag, b"", HEADS[self.little].unpack_from(self.data, at)[2], position + 8
        if vr not in LONG_VRS:
            return tag, vr, length, position + 8
        if position + 12 > end:
            raise InvalidInstance(f"an element is cut off at byte {position - self.start}")
        at = self.at(position, 12)
        return tag, vr, LONG_LENGTHS[self.little].unpack_from(self.data, at + 8)[0], position + 12

    def elements(self, position: int, end: int, implicit: bool) -> Iterator[Element]:
        """The elements of a data set or an item that are standard and short, up to the last that may be wanted."""
        unpack = SHORT_HEADS[self.little].unpack_from
        while position < end:
            # Most elements have a short length and lie in the window as a whole.
            index = position - self.base
            if not implicit and 0 <= index and index + 8 <= len(self.data) and position + 8 <= end:
                group, number, vr, length = unpack(self.data, index)
                if vr in SHORT_VRS and position + 8 + length <= end and group <= LAST_GROUP:
                    start, position = position + 8, position + 8 + length
                    if number and not group & 1 and length <= MOST_VALUE:
                        yield group << 16 | number, SHORT_VRS[vr], start, position, False, False
                    self.steps += 1
                    if self.steps > MOST_STEPS:
                        raise InvalidInstance(TOO_MANY)
                    continue
            if self.is_padding(position, end):
                return
            tag, vr, length, start = self.head(position, end, implicit)
            if tag > LAST:
                return
            undefined, unknown = length == UNDEFINED, vr == b"UN"
            if undefined:
                with self.as_unknown(unknown):
                    position = self.skip(start, end, implicit or unknown, in_item=False)
            else:
                position = start + length
            if position > end:
                raise InvalidInstance(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is longer than what it is in")
            if tag & 0xFFFF and not tag & 0x10000 and position - start <= MOST_VALUE:
                known = known_vr(tag) if unknown or not vr else vr.decode("ascii")
                yield tag, known, start, position, undefined, unknown

    @contextmanager
    def as_unknown(self, unknown: bool) -> Iterator[None]:
        """Reads what is in an element of VR UN.

        PS3.5 6.2.2: "encoded in Little Endian byte ordering with Implicit VR encoding, irrespective of the current
        Transfer Syntax".
        """
        little, self.little = self.little, self.little or unknown
        try:
            yield
        finally:
            self.little = little

    def is_padding(self, position: int, end: int) -> bool:
        """Whether only a few zeros are left, as some append to a data set."""
        if end - position >= 8:
            return False
        at = self.at(position, end - position)
        return not any(self.data[at : at + end - position])

    def skip(self, position: int, end: int, implicit: bool, *, in_item: bool) -> int:
        """The position behind the delimiter of a sequence, or of an item, of undefined length (PS3.5 7.5)."""
        open_items = [(in_item, implicit)]
        while open_items:
            in_item, implicit = open_items[-1]
            tag, vr, length, position = self.head(position, end, implicit)
            if tag == (ITEM_DELIMITER if in_item else SEQUENCE_DELIMITER):
                open_items.pop()
            elif not in_item and tag != ITEM:
                raise InvalidInstance(f"there is no item at byte {position - 8 - self.start}")
            elif length == UNDEFINED:
                if len(open_items) > 2 * MOST_NESTING:
                    raise InvalidInstance(f"sequences are nested deeper than {MOST_NESTING} levels")
                open_items.append((not in_item, implicit or vr == b"UN"))
            else:
                position += length
        return position

    # values

    def fields(self, start: int, end: int, implicit: bool, depth: int) -> Fields:
        """The fields of an item."""
        found: Fields = {}
        self.fill(found, start, end, implicit, depth)
        return found

    def fill(self, found: Fields, start: int, end: int, implicit: bool, depth: int) -> None:
        """Adds the values that are kept: not too many, not too deep."""
        for tag, vr, first, last, undefined, unknown in self.elements(start, end, implicit):
            if self.kept + last - first > MOST_KEPT:
                continue
            value: Value | None = None
            if unknown:
                # Where it is not what the dictionary says it stays what it was: unknown.
                with self.as_unknown(True), suppress(InvalidInstance):
                    value = self.known(tag, vr, first, last, undefined, True, depth)
            else:
                value = self.known(tag, vr, first, last, undefined, implicit, depth)
            if value is not None:
                self.kept += last - first
                found[f"{tag:08X}"] = vr, value

    def known(
        self, tag: int, vr: str, start: int, end: int, undefined: bool, implicit: bool, depth: int
    ) -> Value | None:
        """A value, or items; `None` for what is not kept."""
        if vr == "SQ":
            return self.items(start, end - 8 if undefined else end, implicit, depth - 1) if depth else None
        return None if undefined else self.value(tag, vr, start, end - start)

    def value(self, tag: int, vr: str, start: int, size: int) -> Value | None:
        """A value as plain text or numbers; `None` where it is bulk data."""
        at = self.at(start, size)
        data = self.data[at : at + size]
        if vr in TEXTS:
            text = data.decode("ascii", "replace")
        elif vr in CODED_TEXTS:
            text = self.decoded(data, NAME_DELIMITERS if vr == "PN" else DELIMITERS)
        else:
            return numbers(data, vr, self.little)
        if "\\" in text:
            text = "\\".join(part.rstrip(" \0") for part in text.split("\\"))
        if tag == SPECIFIC_CHARACTER_SET:
            self.encodings = encodings_of(text)
        return text.rstrip(" \0").replace("\0", "")

    def items(self, position: int, end: int, implicit: bool, depth: int) -> list[Fields]:
        """The items of a sequence."""
        found: list[Fields] = []
        while position < end:
            tag, _, length, position = self.head(position, end, implicit=True)
            if tag != ITEM:
                raise InvalidInstance(f"there is no item at byte {position - 8 - self.start}")
            if length == UNDEFINED:
                stop = self.skip(position, end, implicit, in_item=True)
                found.append(self.fields(position, stop - 8, implicit, depth))
            else:
                stop = position + length
                if stop > end:
                    raise InvalidInstance(f"the item at byte {position - 8 - self.start} is longer than its sequence")
                found.append(self.fields(position, stop, implicit, depth))
            position = stop
        return found

    def decoded(self, data: bytes, delimiters: set[int]) -> str:
        """A text in the character set of the data set (PS3.5 6.1); what makes no sense in it is replaced."""
        if data.isascii() and ESCAPE not in data:
            return data.decode("ascii")
        try:
            return decode_bytes(data, self.encodings, delimiters)
        except Exception:  # whatever pydicom makes of hostile bytes, a warning made an error among it
            return data.decode(self.encodings[0], "replace")


def known_vr(tag: int) -> str:
    """The VR that the data dictionary has for a tag (PS3.6)."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def encodings_of(specific_character_set: str) -> Sequence[str]:
    """Python's names for the values of Specific Character Set (0008,0005)."""
    try:
        return convert_encodings(specific_character_set.split("\\"))
    except Exception:  # an unknown one: pydicom warns or raises
        return ["ascii"]


def numbers(data: bytes, vr: str, little: bool) -> list[int | float] | None:
    """Binary numbers, `None` for what is none."""
    layout = NUMBERS[little].get(vr)
    if layout is None:
        return None
    whole = len(data) - len(data) % layout.size
    found = layout.iter_unpack(data[:whole])
    if vr == "AT":
        return [group << 16 | number for group, number in found]
    return [value for (value,) in found]

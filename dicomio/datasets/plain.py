"""Encoding what identifiers, references and reports consist of, in a twentieth of the time that pydicom takes.

Everything here comes out as pydicom would write it, or not at all.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from struct import Struct
from struct import error as StructError
from types import NoneType
from typing import Any, Final, NamedTuple, TypeAlias

from pydicom.charset import default_encoding, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import IS, DSdecimal, DSfloat, PersonName

from dicomio.datasets.elements import (
    ITEM,
    ITEM_DELIMITER,
    LONG,
    PLAIN_LONG_VRS,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED,
    WORDS,
)
from dicomio.datasets.syntax import Encoding

__all__ = ["encode_plain"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
FIRST_DATA_SET_TAG: Final = 0x00080000
LAST_GROUP_LENGTH_WRITTEN: Final = 0x00060000
PIXEL_DATA: Final = 0x7FE00010

# Deeper than anything that is asked or told; recursion has to end somewhere.
MOST_NESTING: Final = 16
# Heads and lengths that are kept ready for a VR; whoever asks may name any number of private elements.
MOST_KEPT: Final = 4_096

# PS3.5 6.1.2.3: texts in the default repertoire, and those in that of Specific Character Set (0008,0005)
ASCII_VRS: Final = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR")
TEXT_VRS: Final = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
BYTES_VRS: Final = ("OB", "UN")

# Character sets that stand alone and have no shift states, so that a text is encoded in one piece.
STATELESS: Final = (
    *("ISO_IR 6", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127"),
    *("ISO_IR 138", "ISO_IR 144", "ISO_IR 148", "ISO_IR 166", "ISO_IR 192", "GB18030", "GBK"),
)
# The names of these that Python does not have to look up.
QUICK: Final = {"iso8859": "latin-1", "latin_1": "latin-1", "UTF8": "utf-8"}


class Heads(dict[int, bytes]):
    """What comes before the length of an element of one VR, by tag (PS3.5 7.1).

    Args:
        vr: the two letters; empty where the encoding leaves them out.
        little: the byte order.
    """

    def __init__(self, vr: bytes, little: bool) -> None:
        super().__init__()
        self.tag = Struct("<HH" if little else ">HH")
        self.vr = vr if vr in SHORT_VRS or not vr else vr + b"\0\0"

    def __missing__(self, tag: int) -> bytes:
        head = self.tag.pack(tag >> 16, tag & 0xFFFF) + self.vr
        if len(self) < MOST_KEPT:
            self[tag] = head
        return head


class Lengths(dict[int, bytes]):
    """The length of an element, encoded; `struct.error` where there are too few bytes for it.

    Args:
        number: how it is encoded.
    """

    def __init__(self, number: Struct) -> None:
        super().__init__()
        self.number = number

    def __missing__(self, length: int) -> bytes:
        encoded = self.number.pack(length)
        if length < MOST_KEPT:
            self[length] = encoded
        return encoded


class Charset(NamedTuple):
    """How texts are encoded where a Specific Character Set (0008,0005) applies.

    Args:
        name: what pydicom calls the encoding.
        codec: a name of it that Python does not have to look up, where there is one.
    """

    name: str
    codec: str


def charset_named(name: str) -> Charset:
    """The character set that pydicom calls so."""
    return Charset(name, QUICK.get(name, name))


DEFAULT: Final = charset_named(default_encoding)
CHARSETS: Final[Mapping[str | None, Charset]] = {
    "": DEFAULT,
    None: DEFAULT,
    **{term: charset_named(python_encoding[term]) for term in STATELESS},
}

# Codec, padding, heads and lengths of a VR
TextWriter: TypeAlias = tuple[str, bytes, Heads, Lengths]


FIRST: Final = itemgetter(0)


class Unusual(Exception):
    """There is something in the data set that is left to pydicom."""


def encode_plain(ds: Dataset, encoding: Encoding) -> bytes | None:
    """Encodes a data set of texts in a character set of one part, numbers, short byte strings, and sequences of these.

    Args:
        ds: the data set; group 0002 is left out.
        encoding: how to encode it; deflating is left to the caller.

    Returns:
        What pydicom would write, or `None` when there is anything else in the data set.
    """
    encoder = ENCODERS[encoding.implicit, encoding.little]
    try:
        return b"".join(encoder.data_set(ds, DEFAULT, MOST_NESTING, FIRST_DATA_SET_TAG))
    except (Unusual, UnicodeEncodeError, StructError):
        return None


def text_of(value: Any) -> str:
    """A number as the text that stands for it (IS, DS), or a text."""
    kind = type(value)
    if kind is str or kind is UID:
        return str(value)
    if kind is IS or kind is DSfloat or kind is DSdecimal:
        # As it was given, if it was given as a text: +07 stays +07.
        return str(value.original_string if hasattr(value, "original_string") else value)
    raise Unusual


def encode_name(value: Any, charset: Charset) -> bytes:
    """A person's name; one that was decoded from bytes keeps them."""
    if type(value) is not PersonName:
        return text_of(value).encode(charset.codec)
    if value.original_string:
        return value.encode([charset.name])
    return "=".join(value.components).encode(charset.codec)


def encode_text(value: Any, vr: str, charset: Charset) -> bytes:
    """A text that is not simply a `str`, or several; not padded."""
    if type(value) is MultiValue:
        return b"\\".join([encode_text(each, vr, charset) for each in value])
    if vr == "PN":
        return encode_name(value, charset)
    return text_of(value).encode(charset.codec if vr in TEXT_VRS else "latin-1")


def charset_of(element: Any, parts: list[bytes]) -> Charset:
    """The character set that an element says, which has to come before all texts."""
    value = element.value
    if isinstance(value, bytes):
        value = value.decode("latin-1").rstrip(" ")
    if parts or type(value) not in (str, NoneType) or value not in CHARSETS:
        raise Unusual
    return CHARSETS[value]


class Encoder:
    """Encodes data sets in one encoding.

    Args:
        implicit: VRs are left out.
        little: the byte order.
    """

    def __init__(self, implicit: bool, little: bool) -> None:
        self.implicit = implicit
        self.little = little
        order = "<" if little else ">"
        self.words = WORDS[little]
        vrs = {each.decode() for each in SHORT_VRS | PLAIN_LONG_VRS} | {"SQ", "UN"}
        self.heads = {vr: Heads(b"" if implicit else vr.encode(), little) for vr in vrs}
        # Four bytes of length in Implicit VR and for the VRs that may be long, two for the others (PS3.5 7.1.2, 7.1.3)
        long = Lengths(LONG[little])
        short = long if implicit else Lengths(Struct(order + "H"))
        self.lengths = {vr: short if vr.encode() in SHORT_VRS else long for vr in vrs}
        self.texts = {charset: self.text_writers(charset) for charset in CHARSETS.values()}
        self.numbers = {vr: Struct(order + code) for vr, code in NUMBERS.items()}
        self.encoders: Mapping[str, Callable[[Any, str], bytes]] = {
            **dict.fromkeys(NUMBERS, self.number),
            **dict.fromkeys(BYTES_VRS, self.octets),
            "AT": self.tags,
        }

    def text_writers(self, charset: Charset) -> Mapping[str, TextWriter]:
        """What it takes to write a text, by VR."""
        codecs = dict.fromkeys(ASCII_VRS, "latin-1") | dict.fromkeys(TEXT_VRS, charset.codec)
        paddings = dict.fromkeys(codecs, b" ") | {"UI": b"\0"}
        return {vr: (codec, paddings[vr], self.heads[vr], self.lengths[vr]) for vr, codec in codecs.items()}

    def data_set(self, ds: Dataset, charset: Charset, nesting: int, first: int = 0) -> list[bytes]:
        """The elements of a data set or an item from tag `first` on, in pieces.

        An item has the character set of what it is in unless it names its own.

        Raises:
            Unusual: there is something in it that is left to pydicom.
            UnicodeEncodeError: there is a character that the character set does not have.
            struct.error: a number or a length does not fit.
        """
        elements: list[tuple[int, Any]] = [(int(element.tag), element) for element in ds.values()]
        elements.sort(key=FIRST)
        parts: list[bytes] = []
        texts = self.texts[charset]
        same = False
        for tag, element in elements:
            if tag < first or (not tag & 0xFFFF and tag > LAST_GROUP_LENGTH_WRITTEN):
                continue
            if tag == SPECIFIC_CHARACTER_SET:
                charset = charset_of(element, parts)
                texts = self.texts[charset]
            if type(element) is RawDataElement:
                same = same or self.check_same(ds, charset)
                parts += self.raw(tag, element)
                continue
            vr = element.VR
            writer = texts.get(vr)
            if writer is None:
                parts += self.other(tag, element, charset, nesting)
                continue
            codec, padding, heads, lengths = writer
            value = element.value
            kind = type(value)
            if kind is str or kind is UID:
                value = value.encode(codec)
            else:
                value = b"" if value is None else encode_text(value, vr, charset)
            if len(value) & 1:
                value += padding
            parts += heads[tag], lengths[len(value)], value
        return parts

    def check_same(self, ds: Dataset, charset: Charset) -> bool:
        """Looks whether a data set was decoded from the encoding it is written in, before its first raw element.

        Its Specific Character Set (0008,0005) comes before all that depends on it.

        Raises:
            Unusual: it was not.
        """
        if ds.original_encoding != (self.implicit, self.little):
            raise Unusual
        if ds.original_character_set not in ([charset.name], charset.name):
            raise Unusual
        return True

    def raw(self, tag: int, element: RawDataElement) -> tuple[bytes, ...]:
        """An element that nobody has looked at since it was decoded, from the same encoding."""
        _, vr, length, value, *_ = element
        value, vr = value or b"", vr or "UN"
        # A value that is still in its file has a length.
        if tag == PIXEL_DATA or vr not in self.heads or length != len(value):
            raise Unusual
        return self.heads[vr][tag], self.lengths[vr][length], value

    def other(self, tag: int, element: DataElement, charset: Charset, nesting: int) -> Iterable[bytes]:
        """An element that is no text."""
        vr = element.VR
        if vr == "SQ":
            return self.sequence(tag, element, charset, nesting)
        encode = self.encoders.get(vr)
        if encode is None or tag == PIXEL_DATA or element.is_undefined_length:
            raise Unusual
        value = element.value
        encoded = b"" if value is None or value == "" else encode(value, vr)
        return self.heads[vr][tag], self.lengths[vr][len(encoded)], encoded

    def sequence(self, tag: int, element: DataElement, charset: Charset, nesting: int) -> list[bytes]:
        """A sequence; what was read with undefined lengths is written with them (PS3.5 7.5)."""
        if not nesting:
            raise Unusual
        parts: list[bytes] = []
        for item in element.value or ():
            content = self.data_set(item, charset, nesting - 1)
            if getattr(item, "is_undefined_length_sequence_item", False):
                parts += self.mark(ITEM, UNDEFINED), *content, self.mark(ITEM_DELIMITER, 0)
            else:
                parts += self.mark(ITEM, sum(map(len, content))), *content
        head, lengths = self.heads["SQ"][tag], self.lengths["SQ"]
        if element.is_undefined_length:
            return [head, lengths[UNDEFINED], *parts, self.mark(SEQUENCE_DELIMITER, 0)]
        return [head, lengths[sum(map(len, parts))], *parts]

    def mark(self, tag: int, length: int) -> bytes:
        """The head of an item, or a delimiter."""
        return self.words.pack(tag >> 16, tag & 0xFFFF, length)

    def number(self, value: Any, vr: str) -> bytes:
        """A number, or several."""
        kind = type(value)
        if kind is int or kind is float:
            return self.numbers[vr].pack(value)
        # The first and the last number of a LUT Descriptor are unsigned, whatever its VR (PS3.3 C.11.1.1.1).
        if kind is not MultiValue or vr == "SS" or not all(type(each) in (int, float) for each in value):
            raise Unusual
        pack = self.numbers[vr].pack
        return b"".join([pack(each) for each in value])

    def tags(self, value: Any, vr: str) -> bytes:
        """A tag, or several."""
        values = value if type(value) is MultiValue else [value]
        if not all(type(each) is BaseTag for each in values):
            raise Unusual
        pack = self.heads["AT"].tag.pack
        return b"".join([pack(int(each) >> 16, int(each) & 0xFFFF) for each in values])

    def octets(self, value: Any, vr: str) -> bytes:
        """Bytes whose order nobody changes (PS3.5 7.3); only OB is padded."""
        if type(value) is not bytes:
            raise Unusual
        return value + b"\0" if len(value) & 1 and vr == "OB" else value


ENCODERS: Final = {
    (implicit, little): Encoder(implicit, little) for implicit in (False, True) for little in (False, True)
}

"""Command sets: the first half of every DIMSE message (PS3.7 6.3, 9.3, 10.3 and Annex E).

A command set is a run of elements of group 0000 in Implicit VR Little Endian, in ascending order, begun by its own
length. `ELEMENTS` says what each element is, `MESSAGE_TABLE` which of them each of the 23 messages is made of; both
directions run from these two tables. What is sent follows them strictly. What is received may stray from them as long
as it can be understood, and each oddity is noted in `Command.quirks`.
"""

import dataclasses
import re
import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from dicomio.errors import LocalProtocolError, RemoteProtocolError
from dicomio.wire.shapes import REGULAR_UID, Place, Shape, Shapes

__all__ = ["ELEMENTS", "MESSAGES", "RESPONSE_BIT", "Command", "CommandField", "Element", "Message", "decode", "encode"]

RESPONSE_BIT = 0x8000  # PS3.7 E.1: a response has the Command Field of its request with this bit set
NO_DATA_SET = 0x0101  # PS3.7 E.1: any other value indicates a Data Set is included in the Message
DATA_SET_FOLLOWS = 0x0001
UNDEFINED_LENGTH = 0xFFFFFFFF
MAX_QUIRKS = 32
MAX_AE_TITLE = 16
MAX_ERROR_COMMENT = 64

GROUP_LENGTH = 0x0000
DATA_SET_TYPE = 0x0800
# PS3.7 6.3.1 and E.1: these two are part of every message.
IN_EVERY_MESSAGE = (0x0100, DATA_SET_TYPE)


class CommandField(IntEnum):
    """Command Field (0000,0100): which of the 23 messages this is (PS3.7 E.1)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150
    C_CANCEL_RQ = 0x0FFF


class Element(NamedTuple):
    """One command element: its attribute of `Command`, value representation and name."""

    attribute: str
    vr: str
    name: str


# PS3.7 Table E.1-1, by element number; the group is 0000 throughout.
ELEMENTS: Mapping[int, Element] = {
    0x0000: Element("group_length", "UL", "Command Group Length"),  # computed, hence no attribute of Command
    0x0002: Element("affected_sop_class_uid", "UI", "Affected SOP Class UID"),
    0x0003: Element("requested_sop_class_uid", "UI", "Requested SOP Class UID"),
    0x0100: Element("field", "US", "Command Field"),
    0x0110: Element("message_id", "US", "Message ID"),
    0x0120: Element("responding_to", "US", "Message ID Being Responded To"),
    0x0600: Element("move_destination", "AE", "Move Destination"),
    0x0700: Element("priority", "US", "Priority"),
    0x0800: Element("has_data_set", "US", "Command Data Set Type"),
    0x0900: Element("status", "US", "Status"),
    0x0901: Element("offending_elements", "AT", "Offending Element"),
    0x0902: Element("error_comment", "LO", "Error Comment"),
    0x0903: Element("error_id", "US", "Error ID"),
    0x1000: Element("affected_sop_instance_uid", "UI", "Affected SOP Instance UID"),
    0x1001: Element("requested_sop_instance_uid", "UI", "Requested SOP Instance UID"),
    0x1002: Element("event_type_id", "US", "Event Type ID"),
    0x1005: Element("attribute_identifiers", "AT", "Attribute Identifier List"),
    0x1008: Element("action_type_id", "US", "Action Type ID"),
    0x1020: Element("remaining", "US", "Number of Remaining Sub-operations"),
    0x1021: Element("completed", "US", "Number of Completed Sub-operations"),
    0x1022: Element("failed", "US", "Number of Failed Sub-operations"),
    0x1023: Element("warning", "US", "Number of Warning Sub-operations"),
    0x1030: Element("move_originator", "AE", "Move Originator Application Entity Title"),
    0x1031: Element("move_originator_message_id", "US", "Move Originator Message ID"),
}

# PS3.7 9.1, 9.3, 10.1 and 10.3. "Data set" is M mandatory, U user's option or conditional, - never. Elements are named
# by their numbers in group 0000; (0000,0100) and (0000,0800) are in every message. The optional ones include what
# Annex C attaches to a status: 0901 and 0902 for DIMSE-C, 0902 and 0903 for DIMSE-N, 1005 to name attributes at fault.
MESSAGE_TABLE = """
    message             data set  mandatory            optional or conditional

    C-STORE-RQ          M         0002 0110 0700 1000  1030 1031
    C-STORE-RSP         -         0120 0900            0002 0901 0902 0903 1000
    C-FIND-RQ           M         0002 0110 0700       .
    C-FIND-RSP          U         0120 0900            0002 0901 0902 0903
    C-GET-RQ            M         0002 0110 0700       .
    C-GET-RSP           U         0120 0900            0002 0901 0902 0903 1020 1021 1022 1023
    C-MOVE-RQ           M         0002 0110 0600 0700  .
    C-MOVE-RSP          U         0120 0900            0002 0901 0902 0903 1020 1021 1022 1023
    C-ECHO-RQ           -         0002 0110            .
    C-ECHO-RSP          -         0120 0900            0002 0901 0902 0903
    C-CANCEL-RQ         -         0120                 .

    N-EVENT-REPORT-RQ   U         0002 0110 1000 1002  .
    N-EVENT-REPORT-RSP  U         0120 0900            0002 0901 0902 0903 1000 1002
    N-GET-RQ            -         0003 0110 1001       1005
    N-GET-RSP           U         0120 0900            0002 0901 0902 0903 1000 1005
    N-SET-RQ            M         0003 0110 1001       .
    N-SET-RSP           U         0120 0900            0002 0901 0902 0903 1000 1005
    N-ACTION-RQ         U         0003 0110 1001 1008  .
    N-ACTION-RSP        U         0120 0900            0002 0901 0902 0903 1000 1005 1008
    N-CREATE-RQ         U         0002 0110            1000
    N-CREATE-RSP        U         0120 0900            0002 0901 0902 0903 1000 1005
    N-DELETE-RQ         -         0003 0110 1001       .
    N-DELETE-RSP        -         0120 0900            0002 0901 0902 0903 1000
"""


@dataclasses.dataclass(slots=True)
class Command:
    """A command set, whichever of the 23 messages it belongs to (PS3.7 9.3, 10.3).

    `None` (for the lists: empty) stands for an element that is absent; an element without a value counts as absent.

    Args:
        field: Command Field, a `CommandField` or an unknown 16-bit value.
        message_id: Message ID of a request.
        responding_to: Message ID Being Responded To, in responses and C-CANCEL-RQ.
        affected_sop_class_uid: Affected SOP Class UID.
        requested_sop_class_uid: Requested SOP Class UID.
        affected_sop_instance_uid: Affected SOP Instance UID.
        requested_sop_instance_uid: Requested SOP Instance UID.
        priority: 0 medium, 1 high, 2 low.
        status: Status of a response.
        has_data_set: whether a data set follows, by Command Data Set Type.
        move_destination: AE title that a C-MOVE-RQ sends to.
        move_originator: AE title that sent the C-MOVE-RQ behind this C-STORE-RQ.
        move_originator_message_id: the Message ID of that C-MOVE-RQ.
        remaining: sub-operations yet to do.
        completed: sub-operations done without failure or warning.
        failed: sub-operations that failed.
        warning: sub-operations that ended with a warning.
        event_type_id: Event Type ID.
        action_type_id: Action Type ID.
        attribute_identifiers: Attribute Identifier List, tags as 32-bit integers.
        offending_elements: Offending Element, tags as 32-bit integers.
        error_comment: Error Comment; what does not fit its 64 characters is cut off when sent.
        error_id: Error ID.
        unknown: elements that `ELEMENTS` does not know, raw values by tag; sent back as they came.
        quirks: oddities tolerated while decoding, one short sentence each.
    """

    field: int
    message_id: int | None = None
    responding_to: int | None = None
    affected_sop_class_uid: str | None = None
    requested_sop_class_uid: str | None = None
    affected_sop_instance_uid: str | None = None
    requested_sop_instance_uid: str | None = None
    priority: int | None = None
    status: int | None = None
    has_data_set: bool = False
    move_destination: str | None = None
    move_originator: str | None = None
    move_originator_message_id: int | None = None
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    event_type_id: int | None = None
    action_type_id: int | None = None
    attribute_identifiers: tuple[int, ...] = ()
    offending_elements: tuple[int, ...] = ()
    error_comment: str | None = None
    error_id: int | None = None
    unknown: dict[int, bytes] = dataclasses.field(default_factory=dict)
    quirks: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    @property
    def is_response(self) -> bool:
        """Whether this answers a request: the high bit of the Command Field (PS3.7 E.1)."""
        return self.field & RESPONSE_BIT != 0

    @property
    def is_request(self) -> bool:
        """Whether this is a request, C-CANCEL-RQ included."""
        return self.field & RESPONSE_BIT == 0

    @property
    def name(self) -> str:
        """The name of the message as the standard writes it, `C-STORE-RQ`."""
        known = COMMAND_FIELDS.get(self.field)
        return MESSAGES[known].name if known is not None else f"command 0x{self.field:04X}"


class Message(NamedTuple):
    """Which elements one message is made of, by their numbers in group 0000 (PS3.7 9.3, 10.3).

    Attributes:
        name: as the standard writes it, `C-STORE-RQ`.
        data_set: `M` mandatory, `U` user's option or conditional, `-` never.
        mandatory: elements without which it is not complete.
        optional: elements that it may have besides.
    """

    name: str
    data_set: str
    mandatory: tuple[int, ...]
    optional: tuple[int, ...]


def parse_message_table(text: str) -> dict[CommandField, Message]:
    """Reads `MESSAGE_TABLE`: columns are two or more spaces apart, the first line is their heading."""
    messages = {}
    for line in text.split("\n")[2:]:
        if line.strip():
            name, data_set, mandatory, optional = re.split(r"\s{2,}", line.strip())
            messages[CommandField[name.replace("-", "_")]] = Message(
                name,
                data_set,
                tuple(sorted((*IN_EVERY_MESSAGE, *(int(number, 16) for number in mandatory.split())))),
                tuple(int(number, 16) for number in optional.strip(".").split()),
            )
    return messages


COMMAND_FIELDS: Mapping[int, CommandField] = {int(member): member for member in CommandField}
MESSAGES: Mapping[CommandField, Message] = parse_message_table(MESSAGE_TABLE)

# A request that we do not know is answered with status 0211, Unrecognized operation (PS3.7 Annex C).
UNRECOGNIZED = Message("response", "-", (0x0100, 0x0120, 0x0800, 0x0900), (0x0002, 0x0901, 0x0902, 0x0903, 0x1000))


def label(tag: int) -> str:
    """An element in the words of an error or a quirk."""
    element = ELEMENTS.get(tag)
    return f"{element.name if element else 'unknown element'} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


# Encoding: one function for each VR, from the number of an element and its value to the whole element.

ELEMENT_HEADER = struct.Struct("<2xHI")  # group 0000, element, length
SHORT_ELEMENT = struct.Struct("<2xHIH")
LONG_ELEMENT = struct.Struct("<2xHII")
SENDABLE_UID = re.compile(r"[!-\[\]-~]{1,64}")
# An LO has neither control characters nor a backslash (PS3.5 6.2), but the text of an exception may.
COMMENT_CHARACTERS = bytes.maketrans(bytes([*range(32), 127]) + b"\\", b" " * 33 + b"/")


def encode_us(number: int, value: int) -> bytes:
    return SHORT_ELEMENT.pack(number, 2, value)


def encode_data_set_type(number: int, value: bool) -> bytes:
    return SHORT_ELEMENT.pack(number, 2, DATA_SET_FOLLOWS if value else NO_DATA_SET)


def encode_uid(number: int, value: str) -> bytes:
    """Asks for what any peer can take; letters are let through, for instances that have them must be sendable too."""
    if SENDABLE_UID.fullmatch(value) is None:
        raise ValueError("a UID has 1 to 64 characters, none of them a space or a backslash")
    return encode_echoed_uid(number, value)


def encode_echoed_uid(number: int, value: str) -> bytes:
    """A response repeats the UIDs of its request (`U(=)` in PS3.7 9.1 and 10.1), however odd they are."""
    if not value:
        raise ValueError("a UID has at least one character")
    raw = value.encode("latin-1")
    if len(raw) & 1:
        raw += b"\0"
    return ELEMENT_HEADER.pack(number, len(raw)) + raw


def encode_ae(number: int, value: str) -> bytes:
    """Lets Latin-1 through: a Move Originator repeats the AE title of a peer as it came."""
    title = value.strip(" ")
    if not 0 < len(title) <= MAX_AE_TITLE or not title.isprintable() or "\\" in title:
        raise ValueError("an AE title has 1 to 16 characters, none of them a control character or a backslash")
    raw = title.encode("latin-1")
    if len(raw) & 1:
        raw += b" "
    return ELEMENT_HEADER.pack(number, len(raw)) + raw


def encode_lo(number: int, value: str) -> bytes:
    """Makes any text fit: the Default Character Repertoire, 64 characters, nothing when none is left."""
    raw = value.encode("ascii", "replace").translate(COMMENT_CHARACTERS).strip()[:MAX_ERROR_COMMENT].rstrip()
    if not raw:
        return b""
    if len(raw) & 1:
        raw += b" "
    return ELEMENT_HEADER.pack(number, len(raw)) + raw


def encode_at(number: int, value: tuple[int, ...]) -> bytes:
    """A tag is its group, then its element (PS3.5 6.2), so not a 32-bit integer in Little Endian."""
    if not value:
        return b""
    halves = [half for tag in value for half in (tag >> 16, tag & 0xFFFF)]
    return ELEMENT_HEADER.pack(number, 4 * len(value)) + struct.pack(f"<{len(halves)}H", *halves)


def encode_unknown(tag: int, raw: bytes) -> bytes:
    if not 0 <= tag <= 0xFFFF or tag in ELEMENTS or len(raw) & 1:
        raise LocalProtocolError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) cannot be sent as an unknown element")
    return ELEMENT_HEADER.pack(tag, len(raw)) + raw


ENCODERS: Mapping[str, Callable[[int, Any], bytes]] = {
    "US": encode_us,
    "UI": encode_uid,
    "AE": encode_ae,
    "LO": encode_lo,
    "AT": encode_at,
}


# Elements that mostly have one of few values: SOP classes, Command Field, Priority, Status.
OF_FEW_VALUES = (0x0002, 0x0003, 0x0100, 0x0700, 0x0900)


class Layout:
    """A `Message` prepared for speed: what to read from a `Command`, and how to encode each of it."""

    __slots__ = ("allowed", "foreign", "foreign_defaults", "message", "read", "read_foreign", "required", "steps")

    def __init__(self, message: Message, response: bool) -> None:
        numbers = sorted((*message.mandatory, *message.optional))
        others = [number for number in ELEMENTS if number not in (GROUP_LENGTH, *numbers)]
        self.message = message
        self.required = frozenset(ELEMENTS[number].attribute for number in message.mandatory)
        self.allowed = frozenset(ELEMENTS[number].attribute for number in numbers)
        self.read = attrgetter(*(ELEMENTS[number].attribute for number in numbers))
        self.steps = tuple((number, self.encoder(number, response), number in message.mandatory) for number in numbers)
        self.foreign = others
        self.read_foreign = attrgetter(*(ELEMENTS[number].attribute for number in others))
        self.foreign_defaults = tuple(() if ELEMENTS[number].vr == "AT" else None for number in others)

    @staticmethod
    def encoder(number: int, response: bool) -> Callable[[int, Any], bytes]:
        if number == DATA_SET_TYPE:
            return lru_cache(2, typed=True)(encode_data_set_type)
        vr = ELEMENTS[number].vr
        encoder = encode_echoed_uid if vr == "UI" and response else ENCODERS[vr]
        return lru_cache(64, typed=True)(encoder) if number in OF_FEW_VALUES else encoder


LAYOUTS: Mapping[int, Layout] = {
    number: Layout(message, bool(number & RESPONSE_BIT)) for number, message in MESSAGES.items()
}
UNRECOGNIZED_LAYOUT = Layout(UNRECOGNIZED, response=True)


def encode(command: Command) -> bytes:
    """Encodes a command set in Implicit VR Little Endian (PS3.7 6.3.1).

    Args:
        command: the message to send; one with an unknown Command Field only as a response.

    Returns:
        The whole command set, with its group length.

    Raises:
        LocalProtocolError: a mandatory element is missing, one does not belong in this message, or a value does not
            fit its element.
    """
    layout = LAYOUTS.get(command.field)
    if layout is None:
        layout = layout_of_unknown(command)
    if layout.read_foreign(command) != layout.foreign_defaults:
        raise foreign_element(command, layout)
    data_set = layout.message.data_set
    if data_set != "U" and command.has_data_set is not (data_set == "M"):
        raise LocalProtocolError(f"{command.name} {'needs' if data_set == 'M' else 'cannot have'} a data set")
    parts = encode_elements(command, layout)
    if command.unknown:
        parts += [encode_unknown(tag, raw) for tag, raw in command.unknown.items()]
        parts.sort(key=element_number)
    body = b"".join(parts)
    return LONG_ELEMENT.pack(GROUP_LENGTH, 4, len(body)) + body


def encode_elements(command: Command, layout: Layout) -> list[bytes]:
    """Encodes what the message is made of, in ascending order."""
    parts = []
    for value, (number, encoder, mandatory) in zip(layout.read(command), layout.steps, strict=True):
        if value is not None:
            try:
                parts.append(encoder(number, value))
            except (TypeError, ValueError, struct.error) as error:
                raise LocalProtocolError(f"{command.name}: {value!r} does not fit {label(number)}: {error}") from error
        elif mandatory:
            raise LocalProtocolError(f"{command.name} needs {label(number)}")
    return parts


def element_number(part: bytes) -> int:
    return int.from_bytes(part[2:4], "little")


def layout_of_unknown(command: Command) -> Layout:
    if not command.is_response:
        raise LocalProtocolError(f"{command.name} is none of the requests of PS3.7")
    return UNRECOGNIZED_LAYOUT


def foreign_element(command: Command, layout: Layout) -> LocalProtocolError:
    """The error for values that the message has no elements for."""
    found = zip(layout.foreign, layout.read_foreign(command), layout.foreign_defaults, strict=True)
    names = ", ".join(label(number) for number, value, default in found if value != default)
    return LocalProtocolError(f"{command.name} has no {names}")


# Decoding: one function for each VR, from a raw value to what `Command` holds, or to None when there is nothing.
# What is odd about the value goes to the list of quirks.

HEADER = struct.Struct("<II")  # tag and length: PS3.7 6.3.1, PS3.5 7.1.3
SHORT = struct.Struct("<H")


def decode_us(raw: bytes, tag: int, quirks: list[str]) -> int | None:
    return int.from_bytes(raw, "little") if len(raw) == 2 else decode_odd_number(raw, 2, tag, quirks)


def decode_ul(raw: bytes, tag: int, quirks: list[str]) -> int | None:
    return int.from_bytes(raw, "little") if len(raw) == 4 else decode_odd_number(raw, 4, tag, quirks)


def decode_odd_number(raw: bytes, size: int, tag: int, quirks: list[str]) -> int | None:
    """Takes the first of several values; none when there is less than one."""
    if raw:
        quirks.append(f"{label(tag)} has {len(raw)} bytes instead of {size}")
    return int.from_bytes(raw[:size], "little") if len(raw) >= size else None


def decode_data_set_type(raw: bytes, tag: int, quirks: list[str]) -> bool | None:
    value = decode_us(raw, tag, quirks)
    return None if value is None else value != NO_DATA_SET


def decode_uid(raw: bytes, tag: int, quirks: list[str]) -> str | None:
    regular = REGULAR_UID.fullmatch(raw)
    return regular[1].decode("ascii") if regular is not None else decode_odd_uid(raw, tag, quirks)


def decode_odd_uid(raw: bytes, tag: int, quirks: list[str]) -> str | None:
    """Takes the first of several values, without whatever pads it."""
    if raw:
        quirks.append(f"{label(tag)} is not a well-formed UID")
    return raw.partition(b"\\")[0].rstrip(b"\0 ").decode("latin-1") or None


def decode_ae(raw: bytes, tag: int, quirks: list[str]) -> str | None:
    title = raw.decode("latin-1").strip(" ")
    if len(title) > MAX_AE_TITLE or not title.isprintable():
        quirks.append(f"{label(tag)} is not a well-formed AE title")
        title = title.strip("\0 ")
    return title or None


def decode_lo(raw: bytes, tag: int, quirks: list[str]) -> str | None:
    if len(raw) > MAX_ERROR_COMMENT or not raw.isascii():
        quirks.append(f"{label(tag)} is longer than 64 characters or not in the default repertoire")
    return raw.decode("utf-8", "replace").strip("\0 ") or None


def decode_at(raw: bytes, tag: int, quirks: list[str]) -> tuple[int, ...] | None:
    if len(raw) % 4:
        quirks.append(f"{label(tag)} has {len(raw)} bytes, which is no multiple of 4")
    halves = struct.unpack_from(f"<{len(raw) // 4 * 2}H", raw)
    return tuple(group << 16 | element for group, element in zip(halves[::2], halves[1::2], strict=True)) or None


VR_DECODERS: Mapping[str, Callable[[bytes, int, list[str]], Any]] = {
    "US": decode_us,
    "UL": decode_ul,
    "UI": decode_uid,
    "AE": decode_ae,
    "LO": decode_lo,
    "AT": decode_at,
}
# A tag is its group, then its element (PS3.5 7.1.1): read as one number, group 0000 leaves it in the high half.
DECODERS: Mapping[int, tuple[int, str, Callable[[bytes, int, list[str]], Any]]] = {
    number << 16: (
        number,
        element.attribute,
        decode_data_set_type if number == DATA_SET_TYPE else VR_DECODERS[element.vr],
    )
    for number, element in ELEMENTS.items()
}


def decode(data: bytes | bytearray | memoryview) -> Command:
    """Decodes a command set, tolerating what can be understood (PS3.7 6.3.1).

    Of an element that comes twice the last value counts, of several values in one element the first. A message that
    lacks its Command Data Set Type is taken to have a data set if it must have one.

    Args:
        data: the whole command set.

    Returns:
        The command, with what was odd about it in `quirks`.

    Raises:
        RemoteProtocolError: this is not a command set, or not a whole one, or it has no Command Field.
    """
    content = bytes(data)
    found = SHAPES.read(content)
    if found is not None:
        found.append({})
        return Command(*found)
    command = decode_slowly(content)
    if not command.quirks and not command.unknown:
        remember(content, command)
    return command


SHAPES = Shapes()
INDICES: Mapping[str, int] = {field.name: at for at, field in enumerate(dataclasses.fields(Command))}
WITH_OTHER_VRS = attrgetter(
    "move_destination", "move_originator", "attribute_identifiers", "offending_elements", "error_comment"
)
DEFAULTS = [field.default for field in dataclasses.fields(Command)][: INDICES["unknown"]]


def remember(content: bytes, command: Command) -> None:
    """Has the next command set like a regular one decoded faster, if it is made of numbers and UIDs."""
    if WITH_OTHER_VRS(command) != (None, None, (), (), None):
        return
    places, position = [], 0
    while position < len(content):
        wire_tag, length = HEADER.unpack_from(content, position)
        element = ELEMENTS[tag_of(wire_tag)]
        if length != {"US": 2, "UL": 4, "UI": length or -1}.get(element.vr):
            return  # such as an element without a value
        expected = None
        if element.attribute in ("group_length", "field", "has_data_set"):
            expected = int.from_bytes(content[position + 8 : position + 8 + length], "little")
        places.append(Place(element.vr, length, None if expected is not None else INDICES[element.attribute], expected))
        position += 8 + length
    values = DEFAULTS.copy()
    values[INDICES["field"]], values[INDICES["has_data_set"]] = command.field, command.has_data_set
    SHAPES.add(content, Shape(content, places, values))


def decode_slowly(content: bytes) -> Command:
    """Decodes any command set, an element after the other."""
    values: dict[str, Any] = {}
    unknown: dict[int, bytes] = {}
    quirks: list[str] = []
    end = read_elements(content, values, unknown, quirks)
    if values.pop("group_length", None) != end - 12:
        quirks.append("Command Group Length (0000,0000) is missing or wrong")
    number = values.get("field")
    if number is None:
        raise RemoteProtocolError("a command set without Command Field (0000,0100)")
    layout = LAYOUTS.get(number)
    if layout is None:
        quirks.append(f"command field 0x{number:04X} is not known")
    else:
        values["field"] = COMMAND_FIELDS[number]
        compare(values, layout, quirks)
    return Command(unknown=unknown, quirks=tuple(quirks), **values)


def read_elements(content: bytes, values: dict[str, Any], unknown: dict[int, bytes], quirks: list[str]) -> int:
    """Collects the values of all elements; returns where the last one ends."""
    position, size, highest = 0, len(content), -1
    while size - position >= 8:
        wire_tag, length = HEADER.unpack_from(content, position)
        start = position + 8
        end = start + length
        if end > size:
            raise overrun(content, position, length)
        if length & 1:
            quirks.append(f"{label(tag_of(wire_tag))} has an odd length")
        known = DECODERS.get(wire_tag)
        if known is None:
            tag = tag_of(wire_tag)
            note(f"{label(tag)} {'comes twice, the last one counts' if tag in unknown else 'is kept as it is'}", quirks)
            unknown[tag] = content[start:end]
        else:
            tag, attribute, decoder = known
            if tag <= highest:
                twice = attribute in values
                note(f"{label(tag)} comes {'twice, the last one counts' if twice else 'out of order'}", quirks)
            else:
                highest = tag
            if length == 2 and decoder is decode_us:  # most elements: no slice, no call
                values[attribute] = SHORT.unpack_from(content, start)[0]
            else:
                value = decoder(content[start:end], tag, quirks)
                if value is not None:
                    values[attribute] = value
        position = end
    if position < size:
        check_padding(content[position:], quirks)
    return position


def tag_of(wire_tag: int) -> int:
    return (wire_tag & 0xFFFF) << 16 | wire_tag >> 16


def note(quirk: str, quirks: list[str]) -> None:
    """Notes what may happen any number of times: no peer errs that often, and noting must not cost us more than it."""
    if len(quirks) >= MAX_QUIRKS:
        raise RemoteProtocolError(f"a command set has too many oddities, the last: {quirk}")
    quirks.append(quirk)


def check_padding(rest: bytes, quirks: list[str]) -> None:
    """Some peers pad the command set itself, with one byte."""
    if rest not in (b"\0", b" "):
        raise RemoteProtocolError(f"a command set ends in the middle of an element, after {len(rest)} bytes of it")
    quirks.append("a pad byte follows the last element of the command set")


def overrun(content: bytes, position: int, length: int) -> RemoteProtocolError:
    """The error for an element that is longer than what is left, saying what the likely cause is."""
    where = f"element at byte {position} of a command set"
    vr = content[position + 4 : position + 6]
    if length == UNDEFINED_LENGTH:
        return RemoteProtocolError(f"{where} has undefined length")
    if vr.isalpha() and vr.isupper():
        return RemoteProtocolError(f"{where} seems to be in Explicit VR, but command sets are in Implicit VR")
    return RemoteProtocolError(f"{where} has {length} bytes, but {len(content) - position - 8} are left")


def compare(values: dict[str, Any], layout: Layout, quirks: list[str]) -> None:
    """Notes what the message lacks, what it has too much, and whether a data set is announced against the rules."""
    message = layout.message
    missing = layout.required.difference(values)
    if missing:
        quirks += [f"{label(tag)} is missing" for tag in message.mandatory if ELEMENTS[tag].attribute in missing]
        values.setdefault("has_data_set", message.data_set == "M")
    if not layout.allowed.issuperset(values):
        surplus = (tag for tag in layout.foreign if ELEMENTS[tag].attribute in values)
        quirks += [f"{label(tag)} does not belong in {message.name}" for tag in surplus]
    if message.data_set != "U" and values["has_data_set"] is not (message.data_set == "M"):
        quirks.append(f"{message.name} announces {'no' if message.data_set == 'M' else 'a'} data set")

"""What one side of an association says: PDUs, commands and data sets out of its bytes.

Framing and decoding are those of `dicomio.wire` and `dicomio.messages`. What is added here is to go on where a
participant would abort: behind bytes that a capture does not have, and in the middle of an association.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, Protocol

from dicomio.captures.reassembly import Piece
from dicomio.config import Limits
from dicomio.errors import RemoteProtocolError
from dicomio.messages import CommandReceived, DataReceived, MessageAssembler, MessageEvent
from dicomio.wire import pdus
from dicomio.wire.commands import Command
from dicomio.wire.pdata import COMMAND, LAST, P_DATA_TF, PDV_OVERHEAD, Fragment, PDataParser

__all__ = ["DataSet", "Message", "PDUFrame", "Side", "SideEvent", "Sink", "Trouble"]

# Any presentation context may have been accepted; who reads a capture decides what to think of it.
ANY_CONTEXT: Final = range(256)
SHORT_PDU: Final = 1024
# PDVs of one PDU that are listed, and messages in one PDU that wait for its end.
MOST_LISTED: Final = 1_000

# PDU header and PDV header of a P-DATA-TF
DATA_START: Final = Struct(">BBLLBB")
# The three PDUs that are always the same but for two bytes, with their first six (PS3.8 9.3.6 to 9.3.8)
FIXED: Final = tuple(bytes((kind, 0, 0, 0, 0, 4)) for kind in (5, 6, 7))
FIXED_LENGTH: Final = 10


@dataclass(slots=True)
class PDUFrame:
    """A PDU.

    Args:
        time: when its last byte was captured, nanoseconds.
        kind: PDU-type.
        length: PDU-length, bytes without the six of the header.
        pdu: what it says; `None` for P-DATA-TF, for types that are not defined, and where it cannot be decoded.
        values: of a P-DATA-TF its PDVs, the first thousand: presentation context ID, message control header, bytes of
            the fragment.
    """

    time: int
    kind: int
    length: int
    pdu: pdus.PDU | None = None
    values: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Message:
    """A command set.

    Args:
        time: when its last byte was captured, nanoseconds.
        context_id: presentation context ID.
        command: what it says.
    """

    time: int
    context_id: int
    command: Command


@dataclass(slots=True)
class DataSet:
    """The data set of a message, after its last byte or where it breaks off.

    Args:
        time: when its last byte was captured, nanoseconds.
        context_id: presentation context ID.
        command: the command it belongs to.
        length: bytes of it that were captured.
        pdus: in how many P-DATA-TF PDUs it came.
        complete: whether all of it was captured.
        outcome: what became of it, as a sentence; empty where nobody wanted it.
    """

    time: int
    context_id: int
    command: Command
    length: int
    pdus: int
    complete: bool
    outcome: str


@dataclass(slots=True)
class Trouble:
    """Something that is not as it should be.

    Args:
        time: when, nanoseconds.
        text: a sentence.
    """

    time: int
    text: str


SideEvent = PDUFrame | Message | DataSet | Trouble


class Sink(Protocol):
    """Where a data set goes while it comes in."""

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Takes its next bytes, valid during the call."""
        ...

    def end(self, complete: bool) -> str:
        """All of it was given, or not and no more will come; what became of it, as a sentence."""
        ...


class Incoming:
    """A data set that is on its way."""

    __slots__ = ("command", "context_id", "intact", "length", "pdus", "sink")

    def __init__(self, context_id: int, command: Command, sink: Sink | None) -> None:
        self.context_id = context_id
        self.command = command
        self.sink = sink
        self.length = 0
        self.pdus = 0
        self.intact = True


def no_sink(context_id: int, command: Command) -> Sink | None:
    """Data sets are not looked at."""
    return None


class Side:
    """Follows what one side says.

    Args:
        limits: `associate_pdu`, `items` and `command_set` bound what is kept.
        sink: for a message with a data set, where that is to go.
        begun: whether the first byte is the first that the side says.

    Attributes:
        lost: whether it looks for the beginning of a PDU.
        found: whether it ever saw one.
    """

    def __init__(
        self,
        limits: Limits,
        sink: Callable[[int, Command], Sink | None] = no_sink,
        *,
        begun: bool = True,
    ) -> None:
        self.limits = limits
        self.make_sink = sink
        self.time = 0
        self.events: list[SideEvent] = []
        # Messages are told of behind the PDU that ends them.
        self.held: list[SideEvent] = []
        self.partial = bytearray()
        self.quirks: list[str] = []
        self.lost = not begun
        self.found = False
        self.restart()

    def restart(self) -> None:
        """Forgets the PDU and the message that were on their way."""
        self.pdata = PDataParser()
        self.frame: PDUFrame | None = None
        self.value_length = 0
        self.incoming: Incoming | None = None
        self.renew_messages(orphaned=self.lost)

    def renew_messages(self, *, orphaned: bool) -> None:
        """Begins with the next command; until it comes, data is the rest of something that is lost."""
        self.quirks.clear()
        self.messages = MessageAssembler(self.limits.command_set, strict=False, quirks=self.quirks)
        self.messages.contexts = ANY_CONTEXT
        self.orphaned = orphaned

    def feed(self, piece: Piece) -> list[SideEvent]:
        """Takes the next bytes; what they come to, in order."""
        self.time = piece.time
        if piece.missing:
            self.skip(piece.missing)
        self.walk(memoryview(piece.data))
        return self.take_events()

    def walk(self, view: memoryview) -> None:
        """Takes bytes, whatever they are."""
        at, end = 0, len(view)
        while at < end:
            try:
                at = self.step(view, at, end)
            except RemoteProtocolError as error:
                # From here on the next PDU is searched for, which always gets further.
                self.lose(f"cannot be followed any more: {error}")

    def finish(self) -> list[SideEvent]:
        """Nothing more will come."""
        if self.frame is not None or (self.partial and not self.lost):
            self.trouble("ends in the middle of a PDU")
        self.break_off()
        self.partial.clear()
        self.frame = None
        return self.take_events()

    def take_events(self) -> list[SideEvent]:
        """The events since the last time."""
        if self.frame is None or len(self.held) > MOST_LISTED:
            self.events += self.held
            self.held = []
        events, self.events = self.events, []
        return events

    def trouble(self, text: str) -> None:
        self.held.append(Trouble(self.time, text))

    # framing

    def step(self, view: memoryview, at: int, end: int) -> int:
        """Takes a part of what was received; returns where the next one begins."""
        if self.lost:
            return self.search(view, at, end)
        if self.frame is not None and self.frame.kind == P_DATA_TF:
            return self.take_value(view, at, end)
        return self.gather(view, at, end)

    def gather(self, view: memoryview, at: int, end: int) -> int:
        """Assembles the header of a PDU, and the body of one that is not P-DATA-TF."""
        partial = self.partial
        wanted = pdus.HEADER_LENGTH + (self.frame.length if self.frame is not None else 0)
        take = min(wanted - len(partial), end - at)
        partial += view[at : at + take]
        if len(partial) < wanted:
            return at + take
        if self.frame is None:
            self.begin_pdu(*pdus.HEADER.unpack_from(partial))
        if self.frame is not None and len(partial) == pdus.HEADER_LENGTH + self.frame.length:
            self.end_pdu(self.frame, bytes(partial[pdus.HEADER_LENGTH :]))
        return at + take

    def begin_pdu(self, kind: int, length: int) -> None:
        """Looks at a header before a byte of what it announces is kept."""
        if kind == P_DATA_TF:
            self.partial.clear()
            self.pdata.start(length)
        else:
            limit = self.limits.associate_pdu if kind in (1, 2) else SHORT_PDU
            if length > limit or not 1 <= kind <= 7:
                raise RemoteProtocolError(f"a PDU of type 0x{kind:02X} and {length} bytes")
        self.found = True
        self.frame = PDUFrame(self.time, kind, length)
        self.value_length = 0

    def end_pdu(self, frame: PDUFrame, body: bytes | None) -> None:
        """A whole PDU."""
        self.frame = None
        frame.time = self.time
        if body is not None:
            self.partial.clear()
            try:
                frame.pdu = pdus.decode(frame.kind, body, max_items=self.limits.items)
            except RemoteProtocolError as error:
                self.trouble(f"sent a PDU that cannot be decoded: {error}")
        self.events.append(frame)
        self.events += self.held
        self.held = []

    def take_value(self, view: memoryview, at: int, end: int) -> int:
        """Takes the header of a PDV, or what has come of its fragment."""
        pdata, frame = self.pdata, self.frame
        assert frame is not None
        in_header = not pdata.pdv_left
        stop = at + (PDV_OVERHEAD - len(pdata.head) if in_header else pdata.pdv_left)
        fragments: list[Fragment] = []
        at = pdata.parse(view, at, min(stop, end), fragments)
        if in_header and not pdata.head:
            self.value_length = pdata.pdv_left
            if self.incoming is not None:
                self.incoming.pdus += not frame.values
        self.take_fragments(fragments)
        if not pdata.pdv_left and not pdata.head:
            self.end_value(frame)
        return at

    def end_value(self, frame: PDUFrame) -> None:
        """A whole PDV."""
        if len(frame.values) < MOST_LISTED:
            frame.values.append((self.pdata.context_id, self.pdata.control, self.value_length))
        if not self.pdata.pdu_left:
            self.end_pdu(frame, None)

    # messages

    def take_fragments(self, fragments: Sequence[Fragment]) -> None:
        """Makes messages of fragments."""
        if self.orphaned:
            fragments = [fragment for fragment in fragments if fragment[1] & COMMAND]
            if not fragments:
                return
            self.orphaned = False
        events: list[MessageEvent] = []
        try:
            self.messages.feed(fragments, events)
        except RemoteProtocolError as error:
            self.take_messages(events)
            self.break_off()
            self.trouble(f"sent a message that cannot be followed: {error}")
            self.renew_messages(orphaned=True)
            return
        self.take_messages(events)
        for quirk in self.quirks:
            self.trouble(f"oddity: {quirk}")
        self.quirks.clear()

    def take_messages(self, events: Sequence[MessageEvent]) -> None:
        """Tells of commands and data sets."""
        for event in events:
            if isinstance(event, CommandReceived):
                self.break_off()
                self.held.append(Message(self.time, event.context_id, event.command))
                if event.command.has_data_set:
                    sink = self.make_sink(event.context_id, event.command)
                    self.incoming = Incoming(event.context_id, event.command, sink)
            elif isinstance(event, DataReceived):
                self.take_data(event.chunks, event.last)

    def take_data(self, chunks: Sequence[memoryview], last: bool) -> None:
        """Takes a part of a data set."""
        incoming = self.incoming
        if incoming is None:
            return
        incoming.pdus = incoming.pdus or 1
        incoming.length += sum(map(len, chunks))
        if incoming.sink is not None and incoming.intact:
            incoming.sink.write(chunks)
        if last:
            self.end_data(incoming, complete=incoming.intact)

    def end_data(self, incoming: Incoming, *, complete: bool) -> None:
        self.incoming = None
        outcome = incoming.sink.end(complete) if incoming.sink is not None else ""
        self.held.append(
            DataSet(
                self.time,
                incoming.context_id,
                incoming.command,
                incoming.length,
                incoming.pdus,
                complete,
                outcome,
            )
        )

    def break_off(self) -> None:
        """The rest of a data set will not come."""
        if self.incoming is not None:
            self.end_data(self.incoming, complete=False)

    # what a capture does not have

    def skip(self, missing: int) -> None:
        """Goes on behind missing bytes, where all of them are of one fragment; otherwise what follows is unknown."""
        self.trouble(f"{missing} bytes are missing in the capture")
        pdata, frame = self.pdata, self.frame
        if self.lost:
            self.partial.clear()
        elif frame is None or missing > pdata.pdv_left or pdata.control & COMMAND:
            self.lose("")
        else:
            pdata.pdv_left -= missing
            pdata.pdu_left -= missing
            if self.incoming is not None:
                self.incoming.intact = False
            if not pdata.pdv_left:
                self.take_fragments([(pdata.context_id, pdata.control, memoryview(b""))])
                self.end_value(frame)

    def lose(self, why: str) -> None:
        """What follows has to be searched for the beginning of a PDU."""
        if why:
            self.trouble(why)
        self.break_off()
        self.events += self.held
        self.held = []
        self.lost = True
        self.partial.clear()
        self.restart()

    def search(self, view: memoryview, at: int, end: int) -> int:
        """Looks for the beginning of a PDU in what follows."""
        before = len(self.partial)
        window = bytes(self.partial) + bytes(view[at:end])
        start = before if at == 0 and is_fixed(window[before:]) else data_start(window)
        if start is None:
            self.partial[:] = window[-(DATA_START.size - 1) :]
            return end
        self.lost = False
        self.partial.clear()
        if start < before:
            self.walk(memoryview(window[start:before]))
        return at + max(0, start - before)


def is_fixed(data: bytes) -> bool:
    """Whether this is one of the PDUs that are always the same, sent by itself."""
    return len(data) == FIXED_LENGTH and data[:6] in FIXED


def data_start(window: bytes) -> int | None:
    """Where a P-DATA-TF with one PDV that fills it begins: ten bytes that do not agree by chance."""
    at = window.find(b"\x04\0")
    while at >= 0 and len(window) - at >= DATA_START.size:
        _, _, length, value_length, context_id, control = DATA_START.unpack_from(window, at)
        if value_length + 4 == length and value_length >= 2 and context_id & 1 and control <= COMMAND | LAST:
            return at
        at = window.find(b"\x04\0", at + 1)
    return None

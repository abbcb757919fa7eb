"""From packets to associations: who spoke with whom, in which PDUs and messages, and how it ended.

```python
dissector = Dissector()
with open("bug.pcapng", "rb") as file:
    for packet in CaptureReader(file):
        for event in dissector.feed(packet): ...     # Opened, Said, Closed, Noted
for event in dissector.finish(): ...
```
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dicomio.captures.conversations import Connection, Connections, Listener
from dicomio.captures.packets import Endpoint
from dicomio.captures.reading import Packet
from dicomio.captures.reassembly import Piece
from dicomio.captures.side import Message, PDUFrame, Side, SideEvent, Sink, Trouble
from dicomio.config import Limits
from dicomio.negotiation import conclude
from dicomio.status import PENDING
from dicomio.wire.commands import Command
from dicomio.wire.pdus import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRP

__all__ = ["Association", "Closed", "DataSetStart", "Dissector", "Event", "Noted", "Opened", "Said"]

# What is needed to know what is spoken: PDU header and protocol version.
TELLING: Final = 8
# The fixed fields of an A-ASSOCIATE PDU (PS3.8 Table 9-11)
SHORTEST_ASSOCIATE: Final = 68
# How much of a connection whose beginning is not there is searched for PDUs.
SEARCHED: Final = 1_048_576
# Requests that wait for their response, of both sides; there are no more Message IDs.
MOST_REQUESTS: Final = 131_072

TLS: Final = b"\x16\x03"


@dataclass(slots=True)
class Association:
    """One association in a capture.

    Args:
        number: counted from 1 in the order in which they were recognised.
        time: when the first of it was captured, nanoseconds since 1970-01-01 UTC.
        requestor: the end that asked for it; where that is not in the capture, the end with the higher port.
        acceptor: the other end.
        begun: whether its A-ASSOCIATE-RQ is in the capture.

    Attributes:
        rq: the A-ASSOCIATE-RQ.
        ac: the A-ASSOCIATE-AC.
        contexts: abstract syntax and transfer syntax by presentation context ID, of those that were accepted; the
            abstract syntax is empty where the A-ASSOCIATE-RQ is not in the capture.
        end: how it ended, as far as PDUs tell: `released`, `aborted`, `rejected`; empty while it stands.
    """

    number: int
    time: int
    requestor: Endpoint
    acceptor: Endpoint
    begun: bool
    rq: AssociateRQ | None = None
    ac: AssociateAC | None = None
    contexts: dict[int, tuple[str, str]] = field(default_factory=dict)
    end: str = ""

    def ae_title(self, sender: str) -> str:
        """The AE title of the `"requestor"` or the `"acceptor"`; empty where it is not known."""
        if self.rq is None:
            return ""
        return self.rq.calling_ae_title if sender == "requestor" else self.rq.called_ae_title


@dataclass(slots=True)
class Opened:
    """An association was recognised."""

    association: Association


@dataclass(slots=True)
class Said:
    """One side said something.

    Args:
        association: on which association.
        sender: `"requestor"` or `"acceptor"`.
        what: a PDU, a command, a data set that came after one, or what is wrong.
        after: nanoseconds since the request, for a response.
    """

    association: Association
    sender: str
    what: SideEvent
    after: int | None = None


@dataclass(slots=True)
class Closed:
    """Nothing more is known of an association.

    Args:
        association: which.
        time: when, nanoseconds.
        how: what became of the association and of its connection, as a sentence.
    """

    association: Association
    time: int
    how: str


@dataclass(slots=True)
class Noted:
    """Something about the capture itself.

    Args:
        time: when, nanoseconds.
        text: a sentence.
    """

    time: int
    text: str


Event: TypeAlias = Opened | Said | Closed | Noted


@dataclass(slots=True)
class DataSetStart:
    """A data set that is about to come.

    Args:
        association: on which association.
        sender: `"requestor"` or `"acceptor"`.
        context_id: presentation context ID.
        command: the command it belongs to.
    """

    association: Association
    sender: str
    context_id: int
    command: Command

    @property
    def transfer_syntax(self) -> str:
        """UID of the transfer syntax; empty where it was not captured."""
        return self.association.contexts.get(self.context_id, ("", ""))[1]


MakeSink: TypeAlias = Callable[[DataSetStart], Sink | None]


class Dissector:
    """Finds the associations in a capture, on any port, by what they begin with.

    Args:
        ports: look at connections with one of these ports only; at all of them where there are none.
        limits: bound what is kept of one PDU and one command.
        sink: says for each data set where it is to go, or `None`.
    """

    def __init__(
        self,
        *,
        ports: Container[int] = (),
        limits: Limits | None = None,
        sink: MakeSink = lambda start: None,
    ) -> None:
        self.ports = ports
        self.limits = limits or Limits()
        self.sink = sink
        self.events: list[Event] = []
        self.associations = 0
        self.connections = Connections(self.listen)

    def feed(self, packet: Packet) -> list[Event]:
        """Takes a packet; what it comes to, in order."""
        self.connections.feed(packet)
        return self.take_events()

    def finish(self) -> list[Event]:
        """The capture ends here; what is left to be told."""
        self.connections.finish()
        time = self.connections.time
        for why, count in self.connections.skipped.items():
            self.events.append(Noted(time, f"left out, {count} times: {why}"))
        return self.take_events()

    def take_events(self) -> list[Event]:
        """The events since the last time."""
        events, self.events = self.events, []
        return events

    def listen(self, connection: Connection) -> Listener:
        """The listener of a connection."""
        wanted = any(endpoint.port in self.ports for endpoint in connection.endpoints)
        return Conversation(self, connection, wanted=wanted)


class Conversation:
    """What is said on one connection, which may be an association.

    Args:
        dissector: gets the events.
        connection: the connection.
        wanted: whether it has one of the ports that were asked for.
    """

    __slots__ = ("association", "connection", "dissector", "early", "requests", "searched", "sides", "wanted")

    def __init__(self, dissector: Dissector, connection: Connection, *, wanted: bool) -> None:
        self.dissector = dissector
        self.connection = connection
        self.wanted = wanted
        self.association: Association | None = None
        self.sides: tuple[Side, Side] | None = None
        self.early: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self.searched = 0
        self.requests: dict[tuple[str, int], int] = {}

    # as a listener

    def arrived(self, side: int, piece: Piece) -> bool:
        """One side said something; whether more is wanted."""
        if self.dissector.ports and not self.wanted:
            return False
        if self.association is not None:
            self.follow(side, piece)
            return True
        if self.sides is not None:
            return self.search(side, piece)
        return self.recognise(side, piece)

    def ended(self, time: int, how: str) -> None:
        """The connection is over."""
        if self.association is None or self.sides is None:
            return
        for number, side in enumerate(self.sides):
            side.time = time
            self.tell(number, side.finish())
        end = self.association.end or "neither released nor aborted"
        self.dissector.events.append(Closed(self.association, time, f"{end}; {how}"))

    # what it is

    def recognise(self, side: int, piece: Piece) -> bool:
        """Looks at the first bytes."""
        early = self.early[side]
        early += piece.data
        whole = piece._replace(data=bytes(early))
        if piece.missing:
            return self.begin_search(side, whole)
        if len(early) < TELLING:
            return True
        if begins_association(early, 1):
            self.begin(side, piece.time, begun=True)
        elif begins_association(early, 2):
            self.begin(1 - side, piece.time, begun=False)
        elif early.startswith(TLS):
            self.note(piece.time, "is encrypted with TLS: what is said there cannot be told")
            return False
        elif not self.connection.opened:
            return self.begin_search(side, whole)
        else:
            if self.wanted:
                self.note(piece.time, "does not begin with an A-ASSOCIATE-RQ")
            return False
        self.follow(side, whole)
        return True

    def note(self, time: int, text: str) -> None:
        client, server = self.connection.endpoints
        self.dissector.events.append(Noted(time, f"the connection from {client} to {server} {text}"))

    def begin(self, requestor: int, time: int, *, begun: bool) -> None:
        """It is an association."""
        dissector, ends = self.dissector, self.connection.endpoints
        dissector.associations += 1
        self.association = Association(dissector.associations, time, ends[requestor], ends[1 - requestor], begun)
        if self.sides is None:
            # Of an association whose request is not there, the other side at least is whole.
            self.sides = self.make_sides(begun or requestor == 1, begun or requestor == 0)
        dissector.events.append(Opened(self.association))

    def make_sides(self, first: bool, second: bool) -> tuple[Side, Side]:
        """The two sides, and of which of them the first bytes are there."""
        limits = self.dissector.limits
        return (
            Side(limits, lambda context_id, command: self.sink(0, context_id, command), begun=first),
            Side(limits, lambda context_id, command: self.sink(1, context_id, command), begun=second),
        )

    def begin_search(self, side: int, piece: Piece) -> bool:
        """The beginning is not there: perhaps PDUs are found later."""
        self.sides = self.make_sides(False, False)
        return self.search(side, piece)

    def search(self, side: int, piece: Piece) -> bool:
        """Looks for PDUs in the middle of a connection; whether it is worth while to go on."""
        assert self.sides is not None
        events = self.sides[side].feed(piece)
        if self.sides[side].found:
            self.found(piece.time)
            self.tell(side, events)
            return True
        self.searched += len(piece.data)
        return self.wanted or self.searched < SEARCHED

    def found(self, time: int) -> Association:
        """A PDU was found in the middle of a connection: whoever has the higher port is taken for the requestor."""
        if self.association is None:
            first, second = self.connection.endpoints
            self.begin(int(second.port > first.port), time, begun=False)
        assert self.association is not None
        return self.association

    # what is said

    def follow(self, side: int, piece: Piece) -> None:
        """Takes what one side said."""
        assert self.sides is not None
        self.tell(side, self.sides[side].feed(piece))

    def sender(self, side: int) -> str:
        """The role of a side."""
        assert self.association is not None
        return "requestor" if self.connection.endpoints[side] == self.association.requestor else "acceptor"

    def sink(self, side: int, context_id: int, command: Command) -> Sink | None:
        """Where a data set is to go."""
        assert self.sides is not None
        association = self.found(self.sides[side].time)
        return self.dissector.sink(DataSetStart(association, self.sender(side), context_id, command))

    def tell(self, side: int, events: list[SideEvent]) -> None:
        """Passes on what one side said, with what is known from before."""
        association = self.association
        if association is None or not events:
            return
        sender = self.sender(side)
        tell = self.dissector.events.append
        for event in events:
            if isinstance(event, Message):
                tell(Said(association, sender, event, self.answered(sender, event)))
                if association.ac is not None and event.context_id not in association.contexts:
                    text = f"uses presentation context {event.context_id}, which was not accepted"
                    tell(Said(association, sender, Trouble(event.time, text)))
            else:
                if isinstance(event, PDUFrame):
                    learn(association, event)
                tell(Said(association, sender, event))

    def answered(self, sender: str, event: Message) -> int | None:
        """How long a response took, nanoseconds; remembers requests."""
        command = event.command
        if command.is_request:
            if command.message_id is not None and len(self.requests) < MOST_REQUESTS:
                self.requests[sender, command.message_id] = event.time
            return None
        asked = "acceptor" if sender == "requestor" else "requestor"
        key = asked, command.responding_to if command.responding_to is not None else -1
        before = self.requests.get(key)
        if command.status not in PENDING:
            self.requests.pop(key, None)
        return event.time - before if before is not None else None


def begins_association(data: bytes | bytearray, kind: int) -> bool:
    """Whether bytes begin as an A-ASSOCIATE PDU of this type does, with bit 0 of Protocol-version set (PS3.8 9.3.2)."""
    length = int.from_bytes(data[2:6], "big")
    return data[0] == kind and SHORTEST_ASSOCIATE <= length <= Limits().associate_pdu and bool(data[7] & 1)


def learn(association: Association, frame: PDUFrame) -> None:
    """Keeps what a PDU says of the association as a whole."""
    pdu = frame.pdu
    if isinstance(pdu, AssociateRQ) and association.rq is None:
        association.rq = pdu
    elif isinstance(pdu, AssociateAC) and association.ac is None:
        association.ac = pdu
        association.contexts = accepted(association.rq, pdu)
    elif isinstance(pdu, AssociateRJ):
        association.end = "rejected"
    elif isinstance(pdu, Abort):
        association.end = "aborted"
    elif isinstance(pdu, ReleaseRP):
        association.end = association.end or "released"


def accepted(rq: AssociateRQ | None, ac: AssociateAC) -> dict[int, tuple[str, str]]:
    """The presentation contexts that were accepted: abstract syntax and transfer syntax by ID."""
    if rq is None:
        return {context.id: ("", context.transfer_syntax) for context in ac.contexts if context.result == 0}
    agreement = conclude(rq, ac, requestor=True)
    return {number: (each.abstract_syntax, each.transfer_syntax) for number, each in agreement.contexts.items()}

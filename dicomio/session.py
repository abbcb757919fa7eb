"""The Upper Layer without I/O: bytes in, events out; calls in, bytes to send; time passed in (PS3.8 9).

```python
upper = UpperLayer(requestor=False, limits=Limits())
upper.connected(now)
for event in upper.receive(data, now): ...     # AssociateRequested, CommandReceived, DataReceived, …
upper.accept(ac)
transport.write(upper.take_output())
```
`upper.timer` is when `handle_timer` wants to be called (the ARTIM timer, PS3.8 9.1.5), `upper.wants_close` says that
the transport connection is to be closed once the output has been written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dicomio.config import Limits
from dicomio.errors import AbortReason, AbortSource, RemoteProtocolError
from dicomio.machine import Effect, Event, State, StateMachine
from dicomio.messages import MessageAssembler, MessageEvent
from dicomio.negotiation import Agreement, check, conclude
from dicomio.wire import pdus
from dicomio.wire.commands import Command, encode
from dicomio.wire.pdata import P_DATA_TF, Fragment, PDataParser, pack_message, payload_size

__all__ = [
    "Aborted",
    "AssociateAccepted",
    "AssociateRejected",
    "AssociateRequested",
    "ReleaseConfirmed",
    "ReleaseRequested",
    "UpperLayer",
    "UpperLayerEvent",
]

SHORT_PDU = 1024
ANY_LENGTH = 0xFFFFFFFF

PDU_EVENTS: Mapping[int, Event] = {
    1: Event.Evt6,
    2: Event.Evt3,
    3: Event.Evt4,
    4: Event.Evt10,
    5: Event.Evt12,
    6: Event.Evt13,
    7: Event.Evt16,
}

# How other protocols begin, to name them to whoever reads the log.
FOREIGN_PROTOCOLS: Mapping[bytes, str] = {
    b"\x16\x03": "a TLS handshake on a port without TLS",
    b"\x15\x03": "a TLS alert: it expects TLS",
    b"GE": "an HTTP request",
    b"PO": "an HTTP request",
    b"HE": "an HTTP request",
    b"PU": "an HTTP request",
    b"OP": "an HTTP request",
    b"HT": "an HTTP response",
    b"SS": "an SSH banner",
}


@dataclass(slots=True)
class AssociateRequested:
    """A-ASSOCIATE indication: answer with `accept` or `reject`."""

    pdu: pdus.AssociateRQ


@dataclass(slots=True)
class AssociateAccepted:
    """A-ASSOCIATE confirmation, accepted."""

    pdu: pdus.AssociateAC


@dataclass(slots=True)
class AssociateRejected:
    """A-ASSOCIATE confirmation, rejected."""

    pdu: pdus.AssociateRJ


@dataclass(slots=True)
class ReleaseRequested:
    """A-RELEASE indication: answer with `confirm_release`."""


@dataclass(slots=True)
class ReleaseConfirmed:
    """A-RELEASE confirmation."""


@dataclass(slots=True)
class Aborted:
    """A-ABORT or A-P-ABORT indication; `error` is the violation where this side's provider aborted for one."""

    source: int
    reason: int
    error: RemoteProtocolError | None = None


UpperLayerEvent = (
    AssociateRequested
    | AssociateAccepted
    | AssociateRejected
    | ReleaseRequested
    | ReleaseConfirmed
    | Aborted
    | MessageEvent
)


class UpperLayer:
    """One end of one association: the state machine, the framing and the messages in it.

    Args:
        requestor: whether this side opens the association.
        limits: what the peer may send.
        artim: seconds of the ARTIM timer; `None` never lets it expire.
        strict: refuse deviations that are tolerated otherwise.
        request: the A-ASSOCIATE-RQ to send, for a requestor.

    Attributes:
        agreement: what the requestor and the acceptor have agreed on, for a requestor that was accepted.
    """

    def __init__(
        self,
        *,
        requestor: bool,
        limits: Limits,
        artim: float | None = 30.0,
        strict: bool = False,
        request: pdus.AssociateRQ | None = None,
    ) -> None:
        self.limits = limits
        self.artim = artim
        self.strict = strict
        self.request = request
        self.machine = StateMachine(requestor=requestor)
        self.quirks: list[str] = []
        self.messages = MessageAssembler(limits.command_set, strict=strict, quirks=self.quirks)
        self.output: list[bytes] = []
        self.timer: float | None = None
        self.wants_close = False
        self.send_payload = payload_size(0)
        self.now = 0.0
        self.events: list[UpperLayerEvent] = []
        self.crumbs = 0
        self.pdata = PDataParser()
        self.partial = bytearray()
        self.missing = 0
        self.deaf = True
        self.longest_data_pdu = limits.max_pdu or ANY_LENGTH
        self.event = Event.Evt1
        self.pdu: pdus.PDU | None = None
        self.outgoing = b""
        self.agreement: Agreement | None = None
        self.violation: RemoteProtocolError | None = None

    @property
    def state(self) -> State:
        """The state of the state machine, Sta1 to Sta13."""
        return self.machine.state

    @property
    def mid_message(self) -> bool:
        """Whether the peer is in the middle of a PDU or a message."""
        return not self.messages.idle or bool(self.partial or self.pdata.pdu_left)

    def take_output(self) -> bytes:
        """The bytes to send now; they count as sent."""
        data = b"".join(self.output)
        self.output.clear()
        return data

    # service primitives

    def connected(self, now: float) -> None:
        """The transport connection stands; a requestor sends its A-ASSOCIATE-RQ.

        Raises:
            LocalProtocolError: that is not a valid one, or there was a connection before.
        """
        self.now = now
        if self.machine.requestor:
            assert self.request is not None
            self.outgoing = pdus.encode(self.request)
            self.step(Event.Evt1)
            self.step(Event.Evt2)
        else:
            self.step(Event.Evt5)
        self.deaf = False

    def accept(self, pdu: pdus.AssociateAC, encoded: bytes | None = None) -> None:
        """A-ASSOCIATE response, accepted.

        Args:
            pdu: the answer.
            encoded: the same, where it has been encoded before.

        Raises:
            LocalProtocolError: nobody asked, or this is not a valid answer; then another one may follow.
        """
        self.outgoing = encoded if encoded is not None else pdus.encode(pdu)
        self.step(Event.Evt7)

    def reject(self, pdu: pdus.AssociateRJ, now: float) -> None:
        """A-ASSOCIATE response, rejected.

        Raises:
            LocalProtocolError: nobody asked, or this is not a valid answer; then another one may follow.
        """
        self.outgoing, self.now = pdus.encode(pdu), now
        self.step(Event.Evt8)

    def release(self) -> None:
        """A-RELEASE request.

        Raises:
            LocalProtocolError: no association stands, or it is being released already.
        """
        self.step(Event.Evt11)

    def confirm_release(self, now: float) -> None:
        """A-RELEASE response.

        Raises:
            LocalProtocolError: nobody asked.
        """
        self.now = now
        self.step(Event.Evt14)

    def abort(self, now: float, source: int = AbortSource.SERVICE_USER, reason: int = 0) -> None:
        """A-ABORT request.

        Raises:
            LocalProtocolError: there is nothing to abort.
        """
        self.outgoing, self.now = pdus.encode(pdus.Abort(source, reason)), now
        self.step(Event.Evt15)

    def establish(self, contexts: Mapping[int, object], send_maximum: int) -> None:
        """Tells what negotiation came to.

        Args:
            contexts: accepted presentation contexts by ID.
            send_maximum: the longest P-DATA-TF PDU the peer takes, bytes, 0 for any.
        """
        self.messages.contexts = contexts
        self.send_payload = payload_size(send_maximum)

    def message(self, context_id: int, command: Command, data: bytes | None = None) -> bytes:
        """P-DATA request: a whole message, ready to be written.

        Raises:
            LocalProtocolError: no association stands, or the command is not a valid one.
        """
        return self.encoded_message(context_id, encode(command), data)

    def encoded_message(self, context_id: int, command: bytes, data: bytes | None = None) -> bytes:
        """P-DATA request: a whole message, whose command set is encoded already.

        Raises:
            LocalProtocolError: no association stands.
        """
        self.step(Event.Evt9)
        return pack_message(context_id, command, data, self.send_payload)

    def command(self, context_id: int, command: Command) -> bytes:
        """P-DATA request for a message whose data set follows by other means: its command, ready to be written.

        Raises:
            LocalProtocolError: no association stands, or the command is not a valid one.
        """
        self.step(Event.Evt9)
        return pack_message(context_id, encode(command), None, self.send_payload)

    def connection_lost(self) -> list[UpperLayerEvent]:
        """The transport connection is closed."""
        self.deaf = True
        if self.machine.state is not State.Sta1:
            self.step(Event.Evt17)
        return self.take_events()

    def handle_timer(self, now: float) -> list[UpperLayerEvent]:
        """`timer` has come."""
        self.now = now
        if self.timer is not None and now >= self.timer:
            self.timer = None
            self.step(Event.Evt18)
        return self.take_events()

    # framing

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[UpperLayerEvent]:
        """Takes bytes from the transport.

        Args:
            data: any number of bytes, cut anywhere; views in the events point into it.
            now: the time, seconds on any clock.

        Returns:
            What happened, in order. Violations by the peer are events too; nothing is raised for them.
        """
        self.now = now
        self.crumbs = 0
        view = memoryview(data)
        fragments: list[Fragment] = []
        try:
            try:
                self.frame(view, fragments)
            finally:
                # What came before a violation counts, however the bytes were cut.
                self.take_fragments(fragments)
        except RemoteProtocolError as error:
            self.violate(error)
        return self.take_events()

    def frame(self, view: memoryview, fragments: list[Fragment]) -> None:
        """Cuts bytes into PDUs; those of P-DATA-TF are never assembled."""
        at, end = 0, len(view)
        pdata = self.pdata
        while at < end and not self.deaf:
            if pdata.pdu_left:
                at = pdata.parse(view, at, end, fragments)
            elif self.partial or view[at] != P_DATA_TF:
                self.take_fragments(fragments)
                at = self.gather(view, at, end)
            else:
                before = at
                at, taken = pdata.parse_run(view, at, end, self.longest_data_pdu, fragments)
                if taken:
                    self.step(Event.Evt10)
                if at == before:
                    at = self.gather(view, at, end)

    def gather(self, view: memoryview, at: int, end: int) -> int:
        """Assembles a header, and the body of a PDU that is not P-DATA-TF, after checking its length."""
        partial = self.partial
        if not partial:
            self.missing = pdus.HEADER_LENGTH
            self.check_type(view, at, end)
        take = min(self.missing, end - at)
        partial += view[at : at + take]
        self.missing -= take
        at += take
        if self.missing:
            return at
        kind, length = pdus.HEADER.unpack_from(partial)
        if kind == P_DATA_TF:
            partial.clear()
            self.start_data_pdu(length)
        elif len(partial) == pdus.HEADER_LENGTH and length:
            self.check_length(kind, length)
            self.missing = length
        else:
            body = bytes(partial[pdus.HEADER_LENGTH :])
            partial.clear()
            self.take_pdu(kind, body)
        return at

    def check_type(self, view: memoryview, at: int, end: int) -> None:
        """Looks at the type before believing a length: what follows may be another protocol."""
        if view[at] not in PDU_EVENTS:
            name = FOREIGN_PROTOCOLS.get(bytes(view[at : min(at + 2, end)]), f"PDU type 0x{view[at]:02X}")
            raise RemoteProtocolError(f"peer sent {name}", AbortReason.UNRECOGNIZED_PDU)

    def check_length(self, kind: int, length: int) -> None:
        limit = self.limits.associate_pdu if kind in (1, 2) else SHORT_PDU
        if length > limit:
            raise RemoteProtocolError(f"PDU type 0x{kind:02X} of {length} bytes; at most {limit} are taken")

    def start_data_pdu(self, length: int) -> None:
        """A P-DATA-TF whose header came alone, or that is longer than we asked for."""
        if length > self.longest_data_pdu:
            # Costs no memory, since it is parsed in place.
            self.messages.tolerate(f"sent a P-DATA-TF longer than the {self.longest_data_pdu} bytes agreed on")
            self.longest_data_pdu = ANY_LENGTH
        self.pdata.start(length)
        self.step(Event.Evt10)

    def take_fragments(self, fragments: list[Fragment]) -> None:
        """Passes on what arrived so far; data outside of an association is dropped (PS3.8 AA-6)."""
        if fragments:
            self.crumbs += len(fragments)
            try:
                if self.machine.state in (State.Sta6, State.Sta7):
                    self.messages.feed(fragments, self.events)
            finally:
                fragments.clear()

    def take_pdu(self, kind: int, body: bytes) -> None:
        """A whole PDU other than P-DATA-TF."""
        pdu = pdus.decode(kind, body, max_items=self.limits.items)
        event = PDU_EVENTS[kind]
        self.pdu = pdu
        if isinstance(pdu, pdus.AssociateRQ | pdus.AssociateAC):
            self.messages.note(*pdu.quirks)
            if self.strict and pdu.quirks:
                raise RemoteProtocolError(f"peer sent an A-ASSOCIATE PDU with a defect: {pdu.quirks[0]}")
        refusal = check(pdu) if isinstance(pdu, pdus.AssociateRQ) and self.state is State.Sta2 else None
        if refusal is not None:
            self.outgoing = pdus.encode(refusal)
            self.events.append(AssociateRejected(refusal))
        self.step(event, acceptable=refusal is None)

    def violate(self, error: RemoteProtocolError) -> None:
        """Invalid PDU (Evt19): nothing after it can be framed."""
        self.violation = error
        self.deaf = True
        self.partial.clear()
        self.step(Event.Evt19)

    # the machine and its effects

    def step(self, event: Event, *, acceptable: bool = True) -> None:
        """Lets the machine take an event and carries out what it says."""
        effects = self.machine.step(event, acceptable=acceptable)
        self.event = event
        for effect in effects:
            perform = EFFECTS.get(effect)
            if perform is not None:
                perform(self)

    def take_events(self) -> list[UpperLayerEvent]:
        """The events since the last time."""
        events, self.events = self.events, []
        return events

    def send_outgoing(self) -> None:
        """Sends the PDU that the primitive brought."""
        self.output.append(self.outgoing)

    def send_release_rq(self) -> None:
        self.output.append(pdus.encode(pdus.ReleaseRQ()))

    def send_release_rp(self) -> None:
        self.output.append(pdus.encode(pdus.ReleaseRP()))

    def send_user_abort(self) -> None:
        """As the user asked, or because of what came instead of an A-ASSOCIATE-RQ (AA-1)."""
        if self.event is Event.Evt15:
            self.output.append(self.outgoing)
            return
        self.output.append(pdus.encode(pdus.Abort(AbortSource.SERVICE_USER, 0)))
        # AA-1 has no indication, but somebody has to be told why the association never came about.
        self.events.append(Aborted(AbortSource.SERVICE_USER, 0, self.fault()))

    def send_provider_abort(self) -> None:
        self.output.append(pdus.encode(pdus.Abort(AbortSource.SERVICE_PROVIDER, self.fault().reason)))

    def start_artim(self) -> None:
        self.timer = self.now + self.artim if self.artim is not None else None

    def stop_artim(self) -> None:
        self.timer = None

    def close(self) -> None:
        self.wants_close = self.deaf = True

    def indicate_associate(self) -> None:
        assert isinstance(self.pdu, pdus.AssociateRQ)
        self.events.append(AssociateRequested(self.pdu))

    def confirm_accept(self) -> None:
        assert isinstance(self.pdu, pdus.AssociateAC)
        assert self.request is not None
        # A request of the acceptor may follow in the same segment, before anybody can call `establish`.
        self.agreement = conclude(self.request, self.pdu, requestor=True)
        self.messages.contexts = self.agreement.contexts
        self.events.append(AssociateAccepted(self.pdu))

    def confirm_reject(self) -> None:
        assert isinstance(self.pdu, pdus.AssociateRJ)
        self.events.append(AssociateRejected(self.pdu))

    def indicate_release(self) -> None:
        self.events.append(ReleaseRequested())

    def confirm_release_to_user(self) -> None:
        self.events.append(ReleaseConfirmed())

    def indicate_abort(self) -> None:
        assert isinstance(self.pdu, pdus.Abort)
        self.events.append(Aborted(self.pdu.source, self.pdu.reason))

    def indicate_provider_abort(self) -> None:
        if self.state is State.Sta1:
            # AA-4: the transport connection is gone
            self.events.append(Aborted(AbortSource.SERVICE_PROVIDER, 0))
            return
        fault = self.fault()
        self.events.append(Aborted(AbortSource.SERVICE_PROVIDER, fault.reason, fault))

    def fault(self) -> RemoteProtocolError:
        """What is wrong with what the peer sent last."""
        return self.violation or RemoteProtocolError(
            f"peer sent an unexpected {self.event.description}", AbortReason.UNEXPECTED_PDU
        )


# CONNECT was done by whoever calls `connected`; P-DATA is sent by whoever called `message`, and indicated by
# `take_fragments` as it arrives.
EFFECTS: Mapping[Effect, Callable[[UpperLayer], None]] = {
    Effect.CLOSE: UpperLayer.close,
    Effect.START_ARTIM: UpperLayer.start_artim,
    Effect.STOP_ARTIM: UpperLayer.stop_artim,
    Effect.SEND_ASSOCIATE_RQ: UpperLayer.send_outgoing,
    Effect.SEND_ASSOCIATE_AC: UpperLayer.send_outgoing,
    Effect.SEND_ASSOCIATE_RJ: UpperLayer.send_outgoing,
    Effect.SEND_RELEASE_RQ: UpperLayer.send_release_rq,
    Effect.SEND_RELEASE_RP: UpperLayer.send_release_rp,
    Effect.SEND_ABORT_USER: UpperLayer.send_user_abort,
    Effect.SEND_ABORT_PROVIDER: UpperLayer.send_provider_abort,
    Effect.INDICATE_ASSOCIATE: UpperLayer.indicate_associate,
    Effect.CONFIRM_ACCEPT: UpperLayer.confirm_accept,
    Effect.CONFIRM_REJECT: UpperLayer.confirm_reject,
    Effect.INDICATE_RELEASE: UpperLayer.indicate_release,
    Effect.CONFIRM_RELEASE: UpperLayer.confirm_release_to_user,
    Effect.INDICATE_ABORT: UpperLayer.indicate_abort,
    Effect.INDICATE_PROVIDER_ABORT: UpperLayer.indicate_provider_abort,
}

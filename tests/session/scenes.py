"""Upper layers brought into each state by real PDUs and primitives, and what they do in a form to compare."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from dicomio.config import Limits, PresentationContext
from dicomio.errors import AbortReason
from dicomio.machine import Event, State
from dicomio.messages import CommandReceived, DataReceived
from dicomio.negotiation import AcceptedContext, Agreement, Supported, accept, conclude, propose
from dicomio.session import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    UpperLayer,
    UpperLayerEvent,
)
from dicomio.wire.commands import Command, CommandField
from dicomio.wire.pdus import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRP, ReleaseRQ, encode

NOW = 100.0
ARTIM = 30.0

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"

REQUEST = propose(
    called="ARCHIVE",
    calling="MODALITY",
    contexts=[PresentationContext(VERIFICATION), PresentationContext(CT)],
    maximum_length=16384,
)
ACCEPTANCE = accept(REQUEST, lambda uid: Supported(uid, None), maximum_length=16384)
REJECTION = AssociateRJ(1, 1, 7)
CONTEXTS: Mapping[int, AcceptedContext] = conclude(REQUEST, ACCEPTANCE, requestor=True).contexts

ECHO = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION)
ECHO_RESPONSE = Command(CommandField.C_ECHO_RSP, responding_to=1, affected_sop_class_uid=VERIFICATION, status=0x0000)
STORE = Command(
    CommandField.C_STORE_RQ,
    message_id=2,
    affected_sop_class_uid=CT,
    affected_sop_instance_uid="1.2.3",
    priority=0,
    has_data_set=True,
)
STORE_RESPONSE = Command(
    CommandField.C_STORE_RSP,
    responding_to=2,
    affected_sop_class_uid=CT,
    affected_sop_instance_uid="1.2.3",
    status=0x0000,
)

RQ, AC, RJ = encode(REQUEST), encode(ACCEPTANCE), encode(REJECTION)
RELEASE_RQ, RELEASE_RP = encode(ReleaseRQ()), encode(ReleaseRP())
USER_ABORT, PROVIDER_ABORT = encode(Abort(0, 0)), encode(Abort(2, AbortReason.NOT_SPECIFIED))
UNKNOWN_PDU = b"\x08\0\0\0\0\4\0\0\0\0"


def provider_abort(reason: AbortReason) -> bytes:
    """The A-ABORT of a service-provider (PS3.8 9.3.8)."""
    return b"\x07\0\0\0\0\4\0\0\2" + bytes([reason])


def upper_layer(
    *, requestor: bool, limits: Limits | None = None, strict: bool = False, artim: float | None = ARTIM
) -> UpperLayer:
    return UpperLayer(
        requestor=requestor,
        limits=limits or Limits(max_pdu=16384),
        artim=artim,
        strict=strict,
        request=REQUEST if requestor else None,
    )


def established(*, requestor: bool, limits: Limits | None = None, strict: bool = False) -> UpperLayer:
    """An upper layer in Sta6 that has nothing to say."""
    upper = upper_layer(requestor=requestor, limits=limits, strict=strict)
    upper.connected(NOW)
    upper.receive(AC if requestor else RQ, NOW)
    upper.establish(CONTEXTS, 16384)
    if not requestor:
        upper.accept(ACCEPTANCE)
    upper.take_output()
    return upper


Step = Callable[[UpperLayer], object]


def receives(data: bytes) -> Step:
    return lambda upper: upper.receive(data, NOW)


def connects(upper: UpperLayer) -> None:
    upper.connected(NOW)


def accepts(upper: UpperLayer) -> None:
    upper.establish(CONTEXTS, 16384)
    upper.accept(ACCEPTANCE)


def confirms_release(upper: UpperLayer) -> None:
    upper.confirm_release(NOW)


def aborts(upper: UpperLayer) -> None:
    upper.abort(NOW)


def waits_for_transport(upper: UpperLayer) -> None:
    """Whoever calls `connected` has connected already, so Sta4 is passed through at once."""
    upper.step(Event.Evt1)


ACCEPTED: Sequence[Step] = (connects, receives(RQ), accepts)
OPENED: Sequence[Step] = (connects, receives(AC), lambda upper: upper.establish(CONTEXTS, 16384))
RELEASING: Sequence[Step] = (UpperLayer.release,)

# the ways into the states that the acceptor, and the requestor, can be in
ACCEPTOR_WAYS: Mapping[State, Sequence[Step]] = {
    State.Sta1: (),
    State.Sta2: (connects,),
    State.Sta3: (connects, receives(RQ)),
    State.Sta6: ACCEPTED,
    State.Sta7: (*ACCEPTED, *RELEASING),
    State.Sta8: (*ACCEPTED, receives(RELEASE_RQ)),
    State.Sta10: (*ACCEPTED, *RELEASING, receives(RELEASE_RQ)),
    State.Sta12: (*ACCEPTED, *RELEASING, receives(RELEASE_RQ), receives(RELEASE_RP)),
    State.Sta13: (*ACCEPTED, receives(RELEASE_RQ), confirms_release),
}
REQUESTOR_WAYS: Mapping[State, Sequence[Step]] = {
    State.Sta1: (),
    State.Sta4: (waits_for_transport,),
    State.Sta5: (connects,),
    State.Sta6: OPENED,
    State.Sta7: (*OPENED, *RELEASING),
    State.Sta8: (*OPENED, receives(RELEASE_RQ)),
    State.Sta9: (*OPENED, *RELEASING, receives(RELEASE_RQ)),
    State.Sta11: (*OPENED, *RELEASING, receives(RELEASE_RQ), confirms_release),
    State.Sta13: (*OPENED, aborts),
}
SITUATIONS: Sequence[tuple[bool, State]] = (
    *((False, state) for state in ACCEPTOR_WAYS),
    *((True, state) for state in REQUESTOR_WAYS),
)


def bring(requestor: bool, state: State, *, strict: bool = False) -> UpperLayer:
    """An upper layer in this state that has nothing to say."""
    upper = upper_layer(requestor=requestor, strict=strict)
    for step in (REQUESTOR_WAYS if requestor else ACCEPTOR_WAYS)[state]:
        step(upper)
    assert upper.state is state
    upper.take_output()
    return upper


def plain(events: Iterable[UpperLayerEvent]) -> list[tuple[object, ...]]:
    """Events as tuples, the pieces of each data set put together, errors without their words."""
    found: list[tuple[object, ...]] = []
    pending: tuple[int, bytes] | None = None
    for event in events:
        if isinstance(event, DataReceived):
            before = pending[1] if pending is not None else b""
            pending = (event.context_id, before + b"".join(event.chunks))
            if event.last:
                found.append(("data", *pending))
                pending = None
        else:
            if pending is not None:
                found.append(("part of data", *pending))
                pending = None
            found.append(named(event))
    return found if pending is None else [*found, ("part of data", *pending)]


def named(event: UpperLayerEvent) -> tuple[object, ...]:
    match event:
        case Aborted(source, reason, error):
            return "aborted", source, reason, None if error is None else error.reason
        case CommandReceived(context_id, command):
            return "command", context_id, command
        case AssociateRequested(pdu) | AssociateAccepted(pdu) | AssociateRejected(pdu):
            return type(event).__name__, pdu
        case _:
            return (type(event).__name__,)


@cache
def answer_to(pdu: AssociateRQ) -> tuple[AssociateAC, Agreement]:
    """Accepts whatever can be accepted; kept, since the same request is answered thousands of times."""
    answer = accept(pdu, lambda uid: Supported(uid, None), maximum_length=16384)
    return answer, conclude(pdu, answer, requestor=False)


class Talk:
    """One end of a conversation that answers an A-ASSOCIATE-RQ at once, as a server does, and keeps what happened.

    Args:
        upper: the upper layer of this end.
    """

    def __init__(self, upper: UpperLayer) -> None:
        self.upper = upper
        self.events: list[UpperLayerEvent] = []
        self.sent = b""
        upper.connected(NOW)
        self.collect()

    def hear(self, data: bytes) -> None:
        """Takes bytes that may be used for something else afterwards."""
        buffer = bytearray(data)
        for event in self.upper.receive(buffer, NOW):
            self.note(event)
            self.answer(event)
        self.collect()
        buffer[:] = bytes(len(buffer))

    def note(self, event: UpperLayerEvent) -> None:
        if isinstance(event, DataReceived):
            event = DataReceived(event.context_id, [memoryview(bytes(chunk)) for chunk in event.chunks], event.last)
        self.events.append(event)

    def answer(self, event: UpperLayerEvent) -> None:
        upper = self.upper
        match event:
            case AssociateRequested(pdu) if upper.state is State.Sta3:
                self.answer_request(pdu)
            case AssociateAccepted(pdu):
                assert upper.request is not None
                upper.establish(conclude(upper.request, pdu, requestor=True).contexts, pdu.user.maximum_length or 0)

    def answer_request(self, pdu: AssociateRQ) -> None:
        answer, agreement = answer_to(pdu)
        self.upper.establish(agreement.contexts, agreement.send_maximum)
        self.upper.accept(answer)

    def take_turn(self) -> None:
        """Answers what can wait until the peer has said all."""
        if self.upper.state in (State.Sta8, State.Sta9, State.Sta12):
            self.upper.confirm_release(NOW)
        self.collect()

    def collect(self) -> None:
        self.sent += self.upper.take_output()

    def lose(self) -> None:
        """The transport connection ends."""
        for event in self.upper.connection_lost():
            self.note(event)
        self.collect()

    @property
    def outcome(self) -> tuple[object, ...]:
        """All that can be seen from outside."""
        upper = self.upper
        return plain(self.events), self.sent, upper.state, upper.timer, upper.wants_close, tuple(upper.quirks)

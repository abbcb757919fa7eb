"""Establishment: what either side is told, what is refused, and the ARTIM timer (PS3.8 7.1, 9.1.5)."""

from dataclasses import replace

import pytest

from dicomio.errors import AbortReason, LocalProtocolError, RemoteProtocolError
from dicomio.machine import State
from dicomio.session import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    ReleaseConfirmed,
    UpperLayer,
)
from dicomio.wire.commands import encode as encode_command
from dicomio.wire.items import PresentationContextAC
from dicomio.wire.pdata import pack_message
from dicomio.wire.pdus import AssociateAC, AssociateRJ, AssociateRQ, encode
from tests.session.scenes import (
    AC,
    ACCEPTANCE,
    ARTIM,
    CONTEXTS,
    ECHO,
    NOW,
    REJECTION,
    REQUEST,
    RJ,
    RQ,
    SITUATIONS,
    UNKNOWN_PDU,
    USER_ABORT,
    accepts,
    bring,
    plain,
    provider_abort,
    upper_layer,
)

ECHO_PDU = pack_message(1, encode_command(ECHO), None, 100)


def test_acceptor() -> None:
    upper = upper_layer(requestor=False)
    upper.connected(NOW)
    assert upper.receive(RQ, NOW) == [AssociateRequested(REQUEST)]
    upper.establish(CONTEXTS, 16384)
    upper.accept(ACCEPTANCE)
    assert upper.take_output() == AC
    assert plain(upper.receive(ECHO_PDU, NOW)) == [("command", 1, ECHO)]
    assert upper.quirks == []


def test_requestor() -> None:
    upper = upper_layer(requestor=True)
    upper.connected(NOW)
    assert upper.take_output() == RQ
    assert upper.receive(AC, NOW) == [AssociateAccepted(ACCEPTANCE)]
    upper.establish(CONTEXTS, 16384)
    assert plain(upper.receive(ECHO_PDU, NOW)) == [("command", 1, ECHO)]


def test_nothing_to_send_is_nothing() -> None:
    assert upper_layer(requestor=False).take_output() == b""


def test_request_right_behind_the_acceptance() -> None:
    upper = upper_layer(requestor=True)
    upper.connected(NOW)
    assert plain(upper.receive(AC + ECHO_PDU, NOW)) == [("AssociateAccepted", ACCEPTANCE), ("command", 1, ECHO)]


def test_request_on_a_context_that_the_acceptance_refuses() -> None:
    refused = replace(ACCEPTANCE, contexts=(PresentationContextAC(1, 3, ""), *ACCEPTANCE.contexts[1:]))
    upper = upper_layer(requestor=True)
    upper.connected(NOW)
    upper.take_output()
    upper.receive(encode(refused) + ECHO_PDU, NOW)
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU_PARAMETER)


def test_rejection_by_the_user() -> None:
    upper = bring(False, State.Sta3)
    upper.reject(REJECTION, NOW + 1)
    assert (upper.take_output(), upper.timer, upper.wants_close) == (RJ, NOW + 1 + ARTIM, False)
    assert upper.connection_lost() == []
    assert (upper.state, upper.timer) == (State.Sta1, None)


@pytest.mark.parametrize(
    "request_pdu, answer",
    [
        (replace(REQUEST, protocol_version=2), AssociateRJ(1, 2, 2)),
        (replace(REQUEST, application_context="1.2.3"), AssociateRJ(1, 1, 2)),
    ],
    ids=["protocol version", "application context"],
)
def test_rejection_by_the_provider(request_pdu: AssociateRQ, answer: AssociateRJ) -> None:
    upper = bring(False, State.Sta2)
    assert upper.receive(encode(request_pdu), NOW + 1) == [AssociateRejected(answer)]
    assert upper.take_output() == encode(answer)
    assert (upper.state, upper.timer, upper.wants_close) == (State.Sta13, NOW + 1 + ARTIM, False)


def test_request_that_would_be_rejected_is_unexpected_on_an_association() -> None:
    upper = bring(False, State.Sta6)
    (event,) = upper.receive(encode(replace(REQUEST, protocol_version=2)), NOW)
    assert isinstance(event, Aborted)
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU)


@pytest.mark.parametrize("requestor", [False, True])
def test_second_request_on_an_association(requestor: bool) -> None:
    upper = bring(requestor, State.Sta6)
    (event,) = upper.receive(RQ, NOW)
    assert isinstance(event, Aborted)
    assert str(event.error) == "peer sent an unexpected A-ASSOCIATE-RQ PDU"
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU)
    assert (upper.state, upper.timer) == (State.Sta13, NOW + ARTIM)


def test_answers_that_cannot_be_sent_leave_room_for_another() -> None:
    upper = bring(False, State.Sta3)
    contexts = (PresentationContextAC(1, 0, " "),)
    with pytest.raises(LocalProtocolError):
        upper.accept(AssociateAC("A", "B", contexts, ACCEPTANCE.user))
    with pytest.raises(LocalProtocolError):
        upper.reject(AssociateRJ(1, 256, 1), NOW)
    with pytest.raises(LocalProtocolError):
        upper.abort(NOW, 256)
    assert (upper.state, upper.output) == (State.Sta3, [])
    accepts(upper)
    assert upper.take_output() == AC


def test_request_that_cannot_be_sent() -> None:
    upper = upper_layer(requestor=True)
    upper.request = replace(REQUEST, contexts=())
    with pytest.raises(LocalProtocolError):
        upper.connected(NOW)
    assert (upper.state, upper.output) == (State.Sta1, [])


@pytest.mark.parametrize("requestor, state", [situation for situation in SITUATIONS if situation[1] in (1, 4)])
def test_bytes_without_a_connection_are_dropped(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    assert upper.receive(RQ, NOW) == upper.receive(b"garbage", NOW) == []
    assert (upper.state, upper.output) == (state, [])


@pytest.mark.parametrize("requestor, state", SITUATIONS)
def test_bytes_after_the_connection_are_dropped(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    upper.connection_lost()
    for data in (RQ, AC, ECHO_PDU, USER_ABORT, UNKNOWN_PDU):
        assert upper.receive(data, NOW) == []
    assert upper.connection_lost() == []
    assert (upper.state, upper.output, upper.timer) == (State.Sta1, [], None)


@pytest.mark.parametrize("requestor, state", [situation for situation in SITUATIONS if situation[1] not in (1, 4)])
def test_events_belong_to_whoever_got_them(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    upper.receive(b"", NOW).append(ReleaseConfirmed())
    assert upper.receive(b"", NOW) == []


@pytest.mark.parametrize("requestor, state", [situation for situation in SITUATIONS if situation[1] not in (1, 4)])
def test_bytes_after_the_close_are_dropped(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    events = upper.receive(USER_ABORT + RQ + AC + ECHO_PDU, NOW)
    assert plain(events) == ([] if state in (2, 13) else [("aborted", 0, 0, None)])
    assert (upper.wants_close, upper.output, upper.state) == (True, [], State.Sta1)
    assert upper.receive(RQ, NOW) == []


# the ARTIM timer


@pytest.mark.parametrize("state", [State.Sta2, State.Sta13])
def test_artim_expires(state: State) -> None:
    upper = bring(False, state)
    due = upper.timer
    assert due == NOW + ARTIM
    assert upper.handle_timer(due - 0.001) == []
    assert (upper.state, upper.wants_close) == (state, False)
    assert upper.handle_timer(due) == []
    assert (upper.state, upper.wants_close, upper.timer, upper.output) == (State.Sta1, True, None, [])
    assert upper.handle_timer(NOW + 1000) == []


def test_artim_is_not_restarted_by_a_trickle() -> None:
    upper = bring(False, State.Sta2)
    for index, byte in enumerate(RQ[:-1]):
        assert upper.receive(bytes([byte]), NOW + index / 10) == []
    assert upper.timer == NOW + ARTIM
    upper.handle_timer(NOW + ARTIM)
    assert upper.wants_close


def test_artim_stops_with_the_request_and_starts_with_the_abort() -> None:
    upper = bring(False, State.Sta2)
    upper.receive(RQ, NOW)
    assert upper.timer is None
    upper.abort(NOW + 5)
    assert upper.timer == NOW + 5 + ARTIM


@pytest.mark.parametrize("state", [State.Sta3, State.Sta6, State.Sta8, State.Sta12])
def test_timer_that_does_not_run_does_not_expire(state: State) -> None:
    upper = bring(False, state)
    assert upper.handle_timer(NOW + 1000) == []
    assert (upper.state, upper.wants_close) == (state, False)


def test_artim_may_be_endless() -> None:
    upper = upper_layer(requestor=False, artim=None)
    upper.connected(NOW)
    assert upper.timer is None
    assert upper.handle_timer(NOW + 1_000_000) == []
    assert upper.state is State.Sta2


# strictness


def odd_request() -> bytes:
    """An A-ASSOCIATE-RQ whose titles are padded with NUL."""
    return RQ[:10] + RQ[10:42].replace(b" ", b"\0") + RQ[42:]


def receive_odd(upper: UpperLayer) -> list[tuple[object, ...]]:
    upper.connected(NOW)
    return plain(upper.receive(odd_request(), NOW))


def test_defects_are_noted() -> None:
    upper = upper_layer(requestor=False)
    assert receive_odd(upper) == [("AssociateRequested", REQUEST)]
    assert upper.quirks == ["called AE title is padded with NUL", "calling AE title is padded with NUL"]


def test_defects_are_refused_where_strict() -> None:
    upper = upper_layer(requestor=False, strict=True)
    assert receive_odd(upper) == [("aborted", 0, 0, AbortReason.INVALID_PDU_PARAMETER)]
    assert upper.take_output() == USER_ABORT


def test_defects_of_the_acceptance_are_refused_where_strict() -> None:
    upper = upper_layer(requestor=True, strict=True)
    upper.connected(NOW)
    upper.take_output()
    answer = replace(ACCEPTANCE, contexts=(*ACCEPTANCE.contexts, PresentationContextAC(1, 0, "1.2")))
    (event,) = upper.receive(encode(answer), NOW)
    assert isinstance(event, Aborted)
    assert isinstance(event.error, RemoteProtocolError)
    assert upper.take_output() == provider_abort(AbortReason.INVALID_PDU_PARAMETER)


def test_strictness_takes_what_is_right() -> None:
    upper = upper_layer(requestor=False, strict=True)
    upper.connected(NOW)
    assert upper.receive(RQ, NOW) == [AssociateRequested(REQUEST)]

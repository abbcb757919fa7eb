"""Abort: by either user, by this provider, and what is heard after it (PS3.8 7.3, 7.4, 9.3.8)."""

import pytest

from dicomio.errors import AbortReason, AbortSource, LocalProtocolError
from dicomio.machine import State
from dicomio.session import Aborted
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message
from tests.session.scenes import (
    AC,
    ARTIM,
    ECHO,
    NOW,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    SITUATIONS,
    STORE,
    UNKNOWN_PDU,
    USER_ABORT,
    bring,
    plain,
    provider_abort,
)

ECHO_PDU = pack_message(1, encode(ECHO), None, 100)
STORE_PDUS = pack_message(1, encode(STORE), bytes(100), 60)

CONNECTED = [situation for situation in SITUATIONS if situation[1] not in (State.Sta1, State.Sta4)]
# in which there is an association, or one is being made
OPEN = [situation for situation in CONNECTED if situation[1] not in (State.Sta2, State.Sta13)]


@pytest.mark.parametrize("requestor, state", OPEN)
def test_abort_by_the_user(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    upper.abort(NOW + 2)
    assert (upper.take_output(), upper.state, upper.timer) == (USER_ABORT, State.Sta13, NOW + 2 + ARTIM)
    assert not upper.wants_close
    assert upper.connection_lost() == []


@pytest.mark.parametrize("requestor, state", OPEN)
def test_abort_with_a_source_and_a_reason(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    upper.abort(NOW, AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU_PARAMETER)
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU_PARAMETER)


def test_abort_before_the_connection() -> None:
    upper = bring(True, State.Sta4)
    upper.abort(NOW)
    assert (upper.state, upper.wants_close, upper.output) == (State.Sta1, True, [])


@pytest.mark.parametrize("requestor, state", [(False, State.Sta1), (False, State.Sta2), (False, State.Sta13)])
def test_nothing_to_abort(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    timer = upper.timer
    with pytest.raises(LocalProtocolError, match="A-ABORT request"):
        upper.abort(NOW + 9, AbortSource.SERVICE_PROVIDER, 6)
    assert (upper.state, upper.output, upper.timer) == (state, [], timer)


def test_vain_abort_leaves_no_trace_in_a_later_one() -> None:
    upper = bring(False, State.Sta2)
    with pytest.raises(LocalProtocolError):
        upper.abort(NOW, AbortSource.SERVICE_PROVIDER, 6)
    upper.receive(b"garbage", NOW)
    assert upper.take_output() == USER_ABORT


@pytest.mark.parametrize("requestor, state", OPEN)
@pytest.mark.parametrize("source, reason", [(0, 0), (1, 0), (2, 0), (2, 6), (2, 3), (7, 99)])
def test_abort_by_the_peer(requestor: bool, state: State, source: int, reason: int) -> None:
    upper = bring(requestor, state)
    assert upper.receive(b"\7\0\0\0\0\4\0\0" + bytes([source, reason]), NOW) == [Aborted(source, reason)]
    assert (upper.state, upper.wants_close, upper.output) == (State.Sta1, True, [])
    assert upper.connection_lost() == []


@pytest.mark.parametrize("requestor, state", [(False, State.Sta2), (False, State.Sta13), (True, State.Sta13)])
def test_abort_by_the_peer_without_an_association(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    assert upper.receive(USER_ABORT, NOW) == []
    assert (upper.state, upper.wants_close, upper.timer, upper.output) == (State.Sta1, True, None, [])


@pytest.mark.parametrize("requestor, state", OPEN)
def test_loss_of_the_connection(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    assert upper.connection_lost() == [Aborted(AbortSource.SERVICE_PROVIDER, 0)]
    assert (upper.state, upper.wants_close, upper.output) == (State.Sta1, False, [])


@pytest.mark.parametrize("requestor, state", CONNECTED)
def test_unrecognized_pdu(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    events = upper.receive(UNKNOWN_PDU, NOW)
    sent = USER_ABORT if state is State.Sta2 else provider_abort(AbortReason.UNRECOGNIZED_PDU)
    assert (upper.take_output(), upper.state, upper.timer) == (sent, State.Sta13, NOW + ARTIM)
    assert [str(event.error) for event in events if isinstance(event, Aborted)] == (
        [] if state is State.Sta13 else ["peer sent PDU type 0x08"]
    )


@pytest.mark.parametrize(
    "pdu, name",
    [
        (AC, "A-ASSOCIATE-AC"),
        (RJ, "A-ASSOCIATE-RJ"),
        (ECHO_PDU, "P-DATA-TF"),
        (RELEASE_RQ, "A-RELEASE-RQ"),
        (RELEASE_RP, "A-RELEASE-RP"),
    ],
)
def test_somebody_hears_why_no_association_came_about(pdu: bytes, name: str) -> None:
    upper = bring(False, State.Sta2)
    (event,) = upper.receive(pdu, NOW)
    assert isinstance(event, Aborted)
    assert str(event.error) == f"peer sent an unexpected {name} PDU"
    assert upper.take_output() == USER_ABORT


def test_acceptance_instead_of_a_data_set() -> None:
    upper = bring(False, State.Sta6)
    events = plain(upper.receive(pack_message(1, encode(STORE), None, 1000) + AC, NOW))
    assert events == [("command", 1, STORE), ("aborted", 2, 2, AbortReason.UNEXPECTED_PDU)]
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU)


def test_acceptance_in_the_middle_of_a_data_set() -> None:
    upper = bring(False, State.Sta6)
    part = b"\4\0\0\0\0\x0a\0\0\0\6\1\0data"
    events = plain(upper.receive(pack_message(1, encode(STORE), None, 1000) + part + AC, NOW))
    assert events == [
        ("command", 1, STORE),
        ("part of data", 1, b"data"),
        ("aborted", 2, 2, AbortReason.UNEXPECTED_PDU),
    ]


@pytest.mark.parametrize("pdu", [RQ, AC, RJ, STORE_PDUS, RELEASE_RQ, RELEASE_RP])
def test_pdus_after_our_abort(pdu: bytes) -> None:
    upper = bring(False, State.Sta6)
    upper.abort(NOW)
    upper.take_output()
    assert upper.receive(pdu, NOW + 9) == []
    # "A-ASSOCIATE-RQ PDU: AA-7", all others are ignored
    assert upper.take_output() == (provider_abort(AbortReason.UNEXPECTED_PDU) if pdu == RQ else b"")
    assert (upper.state, upper.timer) == (State.Sta13, NOW + ARTIM)


def test_rest_of_the_data_after_our_abort_is_dropped() -> None:
    for cut in range(1, len(STORE_PDUS)):
        upper = bring(False, State.Sta6)
        upper.receive(STORE_PDUS[:cut], NOW)
        upper.abort(NOW)
        upper.take_output()
        assert upper.receive(STORE_PDUS[cut:], NOW) == []
        assert upper.receive(USER_ABORT, NOW) == []
        assert (upper.wants_close, upper.output) == (True, [])


@pytest.mark.parametrize("requestor, state", CONNECTED)
def test_nothing_is_heard_after_a_violation(requestor: bool, state: State) -> None:
    upper = bring(requestor, state)
    upper.receive(UNKNOWN_PDU + RQ + UNKNOWN_PDU, NOW)
    before = upper.take_output()
    assert len(before) == len(USER_ABORT)
    for data in (RQ, USER_ABORT, UNKNOWN_PDU):
        assert upper.receive(data, NOW) == []
    assert (upper.state, upper.output, upper.wants_close) == (State.Sta13, [], False)
    upper.handle_timer(NOW + ARTIM)
    assert upper.wants_close


def test_request_and_an_unknown_pdu_in_one_segment() -> None:
    upper = bring(False, State.Sta2)
    events = plain(upper.receive(RQ + UNKNOWN_PDU, NOW))
    assert [event[0] for event in events] == ["AssociateRequested", "aborted"]
    assert upper.take_output() == provider_abort(AbortReason.UNRECOGNIZED_PDU)
    assert upper.state is State.Sta13

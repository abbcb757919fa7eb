"""Release: in good order, from both sides at once, and with data on its way (PS3.8 7.2, 9.2)."""

import pytest

from dicomio.errors import AbortReason, LocalProtocolError
from dicomio.machine import State
from dicomio.session import ReleaseConfirmed, ReleaseRequested, UpperLayer
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message
from tests.session.scenes import (
    ARTIM,
    ECHO,
    NOW,
    RELEASE_RP,
    RELEASE_RQ,
    STORE,
    bring,
    established,
    plain,
    provider_abort,
)

BOTH = pytest.mark.parametrize("requestor", [False, True])
STORE_PDUS = pack_message(1, encode(STORE), bytes(100), 60)


@BOTH
def test_release_of_ours(requestor: bool) -> None:
    upper = established(requestor=requestor)
    upper.release()
    assert (upper.state, upper.take_output()) == (State.Sta7, RELEASE_RQ)
    assert upper.receive(RELEASE_RP, NOW) == [ReleaseConfirmed()]
    assert (upper.state, upper.wants_close, upper.timer, upper.output) == (State.Sta1, True, None, [])
    assert upper.connection_lost() == []


@BOTH
def test_release_of_the_peer(requestor: bool) -> None:
    upper = established(requestor=requestor)
    assert upper.receive(RELEASE_RQ, NOW) == [ReleaseRequested()]
    upper.confirm_release(NOW + 3)
    assert (upper.state, upper.take_output(), upper.timer) == (State.Sta13, RELEASE_RP, NOW + 3 + ARTIM)
    assert not upper.wants_close
    assert upper.connection_lost() == []
    assert (upper.state, upper.timer) == (State.Sta1, None)


def test_collision_at_the_requestor() -> None:
    upper = established(requestor=True)
    upper.release()
    assert upper.receive(RELEASE_RQ, NOW) == [ReleaseRequested()]
    assert (upper.state, upper.take_output()) == (State.Sta9, RELEASE_RQ)
    upper.confirm_release(NOW)
    assert (upper.state, upper.take_output(), upper.timer) == (State.Sta11, RELEASE_RP, None)
    assert upper.receive(RELEASE_RP, NOW) == [ReleaseConfirmed()]
    assert (upper.state, upper.wants_close, upper.output) == (State.Sta1, True, [])


def test_collision_at_the_acceptor() -> None:
    upper = established(requestor=False)
    upper.release()
    assert upper.receive(RELEASE_RQ, NOW) == [ReleaseRequested()]
    assert (upper.state, upper.take_output()) == (State.Sta10, RELEASE_RQ)
    assert upper.receive(RELEASE_RP, NOW) == [ReleaseConfirmed()]
    assert (upper.state, upper.output) == (State.Sta12, [])
    upper.confirm_release(NOW)
    assert (upper.state, upper.take_output(), upper.timer) == (State.Sta13, RELEASE_RP, NOW + ARTIM)


def test_collision_between_the_two() -> None:
    requestor, acceptor = established(requestor=True), established(requestor=False)
    requestor.release()
    acceptor.release()
    crossing = requestor.take_output(), acceptor.take_output()
    assert requestor.receive(crossing[1], NOW) == acceptor.receive(crossing[0], NOW) == [ReleaseRequested()]
    requestor.confirm_release(NOW)
    assert acceptor.receive(requestor.take_output(), NOW) == [ReleaseConfirmed()]
    acceptor.confirm_release(NOW)
    assert requestor.receive(acceptor.take_output(), NOW) == [ReleaseConfirmed()]
    assert requestor.wants_close
    assert acceptor.connection_lost() == requestor.connection_lost() == []
    assert requestor.state is acceptor.state is State.Sta1


def test_acceptor_answers_too_early_in_a_collision() -> None:
    upper = bring(False, State.Sta10)
    with pytest.raises(LocalProtocolError, match="Sta10"):
        upper.confirm_release(NOW)
    assert (upper.state, upper.output) == (State.Sta10, [])


def test_peer_answers_too_early_in_a_collision() -> None:
    upper = bring(True, State.Sta9)
    assert plain(upper.receive(RELEASE_RP, NOW)) == [("aborted", 2, 2, AbortReason.UNEXPECTED_PDU)]
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU)


@BOTH
def test_confirmation_that_nobody_asked_for(requestor: bool) -> None:
    upper = established(requestor=requestor)
    assert plain(upper.receive(RELEASE_RP, NOW)) == [("aborted", 2, 2, AbortReason.UNEXPECTED_PDU)]
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU)


@BOTH
def test_data_after_our_release_request_is_delivered(requestor: bool) -> None:
    upper = established(requestor=requestor)
    upper.release()
    assert plain(upper.receive(STORE_PDUS, NOW)) == [("command", 1, STORE), ("data", 1, bytes(100))]
    assert upper.state is State.Sta7
    assert upper.receive(RELEASE_RP, NOW) == [ReleaseConfirmed()]


@BOTH
def test_data_and_the_confirmation_in_one_segment(requestor: bool) -> None:
    upper = established(requestor=requestor)
    upper.release()
    events = plain(upper.receive(STORE_PDUS + RELEASE_RP, NOW))
    assert events == [("command", 1, STORE), ("data", 1, bytes(100)), ("ReleaseConfirmed",)]


@BOTH
def test_release_in_the_middle_of_data(requestor: bool) -> None:
    for cut in range(1, len(STORE_PDUS)):
        upper = established(requestor=requestor)
        events = upper.receive(STORE_PDUS[:cut], NOW)
        upper.release()
        events += upper.receive(STORE_PDUS[cut:] + RELEASE_RP, NOW)
        assert plain(events) == [("command", 1, STORE), ("data", 1, bytes(100)), ("ReleaseConfirmed",)]


@BOTH
def test_data_after_the_release_request_of_the_peer(requestor: bool) -> None:
    upper = established(requestor=requestor)
    events = plain(upper.receive(RELEASE_RQ + STORE_PDUS, NOW))
    assert events == [("ReleaseRequested",), ("aborted", 2, 2, AbortReason.UNEXPECTED_PDU)]
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU)


@BOTH
def test_responses_are_sent_before_the_release_is_confirmed(requestor: bool) -> None:
    upper = established(requestor=requestor)
    upper.receive(RELEASE_RQ, NOW)
    assert upper.message(1, ECHO) == pack_message(1, encode(ECHO), None, 100)
    assert upper.command(1, STORE) == pack_message(1, encode(STORE), None, 1000)
    upper.confirm_release(NOW)
    for send in (UpperLayer.message, UpperLayer.command):
        with pytest.raises(LocalProtocolError, match="Sta13"):
            send(upper, 1, ECHO)


@BOTH
def test_connection_lost_instead_of_the_confirmation(requestor: bool) -> None:
    upper = established(requestor=requestor)
    upper.release()
    assert plain(upper.connection_lost()) == [("aborted", 2, 0, None)]

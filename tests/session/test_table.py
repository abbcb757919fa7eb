"""Every event in every state that either side can be in, through PDUs and primitives (PS3.8 Table 9-10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from dicomio.errors import LocalProtocolError
from dicomio.machine import TRANSITIONS, Event, State
from dicomio.session import UpperLayer, UpperLayerEvent
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message
from tests.session.scenes import (
    AC,
    ACCEPTANCE,
    ARTIM,
    ECHO,
    NOW,
    REJECTION,
    RELEASE_RP,
    RELEASE_RQ,
    REQUEST,
    RJ,
    RQ,
    SITUATIONS,
    UNKNOWN_PDU,
    USER_ABORT,
    bring,
    plain,
    upper_layer,
)

LATER = NOW + 7
DATA_PDU = pack_message(1, encode(ECHO), None, 100)

PDUS: Mapping[Event, bytes] = {
    Event.Evt3: AC,
    Event.Evt4: RJ,
    Event.Evt6: RQ,
    Event.Evt10: DATA_PDU,
    Event.Evt12: RELEASE_RQ,
    Event.Evt13: RELEASE_RP,
    Event.Evt16: USER_ABORT,
    Event.Evt19: UNKNOWN_PDU,
}


@dataclass(frozen=True)
class Outcome:
    """What an action does (PS3.8 Tables 9-6 to 9-9).

    Args:
        state: the next one.
        sent: bytes.
        events: what the user is told.
        timer: of ARTIM: started, stopped or left.
        closes: the transport connection is to be closed.
    """

    state: State
    sent: bytes = b""
    events: Sequence[tuple[object, ...]] = ()
    timer: str = "left"
    closes: bool = False


ABORTED_BY_USER = ("aborted", 0, 0, None)
LOST = ("aborted", 2, 0, None)

OUTCOMES: Mapping[str, Outcome] = {
    "AE-3": Outcome(State.Sta6, b"", [("AssociateAccepted", ACCEPTANCE)]),
    "AE-4": Outcome(State.Sta1, b"", [("AssociateRejected", REJECTION)], closes=True),
    "AE-5": Outcome(State.Sta2, timer="started"),
    "AE-6": Outcome(State.Sta3, b"", [("AssociateRequested", REQUEST)], "stopped"),
    "AE-7": Outcome(State.Sta6, AC),
    "AE-8": Outcome(State.Sta13, RJ, timer="started"),
    "DT-1": Outcome(State.Sta6, DATA_PDU),
    "DT-2": Outcome(State.Sta6, b"", [("command", 1, ECHO)]),
    "AR-1": Outcome(State.Sta7, RELEASE_RQ),
    "AR-2": Outcome(State.Sta8, b"", [("ReleaseRequested",)]),
    "AR-3": Outcome(State.Sta1, b"", [("ReleaseConfirmed",)], closes=True),
    "AR-4": Outcome(State.Sta13, RELEASE_RP, timer="started"),
    "AR-5": Outcome(State.Sta1, timer="stopped"),
    "AR-6": Outcome(State.Sta7, b"", [("command", 1, ECHO)]),
    "AR-7": Outcome(State.Sta8, DATA_PDU),
    "AR-9": Outcome(State.Sta11, RELEASE_RP),
    "AR-10": Outcome(State.Sta12, b"", [("ReleaseConfirmed",)]),
    "AA-2": Outcome(State.Sta1, timer="stopped", closes=True),
    "AA-3": Outcome(State.Sta1, b"", [ABORTED_BY_USER], closes=True),
    "AA-4": Outcome(State.Sta1, b"", [LOST]),
    "AA-5": Outcome(State.Sta1, timer="stopped"),
    "AA-6": Outcome(State.Sta13),
}


def expected(requestor: bool, state: State, event: Event) -> Outcome | None:
    """What the table says; `None` for a blank cell."""
    name = TRANSITIONS.get((state, event))
    if name is None:
        return None
    # "A-ABORT PDU ... reason": 1 unrecognized-PDU, 2 unexpected-PDU (PS3.8 Table 9-26)
    reason = 1 if event is Event.Evt19 else 2
    provider = b"\x07\0\0\0\0\4\0\0\2" + bytes([reason])
    if name == "AR-8":
        return Outcome(State.Sta9 if requestor else State.Sta10, b"", [("ReleaseRequested",)])
    if name == "AA-1":
        told = [] if event is Event.Evt15 else [("aborted", 0, 0, reason)]
        return Outcome(State.Sta13, USER_ABORT, told, "started")
    if name == "AA-7":
        return Outcome(State.Sta13, provider)
    if name == "AA-8":
        return Outcome(State.Sta13, provider, [("aborted", 2, reason, reason)], "started")
    return OUTCOMES[name]


def happen(upper: UpperLayer, event: Event) -> tuple[bytes, list[UpperLayerEvent]]:
    """Lets an event happen; returns what is sent besides the output, and what the user is told."""
    match event:
        case Event.Evt5:
            upper.connected(LATER)
        case Event.Evt7:
            upper.accept(ACCEPTANCE)
        case Event.Evt8:
            upper.reject(REJECTION, LATER)
        case Event.Evt9:
            return upper.message(1, ECHO), []
        case Event.Evt11:
            upper.release()
        case Event.Evt14:
            upper.confirm_release(LATER)
        case Event.Evt15:
            upper.abort(LATER)
        case Event.Evt17:
            return b"", upper.connection_lost()
        case Event.Evt18:
            return b"", upper.handle_timer(NOW + ARTIM)
        case _:
            return b"", upper.receive(PDUS[event], LATER)
    return b"", []


PRIMITIVES = (Event.Evt5, Event.Evt7, Event.Evt8, Event.Evt9, Event.Evt11, Event.Evt14, Event.Evt15)
FROM_OUTSIDE = (*PDUS, Event.Evt17, Event.Evt18)
# The transport connection of a requestor is there before the upper layer hears of it: `connected` is two steps at
# once, Evt1 and Evt2, and never Evt5.
CELLS = [
    (requestor, state, event)
    for requestor, state in SITUATIONS
    for event in (*PRIMITIVES, *FROM_OUTSIDE)
    if not (requestor and event is Event.Evt5)
]


@pytest.mark.parametrize(
    "requestor, state, event",
    [
        pytest.param(*cell, id=f"{'requestor' if cell[0] else 'acceptor'}-{cell[1].name}-{cell[2].name}")
        for cell in CELLS
    ],
)
def test_cell(requestor: bool, state: State, event: Event) -> None:
    upper = bring(requestor, state)
    timer = upper.timer
    outcome = expected(requestor, state, event)
    if outcome is None and event in PRIMITIVES:
        with pytest.raises(LocalProtocolError, match=f"not possible in {state.name}"):
            happen(upper, event)
        outcome, sent, events = Outcome(state), b"", list[UpperLayerEvent]()
    else:
        # what cannot happen is not the peer's doing: there is no connection, or the timer does not run
        outcome = outcome or Outcome(state)
        sent, events = happen(upper, event)
    assert upper.state is outcome.state
    assert sent + upper.take_output() == outcome.sent
    assert plain(events) == list(outcome.events)
    assert upper.timer == {"left": timer, "started": LATER + ARTIM, "stopped": None}[outcome.timer]
    assert upper.wants_close is outcome.closes


def test_every_state_is_reached() -> None:
    assert {state for _, state in SITUATIONS} == set(State)


def test_connection_of_a_requestor() -> None:
    upper = upper_layer(requestor=True)
    upper.connected(NOW)
    assert (upper.state, upper.take_output(), upper.timer, upper.wants_close) == (State.Sta5, RQ, None, False)


@pytest.mark.parametrize("state", [state for requestor, state in SITUATIONS if requestor and state is not State.Sta1])
def test_second_connection_of_a_requestor(state: State) -> None:
    upper = bring(True, state)
    with pytest.raises(LocalProtocolError, match=f"not possible in {state.name}"):
        upper.connected(LATER)
    assert (upper.state, upper.take_output()) == (state, b"")


def test_every_cell_is_tried() -> None:
    tried = {(state, event) for _, state, event in CELLS}
    assert set(TRANSITIONS) - tried == {(State.Sta1, Event.Evt1), (State.Sta4, Event.Evt2)}

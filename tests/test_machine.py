"""The state machine against the rules of PS3.8 9.2, written down a second time, and against another implementation."""

import re
import runpy
import sys
from collections.abc import Iterable

import pytest
from pynetdicom import fsm

from dicomio import machine
from dicomio.errors import LocalProtocolError
from dicomio.machine import ACTIONS, TABLE, TRANSITIONS, Effect, Event, State, StateMachine, graph

ASSOCIATED = range(6, 13)
OPENED = (3, 5, *ASSOCIATED)
NON_BLANK_CELLS = 123

Rule = tuple[Iterable[int], Iterable[int], int, tuple[Effect, ...]]

# events, states, next state, effects; the first rule that names a cell decides it
RULES: tuple[Rule, ...] = (
    # association establishment
    ([1], [1], 4, (Effect.CONNECT,)),
    ([2], [4], 5, (Effect.SEND_ASSOCIATE_RQ,)),
    ([3], [5], 6, (Effect.CONFIRM_ACCEPT,)),
    ([4], [5], 1, (Effect.CONFIRM_REJECT, Effect.CLOSE)),
    ([5], [1], 2, (Effect.START_ARTIM,)),
    ([6], [2], 3, (Effect.STOP_ARTIM, Effect.INDICATE_ASSOCIATE)),
    ([7], [3], 6, (Effect.SEND_ASSOCIATE_AC,)),
    ([8], [3], 13, (Effect.SEND_ASSOCIATE_RJ, Effect.START_ARTIM)),
    # data transfer; data may follow our own release request, and precede our answer to the peer's
    ([9], [6], 6, (Effect.SEND_P_DATA,)),
    ([9], [8], 8, (Effect.SEND_P_DATA,)),
    ([10], [6], 6, (Effect.INDICATE_P_DATA,)),
    ([10], [7], 7, (Effect.INDICATE_P_DATA,)),
    # release
    ([11], [6], 7, (Effect.SEND_RELEASE_RQ,)),
    ([12], [6], 8, (Effect.INDICATE_RELEASE,)),
    ([13], [7, 11], 1, (Effect.CONFIRM_RELEASE, Effect.CLOSE)),
    ([13], [10], 12, (Effect.CONFIRM_RELEASE,)),
    ([14], [8, 12], 13, (Effect.SEND_RELEASE_RP, Effect.START_ARTIM)),
    ([14], [9], 11, (Effect.SEND_RELEASE_RP,)),
    # abort, loss of the connection, timer
    ([15], [4], 1, (Effect.STOP_ARTIM, Effect.CLOSE)),
    ([15], OPENED, 13, (Effect.SEND_ABORT_USER, Effect.START_ARTIM)),
    ([16], [2, 13], 1, (Effect.STOP_ARTIM, Effect.CLOSE)),
    ([16], OPENED, 1, (Effect.INDICATE_ABORT, Effect.CLOSE)),
    ([17], [2, 13], 1, (Effect.STOP_ARTIM,)),
    ([17], [4, *OPENED], 1, (Effect.INDICATE_PROVIDER_ABORT,)),
    ([18], [2, 13], 1, (Effect.STOP_ARTIM, Effect.CLOSE)),
    # PDUs where they are not expected
    ([3, 4, 10, 12, 13, 19], [2], 13, (Effect.SEND_ABORT_USER, Effect.START_ARTIM)),
    ([3, 4, 10, 12, 13], [13], 13, ()),
    ([6, 19], [13], 13, (Effect.SEND_ABORT_PROVIDER,)),
)
UNEXPECTED: Rule = (
    [3, 4, 6, 10, 12, 13, 19],
    OPENED,
    13,
    (Effect.SEND_ABORT_PROVIDER, Effect.INDICATE_PROVIDER_ABORT, Effect.START_ARTIM),
)


def expected(requestor: bool) -> dict[tuple[int, int], tuple[int, tuple[Effect, ...]]]:
    """Next state and effects by state and event."""
    collision: Rule = ([12], [7], 9 if requestor else 10, (Effect.INDICATE_RELEASE,))
    cells: dict[tuple[int, int], tuple[int, tuple[Effect, ...]]] = {}
    for events, states, next_state, effects in (*RULES, collision, UNEXPECTED):
        for state in states:
            for event in events:
                cells.setdefault((state, event), (next_state, effects))
    return cells


def at(state: State, *, requestor: bool) -> StateMachine:
    subject = StateMachine(requestor=requestor)
    subject.state = state
    return subject


@pytest.mark.parametrize("requestor", [True, False])
def test_every_event_in_every_state(requestor: bool) -> None:
    cells = expected(requestor)
    for state in State:
        for event in Event:
            subject = at(state, requestor=requestor)
            if (state, event) in cells:
                effects = subject.step(event)
                assert (subject.state, effects) == cells[state, event], (state, event)
            else:
                with pytest.raises(LocalProtocolError, match=rf"\({event.name}\) is not possible in {state.name}:"):
                    subject.step(event)
                assert subject.state is state


def test_as_many_cells_as_the_standard_has() -> None:
    assert len(TRANSITIONS) == len(expected(True)) == NON_BLANK_CELLS
    assert set(TRANSITIONS.values()) == set(ACTIONS)


def test_same_table_as_pynetdicom() -> None:
    assert {(event.name, state.name): name for (state, event), name in TRANSITIONS.items()} == fsm.TRANSITION_TABLE


@pytest.mark.parametrize("name", ACTIONS)
def test_same_next_states_as_pynetdicom(name: str) -> None:
    action = ACTIONS[name]
    states = [action.next_state.name, *([action.otherwise.next_state.name] if action.otherwise else [])]
    theirs = fsm.ACTIONS[name][2]
    assert states == ([theirs] if isinstance(theirs, str) else list(theirs))


def test_rows_and_events_have_the_same_words() -> None:
    rows = TABLE.splitlines()[2:]
    assert len(rows) == len(Event)
    for row, event in zip(rows, Event, strict=True):
        assert re.match(rf"{event.name} +{re.escape(event.description)} ", f"{row} ")


def test_unacceptable_request_is_rejected() -> None:
    subject = at(State.Sta2, requestor=False)
    effects = subject.step(Event.Evt6, acceptable=False)
    assert effects == (Effect.STOP_ARTIM, Effect.SEND_ASSOCIATE_RJ, Effect.START_ARTIM)
    assert subject.state is State.Sta13


@pytest.mark.parametrize("requestor", [True, False])
def test_acceptability_matters_to_requests_alone(requestor: bool) -> None:
    for state, event in TRANSITIONS.keys() - {(State.Sta2, Event.Evt6)}:
        one, other = at(state, requestor=requestor), at(state, requestor=requestor)
        assert one.step(event) == other.step(event, acceptable=False)
        assert one.state is other.state


Script = tuple[tuple[int, int], ...]
REQUESTED: Script = ((1, 4), (2, 5), (3, 6))
INDICATED: Script = ((5, 2), (6, 3), (7, 6))


@pytest.mark.parametrize(
    "requestor, script",
    [
        pytest.param(True, (*REQUESTED, (9, 6), (10, 6), (11, 7), (10, 7), (13, 1)), id="release by the requestor"),
        pytest.param(False, (*INDICATED, (10, 6), (12, 8), (9, 8), (14, 13), (17, 1)), id="released by the requestor"),
        pytest.param(False, (*INDICATED, (11, 7), (13, 1)), id="release by the acceptor"),
        pytest.param(True, (*REQUESTED, (11, 7), (12, 9), (14, 11), (13, 1)), id="collision, requestor"),
        pytest.param(False, (*INDICATED, (11, 7), (12, 10), (13, 12), (14, 13), (17, 1)), id="collision, acceptor"),
        pytest.param(False, (*INDICATED, (11, 7), (12, 10), (16, 1)), id="collision, then abort"),
        pytest.param(True, ((1, 4), (2, 5), (4, 1)), id="rejected"),
        pytest.param(False, ((5, 2), (6, 3), (8, 13), (18, 1)), id="rejection, peer keeps the connection"),
        pytest.param(False, ((5, 2), (18, 1)), id="silent peer"),
        pytest.param(True, ((1, 4), (15, 1)), id="abort before the connection"),
        pytest.param(True, (*REQUESTED, (19, 13), (19, 13), (10, 13), (17, 1)), id="invalid PDUs"),
    ],
)
def test_scripts(requestor: bool, script: Script) -> None:
    subject = StateMachine(requestor=requestor)
    for event, state in script:
        subject.step(Event(event))
        assert subject.state == state


@pytest.mark.parametrize(
    "requestor, first, states",
    [(True, Event.Evt1, {1, 4, 5, 6, 7, 8, 9, 11, 13}), (False, Event.Evt5, {1, 2, 3, 6, 7, 8, 10, 12, 13})],
)
def test_states_of_either_side(requestor: bool, first: Event, states: set[int]) -> None:
    subject = StateMachine(requestor=requestor)
    subject.step(first)
    reached, to_visit = {State.Sta1}, [subject.state]
    while to_visit:
        state = to_visit.pop()
        if state in reached:
            continue
        reached.add(state)
        for event in Event:
            subject.state = state
            if (state, event) in TRANSITIONS:
                subject.step(event)
                to_visit.append(subject.state)
    assert reached == states


def run_as_program(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["machine", *arguments])
    runpy.run_path(machine.__file__, run_name="__main__")


def test_program_prints_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_as_program(monkeypatch)
    assert capsys.readouterr().out == TABLE


def test_program_draws_the_graph(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_as_program(monkeypatch, "--dot")
    assert capsys.readouterr().out == graph()


def test_graph_is_valid_and_whole() -> None:
    first, _, *lines, last = graph().splitlines()
    assert (first, last) == ("digraph upper_layer {", "}")
    nodes = [match[1] for line in lines if (match := re.fullmatch(r' +(Sta\d+) \[label="Sta\d+\\n[^"]+"\];', line))]
    edges = [match for line in lines if (match := re.fullmatch(r' +(Sta\d+) -> (Sta\d+) \[label="([^"]+)"\];', line))]
    assert nodes == [state.name for state in State]
    assert len(nodes) + len(edges) == len(lines)
    drawn = {
        (source, label.split()[0], target)
        for source, target, labels in (edge.groups() for edge in edges)
        for label in labels.removesuffix(r"\l").split(r"\l")
    }
    wanted = {
        (f"Sta{state}", f"Evt{event}", f"Sta{next_state}")
        for side in (expected(True), expected(False))
        for (state, event), (next_state, _) in side.items()
    }
    assert drawn == wanted | {("Sta2", "Evt6", "Sta13")}

"""Every conversation whole, byte by byte, cut in two anywhere, cut at random, and cut off (PS3.8 9.1.2)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.machine import State
from tests.session.scenes import (
    ECHO,
    ECHO_RESPONSE,
    STORE,
    STORE_RESPONSE,
    Talk,
    plain,
    upper_layer,
)
from tests.session.vectors import DATA_SET, VECTORS, Vector

Cutter = Callable[[bytes], Iterable[bytes]]

ALL = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())


def beginnings() -> Mapping[str, Vector]:
    """Every conversation up to every turn, each once."""
    found: dict[tuple[bool, tuple[bytes, ...]], str] = {}
    for name, vector in VECTORS.items():
        for end in range(1, len(vector.turns) + 1):
            found.setdefault((vector.requestor, vector.turns[:end]), f"{name}, turn {end}")
    return {name: Vector(requestor, turns, ()) for (requestor, turns), name in found.items()}


LAST_TURN = pytest.mark.parametrize("vector", beginnings().values(), ids=beginnings().keys())


def whole(turn: bytes) -> Sequence[bytes]:
    return [turn]


def byte_by_byte(turn: bytes) -> Sequence[bytes]:
    return [turn[at : at + 1] for at in range(len(turn))]


def cut(turn: bytes, positions: Iterable[int]) -> Sequence[bytes]:
    return [turn[start:end] for start, end in pairwise((0, *sorted(positions), len(turn)))]


def hear(vector: Vector, cutter: Cutter = whole) -> Talk:
    """The whole conversation."""
    talk = Talk(upper_layer(requestor=vector.requestor))
    for turn in vector.turns:
        for piece in cutter(turn):
            talk.hear(piece)
        talk.take_turn()
    return talk


def hear_but_for_the_last_turn(vector: Vector) -> Talk:
    return hear(replace(vector, turns=vector.turns[:-1]))


@ALL
def test_whole(vector: Vector) -> None:
    assert tuple(event[0] for event in plain(hear(vector).events)) == vector.events


@pytest.mark.parametrize("name", ["served", "served in many PDVs", "served to pynetdicom"])
def test_requests_as_they_were_sent(name: str) -> None:
    talk = hear(VECTORS[name])
    assert plain(talk.events)[1:4] == [("command", 1, ECHO), ("command", 3, STORE), ("data", 3, DATA_SET)]
    assert (talk.upper.state, talk.upper.quirks) == (State.Sta13, [])


@pytest.mark.parametrize("name", ["answered", "answered by pynetdicom"])
def test_responses_as_they_were_sent(name: str) -> None:
    talk = hear(VECTORS[name])
    assert plain(talk.events)[1:3] == [("command", 1, ECHO_RESPONSE), ("command", 3, STORE_RESPONSE)]
    assert (talk.upper.state, talk.upper.quirks) == (State.Sta13, [])


@ALL
def test_byte_by_byte(vector: Vector) -> None:
    assert hear(vector, byte_by_byte).outcome == hear(vector).outcome


@LAST_TURN
def test_cut_in_two_anywhere(vector: Vector) -> None:
    turn = vector.turns[-1]
    expected = hear(vector).outcome
    for at in range(1, len(turn)):
        talk = hear_but_for_the_last_turn(vector)
        talk.hear(turn[:at])
        talk.hear(turn[at:])
        talk.take_turn()
        assert talk.outcome == expected, f"cut at byte {at}"


@given(st.sampled_from(sorted(VECTORS)), st.data())
def test_cut_at_random(name: str, data: st.DataObject) -> None:
    vector = VECTORS[name]

    def at_random(turn: bytes) -> Sequence[bytes]:
        return cut(turn, data.draw(st.lists(st.integers(0, len(turn)), max_size=12)))

    assert hear(vector, at_random).outcome == hear(vector).outcome


@LAST_TURN
def test_cut_off_anywhere(vector: Vector) -> None:
    complete, turn = plain(hear(vector).events), vector.turns[-1]
    for length in range(len(turn)):
        talk = hear_but_for_the_last_turn(vector)
        talk.hear(turn[:length])
        events = plain(talk.events)
        if events and events[-1][0] == "part of data":
            del events[-1]
        assert events == complete[: len(events)]
        # an association that is open gets lost; before and after one there is nobody to tell
        told = [] if talk.upper.state in (State.Sta1, State.Sta2, State.Sta13) else [("aborted", 2, 0, None)]
        count = len(talk.events)
        talk.lose()
        assert plain(talk.events[count:]) == told
        assert (talk.upper.state, talk.upper.timer) == (State.Sta1, None)

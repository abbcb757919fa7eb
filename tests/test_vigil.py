"""How long an event loop stays awake after something was sent; time is passed in, and turns are taken by hand."""

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from dicomio.vigil import MOST_ASLEEP, SPAN, TAKEN, Vigil, vigil_of


class Turns:
    """An event loop whose turns and time are the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.soon: list[Callable[[], None]] = []
        self.others_take = 0.0
        self.vigil = Vigil(self.soon.append, lambda: self.now, self.give_way)

    def give_way(self) -> None:
        """Other processes take their turn."""
        self.now += self.others_take

    def take(self, seconds: float = 0.0) -> bool:
        """Lets time pass and takes one turn; tells whether the next will be taken without sleep."""
        self.now += seconds
        due, self.soon[:] = self.soon.copy(), []
        for callback in due:
            callback()
        return bool(self.soon)

    def sleeps_through(self) -> int:
        """Messages that nobody waits for awake, until one is waited for in vain."""
        count = 0
        while True:
            self.vigil.keep()
            if self.soon:
                assert not self.take(2 * SPAN)
                return count
            count += 1


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_it_is_awake_for_a_while_after_something_was_sent(turns: Turns) -> None:
    turns.vigil.keep()
    assert turns.take(0.4 * SPAN)
    assert turns.take(0.4 * SPAN)
    assert not turns.take(0.4 * SPAN)


def test_each_message_prolongs_it(turns: Turns) -> None:
    for _ in range(10):
        turns.vigil.keep()
        assert turns.take(0.9 * SPAN)
    assert not turns.take(0.2 * SPAN)


def test_all_connections_share_one_turn(turns: Turns) -> None:
    for _ in range(50):
        turns.vigil.keep()
    assert len(turns.soon) == 1
    turns.take()
    assert len(turns.soon) == 1


def test_a_peer_that_takes_its_time_is_waited_for_asleep(turns: Turns) -> None:
    assert [turns.sleeps_through() for _ in range(8)] == [0, 0, 1, 3, 7, 15, 31, MOST_ASLEEP]
    assert turns.sleeps_through() == MOST_ASLEEP


def test_one_that_becomes_quick_is_waited_for_awake_again(turns: Turns) -> None:
    for _ in range(5):
        turns.sleeps_through()
    while not turns.soon:
        turns.vigil.keep()
    turns.vigil.heard()
    assert not turns.take(2 * SPAN)
    assert turns.sleeps_through() == 0


def test_it_sleeps_where_others_want_the_processor(turns: Turns) -> None:
    turns.others_take = 0.5 * TAKEN
    turns.vigil.keep()
    assert turns.take()
    turns.others_take = 2 * TAKEN
    assert not turns.take()
    turns.vigil.keep()
    assert not turns.take()
    turns.vigil.keep()
    assert not turns.soon


def test_what_we_send_is_no_answer(turns: Turns) -> None:
    for _ in range(5):
        turns.sleeps_through()
    while not turns.soon:
        turns.vigil.keep()
    for _ in range(10):
        turns.vigil.keep()
        assert turns.take(0.5 * SPAN)
    assert not turns.take(2 * SPAN)
    assert turns.sleeps_through() == 31


def test_what_comes_while_it_sleeps_is_no_reason_to_wait_awake(turns: Turns) -> None:
    for _ in range(4):
        turns.sleeps_through()
    turns.vigil.heard()
    assert turns.sleeps_through() == 7


async def test_an_event_loop_is_awake_and_falls_asleep() -> None:
    loop = asyncio.get_running_loop()
    vigil = vigil_of(loop)
    assert vigil_of(loop) is vigil
    vigil.keep()
    turns, ended = 0, loop.time() + 5
    while vigil.awake:
        await asyncio.sleep(0)
        turns += 1
        assert loop.time() < ended
    assert turns >= 1


def test_nothing_keeps_an_event_loop_that_is_closed() -> None:
    async def stay() -> "weakref.ref[asyncio.AbstractEventLoop]":
        vigil_of(asyncio.get_running_loop()).keep()
        return weakref.ref(asyncio.get_running_loop())

    reference = asyncio.run(stay())
    gc.collect()
    assert reference() is None

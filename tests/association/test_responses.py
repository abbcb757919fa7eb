"""`Responses`: to be awaited, iterated, or left early, in any order and any number of times."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from dicomio.responses import Channel, Responses
from tests.association.peers import Interrupted, settled, started


class Work:
    """Something that puts numbers into a channel and returns how many they were.

    Attributes:
        put: how many were put so far.
        ended: how it ended: "", "done", "cancelled".
    """

    def __init__(self, count: int = 3, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.put = 0
        self.ended = ""

    async def __call__(self, channel: Channel[int]) -> str:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                self.put += 1
                await channel.put(number)
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.ended = "cancelled"
            raise
        self.ended = "done"
        return f"{self.count} in all"


async def test_awaiting_gives_the_result_and_nothing_else() -> None:
    work = Work()
    responses = Responses(work)
    assert await responses == "3 in all"
    assert responses.received == 0


async def test_iterating_gives_the_items_and_awaiting_then_the_result() -> None:
    responses = Responses(Work())
    assert [item async for item in responses] == [0, 1, 2]
    assert responses.received == 3
    assert await responses == "3 in all"
    assert await responses == "3 in all"
    assert [item async for item in responses] == []


async def test_nothing_happens_before_it_is_asked_for() -> None:
    work = Work()
    responses = Responses(work)
    await settled()
    async with responses:
        await settled()
    assert work.put == 0


async def test_an_item_is_produced_when_it_is_asked_for() -> None:
    """The peer's answers are held back by TCP, not gathered in memory."""
    work = Work(count=100)
    async with Responses(work) as responses:
        for expected in range(10):
            assert await anext(responses) == expected
            await settled()
            assert work.put <= expected + 2


async def test_a_channel_with_room_lets_the_producer_go_ahead() -> None:
    channel: Channel[int] = Channel()
    channel.capacity = 3

    async def produce() -> None:
        for number in range(100):
            await channel.put(number)

    producing = started(produce())
    await settled()
    assert list(channel.items) == [0, 1, 2, 3]
    channel.close()
    await producing
    assert not channel.items


async def test_an_offer_replaces_what_nobody_took() -> None:
    channel: Channel[int] = Channel()
    for number in range(5):
        channel.offer(number)
    assert list(channel.items) == [4]
    channel.close()
    channel.offer(5)
    assert not channel.items


async def test_leaving_early_ends_the_work_before_the_block_is_left() -> None:
    work = Work(count=100)
    async with Responses(work) as responses:
        async for item in responses:
            if item == 2:
                break
    assert work.ended == "cancelled"
    assert work.put <= 5
    assert responses.received == 3


async def test_closing_ends_the_work_and_may_be_repeated() -> None:
    work = Work(count=100)
    responses = Responses(work)
    await responses.aclose()
    assert await anext(responses) == 0
    await responses.aclose()
    await responses.aclose()
    assert work.ended == "cancelled"


async def test_awaiting_in_the_middle_skips_the_rest() -> None:
    work = Work(count=10)
    async with Responses(work) as responses:
        assert await anext(responses) == 0
        assert await responses == "10 in all"
    assert work.ended == "done"


@pytest.mark.parametrize("count", [0, 2])
async def test_an_error_comes_after_the_items(count: int) -> None:
    responses = Responses(Work(count, ZeroDivisionError()))
    items = []

    async def iterate() -> None:
        async for item in responses:
            items.append(item)  # noqa: PERF401

    with pytest.raises(ZeroDivisionError):
        await iterate()
    assert items == list(range(count))
    with pytest.raises(ZeroDivisionError):
        await responses
    with pytest.raises(ZeroDivisionError):
        await iterate()


async def test_an_error_that_nobody_asked_for_is_no_complaint_of_asyncio() -> None:
    async with Responses(Work(2, ZeroDivisionError())) as responses:
        await anext(responses)
    gc.collect()


async def use_by_awaiting(responses: Responses[int, str]) -> None:
    await responses


async def use_by_iterating(responses: Responses[int, str]) -> None:
    async for _ in responses:
        pass


async def use_by_both(responses: Responses[int, str]) -> None:
    async with responses:
        await anext(responses)
        await responses


@pytest.mark.parametrize("later", [0, 1, 2])
@pytest.mark.parametrize("use", [use_by_awaiting, use_by_iterating, use_by_both])
async def test_cancelled_at_every_await(use: Callable[[Responses[int, str]], Awaitable[None]], later: int) -> None:
    """The canceller gets its CancelledError, and the work ends as well, if only a little later."""
    at = 0
    while True:
        work = Work(count=4)
        interrupted = Interrupted(use(Responses(work)), at, later)
        try:
            await started(interrupted)
        except asyncio.CancelledError:
            await settled()
            assert work.ended in ("cancelled", "done") or not work.put
        if not interrupted.reached:
            break
        at += 1
    assert at >= 3
    assert work.ended == "done"


async def test_dropping_it_ends_the_work() -> None:
    work = Work(count=100)
    responses = Responses(work)
    assert await anext(responses) == 0
    del responses
    gc.collect()
    await settled()
    assert work.ended == "cancelled"


async def test_two_tasks_may_await_one_result() -> None:
    responses = Responses(Work(count=5))
    assert await anext(responses) == 0
    assert {*await asyncio.gather(started(responses), started(responses))} == {"5 in all"}


async def test_cancelling_one_who_awaits_ends_it() -> None:
    work = Work(count=10**6)
    responses = Responses(work)
    assert await anext(responses) == 0
    waiting = started(responses)
    await settled()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settled()
    assert work.ended == "cancelled"

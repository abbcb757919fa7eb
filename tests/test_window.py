"""Places in the asynchronous operations window: first come, first served, and none gets lost."""

import asyncio

import pytest

from dicomio.window import Window


async def waiting(window: Window, count: int) -> list[asyncio.Task[None]]:
    """Tasks that wait for a place, in order."""
    tasks = [asyncio.create_task(window.enter()) for _ in range(count)]
    while len(window.turns) < count:
        await asyncio.sleep(0)
    return tasks


async def test_places_are_given_first_come_first_served() -> None:
    window = Window()
    await window.enter()
    first, second = await waiting(window, 2)
    window.leave()
    await first
    assert not second.done()
    window.leave()
    await second
    window.leave()
    assert window.taken == 0


async def test_more_places_let_more_in_at_once() -> None:
    window = Window()
    window.size = 3
    for _ in range(3):
        await asyncio.wait_for(window.enter(), 1)
    (late,) = await waiting(window, 1)
    assert not late.done()
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert (window.taken, len(window.turns)) == (3, 0)


async def test_a_place_that_comes_with_a_cancellation_goes_on_to_the_next() -> None:
    window = Window()
    await window.enter()
    first, second = await waiting(window, 2)
    window.leave()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.wait_for(second, 1)
    window.leave()
    assert window.taken == 0


async def test_whoever_waits_hears_why_there_will_be_no_place() -> None:
    window = Window()
    await window.enter()
    tasks = await waiting(window, 3)
    window.close(ConnectionError("gone"))
    for task in tasks:
        with pytest.raises(ConnectionError, match="gone"):
            await task


async def test_a_place_passes_over_one_that_was_cancelled_just_now() -> None:
    window = Window()
    await window.enter()
    first, second = await waiting(window, 2)
    first.cancel()
    window.leave()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.wait_for(second, 1)
    assert window.taken == 1


async def test_the_end_passes_over_one_that_was_cancelled_just_now() -> None:
    window = Window()
    await window.enter()
    first, second = await waiting(window, 2)
    first.cancel()
    window.close(ConnectionError("gone"))
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(ConnectionError):
        await second

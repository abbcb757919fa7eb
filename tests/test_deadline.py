"""Deadlines on either event loop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from dicomio.deadline import Deadline


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("before", [0.0, 0.0001, 60.0])
def test_a_deadline_can_be_moved_whenever_it_was_to_pass(
    new_loop: Callable[[], asyncio.AbstractEventLoop], before: float
) -> None:
    async def move() -> float:
        loop = asyncio.get_running_loop()
        passed = loop.create_future()
        deadline = Deadline(loop, lambda: passed.set_result(loop.time()))
        deadline.set(loop.time() + before)
        at = loop.time() + 0.002
        deadline.set(at)
        return float(await passed) - at

    with asyncio.Runner(loop_factory=new_loop) as runner:
        # uvloop's timers count whole milliseconds
        assert runner.run(move()) >= -0.001

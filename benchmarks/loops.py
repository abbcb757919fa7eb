"""Event loops to run dicomio on."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TypeVar

__all__ = ["LOOPS", "best_loop", "run"]

LOOPS = ("asyncio", "uvloop")

Result = TypeVar("Result")


def best_loop() -> str:
    """The one that `Application.run` takes: uvloop where it is installed."""
    return "uvloop" if find_spec("uvloop") else "asyncio"


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes such a loop; `None` stands for asyncio's own."""
    if name != "uvloop":
        return None
    import uvloop

    return uvloop.new_event_loop


def run(main: Coroutine[None, None, Result], loop: str) -> Result:
    """Runs a coroutine on the event loop of that name."""
    with asyncio.Runner(loop_factory=factory(loop)) as runner:
        return runner.run(main)

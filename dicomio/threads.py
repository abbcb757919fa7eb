"""Blocking work off the event loop, in a way that survives cancellation."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function in a worker thread and returns its result.

    When cancelled, however often, it waits for the function first, so that what it works on (a file, a buffer) can be
    let go of afterwards.
    """
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, lambda: func(*args, **kwargs))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        if not future.cancelled():
            future.exception()
        raise

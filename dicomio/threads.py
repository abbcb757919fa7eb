"""Blocking work off the event loop, in a way that survives cancellation."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final, Generic, ParamSpec, TypeVar

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")

# Disks serve several requests at once, and what waits for a disk needs no processor.
MOST_WORKERS: Final = 16


class Workers:
    """Threads that take work from one queue.

    A visit to `concurrent.futures.ThreadPoolExecutor` costs two to three times as much, and every object that is
    stored or sent pays for one. Nothing waits for these threads when the interpreter exits: whoever gave them work
    does, even when cancelled.
    """

    __slots__ = ("count", "idle", "lock", "queue")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begins with no threads, as after a fork."""
        self.queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.lock = Lock()
        self.count = 0
        self.idle = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Has something done; it must not raise."""
        with self.lock:
            self.idle -= 1
            more = self.idle < 0 and self.count < MOST_WORKERS
            if more:
                self.count += 1
        if more:
            Thread(target=self.serve, name=f"dicomio-{self.count}", daemon=True).start()
        self.queue.put(work)

    def serve(self) -> None:
        """What a thread does."""
        while True:
            with self.lock:
                self.idle += 1
            self.queue.get()()


WORKERS: Final = Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.reset)


class Visit(Generic[T]):
    """One visit of a coroutine to a worker thread."""

    __slots__ = ("error", "finished", "func", "loop", "result", "waiter")

    result: T

    def __init__(self, loop: asyncio.AbstractEventLoop, func: Callable[[], T]) -> None:
        self.loop = loop
        self.func = func
        self.error: BaseException | None = None
        self.finished = False
        self.waiter: asyncio.Future[None] = loop.create_future()

    def __call__(self) -> None:
        """Does the work, in the thread."""
        try:
            self.result = self.func()
        except BaseException as error:  # it is raised again where the work was asked for
            self.error = error
        # Where the loop is closed already nobody waits any more.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.finish)

    def finish(self) -> None:
        """Tells whoever waits, in the event loop."""
        self.finished = True
        if not self.waiter.done():
            self.waiter.set_result(None)


async def in_thread(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function in a worker thread and returns its result.

    When cancelled, however often, it waits for the function first, so that what it works on (a file, a buffer) can be
    let go of afterwards.
    """
    visit: Visit[T] = Visit(asyncio.get_running_loop(), lambda: func(*args, **kwargs))
    WORKERS.submit(visit)
    try:
        await visit.waiter
    except asyncio.CancelledError:
        while not visit.finished:
            visit.waiter = visit.loop.create_future()
            with suppress(asyncio.CancelledError):
                await visit.waiter
        raise
    if visit.error is not None:
        raise visit.error
    return visit.result

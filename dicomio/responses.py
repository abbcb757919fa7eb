"""`Responses`: one object to await, to iterate and to leave early, for every request that answers more than once."""

import asyncio
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from dicomio.errors import LocalProtocolError

__all__ = ["Channel", "Responses"]

T = TypeVar("T")
R = TypeVar("R")


class Channel(Generic[T]):
    """Items from a producer to a consumer, one at a time; a consumer that stops reading stops the producer.

    Args:
        closed: nobody will take anything: the request is only awaited.

    Attributes:
        capacity: items that may wait to be taken while the producer goes on.
        closed: nobody will take another item.
        failed: whoever took the last item did not get to the end of what was to be done with it.
        left: items that were waiting to be taken when it was closed.
        taker: the task that took the last item, and is to ask for the next.
        turn: whose turn it is to put, where there are several producers.
    """

    __slots__ = ("capacity", "closed", "failed", "items", "left", "taken", "taker", "turn", "waiting")

    def __init__(self, *, closed: bool = False) -> None:
        self.capacity = 0
        self.items: deque[T] = deque()
        self.left: list[T] = []
        self.taken = asyncio.Event()
        self.taker: asyncio.Task[Any] | None = None
        self.turn = asyncio.Lock()
        self.waiting: asyncio.Future[None] | None = None
        self.closed = closed
        self.failed = False

    async def put(self, item: T) -> None:
        """Hands over an item and waits until the consumer asks for the next one, or is gone."""
        if self.closed:
            return
        self.items.append(item)
        self.wake()
        if len(self.items) > self.capacity:
            self.taken.clear()
            await self.taken.wait()

    def offer(self, item: T) -> None:
        """Hands over an item in place of one that was not taken yet, and does not wait."""
        if not self.closed:
            self.items.clear()
            self.items.append(item)
            self.wake()

    def wake(self) -> None:
        """Lets the consumer look again."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    def close(self, *, failed: bool = False) -> None:
        """Nobody will take another item; a producer that waits goes on."""
        if not self.closed:
            self.failed = failed or bool(self.items)
            self.left = list(self.items)
        self.closed = True
        self.taker = None
        self.items.clear()
        self.taken.set()
        self.wake()


NOBODY: Final[Channel[Any]] = Channel(closed=True)


class Responses(Generic[T, R]):
    """What a request with more than one answer returns.

    `await` it for the final result, iterate it for what comes before, and use `async with` to be sure that leaving
    early ends the operation: then it is cancelled on the wire, and the association remains usable where the
    protocol allows that.

    Attributes:
        received: how many items were received so far.
    """

    def __init__(self, work: Callable[[Channel[T]], Coroutine[Any, Any, R]]) -> None:
        self._work: Final = work
        self._channel: Channel[T] | None = None
        self._task: asyncio.Task[R] | None = None
        self._outcome: asyncio.Future[R] | None = None
        self._used = False
        self.received = 0

    def __await__(self) -> Generator[Any, None, R]:
        self._used = True
        return self._result().__await__()

    async def _result(self) -> R:
        if self._task is None:
            return await self._directly()
        if self._channel is not None:
            self._channel.close()
        try:
            return await self._result_of(self._task)
        except asyncio.CancelledError:
            self._stop()
            raise

    async def _result_of(self, work: asyncio.Future[R]) -> R:
        """What the work has come to; that it was ended early is not to cancel whoever asks afterwards."""
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if work.cancelled() and task is not None and not task.cancelling():
                raise LocalProtocolError("the request was ended early, so that there is no result") from None
            raise

    async def _directly(self) -> R:
        """Does the work in the task that awaits it; whoever awaits it again gets the same result."""
        if self._outcome is not None:
            return await self._result_of(self._outcome)
        outcome = self._outcome = asyncio.get_running_loop().create_future()
        try:
            result = await self._work(NOBODY)
        except asyncio.CancelledError:
            outcome.cancel()
            raise
        except BaseException as error:
            outcome.set_exception(error)
            outcome.exception()
            raise
        outcome.set_result(result)
        return result

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._outcome is not None:
            raise StopAsyncIteration
        task, channel = self._started()
        channel.taken.set()
        channel.taker = asyncio.current_task()
        while not channel.items:
            if task.done():
                if not task.cancelled():
                    task.result()
                raise StopAsyncIteration
            channel.waiting = asyncio.get_running_loop().create_future()
            try:
                await channel.waiting
            except asyncio.CancelledError:
                self._stop()
                raise
        self.received += 1
        return channel.items.popleft()

    def _started(self) -> tuple[asyncio.Task[R], Channel[T]]:
        self._used = True
        if self._task is None or self._channel is None:
            channel = self._channel = Channel[T]()
            # The task knows the channel and not this object, so that dropping the object ends the operation.
            self._task = asyncio.get_running_loop().create_task(self._work(channel))
            self._task.add_done_callback(lambda task: channel.wake())
        return self._task, self._channel

    def _stop(self, *, failed: bool = True) -> None:
        """Ends the operation without waiting for it."""
        if self._channel is not None:
            self._channel.close(failed=failed)
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(retrieve)

    async def aclose(self) -> None:
        """Ends the operation; returns when it has ended, on the side of the peer too."""
        if self._task is not None:
            self._stop(failed=False)
            await asyncio.wait([self._task])
            await self._ended()

    async def _ended(self) -> None:
        """Waits until the peer has ended an operation that was cancelled."""

    async def __aenter__(self) -> Self:
        self._used = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        self._stop(failed=exc is not None)
        await asyncio.wait([self._task])
        # Whoever is cancelled does not wait for the peer; the association does, before it is used again.
        if not isinstance(exc, asyncio.CancelledError):
            await self._ended()

    def __del__(self) -> None:
        if not self._used:
            warnings.warn("a request was made and neither awaited nor iterated: it was not sent", RuntimeWarning, 2)
        if self._task is not None and self._channel is not None and not self._task.get_loop().is_closed():
            self._channel.taker = None
            self._task.get_loop().call_soon_threadsafe(abandon, self._task, self._channel)


def abandon(task: "asyncio.Task[Any]", channel: Channel[Any]) -> None:
    """Ends an operation that was dropped; whether the last item was done with, nobody knows."""
    channel.close(failed=True)
    task.cancel()
    task.add_done_callback(retrieve)


def retrieve(task: "asyncio.Task[Any]") -> None:
    """Looks at the outcome of an operation that nobody waits for any more, so that asyncio need not complain."""
    if not task.cancelled():
        task.exception()

"""Operations under way on an association: ours that wait for a response, and the peer's that wait for ours."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from dicomio.body import Body
from dicomio.deadline import Deadline
from dicomio.negotiation import AcceptedContext
from dicomio.responses import Channel
from dicomio.status import PENDING
from dicomio.wire.commands import Command

if TYPE_CHECKING:
    from dicomio.dimse import DimseProvider

__all__ = ["Dispatch", "Inbound", "Pending", "Reply"]


class Reply:
    """A response to one of our requests: its command, and its data set where it has one."""

    __slots__ = ("command", "data")

    def __init__(self, command: Command, data: bytes | None) -> None:
        self.command = command
        self.data = data

    @property
    def is_pending(self) -> bool:
        """Whether more responses follow."""
        return self.command.status in PENDING


class Pending:
    """One of our requests that has not been answered finally.

    Attributes:
        message_id: its message ID.
        field: its Command Field.
        context: the presentation context it went out on.
        future: its final response; or why there will be none.
        replies: for a request with many responses those that nobody has taken yet, else `None`.
        abandoned: whether nobody wants its responses any more.
        held: whether a message of it waits for the end of another one.
        channel: where what it brings is taken from, if so.
    """

    __slots__ = (
        "abandoned",
        "channel",
        "chunks",
        "command",
        "context",
        "deadline",
        "field",
        "future",
        "held",
        "message_id",
        "replies",
        "size",
        "waiter",
    )

    def __init__(
        self,
        message_id: int,
        context: AcceptedContext,
        field: int,
        loop: asyncio.AbstractEventLoop,
        deadline: Deadline,
        *,
        many: bool,
    ) -> None:
        self.message_id = message_id
        self.field = field
        self.context = context
        self.future: asyncio.Future[Reply] = loop.create_future()
        self.deadline = deadline
        self.replies: deque[Reply] | None = deque() if many else None
        self.waiter: asyncio.Future[None] | None = None
        self.abandoned = False
        self.held = False
        self.channel: Channel[Any] | None = None
        self.command: Command | None = None
        self.chunks: list[bytes] = []
        self.size = 0

    def wake(self) -> None:
        """Lets whoever waits for the next of many responses look again."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """There will be no (more) responses."""
        self.deadline.cancel()
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()
        self.wake()


class Inbound:
    """A request of the peer's: its command, its data set as it arrives, and the one place to answer it.

    Attributes:
        provider: the association it came on.
        context: the presentation context it came on.
        command: the command set.
        message_id: its message ID; 0 where the peer sent none.
        body: the data set, `None` where the request has none.
        cancelled: whether the peer has sent a C-CANCEL for it.
        on_cancel: what a C-CANCEL leads to; the task is cancelled where it is `None`.
        at_end: what is to be let go of once it is done with, whatever it came to.
        not_begun: what cleans up after a task that is cancelled before its first step.
    """

    __slots__ = (
        "at_end",
        "body",
        "cancelled",
        "command",
        "context",
        "message_id",
        "not_begun",
        "on_cancel",
        "provider",
        "task",
    )

    def __init__(self, provider: "DimseProvider", context: AcceptedContext, command: Command) -> None:
        self.provider = provider
        self.context = context
        self.command = command
        self.message_id = command.message_id or 0
        self.body = Body(provider.protocol) if command.has_data_set else None
        self.cancelled = False
        self.on_cancel: Callable[[], None] | None = None
        self.at_end: list[Callable[[], Awaitable[None]]] = []
        self.task: asyncio.Task[None] | None = None
        self.not_begun: Callable[[asyncio.Task[None]], None] | None = None

    def cancel(self) -> None:
        """The peer has sent a C-CANCEL for it."""
        if not self.cancelled:
            self.cancelled = True
            if self.on_cancel is not None:
                self.on_cancel()
            elif self.task is not None:
                # Not before it has begun, as nobody would answer then.
                self.provider.loop.call_soon(self.task.cancel)

    def answer(self, response: Command, data: bytes | None = None) -> None:
        """Sends a response without waiting for the peer to take it.

        Raises:
            DicomError: the association is gone.
        """
        response.responding_to = self.message_id
        self.provider.post(self.context.id, response, data)

    def answer_soon(self, response: bytes, data: bytes) -> None:
        """Sends one of many responses, together with those that follow before others have their turn.

        Args:
            response: its command set, encoded.
            data: its data set.

        Raises:
            DicomError: the association is gone.
        """
        self.provider.post_soon(self.context.id, response, data)

    @property
    def receiving(self) -> bool:
        """Whether part of its data set is still to come."""
        return self.body is not None and not self.body.complete


class Dispatch(Protocol):
    """Serves a request at once and returns `None`, or returns the coroutine that will."""

    def __call__(self, request: Inbound, /) -> Coroutine[Any, Any, None] | None: ...

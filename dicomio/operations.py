"""Operations under way on an association: ours that wait for a response, and the peer's that wait for ours."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from dicomio.body import Body
from dicomio.negotiation import AcceptedContext
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


class Pending:
    """One of our requests that has not been answered finally."""

    __slots__ = ("chunks", "command", "context", "deadline", "field", "future", "message_id", "size")

    def __init__(self, message_id: int, context: AcceptedContext, field: int, loop: asyncio.AbstractEventLoop) -> None:
        self.message_id = message_id
        self.field = field
        self.context = context
        self.future: asyncio.Future[Reply] = loop.create_future()
        self.deadline: asyncio.TimerHandle | None = None
        self.command: Command | None = None
        self.chunks: list[bytes] = []
        self.size = 0


class Inbound:
    """A request of the peer's: its command, its data set as it arrives, and the one place to answer it.

    Attributes:
        provider: the association it came on.
        context: the presentation context it came on.
        command: the command set.
        message_id: its message ID; 0 where the peer sent none.
        body: the data set, `None` where the request has none.
        cancelled: whether the peer has sent a C-CANCEL for it.
    """

    __slots__ = ("body", "cancelled", "command", "context", "message_id", "provider", "task")

    def __init__(self, provider: "DimseProvider", context: AcceptedContext, command: Command) -> None:
        self.provider = provider
        self.context = context
        self.command = command
        self.message_id = command.message_id or 0
        self.body = Body(provider.protocol) if command.has_data_set else None
        self.cancelled = False
        self.task: asyncio.Task[None] | None = None

    def answer(self, response: Command, data: bytes | None = None) -> None:
        """Sends a response without waiting for the peer to take it.

        Raises:
            DicomError: the association is gone.
        """
        response.responding_to = self.message_id
        self.provider.post(self.context.id, response, data)

    @property
    def receiving(self) -> bool:
        """Whether part of its data set is still to come."""
        return self.body is not None and not self.body.complete


class Dispatch(Protocol):
    """Serves a request at once and returns `None`, or returns the coroutine that will."""

    def __call__(self, request: Inbound, /) -> Coroutine[Any, Any, None] | None: ...

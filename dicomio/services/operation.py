"""An operation of ours that is answered more than once, from its request to its final response (PS3.7 8.1.2)."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

from pydicom.dataset import Dataset

from dicomio.datasets import encode
from dicomio.dimse import DimseProvider
from dicomio.errors import DicomError, StatusError
from dicomio.negotiation import AcceptedContext
from dicomio.operations import Pending, Reply
from dicomio.responses import Channel, Responses
from dicomio.services.reply import Response, check
from dicomio.status import Status
from dicomio.wire.commands import Command

__all__ = ["Operation", "OperationResponses"]

T = TypeVar("T")
R = TypeVar("R")


class Operation:
    """What is known of a C-FIND, C-MOVE or C-GET while it runs and afterwards.

    Attributes:
        response: the final response; `None` before it is there.
    """

    def __init__(self) -> None:
        self.pending: Pending | None = None
        self.response: Response | None = None

    @property
    def status(self) -> Status:
        """The status of the final response; Pending before it is there."""
        return self.response.status if self.response is not None else Status.PENDING

    async def replies(
        self,
        provider: DimseProvider,
        context: AcceptedContext,
        command: Command,
        identifier: Dataset,
        channel: Channel[Any],
        begun: Callable[[Pending], None] | None = None,
    ) -> AsyncGenerator[Reply, None]:
        """Sends the request and gives every response, the final one last.

        Close it: an operation that is left before its final response is cancelled on the wire.

        Args:
            provider: the association.
            context: presentation context of the request.
            command: the request.
            identifier: its data set.
            channel: where what it brings is taken from.
            begun: called when it has been sent, before anything can come back.

        Raises:
            DicomError: the association is over.
        """
        data = encode(identifier, context.transfer_syntax)
        command.has_data_set = True
        pending = self.pending = await provider.start(context, command, data, many=True)
        pending.channel = channel
        if begun is not None:
            begun(pending)
        try:
            while True:
                reply = await provider.next_reply(pending)
                yield reply
                if not reply.is_pending:
                    return
        finally:
            provider.cancel(pending)

    def conclude(self, provider: DimseProvider, operation: str, reply: Reply) -> None:
        """Takes the final response.

        Raises:
            StatusError: it is a Failure.
        """
        sop_class = self.pending.context.abstract_syntax if self.pending is not None else ""
        try:
            self.response = check(provider, operation, reply, sop_class)
        except StatusError as error:
            self.response = cast("Response", error.response)
            raise

    async def ended(self) -> None:
        """Waits until the peer has ended it."""
        if self.pending is None:
            return
        # Why the association is over is for others to tell.
        with suppress(DicomError):
            reply = await self.pending.future
            if self.response is None and reply.command.status is not None:
                self.response = Response(Status(reply.command.status), reply.command.error_comment)
                self.take_end(reply)

    def take_end(self, reply: Reply) -> None:
        """Takes what else the final response of an operation that was cancelled says."""


Op = TypeVar("Op", bound=Operation)


class OperationResponses(Responses[T, R], Generic[T, R, Op]):
    """What a C-FIND, C-MOVE or C-GET brings, and how it ended."""

    def __init__(self, operation: Op, work: Callable[[Channel[T], Op], Coroutine[Any, Any, R]]) -> None:
        self._operation = operation
        super().__init__(lambda channel: work(channel, operation))

    @property
    def status(self) -> Status:
        """The status of the final response; Pending before it is there."""
        return self._operation.status

    @property
    def response(self) -> Response | None:
        """The final response; `None` before it is there."""
        return self._operation.response

    async def _ended(self) -> None:
        await self._operation.ended()

"""The half of an association that asks: message IDs, the asynchronous operations window, responses (PS3.7 8.1)."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from typing import Any, Final

from dicomio.config import Address, Limits, Timeout
from dicomio.deadline import Deadline
from dicomio.errors import (
    AbortReason,
    AbortSource,
    DicomError,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseTimeout,
)
from dicomio.negotiation import AcceptedContext
from dicomio.operations import Inbound, Pending, Reply
from dicomio.protocol import REPLIES, UpperLayerProtocol
from dicomio.session import UpperLayer
from dicomio.window import Window
from dicomio.wire.commands import RESPONSE_BIT, Command, CommandField

__all__ = ["CANCELLABLE", "Invoker"]

CANCELLABLE: Final = (CommandField.C_FIND_RQ, CommandField.C_GET_RQ, CommandField.C_MOVE_RQ)

# Responses that never have a data set (PS3.7 9.3.1.2, 9.3.5.2); some peers announce one all the same and send none.
WITHOUT_DATA: Final = (CommandField.C_STORE_RSP, CommandField.C_ECHO_RSP)

# Bytes of responses that may wait to be taken before the peer has to; a response counts for a little more than it has.
UNREAD_REPLIES: Final = 262_144
REPLY_OVERHEAD: Final = 512

CORNERED: Final = (
    "the operation that this task iterates has to come to its end before the association has room for another: "
    "take what it brings first, or use a Client with more associations"
)


class Invoker(ABC):
    """What `DimseProvider` knows about our own requests."""

    upper: UpperLayer
    protocol: UpperLayerProtocol
    peer: Address
    serving: dict[int, Inbound]
    receiving: Inbound | Pending | None
    ended: Exception | None

    def __init__(self, timeout: Timeout, limits: Limits) -> None:
        self.timeout = timeout
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.pending: dict[int, Pending] = {}
        self.next_id = 1
        self.window = Window()
        self.unread = 0
        # The deadline of the request before last: its timer serves again.
        self.spare: Deadline | None = None
        self.held: list[Pending] = []
        self.cornered: tuple[asyncio.Timeout, asyncio.Task[Any] | None] | None = None

    @abstractmethod
    def check_open(self) -> None:
        """Raises why nothing can be sent, if so."""

    @property
    @abstractmethod
    def is_sending(self) -> bool:
        """Whether a message is being sent in several writes, and others may wait for its end."""

    @abstractmethod
    def check_quiet(self) -> None:
        """Tells whoever waits for the end of all operations, if it has come."""

    @abstractmethod
    def post(self, context_id: int, command: Command, data: bytes | None = None) -> None:
        """Sends a message at once, or right after the one that is being sent."""

    @abstractmethod
    def abort(
        self,
        error: Exception | None = None,
        *,
        source: int = AbortSource.SERVICE_USER,
        reason: int = 0,
        detail: str = "",
    ) -> None:
        """Aborts the association at once."""

    # asking

    async def begin(self, context: AcceptedContext, field: int, *, many: bool = False) -> Pending:
        """Waits for a place in the asynchronous operations window and takes a message ID.

        Args:
            context: presentation context of the request.
            field: its Command Field, by which its response is known.
            many: whether it has more than one response, to be taken with `next_reply`.

        Raises:
            DicomError: the association is over.
            LocalProtocolError: only the end of what the same task is iterating would make room.
        """
        self.check_open()
        await self.take_place()
        self.check_open()
        while self.next_id in self.pending:
            self.next_id = self.next_id % 65535 + 1
        message_id = self.next_id
        deadline = self.spare or Deadline(self.loop, None)
        self.spare = None
        pending = self.pending[message_id] = Pending(message_id, context, field, self.loop, deadline, many=many)
        deadline.passed = partial(self.response_due, pending)
        self.next_id = self.next_id % 65535 + 1
        return pending

    async def take_place(self) -> None:
        """Waits for a place in the window, unless there is none before the one who waits goes on.

        Raises:
            LocalProtocolError: that is so.
        """
        task = asyncio.current_task()
        if not self.window.is_full or not self.is_filled_by(task):
            await self.window.enter()
            return
        # Objects of a C-GET come one after the other, each when the last is answered.
        fields = {each.field for each in self.pending.values()}
        stuck = self.unread > UNREAD_REPLIES or fields == {CommandField.C_GET_RQ}
        scope = asyncio.timeout_at(self.loop.time() if stuck else None)
        try:
            async with scope:
                self.cornered = scope, task
                await self.window.enter()
        except TimeoutError as error:
            if scope.expired():
                raise LocalProtocolError(CORNERED) from error
            raise
        finally:
            self.cornered = None

    def is_filled_by(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether all operations under way are iterated by one task, which therefore has to go on with that."""
        channels = [each.channel for each in self.pending.values() if not each.abandoned]
        own = sum(channel is not None and channel.taker is task for channel in channels)
        return own == self.window.taken

    def forget(self, pending: Pending) -> None:
        """Nothing of the request was sent, or its final response is here."""
        if self.pending.get(pending.message_id) is pending:
            self.retire(pending.deadline)
            del self.pending[pending.message_id]
            self.window.leave()
            self.check_quiet()

    def retire(self, deadline: Deadline) -> None:
        """A request needs its deadline no more; the next one does."""
        if self.spare is None and self.ended is None:
            deadline.set(None)
            deadline.passed = None
            self.spare = deadline
        else:
            deadline.cancel()

    async def start(
        self, context: AcceptedContext, command: Command, data: bytes | None = None, *, many: bool = False
    ) -> Pending:
        """Sends a small message.

        Raises:
            DicomError: the association is over.
        """
        pending = await self.begin(context, command.field, many=many)
        command.message_id = pending.message_id
        try:
            self.post_for(pending, command, data)
        except BaseException:
            self.forget(pending)
            raise
        self.expect_progress(pending)
        return pending

    async def request(self, context: AcceptedContext, command: Command, data: bytes | None = None) -> Reply:
        """Sends a small message and returns its response.

        Raises:
            DicomError: the association is over, or `timeout.response` passed.
        """
        return await self.reply(await self.start(context, command, data))

    async def reply(self, pending: Pending) -> Reply:
        """Waits for the response. When cancelled, the late response is dropped by its ID when it comes.

        Raises:
            DicomError: the association is over, or `timeout.response` passed.
        """
        self.expect_progress(pending)
        return await pending.future

    async def next_reply(self, pending: Pending) -> Reply:
        """Waits for the next of many responses; the final one is the last.

        Raises:
            DicomError: the association is over, or `timeout.response` passed.
        """
        assert pending.replies is not None
        while not pending.replies:
            if pending.future.done():
                pending.future.result()
                raise LocalProtocolError("the final response has been taken already")
            pending.waiter = self.loop.create_future()
            await pending.waiter
        reply = pending.replies.popleft()
        self.count_unread(-weight(reply))
        if not pending.replies and reply.is_pending:
            # The peer may have been held back until now.
            self.expect_progress(pending)
        return reply

    def cancel(self, pending: Pending) -> None:
        """Asks the peer to end an operation (C-CANCEL-RQ, PS3.7 9.3.2.3) and drops what it still answers.

        `pending.future` is done when it has ended. The association is aborted where that takes longer than
        `timeout.cancel`.
        """
        pending.abandoned = True
        if pending.replies:
            self.count_unread(-sum(map(weight, pending.replies)))
            pending.replies.clear()
        if self.pending.get(pending.message_id) is not pending:
            return
        self.post_cancel(pending)
        self.restart(pending)

    def post_cancel(self, pending: Pending) -> None:
        # What has ended, or is about to, needs not be cancelled.
        with suppress(DicomError):
            self.post_for(pending, Command(CommandField.C_CANCEL_RQ, responding_to=pending.message_id))

    # deadlines

    def post_for(self, pending: Pending, command: Command, data: bytes | None = None) -> None:
        """Sends a message of a request; where it has to wait for another one, its deadline does, too.

        Raises:
            DicomError: the association is gone.
        """
        self.post(pending.context.id, command, data)
        if self.is_sending and not pending.held:
            pending.held = True
            self.held.append(pending)

    def release_held(self) -> None:
        """The messages that waited for another one have left: now their peer has its time."""
        held, self.held = self.held, []
        for pending in held:
            pending.held = False
            self.restart(pending)

    def restart(self, pending: Pending) -> None:
        """Starts the deadline of a request again, whichever it has."""
        if self.pending.get(pending.message_id) is pending:
            limit = self.timeout.cancel if pending.abandoned else self.timeout.response
            pending.deadline.set(self.loop.time() + limit if limit is not None else None)

    def expect_progress(self, pending: Pending) -> None:
        """Starts `timeout.response` again."""
        # The deadline of a request that has been answered already is another one's by now.
        if not pending.abandoned:
            self.restart(pending)

    def response_due(self, pending: Pending) -> None:
        """There was no response for a while; the peer is not to blame where it was us who kept it waiting."""
        if self.pending.get(pending.message_id) is not pending:
            return
        if pending.held:
            self.restart(pending)
            return
        if pending.abandoned:
            self.abort(ResponseTimeout(f"{self.peer}: a cancelled operation did not end in {self.timeout.cancel:g} s"))
            return
        limit = self.timeout.response
        assert limit is not None
        due = self.last_sign(pending) + limit
        if due > self.loop.time():
            pending.deadline.set(due)
            return
        if pending.field in CANCELLABLE:
            self.post_cancel(pending)
        self.abort(ResponseTimeout(f"{self.peer}: no response within {limit:g} s"))

    def last_sign(self, pending: Pending) -> float:
        """When there was a sign of progress other than a response, loop time; now, while it is our turn."""
        is_get = pending.field == CommandField.C_GET_RQ
        ours = bool(pending.replies or self.protocol.reading_paused)
        if ours or (is_get and any(not each.receiving for each in self.serving.values())):
            return self.loop.time()
        # The objects of a C-GET that arrive.
        return self.protocol.last_received if is_get else float("-inf")

    # what comes back

    def take_reply(self, command: Command) -> None:
        """A response; one that nobody waits for is dropped."""
        pending = self.pending.get(command.responding_to or 0)
        self.receiving = None
        if pending is None:
            self.upper.messages.note("responded to a request that is not outstanding")
        elif command.field != pending.field | RESPONSE_BIT:
            reason = AbortReason.UNEXPECTED_PDU_PARAMETER
            error = RemoteProtocolError(
                f"{self.peer} answered with {command.name} what asked for something else", reason
            )
            self.abort(error, source=AbortSource.SERVICE_PROVIDER, reason=reason)
        elif command.has_data_set and command.field not in WITHOUT_DATA:
            pending.command = command
            self.receiving = pending
        else:
            self.resolve(pending, Reply(command, None))

    def take_reply_data(self, pending: Pending, chunks: list[memoryview], last: bool) -> None:
        """A piece of the data set of a response."""
        pending.size += sum(map(len, chunks))
        if pending.size > self.limits.data_set:
            self.abort(detail=f"the data set of a response is longer than {self.limits.data_set} bytes")
            return
        pending.chunks.append(b"".join(chunks))
        if last and pending.command is not None:
            data, pending.chunks, pending.size = b"".join(pending.chunks), [], 0
            self.resolve(pending, Reply(pending.command, data))

    def resolve(self, pending: Pending, reply: Reply) -> None:
        """A whole response."""
        if not reply.is_pending:
            self.forget(pending)
        else:
            self.expect_progress(pending)
        if pending.replies is not None and not pending.abandoned:
            pending.replies.append(reply)
            pending.wake()
            self.count_unread(weight(reply))
        if not reply.is_pending and not pending.future.done():
            pending.future.set_result(reply)

    def count_unread(self, size: int) -> None:
        """Keeps count of responses nobody has taken; where they are many, TCP holds the peer back."""
        before, self.unread = self.unread, self.unread + size
        if before <= UNREAD_REPLIES < self.unread:
            self.protocol.pause_reading(REPLIES)
            if self.cornered is not None and self.is_filled_by(self.cornered[1]):
                self.cornered[0].reschedule(self.loop.time())
        elif self.unread <= UNREAD_REPLIES // 2 < before:
            self.protocol.resume_reading(REPLIES)


def weight(reply: Reply) -> int:
    """What a response that waits counts for, bytes."""
    return REPLY_OVERHEAD + len(reply.data or b"")

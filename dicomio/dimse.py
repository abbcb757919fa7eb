"""The DIMSE provider of one association: ids, replies, requests of the peer, release, abort (PS3.7 8, PS3.8 7).

It is symmetrical: both sides of an association may ask and both may serve. It holds no task of its own; a task exists
for every request of the peer that is being served.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from dicomio.config import Address, Limits, Timeout
from dicomio.deadline import Deadline
from dicomio.errors import (
    AbortSource,
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    ConnectionLost,
    DicomError,
    LocalProtocolError,
    RemoteProtocolError,
    WriteTimeout,
)
from dicomio.invoking import CANCELLABLE, Invoker
from dicomio.machine import State
from dicomio.messages import CommandReceived, DataMissing, DataReceived
from dicomio.negotiation import AcceptedContext, Agreement, Answer
from dicomio.operations import Dispatch, Inbound, Pending, Reply
from dicomio.protocol import ANSWERS, QUEUE
from dicomio.session import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    ReleaseConfirmed,
    ReleaseRequested,
    UpperLayer,
    UpperLayerEvent,
)
from dicomio.wire.commands import RESPONSE_BIT, Command, CommandField
from dicomio.wire.pdus import AssociateRJ, AssociateRQ

__all__ = ["DimseProvider"]

# Requests of the peer that may wait for their turn before it is held back.
WAITING: Final = 8
# What we have outstanding at most where the peer sets no bound (PS3.7 D.3.3.3).
UNBOUNDED_WINDOW: Final = 64

# Bytes of small messages that leave together, if they come in one turn of the event loop.
TOGETHER: Final = 32_768

# Bytes of answers that may wait for the peer to read them while it goes on asking; more than any batch we send.
UNREAD_ANSWERS: Final = 4_194_304

DUPLICATE_INVOCATION: Final = 0x0210

# Where PS3.8 Table 9-10 has an action for a P-DATA request.
SENDING: Final = (State.Sta6, State.Sta8)
# Where PS3.8 Table 9-10 has an action for an A-ABORT request.
ABORTABLE: Final = frozenset(State) - {State.Sta1, State.Sta2, State.Sta13}


class DimseProvider(Invoker):
    """One association.

    Args:
        upper: its sans-I/O upper layer.
        local: our own AE title and address.
        peer: the peer's; the acceptor learns the AE title from the A-ASSOCIATE-RQ.
        timeout: deadlines.
        limits: what the peer may send.
        dispatch: serves the peer's requests.
        negotiate: answers an A-ASSOCIATE-RQ through `accept` or `reject`, now or later.
        on_end: called once, when the association is over or never came about, with the reason.

    Attributes:
        agreement: what was negotiated, once it was.
        identity: whom the acceptor takes the requestor for; on the requesting side the identity that was proposed.
        take_object: serves C-STORE requests that come on behalf of a C-GET of ours, while there is one.
        ended: why the association is over, `None` while it is not.
    """

    def __init__(
        self,
        upper: UpperLayer,
        *,
        local: Address,
        peer: Address,
        timeout: Timeout,
        limits: Limits,
        dispatch: Dispatch,
        negotiate: Callable[[Any, AssociateRQ], None] | None = None,
        on_end: Callable[[Any, Exception], None] | None = None,
    ) -> None:
        super().__init__(timeout, limits)
        self.upper = upper
        self.local = local
        self.peer = peer
        self.dispatch = dispatch
        self.take_object: Dispatch | None = None
        self.identity: Any = None
        self.negotiate = negotiate
        self.on_end = on_end
        self.agreement: Agreement | None = None
        self.ended: Exception | None = None
        self.opened: asyncio.Future[None] = self.loop.create_future()
        self.serving_window = 1
        self.serving: dict[int, Inbound] = {}
        self.waiting: list[Inbound] = []
        self.receiving: Inbound | Pending | None = None
        self.sending: asyncio.Future[None] | None = None
        self.outbox: list[bytes] = []
        self.waiting_bytes = 0
        self.quiet_waiters: list[asyncio.Future[None]] = []
        self.idle_deadline = Deadline(self.loop, self.idle_passed)
        self.release_wanted = False
        self.context = copy_context()

    # what users see

    @property
    def contexts(self) -> Mapping[int, AcceptedContext]:
        """The accepted presentation contexts by ID."""
        return self.agreement.contexts if self.agreement is not None else {}

    @property
    def state(self) -> str:
        """The state of the Upper Layer state machine, `"Sta1"` to `"Sta13"` (PS3.8 9.2)."""
        return self.upper.state.name

    @property
    def is_established(self) -> bool:
        """Whether requests can be sent."""
        return self.upper.state is State.Sta6

    @property
    def quirks(self) -> Sequence[str]:
        """Deviations of the peer from the standard that were tolerated, a sentence each."""
        return self.upper.quirks

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The certificate of the peer as `ssl.SSLSocket.getpeercert` gives it; `None` without TLS, or without one."""
        transport = self.protocol.transport
        return (transport.get_extra_info("peercert") or None) if transport is not None else None

    @property
    def is_behind(self) -> bool:
        """Whether what is sent has to wait for the peer, or for a message that is being sent."""
        return self.protocol.writing_paused or self.is_sending

    @property
    def is_sending(self) -> bool:
        """Whether a message is being sent in several writes, and others may wait for its end."""
        return self.sending is not None

    @property
    def write_queue_size(self) -> int:
        """Bytes waiting to be taken by the peer."""
        return self.protocol.write_queue_size + self.waiting_bytes

    # from the protocol

    def connected(self) -> None:
        """The transport connection stands."""

    def handle(self, event: UpperLayerEvent) -> None:
        """Takes one event of the upper layer; the most frequent first."""
        # Matching takes several times as long as these.
        if isinstance(event, DataReceived):
            self.take_data(event.chunks, event.last)
            return
        if isinstance(event, CommandReceived):
            self.take_command(event.context_id, event.command)
            return
        match event:
            case DataMissing():
                self.take_no_data()
            case AssociateRequested(pdu):
                self.take_association_request(pdu)
            case AssociateAccepted():
                self.take_accept()
            case AssociateRejected(pdu):
                self.end(AssociationRejected(pdu.result, pdu.source, pdu.reason, peer=str(self.peer)))
            case ReleaseRequested():
                self.take_release()
            case ReleaseConfirmed():
                self.take_release_confirmation()
            case Aborted(source, reason, error):
                self.take_abort(source, reason, error)

    def disconnected(self, error: Exception | None) -> None:
        """The transport connection is closed."""
        self.end(self.lost_error())

    def write_timed_out(self) -> None:
        """The peer has not taken anything for `timeout.write`."""
        self.end(WriteTimeout(f"{self.peer} took nothing of what was sent for {self.timeout.write:g} s"))
        self.protocol.kill()

    # opening and closing

    def accept(self, answer: Answer) -> None:
        """Sends A-ASSOCIATE-AC; the association stands."""
        self.establish(answer.agreement)
        self.upper.accept(answer.pdu, answer.encoded)
        self.protocol.flush()

    def reject(self, result: int, source: int, reason: int) -> None:
        """Sends A-ASSOCIATE-RJ."""
        self.upper.reject(AssociateRJ(result, source, reason), self.loop.time())
        self.protocol.flush()
        self.end(AssociationRejected(result, source, reason, peer="this side"))

    def establish(self, agreement: Agreement) -> None:
        """Takes over what negotiation came to."""
        self.agreement = agreement
        self.window.size = agreement.window_invoked or UNBOUNDED_WINDOW
        self.serving_window = agreement.window_performed or UNBOUNDED_WINDOW
        self.upper.messages.note(*agreement.quirks)
        self.upper.establish(agreement.contexts, agreement.send_maximum)
        if self.timeout.idle is not None:
            self.idle_deadline.set(self.loop.time() + self.timeout.idle)

    def take_association_request(self, request: AssociateRQ) -> None:
        """Has the request answered, unless something in the same read has ended the association already."""
        if self.negotiate is not None and self.upper.state is State.Sta3:
            self.negotiate(self, request)

    def take_accept(self) -> None:
        assert self.upper.agreement is not None
        self.establish(self.upper.agreement)
        if not self.opened.done():
            self.opened.set_result(None)

    async def release(self) -> None:
        """Releases the association in good order (PS3.8 7.2); aborts it where that takes too long.

        Operations under way are waited for first. Does nothing where the association is over already.
        """
        try:
            async with asyncio.timeout(self.timeout.release):
                await self.quiet()
                if self.upper.state is State.Sta6:
                    self.write_outbox()
                    self.upper.release()
                    self.protocol.flush()
                if self.ended is None:
                    await asyncio.shield(self.protocol.closed)
        except TimeoutError:
            self.abort(detail=f"no release within {self.timeout.release:g} s")
        except BaseException:
            self.abort()
            raise
        await self.wait_closed()

    async def wait_closed(self, timeout: float = 1.0) -> None:
        """Waits for the end of the connection of an association that is over; drops it after `timeout` seconds."""
        await asyncio.wait([self.protocol.closed], timeout=timeout)
        if not self.protocol.closed.done():
            self.protocol.kill()

    async def quiet(self) -> None:
        """Waits until no operation is under way."""
        while (self.pending or self.serving) and self.ended is None:
            await self.last_ended()

    async def last_ended(self) -> None:
        """Waits until the last operation under way, or the association, has ended."""
        waiter = self.loop.create_future()
        self.quiet_waiters.append(waiter)
        try:
            await waiter
        finally:
            self.quiet_waiters.remove(waiter)

    def check_quiet(self) -> None:
        """Tells whoever waits for the end of all operations, if it has come."""
        if self.ended is not None or not (self.pending or self.serving):
            for waiter in self.quiet_waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def take_release(self) -> None:
        """The peer wants to release: it gets its answer once its requests have been answered."""
        if self.upper.state is State.Sta10:
            return
        self.release_wanted = True
        if isinstance(self.receiving, Inbound):
            self.take_no_data()
        if self.serving and self.timeout.release is not None:
            self.loop.call_later(self.timeout.release, self.confirm_release)
        elif not self.serving:
            self.confirm_release()

    def confirm_release(self) -> None:
        if self.ended is None and self.upper.state in (State.Sta8, State.Sta9, State.Sta12):
            collision = self.upper.state is State.Sta9
            self.write_outbox()
            self.upper.confirm_release(self.loop.time())
            self.protocol.flush()
            if not collision:
                self.end(AssociationReleased(f"{self.peer} released the association"))

    def take_release_confirmation(self) -> None:
        if self.upper.state is State.Sta12:
            self.confirm_release()
        self.end(AssociationReleased("the association has been released"))

    def abort(
        self,
        error: Exception | None = None,
        *,
        source: int = AbortSource.SERVICE_USER,
        reason: int = 0,
        detail: str = "",
    ) -> None:
        """Aborts the association at once (PS3.8 7.3).

        Args:
            error: what whoever waits on it gets; an `AssociationAborted` where not given.
            source: source field of the A-ABORT.
            reason: reason field of the A-ABORT.
            detail: why, for the text of the error.
        """
        if self.ended is None or self.upper.state in ABORTABLE:
            if self.upper.state in ABORTABLE:
                with suppress(ConnectionLost):
                    self.write_outbox()
                self.upper.abort(self.loop.time(), source, reason)
                self.protocol.flush()
            else:
                self.protocol.kill()
            self.end(error or AssociationAborted(source, reason, peer=str(self.peer), local=True, detail=detail))

    def take_abort(self, source: int, reason: int, error: RemoteProtocolError | None) -> None:
        if self.protocol.lost is not None:
            self.end(self.lost_error())
        elif error is not None:
            self.end(error)
        else:
            self.end(AssociationAborted(source, reason, peer=str(self.peer)))

    def lost_error(self) -> ConnectionLost:
        """What a closed connection means to whoever waits."""
        lost = self.protocol.lost
        where = " before the association was negotiated" if self.agreement is None else ""
        error = ConnectionLost(f"{self.peer}: {lost or 'the connection was closed'}{where}")
        error.__cause__ = lost
        return error

    def end(self, error: Exception) -> None:
        """The association is over: everybody who waits on it hears why."""
        if self.ended is not None:
            return
        self.ended = error
        self.idle_deadline.cancel()
        if self.spare is not None:
            self.spare.cancel()
        self.window.close(error)
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()
        for pending in self.pending.values():
            pending.fail(error)
        self.pending.clear()
        self.outbox.clear()
        self.waiting_bytes = 0
        self.check_quiet()
        self.protocol.abandon()
        self.end_serving(error)
        if self.on_end is not None:
            self.on_end(self, error)

    def end_serving(self, error: Exception) -> None:
        """Handlers of a lost association are cancelled."""
        self.waiting.clear()
        for inbound in list(self.serving.values()):
            if inbound.body is not None:
                inbound.body.fail(error)
            if inbound.task is not None and not isinstance(error, AssociationReleased):
                inbound.task.cancel()

    def check_open(self) -> None:
        """Raises why nothing can be sent, if so."""
        if self.ended is not None:
            raise self.ended.with_traceback(None)
        if self.upper.state is not State.Sta6:
            raise LocalProtocolError(f"no association is established with {self.peer} ({self.upper.state.name})")

    def idle_passed(self) -> None:
        """Nothing has happened for a while, unless something has."""
        idle = self.timeout.idle
        if self.ended is not None or idle is None:
            return
        now, last = self.loop.time(), self.protocol.last_received
        busy = bool(self.pending) or self.protocol.reading_paused
        busy = busy or any(not inbound.receiving for inbound in self.serving.values())
        if busy or now - last < idle:
            self.idle_deadline.set(now + idle if busy else last + idle)
            return
        self.abort(detail=f"nothing received for {idle:g} s")

    # sending

    def post(self, context_id: int, command: Command, data: bytes | None = None) -> None:
        """Sends a message at once, or right after the one that is being sent.

        Raises:
            DicomError: the association is gone.
        """
        self.check_sending()
        message = self.upper.message(context_id, command, data)
        if self.sending is None and not self.outbox:
            self.protocol.write(message)
        else:
            self.outbox.append(message)
            self.waiting_bytes += len(message)
            self.write_outbox()
        self.hold_back()

    def post_soon(self, context_id: int, command: bytes, data: bytes) -> None:
        """Sends one of many messages, together with those that follow before others have their turn.

        Args:
            context_id: presentation context ID.
            command: its command set, encoded.
            data: its data set.

        Raises:
            DicomError: the association is gone.
        """
        self.check_sending()
        message = self.upper.encoded_message(context_id, command, data)
        if not self.outbox and self.sending is None:
            self.loop.call_soon(self.write_outbox)
        self.outbox.append(message)
        self.waiting_bytes += len(message)
        if self.waiting_bytes >= TOGETHER:
            self.write_outbox()
        self.hold_back()

    def check_sending(self) -> None:
        """Raises why no message can be sent, if so."""
        if self.ended is not None:
            raise self.ended.with_traceback(None)
        if self.upper.state not in SENDING:
            raise ConnectionLost(f"{self.peer} is ending the association")

    def write_outbox(self) -> None:
        """Sends what waits, unless that is for the end of a message that is being sent."""
        if self.sending is None and self.outbox and self.ended is None:
            message = b"".join(self.outbox)
            self.outbox.clear()
            self.waiting_bytes = 0
            self.protocol.write(message)

    def hold_back(self) -> None:
        """Has a peer wait that asks and does not read the answers."""
        if self.waiting_bytes + self.protocol.backlog_size > UNREAD_ANSWERS:
            self.protocol.pause_reading(ANSWERS)

    async def drain(self) -> None:
        """Waits until the transport holds nothing of what was written.

        Raises:
            DicomError: the association is over.
        """
        # Why the association is over says more than that its connection is gone.
        with suppress(ConnectionLost):
            self.write_outbox()
            await self.protocol.drain()
        if self.ended is not None:
            raise self.ended.with_traceback(None)

    async def exclusive(self) -> asyncio.Future[None]:
        """Waits for the right to send a message in several writes; messages never interleave (PS3.7 6.3).

        Pass the result to `shared` afterwards.
        """
        while self.sending is not None:
            await asyncio.shield(self.sending)
        self.check_open()
        self.write_outbox()
        self.sending = self.loop.create_future()
        return self.sending

    def shared(self, turn: asyncio.Future[None]) -> None:
        """Gives the right of `exclusive` back; what was posted meanwhile goes out."""
        self.sending = None
        self.write_outbox()
        self.release_held()
        if not self.protocol.writing_paused:
            self.protocol.resume_reading(ANSWERS)
        turn.set_result(None)

    # what the peer sends

    def take_command(self, context_id: int, command: Command) -> None:
        if command.is_response:
            self.take_reply(command)
        elif command.field == CommandField.C_CANCEL_RQ:
            self.take_cancel(command)
        else:
            self.take_request(self.contexts[context_id], command)

    def take_cancel(self, command: Command) -> None:
        """C-CANCEL-RQ; one for an operation that is over, or never was, is ignored (PS3.7 9.3.2.3)."""
        message_id = command.responding_to or 0
        waiting = (inbound for inbound in self.waiting if inbound.message_id == message_id)
        inbound = self.serving.get(message_id) or next(waiting, None)
        if inbound is not None and inbound.command.field in CANCELLABLE:
            inbound.cancel()

    def take_request(self, context: AcceptedContext, command: Command) -> None:
        inbound = Inbound(self, context, command)
        self.receiving = inbound if inbound.body is not None else None
        if len(self.serving) < self.serving_window and not self.waiting:
            self.serve(inbound)
            return
        self.upper.messages.note("sent a request before the response to its last one was due")
        self.waiting.append(inbound)
        if len(self.waiting) >= WAITING:
            self.protocol.pause_reading(QUEUE)

    def serve(self, inbound: Inbound) -> None:
        """Has a request served, in a task where that takes time."""
        if inbound.message_id in self.serving:
            self.refuse_duplicate(inbound)
            return
        self.serving[inbound.message_id] = inbound
        coroutine = None
        # What ends the association may have come in the same read; then there is nobody to answer.
        with suppress(ConnectionLost):
            coroutine = self.dispatcher(inbound)(inbound)
        if coroutine is None:
            del self.serving[inbound.message_id]
        else:
            inbound.not_begun = partial(self.never_began, inbound, coroutine)
            inbound.task = self.loop.create_task(self.run(inbound, coroutine), context=self.context.copy())
            # With eager tasks it may have begun, and ended.
            if inbound.not_begun is not None:
                inbound.task.add_done_callback(inbound.not_begun)

    def dispatcher(self, inbound: Inbound) -> Dispatch:
        """Who serves a request."""
        if self.take_object is not None and inbound.command.field == CommandField.C_STORE_RQ:
            return self.take_object
        return self.dispatch

    def refuse_duplicate(self, inbound: Inbound) -> None:
        if inbound.body is not None:
            inbound.body.discard()
        inbound.answer(Command(inbound.command.field | RESPONSE_BIT, status=DUPLICATE_INVOCATION))

    async def run(self, inbound: Inbound, coroutine: Coroutine[Any, Any, None]) -> None:
        """The task of a request."""
        if inbound.task is not None and inbound.not_begun is not None:
            inbound.task.remove_done_callback(inbound.not_begun)
        inbound.not_begun = None
        try:
            await coroutine
        except DicomError:
            # A response that finds the association gone has nowhere to go, and nobody else to tell.
            if self.ended is None and self.upper.state in SENDING:
                raise
        finally:
            # What follows is nothing of the handler's, so that it does not see its context variables.
            self.context.copy().run(self.finish, inbound)

    def never_began(
        self, inbound: Inbound, coroutine: Coroutine[Any, Any, None], task: "asyncio.Task[None]", /
    ) -> None:
        """The task of a request was cancelled before its first step."""
        inbound.not_begun = None
        coroutine.close()
        self.finish(inbound)

    def finish(self, inbound: Inbound) -> None:
        """A request is done with; those that wait get their turn."""
        if self.serving.get(inbound.message_id) is inbound:
            del self.serving[inbound.message_id]
        # The garbage of an event loop that is closed ends here, too.
        if self.loop.is_closed():
            return
        if inbound.body is not None:
            inbound.body.discard()
        if self.ended is not None:
            return
        while self.waiting and len(self.serving) < self.serving_window:
            self.serve(self.waiting.pop(0))
        if len(self.waiting) < WAITING:
            self.protocol.resume_reading(QUEUE)
        if not self.serving:
            if self.release_wanted:
                self.confirm_release()
            self.check_quiet()

    def take_data(self, chunks: list[memoryview], last: bool) -> None:
        """A piece of the data set of whatever message is being received."""
        receiving = self.receiving
        if isinstance(receiving, Inbound):
            assert receiving.body is not None
            receiving.body.feed(chunks, last)
        elif receiving is not None:
            self.take_reply_data(receiving, chunks, last)
        if last:
            self.receiving = None

    def take_no_data(self) -> None:
        """The data set that a command announced will not come."""
        receiving, self.receiving = self.receiving, None
        if isinstance(receiving, Inbound) and receiving.body is not None:
            receiving.body.fail(RemoteProtocolError(f"{self.peer} announced a data set and did not send it"))
        elif isinstance(receiving, Pending) and receiving.command is not None:
            self.resolve(receiving, Reply(receiving.command, None))

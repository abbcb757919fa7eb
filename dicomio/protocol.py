"""The asyncio protocol: buffers, flow control both ways, timers, drain. No policy (PS3.8 9.1)."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final, Protocol, cast

from dicomio.acknowledging import Acknowledger
from dicomio.buffers import RECEIVE_SIZE, BufferPool, ReceiveBuffer
from dicomio.deadline import Deadline
from dicomio.errors import ConnectionLost
from dicomio.session import UpperLayer, UpperLayerEvent
from dicomio.vigil import vigil_of

__all__ = ["ANSWERS", "BODY", "QUEUE", "REPLIES", "Owner", "UpperLayerProtocol"]

# How much is read at once: at first, from a peer that sends crumbs, and what crumbs are: fragments in one read.
FIRST_READ: Final = 65_536
LEAST_READ: Final = 16_384
CRUMBS: Final = 1_000
# With less room than this behind what is held, the next read gets another buffer.
LEAST_ROOM: Final = 65_536

# Why reading is paused: the handler of a data set is slow, too many requests wait for their turn, too many answers for
# the peer to read them, or too many responses for somebody to take them.
BODY: Final = 1
QUEUE: Final = 2
ANSWERS: Final = 4
REPLIES: Final = 8


class Owner(Protocol):
    """Who decides: gets what happened, in order."""

    def connected(self) -> None: ...
    def handle(self, event: UpperLayerEvent) -> None: ...
    def disconnected(self, error: Exception | None) -> None: ...
    def write_timed_out(self) -> None: ...


class UpperLayerProtocol(asyncio.BufferedProtocol):
    """Moves bytes between a transport and an `UpperLayer`.

    Args:
        upper: the sans-I/O upper layer.
        owner: gets its events.
        pool: where receive buffers come from.
        write_timeout: seconds for which the peer may not read before `owner.write_timed_out`.
    """

    def __init__(self, upper: UpperLayer, owner: Owner, pool: BufferPool, write_timeout: float | None) -> None:
        self.upper = upper
        self.owner = owner
        self.pool = pool
        self.write_timeout = write_timeout
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.buffer: ReceiveBuffer | None = None
        self.acknowledger: Acknowledger | None = None
        self.lost: ConnectionLost | None = None
        self.closed = self.loop.create_future()
        self.writers: list[asyncio.Future[None]] = []
        self.writing_paused = False
        # What was written while the transport held something goes to it in one piece: from CPython 3.12 on each write
        # takes it time in proportion to the number of those that it still holds.
        self.backlog: list[bytes | memoryview] = []
        self.backlog_size = 0
        self.corked = False
        self.unsent = 0
        self.abandoned = False
        self.reading_paused = 0
        self.room = FIRST_READ
        self.artim = Deadline(self.loop, self.artim_expired)
        self.write_deadline = Deadline(self.loop, self.write_due)
        self.last_received = self.loop.time()
        self.vigil = vigil_of(self.loop)

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # A batch buffer is used again once the transport holds nothing of it, so "resume" has to mean "empty".
        # TLS transports take their limit for reached when it is, so that theirs has to be one byte more.
        self.transport.set_write_buffer_limits(high=1 if transport.get_extra_info("sslcontext") else 0, low=0)
        self.acknowledger = Acknowledger.of(tcp_socket(transport), self.loop)
        self.upper.connected(self.loop.time())
        self.flush()
        self.owner.connected()

    def get_buffer(self, sizehint: int) -> memoryview:
        buffer = self.buffer
        if buffer is None:
            buffer = self.buffer = self.pool.take()
        elif not buffer.is_shared:
            buffer.filled = 0
        return buffer.view[buffer.filled : buffer.filled + self.room]

    def buffer_updated(self, nbytes: int) -> None:
        buffer = self.buffer
        assert buffer is not None
        now = self.last_received = self.loop.time()
        self.vigil.heard()
        received = buffer.view[buffer.filled : buffer.filled + nbytes]
        buffer.filled += nbytes
        # The answers to what came in one read leave in one write.
        self.corked = True
        for event in self.upper.receive(received, now):
            self.owner.handle(event)
        self.corked = False
        self.flush()
        self.adapt(nbytes)
        mid_message = self.upper.mid_message
        if self.acknowledger is not None:
            self.acknowledger.received(now, mid_message)
        # What is held in the middle of a message gets company by the next read; an idle connection keeps nothing.
        if not (mid_message and buffer.is_shared and len(buffer.view) - buffer.filled >= LEAST_ROOM):
            self.let_go()

    def adapt(self, nbytes: int) -> None:
        """Reads more at once from a peer that has more to say, unless it says it in crumbs that take long to parse."""
        if self.upper.crumbs > CRUMBS:
            self.room = LEAST_READ
        elif nbytes == self.room:
            self.room = min(2 * self.room, RECEIVE_SIZE)

    def let_go(self) -> None:
        """Gives the buffer back, as far as the connection is concerned."""
        if self.buffer is not None:
            buffer, self.buffer = self.buffer, None
            buffer.release()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = ConnectionLost(f"connection lost: {exc}" if exc else "the peer closed the connection")
        self.lost.__cause__ = exc
        self.artim.cancel()
        self.write_deadline.cancel()
        self.let_go()
        if self.acknowledger is not None:
            self.acknowledger.close()
            self.acknowledger = None
        for event in self.upper.connection_lost():
            self.owner.handle(event)
        self.owner.disconnected(exc)
        self.wake_writers()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self.writing_paused = True
        self.unsent = self.write_queue_size
        if self.write_timeout is not None:
            self.write_deadline.set(self.loop.time() + self.write_timeout)

    def resume_writing(self) -> None:
        self.writing_paused = False
        self.write_backlog()
        if not self.writing_paused:
            self.write_deadline.set(None)
            self.resume_reading(ANSWERS)
            self.wake_writers()

    # for the owner

    def hold_buffer(self) -> ReceiveBuffer:
        """Keeps the bytes of the current `receive` valid; call `release` on the result."""
        buffer = self.buffer
        assert buffer is not None
        buffer.hold()
        return buffer

    def write(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Sends bytes; a view has to stay as it is until `drain` returns.

        Args:
            data: the bytes.
            more: whether they are the beginning of something, so that it is not the peer's turn yet.

        Raises:
            ConnectionLost: the connection is gone.
        """
        if self.lost is not None or self.transport is None:
            raise self.lost or ConnectionLost("not connected")
        if self.writing_paused or self.corked:
            self.backlog.append(data)
            self.backlog_size += len(data)
        else:
            self.transport.write(data)
            if not (more or self.writing_paused):
                self.vigil.keep()

    def write_backlog(self) -> None:
        """Passes on what was kept back."""
        if self.backlog and self.transport is not None and self.lost is None:
            data = b"".join(self.backlog) if len(self.backlog) > 1 else self.backlog[0]
            self.backlog.clear()
            self.backlog_size = 0
            self.transport.write(data)
            if not self.writing_paused:
                self.vigil.keep()

    async def drain(self) -> None:
        """Waits until the transport holds nothing of what was written, or nobody needs it to be sent any more.

        Raises:
            ConnectionLost: the connection is gone.
        """
        while self.writing_paused and self.lost is None and not self.abandoned:
            waiter = self.loop.create_future()
            self.writers.append(waiter)
            try:
                await waiter
            finally:
                self.writers.remove(waiter)
        if self.lost is not None:
            raise self.lost

    @property
    def write_queue_size(self) -> int:
        """Bytes that the transport has not passed on yet."""
        if self.transport is None or self.lost is not None:
            return 0
        return self.transport.get_write_buffer_size() + self.backlog_size

    def flush(self) -> None:
        """Sends what the upper layer has to send, keeps its timer, closes when it says so."""
        upper = self.upper
        if upper.output:
            self.backlog.append(upper.take_output())
            self.write_backlog()
        elif not self.writing_paused:
            self.write_backlog()
        if upper.timer != self.artim.at:
            self.artim.set(upper.timer)
        if upper.wants_close and self.transport is not None:
            # `close` waits for a peer that may have stopped reading; when it is time to close, nothing matters to it.
            if self.write_queue_size:
                self.transport.abort()
            else:
                self.transport.close()

    def pause_reading(self, cause: int = BODY) -> None:
        """Lets TCP hold the peer back, for as long as the cause (`BODY`, `QUEUE`, `ANSWERS` or `REPLIES`) lasts."""
        if not self.reading_paused and self.transport is not None and self.lost is None:
            self.transport.pause_reading()
            if self.acknowledger is not None:
                self.acknowledger.paused()
        self.reading_paused |= cause

    def resume_reading(self, cause: int = BODY) -> None:
        """Takes bytes from the peer again, once no cause is left."""
        if self.reading_paused == cause and self.transport is not None and self.lost is None:
            self.last_received = self.loop.time()
            self.transport.resume_reading()
        self.reading_paused &= ~cause

    def kill(self) -> None:
        """Drops the connection at once, with whatever is still unsent."""
        if self.transport is not None:
            self.transport.abort()

    def abandon(self) -> None:
        """The association is over: nobody waits for what is unsent."""
        self.abandoned = True
        self.wake_writers()

    # inside

    def write_due(self) -> None:
        """The peer has not taken everything in time; as long as it takes something it gets more."""
        unsent, self.unsent = self.unsent, self.write_queue_size
        if self.unsent < unsent and self.write_timeout is not None:
            self.write_deadline.set(self.loop.time() + self.write_timeout)
        else:
            self.owner.write_timed_out()

    def artim_expired(self) -> None:
        for event in self.upper.handle_timer(self.loop.time()):
            self.owner.handle(event)
        self.flush()

    def wake_writers(self) -> None:
        for waiter in self.writers:
            if not waiter.done():
                waiter.set_result(None)


def tcp_socket(transport: asyncio.BaseTransport) -> socket.socket | None:
    """The TCP socket under a transport, where there is one."""
    found = transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return cast("socket.socket", found)


def set_socket_options(transport: asyncio.BaseTransport, options: Sequence[tuple[int, int, int]]) -> None:
    """Applies `(level, name, value)` options to the socket of a transport, TCP_NODELAY first."""
    found = tcp_socket(transport)
    if found is None:
        return
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option in options:
        found.setsockopt(*option)

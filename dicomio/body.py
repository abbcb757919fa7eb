"""The data set of a message while it arrives: pulled by whoever wants it, held back by TCP when nobody pulls."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, Protocol

from dicomio.buffers import RECEIVE_SIZE, ReceiveBuffer
from dicomio.errors import LocalProtocolError, Refused

__all__ = ["HELD", "Body", "Piece", "Sink"]

# Takes bytes that are valid during the call, and whether they are the last; tells whether it wants to be called again.
Sink = Callable[[Sequence[memoryview], bool], bool]

# A data set that ends with so little is copied: small objects on many associations shall not keep a buffer each.
COPIED: Final = 65_536
# Fragments that are smaller on the average are copied: what it takes to keep each costs more than that.
TINY: Final = 512
# More than any data set has: waits for its end.
END: Final = 1 << 62
# Beyond this the peer has to wait: half of it is being written while the other half arrives.
HELD: Final = 4 * RECEIVE_SIZE


class Flow(Protocol):
    """What a body needs of its connection."""

    def hold_buffer(self) -> ReceiveBuffer: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Piece:
    """Consecutive bytes of a data set, as they came: `chunks` are valid until `release`."""

    __slots__ = ("buffer", "chunks", "size")

    def __init__(self, chunks: Sequence[memoryview | bytes], size: int, buffer: ReceiveBuffer | None) -> None:
        self.chunks = chunks
        self.size = size
        self.buffer = buffer

    def release(self) -> None:
        """Lets go of the bytes."""
        if self.buffer is not None:
            self.buffer.release()
            self.buffer = None


class Body:
    """One data set on its way in; read it once.

    Args:
        flow: the connection it arrives on.

    Attributes:
        sink: where what arrives is poured into; where there is nothing it is kept for `take`.
    """

    __slots__ = (
        "complete",
        "discarding",
        "error",
        "flow",
        "held",
        "least",
        "pieces",
        "received",
        "sink",
        "taken",
        "waiters",
    )

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.pieces: deque[Piece] = deque()
        self.held = 0
        self.received = 0
        self.complete = False
        self.taken = False
        self.discarding = False
        self.error: Exception | None = None
        self.least = 1
        self.sink: Sink | None = None
        self.waiters: list[asyncio.Future[None]] = []

    # from the connection

    def feed(self, chunks: Sequence[memoryview], last: bool) -> None:
        """Takes what has arrived; the views are valid during the call."""
        size = sum(map(len, chunks)) if len(chunks) != 1 else len(chunks[0])
        self.received += size
        if self.sink is not None:
            if not self.sink(chunks, last):
                self.sink = None
                self.wake()
        elif size and not self.discarding:
            if (last and size <= COPIED) or size < len(chunks) * TINY:
                piece = Piece([b"".join(chunks)], size, None)
            else:
                piece = Piece(chunks, size, self.flow.hold_buffer())
            self.pieces.append(piece)
            self.held += size
            if self.held >= HELD and not last:
                self.flow.pause_reading()
        if last:
            self.complete = True
            # Some transports deliver what they have read already after being paused; the next message is not ours.
            self.flow.resume_reading()
        if last or (self.held if self.sink is None else size) >= self.least:
            self.wake()

    def fail(self, error: Exception) -> None:
        """The rest of the data set will not come."""
        if not self.complete and self.error is None:
            self.error = error
            self.release_all()
            self.wake()

    def wake(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    # for the consumer

    async def take(self, least: int = 1) -> list[Piece]:
        """All that has arrived and was not taken yet; nothing at the end. Release each piece when done with it.

        Args:
            least: bytes to wait for, unless the data set ends before; at most `HELD`.

        Raises:
            DicomError: the data set ended before its last fragment, or was dropped since its request is done with.
        """
        while True:
            self.check()
            if self.pieces and (self.held >= least or self.complete):
                pieces = list(self.pieces)
                self.pieces.clear()
                self.held = 0
                if not self.complete:
                    self.flow.resume_reading()
                return pieces
            if self.complete:
                return []
            await self.changed(least)

    async def pour(self, sink: Sink) -> None:
        """Passes on what arrives from now on as it arrives, until the data set ends or the sink wants no more.

        Call it when everything that has arrived was taken.

        Raises:
            DicomError: as for `take`.
        """
        self.sink = sink
        try:
            while self.sink is not None and not self.complete:
                await self.changed(END)
                self.check()
        finally:
            self.sink = None

    def check(self) -> None:
        """Raises why nothing more can be taken, if so."""
        if self.error is not None:
            raise self.error
        if self.discarding:
            raise LocalProtocolError("the request is done with, and the rest of its data set was dropped")

    async def changed(self, least: int = 1) -> None:
        """Waits until something more has happened, or where nobody wants less, until `least` bytes are there."""
        self.least = least if not self.waiters else min(least, self.least)
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        finally:
            self.waiters.remove(waiter)

    def begin(self) -> None:
        """Claims the body.

        Raises:
            LocalProtocolError: it has been read already.
        """
        if self.taken or self.discarding:
            raise LocalProtocolError("the data set of this request has been read already")
        self.taken = True

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The data set in pieces of arbitrary size, as `bytes` that stay valid."""
        self.begin()
        pieces: list[Piece] = []
        try:
            while pieces := await self.take():
                for piece in pieces:
                    data = b"".join(piece.chunks)
                    piece.release()
                    yield data
        finally:
            for piece in pieces:
                piece.release()

    async def read(self, limit: int) -> bytes:
        """The whole data set.

        Args:
            limit: bytes it may have.

        Raises:
            Refused: it has more; the status is Out of Resources.
        """
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                self.discard()
                raise Refused(0xA700, f"data set longer than {limit} bytes")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def discard(self) -> None:
        """Drops what has arrived and what will."""
        self.discarding = True
        self.sink = None
        self.release_all()
        if not self.complete:
            self.flow.resume_reading()

    def release_all(self) -> None:
        for piece in self.pieces:
            piece.release()
        self.pieces.clear()
        self.held = 0

    async def finished(self) -> None:
        """Drops what is left and returns when the peer has sent all of it.

        Raises:
            DicomError: the data set ended before its last fragment.
        """
        if self.complete:
            self.release_all()
            return
        self.discard()
        while not self.complete and self.error is None:
            await self.changed()
        if self.error is not None:
            raise self.error

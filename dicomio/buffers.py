"""Receive buffers that are ours: handed out, kept by whoever still reads from them, used again."""

from collections import deque
from typing import Final

__all__ = ["RECEIVE_SIZE", "SHARED", "BufferPool", "ReceiveBuffer"]

RECEIVE_SIZE: Final = 524_288
KEPT: Final = 8


class ReceiveBuffer:
    """A receive buffer that goes back to its pool when the last holder lets go of it.

    Attributes:
        filled: bytes of it that are in use; what arrives goes behind them.
    """

    __slots__ = ("filled", "holders", "pool", "view")

    def __init__(self, pool: "BufferPool") -> None:
        self.pool = pool
        self.view = memoryview(bytearray(RECEIVE_SIZE))
        self.holders = 0
        self.filled = 0

    @property
    def is_shared(self) -> bool:
        """Whether somebody beside its connection holds it."""
        return self.holders > 1

    def hold(self) -> None:
        """Keeps the bytes in the buffer as they are until `release`."""
        self.holders += 1

    def release(self) -> None:
        """Lets go of the buffer."""
        self.holders -= 1
        if not self.holders:
            self.pool.give(self)


class BufferPool:
    """Receive buffers for the connections of one event loop.

    A connection holds one only while bytes that arrived in it are in use, so idle connections need none.
    """

    __slots__ = ("free",)

    def __init__(self) -> None:
        self.free: deque[ReceiveBuffer] = deque()

    def take(self) -> ReceiveBuffer:
        """An empty buffer, held by whoever takes it."""
        buffer = self.free.pop() if self.free else ReceiveBuffer(self)
        buffer.holders, buffer.filled = 1, 0
        return buffer

    def give(self, buffer: ReceiveBuffer) -> None:
        """Takes a buffer back; beyond a few it is left to the garbage collector."""
        if len(self.free) < KEPT:
            self.free.append(buffer)


# One pool serves every connection of the process; taking and giving are single operations of a deque.
SHARED: Final = BufferPool()

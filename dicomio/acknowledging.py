"""Acknowledgements in time for a peer that waits for them in the middle of a message.

With Nagle's algorithm, the default of TCP, a peer keeps a short segment back until what it sent before is acknowledged;
delayed acknowledgements then cost 40 ms and more for each message. Acknowledging after each read avoids that, at the
price of a segment and a system call that a peer with TCP_NODELAY has no use for. Which of the two a peer is shows when
it is left alone.
"""

import asyncio
import socket
import sys
from typing import Final, Self

from dicomio.deadline import Deadline

__all__ = ["STALL", "TRIED", "Acknowledger"]

TCP_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None) if sys.platform == "linux" else None

# Messages of several reads that are acknowledged at once before the peer is left alone to see whether it stalls.
TRIED: Final = 4
# Seconds without a byte in the middle of a message after which the peer is taken to wait for us.
STALL: Final = 0.01


class Acknowledger:
    """Acknowledges at once what a peer has sent of a message that is not complete, for as long as the peer needs it.

    Args:
        sock: the socket.
        loop: where time passes.

    Attributes:
        tried: messages of several reads that were acknowledged at once.
        needed: whether the peer was seen to wait for that.
    """

    __slots__ = ("deadline", "needed", "sock", "started", "tried")

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.sock = sock
        self.deadline = Deadline(loop, self.stalled)
        self.started = False
        self.tried = 0
        self.needed = False

    @classmethod
    def of(cls, sock: socket.socket | None, loop: asyncio.AbstractEventLoop) -> Self | None:
        """One for a TCP socket, where the system has what it takes."""
        return cls(sock, loop) if sock is not None and TCP_QUICKACK is not None else None

    def received(self, now: float, mid_message: bool) -> None:
        """After each read.

        Args:
            now: loop time, seconds.
            mid_message: the message that it brought bytes of is not complete.
        """
        if mid_message:
            self.started = True
            if self.needed or self.tried < TRIED:
                self.acknowledge()
            else:
                self.deadline.set(now + STALL)
        elif self.started:
            self.started = False
            self.tried += 1
            self.deadline.set(None)

    def paused(self) -> None:
        """We stop reading: what does not come from now on is not the peer's doing."""
        self.deadline.set(None)

    def acknowledge(self) -> None:
        """Has the system send what it delays, and delay nothing for a while."""
        assert TCP_QUICKACK is not None
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
        except OSError:
            # The connection is going down; its end is about to be told.
            self.close()

    def stalled(self) -> None:
        """Nothing has come for a while: this peer, or the way to it, is better off with acknowledgements at once."""
        self.needed = True
        self.acknowledge()

    def close(self) -> None:
        """The connection is closed."""
        self.deadline.cancel()

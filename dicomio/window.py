"""The asynchronous operations window: how many operations may be outstanding at once (PS3.7 D.3.3.3)."""

import asyncio
from collections import deque

__all__ = ["Window"]


class Window:
    """Places for operations, given away first come, first served.

    Attributes:
        size: how many operations may be outstanding.
        taken: how many are.
    """

    __slots__ = ("size", "taken", "turns")

    def __init__(self) -> None:
        self.size = 1
        self.taken = 0
        self.turns: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the next one has to wait."""
        return self.taken >= self.size

    async def enter(self) -> None:
        """Waits for a place; `leave` gives it back.

        Raises:
            Exception: what `close` was called with.
        """
        if not self.is_full:
            self.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self.turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self.turns:
                self.turns.remove(turn)
            if not turn.cancelled() and turn.exception() is None:
                # The place came at the same moment, and goes on to the next.
                self.leave()
            raise

    def leave(self) -> None:
        """Gives a place to whoever waits longest."""
        while self.turns:
            turn = self.turns.popleft()
            # One that was cancelled just now has not had its turn to leave the line.
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def close(self, error: Exception) -> None:
        """Nobody will get a place any more."""
        while self.turns:
            turn = self.turns.popleft()
            if not turn.done():
                turn.set_exception(error)

"""Short work on files: in the event loop while files are quick, in a worker thread while they are not.

A visit to a thread wakes two processors, which takes longer than writing half a megabyte to the page cache. Whether a
file system is that quick shows in how long visits take: once enough of them were quick, such work is done in the event
loop, where its time is taken, too. The first that is slow ends that, and more quick ones are asked for then.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Final, ParamSpec, TypeVar

from dicomio.threads import in_thread

__all__ = ["MOST_AT_HAND", "PACE", "Pace", "promptly"]

P = ParamSpec("P")
T = TypeVar("T")

# Bytes to read or write that count as short work.
MOST_AT_HAND: Final = 1_048_576
# Seconds that short work takes on a file system that is quick, what else the machine does included.
QUICK: Final = 0.004
# Quick ones that are asked for at first, and at most.
LEAST_ASKED: Final = 16
MOST_ASKED: Final = 4096
# Quick ones that make up for a slow one in a thread: other threads may have been in its way.
MAKING_UP: Final = 4


class Pace:
    """How quick files have been.

    Attributes:
        asked: quick ones that are asked for.
        run: quick ones since the last slow one in the event loop, less what slow ones in threads took away.
    """

    __slots__ = ("asked", "run")

    def __init__(self, asked: int = LEAST_ASKED) -> None:
        self.asked = asked
        self.run = 0

    @property
    def is_quick(self) -> bool:
        """Whether short work can be done in the event loop."""
        return self.run >= self.asked

    def took(self, seconds: float) -> None:
        """Some short work was done."""
        if seconds <= QUICK:
            self.run += 1
        elif self.is_quick:
            self.asked = min(2 * self.asked, MOST_ASKED)
            self.run = 0
        else:
            self.run = max(0, self.run - MAKING_UP)

    def timed(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Does short work."""
        begin = perf_counter()
        try:
            return func(*args, **kwargs)
        finally:
            self.took(perf_counter() - begin)


# One for the process: where some files are slow, nothing is done in the event loop until all have been quick for long.
PACE: Final = Pace()


async def promptly(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Does short work on a file, at most `MOST_AT_HAND` bytes: here where files are quick, otherwise in a thread."""
    if PACE.is_quick:
        return PACE.timed(func, *args, **kwargs)
    return await in_thread(PACE.timed, func, *args, **kwargs)

"""Deadlines that are moved often and pass seldom."""

import asyncio
from collections.abc import Callable

__all__ = ["Deadline"]


class Deadline:
    """A deadline that is moved often and passes seldom: moving it is an assignment, not a timer.

    Args:
        loop: where the callback runs.
        passed: called once when the deadline passes; set it before the deadline, where it is not known yet.
    """

    __slots__ = ("at", "due", "handle", "loop", "passed")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None] | None) -> None:
        self.loop = loop
        self.passed = passed
        self.at: float | None = None
        self.handle: asyncio.TimerHandle | None = None
        # When the timer fires; uvloop's do not say so where that is less than half a millisecond ahead.
        self.due = 0.0

    def set(self, at: float | None) -> None:
        """Moves the deadline.

        Args:
            at: loop time in seconds, `None` for never.
        """
        self.at = at
        if at is None or (self.handle is not None and self.due <= at):
            return
        if self.handle is not None:
            self.handle.cancel()
        self.start_timer(at)

    def check(self) -> None:
        """Runs when the timer set first has fired; the deadline may have moved since."""
        self.handle = None
        if self.at is None:
            return
        if self.loop.time() < self.at:
            self.start_timer(self.at)
            return
        self.at = None
        if self.passed is not None:
            self.passed()

    def start_timer(self, at: float) -> None:
        self.due = at
        self.handle = self.loop.call_at(at, self.check)

    def cancel(self) -> None:
        """The deadline will not pass, and keeps nothing alive."""
        self.at = None
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None

"""Staying awake for the next message where it is about to come.

Going to sleep and being woken up takes an event loop longer than many peers need for an answer. So for an instant after
something was sent it looks for what comes instead, and lets other processes have their turn in between. A peer that
takes longer than that is waited for asleep, all but now and then to see whether it still does; and so is every peer
where other processes want the processor.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from time import perf_counter, sleep
from typing import Final
from weakref import WeakKeyDictionary

__all__ = ["SPAN", "Vigil", "vigil_of"]

# Seconds to stay awake: what a process takes to be woken up, to read a request and to write its answer.
SPAN: Final = 0.0003
# Messages after which the peer is not waited for awake, at most, where it took too long again and again.
MOST_ASLEEP: Final = 63

# Seconds after which giving way means that another process took its turn: there is no processor to be awake on.
TAKEN: Final = 0.00005

# What lets a process that waits for this processor have it.
give_way: Callable[[], None] = getattr(os, "sched_yield", partial(sleep, 0))


def soon(callback: Callable[[], None]) -> None:
    """Has something done in the next turn of the event loop."""
    asyncio.get_running_loop().call_soon(callback)


class Vigil:
    """Keeps an event loop awake for `SPAN` after something was sent, for all of its connections together.

    Args:
        call_soon: has something done in the next turn of the event loop.
        clock: seconds; that of uvloop itself goes in milliseconds.
        give_way: lets a process that waits for this processor have it.

    Attributes:
        awake: whether the event loop is kept from sleeping.
        asleep: messages after which to go to sleep at once.
    """

    __slots__ = ("asleep", "awake", "call_soon", "clock", "give_way", "in_vain", "until")

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], None] = soon,
        clock: Callable[[], float] = perf_counter,
        give_way: Callable[[], None] = give_way,
    ) -> None:
        self.call_soon = call_soon
        self.clock = clock
        self.give_way = give_way
        self.until = 0.0
        self.awake = False
        self.in_vain = 0
        self.asleep = 0

    def keep(self) -> None:
        """Something was sent: what the peer does next may come soon."""
        if not self.awake:
            if self.asleep:
                self.asleep -= 1
                return
            self.awake = True
            self.call_soon(self.turn)
        self.until = self.clock() + SPAN

    def heard(self) -> None:
        """Something came, from this peer or another one."""
        if self.awake:
            self.in_vain = 0

    def turn(self) -> None:
        """One turn of the event loop without sleep."""
        now = self.clock()
        if now < self.until:
            self.give_way()
            if self.clock() - now < TAKEN:
                self.call_soon(self.turn)
                return
        self.awake = False
        self.asleep = min(2**self.in_vain - 1, MOST_ASLEEP)
        self.in_vain = min(self.in_vain + 1, MOST_ASLEEP)


VIGILS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Vigil]] = WeakKeyDictionary()


def vigil_of(loop: asyncio.AbstractEventLoop) -> Vigil:
    """The one vigil of an event loop."""
    vigil = VIGILS.get(loop)
    if vigil is None:
        vigil = VIGILS[loop] = Vigil()
    return vigil

"""Which association of a client serves a request: a pure decision, and the pool that carries it out."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from dicomio.association import Association
from dicomio.config import PresentationContext
from dicomio.errors import LocalProtocolError, PoolTimeout

__all__ = ["MOST_CONTEXTS", "Lease", "Open", "Pool", "Slot", "Use", "Wait", "assign"]

# Presentation-context-IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2).
MOST_CONTEXTS = 128

Contexts: TypeAlias = frozenset[PresentationContext]


@dataclass(slots=True, eq=False)
class Slot:
    """One association of the pool, or one that is being opened."""

    proposed: Contexts
    association: Association | None = None
    busy: bool = True
    expiry: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Take this association."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Open:
    """Open another one, after releasing one that is not needed where there are too many."""

    instead_of: Slot | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until one becomes free."""


def assign(slots: Sequence[Slot], wanted: Contexts, limit: int) -> Use | Open | Wait:
    """Decides how a request gets its association.

    Args:
        slots: associations there are.
        wanted: presentation contexts that have to have been proposed on it.
        limit: associations there may be.
    """
    idle = [slot for slot in slots if not slot.busy]
    for slot in idle:
        if wanted <= slot.proposed:
            return Use(slot)
    if len(slots) < limit:
        return Open()
    return Open(instead_of=idle[0]) if idle else Wait()


@dataclass(slots=True)
class Pool:
    """The associations of a client.

    Args:
        opener: opens an association with presentation contexts.
        limit: associations at once.
        keepalive: seconds for which one that is not used is kept, `None` for ever.
        timeout: seconds to wait for a free one, `None` for ever.
    """

    opener: Callable[[Sequence[PresentationContext]], Awaitable[Association]]
    limit: int
    keepalive: float | None
    timeout: float | None
    slots: list[Slot] = field(default_factory=list)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    known: dict[PresentationContext, None] = field(default_factory=dict)
    releasing: dict[asyncio.Task[None], Association] = field(default_factory=dict)
    closed: bool = False

    async def take(self, wanted: Iterable[PresentationContext]) -> Slot:
        """An association for one request, for this caller alone.

        Raises:
            PoolTimeout: none became free in time.
            DicomError: none could be opened.
        """
        contexts = frozenset(hashable(context) for context in wanted)
        try:
            async with asyncio.timeout(self.timeout):
                slot, open_it = await self.place(contexts)
        except TimeoutError as error:
            raise PoolTimeout(f"no association became free within {self.timeout} s") from error
        if open_it:
            await self.fill(slot)
        if self.closed:
            self.give(slot)
            raise LocalProtocolError("the client is closed")
        return slot

    async def place(self, contexts: Contexts) -> tuple[Slot, bool]:
        """A slot, and whether its association is still to be opened; first come, first served."""
        if self.waiters:
            await self.wait()
        while True:
            if self.closed:
                raise LocalProtocolError("the client is closed")
            self.drop_ended()
            match assign(self.slots, contexts, self.limit):
                case Use(slot):
                    slot.busy = True
                    if slot.expiry is not None:
                        slot.expiry.cancel()
                    self.wake()
                    return slot, False
                case Open(instead_of):
                    if instead_of is not None:
                        self.retire(instead_of)
                    slot = Slot(self.with_known(contexts))
                    self.slots.append(slot)
                    self.wake()
                    return slot, True
                case Wait():
                    await self.wait(again=True)

    async def fill(self, slot: Slot) -> None:
        """Opens the association of a slot, once there is room for it: the peer may have a limit too."""
        try:
            while self.releasing and len(self.slots) + len(self.releasing) > self.limit:
                await asyncio.wait(list(self.releasing), return_when=asyncio.FIRST_COMPLETED)
            slot.association = await self.opener(sorted(slot.proposed, key=order))
        except BaseException:
            self.remove(slot)
            raise

    def with_known(self, contexts: Contexts) -> Contexts:
        """What to propose: what is wanted, and what was wanted before as far as there is room."""
        for context in contexts:
            # What we would be SCP for invites the peer to send it: on an association for that alone (C-GET).
            if not context.scp:
                self.known.pop(context, None)
                self.known[context] = None
        latest = list(reversed(self.known))
        while len(self.known) > MOST_CONTEXTS:
            self.known.pop(next(iter(self.known)))
        others = [context for context in latest if context not in contexts]
        return contexts | frozenset(others[: max(0, MOST_CONTEXTS - len(contexts))])

    async def wait(self, *, again: bool = False) -> None:
        """Waits at the end of the line, or at its head for who has stood there already and found nothing."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.insert(0 if again else len(self.waiters), waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self.waiters.remove(waiter)
            self.wake()
            raise
        self.waiters.remove(waiter)

    def wake(self) -> None:
        """Lets the first that waits look again; when it has got something it wakes the next."""
        if self.waiters and not self.waiters[0].done():
            self.waiters[0].set_result(None)

    def give(self, slot: Slot) -> None:
        """Takes an association back."""
        slot.busy = False
        if self.closed or slot.association is None or not slot.association.is_established:
            self.retire(slot)
        elif self.keepalive is not None:
            slot.expiry = asyncio.get_running_loop().call_later(self.keepalive, self.expire, slot)
        self.wake()

    def expire(self, slot: Slot) -> None:
        """Releases an association that nobody has used for a while."""
        if not slot.busy and slot in self.slots:
            self.retire(slot)

    def drop_ended(self) -> None:
        """Forgets associations that ended while nobody used them."""
        for slot in list(self.slots):
            if not slot.busy and slot.association is not None and not slot.association.is_established:
                self.remove(slot)

    def retire(self, slot: Slot) -> None:
        """Releases an association in the background."""
        self.remove(slot)
        if slot.association is not None:
            task = asyncio.get_running_loop().create_task(slot.association.release())
            self.releasing[task] = slot.association
            task.add_done_callback(self.releasing.pop)

    def remove(self, slot: Slot) -> None:
        if slot in self.slots:
            self.slots.remove(slot)
        if slot.expiry is not None:
            slot.expiry.cancel()
        self.wake()

    async def aclose(self, *, abort: bool = False) -> None:
        """Ends every association; requests under way are waited for, or aborted with their associations."""
        self.closed = True
        for slot in list(self.slots):
            association = slot.association
            if association is None:
                continue
            if abort:
                association.abort(detail="the client was closed")
                await association.wait_closed()
            elif not slot.busy:
                self.retire(slot)
            else:
                await association.release()
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        if abort:
            for association in self.releasing.values():
                association.abort(detail="the client was closed")
        if self.releasing:
            await asyncio.wait(list(self.releasing))


class Lease:
    """Lends an association of a pool: `async with Lease(pool, contexts) as association`."""

    __slots__ = ("contexts", "pool", "slot")

    def __init__(self, pool: Pool, contexts: Iterable[PresentationContext]) -> None:
        self.pool = pool
        self.contexts = contexts
        self.slot: Slot | None = None

    async def __aenter__(self) -> Association:
        self.slot = await self.pool.take(self.contexts)
        assert self.slot.association is not None
        return self.slot.association

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.slot is not None
        self.pool.give(self.slot)


def hashable(context: PresentationContext) -> PresentationContext:
    """The same proposal with its transfer syntaxes in a tuple."""
    if isinstance(context.transfer_syntaxes, tuple):
        return context
    return PresentationContext(context.abstract_syntax, tuple(context.transfer_syntaxes), context.scu, context.scp)


def order(context: PresentationContext) -> tuple[str, Sequence[str]]:
    """Proposals in an order that does not change from run to run."""
    return context.abstract_syntax, context.transfer_syntaxes

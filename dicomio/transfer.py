"""Sending many objects: look at them, plan their presentation contexts, send them over parallel associations."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

from pydicom.dataset import Dataset

from dicomio.config import PresentationContext
from dicomio.datasets import Instance
from dicomio.dimse import DimseProvider
from dicomio.errors import (
    AssociationAborted,
    AssociationReleased,
    ConnectionLost,
    DicomError,
    DicomTimeout,
    StatusError,
)
from dicomio.pool import MOST_CONTEXTS
from dicomio.requests import StoreProgress, StoreRequest
from dicomio.responses import Channel, Responses
from dicomio.services.storage import Source, StoreOptions, contexts_to_propose, send_store
from dicomio.status import Status
from dicomio.threads import in_thread

__all__ = ["Outcome", "Outcomes", "StoreMany"]

# How far the look-ahead goes, in objects: enough to plan contexts and to know the total of most transfers.
LOOK_AHEAD: Final = 50_000
# Objects looked at in one go of a worker thread.
GLANCE: Final = 64
# Outcomes that may wait to be looked at before sending waits.
UNREAD: Final = 64

SINGLE: Final = (str, PathLike, Dataset, Instance, StoreRequest)
LOST: Final = (ConnectionLost, AssociationAborted, AssociationReleased, DicomTimeout)

Reserve: TypeAlias = Callable[[Iterable[PresentationContext]], AbstractAsyncContextManager[DimseProvider]]
Glance: TypeAlias = tuple[Source, Instance | StoreRequest | Exception | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object.

    Attributes:
        source: what was to be sent.
        path: of the file, where it was one.
        status: what the peer said; `None` where it was not asked.
        error: why it was not stored; `None` where it was.
        instance: what was sent; `None` where it could not be read.
    """

    source: Source
    path: Path | None
    status: Status | None
    error: Exception | None
    instance: Instance | StoreRequest | None = None

    @property
    def name(self) -> str:
        """The path, or the SOP Instance UID of an object in memory."""
        if self.path is not None:
            return str(self.path)
        return self.instance.sop_instance_uid if self.instance is not None else type(self.source).__name__

    def __str__(self) -> str:
        if self.error is None:
            return f"{self.name}: {self.status}"
        return f"{self.name}: failed: {str(self.error).removeprefix(f'{self.name}: ')}"


class Outcomes(Responses[Outcome, Sequence[Outcome]]):
    """The outcomes of `Client.store_many`, as they come; when awaited, those that failed.

    Attributes:
        done: objects that were sent or failed, and whose outcome was received where the outcomes are iterated.
        total: objects there are; `None` until all of them have been looked at.
        failures: outcomes of those that were not stored.
    """

    def __init__(self, job: "StoreMany") -> None:
        super().__init__(job.run)
        self.job: Final = job

    @property
    def done(self) -> int:
        return self.job.done if self._channel is None else self.received

    @property
    def total(self) -> int | None:
        return self.job.total

    @property
    def failures(self) -> list[Outcome]:
        return self.job.failures


@dataclass(slots=True)
class Item:
    """An object on its way."""

    source: Source
    instance: Instance | StoreRequest
    contexts: frozenset[PresentationContext]
    attempts: int = 0


@dataclass(slots=True, eq=False)
class Group:
    """Objects whose presentation contexts fit one association together.

    Attributes:
        opening: associations that are being opened for it, each for at least one of the objects.
    """

    contexts: set[PresentationContext] = field(default_factory=set)
    items: deque[Item] = field(default_factory=deque)
    opening: int = 0

    def admits(self, contexts: frozenset[PresentationContext]) -> bool:
        """Whether these contexts fit as well."""
        return len(self.contexts | contexts) <= MOST_CONTEXTS


class Plan:
    """Objects waiting to be sent, in groups."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.planned: dict[tuple[str, str], tuple[Group, frozenset[PresentationContext]]] = {}

    def add(self, source: Source, instance: Instance | StoreRequest) -> None:
        """Puts an object into the group that its contexts are in, or fit into."""
        key = instance.sop_class_uid, instance.transfer_syntax
        if key not in self.planned:
            contexts = frozenset(contexts_to_propose(*key))
            group = next((group for group in self.groups if group.admits(contexts)), None)
            if group is None:
                group = Group()
                self.groups.append(group)
            group.contexts |= contexts
            self.planned[key] = group, contexts
        group, contexts = self.planned[key]
        group.items.append(Item(source, instance, contexts))

    def retry(self, item: Item) -> None:
        """Puts an object back, to be the next of its group."""
        self.planned[item.instance.sop_class_uid, item.instance.transfer_syntax][0].items.appendleft(item)

    def clear(self) -> None:
        """Drops what is waiting."""
        for group in self.groups:
            group.items.clear()

    def largest(self) -> Group | None:
        """The group with most to send that nobody is about to send."""
        group = max(self.groups, key=lambda group: len(group.items) - group.opening, default=None)
        return group if group is not None and len(group.items) > group.opening else None

    @property
    def waiting(self) -> int:
        """Objects in all groups."""
        return sum(len(group.items) for group in self.groups)


class StoreMany:
    """One bulk transfer.

    Args:
        reserve: finds an association on which certain contexts were proposed.
        sources: what to send.
        associations: how many to use at once, by a worker each.
        options: of each C-STORE.
        retries: how often an object is sent again when its association got lost.
    """

    def __init__(
        self,
        reserve: Reserve,
        sources: Source | Iterable[Source] | AsyncIterable[Source],
        associations: int,
        options: StoreOptions,
        retries: int,
    ) -> None:
        self.reserve = reserve
        self.sources: Iterable[Source] | AsyncIterable[Source]
        self.sources = several(sources) if isinstance(sources, SINGLE) else sources
        self.workers = associations
        self.options = options
        self.retries = retries
        self.plan = Plan()
        self.scanned = False
        self.counted = False
        self.found = 0
        self.done = 0
        self.fruitless = 0
        self.halted = False
        self.scanning: asyncio.Task[None] | None = None
        self.failures: list[Outcome] = []
        self.changed = asyncio.Event()

    def outcomes(self) -> Outcomes:
        """The transfer as something to iterate."""
        return Outcomes(self)

    @property
    def total(self) -> int | None:
        """How many objects there are, once all have been looked at."""
        return self.found if self.counted or self.scanned else None

    async def run(self, channel: Channel[Outcome]) -> Sequence[Outcome]:
        """Looks at the sources and sends them, at the same time."""
        channel.capacity = UNREAD
        try:
            async with asyncio.TaskGroup() as tasks:
                self.scanning = tasks.create_task(self.scan(channel))
                for _ in range(self.workers):
                    tasks.create_task(self.work(channel))
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        return self.failures

    def halt(self) -> None:
        """Begins nothing new; what is on its way arrives."""
        self.halted = True
        self.plan.clear()
        if self.scanning is not None:
            self.scanning.cancel()
        # Cancelled before it began, looking at the sources would never say that it has ended.
        self.scanned = True
        self.changed.set()

    # looking

    async def scan(self, channel: Channel[Outcome]) -> None:
        """Looks at every source and plans it."""
        try:
            if isinstance(self.sources, AsyncIterable):
                async for source in self.sources:
                    await self.add([(source, await in_thread(look_at, source))], channel)
            else:
                sources = iter(self.sources)
                more = True
                while more:
                    glances = await in_thread(glance, sources)
                    more = len(glances) == GLANCE
                    await self.add(glances, channel, last=not more)
        finally:
            self.scanned = True
            self.changed.set()

    async def add(self, glances: list[Glance], channel: Channel[Outcome], *, last: bool = False) -> None:
        """Plans objects; waits where too many are waiting already."""
        seen = [(source, found) for source, found in glances if found is not None]
        self.found += len(seen)
        self.counted = last
        for source, found in seen:
            if isinstance(found, Exception):
                await self.report(outcome_of(source, None, found), channel)
            else:
                self.plan.add(source, found)
        self.changed.set()
        while self.plan.waiting >= LOOK_AHEAD:
            self.changed.clear()
            await self.changed.wait()

    # sending

    async def work(self, channel: Channel[Outcome]) -> None:
        """Sends group after group over one association at a time."""
        while (group := await self.next_group()) is not None:
            contexts = frozenset(group.contexts)
            async with AsyncExitStack() as stack:
                provider = await self.association_for(group, contexts, stack)
                if provider is None:
                    return
                done = self.done
                await self.send_group(provider, group, contexts, channel)
                self.check_progress(provider, done)
        self.workers -= 1

    async def send_group(
        self, provider: DimseProvider, group: Group, contexts: frozenset[PresentationContext], channel: Channel[Outcome]
    ) -> None:
        """Sends what there is of a group, with as many objects under way as the association admits (PS3.7 D.3.3.3)."""
        if provider.window.size == 1:
            await self.send_in_turn(provider, group, contexts, channel)
            return
        async with asyncio.TaskGroup() as tasks:
            for _ in range(provider.window.size):
                tasks.create_task(self.send_in_turn(provider, group, contexts, channel))

    async def send_in_turn(
        self, provider: DimseProvider, group: Group, contexts: frozenset[PresentationContext], channel: Channel[Outcome]
    ) -> None:
        """Sends one object after the other."""
        while provider.ended is None and (item := self.next_item(group, contexts)) is not None:
            await self.send(provider, item, channel)

    def check_progress(self, provider: DimseProvider, done: int) -> None:
        """Gives up on a peer whose associations keep ending before anything can be sent on them."""
        self.fruitless = self.fruitless + 1 if provider.ended is not None and self.done == done else 0
        if provider.ended is not None and self.fruitless > self.retries:
            raise provider.ended.with_traceback(None)

    async def next_group(self) -> Group | None:
        """A group with something to send; `None` when everything has been sent."""
        while (group := self.plan.largest()) is None and (self.plan.waiting or not self.scanned):
            self.changed.clear()
            await self.changed.wait()
        return group

    async def association_for(
        self, group: Group, contexts: frozenset[PresentationContext], stack: AsyncExitStack
    ) -> DimseProvider | None:
        """One more association for a group; `None` where the peer does not admit it and others can do the work.

        Raises:
            DicomError: none could be opened, and nobody else is left to do the work.
        """
        group.opening += 1
        try:
            return await stack.enter_async_context(self.reserve(contexts))
        except DicomError:
            self.workers -= 1
            if not self.workers and (self.plan.waiting or not self.scanned):
                raise
            return None
        finally:
            group.opening -= 1
            self.changed.set()

    def next_item(self, group: Group, contexts: frozenset[PresentationContext]) -> Item | None:
        """The next object of a group, if its contexts were proposed already."""
        if not group.items or not group.items[0].contexts <= contexts:
            return None
        self.changed.set()
        return group.items.popleft()

    async def send(self, provider: DimseProvider, item: Item, channel: Channel[Outcome]) -> None:
        """Sends one object and reports what became of it."""
        nobody: Channel[StoreProgress] = Channel(closed=True)
        try:
            response = await send_store(provider, item.instance, self.options, nobody)
        except LOST as error:
            item.attempts += 1
            if item.attempts <= self.retries and not self.halted and not isinstance(item.instance, StoreRequest):
                self.plan.retry(item)
                self.changed.set()
            else:
                await self.report(outcome_of(item.source, item.instance, error), channel)
        except (DicomError, OSError) as error:
            await self.report(outcome_of(item.source, item.instance, error), channel)
        else:
            await self.report(outcome_of(item.source, item.instance, None, response.status), channel)

    async def report(self, outcome: Outcome, channel: Channel[Outcome]) -> None:
        self.done += 1
        if outcome.error is not None:
            self.failures.append(outcome)
        await channel.put(outcome)


def several(source: Source) -> Iterator[Source]:
    """What a single source stands for: the files of a directory, or itself."""
    if isinstance(source, str | PathLike) and Path(source).is_dir():
        yield from Path(source).rglob("*")
    else:
        yield source


def outcome_of(
    source: Source, instance: Instance | StoreRequest | None, error: Exception | None, status: Status | None = None
) -> Outcome:
    """The outcome of one object."""
    if isinstance(source, Dataset | StoreRequest):
        path = None
    else:
        path = source.path if isinstance(source, Instance) else Path(source)
    if isinstance(error, StatusError):
        status = Status(error.status)
    return Outcome(source, path, status, error, instance)


def glance(sources: Iterator[Source]) -> list[Glance]:
    """Looks at the next few sources, in a worker thread."""
    return [(source, look_at(source)) for source in islice(sources, GLANCE)]


def look_at(source: Source) -> Instance | StoreRequest | Exception | None:
    """What is to be sent, or why it cannot be; `None` for a directory. To be called in a worker thread."""
    try:
        if isinstance(source, Instance | StoreRequest):
            return source
        if isinstance(source, Dataset):
            return Instance.from_dataset(source)
        return None if Path(source).is_dir() else Instance.open(source)
    except (DicomError, OSError) as error:
        return error


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

"""Group commit: the objects of all associations that are waiting are published and entered together."""

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy.exc import IntegrityError

from dicomio.archive.index import Entry, Index, Known
from dicomio.archive.objects import ObjectStore

__all__ = ["Staged", "Writer"]

logger = logging.getLogger("dicomio.archive")

MOST: Final = 200  # objects in one transaction
PIECE: Final = 1 << 20  # bytes compared at a time


class Staged(NamedTuple):
    """A file that is complete, its contents durable, and what is to be entered for it."""

    file: Path
    entry: Entry


class Writer:
    """Takes objects into store and index.

    A batch waits for nothing but the one before it: whatever has come meanwhile shares its syncs and its commit.

    Args:
        objects: where objects are kept.
        index: where they are found.
    """

    def __init__(self, objects: ObjectStore, index: Index) -> None:
        self.objects = objects
        self.index = index
        self.waiting: list[tuple[Staged, asyncio.Future[None]]] = []
        self.task: asyncio.Task[None] | None = None

    async def add(self, staged: Staged) -> None:
        """Returns when an object is durable. The file is gone then from where it was, whatever happens.

        What is in the archive already, byte for byte, stays as it is.

        Raises:
            OSError: the store cannot take it.
            sqlalchemy.exc.SQLAlchemyError: the index cannot take it.
        """
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((staged, future))
        if self.task is None:
            self.task = asyncio.create_task(self.run())
        await future

    async def run(self) -> None:
        """Writes batches until nothing is waiting."""
        try:
            while self.waiting:
                batch, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
                results = await self.write([staged for staged, _ in batch])
                for (_, future), error in zip(batch, results, strict=True):
                    resolve(future, error)
        finally:
            self.task = None

    async def write(self, batch: Sequence[Staged]) -> list[Exception | None]:
        """Takes a batch into store and index; returns for each object what went wrong, if something did."""
        try:
            problems = await asyncio.to_thread(self.publish, batch)
        except Exception as error:
            await asyncio.to_thread(discard, batch)
            return [error] * len(batch)
        published = [number for number, problem in enumerate(problems) if problem is None]
        entered = await self.enter([batch[number].entry for number in published])
        for number, problem in zip(published, entered, strict=True):
            problems[number] = problem
        return problems

    def publish(self, batch: Sequence[Staged]) -> list[Exception | None]:
        """Moves files into the store, and removes those that do not get there."""
        problems: list[Exception | None] = [
            *self.objects.publish([(staged.file, staged.entry.path) for staged in batch])
        ]
        discard(staged for staged, problem in zip(batch, problems, strict=True) if problem is not None)
        return problems

    async def enter(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Enters objects that are in the store; those that are new together, which nearly all are."""
        if not entries:
            return []
        if len({entry.sop_instance_uid for entry in entries}) < len(entries):
            return await self.enter_known(entries)
        try:
            await self.index.enter_new(entries)
        except IntegrityError:
            return await self.enter_known(entries)
        except Exception as error:
            return await self.enter_each(entries, error)
        return [None] * len(entries)

    async def enter_known(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Enters objects some of which are in the index already; those that are the same there stay as they are."""
        try:
            known = await self.index.known([entry.sop_instance_uid for entry in entries])
            same = await asyncio.to_thread(self.same, entries, known)
            gone = await self.index.enter([entry for entry in entries if entry not in same])
        except Exception as error:
            return await self.enter_each(entries, error)
        await asyncio.to_thread(self.delete, [*gone, *(entry.path for entry in same)])
        return [None] * len(entries)

    async def enter_each(self, entries: Sequence[Entry], error: Exception) -> list[Exception | None]:
        """Enters objects that could not be entered together one by one, so that none spoils the others."""
        if len(entries) == 1:
            return [await self.withdraw(entries[0], error)]
        return [(await self.enter([entry]))[0] for entry in entries]

    def same(self, entries: Sequence[Entry], known: Mapping[str, Known]) -> list[Entry]:
        """Which objects are the same, byte for byte, as those that the index names."""
        found = []
        for entry in entries:
            there = known.get(entry.sop_instance_uid)
            if there is not None and there.is_like(entry):
                files = self.objects.path(entry.path), self.objects.path(there.path)
                if same_data_set(*files, entry.length):
                    found.append(entry)
        return found

    async def withdraw(self, entry: Entry, error: Exception) -> Exception | None:
        """Takes an object out of the store that could not be entered, if it was not: a commit may fail too late."""
        try:
            there = (await self.index.known([entry.sop_instance_uid])).get(entry.sop_instance_uid)
        except Exception:
            logger.exception("%s: whether it is in the index is not known; the next start will find out", entry.path)
            return error
        if there is not None and there.path == entry.path:
            return None
        await asyncio.to_thread(self.delete, [entry.path])
        return error

    def delete(self, paths: Iterable[str]) -> None:
        """Deletes what the index does not name any more."""
        for path in paths:
            try:
                self.objects.delete(path)
            except OSError as error:
                logger.warning("%s: %s; the next start will remove it", path, error)


def resolve(future: asyncio.Future[None], error: Exception | None) -> None:
    """Tells who waits; nobody may."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def discard(batch: Iterable[Staged]) -> None:
    """Removes the files of objects that are not taken."""
    for staged in batch:
        staged.file.unlink(missing_ok=True)


def same_data_set(one: Path, other: Path, length: int) -> bool:
    """Whether files end in the same data set."""
    try:
        with one.open("rb") as ours, other.open("rb") as theirs:
            ours.seek(-length, os.SEEK_END)
            theirs.seek(-length, os.SEEK_END)
            while piece := ours.read(PIECE):
                if piece != theirs.read(PIECE):
                    return False
            return True
    except OSError:  # what is gone is not the same
        return False

"""Group commit: the objects of all associations that are waiting are published and entered together."""

import asyncio
import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

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

        What is in the index already, byte for byte, stays as it is.

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
            present = await self.present(batch)
            problems = await asyncio.to_thread(self.publish, batch, present)
        except Exception as error:
            await asyncio.to_thread(discard, batch)
            return [error] * len(batch)
        published = [number for number, problem in enumerate(problems) if problem is None and number not in present]
        for number, problem in zip(published, await self.enter([batch[at].entry for at in published]), strict=True):
            problems[number] = problem
        return problems

    async def present(self, batch: Sequence[Staged]) -> set[int]:
        """Which of a batch are the same, byte for byte, as what is in the store already."""
        known = await self.index.known([staged.entry.sop_instance_uid for staged in batch])
        return await asyncio.to_thread(self.same, batch, known) if known else set()

    def same(self, batch: Sequence[Staged], known: Mapping[str, Known]) -> set[int]:
        """Compares files of a batch with those in the store."""
        found = set()
        for number, (file, entry) in enumerate(batch):
            there = known.get(entry.sop_instance_uid)
            if there is not None and there.is_like(entry) and same_data_set(file, self.objects.path(there.path), entry):
                found.add(number)
        return found

    def publish(self, batch: Sequence[Staged], present: Collection[int]) -> list[Exception | None]:
        """Moves files into the store, and removes what does not get there."""
        wanted = [number for number in range(len(batch)) if number not in present]
        found = self.objects.publish([(batch[number].file, batch[number].entry.path) for number in wanted])
        problems: list[Exception | None] = [None] * len(batch)
        for number, problem in zip(wanted, found, strict=True):
            problems[number] = problem
        discard(staged for staged, problem in zip(batch, problems, strict=True) if problem is not None)
        discard(batch[number] for number in present)
        return problems

    async def enter(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Enters published objects together; where that fails each by itself, so that one does not spoil the others."""
        if not entries:
            return []
        try:
            replaced = await self.index.enter(entries)
        except Exception as error:
            if len(entries) > 1:
                return [(await self.enter([entry]))[0] for entry in entries]
            return [await self.withdraw(entries[0], error)]
        await asyncio.to_thread(self.delete, replaced)
        return [None] * len(entries)

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


def same_data_set(one: Path, other: Path, entry: Entry) -> bool:
    """Whether the files end in the same data set."""
    try:
        with one.open("rb") as ours, other.open("rb") as theirs:
            ours.seek(-entry.length, os.SEEK_END)
            theirs.seek(-entry.length, os.SEEK_END)
            while piece := ours.read(PIECE):
                if piece != theirs.read(PIECE):
                    return False
            return True
    except OSError:  # what is gone is not the same
        return False

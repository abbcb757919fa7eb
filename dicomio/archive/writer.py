"""Group commit: the objects of all associations that are waiting are published and entered together."""

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy.exc import IntegrityError

from dicomio.archive.index import Entry, Index, Known
from dicomio.archive.objects import ObjectStore
from dicomio.archive.staging import entry_of

__all__ = ["Writer"]

logger = logging.getLogger("dicomio.archive")

MOST: Final = 200  # objects in one transaction
PIECE: Final = 1 << 20  # bytes compared at a time


class Writer:
    """Takes files into store and index.

    A batch waits for nothing but the one before it: whatever has come meanwhile shares its syncs and its transaction.

    Args:
        objects: where objects are kept.
        index: where they are found.
    """

    def __init__(self, objects: ObjectStore, index: Index) -> None:
        self.objects = objects
        self.index = index
        self.waiting: list[tuple[Path, asyncio.Future[None]]] = []
        self.task: asyncio.Task[None] | None = None

    def add(self, file: Path) -> asyncio.Future[None]:
        """Begins to take a file whose contents are durable. It is gone then from where it was, whatever happens.

        What is in the archive already, byte for byte, stays as it is.

        Returns:
            Done when the object is durable; or `Refused`, because the object is not fit to be kept; or an `OSError` or
            `SQLAlchemyError`, because it could not be.
        """
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((file, future))
        if self.task is None:
            self.task = asyncio.create_task(self.run())
        return future

    async def finished(self) -> None:
        """Returns when nothing is waiting any more."""
        while self.task is not None:
            await asyncio.wait([self.task])

    async def run(self) -> None:
        """Writes batches until nothing is waiting."""
        try:
            while self.waiting:
                batch, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
                results = await self.write_or_fail([file for file, _ in batch])
                for (_, future), error in zip(batch, results, strict=True):
                    resolve(future, error)
        finally:
            self.task = None

    async def write_or_fail(self, files: Sequence[Path]) -> list[Exception | None]:
        """Takes files; what nobody thought of fails them all, and not those that come later."""
        try:
            return await self.write(files)
        except Exception as error:
            logger.exception("%d objects could not be kept; the next start will see what is there of them", len(files))
            return [error] * len(files)

    async def write(self, files: Sequence[Path]) -> list[Exception | None]:
        """Takes files into store and index; says of each what went wrong, if something did."""
        published = await asyncio.to_thread(self.publish, files)
        entries = [entry for entry in published if isinstance(entry, Entry)]
        entered = iter(await self.enter(entries) if entries else ())
        return [next(entered) if isinstance(each, Entry) else each for each in published]

    def publish(self, files: Sequence[Path]) -> list[Entry | Exception]:
        """Reads files and moves them into the store; returns what is to be entered, or why there is nothing."""
        found = [entry_or_error(file) for file in files]
        taken = [(file, entry) for file, entry in zip(files, found, strict=True) if isinstance(entry, Entry)]
        problems = iter(self.objects.put([(file, entry.path) for file, entry in taken]))
        return [next(problems) or each if isinstance(each, Entry) else each for each in found]

    async def enter(self, entries: Sequence[Entry]) -> list[Exception | None]:
        """Enters objects together, as nearly always all are new; says of each what went wrong, if something did."""
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


def entry_or_error(file: Path) -> Entry | Exception:
    """What is to be entered for a file; one for which nothing is to be is removed."""
    try:
        return entry_of(file)
    except Exception as error:
        file.unlink(missing_ok=True)
        return error


def resolve(future: asyncio.Future[None], error: Exception | None) -> None:
    """Tells who waits; nobody may."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


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

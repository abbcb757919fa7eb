"""Worklist entries from a folder: one DICOM file for each scheduled procedure step (PS3.4 K)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from dicomio.archive.levels import refused
from dicomio.matching import InvalidKey, MatchOptions, Query, compile_query

__all__ = ["Worklist"]

logger = logging.getLogger("dicomio.archive")

CHUNK: Final = 200  # entries compared at a time
LARGEST: Final = 16 << 20  # bytes of a file that may be an entry

# What tells whether a file is what it was.
Stamp = tuple[int, int, int]


class Worklist:
    """The entries in a folder, read again when their files have changed.

    Hidden files, and what is not DICOM, are none. Write a file under a hidden name and rename it, so that nobody asks
    for half of it.

    Args:
        folder: the directory; it may be missing, and have no entries then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reading = asyncio.Lock()
        self.known: dict[str, tuple[Stamp, Dataset | None]] = {}

    async def find(self, identifier: Dataset, options: MatchOptions | None = None) -> AsyncGenerator[Dataset, None]:
        """The answers for entries that match (PS3.4 K.4.1).

        Raises:
            Refused: a key has a value by which nothing can be matched.
        """
        try:
            query = compile_query(identifier, options or MatchOptions())
        except InvalidKey as error:
            raise refused(str(error), error.tag) from error
        entries = await self.entries()
        for start in range(0, len(entries), CHUNK):
            for answer in await asyncio.to_thread(answers, query, entries[start : start + CHUNK]):
                yield answer

    async def entries(self) -> Sequence[Dataset]:
        """What is in the folder now, in the order of the files' names."""
        async with self.reading:
            self.known = await asyncio.to_thread(self.refreshed)
            return [entry for _, (_, entry) in sorted(self.known.items()) if entry is not None]

    def refreshed(self) -> dict[str, tuple[Stamp, Dataset | None]]:
        """The files as they are, those that have not changed as they were."""
        found: dict[str, tuple[Stamp, Dataset | None]] = {}
        for name, stamp in stamps(self.folder).items():
            before = self.known.get(name)
            unchanged = before is not None and before[0] == stamp
            found[name] = before if before and unchanged else (stamp, read_entry(self.folder / name))
        return found


def stamps(folder: Path) -> dict[str, Stamp]:
    """The files of a folder that may be entries."""
    found = {}
    if not folder.is_dir():
        return {}
    for file in folder.iterdir():
        try:
            status = file.stat()
        except OSError:  # it was removed meanwhile
            continue
        if S_ISREG(status.st_mode) and not file.name.startswith(".") and 0 < status.st_size <= LARGEST:
            found[file.name] = status.st_mtime_ns, status.st_size, status.st_ino
    return found


def read_entry(path: Path) -> Dataset | None:
    """The entry in a file, decoded as a whole, so that several threads may look at it; `None` where there is none."""
    try:
        ds = Dataset(pydicom.dcmread(path, stop_before_pixels=True))
        for _ in ds.iterall():
            pass
    except Exception as error:  # whatever pydicom makes of what is not DICOM
        logger.warning("%s is no worklist entry: %s", path, error)
        return None
    return ds


def answers(query: Query, entries: Sequence[Dataset]) -> list[Dataset]:
    """The answers for those of the entries that match."""
    return [query.project(entry) for entry in entries if query.matches(entry)]

"""What is done at each start, so that store and index agree however the last run ended."""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Final

from dicomio import Refused
from dicomio.archive.index import Entry, Index
from dicomio.archive.objects import ObjectStore, folder_for
from dicomio.archive.staging import entry_of, sync

__all__ = ["recover"]

logger = logging.getLogger("dicomio.archive")

# A name that `key_for` makes.
OURS: Final = re.compile(r".*\.[0-9a-f]{8}\.dcm")
MOST: Final = 100  # files looked into at a time


async def recover(objects: ObjectStore, index: Index, *, fsync: bool = True) -> None:
    """Compares store and index, a study at a time.

    Rows without a file are removed first; then objects that the index does not know are entered. Where it knows an
    object, any other file of it is a reception that was never answered, or one that has been replaced: it is removed.

    Args:
        objects: where objects are kept.
        index: where they are found.
        fsync: whether objects that are entered have to be durable.
    """
    folders = await asyncio.to_thread(set, objects.folders())
    more: set[str] = set(folders)
    async for row_id, uid in index.studies():
        folder = folder_for(uid)
        there = await asyncio.to_thread(objects.keys, folder) if folder in folders else set()
        named = await index.paths(row_id)
        if missing := named - there:
            missing = await asyncio.to_thread(absent, objects, missing)
            logger.warning("study %s: %d objects are not there any more", uid, len(missing))
            for start in range(0, len(missing), MOST):
                await index.remove(sorted(missing)[start : start + MOST])
        if there <= named:
            more.discard(folder)
    for folder in sorted(more):
        keys = await asyncio.to_thread(newest_first, objects, folder)
        for start in range(0, len(keys), MOST):
            await adopt(keys[start : start + MOST], objects, index, fsync=fsync)


def absent(objects: ObjectStore, keys: set[str]) -> set[str]:
    """Which of the keys have no object."""
    return {key for key in keys if not objects.path(key).exists()}


def newest_first(objects: ObjectStore, folder: str) -> list[str]:
    """The keys in a folder; of two receptions of an object the one that came last is wanted."""
    return sorted(objects.keys(folder), key=lambda key: objects.path(key).stat().st_mtime_ns, reverse=True)


async def adopt(keys: Sequence[str], objects: ObjectStore, index: Index, *, fsync: bool) -> None:
    """Enters what the index does not know, and removes what it knows by another key."""
    entries = await asyncio.to_thread(entries_of, keys, objects, fsync)
    known = await index.known([entry.sop_instance_uid for _, entry in entries])
    paths = {uid: found.path for uid, found in known.items()}
    adding = []
    for key, entry in entries:
        path = paths.setdefault(entry.sop_instance_uid, entry.path)
        if path == entry.path:
            await asyncio.to_thread(put, objects, key, entry.path)
            adding.append(entry)
        elif path != key:
            await asyncio.to_thread(remove_stale, objects, key)
    if adding:
        await index.enter_new(adding)
        logger.info("%d objects were not in the index", len(adding))


def entries_of(keys: Sequence[str], objects: ObjectStore, fsync: bool) -> list[tuple[str, Entry]]:
    """What is to be entered for objects; those that make no sense are left where they are."""
    found = []
    for key in keys:
        try:
            found.append((key, entry_of(objects.path(key))))
            if fsync:
                sync(objects.path(key))
        except (OSError, Refused) as error:
            logger.warning("%s is not entered: %s", key, error)
    return found


def put(objects: ObjectStore, key: str, path: str) -> None:
    """Gives an object another key."""
    for error in objects.put([(objects.path(key), path)]):
        if error is not None:
            raise error
    # so that its directories go, if they are empty
    objects.delete(key)


def remove_stale(objects: ObjectStore, key: str) -> None:
    """Removes a file that the index has another one in place of, if the name is one that we gave."""
    if OURS.fullmatch(key):
        objects.delete(key)
    else:
        logger.warning("%s is left alone: there is another file of this object", key)

"""Where the objects themselves are: files under a root, and what another kind of store would have to do."""

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Final, Protocol

from dicomio.datasets import safe_name

__all__ = ["FileStore", "ObjectStore", "folder_for", "key_for"]

# Letters of a name that no other reception of the same object has.
TOKEN: Final = 4
# How often a directory is made again that was removed meanwhile.
ATTEMPTS: Final = 5
# Directories that are known to be there.
MOST_READY: Final = 10_000


def key_for(study_uid: str, series_uid: str, instance_uid: str) -> str:
    """Where an object is going to be: a name of its own for each reception, below its study and its series.

    What is received again thereby never touches the file that the index still names. UIDs that are not made of digits
    and dots are hashed.
    """
    name = f"{safe_name(instance_uid)}.{secrets.token_hex(TOKEN)}.dcm"
    return f"{folder_for(study_uid)}/{safe_name(series_uid)}/{name}"


def folder_for(study_uid: str) -> str:
    """The first part of the keys of a study."""
    return safe_name(study_uid)


class ObjectStore(Protocol):
    """What keeps objects by key. All methods block: they are called in worker threads."""

    def put(self, files: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """Takes files over, each under a key that is new; durable on return. None of them is where it was then.

        Returns:
            For each why it was not taken; nothing is left of it then.
        """

    def path(self, key: str) -> Path:
        """A file to read the object from."""

    def delete(self, key: str) -> None:
        """Forgets an object; one that is not there is none the less forgotten."""

    def folders(self) -> Iterator[str]:
        """The parts that `keys` can be asked for."""

    def keys(self, folder: str) -> set[str]:
        """The keys in one of the `folders`."""


class FileStore:
    """Objects as files under a directory.

    Args:
        root: the directory.
        fsync: what was `put` has its name on the disk. What is in the files has to be there before.
    """

    def __init__(self, root: Path, *, fsync: bool = True) -> None:
        self.root = root
        self.fsync = fsync
        self.lock = Lock()
        self.ready = {root}

    def put(self, files: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See `ObjectStore`; a directory is synced once for all files that get into it."""
        problems: dict[Path, OSError] = {}
        changed: dict[Path, list[Path]] = {}
        for file, key in files:
            target = self.path(key)
            try:
                self.move(file, target)
                changed.setdefault(target.parent, []).append(target)
            except OSError as error:
                file.unlink(missing_ok=True)
                problems[target] = error
        for directory, targets in changed.items():
            try:
                self.sync(directory)
            except OSError as error:
                for target in targets:
                    target.unlink(missing_ok=True)
                    problems[target] = error
        return [problems.get(self.path(key)) for _, key in files]

    def move(self, file: Path, target: Path) -> None:
        """Gives a file its name, in a directory that may have to be made first."""
        for attempt in range(ATTEMPTS):
            try:
                self.make(target.parent)
                return os.rename(file, target)
            except FileNotFoundError:
                # Another process may have removed the directory, as it was empty.
                if attempt == ATTEMPTS - 1:
                    raise
                with self.lock:
                    self.ready = {self.root}

    def make(self, directory: Path) -> None:
        """Makes a directory and those above it; their names are durable, whoever made them."""
        if directory in self.ready:
            return
        self.make(directory.parent)
        with self.lock:
            directory.mkdir(exist_ok=True)
            self.sync(directory.parent)
            if len(self.ready) > MOST_READY:
                self.ready = {self.root}
            self.ready.add(directory)

    def sync(self, directory: Path) -> None:
        """Makes the names in a directory durable."""
        if self.fsync:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def path(self, key: str) -> Path:
        """See `ObjectStore`."""
        return self.root / key

    def delete(self, key: str) -> None:
        """See `ObjectStore`; directories that are empty then are removed."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        for directory in (path.parent, path.parent.parent):
            with self.lock:
                self.ready.discard(directory)
                try:
                    directory.rmdir()
                except OSError:  # there is something else in it
                    return

    def folders(self) -> Iterator[str]:
        """See `ObjectStore`: the directories of studies."""
        with os.scandir(self.root) as entries:
            yield from sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def keys(self, folder: str) -> set[str]:
        """See `ObjectStore`."""
        files = (self.root / folder).glob("*/*.dcm")
        return {PurePosixPath(path.relative_to(self.root)).as_posix() for path in files}

"""Where the objects themselves are: files under a root, and what another kind of store would have to do."""

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from dicomio.datasets import safe_name

__all__ = ["FileStore", "ObjectStore", "folder_for", "key_for"]

# Letters of a name that no other reception of the same object has.
TOKEN: Final = 4
# How often a directory is made again that was removed, as empty, by another process meanwhile.
ATTEMPTS: Final = 5


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

    def publish(self, staged: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """Takes files over, each under a key that is new; durable on return.

        Returns:
            For each what went wrong, if something did; the file is still where it was then.
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
        root: the directory; it is made.
        fsync: `publish` returns only when files' names are on the disk. What is in them has to be there before.
    """

    def __init__(self, root: Path, *, fsync: bool = True) -> None:
        self.root = root
        self.fsync = fsync

    def publish(self, staged: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See `ObjectStore`; directories are synced once for all files that get into them."""
        problems: list[OSError | None] = []
        changed: dict[Path, list[int]] = {}
        for number, (source, key) in enumerate(staged):
            target = self.path(key)
            try:
                self.move(source, target)
                changed.setdefault(target.parent, []).append(number)
            except OSError as error:
                problems.append(error)
            else:
                problems.append(None)
        for directory, numbers in changed.items():
            try:
                self.sync(directory)
            except OSError as error:
                for number in numbers:
                    problems[number] = error
        return problems

    def move(self, source: Path, target: Path) -> None:
        """Gives a file its name, in a directory that may have to be made first."""
        for _ in range(ATTEMPTS):
            try:
                return os.rename(source, target)
            except FileNotFoundError:
                if not source.exists():
                    raise
                self.make(target.parent)
        raise OSError(errno.ENOENT, "its directory is removed again and again", str(target))

    def make(self, directory: Path) -> None:
        """Makes a directory and those above it; their names are durable."""
        try:
            directory.mkdir()
        except FileExistsError:
            return
        except FileNotFoundError:
            self.make(directory.parent)
            directory.mkdir(exist_ok=True)
        self.sync(directory.parent)

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

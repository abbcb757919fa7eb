"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, TypeVar

__all__ = ["NewFile", "rest_of"]

B = TypeVar("B", bound=bytes | memoryview)

# IOV_MAX on Linux; a vectored write takes no more buffers than this.
VECTORS: Final = 1024
# Bytes for one write, where there are more: file systems look for larger pieces of memory for longer ones, and find
# them less easily.
LONGEST_WRITE: Final = 524_288
# The longest name a temporary file takes from its final one, so that no file system finds it too long.
STEM: Final = 100
FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class NewFile:
    """A file that is written under a hidden name and gets its own when it is complete.

    All methods block: call them in a worker thread.

    Args:
        target: where it goes: a file; or a directory, as what is one, ends in a slash or has no suffix (and is not a
            file) is taken for. Missing directories are made.
        name: its name in a directory.
        fsync: publish it only when it is on the disk.
    """

    __slots__ = ("descriptor", "final", "fsync", "name", "target", "temporary")

    def __init__(self, target: str | PathLike[str], name: str, *, fsync: bool = False) -> None:
        self.target = os.fspath(target)
        self.name = name
        self.final = self.target
        self.fsync = fsync
        self.temporary: str | None = None
        self.descriptor = -1

    @property
    def path(self) -> Path:
        """Where it goes; known once it has been opened."""
        return Path(self.final)

    def open(self) -> None:
        """Makes the hidden file."""
        target = self.target
        # An object must not be taken for the directory it was to go to.
        named = os.path.splitext(target)[1] and not target.endswith(("/", os.sep))
        if not named or os.path.isdir(target):
            try:
                self.make(target, self.name)
            except NotADirectoryError:
                if not os.path.isfile(target):
                    raise
            else:
                return
        self.make(*os.path.split(target))

    def make(self, directory: str, name: str) -> None:
        """Makes the hidden file beside where it goes, and the directories that are missing."""
        beside = os.path.join(directory, "")
        temporary = f"{beside}.{name[:STEM]}.{os.urandom(6).hex()}.part"
        try:
            self.descriptor = os.open(temporary, FLAGS, 0o666)
        except FileNotFoundError:
            os.makedirs(directory, exist_ok=True)
            self.descriptor = os.open(temporary, FLAGS, 0o666)
        self.final, self.temporary = beside + name, temporary

    def write(self, chunks: Sequence[bytes | memoryview], *, last: bool = False) -> None:
        """Appends; makes the file at the first call and publishes it at the last.

        Raises:
            OSError: what the file system says.
        """
        if self.descriptor < 0:
            self.open()
        for some in portions(chunks):
            self.write_vector(some)
        if last:
            self.publish()

    def write_vector(self, chunks: Sequence[bytes | memoryview]) -> None:
        """One vectored write, repeated until everything is written."""
        left = sum(map(len, chunks))
        while left:
            written = write_chunks(self.descriptor, chunks)
            left -= written
            if left:
                chunks = rest_of(chunks, written)

    def publish(self) -> None:
        """Gives the file its name, in place of what had it."""
        if self.fsync:
            os.fsync(self.descriptor)
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)
        assert self.temporary is not None
        os.replace(self.temporary, self.final)
        self.temporary = None
        if self.fsync:
            sync_directory(self.path.parent)

    def discard(self) -> None:
        """Leaves nothing behind of a file that was not published."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if self.temporary is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.temporary)
            self.temporary = None


def portions(chunks: Sequence[bytes | memoryview]) -> Iterator[Sequence[bytes | memoryview]]:
    """Chunks in turns, as much as one write takes."""
    if len(chunks) <= VECTORS and sum(map(len, chunks)) <= LONGEST_WRITE:
        yield chunks
        return
    some: list[bytes | memoryview] = []
    size = 0
    for chunk in chunks:
        for start in range(0, len(chunk), LONGEST_WRITE):
            piece = chunk if len(chunk) <= LONGEST_WRITE else memoryview(chunk)[start : start + LONGEST_WRITE]
            if some and (size + len(piece) > LONGEST_WRITE or len(some) == VECTORS):
                yield some
                some, size = [], 0
            some.append(piece)
            size += len(piece)
    yield some


def write_chunks(descriptor: int, chunks: Sequence[bytes | memoryview]) -> int:
    """Writes chunks with one system call, where the system has one for it."""
    if hasattr(os, "writev"):
        return os.writev(descriptor, chunks)
    return os.write(descriptor, b"".join(chunks))


def rest_of(chunks: Sequence[B], count: int) -> list[B | memoryview]:
    """What is left of chunks after `count` bytes of them were written, or filled."""
    for index, chunk in enumerate(chunks):
        if count < len(chunk):
            return [memoryview(chunk)[count:], *chunks[index + 1 :]]
        count -= len(chunk)
    return []


def sync_directory(path: Path) -> None:
    """Makes a rename in a directory durable, where directories can be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

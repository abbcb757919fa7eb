"""Sending a message whose data set is a file, bytes or a stream, in batches of P-DATA-TF PDUs (PS3.8 9.3.5)."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from dicomio.datasets.instance import stamp_of
from dicomio.dimse import DimseProvider
from dicomio.errors import InvalidInstance
from dicomio.files import rest_of
from dicomio.operations import Pending
from dicomio.pace import MOST_AT_HAND, promptly
from dicomio.threads import in_thread
from dicomio.wire.commands import Command
from dicomio.wire.pdata import BatchPacker

__all__ = ["AT_ONCE", "BATCH", "BytesData", "DataSource", "FileData", "StreamData", "read_region", "send_message"]

# Bytes of data set that go to the transport in one write.
BATCH: Final = 1_048_576
# Data sets up to so many bytes go out in one piece with their command.
AT_ONCE: Final = 65_536


SHORTER: Final = "{}: the file has become shorter while it was being sent"
READING: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0)


class DataSource(Protocol):
    """Where the bytes of a data set come from.

    Attributes:
        total: their number, `None` where that is not known in advance.
    """

    @property
    def total(self) -> int | None: ...

    async def fill(self, batch: BatchPacker) -> tuple[memoryview, int, bool]:
        """Lays out the next batch: what to write, how much of the data set is in it, and whether it is the last."""
        ...

    async def aclose(self) -> None:
        """Lets go of what was opened."""
        ...


class BytesData:
    """A data set in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.total: int | None = len(data)
        self.at = 0

    async def fill(self, batch: BatchPacker) -> tuple[memoryview, int, bool]:
        part = self.data[self.at : self.at + batch.capacity]
        self.at += len(part)
        last = self.at == len(self.data)
        view, gaps = batch.lay(len(part), last)
        copy_into(gaps, part)
        return view, len(part), last

    async def aclose(self) -> None:
        self.data.release()


class FileData:
    """A data set that is a region of a file; it is read straight into the gaps between the PDU headers.

    Args:
        path: the file.
        offset: where the data set begins, bytes.
        length: its length, bytes.
        stamp: size and time of change of the file when it was looked at.
    """

    def __init__(self, path: Path, offset: int, length: int, stamp: tuple[int, int] | None) -> None:
        self.path = path
        self.stamp = stamp
        self.at = offset
        self.end = offset + length
        self.total: int | None = length
        self.is_short = length <= MOST_AT_HAND
        self.descriptor = -1

    async def fill(self, batch: BatchPacker) -> tuple[memoryview, int, bool]:
        size = min(batch.capacity, self.end - self.at)
        last = self.at + size == self.end
        view, gaps = batch.lay(size, last)
        await (promptly if self.is_short else in_thread)(self.read, gaps, last)
        return view, size, last

    def read(self, gaps: Sequence[memoryview], last: bool) -> None:
        """Fills the gaps; the first call opens the file, the last one closes it."""
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, READING)
            check_stamp(self.path, self.descriptor, self.stamp)
        pending = [gap for gap in gaps if gap]
        while pending:
            count = read_into(self.descriptor, pending, self.at)
            if not count:
                raise InvalidInstance(SHORTER.format(self.path))
            self.at += count
            pending = rest_of(pending, count)
        if last:
            self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    async def aclose(self) -> None:
        if self.descriptor >= 0:
            await in_thread(self.close)


class StreamData:
    """A data set that arrives while it is sent, as when an object is passed on; its length is not known.

    Args:
        chunks: its bytes, in pieces of any size.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.chunks = chunks
        self.total: int | None = None
        self.left = b""
        self.ended = False

    async def fill(self, batch: BatchPacker) -> tuple[memoryview, int, bool]:
        parts, size = [self.left], len(self.left)
        # One byte more than fits tells whether this batch is the last.
        while size <= batch.capacity and not self.ended:
            chunk = await anext(self.chunks, None)
            if chunk is None:
                self.ended = True
            else:
                parts.append(chunk)
                size += len(chunk)
        data = b"".join(parts)
        self.left = data[batch.capacity :]
        part = memoryview(data)[: batch.capacity]
        last = self.ended and not self.left
        view, gaps = batch.lay(len(part), last)
        copy_into(gaps, part)
        return view, len(part), last

    async def aclose(self) -> None:
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()


def read_region(path: Path, offset: int, length: int, stamp: tuple[int, int] | None) -> bytes:
    """Reads a short data set whole; the arguments are those of `FileData`.

    Raises:
        InvalidInstance: the file has changed.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, READING)
    try:
        check_stamp(path, descriptor, stamp)
        os.lseek(descriptor, offset, os.SEEK_SET)
        data = os.read(descriptor, length)
        while len(data) < length:
            more = os.read(descriptor, length - len(data))
            if not more:
                raise InvalidInstance(SHORTER.format(path))
            data += more
        return data
    finally:
        os.close(descriptor)


def check_stamp(path: Path, descriptor: int, stamp: tuple[int, int] | None) -> None:
    """Raises `InvalidInstance` where an open file is not the one that was looked at."""
    if stamp not in (None, stamp_of(os.fstat(descriptor))):
        raise InvalidInstance(f"{path}: the file has changed since it was looked at")


def copy_into(gaps: Sequence[memoryview], data: memoryview) -> None:
    """Copies bytes into gaps that hold exactly as many."""
    at = 0
    for gap in gaps:
        gap[:] = data[at : at + len(gap)]
        at += len(gap)


def read_into(descriptor: int, gaps: Sequence[memoryview], at: int) -> int:
    """Reads a file into gaps in one system call, where the system has one for it."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, gaps, at)
    os.lseek(descriptor, at, os.SEEK_SET)
    data = os.read(descriptor, len(gaps[0]))
    gaps[0][: len(data)] = data
    return len(data)


async def send_message(
    provider: DimseProvider,
    pending: Pending,
    command: Command,
    source: DataSource,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Sends a request with its data set; returns when all of it is with the transport.

    Nothing is sent before the first batch of the data set is there, so a source that fails at once leaves the
    association as it was. Failing or being cancelled after that aborts the association: there is no other way to
    stop in the middle of a message.

    Args:
        provider: the association.
        pending: the request, from `DimseProvider.begin`; forgotten again where nothing of it was sent.
        command: its command set.
        source: its data set; closed afterwards.
        progress: called after each batch with the bytes of data set sent so far.

    Raises:
        DicomError: the association is over, or the source failed.
        OSError: the file cannot be read.
    """
    turn = None
    started = finished = False
    try:
        turn = await provider.exclusive()
        upper = provider.upper
        size = min(source.total, BATCH) if source.total is not None else BATCH
        prefix = upper.command(pending.context.id, command)
        batch = BatchPacker(pending.context.id, upper.send_payload, max(size, 1), prefix)
        other: BatchPacker | None = None
        sent = 0
        while not finished:
            view, count, last = await source.fill(batch)
            # The other batch, which is filled next, has left when the transport holds nothing.
            await provider.drain()
            provider.check_open()
            started = True
            provider.protocol.write(view, more=not last)
            finished = last
            sent += count
            if progress is not None:
                progress(sent)
            if not last:
                batch, other = other or BatchPacker(pending.context.id, upper.send_payload, size), batch
    except BaseException as error:
        if not started:
            provider.forget(pending)
        elif not finished:
            provider.abort(detail=f"stopped in the middle of a data set ({type(error).__name__})")
        raise
    finally:
        if turn is not None:
            provider.shared(turn)
        await source.aclose()

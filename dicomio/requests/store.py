"""C-STORE as its handler sees it: an object on its way in (PS3.7 9.1.1)."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicomio.body import HELD, Body, Piece
from dicomio.datasets import Instance, file_header, safe_name
from dicomio.datasets.instance import StrPath
from dicomio.errors import Refused
from dicomio.files import NewFile
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.operations import Inbound
from dicomio.pace import MOST_AT_HAND, PACE, promptly
from dicomio.requests.base import Request, checked_uid
from dicomio.responses import Channel, Responses
from dicomio.threads import in_thread

__all__ = ["StoreProgress", "StoreRequest"]

# Bytes to wait for before a worker thread is sent to write them: the way there and back costs as much as 100 KiB do.
WRITTEN_AT_ONCE: Final = HELD // 2
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
CANNOT_UNDERSTAND: Final = 0xC000


@dataclass(frozen=True, slots=True)
class StoreProgress:
    """How far a data set has got.

    Attributes:
        bytes: of the data set, sent or received so far.
        total: of the data set, in bytes; `None` where that is not known before its end.
    """

    bytes: int
    total: int | None = None


class StoreRequest(Request):
    """C-STORE: an object on its way in (PS3.7 9.1.1).

    The handler runs while the data set arrives. Take it once, with `save` or `chunks`; or with `read` or `dataset`,
    which keep it in memory, so that the others can follow. Where the handler takes nothing it is dropped.

    Attributes:
        sop_class_uid: Affected SOP Class UID.
        sop_instance_uid: Affected SOP Instance UID. It contains nothing but letters, digits, dots and dashes and does
            not begin with a dot: a request with another one is refused before any handler runs.
        priority: 0 medium, 1 high, 2 low; `None` where the peer sent none.
        move_originator: AE title of who asked for this object with a C-MOVE, if so.
        move_originator_message_id: message ID of that C-MOVE.
    """

    __slots__ = (
        "body",
        "data",
        "move_originator",
        "move_originator_message_id",
        "priority",
        "sop_class_uid",
        "sop_instance_uid",
        "unsaved",
    )

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        command = inbound.command
        self.sop_class_uid = checked_uid(command.affected_sop_class_uid or inbound.context.abstract_syntax, "class")
        if self.sop_class_uid != inbound.context.abstract_syntax:
            if inbound.provider.upper.strict:
                raise Refused(SOP_CLASS_NOT_SUPPORTED, "not the SOP class of the presentation context")
            inbound.provider.upper.messages.note("sent an object of another SOP class than its presentation context")
        self.sop_instance_uid = checked_uid(command.affected_sop_instance_uid or "", "instance")
        self.priority = command.priority
        self.move_originator = command.move_originator
        self.move_originator_message_id = command.move_originator_message_id
        if inbound.body is None:
            raise Refused(CANNOT_UNDERSTAND, "C-STORE-RQ without a data set")
        self.body: Body = inbound.body
        self.data: bytes | None = None
        self.unsaved = False

    @property
    def received(self) -> int:
        """Bytes of the data set that have arrived."""
        return self.body.received

    async def progress(self) -> AsyncIterator[StoreProgress]:
        """How much has arrived, each time more has, until all has; for a task beside the one that reads.

        Raises:
            DicomError: the data set ended before its last fragment.
        """
        while not self.body.complete:
            if self.body.error is not None:
                raise self.body.error
            yield StoreProgress(self.body.received)
            await self.body.changed()
        yield StoreProgress(self.body.received, self.body.received)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The encoded data set in pieces as they arrive, of any size. A peer that is faster than you has to wait."""
        if self.data is not None:
            yield self.data
            return
        async with aclosing(self.body.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def read(self) -> bytes:
        """The encoded data set as a whole; it is kept, so that it can be read again, decoded and saved.

        Raises:
            Refused: it is longer than `Limits.data_set`.
        """
        if self.data is None:
            self.data = await self.body.read(self.inbound.provider.limits.data_set)
        return self.data

    async def dataset(self) -> Dataset:
        """The decoded data set; `file_meta` names its transfer syntax.

        Raises:
            InvalidInstance: it cannot be decoded.
            Refused: it is longer than `Limits.data_set`.
        """
        data = await self.read()
        instance = Instance.from_bytes(self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax, data)
        return await in_thread(instance.dataset, self.inbound.provider.limits)

    def save(self, path: StrPath, *, fsync: bool = False) -> Responses[StoreProgress, Path]:
        """Writes the object to a DICOM file as it arrives (PS3.10): memory stays flat, the data set's bytes stay as
        they are, and the file appears when it is complete.

        `await` it for the path of the file; iterate it to see the progress.

        Args:
            path: the file; or a directory, in which the file is named by its SOP Instance UID with `.dcm`. What does
                not exist yet is a file where it has a suffix, otherwise a directory. Missing directories are made, an
                existing file is replaced.
            fsync: return only when file and name are on the disk.

        Raises:
            OSError: it cannot be written; nothing is left behind.
            DicomError: the association ended before the object was complete; nothing is left behind.
        """
        if self.data is None:
            self.body.begin()
        self.unsaved = True
        return Responses(lambda progress: self.write(path, fsync, progress))

    async def write(self, path: StrPath, fsync: bool, progress: Channel[StoreProgress]) -> Path:
        """Moves the data set from the connection to a file, from the buffers that it was received in."""
        file = NewFile(path, f"{safe_name(self.sop_instance_uid)}.dcm", fsync=fsync)
        chunks: list[bytes | memoryview] = [self.file_header()]
        pieces: list[Piece] = []
        last = False
        try:
            while not last:
                pieces = await self.pieces(1 if self.is_at_hand(file) else WRITTEN_AT_ONCE)
                last = self.body.complete and not self.body.pieces
                if last and not self.body.received:
                    raise Refused(CANNOT_UNDERSTAND, "the data set is empty")
                for piece in pieces:
                    chunks += piece.chunks
                self.tell(progress, last)
                await (promptly if self.is_short(file) else in_thread)(file.write, chunks, last=last)
                chunks.clear()
                release_all(pieces)
                if not last and not self.body.pieces and self.is_at_hand(file):
                    last = await self.pour(file, progress)
        except BaseException:
            release_all(pieces)
            await in_thread(file.discard)
            raise
        self.unsaved = False
        return file.path

    def is_short(self, file: NewFile) -> bool:
        """Whether writing what has arrived is short work."""
        return self.body.received <= MOST_AT_HAND and not file.fsync

    def is_at_hand(self, file: NewFile) -> bool:
        """Whether writing what has arrived is done in the event loop."""
        return PACE.is_quick and self.is_short(file)

    def tell(self, progress: Channel[StoreProgress], last: bool) -> None:
        """Says how much has arrived, if anybody wants to know."""
        if not progress.closed:
            progress.offer(StoreProgress(self.received, self.received if last else None))

    async def pour(self, file: NewFile, progress: Channel[StoreProgress]) -> bool:
        """Writes what arrives as it arrives, while that is short work; tells whether all has been written."""
        errors: list[OSError] = []

        def write(chunks: Sequence[memoryview], last: bool) -> bool:
            self.tell(progress, last)
            try:
                PACE.timed(file.write, chunks, last=last)
            except OSError as error:
                errors.append(error)
            return not errors and self.is_at_hand(file)

        await self.body.pour(write)
        if errors:
            raise errors[0]
        return self.body.complete and not self.body.pieces

    async def pieces(self, least: int) -> list[Piece]:
        """What has arrived of the data set since the last time, or all of it where it has been read before."""
        if self.data is not None:
            return [Piece([self.data], len(self.data), None)]
        return await self.body.take(least)

    def file_header(self) -> bytes:
        """Preamble and file meta information for this object, as received on this association (PS3.10 7.1)."""
        return file_header(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax=self.transfer_syntax,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            sending_ae=self.peer.ae_title,
            receiving_ae=self.inbound.provider.local.ae_title,
        )


def release_all(pieces: Iterable[Piece]) -> None:
    """Lets go of the bytes of pieces; for those already let go of it does nothing."""
    for piece in pieces:
        piece.release()

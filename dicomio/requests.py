"""What handlers get: one typed object for each kind of request of a peer."""

import asyncio
import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from pydicom.dataset import Dataset

from dicomio.body import HELD, Body, Piece
from dicomio.config import Address
from dicomio.datasets import Instance, decode, encode, file_header, safe_name
from dicomio.datasets.instance import StrPath
from dicomio.errors import InvalidIdentifier, InvalidInstance, Refused
from dicomio.files import NewFile
from dicomio.identifiers import check_identifier, dataset
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.operations import Inbound
from dicomio.responses import Channel, Responses
from dicomio.sop.models import BY_SOP_CLASS
from dicomio.threads import in_thread
from dicomio.wire.commands import Command, CommandField

if TYPE_CHECKING:
    from dicomio.association import Association

__all__ = [
    "EchoRequest",
    "FindRequest",
    "IdentifierRequest",
    "Progress",
    "Request",
    "RetrieveRequest",
    "StoreProgress",
    "StoreRequest",
    "UnknownRequest",
]

P = ParamSpec("P")

# What may stand in a UID that programs are going to build file names from. Letters are outside of PS3.5 9.1 but occur.
UID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,127}")
# Bytes to wait for before a worker thread is sent to write them: the way there and back costs as much as 100 KiB do.
WRITTEN_AT_ONCE: Final = HELD // 2
INVALID_SOP_INSTANCE: Final = 0x0117
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
CANNOT_UNDERSTAND: Final = 0xC000
CANCEL: Final = 0xFE00
PENDING: Final = 0xFF00
PENDING_WARNING: Final = 0xFF01
RESPONSE_BIT: Final = 0x8000
# The most that a counter of sub-operations can say.
MOST: Final = 0xFFFF

QUERY_RETRIEVE_LEVEL: Final = 0x00080052
# What identifiers have beside keys: Specific Character Set, level, Timezone Offset From UTC.
NO_KEYS: Final = frozenset({0x00080005, QUERY_RETRIEVE_LEVEL, 0x00080201})
# Bytes of an identifier that are decoded in the event loop; more would keep others waiting.
DECODED_AT_ONCE: Final = 65_536
# Seconds for which a handler that never waits may go on before others get their turn.
TURN: Final = 0.002


@dataclass(frozen=True, slots=True)
class StoreProgress:
    """How far a data set has got.

    Attributes:
        bytes: of the data set, sent or received so far.
        total: of the data set, in bytes; `None` where that is not known before its end.
    """

    bytes: int
    total: int | None = None


class Request:
    """A request of a peer's.

    Attributes:
        association: the association it came on.
        command: its command set (PS3.7 9.3, 10.3).
    """

    __slots__ = ("after_calls", "association", "command", "inbound")

    def __init__(self, inbound: Inbound) -> None:
        self.inbound = inbound
        self.association: Association = inbound.provider  # type: ignore[assignment]  # providers are associations
        self.command: Command = inbound.command
        self.after_calls: list[Callable[[], Awaitable[None]]] = []

    def __repr__(self) -> str:
        return f"<{self.command.name} {self.inbound.message_id} from {self.peer}>"

    @property
    def peer(self) -> Address:
        """Who asks."""
        return self.inbound.provider.peer

    @property
    def transfer_syntax(self) -> str:
        """UID of the transfer syntax of the presentation context."""
        return self.inbound.context.transfer_syntax

    @property
    def cancelled(self) -> bool:
        """Whether the peer has sent a C-CANCEL; its handler is cancelled too, at its next `await`."""
        return self.inbound.cancelled

    async def load(self) -> None:
        """Takes in what a handler needs before it runs."""

    def complete(self, response: Command) -> bytes | None:
        """Adds to the final response what belongs into it; returns its data set, if it has one."""
        return None

    def after(self, func: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Has a function called once the response has left: an async one in the event loop, another one in a thread.

        It runs on even where the association ends, and is waited for when the server closes.
        """
        self.after_calls.append(lambda: call_any(func, *args, **kwargs))


class EchoRequest(Request):
    """C-ECHO (PS3.7 9.1.5)."""

    __slots__ = ()


class UnknownRequest(Request):
    """A request that no handler is registered for."""

    __slots__ = ()


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
        """Moves the data set from the connection to a file, one vectored write for each buffer."""
        file = NewFile(path, f"{safe_name(self.sop_instance_uid)}.dcm", fsync=fsync)
        chunks: list[bytes | memoryview] = [self.file_header()]
        pieces: list[Piece] = []
        last = False
        try:
            while not last:
                pieces = await self.pieces()
                last = self.body.complete and not self.body.pieces
                if last and not self.body.received:
                    raise Refused(CANNOT_UNDERSTAND, "the data set is empty")
                for piece in pieces:
                    chunks += piece.chunks
                progress.offer(StoreProgress(self.received, self.received if last else None))
                await in_thread(file.write, chunks, last=last)
                chunks.clear()
                release_all(pieces)
        except BaseException:
            release_all(pieces)
            await in_thread(file.discard)
            raise
        self.unsaved = False
        return file.path

    async def pieces(self) -> list[Piece]:
        """What has arrived of the data set since the last time, or all of it where it has been read before."""
        if self.data is not None:
            return [Piece([self.data], len(self.data), None)]
        return await self.body.take(WRITTEN_AT_ONCE)

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


class IdentifierRequest(Request):
    """What C-FIND, C-MOVE and C-GET have in common.

    Attributes:
        sop_class_uid: Affected SOP Class UID.
        model: the query model it belongs to; `None` for a private SOP class.
        level: Query/Retrieve Level, `"PATIENT"`, `"STUDY"`, `"SERIES"` or `"IMAGE"`; empty where the model has none.
        priority: 0 medium, 1 high, 2 low; `None` where the peer sent none.
    """

    __slots__ = ("level", "loaded", "model", "priority", "sop_class_uid")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.sop_class_uid = inbound.command.affected_sop_class_uid or inbound.context.abstract_syntax
        self.model = BY_SOP_CLASS.get(inbound.context.abstract_syntax)
        self.priority = inbound.command.priority
        self.level = ""
        self.loaded: Dataset | InvalidIdentifier = InvalidIdentifier(CANNOT_UNDERSTAND, "no identifier")

    @property
    def identifier(self) -> Dataset:
        """The keys: what to match, and what to return.

        Raises:
            InvalidIdentifier: it cannot be worked with; then no handler but only middleware gets to see the request.
        """
        if isinstance(self.loaded, InvalidIdentifier):
            raise self.loaded
        return self.loaded

    async def load(self) -> None:
        """Reads and checks the identifier; what is wrong with it is raised where it is looked at."""
        if self.inbound.body is None:
            return
        limits = self.inbound.provider.limits
        data = await self.inbound.body.read(limits.data_set)
        try:
            if len(data) > DECODED_AT_ONCE:
                self.loaded = await in_thread(self.decode, data)
            else:
                self.loaded = self.decode(data)
        except InvalidIdentifier as error:
            self.loaded = error
        except InvalidInstance as error:
            self.loaded = InvalidIdentifier(CANNOT_UNDERSTAND, str(error))

    def decode(self, data: bytes) -> Dataset:
        ds = decode(data, self.transfer_syntax, self.inbound.provider.limits)
        retrieving = self.command.field != CommandField.C_FIND_RQ
        self.level = check_identifier(ds, self.model.levels if self.model else (), retrieving=retrieving)
        return ds


class FindRequest(IdentifierRequest):
    """C-FIND (PS3.4 C.4.1, PS3.7 9.1.2).

    Attributes:
        sent: matches sent so far.
    """

    __slots__ = ("resumed", "sent", "wanted")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        self.sent = 0
        self.wanted: frozenset[int] = frozenset()
        self.resumed = inbound.provider.loop.time()

    async def load(self) -> None:
        await super().load()
        if isinstance(self.loaded, Dataset):
            self.wanted = frozenset(tag for tag in self.loaded.keys() if tag not in NO_KEYS)

    async def send(self, match: Dataset | Mapping[str, Any]) -> None:
        """Sends a match, as yielding it from the handler does; waits where the peer is slower than we are.

        The status is Pending, with the warning 0xFF01 where the match lacks an element that was asked for: then the
        key is not supported.

        Raises:
            InvalidInstance: the match cannot be encoded.
            ValueError: a mapping has what is not in the data dictionary.
            DicomError: the association is over.
        """
        ds = match if isinstance(match, Dataset) else dataset(**match)
        if self.level and QUERY_RETRIEVE_LEVEL not in ds:
            ds = Dataset({**dict(ds.items())})
            ds.QueryRetrieveLevel = self.level
        response = Command(
            CommandField.C_FIND_RSP,
            affected_sop_class_uid=self.sop_class_uid,
            status=PENDING if self.wanted <= ds.keys() else PENDING_WARNING,
            has_data_set=True,
        )
        self.inbound.answer(response, encode(ds, self.transfer_syntax))
        self.sent += 1
        await self.pause()

    async def pause(self) -> None:
        """Waits for a slow peer, and lets others have their turn now and then."""
        provider = self.inbound.provider
        if provider.write_queue_size:
            await provider.drain()
        elif provider.loop.time() - self.resumed < TURN:
            return
        await asyncio.sleep(0)
        self.resumed = provider.loop.time()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a retrieval has got: numbers of sub-operations, which are objects (PS3.7 9.1.3, 9.1.4).

    Attributes:
        completed: without failure or warning.
        failed: not sent, or not stored.
        warning: stored, with something to tell.
        remaining: not tried yet.
    """

    completed: int = 0
    failed: int = 0
    warning: int = 0
    remaining: int = 0

    @property
    def total(self) -> int:
        """All of them together."""
        return self.completed + self.failed + self.warning + self.remaining


class RetrieveRequest(IdentifierRequest):
    """C-MOVE or C-GET (PS3.4 C.4.2, C.4.3; PS3.7 9.1.3, 9.1.4).

    Attributes:
        destination: AE title that a C-MOVE sends to; `None` for a C-GET.
        progress: sub-operations so far.
        failed_uids: SOP Instance UIDs of those that failed.
    """

    __slots__ = ("destination", "failed_uids", "progress", "started")

    def __init__(self, inbound: Inbound) -> None:
        super().__init__(inbound)
        is_move = inbound.command.field == CommandField.C_MOVE_RQ
        self.destination = (inbound.command.move_destination or "").strip() if is_move else None
        self.progress = Progress()
        self.failed_uids: list[str] = []
        self.started = False

    def complete(self, response: Command) -> bytes | None:
        """Adds the counters and, unless all went well, the Failed SOP Instance UID List (PS3.4 C.4.2.1.4.2)."""
        if not self.started:
            return None
        self.count(response)
        if response.status != CANCEL:
            response.remaining = None
        if not self.failed_uids:
            return None
        failed = Dataset()
        failed.FailedSOPInstanceUIDList = self.failed_uids
        return encode(failed, self.transfer_syntax)

    def send_progress(self) -> None:
        """Sends a Pending response with the counters.

        Raises:
            DicomError: the association is over.
        """
        response = Command(self.command.field | RESPONSE_BIT, affected_sop_class_uid=self.sop_class_uid, status=PENDING)
        self.count(response)
        self.inbound.answer(response)

    def count(self, response: Command) -> None:
        """Enters the counters; their fields have 16 bits."""
        progress = self.progress
        response.completed, response.failed = min(progress.completed, MOST), min(progress.failed, MOST)
        response.warning, response.remaining = min(progress.warning, MOST), min(progress.remaining, MOST)


async def call_any(func: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Calls a function of either kind."""
    if inspect.iscoroutinefunction(func):
        await func(*args, **kwargs)
    else:
        result = await in_thread(func, *args, **kwargs)
        if inspect.isawaitable(result):
            await result


def release_all(pieces: Iterable[Piece]) -> None:
    """Lets go of the bytes of pieces; for those already let go of it does nothing."""
    for piece in pieces:
        piece.release()


def checked_uid(uid: str, what: str) -> str:
    """A UID that is safe to build a file name from.

    Raises:
        Refused: it is not; "Invalid SOP Instance" (PS3.7 C.5.6).
    """
    if not UID.fullmatch(uid):
        raise Refused(INVALID_SOP_INSTANCE, f"invalid SOP {what} UID {uid[:40]!r}")
    return uid

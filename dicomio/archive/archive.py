"""`Archive`: an application that keeps what it is sent, and finds it again."""

import asyncio
import errno
import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

from pydicom.dataset import Dataset
from sqlalchemy.exc import OperationalError

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    WORKLIST,
    Application,
    FindRequest,
    Instance,
    QueryExtension,
    QueryModel,
    Refused,
    RetrieveRequest,
    Status,
    StoreRequest,
)
from dicomio.application import Destinations
from dicomio.archive.database import Database, load_migrations, migrate
from dicomio.archive.index import Index
from dicomio.archive.levels import level_in, refused, unique_keys_above
from dicomio.archive.objects import FileStore
from dicomio.archive.recovery import recover
from dicomio.archive.search import Search, paths_of
from dicomio.archive.staging import sync
from dicomio.archive.worklist import Worklist
from dicomio.archive.writer import Writer
from dicomio.datasets import file_header
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.matching import MatchOptions
from dicomio.sop import PATIENT_STUDY_ONLY
from dicomio.workflows.commitment import CommitmentProvider

__all__ = ["Archive"]

logger = logging.getLogger("dicomio.archive")

T = TypeVar("T")
StrPath: TypeAlias = str | os.PathLike[str]

QUERY_MODELS: Final = (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY)
# What peers may agree on with the archive.
EXTENSION: Final = QueryExtension(relational=True, combined_datetime=True, fuzzy=True, timezone=True, empty_values=True)
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
PIECE: Final = 1 << 20  # bytes copied at a time


class Archive:
    """Objects as files below a directory, an index that finds them, and an application that serves both.

    It is open while `app` is served, and within `async with archive:`. Several processes may use one directory, if
    their index is the same.

    Args:
        root: the directory; it is made. Objects are in `objects` below it.
        index: URL of the database as SQLAlchemy has it, `postgresql://…` for example; by default SQLite in the file
            `index.sqlite` in the root.
        ae_title: our AE title.
        destinations: where C-MOVE may send objects: addresses or profiles by AE title, or an async function that finds
            them.
        worklist: a folder of DICOM files, each a worklist entry, read again when they change; without it Modality
            Worklist is not offered.
        fsync: an object is answered with Success only when file and index are on the disk. Without, they are when
            the system gets to it, and what was answered may be lost with the machine's power.

    Attributes:
        app: the application.
        commitment: answers storage commitment requests; reports go to the `destinations`.
    """

    def __init__(
        self,
        root: StrPath,
        *,
        index: str | None = None,
        ae_title: str = "DICOMIO",
        destinations: Destinations | None = None,
        worklist: StrPath | None = None,
        fsync: bool = True,
    ) -> None:
        self.root = Path(root)
        self.url = index or f"sqlite:///{self.root / 'index.sqlite'}"
        self.fsync = fsync
        self.incoming = self.root / "incoming"
        self.objects = FileStore(self.root / "objects", fsync=fsync)
        self.users = 0
        self.opening = asyncio.Lock()
        self.stack = AsyncExitStack()
        self.working: set[asyncio.Task[Any]] = set()
        self.app = Application(ae_title, destinations=destinations, lifespan=self.lifespan)
        self.worklist = Worklist(Path(worklist)) if worklist is not None else None
        self.app.store("*")(self.store)
        self.app.find(*QUERY_MODELS)(self.answer)
        self.app.get(*QUERY_MODELS)(self.retrieve)
        self.app.move(*QUERY_MODELS)(self.retrieve)
        for model in QUERY_MODELS:
            self.app.extend(model, EXTENSION)
        if self.worklist is not None:
            self.app.find(WORKLIST)(self.answer)
        self.commitment = CommitmentProvider(self.app, self.not_kept, retrieve_ae_title=ae_title)

    async def not_kept(self, instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        """What of a storage commitment cannot be promised, and why (PS3.3 C.14.1.1).

        Args:
            instances: SOP Class UID and SOP Instance UID of each object.
        """
        classes = await self.index.classes([uid for _, uid in instances])
        missing = {uid: Status.NO_SUCH_SOP_INSTANCE for _, uid in instances if uid not in classes}
        other = {uid: Status.CLASS_INSTANCE_CONFLICT for named, uid in instances if classes.get(uid, named) != named}
        return missing | other

    # lifespan

    @asynccontextmanager
    async def lifespan(self, app: Application) -> AsyncIterator[None]:
        """Opens the archive while an application serves."""
        async with self:
            yield

    async def __aenter__(self) -> Self:
        async with self.opening:
            if not self.users:
                await self.open()
            self.users += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with self.opening:
            self.users -= 1
            if not self.users:
                try:
                    await self.finished()
                finally:
                    await self.stack.aclose()

    async def finished(self) -> None:
        """Returns when nothing is on its way in any more."""
        while self.working:
            await asyncio.wait(self.working)
        await self.writer.finished()

    async def open(self) -> None:
        """Brings store and index into agreement, unless another process has them open already."""
        async with AsyncExitStack() as stack:
            await asyncio.to_thread(self.make_directories)
            descriptor = await asyncio.to_thread(os.open, self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            alone = await asyncio.to_thread(lock, descriptor)
            self.database = await asyncio.to_thread(Database, self.url, fsync=self.fsync)
            stack.push_async_callback(self.database.close)
            await migrate(self.database, await asyncio.to_thread(load_migrations))
            self.index = Index(self.database)
            self.writer = Writer(self.objects, self.index)
            if alone:
                await asyncio.to_thread(self.empty_incoming)
                await recover(self.objects, self.index, fsync=self.fsync)
            await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_SH)
            self.stack = stack.pop_all()

    def make_directories(self) -> None:
        """Makes what is missing below the root."""
        for directory in (self.incoming, self.objects.root):
            directory.mkdir(parents=True, exist_ok=True)
        for directory in (self.root, self.root.parent):
            self.objects.sync(directory)

    def empty_incoming(self) -> None:
        """Removes what was being received when the last run ended."""
        for path in self.incoming.glob(".*.part"):
            path.unlink()

    # keeping

    def staged(self) -> Path:
        """A name for an object on its way in."""
        return self.incoming / f".{secrets.token_hex(12)}.part"

    async def store(self, request: StoreRequest) -> None:
        """Keeps an object: the handler for C-STORE."""
        file = self.staged()
        try:
            await request.save(file, fsync=self.fsync)
        except BaseException as error:
            # It may have got its name when the handler was cancelled.
            self.spawn(asyncio.to_thread(file.unlink, missing_ok=True))
            if isinstance(error, OSError):
                raise no_room(error) from error
            raise
        await self.keep(file)

    async def add(self, source: StrPath | Instance) -> None:
        """Keeps a copy of an object; returns when it is durable.

        Args:
            source: a DICOM file, or an instance.

        Raises:
            InvalidInstance: it is none.
            Refused: the archive does not take it: it does not say where it belongs, or there is no room.
            OSError: it cannot be read.
        """
        instance = source if isinstance(source, Instance) else await asyncio.to_thread(Instance.open, source)
        file = self.staged()
        await self.spawn(self.copy(instance, file))
        await self.keep(file)

    async def copy(self, instance: Instance, file: Path) -> None:
        """Writes an instance to a file; nothing is left of it when that fails."""
        try:
            await asyncio.to_thread(write_instance, instance, file, fsync=self.fsync)
        except BaseException as error:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            if isinstance(error, OSError) and error.errno in FULL:
                raise no_room(error) from error
            raise

    async def keep(self, file: Path) -> None:
        """Takes a complete file into the archive, even where the caller is cancelled; nothing is left when that fails.

        Raises:
            Refused: it does not get there (PS3.4 B.2.3).
        """
        try:
            await asyncio.shield(self.writer.add(file))
        except (OSError, OperationalError) as error:
            raise no_room(error) from error

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Has something done that is waited for when the archive closes."""
        task = asyncio.create_task(work)
        self.working.add(task)
        task.add_done_callback(self.working.discard)
        return task

    # finding

    def find(
        self,
        identifier: Dataset,
        model: QueryModel = STUDY_ROOT,
        *,
        options: MatchOptions | None = None,
        relational: bool = False,
    ) -> AsyncGenerator[Dataset, None]:
        """What matches an identifier (PS3.4 C.4.1), read from the index as it is asked for.

        Args:
            identifier: as `dicomio.query` makes it.
            model: Patient Root, Study Root, Patient/Study Only, or Modality Worklist.
            options: how keys are compared.
            relational: whether keys of higher levels may be anything (PS3.4 C.4.1.2.2).

        Raises:
            Refused: it is none for this model, or has a value by which nothing can be matched.
        """
        if model == WORKLIST and self.worklist is not None:
            return self.worklist.find(identifier, options)
        search = Search(identifier, model, ae_title=self.app.ae_title, options=options, relational=relational)
        return search.run(self.database.engine)

    async def answer(self, request: FindRequest) -> AsyncGenerator[Dataset, None]:
        """Finds, in the way that was agreed on (PS3.4 C.5.1.1): the handler for C-FIND."""
        assert request.model is not None
        agreed, identifier = request.extension, request.identifier
        if not agreed.timezone and identifier.get("TimezoneOffsetFromUTC"):
            error = refused("times in a timezone were not negotiated", 0x00080201)
            tolerate(request, "asked for times in a timezone, which was not negotiated", error)
        options = MatchOptions(fuzzy_names=agreed.fuzzy, combined_datetime=agreed.combined_datetime)
        found = self.find(identifier, request.model, options=options, relational=agreed.relational)
        async with aclosing(found) as answers:
            async for answer in answers:
                yield answer

    async def retrieve(self, request: RetrieveRequest) -> Sequence[Path]:
        """Finds what to send: the handler for C-GET and C-MOVE.

        Without agreement on relational retrieval the keys of all levels above have to be there (PS3.4 C.4.2.2.1); many
        leave them out all the same.
        """
        assert request.model is not None
        if not request.extension.relational:
            try:
                unique_keys_above(request.identifier, request.model, level_in(request.identifier, request.model))
            except Refused as error:
                tolerate(request, "retrieved without the unique keys of all levels above", error)
        return await self.instances(request.identifier, request.model)

    async def instances(self, identifier: Dataset, model: QueryModel = STUDY_ROOT) -> Sequence[Path]:
        """The files of what an identifier says by its unique keys (PS3.4 C.4.2.2).

        Args:
            identifier: as `dicomio.query` makes it: at its level one UID or several.
            model: Patient Root, Study Root or Patient/Study Only.

        Raises:
            Refused: it does not say it so.
        """
        return [self.objects.path(key) for key in await paths_of(self.database.engine, identifier, model)]


def tolerate(request: FindRequest | RetrieveRequest, what: str, error: Refused) -> None:
    """Notes what the peer does without agreement on it; refuses it where the association is strict."""
    if request.association.upper.strict:
        raise error
    request.association.upper.messages.note(what)


def lock(descriptor: int) -> bool:
    """Waits for others that are opening this archive; returns whether there are no others."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False
    return True


def write_instance(instance: Instance, file: Path, *, fsync: bool) -> None:
    """Writes an instance to a file with file meta information of our own (PS3.10 7.1).

    Raises:
        OSError: it cannot be read, or there is no room.
    """
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax=instance.transfer_syntax,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
    )
    with file.open("xb") as target:
        target.write(header)
        if instance.path is None:
            target.write(instance.read())
        else:
            with instance.path.open("rb") as source:
                source.seek(instance.offset)
                shutil.copyfileobj(source, target, PIECE)
    if fsync:
        sync(file)


def no_room(error: Exception) -> Refused:
    """The answer where a disk or a database does not take something; details are for the log only."""
    logger.error("cannot keep an object: %s", error)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "the index cannot be written"
    return Refused(Status.OUT_OF_RESOURCES, reason)

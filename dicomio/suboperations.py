"""C-MOVE and C-GET as SCP: one loop of C-STORE sub-operations for both (PS3.4 C.4.2, C.4.3)."""

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sized,
)
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from pydicom.dataset import Dataset

from dicomio.calling import call
from dicomio.client import Client
from dicomio.config import Address, Limits, PresentationContext, checked_ae_title
from dicomio.datasets import Instance
from dicomio.dimse import DimseProvider
from dicomio.errors import ConnectFailed, DicomError, Refused
from dicomio.opening import Locate
from dicomio.profiles import Peer
from dicomio.requests import Progress, RetrieveRequest, StoreRequest
from dicomio.responses import Channel
from dicomio.services.storage import Priority, Source, StoreOptions
from dicomio.status import Status
from dicomio.threads import in_thread
from dicomio.transfer import SINGLE, Outcome, Reserve, StoreMany, look_at

__all__ = ["SubOperations", "performer"]

logger = logging.getLogger("dicomio.application")

# Seconds after which the peer hears that the operation goes on, even though no sub-operation has ended.
HEARTBEAT: Final = 5.0
# Seconds after which a destination that does not listen yet is tried again.
SECOND_TRY: Final = 0.25


class Tally(Channel[Outcome]):
    """Outcomes that are counted where they come about, without a task that waits for them."""

    def __init__(self, take: Callable[[Outcome], None]) -> None:
        super().__init__()
        self.take = take

    async def put(self, item: Outcome) -> None:
        self.take(item)


class SubOperations:
    """Sends what a handler found, and keeps the peer that asked for it informed.

    Args:
        request: the C-MOVE or C-GET.
        sources: what to send.
        reserve: finds an association to send it on.
        associations: how many to use at once.
        pace: seconds between two Pending responses, at least.
    """

    def __init__(
        self,
        request: RetrieveRequest,
        sources: Iterable[Source] | AsyncIterable[Source],
        reserve: Reserve,
        associations: int,
        pace: float,
    ) -> None:
        self.request = request
        self.pace = pace
        self.loop = asyncio.get_running_loop()
        self.reported = self.loop.time()
        self.counted = isinstance(sources, Sized)
        self.total = len(sources) if isinstance(sources, Sized) else 0
        self.unsent: dict[int, Source] = {}
        self.error: Exception | None = None
        self.sources = iter(sources) if isinstance(sources, Iterable) else aiter(sources)
        self.watched = (
            self.watch(self.sources) if isinstance(self.sources, Iterator) else self.watch_async(self.sources)
        )
        self.reserve = reserve
        self.opening: set[asyncio.Timeout] = set()
        self.job = StoreMany(self.lease, self.watched, associations, options_of(request), retries=1)

    def watch(self, sources: Iterator[Source]) -> Generator[Source, None, None]:
        """Notes what is about to be sent; a handler that fails ends the operation, but not what it gave before."""
        try:
            for source in sources:
                self.note(source)
                yield source
        except Exception as error:
            self.error = error

    async def watch_async(self, sources: AsyncIterator[Source]) -> AsyncGenerator[Source, None]:
        """Likewise."""
        try:
            async for source in sources:
                self.note(source)
                yield source
        except Exception as error:
            self.error = error

    def note(self, source: object) -> None:
        """Remembers what is about to be sent.

        Raises:
            TypeError: it is nothing that can be sent.
        """
        if not isinstance(source, SINGLE):
            raise TypeError(f"the handler gave {type(source)} where a path, a data set or an instance was expected")
        self.unsent[id(source)] = source

    @asynccontextmanager
    async def lease(self, contexts: Iterable[PresentationContext]) -> AsyncIterator[DimseProvider]:
        """An association, unless the peer cancels before it is open."""
        async with AsyncExitStack() as stack:
            scope = asyncio.timeout(None)
            self.opening.add(scope)
            try:
                async with scope:
                    provider = await self.open(contexts, stack)
            except TimeoutError as error:
                if scope.expired():
                    raise ConnectFailed("cancelled before the association was open") from error
                raise
            finally:
                self.opening.discard(scope)
            yield provider

    async def open(self, contexts: Iterable[PresentationContext], stack: AsyncExitStack) -> DimseProvider:
        """An association; a refused connection is tried again, since some peers listen only once they have asked."""
        wanted = list(contexts)
        try:
            return await stack.enter_async_context(self.reserve(wanted))
        except ConnectFailed as error:
            if isinstance(error, TimeoutError):
                raise
            await asyncio.sleep(SECOND_TRY)
            return await stack.enter_async_context(self.reserve(wanted))

    def halt(self) -> None:
        """The peer has cancelled: what is on its way arrives, and nothing else is waited for."""
        self.job.halt()
        for scope in self.opening:
            scope.reschedule(self.loop.time())

    async def close(self) -> None:
        """Ends the generators that give what to send, ours and the handler's."""
        if isinstance(self.watched, AsyncGenerator):
            await self.watched.aclose()
        if isinstance(self.sources, Generator):
            await in_thread(self.sources.close)
        elif isinstance(self.sources, AsyncGenerator):
            await self.sources.aclose()

    async def run(self) -> Status:
        """Sends everything.

        Returns:
            The status of the final response; its counters are in the request.

        Raises:
            Exception: what the handler raised while it gave what to send.
        """
        request = self.request
        request.started = True
        request.progress = Progress(remaining=self.total)
        request.inbound.on_cancel = self.halt
        heartbeat = self.loop.create_task(self.beat())
        try:
            await self.job.run(Tally(self.take))
        except DicomError as error:
            logger.warning("%r: %s", request, error)
            if not self.job.halted:
                await self.give_up()
        finally:
            heartbeat.cancel()
            request.inbound.on_cancel = None
            await self.close()
        if self.error is not None:
            raise self.error
        return self.status()

    def take(self, outcome: Outcome) -> None:
        """Counts one sub-operation, and tells the peer where it is time."""
        self.unsent.pop(id(outcome.source), None)
        before = self.request.progress
        completed, failed, warning = before.completed, before.failed, before.warning
        if outcome.error is not None:
            failed += 1
            self.note_failure(outcome)
        elif outcome.status is not None and outcome.status.is_warning:
            warning += 1
        else:
            completed += 1
        self.total = max(self.total, self.job.found)
        remaining = max(0, self.total - completed - failed - warning)
        self.request.progress = Progress(completed, failed, warning, remaining)
        if remaining and self.loop.time() - self.reported >= self.pace:
            self.report()

    def note_failure(self, outcome: Outcome) -> None:
        logger.warning("%r: sub-operation failed: %s", self.request, outcome)
        uid = uid_of(outcome.instance or outcome.source)
        if uid:
            self.request.failed_uids.append(uid)

    def report(self) -> None:
        """Sends a Pending response, unless nobody is there to read it."""
        self.reported = self.loop.time()
        if self.request.inbound.provider.ended is None:
            self.request.send_progress()

    async def beat(self) -> None:
        """Shows the peer that a long sub-operation is under way."""
        while True:
            await asyncio.sleep(max(HEARTBEAT, self.pace))
            if self.loop.time() - self.reported >= HEARTBEAT:
                self.report()

    async def give_up(self) -> None:
        """The destination is gone: what was not sent has failed."""
        uids = await in_thread(self.unsent_uids)
        done = self.request.progress
        failed = max(done.failed + len(uids), self.total - done.completed - done.warning)
        self.request.failed_uids += [uid for uid in uids if uid]
        self.request.progress = Progress(done.completed, failed, done.warning, 0)

    def unsent_uids(self) -> list[str]:
        """What was not sent, by its SOP Instance UIDs; to be called in a worker thread."""
        # A generator is not asked for the rest, as it may take long or never end.
        rest = self.sources if isinstance(self.sources, Iterator) and self.counted else ()
        left = [*self.unsent.values(), *rest]
        return [uid_of(look_at(source)) for source in left]

    def status(self) -> Status:
        """What the operation as a whole came to (PS3.4 C.4.2.1.5)."""
        progress = self.request.progress
        if self.request.cancelled and self.job.halted:
            return Status.CANCEL
        if progress.failed and not progress.completed + progress.warning:
            return Status.OUT_OF_RESOURCES_SUBOPERATIONS
        if progress.failed or progress.warning:
            return Status.COERCION_OF_DATA_ELEMENTS
        return Status.SUCCESS


def options_of(request: RetrieveRequest) -> StoreOptions:
    """What the sub-operations say about themselves (PS3.7 9.1.1.1)."""
    priority = request.priority if request.priority in list(Priority) else Priority.MEDIUM
    if request.destination is None:
        return StoreOptions(priority)
    try:
        originator = checked_ae_title(request.peer.ae_title)
    except ValueError:
        # Peers call themselves what they like, but a C-STORE-RQ with such an AE title would not be valid.
        originator = None
    return StoreOptions(priority, originator, request.inbound.message_id)


def uid_of(source: object) -> str:
    """SOP Instance UID of an object, empty where it is not known."""
    if isinstance(source, Instance | StoreRequest):
        return source.sop_instance_uid
    return str(source.get("SOPInstanceUID") or "") if isinstance(source, Dataset) else ""


def performer(
    func: Callable[..., Any], locate: Locate, ae_title: str, associations: int, pace: float
) -> Callable[[RetrieveRequest], Awaitable[Any]]:
    """A handler for C-MOVE and C-GET that finds what to send, as one that sends it.

    Args:
        func: returns a collection of paths, data sets or instances, or a status; or is a generator of them. Plain
            functions run in a worker thread.
        locate: finds the address of a destination by its AE title.
        ae_title: our own.
        associations: with a destination, at once, where its profile does not say how many.
        pace: seconds between two Pending responses, at least.
    """

    async def perform(request: RetrieveRequest) -> Any:
        request.identifier  # noqa: B018  # raises what is wrong with it, before the handler is called
        address = await destination_of(request, locate)
        found = await call(func, request)
        if not isinstance(found, Iterable | AsyncIterable) or isinstance(found, str):
            return found
        if address is None:
            reserve: Reserve = request.association.reserve  # type: ignore[assignment]
            return await SubOperations(request, found, reserve, 1, pace).run()
        peer = address if isinstance(address, Peer) else Peer(address, timeout=request.association.timeout)
        most = peer.associations or associations
        max_pdu = request.association.limits.max_pdu if peer.max_pdu is None else peer.max_pdu
        limits = Limits(associations=most, max_pdu=max_pdu)
        client = Client(peer, ae_title=peer.ae_title or ae_title, limits=limits)
        return await send_to(client, request, SubOperations(request, found, client.reserve, most, pace))

    return perform


async def send_to(client: Client, request: RetrieveRequest, operations: SubOperations) -> Status:
    """Does the sub-operations of a C-MOVE; then the destination is left.

    That is done after the final response, because a peer that is its own destination may look at the one association
    only when it has what it waits for on the other, as GDCM does.
    """
    try:
        status = await operations.run()
    except BaseException:
        await client.aclose(abort=True)
        raise
    request.inbound.at_end.append(client.aclose)
    return status


async def destination_of(request: RetrieveRequest, locate: Locate) -> Address | Peer | None:
    """Where a C-MOVE goes to; `None` for a C-GET.

    Raises:
        Refused: the destination is not known (0xA801).
    """
    if request.destination is None:
        return None
    try:
        address = await locate(request.destination)
    except LookupError:
        address = None
    if address is None:
        raise Refused(Status.MOVE_DESTINATION_UNKNOWN, f"{request.destination!r} is not a destination known here")
    return address

"""`Client`: a remote application entity, and as many associations with it as the work needs."""

import asyncio
import ssl as tls
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset

from dicomio.association import Association
from dicomio.config import (
    Address,
    Limits,
    PresentationContext,
    Role,
    Timeout,
    checked_ae_title,
    checked_uid,
    checked_window,
)
from dicomio.extensions import Extension, Identity
from dicomio.identifiers import as_dataset
from dicomio.opening import AE_TITLE, USUAL, Serves, connect, with_role
from dicomio.pool import Lease, Pool
from dicomio.profiles import Peer
from dicomio.receiver import Receiver
from dicomio.requests import Progress, StoreRequest
from dicomio.responses import Channel
from dicomio.retrieval import Retriever
from dicomio.server import DEFAULT_PORT
from dicomio.services.retrieve import Retrieval, RetrieveOperation
from dicomio.services.storage import Priority, Source, StoreOptions
from dicomio.services.user import ServiceUser
from dicomio.sop import STUDY_ROOT, QueryModel
from dicomio.tls import checked_context
from dicomio.transfer import Outcomes, StoreMany
from dicomio.wire.items import CommonExtendedNegotiation

__all__ = ["Client", "echo"]


class Client(ServiceUser):
    """A remote application entity: opens, keeps and releases associations with it, and plans their contexts itself.

    Use it in `async with`: leaving the block releases the associations, leaving it by an exception aborts them.

    Args:
        address: the peer, `AET@host:port`, or its profile; the port is 104 where none is given.
        ae_title: our AE title, DICOMIO by default.
        limits: `associations` is how many may be open at once, 1 by default; `keepalive` how long unused ones stay.
        timeout: deadlines; a number is the default of each.
        ssl: a TLS context; without it connections are plain.
        app: serves what the peer asks for on these associations.
        roles: roles we want by SOP class, beside those that a request of ours needs (PS3.7 D.3.3.4).
        local_host: address of ours that connections come from; the choice of the system by default.
        socket_options: `(level, name, value)` for the sockets.
        strict: refuse deviations of the peer that are tolerated otherwise.
        window: operations to have outstanding on each association, as for `connect`.
        identity: who asks for the associations.
        extended: SOP class extended negotiation, by SOP class.
        common_extended: SOP class common extended negotiation. Of these, and of roles, an association is told what is
            about the SOP classes it is opened for.
    """

    def __init__(
        self,
        address: str | Address | Peer,
        *,
        ae_title: str | None = None,
        limits: Limits | None = None,
        timeout: Timeout | float | None = USUAL,
        ssl: tls.SSLContext | None = None,
        app: Serves | None = None,
        roles: Mapping[str, Role] | None = None,
        local_host: str | None = None,
        socket_options: Sequence[tuple[int, int, int]] = (),
        strict: bool = False,
        window: int | tuple[int, int] | None = None,
        identity: Identity | None = None,
        extended: Mapping[str, bytes | Extension] | None = None,
        common_extended: Sequence[CommonExtendedNegotiation] = (),
    ) -> None:
        checked_context(ssl, "client_context")
        self.window = checked_window(window) if window is not None else None
        self.identity = identity
        self.roles = {checked_uid(uid): role for uid, role in (roles or {}).items()}
        self.extended = extended or {}
        self.common_extended = common_extended
        peer = self.peer = address if isinstance(address, Peer) else Peer(Address.parse(address))
        self.address = peer.address
        self.ae_title = checked_ae_title(ae_title or peer.ae_title or AE_TITLE)
        self.limits = peer.limits(limits)
        self.timeout = peer.timeout if timeout == USUAL else Timeout.of(timeout)
        self.ssl = ssl
        self.app = app
        self.local_host = local_host
        self.socket_options = socket_options
        self.strict = strict
        self.receivers: dict[tuple[str | None, int], Receiver] = {}
        self.listening = asyncio.Lock()
        self.pool = Pool(self.open, self.limits.associations or 1, self.limits.keepalive, self.timeout.pool)

    async def open(self, contexts: Sequence[PresentationContext]) -> Association:
        """Opens one more association."""
        proposed = {context.abstract_syntax for context in contexts}
        return await connect(
            self.peer,
            contexts=[
                with_role(context, context.role | self.roles.get(context.abstract_syntax, Role(0)))
                for context in contexts
            ],
            ae_title=self.ae_title,
            app=self.app,
            timeout=self.timeout,
            limits=self.limits,
            ssl=self.ssl,
            local_host=self.local_host,
            socket_options=self.socket_options,
            strict=self.strict,
            window=self.window,
            identity=self.identity,
            extended={uid: extension for uid, extension in self.extended.items() if uid in proposed},
            common_extended=[item for item in self.common_extended if item.sop_class_uid in proposed],
        )

    def reserve(self, contexts: Iterable[PresentationContext]) -> Lease:
        """An association of the pool, opened if need be, for one request."""
        return Lease(self.pool, contexts)

    def store_many(
        self,
        sources: Source | Iterable[Source] | AsyncIterable[Source],
        *,
        priority: int = Priority.MEDIUM,
        retries: int = 1,
    ) -> Outcomes:
        """Sends many objects over as many associations as `limits` allows, files straight from the disk.

        Iterate the result for an `Outcome` of each object, or `await` it to have all of them sent and get the outcomes
        of those that failed. An object that
        cannot be sent, or that the peer refuses, is a failed outcome; the others go on. Leaving an `async with` around
        the iteration early stops the transfer; associations with an object on its way are aborted.

        Args:
            sources: paths, data sets, instances; directories among several are passed over, so that `rglob("*")`
                may give them too. A single path of a directory stands for every file below it. A generator is
                consumed as the sending proceeds, in a worker thread.
            priority: 0 medium, 1 high, 2 low.
            retries: how often an object is sent again over a new association when the one it was on got lost.

        Raises:
            DicomError: no association can be opened (any more).
        """
        return StoreMany(self.reserve, sources, self.pool.limit, StoreOptions(priority), retries).outcomes()

    async def _get(
        self,
        identifier: Dataset,
        storage: Sequence[str | PresentationContext],
        model: QueryModel | str,
        priority: int,
        channel: Channel[StoreRequest],
        operation: RetrieveOperation,
    ) -> Progress:
        """Over as many associations as the SOP classes need, which the peer is asked for where they are not known."""
        return await Retriever(self.reserve, identifier, model, storage, priority).get(channel, operation)

    def retrieve(
        self,
        identifier: Dataset | Mapping[str, Any],
        *,
        model: QueryModel = STUDY_ROOT,
        storage: Sequence[str | PresentationContext] = (),
        to: str | None = None,
        host: str | None = None,
        port: int = DEFAULT_PORT,
        priority: int = Priority.MEDIUM,
    ) -> Retrieval[StoreRequest]:
        """Retrieves objects in the way the peer can: by C-GET, or else by a C-MOVE to ourselves.

        Iterate it as `get`. For a C-MOVE a Storage SCP of our own listens until the client is closed; the peer has to
        know our AE title and where that listens.

        Args:
            identifier: what to retrieve, as for `find`.
            model: a query model.
            storage: SOP classes of the objects that may come by C-GET, where they are known.
            to: AE title under which the peer knows us, for a C-MOVE; that of the client by default.
            host: address to listen on for a C-MOVE; all of the machine's by default.
            port: port to listen on for a C-MOVE.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer supports neither C-GET nor C-MOVE.
            DicomError: an association could not be opened, or got lost.
            OSError: we cannot listen there.
        """
        destination = checked_ae_title(to) if to is not None else self.ae_title
        retriever = Retriever(self.reserve, as_dataset(identifier, "identifier"), model, storage, priority)

        async def work(channel: Channel[StoreRequest], operation: RetrieveOperation) -> Progress:
            return await retriever.retrieve(channel, operation, destination, lambda: self.receiver(host, port))

        return Retrieval(work)

    async def receiver(self, host: str | None, port: int) -> Receiver:
        """The Storage SCP for C-MOVEs to ourselves, listening; it is whoever it is called."""
        key = host, port
        async with self.listening:
            if key not in self.receivers:
                receiver = Receiver(self.ae_title, self.app.dispatch if self.app is not None else None)
                await receiver.listen(host, port, self.timeout, self.limits)
                self.receivers[key] = receiver
        return self.receivers[key]

    async def aclose(self, *, abort: bool = False) -> None:
        """Releases every association, or aborts them."""
        await self.pool.aclose(abort=abort)
        for receiver in self.receivers.values():
            await receiver.aclose()
        self.receivers.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose(abort=exc is not None)


async def echo(
    address: str | Address | Peer,
    *,
    ae_title: str | None = None,
    timeout: Timeout | float | None = USUAL,
    ssl: tls.SSLContext | None = None,
) -> float:
    """Opens an association, asks for a sign of life (C-ECHO), and releases it.

    Args:
        address: the peer, `AET@host:port`, or its profile; the port is 104 where none is given.
        ae_title: our AE title, DICOMIO by default.
        timeout: deadlines; a number is the default of each, which is 30 seconds.
        ssl: a TLS context; without it the connection is plain.

    Returns:
        The round-trip time of the C-ECHO in seconds.

    Raises:
        DicomError: the peer cannot be reached, rejects, or says no; see `dicomio.errors`.
    """
    async with Client(address, ae_title=ae_title, timeout=timeout, ssl=ssl) as client:
        return await client.echo()

"""`Application`: handlers, and everything that follows from which handlers there are."""

import asyncio
import contextvars
import logging
import socket
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from os import PathLike
from types import SimpleNamespace
from typing import Any, Final, TypeAlias, TypeVar

from dicomio import sop, suboperations
from dicomio.admission import Access, Admission, Proposal
from dicomio.association import Association
from dicomio.calling import awaitable, checked_handler
from dicomio.config import Address, Limits, PresentationContext, Role, Timeout, checked_ae_title, checked_uid
from dicomio.conformance import conformance_statement
from dicomio.errors import AssociationRejected, AssociationReleased, Refused, StatusError
from dicomio.extensions import Extension, responder
from dicomio.gate import Context
from dicomio.negotiation import Supported
from dicomio.opening import USUAL, connect
from dicomio.operations import Inbound
from dicomio.places import Place
from dicomio.profiles import Peer
from dicomio.requests import REQUEST_TYPES, Request, StoreRequest, UnknownRequest
from dicomio.server import DEFAULT_PORT, Server, address_of, run, say_listening, serve
from dicomio.services import normalized, query
from dicomio.services.contexts import sop_class_of
from dicomio.services.reply import answer, respond
from dicomio.sop import QueryModel
from dicomio.status import Status
from dicomio.wire.commands import CommandField
from dicomio.wire.pdus import AssociateRQ
from dicomio.workers import reserve_port, supervise

__all__ = ["Application", "Destinations", "Lifespan", "Proposal"]

logger = logging.getLogger("dicomio.application")

F = TypeVar("F", bound=Callable[..., Any])
Handler: TypeAlias = Callable[[Any], Awaitable[Any]]
Lifespan: TypeAlias = Callable[["Application"], AbstractAsyncContextManager[None]]
Destinations: TypeAlias = Mapping[str, str | Address | Peer] | Callable[[str], Awaitable[Address | Peer]]

QUERY_FIELDS: Final = (CommandField.C_FIND_RQ, CommandField.C_GET_RQ, CommandField.C_MOVE_RQ)

# Enough to fill a link of 1 Gbit/s and 20 ms with small objects, and no more tasks than a peer should cost.
WINDOW: Final = 16

# The keys of handlers for every standard storage SOP class, and for whatever no other handler takes.
STANDARD_STORAGE: Final = "standard storage SOP classes"
ANY: Final = "*"
STORAGE: Final = frozenset(sop.STORAGE)

NORMALIZED: Final = tuple(CommandField(field) for field in REQUEST_TYPES if CommandField(field).name.startswith("N_"))
# What a handler that fails is answered with where no status is mapped to its exception: "unable to process" of the
# service class (PS3.4 C.4), or Processing Failure.
FAILURES: Mapping[int, Status] = {
    CommandField.C_FIND_RQ: Status.CANNOT_UNDERSTAND,
    CommandField.C_GET_RQ: Status.CANNOT_UNDERSTAND,
    CommandField.C_MOVE_RQ: Status.CANNOT_UNDERSTAND,
}


class Application:
    """What an application entity does with requests of its peers.

    Presentation contexts, roles and transfer syntaxes follow from the handlers that are registered; Verification is
    answered by default.

    Args:
        ae_title: our AE title, 1 to 16 characters.
        destinations: addresses or profiles by AE title, or an async function that finds them.
        lifespan: an async context manager around serving, called with the application.
        access: who may open associations; anybody by default.
        window: operations that an association may have outstanding, in either direction, where the peer negotiates it
            (PS3.7 D.3.3.3), 0 for any number; handlers of one association run at the same time then.

    Raises:
        ValueError: the title is none, or the window cannot be negotiated.

    Attributes:
        state: yours, for whatever handlers share.
    """

    def __init__(
        self,
        ae_title: str,
        *,
        destinations: Destinations | None = None,
        lifespan: Lifespan | None = None,
        access: Access | None = None,
        window: int = WINDOW,
    ) -> None:
        self.ae_title = checked_ae_title(ae_title)
        self.destinations: Destinations = destinations if destinations is not None else {}
        self.lifespan = lifespan
        self.state: Any = SimpleNamespace()
        self.handlers: dict[int, dict[str, Handler]] = {}
        self.syntaxes: dict[str, tuple[str, ...]] = {}
        self.statuses: dict[type[Exception], int] = {}
        self.middlewares: list[Callable[[Any, Handler], Awaitable[Any]]] = []
        # Who derives from this class may support one thing today and another tomorrow.
        is_fixed = type(self).supported is Application.supported
        self.admission = Admission(self.supported, access or Access(), window, is_fixed=is_fixed)
        self.connect_hooks: list[Handler] = []
        self.close_hooks: list[Handler] = []
        self.release_hooks: list[Handler] = []
        self.abort_hooks: list[Handler] = []
        self.unknown_handler: Handler | None = None
        self.background: set[asyncio.Task[None]] = set()

    # registration

    def echo(self) -> Callable[[F], F]:
        """Registers a handler for C-ECHO, in place of the one that says Success."""
        return self.registrar(CommandField.C_ECHO_RQ, [sop.Verification])

    def store(self, *sop_classes: str, transfer_syntaxes: Sequence[str] | None = None) -> Callable[[F], F]:
        """Registers a handler for C-STORE; it gets a `StoreRequest`.

        Args:
            sop_classes: for these SOP class UIDs, private ones too; for every standard storage SOP class where none
                is given; `"*"` for whatever is stored, private SOP classes included.
            transfer_syntaxes: accepted ones, preferred first; by default every one, the peer's order deciding.
        """
        wanted = [uid if uid == ANY else checked_uid(uid) for uid in sop_classes] or [STANDARD_STORAGE]
        if transfer_syntaxes is not None:
            self.syntaxes.update(dict.fromkeys(wanted, tuple(map(checked_uid, transfer_syntaxes))))
        return self.registrar(CommandField.C_STORE_RQ, wanted)

    def find(self, *models: QueryModel | str) -> Callable[[F], F]:
        """Registers a handler for C-FIND; it gets a `FindRequest` and gives matches.

        It is an async generator that yields a data set, or a mapping of keywords, for each match; a plain generator,
        which runs in a worker thread; or a function that returns them. Returning is the final Success. A C-CANCEL
        closes the generator.

        Args:
            models: for these query models, or UIDs of private SOP classes.

        Raises:
            ValueError: a model has no C-FIND, or a text is not a UID.
        """
        uids = [sop_class_of(model, "C-FIND") for model in models]
        return self.registrar(CommandField.C_FIND_RQ, uids, query.performer)

    def move(self, *models: QueryModel | str, associations: int = 1, pace: float = 0.1) -> Callable[[F], F]:
        """Registers a handler for C-MOVE; it gets a `RetrieveRequest` and finds what to send.

        It returns a collection of paths, data sets or instances, or it is a generator of them. They are sent to the
        destination that `destinations` has for the AE title the peer named.

        Args:
            models: for these query models, or UIDs of private SOP classes.
            associations: with a destination, at once.
            pace: seconds between two Pending responses, at least.
        """
        uids = [sop_class_of(model, "C-MOVE") for model in models]
        return self.registrar(
            CommandField.C_MOVE_RQ,
            uids,
            lambda func: suboperations.performer(func, self.locate, self.ae_title, associations, pace),
        )

    def get(self, *models: QueryModel | str, pace: float = 0.1) -> Callable[[F], F]:
        """Registers a handler for C-GET; it gets a `RetrieveRequest` and finds what to send, as that of `move` does.

        Args:
            models: for these query models, or UIDs of private SOP classes.
            pace: seconds between two Pending responses, at least.
        """
        uids = [sop_class_of(model, "C-GET") for model in models]
        return self.registrar(
            CommandField.C_GET_RQ,
            uids,
            lambda func: suboperations.performer(func, self.locate, self.ae_title, 1, pace),
        )

    def n_create(self, *sop_classes: str) -> Callable[[F], F]:
        """Registers a handler for N-CREATE; it gets a `CreateRequest`.

        Handlers for DIMSE-N return `None` for Success, a status, a data set or mapping of keywords that goes with the
        response, or a tuple of both; they raise `Refused` with the attributes at fault.

        Args:
            sop_classes: SOP class UIDs; meta SOP classes they are members of are accepted with them.
        """
        return self.registrar(CommandField.N_CREATE_RQ, checked_uids(sop_classes), normalized.performer)

    def n_set(self, *sop_classes: str) -> Callable[[F], F]:
        """Registers a handler for N-SET; it gets a `SetRequest`."""
        return self.registrar(CommandField.N_SET_RQ, checked_uids(sop_classes), normalized.performer)

    def n_get(self, *sop_classes: str) -> Callable[[F], F]:
        """Registers a handler for N-GET; it gets a `GetRequest`.

        It may return all attributes of the instance: those that were not asked for are left out, and those that do
        not exist are listed in the response.
        """
        return self.registrar(CommandField.N_GET_RQ, checked_uids(sop_classes), normalized.performer)

    def n_action(self, *sop_classes: str) -> Callable[[F], F]:
        """Registers a handler for N-ACTION; it gets an `ActionRequest`."""
        return self.registrar(CommandField.N_ACTION_RQ, checked_uids(sop_classes), normalized.performer)

    def n_delete(self, *sop_classes: str) -> Callable[[F], F]:
        """Registers a handler for N-DELETE; it gets a `DeleteRequest`."""
        return self.registrar(CommandField.N_DELETE_RQ, checked_uids(sop_classes), normalized.performer)

    def n_event_report(self, *sop_classes: str) -> Callable[[F], F]:
        """Registers a handler for N-EVENT-REPORT; it gets an `EventReport`, as SCU of the SOP class."""
        return self.registrar(CommandField.N_EVENT_REPORT_RQ, checked_uids(sop_classes), normalized.performer)

    def connect(
        self,
        destination: str | Address | Peer,
        *,
        contexts: Iterable[str | PresentationContext],
        roles: Mapping[str, Role] | None = None,
        timeout: Timeout | float | None = USUAL,
        limits: Limits | None = None,
        ssl: tls.SSLContext | None = None,
        local_host: str | None = None,
    ) -> connect:
        """Opens an association on which this application serves what the peer asks for.

        Args:
            destination: AE title of one of the `destinations`; or an address, or the profile of a peer.
            contexts: what to propose.
            roles: roles we want by SOP class, where they are not simply SCU.
            timeout: deadlines; a number is the default of each, which is 30 seconds.
            limits: what the peer may send.
            ssl: a TLS context; without it the connection is plain.
            local_host: address of ours that the connection comes from; the choice of the system by default.

        Raises:
            ConnectFailed: the destination is not known, or cannot be reached; see `dicomio.connect` for the others.
        """
        special = destination.ae_title if isinstance(destination, Peer) else None
        return connect(
            destination,
            contexts=contexts,
            ae_title=special or self.ae_title,
            app=self,
            roles=roles,
            timeout=timeout,
            limits=limits,
            ssl=ssl,
            local_host=local_host,
            locate=self.locate,
        )

    async def locate(self, ae_title: str) -> Address | Peer | None:
        """The address or profile of a destination; `None` where it is not known."""
        if isinstance(self.destinations, Mapping):
            found = self.destinations.get(ae_title)
        else:
            found = await self.destinations(ae_title)
        return Address.parse(found, ae_title=ae_title) if isinstance(found, str) else found

    def registrar(
        self, field: int, uids: Sequence[str], wrap: Callable[[Callable[..., Any]], Handler] | None = None
    ) -> Callable[[F], F]:
        """The decorator that enters a handler for a kind of request."""
        if not uids:
            raise TypeError(f"a handler for {CommandField(field).name} needs to be told for what it is")

        def register(func: F) -> F:
            checked_handler(func)
            handlers = self.handlers.setdefault(field, {})
            for uid in uids:
                if uid in handlers:
                    raise ValueError(f"there is a handler for {CommandField(field).name} of {uid} already")
                handlers[uid] = wrap(func) if wrap is not None else awaitable(func)
            self.admission.answers.clear()
            return func

        return register

    def unknown(self, func: F) -> F:
        """Registers a handler for requests that no other takes; by default they get Unrecognized Operation."""
        checked_handler(func)
        self.unknown_handler = awaitable(func)
        return func

    def middleware(self, func: F) -> F:
        """Registers `async def m(request, call_next)` around every handler; the first registered is the outermost.

        It returns or raises what a handler may return or raise; `await call_next(request)` goes on.
        """
        self.middlewares.append(func)
        return func

    def on_associate(self, func: F) -> F:
        """Registers a function that sees each `Proposal` before it is answered.

        It may `proposal.refuse` single contexts, or raise `AssociationRejected`.
        """
        self.admission.hooks.append(awaitable(func))
        return func

    def authenticate(self, func: F) -> F:
        """Registers a function that gets each `Proposal` and says whom its `identity` stands for.

        What it returns becomes `association.identity`. Where that is `None` or `False`, or it raises, the association
        is rejected: with what an `AssociationRejected` says, else always alike. How long that takes does not depend on
        why, and a host that fails often is not even looked at for a while. It may set `proposal.identity_response`.
        """
        self.admission.authenticate = awaitable(func)
        return func

    def extend(self, sop_class: str | QueryModel, extension: Extension | Callable[[bytes], bytes | None]) -> None:
        """Answers SOP class extended negotiation (PS3.7 D.3.3.5).

        Args:
            sop_class: a SOP class UID, or a query model for all of its SOP classes.
            extension: what is supported: a `QueryExtension`, of which the SOP classes of C-MOVE and C-GET take what
                concerns them, a `RetrieveExtension`, a `StorageExtension`, or a function of the bytes proposed that
                returns those to answer, or `None` for no answer.
        """
        for uid in [sop_class] if isinstance(sop_class, str) else sop_class:
            self.admission.extensions[uid] = responder(uid, extension)

    def on_close(self, func: F) -> F:
        """Registers a function that gets each association when it is over; `association.ended` says why."""
        self.close_hooks.append(awaitable(func))
        return func

    def on_release(self, func: F) -> F:
        """Registers a function that gets each association that has been released, by either side (PS3.8 7.2)."""
        self.release_hooks.append(awaitable(func))
        return func

    def on_abort(self, func: F) -> F:
        """Registers a function that gets each association that ended otherwise: aborted by either side, or lost."""
        self.abort_hooks.append(awaitable(func))
        return func

    def on_connect(self, func: F) -> F:
        """Registers a function that gets each `Association` when a peer has connected, before it asks for anything."""
        self.connect_hooks.append(awaitable(func))
        return func

    def map_exception(self, exc: type[Exception], status: int) -> None:
        """Has handlers that raise such an exception, or one derived from it, answered with a status.

        Raises:
            ValueError: the status does not fit 16 bits.
        """
        self.statuses[exc] = Status(status)

    # negotiation

    def supported(self, abstract_syntax: str) -> Supported | None:
        """What we accept for a SOP class, as follows from the handlers."""
        if abstract_syntax == sop.Verification:
            return Supported(abstract_syntax, UNCOMPRESSED, Role.SCP)
        members = (abstract_syntax, *sop.MEMBERS.get(abstract_syntax, ()))
        if any(uid in self.handlers.get(CommandField.N_EVENT_REPORT_RQ, {}) for uid in members):
            # Who reports events is SCP; many that do so leave out role selection.
            return Supported(abstract_syntax, UNCOMPRESSED, Role.BOTH)
        if any(uid in self.handlers.get(field, {}) for field in NORMALIZED for uid in members):
            return Supported(abstract_syntax, UNCOMPRESSED, Role.SCP)
        for field in QUERY_FIELDS:
            if abstract_syntax in self.handlers.get(field, {}):
                return Supported(abstract_syntax, UNCOMPRESSED, Role.SCP)
        # What a C-GET retrieves goes out on its own association: there we are SCU of storage SOP classes.
        is_storage = abstract_syntax in STORAGE or abstract_syntax not in sop.NAMES
        gets = Role.SCU if is_storage and self.handlers.get(CommandField.C_GET_RQ) else Role(0)
        handlers = self.handlers.get(CommandField.C_STORE_RQ, {})
        for key in storage_keys(abstract_syntax):
            if key in handlers:
                return Supported(abstract_syntax, self.syntaxes.get(key), Role.SCP | gets)
        return Supported(abstract_syntax, None, gets) if gets else None

    def negotiate(self, association: Association, pdu: AssociateRQ) -> None:
        """Answers an A-ASSOCIATE-RQ, at once where no hook is registered."""
        if self.admission.is_immediate:
            self.admission.answer(association, pdu)
        else:
            self.spawn(self.admission.answer_with_hooks(association, pdu))

    def connected(self, association: Association) -> None:
        """Runs the hooks for a new connection."""
        if not self.admission.admits_connection(association):
            association.protocol.kill()
            return
        for hook in self.connect_hooks:
            self.spawn(self.run_hook(hook, association), association.context.copy())

    def closed(self, association: Association) -> None:
        """Runs the hooks for an association that is over."""
        hooks = self.release_hooks if isinstance(association.ended, AssociationReleased) else self.abort_hooks
        if isinstance(association.ended, AssociationRejected):
            hooks = []
        for hook in (*hooks, *self.close_hooks):
            self.spawn(self.run_hook(hook, association), association.context.copy())

    async def run_hook(self, hook: Handler, association: Association) -> None:
        try:
            await hook(association)
        except Exception as error:
            # Why an association is over is said already, and not a failure of who hears of it.
            if error is not association.ended:
                logger.exception("%s: a hook of the application failed", association.peer)

    # serving

    def dispatch(self, inbound: Inbound) -> Coroutine[Any, Any, None] | None:
        """Serves a request: a plain C-ECHO at once, everything else in a coroutine."""
        field = inbound.command.field
        handlers = self.handlers.get(field)
        if field == CommandField.C_ECHO_RQ and not handlers and not self.middlewares:
            answer(inbound, Status.SUCCESS)
            return None
        if field in NORMALIZED:
            return self.serve(inbound, self.normalized_handler(inbound))
        return self.serve(inbound, self.handler_for(field, inbound))

    def handler_for(self, field: int, inbound: Inbound) -> Handler:
        """Who serves a kind of request on a SOP class, or on one that the peer says it is a special case of."""
        handlers = self.handlers.get(field, {})
        abstract_syntax, agreement = inbound.context.abstract_syntax, inbound.provider.agreement
        related = agreement.related.get(abstract_syntax, ()) if agreement is not None else ()
        for uid in (abstract_syntax, *related):
            for key in storage_keys(uid):
                if key in handlers:
                    return handlers[key]
        if field == CommandField.C_ECHO_RQ:
            return say_success
        return self.unknown_handler or refuse_unknown

    def normalized_handler(self, inbound: Inbound) -> Handler:
        """Who serves a DIMSE-N request: the SOP class that it names need not be the one that was negotiated."""
        command = inbound.command
        sop_class = command.affected_sop_class_uid or command.requested_sop_class_uid or inbound.context.abstract_syntax
        handlers = self.handlers.get(command.field, {})
        if not may_carry(inbound, sop_class):
            return self.unknown_handler or refuse_class
        if sop_class in handlers:
            return handlers[sop_class]
        is_known = not handlers or any(sop_class in self.handlers.get(field, {}) for field in NORMALIZED)
        return self.unknown_handler or (refuse_unknown if is_known else refuse_class)

    async def serve(self, inbound: Inbound, handler: Handler) -> None:
        """One request from its command to its end, whatever that is."""
        try:
            await self.perform(inbound, handler)
        finally:
            for call in inbound.at_end:
                self.spawn(self.run_after(call, inbound))

    async def perform(self, inbound: Inbound, handler: Handler) -> None:
        """One request from its command to its response, and what comes after."""
        if inbound.cancelled:
            # C-CANCEL came while the request was waiting for its turn.
            await respond(inbound, Status.CANCEL)
            return
        request: Request | None = None
        offending: Sequence[int] = ()
        error_id: int | None = None
        try:
            request = REQUEST_TYPES.get(inbound.command.field, UnknownRequest)(inbound)
            await request.load()
            status, comment = self.status_of(await self.call(handler, request), request), ""
        except asyncio.CancelledError:
            give_up(inbound)
            raise
        except Exception as error:
            status, comment = self.status_for(error, request or inbound, inbound.command.field)
            if isinstance(error, Refused):
                offending, error_id = error.offending, error.error_id
        if inbound.provider.ended is not None:
            return
        complete = request.complete if request is not None else None
        sent = await respond(inbound, status, comment, offending=offending, error_id=error_id, complete=complete)
        succeeded = sent is not None and not sent.is_failure
        for call in request.after_calls if request is not None and succeeded else ():
            self.spawn(self.run_after(call, inbound))

    async def call(self, handler: Handler, request: Request) -> Any:
        """Calls a handler through the middleware."""
        for middleware in reversed(self.middlewares):
            handler = Layer(middleware, handler)
        return await handler(request)

    def status_of(self, result: Any, request: Request) -> Status:
        """The status that a handler's result stands for: `None` is Success."""
        if isinstance(request, StoreRequest) and request.unsaved:
            logger.error("%r: the handler ended before what it began to save was there; is an await missing?", request)
        elif result is None:
            return Status.SUCCESS
        elif isinstance(result, int) and not isinstance(result, bool):
            return Status(result)
        else:
            logger.error("%r: the handler returned %r; a status or None was expected", request, type(result))
        return Status.PROCESSING_FAILURE

    def status_for(self, error: Exception, request: object, field: int) -> tuple[Status, str]:
        """The status and comment that an exception of a handler stands for."""
        if isinstance(error, Refused):
            return Status(error.status), error.comment
        if isinstance(error, StatusError):
            return Status(error.status), error.response.error_comment or ""
        for kind in type(error).__mro__:
            if kind in self.statuses:
                logger.warning("%r failed: %s: %s", request, type(error).__name__, error)
                return Status(self.statuses[kind]), getattr(error, "strerror", None) or ""
        logger.error("%r failed", request, exc_info=error)
        return FAILURES.get(field, Status.PROCESSING_FAILURE), ""

    async def run_after(self, call: Callable[[], Awaitable[None]], inbound: Inbound) -> None:
        try:
            await call()
        except Exception:
            logger.exception("%s: what was to run after the response failed", inbound.provider.peer)

    def spawn(self, coroutine: Coroutine[Any, Any, None], context: contextvars.Context | None = None) -> None:
        """Runs something that no association waits for; `Server.wait_closed` does."""
        task = asyncio.get_running_loop().create_task(coroutine, context=context)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    def run(
        self,
        host: str | Sequence[str] | None = None,
        port: int = DEFAULT_PORT,
        *,
        sock: socket.socket | None = None,
        path: str | PathLike[str] | None = None,
        workers: int = 1,
        ssl: Context | None = None,
        proxies: Sequence[str] = (),
        timeout: Timeout | float | None = 30.0,
        limits: Limits | None = None,
        strict: bool = False,
    ) -> None:
        """Serves this application until SIGINT or SIGTERM, on uvloop where that is installed.

        Args:
            host: address or addresses to listen on; all of the machine's by default.
            port: TCP port.
            sock: a socket that is bound already, in place of host and port; `inherited_socket` finds one of systemd.
            path: of a Unix socket to listen on, in place of host and port.
            workers: processes that share the port or `sock`, each with the application and its lifespan; one that
                dies is replaced. Connections are spread evenly. Each has a `state` of its own; `limits.associations`
                is for all of them together, the other limits for each.
            ssl: a TLS context, or a function that gives one; without it connections are plain.
            proxies: networks of balancers whose PROXY protocol is believed.
            timeout: deadlines; a number is the default of each.
            limits: what peers may ask for, at once and each.
            strict: refuse deviations of peers that are tolerated otherwise.

        Raises:
            OSError: it cannot listen there.
            ValueError: several processes were to share a `path`; give them a socket that is bound to it.
        """
        listening = partial(serve, self, ssl=ssl, proxies=proxies, timeout=timeout, limits=limits, strict=strict)
        if workers == 1:
            run(listening(host, port, sock=sock, path=path))
            return
        if path is not None:
            raise ValueError(f"{workers} workers cannot share the path {path}, but a socket that is bound to it")
        holder = sock or reserve_port(host, port)[0]
        address = address_of(holder.getsockname(), self.ae_title)

        def work(ready: Callable[[], None], place: Place) -> None:
            server = listening(host, address.port, sock=sock, reuse_port=sock is None)
            run(server, lambda server: ready(), place=place)

        with holder:
            supervise(workers, work, lambda: say_listening(address))

    def conformance_statement(
        self,
        server: Server | None = None,
        *,
        workers: int | None = None,
        proposes: Iterable[str | PresentationContext] = (),
    ) -> str:
        """Describes this application in the shape of PS3.2, in Markdown.

        Args:
            server: what serves it, running or not, for limits, deadlines, TLS and addresses; the defaults otherwise.
            workers: processes that serve it.
            proposes: what it proposes on associations that it opens itself, which cannot be seen from outside.

        Raises:
            ValueError: something in `proposes` is not a UID.
        """
        return conformance_statement(self, server, workers=workers, proposes=proposes)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The lifespan of the application, if it has one."""
        if self.lifespan is None:
            yield
            return
        async with self.lifespan(self):
            yield


UNCOMPRESSED: Final = (
    sop.ExplicitVRLittleEndian,
    sop.ImplicitVRLittleEndian,
    sop.ExplicitVRBigEndian,
    sop.DeflatedExplicitVRLittleEndian,
)


def storage_keys(abstract_syntax: str) -> tuple[str, ...]:
    """Under which keys a handler for a SOP class may be registered, the most special first."""
    if abstract_syntax in STORAGE:
        return abstract_syntax, STANDARD_STORAGE, ANY
    # What is known to be something else is not stored; trial storage SOP classes are.
    is_other = "Storage" not in sop.name_of(abstract_syntax)[-12:] and abstract_syntax in sop.NAMES
    return (abstract_syntax,) if is_other else (abstract_syntax, ANY)


def may_carry(inbound: Inbound, sop_class: str) -> bool:
    """Whether a DIMSE-N request on a SOP class may come on its presentation context.

    That of a meta SOP class carries requests on its members, and those of some service classes requests on each other
    (PS3.4 H.2.2.2, CC.3.1.2). What was not negotiated in any way may have been refused to this peer.
    """
    negotiated = inbound.context.abstract_syntax
    if sop_class == negotiated or negotiated not in sop.NAMES:
        return True
    if any(context.abstract_syntax == sop_class for context in inbound.provider.contexts.values()):
        return True
    known, asked = sop.SOP_CLASSES.get(negotiated), sop.SOP_CLASSES.get(sop_class)
    if known is None or asked is None or known.service_class is not asked.service_class:
        return False
    return inbound.command.name.removesuffix("-RQ") in known.operations


class Layer:
    """One middleware around what comes next."""

    __slots__ = ("call_next", "middleware")

    def __init__(self, middleware: Callable[[Any, Handler], Awaitable[Any]], call_next: Handler) -> None:
        self.middleware = middleware
        self.call_next = call_next

    def __call__(self, request: Any) -> Awaitable[Any]:
        return self.middleware(request, self.call_next)


def checked_uids(uids: Sequence[str]) -> list[str]:
    """UIDs, looked at one by one."""
    return [checked_uid(uid) for uid in uids]


def give_up(inbound: Inbound) -> None:
    """Ends a request whose handler was cancelled, so that the peer does not wait for a response that never comes."""
    if inbound.provider.ended is not None:
        return
    if inbound.receiving:
        inbound.provider.abort(detail="a handler was cancelled in the middle of a data set")
    elif inbound.cancelled:
        answer(inbound, Status.CANCEL)
    else:
        answer(inbound, Status.PROCESSING_FAILURE, "cancelled")


async def say_success(request: Request) -> Status:
    """The handler for C-ECHO where none is registered."""
    return Status.SUCCESS


async def refuse_class(request: Request) -> Status:
    """The handler for DIMSE-N requests about a SOP class that is not served (PS3.7 C.5.17)."""
    return Status.NO_SUCH_SOP_CLASS


async def refuse_unknown(request: Request) -> Status:
    """The handler for requests that nobody takes (PS3.7 C.5.23)."""
    logger.warning("%r: no handler for it", request)
    return Status.UNRECOGNIZED_OPERATION

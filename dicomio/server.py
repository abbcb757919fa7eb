"""`serve`: accepts associations for an application, within limits, and drains them when it closes."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from os import PathLike
from types import TracebackType
from typing import Any, Final, Protocol, Self

from dicomio.association import Association
from dicomio.buffers import SHARED
from dicomio.config import Address, Limits, Timeout
from dicomio.errors import AssociationRejected, RemoteProtocolError
from dicomio.gate import Context, Gate
from dicomio.machine import State
from dicomio.operations import Dispatch
from dicomio.places import Place
from dicomio.protocol import UpperLayerProtocol, set_socket_options
from dicomio.session import UpperLayer
from dicomio.tls import checked_context
from dicomio.wire.pdus import AssociateRQ
from dicomio.workers import naming_port

__all__ = ["Served", "Server", "inherited_socket", "run", "say_listening", "serve"]

logger = logging.getLogger("dicomio.server")

DEFAULT_PORT: Final = 11112
# What `Limits.associations` means where it is not given.
ASSOCIATIONS: Final = 1000
INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
# The first socket that systemd passes on (sd_listen_fds).
FIRST_INHERITED: Final = 3
BACKLOG: Final = 1024

# PS3.8 Table 9-21: rejected-transient, service-provider (presentation), local-limit-exceeded
LOCAL_LIMIT_EXCEEDED: Final = (2, 3, 2)


class Served(Protocol):
    """What a server needs of an application."""

    @property
    def ae_title(self) -> str: ...
    @property
    def dispatch(self) -> Dispatch: ...
    @property
    def background(self) -> "set[asyncio.Task[None]]": ...
    def negotiate(self, association: Association, pdu: AssociateRQ, /) -> None: ...
    def closed(self, association: Association, /) -> None: ...
    def connected(self, association: Association, /) -> None: ...
    def running(self) -> AbstractAsyncContextManager[None]: ...


class AcceptedProtocol(UpperLayerProtocol):
    """The protocol of a connection that a server accepted; tells the server of its beginning and its end."""

    def __init__(
        self, server: "Server", association: Association, upper: UpperLayer, source: tuple[str, int] | None
    ) -> None:
        super().__init__(upper, association, SHARED, server.timeout.write)
        self.server = server
        self.association = association
        self.source = source

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        association = self.association
        set_socket_options(transport, self.server.socket_options)
        association.peer = address_of(self.source or transport.get_extra_info("peername"), "")
        association.local = address_of(transport.get_extra_info("sockname"), self.server.app.ae_title)
        super().connection_made(transport)
        self.server.connection_made(association)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.server.connection_lost(self.association)


class Server:
    """Associations that peers open with an application.

    `async with serve(…)`, or `server = await serve(…)` and later `server.close()` and `await server.wait_closed()`.
    """

    def __init__(
        self,
        app: Served,
        host: str | Sequence[str] | None,
        port: int,
        *,
        sock: socket.socket | None,
        path: str | PathLike[str] | None,
        reuse_port: bool,
        ssl: Context | None,
        proxies: Sequence[str],
        timeout: Timeout,
        limits: Limits,
        socket_options: Sequence[tuple[int, int, int]],
        strict: bool,
    ) -> None:
        self.sock = sock
        self.path = path
        self.reuse_port = reuse_port
        self.proxies = proxies
        self.gate: Gate | None = None
        # Among other processes that serve the same port; the limit of associations is that of all of them.
        self.place: Place | None = None
        self.closing = asyncio.Event()
        self.app = app
        self.host = host
        self.requested_port = port
        self.ssl = ssl
        self.timeout = timeout
        self.limits = limits
        self.socket_options = socket_options
        self.strict = strict
        self.listener: asyncio.Server | None = None
        self.stack = AsyncExitStack()
        self.connections: set[Association] = set()
        self.half_open: dict[Association, None] = {}
        self.established: dict[Association, None] = {}
        self.per_host: Counter[str] = Counter()
        self.draining: asyncio.Task[None] | None = None

    # what users see

    @property
    def is_serving(self) -> bool:
        """Whether new associations are accepted."""
        if self.gate is not None:
            return self.gate.is_open
        return self.listener is not None and self.listener.is_serving()

    @property
    def associations(self) -> Sequence[Association]:
        """The established associations."""
        return tuple(self.established)

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens."""
        sockets = self.listener.sockets if self.listener is not None else ()
        return [address_of(each.getsockname(), self.app.ae_title) for each in sockets]

    @property
    def port(self) -> int:
        """The TCP port it listens on; the one that the system chose, where 0 was asked for."""
        addresses = self.addresses
        return addresses[0].port if addresses else self.requested_port

    async def start(self) -> Self:
        """Enters the application's lifespan and begins to listen.

        Raises:
            OSError: it cannot listen there.
            ValueError: one of `proxies` is no network.
        """
        # The system would choose a port for each address family, and nobody could say which is meant.
        host = "0.0.0.0" if self.host is None and self.requested_port == 0 else self.host
        async with AsyncExitStack() as stack:
            if self.ssl is not None or self.proxies or self.place is not None:
                artim, half_open = self.timeout.artim, self.limits.half_open
                self.gate = Gate(self.accept, self.ssl, self.proxies, artim, half_open, self.place)
            await stack.enter_async_context(self.app.running())
            self.listener = await self.listen(host)
            if self.gate is not None:
                self.gate.open([each.fileno() for each in self.listener.sockets], BACKLOG)
            else:
                await self.listener.start_serving()
            self.stack = stack.pop_all()
        return self

    async def listen(self, host: str | Sequence[str] | None) -> asyncio.Server:
        """Binds the sockets to listen on."""
        loop = asyncio.get_running_loop()
        if self.path is not None or (self.sock is not None and self.sock.family not in INTERNET):
            return await loop.create_unix_server(
                self.accept, self.path, sock=self.sock, backlog=BACKLOG, start_serving=False
            )
        if self.sock is not None:
            return await loop.create_server(self.accept, sock=self.sock, backlog=BACKLOG, start_serving=False)
        with naming_port(host, self.requested_port):
            return await loop.create_server(
                self.accept,
                host,
                self.requested_port,
                backlog=BACKLOG,
                reuse_port=self.reuse_port or None,
                start_serving=False,
            )

    async def serve_forever(self) -> None:
        """Serves until it is closed; closes when cancelled."""
        try:
            await self.closing.wait()
        except asyncio.CancelledError:
            if self.draining is None:
                self.close()
                await self.wait_closed()
                raise
        await self.wait_closed()

    def close(self) -> None:
        """Accepts no more associations, and ends those there are: requests under way get `timeout.shutdown`."""
        if self.draining is None:
            self.closing.set()
            if self.gate is not None:
                self.gate.close()
            if self.listener is not None:
                self.listener.close()
            self.draining = asyncio.get_running_loop().create_task(self.drain())

    async def wait_closed(self) -> None:
        """Returns when every association and everything that was to run after a response has ended."""
        if self.draining is not None:
            await asyncio.shield(self.draining)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.start().__await__()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()

    # connections

    def accept(self, source: tuple[str, int] | None = None) -> AcceptedProtocol:
        """Prepares for one more association; `source` is where a balancer says that it comes from."""
        upper = UpperLayer(requestor=False, limits=self.limits, artim=self.timeout.artim, strict=self.strict)
        nobody = Address("", "", 0)
        association = Association(
            upper,
            local=nobody,
            peer=nobody,
            timeout=self.timeout,
            limits=self.limits,
            dispatch=self.app.dispatch,
            negotiate=self.negotiate,
            on_end=self.ended,
        )
        association.protocol = protocol = AcceptedProtocol(self, association, upper, source)
        return protocol

    def connection_made(self, association: Association) -> None:
        self.connections.add(association)
        self.half_open[association] = None
        if self.draining is not None:
            association.protocol.kill()
        elif len(self.half_open) > self.limits.half_open:
            self.drop_half_open()
        self.app.connected(association)

    def drop_half_open(self) -> None:
        """Makes room: of the host with most connections outside of an association, the oldest goes."""
        hosts = Counter(association.peer.host for association in self.half_open)
        busiest = hosts.most_common(1)[0][0]
        oldest = next(association for association in self.half_open if association.peer.host == busiest)
        del self.half_open[oldest]
        logger.warning("%s: connection dropped: too many without an association", oldest.peer)
        oldest.protocol.kill()

    def negotiate(self, association: Association, pdu: AssociateRQ) -> None:
        """Rejects what is beyond the limits, and leaves the rest to the application."""
        peer = association.peer
        association.peer = Address(pdu.calling_ae_title, peer.host, peer.port)
        per_peer = self.limits.associations_per_peer
        if not self.has_room():
            association.reject(*LOCAL_LIMIT_EXCEEDED)
        elif len(pdu.contexts) > self.limits.contexts:
            association.reject(*LOCAL_LIMIT_EXCEEDED)
        elif per_peer is not None and self.per_host[peer.host] >= per_peer:
            association.reject(*LOCAL_LIMIT_EXCEEDED)
        else:
            self.half_open.pop(association, None)
            self.established[association] = None
            self.per_host[peer.host] += 1
            self.app.negotiate(association, pdu)
        self.tell_associations()

    def has_room(self) -> bool:
        """Whether one more association is within the limit."""
        limit, wanted = self.limits.associations or ASSOCIATIONS, len(self.established) + 1
        return self.place.admits(wanted, limit) if self.place is not None else wanted <= limit

    def tell_associations(self) -> None:
        """Tells other processes how many there are."""
        if self.place is not None:
            self.place.tell(len(self.established))

    def ended(self, association: Association, error: Exception) -> None:
        """An association is over, or never came about."""
        if association in self.established:
            del self.established[association]
            host = association.peer.host
            self.per_host[host] -= 1
            if not self.per_host[host]:
                del self.per_host[host]
            # Its connection is still to be closed, and counts as any other without an association until then.
            self.half_open[association] = None
            self.tell_associations()
            self.wait_for_handlers(association)
            self.app.closed(association)
        if isinstance(error, RemoteProtocolError):
            logger.warning("%s: aborted: %s", association.peer, error)
        elif isinstance(error, AssociationRejected):
            logger.info("%s: %s", association.peer, error)
        else:
            logger.info("%s", error)

    def wait_for_handlers(self, association: Association) -> None:
        """Has `wait_closed` wait for the handlers of an association that is over, which may have to clean up."""
        for inbound in association.serving.values():
            if inbound.task is not None:
                self.app.background.add(inbound.task)
                inbound.task.add_done_callback(self.app.background.discard)

    def connection_lost(self, association: Association) -> None:
        self.connections.discard(association)
        self.half_open.pop(association, None)

    # the end

    async def drain(self) -> None:
        """Ends every association in good order, or at the deadline."""
        deadline = self.timeout.shutdown
        for association in list(self.established):
            if association.upper.state is State.Sta3:
                # Nobody waits for a hook that has not made up its mind.
                association.reject(*LOCAL_LIMIT_EXCEEDED)
        endings = [asyncio.ensure_future(self.end(association)) for association in self.established]
        if endings:
            _, late = await asyncio.wait(endings, timeout=deadline)
            for ending in late:
                ending.cancel()
        for association in list(self.connections):
            association.abort(detail="the server is closing")
        if self.connections:
            await asyncio.wait([association.protocol.closed for association in self.connections], timeout=1.0)
        for association in list(self.connections):
            association.protocol.kill()
        if self.app.background:
            _, unfinished = await asyncio.wait(list(self.app.background), timeout=deadline)
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished, timeout=1.0)
        if self.listener is not None:
            await self.listener.wait_closed()
        if self.connections:
            # Accepted while all this was going on; each has been dropped where it was made.
            await asyncio.wait([association.protocol.closed for association in self.connections], timeout=1.0)
        await self.stack.aclose()

    async def end(self, association: Association) -> None:
        """Lets an association finish what it is doing, and releases it."""
        await association.quiet()
        await association.release()


def serve(
    app: Served,
    host: str | Sequence[str] | None = None,
    port: int = DEFAULT_PORT,
    *,
    sock: socket.socket | None = None,
    path: str | PathLike[str] | None = None,
    reuse_port: bool = False,
    ssl: Context | None = None,
    proxies: Sequence[str] = (),
    timeout: Timeout | float | None = 30.0,
    limits: Limits | None = None,
    socket_options: Sequence[tuple[int, int, int]] = (),
    strict: bool = False,
) -> Server:
    """Serves an application.

    Args:
        app: the application.
        host: address or addresses to listen on; all of the machine's by default.
        port: TCP port, 11112 where none is given; 0 for any that is free (see `Server.port`), on IPv4 where no host
            is given.
        sock: a socket that is bound already, in place of host and port; `inherited_socket` finds one of systemd.
        path: of a Unix socket to listen on, in place of host and port.
        reuse_port: share the port with other processes.
        ssl: a TLS context, or a function that gives one for each handshake; without it connections are plain.
        proxies: networks of balancers that say with the PROXY protocol, version 1 or 2, where a connection comes from;
            where there are some, whoever connects to a Unix socket is a balancer too.
        timeout: deadlines; a number is the default of each.
        limits: what peers may ask for, at once and each.
        socket_options: `(level, name, value)` for the socket of each connection.
        strict: refuse deviations of peers that are tolerated otherwise.

    Raises:
        TypeError: something is not of the kind that is wanted.
    """
    checked_context(ssl, "server_context")
    return Server(
        app,
        host,
        port,
        sock=sock,
        path=path,
        reuse_port=reuse_port,
        ssl=ssl,
        proxies=proxies,
        timeout=Timeout.of(timeout),
        limits=limits or Limits(),
        socket_options=socket_options,
        strict=strict,
    )


def inherited_socket() -> socket.socket | None:
    """The listening socket that systemd has opened for this process; `None` where there is none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or int(os.environ.get("LISTEN_FDS", "0")) < 1:
        return None
    return socket.socket(fileno=FIRST_INHERITED)


def announce(server: Server) -> None:
    """Says on standard error where a server listens."""
    say_listening(server.addresses[0])


def say_listening(address: Address) -> None:
    """Says on standard error where we listen."""
    where = f"{address.host}:{address.port}" if address.host else "a Unix socket"
    sys.stderr.write(f"{address.ae_title} is listening on {where}\n")


async def serve_until_signal(
    server: Server, started: Callable[[Server], None] = announce, *, place: Place | None = None
) -> None:
    """Serves until SIGINT or SIGTERM, then drains; a second signal ends it at once, unless it is supervised."""
    server.place = place
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.current_task()

    def on_signal() -> None:
        # A terminal signals the whole group, and systemd does, while the supervisor passes on what it got itself.
        if stop.is_set() and task is not None and place is None:
            task.cancel()
        stop.set()

    async with server:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        try:
            started(server)
            await stop.wait()
            server.close()
            await server.wait_closed()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def run(server: Server, started: Callable[[Server], None] = announce, *, place: Place | None = None) -> None:
    """Serves in an event loop of its own, uvloop's where that is installed, until SIGINT or SIGTERM, and drains then.

    Args:
        server: what `serve` returns.
        started: called once it listens.
        place: of this process among those of a supervisor, which kills it where draining takes too long; without one a
            second signal does.

    Raises:
        OSError: it cannot listen there.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve_until_signal(server, started, place=place))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def address_of(name: object, ae_title: str) -> Address:
    """A socket name as an address; of sockets without host and port an empty one."""
    if isinstance(name, tuple) and len(name) >= 2:
        return Address(ae_title, str(name[0]), int(name[1]))
    return Address(ae_title, "", 0)

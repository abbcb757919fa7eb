"""What stands between an accepted connection and its association: the PROXY protocol, and the TLS handshake."""

import asyncio
import errno
import logging
import os
import socket
import ssl as tls
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final, TypeAlias

from dicomio.config import ip_of
from dicomio.handshakes import FAREWELL, FOR_EVER, handshaking, tell_peer, tls_reason
from dicomio.places import Place
from dicomio.protocol import UpperLayerProtocol
from dicomio.threads import in_thread

__all__ = ["Context", "Gate", "ProxyError", "read_proxy_header"]

logger = logging.getLogger("dicomio.server")

# A context for every handshake, so that certificates can change while serving.
Context: TypeAlias = tls.SSLContext | Callable[[], tls.SSLContext]

V1_PREFIX: Final = b"PROXY "
V1_LONGEST: Final = 107
HIGHEST_PORT: Final = 65_535
V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V2_HEADER: Final = struct.Struct(">12sBBH")
V2_LONGEST: Final = 4096
V2_PROXY: Final = 0x21
V2_LOCAL: Final = 0x20
V2_ADDRESSES: Final = {0x11: (">4s4sHH", IPv4Address), 0x21: (">16s16sHH", IPv6Address)}

# What `accept` says where there are no more descriptors or buffers, and how many seconds to wait for others to end.
EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RECOVERY: Final = 1.0


class ProxyError(ValueError):
    """What came is not a header of the PROXY protocol."""


def read_proxy_header(data: bytes) -> tuple[int, tuple[str, int] | None]:
    """Reads the PROXY protocol, version 1 or 2.

    Args:
        data: what has come of it, from its first byte.

    Returns:
        How many more bytes are needed, at least; and where the connection comes from, `None` for a connection of the
        balancer itself.

    Raises:
        ProxyError: it is none.
    """
    if data[: len(V1_PREFIX)] == V1_PREFIX[: len(data)]:
        return read_v1(data)
    if data[: len(V2_SIGNATURE)] == V2_SIGNATURE[: len(data)]:
        return read_v2(data)
    raise ProxyError("no PROXY protocol header, although the balancer is trusted to send one")


def read_v1(data: bytes) -> tuple[int, tuple[str, int] | None]:
    """`PROXY TCP4 192.0.2.1 192.0.2.2 56324 104` and a line end."""
    if not data.endswith(b"\r\n"):
        if len(data) >= V1_LONGEST:
            raise ProxyError("a PROXY protocol line without end")
        return 1, None
    fields = data[:-2].decode("ascii", "replace").split(" ")
    if len(fields) > 1 and fields[1] == "UNKNOWN":
        return 0, None
    try:
        _, family, source, _, port, _ = fields
        number = int(port)
        if not 0 <= number <= HIGHEST_PORT:
            raise ValueError(port)
        return 0, (str((IPv4Address if family == "TCP4" else IPv6Address)(source)), number)
    except ValueError:
        raise ProxyError("a PROXY protocol line that cannot be understood") from None


def read_v2(data: bytes) -> tuple[int, tuple[str, int] | None]:
    """The binary header."""
    if len(data) < V2_HEADER.size:
        return V2_HEADER.size - len(data), None
    _, command, family, length = V2_HEADER.unpack_from(data)
    if command not in (V2_PROXY, V2_LOCAL) or length > V2_LONGEST:
        raise ProxyError("a PROXY protocol header of another version, or too long")
    missing = V2_HEADER.size + length - len(data)
    if missing > 0:
        return missing, None
    if command == V2_LOCAL or family not in V2_ADDRESSES:
        return 0, None
    layout, kind = V2_ADDRESSES[family]
    if length < struct.calcsize(layout):
        raise ProxyError("a PROXY protocol header without its addresses")
    source, _, port, _ = struct.unpack_from(layout, data, V2_HEADER.size)
    return 0, (str(kind(source)), port)


class Entrance:
    """The way of one connection to its association.

    Attributes:
        connection: the connection.
        host: where it comes from, or the balancer that it comes through.
        protocol: of the association, once that is being made.
    """

    __slots__ = ("connection", "host", "protocol")

    def __init__(self, connection: socket.socket, host: str) -> None:
        self.connection = connection
        self.host = host
        self.protocol: UpperLayerProtocol | None = None

    @property
    def is_behind(self) -> bool:
        """Whether the connection is the association's already."""
        return self.protocol is not None and self.protocol.transport is not None


class Gate:
    """Accepts connections, finds out where they come from, and shakes hands, each without delaying another.

    Args:
        make: makes the protocol of an association, told where a balancer says that its connection comes from.
        ssl: gives the context for the handshake; `None` for plain connections.
        proxies: networks of balancers whose PROXY protocol is believed.
        timeout: seconds for all of it.
        most: connections that may be at it; of more, the oldest of the host with most of them goes.
        place: of this process among others that serve the same port; connections are passed on to who has fewest.
    """

    def __init__(
        self,
        make: Callable[[tuple[str, int] | None], UpperLayerProtocol],
        ssl: Context | None,
        proxies: Sequence[str],
        timeout: float | None,
        most: int,
        place: Place | None = None,
    ) -> None:
        self.make = make
        self.ssl = ssl
        self.proxies = [ip_network(network) for network in proxies]
        self.timeout = timeout
        self.most = most
        self.place = place
        self.loop = asyncio.get_running_loop()
        self.listeners: list[socket.socket] = []
        self.accepting: list[asyncio.Task[None]] = []
        self.entering: dict[asyncio.Task[bool], Entrance] = {}

    def open(self, descriptors: Iterable[int], backlog: int) -> None:
        """Begins to accept connections on sockets that are bound."""
        for descriptor in descriptors:
            listener = socket.socket(fileno=os.dup(descriptor))
            listener.setblocking(False)
            listener.listen(backlog)
            self.listeners.append(listener)
            self.accepting.append(self.loop.create_task(self.accept(listener)))
        if self.place is not None:
            self.loop.add_reader(self.place.inbox, self.take, self.place)
            self.place.enter()

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return bool(self.listeners)

    def close(self) -> None:
        """Accepts no more, and drops those that have not entered."""
        if self.place is not None:
            # Its inbox is looked after to the end: somebody may not know yet.
            self.place.leave()
        for accepting in self.accepting:
            accepting.cancel()
        for task, entrance in self.entering.items():
            # uvloop would close its socket, and tell nobody.
            if not entrance.is_behind:
                task.cancel()
        for listener in self.listeners:
            listener.close()
        self.listeners.clear()

    async def accept(self, listener: socket.socket) -> None:
        """Takes one connection after the other."""
        while True:
            try:
                connection, address = await self.loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    continue
                logger.error("no connection can be accepted for now: %s", error.strerror)
                await asyncio.sleep(RECOVERY)
                continue
            if self.place is None or not self.place.pass_on(connection):
                self.lead(connection, address)

    def take(self, place: Place) -> None:
        """Takes a connection that another process has accepted and passed on."""
        try:
            connection = place.take()
            if connection is None:
                logger.error("a connection was lost: no descriptor was free for it")
                return
        except BlockingIOError:
            return
        address = peer_of(connection)
        if self.is_open and address is not None:
            self.lead(connection, address)
        else:
            connection.close()

    def lead(self, connection: socket.socket, address: object) -> None:
        """Has a connection led in, beside the others that are on their way."""
        entrance = Entrance(connection, str(address[0]) if isinstance(address, tuple) else "")
        self.count(1)
        task = self.loop.create_task(self.enter(entrance))
        self.entering[task] = entrance
        task.add_done_callback(lambda done: self.entered(done, entrance))
        if len(self.entering) > self.most:
            self.drop_oldest()

    def entered(self, task: asyncio.Task[bool], entrance: Entrance) -> None:
        """A connection has its association, or will never have one."""
        self.entering.pop(task, None)
        if entrance.protocol is not None and not task.cancelled() and task.result():
            entrance.protocol.closed.add_done_callback(lambda _: self.count(-1))
        else:
            entrance.connection.close()
            self.count(-1)

    def count(self, change: int) -> None:
        """Tells the other processes of a connection more or less."""
        if self.place is not None:
            self.place.count(change)

    def drop_oldest(self) -> None:
        """Makes room: of the host with most connections at it, the oldest goes."""
        waiting = {task: entrance.host for task, entrance in self.entering.items() if not entrance.is_behind}
        busiest = Counter(waiting.values()).most_common(1)[0][0]
        oldest = next(task for task, host in waiting.items() if host == busiest)
        del self.entering[oldest]
        logger.warning("%s: connection dropped: too many without an association", busiest)
        oldest.cancel()

    async def enter(self, entrance: Entrance) -> bool:
        """Leads one connection to its association; whether it has got there, or is to be closed."""
        host = entrance.host
        try:
            entrance.connection.setblocking(False)
            async with handshaking(self.timeout):
                source = await self.read_proxy(entrance.connection) if self.is_proxied(host) else None
                await self.shake_hands(entrance, source)
                return True
        except ProxyError as error:
            logger.warning("%s: %s", host, error)
        except TimeoutError:
            logger.warning("%s: no TLS handshake, or no header of a balancer, within %s s", host, self.timeout)
        except OSError as error:
            reason = tls_reason(error) if isinstance(error, tls.SSLError) else error.strerror or "the peer closed it"
            logger.warning("%s: connection not accepted: %s", host, reason)
        except Exception:
            # The function that gives contexts is not ours.
            logger.exception("%s: connection not accepted", host)
        return False

    async def shake_hands(self, entrance: Entrance, source: tuple[str, int] | None) -> None:
        """The TLS handshake, where there is one; then the association takes over."""
        context = self.ssl
        if context is not None and not isinstance(context, tls.SSLContext):
            # It may look at files.
            context = await in_thread(context)
        if context is not None:
            tell_peer(context)
        limit, farewell = (self.timeout or FOR_EVER, FAREWELL) if context is not None else (None, None)
        entrance.protocol = protocol = self.make(source)
        await self.loop.connect_accepted_socket(
            lambda: protocol,
            entrance.connection,
            ssl=context,
            ssl_handshake_timeout=limit,
            ssl_shutdown_timeout=farewell,
        )

    def is_proxied(self, host: str) -> bool:
        """Whether the connection comes through a balancer; over a Unix socket it does where there are some."""
        if not host:
            return bool(self.proxies)
        address = ip_of(host)
        return address is not None and any(address in network for network in self.proxies)

    async def read_proxy(self, connection: socket.socket) -> tuple[str, int] | None:
        """Reads the header of a balancer, and not a byte more: what follows is for TLS, or for the association.

        Raises:
            ProxyError: it is none.
        """
        header = b""
        while True:
            missing, source = read_proxy_header(header)
            if not missing:
                return source
            data = await self.loop.sock_recv(connection, missing)
            if not data:
                raise ProxyError("connection closed in the middle of a PROXY protocol header")
            header += data


def peer_of(connection: socket.socket) -> object:
    """The address of the peer; `None` where it has gone already."""
    try:
        return connection.getpeername()
    except OSError:
        return None

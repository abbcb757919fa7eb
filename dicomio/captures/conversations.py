"""TCP connections in a capture, each with the bytes of its two directions in order."""

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from dicomio.captures.packets import ACK, RST, SYN, Endpoint, Segment, segment_of
from dicomio.captures.reading import Packet
from dicomio.captures.reassembly import Allowance, ByteStream, Piece

__all__ = ["Connection", "Connections", "Listener"]

# The one that was silent for longest has to go when there are more.
MOST_CONNECTIONS: Final = 16_384
# Bytes of segments that wait for an earlier one, of all connections together.
MOST_WAITING: Final = 67_108_864

CLOSED: Final = "the connection was closed"
RESET: Final = "the connection was reset"
REUSED: Final = "the end of the connection is not in the capture; its ports were used again"
CROWDED: Final = f"nothing was seen of the connection for longest among {MOST_CONNECTIONS}"
UNFINISHED: Final = "the capture ends before the connection does"


class Listener(Protocol):
    """Who wants to know what is said on a connection."""

    def arrived(self, side: int, piece: Piece) -> bool:
        """Side 0 or 1 said something; whether more is wanted."""
        ...

    def ended(self, time: int, how: str) -> None:
        """Nothing more will come; `how` is a sentence."""
        ...


class Connection:
    """One TCP connection.

    Args:
        client: the end that opened it, or where that was not seen, the one that is first heard of.
        server: the other end.
        allowance: shared with other connections.

    Attributes:
        endpoints: the two ends, the client first.
        streams: what each end sends.
        listener: who gets it; `None` when nobody wants more.
    """

    __slots__ = ("endpoints", "listener", "streams")

    def __init__(self, client: Endpoint, server: Endpoint, allowance: Allowance) -> None:
        self.endpoints = (client, server)
        self.streams = (ByteStream(allowance), ByteStream(allowance))
        self.listener: Listener | None = None

    @property
    def opened(self) -> bool:
        """Whether its beginning was captured."""
        return self.streams[0].opened

    def reopened_by(self, segment: Segment) -> bool:
        """Whether a segment opens another connection between the same ports, rather than being a repetition."""
        if segment.flags & (SYN | ACK) != SYN:
            return False
        if segment.source != self.endpoints[0] or not self.opened:
            return True
        return (segment.sequence + 1) % (1 << 32) != self.streams[0].initial

    def feed(self, time: int, segment: Segment) -> None:
        """Takes a segment of one of its ends."""
        side = int(segment.source != self.endpoints[0])
        self.tell(side, self.streams[side].feed(time, segment))
        if segment.flags & RST:
            self.finish(time, RESET)
        elif self.listener is not None and self.streams[0].ended and self.streams[1].ended:
            self.finish(time, CLOSED)

    def tell(self, side: int, pieces: list[Piece]) -> None:
        """Passes on what one side said, as long as somebody listens."""
        for piece in pieces:
            if self.listener is not None and not self.listener.arrived(side, piece):
                self.listener = None

    def finish(self, time: int, how: str) -> None:
        """Passes on what waited for bytes that never came, and tells that this is all."""
        for side, stream in enumerate(self.streams):
            self.tell(side, stream.flush())
        if self.listener is not None:
            self.listener.ended(time, how)
            self.listener = None


class Connections:
    """All TCP connections of a capture, in bounded memory.

    Args:
        listen: makes the listener of a connection when it is first heard of.

    Attributes:
        skipped: how many packets could not be used, by the reason in words.
    """

    def __init__(self, listen: Callable[[Connection], Listener]) -> None:
        self.listen = listen
        self.allowance = Allowance(MOST_WAITING)
        # By either order of the two ends.
        self.known: dict[tuple[Endpoint, Endpoint], Connection] = {}
        self.time = 0
        self.skipped: Counter[str] = Counter()

    def feed(self, packet: Packet) -> None:
        """Takes a packet, whatever it is."""
        self.time = packet.time
        segment = segment_of(packet.link_type, packet.data)
        if isinstance(segment, str):
            if segment:
                self.skipped[segment] += 1
            return
        connection = self.known.get((segment.source, segment.destination))
        if connection is not None and connection.reopened_by(segment):
            connection.finish(packet.time, REUSED)
            self.forget(connection)
            connection = None
        if connection is None:
            connection = self.begin(segment)
        if connection.listener is not None:
            connection.feed(packet.time, segment)

    def begin(self, segment: Segment) -> Connection:
        """A connection that was not heard of before."""
        if len(self.known) >= 2 * MOST_CONNECTIONS:
            oldest = next(iter(self.known.values()))
            oldest.finish(self.time, CROWDED)
            self.forget(oldest)
        answers = segment.flags & (SYN | ACK) == SYN | ACK
        client, server = segment.source, segment.destination
        if answers:
            client, server = server, client
        connection = Connection(client, server, self.allowance)
        connection.listener = self.listen(connection)
        self.known[client, server] = self.known[server, client] = connection
        return connection

    def forget(self, connection: Connection) -> None:
        client, server = connection.endpoints
        self.known.pop((client, server), None)
        self.known.pop((server, client), None)

    def finish(self) -> None:
        """The capture ends here."""
        for connection in list(self.known.values()):
            connection.finish(self.time, UNFINISHED)
        self.known.clear()

"""The bytes of one direction of a TCP connection, each once and in order, and where some are missing (RFC 9293 3.4)."""

from heapq import heappop, heappush
from typing import Final, NamedTuple

from dicomio.captures.packets import FIN, SYN, Segment

__all__ = ["Allowance", "ByteStream", "Piece"]

# What waits for an earlier segment is given up when it gets more than this: by then TCP has long repeated it, so the
# capture lacks it.
MOST_HELD: Final = 4_194_304
MOST_SEGMENTS: Final = 8_192
# No window is larger (RFC 7323 2.3), so a segment that is further ahead is not of this connection.
LARGEST_WINDOW: Final = 1 << 30
NUMBERS: Final = 1 << 32


class Piece(NamedTuple):
    """Consecutive bytes.

    Args:
        time: when they were captured, nanoseconds.
        data: the bytes; valid as long as the packet they are in.
        missing: bytes in front of them that the capture does not have.
    """

    time: int
    data: bytes | memoryview
    missing: int = 0


class Allowance:
    """Bytes that all connections together may keep waiting."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Waiting(NamedTuple):
    """A segment that came before its turn."""

    time: int
    data: bytes
    length: int


class ByteStream:
    """Puts the segments of one direction in order.

    Repeated and overlapping segments are cut to what is new: what came first counts. Without the segment that opens
    the connection, the first one seen is where it begins.

    Args:
        allowance: shared with other streams.

    Attributes:
        opened: whether the segment that opens the connection was seen.
        missing: bytes that the capture does not have, in all.
    """

    __slots__ = ("allowance", "end", "heap", "held", "initial", "missing", "opened", "position", "waiting")

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.initial = 0
        self.position = -1
        self.opened = False
        self.waiting: dict[int, Waiting] = {}
        self.heap: list[int] = []
        self.held = 0
        self.end: int | None = None
        self.missing = 0

    @property
    def ended(self) -> bool:
        """Whether all bytes up to the segment that closes this direction have been handed out."""
        return self.end is not None and self.position >= self.end

    def feed(self, time: int, segment: Segment) -> list[Piece]:
        """Takes a segment; what can be handed out with it, in order."""
        sequence = segment.sequence
        if segment.flags & SYN:
            sequence = (sequence + 1) % NUMBERS
            self.opened = True
        if self.position < 0:
            self.initial, self.position = sequence, 0
        ahead = (sequence - self.initial - self.position) % NUMBERS
        if ahead >= NUMBERS // 2:
            ahead -= NUMBERS
        if ahead > LARGEST_WINDOW:
            return []
        at = self.position + ahead
        if segment.flags & FIN:
            self.end = at + segment.length
        pieces: list[Piece] = []
        if ahead > 0:
            if segment.length:
                self.keep(at, time, segment)
        else:
            self.deliver(at, time, segment.payload, segment.length, 0, pieces)
            self.drain(pieces)
        while self.heap and (self.held > MOST_HELD or len(self.heap) > MOST_SEGMENTS or self.allowance.left < 0):
            self.give_up(pieces)
        return pieces

    def flush(self) -> list[Piece]:
        """Hands out what is left, when nothing more will come."""
        pieces: list[Piece] = []
        while self.heap:
            self.give_up(pieces)
        return pieces

    def keep(self, at: int, time: int, segment: Segment) -> None:
        """Lets a segment wait; of two at the same place the longer one."""
        before = self.waiting.get(at)
        if before is not None and before.length >= segment.length:
            return
        size = len(segment.payload)
        if before is None:
            heappush(self.heap, at)
        else:
            size -= len(before.data)
        self.waiting[at] = Waiting(time, bytes(segment.payload), segment.length)
        self.held += size
        self.allowance.left -= size

    def deliver(
        self, at: int, time: int, data: bytes | memoryview, length: int, missing: int, pieces: list[Piece]
    ) -> None:
        """Hands out what is new of a segment, and tells what of it was cut off when it was captured."""
        known = self.position - at
        if length <= known:
            return
        new = data[known:]
        self.position = at + length
        if new or missing:
            pieces.append(Piece(time, new, missing))
        cut = length - known - len(new)
        if cut:
            self.missing += cut
            pieces.append(Piece(time, b"", cut))

    def drain(self, pieces: list[Piece], missing: int = 0) -> None:
        """Hands out the waiting segments whose turn has come."""
        while self.heap and self.heap[0] <= self.position:
            at = heappop(self.heap)
            time, data, length = self.waiting.pop(at)
            self.held -= len(data)
            self.allowance.left += len(data)
            self.deliver(at, time, data, length, missing, pieces)
            missing = 0

    def give_up(self, pieces: list[Piece]) -> None:
        """Goes on behind bytes that did not come."""
        missing = self.heap[0] - self.position
        self.missing += missing
        self.position = self.heap[0]
        self.drain(pieces, missing)

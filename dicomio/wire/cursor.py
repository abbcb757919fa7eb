"""A bounds-checked reader and a writer of length-prefixed blocks; all integers are big endian (PS3.8 9.3.1)."""

from struct import Struct
from types import TracebackType

from dicomio.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["Block", "Cursor", "Writer"]

U16 = Struct(">H")
U32 = Struct(">L")
# Item-type, reserved, Item-length: how every item and sub-item begins (PS3.8 9.3.2)
ITEM_HEADER = Struct(">BxH")


class Cursor:
    """Reads a buffer from its beginning, and never beyond its end.

    As a context manager it checks that what it covers was read to the end; without, trailing bytes are ignored.

    Args:
        buffer: what to read; what is taken out of it is copied.

    Raises:
        RemoteProtocolError: from any method that would read beyond the end.
    """

    __slots__ = ("buffer", "end", "offset")

    def __init__(self, buffer: bytes | memoryview) -> None:
        self.buffer = buffer
        self.offset = 0
        self.end = len(buffer)

    @property
    def remaining(self) -> int:
        """Bytes that have not been read."""
        return self.end - self.offset

    def u8(self) -> int:
        """Reads one byte."""
        return self.buffer[self.advance(1)]

    def u16(self) -> int:
        """Reads an unsigned integer of two bytes."""
        value: int = U16.unpack_from(self.buffer, self.advance(2))[0]
        return value

    def u32(self) -> int:
        """Reads an unsigned integer of four bytes."""
        value: int = U32.unpack_from(self.buffer, self.advance(4))[0]
        return value

    def take(self, length: int) -> bytes:
        """Reads `length` bytes, and returns a copy."""
        start = self.advance(length)
        return bytes(self.buffer[start : self.offset])

    def rest(self) -> bytes:
        """Reads what remains, and returns a copy."""
        return self.take(self.remaining)

    def item_header(self) -> tuple[int, int]:
        """Reads the type and the length of an item, without a look at what follows."""
        kind, length = ITEM_HEADER.unpack_from(self.buffer, self.advance(ITEM_HEADER.size))
        return kind, length

    def items_fill(self, length: int) -> bool:
        """Whether items follow one another exactly up to `length` bytes ahead, at most `remaining`."""
        at, end = self.offset, self.offset + length
        while at + ITEM_HEADER.size <= end:
            at += ITEM_HEADER.size + ITEM_HEADER.unpack_from(self.buffer, at)[1]
        return at == end

    def block(self, length: int) -> "Cursor":
        """Reads `length` bytes as a cursor of their own; in a `with` statement it must be read to its end."""
        inner = Cursor.__new__(Cursor)
        inner.buffer = self.buffer
        inner.offset = self.advance(length)
        inner.end = self.offset
        return inner

    def advance(self, length: int) -> int:
        """Passes over `length` bytes, and returns the offset they start at."""
        start = self.offset
        if length > self.end - start:
            raise RemoteProtocolError(
                f"{length} bytes announced or needed at byte {start}, {self.end - start} are left"
            )
        self.offset = start + length
        return start

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None and self.remaining:
            raise RemoteProtocolError(f"{self.remaining} bytes too many at byte {self.offset}")


class Writer:
    """Builds a PDU in `data`.

    Raises:
        LocalProtocolError: from any method given a value that does not fit its field.
    """

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def u8(self, value: int) -> None:
        """Writes one byte."""
        check_fits(value, 0xFF)
        self.data.append(value)

    def u16(self, value: int) -> None:
        """Writes an unsigned integer of two bytes."""
        check_fits(value, 0xFFFF)
        self.data += U16.pack(value)

    def u32(self, value: int) -> None:
        """Writes an unsigned integer of four bytes."""
        check_fits(value, 0xFFFFFFFF)
        self.data += U32.pack(value)

    def write(self, data: bytes) -> None:
        """Writes bytes as they are."""
        self.data += data

    def block16(self) -> "Block":
        """A block behind its length in two bytes, to be used in a `with` statement."""
        return Block(self.data, U16, 0xFFFF)

    def block32(self) -> "Block":
        """A block behind its length in four bytes, to be used in a `with` statement."""
        return Block(self.data, U32, 0xFFFFFFFF)

    def item(self, kind: int) -> "Block":
        """An item of type `kind`: type, reserved byte and a block behind its length in two bytes."""
        self.u8(kind)
        self.u8(0)
        return self.block16()

    def whole_item(self, kind: int, data: bytes) -> None:
        """An item of type `kind` whose contents are ready."""
        check_fits(kind, 0xFF)
        check_fits(len(data), 0xFFFF)
        self.data += ITEM_HEADER.pack(kind, len(data))
        self.data += data


class Block:
    """Measures what is written inside its `with` statement, and puts the length in front of it."""

    __slots__ = ("data", "limit", "prefix", "start")

    def __init__(self, data: bytearray, prefix: Struct, limit: int) -> None:
        self.data, self.prefix, self.limit = data, prefix, limit
        self.start = len(data)

    def __enter__(self) -> None:
        self.data += bytes(self.prefix.size)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            length = len(self.data) - self.start - self.prefix.size
            check_fits(length, self.limit)
            self.prefix.pack_into(self.data, self.start, length)


def check_fits(value: int, limit: int) -> None:
    """Raises unless `value` is between 0 and `limit`."""
    if not 0 <= value <= limit:
        raise LocalProtocolError(f"{value} does not fit in a field for 0 to {limit}")

"""Capture files: pcap and pcapng, packet by packet, whoever wrote them and on whatever machine.

The formats are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. A length is checked before what it
announces is read, so a file of any size and make costs the memory of one packet.
"""

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO, Final, NamedTuple

from dicomio.captures.errors import InvalidCapture

__all__ = ["CaptureReader", "Packet"]

# What an interface delivers in one piece, segmentation offload included, is a good deal less.
LONGEST_PACKET: Final = 1_048_576
# Blocks that are no packets may hold name tables and decryption secrets.
LONGEST_BLOCK: Final = 16_777_216
MOST_INTERFACES: Final = 65_536
SKIPPED_AT_ONCE: Final = 65_536

NANOSECONDS: Final = 1_000_000_000

# The magic number of a pcap file, as its bytes stand there: byte order, and fractions of a second.
PCAP: Final = {
    bytes.fromhex("a1b2c3d4"): (">", 1_000_000),
    bytes.fromhex("d4c3b2a1"): ("<", 1_000_000),
    bytes.fromhex("a1b23c4d"): (">", NANOSECONDS),
    bytes.fromhex("4d3cb2a1"): ("<", NANOSECONDS),
}
PCAP_HEADER_LENGTH: Final = 24

SECTION_HEADER: Final = bytes.fromhex("0a0d0d0a")
BYTE_ORDERS: Final = {bytes.fromhex("1a2b3c4d"): ">", bytes.fromhex("4d3c2b1a"): "<"}
INTERFACE_DESCRIPTION, OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 1, 2, 3, 6
PACKET_BLOCKS: Final = (OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET)
# type, length, and the length once more behind the body
BLOCK_OVERHEAD: Final = 12

END_OF_OPTIONS, TIME_RESOLUTION, TIME_OFFSET = 0, 9, 14
# 10 to the power of -6 where an interface says nothing
MICROSECONDS: Final = 6

GZIP: Final = b"\x1f\x8b"


class Packet(NamedTuple):
    """One captured packet.

    Attributes:
        time: when, nanoseconds since 1970-01-01 UTC; 0 where the capture does not say.
        link_type: how it begins, by the LINKTYPE numbers of tcpdump.org.
        data: its bytes, as many as were captured.
    """

    time: int
    link_type: int
    data: bytes


class Interface(NamedTuple):
    """What an Interface Description Block says: link type, units of its clock per second, offset in nanoseconds."""

    link_type: int
    units: int
    offset: int


class CaptureReader:
    """Reads the packets of a capture file, whose format its first bytes tell.

    Args:
        stream: the file, opened for binary reading; it need not be seekable. Reading blocks.

    Attributes:
        quirks: what was odd about the file, as short sentences; complete when the iteration is.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.quirks: list[str] = []
        self.interfaces: list[Interface] = []

    def __iter__(self) -> Iterator[Packet]:
        """The packets in the order of the file.

        Raises:
            InvalidCapture: the file is no capture, or a length in it is impossible.
            OSError: it cannot be read.
        """
        magic = self.stream.read(4)
        if magic in PCAP:
            return self.pcap(*PCAP[magic])
        if magic == SECTION_HEADER:
            return self.pcapng()
        if magic.startswith(GZIP):
            raise InvalidCapture("the file is compressed with gzip; decompress it first")
        raise InvalidCapture(f"neither a pcap nor a pcapng file: it begins with {magic.hex(' ') or 'nothing'}")

    def take(self, length: int, *, inside: bool = True) -> bytes | None:
        """The next bytes; `None`, and a quirk, where the file ends before them, unless it may end here."""
        data = self.stream.read(length)
        if len(data) == length:
            return data
        if data or inside:
            self.quirks.append("the file ends in the middle of a packet")
        return None

    # pcap

    def pcap(self, order: str, units: int) -> Iterator[Packet]:
        """The packets of a pcap file."""
        header = self.take(PCAP_HEADER_LENGTH - 4)
        if header is None:
            raise InvalidCapture("the file ends in the middle of its header")
        # What stands above the link type tells of frame check sequences.
        link_type = Struct(f"{order}HHiIII").unpack(header)[5] & 0xFFFF
        record = Struct(f"{order}IIII")
        scale = NANOSECONDS // units
        while (head := self.take(record.size, inside=False)) is not None:
            seconds, fraction, captured, _ = record.unpack(head)
            check_packet(captured)
            data = self.take(captured)
            if data is None:
                break
            yield Packet(seconds * NANOSECONDS + fraction * scale, link_type, data)

    # pcapng

    def pcapng(self) -> Iterator[Packet]:
        """The packets of a pcapng file."""
        order = self.section()
        while order is not None and (head := self.take(8, inside=False)) is not None:
            if head[:4] == SECTION_HEADER:
                order = self.section(head[4:])
                continue
            kind, length = Struct(f"{order}II").unpack(head)
            size = block_size(kind, length)
            if kind != INTERFACE_DESCRIPTION and kind not in PACKET_BLOCKS:
                if not self.skip(size + 4):
                    break
                continue
            block = self.take(size + 4)
            if block is None:
                break
            body = block[:size]
            if kind == INTERFACE_DESCRIPTION:
                self.describe(body, order)
            else:
                yield PACKET_READERS[kind](self, body, order)

    def skip(self, length: int) -> bool:
        """Goes past what is of no interest; whether all of it was there."""
        while length:
            data = self.take(min(length, SKIPPED_AT_ONCE))
            if data is None:
                return False
            length -= len(data)
        return True

    def section(self, length_field: bytes | None = None) -> str | None:
        """Reads the rest of a Section Header Block; the byte order of the section, or `None` where the file ends."""
        found = self.take(4) if length_field is None else length_field
        magic = self.take(4) if found is not None else None
        if found is None or magic is None:
            return None
        order = BYTE_ORDERS.get(magic)
        if order is None:
            raise InvalidCapture(f"a section of the pcapng file has no byte order mark but {magic.hex(' ')}")
        (length,) = Struct(f"{order}I").unpack(found)
        if length < BLOCK_OVERHEAD + 16:
            raise InvalidCapture(f"a section header of {length} bytes is too short")
        self.interfaces = []
        return order if self.skip(block_size(0, length)) else None

    def describe(self, body: bytes, order: str) -> None:
        """Takes an Interface Description Block."""
        if len(body) < 8:
            raise InvalidCapture(f"an interface description of {len(body)} bytes is too short")
        if len(self.interfaces) >= MOST_INTERFACES:
            raise InvalidCapture(f"more than {MOST_INTERFACES} interfaces are described")
        (link_type,) = Struct(f"{order}H").unpack_from(body)
        resolution, offset = MICROSECONDS, 0
        for code, value in options(body[8:], order):
            if code == TIME_RESOLUTION and value:
                resolution = value[0]
            elif code == TIME_OFFSET and len(value) == 8:
                offset = Struct(f"{order}q").unpack(value)[0]
        units: int = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        self.interfaces.append(Interface(link_type, units, offset * NANOSECONDS))

    def interface(self, number: int) -> Interface:
        if number >= len(self.interfaces):
            raise InvalidCapture(f"a packet of interface {number}, which is not described")
        return self.interfaces[number]

    def enhanced_packet(self, body: bytes, order: str) -> Packet:
        """Reads an Enhanced Packet Block."""
        return self.timed_packet(body, Struct(f"{order}IIIII"), order)

    def old_packet(self, body: bytes, order: str) -> Packet:
        """Reads a Packet Block, which is obsolete: 16 bits of interface, 16 bits of drops, then as its successor."""
        return self.timed_packet(body, Struct(f"{order}H2xIIII"), order)

    def timed_packet(self, body: bytes, fields: Struct, order: str) -> Packet:
        if len(body) < fields.size:
            raise InvalidCapture(f"a packet block of {len(body)} bytes is too short")
        number, high, low, captured, _ = fields.unpack_from(body)
        check_packet(captured, len(body) - fields.size)
        interface = self.interface(number)
        time = (high << 32 | low) * NANOSECONDS // interface.units + interface.offset
        return Packet(time, interface.link_type, body[fields.size : fields.size + captured])

    def simple_packet(self, body: bytes, order: str) -> Packet:
        """Reads a Simple Packet Block, which has no time."""
        if len(body) < 4:
            raise InvalidCapture(f"a packet block of {len(body)} bytes is too short")
        (original,) = Struct(f"{order}I").unpack_from(body)
        captured = min(original, len(body) - 4)
        check_packet(captured)
        return Packet(0, self.interface(0).link_type, body[4 : 4 + captured])


PACKET_READERS: Final = {
    ENHANCED_PACKET: CaptureReader.enhanced_packet,
    OLD_PACKET: CaptureReader.old_packet,
    SIMPLE_PACKET: CaptureReader.simple_packet,
}


def check_packet(captured: int, room: int = LONGEST_PACKET) -> None:
    """Refuses a packet that is longer than what it is in, or than any."""
    if captured > min(room, LONGEST_PACKET):
        raise InvalidCapture(f"a packet of {captured} bytes where at most {min(room, LONGEST_PACKET)} can be")


def block_size(kind: int, length: int) -> int:
    """The bytes of a block's body; for a section header, without those read already and the length behind."""
    if length < BLOCK_OVERHEAD or length % 4 or length > LONGEST_BLOCK:
        raise InvalidCapture(f"a block of type {kind} and {length} bytes: impossible, or longer than {LONGEST_BLOCK}")
    return length - BLOCK_OVERHEAD


def options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The options of a block: code, length, value padded to four bytes."""
    header = Struct(f"{order}HH")
    at = 0
    while len(data) - at >= header.size:
        code, length = header.unpack_from(data, at)
        at += header.size
        if code == END_OF_OPTIONS or length > len(data) - at:
            return
        yield code, data[at : at + length]
        at += length + -length % 4

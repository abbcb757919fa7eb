"""Conversations as pcapng files with the TCP segments they might have travelled in, for any tool that reads captures.

One Section Header Block and one Interface Description Block (raw IP, nanoseconds) begin the file; each chunk of bytes
is an Enhanced Packet Block, or several where it does not fit one IP packet (draft-ietf-opsawg-pcapng 4.1 to 4.3).
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import Final, NamedTuple

from dicomio.captures.packets import ACK, FIN, PSH, RAW_IP, RST, SYN, TCP, Endpoint
from dicomio.implementation import VERSION

__all__ = ["CaptureWriter", "endpoint", "file_start"]

# What a segment carries: the length of an IPv4 packet has 16 bits.
LONGEST_SEGMENT: Final = 61_440
WINDOW: Final = 0xFFFF
NUMBERS: Final = 1 << 32

BLOCK: Final = Struct("<II")
LENGTH: Final = Struct("<I")
PACKET: Final = Struct("<IIIII")
TCP_HEADER: Final = Struct(">HHIIBBHHH")
IP4_HEADER: Final = Struct(">BBHHHBBH4s4s")
IP6_HEADER: Final = Struct(">IHBB16s16s")

SECTION_HEADER, INTERFACE_DESCRIPTION, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
USER_APPLICATION, TIME_RESOLUTION = 4, 9
NANOSECONDS: Final = b"\x09"


def block(kind: int, body: bytes) -> bytes:
    """A block: type, length, body padded to four bytes, length."""
    padded = body + bytes(-len(body) % 4)
    size = len(padded) + 12
    return BLOCK.pack(kind, size) + padded + LENGTH.pack(size)


def option(code: int, value: bytes) -> bytes:
    """An option of a block."""
    return Struct("<HH").pack(code, len(value)) + value + bytes(-len(value) % 4)


def file_start() -> bytes:
    """What a file begins with."""
    section = Struct("<IHHq").pack(0x1A2B3C4D, 1, 0, -1)
    section += option(USER_APPLICATION, f"dicomio {VERSION}".encode()) + bytes(4)
    interface = Struct("<HHI").pack(RAW_IP, 0, 0) + option(TIME_RESOLUTION, NANOSECONDS) + bytes(4)
    return block(SECTION_HEADER, section) + block(INTERFACE_DESCRIPTION, interface)


def endpoint(host: str, port: int) -> Endpoint:
    """An end of a connection.

    Args:
        host: an IP address, IPv6 with or without its zone.
        port: of TCP.

    Raises:
        ValueError: that is no IP address.
    """
    return Endpoint(ip_address(host.partition("%")[0]).packed, port)


class Half(NamedTuple):
    """What stands in the packets of one direction: addresses, ports, and the sum of the pseudo-header's addresses."""

    source: Endpoint
    destination: Endpoint
    sum: int


class CaptureWriter:
    """The blocks that make one connection.

    Args:
        client: the end that opens it.
        server: the other end.
    """

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        if len(client.address) != len(server.address):
            client, server = mapped(client), mapped(server)
        addresses = client.address + server.address
        total = int.from_bytes(addresses, "big") % 0xFFFF
        self.halves = (Half(client, server, total), Half(server, client, total))
        self.sent = [0, 0]

    def opened(self, time: int) -> bytes:
        """The three segments that open a connection."""
        first = self.packet(time, 0, SYN)
        second = self.packet(time, 1, SYN | ACK)
        return first + second + self.packet(time, 0, ACK)

    def said(self, time: int, side: int, data: bytes) -> bytes:
        """Bytes of one side.

        Args:
            time: when, nanoseconds since 1970-01-01 UTC.
            side: 0 for the client, 1 for the server.
            data: what it said.
        """
        return b"".join(self.packet(time, side, PSH | ACK, part) for part in parts(data))

    def closed(self, time: int, side: int) -> bytes:
        """One side has said all."""
        return self.packet(time, side, FIN | ACK)

    def reset(self, time: int, side: int) -> bytes:
        """One side breaks the connection off."""
        return self.packet(time, side, RST | ACK)

    def packet(self, time: int, side: int, flags: int, data: bytes = b"") -> bytes:
        """The block of one segment."""
        half = self.halves[side]
        acknowledged = self.sent[1 - side] if flags & ACK else 0
        segment = tcp_segment(half, self.sent[side] % NUMBERS, acknowledged % NUMBERS, flags, data)
        self.sent[side] += len(data) + bool(flags & (SYN | FIN))
        whole = ip_header(half, len(segment)) + segment
        fields = PACKET.pack(0, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF, len(whole), len(whole))
        return block(ENHANCED_PACKET, fields + whole)


def parts(data: bytes) -> Iterator[bytes]:
    """What fits one segment each."""
    for at in range(0, len(data), LONGEST_SEGMENT):
        yield data[at : at + LONGEST_SEGMENT]


def mapped(end: Endpoint) -> Endpoint:
    """An end as IPv6 has it, an IPv4-mapped address perhaps (RFC 4291 2.5.5.2)."""
    address = ip_address(end.address)
    if isinstance(address, IPv4Address):
        address = IPv6Address(f"::ffff:{address}")
    return Endpoint(address.packed, end.port)


def checksum(total: int) -> int:
    """The Internet checksum (RFC 1071) of 16-bit words whose sum, modulo 65535, is given."""
    return 0xFFFF - total % 0xFFFF


def tcp_segment(half: Half, sequence: int, acknowledged: int, flags: int, data: bytes) -> bytes:
    """A TCP segment with its checksum (RFC 9293 3.1)."""
    source, destination, total = half
    fields = (source.port, destination.port, sequence, acknowledged, 5 << 4, flags, WINDOW)
    header = TCP_HEADER.pack(*fields, 0, 0)
    size = len(header) + len(data)
    # A sum of 16-bit words modulo 65535 is the number they make, modulo 65535: 65536 leaves 1.
    even = data + b"\0" if len(data) & 1 else data
    total += size + TCP + int.from_bytes(header, "big") + int.from_bytes(even, "big") % 0xFFFF
    return TCP_HEADER.pack(*fields, checksum(total), 0) + data


def ip_header(half: Half, length: int) -> bytes:
    """The header of an IPv4 or IPv6 packet."""
    source, destination, _ = half
    if len(source.address) == 16:
        return IP6_HEADER.pack(6 << 28, length, TCP, 64, source.address, destination.address)
    fields = (0x45, 0, length + IP4_HEADER.size, 0, 0x4000, 64, TCP)
    header = IP4_HEADER.pack(*fields, 0, source.address, destination.address)
    total = checksum(int.from_bytes(header, "big"))
    return IP4_HEADER.pack(*fields, total, source.address, destination.address)

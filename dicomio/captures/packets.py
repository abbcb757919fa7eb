"""From a captured packet to its TCP segment: link layers, IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293)."""

from collections.abc import Mapping
from ipaddress import ip_address
from struct import Struct
from typing import Final, NamedTuple

__all__ = ["ACK", "FIN", "PSH", "RAW_IP", "RST", "SYN", "Endpoint", "Segment", "segment_of"]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

# LINKTYPE numbers of tcpdump.org
ETHERNET, RAW_IP, COOKED, COOKED_2 = 1, 101, 113, 276
# The bytes in front of the IP header, where their number is fixed. The version of IP stands in its own first byte, so
# that a protocol family, which each system numbers for itself in its own byte order, need not be understood.
LINK_HEADERS: Final[Mapping[int, int]] = {
    0: 4,  # loopback of BSD
    108: 4,  # the same, in network byte order
    12: 0,  # raw IP, by the numbers of several systems
    14: 0,
    RAW_IP: 0,
    228: 0,
    229: 0,
    COOKED: 16,
    COOKED_2: 20,
}
ETHERNET_HEADER: Final = 14
VLAN_TAG: Final = 4
VLANS: Final = (0x8100, 0x88A8, 0x9100)
IPV4, IPV6 = 0x0800, 0x86DD

TCP: Final = 6
FRAGMENT, AUTHENTICATION = 44, 51
# hop-by-hop, routing and destination options have their length in units of eight bytes behind the first
EXTENSIONS: Final = (0, 43, 60)
IPV6_HEADER: Final = 40
TCP_HEADER: Final = 20
# The bit "more fragments", and the offset.
FRAGMENTED: Final = 0x3FFF

U16: Final = Struct(">H")
IP4: Final = Struct(">B x H 2x H x B 2x 4s 4s")
IP6: Final = Struct(">4x H B x 16s 16s")
SEGMENT: Final = Struct(">HH L 4x BB")

FRAGMENTS: Final = "a fragment of an IP packet: what it carries is missing"
CUT: Final = "a packet was cut off in its headers when it was captured"
UNKNOWN_LINK: Final = "packets of link type {}, which is not known"


class Endpoint(NamedTuple):
    """One end of a TCP connection.

    Args:
        address: 4 or 16 bytes.
        port: of TCP.
    """

    address: bytes
    port: int

    @property
    def host(self) -> str:
        """The address as people write it."""
        return str(ip_address(self.address))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if len(self.address) == 16 else f"{self.host}:{self.port}"


class Segment(NamedTuple):
    """One TCP segment.

    Args:
        source: who sent it.
        destination: to whom.
        sequence: sequence number.
        flags: `SYN`, `ACK`, `FIN`, `RST`, `PSH` and others.
        payload: its data, as far as they were captured.
        length: bytes of data it had.
    """

    source: Endpoint
    destination: Endpoint
    sequence: int
    flags: int
    payload: memoryview
    length: int


def segment_of(link_type: int, data: bytes | memoryview) -> Segment | str:
    """The TCP segment in a packet.

    Args:
        link_type: how the packet begins (LINKTYPE number).
        data: the packet.

    Returns:
        The segment; or why there is none, as a sentence, empty for packets of other protocols.
    """
    view = memoryview(data)
    skipped = LINK_HEADERS.get(link_type)
    if skipped is None:
        if link_type != ETHERNET:
            return UNKNOWN_LINK.format(link_type)
        skipped = ethernet_header(view)
        if not skipped:
            return ""
    packet = view[skipped:]
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return ipv4_segment(packet)
    return ipv6_segment(packet) if version == 6 else ""


def ethernet_header(view: memoryview) -> int:
    """The bytes in front of an IP packet in an Ethernet frame, with the tags of VLANs; 0 where there is none."""
    at = ETHERNET_HEADER - 2
    while len(view) >= at + 2:
        (kind,) = U16.unpack_from(view, at)
        if kind in (IPV4, IPV6):
            return at + 2
        if kind not in VLANS:
            break
        at += VLAN_TAG
    return 0


def ipv4_segment(packet: memoryview) -> Segment | str:
    """The segment in an IPv4 packet."""
    if len(packet) < IP4.size:
        return CUT
    first, total, fragment, protocol, source, destination = IP4.unpack_from(packet)
    if protocol != TCP:
        return ""
    header = (first & 0x0F) * 4
    # Segmentation offload hands out packets that are longer than the field can say.
    end = total or len(packet)
    if fragment & FRAGMENTED:
        return FRAGMENTS
    return tcp_segment(packet, max(header, IP4.size), end, source, destination)


def ipv6_segment(packet: memoryview) -> Segment | str:
    """The segment in an IPv6 packet, behind its extension headers (RFC 8200 4)."""
    if len(packet) < IPV6_HEADER:
        return CUT
    length, kind, source, destination = IP6.unpack_from(packet)
    at, end = IPV6_HEADER, IPV6_HEADER + length if length else len(packet)
    while kind != TCP:
        if kind == FRAGMENT:
            return FRAGMENTS
        if kind not in EXTENSIONS and kind != AUTHENTICATION:
            return ""
        if len(packet) < at + 2:
            return CUT
        # The Authentication Header counts in units of four bytes behind the second (RFC 4302 2.2).
        size = (packet[at + 1] + 2) * 4 if kind == AUTHENTICATION else (packet[at + 1] + 1) * 8
        kind = packet[at]
        at += size
    return tcp_segment(packet, at, end, source, destination)


def tcp_segment(packet: memoryview, at: int, end: int, source: bytes, destination: bytes) -> Segment | str:
    """The segment that begins somewhere in an IP packet, which says where it ends."""
    if len(packet) < at + TCP_HEADER:
        return CUT
    source_port, destination_port, sequence, offset, flags = SEGMENT.unpack_from(packet, at)
    start = at + max((offset >> 4) * 4, TCP_HEADER)
    return Segment(
        Endpoint(source, source_port),
        Endpoint(destination, destination_port),
        sequence,
        flags,
        packet[start:end],
        max(0, end - start),
    )

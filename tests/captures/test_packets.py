"""TCP segments out of packets of every link layer."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.captures.packets import CUT, FRAGMENTS, Endpoint, Segment, segment_of
from dicomio.captures.writing import CaptureWriter, endpoint, file_start

from .conversation import packets_of

SIX = endpoint("2001:db8::1", 50_104), endpoint("2001:db8::2", 104)
FOUR = endpoint("10.0.0.1", 50_104), endpoint("10.0.0.2", 104)
PAYLOAD = b"what is said"


def ip_packet(ends: tuple[Endpoint, Endpoint]) -> bytes:
    """An IP packet with the payload, whose checksums are right."""
    return packets_of(file_start() + CaptureWriter(*ends).said(0, 0, PAYLOAD))[0].data


V4, V6 = ip_packet(FOUR), ip_packet(SIX)


def ones_sum(data: bytes) -> int:
    """The sum of 16-bit words that is 0 where the checksum in it is right (RFC 1071)."""
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    return 0xFFFF - total % 0xFFFF if total % 0xFFFF else 0


@pytest.mark.parametrize("ends, packet", [(FOUR, V4), (SIX, V6)])
@pytest.mark.parametrize(
    "link_type, before_four, before_six",
    [
        (101, b"", b""),
        (12, b"", b""),
        (0, b"\2\0\0\0", b"\x1e\0\0\0"),
        (108, b"\0\0\0\2", b"\0\0\0\x18"),
        (1, bytes(12) + b"\x08\0", bytes(12) + b"\x86\xdd"),
        (1, bytes(12) + b"\x81\0\0\7\x08\0", bytes(12) + b"\x81\0\0\7\x86\xdd"),
        (1, bytes(12) + b"\x88\xa8\0\7\x81\0\0\7\x08\0", bytes(12) + b"\x88\xa8\0\7\x81\0\0\7\x86\xdd"),
        (113, bytes(14) + b"\x08\0", bytes(14) + b"\x86\xdd"),
        (276, b"\x08\0" + bytes(18), b"\x86\xdd" + bytes(18)),
    ],
)
def test_link_layers(
    ends: tuple[Endpoint, Endpoint], packet: bytes, link_type: int, before_four: bytes, before_six: bytes
) -> None:
    before = before_four if packet is V4 else before_six
    # Ethernet pads short frames.
    segment = segment_of(link_type, before + packet + (bytes(6) if link_type == 1 else b""))
    assert isinstance(segment, Segment)
    assert (segment.source, segment.destination) == ends
    assert (bytes(segment.payload), segment.length, segment.flags) == (PAYLOAD, len(PAYLOAD), 0x18)


def test_extension_headers() -> None:
    extended = V6[:6] + b"\0" + V6[7:40] + b"\x3c\0" + bytes(6) + b"\x06\0" + bytes(6) + V6[40:]
    extended = extended[:4] + pack(">H", len(extended) - 40) + extended[6:]
    segment = segment_of(101, extended)
    assert isinstance(segment, Segment)
    assert segment.payload == PAYLOAD


@pytest.mark.parametrize(
    "packet",
    [V4[:6] + b"\x20\0" + V4[8:], V4[:6] + b"\0\x10" + V4[8:], V6[:6] + b"\x2c" + V6[7:]],
    ids=["first", "later", "IPv6"],
)
def test_fragments_are_named(packet: bytes) -> None:
    assert segment_of(101, packet) == FRAGMENTS


def test_what_was_cut_off_is_known() -> None:
    segment = segment_of(101, V4[:-5])
    assert isinstance(segment, Segment)
    assert (bytes(segment.payload), segment.length) == (PAYLOAD[:-5], len(PAYLOAD))
    assert {segment_of(101, V4[:size]) for size in range(1, 40)} == {CUT}
    assert {segment_of(101, V6[:size]) for size in range(1, 60)} == {CUT}


@pytest.mark.parametrize("packet", [V4[:9] + b"\x11" + V4[10:], V6[:6] + b"\x3a" + V6[7:], b"", b"\x70" * 60])
def test_other_protocols_are_passed_over(packet: bytes) -> None:
    assert segment_of(101, packet) == ""


def test_unknown_link_layers_are_named() -> None:
    assert segment_of(147, V4) == "packets of link type 147, which is not known"
    assert segment_of(1, bytes(12) + b"\x08\x06" + bytes(40)) == ""


def test_packets_longer_than_their_field_can_say() -> None:
    segment = segment_of(101, V4[:2] + b"\0\0" + V4[4:])
    assert isinstance(segment, Segment)
    assert segment.payload == PAYLOAD


@pytest.mark.parametrize("ends, packet, start", [(FOUR, V4, 20), (SIX, V6, 40)])
def test_checksums_that_are_written(ends: tuple[Endpoint, Endpoint], packet: bytes, start: int) -> None:
    pseudo = ends[0].address + ends[1].address + pack(">II", len(packet) - start, 6)
    assert ones_sum(pseudo + packet[start:]) == 0
    if start == 20:
        assert ones_sum(packet[:20]) == 0


def test_ends_of_both_kinds_are_written_as_the_longer_one() -> None:
    writer = CaptureWriter(FOUR[0], SIX[1])
    source, destination, _ = writer.halves[0]
    assert source == (bytes(10) + b"\xff\xff" + FOUR[0].address, 50_104)
    assert (destination, str(destination)) == (SIX[1], "[2001:db8::2]:104")


@given(st.sampled_from([0, 1, 101, 113, 276, 108]), st.binary(max_size=120))
def test_whatever_comes(link_type: int, data: bytes) -> None:
    segment = segment_of(link_type, data)
    if isinstance(segment, Segment):
        assert len(segment.payload) <= min(len(data), max(segment.length, 0))


@given(st.sampled_from([V4, V6]), st.integers(0, 59), st.integers(0, 255))
def test_whatever_a_header_says(packet: bytes, at: int, value: int) -> None:
    segment = segment_of(101, packet[:at] + bytes([value]) + packet[at + 1 :])
    if isinstance(segment, Segment):
        assert len(segment.payload) <= len(packet)

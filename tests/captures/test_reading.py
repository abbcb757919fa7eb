"""Capture files of every kind, whole, damaged and hostile."""

import io
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.captures import CaptureReader, InvalidCapture, Packet
from dicomio.captures.reading import LONGEST_PACKET

from .conversation import TURNS, capture_of, packets_of, pcap, pcapng, pcapng_block

PACKETS = [
    Packet(1_700_000_000_123_456_000, 101, b"E" + bytes(40)),
    Packet(1_700_000_001_000_001_000, 101, bytes(3)),
    Packet(1_700_000_001_000_001_000, 101, b""),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap(order: str, nanoseconds: bool) -> None:
    reader = CaptureReader(io.BytesIO(pcap(PACKETS, order, nanoseconds=nanoseconds)))
    assert list(reader) == PACKETS
    assert reader.quirks == []


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [2, 6])
@pytest.mark.parametrize("resolution", [6, 9])
def test_pcapng(order: str, kind: int, resolution: int) -> None:
    assert packets_of(pcapng(PACKETS, order, kind=kind, resolution=resolution)) == PACKETS


def test_pcapng_that_counts_in_powers_of_two() -> None:
    found = packets_of(pcapng(PACKETS, resolution=0x80 | 20))
    assert [packet.data for packet in found] == [packet.data for packet in PACKETS]
    assert all(abs(one.time - other.time) < 1_000 for one, other in zip(found, PACKETS, strict=True))


def test_simple_packets_have_no_time() -> None:
    assert packets_of(pcapng(PACKETS, kind=3)) == [packet._replace(time=0) for packet in PACKETS]


def test_sections_follow_one_another_in_any_byte_order() -> None:
    assert packets_of(pcapng(PACKETS, "<") + pcapng(PACKETS, ">")) == PACKETS * 2


@pytest.mark.parametrize("whole", [pcap(PACKETS), pcapng(PACKETS)], ids=["pcap", "pcapng"])
def test_file_that_ends_anywhere(whole: bytes) -> None:
    for end in range(24, len(whole)):
        reader = CaptureReader(io.BytesIO(whole[:end]))
        found = list(reader)
        assert found == PACKETS[: len(found)]
        assert reader.quirks in ([], ["the file ends in the middle of a packet"])


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "begins with nothing"),
        (b"PK\3\4", "begins with 50 4b 03 04"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (pcap(PACKETS)[:20], "in the middle of its header"),
        (pcap(PACKETS)[:24] + pack("<IIII", 0, 0, 0xFFFFFFFF, 0), "packet of 4294967295"),
        (pcap(PACKETS)[:24] + pack("<IIII", 0, 0, LONGEST_PACKET + 1, 0), "packet of"),
        (pcapng(PACKETS)[:8] + b"what", "no byte order mark"),
        (pcapng(PACKETS) + pack("<II", 6, 11), "block of type 6 and 11 bytes"),
        (pcapng(PACKETS) + pack("<II", 5, 0xFFFFFFFC), "impossible"),
        (pcapng(PACKETS) + pcapng_block(6, pack("<IIIII", 7, 0, 0, 0, 0)), "interface 7, which is not described"),
        (pcapng(PACKETS) + pcapng_block(6, pack("<IIIII", 0, 0, 0, 5, 5)), "packet of 5 bytes where at most 0"),
        (pcapng(PACKETS) + pcapng_block(6, b"1234"), "too short"),
        (pcapng(PACKETS) + pcapng_block(3, b""), "too short"),
        (pcapng(PACKETS) + pcapng_block(1, b"1234"), "too short"),
        (b"\x0a\x0d\x0d\x0a" + pack("<II", 12, 0x1A2B3C4D), "section header of 12 bytes"),
    ],
)
def test_what_is_no_capture(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidCapture, match=reason):
        packets_of(data)


class Unasked(io.BytesIO):
    """A file that notes how much is asked of it at once."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        self.most = max(self.most, size)
        return super().read(size)


@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from([pcap(PACKETS), pcapng(PACKETS)]))
def test_whatever_a_file_says_little_is_asked_of_it(noise: bytes, at: int, whole: bytes) -> None:
    file = Unasked(whole[:at] + noise + whole[at + len(noise) :])
    with suppress(InvalidCapture):
        assert len(list(CaptureReader(file))) <= 100
    assert file.most <= 16_777_216


def test_what_is_written_is_read() -> None:
    packets = packets_of(capture_of(TURNS))
    assert len(packets) == 3 + len(TURNS) + 2
    assert [packet.time % 1_000_000_000 for packet in packets[3:6]] == [1_000_000, 2_000_000, 3_000_000]

"""The bytes of one direction, whatever the network made of its segments."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dicomio.captures.packets import ACK, FIN, SYN, Segment
from dicomio.captures.reassembly import MOST_HELD, MOST_SEGMENTS, Allowance, ByteStream, Piece

from .conversation import CLIENT, SERVER

TEXT = bytes(range(256)) * 8
START = 0xFFFFFF00  # so that sequence numbers begin anew in the middle of everything


def segment(at: int, data: bytes, flags: int = ACK, length: int | None = None) -> Segment:
    """A segment whose data stands at some place of the text."""
    sequence = (START + 1 + at) % (1 << 32)
    return Segment(CLIENT, SERVER, sequence, flags, memoryview(data), len(data) if length is None else length)


def opened(allowance: Allowance | None = None) -> ByteStream:
    """A stream whose first segment was seen."""
    stream = ByteStream(allowance or Allowance(1 << 26))
    assert stream.feed(0, segment(-1, b"", SYN)) == []
    return stream


def joined(pieces: list[Piece]) -> bytes:
    """The bytes, with zeros for what is missing."""
    return b"".join(bytes(piece.missing) + bytes(piece.data) for piece in pieces)


@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 700)), max_size=40), st.integers())
def test_any_segments_in_any_order(extra: list[tuple[int, int]], seed: int) -> None:
    stream = opened()
    cuts = [(at, 100) for at in range(0, len(TEXT), 100)] + extra
    random.Random(seed).shuffle(cuts)
    pieces = []
    for time, (at, size) in enumerate(cuts):
        pieces += stream.feed(time, segment(at, TEXT[at : at + size]))
    assert joined(pieces) == TEXT
    assert (stream.missing, stream.held, stream.allowance.left) == (0, 0, 1 << 26)


def test_the_last_segment_ends_it_whenever_it_comes() -> None:
    stream = opened()
    assert stream.feed(1, segment(5, b"", ACK | FIN)) == []
    assert not stream.ended
    assert stream.feed(2, segment(0, b"hello")) == [Piece(2, b"hello")]
    assert stream.ended


def test_what_came_first_counts() -> None:
    stream = opened()
    pieces = stream.feed(0, segment(4, b"4567")) + stream.feed(1, segment(0, b"012345"))
    assert pieces == [Piece(1, b"012345"), Piece(0, b"67")]
    assert stream.feed(2, segment(0, b"XXXXXXXX")) == []


def test_a_hole_is_told_at_the_end() -> None:
    stream = opened()
    assert stream.feed(0, segment(10, b"later")) == []
    assert stream.flush() == [Piece(0, b"later", 10)]
    assert stream.missing == 10


def test_a_hole_is_told_when_too_much_waits() -> None:
    stream = opened()
    pieces = []
    size = 65_536
    for number in range(MOST_HELD // size + 2):
        pieces += stream.feed(number, segment(7 + number * size, bytes(size)))
        assert stream.held <= MOST_HELD
    assert pieces[0].missing == 7
    assert sum(len(piece.data) for piece in pieces) == (MOST_HELD // size + 2) * size


def test_many_small_holes_are_bounded_too() -> None:
    stream = opened()
    for number in range(MOST_SEGMENTS + 10):
        stream.feed(number, segment(2 * number + 1, b"x"))
        assert len(stream.heap) <= MOST_SEGMENTS
    assert stream.missing == 10


def test_all_streams_share_what_may_wait() -> None:
    allowance = Allowance(100)
    first, second = opened(allowance), opened(allowance)
    assert first.feed(0, segment(1, bytes(80))) == []
    assert joined(second.feed(0, segment(1, bytes(80)))) == bytes(81)
    assert allowance.left == 20
    assert joined(first.flush()) == bytes(81)
    assert allowance.left == 100


def test_what_was_cut_off_is_missing() -> None:
    stream = opened()
    assert stream.feed(0, segment(0, b"begin", length=100)) == [Piece(0, b"begin"), Piece(0, b"", 95)]
    assert stream.feed(0, segment(100, b"end")) == [Piece(0, b"end")]


def test_without_its_beginning_it_begins_with_what_comes_first() -> None:
    stream = ByteStream(Allowance(1_000))
    assert stream.feed(0, segment(500, b"middle")) == [Piece(0, b"middle")]
    assert not stream.opened
    assert stream.feed(0, segment(400, b"before")) == []


def test_segments_beyond_every_window_are_of_another_connection() -> None:
    stream = opened()
    assert stream.feed(0, segment((1 << 30) + 1, b"stray")) == []
    assert stream.held == 0

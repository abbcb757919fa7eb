"""P-DATA-TF: every length that may lie, every place where a read may end, and packers against the parser."""

import struct
import tracemalloc
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.errors import AbortReason, RemoteProtocolError
from dicomio.wire.pdata import COMMAND, DATA, LAST, BatchPacker, Fragment, PDataParser, pack_message, payload_size

PDV = tuple[int, int, bytes]

# context ID, message control header, fragment
PDVS: Sequence[PDV] = (
    (1, COMMAND, b"com"),
    (1, COMMAND | LAST, b"mand"),
    (1, DATA, b""),
    (1, DATA | LAST, b"data set"),
)
LONGEST_RUN = 1 << 20


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return (len(data) + 2).to_bytes(4, "big") + bytes([context_id, control]) + data


def pdu(*pdvs: PDV) -> bytes:
    body = b"".join(pdv(*each) for each in pdvs)
    return b"\x04\x00" + len(body).to_bytes(4, "big") + body


def parse_body(body: bytes, *cuts: int) -> list[Fragment]:
    """The pieces of one PDU whose body arrives cut at these positions."""
    parser, fragments = PDataParser(), list[Fragment]()
    parser.start(len(body))
    for start, end in pairwise((0, *cuts, len(body))):
        assert parser.parse(memoryview(body[start:end]), 0, end - start, fragments) == end - start
    assert (parser.pdu_left, parser.pdv_left, parser.head) == (0, 0, b"")
    return fragments


def parse_pdus(data: bytes | memoryview) -> list[list[PDV]]:
    """The pieces of each PDU of a stream."""
    view, at, pdus = memoryview(data), 0, list[list[PDV]]()
    while at < len(view):
        assert view[at] == 4
        parser, fragments = PDataParser(), list[Fragment]()
        parser.start(int.from_bytes(view[at + 2 : at + 6], "big"))
        at = parser.parse(view, at + 6, len(view), fragments)
        assert not parser.pdu_left
        pdus.append(plain(fragments))
    return pdus


def plain(fragments: list[Fragment]) -> list[PDV]:
    return [(context_id, control, bytes(view)) for context_id, control, view in fragments]


def joined(fragments: Sequence[Fragment | PDV]) -> list[PDV]:
    """Pieces put together to whole parts of messages; only what has no last fragment stays in pieces."""
    parts: list[PDV] = []
    for context_id, control, view in fragments:
        if parts and parts[-1][:2] == (context_id, control & ~LAST):
            parts[-1] = (context_id, control, parts[-1][2] + view)
        else:
            parts.append((context_id, control, bytes(view)))
    return parts


# lengths to send


@pytest.mark.parametrize(
    "maximum, payload",
    [
        (0, 262_138),
        (1, 1),
        (7, 1),
        (8, 2),
        (9, 2),
        (10, 4),
        (4096, 4090),
        (16_384, 16_378),
        (16_383, 16_376),
        (262_144, 262_138),
        (262_146, 262_138),
        (0xFFFFFFFF, 262_138),
    ],
)
def test_payload_size(maximum: int, payload: int) -> None:
    assert payload_size(maximum) == payload


@given(st.integers(8, 0xFFFFFFFF))
def test_payload_is_even_and_fits(maximum: int) -> None:
    payload = payload_size(maximum)
    assert payload % 2 == 0
    assert 0 < payload <= maximum - 6


# receiving


@pytest.mark.parametrize("length", range(6))
def test_pdu_without_room_for_a_pdv(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="no room") as caught:
        PDataParser().start(length)
    assert caught.value.reason == AbortReason.INVALID_PDU_PARAMETER


def test_pdu_of_several_pdvs() -> None:
    assert plain(parse_body(pdu(*PDVS)[6:])) == list(PDVS)


def test_pdu_cut_anywhere() -> None:
    body = pdu(*PDVS)[6:]
    whole = joined(parse_body(body))
    assert whole == [(1, COMMAND | LAST, b"command"), (1, DATA | LAST, b"data set")]
    assert joined(parse_body(body, *range(1, len(body)))) == whole
    for cuts in combinations(range(1, len(body)), 2):
        assert joined(parse_body(body, *cuts)) == whole


def test_only_the_last_piece_of_a_last_fragment_is_last() -> None:
    pieces = plain(parse_body(pdu((3, DATA | LAST, b"abcd"))[6:], 7, 9))
    assert pieces == [(3, DATA, b"a"), (3, DATA, b"bc"), (3, DATA | LAST, b"d")]


def test_header_at_the_end_of_a_read_makes_no_empty_piece() -> None:
    assert plain(parse_body(pdu((3, DATA | LAST, b"abcd"))[6:], 6)) == [(3, DATA | LAST, b"abcd")]


def test_empty_fragment_at_the_end_of_a_read_is_handed_out_at_once() -> None:
    parser, fragments = PDataParser(), list[Fragment]()
    parser.start(6)
    parser.parse(memoryview(pdv(1, DATA | LAST, b"")), 0, 6, fragments)
    assert plain(fragments) == [(1, DATA | LAST, b"")]


def test_fragments_are_views_of_what_arrived() -> None:
    received = bytearray(b"....." + pdu(*PDVS)[6:] + b"next")
    parser, fragments = PDataParser(), list[Fragment]()
    parser.start(len(received) - 9)
    assert parser.parse(memoryview(received), 5, len(received), fragments) == len(received) - 4
    assert all(view.obj is received for _, _, view in fragments)


BAD_BODIES = {
    "item length 0": b"\0\0\0\0\1\3" + bytes(10),
    "item length 1": b"\0\0\0\1\1\3" + bytes(10),
    "longer than the PDU by one": pdv(1, 3, bytes(10))[:-1],
    "4 GiB": b"\xff\xff\xff\xff\1\3" + bytes(10),
    "second longer than the PDU": pdv(1, 0, b"abcd") + pdv(1, 2, bytes(10))[:-1],
    "bytes after the last": pdv(1, 3, b"abcd") + b"\0",
    "most of a header after the last": pdv(1, 3, b"abcd") + b"\0\0\0\2\1",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_lengths_that_lie(body: bytes) -> None:
    following = pdu((1, 3, bytes(20)))
    for end in (len(body), len(body) + len(following)):
        for cut in range(1, len(body)):
            parser, view = PDataParser(), memoryview(body + following)
            parser.start(len(body))
            with pytest.raises(RemoteProtocolError) as caught:  # noqa: PT012  # either read may be the one to notice
                parser.parse(view, 0, cut, [])
                parser.parse(view, cut, end, [])
            assert caught.value.reason == AbortReason.INVALID_PDU_PARAMETER


def test_pdu_of_4_gib_takes_no_memory() -> None:
    parser, chunk = PDataParser(), memoryview(bytearray(LONGEST_RUN))
    parser.start(0xFFFFFFFF)
    parser.parse(memoryview(b"\xff\xff\xff\xfb\1\0"), 0, 6, [])
    tracemalloc.start()
    for _ in range((0xFFFFFFFF - 6) // LONGEST_RUN):
        parser.parse(chunk, 0, LONGEST_RUN, [])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parser.pdu_left == (0xFFFFFFFF - 6) % LONGEST_RUN
    assert peak < 10_000


# runs of PDUs with one PDV each


def run(data: bytes, maximum: int = LONGEST_RUN) -> tuple[list[PDV], int, int]:
    fragments: list[Fragment] = []
    at, taken = PDataParser().parse_run(memoryview(data), 0, len(data), maximum, fragments)
    return plain(fragments), at, taken


ONE = pdu((1, DATA, b"first"))


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        ONE[:11],
        b"\x05" + ONE[1:],
        pdu((1, 0, b"one"), (1, 2, b"two")),
        b"\4\0\0\0\0\x0b\0\0\0\6\1\0first",
        b"\4\0\0\0\0\6\0\0\0\1\1\3",
        b"\4\0\0\0\0\5\0\0\0\1\1\3",
        b"\4\0\0\0\0\4\0\0\0\0\1\3",
        pdu((1, 0, bytes(20))),
    ],
    ids=[
        "nothing",
        "part of the headers",
        "another PDU",
        "two PDVs",
        "a PDV shorter than its PDU",
        "PDV item length 1",
        "PDV item length 1 in a PDU to match",
        "PDV item length 0 in a PDU to match",
        "longer than agreed",
    ],
)
def test_run_ends_before(rest: bytes) -> None:
    assert run(ONE + ONE + rest, maximum=25) == ([(1, DATA, b"first")] * 2, 2 * len(ONE), 2)


@pytest.mark.parametrize("cut", range(12, len(ONE)))
def test_run_begins_the_pdu_that_goes_on_in_the_next_read(cut: int) -> None:
    whole = pdu((7, DATA | LAST, b"first"))
    parser, fragments = PDataParser(), list[Fragment]()
    assert parser.parse_run(memoryview(ONE + whole[:cut]), 0, len(ONE) + cut, LONGEST_RUN, fragments) == (
        len(ONE) + cut,
        2,
    )
    assert plain(fragments) == [(1, DATA, b"first"), (7, DATA, whole[12:cut])]
    assert parser.pdu_left == parser.pdv_left == len(whole) - cut
    assert parser.parse(memoryview(whole), cut, len(whole), fragments) == len(whole)
    assert plain(fragments)[2:] == [(7, DATA | LAST, whole[cut:])]


def test_run_takes_the_longest_and_the_empty() -> None:
    data = pdu((1, DATA, bytes(19))) + pdu((1, LAST, b""))
    assert run(data, maximum=25) == ([(1, DATA, bytes(19)), (1, LAST, b"")], len(data), 2)


pdvs = st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=20))


@given(st.lists(pdvs, max_size=10))
def test_run_is_what_parsing_one_by_one_gives(found: list[PDV]) -> None:
    data = b"".join(map(pdu, found))
    assert run(data) == (found, len(data), len(found))
    assert [each for pieces in parse_pdus(data) for each in pieces] == found


@given(st.binary(max_size=60) | st.lists(pdvs, max_size=5).map(lambda found: b"".join(map(pdu, found))), st.data())
def test_parser_raises_nothing_else_and_reads_no_further_than_it_says(body: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(body)))
    parser, fragments = PDataParser(), list[Fragment]()
    try:
        parser.start(len(body))
        assert parser.parse(memoryview(body)[:cut], 0, cut, fragments) == cut
        assert parser.parse(memoryview(body)[cut:], 0, len(body) - cut, fragments) == len(body) - cut
    except RemoteProtocolError:
        pass
    assert sum(len(view) for _, _, view in fragments) <= len(body)


# sending


def test_small_message_is_one_pdu() -> None:
    assert pack_message(5, b"command", None, 7) == b"\x04\0\0\0\0\x0d\0\0\0\x09\x05\x03command"


def test_command_and_data_set_have_pdus_of_their_own() -> None:
    assert parse_pdus(pack_message(5, b"command", b"data set", 100)) == [[(5, 3, b"command")], [(5, 2, b"data set")]]


def test_empty_data_set_is_one_empty_last_fragment() -> None:
    assert parse_pdus(pack_message(5, b"command", b"", 100)) == [[(5, 3, b"command")], [(5, 2, b"")]]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 7, 8, 9, 40])
def test_message_over_many_pdus(size: int) -> None:
    data = bytes(range(size))
    pdus = parse_pdus(pack_message(1, b"command", data, 4))
    assert pdus[:2] == [[(1, COMMAND, b"comm")], [(1, COMMAND | LAST, b"and")]]
    assert len(pdus) - 2 == max(1, -(-size // 4))
    assert joined([pieces[0] for pieces in pdus[2:]]) == [(1, DATA | LAST, data)]


@given(st.integers(0, 255), st.binary(min_size=1, max_size=50), st.none() | st.binary(max_size=300), st.integers(1, 60))
def test_message_comes_back(context_id: int, command: bytes, data: bytes | None, payload: int) -> None:
    pdus = parse_pdus(pack_message(context_id, command, data, payload))
    assert all(len(pieces) == 1 and len(pieces[0][2]) <= payload for pieces in pdus)
    parts = [(context_id, COMMAND | LAST, command)] + ([] if data is None else [(context_id, DATA | LAST, data)])
    assert joined([piece for pieces in pdus for piece in pieces]) == parts


# batches


def send(packer: BatchPacker, data: bytes) -> list[bytes]:
    """Sends a data set in as many batches as it takes."""
    batches, at = [], 0
    while True:
        size = min(packer.capacity, len(data) - at)
        batch, gaps = packer.lay(size, at + size == len(data))
        assert sum(map(len, gaps)) == size
        assert all(gap.obj is packer.buffer for gap in gaps)
        for gap in gaps:
            gap[:] = data[at : at + len(gap)]
            at += len(gap)
        batches.append(bytes(batch))
        if at == len(data):
            return batches


PAYLOAD = 16


@pytest.mark.parametrize(
    "size", [0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 3 * PAYLOAD, 4 * PAYLOAD, 4 * PAYLOAD + 1, 999, 16 * PAYLOAD]
)
def test_batches(size: int) -> None:
    data = bytes(i & 0xFF for i in range(size))
    packer = BatchPacker(7, PAYLOAD, 4 * PAYLOAD - 3)
    assert packer.capacity == 4 * PAYLOAD
    pdus = parse_pdus(b"".join(send(packer, data)))
    parts = [padded(data)[at : at + PAYLOAD] for at in range(0, size or 1, PAYLOAD)]
    assert pdus == [[(7, DATA, part)] for part in parts[:-1]] + [[(7, DATA | LAST, parts[-1])]]


def padded(data: bytes) -> bytes:
    """A data set of odd length goes out with a NUL behind it."""
    return data + bytes(len(data) % 2)


def test_prefix_goes_before_the_first_batch_only() -> None:
    packer = BatchPacker(1, 4, 8, prefix=b"command")
    batches = send(packer, bytes(12))
    assert batches[0][:7] == b"command"
    assert [len(pdus) for pdus in map(parse_pdus, (batches[0][7:], batches[1]))] == [2, 1]


def test_batch_without_an_end_or_data() -> None:
    batch, gaps = BatchPacker(1, 4, 8).lay(0, False)
    assert parse_pdus(batch) == [[(1, DATA, b"")]]
    assert [len(gap) for gap in gaps] == [0]


@pytest.mark.parametrize(
    "payload, size, count", [(16_378, 262_144, 17), (16_378, 1, 1), (262_138, 262_138, 1), (2, 262_144, 1000)]
)
def test_batch_holds_a_bounded_number_of_pdus(payload: int, size: int, count: int) -> None:
    packer = BatchPacker(1, payload, size)
    assert packer.capacity == count * payload
    batch, gaps = packer.lay(packer.capacity, True)
    assert len(gaps) == count
    assert len(batch) == packer.capacity + count * 12


def test_batch_beyond_its_capacity_is_refused() -> None:
    with pytest.raises(struct.error, match="buffer of at least"):
        BatchPacker(1, 4, 8).lay(9, True)


@given(st.binary(max_size=400), st.integers(1, 20).map(lambda n: 2 * n), st.integers(0, 200), st.binary(max_size=20))
def test_batches_come_back(data: bytes, payload: int, size: int, prefix: bytes) -> None:
    packer = BatchPacker(9, payload, size, prefix)
    sent = b"".join(send(packer, data))
    assert sent[: len(prefix)] == prefix
    pieces = [piece for pieces in parse_pdus(sent[len(prefix) :]) for piece in pieces]
    assert all(len(piece) <= payload for _, _, piece in pieces)
    assert [control for _, control, _ in pieces if control & LAST] == [DATA | LAST]
    assert joined(pieces) == [(9, DATA | LAST, padded(data))]

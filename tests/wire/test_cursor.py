"""The bounds-checked reader and the block writer: nothing is read beyond an end, no length is sent that lies."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.errors import AbortReason, LocalProtocolError, RemoteProtocolError
from dicomio.wire.cursor import Cursor, Writer

READS: dict[str, tuple[Callable[[Cursor], object], int]] = {
    "u8": (Cursor.u8, 1),
    "u16": (Cursor.u16, 2),
    "u32": (Cursor.u32, 4),
    "item_header": (Cursor.item_header, 4),
    "take": (lambda cursor: cursor.take(5), 5),
    "block": (lambda cursor: cursor.block(5), 5),
    "advance": (lambda cursor: cursor.advance(5), 5),
}


@pytest.mark.parametrize("wrap", [bytes, memoryview])
def test_reads_big_endian_integers_and_bytes_in_order(wrap: Callable[[bytes], bytes | memoryview]) -> None:
    cursor = Cursor(wrap(b"\x01\x02\x03\x04\x05\x06\x07abc\x50\xff\x00\x02de"))
    assert cursor.u8() == 0x01
    assert cursor.u16() == 0x0203
    assert cursor.u32() == 0x04050607
    assert cursor.take(3) == b"abc"
    assert cursor.item_header() == (0x50, 2)
    assert cursor.remaining == 2
    assert cursor.rest() == b"de"
    assert cursor.remaining == 0
    assert cursor.rest() == b""


def test_what_is_taken_outlives_the_buffer() -> None:
    buffer = bytearray(b"secret")
    taken = Cursor(memoryview(buffer)).take(6)
    buffer[:] = b"reused"
    assert taken == b"secret"


@pytest.mark.parametrize("name", READS)
def test_reads_to_the_end_and_not_beyond(name: str) -> None:
    read, size = READS[name]
    cursor = Cursor(bytes(size))
    read(cursor)
    assert cursor.remaining == 0
    for length in range(size):
        with pytest.raises(RemoteProtocolError) as caught:
            read(Cursor(bytes(length)))
        assert caught.value.reason is AbortReason.INVALID_PDU_PARAMETER


@pytest.mark.parametrize("name", READS)
def test_a_failed_read_moves_nothing(name: str) -> None:
    read, size = READS[name]
    cursor = Cursor(bytes(size - 1))
    with pytest.raises(RemoteProtocolError, match=f"{size} bytes announced or needed at byte 0, {size - 1} are left"):
        read(cursor)
    assert cursor.remaining == size - 1


def test_a_block_ends_before_its_container_does() -> None:
    cursor = Cursor(b"abcdef")
    with cursor.block(2) as block:
        assert block.take(2) == b"ab"
        with pytest.raises(RemoteProtocolError, match="0 are left"):
            block.u8()
    assert cursor.rest() == b"cdef"


def test_blocks_nest() -> None:
    cursor = Cursor(b"\x04\x02abc!")
    with cursor.block(cursor.u8()) as outer:
        with outer.block(outer.u8()) as inner:
            assert inner.rest() == b"ab"
        assert outer.rest() == b"c"
    assert cursor.rest() == b"!"


def test_an_inner_block_cannot_overrun_the_outer_one() -> None:
    outer = Cursor(b"abcdef").block(3)
    with pytest.raises(RemoteProtocolError):
        outer.block(4)


def test_trailing_bytes_are_an_error_in_a_with_statement() -> None:
    with pytest.raises(RemoteProtocolError, match="1 bytes too many at byte 2"), Cursor(b"abc").block(3) as block:
        block.u16()


def test_trailing_bytes_are_ignored_without_a_with_statement() -> None:
    cursor = Cursor(b"abcd")
    assert cursor.block(3).u8() == ord("a")
    assert cursor.u8() == ord("d")


def test_an_error_inside_a_block_is_not_replaced_by_one_about_trailing_bytes() -> None:
    with pytest.raises(RemoteProtocolError, match="the first"), Cursor(b"abc").block(3):
        raise RemoteProtocolError("the first")


@pytest.mark.parametrize(
    "data, length, fill",
    [
        (b"", 0, True),
        (b"\x51\x00\x00\x00", 4, True),
        (b"\x51\x00\x00\x01a\x52\x00\x00\x00", 9, True),
        (b"\x51\x00\x00\x01a\x52\x00\x00\x00", 5, True),
        (b"\x51\x00\x00\x01a\x52\x00\x00\x00", 8, False),
        (b"\x51\x00\x00\x02a", 5, False),
        (b"\x51\x00\xff\xff", 4, False),
        (b"\x51\x00\x00", 3, False),
    ],
)
def test_knows_whether_items_fill_a_length(data: bytes, length: int, fill: bool) -> None:
    cursor = Cursor(data)
    assert cursor.items_fill(length) is fill
    assert cursor.remaining == len(data)


@given(st.binary(), st.integers(0, 300))
def test_an_item_walk_never_reads_beyond_its_end(data: bytes, length: int) -> None:
    length = min(length, len(data))
    assert Cursor(data).items_fill(length) == Cursor(data[:length]).items_fill(length)


def test_writes_big_endian_integers_and_bytes_in_order() -> None:
    writer = Writer()
    writer.u8(0x01)
    writer.u16(0x0203)
    writer.u32(0x04050607)
    writer.write(b"abc")
    assert writer.data == b"\x01\x02\x03\x04\x05\x06\x07abc"


def test_blocks_put_their_length_in_front() -> None:
    writer = Writer()
    with writer.block32():
        with writer.item(0x50), writer.block16():
            writer.write(b"ab")
        writer.whole_item(0x51, b"c")
    assert writer.data == b"\x00\x00\x00\x0d\x50\x00\x00\x04\x00\x02ab\x51\x00\x00\x01c"


def test_an_empty_block_has_length_zero() -> None:
    writer = Writer()
    with writer.block16():
        pass
    writer.whole_item(0x40, b"")
    assert writer.data == b"\x00\x00\x40\x00\x00\x00"


@pytest.mark.parametrize("name, limit", [("u8", 0xFF), ("u16", 0xFFFF), ("u32", 0xFFFFFFFF)])
def test_writes_only_what_fits_the_field(name: str, limit: int) -> None:
    writer = Writer()
    write: Callable[[int], None] = getattr(writer, name)
    write(0)
    write(limit)
    before = bytes(writer.data)
    for value in (-1, limit + 1):
        with pytest.raises(LocalProtocolError, match=f"{value} does not fit"):
            write(value)
    assert writer.data == before


def test_a_block_of_two_length_bytes_holds_65535_bytes_and_no_more() -> None:
    writer = Writer()
    with writer.block16():
        writer.write(bytes(65535))
    writer.whole_item(0x10, bytes(65535))
    assert writer.data[:2] == b"\xff\xff"
    assert writer.data[65537:65541] == b"\x10\x00\xff\xff"
    with pytest.raises(LocalProtocolError, match="65536 does not fit"), writer.block16():
        writer.write(bytes(65536))
    with pytest.raises(LocalProtocolError, match="65536 does not fit"):
        writer.whole_item(0x10, bytes(65536))


def test_item_types_have_one_byte() -> None:
    with pytest.raises(LocalProtocolError):
        Writer().whole_item(256, b"")
    with pytest.raises(LocalProtocolError):
        Writer().item(256)


def test_an_error_inside_a_block_comes_out_as_it_is() -> None:
    writer = Writer()
    with pytest.raises(LocalProtocolError, match="256 does not fit"), writer.block16():
        writer.u8(256)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=20))
def test_items_written_are_items_read(items: list[tuple[int, bytes]]) -> None:
    writer = Writer()
    for kind, data in items:
        with writer.item(kind):
            writer.write(data)
    cursor = Cursor(bytes(writer.data))
    assert cursor.items_fill(len(writer.data))
    read: list[tuple[int, bytes]] = []
    while cursor.remaining:
        kind, length = cursor.item_header()
        with cursor.block(length) as block:
            read.append((kind, block.rest()))
    assert read == items


@given(st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_integers_are_laid_out_as_struct_does(one: int, two: int, four: int) -> None:
    writer = Writer()
    writer.u8(one)
    writer.u16(two)
    writer.u32(four)
    assert writer.data == struct.pack(">BHL", one, two, four)
    cursor = Cursor(bytes(writer.data))
    assert (cursor.u8(), cursor.u16(), cursor.u32()) == (one, two, four)

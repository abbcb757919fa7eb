"""Command sets of a shape that was seen before: decoded the short way, with nothing else coming out."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.errors import RemoteProtocolError
from dicomio.wire import commands
from dicomio.wire.commands import Command, CommandField, decode, decode_slowly, encode
from dicomio.wire.shapes import MOST_ALIKE, MOST_SHAPES, Place, Shape, Shapes
from tests.wire.test_commands import messages

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(autouse=True)
def no_shapes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """Nothing has been seen before the test."""
    shapes = Shapes()
    monkeypatch.setattr(commands, "SHAPES", shapes)
    return shapes


def store_rq(message_id: int = 1, uid: str = "1.2.3.4") -> Command:
    return Command(
        CommandField.C_STORE_RQ,
        message_id=message_id,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid=uid,
        priority=0,
        has_data_set=True,
    )


def outcome(content: bytes, *, slowly: bool) -> tuple[Command, tuple[str, ...]] | str:
    """What decoding comes to, quirks included, which comparing commands leaves out."""
    try:
        command = decode_slowly(content) if slowly else decode(content)
    except RemoteProtocolError as error:
        return str(error)
    return command, command.quirks


def test_the_second_of_a_kind_is_read_by_its_shape(no_shapes: Shapes) -> None:
    decode(encode(store_rq()))
    assert no_shapes.count == 1
    assert decode(encode(store_rq(2, "1.2.3.9"))) == store_rq(2, "1.2.3.9")
    assert no_shapes.count == 1
    assert no_shapes.read(encode(store_rq(3, "1.2.3.5"))) is not None


@given(st.lists(messages(), min_size=1, max_size=8))
def test_nothing_else_comes_out(sent: list[Command]) -> None:
    for command in (*sent, *sent):
        assert decode(encode(command)) == decode_slowly(encode(command))


@given(messages(), st.data())
def test_a_byte_that_is_different_changes_no_outcome(command: Command, data: st.DataObject) -> None:
    content = encode(command)
    decode(content)
    at = data.draw(st.integers(0, len(content) - 1))
    changed = content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
    assert outcome(changed, slowly=False) == outcome(changed, slowly=True)


def oddities() -> Iterator[bytes]:
    """Command sets as long as a regular one, but for the last."""
    regular = encode(store_rq())
    yield regular.replace(b"1.2.3.4\0", b"1.2.3.4 ")
    yield regular.replace(b"1.2.3.4\0", b"1.2\\3.4\0")
    yield regular.replace(b"\0\0\0\x08\x02\0\0\0\x01\0", b"\0\0\0\x08\x02\0\0\0\x01\x01")
    yield regular[:8] + b"\0\0\0\0" + regular[12:]
    yield regular + b"\0"


@pytest.mark.parametrize(
    "content", list(oddities()), ids=["padded", "two UIDs", "no data set", "group length", "padding"]
)
def test_what_is_odd_is_noted_however_often_it_comes(content: bytes) -> None:
    decode(encode(store_rq()))
    for _ in range(3):
        found = outcome(content, slowly=False)
        assert found[1]
        assert found == outcome(content, slowly=True)


def test_commands_do_not_share_what_can_be_changed() -> None:
    first, second = (decode(encode(store_rq(number))) for number in (1, 2))
    second.unknown[0x1234] = b"12"
    assert first.unknown == {}
    assert decode(encode(store_rq(3))).unknown == {}


def test_shapes_are_bounded(no_shapes: Shapes) -> None:
    for number in range(3 * MOST_SHAPES):
        content = bytes(8 + number)
        no_shapes.add(content, Shape(content, [Place("UI", number, 0)], [None]))
        assert no_shapes.count <= MOST_SHAPES
        assert sum(map(len, no_shapes.by_length.values())) == no_shapes.count


def test_shapes_of_one_length_are_bounded(no_shapes: Shapes) -> None:
    for _ in range(2 * MOST_ALIKE):
        no_shapes.add(bytes(10), Shape(bytes(10), [Place("US", 2, 0)], [None]))
    assert no_shapes.count == MOST_ALIKE

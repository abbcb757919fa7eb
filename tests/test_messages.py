"""Messages out of fragments: whichever way a peer cuts them, and what it must not do."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.errors import AbortReason, RemoteProtocolError
from dicomio.messages import CommandReceived, DataMissing, DataReceived, MessageAssembler, MessageEvent
from dicomio.wire.commands import Command, CommandField, encode
from dicomio.wire.pdata import COMMAND, DATA, LAST

LIMIT = 400
CONTEXTS = (0, 1, 3, 255)

CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid="1.2.840.10008.1.1")
STORE = Command(
    CommandField.C_STORE_RQ,
    message_id=2,
    affected_sop_class_uid=CT,
    affected_sop_instance_uid="1.2.3",
    priority=0,
    has_data_set=True,
)
RESPONSE = Command(CommandField.C_STORE_RSP, responding_to=2, status=0)

UNANNOUNCED = "sent a data set that its command did not announce"
NOT_SENT = "announced a data set and did not send it"

Part = tuple[int, int, bytes]


def assembler(*, strict: bool = False) -> MessageAssembler:
    messages = MessageAssembler(LIMIT, strict=strict, quirks=[])
    messages.contexts = CONTEXTS
    return messages


def feed(messages: MessageAssembler, *parts: Part) -> list[MessageEvent]:
    events: list[MessageEvent] = []
    messages.feed([(context_id, control, memoryview(data)) for context_id, control, data in parts], events)
    return events


def command(message: Command, context_id: int = 1) -> Part:
    return context_id, COMMAND | LAST, encode(message)


def pieces(control: int, data: bytes, *cuts: int) -> list[Part]:
    """One part of a message in fragments, cut at these positions."""
    return [
        (1, control | (LAST if end == len(data) else 0), data[start:end])
        for start, end in pairwise((0, *cuts, len(data)))
    ]


def plain(events: Sequence[MessageEvent]) -> list[object]:
    """Events with the pieces of each data set put together."""
    found: list[object] = []
    data, last = b"", True
    for event in events:
        if isinstance(event, DataReceived):
            data, last = (b"" if last else data) + b"".join(event.chunks), event.last
            if last:
                found.append((event.context_id, data))
        else:
            assert last
            found.append((event.context_id, event.command) if isinstance(event, CommandReceived) else event)
    return found


# what is allowed


@pytest.mark.parametrize("context_id", CONTEXTS)
def test_message_without_a_data_set(context_id: int) -> None:
    messages = assembler()
    assert feed(messages, command(ECHO, context_id)) == [CommandReceived(context_id, ECHO)]
    assert messages.idle
    assert messages.quirks == []


@pytest.mark.parametrize("context_id", CONTEXTS)
def test_message_with_a_data_set(context_id: int) -> None:
    messages = assembler()
    assert feed(messages, command(STORE, context_id)) == [CommandReceived(context_id, STORE)]
    assert not messages.idle
    assert feed(messages, (context_id, DATA, b"da")) == [DataReceived(context_id, [memoryview(b"da")], False)]
    assert not messages.idle
    (event,) = feed(messages, (context_id, DATA, b"ta "), (context_id, DATA | LAST, b"set"))
    assert event == DataReceived(context_id, [memoryview(b"ta "), memoryview(b"set")], True)
    assert messages.idle


def test_command_and_data_set_and_the_next_message_at_once() -> None:
    parts = [command(STORE), (1, DATA, b"da"), (1, DATA | LAST, b"ta"), command(ECHO, 3)]
    assert plain(feed(assembler(), *parts)) == [(1, STORE), (1, b"data"), (3, ECHO)]


def test_command_cut_anywhere() -> None:
    data = encode(STORE)
    for cut in range(1, len(data)):
        first, second = pieces(COMMAND, data, cut)
        messages = assembler()
        assert feed(messages, first) == []
        assert not messages.idle
        assert feed(messages, second) == [CommandReceived(1, STORE)]
    for cuts in combinations(range(1, len(data), 7), 2):
        assert feed(assembler(), *pieces(COMMAND, data, *cuts)) == [CommandReceived(1, STORE)]


def test_command_byte_by_byte_with_empty_fragments_between() -> None:
    messages, events = assembler(), []
    for part in pieces(COMMAND, encode(STORE), *range(1, len(encode(STORE)))):
        events += feed(messages, (1, COMMAND, b""))
        events += feed(messages, part)
    assert events == [CommandReceived(1, STORE)]


def test_empty_last_fragments() -> None:
    parts = [(1, COMMAND, encode(STORE)), (1, COMMAND | LAST, b""), (1, DATA, b"data"), (1, DATA | LAST, b"")]
    assert plain(feed(assembler(), *parts)) == [(1, STORE), (1, b"data")]


def test_empty_fragments_are_not_kept() -> None:
    messages = assembler()
    feed(messages, command(STORE))
    assert feed(messages, *[(1, DATA, b"")] * 1000) == []
    assert not messages.idle
    assert feed(messages, (1, DATA, b""), (1, DATA | LAST, b"data")) == [DataReceived(1, [memoryview(b"data")], True)]


def test_empty_data_set() -> None:
    messages = assembler()
    feed(messages, command(STORE))
    assert feed(messages, (1, DATA | LAST, b"")) == [DataReceived(1, [], True)]
    assert messages.idle


def test_reserved_bits_of_the_message_control_header_are_not_tested() -> None:
    parts = [(1, 0xFC | COMMAND | LAST, encode(STORE)), (1, 0xFC | DATA, b"da"), (1, 0xFC | DATA | LAST, b"ta")]
    assert plain(feed(assembler(), *parts)) == [(1, STORE), (1, b"data")]


def with_data_set_type(message: Command, value: int) -> bytes:
    """An encoded command set with another Command Data Set Type (0000,0800)."""
    head, tail = encode(message).split(b"\0\0\0\x08\2\0\0\0", 1)
    return head + b"\0\0\0\x08\2\0\0\0" + value.to_bytes(2, "little") + tail[2:]


@pytest.mark.parametrize("value", [0x0000, 0x0001, 0x0100, 0x0102, 0xFEFE, 0xFFFF])
def test_any_data_set_type_but_one_announces_a_data_set(value: int) -> None:
    parts = [(1, COMMAND | LAST, with_data_set_type(STORE, value)), (1, DATA | LAST, b"data")]
    messages = assembler(strict=True)
    assert plain(feed(messages, *parts)) == [(1, STORE), (1, b"data")]


@given(st.data())
def test_messages_in_any_fragments(data: st.DataObject) -> None:
    sent = data.draw(st.lists(st.sampled_from([ECHO, RESPONSE, STORE]), min_size=1, max_size=4))
    parts: list[Part] = []
    expected: list[object] = []
    for message in sent:
        content = data.draw(st.binary(max_size=20)) if message.has_data_set else None
        for control, whole in ((COMMAND, encode(message)), (DATA, content)):
            if whole is not None:
                inside = st.integers(0, max(0, len(whole) - 1))
                # a cut at the beginning makes an empty fragment
                parts += pieces(control, whole, *sorted(data.draw(st.lists(inside, max_size=4))) if whole else ())
        expected += [(1, message)] if content is None else [(1, message), (1, content)]
    messages, events = assembler(strict=True), list[MessageEvent]()
    while parts:
        count = data.draw(st.integers(1, len(parts)))
        events += feed(messages, *parts[:count])
        del parts[:count]
    assert plain(events) == expected
    assert messages.idle


# what is tolerated, unless strict


def test_data_set_that_was_announced_and_does_not_come() -> None:
    messages = assembler()
    events = feed(messages, command(STORE), command(ECHO, 3))
    assert events == [CommandReceived(1, STORE), DataMissing(1), CommandReceived(3, ECHO)]
    assert messages.idle
    assert messages.quirks == [NOT_SENT]


def test_data_set_that_does_not_come_before_one_that_does() -> None:
    events = feed(assembler(), command(STORE), command(STORE), (1, DATA | LAST, b"data"))
    assert plain(events) == [(1, STORE), DataMissing(1), (1, STORE), (1, b"data")]


def test_data_set_that_was_not_announced() -> None:
    messages = assembler()
    parts = [command(RESPONSE), (1, DATA, b"da"), (1, DATA | LAST, b"ta"), command(ECHO)]
    assert plain(feed(messages, *parts)) == [(1, RESPONSE), (1, ECHO)]
    assert messages.quirks == [UNANNOUNCED]


@pytest.mark.parametrize("context_id", CONTEXTS)
def test_data_set_before_any_command(context_id: int) -> None:
    messages = assembler()
    assert feed(messages, (context_id, DATA | LAST, b"data")) == []
    assert messages.idle
    assert messages.quirks == [UNANNOUNCED]


def test_quirks_of_a_command_set() -> None:
    messages = assembler()
    odd = encode(ECHO)[12:]
    assert feed(messages, (1, COMMAND | LAST, odd)) == [CommandReceived(1, ECHO)]
    assert messages.quirks == ["Command Group Length (0000,0000) is missing or wrong"]


@pytest.mark.parametrize(
    "parts, reason",
    [
        ([command(STORE), command(ECHO)], AbortReason.UNEXPECTED_PDU_PARAMETER),
        ([command(ECHO), (1, DATA | LAST, b"data")], AbortReason.UNEXPECTED_PDU_PARAMETER),
        ([(1, COMMAND | LAST, encode(ECHO)[12:])], AbortReason.INVALID_PDU_PARAMETER),
    ],
    ids=["data set missing", "data set not announced", "defect of the command set"],
)
def test_strict_refuses(parts: list[Part], reason: AbortReason) -> None:
    messages = assembler(strict=True)
    with pytest.raises(RemoteProtocolError) as caught:
        feed(messages, *parts)
    assert caught.value.reason == reason
    assert messages.quirks == []


def test_quirks_are_bounded_and_noted_once() -> None:
    messages = assembler()
    for number in range(0x2000, 0x2100):
        element = bytes([0, 0]) + number.to_bytes(2, "little") + bytes(4)
        for _ in range(2):
            feed(messages, (1, COMMAND | LAST, encode(ECHO) + element))
    assert len(messages.quirks) == len(set(messages.quirks)) == 64


# what is refused


@pytest.mark.parametrize(
    "parts",
    [
        [(5, COMMAND | LAST, encode(ECHO))],
        [(5, COMMAND, b"")],
        [(5, DATA | LAST, b"data")],
        [(1, COMMAND, encode(ECHO)[:20]), (3, COMMAND | LAST, encode(ECHO)[20:])],
        [(1, COMMAND, b""), (3, COMMAND | LAST, encode(ECHO))],
        [(1, COMMAND, encode(ECHO)[:20]), (1, DATA | LAST, b"data")],
        [(0, COMMAND, encode(ECHO)[:20]), (0, DATA | LAST, b"data")],
        [command(STORE), (3, DATA | LAST, b"data")],
        [command(STORE), (1, DATA, b"da"), (3, DATA | LAST, b"ta")],
        [command(STORE), (1, DATA, b"da"), command(ECHO)],
        [command(STORE), (1, DATA, b"da"), command(ECHO, 3)],
        [command(STORE), (1, DATA, b""), command(ECHO)],
    ],
    ids=[
        "command on a context that was not accepted",
        "empty fragment on a context that was not accepted",
        "data on a context that was not accepted",
        "command begun on one context and continued on another",
        "command begun empty and continued on another context",
        "data in the middle of a command",
        "data in the middle of a command on context 0",
        "data on another context than its command",
        "data continued on another context",
        "command in the middle of a data set",
        "command of another context in the middle of a data set",
        "command after an empty beginning of a data set",
    ],
)
def test_interleaved_and_stray_fragments(parts: list[Part]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        feed(assembler(), *parts)
    assert caught.value.reason == AbortReason.UNEXPECTED_PDU_PARAMETER


def test_nothing_is_accepted_before_contexts_are() -> None:
    messages = MessageAssembler(LIMIT, strict=False, quirks=[])
    with pytest.raises(RemoteProtocolError, match="not accepted"):
        feed(messages, command(ECHO))


def padded_command(size: int) -> bytes:
    """A command set of this length: its last element is an unknown one."""
    plain_one = encode(ECHO)
    fill = size - len(plain_one) - 8
    return plain_one + b"\0\0\0\x20" + fill.to_bytes(4, "little") + bytes(fill)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_length_of_a_command_set_is_limited(count: int) -> None:
    for size in (LIMIT, LIMIT + 2):
        cuts = sorted({size * index // count for index in range(1, count)})
        parts = pieces(COMMAND, padded_command(size), *cuts)
        messages = assembler()
        if size <= LIMIT:
            assert len(feed(messages, *parts)) == 1
        else:
            with pytest.raises(RemoteProtocolError, match="longer than 400 bytes"):
                feed(messages, *parts)
            assert len(messages.command) <= LIMIT


def test_command_set_without_an_end_takes_no_more_than_the_limit() -> None:
    messages = assembler()
    for _ in range(LIMIT // 4):
        feed(messages, (1, COMMAND, b"zero"))
    feed(messages, *[(1, COMMAND, b"")] * 10_000)
    with pytest.raises(RemoteProtocolError, match="longer"):
        feed(messages, (1, COMMAND, b"!"))
    assert len(messages.command) == LIMIT


def test_limit_is_that_of_one_command_set() -> None:
    messages = assembler()
    for _ in range(10):
        assert len(feed(messages, *pieces(COMMAND, padded_command(LIMIT), 100, 200))) == 1


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"garbage", encode(ECHO)[:-1], b"\xff" * 20])
def test_command_set_that_is_none(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        feed(assembler(), (1, COMMAND | LAST, data))
    assert caught.value.reason == AbortReason.INVALID_PDU_PARAMETER


def test_what_precedes_a_refused_fragment_is_delivered() -> None:
    messages, events = assembler(), list[MessageEvent]()
    parts = [command(ECHO), command(STORE), (1, DATA, b"da"), (1, DATA, b"ta"), (3, DATA, b"!")]
    with pytest.raises(RemoteProtocolError):
        messages.feed([(context_id, control, memoryview(data)) for context_id, control, data in parts], events)
    assert events[:2] == [CommandReceived(1, ECHO), CommandReceived(1, STORE)]
    assert events[2:] == [DataReceived(1, [memoryview(b"da"), memoryview(b"ta")], False)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 3, 5]),
            st.integers(0, 255),
            st.sampled_from([b"", b"data", encode(ECHO), encode(STORE), encode(STORE)[:30]]) | st.binary(max_size=12),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_no_fragments_raise_anything_else(parts: list[Part], strict: bool) -> None:
    messages = assembler(strict=strict)
    for part in parts:
        try:
            feed(messages, part)
        except RemoteProtocolError:
            break
    assert len(messages.command) <= LIMIT


MATCH = Command(
    CommandField.C_FIND_RSP, responding_to=1, affected_sop_class_uid="1.2.3", status=0xFF00, has_data_set=True
)
RESPONSES = (
    MATCH,
    replace(MATCH, status=0xFF01),
    replace(MATCH, responding_to=2),
    replace(MATCH, status=0, has_data_set=False),
    RESPONSE,
)


@given(st.lists(st.sampled_from(RESPONSES), max_size=9))
def test_responses_that_come_again_and_others_between(responses: list[Command]) -> None:
    messages = assembler()
    for each in responses:
        data = [(1, DATA | LAST, b"ab")] if each.has_data_set else []
        received, *_ = feed(messages, command(each), *data)
        assert isinstance(received, CommandReceived)
        assert received.command == each


def test_a_response_that_comes_again_is_decoded_once() -> None:
    messages, match = assembler(), (command(MATCH), (1, DATA | LAST, b"ab"))
    (first, _), (second, _) = feed(messages, *match), feed(messages, *match)
    assert isinstance(first, CommandReceived)
    assert isinstance(second, CommandReceived)
    assert first.command is second.command


def test_what_is_odd_about_a_response_is_odd_each_time() -> None:
    messages = assembler(strict=True)
    odd = command(replace(MATCH, unknown={0x00000001: b"ab"}))
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=r"is kept as it is"):
            feed(messages, odd)

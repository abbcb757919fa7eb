"""Associations found in packets: whole, badly transmitted, cut off at the beginning, with holes, and hostile."""

import json
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.captures import Closed, Dissector, Event, Noted, Opened, Packet, Said, event_record, lines_of
from dicomio.captures.packets import ACK, RAW_IP, RST, SYN, Segment
from dicomio.captures.side import DataSet, Message, PDUFrame, Trouble
from dicomio.captures.writing import endpoint
from dicomio.wire import pdus
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message

from .conversation import (
    AC,
    CLIENT,
    DATA,
    ECHO_RQ,
    RQ,
    SERVER,
    TURNS,
    Turns,
    capture_of,
    dissect,
    mangled,
    packets_of,
    segment_packet,
    segments,
)

WHOLE = packets_of(capture_of(TURNS))


def said(events: Sequence[Event], kind: type) -> list[Said]:
    """What was said of one kind."""
    return [event for event in events if isinstance(event, Said) and isinstance(event.what, kind)]


def troubles(events: Sequence[Event]) -> list[str]:
    """What was wrong."""
    return [event.what.text for event in said(events, Trouble) if isinstance(event.what, Trouble)]


def telling(events: Sequence[Event]) -> list[str]:
    """All that was said, without times."""
    return [
        f"{event.sender}: {event.what}".replace(f"time={event.what.time}", "")
        for event in events
        if isinstance(event, Said)
    ]


def messages(events: Sequence[Event]) -> list[str]:
    """The names of all messages."""
    return [event.what.command.name for event in said(events, Message) if isinstance(event.what, Message)]


def dissect_turns(turns: Turns) -> list[Event]:
    """What is found in a conversation."""
    return dissect(packets_of(capture_of(turns)))


def test_all_of_an_association() -> None:
    events = dissect(WHOLE)
    opened, closed = events[0], events[-1]
    assert isinstance(opened, Opened)
    assert opened.association.begun
    assert (opened.association.requestor, opened.association.acceptor) == (CLIENT, SERVER)
    assert isinstance(closed, Closed)
    assert closed.how == "released; the connection was closed"
    frames = [(event.sender, event.what) for event in said(events, PDUFrame)]
    kinds = [(sender[0], frame.kind) for sender, frame in frames if isinstance(frame, PDUFrame)]
    assert kinds == [("r", 1), ("a", 2), ("r", 4), ("a", 4), *[("r", 4)] * 11, ("a", 4), ("r", 5), ("a", 6)]
    assert messages(events) == ["C-ECHO-RQ", "C-ECHO-RSP", "C-STORE-RQ", "C-STORE-RSP"]
    assert troubles(events) == []
    (data_set,) = [event.what for event in said(events, DataSet)]
    assert isinstance(data_set, DataSet)
    assert (data_set.length, data_set.pdus, data_set.complete) == (len(DATA), 10, True)


def test_pdus_have_their_lengths_and_values() -> None:
    frames = [event.what for event in said(dissect(WHOLE), PDUFrame)]
    assert all(isinstance(frame, PDUFrame) for frame in frames)
    whole = b"".join(data for _, data in TURNS)
    assert sum(frame.length + 6 for frame in frames if isinstance(frame, PDUFrame)) == len(whole)
    store = frames[4:15]
    assert [frame.values for frame in store if isinstance(frame, PDUFrame)][:2] == [
        [(3, 3, len(encode(STORE)))],
        [(3, 0, 1_000)],
    ]


STORE = next(event.what.command for event in said(dissect(WHOLE), Message)[2:] if isinstance(event.what, Message))


def test_responses_have_the_time_they_took() -> None:
    taken = [event.after for event in said(dissect(WHOLE), Message)]
    assert taken == [None, 1_000_000, None, 1_000_000]


@given(st.integers())
def test_any_segmentation_reordering_and_duplication_gives_the_same(seed: int) -> None:
    events = dissect(mangled(WHOLE, seed))
    assert telling(events) == telling(dissect(WHOLE))
    assert isinstance(events[-1], Closed)
    assert events[-1].how == "released; the connection was closed"


def test_several_pdvs_in_one_pdu() -> None:
    command = encode(ECHO_RQ)
    values = tuple(pdus.PresentationDataValue(1, control, part) for control, part in ((1, b""), (1, command), (3, b"")))
    events = dissect_turns([*TURNS[:2], (0, pdus.encode(pdus.DataTF(values)))])
    (frame,) = [event.what for event in said(events, PDUFrame)[2:]]
    assert isinstance(frame, PDUFrame)
    assert frame.values == [(1, 1, 0), (1, 1, len(command)), (1, 3, 0)]
    assert messages(events) == ["C-ECHO-RQ"]


# without the beginning


def test_capture_that_begins_in_the_middle() -> None:
    packets = [packet for packet, _ in list(segments(WHOLE))[5:]]
    events = dissect(packets)
    opened = events[0]
    assert isinstance(opened, Opened)
    assert not opened.association.begun
    # Who has the lower port is taken for the acceptor.
    assert opened.association.acceptor == SERVER
    assert messages(events) == ["C-ECHO-RQ", "C-ECHO-RSP", "C-STORE-RQ", "C-STORE-RSP"]
    assert "A-ASSOCIATE-RQ is not in the capture" in "\n".join(line for event in events for line in lines_of(event))


def test_capture_that_begins_in_the_middle_of_a_pdu() -> None:
    packets = packets_of(capture_of([(0, TURNS[4][1][4_321:]), *TURNS[5:]], opened=False))
    events = dissect(packets)
    assert messages(events) == ["C-STORE-RSP"]
    # The rest of the data set belongs to no command that was captured.
    assert said(events, DataSet) == []
    assert troubles(events) == []


def test_capture_of_something_else_is_searched_for_a_while() -> None:
    packets = packets_of(capture_of([(0, bytes(60_000))] * 20, opened=False))
    dissector = Dissector()
    assert dissect(packets, dissector) == []
    assert all(connection.listener is None for connection in dissector.connections.known.values())


def test_only_the_answer_was_captured() -> None:
    events = dissect(packets_of(capture_of(TURNS[1:4], opened=False)))
    assert isinstance(events[0], Opened)
    assert events[0].association.requestor == CLIENT
    assert messages(events) == ["C-ECHO-RQ", "C-ECHO-RSP"]
    assert events[0].association.contexts[3][0] == ""


# holes


def without(packets: Sequence[Packet], number: int, start: int, size: int, chunk: int = 500) -> list[Packet]:
    """The packets, with some bytes missing in one of them, the rest of it cut small."""
    result: list[Packet] = []
    for index, (packet, segment) in enumerate(segments(packets)):
        if index != number:
            result.append(packet)
            continue
        payload = bytes(segment.payload)
        for low, high in ((0, start), (start + size, len(payload))):
            for at in range(low, high, chunk):
                part = payload[at : min(at + chunk, high)]
                result.append(segment_packet(segment, part, segment.sequence + at, ACK, packet.time))
    return result


def test_a_hole_in_a_fragment_costs_the_data_set_only() -> None:
    # The turn with the C-STORE-RQ is the eighth packet, after those that open the connection.
    events = dissect(without(WHOLE, 7, 3_000, 10))
    assert troubles(events) == ["10 bytes are missing in the capture"]
    (data_set,) = [event.what for event in said(events, DataSet)]
    assert isinstance(data_set, DataSet)
    assert (data_set.complete, data_set.length) == (False, len(DATA) - 10)
    assert messages(events)[-1] == "C-STORE-RSP"
    assert len(said(events, PDUFrame)) == len(said(dissect(WHOLE), PDUFrame))


def test_a_hole_over_several_pdus() -> None:
    events = dissect(without(WHOLE, 7, 1_500, 3_000))
    assert "3000 bytes are missing in the capture" in troubles(events)
    assert [event.what.complete for event in said(events, DataSet) if isinstance(event.what, DataSet)] == [False]
    assert messages(events)[-1] == "C-STORE-RSP"
    # The first one whose header was not there is not told of, and those behind it are.
    assert 0 < len(said(dissect(WHOLE), PDUFrame)) - len(said(events, PDUFrame)) <= 5
    assert isinstance(events[-1], Closed)
    assert events[-1].how.startswith("released")


@given(st.integers(0, 7), st.integers(0, 11_000), st.integers(1, 5_000))
def test_holes_anywhere_are_told_of_and_gone_past(turn: int, start: int, size: int) -> None:
    length = len(TURNS[turn][1])
    start %= length
    size = min(size, length - start)
    events = dissect(without(WHOLE, 3 + turn, start, size))
    told = f"{size} bytes are missing in the capture"
    # Nothing comes behind the last byte of a side, so nobody knows that it was there.
    if turn < 6:
        assert told in troubles(events)
    assert isinstance(events[-1], Closed)
    sizes = [event.what.length for event in said(events, DataSet) if isinstance(event.what, DataSet)]
    assert all(each <= len(DATA) for each in sizes)


def test_packets_cut_off_by_the_snapshot_length() -> None:
    packets = [Packet(time, link, data[:1_000]) for time, link, data in WHOLE]
    events = dissect(packets)
    assert messages(events) == ["C-ECHO-RQ", "C-ECHO-RSP", "C-STORE-RQ", "C-STORE-RSP"]
    (text,) = troubles(events)
    assert text.endswith("bytes are missing in the capture")


# ends


@pytest.mark.parametrize(
    "turns, how",
    [
        (TURNS[:4], "neither released nor aborted; the connection was closed"),
        ([*TURNS[:4], (1, pdus.encode(pdus.Abort(2, 1)))], "aborted; the connection was closed"),
        ([TURNS[0], (1, pdus.encode(pdus.AssociateRJ(1, 1, 7)))], "rejected; the connection was closed"),
    ],
)
def test_how_it_ends(turns: Turns, how: str) -> None:
    closed = dissect_turns(turns)[-1]
    assert isinstance(closed, Closed)
    assert closed.how == how


def test_capture_that_ends_before_the_association() -> None:
    events = dissect(packets_of(capture_of([*TURNS[:4], (0, TURNS[4][1][:5_500])], closed=False)))
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert closed.how == "neither released nor aborted; the capture ends before the connection does"
    assert troubles(events) == ["ends in the middle of a PDU"]


def test_reset() -> None:
    packets = packets_of(capture_of(TURNS[:4], closed=False))
    last = list(segments(packets))[-1][1]
    reset = segment_packet(last, b"", last.sequence + last.length, RST, packets[-1].time)
    closed = dissect([*packets, reset])[-1]
    assert isinstance(closed, Closed)
    assert closed.how == "neither released nor aborted; the connection was reset"


def test_ports_that_are_used_again() -> None:
    first = packets_of(capture_of(TURNS[:4], closed=False))
    shifted = []
    for packet, segment in segments(packets_of(capture_of(TURNS))):
        payload = bytes(segment.payload)
        shifted.append(segment_packet(segment, payload, segment.sequence + 777, segment.flags, packet.time))
    events = dissect([*first, *shifted])
    assert [event.association.number for event in events if isinstance(event, Opened)] == [1, 2]
    assert [event.how for event in events if isinstance(event, Closed)] == [
        "neither released nor aborted; the end of the connection is not in the capture; its ports were used again",
        "released; the connection was closed",
    ]


# what else there is


def test_encrypted_connections_are_named() -> None:
    (event,) = dissect_turns([(0, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), (1, b"\x16\x03\x03")])
    assert isinstance(event, Noted)
    assert event.text == (
        "the connection from 10.0.0.1:50104 to 10.0.0.2:11112 is encrypted with TLS: what is said there cannot be told"
    )


def test_other_protocols_are_passed_over_unless_asked_for() -> None:
    packets = packets_of(capture_of([(0, b"GET / HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 200 OK\r\n\r\n")]))
    assert dissect(packets) == []
    (event,) = dissect(packets, Dissector(ports={11_112}))
    assert isinstance(event, Noted)
    assert event.text.endswith("does not begin with an A-ASSOCIATE-RQ")


def test_only_some_ports() -> None:
    assert dissect(WHOLE, Dissector(ports={104})) == []
    assert telling(dissect(WHOLE, Dissector(ports={11_112}))) == telling(dissect(WHOLE))


def test_fragments_and_unknown_packets_are_counted() -> None:
    fragment = Packet(0, RAW_IP, WHOLE[0].data[:6] + b"\x20\0" + WHOLE[0].data[8:])
    events = dissect([fragment, fragment, Packet(0, 147, b"")])
    assert [event.text for event in events if isinstance(event, Noted)] == [
        "left out, 2 times: a fragment of an IP packet: what it carries is missing",
        "left out, 1 times: packets of link type 147, which is not known",
    ]


def test_contexts_that_were_not_accepted_are_named() -> None:
    events = dissect_turns([*TURNS[:2], (0, pack_message(5, encode(ECHO_RQ), None, 1_000))])
    assert troubles(events) == ["uses presentation context 5, which was not accepted"]


def test_what_cannot_be_decoded_is_named() -> None:
    broken = pdus.HEADER.pack(2, 80) + b"\0\1" + bytes(66) + b"\x21\0\xff\xff" + bytes(8)
    events = dissect_turns([TURNS[0], (1, broken), (1, b"\x04\0\0\0\0\x06\0\0\0\x30\1\3"), *TURNS[2:4]])
    first, second = troubles(events)
    assert first.startswith("sent a PDU that cannot be decoded: ")
    assert second == "cannot be followed any more: PDV item length 48 does not fit its PDU"
    assert messages(events) == ["C-ECHO-RQ", "C-ECHO-RSP"]


def test_messages_that_make_no_sense_do_not_end_it() -> None:
    stray = pack_message(1, b"\1\2\3", None, 1_000)
    events = dissect_turns([*TURNS[:2], (0, stray), *TURNS[2:4]])
    assert troubles(events)[0].startswith("sent a message that cannot be followed: ")
    assert messages(events) == ["C-ECHO-RQ", "C-ECHO-RSP"]


@given(st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=300)), max_size=8), st.booleans())
def test_whatever_is_said(turns: list[tuple[int, bytes]], associated: bool) -> None:
    events = dissect_turns([*(TURNS[:2] if associated else []), *turns])
    for event in events:
        json.dumps(event_record(event))
        list(lines_of(event, every_pdu=True))
    assert sum(isinstance(event, Opened) for event in events) == sum(isinstance(event, Closed) for event in events)


@given(st.integers(0, 30_000), st.binary(min_size=1, max_size=20))
def test_whatever_is_changed_in_an_association(at: int, noise: bytes) -> None:
    whole = [bytearray(data) for _, data in TURNS]
    turn = at % len(whole)
    place = at // len(whole) % len(whole[turn])
    whole[turn][place : place + len(noise)] = noise
    dissect_turns([(side, bytes(data)) for (side, _), data in zip(TURNS, whole, strict=True)])


def test_giant_pdus_cost_nothing() -> None:
    head = b"\x04\0\xff\xff\xff\xff\xff\xff\xff\xfb\3\0"
    command = pack_message(3, encode(STORE), None, 1_000)
    giant = packets_of(capture_of([*TURNS[:2], (0, command), (0, head), *[(0, bytes(60_000))] * 50], closed=False))
    tracemalloc.start()
    events = dissect(giant)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    (data_set,) = [event.what for event in said(events, DataSet)]
    assert isinstance(data_set, DataSet)
    assert (data_set.length, data_set.complete) == (3_000_000, False)


def test_giant_associate_requests_are_not_taken_for_such() -> None:
    assert dissect_turns([(0, b"\1\0\xff\xff\xff\xff\0\1" + bytes(60_000))]) == []


def test_many_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.captures.conversations.MOST_CONNECTIONS", 10)
    dissector = Dissector()
    for port in range(1_000, 1_100):
        for packet in packets_of(capture_of(TURNS[:2], endpoint("10.0.0.1", port), SERVER, closed=False)):
            dissector.feed(packet)
        assert len(dissector.connections.known) <= 20
    closed = [event for event in dissector.finish() if isinstance(event, Closed)]
    assert len(closed) == 10


# how it is told


def test_lines() -> None:
    lines = [line for event in dissect(WHOLE) for line in lines_of(event)]
    text = "\n".join(lines)
    assert lines[0] == "association 1: 10.0.0.1:50104 → 10.0.0.2:11112, 2023-11-14T22:13:20.001000000Z"
    assert "→ A-ASSOCIATE-RQ, " in lines[1]
    assert lines[1].endswith(": MODALITY calls ARCHIVE")
    assert "context 3: CTImageStorage in ImplicitVRLittleEndian" in text
    assert "context 3: accepted, ImplicitVRLittleEndian" in text
    assert "user identity, not shown: user name and passcode" in text
    assert "← C-STORE-RSP on context 3 (CTImageStorage): 0xB000 Warning" in text
    assert "data set of C-STORE-RQ 2: 10000 bytes in 10 P-DATA-TF PDUs, ImplicitVRLittleEndian" in text
    assert "P-DATA-TF, " not in text
    assert "context 3, data set, last: 1000 bytes" in "\n".join(
        line for event in dissect(WHOLE) for line in lines_of(event, every_pdu=True)
    )


def test_nothing_secret_is_told() -> None:
    events = dissect(WHOLE)
    text = json.dumps([event_record(event) for event in events]) + str([list(lines_of(event)) for event in events])
    assert "secret" not in text.replace("very secret", "LEAKED")
    assert "LEAKED" not in text
    assert "jane" not in text


def test_records() -> None:
    records = [event_record(event) for event in dissect(WHOLE)]
    assert [record["event"] for record in records[:4]] == ["association", "pdu", "pdu", "pdu"]
    assert {record.get("association") for record in records} == {1}
    rq = records[1]
    assert (rq["type"], rq["sender"], rq["calling_ae_title"]) == ("A-ASSOCIATE-RQ", "requestor", "MODALITY")
    assert [context["id"] for context in rq["contexts"]] == [1, 3]
    response = next(record for record in records if record.get("message") == "C-STORE-RSP" and "status" in record)
    assert (response["status"], response["category"], response["after"]) == ("0xB000", "Warning", 0.001)


def test_times_of_no_year() -> None:
    packets = [packet._replace(time=(1 << 64) * 10**9) for packet in WHOLE]
    assert event_record(dissect(packets)[0])["time"].endswith(" s")


def test_capture_has_what_the_peers_proposed() -> None:
    association = next(event.association for event in dissect(WHOLE) if isinstance(event, Opened))
    assert (association.rq, association.ac) == (RQ, AC)
    assert [association.ae_title(sender) for sender in ("requestor", "acceptor")] == ["MODALITY", "ARCHIVE"]


def test_a_repeated_first_segment_is_no_new_connection() -> None:
    (first, segment), *_ = segments(WHOLE)
    assert isinstance(segment, Segment)
    assert segment.flags == SYN
    events = dissect([first, first, *WHOLE[1:4], first, *WHOLE[4:]])
    assert telling(events) == telling(dissect(WHOLE))

"""What must not cost memory, time or an exception: lengths that lie, other protocols, garbage (PS3.8 9.2, 9.3)."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.config import Limits
from dicomio.errors import AbortReason
from dicomio.machine import State
from dicomio.messages import DataReceived
from dicomio.session import Aborted, UpperLayer
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message
from tests.session.scenes import (
    AC,
    ECHO,
    NOW,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    SITUATIONS,
    STORE,
    UNKNOWN_PDU,
    USER_ABORT,
    bring,
    established,
    plain,
    provider_abort,
    upper_layer,
)
from tests.session.vectors import data_pdu, pdv

ECHO_PDU = pack_message(1, encode(ECHO), None, 1000)
STORE_PDU = pack_message(1, encode(STORE), None, 1000)
MAX_PDU = 16384


def fault(upper: UpperLayer, data: bytes) -> str:
    """The words for what is wrong with these bytes, the only thing that happens."""
    (event,) = upper.receive(data, NOW)
    assert isinstance(event, Aborted)
    assert event.error is not None
    return str(event.error)


@contextmanager
def allocating_at_most(limit: int) -> Iterator[None]:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= limit


# other protocols

FOREIGN = {
    "TLS ClientHello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), "a TLS handshake on a port"),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS alert: it expects TLS"),
    "HTTP GET": (b"GET / HTTP/1.1\r\nHost: archive:104\r\n\r\n", "an HTTP request"),
    "HTTP POST": (b"POST /instances HTTP/1.1\r\n", "an HTTP request"),
    "HTTP HEAD": (b"HEAD / HTTP/1.0\r\n", "an HTTP request"),
    "HTTP PUT": (b"PUT /x HTTP/1.1\r\n", "an HTTP request"),
    "HTTP OPTIONS": (b"OPTIONS * HTTP/1.1\r\n", "an HTTP request"),
    "HTTP response": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP response"),
    "SSH banner": (b"SSH-2.0-OpenSSH_9.6\r\n", "an SSH banner"),
    "zeros": (bytes(50), "PDU type 0x00"),
    "half of a name": (b"G", "PDU type 0x47"),
    "garbage": (b"\xde\xad\xbe\xef" * 5, "PDU type 0xDE"),
}


@pytest.mark.parametrize("data, name", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_protocol_to_an_acceptor(data: bytes, name: str) -> None:
    upper = bring(False, State.Sta2)
    assert name in fault(upper, data)
    # before there is an association the standard has an A-ABORT of the service-user, source 0 (AA-1)
    assert upper.take_output() == USER_ABORT


@pytest.mark.parametrize("data, name", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_protocol_to_a_requestor(data: bytes, name: str) -> None:
    upper = bring(True, State.Sta5)
    assert name in fault(upper, data)
    assert upper.take_output() == provider_abort(AbortReason.UNRECOGNIZED_PDU)


@pytest.mark.parametrize("kind", [0, 8, 9, 0x0F, 0x80, 0xFF])
def test_type_is_looked_at_before_the_rest_of_the_header(kind: int) -> None:
    upper = established(requestor=False)
    assert fault(upper, bytes([kind])) == f"peer sent PDU type 0x{kind:02X}"
    assert upper.take_output() == provider_abort(AbortReason.UNRECOGNIZED_PDU)


# lengths of PDUs other than P-DATA-TF


@pytest.mark.parametrize("state", [State.Sta2, State.Sta6])
@pytest.mark.parametrize("kind", [1, 2])
def test_giant_associate_is_refused_on_its_header(state: State, kind: int) -> None:
    limit = Limits().associate_pdu
    for length in (limit + 1, 0xFFFFFFFF):
        upper = bring(False, state)
        assert upper.receive(bytes([kind, 0]) + length.to_bytes(4, "big")[:3], NOW) == []
        assert fault(upper, length.to_bytes(4, "big")[3:]) == (
            f"PDU type 0x{kind:02X} of {length} bytes; at most {limit} are taken"
        )
        sent = USER_ABORT if state is State.Sta2 else provider_abort(AbortReason.INVALID_PDU_PARAMETER)
        assert upper.take_output() == sent
        assert not upper.partial


def test_announced_length_is_not_allocated() -> None:
    upper = bring(False, State.Sta2)
    with allocating_at_most(20_000):
        upper.receive(b"\1\0" + Limits().associate_pdu.to_bytes(4, "big") + bytes(1000), NOW)
    assert len(upper.partial) == 1006


def test_longest_associate_is_taken() -> None:
    upper = bring(False, State.Sta2)
    filler = Limits().associate_pdu - len(RQ) + 6
    items = b"".join(b"\x77\0\xff\xfc" + bytes(0xFFFC) for _ in range(filler // 0x10000))
    items += b"\x77\0" + (filler - len(items) - 4).to_bytes(2, "big") + bytes(filler - len(items) - 4)
    data = RQ[:2] + Limits().associate_pdu.to_bytes(4, "big") + RQ[6:] + items
    (event,) = plain(upper.receive(data, NOW))
    assert event[0] == "AssociateRequested"


@pytest.mark.parametrize(
    "pdu", [RJ, RELEASE_RQ, RELEASE_RP, USER_ABORT], ids=["RJ", "RELEASE-RQ", "RELEASE-RP", "ABORT"]
)
@pytest.mark.parametrize("length", [0, 1, 3, 1025, 0xFFFFFFFF])
def test_length_of_a_fixed_pdu(pdu: bytes, length: int) -> None:
    upper = established(requestor=True)
    assert fault(upper, pdu[:2] + length.to_bytes(4, "big") + pdu[6 : 6 + length])
    assert upper.take_output() == provider_abort(AbortReason.INVALID_PDU_PARAMETER)


@pytest.mark.parametrize("extra", [1, 2, 1020])
def test_fixed_pdu_with_more_than_it_needs(extra: int) -> None:
    upper = established(requestor=True)
    data = USER_ABORT[:2] + (4 + extra).to_bytes(4, "big") + USER_ABORT[6:] + bytes(extra)
    assert upper.receive(data, NOW) == [Aborted(0, 0)]


@pytest.mark.parametrize("length", [0, 1, 67])
def test_request_that_is_too_short(length: int) -> None:
    upper = bring(False, State.Sta2)
    assert fault(upper, b"\1\0" + length.to_bytes(4, "big") + bytes(length))
    assert upper.take_output() == USER_ABORT


def test_items_are_limited() -> None:
    upper = upper_layer(requestor=False, limits=Limits(items=100))
    upper.connected(NOW)
    items = 101 * b"\x77\0\0\0"
    data = RQ[:2] + (len(RQ) - 6 + len(items)).to_bytes(4, "big") + RQ[6:] + items
    assert fault(upper, data) == "the PDU contains too many items"
    assert upper.take_output() == USER_ABORT


# lengths of P-DATA-TF


@pytest.mark.parametrize("length", range(6))
def test_data_pdu_that_is_too_short(length: int) -> None:
    upper = established(requestor=False)
    assert "no room for a PDV" in fault(upper, b"\4\0\0\0\0" + bytes([length]) + bytes(length))
    assert upper.take_output() == provider_abort(AbortReason.INVALID_PDU_PARAMETER)


@pytest.mark.parametrize("item_length", [0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF])
def test_item_length_that_does_not_fit(item_length: int) -> None:
    upper = established(requestor=False)
    assert "does not fit its PDU" in fault(upper, b"\4\0\0\0\0\x0a" + item_length.to_bytes(4, "big") + b"\1\3data")
    assert upper.take_output() == provider_abort(AbortReason.INVALID_PDU_PARAMETER)


def long_pdus(length: int) -> bytes:
    """A store whose data set is in one PDU of this length, and an echo after it."""
    return STORE_PDU + data_pdu(pdv(2, bytes(length - 6), 1)) + ECHO_PDU


LONG_QUIRK = f"sent a P-DATA-TF longer than the {MAX_PDU} bytes agreed on"


@pytest.mark.parametrize("cut", [0, 100, 1000])
def test_pdu_longer_than_agreed_is_tolerated(cut: int) -> None:
    upper = established(requestor=False)
    data = long_pdus(MAX_PDU + 2)
    events = upper.receive(data[:cut], NOW) + upper.receive(data[cut:], NOW) + upper.receive(data, NOW)
    heard = [("command", 1, STORE), ("data", 1, bytes(MAX_PDU - 4)), ("command", 1, ECHO)]
    assert plain(events) == heard * 2
    assert upper.quirks == [LONG_QUIRK]


def test_pdu_of_the_length_agreed_is_nothing_odd() -> None:
    upper = established(requestor=False, strict=True)
    assert len(plain(upper.receive(long_pdus(MAX_PDU), NOW))) == 3
    assert upper.quirks == []


def test_pdu_longer_than_agreed_is_refused_where_strict() -> None:
    upper = established(requestor=False, strict=True)
    events = plain(upper.receive(long_pdus(MAX_PDU + 2), NOW))
    assert events == [("command", 1, STORE), ("aborted", 2, 5, AbortReason.UNEXPECTED_PDU_PARAMETER)]
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU_PARAMETER)


def test_any_length_may_be_agreed_on() -> None:
    upper = established(requestor=False, strict=True, limits=Limits(max_pdu=0))
    assert len(plain(upper.receive(long_pdus(1_000_000), NOW))) == 3


def test_data_pdu_of_4_gib_takes_no_memory() -> None:
    upper = established(requestor=False)
    upper.receive(STORE_PDU, NOW)
    upper.receive(b"\4\0\xff\xff\xff\xff\xff\xff\xff\xfb\1\2", NOW)
    chunk = bytes(1 << 20)
    received = 0
    with allocating_at_most(20_000):
        while received < 0xFFFFFFF9:
            (event,) = upper.receive(memoryview(chunk)[: 0xFFFFFFF9 - received], NOW)
            assert isinstance(event, DataReceived)
            received += len(event.chunks[0])
            assert event.last == (received == 0xFFFFFFF9)
    assert not upper.mid_message


def test_command_of_4_gib_is_refused_at_its_limit() -> None:
    upper = established(requestor=False)
    assert upper.receive(b"\4\0\xff\xff\xff\xff\xff\xff\xff\xfb\1\1", NOW) == []
    with allocating_at_most(300_000):
        assert upper.receive(bytes(Limits().command_set), NOW) == []
        assert "command set longer" in fault(upper, b"\0")
    assert upper.take_output() == provider_abort(AbortReason.INVALID_PDU_PARAMETER)


def test_endless_empty_fragments_are_not_handed_out() -> None:
    upper = established(requestor=False)
    upper.receive(STORE_PDU, NOW)
    for flood in (data_pdu(pdv(0, b"", 1)) * 2000, data_pdu(*[pdv(0, b"", 1)] * 2000)):
        assert upper.receive(flood, NOW) == []
    assert upper.mid_message


def test_endless_requests_after_an_abort_are_answered_but_not_kept() -> None:
    upper = bring(False, State.Sta13)
    assert upper.receive(RQ * 50, NOW) == []
    assert upper.take_output() == provider_abort(AbortReason.UNEXPECTED_PDU) * 50
    assert upper.partial == b""


# in the middle of a message or not


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", False),
        (ECHO_PDU, False),
        (ECHO_PDU[:1], True),
        (ECHO_PDU[:6], True),
        (ECHO_PDU[:-1], True),
        (STORE_PDU, True),
        (STORE_PDU + data_pdu(pdv(0, b"data", 1)), True),
        (STORE_PDU + data_pdu(pdv(2, b"data", 1)), False),
        (data_pdu(pdv(1, b"", 1)), True),
        (RELEASE_RQ[:3], True),
    ],
)
def test_mid_message(data: bytes, expected: bool) -> None:
    upper = established(requestor=False)
    upper.receive(data, NOW)
    assert upper.mid_message is expected


# anything at all

PIECES: list[bytes] = [RQ, AC, RJ, RELEASE_RQ, RELEASE_RP, USER_ABORT, UNKNOWN_PDU, ECHO_PDU, STORE_PDU, STORE_PDU[:40]]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A PDU with a few bytes changed, most often those of its headers."""
    data = bytearray(draw(st.sampled_from(PIECES)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, 15) | st.integers(0, len(data) - 1))
        data[min(at, len(data) - 1)] = draw(st.sampled_from([0, 1, 2, 3, 4, 0x7F, 0xFF]) | st.integers(0, 255))
    return bytes(data)


noise = st.binary(max_size=30) | st.sampled_from(PIECES) | damaged()


@given(st.sampled_from(SITUATIONS), st.lists(noise, max_size=5), st.booleans())
def test_no_bytes_raise_anything_in_any_state(
    situation: tuple[bool, State], received: list[bytes], strict: bool
) -> None:
    upper = bring(*situation, strict=strict)
    for data in received:
        upper.receive(data, NOW)
    assert len(upper.partial) <= Limits().associate_pdu
    output = upper.take_output()
    assert output == b"" or output[:1] == b"\7"
    upper.connection_lost()
    assert (upper.state, upper.timer) == (State.Sta1, None)


@given(st.sampled_from(SITUATIONS), st.lists(noise, max_size=4), st.data())
def test_noise_is_heard_alike_however_it_is_cut(
    situation: tuple[bool, State], received: list[bytes], data: st.DataObject
) -> None:
    whole, cut = bring(*situation), bring(*situation)
    stream = b"".join(received)
    events = plain(whole.receive(stream, NOW))
    at = data.draw(st.integers(0, len(stream)))
    first = cut.receive(stream[:at], NOW)
    assert plain(first + cut.receive(stream[at:], NOW)) == events
    assert (cut.state, cut.take_output(), cut.timer) == (whole.state, whole.take_output(), whole.timer)

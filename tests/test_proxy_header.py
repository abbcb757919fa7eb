"""The PROXY protocol, version 1 and 2, as bytes that arrive cut anywhere."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio.gate import V1_LONGEST, V2_LONGEST, V2_SIGNATURE, ProxyError, read_proxy_header

V4 = V2_SIGNATURE + bytes([0x21, 0x11]) + struct.pack(">H4s4sHH", 12, bytes([192, 0, 2, 1]), bytes(4), 56324, 104)
V6 = V2_SIGNATURE + bytes([0x21, 0x21]) + struct.pack(">H16s16sHH", 36, bytes(15) + b"\x01", bytes(16), 7, 104)
HEADERS = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 104\r\n", ("192.0.2.1", 56324)),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 4 104\r\n", ("2001:db8::1", 4)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f::1 ::1 1 2\r\n", None),
    (V4, ("192.0.2.1", 56324)),
    (V6, ("::1", 7)),
    # LOCAL: a health check of the balancer
    (V2_SIGNATURE + bytes([0x20, 0x00, 0, 0]), None),
    # an address family that is none of the Internet
    (V2_SIGNATURE + bytes([0x21, 0x31, 0, 4]) + b"path", None),
    # additions behind the addresses
    (V4[:14] + struct.pack(">H", 19) + V4[16:] + b"\x04\x00\x04abcd", ("192.0.2.1", 56324)),
]


@pytest.mark.parametrize("header, expected", HEADERS)
def test_a_header_says_where_a_connection_comes_from(header: bytes, expected: tuple[str, int] | None) -> None:
    assert read_proxy_header(header) == (0, expected)


@pytest.mark.parametrize("header, expected", HEADERS)
def test_never_more_is_asked_for_than_belongs_to_the_header(header: bytes, expected: tuple[str, int] | None) -> None:
    stream, taken = header + b"\x01\x00 what follows", b""
    while True:
        missing, source = read_proxy_header(taken)
        if not missing:
            break
        taken += stream[len(taken) : len(taken) + missing]
    assert (taken, source) == (header, expected)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x01\x00\x00\x00",
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 nowhere 192.0.2.2 56324 104\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 many 104\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 104\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 104\r\n",
        b"PROXY \xff\xfe\r\n",
        b"PROXY " + b"x" * V1_LONGEST,
        V2_SIGNATURE + bytes([0x11, 0x11, 0, 12]) + bytes(12),
        V2_SIGNATURE + bytes([0x2F, 0x11, 0, 12]) + bytes(12),
        V2_SIGNATURE + bytes([0x21, 0x11]) + struct.pack(">H", V2_LONGEST + 1),
        V2_SIGNATURE + bytes([0x21, 0x11, 0, 4]) + bytes(4),
    ],
)
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ProxyError):
        read_proxy_header(junk)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_header_or_refused(data: bytes) -> None:
    try:
        missing, _ = read_proxy_header(data)
    except ProxyError:
        return
    assert 0 <= missing <= V2_LONGEST + 16

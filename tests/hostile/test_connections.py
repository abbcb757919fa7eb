"""Attacks on the way to an association: what is sent instead of an A-ASSOCIATE-RQ, or nothing at all."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import struct

import pytest

import dicomio
from dicomio.sop import CTImageStorage, Verification
from dicomio.wire import pdus
from dicomio.wire.items import PresentationContextRQ, UserInformation
from tests.hostile.conftest import ARTIM, Victim

ABORT_BY_USER = bytes.fromhex("07 00 00000004 00 00 00 00")
UNRECOGNIZED, UNEXPECTED, UNEXPECTED_PARAMETER, INVALID = 1, 2, 5, 6

RQ = pdus.encode(
    pdus.AssociateRQ(
        called_ae_title="VICTIM",
        calling_ae_title="ATTACKER",
        contexts=(
            PresentationContextRQ(1, Verification, ("1.2.840.10008.1.2",)),
            PresentationContextRQ(3, CTImageStorage, ("1.2.840.10008.1.2",)),
        ),
        user=UserInformation(maximum_length=16384, implementation_class_uid="1.2.3"),
    )
)


def provider_abort(reason: int) -> bytes:
    return bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, reason])


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes.fromhex("16030100c8010000c40303") + bytes(100),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 100,
        b"\xff" * 1000,
        pdus.encode(pdus.ReleaseRQ()),
        bytes.fromhex("04 00 00000008 00000004 01 03 0000"),
        bytes.fromhex("01 00 7fffffff") + bytes(5000),
        bytes.fromhex("01 00 00000010") + bytes(16),
    ],
    ids=["http", "tls", "ssh", "zeros", "ones", "release", "p-data", "2 GiB RQ", "empty RQ"],
)
async def test_anything_but_a_request_is_aborted_without_an_association(victim: Victim, sent: bytes) -> None:
    """Table 9-10, Sta2: AA-1, an A-ABORT with source 0, and the connection is closed when ARTIM expires."""
    assert await victim.attack(sent) == ABORT_BY_USER
    assert len(victim.server.associations) == 1


@pytest.mark.parametrize("cut", range(1, len(RQ), 29))
async def test_a_request_that_breaks_off_is_dropped_when_artim_expires(victim: Victim, cut: int) -> None:
    assert await victim.attack(RQ[:cut]) == b""


@pytest.mark.parametrize(
    "sent, reason",
    [
        (b"\x09\x00\x00\x00\x00\x04\x00\x00\x00\x00", UNRECOGNIZED),
        (RQ, UNEXPECTED),
        (pdus.encode(pdus.ReleaseRP()), UNEXPECTED),
        (bytes.fromhex("04 00 00000003 000001"), INVALID),
        (bytes.fromhex("04 00 00000008 000000ff 01 03 0000"), INVALID),
        (bytes.fromhex("04 00 00000008 00000001 01 03 0000"), INVALID),
        (bytes.fromhex("04 00 00000008 00000004 05 03 0000"), UNEXPECTED_PARAMETER),
        (bytes.fromhex("04 00 00000008 00000004 05 02 0000"), UNEXPECTED_PARAMETER),
        (bytes.fromhex("04 00 00000008 00000004 01 03 ffff"), INVALID),
        (bytes.fromhex("05 00 000fffff") + bytes(100), INVALID),
    ],
    ids=[
        "unknown PDU",
        "second RQ",
        "release response",
        "no room for a PDV",
        "PDV longer than its PDU",
        "PDV of length 1",
        "command on a context that was not accepted",
        "data on a context that was not accepted",
        "command that is none",
        "giant release",
    ],
)
async def test_a_violation_is_aborted_with_its_reason(victim: Victim, sent: bytes, reason: int) -> None:
    """Table 9-10, Sta6: AA-8, an A-ABORT with source 2."""
    answer = await victim.attack(RQ, sent)
    assert answer == provider_abort(reason)


async def test_violations_leave_one_line_with_the_peer_and_the_reason(
    victim: Victim, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dicomio"):
        await victim.attack(b"GET / HTTP/1.1\r\n\r\n")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "127.0.0.1" in line
    assert "HTTP" in line


async def test_silent_connections_keep_nobody_out(victim: Victim) -> None:
    """More of them than are allowed: the oldest go, and a proper peer gets in at once."""
    silent = [await asyncio.open_connection("127.0.0.1", victim.server.port) for _ in range(60)]
    address = f"VICTIM@127.0.0.1:{victim.server.port}"
    async with asyncio.timeout(1):
        assert await dicomio.echo(address) < 1
    ends = await asyncio.gather(*(asyncio.wait_for(reader.read(), 5) for reader, _ in silent), return_exceptions=True)
    assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
    for _, writer in silent:
        writer.close()


async def test_a_drip_of_bytes_does_not_put_artim_off(victim: Victim) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", victim.server.port)
    loop = asyncio.get_running_loop()
    started, ended = loop.time(), asyncio.ensure_future(reader.read())
    for byte in RQ[:50]:
        writer.write(bytes([byte]))
        done, _ = await asyncio.wait([ended], timeout=ARTIM / 20)
        if done:
            break
    assert loop.time() - started < ARTIM * 5
    assert ended.done()
    writer.close()


async def test_rejected_and_aborted_connections_leave_nothing_behind(
    victim: Victim, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither objects nor descriptors of bad connections are kept."""
    caplog.set_level(logging.CRITICAL, "dicomio")
    descriptors, before = open_descriptors(), associations()
    for sent in (b"\xff\xff", RQ[:20], RQ + b"\x09\x00"):
        for _ in range(300):
            await abandon(victim, sent)
    while len(victim.server.connections) > 1:
        await asyncio.sleep(0)
    assert not victim.server.half_open
    async with asyncio.timeout(5):
        # The last ones may still be waiting to be accepted.
        while associations() > before or open_descriptors() > descriptors:
            await asyncio.sleep(0)


def associations() -> int:
    """How many there are in memory."""
    gc.collect()
    return sum(isinstance(thing, dicomio.Association) for thing in gc.get_objects())


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def abandon(victim: Victim, sent: bytes) -> None:
    """Sends bytes and goes away without waiting for an answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", victim.server.port)
    writer.write(sent)
    writer.transport.abort()


async def test_a_request_claiming_gigabytes_costs_none(victim: Victim) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, writer = await asyncio.open_connection("127.0.0.1", victim.server.port)
    writer.write(struct.pack(">BxL", 1, 0x7FFFFFFF))
    with contextlib.suppress(ConnectionError):
        for _ in range(50):
            writer.write(bytes(1 << 20))
            await writer.drain()
    writer.transport.abort()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024

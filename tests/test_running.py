"""`Application.run` in a program of its own: on sockets of every kind."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from dicomio import Application, Client, PresentationContext, serve, sop
from dicomio.negotiation import propose
from dicomio.wire.pdus import encode

PROGRAM = """
import socket, sys
from dicomio import Application

Application("APP").run({arguments})
"""
A_ABORT = 7
RELEASE_RQ = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"

# Starts a program that runs an application with these arguments; returns what it says when it listens.
Start: TypeAlias = Callable[[str], str]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(arguments: str) -> str:
            command = [sys.executable, "-c", PROGRAM.format(arguments=arguments)]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            stack.callback(process.send_signal, signal.SIGTERM)
            assert process.stderr is not None
            return process.stderr.readline()

        yield begin


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def padded_with_nul() -> bytes:
    """An A-ASSOCIATE-RQ whose AE titles are padded with what they should not be, which is tolerated by default."""
    contexts = [PresentationContext(sop.Verification)]
    pdu = bytes(encode(propose(called="APP", calling="ODD", contexts=contexts, maximum_length=16384)))
    return pdu[:10] + pdu[10:42].replace(b" ", b"\0") + pdu[42:]


@pytest.mark.parametrize("strict", [False, True])
async def test_deviations_are_refused_where_it_is_strict(start: Start, strict: bool) -> None:
    port = free_port()
    assert start(f"'127.0.0.1', {port}, strict={strict}") == f"APP is listening on 127.0.0.1:{port}\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(padded_with_nul())
    assert ((await reader.readexactly(10))[0] == A_ABORT) is strict
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_socket_that_is_open_already(start: Start, workers: int) -> None:
    port = free_port()
    said = start(f"sock=socket.create_server(('127.0.0.1', {port})), workers={workers}")
    assert said == f"APP is listening on 127.0.0.1:{port}\n"
    async with Client(f"APP@127.0.0.1:{port}") as client:
        assert await client.echo() > 0


async def test_the_path_of_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "dicom.sock"
    assert start(f"path={str(path)!r}") == "APP is listening on a Unix socket\n"
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(RELEASE_RQ)
    assert (await reader.readexactly(10))[0] == A_ABORT
    writer.close()
    await writer.wait_closed()


def test_processes_cannot_bind_one_path() -> None:
    with pytest.raises(ValueError, match="2 workers cannot share the path /run/dicom"):
        Application("APP").run(path="/run/dicom", workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_in_use_is_named(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"in use by another program: 'port {port} of 127\.0\.0\.1'"):
            Application("APP").run("127.0.0.1", port, workers=workers)


async def test_where_nobody_can_listen_is_named() -> None:
    # Addresses for documentation (RFC 5737); the words are Python's own where it tries all of them.
    with pytest.raises(OSError, match=r"203\.0\.113\.1.*203\.0\.113\.2"):
        await serve(Application("APP"), ["203.0.113.1", "203.0.113.2"])

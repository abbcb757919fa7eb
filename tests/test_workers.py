"""Several processes on one port."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomio import Client, ConnectFailed, DicomError, query
from dicomio.workers import reserve_port

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from dicomio import STUDY_ROOT, Application

app = Application("APP")
pids, directory = Path(sys.argv[1]) / "pids", Path(sys.argv[1])

@app.echo()
async def echo(request):
    with (pids / str(os.getpid())).open("a") as file:
        file.write("x")

@app.find(STUDY_ROOT)
async def find(request):
    (directory / "asked").touch()
    while not (directory / "finish").exists():
        await asyncio.sleep(0.01)
    return []

app.run("127.0.0.1", int(sys.argv[2]), workers=2)
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Supervised:
    """A supervisor with two workers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pid_files = directory / "pids"
        self.pid_files.mkdir()
        self.port = free_port()
        command = [sys.executable, "-c", PROGRAM, str(directory), str(self.port)]
        # In a group of its own, as a program in a terminal is.
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stderr is not None
        assert "listening" in self.process.stderr.readline()

    def pids(self) -> set[int]:
        """The workers that have answered."""
        return {int(path.name) for path in self.pid_files.iterdir()}

    async def echo(self) -> None:
        async with Client(f"APP@127.0.0.1:{self.port}") as client:
            await client.echo()

    async def refuses(self) -> None:
        """Echoes until nobody listens any more; the test's own timeout ends it where that never comes."""
        while True:
            try:
                await self.echo()
            except ConnectFailed:
                return
            except DicomError:
                continue

    async def seen(self, count: int) -> set[int]:
        """Echoes until so many workers have answered; each connection meets one of them by chance."""
        deadline = time.monotonic() + 20
        while len(self.pids()) < count and time.monotonic() < deadline:
            try:
                await self.echo()
            except OSError:
                continue
        return self.pids()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    found = Supervised(tmp_path)
    yield found
    if found.process.poll() is None:
        found.process.send_signal(signal.SIGTERM)
        found.process.wait(20)
    assert found.process.stderr is not None
    found.process.stderr.close()


# Takes a second: three interpreters are started.
async def test_workers_share_a_port_are_replaced_and_end_together(supervised: Supervised) -> None:
    first = await supervised.seen(2)
    assert len(first) == 2
    os.kill(min(first), signal.SIGKILL)
    assert len(await supervised.seen(3)) == 3
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.process.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        await supervised.echo()


async def test_it_says_that_it_listens_when_all_do(supervised: Supervised) -> None:
    for _ in range(20):
        await supervised.echo()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_whole_group_lets_requests_finish(supervised: Supervised, number: int) -> None:
    """That of a terminal, and of systemd; each worker gets it twice, the second time from the supervisor."""
    async with Client(f"APP@127.0.0.1:{supervised.port}") as client:
        matches = asyncio.ensure_future(client.find(query("STUDY", StudyInstanceUID="")))
        while not (supervised.directory / "asked").exists():
            await asyncio.sleep(0.01)
        os.killpg(supervised.process.pid, number)
        await supervised.refuses()
        (supervised.directory / "finish").touch()
        assert await matches == []
    assert supervised.process.wait(20) == 0
    assert supervised.process.stderr is not None
    assert "Traceback" not in supervised.process.stderr.read()


async def test_workers_end_when_their_supervisor_is_killed(supervised: Supervised) -> None:
    await supervised.seen(2)
    supervised.process.kill()
    supervised.process.wait(20)
    # Neither serves on as an orphan, with the port in its hands.
    await supervised.refuses()


def test_a_port_can_be_reserved_more_than_once_and_is_not_listened_on() -> None:
    holder, (host, port) = reserve_port("127.0.0.1", 0)
    with holder:
        second, again = reserve_port("127.0.0.1", port)
        with second:
            assert again == (host, port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), timeout=1)


def test_a_port_that_somebody_else_has_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            reserve_port("127.0.0.1", other.getsockname()[1])

"""Connections spread over several processes."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import trustme

from dicomio import Association, AssociationRejected, DicomError, connect, sop
from dicomio.places import MOST_WAITING, Board

# Each process notes in a file of its own how many echoes it has answered.
PROGRAM = """
import os, sys
from pathlib import Path
from dicomio import Application, Limits, tls

app = Application("APP")
directory, port, workers, limit, certificate, *proxies = sys.argv[1:]

@app.echo()
async def echo(request):
    with Path(directory, str(os.getpid())).open("a") as file:
        file.write("x")

app.run(
    "127.0.0.1",
    int(port),
    workers=int(workers),
    limits=Limits(associations=int(limit)),
    ssl=tls.server_context(certificate) if certificate else None,
    proxies=proxies,
)
"""
MOST = 1000


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Workers:
    """Several processes on one port."""

    def __init__(self, directory: Path, count: int, limit: int, certificate: str, *proxies: str) -> None:
        self.directory = directory
        self.count = count
        self.port = free_port()
        self.context: ssl.SSLContext | None = None
        words = [str(directory), str(self.port), str(count), str(limit), certificate, *proxies]
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        assert "listening" in self.process.stderr.readline()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=20)
        assert "Traceback" not in said

    def answered(self) -> dict[int, int]:
        """How many echoes each process has answered."""
        return {int(path.name): path.stat().st_size for path in self.directory.iterdir() if path.name.isdigit()}

    @asynccontextmanager
    async def associations(self, count: int, at_once: int = 1) -> AsyncIterator[list[Association]]:
        """Opens so many, each of which has been answered an echo, and keeps them for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            turns = asyncio.Semaphore(at_once)
            opened = await asyncio.gather(*(self.open(turns) for _ in range(count)))
            for association in opened:
                stack.push_async_callback(leave, association)
            yield list(opened)

    async def open(self, turns: asyncio.Semaphore) -> Association:
        async with turns:
            address = f"APP@127.0.0.1:{self.port}"
            association = await connect(address, contexts=[sop.Verification], ssl=self.context)
            await association.echo()
            return association

    async def shares(self, count: int, at_once: int = 1) -> list[int]:
        """How many of so many associations that are open together each process has, the least first."""
        before = self.answered()
        async with self.associations(count, at_once):
            return self.since(before)

    def since(self, before: dict[int, int]) -> list[int]:
        """How many echoes each process has answered meanwhile, the least first."""
        return sorted(number - before.get(pid, 0) for pid, number in self.answered().items())


async def leave(association: Association) -> None:
    with suppress(DicomError):
        await association.release()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    found: list[Workers] = []

    def begin(count: int, *proxies: str, limit: int = MOST, certificate: str = "") -> Workers:
        found.append(Workers(tmp_path, count, limit, certificate, *proxies))
        return found[-1]

    yield begin
    for each in found:
        each.stop()


Start = Callable[..., Workers]


@pytest.mark.parametrize("count", [2, 3])
async def test_associations_are_spread_evenly(start: Start, count: int) -> None:
    shares = await start(count).shares(100)
    assert len(shares) == count
    assert sum(shares) == 100
    assert shares[-1] - shares[0] <= 1


async def test_associations_that_come_at_once_are_spread_evenly(start: Start) -> None:
    shares = await start(2).shares(100, at_once=100)
    assert sum(shares) == 100
    assert shares[-1] <= 1.2 * shares[0]


async def test_those_that_are_over_do_not_count(start: Start) -> None:
    workers = start(2)
    before = workers.answered()
    async with AsyncExitStack() as stack:
        for _ in range(20):
            # Of each ten one stays.
            await stack.enter_async_context(workers.associations(1))
            async with workers.associations(9):
                pass
        spread = workers.since(before)
        held = await workers.shares(80)
    assert sum(spread) == 200
    assert held[-1] - held[0] <= 2


async def test_a_process_that_takes_the_place_of_a_dead_one_gets_as_many_as_the_others(start: Start) -> None:
    workers = start(2)
    async with workers.associations(40):
        first = set(workers.answered())
        os.kill(min(first), signal.SIGKILL)
        while len(workers.answered()) < 3:
            with suppress(OSError, DicomError):
                async with workers.associations(1):
                    pass
        # The survivor has 20 of its own.
        before = workers.answered()
        async with workers.associations(60):
            added = {pid: number - before[pid] for pid, number in workers.answered().items()}
    (survivor,) = first - {min(first)}
    (successor,) = set(added) - first
    assert abs(added[survivor] - 20) <= 1
    assert abs(added[successor] - 40) <= 1


async def test_a_process_that_does_not_respond_gets_only_what_the_system_gives_to_it(start: Start) -> None:
    workers = start(2)
    async with workers.associations(2):
        stopped = min(workers.answered())
    os.kill(stopped, signal.SIGSTOP)
    try:
        before = workers.answered()
        attempts = [asyncio.ensure_future(workers.open(asyncio.Semaphore())) for _ in range(4 * MOST_WAITING)]
        # Those for the one that responds do not wait for the other.
        while sum(workers.since(before)) < MOST_WAITING // 2:
            await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
    finally:
        os.kill(stopped, signal.SIGCONT)
    opened = await asyncio.gather(*attempts)
    assert sum(workers.since(before)) == len(opened)
    for association in opened:
        await leave(association)


async def test_the_limit_of_associations_is_that_of_all_processes(start: Start) -> None:
    workers = start(2, limit=5)
    async with workers.associations(5):
        for _ in range(4):
            with pytest.raises(AssociationRejected, match="limit"):
                await workers.open(asyncio.Semaphore())
    async with workers.associations(5) as again:
        assert len(again) == 5


async def test_tls_begins_in_the_process_that_a_connection_was_passed_to(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    workers = start(2, certificate=str(tmp_path / "own.pem"))
    workers.context = ssl.create_default_context()
    authority.configure_trust(workers.context)
    shares = await workers.shares(10)
    assert shares == [5, 5]


async def test_a_balancer_is_believed_by_the_process_that_a_connection_was_passed_to(start: Start) -> None:
    workers = start(2, "127.0.0.0/8")
    opened = []
    for number in range(6):
        reader, writer = await asyncio.open_connection("127.0.0.1", workers.port)
        writer.write(b"PROXY TCP4 192.0.2.%d 192.0.2.200 56324 104\r\n" % number)
        # No PDU at all, which is answered with A-ABORT (PS3.8 9.2) once the header has been taken away.
        writer.write(b"\x09\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        opened.append((await reader.readexactly(10))[0])
        writer.close()
        await writer.wait_closed()
    assert opened == [7] * 6


# One process that plays several.


@pytest.fixture
def board() -> Iterator[Board]:
    with closing(Board(3)) as found:
        for place in found.places:
            place.enter()
        yield found


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    near, far = socket.socketpair()
    with near, far:
        yield near


def test_who_has_fewest_keeps_what_it_accepts(board: Board, connection: socket.socket) -> None:
    first, second, _ = board.places
    second.count(1)
    assert not first.pass_on(connection)
    assert connection.fileno() >= 0


def test_it_goes_to_who_has_fewest(board: Board) -> None:
    first, second, third = board.places
    first.count(3)
    second.count(1)
    near, far = socket.socketpair()
    with near, far:
        assert first.pass_on(near)
        assert near.fileno() < 0
        far.send(b"for whoever has it")
        assert (board.waiting(third.number), board.load(third.number)) == (1, 1)
        taken = third.take()
        assert taken is not None
        with taken:
            assert taken.recv(100) == b"for whoever has it"
            assert board.waiting(third.number) == 0
            assert not os.get_inheritable(taken.fileno())
    with pytest.raises(BlockingIOError):
        second.take()


def test_what_is_on_its_way_counts(board: Board) -> None:
    first, *_ = board.places
    first.count(10)
    pairs = [socket.socketpair() for _ in range(4)]
    for near, far in pairs:
        assert first.pass_on(near)
        far.close()
    assert [board.load(number) for number in range(3)] == [10, 2, 2]


def test_who_does_not_serve_gets_nothing(board: Board, connection: socket.socket) -> None:
    first, second, third = board.places
    first.count(10)
    second.leave()
    third.clear()
    assert not first.pass_on(connection)


def test_what_nobody_takes_is_dropped(board: Board) -> None:
    first, second, third = board.places
    first.count(2)
    third.count(2)
    near, far = socket.socketpair()
    with far:
        assert first.pass_on(near)
        second.sweep()
        assert far.recv(1) == b""
    assert board.waiting(second.number) == 0


def test_who_does_not_take_gets_no_more(board: Board, connection: socket.socket) -> None:
    first, second, third = board.places
    first.count(10 * MOST_WAITING)
    third.clear()
    for _ in range(MOST_WAITING):
        near, far = socket.socketpair()
        far.close()
        assert first.pass_on(near)
    assert not first.pass_on(connection)
    second.sweep()
    assert first.pass_on(connection)


def test_it_is_kept_where_it_cannot_be_passed_on(board: Board, connection: socket.socket) -> None:
    first, second, third = board.places
    first.count(1)
    third.count(1)
    board.inboxes[second.number][1].close()
    assert not first.pass_on(connection)
    assert connection.fileno() >= 0
    assert board.waiting(second.number) == 0


def test_a_count_that_died_with_its_process_is_put_right_by_the_next_connection(board: Board) -> None:
    first, second, third = board.places
    first.count(5)
    third.count(5)
    board.passed[second.number][first.number] += 1
    assert board.waiting(second.number) == 1
    near, far = socket.socketpair()
    far.close()
    assert first.pass_on(near)
    second.sweep()
    assert board.waiting(second.number) == 0


def test_the_limit_is_for_all(board: Board) -> None:
    first, second, _ = board.places
    assert first.admits(2, 3)
    assert second.admits(1, 3)
    assert not second.admits(2, 3)
    second.tell(0)
    assert first.admits(3, 3)
    first.clear()
    assert second.admits(3, 3)

"""Runs the command in this process, against receivers in threads of their own."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomio import Application, Limits, Server, serve
from dicomio.cli import main
from dicomio.cli.command import parse
from dicomio.cli.options import TOOLS
from dicomio.cli.output import Output
from dicomio.cli.storescp import StoreSCP
from dicomio.datasets import encode, file_header
from dicomio.sop import ImplicitVRLittleEndian

DATA = Path(pydicom.__file__).parent / "data" / "test_files"
STORESCP = next(tool for tool in TOOLS if tool.name == "storescp")


class Ran(NamedTuple):
    """What a run of the command came to."""

    code: int
    out: str
    err: str


Tool: TypeAlias = Callable[..., Ran]


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str]) -> Tool:
    """Runs `dicomio` with arguments."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Ran(code, *capsys.readouterr())

    return run


def command(*words: object) -> Ran:
    """Runs `python -m dicomio` with arguments in a process of its own."""
    argv = [sys.executable, "-m", "dicomio", *map(str, words)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Finds a file that ships with pydicom."""
    return DATA.joinpath


@dataclass
class Receiver:
    """A receiver that runs in a thread.

    Attributes:
        port: where it listens.
        inbox: where it writes.
        ended: why each association ended, in order.
        contexts: accepted presentation contexts of each association: SOP class and transfer syntax.
    """

    port: int
    inbox: Path
    ended: list[Exception | None]
    contexts: list[set[tuple[str, str]]]
    close: Callable[[], None]

    @property
    def files(self) -> list[Path]:
        """What it has written, in order of name."""
        return sorted(path for path in self.inbox.rglob("*") if path.is_file())


@contextmanager
def serving(app: Application, limits: Limits | None = None) -> Iterator[tuple[Server, Callable[[], None]]]:
    """Serves an application in a thread, on a free port."""
    ready = threading.Event()
    started: list[tuple[Server, Callable[[], None]]] = []

    async def run() -> None:
        stop = asyncio.Event()
        async with serve(app, "127.0.0.1", 0, limits=limits, timeout=5) as server:
            loop = asyncio.get_running_loop()

            def end() -> None:
                loop.call_soon_threadsafe(stop.set)

            started.append((server, end))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    server, stop = started[0]

    def close() -> None:
        if thread.is_alive():
            stop()
            thread.join()

    try:
        yield server, close
    finally:
        close()


@contextmanager
def receiving(inbox: Path, *options: object) -> Iterator[Receiver]:
    """Runs `storescp` in a thread, without its signal handling."""
    args = parse(STORESCP, [*map(str, options), "-od", str(inbox)])
    app = StoreSCP(args, Output(STORESCP, args.log_level, json=args.json)).application()
    ended: list[Exception | None] = []
    contexts: list[set[tuple[str, str]]] = []

    @app.on_close
    async def close(association: Any) -> None:
        ended.append(association.ended)
        contexts.append({(each.abstract_syntax, each.transfer_syntax) for each in association.contexts.values()})

    with serving(app, Limits(associations=args.max_associations)) as (server, stop):
        yield Receiver(server.port, inbox, ended, contexts, stop)


Receive: TypeAlias = Callable[..., Receiver]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receive]:
    """Starts `storescp` with options; it ends with the test, or with `close()`."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(receiving(tmp_path / "inbox", *options))


@contextmanager
def saying(answer: bytes) -> Iterator[int]:
    """A peer that says something to whoever connects, without listening, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []

        def accept() -> None:
            connection, _ = listener.accept()
            connections.append(connection)
            connection.sendall(answer)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()
        for connection in connections:
            connection.close()


@pytest.fixture
def peer_saying() -> Callable[[bytes], AbstractContextManager[int]]:
    """Starts a peer that says something to whoever connects; the context is its port."""
    return saying


def interrupt() -> None:
    """Does to this process what Ctrl-C does; the main thread, in which the command runs, gets to know of it."""
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGINT)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def header_of(transfer_syntax: str) -> bytes:
    """What a query file begins with."""
    return file_header(
        sop_class_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        transfer_syntax=transfer_syntax,
        implementation_class_uid="1.2",
        implementation_version_name="",
    )


def write_query(path: Path, identifier: Dataset) -> Path:
    """A query file."""
    path.write_bytes(header_of(ImplicitVRLittleEndian) + encode(identifier, ImplicitVRLittleEndian))
    return path


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that is asked to shut down is given up at once where it goes on."""
    monkeypatch.setattr("dicomio.cli.termscu.GRACE", 0.2)

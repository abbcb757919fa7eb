"""Starting other people's programs, knowing when they listen, and ending them."""

import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import pytest

from tests.interop.forked import Forked

__all__ = [
    "DCMJS_DIRECTORY",
    "PIXELMED_JAR",
    "RUN_PYNETDICOM",
    "SYSTEM_PYTHON",
    "PeerFailedError",
    "Running",
    "ScuResult",
    "do_without",
    "free_port",
    "free_ports",
    "listening_ports",
    "program",
    "require",
    "run",
    "run_ours",
    "running",
    "running_ours",
    "wait_for",
    "wait_for_listener",
    "wait_until_listening",
]

T = TypeVar("T")

DCMJS_DIRECTORY = Path(__file__).parent / "node"
PIXELMED_JAR = Path("/usr/share/java/pixelmed.jar")
# Runs a program of pynetdicom, or a script made with it.
RUN_PYNETDICOM: Sequence[str | Path] = [sys.executable, Path(__file__).parent / "pynetdicom_steady.py"]
SYSTEM_PYTHON = Path("/usr/bin/python3")

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_RUN_SECONDS = 50.0
_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.02
_TCP_LISTEN = "0A"


class Running(Protocol):
    """A process, as `subprocess.Popen` has it."""

    @property
    def args(self) -> object: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class PeerFailedError(Exception):
    """A peer ended, or did not listen in time; the message has its log."""


@dataclass(frozen=True, slots=True)
class ScuResult:
    """What came of running a peer as SCU.

    Attributes:
        code: 0 if everything it was asked to do succeeded. Some programs exit with 0 or crash whatever happened:
            their output has been judged instead.
        output: standard output and standard error, as they came.
    """

    code: int
    output: str


def program(name: str) -> str | None:
    """Find a program; servers are installed where an ordinary user's PATH does not lead."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


@functools.cache
def _odil_is_importable() -> bool:
    if not SYSTEM_PYTHON.exists() or program("odil") is None:
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", "import odil"], capture_output=True, check=False).returncode == 0


_PRESENT: Mapping[str, Callable[[], bool]] = {
    "ctn": lambda: program("simple_storage") is not None,
    "dcmjs": lambda: program("node") is not None and (DCMJS_DIRECTORY / "node_modules" / "dcmjs-dimse").is_dir(),
    "dcmtk": lambda: program("storescp") is not None,
    "fish": lambda: program("fish") is not None,
    "gdcm": lambda: program("gdcmscu") is not None,
    "odil": _odil_is_importable,
    "orthanc": lambda: program("Orthanc") is not None,
    "pixelmed": lambda: program("java") is not None and PIXELMED_JAR.exists(),
    "pynetdicom": lambda: importlib.util.find_spec("pynetdicom") is not None,
    "tshark": lambda: program("tshark") is not None and program("dumpcap") is not None,
    "zsh": lambda: program("zsh") is not None,
}


def require(name: str) -> None:
    """Skip the test if a peer is not installed, or fail it when DICOMIO_REQUIRE_PEERS is 1."""
    if _PRESENT[name]():
        return
    do_without(f"{name} is not installed")


def do_without(reason: str) -> NoReturn:
    """Skip the test for what this machine lacks, or fail it when DICOMIO_REQUIRE_PEERS is 1."""
    if os.environ.get("DICOMIO_REQUIRE_PEERS") == "1":
        pytest.fail(f"{reason}, and DICOMIO_REQUIRE_PEERS=1")
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses at the moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return several ports of the loopback interface that nobody uses at the moment."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def listening_ports() -> set[int]:
    """Return the ports on which any process listens, from the kernel's tables."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == _TCP_LISTEN:
                ports.add(int(local.rpartition(":")[2], 16))
    return ports


def wait_for(look: Callable[[], T], suffices: Callable[[T], bool]) -> T:
    """Look again and again until another process has done what it is about to do, and return what is seen then.

    Raises:
        PeerFailedError: It took too long; the message has what was seen last.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not suffices(seen := look()):
        if time.monotonic() > deadline:
            raise PeerFailedError(f"nothing more has come than {seen}")
        time.sleep(_POLL_SECONDS)
    return seen


def wait_for_listener(port: int) -> None:
    """Wait until somebody listens on a port, without connecting.

    Raises:
        PeerFailedError: It took too long.
    """
    wait_for(listening_ports, lambda ports: port in ports)


def wait_until_listening(process: Running, ports: Sequence[int], log: Path) -> None:
    """Wait for a process to listen, without connecting: a bare connection disturbs several of the peers.

    Raises:
        PeerFailedError: The process ended, or took too long.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not listening_ports().issuperset(ports):
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_POLL_SECONDS)
            raise PeerFailedError(f"{process.args!r} ended with code {code}:\n{log.read_text(errors='replace')}")
        if time.monotonic() > deadline:
            raise PeerFailedError(f"{process.args!r} does not listen:\n{log.read_text(errors='replace')}")


@contextmanager
def running(
    argv: Sequence[str | Path], ports: Sequence[int], log: Path, directory: Path, patience: float = _STOP_SECONDS
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in `directory` until the block is left; the block is entered once it listens.

    It is killed if it does not end within `patience` seconds of being asked to.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    with _stopping(process, patience):
        wait_until_listening(process, ports, log)
        yield process


@contextmanager
def running_ours(args: Sequence[str], ports: Sequence[int], log: Path, directory: Path) -> Iterator[Running]:
    """Run `dicomio` as a server, in the same way; only one thread of a test may do so."""
    process = Forked(args, directory, log)
    with _stopping(process, _STOP_SECONDS):
        wait_until_listening(process, ports, log)
        yield process


@contextmanager
def _stopping(process: Running, patience: float) -> Iterator[None]:
    try:
        yield
    finally:
        _stop(process, patience)


def _stop(process: Running, patience: float) -> None:
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(argv: Sequence[str | Path], directory: Path | None = None, given: str = "") -> ScuResult:
    """Run a program to its end, with `given` as its standard input."""
    try:
        done = subprocess.run(
            argv,
            cwd=directory,
            input=given.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode(errors="replace")
        raise PeerFailedError(f"{argv!r} did not end within {_RUN_SECONDS:g} s:\n{output}") from expired
    return ScuResult(done.returncode, done.stdout.decode(errors="replace"))


def run_ours(args: Sequence[str], log: Path, directory: Path) -> ScuResult:
    """Run `dicomio` to its end, in the same way; only one thread of a test may do so."""
    process = Forked(args, directory, log)
    try:
        code = process.wait(_RUN_SECONDS)
    except subprocess.TimeoutExpired as expired:
        process.kill()
        raise PeerFailedError(f"{args!r} did not end within {_RUN_SECONDS:g} s:\n{log.read_text()}") from expired
    return ScuResult(code, log.read_text(errors="replace"))

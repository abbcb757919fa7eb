"""Processes that cells start: each is ended by its own id, and none gets for ever."""

import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = [
    "ROOT",
    "Failure",
    "Server",
    "Spent",
    "announced",
    "environment_with",
    "free_port",
    "log_of",
    "program_report",
    "report_of",
    "spent_by",
    "start",
    "start_announcing",
    "start_module",
    "start_probed",
    "timed",
]

# Where `python -m benchmarks.programs.…` finds this package and dicomio.
ROOT: Final = Path(__file__).resolve().parent.parent
START_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
RUN_SECONDS: Final = 300.0
LOG_LINES: Final = 5


class Failure(Exception):
    """Something did not do what was to be measured."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What something took.

    Attributes:
        seconds: of wall-clock time.
        cpu: seconds of processor time, user and system.
    """

    seconds: float
    cpu: float


@dataclass(slots=True)
class Server:
    """A process that stays until it is stopped.

    Attributes:
        name: for messages.
        process: the process.
        log: the file with what it writes to standard error.
        port: the port of the loopback interface it listens on, if it does.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        """Raises `Failure` where the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise Failure(f"{self.name} ended with code {code}: {tail(self.log)}")

    def say(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """The next line of its standard output.

        Raises:
            Failure: there is none in time.
        """
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(ANSWER_SECONDS) else b""
        if not line:
            raise Failure(f"{self.name} says nothing: {tail(self.log)}")
        return line.decode().strip()

    def stop(self) -> None:
        """Ends the process, this one alone."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def start(name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None) -> Server:
    """Starts a process with pipes to its standard input and from its standard output."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    return Server(name, process, log)


def start_module(
    module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Server:
    """Starts a module of this package."""
    return start(module, [sys.executable, "-m", module, *arguments], log, environment)


def start_announcing(
    module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Server:
    """Starts a module of this package that prints its port once it listens.

    Raises:
        Failure: it does not, in time.
    """
    return announced(start_module(module, arguments, log, environment))


def announced(server: Server) -> Server:
    """A server that has been started, and prints its port once it listens.

    Raises:
        Failure: it does not, in time.
    """
    try:
        server.port = int(server.hear())
    except BaseException:
        server.stop()
        raise
    return server


def start_probed(
    command: Sequence[str], port: int, probe: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Server:
    """Starts a program that cannot tell when it listens; asks it with another program until that succeeds.

    Raises:
        Failure: it does not listen in time.
    """
    server = start(command[0], command, log, environment)
    server.port = port
    deadline = time.monotonic() + START_SECONDS
    while True:
        result = subprocess.run(probe, capture_output=True, env=environment, timeout=START_SECONDS, check=False)
        if not result.returncode:
            return server
        if server.process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise Failure(f"{server.name} does not listen: {tail(log)}")
        time.sleep(0.02)


def timed(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Runs a program to its end.

    Returns:
        Seconds of wall-clock time.

    Raises:
        Failure: it failed, or took too long.
    """
    return spent_by(command, environment).seconds


def spent_by(command: Sequence[str], environment: Mapping[str, str]) -> Spent:
    """Runs a program to its end; what that took.

    Raises:
        Failure: it failed, or took too long.
    """
    started, before = time.perf_counter(), children_cpu()
    run(command, environment)
    return Spent(time.perf_counter() - started, children_cpu() - before)


def children_cpu() -> float:
    """Processor time of all processes that this one has started and seen end, seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report_of(module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Runs a module of this package that measures itself and prints a JSON object.

    Raises:
        Failure: it failed, or took too long.
    """
    return program_report([sys.executable, "-m", module, *arguments], environment)


def program_report(command: Sequence[str], environment: Mapping[str, str] | None) -> dict[str, Any]:
    """Runs a program that measures itself and prints a JSON object.

    Raises:
        Failure: it failed, or took too long.
    """
    report: dict[str, Any] = json.loads(run(command, environment))
    return report


def log_of(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Runs a program to its end and returns what it wrote to standard error.

    Raises:
        Failure: it failed, or took too long.
    """
    return completed(command, environment).stderr


def run(command: Sequence[str], environment: Mapping[str, str] | None) -> str:
    """Runs a program to its end and returns what it printed."""
    return completed(command, environment).stdout


def completed(command: Sequence[str], environment: Mapping[str, str] | None) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, which has to be a good one."""
    name = " ".join(command[:3])
    try:
        result = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{name} took more than {RUN_SECONDS:g} s") from error
    if result.returncode:
        raise Failure(f"{name} ended with code {result.returncode}: {last_lines(result.stderr or result.stdout)}")
    return result


def free_port() -> int:
    """A port on which nothing listens at the moment."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
        return port


def tail(log: Path) -> str:
    """The end of a log."""
    return last_lines(log.read_text(errors="replace")) if log.exists() else "no log"


def last_lines(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-LOG_LINES:]) or "it says nothing"


def environment_with(**variables: str | None) -> dict[str, str]:
    """The environment of this process with some variables set, or removed where `None`."""
    changed = {**os.environ, **{name: value for name, value in variables.items() if value is not None}}
    return {name: value for name, value in changed.items() if variables.get(name, value) is not None}

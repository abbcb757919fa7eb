"""Runs the tools that serve, in processes of their own."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

__all__ = ["Running", "running"]


@dataclass
class Running:
    """A tool that serves.

    Attributes:
        process: its process.
        said: the lines on stderr so far.
        port: where it listens.
    """

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    port: int = 0

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads on until a line has the pattern."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"ended with {self.process.wait()} before it said {pattern}: {self.said}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal, waits for the end and returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(20)
        assert self.process.stderr is not None
        self.said += self.process.stderr.readlines()
        return code


@contextmanager
def running(
    tool: str, *words: object, directory: Path | None = None, stdout: BinaryIO | None = None
) -> Iterator[Running]:
    """Runs a tool from when it listens until the block ends; it is killed if it is still there then."""
    argv = [sys.executable, "-m", "dicomio", tool, *map(str, words)]
    with subprocess.Popen(argv, stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=directory) as process:
        found = Running(process)
        try:
            found.port = int(found.wait_for(r"^listening on .*:(\d+)$")[1])
            yield found
        finally:
            if process.poll() is None:
                found.stop(signal.SIGTERM)

"""`dicomio` in processes forked from one that has loaded it: to load it takes longer than most of what is asked of it.

What runs is what `python -m dicomio` runs. Only one thread may start and await these processes.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final

from dicomio.cli import main
from dicomio.cli.options import TOOLS

__all__ = ["Forked"]

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, "dicomio.cli.command", *(f"dicomio.cli.{tool.name}" for tool in TOOLS)])


class Forked:
    """A command that has been started, as `subprocess.Popen` has it.

    Args:
        args: its name and arguments.
        directory: where it runs.
        log: file for what it prints.
    """

    def __init__(self, args: Sequence[str], directory: Path, log: Path) -> None:
        self.args = args
        log.touch()
        self.process = CONTEXT.Process(target=command, args=(list(args), str(directory), str(log)))
        self.process.start()

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end, and returns its exit code."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise TimeoutExpired(self.args, timeout or 0.0)
        return self.process.exitcode

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.process.terminate()

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.process.kill()


def command(args: Sequence[str], directory: str, log: str) -> None:
    """Is the command, in its process."""
    os.chdir(directory)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.exit(main(args))

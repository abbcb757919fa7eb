"""Commands that are run when something has been received: argument lists, never a shell."""

import asyncio
import logging
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dicomio.cli.errors import UsageError

__all__ = ["Hook", "Runner", "harmless", "values_for"]

logger = logging.getLogger("dicomio.cli.hooks")

PLACEHOLDER: Final = re.compile("#[pfacr]")
UNUSUAL: Final = re.compile(r"[^A-Za-z0-9 _.:-]")

# Commands at once; who sends faster than they finish has to wait.
MOST_RUNNING: Final = 8


def harmless(text: str) -> str:
    """What a peer calls itself, in a form that is neither option nor path nor anything else to the command."""
    text = UNUSUAL.sub("_", text.strip())
    return f"_{text[1:]}" if text.startswith(("-", ".")) else text


class Hook:
    """A command with placeholders.

    Args:
        option: its option, for messages.
        command: as in a shell, of which only quotes and backslashes are understood.
        allowed: placeholders that have a value.

    Raises:
        UsageError: it cannot be run.
    """

    def __init__(self, option: str, command: str, allowed: str) -> None:
        try:
            self.words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"option {option}: {error} in {command!r}") from None
        if not self.words:
            raise UsageError(f"option {option}: the command is empty")
        if PLACEHOLDER.search(self.words[0]) or shutil.which(self.words[0]) is None:
            raise UsageError(f"option {option}: there is no program {self.words[0]!r}")
        for placeholder in PLACEHOLDER.findall(command):
            if placeholder not in allowed:
                raise UsageError(f"option {option}: {placeholder} has no value there")

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """The command with values in place of the placeholders; each stays within its argument.

        Args:
            values: by placeholder.
        """
        program, *words = self.words
        return [program, *(PLACEHOLDER.sub(lambda match: values[match[0]], word) for word in words)]


def values_for(directory: Path, file: str, calling: str, called: str, host: str) -> dict[str, str]:
    """The values of the placeholders.

    Args:
        directory: `#p`, as an absolute path.
        file: `#f`, the name of a file in it; empty where none is meant.
        calling: `#a`, AE title of the peer.
        called: `#c`, the AE title it calls.
        host: `#r`, the address it comes from.
    """
    return {
        "#p": str(directory),
        "#f": file,
        "#a": harmless(calling),
        "#c": harmless(called),
        "#r": harmless(host),
    }


class Runner:
    """Runs commands beside the receiving, a few at once, each in a thread that nobody waits for at exit.

    Args:
        to_stderr: what they print on stdout goes to stderr.
        one_by_one: never two at once.
    """

    def __init__(self, *, to_stderr: bool, one_by_one: bool = False) -> None:
        self.stdout = 2 if to_stderr else None
        self.loop = asyncio.get_running_loop()
        self.slots = asyncio.Semaphore(1 if one_by_one else MOST_RUNNING)
        self.running: set[asyncio.Future[None]] = set()

    async def start(self, arguments: Sequence[str]) -> "asyncio.Future[None]":
        """Starts a command; waits first where too many are running.

        Returns:
            A future that is done when the command has ended.
        """
        await self.slots.acquire()
        future = self.loop.create_future()
        self.running.add(future)
        threading.Thread(target=self.run, args=(arguments, future), daemon=True).start()
        return future

    def run(self, arguments: Sequence[str], future: "asyncio.Future[None]") -> None:
        """Runs a command to its end; in a thread."""
        try:
            ran = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=self.stdout, check=False)
        except (OSError, ValueError) as error:
            logger.error("%s: %s", arguments[0], error)
        else:
            if ran.returncode:
                logger.warning("%s ended with code %d", arguments[0], ran.returncode)
        with suppress(RuntimeError):  # the event loop is closed: the command took longer than the server
            self.loop.call_soon_threadsafe(self.finished, future)

    def finished(self, future: "asyncio.Future[None]") -> None:
        """A command has ended."""
        self.running.discard(future)
        self.slots.release()
        future.set_result(None)

    async def close(self, timeout: float) -> None:
        """Waits for what is running, for so many seconds."""
        if self.running:
            await asyncio.wait(self.running, timeout=timeout)

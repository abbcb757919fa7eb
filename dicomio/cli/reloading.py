"""Serving in a child process that begins anew when the code changes."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from dicomio.cli.output import Output

__all__ = ["serve_reloading"]

# Seconds between two looks at the files.
GLANCE: Final = 0.5
ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def serve_reloading(serve: Callable[[], int], directory: Path, output: Output) -> int:
    """Serves until SIGINT or SIGTERM, in a new process whenever a `.py` file below the directory has changed.

    Code that cannot be run is said to be so, and tried again when it changes.

    Args:
        serve: what a process does: it imports the code, serves until a signal, and returns an exit code.
        directory: where the code is.
        output: the voice of the tool.

    Returns:
        The exit code.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        seen = snapshot(directory)
        process = start(serve)
        # Signals are blocked and taken from here, so that none can come at a bad moment.
        while signal.sigtimedwait(ENDING, GLANCE) is None:
            now = snapshot(directory)
            if now != seen:
                output.line(f"{changed(seen, now)} has changed")
                if stop(process):
                    return 0
                seen, process = now, start(serve)
        stop(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def start(serve: Callable[[], int]) -> BaseProcess:
    """Starts a process; nothing of the code has been imported in this one, so that it imports what is there now."""
    process = get_context("fork").Process(target=child, args=(serve,))
    process.start()
    return process


def child(serve: Callable[[], int]) -> None:
    """What the process does."""
    # A terminal signals its whole group; here the parent passes on what it gets, once.
    os.setpgrp()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    # Compiled files are told apart by the second of the change, and a second is long enough for two changes.
    sys.dont_write_bytecode = True
    raise SystemExit(serve())


def stop(process: BaseProcess) -> bool:
    """Has a process drain, and waits for it; a signal meanwhile ends it at once.

    Returns:
        Whether there was one.
    """
    killed = False
    if process.pid is not None and process.is_alive():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    while process.is_alive():
        if signal.sigtimedwait(ENDING, GLANCE / 10) is not None:
            process.kill()
            killed = True
    process.join()
    return killed


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Time of change and size of each file of code."""
    found = {}
    for path in files_below(directory):
        with suppress(FileNotFoundError):
            state = os.stat(path)
            found[path] = (state.st_mtime_ns, state.st_size)
    return found


def files_below(directory: Path) -> Iterator[str]:
    """The files of code; hidden directories and virtual environments are passed over."""
    for root, directories, files in os.walk(directory):
        directories[:] = [
            name for name in directories if name[0] != "." and not Path(root, name, "pyvenv.cfg").exists()
        ]
        yield from (os.path.join(root, name) for name in files if name.endswith(".py"))


def changed(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """One of the files that differ."""
    return min(path for path in {*before, *now} if before.get(path) != now.get(path))

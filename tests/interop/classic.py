"""Command lines that are run twice: by a program of DCMTK, and by `dicomio`."""

import re
import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.interop.processes import ScuResult, program, require, run, run_ours

__all__ = ["arguments", "at_once", "theirs_and_ours"]

T = TypeVar("T")


def arguments(words: str, values: Mapping[str, str]) -> list[str]:
    """The arguments of a command line as a shell takes it; words in capitals stand for values."""
    return [
        re.sub(r"\b[A-Z_]{3,}\b", lambda match: values.get(match[0], match[0]), word) for word in shlex.split(words)
    ]


def at_once(theirs: Callable[[], T], ours: Callable[[], T]) -> tuple[T, T]:
    """What comes of the program of DCMTK and of ours, which run at the same time."""
    require("dcmtk")
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(theirs)
        result = ours()
        return future.result(), result


def theirs_and_ours(
    tool: str, theirs: list[str], ours: list[str], directory: Path, places: tuple[Path, Path] | None = None
) -> tuple[ScuResult, ScuResult]:
    """Runs a tool of DCMTK and ours to their ends, each with its own arguments.

    Args:
        tool: its name.
        theirs: arguments of DCMTK's.
        ours: arguments of ours.
        directory: for the log.
        places: where each of them runs; in `directory` by default.
    """
    here, there = places or (directory, directory)
    return at_once(
        lambda: run([program(tool) or tool, *theirs], here),
        lambda: run_ours([tool, *ours], directory / f"{tool}.log", there),
    )

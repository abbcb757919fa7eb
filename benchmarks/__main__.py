"""`python -m benchmarks`: runs the cells and prints the table."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from os import getloadavg
from pathlib import Path
from shutil import disk_usage
from typing import Final

from benchmarks import agreements, echo, idle, memory, micro, query, stall, store, workers
from benchmarks.cells import Cell, Options
from benchmarks.loops import LOOPS, best_loop
from benchmarks.report import as_json, conditions, print_table
from benchmarks.runner import run_cells

TOPICS: Final[Mapping[str, Callable[[Options], Sequence[Cell]]]] = {
    "memory": memory.cells,
    "idle": idle.cells,
    "stall": stall.cells,
    "echo": echo.cells,
    "store": store.cells,
    "query": query.cells,
    "micro": micro.cells,
    "agreements": agreements.cells,
    "workers": workers.cells,
}
ROUNDS: Final = 3
SECONDS: Final = 200
GIB: Final = 1 << 30
# What the largest objects take, as they are sent and as they are stored, and some room.
TIMES_SIZE: Final = 3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="TOPIC,…", type=topics, default=list(TOPICS), help=", ".join(TOPICS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often everything is measured, {ROUNDS}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"no further rounds after that, {SECONDS}")
    parser.add_argument("--loop", choices=LOOPS, default=best_loop(), help=f"event loop of ours, here {best_loop()}")
    parser.add_argument("--size", metavar="GIB", type=float, default=2, help="object of the memory cells, 2 GiB")
    parser.add_argument("--directory", type=Path, help="where files are made; by default in memory, if there is room")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


def topics(text: str) -> list[str]:
    """The topics in `echo,store`."""
    names = text.split(",")
    unknown = [name for name in names if name not in TOPICS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such topic; there are {', '.join(TOPICS)}")
    return names


def default_directory(size: int) -> Path:
    """Memory where Linux has a file system there and it is large enough, else the directory for temporary files."""
    memory_files = Path("/dev/shm")
    if memory_files.is_dir() and disk_usage(memory_files).free > TIMES_SIZE * size:
        return memory_files
    return Path(tempfile.gettempdir())


def tell_progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for.

    Returns:
        0 where everything could be measured and every target was reached, else 1.
    """
    given = parse(arguments)
    # ends the servers and removes the files, as any other way out does
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    options = Options(given.loop, int(given.size * GIB) & ~1)
    directory = given.directory or default_directory(max(options.size, GIB))
    load = {"load at the start": f"{getloadavg()[0]:.1f}"}
    started = time.monotonic()
    cells = [TOPICS[topic](options) for topic in given.only]
    results = run_cells(cells, given.rounds, given.seconds, directory, tell_progress)
    about = conditions(options, directory) | load | {"seconds": f"{time.monotonic() - started:.0f}"}
    if given.json:
        print(as_json(results, about))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()), end="\n\n")
        print_table(results, sys.stdout)
    return int(any(result.problems or not result.reached for result in results))


if __name__ == "__main__":
    sys.exit(main())

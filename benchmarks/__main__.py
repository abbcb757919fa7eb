"""`python -m benchmarks`: runs the cells and prints the table."""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from os import getloadavg
from pathlib import Path
from typing import Final

from benchmarks import agreements, associations, echo, framing, idle, memory, micro, query, stall, store, workers
from benchmarks.cells import Cell, Options
from benchmarks.doubled import Topic, on_loops
from benchmarks.loops import LOOPS, best_loop
from benchmarks.places import default_directory, default_disk, file_system
from benchmarks.report import as_json, conditions, print_table
from benchmarks.runner import Group, run_cells


def hot_functions(options: Options) -> Sequence[Cell]:
    """Everything that is measured call by call."""
    return [*micro.cells(options), *framing.cells(options)]


TOPICS: Final[Mapping[str, Topic]] = {
    "memory": memory.cells,
    "idle": idle.cells,
    "stall": stall.cells,
    "echo": echo.cells,
    "associations": associations.cells,
    "crowd": associations.crowd_cells,
    "store": store.cells,
    "copy": store.both_ends,
    "disk": store.disk_cells,
    "query": query.cells,
    "micro": hot_functions,
    "agreements": agreements.cells,
    "workers": workers.cells,
}
# Those in which no event loop runs, or not one that can be chosen.
ON_ONE_LOOP: Final = frozenset({"micro", "workers"})
ROUNDS: Final = 3
SECONDS: Final = 2400
GIB: Final = 1 << 30


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="TOPIC,…", type=topics, default=list(TOPICS), help=", ".join(TOPICS))
    parser.add_argument(
        "--rounds", type=at_least_one, default=ROUNDS, help=f"how often everything is measured, {ROUNDS}"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"no further rounds after that, {SECONDS}")
    parser.add_argument("--loop", metavar="LOOP,…", type=loops, default=all_loops(), help="event loops of ours, all")
    parser.add_argument("--size", metavar="GIB,…", type=sizes, default="1,8", help="objects of the memory cells, 1,8")
    parser.add_argument(
        "--directory", type=existing, help="where files are made; by default in memory, if there is room"
    )
    parser.add_argument(
        "--disk", type=existing, default=default_disk(), help="the same for the cells of the topic disk"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


def at_least_one(text: str) -> int:
    """A number of rounds."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no number of rounds")
    return int(text)


def existing(text: str) -> Path:
    """A directory that is there."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no directory")
    return Path(text)


def topics(text: str) -> list[str]:
    """The topics in `echo,store`."""
    return known(text, list(TOPICS), "topic")


def loops(text: str) -> list[str]:
    """The event loops in `asyncio,uvloop`, the best one first."""
    return sorted(known(text, LOOPS, "event loop"), key=lambda loop: loop != best_loop())


def all_loops() -> list[str]:
    """Those that are installed, the best one first."""
    return list(dict.fromkeys((best_loop(), "asyncio")))


def known(text: str, names: Sequence[str], kind: str) -> list[str]:
    """The names in a list with commas."""
    given = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in given if name not in names]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no such {kind}; there are {', '.join(names)}")
    return given


def sizes(text: str) -> list[int]:
    """Bytes, of GiB in a list with commas; even as data elements are."""
    return [int(float(word) * GIB) & ~1 for word in text.split(",")]


def group(topic: str, given: argparse.Namespace) -> Group:
    """The cells of a topic, and where they run."""
    own = given.loop[:1] if topic in ON_ONE_LOOP else given.loop
    cells = on_loops(TOPICS[topic], Options(own[0], given.size), own)
    if topic == "disk":
        return Group(cells, given.disk)
    return Group(cells, given.directory or default_directory(max(given.size) if topic == "memory" else GIB))


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
    load = {"load at the start": f"{getloadavg()[0]:.1f}"}
    started = time.monotonic()
    groups = [group(topic, given) for topic in given.only]
    places = {topic: each.directory for topic, each in zip(given.only, groups, strict=True)}
    results = run_cells(groups, given.rounds, given.seconds, tell_progress)
    files = {f"files of {topic}": f"{path} ({file_system(path)})" for topic, path in places.items()}
    about = conditions(given.loop) | files | load | {"seconds": f"{time.monotonic() - started:.0f}"}
    if given.json:
        print(as_json(results, about))
    else:
        print("\n".join(f"{name}: {value}" for name, value in about.items()), end="\n\n")
        print_table(results, sys.stdout)
    return int(any(result.problems or not result.reached for result in results))


if __name__ == "__main__":
    sys.exit(main())

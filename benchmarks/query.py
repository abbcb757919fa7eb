"""Cells of query and retrieve: matches, memory of a C-GET, C-MOVE beside plain sending, many associations at once."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from benchmarks import finds
from benchmarks.cells import OURS, AtLeast, Below, Cell, Options, Values, Way
from benchmarks.finds import OUR_SCU, start_ours
from benchmarks.objects import verify
from benchmarks.peers import OurReceiver, OurSender
from benchmarks.proc import PROC, peak_kib, reset_peak, rss_kib
from benchmarks.processes import report_of
from benchmarks.stage import Stage

__all__ = ["cells"]

GIB: Final = 1 << 30
KIB: Final = 1024
LIMIT_MIB: Final = 32
SMALL_OBJECTS: Final = 2_000
SMALL_SIZE: Final = 4_096
TIMES_STORE_MANY: Final = 0.9
CROWD: Final = 200
CROWD_MATCHES: Final = 100
CROWD_OBJECTS: Final = 5
CROWD_SIZE: Final = 40_000
# Seconds for which the slowest of many may wait.
PATIENCE: Final = 30


def cells(options: Options) -> Sequence[Cell]:
    """C-FIND on either side, C-GET of a large object, C-MOVE of many small ones, and a crowd."""
    return [
        *finds.cells(options),
        get_memory(options),
        move(options),
        crowd(options),
    ]


def get_memory(options: Options) -> Cell:
    """One large object by C-GET, from file to file."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(GIB, 1)
        server, inbox = stage.server(OURS, partial(start_ours, options.loop, 0, corpus.folder))
        reset_peak(server.pid)
        before = rss_kib(server.pid)
        arguments = ["--port", str(server.port), "--loop", options.loop, "get", "--inbox", str(inbox)]
        report = report_of(OUR_SCU, arguments)
        growth_kib = peak_kib(server.pid) - before
        verify(corpus, inbox)
        return {"sending": growth_kib / KIB, "receiving": report["growth_kib"] / KIB}

    series = ["sending", "receiving"]
    targets = [Below(name, LIMIT_MIB) for name in series]
    return Cell("query", "C-GET of 1 GiB, growth of memory", "MiB", [Way(series, run, (PROC,))], targets, rounds=1)


def move(options: Options) -> Cell:
    """Small objects by a C-MOVE, and by `store_many` to the same destination."""

    def by_move(stage: Stage) -> Values:
        corpus = stage.corpus(SMALL_SIZE, SMALL_OBJECTS)
        server, _ = stage.server(OURS, partial(start_ours, options.loop, 0, corpus.folder))
        target, inbox = stage.server("destination", OurReceiver(options.loop, 16_384).start)
        arguments = ["--port", str(server.port), "--loop", options.loop, "move", "--to", str(target.port)]
        seconds = report_of(OUR_SCU, arguments)["seconds"]
        verify(corpus, inbox)
        return {"C-MOVE": SMALL_OBJECTS / seconds}

    def by_store(stage: Stage) -> Values:
        corpus = stage.corpus(SMALL_SIZE, SMALL_OBJECTS)
        target, inbox = stage.server("destination", OurReceiver(options.loop, 16_384).start)
        seconds = OurSender(options.loop).store(target.port, corpus)
        verify(corpus, inbox)
        return {"store_many": SMALL_OBJECTS / seconds}

    ways = [Way(["C-MOVE"], by_move), Way(["store_many"], by_store)]
    targets = [AtLeast("C-MOVE", TIMES_STORE_MANY, "store_many")]
    return Cell("query", "C-MOVE of 2,000 objects of 4 KiB", "objects/s", ways, targets)


def crowd(options: Options) -> Cell:
    """Finds and gets on many associations at once, with one server process."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(CROWD_SIZE, CROWD_OBJECTS)
        server, _ = stage.server(OURS, partial(start_ours, options.loop, CROWD_MATCHES, corpus.folder))
        arguments = ["--port", str(server.port), "--loop", options.loop, "crowd"]
        report = report_of(OUR_SCU, [*arguments, "--associations", str(CROWD), "--count", str(CROWD_MATCHES)])
        return {"slowest": report["slowest"], "median": report["median"]}

    targets = [Below("slowest", PATIENCE)]
    name = f"{CROWD} associations that find and get at once, how long one took"
    return Cell("query", name, "s", [Way(["slowest", "median"], run)], targets)

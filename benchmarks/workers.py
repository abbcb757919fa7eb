"""Cells of several processes that serve one port: how associations are spread, and what the second process is worth."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.cells import Above, AtMost, Cell, Options, Values, Way
from benchmarks.idle import idle_associations
from benchmarks.objects import verify
from benchmarks.peers import OurSender
from benchmarks.proc import PROC, children, cpu_seconds, sockets
from benchmarks.processes import Server, start_announcing
from benchmarks.stage import Stage

__all__ = ["cells"]

OUR_WORKERS: Final = "benchmarks.programs.our_workers"
MAX_PDU: Final = 131_072

OPEN: Final = 100
UNEVEN: Final = 1.2

SIZE: Final = 40_000
COUNT: Final = 1_000
ASSOCIATIONS: Final = 8
# Who comes second finds the machine warmer, or more tired.
THERE_AND_BACK: Final = (1, 2, 2, 1)
GROWTH: Final = 1.1
TIMES_ONE: Final = 1.7
# So many let the sender have as many as the workers.
ENOUGH_CORES: Final = 4


def cells(options: Options) -> Sequence[Cell]:
    """The spread, the processor time, the speed."""
    return [spread(options), processor_time(options), speed(options)]


def serve(stage: Stage, workers: int) -> tuple[Server, Path]:
    """A server with so many processes, and its inbox."""

    def start(inbox: Path, log: Path) -> Server:
        arguments = ["--inbox", str(inbox), "--max-pdu", str(MAX_PDU), "--workers", str(workers)]
        return start_announcing(OUR_WORKERS, arguments, log)

    return stage.server(named(workers), start)


def named(workers: int) -> str:
    return f"{workers} worker" if workers == 1 else f"{workers} workers"


def spread(options: Options) -> Cell:
    """Associations that are open at once: of the process with most, and of that with fewest; their sockets count."""

    def run(stage: Stage) -> Values:
        server, _ = serve(stage, 2)
        pids = children(server.pid)
        before = [sockets(pid) for pid in pids]
        with idle_associations(stage, options.loop, server.port, OPEN):
            shares = [sockets(pid) - known for pid, known in zip(pids, before, strict=True)]
        return {"most": max(shares), "fewest": min(shares)}

    ways = [Way(["most", "fewest"], run, (PROC,))]
    return Cell("workers", f"{OPEN} spread over 2 workers", "associations", ways, [AtMost("most", UNEVEN, "fewest")])


def stores_per_second(stage: Stage, workers: int, loop: str) -> float:
    """Stores over several associations; what has arrived is compared with what was sent."""
    corpus = stage.corpus(SIZE, COUNT)
    server, inbox = serve(stage, workers)
    seconds = OurSender(loop, ("--associations", str(ASSOCIATIONS))).store(server.port, corpus)
    verify(corpus, inbox)
    return COUNT / seconds


def processor_time(options: Options) -> Cell:
    """Processor time of all processes of the server, the one that watches the others too, for each object stored."""

    def seconds(stage: Stage, workers: int) -> float:
        server, _ = serve(stage, workers)
        pids = [server.pid, *children(server.pid)]
        before = sum(map(cpu_seconds, pids))
        stores_per_second(stage, workers, options.loop)
        return sum(map(cpu_seconds, pids)) - before

    def run(stage: Stage) -> Values:
        taken: defaultdict[int, float] = defaultdict(float)
        for workers in THERE_AND_BACK:
            taken[workers] += seconds(stage, workers)
        # The one before those against the clock counts as well.
        stores = (COUNT + 1) * THERE_AND_BACK.count(1)
        return {named(workers): taken[workers] * 1000 / stores for workers in (2, 1)}

    ways = [Way([named(2), named(1)], run, (PROC,))]
    return Cell("workers", "objects of 40 kB, processor time", "ms/store", ways, [AtMost(named(2), GROWTH, named(1))])


def speed(options: Options) -> Cell:
    """How many times as many objects two processes store; with fewer than four cores the sender takes theirs."""

    def run(stage: Stage) -> Values:
        rates: dict[int, list[float]] = {1: [], 2: []}
        for workers in THERE_AND_BACK:
            rates[workers].append(stores_per_second(stage, workers, options.loop))
        return {"2 workers ÷ 1": sum(rates[2]) / sum(rates[1])}

    cores = os.cpu_count() or 1
    targets = [Above("2 workers ÷ 1", TIMES_ONE)] if cores >= ENOUGH_CORES else []
    name = f"objects of 40 kB per second, on {cores} cores"
    return Cell("workers", name, "x", [Way(["2 workers ÷ 1"], run)], targets)

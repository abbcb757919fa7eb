"""What associations cost on which nothing happens."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.cells import OURS, Below, Cell, Options, Values, Way
from benchmarks.peers import OurReceiver
from benchmarks.proc import PROC, cpu_seconds, rss_kib
from benchmarks.processes import Failure, start_module
from benchmarks.stage import Stage

__all__ = ["cells", "idle_associations"]

IDLE_SCU: Final = "benchmarks.programs.idle_scu"
ASSOCIATIONS: Final = 1000
SECONDS: Final = 10.0
MAX_PDU: Final = 16_384
CPU_LIMIT_PERCENT: Final = 1
MEMORY_LIMIT_KIB: Final = 40


def cells(options: Options) -> Sequence[Cell]:
    """Processor time and memory of one server that many idle associations are open with."""
    processor = Cell(
        "idle",
        f"{ASSOCIATIONS:,} associations, processor",
        "% of a core",
        [way(options.loop, processor_percent)],
        [Below(OURS, CPU_LIMIT_PERCENT)],
        rounds=1,
    )
    memory = Cell(
        "idle",
        f"{ASSOCIATIONS:,} associations, memory each",
        "KiB",
        [way(options.loop, memory_kib)],
        [Below(OURS, MEMORY_LIMIT_KIB)],
        rounds=1,
    )
    return [processor, memory]


def way(loop: str, measure: Callable[[Stage, str, int, int], float]) -> Way:
    """A server of ours to hold the associations with."""

    def run(stage: Stage) -> Values:
        receiver = OurReceiver(loop, MAX_PDU, ASSOCIATIONS)
        server, _ = stage.server(OURS, receiver.start)
        return {OURS: measure(stage, loop, server.port, server.pid)}

    return Way([OURS], run, (PROC,))


def processor_percent(stage: Stage, loop: str, port: int, pid: int) -> float:
    """Share of a core that the server takes while nothing happens."""
    with idle_associations(stage, loop, port):
        before = cpu_seconds(pid)
        time.sleep(SECONDS)
        return 100 * (cpu_seconds(pid) - before) / SECONDS


def memory_kib(stage: Stage, loop: str, port: int, pid: int) -> float:
    """By how much the memory of the server grows with each association."""
    before = rss_kib(pid)
    with idle_associations(stage, loop, port):
        return (rss_kib(pid) - before) / ASSOCIATIONS


@contextmanager
def idle_associations(stage: Stage, loop: str, port: int, count: int = ASSOCIATIONS) -> Iterator[None]:
    """Associations of another process; at the end each of them is to answer an echo.

    Raises:
        Failure: they cannot be opened, or one of them does not live to the end.
    """
    arguments = ["--port", str(port), "--count", str(count), "--loop", loop]
    client = start_module(IDLE_SCU, arguments, stage.root / "log-idle-scu")
    try:
        if client.hear() != str(count):
            raise Failure(f"not all of {count} associations are open")
        yield
        client.say("release")
        if client.hear() != "released":
            raise Failure(f"not all of {count} associations were alive")
    finally:
        client.stop()

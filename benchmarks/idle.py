"""What associations cost on which nothing happens."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.cells import OURS, Below, Cell, Options, Values, Way
from benchmarks.others import DcmjsReceiver
from benchmarks.peers import DcmtkReceiver, OurReceiver, Receiver
from benchmarks.proc import PROC, cpu_seconds, family_kib, rss_kib
from benchmarks.processes import Failure, start_module
from benchmarks.stage import Stage

__all__ = ["cells", "idle_associations"]

IDLE_SCU: Final = "benchmarks.programs.idle_scu"
ASSOCIATIONS: Final = 1_000
MANY: Final = 10_000
# For those with a process for each.
FEW: Final = 100
SECONDS: Final = 10.0
MAX_PDU: Final = 16_384
CPU_LIMIT_PERCENT: Final = 1
MEMORY_LIMIT_KIB: Final = 12


def cells(options: Options) -> Sequence[Cell]:
    """Processor time and memory of one server that many idle associations are open with."""
    return [cell for count in (ASSOCIATIONS, MANY) for cell in (processor(options.loop, count), memory(options, count))]


def processor(loop: str, count: int) -> Cell:
    """Share of a core that the server takes while nothing happens."""

    def measure(stage: Stage, port: int, pid: int) -> float:
        with idle_associations(stage, loop, port, count):
            before = cpu_seconds(pid)
            time.sleep(SECONDS)
            return 100 * (cpu_seconds(pid) - before) / SECONDS

    ways = [way(OURS, OurReceiver(loop, MAX_PDU, count), measure)]
    targets = [Below(OURS, CPU_LIMIT_PERCENT)]
    return Cell("idle", f"{count:,} associations, processor", "% of a core", ways, targets, rounds=1)


def memory(options: Options, count: int) -> Cell:
    """By how much the memory of the server grows with each association, with that of processes it has for them."""

    def growth(associations: int) -> Callable[[Stage, int, int], float]:
        def measure(stage: Stage, port: int, pid: int) -> float:
            before = rss_kib(pid)
            with idle_associations(stage, options.loop, port, associations):
                return (family_kib(pid) - before) / associations

        return measure

    ways = [way(OURS, OurReceiver(options.loop, MAX_PDU, count), growth(count))]
    if count == ASSOCIATIONS:
        ways += [
            way("DCMTK storescp --fork", DcmtkReceiver("storescp", MAX_PDU, fork=True), growth(FEW)),
            way("dcmjs-dimse", DcmjsReceiver(), growth(count)),
        ]
    targets = [Below(OURS, MEMORY_LIMIT_KIB)]
    return Cell("idle", f"{count:,} associations, memory each", "KiB", ways, targets, rounds=1)


def way(name: str, receiver: Receiver, measure: Callable[[Stage, int, int], float]) -> Way:
    """A server to hold the associations with, given to the measurement by its port and process."""

    def run(stage: Stage) -> Values:
        server, _ = stage.server(name, receiver.start)
        return {name: measure(stage, server.port, server.pid)}

    return Way([name], run, (PROC, *receiver.needs))


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

"""Cells of associations: how many are opened and released per second, and many that are busy at the same time."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from benchmarks.cells import OURS, AtLeast, AtMost, Cell, Options, Values, Way, cpu_of
from benchmarks.objects import verify
from benchmarks.others import OrthancReceiver
from benchmarks.peers import (
    DcmtkReceiver,
    OurReceiver,
    OurSender,
    PynetdicomReceiver,
    PynetdicomSender,
    Receiver,
    spent_of,
)
from benchmarks.proc import MEASURABLE, cpu_seconds, reaped_seconds
from benchmarks.processes import Spent, report_of
from benchmarks.stage import Stage

__all__ = ["cells", "crowd_cells"]

OPENINGS: Final = "benchmarks.programs.openings"
CROWD_SCU: Final = "benchmarks.programs.crowd_scu"
MAX_PDU: Final = 16_384
AT_ONCE: Final = 50
MANY: Final = 3_000
# For those with a process for each association, and for those with some hundred per second.
SOME: Final = 500
FEW: Final = 50
TIMES_PYNETDICOM: Final = 15

SINGLE: Final = "DCMTK storescp"
FORK: Final = "DCMTK storescp --fork"
COST: Final = "s/1,000 associations"

CROWD: Final = 200
ECHOES: Final = 20
STORES: Final = 5
SIZE: Final = 1 << 19
PATIENCE: Final = 3


def cells(options: Options) -> Sequence[Cell]:
    """Our server under a bare client, one after the other and many at once; our client over DCMTK's server."""
    return [opened(options.loop, 1), opened(options.loop, AT_ONCE), opening(options.loop)]


def opened(loop: str, at_once: int) -> Cell:
    """Servers."""
    single, fork = DcmtkReceiver("storescp", MAX_PDU), DcmtkReceiver("storescp", MAX_PDU, fork=True)
    ways = [
        opened_way(OURS, OurReceiver(loop, MAX_PDU), MANY, at_once),
        opened_way(SINGLE, single, MANY, at_once),
        opened_way(FORK, fork, SOME, at_once),
        opened_way("pynetdicom", PynetdicomReceiver(MAX_PDU, chunked=False), FEW, at_once),
        opened_way("Orthanc", OrthancReceiver(MAX_PDU), SOME, at_once),
    ]
    # A single process takes one association after the other, whatever there is at once.
    targets = [AtLeast(OURS, 1, SINGLE if at_once == 1 else FORK), AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]
    name = "SCP, one after the other" if at_once == 1 else f"SCP, {at_once} at once"
    return Cell("associations", name, "associations/s", ways, targets, cost=COST)


def opened_way(name: str, receiver: Receiver, count: int, at_once: int) -> Way:
    """Associations per second with a server; the processor time of processes that it has for them counts, too."""

    def run(stage: Stage) -> Values:
        server, _ = stage.server(str(receiver), receiver.start)
        before = cpu(server.pid)
        arguments = ["--port", str(server.port), "--count", str(count), "--at-once", str(at_once)]
        seconds = report_of(OPENINGS, arguments)["seconds"]
        return rates(name, count, Spent(seconds, cpu(server.pid) - before))

    return Way([name], run, receiver.needs)


def cpu(pid: int) -> float:
    """Processor time of a server so far, seconds."""
    return cpu_seconds(pid) + reaped_seconds(pid) if MEASURABLE else 0.0


def opening(loop: str) -> Cell:
    """Clients, which keep to one association at a time."""
    receiver = DcmtkReceiver("dcmrecv", MAX_PDU)

    def ours(stage: Stage) -> Values:
        server, _ = stage.server(str(receiver), receiver.start)
        return rates(OURS, MANY, spent_of(OurSender(loop).report(server.port, "associate", "--count", str(MANY))))

    def pynetdicom(stage: Stage) -> Values:
        server, _ = stage.server(str(receiver), receiver.start)
        spent = PynetdicomSender(chunked=False).spent(server.port, "associate", "--count", str(FEW))
        return rates("pynetdicom", FEW, spent)

    ways = [Way([OURS], ours, receiver.needs), Way(["pynetdicom"], pynetdicom, ("pynetdicom", *receiver.needs))]
    targets = [AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]
    name = "SCU over DCMTK dcmrecv, one after the other"
    return Cell("associations", name, "associations/s", ways, targets, cost=COST)


def rates(name: str, count: int, spent: Spent) -> Values:
    return {name: count / spent.seconds, cpu_of(name): spent.cpu / count * 1000}


def crowd_cells(options: Options) -> Sequence[Cell]:
    """Many associations that echo and store at once: what they get done, and how evenly they are served."""
    ours, fork = OurReceiver(options.loop, MAX_PDU, CROWD), DcmtkReceiver("storescp", MAX_PDU, fork=True)
    done = [
        Way([OURS], partial(operations_per_second, OURS, ours, options.loop), ours.needs),
        Way([FORK], partial(operations_per_second, FORK, fork, options.loop), fork.needs),
    ]
    evenly = [Way(["slowest", "median"], partial(slowest_and_median, ours, options.loop), ours.needs)]
    name = f"{CROWD} associations, {ECHOES} echoes and {STORES} stores of 0.5 MiB each"
    return [
        Cell("crowd", name, "operations/s", done, [AtLeast(OURS, 1, FORK)]),
        Cell("crowd", f"{name}, how long one took", "s", evenly, [AtMost("slowest", PATIENCE, "median")]),
    ]


def crowd(stage: Stage, receiver: Receiver, loop: str) -> dict[str, float]:
    """What the client says; all objects have arrived as they were sent, and no operation has failed."""
    corpus = stage.corpus(SIZE, CROWD * STORES)
    server, inbox = stage.server(str(receiver), receiver.start)
    arguments = ["--port", str(server.port), "--loop", loop, "--folder", str(corpus.folder)]
    report = report_of(CROWD_SCU, [*arguments, "--associations", str(CROWD), "--echoes", str(ECHOES)])
    verify(corpus, inbox)
    return report


def operations_per_second(name: str, receiver: Receiver, loop: str, stage: Stage) -> Values:
    return {name: CROWD * (ECHOES + STORES) / crowd(stage, receiver, loop)["seconds"]}


def slowest_and_median(receiver: Receiver, loop: str, stage: Stage) -> Values:
    """Seconds from the first echo of an association to its last answer."""
    report = crowd(stage, receiver, loop)
    return {"slowest": report["slowest"], "median": report["median"]}

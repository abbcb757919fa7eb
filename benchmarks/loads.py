"""What is sent in the cells of C-STORE, and the ways to measure that."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from benchmarks.cells import Values, Way, cpu_of
from benchmarks.objects import Corpus, verify
from benchmarks.peers import Receiver, Sender
from benchmarks.proc import MEASURABLE, cpu_seconds
from benchmarks.processes import Spent
from benchmarks.stage import Stage

__all__ = ["MEGABYTE", "PDU_LENGTHS", "Load", "Side", "cpu_on", "discarding", "storing"]

PDU_LENGTHS: Final = (16_384, 131_072)
MEGABYTE: Final = 1_000_000
GIB: Final = 1 << 30


class Side(Enum):
    """Whose processor time counts."""

    SENDER = "sender"
    RECEIVER = "receiver"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Load:
    """Objects of one size, and what is expected with them.

    Args:
        name: of the size.
        size: of the pixel data, bytes.
        many: objects at a time for those that are fast.
        few: objects at a time for those that are not.
        by_bytes: count megabytes, not objects.
        chunked: pynetdicom's way that suits such objects.
        times_pynetdicom: what ours has to reach.
    """

    name: str
    size: int
    many: int
    few: int
    by_bytes: bool = False
    chunked: bool = False
    times_pynetdicom: float = 0

    @property
    def unit(self) -> str:
        return "MB/s" if self.by_bytes else "objects/s"

    @property
    def cost(self) -> str:
        """Unit of processor time."""
        return "s/GiB" if self.by_bytes else "s/1,000 objects"

    def values(self, name: str, corpus: Corpus, seconds: float, cpu: float) -> Values:
        """What was measured, in these units."""
        count = len(corpus.files)
        speed = (corpus.bytes / MEGABYTE if self.by_bytes else count) / seconds
        return {name: speed, cpu_of(name): cpu / (corpus.bytes / GIB if self.by_bytes else count / 1000)}


def storing(name: str, sender: Sender, receiver: Receiver, load: Load, count: int, side: Side = Side.RECEIVER) -> Way:
    """Objects or megabytes per second between two; what has arrived is compared with what was sent."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(load.size, count)
        return load.values(name, corpus, *measure(stage, sender, receiver, corpus, side))

    return Way([name], run, (*sender.needs, *receiver.needs))


def discarding(name: str, sender: Sender, receiver: Receiver, keeper: Receiver, load: Load, count: int) -> Way:
    """The same with a receiver that keeps nothing; before the first round everything is sent to one that does."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(load.size, count)
        if stage.is_first(name):
            measure(stage, sender, keeper, corpus, Side.SENDER)
        return load.values(name, corpus, *measure(stage, sender, receiver, corpus, Side.SENDER))

    return Way([name], run, (*sender.needs, *receiver.needs))


def measure(stage: Stage, sender: Sender, receiver: Receiver, corpus: Corpus, side: Side) -> tuple[float, float]:
    """Has everything sent.

    Returns:
        Seconds it took, and seconds of processor time.

    Raises:
        Failure: something is not stored as it was sent.
    """
    server, inbox = stage.server(str(receiver), receiver.start)
    before = cpu_seconds(server.pid) if MEASURABLE else 0.0
    spent = sender.spent_storing(server.port, corpus)
    received = (cpu_seconds(server.pid) if MEASURABLE else 0.0) - before
    if receiver.keeps:
        verify(corpus, receiver.stored(inbox))
    if receiver.anew:
        stage.stop_server(str(receiver))
    return spent.seconds, cpu_on(side, spent, received)


def cpu_on(side: Side, spent: Spent, received: float) -> float:
    """Processor time of one side or both, seconds."""
    return (spent.cpu if side is not Side.RECEIVER else 0.0) + (received if side is not Side.SENDER else 0.0)

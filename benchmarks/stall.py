"""The stall of default sockets: Nagle's algorithm on one side against delayed acknowledgements on the other.

The DCMTK programs run as they are, without TCP_NODELAY in their environment; what ends the stall is done by dicomio.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.cells import OURS, AtLeast, Cell, Options
from benchmarks.loads import Load, Side, storing
from benchmarks.peers import DcmtkReceiver, DcmtkSender, OurReceiver, OurSender

__all__ = ["cells"]

MAX_PDU: Final = 16_384
# The size of which more is expected than numbers.
HELD: Final = Load("40 kB", 39_000, 500, 40)
LOADS: Final = (Load("4 KiB", 1 << 12, 500, 40), HELD, Load("0.5 MiB", 1 << 19, 100, 20))
TIMES_DCMTK: Final = 15
DCMTK: Final = "DCMTK with itself, default sockets"


def cells(options: Options) -> Sequence[Cell]:
    """Objects with one side ours, in both directions, beside DCMTK with itself."""
    return [cell for load in LOADS for cell in pair(load, options.loop)]


def pair(load: Load, loop: str) -> tuple[Cell, Cell]:
    """Objects of one size in either direction."""
    storescu, storescp = DcmtkSender(no_delay=False), DcmtkReceiver("storescp", MAX_PDU, no_delay=False)
    ours_receiving = storing(OURS, storescu, OurReceiver(loop, MAX_PDU), load, load.many)
    ours_sending = storing(OURS, OurSender(loop), storescp, load, load.many, Side.SENDER)
    theirs = (
        storing(DCMTK, storescu, storescp, load, load.few),
        storing(DCMTK, storescu, storescp, load, load.few, Side.SENDER),
    )
    targets = [AtLeast(OURS, TIMES_DCMTK, DCMTK)] if load is HELD else []
    return (
        Cell("stall", f"{load.name} from storescu", load.unit, [ours_receiving, theirs[0]], targets, cost=load.cost),
        Cell("stall", f"{load.name} to storescp", load.unit, [ours_sending, theirs[1]], targets, cost=load.cost),
    )

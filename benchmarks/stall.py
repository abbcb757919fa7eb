"""The stall of default sockets: Nagle's algorithm on one side against delayed acknowledgements on the other.

The DCMTK programs run as they are, without TCP_NODELAY in their environment; what ends the stall is done by dicomio.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.cells import AtLeast, Cell, Options
from benchmarks.peers import DcmtkReceiver, DcmtkSender, OurReceiver, OurSender
from benchmarks.store import Load, way

__all__ = ["cells"]

MAX_PDU: Final = 16_384
LOAD: Final = Load("40 kB", 39_000, 500, 40, by_bytes=False, chunked=False, times_pynetdicom=0)
TIMES_DCMTK: Final = 15

TO_US: Final = "storescu to dicomio"
FROM_US: Final = "dicomio to storescp"
BETWEEN_THEM: Final = "storescu to storescp"


def cells(options: Options) -> Sequence[Cell]:
    """Small objects with one side ours, in both directions, beside DCMTK with itself."""
    storescu, storescp = DcmtkSender(no_delay=False), DcmtkReceiver("storescp", MAX_PDU, no_delay=False)
    return [
        Cell(
            "stall",
            f"{LOAD.name}, DCMTK at default sockets",
            "objects/s",
            [
                way(TO_US, storescu, OurReceiver(options.loop, MAX_PDU), LOAD, LOAD.many),
                way(FROM_US, OurSender(options.loop), storescp, LOAD, LOAD.many),
                way(BETWEEN_THEM, storescu, storescp, LOAD, LOAD.few),
            ],
            [AtLeast(TO_US, TIMES_DCMTK, BETWEEN_THEM), AtLeast(FROM_US, TIMES_DCMTK, BETWEEN_THEM)],
        )
    ]

"""Cells of C-STORE on one association, from files to files, at DCMTK's best setting (TCP_NODELAY=1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.cells import OURS, AtLeast, Cell, Options, Values, Way
from benchmarks.objects import verify
from benchmarks.peers import (
    DcmtkReceiver,
    DcmtkSender,
    OurReceiver,
    OurSender,
    PynetdicomReceiver,
    PynetdicomSender,
    Receiver,
    Sender,
)
from benchmarks.stage import Stage

__all__ = ["cells", "way"]

PDU_LENGTHS: Final = (16_384, 131_072)
MEGABYTE: Final = 1_000_000


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
    by_bytes: bool
    chunked: bool
    times_pynetdicom: float


LOADS: Final = (
    Load("0.5 MiB", 1 << 19, 400, 80, by_bytes=False, chunked=False, times_pynetdicom=5),
    Load("1 GiB", 1 << 30, 1, 1, by_bytes=True, chunked=True, times_pynetdicom=2),
)


def cells(options: Options) -> Sequence[Cell]:
    """Every size at every length of PDU, received from DCMTK's client and sent to DCMTK's server."""
    return [cell for load in LOADS for pdu in PDU_LENGTHS for cell in pair(load, pdu, options.loop)]


def pair(load: Load, pdu: int, loop: str) -> tuple[Cell, Cell]:
    """Our server under DCMTK's client, and our client over DCMTK's server."""
    storescu, dcmrecv = DcmtkSender(), DcmtkReceiver("dcmrecv", pdu)
    unit = "MB/s" if load.by_bytes else "objects/s"
    targets = [AtLeast(OURS, load.times_pynetdicom, "pynetdicom")]
    received = [
        way(OURS, storescu, OurReceiver(loop, pdu), load, load.many),
        way("DCMTK dcmrecv", storescu, dcmrecv, load, load.many),
        way("DCMTK storescp", storescu, DcmtkReceiver("storescp", pdu), load, load.many),
        way("pynetdicom", storescu, PynetdicomReceiver(pdu, load.chunked), load, load.few),
    ]
    sent = [
        way(OURS, OurSender(loop), dcmrecv, load, load.many),
        way("DCMTK storescu", storescu, dcmrecv, load, load.many),
        way("pynetdicom", PynetdicomSender(load.chunked), dcmrecv, load, load.few),
    ]
    return (
        Cell("store", f"{load.name} to SCP, PDU {pdu:,}", unit, received, targets),
        Cell("store", f"{load.name} from SCU, PDU {pdu:,}", unit, sent, targets),
    )


def way(name: str, sender: Sender, receiver: Receiver, load: Load, count: int) -> Way:
    """Objects or megabytes per second between two; what has arrived is compared with what was sent."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(load.size, count)
        server, inbox = stage.server(str(receiver), receiver.start)
        seconds = sender.store(server.port, corpus)
        verify(corpus, inbox)
        return {name: (corpus.bytes / MEGABYTE if load.by_bytes else count) / seconds}

    return Way([name], run, (*sender.needs, *receiver.needs))

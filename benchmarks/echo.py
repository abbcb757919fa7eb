"""Cells of C-ECHO on one association, each sent when the one before is answered."""

from collections.abc import Sequence
from typing import Final

from benchmarks.cells import OURS, AtLeast, Cell, Options, Values, Way
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

__all__ = ["cells"]

MANY: Final = 10_000
# For those with some hundred echoes per second.
FEW: Final = 400
MAX_PDU: Final = 16_384
TIMES_PYNETDICOM: Final = 10


def cells(options: Options) -> Sequence[Cell]:
    """C-ECHO with our server under DCMTK's client, and with our client over DCMTK's server."""
    dcmrecv, echoscu = DcmtkReceiver("dcmrecv", MAX_PDU), DcmtkSender()
    return [
        Cell(
            "echo",
            "SCP under DCMTK echoscu",
            "echoes/s",
            [
                way(OURS, echoscu, OurReceiver(options.loop, MAX_PDU), MANY),
                way("DCMTK dcmrecv", echoscu, dcmrecv, MANY),
                way("pynetdicom", echoscu, PynetdicomReceiver(MAX_PDU, chunked=False), FEW),
            ],
            [AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")],
        ),
        Cell(
            "echo",
            "SCU over DCMTK dcmrecv",
            "echoes/s",
            [
                way(OURS, OurSender(options.loop), dcmrecv, MANY),
                way("DCMTK echoscu", echoscu, dcmrecv, MANY),
                way("pynetdicom", PynetdicomSender(chunked=False), dcmrecv, FEW),
            ],
            [AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")],
        ),
    ]


def way(name: str, sender: Sender, receiver: Receiver, count: int) -> Way:
    """Echoes per second between two; a sender fails where one is not answered with Success."""

    def run(stage: Stage) -> Values:
        server, _ = stage.server(str(receiver), receiver.start)
        return {name: count / sender.echo(server.port, count)}

    return Way([name], run, (*sender.needs, *receiver.needs))

"""Cells of C-ECHO on one association, each sent when the one before is answered."""

from collections.abc import Sequence
from typing import Final

from benchmarks.cells import OURS, AtLeast, Cell, Options, Values, Way, cpu_of
from benchmarks.loads import Side, cpu_on
from benchmarks.others import DcmjsReceiver, DcmjsSender, OrthancReceiver
from benchmarks.peers import (
    DcmtkReceiver,
    DcmtkSender,
    EchoSender,
    OurReceiver,
    OurSender,
    PynetdicomReceiver,
    PynetdicomSender,
    Receiver,
)
from benchmarks.proc import MEASURABLE, cpu_seconds
from benchmarks.stage import Stage

__all__ = ["cells"]

MANY: Final = 10_000
# For those with some hundred echoes per second.
FEW: Final = 400
# For those that wait for a delayed acknowledgement each time.
STALLED: Final = 50
MAX_PDU: Final = 16_384
TIMES_PYNETDICOM: Final = 15
DEFAULT: Final = ", default sockets"


def cells(options: Options) -> Sequence[Cell]:
    """Our server under DCMTK's client, our client over DCMTK's server, and both ours where DCMTK is both."""
    return [under_echoscu(options.loop), over_dcmrecv(options.loop), both(options.loop)]


def under_echoscu(loop: str) -> Cell:
    """Servers."""
    echoscu, default = DcmtkSender(), DcmtkSender(no_delay=False)
    ways = [
        way(OURS, echoscu, OurReceiver(loop, MAX_PDU), MANY, Side.RECEIVER),
        way("DCMTK dcmrecv", echoscu, DcmtkReceiver("dcmrecv", MAX_PDU), MANY, Side.RECEIVER),
        way("DCMTK storescp", echoscu, DcmtkReceiver("storescp", MAX_PDU), MANY, Side.RECEIVER),
        way(f"DCMTK dcmrecv{DEFAULT}", default, DcmtkReceiver("dcmrecv", MAX_PDU, False), STALLED, Side.RECEIVER),
        way("pynetdicom", echoscu, PynetdicomReceiver(MAX_PDU, chunked=False), FEW, Side.RECEIVER),
        way("Orthanc", echoscu, OrthancReceiver(MAX_PDU), MANY, Side.RECEIVER),
        way("dcmjs-dimse", echoscu, DcmjsReceiver(), FEW, Side.RECEIVER),
    ]
    targets = [*beside("DCMTK dcmrecv", "DCMTK storescp"), AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]
    return cell("SCP under DCMTK echoscu", ways, targets)


def over_dcmrecv(loop: str) -> Cell:
    """Clients."""
    dcmrecv = DcmtkReceiver("dcmrecv", MAX_PDU)
    default = DcmtkReceiver("dcmrecv", MAX_PDU, no_delay=False)
    ways = [
        way(OURS, OurSender(loop), dcmrecv, MANY, Side.SENDER),
        way("DCMTK echoscu", DcmtkSender(), dcmrecv, MANY, Side.SENDER),
        way(f"DCMTK echoscu{DEFAULT}", DcmtkSender(no_delay=False), default, STALLED, Side.SENDER),
        way("pynetdicom", PynetdicomSender(chunked=False), dcmrecv, FEW, Side.SENDER),
        way("dcmjs-dimse", DcmjsSender(), dcmrecv, FEW, Side.SENDER),
    ]
    targets = [*beside("DCMTK echoscu"), AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")]
    return cell("SCU over DCMTK dcmrecv", ways, targets)


def both(loop: str) -> Cell:
    """Client and server."""
    ways = [
        way(OURS, OurSender(loop), OurReceiver(loop, MAX_PDU), MANY, Side.BOTH),
        way("DCMTK", DcmtkSender(), DcmtkReceiver("dcmrecv", MAX_PDU), MANY, Side.BOTH),
        way("pynetdicom", PynetdicomSender(chunked=False), PynetdicomReceiver(MAX_PDU, chunked=False), FEW, Side.BOTH),
    ]
    return cell("both ends", ways, [*beside("DCMTK"), AtLeast(OURS, TIMES_PYNETDICOM, "pynetdicom")])


def beside(*programs: str) -> list[AtLeast]:
    return [AtLeast(OURS, 1, program) for program in programs]


def cell(name: str, ways: Sequence[Way], targets: Sequence[AtLeast]) -> Cell:
    return Cell("echo", name, "echoes/s", ways, targets, cost="s/1,000 echoes")


def way(name: str, sender: EchoSender, receiver: Receiver, count: int, side: Side) -> Way:
    """Echoes per second between two; a sender fails where one is not answered with Success."""

    def run(stage: Stage) -> Values:
        server, _ = stage.server(str(receiver), receiver.start)
        before = cpu_seconds(server.pid) if MEASURABLE else 0.0
        spent = sender.spent_echoing(server.port, count)
        received = (cpu_seconds(server.pid) if MEASURABLE else 0.0) - before
        return {name: count / spent.seconds, cpu_of(name): cpu_on(side, spent, received) / count * 1000}

    return Way([name], run, (*sender.needs, *receiver.needs))

"""Cells of C-STORE on one association, from files to files, at DCMTK's best setting (TCP_NODELAY=1)."""

from collections.abc import Sequence
from typing import Final

from benchmarks.cells import OURS, AtLeast, AtMost, Cell, Options, Target, Way, cpu_of
from benchmarks.loads import MEGABYTE, PDU_LENGTHS, Load, Side, discarding, storing
from benchmarks.others import DcmjsReceiver, OrthancReceiver
from benchmarks.peers import (
    DcmtkReceiver,
    DcmtkSender,
    OurReceiver,
    OurSender,
    PynetdicomReceiver,
    PynetdicomSender,
)
from benchmarks.processes import report_of
from benchmarks.stage import Stage

__all__ = ["both_ends", "cells", "disk_cells"]

BARE: Final = "benchmarks.programs.bare_copy"
NAME_OF_BARE: Final = "bare asyncio"
# What ours reaches of the speed of a copy without DICOM, by the length of PDUs.
TIMES_BARE: Final = {16_384: 0.6, 131_072: 0.8}

LOADS: Final = (
    Load("4 KiB", 1 << 12, 3000, 300, times_pynetdicom=15),
    Load("0.5 MiB", 1 << 19, 400, 60, times_pynetdicom=7),
    Load("1 GiB", 1 << 30, 1, 1, by_bytes=True, chunked=True, times_pynetdicom=2),
)
LARGEST: Final = LOADS[-1]

DCMRECV: Final = "DCMTK dcmrecv"
STORESCP: Final = "DCMTK storescp"
STORESCU: Final = "DCMTK storescu"
DCMSEND: Final = "DCMTK dcmsend"
PYNETDICOM: Final = "pynetdicom"


def cells(options: Options) -> Sequence[Cell]:
    """Every size at every length of PDU, received from DCMTK's client and sent to DCMTK's server."""
    pairs = [(load, pdu) for load in LOADS for pdu in PDU_LENGTHS]
    return [
        cell
        for load, pdu in pairs
        for cell in (received(load, pdu, options.loop, "store"), sent(load, pdu, options.loop, "store"))
    ]


def disk_cells(options: Options) -> Sequence[Cell]:
    """The same in a directory that is on a disk, beside DCMTK alone."""
    return [without_slow_peers(cell) for cell in cells(options)]


def both_ends(options: Options) -> Sequence[Cell]:
    """A large object from file to file, both ends ours, beside a copy over the same loopback without DICOM."""
    return [copied(pdu, options.loop) for pdu in PDU_LENGTHS]


def received(load: Load, pdu: int, loop: str, topic: str) -> Cell:
    """Our server under DCMTK's client."""
    storescu = DcmtkSender()
    ways = [
        storing(OURS, storescu, OurReceiver(loop, pdu), load, load.many),
        storing(DCMRECV, storescu, DcmtkReceiver("dcmrecv", pdu), load, load.many),
        storing(STORESCP, storescu, DcmtkReceiver("storescp", pdu), load, load.many),
        storing(PYNETDICOM, storescu, PynetdicomReceiver(pdu, load.chunked), load, load.few),
        storing("Orthanc", storescu, OrthancReceiver(pdu), load, load.few),
    ]
    if not load.by_bytes:
        ways.append(storing("dcmjs-dimse, discarding", storescu, DcmjsReceiver(), load, load.few))
    targets = targets_beside(load, DCMRECV, STORESCP)
    return Cell(topic, f"{load.name} to SCP, PDU {pdu:,}", load.unit, ways, targets, cost=load.cost)


def sent(load: Load, pdu: int, loop: str, topic: str) -> Cell:
    """Our client over DCMTK's server, which takes everything and keeps nothing."""
    ignoring, keeping = DcmtkReceiver("dcmrecv", pdu, keeps=False), DcmtkReceiver("dcmrecv", pdu)
    senders = {
        OURS: (OurSender(loop), load.many),
        STORESCU: (DcmtkSender(), load.many),
        DCMSEND: (DcmtkSender(program="dcmsend"), load.many),
        PYNETDICOM: (PynetdicomSender(load.chunked), load.few),
    }
    ways = [discarding(name, sender, ignoring, keeping, load, count) for name, (sender, count) in senders.items()]
    targets = targets_beside(load, STORESCU, DCMSEND)
    return Cell(topic, f"{load.name} from SCU, PDU {pdu:,}", load.unit, ways, targets, cost=load.cost)


def targets_beside(load: Load, *programs: str) -> list[Target]:
    """Not slower than DCMTK's programs, with large objects on no more processor time, and faster than pynetdicom."""
    targets: list[Target] = [AtLeast(OURS, 1, program) for program in programs]
    if load.by_bytes:
        targets += [AtMost(cpu_of(OURS), 1, cpu_of(program)) for program in programs]
    return [*targets, AtLeast(OURS, load.times_pynetdicom, PYNETDICOM)]


def without_slow_peers(cell: Cell) -> Cell:
    """A cell of the topic `disk`, with ours and DCMTK alone."""
    ways = [way for way in cell.ways if all(name == OURS or name.startswith("DCMTK") for name in way.names)]
    targets = [target for target in cell.targets if PYNETDICOM not in str(target)]
    return Cell("disk", cell.name, cell.unit, ways, targets, cost=cell.cost)


def copied(pdu: int, loop: str) -> Cell:
    """One object at one length of PDU."""

    def bare(stage: Stage) -> dict[str, float]:
        corpus = stage.corpus(LARGEST.size, 1)
        (source,) = corpus.files.values()
        target = stage.root / "copy"
        report = report_of(BARE, ["--source", str(source), "--target", str(target), "--loop", loop])
        target.unlink()
        return {NAME_OF_BARE: source.stat().st_size / MEGABYTE / report["seconds"]}

    ours = storing(OURS, OurSender(loop), OurReceiver(loop, pdu), LARGEST, 1, Side.BOTH)
    targets = [AtLeast(OURS, TIMES_BARE[pdu], NAME_OF_BARE)]
    name = f"{LARGEST.name} between ours, PDU {pdu:,}"
    return Cell("copy", name, LARGEST.unit, [ours, Way([NAME_OF_BARE], bare)], targets, cost=LARGEST.cost)

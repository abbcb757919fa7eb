"""How much memory a large object takes, in the process that sends it and in the one that receives it."""

from collections.abc import Sequence
from typing import Final

from benchmarks.cells import Below, Cell, Options, Values, Way
from benchmarks.objects import verify
from benchmarks.peers import OurReceiver, OurSender
from benchmarks.proc import PROC, peak_kib, reset_peak, rss_kib
from benchmarks.stage import Stage

__all__ = ["cells"]

# What the receiver asks for; 0 is for PDUs of any length (PS3.8 D.1).
PDU_LENGTHS: Final = (16_384, 262_144, 0)
# That of objects which take long.
PDU_LENGTH: Final = 131_072
LARGE: Final = 1 << 32
LIMIT_MIB: Final = 32
KIB: Final = 1024


def cells(options: Options) -> Sequence[Cell]:
    """One object from file to file, of each size; at each length of PDU where that does not take long."""
    return [
        cell(options.loop, size, pdu)
        for size in options.sizes
        for pdu in ((PDU_LENGTH,) if size >= LARGE else PDU_LENGTHS)
    ]


def cell(loop: str, size: int, pdu: int) -> Cell:
    """One large object at a length of PDU."""

    def run(stage: Stage) -> Values:
        corpus = stage.corpus(size, 1)
        server, inbox = stage.server("dicomio", OurReceiver(loop, pdu).start)
        reset_peak(server.pid)
        before = rss_kib(server.pid)
        report = OurSender(loop).store_reporting(server.port, corpus)
        growth_kib = peak_kib(server.pid) - before
        verify(corpus, inbox)
        return {"sending": report["growth_kib"] / KIB, "receiving": growth_kib / KIB}

    series = ["sending", "receiving"]
    targets = [Below(name, LIMIT_MIB) for name in series]
    name = f"growth of memory over an object of {size / KIB**3:g} GiB, PDU {f'{pdu:,}' if pdu else 'unlimited'}"
    return Cell("memory", name, "MiB", [Way(series, run, (PROC,))], targets, rounds=1)

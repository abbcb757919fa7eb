"""Cells of what associations agree on: windows over a link with a delay, TLS, and processes that share a port."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trustme

from benchmarks.cells import OURS, AtLeast, Below, Cell, Options, Values, Way
from benchmarks.objects import verify
from benchmarks.peers import OurReceiver, OurSender
from benchmarks.processes import Server, report_of, start_announcing
from benchmarks.stage import Stage

__all__ = ["cells"]

RELAY: Final = "benchmarks.programs.relay"
RAW_TLS: Final = "benchmarks.programs.raw_tls"
HANDSHAKES: Final = "benchmarks.programs.handshakes"

# One way, so that a round trip takes twice as long.
MILLISECONDS: Final = 10
WINDOW: Final = 8
TIMES_WINDOW_1: Final = 6
NEAR_THE_LIMIT: Final = 0.9
SMALL_SIZE: Final = 40_000
MANY: Final = 800
FEW: Final = 80

LARGE_SIZE: Final = 1 << 28
MEGABYTE: Final = 1_000_000
TIMES_RAW: Final = 0.5
MAX_PDU: Final = 131_072
AT_ONCE: Final = 200
LATE_MS: Final = 50


def cells(options: Options) -> Sequence[Cell]:
    """Windows, TLS throughput, TLS handshakes."""
    return [windows(options), throughput(options), handshakes(options)]


def windows(options: Options) -> Cell:
    """Small objects over a link with a delay, one at a time and several; the limit is what its round trip admits."""

    def relayed(stage: Stage) -> Server:
        server, _ = stage.server(OURS, OurReceiver(options.loop, MAX_PDU).start)

        def start(inbox: Path, log: Path) -> Server:
            arguments = ["--port", str(server.port), "--milliseconds", str(MILLISECONDS)]
            return start_announcing(RELAY, arguments, log)

        return stage.server("relay", start)[0]

    def run(name: str, window: int, count: int, stage: Stage) -> Values:
        corpus = stage.corpus(SMALL_SIZE, count)
        seconds = OurSender(options.loop, ("--window", str(window))).store(relayed(stage).port, corpus)
        verify(corpus, stage.server(OURS, OurReceiver(options.loop, MAX_PDU).start)[1])
        return {name: count / seconds}

    def limit(stage: Stage) -> Values:
        seconds = OurSender(options.loop).echo(relayed(stage).port, FEW)
        return {"limit": WINDOW * FEW / seconds}

    ways = [
        Way([f"window {WINDOW}"], partial(run, f"window {WINDOW}", WINDOW, MANY)),
        Way(["window 1"], partial(run, "window 1", 1, FEW)),
        Way(["limit"], limit),
    ]
    series = f"window {WINDOW}"
    targets = [AtLeast(series, TIMES_WINDOW_1, "window 1"), AtLeast(series, NEAR_THE_LIMIT, "limit")]
    return Cell("agreements", f"40 kB over {2 * MILLISECONDS} ms there and back", "objects/s", ways, targets)


def certificate_of(stage: Stage) -> Path:
    """A certificate with its key, made when it is asked for first."""
    path = stage.root / "certificate.pem"
    if not path.exists():
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    return path


def throughput(options: Options) -> Cell:
    """A large object over TLS, beside Python's ssl alone."""

    def ours(stage: Stage) -> Values:
        corpus = stage.corpus(LARGE_SIZE, 1)
        receiver = OurReceiver(options.loop, MAX_PDU, certificate=certificate_of(stage))
        server, inbox = stage.server("with TLS", receiver.start)
        seconds = OurSender(options.loop, ("--tls",)).store(server.port, corpus)
        verify(corpus, inbox)
        return {OURS: LARGE_SIZE / MEGABYTE / seconds}

    def raw(stage: Stage) -> Values:
        arguments = ["--certificate", str(certificate_of(stage)), "--size", str(LARGE_SIZE)]
        return {"ssl alone": LARGE_SIZE / MEGABYTE / report_of(RAW_TLS, arguments)["seconds"]}

    ways = [Way([OURS], ours), Way(["ssl alone"], raw)]
    return Cell("agreements", "256 MiB over TLS 1.3", "MB/s", ways, [AtLeast(OURS, TIMES_RAW, "ssl alone")])


def handshakes(options: Options) -> Cell:
    """The slowest echo of an association while many handshakes are under way."""

    def run(stage: Stage) -> Values:
        receiver = OurReceiver(options.loop, MAX_PDU, AT_ONCE, certificate_of(stage))
        server, _ = stage.server("with TLS", receiver.start)
        arguments = ["--port", str(server.port), "--count", str(AT_ONCE), "--loop", options.loop]
        return {"slowest echo": report_of(HANDSHAKES, arguments)["slowest"] * 1000}

    ways = [Way(["slowest echo"], run)]
    return Cell("agreements", f"an echo during {AT_ONCE} TLS handshakes", "ms", ways, [Below("slowest echo", LATE_MS)])

"""`python -m benchmarks.profiles`: where the time goes in dicomio, by Linux's `perf`, as a table in Markdown.

Each line is one process of ours. On the other side is a program of DCMTK, or for an SCP of associations a bare client.
What counts is processor time: waiting asleep has none, waiting awake (`dicomio.vigil`) has.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.associations import OPENINGS
from benchmarks.finds import MATCHES, OUR_SCU, start_ours, studies
from benchmarks.images import IMAGES, start_dcmqrscp
from benchmarks.loops import LOOPS, best_loop
from benchmarks.objects import verify
from benchmarks.peers import OUR_SCU as OUR_STORE_SCU
from benchmarks.peers import DcmtkReceiver, DcmtkSender, OurReceiver, dcmtk_environment
from benchmarks.places import default_directory
from benchmarks.processes import RUN_SECONDS, Failure, Server, report_of, start, start_module, timed
from benchmarks.stage import Stage
from benchmarks.table import between

__all__ = ["COPYING", "INTERPRETER", "KERNEL", "LIBRARIES", "SWITCHING", "shares", "table"]

MAX_PDU: Final = 16_384
KIB: Final = 1 << 10
GIB: Final = 1 << 30
# Samples per second, odd so that they do not keep step with anything.
FREQUENCY: Final = 1999
# How long a server is looked at, and what a client is left to start in.
SECONDS: Final = 5.0
STARTING: Final = 1.5
# The table and the module in the lines of comment around it.
TITLE: Final = ("profiles", "profiles")

COPYING: Final = "kernel, copying"
SWITCHING: Final = "kernel, switching processes"
KERNEL: Final = "kernel, else"
INTERPRETER: Final = "interpreter"
LIBRARIES: Final = "event loop, C library"
KINDS: Final = (INTERPRETER, KERNEL, SWITCHING, COPYING, LIBRARIES)
# How the names of functions of the kernel begin that do this; underscores before them do not count.
COPIES: Final = ("copy", "rep_movs", "memcpy", "skb_copy", "csum_and_copy", "simple_copy")
SWITCHES: Final = (
    "schedule",
    "finish_task_switch",
    "try_to_wake_up",
    "switch_",
    "ttwu",
    "do_sched_yield",
    "yield_task",
)

# Objects: what they are called, bytes, how many at a time are sent to a server, how many a client sends.
SIZES: Final = (("4 KiB", 4 * KIB, 2000, 16_000), ("0.5 MiB", 512 * KIB, 500, 4000), ("1 GiB", GIB, 1, 3))

Load: TypeAlias = Callable[[], object]


def kind_of(binary: str, symbol: str) -> str:
    """What a function is counted as.

    Args:
        binary: file that it is in.
        symbol: its name, after `[k]` where it is one of the kernel.
    """
    if symbol.startswith("[k]"):
        name = symbol.removeprefix("[k]").strip(" _")
        if name.startswith(COPIES):
            return COPYING
        return SWITCHING if name.startswith(SWITCHES) else KERNEL
    # Modules of the standard library are a part of the program or files of their own; uvloop's is `loop.cpython-…`.
    is_module = ".cpython-" in binary and not binary.startswith("loop.")
    return INTERPRETER if is_module or binary.startswith(("python", "libpython")) else LIBRARIES


def shares(report: str) -> Mapping[str, float]:
    """Percent by kind, of what `perf report` prints: overhead, samples, binary and symbol between semicolons."""
    found: Counter[str] = Counter()
    for line in report.splitlines():
        overhead, *columns = (word.strip() for word in line.split(";"))
        if overhead.endswith("%") and len(columns) >= 3:
            samples, binary, symbol, *_ = columns
            found[kind_of(binary, symbol)] += int(samples)
    return {kind: count * 100 / found.total() for kind, count in found.items()}


@contextmanager
def sampling(pid: int, samples: Path, delay: float = 0.0) -> Iterator[None]:
    """Takes samples of a process meanwhile, after so many seconds.

    Raises:
        Failure: `perf` cannot do that.
    """
    samples.unlink(missing_ok=True)
    waiting = ["-D", f"{delay * 1000:.0f}"] if delay else []
    command = ["perf", "record", "--quiet", "-e", "cpu-clock", "-F", str(FREQUENCY), *waiting]
    log = samples.with_suffix(".log")
    recorder = start("perf record", [*command, "-o", str(samples), "-p", str(pid)], log, None)
    try:
        yield
    finally:
        recorder.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            recorder.process.wait(SECONDS)
        recorder.stop()
    if not samples.exists():
        raise Failure(f"perf took no samples: {log.read_text(errors='replace').strip()}")


def reported(samples: Path) -> Mapping[str, float]:
    """What was found, by kind.

    Raises:
        Failure: nothing was, or nothing of the kernel.
    """
    options = ["--stdio", "--show-nr-samples", "--sort", "dso,symbol", "--field-separator", ";", "-i", str(samples)]
    result = subprocess.run(
        ["perf", "report", *options], capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if not re.search(r"\[k\] [^0]", result.stdout):
        raise Failure(
            "perf saw nothing of the kernel: it needs kernel.perf_event_paranoid < 2, kernel.kptr_restrict = 0"
        )
    return shares(result.stdout)


def of_server(server: Server, load: Load, samples: Path) -> Mapping[str, float]:
    """A server, under a load that is repeated for a while."""
    load()
    with sampling(server.pid, samples):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            load()
    return reported(samples)


def of_client(module: str, *arguments: str, loop: str, port: int, samples: Path) -> Mapping[str, float]:
    """A client of ours, from when it has started to its end."""
    log = samples.with_suffix(".log")
    client = start_module(module, ["--port", str(port), "--loop", loop, *arguments], log)
    try:
        with sampling(client.pid, samples, STARTING):
            client.process.wait(RUN_SECONDS)
        if client.process.returncode:
            client.check()
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{module} took more than {RUN_SECONDS:g} s") from error
    finally:
        client.stop()
    return reported(samples)


def profiles(stage: Stage, loop: str) -> Iterator[tuple[str, Mapping[str, float]]]:
    """What is looked at, one after the other."""
    samples = stage.root / "perf.data"
    receiver, ignorer = OurReceiver(loop, MAX_PDU), DcmtkReceiver("dcmrecv", MAX_PDU, keeps=False)
    server, inbox = stage.server("ours", receiver.start)
    port = stage.server("theirs", ignorer.start)[0].port
    client = partial(of_client, OUR_STORE_SCU, loop=loop, port=port, samples=samples)
    yield "echo, SCP", of_server(server, lambda: DcmtkSender().echo(server.port, 5000), samples)
    yield "echo, SCU", client("echo", "--count", "25000")
    opening = ["--port", str(server.port), "--count", "3000"]
    yield "associations, SCP", of_server(server, lambda: report_of(OPENINGS, opening), samples)
    yield "associations, SCU", client("associate", "--count", "8000")
    for name, size, many, more in SIZES:
        with Stage(stage.parent) as apart:
            corpus = apart.corpus(size, many)
            yield f"{name} received", of_server(server, partial(DcmtkSender().store, server.port, corpus), samples)
            verify(corpus, inbox)
        with Stage(stage.parent) as apart:
            corpus = apart.corpus(size, more)
            yield f"{name} sent", client("store", "--first", str(corpus.first), "--folder", str(corpus.folder))
    stage.stop_servers()
    finder, _ = stage.server("find", partial(start_ours, loop, MATCHES, Path()))
    command = studies(MATCHES, StudyID=str(MATCHES)).command(finder.port, "--quiet")
    yield "find, SCP", of_server(finder, partial(timed, command, dcmtk_environment(no_delay=True)), samples)
    port = stage.server("dcmqrscp", start_dcmqrscp)[0].port
    asking = ["images", "--count", str(IMAGES), "--times", "20"]
    yield "find, SCU", of_client(OUR_SCU, *asking, loop=loop, port=port, samples=samples)


def table(lines: Mapping[str, Mapping[str, float]]) -> str:
    """All of it in Markdown."""
    head = ["", *KINDS]
    rows = [[name, *(f"{found.get(kind, 0):.0f} %" for kind in KINDS)] for name, found in lines.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---", *["---:"] * len(KINDS)], *rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line, and sees whether what it asks for is possible, since it takes minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--loop", choices=LOOPS, default=best_loop(), help="event loop of ours")
    parser.add_argument("--into", type=Path, help="a file with two lines of comment, for the table to go between")
    given = parser.parse_args(arguments)
    if shutil.which("perf") is None:
        parser.error("perf is not installed")
    try:
        if given.into is not None:
            between(given.into.read_text(), "", *TITLE)
    except (OSError, ValueError) as error:
        parser.error(f"{given.into}: {error}")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes all profiles; prints the table or writes it into a file.

    Returns:
        0, or 1 where not all could be taken; then those before are printed.
    """
    given = parse(arguments)
    # ends the servers and removes the files, as any other way out does
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    lines = {}
    try:
        with Stage(default_directory(max(size * max(counts) for _, size, *counts in SIZES))) as stage:
            for name, found in profiles(stage, given.loop):
                print(name, file=sys.stderr, flush=True)
                lines[name] = found
    except Failure as failure:
        print(table(lines))
        print(failure, file=sys.stderr)
        return 1
    if given.into is None:
        print(table(lines))
    else:
        given.into.write_text(between(given.into.read_text(), table(lines), *TITLE))
    return 0


if __name__ == "__main__":
    sys.exit(main())

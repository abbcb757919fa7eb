"""A dicomio client that sends echoes or files or opens associations, and prints how long that took, as JSON."""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import dicomio
from benchmarks.loops import run
from benchmarks.proc import MEASURABLE, peak_kib, reset_peak, rss_kib
from dicomio import Limits, tls
from dicomio.sop import Verification


async def echo(address: str, count: int) -> dict[str, float]:
    """So many C-ECHOs, each after the answer to the one before."""
    async with dicomio.connect(address, contexts=[Verification]) as association:
        await association.echo()
        started, before = time.perf_counter(), time.process_time()
        for _ in range(count):
            await association.echo()
        return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - before}


async def associate(address: str, count: int, at_once: int) -> dict[str, float]:
    """Opens and releases so many associations, so many at once."""

    async def one() -> None:
        async with dicomio.connect(address, contexts=[Verification]):
            pass

    async def some(share: int) -> None:
        for _ in range(share):
            await one()

    await one()
    started, before = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some(count // at_once) for _ in range(at_once)))
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - before}


async def store(
    address: str, first: Path, files: Sequence[Path], window: int | None, secure: bool, associations: int
) -> dict[str, float]:
    """One small object, and then the others against the clock, over the same association or several."""
    limits = Limits(associations=associations)
    context = tls.client_context(verify=False) if secure else None
    async with dicomio.Client(address, window=window, ssl=context, limits=limits) as client:
        await client.store(first)
        started, before = time.perf_counter(), time.process_time()
        outcomes = client.store_many(files)
        await outcomes
        spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - before}
    if outcomes.failures:
        raise SystemExit(f"{len(outcomes.failures)} objects were not stored, the first: {outcomes.failures[0]}")
    return spent


def measuring_memory(work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What work reports, and by how much memory grew meanwhile at its peak, where the system tells."""
    if not MEASURABLE:
        return work()
    pid = os.getpid()
    reset_peak(pid)
    before = rss_kib(pid)
    return work() | {"growth_kib": peak_kib(pid) - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("echo").add_argument("--count", type=int, required=True)
    opening = commands.add_parser("associate")
    opening.add_argument("--count", type=int, required=True)
    opening.add_argument("--at-once", type=int, default=1)
    storing = commands.add_parser("store")
    storing.add_argument("--first", type=Path, required=True)
    storing.add_argument("--folder", type=Path, required=True)
    storing.add_argument("--window", type=int, help="operations to have outstanding")
    storing.add_argument("--tls", action="store_true")
    storing.add_argument("--associations", type=int, default=1, help="to send over, side by side")
    arguments = parser.parse_args()
    address = f"BENCH@127.0.0.1:{arguments.port}"
    if arguments.command == "echo":
        report = run(echo(address, arguments.count), arguments.loop)
    elif arguments.command == "associate":
        report = run(associate(address, arguments.count, arguments.at_once), arguments.loop)
    else:
        files = sorted(arguments.folder.iterdir())
        work = partial(store, address, arguments.first, files, arguments.window, arguments.tls, arguments.associations)
        report = measuring_memory(lambda: run(work(), arguments.loop))
    print(json.dumps(report))


if __name__ == "__main__":
    main()

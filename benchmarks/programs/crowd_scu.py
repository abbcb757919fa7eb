"""Many associations of dicomio with one server, all at once: each echoes, stores its files, and is timed; as JSON."""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import dicomio
from benchmarks.limits import allow_open_files
from benchmarks.loops import run
from dicomio.sop import SecondaryCaptureImageStorage, Verification

# The server has them all wait for one another.
PATIENCE = dicomio.Timeout(120)


async def work(address: str, echoes: int, files: Sequence[Path], ready: asyncio.Barrier) -> float:
    """Seconds that one association takes for everything, after all of them are open."""
    contexts = [Verification, SecondaryCaptureImageStorage]
    async with dicomio.connect(address, contexts=contexts, timeout=PATIENCE) as association:
        await ready.wait()
        started = time.perf_counter()
        for _ in range(echoes):
            await association.echo()
        for path in files:
            await association.store(path)
        return time.perf_counter() - started


async def crowd(address: str, associations: int, echoes: int, files: Sequence[Path]) -> dict[str, float]:
    """All of them; an operation that fails ends everything."""
    ready = asyncio.Barrier(associations)
    share = len(files) // associations
    started = time.perf_counter()
    seconds = await asyncio.gather(
        *(work(address, echoes, files[number * share : (number + 1) * share], ready) for number in range(associations))
    )
    return {
        "seconds": time.perf_counter() - started,
        "slowest": max(seconds),
        "median": statistics.median(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--associations", type=int, required=True)
    parser.add_argument("--echoes", type=int, required=True)
    given = parser.parse_args()
    allow_open_files(2 * given.associations)
    files = sorted(given.folder.iterdir())
    address = f"BENCH@127.0.0.1:{given.port}"
    print(json.dumps(run(crowd(address, given.associations, given.echoes, files), given.loop)))


if __name__ == "__main__":
    main()

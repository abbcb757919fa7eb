"""A dicomio client that queries or retrieves and prints how long that took, as JSON."""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from pydicom.dataset import Dataset

import dicomio
from benchmarks.limits import allow_open_files
from benchmarks.loops import run
from benchmarks.programs.our_scu import measuring_memory
from benchmarks.programs.rows import IMAGE_KEYS, IMAGE_UID, KEYS
from dicomio.sop import SecondaryCaptureImageStorage

STUDY = dicomio.query("STUDY", StudyInstanceUID="1.2.3")


def studies(count: int) -> Dataset:
    """What to ask a server of ours for so many studies."""
    return dicomio.dataset(**dict.fromkeys(KEYS, "") | {"QueryRetrieveLevel": "STUDY", "StudyID": str(count)})


async def find(client: dicomio.Client, identifier: Dataset, count: int) -> int:
    """Takes so many matches one by one."""
    found = 0
    async with client.find(identifier) as matches:
        async for _ in matches:
            found += 1
    if found != count:
        raise SystemExit(f"{found} matches in place of {count}")
    return found


async def timed_find(address: str, count: int) -> dict[str, float]:
    async with dicomio.Client(address) as client:
        await find(client, studies(1), 1)
        started = time.perf_counter()
        await find(client, studies(count), count)
        return {"seconds": time.perf_counter() - started}


async def timed_find_images(address: str, count: int, times: int) -> dict[str, float]:
    """Finds all images of a study so many times; the association stands before."""
    async with dicomio.Client(address) as client:
        await find(client, dicomio.dataset(**IMAGE_KEYS | {"SOPInstanceUID": f"{IMAGE_UID}.0"}), 1)
        started = time.perf_counter()
        for _ in range(times):
            await find(client, dicomio.dataset(**IMAGE_KEYS), count)
        return {"seconds": time.perf_counter() - started}


async def get(address: str, inbox: Path) -> dict[str, float]:
    """Retrieves everything into files."""
    async with dicomio.Client(address) as client:
        started = time.perf_counter()
        async with client.get(STUDY, storage=[SecondaryCaptureImageStorage]) as objects:
            async for item in objects:
                await item.save(inbox)
        if objects.status:
            raise SystemExit(f"C-GET ended with {objects.status}")
        return {"seconds": time.perf_counter() - started}


async def move(address: str, to: str) -> dict[str, float]:
    """Has everything sent elsewhere."""
    async with dicomio.Client(address) as client:
        await client.echo()
        started = time.perf_counter()
        retrieval = client.move(STUDY, to=to)
        await retrieval
        if retrieval.status:
            raise SystemExit(f"C-MOVE ended with {retrieval.status}")
        return {"seconds": time.perf_counter() - started}


async def crowd(address: str, associations: int, matches: int) -> dict[str, float]:
    """Finds and gets on so many associations at once; the slowest counts, from its beginning to its end."""

    async def one(number: int) -> float:
        async with dicomio.Client(address) as client:
            started = time.perf_counter()
            if number % 2:
                await find(client, studies(matches), matches)
            else:
                async with client.get(STUDY, storage=[SecondaryCaptureImageStorage]) as objects:
                    async for item in objects:
                        await item.read()
                if objects.status:
                    raise SystemExit(f"C-GET ended with {objects.status}")
            return time.perf_counter() - started

    started = time.perf_counter()
    seconds = await asyncio.gather(*(one(number) for number in range(associations)))
    return {
        "seconds": time.perf_counter() - started,
        "slowest": max(seconds),
        "median": sorted(seconds)[len(seconds) // 2],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("find").add_argument("--count", type=int, required=True)
    images = commands.add_parser("images")
    images.add_argument("--count", type=int, required=True)
    images.add_argument("--times", type=int, default=1)
    commands.add_parser("get").add_argument("--inbox", type=Path, required=True)
    commands.add_parser("move").add_argument("--to", required=True)
    crowded = commands.add_parser("crowd")
    crowded.add_argument("--associations", type=int, required=True)
    crowded.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    address = f"BENCH@127.0.0.1:{given.port}"
    works: dict[str, Callable[[], Coroutine[None, None, dict[str, float]]]] = {
        "find": lambda: timed_find(address, given.count),
        "images": lambda: timed_find_images(address, given.count, given.times),
        "get": lambda: get(address, given.inbox),
        "move": lambda: move(address, given.to),
        "crowd": lambda: crowd(address, given.associations, given.count),
    }
    work = works[given.command]
    allow_open_files(1000)
    print(json.dumps(measuring_memory(lambda: run(work(), given.loop))))


if __name__ == "__main__":
    main()

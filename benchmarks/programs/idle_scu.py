"""Opens many associations with dicomio and leaves them idle; prints their number once they are open.

A line on standard input has it look whether all of them live, and release them.
"""

import argparse
import asyncio
import sys

import dicomio
from benchmarks.limits import allow_open_files
from benchmarks.loops import run
from dicomio.sop import Verification

AT_ONCE = 50


async def hold(address: str, count: int) -> None:
    """Opens the associations, waits for the line, asks each for a sign of life and releases it."""
    associations: list[dicomio.Association] = []
    while len(associations) < count:
        opening = (open_one(address) for _ in range(min(AT_ONCE, count - len(associations))))
        associations += await asyncio.gather(*opening)
    print(len(associations), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for association in associations:
        await association.echo()
        await association.release()
    print("released", flush=True)


async def open_one(address: str) -> dicomio.Association:
    return await dicomio.connect(address, contexts=[Verification])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--loop", required=True)
    arguments = parser.parse_args()
    allow_open_files(arguments.count)
    run(hold(f"BENCH@127.0.0.1:{arguments.port}", arguments.count), arguments.loop)


if __name__ == "__main__":
    main()

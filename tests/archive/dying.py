"""A program that keeps objects until it is killed, or dies where it is told to.

    python -m tests.archive.dying ROOT [OWNER FUNCTION CALLS before|after]

It adds the same eight objects again and again with other contents, and says of each version when it is durable.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from dicomio.archive import Archive
from dicomio.archive.index import Index
from dicomio.archive.objects import FileStore
from dicomio.archive.writer import Writer
from tests.archive.objects import ct

OBJECTS = 8
VERSIONS = 1000
OWNERS: dict[str, Any] = {"store": FileStore, "index": Index, "writer": Writer}


def die_at(owner: Any, name: str, calls: int, when: str) -> None:
    """Has this process die at the call of a function that has this number."""
    func: Callable[..., Any] = getattr(owner, name)
    left = calls

    def reached(moment: str) -> None:
        nonlocal left
        if moment == when:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    def call(*args: Any) -> Any:
        reached("before")
        result = func(*args)
        reached("after")
        return result

    async def call_async(*args: Any) -> Any:
        reached("before")
        result = await func(*args)
        reached("after")
        return result

    setattr(owner, name, call_async if asyncio.iscoroutinefunction(func) else call)


async def main(root: str) -> None:
    async with Archive(root) as archive:

        async def add(number: int, version: int) -> None:
            await archive.add(ct(number % 3, number % 2, number, ImageComments=str(version)))
            os.write(1, f"{number} {version}\n".encode())

        for version in range(VERSIONS):
            await asyncio.gather(*(add(number, version) for number in range(OBJECTS)))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_at(OWNERS[sys.argv[2]], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    asyncio.run(main(sys.argv[1]))

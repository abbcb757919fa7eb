"""Copies a file over one loopback connection with asyncio and nothing else; prints how long that took, as JSON.

The receiver is a process of its own. A megabyte at a time is read and written; the clock stops when the receiver has
closed its file and said so. Both files are compared then.
"""

import argparse
import asyncio
import filecmp
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import cast

from benchmarks.loops import LOOPS, run

PIECE = 1 << 20
DONE = b"!"


class Receiver(asyncio.BufferedProtocol):
    """Writes what arrives to a file.

    Args:
        target: the file, to be made.
        size: how much is to come, bytes.
        done: set when all of it is there.
    """

    def __init__(self, target: Path, size: int, done: asyncio.Event) -> None:
        self.file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self.left = size
        self.done = done
        self.buffer = memoryview(bytearray(PIECE))
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop are not derived from it.
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        at = 0
        while at < nbytes:
            at += os.write(self.file, self.buffer[at:nbytes])
        self.left -= nbytes
        if not self.left:
            os.close(self.file)
            self.transport.write(DONE)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set()


class Sender(asyncio.Protocol):
    """Knows when the transport has taken everything, and when the other side is done."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def data_received(self, data: bytes) -> None:
        self.done.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.may_write.set()
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError())


async def receive(listener: socket.socket, target: Path, size: int) -> None:
    """Takes one connection."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    async with await loop.create_server(lambda: Receiver(target, size, done), sock=listener):
        await done.wait()


async def send(port: int, source: Path) -> float:
    """Seconds for all of it."""
    transport, sender = await asyncio.get_running_loop().create_connection(Sender, "127.0.0.1", port)
    # Drained is empty: then the buffer can be filled again.
    transport.set_write_buffer_limits(0)
    buffer = memoryview(bytearray(PIECE))
    with source.open("rb", buffering=0) as file:
        started = time.perf_counter()
        while size := file.readinto(buffer):
            transport.write(buffer[:size])
            await sender.may_write.wait()
        await sender.done
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--loop", choices=LOOPS, required=True)
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        child = os.fork()
        if not child:
            run(receive(listener, given.target, given.source.stat().st_size), given.loop)
            os._exit(0)
        seconds = run(send(listener.getsockname()[1], given.source), given.loop)
        os.waitpid(child, 0)
    if not filecmp.cmp(given.source, given.target, shallow=False):
        sys.exit("the copy is not what was copied")
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()

"""Passes connections on to a port of the loopback interface, every byte so many milliseconds later; prints its port."""

import argparse
import asyncio
from collections import deque

from benchmarks.loops import run

# Bytes that may be on their way in one direction, as on a link of 10 Gbit/s and 100 ms.
IN_FLIGHT = 1 << 27


class End(asyncio.Protocol):
    """One of the two connections that are passed on to each other."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None
        self.early: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(IN_FLIGHT)

    def data_received(self, data: bytes) -> None:
        self.loop.call_later(self.delay, self.pass_on, data)

    def pass_on(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self.early.append(data)
        elif not self.other.transport.is_closing():
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.loop.call_later(self.delay, self.close_other)

    def close_other(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def join(self, other: "End") -> None:
        """Gives what came too early to the other end."""
        self.other, other.other = other, self
        while self.early:
            self.pass_on(self.early.popleft())


async def serve(port: int, delay: float) -> None:
    """Serves until the process is ended."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def connect(near: End) -> None:
        _, far = await loop.create_connection(lambda: End(delay), "127.0.0.1", port)
        near.join(far)

    def accept() -> End:
        near = End(delay)
        task = loop.create_task(connect(near))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return near

    server = await loop.create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--milliseconds", type=float, required=True)
    parser.add_argument("--loop", required=True)
    given = parser.parse_args()
    run(serve(given.port, given.milliseconds / 1000), given.loop)


if __name__ == "__main__":
    main()

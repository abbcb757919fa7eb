"""A relay that passes associations on untouched and records them as a capture.

```python
async with Recorder("PACS", 104, "bug.pcapng") as recorder:
    print(recorder.port)
    await recorder.wait_ended(1)
```
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from struct import pack
from types import TracebackType
from typing import Final, Self

from dicomio.captures.writing import CaptureWriter, endpoint, file_start
from dicomio.threads import in_thread

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

# What is read at once; a stream holds twice as much before its sender has to wait.
CHUNK: Final = 262_144
# A socket option: what has not been sent is dropped, and a reset sent in its place.
LINGER_NOT: Final = pack("ii", 1, 0)


class Recorder:
    """Listens for connections, opens one to a peer for each, and records what they say.

    Each chunk is in the file before it is passed on. Whoever reads slowly holds back whoever sends.

    Args:
        host: the peer that connections are passed on to.
        port: its port.
        path: the file to write, in pcapng; it must not exist.
        listen_host: address to listen on.
        listen_port: port to listen on; 0 for any that is free.

    Attributes:
        connections: how many were passed on so far.
    """

    def __init__(
        self,
        host: str,
        port: int,
        path: str | PathLike[str],
        *,
        listen_host: str | None = "127.0.0.1",
        listen_port: int = 0,
    ) -> None:
        self.host = host
        self.peer_port = port
        self.path = os.fspath(path)
        self.listen_host = listen_host
        self.listen_port = listen_port
        self.connections = 0
        self.descriptor = -1
        self.server: asyncio.Server | None = None
        self.relays: set[asyncio.Task[None]] = set()
        self.turn = asyncio.Lock()
        self.ended: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self.server is not None
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Makes the file and listens.

        Raises:
            OSError: the file exists or cannot be made, or the port cannot be listened on.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        # Only for its owner: there will be patient data in it.
        self.descriptor = await in_thread(os.open, self.path, flags, 0o600)
        try:
            await self.write(file_start())
            self.server = await asyncio.start_server(self.accepted, self.listen_host, self.listen_port, limit=CHUNK)
        except BaseException:
            await in_thread(os.close, self.descriptor)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops listening, breaks off what is under way and closes the file."""
        assert self.server is not None
        self.server.close()
        for relay in self.relays:
            relay.cancel()
        if self.relays:
            await asyncio.wait(self.relays)
        await in_thread(os.close, self.descriptor)

    async def wait_ended(self, count: float) -> None:
        """Returns when so many connections have been passed on and are over; with `math.inf` never."""
        changed = asyncio.Event()
        self.ended = changed.set
        while self.connections - len(self.relays) < count:
            changed.clear()
            await changed.wait()

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes a connection on until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self.relays.add(task)
        try:
            await self.pass_on(reader, writer)
        except OSError as error:
            logger.warning("nobody answers at %s:%d: %s", self.host, self.peer_port, error)
        finally:
            reset(writer)
            self.relays.discard(task)
            self.ended()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Opens the connection to the peer and lets both directions run."""
        peer_reader, peer_writer = await asyncio.open_connection(self.host, self.peer_port, limit=CHUNK)
        client, server = writer.get_extra_info("peername"), peer_writer.get_extra_info("peername")
        capture = CaptureWriter(endpoint(*client[:2]), endpoint(*server[:2]))
        logger.info("connection %d comes from %s:%d", self.connections, *client[:2])
        try:
            await self.write(capture.opened(time.time_ns()))
            async with asyncio.TaskGroup() as group:
                group.create_task(self.relay(capture, 0, reader, peer_writer))
                group.create_task(self.relay(capture, 1, peer_reader, writer))
            writer.close()
            peer_writer.close()
        except* ConnectionError as errors:
            logger.info("a connection from %s:%d was broken off: %s", *client[:2], errors.exceptions[0])
        except* OSError as errors:
            logger.error("%s cannot be written, so a connection is broken off: %s", self.path, errors.exceptions[0])
        finally:
            reset(peer_writer)

    async def relay(
        self, capture: CaptureWriter, side: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Passes on what one side says, until it has said all or breaks off."""
        # Nothing waits in here, so that the sender is held back, and nothing is lost when the connection is closed.
        writer.transport.set_write_buffer_limits(0)
        try:
            while data := await reader.read(CHUNK):
                await self.write(capture.said(time.time_ns(), side, data))
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            await self.write(capture.reset(time.time_ns(), side))
            raise
        await self.write(capture.closed(time.time_ns(), side))
        with suppress(OSError):
            writer.write_eof()

    async def write(self, blocks: bytes) -> None:
        """Appends to the file."""
        async with self.turn:
            view = memoryview(blocks)
            while view:
                view = view[await in_thread(os.write, self.descriptor, view) :]


def reset(writer: asyncio.StreamWriter) -> None:
    """Breaks a connection off, unless it was closed in good order: the peer sees a reset, as it was meant."""
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        writer.transport.abort()

"""A server that other peers use properly while somebody misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

import dicomio
from dicomio import Application, Limits, StoreRequest, Timeout
from dicomio.sop import CTImageStorage, Verification

ARTIM = 0.2
IDLE = 0.3


class Victim:
    """A Storage SCP under attack.

    Attributes:
        server: it.
        inbox: where it stores.
    """

    def __init__(self, server: dicomio.Server, inbox: Path, app: Application) -> None:
        self.server = server
        self.app = app
        self.inbox = inbox

    async def associate(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection on which an A-ASSOCIATE-RQ was accepted."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        header = await asyncio.wait_for(reader.readexactly(6), 5)
        assert header[0] == 2
        await reader.readexactly(int.from_bytes(header[2:], "big"))
        return reader, writer

    async def attack(self, *parts: bytes) -> bytes:
        """Sends bytes on a new connection, and returns what comes back until it is closed.

        Of several parts the first is an A-ASSOCIATE-RQ, whose acceptance is waited for.
        """
        if len(parts) > 1:
            reader, writer = await self.associate(parts[0])
            parts = parts[1:]
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.fixture
def ct() -> Path:
    """A CT image of 38,870 bytes."""
    return Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    app = Application("VICTIM")
    inbox = tmp_path / "inbox"

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        await request.save(inbox)

    inbox.mkdir()
    timeout = Timeout(5, artim=ARTIM)
    limits = Limits(half_open=20)
    async with dicomio.serve(app, "127.0.0.1", 0, timeout=timeout, limits=limits) as server:
        contexts = [Verification, CTImageStorage]
        async with dicomio.connect(f"VICTIM@127.0.0.1:{server.port}", contexts=contexts) as good:
            yield Victim(server, inbox, app)
            # Nobody else notices.
            assert await good.echo() < 5
            assert not [path for path in inbox.iterdir() if path.name.endswith(".part")]
    assert not app.background
    assert len(asyncio.all_tasks()) == 1

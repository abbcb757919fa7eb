"""Runs programs that name hosts and ports which are not there, by sending their connections where the test listens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

import dicomio
from dicomio import Application, StoreRequest


class Redirect:
    """Connections to anywhere but 127.0.0.1 go to `port` of it, and whoever listens gets a free port.

    Attributes:
        port: where connections go.
        listening: the port that was given instead of the one asked for.
    """

    def __init__(self) -> None:
        self.port = 0
        self.listening: asyncio.Future[int] | None = None


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch) -> Redirect:
    target = Redirect()
    connect = asyncio.BaseEventLoop.create_connection
    listen = asyncio.BaseEventLoop.create_server

    async def create_connection(
        loop: asyncio.BaseEventLoop, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, **options: Any
    ) -> Any:
        return await connect(loop, factory, "127.0.0.1", port if host == "127.0.0.1" else target.port, **options)

    async def create_server(
        loop: asyncio.BaseEventLoop,
        factory: Callable[[], asyncio.BaseProtocol],
        host: object,
        port: int,
        **options: Any,
    ) -> Any:
        server = await listen(loop, factory, "127.0.0.1", 0, **options)
        if target.listening is not None:
            target.listening.set_result(server.sockets[0].getsockname()[1])
        return server

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", create_connection)
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_server", create_server)
    return target


@asynccontextmanager
async def served(app: Application) -> AsyncIterator[dicomio.Client]:
    """A client of an application that listens on a port of the loopback."""
    async with (
        dicomio.serve(app, "127.0.0.1", 0) as server,
        dicomio.Client(f"{app.ae_title}@127.0.0.1:{server.port}", ae_title="TEST") as client,
    ):
        yield client


@pytest.fixture
def ct() -> Path:
    """A CT image in Explicit VR Little Endian."""
    return Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture
def mr() -> Path:
    """An MR image in Explicit VR Little Endian, of another patient."""
    return Path(str(get_testdata_file("MR_small.dcm")))


class Archive:
    """A Storage SCP in the test, with what it was sent."""

    def __init__(self, inbox: Path) -> None:
        self.inbox = inbox
        self.app = Application("PACS")
        self.saved: list[Path] = []
        self.server: dicomio.Server | None = None

        @self.app.store("*")
        async def store(request: StoreRequest) -> None:
            self.saved.append(await request.save(self.inbox / f"{len(self.saved)}.dcm"))


@pytest.fixture
async def archive(redirect: Redirect, tmp_path: Path) -> AsyncIterator[Archive]:
    """A Storage SCP that every connection of the program leads to."""
    found = Archive(tmp_path / "archive")
    async with dicomio.serve(found.app, "127.0.0.1", 0) as server:
        found.server = server
        redirect.port = server.port
        yield found

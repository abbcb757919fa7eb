"""Runs programs that name hosts and ports which are not there, by sending their connections where the test listens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

import dicomio
from dicomio import STUDY_ROOT, Address, Application, EchoRequest, FindRequest, RetrieveRequest, StoreRequest


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


class Pacs:
    """A query/retrieve SCP in the test.

    Attributes:
        files: what it sends, whatever is asked for.
        count: how many studies it finds.
        endless: whether it goes on looking then, until it is cancelled.
        closed: whether its C-FIND handler has ended.
        echoes: how often it was asked for a sign of life.
    """

    def __init__(self, files: Sequence[Path], destination: Address) -> None:
        self.app = Application("PACS", destinations={destination.ae_title: destination})
        self.files = files
        self.count = 100
        self.endless = True
        self.closed = False
        self.echoes = 0

        @self.app.find(STUDY_ROOT)
        async def find(request: FindRequest) -> AsyncIterator[Mapping[str, Any]]:
            try:
                for number in range(self.count):
                    yield {"StudyInstanceUID": f"1.2.{number}", "PatientID": "1234", "StudyDate": "20240101"}
                if self.endless:
                    await asyncio.Event().wait()
            finally:
                self.closed = True

        @self.app.get(STUDY_ROOT)
        @self.app.move(STUDY_ROOT, pace=0)
        async def retrieve(request: RetrieveRequest) -> Sequence[Path]:
            return self.files

        @self.app.echo()
        async def echo(request: EchoRequest) -> None:
            self.echoes += 1


@pytest.fixture
async def pacs(archive: Archive, redirect: Redirect, ct: Path, mr: Path) -> AsyncIterator[Pacs]:
    """A query/retrieve SCP that every connection of the program leads to, and that knows the archive."""
    assert archive.server is not None
    found = Pacs([ct, mr], Address("ARCHIVE", "127.0.0.1", archive.server.port))
    async with dicomio.serve(found.app, "127.0.0.1", 0) as server:
        redirect.port = server.port
        yield found

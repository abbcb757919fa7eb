"""The relay that records, between peers on the loopback interface."""

import asyncio
import io
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import dicomio
from dicomio import Application, Status, StoreRequest
from dicomio.captures import CaptureReader, Closed, Message, Recorder, Said
from dicomio.sop import CTImageStorage, Verification

from .conversation import dissect, packets_of

HOST = "127.0.0.1"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    """A peer that talks to whoever connects."""
    server = await asyncio.start_server(talk, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def recorded(path: Path) -> bytes:
    """What is in a capture."""
    return await asyncio.to_thread(path.read_bytes)


@pytest.fixture
def app() -> Application:
    """Takes objects, and knows how many."""
    app = Application("ARCHIVE")
    app.state.stored = 0

    @app.store()
    async def store(request: StoreRequest) -> Status:
        await request.read()
        app.state.stored += 1
        return Status.SUCCESS

    return app


async def test_associations_pass_and_are_recorded(app: Application, tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    instance = dicomio.dataset(SOPClassUID=CTImageStorage, SOPInstanceUID="1.2.3", PatientName="DOE^JANE")
    async with dicomio.serve(app, HOST, 0) as server, Recorder(HOST, server.port, path) as recorder:

        async def ask() -> None:
            contexts = [Verification, CTImageStorage]
            async with dicomio.connect(f"ARCHIVE@{HOST}:{recorder.port}", contexts=contexts) as association:
                await association.echo()
                await association.store(instance)

        await asyncio.gather(ask(), ask(), ask())
        await recorder.wait_ended(3)
        assert recorder.connections == 3
    assert app.state.stored == 3
    events = dissect(packets_of(await recorded(path)))
    names = [event.what.command.name for event in events if isinstance(event, Said) and isinstance(event.what, Message)]
    assert sorted(names) == sorted(["C-ECHO-RQ", "C-ECHO-RSP", "C-STORE-RQ", "C-STORE-RSP"] * 3)
    assert [event.how for event in events if isinstance(event, Closed)] == ["released; the connection was closed"] * 3


async def test_bytes_pass_untouched_however_slowly_they_are_read(tmp_path: Path) -> None:
    sent = os.urandom(4_000_000)
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(data[:1_000_000][::-1])
        writer.close()
        received.set_result(data)

    path = tmp_path / "record.pcapng"
    async with listening(swallow) as port, Recorder(HOST, port, path) as recorder:
        reader, writer = await asyncio.open_connection(HOST, recorder.port)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == sent[:1_000_000][::-1]
        assert await received == sent
        writer.close()
        await recorder.wait_ended(1)
    file = await recorded(path)
    payloads = [packet.data[40:] for packet in CaptureReader(io.BytesIO(file))]
    assert len(b"".join(payloads)) == 5_000_000


async def test_a_peer_that_does_not_read_holds_back_the_other(tmp_path: Path) -> None:
    silence = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    path = tmp_path / "record.pcapng"
    async with listening(listen) as port, Recorder(HOST, port, path) as recorder:
        _, writer = await asyncio.open_connection(HOST, recorder.port)
        writer.transport.set_write_buffer_limits(0)

        async def write() -> None:
            for _ in range(1_000):
                writer.write(bytes(100_000))
                await writer.drain()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write(), 1)
        # What the sockets hold, and little more; not the hundred megabytes.
        assert (await asyncio.to_thread(path.stat)).st_size < 50_000_000
        silence.set()
        writer.transport.abort()


async def test_nobody_behind_the_relay(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    async with Recorder(HOST, port, tmp_path / "record.pcapng") as recorder:
        reader, writer = await asyncio.open_connection(HOST, recorder.port)
        with pytest.raises(ConnectionError):
            assert await reader.readexactly(1)
        writer.close()
        await recorder.wait_ended(1)


async def test_a_reset_is_recorded(tmp_path: Path) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    path = tmp_path / "record.pcapng"
    async with listening(reset) as port, Recorder(HOST, port, path) as recorder:
        reader, writer = await asyncio.open_connection(HOST, recorder.port)
        writer.write(b"hello")
        with pytest.raises(ConnectionError):
            assert await reader.readexactly(1)
        writer.close()
        await recorder.wait_ended(1)
    flags = [packet.data[33] for packet in packets_of(await recorded(path))]
    assert flags[:4] == [0x02, 0x12, 0x10, 0x18]
    assert 0x14 in flags[4:]


async def test_a_full_disk_breaks_connections_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    async with listening(listen) as port, Recorder(HOST, port, tmp_path / "record.pcapng") as recorder:
        monkeypatch.setattr("dicomio.captures.recording.os.write", fail)
        reader, writer = await asyncio.open_connection(HOST, recorder.port)
        with pytest.raises(ConnectionError):
            assert await reader.readexactly(1)
        writer.close()
        await recorder.wait_ended(1)
        monkeypatch.undo()
    assert "record.pcapng cannot be written, so a connection is broken off" in caplog.text


async def test_captures_are_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "record.pcapng"
    async with Recorder(HOST, 104, path):
        assert stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode) == 0o600
    with pytest.raises(FileExistsError):
        await Recorder(HOST, 104, path).__aenter__()


async def test_leaving_ends_what_is_under_way(tmp_path: Path) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(listen) as port:
        async with Recorder(HOST, port, tmp_path / "record.pcapng") as recorder:
            reader, writer = await asyncio.open_connection(HOST, recorder.port)
            writer.write(b"hello")
            await writer.drain()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

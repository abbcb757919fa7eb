"""`serve`: limits, addresses, and the end in good order."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import dicomio
from dicomio import (
    Application,
    Association,
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    Client,
    ConnectFailed,
    ConnectionLost,
    Limits,
    Server,
    StoreRequest,
    Timeout,
    sop,
)
from dicomio.opening import connect, negotiated
from dicomio.server import LOCAL_LIMIT_EXCEEDED, address_of, serve, serve_until_signal
from dicomio.session import Aborted, AssociateAccepted
from dicomio.testing import MemoryTransport, pipe
from tests.association.peers import CONTEXTS, ScriptedPeer, instance, settled, started, storing, until

LOCAL = "127.0.0.1"


def serving(app: Application | None = None, **options: Any) -> Server:
    return dicomio.serve(app or Application("APP"), LOCAL, 0, **options)


def to(server: Server) -> connect:
    return dicomio.connect(f"APP@{LOCAL}:{server.port}", contexts=[sop.Verification])


async def test_port_address_and_state() -> None:
    server = serving()
    assert (server.port, server.is_serving, list(server.addresses)) == (0, False, [])
    async with server:
        assert server.port > 0
        assert server.is_serving
        assert [str(address) for address in server.addresses] == [f"APP@{LOCAL}:{server.port}"]
        assert not server.associations
        async with to(server) as association:
            assert [each.peer.ae_title for each in server.associations] == ["DICOMIO"]
            assert server.associations[0].local.port == server.port
            assert association.local.ae_title == "DICOMIO"
        await until(lambda: not server.associations)
    assert not server.is_serving


async def test_several_hosts() -> None:
    async with dicomio.serve(Application("APP"), [LOCAL, "127.0.0.2"], 0) as server:
        assert {address.host for address in server.addresses} == {LOCAL, "127.0.0.2"}


async def test_awaiting_a_server_and_closing_it() -> None:
    server = await serving()
    assert await dicomio.echo(f"APP@{LOCAL}:{server.port}") >= 0
    server.close()
    server.close()
    await server.wait_closed()
    await server.wait_closed()
    assert not server.is_serving


async def test_a_port_in_use() -> None:
    ended = []

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.append(True)

    async with serving() as server:
        with pytest.raises(OSError, match="in use"):
            await dicomio.serve(Application("APP", lifespan=lifespan), LOCAL, server.port)
    assert ended == [True]


async def test_serve_forever_ends_with_its_task() -> None:
    server = await serving()
    forever = started(server.serve_forever())
    assert await dicomio.echo(f"APP@{LOCAL}:{server.port}") >= 0
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever
    assert not server.is_serving


async def test_serve_forever_ends_when_the_server_is_closed() -> None:
    server = await serving()
    forever = started(server.serve_forever())
    await settled()
    server.close()
    await forever


# limits


async def opened(server: Server) -> Association:
    return await to(server)


async def test_the_limit_on_associations() -> None:
    async with serving(limits=Limits(associations=2)) as server:
        first, second = await opened(server), await opened(server)
        with pytest.raises(AssociationRejected, match="local limit exceeded") as caught:
            await opened(server)
        error = caught.value
        assert (error.result, error.source, error.reason) == LOCAL_LIMIT_EXCEEDED
        await first.release()
        await until(lambda: len(server.associations) == 1)
        third = await opened(server)
        assert await third.echo() >= 0
        await asyncio.gather(second.release(), third.release())


async def test_the_limit_on_associations_of_one_peer() -> None:
    async with serving(limits=Limits(associations_per_peer=1)) as server:
        async with to(server):
            with pytest.raises(AssociationRejected, match="local limit exceeded"):
                await opened(server)
            other = dicomio.serve(Application("OTHER"), "127.0.0.2", 0)
            assert other.limits.associations_per_peer is None
        async with to(server) as again:
            assert await again.echo() >= 0
        await until(lambda: not server.per_host)


@pytest.mark.parametrize("end", ["release", "abort", "hang up"])
async def test_an_association_that_ended_in_any_way_counts_no_more(end: str) -> None:
    async with serving(limits=Limits(associations=1)) as server:
        for _ in range(3):
            association = await opened(server)
            if end == "release":
                await association.release()
            elif end == "abort":
                association.abort()
            else:
                association.protocol.kill()
            await until(lambda: not server.associations and not server.connections)
            await association.protocol.closed
        assert not server.half_open
        assert not server.per_host


async def test_rejected_associations_count_no_more() -> None:
    app = Application("APP")

    @app.on_associate
    async def reject(proposal: dicomio.Proposal) -> None:
        raise AssociationRejected

    async with serving(app, limits=Limits(associations=1)) as server:
        for _ in range(3):
            with pytest.raises(AssociationRejected, match="no reason given"):
                await opened(server)
        await until(lambda: not server.connections)
        assert not server.associations
        assert not server.per_host


async def test_the_limit_on_connections_without_an_association() -> None:
    """The oldest goes, so that a new peer always has its chance."""
    async with serving(limits=Limits(half_open=3)) as server:
        silent = []
        for _ in range(4):
            silent.append(await asyncio.open_connection(LOCAL, server.port))
            await until(lambda: len(server.connections) == min(len(silent), 3) or silent[0][0].at_eof())
        with contextlib.suppress(ConnectionError):
            assert await silent[0][0].read() == b""
        assert await dicomio.echo(f"APP@{LOCAL}:{server.port}") >= 0
        for _, writer in silent:
            writer.close()


def half_open(server: Server, host: str) -> ScriptedPeer:
    """A connection in memory from a host of that name, which asks for nothing yet."""
    accepted = server.accept()
    peer = ScriptedPeer()
    one, two = MemoryTransport(peer.protocol, ("server", 104)), MemoryTransport(accepted, (host, 50000))
    one.other, two.other = two, one
    peer.protocol.transport = one
    accepted.connection_made(two)
    return peer


async def test_a_host_with_many_connections_makes_room_for_others() -> None:
    server = serve(Application("APP"), limits=Limits(half_open=3))
    lonely = half_open(server, "10.0.0.1")
    crowd = [half_open(server, "10.0.0.66") for _ in range(5)]
    await settled()
    assert not lonely.gone.is_set()
    assert [peer.gone.is_set() for peer in crowd] == [True, True, True, False, False]
    server.close()
    await server.wait_closed()
    assert lonely.gone.is_set()


# the end


def noting_its_end(order: list[str]) -> Application:
    """An application that notes when its lifespan is over."""

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        yield
        order.append("lifespan")

    return Application("APP", lifespan=lifespan)


async def test_closing_lets_requests_finish() -> None:
    arrived, go_on, order = asyncio.Event(), asyncio.Event(), list[str]()
    app = noting_its_end(order)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        arrived.set()
        await go_on.wait()
        request.after(after)
        order.append("handler")

    async def after() -> None:
        await settled()
        order.append("after")

    server = await serving(app)
    async with Client(f"APP@{LOCAL}:{server.port}") as client:
        storing_it = started(client.store(instance()))
        await arrived.wait()
        server.close()
        await settled()
        assert not server.is_serving
        go_on.set()
        assert (await storing_it).status == 0
        await server.wait_closed()
    assert order == ["handler", "after", "lifespan"]


async def test_closing_releases_idle_associations() -> None:
    server = await serving()
    association = await opened(server)
    server.close()
    await server.wait_closed()
    await until(lambda: association.ended is not None)
    assert isinstance(association.ended, AssociationReleased)
    await association.protocol.closed


async def test_closing_aborts_what_does_not_end_in_time() -> None:
    arrived, cleaned_up, order = asyncio.Event(), asyncio.Event(), list[str]()
    app = noting_its_end(order)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            await settled()
            order.append("handler")
            cleaned_up.set()

    server = await serving(app, timeout=Timeout(shutdown=0.02))
    async with Client(f"APP@{LOCAL}:{server.port}") as client:
        storing_it = started(client.store(instance()))
        await arrived.wait()
        server.close()
        with pytest.raises(AssociationAborted):
            await storing_it
        await server.wait_closed()
    assert order == ["handler", "lifespan"]


async def test_closing_waits_for_handlers_whose_peer_is_gone_already() -> None:
    arrived, order = asyncio.Event(), list[str]()
    app = noting_its_end(order)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            await settled(50)
            order.append("handler")

    server = await serving(app)
    association = await connect(f"APP@{LOCAL}:{server.port}", contexts=CONTEXTS)
    storing_it = started(association.store(instance()))
    await arrived.wait()
    association.protocol.kill()
    with pytest.raises(ConnectionLost):
        await storing_it
    await until(lambda: not server.associations)
    server.close()
    await server.wait_closed()
    assert order == ["handler", "lifespan"]


async def test_closing_drops_connections_without_an_association() -> None:
    server = await serving()
    reader, writer = await asyncio.open_connection(LOCAL, server.port)
    await until(lambda: bool(server.connections))
    server.close()
    await server.wait_closed()
    with contextlib.suppress(ConnectionError):
        assert (await reader.read())[:1] in (b"", b"\x07")
    writer.close()
    assert not server.connections


async def test_closing_does_not_wait_for_peers_that_do_not_answer() -> None:
    server = serve(Application("APP"), timeout=Timeout(release=0.02, shutdown=0.05))
    accepted = server.accept()
    peer = ScriptedPeer(calling="SILENT")
    pipe(peer.protocol, accepted)
    await peer.hear(AssociateAccepted)
    server.close()
    await server.wait_closed()
    await peer.hear(Aborted)
    assert not server.connections


async def test_nobody_gets_in_while_closing() -> None:
    server = await serving()
    port = server.port
    server.close()
    with pytest.raises((ConnectFailed, ConnectionLost)):
        await connect(f"APP@{LOCAL}:{port}", contexts=[sop.Verification])
    await server.wait_closed()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains(number: signal.Signals) -> None:
    ports: list[int] = []

    def on_start(server: Server) -> None:
        ports.append(server.port)
        os.kill(os.getpid(), number)

    await serve_until_signal(serving(), on_start)
    with pytest.raises(ConnectFailed):
        await dicomio.echo(f"APP@{LOCAL}:{ports[0]}")


async def test_a_second_signal_ends_it_at_once() -> None:
    arrived = asyncio.Event()

    async def store(request: StoreRequest) -> None:
        arrived.set()
        await asyncio.Event().wait()

    server = serving(storing(store), timeout=Timeout(shutdown=30))
    running = started(serve_until_signal(server))
    await until(lambda: server.is_serving)
    association = await connect(f"APP@{LOCAL}:{server.port}", contexts=CONTEXTS)
    storing_it = started(association.store(instance()))
    await arrived.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await until(lambda: not server.is_serving)
    os.kill(os.getpid(), signal.SIGINT)
    await settled()
    association.abort()
    with pytest.raises((asyncio.CancelledError, KeyboardInterrupt)):
        await running
    with pytest.raises(AssociationAborted):
        await storing_it


# addresses and connections that are none


def test_addresses_of_sockets() -> None:
    assert str(address_of(("::1", 104, 0, 0), "A")) == "A@[::1]:104"
    assert address_of("/run/socket", "A").host == ""
    assert address_of(None, "A").port == 0


@pytest.mark.parametrize(
    "hello, words",
    [
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "TLS handshake"),
        (b"SSH-2.0-OpenSSH\r\n", "SSH"),
    ],
)
async def test_other_protocols_are_named_in_the_log(hello: bytes, words: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dicomio")
    async with serving() as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(hello)
        assert await reader.readexactly(1) == b"\x07"
        writer.close()
        await until(lambda: not server.connections)
    assert words in caplog.text


async def test_a_peer_that_is_no_dicom_is_named() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    other = await asyncio.start_server(greet, LOCAL, 0)
    port = other.sockets[0].getsockname()[1]
    with pytest.raises(ConnectFailed, match="does not speak DICOM there: peer sent an SSH banner"):
        await connect(f"X@{LOCAL}:{port}", contexts=[sop.Verification])
    other.close()
    await other.wait_closed()


async def test_socket_options_and_nagle() -> None:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    async with serving(socket_options=options) as server:
        address = f"APP@{LOCAL}:{server.port}"
        async with dicomio.connect(address, contexts=[sop.Verification], socket_options=options) as association:
            for side in (association, server.associations[0]):
                assert side.protocol.transport is not None
                found = side.protocol.transport.get_extra_info("socket")
                assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_a_socket_option_that_does_not_exist_closes_the_connection_again() -> None:
    async with serving() as server:
        address = f"APP@{LOCAL}:{server.port}"
        with pytest.raises(ConnectFailed, match="socket options: "):
            await connect(address, contexts=[sop.Verification], socket_options=[(socket.IPPROTO_TCP, 9999, 1)])
        await until(lambda: not server.connections)


async def test_connections_come_from_the_address_that_is_asked_for() -> None:
    async with serving() as server:
        address = f"APP@{LOCAL}:{server.port}"
        async with dicomio.connect(address, contexts=[sop.Verification], local_host="127.0.0.2"):
            assert [each.peer.host for each in server.associations] == ["127.0.0.2"]
        await until(lambda: not server.connections)
        async with dicomio.Client(address, local_host="127.0.0.3") as client:
            await client.echo()
            assert [each.peer.host for each in server.associations] == ["127.0.0.3"]
        await until(lambda: not server.connections)
        ours = Application("OURS")
        async with ours.connect(dicomio.Address.parse(address), contexts=[sop.Verification], local_host="127.0.0.4"):
            assert [each.peer.host for each in server.associations] == ["127.0.0.4"]
        await until(lambda: not server.connections)
        profile = dicomio.Peer(dicomio.Address.parse(address), local_host="127.0.0.5")
        for local_host, host in ((None, "127.0.0.5"), ("127.0.0.6", "127.0.0.6")):
            async with dicomio.Client(profile, local_host=local_host) as client:
                await client.echo()
                assert [each.peer.host for each in server.associations] == [host]
            await until(lambda: not server.connections)
        # One of TEST-NET-1 (RFC 5737), which is not ours.
        with pytest.raises(ConnectFailed, match="Cannot assign requested address"):
            await connect(address, contexts=[sop.Verification], local_host="192.0.2.1")


async def test_hundred_associations_at_once() -> None:
    async with serving() as server:
        associations = await asyncio.gather(*(opened(server) for _ in range(100)))
        assert len(server.associations) == 100
        await asyncio.gather(*(association.echo() for association in associations))
        tasks = asyncio.all_tasks()
        assert len(tasks) <= 3
        await asyncio.gather(*(association.release() for association in associations))


async def test_negotiated_is_what_both_sides_see() -> None:
    server = serve(Application("APP"))
    accepted = server.accept()
    opening = connect("APP@memory", contexts=[sop.Verification], ae_title="ME")
    association = opening.prepare()
    pipe(association.protocol, accepted)
    await negotiated(association)
    mine, theirs = association.agreement, accepted.association.agreement
    assert mine is not None
    assert theirs is not None
    assert (mine.called_ae_title, mine.calling_ae_title) == (theirs.called_ae_title, theirs.calling_ae_title)
    assert mine.contexts.keys() == theirs.contexts.keys()
    assert (mine.send_maximum, mine.receive_maximum) == (theirs.receive_maximum, theirs.send_maximum)
    await association.release()
    server.close()
    await server.wait_closed()

"""Each deadline passes with an exception, or an abort, that names it."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

import dicomio
from dicomio import (
    Application,
    AssociationAborted,
    ConnectFailed,
    ConnectTimeout,
    DicomTimeout,
    Limits,
    NegotiationTimeout,
    PoolTimeout,
    PresentationContext,
    ResponseTimeout,
    StoreRequest,
    Timeout,
    WriteTimeout,
    query,
    sop,
)
from dicomio.buffers import SHARED
from dicomio.deadline import Deadline
from dicomio.errors import RejectResult
from dicomio.opening import connect
from dicomio.protocol import UpperLayerProtocol
from dicomio.session import Aborted, AssociateRejected, ReleaseRequested, UpperLayer
from dicomio.sop import STUDY_ROOT
from dicomio.testing import connected
from dicomio.wire.commands import CommandField
from tests.association.peers import (
    CONTEXTS,
    MEBIBYTE,
    MemoryClient,
    instance,
    response,
    scripted_acceptor,
    scripted_requestor,
    started,
    store_rq,
    storing,
    storing_until,
    until,
)

SOON = 0.02


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that lets connect, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose backlog is full, so that connecting to it takes for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        yield port
        for filler in fillers:
            filler.close()


async def test_connect_timeout(full_port: int) -> None:
    with pytest.raises(ConnectTimeout, match=r"no connection within 0\.02 s") as caught:
        await connect(f"PEER@127.0.0.1:{full_port}", contexts=[sop.Verification], timeout=Timeout(connect=SOON))
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, ConnectFailed)


async def test_negotiation_timeout(silent_port: int) -> None:
    timeout = Timeout(negotiate=SOON, artim=0.0)
    with pytest.raises(NegotiationTimeout, match=r"no answer to A-ASSOCIATE-RQ within 0\.02 s") as caught:
        await connect(f"PEER@127.0.0.1:{silent_port}", contexts=[sop.Verification], timeout=timeout)
    assert isinstance(caught.value, TimeoutError)


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="Connect") as caught:
        await connect(f"PEER@127.0.0.1:{port}", contexts=[sop.Verification])
    assert not isinstance(caught.value, TimeoutError)


async def test_response_timeout_aborts_and_names_itself() -> None:
    async with scripted_acceptor(timeout=Timeout(response=SOON)) as (association, peer):
        first, second = association.echo(), association.echo()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ResponseTimeout, ResponseTimeout]
        assert "no response within 0.02 s" in str(outcomes[0])
        await peer.hear(Aborted)


async def test_response_timeout_of_a_store() -> None:
    async with scripted_acceptor(timeout=Timeout(response=SOON)) as (association, peer):
        with pytest.raises(ResponseTimeout):
            await association.store(instance())
        await peer.hear(Aborted)


async def test_a_response_in_time_stops_the_deadline() -> None:
    async with scripted_acceptor(timeout=Timeout(response=SOON)) as (association, peer):
        echo = asyncio.ensure_future(association.echo())
        peer.say(response(await peer.hear_command()))
        await echo
        await after(2 * SOON)
        assert association.is_established


async def after(seconds: float) -> None:
    """Waits for a deadline of the test's own, set after the one under test."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, done.set_result, None)
    await done


async def test_a_store_answered_before_its_end_leaves_no_deadline_behind() -> None:
    async with scripted_acceptor(timeout=Timeout(response=SOON)) as (association, peer):
        peer.protocol.pause_reading()
        store = started(association.store(instance(MEBIBYTE)))
        await until(lambda: bool(association.pending))
        peer.say(response(store_rq(next(iter(association.pending))), 0xB000), context_id=3)
        await until(lambda: not association.pending)
        peer.protocol.resume_reading()
        assert (await store).status == 0xB000
        await after(2 * SOON)
        assert association.is_established


async def test_the_deadline_of_a_request_that_is_answered_is_not_that_of_the_next() -> None:
    async with scripted_acceptor(timeout=Timeout(response=SOON, write=30.0)) as (association, peer):
        early = started(association.store(instance(3 * MEBIBYTE)))
        peer.say(response(await peer.hear_command()), context_id=3)
        await early
        await peer.hear_data()
        peer.protocol.pause_reading()
        late = started(association.store(instance(3 * MEBIBYTE)))
        await after(3 * SOON)
        assert not late.done()
        peer.protocol.resume_reading()
        peer.say(response(await peer.hear_request()), context_id=3)
        assert not (await late).status.is_failure


async def test_what_waits_behind_a_long_message_has_its_time_after_it() -> None:
    async with scripted_acceptor(timeout=Timeout(response=5 * SOON, write=30.0)) as (association, peer):
        association.window.size = 2
        peer.protocol.pause_reading()
        long = started(association.store(instance(3 * MEBIBYTE)))
        await until(lambda: association.is_sending)
        short = started(association.store(instance(1000)))
        await after(7 * SOON)
        assert not long.done()
        assert not short.done()
        peer.protocol.resume_reading()
        requests = [await peer.hear_request() for _ in range(2)]
        await after(3 * SOON)
        for request in requests:
            peer.say(response(request), context_id=3)
        assert [(await each).status for each in (long, short)] == [0, 0]


async def test_what_went_out_before_a_long_message_has_no_more_time_for_it() -> None:
    async with scripted_acceptor(timeout=Timeout(response=SOON, write=30.0)) as (association, peer):
        association.window.size = 2
        echo = started(association.echo())
        await peer.hear_command()
        peer.protocol.pause_reading()
        long = started(association.store(instance(3 * MEBIBYTE)))
        for each in (echo, long):
            with pytest.raises(ResponseTimeout):
                await each


async def test_a_cancel_that_waits_behind_a_long_message_has_its_time_after_it() -> None:
    timeout = Timeout(response=30.0, cancel=5 * SOON, write=30.0)
    contexts = [*CONTEXTS, PresentationContext(STUDY_ROOT.find or "")]
    async with scripted_acceptor(contexts=contexts, timeout=timeout) as (association, peer):
        association.window.size = 2
        find = association.find(query("STUDY"))
        first = started(anext(find))
        asked = await peer.hear_request()
        peer.protocol.pause_reading()
        long = started(association.store(instance(3 * MEBIBYTE)))
        await until(lambda: association.is_sending)
        first.cancel()
        await after(7 * SOON)
        assert not long.done()
        peer.protocol.resume_reading()
        stored = await peer.hear_request()
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        await after(3 * SOON)
        peer.say(response(asked, 0xFE00), context_id=5)
        peer.say(response(stored), context_id=3)
        assert (await long).status == 0
        assert association.is_established
        await find.aclose()


async def test_write_timeout_when_the_peer_stops_reading() -> None:
    async with scripted_acceptor(timeout=Timeout(write=SOON)) as (association, peer):
        peer.protocol.pause_reading()
        with pytest.raises(WriteTimeout, match=r"took nothing of what was sent for 0\.02 s"):
            await association.store(instance(3 * MEBIBYTE))
        await association.protocol.closed


class Trickle(asyncio.Transport):
    """A transport whose peer takes a little from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = 100

    def get_write_buffer_size(self) -> int:
        return self.unsent


async def test_write_timeout_spares_a_peer_that_reads_slowly() -> None:
    upper = UpperLayer(requestor=False, limits=Limits())
    passed = asyncio.Event()

    class Owner:
        def connected(self) -> None: ...
        def handle(self, event: object) -> None: ...
        def disconnected(self, error: Exception | None) -> None: ...
        def write_timed_out(self) -> None:
            passed.set()

    protocol = UpperLayerProtocol(upper, Owner(), SHARED, SOON)
    transport = protocol.transport = Trickle()
    protocol.pause_writing()
    for _ in range(3):
        first = protocol.write_deadline.at
        transport.unsent -= 1
        await until(lambda first=first: protocol.write_deadline.at != first)  # type: ignore[misc]
        assert not passed.is_set()
    await passed.wait()
    assert transport.unsent == 97


async def test_release_timeout_aborts() -> None:
    async with scripted_acceptor(timeout=Timeout(release=SOON)) as (association, peer):
        await association.release()
        await peer.hear(ReleaseRequested)
        await peer.hear(Aborted)
        assert isinstance(association.ended, AssociationAborted)
        assert "no release within 0.02 s" in str(association.ended)


async def test_release_timeout_bounds_the_operations_that_are_waited_for() -> None:
    async with scripted_acceptor(timeout=Timeout(release=SOON)) as (association, _):
        echo = asyncio.ensure_future(association.echo())
        await until(lambda: bool(association.pending))
        await association.release()
        with pytest.raises(AssociationAborted, match="no release within"):
            await echo


async def test_artim_ends_a_connection_without_a_request() -> None:
    async with dicomio.serve(Application("APP"), "127.0.0.1", 0, timeout=Timeout(artim=SOON)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b""
        writer.close()


async def test_artim_ends_a_connection_whose_request_stays_unfinished() -> None:
    async with dicomio.serve(Application("APP"), "127.0.0.1", 0, timeout=Timeout(artim=SOON)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x01\0\0\0\x10\0" + bytes(100))
        assert await reader.read() == b""
        writer.close()


async def test_artim_closes_after_an_abort_that_the_peer_ignores() -> None:
    async with scripted_acceptor(timeout=Timeout(artim=SOON)) as (association, peer):
        peer.protocol.pause_reading()
        association.abort()
        assert association.state == "Sta13"
        await association.protocol.closed
        assert association.state == "Sta1"


async def test_idle_association_is_aborted() -> None:
    async with scripted_requestor(Application("APP"), timeout=Timeout(idle=SOON)) as (association, peer):
        await peer.hear(Aborted)
        assert "nothing received for 0.02 s" in str(association.ended)


async def test_idle_means_nothing_received_not_nothing_done() -> None:
    """A handler that works on a request is no idleness, nor is a peer that we wait for."""
    go_on = asyncio.Event()

    async with connected(storing_until(go_on), contexts=CONTEXTS, timeout=Timeout(idle=SOON)) as association:
        waiting = started(association.store(instance()))
        await after(3 * SOON)
        go_on.set()
        assert (await waiting).status == 0


async def test_idle_ends_a_peer_that_stops_in_the_middle_of_a_data_set() -> None:
    async def store(request: StoreRequest) -> None:
        await request.read()

    async with scripted_requestor(storing(store), timeout=Timeout(idle=SOON)) as (association, peer):
        peer.protocol.write(peer.upper.command(3, store_rq()))
        await peer.hear(Aborted)
        assert isinstance(association.ended, AssociationAborted)


async def test_pool_timeout() -> None:
    async def store(request: StoreRequest) -> None:
        await go_on.wait()

    go_on = asyncio.Event()
    async with MemoryClient(storing(store), timeout=Timeout(pool=SOON)) as client:
        first = started(client.store(instance()))
        await until(lambda: bool(client.opened))
        with pytest.raises(PoolTimeout, match=r"no association became free within 0\.02 s"):
            await client.echo()
        go_on.set()
        await first


async def test_on_associate_has_the_deadline_of_the_negotiation() -> None:
    app = Application("APP")

    @app.on_associate
    async def think(proposal: dicomio.Proposal) -> None:
        await asyncio.Event().wait()

    async with scripted_requestor(app, timeout=Timeout(negotiate=SOON), negotiate=False) as (_, peer):
        assert (await peer.hear(AssociateRejected)).pdu.result == RejectResult.TRANSIENT


async def test_no_deadline_is_infinite_by_default_but_those_that_say_so() -> None:
    timeout = Timeout()
    unbounded = {name for name in Timeout.__slots__ if getattr(timeout, name) is None}
    assert unbounded == {"response", "pool"}
    assert issubclass(DicomTimeout, TimeoutError)


async def test_a_deadline_that_moves_back_and_forth_passes_once() -> None:
    loop, passed = asyncio.get_running_loop(), []
    deadline = Deadline(loop, lambda: passed.append(loop.time()))
    now = loop.time()
    deadline.set(now + 10)
    deadline.set(now + SOON)
    deadline.set(now + 2 * SOON)
    await after(4 * SOON)
    assert len(passed) == 1
    assert passed[0] >= now + 2 * SOON
    deadline.set(loop.time() + SOON)
    deadline.set(None)
    deadline.cancel()
    await after(2 * SOON)
    assert len(passed) == 1

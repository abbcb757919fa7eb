"""Who is faster has to wait: memory stays flat whatever the other side does."""

import asyncio
from pathlib import Path

import pytest

from dicomio import Application, Limits, LocalProtocolError, Refused, Status, StoreRequest
from dicomio.body import HELD, Body
from dicomio.buffers import KEPT, RECEIVE_SIZE, BufferPool
from dicomio.dimse import WAITING
from dicomio.errors import RemoteProtocolError
from dicomio.outgoing import BATCH
from dicomio.protocol import BODY, QUEUE, UpperLayerProtocol
from dicomio.session import UpperLayer
from dicomio.testing import IN_FLIGHT, connected
from tests.association.peers import (
    CONTEXTS,
    INSTANCE_UID,
    MEBIBYTE,
    content,
    echo_rq,
    held_buffers,
    instance,
    scripted_requestor,
    settled,
    started,
    store_rq,
    storing,
    storing_until,
    until,
)


async def test_a_slow_handler_holds_the_peer_back() -> None:
    """Of 16 MiB no more is anywhere than the buffers of a connection, until the handler reads."""
    arrived, go_on, read = asyncio.Event(), asyncio.Event(), []

    async def store(request: StoreRequest) -> None:
        arrived.set()
        await go_on.wait()
        read.append(sum([len(chunk) async for chunk in request.chunks()]))

    async with connected(storing(store), contexts=CONTEXTS) as association:
        sent = [0]
        progress = association.store(instance(16 * MEBIBYTE))

        async def watch() -> None:
            async for step in progress:
                sent[0] = step.bytes

        watching = started(watch())
        await arrived.wait()
        await settled(200)
        most = HELD + RECEIVE_SIZE + IN_FLIGHT + 2 * BATCH
        assert 0 < sent[0] <= most
        assert held_buffers() <= HELD // RECEIVE_SIZE + 1
        go_on.set()
        await watching
        assert (await progress).status == 0
    assert read == [16 * MEBIBYTE]


async def test_a_handler_that_reads_nothing_still_gets_all_of_it_out_of_the_way() -> None:
    async def store(request: StoreRequest) -> int:
        return Status.OUT_OF_RESOURCES

    async with connected(storing(store), contexts=CONTEXTS) as association:
        for _ in range(2):
            with pytest.raises(Exception, match="0xA700"):
                await association.store(instance(3 * MEBIBYTE))
        assert await association.echo() >= 0


async def test_a_handler_that_stops_reading_lets_go_of_the_rest() -> None:
    before = held_buffers()

    async def store(request: StoreRequest) -> None:
        async for _ in request.chunks():
            break

    async with connected(storing(store), contexts=CONTEXTS) as association:
        for _ in range(3):
            assert (await association.store(instance(3 * MEBIBYTE))).status == 0
    assert held_buffers() == before


async def test_the_next_request_before_our_response() -> None:
    """A window of one is what was agreed (PS3.7 D.3.3.3), but the request is served when its turn comes."""
    go_on, order = asyncio.Event(), []

    async def store(request: StoreRequest) -> None:
        data = await request.read()
        order.append((request.sop_instance_uid, len(data)))
        await go_on.wait()

    async with scripted_requestor(storing(store)) as (association, peer):
        for number in range(1, 4):
            peer.say(store_rq(number, f"{INSTANCE_UID}.{number}"), bytes(100 * number), 3)
        peer.say(echo_rq(4))
        await settled()
        assert order == [(f"{INSTANCE_UID}.1", 100)]
        assert "sent a request before the response to its last one was due" in association.quirks
        go_on.set()
        assert [(await peer.hear_command()).responding_to for _ in range(4)] == [1, 2, 3, 4]
    assert order == [(f"{INSTANCE_UID}.{number}", 100 * number) for number in range(1, 4)]


async def test_thousands_of_requests_in_one_write() -> None:
    """As many as fit a receive buffer wait for a slow handler; then each is served, without a stack of calls."""
    go_on, count = asyncio.Event(), 4000

    async def store(request: StoreRequest) -> None:
        await go_on.wait()

    async with scripted_requestor(storing(store)) as (association, peer):
        one = peer.upper.message(1, echo_rq(2))
        peer.say(store_rq(1), bytes(10), 3)
        peer.say_bytes(one * count)
        await until(lambda: len(association.waiting) >= WAITING)
        go_on.set()
        assert (await peer.hear_command()).responding_to == 1
        for _ in range(count):
            assert (await peer.hear_command()).responding_to == 2


async def test_a_peer_that_asks_faster_than_it_is_served_is_held_back() -> None:
    """What waits stays bounded by one receive buffer, however much the peer has to ask."""
    served, turn = [], asyncio.Semaphore(0)

    async def store(request: StoreRequest) -> None:
        await request.read()
        await turn.acquire()
        served.append(request.inbound.message_id)

    async with scripted_requestor(storing(store)) as (association, peer):
        total = 3 * RECEIVE_SIZE // 1200
        for number in range(1, total + 1):
            peer.say(store_rq(number), bytes(1000), 3)
        most = 0
        for _ in range(40):
            turn.release()
            await settled()
            most = max(most, len(association.waiting))
        assert WAITING <= most <= RECEIVE_SIZE // 1000
        for _ in range(total):
            turn.release()
        await until(lambda: len(served) == total)
    assert served == list(range(1, total + 1))


async def test_two_requests_with_the_same_id_at_once() -> None:
    """PS3.7 C.5.4: Duplicate Invocation, for the one that comes second; its data set is dropped."""
    go_on = asyncio.Event()

    async with scripted_requestor(storing_until(go_on)) as (association, peer):
        association.serving_window = 5
        peer.say(store_rq(7), bytes(10), 3)
        peer.say(store_rq(7), bytes(200_000), 3)
        assert (await peer.hear_command()).status == Status.DUPLICATE_INVOCATION
        go_on.set()
        answer = await peer.hear_command()
        assert (answer.responding_to, answer.status) == (7, 0)


async def test_a_data_set_longer_than_the_limit_for_memory(tmp_path: Path) -> None:
    """It is refused where it would be held in memory, and taken where it goes to a file."""
    app = Application("APP")

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        if request.sop_instance_uid.endswith(".1"):
            await request.read()
        else:
            await request.save(tmp_path)

    async with connected(app, contexts=CONTEXTS, limits=Limits(data_set=100_000)) as association:
        with pytest.raises(Exception, match=r"0xA700.*longer than 100000 bytes"):
            await association.store(instance(2 * MEBIBYTE, f"{INSTANCE_UID}.1"))
        assert (await association.store(instance(2 * MEBIBYTE, f"{INSTANCE_UID}.2"))).status == 0


async def test_messages_never_interleave() -> None:
    """While a data set is on its way, responses wait for its end (PS3.7 6.3)."""

    async def store(request: StoreRequest) -> None:
        assert await request.read() == content(3 * MEBIBYTE)

    async with connected(storing(store), client=Application("TEST"), contexts=CONTEXTS) as association:
        association.window.size = 10
        stores = [started(association.store(instance(3 * MEBIBYTE))) for _ in range(2)]
        echoes = [started(association.echo()) for _ in range(5)]
        assert [response.status for response in await asyncio.gather(*stores)] == [0, 0]
        assert len(await asyncio.gather(*echoes)) == 5


async def test_receive_buffers_are_used_again() -> None:
    pool = BufferPool()
    first = pool.take()
    first.hold()
    first.release()
    assert not pool.free
    first.release()
    assert pool.take() is first
    several = [pool.take() for _ in range(KEPT + 3)]
    for buffer in several:
        buffer.release()
    assert len(pool.free) == KEPT


class Valve:
    """A connection that notes whether it may read."""

    def __init__(self) -> None:
        self.pool = BufferPool()
        self.state = "open"

    def hold_buffer(self):  # type: ignore[no-untyped-def]
        return self.pool.take()

    def pause_reading(self) -> None:
        self.state = "paused"

    def resume_reading(self) -> None:
        self.state = "open"


def big() -> list[memoryview]:
    return [memoryview(bytes(HELD // 2))]


async def test_a_body_pauses_and_resumes() -> None:
    valve = Valve()
    body = Body(valve)
    body.feed(big(), False)
    assert valve.state == "open"
    body.feed(big(), False)
    assert valve.state == "paused"
    for piece in await body.take():
        piece.release()
    assert valve.state == "open"
    body.feed(big(), True)
    assert valve.state == "open"
    assert sum(piece.size for piece in await body.take()) == HELD // 2
    assert await body.take() == []


async def test_a_body_that_ends_while_reading_is_paused_lets_the_next_message_in() -> None:
    """What was read before the pause took effect may bring the end of the data set."""
    valve = Valve()
    body = Body(valve)
    body.feed(big(), False)
    body.feed(big(), False)
    body.feed(big(), True)
    assert valve.state == "open"


async def test_a_body_waits_for_as_much_as_is_worth_a_write() -> None:
    body = Body(Valve())
    taking = started(body.take(1000))
    body.feed([memoryview(bytes(999))], False)
    await settled()
    assert not taking.done()
    body.feed([memoryview(bytes(1))], False)
    assert sum(piece.size for piece in await taking) == 1000
    taking = started(body.take(1000))
    body.feed([memoryview(bytes(5))], True)
    assert sum(piece.size for piece in await taking) == 5


async def test_a_body_is_read_once() -> None:
    body = Body(Valve())
    body.feed([memoryview(b"abc")], True)
    assert await body.read(100) == b"abc"
    with pytest.raises(LocalProtocolError, match="read already"):
        await body.read(100)
    discarded = Body(Valve())
    discarded.discard()
    with pytest.raises(LocalProtocolError, match="read already"):
        discarded.begin()


async def test_a_body_that_fails_lets_go_of_what_it_holds() -> None:
    valve = Valve()
    body = Body(valve)
    body.feed(big(), False)
    (held,) = body.pieces
    assert held.buffer is not None
    buffer = held.buffer
    body.fail(RemoteProtocolError("gone"))
    assert not buffer.holders
    with pytest.raises(RemoteProtocolError, match="gone"):
        await body.take()
    with pytest.raises(RemoteProtocolError, match="gone"):
        await body.finished()


async def test_a_body_too_long_for_memory() -> None:
    body = Body(Valve())
    body.feed([memoryview(bytes(11))], False)
    with pytest.raises(Refused, match="longer than 10 bytes"):
        await body.read(10)
    body.feed([memoryview(bytes(11))], True)
    await body.finished()
    assert not body.pieces


async def test_chunks_that_are_abandoned_let_go_of_their_buffers() -> None:
    valve = Valve()
    body = Body(valve)
    body.feed(big(), False)
    body.feed(big(), True)
    buffers = [piece.buffer for piece in body.pieces]
    chunks = body.chunks()
    async for _ in chunks:
        break
    await chunks.aclose()
    assert [buffer.holders for buffer in buffers if buffer is not None] == [0, 0]


async def test_reading_goes_on_when_no_cause_is_left_to_pause_it() -> None:
    async with scripted_requestor(Application("APP")) as (_, peer):
        protocol: UpperLayerProtocol = peer.protocol
        transport = protocol.transport
        protocol.pause_reading(BODY)
        protocol.pause_reading(QUEUE)
        protocol.resume_reading(QUEUE)
        assert transport is not None
        assert transport.paused  # type: ignore[attr-defined]
        protocol.resume_reading(BODY)
        assert not transport.paused  # type: ignore[attr-defined]
        protocol.resume_reading(BODY)
        assert isinstance(peer.upper, UpperLayer)

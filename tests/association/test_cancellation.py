"""Cancelled at every `await`: the association ends where a message cannot be stopped, and nothing else suffers."""

import asyncio
import itertools
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

import dicomio
from dicomio import (
    Application,
    AssociationAborted,
    AssociationReleased,
    Client,
    Limits,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.datasets import Instance
from dicomio.session import Aborted, ReleaseRequested
from dicomio.threads import in_thread
from tests.association.peers import (
    INSTANCE_UID,
    MEBIBYTE,
    Interrupted,
    MemoryClient,
    content,
    held_buffers,
    instance,
    leftovers,
    response,
    scripted_acceptor,
    settled,
    started,
    storing,
    until,
)

# A single write, one batch of many PDUs, and several batches with flow control between them.
SIZES = {"small": 1000, "one-batch": 300_000, "batches": 2 * MEBIBYTE + 300_001}


def saving(directory: Path) -> Application:
    async def save(request: StoreRequest) -> None:
        await request.save(f"{directory}/")

    return storing(save)


def on_disk(directory: Path, source: Instance) -> Instance:
    """The same object as a file."""
    path = directory / "source.dcm"
    uids = (
        (b"\x02\0", source.sop_class_uid),
        (b"\x03\0", source.sop_instance_uid),
        (b"\x10\0", source.transfer_syntax),
    )
    head = b"".join(b"\x02\0" + tag + b"UI" + len(even(uid)).to_bytes(2, "little") + even(uid) for tag, uid in uids)
    path.write_bytes(bytes(128) + b"DICM" + head + source.read())
    return Instance.open(path)


def even(uid: str) -> bytes:
    value = uid.encode()
    return value + b"\0" * (len(value) % 2)


async def interrupt(awaitable: Awaitable[Any], at: int, later: int) -> bool:
    """Runs something and cancels it at its n-th wait; whether it got as far as that."""
    interrupted = Interrupted(awaitable, at, later)

    async def run() -> None:
        await interrupted

    try:
        await asyncio.create_task(run())
    except asyncio.CancelledError:
        assert interrupted.reached
    return interrupted.reached


async def nine_other_calls(client: Client, kept: Path) -> None:
    """What still has to work on the same client after one call was cancelled."""
    for number in range(3):
        assert await client.echo() >= 0
        await client.store(instance(700, f"{INSTANCE_UID}.{number}"))
        assert (kept / f"{INSTANCE_UID}.{number}.dcm").read_bytes().endswith(content(700))
        async with client.store_many([instance(900, f"{INSTANCE_UID}.{number}")]) as outcomes:
            assert [outcome.error async for outcome in outcomes] == [None]


@pytest.mark.parametrize("later", [0, 1, 3])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_store_of_bytes_cancelled_at_every_await(tmp_path: Path, size: int, later: int) -> None:
    source, before = instance(size), held_buffers()
    for at in itertools.count():
        async with MemoryClient(saving(tmp_path)) as client:
            reached = await interrupt(client.store(source), at, later)
            await nine_other_calls(client, tmp_path)
        files = set(leftovers(tmp_path)) - {f"{INSTANCE_UID}.{number}.dcm" for number in range(3)}
        assert files <= {f"{INSTANCE_UID}.dcm"}
        assert held_buffers() == before
        if not reached:
            break
    assert at >= 2
    assert (tmp_path / f"{INSTANCE_UID}.dcm").read_bytes().endswith(content(size))


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_store_of_a_file_cancelled_at_every_await(tmp_path: Path, size: int, later: int) -> None:
    inbox = tmp_path / "in"
    source = await in_thread(on_disk, tmp_path, instance(size))
    before, descriptors = held_buffers(), open_descriptors()
    for at in itertools.count():
        async with MemoryClient(saving(inbox)) as client:
            reached = await interrupt(client.store(source), at, later)
            await nine_other_calls(client, inbox)
        files = set(leftovers(inbox)) - {f"{INSTANCE_UID}.{number}.dcm" for number in range(3)}
        assert files <= {f"{INSTANCE_UID}.dcm"}
        assert held_buffers() == before
        assert open_descriptors() == descriptors
        if not reached:
            break
    assert at >= 3
    assert (inbox / f"{INSTANCE_UID}.dcm").read_bytes().endswith(content(size))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_iterating_a_store_cancelled_at_every_await(tmp_path: Path, size: int) -> None:
    before = held_buffers()

    async def watch(client: Client) -> None:
        async with client.store(instance(size)) as progress:
            async for step in progress:
                assert step.total == len(content(size))

    for at in itertools.count():
        async with MemoryClient(saving(tmp_path)) as client:
            reached = await interrupt(watch(client), at, 0)
            await nine_other_calls(client, tmp_path)
        assert held_buffers() == before
        if not reached:
            break
    assert at >= 2


@pytest.mark.parametrize("later", [0, 1])
async def test_echo_cancelled_at_every_await(tmp_path: Path, later: int) -> None:
    for at in itertools.count():
        async with MemoryClient(saving(tmp_path)) as client:
            reached = await interrupt(client.echo(), at, later)
            await nine_other_calls(client, tmp_path)
        if not reached:
            break
    assert at >= 1


async def test_store_many_cancelled_at_every_await(tmp_path: Path) -> None:
    before = held_buffers()
    sources = [instance(70_000, f"{INSTANCE_UID}.{number}") for number in range(3)]

    async def send(client: Client) -> None:
        async with client.store_many(sources) as outcomes:
            async for outcome in outcomes:
                assert outcome.error is None

    for at in itertools.count():
        async with MemoryClient(saving(tmp_path), limits=Limits(associations=2)) as client:
            reached = await interrupt(send(client), at, 0)
            await nine_other_calls(client, tmp_path)
        assert held_buffers() == before
        if not reached:
            break
    assert at >= 3


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_handler_cancelled_at_every_await_because_the_peer_aborts(tmp_path: Path, size: int) -> None:
    """An abort reaches the handler wherever it is: either the whole file is there in the end, or nothing of it."""
    before = held_buffers()
    for at in itertools.count():
        inbox = tmp_path / str(at)
        interrupted: list[Interrupted] = []

        async def save(request: StoreRequest, at: int = at, inbox: Path = inbox) -> None:
            peer = client.opened[-1]
            saving = Interrupted(request.save(f"{inbox}/"), at, 0, peer.abort)
            interrupted.append(saving)  # noqa: B023
            await saving

        async with MemoryClient(storing(save)) as client:
            if await failed(client.store(instance(size))):
                assert interrupted[0].reached
            assert await client.echo() >= 0
        assert leftovers(inbox) in ([], [f"{INSTANCE_UID}.dcm"])
        for path in inbox.glob("*"):
            assert path.read_bytes().endswith(content(size))
        assert held_buffers() == before
        if not interrupted[0].reached:
            break
    assert at >= 1
    assert leftovers(inbox) == [f"{INSTANCE_UID}.dcm"]


async def failed(awaitable: Awaitable[Any]) -> bool:
    """Whether a request ended because its association did."""
    try:
        await awaitable
    except AssociationAborted:
        return True
    return False


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_handler_task_cancelled_at_every_await(tmp_path: Path, size: int) -> None:
    """A handler that ends by being cancelled, for whatever reason, leaves no peer waiting for its response."""
    before = held_buffers()
    for at in itertools.count():
        inbox = tmp_path / str(at)
        interrupted: list[Interrupted] = []

        async def save(request: StoreRequest, at: int = at, inbox: Path = inbox) -> None:
            saving = Interrupted(request.save(f"{inbox}/"), at, 0)
            interrupted.append(saving)  # noqa: B023
            await saving

        async with MemoryClient(storing(save)) as client:
            try:
                await client.store(instance(size))
            except (StatusError, AssociationAborted):
                assert interrupted[0].reached
            assert await client.echo() >= 0
        assert leftovers(inbox) in ([], [f"{INSTANCE_UID}.dcm"])
        assert held_buffers() == before
        if not interrupted[0].reached:
            break
    assert at >= 1
    assert leftovers(inbox) == [f"{INSTANCE_UID}.dcm"]


def open_descriptors() -> int:
    """Files and sockets that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


# the rows of the table in the design, one by one


async def test_cancelled_while_awaiting_a_reply_the_late_reply_is_dropped() -> None:
    async with scripted_acceptor() as (association, peer):
        waiting = asyncio.ensure_future(association.echo())
        first = await peer.hear_command()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert association.is_established
        # The window is one operation, so the next request waits for the late response.
        second = asyncio.ensure_future(association.echo())
        await settled()
        assert peer.events.empty()
        peer.say(response(first, status=0x0211))
        request = await peer.hear_command()
        assert request.message_id != first.message_id
        peer.say(response(request))
        assert await second >= 0
        assert association.quirks == []


async def test_cancelled_while_awaiting_the_reply_to_a_store() -> None:
    async with scripted_acceptor() as (association, peer):
        waiting = started(association.store(instance(MEBIBYTE)))
        first = await peer.hear_request()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert association.is_established
        peer.say(response(first))
        second = asyncio.ensure_future(association.echo())
        peer.say(response(await peer.hear_command()))
        await second


async def test_cancelled_in_the_middle_of_a_data_set_aborts() -> None:
    async with scripted_acceptor() as (association, peer):
        peer.protocol.pause_reading()
        waiting = started(association.store(instance(3 * MEBIBYTE)))
        await until(lambda: association.write_queue_size > 0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert isinstance(association.ended, AssociationAborted)
        assert "in the middle of a data set" in str(association.ended)
        with pytest.raises(AssociationAborted):
            await association.echo()
        peer.protocol.resume_reading()
        assert (await peer.hear(Aborted)).source == 0


async def test_a_timeout_around_a_reply_raises_at_once() -> None:
    async with scripted_acceptor() as (association, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await association.echo()
        assert association.is_established


async def test_cancelled_before_anything_was_sent_leaves_the_association_as_it_was() -> None:
    async with scripted_acceptor() as (association, peer):
        first = asyncio.ensure_future(association.echo())
        request = await peer.hear_command()
        second = started(association.store(instance(MEBIBYTE)))
        third = asyncio.ensure_future(association.echo())
        await settled()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        peer.say(response(request))
        await first
        peer.say(response(await peer.hear_command()))
        await third
        assert association.is_established


async def test_exception_inside_connect_aborts(tmp_path: Path) -> None:
    app = saving(tmp_path)
    ended: list[Any] = []
    app.on_close(lambda association: ended.append(association.ended))
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        connection = dicomio.connect(f"APP@127.0.0.1:{server.port}", contexts=[sop.Verification])

        async def leave_by_an_exception() -> None:
            async with connection as association:
                await association.echo()
                raise KeyError

        with pytest.raises(KeyError):
            await leave_by_an_exception()
    assert connection.association is not None
    assert isinstance(connection.association.ended, AssociationAborted)
    (error,) = ended
    assert isinstance(error, AssociationAborted)
    assert not error.local


async def test_clean_exit_releases(tmp_path: Path) -> None:
    app = saving(tmp_path)
    ended: list[Any] = []
    app.on_close(lambda association: ended.append(association.ended))
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        async with dicomio.connect(f"APP@127.0.0.1:{server.port}", contexts=[sop.Verification]) as association:
            await association.echo()
        assert isinstance(association.ended, AssociationReleased)
    assert isinstance(ended[0], AssociationReleased)


async def test_cancelled_while_leaving_a_connection_aborts_it() -> None:
    async with scripted_acceptor() as (association, peer):
        leaving = asyncio.ensure_future(association.release())
        await peer.hear(ReleaseRequested)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await peer.hear(Aborted)
        assert isinstance(association.ended, AssociationAborted)


async def test_a_thread_is_waited_for_however_often_its_caller_is_cancelled() -> None:
    """What the thread works on is let go of afterwards, so it must not go on behind the back of its caller."""
    started, go_on, done = threading.Event(), threading.Event(), []

    def work() -> None:
        started.set()
        go_on.wait(5)
        done.append(True)

    task = asyncio.ensure_future(in_thread(work))
    await until(started.is_set)
    for _ in range(3):
        task.cancel()
        await settled()
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]

"""The tasks of requests: what they see of one another, and what is left of one that never began."""

import asyncio
import gc
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from dicomio import Association, DicomError, Instance, StoreRequest
from dicomio.buffers import RECEIVE_SIZE
from dicomio.operations import Inbound
from dicomio.outgoing import read_region
from dicomio.testing import connected
from dicomio.threads import in_thread
from dicomio.wire import pdus
from tests.association.peers import (
    CONTEXTS,
    content,
    held_buffers,
    instance,
    response,
    scripted_acceptor,
    scripted_requestor,
    settled,
    started,
    store_rq,
    storing,
    until,
)

USER: ContextVar[str] = ContextVar("USER", default="nobody")


async def test_a_handler_does_not_see_the_context_of_the_one_before() -> None:
    seen = []

    async def store(request: StoreRequest) -> None:
        seen.append(USER.get())
        await request.read()
        USER.set(request.sop_instance_uid)

    app = storing(store)

    @app.on_release
    async def over(association: Association) -> None:
        seen.append(USER.get())

    async with scripted_requestor(app) as (_, peer):
        for message_id in (1, 2, 3):
            peer.say(store_rq(message_id, f"1.2.{message_id}"), content(10), context_id=3)
        for _ in range(3):
            await peer.hear_command()
        peer.release()
        await until(lambda: len(seen) == 4)
    assert seen == ["nobody"] * 4


async def test_a_task_that_is_cancelled_before_it_begins_leaves_its_place_to_the_next() -> None:
    stored = []

    async def store(request: StoreRequest) -> None:
        await request.read()
        stored.append(request.sop_instance_uid)

    async with scripted_requestor(storing(store)) as (association, peer):
        peer.say(store_rq(1, "1.2.1"), content(10), context_id=3)
        peer.say(store_rq(2, "1.2.2"), content(10), context_id=3)
        await until(lambda: bool(association.serving))
        first = association.serving[1]
        assert first.task is not None
        first.task.cancel()
        assert (await peer.hear_command()).responding_to == 2
        assert stored == ["1.2.2"]
        assert not association.serving


async def test_a_request_that_never_begins_holds_no_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Inbound] = []
    began = []

    async def store(request: StoreRequest) -> None:
        began.append(request)

    async with scripted_requestor(storing(store)) as (association, peer):
        serve = association.serve

        def take(inbound: Inbound) -> None:
            taken.append(inbound)
            serve(inbound)

        monkeypatch.setattr(association, "serve", take)
        association.protocol.room = RECEIVE_SIZE
        message = peer.upper.message(3, store_rq(1), content(200_000))
        peer.say_bytes(message + pdus.encode(pdus.Abort(0, 0)))
        await until(lambda: association.ended is not None)
        await settled()
        assert len(taken) == 1
        assert not began
        assert not association.serving
        assert not held_buffers()


async def test_short_files_are_read_when_it_is_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def reading(path: Path, offset: int, length: int, stamp: tuple[int, int] | None) -> bytes:
        read.append(path)
        return read_region(path, offset, length, stamp)

    async def store(request: StoreRequest) -> None:
        await request.save(tmp_path)

    async with connected(storing(store), contexts=CONTEXTS) as association:
        await association.store(instance(1000))
    monkeypatch.setattr("dicomio.services.storage.read_region", reading)
    (path,) = tmp_path.iterdir()
    async with scripted_acceptor() as (association, peer):
        stores = [started(association.store(path)) for _ in range(20)]
        for number in range(1, 21):
            request = await peer.hear_request()
            assert len(read) == number
            peer.say(response(request), context_id=3)
        assert [(await each).status for each in stores] == [0] * 20


async def test_a_short_object_in_tiny_pdus_goes_in_batches() -> None:
    got = []

    async def store(request: StoreRequest) -> None:
        got.append(await request.read())

    async with connected(storing(store), contexts=CONTEXTS) as association:
        association.upper.send_payload = 8
        await association.store(instance(10_001))
    assert got == [content(10_001)]


async def test_nothing_of_a_request_waits_for_the_garbage_collector() -> None:
    async def store(request: StoreRequest) -> None:
        await request.read()

    async with scripted_requestor(storing(store)) as (association, peer):
        peer.say(store_rq(1), content(10), context_id=3)
        await peer.hear_command()
        await settled()
        gc.collect()
        gc.disable()
        try:
            for message_id in range(2, 12):
                peer.say(store_rq(message_id), content(10), context_id=3)
                await peer.hear_command()
            await settled()
            assert not association.serving
            left = [each for each in gc.get_objects() if isinstance(each, Inbound) and each.provider is association]
            assert not [each for each in left if each.message_id > 2]
        finally:
            gc.enable()


# Python 3.12 and later can begin tasks at once.
@pytest.mark.parametrize("factory", {None, getattr(asyncio, "eager_task_factory", None)})
async def test_requests_are_served_however_tasks_begin(factory: Any) -> None:
    stored = []

    async def store(request: StoreRequest) -> None:
        await request.read()
        stored.append(request.sop_instance_uid)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        async with scripted_requestor(storing(store)) as (association, peer):
            for message_id in (1, 2, 3):
                peer.say(store_rq(message_id, f"1.2.{message_id}"), content(10), context_id=3)
            for _ in range(3):
                assert (await peer.hear_command()).status == 0
            assert not association.serving
    finally:
        loop.set_task_factory(None)
    assert stored == ["1.2.1", "1.2.2", "1.2.3"]


async def test_nothing_is_sent_to_a_peer_that_wants_to_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def save(request: StoreRequest) -> None:
        await request.save(tmp_path)

    async with connected(storing(save), contexts=CONTEXTS) as association:
        await association.store(instance(1000))
    source = await in_thread(lambda: Instance.open(next(tmp_path.iterdir())))
    serving, reading, going_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def store(request: StoreRequest) -> None:
        serving.set()
        await going_on.wait()

    async def read_slowly(*args: object) -> bytes:
        reading.set()
        await going_on.wait()
        return content(1000)

    async with scripted_acceptor(app=storing(store)) as (association, peer):
        peer.say(store_rq(1), content(10), context_id=3)
        await serving.wait()
        monkeypatch.setattr("dicomio.services.storage.promptly", read_slowly)
        sending = started(association.store(source))
        await reading.wait()
        peer.release()
        await until(lambda: association.state == "Sta8")
        going_on.set()
        with pytest.raises(DicomError):
            await sending
        assert (await peer.hear_command()).is_response
        assert not association.pending

"""What is told to be stored is stored completely, whatever handlers and peers do at the wrong moment."""

import asyncio
import dataclasses
import gc
import logging
import resource
import warnings
from pathlib import Path

import pytest

import dicomio
from dicomio import (
    Application,
    AssociationAborted,
    Instance,
    Limits,
    RemoteProtocolError,
    Status,
    StatusError,
    StoreRequest,
)
from dicomio.sop import CTImageStorage, MRImageStorage
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import CONTEXTS, INSTANCE_UID, MEBIBYTE, content, instance, storing

SIZE = 5 * MEBIBYTE


async def failed_to_store(app: Application, size: int = SIZE) -> int:
    """Sends an object that is not stored, and returns the status."""
    async with connected(app, contexts=CONTEXTS) as association:
        with pytest.raises(StatusError) as caught:
            await association.store(instance(size))
        assert await association.echo() < 5
    return int(caught.value.status)


async def test_a_save_whose_handler_ends_first_leaves_no_file(tmp_path: Path) -> None:
    saves: list[asyncio.Future[Path]] = []

    async def store(request: StoreRequest) -> None:
        saving = asyncio.ensure_future(save(request))
        saves.append(saving)
        await asyncio.sleep(0)
        raise ValueError

    async def save(request: StoreRequest) -> Path:
        return await request.save(tmp_path)

    (tmp_path / f"{INSTANCE_UID}.dcm").write_bytes(b"the good old one")
    assert await failed_to_store(storing(store)) == Status.PROCESSING_FAILURE
    with pytest.raises(dicomio.LocalProtocolError, match="dropped"):
        await saves[0]
    assert [path.name for path in tmp_path.iterdir()] == [f"{INSTANCE_UID}.dcm"]
    assert (tmp_path / f"{INSTANCE_UID}.dcm").read_bytes() == b"the good old one"


async def test_a_save_that_is_not_awaited_is_not_a_success(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def store(request: StoreRequest) -> None:
        request.save(tmp_path)

    app = Application("APP")
    app.store("*")(store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert await failed_to_store(app, 100) == Status.PROCESSING_FAILURE
        gc.collect()
    assert "await missing" in caplog.text
    assert list(tmp_path.iterdir()) == []


async def test_a_request_that_is_made_and_forgotten_warns() -> None:
    async with connected(Application("APP"), contexts=CONTEXTS) as association:
        with pytest.warns(RuntimeWarning, match="neither awaited nor iterated"):
            forget(association)


def forget(association: dicomio.Association) -> None:
    association.store(instance(10))
    gc.collect()


async def test_awaiting_twice_does_it_once(tmp_path: Path) -> None:
    async def store(request: StoreRequest) -> None:
        saving = request.save(tmp_path)
        assert await saving == await saving

    async with connected(storing(store), contexts=CONTEXTS) as association:
        sending = association.store(instance(SIZE))
        assert (await sending) is (await sending)
        assert [step async for step in sending] == []
    assert (tmp_path / f"{INSTANCE_UID}.dcm").read_bytes().endswith(content(SIZE))


async def test_deciding_first_and_saving_then(tmp_path: Path) -> None:
    async def store(request: StoreRequest) -> None:
        assert await request.read() == await request.read() == content(1000)
        assert [chunk async for chunk in request.chunks()] == [content(1000)]
        await request.save(tmp_path)

    async with connected(storing(store), contexts=CONTEXTS) as association:
        await association.store(instance(1000))
    assert (tmp_path / f"{INSTANCE_UID}.dcm").read_bytes().endswith(content(1000))


@pytest.mark.parametrize("result", [True, False, "0x0000", object()])
async def test_results_that_are_no_status(result: object) -> None:
    async def store(request: StoreRequest) -> object:
        return result

    app = Application("APP")
    app.store("*")(store)
    assert await failed_to_store(app, 10) == Status.PROCESSING_FAILURE


async def test_a_file_that_has_changed_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    whole = dataclasses.replace(instance(10), data=None, path=path, length=10, stamp=(10, 1))
    path.write_bytes(bytes(10))

    async def store(request: StoreRequest) -> None:
        await request.read()

    async with connected(storing(store), contexts=CONTEXTS) as association:
        with pytest.raises(dicomio.InvalidInstance, match="changed"):
            await association.store(whole)
        assert await association.echo() < 5


async def test_an_answer_to_another_request_is_not_taken_for_ours() -> None:
    """A C-ECHO-RSP while a C-STORE-RSP is due."""

    async def store(request: StoreRequest) -> None:
        inbound = request.inbound
        answer = Command(CommandField.C_ECHO_RSP, responding_to=inbound.message_id, status=0)
        inbound.provider.post(inbound.context.id, answer)

    async with connected(storing(store), contexts=CONTEXTS) as association:
        with pytest.raises((RemoteProtocolError, AssociationAborted)):
            await association.store(instance(10))


@pytest.mark.parametrize("strict", [False, True])
async def test_an_object_of_another_sop_class_than_its_context(strict: bool) -> None:
    seen: list[str] = []

    async def store(request: StoreRequest) -> None:
        seen.append(request.sop_class_uid)

    async with connected(storing(store), contexts=[CTImageStorage], strict=strict) as association:
        context = association.contexts[1]
        command = Command(
            CommandField.C_STORE_RQ,
            affected_sop_class_uid=MRImageStorage,
            affected_sop_instance_uid=INSTANCE_UID,
            priority=0,
            has_data_set=True,
        )
        reply = await association.request(context, command, b"\x08\x00\x05\x00\x00\x00\x00\x00")
    assert reply.command.status == (Status.SOP_CLASS_NOT_SUPPORTED if strict else Status.SUCCESS)
    assert seen == ([] if strict else [MRImageStorage])


async def test_cancelled_and_lost_at_the_same_moment() -> None:
    """Requests that wait for a place in the window, one of them cancelled when the association ends."""
    go_on = asyncio.Event()

    async def store(request: StoreRequest) -> None:
        await go_on.wait()

    async with connected(storing(store), contexts=CONTEXTS) as association:
        tasks = [asyncio.ensure_future(send(association)) for _ in range(3)]
        while len(association.window.turns) < 2:
            await asyncio.sleep(0)
        tasks[1].cancel()
        association.abort()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [AssociationAborted, asyncio.CancelledError, AssociationAborted]


async def send(association: dicomio.Association) -> None:
    await association.store(instance(10))


async def test_crumbs_cost_no_more_than_their_bytes() -> None:
    """PDVs of one byte each: neither does memory grow with their number, nor does the loop stand still."""
    sizes: list[int] = []

    async def store(request: StoreRequest) -> None:
        await asyncio.sleep(0)
        sizes.append(len(await request.read()))

    count = 200_000
    async with connected(storing(store), contexts=CONTEXTS, limits=Limits()) as association:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        association.upper.send_payload = 2
        assert (await association.store(instance(count))).status == Status.SUCCESS
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    assert sizes == [count]


async def test_a_peer_that_asks_and_does_not_read_has_to_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with dicomio.serve(Application("APP"), "127.0.0.1", 0, timeout=dicomio.Timeout(5, write=60)) as server:
        async with dicomio.connect(f"APP@127.0.0.1:{server.port}", contexts=["1.2.840.10008.1.1"]) as association:
            (victim,) = server.associations
            association.protocol.pause_reading()
            question = association.upper.message(
                1, Command(CommandField.C_ECHO_RQ, message_id=9, affected_sop_class_uid="1.2.840.10008.1.1")
            )
            most = 0
            for _ in range(400):
                association.protocol.write(question * 1000)
                await asyncio.sleep(0)
                most = max(most, victim.write_queue_size)
                if victim.protocol.reading_paused:
                    break
            assert victim.protocol.reading_paused
            assert most < 8 * MEBIBYTE
            victim.abort()
            association.abort()


def test_an_instance_knows_its_file(tmp_path: Path) -> None:
    assert Instance.from_bytes("1.2", "1.3", "1.4", b"").stamp is None

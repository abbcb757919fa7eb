"""C-GET as SCU: objects that come on the same association, each answered when it is done with (PS3.4 C.4.3)."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dicomio import (
    Association,
    AssociationAborted,
    ConnectionLost,
    NoPresentationContext,
    Progress,
    Retrieval,
    Status,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.body import HELD
from dicomio.config import PresentationContext
from dicomio.datasets import encode
from dicomio.identifiers import dataset
from dicomio.services.retrieve import CHOICES, get_contexts
from dicomio.sop import STUDY_ROOT, WORKLIST
from dicomio.testing import connected
from dicomio.wire.commands import CommandField
from tests.association.peers import (
    MEBIBYTE,
    MemoryClient,
    ScriptedPeer,
    content,
    held_buffers,
    leftovers,
    settled,
    started,
    store_rq,
    until,
)
from tests.association.querying import (
    GET,
    GET_ID,
    QUERYING,
    STORE_ID,
    STUDY,
    SYNTAX,
    Receiver,
    asking,
    check_usable,
    giving,
    hear_identifier,
    hear_stored,
    objects,
    reply,
    say_end,
    say_object,
    take_all,
    uid,
)

# what is sent, what comes back


async def test_the_request_says_what_is_asked_for() -> None:
    async with asking() as (association, peer):
        waiting = started(association.get(STUDY, priority=2))
        command = await peer.hear_command()
        assert (command.field, command.affected_sop_class_uid) == (CommandField.C_GET_RQ, GET)
        assert (command.priority, command.move_destination) == (2, None)
        assert await hear_identifier(peer) == STUDY
        say_end(peer, command, completed=0, failed=0, warning=0)
        assert await waiting == Progress()


async def test_objects_come_as_store_requests(tmp_path: Path) -> None:
    sent = objects(3)
    async with connected(giving(sent), contexts=QUERYING) as association:
        retrieval, seen = association.get(STUDY), []
        async for each in retrieval:
            assert isinstance(each, StoreRequest)
            assert each.association is association
            assert (each.sop_class_uid, each.transfer_syntax) == (sop.CTImageStorage, SYNTAX)
            assert (each.move_originator, each.move_originator_message_id) == (None, None)
            seen.append((each.sop_instance_uid, await each.save(tmp_path)))
            assert retrieval.received == len(seen)
        assert [path.name for _, path in seen] == [f"{instance.sop_instance_uid}.dcm" for instance in sent]
        for instance, (_, path) in zip(sent, seen, strict=True):
            assert path.read_bytes().endswith(instance.read())
        assert (retrieval.status, retrieval.progress) == (Status.SUCCESS, Progress(completed=3))
        assert await retrieval == Progress(completed=3)
        assert list(retrieval.failed_uids) == []


async def test_a_client_gets_too(tmp_path: Path) -> None:
    async with MemoryClient(giving(objects(2))) as client:
        async with client.get(STUDY, storage=[sop.CTImageStorage]) as retrieval:
            paths = [await each.save(tmp_path) async for each in retrieval]
        assert [path.name for path in paths] == [f"{uid(0)}.dcm", f"{uid(1)}.dcm"]
        assert len(client.opened) == 1
        assert await client.echo() >= 0


async def test_nothing_is_found() -> None:
    async with connected(giving([]), contexts=QUERYING) as association:
        retrieval = await take_all(association)
        assert (retrieval.status, retrieval.progress) == (Status.SUCCESS, Progress())


async def test_pending_responses_are_progress() -> None:
    async with asking() as (association, peer):
        retrieval = association.get(STUDY)
        waiting = started(retrieval)
        command = await peer.hear_request()
        say_end(peer, command, 0xFF00, remaining=9, completed=1, failed=0, warning=0)
        await settled()
        assert retrieval.progress == Progress(1, 0, 0, 9)
        assert retrieval.progress.total == 10
        say_end(peer, command, 0xFF00, remaining=7, completed=1, failed=1, warning=1)
        await settled()
        assert retrieval.progress == Progress(1, 1, 1, 7)
        say_end(peer, command, 0xB000, completed=8, failed=1, warning=1)
        assert await waiting == Progress(8, 1, 1, 0)
        assert retrieval.status == 0xB000


async def test_failed_instances_are_listed() -> None:
    async with asking() as (association, peer):
        retrieval = association.get(STUDY)
        waiting = started(retrieval)
        command = await peer.hear_request()
        failed = encode(dataset(FailedSOPInstanceUIDList=["1.2", "1.3"]), SYNTAX)
        peer.say(reply(command, 0xB000, completed=1, failed=2, warning=0, has_data_set=True), failed, GET_ID)
        assert (await waiting).failed == 2
        assert list(retrieval.failed_uids) == ["1.2", "1.3"]


async def test_a_failure_is_raised_with_its_numbers() -> None:
    async with asking() as (association, peer):
        retrieval = association.get(STUDY)
        waiting = started(retrieval)
        command = await peer.hear_request()
        failed = encode(dataset(FailedSOPInstanceUIDList="1.2"), SYNTAX)
        peer.say(reply(command, 0xA702, failed=1, error_comment="full", has_data_set=True), failed, GET_ID)
        with pytest.raises(StatusError, match=r"answered C-GET with 0xA702 .*: full"):
            await waiting
        assert retrieval.progress == Progress(failed=1)
        assert list(retrieval.failed_uids) == ["1.2"]
        await check_usable(association, peer)


async def test_what_was_not_negotiated() -> None:
    async with asking(contexts=[PresentationContext(sop.Verification)]) as (association, _):
        with pytest.raises(NoPresentationContext):
            await association.get(STUDY)
        assert association.take_object is None
        with pytest.raises(ValueError, match="no C-GET in the query model"):
            association.get(STUDY, model=WORKLIST)


def test_contexts_to_propose() -> None:
    """Compressed transfer syntaxes each in a context of its own, as long as there is room."""
    own = PresentationContext("1.2.3", (SYNTAX,), scu=False, scp=True)
    contexts = get_contexts(STUDY_ROOT, [sop.CTImageStorage, own, sop.CTImageStorage])
    assert contexts[0] == PresentationContext(GET)
    assert contexts[1] == own
    assert {context.abstract_syntax for context in contexts[2:]} == {sop.CTImageStorage}
    assert len(contexts) == 2 + len(CHOICES[0])
    assert len({context.transfer_syntaxes for context in contexts[2:]}) == len(CHOICES[0])
    assert all((context.scu, context.scp) == (False, True) for context in contexts[1:])
    for classes, contexts_each in ((12, 10), (13, 2), (63, 2), (64, 1), (127, 1)):
        many = get_contexts(STUDY_ROOT, [f"1.2.{number}" for number in range(classes)])
        assert len(many) == 1 + classes * contexts_each


# the response to each object


async def test_an_object_is_answered_when_the_body_of_the_loop_is_done() -> None:
    done = asyncio.Event()

    async def read_slowly(request: StoreRequest) -> None:
        await request.read()
        await done.wait()
        done.clear()

    async with asking() as (association, peer):
        taking = started(take_all(association, read_slowly))
        command = await peer.hear_request()
        for number in (1, 2):
            say_object(peer, number)
            await settled(50)
            assert peer.events.empty()
            done.set()
            assert await hear_stored(peer, number) == 0
        say_end(peer, command, completed=2)
        assert (await taking).progress.completed == 2


async def fail(request: StoreRequest) -> None:
    await request.read()
    raise KeyError


async def fail_untouched(request: StoreRequest) -> None:
    raise KeyError


@pytest.mark.parametrize("do", [fail, fail_untouched])
async def test_a_body_that_raises_is_a_failure_and_ends_it(do: Callable[[StoreRequest], Any]) -> None:
    async with asking() as (association, peer):
        taking = started(take_all(association, do))
        command = await peer.hear_request()
        say_object(peer, 1)
        heard = [await peer.hear_command(), await peer.hear_command()]
        answer = next(each for each in heard if each.field == CommandField.C_STORE_RSP)
        cancel = next(each for each in heard if each.field == CommandField.C_CANCEL_RQ)
        assert answer.status == Status.PROCESSING_FAILURE
        assert cancel.responding_to == command.message_id
        say_end(peer, command, 0xFE00, completed=0, failed=1, warning=0, remaining=4)
        with pytest.raises(KeyError):
            await taking
        await check_usable(association, peer)


async def test_a_body_that_raises_without_a_block_around() -> None:
    """The failure is answered when the iteration is dropped."""
    async with asking() as (association, peer):

        async def take() -> None:
            async for each in association.get(STUDY):
                await fail(each)

        taking = started(take())
        command = await peer.hear_request()
        say_object(peer, 1)
        with suppress(KeyError):
            await taking
        del taking
        gc.collect()
        heard = {(await peer.hear_command()).field for _ in range(2)}
        assert heard == {CommandField.C_STORE_RSP, CommandField.C_CANCEL_RQ}
        say_end(peer, command, 0xFE00)
        await check_usable(association, peer)


async def leave_after(do: Callable[[StoreRequest], Any] | None, association: Association) -> Retrieval[Any]:
    async with association.get(STUDY) as retrieval:
        async for each in retrieval:
            if do is not None:
                await do(each)
            break
    return retrieval


@pytest.mark.parametrize(
    "do, status",
    [(StoreRequest.read, 0x0000), (None, 0x0110)],
    ids=["read", "untouched"],
)
async def test_leaving_early(do: Callable[[StoreRequest], Any] | None, status: int) -> None:
    """The object that was read counts; one that was not even looked at has not been stored."""
    async with asking() as (association, peer):
        leaving = started(leave_after(do, association))
        command = await peer.hear_request()
        say_object(peer, 1)
        heard = {each.field: each for each in [await peer.hear_command(), await peer.hear_command()]}
        assert heard[CommandField.C_STORE_RSP].status == status
        assert heard[CommandField.C_CANCEL_RQ].responding_to == command.message_id
        # What was on its way already is refused, and the block is left when the peer has ended.
        say_object(peer, 2)
        assert await hear_stored(peer, 2) == Status.PROCESSING_FAILURE
        await settled()
        assert not leaving.done()
        say_end(peer, command, 0xFE00, completed=1, failed=1, warning=0, remaining=3)
        retrieval = await leaving
        assert retrieval.status == Status.CANCEL
        assert retrieval.progress == Progress(1, 1, 0, 3)
        await check_usable(association, peer)
        assert association.take_object is None


async def test_leaving_early_in_the_middle_of_an_object() -> None:
    """The rest of it arrives and is dropped; then it is answered."""
    before = held_buffers()
    async with asking() as (association, peer):
        leaving = started(leave_after(None, association))
        command = await peer.hear_request()
        whole = peer.upper.message(STORE_ID, store_rq(1, uid(1)), content(600_000))
        peer.say_bytes(whole[:400_000])
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        peer.say_bytes(whole[400_000:])
        assert await hear_stored(peer, 1) == Status.PROCESSING_FAILURE
        say_end(peer, command, 0xFE00)
        await leaving
        await check_usable(association, peer)
    assert held_buffers() == before


async def test_a_save_that_was_begun_and_not_awaited_is_a_failure(tmp_path: Path) -> None:
    async with asking() as (association, peer):
        begun = []

        async def begin(request: StoreRequest) -> None:
            begun.append(request.save(tmp_path))

        taking = started(take_all(association, begin))
        command = await peer.hear_request()
        say_object(peer, 1)
        assert await hear_stored(peer, 1) == Status.PROCESSING_FAILURE
        say_end(peer, command, 0xA702, failed=1)
        with pytest.raises(StatusError):
            await taking
        with pytest.warns(RuntimeWarning, match="neither awaited nor iterated"):
            begun.clear()
    assert leftovers(tmp_path) == []


async def test_what_runs_after_the_response(caplog: pytest.LogCaptureFixture) -> None:
    after: list[int] = []

    async def note(request: StoreRequest) -> None:
        request.after(fall_over)
        request.after(after.append, request.inbound.message_id)

    async def fall_over() -> None:
        raise KeyError

    async with asking() as (association, peer):
        taking = started(take_all(association, note))
        command = await peer.hear_request()
        say_object(peer, 1)
        await settled()
        assert await hear_stored(peer, 1) == 0
        await until(lambda: after == [1])
        say_end(peer, command, completed=1)
        await taking
    assert "what was to run after the response failed" in caplog.text


async def test_an_object_is_passed_on_while_it_arrives() -> None:
    receiver = Receiver()
    async with (
        MemoryClient(receiver.app) as other,
        connected(giving(objects(3, 3 * MEBIBYTE)), contexts=QUERYING) as association,
    ):
        retrieval = await take_all(association, other.store)
        assert retrieval.progress == Progress(completed=3)
    assert receiver.uids == [uid(0), uid(1), uid(2)]
    assert {data for _, data in receiver.received} == {content(3 * MEBIBYTE)}


async def test_an_object_that_nobody_reads_holds_the_peer_back() -> None:
    before, go_on = held_buffers(), asyncio.Event()

    async def wait(request: StoreRequest) -> None:
        await go_on.wait()

    async with connected(giving(objects(1, 16 * MEBIBYTE)), contexts=QUERYING) as association:
        taking = started(take_all(association, wait))
        await until(lambda: bool(association.protocol.reading_paused))
        await settled(100)
        (inbound,) = association.serving.values()
        assert inbound.body is not None
        assert inbound.body.received <= 2 * HELD
        go_on.set()
        assert (await taking).progress.completed == 1
    assert held_buffers() == before


# awaited only


async def test_awaiting_has_the_application_serve() -> None:
    receiver = Receiver(lambda request: 0xB000 if request.sop_instance_uid == uid(1) else None)
    async with connected(giving(objects(3)), client=receiver.app, contexts=QUERYING) as association:
        retrieval = association.get(STUDY)
        assert await retrieval == Progress(completed=2, warning=1)
        assert retrieval.status == 0xB000
    assert receiver.uids == [uid(0), uid(1), uid(2)]


async def test_awaiting_without_an_application_refuses() -> None:
    async with connected(giving(objects(2)), contexts=QUERYING) as association:
        retrieval = association.get(STUDY)
        with pytest.raises(StatusError, match="0xA702"):
            await retrieval
        assert retrieval.progress == Progress(failed=2)
        assert list(retrieval.failed_uids) == [uid(0), uid(1)]


async def test_iterating_does_not_ask_the_application() -> None:
    receiver = Receiver()
    async with connected(giving(objects(2)), client=receiver.app, contexts=QUERYING) as association:
        assert (await take_all(association)).progress.completed == 2
    assert receiver.received == []


async def test_awaiting_in_the_middle_refuses_the_rest() -> None:
    async with connected(giving(objects(4)), contexts=QUERYING) as association:
        retrieval = association.get(STUDY)
        await (await anext(retrieval)).read()
        assert await retrieval == Progress(completed=1, failed=3)
        assert list(retrieval.failed_uids) == [uid(1), uid(2), uid(3)]


# several on one association


async def test_another_get_waits_for_its_turn() -> None:
    async with connected(giving(objects(5)), contexts=QUERYING) as association:
        both = await asyncio.gather(take_all(association), take_all(association))
        assert [each.received for each in both] == [5, 5]
        assert [each.progress.completed for each in both] == [5, 5]


async def test_another_get_waits_for_the_drain_of_one_that_was_cancelled() -> None:
    async with asking() as (association, peer):
        first = started(take_all(association))
        command = await peer.hear_request()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = started(take_all(association))
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        say_object(peer, 1)
        assert await hear_stored(peer, 1) == Status.PROCESSING_FAILURE
        say_end(peer, command, 0xFE00)
        command = await peer.hear_request()
        assert command.field == CommandField.C_GET_RQ
        say_object(peer, 2)
        assert await hear_stored(peer, 2) == 0
        say_end(peer, command, completed=1)
        assert (await second).received == 1


# lost


def whole_pdus(message: bytes, most: int) -> bytes:
    """The beginning of a message, up to the end of a PDU."""
    end = 0
    while (following := end + 6 + int.from_bytes(message[end + 2 : end + 6])) <= most:
        end = following
    return message[:end]


@pytest.mark.parametrize(
    "lose, error", [(ScriptedPeer.abort, AssociationAborted), (ScriptedPeer.hang_up, ConnectionLost)]
)
async def test_lost_in_the_middle_of_an_object(
    tmp_path: Path, lose: Callable[[ScriptedPeer], None], error: type[Exception]
) -> None:
    before = held_buffers()
    async with asking() as (association, peer):
        taking = started(take_all(association, lambda request: request.save(tmp_path)))
        await peer.hear_request()
        whole = peer.upper.message(STORE_ID, store_rq(1, uid(1)), content(3 * MEBIBYTE))
        peer.say_bytes(whole_pdus(whole, 2 * MEBIBYTE))
        await until(lambda: bool(leftovers(tmp_path)))
        lose(peer)
        with pytest.raises(error):
            await taking
        assert association.ended is not None
    assert leftovers(tmp_path) == []
    assert held_buffers() == before


async def test_lost_between_two_objects() -> None:
    async with asking() as (association, peer):
        retrieval = association.get(STUDY)
        first = started(anext(retrieval))
        await peer.hear_request()
        say_object(peer, 1)
        await (await first).read()
        peer.hang_up()
        await until(lambda: association.ended is not None)
        with pytest.raises(ConnectionLost):
            await anext(retrieval)
        assert retrieval.status.is_pending

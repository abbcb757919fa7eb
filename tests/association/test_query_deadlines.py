"""Deadlines of find, move and get: they count from the last sign of progress, and blame nobody who was kept waiting."""

import asyncio

import pytest

from dicomio import (
    Association,
    AssociationAborted,
    Matches,
    ResponseTimeout,
    Retrieval,
    StoreRequest,
    Timeout,
)
from dicomio.invoking import REPLY_OVERHEAD, UNREAD_REPLIES
from dicomio.session import Aborted
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import ScriptedPeer, content, settled, started, store_rq, until
from tests.association.querying import (
    GET_ID,
    MOVE_ID,
    STORE_ID,
    STUDY,
    WANTED,
    Clock,
    Receiver,
    asking,
    check_usable,
    numbers,
    reply,
    say_match,
    uid,
)

LIMIT = 100.0
PATIENT = Timeout(5.0, response=LIMIT, idle=None)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def finding_one(association: Association) -> Matches:
    return association.find(WANTED)


def moving(association: Association) -> Retrieval[object]:
    return association.move(STUDY, to="DESTINATION")  # type: ignore[return-value]


def getting(association: Association) -> Retrieval[object]:
    return association.get(STUDY)  # type: ignore[return-value]


EVERY_OPERATION = pytest.mark.parametrize("ask", [finding_one, moving, getting], ids=["find", "move", "get"])


# nothing comes


@EVERY_OPERATION
@pytest.mark.parametrize("iterated", [False, True])
async def test_no_response_cancels_and_aborts(clock: Clock, ask: object, iterated: bool) -> None:
    """DESIGN: no reply within `timeout.response`: C-CANCEL where there is one, then A-ABORT."""
    assert callable(ask)
    async with asking(timeout=PATIENT) as (association, peer):
        operation = ask(association)
        waiting = started(anext(operation) if iterated else operation)
        command = await peer.hear_request()
        await clock.advance(LIMIT - 1)
        assert not waiting.done()
        await clock.advance(2)
        with pytest.raises(ResponseTimeout, match="no response within 100 s"):
            await waiting
        cancel = await peer.hear_command()
        assert (cancel.field, cancel.responding_to) == (CommandField.C_CANCEL_RQ, command.message_id)
        await peer.hear(Aborted)
        assert isinstance(association.ended, ResponseTimeout)


async def test_each_match_is_a_sign_of_progress(clock: Clock) -> None:
    async with asking(timeout=PATIENT) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        for number in range(5):
            await clock.advance(LIMIT - 1)
            say_match(peer, command, number)
            await settled()
        peer.say(reply(command))
        assert numbers(await waiting) == [0, 1, 2, 3, 4]
        await clock.advance(10 * LIMIT)
        await check_usable(association, peer)


async def test_each_pending_response_to_a_move_is_a_sign_of_progress(clock: Clock) -> None:
    async with asking(timeout=PATIENT) as (association, peer):
        waiting = started(association.move(STUDY, to="DESTINATION"))
        command = await peer.hear_request()
        for _ in range(5):
            await clock.advance(LIMIT - 1)
            peer.say(reply(command, 0xFF00), context_id=MOVE_ID)
            await settled()
        peer.say(reply(command, completed=5), context_id=MOVE_ID)
        assert (await waiting).completed == 5


async def test_half_a_match_is_none(clock: Clock) -> None:
    async with asking(timeout=PATIENT) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        await clock.advance(LIMIT - 1)
        peer.say_bytes(peer.upper.command(1, reply(command, 0xFF00, has_data_set=True)))
        await settled()
        await clock.advance(2)
        with pytest.raises(ResponseTimeout):
            await waiting
        assert association.ended is not None


async def test_an_iteration_that_was_timed_out_says_so_each_time(clock: Clock) -> None:
    async with asking(timeout=PATIENT) as (association, peer):
        matches = association.find(WANTED)
        waiting = started(anext(matches))
        await peer.hear_request()
        await clock.advance(LIMIT + 1)
        for again in (waiting, started(anext(matches)), started(matches)):
            with pytest.raises(ResponseTimeout):
                await again


async def test_without_a_deadline_nothing_passes(clock: Clock) -> None:
    async with asking(timeout=Timeout(None, idle=None)) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        await clock.advance(1e6)
        peer.say(reply(command))
        assert await waiting == []


# objects of a C-GET


async def store(peer: ScriptedPeer, number: int) -> None:
    peer.say(store_rq(number, uid(number)), content(100), STORE_ID)
    await settled()


async def test_objects_are_signs_of_progress(clock: Clock) -> None:
    """A C-GET peer may send no pending response at all: its C-STOREs count."""
    receiver = Receiver()
    async with asking(timeout=PATIENT, app=receiver.app) as (association, peer):
        waiting = started(association.get(STUDY))
        command = await peer.hear_request()
        for number in range(1, 6):
            await clock.advance(LIMIT - 1)
            await store(peer, number)
            assert (await peer.hear_command()).status == 0
        peer.say(reply(command, completed=5), context_id=GET_ID)
        assert (await waiting).completed == 5
        assert len(receiver.received) == 5


async def test_silence_after_the_last_object(clock: Clock) -> None:
    receiver = Receiver()
    async with asking(timeout=PATIENT, app=receiver.app) as (association, peer):
        waiting = started(association.get(STUDY))
        await peer.hear_request()
        await clock.advance(LIMIT / 2)
        await store(peer, 1)
        await clock.advance(LIMIT - 1)
        assert not waiting.done()
        await clock.advance(2)
        with pytest.raises(ResponseTimeout):
            await waiting
        assert association.ended is not None


async def get_all(association: Association, done: asyncio.Event, taken: list[StoreRequest]) -> None:
    """Takes objects, and finishes with each when it is told."""
    async with association.get(STUDY) as objects:
        async for each in objects:
            await each.read()
            taken.append(each)
            await done.wait()
            done.clear()


async def test_a_slow_consumer_of_objects_is_no_silence_of_the_peer(clock: Clock) -> None:
    """While the peer waits for our C-STORE-RSP it has nothing to say, and afterwards it has all of the time again."""
    done, taken = asyncio.Event(), list[StoreRequest]()
    async with asking(timeout=PATIENT) as (association, peer):
        getting = started(get_all(association, done, taken))
        command = await peer.hear_request()
        await store(peer, 1)
        await until(lambda: len(taken) == 1)
        for _ in range(5):
            await clock.advance(LIMIT - 1)
            assert association.is_established
        done.set()
        assert (await peer.hear_command()).field == CommandField.C_STORE_RSP
        await clock.advance(LIMIT - 1)
        assert association.is_established
        await store(peer, 2)
        await until(lambda: len(taken) == 2)
        done.set()
        peer.say(reply(command, completed=2), context_id=GET_ID)
        await getting


async def test_a_slow_application_is_no_silence_of_the_peer_either(clock: Clock) -> None:
    done = asyncio.Event()

    async def wait(request: StoreRequest) -> None:
        await done.wait()

    receiver = Receiver(wait)
    async with asking(timeout=PATIENT, app=receiver.app) as (association, peer):
        waiting = started(association.get(STUDY))
        command = await peer.hear_request()
        await store(peer, 1)
        for _ in range(5):
            await clock.advance(LIMIT - 1)
            assert association.is_established
        done.set()
        assert (await peer.hear_command()).field == CommandField.C_STORE_RSP
        await clock.advance(LIMIT - 1)
        assert association.is_established
        peer.say(reply(command, completed=1), context_id=GET_ID)
        assert (await waiting).completed == 1


async def test_a_peer_that_stops_in_the_middle_of_an_object(clock: Clock) -> None:
    receiver = Receiver()
    async with asking(timeout=PATIENT, app=receiver.app) as (association, peer):
        waiting = started(association.get(STUDY))
        await peer.hear_request()
        peer.say_bytes(peer.upper.command(STORE_ID, store_rq(1, uid(1))))
        await settled()
        await clock.advance(LIMIT + 1)
        await clock.advance(LIMIT + 1)
        with pytest.raises(ResponseTimeout):
            await waiting
        assert association.ended is not None
        assert receiver.received == []


async def test_a_long_object_is_progress_while_it_arrives(clock: Clock) -> None:
    receiver = Receiver()
    async with asking(timeout=PATIENT, app=receiver.app) as (association, peer):
        waiting = started(association.get(STUDY))
        command = await peer.hear_request()
        whole = peer.upper.message(STORE_ID, store_rq(1, uid(1)), content(100_000))
        for start in range(0, len(whole), 20_000):
            await clock.advance(LIMIT - 1)
            peer.say_bytes(whole[start : start + 20_000])
            await settled()
        assert (await peer.hear_command()).status == 0
        peer.say(reply(command, completed=1), context_id=GET_ID)
        assert (await waiting).completed == 1


# consumers that are slow


async def test_a_slow_consumer_of_matches_is_no_silence_of_the_peer(clock: Clock) -> None:
    """The peer was held back, and gets all of the time again when it is not any more."""
    async with asking(timeout=PATIENT) as (association, peer):
        matches = association.find(WANTED)
        first = started(anext(matches))
        command = await peer.hear_request()
        count = 2 * UNREAD_REPLIES // REPLY_OVERHEAD
        for number in range(count):
            say_match(peer, command, number)
        assert numbers([await first]) == [0]
        await until(lambda: bool(association.protocol.reading_paused))
        for _ in range(5):
            await clock.advance(LIMIT - 1)
        found = [await anext(matches) for _ in range(count - 1)]
        assert numbers(found) == list(range(1, count))
        await clock.advance(LIMIT - 1)
        assert association.is_established
        peer.say(reply(command))
        assert [each async for each in matches] == []


async def test_matches_that_wait_to_be_taken_are_no_silence_of_the_peer(clock: Clock) -> None:
    async with asking(timeout=PATIENT) as (association, peer):
        matches = association.find(WANTED)
        first = started(anext(matches))
        command = await peer.hear_request()
        for number in range(40):
            say_match(peer, command, number)
        assert numbers([await first]) == [0]
        for _ in range(3):
            await clock.advance(LIMIT - 1)
        assert association.is_established
        for number in range(1, 40):
            assert numbers([await anext(matches)]) == [number]
        await clock.advance(LIMIT - 1)
        peer.say(reply(command))
        assert [each async for each in matches] == []


# draining


async def leave(association: Association, peer: ScriptedPeer) -> tuple["asyncio.Task[None]", Command]:
    """Leaves a query early; the peer has heard the C-CANCEL."""

    async def take_one() -> None:
        async with association.find(WANTED) as matches:
            await anext(matches)

    leaving = started(take_one())
    command = await peer.hear_request()
    say_match(peer, command)
    assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
    return leaving, command


async def test_a_peer_that_does_not_end_what_was_cancelled_is_aborted(clock: Clock) -> None:
    """DESIGN: drain to the final response within `timeout.cancel`, else A-ABORT."""
    async with asking(timeout=Timeout(cancel=20.0)) as (association, peer):
        leaving, command = await leave(association, peer)
        await clock.advance(19)
        say_match(peer, command, 1)
        await settled()
        assert not leaving.done()
        await clock.advance(2)
        await leaving
        assert isinstance(association.ended, ResponseTimeout)
        assert "a cancelled operation did not end in 20 s" in str(association.ended)
        await peer.hear(Aborted)


async def test_matches_that_go_on_do_not_prolong_the_drain(clock: Clock) -> None:
    async with asking(timeout=Timeout(cancel=20.0, response=LIMIT)) as (association, peer):
        leaving, command = await leave(association, peer)
        for number in range(5):
            await clock.advance(5)
            if association.ended is None:
                say_match(peer, command, number)
        await leaving
        assert isinstance(association.ended, ResponseTimeout)


async def test_a_drain_without_a_deadline(clock: Clock) -> None:
    """What `timeout.response` had set does not pass either."""
    async with asking(timeout=Timeout(None, response=LIMIT)) as (association, peer):
        leaving, command = await leave(association, peer)
        await clock.advance(10 * LIMIT)
        assert association.is_established
        assert not leaving.done()
        peer.say(reply(command, 0xFE00))
        await leaving
        await check_usable(association, peer)


async def test_whoever_waits_for_the_drain_hears_that_it_failed(clock: Clock) -> None:
    async with asking(timeout=Timeout(cancel=20.0)) as (association, peer):
        waiting = started(association.find(WANTED))
        await peer.hear_request()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        echo = started(association.echo())
        await clock.advance(21)
        with pytest.raises(ResponseTimeout):
            await echo
        assert association.ended is not None


async def test_a_drained_operation_leaves_no_deadline_behind(clock: Clock) -> None:
    async with asking(timeout=Timeout(cancel=20.0, response=LIMIT, idle=None)) as (association, peer):
        leaving, command = await leave(association, peer)
        peer.say(reply(command, 0xFE00))
        await leaving
        await clock.advance(10 * LIMIT)
        await check_usable(association, peer)


async def test_an_idle_association_with_a_query_under_way_is_not_idle(clock: Clock) -> None:
    async with asking(timeout=Timeout(None, idle=10.0)) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        for _ in range(5):
            await clock.advance(9)
        assert association.is_established
        peer.say(reply(command))
        assert await waiting == []
        await clock.advance(11)
        assert isinstance(association.ended, AssociationAborted)

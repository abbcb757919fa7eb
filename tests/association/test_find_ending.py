"""C-FIND as SCP: what ends a search, what holds it back (PS3.4 C.4.1, PS3.7 9.1.2, 9.3.2.3)."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    Association,
    AssociationAborted,
    FindRequest,
    Status,
    Timeout,
)
from dicomio.server import serve
from dicomio.services.query import BATCH
from dicomio.session import AssociateAccepted, ReleaseRequested
from dicomio.testing import IN_FLIGHT, connected, pipe
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import ScriptedPeer, echo_rq, scripted_requestor, settled, started, until
from tests.association.querying import (
    ECHO_ID,
    FIND,
    FIND_ID,
    KEYS,
    QUERYING,
    WANTED,
    cancel_rq,
    find_rq,
    finding,
    hear_final,
    match,
    studies,
    study,
)

# cancelled by the peer


class Endless:
    """A handler that finds more and more, and notes how it ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.found = 0

    async def __call__(self, request: FindRequest) -> AsyncIterator[Dataset]:
        try:
            while True:
                await self.go_on.wait()
                await asyncio.sleep(0)
                yield study(self.found)
                self.found += 1
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise


async def hear_cancelled(peer: ScriptedPeer) -> Command:
    """The final response to a C-FIND that was cancelled."""
    final, _ = await hear_final(peer)
    assert final == Command(CommandField.C_FIND_RSP, responding_to=1, affected_sop_class_uid=FIND, status=Status.CANCEL)
    return final


@pytest.mark.parametrize("waiting", [False, True], ids=["yielding", "waiting"])
async def test_a_cancel_ends_the_generator(waiting: bool) -> None:
    handler = Endless()
    async with scripted_requestor(finding(handler), contexts=QUERYING) as (association, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.hear_request()
        if waiting:
            handler.go_on.clear()
            await settled()
        peer.say(cancel_rq())
        await hear_cancelled(peer)
        assert handler.ended in (["GeneratorExit"], ["CancelledError"])
        assert association.is_established
        peer.say(echo_rq(2), context_id=ECHO_ID)
        assert (await peer.hear_command()).responding_to == 2


async def test_a_cancel_ends_a_handler_that_searches() -> None:
    ended: list[bool] = []

    async def find(request: FindRequest) -> Sequence[Dataset]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(request.cancelled)
        return []

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        peer.say(cancel_rq())
        await hear_cancelled(peer)
    assert ended in ([True], [])


async def test_a_cancel_ends_a_generator_in_a_thread() -> None:
    """It is closed where it stands, once what it is doing is done, and not while it is doing it."""
    go_on, running, ended = threading.Event(), threading.Event(), []

    def find(request: FindRequest) -> Iterator[Dataset]:
        try:
            yield study(0)
            running.set()
            go_on.wait(5)
            yield study(1)
            yield from (study(number) for number in range(10**6))
        finally:
            ended.append(threading.current_thread() is not threading.main_thread())

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await until(running.is_set)
        peer.say(cancel_rq())
        await settled()
        go_on.set()
        await hear_cancelled(peer)
        assert ended == [True]


async def test_a_cancel_right_behind_the_request() -> None:
    handler = Endless()
    async with scripted_requestor(finding(handler), contexts=QUERYING) as (_, peer):
        request = peer.upper.message(FIND_ID, find_rq(), KEYS)
        peer.say_bytes(request + peer.upper.message(FIND_ID, cancel_rq()))
        await hear_cancelled(peer)
        peer.say(echo_rq(2), context_id=ECHO_ID)
        assert (await peer.hear_command()).responding_to == 2


async def test_a_cancel_of_nothing_is_ignored() -> None:
    async with scripted_requestor(studies(3), contexts=QUERYING) as (association, peer):
        peer.say(cancel_rq(1))
        peer.say(find_rq(1), KEYS, FIND_ID)
        final, pending = await hear_final(peer)
        assert (final.status, len(pending)) == (0, 3)
        peer.say(cancel_rq(1))
        peer.say(cancel_rq(1))
        peer.say(cancel_rq(4711))
        peer.say(echo_rq(2), context_id=ECHO_ID)
        assert (await peer.hear_command()).responding_to == 2
        assert association.is_established


async def test_a_second_cancel_changes_nothing() -> None:
    closing, go_on = asyncio.Event(), asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        try:
            yield study(0)
            await asyncio.Event().wait()
        finally:
            closing.set()
            await go_on.wait()

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.hear_request()
        peer.say(cancel_rq())
        await closing.wait()
        peer.say(cancel_rq())
        await settled()
        assert peer.events.empty()
        go_on.set()
        await hear_cancelled(peer)


async def test_a_handler_that_is_done_when_the_cancel_comes() -> None:
    """What a handler makes of it is up to the handler: here the matches it has are all there are."""

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(0)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert request.cancelled
        yield study(1)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.hear_request()
        peer.say(cancel_rq())
        final, pending = await hear_final(peer)
        assert (final.status, len(pending)) == (0, 1)


# the end of the association


@pytest.mark.parametrize("how", [ScriptedPeer.abort, ScriptedPeer.hang_up])
async def test_a_lost_peer_ends_the_generator(how: Callable[[ScriptedPeer], None]) -> None:
    handler = Endless()
    async with scripted_requestor(finding(handler), contexts=QUERYING) as (association, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.hear_request()
        how(peer)
        await until(lambda: bool(handler.ended))
        assert association.ended is not None
    assert len(handler.ended) == 1


async def test_a_release_waits_for_the_last_match() -> None:
    handler = Endless()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        async for each in handler(request):
            yield each
            if handler.found == 10:
                return

    async with scripted_requestor(finding(find), contexts=QUERYING) as (association, peer):
        handler.go_on.clear()
        peer.say(find_rq(), KEYS, FIND_ID)
        await settled()
        peer.release()
        await settled()
        assert association.state == "Sta8"
        handler.go_on.set()
        await peer.gone.wait()
        assert handler.found == 10


async def test_an_abort_of_our_own_ends_the_generator() -> None:
    associations: list[Association] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        associations.append(request.association)
        yield study(0)
        request.association.abort()
        yield study(1)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (association, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.gone.wait()
        assert associations == [association]
        assert isinstance(association.ended, AssociationAborted)


async def test_a_closing_server_lets_a_search_end() -> None:
    """DESIGN: handlers get `timeout.shutdown`."""
    handler = Endless()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        async for each in handler(request):
            yield each
            if handler.found == 5:
                return

    server = serve(finding(find))
    accepted = server.accept()
    peer = ScriptedPeer(calling="SCRIPTED", contexts=QUERYING)
    pipe(peer.protocol, accepted)
    await peer.hear(AssociateAccepted)
    handler.go_on.clear()
    peer.say(find_rq(), KEYS, FIND_ID)
    await settled()
    server.close()
    await settled()
    assert accepted.association.is_established
    handler.go_on.set()
    final, pending = await hear_final(peer)
    assert (final.status, len(pending)) == (0, 6)
    await peer.hear(ReleaseRequested)
    peer.confirm_release()
    await server.wait_closed()


async def test_a_closing_server_does_not_wait_for_ever() -> None:
    handler = Endless()
    server = serve(finding(handler), timeout=Timeout(shutdown=0.02))
    accepted = server.accept()
    peer = ScriptedPeer(calling="SCRIPTED", contexts=QUERYING)
    pipe(peer.protocol, accepted)
    await peer.hear(AssociateAccepted)
    peer.say(find_rq(), KEYS, FIND_ID)
    await peer.hear_request()
    server.close()
    await server.wait_closed()
    assert isinstance(accepted.association.ended, AssociationAborted)
    assert len(handler.ended) == 1
    await peer.gone.wait()


async def test_searches_without_waiting_for_the_last_are_served_in_turn() -> None:
    """A window of one is what was agreed (PS3.7 D.3.3.3); some peers ask on all the same (FIELD 2 C 27)."""
    async with scripted_requestor(studies(2), contexts=QUERYING) as (association, peer):
        for message_id in (1, 2, 3):
            peer.say(find_rq(message_id), KEYS, FIND_ID)
        heard = [await peer.hear_command() for _ in range(9)]
        assert [command.responding_to for command in heard] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert [command.status for command in heard] == [0xFF00, 0xFF00, 0] * 3
        assert list(association.quirks) == ["sent a request before the response to its last one was due"]


# back-pressure and fairness


async def test_a_peer_that_does_not_read_stops_the_generator() -> None:
    handler = Endless()
    async with scripted_requestor(finding(handler), contexts=QUERYING) as (_, peer):
        peer.protocol.pause_reading()
        peer.say(find_rq(), KEYS, FIND_ID)
        found = -1
        while found != handler.found:
            found = handler.found
            await settled(200)
        assert 0 < found < 3 * IN_FLIGHT // len(match())
        peer.protocol.resume_reading()
        await until(lambda: handler.found > found)


async def test_a_peer_that_does_not_read_stops_a_thread() -> None:
    produced = [0]

    def find(request: FindRequest) -> Iterator[Dataset]:
        for number in range(10**6):
            produced[0] += 1
            yield study(number)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (association, peer):
        peer.protocol.pause_reading()
        peer.say(find_rq(), KEYS, FIND_ID)
        await until(lambda: association.protocol.writing_paused)
        stopped = produced[0]
        await settled(200)
        assert produced[0] <= stopped + BATCH
        assert produced[0] < 3 * IN_FLIGHT // len(match())


async def test_a_list_of_many_matches_leaves_others_their_turn() -> None:
    """A handler that never waits does not keep the event loop to itself."""
    turns = [0]

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def find(request: FindRequest) -> list[Dataset]:
        return [study(0)] * 2000

    async with connected(finding(find)) as association:
        counting = started(count())
        matches = association.find(WANTED)
        await anext(matches)
        before = turns[0]
        assert len(await matches) == 1999
        assert turns[0] > before + 5
        counting.cancel()
        await settled()

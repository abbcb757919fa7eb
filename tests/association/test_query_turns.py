"""Requests while an operation is iterated on the same association: they wait, or hear that waiting is in vain."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydicom.dataset import Dataset

from dicomio import FindRequest, LocalProtocolError, Progress, RetrieveRequest, Status
from dicomio.testing import connected
from dicomio.wire.commands import CommandField
from tests.association.peers import echo_rq, scripted_requestor, settled, started
from tests.association.querying import (
    ECHO_ID,
    FIND_ID,
    GET_ID,
    KEYS,
    MOVE_ID,
    QUERYING,
    STUDY,
    STUDY_KEYS,
    WANTED,
    asking,
    cancel_rq,
    find_rq,
    finding,
    get_rq,
    giving,
    hear_final,
    numbers,
    objects,
    reply,
    retrieving,
    studies,
    study,
)

MANY = 2000


async def test_a_request_in_the_body_of_a_get_is_an_error() -> None:
    """The next object comes when this one is answered, which is when the body is done."""
    async with connected(giving(objects(3)), contexts=QUERYING) as association:
        async with association.get(STUDY) as retrieval:
            async for each in retrieval:
                with pytest.raises(LocalProtocolError, match="take what it brings first"):
                    await association.echo()
                await each.read()
        assert retrieval.progress == Progress(completed=3)
        assert await association.echo() >= 0


async def test_a_request_in_the_body_of_a_long_query_is_an_error() -> None:
    """The matches that wait to be taken hold the peer back, and its final response with it."""
    async with connected(studies(MANY), contexts=QUERYING) as association:
        found: list[Dataset] = []
        async for match in association.find(WANTED):
            if not found:
                with pytest.raises(LocalProtocolError, match="take what it brings first"):
                    await association.find(WANTED)
                with pytest.raises(LocalProtocolError, match="take what it brings first"):
                    await association.echo()
            found.append(match)
        assert numbers(found) == list(range(MANY))
        assert await association.echo() >= 0


async def test_a_request_in_the_body_of_a_short_query_is_served() -> None:
    async with connected(studies(100), contexts=QUERYING) as association:
        found: list[Dataset] = []
        async for match in association.find(WANTED):
            if len(found) in (0, 50):
                assert len(await association.find(WANTED)) == 100
            found.append(match)
        assert numbers(found) == list(range(100))


async def test_a_request_in_the_body_of_a_move_is_served() -> None:
    async with asking() as (association, peer):

        async def ask() -> int:
            async with association.move(STUDY, to="DESTINATION") as move:
                async for progress in move:
                    await association.echo()
                    return progress.completed
            return 0

        asked = started(ask())
        request = await peer.hear_command()
        for number in range(1, 5):
            peer.say(reply(request, 0xFF00, completed=number, remaining=5 - number), context_id=MOVE_ID)
        peer.say(reply(request, completed=5), context_id=MOVE_ID)
        echo = await peer.hear_command()
        assert echo.field == CommandField.C_ECHO_RQ
        peer.say(reply(echo), context_id=ECHO_ID)
        assert await asked == 1


async def test_requests_of_other_tasks_wait() -> None:
    async with connected(giving(objects(3)), contexts=QUERYING) as association:
        echo: asyncio.Task[float] | None = None
        async with association.get(STUDY) as retrieval:
            async for each in retrieval:
                echo = echo or asyncio.ensure_future(association.echo())
                await settled()
                assert not echo.done()
                await each.read()
        assert echo is not None
        assert await echo >= 0


async def test_an_iteration_that_was_dropped_is_in_nobodys_way() -> None:
    async with connected(giving(objects(3)), contexts=QUERYING) as association:
        async for each in association.get(STUDY):
            await each.read()
            break
        assert await association.echo() >= 0


async def test_an_operation_of_others_makes_room_in_a_window() -> None:
    async with connected(giving(objects(3)), contexts=QUERYING, window=(2, 1)) as association:
        async for each in association.get(STUDY):
            other = asyncio.ensure_future(association.echo())
            assert await association.echo() >= 0
            assert await other >= 0
            await each.read()


async def test_objects_are_answered_one_by_one_whatever_the_window() -> None:
    """Each when the body of the loop is done with it, though the peer may send several at once."""
    async with connected(giving(objects(5)), contexts=QUERYING, window=(1, 4)) as association:
        async with association.get(STUDY) as retrieval:
            async for each in retrieval:
                if retrieval.received == 2:
                    break
                await each.read()
        assert retrieval.status == Status.CANCEL
        assert retrieval.progress.completed == 1
        assert await association.echo() >= 0


async def test_a_cancel_for_a_query_that_waits_for_its_turn() -> None:
    """Peers that ask on before the last answer (FIELD 2 C 27) may think better of it."""
    go_on = asyncio.Event()
    asked: list[int] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        asked.append(request.inbound.message_id)
        await go_on.wait()
        yield study(0)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        for message_id in (1, 2, 3):
            peer.say(find_rq(message_id), KEYS, FIND_ID)
        peer.say(cancel_rq(2))
        await settled()
        go_on.set()
        finals = [(await hear_final(peer))[0] for _ in range(3)]
        assert [(final.responding_to, final.status) for final in finals] == [(1, 0), (2, 0xFE00), (3, 0)]
        assert asked == [1, 3]


async def test_a_cancel_for_a_retrieval_that_waits_for_its_turn() -> None:
    go_on = asyncio.Event()

    async def retrieve(request: RetrieveRequest) -> list[Dataset]:
        await go_on.wait()
        return []

    async with scripted_requestor(retrieving(retrieve), contexts=QUERYING) as (_, peer):
        for message_id in (1, 2):
            peer.say(get_rq(message_id), STUDY_KEYS, GET_ID)
        peer.say(cancel_rq(2), context_id=GET_ID)
        await settled()
        go_on.set()
        finals = [(await hear_final(peer))[0] for _ in range(2)]
        assert [(final.responding_to, final.status) for final in finals] == [(1, 0), (2, 0xFE00)]
        peer.say(echo_rq(3), context_id=ECHO_ID)
        assert (await peer.hear_command()).responding_to == 3

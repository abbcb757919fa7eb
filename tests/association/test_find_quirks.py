"""Peers that get C-FIND wrong, or stop reading what they asked for (PS3.4 C.4.1, PS3.7 9.1.2)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    AssociationAborted,
    FindRequest,
    InvalidInstance,
    Limits,
    RemoteProtocolError,
    Status,
    StatusError,
    Timeout,
)
from dicomio.buffers import RECEIVE_SIZE
from dicomio.invoking import REPLY_OVERHEAD, UNREAD_REPLIES
from dicomio.services.query import AHEAD
from dicomio.session import Aborted
from dicomio.testing import IN_FLIGHT, connected
from dicomio.wire.commands import CommandField
from tests.association.peers import settled, started, until
from tests.association.querying import (
    FIND_ID,
    WANTED,
    asking,
    check_usable,
    finding,
    match,
    numbers,
    reply,
    say_match,
    study,
    take_first,
)

# what peers get wrong (FIELD 2 C)


async def test_responses_without_affected_sop_class() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say(reply(command, 0xFF00, affected_sop_class_uid=None, has_data_set=True), match(), FIND_ID)
        peer.say(reply(command, affected_sop_class_uid=None))
        assert numbers(await waiting) == [0]


async def test_pending_without_an_identifier_is_passed_over() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say(reply(command, 0xFF00))
        say_match(peer, command, 1)
        peer.say(reply(command))
        assert numbers(await waiting) == [1]
        assert list(association.quirks) == ["sent a match without an identifier"]


async def test_success_with_an_identifier_is_success() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        waiting = started(matches)
        command = await peer.hear_request()
        say_match(peer, command, 0)
        say_match(peer, command, 1, status=0x0000)
        assert numbers(await waiting) == [0]
        assert matches.status == Status.SUCCESS
        await check_usable(association, peer)


async def test_success_that_announces_an_identifier_and_sends_none() -> None:
    """Nothing follows, so that only the next message tells: that of the next request, which waits for its turn."""
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        say_match(peer, command)
        peer.say(reply(command, has_data_set=True))
        peer.say(reply(command))
        assert numbers(await waiting) == [0]
        assert "announced a data set and did not send it" in association.quirks
        await check_usable(association, peer)


async def test_a_match_that_is_announced_and_not_sent() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say(reply(command, 0xFF00, has_data_set=True))
        say_match(peer, command, 1)
        peer.say(reply(command))
        assert numbers(await waiting) == [1]
        assert set(association.quirks) == {
            "announced a data set and did not send it",
            "sent a match without an identifier",
        }


async def test_an_identifier_that_was_not_announced() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        whole = peer.upper.message(FIND_ID, reply(command, 0xFF00, has_data_set=True), match())
        # The command of another message, with none, in front of the data set of this one.
        announced = peer.upper.command(FIND_ID, reply(command, 0xFF00, has_data_set=True))
        silent = peer.upper.command(FIND_ID, reply(command, 0xFF00))
        peer.say_bytes(silent + whole[len(announced) :])
        say_match(peer, command, 1)
        peer.say(reply(command))
        assert numbers(await waiting) == [1]
        assert "sent a data set that its command did not announce" in association.quirks


async def test_a_final_response_without_a_status_is_a_failure() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say_bytes(without_status(peer.upper.message(FIND_ID, reply(command))))
        with pytest.raises(StatusError) as caught:
            await waiting
        assert caught.value.status == 0xC000
        await check_usable(association, peer)


def without_status(message: bytes) -> bytes:
    """The same message with its Status turned into an element that does not exist."""
    assert message.count(b"\0\0\x00\x09\x02\0\0\0") == 1
    return message.replace(b"\0\0\x00\x09\x02\0\0\0", b"\0\0\x04\x09\x02\0\0\0")


async def test_responses_after_the_final_one_are_dropped() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say(reply(command))
        say_match(peer, command, 5)
        peer.say(reply(command))
        assert await waiting == []
        await check_usable(association, peer)
        assert list(association.quirks) == ["responded to a request that is not outstanding"]


async def test_a_response_of_another_kind_aborts() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        answer = reply(command)
        answer.field = CommandField.C_MOVE_RSP
        peer.say(answer)
        with pytest.raises(RemoteProtocolError, match="answered with C-MOVE-RSP what asked for something else"):
            await waiting
        await peer.hear(Aborted)


@pytest.mark.parametrize("data", [b"\x08\0\x05\0CS\xff\xff", b"\xff" * 20, b"\x08\0\x52\0SQ\0\0\xff\xff\xff\xff"])
async def test_a_match_that_cannot_be_decoded_ends_the_query(data: bytes) -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        say_match(peer, command)
        peer.say(reply(command, 0xFF00, has_data_set=True), data, FIND_ID)
        with pytest.raises(InvalidInstance):
            await waiting
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        peer.say(reply(command, 0xFE00))
        await check_usable(association, peer)


async def test_a_match_that_is_too_long_aborts() -> None:
    async with asking(limits=Limits(data_set=4096)) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say(reply(command, 0xFF00, has_data_set=True), bytes(5000), FIND_ID)
        with pytest.raises(AssociationAborted, match="longer than 4096 bytes"):
            await waiting
        await peer.hear(Aborted)


# back-pressure


async def test_a_consumer_that_stops_reading_stops_the_producer() -> None:
    """No more matches are made than buffers take, and none is lost when reading goes on."""
    produced, count = 0, 100_000

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        nonlocal produced
        for number in range(count):
            produced += 1
            yield study(number)

    async with connected(finding(find)) as association, association.find(WANTED) as matches:
        assert (await anext(matches)).PatientID == "ID0"
        stopped = -1
        while stopped != produced:
            stopped = produced
            await settled(200)
        # What nobody has taken, what a read brought at once, and what is in the pipe.
        size = len(match())
        most = AHEAD + UNREAD_REPLIES // (REPLY_OVERHEAD + size) + (RECEIVE_SIZE + 2 * IN_FLIGHT) // size
        assert produced <= most < count // 4
        await settled(1000)
        assert produced == stopped
        for number in range(1, produced + 10):
            assert (await anext(matches)).PatientID == f"ID{number}"
        assert produced < count // 2


async def test_reading_stops_while_nobody_takes_the_matches() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        command = await take_first(matches, peer)
        for number in range(1, 4 * UNREAD_REPLIES // REPLY_OVERHEAD):
            say_match(peer, command, number)
        await until(lambda: bool(association.protocol.reading_paused))
        held = association.unread
        await settled(100)
        assert UNREAD_REPLIES < association.unread == held
        closing = asyncio.ensure_future(matches.aclose())
        await until(lambda: not association.protocol.reading_paused)
        assert association.unread == 0
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        peer.say(reply(command, 0xFE00))
        await closing
        await check_usable(association, peer)


async def test_strict_refuses_a_match_that_is_announced_and_not_sent() -> None:
    async with asking(strict=True, timeout=Timeout(5.0)) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        peer.say(reply(command, 0xFF00, has_data_set=True))
        peer.say(reply(command))
        with pytest.raises(RemoteProtocolError, match="announced a data set and did not send it"):
            await waiting

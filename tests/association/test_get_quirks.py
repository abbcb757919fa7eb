"""Peers that get C-GET wrong: roles, final responses, counters, lists, names (PS3.4 C.4.3, PS3.7 9.1.3)."""

import asyncio
import gc

import pytest

from dicomio import (
    Application,
    NoPresentationContext,
    Progress,
    Refused,
    RemoteProtocolError,
    Status,
    StatusError,
    StoreRequest,
)
from dicomio.datasets import encode
from dicomio.identifiers import dataset
from dicomio.testing import connected
from tests.association.peers import (
    content,
    settled,
    started,
    store_rq,
)
from tests.association.querying import (
    GET_ID,
    QUERYING,
    STORE_ID,
    STUDY,
    SYNTAX,
    Receiver,
    Roleless,
    asking,
    check_usable,
    giving,
    hear_stored,
    objects,
    reply,
    say_end,
    say_object,
    take_all,
    uid,
)

# what peers get wrong


async def test_a_peer_that_ignores_role_selection_is_served() -> None:
    """It does not grant us the role of an SCP, and sends objects all the same (FIELD 2 A 12)."""
    async with asking(peer=Roleless()) as (association, peer):
        taking = started(take_all(association))
        command = await peer.hear_request()
        say_object(peer, 1)
        assert await hear_stored(peer, 1) == 0
        say_end(peer, command, completed=1)
        assert (await taking).received == 1
        assert list(association.quirks) == [
            "sent an object of a SOP class for which it had not given us the role of an SCP"
        ]


async def test_strict_refuses_objects_without_the_role() -> None:
    async with asking(peer=Roleless(), strict=True) as (association, peer):
        taking = started(take_all(association))
        command = await peer.hear_request()
        say_object(peer, 1)
        assert await hear_stored(peer, 1) == Status.SOP_CLASS_NOT_SUPPORTED
        say_end(peer, command, 0xA702, failed=1)
        with pytest.raises(StatusError):
            await taking
        await check_usable(association, peer)


@pytest.mark.parametrize("together", [False, True])
async def test_objects_after_the_final_response(together: bool) -> None:
    """They belong to nobody any more, but get an answer."""
    async with asking() as (association, peer):
        taking = started(take_all(association))
        command = await peer.hear_request()
        if together:
            end = peer.upper.message(GET_ID, reply(command, completed=1))
            peer.say_bytes(end + peer.upper.message(STORE_ID, store_rq(1, uid(1)), content(100)))
        else:
            say_end(peer, command, completed=1)
            await taking
            say_object(peer, 1)
        assert await hear_stored(peer, 1) == Status.SOP_CLASS_NOT_SUPPORTED
        assert (await taking).received == 0
        await check_usable(association, peer)


async def test_an_application_takes_objects_after_the_final_response() -> None:
    receiver = Receiver()
    async with asking(app=receiver.app) as (association, peer):
        taking = started(take_all(association))
        command = await peer.hear_request()
        say_end(peer, command, completed=1)
        await taking
        say_object(peer, 1)
        assert await hear_stored(peer, 1) == 0
    assert receiver.uids == [uid(1)]


@pytest.mark.parametrize("leave", [False, True])
async def test_a_final_response_while_an_object_is_being_looked_at(leave: bool) -> None:
    """The object is not lost, and gets its answer."""
    done = asyncio.Event()

    async def take() -> list[str]:
        seen = []
        async with association.get(STUDY) as retrieval:
            async for each in retrieval:
                await each.read()
                await done.wait()
                seen.append(each.sop_instance_uid)
                if leave:
                    break
        return seen

    async with asking() as (association, peer):
        taking = started(take())
        command = await peer.hear_request()
        say_object(peer, 1)
        await settled()
        say_end(peer, command, completed=1)
        await settled()
        done.set()
        assert await hear_stored(peer, 1) == 0
        assert await taking == [uid(1)]
        await check_usable(association, peer)


async def test_an_iteration_dropped_after_the_final_response_answers_its_object() -> None:
    async with asking() as (association, peer):

        async def take_one() -> None:
            async for each in association.get(STUDY):
                await each.read()
                say_end(peer, command, completed=1)
                await settled()
                break

        taking = started(take_one())
        command = await peer.hear_request()
        say_object(peer, 1)
        await taking
        gc.collect()
        assert await hear_stored(peer, 1) == Status.PROCESSING_FAILURE
        await check_usable(association, peer)


@pytest.mark.parametrize(
    "fields, progress",
    [
        ({}, Progress(2, 1, 0, 0)),
        ({"completed": 3}, Progress(3, 1, 0, 0)),
        ({"remaining": 5, "completed": 3, "failed": 0, "warning": 0}, Progress(3, 0, 0, 5)),
        ({"completed": 65535, "failed": 65535, "warning": 65535}, Progress(65535, 65535, 65535, 0)),
    ],
)
async def test_counters_that_are_missing_or_wrong(fields: dict[str, int], progress: Progress) -> None:
    """Those that are missing stay what they were; nothing depends on them."""
    async with asking() as (association, peer):
        waiting = started(association.get(STUDY))
        command = await peer.hear_request()
        say_end(peer, command, 0xFF00)
        say_end(peer, command, 0xFF00, remaining=3, completed=2, failed=1)
        say_end(peer, command, **fields)
        assert await waiting == progress
        await check_usable(association, peer)


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x08\0\x58\0UI\xff\xff1.2\0"])
async def test_a_list_of_failures_that_cannot_be_decoded(data: bytes) -> None:
    async with asking() as (association, peer):
        retrieval = association.get(STUDY)
        waiting = started(retrieval)
        command = await peer.hear_request()
        peer.say(reply(command, 0xB000, completed=1, failed=1, has_data_set=True), data, GET_ID)
        assert (await waiting).failed == 1
        assert list(retrieval.failed_uids) == []
        assert list(association.quirks) == ["sent a list of failed SOP instances that cannot be decoded"]
        await check_usable(association, peer)


async def test_data_sets_in_odd_places() -> None:
    """A list that is announced and not sent, one in a pending response, one that lists nothing."""
    async with asking() as (association, peer):
        retrieval = association.get(STUDY)
        waiting = started(retrieval)
        command = await peer.hear_request()
        empty = encode(dataset(FailedSOPInstanceUIDList=None), SYNTAX)
        peer.say(reply(command, 0xFF00, remaining=1, has_data_set=True), context_id=GET_ID)
        peer.say(reply(command, 0xFF00, remaining=1, has_data_set=True), empty, GET_ID)
        peer.say(reply(command, completed=1, has_data_set=True), empty, GET_ID)
        assert await waiting == Progress(completed=1)
        assert list(retrieval.failed_uids) == []
        await check_usable(association, peer)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ""])
async def test_names_that_no_file_should_have_are_refused(name: str) -> None:
    async with asking() as (association, peer):
        taking = started(take_all(association))
        command = await peer.hear_request()
        message = peer.upper.message(STORE_ID, store_rq(1, "1" * (len(name) + len(name) % 2) or "1"), content(100))
        if name:
            padded = name.encode() + b"\0" * (len(name) % 2)
            assert message.count(b"1" * len(padded)) == 1
            message = message.replace(b"1" * len(padded), padded)
        else:
            message = message.replace(b"\0\0\0\x10\2\0\0\0", b"\0\0\x77\x10\2\0\0\0")
        peer.say_bytes(message)
        assert await hear_stored(peer, 1) == Status.INVALID_SOP_INSTANCE
        say_end(peer, command, 0xB000, failed=1)
        assert (await taking).received == 0
        await check_usable(association, peer)


async def test_an_object_without_a_data_set() -> None:
    async with asking() as (association, peer):
        taking = started(take_all(association))
        command = await peer.hear_request()
        peer.say_bytes(peer.upper.command(STORE_ID, store_rq(1, uid(1))))
        say_end(peer, command, 0xB000, failed=1)
        with pytest.raises(RemoteProtocolError, match="announced a data set and did not send it"):
            await taking
        assert await hear_stored(peer, 1) == Status.CANNOT_UNDERSTAND
        assert list(association.quirks) == ["announced a data set and did not send it"]
        await check_usable(association, peer)


async def test_a_handler_of_the_application_that_refuses() -> None:
    def refuse(request: StoreRequest) -> None:
        raise Refused(0xA700, "full")

    receiver = Receiver(refuse)
    async with connected(giving(objects(2)), client=receiver.app, contexts=QUERYING) as association:
        retrieval = association.get(STUDY)
        with pytest.raises(StatusError):
            await retrieval
        assert retrieval.progress == Progress(failed=2)


async def test_get_on_an_application_without_it() -> None:
    async with connected(Application("APP"), contexts=QUERYING) as association:
        with pytest.raises(NoPresentationContext, match="does not support the SOP class"):
            await association.get(STUDY)

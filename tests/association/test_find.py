"""C-FIND as SCU: what is sent, what comes back, and what ends it (PS3.4 C.4.1, PS3.7 9.1.2)."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Association,
    AssociationAborted,
    AssociationReleased,
    ConnectionLost,
    InvalidInstance,
    LocalProtocolError,
    NoPresentationContext,
    Priority,
    Response,
    Status,
    StatusError,
    query,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.datasets import decode, encode
from dicomio.session import ReleaseRequested
from dicomio.sop import COMPOSITE_INSTANCE_ROOT
from dicomio.testing import connected
from dicomio.wire.commands import CommandField
from tests.association.peers import MemoryClient, ScriptedPeer, settled, started, until
from tests.association.querying import (
    FIND,
    FIND_ID,
    QUERYING,
    STUDY_UID,
    SYNTAX,
    WANTED,
    asking,
    check_usable,
    hear_identifier,
    match,
    numbers,
    reply,
    say_match,
    studies,
    study,
    take_first,
)

# what is sent


async def test_the_request_says_what_is_asked_for() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(query("STUDY", PatientName="DOE*", StudyInstanceUID=""), priority=1))
        command = await peer.hear_command()
        assert command.field == CommandField.C_FIND_RQ
        assert command.affected_sop_class_uid == FIND
        assert command.priority == Priority.HIGH
        identifier = await hear_identifier(peer)
        assert str(identifier.PatientName) == "DOE*"
        assert identifier.StudyInstanceUID == ""
        assert identifier.QueryRetrieveLevel == "STUDY"
        peer.say(reply(command))
        assert await waiting == []


async def test_the_identifier_is_sent_in_the_transfer_syntax_of_the_context() -> None:
    contexts = [PresentationContext(FIND, (sop.ImplicitVRLittleEndian,))]
    async with asking(contexts=contexts) as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_command()
        assert decode(await peer.hear_data(), sop.ImplicitVRLittleEndian) == WANTED
        answer = encode(study(7), sop.ImplicitVRLittleEndian)
        peer.say(reply(command, 0xFF00, has_data_set=True), answer)
        peer.say(reply(command))
        assert numbers(await waiting) == [7]


async def test_a_private_model_is_asked_by_its_uid() -> None:
    async with asking(contexts=[PresentationContext("1.2.3.4")]) as (association, peer):
        waiting = started(association.find(query("", PatientID=""), model="1.2.3.4"))
        command = await peer.hear_command()
        assert command.affected_sop_class_uid == "1.2.3.4"
        peer.say(reply(command))
        assert await waiting == []


async def test_a_model_that_was_not_negotiated() -> None:
    async with asking() as (association, peer):
        with pytest.raises(NoPresentationContext) as caught:
            await association.find(query("PATIENT", PatientID=""), model=PATIENT_ROOT)
        assert caught.value.sop_class == PATIENT_ROOT.find
        await check_usable(association, peer)


async def test_a_model_without_queries() -> None:
    async with asking() as (association, _):
        with pytest.raises(ValueError, match="no C-FIND in the query model Composite Instance Root"):
            association.find(query("IMAGE", SOPInstanceUID=""), model=COMPOSITE_INSTANCE_ROOT)


async def test_an_identifier_that_cannot_be_encoded_is_not_sent() -> None:
    broken = query("STUDY", StudyInstanceUID="", Rows="many")
    async with asking() as (association, peer):
        with pytest.raises(InvalidInstance):
            await association.find(broken)
        await check_usable(association, peer)


async def test_a_request_that_cannot_be_encoded_leaves_its_place_to_others() -> None:
    async with asking() as (association, peer):
        with pytest.raises(LocalProtocolError, match="Priority"):
            await association.find(WANTED, priority=70_000)
        assert association.pending == {}
        await check_usable(association, peer)


async def test_nothing_is_sent_before_it_is_asked_for() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        await settled()
        assert peer.data == b""
        async with matches:
            pass
        await check_usable(association, peer)


async def test_a_request_that_nobody_awaits_is_warned_about() -> None:
    async with asking() as (association, _):
        matches = association.find(WANTED)
        with pytest.warns(RuntimeWarning, match="neither awaited nor iterated"):
            del matches


# what comes back


async def test_awaiting_gives_every_match() -> None:
    async with connected(studies(5)) as association:
        matches = association.find(WANTED)
        assert (matches.status, matches.response) == (Status.PENDING, None)
        assert numbers(await matches) == [0, 1, 2, 3, 4]
        assert (matches.status, matches.response) == (Status.SUCCESS, Response(Status.SUCCESS))
        assert numbers(await matches) == [0, 1, 2, 3, 4]


async def test_iterating_gives_one_after_the_other() -> None:
    async with connected(studies(5)) as association:
        async with association.find(WANTED) as matches:
            found = []
            async for each in matches:
                found.append(each)
                assert matches.received == len(found)
        assert numbers(found) == [0, 1, 2, 3, 4]
        assert matches.status == Status.SUCCESS
        assert await matches == []


@pytest.mark.parametrize("taken", [1, 3, 50])
async def test_awaiting_in_the_middle_gives_the_rest(taken: int) -> None:
    """Those too that were decoded ahead of the iteration."""
    async with connected(studies(100)) as association:
        matches = association.find(WANTED)
        first = [await anext(matches) for _ in range(taken)]
        await settled()
        assert numbers(first) == list(range(taken))
        assert numbers(await matches) == list(range(taken, 100))
        assert numbers(await matches) == list(range(taken, 100))


async def test_nothing_is_found() -> None:
    async with connected(studies(0)) as association:
        assert await association.find(WANTED) == []
        matches = association.find(WANTED)
        assert [found async for found in matches] == []
        assert matches.status == Status.SUCCESS


async def test_a_client_finds_too() -> None:
    async with MemoryClient(studies(3)) as client:
        assert numbers(await client.find(WANTED)) == [0, 1, 2]
        assert numbers([found async for found in client.find(WANTED)]) == [0, 1, 2]
        assert len(client.opened) == 1


@pytest.mark.parametrize(
    "character_set, value, name",
    [
        ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎".encode(), "Yamada^Tarou=山田^太郎"),
        ("ISO_IR 110", "Ķēniņš^Ģirts".encode("iso8859_4"), "Ķēniņš^Ģirts"),
        ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
    ],
)
async def test_each_match_has_a_character_set_of_its_own(character_set: str, value: bytes, name: str) -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        value += b" " * (len(value) % 2)
        charset = character_set.encode() + b" " * (len(character_set) % 2)
        data = b"\x08\0\x05\0CS" + len(charset).to_bytes(2, "little") + charset
        data += b"\x10\0\x10\0PN" + len(value).to_bytes(2, "little") + value
        peer.say(reply(command, 0xFF00, has_data_set=True), data, FIND_ID)
        say_match(peer, command, 1)
        peer.say(reply(command))
        first, second = await waiting
        assert str(first.PatientName) == name
        assert second.PatientID == "ID1"


async def test_matches_with_unsupported_keys_are_matches() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        command = await peer.hear_request()
        say_match(peer, command, 0, 0xFF00)
        say_match(peer, command, 1, 0xFF01)
        peer.say(reply(command))
        assert numbers(await waiting) == [0, 1]


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0xC123, 0x0122, 0x0110])
async def test_a_failure_is_raised(status: int) -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        waiting = started(matches)
        command = await peer.hear_request()
        peer.say(reply(command, status, error_comment="no", offending_elements=(0x00100020,)))
        with pytest.raises(StatusError, match=f"answered C-FIND with 0x{status:04X} .*: no") as caught:
            await waiting
        assert caught.value.status == status
        assert matches.status == status
        assert matches.response == caught.value.response
        assert matches.response == Response(Status(status), "no", (0x00100020,))
        await check_usable(association, peer)


async def test_a_failure_comes_after_the_matches_before_it() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        first = asyncio.ensure_future(anext(matches))
        command = await peer.hear_request()
        say_match(peer, command, 0)
        say_match(peer, command, 1)
        peer.say(reply(command, 0xA700))
        assert (await first).PatientID == "ID0"
        assert (await anext(matches)).PatientID == "ID1"
        with pytest.raises(StatusError):
            await anext(matches)
        with pytest.raises(StatusError):
            await matches


@pytest.mark.parametrize("status", [0xFE00, 0xB000, 0xB001, 0x0001])
async def test_warning_and_cancel_are_returned(status: int) -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        waiting = started(matches)
        command = await peer.hear_request()
        say_match(peer, command)
        peer.say(reply(command, status))
        assert numbers(await waiting) == [0]
        assert matches.status == status


async def test_awaiting_holds_nobody_back() -> None:
    async with connected(studies(1500)) as association:
        assert len(await association.find(WANTED)) == 1500


async def test_matches_are_a_generator_to_contextlib() -> None:
    async with connected(studies(10)) as association:
        async with aclosing(association.find(WANTED, model=STUDY_ROOT)) as matches:
            assert (await anext(matches)).StudyInstanceUID == f"{STUDY_UID}.0"
        assert await association.echo() >= 0


async def test_queries_take_turns_on_an_association() -> None:
    """The window is one operation (PS3.7 D.3.3.3)."""
    async with connected(studies(20), contexts=QUERYING) as association:
        found = await asyncio.gather(*(started(association.find(WANTED)) for _ in range(5)))
        assert [len(each) for each in found] == [20] * 5
        assert encode(found[0][3], SYNTAX) == match(3)


# leaving early


async def test_leaving_the_block_cancels_and_drains() -> None:
    """DESIGN: C-CANCEL-RQ, and the block is left when the final response is there."""
    async with asking() as (association, peer):

        async def take_two() -> list[Dataset]:
            async with association.find(WANTED) as matches:
                found = [await anext(matches), await anext(matches)]
            assert matches.status == Status.CANCEL
            return found

        taking = started(take_two())
        command = await peer.hear_request()
        for number in range(4):
            say_match(peer, command, number)
        cancel = await peer.hear_command()
        assert cancel.field == CommandField.C_CANCEL_RQ
        assert cancel.responding_to == command.message_id
        say_match(peer, command, 4)
        await settled()
        assert not taking.done()
        peer.say(reply(command, 0xFE00))
        assert numbers(await taking) == [0, 1]
        assert association.quirks == []
        await check_usable(association, peer)


async def test_leaving_by_an_exception_cancels_too() -> None:
    async with asking() as (association, peer):

        async def fail() -> None:
            async with association.find(WANTED) as matches:
                async for _ in matches:
                    raise KeyError

        failing = started(fail())
        command = await peer.hear_request()
        say_match(peer, command)
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        peer.say(reply(command, 0xFE00))
        with pytest.raises(KeyError):
            await failing
        await check_usable(association, peer)


async def test_closing_cancels_too() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        command = await take_first(matches, peer)
        closing = asyncio.ensure_future(matches.aclose())
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        await settled()
        assert not closing.done()
        peer.say(reply(command, 0xFE00))
        await closing
        await matches.aclose()
        await check_usable(association, peer)


async def test_nothing_comes_after_closing() -> None:
    """As with a generator that was closed."""
    async with connected(studies(100)) as association:
        matches = association.find(WANTED)
        assert numbers([await anext(matches)]) == [0]
        await matches.aclose()
        assert [found async for found in matches] == []
        assert numbers(await association.find(WANTED)) == list(range(100))


async def test_awaiting_after_leaving_early_is_an_error_and_no_cancellation() -> None:
    async with connected(studies(100)) as association:
        async with association.find(WANTED) as matches:
            await anext(matches)
        with pytest.raises(LocalProtocolError, match="ended early"):
            await matches


async def test_dropping_it_cancels_too() -> None:
    async with asking() as (association, peer):

        async def take_one() -> None:
            async for _ in association.find(WANTED):
                break

        taking = started(take_one())
        command = await peer.hear_request()
        say_match(peer, command)
        await taking
        gc.collect()
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        peer.say(reply(command, 0xFE00))
        await check_usable(association, peer)


async def test_a_cancel_that_crosses_the_final_response_is_no_trouble() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        command = await take_first(matches, peer)
        closing = asyncio.ensure_future(matches.aclose())
        cancel = await peer.hear_command()
        assert cancel.field == CommandField.C_CANCEL_RQ
        say_match(peer, command, 1)
        peer.say(reply(command))
        await closing
        assert matches.status == Status.SUCCESS
        await check_usable(association, peer)


async def test_leaving_after_the_last_match_cancels_nothing() -> None:
    async with asking() as (association, peer):

        async def take_all() -> None:
            async with association.find(WANTED) as matches:
                async for _ in matches:
                    pass

        taking = started(take_all())
        command = await peer.hear_request()
        say_match(peer, command)
        peer.say(reply(command))
        await taking
        # The next thing the peer hears is the echo.
        await check_usable(association, peer)


async def test_an_exception_that_leaves_the_association_aborts_it() -> None:
    """DESIGN: nothing is drained then."""
    associations: list[Association] = []

    async def fail() -> None:
        async with connected(studies(10_000)) as association:
            associations.append(association)
            async for _ in association.find(WANTED):
                raise KeyError

    with pytest.raises(KeyError):
        await fail()
    (association,) = associations
    assert isinstance(association.ended, AssociationAborted)
    assert association.ended.local


async def test_an_iteration_that_is_left_lying_does_not_keep_the_association_open() -> None:
    async with connected(studies(10_000)) as association:
        matches = association.find(WANTED)
        await anext(matches)
        await matches.aclose()
    assert isinstance(association.ended, AssociationReleased)


# cancelled


async def test_a_task_cancelled_in_the_iteration_ends_at_once_and_the_association_drains() -> None:
    async with asking() as (association, peer):

        async def take_all() -> None:
            async with association.find(WANTED) as matches:
                async for _ in matches:
                    pass

        taking = started(take_all())
        command = await peer.hear_request()
        say_match(peer, command, 0)
        await settled()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert association.is_established
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        # The next request waits for the end of the one that was cancelled.
        echo = asyncio.ensure_future(association.echo())
        say_match(peer, command, 1)
        await settled()
        assert not any(getattr(event, "command", None) for event in pending_events(peer))
        peer.say(reply(command, 0xFE00))
        request = await peer.hear_command()
        assert request.field == CommandField.C_ECHO_RQ
        peer.say(reply(request), context_id=9)
        assert await echo >= 0
        assert association.quirks == []


def pending_events(peer: ScriptedPeer) -> list[object]:
    """What the peer has heard and not listened to."""
    found: list[object] = []
    while not peer.events.empty():
        found.append(peer.events.get_nowait())
    return found


async def await_it(association: Association) -> None:
    await association.find(WANTED)


async def iterate_it(association: Association) -> None:
    async for _ in association.find(WANTED):
        pass


@pytest.mark.parametrize("use", [await_it, iterate_it])
async def test_a_timeout_around_it_is_raised_at_once(use: Callable[[Association], Awaitable[None]]) -> None:
    async with asking() as (association, peer):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(use(association), 0.01)
        command = await peer.hear_request()
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        peer.say(reply(command, 0xFE00))
        await check_usable(association, peer)


async def test_cancelled_while_waiting_for_its_turn_nothing_is_sent() -> None:
    async with asking() as (association, peer):
        first = asyncio.ensure_future(association.echo())
        request = await peer.hear_command()
        second = started(association.find(WANTED))
        await settled()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        peer.say(reply(request), context_id=9)
        await first
        await check_usable(association, peer)


async def test_releasing_waits_for_the_drain() -> None:
    async with asking() as (association, peer):
        taking = started(association.find(WANTED))
        command = await peer.hear_request()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        releasing = asyncio.ensure_future(association.release())
        assert (await peer.hear_command()).field == CommandField.C_CANCEL_RQ
        await settled()
        assert association.is_established
        peer.say(reply(command, 0xFE00))
        await peer.hear(ReleaseRequested)
        peer.confirm_release()
        await releasing


# lost


async def test_the_peer_aborts_in_place_of_a_status() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        await take_first(matches, peer)
        peer.abort(2, 1)
        with pytest.raises(AssociationAborted) as caught:
            await anext(matches)
        assert (caught.value.source, caught.value.reason) == (2, 1)
        assert matches.status.is_pending


async def test_matches_that_came_before_an_abort_are_not_lost() -> None:
    async with asking() as (association, peer):
        matches = association.find(WANTED)
        first = asyncio.ensure_future(anext(matches))
        command = await peer.hear_request()
        for number in range(3):
            say_match(peer, command, number)
        peer.abort()
        found = [await first]
        with pytest.raises(AssociationAborted):
            found += [each async for each in matches]
        assert association.ended is not None


async def test_the_connection_is_lost() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        await peer.hear_request()
        peer.hang_up()
        with pytest.raises(ConnectionLost):
            await waiting


async def test_the_peer_releases_in_the_middle() -> None:
    async with asking() as (association, peer):
        waiting = started(association.find(WANTED))
        await peer.hear_request()
        peer.release()
        with pytest.raises(AssociationReleased):
            await waiting


async def test_leaving_early_when_the_association_is_gone_already() -> None:
    async with asking() as (association, peer):
        async with association.find(WANTED) as matches:
            await take_first(matches, peer)
            peer.hang_up()
            await until(lambda: association.ended is not None)
        assert matches.status.is_pending

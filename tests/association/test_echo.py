"""C-ECHO both ways, on associations of whichever side (PS3.7 9.1.5)."""

import asyncio
import struct

import pytest

import dicomio
from dicomio import (
    Application,
    Association,
    EchoRequest,
    NoPresentationContext,
    Refused,
    Role,
    Status,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.services.contexts import pick_context
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import (
    CT,
    VERIFICATION,
    ScriptedPeer,
    echo_rq,
    instance,
    response,
    scripted_acceptor,
    scripted_requestor,
    settled,
    started,
    store_rq,
    storing,
)


async def test_echo_is_answered_without_a_handler() -> None:
    async with connected(Application("APP")) as association:
        assert 0 <= await association.echo() < 1


async def test_echo_returns_seconds_over_a_socket() -> None:
    async with dicomio.serve(Application("APP"), "127.0.0.1", 0) as server:
        assert 0 <= await dicomio.echo(f"APP@127.0.0.1:{server.port}") < 1


async def test_a_handler_takes_the_place_of_the_default_answer() -> None:
    app = Application("APP")

    @app.echo()
    async def echo(request: EchoRequest) -> None:
        assert request.peer.ae_title == "TEST"
        raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, "not today")

    async with connected(app) as association:
        with pytest.raises(StatusError, match="not today") as caught:
            await association.echo()
        assert caught.value.status == Status.SOP_CLASS_NOT_SUPPORTED
        assert association.is_established


async def test_a_handler_is_found_by_middleware_that_needs_none() -> None:
    app, seen = Application("APP"), []

    @app.middleware
    async def note(request, call_next):  # type: ignore[no-untyped-def]
        seen.append(type(request))
        return await call_next(request)

    async with connected(app) as association:
        await association.echo()
    assert seen == [EchoRequest]


async def test_echo_without_a_context_for_it() -> None:
    async with scripted_acceptor(contexts=[CT]) as (association, peer):
        with pytest.raises(NoPresentationContext, match="was not proposed"):
            await association.echo()
        assert association.is_established
        await settled()
        assert len([event for event in drained(peer) if "Command" in type(event).__name__]) == 0


def drained(peer: ScriptedPeer) -> list[object]:
    """What a peer has heard and not listened to."""
    return [peer.events.get_nowait() for _ in range(peer.events.qsize())]


async def test_a_role_that_was_not_negotiated_does_not_do() -> None:
    async with scripted_acceptor(contexts=[PresentationContext(sop.Verification, scu=False, scp=True)]) as (mine, _):
        with pytest.raises(NoPresentationContext, match="the role that was negotiated does not allow it"):
            await mine.echo()
        assert pick_context(mine, sop.Verification, Role.SCP).abstract_syntax == sop.Verification


@pytest.mark.parametrize("status", [0x0110, 0x0122, 0x0210, 0xA700, 0xC123])
async def test_a_failure_status_is_raised(status: int) -> None:
    async with scripted_acceptor() as (association, peer):
        echo = asyncio.ensure_future(association.echo())
        peer.say(response(await peer.hear_command(), status))
        with pytest.raises(StatusError, match=f"C-ECHO with 0x{status:04X}") as caught:
            await echo
        assert caught.value.status == status


async def test_a_response_without_a_status_is_a_failure() -> None:
    """PS3.7 9.3.5.2 demands one; taking its absence for Success would be a guess."""
    async with scripted_acceptor() as (association, peer):
        echo = asyncio.ensure_future(association.echo())
        message_id = (await peer.hear_command()).message_id
        assert message_id is not None
        values = ((0x0100, 0x8030), (0x0120, message_id), (0x0800, 0x0101))
        elements = b"".join(struct.pack("<HHLH", 0, element, 2, value) for element, value in values)
        command = struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements
        pdv = (len(command) + 2).to_bytes(4, "big") + b"\x01\x03" + command
        peer.say_bytes(b"\x04\0" + len(pdv).to_bytes(4, "big") + pdv)
        with pytest.raises(StatusError):
            await echo


async def test_message_ids_wrap_around_and_skip_what_is_outstanding() -> None:
    async with scripted_acceptor() as (association, peer):
        association.window.size = 3
        association.next_id = 65535
        waiting = [asyncio.ensure_future(association.echo()) for _ in range(2)]
        first, second = await peer.hear_command(), await peer.hear_command()
        assert (first.message_id, second.message_id) == (65535, 1)
        association.next_id = 65535
        waiting.append(asyncio.ensure_future(association.echo()))
        third = await peer.hear_command()
        assert third.message_id == 2
        for request in (third, first, second):
            peer.say(response(request))
        assert len(await asyncio.gather(*waiting)) == 3


async def test_hundred_callers_share_one_association() -> None:
    async with connected(Application("APP")) as association:
        assert len(await asyncio.gather(*(association.echo() for _ in range(100)))) == 100


async def test_the_accepting_side_asks_where_roles_allow_it() -> None:
    """Whoever opened the association, both sides may ask, when the context lets them (PS3.7 D.3.3.4)."""
    app, times = Application("APP"), []

    @app.echo()
    async def echo(request: EchoRequest) -> None:
        request.after(ask_back, request.association)

    async def ask_back(association: Association) -> None:
        with pytest.raises(NoPresentationContext):
            await association.echo()
        times.append(1)

    async with connected(app, client=Application("TEST"), contexts=[VERIFICATION]) as association:
        await association.echo()
    assert times == [1]


async def test_a_peer_that_asks_on_an_association_that_serves_nothing_is_refused() -> None:
    async with scripted_acceptor() as (_, peer):
        peer.say(echo_rq(7))
        answer = await peer.hear_command()
        assert (answer.responding_to, answer.status) == (7, Status.SOP_CLASS_NOT_SUPPORTED)


async def test_the_client_side_serves_with_an_app() -> None:
    async with scripted_acceptor(app=Application("ME")) as (_, peer):
        peer.say(echo_rq(9))
        answer = await peer.hear_command()
        assert (answer.responding_to, answer.status) == (9, 0)


async def test_an_echo_repeats_its_sop_class() -> None:
    async with scripted_requestor(Application("APP")) as (_, peer):
        peer.say(echo_rq(3))
        answer = await peer.hear_command()
        assert answer.affected_sop_class_uid == sop.Verification
        assert answer.responding_to == 3


async def test_a_response_that_announces_a_data_set_and_sends_none_is_taken_at_once() -> None:
    """Neither C-ECHO-RSP nor C-STORE-RSP has one (PS3.7 9.3.1.2, 9.3.5.2), whatever the peer's command says."""
    async with scripted_acceptor() as (association, peer):
        for _ in range(2):
            echo = started(association.echo())
            peer.say_bytes(announcing(peer, await peer.hear_command()))
            await echo
            storing_it = started(association.store(instance()))
            peer.say_bytes(announcing(peer, await peer.hear_request()))
            assert (await storing_it).status == 0
        assert "announced a data set and did not send it" in association.quirks


async def test_a_response_that_brings_a_data_set_it_must_not_have() -> None:
    async with scripted_acceptor() as (association, peer):
        for _ in range(2):
            echo = started(association.echo())
            message = announcing(peer, await peer.hear_command())
            peer.say_bytes(message + b"\x04\0\0\0\0\x0a\0\0\0\x06\x01\x02abcd")
            await echo


def announcing(peer: ScriptedPeer, request: Command) -> bytes:
    """A response whose Command Data Set Type says that a data set follows (PS3.7 E.1)."""
    message = peer.upper.message(1, response(request))
    at = message.index(b"\0\0\0\x08\x02\0\0\0") + 8
    return message[:at] + b"\x00\x01" + message[at + 2 :]


async def test_a_cancel_of_what_cannot_be_cancelled_is_ignored() -> None:
    """C-CANCEL is for C-FIND, C-GET and C-MOVE (PS3.7 9.3.2.3)."""
    go_on = asyncio.Event()

    async def store(request: StoreRequest) -> None:
        await go_on.wait()
        assert not request.cancelled

    async with scripted_requestor(storing(store)) as (_, peer):
        peer.say(store_rq(5), bytes(10), 3)
        for number in (5, 6):
            peer.say(Command(CommandField.C_CANCEL_RQ, responding_to=number), context_id=3)
        await settled()
        go_on.set()
        answer = await peer.hear_command()
        assert (answer.responding_to, answer.status) == (5, 0)


async def test_a_request_whose_data_set_never_comes() -> None:
    """The next command says so; both get their answers."""

    async def store(request: StoreRequest) -> None:
        await request.read()

    async with scripted_requestor(storing(store)) as (association, peer):
        peer.protocol.write(peer.upper.command(3, store_rq(1)))
        peer.say(echo_rq(2))
        first, second = await peer.hear_command(), await peer.hear_command()
        assert (first.responding_to, first.status) == (1, Status.CANNOT_UNDERSTAND)
        assert (second.responding_to, second.status) == (2, Status.SUCCESS)
        assert "announced a data set and did not send it" in association.quirks

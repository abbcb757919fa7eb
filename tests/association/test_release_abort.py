"""The end of an association, as each side and each waiter sees it (PS3.8 7.2, 7.3, 7.4)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import dicomio
from dicomio import (
    Application,
    AssociationAborted,
    AssociationReleased,
    ConnectionLost,
    DicomError,
    LocalProtocolError,
    RemoteProtocolError,
    StoreRequest,
    Timeout,
)
from dicomio.opening import connect
from dicomio.server import serve
from dicomio.session import Aborted, AssociateAccepted, ReleaseConfirmed, ReleaseRequested
from dicomio.testing import connected, pipe
from tests.association.peers import (
    CONTEXTS,
    CT,
    MEBIBYTE,
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
    storing_until,
    until,
)

ENDINGS: dict[str, tuple[Callable[[ScriptedPeer], None], type[DicomError]]] = {
    "user abort": (lambda peer: peer.abort(), AssociationAborted),
    "provider abort": (lambda peer: peer.abort(2, 2), AssociationAborted),
    "connection lost": (lambda peer: peer.hang_up(), ConnectionLost),
    "release": (lambda peer: peer.release(), AssociationReleased),
    "violation": (lambda peer: peer.say_bytes(b"\x99" * 64), RemoteProtocolError),
}
each_ending = pytest.mark.parametrize("end, error", ENDINGS.values(), ids=ENDINGS)


@each_ending
async def test_every_waiter_hears_why(end: Callable[[ScriptedPeer], None], error: type[DicomError]) -> None:
    """Whoever awaits a reply, a place in the window, or the right to send."""
    async with scripted_acceptor() as (association, peer):
        waiters: list[asyncio.Future[Any]] = [asyncio.ensure_future(association.echo()) for _ in range(3)]
        waiters.append(started(association.store(instance())))
        await peer.hear_command()
        end(peer)
        for outcome in await asyncio.gather(*waiters, return_exceptions=True):
            assert isinstance(outcome, error)
        assert isinstance(association.ended, error)
        assert not association.is_established
        with pytest.raises(error):
            await association.echo()
        with pytest.raises(error):
            await association.store(instance())


@each_ending
async def test_a_sender_that_is_held_back_hears_why(
    end: Callable[[ScriptedPeer], None], error: type[DicomError]
) -> None:
    """The peer reads no more, so that waiting until everything is sent would be waiting for ever."""
    async with scripted_acceptor() as (association, peer):
        peer.protocol.pause_reading()
        sending = started(association.store(instance(3 * MEBIBYTE)))
        echo = asyncio.ensure_future(association.echo())
        await until(lambda: association.write_queue_size > 0)
        end(peer)
        with pytest.raises(error):
            await sending
        with pytest.raises(error):
            await echo


async def test_the_reason_of_an_abort_is_told() -> None:
    async with scripted_acceptor() as (association, peer):
        peer.abort(2, 6)
        await until(lambda: association.ended is not None)
        error = association.ended
        assert isinstance(error, AssociationAborted)
        assert (error.source, error.reason, error.local) == (2, 6, False)
        assert "invalid PDU parameter value" in str(error)


@each_ending
@pytest.mark.parametrize("size", [0, 1000, 300_000], ids=["before", "within", "batch"])
async def test_handlers_are_cancelled_when_the_association_ends(
    end: Callable[[ScriptedPeer], None], error: type[DicomError], size: int
) -> None:
    heard: list[BaseException] = []

    async def store(request: StoreRequest) -> None:
        try:
            async for _ in request.chunks():
                pass
        except BaseException as reason:
            heard.append(reason)
            raise

    async with scripted_requestor(storing(store)) as (association, peer):
        peer.protocol.write(peer.upper.command(3, store_rq()))
        if size:
            peer.say_bytes(pdata(bytes(size)))
        await until(lambda: bool(association.serving))
        await settled()
        end(peer)
        await until(lambda: bool(heard))
        await until(lambda: association.ended is not None)
    # A peer that releases in the middle of its message can still be answered, so the handler is not cancelled.
    expected = RemoteProtocolError if error is AssociationReleased else asyncio.CancelledError
    assert isinstance(heard[0], expected)


def pdata(payload: bytes, context_id: int = 3, control: int = 0) -> bytes:
    """One P-DATA-TF PDU."""
    length = len(payload)
    head = b"\x04\0" + (length + 6).to_bytes(4, "big") + (length + 2).to_bytes(4, "big")
    return head + bytes((context_id, control)) + payload


async def test_release_waits_for_operations_under_way() -> None:
    async with scripted_acceptor() as (association, peer):
        echo = asyncio.ensure_future(association.echo())
        request = await peer.hear_command()
        leaving = asyncio.ensure_future(association.release())
        await settled()
        assert peer.events.empty()
        peer.say(response(request))
        await echo
        await peer.hear(ReleaseRequested)
        peer.confirm_release()
        await leaving
        assert isinstance(association.ended, AssociationReleased)


async def test_release_of_an_association_that_is_over_does_nothing() -> None:
    async with scripted_acceptor() as (association, peer):
        peer.abort()
        await until(lambda: association.ended is not None)
        await association.release()
        await association.release()
        association.abort()
        assert isinstance(association.ended, AssociationAborted)


async def test_two_releases_at_once_are_one() -> None:
    async with scripted_acceptor() as (association, peer):
        both = asyncio.gather(association.release(), association.release())
        await peer.hear(ReleaseRequested)
        peer.confirm_release()
        await both
        await settled()
        assert peer.events.empty()


async def test_the_peer_releases_while_its_request_is_served() -> None:
    """It gets its response first, and then its release."""
    go_on = asyncio.Event()

    async with scripted_requestor(storing_until(go_on)) as (_, peer):
        peer.say(store_rq(), bytes(100), 3)
        peer.release()
        await settled()
        go_on.set()
        assert (await peer.hear_command()).status == 0
        await peer.hear(ReleaseConfirmed)


@asynccontextmanager
async def two_live_sides(app: Application) -> AsyncIterator[tuple[dicomio.Association, dicomio.Association]]:
    """Both ends of one association: the one that opened it, and the other."""
    opening = connect("APP@memory", contexts=CONTEXTS, ae_title="TEST", app=app)
    requestor = opening.prepare()
    server = serve(app)
    accepted = server.accept()
    pipe(requestor.protocol, accepted)
    await requestor.opened
    yield requestor, accepted.association
    server.close()
    await server.wait_closed()


async def test_release_collision_between_two_live_sides() -> None:
    """PS3.8 7.2.2: both have asked, both answer, in the order of the standard, and both are released."""
    async with two_live_sides(Application("APP")) as (requestor, acceptor):
        await asyncio.gather(requestor.release(), acceptor.release())
        assert isinstance(requestor.ended, AssociationReleased)
        assert isinstance(acceptor.ended, AssociationReleased)
        assert requestor.state == acceptor.state == "Sta1"


async def test_the_accepting_side_may_release() -> None:
    async with two_live_sides(Application("APP")) as (requestor, acceptor):
        await acceptor.release()
        assert isinstance(requestor.ended, AssociationReleased)
        assert isinstance(acceptor.ended, AssociationReleased)


async def test_both_sides_abort_at_once() -> None:
    async with two_live_sides(Application("APP")) as (requestor, acceptor):
        requestor.abort()
        acceptor.abort()
        await asyncio.gather(requestor.wait_closed(), acceptor.wait_closed())
        for side in (requestor, acceptor):
            assert isinstance(side.ended, AssociationAborted)
            assert side.ended.local


async def test_one_releases_while_the_other_aborts() -> None:
    async with two_live_sides(Application("APP")) as (requestor, acceptor):
        leaving = asyncio.ensure_future(requestor.release())
        await asyncio.sleep(0)
        acceptor.abort()
        await leaving
        assert isinstance(requestor.ended, AssociationAborted)


async def test_a_request_that_crosses_our_release_is_dropped() -> None:
    """The peer had not seen our A-RELEASE-RQ when it asked; it gets its answer from the release (PS3.8 7.2)."""
    async with scripted_acceptor(app=Application("ME")) as (association, peer):
        leaving = asyncio.ensure_future(association.release())
        await until(lambda: association.state == "Sta7")
        peer.say(echo_rq())
        peer.say(store_rq(2), bytes(1000), 3)
        await peer.hear(ReleaseRequested)
        peer.confirm_release()
        await leaving
        assert isinstance(association.ended, AssociationReleased)


async def test_nothing_can_be_asked_while_releasing() -> None:
    async with scripted_acceptor() as (association, peer):
        leaving = asyncio.ensure_future(association.release())
        await until(lambda: association.state == "Sta7")
        with pytest.raises(LocalProtocolError, match="Sta7"):
            await association.echo()
        await peer.hear(ReleaseRequested)
        peer.confirm_release()
        await leaving


async def test_an_abort_of_ours_carries_source_and_reason() -> None:
    async with scripted_acceptor() as (association, peer):
        association.abort(source=2, reason=1)
        aborted = await peer.hear(Aborted)
        assert (aborted.source, aborted.reason) == (2, 1)


async def test_a_violation_is_answered_with_a_provider_abort() -> None:
    async with scripted_requestor(Application("APP")) as (association, peer):
        peer.say_bytes(b"\x04\0\0\0\0\x06" + b"\0\0\0\x02\x63\x03")
        aborted = await peer.hear(Aborted)
        assert aborted.source == 2
        assert isinstance(association.ended, RemoteProtocolError)


async def test_the_connection_is_lost_before_the_answer_to_the_proposal() -> None:
    opening = connect("PEER@memory", contexts=[CT])
    association = opening.prepare()
    peer = ScriptedPeer()
    peer.accepting = False
    pipe(association.protocol, peer.protocol)
    peer.hang_up()
    with pytest.raises(ConnectionLost, match="before the association was negotiated"):
        await association.opened


async def test_a_peer_that_hangs_up_while_on_associate_runs_is_not_answered() -> None:
    app, go_on, closed = Application("APP"), asyncio.Event(), []
    entered = asyncio.Event()

    @app.on_associate
    async def wait(proposal: dicomio.Proposal) -> None:
        entered.set()
        await go_on.wait()

    app.on_close(lambda association: closed.append(association.ended))
    async with scripted_requestor(app, negotiate=False) as (association, peer):
        await entered.wait()
        peer.hang_up()
        await association.protocol.closed
        go_on.set()
        await settled()
        assert isinstance(association.ended, ConnectionLost)


async def test_leaving_connected_early_by_an_exception_aborts() -> None:
    app, ended = Application("APP"), []
    app.on_close(lambda association: ended.append(association.ended))
    with pytest.raises(KeyError):
        async with connected(app):
            raise KeyError
    assert isinstance(ended[0], AssociationAborted)


async def test_an_association_is_over_only_once() -> None:
    app, ended = Application("APP"), []
    app.on_close(lambda association: ended.append(association.ended))
    async with scripted_requestor(app, timeout=Timeout(artim=0.01)) as (association, peer):
        peer.abort()
        await association.protocol.closed
        association.abort()
        association.protocol.kill()
    await settled()
    assert len(ended) == 1


async def test_the_answer_may_come_together_with_what_follows() -> None:
    """A-ASSOCIATE-AC, a request and A-RELEASE-RQ of the acceptor in one segment."""
    opening = connect("PEER@memory", contexts=CONTEXTS, app=Application("ME"))
    association = opening.prepare()
    peer = ScriptedPeer()
    pipe(association.protocol, peer.protocol)
    await peer.hear(dicomio.session.AssociateRequested)
    peer.release()
    await association.opened
    await until(lambda: association.ended is not None)
    assert isinstance(association.ended, AssociationReleased)
    await association.protocol.closed
    await peer.hear(ReleaseConfirmed)


async def test_events_of_the_accepting_side_are_in_order() -> None:
    async with scripted_requestor(Application("APP"), negotiate=False) as (_, peer):
        await peer.hear(AssociateAccepted)
        peer.say(echo_rq())
        assert (await peer.hear_command()).status == 0
        peer.release()
        await peer.hear(ReleaseConfirmed)


async def test_waiting_for_the_end_of_a_connection_that_the_peer_keeps_open() -> None:
    async with scripted_acceptor() as (association, peer):
        peer.protocol.pause_reading()
        association.abort()
        assert not association.protocol.closed.done()
        await association.wait_closed(0.01)
        await association.protocol.closed

"""C-MOVE: as SCU, and what its SCP does with destinations (PS3.4 C.4.2, PS3.7 9.1.4)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

import dicomio
from dicomio import (
    PATIENT_ROOT,
    Address,
    Application,
    Association,
    AssociationAborted,
    AssociationRejected,
    NoPresentationContext,
    Peer,
    Progress,
    Proposal,
    RetrieveRequest,
    Server,
    Status,
    StatusError,
    StoreRequest,
    Timeout,
    query,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.datasets import Instance, encode
from dicomio.identifiers import dataset
from dicomio.sop import COMPOSITE_INSTANCE_WITHOUT_BULK_DATA
from dicomio.testing import connected
from dicomio.wire.commands import CommandField
from tests.association.peers import (
    MEBIBYTE,
    MemoryClient,
    ScriptedPeer,
    echo_rq,
    scripted_requestor,
    settled,
    started,
    until,
)
from tests.association.querying import (
    ECHO_ID,
    MOVE,
    MOVE_ID,
    QUERYING,
    STUDY,
    STUDY_KEYS,
    SYNTAX,
    Receiver,
    asking,
    cancel_rq,
    check_usable,
    giving,
    hear_final,
    hear_identifier,
    move_rq,
    objects,
    reply,
    retrieve_by_move,
    retrieving,
    uid,
)


def say(peer: ScriptedPeer, request: Any, status: int = 0, data: bytes | None = None, **fields: Any) -> None:
    peer.say(reply(request, status, has_data_set=data is not None, **fields), data, MOVE_ID)


# as SCU


async def test_the_request_says_where_to() -> None:
    async with asking() as (association, peer):
        waiting = started(association.move(STUDY, to="DESTINATION", priority=1))
        command = await peer.hear_command()
        assert (command.field, command.affected_sop_class_uid) == (CommandField.C_MOVE_RQ, MOVE)
        assert (command.move_destination, command.priority) == ("DESTINATION", 1)
        assert await hear_identifier(peer) == STUDY
        say(peer, command, completed=0, failed=0, warning=0)
        assert await waiting == Progress()


@pytest.mark.parametrize("to", ["", "   ", "SEVENTEEN LETTERS", "back\\slash", "ümlaut"])
async def test_what_is_no_ae_title_is_refused_at_once(to: str) -> None:
    async with asking() as (association, _):
        with pytest.raises(ValueError, match="is not an AE title"):
            association.move(STUDY, to=to)


async def test_what_was_not_negotiated() -> None:
    async with asking() as (association, peer):
        with pytest.raises(NoPresentationContext):
            await association.move(STUDY, to="DESTINATION", model=PATIENT_ROOT)
        with pytest.raises(ValueError, match="no C-MOVE in the query model"):
            association.move(STUDY, to="DESTINATION", model=COMPOSITE_INSTANCE_WITHOUT_BULK_DATA)
        await check_usable(association, peer)


async def test_iterating_gives_the_numbers() -> None:
    async with asking() as (association, peer):
        retrieval = association.move(STUDY, to="DESTINATION")
        first = started(anext(retrieval))
        command = await peer.hear_request()
        say(peer, command, 0xFF00, remaining=2, completed=1, failed=0, warning=0)
        assert await first == Progress(completed=1, remaining=2)
        say(peer, command, 0xFF00, remaining=1, completed=1, failed=1, warning=0)
        say(peer, command, 0xB000, encode(dataset(FailedSOPInstanceUIDList="1.2"), SYNTAX), completed=1, failed=2)
        assert [each async for each in retrieval] == [Progress(completed=1, failed=1, remaining=1)]
        assert await retrieval == Progress(completed=1, failed=2)
        assert (retrieval.status, list(retrieval.failed_uids), retrieval.received) == (0xB000, ["1.2"], 2)


async def test_no_pending_response_at_all() -> None:
    async with asking() as (association, peer):
        retrieval = association.move(STUDY, to="DESTINATION")
        taking = started(collect(retrieval))
        command = await peer.hear_request()
        say(peer, command, completed=3, failed=0, warning=0)
        assert await taking == []
        assert retrieval.progress == Progress(completed=3)


async def collect(retrieval: dicomio.Retrieval[Progress]) -> list[Progress]:
    return [each async for each in retrieval]


@pytest.mark.parametrize(
    "fields, seen, end",
    [
        ({}, Progress(), Progress()),
        ({"remaining": 7}, Progress(remaining=7), Progress()),
        ({"completed": 9, "remaining": 0}, Progress(completed=9), Progress(completed=9)),
        ({"warning": 2}, Progress(warning=2), Progress(warning=2)),
    ],
)
async def test_counters_that_are_missing(fields: dict[str, int], seen: Progress, end: Progress) -> None:
    async with asking() as (association, peer):
        retrieval = association.move(STUDY, to="DESTINATION")
        taking = started(collect(retrieval))
        command = await peer.hear_request()
        peer.say(reply(command, 0xFF00, **fields), context_id=MOVE_ID)
        peer.say(reply(command, affected_sop_class_uid=None), context_id=MOVE_ID)
        assert await taking == [seen]
        assert await retrieval == end


@pytest.mark.parametrize("status", [0xA701, 0xA702, 0xA801, 0xA900, 0xC000])
async def test_a_failure_is_raised(status: int) -> None:
    async with asking() as (association, peer):
        retrieval = association.move(STUDY, to="NOWHERE")
        waiting = started(retrieval)
        command = await peer.hear_request()
        say(peer, command, status, error_comment="no")
        with pytest.raises(StatusError, match=f"answered C-MOVE to NOWHERE with 0x{status:04X} .*: no"):
            await waiting
        assert retrieval.status == status
        await check_usable(association, peer)


async def test_an_abort_in_place_of_a_status() -> None:
    """As some do for a destination they do not know (FIELD 2 C 25)."""
    async with asking() as (association, peer):
        waiting = started(association.move(STUDY, to="NOWHERE"))
        await peer.hear_request()
        peer.abort()
        with pytest.raises(AssociationAborted):
            await waiting
        assert association.ended is not None


async def test_leaving_early_cancels_and_drains() -> None:
    async with asking() as (association, peer):

        async def watch() -> dicomio.Retrieval[Progress]:
            async with association.move(STUDY, to="DESTINATION") as retrieval:
                async for _ in retrieval:
                    break
            return retrieval

        watching = started(watch())
        command = await peer.hear_request()
        say(peer, command, 0xFF00, remaining=5, completed=1, failed=0, warning=0)
        cancel = await peer.hear_command()
        assert (cancel.field, cancel.responding_to) == (CommandField.C_CANCEL_RQ, command.message_id)
        say(peer, command, 0xFF00, remaining=4, completed=2, failed=0, warning=0)
        await settled()
        assert not watching.done()
        say(peer, command, 0xFE00, remaining=4, completed=2, failed=0, warning=0)
        retrieval = await watching
        assert (retrieval.status, retrieval.progress) == (Status.CANCEL, Progress(completed=2, remaining=4))
        await check_usable(association, peer)


async def test_a_client_moves_too() -> None:
    receiver = Receiver()
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as destination:
        app = giving(objects(2))
        app.destinations = {"DESTINATION": f"127.0.0.1:{destination.port}"}
        async with MemoryClient(app) as client:
            assert await client.move(STUDY, to="DESTINATION") == Progress(completed=2)
            assert await client.echo() >= 0
    assert receiver.uids == [uid(0), uid(1)]


# destinations


async def test_objects_name_who_asked_for_them() -> None:
    """PS3.7 9.1.1.1.7, 9.1.1.1.8: Move Originator AE Title and Message ID."""
    receiver = Receiver()
    retrieved = await retrieve_by_move(giving(objects(2)), receiver, ae_title="VIEWER")
    assert retrieved.status == 0
    assert {(request.move_originator, request.move_originator_message_id) for request, _ in receiver.received} == {
        ("VIEWER", 1)
    }
    assert {request.peer.ae_title for request, _ in receiver.received} == {"APP"}


async def test_the_message_id_is_that_of_the_request() -> None:
    receiver = Receiver()
    async with (
        dicomio.serve(receiver.app, "127.0.0.1", 0) as destination,
        moving(giving(objects(1)), destination) as (_, peer),
    ):
        peer.say(move_rq(4711), STUDY_KEYS, MOVE_ID)
        final, _ = await hear_final(peer)
        assert (final.status, final.responding_to) == (0, 4711)
    ((request, _),) = receiver.received
    assert (request.move_originator, request.move_originator_message_id) == ("SCRIPTED", 4711)


@asynccontextmanager
async def moving(app: Application, destination: Server) -> AsyncIterator[tuple[Association, ScriptedPeer]]:
    """An association of a scripted peer with an application that knows one destination."""
    app.destinations = {"DESTINATION": f"DESTINATION@127.0.0.1:{destination.port}"}
    async with scripted_requestor(app, contexts=QUERYING) as both:
        yield both


@pytest.mark.parametrize("ae_title", ["M\u00fcller", "tab\there", "back\\slash", "SEVENTEEN LETTERS"])
async def test_an_originator_whose_ae_title_cannot_be_sent_is_left_out(ae_title: str) -> None:
    """A-ASSOCIATE-RQs with such AE titles are accepted; a C-STORE-RQ with one would not be."""
    receiver = Receiver()
    async with (
        dicomio.serve(receiver.app, "127.0.0.1", 0) as destination,
        moving(giving(objects(1)), destination) as (association, peer),
    ):
        association.peer = Address(ae_title, "127.0.0.1", 104)
        peer.say(move_rq(), STUDY_KEYS, MOVE_ID)
        final, _ = await hear_final(peer)
        assert (final.status, final.completed) == (0, 1)
    ((request, _),) = receiver.received
    assert (request.move_originator, request.move_originator_message_id) == (None, 1)


def as_text(server: Server) -> Any:
    return {"DESTINATION": f"OTHER@127.0.0.1:{server.port}"}


def as_text_without_ae_title(server: Server) -> Any:
    return {"DESTINATION": f"127.0.0.1:{server.port}"}


def as_address(server: Server) -> Any:
    return {"DESTINATION": Address("OTHER", "127.0.0.1", server.port)}


def as_function(server: Server) -> Any:
    async def locate(ae_title: str) -> Address:
        return Address("OTHER", "127.0.0.1", {"DESTINATION": server.port}[ae_title])

    return locate


@pytest.mark.parametrize(
    "destinations, called",
    [
        (as_text, "OTHER"),
        (as_text_without_ae_title, "DESTINATION"),
        (as_address, "OTHER"),
        (as_function, "OTHER"),
    ],
)
async def test_ways_to_say_where_a_destination_is(destinations: Callable[[Server], Any], called: str) -> None:
    receiver, proposals = Receiver(), list[Proposal]()

    @receiver.app.on_associate
    async def note(proposal: Proposal) -> None:
        proposals.append(proposal)

    app = giving(objects(1))
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as destination:
        app.destinations = destinations(destination)
        async with connected(app, contexts=QUERYING) as association:
            assert (await association.move(STUDY, to="DESTINATION")).completed == 1
            with pytest.raises(StatusError, match="0xA801"):
                await association.move(STUDY, to="ELSEWHERE")
            assert await association.echo() >= 0
    (proposal,) = proposals
    assert (proposal.pdu.called_ae_title, proposal.pdu.calling_ae_title) == (called, "APP")


async def nowhere(ae_title: str) -> Any:
    return None


async def unknown(ae_title: str) -> Any:
    raise KeyError(ae_title)


async def broken(ae_title: str) -> Any:
    raise OSError(5, "the directory is down")


async def nonsense(ae_title: str) -> Any:
    return "no:address:at:all"


@pytest.mark.parametrize("locate, status", [(nowhere, 0xA801), (unknown, 0xA801), (broken, 0xA702), (nonsense, 0xC000)])
async def test_functions_that_do_not_find_a_destination(locate: Callable[[str], Any], status: int) -> None:
    """Only an unknown destination is unknown; the handler is not even asked."""
    called: list[RetrieveRequest] = []

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        called.append(request)
        return []

    app = retrieving(retrieve)
    app.destinations = locate
    app.map_exception(OSError, 0xA702)
    async with connected(app, contexts=QUERYING) as association:
        with pytest.raises(StatusError, match=f"0x{status:04X}"):
            await association.move(STUDY, to="DESTINATION")
    assert called == []


async def test_a_destination_that_is_the_application_itself() -> None:
    received: list[str] = []
    app = giving(objects(2))

    @app.store()
    async def store(request: StoreRequest) -> None:
        await request.read()
        received.append(request.sop_instance_uid)

    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        app.destinations = {"APP": f"127.0.0.1:{server.port}"}
        async with dicomio.connect(f"APP@127.0.0.1:{server.port}", contexts=[MOVE]) as association:
            assert await association.move(STUDY, to="APP") == Progress(completed=2)
    assert received == [uid(0), uid(1)]


# destinations that fail


async def moved(app: Application, destination: str) -> tuple[int, Progress, list[str]]:
    """What a move to an address comes to; the association stands afterwards."""
    app.destinations = {"DESTINATION": destination}
    async with connected(app, contexts=QUERYING) as association:
        retrieval = association.move(STUDY, to="DESTINATION")
        with pytest.raises(StatusError) as caught:
            await retrieval
        assert caught.value.status == retrieval.status
        assert await association.echo() >= 0
        return int(retrieval.status), retrieval.progress, list(retrieval.failed_uids)


async def test_a_destination_that_is_down() -> None:
    async with dicomio.serve(Application("NOBODY"), "127.0.0.1", 0) as server:
        port = server.port
    outcome = await moved(giving(objects(3)), f"127.0.0.1:{port}")
    assert outcome == (0xA702, Progress(failed=3), [uid(0), uid(1), uid(2)])


async def test_a_destination_that_is_down_and_a_generator_without_end() -> None:
    """What was found counts; the handler is not asked for the rest."""
    ended: list[bool] = []

    async def retrieve(request: RetrieveRequest) -> AsyncIterator[Instance]:
        try:
            number = 0
            while True:
                yield objects(1, 10)[0]
                number += 1
        finally:
            ended.append(True)

    async with dicomio.serve(Application("NOBODY"), "127.0.0.1", 0) as server:
        port = server.port
    status, progress, failed = await moved(retrieving(retrieve), f"127.0.0.1:{port}")
    assert (status, progress.completed, ended) == (0xA702, 0, [True])
    assert progress.failed == len(failed) >= 1


async def test_a_destination_that_rejects() -> None:
    receiver = Receiver()

    @receiver.app.on_associate
    async def reject(proposal: Proposal) -> None:
        raise AssociationRejected(1, 1, 7)

    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as server:
        outcome = await moved(giving(objects(2)), f"127.0.0.1:{server.port}")
    assert outcome == (0xA702, Progress(failed=2), [uid(0), uid(1)])


async def test_a_destination_without_a_context_for_it() -> None:
    receiver = Receiver()
    receiver.app.handlers.clear()
    receiver.app.store(sop.MRImageStorage)(receiver.store)
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as server:
        outcome = await moved(giving(objects(2)), f"127.0.0.1:{server.port}")
    assert outcome == (0xA702, Progress(failed=2), [uid(0), uid(1)])


def dying_after(count: int) -> Receiver:
    """A receiver that aborts its associations once it has received so many objects."""

    def die(request: StoreRequest) -> None:
        if len(receiver.received) >= count:
            request.association.abort()

    receiver = Receiver(die)
    return receiver


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_destination_that_dies_midway(count: int) -> None:
    """Each object that has not arrived failed, and the operation ends."""
    receiver = dying_after(count)
    app = giving(objects(5))
    retrieved = await retrieve_by_move(app, receiver)
    assert retrieved.status == (0xB000 if count else 0xA702)
    assert retrieved.progress == Progress(completed=count, failed=5 - count)
    assert sorted(retrieved.failed) == [uid(number) for number in range(count, 5)]


async def test_a_destination_that_dies_once_gets_the_rest_on_another_association() -> None:
    died: list[bool] = []

    def die_once(request: StoreRequest) -> None:
        if len(receiver.received) == 2 and not died:
            died.append(True)
            request.association.abort()

    receiver = Receiver(die_once)
    retrieved = await retrieve_by_move(giving(objects(5)), receiver)
    assert (retrieved.status, retrieved.progress, retrieved.failed) == (0, Progress(completed=5), [])
    assert set(receiver.uids) == {uid(number) for number in range(5)}


async def test_a_destination_that_is_closed_midway() -> None:
    app, receiver = giving(objects(50, 10_000)), Receiver()
    async with dicomio.serve(receiver.app, "127.0.0.1", 0, timeout=Timeout(0.05)) as server:

        async def close(request: StoreRequest) -> None:
            if len(receiver.received) == 3:
                server.close()
                await asyncio.Event().wait()

        receiver.answer = close
        app.destinations = {"DESTINATION": f"127.0.0.1:{server.port}"}
        async with connected(app, contexts=QUERYING) as association:
            progress = await association.move(STUDY, to="DESTINATION")
            assert progress == Progress(completed=3, failed=47)


async def test_the_profile_of_a_destination_says_how_many_associations_it_takes() -> None:
    together = asyncio.Barrier(3)

    async def wait(request: StoreRequest) -> None:
        await together.wait()

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(6)

    receiver, app = Receiver(wait), retrieving(retrieve)
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as destination:
        app.destinations = {"DESTINATION": Peer(Address("D", "127.0.0.1", destination.port), associations=3)}
        async with scripted_requestor(app, contexts=QUERYING) as (_, peer):
            peer.say(move_rq(), STUDY_KEYS, MOVE_ID)
            final, _ = await hear_final(peer)
            assert (final.status, final.completed) == (Status.SUCCESS, 6)


# cancelled


@pytest.mark.parametrize("associations", [1, 3])
async def test_a_cancel_stops_behind_the_objects_that_are_on_their_way(associations: int) -> None:
    go_on = asyncio.Event()
    arrived: list[str] = []

    async def wait(request: StoreRequest) -> None:
        arrived.append(request.sop_instance_uid)
        await go_on.wait()

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(100)

    receiver = Receiver(wait)
    app = retrieving(retrieve, associations=associations)
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as destination, moving(app, destination) as (_, peer):
        peer.say(move_rq(), STUDY_KEYS, MOVE_ID)
        await until(lambda: len(arrived) == associations)
        peer.say(cancel_rq(), context_id=MOVE_ID)
        await settled()
        go_on.set()
        final, _ = await hear_final(peer)
        assert final.status == Status.CANCEL
        assert (final.completed, final.failed, final.warning) == (associations, 0, 0)
        assert final.remaining == 100 - associations
        peer.say(echo_rq(99), context_id=ECHO_ID)
        assert (await peer.hear_command()).responding_to == 99
    assert len(receiver.received) == associations


@pytest.mark.parametrize("associations", [1, 3])
async def test_a_cancel_does_not_wait_for_a_destination_that_is_silent(associations: int) -> None:
    connected_to = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected_to.set()
        await reader.read()
        writer.close()

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(10)

    app = retrieving(retrieve, associations=associations)
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        app.destinations = {"DESTINATION": f"127.0.0.1:{port}"}
        async with scripted_requestor(app, contexts=QUERYING, timeout=Timeout(artim=0.01)) as (_, peer):
            peer.say(move_rq(), STUDY_KEYS, MOVE_ID)
            await connected_to.wait()
            peer.say(cancel_rq(), context_id=MOVE_ID)
            final, _ = await hear_final(peer)
            assert (final.status, final.completed, final.failed, final.remaining) == (Status.CANCEL, 0, 0, 10)


@pytest.mark.parametrize("how", [ScriptedPeer.abort, ScriptedPeer.hang_up])
@pytest.mark.parametrize("size", [100, 8 * MEBIBYTE])
async def test_a_lost_requestor_ends_the_associations_with_the_destination(
    how: Callable[[ScriptedPeer], None], size: int
) -> None:
    arrived, ended = asyncio.Event(), list[Any]()

    async def wait(request: StoreRequest) -> None:
        arrived.set()
        await asyncio.Event().wait()

    receiver = Receiver(wait)
    receiver.app.on_close(lambda association: ended.append(association.ended))
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as destination:
        async with moving(giving(objects(5, size)), destination) as (association, peer):
            peer.say(move_rq(), STUDY_KEYS, MOVE_ID)
            await arrived.wait()
            how(peer)
            await until(lambda: association.ended is not None and not association.serving)
        await until(lambda: bool(ended))
    assert receiver.received == []


# parallel


async def test_parallel_associations() -> None:
    """Each object is sent once, over as many associations as were asked for."""
    busy, most = [0], [0]
    together = asyncio.Event()

    async def wait(request: StoreRequest) -> None:
        busy[0] += 1
        most[0] = max(busy[0], most[0])
        if busy[0] == 4:
            together.set()
        await together.wait()
        busy[0] -= 1

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(40)

    receiver = Receiver(wait)
    retrieved = await retrieve_by_move(retrieving(retrieve, associations=4), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=40))
    assert sorted(receiver.uids) == sorted(uid(number) for number in range(40))
    assert most == [4]
    assert len({request.association for request, _ in receiver.received}) == 4


async def test_associations_are_released_when_it_is_done() -> None:
    ended: list[Any] = []
    receiver = Receiver()
    receiver.app.on_close(lambda association: ended.append(association.ended))
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as server:
        app = giving(objects(3))
        app.destinations = {"DESTINATION": f"127.0.0.1:{server.port}"}
        async with connected(app, contexts=QUERYING) as association:
            await association.move(STUDY, to="DESTINATION")
            await until(lambda: bool(ended))
            assert isinstance(ended[0], dicomio.AssociationReleased)


async def test_steps_tell_how_far_it_is() -> None:
    retrieved = await retrieve_by_move(giving(objects(20)), Receiver())
    assert retrieved.progress == Progress(completed=20)
    done = [step.completed for step in retrieved.steps]
    assert done == sorted(done)
    assert all(step.total == 20 for step in retrieved.steps)
    assert len(done) == 19


async def test_several_moves_of_several_peers_at_once() -> None:
    receiver = Receiver()
    app = giving(objects(10))
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as server:
        app.destinations = {"DESTINATION": f"127.0.0.1:{server.port}"}

        async def move() -> Progress:
            async with connected(app, contexts=QUERYING) as association:
                return await association.move(STUDY, to="DESTINATION")

        assert await asyncio.gather(*(move() for _ in range(5))) == [Progress(completed=10)] * 5
    assert len(receiver.received) == 50


# transfer syntaxes and SOP classes


async def test_contexts_are_planned_from_the_objects() -> None:
    proposals: list[Proposal] = []
    receiver = Receiver()

    @receiver.app.on_associate
    async def note(proposal: Proposal) -> None:
        proposals.append(proposal)

    compressed = "1.2.840.10008.1.2.4.50"
    sources = [
        *objects(2),
        Instance.from_bytes(sop.MRImageStorage, uid(2), compressed, b"jpeg"),
    ]
    retrieved = await retrieve_by_move(giving(sources), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=3))
    assert [request.transfer_syntax for request, _ in receiver.received] == [SYNTAX, SYNTAX, compressed]
    (proposal,) = proposals
    offered = {(context.abstract_syntax, tuple(context.transfer_syntaxes)) for context in proposal.pdu.contexts}
    assert (sop.CTImageStorage, (SYNTAX,)) in offered
    assert (sop.MRImageStorage, (compressed,)) in offered


async def test_an_object_is_converted_only_where_the_destination_forces_it() -> None:
    ds = dataset(SOPClassUID=sop.CTImageStorage, SOPInstanceUID=uid(0), PatientID="7")
    receiver = Receiver(transfer_syntaxes=[sop.ImplicitVRLittleEndian])
    retrieved = await retrieve_by_move(giving([Instance.from_dataset(ds, SYNTAX)]), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=1))
    ((request, data),) = receiver.received
    assert request.transfer_syntax == sop.ImplicitVRLittleEndian
    assert data == encode(ds, sop.ImplicitVRLittleEndian)


async def test_more_sop_classes_than_one_association_has_room_for() -> None:
    receiver = Receiver()
    receiver.app.handlers.clear()
    receiver.app.store("*")(receiver.store)
    sources = [
        Instance.from_bytes(f"1.2.3.{number}", uid(number), sop.ImplicitVRLittleEndian, b"data") for number in range(90)
    ]
    retrieved = await retrieve_by_move(giving(sources), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=90))
    assert len({request.association for request, _ in receiver.received}) == 2


async def test_moving_at_the_patient_level() -> None:
    app, receiver = Application("APP"), Receiver()

    @app.move(PATIENT_ROOT)
    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        assert (request.level, request.identifier.PatientID) == ("PATIENT", "7")
        return objects(1)

    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as server:
        app.destinations = {"DESTINATION": f"127.0.0.1:{server.port}"}
        async with connected(app, contexts=[PresentationContext(PATIENT_ROOT.move or "")]) as association:
            wanted = query("PATIENT", PatientID="7")
            assert (await association.move(wanted, to="DESTINATION", model=PATIENT_ROOT)).completed == 1


async def test_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    receiver = Receiver(lambda request: 0xA700)
    retrieved = await retrieve_by_move(giving(objects(1)), receiver)
    assert retrieved.status == 0xA702
    assert "sub-operation failed" in caplog.text


async def test_a_destination_is_left_at_once_though_nothing_could_be_stored() -> None:
    left, receiver = asyncio.Event(), Receiver(lambda request: 0xA700)

    @receiver.app.on_close
    async def note(association: Association) -> None:
        left.set()

    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as server, asyncio.timeout(2):
        assert (await moved(giving(objects(1)), f"127.0.0.1:{server.port}"))[0] == 0xA702
        await left.wait()

"""`Client.get` with contexts that it plans, and `Client.retrieve`: by C-GET, or by a C-MOVE to ourselves."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Address,
    Application,
    Client,
    FindRequest,
    NoPresentationContext,
    Progress,
    Proposal,
    Refused,
    RetrieveRequest,
    Status,
    StatusError,
    StoreRequest,
    Timeout,
    query,
    sop,
)
from dicomio.datasets import Instance
from dicomio.identifiers import dataset
from dicomio.sop import COMPOSITE_INSTANCE_ROOT
from tests.association.peers import CT, MemoryClient, instance, leftovers, settled, started, until
from tests.association.querying import STUDY, STUDY_UID, Receiver, finding, giving, objects, retrieving, uid

CT_AND_MR = [instance(100, uid(0)), instance(100, uid(1), sop.MRImageStorage)]


def telling(app: Application, *classes: str) -> Application:
    """The same application, which also tells the SOP classes in a study."""

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> Sequence[Dataset]:
        assert request.identifier.StudyInstanceUID == STUDY_UID
        return [dataset(StudyInstanceUID=STUDY_UID, SOPClassesInStudy=list(classes))]

    return app


def proposed(client: MemoryClient) -> list[set[str]]:
    """SOP classes of storage that were proposed on each association."""
    requests = [association.upper.request for association in client.opened]
    return [
        {context.abstract_syntax for context in request.contexts} & set(sop.STORAGE) for request in requests if request
    ]


# contexts for C-GET


async def test_the_peer_is_asked_for_the_sop_classes() -> None:
    app = telling(giving(CT_AND_MR), sop.CTImageStorage, sop.MRImageStorage)
    async with MemoryClient(app) as client:
        async with client.get(STUDY) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0), uid(1)]
        assert retrieval.progress == Progress(completed=2)
        assert proposed(client)[-1] == {sop.CTImageStorage, sop.MRImageStorage}


async def test_several_studies_are_not_asked_about_as_one() -> None:
    app, asked = giving(CT_AND_MR), list[Dataset]()

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> None:
        asked.append(request.identifier)

    async with MemoryClient(app) as client:
        async with client.get(query("STUDY", StudyInstanceUID=[STUDY_UID, "1.2.3"])) as retrieval:
            assert {each.sop_instance_uid async for each in retrieval} == {uid(0), uid(1)}
    assert asked == []


async def test_what_is_given_is_not_asked_for() -> None:
    async with MemoryClient(giving(objects(1))) as client:
        # The context proposes us as SCU, so that nothing can come.
        with pytest.raises(StatusError, match="0xA702"):
            await client.get(STUDY, storage=[CT])
        assert proposed(client) == [{sop.CTImageStorage}]


async def refuse(request: FindRequest) -> None:
    raise Refused(0xA900, "no such key")


async def know_nothing(request: FindRequest) -> Sequence[Dataset]:
    return [dataset(StudyInstanceUID=STUDY_UID)]


@pytest.mark.parametrize("find", [None, refuse, know_nothing])
async def test_a_peer_that_cannot_tell_is_proposed_everything(find: Any) -> None:
    """Two associations have room for all of it; the second is opened where something has failed on the first."""
    app = giving(CT_AND_MR)
    if find is not None:
        app.find(STUDY_ROOT)(find)
    async with MemoryClient(app) as client:
        async with client.get(STUDY) as retrieval:
            found = {each.sop_instance_uid async for each in retrieval}
        assert found == {uid(0), uid(1)}
        assert retrieval.progress == Progress(completed=2)
        assert retrieval.status == Status.SUCCESS


async def test_objects_of_which_the_first_association_can_take_none() -> None:
    """A C-GET that fails altogether for want of contexts is asked again on the next association."""
    last = sorted(sop.STORAGE)[-1]
    first = sorted(sop.STORAGE)[0]
    async with MemoryClient(giving([instance(100, uid(0), last)])) as client:
        async with client.get(STUDY) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0)]
        assert (retrieval.status, retrieval.progress) == (Status.SUCCESS, Progress(completed=1))
        assert list(retrieval.failed_uids) == []
    async with MemoryClient(giving([instance(100, uid(0), last), instance(100, uid(1), first)])) as client:
        async with client.get(STUDY) as retrieval:
            assert {each.sop_instance_uid async for each in retrieval} == {uid(0), uid(1)}
        assert (retrieval.status, retrieval.progress) == (Status.SUCCESS, Progress(completed=2))


async def test_what_came_is_no_failure_though_nothing_came_last() -> None:
    """The last association fails altogether, but an earlier one brought something (PS3.4 C.4.3.1.4: 0xB000)."""
    first = sorted(sop.STORAGE)[0]
    async with MemoryClient(giving([instance(100, uid(0), first), instance(100, uid(1), "1.2.3.4.5")])) as client:
        async with client.get(STUDY) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0)]
        assert len(client.opened) > 1
        assert (retrieval.status, retrieval.progress) == (0xB000, Progress(completed=1, failed=1))
        assert list(retrieval.failed_uids) == [uid(1)]


async def test_what_no_association_can_take_has_failed() -> None:
    async with MemoryClient(giving([instance(100, uid(0)), instance(100, uid(1), "1.2.3.4.5")])) as client:
        async with client.get(STUDY) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0)]
        assert retrieval.progress == Progress(completed=1, failed=1)
        assert list(retrieval.failed_uids) == [uid(1)]


async def test_a_failure_that_contexts_cannot_mend_is_raised() -> None:
    called: list[RetrieveRequest] = []

    async def retrieve(request: RetrieveRequest) -> int:
        called.append(request)
        return Status.OUT_OF_RESOURCES_MATCHES

    async with MemoryClient(retrieving(retrieve)) as client:
        with pytest.raises(StatusError, match="0xA701"):
            await client.get(STUDY)
        assert len(called) == 1


async def test_a_client_whose_peer_has_no_get() -> None:
    async with MemoryClient(finding(know_nothing)) as client:
        with pytest.raises(NoPresentationContext):
            await client.get(STUDY)


# retrieve


def moving_only(found: Sequence[Instance]) -> Application:
    """An archive that moves, and does not get."""
    app = Application("APP")

    @app.move(STUDY_ROOT, pace=0)
    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return found

    return app


class Served:
    """An archive on a port, and clients whose AE title and Storage SCP it knows."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.address = ""
        self.clients: list[Client] = []
        # The system chooses the port that a client listens on.
        self.options: dict[str, Any] = {"host": "127.0.0.1", "port": 0}

    async def locate(self, ae_title: str) -> Address:
        """Where the client listens that has an AE title."""
        (receiver,) = (each for client in self.clients for each in client.receivers.values())
        assert receiver.server is not None
        return {each: Address(each, "127.0.0.1", receiver.server.port) for each in ("VIEWER", "READER")}[ae_title]

    def client(self, **options: Any) -> Client:
        self.clients.append(Client(self.address, ae_title="VIEWER", **options))
        return self.clients[-1]


@asynccontextmanager
async def served(app: Application) -> AsyncIterator[Served]:
    archive = Served(app)
    app.destinations = archive.locate
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        archive.address = f"APP@127.0.0.1:{server.port}"
        yield archive


async def test_by_get_where_the_peer_can(tmp_path: Path) -> None:
    async with served(telling(giving(objects(3)), sop.CTImageStorage)) as archive, archive.client() as client:
        async with client.retrieve(STUDY, **archive.options) as retrieval:
            async for each in retrieval:
                assert each.move_originator is None
                await each.save(tmp_path)
        assert retrieval.progress == Progress(completed=3)
        assert client.receivers == {}
    assert leftovers(tmp_path) == [f"{uid(number)}.dcm" for number in range(3)]


async def test_by_move_to_ourselves_where_it_cannot(tmp_path: Path) -> None:
    async with served(moving_only(objects(3))) as archive, archive.client() as client:
        async with client.retrieve(STUDY, **archive.options) as retrieval:
            async for each in retrieval:
                assert each.move_originator == "VIEWER"
                await each.save(tmp_path)
        assert (retrieval.status, retrieval.progress) == (Status.SUCCESS, Progress(completed=3))
        assert retrieval.received == 3
    assert leftovers(tmp_path) == [f"{uid(number)}.dcm" for number in range(3)]


async def test_several_retrievals_at_once_are_told_apart() -> None:
    """By Move Originator Message ID, on one port."""

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        number = int(request.identifier.StudyInstanceUID.rpartition(".")[2])
        return [instance(100, uid(10 * number + each)) for each in range(3)]

    app = Application("APP")
    app.move(STUDY_ROOT)(retrieve)
    limits = dicomio.Limits(associations=3)
    async with served(app) as archive, archive.client(limits=limits) as client:

        async def take(number: int) -> list[str]:
            wanted = query("STUDY", StudyInstanceUID=f"1.2.{number}")
            async with client.retrieve(wanted, **archive.options) as retrieval:
                return [each.sop_instance_uid async for each in retrieval]

        found = await asyncio.gather(*(take(number) for number in range(1, 4)))
        assert found == [[uid(10 * number + each) for each in range(3)] for number in range(1, 4)]
        assert len(client.receivers) == 1


async def test_two_ae_titles_on_one_port() -> None:
    """Peers may know us by different ones; what listens is the same."""
    async with served(moving_only(objects(2))) as archive, archive.client() as client:
        for to in ("VIEWER", "READER"):
            async with client.retrieve(STUDY, **archive.options, to=to) as retrieval:
                assert len([each async for each in retrieval]) == 2
        assert len(client.receivers) == 1


async def test_leaving_early_cancels_the_move() -> None:
    app = moving_only(objects(100))
    async with served(app) as archive, archive.client() as client:
        async with client.retrieve(STUDY, **archive.options) as retrieval:
            await (await anext(retrieval)).read()
        assert retrieval.status == Status.CANCEL
        assert retrieval.progress.completed < 10
        async with client.retrieve(STUDY, **archive.options) as retrieval:
            assert len([each async for each in retrieval]) == 100


async def test_objects_that_come_after_the_final_response() -> None:
    """As from peers that move in the background (FIELD 2 C 25)."""
    app = Application("APP")

    @app.move(STUDY_ROOT)
    async def retrieve(request: RetrieveRequest) -> int:
        request.started = True
        request.progress = Progress(completed=2)
        request.after(send, request)
        return Status.SUCCESS

    async def send(request: RetrieveRequest) -> None:
        address = await app.locate(request.destination or "")
        assert isinstance(address, Address)
        async with Client(address, ae_title="APP") as client:
            for each in objects(2):
                await client.store(
                    each, move_originator="VIEWER", move_originator_message_id=request.inbound.message_id
                )

    async with served(app) as archive, archive.client() as client:
        async with client.retrieve(STUDY, **archive.options) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0), uid(1)]


async def test_objects_that_never_come() -> None:
    """The peer says that it has sent them; after a while without one there is no hope."""
    app = Application("APP")

    @app.move(STUDY_ROOT)
    async def retrieve(request: RetrieveRequest) -> int:
        request.started = True
        request.progress = Progress(completed=2)
        return Status.SUCCESS

    async with served(app) as archive, archive.client(timeout=Timeout(5.0, response=0.05)) as client:
        async with client.retrieve(STUDY, **archive.options) as retrieval:
            assert [each async for each in retrieval] == []
        assert retrieval.progress == Progress(completed=2)


async def test_objects_that_nobody_has_asked_for_are_refused() -> None:
    async with served(moving_only(objects(1))) as archive, archive.client() as client:
        await take_all(client, archive)
        async with Client(await archive.locate("VIEWER")) as stranger:
            assert await stranger.echo() >= 0
            with pytest.raises(StatusError, match="nobody has asked for this object"):
                await stranger.store(instance())
            with pytest.raises(StatusError, match="nobody has asked for this object"):
                await stranger.store(instance(), move_originator="VIEWER", move_originator_message_id=4711)


async def take_all(client: Client, archive: Served) -> list[StoreRequest]:
    async with client.retrieve(STUDY, **archive.options) as retrieval:
        return [each async for each in retrieval]


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with served(moving_only(objects(1))) as archive, archive.client() as client:
            retrieval = client.retrieve(STUDY, host="127.0.0.1", port=taken.getsockname()[1])
            with pytest.raises(OSError, match="in use"):
                await retrieval
            assert await client.echo() >= 0
            assert len(await take_all(client, archive)) == 1


async def test_a_peer_that_does_not_know_us() -> None:
    async with served(moving_only(objects(1))) as archive, archive.client() as client:
        with pytest.raises(StatusError, match="0xA801"):
            await client.retrieve(STUDY, to="SOMEBODY", **archive.options)
        assert await client.echo() >= 0


async def test_a_peer_that_can_do_neither() -> None:
    async with served(finding(know_nothing)) as archive, archive.client() as client:
        with pytest.raises(NoPresentationContext):
            await client.retrieve(STUDY, **archive.options)
        assert await client.echo() >= 0


async def test_objects_that_we_refuse_count_as_failed() -> None:
    """The loop body raises: the peer hears a failure, and the operation ends."""
    async with served(moving_only(objects(5))) as archive, archive.client() as client:

        async def fail() -> None:
            async with client.retrieve(STUDY, **archive.options) as retrieval:
                async for _ in retrieval:
                    raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert len(await take_all(client, archive)) == 5


async def test_awaiting_has_the_application_of_the_client_serve() -> None:
    receiver = Receiver()
    async with served(giving(objects(2))) as archive, archive.client(app=receiver.app) as client:
        assert await client.retrieve(STUDY, storage=[sop.CTImageStorage], **archive.options) == Progress(completed=2)
    assert receiver.uids == [uid(0), uid(1)]


async def test_cancelled_in_the_middle_the_client_still_serves() -> None:
    go_on = asyncio.Event()
    async with served(moving_only(objects(20))) as archive, archive.client() as client:
        taken: list[StoreRequest] = []

        async def take() -> None:
            async with client.retrieve(STUDY, **archive.options) as retrieval:
                async for each in retrieval:
                    taken.append(each)
                    await go_on.wait()

        taking = started(take())
        await until(lambda: bool(taken))
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert len(await take_all(client, archive)) == 20
        await settled()


async def test_a_peer_that_accepts_get_and_no_storage_on_our_association() -> None:
    """Nothing could come by C-GET: it has to be a C-MOVE after all."""
    app = giving(objects(2))

    @app.on_associate
    async def refuse_storage(proposal: Proposal) -> None:
        for context in proposal.pdu.contexts:
            if context.abstract_syntax in sop.STORAGE:
                proposal.refuse(context.id)

    async with served(app) as archive, archive.client() as client:
        assert [each.move_originator for each in await take_all(client, archive)] == ["VIEWER", "VIEWER"]


async def test_a_model_without_queries() -> None:
    """Nobody can be asked for SOP classes, so that every one is proposed."""
    app = Application("APP")

    @app.get(COMPOSITE_INSTANCE_ROOT)
    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(1)

    wanted = query("IMAGE", StudyInstanceUID=STUDY_UID, SOPInstanceUID=uid(0))
    async with served(app) as archive, archive.client() as client:
        async with client.retrieve(wanted, model=COMPOSITE_INSTANCE_ROOT, **archive.options) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0)]
        async with client.get(wanted, model=COMPOSITE_INSTANCE_ROOT) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0)]


async def test_the_patient_is_named_where_the_model_wants_it() -> None:
    """PS3.4 C.4.1.3.1: below the level of the patient a query of Patient Root names its Patient ID."""
    asked: list[Dataset] = []
    app = Application("APP")

    @app.find(PATIENT_ROOT)
    async def find(request: FindRequest) -> Sequence[Dataset]:
        asked.append(request.identifier)
        return [dataset(SOPClassesInStudy=sop.CTImageStorage)]

    @app.get(PATIENT_ROOT)
    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(1)

    wanted = query("STUDY", PatientID="7", StudyInstanceUID=STUDY_UID)
    async with MemoryClient(app) as client:
        async with client.get(wanted, model=PATIENT_ROOT) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0)]
        assert proposed(client)[-1] == {sop.CTImageStorage}
    (identifier,) = asked
    assert (identifier.PatientID, identifier.StudyInstanceUID) == ("7", STUDY_UID)


async def test_several_studies_are_not_asked_about() -> None:
    app = telling(giving(objects(2)), sop.MRImageStorage)
    wanted = query("STUDY", StudyInstanceUID=["1.2", "1.3"])
    async with served(app) as archive, archive.client() as client:
        async with client.retrieve(wanted, **archive.options) as retrieval:
            assert len([each async for each in retrieval]) == 2

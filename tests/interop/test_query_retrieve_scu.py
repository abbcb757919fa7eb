"""We query every peer that answers queries, and retrieve from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Application,
    Client,
    PresentationContext,
    Progress,
    Status,
    StoreRequest,
    connect,
    query,
    serve,
    sop,
)
from tests.interop.holdings import STUDIES, Holding, found, uid_of
from tests.interop.ours import HOST, address_of, archive, assert_same_bytes, assert_unchanged
from tests.interop.peers import RunningScp, scp_kinds, scps, store_scus
from tests.interop.processes import free_port
from tests.interop.query_scps import query_scps
from tests.interop.query_scus import DESTINATION, get_scus
from tests.interop.questions import FIND, RETRIEVE, Question, expected, without
from tests.interop.samples import Sample, by_instance, data_set_bytes, differences, takeable

pytestmark = pytest.mark.interop

PATIENT_STUDY_ONLY = ["patients only", "studies only"]
LISTS = ["list of studies", "list of images", "list of studies to retrieve", "list of images to retrieve"]

# What servers do not answer as the standard has it.
NOT_ANSWERED: Mapping[str, Sequence[str]] = {
    # It takes no notice of Modalities in Study, which is optional.
    "dcmqrscp": ["modalities"],
    # It does not support the model.
    "orthanc": PATIENT_STUDY_ONLY,
    # It does not support the model, takes no notice of optional keys, and fails on lists of UIDs.
    "pynetdicom": [*PATIENT_STUDY_ONLY, *LISTS, "modalities", "several keys"],
    # It fails on the model and on lists of UIDs.
    "pixelmed": [*PATIENT_STUDY_ONLY, *LISTS],
    # Our script does not compute Modalities in Study.
    "odil": ["modalities"],
    "dcmjs": ["modalities"],
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that holds every object.

    Attributes:
        name: of the peer.
        scp: the peer.
        destination: the port that it moves objects to for `DESTINATION`.
    """

    name: str
    scp: RunningScp
    destination: int

    def asked(self, questions: Sequence[Question]) -> list[Question]:
        """The questions that it can answer."""
        return without(questions, NOT_ANSWERED[self.name])

    async def ask(self, questions: Sequence[Question], one: Callable[[Client, Question], Awaitable[None]]) -> None:
        """Asks one question after the other, odil on an association of its own for each."""
        portions = [[question] for question in questions] if self.name == "odil" else [questions]
        for portion in portions:
            await asyncio.to_thread(self.scp.wait_until_listening)
            async with Client(address_of(self.scp)) as client:
                for question in portion:
                    await one(client, question)


@pytest.fixture(scope="module", params=query_scps)
def server(
    request: pytest.FixtureRequest, holdings: Sequence[Holding], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Every server in turn; DCMTK has stored the objects there."""
    directory, destination = tmp_path_factory.mktemp(request.param), free_port()
    workdir = directory / "scu"
    workdir.mkdir()
    with query_scps[request.param](directory / "scp", destinations={DESTINATION: destination}) as scp:
        result = store_scus["storescu"](scp.port, scp.ae_title, [held.path for held in holdings], workdir)
        assert result.code == 0, result.output
        yield Server(request.param, scp, destination)


def identifier_of(question: Question) -> Dataset:
    """The identifier, made by `query`."""
    unique = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
    return query(question.level, **{unique.get(question.level, "SOPInstanceUID"): "", **question.keys})


# ---- find ----


async def test_queries_of_all_kinds(server: Server) -> None:
    questions = server.asked(FIND)
    answers = {}

    async def one(client: Client, question: Question) -> None:
        names = found(question.level, await client.find(identifier_of(question), model=question.model))
        # pynetdicom answers once for each instance.
        answers[question.name] = sorted(set(names)) if server.name == "pynetdicom" else names

    await server.ask(questions, one)
    assert answers == expected(questions)


async def test_names_in_every_character_set(server: Server) -> None:
    await asyncio.to_thread(server.scp.wait_until_listening)
    async with Client(address_of(server.scp)) as client:
        matches = await client.find(query("STUDY", StudyInstanceUID="", PatientName=""))
    names = {uid_of(study): str(values["PatientName"]).rstrip("=") for study, values in STUDIES.items()}
    if server.name == "dcmjs":
        # It knows one character set at a time.
        matches = [match for match in matches if match.StudyInstanceUID != uid_of("japanese")]
        del names[uid_of("japanese")]
    if server.name == "pynetdicom":
        # It answers in ISO-IR 100, with question marks for what that lacks.
        names = {uid: name.encode("latin-1", "replace").decode("latin-1") for uid, name in names.items()}
    assert {str(match.StudyInstanceUID): str(match.PatientName).rstrip("=") for match in matches} == names


# PixelMed closes the connection when it sees a C-CANCEL.
@pytest.mark.parametrize("server", [name for name in query_scps if name != "pixelmed"], indirect=True)
async def test_association_is_usable_after_a_query_was_left_early(server: Server) -> None:
    await asyncio.to_thread(server.scp.wait_until_listening)
    async with connect(address_of(server.scp), contexts=[STUDY_ROOT.find or ""]) as association:
        async with association.find(query("STUDY", StudyInstanceUID="")) as matches:
            async for _ in matches:
                break
        assert matches.received == 1
        assert matches.status in (Status.CANCEL, Status.SUCCESS)
        again = await association.find(query("STUDY", StudyInstanceUID="", AccessionNumber="A3"))
    assert set(found("STUDY", again)) == {"knee"}


# ---- get and move ----


def explicit(holdings: Iterable[Holding]) -> list[PresentationContext]:
    """What to propose for C-GET so that objects come as they are held."""
    classes = {held.sop_class_uid for held in holdings}
    return [PresentationContext(uid, (sop.ExplicitVRLittleEndian,), scu=False, scp=True) for uid in sorted(classes)]


def names_of(holdings: Iterable[Holding], files: Mapping[str, Path]) -> list[str]:
    """The names of the objects that came."""
    names = {held.sop_instance_uid: held.name for held in holdings}
    return sorted(names[uid] for uid in files)


@pytest.fixture(scope="module")
def originals(
    server: Server, holdings: Sequence[Holding], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    """The bytes that have to come: those in the storage of the server."""
    if server.name != "dcmjs":
        return by_instance(server.scp.received())
    # It decodes its files and encodes them anew: what DCMTK gets from it is what we have to get.
    everything = [Question(study, STUDY_ROOT, "STUDY", {"StudyInstanceUID": uid_of(study)}, []) for study in STUDIES]
    asked = get_scus["dcmtk"](server.scp.port, server.scp.ae_title, everything, tmp_path_factory.mktemp("getscu"))
    assert asked.result.code == 0, asked.result.output
    return by_instance(path for paths in asked.files.values() for path in paths)


def assert_same(received: Mapping[str, Path], originals: Mapping[str, Path]) -> None:
    """Byte for byte what the server has."""
    for uid, path in received.items():
        assert data_set_bytes(path) == data_set_bytes(originals[uid]), uid


async def test_objects_are_got(
    server: Server, holdings: Sequence[Holding], originals: Mapping[str, Path], tmp_path: Path
) -> None:
    questions = server.asked(RETRIEVE)
    answers = {}

    async def one(client: Client, question: Question) -> None:
        inbox = tmp_path / question.name
        async with client.get(identifier_of(question), model=question.model, storage=explicit(holdings)) as got:
            async for request in got:
                await request.save(inbox)
        received = by_instance(inbox.iterdir())
        answers[question.name] = names_of(holdings, received)
        assert (got.status, got.failed_uids) == (Status.SUCCESS, [])
        assert got.progress == Progress(completed=len(received))
        assert_same(received, originals)

    await server.ask(questions, one)
    assert answers == expected(questions)


async def test_objects_are_moved_to_us(
    server: Server, holdings: Sequence[Holding], originals: Mapping[str, Path], tmp_path: Path
) -> None:
    questions = server.asked(RETRIEVE)
    inbox = tmp_path / "inbox"
    app = archive(inbox, [sop.ExplicitVRLittleEndian])
    answers = {}

    async def one(client: Client, question: Question) -> None:
        moved = client.move(identifier_of(question), to=DESTINATION, model=question.model)
        progress = await moved
        received = by_instance(inbox.iterdir())
        answers[question.name] = names_of(holdings, received)
        assert (moved.status, progress) == (Status.SUCCESS, Progress(completed=len(received)))
        assert_same(received, originals)
        for path in received.values():
            path.unlink()

    async with serve(app, HOST, server.destination):
        await server.ask(questions, one)
    assert answers == expected(questions)


# PixelMed closes the connection when it sees a C-CANCEL.
@pytest.mark.parametrize("server", [name for name in query_scps if name != "pixelmed"], indirect=True)
async def test_association_is_usable_after_objects_were_left(server: Server, holdings: Sequence[Holding]) -> None:
    contexts: list[str | PresentationContext] = [*STUDY_ROOT, *explicit(holdings)]
    await asyncio.to_thread(server.scp.wait_until_listening)
    async with connect(address_of(server.scp), contexts=contexts) as association:
        async with association.get(query("STUDY", StudyInstanceUID=uid_of("chest"))) as got:
            async for request in got:
                await request.read()
                break
        assert got.received == 1
        assert got.status != Status.PENDING
        again = await association.find(query("STUDY", StudyInstanceUID="", AccessionNumber="A3"))
    assert set(found("STUDY", again)) == {"knee"}


# Orthanc, PixelMed and our scripts for odil and dcmjs send everything before they look.
@pytest.mark.parametrize("server", ["dcmqrscp", "pynetdicom"], indirect=True)
async def test_move_is_cancelled(server: Server) -> None:
    """C-CANCEL leaves when the first of four objects has been stored, and the second may be on its way."""
    app, cancelled = Application(DESTINATION), asyncio.Event()
    app.state.received = 0

    @app.store()
    async def store(request: StoreRequest) -> None:
        app.state.received += 1
        if app.state.received == 2:
            await cancelled.wait()

    async with serve(app, HOST, server.destination), Client(address_of(server.scp)) as client:
        moved = client.move(query("PATIENT", PatientID="ALPHA1"), to=DESTINATION, model=PATIENT_ROOT)
        async for _ in moved:
            break
        leaving = asyncio.create_task(moved.aclose())
        for _ in range(10):
            await asyncio.sleep(0)
        cancelled.set()
        await leaving
    assert moved.status == Status.CANCEL
    # It may be noticed before the second begins, or when the third has begun.
    assert 1 <= app.state.received == moved.progress.completed < 4
    assert moved.progress.total == 4


# ---- retrieve ----


# It takes two associations, one right after the other: odil does not listen in between.
@pytest.mark.parametrize("server", [name for name in query_scps if name != "odil"], indirect=True)
async def test_objects_are_retrieved_by_c_get(
    server: Server, holdings: Sequence[Holding], originals: Mapping[str, Path], tmp_path: Path
) -> None:
    """SOP classes are asked for, or all of them proposed."""
    await asyncio.to_thread(server.scp.wait_until_listening)
    async with Client(address_of(server.scp)) as client:
        async with client.retrieve(query("STUDY", StudyInstanceUID=uid_of("chest"))) as retrieved:
            async for request in retrieved:
                await request.save(tmp_path)
    received = by_instance(tmp_path.iterdir())
    assert retrieved.status == Status.SUCCESS
    assert names_of(holdings, received) == ["chest/1/1", "chest/1/2", "chest/2/1"]
    for uid, path in received.items():
        assert differences(originals[uid], path) == []


async def test_objects_are_retrieved_by_c_move(holdings: Sequence[Holding], tmp_path: Path) -> None:
    """Where the peer has no C-GET they are moved to a Storage SCP of the client's."""
    port = free_port()
    with scps["dcmqrscp"](tmp_path / "scp", destinations={"ME": port}, options=["--disable-get"]) as scp:
        async with Client(address_of(scp), ae_title="ME") as client:
            assert await client.store_many(held.path for held in holdings) == []
            identifier = query("STUDY", StudyInstanceUID=uid_of("chest"))
            async with client.retrieve(identifier, host=HOST, port=port) as retrieved:
                async for request in retrieved:
                    await request.save(tmp_path / "inbox")
    received = by_instance((tmp_path / "inbox").iterdir())
    assert retrieved.status == Status.SUCCESS
    assert names_of(holdings, received) == ["chest/1/1", "chest/1/2", "chest/2/1"]
    for held in holdings:
        if held.sop_instance_uid in received:
            assert data_set_bytes(received[held.sop_instance_uid]) == data_set_bytes(held.path)


@pytest.mark.parametrize("name", ["dcmqrscp", "orthanc"])
async def test_objects_of_many_kinds_are_retrieved(name: str, samples: Mapping[str, Sample], tmp_path: Path) -> None:
    """Compressed ones, of several frames, of private SOP classes: we get the bytes that DCMTK gets by a C-MOVE."""
    sent = takeable(samples.values(), scp_kinds[name])
    studies = sorted({str(pydicom.dcmread(sample.path).StudyInstanceUID) for sample in sent})
    with scps["storescp-all"](tmp_path / "destination", ae_title=DESTINATION) as destination:
        with scps[name](tmp_path / "scp", destinations={DESTINATION: destination.port}) as scp:
            async with Client(address_of(scp)) as client:
                assert await client.store_many(sample.path for sample in sent) == []
            # Another client: DCMTK would send objects in the contexts that the first one proposed for storing them.
            async with Client(address_of(scp)) as client:
                for study in studies:
                    identifier = query("STUDY", StudyInstanceUID=study)
                    async with client.retrieve(identifier) as retrieved:
                        async for request in retrieved:
                            await request.save(tmp_path / "inbox")
                    assert await client.move(identifier, to=DESTINATION) == retrieved.progress
        received = by_instance((tmp_path / "inbox").iterdir())
        assert_unchanged(sent, received)
        assert_same_bytes(sent, received, by_instance(destination.received()))

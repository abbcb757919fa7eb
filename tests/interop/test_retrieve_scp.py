"""Every peer that retrieves has objects moved by us, and gets them from us."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicomio import (
    STUDY_ROOT,
    Address,
    Application,
    AssociationReleased,
    Client,
    Progress,
    RetrieveRequest,
    Status,
    query,
    serve,
)
from tests.interop.catalogue import catalogue
from tests.interop.holdings import Holding
from tests.interop.ours import HOST, archive, assert_same_bytes
from tests.interop.peers import scps
from tests.interop.processes import DCMJS_DIRECTORY, PIXELMED_JAR, ScuResult, free_port, require, run, wait_for_listener
from tests.interop.query_scus import DESTINATION, Asked, Destination, destinations_for, get_scus, move_scus
from tests.interop.questions import RETRIEVE, Question, asked, expected, without, write_identifier
from tests.interop.samples import Sample, by_instance, data_set_bytes, differences

pytestmark = pytest.mark.interop

Samples = Mapping[str, Sample]

# Several seconds for each question are spent by movescu, which looks for associations once a second, and by PixelMed.
FEW = ["study below a patient", "series", "list of images to retrieve"]
MOVED: Mapping[str, Sequence[Question]] = {
    "dcmtk": asked(RETRIEVE, FEW),
    "pynetdicom": asked(RETRIEVE, FEW),
    "odil": RETRIEVE,
    "dcmjs": RETRIEVE,
    "gdcm": RETRIEVE,
    # It asks in the Study Root model only.
    "pixelmed": asked(RETRIEVE, ["series", "list of studies to retrieve"]),
    # It asks for patients in the Study Root model, which has no such level.
    "orthanc": without(RETRIEVE, ["patient"]),
}

# They encode what they have received anew; what odil and dcmjs have moved storescp receives.
NOT_VERBATIM = {"move": {"pynetdicom"}, "get": {"dcmjs", "odil", "pynetdicom"}}


def addresses(destinations: Iterable[Destination]) -> Mapping[str, Address]:
    """Where we move objects to."""
    return {each.ae_title: Address(each.ae_title, HOST, each.port) for each in destinations}


def assert_retrieved(
    answered: Asked, questions: Sequence[Question], holdings: Sequence[Holding], *, verbatim: bool
) -> None:
    """Every question has brought the objects it was to bring, as they are held."""
    assert answered.result.code == 0, answered.result.output
    originals = {held.sop_instance_uid: held for held in holdings}
    answers = {}
    for question in questions:
        received = by_instance(answered.files[question.name])
        answers[question.name] = sorted(originals[uid].name for uid in received)
        for uid, path in received.items():
            if verbatim:
                assert data_set_bytes(path) == data_set_bytes(originals[uid].path), originals[uid].name
            else:
                assert differences(originals[uid].path, path) == [], originals[uid].name
    assert answers == expected(questions)


@pytest.mark.parametrize("name", move_scus)
async def test_peer_has_objects_moved_to_itself(name: str, holdings: Sequence[Holding], workdir: Path) -> None:
    questions = MOVED[name]
    to = destinations_for(questions)
    app = catalogue([held.path for held in holdings], addresses(to))
    ports = {each.ae_title: each.port for each in to}

    @app.middleware
    async def be_patient(request: RetrieveRequest, call_next: Callable[[RetrieveRequest], Awaitable[Any]]) -> Any:
        # GDCM begins to listen when it has sent its request, and waits for ever for whoever came before that.
        await asyncio.to_thread(wait_for_listener, ports[request.destination or ""])
        return await call_next(request)

    async with serve(app, HOST, 0) as server:
        answered = await asyncio.to_thread(move_scus[name], server.port, "ARCHIVE", to, questions, workdir)
    assert_retrieved(answered, questions, holdings, verbatim=name not in NOT_VERBATIM["move"])
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}


@pytest.mark.parametrize("name", get_scus)
async def test_peer_gets_objects(name: str, holdings: Sequence[Holding], workdir: Path) -> None:
    # dcmjs makes nonsense of texts in more than one character set, such as those of a Japanese study.
    questions = without(RETRIEVE, ["list of studies to retrieve"] if name == "dcmjs" else [])
    app = catalogue([held.path for held in holdings])
    async with serve(app, HOST, 0) as server:
        answered = await asyncio.to_thread(get_scus[name], server.port, "ARCHIVE", questions, workdir)
    assert_retrieved(answered, questions, holdings, verbatim=name not in NOT_VERBATIM["get"])
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}


def synchronize(port: int, workdir: Path) -> ScuResult:
    """Have PixelMed fetch whatever it does not have yet: by C-FIND of studies, series and images, and by C-GET."""
    require("pixelmed")
    class_path = f"{PIXELMED_JAR}:{PIXELMED_JAR.parent / 'hsqldb.jar'}"
    main_class = "com.pixelmed.apps.SynchronizeFromRemoteSCP"
    local = [str(free_port()), "PIXELMED"]
    argv = ["java", "-cp", class_path, main_class, "index", "inbox", HOST, str(port), "ARCHIVE", *local, "GET", "ALL"]
    return run(argv, workdir)


async def test_pixelmed_fetches_everything(holdings: Sequence[Holding], workdir: Path) -> None:
    """Its program waits ten seconds for other servers to announce themselves; that for C-GET alone does not run."""
    inbox = workdir / "inbox"
    inbox.mkdir()
    app = catalogue([held.path for held in holdings])
    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(synchronize, server.port, workdir)
    assert "requested but never received were 0 instances" in result.output, result.output
    received = by_instance(path for path in inbox.rglob("*") if path.is_file())
    assert set(received) == {held.sop_instance_uid for held in holdings}
    for held in holdings:
        assert data_set_bytes(received[held.sop_instance_uid]) == data_set_bytes(held.path), held.name
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}


# ---- others as the destination ----


async def test_objects_of_every_kind_are_moved(samples: Samples, tmp_path: Path) -> None:
    """We are the SCU, and we are the SCP; DCMTK is the destination, which writes the bytes that it is sent."""
    sent = list(samples.values())
    studies = sorted({str(pydicom.dcmread(sample.path).StudyInstanceUID) for sample in sent})
    with scps["storescp-all"](tmp_path, ae_title=DESTINATION) as destination:
        app = catalogue([sample.path for sample in sent], addresses([Destination(DESTINATION, destination.port)]))
        async with serve(app, HOST, 0) as server, Client(Address("ARCHIVE", HOST, server.port)) as client:
            moved = client.move(query("STUDY", StudyInstanceUID=studies), to=DESTINATION)
            progress = await moved
        assert (moved.status, progress) == (Status.SUCCESS, Progress(completed=len(sent)))
        assert_same_bytes(sent, by_instance(destination.received()), {s.sop_instance_uid: s.path for s in sent})


@pytest.mark.parametrize("name", ["dcmqrscp", "orthanc", "pynetdicom"])
async def test_objects_are_moved_to_a_third_party(name: str, holdings: Sequence[Holding], tmp_path: Path) -> None:
    """movescu asks us to move objects to another server."""
    with scps[name](tmp_path / "scp", ae_title=DESTINATION) as destination:
        app = catalogue([held.path for held in holdings], addresses([Destination(DESTINATION, destination.port)]))
        async with serve(app, HOST, 0) as server:
            result = await asyncio.to_thread(movescu, server.port, "ARCHIVE", tmp_path)
        assert "Received Final Move Response (Success)" in result.output, result.output
        received = by_instance(destination.received())
    originals = {held.sop_instance_uid: held.path for held in holdings if held.name.startswith(("chest", "head"))}
    assert set(received) == set(originals)
    for uid, path in received.items():
        assert data_set_bytes(path) == data_set_bytes(originals[uid])


def movescu(port: int, aet: str, directory: Path, *options: str, destination: str = DESTINATION) -> ScuResult:
    """Have movescu move a patient to a destination that is somebody else."""
    require("dcmtk")
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=ALPHA1"]
    return run(["movescu", "-v", "-P", *options, "-aem", destination, "-aec", aet, *keys, HOST, str(port)], directory)


async def test_objects_come_to_us_from_a_third_party(holdings: Sequence[Holding], tmp_path: Path) -> None:
    """movescu asks dcmqrscp to move objects to us; they say who asked for them."""
    inbox, port = tmp_path / "inbox", free_port()
    app = archive(inbox)
    asked_for: list[tuple[str | None, int | None]] = []

    @app.middleware
    async def note(request: Any, call_next: Any) -> Any:
        asked_for.append((request.move_originator, request.move_originator_message_id))
        return await call_next(request)

    with scps["dcmqrscp"](tmp_path / "scp", destinations={DESTINATION: port}) as scp:
        async with Client(Address(scp.ae_title, HOST, scp.port)) as client:
            assert await client.store_many(held.path for held in holdings) == []
        async with serve(app, HOST, port):
            result = await asyncio.to_thread(movescu, scp.port, scp.ae_title, tmp_path)
    assert "Received Final Move Response (Success)" in result.output, result.output
    assert asked_for == [("MOVESCU", 1)] * 4
    originals = {held.sop_instance_uid: held.path for held in holdings if held.name.startswith(("chest", "head"))}
    assert {uid: data_set_bytes(path) for uid, path in by_instance(inbox.iterdir()).items()} == {
        uid: data_set_bytes(path) for uid, path in originals.items()
    }


# ---- C-CANCEL ----


def endless(path: Path, port: int) -> Application:
    """An application that never runs out of objects to send."""
    app = Application("ARCHIVE", destinations=addresses([Destination(DESTINATION, port)]))
    app.state.closed = asyncio.Event()

    @app.get(STUDY_ROOT, pace=0.0)
    @app.move(STUDY_ROOT, pace=0.0)
    async def retrieve(request: RetrieveRequest) -> AsyncIterator[Path]:
        try:
            for each in repeat(path):
                yield each
        finally:
            app.state.closed.set()

    return app


def movescu_that_cancels(port: int, destination: int, identifier: Path, workdir: Path) -> ScuResult:
    require("dcmtk")
    options = ["-v", "-S", "--cancel", "2", "+P", str(destination), "--ignore", "-aem", DESTINATION]
    return run(["movescu", *options, "-aec", "ARCHIVE", HOST, str(port), identifier], workdir)


def dcmjs_that_cancels(port: int, destination: int, identifier: Path, workdir: Path) -> ScuResult:
    require("dcmjs")
    task = {"directory": str(workdir), "identifier": str(identifier), "sop_class": STUDY_ROOT.get}
    argv: list[str | Path] = ["node", DCMJS_DIRECTORY / "query_scu.mjs", "get", str(port), "ARCHIVE", "2"]
    return run(argv, workdir, json.dumps([task]))


@pytest.mark.parametrize(
    "ask, cancelled",
    [
        (movescu_that_cancels, "Received Final Move Response (Cancel: "),
        (dcmjs_that_cancels, "status fe00"),
    ],
)
async def test_peer_cancels(ask: Any, cancelled: str, holdings: Sequence[Holding], workdir: Path) -> None:
    """getscu and the clients of pynetdicom, odil, Orthanc, GDCM and PixelMed do not cancel."""
    identifier, port = workdir / "identifier.bin", free_port()
    write_identifier(Question("", STUDY_ROOT, "STUDY", {"StudyInstanceUID": "2.25.1"}, []), identifier)
    app = endless(holdings[0].path, port)
    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(ask, server.port, port, identifier, workdir)
        async with asyncio.timeout(5):
            await app.state.closed.wait()
    assert cancelled in result.output, result.output


# ---- failures ----


# odil does not tell, and GDCM waits for objects and nothing else.
@pytest.mark.parametrize("name", ["dcmtk", "pynetdicom", "dcmjs", "pixelmed", "orthanc"])
async def test_peer_hears_that_a_destination_is_unknown(name: str, holdings: Sequence[Holding], workdir: Path) -> None:
    questions = asked(RETRIEVE, ["series"])
    app = catalogue([held.path for held in holdings])
    async with serve(app, HOST, 0) as server:
        to = destinations_for(questions)
        answered = await asyncio.to_thread(move_scus[name], server.port, "ARCHIVE", to, questions, workdir)
    assert answered.result.code != 0
    assert answered.files["series"] == []


async def test_peer_hears_that_a_destination_is_down(holdings: Sequence[Holding], workdir: Path) -> None:
    app = catalogue([held.path for held in holdings], addresses([Destination(DESTINATION, free_port())]))
    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(movescu, server.port, "ARCHIVE", workdir, "-d")
    assert "DIMSE Status                  : 0xa702" in result.output, result.output
    assert re.search(r"Failed Suboperations +: 4\b", result.output), result.output
    failed = "\\".join(held.sop_instance_uid for held in holdings if held.name.startswith(("chest", "head")))
    assert f"(0008,0058) UI [{failed}]" in result.output


async def test_objects_of_sop_classes_that_getscu_does_not_propose_fail(samples: Samples, workdir: Path) -> None:
    """The others come; the numbers say so."""
    require("dcmtk")
    sent = [samples["explicit"], samples["private-sop-class"]]
    assert len({pydicom.dcmread(sample.path).StudyInstanceUID for sample in sent}) == 1
    study = pydicom.dcmread(sent[0].path).StudyInstanceUID
    app = catalogue([sample.path for sample in sent])
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
    async with serve(app, HOST, 0) as server:
        argv = ["getscu", "-v", "-S", "+B", "-aec", "ARCHIVE", *keys, HOST, str(server.port)]
        result = await asyncio.to_thread(run, argv, workdir)
    assert re.search(r"Completed Suboperations +: 1\b.*Failed Suboperations +: 1\b", result.output, re.DOTALL)
    (received,) = by_instance(workdir.iterdir()).items()
    assert received[0] == sent[0].sop_instance_uid
    assert data_set_bytes(received[1]) == data_set_bytes(sent[0].path)

"""Every peer that asks queries asks us."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dicomio import STUDY_ROOT, Application, AssociationReleased, FindRequest, Refused, Status, serve
from tests.interop.catalogue import catalogue
from tests.interop.holdings import STUDIES, Holding, found, uid_of
from tests.interop.ours import HOST
from tests.interop.processes import DCMJS_DIRECTORY, ScuResult, require, run
from tests.interop.query_scus import find_scus, gdcm_find
from tests.interop.questions import FIND, Question, asked, expected, without, write_identifier

pytestmark = pytest.mark.interop

# What clients cannot ask, or do not understand when it is answered.
NOT_ASKED: Mapping[str, Sequence[str]] = {
    "dcmtk": [],
    "pynetdicom": [],
    "odil": [],
    # It knows one character set at a time.
    "dcmjs": ["ISO 2022"],
    # It fails on answers with an empty first value of Specific Character Set (0008,0005), which is that of `japanese`.
    "orthanc": ["every patient", "every study", "dates from", "times between", "ISO 2022"],
}

PENDING = 0xFF00


@pytest.mark.parametrize("name", find_scus)
async def test_peer_asks_queries_of_all_kinds(name: str, holdings: Sequence[Holding], workdir: Path) -> None:
    questions = without(FIND, NOT_ASKED[name])
    app = catalogue([held.path for held in holdings])
    async with serve(app, HOST, 0) as server:
        answered = await asyncio.to_thread(find_scus[name], server.port, "ARCHIVE", questions, workdir)
    assert answered.result.code == 0, answered.result.output
    answers = {question.name: found(question.level, answered.matches(question)) for question in questions}
    assert answers == expected(questions)
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}


async def test_gdcm_asks_queries_of_all_kinds(holdings: Sequence[Holding]) -> None:
    """It asks in two models, and in UTF-8; how many responses there are is all that it shows."""
    not_asked = ["patients only", "studies only", "Latin 1", "UTF-8", "ISO 2022"]
    questions = without(FIND, not_asked)
    app = catalogue([held.path for held in holdings])
    async with serve(app, HOST, 0) as server:
        for question in questions:
            statuses = await asyncio.to_thread(gdcm_find, server.port, "ARCHIVE", question)
            assert statuses == [PENDING] * len(question.expected) + [Status.SUCCESS], question.name
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}


@pytest.mark.parametrize("name", ["dcmtk", "pynetdicom", "odil", "dcmjs"])
async def test_peer_gets_names_in_every_character_set(name: str, holdings: Sequence[Holding], workdir: Path) -> None:
    app = catalogue([held.path for held in holdings])
    (question,) = asked(FIND, ["every study"])
    async with serve(app, HOST, 0) as server:
        answered = await asyncio.to_thread(find_scus[name], server.port, "ARCHIVE", [question], workdir)
    names = {uid_of(study): str(values["PatientName"]).rstrip("=") for study, values in STUDIES.items()}
    if name == "dcmjs":
        # It knows one character set at a time.
        del names[uid_of("japanese")]
    matches = [match for match in answered.matches(question) if match.StudyInstanceUID in names]
    assert {match.StudyInstanceUID: str(match.PatientName).rstrip("=") for match in matches} == names


# ---- C-CANCEL ----


def endless() -> Application:
    """An application that never runs out of matches; `app.state.closed` is set when it need not find any more."""
    app = Application("ARCHIVE")
    app.state.closed = asyncio.Event()

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> AsyncIterator[Mapping[str, Any]]:
        try:
            for number in count():
                yield {"StudyInstanceUID": f"2.25.{number}"}
        finally:
            app.state.closed.set()

    return app


def findscu_that_cancels(port: int, identifier: Path, workdir: Path) -> ScuResult:
    require("dcmtk")
    return run(["findscu", "-v", "-S", "--cancel", "3", "-aec", "ARCHIVE", HOST, str(port), identifier], workdir)


def dcmjs_that_cancels(port: int, identifier: Path, workdir: Path) -> ScuResult:
    require("dcmjs")
    task = {"directory": str(workdir), "identifier": str(identifier), "sop_class": STUDY_ROOT.find}
    argv: list[str | Path] = ["node", DCMJS_DIRECTORY / "query_scu.mjs", "find", str(port), "ARCHIVE", "3"]
    return run(argv, workdir, json.dumps([task]))


@pytest.mark.parametrize(
    "ask, cancelled",
    [
        # pynetdicom's, odil's, Orthanc's and GDCM's clients do not cancel.
        (findscu_that_cancels, "Received Final Find Response (Cancel: MatchingTerminatedDueToCancelRequest)"),
        (dcmjs_that_cancels, "status fe00"),
    ],
)
async def test_peer_cancels(ask: Any, cancelled: str, workdir: Path) -> None:
    identifier = workdir / "identifier.bin"
    write_identifier(Question("", STUDY_ROOT, "STUDY", {}, []), identifier)
    app = endless()
    async with serve(app, HOST, 0) as server:
        result = await asyncio.to_thread(ask, server.port, identifier, workdir)
        async with asyncio.timeout(5):
            await app.state.closed.wait()
    assert cancelled in result.output


# ---- failures ----


@pytest.mark.parametrize("name", ["dcmtk", "pynetdicom", "dcmjs"])
async def test_peer_hears_of_a_failure(name: str, workdir: Path) -> None:
    app = Application("ARCHIVE")

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> None:
        raise Refused(Status.OUT_OF_RESOURCES, "the index is being rebuilt")

    question = Question("", STUDY_ROOT, "STUDY", {}, [])
    async with serve(app, HOST, 0) as server:
        answered = await asyncio.to_thread(find_scus[name], server.port, "ARCHIVE", [question], workdir)
    assert answered.result.code != 0
    assert answered.matches(question) == []


async def test_peer_hears_what_is_wrong_with_its_identifier(workdir: Path) -> None:
    require("dcmtk")
    app = catalogue([])
    async with serve(app, HOST, 0) as server:
        argv = ["findscu", "-d", "-S", "-aec", "ARCHIVE", "-k", "QueryRetrieveLevel=PATIENT", HOST, str(server.port)]
        result = await asyncio.to_thread(run, argv, workdir)
    assert "Error: DataSetDoesNotMatchSOPClass" in result.output or "0xa900" in result.output, result.output
    assert "it can be STUDY, SERIES, IMAGE" in result.output

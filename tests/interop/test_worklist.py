"""Modality worklists: queries with a sequence, to every peer that serves them, and from every peer that asks them."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicomio import WORKLIST, Address, Application, AssociationReleased, Client, serve
from dicomio.identifiers import dataset
from tests.interop.catalogue import worklist
from tests.interop.holdings import uid_of
from tests.interop.orthanc import orthanc
from tests.interop.ours import HOST
from tests.interop.processes import free_port, require, run, running
from tests.interop.query_scus import find_scus
from tests.interop.questions import Question

pytestmark = pytest.mark.interop


def item(number: str, name: str, modality: str, date: str, time: str, charset: str = "") -> Dataset:
    """A worklist item, with all that wlmscpfs insists on."""
    step = {
        "Modality": modality,
        "ScheduledStationAETitle": f"{modality}1",
        "ScheduledProcedureStepStartDate": date,
        "ScheduledProcedureStepStartTime": time,
        "ScheduledPerformingPhysicianName": "Weber^Ruth",
        "ScheduledProcedureStepDescription": "step",
        "ScheduledProcedureStepID": f"S{number}",
    }
    ds = dataset(
        **({"SpecificCharacterSet": charset} if charset else {}),
        AccessionNumber=number,
        PatientName=name,
        PatientID=f"P{number}",
        StudyInstanceUID=uid_of(number),
        RequestedProcedureID=f"R{number}",
        RequestedProcedureDescription="procedure",
        ScheduledProcedureStepSequence=[step],
    )
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(WORKLIST.find or "")
    ds.file_meta.MediaStorageSOPInstanceUID = UID(uid_of(number))
    return ds


ITEMS = (
    item("W1", "Adams^Anna", "CT", "20260105", "080000"),
    item("W2", "Adamson^Bob", "MR", "20260105", "091500"),
    item("W3", "Wang^XiaoDong=王^小東=", "CT", "20260106", "100000", "ISO_IR 192"),
    item("W4", "Äneas^Rüdiger", "US", "20260107", "140000", "ISO_IR 100"),
)


def question(name: str, numbers: Sequence[str], step: Mapping[str, str], **keys: str) -> Question:
    """A worklist query; Accession Number and Patient's Name are asked for, and of the step what is matched."""
    sequence = dataset(**{"ScheduledProcedureStepID": "", **step})
    keys = {"AccessionNumber": "", "PatientName": "", **keys}
    return Question(name, WORKLIST, "", {**keys, "ScheduledProcedureStepSequence": [sequence]}, numbers)


QUESTIONS = (
    question("everything", ["W1", "W2", "W3", "W4"], {}),
    question("modality", ["W1", "W3"], {"Modality": "CT"}),
    question("date", ["W1", "W2"], {"ScheduledProcedureStepStartDate": "20260105"}),
    question("dates", ["W3", "W4"], {"ScheduledProcedureStepStartDate": "20260106-20260107"}),
    question(
        "station and date", ["W3"], {"ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20260106"}
    ),
    question("name", ["W1", "W2"], {}, PatientName="Adam*"),
    question("name and modality", ["W2"], {"Modality": "MR"}, PatientName="Adam*"),
    question("nothing", [], {"Modality": "XA"}),
)


def numbers_of(matches: Sequence[Dataset]) -> list[str]:
    return sorted(match.AccessionNumber for match in matches)


def steps_of(matches: Sequence[Dataset]) -> list[str]:
    return sorted(match.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID for match in matches)


EXPECTED = {each.name: (each.expected, [f"S{number}" for number in each.expected]) for each in QUESTIONS}
NAMES = {ds.AccessionNumber: str(ds.PatientName).rstrip("=") for ds in ITEMS}


def names_of(matches: Sequence[Dataset]) -> dict[str, str]:
    return {match.AccessionNumber: str(match.PatientName).rstrip("=") for match in matches}


# ---- we ask ----


def write_items(directory: Path) -> None:
    """Write every item into a file, as servers read them."""
    directory.mkdir(parents=True)
    for ds in ITEMS:
        ds.save_as(directory / f"{ds.AccessionNumber}.wl", enforce_file_format=True)


@contextmanager
def wlmscpfs(workdir: Path) -> Iterator[Address]:
    """Run DCMTK's worklist server, which has a directory for each of its AE titles."""
    require("dcmtk")
    write_items(workdir / "items" / "WORKLIST")
    (workdir / "items" / "WORKLIST" / "lockfile").touch()
    port = free_port()
    argv: list[str | Path] = ["wlmscpfs", "-v", "-csk", "-dfp", workdir / "items", str(port)]
    with running(argv, [port], workdir / "scp.log", workdir):
        yield Address("WORKLIST", HOST, port)


@contextmanager
def orthanc_with_worklists(workdir: Path) -> Iterator[Address]:
    """Run Orthanc with its plugin."""
    require("orthanc")
    write_items(workdir / "items")
    options = {
        "Plugins": ["/usr/share/orthanc/plugins/libModalityWorklists.so"],
        "Worklists": {"Enable": True, "Database": str(workdir / "items")},
        "DicomAlwaysAllowFindWorklist": True,
    }
    with orthanc(workdir, "WORKLIST", {}, options=options) as server:
        yield Address("WORKLIST", HOST, server.port)


@pytest.mark.parametrize("run_scp", [wlmscpfs, orthanc_with_worklists])
async def test_we_ask_for_worklists(run_scp: Any, tmp_path: Path) -> None:
    answers = {}
    with run_scp(tmp_path) as address:
        async with Client(address) as client:
            for each in QUESTIONS:
                matches = await client.find(each.identifier(), model=WORKLIST)
                answers[each.name] = numbers_of(matches), steps_of(matches)
                assert names_of(matches) == {number: NAMES[number] for number in each.expected}
    assert answers == EXPECTED


# ---- others ask ----


async def assert_answered(ask: Callable[[int], Mapping[str, Any]], answers: Mapping[str, Any]) -> None:
    """A peer gets answers from us, and takes its leave in good order."""
    app: Application = worklist(ITEMS)
    ended: list[type] = []
    app.on_close(lambda association: ended.append(type(association.ended)))
    async with serve(app, HOST, 0) as server:
        assert await asyncio.to_thread(ask, server.port) == answers
    assert set(ended) == {AssociationReleased}


@pytest.mark.parametrize("name", ["dcmtk", "pynetdicom", "odil", "dcmjs"])
async def test_peer_asks_for_worklists(name: str, workdir: Path) -> None:
    def ask(port: int) -> Mapping[str, Any]:
        asked = find_scus[name](port, "ARCHIVE", QUESTIONS, workdir)
        assert asked.result.code == 0, asked.result.output
        for each in QUESTIONS:
            assert names_of(asked.matches(each)) == {number: NAMES[number] for number in each.expected}
        return {each.name: (numbers_of(asked.matches(each)), steps_of(asked.matches(each))) for each in QUESTIONS}

    await assert_answered(ask, EXPECTED)


async def test_orthanc_asks_for_worklists(workdir: Path) -> None:
    def ask(port: int) -> Mapping[str, Any]:
        require("orthanc")
        answers = {}
        with orthanc(workdir, "ORTHANC", {"peer": ["ARCHIVE", HOST, port]}) as server:
            for each in QUESTIONS:
                keys = json.dumps(plain(each.identifier())).encode()
                matches = server.post("/modalities/peer/find-worklist", keys)
                assert {match["AccessionNumber"]: match["PatientName"].rstrip("=") for match in matches} == {
                    number: NAMES[number] for number in each.expected
                }
                answers[each.name] = (
                    sorted(match["AccessionNumber"] for match in matches),
                    sorted(match["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"] for match in matches),
                )
        return answers

    await assert_answered(ask, EXPECTED)


def plain(ds: Dataset) -> dict[str, Any]:
    """An identifier as mappings of texts."""
    return {
        element.keyword: [plain(nested) for nested in element.value] if element.VR == "SQ" else str(element.value)
        for element in ds
    }


async def test_ctn_asks_for_worklists(workdir: Path) -> None:
    """mwlQuery is the one program of CTN's that queries without MySQL; it prints what it gets."""

    def ask(port: int) -> Mapping[str, Any]:
        require("ctn")
        answers = {}
        for each in QUESTIONS:
            identifier = workdir / "identifier.bin"
            each.identifier().save_as(identifier, implicit_vr=True, little_endian=True)
            result = run(["mwlQuery", "-a", "CTN", "-c", "ARCHIVE", "-f", identifier, HOST, str(port)], workdir)
            numbers = re.findall(r"Accession Number//(\S+)", result.output)
            steps = re.findall(r"Scheduled Procedure Step ID//(\S+)", result.output)
            assert "Successful operation" in result.output, result.output
            answers[each.name] = sorted(numbers), sorted(steps)
        return answers

    await assert_answered(ask, EXPECTED)

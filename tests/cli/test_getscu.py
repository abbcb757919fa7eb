"""`dicomio getscu`: objects in files, what failed, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Application,
    Association,
    AssociationReleased,
    FindRequest,
    Instance,
    RetrieveRequest,
    Status,
    StoreRequest,
    dataset,
    query,
)
from dicomio.cli import getscu
from dicomio.sop import CTImageStorage, ImplicitVRLittleEndian

from .conftest import Ran, Tool, interrupt, serving, write_query

Sample = Callable[[str], Path]

NAMES = ("CT_small.dcm", "MR_small_implicit.dcm", "SC_rgb_jpeg_dcmtk.dcm")
KEYS = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3"]


@pytest.fixture
def study(sample: Sample) -> list[Path]:
    """The objects of a study, one of them compressed."""
    return [sample(name) for name in NAMES]


def names(study: Sequence[Path]) -> list[str]:
    """What the files of the objects of a study are called, as in the classic toolkit."""
    return [f"{prefix}.{uid}" for prefix, uid in zip(("CT", "MR", "SC"), uids(study), strict=False)]


def uids(paths: Sequence[Path]) -> list[str]:
    """Their SOP Instance UIDs."""
    return [Instance.open(path).sop_instance_uid for path in paths]


class Archive:
    """A peer that gives objects, and knows which SOP classes a study has.

    Args:
        handler: of C-GET.
        study: objects of which the SOP classes are known.

    Attributes:
        asked: the requests that came.
        ended: why each association ended.
    """

    def __init__(self, handler: Callable[[RetrieveRequest], Any], study: Sequence[Path] = ()) -> None:
        self.handler = handler
        self.classes = [Instance.open(path).sop_class_uid for path in study]
        self.asked: list[RetrieveRequest] = []
        self.ended: list[Exception | None] = []
        self.app = Application("PACS")
        self.app.get(STUDY_ROOT, PATIENT_ROOT, pace=0)(self.get)
        self.app.find(STUDY_ROOT)(self.find)
        self.app.on_close(self.closed)

    async def get(self, request: RetrieveRequest) -> Any:
        self.asked.append(request)
        return self.handler(request)

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        if self.classes:
            yield dataset(StudyInstanceUID=request.identifier.StudyInstanceUID, SOPClassesInStudy=self.classes)

    async def closed(self, association: Association) -> None:
        self.ended.append(association.ended)


def ask(tool: Tool, app: Application, *words: object) -> Ran:
    """Runs the command against a peer, which is called PEER in what it says."""
    with serving(app) as (server, _):
        peer = f"ANY-SCP@127.0.0.1:{server.port}"
        code, out, err = tool("getscu", "127.0.0.1", server.port, *words)
    return Ran(code, out, err.replace(peer, "PEER"))


# objects


def test_objects_are_files(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    archive = Archive(lambda request: study, study)
    assert ask(tool, archive.app, *KEYS, "-od", tmp_path / "in" / "box", "+B") == (0, "", "")
    for path, name in zip(study, names(study), strict=True):
        sent = Instance.open(path)
        stored = Instance.open(tmp_path / "in" / "box" / name)
        assert stored.dataset() == sent.dataset()
        if sent.transfer_syntax != ImplicitVRLittleEndian:
            assert (stored.read(), stored.transfer_syntax) == (sent.read(), sent.transfer_syntax)
    assert len(list((tmp_path / "in" / "box").iterdir())) == 3
    (request,) = archive.asked
    assert (request.level, request.identifier.StudyInstanceUID) == ("STUDY", "1.2.3")
    assert {type(error) for error in archive.ended} == {AssociationReleased}


def test_peer_that_does_not_know_the_sop_classes(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    """All of them are proposed, on two associations: these objects are some of one and some of the other."""
    study = [sample(name) for name in ("CT_small.dcm", "MR_small_implicit.dcm", "test-SR.dcm", "rtplan.dcm")]
    archive = Archive(lambda request: study)
    code, out, err = ask(tool, archive.app, *KEYS, "-od", tmp_path, "--json")
    assert (code, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert (last["status"], last["completed"], last["failed"], last["failed_sop_instance_uids"]) == ("0x0000", 4, 0, [])
    assert sorted(uids(list(tmp_path.iterdir()))) == sorted(uids(study))
    assert len(archive.asked) == 2


def test_current_directory(tool: Tool, study: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(tool, Archive(lambda request: study[:1], study).app, *KEYS).code == 0
    assert [path.name for path in tmp_path.iterdir()] == names(study)[:1]


def test_query_models(tool: Tool, tmp_path: Path) -> None:
    archive = Archive(lambda request: [])
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=1"]
    assert ask(tool, archive.app, *keys, "-od", tmp_path) == (0, "", "")
    assert ask(tool, archive.app, *KEYS, "-od", tmp_path) == (0, "", "")
    assert [request.model for request in archive.asked] == [PATIENT_ROOT, STUDY_ROOT]


def test_objects_as_json_lines(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    code, out, err = ask(tool, Archive(lambda request: study, study).app, *KEYS, "-od", tmp_path, "--json")
    assert (code, err) == (0, "")
    *objects, last = [json.loads(line) for line in out.splitlines()]
    for record, path in zip(objects, study, strict=True):
        sent = Instance.open(path)
        assert (record["sop_class_uid"], record["sop_instance_uid"]) == (sent.sop_class_uid, sent.sop_instance_uid)
        stored = Instance.open(record["path"])
        assert (stored.transfer_syntax, stored.sop_instance_uid) == (
            record["transfer_syntax_uid"],
            sent.sop_instance_uid,
        )
    assert last == {
        "status": "0x0000",
        "completed": 3,
        "failed": 0,
        "warning": 0,
        "remaining": 0,
        "failed_sop_instance_uids": [],
    }


def test_progress_bar_on_a_terminal(
    tool: Tool, study: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    app = Archive(lambda request: study, study).app
    code, out, err = ask(tool, app, *KEYS, "-od", tmp_path)
    assert (code, out) == (0, "")
    assert "3/3" in err
    assert ask(tool, app, *KEYS, "-od", tmp_path, "--no-progress") == (0, "", "")


def test_several_queries(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    files = [write_query(tmp_path / f"{n}.query", query("STUDY", StudyInstanceUID=f"1.2.{n}")) for n in range(3)]
    archive = Archive(lambda request: [study[int(request.identifier.StudyInstanceUID[-1])]], study)
    assert ask(tool, archive.app, *files, "-od", tmp_path / "inbox") == (0, "", "")
    assert sorted(uids(list((tmp_path / "inbox").iterdir()))) == sorted(uids(study))


# failures


def test_objects_that_fail_on_two_associations_are_named(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    lost = Instance(CTImageStorage, "1.2.3.4", "1.2.840.10008.1.2.4.999", length=2, data=b"no")
    study = [lost, *map(sample, ("CT_small.dcm", "test-SR.dcm"))]
    code, out, err = ask(tool, Archive(lambda request: study).app, *KEYS, "-od", tmp_path)
    assert (code, out) == (1, "failed: 1.2.3.4\n")
    assert err.endswith(": 2 completed, 1 failed\n")
    assert len(list(tmp_path.iterdir())) == 2


def test_objects_that_fail_are_named(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    """What the peer cannot send: we have not proposed that SOP class."""
    app = Archive(lambda request: study, study[:2]).app
    code, out, err = ask(tool, app, *KEYS, "-od", tmp_path)
    records = [json.loads(line) for line in ask(tool, app, *KEYS, "-od", tmp_path, "--json").out.splitlines()]
    assert (code, out) == (1, f"failed: {uids(study)[2]}\n")
    assert err == f"dicomio getscu: PEER: C-GET ended with {Status(0xB000)}: 2 completed, 1 failed\n"
    assert sorted(uids(list(tmp_path.iterdir()))) == sorted(uids(study[:2]))
    assert (records[-1]["status"], records[-1]["failed_sop_instance_uids"]) == ("0xB000", [uids(study)[2]])


def test_objects_that_are_empty(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    """The others are had all the same."""
    empty = Instance(Instance.open(study[0]).sop_class_uid, "1.2.3.4", "1.2.840.10008.1.2", length=0, data=b"")
    app = Archive(lambda request: [empty, study[0]], study).app
    code, out, err = ask(tool, app, *KEYS, "-od", tmp_path)
    assert (code, out) == (1, "failed: 1.2.3.4\n")
    assert "the data set is empty" in err
    assert err.endswith(": 1 completed, 1 failed\n")
    assert uids(list(tmp_path.iterdir())) == uids(study[:1])


def test_objects_that_cannot_be_written(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    """That there is no room ends it."""
    blocked = tmp_path / names(study)[1] / f"{uids(study)[1]}.dcm"
    (blocked / "below").mkdir(parents=True)
    archive = Archive(lambda request: study, study)
    code, out, err = ask(tool, archive.app, *KEYS, "-od", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(blocked) in err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names(study)[:2])
    assert {type(error) for error in archive.ended} == {AssociationReleased}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_failures_of_the_peer(tool: Tool, tmp_path: Path, words: list[str]) -> None:
    app = Archive(lambda request: Status.OUT_OF_RESOURCES_MATCHES).app
    code, out, err = ask(tool, app, *KEYS, "-od", tmp_path, *words)
    assert (code, err.count("\n")) == (1, 1)
    assert [json.loads(line)["status"] for line in out.splitlines()] == (["0xA701"] if words else [])
    assert err.startswith("dicomio getscu: PEER answered C-GET with 0xA701 Out of resources")


def test_peer_without_c_get(tool: Tool, tmp_path: Path) -> None:
    code, out, err = ask(tool, Application("PACS"), *KEYS, "-od", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"no presentation context accepted for SOP class {STUDY_ROOT.get}" in err
    assert "PEER" in err


def test_peer_that_aborts(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    async def handler(request: RetrieveRequest) -> AsyncIterator[Path]:
        yield study[0]
        request.association.abort()

    code, out, err = ask(tool, Archive(handler, study).app, *KEYS, "-od", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("dicomio getscu: PEER aborted")
    assert uids(list(tmp_path.iterdir())) in ([], uids(study[:1]))


@pytest.mark.parametrize(
    "words, reason",
    [
        ([], "there is nothing to ask for"),
        (["-k", "Modality[0]"], "Modality is no sequence"),
        (["-k", "PatientID", "+P", "104"], "there is no option +P"),
        (["-k", "PatientID", "-aem", "X"], "there is no option -aem"),
        (["-k", "PatientID", "-B"], "there is no option -B"),
        (["missing.dcm"], "missing.dcm: No such file"),
    ],
)
def test_wrong_usage(tool: Tool, words: list[str], reason: str) -> None:
    code, out, err = tool("getscu", "127.0.0.1", 9, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err


def test_directory_that_cannot_be_made(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, err = tool("getscu", "127.0.0.1", 9, *KEYS, "-od", tmp_path / "file")
    assert (code, out, err) == (2, "", f"dicomio getscu: {tmp_path / 'file'}: File exists\n")


# how it ends


def slowly(study: list[Path], cancelled: list[bool]) -> Callable[[RetrieveRequest], AsyncIterator[Path]]:
    """A handler that has a lot to send, and notes how it ended."""

    async def handler(request: RetrieveRequest) -> AsyncIterator[Path]:
        try:
            while True:
                for path in study:
                    yield path
        finally:
            cancelled.append(request.cancelled)

    return handler


def test_cancel_after_so_many_objects(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    cancelled: list[bool] = []
    archive = Archive(slowly(study, cancelled), study)
    code, out, err = ask(tool, archive.app, *KEYS, "-od", tmp_path, "--cancel", 2, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [record["sop_instance_uid"] for record in records[:-1]] == uids(study[:2])
    assert records[-1]["status"] == "0xFE00"
    assert cancelled == [True]
    assert sorted(uids(list(tmp_path.iterdir()))) == sorted(uids(study[:2]))
    assert {type(error) for error in archive.ended} == {AssociationReleased}


def test_cancelled_by_the_peer(tool: Tool, tmp_path: Path) -> None:
    code, out, err = ask(tool, Archive(lambda request: Status.CANCEL).app, *KEYS, "-od", tmp_path)
    assert (code, out) == (1, "")
    assert err == "dicomio getscu: PEER: C-GET ended with 0xFE00 Cancelled: 0 completed, 0 failed\n"


def test_interrupted(tool: Tool, study: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[bool] = []
    archive = Archive(slowly(study, cancelled), study)

    async def keep(self: object, request: StoreRequest) -> None:
        interrupt()
        await asyncio.Event().wait()

    monkeypatch.setattr(getscu.GetSCU, "keep", keep)
    assert ask(tool, archive.app, *KEYS, "-od", tmp_path) == (130, "", "dicomio getscu: interrupted\n")
    assert cancelled == [True]
    assert list(tmp_path.iterdir()) == []
    assert {type(error) for error in archive.ended} == {AssociationReleased}


def test_cancel_on_the_first_of_two_associations(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    cancelled: list[bool] = []
    archive = Archive(slowly(study, cancelled))
    assert ask(tool, archive.app, *KEYS, "-od", tmp_path, "--cancel", 1) == (0, "", "")
    assert cancelled == [True]
    assert uids(list(tmp_path.iterdir())) == uids(study[:1])

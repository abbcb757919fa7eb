"""`dicomio movescu`: to others and to ourselves, what failed, and how it ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Address,
    Application,
    Association,
    AssociationReleased,
    Client,
    Instance,
    Progress,
    Refused,
    RetrieveRequest,
    Status,
    StoreRequest,
    query,
)
from dicomio.cli import movescu, retrieving
from dicomio.sop import CTImageStorage

from .conftest import Ran, Receive, Tool, free_port, interrupt, serving, write_query

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
    """A peer that moves objects to one destination, named DEST, or RECEIVER.

    Args:
        handler: of C-MOVE.
        port: where the destination listens.

    Attributes:
        asked: the requests that came.
        ended: why each association ended.
    """

    def __init__(self, handler: Callable[[RetrieveRequest], Any], port: int) -> None:
        self.handler = handler
        self.asked: list[RetrieveRequest] = []
        self.ended: list[Exception | None] = []
        destination = Address("DEST", "127.0.0.1", port)
        self.app = Application("PACS", destinations=dict.fromkeys(("DEST", "MOVESCU", "ME"), destination))
        self.app.move(STUDY_ROOT, PATIENT_ROOT, pace=0)(self.move)
        self.app.on_close(self.closed)

    async def move(self, request: RetrieveRequest) -> Any:
        self.asked.append(request)
        return self.handler(request)

    async def closed(self, association: Association) -> None:
        self.ended.append(association.ended)


def ask(tool: Tool, app: Application, *words: object) -> Ran:
    """Runs the command against a peer, which is called PEER in what it says."""
    with serving(app) as (server, _):
        peer = f"ANY-SCP@127.0.0.1:{server.port}"
        code, out, err = tool("movescu", "127.0.0.1", server.port, *words)
    return Ran(code, out, err.replace(peer, "PEER"))


# to others


def test_objects_go_to_the_destination(tool: Tool, receiver: Receive, study: list[Path]) -> None:
    inbox = receiver()
    archive = Archive(lambda request: study, inbox.port)
    assert ask(tool, archive.app, *KEYS, "-aem", "DEST") == (0, "", "")
    assert sorted(uids(inbox.files)) == sorted(uids(study))
    (request,) = archive.asked
    assert (request.destination, request.level, request.identifier.StudyInstanceUID) == ("DEST", "STUDY", "1.2.3")
    assert request.model is STUDY_ROOT
    assert [type(error) for error in archive.ended] == [AssociationReleased]


@pytest.mark.parametrize("words, destination", [([], "MOVESCU"), (["-aet", "ME"], "ME"), (["-aem", "DEST"], "DEST")])
def test_destinations(tool: Tool, receiver: Receive, words: list[str], destination: str) -> None:
    archive = Archive(lambda request: [], receiver().port)
    assert ask(tool, archive.app, *KEYS, *words) == (0, "", "")
    assert [request.destination for request in archive.asked] == [destination]


def test_query_models(tool: Tool) -> None:
    archive = Archive(lambda request: [], 9)
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=1"]
    assert ask(tool, archive.app, *keys) == (0, "", "")
    assert ask(tool, archive.app, *KEYS, "-P") == (0, "", "")
    assert [request.model for request in archive.asked] == [PATIENT_ROOT, PATIENT_ROOT]


def test_responses_as_json_lines(tool: Tool, receiver: Receive, study: list[Path]) -> None:
    code, out, err = ask(tool, Archive(lambda request: study, receiver().port).app, *KEYS, "--json")
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    counts = [(record["status"], record["completed"], record["remaining"]) for record in records]
    assert counts == [("0xFF00", 1, 2), ("0xFF00", 2, 1), ("0x0000", 3, 0)]
    assert records[-1] == {
        "status": "0x0000",
        "completed": 3,
        "failed": 0,
        "warning": 0,
        "remaining": 0,
        "failed_sop_instance_uids": [],
    }


def test_progress_bar_on_a_terminal(
    tool: Tool, receiver: Receive, study: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    app = Archive(lambda request: study, receiver().port).app
    code, out, err = ask(tool, app, *KEYS)
    assert (code, out) == (0, "")
    assert "3/3" in err
    assert ask(tool, app, *KEYS, "--no-progress") == (0, "", "")


def test_verbose_tells_the_numbers(tool: Tool, receiver: Receive, study: list[Path]) -> None:
    err = ask(tool, Archive(lambda request: study, receiver().port).app, *KEYS, "-v").err
    assert "info: PEER: 1 completed, 0 failed, 2 remaining: 0xFF00 Pending\n" in err
    assert "info: PEER: 3 completed, 0 failed, 0 remaining: 0x0000 Success\n" in err


# failures


@pytest.fixture
def picky() -> Application:
    """A destination that refuses whatever is not a CT image, and warns of those."""
    app = Application("PICKY")

    @app.store()
    async def store(request: StoreRequest) -> int:
        if request.sop_class_uid != CTImageStorage:
            raise Refused(0xA700, "no room")
        await request.read()
        return 0xB000

    return app


def test_objects_that_fail_are_named(tool: Tool, picky: Application, study: list[Path]) -> None:
    with serving(picky) as (server, _):
        app = Archive(lambda request: study, server.port).app
        code, out, err = ask(tool, app, *KEYS)
        records = [json.loads(line) for line in ask(tool, app, *KEYS, "--json").out.splitlines()]
    assert code == 1
    assert out == "".join(f"failed: {uid}\n" for uid in uids(study)[1:])
    assert err.splitlines()[-1] == (
        f"dicomio movescu: PEER: C-MOVE to MOVESCU ended with {Status(0xB000)}: 0 completed, 2 failed, 1 with warnings"
    )
    assert records[-1]["failed_sop_instance_uids"] == uids(study)[1:]
    assert (records[-1]["status"], records[-1]["failed"], records[-1]["warning"]) == ("0xB000", 2, 1)


def test_all_objects_fail(tool: Tool, study: list[Path]) -> None:
    archive = Archive(lambda request: study, free_port())
    code, out, err = ask(tool, archive.app, *KEYS)
    assert code == 1
    assert out == "".join(f"failed: {uid}\n" for uid in uids(study))
    assert err.splitlines()[-1].startswith("dicomio movescu: PEER answered C-MOVE to MOVESCU with 0xA702")
    assert [type(error) for error in archive.ended] == [AssociationReleased]


def test_unknown_destination(tool: Tool) -> None:
    code, out, err = ask(tool, Archive(lambda request: [], 9).app, *KEYS, "-aem", "NOBODY")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("dicomio movescu: PEER answered C-MOVE to NOBODY with 0xA801 Move destination unknown")


def test_unknown_destination_as_json(tool: Tool) -> None:
    out = ask(tool, Archive(lambda request: [], 9).app, *KEYS, "-aem", "NOBODY", "--json").out
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["0xA801"]


@pytest.mark.parametrize(
    "words, reason",
    [
        ([], "there is nothing to ask for"),
        (["-k", "Modality[0]"], "Modality is no sequence"),
        (["-k", "PatientID", "+P", "0"], "+P"),
        (["-k", "PatientID", "-aem", "SEVENTEEN-LETTERS"], "-aem"),
        (["-k", "PatientID", "-W"], "there is no option -W"),
        (["-k", "PatientID", "-X"], "there is no option -X"),
        (["-k", "PatientID", "--ignore"], "there is no option --ignore"),
        (["missing.dcm"], "missing.dcm: No such file"),
    ],
)
def test_wrong_usage(tool: Tool, words: list[str], reason: str) -> None:
    code, out, err = tool("movescu", "127.0.0.1", 9, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err


def test_peer_that_aborts(tool: Tool) -> None:
    def handler(request: RetrieveRequest) -> list[Path]:
        request.association.abort()
        return []

    code, out, err = ask(tool, Archive(handler, 9).app, *KEYS)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("dicomio movescu: PEER aborted")


# to ourselves


def receive(tool: Tool, handler: Callable[[RetrieveRequest], Any], *words: object) -> Ran:
    """Runs the command as its own destination."""
    port = free_port()
    return ask(tool, Archive(handler, port).app, *KEYS, "+P", port, *words)


def test_objects_come_to_us(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    assert receive(tool, lambda request: study, "-od", tmp_path / "in" / "box", "+B") == (0, "", "")
    for path, name in zip(study, names(study), strict=True):
        sent = Instance.open(path)
        stored = Instance.open(tmp_path / "in" / "box" / name)
        assert (stored.read(), stored.transfer_syntax) == (sent.read(), sent.transfer_syntax)
    assert len(list((tmp_path / "in" / "box").iterdir())) == 3


def test_objects_come_to_the_current_directory(
    tool: Tool, study: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert receive(tool, lambda request: study[:1]).code == 0
    assert [path.name for path in tmp_path.iterdir()] == names(study)[:1]


def test_objects_as_json_lines(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    out = receive(tool, lambda request: study, "-od", tmp_path, "--json").out
    records = [json.loads(line) for line in out.splitlines()]
    objects = [record for record in records if "path" in record]
    assert [record["sop_instance_uid"] for record in objects] == uids(study)
    assert [Path(record["path"]).parent for record in objects] == [tmp_path] * 3
    assert [record["transfer_syntax_uid"] for record in objects] == [
        Instance.open(path).transfer_syntax for path in study
    ]
    assert records[-1]["completed"] == 3


def test_port_that_is_taken(tool: Tool, tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        code, out, err = tool("movescu", "127.0.0.1", 9, *KEYS, "+P", port, "-od", tmp_path)
    assert (code, out) == (1, "")
    assert err.startswith(f"dicomio movescu: cannot listen on port {port}: ")


def test_directory_that_cannot_be_made(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, err = tool("movescu", "127.0.0.1", 9, *KEYS, "+P", free_port(), "-od", tmp_path / "file")
    assert (code, out, err) == (2, "", f"dicomio movescu: {tmp_path / 'file'}: File exists\n")


def test_objects_that_cannot_be_written(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    # directories of that name, and within it, are in the way
    (tmp_path / names(study)[1] / f"{uids(study)[1]}.dcm" / "below").mkdir(parents=True)
    code, out, err = receive(tool, lambda request: study, "-od", tmp_path)
    assert (code, out) == (1, f"failed: {uids(study)[1]}\n")
    warning, reason = err.splitlines()
    assert warning.startswith(f"warning: {uids(study)[1]}: ")
    assert reason.endswith(": 2 completed, 1 failed")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names(study))


def late(send: Callable[[], Any]) -> Callable[[RetrieveRequest], int]:
    """A peer that sends its one object after its final response, or says so at least."""

    def handler(request: RetrieveRequest) -> int:
        request.started = True
        request.progress = Progress(completed=1)
        request.after(send)
        return 0

    return handler


def test_objects_that_come_after_the_final_response(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    port = free_port()

    async def send() -> None:
        async with Client(f"MOVESCU@127.0.0.1:{port}") as client:
            await client.store(study[0])

    ran = ask(tool, Archive(late(send), port).app, *KEYS, "+P", port, "-od", tmp_path)
    assert ran == (0, "", "")
    assert uids(sorted(tmp_path.iterdir())) == uids(study[:1])


def test_objects_that_never_come(tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(movescu, "PATIENCE", 0.1)
    code, out, err = receive(tool, late(lambda: None), "-od", tmp_path)
    assert (code, out) == (1, "")
    assert err == "dicomio movescu: PEER: of 1 objects that it says to have sent 0 arrived here\n"


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


def test_cancel_after_so_many_responses(tool: Tool, receiver: Receive, study: list[Path]) -> None:
    cancelled: list[bool] = []
    inbox = receiver("+uf")
    archive = Archive(slowly(study, cancelled), inbox.port)
    code, out, err = ask(tool, archive.app, *KEYS, "--cancel", 2, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [record["status"] for record in records] == ["0xFF00", "0xFF00", "0xFE00"]
    assert cancelled == [True]
    assert records[-1]["completed"] >= 2
    assert [type(error) for error in archive.ended] == [AssociationReleased]


def test_cancelled_by_the_peer(tool: Tool) -> None:
    code, out, err = ask(tool, Archive(lambda request: Status.CANCEL, 9).app, *KEYS)
    assert (code, out) == (1, "")
    assert err == "dicomio movescu: PEER: C-MOVE to MOVESCU ended with 0xFE00 Cancelled: 0 completed, 0 failed\n"


def test_the_first_failure_ends_it(tool: Tool, tmp_path: Path) -> None:
    """Query files are asked one after the other."""
    archive = Archive(lambda request: Status.CANCEL, 9)
    files = [write_query(tmp_path / f"{number}.dcm", query("STUDY", StudyInstanceUID="1")) for number in range(2)]
    assert ask(tool, archive.app, *files).code == 1
    assert len(archive.asked) == 1


def test_interrupted(tool: Tool, receiver: Receive, study: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[bool] = []
    archive = Archive(slowly(study, cancelled), receiver().port)

    def words_for(progress: Progress) -> str:
        interrupt()
        return "interrupted now"

    monkeypatch.setattr(retrieving, "words_for", words_for)
    assert ask(tool, archive.app, *KEYS) == (130, "", "dicomio movescu: interrupted\n")
    assert cancelled == [True]
    assert [type(error) for error in archive.ended] == [AssociationReleased]


def test_interrupted_while_objects_come(tool: Tool, study: list[Path], tmp_path: Path) -> None:
    cancelled: list[bool] = []

    async def handler(request: RetrieveRequest) -> AsyncIterator[Path]:
        try:
            yield study[0]
            interrupt()
            await asyncio.Event().wait()
        finally:
            cancelled.append(request.cancelled)

    assert receive(tool, handler, "-od", tmp_path) == (130, "", "dicomio movescu: interrupted\n")
    assert cancelled == [True]
    assert uids(sorted(tmp_path.iterdir())) in ([], uids(study[:1]))

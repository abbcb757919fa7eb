"""`dicomio findscu`: what is asked, how matches are shown, and how it ends."""

import asyncio
import json
import math
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    WORKLIST,
    Application,
    Association,
    AssociationAborted,
    AssociationReleased,
    FindRequest,
    Instance,
    Proposal,
    Refused,
    Status,
    dataset,
    query,
)
from dicomio.cli import matches, scu
from dicomio.cli.matches import columns_of, record_of
from dicomio.sop import (
    PATIENT_STUDY_ONLY,
    DeflatedExplicitVRLittleEndian,
    UnifiedProcedureStepPull,
)

from .conftest import Ran, Tool, header_of, interrupt, serving, write_query

KEYS = ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=D*", "-k", "PatientID", "-k", "StudyInstanceUID"]
FOUND = [
    dataset(PatientName="Doe^John", PatientID="1", StudyInstanceUID="1.2.1"),
    dataset(PatientName="Döe^Jane", PatientID="2", StudyInstanceUID="1.2.2"),
    dataset(PatientName="Dot", PatientID="", StudyInstanceUID=""),
]


class Catalogue:
    """A peer with matches.

    Attributes:
        asked: the identifiers that came.
        classes: their SOP classes.
        ended: why each association ended.
    """

    def __init__(self, found: Iterable[Dataset] = FOUND) -> None:
        self.found = found
        self.asked: list[Dataset] = []
        self.classes: list[str] = []
        self.ended: list[Exception | None] = []
        self.app = Application("PACS")
        self.app.find(STUDY_ROOT, PATIENT_ROOT, PATIENT_STUDY_ONLY, WORKLIST, UnifiedProcedureStepPull)(self.find)
        self.app.on_close(self.closed)

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        self.asked.append(request.identifier)
        self.classes.append(request.sop_class_uid)
        for match in self.found:
            yield match

    async def closed(self, association: Association) -> None:
        self.ended.append(association.ended)


def answering(handler: Callable[..., Any], ended: list[Exception | None] | None = None) -> Application:
    """A peer with a handler of its own; it notes why associations ended."""
    app = Application("PACS")
    app.find(STUDY_ROOT)(handler)

    @app.on_close
    async def closed(association: Association) -> None:
        if ended is not None:
            ended.append(association.ended)

    return app


def ask(tool: Tool, app: Application, *words: object) -> Ran:
    """Runs the command against a peer, which is called PEER in what it says."""
    with serving(app) as (server, _):
        peer = f"ANY-SCP@127.0.0.1:{server.port}"
        code, out, err = tool("findscu", "127.0.0.1", server.port, *words)
    return Ran(code, out, err.replace(peer, "PEER"))


def asked(tool: Tool, *words: object) -> Dataset:
    """The identifier that some arguments lead to."""
    catalogue = Catalogue([])
    with serving(catalogue.app) as (server, _):
        assert tool("findscu", "127.0.0.1", server.port, *words) == (0, "", "")
    (identifier,) = catalogue.asked
    return identifier


# showing


def test_matches_as_text(tool: Tool) -> None:
    code, out, err = ask(tool, Catalogue().app, *KEYS)
    assert (code, err) == (0, "")
    first, second, third, rest = out.split("\n\n")
    assert first == "QueryRetrieveLevel=STUDY\nPatientName=Doe^John\nPatientID=1\nStudyInstanceUID=1.2.1"
    assert "SpecificCharacterSet=ISO_IR 192\n" in second
    assert "PatientName=Döe^Jane\n" in second
    assert third.endswith("\nPatientID=\nStudyInstanceUID=")
    assert rest == ""


def test_matches_as_dicom_json(tool: Tool) -> None:
    code, out, err = ask(tool, Catalogue().app, *KEYS, "--json")
    assert (code, err) == (0, "")
    got = [Dataset.from_json(line) for line in out.splitlines()]
    for match, sent in zip(got, FOUND, strict=True):
        assert match == dataset(QueryRetrieveLevel="STUDY", **{element.keyword: element.value for element in sent})
    assert json.loads(out.splitlines()[0])["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^John"}]}


def test_json_is_unicode_and_has_finite_numbers() -> None:
    ds = dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Döe", RequestAttributesSequence=[{"Rows": 3}])
    ds.EventElapsedTimes = [1.5]
    ds.RealWorldValueIntercept = math.nan
    ds.RealWorldValueSlope = -math.inf
    ds.DoubleFloatPixelPaddingValue = math.inf
    record = record_of(ds)
    assert record["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert record["00400275"]["Value"] == [{"00280010": {"vr": "US", "Value": [3]}}]
    assert record["00089215" if "00089215" in record else "00082130"]["Value"] == [1.5]
    values = [record[tag]["Value"] for tag in ("00409224", "00409225")]
    assert values == [["NaN"], ["-Infinity"]]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the command take its output for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")


TABLE = """\
PatientName │ PatientID │ StudyInstanceUID
────────────┼───────────┼─────────────────
Doe^John    │ 1         │ 1.2.1
Döe^Jane    │ 2         │ 1.2.2
Dot         │           │
"""


@pytest.mark.usefixtures("terminal")
def test_table_on_a_terminal(tool: Tool) -> None:
    with serving(Catalogue().app) as (server, _):
        live = tool("findscu", "127.0.0.1", server.port, *KEYS)
        still = tool("findscu", "127.0.0.1", server.port, *KEYS, "--no-progress")
    assert still == (0, TABLE, "")
    assert (live.code, live.err) == (0, "")
    assert live.out.endswith(TABLE)
    assert "3 matches so far" in live.out


def test_what_is_told_stands_above_the_table(tmp_path: Path) -> None:
    master, slave = os.openpty()
    with serving(Catalogue().app) as (server, _):
        words = ["findscu", "127.0.0.1", str(server.port), *KEYS, "-od", str(tmp_path), "-v"]
        argv = [sys.executable, "-m", "dicomio", *words]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "60", "LINES": "20"}
        with subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
            os.close(slave)
            shown = b"".join(iter(lambda: read_terminal(master), b"")).decode().replace("\r\n", "\n")
    os.close(master)
    assert process.returncode == 0
    above, _, below = shown.rpartition(TABLE)
    assert [above.count(f"info: {tmp_path}/rsp000{number}.dcm\n") for number in (1, 2, 3)] == [1, 1, 1]
    assert "PatientName" not in below


def read_terminal(master: int) -> bytes:
    """What was shown on a terminal since the last time; nothing where its last user has gone."""
    try:
        return os.read(master, 65_536)
    except OSError:
        return b""


@pytest.mark.usefixtures("terminal")
def test_json_stays_json_on_a_terminal(tool: Tool) -> None:
    out = ask(tool, Catalogue().app, *KEYS, "--json").out
    assert [json.loads(line)["00100020"].get("Value") for line in out.splitlines()] == [["1"], ["2"], None]


@pytest.mark.usefixtures("terminal")
def test_many_matches_are_several_tables(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches, "PAGE", 2)
    out = ask(tool, Catalogue().app, *KEYS, "--no-progress").out
    first, second = out.split("PatientName")[1:]
    assert ("Jane" in first, "Dot" in first, "Dot" in second) == (True, False, True)


@pytest.mark.usefixtures("terminal")
def test_no_match_is_no_table(tool: Tool) -> None:
    assert ask(tool, Catalogue([]).app, *KEYS, "--no-progress") == (0, "", "")


@pytest.mark.usefixtures("terminal")
# What pydicom warns of is read all the same.
@pytest.mark.filterwarnings("default::UserWarning")
def test_table_shows_what_peers_say_and_does_not_obey(tool: Tool) -> None:
    found = [dataset(PatientName="[bold]\x1b[2J", PatientID="x" * 10_000, StudyInstanceUID="")]
    out = ask(tool, Catalogue(found).app, *KEYS, "--no-progress").out
    assert "[bold]" in out.replace("\n", "")
    assert "\x1b[2J" not in out
    assert out.count("x") < 1000
    assert "…" in out


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    "keys, row",
    [
        (["ScheduledProcedureStepSequence[0].Modality"], "CT"),
        (["ScheduledProcedureStepSequence"], "1"),
        ([], "1.2.3"),
    ],
)
def test_columns_are_the_keys(tool: Tool, keys: list[str], row: str) -> None:
    steps = [
        {"Modality": "CT", "ScheduledProcedureStepID": "1"},
        {"Modality": "MR", "ScheduledProcedureStepID": "2"},
    ]
    found = [dataset(StudyInstanceUID="1.2.3", ScheduledProcedureStepSequence=steps)]
    words = [word for key in ["SpecificCharacterSet", *keys] for word in ("-k", key)]
    out = ask(tool, Catalogue(found).app, "-W", *words, "--no-progress").out
    lines = [[cell.strip() for cell in line.split("│")] for line in out.splitlines()]
    assert row in [line[0] for line in lines[2:]]
    assert ("MR" in out) == (not keys or "Modality" in keys[0] or keys == ["ScheduledProcedureStepSequence"])


def test_columns_leave_out_what_every_match_has() -> None:
    identifier = query("STUDY", PatientName="Ä", RequestAttributesSequence={"StudyInstanceUID": ""})
    assert columns_of(identifier) == ["PatientName", "RequestAttributesSequence.StudyInstanceUID"]


@pytest.mark.usefixtures("terminal")
def test_match_without_anything(tool: Tool) -> None:
    code, _, err = ask(tool, Catalogue([Dataset()]).app, "-W", "-k", "SpecificCharacterSet")
    assert (code, err) == (0, "")


# files of matches


@pytest.mark.parametrize("words", [["-X"], ["-od", "here/below"], ["-X", "-od", "here"]])
def test_matches_as_files(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    directory = Path(words[words.index("-od") + 1]) if "-od" in words else tmp_path
    code, out, _ = ask(tool, Catalogue().app, *KEYS, *words)
    assert (code, out.count("PatientName=")) == (0, 3)
    paths = sorted(directory.glob("*"))
    assert [path.name for path in paths] == ["rsp0001.dcm", "rsp0002.dcm", "rsp0003.dcm"]
    assert [str(dcmread(path).PatientName) for path in paths] == ["Doe^John", "Döe^Jane", "Dot"]
    heads = [Instance.open(path) for path in paths]
    assert {head.sop_class_uid for head in heads} == {STUDY_ROOT.find}
    assert len({head.sop_instance_uid for head in heads}) == 3


def test_files_of_matches_are_query_files(tool: Tool, tmp_path: Path) -> None:
    catalogue = Catalogue()
    with serving(catalogue.app) as (server, _):
        tool("findscu", "127.0.0.1", server.port, *KEYS, "-od", tmp_path, "--cancel", 2)
        code, _, err = tool("findscu", "127.0.0.1", server.port, *sorted(tmp_path.glob("*")), "-k", "PatientID=7")
    assert (code, err) == (0, "")
    assert [(ds.PatientName, ds.PatientID) for ds in catalogue.asked[1:]] == [("Doe^John", "7"), ("Döe^Jane", "7")]
    assert len(catalogue.ended) == 2


def test_directory_that_cannot_be_made(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, out, err = tool("findscu", "127.0.0.1", 9, *KEYS, "-od", tmp_path / "file" / "below")
    assert (code, out) == (2, "")
    assert err == f"dicomio findscu: {tmp_path / 'file' / 'below'}: Not a directory\n"


# what is asked


@pytest.mark.parametrize(
    "words, sop_class",
    [
        (["-k", "QueryRetrieveLevel=STUDY"], STUDY_ROOT.find),
        (["-k", "QueryRetrieveLevel=PATIENT"], PATIENT_ROOT.find),
        (["-S", "-k", "QueryRetrieveLevel=STUDY"], STUDY_ROOT.find),
        (["-P", "-k", "QueryRetrieveLevel=STUDY"], PATIENT_ROOT.find),
        (["--psonly", "-k", "QueryRetrieveLevel=STUDY"], PATIENT_STUDY_ONLY.find),
        (["-W", "-k", "PatientName"], WORKLIST.find),
        (["-U", "-k", "PatientName"], UnifiedProcedureStepPull),
        (["-W", "-P", "-k", "QueryRetrieveLevel=PATIENT"], PATIENT_ROOT.find),
    ],
)
def test_query_models(tool: Tool, words: list[str], sop_class: str) -> None:
    catalogue = Catalogue([])
    assert ask(tool, catalogue.app, *words) == (0, "", "")
    assert catalogue.classes == [sop_class]
    assert [type(error) for error in catalogue.ended] == [AssociationReleased]


@pytest.mark.parametrize(
    "words, warning",
    [
        ([], "the query has no Query/Retrieve Level; Study Root knows STUDY, SERIES, IMAGE"),
        (["-O", "-k", "QueryRetrieveLevel=IMAGE"], "the query has Query/Retrieve Level 'IMAGE'; Patient/Study Only"),
    ],
)
def test_levels_that_the_peer_will_not_like(tool: Tool, words: list[str], warning: str) -> None:
    code, out, err = ask(tool, Catalogue([]).app, "-k", "PatientName", *words)
    assert (code, out) == (1, "")
    said, reason = err.splitlines()
    assert said.startswith(f"warning: {warning}")
    assert reason.startswith("dicomio findscu: PEER answered C-FIND with 0xA900")


def test_keys_go_into_each_query_file(tool: Tool, tmp_path: Path) -> None:
    steps = [{"Modality": "CT"}]
    files = [
        write_query(
            tmp_path / f"{number}.dcm",
            query("STUDY", PatientID=str(number), StudyDate="20200101", RequestAttributesSequence=steps),
        )
        for number in (1, 2)
    ]
    keys = ["-k", "StudyDate=2021-", "-k", "StudyID", "-k", "RequestAttributesSequence[0].StudyInstanceUID=1.2"]
    catalogue = Catalogue([])
    assert ask(tool, catalogue.app, *files, *keys) == (0, "", "")
    steps = [{"Modality": "CT", "StudyInstanceUID": "1.2"}]
    assert catalogue.asked == [
        query("STUDY", PatientID=number, StudyDate="2021-", StudyID="", RequestAttributesSequence=steps)
        for number in ("1", "2")
    ]
    assert len(catalogue.ended) == 1


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "No such file or directory"),
        (b"PatientName=X", "it is not a DICOM file"),
        (b"", "it is not a DICOM file"),
        (header_of(DeflatedExplicitVRLittleEndian) + b"not deflated", "it cannot be decoded"),
    ],
)
def test_unreadable_query_files(tool: Tool, tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "query.dcm"
    if content is not None:
        path.write_bytes(content)
    code, out, err = tool("findscu", "127.0.0.1", 9, path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"dicomio findscu: {path}: {words}")


def test_query_file_that_cannot_be_sent(tool: Tool, sample: Callable[[str], Path]) -> None:
    code, out, err = tool("findscu", "127.0.0.1", 9, sample("SC_rgb_jpeg_dcmtk.dcm"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("dicomio findscu: the query cannot be sent: the Pixel Data are compressed")


@pytest.mark.parametrize(
    "words, reason",
    [
        ([], "there is nothing to ask for: give keys with -k, or query files"),
        (
            ["-k", "PatientNane=x"],
            "PatientNane is not a keyword of the DICOM data dictionary; did you mean PatientName?",
        ),
        (["-k", "10,10=x"], "'10,10' is no path to an element"),
        (["-k", "Rows=x"], "option -k: 'x' is no value for Rows (US)"),
        (["-k", "Modality[0]"], "option -k: Modality is no sequence"),
        (["-k"], "option -k needs a value"),
        (["-k", "PatientID=\udcff"], "option -k: PatientID: '\\\\udcff' cannot be written in ISO_IR 192"),
        (["-k", "PatientID", "--cancel", "0"], "--cancel"),
        (["-k", "PatientID", "-aem", "X"], "there is no option -aem"),
        (["-k", "PatientID", "--repeat", "2"], "there is no option --repeat"),
        (["-k", "PatientID", "-Xx"], "there is no option -Xx"),
    ],
)
def test_wrong_usage(tool: Tool, words: list[str], reason: str) -> None:
    code, out, err = tool("findscu", "127.0.0.1", 9, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err


# character sets


def test_texts_beyond_ascii_are_unicode(tool: Tool) -> None:
    identifier = asked(tool, *KEYS, "-k", "PatientName=Große^*")
    assert (identifier.SpecificCharacterSet, identifier.PatientName) == ("ISO_IR 192", "Große^*")


def test_declared_character_set_is_used(tool: Tool) -> None:
    identifier = asked(tool, *KEYS, "-k", "SpecificCharacterSet=ISO_IR 100", "-k", "PatientName=Große^*")
    assert (identifier.SpecificCharacterSet, identifier.PatientName) == ("ISO_IR 100", "Große^*")


@pytest.mark.parametrize("declared", ["ISO_IR 100", "ISO_IR 9999"])
def test_what_a_character_set_does_not_have(tool: Tool, declared: str) -> None:
    code, out, err = tool(
        "findscu", "127.0.0.1", 9, *KEYS, "-k", f"SpecificCharacterSet={declared}", "-k", "PatientName=山田"
    )
    assert (code, out) == (2, "")
    assert err == f"dicomio findscu: option -k: PatientName: '山田' cannot be written in {declared}\n"


def test_texts_of_query_files_survive_another_character_set(tool: Tool, tmp_path: Path) -> None:
    identifier = query("STUDY", SpecificCharacterSet="ISO_IR 100", PatientName="Große^*", StudyDescription="é")
    path = write_query(tmp_path / "query.dcm", identifier)
    got = asked(tool, path, "-k", "SpecificCharacterSet=ISO_IR 192", "-k", "PatientName=山田")
    assert (got.PatientName, got.StudyDescription) == ("山田", "é")


# how it ends


async def endless(request: FindRequest) -> AsyncIterator[Dataset]:
    """Matches for as long as somebody wants them."""
    while True:
        yield FOUND[0]


@pytest.mark.parametrize("number", [1, 40])
def test_cancel_after_so_many(tool: Tool, number: int) -> None:
    cancelled: list[bool] = []
    ended: list[Exception | None] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        try:
            while True:
                yield FOUND[0]
        finally:
            cancelled.append(request.cancelled)

    code, out, err = ask(tool, answering(find, ended), *KEYS, "--cancel", number)
    assert (code, err) == (0, "")
    assert out.count("PatientName=") == number
    assert cancelled == [True]
    assert [type(error) for error in ended] == [AssociationReleased]


@pytest.mark.parametrize("number", [3, 4])
def test_cancel_after_the_end(tool: Tool, number: int) -> None:
    code, out, err = ask(tool, Catalogue().app, *KEYS, "--cancel", number)
    assert (code, out.count("PatientName="), err) == (0, 3, "")


def test_every_query_is_cancelled_for_itself(tool: Tool, tmp_path: Path) -> None:
    files = [write_query(tmp_path / f"{number}.dcm", query("STUDY", PatientName="")) for number in range(3)]
    code, out, err = ask(tool, answering(endless), *files, "--cancel", 2)
    assert (code, out.count("PatientName="), err) == (0, 6, "")


@pytest.mark.parametrize(
    "status, words",
    [
        (0xA700, "answered C-FIND with 0xA700 Out of resources: no room"),
        (0xC123, "answered C-FIND with 0xC123"),
        (0xA900, "answered C-FIND with 0xA900"),
    ],
)
def test_failures_of_the_peer(tool: Tool, status: int, words: str) -> None:
    ended: list[Exception | None] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield FOUND[0]
        raise Refused(status, "no room")

    code, out, err = ask(tool, answering(find, ended), *KEYS)
    assert (code, out.count("PatientName="), err.count("\n")) == (1, 1, 1)
    assert err.startswith(f"dicomio findscu: PEER {words}")
    assert [type(error) for error in ended] == [AssociationReleased]


@pytest.mark.parametrize("status", [Status.CANCEL, 0xB001])
def test_ends_that_are_neither_success_nor_failure(tool: Tool, status: int, tmp_path: Path) -> None:
    calls: list[FindRequest] = []

    async def find(request: FindRequest) -> int:
        calls.append(request)
        return status

    files = [write_query(tmp_path / f"{number}.dcm", query("STUDY", PatientName="")) for number in range(2)]
    code, out, err = ask(tool, answering(find), *files)
    assert (code, out) == (1, "")
    assert err == f"dicomio findscu: PEER: C-FIND ended with {Status(status)}\n"
    assert len(calls) == 1


def test_peer_that_aborts(tool: Tool) -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield FOUND[0]
        request.association.abort()

    code, out, err = ask(tool, answering(find), *KEYS)
    assert (code, out.count("PatientName="), err.count("\n")) == (1, 1, 1)
    assert err.startswith("dicomio findscu: PEER aborted")


def test_peer_that_does_not_answer(tool: Tool) -> None:
    async def find(request: FindRequest) -> None:
        await asyncio.Event().wait()

    code, out, err = ask(tool, answering(find), *KEYS, "-td", "0.2")
    assert (code, out) == (1, "")
    assert err == "dicomio findscu: PEER: no response within 0.2 s\n"


def test_peer_without_the_query_model(tool: Tool) -> None:
    code, out, err = ask(tool, answering(endless), "-P", *KEYS)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"no presentation context accepted for SOP class {PATIENT_ROOT.find}" in err
    assert "PEER" in err


def test_verbose_tells_how_it_ended(tool: Tool) -> None:
    err = ask(tool, Catalogue().app, *KEYS, "-v").err
    assert "info: PEER: 3 matches, 0x0000 Success\n" in err
    err = ask(tool, Catalogue().app, *KEYS, "-v", "--cancel", "1").err
    assert "info: PEER: 1 match, 0x" in err


# interrupts


def test_interrupted(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[bool] = []
    ended: list[Exception | None] = []

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield FOUND[0]
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(request.cancelled)

    def record(match: Dataset) -> dict[str, Any]:
        interrupt()
        return {"match": 1}

    monkeypatch.setattr(matches, "record_of", record)

    code, out, err = ask(tool, answering(find, ended), *KEYS, "--json")
    assert (code, out, err) == (130, '{"match": 1}\n', "dicomio findscu: interrupted\n")
    assert cancelled == [True]
    assert [type(error) for error in ended] == [AssociationReleased]


def test_interrupted_with_a_peer_that_does_not_end_it(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scu, "GRACE", 0.1)
    ended: list[Exception | None] = []
    over = asyncio.Event()

    async def find(request: FindRequest) -> None:
        interrupt()
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    app = answering(find)

    @app.on_close
    async def closed(association: Association) -> None:
        ended.append(association.ended)
        over.set()

    assert ask(tool, app, *KEYS) == (130, "", "dicomio findscu: interrupted\n")
    assert [type(error) for error in ended] == [AssociationAborted]


def test_interrupted_while_connecting(tool: Tool) -> None:
    app, over = Application("PACS"), asyncio.Event()

    @app.on_associate
    async def screen(proposal: Proposal) -> None:
        interrupt()
        await over.wait()

    @app.on_close
    async def closed(association: Association) -> None:
        over.set()

    assert ask(tool, app, *KEYS) == (130, "", "dicomio findscu: interrupted\n")

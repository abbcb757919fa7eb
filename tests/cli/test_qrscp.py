"""`dicomio qrscp`: what is stored is found and retrieved, by our own tools, and is there after a restart."""

import asyncio
import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomio import Application, Client, CommitmentResult, Instance, Status, StorageCommitment, connect, dataset, serve
from dicomio.sop import Verification

from .conftest import Ran, Receive, Tool, free_port, write_query
from .servers import running

Sample = Callable[[str], Path]

NAMES = ("CT_small.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm")
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
KEYS = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")


def matches(tool: Tool, port: int, *words: object) -> list[dict[str, Any]]:
    """What `findscu` finds."""
    code, out, err = tool("findscu", "127.0.0.1", port, "--json", *words)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def every_study(tool: Tool, port: int) -> set[str]:
    """The patients of all studies."""
    found = matches(tool, port, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "PatientID")
    return {match["00100020"]["Value"][0] for match in found}


def test_stored_found_got_and_moved(tool: Tool, receiver: Receive, sample: Sample, tmp_path: Path) -> None:
    sent = Instance.open(sample("CT_small.dcm"))
    destination = receiver()
    peer = f"STORE=127.0.0.1:{destination.port}"
    with running("qrscp", 0, "-od", tmp_path / "archive", "--peer", peer, "-aet", "PACS") as server:
        for name in NAMES:
            assert tool("storescu", "127.0.0.1", server.port, sample(name)).code == 0
        assert every_study(tool, server.port) == {"1CT1", "4MR1", "ID1"}
        assert tool("getscu", "127.0.0.1", server.port, *KEYS, "-od", tmp_path / "got").code == 0
        assert tool("movescu", "127.0.0.1", server.port, *KEYS, "-aem", "STORE").code == 0
    (got,) = (tmp_path / "got").iterdir()
    (moved,) = destination.files
    for path in (got, moved):
        assert Instance.open(path).read() == sent.read()


def test_destinations_that_are_not_peers(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    with running("qrscp", 0, "-od", tmp_path / "archive") as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
        code, _, err = tool("movescu", "127.0.0.1", server.port, *KEYS, "-aem", "NOBODY")
    assert code == 1
    assert "0xA801" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_objects_are_there_after_a_restart(tool: Tool, sample: Sample, tmp_path: Path, number: signal.Signals) -> None:
    with running("qrscp", 0, "-od", tmp_path / "archive") as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
        assert server.stop(number) == 0
    with running("qrscp", 0, "-od", tmp_path / "archive") as server:
        assert every_study(tool, server.port) == {"1CT1"}
        assert tool("getscu", "127.0.0.1", server.port, *KEYS, "-od", tmp_path / "got").code == 0
    assert len(list((tmp_path / "got").iterdir())) == 1


def test_archive_in_the_current_directory_by_default(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    with running("qrscp", 0, directory=tmp_path) as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert [path.read_bytes()[128:132] for path in tmp_path.rglob("*.dcm")] == [b"DICM"]


def test_each_object_is_told(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    """What was stored is a result; what was not is none."""
    with (tmp_path / "out").open("wb") as out:
        with running("qrscp", 0, "-od", tmp_path / "archive", "--json", "-v", stdout=out) as server:
            assert tool("echoscu", "127.0.0.1", server.port).code == 0
            assert tool("storescu", "-nh", "127.0.0.1", server.port, *map(sample, NAMES[:2])).code == 0
    records = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    sent = [Instance.open(sample(name)) for name in NAMES[:2]]
    for record, instance in zip(records, sent, strict=True):
        assert record.pop("peer").startswith("STORESCU@127.0.0.1:")
        assert record == {
            "sop_class_uid": instance.sop_class_uid,
            "sop_instance_uid": instance.sop_instance_uid,
            "transfer_syntax_uid": instance.transfer_syntax,
        }
    assert [line for line in server.said if f"{sent[0].sop_instance_uid} stored" in line]


def test_index_elsewhere(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    index = tmp_path / "elsewhere.sqlite"
    with running("qrscp", 0, "-od", tmp_path / "archive", "--index", f"sqlite:///{index}") as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
        assert every_study(tool, server.port) == {"1CT1"}
    assert not list((tmp_path / "archive").glob("*.sqlite"))
    with sqlite3.connect(index) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert tables


def scheduled(patient: str, modality: str) -> Dataset:
    """A worklist entry."""
    return dataset(
        PatientID=patient,
        PatientName=f"{patient}^P",
        StudyInstanceUID="1.2.3",
        ScheduledProcedureStepSequence=[
            {"Modality": modality, "ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20240102"}
        ],
    )


def test_worklist(tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "worklist"
    folder.mkdir()
    for number, modality in enumerate(("CT", "MR", "CT")):
        write_query(folder / f"{number}.dcm", scheduled(f"P{number}", modality))
    key = "ScheduledProcedureStepSequence[0].Modality=CT"
    with running("qrscp", 0, "-od", tmp_path / "archive", "--worklist", folder) as server:
        found = matches(tool, server.port, "-W", "-k", key, "-k", "PatientID")
    assert sorted(match["00100020"]["Value"][0] for match in found) == ["P0", "P2"]


async def committed(port: int, port_of_ours: int, instances: Sequence[Instance]) -> CommitmentResult:
    """What an archive commits to of some objects; it reports when the association of the request is over."""
    app = Application("ME")
    commitment = StorageCommitment(app)
    named = [(instance.sop_class_uid, instance.sop_instance_uid) for instance in instances]
    async with serve(app, "127.0.0.1", port_of_ours), asyncio.timeout(20):
        async with Client(f"QRSCP@127.0.0.1:{port}", ae_title="ME") as client:
            transaction = await commitment.request(client, named)
        return await transaction.result()


def test_storage_commitment_reports_to_a_peer(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    ours = free_port()
    with running("qrscp", 0, "-od", tmp_path / "archive", "--peer", f"ME=127.0.0.1:{ours}") as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
        instances = [Instance.open(sample(name)) for name in NAMES[:2]]
        result = asyncio.run(committed(server.port, ours, instances))
    assert (len(result.committed), list(result.failed.values())) == (1, [Status.NO_SUCH_SOP_INSTANCE])


def test_workers_share_one_archive(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    with running("qrscp", 0, "-od", tmp_path / "archive", "--workers", 2) as server:
        for name in NAMES:
            assert tool("storescu", "127.0.0.1", server.port, sample(name)).code == 0
        for _ in range(4):
            assert every_study(tool, server.port) == {"1CT1", "4MR1", "ID1"}
        assert server.stop() == 0


async def echo_meanwhile(tool: Tool, port: int) -> Ran:
    """Asks for a sign of life while another association stands."""
    async with connect(f"QRSCP@127.0.0.1:{port}", contexts=[Verification]):
        return await asyncio.to_thread(tool, "echoscu", "127.0.0.1", port)


def test_more_associations_than_admitted(tool: Tool, tmp_path: Path) -> None:
    with running("qrscp", 0, "-od", tmp_path / "archive", "--max-associations", 1) as server:
        code, _, err = asyncio.run(echo_meanwhile(tool, server.port))
    assert code == 1
    assert "local limit exceeded" in err


@pytest.mark.parametrize(
    "words, text",
    [
        (["--peer", "STORE"], "'STORE' is not AET=HOST:PORT"),
        (["--peer", "STORE=host:x"], "--peer"),
        (["--peer", "SEVENTEEN-LETTERS=host:1"], "--peer"),
        (["--worklist", "no-such-directory"], "no-such-directory is not a directory"),
        (["-od", "/dev/null/archive"], "Not a directory"),
        (["70000"], "port 70000 is not between 0 and 65535"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_wrong_usage(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], text: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = tool("qrscp", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err


def test_port_that_is_taken(tool: Tool, tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]
        code, out, err = tool("qrscp", port, "-od", tmp_path)
    assert (code, out) == (1, "")
    assert err.startswith(f"dicomio qrscp: cannot listen on port {port}: ")


def test_destination_that_does_not_answer(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    peer = f"GONE=127.0.0.1:{free_port()}"
    with running("qrscp", 0, "-od", tmp_path / "archive", "--peer", peer) as server:
        assert tool("storescu", "127.0.0.1", server.port, sample("CT_small.dcm")).code == 0
        code, out, _ = tool("movescu", "127.0.0.1", server.port, *KEYS, "-aem", "GONE")
    assert code == 1
    assert f"failed: {Instance.open(sample('CT_small.dcm')).sop_instance_uid}" in out

"""The programs that the public API was drawn up for, run as they stand."""

import asyncio
import runpy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom import Dataset, dcmread

import dicomio
from dicomio import Status, dataset, query
from dicomio.matching import matches, project
from dicomio.sop import ModalityPerformedProcedureStep as MPPS
from tests.examples.conftest import Archive, Pacs, Redirect, served

PROGRAMS = Path(__file__).parent / "tasks"


def run_program(name: str) -> dict[str, Any]:
    """Runs a program that calls `asyncio.run`, in a thread of the test's choosing."""
    return runpy.run_path(str(PROGRAMS / name), run_name="__main__")


async def test_01_echo(archive: Archive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.to_thread(run_program, "01_echo.py")
    assert 0 < float(capsys.readouterr().out) < 10


async def test_02_store_one(archive: Archive, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ct.dcm").write_bytes(ct.read_bytes())
    await asyncio.to_thread(run_program, "02_store_one.py")
    assert [path.name for path in archive.saved] == ["0.dcm"]
    assert await data_set(archive.saved[0]) == await data_set(ct)


async def test_03_store_folder(
    archive: Archive,
    ct: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study" / "series").mkdir(parents=True)
    for name in ("a.dcm", "b.dcm", "series/c.dcm"):
        (tmp_path / "study" / name).write_bytes(ct.read_bytes())
    (tmp_path / "study" / "notes.txt").write_text("not DICOM")
    names = await asyncio.to_thread(run_program, "03_store_folder.py")
    assert len(archive.saved) == 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("4/4 ")
    assert sum("0x0000 Success" in line for line in lines) == 3
    assert sum("notes.txt: failed" in line for line in lines) == 1
    assert callable(names["main"])


async def test_04_find(pacs: Pacs, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(run_program, "04_find.py")
    assert capsys.readouterr().out.splitlines() == [f"1.2.{number}" for number in range(100)]
    assert pacs.closed


async def test_05_move(pacs: Pacs, archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(run_program, "05_move.py")
    assert capsys.readouterr().out.splitlines() == ["1/2", "0x0000 Success []"]
    assert [await data_set(path) for path in archive.saved] == [await data_set(path) for path in pacs.files]


async def test_06_get(pacs: Pacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await asyncio.to_thread(run_program, "06_get.py")
    for sent in pacs.files:
        uid = (await asyncio.to_thread(dicomio.Instance.open, sent)).sop_instance_uid
        assert await data_set(tmp_path / f"{uid}.dcm") == await data_set(sent)


async def test_07_normalized(redirect: Redirect) -> None:
    steps: dict[str, list[str]] = {}
    ris = dicomio.Application("RIS")

    @ris.n_create(MPPS)
    async def create(request: dicomio.CreateRequest) -> None:
        assert request.peer.ae_title == "ME"
        steps[request.sop_instance_uid] = [request.attributes.PerformedProcedureStepStatus]

    @ris.n_set(MPPS)
    async def update(request: dicomio.SetRequest) -> None:
        steps[request.sop_instance_uid].append(request.modifications.PerformedProcedureStepStatus)

    async with dicomio.serve(ris, "127.0.0.1", 0) as server:
        redirect.port = server.port
        await asyncio.to_thread(run_program, "07_normalized.py")
    assert list(steps.values()) == [["IN PROGRESS", "COMPLETED"]]


class TestScp:
    """08_scp.py"""

    @pytest.fixture
    def index(self) -> dict[Path, Dataset]:
        """What the program finds: data sets by the path of their files."""
        return {}

    @pytest.fixture
    async def client(
        self, archive: Archive, index: dict[Path, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[dicomio.Client]:
        """Of the program, which knows the archive of the test as a destination."""
        monkeypatch.chdir(tmp_path)
        module = ModuleType("archive")
        vars(module).update(
            find_rows=lambda wanted: [project(wanted, ds) for ds in index.values() if matches(wanted, ds)],
            find_paths=lambda wanted: [path for path, ds in index.items() if matches(wanted, ds)],
            steps={},
        )
        monkeypatch.setitem(sys.modules, "archive", module)
        async with served(runpy.run_path(str(PROGRAMS / "08_scp.py"))["app"]) as client:
            yield client

    async def test_stores_finds_and_sends(
        self, client: dicomio.Client, index: dict[Path, Dataset], archive: Archive, ct: Path, tmp_path: Path
    ) -> None:
        assert (await client.store(ct)).status == Status.SUCCESS
        (saved,) = (tmp_path / "inbox").iterdir()
        index[saved] = await asyncio.to_thread(dcmread, saved)
        (found,) = await client.find(query("STUDY", PatientID="1CT1", StudyInstanceUID=""))
        study = query("STUDY", StudyInstanceUID=found.StudyInstanceUID)
        async with client.get(study) as instances:
            (got,) = [await instance.read() async for instance in instances]
        assert (await client.move(study, to="WORKSTATION")).completed == 1
        (moved,) = archive.saved
        assert await data_set(saved) == got == await data_set(moved) == await data_set(ct)

    async def test_keeps_procedure_steps(self, client: dicomio.Client) -> None:
        await client.n_create(MPPS, "1.2.3", dataset(PerformedProcedureStepStatus="IN PROGRESS"))
        with pytest.raises(dicomio.StatusError) as refusal:
            await client.n_create(MPPS, "1.2.3", dataset(PerformedProcedureStepStatus="IN PROGRESS"))
        assert refusal.value.status == Status.DUPLICATE_SOP_INSTANCE
        step = await client.n_set(MPPS, "1.2.3", dataset(PerformedProcedureStepStatus="COMPLETED"))
        assert step.PerformedProcedureStepStatus == "COMPLETED"


async def test_10_embedded_in_a_web_application(redirect: Redirect, ct: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = runpy.run_path(str(PROGRAMS / "10_embed.py"))
    saved: list[Any] = []

    async def save(ds: Any) -> None:
        saved.append(ds)

    web = names["web"]
    web.state.save = save
    redirect.listening = asyncio.get_running_loop().create_future()
    async with web.router.lifespan_context(web):
        redirect.port = await redirect.listening
        async with dicomio.Client("ARCHIVE@anywhere:11112") as client:
            await client.store(ct)
    assert saved[0].PatientName == "CompressedSamples^CT1"


async def test_11_a_test_with_both_sides_in_memory(ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ct.dcm").write_bytes(ct.read_bytes())
    await runpy.run_path(str(PROGRAMS / "11_test_fixture.py"))["test_store"]()


async def test_12_cancel_and_timeouts(pacs: Pacs) -> None:
    await asyncio.to_thread(run_program, "12_cancel_timeouts.py")
    assert pacs.closed
    assert pacs.echoes == 1


async def data_set(path: Path) -> bytes:
    """The encoded data set in a DICOM file."""
    return await asyncio.to_thread(lambda: dicomio.Instance.open(path).read())

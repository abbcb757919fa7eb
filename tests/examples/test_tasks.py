"""The programs that the public API was drawn up for, run as they stand."""

import asyncio
import runpy
from pathlib import Path
from typing import Any

import pytest

import dicomio
from dicomio import Application
from dicomio.testing import connected
from tests.examples.conftest import Archive, Redirect

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


async def test_08_the_store_part_of_an_scp(
    redirect: Redirect, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app: Application = runpy.run_path(str(PROGRAMS / "08_scp_store.py"))["app"]
    async with connected(app) as association:
        response = await association.store(ct)
        assert response.status == dicomio.Status.SUCCESS
    saved = list((tmp_path / "inbox").iterdir())
    assert len(saved) == 1
    assert await data_set(saved[0]) == await data_set(ct)


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


async def data_set(path: Path) -> bytes:
    """The encoded data set in a DICOM file."""
    return await asyncio.to_thread(lambda: dicomio.Instance.open(path).read())

"""The programs in examples/ do what their first line says."""

import asyncio
import runpy
from pathlib import Path
from typing import Any

import pytest

import dicomio
from dicomio import Application
from dicomio.testing import connected
from tests.examples.conftest import Archive, Redirect

EXAMPLES = Path(__file__).parents[2] / "examples"


def names(program: str) -> dict[str, Any]:
    """What a program defines."""
    return runpy.run_path(str(EXAMPLES / program))


async def test_echo(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    await names("echo.py")["main"]("ARCHIVE@localhost:11112")
    assert " ms" in capsys.readouterr().out


async def test_echo_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="Connection refused"):
        await names("echo.py")["main"]("ARCHIVE@127.0.0.1:9")


async def test_storage_scp_files_by_study(ct: Path, tmp_path: Path) -> None:
    app: Application = names("storage_scp.py")["storage_scp"](tmp_path / "inbox")
    async with connected(app) as association:
        await association.store(ct)
    while app.background:
        await asyncio.wait(app.background)
    (stored,) = (path for path in (tmp_path / "inbox").rglob("*") if path.is_file())
    sent, got = await asyncio.to_thread(lambda: (dicomio.Instance.open(ct), dicomio.Instance.open(stored)))
    study = (await asyncio.to_thread(sent.dataset)).StudyInstanceUID
    assert stored == tmp_path / "inbox" / study / f"{sent.sop_instance_uid}.dcm"
    assert await asyncio.to_thread(got.read) == await asyncio.to_thread(sent.read)


async def test_store_folder(archive: Archive, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study" / "series").mkdir(parents=True)
    for name in ("1.dcm", "series/2.dcm"):
        (tmp_path / "study" / name).write_bytes(ct.read_bytes())
    assert await names("store_folder.py")["main"]("ARCHIVE@localhost:11112", str(tmp_path / "study")) == 0
    assert len(archive.saved) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith("2/2 ")


async def test_pass_on(archive: Archive, ct: Path) -> None:
    app: Application = names("pass_on.py")["pass_on"]("ARCHIVE@localhost:11112")
    async with connected(app) as association:
        assert (await association.store(ct)).status == 0
    (passed,) = archive.saved
    sent, got = await asyncio.to_thread(lambda: (dicomio.Instance.open(ct), dicomio.Instance.open(passed)))
    assert await asyncio.to_thread(got.read) == await asyncio.to_thread(sent.read)


async def test_web(redirect: Redirect, ct: Path) -> None:
    found = names("web.py")
    redirect.listening = asyncio.get_running_loop().create_future()
    async with found["web"].router.lifespan_context(found["web"]):
        redirect.port = await redirect.listening
        async with dicomio.Client("ARCHIVE@localhost:11112") as client:
            await client.store(ct)
        assert len(await found["instances"]()) == 1

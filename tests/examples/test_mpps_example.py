"""examples/mpps.py does what its first line says."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import dicomio
from dicomio import StatusError
from tests.examples.conftest import Archive
from tests.examples.programs import names


@pytest.fixture
def program() -> dict[str, Any]:
    return names("mpps.py")


@pytest.fixture
def study(ct: Path, mr: Path, tmp_path: Path) -> Path:
    """A folder with two files."""
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.copy(ct, folder / "1.dcm")
    shutil.copy(mr, folder / "2.dcm")
    return folder


@pytest.fixture
async def ris(program: dict[str, Any]) -> AsyncIterator[str]:
    """The address of the program that listens."""
    async with dicomio.serve(program["ris"](), "127.0.0.1", 0) as server:
        yield f"RIS@127.0.0.1:{server.port}"


async def test_tells_what_it_sends(
    program: dict[str, Any], ris: str, study: Path, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert archive.server is not None
    await program["send"](ris, f"PACS@127.0.0.1:{archive.server.port}", str(study))
    assert len(archive.saved) == 2
    assert capsys.readouterr().out.splitlines() == [
        "CT1: CompressedSamples^CT1 IN PROGRESS, 0 images",
        "CT1: CompressedSamples^CT1 COMPLETED, 2 images",
    ]


async def test_tells_when_it_fails(
    program: dict[str, Any], ris: str, study: Path, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert archive.server is not None

    @archive.app.middleware
    async def refuse_the_second(request: dicomio.Request, call_next: Any) -> Any:
        if archive.saved:
            raise dicomio.Refused(dicomio.Status.OUT_OF_RESOURCES, "full")
        return await call_next(request)

    with pytest.raises(StatusError, match="full"):
        await program["send"](ris, f"PACS@127.0.0.1:{archive.server.port}", str(study))
    assert capsys.readouterr().out.splitlines()[-1] == "CT1: CompressedSamples^CT1 DISCONTINUED, 1 images"

"""print_images.py prints, on the printer of print_scp.py."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

import dicomio
from dicomio import Application, Status, print_session
from tests.examples.conftest import served
from tests.examples.programs import names


@pytest.fixture
def printer(tmp_path: Path) -> Application:
    app: Application = names("print_scp.py")["print_scp"](tmp_path / "films")
    return app


@pytest.fixture
async def address(printer: Application) -> AsyncIterator[str]:
    """Where the printer listens."""
    async with dicomio.serve(printer, "127.0.0.1", 0) as server:
        yield f"PRINTER@127.0.0.1:{server.port}"


async def test_prints(address: str, ct: Path, mr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await names("print_images.py")["main"](address, [str(ct)] * 6 + [str(mr)])
    assert capsys.readouterr().out.splitlines() == ["printer: NORMAL", "6 images: DONE", "1 images: DONE"]
    films = sorted(path.relative_to(tmp_path / "films") for path in (tmp_path / "films").rglob("*.pgm"))
    assert sorted(film.name for film in films) == ["1.pgm", "1.pgm", "2.pgm", "3.pgm", "4.pgm", "5.pgm", "6.pgm"]
    assert len({film.parts[0] for film in films}) == 2


async def test_what_it_prints(printer: Application, mr: Path, tmp_path: Path) -> None:
    sent = await asyncio.to_thread(dcmread, mr)
    async with served(printer) as client, print_session(client) as session, session.film_box() as film:
        await film.image(1, sent, bits=12)
        job = await film.print()
        assert job is not None
        await job.finished()
    (path,) = (tmp_path / "films").rglob("*.pgm")
    header, pixels = path.read_bytes().split(b"\n", 1)
    assert header == b"P5 64 64 4095"
    low, high = sent.WindowCenter - sent.WindowWidth / 2, sent.WindowCenter + sent.WindowWidth / 2
    expected = ((sent.pixel_array - low) / (high - low)).clip(0, 1) * 4095
    assert np.abs(np.frombuffer(pixels, ">u2").reshape(64, 64) - expected).max() < 4


async def test_says_why_not() -> None:
    async with dicomio.serve(Application("PACS"), "127.0.0.1", 0) as server:
        with pytest.raises(SystemExit, match="does not support the SOP class"):
            await names("print_images.py")["main"](f"PACS@127.0.0.1:{server.port}", [])


async def test_says_what_the_printer_did_otherwise(ct: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = Application("PRINTER")
    dicomio.PrintProvider(app, lambda request: None, accept=lambda request: Status.IMAGE_DECIMATED)
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        await names("print_images.py")["main"](f"PRINTER@127.0.0.1:{server.port}", [str(ct)])
    assert "N-ACTION of BasicFilmBox: 0xB60A Image or combined" in capsys.readouterr().out

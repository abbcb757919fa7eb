"""Printing with DCMTK and pynetdicom, in both roles."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from dicomio import (
    Application,
    Client,
    JobState,
    NoPresentationContext,
    PrintedFilm,
    PrintProvider,
    PrintRequest,
    StatusError,
    dataset,
    print_session,
    serve,
    sop,
)
from tests.examples.programs import names
from tests.interop.dcmtk_print import PRINTER, dcmprscp, dcmprscu, dcmpsprt
from tests.interop.ours import HOST
from tests.interop.processes import RUN_PYNETDICOM, free_port, require, run, running

pytestmark = pytest.mark.interop

T = TypeVar("T")

SCRIPT: list[str | Path] = [*RUN_PYNETDICOM, Path(__file__).parent / "pynetdicom_print.py"]
IMAGES = [Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm")]


@asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A peer that is started and stopped by calls that block."""
    value = await asyncio.to_thread(manager.__enter__)
    try:
        yield value
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


class Printing:
    """Our printer, with what it printed."""

    def __init__(self, **options: Any) -> None:
        self.app = Application(PRINTER)
        self.printed: list[PrintRequest] = []
        self.provider = PrintProvider(self.app, self.expose, **options)

    async def expose(self, request: PrintRequest) -> None:
        self.printed.append(request)

    @property
    def film(self) -> PrintedFilm:
        """The only film."""
        (request,) = self.printed
        (film,) = request.films
        return film


def read(paths: Sequence[Path]) -> list[Dataset]:
    return [dcmread(path) for path in paths]


def ramp() -> NDArray[Any]:
    """An image that nobody can take for another."""
    return np.arange(256, dtype="uint8").reshape(16, 16)


# ---- DCMTK prints for us ----


async def test_dcmprscp_prints_what_we_send(tmp_path: Path) -> None:
    async with entered(dcmprscp(tmp_path)) as port, Client(f"{PRINTER}@{HOST}:{port}", timeout=20) as client:
        async with print_session(client, copies=2, medium="BLUE FILM", presentation_lut="IDENTITY") as session:
            assert (await session.printer()).PrinterStatus == "NORMAL"
            assert session.presentation_lut is not None
            assert session.attributes.FilmDestination == "MAGAZINE"
            async with session.film_box(r"STANDARD\1,2", size="14INX17IN", Trim="YES", Illumination=1500) as film:
                await film.image(1, ramp())
                await film.image(2, ramp(), bits=12, Polarity="REVERSE")
                assert await film.print() is None
    assert session.warnings == []
    first, second = sorted(read(list((tmp_path / "database").glob("HG_*"))), key=lambda image: int(image.BitsStored))
    assert first.PixelData == ramp().tobytes()
    assert second.BitsStored == 12
    assert (np.frombuffer(second.PixelData, "<u2") == np.rint(ramp().ravel() * (4095 / 255))).all()
    (stored,) = read(list((tmp_path / "database").glob("SP_*")))
    (content,) = stored.FilmBoxContentSequence
    assert (content.FilmSizeID, content.Trim, content.Illumination) == ("14INX17IN", "YES", 1500)
    assert [box.Polarity for box in stored.ImageBoxContentSequence] == ["", "REVERSE"]
    assert stored.PresentationLUTContentSequence[0].PresentationLUTShape == "IDENTITY"


async def test_dcmprscp_prints_a_whole_session(tmp_path: Path) -> None:
    async with entered(dcmprscp(tmp_path)) as port, Client(f"{PRINTER}@{HOST}:{port}", timeout=20) as client:
        async with print_session(client) as session:
            for _ in range(2):
                film = await session.film_box(r"STANDARD\1,1")
                await film.image(1, ramp())
            await session.print()
    assert len(list((tmp_path / "database").glob("SP_*"))) == 2


async def test_what_dcmprscp_refuses(tmp_path: Path) -> None:
    async with entered(dcmprscp(tmp_path)) as port, Client(f"{PRINTER}@{HOST}:{port}", timeout=20) as client:
        with pytest.raises(NoPresentationContext):
            await print_session(client, color=True).__aenter__()
        async with print_session(client) as session:
            with pytest.raises(StatusError):
                await session.film_box(r"STANDARD\9,9")
            with pytest.raises(StatusError):
                await session.film_box(size="A9")
            async with session.film_box() as film:
                await film.image(1, ramp())
                await film.print()
    assert len(list((tmp_path / "database").glob("SP_*"))) == 1


async def test_the_example_prints_on_dcmprscp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with entered(dcmprscp(tmp_path)) as port:
        paths = [str(path) for path in IMAGES * 4]
        await names("print_images.py")["main"](f"{PRINTER}@{HOST}:{port}", paths)
    assert capsys.readouterr().out.splitlines() == ["printer: NORMAL", "6 images: accepted", "2 images: accepted"]
    films = await asyncio.to_thread(read, sorted((tmp_path / "database").glob("SP_*")))
    assert sorted(len(film.ImageBoxContentSequence) for film in films) == [2, 6]


# ---- DCMTK prints on ours ----


async def test_we_print_what_dcmprscu_sends(tmp_path: Path) -> None:
    printing = Printing(annotations={"COMBINED": 1})
    options = ["--layout", "2", "1", "--identity", "--filmsize", "14INX17IN", "-a", "DOE^JANE", "--portrait"]
    annotation = "Annotation = 2\\COMBINED\n"
    async with serve(printing.app, HOST, 0) as server:
        films = await asyncio.to_thread(dcmpsprt, tmp_path, server.port, options, IMAGES, annotation)
        await asyncio.to_thread(dcmprscu, tmp_path, films, ["--copies", "3", "--medium-type", "BLUE FILM"])
    (request,) = printing.printed
    assert (request.copies, request.session.MediumType) == (3, "BLUE FILM")
    assert request.requester.ae_title == "DCMPSTATE"
    attributes = printing.film.attributes
    assert (attributes.ImageDisplayFormat, attributes.FilmSizeID) == (r"STANDARD\2,1", "14INX17IN")
    (reference,) = attributes.ReferencedPresentationLUTSequence
    assert request.presentation_luts[reference.ReferencedSOPInstanceUID].PresentationLUTShape == "IDENTITY"
    assert [annotation.TextString[-8:] for annotation in printing.film.annotations] == ["DOE^JANE"]
    sent = await asyncio.to_thread(read, sorted((tmp_path / "database").glob("HG_*")))
    got = [image.BasicGrayscaleImageSequence[0] for image in printing.film.images]
    assert {image.PixelData for image in got} == {image.PixelData for image in sent}
    assert printing.provider.holdings == {}


async def test_we_print_a_session_of_dcmprscu(tmp_path: Path) -> None:
    printing = Printing()
    async with serve(printing.app, HOST, 0) as server:
        films = await asyncio.to_thread(dcmpsprt, tmp_path, server.port, [], IMAGES[:1])
        await asyncio.to_thread(dcmprscu, tmp_path, films, ["--session-print", "--monochrome1"])
    (image,) = printing.film.images
    assert image.BasicGrayscaleImageSequence[0].PhotometricInterpretation == "MONOCHROME1"


# ---- pynetdicom ----


def said(output: str) -> list[dict[str, Any]]:
    """The lines of JSON in what the script has written."""
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"')]


@pytest.mark.parametrize("is_color", [False, True])
async def test_pynetdicom_prints_what_we_send(tmp_path: Path, is_color: bool) -> None:
    require("pynetdicom")
    port, log = free_port(), tmp_path / "scp.log"
    async with (
        entered(running([*SCRIPT, "scp", str(port)], [port], log, tmp_path, patience=0.2)),
        Client(f"PYNETDICOM@{HOST}:{port}", timeout=20) as client,
    ):
        lut = None if is_color else dataset(PresentationLUTShape="LIN OD")
        async with print_session(client, label="Ward", color=is_color, presentation_lut=lut) as session:
            assert (await session.printer()).PrinterStatusInfo == "SUPPLY LOW"
            async with session.film_box() as film:
                await film.image(1, ramp())
                job = await film.print()
                assert job is not None
                assert await job.finished(poll=0.01) is JobState.DONE
        assert [warning.status for warning in session.warnings] == [0xB604]
    events = said(log.read_text())
    expected = [sop.BasicFilmSession, sop.BasicFilmBox]
    luts = [] if is_color else [sop.PresentationLUT]
    assert [event["create"] for event in events if "create" in event] == [*luts, *expected]
    assert [event["delete"] for event in events if "delete" in event] == [*reversed(expected), *luts]
    pixels = ramp().tobytes() * (3 if is_color else 1)
    assert [event["pixels"] for event in events if "pixels" in event] == [[[16, pixels.hex()]]]


async def test_we_print_what_pynetdicom_sends() -> None:
    require("pynetdicom")
    printing = Printing()
    async with serve(printing.app, HOST, 0) as server:
        result = await asyncio.to_thread(run, [*SCRIPT, "scu", str(server.port), PRINTER])
    assert result.code == 0, result.output
    printer, *films = said(result.output)
    assert printer == {"status": 0, "printer": "NORMAL"}
    assert films == [{"statuses": [0] * 6, "events": [2, 3]}] * 2
    gray, color = (request.films[0].images[0] for request in printing.printed)
    assert gray.BasicGrayscaleImageSequence[0].PixelData == bytes(range(4))
    assert color.BasicColorImageSequence[0].PixelData == bytes(range(12))
    assert [(request.copies, request.session.PrintPriority) for request in printing.printed] == [(2, "HIGH")] * 2

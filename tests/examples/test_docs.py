"""Every code block of docs/ runs, page by page from top to bottom, and prints what the page says below it."""

import ast
import inspect
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import dicomio

# Imported here, since a page runs in an event loop, and importing reads files.
import dicomio.archive
from dicomio import dataset
from dicomio.sop import ComputedRadiographyImageStorage, CTImageStorage, MRImageStorage
from tests.examples.conftest import Archive, Redirect
from tests.examples.programs import PAGES, all_blocks, names

JANE = {"PatientID": "4711", "PatientName": "DOE^JANE"}
RICHARD = {"PatientID": "4712", "PatientName": "ROE^RICHARD"}
CT = {**JANE, "StudyInstanceUID": "1.2.3.1", "StudyDate": "20260105", "StudyDescription": "CT THORAX"}
MR = {**JANE, "StudyInstanceUID": "1.2.3.2", "StudyDate": "20260309", "StudyDescription": "MR HEAD"}
CR = {**RICHARD, "StudyInstanceUID": "1.2.3.3", "StudyDate": "20251224", "StudyDescription": "CHEST"}
# What the archive holds that the pages ask.
INSTANCES = [
    dataset(
        **study,
        SeriesInstanceUID=f"{study['StudyInstanceUID']}.1",
        SOPInstanceUID=f"{study['StudyInstanceUID']}.1.{number}",
        SOPClassUID=sop_class,
        Modality=modality,
    )
    for study, number, sop_class, modality in (
        (CT, 1, CTImageStorage, "CT"),
        (CT, 2, CTImageStorage, "CT"),
        (MR, 1, MRImageStorage, "MR"),
        (CR, 1, ComputedRadiographyImageStorage, "CR"),
    )
]


@pytest.fixture
async def peer(archive: Archive, redirect: Redirect) -> AsyncIterator[None]:
    """The archive that the pages ask; it knows the one of the tests as a destination."""
    assert archive.server is not None
    workstation = dicomio.Address("WORKSTATION", "127.0.0.1", archive.server.port)
    app = names("qr_scp.py")["qr_scp"]({"WORKSTATION": workstation})
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        redirect.port = server.port
        async with dicomio.Client("PACS@localhost") as client:
            for instance in INSTANCES:
                await client.store(instance)
        yield


@pytest.mark.parametrize("page", PAGES[1:])
@pytest.mark.usefixtures("peer")
async def test_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {"__name__": "page"}
    for (language, source), (next_language, expected) in pairwise([*all_blocks(page), ("", "")]):
        if language == "python":
            await run(source, page, session)
            printed = capsys.readouterr().out
            if next_language == "text":
                assert (source, printed) == (source, expected)


async def run(source: str, page: str, session: dict[str, Any]) -> None:
    """Runs a block as `python -m asyncio` does."""
    code = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, session)
    if inspect.iscoroutine(result):
        await result

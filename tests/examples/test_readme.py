"""Every code block of README.md, and every command in docs/, does what the text around it says."""

import asyncio
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import dicomio
from dicomio import STUDY_ROOT, WORKLIST, Application, PresentationContext, Status, query
from dicomio.cli import main
from dicomio.sop import CTImageStorage
from dicomio.testing import connected
from tests.examples.conftest import Archive, Pacs
from tests.examples.programs import PAGES, ROOT, blocks

SERVER, CLIENT, MANY, ASK, ONE, DECIDES, ANSWERS, FIXTURE = blocks("README.md", "python")


def run(source: str, name: str = "__main__") -> dict[str, Any]:
    """Runs a block as a program."""
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, "README.md", "exec"), names)
    return names


@pytest.fixture
def here(ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the blocks send."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    for name in ("ct.dcm", "study/1.dcm", "study/2.dcm"):
        (tmp_path / name).write_bytes(ct.read_bytes())
    return tmp_path


async def test_the_server_stores_byte_for_byte(here: Path) -> None:
    async with connected(run(SERVER, "server")["app"]) as association:
        await association.store("ct.dcm")
    (saved,) = (here / "inbox").iterdir()
    assert await asyncio.to_thread(data_of, saved) == await asyncio.to_thread(data_of, here / "ct.dcm")


def data_of(path: Path) -> bytes:
    """The encoded data set of a DICOM file."""
    return dicomio.Instance.open(path).read()


def test_server_and_client_are_as_short_as_promised() -> None:
    assert len([line for line in SERVER.splitlines() if line.strip()]) <= 10
    assert len([line for line in CLIENT.splitlines() if line.strip()]) <= 6


async def test_the_client_sends(here: Path, archive: Archive) -> None:
    await asyncio.to_thread(run, CLIENT)
    assert len(archive.saved) == 1


async def test_many_files(here: Path, archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(run, MANY)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "0 failed"
    assert len(archive.saved) == 2


async def test_asking(here: Path, pacs: Pacs, capsys: pytest.CaptureFixture[str]) -> None:
    pacs.count, pacs.endless = 1, False
    await asyncio.to_thread(run, ASK)
    saved = [here / line for line in capsys.readouterr().out.splitlines()]
    assert {path.parent.name for path in saved} == {"incoming"}
    for path, sent in zip(saved, pacs.files, strict=True):
        assert await asyncio.to_thread(data_of, path) == await asyncio.to_thread(data_of, sent)


async def test_one_association(here: Path, archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(run, ONE)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" ms")
    sent, _, total = lines[-1].rpartition(" of ")
    assert sent == total
    assert len(archive.saved) == 1


async def test_the_server_that_decides(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app: Application = run(DECIDES, "server")["app"]
    async with connected(app, contexts=[CTImageStorage]) as association:
        assert (await association.store("ct.dcm")).status == Status.SUCCESS
    while app.background:
        await asyncio.wait(app.background)
    assert "stored inbox" in capsys.readouterr().out


async def test_answers(here: Path) -> None:
    app: Application = run(ANSWERS, "server")["app"]
    contexts = [*STUDY_ROOT, *WORKLIST, PresentationContext(CTImageStorage, scu=False, scp=True)]
    async with connected(app, contexts=contexts) as association:
        for modality, found in (("MR", ["DOE^JANE"]), ("CT", [])):
            keys = query("", PatientName="", ScheduledProcedureStepSequence={"Modality": modality})
            assert [match.PatientName for match in await association.find(keys, model=WORKLIST)] == found
        async with association.get(query("STUDY", StudyInstanceUID="1.2.3")) as instances:
            got = [await instance.read() async for instance in instances]
    assert got == [await asyncio.to_thread(data_of, here / "ct.dcm")] * 2


async def test_the_fixture(here: Path) -> None:
    await run(FIXTURE, "test")["test_store"]()


@pytest.mark.parametrize(
    "command", [line for page in PAGES for block in blocks(page, "console") for line in block.splitlines()]
)
def test_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The targets of `make` are there, and the command line takes the options shown."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        return
    with suppress(SystemExit):
        main([words[1], "--help"])
    help_text = capsys.readouterr().out
    assert help_text.startswith(f"usage: dicomio {words[1]} ")
    for option in (word for word in words[2:] if word[0] in "+-"):
        assert re.search(rf"(^|[\s,]){re.escape(option)}\b", help_text, re.MULTILINE), option


def test_everything_that_is_exported_is_documented() -> None:
    values = {name: getattr(dicomio, name) for name in dicomio.__all__}
    assert [name for name, value in values.items() if callable(value) and not value.__doc__] == []

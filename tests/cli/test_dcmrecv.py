"""`dicomio dcmrecv`: names of files, subdirectories, and what it leaves to storescp."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest

from dicomio import Application, Association, Instance, PresentationContext, connect
from dicomio.cli.command import parse
from dicomio.cli.dcmrecv import DcmRecv, subdirectory
from dicomio.cli.options import TOOLS
from dicomio.cli.output import Output
from dicomio.sop import CTImageStorage, ExplicitVRLittleEndian, Verification
from dicomio.testing import connected

from .conftest import Tool
from .servers import running
from .test_storescp import PRIVATE_CLASS, instance, names, store

DCMRECV = next(tool for tool in TOOLS if tool.name == "dcmrecv")


def application(inbox: Path, *options: object) -> Application:
    args = parse(DCMRECV, ["-od", str(inbox), *map(str, options)])
    return DcmRecv(args, Output(DCMRECV, args.log_level, json=args.json)).application()


@asynccontextmanager
async def associated(inbox: Path, *options: object) -> AsyncIterator[Association]:
    """An association with the receiver, in memory."""
    contexts = [PresentationContext(uid, (ExplicitVRLittleEndian,)) for uid in (CTImageStorage, PRIVATE_CLASS)]
    app = await asyncio.to_thread(application, inbox, *options)
    async with connected(app, contexts=[*contexts, PresentationContext(Verification)]) as association:
        yield association


@pytest.mark.parametrize(
    "options, pattern",
    [
        ([], r"CT\.1\.2\.3"),
        (["+fu", "+fd"], r"CT\.1\.2\.3"),
        (["+fu"], r"CT\.X\.2\.25\.[0-9]+"),
        (["+fsu"], r"CT_[0-9a-f]{16}"),
        (["+fst"], r"[0-9]{14}\.[0-9]{6}\.CT"),
        (["+fsu", "-fe", ".dcm"], r"CT_[0-9a-f]{16}\.dcm"),
        (["+ssd"], r"data/2026/01/31/CT\.1\.2\.3"),
        (["+ssd", "-s"], r"CT\.1\.2\.3"),
        (["+ssd", "+B"], r"data/2026/01/31/CT\.1\.2\.3"),
        (["+ssd", "-B"], r"data/2026/01/31/CT\.1\.2\.3"),
        (["--ignore"], None),
    ],
)
async def test_names_of_files(tmp_path: Path, options: list[str], pattern: str | None) -> None:
    async with associated(tmp_path, *options) as association:
        await store(association, instance(SeriesDate="20260131"))
    found = names(tmp_path)
    assert len(found) == (pattern is not None)
    assert all(re.fullmatch(str(pattern), name) for name in found)


@pytest.mark.parametrize("options, count", [(["+fd"], 1), (["+fu"], 3), (["+fsu"], 3), (["+fst"], 3)])
async def test_the_same_instance_again(tmp_path: Path, options: list[str], count: int) -> None:
    async with associated(tmp_path, *options) as association:
        await store(association, *[instance() for _ in range(3)])
    assert len(names(tmp_path)) == count


@pytest.mark.parametrize(
    "value, expected",
    [
        ("20260131", "data/2026/01/31"),
        ("00010203", "data/0001/02/03"),
        ("", "undef/20261231"),
        ("20260231", "undef/20261231"),
        ("2026013", "undef/20261231"),
        ("2026.1.1", "undef/20261231"),
        ("../../..", "undef/20261231"),
        ("20260131-20260202", "undef/20261231"),
    ],
)
def test_directories_by_date(value: str, expected: str) -> None:
    assert str(subdirectory(value, date(2026, 12, 31))) == expected


@pytest.mark.parametrize("options", [["+ssd"], ["+ssd", "-B"]])
async def test_a_hostile_date_stays_in_the_directory(tmp_path: Path, options: list[str]) -> None:
    element = b"\x08\0\x21\0DA\x0a\0../../evil"
    hostile = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, element)
    async with associated(tmp_path / "inbox", *options) as association:
        await association.store(hostile)
    (name,) = names(tmp_path)
    assert re.fullmatch(r"inbox/undef/[0-9]{8}/CT\.1\.2\.3", name)


async def test_what_cannot_be_decoded_has_no_date(tmp_path: Path) -> None:
    broken = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, b"\xff" * 40)
    async with associated(tmp_path, "+ssd") as association:
        await association.store(broken)
    (name,) = names(tmp_path)
    assert name.startswith("undef/")


async def test_standard_storage_sop_classes_are_taken(tmp_path: Path) -> None:
    async with associated(tmp_path) as association:
        accepted = {context.abstract_syntax for context in association.contexts.values()}
        await association.echo()
    assert accepted == {CTImageStorage, Verification}


@pytest.mark.parametrize(
    "options, words",
    [
        (["+xs"], "there is no option +xs"),
        (["--fork"], "there is no option --fork"),
        (["-der"], "option -der or --der-keys is not for this tool: keys and certificates are PEM files"),
        (["+cs", "TLS_X"], "option +cs or --cipher is not for this tool"),
        (["+fst", "--workers", 2], "names of files that are made of the time need --workers 1"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, tool: Tool, options: list[object], words: str) -> None:
    ran = tool("dcmrecv", *options, "-od", tmp_path, 0)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"dicomio dcmrecv: {words}")


async def test_the_process(tmp_path: Path) -> None:
    with running("dcmrecv", 0, "-od", tmp_path, "-uca", "+ssd", "+fsu", "-fe", ".dcm") as scp:
        async with connect(f"PACS@127.0.0.1:{scp.port}", contexts=[CTImageStorage]) as association:
            await store(association, instance(SeriesDate="20260131"))
        assert scp.stop() == 0
    (name,) = names(tmp_path)
    assert re.fullmatch(r"data/2026/01/31/CT_[0-9a-f]{16}\.dcm", name)

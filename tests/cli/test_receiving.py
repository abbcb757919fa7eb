"""What `storescp` does with what it has received: names by time, studies renamed, commands that are waited for."""

import asyncio
import logging
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomio import PresentationContext, connect, dataset
from dicomio.cli.modalities import PREFIXES, prefix_of
from dicomio.cli.naming import NAMINGS, Clock, stamp
from dicomio.cli.studies import Study, rename
from dicomio.sop import (
    NAMES,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)
from dicomio.testing import connected

from .servers import running
from .test_storescp import RECORD, associated, instance, names, receiver, recording, store

KINDS = CTImageStorage, EnhancedCTImageStorage, MRImageStorage, EnhancedSRStorage


def study_of(count: int, study: str = "9.1") -> list[Any]:
    """Objects of several kinds."""
    return [
        dataset(SOPClassUID=KINDS[number % 4], SOPInstanceUID=f"1.{number}", StudyInstanceUID=study)
        for number in range(count)
    ]


# short names of SOP classes


def test_short_names() -> None:
    assert [prefix_of(uid) for uid in (*KINDS, "1.2.3")] == ["CT", "CTe", "MR", "SRe", "UNKNOWN"]
    assert set(PREFIXES) <= set(NAMES)
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9_]{1,3}", prefix) for prefix in PREFIXES.values())


# names made of the time


class Frozen(datetime):
    """A clock that stands still, and then goes back."""

    times: Iterator["Frozen"] = iter(())

    @classmethod
    def now(cls, tz: Any = None) -> "Frozen":
        return next(cls.times)


def freeze(monkeypatch: pytest.MonkeyPatch, *microseconds: int) -> None:
    Frozen.times = iter([Frozen(2026, 1, 2, 3, 4, 5, each) for each in microseconds])
    monkeypatch.setattr("dicomio.cli.naming.datetime", Frozen)


def test_names_by_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze(monkeypatch, 678000, 678900, 678999, 679000, 678000, 680000)
    naming = NAMINGS["millisecond"]()
    assert [naming(CTImageStorage, "1.2") for _ in range(6)] == [
        "20260102030405678.CT",
        "20260102030405678_0000.CT",
        "20260102030405678_0001.CT",
        "20260102030405679.CT",
        "20260102030405679_0000.CT",
        "20260102030405680.CT",
    ]


def test_names_by_the_microsecond(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze(monkeypatch, 678000, 678000, 677000, 679000)
    naming = NAMINGS["microsecond"]()
    assert [naming(CTImageStorage, "1.2") for _ in range(4)] == [
        "20260102030405.678000.CT",
        "20260102030405.678001.CT",
        "20260102030405.678002.CT",
        "20260102030405.679000.CT",
    ]


def test_directories_by_time_are_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze(monkeypatch, 678000, 678500)
    clock = Clock(timedelta(milliseconds=1))
    assert [stamp(clock.now()) for _ in range(2)] == ["20260102_030405678", "20260102_030405679"]


async def test_many_names_in_a_moment(tmp_path: Path) -> None:
    async with associated(tmp_path, "-tn") as association:
        await store(association, *[instance() for _ in range(20)])
    assert len(names(tmp_path)) == 20


# sorting


@pytest.mark.parametrize(
    "options, pattern",
    [
        (["-sp", "-ss", "A"], r"A_[0-9]{8}_[0-9]{9}/CT\.1\.2\.3"),
        (["-ss", "A", "-su", "B"], r"B_1\.2\.9/CT\.1\.2\.3"),
        (["-su", "B", "-sp"], r"ANONYMOUS_[0-9]{8}_[0-9]{9}/CT\.1\.2\.3"),
        (["-su", "B", "+uf"], r"B_1\.2\.9/CT\.X\.2\.25\.[0-9]+"),
        (["-su", "B", "--ignore"], None),
    ],
)
async def test_the_last_way_of_sorting_counts(tmp_path: Path, options: list[str], pattern: str | None) -> None:
    async with associated(tmp_path, *options) as association:
        await store(association, instance())
    found = names(tmp_path)
    assert len(found) == (pattern is not None)
    assert all(re.fullmatch(str(pattern), name) for name in found)


# renaming


async def send(inbox: Path, objects: list[Any], *options: object) -> None:
    """Stores objects of several kinds."""
    contexts = [PresentationContext(kind, (ExplicitVRLittleEndian,)) for kind in KINDS]
    scp = await asyncio.to_thread(receiver, inbox, *options)
    async with connected(scp.application(), contexts=contexts) as association:
        await store(association, *objects)


@pytest.mark.parametrize("options", [[], ["+uf"], ["-tn"], ["-fe", ".dcm"], ["-B"]])
async def test_files_of_a_study_are_renamed(tmp_path: Path, options: list[str]) -> None:
    await send(tmp_path, study_of(5), "-su", "S", "-rns", *options)
    assert names(tmp_path) == [f"S_9.1/{name}" for name in ("CT000001", "CT000002", "CT000005", "MR000003", "SR000004")]


async def test_each_study_is_numbered_for_itself(tmp_path: Path) -> None:
    await send(tmp_path, [*study_of(2, "9.1"), *study_of(1, "9.2")], "-su", "S", "-rns")
    assert names(tmp_path) == ["S_9.1/CT000001", "S_9.1/CT000002", "S_9.2/CT000001"]


async def test_numbers_that_are_taken_are_passed_over(tmp_path: Path) -> None:
    for first in range(2):
        await send(tmp_path, study_of(4)[first * 2 : first * 2 + 2], "-su", "S", "-rns")
    assert names(tmp_path) == [f"S_9.1/{name}" for name in ("CT000001", "CT000002", "MR000003", "SR000004")]


async def test_an_object_that_came_twice_is_one_file(tmp_path: Path) -> None:
    await send(tmp_path, [*study_of(2), *study_of(2)], "-su", "S", "-rns")
    assert names(tmp_path) == ["S_9.1/CT000001", "S_9.1/CT000002"]


async def test_the_command_sees_the_new_names(tmp_path: Path) -> None:
    log = tmp_path / "log"
    listing = "import os, sys; open(sys.argv[1], 'w').write(' '.join(sorted(os.listdir(sys.argv[2]))))"
    line = f'{sys.executable} -c "{listing}" {log} #p'
    await send(tmp_path / "inbox", study_of(3), "-su", "S", "-rns", "-xcs", line)
    assert log.read_text() == "CT000001 CT000002 MR000003"


def test_files_that_are_gone_or_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dicomio.cli.studies.MOST_RENAMED", 2)
    (tmp_path / "b").touch()
    (tmp_path / "c").touch()
    rename(Study("1", tmp_path, "A", "B", "h", {"a": "CT", "b": "MRe", "c": "US"}))
    assert names(tmp_path) == ["MR000002", "c"]
    assert "a cannot be renamed: No such file or directory" in caplog.text
    assert "there are more files than numbers" in caplog.text


# commands


async def test_an_object_is_answered_when_its_command_has_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with associated(tmp_path / "inbox", "-xs", "-xcr", recording(log, "#f")) as association:
        for number in range(3):
            await store(association, instance(f"1.{number}"))
            assert log.read_text().split() == [f"CT.1.{each}" for each in range(number + 1)]


async def test_a_command_for_what_is_not_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with associated(tmp_path / "inbox", "--ignore", "-xcr", recording(log, "#a", "#c", "#r")) as association:
        await store(association, instance())
    assert log.read_text().split() == ["TEST", "STORESCP", "memory"]
    assert names(tmp_path / "inbox") == []


def test_what_commands_are_given_is_never_run(tmp_path: Path) -> None:
    """`;`, `|` and the like of a command line are arguments like others."""
    scp = receiver(tmp_path, "-xcr", f"{sys.executable} -c '{RECORD}' #f ; touch {tmp_path}/owned | $(x)")
    assert scp.on_reception is not None
    made = scp.on_reception.arguments({"#f": "a"})
    assert made[3:] == ["a", ";", "touch", f"{tmp_path}/owned", "|", "$(x)"]


# telling


async def test_presentation_contexts_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomio.cli")
    async with associated(tmp_path, "-v", "+v") as association:
        await association.echo()
    assert "context 1: CTImageStorage: ExplicitVRLittleEndian" in caplog.text


# options that change nothing, and those that are refused


@pytest.mark.parametrize("option", ["-up", "-dhl", "-ac", "--single-process", "-tls", "+ps", "-pem", "+F"])
async def test_options_that_ask_for_what_is_so_anyway(tmp_path: Path, option: str) -> None:
    async with associated(tmp_path, option) as association:
        await store(association, instance())
    assert names(tmp_path) == ["CT.1.2.3"]


@pytest.mark.parametrize(
    "option",
    "--fork -id --inetd +ac --access-control --arguments +u -u +g= +g -der +cra +pb +pa +pn +cc +ws".split(),
)
def test_options_that_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(Exception, match=rf"^option (\S+ or )?{re.escape(option)}( or --\S+)? is not for this tool: ."):
        receiver(tmp_path, option)


@pytest.mark.parametrize("option", ["+cs", "+dp", "+rs", "+wf"])
def test_options_with_a_value_that_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(Exception, match=rf"^option {re.escape(option)} or --.* is not for this tool: ."):
        receiver(tmp_path, option, "value")


@pytest.mark.parametrize("seconds", ["0", "7.5"])
async def test_time_to_write(tmp_path: Path, seconds: str) -> None:
    with running("storescp", 0, "-od", tmp_path, "-ts", seconds) as scp:
        async with connect(f"PACS@127.0.0.1:{scp.port}", contexts=[CTImageStorage]) as association:
            await store(association, instance())
        assert scp.stop() == 0
    assert names(tmp_path) == ["CT.1.2.3"]

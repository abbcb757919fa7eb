"""However an archive ended, at the next start files and index agree, and nothing that was answered is lost."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest

from dicomio import query
from dicomio.archive import Archive
from dicomio.archive.objects import key_for
from tests.archive.objects import collected, ct, uid
from tests.archive.test_keeping import files, stored

ROOT = Path(__file__).parents[2]


async def everything(archive: Archive) -> list[Path]:
    """All files that the index names."""
    answers = await collected(archive.find(query("STUDY", StudyInstanceUID="")))
    named = [await archive.instances(query("STUDY", StudyInstanceUID=answer.StudyInstanceUID)) for answer in answers]
    return sorted(path for paths in named for path in paths)


async def comments(archive: Archive, number: int) -> list[str]:
    """What the index says of an object of the program: which version it is."""
    study, series = number % 3, number % 2
    keys = query("IMAGE", StudyInstanceUID=uid(study), SeriesInstanceUID=uid(study, series), ImageComments="")
    keys.SOPInstanceUID = uid(study, series, number)
    return [answer.ImageComments for answer in await collected(archive.find(keys))]


def said_by(root: Path, *where: str, lines: int = 0, delay: float = 0) -> dict[int, int]:
    """Runs the program until it dies, or until it has said so many lines and a moment has passed.

    Returns:
        The newest version of each object that it said was durable.
    """
    command = [sys.executable, "-m", "tests.archive.dying", str(root), *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        deadline = time.perf_counter() + delay
        while time.perf_counter() < deadline:
            pass
        if lines:
            process.kill()
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return {int(number): int(version) for number, version in map(bytes.split, said)}


async def check(root: Path, said: dict[int, int]) -> None:
    """Everything that was answered is there, and nothing else but what was on its way."""
    async with Archive(root) as archive:
        assert files(archive) == await everything(archive)
        for number, version in said.items():
            (comment,) = await comments(archive, number)
            assert int(comment) >= version
        for path in files(archive):
            ds = await asyncio.to_thread(pydicom.dcmread, path)
            assert await comments(archive, int(ds.InstanceNumber)) == [ds.ImageComments]


# Each of these starts an interpreter, which takes most of a second.


@pytest.mark.parametrize("seed", range(2))
async def test_after_a_kill_everything_that_was_answered_is_there(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines, delay = chance.randint(1, 40), chance.random() / 100
    await check(tmp_path, await asyncio.to_thread(said_by, tmp_path, lines=lines, delay=delay))


@pytest.mark.parametrize(
    "where",
    [
        ("store", "put", "13", "before"),  # a file is complete
        ("store", "move", "13", "after"),  # and has its name
        ("index", "enter_new", "1", "before"),  # others have theirs too
        ("index", "enter_new", "1", "after"),  # they are entered
        ("index", "enter", "3", "after"),  # they are, and what they replace is still there
        ("writer", "delete", "3", "after"),  # and nobody has been told
    ],
    ids=" ".join,
)
async def test_after_dying_at_a_step_everything_that_was_answered_is_there(
    tmp_path: Path, where: tuple[str, ...]
) -> None:
    await check(tmp_path, await asyncio.to_thread(said_by, tmp_path, *where))


async def test_what_was_being_received_is_removed(tmp_path: Path) -> None:
    async with Archive(tmp_path) as archive:
        await archive.add(ct())
    (tmp_path / "incoming" / ".1234.part").write_bytes(b"half of it")
    async with Archive(tmp_path) as archive:
        assert files(archive) == await stored(archive)


async def test_a_row_without_a_file_goes_and_so_do_its_series_and_study(tmp_path: Path) -> None:
    async with Archive(tmp_path) as archive:
        await archive.add(ct(1, 1, 1))
        await archive.add(ct(1, 2, 1))
        await archive.add(ct(2, 1, 1))
        for path in [*await stored(archive, 2), (await stored(archive, 1))[0]]:
            path.unlink()
    async with Archive(tmp_path) as archive:
        assert files(archive) == await everything(archive)
        answers = await collected(archive.find(query("STUDY", StudyInstanceUID="", NumberOfStudyRelatedSeries="")))
        assert [(answer.StudyInstanceUID, answer.NumberOfStudyRelatedSeries) for answer in answers] == [(uid(1), 1)]


async def test_without_its_index_an_archive_makes_another(tmp_path: Path) -> None:
    async with Archive(tmp_path) as archive:
        await asyncio.gather(*(archive.add(ct(number % 3, number % 2, number)) for number in range(12)))
        before = await everything(archive)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    async with Archive(tmp_path) as archive:
        after = await everything(archive)
        assert files(archive) == after
        assert [path.parent for path in after] == [path.parent for path in before]


def rival(archive: Archive) -> Path:
    """A name for another reception of the first object."""
    return archive.objects.path(key_for(uid(1), uid(1, 1), uid(1, 1, 1)))


async def test_a_reception_that_was_never_entered_loses_against_one_that_was(tmp_path: Path) -> None:
    async with Archive(tmp_path) as archive:
        await archive.add(ct(StudyDescription="entered"))
        before = await stored(archive)
    async with Archive(tmp_path / "other") as other:
        await other.add(ct(StudyDescription="never entered"))
        (newer,) = await stored(other)
        newer.rename(rival(archive))
    async with Archive(tmp_path) as archive:
        assert files(archive) == before == await stored(archive)


async def test_of_two_receptions_that_were_never_entered_the_last_wins(tmp_path: Path) -> None:
    async with Archive(tmp_path) as archive:
        await archive.add(ct(StudyDescription="last"))
        (last,) = await stored(archive)
        os.utime(last, ns=(2_000_000_000, 2_000_000_000))
    async with Archive(tmp_path / "other") as other:
        await other.add(ct(StudyDescription="first"))
        (first,) = await stored(other)
        os.utime(first, ns=(1_000_000_000, 1_000_000_000))
        first.rename(rival(archive))
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    async with Archive(tmp_path) as archive:
        (answer,) = await collected(archive.find(query("STUDY", StudyDescription="")))
        assert answer.StudyDescription == "last"
        assert files(archive) == await stored(archive)


async def test_a_file_of_another_study_is_not_taken_for_a_replaced_one(tmp_path: Path) -> None:
    """Its row names a file that is gone, so this one is all there is of the object."""
    async with Archive(tmp_path) as archive:
        await archive.add(ct(1))
        await archive.add(ct(2))
        (gone,) = await stored(archive, 1)
        moved = archive.objects.path(key_for(uid(2), uid(2, 1), uid(1, 1, 1)))
        gone.rename(moved)
    async with Archive(tmp_path) as archive:
        assert len(await stored(archive, 1)) == 1
        assert files(archive) == await everything(archive)


async def test_files_of_others_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Archive(tmp_path) as archive:
        await archive.add(ct())
        (path,) = await stored(archive)
    junk, copy = path.with_name("junk.dcm"), path.with_name("copy.dcm")
    junk.write_bytes(b"no DICOM")
    copy.write_bytes(path.read_bytes())
    async with Archive(tmp_path) as archive:
        assert files(archive) == sorted([path, junk, copy])
        assert await stored(archive) == [path]
    assert "is not entered" in caplog.text
    assert "is left alone" in caplog.text


async def test_files_put_there_by_hand_are_entered_under_names_of_ours(tmp_path: Path) -> None:
    async with Archive(tmp_path / "other") as other:
        await other.add(ct())
        (path,) = await stored(other)
    there = tmp_path / "archive" / "objects" / "some" / "where" / "1.dcm"
    there.parent.mkdir(parents=True)
    there.write_bytes(path.read_bytes())
    async with Archive(tmp_path / "archive") as archive:
        assert files(archive) == await stored(archive)
        assert not (tmp_path / "archive" / "objects" / "some").exists()


async def test_only_the_first_of_several_processes_recovers(tmp_path: Path) -> None:
    async with Archive(tmp_path) as first:
        part = tmp_path / "incoming" / ".1234.part"
        part.write_bytes(b"what the first is receiving")
        async with Archive(tmp_path) as second:
            assert part.exists()
            await asyncio.gather(*(each.add(ct(1, 1, number)) for each in (first, second) for number in range(10)))
            part.unlink()
            assert files(first) == await stored(second)
            assert len(files(first)) == 10

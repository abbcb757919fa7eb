"""What is kept, under which name, and what is refused."""

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from dicomio import Instance, InvalidInstance, Refused, query
from dicomio.archive import Archive
from dicomio.archive.index import Entry
from tests.archive.objects import collected, ct, uid


def files(archive: Archive) -> list[Path]:
    """All files of objects, whole and in the making."""
    found = [*(archive.root / "objects").rglob("*"), *(archive.root / "incoming").rglob("*")]
    return sorted(path for path in found if path.is_file())


async def stored(archive: Archive, study: int = 1) -> list[Path]:
    """What the index has of a study."""
    return list(await archive.instances(query("STUDY", StudyInstanceUID=uid(study))))


async def test_an_object_is_kept_byte_for_byte_below_its_study_and_series(archive: Archive) -> None:
    instance = ct(pixels=bytes(range(256)) * 10)
    await archive.add(instance)
    (path,) = await stored(archive)
    assert path.relative_to(archive.root / "objects").parts[:2] == (uid(1), uid(1, 1))
    assert path.name.startswith(uid(1, 1, 1))
    kept = await asyncio.to_thread(Instance.open, path)
    assert (key(kept), await asyncio.to_thread(kept.read)) == (key(instance), instance.read())
    assert files(archive) == [path]


def key(instance: Instance) -> tuple[str, str, str]:
    return instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax


async def test_a_file_is_copied(archive: Archive, tmp_path: Path) -> None:
    await archive.add(ct())
    (path,) = await stored(archive)
    async with Archive(tmp_path / "other") as other:
        await other.add(path)
        (copy,) = await stored(other)
    assert copy.read_bytes() == path.read_bytes()


async def test_the_same_object_again_leaves_everything_as_it_is(archive: Archive) -> None:
    await archive.add(ct())
    before = await stored(archive)
    await archive.add(ct())
    assert await stored(archive) == before == files(archive)


async def test_another_object_with_the_same_uid_replaces_the_first(archive: Archive) -> None:
    await archive.add(ct(StudyDescription="first"))
    before = await stored(archive)
    await archive.add(ct(StudyDescription="second"))
    (after,) = await stored(archive)
    assert [after] == files(archive) != before
    (answer,) = await collected(archive.find(query("STUDY", StudyDescription="")))
    assert answer.StudyDescription == "second"


async def test_an_object_that_turns_up_in_another_study_leaves_the_first(archive: Archive) -> None:
    await archive.add(ct(1))
    await archive.add(ct(2))
    await archive.add(ct(1, StudyInstanceUID=uid(2), SeriesInstanceUID=uid(2, 1)))
    assert await stored(archive, 1) == []
    assert sorted(await stored(archive, 2)) == files(archive)
    answers = await collected(archive.find(query("STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances="")))
    assert [(answer.StudyInstanceUID, answer.NumberOfStudyRelatedInstances) for answer in answers] == [(uid(2), 2)]
    assert not (archive.root / "objects" / uid(1)).exists()


async def test_a_series_uid_used_in_two_studies_is_two_series(archive: Archive) -> None:
    await archive.add(ct(1))
    await archive.add(ct(2, SeriesInstanceUID=uid(1, 1)))
    assert [len(await stored(archive, study)) for study in (1, 2)] == [1, 1]


async def test_many_receptions_of_one_object_at_once_are_one_object(archive: Archive) -> None:
    await asyncio.gather(*(archive.add(ct(StudyDescription=f"number {number % 3}")) for number in range(30)))
    assert len(await stored(archive)) == 1
    assert files(archive) == await stored(archive)


async def test_many_objects_at_once(archive: Archive) -> None:
    await asyncio.gather(*(archive.add(ct(number % 3, number % 2, number)) for number in range(60)))
    assert sum([len(await stored(archive, study)) for study in range(3)]) == 60
    assert len(files(archive)) == 60


@pytest.mark.parametrize(
    "elements, comment",
    [
        ({"StudyInstanceUID": None}, "no Study Instance UID"),
        ({"StudyInstanceUID": ""}, "no Study Instance UID"),
        ({"SeriesInstanceUID": None}, "no Series Instance UID"),
        ({"StudyInstanceUID": "../../../../tmp/1"}, "is no UID"),
        ({"StudyInstanceUID": "/etc/passwd"}, "is no UID"),
        ({"SeriesInstanceUID": ".."}, "is no UID"),
        ({"SeriesInstanceUID": "1..2"}, "is no UID"),
        ({"StudyInstanceUID": "1.2.3\\1.2.4"}, "is no UID"),
        ({"StudyInstanceUID": "1." + "2" * 64}, "is no UID"),
        ({"SOPInstanceUID": "1.2.3"}, "SOP Instance UID is not that of the request"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "SOP Class UID is not that of the request"),
    ],
)
async def test_an_object_that_does_not_say_where_it_belongs_is_refused(
    archive: Archive, elements: dict[str, Any], comment: str
) -> None:
    with pytest.raises(Refused, match=comment) as caught:
        await archive.add(ct(**elements))
    assert caught.value.status == 0xA900
    assert files(archive) == []


async def test_bytes_that_are_no_data_set_are_refused(archive: Archive) -> None:
    good = ct()
    with pytest.raises(Refused, match="longer than") as caught:
        await archive.add(Instance.from_bytes(*key(good), b"\x08\0\x05\0CS\xff\xff" + bytes(20)))
    assert caught.value.status == 0xC000
    assert files(archive) == []


async def test_what_is_no_file_is_not_added(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM at all")
    with pytest.raises(InvalidInstance):
        await archive.add(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        await archive.add(tmp_path / "nothing")
    assert files(archive) == []


@pytest.mark.parametrize("uid", ["../../../etc/cron.d/x", "/abs", "a" * 100, "..", "1.2/3", "con", "1.2.3 \0", "-rf"])
async def test_no_instance_uid_becomes_a_path(archive: Archive, uid: str) -> None:
    sop_class, _, syntax = key(ct())
    await archive.add(Instance.from_bytes(sop_class, uid, syntax, ct(SOPInstanceUID=None).read()))
    (path,) = files(archive)
    assert path.resolve().is_relative_to((archive.root / "objects").resolve())
    assert path.name.startswith("uid-") or uid.strip(" \0") in path.name


def full(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", ["fsync", "rename", "mkdir"])
async def test_on_a_full_disk_an_object_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with Archive(tmp_path / "archive") as archive:
        monkeypatch.setattr(Path if name == "mkdir" else os, name, full)
        with pytest.raises(Refused, match="No space left") as caught:
            await archive.add(ct())
        monkeypatch.undo()
        assert caught.value.status == 0xA700
        assert files(archive) == []
        await archive.add(ct())
        assert files(archive) == await stored(archive)


async def test_when_the_index_is_full_what_it_does_not_take_is_refused_and_nothing_is_left(archive: Archive) -> None:
    await archive.add(ct(StudyDescription="first"))
    before = await stored(archive)

    @event.listens_for(archive.database.writer, "begin")
    def limit(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as many as there are

    objects = [ct(2, 1, number, ImageComments="x" * 1000) for number in range(100)]
    results = await asyncio.gather(*map(archive.add, objects), return_exceptions=True)
    kept = [instance for instance, result in zip(objects, results, strict=True) if result is None]
    assert {result.status for result in results if isinstance(result, Refused)} == {0xA700}
    assert len(kept) < len(objects)
    assert sorted(await stored(archive, 1) + await stored(archive, 2)) == files(archive)
    assert await stored(archive, 1) == before
    assert len(files(archive)) == 1 + len(kept)


async def test_one_object_the_index_cannot_take_does_not_spoil_the_others(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = archive.index.enter_new

    async def picky(entries: Sequence[Entry]) -> None:
        if any(entry.sop_instance_uid == uid(1, 1, 3) for entry in entries):
            raise OperationalError("INSERT", {}, Exception("no"))
        await enter(entries)

    monkeypatch.setattr(archive.index, "enter_new", picky)
    results = await asyncio.gather(*(archive.add(ct(1, 1, number)) for number in range(6)), return_exceptions=True)
    assert [number for number, result in enumerate(results) if result is not None] == [3]
    assert sorted(await stored(archive)) == files(archive)
    assert len(files(archive)) == 5


async def test_what_nobody_thought_of_fails_only_those_it_happens_to(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.objects, "put", full)
    with pytest.raises(Refused) as caught:
        await archive.add(ct(1))
    assert caught.value.status == 0xA700
    monkeypatch.undo()
    await archive.add(ct(2))
    assert len(await stored(archive, 2)) == 1


async def test_a_commit_that_fails_too_late_has_not_failed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    enter = archive.index.enter_new

    async def late(entries: Sequence[Entry]) -> None:
        await enter(entries)
        raise OperationalError("COMMIT", {}, Exception("the connection was lost"))

    monkeypatch.setattr(archive.index, "enter_new", late)
    await archive.add(ct())
    assert await stored(archive) == files(archive)


async def test_what_was_replaced_and_cannot_be_deleted_is_left_to_the_next_start(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await archive.add(ct(StudyDescription="first"))
    monkeypatch.setattr(Path, "unlink", full)
    await archive.add(ct(StudyDescription="second"))
    monkeypatch.undo()
    assert len(await stored(archive)) == 1
    assert len(files(archive)) == 2
    assert "the next start will remove it" in caplog.text
    async with Archive(archive.root) as again:
        # Another one has it open, who may be writing this file at the moment.
        assert len(files(again)) == 2


async def test_the_caller_may_go_away_while_an_object_is_kept(archive: Archive) -> None:
    task = asyncio.create_task(archive.add(ct()))
    while archive.writer.task is None:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await archive.finished()
    assert files(archive) == await stored(archive)


async def test_an_archive_opens_again_and_again(archive: Archive) -> None:
    await archive.add(ct())
    async with archive:
        assert len(await stored(archive)) == 1
    assert len(await stored(archive)) == 1
    async with Archive(archive.root) as second:
        assert await stored(second) == await stored(archive)

"""The worklist is what is in its folder now."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomio import WORKLIST, NoPresentationContext, Refused, dataset, query
from dicomio.archive import Archive
from dicomio.datasets import encode
from dicomio.sop import ExplicitVRLittleEndian
from dicomio.testing import connected
from tests.archive.objects import collected


def write(folder: Path, name: str, modality: str = "CT", date: str = "20240501", **elements: Any) -> Path:
    """Writes an entry under a hidden name and renames it."""
    ds = dataset(
        AccessionNumber=name,
        ScheduledProcedureStepSequence={
            "Modality": modality,
            "ScheduledProcedureStepStartDate": date,
            "ScheduledStationAETitle": f"{modality}1",
        },
        **elements,
    )
    folder.mkdir(exist_ok=True)
    hidden = folder / f".{name}"
    with hidden.open("wb") as file:
        # with no more file meta information than worklist tools write
        file.write(bytes(128) + b"DICM" + bytes.fromhex("0200100055491400") + b"1.2.840.10008.1.2.1\0")
        file.write(encode(ds, ExplicitVRLittleEndian))
    return hidden.rename(folder / f"{name}.dcm")


def steps(**keys: Any) -> Dataset:
    """An identifier that asks for accession numbers by attributes of the scheduled procedure step."""
    return query("", AccessionNumber="", ScheduledProcedureStepSequence=keys or {"Modality": ""})


async def found(archive: Archive, keys: Dataset) -> list[str]:
    return [str(answer.AccessionNumber) for answer in await collected(archive.find(keys, WORKLIST))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "worklist"


@pytest.fixture
def archive(tmp_path: Path, folder: Path) -> Archive:
    return Archive(tmp_path / "archive", worklist=folder)


async def test_entries_are_matched_by_attributes_of_their_step(archive: Archive, folder: Path) -> None:
    write(folder, "1")
    write(folder, "2", "MR")
    write(folder, "3", date="20240502")
    assert await found(archive, steps()) == ["1", "2", "3"]
    assert await found(archive, steps(Modality="CT")) == ["1", "3"]
    assert await found(archive, steps(ScheduledProcedureStepStartDate="20240502-")) == ["3"]
    assert await found(archive, steps(ScheduledStationAETitle="*1", Modality="MR")) == ["2"]


async def test_it_changes_with_its_folder(archive: Archive, folder: Path) -> None:
    assert await found(archive, steps()) == []
    first = write(folder, "1")
    assert await found(archive, steps()) == ["1"]
    write(folder, "2")
    assert await found(archive, steps()) == ["1", "2"]
    write(folder, "1", "MR")
    assert await found(archive, steps(Modality="MR")) == ["1"]
    first.unlink()
    assert await found(archive, steps()) == ["2"]


async def test_a_file_that_has_not_changed_is_not_read_again(
    archive: Archive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "1")
    assert await found(archive, steps()) == ["1"]
    monkeypatch.setattr("pydicom.dcmread", None)
    assert await found(archive, steps()) == ["1"]


async def test_what_is_no_entry_is_passed_over(
    archive: Archive, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, "1")
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "lockfile").touch()
    (folder / ".hidden").write_text("half an entry")
    (folder / "directory").mkdir()
    (folder / "dangling").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    assert await found(archive, steps()) == ["1"]
    assert "notes.txt is no worklist entry" in caplog.text


async def test_answers_have_what_was_asked_in_their_character_set(archive: Archive, folder: Path) -> None:
    write(folder, "1", PatientName="Müller^Jürgen", PatientID="7", SpecificCharacterSet="ISO_IR 100")
    async with connected(archive.app, contexts=[*WORKLIST]) as peer:
        keys = query("", PatientName="M*", ScheduledProcedureStepSequence={"Modality": ""})
        (answer,) = await peer.find(keys, model=WORKLIST)
    assert answer.PatientName == "Müller^Jürgen"
    assert answer.ScheduledProcedureStepSequence[0].to_json_dict() == dataset(Modality="CT").to_json_dict()
    assert "PatientID" not in answer


async def test_a_key_that_makes_no_sense_is_refused(archive: Archive) -> None:
    with pytest.raises(Refused, match="is no value for DA"):
        await found(archive, steps(ScheduledProcedureStepStartDate="tomorrow"))


async def test_without_a_folder_there_is_no_worklist(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    async with connected(archive.app, contexts=[*WORKLIST]) as peer:
        with pytest.raises(NoPresentationContext):
            await peer.find(steps(), model=WORKLIST)
    with pytest.raises(Refused, match="Modality Worklist has no level"):
        archive.find(steps(), WORKLIST)

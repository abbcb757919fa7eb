"""Objects out of captures into files, whole or not at all."""

import os
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicomio import dataset
from dicomio.captures import Dissector, Extractor, all_of, shown
from dicomio.captures.side import DataSet
from dicomio.datasets import encode as encode_data_set
from dicomio.sop import CTImageStorage, ImplicitVRLittleEndian
from dicomio.wire.commands import encode
from dicomio.wire.pdata import pack_message

from .conversation import DATA, INSTANCE, STORE_RQ, TURNS, Turns, capture_of, dissect, mangled, packets_of
from .test_dissector import said, without

OBJECT = encode_data_set(
    dataset(
        SOPClassUID=CTImageStorage,
        SOPInstanceUID=INSTANCE,
        PatientName="DOE^JANE",
        BitsAllocated=16,
        PixelData=bytes(9_000),
    ),
    ImplicitVRLittleEndian,
)


def storing(instance: str = INSTANCE, data: bytes = OBJECT) -> Turns:
    """An association that stores an object."""
    command = encode(replace(STORE_RQ, affected_sop_instance_uid=instance))
    return [*TURNS[:2], (0, pack_message(3, command, data, 1_000)), *TURNS[5:]]


@pytest.mark.parametrize("seed", range(5))
def test_objects_are_complete_files(tmp_path: Path, seed: int) -> None:
    extractor = Extractor(tmp_path / "objects.d")
    dissect(mangled(packets_of(capture_of(storing())), seed), Dissector(sink=extractor))
    (path,) = extractor.written
    assert path == tmp_path / "objects.d" / "1.2.3.4.dcm"
    ds = pydicom.dcmread(path)
    assert (ds.PatientName, len(ds.PixelData)) == ("DOE^JANE", 9_000)
    assert path.read_bytes().endswith(OBJECT)
    assert (ds.file_meta.TransferSyntaxUID, ds.file_meta.MediaStorageSOPInstanceUID) == (
        ImplicitVRLittleEndian,
        INSTANCE,
    )
    assert ds.file_meta[0x00020017].value == "MODALITY"
    assert ds.file_meta[0x00020018].value == "ARCHIVE"


def test_incomplete_objects_are_not_written_and_said(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    events = dissect(without(packets_of(capture_of(TURNS)), 7, 3_000, 10), Dissector(sink=extractor))
    assert list(tmp_path.iterdir()) == []
    assert extractor.missed == ["1.2.3.4.dcm: the object is incomplete and was not written"]
    (data_set,) = [event.what for event in said(events, DataSet)]
    assert isinstance(data_set, DataSet)
    assert data_set.outcome == extractor.missed[0]


def test_objects_without_transfer_syntax_are_not_written(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    dissect(packets_of(capture_of(TURNS[4:], opened=False)), Dissector(sink=extractor))
    assert extractor.missed == ["not written: 1.2.3.4: its transfer syntax is not in the capture"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uid", ["../../escape", "/etc/passwd", "..", ".1.2", "a" * 60])
def test_names_are_safe(tmp_path: Path, uid: str) -> None:
    extractor = Extractor(tmp_path / "in")
    hostile = encode(replace(STORE_RQ, affected_sop_instance_uid="X" * len(uid))).replace(b"X" * len(uid), uid.encode())
    turns = [*TURNS[:2], (0, pack_message(3, hostile, OBJECT, 1_000))]
    dissect(packets_of(capture_of(turns)), Dissector(sink=extractor))
    (path,) = extractor.written
    assert path.parent == tmp_path / "in"
    assert path.name.startswith("uid-")
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_the_same_object_twice_is_two_files(tmp_path: Path) -> None:
    extractor = Extractor(tmp_path)
    turns = storing()
    dissect(packets_of(capture_of([*turns[:3], turns[2], *turns[3:]])), Dissector(sink=extractor))
    assert sorted(os.listdir(tmp_path)) == ["1.2.3.4-2.dcm", "1.2.3.4.dcm"]


def test_nothing_but_stores_is_written(tmp_path: Path) -> None:
    dissect(packets_of(capture_of(TURNS[:4])), Dissector(sink=Extractor(tmp_path / "new")))
    assert list(tmp_path.iterdir()) == []


def names(ds: Dataset) -> list[str]:
    """A line for the patient."""
    return [f"patient {ds.get('PatientName', 'nobody')}"]


def outcome(turns: Turns, dissector: Dissector) -> str:
    """What became of the only data set."""
    (data_set,) = [event.what for event in said(dissect(packets_of(capture_of(turns)), dissector), DataSet)]
    assert isinstance(data_set, DataSet)
    return data_set.outcome


def test_data_sets_are_shown_when_asked_for(tmp_path: Path) -> None:
    assert outcome(storing(), Dissector()) == ""
    assert outcome(storing(), Dissector(sink=shown(names))) == "patient DOE^JANE"
    both = Dissector(sink=all_of([Extractor(tmp_path), shown(names)]))
    assert outcome(storing(), both) == f"written to {tmp_path / '1.2.3.4.dcm'}\npatient DOE^JANE"


def test_data_sets_that_cannot_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(storing(data=DATA), Dissector(sink=shown(names))).startswith("not shown: ")
    short = [*TURNS[:2], (0, storing()[2][1][:5_000])]
    assert outcome(short, Dissector(sink=shown(names))) == "not shown: it is incomplete"
    monkeypatch.setattr("dicomio.captures.extraction.LONGEST_SHOWN", 1_000)
    assert outcome(storing(), Dissector(sink=shown(names))) == "not shown: it is longer than 1000 bytes"

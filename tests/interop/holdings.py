"""A small archive that every server is filled with and every client asks for: nine objects of five patients.

Entities are called by names, such as `chest`, `chest/1` and `chest/1/2` for a study, a series of it and an instance of
that, so that what a query should find can be read. UIDs are derived from the names.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from dicomio import sop

__all__ = ["STUDIES", "Holding", "build_holdings", "found", "uid_of"]

_SOURCE = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small.dcm"

_SOP_CLASSES = {"CT": sop.CTImageStorage, "MR": sop.MRImageStorage, "OT": sop.SecondaryCaptureImageStorage}

_ANNA = {"PatientID": "ALPHA1", "PatientName": "Adams^Anna", "PatientBirthDate": "19600101", "PatientSex": "F"}

# Names beyond ASCII are the examples of PS3.5 Annexes J, H and the repertoire of ISO-IR 100.
STUDIES: Mapping[str, Mapping[str, Any]] = {
    "chest": {**_ANNA, "StudyDate": "20200110", "StudyTime": "081500", "AccessionNumber": "A1"},
    "head": {**_ANNA, "StudyDate": "20210615", "StudyTime": "143000", "AccessionNumber": "A2"},
    "knee": {
        "PatientID": "ALPHA2",
        "PatientName": "Adamson^Bob",
        "PatientBirthDate": "19701231",
        "PatientSex": "M",
        "StudyDate": "20211231",
        "StudyTime": "235959",
        "AccessionNumber": "A3",
    },
    "chinese": {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientID": "BETA1",
        "PatientName": "Wang^XiaoDong=王^小東=",
        "PatientBirthDate": "19800229",
        "PatientSex": "M",
        "StudyDate": "20220301",
        "StudyTime": "000000",
        "AccessionNumber": "A4",
    },
    "japanese": {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientID": "GAMMA1",
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "PatientBirthDate": "19900415",
        "PatientSex": "M",
        "StudyDate": "20220302",
        "StudyTime": "120000",
        "AccessionNumber": "A5",
    },
    "german": {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientID": "DELTA1",
        "PatientName": "Äneas^Rüdiger",
        "PatientBirthDate": "20000704",
        "PatientSex": "O",
        "StudyDate": "20220303",
        "StudyTime": "120001",
        "AccessionNumber": "A6",
    },
}

# Modality and number of instances of each series.
_SERIES = {
    "chest/1": ("CT", 2),
    "chest/2": ("OT", 1),
    "head/1": ("MR", 1),
    "knee/1": ("CT", 2),
    "chinese/1": ("MR", 1),
    "japanese/1": ("MR", 1),
    "german/1": ("MR", 1),
}

# Whether an element of a response names an entity of a level.
_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


@dataclass(frozen=True, slots=True)
class Holding:
    """One file of the archive.

    Attributes:
        name: of the instance, such as `chest/1/2`.
        path: where the file is; it is in Explicit VR Little Endian.
        sop_class_uid: as in the data set.
        sop_instance_uid: as in the data set.
    """

    name: str
    path: Path
    sop_class_uid: str
    sop_instance_uid: str


def uid_of(name: str) -> str:
    """The UID of a study, a series or an instance."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def found(level: str, matches: Iterable[Dataset]) -> list[str]:
    """The names of the entities that were found, in order; patients are called by their Patient ID."""
    keys = [str(match[_KEYS[level]].value) for match in matches]
    return sorted(_NAMES.get(key, key) for key in keys)


def build_holdings(directory: Path) -> list[Holding]:
    """Writes every object into a directory."""
    directory.mkdir(exist_ok=True)
    return [
        _build(series, number, directory)
        for series, (_, instances) in _SERIES.items()
        for number in range(1, instances + 1)
    ]


def _build(series: str, number: int, directory: Path) -> Holding:
    study, _, series_number = series.partition("/")
    name = f"{series}/{number}"
    modality, _ = _SERIES[series]
    ds = pydicom.dcmread(_SOURCE)
    # DCMTK leaves them out when it encodes a data set anew.
    for tag in [tag for tag in ds.keys() if tag.element == 0 or tag == Tag("DataSetTrailingPadding")]:
        del ds[tag]
    for keyword, value in STUDIES[study].items():
        setattr(ds, keyword, value)
    ds.StudyID = study
    ds.Modality = modality
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID(_SOP_CLASSES[modality])
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid_of(study), uid_of(series)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid_of(name))
    ds.SeriesNumber, ds.InstanceNumber = series_number, number
    path = directory / f"{name.replace('/', '-')}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return Holding(name, path, ds.SOPClassUID, ds.SOPInstanceUID)


_NAMES = {
    uid_of(name): name
    for series, (_, instances) in _SERIES.items()
    for name in [series.partition("/")[0], series, *(f"{series}/{number}" for number in range(1, instances + 1))]
}

"""What is asked of every server, and by every client: queries and retrievals, with what has to come of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicomio import PATIENT_ROOT, STUDY_ROOT, QueryModel
from dicomio.sop import PATIENT_STUDY_ONLY
from tests.interop.holdings import STUDIES, uid_of

__all__ = ["FIND", "RETRIEVE", "Question", "asked", "expected", "without", "write_identifier"]


@dataclass(frozen=True, slots=True)
class Question:
    """A query, or what to retrieve.

    Attributes:
        name: of the question, to say by it who cannot answer it.
        model: the query model it is asked in.
        level: Query/Retrieve Level.
        keys: matching keys by keyword; the unique key of the level is asked for as well.
        expected: names of the entities that are to be found, or of the instances that are to be retrieved; sorted.
    """

    name: str
    model: QueryModel
    level: str
    keys: Mapping[str, Any]
    expected: Sequence[str]

    def identifier(self) -> Dataset:
        """The identifier of the request."""
        ds = Dataset()
        if self.level:
            ds.QueryRetrieveLevel = self.level
            setattr(ds, _UNIQUE_KEYS[self.level], "")
        for keyword, value in self.keys.items():
            setattr(ds, keyword, value)
        return ds


_UNIQUE_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


def asked(questions: Iterable[Question], names: Sequence[str]) -> list[Question]:
    """The questions of these names."""
    return [question for question in questions if question.name in names]


def without(questions: Iterable[Question], names: Sequence[str]) -> list[Question]:
    """The other questions."""
    return [question for question in questions if question.name not in names]


def expected(questions: Iterable[Question]) -> dict[str, list[str]]:
    """What is to be found by each question."""
    return {question.name: list(question.expected) for question in questions}


def write_identifier(question: Question, path: Path) -> None:
    """Writes the identifier into a DICOM file, for programs that read it from one."""
    ds = question.identifier()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(question.model.find or question.model.move or "")
    ds.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    ds.save_as(path, enforce_file_format=True)


def _uids(*names: str) -> list[str]:
    return [uid_of(name) for name in names]


_CHEST = {"PatientID": "ALPHA1", "StudyInstanceUID": uid_of("chest")}
_CHEST_CT = {**_CHEST, "SeriesInstanceUID": uid_of("chest/1")}
_KNEE = {"PatientID": "ALPHA2", "StudyInstanceUID": uid_of("knee"), "SeriesInstanceUID": uid_of("knee/1")}

_PATIENTS = ["ALPHA1", "ALPHA2", "BETA1", "DELTA1", "GAMMA1"]
_CHEST_INSTANCES = ["chest/1/1", "chest/1/2", "chest/2/1"]

FIND: Sequence[Question] = (
    Question("every patient", PATIENT_ROOT, "PATIENT", {}, _PATIENTS),
    Question("asterisk", PATIENT_ROOT, "PATIENT", {"PatientID": "A*1"}, ["ALPHA1"]),
    Question("question mark", PATIENT_ROOT, "PATIENT", {"PatientID": "ALPHA?"}, ["ALPHA1", "ALPHA2"]),
    Question("wildcard in a name", PATIENT_ROOT, "PATIENT", {"PatientName": "Adam*"}, ["ALPHA1", "ALPHA2"]),
    Question("whole name", PATIENT_ROOT, "PATIENT", {"PatientName": "Adams^Anna"}, ["ALPHA1"]),
    Question("nobody", PATIENT_ROOT, "PATIENT", {"PatientID": "OMEGA"}, []),
    Question("studies of a patient", PATIENT_ROOT, "STUDY", {"PatientID": "ALPHA1"}, ["chest", "head"]),
    Question("series below a patient", PATIENT_ROOT, "SERIES", _CHEST, ["chest/1", "chest/2"]),
    Question("images below a patient", PATIENT_ROOT, "IMAGE", _CHEST_CT, ["chest/1/1", "chest/1/2"]),
    Question("patients only", PATIENT_STUDY_ONLY, "PATIENT", {"PatientID": "ALPHA*"}, ["ALPHA1", "ALPHA2"]),
    Question("studies only", PATIENT_STUDY_ONLY, "STUDY", {"PatientID": "ALPHA1"}, ["chest", "head"]),
    Question("every study", STUDY_ROOT, "STUDY", {"PatientName": ""}, sorted(STUDIES)),
    Question("study of a number", STUDY_ROOT, "STUDY", {"AccessionNumber": "A3"}, ["knee"]),
    Question("date", STUDY_ROOT, "STUDY", {"StudyDate": "20211231"}, ["knee"]),
    Question("dates between", STUDY_ROOT, "STUDY", {"StudyDate": "20210101-20211231"}, ["head", "knee"]),
    Question("dates until", STUDY_ROOT, "STUDY", {"StudyDate": "-20210615"}, ["chest", "head"]),
    Question("dates from", STUDY_ROOT, "STUDY", {"StudyDate": "20220302-"}, ["german", "japanese"]),
    Question("times between", STUDY_ROOT, "STUDY", {"StudyTime": "120000-143000"}, ["german", "head", "japanese"]),
    Question("list of studies", STUDY_ROOT, "STUDY", {"StudyInstanceUID": _uids("head", "knee")}, ["head", "knee"]),
    Question("modalities", STUDY_ROOT, "STUDY", {"ModalitiesInStudy": "CT"}, ["chest", "knee"]),
    Question(
        "several keys",
        STUDY_ROOT,
        "STUDY",
        {"PatientName": "Adam*", "StudyDate": "20210101-", "PatientSex": "F"},
        ["head"],
    ),
    Question(
        "series of a modality",
        STUDY_ROOT,
        "SERIES",
        {"StudyInstanceUID": uid_of("chest"), "Modality": "CT"},
        ["chest/1"],
    ),
    Question(
        "image of a number",
        STUDY_ROOT,
        "IMAGE",
        {"StudyInstanceUID": uid_of("knee"), "SeriesInstanceUID": uid_of("knee/1"), "InstanceNumber": "2"},
        ["knee/1/2"],
    ),
    Question(
        "list of images",
        STUDY_ROOT,
        "IMAGE",
        {
            "StudyInstanceUID": uid_of("chest"),
            "SeriesInstanceUID": uid_of("chest/1"),
            "SOPInstanceUID": _uids("chest/1/1", "chest/1/2"),
        },
        ["chest/1/1", "chest/1/2"],
    ),
    Question(
        "Latin 1", STUDY_ROOT, "STUDY", {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Äneas*"}, ["german"]
    ),
    Question(
        "UTF-8",
        STUDY_ROOT,
        "STUDY",
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Wang*=王^小東*"},
        ["chinese"],
    ),
    Question(
        "ISO 2022",
        STUDY_ROOT,
        "STUDY",
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada*=山田*=やまだ*"},
        ["japanese"],
    ),
)
"""Queries of all levels, by every kind of matching (PS3.4 C.2.2.2)."""

RETRIEVE: Sequence[Question] = (
    Question("patient", PATIENT_ROOT, "PATIENT", {"PatientID": "ALPHA1"}, [*_CHEST_INSTANCES, "head/1/1"]),
    Question("study below a patient", PATIENT_ROOT, "STUDY", _CHEST, _CHEST_INSTANCES),
    Question("study", STUDY_ROOT, "STUDY", {"StudyInstanceUID": uid_of("chest")}, _CHEST_INSTANCES),
    Question(
        "list of studies to retrieve",
        STUDY_ROOT,
        "STUDY",
        {"StudyInstanceUID": _uids("chinese", "japanese")},
        ["chinese/1/1", "japanese/1/1"],
    ),
    Question(
        "series",
        STUDY_ROOT,
        "SERIES",
        {"StudyInstanceUID": uid_of("knee"), "SeriesInstanceUID": uid_of("knee/1")},
        ["knee/1/1", "knee/1/2"],
    ),
    Question(
        "image",
        STUDY_ROOT,
        "IMAGE",
        {
            "StudyInstanceUID": uid_of("knee"),
            "SeriesInstanceUID": uid_of("knee/1"),
            "SOPInstanceUID": uid_of("knee/1/2"),
        },
        ["knee/1/2"],
    ),
    Question(
        "list of images to retrieve",
        PATIENT_ROOT,
        "IMAGE",
        {**_KNEE, "SOPInstanceUID": _uids("knee/1/1", "knee/1/2")},
        ["knee/1/1", "knee/1/2"],
    ),
)
"""Retrievals of all levels, by single UIDs and lists of them (PS3.4 C.4.2.2.1)."""

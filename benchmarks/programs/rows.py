"""What queries find in the benchmarks: studies with fifteen attributes each."""

from pydicom.dataset import Dataset

import dicomio

__all__ = ["KEYS", "row"]

KEYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "StudyDescription",
    "ReferringPhysicianName",
    "InstitutionName",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "QueryRetrieveLevel",
)


def row(number: int) -> Dataset:
    """One study."""
    return dicomio.dataset(
        QueryRetrieveLevel="STUDY",
        PatientName=f"DOE^JOHN^{number}",
        PatientID=f"P{number}",
        PatientBirthDate="19700101",
        PatientSex="O",
        StudyInstanceUID=f"1.2.826.0.1.3680043.9.7.{number}",
        StudyDate="20240131",
        StudyTime="101112",
        StudyID=str(number),
        AccessionNumber=f"A{number}",
        StudyDescription="CT of the chest",
        ReferringPhysicianName="REFERRING^PHYSICIAN",
        InstitutionName="GENERAL HOSPITAL",
        ModalitiesInStudy="CT",
        NumberOfStudyRelatedSeries="3",
    )

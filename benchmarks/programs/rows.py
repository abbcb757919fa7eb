"""What queries find in the benchmarks: studies, or images of one study, with fifteen attributes each."""

from pydicom.dataset import Dataset

import dicomio

__all__ = ["IMAGE_KEYS", "IMAGE_UID", "KEYS", "image", "row"]

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

STUDY_UID = "1.2.826.0.1.3680043.9.7.0"
SERIES_UID = f"{STUDY_UID}.1"
# With the number of an image behind it
IMAGE_UID = f"{SERIES_UID}.1"

# As many attributes for each image; the unique keys of the levels above have to have a value.
IMAGE_KEYS = {
    "QueryRetrieveLevel": "IMAGE",
    "StudyInstanceUID": STUDY_UID,
    "SeriesInstanceUID": SERIES_UID,
    "SOPInstanceUID": "",
    "PatientName": "",
    "PatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyDate": "",
    "StudyTime": "",
    "StudyID": "",
    "AccessionNumber": "",
    "StudyDescription": "",
    "ReferringPhysicianName": "",
    "Modality": "",
}


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


def image(number: int) -> Dataset:
    """One image, without pixels."""
    ds = row(0)
    del ds.QueryRetrieveLevel, ds.ModalitiesInStudy, ds.NumberOfStudyRelatedSeries, ds.InstitutionName
    ds.Modality = "CT"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = f"{IMAGE_UID}.{number}"
    ds.SeriesInstanceUID = SERIES_UID
    return ds

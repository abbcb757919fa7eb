"""What queries find in the benchmarks: studies, images or entries of a worklist, with fifteen attributes each."""

from pydicom.dataset import Dataset

import dicomio
from dicomio.sop import SecondaryCaptureImageStorage

__all__ = [
    "IMAGE_KEYS",
    "IMAGE_UID",
    "KEYS",
    "STEP_KEYS",
    "WORKLIST_KEYS",
    "image",
    "row",
    "stored_study",
    "study_uid",
    "worklist_entry",
]

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

# Nine of a worklist, and six of the step in it.
WORKLIST_KEYS = (
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
)
STEP_KEYS = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
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


def study_uid(number: int) -> str:
    """The Study Instance UID of a study."""
    return f"1.2.826.0.1.3680043.9.7.{number}"


def row(number: int) -> Dataset:
    """One study."""
    return dicomio.dataset(
        QueryRetrieveLevel="STUDY",
        PatientName=f"DOE^JOHN^{number}",
        PatientID=f"P{number}",
        PatientBirthDate="19700101",
        PatientSex="O",
        StudyInstanceUID=study_uid(number),
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
    """One image of the same study as all others, without pixels."""
    return with_image(row(0), SERIES_UID, f"{IMAGE_UID}.{number}")


def stored_study(number: int) -> Dataset:
    """The only image of a study, without pixels."""
    uid = study_uid(number)
    return with_image(row(number), f"{uid}.1", f"{uid}.1.1")


def with_image(ds: Dataset, series_uid: str, uid: str) -> Dataset:
    """A study that has become an image of its own."""
    del ds.QueryRetrieveLevel, ds.ModalitiesInStudy, ds.NumberOfStudyRelatedSeries
    ds.Modality = "CT"
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = uid
    ds.SeriesInstanceUID = series_uid
    return ds


def worklist_entry(number: int) -> Dataset:
    """One entry of a modality worklist."""
    return dicomio.dataset(
        AccessionNumber=f"A{number}",
        ReferringPhysicianName="REFERRING^PHYSICIAN",
        PatientName=f"DOE^JOHN^{number}",
        PatientID=f"P{number}",
        PatientBirthDate="19700101",
        PatientSex="O",
        StudyInstanceUID=study_uid(number),
        RequestedProcedureDescription="CT of the chest",
        RequestedProcedureID=f"R{number}",
        ScheduledProcedureStepSequence={
            "Modality": "CT",
            "ScheduledStationAETitle": "CT1",
            "ScheduledProcedureStepStartDate": "20240131",
            "ScheduledProcedureStepStartTime": "101112",
            "ScheduledProcedureStepDescription": "CT of the chest",
            "ScheduledProcedureStepID": f"S{number}",
        },
    )

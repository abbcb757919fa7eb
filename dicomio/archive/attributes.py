"""Which attributes belong to which level, and how the index keeps them (PS3.4 C.6.1, C.6.2, C.3.4)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio.archive.header import Field, Fields

__all__ = [
    "INSTANCE",
    "PATIENT",
    "SERIES",
    "STUDY",
    "Attributes",
    "dataset",
    "element",
    "key_of",
    "level_of",
    "packed",
    "texts",
    "unpacked",
]

ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)

PATIENT: Final = "PATIENT"
STUDY: Final = "STUDY"
SERIES: Final = "SERIES"
INSTANCE: Final = "IMAGE"


def key_of(keyword: str) -> str:
    """The tag of a keyword as the index writes it: eight hexadecimal digits."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return f"{tag:08X}"


def keys_of(keywords: str) -> frozenset[str]:
    return frozenset(map(key_of, keywords.split()))


PATIENT_KEYS: Final = keys_of("""
    PatientName PatientID IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence
    PatientBirthDate PatientBirthTime PatientSex OtherPatientIDs OtherPatientIDsSequence OtherPatientNames
    PatientBirthName PatientMotherBirthName PatientAddress MilitaryRank BranchOfService
    CountryOfResidence RegionOfResidence PatientTelephoneNumbers EthnicGroup PatientReligiousPreference
    PatientComments PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription ResponsiblePerson
    ResponsiblePersonRole ResponsibleOrganization QualityControlSubject StrainDescription
    PatientIdentityRemoved DeidentificationMethod
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
""")
STUDY_KEYS: Final = keys_of("""
    StudyInstanceUID StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence StudyID StudyDescription
    ReferringPhysicianName ReferringPhysicianIdentificationSequence ConsultingPhysicianName
    PhysiciansOfRecord NameOfPhysiciansReadingStudy ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence
    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence ReferencedStudySequence RequestingService
    PatientAge PatientSize PatientWeight PatientBodyMassIndex MedicalAlerts Allergies SmokingStatus PregnancyStatus
    Occupation AdditionalPatientHistory AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID
    ServiceEpisodeDescription TimezoneOffsetFromUTC PatientSexNeutered RequestingPhysician RequestedProcedureDescription
    ClinicalTrialTimePointID ClinicalTrialTimePointDescription
""")
SERIES_KEYS: Final = keys_of("""
    Modality SeriesInstanceUID SeriesNumber SeriesDate SeriesTime SeriesDescription SeriesDescriptionCodeSequence
    Laterality BodyPartExamined PatientPosition ProtocolName PerformingPhysicianName OperatorsName
    AnatomicalOrientationType PresentationIntentType ReferencedPerformedProcedureStepSequence RequestAttributesSequence
    PerformedProcedureStepID PerformedProcedureStepStartDate PerformedProcedureStepStartTime
    PerformedProcedureStepEndDate PerformedProcedureStepEndTime PerformedProcedureStepDescription
    PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep
    Manufacturer ManufacturerModelName StationName DeviceSerialNumber SoftwareVersions
    InstitutionName InstitutionAddress InstitutionalDepartmentName
    FrameOfReferenceUID PositionReferenceIndicator TreatmentSessionUID ClinicalTrialSeriesID
    ClinicalTrialSeriesDescription
""")
LEVELS: Final[Mapping[str, str]] = {
    **dict.fromkeys(PATIENT_KEYS, PATIENT),
    **dict.fromkeys(STUDY_KEYS, STUDY),
    **dict.fromkeys(SERIES_KEYS, SERIES),
}


def level_of(tag: int) -> str:
    """The level to which an attribute of an object belongs; what is of no other is of the instance."""
    return LEVELS.get(f"{tag:08X}", INSTANCE)


@dataclass(frozen=True, slots=True)
class Attributes:
    """The fields of an object, apart by the rows that keep them; patient and study are one row."""

    study: Fields
    series: Fields
    instance: Fields

    @classmethod
    def split(cls, fields: Fields) -> "Attributes":
        """Takes the fields of an object apart."""
        parts: dict[str, Fields] = {STUDY: {}, SERIES: {}, INSTANCE: {}}
        parts[PATIENT] = parts[STUDY]
        for key, field in fields.items():
            parts[LEVELS.get(key, INSTANCE)][key] = field
        return cls(parts[STUDY], parts[SERIES], parts[INSTANCE])


def packed(fields: Fields) -> str:
    """Fields as text; the same fields give the same text."""
    return ENCODER.encode(fields)


def unpacked(text: str) -> Fields:
    """The fields in a text made by `packed`."""
    fields: Fields = json.loads(text)
    return fields


def element(tag: int, field: Field) -> DataElement:
    """A field as the data element it was."""
    vr, value = field
    if vr == "SQ":
        return DataElement(tag, vr, [dataset(item) for item in value])  # type: ignore[arg-type]  # fields, as it is SQ
    vr = "US" if vr == "US or SS" else vr
    if isinstance(value, list):
        return DataElement(tag, vr, value[0] if len(value) == 1 else value, validation_mode=IGNORE)
    try:
        return DataElement(tag, vr, value, validation_mode=IGNORE)
    except Exception:  # a text that is no number, and whatever else pydicom refuses
        return DataElement(tag, vr, value.split("\\"), already_converted=True)


def dataset(fields: Fields) -> Dataset:
    """Fields as the data set they were."""
    ds = Dataset()
    for key, field in fields.items():
        tag = BaseTag(int(key, 16))
        ds.add(element(tag, field))
    return ds


def texts(fields: Fields) -> Iterable[str]:
    """All texts among the values, however nested."""
    for _, value in fields.values():
        if isinstance(value, str):
            yield value
        else:
            for item in value:
                if isinstance(item, dict):
                    yield from texts(item)

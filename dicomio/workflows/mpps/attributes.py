"""Attributes of a Modality Performed Procedure Step: what PS3.4 Table F.7.2-1 demands of them, and when."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, empty_value_for_VR
from pydicom.dataset import Dataset

from dicomio.errors import Refused
from dicomio.identifiers import dataset
from dicomio.status import Status

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "Lacking",
    "check_values",
    "fill",
    "fill_items",
    "from_worklist",
    "lacking",
    "merge",
    "unsettable",
]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
STATUS: Final = 0x00400252
UTF8: Final = "ISO_IR 192"

# Keyword, then the types of SCU and SCP together: at N-CREATE, at N-SET ("-" is not allowed), and in the final state.
# What is of type 3 throughout is left out, and so are the items of codes.
TABLE = """
    ScheduledStepAttributesSequence                     1  -  1
    >StudyInstanceUID                                   1  -  1
    >ReferencedStudySequence                            2  -  2
    >>ReferencedSOPClassUID                             1  -  1
    >>ReferencedSOPInstanceUID                          1  -  1
    >AccessionNumber                                    2  -  2
    >RequestedProcedureID                               2  -  2
    >RequestedProcedureDescription                      2  -  2
    >ScheduledProcedureStepID                           2  -  2
    >ScheduledProcedureStepDescription                  2  -  2
    >ScheduledProtocolCodeSequence                      2  -  2
    PatientName                                         2  -  2
    PatientID                                           2  -  2
    IssuerOfPatientID                                   3  -  3
    IssuerOfPatientIDQualifiersSequence                 3  -  3
    OtherPatientIDsSequence                             3  -  3
    PatientBirthDate                                    2  -  2
    PatientSex                                          2  -  2
    ReferencedPatientSequence                           2  -  2
    >ReferencedSOPClassUID                              1  -  1
    >ReferencedSOPInstanceUID                           1  -  1
    AdmissionID                                         3  -  3
    IssuerOfAdmissionIDSequence                         3  -  3
    ServiceEpisodeID                                    3  -  3
    IssuerOfServiceEpisodeIDSequence                    3  -  3
    ServiceEpisodeDescription                           3  -  3
    PerformedProcedureStepID                            1  -  1
    PerformedStationAETitle                             1  -  1
    PerformedStationName                                2  -  2
    PerformedLocation                                   2  -  2
    PerformedProcedureStepStartDate                     1  -  1
    PerformedProcedureStepStartTime                     1  -  1
    PerformedProcedureStepStatus                        1  3  1
    PerformedProcedureStepDescription                   2  3  2
    PerformedProcedureTypeDescription                   2  3  2
    ProcedureCodeSequence                               2  3  2
    PerformedProcedureStepEndDate                       2  3  1
    PerformedProcedureStepEndTime                       2  3  1
    Modality                                            1  -  1
    StudyID                                             2  -  2
    PerformedProtocolCodeSequence                       2  3  2
    PerformedSeriesSequence                             2  3  1
    >PerformingPhysicianName                            2  2  2
    >ProtocolName                                       1  1  1
    >OperatorsName                                      2  2  2
    >SeriesInstanceUID                                  1  1  1
    >SeriesDescription                                  2  2  2
    >RetrieveAETitle                                    2  2  2
    >ReferencedImageSequence                            2  2  2
    >>ReferencedSOPClassUID                             1  1  1
    >>ReferencedSOPInstanceUID                          1  1  1
    >ReferencedNonImageCompositeSOPInstanceSequence     2  2  2
    >>ReferencedSOPClassUID                             1  1  1
    >>ReferencedSOPInstanceUID                          1  1  1
"""

# Where the attributes of a performed step come from in the worklist item it fulfils: of the item itself …
PATIENT: Final = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "AdmissionID",
)
REQUESTED: Final = (
    "StudyInstanceUID",
    "ReferencedStudySequence",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)
# … and of its Scheduled Procedure Step Sequence, for the Scheduled Step Attributes Sequence and for the step.
SCHEDULED: Final = (
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledProtocolCodeSequence",
)
PERFORMED: Mapping[str, str] = {
    "Modality": "Modality",
    "ScheduledStationName": "PerformedStationName",
    "ScheduledProcedureStepLocation": "PerformedLocation",
    "ScheduledProcedureStepDescription": "PerformedProcedureStepDescription",
    "ScheduledProtocolCodeSequence": "PerformedProtocolCodeSequence",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A line of PS3.4 Table F.7.2-1.

    Attributes:
        keyword: of the attribute.
        tag: likewise.
        create: its type in an N-CREATE: 1 needs a value, 2 may be empty, 3 may be absent.
        settable: whether an N-SET may change it.
        final: its type once the step is completed or discontinued.
        items: what the items of a sequence contain.
    """

    keyword: str
    tag: int
    create: int
    settable: bool
    final: int
    items: list["Attribute"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lacking:
    """Attributes of type 1 without a value.

    Attributes:
        absent: tags of those that are not there at all.
        empty: tags of those that are empty.
    """

    absent: Sequence[int]
    empty: Sequence[int]


def read_table() -> list[Attribute]:
    """The attributes of a step, those of nested items with their sequences."""
    levels: list[list[Attribute]] = [[]]
    for line in TABLE.strip().splitlines():
        name, create, change, final = line.split()
        keyword = name.lstrip(">")
        del levels[len(name) - len(keyword) + 1 :]
        attribute = Attribute(keyword, tag_for_keyword(keyword) or 0, int(create), change != "-", int(final))
        levels[-1].append(attribute)
        levels.append(attribute.items)
    return levels[0]


ATTRIBUTES: Final = read_table()
FIXED: Final = tuple(attribute.tag for attribute in ATTRIBUTES if not attribute.settable)


def items_of(ds: Dataset, attribute: Attribute) -> Sequence[Dataset]:
    """The items of a sequence; none where it is absent, or something else."""
    if not attribute.items or attribute.tag not in ds or ds[attribute.tag].VR != "SQ":
        return ()
    items: Sequence[Dataset] = ds[attribute.tag].value
    return items


def fill(ds: Dataset, attributes: Sequence[Attribute] = ATTRIBUTES) -> None:
    """Adds the attributes of type 2 that are missing, without a value."""
    for attribute in attributes:
        if attribute.create == 2 and attribute.tag not in ds:
            vr = dictionary_VR(attribute.tag)
            ds.add_new(attribute.tag, vr, empty_value_for_VR(vr))
    fill_items(ds, attributes)


def fill_items(ds: Dataset, attributes: Sequence[Attribute] = ATTRIBUTES) -> None:
    """The same in the items of sequences that are there."""
    for attribute in attributes:
        for item in items_of(ds, attribute):
            fill(item, attribute.items)


def lacking(ds: Dataset, *, final: bool = False) -> Lacking:
    """The attributes of type 1 that have no value.

    Args:
        ds: a step.
        final: whether it is completed or discontinued.
    """
    found = list(without_value(ds, ATTRIBUTES, final))
    return Lacking([tag for tag, is_absent in found if is_absent], [tag for tag, is_absent in found if not is_absent])


def without_value(ds: Dataset, attributes: Sequence[Attribute], final: bool) -> Iterator[tuple[int, bool]]:
    """The tag of each attribute of type 1 that has no value, and whether it is absent."""
    for attribute in attributes:
        is_absent = attribute.tag not in ds
        required = attribute.final if final else attribute.create
        if required == 1 and (is_absent or ds[attribute.tag].is_empty):
            yield attribute.tag, is_absent
        for item in items_of(ds, attribute):
            yield from without_value(item, attribute.items, final)


def unsettable(modifications: Dataset, held: Dataset) -> list[int]:
    """Tags of what an N-SET may not change and would change; many send again what they sent before."""
    return [tag for tag in FIXED if tag in modifications and (tag not in held or modifications[tag] != held[tag])]


def merge(held: Dataset, modifications: Dataset) -> Dataset:
    """A step after an N-SET.

    The N-SET value for Specific Character Set does not replace the previous value (PS3.4 F.7.2.2.3): texts of two
    character sets are held in the one that has both.
    """
    merged = Dataset()
    merged.update(held)
    for element in modifications:
        if element.tag != SPECIFIC_CHARACTER_SET:
            merged[element.tag] = element
    said = modifications.get("SpecificCharacterSet")
    if said and said != held.get("SpecificCharacterSet"):
        merged.SpecificCharacterSet = UTF8
    return merged


def check_values(ds: Dataset) -> None:
    """Decodes every value.

    Raises:
        Refused: one cannot be decoded; "Invalid attribute value" (PS3.7 C.5.4).
    """
    for tag in list(ds.keys()):
        try:
            element = ds[tag]
            nested: Sequence[Dataset] = element.value if element.VR == "SQ" else ()
        except Exception as error:  # whatever pydicom makes of the bytes of a peer
            raise Refused(Status.INVALID_ATTRIBUTE_VALUE, f"{tag} cannot be decoded", offending=[tag]) from error
        for item in nested:
            check_values(item)


def from_worklist(item: Dataset, **elements: object) -> Dataset:
    """Attributes of a step that is to be performed, from the item of a modality worklist (PS3.4 K.6.1.2.2).

    Args:
        item: a match of a worklist query; of several scheduled procedure steps in it the first is meant.
        elements: what is known beside, by keyword; it goes before what the item says.
    """
    step = dataset(ScheduledStepAttributesSequence=[{}])
    related = step.ScheduledStepAttributesSequence[0]
    scheduled = next(iter(item.get("ScheduledProcedureStepSequence") or ()), Dataset())
    copy(item, step, dict(zip(PATIENT, PATIENT, strict=True)))
    copy(item, related, dict(zip(REQUESTED, REQUESTED, strict=True)))
    copy(scheduled, related, dict(zip(SCHEDULED, SCHEDULED, strict=True)))
    copy(scheduled, step, PERFORMED)
    copy(item, step, {"RequestedProcedureCodeSequence": "ProcedureCodeSequence"})
    step.update(dataset(**elements))
    return step


def copy(source: Dataset, target: Dataset, keywords: Mapping[str, str]) -> None:
    """Takes over attributes, as far as they are there, under the names they have in the target."""
    for keyword, name in keywords.items():
        if keyword in source:
            # Information systems say what modalities pass on, whether it is quite a value or not.
            element = source[keyword]
            target.add(DataElement(name, element.VR, element.value, validation_mode=IGNORE))

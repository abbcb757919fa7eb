"""Which attributes a Unified Procedure Step has to have, and when (PS3.4 Table CC.2.5-3)."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomio.datasets import encode
from dicomio.errors import InvalidIdentifier, InvalidInstance, Refused
from dicomio.identifiers import check_identifier
from dicomio.sop import ExplicitVRLittleEndian, UnifiedProcedureStepPush
from dicomio.status import Status
from dicomio.workflows.ups.states import UPSState

__all__ = [
    "PERFORMED",
    "PROGRESS",
    "UNSPECIFIED_REASON",
    "Code",
    "checked",
    "code_item",
    "copy_of",
    "created",
    "date_time",
    "fill_cancellation",
    "fitting",
    "items_of",
    "missing_for",
    "modified",
    "scheduled",
    "text_of",
    "without",
]

# A code: its value, the designator of its coding scheme, its meaning.
Code: TypeAlias = tuple[str, str, str]

# PS3.16 CID 9300: Discontinued for unspecified reason.
UNSPECIFIED_REASON: Final[Code] = ("110513", "DCM", "Discontinued for unspecified reason")

PROGRESS: Final = "ProcedureStepProgressInformationSequence"
PERFORMED: Final = "UnifiedProcedureStepPerformedProcedureSequence"

# PS3.5 6.1.2.3: UTF-8, which everything that was said in another repertoire can be said in.
UTF8: Final = "ISO_IR 192"

# PS3.4 Table CC.2.5-3, where it asks for anything. N-CREATE: 1 a value, 2 a value or none, 0 created without a value.
# N-SET: 1 not without a value, 2 with or without, - not at all. Final state (Table CC.2.5-1): R a value is needed for
# both, P for COMPLETED, X for CANCELED, p as P but may be a sequence without items; > is an attribute of each item of
# the sequence above. Enumerated values of PS3.3 C.30 last.
TABLE: Final = """
    TransactionUID                                   0 2 O
    SOPClassUID                                      - - R
    SOPInstanceUID                                   - - R
    ScheduledProcedureStepPriority                   1 1 R HIGH MEDIUM LOW
    ScheduledProcedureStepModificationDateTime       - - R
    ProcedureStepLabel                               1 1 O
    WorklistLabel                                    2 1 O
    ScheduledProcessingParametersSequence            2 2 O
    ScheduledStationNameCodeSequence                 2 2 O
    ScheduledStationClassCodeSequence                2 2 O
    ScheduledStationGeographicLocationCodeSequence   2 2 O
    ScheduledProcedureStepStartDateTime              1 1 R
    ScheduledWorkitemCodeSequence                    2 2 O
    CommentsOnTheScheduledProcedureStep              2 2 O
    InputReadinessState                              1 1 R READY UNAVAILABLE INCOMPLETE
    InputInformationSequence                         2 2 O
    PatientName                                      2 - O
    PatientID                                        2 - O
    IssuerOfPatientID                                2 - O
    IssuerOfPatientIDQualifiersSequence              2 - O
    OtherPatientIDsSequence                          2 2 O
    PatientBirthDate                                 2 - O
    PatientSex                                       2 - O
    AdmissionID                                      2 - O
    IssuerOfAdmissionIDSequence                      2 - O
    AdmittingDiagnosesDescription                    2 - O
    AdmittingDiagnosesCodeSequence                   2 - O
    ReferencedRequestSequence                        2 - O
    ProcedureStepState                               1 - R
    ProcedureStepProgressInformationSequence         0 2 X
    >ProcedureStepCancellationDateTime               - 2 X
    >ProcedureStepDiscontinuationReasonCodeSequence  - 2 X
    UnifiedProcedureStepPerformedProcedureSequence   0 2 P
    >PerformedStationNameCodeSequence                - 2 P
    >PerformedProcedureStepStartDateTime             - 2 P
    >PerformedWorkitemCodeSequence                   - 2 P
    >PerformedProcedureStepEndDateTime               - 2 P
    >OutputInformationSequence                       - 2 p
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    keyword: str
    tag: int
    create: str
    set: str
    final: str
    values: Sequence[str] = ()
    within: str = ""


def read_table() -> Iterator[Row]:
    above = ""
    for line in TABLE.strip().splitlines():
        name, create, set_, final, *values = line.split()
        keyword = name.lstrip(">")
        within = above if name != keyword else ""
        tag = tag_for_keyword(keyword)
        assert tag is not None
        yield Row(keyword, tag, create, set_, final, values, within)
        above = within or keyword


ROWS: Final = tuple(read_table())
TOP: Final = tuple(row for row in ROWS if not row.within)
WITHIN: Final[Mapping[str, Sequence[Row]]] = {
    sequence: [row for row in ROWS if row.within == sequence] for sequence in (PROGRESS, PERFORMED)
}


def date_time(moment: datetime) -> str:
    """A moment as a value of DT (PS3.5 6.2)."""
    return f"{moment:%Y%m%d%H%M%S%z}"


def code_item(code: Code) -> Dataset:
    """A code as an item of a code sequence (PS3.3 Table 8.8-1)."""
    value, scheme, meaning = code[:3]
    item = Dataset()
    if value.startswith(("urn:", "http:", "https:")):
        item.URNCodeValue = value
    elif len(value) > 16:
        item.LongCodeValue = value
    else:
        item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def text_of(ds: Dataset, keyword: str) -> str:
    """A value as a text, empty where there is none."""
    value = ds.get(keyword)
    return "" if value is None else str(value).strip(" \0")


def items_of(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence, none where there is no such sequence."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in ds or ds[tag].VR != "SQ":
        return ()
    return list(ds[tag].value)


def without(ds: Dataset, *keywords: str) -> Dataset:
    """A data set of its own without some attributes; setting others in it does not change the first."""
    left_out = {tag_for_keyword(keyword) for keyword in keywords}
    return Dataset({tag: copy(ds[tag]) for tag in ds.keys() if tag not in left_out})


def copy_of(ds: Dataset) -> Dataset:
    """A data set of its own with the same attributes."""
    return without(ds)


def checked(ds: Dataset) -> Dataset:
    """A data set of a peer whose elements have all been decoded.

    Raises:
        Refused: one cannot be, or has another VR than the data dictionary says; Invalid Attribute Value (PS3.7 C.5.5).
    """
    try:
        check_identifier(ds, ())
    except InvalidIdentifier as error:
        raise Refused(Status.INVALID_ATTRIBUTE_VALUE, error.comment, offending=error.offending) from error
    return ds


def fitting(step: Dataset, largest: int) -> Dataset:
    """A step, if it can be kept.

    Args:
        step: with all its attributes.
        largest: bytes that it may have when it is encoded.

    Raises:
        Refused: it has more, or a value that cannot be told to anybody.
    """
    try:
        size = len(encode(step, ExplicitVRLittleEndian))
    except InvalidInstance as error:
        raise Refused(Status.INVALID_ATTRIBUTE_VALUE, str(error)) from error
    if size > largest:
        raise Refused(Status.RESOURCE_LIMITATION, f"a procedure step may have {largest} bytes, not {size}")
    return step


# N-CREATE


def scheduled(attributes: Dataset, now: datetime) -> Dataset:
    """The attributes with which an SCU has a step created; those that may be left to us are filled in.

    The priority is MEDIUM, the start now and the input READY where nothing else is said. What may be empty is.
    """
    step = copy_of(attributes)
    step.ProcedureStepState = UPSState.SCHEDULED.value
    step.setdefault("ScheduledProcedureStepPriority", "MEDIUM")
    step.setdefault("ScheduledProcedureStepStartDateTime", date_time(now))
    step.setdefault("InputReadinessState", "READY")
    for row in TOP:
        if row.create in "02" and row.tag not in step:
            step.add(empty(row))
    return step


def created(attributes: Dataset, uid: str, worklist_label: str, now: datetime) -> tuple[Dataset, bool]:
    """A new step as an SCU wants it (PS3.4 CC.2.5.3).

    Args:
        attributes: of the N-CREATE, all decoded.
        uid: SOP Instance UID.
        worklist_label: Worklist Label (0074,1202) where the SCU gives none.
        now: Scheduled Procedure Step Modification DateTime (0040,4010).

    Returns:
        The step, and whether something in it is not as it was wanted.

    Raises:
        Refused: its state is not SCHEDULED, an attribute is missing, has no value or one that it cannot have.
    """
    require([row for row in TOP if row.create == "1" and row.tag not in attributes], Status.MISSING_ATTRIBUTE)
    if text_of(attributes, "ProcedureStepState") != UPSState.SCHEDULED:
        raise Refused(Status.UPS_NOT_CREATED_SCHEDULED, offending=[tag_of("ProcedureStepState")])
    check_values(attributes, [row for row in TOP if row.create == "1"])
    step, modified = copy_of(attributes), False
    for row in TOP:
        if row.create in "02" and (row.tag not in step or (row.create == "0" and not is_empty(step, row.keyword))):
            step.add(empty(row))
            modified = True
    if is_empty(step, "WorklistLabel"):
        step.WorklistLabel = worklist_label
    step.SOPClassUID, step.SOPInstanceUID = UnifiedProcedureStepPush, uid
    step.ScheduledProcedureStepModificationDateTime = date_time(now)
    return step, modified


# N-SET


def modified(step: Dataset, modifications: Dataset, now: datetime) -> Dataset:
    """A step with other values of some attributes; the old one is left as it is (PS3.4 CC.2.6.3).

    Args:
        step: as it is.
        modifications: of the N-SET, all decoded, without Transaction UID.
        now: Scheduled Procedure Step Modification DateTime (0040,4010).

    Raises:
        Refused: an attribute cannot be set, or has no value or one that it cannot have. Then none is set.
    """
    if text_of(modifications, "ProcedureStepState") == UPSState.SCHEDULED:
        raise Refused(Status.UPS_SCHEDULED_ONLY_BY_CREATE, offending=[tag_of("ProcedureStepState")])
    fixed = [row for row in TOP if row.set == "-" and differs(step, modifications, row)]
    require(fixed, Status.INVALID_ATTRIBUTE_VALUE, "cannot be set")
    check_values(modifications, [row for row in TOP if row.set == "1" and row.tag in modifications])
    result = copy_of(step)
    for tag in modifications.keys():
        result.add(modifications[tag])
    if text_of(modifications, "SpecificCharacterSet") != text_of(step, "SpecificCharacterSet"):
        result.SpecificCharacterSet = UTF8
    result.ScheduledProcedureStepModificationDateTime = date_time(now)
    return result


def differs(step: Dataset, modifications: Dataset, row: Row) -> bool:
    """Whether an attribute is to get another value than it has."""
    return row.tag in modifications and (row.tag not in step or step[row.tag] != modifications[row.tag])


# final states


def fill_cancellation(step: Dataset, now: datetime, information: Dataset | None = None) -> Dataset:
    """A step that is to be canceled, with what is said about that and has not been said yet.

    The SCP "shall fill" Procedure Step Cancellation DateTime "with the current datetime" (PS3.4 Table CC.2.5-3), and a
    step may be canceled "with two N-ACTIONS … and no N-SETs" (CC.2.5.1.3.2), hence with a reason that is unspecified.

    Args:
        step: as it is.
        now: Procedure Step Cancellation DateTime (0040,4052).
        information: of a cancel request, with reasons.
    """
    given = information or Dataset()
    progress = copy_of(next(iter(items_of(step, PROGRESS)), Dataset()))
    if is_empty(progress, "ProcedureStepCancellationDateTime"):
        progress.ProcedureStepCancellationDateTime = date_time(now)
    if is_empty(progress, "ProcedureStepDiscontinuationReasonCodeSequence"):
        reasons = items_of(given, "ProcedureStepDiscontinuationReasonCodeSequence")
        progress.ProcedureStepDiscontinuationReasonCodeSequence = list(reasons) or [code_item(UNSPECIFIED_REASON)]
    if is_empty(progress, "ReasonForCancellation") and not is_empty(given, "ReasonForCancellation"):
        progress.ReasonForCancellation = given.ReasonForCancellation
    result = copy_of(step)
    result.ProcedureStepProgressInformationSequence = [progress]
    return result


def missing_for(step: Dataset, state: UPSState) -> Sequence[str]:
    """Keywords of the attributes that need a value before a step may be in a final state (PS3.4 CC.2.5.1.1)."""
    codes = "RP" if state is UPSState.COMPLETED else "RX"
    missing = [row.keyword for row in TOP if row.final in codes and is_empty(step, row.keyword)]
    for sequence, rows in WITHIN.items():
        needed = [row for row in rows if row.final.upper() in codes]
        for item in items_of(step, sequence) if needed else ():
            missing += [row.keyword for row in needed if lacks(item, row)]
    return missing


def lacks(item: Dataset, row: Row) -> bool:
    """Whether an item does not have what the final state needs."""
    return row.tag not in item if row.final == "p" else is_empty(item, row.keyword)


# pieces


def tag_of(keyword: str) -> int:
    return next(row.tag for row in ROWS if row.keyword == keyword)


def empty(row: Row) -> DataElement:
    return DataElement(row.tag, dictionary_VR(row.tag), [] if row.keyword.endswith("Sequence") else "")


def is_empty(ds: Dataset, keyword: str) -> bool:
    """Whether an attribute is missing or has no value."""
    return not (items_of(ds, keyword) if keyword.endswith("Sequence") else text_of(ds, keyword))


def check_values(ds: Dataset, rows: Sequence[Row]) -> None:
    """Refuses attributes without the value that they need, or with one that they cannot have."""
    require([row for row in rows if is_empty(ds, row.keyword)], Status.MISSING_ATTRIBUTE_VALUE)
    wrong = [row for row in rows if row.values and text_of(ds, row.keyword) not in row.values]
    require(wrong, Status.INVALID_ATTRIBUTE_VALUE)


def require(rows: Sequence[Row], status: Status, what: str = "") -> None:
    """Refuses what these attributes are to blame for."""
    if rows:
        comment = f"{', '.join(row.keyword for row in rows)} {what}".strip()
        raise Refused(status, comment, offending=[row.tag for row in rows])

"""What is reported of Unified Procedure Steps, on both sides (PS3.4 CC.2.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pydicom.dataset import Dataset

from dicomio.config import Address
from dicomio.errors import Refused
from dicomio.requests import EventReport
from dicomio.sop import UPSGlobalSubscriptionInstance
from dicomio.status import Status
from dicomio.workflows.ups.attributes import PROGRESS, checked, items_of, text_of
from dicomio.workflows.ups.states import UPSState

__all__ = [
    "SCPStatusChange",
    "UPSAssigned",
    "UPSCancelRequested",
    "UPSEvent",
    "UPSProgressReport",
    "UPSStateReport",
    "assigned",
    "cancel_requested",
    "changes",
    "progress_report",
    "read_event",
    "state_report",
    "status_change",
]

# What a cancel request tells, and its report passes on.
CANCEL_REQUEST: Final = (
    "ReasonForCancellation",
    "ProcedureStepDiscontinuationReasonCodeSequence",
    "ContactURI",
    "ContactDisplayName",
)


@dataclass(frozen=True, slots=True)
class UPSEvent:
    """Something that happened to a Unified Procedure Step, or to who manages it.

    Attributes:
        uid: SOP Instance UID of the step.
        information: Event Information as it was reported.
        peer: who reported it; `None` where that is this process.
    """

    event_type: ClassVar[int] = 0

    uid: str
    information: Dataset
    peer: Address | None = None

    def __str__(self) -> str:
        return f"{type(self).__name__} of {self.uid}"


class UPSStateReport(UPSEvent):
    """UPS State Report: the step is in another state, or this is what we are told first of it."""

    __slots__ = ()
    event_type = 1

    @property
    def state(self) -> UPSState:
        """Procedure Step State (0074,1000)."""
        return UPSState(text_of(self.information, "ProcedureStepState"))

    @property
    def input_readiness(self) -> str:
        """Input Readiness State (0040,4041): READY, UNAVAILABLE or INCOMPLETE."""
        return text_of(self.information, "InputReadinessState")

    @property
    def reason(self) -> str:
        """Reason For Cancellation (0074,1238), empty where there is none."""
        return text_of(self.information, "ReasonForCancellation")

    def __str__(self) -> str:
        return f"{self.uid} is {text_of(self.information, 'ProcedureStepState')}"


class UPSCancelRequested(UPSEvent):
    """UPS Cancel Requested: somebody would like the step to be canceled; that is up to its performer."""

    __slots__ = ()
    event_type = 2

    @property
    def requesting_ae(self) -> str:
        """Requesting AE (0074,1236)."""
        return text_of(self.information, "RequestingAE")

    @property
    def reason(self) -> str:
        """Reason For Cancellation (0074,1238), empty where there is none."""
        return text_of(self.information, "ReasonForCancellation")

    @property
    def contact(self) -> str:
        """Who may be asked about it: Contact Display Name (0074,100C), or else Contact URI (0074,100A)."""
        return text_of(self.information, "ContactDisplayName") or text_of(self.information, "ContactURI")


class UPSProgressReport(UPSEvent):
    """UPS Progress Report: how far the step has got."""

    __slots__ = ()
    event_type = 3

    @property
    def progress(self) -> float | None:
        """Procedure Step Progress (0074,1004) in percent, where it is told."""
        text = self._told("ProcedureStepProgress")
        try:
            return float(text)
        except ValueError:
            return None

    @property
    def description(self) -> str:
        """Procedure Step Progress Description (0074,1006), empty where there is none."""
        return self._told("ProcedureStepProgressDescription")

    def _told(self, keyword: str) -> str:
        return "".join(text_of(item, keyword) for item in items_of(self.information, PROGRESS)[:1])


class SCPStatusChange(UPSEvent):
    """SCP Status Change: who manages the steps has been restarted, or is about to go down."""

    __slots__ = ()
    event_type = 4

    @property
    def status(self) -> str:
        """SCP Status (0074,1242): RESTARTED or GOING DOWN."""
        return text_of(self.information, "SCPStatus")

    @property
    def subscriptions_lost(self) -> bool:
        """Whether one has to subscribe again: Subscription List Status (0074,1244) is COLD START."""
        return text_of(self.information, "SubscriptionListStatus").startswith("COLD")

    @property
    def steps_lost(self) -> bool:
        """Whether steps have to be created again: Unified Procedure Step List Status (0074,1246) is COLD START."""
        return text_of(self.information, "UnifiedProcedureStepListStatus").startswith("COLD")


class UPSAssigned(UPSEvent):
    """UPS Assigned: where, or by whom the step is to be performed."""

    __slots__ = ()
    event_type = 5

    @property
    def stations(self) -> Sequence[Dataset]:
        """Scheduled Station Name Code Sequence (0040,4025)."""
        return items_of(self.information, "ScheduledStationNameCodeSequence")

    @property
    def performers(self) -> Sequence[Dataset]:
        """Human Performer Code Sequence (0040,4009)."""
        return items_of(self.information, "HumanPerformerCodeSequence")


EVENTS: Final[Mapping[int, type[UPSEvent]]] = {
    kind.event_type: kind
    for kind in (UPSStateReport, UPSCancelRequested, UPSProgressReport, SCPStatusChange, UPSAssigned)
}


def read_event(request: EventReport) -> UPSEvent:
    """What an N-EVENT-REPORT reports.

    Raises:
        Refused: it has no event type of PS3.4 Table CC.2.4-1, or a state that there is not.
    """
    kind = EVENTS.get(request.event_type)
    if kind is None:
        raise Refused(Status.NO_SUCH_EVENT_TYPE, f"UPS events have types 1 to 5, not {request.event_type}")
    event = kind(request.sop_instance_uid, checked(request.information), request.peer)
    if isinstance(event, UPSStateReport) and text_of(event.information, "ProcedureStepState") not in list(UPSState):
        raise Refused(Status.INVALID_ARGUMENT_VALUE, "Procedure Step State is none of the four")
    return event


# as SCP


def state_report(step: Dataset) -> UPSStateReport:
    """The report of the state that a step is in."""
    information = picked(step, "ProcedureStepState", "InputReadinessState")
    if step.ProcedureStepState == UPSState.CANCELED:
        for item in items_of(step, PROGRESS)[:1]:
            information.update(picked(item, *CANCEL_REQUEST[:2]))
    return UPSStateReport(step.SOPInstanceUID, with_charset(step, information))


def cancel_requested(uid: str, information: Dataset, requesting_ae: str) -> UPSCancelRequested:
    """The report of a cancel request.

    Args:
        uid: of the step.
        information: Action Information of the request.
        requesting_ae: AE title of who requested it.
    """
    told = with_charset(information, picked(information, *CANCEL_REQUEST))
    told.RequestingAE = requesting_ae
    return UPSCancelRequested(uid, told)


def progress_report(step: Dataset) -> UPSProgressReport:
    """The report of how far a step has got."""
    return UPSProgressReport(step.SOPInstanceUID, with_charset(step, picked(step, PROGRESS)))


def assigned(step: Dataset) -> UPSAssigned | None:
    """The report of where and by whom a step is to be performed; `None` where that is open."""
    information = picked(step, "ScheduledStationNameCodeSequence")
    performers = items_of(step, "ScheduledHumanPerformersSequence")
    codes = [code for performer in performers for code in items_of(performer, "HumanPerformerCodeSequence")]
    if codes:
        information.HumanPerformerCodeSequence = codes
    for performer in performers[:1]:
        information.update(picked(performer, "HumanPerformerOrganization"))
    return UPSAssigned(step.SOPInstanceUID, with_charset(step, information)) if information else None


def status_change(status: str, *, subscriptions_kept: bool, steps_kept: bool) -> SCPStatusChange:
    """The report that the SCP has been restarted, or goes down.

    Args:
        status: RESTARTED or GOING DOWN.
        subscriptions_kept: whether it knows its subscribers as before.
        steps_kept: whether it has the steps that it had.
    """
    information = Dataset()
    information.SCPStatus = status
    information.SubscriptionListStatus = "WARM START" if subscriptions_kept else "COLD START"
    information.UnifiedProcedureStepListStatus = "WARM START" if steps_kept else "COLD START"
    return SCPStatusChange(UPSGlobalSubscriptionInstance, information)


def changes(before: Dataset, after: Dataset) -> Sequence[UPSEvent]:
    """What is to be reported of a step that was modified (PS3.4 CC.2.4.3)."""
    events: list[UPSEvent | None] = []
    if differ(before, after, "ProcedureStepState", "InputReadinessState"):
        events.append(state_report(after))
    if differ(before, after, "ScheduledStationNameCodeSequence", "ScheduledHumanPerformersSequence"):
        events.append(assigned(after))
    told = "ProcedureStepProgress", "ProcedureStepProgressDescription", "ProcedureStepCommunicationsURISequence"
    old, new = first_item(before, PROGRESS), first_item(after, PROGRESS)
    if differ(old, new, *told):
        events.append(progress_report(after))
    return [event for event in events if event is not None]


def differ(before: Dataset, after: Dataset, *keywords: str) -> bool:
    """Whether one of some attributes has another value."""
    return any(before.get(keyword) != after.get(keyword) for keyword in keywords)


def first_item(ds: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence; one without attributes where there is none."""
    return next(iter(items_of(ds, keyword)), Dataset())


def picked(ds: Dataset, *keywords: str) -> Dataset:
    """Those of some attributes that have a value."""
    picked = Dataset()
    for keyword in keywords:
        if keyword in ds and not ds[keyword].is_empty:
            picked.add(ds[keyword])
    return picked


def with_charset(source: Dataset, ds: Dataset) -> Dataset:
    """The data set with the character set of the one that its values come from."""
    ds.update(picked(source, "SpecificCharacterSet"))
    return ds

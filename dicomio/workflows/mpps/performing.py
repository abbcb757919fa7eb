"""A procedure step that this side performs (PS3.4 F.7, as SCU)."""

import copy
import logging
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TypeAlias

import anyio
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio.association import Association
from dicomio.client import Client
from dicomio.errors import DicomError, LocalProtocolError
from dicomio.identifiers import dataset
from dicomio.sop import ModalityPerformedProcedureStep, name_of
from dicomio.workflows.mpps.attributes import FIXED, STATUS, UTF8, fill, fill_items, lacking, merge
from dicomio.workflows.mpps.states import StepState

__all__ = ["Code", "PerformedStep", "performed_step"]

logger = logging.getLogger("dicomio.mpps")

# Code Value, Coding Scheme Designator, Code Meaning; what follows in pydicom's codes is passed over.
Code: TypeAlias = tuple[str, str, str] | tuple[str, str, str, str | None]

# PS3.16 CID 9300
UNSPECIFIED: Final = ("110513", "DCM", "Discontinued for unspecified reason")


class PerformedStep:
    """A procedure step that this side performs; `performed_step` makes one.

    Attributes:
        uid: its SOP Instance UID, for the images' Referenced Performed Procedure Step Sequence.
        attributes: all that is known of it; what `add` and `update` changed is in there.
        state: `None` until the peer knows of it.
        reason: why it is discontinued where the block is left by an exception: code, coding scheme and meaning
            (PS3.16 CID 9300).
    """

    def __init__(self, user: Client | Association, attributes: Dataset, uid: str | None, timeout: float | None) -> None:
        self.user = user
        self.uid = uid or str(generate_uid())
        self.attributes = copy.deepcopy(attributes)
        self.state: StepState | None = None
        self.reason: Code = UNSPECIFIED
        self.timeout = timeout

    async def __aenter__(self) -> Self:
        self.start()
        await self.user.n_create(ModalityPerformedProcedureStep, self.uid, self.attributes)
        self.state = StepState.IN_PROGRESS
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.state is not StepState.IN_PROGRESS:
            return
        if exc is None:
            await self.complete()
            return
        try:
            # A cancelled task says so too, before it ends.
            with anyio.fail_after(self.timeout, shield=True):
                await self.discontinue()
        except (DicomError, TimeoutError, ValueError) as error:
            logger.warning("procedure step %s could not be discontinued: %s", self.uid, error)

    def start(self) -> None:
        """Adds what an N-CREATE needs and what follows from the circumstances.

        Raises:
            ValueError: something is missing that only the caller knows, or it is not to begin with.
        """
        now, title = datetime.now(), self.user.ae_title if isinstance(self.user, Client) else self.user.local.ae_title
        known: dict[str, object] = {
            # PS3.4 F.7.2.2.1: what comes by N-SET has to be in the same character set.
            "SpecificCharacterSet": UTF8,
            "PerformedProcedureStepStatus": StepState.IN_PROGRESS,
            "PerformedProcedureStepID": f"{now:%y%m%d%H%M%S%f}"[:16],
            "PerformedStationAETitle": title,
            "PerformedProcedureStepStartDate": f"{now:%Y%m%d}",
            "PerformedProcedureStepStartTime": f"{now:%H%M%S}",
            # PS3.4 Table F.7.2-1 note 5: it can be set later only if it is created now.
            "PerformedProcedureStepDiscontinuationReasonCodeSequence": None,
        }
        for keyword, value in known.items():
            if not self.attributes.get(keyword):
                self.attributes.update(dataset(**{keyword: value}))
        if self.attributes.PerformedProcedureStepStatus != StepState.IN_PROGRESS:
            raise ValueError("a performed procedure step begins IN PROGRESS (PS3.4 F.7.2.1.2)")
        fill(self.attributes)
        check_complete(self.attributes)

    async def update(self, modifications: Dataset | None = None, /, **elements: object) -> None:
        """Changes attributes (N-SET, PS3.4 F.7.2.2); of a sequence all items are given.

        Args:
            modifications: the attributes that change.
            elements: more of them, by keyword.

        Raises:
            ValueError: an attribute may not be changed, or was not there when the step began.
            LocalProtocolError: the step is not in progress.
            StatusError: the peer answered with a Failure status.
            DicomError: the association is over or could not be opened.
        """
        changes = dataset(**elements)
        changes.update(modifications or Dataset())
        if STATUS in changes:
            raise ValueError("the status changes by complete() and discontinue()")
        await self.set(changes, StepState.IN_PROGRESS)

    async def complete(self, **elements: object) -> None:
        """Sets it COMPLETED, which leaving the block does otherwise.

        Args:
            elements: further attributes that change, by keyword.

        Raises:
            ValueError, LocalProtocolError, StatusError, DicomError: as `update`.
        """
        await self.finish(StepState.COMPLETED, dataset(**elements))

    async def discontinue(self, reason: Code | None = None, **elements: object) -> None:
        """Sets it DISCONTINUED, which leaving the block by an exception does otherwise.

        Args:
            reason: code, coding scheme and meaning (PS3.16 CID 9300); that in `reason` by default.
            elements: further attributes that change, by keyword.

        Raises:
            ValueError, LocalProtocolError, StatusError, DicomError: as `update`.
        """
        value, scheme, meaning = (reason or self.reason)[:3]
        code = {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
        changes = dataset(PerformedProcedureStepDiscontinuationReasonCodeSequence=[code], **elements)
        await self.finish(StepState.DISCONTINUED, changes)

    def add(self, *instances: Dataset) -> None:
        """Notes objects that were created during the step; the peer hears of them with the next change.

        Args:
            instances: data sets, or just SOP Class UID, SOP Instance UID and Series Instance UID of each.

        Raises:
            ValueError: one of these is missing.
            LocalProtocolError: the step is not in progress.
        """
        self.check_in_progress()
        for instance in instances:
            for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"):
                if not instance.get(keyword):
                    raise ValueError(f"an object without {keyword} cannot be referenced")
            reference = dataset(
                ReferencedSOPClassUID=instance.SOPClassUID, ReferencedSOPInstanceUID=instance.SOPInstanceUID
            )
            # PS3.4 F.7.2.2.2 note 2: the distinction of images has no significance any more.
            is_image = "Image" in name_of(instance.SOPClassUID)
            series = self.series_of(instance)
            wanted = "ReferencedImageSequence" if is_image else "ReferencedNonImageCompositeSOPInstanceSequence"
            series[wanted].value.append(reference)

    def series_of(self, instance: Dataset) -> Dataset:
        """The item of the Performed Series Sequence for an object; a new one for the first of a series."""
        sequence = self.attributes.PerformedSeriesSequence
        for series in sequence:
            if series.SeriesInstanceUID == instance.SeriesInstanceUID:
                return series  # type: ignore[no-any-return]  # pydicom's items are data sets
        keywords = ("PerformingPhysicianName", "OperatorsName", "SeriesDescription", "RetrieveAETitle")
        described = {keyword: instance[keyword].value for keyword in keywords if keyword in instance}
        series = dataset(
            SeriesInstanceUID=instance.SeriesInstanceUID,
            ProtocolName=instance.get("ProtocolName") or self.protocol,
            **described,
        )
        sequence.append(series)
        fill_items(self.attributes)
        return series

    def check_in_progress(self) -> None:
        """Raises `LocalProtocolError` where there is nothing (more) to change."""
        if self.state is not StepState.IN_PROGRESS:
            raise LocalProtocolError(f"the procedure step is {(self.state or 'not begun').lower()}")

    @property
    def protocol(self) -> str:
        """Protocol Name of series that say none; one is demanded."""
        return str(self.attributes.PerformedProcedureStepDescription or self.attributes.Modality)

    async def finish(self, state: StepState, changes: Dataset) -> None:
        """Sets a final state, with what is to be known by then (PS3.4 Table F.7.2-1, Final State)."""
        now = datetime.now()
        changes.PerformedProcedureStepStatus = state.value
        known = {"PerformedProcedureStepEndDate": f"{now:%Y%m%d}", "PerformedProcedureStepEndTime": f"{now:%H%M%S}"}
        for keyword, value in known.items():
            if keyword not in changes:
                changes.update(dataset(**{keyword: self.attributes.get(keyword) or value}))
        if "PerformedSeriesSequence" not in changes:
            if not self.attributes.PerformedSeriesSequence:
                # Note 2: a series must exist for every step, though it may contain nothing.
                self.series_of(dataset(SeriesInstanceUID=generate_uid()))
            changes.PerformedSeriesSequence = self.attributes.PerformedSeriesSequence
        await self.set(changes, state)

    async def set(self, changes: Dataset, state: StepState) -> None:
        """Sends an N-SET; what it changes is known here once the peer has taken it."""
        self.check_in_progress()
        for element in changes:
            if element.tag in FIXED or element.tag not in self.attributes:
                why = "may not change" if element.tag in FIXED else "was not there when the step began"
                raise ValueError(f"{element.keyword or element.tag} {why} (PS3.4 Table F.7.2-1)")
        changes.SpecificCharacterSet = self.attributes.SpecificCharacterSet
        fill_items(changes)
        merged = merge(self.attributes, changes)
        check_complete(merged, final=state.is_final)
        await self.user.n_set(ModalityPerformedProcedureStep, self.uid, changes)
        self.attributes, self.state = merged, state


def performed_step(
    user: Client | Association, attributes: Dataset, uid: str | None = None, *, timeout: float | None = 10.0
) -> PerformedStep:
    """A procedure step while it is performed: `async with performed_step(…) as step`.

    Entering the block creates it IN PROGRESS; leaving it sets it COMPLETED, or DISCONTINUED by an exception, which
    goes on its way. Attributes that may be empty need not be given, nor those that follow from the circumstances: ID,
    station, start and end.

    Args:
        user: whom to tell, who is SCP of Modality Performed Procedure Step.
        attributes: of the step; `from_worklist` gets them from the worklist item that is performed. Modality and a
            Scheduled Step Attributes Sequence with a Study Instance UID are needed.
        uid: SOP Instance UID of the step, a new one by default.
        timeout: seconds that telling the peer of an exception may take.

    Raises:
        ValueError: an attribute is missing that has to have a value.
        StatusError: the peer answered with a Failure status.
        NoPresentationContext: the peer does not support the SOP class.
        DicomError: the association is over or could not be opened.
    """
    return PerformedStep(user, attributes, uid, timeout)


def check_complete(ds: Dataset, *, final: bool = False) -> None:
    """Looks whether every attribute of type 1 has a value.

    Raises:
        ValueError: one has none.
    """
    found = lacking(ds, final=final)
    if found.absent or found.empty:
        names = ", ".join(keyword_for_tag(tag) for tag in (*found.absent, *found.empty))
        raise ValueError(f"the procedure step needs {names} (PS3.4 Table F.7.2-1)")

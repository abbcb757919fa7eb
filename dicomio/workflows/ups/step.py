"""A Unified Procedure Step that we perform (PS3.4 CC.2.1.2)."""

import logging
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

import anyio
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio.errors import DicomError, StatusError
from dicomio.identifiers import dataset
from dicomio.services.normalized import Answer
from dicomio.status import Status
from dicomio.workflows.ups.attributes import (
    PERFORMED,
    PROGRESS,
    UNSPECIFIED_REASON,
    Code,
    code_item,
    copy_of,
    date_time,
    items_of,
    text_of,
)
from dicomio.workflows.ups.states import UPSState

__all__ = ["UPSStep"]

logger = logging.getLogger("dicomio.ups")


class Manager(Protocol):
    """Who manages the step; `UPSWorklist` is how to ask it."""

    @property
    def local_ae_title(self) -> str:
        """Our own AE title."""

    async def get(self, uid: str, *attributes: int | str) -> Answer:
        """Reads attributes of a step."""

    async def set(self, uid: str, modifications: Dataset, transaction_uid: str | None = None) -> Answer:
        """Changes attributes of a step."""

    async def change_state(self, uid: str, state: UPSState | str, transaction_uid: str) -> Answer:
        """Changes the state of a step."""


class UPSStep:
    """A step while we perform it: `async with worklist.claim(uid) as step`.

    Entering the block claims it, so that it is IN PROGRESS; leaving it sets it COMPLETED, or CANCELED by an exception,
    which goes on its way. Made by `UPSWorklist.claim`.

    Attributes:
        uid: its SOP Instance UID.
        transaction_uid: what it is locked with. Who keeps it can go on with the step after a crash.
        attributes: what the peer says of it, as of when it was claimed.
        performed: the item of Unified Procedure Step Performed Procedure Sequence (0074,1216) that completing sends;
            add to it what you like.
        progress: the item of Procedure Step Progress Information Sequence (0074,1002) as it was last sent.
        discontinuation: the code of the reason that is told where an exception cancels it, see PS3.16 CID 9300 and
            9301; unspecified unless you say.
        state: SCHEDULED before the block, IN PROGRESS in it, and then how it ended.
    """

    def __init__(
        self,
        manager: Manager,
        uid: str,
        *,
        station: Code | None,
        workitem: Code | None,
        transaction_uid: str | None,
        timeout: float | None,
    ) -> None:
        self.manager = manager
        self.uid = uid
        self.station = station
        self.workitem = workitem
        self.resuming = transaction_uid is not None
        self.transaction_uid = transaction_uid or str(generate_uid())
        self.timeout = timeout
        self.attributes = Dataset()
        self.performed = Dataset()
        self.progress = Dataset()
        self.discontinuation: Code = UNSPECIFIED_REASON
        self.state = UPSState.SCHEDULED

    async def __aenter__(self) -> Self:
        try:
            await self._claim()
            self._begin(await self.manager.get(self.uid))
        except BaseException as error:
            # Where the task is cancelled before the response is there, the step may be ours all the same.
            if self.state is UPSState.IN_PROGRESS or not isinstance(error, Exception):
                await self._cancel_after(error)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.state is not UPSState.IN_PROGRESS:
            return
        if exc is None:
            await self.complete()
        else:
            await self._cancel_after(exc)

    async def update(self, modifications: Dataset | None = None, /, **elements: Any) -> Answer:
        """Changes attributes of the step (PS3.4 CC.2.6).

        Args:
            modifications: the attributes that change.
            elements: more of them, by keyword.

        Raises:
            StatusError: the peer answered with a Failure status.
            ValueError: a keyword is not in the data dictionary.
            DicomError: the association is over or could not be opened.
        """
        changed = dataset(**elements)
        changed.update(modifications or {})
        return await self.manager.set(self.uid, changed, self.transaction_uid)

    async def report(self, percent: float | None = None, description: str = "") -> Answer:
        """Tells how far it has got (PS3.4 CC.2.4.3: subscribers hear of it).

        Args:
            percent: Procedure Step Progress (0074,1004), 0 to 100.
            description: Procedure Step Progress Description (0074,1006).

        Raises:
            StatusError: the peer answered with a Failure status.
            DicomError: the association is over or could not be opened.
        """
        if percent is not None:
            self.progress.ProcedureStepProgress = f"{percent:g}"
        if description:
            self.progress.ProcedureStepProgressDescription = description
        return await self.update(ProcedureStepProgressInformationSequence=self.progress)

    def add(self, *instances: Dataset, retrieve_from: str) -> None:
        """Notes objects that were created: the Output Information Sequence (0040,4033), which completing sends.

        Args:
            instances: data sets, or just SOP Class UID, SOP Instance UID, Study and Series Instance UID of each.
            retrieve_from: AE title of where they can be retrieved.

        Raises:
            ValueError: one of these is missing.
        """
        for instance in instances:
            for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
                if not instance.get(keyword):
                    raise ValueError(f"an object without {keyword} cannot be referenced")
            reference = dataset(
                ReferencedSOPClassUID=instance.SOPClassUID, ReferencedSOPInstanceUID=instance.SOPInstanceUID
            )
            self._series(instance, retrieve_from).ReferencedSOPSequence.append(reference)

    async def complete(self) -> None:
        """Sends what was performed and sets the state to COMPLETED, as leaving the block of `claim` does.

        Raises:
            StatusError: the peer answered with a Failure status; the step stays IN PROGRESS.
            DicomError: the association is over or could not be opened.
        """
        self.performed.PerformedProcedureStepEndDateTime = date_time(datetime.now().astimezone())
        await self.update(UnifiedProcedureStepPerformedProcedureSequence=self.performed)
        await self._end(UPSState.COMPLETED)

    async def cancel(self, reason: str = "", code: Code | None = None) -> None:
        """Sets the state to CANCELED, as an exception in the block of `claim` does.

        Args:
            reason: Reason For Cancellation (0074,1238).
            code: for Procedure Step Discontinuation Reason Code Sequence (0074,100E); `discontinuation` by default.

        Raises:
            StatusError: the peer answered with a Failure status; the step stays IN PROGRESS.
            DicomError: the association is over or could not be opened.
        """
        self.progress.ProcedureStepCancellationDateTime = date_time(datetime.now().astimezone())
        self.progress.ProcedureStepDiscontinuationReasonCodeSequence = [code_item(code or self.discontinuation)]
        if reason:
            self.progress.ReasonForCancellation = reason
        await self.update(ProcedureStepProgressInformationSequence=self.progress)
        await self._end(UPSState.CANCELED)

    async def _end(self, state: UPSState) -> None:
        await self.manager.change_state(self.uid, state, self.transaction_uid)
        self.state = state

    async def _claim(self) -> None:
        try:
            await self.manager.change_state(self.uid, UPSState.IN_PROGRESS, self.transaction_uid)
        except StatusError as error:
            # With the right Transaction UID: it is ours already (PS3.4 Table CC.1.1-2).
            if not self.resuming or error.status != Status.UPS_ALREADY_IN_PROGRESS:
                raise
        self.state = UPSState.IN_PROGRESS

    async def _cancel_after(self, error: BaseException) -> None:
        """Cancels the step because of an exception, which is what its user is to see, whatever else happens."""
        try:
            # A cancelled task says so too, before it ends.
            with anyio.fail_after(self.timeout, shield=True):
                await self.cancel(type(error).__name__)
        except (DicomError, TimeoutError) as failure:
            logger.warning("%s, Transaction UID %s, is not canceled: %s", self.uid, self.transaction_uid, failure)

    def _begin(self, attributes: Dataset) -> None:
        """Takes the step up: what was scheduled is what is performed, until somebody says otherwise."""
        self.attributes = attributes
        self.progress = copy_of(next(iter(items_of(attributes, PROGRESS)), Dataset()))
        self.performed = copy_of(next(iter(items_of(attributes, PERFORMED)), Dataset()))
        title, label = self.manager.local_ae_title, text_of(attributes, "ProcedureStepLabel")
        performed = self.performed
        # L is the coding scheme of what is local (PS3.3 8.2).
        performed.PerformedStationNameCodeSequence = self._codes(
            self.station, "ScheduledStationNameCodeSequence", (title, "L", title)
        )
        performed.PerformedWorkitemCodeSequence = self._codes(
            self.workitem, "ScheduledWorkitemCodeSequence", (label, "L", label)
        )
        performed.setdefault("PerformedProcedureStepStartDateTime", date_time(datetime.now().astimezone()))
        performed.setdefault("OutputInformationSequence", [])

    def _codes(self, said: Code | None, scheduled: str, otherwise: Code) -> list[Dataset]:
        """What was said, or else scheduled, or else what can be."""
        if said is not None:
            return [code_item(said)]
        return list(items_of(self.attributes, scheduled)) or [code_item(otherwise)]

    def _series(self, instance: Dataset, retrieve_from: str) -> Dataset:
        """The item of the output for the series of an object; a new one for the first."""
        outputs = self.performed.OutputInformationSequence
        for item in outputs:
            sources = [text_of(source, "RetrieveAETitle") for source in items_of(item, "DICOMRetrievalSequence")]
            if item.get("SeriesInstanceUID") == instance.SeriesInstanceUID and sources == [retrieve_from]:
                return item  # type: ignore[no-any-return]  # pydicom's items are data sets
        item = dataset(
            TypeOfInstances="DICOM",
            StudyInstanceUID=instance.StudyInstanceUID,
            SeriesInstanceUID=instance.SeriesInstanceUID,
            ReferencedSOPSequence=[],
            DICOMRetrievalSequence={"RetrieveAETitle": retrieve_from},
        )
        outputs.append(item)
        return item

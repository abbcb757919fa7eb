"""A Unified Procedure Step that we perform (PS3.4 CC.2.1.2)."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol

from pydicom.dataset import Dataset

from dicomio.errors import DicomError
from dicomio.identifiers import dataset
from dicomio.services.normalized import Answer
from dicomio.workflows.ups.attributes import (
    PERFORMED,
    PROGRESS,
    UNSPECIFIED_REASON,
    Code,
    code_item,
    date_time,
    items_of,
    text_of,
)
from dicomio.workflows.ups.states import UPSState

__all__ = ["UPSStep"]

logger = logging.getLogger("dicomio.ups")


class Performer(Protocol):
    """How to tell what is done; `UPSWorklist` is one."""

    async def set(self, uid: str, modifications: Dataset, transaction_uid: str | None = None) -> Answer:
        """Changes attributes of a step."""

    async def change_state(self, uid: str, state: UPSState | str, transaction_uid: str) -> Answer:
        """Changes the state of a step."""


class UPSStep:
    """A step that we have claimed; see `UPSWorklist.claim`.

    Attributes:
        uid: its SOP Instance UID.
        transaction_uid: what it is locked with. Who keeps it can go on with the step after a crash.
        attributes: what the peer says of it, as of when it was claimed.
        performed: the item of Unified Procedure Step Performed Procedure Sequence (0074,1216) that completing sends;
            add to it what you like.
        progress: the item of Procedure Step Progress Information Sequence (0074,1002) as it was last sent.
        state: IN PROGRESS, or how it ended.
    """

    def __init__(self, performer: Performer, uid: str, transaction_uid: str) -> None:
        self.performer = performer
        self.uid = uid
        self.transaction_uid = transaction_uid
        self.attributes = Dataset()
        self.performed = Dataset()
        self.progress = Dataset()
        self.state = UPSState.IN_PROGRESS

    async def set(self, modifications: Dataset | None = None, **elements: Any) -> Answer:
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
        return await self.performer.set(self.uid, changed, self.transaction_uid)

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
        return await self.set(ProcedureStepProgressInformationSequence=self.progress)

    def add_output(self, instance: Dataset, retrieve_ae_title: str) -> None:
        """Adds an object that was made to the Output Information Sequence (0040,4033), which completing sends.

        Args:
            instance: its SOP class and instance, study and series.
            retrieve_ae_title: AE title of where it can be retrieved from.
        """
        series = self._series(instance, retrieve_ae_title)
        reference = dataset(
            ReferencedSOPClassUID=instance.SOPClassUID, ReferencedSOPInstanceUID=instance.SOPInstanceUID
        )
        series.ReferencedSOPSequence = [*items_of(series, "ReferencedSOPSequence"), reference]

    async def complete(self) -> None:
        """Sends what was performed and sets the state to COMPLETED, as leaving the block of `claim` does.

        Raises:
            StatusError: the peer answered with a Failure status; the step stays IN PROGRESS.
            DicomError: the association is over or could not be opened.
        """
        self.performed.PerformedProcedureStepEndDateTime = date_time(datetime.now().astimezone())
        await self.set(UnifiedProcedureStepPerformedProcedureSequence=self.performed)
        await self._end(UPSState.COMPLETED)

    async def cancel(self, reason: str = "", code: Code = UNSPECIFIED_REASON) -> None:
        """Sets the state to CANCELED, as an exception in the block of `claim` does.

        Args:
            reason: Reason For Cancellation (0074,1238).
            code: for Procedure Step Discontinuation Reason Code Sequence (0074,100E), see PS3.16 CID 9300 and 9301.

        Raises:
            StatusError: the peer answered with a Failure status; the step stays IN PROGRESS.
            DicomError: the association is over or could not be opened.
        """
        self.progress.ProcedureStepCancellationDateTime = date_time(datetime.now().astimezone())
        self.progress.ProcedureStepDiscontinuationReasonCodeSequence = [code_item(code)]
        if reason:
            self.progress.ReasonForCancellation = reason
        await self.set(ProcedureStepProgressInformationSequence=self.progress)
        await self._end(UPSState.CANCELED)

    async def _end(self, state: UPSState) -> None:
        await self.performer.change_state(self.uid, state, self.transaction_uid)
        self.state = state

    @asynccontextmanager
    async def performing(self) -> AsyncIterator[None]:
        """Ends the step as the block ends, unless it has been ended in it."""
        try:
            yield
        except BaseException as error:
            if self.state is UPSState.IN_PROGRESS:
                await self._cancel_after(error)
            raise
        if self.state is UPSState.IN_PROGRESS:
            await self.complete()

    async def _cancel_after(self, error: BaseException) -> None:
        """Cancels the step because of an exception, which is what its user is to see, whatever else happens."""
        try:
            await self.cancel(type(error).__name__)
        except DicomError as failure:
            logger.warning("%s stays IN PROGRESS with Transaction UID %s: %s", self.uid, self.transaction_uid, failure)

    def begin(self, attributes: Dataset, station: Code, workitem: Code | None) -> None:
        """Takes the step up: what was scheduled is taken for what is performed, until somebody says otherwise."""
        self.attributes = attributes
        for item in items_of(attributes, PROGRESS)[:1]:
            self.progress.update(item)
        for item in items_of(attributes, PERFORMED)[:1]:
            self.performed.update(item)
        label = text_of(attributes, "ProcedureStepLabel")
        codes = items_of(attributes, "ScheduledWorkitemCodeSequence")
        if workitem is not None or not codes:
            codes = [code_item(workitem or (label, "L", label))]
        performed = self.performed
        performed.PerformedStationNameCodeSequence = [code_item(station)]
        performed.PerformedWorkitemCodeSequence = list(codes)
        performed.setdefault("PerformedProcedureStepStartDateTime", date_time(datetime.now().astimezone()))
        performed.setdefault("OutputInformationSequence", [])

    def _series(self, instance: Dataset, retrieve_ae_title: str) -> Dataset:
        """The item of the output for the series of an object."""
        for item in items_of(self.performed, "OutputInformationSequence"):
            retrieval = items_of(item, "DICOMRetrievalSequence")
            same = item.get("SeriesInstanceUID") == instance.SeriesInstanceUID
            if same and retrieval and retrieval[0].get("RetrieveAETitle") == retrieve_ae_title:
                return item
        item = dataset(
            TypeOfInstances="DICOM",
            StudyInstanceUID=instance.StudyInstanceUID,
            SeriesInstanceUID=instance.SeriesInstanceUID,
            DICOMRetrievalSequence={"RetrieveAETitle": retrieve_ae_title},
        )
        outputs = items_of(self.performed, "OutputInformationSequence")
        self.performed.OutputInformationSequence = [*outputs, item]
        return item

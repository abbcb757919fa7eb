"""Procedure steps for tests: what modalities send, and a provider with what happened to it."""

from typing import Any

from pydicom.dataset import Dataset

from dicomio import Application, PerformedStepProvider, StepChange, dataset
from dicomio.sop import CTImageStorage

__all__ = ["STUDY", "UID", "Ris", "begun", "ended", "image", "step"]

UID = "1.2.3"
STUDY = "1.2.840.1"


def step(**elements: Any) -> Dataset:
    """What only a modality knows of a step."""
    known: dict[str, Any] = {"Modality": "CT", "ScheduledStepAttributesSequence": [{"StudyInstanceUID": STUDY}]}
    return dataset(**known | elements)


def begun(**elements: Any) -> Dataset:
    """Everything that an N-CREATE needs."""
    known = {
        "PerformedProcedureStepID": "1",
        "PerformedStationAETitle": "CT1",
        "PerformedProcedureStepStartDate": "20260105",
        "PerformedProcedureStepStartTime": "120000",
        "PerformedProcedureStepStatus": "IN PROGRESS",
    }
    return step(**known | elements)


def ended(state: str = "COMPLETED", **elements: Any) -> Dataset:
    """Everything that an N-SET to a final state needs."""
    known: dict[str, Any] = {
        "PerformedProcedureStepStatus": state,
        "PerformedProcedureStepEndDate": "20260105",
        "PerformedProcedureStepEndTime": "123000",
        "PerformedSeriesSequence": [{"SeriesInstanceUID": "1.2.5", "ProtocolName": "Head"}],
    }
    return dataset(**known | elements)


def image(number: int = 1, series: int = 1, sop_class: str = CTImageStorage, **elements: Any) -> Dataset:
    """The attributes of an object by which it is referenced."""
    return dataset(
        SOPClassUID=sop_class, SOPInstanceUID=f"1.2.4.{number}", SeriesInstanceUID=f"1.2.5.{series}", **elements
    )


class Ris:
    """A provider with what happened to it.

    Attributes:
        refusal: what its hook raises.
    """

    def __init__(self, **options: Any) -> None:
        self.app = Application("RIS", destinations=options.pop("destinations", None))
        self.provider = PerformedStepProvider(self.app, **options)
        self.changes: list[StepChange] = []
        self.refusal: Exception | None = None
        self.provider.on_change(self.changed)

    async def changed(self, change: StepChange) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.changes.append(change)

    @property
    def states(self) -> list[str]:
        """The states after each change."""
        return [str(change.state) for change in self.changes]

    @property
    def step(self) -> Dataset:
        """The only step there is."""
        (found,) = self.provider.steps.values()
        return found

"""The states of a performed procedure step, and the events that others hear of."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum

__all__ = ["EVENTS", "StepEvent", "StepState"]


class StepState(StrEnum):
    """Performed Procedure Step Status (PS3.4 Table F.1-3)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"

    @property
    def is_final(self) -> bool:
        """Whether a step in this state may no longer be changed."""
        return self is not StepState.IN_PROGRESS


class StepEvent(IntEnum):
    """Event types of the Modality Performed Procedure Step Notification SOP Class (PS3.4 Table F.9.2-1)."""

    IN_PROGRESS = 1
    COMPLETED = 2
    DISCONTINUED = 3
    UPDATED = 4
    DELETED = 5


EVENTS: Mapping[StepState, StepEvent] = {
    StepState.IN_PROGRESS: StepEvent.IN_PROGRESS,
    StepState.COMPLETED: StepEvent.COMPLETED,
    StepState.DISCONTINUED: StepEvent.DISCONTINUED,
}

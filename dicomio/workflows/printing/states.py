"""The states of print jobs and printers, and the events by which they are reported (PS3.4 H.4.5, H.4.6)."""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["JOB_EVENTS", "PRINTER_EVENTS", "JobState", "PrinterState"]


class JobState(StrEnum):
    """Execution Status (2100,0020) of a print job."""

    PENDING = "PENDING"
    PRINTING = "PRINTING"
    DONE = "DONE"
    FAILURE = "FAILURE"

    @property
    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self in (JobState.DONE, JobState.FAILURE)


class PrinterState(StrEnum):
    """Printer Status (2110,0010)."""

    NORMAL = "NORMAL"
    WARNING = "WARNING"
    FAILURE = "FAILURE"


# Event Type IDs (PS3.4 H.4.5.2.1, H.4.6.2.1)
JOB_EVENTS: Mapping[int, JobState] = dict(enumerate(JobState, 1))
PRINTER_EVENTS: Mapping[int, PrinterState] = dict(enumerate(PrinterState, 1))

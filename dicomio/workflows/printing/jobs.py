"""What a printer tells: events, warnings, and how a print job is getting on (PS3.4 H.4.5, H.4.6)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset

from dicomio import sop
from dicomio.association import Association
from dicomio.status import Status
from dicomio.workflows.printing.states import JobState, PrinterState

__all__ = ["PrintEvent", "PrintWarning", "SubmittedJob", "text_of"]


@dataclass(frozen=True, slots=True)
class PrintEvent:
    """A report of a printer, of itself or of a print job.

    Attributes:
        uid: SOP Instance UID of the print job; the well-known one of the printer.
        state: what it is in now: a `JobState` or a `PrinterState`.
        info: why, a defined term such as `SUPPLY LOW` (PS3.3 C.13.9.1), where the printer says.
        information: the report as it came.
    """

    uid: str
    state: JobState | PrinterState
    info: str
    information: Dataset = field(repr=False)


@dataclass(frozen=True, slots=True)
class PrintWarning:
    """Something that was done, but not as it was asked for.

    Attributes:
        operation: what was asked for.
        meaning: what the printer says of it, in words.
        status: the status of its response; `None` where the printer was not asked, as it does not know such things.
    """

    operation: str
    meaning: str
    status: Status | None = None

    def __str__(self) -> str:
        code = f"0x{int(self.status):04X} " if self.status is not None else ""
        return f"{self.operation}: {code}{self.meaning}"


class SubmittedJob:
    """A print job of a printer that keeps account of them; `FilmBox.print` and `PrintSession.print` return it.

    Attributes:
        uid: SOP Instance UID.
        state: what is known of it; `None` before the printer has said anything.
        info: why, a defined term such as `FILM JAM` (PS3.3 C.13.9.1).
    """

    def __init__(self, association: Association, uid: str) -> None:
        self.association = association
        self.uid = uid
        self.state: JobState | None = None
        self.info = ""
        self.waiters: set[asyncio.Future[None]] = set()

    def take(self, state: JobState, info: str) -> None:
        """Notes what the printer said; once a job is over it stays so."""
        if self.state is None or not self.state.is_final:
            self.state, self.info = state, info
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def refresh(self) -> JobState | None:
        """Asks the printer (N-GET, PS3.4 H.4.5.2.2).

        Returns:
            The state; `None` where the printer says nothing that makes sense.

        Raises:
            StatusError: the printer does not know the job (any more).
            DicomError: the association is over.
        """
        answer = await self.association.n_get(sop.PrintJob, self.uid, "ExecutionStatus", "ExecutionStatusInfo")
        said = text_of(answer, "ExecutionStatus")
        if said in JobState.__members__:
            self.take(JobState(said), text_of(answer, "ExecutionStatusInfo"))
        return self.state

    async def finished(self, *, poll: float | None = None) -> JobState:
        """Waits until it is printed, or has failed, for as long as the association is open.

        Args:
            poll: seconds after which to ask a printer that has not reported anything, again and again; by default
                its reports alone count.

        Raises:
            StatusError: the printer was asked and does not know the job (any more).
            DicomError: the association is over.
        """
        while self.state is None or not self.state.is_final:
            self.association.check_open()
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.add(waiter)
            try:
                ends: set[asyncio.Future[Any]] = {waiter, self.association.protocol.closed}
                await asyncio.wait(ends, timeout=poll, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.waiters.discard(waiter)
            if not waiter.done() and self.association.ended is None:
                await self.refresh()
        return self.state

    def __repr__(self) -> str:
        return f"<SubmittedJob {self.uid} {self.state or 'of unknown state'}{f': {self.info}' if self.info else ''}>"


def text_of(ds: Dataset, keyword: str) -> str:
    """A text that a peer sent; empty where there is none, or it is something else."""
    try:
        value = ds.get(keyword)
    except Exception:  # whatever pydicom makes of the bytes of a peer
        return ""
    return value.strip() if isinstance(value, str) else ""

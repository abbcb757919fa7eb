"""What the tests of Unified Procedure Steps share: who manages them, who performs them, and what has happened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydicom.dataset import Dataset

from dicomio import (
    Answer,
    Application,
    Association,
    StatusError,
    UPSEvent,
    UPSEvents,
    UPSProvider,
    UPSState,
    UPSWatcher,
    UPSWorklist,
    dataset,
)
from dicomio.sop import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)
from dicomio.testing import connected

CLASSES = (
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepQuery,
)
UID = "1.2.3.4"
OTHER = "1.2.3.5"
LOCK = "1.2.3.99"
WRONG = "1.2.3.98"

# What COMPLETED needs (PS3.4 Table CC.2.5-3, code P).
PERFORMED = {
    "PerformedStationNameCodeSequence": {"CodeValue": "WS", "CodingSchemeDesignator": "L", "CodeMeaning": "WS"},
    "PerformedProcedureStepStartDateTime": "20260105101500",
    "PerformedWorkitemCodeSequence": {"CodeValue": "SEG", "CodingSchemeDesignator": "L", "CodeMeaning": "Segment"},
    "PerformedProcedureStepEndDateTime": "20260105102000",
    "OutputInformationSequence": [],
}


def label(text: str = "Segment", **elements: Any) -> Dataset:
    """A step with as little as an SCU of this package has to say."""
    return dataset(ProcedureStepLabel=text, **elements)


def performed(**others: Any) -> Dataset:
    """What an N-SET has to say before COMPLETED."""
    return dataset(UnifiedProcedureStepPerformedProcedureSequence={**PERFORMED, **others})


class Manager:
    """An application that manages steps, and notes what happens to them.

    Attributes:
        events: all events, in order.
    """

    def __init__(self, **options: Any) -> None:
        self.app = Application("MANAGER", destinations={"FAR": "FAR@127.0.0.1:9"})
        self.provider = UPSProvider(self.app, **{"retries": (), **options})
        self.events: list[UPSEvent] = []

        @self.provider.on_event
        async def note(event: UPSEvent) -> None:
            self.events.append(event)

    async def happened(self) -> Sequence[str]:
        """The kinds of events so far, with the states that were reported."""
        await self.settled()
        return [str(event.information.get("ProcedureStepState", type(event).__name__)) for event in self.events]

    async def settled(self) -> None:
        """Waits until everything is reported, or given up."""
        while self.app.background or self.provider.reporter.queues:
            await asyncio.sleep(0)

    async def reach(self, state: UPSState | None, uid: str = UID) -> None:
        """Has a step in a state, claimed with LOCK."""
        if state is None:
            return
        provider = self.provider
        await provider.create(created(), uid)
        if state is not UPSState.SCHEDULED:
            await provider.change_state(uid, UPSState.IN_PROGRESS, LOCK)
        if state is UPSState.COMPLETED:
            await provider.modify(uid, performed(), LOCK)
        if state in (UPSState.COMPLETED, UPSState.CANCELED):
            await provider.change_state(uid, state, LOCK)

    async def state(self, uid: str = UID) -> UPSState | None:
        """The state of a step, `None` where there is none."""
        step = await self.provider.store.get(uid)
        return UPSState(step.ProcedureStepState) if step is not None else None


def created(text: str = "Segment", **elements: Any) -> Dataset:
    """The attributes of an N-CREATE with what needs a value."""
    return dataset(
        **{
            "ProcedureStepState": "SCHEDULED",
            "ScheduledProcedureStepPriority": "MEDIUM",
            "ProcedureStepLabel": text,
            "ScheduledProcedureStepStartDateTime": "20260105100000",
            "InputReadinessState": "READY",
            **elements,
        }
    )


@asynccontextmanager
async def asking(
    manager: Manager, *, ae_title: str = "WORKER", contexts: Sequence[str] = CLASSES
) -> AsyncIterator[UPSWorklist]:
    """The worklist of a manager on an association in memory, and a watcher to it."""
    app = Application(ae_title)
    watcher = UPSWatcher(app)
    async with connected(manager.app, client=app, ae_title=ae_title, contexts=contexts) as association:
        yield UPSWorklist(association, watcher)


def association_of(worklist: UPSWorklist) -> Association:
    """The association that a worklist is asked on."""
    assert isinstance(worklist.peer, Association)
    return worklist.peer


async def status_of(request: Awaitable[Answer]) -> int:
    """The status of the response to a request, whatever it is."""
    try:
        answer = await request
    except StatusError as error:
        return int(error.status)
    return int(answer.status)


async def until(events: UPSEvents, wanted: Callable[[UPSEvent], bool]) -> Sequence[UPSEvent]:
    """The events up to one, with it."""
    found = []
    async for event in events:
        found.append(event)
        if wanted(event):
            break
    return found


def is_state(state: UPSState, uid: str = UID) -> Callable[[UPSEvent], bool]:
    """Whether an event is the report of a state."""
    return lambda event: event.uid == uid and event.information.get("ProcedureStepState") == state

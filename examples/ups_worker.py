"""Performs the procedure steps of a worklist, those that are there and those to come, until it is told to cancel one.

`python examples/ups_worker.py RIS@localhost:11112 11113`, where 11113 is the port on which the RIS finds us, WORKER.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import dicomio
from dicomio import (
    Application,
    Client,
    StatusError,
    UPSCancelRequested,
    UPSState,
    UPSStateReport,
    UPSStep,
    UPSWatcher,
    UPSWorklist,
    dataset,
)

Perform = Callable[[UPSStep], Awaitable[None]]


async def segment(step: UPSStep) -> None:
    """Does the work, and tells how far it has got."""
    for percent in (0, 25, 50, 75):
        await step.report(percent, "segmenting")
        await asyncio.sleep(1)
    step.performed.CommentsOnThePerformedProcedureStep = "nothing found"


async def work(worklist: UPSWorklist, perform: Perform) -> None:
    """Claims each step that is scheduled, several at once."""
    performing: dict[str, asyncio.Task[None]] = {}

    async def claim(uid: str) -> None:
        try:
            async with worklist.claim(uid) as step:  # IN PROGRESS; then COMPLETED, or CANCELED by an exception
                await perform(step)
        except StatusError as error:
            print(f"not ours: {error}", flush=True)
        finally:
            del performing[uid]

    wanted = dataset(ProcedureStepState="SCHEDULED", InputReadinessState="READY", SOPInstanceUID="")
    async with asyncio.TaskGroup() as group, worklist.watch() as events:
        for match in await worklist.find(wanted):
            performing[match.SOPInstanceUID] = group.create_task(claim(match.SOPInstanceUID))
        async for event in events:
            if isinstance(event, UPSStateReport) and event.state is UPSState.SCHEDULED:
                if event.uid not in performing:
                    performing[event.uid] = group.create_task(claim(event.uid))
            elif isinstance(event, UPSCancelRequested) and event.uid in performing:
                print(f"{event.requesting_ae} would like to cancel: {event.reason}", flush=True)
                performing[event.uid].cancel()


async def main(address: str, port: int, perform: Perform = segment) -> None:
    app = Application("WORKER")
    watcher = UPSWatcher(app)
    async with (
        dicomio.serve(app, port=port),
        Client(address, ae_title="WORKER", app=app) as client,
    ):
        await work(UPSWorklist(client, watcher), perform)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

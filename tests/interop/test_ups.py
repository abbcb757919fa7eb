"""Unified Procedure Steps with pynetdicom, in both roles and with events on both routes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dicomio import (
    Address,
    Application,
    Client,
    UPSCancelRequested,
    UPSEvent,
    UPSEvents,
    UPSProgressReport,
    UPSProvider,
    UPSState,
    UPSStateReport,
    UPSWatcher,
    UPSWorklist,
    connect,
    dataset,
    serve,
)
from dicomio.sop import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)
from tests.interop.ours import HOST
from tests.interop.processes import RUN_PYNETDICOM, free_port, require, run, running

pytestmark = pytest.mark.interop

SCRIPT: list[str | Path] = [*RUN_PYNETDICOM, Path(__file__).parent / "pynetdicom_ups.py"]
ROUTES = ("same", "new")
CLASSES = [UnifiedProcedureStepPush, UnifiedProcedureStepPull, UnifiedProcedureStepWatch]
PATIENCE = 30.0
LOCK = "1.2.826.0.1.3680043.9.3811.99"


def said(output: str) -> list[Any]:
    """The lines of JSON in what the script has written."""
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.startswith('{"') and "\n" in line]


# ---- pynetdicom manages, we schedule, perform and watch ----


@asynccontextmanager
async def managed(route: str, subscriber_port: int, workdir: Path) -> AsyncIterator[tuple[Address, Callable[[], str]]]:
    """The peer as manager of steps, and what it has written so far."""
    require("pynetdicom")
    port, log = free_port(), workdir / "scp.log"
    peer = running([*SCRIPT, "scp", str(port), route, str(subscriber_port)], [port], log, workdir, patience=0.2)
    await asyncio.to_thread(peer.__enter__)
    try:
        yield Address("PYNETDICOM", HOST, port), log.read_text
    finally:
        await asyncio.to_thread(peer.__exit__, None, None, None)


async def test_we_schedule_perform_and_watch(tmp_path: Path) -> None:
    app = Application("ME")
    watcher = UPSWatcher(app)
    async with (
        serve(app, HOST, 0) as server,
        managed("new", server.port, tmp_path) as (address, log),
        connect(address, ae_title="ME", contexts=CLASSES) as association,
        asyncio.timeout(PATIENCE),
    ):
        worklist = UPSWorklist(association, watcher)
        uid = await worklist.create(dataset(ProcedureStepLabel="Segment", PatientName="DOE^JANE"))
        (match,) = await worklist.find(dataset(SOPInstanceUID="", ProcedureStepLabel=""))
        assert (match.SOPInstanceUID, match.ProcedureStepLabel) == (uid, "Segment")
        async with worklist.watch(uid, deletion_lock=True) as events:
            assert await state(events) == UPSState.SCHEDULED
            async with worklist.claim(uid) as step:
                assert await state(events) == UPSState.IN_PROGRESS
                assert step.attributes.PatientName == "DOE^JANE"
                await step.report(50, "half way")
                await check_progress(events)
                await worklist.request_cancel(uid, "late", contact="Dr Doe")
                await check_cancel_request(events)
            assert await state(events) == UPSState.COMPLETED
        (performed,) = (await worklist.get(uid)).UnifiedProcedureStepPerformedProcedureSequence
        assert performed.PerformedStationNameCodeSequence[0].CodeValue == "ME"
        told = said(await asyncio.to_thread(log))
    assert [line["action"] for line in told if "action" in line] == [3, 1, 2, 1, 4]
    assert next(line["lock"] for line in told if "lock" in line) == "TRUE"
    assert {line["status"] for line in told if "event" in line} == {0}


async def test_events_on_our_own_association(tmp_path: Path) -> None:
    """Here the peer cannot take a request while it waits for the response to an event: we ask when it has come."""
    app = Application("ME")
    watcher = UPSWatcher(app)
    async with (
        managed("same", 1, tmp_path) as (address, log),
        connect(address, ae_title="ME", contexts=[*CLASSES, UnifiedProcedureStepEvent], app=app) as association,
        asyncio.timeout(PATIENCE),
    ):
        worklist = UPSWorklist(association, watcher)
        uid = await worklist.create(dataset(ProcedureStepLabel="Segment"))
        async with worklist.watch(uid) as events:
            assert await state(events) == UPSState.SCHEDULED
            await worklist.change_state(uid, UPSState.IN_PROGRESS, LOCK)
            assert await state(events) == UPSState.IN_PROGRESS
            progress = {"ProcedureStepProgress": "50", "ProcedureStepProgressDescription": "half way"}
            await worklist.set(uid, dataset(ProcedureStepProgressInformationSequence=progress), LOCK)
            await check_progress(events)
            await worklist.request_cancel(uid, "late", contact="Dr Doe")
            await check_cancel_request(events)
        told = said(await asyncio.to_thread(log))
    assert {line["status"] for line in told if "event" in line} == {0}


async def check_progress(events: UPSEvents) -> None:
    event = await anext(events)
    assert isinstance(event, UPSProgressReport)
    assert (event.progress, event.description) == (50.0, "half way")


async def check_cancel_request(events: UPSEvents) -> None:
    event = await anext(events)
    assert isinstance(event, UPSCancelRequested)
    assert (event.requesting_ae, event.reason, event.contact) == ("SOMEBODY", "late", "Dr Doe")


async def state(events: UPSEvents) -> UPSState:
    event = await anext(events)
    assert isinstance(event, UPSStateReport)
    return event.state


async def test_a_client_finds_its_contexts(tmp_path: Path) -> None:
    async with managed("same", 1, tmp_path) as (address, _), Client(address, ae_title="ME") as client:
        worklist = UPSWorklist(client)
        uid = await worklist.create(dataset(ProcedureStepLabel="Segment"))
        async with worklist.claim(uid):
            assert (await worklist.get(uid, "ProcedureStepState")).ProcedureStepState == "IN PROGRESS"
        assert (await worklist.get(uid)).ProcedureStepState == "COMPLETED"


# ---- we manage, pynetdicom schedules, performs and watches ----


@pytest.mark.parametrize("route", ROUTES)
async def test_we_manage(route: str, tmp_path: Path) -> None:
    require("pynetdicom")
    listening = free_port()
    # Where we do not know where it listens, there is its association only.
    destinations = {"PYNETDICOM": f"PYNETDICOM@{HOST}:{listening}"} if route == "new" else {}
    app = Application("MANAGER", destinations=destinations)
    provider = UPSProvider(app, retries=(0.1, 0.5, 1.0))
    events: list[UPSEvent] = []

    @provider.on_event
    async def note(event: UPSEvent) -> None:
        events.append(event)

    async with serve(app, HOST, 0) as server:
        argv = [*SCRIPT, "scu", str(server.port), route, "MANAGER", str(listening)]
        result = await asyncio.to_thread(run, argv, tmp_path)
    assert result.code == 0, result.output
    found, heard = said(result.output)
    assert found == {"found": [True]}
    statuses = [hex(status) for status in heard["statuses"]]
    # Missing attributes of type 2 were added; the step was not claimed with what the first N-SET says; what COMPLETED
    # needs was not there; the Transaction UID is not told.
    assert statuses == ["0x0", "0xb300", "0x0", "0xc301", "0x0", "0xc304", "0x0", "0x0", "0x0", "0x1", "0x0"]
    assert heard["events"] == [[1, "SCHEDULED"], [1, "IN PROGRESS"], [3, ""], [2, ""], [1, "COMPLETED"]]
    assert [type(event).event_type for event in events] == [1, 1, 3, 2, 1]
    assert list(provider.subscriptions.everyone()) == []

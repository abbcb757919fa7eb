"""Scheduling, performing and watching procedure steps (PS3.4 CC)."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    Application,
    AssociationAborted,
    LocalProtocolError,
    NoPresentationContext,
    SCPStatusChange,
    Status,
    StatusError,
    UPSAssigned,
    UPSCancelRequested,
    UPSProgressReport,
    UPSState,
    UPSStateReport,
    UPSWatcher,
    UPSWorklist,
    dataset,
)
from dicomio.sop import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
    UPSGlobalSubscriptionInstance,
)
from dicomio.testing import connected
from dicomio.workflows.ups import watching
from dicomio.workflows.ups.attributes import code_item
from tests.workflows.unified import (
    CLASSES,
    LOCK,
    OTHER,
    UID,
    WRONG,
    Manager,
    asking,
    association_of,
    created,
    is_state,
    label,
    status_of,
    until,
)

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = UPSState
PUSH = UnifiedProcedureStepPush
STATION = {"CodeValue": "WS1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Workstation 1"}
WORKITEM = {"CodeValue": "110001", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Image Processing"}


async def result_of(manager: Manager, uid: str = UID) -> Dataset:
    """What was performed."""
    (item,) = (await manager.provider.get(uid)).UnifiedProcedureStepPerformedProcedureSequence
    assert isinstance(item, Dataset)
    return item


async def progress_of(manager: Manager, uid: str = UID) -> Dataset:
    """What is told of the progress."""
    (item,) = (await manager.provider.get(uid)).ProcedureStepProgressInformationSequence
    assert isinstance(item, Dataset)
    return item


def code_of(codes: list[Dataset]) -> tuple[str, str, str]:
    (item,) = codes
    return item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning


def image(number: int, series: int = 1) -> Dataset:
    return dataset(
        SOPClassUID=dicomio.sop.SegmentationStorage,
        SOPInstanceUID=f"1.2.9.{series}.{number}",
        StudyInstanceUID="1.2.9",
        SeriesInstanceUID=f"1.2.9.{series}",
    )


# claiming


async def test_a_step_is_performed() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(PatientName="DOE^JANE"), UID)
        claimed = worklist.claim(UID)
        assert claimed.state is SCHEDULED
        async with claimed as step:
            assert (step.state, await manager.state()) == (IN_PROGRESS, IN_PROGRESS)
            assert step.attributes.PatientName == "DOE^JANE"
            await step.report(30, "segmenting")
            await step.report(60)
            assert (await progress_of(manager)).ProcedureStepProgressDescription == "segmenting"
            await step.update(CommentsOnTheScheduledProcedureStep="as usual")
        assert (step.state, await manager.state()) == (COMPLETED, COMPLETED)
        told = await manager.happened()
    assert list(told) == [SCHEDULED, IN_PROGRESS, "UPSProgressReport", "UPSProgressReport", COMPLETED]
    assert [event.progress for event in manager.events if isinstance(event, UPSProgressReport)] == [30.0, 60.0]
    assert (await manager.provider.get(UID)).CommentsOnTheScheduledProcedureStep == "as usual"


async def test_what_nobody_scheduled_has_local_codes() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        async with worklist.claim(UID):
            pass
    item = await result_of(manager)
    assert code_of(item.PerformedStationNameCodeSequence) == ("WORKER", "L", "WORKER")
    assert code_of(item.PerformedWorkitemCodeSequence) == ("Segment", "L", "Segment")
    assert item.PerformedProcedureStepStartDateTime <= item.PerformedProcedureStepEndDateTime
    assert item.OutputInformationSequence == []


async def test_what_was_scheduled_is_performed() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        step = label(ScheduledStationNameCodeSequence=STATION, ScheduledWorkitemCodeSequence=WORKITEM)
        await worklist.create(step, UID)
        async with worklist.claim(UID):
            pass
    item = await result_of(manager)
    assert code_of(item.PerformedStationNameCodeSequence) == tuple(STATION.values())
    assert code_of(item.PerformedWorkitemCodeSequence) == tuple(WORKITEM.values())
    assigned = [event for event in manager.events if isinstance(event, UPSAssigned)]
    assert [code_of(list(event.stations)) for event in assigned] == [tuple(STATION.values())]


async def test_who_performs_may_say_otherwise() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(ScheduledWorkitemCodeSequence=WORKITEM), UID)
        async with worklist.claim(UID, station=("WS2", "99X", "Two"), workitem=("W", "99X", "Work")) as step:
            step.performed.CommentsOnThePerformedProcedureStep = "well"
            step.add(image(1), image(2), image(1, series=2), retrieve_from="PACS")
            step.add(image(3), retrieve_from="ELSEWHERE")
    item = await result_of(manager)
    assert code_of(item.PerformedStationNameCodeSequence) == ("WS2", "99X", "Two")
    assert code_of(item.PerformedWorkitemCodeSequence) == ("W", "99X", "Work")
    assert item.CommentsOnThePerformedProcedureStep == "well"
    made = [
        (
            output.SeriesInstanceUID,
            output.DICOMRetrievalSequence[0].RetrieveAETitle,
            [reference.ReferencedSOPInstanceUID for reference in output.ReferencedSOPSequence],
        )
        for output in item.OutputInformationSequence
    ]
    assert made == [
        ("1.2.9.1", "PACS", ["1.2.9.1.1", "1.2.9.1.2"]),
        ("1.2.9.2", "PACS", ["1.2.9.2.1"]),
        ("1.2.9.1", "ELSEWHERE", ["1.2.9.1.3"]),
    ]


async def test_what_cannot_be_referenced() -> None:
    async with asking(Manager()) as worklist:
        with pytest.raises(ValueError, match="SOPClassUID"):
            worklist.claim(UID).add(Dataset(), retrieve_from="PACS")


@pytest.mark.parametrize(
    "value, keyword",
    [("A", "CodeValue"), ("A" * 17, "LongCodeValue"), ("urn:oid:1.2", "URNCodeValue")],
)
def test_codes_go_where_there_is_room(value: str, keyword: str) -> None:
    assert code_item((value, "L", "Meaning"))[keyword].value == value


async def test_an_exception_cancels_the_step() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        step = worklist.claim(UID)

        async def work() -> None:
            async with step:
                step.discontinuation = "110501", "DCM", "Equipment failure"
                await step.report(40, "half way")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await work()
        assert (step.state, await manager.state()) == (CANCELED, CANCELED)
    item = await progress_of(manager)
    # What has happened before is still told.
    assert (item.ProcedureStepProgress, item.ReasonForCancellation) == (40, "ZeroDivisionError")
    assert item.ProcedureStepCancellationDateTime
    assert code_of(item.ProcedureStepDiscontinuationReasonCodeSequence) == step.discontinuation
    report = manager.events[-1]
    assert isinstance(report, UPSStateReport)
    assert report.reason == "ZeroDivisionError"


async def test_a_cancelled_task_cancels_its_step() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        begun = asyncio.Event()

        async def work() -> None:
            async with worklist.claim(UID):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await manager.state() == CANCELED


@pytest.mark.parametrize("turns", range(12))
async def test_a_task_cancelled_while_it_claims_leaves_no_step_in_progress(turns: int) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)

        async def work() -> None:
            async with worklist.claim(UID):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await manager.state() in (SCHEDULED, CANCELED)


async def test_a_step_may_be_ended_in_the_block() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        async with worklist.claim(UID) as step:
            await step.cancel("no images", code=("110514", "DCM", "Incorrect worklist entry selected"))
        assert await manager.state() == CANCELED
        assert (await progress_of(manager)).ReasonForCancellation == "no images"


async def test_an_exception_after_the_end_changes_nothing() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)

        async def work() -> None:
            async with worklist.claim(UID) as step:
                await step.complete()
                raise KeyError

        with pytest.raises(KeyError):
            await work()
        assert await manager.state() == COMPLETED


async def test_what_somebody_else_performs_cannot_be_claimed() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(IN_PROGRESS)
        claimed = worklist.claim(UID)
        with pytest.raises(StatusError) as caught:
            await claimed.__aenter__()
        assert caught.value.status == Status.UPS_TRANSACTION_UID_NOT_CORRECT
        assert await manager.state() == IN_PROGRESS


async def test_only_one_gets_it() -> None:
    manager = Manager()
    async with asking(manager) as first, asking(manager, ae_title="OTHER") as second:
        await first.create(label(), UID)

        async def attempt(worklist: UPSWorklist) -> bool:
            try:
                async with worklist.claim(UID):
                    return True
            except StatusError:
                return False

        assert sorted(await asyncio.gather(attempt(first), attempt(second))) == [False, True]
        assert await manager.state() == COMPLETED


async def test_a_step_is_taken_up_again() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(IN_PROGRESS)
        with pytest.raises(StatusError):
            await worklist.claim(UID, transaction_uid=WRONG).__aenter__()
        progress = dataset(ProcedureStepProgressInformationSequence={"ProcedureStepProgress": "20"})
        await worklist.set(UID, progress, LOCK)
        async with worklist.claim(UID, transaction_uid=LOCK) as step:
            assert step.transaction_uid == LOCK
            assert step.progress.ProcedureStepProgress == 20
        assert await manager.state() == COMPLETED


async def test_what_the_manager_does_not_accept_stays_in_progress() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        with pytest.raises(StatusError) as caught:
            async with worklist.claim(UID) as step:
                step.performed.PerformedWorkitemCodeSequence = []
        assert caught.value.status == Status.UPS_FINAL_STATE_REQUIREMENTS_NOT_MET
        assert (step.state, await manager.state()) == (IN_PROGRESS, IN_PROGRESS)
        async with worklist.claim(UID, transaction_uid=step.transaction_uid):
            pass
        assert await manager.state() == COMPLETED


async def test_a_lost_association_leaves_the_exception_and_says_how_to_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        step = worklist.claim(UID)

        async def work() -> None:
            async with step:
                association_of(worklist).abort()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await work()
    assert f"{UID}, Transaction UID {step.transaction_uid}, is not canceled" in caplog.text


async def test_a_step_that_cannot_be_read_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)

        async def get(*args: object) -> Any:
            raise NoPresentationContext(PUSH)

        monkeypatch.setattr(worklist, "get", get)
        with pytest.raises(NoPresentationContext):
            await worklist.claim(UID).__aenter__()
        assert await manager.state() == CANCELED


# which presentation context


async def test_a_context_for_push_alone() -> None:
    manager = Manager()
    async with asking(manager, contexts=[PUSH]) as worklist:
        await worklist.create(label(), UID)
        assert (await worklist.get(UID)).ProcedureStepLabel == "Segment"
        with pytest.raises(NoPresentationContext):
            await worklist.claim(UID).__aenter__()
        with pytest.raises(NoPresentationContext):
            await worklist.find(dataset(ProcedureStepLabel=""))
        assert (await worklist.request_cancel(UID)).status == Status.SUCCESS


async def test_a_context_for_watch_alone() -> None:
    manager = Manager()
    await manager.provider.create(created(), UID)
    async with asking(manager, contexts=[UnifiedProcedureStepWatch]) as worklist:
        with pytest.raises(NoPresentationContext):
            await worklist.create(label())
        assert len(await worklist.find(dataset(ProcedureStepLabel=""))) == 1
        assert (await worklist.request_cancel(UID)).status == Status.SUCCESS


async def test_what_is_given_is_not_changed() -> None:
    step = label()
    async with asking(Manager()) as worklist:
        await worklist.create(step, UID)
        changes = dataset(ProcedureStepLabel="Other", TransactionUID="")
        await worklist.change_state(UID, "IN PROGRESS", LOCK)
        await worklist.set(UID, changes, LOCK)
    assert step == label()
    assert changes.TransactionUID == ""


# watching


async def test_events_of_all_steps() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        async with worklist.watch() as events:
            await worklist.create(label(ScheduledHumanPerformersSequence=performer()), UID)
            async with worklist.claim(UID) as step:
                await step.report(description="quick")
            found = await until(events, is_state(COMPLETED))
        assert [type(event) for event in found] == [
            UPSStateReport,
            UPSAssigned,
            UPSStateReport,
            UPSProgressReport,
            UPSStateReport,
        ]
        assert {event.uid for event in found} == {UID}
        first, assigned, _, progress, _ = found
        assert isinstance(first, UPSStateReport)
        assert isinstance(assigned, UPSAssigned)
        assert isinstance(progress, UPSProgressReport)
        assert (first.state, first.input_readiness, first.reason) == (SCHEDULED, "READY", "")
        assert first.peer is not None
        assert first.peer.ae_title == "MANAGER"
        assert [item.CodeMeaning for item in assigned.performers] == ["Doe"]
        assert assigned.information.HumanPerformerOrganization == "Clinic"
        assert (progress.progress, progress.description) == (None, "quick")
        assert list(manager.provider.subscriptions.everyone()) == []


def performer() -> dict[str, object]:
    code = {"CodeValue": "1", "CodingSchemeDesignator": "L", "CodeMeaning": "Doe"}
    return {
        "HumanPerformerCodeSequence": code,
        "HumanPerformerName": "DOE^JANE",
        "HumanPerformerOrganization": "Clinic",
    }


async def test_a_step_is_kept_while_it_is_watched_with_a_lock() -> None:
    manager = Manager(retention=0.0)
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        async with worklist.watch(UID, deletion_lock=True) as events:
            await worklist.request_cancel(UID)
            await until(events, is_state(CANCELED))
            await worklist.create(label())
            assert (await worklist.get(UID)).ProcedureStepState == CANCELED
        assert not manager.provider.subscriptions.locked(UID)


async def test_leaving_by_an_exception_unsubscribes() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        with pytest.raises(KeyError):
            async with worklist.watch():
                raise KeyError
        assert list(manager.provider.subscriptions.everyone()) == []


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_task_unsubscribes(turns: int) -> None:
    manager = Manager()
    async with asking(manager) as worklist:

        async def watch() -> None:
            async with worklist.watch() as events:
                async for _ in events:
                    raise AssertionError("nothing happens")

        task = asyncio.ensure_future(watch())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(manager.provider.subscriptions.everyone()) == []


async def test_a_lost_association_leaves_the_exception(caplog: pytest.LogCaptureFixture) -> None:
    async with asking(Manager()) as worklist:

        async def watch() -> None:
            async with worklist.watch():
                association_of(worklist).abort()
                raise KeyError

        with pytest.raises(KeyError):
            await watch()
    assert "still subscribed" in caplog.text


async def test_a_lost_association_is_told_to_who_leaves_in_peace() -> None:
    async with asking(Manager()) as worklist:
        with pytest.raises(AssociationAborted):
            async with worklist.watch():
                association_of(worklist).abort()


async def test_who_is_not_let_watch_does_not_wait() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        with pytest.raises(StatusError):
            await worklist.watch(UID).__aenter__()
        assert worklist.watcher is not None
        assert worklist.watcher.watching == []


async def test_watching_needs_a_watcher() -> None:
    async with connected(Manager().app, contexts=CLASSES) as association:
        with pytest.raises(LocalProtocolError, match="watcher"):
            UPSWorklist(association).watch()


async def test_two_who_watch_the_same() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        async with worklist.watch(UID) as first:
            async with worklist.watch(UID) as second:
                await worklist.change_state(UID, IN_PROGRESS, LOCK)
                await until(second, is_state(IN_PROGRESS))
            await until(first, is_state(IN_PROGRESS))
            await worklist.change_state(UID, CANCELED, LOCK)
            await until(first, is_state(CANCELED))
        assert list(manager.provider.subscriptions.everyone()) == []


async def test_who_watches_one_step_goes_on_when_another_stops_watching_all() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        for uid in (UID, OTHER):
            await worklist.create(label(), uid)
        async with worklist.watch(UID, deletion_lock=True) as one:
            async with worklist.watch():
                pass
            assert manager.provider.subscriptions.of(OTHER) == []
            assert manager.provider.subscriptions.locked(UID)
            await worklist.change_state(UID, IN_PROGRESS, LOCK)
            await until(one, is_state(IN_PROGRESS))


async def test_events_stop_when_the_watch_is_over() -> None:
    async with asking(Manager()) as worklist:
        async with worklist.watch() as events:
            pass
        assert [event async for event in events] == []


async def test_a_restart_is_told_to_everyone_who_watches() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        async with worklist.watch(UID) as events:
            await manager.provider.announce(steps_kept=True)
            *_, event = await until(events, lambda event: isinstance(event, SCPStatusChange))
            assert isinstance(event, SCPStatusChange)
            assert (event.status, event.subscriptions_lost, event.steps_lost) == ("RESTARTED", True, False)
            answer = await events.subscribe()
            assert answer.status == Status.SUCCESS


async def test_who_watches_slowly_holds_the_peer_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "AHEAD", 1)
    manager = Manager()
    async with asking(manager) as worklist:
        async with worklist.watch() as events:
            for number in range(5):
                await worklist.create(label(), f"1.2.{number}")
            found = await until(events, is_state(SCHEDULED, "1.2.1"))
            assert [event.uid for event in found] == ["1.2.0", "1.2.1"]
            assert len(manager.provider.reporter.queues["WORKER"]) >= 1
        # The one that waited for room is let go, and those behind it are answered that nobody wants them.
        await manager.settled()
        assert manager.provider.reporter.queues == {}


# reports, as a peer sends them


async def report(uid: str, kind: int, *, event_class: str = PUSH, watching_uid: str | None = None, **told: Any) -> int:
    """The status that an event report is answered with, by an application that watches a step."""
    app, manager = Application("WORKER"), Manager()
    await manager.provider.create(created(), UID)
    manager.app.destinations = {"WORKER": "WORKER@127.0.0.1:9"}
    watcher = UPSWatcher(app)
    async with AsyncExitStack() as stack:
        asked = await stack.enter_async_context(connected(manager.app, contexts=CLASSES, ae_title="OTHER"))
        if watching_uid is not None:
            await stack.enter_async_context(UPSWorklist(asked, watcher).watch(watching_uid))
        reporting = await stack.enter_async_context(
            connected(app, contexts=[dicomio.PresentationContext(UnifiedProcedureStepEvent, scu=False, scp=True)])
        )
        return await status_of(
            reporting.n_event_report(event_class, uid, kind, dataset(**told), negotiated_as=UnifiedProcedureStepEvent)
        )


STATE = {"ProcedureStepState": "SCHEDULED", "InputReadinessState": "READY"}


@pytest.mark.parametrize(
    "watching_uid, uid, kind, told, status",
    [
        (UID, UID, 1, STATE, Status.SUCCESS),
        (UPSGlobalSubscriptionInstance, OTHER, 1, STATE, Status.SUCCESS),
        (UID, OTHER, 1, STATE, Status.NO_SUCH_SOP_INSTANCE),
        (None, UID, 1, STATE, Status.NO_SUCH_SOP_INSTANCE),
        (UID, UPSGlobalSubscriptionInstance, 4, {"SCPStatus": "RESTARTED"}, Status.SUCCESS),
        (UID, UID, 6, {}, Status.NO_SUCH_EVENT_TYPE),
        (UID, UID, 0, {}, Status.NO_SUCH_EVENT_TYPE),
        (UID, UID, 1, {}, Status.INVALID_ARGUMENT_VALUE),
        (UID, UID, 1, {"ProcedureStepState": "DONE"}, Status.INVALID_ARGUMENT_VALUE),
        (UID, UID, 2, {}, Status.SUCCESS),
        (UID, UID, 3, {}, Status.SUCCESS),
        (UID, UID, 5, {}, Status.SUCCESS),
    ],
)
async def test_reports(watching_uid: str | None, uid: str, kind: int, told: dict[str, str], status: int) -> None:
    assert await report(uid, kind, watching_uid=watching_uid, **told) == status


async def test_a_report_that_names_the_class_for_events() -> None:
    assert await report(UID, 2, event_class=UnifiedProcedureStepEvent, watching_uid=UID) == Status.SUCCESS


def test_events_with_nothing_in_them() -> None:
    nothing = Dataset()
    requested = UPSCancelRequested(UID, nothing)
    assert (requested.requesting_ae, requested.reason, requested.contact) == ("", "", "")
    progress = UPSProgressReport(UID, nothing)
    assert (progress.progress, progress.description) == (None, "")
    change = SCPStatusChange(UID, nothing)
    assert (change.status, change.subscriptions_lost, change.steps_lost) == ("", False, False)
    assigned = UPSAssigned(UID, nothing)
    assert (assigned.stations, assigned.performers) == ((), ())
    assert str(requested) == f"UPSCancelRequested of {UID}"


async def test_watching_two_managers_at_once() -> None:
    """The events of each go to who watches it, though both send them to the same application."""
    app = Application("WORKER")
    watcher = UPSWatcher(app)
    near, far = Manager(), Manager()
    far.app.ae_title = "FAR"
    async with (
        connected(near.app, client=app, ae_title="WORKER", contexts=CLASSES) as one,
        connected(far.app, client=app, ae_title="WORKER", contexts=CLASSES) as other,
        UPSWorklist(one, watcher).watch() as near_events,
        UPSWorklist(other, watcher).watch() as far_events,
    ):
        await near.provider.create(created(), "1.2.1")
        await far.provider.create(created(), "1.2.2")
        await near.provider.create(created(), "1.2.3")
        assert [event.uid for event in await until(far_events, lambda event: True)] == ["1.2.2"]
        found = await until(near_events, is_state(SCHEDULED, "1.2.3"))
        assert [event.uid for event in found] == ["1.2.1", "1.2.3"]


# over the network


async def test_events_on_an_association_that_the_manager_opens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomio.ups")
    app = Application("WORKER")
    watcher = UPSWatcher(app)
    manager = Manager()
    async with (
        dicomio.serve(app, "127.0.0.1", 0) as listening,
        dicomio.serve(manager.app, "127.0.0.1", 0) as server,
        # It does not serve what comes on its associations, and proposes nothing for events on them.
        dicomio.Client(f"MANAGER@127.0.0.1:{server.port}", ae_title="ORDERER") as client,
    ):
        manager.app.destinations = {"WORKER": f"WORKER@127.0.0.1:{listening.port}"}
        worklist = UPSWorklist(client, watcher)
        assert (worklist.ae_title, worklist.local_ae_title) == ("MANAGER", "ORDERER")
        async with worklist.watch(deletion_lock=True) as events:
            uid = await worklist.create(label())
            async with worklist.claim(uid):
                pass
            found = await until(events, is_state(COMPLETED, uid))
            assert [event.information.ProcedureStepState for event in found] == [SCHEDULED, IN_PROGRESS, COMPLETED]
        await manager.settled()


async def test_events_on_the_association_of_a_client() -> None:
    app = Application("WORKER")
    watcher = UPSWatcher(app)
    manager = Manager()
    async with (
        dicomio.serve(manager.app, "127.0.0.1", 0) as server,
        dicomio.Client(f"MANAGER@127.0.0.1:{server.port}", ae_title="WORKER", app=app) as client,
    ):
        worklist = UPSWorklist(client, watcher)
        async with worklist.watch() as events:
            uid = await worklist.create(label())
            (match,) = await worklist.find(dataset(SOPInstanceUID="", ProcedureStepState="SCHEDULED"))
            assert match.SOPInstanceUID == uid
            assert (await until(events, is_state(SCHEDULED, uid)))[-1].uid == uid
        await manager.settled()

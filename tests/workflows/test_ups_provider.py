"""Managing procedure steps: attributes, queries, subscriptions, and what is refused (PS3.4 CC.2)."""

import asyncio
import logging
from collections.abc import Awaitable, Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

import dicomio
from dicomio import (
    ActionRequest,
    Application,
    EventReport,
    MemoryUPSStore,
    Status,
    StatusError,
    UPSProvider,
    UPSState,
    UPSStateReport,
    dataset,
    sop,
)
from dicomio.sop import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from dicomio.testing import connected
from dicomio.workflows.ups import reporting
from tests.workflows.unified import (
    CLASSES,
    LOCK,
    OTHER,
    UID,
    Manager,
    asking,
    association_of,
    created,
    is_state,
    label,
    performed,
    status_of,
    until,
)

PUSH = UnifiedProcedureStepPush


async def refusal(awaitable: Awaitable[object]) -> StatusError:
    """Why a request was refused."""
    with pytest.raises(StatusError) as caught:
        await awaitable
    return caught.value


def tags(*keywords: str) -> list[int]:
    return [int(Tag(keyword)) for keyword in keywords]


# N-CREATE


async def test_what_a_new_step_has() -> None:
    manager = Manager(worklist_label="READING")
    async with asking(manager) as worklist:
        answer = await association_of(worklist).n_create(PUSH, UID, created(PatientName="DOE^JANE"))
        # What may be empty was missing.
        assert answer.status == Status.UPS_CREATED_WITH_MODIFICATIONS
    step = await manager.provider.store.get(UID)
    assert step is not None
    assert (step.SOPClassUID, step.SOPInstanceUID) == (PUSH, UID)
    assert (step.WorklistLabel, step.PatientName, step.ProcedureStepState) == ("READING", "DOE^JANE", "SCHEDULED")
    assert step.ScheduledProcedureStepModificationDateTime
    assert step.TransactionUID == ""
    for keyword in ("PatientID", "InputInformationSequence", "UnifiedProcedureStepPerformedProcedureSequence"):
        assert keyword in step
        assert not step[keyword].value


async def test_a_complete_one_is_created_as_it_is() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        assert await worklist.create(label(WorklistLabel="MINE"), UID) == UID
        step = await worklist.get(UID, "WorklistLabel", "ScheduledProcedureStepPriority")
        assert (step.WorklistLabel, step.ScheduledProcedureStepPriority) == ("MINE", "MEDIUM")
    assert [str(event) for event in manager.events] == [f"{UID} is SCHEDULED"]


async def test_the_manager_chooses_the_uid() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        answer = await association_of(worklist).n_create(PUSH, None, created())
        uid = answer.response.sop_instance_uid
        assert uid is not None
        assert (await worklist.get(uid)).ProcedureStepLabel == "Segment"


async def test_what_has_to_be_empty_at_first_is_emptied() -> None:
    manager = Manager()
    step = created(TransactionUID=LOCK, ProcedureStepProgressInformationSequence={"ProcedureStepProgress": "5"})
    step.update(performed())
    async with asking(manager) as worklist:
        answer = await association_of(worklist).n_create(PUSH, UID, step)
        assert answer.status == Status.UPS_CREATED_WITH_MODIFICATIONS
        got = await worklist.get(UID)
        assert got.ProcedureStepProgressInformationSequence == []
        assert got.UnifiedProcedureStepPerformedProcedureSequence == []
        # Nobody has claimed it yet.
        assert (await worklist.change_state(UID, "IN PROGRESS", "1.2.3.77")).status == Status.SUCCESS


@pytest.mark.parametrize(
    "keyword",
    [
        "ScheduledProcedureStepPriority",
        "ProcedureStepLabel",
        "ScheduledProcedureStepStartDateTime",
        "InputReadinessState",
        "ProcedureStepState",
    ],
)
async def test_missing_attributes_are_listed(keyword: str) -> None:
    manager = Manager()
    step = created()
    del step[keyword]
    async with asking(manager) as worklist:
        error = await refusal(association_of(worklist).n_create(PUSH, UID, step))
    assert error.status == Status.MISSING_ATTRIBUTE
    assert list(error.response.attribute_identifiers) == tags(keyword)
    assert await manager.state() is None


@pytest.mark.parametrize(
    "elements, status, keyword",
    [
        ({"ProcedureStepLabel": ""}, Status.MISSING_ATTRIBUTE_VALUE, "ProcedureStepLabel"),
        ({"InputReadinessState": ""}, Status.MISSING_ATTRIBUTE_VALUE, "InputReadinessState"),
        ({"InputReadinessState": "ALMOST"}, Status.INVALID_ATTRIBUTE_VALUE, "InputReadinessState"),
        ({"ScheduledProcedureStepPriority": "STAT"}, Status.INVALID_ATTRIBUTE_VALUE, "ScheduledProcedureStepPriority"),
    ],
)
async def test_values_that_a_step_cannot_have(elements: dict[str, str], status: Status, keyword: str) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        error = await refusal(association_of(worklist).n_create(PUSH, UID, created(**elements)))
    assert (error.status, error.response.attribute_identifiers) == (status, tuple(tags(keyword)))


@pytest.mark.parametrize("state", ["IN PROGRESS", "COMPLETED", "CANCELED", "WHATEVER"])
async def test_steps_are_created_scheduled_only(state: str) -> None:
    async with asking(Manager()) as worklist:
        error = await refusal(association_of(worklist).n_create(PUSH, UID, created(ProcedureStepState=state)))
    assert error.status == Status.UPS_NOT_CREATED_SCHEDULED


@pytest.mark.parametrize("uid", [UPSGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionInstance])
async def test_the_uids_of_all_steps_are_no_steps(uid: str) -> None:
    async with asking(Manager()) as worklist:
        assert (await refusal(worklist.create(label(), uid))).status == Status.INVALID_SOP_INSTANCE
        assert (await refusal(worklist.change_state(uid, "IN PROGRESS", LOCK))).status == Status.UPS_NOT_FOUND
        assert (await refusal(worklist.request_cancel(uid))).status == Status.UPS_NOT_FOUND


async def test_a_store_that_is_full() -> None:
    async with asking(Manager(store=MemoryUPSStore(limit=1))) as worklist:
        await worklist.create(label())
        assert (await refusal(worklist.create(label()))).status == Status.RESOURCE_LIMITATION


async def test_bytes_that_are_no_value_are_refused() -> None:
    step = created()
    step.add_new(Tag("ScheduledProcedureStepStartDateTime"), "LO", "soon")
    async with asking(Manager()) as worklist:
        error = await refusal(association_of(worklist).n_create(PUSH, UID, step))
    # In Explicit VR the VR of another kind is seen.
    assert error.status == Status.INVALID_ATTRIBUTE_VALUE


async def test_a_step_that_is_too_large() -> None:
    manager = Manager(largest=2_000)
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        error = await refusal(worklist.create(label(CommentsOnTheScheduledProcedureStep="x" * 2_000)))
        assert error.status == Status.RESOURCE_LIMITATION
        half = dataset(CommentsOnTheScheduledProcedureStep="x" * 800)
        await worklist.set(UID, half)
        await worklist.set(UID, half)
        assert (await refusal(worklist.set(UID, dataset(ReasonForVisit="x" * 800)))).status == error.status


# N-SET


@pytest.mark.parametrize(
    "elements, status",
    [
        ({"ProcedureStepState": "SCHEDULED"}, Status.UPS_SCHEDULED_ONLY_BY_CREATE),
        ({"ProcedureStepState": "COMPLETED"}, Status.INVALID_ATTRIBUTE_VALUE),
        ({"PatientName": "ROE^RICHARD"}, Status.INVALID_ATTRIBUTE_VALUE),
        ({"SOPInstanceUID": OTHER}, Status.INVALID_ATTRIBUTE_VALUE),
        ({"InputReadinessState": ""}, Status.MISSING_ATTRIBUTE_VALUE),
        ({"InputReadinessState": "PERHAPS"}, Status.INVALID_ATTRIBUTE_VALUE),
    ],
)
async def test_what_cannot_be_set_leaves_everything_as_it_was(elements: dict[str, str], status: Status) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        before = await manager.provider.store.get(UID)
        changes = dataset(CommentsOnTheScheduledProcedureStep="changed", **elements)
        assert (await refusal(worklist.set(UID, changes, LOCK))).status == status
        assert await manager.provider.store.get(UID) == before


async def test_setting_what_is_set_already_is_no_event() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        before = len(await manager.happened())
        changes = dataset(
            ProcedureStepProgressInformationSequence={"ProcedureStepProgress": "50"},
            InputReadinessState="INCOMPLETE",
            ScheduledStationNameCodeSequence={"CodeValue": "W", "CodingSchemeDesignator": "L", "CodeMeaning": "W"},
            PatientName="",
        )
        await worklist.set(UID, changes, LOCK)
        kinds = [type(event).__name__ for event in manager.events[before:]]
        assert sorted(kinds) == ["UPSAssigned", "UPSProgressReport", "UPSStateReport"]
        await worklist.set(UID, changes, LOCK)
        assert len(await manager.happened()) == before + 3


async def test_modifications_in_another_character_set() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        step = created("Auswertung", PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100")
        await association_of(worklist).n_create(PUSH, UID, step)
        changes = dataset(ProcedureStepLabel="Ανάγνωση", SpecificCharacterSet="ISO_IR 126")
        await worklist.set(UID, changes)
        got = await worklist.get(UID)
        assert (str(got.PatientName), got.ProcedureStepLabel) == ("Müller^Jürgen", "Ανάγνωση")
        assert got.SpecificCharacterSet == "ISO_IR 192"


# N-GET


async def test_the_transaction_uid_is_a_secret() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        assert "TransactionUID" not in await worklist.get(UID)
        asked = await worklist.get(UID, "TransactionUID", "ProcedureStepState")
        assert list(asked.keys()) == tags("ProcedureStepState")
        assert asked.status == Status.REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED
        (match,) = await worklist.find(dataset(TransactionUID="", SOPInstanceUID=""))
        assert "TransactionUID" not in match
        assert await worklist.find(dataset(TransactionUID=LOCK, SOPInstanceUID=OTHER)) == []
    assert "TransactionUID" not in await manager.provider.get(UID)


# final states


async def test_final_state_requirements() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        error = await refusal(worklist.change_state(UID, "COMPLETED", LOCK))
        assert error.status == Status.UPS_FINAL_STATE_REQUIREMENTS_NOT_MET
        assert "PerformedProcedureSequence" in str(error)
        incomplete = performed()
        item = incomplete.UnifiedProcedureStepPerformedProcedureSequence[0]
        del item.PerformedWorkitemCodeSequence
        await worklist.set(UID, incomplete, LOCK)
        error = await refusal(worklist.change_state(UID, "COMPLETED", LOCK))
        assert "PerformedWorkitemCodeSequence" in str(error)
        assert await manager.state() == UPSState.IN_PROGRESS
        await worklist.set(UID, performed(), LOCK)
        assert (await worklist.change_state(UID, "COMPLETED", LOCK)).status == Status.SUCCESS


async def test_canceling_fills_in_when_and_why() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        await worklist.change_state(UID, "CANCELED", LOCK)
        (progress,) = (await worklist.get(UID)).ProcedureStepProgressInformationSequence
        assert progress.ProcedureStepCancellationDateTime
        assert progress.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"
    report = manager.events[-1]
    assert isinstance(report, UPSStateReport)
    assert (report.state, report.reason) == (UPSState.CANCELED, "")
    assert report.information.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"


# cancel requests


async def test_a_cancel_request_for_a_scheduled_step_says_why() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.SCHEDULED)
        await worklist.request_cancel(UID, "patient left", code=("110514", "DCM", "Incorrect worklist entry selected"))
        (progress,) = (await worklist.get(UID)).ProcedureStepProgressInformationSequence
        assert progress.ReasonForCancellation == "patient left"
        assert progress.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110514"
    assert manager.events[-1].information.ReasonForCancellation == "patient left"


@pytest.mark.parametrize(
    "decision, status, state",
    [
        (True, Status.SUCCESS, UPSState.CANCELED),
        (False, Status.UPS_PERFORMER_DECLINES_TO_CANCEL, UPSState.IN_PROGRESS),
        (None, Status.UPS_PERFORMER_NOT_CONTACTED, UPSState.IN_PROGRESS),
    ],
)
async def test_a_manager_that_performs_decides(decision: bool | None, status: Status, state: UPSState) -> None:
    manager = Manager()
    asked = []

    @manager.provider.on_cancel_request
    async def decide(uid: str, information: Dataset) -> bool | None:
        asked.append((uid, information.ReasonForCancellation))
        return decision

    async with asking(manager) as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        assert await status_of(worklist.request_cancel(UID, "late")) == status
    assert asked == [(UID, "late")]
    assert await manager.state() == state


async def test_nobody_decides_about_steps_that_are_not_in_progress() -> None:
    manager = Manager()

    @manager.provider.on_cancel_request
    async def decide(uid: str, information: Dataset) -> bool | None:
        raise AssertionError("there is nothing to decide")

    async with asking(manager) as worklist:
        await manager.reach(UPSState.SCHEDULED)
        await worklist.request_cancel(UID)
        assert (await worklist.request_cancel(UID)).status == Status.UPS_ALREADY_CANCELED_WARNING


async def test_who_requests_is_told() -> None:
    manager = Manager()
    async with asking(manager, ae_title="ORDERER") as worklist:
        await manager.reach(UPSState.IN_PROGRESS)
        async with worklist.watch(UID) as events:
            await worklist.request_cancel(UID, "late", contact="Dr Doe", contact_uri="tel:123")
            *_, event = await until(events, lambda event: isinstance(event, dicomio.UPSCancelRequested))
    assert isinstance(event, dicomio.UPSCancelRequested)
    assert (event.requesting_ae, event.reason, event.contact) == ("ORDERER", "late", "Dr Doe")
    assert event.information.ContactURI == "tel:123"


# C-FIND


@pytest.mark.parametrize(
    "sop_class", [sop.UnifiedProcedureStepPull, UnifiedProcedureStepWatch, UnifiedProcedureStepQuery]
)
async def test_queries(sop_class: str) -> None:
    manager = Manager()
    async with asking(manager, contexts=[sop_class]) as worklist:
        await manager.provider.create(created("Segment", PatientID="1"), UID)
        await manager.provider.create(created("Read", PatientID="2"), OTHER)
        await manager.provider.change_state(OTHER, UPSState.IN_PROGRESS, LOCK)
        (match,) = await worklist.find(dataset(ProcedureStepState="SCHEDULED", SOPInstanceUID="", SOPClassUID=""))
        assert (match.SOPInstanceUID, match.SOPClassUID) == (UID, PUSH)
        assert len(await worklist.find(dataset(ProcedureStepLabel="", PatientID=""))) == 2
        assert [found.PatientID for found in await worklist.find(dataset(ProcedureStepLabel="R*", PatientID=""))] == [
            "2"
        ]
        # "If there are no matching keys, then there are no matches" (PS3.4 CC.2.8.3.1).
        assert await worklist.find(dataset(SpecificCharacterSet="ISO_IR 192")) == []


async def test_queries_for_many() -> None:
    manager = Manager()
    for number in range(450):
        await manager.provider.create(created(f"Step {number:03}"), f"1.2.3.4.{number}")
    async with asking(manager) as worklist:
        found = await worklist.find(dataset(ProcedureStepLabel=""))
    assert [match.ProcedureStepLabel for match in found] == [f"Step {number:03}" for number in range(450)]


async def test_a_key_that_matches_nothing_is_refused() -> None:
    async with asking(Manager()) as worklist:
        error = await refusal(worklist.find(dataset(ScheduledProcedureStepStartDateTime="soon")))
    assert error.status == 0xA900


# actions that there are not


@pytest.mark.parametrize(
    "uid, action, information, status",
    [
        (UID, 9, {}, Status.NO_SUCH_ACTION_TYPE),
        (UID, 1, {"ProcedureStepState": "DONE", "TransactionUID": LOCK}, Status.INVALID_ARGUMENT_VALUE),
        (UID, 1, {}, Status.INVALID_ARGUMENT_VALUE),
        (UID, 3, {"DeletionLock": "TRUE"}, Status.INVALID_ARGUMENT_VALUE),
        (UID, 3, {"ReceivingAE": "NOBODY", "DeletionLock": "TRUE"}, Status.UPS_RECEIVING_AE_UNKNOWN),
        (OTHER, 3, {"ReceivingAE": "FAR", "DeletionLock": "TRUE"}, Status.UPS_NOT_FOUND),
        (OTHER, 4, {"ReceivingAE": "FAR"}, Status.UPS_NOT_FOUND),
        (UID, 5, {"ReceivingAE": "FAR"}, Status.UPS_ACTION_NOT_APPROPRIATE),
        (
            UPSFilteredGlobalSubscriptionInstance,
            3,
            {"ReceivingAE": "FAR", "ScheduledProcedureStepStartDateTime": "soon"},
            Status(0xA900),
        ),
    ],
)
async def test_actions_that_are_refused(uid: str, action: int, information: dict[str, str], status: Status) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(UPSState.SCHEDULED)
        error = await refusal(association_of(worklist).n_action(PUSH, uid, action, dataset(**information)))
        assert error.status == status
        assert list(manager.provider.subscriptions.everyone()) == []
        assert (await worklist.get(UID)).ProcedureStepState == "SCHEDULED"


# subscriptions


async def test_a_deletion_lock_that_is_not_granted() -> None:
    manager = Manager()

    @manager.provider.on_deletion_lock
    def may(ae_title: str, uid: str) -> bool:
        return (ae_title, uid) != ("WORKER", UID)

    async with asking(manager) as worklist:
        await manager.reach(UPSState.SCHEDULED)
        async with worklist.watch(UID, deletion_lock=True) as events:
            assert events.answer is not None
            assert events.answer.status == Status.UPS_DELETION_LOCK_NOT_GRANTED
            assert not manager.provider.subscriptions.locked(UID)
            assert (await until(events, is_state(UPSState.SCHEDULED))) != []


async def test_subscribers_are_limited() -> None:
    manager = Manager(subscribers=1)
    async with asking(manager) as worklist:
        await worklist.subscribe(receiving_ae="FAR")
        await worklist.subscribe(receiving_ae="FAR", deletion_lock=True)
        error = await refusal(worklist.subscribe(receiving_ae="WORKER"))
    assert error.status == Status.RESOURCE_LIMITATION


async def test_a_manager_without_event_reports() -> None:
    async with asking(Manager(subscribers=0)) as worklist:
        error = await refusal(worklist.subscribe(receiving_ae="FAR"))
    assert error.status == Status.UPS_EVENT_REPORTS_NOT_SUPPORTED


async def test_a_filtered_subscription() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.create(label("Segment"), "1.2.1")
        await worklist.create(label("Read"), "1.2.2")
        async with worklist.watch(filter=dataset(ProcedureStepLabel="Seg*"), deletion_lock=True) as events:
            await worklist.create(label("Segment again"), "1.2.3")
            await worklist.create(label("Read again"), "1.2.4")
            await worklist.create(label("Segment once more"), "1.2.5")
            found = await until(events, is_state(UPSState.SCHEDULED, "1.2.5"))
    assert [event.uid for event in found] == ["1.2.1", "1.2.3", "1.2.5"]
    assert list(manager.provider.subscriptions.everyone()) == []


async def test_steps_are_removed_when_their_time_is_over_and_nobody_needs_them() -> None:
    manager = Manager(retention=0.0)
    async with asking(manager) as worklist:
        for uid in (UID, OTHER):
            await worklist.create(label(), uid)
        await worklist.subscribe(OTHER, receiving_ae="FAR", deletion_lock=True)
        for uid in (UID, OTHER):
            await worklist.request_cancel(uid)
        await worklist.create(label())
        assert await manager.state(UID) is None
        assert await manager.state(OTHER) == UPSState.CANCELED
        assert manager.provider.subscriptions.of(UID) == []
        await worklist.unsubscribe(OTHER, receiving_ae="FAR")
        # The next look at it is a second away.
        manager.provider.ended[0] = (0.0, OTHER)
        await worklist.create(label())
        assert await manager.state(OTHER) is None


async def test_steps_may_be_kept_for_ever() -> None:
    manager = Manager(retention=None)
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        await worklist.request_cancel(UID)
        assert not manager.provider.ended


async def test_an_event_handler_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    manager = Manager()

    @manager.provider.on_event
    async def fail(event: dicomio.UPSEvent) -> None:
        raise RuntimeError("no")

    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        await manager.settled()
    assert await manager.state() == UPSState.SCHEDULED
    assert "an event handler failed" in caplog.text


# reporting


class Listener:
    """An application entity that listens for event reports.

    Attributes:
        heard: the reports, by SOP Instance UID and type.
        refuse: what to answer, in this order; Success afterwards.
    """

    def __init__(self) -> None:
        self.app = Application("LISTENER")
        self.heard: list[tuple[str, int]] = []
        self.refuse: Iterator[int] = iter(())

        @self.app.n_event_report(PUSH)
        async def report(request: EventReport) -> int:
            self.heard.append((request.sop_instance_uid, request.event_type))
            assert request.negotiated_as == UnifiedProcedureStepEvent
            return next(self.refuse, 0)


async def test_events_go_to_where_the_subscriber_listens() -> None:
    listener = Listener()
    async with dicomio.serve(listener.app, "127.0.0.1", 0) as server:
        manager = Manager()
        manager.app.destinations = {"LISTENER": f"LISTENER@127.0.0.1:{server.port}"}
        async with asking(manager, ae_title="OTHER") as worklist:
            await worklist.subscribe(receiving_ae="LISTENER")
            await worklist.create(label(), UID)
            await worklist.request_cancel(UID)
            await manager.settled()
        assert listener.heard == [(UID, 1), (UID, 2), (UID, 1), (UID, 1)]
        await manager.provider.announce(steps_kept=True)
        await manager.settled()
    assert listener.heard[-1] == (UPSGlobalSubscriptionInstance, 4)


async def test_who_does_not_answer_where_it_listens_is_told_on_its_own_association() -> None:
    manager = Manager()
    manager.app.destinations = {"WORKER": "WORKER@127.0.0.1:9"}
    async with asking(manager) as worklist, worklist.watch() as events:
        await worklist.create(label(), UID)
        await until(events, is_state(UPSState.SCHEDULED))


async def test_an_association_that_comes_later_takes_the_events() -> None:
    manager, heard = Manager(), []
    async with asking(manager) as worklist:
        await worklist.subscribe(receiving_ae="WORKER")
    worker = Application("WORKER")

    @worker.n_event_report(PUSH)
    async def hear(report: EventReport) -> None:
        heard.append(report.sop_instance_uid)

    async with connected(manager.app, client=worker, ae_title="WORKER", contexts=CLASSES) as association:
        # It says nothing of events; that it has asked for something is enough to know that it is there.
        with pytest.raises(StatusError):
            await association.n_get(PUSH, UID)
        await manager.provider.create(created(), UID)
        await manager.settled()
    assert heard == [UID]


async def test_a_refused_event_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    listener.refuse = iter([Status.PROCESSING_FAILURE])
    async with dicomio.serve(listener.app, "127.0.0.1", 0) as server:
        manager = Manager(retries=(0.0, 0.0))
        manager.app.destinations = {"LISTENER": f"LISTENER@127.0.0.1:{server.port}"}
        async with asking(manager) as worklist:
            await worklist.subscribe(receiving_ae="LISTENER")
            await worklist.create(label(), UID)
            await worklist.create(label(), OTHER)
            await manager.settled()
    assert listener.heard == [(UID, 1), (OTHER, 1)]
    assert f"{UID} is SCHEDULED is not reported" in caplog.text


async def test_who_cannot_be_reached_is_tried_again_and_then_given_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomio.ups")
    manager = Manager(retries=(0.0, 0.001))
    async with asking(manager) as worklist:
        await worklist.subscribe(receiving_ae="FAR")
        await worklist.create(label(), UID)
        await manager.settled()
    messages = [record.getMessage() for record in caplog.records if record.name == "dicomio.ups"]
    assert [message.split(":")[1] for message in messages] == [
        " events will be reported in 0.0 s",
        " events will be reported in 0.001 s",
        " 1 events are not reported",
    ]
    # That "should not imply any effect on the subscription list" (PS3.4 CC.2.4.3).
    assert manager.provider.subscriptions.of(UID) == ["FAR"]
    assert manager.provider.reporter.queues == {}


async def test_a_retry_succeeds() -> None:
    listener, attempts = Listener(), []
    async with dicomio.serve(listener.app, "127.0.0.1", 0) as server:

        async def locate(ae_title: str) -> dicomio.Address:
            attempts.append(ae_title)
            return dicomio.Address(ae_title, "127.0.0.1", server.port if len(attempts) > 2 else 9)

        manager = Manager(retries=(0.0,))
        manager.app.destinations = locate
        async with asking(manager) as worklist:
            await worklist.subscribe(receiving_ae="LISTENER")
            await worklist.create(label(), UID)
            await manager.settled()
    assert listener.heard == [(UID, 1)]
    assert len(attempts) == 3


async def test_a_subscriber_that_is_not_known_any_more(caplog: pytest.LogCaptureFixture) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await worklist.subscribe(receiving_ae="FAR")
        manager.app.destinations = {}
        await worklist.create(label(), UID)
        await manager.settled()
    assert "it is not known where this application entity listens" in caplog.text


async def test_large_steps_are_looked_at_elsewhere() -> None:
    manager = Manager()
    inputs = [{"StudyInstanceUID": f"1.2.826.0.1.3680043.9.3811.{number}"} for number in range(2_000)]
    async with asking(manager) as worklist:
        await worklist.create(label(InputInformationSequence=inputs), UID)
        assert len((await worklist.get(UID)).InputInformationSequence) == 2_000


async def test_events_that_wait_are_limited(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(reporting, "BACKLOG", 2)
    listener = Listener()
    async with dicomio.serve(listener.app, "127.0.0.1", 0) as server:
        manager = Manager()
        manager.app.destinations = {"LISTENER": f"LISTENER@127.0.0.1:{server.port}"}
        for number in range(4):
            manager.provider.reporter.post("LISTENER", UPSStateReport(f"1.2.{number}", Dataset()))
        await manager.settled()
    assert listener.heard == [("1.2.2", 1), ("1.2.3", 1)]
    assert caplog.text.count("too many events wait") == 2


async def test_the_fallback_list_hears_of_a_restart() -> None:
    listener = Listener()
    async with dicomio.serve(listener.app, "127.0.0.1", 0) as server:
        manager = Manager(fallback=["LISTENER"])
        manager.app.destinations = {"LISTENER": f"LISTENER@127.0.0.1:{server.port}"}
        await manager.provider.announce("GOING DOWN")
        await manager.settled()
    assert listener.heard == [(UPSGlobalSubscriptionInstance, 4)]
    (event,) = manager.events
    assert isinstance(event, dicomio.SCPStatusChange)
    assert (event.status, event.subscriptions_lost, event.steps_lost) == ("GOING DOWN", True, True)


async def test_the_response_comes_before_the_events_that_follow_from_it() -> None:
    manager = Manager()
    order: list[str] = []
    async with asking(manager) as worklist:
        await worklist.create(label(), UID)
        async with worklist.watch(UID) as events:
            await until(events, is_state(UPSState.SCHEDULED))

            async def hear() -> None:
                await until(events, is_state(UPSState.IN_PROGRESS))
                order.append("event")

            hearing = asyncio.ensure_future(hear())
            await worklist.change_state(UID, "IN PROGRESS", LOCK)
            order.append("response")
            await hearing
    assert order == ["response", "event"]


async def test_a_handler_of_a_meta_class_is_not_asked_for_another() -> None:
    """A provider serves its own SOP class only: another one in a request is No Such SOP Class."""
    app = Application("MANAGER")
    UPSProvider(app)
    async with connected(app, contexts=[sop.UnifiedProcedureStepPull]) as association:
        with pytest.raises(StatusError) as caught:
            await association.n_get(sop.BasicFilmSession, UID, negotiated_as=sop.UnifiedProcedureStepPull)
    assert caught.value.status == Status.NO_SUCH_SOP_CLASS


async def test_middleware_sees_requests_of_peers() -> None:
    manager, seen = Manager(), []

    @manager.app.middleware
    async def note(request: dicomio.Request, call_next: object) -> object:
        seen.append(type(request))
        return await call_next(request)  # type: ignore[operator]

    async with asking(manager) as worklist:
        await worklist.subscribe(receiving_ae="FAR")
    assert seen == [ActionRequest]

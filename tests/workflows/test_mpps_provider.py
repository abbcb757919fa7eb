"""Keeping procedure steps: the states of PS3.4 Table F.1-4, the attributes of Table F.7.2-1, and who hears of them."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

import dicomio
from dicomio import (
    Address,
    Application,
    Association,
    EventReport,
    Refused,
    Status,
    StatusError,
    StepChange,
    StepEvent,
    StepState,
    dataset,
)
from dicomio.sop import ModalityPerformedProcedureStep as MPPS
from dicomio.sop import ModalityPerformedProcedureStepNotification as Notification
from dicomio.sop import ModalityPerformedProcedureStepRetrieve as Retrieve
from dicomio.testing import connected
from dicomio.workflows.mpps.attributes import ATTRIBUTES, check_values
from tests.workflows.steps import STUDY, UID, Ris, begun, ended

TYPE_1 = [attribute.keyword for attribute in ATTRIBUTES if attribute.create == 1]
TYPE_2 = [attribute.keyword for attribute in ATTRIBUTES if attribute.create == 2]


@pytest.fixture
def ris() -> Ris:
    return Ris()


@pytest.fixture
async def association(ris: Ris) -> AsyncIterator[Association]:
    async with connected(ris.app, ae_title="CT1", contexts=[MPPS, Retrieve]) as association:
        yield association


async def refusal(association: Association, request: Any) -> dicomio.Response:
    """The response to a request that is refused."""
    with pytest.raises(StatusError) as error:
        await request
    assert isinstance(error.value.response, dicomio.Response)
    assert association.ended is None
    return error.value.response


def tags(*keywords: str) -> list[int]:
    """Tags of attributes."""
    return [int(Tag(keyword)) for keyword in keywords]


class TestCreation:
    """N-CREATE (PS3.4 F.7.2.1)."""

    async def test_attributes_of_type_2_are_added(self, association: Association, ris: Ris) -> None:
        await association.n_create(MPPS, UID, begun())
        assert [keyword for keyword in TYPE_2 if keyword not in ris.step] == []
        assert ris.step.ScheduledStepAttributesSequence[0].AccessionNumber == ""
        (change,) = ris.changes
        assert (change.uid, change.previous, change.state) == (UID, None, StepState.IN_PROGRESS)
        assert (change.event, change.request.peer.ae_title if change.request else "") == (1, "CT1")

    async def test_the_uid_may_be_left_to_us(self, association: Association, ris: Ris) -> None:
        answer = await association.n_create(MPPS, None, begun())
        assert list(ris.provider.steps) == [answer.response.sop_instance_uid]

    async def test_a_duplicate(self, association: Association, ris: Ris) -> None:
        await association.n_create(MPPS, UID, begun(PatientID="1"))
        response = await refusal(association, association.n_create(MPPS, UID, begun(PatientID="2")))
        assert response.status == Status.DUPLICATE_SOP_INSTANCE
        assert ris.step.PatientID == "1"

    @pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED", "SCHEDULED", "in progress"])
    async def test_in_another_state(self, association: Association, ris: Ris, state: str) -> None:
        request = association.n_create(MPPS, UID, begun(PerformedProcedureStepStatus=state))
        response = await refusal(association, request)
        assert response.status == Status.INVALID_ATTRIBUTE_VALUE
        assert list(response.attribute_identifiers) == tags("PerformedProcedureStepStatus")
        assert ris.provider.steps == {}

    @pytest.mark.parametrize("keyword", TYPE_1)
    async def test_without_an_attribute_of_type_1(self, association: Association, ris: Ris, keyword: str) -> None:
        attributes = begun()
        del attributes[keyword]
        response = await refusal(association, association.n_create(MPPS, UID, attributes))
        assert response.status == Status.MISSING_ATTRIBUTE
        assert list(response.attribute_identifiers) == tags(keyword)
        assert keyword[:40] in (response.error_comment or "")

    @pytest.mark.parametrize("keyword", TYPE_1)
    async def test_with_an_empty_one(self, association: Association, ris: Ris, keyword: str) -> None:
        response = await refusal(association, association.n_create(MPPS, UID, begun(**{keyword: None})))
        assert response.status == Status.MISSING_ATTRIBUTE_VALUE
        assert list(response.attribute_identifiers) == tags(keyword)

    async def test_with_an_item_that_lacks_one(self, association: Association) -> None:
        attributes = begun(ScheduledStepAttributesSequence=[{"StudyInstanceUID": STUDY}, {"AccessionNumber": "A1"}])
        response = await refusal(association, association.n_create(MPPS, UID, attributes))
        assert response.status == Status.MISSING_ATTRIBUTE
        assert list(response.attribute_identifiers) == tags("StudyInstanceUID")

    async def test_several_are_listed(self, association: Association) -> None:
        request = association.n_create(MPPS, UID, dataset(PerformedProcedureStepStatus="IN PROGRESS"))
        response = await refusal(association, request)
        missing = [keyword for keyword in TYPE_1 if keyword != "PerformedProcedureStepStatus"]
        assert list(response.attribute_identifiers) == tags(*missing)

    async def test_a_hook_may_refuse_it(self, association: Association, ris: Ris) -> None:
        ris.refusal = Refused(Status.NOT_AUTHORIZED, "unknown station", offending=tags("PerformedStationAETitle"))
        response = await refusal(association, association.n_create(MPPS, UID, begun()))
        assert (response.status, response.error_comment) == (Status.NOT_AUTHORIZED, "unknown station")
        assert ris.provider.steps == {}

    async def test_a_hook_may_be_a_plain_function(self, association: Association, ris: Ris) -> None:
        seen: list[str] = []

        @ris.provider.on_change
        def note(change: StepChange) -> None:
            seen.append(change.uid)

        await association.n_create(MPPS, UID, begun())
        assert seen == [UID]

    def test_a_value_that_cannot_be_decoded(self) -> None:
        hostile = Dataset()
        hostile[0x00400244] = RawDataElement(Tag(0x00400244), "US", 1, b"x", 0, False, True)
        nested = Dataset()
        nested.ScheduledStepAttributesSequence = [hostile]
        with pytest.raises(Refused) as error:
            check_values(nested)
        assert (error.value.status, error.value.offending) == (Status.INVALID_ATTRIBUTE_VALUE, (0x00400244,))


class TestModification:
    """N-SET (PS3.4 F.7.2.2)."""

    @pytest.fixture(autouse=True)
    async def created(self, association: Association) -> None:
        await association.n_create(MPPS, UID, begun(PatientID="4711"))

    async def test_attributes_change(self, association: Association, ris: Ris) -> None:
        await association.n_set(MPPS, UID, dataset(PerformedProcedureStepDescription="Head"))
        assert (ris.step.PerformedProcedureStepDescription, ris.step.PatientID) == ("Head", "4711")
        assert (ris.changes[-1].previous, ris.changes[-1].state) == (StepState.IN_PROGRESS, StepState.IN_PROGRESS)
        assert ris.changes[-1].event == StepEvent.UPDATED

    @pytest.mark.parametrize(
        "state, event", [("COMPLETED", StepEvent.COMPLETED), ("DISCONTINUED", StepEvent.DISCONTINUED)]
    )
    async def test_it_ends(self, association: Association, ris: Ris, state: str, event: StepEvent) -> None:
        await association.n_set(MPPS, UID, ended(state))
        assert ris.step.PerformedProcedureStepStatus == state
        assert (ris.changes[-1].previous, ris.changes[-1].event) == (StepState.IN_PROGRESS, event)

    @pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
    @pytest.mark.parametrize("change", [ended(), dataset(PerformedProcedureStepDescription="late")])
    async def test_afterwards_nothing_changes(
        self, association: Association, ris: Ris, state: str, change: Dataset
    ) -> None:
        await association.n_set(MPPS, UID, ended(state))
        response = await refusal(association, association.n_set(MPPS, UID, change))
        # PS3.4 Table F.7.2-2
        assert (response.status, response.error_id) == (0x0110, 0xA710)
        assert response.error_comment == "Performed Procedure Step Object may no longer be updated"
        assert ris.step.PerformedProcedureStepStatus == state
        assert len(ris.changes) == 2

    async def test_of_an_unknown_step(self, association: Association) -> None:
        response = await refusal(association, association.n_set(MPPS, "1.2.9", ended()))
        assert response.status == Status.NO_SUCH_SOP_INSTANCE

    async def test_to_no_state(self, association: Association, ris: Ris) -> None:
        response = await refusal(association, association.n_set(MPPS, UID, ended("DONE")))
        assert response.status == Status.INVALID_ATTRIBUTE_VALUE
        assert list(response.attribute_identifiers) == tags("PerformedProcedureStepStatus")
        assert ris.step.PerformedProcedureStepStatus == "IN PROGRESS"

    @pytest.mark.parametrize(
        "keyword", ["PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", "PerformedSeriesSequence"]
    )
    async def test_without_what_the_final_state_needs(self, association: Association, ris: Ris, keyword: str) -> None:
        change = ended()
        del change[keyword]
        response = await refusal(association, association.n_set(MPPS, UID, change))
        # It was created empty.
        assert response.status == Status.MISSING_ATTRIBUTE_VALUE
        assert list(response.attribute_identifiers) == tags(keyword)
        assert ris.step.PerformedProcedureStepStatus == "IN PROGRESS"
        await association.n_set(MPPS, UID, dataset(**{keyword: ended()[keyword].value}))
        await association.n_set(MPPS, UID, change)
        assert ris.step.PerformedProcedureStepStatus == "COMPLETED"

    async def test_with_series_that_lack_something(self, association: Association) -> None:
        series = [{"SeriesInstanceUID": "1.2.5", "ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2"}]}]
        response = await refusal(association, association.n_set(MPPS, UID, ended(PerformedSeriesSequence=series)))
        assert response.status == Status.MISSING_ATTRIBUTE
        assert list(response.attribute_identifiers) == tags("ProtocolName", "ReferencedSOPClassUID")

    async def test_what_may_not_change_is_left_and_listed(self, association: Association, ris: Ris) -> None:
        answer = await association.n_set(MPPS, UID, ended(PatientID="1", Modality="CT", StudyID="7"))
        assert answer.status == Status.ATTRIBUTE_LIST_ERROR
        assert list(answer.response.attribute_identifiers) == tags("PatientID", "StudyID")
        assert (ris.step.PatientID, ris.step.PerformedProcedureStepStatus) == ("4711", "COMPLETED")

    async def test_what_is_sent_again_does_no_harm(self, association: Association, ris: Ris) -> None:
        answer = await association.n_set(MPPS, UID, ended(PatientID="4711", Modality="CT"))
        assert answer.status == Status.SUCCESS

    async def test_texts_of_two_character_sets(self, association: Association, ris: Ris) -> None:
        change = dataset(SpecificCharacterSet="ISO_IR 100", PerformedProcedureStepDescription="Schädel")
        await association.n_set(MPPS, UID, change)
        await association.n_set(
            MPPS, UID, dataset(SpecificCharacterSet="ISO_IR 144", PerformedProcedureTypeDescription="Череп")
        )
        assert ris.step.SpecificCharacterSet == "ISO_IR 192"
        got = await association.n_get(Retrieve, UID, "PerformedProcedureStepDescription", 0x00400255)
        assert (got.PerformedProcedureStepDescription, got.PerformedProcedureTypeDescription) == ("Schädel", "Череп")

    async def test_a_hook_may_refuse_it(self, association: Association, ris: Ris) -> None:
        ris.refusal = OSError("disk full")
        response = await refusal(association, association.n_set(MPPS, UID, ended()))
        assert response.status == Status.PROCESSING_FAILURE
        ris.refusal = None
        await association.n_set(MPPS, UID, ended())
        assert ris.states == ["IN PROGRESS", "COMPLETED"]


class TestRetrieval:
    """N-GET (PS3.4 F.8)."""

    @pytest.fixture(autouse=True)
    async def created(self, association: Association) -> None:
        await association.n_create(MPPS, UID, begun(PatientName="MÜLLER^EVA", PatientID="4711"))

    async def test_all_attributes(self, association: Association, ris: Ris) -> None:
        answer = await association.n_get(Retrieve, UID)
        assert ris.step == answer
        assert answer.status == Status.SUCCESS

    async def test_some_attributes(self, association: Association) -> None:
        answer = await association.n_get(Retrieve, UID, "PatientID", "Modality")
        assert [element.keyword for element in answer] == ["SpecificCharacterSet", "Modality", "PatientID"]

    async def test_texts_come_with_their_character_set(self, association: Association) -> None:
        answer = await association.n_get(Retrieve, UID, "PatientName")
        assert answer.PatientName == "MÜLLER^EVA"

    async def test_attributes_that_are_not_supported(self, association: Association) -> None:
        answer = await association.n_get(Retrieve, UID, "PatientID", "AdmissionID")
        assert answer.status == 0x0001
        assert (answer.PatientID, "AdmissionID" in answer) == ("4711", False)

    async def test_of_an_unknown_step(self, association: Association) -> None:
        response = await refusal(association, association.n_get(Retrieve, "1.2.9"))
        assert response.status == Status.NO_SUCH_SOP_INSTANCE

    async def test_by_the_name_of_the_class_it_was_created_in(self, association: Association) -> None:
        answer = await association.n_get(MPPS, UID, "PatientID", negotiated_as=Retrieve)
        assert answer.PatientID == "4711"


class TestLimit:
    """Memory is bounded."""

    @pytest.fixture
    def ris(self) -> Ris:
        return Ris(limit=2)

    async def test_what_ended_first_is_forgotten(self, association: Association, ris: Ris) -> None:
        for uid in ("1.1", "1.2"):
            await association.n_create(MPPS, uid, begun())
        for uid in ("1.2", "1.1"):
            await association.n_set(MPPS, uid, ended())
        await association.n_create(MPPS, "1.3", begun())
        assert list(ris.provider.steps) == ["1.1", "1.3"]
        await association.n_create(MPPS, "1.4", begun())
        assert list(ris.provider.steps) == ["1.3", "1.4"]

    async def test_too_many_in_progress(self, association: Association, ris: Ris) -> None:
        for uid in ("1.1", "1.2"):
            await association.n_create(MPPS, uid, begun())
        response = await refusal(association, association.n_create(MPPS, "1.3", begun()))
        assert response.status == Status.RESOURCE_LIMITATION
        assert list(ris.provider.steps) == ["1.1", "1.2"]


class TestFromThisSide:
    """What the program does with steps."""

    async def test_steps_from_before(self, association: Association, ris: Ris) -> None:
        ris.provider.restore("1.1", begun(PatientID="4711"))
        ris.provider.restore("1.2", begun(PerformedProcedureStepStatus="COMPLETED"))
        assert (await association.n_get(Retrieve, "1.1", "PatientID")).PatientID == "4711"
        assert (await refusal(association, association.n_set(MPPS, "1.2", ended()))).error_id == 0xA710

    async def test_attributes_are_corrected(self, association: Association, ris: Ris) -> None:
        await association.n_create(MPPS, UID, begun(PatientID="4711"))
        await association.n_set(MPPS, UID, ended())
        await ris.provider.amend(UID, dataset(PatientID="4712"))
        assert (await association.n_get(Retrieve, UID, "PatientID")).PatientID == "4712"
        assert (ris.changes[-1].event, ris.changes[-1].request) == (StepEvent.UPDATED, None)

    async def test_a_step_whose_modality_has_failed_is_ended(self, association: Association, ris: Ris) -> None:
        await association.n_create(MPPS, UID, begun())
        await ris.provider.amend(UID, dataset(PerformedProcedureStepStatus="DISCONTINUED"))
        assert (await refusal(association, association.n_set(MPPS, UID, ended()))).status == 0x0110
        assert ris.states == ["IN PROGRESS", "DISCONTINUED"]

    async def test_a_step_that_has_ended_stays_so(self, association: Association, ris: Ris) -> None:
        await association.n_create(MPPS, UID, begun())
        await association.n_set(MPPS, UID, ended())
        for state in ("IN PROGRESS", "DISCONTINUED", "DONE"):
            with pytest.raises(Refused):
                await ris.provider.amend(UID, dataset(PerformedProcedureStepStatus=state))
        assert ris.step.PerformedProcedureStepStatus == "COMPLETED"

    async def test_an_unknown_step(self, ris: Ris) -> None:
        with pytest.raises(Refused, match="no such procedure step"):
            await ris.provider.amend(UID, dataset(PatientID="1"))

    async def test_deletion(self, association: Association, ris: Ris) -> None:
        await association.n_create(MPPS, UID, begun())
        await ris.provider.delete(UID)
        assert (await refusal(association, association.n_get(Retrieve, UID))).status == Status.NO_SUCH_SOP_INSTANCE


class Workstation:
    """Hears of procedure steps (PS3.4 F.9, as SCU)."""

    def __init__(self, *statuses: int) -> None:
        self.app = Application("WORKSTATION")
        self.heard: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.statuses = list(statuses)

        @self.app.n_event_report(Notification)
        async def hear(report: EventReport) -> int:
            assert report.sop_class_uid == Notification
            self.heard.put_nowait((report.sop_instance_uid, report.event_type))
            return self.statuses.pop(0) if self.statuses else 0


@asynccontextmanager
async def serving(app: Application) -> AsyncIterator[Address]:
    """Serves on a port of the loopback."""
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        yield Address(app.ae_title, "127.0.0.1", server.port)


class TestNotification:
    """N-EVENT-REPORT (PS3.4 F.9)."""

    async def test_on_an_association_that_the_peer_opened_for_it(self, ris: Ris) -> None:
        workstation = Workstation()
        async with connected(ris.app, contexts=[MPPS, Notification], client=workstation.app) as association:
            await association.n_create(MPPS, UID, begun())
            assert await workstation.heard.get() == (UID, StepEvent.IN_PROGRESS)
            await association.n_set(MPPS, UID, dataset(PerformedProcedureStepDescription="Head"))
            assert await workstation.heard.get() == (UID, StepEvent.UPDATED)
            await association.n_set(MPPS, UID, ended("DISCONTINUED"))
            assert await workstation.heard.get() == (UID, StepEvent.DISCONTINUED)
            await ris.provider.delete(UID)
            assert await workstation.heard.get() == (UID, StepEvent.DELETED)
        while ris.app.background:
            await asyncio.wait(ris.app.background)
        assert list(ris.provider.listeners) == []

    async def test_connections_that_came_to_nothing_are_not_held(self, ris: Ris) -> None:
        async with serving(ris.app) as address:
            for _ in range(3):
                _, writer = await asyncio.open_connection(address.host, address.port)
                writer.close()
                await writer.wait_closed()
        gc.collect()
        assert list(ris.provider.listeners) == []

    async def test_who_did_not_negotiate_it_hears_nothing(self, ris: Ris) -> None:
        workstation = Workstation()
        async with connected(ris.app, contexts=[MPPS], client=workstation.app) as association:
            await association.n_create(MPPS, UID, begun())
            await ris.provider.delete(UID)
        assert workstation.heard.empty()

    async def test_on_an_association_of_ours(self) -> None:
        workstation = Workstation()
        async with serving(workstation.app) as address:
            ris = Ris(notify=["WORKSTATION"], destinations={"WORKSTATION": address})
            async with connected(ris.app, contexts=[MPPS]) as association:
                await association.n_create(MPPS, UID, begun())
                assert await workstation.heard.get() == (UID, StepEvent.IN_PROGRESS)
                await association.n_set(MPPS, UID, ended())
                assert await workstation.heard.get() == (UID, StepEvent.COMPLETED)

    async def test_nobody_hears_twice(self) -> None:
        workstation = Workstation()
        async with serving(workstation.app) as address:
            ris = Ris(notify=[address, f"OTHER@{address.host}:{address.port}"])
            async with connected(
                ris.app, contexts=[MPPS, Notification], client=workstation.app, ae_title="WORKSTATION"
            ) as association:
                await association.n_create(MPPS, UID, begun())
                await ris.provider.delete(UID)
                events = [workstation.heard.get_nowait() for _ in range(workstation.heard.qsize())]
        # One by its own association, and one more to the other AE title, of each event.
        assert sorted(events) == sorted(2 * [(UID, StepEvent.IN_PROGRESS), (UID, StepEvent.DELETED)])

    async def test_again_when_it_cannot_be_reached(self, caplog: pytest.LogCaptureFixture) -> None:
        workstation = Workstation()
        refused = asyncio.Event()
        turns = 0

        @workstation.app.on_associate
        async def turn_away(proposal: dicomio.Proposal) -> None:
            nonlocal turns
            turns += 1
            if turns < 3:
                refused.set()
                raise dicomio.AssociationRejected(2, 3, 1)

        async with serving(workstation.app) as address:
            ris = Ris(notify=[address], retries=[0, 0])
            with caplog.at_level(logging.WARNING, "dicomio.mpps"):
                await ris.provider.announce(UID, StepEvent.COMPLETED)
        assert workstation.heard.get_nowait() == (UID, StepEvent.COMPLETED)
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]

    async def test_giving_up(self, caplog: pytest.LogCaptureFixture) -> None:
        ris = Ris(notify=["NOBODY@127.0.0.1:9"], retries=[0])
        with caplog.at_level(logging.WARNING, "dicomio.mpps"):
            await ris.provider.announce(UID, StepEvent.COMPLETED)
        assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
        assert f"NOBODY@127.0.0.1:9 was not told of procedure step {UID}" in caplog.text

    async def test_who_does_not_want_to_hear_is_not_asked_again(self, caplog: pytest.LogCaptureFixture) -> None:
        workstation = Workstation(Status.NO_SUCH_SOP_INSTANCE)
        async with serving(workstation.app) as address:
            ris = Ris(notify=[address], retries=[0])
            with caplog.at_level(logging.WARNING, "dicomio.mpps"):
                await ris.provider.announce(UID, StepEvent.COMPLETED)
        assert workstation.heard.qsize() == 1
        assert "does not want to hear" in caplog.text

    async def test_a_listener_that_refuses(self, ris: Ris, caplog: pytest.LogCaptureFixture) -> None:
        workstation = Workstation(Status.PROCESSING_FAILURE)
        async with connected(ris.app, contexts=[MPPS, Notification], client=workstation.app):
            with caplog.at_level(logging.WARNING, "dicomio.mpps"):
                await ris.provider.announce(UID, StepEvent.COMPLETED)
        assert "was not told of procedure step" in caplog.text


# PS3.4 Table F.1-4: what an N-SET of a state leads to, from the state before.
TRANSITIONS = {
    "IN PROGRESS": {"IN PROGRESS": "IN PROGRESS", "COMPLETED": "COMPLETED", "DISCONTINUED": "DISCONTINUED"},
    "COMPLETED": {},
    "DISCONTINUED": {},
}
UIDS = ["1.1", "1.2"]
states = st.sampled_from(["IN PROGRESS", "COMPLETED", "DISCONTINUED", "DONE", None])
operations = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(UIDS), states, st.just(True)),
    st.tuples(st.just("set"), st.sampled_from(UIDS), states, st.booleans()),
)


class Model:
    """What the standard says happens, in a few lines."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def create(self, uid: str, state: str | None) -> int:
        if uid in self.states:
            return 0x0111
        if state is None:
            return 0x0120
        if state != "IN PROGRESS":
            return 0x0106
        self.states[uid] = state
        return 0x0000

    def set(self, uid: str, state: str | None, has_final_attributes: bool) -> int:
        if uid not in self.states:
            return 0x0112
        allowed = TRANSITIONS[self.states[uid]]
        if not allowed:
            return 0x0110
        wanted = state or "IN PROGRESS"
        if wanted not in allowed:
            return 0x0106
        if wanted != "IN PROGRESS" and not has_final_attributes:
            return 0x0121
        self.states[uid] = allowed[wanted]
        return 0x0000


async def perform(association: Association, operation: str, uid: str, state: str | None, has_all: bool) -> int:
    """Asks the provider; returns its status."""
    attributes = begun() if operation == "create" else ended() if has_all else dataset(PerformedLocation="")
    attributes.pop("PerformedLocation", None)
    attributes.pop("PerformedProcedureStepStatus", None)
    if state is not None:
        attributes.PerformedProcedureStepStatus = state
    request = association.n_create if operation == "create" else association.n_set
    try:
        return (await request(MPPS, uid, attributes)).status
    except StatusError as error:
        return error.status


@given(st.lists(operations, max_size=12))
def test_every_sequence_of_operations_is_answered_by_the_table(
    wanted: Sequence[tuple[str, str, str | None, bool]],
) -> None:
    async def run() -> None:
        ris, model, complete = Ris(), Model(), set()
        async with connected(ris.app, contexts=[MPPS]) as association:
            for operation, uid, state, has_all in wanted:
                has_final = has_all or uid in complete
                expected = model.create(uid, state) if operation == "create" else model.set(uid, state, has_final)
                assert await perform(association, operation, uid, state, has_all) == expected
                if expected == 0 and operation == "set" and has_all:
                    complete.add(uid)
        held = {uid: str(step.PerformedProcedureStepStatus) for uid, step in ris.provider.steps.items()}
        assert held == model.states
        assert [
            change.state for change in ris.changes if change.previous is not None and change.previous.is_final
        ] == []

    asyncio.run(run())


@given(st.sets(st.sampled_from(TYPE_1)), st.sets(st.sampled_from(TYPE_1)))
def test_whatever_is_missing_is_named(absent: set[str], empty: set[str]) -> None:
    attributes = begun(**dict.fromkeys(empty - {"PerformedProcedureStepStatus"}))
    for keyword in absent:
        del attributes[keyword]
    empty -= absent | {"PerformedProcedureStepStatus"}

    async def run() -> None:
        async with connected(Ris().app, contexts=[MPPS]) as association:
            if not absent and not empty:
                await association.n_create(MPPS, UID, attributes)
                return
            response = await refusal(association, association.n_create(MPPS, UID, attributes))
        assert response.status == (Status.MISSING_ATTRIBUTE if absent else Status.MISSING_ATTRIBUTE_VALUE)
        assert sorted(response.attribute_identifiers) == sorted(tags(*(absent or empty)))

    asyncio.run(run())

"""Performing a procedure step: what the RIS hears of it (PS3.4 F.7)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

import dicomio
from dicomio import (
    Association,
    LocalProtocolError,
    PerformedStep,
    Refused,
    Status,
    StatusError,
    StepState,
    dataset,
    from_worklist,
    performed_step,
)
from dicomio.sop import ModalityPerformedProcedureStep as MPPS
from dicomio.sop import RawDataStorage
from dicomio.testing import connected
from dicomio.workflows.mpps.attributes import lacking
from tests.workflows.steps import UID, Ris, image, step


@pytest.fixture
def ris() -> Ris:
    return Ris()


@pytest.fixture
async def association(ris: Ris) -> AsyncIterator[Association]:
    async with connected(ris.app, ae_title="CT1") as association:
        yield association


async def test_a_step_is_created_and_completed(association: Association, ris: Ris) -> None:
    async with performed_step(association, step(PatientName="DOE^JANE"), UID) as performed:
        assert ris.states == ["IN PROGRESS"]
        assert str(performed.state) == "IN PROGRESS"
    assert str(performed.state) == "COMPLETED"
    assert ris.states == ["IN PROGRESS", "COMPLETED"]
    assert list(ris.provider.steps) == [UID] == [performed.uid]
    assert ris.step.PatientName == "DOE^JANE"


async def test_what_was_created_is_told_at_the_end(association: Association, ris: Ris) -> None:
    async with performed_step(association, step()) as performed:
        performed.add(image(1), image(2), image(3, series=2, SeriesDescription="Neck", ProtocolName="Neck 1"))
        performed.add(image(4, sop_class=RawDataStorage))
    first, second = ris.step.PerformedSeriesSequence
    assert [each.ReferencedSOPInstanceUID for each in first.ReferencedImageSequence] == ["1.2.4.1", "1.2.4.2"]
    (other,) = first.ReferencedNonImageCompositeSOPInstanceSequence
    assert (other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID) == (RawDataStorage, "1.2.4.4")
    assert (first.ProtocolName, second.ProtocolName, second.SeriesDescription) == ("CT", "Neck 1", "Neck")
    assert second.ReferencedNonImageCompositeSOPInstanceSequence == []


async def test_what_need_not_be_given(association: Association, ris: Ris) -> None:
    async with performed_step(association, step()):
        created = ris.step
        assert created.PerformedStationAETitle == "CT1"
        assert 1 <= len(created.PerformedProcedureStepID) <= 16
        assert "PatientName" in created
        assert created.ScheduledStepAttributesSequence[0].AccessionNumber == ""
        # PS3.4 Table F.7.2-1 note 5
        assert created.PerformedProcedureStepDiscontinuationReasonCodeSequence == []
    found = lacking(ris.step, final=True)
    assert (found.absent, found.empty) == ([], [])
    assert ris.step.PerformedProcedureStepEndDate >= created.PerformedProcedureStepStartDate


async def test_a_series_exists_though_nothing_was_created(association: Association, ris: Ris) -> None:
    async with performed_step(association, step(PerformedProcedureStepDescription="Localizer")):
        pass
    (series,) = ris.step.PerformedSeriesSequence
    assert series.SeriesInstanceUID
    assert (series.ProtocolName, series.ReferencedImageSequence) == ("Localizer", [])


async def test_what_is_given_stays_and_is_not_touched(association: Association, ris: Ris) -> None:
    given = step(PerformedStationAETitle="OTHER", PerformedProcedureStepStartTime="0815", StudyID="S1")
    async with performed_step(association, given) as performed:
        await performed.update(PerformedProcedureStepEndTime="0930")
    assert (ris.step.PerformedStationAETitle, ris.step.PerformedProcedureStepStartTime) == ("OTHER", "0815")
    assert (ris.step.StudyID, ris.step.PerformedProcedureStepEndTime) == ("S1", "0930")
    assert "PerformedProcedureStepStatus" not in given
    assert "AccessionNumber" not in given.ScheduledStepAttributesSequence[0]


async def test_by_a_client(ris: Ris) -> None:
    async with dicomio.serve(ris.app, "127.0.0.1", 0) as server:
        async with dicomio.Client(f"RIS@127.0.0.1:{server.port}", ae_title="CT2") as client:
            async with performed_step(client, step()):
                pass
    assert ris.step.PerformedStationAETitle == "CT2"
    assert ris.states == ["IN PROGRESS", "COMPLETED"]


async def test_updates(association: Association, ris: Ris) -> None:
    async with performed_step(association, step()) as performed:
        await performed.update(dataset(PerformedProcedureStepDescription="Schädel"), PerformedProcedureStepEndTime="12")
        assert performed.state is StepState.IN_PROGRESS
        performed.add(image())
        await performed.update(PerformedSeriesSequence=performed.attributes.PerformedSeriesSequence)
        assert ris.step.PerformedSeriesSequence[0].ProtocolName == "Schädel"
    assert ris.states == ["IN PROGRESS", "IN PROGRESS", "IN PROGRESS", "COMPLETED"]
    assert ris.step.PerformedProcedureStepDescription == "Schädel"
    assert ris.step.SpecificCharacterSet == "ISO_IR 192"


async def test_series_that_are_given_are_filled_in(association: Association, ris: Ris) -> None:
    async with performed_step(association, step()) as performed:
        await performed.complete(PerformedSeriesSequence=[{"SeriesInstanceUID": "1.2", "ProtocolName": "Head"}])
    (series,) = ris.step.PerformedSeriesSequence
    assert (series.OperatorsName, series.RetrieveAETitle, series.ReferencedImageSequence) == ("", "", [])


@pytest.mark.parametrize(
    "elements, words",
    [
        ({"Modality": None}, "needs Modality"),
        ({"ScheduledStepAttributesSequence": None}, "needs ScheduledStepAttributesSequence"),
        ({"ScheduledStepAttributesSequence": [{}]}, "needs StudyInstanceUID"),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, "begins IN PROGRESS"),
    ],
)
async def test_what_is_never_sent(association: Association, ris: Ris, elements: dict[str, object], words: str) -> None:
    performed = performed_step(association, step(**elements))
    with pytest.raises(ValueError, match=words):
        await performed.__aenter__()
    assert ris.states == []


@pytest.mark.parametrize(
    "elements, words",
    [
        ({"PatientID": "4711"}, "PatientID may not change"),
        ({"CommentsOnThePerformedProcedureStep": "!"}, "was not there when the step began"),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, "changes by complete"),
    ],
)
async def test_what_may_not_be_changed(
    association: Association, ris: Ris, elements: dict[str, object], words: str
) -> None:
    async with performed_step(association, step()) as performed:
        with pytest.raises(ValueError, match=words):
            await performed.update(**elements)
    assert ris.states == ["IN PROGRESS", "COMPLETED"]


async def test_series_without_what_they_need_are_not_sent(association: Association, ris: Ris) -> None:
    async with performed_step(association, step()) as performed:
        with pytest.raises(ValueError, match="needs ProtocolName"):
            await performed.complete(PerformedSeriesSequence=[{"SeriesInstanceUID": "1.2"}])
    assert ris.states == ["IN PROGRESS", "COMPLETED"]


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"])
async def test_objects_that_cannot_be_referenced(association: Association, keyword: str) -> None:
    unnamed = image()
    del unnamed[keyword]
    async with performed_step(association, step()) as performed:
        with pytest.raises(ValueError, match=f"without {keyword}"):
            performed.add(unnamed)


class Broken(Exception):
    """Ends a step."""


async def fail(performed: PerformedStep, prepare: Callable[[], object] | None = None) -> None:
    """Begins a step and breaks off."""
    async with performed:
        if prepare is not None:
            prepare()
        raise Broken


class TestDiscontinuing:
    """What leaves the block by an exception."""

    async def test_an_exception_discontinues_it_and_goes_on(self, association: Association, ris: Ris) -> None:
        performed = performed_step(association, step())
        with pytest.raises(Broken):
            await fail(performed, lambda: performed.add(image()))
        assert ris.states == ["IN PROGRESS", "DISCONTINUED"]
        (code,) = ris.step.PerformedProcedureStepDiscontinuationReasonCodeSequence
        assert (code.CodeValue, code.CodingSchemeDesignator) == ("110513", "DCM")
        assert len(ris.step.PerformedSeriesSequence[0].ReferencedImageSequence) == 1

    async def test_for_a_reason(self, association: Association, ris: Ris) -> None:
        performed = performed_step(association, step())
        performed.reason = "110501", "DCM", "Equipment failure"
        with pytest.raises(Broken):
            await fail(performed)
        (code,) = ris.step.PerformedProcedureStepDiscontinuationReasonCodeSequence
        assert (code.CodeValue, code.CodeMeaning) == ("110501", "Equipment failure")

    async def test_without_an_exception(self, association: Association, ris: Ris) -> None:
        async with performed_step(association, step()) as performed:
            await performed.discontinue(("110505", "DCM", "Patient refused to continue procedure"))
            with pytest.raises(LocalProtocolError, match="is discontinued"):
                await performed.update(PerformedProcedureStepDescription="more")
            with pytest.raises(LocalProtocolError, match="is discontinued"):
                performed.add(image())
        assert ris.states == ["IN PROGRESS", "DISCONTINUED"]

    async def test_a_task_that_is_cancelled_says_so(self, association: Association, ris: Ris) -> None:
        entered = asyncio.Event()

        async def perform() -> None:
            async with performed_step(association, step()):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(perform())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ris.states == ["IN PROGRESS", "DISCONTINUED"]

    async def test_a_scope_that_is_cancelled_says_so(self, association: Association, ris: Ris) -> None:
        with anyio.CancelScope() as scope:
            async with performed_step(association, step()):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert ris.states == ["IN PROGRESS", "DISCONTINUED"]

    async def test_what_went_wrong_is_what_is_heard_of(
        self, association: Association, ris: Ris, caplog: pytest.LogCaptureFixture
    ) -> None:
        refusal = Refused(Status.PROCESSING_FAILURE, "not now")
        with caplog.at_level(logging.WARNING, "dicomio.mpps"), pytest.raises(Broken):
            await fail(performed_step(association, step(), UID), lambda: setattr(ris, "refusal", refusal))
        assert f"procedure step {UID} could not be discontinued" in caplog.text

    async def test_when_the_association_is_lost(self, ris: Ris, caplog: pytest.LogCaptureFixture) -> None:
        async with connected(ris.app) as association:
            with caplog.at_level(logging.WARNING, "dicomio.mpps"), pytest.raises(Broken):
                await fail(performed_step(association, step()), association.abort)
        assert "could not be discontinued" in caplog.text
        assert ris.states == ["IN PROGRESS"]

    async def test_a_peer_that_does_not_answer(self, association: Association, ris: Ris) -> None:
        silence = asyncio.Event()

        async def stay_silent(request: object, call_next: object) -> None:
            await silence.wait()

        with pytest.raises(Broken):
            await fail(performed_step(association, step(), timeout=0.01), lambda: ris.app.middleware(stay_silent))
        silence.set()
        assert ris.states == ["IN PROGRESS"]


class TestRefusals:
    """What the peer does not want."""

    async def test_the_block_is_not_entered(self, association: Association, ris: Ris) -> None:
        ris.refusal = Refused(Status.NOT_AUTHORIZED, "not you")
        with pytest.raises(StatusError, match="not you"):
            async with performed_step(association, step()):
                pytest.fail("the block was entered")
        assert ris.provider.steps == {}

    async def test_completion_is_refused(self, association: Association, ris: Ris) -> None:
        performed = performed_step(association, step())
        with pytest.raises(StatusError, match="disk full"):
            async with performed:
                ris.refusal = Refused(Status.PROCESSING_FAILURE, "disk full")
        assert performed.state is StepState.IN_PROGRESS
        ris.refusal = None
        await performed.complete()
        assert ris.states == ["IN PROGRESS", "COMPLETED"]

    async def test_before_it_begins(self, association: Association) -> None:
        performed = performed_step(association, step())
        with pytest.raises(LocalProtocolError, match="not begun"):
            await performed.update(PerformedProcedureStepDescription="early")

    async def test_two_with_one_uid(self, association: Association) -> None:
        async with performed_step(association, step(), UID):
            with pytest.raises(StatusError) as refusal:
                async with performed_step(association, step(), UID):
                    pytest.fail("the block was entered")
        assert refusal.value.status == Status.DUPLICATE_SOP_INSTANCE

    async def test_an_event_of_the_peer_is_not_awaited(self, association: Association) -> None:
        with pytest.raises(StatusError):
            await association.n_action(MPPS, UID, 1)


class TestFromWorklist:
    """`from_worklist`."""

    ITEM = dataset(
        PatientName="MÜLLER^EVA",
        PatientID="4711",
        PatientSex="F",
        StudyInstanceUID="1.2.9",
        AccessionNumber="A1",
        RequestedProcedureID="R1",
        RequestedProcedureDescription="MR of the knee",
        RequestedProcedureCodeSequence=[{"CodeValue": "1", "CodingSchemeDesignator": "L", "CodeMeaning": "Knee"}],
        ScheduledProcedureStepSequence=[
            {
                "Modality": "MR",
                "ScheduledStationName": "MR1",
                "ScheduledProcedureStepID": "S1",
                "ScheduledProcedureStepDescription": "Knee, left",
                "ScheduledProtocolCodeSequence": [],
            }
        ],
    )

    async def test_a_step_that_was_scheduled(self, association: Association, ris: Ris) -> None:
        async with performed_step(association, from_worklist(self.ITEM, StudyID="77")):
            pass
        performed, (related,) = ris.step, ris.step.ScheduledStepAttributesSequence
        assert (performed.PatientName, performed.PatientID, performed.PatientSex) == ("MÜLLER^EVA", "4711", "F")
        assert (performed.Modality, performed.PerformedStationName, performed.StudyID) == ("MR", "MR1", "77")
        assert performed.PerformedProcedureStepDescription == "Knee, left"
        assert performed.ProcedureCodeSequence[0].CodeMeaning == "Knee"
        assert (related.StudyInstanceUID, related.AccessionNumber) == ("1.2.9", "A1")
        assert (related.RequestedProcedureID, related.ScheduledProcedureStepID) == ("R1", "S1")
        assert related.RequestedProcedureDescription == "MR of the knee"

    async def test_what_is_known_better(self, association: Association, ris: Ris) -> None:
        async with performed_step(association, from_worklist(self.ITEM, Modality="CT", PatientSex="O")):
            pass
        assert (ris.step.Modality, ris.step.PatientSex) == ("CT", "O")

    async def test_what_is_no_value_is_passed_on(self, association: Association, ris: Ris) -> None:
        item = dataset(StudyInstanceUID="1.2.9", PatientSex="female", PatientBirthDate="about 1970")
        async with performed_step(association, from_worklist(item, Modality="CT")):
            pass
        assert ris.step.PatientSex == "female"

    def test_an_item_that_says_little(self) -> None:
        found = from_worklist(dataset(StudyInstanceUID="1.2.9"), Modality="CT")
        assert (found.Modality, found.ScheduledStepAttributesSequence[0].StudyInstanceUID) == ("CT", "1.2.9")
        assert len(found) == 2

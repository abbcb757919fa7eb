"""Instance Availability Notification (PS3.4 R)."""

from collections.abc import AsyncIterator

import pytest
from pydicom.dataset import Dataset

from dicomio import Application, Association, CreateRequest, Refused, Status, StatusError, dataset, notify_availability
from dicomio.sop import CTImageStorage, InstanceAvailabilityNotification, ModalityPerformedProcedureStep
from dicomio.testing import connected


class Manager:
    """A workflow manager, with what it heard."""

    def __init__(self) -> None:
        self.app = Application("MANAGER")
        self.heard: list[CreateRequest] = []

        @self.app.n_create(InstanceAvailabilityNotification)
        async def hear(request: CreateRequest) -> None:
            self.heard.append(request)
            if request.attributes.StudyInstanceUID == "1.9":
                raise Refused(Status.NOT_AUTHORIZED, "not of interest")


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
async def association(manager: Manager) -> AsyncIterator[Association]:
    async with connected(manager.app) as association:
        yield association


def image(study: str, series: str, uid: str) -> Dataset:
    """An object, with more than a notification may tell."""
    return dataset(
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        SOPClassUID=CTImageStorage,
        SOPInstanceUID=uid,
        PatientName="DOE^JANE",
    )


async def test_one_notification_for_each_study(association: Association, manager: Manager) -> None:
    images = [image("1.1", "1.1.1", "1"), image("1.1", "1.1.2", "2"), image("1.2", "1.2.1", "3")]
    answers = await notify_availability(association, [*images, image("1.1", "1.1.1", "4")], retrieve_ae_title="PACS")
    assert [answer.status for answer in answers] == [Status.SUCCESS, Status.SUCCESS]
    first, second = (request.attributes for request in manager.heard)
    assert (first.StudyInstanceUID, second.StudyInstanceUID) == ("1.1", "1.2")
    assert {
        series.SeriesInstanceUID: [each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence]
        for series in first.ReferencedSeriesSequence
    } == {"1.1.1": ["1", "4"], "1.1.2": ["2"]}
    (item,) = second.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (item.ReferencedSOPClassUID, item.InstanceAvailability) == (CTImageStorage, "ONLINE")
    assert item.RetrieveAETitle == "PACS"


async def test_nothing_but_what_is_allowed_is_told(association: Association, manager: Manager) -> None:
    await notify_availability(association, [image("1.1", "1.1.1", "1")], retrieve_ae_title="PACS")
    (request,) = manager.heard
    assert [element.keyword for element in request.attributes] == [
        "ReferencedPerformedProcedureStepSequence",
        "ReferencedSeriesSequence",
        "StudyInstanceUID",
    ]
    assert request.attributes.ReferencedPerformedProcedureStepSequence == []
    assert not request.assigned


async def test_the_step_they_are_of(association: Association, manager: Manager) -> None:
    await notify_availability(
        association, [image("1.1", "1.1.1", "1")], retrieve_ae_title="PACS", availability="NEARLINE", step="1.2.3"
    )
    (step,) = manager.heard[0].attributes.ReferencedPerformedProcedureStepSequence
    assert (step.ReferencedSOPClassUID, step.ReferencedSOPInstanceUID) == (ModalityPerformedProcedureStep, "1.2.3")
    assert step.PerformedWorkitemCodeSequence == []
    (item,) = manager.heard[0].attributes.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert item.InstanceAvailability == "NEARLINE"


async def test_nothing_to_tell(association: Association, manager: Manager) -> None:
    assert await notify_availability(association, [], retrieve_ae_title="PACS") == []
    assert manager.heard == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"])
async def test_objects_that_cannot_be_referenced(association: Association, manager: Manager, keyword: str) -> None:
    broken = image("1.2", "1.2.1", "2")
    broken[keyword].value = ""
    with pytest.raises(ValueError, match=f"without {keyword}"):
        await notify_availability(association, [image("1.1", "1.1.1", "1"), broken], retrieve_ae_title="PACS")
    assert manager.heard == []


async def test_an_availability_that_there_is_not(association: Association) -> None:
    with pytest.raises(ValueError, match="one of ONLINE, NEARLINE, OFFLINE, UNAVAILABLE, not SOON"):
        await notify_availability(association, [], retrieve_ae_title="PACS", availability="SOON")


async def test_a_refusal(association: Association) -> None:
    with pytest.raises(StatusError, match="not of interest"):
        await notify_availability(association, [image("1.9", "1.9.1", "1")], retrieve_ae_title="PACS")

"""What handlers for DIMSE-N return, on its way into the response (PS3.7 10.1)."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import IS

from dicomio import Application, Association, CreateRequest, GetRequest, Refused, Status, StatusError, dataset
from dicomio.sop import DisplaySystem, DisplaySystemInstance, InventoryCreation, StorageManagementInstance
from dicomio.testing import connected


class Display:
    """An application with the attributes that its only instance has."""

    def __init__(self) -> None:
        self.app = Application("DISPLAY")
        self.attributes = dataset(Manufacturer="ACMÉ", DeviceSerialNumber="17", NumberOfDisplaySubsystems=2)
        self.refusal: Refused | None = None

        @self.app.n_get(DisplaySystem)
        async def get(request: GetRequest) -> Dataset:
            return self.attributes

        @self.app.n_create(DisplaySystem)
        async def create(request: CreateRequest) -> Dataset:
            return self.attributes

        @self.app.n_action(InventoryCreation)
        async def refuse(request: Any) -> None:
            assert self.refusal is not None
            raise self.refusal


@pytest.fixture
def display() -> Display:
    return Display()


@pytest.fixture
async def association(display: Display) -> AsyncIterator[Association]:
    async with connected(display.app) as association:
        yield association


async def test_attributes_that_are_selected(association: Association, display: Display) -> None:
    answer = await association.n_get(DisplaySystem, DisplaySystemInstance, "DeviceSerialNumber", 0x00280001)
    assert (answer.DeviceSerialNumber, "Manufacturer" in answer) == ("17", False)
    assert (answer.status, answer.response.attribute_identifiers) == (Status.ATTRIBUTE_LIST_ERROR, (0x00280001,))


async def test_texts_come_with_their_character_set(association: Association) -> None:
    answer = await association.n_get(DisplaySystem, DisplaySystemInstance, "Manufacturer")
    assert answer.Manufacturer == "ACMÉ"


async def test_values_that_need_more_than_the_usual_to_be_encoded(association: Association, display: Display) -> None:
    display.attributes.NumberOfDisplaySubsystems = IS("3")
    answer = await association.n_get(DisplaySystem, DisplaySystemInstance, "NumberOfDisplaySubsystems")
    assert answer.NumberOfDisplaySubsystems == 3


async def test_a_result_that_cannot_be_encoded_is_answered(
    association: Association, display: Display, caplog: pytest.LogCaptureFixture
) -> None:
    display.attributes[0x00287001] = DataElement(0x00287001, "US", b"many", already_converted=True)
    for request in (
        association.n_get(DisplaySystem, DisplaySystemInstance),
        association.n_create(DisplaySystem, DisplaySystemInstance),
    ):
        with caplog.at_level(logging.ERROR, "dicomio.association"), pytest.raises(StatusError) as error:
            await request
        assert error.value.status == Status.PROCESSING_FAILURE
        assert error.value.response.error_comment == "the response cannot be encoded"
    assert "what a handler returned cannot be sent" in caplog.text


async def test_everything_that_a_refusal_may_say(association: Association, display: Display) -> None:
    display.refusal = Refused(Status.KEY_ATTRIBUTES_NOT_SUPPORTED, "no dates", offending=[0x00080020], error_id=7)
    answer = await association.n_action(InventoryCreation, StorageManagementInstance, 11, dataset())
    response = answer.response
    assert (response.status, response.error_comment, response.error_id) == (0xB010, "no dates", 7)
    # PS3.4 KK.2.2.3
    assert (response.attribute_identifiers, response.offending_elements) == ((0x00080020,), ())
    display.refusal = Refused(Status.INVALID_ARGUMENT_VALUE, offending=[0x00080403])
    with pytest.raises(StatusError) as error:
        await association.n_action(InventoryCreation, StorageManagementInstance, 11, dataset())
    refused: Any = error.value.response
    assert (refused.attribute_identifiers, refused.offending_elements) == ((), (0x00080403,))

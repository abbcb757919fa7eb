"""Mappings of keywords wherever a data set may be given, and what is neither."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    ActionRequest,
    Application,
    Association,
    Client,
    CreateRequest,
    EventReport,
    FindRequest,
    RetrieveRequest,
    Role,
    SetRequest,
    dataset,
    sop,
)
from dicomio.identifiers import as_dataset
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField

CLASS = sop.RTConventionalMachineVerification
UID = "1.2.826.0.1.3680043.9.4"
KEYS = {"QueryRetrieveLevel": "STUDY", "PatientName": "DÖRING*", "StudyInstanceUID": UID}
ATTRIBUTES = {"PatientID": "1", "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": UID}]}


def remembering() -> tuple[Application, list[Dataset]]:
    """An application that keeps what it is asked with, and has nothing to answer a query with."""
    app, seen = Application("APP"), list[Dataset]()

    @app.find(dicomio.STUDY_ROOT)
    @app.move(dicomio.STUDY_ROOT)
    @app.get(dicomio.STUDY_ROOT)
    async def query(request: FindRequest | RetrieveRequest) -> list[Dataset]:
        seen.append(request.identifier)
        return []

    @app.n_create(CLASS)
    @app.n_set(CLASS)
    @app.n_action(CLASS)
    @app.n_event_report(CLASS)
    async def change(request: CreateRequest | SetRequest | ActionRequest | EventReport) -> Mapping[str, Any]:
        assert request.data_set is not None
        seen.append(request.data_set)
        return {"PatientName": "DOE^JANE"}

    async def nowhere(ae_title: str) -> dicomio.Address:
        return dicomio.Address(ae_title, "127.0.0.1", 1)

    app.destinations = nowhere
    return app, seen


ASKING: dict[str, Callable[[Association | Client, Any], Any]] = {
    "find": lambda user, keys: user.find(keys),
    "move": lambda user, keys: user.move(keys, to="B"),
    "get": lambda user, keys: user.get(keys),
}
CHANGING: dict[str, Callable[[Association | Client, Any], Any]] = {
    "attributes": lambda user, ds: user.n_create(CLASS, UID, ds),
    "modifications": lambda user, ds: user.n_set(CLASS, UID, ds),
    "information": lambda user, ds: user.n_action(CLASS, UID, 1, ds),
}


@pytest.mark.parametrize("name", ASKING)
async def test_identifiers(name: str) -> None:
    app, seen = remembering()
    async with connected(app, contexts=[*dicomio.STUDY_ROOT]) as association:
        await ASKING[name](association, KEYS)
    assert seen == [dataset(**KEYS)]
    assert seen[0].SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("name", CHANGING)
async def test_attributes_and_what_handlers_answer(name: str) -> None:
    app, seen = remembering()
    async with connected(app, contexts=[CLASS]) as association:
        answer = await CHANGING[name](association, ATTRIBUTES)
    assert seen == [dataset(**ATTRIBUTES)]
    assert answer == dataset(PatientName="DOE^JANE")


async def test_events() -> None:
    app, seen = remembering()
    async with connected(app, contexts=[CLASS], roles={CLASS: Role.BOTH}) as association:
        await association.n_event_report(CLASS, UID, 1, ATTRIBUTES)
    assert seen == [dataset(**ATTRIBUTES)]


async def test_messages_of_your_own_making() -> None:
    app, seen = remembering()
    async with connected(app, contexts=[CLASS]) as association:
        command = Command(
            CommandField.N_SET_RQ, requested_sop_class_uid=CLASS, requested_sop_instance_uid=UID, message_id=1
        )
        assert await association.send(command, ATTRIBUTES) is not None
        with pytest.raises(TypeError, match=r"data_set is 'PatientID'; a data set, as dicomio\.query"):
            await association.send(command, "PatientID")  # type: ignore[arg-type]
    assert seen == [dataset(**ATTRIBUTES)]


@pytest.mark.parametrize("wrong", ["DOE*", 5, ["PatientName"], {0x00100010: "DOE*"}, None])
@pytest.mark.parametrize("name", ASKING)
def test_what_is_no_identifier(name: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"identifier is .*; a data set, as dicomio\.query or dicomio\.dataset makes"):
        ASKING[name](Client("A@h"), wrong)


def test_what_is_not_to_be_retrieved() -> None:
    with pytest.raises(TypeError, match=r"identifier is '1\.2\.3'; a data set"):
        Client("A@h").retrieve("1.2.3")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CHANGING)
async def test_what_are_no_attributes(name: str) -> None:
    async with Client("A@h") as client:
        with pytest.raises(TypeError, match=f"{name} is 'x'; a data set"):
            await CHANGING[name](client, "x")


async def test_keywords_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match=r"PatientNam is not a keyword .*; did you mean PatientName"):
        Client("A@h").find({"PatientNam": "x"})


@pytest.mark.parametrize("source", [KEYS, 5, None])
async def test_what_cannot_be_stored(source: Any) -> None:
    async with Client("A@h") as client:
        with pytest.raises(TypeError, match="cannot be sent: a path, a data set or an instance is expected"):
            await client.store(source)


def test_data_sets_are_taken_as_they_are() -> None:
    ds = dataset(PatientID="1")
    assert as_dataset(ds, "identifier") is ds

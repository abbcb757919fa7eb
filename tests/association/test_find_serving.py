"""C-FIND as SCP: what handlers give, and what their peers get (PS3.4 C.4.1, PS3.7 9.1.2)."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio.from_thread
import pytest
from pydicom.dataset import Dataset

from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    WORKLIST,
    Application,
    FindRequest,
    InvalidIdentifier,
    Refused,
    Request,
    Status,
    StatusError,
    query,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.datasets import decode, encode
from dicomio.identifiers import dataset
from dicomio.requests.base import DECODED_AT_ONCE
from dicomio.services.query import BATCH
from dicomio.sop import COLOR_PALETTE, COMPOSITE_INSTANCE_ROOT
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import scripted_requestor
from tests.association.querying import (
    FIND,
    FIND_ID,
    KEYS,
    QUERYING,
    SYNTAX,
    WANTED,
    find_rq,
    finding,
    hear_final,
    hear_identifier,
    numbers,
    study,
)


async def ask(app: Application, identifier: Dataset = WANTED) -> tuple[int, list[Dataset]]:
    """The status of a query, and its matches; another query afterwards finds the association in order."""
    async with connected(app, contexts=QUERYING) as association:
        matches, found = association.find(identifier), []
        with suppress(StatusError):
            async for each in matches:
                found.append(each)  # noqa: PERF401
        assert await association.echo() >= 0
        return int(matches.status), found


# kinds of handlers


async def async_generator(request: FindRequest) -> AsyncIterator[Dataset]:
    for number in range(3):
        await asyncio.sleep(0)
        yield study(number)


def generator(request: FindRequest) -> Iterator[Dataset]:
    assert threading.current_thread() is not threading.main_thread()
    for number in range(3):
        yield study(number)


async def coroutine(request: FindRequest) -> Sequence[Dataset]:
    return [study(number) for number in range(3)]


def function(request: FindRequest) -> tuple[Dataset, ...]:
    assert threading.current_thread() is not threading.main_thread()
    return tuple(study(number) for number in range(3))


async def coroutine_with_generator(request: FindRequest) -> AsyncIterator[Dataset]:
    return async_generator(request)


def function_with_async_generator(request: FindRequest) -> AsyncIterator[Dataset]:
    return async_generator(request)


async def coroutine_with_iterator(request: FindRequest) -> Iterator[Dataset]:
    return (study(number) for number in range(3))


async def mappings(request: FindRequest) -> AsyncIterator[Mapping[str, str]]:
    for number in range(3):
        yield {"PatientID": f"ID{number}", "StudyInstanceUID": f"1.2.{number}"}


async def sender(request: FindRequest) -> None:
    for number in range(3):
        await request.send(study(number))
        assert request.sent == number + 1


class Handler:
    """An object that is called, as decorators make them."""

    async def __call__(self, request: FindRequest) -> Sequence[Dataset]:
        return await coroutine(request)


@pytest.mark.parametrize(
    "handler",
    [
        async_generator,
        generator,
        coroutine,
        function,
        coroutine_with_generator,
        function_with_async_generator,
        coroutine_with_iterator,
        mappings,
        sender,
        Handler(),
    ],
)
async def test_every_kind_of_handler(handler: Callable[..., Any]) -> None:
    status, found = await ask(finding(handler))
    assert status == Status.SUCCESS
    assert numbers(found) == [0, 1, 2]
    assert {each.QueryRetrieveLevel for each in found} == {"STUDY"}


async def test_what_the_request_says() -> None:
    seen: list[FindRequest] = []

    async def find(request: FindRequest) -> None:
        seen.append(request)

    async with connected(finding(find), ae_title="MODALITY") as association:
        assert await association.find(query("SERIES", Modality="CT"), priority=2) == []
    (request,) = seen
    assert request.model is STUDY_ROOT
    assert request.sop_class_uid == FIND
    assert (request.level, request.priority, request.peer.ae_title) == ("SERIES", 2, "MODALITY")
    assert request.identifier.Modality == "CT"
    assert request.association.local.ae_title in ("", "APP")
    assert repr(request) == f"<C-FIND-RQ 1 from {request.peer}>"


async def test_a_thread_may_call_back_into_the_event_loop() -> None:
    def find(request: FindRequest) -> Iterator[Dataset]:
        anyio.from_thread.run(asyncio.sleep, 0)
        yield study(0)

    assert (await ask(finding(find)))[0] == Status.SUCCESS


async def test_many_matches_from_a_thread_come_in_order() -> None:
    def find(request: FindRequest) -> Iterator[Dataset]:
        for number in range(3 * BATCH + 1):
            yield study(number)

    _, found = await ask(finding(find))
    assert numbers(found) == list(range(3 * BATCH + 1))


# what is sent


async def test_the_responses_as_they_are_on_the_wire() -> None:
    async with scripted_requestor(finding(async_generator), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(77), KEYS, FIND_ID)
        for number in range(3):
            command = await peer.hear_command()
            assert command == Command(
                CommandField.C_FIND_RSP,
                responding_to=77,
                affected_sop_class_uid=FIND,
                status=Status.PENDING,
                has_data_set=True,
            )
            assert await hear_identifier(peer) == study(number)
        assert await peer.hear_command() == Command(
            CommandField.C_FIND_RSP, responding_to=77, affected_sop_class_uid=FIND, status=Status.SUCCESS
        )


async def test_nothing_found_is_one_response() -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(0):
            yield study(number)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        final, pending = await hear_final(peer)
        assert (final.status, final.has_data_set, pending) == (0, False, [])


@pytest.mark.parametrize(
    "found, status",
    [
        ({"PatientID": "1", "StudyInstanceUID": "1.2"}, 0xFF00),
        ({"PatientID": "1", "StudyInstanceUID": "1.2", "StudyID": "7"}, 0xFF00),
        ({"PatientID": "", "StudyInstanceUID": None}, 0xFF00),
        ({"StudyInstanceUID": "1.2"}, 0xFF01),
        ({}, 0xFF01),
    ],
)
async def test_a_match_without_a_key_that_was_asked_for_is_a_warning(found: Mapping[str, Any], status: int) -> None:
    """PS3.4 C.4.1.1.5: 0xFF01 where optional keys were not supported."""

    async def find(request: FindRequest) -> Sequence[Mapping[str, Any]]:
        return [found]

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        final, pending = await hear_final(peer)
        assert final.status == 0
        assert [command.status for command in pending] == [status]


@pytest.mark.parametrize(
    "extra",
    [{"SpecificCharacterSet": "ISO_IR 100"}, {"TimezoneOffsetFromUTC": "+0100"}, {"QueryRetrieveLevel": "SERIES"}],
)
async def test_what_is_no_key_needs_no_answer(extra: Mapping[str, str]) -> None:
    async with scripted_requestor(finding(async_generator), contexts=QUERYING) as (_, peer):
        peer.say(
            find_rq(), encode(dataset(**{"QueryRetrieveLevel": "STUDY", "PatientID": "", **extra}), SYNTAX), FIND_ID
        )
        _, pending = await hear_final(peer)
        assert [command.status for command in pending] == [0xFF00] * 3


async def test_group_lengths_are_no_keys() -> None:
    """Retired, but there are peers that send them in identifiers."""
    group_length = b"\x08\0\0\0UL\x04\0" + (14).to_bytes(4, "little")
    async with scripted_requestor(finding(async_generator), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), group_length + KEYS, FIND_ID)
        final, pending = await hear_final(peer)
        assert final.status == 0
        assert [command.status for command in pending] == [0xFF00] * 3


async def test_the_level_is_added_where_it_is_missing_and_the_data_set_stays_as_it_is() -> None:
    given = Dataset()
    given.PatientID, given.StudyInstanceUID = "1", "1.2"

    async def find(request: FindRequest) -> Sequence[Dataset]:
        return [given]

    _, (found,) = await ask(finding(find))
    assert found.QueryRetrieveLevel == "STUDY"
    assert "QueryRetrieveLevel" not in given


async def test_matches_are_sent_in_the_transfer_syntax_of_the_context() -> None:
    contexts = [PresentationContext(FIND, (sop.ExplicitVRBigEndian,))]
    async with scripted_requestor(finding(async_generator), contexts=contexts) as (_, peer):
        peer.say(find_rq(), encode(WANTED, sop.ExplicitVRBigEndian))
        await peer.hear_command()
        assert decode(await peer.hear_data(), sop.ExplicitVRBigEndian) == study(0)


async def test_texts_beyond_ascii_are_sent_as_utf8_with_a_character_set() -> None:
    async def find(request: FindRequest) -> Sequence[Mapping[str, str]]:
        return [{"PatientName": "Müller^Jörg", "PatientID": "1", "StudyInstanceUID": "1.2"}]

    _, (found,) = await ask(finding(find))
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert str(found.PatientName) == "Müller^Jörg"


# statuses


@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xB001, 0xC123, 0xFE00])
async def test_a_status_that_is_returned(status: int) -> None:
    async def find(request: FindRequest) -> int:
        await request.send(study(0))
        return status

    assert (await ask(finding(find)))[0] == status


class Busy(Exception):
    """What a database may raise."""


@pytest.mark.parametrize(
    "error, status",
    [
        (Refused(0xA700, "too many"), 0xA700),
        (InvalidIdentifier(0xA900, "no such key", offending=[0x00100020]), 0xA900),
        (Busy("secret"), 0xA701),
        (KeyError("secret"), 0xC000),
        (ZeroDivisionError(), 0xC000),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
async def test_what_a_handler_raises(error: Exception, status: int, after: int) -> None:
    """Matches that were found before have been sent."""

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(after):
            yield study(number)
        raise error

    app = finding(find)
    app.map_exception(Busy, 0xA701)
    got, found = await ask(app)
    assert got == status
    assert numbers(found) == list(range(after))


def failing(request: FindRequest) -> Iterator[Dataset]:
    yield study(0)
    raise Busy


async def test_a_generator_in_a_thread_that_fails_midway() -> None:
    app = finding(failing)
    app.map_exception(Busy, 0xA701)
    status, found = await ask(app)
    assert status == 0xA701
    assert numbers(found) == [0]


async def test_comment_and_offending_elements_are_sent() -> None:
    async def find(request: FindRequest) -> None:
        raise InvalidIdentifier(0xA900, "no such key", offending=[0x00100020, 0x0020000D])

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        final = await peer.hear_command()
        assert (final.status, final.error_comment) == (0xA900, "no such key")
        assert final.offending_elements == (0x00100020, 0x0020000D)


@pytest.mark.parametrize(
    "found",
    [
        [{"PatientIdentity": "1"}],
        [{"StudyInstanceUID": "1.2", "Rows": "many"}],
        [7],
        [None],
    ],
)
async def test_matches_that_cannot_be_sent(found: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    async def find(request: FindRequest) -> list[Any]:
        return [study(0), *found]

    status, before = await ask(finding(find))
    assert status == 0xC000
    assert numbers(before) == [0]
    assert [record.levelname for record in caplog.records if record.name == "dicomio.application"] == ["ERROR"]


@pytest.mark.parametrize("result", ["STUDY", {"PatientID": "1"}, study(0), 1.5, True])
async def test_nonsense_from_a_handler_is_a_failure(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def find(request: FindRequest) -> Any:
        return result

    assert await ask(finding(find)) == (Status.PROCESSING_FAILURE, [])
    assert [record.levelname for record in caplog.records if record.name == "dicomio.application"] == ["ERROR"]


# models


@pytest.mark.parametrize("model", [STUDY_ROOT, PATIENT_ROOT, WORKLIST, COLOR_PALETTE], ids=lambda model: model.name)
async def test_one_handler_for_several_models(model: Any) -> None:
    app = Application("APP")
    app.find(STUDY_ROOT, PATIENT_ROOT, WORKLIST, COLOR_PALETTE)(async_generator)
    identifier = query("STUDY" if model.levels else "", PatientID="")
    async with connected(app) as association:
        found = await association.find(identifier, model=model)
        assert len(found) == 3


async def test_a_private_model_by_its_uid() -> None:
    app = Application("APP")
    seen: list[FindRequest] = []

    @app.find("1.2.3.4.5")
    async def find(request: FindRequest) -> Sequence[Dataset]:
        seen.append(request)
        return [dataset(PatientID="7")]

    async with connected(app) as association:
        (found,) = await association.find(query("", PatientID=""), model="1.2.3.4.5")
    assert found == dataset(PatientID="7")
    (request,) = seen
    assert (request.model, request.level, request.sop_class_uid) == (None, "", "1.2.3.4.5")


async def test_a_private_model_may_have_a_level_of_its_own() -> None:
    app = Application("APP")

    @app.find("1.2.3.4.5")
    async def find(request: FindRequest) -> Sequence[Dataset]:
        return [dataset(QueryRetrieveLevel="SHELF", PatientID=request.identifier.QueryRetrieveLevel)]

    async with connected(app) as association:
        (found,) = await association.find(query("SHELF", PatientID=""), model="1.2.3.4.5")
    assert found.PatientID == "SHELF"


async def test_models_that_are_not_served_are_not_accepted() -> None:
    async with connected(finding(async_generator), contexts=[*QUERYING, PATIENT_ROOT.find or ""]) as association:
        assert {context.abstract_syntax for context in association.contexts.values()} == {FIND, sop.Verification}


def test_what_cannot_be_registered() -> None:
    app = finding(async_generator)
    with pytest.raises(ValueError, match="there is a handler for C_FIND_RQ of"):
        app.find(PATIENT_ROOT, STUDY_ROOT)(async_generator)
    with pytest.raises(ValueError, match="no C-FIND in the query model"):
        app.find(COMPOSITE_INSTANCE_ROOT)
    with pytest.raises(TypeError, match="needs to be told for what it is"):
        app.find()


# middleware


async def test_middleware_sees_what_is_wrong_with_an_identifier() -> None:
    seen: list[Exception] = []
    called: list[Request] = []

    async def find(request: FindRequest) -> None:
        called.append(request)

    app = finding(find)

    @app.middleware
    async def watch(request: Request, call_next: Callable[[Request], Any]) -> Any:
        try:
            return await call_next(request)
        except InvalidIdentifier as error:
            seen.append(error)
            raise

    status, _ = await ask(app, query("PATIENT", PatientID=""))
    assert status == 0xA900
    assert called == []
    (error,) = seen
    assert isinstance(error, InvalidIdentifier)
    assert error.offending == (0x00080052,)


async def test_middleware_may_make_the_best_of_it() -> None:
    app = finding(async_generator)

    @app.middleware
    async def forgive(request: Request, call_next: Callable[[Request], Any]) -> Any:
        try:
            return await call_next(request)
        except InvalidIdentifier:
            return Status.SUCCESS

    assert await ask(app, query("SHELF", PatientID="")) == (Status.SUCCESS, [])


async def test_a_long_identifier_is_decoded_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    seen: list[int] = []

    async def find(request: FindRequest) -> None:
        seen.append(len(request.identifier.StudyInstanceUID))

    uids = [f"1.2.826.0.1.3680043.9.{10**30 + number}" for number in range(1200)]
    identifier = query("STUDY", StudyInstanceUID=uids, PatientComments="x" * 10240)
    assert len(encode(identifier, SYNTAX)) > DECODED_AT_ONCE
    status, _ = await ask(finding(find), identifier)
    assert (status, seen) == (0, [1200])

"""C-GET and C-MOVE as SCP: one loop of sub-operations for both (PS3.4 C.4.2, C.4.3)."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicomio import (
    STUDY_ROOT,
    Application,
    InvalidIdentifier,
    Progress,
    Refused,
    Request,
    RetrieveRequest,
    Status,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.datasets import Instance, decode, encode
from dicomio.identifiers import dataset
from dicomio.sop import PATIENT_ROOT, WORKLIST
from dicomio.testing import connected
from dicomio.threads import in_thread
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import instance
from tests.association.querying import (
    BOTH_SERVICES,
    GET,
    QUERYING,
    STUDY,
    STUDY_UID,
    SYNTAX,
    Receiver,
    Retrieved,
    giving,
    objects,
    retrieve_by_get,
    retrieving,
    uid,
)

Service = Callable[[Application, Receiver], Awaitable[Retrieved]]

SOURCES = objects(3)


def on_disk(directory: Path, number: int) -> Path:
    """One of the objects as a file."""
    path = directory / f"{number}.dcm"
    ds = data_set(number)
    ds.save_as(path, enforce_file_format=True)
    return path


def data_set(number: int) -> Dataset:
    ds = dataset(
        SOPClassUID=sop.CTImageStorage, SOPInstanceUID=uid(number), StudyInstanceUID=STUDY_UID, PatientID=f"ID{number}"
    )
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(SYNTAX)
    return ds


def failing_for(*numbers: int, status: int = 0xA700) -> Callable[[StoreRequest], int]:
    """A store handler that refuses some objects."""
    refused = {uid(number) for number in numbers}
    return lambda request: status if request.sop_instance_uid in refused else 0


# kinds of handlers


async def async_generator(request: RetrieveRequest) -> AsyncIterator[Instance]:
    for each in SOURCES:
        await asyncio.sleep(0)
        yield each


def generator(request: RetrieveRequest) -> Iterator[Instance]:
    assert threading.current_thread() is not threading.main_thread()
    yield from SOURCES


async def coroutine(request: RetrieveRequest) -> Sequence[Instance]:
    return SOURCES


def function(request: RetrieveRequest) -> tuple[Instance, ...]:
    assert threading.current_thread() is not threading.main_thread()
    return tuple(SOURCES)


async def coroutine_with_generator(request: RetrieveRequest) -> Iterator[Instance]:
    return generator(request)


async def coroutine_with_async_generator(request: RetrieveRequest) -> AsyncIterator[Instance]:
    return async_generator(request)


async def sized_but_no_sequence(request: RetrieveRequest) -> dict[Instance, None]:
    return dict.fromkeys(SOURCES)


@BOTH_SERVICES
@pytest.mark.parametrize(
    "handler",
    [
        async_generator,
        generator,
        coroutine,
        function,
        coroutine_with_generator,
        coroutine_with_async_generator,
        sized_but_no_sequence,
    ],
)
async def test_every_kind_of_handler(service: Service, handler: Callable[..., Any]) -> None:
    receiver = Receiver()
    retrieved = await service(retrieving(handler), receiver)
    assert (retrieved.status, retrieved.progress, retrieved.failed) == (0, Progress(completed=3), [])
    assert receiver.uids == [uid(0), uid(1), uid(2)]
    assert [data for _, data in receiver.received] == [each.read() for each in SOURCES]


@BOTH_SERVICES
async def test_every_kind_of_source(service: Service, tmp_path: Path) -> None:
    """Paths, texts of paths, data sets and instances; directories among them are passed over."""
    paths = [on_disk(tmp_path, number) for number in (0, 1, 4)]
    opened = await in_thread(Instance.open, paths[2])
    sources = [paths[0], str(paths[1]), data_set(2), instance(500, uid(3)), opened]
    receiver = Receiver()
    retrieved = await service(giving(sources), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=5))
    assert receiver.uids == [uid(number) for number in range(5)]
    for number in (0, 1, 2, 4):
        assert receiver.received[number][1] == encode(data_set(number), SYNTAX)


async def test_a_directory_is_passed_over(tmp_path: Path) -> None:
    receiver = Receiver()
    retrieved = await retrieve_by_get(giving([tmp_path, on_disk(tmp_path, 0)]), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=1))


@BOTH_SERVICES
@pytest.mark.parametrize("count", [0, 1, 200])
async def test_any_number_of_objects(service: Service, count: int) -> None:
    receiver = Receiver()
    retrieved = await service(giving(objects(count, 100)), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=count))
    assert receiver.uids == [uid(number) for number in range(count)]


@BOTH_SERVICES
async def test_a_generator_that_yields_nothing(service: Service) -> None:
    async def nothing(request: RetrieveRequest) -> AsyncIterator[Instance]:
        for each in SOURCES[:0]:
            yield each

    retrieved = await service(retrieving(nothing), Receiver())
    assert (retrieved.status, retrieved.progress, retrieved.failed) == (0, Progress(), [])


async def test_what_the_request_says() -> None:
    seen: list[RetrieveRequest] = []

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        seen.append(request)
        return []

    app = retrieving(retrieve)
    app.destinations = {"ELSEWHERE": "ELSEWHERE@127.0.0.1:1"}
    async with connected(app, ae_title="VIEWER", contexts=QUERYING) as association:
        await association.get(STUDY, priority=1)
        await association.move(STUDY, to="ELSEWHERE", priority=2)
    get, move = seen
    assert (get.level, get.model, get.priority, get.destination) == ("STUDY", STUDY_ROOT, 1, None)
    assert (move.level, move.model, move.priority, move.destination) == ("STUDY", STUDY_ROOT, 2, "ELSEWHERE")
    assert get.identifier == STUDY
    assert get.peer.ae_title == "VIEWER"
    assert get.sop_class_uid == GET


# what becomes of them


@BOTH_SERVICES
async def test_some_fail(service: Service) -> None:
    retrieved = await service(giving(objects(5)), Receiver(failing_for(1, 3)))
    assert (retrieved.status, retrieved.progress) == (0xB000, Progress(completed=3, failed=2))
    assert retrieved.failed == [uid(1), uid(3)]


@BOTH_SERVICES
async def test_all_fail(service: Service) -> None:
    retrieved = await service(giving(objects(3)), Receiver(failing_for(0, 1, 2)))
    assert (retrieved.status, retrieved.progress) == (0xA702, Progress(failed=3))
    assert retrieved.failed == [uid(0), uid(1), uid(2)]


@BOTH_SERVICES
async def test_some_are_stored_with_a_warning(service: Service) -> None:
    retrieved = await service(giving(objects(3)), Receiver(failing_for(1, status=0xB006)))
    assert (retrieved.status, retrieved.progress) == (0xB000, Progress(completed=2, warning=1))
    assert retrieved.failed == []


@BOTH_SERVICES
async def test_all_are_stored_with_a_warning(service: Service) -> None:
    retrieved = await service(giving(objects(2)), Receiver(failing_for(0, 1, status=0xB000)))
    assert (retrieved.status, retrieved.progress) == (0xB000, Progress(warning=2))


@BOTH_SERVICES
async def test_files_that_cannot_be_read(service: Service, tmp_path: Path) -> None:
    """They fail; what nobody knows the UID of cannot be listed."""
    (tmp_path / "text").write_text("no DICOM", encoding="ascii")
    sources = [tmp_path / "missing.dcm", on_disk(tmp_path, 1), tmp_path / "text", Dataset()]
    receiver = Receiver()
    retrieved = await service(giving(sources), receiver)
    assert (retrieved.status, retrieved.progress) == (0xB000, Progress(completed=1, failed=3))
    assert retrieved.failed == []
    assert receiver.uids == [uid(1)]


async def test_a_file_that_has_gone_since_it_was_looked_at(tmp_path: Path) -> None:
    found = [await in_thread(Instance.open, on_disk(tmp_path, number)) for number in range(2)]
    (tmp_path / "0.dcm").unlink()
    retrieved = await retrieve_by_get(giving(found), Receiver())
    assert (retrieved.status, retrieved.progress) == (0xB000, Progress(completed=1, failed=1))
    assert retrieved.failed == [uid(0)]


async def test_the_same_object_twice_is_two_sub_operations() -> None:
    receiver = Receiver()
    one = instance(100, uid(0))
    retrieved = await retrieve_by_get(giving([one, one]), receiver)
    assert (retrieved.status, retrieved.progress) == (0, Progress(completed=2))
    assert receiver.uids == [uid(0), uid(0)]


# statuses of the handler's own


@BOTH_SERVICES
@pytest.mark.parametrize("status", [0x0000, 0xA701, 0xA900, 0xC123, 0xAA00])
async def test_a_status_that_is_returned(service: Service, status: int) -> None:
    async def retrieve(request: RetrieveRequest) -> int:
        return status

    retrieved = await service(retrieving(retrieve), Receiver())
    assert (retrieved.status, retrieved.progress) == (status, Progress())


class Offline(Exception):
    """What a tape library may raise."""


ERRORS = [
    (Refused(Status.OUT_OF_RESOURCES_MATCHES, "too many"), 0xA701, "too many"),
    (InvalidIdentifier(0xA900, "no such thing"), 0xA900, "no such thing"),
    (Offline("secret"), 0xA702, None),
    (KeyError("secret"), 0xC000, None),
]


@BOTH_SERVICES
@pytest.mark.parametrize("error, status, comment", ERRORS)
async def test_what_a_handler_raises(service: Service, error: Exception, status: int, comment: str | None) -> None:
    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        raise error

    app = retrieving(retrieve)
    app.map_exception(Offline, 0xA702)
    retrieved = await service(app, Receiver())
    assert (retrieved.status, retrieved.comment, retrieved.progress) == (status, comment, Progress())


async def async_failing(request: RetrieveRequest) -> AsyncIterator[Instance]:
    for each in SOURCES:
        yield each
    raise Offline


def failing(request: RetrieveRequest) -> Iterator[Instance]:
    yield from SOURCES
    raise Offline


@BOTH_SERVICES
@pytest.mark.parametrize("handler", [async_failing, failing], ids=["async", "thread"])
async def test_a_generator_that_fails_midway(service: Service, handler: Callable[..., Any]) -> None:
    """What it gave before is sent, and counted; the association stands."""
    app, receiver = retrieving(handler), Receiver()
    app.map_exception(Offline, 0xC001)
    retrieved = await service(app, receiver)
    assert (retrieved.status, retrieved.progress) == (0xC001, Progress(completed=3))
    assert receiver.uids == [uid(0), uid(1), uid(2)]


@BOTH_SERVICES
@pytest.mark.parametrize("found", ["some path", 1.5])
async def test_nonsense_from_a_handler(service: Service, found: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def retrieve(request: RetrieveRequest) -> Any:
        return found

    retrieved = await service(retrieving(retrieve), Receiver())
    assert retrieved.status == Status.PROCESSING_FAILURE
    assert [record.levelname for record in caplog.records if record.name == "dicomio.application"] == ["ERROR"]


@BOTH_SERVICES
async def test_nonsense_among_what_is_to_be_sent(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """What comes before it arrives."""
    receiver = Receiver()
    retrieved = await service(giving([instance(100, uid(0)), 7, instance(100, uid(1))]), receiver)
    assert (retrieved.status, retrieved.progress.completed) == (0xC000, 1)
    assert receiver.uids == [uid(0)]
    assert "the handler gave <class 'int'>" in caplog.text


# middleware and models


@BOTH_SERVICES
async def test_middleware_sees_how_it_ended(service: Service) -> None:
    seen: list[Any] = []
    app = giving(objects(3))

    @app.middleware
    async def watch(request: Request, call_next: Callable[[Request], Any]) -> Any:
        status = await call_next(request)
        if isinstance(request, RetrieveRequest):
            seen.append((status, request.progress, request.failed_uids))
        return status

    await service(app, Receiver(failing_for(1)))
    assert seen == [(0xB000, Progress(completed=2, failed=1), [uid(1)])]


def test_what_cannot_be_registered() -> None:
    app = giving([])
    with pytest.raises(ValueError, match="no C-MOVE in the query model"):
        app.move(WORKLIST)
    with pytest.raises(ValueError, match="no C-GET in the query model"):
        app.get(WORKLIST)
    with pytest.raises(ValueError, match="there is a handler for C_GET_RQ of"):
        app.get(PATIENT_ROOT, STUDY_ROOT)(coroutine)


async def test_a_private_model_by_its_uid() -> None:
    app, receiver = Application("APP"), Receiver()
    app.get("1.2.3.4.5")(coroutine)
    contexts = [PresentationContext("1.2.3.4.5"), *QUERYING]
    async with connected(app, client=receiver.app, contexts=contexts) as association:
        assert await association.get(dataset(PatientID="1"), model="1.2.3.4.5") == Progress(completed=3)


# transfer syntaxes


def ct(*syntaxes: str) -> tuple[PresentationContext, ...]:
    """What a peer proposes that takes CT images in these transfer syntaxes, each in a context of its own."""
    taken = (PresentationContext(sop.CTImageStorage, (syntax,), scu=False, scp=True) for syntax in syntaxes)
    return PresentationContext(GET), *taken


async def get_with(contexts: Sequence[PresentationContext], sources: Sequence[Any]) -> tuple[Progress, Receiver]:
    receiver = Receiver()
    async with connected(giving(sources), client=receiver.app, contexts=contexts) as association:
        retrieval = association.get(STUDY)
        try:
            await retrieval
        except Exception:
            assert retrieval.status == 0xA702
        return retrieval.progress, receiver


@pytest.mark.parametrize(
    "accepted, received",
    [
        ((sop.ExplicitVRLittleEndian,), sop.ExplicitVRLittleEndian),
        ((sop.ImplicitVRLittleEndian, sop.ExplicitVRLittleEndian), sop.ExplicitVRLittleEndian),
        ((sop.ImplicitVRLittleEndian,), sop.ImplicitVRLittleEndian),
        ((sop.ExplicitVRBigEndian,), sop.ExplicitVRBigEndian),
        ((sop.DeflatedExplicitVRLittleEndian,), sop.DeflatedExplicitVRLittleEndian),
    ],
)
async def test_an_object_is_converted_only_where_it_has_to_be(accepted: tuple[str, ...], received: str) -> None:
    source = Instance.from_dataset(data_set(1))
    progress, receiver = await get_with(ct(*accepted), [source])
    assert progress == Progress(completed=1)
    ((request, data),) = receiver.received
    assert request.transfer_syntax == received
    assert decode(data, received) == decode(source.read(), SYNTAX)
    assert (data == source.read()) is (received == SYNTAX)


async def test_an_object_that_cannot_be_converted_fails() -> None:
    """Its pixel data are in a transfer syntax that the peer does not take, and nothing here can decode them."""
    source = Instance.from_bytes(sop.CTImageStorage, uid(0), "1.2.840.10008.1.2.4.100", b"mpeg")
    progress, receiver = await get_with(ct(SYNTAX), [source, instance(100, uid(1))])
    assert progress == Progress(completed=1, failed=1)
    assert receiver.uids == [uid(1)]


async def test_a_sop_class_that_the_peer_does_not_take_fails() -> None:
    sources = [instance(100, uid(0), sop.MRImageStorage), instance(100, uid(1))]
    progress, receiver = await get_with(ct(SYNTAX), sources)
    assert progress == Progress(completed=1, failed=1)
    assert receiver.uids == [uid(1)]


async def test_a_sop_class_for_which_the_peer_is_no_scp_fails() -> None:
    """It has proposed the SOP class, but only to send such objects itself."""
    app = giving(objects(1))
    app.store()(Receiver().store)
    contexts = [PresentationContext(GET), PresentationContext(sop.CTImageStorage, (SYNTAX,))]
    async with connected(app, contexts=contexts) as association:
        retrieval = association.get(STUDY)
        with pytest.raises(Exception, match="0xA702"):
            await retrieval
        assert retrieval.progress == Progress(failed=1)


# counters


@pytest.mark.parametrize("count", [1057, 1058, 3000])
async def test_a_list_of_failures_longer_than_its_vr_allows(count: int) -> None:
    """More than 65534 bytes of UIDs: UN in Explicit VR (PS3.5 6.2.2)."""
    uids = [f"{'1.2.826.0.1.3680043.9.':1<57}{number:04}" for number in range(count)]
    app = giving([instance(10, uid) for uid in uids])
    app.destinations = {"DESTINATION": "DESTINATION@127.0.0.1:1"}
    async with connected(app, contexts=QUERYING) as association:
        move = association.move(STUDY, to="DESTINATION")
        with pytest.raises(StatusError, match="0xA702"):
            await move
        assert move.progress == Progress(failed=count)
        assert list(move.failed_uids) == uids


async def test_counters_have_sixteen_bits() -> None:
    """Beyond that they say as much as they can."""
    requests: list[RetrieveRequest] = []

    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        requests.append(request)
        return []

    await retrieve_by_get(retrieving(retrieve), Receiver())
    (request,) = requests
    request.progress = Progress(100_000, 65_536, 65_535, 65_534)
    response = Command(CommandField.C_GET_RSP, responding_to=1, status=0xFF00)
    request.count(response)
    assert (response.completed, response.failed) == (65_535, 65_535)
    assert (response.warning, response.remaining) == (65_535, 65_534)

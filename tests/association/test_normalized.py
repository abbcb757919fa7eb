"""The six DIMSE-N services from both sides (PS3.7 10.1, Annex C)."""

import asyncio
import contextlib
import itertools
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    ActionRequest,
    Application,
    Association,
    ConnectFailed,
    EventReport,
    NoPresentationContext,
    Refused,
    Role,
    Status,
    StatusError,
    dataset,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import Interrupted, MemoryClient, ScriptedPeer, scripted_requestor

# A SOP class with all six services (PS3.4 DD).
CLASS = sop.RTConventionalMachineVerification
UID = "1.2.826.0.1.3680043.9.4"
PATIENT_ID, PATIENT_NAME = 0x00100020, 0x00100010
BOTH = {CLASS: Role.BOTH}
CONTEXT = PresentationContext(CLASS, (sop.ImplicitVRLittleEndian,), scu=True, scp=True)


@dataclass
class Machine:
    """An application that answers all six alike, and notes what it was asked.

    Attributes:
        result: what its handler returns, or raises.
        requests: what it was asked, in order.
        after: called once a response has left.
    """

    result: Any = None
    requests: list[Any] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = Application("MACHINE")
        for register in six(self.app):
            register(CLASS)(self.handle)

    async def handle(self, request: Any) -> Any:
        self.requests.append(request)
        request.after(self.after.append, request.command.name)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def six(app: Application) -> Sequence[Callable[..., Any]]:
    """The decorators of an application for DIMSE-N."""
    return (app.n_create, app.n_set, app.n_get, app.n_action, app.n_delete, app.n_event_report)


Call = Callable[[Any], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "N-CREATE": lambda user: user.n_create(CLASS, UID, dataset(PatientID="1")),
    "N-SET": lambda user: user.n_set(CLASS, UID, dataset(PatientID="1")),
    "N-GET": lambda user: user.n_get(CLASS, UID, "PatientID"),
    "N-ACTION": lambda user: user.n_action(CLASS, UID, 7, dataset(PatientID="1")),
    "N-DELETE": lambda user: user.n_delete(CLASS, UID),
    "N-EVENT-REPORT": lambda user: user.n_event_report(CLASS, UID, 9, dataset(PatientID="1")),
}
# Responses that have an Attribute Identifier List (PS3.7 10.3).
LISTING = ("N-CREATE", "N-SET", "N-GET", "N-ACTION")


def response_of(answer: Any) -> Any:
    """The response, whether it came with a data set or not."""
    return getattr(answer, "response", answer)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def association(machine: Machine) -> AsyncIterator[Association]:
    async with connected(machine.app, roles=BOTH) as association:
        yield association


# what arrives


async def test_create(association: Association, machine: Machine) -> None:
    await association.n_create(CLASS, UID, dataset(PatientID="4711"))
    (request,) = machine.requests
    assert (request.sop_class_uid, request.sop_instance_uid, request.negotiated_as) == (CLASS, UID, CLASS)
    assert (request.attributes.PatientID, request.assigned) == ("4711", False)


async def test_an_instance_that_the_provider_names(association: Association, machine: Machine) -> None:
    """PS3.7 10.1.5.1.4: where the requestor names none, the performer does, in its response."""
    first, second = [(await association.n_create(CLASS, None)).response.sop_instance_uid for _ in range(2)]
    assert [request.sop_instance_uid for request in machine.requests] == [first, second]
    assert [request.assigned for request in machine.requests] == [True, True]
    assert first != second


async def test_no_instance_is_named_where_none_was_created(association: Association, machine: Machine) -> None:
    machine.result = Refused(Status.RESOURCE_LIMITATION)
    with pytest.raises(StatusError) as caught:
        await association.n_create(CLASS, None)
    assert response_of(caught.value).sop_instance_uid is None


async def test_set(association: Association, machine: Machine) -> None:
    await association.n_set(CLASS, UID, dataset(PatientName="DOE^JANE"))
    (request,) = machine.requests
    assert (request.sop_class_uid, request.sop_instance_uid) == (CLASS, UID)
    assert request.modifications.PatientName == "DOE^JANE"


async def test_get(association: Association, machine: Machine) -> None:
    await association.n_get(CLASS, UID, "PatientID", PATIENT_NAME)
    (request,) = machine.requests
    assert (request.sop_class_uid, request.sop_instance_uid) == (CLASS, UID)
    assert tuple(request.attribute_identifiers) == (PATIENT_ID, PATIENT_NAME)


async def test_get_of_everything(association: Association, machine: Machine) -> None:
    machine.result = dataset(PatientID="4711", PatientName="DOE^JANE")
    answer = await association.n_get(CLASS, UID)
    assert tuple(machine.requests[0].attribute_identifiers) == ()
    assert (answer.PatientID, answer.PatientName, answer.status) == ("4711", "DOE^JANE", Status.SUCCESS)


async def test_a_keyword_that_there_is_not(association: Association, machine: Machine) -> None:
    with pytest.raises(ValueError, match="PatientsFavouriteColour is not a keyword"):
        await association.n_get(CLASS, UID, "PatientsFavouriteColour")
    assert machine.requests == []


async def test_action(association: Association, machine: Machine) -> None:
    machine.result = dataset(PatientID="done")
    answer = await association.n_action(CLASS, UID, 7, dataset(PatientID="do"))
    (request,) = machine.requests
    assert (request.action_type, request.information.PatientID, request.sop_instance_uid) == (7, "do", UID)
    assert answer.PatientID == "done"


async def test_delete(association: Association, machine: Machine) -> None:
    response = await association.n_delete(CLASS, UID)
    (request,) = machine.requests
    assert (request.sop_class_uid, request.sop_instance_uid, request.data_set) == (CLASS, UID, Dataset())
    assert (response.status, response.sop_instance_uid) == (Status.SUCCESS, UID)


async def test_event_report(association: Association, machine: Machine) -> None:
    machine.result = dataset(PatientID="heard")
    answer = await association.n_event_report(CLASS, UID, 9, dataset(PatientID="hear"))
    (request,) = machine.requests
    assert (request.event_type, request.information.PatientID, request.sop_instance_uid) == (9, "hear", UID)
    assert answer.PatientID == "heard"


async def test_requests_without_data_sets(association: Association, machine: Machine) -> None:
    await association.n_create(CLASS, UID)
    await association.n_action(CLASS, UID, 1)
    await association.n_event_report(CLASS, UID, 1)
    assert [request.data_set for request in machine.requests] == [Dataset()] * 3


@pytest.mark.parametrize("name", CALLS)
async def test_a_client_asks_for_all_of_them(machine: Machine, name: str) -> None:
    async with MemoryClient(machine.app) as client:
        assert response_of(await CALLS[name](client)).status == Status.SUCCESS
        assert response_of(await CALLS[name](client)).status == Status.SUCCESS
        assert len(client.opened) == 1
    assert [request.command.name for request in machine.requests] == [f"{name}-RQ"] * 2


# what a handler comes to


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [None, 0x0000, 0x0001, Status.ATTRIBUTE_VALUE_OUT_OF_RANGE, 0xB000])
async def test_a_handler_that_returns_a_status(
    association: Association, machine: Machine, name: str, status: int | None
) -> None:
    machine.result = status
    response = response_of(await CALLS[name](association))
    assert (response.status, response.sop_instance_uid) == (status or 0, UID)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "N-DELETE"])
@pytest.mark.parametrize("status", [None, 0x0001, 0xB305])
async def test_a_handler_that_returns_a_status_and_a_data_set(
    association: Association, machine: Machine, name: str, status: int | None
) -> None:
    machine.result = (status, dataset(PatientID="back"))
    answer = await CALLS[name](association)
    assert (answer.status, answer.PatientID) == (status or 0, "back")
    machine.result = (status, None)
    answer = await CALLS[name](association)
    assert (answer.status, len(answer)) == (status or 0, 0)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("result", ["yes", True, (0, "yes"), (0, 0, 0), [dataset()]])
async def test_a_handler_that_returns_nonsense(
    association: Association, machine: Machine, name: str, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    machine.result = result
    with pytest.raises(StatusError) as caught:
        await CALLS[name](association)
    assert caught.value.status == Status.PROCESSING_FAILURE
    assert "a status or None was expected" in caplog.text


async def test_a_data_set_that_an_n_delete_cannot_have(
    association: Association, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """PS3.7 10.3.6.2: an N-DELETE-RSP has none; the peer is not kept waiting all the same."""
    machine.result = dataset(PatientID="1")
    with pytest.raises(StatusError) as caught:
        await association.n_delete(CLASS, UID)
    assert caught.value.status == Status.PROCESSING_FAILURE
    assert "what a handler returned cannot be sent" in caplog.text
    machine.result = None
    assert (await association.n_delete(CLASS, UID)).status == Status.SUCCESS


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: Refused(Status.PROCESSING_FAILURE, error_id=0x10000),
        lambda: Refused(Status.INVALID_ARGUMENT_VALUE, offending=["PatientID"]),  # type: ignore[list-item]
        lambda: Refused(Status.INVALID_ARGUMENT_VALUE, offending=[-1]),
        lambda: Refused(0x10000),
    ],
    ids=["error-id", "keyword", "tag", "status"],
)
async def test_a_refusal_that_cannot_be_sent(refuse: Callable[[], Refused], caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a handler gets wrong, the peer has its answer, and the log says where it went wrong."""
    app = Application("APP")

    @app.n_delete(CLASS)
    async def delete(request: Any) -> None:
        raise refuse()

    async with connected(app) as association:
        with pytest.raises(StatusError) as caught:
            await association.n_delete(CLASS, UID)
    assert caught.value.status == Status.PROCESSING_FAILURE
    assert "ValueError" in caplog.text


def test_a_status_for_exceptions_that_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="65536"):
        Application("APP").map_exception(OSError, 0x10000)


@pytest.mark.parametrize("name", CALLS)
async def test_plain_functions_run_in_threads(name: str) -> None:
    app, threads = Application("APP"), []

    def handle(request: Any) -> None:
        threads.append(threading.current_thread())

    for register in six(app):
        register(CLASS)(handle)
    async with connected(app, roles=BOTH) as association:
        await CALLS[name](association)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


# statuses of PS3.7 Annex C, and what goes with them

STATUSES = [
    Status(code)
    for code in (
        *(0x0105, 0x0106, 0x0110, 0x0111, 0x0112, 0x0113, 0x0114, 0x0115, 0x0117, 0x0118, 0x0119),
        *(0x0120, 0x0121, 0x0122, 0x0123, 0x0124, 0x0210, 0x0211, 0x0212, 0x0213),
    )
]
# PS3.7 C.4.2, C.4.3, C.5: statuses about attributes list them.
ABOUT_ATTRIBUTES = (0x0105, 0x0106, 0x0107, 0x0116, 0x0120, 0x0121)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", STATUSES, ids=lambda status: f"{status:04X}")
async def test_failures_with_all_that_goes_with_them(
    association: Association, machine: Machine, name: str, status: Status
) -> None:
    machine.result = Refused(status, "because", offending=[PATIENT_ID, PATIENT_NAME], error_id=3)
    with pytest.raises(StatusError) as caught:
        await CALLS[name](association)
    response = response_of(caught.value)
    assert (response.status, response.error_comment, response.error_id) == (status, "because", 3)
    assert response.sop_instance_uid == UID
    tags = (PATIENT_ID, PATIENT_NAME)
    listed = status in ABOUT_ATTRIBUTES and name in LISTING
    assert tuple(response.attribute_identifiers) == (tags if listed else ())
    assert tuple(response.offending_elements) == (() if listed else tags)
    assert status.meaning in str(caught.value)


@pytest.mark.parametrize("name", LISTING)
@pytest.mark.parametrize("status", [Status.ATTRIBUTE_LIST_ERROR, Status.ATTRIBUTE_VALUE_OUT_OF_RANGE])
async def test_warnings_list_attributes(association: Association, machine: Machine, name: str, status: Status) -> None:
    machine.result = Refused(status, offending=[PATIENT_ID])
    response = response_of(await CALLS[name](association))
    assert (response.status, tuple(response.attribute_identifiers)) == (status, (PATIENT_ID,))


@pytest.mark.parametrize("result", [None, Refused(Status.NO_SUCH_ACTION_TYPE), Refused(Status.NO_SUCH_ARGUMENT)])
async def test_responses_repeat_what_they_answer(machine: Machine, result: Any) -> None:
    """PS3.7 10.3.1.2, 10.3.4.2: SOP class, SOP instance, and the type of the event or action."""
    machine.result = result
    async with scripted_requestor(machine.app, contexts=[CONTEXT]) as (_, peer):
        peer.say(action_rq(action_type_id=7))
        response = await peer.hear_command()
        assert (response.affected_sop_class_uid, response.affected_sop_instance_uid) == (CLASS, UID)
        assert response.action_type_id == 7
        peer.say(event_rq(event_type_id=9))
        response = await peer.hear_command()
        assert (response.affected_sop_class_uid, response.affected_sop_instance_uid) == (CLASS, UID)
        assert response.event_type_id == 9


def action_rq(**values: Any) -> Command:
    return Command(
        CommandField.N_ACTION_RQ,
        message_id=1,
        requested_sop_class_uid=CLASS,
        **{"requested_sop_instance_uid": UID, "action_type_id": 1, **values},
    )


def event_rq(**values: Any) -> Command:
    return Command(
        CommandField.N_EVENT_REPORT_RQ,
        message_id=2,
        affected_sop_class_uid=CLASS,
        affected_sop_instance_uid=UID,
        **{"event_type_id": 1, **values},
    )


# bad input


def set_rq() -> Command:
    return Command(
        CommandField.N_SET_RQ,
        message_id=1,
        requested_sop_class_uid=CLASS,
        requested_sop_instance_uid=UID,
        has_data_set=True,
    )


# Patient ID, whose length is beyond the end of the data set.
TRUNCATED = struct.pack("<HHI", 0x0010, 0x0020, 100) + b"4711"


async def test_a_data_set_that_cannot_be_decoded(machine: Machine) -> None:
    """Mistyped Argument (PS3.7 C.5.15); the handler is not called, and the association goes on."""
    async with scripted_requestor(machine.app, contexts=[CONTEXT]) as (_, peer):
        for _ in range(2):
            peer.say(set_rq(), TRUNCATED)
            assert (await peer.hear_command()).status == Status.MISTYPED_ARGUMENT
        peer.say(action_rq())
        assert (await peer.hear_command()).status == Status.SUCCESS
    assert [request.command.name for request in machine.requests] == ["N-ACTION-RQ"]
    assert machine.after == ["N-ACTION-RQ"]


async def test_middleware_may_answer_what_cannot_be_decoded(machine: Machine) -> None:
    raised: list[int] = []

    @machine.app.middleware
    async def forgive(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await call_next(request)
        except Refused as refused:
            raised.append(refused.status)
            return Status.SUCCESS

    async with scripted_requestor(machine.app, contexts=[CONTEXT]) as (_, peer):
        peer.say(set_rq(), TRUNCATED)
        assert (await peer.hear_command()).status == Status.SUCCESS
    assert (raised, machine.requests) == ([Status.MISTYPED_ARGUMENT], [])


@pytest.mark.parametrize("name", CALLS)
async def test_a_sop_class_that_is_not_served(name: str) -> None:
    """No Such SOP Class (PS3.7 C.5.17): it came on the presentation context of another one."""
    app = Application("APP")
    for register in six(app):
        register(sop.Printer)(Machine().handle)
    async with connected(app, contexts=[sop.Printer], roles={sop.Printer: Role.BOTH}) as association:
        requests: dict[str, Awaitable[Any]] = {
            "N-CREATE": association.n_create(CLASS, UID, negotiated_as=sop.Printer),
            "N-SET": association.n_set(CLASS, UID, dataset(), negotiated_as=sop.Printer),
            "N-GET": association.n_get(CLASS, UID, negotiated_as=sop.Printer),
            "N-ACTION": association.n_action(CLASS, UID, 1, negotiated_as=sop.Printer),
            "N-DELETE": association.n_delete(CLASS, UID, negotiated_as=sop.Printer),
            "N-EVENT-REPORT": association.n_event_report(CLASS, UID, 1, negotiated_as=sop.Printer),
        }
        with pytest.raises(StatusError) as caught:
            await requests.pop(name)
        for request in requests.values():
            with pytest.raises(StatusError):
                await request
    assert caught.value.status == Status.NO_SUCH_SOP_CLASS


async def test_a_sop_class_that_was_not_negotiated_is_not_served() -> None:
    """What a peer may not have is not to be had over the presentation context of something else either."""
    app, machine = Application("APP"), Machine()
    app.n_create(CLASS)(machine.handle)
    app.n_create(sop.InstanceAvailabilityNotification)(machine.handle)
    async with connected(app, contexts=[sop.InstanceAvailabilityNotification]) as association:
        with pytest.raises(StatusError) as caught:
            await association.n_create(CLASS, UID, negotiated_as=sop.InstanceAvailabilityNotification)
    assert caught.value.status == Status.NO_SUCH_SOP_CLASS
    assert machine.requests == []


async def test_a_service_that_the_sop_class_has_no_handler_for(machine: Machine) -> None:
    """Unrecognized Operation (PS3.7 C.5.23)."""
    app = Application("APP")
    app.n_create(CLASS)(machine.handle)
    async with connected(app, roles=BOTH) as association:
        for name in CALLS.keys() - {"N-CREATE"}:
            with pytest.raises(StatusError) as caught:
                await CALLS[name](association)
            assert caught.value.status == Status.UNRECOGNIZED_OPERATION
        await CALLS["N-CREATE"](association)


@pytest.mark.parametrize("uid", ["../../etc/passwd", "..", "1.2/3", ".1.2", "1.2:3", "-1"])
async def test_uids_that_are_none(association: Association, machine: Machine, uid: str) -> None:
    """Invalid SOP Instance (PS3.7 C.5.6): handlers may build names of files from UIDs."""
    for request in (
        association.n_create(CLASS, uid),
        association.n_set(CLASS, uid, dataset()),
        association.n_get(CLASS, uid),
        association.n_action(CLASS, uid, 1),
        association.n_delete(CLASS, uid),
        association.n_event_report(CLASS, uid, 1),
    ):
        with pytest.raises(StatusError) as caught:
            await request
        assert caught.value.status == Status.INVALID_SOP_INSTANCE
    assert machine.requests == []


def say_elements(peer: ScriptedPeer, *elements: tuple[int, bytes]) -> None:
    """Sends a command set that none of ours would send, in a P-DATA-TF PDU on presentation context 1."""
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in elements)
    command = struct.pack("<HHII", 0, 0, 4, len(body)) + body
    peer.say_bytes(struct.pack(">BxIIBB", 4, len(command) + 6, len(command) + 2, 1, 3) + command)


def us(value: int) -> bytes:
    return struct.pack("<H", value)


def ui(value: str) -> bytes:
    return value.encode() + b"\0" * (len(value) % 2)


@pytest.mark.parametrize("field", [0x0110, 0x0120, 0x0130, 0x0150], ids=["get", "set", "action", "delete"])
async def test_requests_without_an_instance_are_served(machine: Machine, field: int) -> None:
    """Print SCUs leave out Requested SOP Instance UID; whether one is needed is the handler's to say."""
    async with scripted_requestor(machine.app, contexts=[CONTEXT]) as (association, peer):
        elements = [(0x0003, ui(CLASS)), (0x0100, us(field)), (0x0110, us(5)), (0x0800, us(0x0101))]
        say_elements(peer, *elements, *([(0x1008, us(1))] if field == 0x0130 else []))
        response = await peer.hear_command()
        assert (response.status, response.responding_to, response.affected_sop_instance_uid) == (0, 5, None)
        assert any("Requested SOP Instance UID" in quirk for quirk in association.quirks)
    assert machine.requests[0].sop_instance_uid == ""


async def test_requests_without_a_sop_class_are_about_the_negotiated_one(machine: Machine) -> None:
    async with scripted_requestor(machine.app, contexts=[CONTEXT]) as (_, peer):
        say_elements(peer, (0x0100, us(0x0110)), (0x0110, us(5)), (0x0800, us(0x0101)), (0x1001, ui(UID)))
        assert (await peer.hear_command()).status == Status.SUCCESS
    assert (machine.requests[0].sop_class_uid, machine.requests[0].sop_instance_uid) == (CLASS, UID)


async def test_requests_without_types_are_served(machine: Machine) -> None:
    async with scripted_requestor(machine.app, contexts=[CONTEXT]) as (_, peer):
        say_elements(
            peer, (0x0003, ui(CLASS)), (0x0100, us(0x0130)), (0x0110, us(5)), (0x0800, us(0x0101)), (0x1001, ui(UID))
        )
        assert (await peer.hear_command()).status == Status.SUCCESS
        say_elements(
            peer, (0x0002, ui(CLASS)), (0x0100, us(0x0100)), (0x0110, us(6)), (0x0800, us(0x0101)), (0x1000, ui(UID))
        )
        assert (await peer.hear_command()).status == Status.SUCCESS
    assert (machine.requests[0].action_type, machine.requests[1].event_type) == (0, 0)


async def test_strict_refuses_what_is_left_out(machine: Machine) -> None:
    async with scripted_requestor(machine.app, contexts=[CONTEXT], strict=True) as (_, peer):
        say_elements(peer, (0x0003, ui(CLASS)), (0x0100, us(0x0150)), (0x0110, us(5)), (0x0800, us(0x0101)))
        await peer.gone.wait()
        assert peer.heard_abort
    assert machine.requests == []


# meta SOP classes

META = sop.BasicGrayscalePrintManagementMeta


async def test_a_meta_sop_class() -> None:
    app, machine = Application("PRINTER"), Machine()
    app.n_create(sop.BasicFilmSession)(machine.handle)
    app.n_get(sop.Printer)(machine.handle)
    async with connected(app, contexts=[META]) as association:
        await association.n_create(sop.BasicFilmSession, UID, negotiated_as=META)
        await association.n_get(sop.Printer, sop.PrinterInstance, negotiated_as=META)
        with pytest.raises(NoPresentationContext):
            await association.n_get(sop.Printer, sop.PrinterInstance)
    assert [(request.sop_class_uid, request.negotiated_as) for request in machine.requests] == [
        (sop.BasicFilmSession, META),
        (sop.Printer, META),
    ]


async def test_a_meta_sop_class_without_handlers_is_not_accepted() -> None:
    app = Application("PRINTER")
    app.n_create(CLASS)(Machine().handle)
    assert app.supported(META) is None
    app.n_set(sop.BasicGrayscaleImageBox)(Machine().handle)
    assert app.supported(META) is not None
    assert app.supported(sop.BasicColorPrintManagementMeta) is None


async def test_a_private_meta_sop_class() -> None:
    """Of a private one nobody knows the members, so that a handler for it takes what comes for its members."""
    app, machine = Application("APP"), Machine()
    app.n_create("1.2.3.4.1", "1.2.3.4.2")(machine.handle)
    async with connected(app, contexts=["1.2.3.4.1"]) as association:
        await association.n_create("1.2.3.4.2", UID, negotiated_as="1.2.3.4.1")
    assert machine.requests[0].sop_class_uid == "1.2.3.4.2"


# reversed roles


async def test_events_on_an_association_that_we_opened() -> None:
    """PS3.7 8.1: both sides may ask; `app=` serves what the other side asks for."""
    provider, reported = Application("PROVIDER"), asyncio.Event()

    @provider.n_action(CLASS)
    async def act(request: ActionRequest) -> None:
        request.after(report, request)

    async def report(request: ActionRequest) -> None:
        answer = await request.association.n_event_report(CLASS, UID, 3, dataset(PatientID="4711"))
        assert answer.status == Status.SUCCESS
        reported.set()

    client, requests = Application("CLIENT"), list[EventReport]()

    @client.n_event_report(CLASS)
    async def hear(request: EventReport) -> None:
        requests.append(request)

    async with connected(provider, client=client) as association:
        await association.n_action(CLASS, UID, 1)
        await reported.wait()
    (request,) = requests
    assert (type(request), request.event_type, request.association) == (EventReport, 3, association)


async def test_events_where_nobody_serves_them() -> None:
    provider, statuses = Application("PROVIDER"), asyncio.Queue[int]()

    @provider.n_action(CLASS)
    async def act(request: ActionRequest) -> None:
        request.after(report, request)

    async def report(request: ActionRequest) -> None:
        with pytest.raises(StatusError) as caught:
            await request.association.n_event_report(CLASS, UID, 3)
        statuses.put_nowait(caught.value.status)

    async with connected(provider) as association:
        await association.n_action(CLASS, UID, 1)
        assert await statuses.get() == Status.SOP_CLASS_NOT_SUPPORTED


async def test_a_peer_that_ignores_role_selection() -> None:
    """It accepts the presentation context, but not the role; it may well take events all the same."""
    app = Application("APP")
    app.n_action(CLASS)(Machine().handle)
    async with connected(app, roles=BOTH) as association:
        with pytest.raises(StatusError) as caught:
            await association.n_event_report(CLASS, UID, 1)
        assert caught.value.status == Status.UNRECOGNIZED_OPERATION
        assert "did not answer a role selection that is needed" in association.quirks
    async with connected(app, roles=BOTH, strict=True) as association:
        with pytest.raises(NoPresentationContext, match="role"):
            await association.n_event_report(CLASS, UID, 1)


async def test_connecting_to_destinations() -> None:
    app = Application("APP", destinations={"ELSEWHERE": "ELSEWHERE@127.0.0.1:1"})
    with pytest.raises(ConnectFailed, match="NOBODY"):
        await app.connect("NOBODY", contexts=[CLASS])
    with pytest.raises(ConnectFailed, match="ELSEWHERE"):
        await app.connect("ELSEWHERE", contexts=[CLASS], timeout=5)


# what comes after


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "result, ran",
    [
        (None, True),
        (0x0001, True),
        (Refused(0x0116), True),
        (Status.NOT_AUTHORIZED, False),
        (Refused(Status.NOT_AUTHORIZED), False),
        (ZeroDivisionError(), False),
    ],
)
async def test_after_runs_only_after_success(machine: Machine, name: str, result: Any, ran: bool) -> None:
    machine.result = result
    async with connected(machine.app, roles=BOTH) as association:
        expected: Any = contextlib.nullcontext() if ran else pytest.raises(StatusError)
        with expected:
            await CALLS[name](association)
    assert machine.after == ([f"{name}-RQ"] if ran else [])


async def test_after_does_not_run_where_the_response_became_a_failure(machine: Machine) -> None:
    broken = dataset()
    broken.add_new(0x00287001, "US", 1)
    broken[0x00287001]._value = b"many"
    machine.result = broken
    async with connected(machine.app, roles=BOTH) as association:
        with pytest.raises(StatusError):
            await association.n_create(CLASS, UID)
    assert machine.after == []


# cancellation


@pytest.mark.parametrize("later", [0, 1, 3])
@pytest.mark.parametrize("name", CALLS)
async def test_cancelled_at_every_await(machine: Machine, name: str, later: int) -> None:
    """Nothing is left half done: all six work on the same client afterwards."""
    machine.result = None
    for at in itertools.count():
        async with MemoryClient(machine.app) as client:
            interrupted = Interrupted(CALLS[name](client), at, later)
            outcome = (await asyncio.gather(asyncio.create_task(wait(interrupted)), return_exceptions=True))[0]
            assert outcome is None or (isinstance(outcome, asyncio.CancelledError) and interrupted.reached)
            for call in CALLS.values():
                assert response_of(await call(client)).status == Status.SUCCESS
        if not interrupted.reached:
            break
    assert at >= 1


async def wait(awaitable: Awaitable[object]) -> None:
    await awaitable

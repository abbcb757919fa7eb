"""What the tests of query and retrieve share: messages to say by hand, applications to ask, objects to get, a clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    STUDY_ROOT,
    Application,
    Association,
    FindRequest,
    Matches,
    Progress,
    Retrieval,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.datasets import Instance, decode, encode
from dicomio.identifiers import dataset, query
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from dicomio.wire.pdus import AssociateAC, AssociateRQ
from tests.association.peers import (
    INSTANCE_UID,
    VERIFICATION,
    ScriptedPeer,
    content,
    instance,
    scripted_acceptor,
    settled,
    store_rq,
)

SYNTAX = sop.ExplicitVRLittleEndian
STUDY_UID = "1.2.826.0.1.3680043.9.2"

FIND, MOVE, GET = STUDY_ROOT
# The presentation contexts of these tests, by the IDs they get.
FIND_ID, MOVE_ID, GET_ID, STORE_ID, ECHO_ID = 1, 3, 5, 7, 9
RECEIVED_CT = PresentationContext(sop.CTImageStorage, (SYNTAX,), scu=False, scp=True)
QUERYING = (
    PresentationContext(FIND),
    PresentationContext(MOVE),
    PresentationContext(GET),
    RECEIVED_CT,
    VERIFICATION,
)

WANTED = query("STUDY", PatientID="", StudyInstanceUID="")
STUDY = query("STUDY", StudyInstanceUID=STUDY_UID)
KEYS = encode(WANTED, SYNTAX)
STUDY_KEYS = encode(STUDY, SYNTAX)


# messages


def find_rq(message_id: int = 1, uid: str = FIND) -> Command:
    return Command(
        CommandField.C_FIND_RQ, message_id=message_id, affected_sop_class_uid=uid, priority=0, has_data_set=True
    )


def get_rq(message_id: int = 1) -> Command:
    return Command(
        CommandField.C_GET_RQ, message_id=message_id, affected_sop_class_uid=GET, priority=0, has_data_set=True
    )


def move_rq(message_id: int = 1, to: str = "DESTINATION") -> Command:
    return Command(
        CommandField.C_MOVE_RQ,
        message_id=message_id,
        affected_sop_class_uid=MOVE,
        priority=0,
        move_destination=to,
        has_data_set=True,
    )


def cancel_rq(message_id: int = 1) -> Command:
    return Command(CommandField.C_CANCEL_RQ, responding_to=message_id)


def reply(request: Command, status: int = 0, **fields: Any) -> Command:
    """A response as it should be; `fields` says what else is in it, or what is different."""
    usual = {"responding_to": request.message_id, "affected_sop_class_uid": request.affected_sop_class_uid}
    return Command(request.field | 0x8000, **{**usual, "status": status, **fields})


def match(number: int = 0) -> bytes:
    """The identifier of a C-FIND response."""
    return encode(study(number), SYNTAX)


def study(number: int = 0) -> Dataset:
    return dataset(QueryRetrieveLevel="STUDY", PatientID=f"ID{number}", StudyInstanceUID=f"{STUDY_UID}.{number}")


def say_match(peer: ScriptedPeer, request: Command, number: int = 0, status: int = 0xFF00) -> None:
    peer.say(reply(request, status, has_data_set=True), match(number), FIND_ID)


def numbers(matches: Sequence[Dataset]) -> list[int]:
    """Which of the matches of `study` these are."""
    return [int(found.PatientID.removeprefix("ID")) for found in matches]


async def hear_final(peer: ScriptedPeer) -> tuple[Command, list[Command]]:
    """The final response of an operation, and the pending ones before it."""
    pending = []
    while (command := await peer.hear_command()).status in (0xFF00, 0xFF01):
        pending.append(command)
    return command, pending


async def hear_identifier(peer: ScriptedPeer) -> Dataset:
    """The data set that follows a command."""
    return decode(await peer.hear_data(), SYNTAX)


# applications


def finding(handler: Callable[..., Any]) -> Application:
    """An application with one handler for C-FIND."""
    app = Application("APP")
    app.find(STUDY_ROOT)(handler)
    return app


def studies(count: int) -> Application:
    """An application that finds so many studies, whatever is asked for."""

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(count):
            yield study(number)

    return finding(find)


def giving(found: Sequence[Any]) -> Application:
    """An application that retrieves always the same."""

    async def retrieve(request: dicomio.RetrieveRequest) -> Sequence[Any]:
        return found

    return retrieving(retrieve)


def retrieving(handler: Callable[..., Any], *, pace: float = 0.0, associations: int = 1) -> Application:
    """An application with one handler for C-GET and C-MOVE."""
    app = Application("APP")
    app.get(STUDY_ROOT, pace=pace)(handler)
    app.move(STUDY_ROOT, pace=pace, associations=associations)(handler)
    return app


def uid(number: int) -> str:
    return f"{INSTANCE_UID}.{number}"


def objects(count: int, size: int = 1000) -> list[Instance]:
    return [instance(size, uid(number)) for number in range(count)]


class Receiver:
    """Where objects arrive.

    Attributes:
        app: the application.
        received: requests, and their data sets.
        answer: decides on the status of each.
    """

    def __init__(self, answer: Callable[[StoreRequest], Any] | None = None, **options: Any) -> None:
        self.app = Application("DESTINATION")
        self.received: list[tuple[StoreRequest, bytes]] = []
        self.answer = answer
        self.app.store(**options)(self.store)

    async def store(self, request: StoreRequest) -> Any:
        data = await request.read()
        result = self.answer(request) if self.answer is not None else None
        if asyncio.iscoroutine(result):
            result = await result
        self.received.append((request, data))
        return result

    @property
    def uids(self) -> list[str]:
        return [request.sop_instance_uid for request, _ in self.received]


class Retrieved:
    """What a retrieval came to, by whichever service.

    Attributes:
        status: of the final response.
        progress: its numbers.
        failed: its Failed SOP Instance UID List.
        comment: its Error Comment.
        steps: the numbers of the pending responses.
    """

    def __init__(self, retrieval: Retrieval[Any], steps: list[Progress]) -> None:
        assert retrieval.response is not None
        self.status = int(retrieval.status)
        self.progress = retrieval.progress
        self.failed = list(retrieval.failed_uids)
        self.comment = retrieval.response.error_comment
        self.steps = steps


async def retrieve_by_get(app: Application, receiver: Receiver, **options: Any) -> Retrieved:
    """Gets `STUDY`, and has the receiver serve the C-STORE requests."""
    async with connected(app, client=receiver.app, contexts=QUERYING, **options) as association:
        retrieval = association.get(STUDY)
        with suppress(StatusError):
            await retrieval
        assert association.is_established
        return Retrieved(retrieval, [])


async def retrieve_by_move(app: Application, receiver: Receiver, **options: Any) -> Retrieved:
    """Moves `STUDY` to the receiver, which listens on a port of its own."""
    steps: list[Progress] = []
    async with dicomio.serve(receiver.app, "127.0.0.1", 0) as destination:
        app.destinations = {"DESTINATION": f"DESTINATION@127.0.0.1:{destination.port}"}
        async with connected(app, contexts=QUERYING, **options) as association:
            retrieval = association.move(STUDY, to="DESTINATION")
            with suppress(StatusError):
                steps.extend([step async for step in retrieval])
            assert association.is_established
            return Retrieved(retrieval, steps)


BOTH_SERVICES = pytest.mark.parametrize("service", [retrieve_by_get, retrieve_by_move], ids=["get", "move"])


# An association of ours with a scripted peer, for queries.
asking = partial(scripted_acceptor, contexts=QUERYING)


class Roleless(ScriptedPeer):
    """A peer that does not answer role selections (PS3.7 D.3.3.4)."""

    def answer(self, pdu: AssociateRQ) -> AssociateAC:
        answer = super().answer(pdu)
        return replace(answer, user=replace(answer.user, roles=()))


async def take_first(matches: Matches, peer: ScriptedPeer) -> Command:
    """Has a query begin and bring one match; returns the request, to which there may be more to say."""
    first = asyncio.ensure_future(anext(matches))
    command = await peer.hear_request()
    say_match(peer, command)
    assert (await first).PatientID == "ID0"
    return command


async def check_usable(association: Association, peer: ScriptedPeer) -> None:
    """The association serves the next request as if nothing had happened."""
    echo = asyncio.ensure_future(association.echo())
    request = await peer.hear_command()
    assert request.field == CommandField.C_ECHO_RQ
    peer.say(reply(request), context_id=ECHO_ID)
    assert await echo >= 0


# a C-GET by hand


def say_object(peer: ScriptedPeer, number: int, size: int = 1000) -> Command:
    """A C-STORE sub-operation; its message ID is its number."""
    command = store_rq(number, uid(number))
    peer.say(command, content(size), STORE_ID)
    return command


def say_end(peer: ScriptedPeer, request: Command, status: int = 0, **fields: Any) -> None:
    peer.say(reply(request, status, **fields), context_id=GET_ID)


async def hear_stored(peer: ScriptedPeer, number: int) -> int | None:
    """The status that we answer a C-STORE sub-operation with."""
    command = await peer.hear_command()
    assert (command.field, command.responding_to) == (CommandField.C_STORE_RSP, number)
    return command.status


async def take_all(association: Association, do: Callable[[StoreRequest], Any] | None = None) -> Retrieval[Any]:
    """Iterates a C-GET to its end; does something with each object, by default reads it."""
    async with association.get(STUDY) as retrieval:
        async for each in retrieval:
            await (do(each) if do is not None else each.read())
    return retrieval


# time


class Clock:
    """The time of the event loop, which tests may put forward.

    Args:
        monkeypatch: sets it right again.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.offset = 0.0
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self.offset)

    async def advance(self, seconds: float) -> None:
        """Lets time pass at once, and whatever is due then run."""
        self.offset += seconds
        await settled()

"""Find, move and get cancelled at every `await`, on either side: nine other calls on the association still work."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

import dicomio
from dicomio import (
    STUDY_ROOT,
    Application,
    Association,
    FindRequest,
    Limits,
    Progress,
    RetrieveRequest,
    StoreRequest,
)
from dicomio.application import Handler
from dicomio.datasets import Instance
from dicomio.operations import Inbound
from dicomio.testing import connected
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import (
    MEBIBYTE,
    Interrupted,
    MemoryClient,
    ScriptedPeer,
    content,
    echo_rq,
    held_buffers,
    leftovers,
    response,
    scripted_requestor,
    settled,
    started,
    until,
)
from tests.association.querying import (
    ECHO_ID,
    FIND_ID,
    GET_ID,
    KEYS,
    MOVE_ID,
    QUERYING,
    STORE_ID,
    STUDY,
    STUDY_KEYS,
    WANTED,
    Receiver,
    cancel_rq,
    find_rq,
    get_rq,
    move_rq,
    numbers,
    objects,
    study,
    uid,
)

SIZES = {"small": 1000, "batches": MEBIBYTE + 300_001}


class Archive(Application):
    """Finds five studies, and gets or moves three objects; may be interrupted while it serves.

    Args:
        size: of each object, bytes.

    Attributes:
        interrupt: makes of the serving of a request something that is interrupted.
    """

    def __init__(self, size: int = 1000) -> None:
        super().__init__("ARCHIVE")
        self.found = objects(3, size)
        self.interrupt: Callable[[Awaitable[None]], Awaitable[None]] | None = None
        self.find(STUDY_ROOT)(self.find_studies)
        self.get(STUDY_ROOT, pace=0)(self.find_objects)
        self.move(STUDY_ROOT, pace=0)(self.find_objects)

    async def find_studies(self, request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(5):
            await asyncio.sleep(0)
            yield study(number)

    async def find_objects(self, request: RetrieveRequest) -> Sequence[Instance]:
        await asyncio.sleep(0)
        return self.found

    async def serve(self, inbound: Inbound, handler: Handler) -> None:
        serving = super().serve(inbound, handler)
        if self.interrupt is None:
            await serving
        else:
            interrupt, self.interrupt = self.interrupt, None
            await interrupt(serving)


# on the side that asks


@pytest.fixture
async def destination() -> AsyncIterator[str]:
    """Where a Storage SCP listens."""
    async with dicomio.serve(Receiver().app, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.port}"


@asynccontextmanager
async def open_archive(app: Archive, destination: str = "nowhere") -> AsyncIterator[Association]:
    """An association with an archive that knows one destination."""
    app.destinations = {"DESTINATION": destination}
    async with connected(app, contexts=QUERYING, client=Receiver().app) as association:
        yield association


async def nine_other_calls(association: Association) -> None:
    """What still has to work on an association after one call was cancelled."""
    for _ in range(3):
        assert await association.echo() >= 0
        assert numbers(await association.find(WANTED)) == [0, 1, 2, 3, 4]
        async with association.get(STUDY) as retrieval:
            assert [each.sop_instance_uid async for each in retrieval] == [uid(0), uid(1), uid(2)]
        assert retrieval.progress == Progress(completed=3)


async def await_find(association: Association) -> None:
    assert numbers(await association.find(WANTED)) == [0, 1, 2, 3, 4]


async def iterate_find(association: Association) -> None:
    async with association.find(WANTED) as matches:
        assert numbers([found async for found in matches]) == [0, 1, 2, 3, 4]


async def iterate_find_without_block(association: Association) -> None:
    async for _ in association.find(WANTED):
        await asyncio.sleep(0)


async def leave_find(association: Association) -> None:
    async with association.find(WANTED) as matches:
        await anext(matches)


async def close_find(association: Association) -> None:
    matches = association.find(WANTED)
    await anext(matches)
    await matches.aclose()


async def await_rest_of_find(association: Association) -> None:
    matches = association.find(WANTED)
    await anext(matches)
    assert len(await matches) == 4


async def await_move(association: Association) -> None:
    assert await association.move(STUDY, to="DESTINATION") == Progress(completed=3)


async def iterate_move(association: Association) -> None:
    async with association.move(STUDY, to="DESTINATION") as retrieval:
        assert [step.completed async for step in retrieval] == [1, 2]


async def leave_move(association: Association) -> None:
    async with association.move(STUDY, to="DESTINATION") as retrieval:
        await anext(retrieval)


async def await_get(association: Association) -> None:
    assert await association.get(STUDY) == Progress(completed=3)


async def iterate_get(association: Association) -> None:
    async with association.get(STUDY) as retrieval:
        async for each in retrieval:
            await each.read()


async def iterate_get_without_block(association: Association) -> None:
    async for each in association.get(STUDY):
        await each.read()


async def leave_get(association: Association) -> None:
    async with association.get(STUDY) as retrieval:
        await (await anext(retrieval)).read()


OPERATIONS = [
    await_find,
    iterate_find,
    iterate_find_without_block,
    leave_find,
    close_find,
    await_rest_of_find,
    await_move,
    iterate_move,
    leave_move,
    await_get,
    iterate_get,
    iterate_get_without_block,
    leave_get,
]


async def interrupt(awaitable: Awaitable[None], at: int, later: int) -> bool:
    """Runs something and cancels it at its n-th wait; whether it got as far as that."""
    interrupted = Interrupted(awaitable, at, later)
    try:
        await started(interrupted)
    except asyncio.CancelledError:
        assert interrupted.reached
    return interrupted.reached


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_whoever_asks_is_cancelled(
    operation: Callable[[Association], Awaitable[None]], later: int, destination: str
) -> None:
    """The association stays open, and the next call waits for the drain."""
    before = held_buffers()
    for at in itertools.count():
        async with open_archive(Archive(), destination) as association:
            reached = await interrupt(operation(association), at, later)
            assert association.is_established
            await nine_other_calls(association)
            assert list(association.quirks) == []
        if not reached:
            break
    assert at >= 1
    assert held_buffers() == before


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_whoever_saves_what_it_gets_is_cancelled(tmp_path: Path, size: int) -> None:
    """Each file is there whole, or not at all."""
    before = held_buffers()

    async def save_all(association: Association, directory: Path) -> None:
        async with association.get(STUDY) as retrieval:
            async for each in retrieval:
                await each.save(directory)

    for at in itertools.count():
        directory = tmp_path / str(at)
        directory.mkdir()
        app = Archive(size)
        async with open_archive(app) as association:
            reached = await interrupt(save_all(association, directory), at, 0)
            assert association.is_established
            app.found = objects(3)
            await nine_other_calls(association)
        for name in leftovers(directory):
            assert (directory / name).read_bytes().endswith(content(size))
        if not reached:
            break
    assert leftovers(directory) == [f"{uid(number)}.dcm" for number in range(3)]
    assert at >= 3
    assert held_buffers() == before


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_client_is_cancelled(limit: int) -> None:
    """While it opens its association too; what it has open afterwards serves."""

    async def ask(client: MemoryClient) -> None:
        async with client.find(WANTED) as matches:
            assert numbers([found async for found in matches]) == [0, 1, 2, 3, 4]

    for at in itertools.count():
        async with MemoryClient(Archive(), limits=Limits(associations=limit)) as client:
            interrupted = Interrupted(ask(client), at, 0)
            try:
                await started(interrupted)
            except asyncio.CancelledError:
                assert interrupted.reached
            for _ in range(9):
                assert numbers(await client.find(WANTED)) == [0, 1, 2, 3, 4]
            assert len(client.opened) <= limit
        if not interrupted.reached:
            break
    assert at >= 3


# on the side that serves


class ByHand:
    """A peer that asks the archive, and says what a test makes it say in the middle."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.message_id = 0

    def ask(self, field: CommandField) -> None:
        self.message_id += 1
        if field == CommandField.C_FIND_RQ:
            self.peer.say(find_rq(self.message_id), KEYS, FIND_ID)
        elif field == CommandField.C_GET_RQ:
            self.peer.say(get_rq(self.message_id), STUDY_KEYS, GET_ID)
        elif field == CommandField.C_MOVE_RQ:
            self.peer.say(move_rq(self.message_id), STUDY_KEYS, MOVE_ID)
        else:
            self.peer.say(echo_rq(self.message_id), context_id=ECHO_ID)

    def cancel(self) -> None:
        self.peer.say(cancel_rq(self.message_id), context_id=FIND_ID)

    async def answer(self) -> tuple[Command, int]:
        """The final response to the last request, and how many matches or objects came before it."""
        count = 0
        while True:
            command = await self.peer.hear_request()
            if command.field == CommandField.C_STORE_RQ:
                self.peer.say(response(command), context_id=STORE_ID)
                count += 1
                continue
            assert command.responding_to == self.message_id
            if command.status != 0xFF00:
                return command, count
            count += command.field == CommandField.C_FIND_RSP

    async def nine_other_calls(self) -> None:
        for _ in range(3):
            self.ask(CommandField.C_ECHO_RQ)
            assert (await self.answer())[0].status == 0
            self.ask(CommandField.C_FIND_RQ)
            final, count = await self.answer()
            assert (final.status, count) == (0, 5)
            self.ask(CommandField.C_GET_RQ)
            final, count = await self.answer()
            assert (final.status, final.completed, count) == (0, 3, 3)


class InThread(Archive):
    """Likewise, by generators that run in worker threads."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers.clear()
        self.finished = 0
        self.find(STUDY_ROOT)(self.generate_studies)
        self.get(STUDY_ROOT, pace=0)(self.generate_objects)
        self.move(STUDY_ROOT, pace=0)(self.generate_objects)

    def generate_studies(self, request: FindRequest) -> Iterator[Dataset]:
        assert threading.current_thread() is not threading.main_thread()
        try:
            for number in range(5):
                yield study(number)
        finally:
            self.finished += 1

    def generate_objects(self, request: RetrieveRequest) -> Iterator[Instance]:
        assert threading.current_thread() is not threading.main_thread()
        try:
            yield from self.found
        finally:
            self.finished += 1


SERVED = [CommandField.C_FIND_RQ, CommandField.C_GET_RQ, CommandField.C_MOVE_RQ]


@asynccontextmanager
async def scripted(app: Archive, destination: str) -> AsyncIterator[tuple[Association, ByHand]]:
    """An association of a scripted peer with an archive that knows one destination."""
    app.destinations = {"DESTINATION": destination}
    async with scripted_requestor(app, contexts=QUERYING) as (association, peer):
        yield association, ByHand(peer)


@pytest.mark.parametrize("make", [Archive, InThread])
@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("field", SERVED, ids=lambda field: field.name)
async def test_the_peer_cancels(make: type[Archive], field: CommandField, later: int, destination: str) -> None:
    """There is one final response, and all that is counted before it was sent."""
    ends = set()
    for at in itertools.count():
        app = make()
        async with scripted(app, destination) as (association, by_hand):
            interrupted: list[Interrupted] = []

            def cancel(serving: Awaitable[None], at: int = at) -> Awaitable[None]:
                interrupted.append(Interrupted(serving, at, later, by_hand.cancel))  # noqa: B023
                return interrupted[0]  # noqa: B023

            app.interrupt = cancel
            by_hand.ask(field)
            final, count = await by_hand.answer()
            ends.add(final.status)
            assert final.status in (0x0000, 0xFE00)
            if field != CommandField.C_FIND_RQ and final.completed is not None:
                assert final.completed + (final.remaining or 0) <= 3
                assert field == CommandField.C_MOVE_RQ or final.completed == count
            await by_hand.nine_other_calls()
            assert association.is_established
            assert list(association.quirks) == []
        if not interrupted[0].reached:
            break
    assert at >= 1
    assert 0x0000 in ends
    assert 0xFE00 in ends


@pytest.mark.parametrize("make", [Archive, InThread])
@pytest.mark.parametrize("how", [ScriptedPeer.abort, ScriptedPeer.hang_up])
@pytest.mark.parametrize("field", SERVED, ids=lambda field: field.name)
async def test_the_peer_is_lost(
    make: type[Archive], how: Callable[[ScriptedPeer], None], field: CommandField, destination: str
) -> None:
    """Whatever was under way ends; nothing is left, and nothing complains."""
    before = held_buffers()
    for at in itertools.count():
        app = make()
        async with scripted(app, destination) as (association, by_hand):
            interrupted: list[Interrupted] = []

            def lose(serving: Awaitable[None], at: int = at) -> Awaitable[None]:
                interrupted.append(Interrupted(serving, at, 0, lambda: how(by_hand.peer)))  # noqa: B023
                return interrupted[0]  # noqa: B023

            app.interrupt = lose
            by_hand.ask(field)
            answering = started(by_hand.answer())
            await until(lambda: association.ended is not None or answering.done())  # noqa: B023
            await until(lambda: not association.serving)
            answering.cancel()
            await settled()
        if not interrupted[0].reached:
            break
    assert at >= 1
    assert held_buffers() == before


@pytest.mark.parametrize("field", SERVED, ids=lambda field: field.name)
async def test_the_task_that_serves_is_cancelled(field: CommandField, destination: str) -> None:
    """By whatever handlers do: the peer gets an answer, unless it has one, or an abort in the middle of an object."""
    for at in itertools.count():
        app = Archive()
        async with scripted(app, destination) as (association, by_hand):
            interrupted: list[Interrupted] = []

            def cancel(serving: Awaitable[None], at: int = at) -> Awaitable[None]:
                interrupted.append(Interrupted(serving, at, 0))  # noqa: B023
                return interrupted[0]  # noqa: B023

            app.interrupt = cancel
            by_hand.ask(field)
            final, _ = await by_hand.answer()
            assert final.status in (0x0000, 0x0110)
            await by_hand.nine_other_calls()
            assert association.is_established
        if not interrupted[0].reached:
            break
    assert at >= 1


async def test_both_sides_cancel_at_once(tmp_path: Path) -> None:
    """The peer has ended a C-GET when our C-CANCEL comes, and the other way round, at any distance of the two."""
    for later in range(12):
        app, ended = Archive(), []

        async def find(request: RetrieveRequest) -> AsyncIterator[Instance]:
            for each in app.found:  # noqa: B023
                yield each
            ended.append(True)  # noqa: B023

        app.handlers.pop(CommandField.C_GET_RQ)
        app.get(STUDY_ROOT, pace=0)(find)
        async with open_archive(app) as association:

            async def save_two() -> None:
                async with association.get(STUDY) as retrieval:
                    await (await anext(retrieval)).save(tmp_path)
                    await (await anext(retrieval)).save(tmp_path)
                    await settled(later)  # noqa: B023

            await save_two()
            await nine_other_calls(association)
            assert list(association.quirks) == []


async def test_a_hundred_queries_cancelled_in_a_row() -> None:
    """No message ID, place in the window or deadline is lost on the way."""
    async with open_archive(Archive()) as association:
        for number in range(100):
            await interrupt(iterate_find(association), number % 5, number % 3)
        await nine_other_calls(association)
        assert association.pending == {}
        assert association.window.taken == 0
        assert association.unread == 0


async def test_stores_between_the_objects_of_a_get() -> None:
    """An application of ours that stores on, object by object, on another association."""
    receiver = Receiver()
    async with MemoryClient(receiver.app) as other, open_archive(Archive(300_000)) as association:

        async def forward(request: StoreRequest) -> Any:
            return await other.store(request)

        for at in itertools.count():
            interrupted = Interrupted(forward_all(association, forward), at, 0)
            try:
                await started(interrupted)
            except asyncio.CancelledError:
                assert interrupted.reached
            assert association.is_established
            if not interrupted.reached:
                break
        await nine_other_calls(association)
    assert receiver.uids[-3:] == [uid(0), uid(1), uid(2)]


async def forward_all(association: Association, forward: Callable[[StoreRequest], Awaitable[Any]]) -> None:
    async with association.get(STUDY) as retrieval:
        async for each in retrieval:
            await forward(each)

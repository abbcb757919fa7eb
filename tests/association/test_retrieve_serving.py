"""C-GET as SCP against a peer that answers each object by hand: the wire, the counters, the pace, what ends it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomio import Limits, Progress, RetrieveRequest
from dicomio.datasets import Instance, decode
from dicomio.suboperations import HEARTBEAT
from dicomio.wire.commands import Command, CommandField
from tests.association.peers import (
    MEBIBYTE,
    ScriptedPeer,
    content,
    echo_rq,
    held_buffers,
    instance,
    response,
    scripted_requestor,
    settled,
    until,
)
from tests.association.querying import (
    ECHO_ID,
    GET,
    GET_ID,
    QUERYING,
    STORE_ID,
    STUDY_KEYS,
    SYNTAX,
    Clock,
    cancel_rq,
    get_rq,
    giving,
    objects,
    retrieving,
    uid,
)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Getter:
    """A peer that gets objects, and answers each when a test says so.

    The next object may come before the numbers of the last.

    Attributes:
        commands: the responses.
        told: status, and the numbers of completed, failed, warning and remaining sub-operations, of each.
        final: the last one.
    """

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.commands: list[Command] = []
        self.told: list[tuple[int | None, ...]] = []
        self.final: Command | None = None
        peer.say(get_rq(), STUDY_KEYS, GET_ID)

    def take(self, command: Command) -> None:
        assert (command.field, command.responding_to) == (CommandField.C_GET_RSP, 1)
        self.commands.append(command)
        self.told.append((command.status, command.completed, command.failed, command.warning, command.remaining))
        if command.status != 0xFF00:
            self.final = command

    async def object(self) -> Command:
        """The next C-STORE sub-operation, with all of its data set."""
        while (command := await self.peer.hear_request()).field != CommandField.C_STORE_RQ:
            self.take(command)
        return command

    def stored(self, request: Command, status: int = 0) -> None:
        """Answers a C-STORE sub-operation."""
        self.peer.say(response(request, status), context_id=STORE_ID)

    async def take_objects(self, *statuses: int) -> None:
        """Answers so many of them."""
        for status in statuses:
            self.stored(await self.object(), status)

    async def pending(self) -> tuple[int | None, ...]:
        """The numbers of the next pending response; no object comes before it."""
        self.take(await self.peer.hear_command())
        assert self.final is None
        return self.told[-1]

    def cancel(self) -> None:
        self.peer.say(cancel_rq(), context_id=GET_ID)

    async def end(self) -> tuple[int | None, ...]:
        """The numbers of the final response."""
        while self.final is None:
            self.take(await self.peer.hear_command())
        return self.told[-1]

    async def failed(self) -> Any:
        """The Failed SOP Instance UID List that follows."""
        ds = decode(await self.peer.hear_data(), SYNTAX)
        assert list(ds.keys()) == [0x00080058]
        return ds.FailedSOPInstanceUIDList


async def check_served(peer: ScriptedPeer) -> None:
    peer.say(echo_rq(99), context_id=ECHO_ID)
    answer = await peer.hear_command()
    assert (answer.responding_to, answer.status) == (99, 0)


# the wire


def answer(status: int, *, completed: int, remaining: int | None = None) -> Command:
    return Command(
        CommandField.C_GET_RSP,
        responding_to=1,
        affected_sop_class_uid=GET,
        status=status,
        completed=completed,
        failed=0,
        warning=0,
        remaining=remaining,
    )


async def test_the_conversation_as_it_is_on_the_wire() -> None:
    async with scripted_requestor(giving(objects(2, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        store = await peer.hear_command()
        assert store == Command(
            CommandField.C_STORE_RQ,
            message_id=store.message_id,
            affected_sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            affected_sop_instance_uid=uid(0),
            priority=0,
            has_data_set=True,
        )
        assert await peer.hear_data() == content(100)
        getter.stored(store)
        getter.stored(await getter.object())
        await getter.end()
        pending, final = getter.commands
        assert pending == answer(0xFF00, completed=1, remaining=1)
        assert final == answer(0, completed=2)
        await check_served(peer)


async def test_nothing_found_is_success_with_zeros() -> None:
    async with scripted_requestor(giving([]), contexts=QUERYING) as (_, peer):
        assert await Getter(peer).end() == (0, 0, 0, 0, None)


async def test_counters_of_every_kind() -> None:
    async with scripted_requestor(giving(objects(5, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await getter.take_objects(0x0000, 0xA700, 0xB000, 0xC000, 0x0000)
        await getter.end()
        assert getter.told == [
            (0xFF00, 1, 0, 0, 4),
            (0xFF00, 1, 1, 0, 3),
            (0xFF00, 1, 1, 1, 2),
            (0xFF00, 1, 2, 1, 1),
            (0xB000, 2, 2, 1, None),
        ]
        assert list(await getter.failed()) == [uid(1), uid(3)]


async def test_one_failure_is_a_list_of_one() -> None:
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await getter.take_objects(0xA700)
        assert await getter.end() == (0xA702, 0, 1, 0, None)
        assert await getter.failed() == uid(0)


async def test_without_failures_there_is_no_list() -> None:
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await getter.take_objects(0xB007)
        assert await getter.end() == (0xB000, 0, 0, 1, None)
        assert getter.final is not None
        assert not getter.final.has_data_set


async def test_responses_of_the_peer_to_what_it_was_not_asked() -> None:
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (association, peer):
        getter = Getter(peer)
        store = await getter.object()
        stray = response(store)
        stray.responding_to = 4711
        peer.say(stray, context_id=STORE_ID)
        getter.stored(store)
        assert await getter.end() == (0, 1, 0, 0, None)
        assert list(association.quirks) == ["responded to a request that is not outstanding"]


async def test_responses_without_uids() -> None:
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        store = await getter.object()
        peer.say(Command(CommandField.C_STORE_RSP, responding_to=store.message_id, status=0), context_id=STORE_ID)
        assert await getter.end() == (0, 1, 0, 0, None)


# how often the peer hears of it


async def test_pending_responses_come_at_a_pace(clock: Clock) -> None:
    async def retrieve(request: RetrieveRequest) -> Sequence[Instance]:
        return objects(6, 100)

    async with scripted_requestor(retrieving(retrieve, pace=4.0), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        for passed in (0, 3.5, 0.6, 0, 4.1):
            store = await getter.object()
            clock.offset += passed
            getter.stored(store)
        await getter.take_objects(0)
        await getter.end()
        assert getter.told == [(0xFF00, 3, 0, 0, 3), (0xFF00, 5, 0, 0, 1), (0, 6, 0, 0, None)]


async def test_a_long_sub_operation_has_a_heartbeat(clock: Clock) -> None:
    """So that a peer whose deadline is a response knows that there is progress."""
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        store = await getter.object()
        for _ in range(3):
            await clock.advance(HEARTBEAT + 0.1)
            assert await getter.pending() == (0xFF00, 0, 0, 0, 1)
        getter.stored(store)
        assert await getter.end() == (0, 1, 0, 0, None)


async def test_a_search_for_more_has_a_heartbeat_too(clock: Clock) -> None:
    go_on = asyncio.Event()

    async def retrieve(request: RetrieveRequest) -> AsyncIterator[Instance]:
        yield instance(100, uid(0))
        await go_on.wait()
        yield instance(100, uid(1))

    async with scripted_requestor(retrieving(retrieve), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await getter.take_objects(0)
        await settled()
        await clock.advance(HEARTBEAT + 0.1)
        assert await getter.pending() == (0xFF00, 1, 0, 0, 0)
        go_on.set()
        await getter.take_objects(0)
        assert await getter.end() == (0, 2, 0, 0, None)


async def test_a_heartbeat_that_finds_nobody(clock: Clock) -> None:
    async with scripted_requestor(giving(objects(2, 100)), contexts=QUERYING) as (association, peer):
        getter = Getter(peer)
        await getter.object()
        peer.release()
        await settled()
        await clock.advance(HEARTBEAT + 0.1)
        assert await getter.pending() == (0xFF00, 0, 0, 0, 2)
        peer.hang_up()
        await until(lambda: association.ended is not None)
        await clock.advance(HEARTBEAT + 0.1)


# cancelled


class Source:
    """A handler that gives objects one after the other, and notes how it ended."""

    def __init__(self, count: int = 10, size: int = 100) -> None:
        self.found = objects(count, size)
        self.ended: list[str] = []
        self.search = asyncio.Event()
        self.search.set()

    async def give_list(self, request: RetrieveRequest) -> Sequence[Instance]:
        await self.search.wait()
        return self.found

    async def generate(self, request: RetrieveRequest) -> AsyncIterator[Instance]:
        try:
            for each in self.found:
                await asyncio.sleep(0)
                yield each
        finally:
            self.ended.append(threading.current_thread().name)

    def generate_in_thread(self, request: RetrieveRequest) -> Iterator[Instance]:
        try:
            yield from self.found
        finally:
            self.ended.append(threading.current_thread().name)


async def test_a_cancel_stops_behind_the_object_that_is_on_its_way() -> None:
    async with scripted_requestor(giving(objects(10, 100)), contexts=QUERYING) as (association, peer):
        getter = Getter(peer)
        await getter.take_objects(0)
        store = await getter.object()
        getter.cancel()
        await settled()
        getter.stored(store)
        assert await getter.end() == (0xFE00, 2, 0, 0, 8)
        await check_served(peer)
        assert association.is_established


async def test_a_cancel_after_failures_lists_them() -> None:
    async with scripted_requestor(giving(objects(10, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await getter.take_objects(0xA700)
        store = await getter.object()
        getter.cancel()
        getter.stored(store)
        assert await getter.end() == (0xFE00, 1, 1, 0, 8)
        assert await getter.failed() == uid(0)


@pytest.mark.parametrize("kind", ["generate", "generate_in_thread"])
async def test_a_cancel_closes_the_generator_before_the_final_response(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomio.transfer.LOOK_AHEAD", 10)
    source = Source(1000)
    async with scripted_requestor(retrieving(getattr(source, kind)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        store = await getter.object()
        getter.cancel()
        getter.stored(store)
        assert (await getter.end())[:4] == (0xFE00, 1, 0, 0)
        (where,) = source.ended
        assert (where == "MainThread") is (kind == "generate")
        await check_served(peer)


async def test_a_cancel_during_the_search() -> None:
    """No sub-operation was begun: there is nothing to count."""
    source = Source()
    source.search.clear()
    async with scripted_requestor(retrieving(source.give_list), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await settled()
        getter.cancel()
        assert await getter.end() == (0xFE00, None, None, None, None)
        await check_served(peer)


async def test_a_cancel_right_behind_the_request() -> None:
    async with scripted_requestor(giving(objects(3, 100)), contexts=QUERYING) as (_, peer):
        request = peer.upper.message(GET_ID, get_rq(), STUDY_KEYS)
        peer.say_bytes(request + peer.upper.message(GET_ID, cancel_rq()))
        assert (await peer.hear_command()).status == 0xFE00
        await check_served(peer)


async def test_a_cancel_while_a_large_object_leaves() -> None:
    """There is no other way to stop in the middle of an object than to abort, so it arrives whole."""
    async with scripted_requestor(giving(objects(5, 8 * MEBIBYTE)), contexts=QUERYING) as (association, peer):
        getter = Getter(peer)
        store = await peer.hear_command()
        peer.protocol.pause_reading()
        await until(lambda: association.protocol.writing_paused)
        getter.cancel()
        await settled()
        peer.protocol.resume_reading()
        assert await peer.hear_data() == content(8 * MEBIBYTE)
        getter.stored(store)
        assert await getter.end() == (0xFE00, 1, 0, 0, 4)


async def test_a_cancel_that_comes_too_late() -> None:
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        await getter.take_objects(0)
        assert await getter.end() == (0, 1, 0, 0, None)
        getter.cancel()
        peer.say(cancel_rq(4711), context_id=GET_ID)
        await check_served(peer)


async def test_the_handler_and_middleware_see_what_was_done() -> None:
    app, seen = giving(objects(3, 100)), []

    @app.middleware
    async def watch(request: Any, call_next: Callable[[Any], Any]) -> Any:
        result = await call_next(request)
        if isinstance(request, RetrieveRequest):
            seen.append((request.progress, request.progress.total, request.cancelled))
        return result

    async with scripted_requestor(app, contexts=QUERYING) as (_, peer):
        getter = Getter(peer)
        store = await getter.object()
        getter.cancel()
        getter.stored(store)
        await getter.end()
    assert seen == [(Progress(completed=1, remaining=2), 3, True)]


# lost


@pytest.mark.parametrize("how", [ScriptedPeer.abort, ScriptedPeer.hang_up])
@pytest.mark.parametrize("kind", ["give_list", "generate", "generate_in_thread"])
@pytest.mark.parametrize("size", [100, 4 * MEBIBYTE])
async def test_a_lost_peer_ends_it(how: Callable[[ScriptedPeer], None], kind: str, size: int) -> None:
    before, source = held_buffers(), Source(10, size)
    async with scripted_requestor(retrieving(getattr(source, kind)), contexts=QUERYING) as (association, peer):
        Getter(peer)
        await peer.hear_command()
        how(peer)
        await until(lambda: association.ended is not None and not association.serving)
    assert len(source.ended) == (kind != "give_list")
    assert held_buffers() == before


async def test_a_peer_that_does_not_answer_an_object() -> None:
    """Its next request waits for its turn, and it may still end all of it."""
    async with scripted_requestor(giving(objects(2, 100)), contexts=QUERYING) as (association, peer):
        await Getter(peer).object()
        peer.say(echo_rq(99), context_id=ECHO_ID)
        await settled()
        assert peer.events.empty()
        peer.abort()
        await until(lambda: association.ended is not None)


async def test_a_release_in_the_middle_waits() -> None:
    """A peer that releases although it is being served gets what it asked for first, as far as it takes it."""
    async with scripted_requestor(giving(objects(1, 100)), contexts=QUERYING) as (association, peer):
        await Getter(peer).object()
        peer.release()
        await settled()
        assert association.state == "Sta8"
        peer.hang_up()
        await until(lambda: not association.serving)


# memory


async def test_objects_are_streamed_from_their_files(tmp_path: Path) -> None:
    """However large they are: what waits to leave is two batches."""
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.write(header())
        file.truncate(64 * MEBIBYTE)
    async with scripted_requestor(giving([path]), contexts=QUERYING) as (association, peer):
        peer.protocol.pause_reading()
        Getter(peer)
        await until(lambda: association.protocol.writing_paused)
        await settled(100)
        assert 0 < association.write_queue_size < 3 * MEBIBYTE


def header() -> bytes:
    """The file meta information of an object, without length."""
    head = bytes(128) + b"DICM"
    for tag, value in ((2, b"1.2.840.10008.5.1.4.1.1.2\0"), (3, b"1.2.3\0"), (0x10, b"1.2.840.10008.1.2.1\0")):
        head += b"\2\0" + tag.to_bytes(2, "little") + b"UI" + len(value).to_bytes(2, "little") + value
    return head


async def test_a_generator_is_asked_no_further_ahead_than_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler may find millions of objects."""
    monkeypatch.setattr("dicomio.transfer.LOOK_AHEAD", 100)
    given = [0]

    async def retrieve(request: RetrieveRequest) -> AsyncIterator[Instance]:
        while True:
            given[0] += 1
            yield instance(10, uid(given[0]))

    async with scripted_requestor(retrieving(retrieve), contexts=QUERYING) as (_, peer):
        await Getter(peer).object()
        await until(lambda: given[0] >= 100)
        await settled(100)
        assert given[0] < 110
        peer.abort()


async def test_limits_of_the_association_apply() -> None:
    async with scripted_requestor(giving([]), contexts=QUERYING, limits=Limits(data_set=16)) as (_, peer):
        assert (await Getter(peer).end())[0] == 0xA700
        await check_served(peer)

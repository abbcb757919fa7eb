"""Matches that are found at once leave at once; nobody waits for those that are not found yet (PS3.4 C.4.1)."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from pydicom.dataset import Dataset

from dicomio import FindRequest, Status
from dicomio.dimse import TOGETHER
from dicomio.protocol import UpperLayerProtocol
from dicomio.testing import connected
from dicomio.wire.commands import CommandField
from tests.association.peers import echo_rq, scripted_requestor, settled
from tests.association.querying import (
    ECHO_ID,
    FIND_ID,
    KEYS,
    QUERYING,
    WANTED,
    find_rq,
    finding,
    hear_identifier,
    numbers,
    study,
)

MANY = 500


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all messages, or several in one, that either side writes."""
    lengths: list[int] = []
    write = UpperLayerProtocol.write

    def counted(self: UpperLayerProtocol, data: bytes | memoryview) -> None:
        lengths.append(len(data))
        write(self, data)

    monkeypatch.setattr(UpperLayerProtocol, "write", counted)
    return lengths


async def test_matches_found_at_once_leave_in_few_writes(writes: list[int]) -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        for number in range(MANY):
            yield study(number)

    async with connected(finding(find), contexts=QUERYING) as association:
        assert numbers(await association.find(WANTED)) == list(range(MANY))
    assert len(writes) < MANY / 4
    assert max(writes) < TOGETHER + 1000


async def test_matches_from_a_thread_leave_in_few_writes(writes: list[int]) -> None:
    def find(request: FindRequest) -> Iterator[Dataset]:
        for number in range(MANY):
            yield study(number)

    async with connected(finding(find), contexts=QUERYING) as association:
        assert numbers(await association.find(WANTED)) == list(range(MANY))
    assert len(writes) < MANY / 4


async def test_a_match_leaves_before_the_next_one_is_found() -> None:
    found = asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(1)
        await found.wait()
        yield study(2)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.hear_command()
        assert await hear_identifier(peer) == study(1)
        found.set()
        await peer.hear_command()
        assert await hear_identifier(peer) == study(2)
        assert (await peer.hear_command()).status == Status.SUCCESS


async def test_other_messages_of_the_same_turn_keep_their_place() -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(1)
        request.association.post(ECHO_ID, echo_rq(9))
        yield study(2)

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        fields = [(await peer.hear_command()).field for _ in range(4)]
    match = CommandField.C_FIND_RSP
    assert fields == [match, CommandField.C_ECHO_RQ, match, match]


async def test_matches_leave_before_the_association_is_aborted() -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield study(1)
        request.association.abort()

    async with scripted_requestor(finding(find), contexts=QUERYING) as (_, peer):
        peer.say(find_rq(), KEYS, FIND_ID)
        await peer.hear_command()
        assert await hear_identifier(peer) == study(1)
        await peer.gone.wait()
        await settled()
        assert peer.heard_abort

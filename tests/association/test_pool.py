"""Which association serves a request: the decision by itself, and the pool that carries it out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest

from dicomio import (
    Application,
    Association,
    AssociationAborted,
    ConnectFailed,
    Limits,
    LocalProtocolError,
    PoolTimeout,
    StoreRequest,
    Timeout,
    sop,
)
from dicomio.config import PresentationContext
from dicomio.pool import MOST_CONTEXTS, Lease, Open, Pool, Slot, Use, Wait, assign
from tests.association.peers import CT, VERIFICATION, MemoryClient, instance, settled, started, storing, until

MR = PresentationContext(sop.MRImageStorage, (sop.ExplicitVRLittleEndian,))
CONTEXTS = {"E": VERIFICATION, "C": CT, "M": MR}


def contexts(letters: str) -> frozenset[PresentationContext]:
    return frozenset(CONTEXTS[letter] for letter in letters)


def slot(letters: str) -> Slot:
    """A slot with these contexts; a trailing `!` says that it is in use."""
    return Slot(contexts(letters.rstrip("!")), busy=letters.endswith("!"))


@pytest.mark.parametrize(
    "slots, wanted, limit, decision",
    [
        # nothing there
        ("", "E", 1, "open"),
        ("", "", 1, "open"),
        # an idle one that has what is wanted, the first of them
        ("E", "E", 1, "use 0"),
        ("EC", "C", 1, "use 0"),
        ("C EC E", "E", 3, "use 1"),
        ("E E", "E", 2, "use 0"),
        ("E! E", "E", 2, "use 1"),
        ("E", "", 1, "use 0"),
        # in use, or without what is wanted, with room for another
        ("E!", "E", 2, "open"),
        ("C", "E", 2, "open"),
        ("C", "CE", 2, "open"),
        ("C! M", "E", 3, "open"),
        # no room: an idle one gives way, the first of them
        ("C", "E", 1, "open instead of 0"),
        ("C! M", "E", 2, "open instead of 1"),
        ("C M", "E", 2, "open instead of 0"),
        ("C", "CE", 1, "open instead of 0"),
        # all in use
        ("E!", "E", 1, "wait"),
        ("E! C!", "E", 2, "wait"),
        ("E! C! M!", "M", 2, "wait"),
    ],
)
def test_assign(slots: str, wanted: str, limit: int, decision: str) -> None:
    there = [slot(letters) for letters in slots.split()]
    before = [(each.busy, each.proposed) for each in there]
    match assign(there, contexts(wanted), limit):
        case Use(chosen):
            found = f"use {there.index(chosen)}"
        case Open(None):
            found = "open"
        case Open(given_up):
            found = f"open instead of {there.index(cast('Slot', given_up))}"
        case Wait():
            found = "wait"
    assert found == decision
    assert [(each.busy, each.proposed) for each in there] == before


class FakeAssociation:
    """As much of an association as a pool needs."""

    def __init__(self, wanted: Sequence[PresentationContext]) -> None:
        self.contexts = frozenset(wanted)
        self.is_established = True
        self.ending = "not at all"
        self.may_release = asyncio.Event()
        self.may_release.set()

    async def release(self) -> None:
        await self.may_release.wait()
        self.is_established = False
        self.ending = "released"

    def abort(self, *, detail: str = "") -> None:
        self.is_established = False
        self.ending = "aborted"

    async def wait_closed(self) -> None: ...


class FakePool(Pool):
    """A pool of such associations.

    Attributes:
        opened: every one so far.
        gate: opening waits for it.
    """

    def __init__(self, limit: int = 1, keepalive: float | None = None, timeout: float | None = None) -> None:
        self.opened: list[FakeAssociation] = []
        self.gate = asyncio.Event()
        self.gate.set()
        opener = cast("Callable[[Sequence[PresentationContext]], Awaitable[Association]]", self.open)
        super().__init__(opener, limit, keepalive, timeout)

    async def open(self, wanted: Sequence[PresentationContext]) -> FakeAssociation:
        await self.gate.wait()
        association = FakeAssociation(wanted)
        self.opened.append(association)
        return association


async def test_an_association_is_used_again() -> None:
    pool = FakePool()
    for _ in range(3):
        async with Lease(pool, [VERIFICATION]):
            assert pool.slots[0].busy
    assert len(pool.opened) == 1
    await pool.aclose()
    assert pool.opened[0].ending == "released"


async def test_what_was_wanted_before_is_proposed_again() -> None:
    """So that two kinds of requests in turn do not mean an association each."""
    pool = FakePool()
    for letter in "ECECEC":
        async with Lease(pool, contexts(letter)):
            pass
    assert [association.contexts for association in pool.opened] == [contexts("E"), contexts("EC")]
    await settled()
    assert pool.opened[0].ending == "released"
    await pool.aclose()


async def test_no_more_contexts_than_an_association_has_room_for() -> None:
    pool = FakePool()
    many = [PresentationContext(f"1.2.{number}") for number in range(MOST_CONTEXTS + 40)]
    for start in range(0, len(many), 30):
        async with Lease(pool, many[start : start + 30]) as association:
            assert len(cast("FakeAssociation", association).contexts) <= MOST_CONTEXTS
            assert set(many[start : start + 30]) <= set(cast("FakeAssociation", association).contexts)
    assert len(pool.known) <= MOST_CONTEXTS
    await pool.aclose()


async def test_unused_associations_are_released_after_a_while() -> None:
    pool = FakePool(keepalive=0.01)
    async with Lease(pool, [VERIFICATION]):
        pass
    await until(lambda: not pool.slots)
    await settled()
    assert pool.opened[0].ending == "released"
    async with Lease(pool, [VERIFICATION]):
        pass
    assert len(pool.opened) == 2
    await pool.aclose()


async def test_using_an_association_stops_its_release() -> None:
    pool = FakePool(keepalive=0.01)
    for _ in range(2):
        async with Lease(pool, [VERIFICATION]):
            done = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.03, done.set_result, None)
            await done
    assert len(pool.opened) == 1
    assert pool.opened[0].ending == "not at all"
    await pool.aclose()


async def test_waiting_is_first_come_first_served() -> None:
    pool, order = FakePool(), []

    async def use(name: int) -> None:
        async with Lease(pool, [VERIFICATION]):
            order.append(name)
            await asyncio.sleep(0)

    users = [started(use(name)) for name in range(8)]
    await asyncio.gather(*users)
    assert order == list(range(8))
    await pool.aclose()


async def test_whoever_gives_back_and_takes_again_stands_in_line() -> None:
    """Without a turn of the loop between giving and taking, the one who waits would wait for ever."""
    pool, order = FakePool(), []

    async def greedy() -> None:
        for _ in range(5):
            async with Lease(pool, [VERIFICATION]):
                order.append("greedy")
                await asyncio.sleep(0)

    async def modest() -> None:
        async with Lease(pool, [VERIFICATION]):
            order.append("modest")

    await asyncio.gather(greedy(), modest())
    assert order == ["greedy", "modest", "greedy", "greedy", "greedy", "greedy"]
    await pool.aclose()


async def test_several_become_free_at_once() -> None:
    pool = FakePool(limit=3)
    slots = [await pool.take([VERIFICATION]) for _ in range(3)]
    waiting = [started(pool.take([VERIFICATION])) for _ in range(4)]
    await settled()
    for each in slots:
        pool.give(each)
    late = started(pool.take([VERIFICATION]))
    await settled()
    assert [task.done() for task in [*waiting, late]] == [True, True, True, False, False]
    pool.give(waiting[0].result())
    await settled()
    assert waiting[3].done()
    pool.give(waiting[1].result())
    await settled()
    assert late.done()
    for task in (*waiting[2:], late):
        pool.give(task.result())
    await pool.aclose()


async def test_a_waiter_that_is_cancelled_passes_its_turn_on() -> None:
    pool = FakePool()
    taken = await pool.take([VERIFICATION])
    first, second = started(pool.take([VERIFICATION])), started(pool.take([VERIFICATION]))
    await settled()
    pool.give(taken)
    first.cancel()
    assert await second is taken
    pool.give(taken)
    await pool.aclose()
    assert first.cancelled()


async def test_pool_timeout_takes_the_waiter_out_of_the_line() -> None:
    pool = FakePool(timeout=0.01)
    taken = await pool.take([VERIFICATION])
    with pytest.raises(PoolTimeout, match=r"no association became free within 0\.01 s"):
        await pool.take([VERIFICATION])
    assert pool.waiters == []
    pool.give(taken)
    assert await pool.take([VERIFICATION]) is taken
    pool.give(taken)
    await pool.aclose()


async def test_the_deadline_is_for_waiting_not_for_opening() -> None:
    pool = FakePool(timeout=0.0)
    pool.gate.clear()
    taking = started(pool.take([VERIFICATION]))
    await settled()
    assert not taking.done()
    pool.gate.set()
    pool.give(await taking)
    await pool.aclose()


async def test_dead_associations_are_dropped() -> None:
    pool = FakePool()
    async with Lease(pool, [VERIFICATION]):
        pass
    pool.opened[0].is_established = False
    async with Lease(pool, [VERIFICATION]):
        assert len(pool.opened) == 2
    await pool.aclose()


async def test_an_association_that_dies_in_use_is_dropped() -> None:
    pool = FakePool()
    waiting = None
    async with Lease(pool, [VERIFICATION]):
        waiting = started(pool.take([VERIFICATION]))
        await settled()
        pool.opened[0].is_established = False
    pool.give(await waiting)
    assert len(pool.opened) == 2
    await pool.aclose()


async def test_another_is_opened_only_when_the_one_it_replaces_is_released() -> None:
    """A peer that admits one association at a time would reject the second."""
    pool = FakePool()
    async with Lease(pool, [VERIFICATION]):
        pool.opened[0].may_release.clear()
    taking = started(pool.take([CT]))
    await settled()
    assert len(pool.opened) == 1
    pool.opened[0].may_release.set()
    pool.give(await taking)
    assert pool.opened[0].ending == "released"
    assert len(pool.opened) == 2
    await pool.aclose()


async def test_failing_to_open_lets_the_next_one_try() -> None:
    pool = FakePool()

    async def fail(wanted: Sequence[PresentationContext]) -> Association:
        await asyncio.sleep(0)
        raise ConnectFailed("no")

    working, pool.opener = pool.opener, fail
    first, second = started(pool.take([VERIFICATION])), started(pool.take([VERIFICATION]))
    with pytest.raises(ConnectFailed):
        await first
    with pytest.raises(ConnectFailed):
        await second
    assert pool.slots == []
    pool.opener = working
    pool.give(await pool.take([VERIFICATION]))
    await pool.aclose()


async def test_cancelled_while_opening() -> None:
    pool = FakePool()
    pool.gate.clear()
    first = started(pool.take([VERIFICATION]))
    await settled()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert pool.slots == []
    pool.gate.set()
    pool.give(await pool.take([VERIFICATION]))
    await pool.aclose()


async def test_a_closed_pool_gives_nothing() -> None:
    pool = FakePool()
    taken = await pool.take([VERIFICATION])
    waiting = [started(pool.take([VERIFICATION])) for _ in range(3)]
    await settled()
    await pool.aclose()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, LocalProtocolError)
    with pytest.raises(LocalProtocolError, match="the client is closed"):
        await pool.take([VERIFICATION])
    pool.give(taken)
    assert pool.opened[0].ending == "released"


async def test_closing_aborts_where_told_to() -> None:
    pool = FakePool(limit=2)
    await pool.take([VERIFICATION])
    pool.give(await pool.take([VERIFICATION]))
    await pool.aclose(abort=True)
    assert [association.ending for association in pool.opened] == ["aborted", "aborted"]


async def test_an_association_that_is_open_only_after_the_pool_was_closed_is_not_kept() -> None:
    pool = FakePool()
    pool.gate.clear()
    taking = started(pool.take([VERIFICATION]))
    await settled()
    await pool.aclose()
    pool.gate.set()
    with pytest.raises(LocalProtocolError, match="the client is closed"):
        await taking
    await settled()
    assert pool.opened[0].ending == "released"
    assert pool.slots == []


async def test_a_client_keeps_one_association_unless_told_otherwise() -> None:
    async with MemoryClient(Application("APP")) as client:
        await asyncio.gather(*(client.echo() for _ in range(5)))
        assert len(client.opened) == 1


async def test_a_client_opens_as_many_as_it_may() -> None:
    arrived, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def store(request: StoreRequest) -> None:
        arrived.release()
        await go_on.wait()

    async with MemoryClient(storing(store), limits=Limits(associations=3)) as client:
        stores = [started(client.store(instance())) for _ in range(5)]
        for _ in range(3):
            await arrived.acquire()
        await settled()
        assert len(client.opened) == 3
        go_on.set()
        assert [response.status for response in await asyncio.gather(*stores)] == [0] * 5
        assert len(client.opened) == 3


async def test_leaving_a_client_by_an_exception_aborts() -> None:
    client = MemoryClient(Application("APP"), timeout=Timeout(5))

    async def leave_by_an_exception() -> None:
        async with client:
            await client.echo()
            raise KeyError

    with pytest.raises(KeyError):
        await leave_by_an_exception()
    assert isinstance(client.opened[0].ended, AssociationAborted)

"""`Client.store_many`: outcomes, totals, plans, retries, parallel associations, and leaving early."""

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    Application,
    AssociationAborted,
    AssociationRejected,
    ConnectFailed,
    InvalidInstance,
    Limits,
    NoPresentationContext,
    Proposal,
    Refused,
    Status,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.datasets import Instance
from dicomio.pool import MOST_CONTEXTS
from dicomio.services.storage import Source
from dicomio.transfer import GLANCE, UNREAD, Plan
from tests.association.peers import (
    INSTANCE_UID,
    MEBIBYTE,
    SAMPLES,
    MemoryClient,
    instance,
    settled,
    started,
    storing,
    until,
)


class Archive:
    """An application that counts what it is sent.

    Attributes:
        stored: SOP Instance UIDs in the order of arrival.
        app: the application.
    """

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.app = storing(self.store)

    async def store(self, request: StoreRequest) -> None:
        await request.read()
        self.stored.append(request.sop_instance_uid)


def numbered(count: int, size: int = 500) -> list[Instance]:
    return [instance(size, f"{INSTANCE_UID}.{number}") for number in range(count)]


async def test_outcomes_of_files_and_what_is_none() -> None:
    archive = Archive()
    paths = [SAMPLES / "CT_small.dcm", SAMPLES / "README.txt", SAMPLES, SAMPLES / "MR_small.dcm", SAMPLES / "missing"]
    async with MemoryClient(archive.app) as client, client.store_many(paths) as outcomes:
        found = {outcome.path: outcome async for outcome in outcomes}
    assert set(found) == set(paths) - {SAMPLES}
    assert found[SAMPLES / "CT_small.dcm"].error is None
    assert found[SAMPLES / "CT_small.dcm"].status == Status.SUCCESS
    assert str(found[SAMPLES / "CT_small.dcm"]).endswith("CT_small.dcm: 0x0000 Success")
    assert isinstance(found[SAMPLES / "README.txt"].error, InvalidInstance)
    assert found[SAMPLES / "README.txt"].status is None
    assert isinstance(found[SAMPLES / "missing"].error, FileNotFoundError)
    assert "failed: " in str(found[SAMPLES / "missing"])
    assert (outcomes.done, outcomes.total, len(outcomes.failures)) == (4, 4, 2)
    assert len(archive.stored) == 2


async def test_every_kind_of_source() -> None:
    archive = Archive()
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop.CTImageStorage, "1.2.3"
    sources: list[Source] = [str(SAMPLES / "CT_small.dcm"), SAMPLES / "MR_small.dcm", ds, instance(), Dataset()]
    async with MemoryClient(archive.app) as client, client.store_many(sources) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert len(archive.stored) == 4
    (failure,) = outcomes.failures
    assert failure.source is sources[-1]
    assert failure.name == "Dataset"
    assert {outcome.name for outcome in found} >= {INSTANCE_UID, "1.2.3", str(SAMPLES / "CT_small.dcm")}


async def test_awaiting_sends_all_of_them() -> None:
    archive = Archive()
    async with MemoryClient(archive.app) as client:
        outcomes = client.store_many(numbered(2 * UNREAD + 5))
        await outcomes
    assert archive.stored == [each.sop_instance_uid for each in numbered(2 * UNREAD + 5)]
    assert (outcomes.done, outcomes.total, outcomes.failures) == (2 * UNREAD + 5, 2 * UNREAD + 5, [])


@pytest.mark.parametrize("count", [0, 1])
async def test_few_objects_need_few_associations(count: int) -> None:
    archive = Archive()
    async with MemoryClient(archive.app, limits=Limits(associations=4)) as client:
        await client.store_many(numbered(count))
        assert len(client.opened) == count
    assert len(archive.stored) == count


async def test_a_failure_status_is_an_outcome() -> None:
    async def store(request: StoreRequest) -> Status:
        if request.sop_instance_uid.endswith(".1"):
            raise Refused(Status.OUT_OF_RESOURCES, "full")
        return Status.COERCION_OF_DATA_ELEMENTS

    async with MemoryClient(storing(store)) as client, client.store_many(numbered(3)) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert [outcome.status for outcome in found] == [0xB000, 0xA700, 0xB000]
    assert [type(outcome.error) for outcome in found] == [type(None), StatusError, type(None)]
    assert "full" in str(found[1])


async def test_more_sop_classes_than_contexts_of_one_association() -> None:
    """Each takes two contexts, its transfer syntax and what it could be converted to."""
    archive = Archive()
    classes = [f"1.2.840.99.{number}" for number in range(MOST_CONTEXTS)]
    sources = [instance(100, f"{INSTANCE_UID}.{number}", uid) for number, uid in enumerate(classes)]
    async with MemoryClient(archive.app) as client:
        await client.store_many(sources + sources[:5])
        for association in client.opened:
            assert association.agreement is not None
            assert len(association.agreement.contexts) + len(association.agreement.refused) <= MOST_CONTEXTS
        assert len(client.opened) <= 5
    assert sorted(archive.stored) == sorted(each.sop_instance_uid for each in sources + sources[:5])


def test_a_plan_keeps_what_fits_one_association_together() -> None:
    plan = Plan()
    for number in range(MOST_CONTEXTS):
        plan.add("", instance(1, "1.2", f"1.2.840.99.{number % 100}"))
    assert [len(group.contexts) for group in plan.groups] == [128, 72]
    assert plan.waiting == MOST_CONTEXTS
    largest = plan.largest()
    assert largest is plan.groups[0]
    assert largest is not None
    item = largest.items.popleft()
    plan.retry(item)
    assert largest.items[0] is item


async def test_an_object_is_sent_again_when_its_association_is_lost() -> None:
    archive, losses = Archive(), [3]

    @archive.app.middleware
    async def lose(request, call_next):  # type: ignore[no-untyped-def]
        if losses and len(archive.stored) == losses[0]:
            losses.pop()
            request.association.protocol.kill()
            return None
        return await call_next(request)

    async with MemoryClient(archive.app) as client, client.store_many(numbered(10)) as outcomes:
        assert [outcome.error async for outcome in outcomes] == [None] * 10
        assert len(client.opened) == 2
    assert archive.stored == [each.sop_instance_uid for each in numbered(10)]


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_an_object_that_kills_every_association_fails_alone(retries: int) -> None:
    archive = Archive()

    @archive.app.middleware
    async def lose(request, call_next):  # type: ignore[no-untyped-def]
        if request.sop_instance_uid.endswith(".2"):
            request.association.abort()
            return None
        return await call_next(request)

    async with MemoryClient(archive.app) as client:
        outcomes = client.store_many(numbered(5), retries=retries)
        await outcomes
        assert len(client.opened) == retries + 2
    (failure,) = outcomes.failures
    assert isinstance(failure.error, AssociationAborted)
    assert failure.status is None
    assert sorted(archive.stored) == [each.sop_instance_uid for each in numbered(5) if each.sop_instance_uid[-1] != "2"]


async def test_a_peer_that_takes_none_of_it() -> None:
    app = Application("APP")
    app.store(sop.MRImageStorage)(lambda request: None)
    async with MemoryClient(app) as client:
        outcomes = client.store_many(numbered(3))
        await outcomes
    assert [type(outcome.error) for outcome in outcomes.failures] == [NoPresentationContext] * 3


async def test_no_association_can_be_opened() -> None:
    app = Application("APP")

    @app.on_associate
    async def reject(proposal: Proposal) -> None:
        raise AssociationRejected(1, 1, 3)

    async with MemoryClient(app, limits=Limits(associations=3)) as client:
        with pytest.raises(AssociationRejected, match="calling AE title not recognized"):
            await client.store_many(numbered(100))
        with pytest.raises(AssociationRejected):
            async for _ in client.store_many(numbered(3)):
                pass


async def test_a_peer_that_admits_fewer_associations_than_we_would_use() -> None:
    """What it admits is used; the rest is not worth failing for."""
    archive = Archive()

    @archive.app.on_associate
    async def admit_two(proposal: Proposal) -> None:
        if len([each for each in client.server.associations if each.is_established]) >= 2:
            raise AssociationRejected(2, 3, 2)

    async with MemoryClient(archive.app, limits=Limits(associations=4)) as client:
        outcomes = client.store_many(numbered(300))
        await outcomes
        assert len(client.opened) == 2
    assert outcomes.failures == []
    assert len(archive.stored) == 300


async def test_nobody_is_there() -> None:
    from dicomio import Client

    async with Client("PEER@127.0.0.1:1", timeout=2) as client:
        with pytest.raises(ConnectFailed):
            await client.store_many(numbered(1))


async def test_a_generator_is_consumed_as_sending_proceeds() -> None:
    archive, threads = Archive(), set()
    produced = []

    def produce() -> Iterator[Instance]:
        for each in numbered(GLANCE * 4):
            threads.add(threading.current_thread())
            produced.append(each)
            yield each

    async with MemoryClient(archive.app) as client, client.store_many(produce()) as outcomes:
        total = outcomes.total
        assert len([outcome async for outcome in outcomes]) == GLANCE * 4
    assert total is None
    assert outcomes.total == len(archive.stored) == GLANCE * 4
    assert threading.main_thread() not in threads


async def test_a_generator_that_fails_ends_the_transfer() -> None:
    def produce() -> Iterator[Instance]:
        yield instance()
        raise ZeroDivisionError

    async with MemoryClient(Archive().app) as client:
        with pytest.raises(ZeroDivisionError):
            await client.store_many(produce())
        assert await client.echo() >= 0


async def test_async_iterables() -> None:
    archive = Archive()

    async def produce() -> AsyncIterator[Instance]:
        for each in numbered(5):
            await asyncio.sleep(0)
            yield each

    async with MemoryClient(archive.app) as client:
        outcomes = client.store_many(produce())
        await outcomes
    assert archive.stored == [each.sop_instance_uid for each in numbered(5)]
    assert outcomes.total == 5


async def test_passing_on_while_receiving() -> None:
    """A `StoreRequest` is a source too; it is not sent again, since what was read of it is gone."""
    archive = Archive()
    async with MemoryClient(archive.app) as inner:

        async def forward(request: StoreRequest) -> None:
            (outcome,) = [outcome async for outcome in inner.store_many([request])]
            if outcome.error is not None:
                raise outcome.error

        async with MemoryClient(storing(forward)) as outer:
            await outer.store(instance(3 * MEBIBYTE))
    assert archive.stored == [INSTANCE_UID]


async def test_parallel_associations() -> None:
    here, everybody = [], asyncio.Event()

    async def store(request: StoreRequest) -> None:
        await request.read()
        here.append(request.association)
        if len(here) >= 3:
            everybody.set()
        await everybody.wait()

    async with MemoryClient(storing(store), limits=Limits(associations=3)) as client:
        await client.store_many(numbered(30))
        assert len(client.opened) == 3
    assert len(set(here)) == 3
    assert len(here) == 30


@pytest.mark.parametrize("associations", [1, 3])
async def test_leaving_early_stops_the_transfer(associations: int) -> None:
    archive = Archive()
    async with MemoryClient(archive.app, limits=Limits(associations=associations)) as client:
        async with client.store_many(numbered(2000)) as outcomes:
            async for outcome in outcomes:
                assert outcome.error is None
                if outcomes.received == 3:
                    break
        stored = len(archive.stored)
        assert 3 <= stored <= UNREAD + 10
        assert await client.echo() >= 0
        assert len(archive.stored) <= stored + associations


async def test_a_consumer_that_does_not_read_stops_the_sending() -> None:
    archive = Archive()
    async with MemoryClient(archive.app) as client, client.store_many(numbered(500)) as outcomes:
        assert (await anext(aiter(outcomes))).error is None
        await until(lambda: len(archive.stored) > UNREAD)
        assert await started(rest_of(archive)) <= UNREAD + 3


async def rest_of(archive: Archive) -> int:
    """How much has been stored when nothing happens any more."""
    before = -1
    while before != len(archive.stored):
        before = len(archive.stored)
        for _ in range(300):
            await asyncio.sleep(0)
    return before


async def test_a_file_that_becomes_shorter_while_it_is_sent(tmp_path: Path) -> None:
    """The association has to be aborted in the middle of the message; the other objects go over another one."""
    archive = Archive()
    path = tmp_path / "shrinking.dcm"
    path.write_bytes((SAMPLES / "CT_small.dcm").read_bytes() + bytes(3 * MEBIBYTE))
    # Without its stamp it is not known to have changed before it is sent.
    whole = dataclasses.replace(await asyncio.to_thread(Instance.open, path), stamp=None)
    path.write_bytes(path.read_bytes()[: MEBIBYTE + MEBIBYTE // 2])
    async with MemoryClient(archive.app) as client:
        outcomes = client.store_many([whole, *numbered(2)])
        await outcomes
    (failure,) = outcomes.failures
    assert isinstance(failure.error, InvalidInstance)
    assert "has become shorter" in str(failure.error)
    assert len(archive.stored) == 2


async def test_no_association_can_be_opened_any_more() -> None:
    """Nothing may get lost without a word: neither an outcome nor an exception."""
    archive = Archive()

    @archive.app.on_associate
    async def admit_one(proposal: Proposal) -> None:
        if len(client.opened):
            raise AssociationRejected(1, 1, 1)

    @archive.app.middleware
    async def lose(request, call_next):  # type: ignore[no-untyped-def]
        # By then the other workers have found that there is nothing left to do.
        await until(lambda: outcomes.total is not None)
        await settled()
        request.association.abort()

    async with MemoryClient(archive.app, limits=Limits(associations=3)) as client:
        outcomes = client.store_many(numbered(1))
        with pytest.raises(AssociationRejected):
            await outcomes

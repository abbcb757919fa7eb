"""Peers that refuse, abort, release, fall silent or die: each ends in the exception that names it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from dicomio import (
    Address,
    Application,
    Association,
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    Client,
    ConnectFailed,
    ConnectionLost,
    NoPresentationContext,
    PresentationContext,
    ResponseTimeout,
    Status,
    Timeout,
    connect,
)
from tests.interop.ours import HOST, address_of
from tests.interop.peers import RunningScp, scp_kinds, scps
from tests.interop.processes import RUN_PYNETDICOM, free_port, require, running
from tests.interop.samples import Sample, by_instance, data_set_bytes, takeable

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]


def context_of(sample: Sample) -> PresentationContext:
    return PresentationContext(sample.sop_class_uid, (sample.transfer_syntax_uid,))


async def test_peer_refuses_the_association(samples: Samples, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=["--refuse"])
    async with Client(address_of(scp)) as client:
        with pytest.raises(AssociationRejected, match=r"no reason given \(result 1, source 1 service user, reason 1\)"):
            await client.store(samples["explicit"].path)
        with pytest.raises(AssociationRejected):
            await client.store_many(sample.path for sample in samples.values())


async def test_dcmrecv_that_supports_no_storage_refuses_the_association(samples: Samples, tmp_path: Path) -> None:
    require("dcmtk")
    port = free_port()
    with running(["dcmrecv", "-v", str(port)], [port], tmp_path / "scp.log", tmp_path):
        async with Client(Address("DCMRECV", HOST, port)) as client:
            with pytest.raises(AssociationRejected, match="no reason given"):
                await client.store(samples["explicit"].path)
            assert await client.echo() > 0


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
async def test_peer_aborts(option: str, samples: Samples, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=[option])
    async with connect(address_of(scp), contexts=[context_of(samples["large"])]) as association:
        with pytest.raises(AssociationAborted, match="aborted: by its user") as caught:
            await association.store(samples["large"].path)
        assert (caught.value.source, caught.value.local) == (0, False)
        with pytest.raises(AssociationAborted):
            await association.store(samples["large"].path)


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
async def test_peer_aborts_every_time(option: str, samples: Samples, start_scp: StartScp) -> None:
    """Each object is tried once more, on an association of its own, before it is given up."""
    names = ["explicit", "large", "utf-8"]
    scp = await asyncio.to_thread(start_scp, "storescp", options=[option])
    async with Client(address_of(scp)) as client:
        outcomes = [outcome async for outcome in client.store_many(samples[name].path for name in names)]
    assert [type(outcome.error) for outcome in outcomes] == [AssociationAborted] * 3
    assert scp.log().count("Association Received") == 6


async def test_peer_does_not_know_a_sop_class(samples: Samples, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=["+B"])
    sent = [samples["private-sop-class"], samples["explicit"]]
    async with Client(address_of(scp)) as client:
        with pytest.raises(NoPresentationContext, match="the peer does not support the SOP class"):
            await client.store(sent[0].path)
        outcomes = [outcome async for outcome in client.store_many(sample.path for sample in sent)]
    assert [(type(outcome.error), outcome.status) for outcome in outcomes] == [
        (NoPresentationContext, None),
        (type(None), Status.SUCCESS),
    ]
    assert list(by_instance(scp.received())) == [samples["explicit"].sop_instance_uid]


async def test_peer_dies_while_we_wait_for_its_response(samples: Samples, tmp_path: Path) -> None:
    with scps["storescp"](tmp_path / "scp", options=["--sleep-during", "60"]) as scp:
        association = await connect(address_of(scp), contexts=[context_of(samples["large"])])
        storing = association.store(samples["large"].path)
        async for progress in storing:
            if progress.bytes == progress.total:
                break
    with pytest.raises(ConnectionLost):
        await storing
    await association.wait_closed()
    assert isinstance(association.ended, ConnectionLost)
    with pytest.raises(ConnectFailed, match=r"refused|failed"):
        await connect(address_of(scp), contexts=[context_of(samples["large"])])


async def test_peer_takes_too_long(samples: Samples, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=["--sleep-during", "60"])
    async with asyncio.timeout(5):
        # Nor is the end of the connection waited for, which the peer does not close either.
        async with Client(address_of(scp), timeout=Timeout(response=0.2)) as client:
            with pytest.raises(ResponseTimeout, match=r"no response within 0\.2 s"):
                await client.store(samples["explicit"].path)


class Ends:
    """The ends of a client's associations, as they come."""

    def __init__(self) -> None:
        self.app = Application("DICOMIO")
        self.queue: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.app.on_close(self.note)

    async def note(self, association: Association) -> None:
        self.queue.put_nowait(association.ended)

    async def next(self) -> Exception | None:
        return await asyncio.wait_for(self.queue.get(), 10)


async def test_peer_aborts_an_association_that_is_not_used(samples: Samples, start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "pynetdicom", options=["--network-timeout", "1"])
    ends = Ends()
    async with Client(address_of(scp), app=ends.app) as client:
        await client.store(samples["explicit"].path)
        assert isinstance(await ends.next(), AssociationAborted)
        await client.store(samples["utf-8"].path)
    assert len(scp.received()) == 2


@pytest.fixture
def releasing_scp(tmp_path: Path) -> Iterator[tuple[Address, Path]]:
    """The address of a server that releases each association after one object, and where it stores data sets."""
    require("pynetdicom")
    port, inbox = free_port(), tmp_path / "inbox"
    inbox.mkdir()
    argv: list[str | Path] = [*RUN_PYNETDICOM, Path(__file__).parent / "releasing_scp.py", str(port), inbox]
    with running(argv, [port], tmp_path / "scp.log", inbox):
        yield Address("RELEASING", HOST, port), inbox


def stored(inbox: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in inbox.iterdir()}


async def test_peer_releases_between_two_objects(samples: Samples, releasing_scp: tuple[Address, Path]) -> None:
    address, inbox = releasing_scp
    sent = [samples["explicit"], samples["utf-8"], samples["large"]]
    ends = Ends()

    async def one_after_the_other() -> AsyncIterator[Path]:
        for sample in sent:
            yield sample.path
            reason = await ends.next()
            assert isinstance(reason, AssociationReleased)
            assert str(reason).startswith("RELEASING@")

    async with Client(address, app=ends.app) as client:
        outcomes = [outcome async for outcome in client.store_many(one_after_the_other(), retries=0)]
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert stored(inbox) == {sample.sop_instance_uid: data_set_bytes(sample.path) for sample in sent}


async def test_peer_releases_while_we_send(samples: Samples, releasing_scp: tuple[Address, Path]) -> None:
    """Whatever was on its way when the association went is sent again, over the next one."""
    address, inbox = releasing_scp
    sent = takeable(samples.values(), scp_kinds["storescp"])
    # pynetdicom does not get over a release that both sides ask for at once.
    async with Client(address, timeout=Timeout(release=0.2)) as client:
        outcomes = [outcome async for outcome in client.store_many(sample.path for sample in sent)]
    assert [outcome.error for outcome in outcomes] == [None] * len(sent)
    assert stored(inbox) == {sample.sop_instance_uid: data_set_bytes(sample.path) for sample in sent}

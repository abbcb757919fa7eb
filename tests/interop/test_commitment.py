"""Storage commitment with every peer that has it, in both roles and on both routes of the report."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dicomio import Address, Application, Client, CommitmentProvider, Status, StorageCommitment, connect, serve
from dicomio.sop import CTImageStorage, MRImageStorage
from dicomio.sop import StorageCommitmentPushModel as Push
from tests.interop.orthanc import orthanc
from tests.interop.ours import HOST
from tests.interop.processes import DCMJS_DIRECTORY, RUN_PYNETDICOM, free_port, require, run, running, wait_for
from tests.interop.samples import Sample

pytestmark = pytest.mark.interop

T = TypeVar("T")

KEPT = [(CTImageStorage, "1.2.826.0.1.3680043.9.3811.1"), (MRImageStorage, "1.2.826.0.1.3680043.9.3811.2")]
MISSING = (CTImageStorage, "1.2.826.0.1.3680043.9.3811.3")
PATIENCE = 30.0

# What runs a script that takes the same arguments in either role.
SCRIPTS: Mapping[str, Sequence[str | Path]] = {
    "pynetdicom": [*RUN_PYNETDICOM, Path(__file__).parent / "pynetdicom_commitment.py"],
    "dcmjs": ["node", DCMJS_DIRECTORY / "commitment.mjs"],
}
TITLES = {"pynetdicom": "PYNETDICOM", "dcmjs": "DCMJS", "orthanc": "ORTHANC"}
ROUTES = ("same", "new")


def heard(output: str) -> Any:
    """The line of JSON in what a script has written."""
    return next(json.loads(line) for line in reversed(output.splitlines()) if line.startswith('{"'))


# ---- we ask ----


@dataclass
class CommitmentScp:
    """A peer that keeps `KEPT`, and reports to `ME`.

    Attributes:
        address: where it listens.
        log: returns what it has written so far.
    """

    address: Address
    log: Callable[[], str]


@contextmanager
def script_scp(name: str, route: str, requester_port: int, workdir: Path) -> Iterator[CommitmentScp]:
    port, log = free_port(), workdir / "scp.log"
    kept = [uid for _, uid in KEPT]
    argv = [*SCRIPTS[name], "scp", str(port), route, "ME", str(requester_port), *kept]
    with running(argv, [port], log, workdir, patience=0.2):
        yield CommitmentScp(Address(TITLES[name], HOST, port), log.read_text)


@asynccontextmanager
async def in_thread(peer: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Starts and ends a peer without blocking the event loop."""
    started = await asyncio.to_thread(peer.__enter__)
    try:
        yield started
    finally:
        await asyncio.to_thread(peer.__exit__, None, None, None)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", SCRIPTS)
async def test_we_ask(name: str, route: str, tmp_path: Path) -> None:
    require(name)
    app = Application("ME")
    commitment = StorageCommitment(app)
    async with (
        serve(app, HOST, 0) as server,
        in_thread(script_scp(name, route, server.port, tmp_path)) as scp,
        asyncio.timeout(PATIENCE),
    ):
        async with connect(scp.address, ae_title="ME", contexts=[Push], app=app) as association:
            transaction = await commitment.request(association, [*KEPT, MISSING])
            if route == "same":
                await transaction.result()
        result = await transaction.result()
        assert result.committed == tuple(uid for _, uid in KEPT)
        assert result.failed == {MISSING[1]: Status.NO_SUCH_SOP_INSTANCE}
        assert association.quirks == []
        log = await asyncio.to_thread(wait_for, scp.log, lambda text: '{"status":' in text)
        assert heard(log) == {"status": 0}


async def test_we_store_and_ask_orthanc(samples: Mapping[str, Sample], tmp_path: Path) -> None:
    """Which always reports on an association of its own."""
    require("orthanc")
    app = Application("ME")
    commitment = StorageCommitment(app)
    sent = list(samples.values())[:5]
    instances = [(sample.sop_class_uid, sample.sop_instance_uid) for sample in sent]
    async with (
        serve(app, HOST, 0) as server,
        in_thread(orthanc(tmp_path, "ORTHANC", {"me": ["ME", HOST, server.port]})) as peer,
        asyncio.timeout(PATIENCE),
    ):
        async with Client(Address("ORTHANC", HOST, peer.port), ae_title="ME", app=app) as client:
            assert await client.store_many([sample.path for sample in sent]) == []
            transactions = [await commitment.request(client, [pair, MISSING]) for pair in instances]
        results = await asyncio.gather(*(transaction.result() for transaction in transactions))
    assert [result.committed for result in results] == [(uid,) for _, uid in instances]
    assert all(result.failed == {MISSING[1]: Status.NO_SUCH_SOP_INSTANCE} for result in results)


# ---- a peer asks us ----


def keeper(requester: Address | None = None, **options: Any) -> Application:
    """An application that keeps what is in `KEPT`, and knows one requester."""
    app = Application("ARCHIVE", destinations={requester.ae_title: requester} if requester is not None else {})

    async def check(instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        return {uid: Status.NO_SUCH_SOP_INSTANCE for sop_class, uid in instances if (sop_class, uid) not in KEPT}

    CommitmentProvider(app, check, **options)
    return app


def script_scu(name: str, route: str, port: int, listening_port: int) -> Any:
    """What a peer heard after it asked for `KEPT` and `MISSING`."""
    instances = json.dumps([*KEPT, MISSING])
    result = run([*SCRIPTS[name], "scu", str(port), route, "ARCHIVE", str(listening_port)], given=instances)
    assert result.code == 0, result.output
    return heard(result.output)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", SCRIPTS)
async def test_peer_asks_us(name: str, route: str) -> None:
    require(name)
    listening_port = free_port()
    requester = Address(TITLES[name], HOST, listening_port) if route == "new" else None
    async with serve(keeper(requester, delays=[]), HOST, 0) as server:
        assert await asyncio.to_thread(script_scu, name, route, server.port, listening_port) == {
            "status": 0,
            "event_type": 2,
            "transaction": True,
            "committed": [uid for _, uid in KEPT],
            "failed": {MISSING[1]: 0x0112},
        }


@pytest.mark.parametrize("name", SCRIPTS)
async def test_peer_is_refused(name: str) -> None:
    require(name)
    async with serve(keeper(transactions=0), HOST, 0) as server:
        assert await asyncio.to_thread(script_scu, name, "same", server.port, free_port()) == {
            "status": Status.RESOURCE_LIMITATION
        }


async def test_orthanc_asks_us(tmp_path: Path) -> None:
    """It releases the association, and expects the report where it listens."""
    require("orthanc")
    app = keeper(linger=10.0, delays=[0.0, 0.0])
    async with (
        serve(app, HOST, 0) as server,
        in_thread(orthanc(tmp_path, "ORTHANC", {"archive": ["ARCHIVE", HOST, server.port]})) as peer,
        asyncio.timeout(PATIENCE),
    ):
        # Nobody listens where the first report goes.
        ports = [free_port(), peer.port]

        async def locate(ae_title: str) -> Address:
            return Address(ae_title, HOST, ports.pop(0))

        app.destinations = locate
        instances = [{"SOPClassUID": sop_class, "SOPInstanceUID": uid} for sop_class, uid in [*KEPT, MISSING]]
        body = json.dumps({"DicomInstances": instances}).encode()
        asked = await asyncio.to_thread(peer.post, "/modalities/archive/storage-commitment", body)

        def told() -> Any:
            return json.loads(peer.get(asked["Path"]))

        report = await asyncio.to_thread(wait_for, told, lambda found: found["Status"] != "Pending")
    assert (report["Status"], report["RemoteAET"]) == ("Failure", "ARCHIVE")
    assert [(each["SOPClassUID"], each["SOPInstanceUID"]) for each in report["Success"]] == KEPT
    (failure,) = report["Failures"]
    assert (failure["SOPInstanceUID"], failure["FailureReason"]) == (MISSING[1], 0x0112)

"""Several associations at once, in both directions, and more presentation contexts than fit on one."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvloop
from pydicom.dataset import Dataset

from dicomio import Application, Client, Limits, StoreRequest, dataset, serve
from tests.interop.ours import HOST, address_of, archive, assert_same_bytes, send
from tests.interop.peers import RunningScp, scp_kinds, scps, store_scu_kinds, store_scus
from tests.interop.processes import ScuResult, require, run
from tests.interop.samples import Sample, by_instance, data_set_bytes, takeable

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

SENDERS = 10

# DCMTK encodes these as they are in the file.
UNCHANGED = ("large", "odd-length")


async def test_ten_storescus_at_once(samples: Samples, tmp_path: Path) -> None:
    require("dcmtk")
    paths = [samples[name].path for name in UNCHANGED]
    app = Application("ARCHIVE")
    everybody = asyncio.Barrier(SENDERS)

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        # None is stored before all of them are there.
        await everybody.wait()
        await request.save(tmp_path / request.peer.ae_title / request.sop_instance_uid)

    def storescu(port: int, number: int) -> ScuResult:
        return run(["storescu", "-R", "-xe", "-aet", f"SCU{number}", HOST, str(port), *paths])

    loop = asyncio.get_running_loop()
    # The threads of the event loop's own are as few as there are processors, and files have to be written meanwhile.
    with ThreadPoolExecutor(SENDERS) as threads:
        async with serve(app, HOST, 0) as server:
            running = [loop.run_in_executor(threads, storescu, server.port, number) for number in range(SENDERS)]
            results = await asyncio.gather(*running)
    assert [result.code for result in results] == [0] * SENDERS, results
    for number in range(SENDERS):
        for name in UNCHANGED:
            stored = tmp_path / f"SCU{number}" / samples[name].sop_instance_uid
            assert data_set_bytes(stored) == data_set_bytes(samples[name].path)


async def test_different_peers_at_once(samples: Samples, tmp_path: Path) -> None:
    names = ["storescu", "dcmsend", "ctn", "gdcm", "odil"]
    app = Application("ARCHIVE")
    everybody = asyncio.Barrier(len(names))

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        await everybody.wait()
        await request.save(tmp_path / f"{request.peer.ae_title}.dcm")

    def store_scu(name: str, port: int) -> ScuResult:
        workdir = tmp_path / name
        workdir.mkdir()
        return store_scus[name](port, "ARCHIVE", [samples["odd-length"].path], workdir)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(names)) as threads:
        async with serve(app, HOST, 0) as server:
            running = [loop.run_in_executor(threads, store_scu, name, server.port) for name in names]
            results = await asyncio.gather(*running)
    assert [result.code for result in results] == [0] * len(names), results
    stored = {path.stem for path in tmp_path.iterdir() if path.is_file()}
    assert stored == {"STORESCU", "DCMSEND", "CTN", "GDCMSCU", "ODIL"}


@pytest.mark.parametrize("name, options", [("storescp", ["--fork", "+B"]), ("pynetdicom", []), ("dcmjs", None)])
async def test_we_send_over_four_associations(
    name: str, options: list[str] | None, samples: Samples, start_scp: StartScp
) -> None:
    scp = await asyncio.to_thread(start_scp, name, **({"options": options} if options is not None else {}))
    sent = takeable(samples.values(), scp_kinds["storescp"], scp_kinds[name])
    async with Client(address_of(scp), limits=Limits(associations=4)) as client:
        outcomes = [outcome async for outcome in client.store_many([sample.path for sample in sent] * 10)]
        assert 1 < len(client.pool.slots) <= 4
    assert [outcome.error for outcome in outcomes] == [None] * len(sent) * 10
    received = by_instance(scp.received())
    assert set(received) == {sample.sop_instance_uid for sample in sent}
    if name != "dcmjs":
        assert_same_bytes(sent, received, {sample.sop_instance_uid: sample.path for sample in sent})


def instance_of(number: int) -> Dataset:
    return dataset(
        SOPClassUID=f"2.25.{10**30 + number}",
        SOPInstanceUID=f"2.25.{2 * 10**30 + number}",
        PatientID=str(number),
    )


@pytest.mark.parametrize("associations", [1, 3])
async def test_more_contexts_than_an_association_has_room_for(associations: int, start_scp: StartScp) -> None:
    """Each of the 150 SOP classes takes two contexts: one for the object as it is, one for what it can become."""
    scp = await asyncio.to_thread(start_scp, "storescp", options=["--fork", "+xa", "+B", "-pm"])
    sent = [instance_of(number) for number in range(150)]
    async with Client(address_of(scp), limits=Limits(associations=associations)) as client:
        outcomes = [outcome async for outcome in client.store_many(sent)]
    assert [outcome.error for outcome in outcomes] == [None] * len(sent)
    received = by_instance(scp.received())
    assert set(received) == {ds.SOPInstanceUID for ds in sent}
    assert scp.log().count("Association Received") >= 3


async def test_more_contexts_than_an_association_has_room_for_one_by_one(start_scp: StartScp) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp-all")
    async with Client(address_of(scp)) as client:
        for number in range(80):
            await client.store(instance_of(number))
    assert len(scp.received()) == 80


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_both_event_loops(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], samples: Samples, tmp_path: Path, workdir: Path
) -> None:
    sent = takeable(samples.values(), store_scu_kinds["gdcm"])

    async def both_ways() -> None:
        app = archive(tmp_path / "inbox")
        async with serve(app, HOST, 0) as server:
            await send("gdcm", server.port, sent, workdir)
        with scps["storescp-all"](tmp_path / "scp") as scp:
            async with Client(address_of(scp)) as client:
                await client.store_many(sample.path for sample in sent)
            for received in (by_instance((tmp_path / "inbox").iterdir()), by_instance(scp.received())):
                assert_same_bytes(sent, received, {sample.sop_instance_uid: sample.path for sample in sent})

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(both_ways())

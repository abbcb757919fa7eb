"""Every peer sends its objects to us.

What a peer sends need not be what is in the file: DCMTK, CTN and others decode a file and encode it anew, without
group lengths or in another transfer syntax. Each sends the same to any server though, so what arrives here is held,
byte for byte, against what arrives at a server that writes bytes as they come.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydicom.filereader import read_file_meta_info

from dicomio import (
    Application,
    AssociationRejected,
    AssociationReleased,
    Proposal,
    Refused,
    Status,
    StoreRequest,
    serve,
    sop,
)
from tests.interop.ours import HOST, archive, assert_same_bytes, assert_unchanged, send
from tests.interop.peers import RunningScp, store_scu_kinds, store_scus
from tests.interop.processes import run
from tests.interop.samples import Sample, by_instance, takeable

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

WRITES_BYTES_AS_THEY_COME = "storescp-all"

# They send the bytes that are in the file.
VERBATIM = {"gdcm", "pynetdicom"}

# What storescp-all prefers, too.
COMPRESSED_FIRST = (
    sop.JPEGBaseline8Bit,
    sop.RLELossless,
    sop.DeflatedExplicitVRLittleEndian,
    sop.ExplicitVRLittleEndian,
    sop.ExplicitVRBigEndian,
    sop.ImplicitVRLittleEndian,
)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


async def assert_received(
    name: str, app: Application, inbox: Path, sent: list[Sample], workdir: Path
) -> dict[str, Path]:
    """Has a peer send samples to us; all arrive, and the peer takes its leave in good order."""
    async with serve(app, HOST, 0) as server:
        await send(name, server.port, sent, workdir)
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}
    return by_instance(inbox.iterdir())


async def sent_elsewhere(name: str, sent: list[Sample], scp: RunningScp, directory: Path) -> dict[str, Path]:
    """What arrives when the peer sends the samples to another one."""
    workdir = directory / "again"
    workdir.mkdir()
    await send(name, scp.port, sent, workdir)
    return by_instance(scp.received())


@pytest.mark.parametrize("name", store_scus)
async def test_objects_arrive_as_they_are_sent(
    name: str, samples: Samples, start_scp: StartScp, inbox: Path, workdir: Path, tmp_path: Path
) -> None:
    sent = takeable(samples.values(), store_scu_kinds[name])
    # In the one context that it proposes for a file, dcmjs puts Implicit VR Little Endian first, and decompresses.
    app = archive(inbox, COMPRESSED_FIRST if name == "dcmjs" else None)
    received = await assert_received(name, app, inbox, sent, workdir)
    assert_unchanged(sent, received)
    if name in VERBATIM:
        expected = {sample.sop_instance_uid: sample.path for sample in sent}
    else:
        expected = await sent_elsewhere(
            name, sent, await asyncio.to_thread(start_scp, WRITES_BYTES_AS_THEY_COME), tmp_path
        )
    assert_same_bytes(sent, received, expected)


async def test_first_transfer_syntax_is_chosen_without_a_preference_of_ours(
    samples: Samples, start_scp: StartScp, inbox: Path, workdir: Path, tmp_path: Path
) -> None:
    sent = takeable(samples.values(), store_scu_kinds["dcmjs"])
    received = await assert_received("dcmjs", archive(inbox), inbox, sent, workdir)
    syntaxes = {read_file_meta_info(path).TransferSyntaxUID for path in received.values()}
    assert syntaxes == {sop.ImplicitVRLittleEndian}

    other = await asyncio.to_thread(start_scp, "storescp", options=["+xi", "+B", "-pm"])
    assert_same_bytes(sent, received, await sent_elsewhere("dcmjs", sent, other, tmp_path))


async def test_files_are_dicom_files_to_others(samples: Samples, inbox: Path, workdir: Path) -> None:
    sent = list(samples.values())
    received = await assert_received("dcmsend", archive(inbox), inbox, sent, workdir)
    for path in received.values():
        dcmftest = await asyncio.to_thread(run, ["dcmftest", path])
        assert dcmftest.output.startswith("yes:"), dcmftest.output
        dcmdump = await asyncio.to_thread(run, ["dcmdump", "--search", "SendingApplicationEntityTitle", path])
        assert "[DCMSEND]" in dcmdump.output


async def reject(proposal: Proposal) -> None:
    raise AssociationRejected(reason=3)


async def fail(request: StoreRequest) -> None:
    raise Refused(Status.OUT_OF_RESOURCES, "the disk is full")


async def abort(request: StoreRequest) -> None:
    request.association.abort()


def rejecting() -> Application:
    app = failing()
    app.on_associate(reject)
    return app


def failing() -> Application:
    app = Application("ARCHIVE")
    app.store("*")(fail)
    return app


def aborting() -> Application:
    app = Application("ARCHIVE")
    app.store("*")(abort)
    return app


# They do not tell that a response has a failure status.
SILENT = {"odil", "pixelmed"}


@pytest.mark.parametrize(
    "name, build",
    [
        (name, build)
        for name in store_scus
        for build in (rejecting, failing, aborting)
        if name not in SILENT or build is not failing
    ],
)
async def test_peer_notices_that_nothing_was_stored(
    name: str, build: Callable[[], Application], samples: Samples, workdir: Path
) -> None:
    async with serve(build(), HOST, 0) as server:
        result = await asyncio.to_thread(store_scus[name], server.port, "ARCHIVE", [samples["explicit"].path], workdir)
    assert result.code != 0, result.output

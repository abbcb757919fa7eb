"""Maximum lengths of P-DATA-TF PDUs, announced by DCMTK and by us, odd ones too (PS3.8 D.1).

DCMTK and dicomio both abort when a PDU is longer than they announced, so what arrives was cut to measure.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dicomio import Association, Limits, PresentationContext, connect, serve
from tests.interop.ours import HOST, address_of, archive
from tests.interop.peers import RunningScp, store_scus
from tests.interop.processes import require, run
from tests.interop.samples import Sample, by_instance, data_set_bytes, differences

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

# Even ones that DCMTK uses, odd ones, and the borders of what it takes.
LENGTHS = [4096, 4097, 5001, 16384, 16383, 131072, 131071]


def context_of(sample: Sample) -> PresentationContext:
    return PresentationContext(sample.sop_class_uid, (sample.transfer_syntax_uid,))


@pytest.mark.parametrize("maximum", LENGTHS)
@pytest.mark.parametrize("server", ["storescp", "dcmrecv"])
async def test_we_send_what_the_peer_takes(server: str, maximum: int, samples: Samples, start_scp: StartScp) -> None:
    large = samples["large"]
    scp = await asyncio.to_thread(start_scp, server, options=["+B", "--max-pdu", str(maximum)])
    async with connect(address_of(scp), contexts=[context_of(large)]) as association:
        await association.store(large.path)
        assert association.agreement is not None
        # DCMTK announces an even number.
        assert association.agreement.send_maximum == maximum // 2 * 2
    (received,) = scp.received()
    assert data_set_bytes(received) == data_set_bytes(large.path)


@pytest.mark.parametrize("maximum", [129, 5001])
async def test_we_send_in_odd_lengths(maximum: int, samples: Samples, start_scp: StartScp) -> None:
    large = samples["large"]
    scp = await asyncio.to_thread(start_scp, "pynetdicom", options=["--max-pdu", str(maximum)])
    async with connect(address_of(scp), contexts=[context_of(large)]) as association:
        await association.store(large.path)
        assert association.agreement is not None
        assert association.agreement.send_maximum == maximum
    (received,) = scp.received()
    assert data_set_bytes(received) == data_set_bytes(large.path)


@pytest.mark.parametrize("maximum", [*LENGTHS, 262_144, 0])
@pytest.mark.parametrize("sender", ["storescu", "dcmsend", "gdcm", "odil", "dcmjs"])
async def test_peer_sends_what_we_take(
    sender: str, maximum: int, samples: Samples, tmp_path: Path, workdir: Path
) -> None:
    large = samples["large"]
    app = archive(tmp_path / "inbox", [large.transfer_syntax_uid])
    announced = []

    @app.on_close
    async def note(association: Association) -> None:
        assert association.agreement is not None
        announced.append(association.agreement.receive_maximum)

    async with serve(app, HOST, 0, limits=Limits(max_pdu=maximum)) as server:
        result = await asyncio.to_thread(store_scus[sender], server.port, "ARCHIVE", [large.path], workdir)
    assert result.code == 0, result.output
    assert announced == [maximum]
    (received,) = (tmp_path / "inbox").iterdir()
    assert differences(large.path, received) == []
    # dcmjs encodes sequences anew.
    assert sender == "dcmjs" or data_set_bytes(received) == data_set_bytes(large.path)


@pytest.mark.parametrize("ours, theirs", [(4096, 4097), (4097, 4096), (5001, 5003), (0, 4099), (8191, 131_071)])
async def test_both_sides_announce(ours: int, theirs: int, samples: Samples, tmp_path: Path) -> None:
    """What DCMTK announces for itself, and what it restricts itself to, does not depend on what we announce."""
    require("dcmtk")
    large = samples["large"]
    argv = ["storescu", "-v", "-xe", "--max-pdu", str(theirs), "--max-send-pdu", "4096"]
    async with serve(archive(tmp_path / "inbox"), HOST, 0, limits=Limits(max_pdu=ours)) as server:
        result = await asyncio.to_thread(run, [*argv, HOST, str(server.port), large.path])
    assert result.code == 0, result.output
    (received,) = (tmp_path / "inbox").iterdir()
    assert data_set_bytes(received) == data_set_bytes(large.path)


@pytest.mark.parametrize("maximum", [4096, 16_383, 0])
@pytest.mark.parametrize("name", ["storescp-all", "pynetdicom", "dcmjs", "odil"])
async def test_responses_fit_into_what_we_announce(
    name: str, maximum: int, samples: Samples, start_scp: StartScp
) -> None:
    large = samples["large"]
    scp = await asyncio.to_thread(start_scp, name)
    limits = Limits(max_pdu=maximum)
    async with connect(address_of(scp), contexts=[context_of(large)], limits=limits) as association:
        for _ in range(3):
            assert (await association.store(large.path)).status == 0
    assert set(by_instance(await asyncio.to_thread(scp.received))) == {large.sop_instance_uid}

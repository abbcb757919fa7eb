"""We send objects to every peer that stores them.

A peer need not store what it was sent: some decode a data set and encode it anew. What they make of an object that
comes from us is therefore held, byte for byte, against what they make of it when it comes from GDCM, which sends the
bytes of a file as they are.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydicom.filereader import read_file_meta_info

from dicomio import Client, Outcome, Status
from tests.interop.ours import address_of, assert_same_bytes, assert_unchanged, stored_when_sent_by
from tests.interop.peers import RunningScp, scp_kinds, scps, store_scu_kinds
from tests.interop.samples import Sample, by_instance, takeable

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

# They store the bytes that they are sent.
VERBATIM = {"storescp-all", "ctn", "pynetdicom"}


async def store_all(scp: RunningScp, sent: list[Sample]) -> dict[str, Path]:
    """Sends samples in one go; every one succeeds."""
    async with Client(address_of(scp)) as client:
        outcomes: list[Outcome] = [outcome async for outcome in client.store_many(sample.path for sample in sent)]
    assert [(outcome.error, outcome.status) for outcome in outcomes] == [(None, Status.SUCCESS)] * len(sent)
    return by_instance(await asyncio.to_thread(scp.received))


def of_same_transfer_syntax(
    sent: list[Sample], received: Mapping[str, Path], other: Mapping[str, Path]
) -> list[Sample]:
    """Those that were stored in one transfer syntax, whoever sent them."""

    def syntax(path: Path) -> str:
        return str(read_file_meta_info(path).TransferSyntaxUID)

    uids = {uid for uid in other if syntax(other[uid]) == syntax(received[uid])}
    return [sample for sample in sent if sample.sop_instance_uid in uids]


@pytest.mark.parametrize("name", scps)
async def test_objects_arrive_as_they_are(name: str, samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    sent = takeable(samples.values(), scp_kinds[name])
    received = await store_all(await asyncio.to_thread(start_scp, name), sent)
    assert_unchanged(sent, received)
    if name in VERBATIM:
        assert_same_bytes(sent, received, {sample.sop_instance_uid: sample.path for sample in sent})
        return
    shared = takeable(sent, store_scu_kinds["gdcm"])
    other = await asyncio.to_thread(stored_when_sent_by, "gdcm", name, shared, tmp_path / "again")
    # PixelMed refuses Implicit VR Little Endian where it is offered anything else, as it is by us.
    same = of_same_transfer_syntax(shared, received, other)
    assert {sample.name for sample in shared} - {sample.name for sample in same} <= {"implicit"}
    assert_same_bytes(same, received, other)

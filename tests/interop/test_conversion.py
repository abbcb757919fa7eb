"""We send to peers that do not take the transfer syntax of a file: it is converted, and no value changes.

DCMTK is the judge: it brings what was sent and what arrived into the same form. Compressed pixels are compared by what
they decode to.
"""

import asyncio
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import pixel_array

from dicomio import Client, NoPresentationContext, Outcome, sop
from tests.interop.ours import address_of, assert_same_bytes
from tests.interop.peers import RunningScp
from tests.interop.processes import run
from tests.interop.samples import Kind, Sample, by_instance, data_set_bytes, differences

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

COMPRESSED = frozenset({Kind.JPEG, Kind.RLE})

PROFILE = """
[[TransferSyntaxes]]
[Only]
TransferSyntax1 = {syntax}
[[PresentationContexts]]
[Storage]
{contexts}
[[Profiles]]
[Only]
PresentationContexts = Storage
"""


def profile(syntax: str, samples: Samples, directory: Path) -> list[str]:
    """Options that make storescp take the SOP classes of the samples in a single transfer syntax."""
    classes = sorted({sample.sop_class_uid for sample in samples.values()})
    contexts = "\n".join(f"PresentationContext{number} = {uid}\\Only" for number, uid in enumerate(classes, 1))
    path = directory / "storescp.cfg"
    path.write_text(PROFILE.format(syntax=syntax, contexts=contexts))
    return ["-xf", str(path), "Only", "+B"]


async def store_all(scp: RunningScp, sent: Iterable[Sample]) -> dict[str, Outcome]:
    """Sends samples in one go; outcomes by SOP Instance UID."""
    outcomes: dict[str, Outcome] = {}
    async with Client(address_of(scp)) as client:
        async for outcome in client.store_many(sample.path for sample in sent):
            assert outcome.instance is not None
            outcomes[outcome.instance.sop_instance_uid] = outcome
    return outcomes


def normalized(path: Path, directory: Path) -> bytes:
    """The data set in Implicit VR Little Endian, with lengths as DCMTK writes them and without group lengths."""
    result = run(["dcmconv", "+ti", "+e", "-g", "-p", path, directory / "normalized"])
    assert result.code == 0, result.output
    return data_set_bytes(directory / "normalized")


def pixels(path: Path) -> Any:
    return pixel_array(pydicom.dcmread(path))


def assert_converted(sent: Iterable[Sample], received: Mapping[str, Path], directory: Path) -> None:
    """What arrived has the values of what was sent."""
    for sample in sent:
        path = received[sample.sop_instance_uid]
        if sample.kinds & COMPRESSED:
            assert np.array_equal(pixels(sample.path), pixels(path)), sample.name
            # PS3.3 C.7.6.3.1.2: what was YBR in a JPEG is RGB once it is decoded.
            changes = [change for change in differences(sample.path, path) if "Photometric" not in change]
            assert changes == [], sample.name
        else:
            assert normalized(sample.path, directory) == normalized(path, directory), sample.name


def transfer_syntaxes(received: Mapping[str, Path]) -> dict[str, str]:
    return {uid: str(read_file_meta_info(path).TransferSyntaxUID) for uid, path in received.items()}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Some of pydicom's test files are in its package because they are odd."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


async def test_peer_that_takes_implicit_vr_only(samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=["+xi", "+B", "-pm"])
    outcomes = await store_all(scp, samples.values())
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(samples)
    received = by_instance(scp.received())
    assert set(transfer_syntaxes(received).values()) == {sop.ImplicitVRLittleEndian}
    await asyncio.to_thread(assert_converted, samples.values(), received, tmp_path)


async def test_peer_that_takes_explicit_vr_little_endian_only(
    samples: Samples, start_scp: StartScp, tmp_path: Path
) -> None:
    options = profile("LittleEndianExplicit", samples, tmp_path)
    scp = await asyncio.to_thread(start_scp, "storescp", options=options)
    outcomes = await store_all(scp, samples.values())
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(samples)
    received = by_instance(scp.received())
    assert set(transfer_syntaxes(received).values()) == {sop.ExplicitVRLittleEndian}
    await asyncio.to_thread(assert_converted, samples.values(), received, tmp_path)


@pytest.mark.parametrize("preference", ["+xe", "+xb", "+x="])
async def test_peer_that_takes_nothing_compressed(
    preference: str, samples: Samples, start_scp: StartScp, tmp_path: Path
) -> None:
    """Only what the peer cannot take is converted, whatever else it would prefer."""
    scp = await asyncio.to_thread(start_scp, "storescp", options=[preference, "+B", "-pm"])
    outcomes = await store_all(scp, samples.values())
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(samples)
    received = by_instance(scp.received())
    compressed = [sample for sample in samples.values() if sample.kinds & (COMPRESSED | {Kind.DEFLATED})]
    syntaxes = transfer_syntaxes(received)
    assert {syntaxes[sample.sop_instance_uid] for sample in compressed} == {sop.ExplicitVRLittleEndian}
    await asyncio.to_thread(assert_converted, compressed, received, tmp_path)
    others = [sample for sample in samples.values() if sample not in compressed]
    assert_same_bytes(others, received, {sample.sop_instance_uid: sample.path for sample in others})


@pytest.mark.parametrize("name", ["dcmqrscp", "ctn"])
async def test_server_that_takes_nothing_compressed(
    name: str, samples: Samples, start_scp: StartScp, tmp_path: Path
) -> None:
    sent = [samples[name] for name in ("deflated", "jpeg", "rle", "multi-frame", "odd-length")]
    scp = await asyncio.to_thread(start_scp, name)
    outcomes = await store_all(scp, sent)
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(sent)
    received = by_instance(scp.received())
    assert set(transfer_syntaxes(received).values()) == {sop.ExplicitVRLittleEndian}
    await asyncio.to_thread(assert_converted, sent, received, tmp_path)


async def test_peer_that_takes_rle_only(samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    """RLE was proposed for the sake of a file that has it; others of its SOP class are compressed without loss."""
    names = ("rle", "explicit", "implicit", "multi-frame", "large", "deflated", "odd-length", "utf-8", "iso-2022")
    sent = [samples[name] for name in names]
    scp = await asyncio.to_thread(start_scp, "storescp", options=profile("RLELossless", samples, tmp_path))
    outcomes = await store_all(scp, sent)
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(sent)
    received = by_instance(scp.received())
    assert set(transfer_syntaxes(received).values()) == {sop.RLELossless}
    for sample in sent:
        assert np.array_equal(pixels(sample.path), pixels(received[sample.sop_instance_uid])), sample.name
        assert differences(sample.path, received[sample.sop_instance_uid]) == []


async def test_nothing_is_compressed_with_loss(samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    sent = [samples[name] for name in ("jpeg", "odd-length", "rle", "explicit")]
    scp = await asyncio.to_thread(start_scp, "storescp", options=profile("JPEGBaseline", samples, tmp_path))
    outcomes = await store_all(scp, sent)
    errors = {sample.name: outcomes[sample.sop_instance_uid].error for sample in sent}
    assert errors.pop("jpeg") is None
    assert {type(error) for error in errors.values()} == {NoPresentationContext}
    received = by_instance(scp.received())
    assert set(received) == {samples["jpeg"].sop_instance_uid}
    assert_same_bytes(sent[:1], received, {samples["jpeg"].sop_instance_uid: samples["jpeg"].path})

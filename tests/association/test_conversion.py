"""Objects that a peer takes only in another transfer syntax are converted on their way, without loss."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from dicomio import Application, InvalidInstance, Limits, NoPresentationContext, StoreRequest, sop
from dicomio.datasets import Instance
from dicomio.testing import connected
from dicomio.threads import in_thread
from tests.association.peers import SAMPLES, MemoryClient, storing

SYNTAXES = {
    "explicit": sop.ExplicitVRLittleEndian,
    "implicit": sop.ImplicitVRLittleEndian,
}

FILES = [
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "image_dfl.dcm",
]


def accepting(directory: Path, *syntaxes: str) -> Application:
    """An application that takes these transfer syntaxes only."""
    app = Application("APP")

    @app.store("*", transfer_syntaxes=syntaxes)
    async def store(request: StoreRequest) -> None:
        await request.save(directory / "saved.dcm")

    return app


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("name", FILES)
async def test_what_is_not_taken_is_converted(tmp_path: Path, name: str, syntax: str) -> None:
    async with MemoryClient(accepting(tmp_path, syntax)) as client:
        assert (await client.store(SAMPLES / name)).status == 0
        assert len(client.opened) == 1
    before = await in_thread(dcmread, SAMPLES / name)
    after = dcmread(BytesIO((tmp_path / "saved.dcm").read_bytes()))
    assert after.file_meta.TransferSyntaxUID == syntax
    assert after.SOPInstanceUID == before.SOPInstanceUID
    assert after.PatientName == before.PatientName
    assert (after.pixel_array == await in_thread(lambda: before.pixel_array)).all()


async def test_what_is_taken_is_not_touched(tmp_path: Path) -> None:
    app = accepting(tmp_path, sop.ExplicitVRLittleEndian, sop.RLELossless)
    async with MemoryClient(app) as client:
        await client.store(SAMPLES / "MR_small_RLE.dcm")
    saved = await in_thread(Instance.open, tmp_path / "saved.dcm")
    source = await in_thread(Instance.open, SAMPLES / "MR_small_RLE.dcm")
    assert saved.transfer_syntax == sop.RLELossless
    assert await in_thread(saved.read) == await in_thread(source.read)


async def test_many_of_them(tmp_path: Path) -> None:
    syntaxes = []

    async def store(request: StoreRequest) -> None:
        syntaxes.append(request.transfer_syntax)
        await request.read()

    app = Application("APP")
    app.store("*", transfer_syntaxes=[sop.ImplicitVRLittleEndian])(store)
    async with MemoryClient(app) as client:
        outcomes = client.store_many(SAMPLES / name for name in FILES)
        await outcomes
    assert outcomes.failures == []
    assert syntaxes == [sop.ImplicitVRLittleEndian] * len(FILES)


async def test_an_object_that_is_passed_on_is_converted_too(tmp_path: Path) -> None:
    async with MemoryClient(accepting(tmp_path, sop.ImplicitVRLittleEndian)) as inner:

        async def forward(request: StoreRequest) -> None:
            await inner.store(request)

        async with MemoryClient(storing(forward)) as outer:
            assert (await outer.store(SAMPLES / "CT_small.dcm")).status == 0
    after = dcmread(BytesIO((tmp_path / "saved.dcm").read_bytes()))
    assert after.file_meta.TransferSyntaxUID == sop.ImplicitVRLittleEndian
    assert after.PatientID == "1CT1"


async def test_an_object_too_large_to_be_converted(tmp_path: Path) -> None:
    """Converting needs memory, so it has the limit of what is held in memory; the association is not touched."""
    app = accepting(tmp_path, sop.ImplicitVRLittleEndian)
    async with MemoryClient(app, limits=Limits(data_set=10_000)) as client:
        with pytest.raises(InvalidInstance, match="longer than 10000 bytes"):
            await client.store(SAMPLES / "CT_small.dcm")
        assert client.opened[0].is_established


async def test_damaged_pixels_are_an_outcome(tmp_path: Path) -> None:
    source = await in_thread(Instance.open, SAMPLES / "MR_small_RLE.dcm")
    data = await in_thread(source.read)
    damaged = Instance.from_bytes(source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax, data[:-2000])
    async with MemoryClient(accepting(tmp_path, sop.ImplicitVRLittleEndian)) as client:
        outcomes = client.store_many([damaged, SAMPLES / "CT_small.dcm"])
        await outcomes
        assert len(client.opened) == 1
    (failure,) = outcomes.failures
    assert isinstance(failure.error, InvalidInstance)


async def test_an_association_opened_by_hand_converts_to_what_it_has(tmp_path: Path) -> None:
    app = accepting(tmp_path, sop.ImplicitVRLittleEndian)
    async with connected(app, contexts=[sop.CTImageStorage]) as association:
        assert (await association.store(SAMPLES / "CT_small.dcm")).status == 0
        with pytest.raises(NoPresentationContext):
            await association.store(SAMPLES / "MR_small.dcm")

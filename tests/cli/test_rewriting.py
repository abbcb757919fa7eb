"""`storescp -B` and its like: in which form received data sets are written."""

import asyncio
import zlib
from argparse import Namespace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomio import Instance, InvalidInstance, Limits, dataset
from dicomio.cli.command import parse
from dicomio.cli.rewriting import Rewriting
from dicomio.datasets import decode, encode
from dicomio.sop import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from .conftest import STORESCP
from .test_storescp import associated, names

UNCOMPRESSED = ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian
LIMITS = Limits()


def sample() -> Dataset:
    """A data set with nested sequences."""
    reference = dataset(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID="1.2.3.4")
    series = dataset(SeriesInstanceUID="1.2.3.5")
    series.ReferencedSOPSequence = [reference, reference]
    ds = dataset(SOPClassUID=CTImageStorage, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2.9", Rows=2)
    ds.ReferencedSeriesSequence = [series]
    return ds


def rewriting(*options: object) -> Rewriting:
    args: Namespace = parse(STORESCP, [str(option) for option in options])
    wanted = Rewriting.wanted(args)
    assert wanted is not None
    return wanted


def rewritten(ds: Dataset, *options: object, syntax: str = ExplicitVRLittleEndian, before: int = 0) -> Instance:
    return rewriting(*options).rewrite(Instance.from_dataset(ds, syntax), before, LIMITS)[0]


def form(undefined: bool) -> bytes:
    """The sample with lengths of one kind, as pydicom writes it."""
    ds = sample()
    for element in (ds["ReferencedSeriesSequence"], ds.ReferencedSeriesSequence[0]["ReferencedSOPSequence"]):
        element.is_undefined_length = undefined
        for item in element.value:
            item.is_undefined_length_sequence_item = undefined
    return encode(ds, ExplicitVRLittleEndian)


# whether


@pytest.mark.parametrize("options", [[], ["+B"], ["-B", "+B"], ["+F"], ["-F"], ["-su", "S"]])
def test_data_sets_are_left_alone(options: list[str]) -> None:
    assert Rewriting.wanted(parse(STORESCP, options)) is None


@pytest.mark.parametrize(
    "options, expected",
    [
        (["-B"], Rewriting()),
        (["+t="], Rewriting()),
        (["+te"], Rewriting(ExplicitVRLittleEndian)),
        (["+tb"], Rewriting(ExplicitVRBigEndian)),
        (["+ti"], Rewriting(ImplicitVRLittleEndian)),
        (["+td", "+cl", "9"], Rewriting(DeflatedExplicitVRLittleEndian, level=9)),
        (["+ti", "+t="], Rewriting()),
        (["-e"], Rewriting(undefined=True)),
        (["-e", "+e"], Rewriting()),
        (["-g"], Rewriting()),
        (["+p", "512", "16"], Rewriting(padding=(512, 16))),
        (["+p", "512", "16", "-p"], Rewriting()),
        (["+uc"], Rewriting(known=True)),
        (["+uc", "-uc"], Rewriting()),
    ],
)
def test_options_about_it(options: list[str], expected: Rewriting) -> None:
    assert rewriting(*options) == expected


# transfer syntaxes


@pytest.mark.parametrize("option, target", list(zip(["+te", "+ti", "+tb", "+td"], UNCOMPRESSED, strict=True)))
@pytest.mark.parametrize("source", UNCOMPRESSED)
def test_transfer_syntaxes(option: str, target: str, source: str) -> None:
    found = rewritten(sample(), option, syntax=source)
    assert found.transfer_syntax == target
    assert decode(found.read(), target) == sample()


@pytest.mark.parametrize("source", UNCOMPRESSED)
def test_transfer_syntax_stays(source: str) -> None:
    found = rewritten(sample(), "-B", syntax=source)
    assert (found.transfer_syntax, decode(found.read(), source)) == (source, sample())


def test_compressed_objects_stay_compressed() -> None:
    compressed = Instance.from_bytes(
        CTImageStorage, "1.2.3", JPEG2000Lossless, encode(sample(), ExplicitVRLittleEndian)
    )
    found, _ = rewriting("+ti").rewrite(compressed, 0, LIMITS)
    assert found.transfer_syntax == JPEG2000Lossless


def test_level_of_deflation() -> None:
    ds = sample()
    ds.ImageComments = "over and over again " * 200
    found = [rewritten(ds, "+td", "+cl", level) for level in (0, 1, 9)]
    assert found[0].length > found[1].length > found[2].length
    for instance in found:
        assert zlib.decompress(instance.read(), -15) == encode(ds, ExplicitVRLittleEndian)
        assert not instance.length % 2


# lengths


@pytest.mark.parametrize("received", [True, False], ids=["undefined", "explicit"])
@pytest.mark.parametrize("option, undefined", [("-e", True), ("+e", False), ("-B", False)])
def test_lengths_of_sequences_and_items(received: bool, option: str, undefined: bool) -> None:
    instance = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, form(received))
    found, _ = rewriting(option).rewrite(instance, 0, LIMITS)
    assert found.read() == form(undefined)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_group_lengths_are_left_out(syntax: str) -> None:
    length = b"\x08\0\0\0UL\x04\0\x2a\0\0\0" if syntax == ExplicitVRLittleEndian else b"\x08\0\0\0\x04\0\0\0\x2a\0\0\0"
    instance = Instance.from_bytes(CTImageStorage, "1.2.3", syntax, length + encode(sample(), syntax))
    found, _ = rewriting("-g").rewrite(instance, 0, LIMITS)
    assert found.read() == Instance.from_dataset(decode(encode(sample(), syntax), syntax), syntax).read()


# padding


@pytest.mark.parametrize("option", ["+te", "+ti", "+tb"])
@pytest.mark.parametrize("before", [0, 200, 334])
def test_padding(option: str, before: int) -> None:
    found = rewritten(sample(), option, "+p", 512, 64, before=before)
    assert (found.length + before) % 512 == 0
    ds = decode(found.read(), found.transfer_syntax)
    items = [ds.ReferencedSeriesSequence[0], *ds.ReferencedSeriesSequence[0].ReferencedSOPSequence]
    for item in items:
        assert len(encode(item, found.transfer_syntax)) % 64 == 0
        assert item[0xFFFCFFFC].value.strip(b"\0") == b""
    for each in (ds, *items):
        del each[0xFFFCFFFC]
    assert ds == sample()


def test_padding_is_not_piled_up() -> None:
    padded = rewritten(sample(), "+p", 512, 64)
    again, _ = rewriting("+p", 512, 64).rewrite(padded, 0, LIMITS)
    assert again.read() == padded.read()
    without, _ = rewriting("-p").rewrite(padded, 0, LIMITS)
    assert without.read() == rewritten(sample(), "-B").read()


def test_only_items_are_padded() -> None:
    ds = decode(rewritten(sample(), "+p", 0, 64).read(), ExplicitVRLittleEndian)
    assert 0xFFFCFFFC not in ds
    assert 0xFFFCFFFC in ds.ReferencedSeriesSequence[0]


def test_padding_is_bounded() -> None:
    """Items of a few bytes grow to 64 KiB each."""
    ds = sample()
    ds.ReferencedSeriesSequence = [Dataset() for _ in range(100)]
    instance = Instance.from_dataset(ds, ExplicitVRLittleEndian)
    with pytest.raises(InvalidInstance, match="grows too long by padding"):
        rewriting("+p", 0, 65536).rewrite(instance, 0, Limits(data_set=1_000_000))


@pytest.mark.parametrize("words", [["1", "2"], ["2", "65538"], ["x", "2"]])
def test_paddings_that_cannot_be(words: list[str]) -> None:
    with pytest.raises(Exception, match="is not"):
        parse(STORESCP, ["+p", *words])


# unknown elements


@pytest.mark.parametrize("options, vr", [(["+uc"], "DA"), (["-uc"], "UN"), (["-B"], "UN")])
def test_elements_of_vr_un(options: list[str], vr: str) -> None:
    unknown = b"\x08\0\x20\0UN\0\0\x08\0\0\x0020260131"
    instance = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, unknown)
    found, _ = rewriting(*options).rewrite(instance, 0, LIMITS)
    assert found.read()[4:6].decode() == vr


# the whole way


@pytest.mark.parametrize(
    "options, syntax",
    [
        (["-B"], ExplicitVRLittleEndian),
        (["+ti"], ImplicitVRLittleEndian),
        (["+td", "-su", "S"], DeflatedExplicitVRLittleEndian),
        (["-su", "S", "+tb"], ExplicitVRBigEndian),
    ],
)
async def test_files_that_are_written_anew(tmp_path: Path, options: list[str], syntax: str) -> None:
    async with associated(tmp_path, *options) as association:
        await association.store(sample())
    (name,) = names(tmp_path)
    ds = await asyncio.to_thread(dcmread, tmp_path / name)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert (ds.file_meta.SourceApplicationEntityTitle if "SourceApplicationEntityTitle" in ds.file_meta else "") == ""
    assert ds.file_meta.SendingApplicationEntityTitle == "TEST"
    assert ds == sample()


async def test_files_are_padded_as_a_whole(tmp_path: Path) -> None:
    async with associated(tmp_path, "+p", 1000, 0) as association:
        await association.store(sample())
    (name,) = names(tmp_path)
    assert (tmp_path / name).stat().st_size == 1000


@pytest.mark.parametrize("options", [["-F"], ["-F", "+B"], ["-F", "-B"], ["-F", "-su", "S"], ["-F", "-B", "-su", "S"]])
async def test_data_sets_without_file_meta_information(tmp_path: Path, options: list[str]) -> None:
    data = encode(sample(), ExplicitVRLittleEndian)
    async with associated(tmp_path, *options) as association:
        await association.store(Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, data))
    assert names(tmp_path) == ["S_1.2.9/CT.1.2.3" if "-su" in options else "CT.1.2.3"]
    assert (tmp_path / names(tmp_path)[0]).read_bytes() == data

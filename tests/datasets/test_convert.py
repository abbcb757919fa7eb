import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence

from dicomio.config import Limits
from dicomio.datasets import Instance, convert, convertible, decode, encode
from dicomio.datasets.syntax import Encoding
from dicomio.datasets.transcode import transcode
from dicomio.errors import InvalidInstance

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
MPEG4 = "1.2.840.10008.1.2.4.102"
UNCOMPRESSED = [EXPLICIT_LE, IMPLICIT_LE, DEFLATED, EXPLICIT_BE]

LITTLE, BIG, IMPLICIT = Encoding(), Encoding(little=False), Encoding(implicit=True)

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
DAMAGED = {"MR_truncated.dcm", "rtplan_truncated.dcm", "no_meta.dcm"}
WITHOUT_UIDS = {"empty_charset_LEI.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"}
PATHS = [path for path in sorted(TEST_FILES.glob("*.dcm")) if path.name not in DAMAGED | WITHOUT_UIDS]
INSTANCES = [Instance.open(path) for path in PATHS]
NATIVE = [instance for instance in INSTANCES if instance.transfer_syntax in UNCOMPRESSED]

# Compressed files that the decoders installed for the tests can decode
COMPRESSED = [
    "693_J2KI.dcm",
    "JPEG2000.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "JPGExtended.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_rle_32bit.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",
]

Sample = Callable[[str], Path]


def name_of(instance: Instance) -> str:
    assert instance.path is not None
    return instance.path.name


def facts(ds: Dataset) -> list[tuple[int, str]]:
    """Tags and values of everything but group lengths, bulk data, and private elements, which need their VRs."""
    found = []
    for each in ds:
        if each.VR == "SQ" and not each.tag.is_private:
            found += [fact for item in each.value for fact in facts(item)]
        elif each.tag.element and not each.tag.is_private and each.VR not in ("OB", "OW", "UN"):
            found.append((int(each.tag), str(each.value)))
    return found


@pytest.mark.parametrize(
    "source, targets, best",
    [
        (EXPLICIT_LE, UNCOMPRESSED, EXPLICIT_LE),
        (IMPLICIT_LE, [DEFLATED, EXPLICIT_BE, EXPLICIT_LE], EXPLICIT_LE),
        (EXPLICIT_BE, [EXPLICIT_BE, EXPLICIT_LE], EXPLICIT_BE),
        (DEFLATED, [EXPLICIT_BE, IMPLICIT_LE], IMPLICIT_LE),
        (EXPLICIT_LE, [EXPLICIT_BE], EXPLICIT_BE),
        (EXPLICIT_LE, [RLE], RLE),
        (EXPLICIT_LE, [RLE, EXPLICIT_BE], EXPLICIT_BE),
        (EXPLICIT_LE, [JPEG], None),
        (EXPLICIT_LE, [], None),
        (EXPLICIT_LE, ["1.2.3"], None),
        (JPEG, [RLE, JPEG], JPEG),
        (JPEG, [RLE], None),
        (JPEG, [IMPLICIT_LE], IMPLICIT_LE),
        (RLE, UNCOMPRESSED, EXPLICIT_LE),
        (MPEG4, UNCOMPRESSED, None),
        (MPEG4, [MPEG4], MPEG4),
        ("1.2.3", UNCOMPRESSED, None),
        ("1.2.3", ["1.2.3"], "1.2.3"),
        ("", UNCOMPRESSED, None),
    ],
)
def test_the_best_target_loses_nothing(source: str, targets: list[str], best: str | None) -> None:
    assert convertible(source, targets) == best
    assert convertible(source, iter(reversed(targets))) == best


def test_nothing_is_decompressed_without_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_decoder(RLE), "_available", {})
    assert convertible(RLE, UNCOMPRESSED) is None


@pytest.mark.filterwarnings("ignore::UserWarning")  # values that pydicom finds odd
@pytest.mark.parametrize("target", UNCOMPRESSED)
@pytest.mark.parametrize("instance", NATIVE, ids=name_of)
def test_no_value_changes_between_uncompressed_transfer_syntaxes(instance: Instance, target: str) -> None:
    converted = convert(instance, target)
    assert (converted.transfer_syntax, converted.sop_instance_uid) == (target, instance.sop_instance_uid)
    assert facts(converted.dataset()) == facts(instance.dataset())
    again = convert(convert(converted, instance.transfer_syntax), target)
    assert again.read() == convert(again, target).read()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("target", [EXPLICIT_LE, IMPLICIT_LE])
@pytest.mark.parametrize(
    "instance",
    [each for each in NATIVE if name_of(each) not in ("ExplVR_BigEnd.dcm", "SC_rgb_jpeg_dcmd.dcm")],
    ids=name_of,
)
def test_the_bytes_are_those_that_pydicom_writes(instance: Instance, target: str) -> None:
    assert convert(instance, target).read() == encode(instance.dataset(), target)


@pytest.mark.parametrize("target", UNCOMPRESSED)
@pytest.mark.parametrize(
    "name",
    [
        *("MR_small.dcm", "MR_small_implicit.dcm", "MR_small_expb.dcm", "SC_rgb_small_odd.dcm", "image_dfl.dcm"),
        *("SC_rgb_small_odd_big_endian.dcm", "liver_1frame.dcm", "liver_expb_1frame.dcm", "examples_palette.dcm"),
    ],
)
def test_no_pixel_changes_between_uncompressed_transfer_syntaxes(sample: Sample, name: str, target: str) -> None:
    instance = Instance.open(sample(name))
    assert (convert(instance, target).dataset().pixel_array == pydicom.dcmread(sample(name)).pixel_array).all()


@pytest.mark.parametrize(
    "one, other",
    [
        ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
        ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
    ],
)
def test_pixels_are_those_of_the_same_image_written_by_another_implementation(
    sample: Sample, one: str, other: str
) -> None:
    first, second = (convert(Instance.open(sample(name)), EXPLICIT_LE).dataset() for name in (one, other))
    assert first.PixelData == second.PixelData


def test_pixels_of_32_bits_are_pairs_of_words(sample: Sample) -> None:
    """OW is a stream of words of 16 bits, swapped each for itself (PS3.5 6.2), also where pixels are longer."""
    instance = Instance.open(sample("rtdose_1frame.dcm"))
    little, big = instance.dataset().PixelData, convert(instance, EXPLICIT_BE).dataset().PixelData
    assert struct.unpack(f"<{len(little) // 2}H", little) == struct.unpack(f">{len(big) // 2}H", big)


@pytest.mark.parametrize("target", UNCOMPRESSED)
@pytest.mark.parametrize("name", COMPRESSED)
def test_decompressed_pixels_are_those_that_pydicom_finds(sample: Sample, name: str, target: str) -> None:
    instance = Instance.open(sample(name))
    expected = instance.dataset()
    expected.decompress(generate_instance_uid=False)
    converted = convert(instance, target)
    ds = converted.dataset()
    assert (ds.pixel_array == expected.pixel_array).all()
    assert ds.PhotometricInterpretation == expected.PhotometricInterpretation
    assert ds.SOPInstanceUID == instance.sop_instance_uid == converted.sop_instance_uid
    assert not ds["PixelData"].is_undefined_length


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm", "SC_rgb_small_odd.dcm"])
def test_compression_without_loss_keeps_every_pixel(sample: Sample, name: str) -> None:
    instance = Instance.open(sample(name))
    converted = convert(instance, RLE)
    ds = converted.dataset()
    assert ds["PixelData"].is_undefined_length
    assert (ds.pixel_array == instance.dataset().pixel_array).all()
    assert (converted.path, converted.sop_instance_uid) == (None, instance.sop_instance_uid)


def test_the_same_transfer_syntax_needs_no_conversion(sample: Sample) -> None:
    instance = Instance.open(sample("MR_small.dcm"))
    assert convert(instance, EXPLICIT_LE) is instance


def test_an_impossible_conversion_is_refused(sample: Sample) -> None:
    with pytest.raises(InvalidInstance, match="cannot be converted"):
        convert(Instance.open(sample("MR_small.dcm")), JPEG)


def test_without_pixels_there_is_nothing_to_compress(sample: Sample) -> None:
    with pytest.raises(InvalidInstance, match="no Pixel Data"):
        convert(Instance.open(sample("rtplan.dcm")), RLE)


def test_pixels_that_the_encoder_does_not_take_are_refused(sample: Sample) -> None:
    with pytest.raises(InvalidInstance, match="cannot be compressed"):
        convert(Instance.open(sample("liver_1frame.dcm")), RLE)


def test_what_is_larger_than_the_limit_is_not_converted(sample: Sample) -> None:
    with pytest.raises(InvalidInstance, match="the most that is converted"):
        convert(Instance.open(sample("MR_small.dcm")), IMPLICIT_LE, Limits(data_set=5000))


def test_an_image_that_claims_to_be_enormous_is_not_decompressed(sample: Sample) -> None:
    ds = Instance.open(sample("MR_small_RLE.dcm")).dataset()
    ds.Rows = ds.Columns = 65535
    with pytest.raises(InvalidInstance, match="decompressed Pixel Data of 8589672450 bytes"):
        convert(Instance.from_dataset(ds), EXPLICIT_LE)


def test_an_image_without_a_size_is_not_decompressed(sample: Sample) -> None:
    ds = Instance.open(sample("MR_small_RLE.dcm")).dataset()
    del ds.Rows
    with pytest.raises(InvalidInstance, match="size of the image"):
        convert(Instance.from_dataset(ds), EXPLICIT_LE)


def test_damaged_pixels_are_refused(sample: Sample) -> None:
    instance = Instance.open(sample("MR_small_RLE.dcm"))
    data = bytearray(instance.read())
    table = data.index(b"\xe0\x7f\x10\x00OB") + 12
    fragment = data.index(b"\xfe\xff\x00\xe0", table + 8) + 8
    data[fragment : fragment + 64] = b"\xff" * 64
    with pytest.raises(InvalidInstance, match="cannot be decompressed"):
        convert(replace(instance, path=None, data=bytes(data)), EXPLICIT_LE)


def test_a_compressed_data_set_without_pixels_is_only_encoded_anew(small: Dataset) -> None:
    instance = Instance.from_dataset(small, RLE)
    assert convert(instance, IMPLICIT_LE).dataset() == small


def test_nesting_is_bounded(small: Dataset) -> None:
    for _ in range(5):
        outer = Dataset()
        outer.ContentSequence = Sequence([small])
        small = outer
    small.SOPClassUID, small.SOPInstanceUID = "1.2", "1.2.3"
    instance = Instance.from_dataset(small)
    assert convert(instance, IMPLICIT_LE, Limits(nesting=5)).dataset() == small
    with pytest.raises(InvalidInstance, match="nested deeper than 4"):
        convert(instance, IMPLICIT_LE, Limits(nesting=4))


def test_limits_that_allow_more_nesting_than_the_interpreter_are_no_danger() -> None:
    data = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 5000
    data += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * 5000
    with pytest.raises(InvalidInstance, match="too deep to be converted"):
        convert(Instance.from_bytes("1.2", "1.2", EXPLICIT_LE, data), IMPLICIT_LE, Limits(nesting=9000))


def explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in Explicit VR Little Endian."""
    long = vr in (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"SQ", b"UT", b"UC", b"UR", b"SV", b"UV")
    return struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr) + struct.pack("<xxL" if long else "<H", len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    """An element in Implicit VR Little Endian."""
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


@pytest.mark.parametrize("vr", [b"OW", b"US", b"SS", b"AT"])
def test_units_of_two_bytes_are_swapped(vr: bytes) -> None:
    assert transcode(explicit(0x00720000 | 0x52, vr, b"\1\2\3\4"), LITTLE, BIG, 1)[-4:] == b"\2\1\4\3"


@pytest.mark.parametrize("vr", [b"UL", b"SL", b"FL", b"OF", b"OL"])
def test_units_of_four_bytes_are_swapped(vr: bytes) -> None:
    assert transcode(explicit(0x00720052, vr, b"\1\2\3\4"), LITTLE, BIG, 1)[-4:] == b"\4\3\2\1"


@pytest.mark.parametrize("vr", [b"FD", b"OD", b"OV", b"SV", b"UV"])
def test_units_of_eight_bytes_are_swapped(vr: bytes) -> None:
    assert transcode(explicit(0x00720052, vr, b"\1\2\3\4\5\6\7\x08"), LITTLE, BIG, 1)[-8:] == b"\x08\7\6\5\4\3\2\1"


@pytest.mark.parametrize("vr", [b"OB", b"UN", b"LO", b"UI", b"UT", b"PN"])
def test_bytes_and_texts_are_not_swapped(vr: bytes) -> None:
    assert transcode(explicit(0x00090052, vr, b"1234"), LITTLE, BIG, 1)[-4:] == b"1234"


def test_a_value_of_broken_units_keeps_its_rest() -> None:
    assert transcode(explicit(0x00720052, b"UL", b"\1\2\3\4\5\6"), LITTLE, BIG, 1)[-6:] == b"\4\3\2\1\5\6"


@pytest.mark.parametrize("vr, padded", [(b"LO", b"ABC "), (b"UI", b"ABC\0"), (b"OB", b"ABC\0"), (b"UN", b"ABC\0")])
def test_odd_lengths_are_padded(vr: bytes, padded: bytes) -> None:
    assert transcode(explicit(0x00080070, vr, b"ABC"), LITTLE, LITTLE, 1) == explicit(0x00080070, vr, padded)


def test_group_lengths_are_left_out() -> None:
    assert transcode(implicit(0x00080000, b"\4\0\0\0") + implicit(0x00090000, b"\4\0\0\0"), IMPLICIT, LITTLE, 1) == b""


def test_private_elements_get_the_vr_their_creator_is_known_for() -> None:
    creator = implicit(0x00190010, b"GEMS_ACQU_01")
    result = transcode(creator + implicit(0x00191002, b"\1\0\0\0"), IMPLICIT, BIG, 1)
    assert result == b"\0\x19\0\x10LO\0\x0cGEMS_ACQU_01" + b"\0\x19\x10\x02SL\0\4\0\0\0\1"


@pytest.mark.parametrize("creator", [b"", implicit(0x00190010, b"NOBODY")])
def test_private_elements_of_unknown_creators_become_un_and_are_not_swapped(creator: bytes) -> None:
    result = transcode(creator + implicit(0x00191002, b"\1\0\0\0"), IMPLICIT, BIG, 1)
    assert result.endswith(b"\0\x19\x10\x02UN\0\0\0\0\0\4\1\0\0\0")


def test_unknown_standard_elements_become_un() -> None:
    assert transcode(implicit(0x00080777, b"AB"), IMPLICIT, LITTLE, 1) == explicit(0x00080777, b"UN", b"AB")


@pytest.mark.parametrize("representation, vr", [(0, b"US"), (1, b"SS")])
def test_pixel_representation_decides_even_when_it_follows_or_stands_outside(representation: int, vr: bytes) -> None:
    value = b"\1\0"
    padding, early = implicit(0x00280120, value), implicit(0x00221452, value)
    signed = implicit(0x00280103, struct.pack("<H", representation))
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(padding)) + padding
    result = transcode(early + signed + padding + implicit(0x52009229, item), IMPLICIT, LITTLE, 1)
    assert explicit(0x00221452, vr, value) in result
    assert result.count(explicit(0x00280120, vr, value)) == 2


@pytest.mark.parametrize("bits, vr", [(1, b"OB"), (8, b"OB"), (16, b"OW"), (32, b"OW")])
def test_bits_allocated_decide_about_pixel_data_and_waveforms(bits: int, vr: bytes) -> None:
    pixels = implicit(0x00280100, struct.pack("<H", bits)) + implicit(0x7FE00010, b"\1\2")
    assert transcode(pixels, IMPLICIT, LITTLE, 1).endswith(explicit(0x7FE00010, vr, b"\1\2"))
    wave = implicit(0x54000110, b"\1\2") + implicit(0x54001004, struct.pack("<H", bits))
    assert transcode(wave, IMPLICIT, LITTLE, 1).startswith(explicit(0x54000110, vr, b"\1\2"))


@pytest.mark.parametrize("entries, vr", [(1, b"US"), (256, b"OW")])
def test_lut_descriptor_decides_about_lut_data(entries: int, vr: bytes) -> None:
    lut = implicit(0x00283002, struct.pack("<HHH", entries, 0, 16)) + implicit(0x00283006, b"\1\2")
    assert transcode(lut, IMPLICIT, LITTLE, 1).endswith(explicit(0x00283006, vr, b"\1\2"))


def test_overlays_are_words() -> None:
    assert transcode(implicit(0x60023000, b"\1\2"), IMPLICIT, LITTLE, 1) == explicit(0x60023000, b"OW", b"\1\2")


@pytest.mark.parametrize("target", [LITTLE, BIG])
def test_a_value_too_long_for_its_vr_becomes_un_and_is_not_swapped(target: Encoding) -> None:
    value = b"\1\0" * 40_000
    result = transcode(implicit(0x00281201, value) + implicit(0x00280009, value), IMPLICIT, target, 1)
    head = struct.pack("<HH2sxxL" if target.little else ">HH2sxxL", 0x28, 9, b"UN", len(value))
    assert head + value in result


def test_an_unknown_vr_is_replaced_by_the_one_in_the_dictionary() -> None:
    assert transcode(explicit(0x00080070, b"ZZ", b"AB"), LITTLE, LITTLE, 1) == explicit(0x00080070, b"LO", b"AB")


@pytest.mark.parametrize("target", [LITTLE, BIG, IMPLICIT])
def test_lengths_stay_defined_or_undefined(target: Encoding) -> None:
    item = explicit(0x00080100, b"SH", b"AB")
    defined = b"\x08\0\x18\x22SQ\0\0" + struct.pack("<LHHL", len(item) + 8, 0xFFFE, 0xE000, len(item)) + item
    undefined = b"\x08\0\x28\x22SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" + item
    undefined += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    there = transcode(defined + undefined, LITTLE, target, 1)
    assert transcode(there, target, LITTLE, 1) == defined + undefined


def test_a_sequence_hidden_in_un_is_found_in_either_byte_order() -> None:
    item = implicit(0x00080100, b"CODE")
    hidden = b"\xfe\xff\0\xe0" + struct.pack("<L", len(item)) + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    big = b"\0\x08\x22\x18UN\0\0\xff\xff\xff\xff" + hidden
    assert decode(transcode(big, BIG, LITTLE, 1), EXPLICIT_LE)[0x00082218].value[0].CodeValue == "CODE"


def test_encapsulated_pixel_data_cannot_be_in_an_uncompressed_data_set() -> None:
    data = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\2\0\0\0AB\xfe\xff\xdd\xe0\0\0\0\0"
    with pytest.raises(InvalidInstance, match=r"\(7FE0,0010\) is encapsulated"):
        transcode(data, LITTLE, IMPLICIT, 1)


def test_damaged_data_sets_are_refused() -> None:
    with pytest.raises(InvalidInstance, match="claims 4 bytes"):
        transcode(explicit(0x00080070, b"LO", b"ABCD")[:-2], LITTLE, IMPLICIT, 1)

import datetime
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomio.config import Limits
from dicomio.datasets import Instance, decode, encode
from dicomio.datasets.codec import inflate, write
from dicomio.datasets.elements import check_structure
from dicomio.datasets.plain import encode_plain
from dicomio.datasets.syntax import Encoding, encoding_of
from dicomio.errors import InvalidInstance
from dicomio.identifiers import dataset, query

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
ALL = [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED]

DATA = Path(pydicom.__file__).parent / "data"
CHARSET_FILES = sorted((DATA / "charset_files").glob("*.dcm"))

# What encoding changes in these, beside compression: group lengths go (retired), and pydicom drops duplicates,
# sorts elements, and reads implicit VRs within a data set that should have explicit ones.
CHANGED = {"ExplVR_BigEnd.dcm", "693_J2KI.dcm", "SC_rgb_jpeg.dcm", "UN_sequence.dcm", "image_dfl.dcm", "no_meta.dcm"}
CHANGED |= {"rtdose_rle.dcm", "rtdose_rle_1frame.dcm", "MR_truncated.dcm", "rtplan_truncated.dcm"}
CHANGED |= {"empty_charset_LEI.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"}
UNCHANGED = sorted(path for path in (DATA / "test_files").glob("*.dcm") if path.name not in CHANGED)

ITEM, ITEM_END, SEQUENCE_END = (struct.pack("<HH", 0xFFFE, element) for element in (0xE000, 0xE00D, 0xE0DD))
UNDEFINED = b"\xff\xff\xff\xff"
CODES = b"\x08\0\x18\x22"  # (0008,2218) Anatomic Region Sequence
LITTLE, BIG, IMPLICIT = Encoding(), Encoding(little=False), Encoding(implicit=True)
MANUFACTURER = b"\x08\0\x70\0LO\x02\0AB"

Sample = Callable[[str], Path]


def u32(number: int) -> bytes:
    return struct.pack("<L", number)


def nested(depth: int, *, implicit: bool = False, defined: bool = False) -> bytes:
    """Sequences within sequences, the innermost with one empty item."""
    inside = b""
    head = CODES + (b"" if implicit else b"SQ\0\0")
    for _ in range(depth):
        if defined:
            inside = head + u32(len(inside) + 8) + ITEM + u32(len(inside)) + inside
        else:
            inside = head + UNDEFINED + ITEM + UNDEFINED + inside + ITEM_END + u32(0) + SEQUENCE_END + u32(0)
    return inside


def depth_of(ds: Dataset) -> int:
    """How deep the sequences of a data set are nested."""
    depth = 0
    while len(ds):
        ds, depth = ds[0x00082218].value[0], depth + 1
    return depth


@pytest.mark.parametrize("path", UNCHANGED, ids=lambda path: str(path.name))
def test_decoding_and_encoding_change_no_byte(path: Path) -> None:
    instance = Instance.open(path)
    data = instance.read()
    ds = decode(data, instance.transfer_syntax)
    assert ds.original_encoding[0] is encoding_of(instance.transfer_syntax).implicit
    assert encode(ds, instance.transfer_syntax) == data


@pytest.mark.parametrize("transfer_syntax", ALL)
@pytest.mark.parametrize("path", CHARSET_FILES, ids=lambda path: str(path.name))
def test_text_survives_in_every_character_set(path: Path, transfer_syntax: str) -> None:
    before = pydicom.dcmread(path)
    after = decode(encode(decode(*raw(path)), transfer_syntax), transfer_syntax)
    texts = [str(each.value) for each in before.iterall() if each.VR in ("PN", "LO", "SH") and each.tag.group > 2]
    assert texts
    assert texts == [str(each.value) for each in after.iterall() if each.VR in ("PN", "LO", "SH")]


def raw(path: Path) -> tuple[bytes, str]:
    instance = Instance.open(path)
    return instance.read(), instance.transfer_syntax


text = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x9FFF, exclude_characters="\\^=\x7f", categories=["L", "N"])
)
even_bytes = st.binary(max_size=20).map(lambda value: value + b"\1" * (len(value) % 2))
plain_elements = st.fixed_dictionaries(
    {},
    optional={
        "PatientName": text,
        "PatientComments": text,
        "OtherPatientIDs": st.lists(text.filter(len), min_size=2, max_size=4),
        "Rows": st.integers(0, 0xFFFF),
        "ReferencePixelX0": st.integers(-(2**31), 2**31 - 1),
        "EventTimeOffset": st.floats(allow_nan=False),
        "FrameIncrementPointer": st.integers(0, 0xFFFFFFFF),
        "SelectorSVValue": st.integers(-(2**63), 2**63 - 1),
        "SelectorUVValue": st.integers(0, 2**64 - 1),
        "SelectorOBValue": even_bytes.filter(len),
        "SelectorUNValue": even_bytes.filter(len),
        "StudyInstanceUID": st.from_regex(r"[1-9](\.[1-9]){0,20}", fullmatch=True),
    },
)


def made(elements: dict[str, object], items: list[Dataset], private: bytes) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    if items:
        ds.ContentSequence = items
    if private:
        ds.add_new(0x00090010, "LO", "SOMEBODY UNKNOWN")
        ds.add_new(0x00091001, "UN", private)
    return ds


def data_sets(items: st.SearchStrategy[list[Dataset]]) -> st.SearchStrategy[Dataset]:
    return st.builds(made, plain_elements, items, even_bytes)


any_data_set = st.recursive(data_sets(st.just([])), lambda inner: data_sets(st.lists(inner, max_size=3)), max_leaves=6)


@settings(deadline=None)
@given(any_data_set, st.sampled_from(ALL))
def test_any_data_set_is_decoded_as_it_was_encoded(ds: Dataset, transfer_syntax: str) -> None:
    data = encode(ds, transfer_syntax)
    assert len(data) % 2 == 0
    assert decode(data, transfer_syntax) == ds


identifiers = st.fixed_dictionaries(
    {},
    optional={
        "SpecificCharacterSet": st.sampled_from(["ISO_IR 192", "ISO_IR 100", "", ["", "ISO 2022 IR 87"]]),
        "PatientName": st.text(st.sampled_from("ABC^= \u00e4\u6771"), max_size=12).filter(
            lambda name: name.count("=") < 3
        ),
        "PatientID": st.one_of(st.none(), st.text(st.sampled_from("123*?-/ "), max_size=9)),
        "StudyInstanceUID": st.one_of(st.just(""), st.just("1.2.3"), st.just(["1.2.3", "1.25"])),
        "ModalitiesInStudy": st.one_of(st.just("CT"), st.just(["CT", "PT", "MR"]), st.just([])),
        "NumberOfStudyRelatedInstances": st.one_of(st.integers(-9, 9999), st.sampled_from(["7 ", "+07", ""])),
        "PatientComments": st.text(st.sampled_from("a\r\n \u00e9"), max_size=9),
        "StudyDate": st.sampled_from(["20240101", "20240101-", "", datetime.date(2024, 1, 1)]),
        "Rows": st.one_of(st.sampled_from([0, 0x0102, 0xFFFF, None]), st.just([1, 2])),
    },
)


def with_items(elements: dict[str, object], items: list[Dataset], undefined: int) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    if items:
        ds.ContentSequence = items
        ds["ContentSequence"].is_undefined_length = undefined == 1
        items[0].is_undefined_length_sequence_item = undefined == 2
    return ds


def nested_in(items: st.SearchStrategy[list[Dataset]]) -> st.SearchStrategy[Dataset]:
    return st.builds(with_items, identifiers, items, st.integers(0, 9))


nested_identifiers = st.recursive(
    nested_in(st.just([])), lambda inner: nested_in(st.lists(inner, max_size=3)), max_leaves=5
)


@settings(deadline=None)
@given(nested_identifiers, st.sampled_from([LITTLE, BIG, IMPLICIT]))
def test_identifiers_are_encoded_as_pydicom_does(ds: Dataset, encoding: Encoding) -> None:
    assert encode_plain(ds, encoding) in (None, written(ds, encoding))


def written(ds: Dataset, encoding: Encoding) -> bytes | None:
    try:
        return write(ds, encoding)
    except UserWarning:  # of a character that the character set does not have
        return None


def test_identifiers_need_no_help_from_pydicom() -> None:
    ds = query("STUDY", PatientName="DOE^*", StudyInstanceUID=["1.2", "1.3"], NumberOfStudyRelatedInstances=5)
    assert encode_plain(ds, IMPLICIT) == write(ds, IMPLICIT)
    ds = query("STUDY", PatientName="M\u00fcller")
    assert encode_plain(ds, LITTLE) == write(ds, LITTLE)


@pytest.mark.parametrize("encoding", [LITTLE, BIG, IMPLICIT])
def test_references_need_no_help_from_pydicom(encoding: Encoding) -> None:
    item = {"ReferencedSOPClassUID": "1.2", "ReferencedSOPInstanceUID": "1.2.3", "FailureReason": 0x0112}
    step = {
        "Modality": "CT",
        "ScheduledProcedureStepDescription": "Sch\u00e4del",
        "RequestedProcedureCodeSequence": [item],
    }
    ds = dataset(TransactionUID="1.2", FailedSOPSequence=[item] * 3, ScheduledProcedureStepSequence=[step], Rows=None)
    assert encode_plain(ds, encoding) == write(ds, encoding)


def deep(levels: int) -> Dataset:
    ds = Dataset()
    for _ in range(levels):
        ds = dataset(ContentSequence=[ds])
    return ds


@pytest.mark.parametrize(
    "ds",
    [
        dataset(SmallestImagePixelValue=1),
        dataset(RedPaletteColorLookupTableData=b"ab"),
        dataset(Rows=0x10000),
        dataset(PixelData=b"ab"),
        deep(20),
        dataset(PatientName="M\u00fcller", SpecificCharacterSet=["", "ISO 2022 IR 100"]),
        dataset(PatientName="\u6771", SpecificCharacterSet="ISO_IR 100"),
        dataset(PatientComments="x" * 0xFFFF),
        dataset(Modality="\u6771"),
    ],
)
def test_everything_else_is_left_to_pydicom(ds: Dataset) -> None:
    assert encode_plain(ds, LITTLE) is None


@settings(deadline=None)
@given(any_data_set, st.sampled_from(ALL), st.sampled_from(ALL))
def test_a_decoded_data_set_can_be_encoded_in_any_other_transfer_syntax(ds: Dataset, first: str, second: str) -> None:
    assert decode(encode(decode(encode(ds, first), first), second), second) == ds


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(ALL))
def test_random_bytes_are_decoded_or_refused(data: bytes, transfer_syntax: str) -> None:
    try:
        assert isinstance(decode(data, transfer_syntax), Dataset)
    except InvalidInstance:
        pass


@settings(deadline=None)
@given(any_data_set, st.sampled_from(ALL), st.data())
def test_damaged_data_sets_are_decoded_or_refused(ds: Dataset, transfer_syntax: str, draw: st.DataObject) -> None:
    data = bytearray(encode(ds, transfer_syntax))
    for position in draw.draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=4)) if data else []:
        data[position] = draw.draw(st.integers(0, 255))
    try:
        assert isinstance(decode(bytes(data), transfer_syntax), Dataset)
    except InvalidInstance:
        pass


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_LE, EXPLICIT_LE])
def test_a_data_set_cut_off_anywhere_is_refused_unless_cut_between_elements(transfer_syntax: str) -> None:
    data = encode(decode(MANUFACTURER + nested(3) + nested(2, defined=True), EXPLICIT_LE), transfer_syntax)
    whole = {0, 10, len(data)}
    for size in range(len(data) + 1):
        if size in whole or not any(data[:size]):
            continue
        with pytest.raises(InvalidInstance):
            decode(data[:size], transfer_syntax) and pytest.fail(f"{size} bytes of it were decoded")


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("defined", [False, True])
def test_nesting_is_allowed_up_to_the_limit(*, implicit: bool, defined: bool) -> None:
    syntax = IMPLICIT_LE if implicit else EXPLICIT_LE
    data = nested(5, implicit=implicit, defined=defined)
    assert depth_of(decode(data, syntax, Limits(nesting=5))) == 5
    with pytest.raises(InvalidInstance, match="nested deeper than 4"):
        decode(data, syntax, Limits(nesting=4))


@pytest.mark.parametrize("head", [CODES + b"SQ\0\0", CODES + b"UN\0\0", CODES, b"\x09\0\x01\x10UN\0\0"])
def test_a_bomb_of_sequences_is_refused_before_anything_recurses(head: bytes) -> None:
    data = (head + UNDEFINED + ITEM + UNDEFINED) * 100_000
    with pytest.raises(InvalidInstance, match="nested deeper than 64"):
        decode(data, EXPLICIT_LE if len(head) > 4 else IMPLICIT_LE)


def test_a_bomb_of_empty_items_is_refused_before_anything_is_made_of_them() -> None:
    data = CODES + b"SQ\0\0" + UNDEFINED + (ITEM + u32(0)) * 250_001
    with pytest.raises(InvalidInstance, match="too many elements and items"):
        decode(data, EXPLICIT_LE)


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT_LE, IMPLICIT_LE])
def test_elements_count_too(monkeypatch: pytest.MonkeyPatch, small: Dataset, transfer_syntax: str) -> None:
    monkeypatch.setattr("dicomio.datasets.elements.MOST_EFFORT", 3)
    monkeypatch.setattr("dicomio.datasets.raw.LONGEST", 0)
    data = encode(small, transfer_syntax)
    with pytest.raises(InvalidInstance, match="too many elements and items"):
        decode(data, transfer_syntax)


def test_limits_that_allow_more_than_the_interpreter_does_are_no_danger() -> None:
    with pytest.raises(InvalidInstance, match="cannot be decoded"):
        decode(nested(5_000), EXPLICIT_LE, Limits(nesting=10_000))


@pytest.mark.parametrize(
    "data, why",
    [
        (b"\x08\0\x05\0CS", "cut off"),
        (b"\x08\0\x05\0CS\x02\0", "claims 2 bytes where 0 are left"),
        (b"\x08\0\x08\x20OB\0\0\x01", "cut off"),
        (b"\x08\0\x08\x20OB\0\0\xfe\xff\xff\xff", "claims 4294967294 bytes"),
        (MANUFACTURER + b"\x01", "cut off"),
        (CODES + b"SQ\0\0" + u32(8) + MANUFACTURER[:8], "not an item"),
        (CODES + b"SQ\0\0" + u32(4) + ITEM, "cut off"),
        (CODES + b"SQ\0\0" + u32(8) + ITEM + u32(2) + b"  ", "the item at byte 12 claims 2"),
        (CODES + b"SQ\0\0" + UNDEFINED, "ends within a sequence"),
        (CODES + b"SQ\0\0" + UNDEFINED + ITEM + UNDEFINED, "ends within a sequence"),
        (CODES + b"SQ\0\0" + u32(8) + SEQUENCE_END + u32(0), "a length and a delimiter"),
        (CODES + b"SQ\0\0" + u32(16) + ITEM + u32(8) + ITEM_END + u32(0), "cannot be one"),
        (MANUFACTURER + ITEM_END + u32(0), "cannot be one"),
        (MANUFACTURER + SEQUENCE_END + u32(0), "cannot be one"),
        (MANUFACTURER + ITEM + u32(0), "cannot be one"),
        (b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + ITEM + UNDEFINED, "has no length"),
        (b"\xe0\x7f\x10\0OB\0\0" + UNDEFINED + ITEM + u32(2) + b"  ", "cut off"),
    ],
)
def test_damaged_structure_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidInstance, match=why):
        decode(data, EXPLICIT_LE)


def test_items_beyond_their_sequence_are_refused() -> None:
    inner = ITEM + u32(len(MANUFACTURER)) + MANUFACTURER
    data = CODES + b"SQ\0\0" + u32(len(inner) - 2) + inner
    with pytest.raises(InvalidInstance, match="item at byte 12 claims 10 bytes where 8 are left"):
        decode(data, EXPLICIT_LE)


@pytest.mark.parametrize("zeros", range(8))
def test_a_few_zeros_behind_the_last_element_are_tolerated(zeros: int) -> None:
    assert decode(MANUFACTURER + bytes(zeros), EXPLICIT_LE).Manufacturer == "AB"


def test_the_encoding_found_counts_not_the_one_announced(small: Dataset) -> None:
    assert decode(encode(small, IMPLICIT_LE), EXPLICIT_LE) == small
    assert decode(encode(small, EXPLICIT_LE), IMPLICIT_LE) == small


def test_items_without_value_representations_are_understood_within_explicit_ones() -> None:
    item = b"\x08\0\x00\x01" + u32(4) + b"CODE"
    for head in (CODES + b"SQ\0\0", CODES + b"UN\0\0"):
        ds = decode(head + u32(len(item) + 8) + ITEM + u32(len(item)) + item, EXPLICIT_LE)
        assert ds[0x00082218].value[0].CodeValue == "CODE"


def test_private_sequences_are_found_by_their_creator() -> None:
    creator = b"\x41\0\x10\0" + u32(18) + b"INTEGRIS 1.0      "
    assert check_structure(creator, Encoding(implicit=True), 1)


def test_what_nobody_knows_is_a_sequence_when_it_begins_with_an_item() -> None:
    unknown = b"\x09\0\x01\x10" + UNDEFINED
    data = unknown + ITEM + u32(0) + SEQUENCE_END + u32(0)
    assert len(decode(data, IMPLICIT_LE)[0x00091001].value) == 1
    with pytest.raises(InvalidInstance, match="cut off"):
        decode(unknown + ITEM + u32(2) + b"AB" + SEQUENCE_END + u32(0), IMPLICIT_LE)


def test_a_view_will_do(small: Dataset) -> None:
    for syntax in ALL:
        assert decode(memoryview(encode(small, syntax)), syntax) == small


def test_no_bytes_are_an_empty_data_set() -> None:
    assert decode(b"", EXPLICIT_LE) == Dataset()
    assert encode(Dataset(), EXPLICIT_LE) == b""


def test_a_data_set_beyond_the_limit_is_refused() -> None:
    with pytest.raises(InvalidInstance, match="longer than 9 bytes"):
        decode(MANUFACTURER, EXPLICIT_LE, Limits(data_set=9))


def test_file_meta_and_command_elements_are_not_encoded(small: Dataset) -> None:
    plain = encode(small, EXPLICIT_LE)
    small.add(DataElement(0x00000100, "US", 1))
    assert encode(small, EXPLICIT_LE) == plain


def test_encoding_leaves_the_data_set_alone(small: Dataset) -> None:
    before = str(small)
    for syntax in ALL:
        encode(small, syntax)
    assert str(small) == before


def test_a_value_that_cannot_be_encoded_is_named(small: Dataset) -> None:
    small.Rows = 512
    small["Rows"]._value = "many"
    with pytest.raises(InvalidInstance, match=r"\(0028,0010\)"):
        encode(small, EXPLICIT_LE)


def test_words_change_their_byte_order(small: Dataset) -> None:
    small.BitsAllocated = 16
    small.add_new(0x7FE00010, "OW", b"\x01\x02\x03\x04")
    data = encode(small, EXPLICIT_BE)
    assert data.endswith(b"\x7f\xe0\0\x10OW\0\0\0\0\0\4\x02\x01\x04\x03")
    again = decode(data, EXPLICIT_BE)
    assert encode(again, EXPLICIT_BE) == data
    assert encode(again, IMPLICIT_LE).endswith(b"\x01\x02\x03\x04")


def test_deflated_data_sets_have_even_length_and_no_zlib_header() -> None:
    for length in range(20):
        ds = Dataset()
        ds.PatientComments = "x" * length
        data = encode(ds, DEFLATED)
        assert len(data) % 2 == 0
        assert zlib.decompressobj(-15).decompress(data) == encode(ds, EXPLICIT_LE)


def test_a_deflated_data_set_may_not_grow_without_bounds() -> None:
    bomb = zlib.compressobj(9, wbits=-15)
    data = bomb.compress(bytes(17 << 20)) + bomb.flush()
    assert len(inflate(data, Limits(inflate_ratio=2000))) == 17 << 20
    with pytest.raises(InvalidInstance, match="grows beyond 16777216 bytes"):
        inflate(data)
    with pytest.raises(InvalidInstance, match="grows beyond 100000 bytes"):
        decode(data, DEFLATED, Limits(data_set=100_000))


def test_a_deflated_data_set_that_ends_early_or_is_damaged_is_refused(small: Dataset) -> None:
    data = encode(small, DEFLATED)
    with pytest.raises(InvalidInstance, match="ends early"):
        decode(data[: len(data) // 2], DEFLATED)
    with pytest.raises(InvalidInstance, match="damaged"):
        decode(b"\xff" * 40, DEFLATED)

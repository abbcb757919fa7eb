"""The encoder of short data sets writes what pydicom writes, for everything in the data dictionary, or nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomio.datasets import decode, encode
from dicomio.datasets.codec import write
from dicomio.datasets.plain import encode_plain
from dicomio.datasets.syntax import UNCOMPRESSED, Encoding, encoding_of
from dicomio.errors import InvalidInstance
from dicomio.identifiers import dataset

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
LITTLE, BIG, IMPLICIT = Encoding(), Encoding(little=False), Encoding(implicit=True)
ENCODINGS = [LITTLE, BIG, IMPLICIT]

TAGS: dict[str, list[int]] = {}
for tag, (entry_vr, *_) in DicomDictionary.items():
    if tag >= 0x00080000 and tag != 0x00080005 and tag >> 16 != 0xFFFE:
        TAGS.setdefault(entry_vr, []).append(tag)
VRS = sorted(TAGS)

CHARACTERS = "ABC^= 12\u00e4\u0416\u6771\u3042\u0e01"
CHARSETS = ["ISO_IR 192", "ISO_IR 100", "ISO_IR 144", "ISO_IR 166", "ISO_IR 13", "GB18030", "GBK", "ISO 2022 IR 87"]
CHARSETS_OF_SEVERAL = [["", "ISO 2022 IR 87"], ["ISO_IR 6", "ISO 2022 IR 149"], ["ISO 2022 IR 6", "ISO 2022 IR 100"]]

words = st.text(st.sampled_from(CHARACTERS), max_size=9)
uids = st.from_regex(r"[1-9](\.[1-9]){0,9}", fullmatch=True)
tags = st.integers(0, 0xFFFFFFFF)
octets = st.binary(max_size=9)


def integers(bits: int, *, signed: bool = False) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(["AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"], words),
    **dict.fromkeys(["OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"], octets),
    "PN": words.filter(lambda name: name.count("=") < 3),
    "AS": st.sampled_from(["042Y", "7M"]),
    "DA": st.sampled_from(["20240131", "20240101-"]),
    "TM": st.sampled_from(["1112", "111213.5"]),
    "DT": st.sampled_from(["20240131", "20240131111213.5+0100"]),
    "DS": st.one_of(st.sampled_from(["1.50", " 2", "+3"]), st.floats(-9, 9).map(lambda number: round(number, 3))),
    "IS": st.one_of(st.sampled_from(["+07", "7 "]), st.integers(-9999, 9999)),
    "UI": uids,
    "AT": tags,
    "US": integers(16),
    "UL": integers(32),
    "UV": integers(64),
    "SS": integers(16, signed=True),
    "SL": integers(32, signed=True),
    "SV": integers(64, signed=True),
    "FL": st.floats(width=32),
    "FD": st.floats(),
    "US or SS": st.integers(0, 9),
    "US or OW": st.integers(0, 9),
    "US or SS or OW": st.integers(0, 9),
}
SINGLE = ("LT", "ST", "UT", "UR", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or SS or OW", "US or OW")


def values(vr: str) -> st.SearchStrategy[Any]:
    """Nothing, one value, or several."""
    value = VALUES[vr]
    several = st.nothing() if vr in SINGLE else st.lists(value, min_size=2, max_size=3)
    return st.one_of(value, value, several, st.none(), st.just(""))


@st.composite
def elements(draw: st.DrawFn, items: st.SearchStrategy[list[Dataset]]) -> DataElement:
    vr = draw(st.sampled_from(VRS))
    tag = draw(st.sampled_from(TAGS[vr]))
    if vr != "SQ":
        return DataElement(tag, vr, draw(values(vr)), validation_mode=IGNORE)
    element = DataElement(tag, vr, draw(items))
    element.is_undefined_length = draw(st.booleans())
    return element


@st.composite
def data_sets(draw: st.DrawFn, items: st.SearchStrategy[list[Dataset]]) -> Dataset:
    ds = Dataset()
    charset = draw(st.sampled_from([None, "absent", "", *CHARSETS, *CHARSETS_OF_SEVERAL]))
    if charset != "absent":
        ds.SpecificCharacterSet = charset
    for element in draw(st.lists(elements(items), max_size=5)):
        ds.add(element)
    if draw(st.integers(0, 5)) == 0:
        ds.add_new(0x00090010, "LO", "SOMEBODY")
        ds.add_new(0x00091001, "LO", draw(words))
    ds.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


any_data_set = st.recursive(data_sets(st.just([])), lambda inner: data_sets(st.lists(inner, max_size=3)), max_leaves=4)


def written(ds: Dataset, encoding: Encoding) -> bytes | None:
    """What pydicom writes; `None` where it refuses to, or warns."""
    try:
        return write(ds, encoding)
    except (UserWarning, ValueError, TypeError, AttributeError, OSError, LookupError):
        return None


@settings(deadline=None, max_examples=300)
@given(any_data_set, st.sampled_from(ENCODINGS))
def test_everything_in_the_dictionary_is_written_as_pydicom_does(ds: Dataset, encoding: Encoding) -> None:
    first = encode_plain(ds, encoding)
    expected = written(ds, encoding)
    assert first in (None, expected)
    # pydicom keeps what it has encoded, and writes that the next time.
    assert encode_plain(ds, encoding) in (None, expected)


@settings(deadline=None, max_examples=200)
@given(any_data_set, st.sampled_from(sorted(UNCOMPRESSED)), st.sampled_from(ENCODINGS), st.booleans())
def test_what_was_decoded_is_written_as_pydicom_does(
    made: Dataset, transfer_syntax: str, encoding: Encoding, looked_at: bool
) -> None:
    try:
        data = encode(made, transfer_syntax)
        ds, other = decode(data, transfer_syntax), decode(data, transfer_syntax)
        if looked_at:
            assert str(ds) == str(other)
    except (InvalidInstance, UserWarning, ValueError, AttributeError, LookupError):
        return
    assert encode_plain(ds, encoding) in (None, written(other, encoding))


TYPICAL: dict[str, Any] = {
    "AE": "STORE",
    "AS": "042Y",
    "AT": [0x00100010, 0x00080018],
    "CS": ["CT", "PT"],
    "DA": "20240131-",
    "DS": ["1.50", 2],
    "DT": "20240131",
    "FD": 0.5,
    "FL": [0.5, 1.5],
    "IS": "+07",
    "LO": "P1",
    "LT": "a\r\nb",
    "OB": b"odd",
    "PN": ["DOE^J=\u6771", "ROE"],
    "SH": "A",
    "SL": -1,
    "SS": -1,
    "ST": "a",
    "SV": [-1, 1],
    "TM": "1112",
    "UC": "a",
    "UI": ["1.2.3", "1.2"],
    "UL": 1,
    "UN": b"even",
    "UR": "https://dicom.example",
    "US": [1, 2],
    "UT": "\u00e4",
    "UV": 1,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("vr", TYPICAL)
@pytest.mark.parametrize("empty", [False, True])
def test_usual_values_need_no_help_from_pydicom(vr: str, encoding: Encoding, empty: bool) -> None:
    ds = dataset(SpecificCharacterSet="ISO_IR 192")
    ds.add(DataElement(TAGS.get(vr, [0x00091001])[-1], vr, None if empty else TYPICAL[vr]))
    assert encode_plain(ds, encoding) == write(ds, encoding)


@pytest.mark.parametrize(
    "charset, name",
    [
        ("ISO_IR 100", "M\u00fcller"),
        ("ISO_IR 144", "\u041b\u044e\u043ace"),
        ("ISO_IR 126", "\u0394\u03b9"),
        ("ISO_IR 166", "\u0e01"),
        ("ISO_IR 192", "Wang=\u738b"),
        ("GB18030", "Wang=\u738b"),
        ("", "M\u00fcller"),
    ],
)
def test_character_sets_of_one_part_need_no_help_from_pydicom(charset: str, name: str) -> None:
    ds = dataset(SpecificCharacterSet=charset, PatientName=name, ContentSequence=[{"PatientID": name}])
    assert encode_plain(ds, LITTLE) == write(ds, LITTLE)


def test_an_item_has_the_character_set_that_it_names() -> None:
    item = dataset(SpecificCharacterSet="ISO_IR 100", PatientName="M\u00fcller")
    ds = dataset(SpecificCharacterSet="ISO_IR 192", PatientName="M\u00fcller", ContentSequence=[item, {}])
    data = encode_plain(ds, IMPLICIT)
    assert data == write(ds, IMPLICIT)
    assert data is not None
    assert b"M\xfcller" in data
    assert b"M\xc3\xbcller" in data


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT_LE, EXPLICIT_LE])
def test_what_nobody_looked_at_is_passed_on_as_it_is(transfer_syntax: str) -> None:
    items = [dataset(PatientName="M\u00fcller"), dataset(Rows=1)]
    data = encode(dataset(PatientName="M\u00fcller", ContentSequence=items), transfer_syntax)
    assert encode_plain(decode(data, transfer_syntax), encoding_of(transfer_syntax)) == data


@pytest.mark.parametrize(
    "before, after",
    [(IMPLICIT_LE, LITTLE), (EXPLICIT_LE, BIG), (EXPLICIT_LE, IMPLICIT)],
    ids=["VRs to be added", "other byte order", "VRs to be left out"],
)
def test_what_nobody_looked_at_is_left_to_pydicom_where_it_has_to_change(before: str, after: Encoding) -> None:
    assert encode_plain(decode(encode(dataset(PatientID="1"), before), before), after) is None


def test_what_nobody_looked_at_is_left_to_pydicom_where_the_character_set_was_changed() -> None:
    ds = decode(encode(dataset(PatientName="M\u00fcller"), EXPLICIT_LE), EXPLICIT_LE)
    ds.SpecificCharacterSet = "ISO_IR 100"
    assert encode_plain(ds, LITTLE) is None
    assert b"M\xfcller" in encode(ds, EXPLICIT_LE)


def test_group_lengths_are_not_written() -> None:
    ds = dataset(PatientID="1")
    ds.add_new(0x00100000, "UL", 10)
    assert encode_plain(ds, LITTLE) == write(ds, LITTLE) == b"\x10\0\x20\0LO\x02\x001 "

"""The reader of short data sets reads what pydicom reads, or nothing."""

from io import BytesIO
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicomio.datasets import decode
from dicomio.datasets.codec import write
from dicomio.datasets.elements import check_structure
from dicomio.datasets.plain import encode_plain
from dicomio.datasets.raw import raw_data_set
from dicomio.datasets.syntax import Encoding
from dicomio.errors import InvalidInstance
from dicomio.identifiers import dataset
from tests.datasets.test_plain import BIG, ENCODINGS, IMPLICIT, LITTLE, any_data_set

SYNTAXES = {LITTLE: "1.2.840.10008.1.2.1", BIG: "1.2.840.10008.1.2.2", IMPLICIT: "1.2.840.10008.1.2"}


def read(data: bytes, encoding: Encoding) -> Dataset:
    """What pydicom reads."""
    return read_dataset(cast("BinaryIO", BytesIO(data)), encoding.implicit, encoding.little)


def plain(data: bytes, encoding: Encoding, *, checked: bool = False) -> Dataset | None:
    return raw_data_set(data, encoding.implicit, encoding.little, checked=checked)


def check_same(ds: Dataset, data: bytes, encoding: Encoding) -> None:
    """The same elements, undecoded, and the same of everything else that pydicom keeps of a data set."""
    expected = read(data, encoding)
    assert vars(ds) == vars(expected)
    assert list(ds.keys()) == list(expected.keys())
    assert ds == expected


@settings(deadline=None, max_examples=300)
@given(any_data_set, st.sampled_from(ENCODINGS))
def test_everything_in_the_dictionary_is_read_as_pydicom_does(made: Dataset, encoding: Encoding) -> None:
    data = encode_plain(made, encoding)
    if data is None:
        return
    for checked in (False, True):
        ds = plain(data, encoding, checked=checked)
        if ds is not None:
            check_same(ds, data, encoding)


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=60), st.data(), st.sampled_from(ENCODINGS))
def test_damaged_bytes_are_read_as_pydicom_does_or_not_at_all(
    end: bytes, draw: st.DataObject, encoding: Encoding
) -> None:
    data = bytearray((encode_plain(SAMPLE, encoding) or b"") + end)
    for position in draw.draw(st.lists(st.integers(0, len(data) - 1), max_size=3)):
        data[position] = draw.draw(st.integers(0, 255))
    ds = plain(bytes(data), encoding)
    if ds is not None:
        assert check_structure(bytes(data), Encoding(encoding.implicit, encoding.little), 16) in (True, False)
        try:
            expected = read(bytes(data), encoding)
        except UserWarning:  # pydicom looks whether VRs are there, as `decode` does before
            return
        if expected.original_encoding[0] is encoding.implicit:
            assert vars(ds) == vars(expected)


SAMPLE = dataset(
    SpecificCharacterSet="ISO_IR 192",
    PatientName="M\u00fcller",
    PatientID="",
    StudyInstanceUID="1.2",
    Rows=1,
    Columns=None,
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("charset", [None, "", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192", "GB18030", "ISO 2022 IR 100"])
def test_plain_data_sets_need_no_help_from_pydicom(encoding: Encoding, charset: str | None) -> None:
    made = dataset(PatientName="DOE", PatientID="", Rows=1, Columns=None, SelectorOBValue=b"ab", SelectorUTValue="")
    if charset is not None:
        made.SpecificCharacterSet = charset
    data = write(made, encoding)
    ds = plain(data, encoding)
    assert ds is not None
    check_same(ds, data, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sequences_stay_encoded_until_somebody_looks(encoding: Encoding) -> None:
    data = write(dataset(ContentSequence=[{"PatientID": "1"}], PatientID="2"), encoding)
    assert plain(data, encoding) is None
    ds = plain(data, encoding, checked=True)
    assert ds is not None
    check_same(ds, data, encoding)
    assert ds.ContentSequence[0].PatientID == "1"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_several_character_sets_and_undefined_lengths_are_left_to_pydicom(encoding: Encoding) -> None:
    several = dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="DOE")
    assert plain(write(several, encoding), encoding, checked=True) is None
    undefined = dataset(ContentSequence=[{}])
    undefined["ContentSequence"].is_undefined_length = True
    assert plain(write(undefined, encoding), encoding, checked=True) is None


def test_what_one_data_set_remembers_another_does_not() -> None:
    data = write(dataset(SpecificCharacterSet="ISO_IR 192", PatientID="1"), LITTLE)
    first, second = decode(data, SYNTAXES[LITTLE]), decode(data, SYNTAXES[LITTLE])
    first.private_block(0x0009, "SOMEBODY", create=True).add_new(1, "LO", "1")
    first.PatientID = "2"
    charset = first.original_character_set
    assert isinstance(charset, list)
    charset.append("latin_1")
    assert vars(second) == vars(decode(data, SYNTAXES[LITTLE]))


# What is left of the other byte order may be zeros, which count as padding.
@pytest.mark.parametrize("encoding", [LITTLE, IMPLICIT])
def test_an_element_cut_off_is_left_to_those_who_say_so(encoding: Encoding) -> None:
    data = write(dataset(PatientID="1", PatientName="DOE"), encoding)
    for size in range(1, len(data)):
        ds = plain(data[:size], encoding)
        if ds is None:
            with pytest.raises(InvalidInstance):
                decode(data[:size], SYNTAXES[encoding])
        else:
            check_same(ds, data[:size], encoding)


def test_pydicom_is_asked_where_its_settings_say_how_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(dataset(PatientID=""), LITTLE)
    monkeypatch.setattr(config, "use_none_as_empty_text_VR_value", True)
    assert plain(data, LITTLE) is None
    assert decode(data, SYNTAXES[LITTLE]).PatientID is None

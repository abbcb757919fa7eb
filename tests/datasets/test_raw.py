"""The reader of short data sets reads what pydicom reads, or nothing."""

from io import BytesIO
from itertools import product
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from dicomio.config import Limits
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


def kept(value: Any) -> Any:
    """Everything that pydicom keeps of a data set, those in its sequences included."""
    if isinstance(value, Dataset | DataElement | Sequence):
        return type(value), kept(vars(value))
    if isinstance(value, dict):
        return {key: kept(each) for key, each in value.items()}
    return [kept(each) for each in value] if type(value) is list else value


def check_same(ds: Dataset, data: bytes, encoding: Encoding) -> None:
    """The same elements, undecoded, and the same of everything else that pydicom keeps of a data set."""
    expected = read(data, encoding)
    assert kept(ds) == kept(expected)
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
    data = bytearray((encode_plain(draw.draw(st.sampled_from(SAMPLES)), encoding) or b"") + end)
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
            assert kept(ds) == kept(expected)


SAMPLE = dataset(
    SpecificCharacterSet="ISO_IR 192",
    PatientName="M\u00fcller",
    PatientID="",
    StudyInstanceUID="1.2",
    Rows=1,
    Columns=None,
)


def nested(*undefined: bool, charset: str = "") -> Dataset:
    """Sequences in sequences, with or without their lengths from the outermost to the innermost."""
    inner = {"SpecificCharacterSet": charset} if charset else {}
    ds = dataset(PatientName="DOE", **inner)
    for each in reversed(undefined):
        ds.is_undefined_length_sequence_item = each
        outer = dataset(SpecificCharacterSet="ISO_IR 192", ContentSequence=[{}, ds, {"SelectorOBValue": b"ab"}], Rows=2)
        outer["ContentSequence"].is_undefined_length = each
        ds = outer
    return ds


SAMPLES = [SAMPLE, *(nested(*each) for each in product([False, True], repeat=2)), nested(True, charset="GB18030")]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("made", SAMPLES)
def test_samples_are_plain(made: Dataset, encoding: Encoding) -> None:
    data = write(made, encoding)
    ds = plain(data, encoding, checked=True)
    assert ds is not None
    check_same(ds, data, encoding)
    assert str(ds) == str(read(data, encoding))


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


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sequences_with_lengths_stay_encoded_until_somebody_looks(encoding: Encoding, checked: bool) -> None:
    data = write(nested(False, False), encoding)
    ds = plain(data, encoding, checked=checked)
    assert ds is not None
    assert isinstance(ds.get_item("ContentSequence").value, bytes)
    check_same(ds, data, encoding)
    assert ds.ContentSequence[1].ContentSequence[1].PatientName == "DOE"


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("charset", ["", "GB18030", "ISO_IR 100"])
def test_sequences_without_lengths_are_read_item_by_item(encoding: Encoding, checked: bool, charset: str) -> None:
    data = write(nested(True, True, charset=charset), encoding)
    ds = plain(data, encoding, checked=checked)
    assert ds is not None
    check_same(ds, data, encoding)
    assert ds.ContentSequence[1].ContentSequence[1].PatientName == "DOE"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_that_are_nested_too_deep_are_not_read(encoding: Encoding, undefined: bool) -> None:
    data = write(nested(*[undefined] * 3), encoding)
    arguments = data, encoding.implicit, encoding.little
    assert raw_data_set(*arguments, checked=False, nesting=2) is None
    assert raw_data_set(*arguments, checked=False, nesting=3) is not None
    with pytest.raises(InvalidInstance, match="nested deeper than 2"):
        decode(data, SYNTAXES[encoding], Limits(nesting=2))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_several_character_sets_are_left_to_pydicom(encoding: Encoding) -> None:
    several = dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="DOE")
    assert plain(write(several, encoding), encoding, checked=True) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_may_hide_sequences_is_looked_into_first(encoding: Encoding) -> None:
    private = dataset(ContentSequence=[{}])
    private.ContentSequence[0].add_new(0x00090010, "LO", "SOMEBODY")
    private.ContentSequence[0].add_new(0x00091001, "UN", b"ab")
    data = write(private, encoding)
    assert plain(data, encoding) is None
    ds = plain(data, encoding, checked=True)
    assert ds is not None
    check_same(ds, data, encoding)


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
@pytest.mark.parametrize("made", [dataset(PatientID="1", PatientName="DOE"), nested(False), nested(True)])
def test_an_element_cut_off_is_left_to_those_who_say_so(made: Dataset, encoding: Encoding) -> None:
    data = write(made, encoding)
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

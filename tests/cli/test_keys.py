"""Paths of keys: what `-k` takes, and data sets as such paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomio import dataset
from dicomio.cli.keys import Key, Step, assign, paths_of, read_key
from dicomio.datasets import decode, encode
from dicomio.sop import ExplicitVRLittleEndian, ImplicitVRLittleEndian

PATIENT_ID = Step(BaseTag(0x00100020))
MODALITY = Step(BaseTag(0x00080060))
STEPS = 0x00400100


def keyed(*keys: str) -> Dataset:
    """An empty data set with keys put into it, as it arrives."""
    ds = Dataset()
    for key in keys:
        assign(ds, read_key(key))
    return decode(encode(ds, ExplicitVRLittleEndian), ExplicitVRLittleEndian)


# reading


@pytest.mark.parametrize(
    "text, steps, value",
    [
        ("PatientID", [PATIENT_ID], ""),
        ("PatientID=", [PATIENT_ID], ""),
        ("PatientID=1", [PATIENT_ID], "1"),
        ("0010,0020=1*", [PATIENT_ID], "1*"),
        ("(0010,0020)=1?", [PATIENT_ID], "1?"),
        ("PatientID=a=b.c[0]", [PATIENT_ID], "a=b.c[0]"),
        ("PatientID= 1 ", [PATIENT_ID], " 1 "),
        ("ScheduledProcedureStepSequence[0].Modality=CT", [Step(BaseTag(STEPS), 0), MODALITY], "CT"),
        ("(0040,0100)[0].(0008,0060)=CT", [Step(BaseTag(STEPS), 0), MODALITY], "CT"),
        ("0040,0100[12].0008,0060=CT", [Step(BaseTag(STEPS), 12), MODALITY], "CT"),
        ("ScheduledProcedureStepSequence.Modality=CT", [Step(BaseTag(STEPS)), MODALITY], "CT"),
        ("ScheduledProcedureStepSequence[999]", [Step(BaseTag(STEPS), 999)], ""),
        ("00E1,10ab=x", [Step(BaseTag(0x00E110AB))], "x"),
    ],
)
def test_spellings(text: str, steps: list[Step], value: str) -> None:
    assert read_key(text) == Key(tuple(steps), value)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "'' is neither keyword nor gggg,eeee"),
        ("=x", "'' is neither keyword nor gggg,eeee"),
        ("PatientID.=x", "'' is neither keyword nor gggg,eeee"),
        ("PatientID..PatientID=x", "'.PatientID' is neither keyword nor gggg,eeee"),
        ("(0010,0020=x", "'(0010,0020' is neither keyword nor gggg,eeee"),
        ("10,20=x", "'10,20' is neither keyword nor gggg,eeee"),
        ("Ärztin=x", "'Ärztin' is neither keyword nor gggg,eeee"),
        ("0010,0020)=x", "there is ')' behind '0010,0020'"),
        ("ScheduledProcedureStepSequence[]=x", "there is '[]' behind 'ScheduledProcedureStepSequence'"),
        ("ScheduledProcedureStepSequence[-1].Modality", "there is '[-1].Modality' behind"),
        ("ScheduledProcedureStepSequence[1000].Modality", "there is '[1000].Modality' behind"),
        ("ScheduledProcedureStepSequence[0]Modality", "there is 'Modality' behind 'ScheduledProcedureStepSequence[0]'"),
        ("PatientIdd=x", "PatientIdd is not a keyword of the DICOM data dictionary; did you mean PatientID?"),
        ("0000,0002=1.2", "'0000,0002' is no element that a query may have"),
        ("TransferSyntaxUID=1.2", "'TransferSyntaxUID' is no element that a query may have"),
        ("fffe,e000", "'fffe,e000' is no element that a query may have"),
        ("0010,0000", "'0010,0000' is no element that a query may have"),
    ],
)
def test_what_is_no_key(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_key(text)
    assert words in str(caught.value)


def test_a_key_reads_as_it_was_written() -> None:
    for text in ("PatientID", "ScheduledProcedureStepSequence[3].Modality", "0009,1001"):
        assert str(read_key(text)) == text


# putting into a data set


@pytest.mark.parametrize(
    "keys, paths",
    [
        (["PatientName=Doe^J*"], {"PatientName": "Doe^J*"}),
        (["PatientName=Doe", "PatientName"], {"PatientName": ""}),
        (["StudyDate=20200101-20201231"], {"StudyDate": "20200101-20201231"}),
        (["Modality=C*"], {"Modality": "C*"}),
        ([r"StudyInstanceUID=1.2\1.3"], {"StudyInstanceUID": r"1.2\1.3"}),
        (["StudyComments=a.b=c"], {"StudyComments": "a.b=c"}),
        (["InstanceNumber=7"], {"InstanceNumber": "7"}),
        (["SliceThickness=0.50"], {"SliceThickness": "0.50"}),
        ([r"Rows=0\65535"], {"Rows": r"0\65535"}),
        (["TagAngleSecondAxis=-32768"], {"TagAngleSecondAxis": "-32768"}),
        (["SmallestImagePixelValue=65535"], {"SmallestImagePixelValue": "65535"}),
        (["RecommendedDisplayFrameRateInFloat=1.5"], {"RecommendedDisplayFrameRateInFloat": "1.5"}),
        ([r"FrameIncrementPointer=(0018,1063)\00181065"], {"FrameIncrementPointer": r"0018,1063\0018,1065"}),
        (["Rows", "PixelData", "FrameIncrementPointer", "SliceThickness", "InstanceNumber"], "empty"),
        (["ScheduledProcedureStepSequence"], {"ScheduledProcedureStepSequence": ""}),
        (["ScheduledProcedureStepSequence[0]"], {"ScheduledProcedureStepSequence[0]": ""}),
        (["ScheduledProcedureStepSequence.Modality=CT"], {"ScheduledProcedureStepSequence[0].Modality": "CT"}),
        (
            ["0040,0100[0].Modality=CT", "0040,0100[0].0040,0001=AET", "0040,0100[0].Modality=MR"],
            {
                "ScheduledProcedureStepSequence[0].Modality": "MR",
                "ScheduledProcedureStepSequence[0].ScheduledStationAETitle": "AET",
            },
        ),
        (
            ["0040,0100[1].Modality=CT"],
            {"ScheduledProcedureStepSequence[0]": "", "ScheduledProcedureStepSequence[1].Modality": "CT"},
        ),
        (["0040,0100[0].Modality=CT", "0040,0100="], {"ScheduledProcedureStepSequence": ""}),
        (
            ["0040,0100[0].0040,0008[0].CodeValue=1"],
            {"ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence[0].CodeValue": "1"},
        ),
        (["0009,0010=ACME"], {"0009,0010": "ACME"}),
        # this one's meaning is in pydicom's dictionary of private elements
        (["0009,0010=GEMS_IDEN_01", "0009,1002=CT01"], {"0009,0010": "GEMS_IDEN_01", "0009,1002": "CT01"}),
        (["0009,1001=odd"], {"0009,1001": "(4 bytes)"}),
        (["0008,fff1=even"], {"0008,fff1": "(4 bytes)"}),
        (["0008,fff1"], {"0008,fff1": ""}),
    ],
)
def test_keys_become_elements(keys: list[str], paths: dict[str, str] | str) -> None:
    expected = dict.fromkeys(keys, "") if isinstance(paths, str) else paths
    assert dict(paths_of(keyed(*keys))) == expected


@pytest.mark.parametrize(
    "key, words",
    [
        ("Rows=many", "'many' is no value for Rows (US)"),
        ("Rows=65536", "'65536' is no value for Rows (US)"),
        ("TagAngleSecondAxis=-32769", "is no value for TagAngleSecondAxis (SS)"),
        ("InstanceNumber=1-5", "'1-5' is no value for InstanceNumber (IS)"),
        ("SliceThickness=thin", "'thin' is no value for SliceThickness (DS)"),
        ("RecommendedDisplayFrameRateInFloat=x", "is no value for RecommendedDisplayFrameRateInFloat (FL)"),
        ("FrameIncrementPointer=Modality", "is no value for FrameIncrementPointer (AT)"),
        ("PixelData=1", "'1' is no value for PixelData (OB)"),
        ("0008,fff1=\udcff", "is no value for 0008,fff1 (UN)"),
        ("ScheduledProcedureStepSequence=CT", "takes no value; name an element of its items"),
        ("ScheduledProcedureStepSequence[0]=CT", "takes no value; name an element of its items"),
        ("Modality[0]=CT", "Modality is no sequence"),
        ("Modality.PatientID=1", "Modality is no sequence"),
    ],
)
def test_what_an_element_cannot_have(key: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        assign(Dataset(), read_key(key))
    assert words in str(caught.value)


def test_items_that_are_there_are_used() -> None:
    ds = dataset(ScheduledProcedureStepSequence=[{"Modality": "CT"}, {"Modality": "MR"}])
    assign(ds, read_key("ScheduledProcedureStepSequence[1].ScheduledStationAETitle=AET"))
    first, second = ds.ScheduledProcedureStepSequence
    assert (first, second) == (dataset(Modality="CT"), dataset(Modality="MR", ScheduledStationAETitle="AET"))


def test_elements_keep_the_vr_they_have() -> None:
    ds = Dataset()
    ds.add_new(0x00091001, "DA", "20200101")
    assign(ds, read_key("0009,1001=20210101-"))
    assert (ds[0x00091001].VR, ds[0x00091001].value) == ("DA", "20210101-")


# taking from a data set


def test_values_that_cannot_be_decoded() -> None:
    ds = Dataset()
    ds[0x00280010] = RawDataElement(BaseTag(0x00280010), "US", 3, b"abc", 0, False, True)
    ds[0x00400100] = RawDataElement(BaseTag(0x00400100), "SQ", 3, b"abc", 0, False, True)
    assert dict(paths_of(ds)) == {
        "Rows": "(cannot be decoded)",
        "ScheduledProcedureStepSequence": "(cannot be decoded)",
    }


def test_elements_stand_in_the_order_of_their_tags() -> None:
    ds = dataset(PatientID="1", StudyDate="20200101", RequestAttributesSequence=[{"PatientID": "2", "StudyTime": "1"}])
    assert list(paths_of(ds, "at.")) == [
        ("at.StudyDate", "20200101"),
        ("at.PatientID", "1"),
        ("at.RequestAttributesSequence[0].StudyTime", "1"),
        ("at.RequestAttributesSequence[0].PatientID", "2"),
    ]


def elements(nested: st.SearchStrategy[Dataset] | None = None) -> st.SearchStrategy[Dataset]:
    """Data sets of some kinds of elements."""
    # neither padding, which does not survive, nor backslashes, which separate
    text = st.text(st.characters(codec="ascii", exclude_categories=["C"], exclude_characters="\\ ="), max_size=9)
    kinds: dict[str, st.SearchStrategy[object]] = {
        "PatientID": text,
        "StudyDescription": st.lists(text.filter(bool), min_size=2, max_size=3),
        "StudyInstanceUID": st.from_regex(r"[1-9](\.[1-9][0-9]{0,3}){0,4}", fullmatch=True),
        "Rows": st.integers(0, 65535),
        "TagAngleSecondAxis": st.integers(-32768, 32767),
        "InstanceNumber": st.integers(-1000, 1000).map(str),
        "EventElapsedTimes": st.floats(-1e6, 1e6).map(lambda number: f"{number:.3f}"),
        "RealWorldValueIntercept": st.floats(allow_nan=False),
        "ScheduledProcedureStepSequence": st.lists(nested, max_size=3) if nested is not None else st.just([]),
    }
    return st.fixed_dictionaries({}, optional=kinds).map(lambda found: dataset(**found))


@given(elements(elements(elements())))
def test_paths_of_a_data_set_make_it_again(ds: Dataset) -> None:
    again = Dataset()
    for path, text in paths_of(ds):
        assign(again, read_key(f"{path}={text}"))
    assert encode(again, ImplicitVRLittleEndian) == encode(ds, ImplicitVRLittleEndian)
    assert list(paths_of(again)) == list(paths_of(ds))


PIECES = [
    "PatientID",
    "0010,0020",
    "(0040,0100)",
    "Rows",
    "0009,1001",
    "[0]",
    "[1]",
    "[",
    ".",
    "=",
    "5",
    "\\",
    "ä",
    " ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_whatever_is_typed_is_a_key_or_a_reason(text: str) -> None:
    ds = Dataset()
    try:
        key = read_key(text)
        assign(ds, key)
    except ValueError:
        return
    assert list(ds.keys()) == [key.steps[0].tag]

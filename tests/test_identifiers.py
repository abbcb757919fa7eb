import datetime

import pytest
from pydicom.dataset import Dataset

from dicomio.datasets import decode, encode
from dicomio.identifiers import dataset, query

EXPLICIT_LE = "1.2.840.10008.1.2.1"


def test_query_is_a_data_set_with_its_level() -> None:
    ds = query("STUDY", PatientName="DOE*", StudyInstanceUID="", StudyDate="20240101-")
    assert {each.keyword: str(each.value) for each in ds} == {
        "QueryRetrieveLevel": "STUDY",
        "StudyDate": "20240101-",
        "PatientName": "DOE*",
        "StudyInstanceUID": "",
    }


def test_a_worklist_query_has_no_level() -> None:
    ds = query("", ScheduledProcedureStepSequence=[{"Modality": "CT", "ScheduledProcedureStepStartDate": ""}])
    assert "QueryRetrieveLevel" not in ds
    (step,) = ds.ScheduledProcedureStepSequence
    assert (step.Modality, step.ScheduledProcedureStepStartDate) == ("CT", "")


def test_values_of_every_kind() -> None:
    ds = dataset(
        PerformedProcedureStepStatus="IN PROGRESS",
        Rows=512,
        PixelSpacing=[0.5, 0.25],
        StudyDate=datetime.date(2026, 1, 2),
        StudyInstanceUID=["1.2.3", "1.2.4"],
        PatientSex=None,
        EncapsulatedDocument=b"\1\2",
    )
    again = decode(encode(ds, "1.2.840.10008.1.2"), "1.2.840.10008.1.2")
    assert again.PerformedProcedureStepStatus == "IN PROGRESS"
    assert again.Rows == 512
    assert again.PixelSpacing == [0.5, 0.25]
    assert again.StudyDate == "20260102"
    assert again.StudyInstanceUID == ["1.2.3", "1.2.4"]
    assert not again.PatientSex
    assert again.EncapsulatedDocument == b"\1\2"


def test_wildcards_and_ranges_are_no_wrong_values() -> None:
    ds = query("SERIES", Modality="C?", SeriesTime="1000-1100", PerformedStationAETitle="*")
    assert b"C?" in encode(ds, EXPLICIT_LE)
    assert b"1000-1100 " in encode(ds, EXPLICIT_LE)


def test_sequences_nest() -> None:
    code = {"CodeValue": "T-04000", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Breast"}
    ds = dataset(AnatomicRegionSequence=[{**code, "AnatomicRegionModifierSequence": [code, code]}])
    (region,) = ds.AnatomicRegionSequence
    assert [item.CodeValue for item in region.AnatomicRegionModifierSequence] == ["T-04000", "T-04000"]


@pytest.mark.parametrize("tag", ["00080061", "0008,0061", "(0008,0061)"])
def test_keys_may_be_tags(tag: str) -> None:
    assert query("STUDY", **{tag: "CT"}) == query("STUDY", ModalitiesInStudy="CT")
    (item,) = dataset(RequestAttributesSequence={"0040,0009": "7"}).RequestAttributesSequence
    assert item.ScheduledProcedureStepID == "7"
    assert dataset(**{"6002,0010": 5})[0x60020010].VR == "US"


@pytest.mark.parametrize("tag", ["00091001", "0008,0002", "(0040,"])
def test_tags_that_nobody_knows_are_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="DICOM data dictionary"):
        query("STUDY", **{tag: ""})


@pytest.mark.parametrize("one", [{"CodeValue": "1"}, [{"CodeValue": "1"}], dataset(CodeValue="1")])
def test_a_single_item_needs_no_list(one: object) -> None:
    assert [item.CodeValue for item in dataset(ConceptNameCodeSequence=one).ConceptNameCodeSequence] == ["1"]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_an_empty_sequence_matches_everything(nothing: object) -> None:
    ds = dataset(ScheduledProcedureStepSequence=nothing)
    assert encode(ds, EXPLICIT_LE) == b"\x40\x00\x00\x01SQ\0\0\0\0\0\0"


@pytest.mark.parametrize("wrong", [5, "text", ["text"], [1]])
def test_a_sequence_takes_items_only(wrong: object) -> None:
    with pytest.raises(ValueError, match="ConceptNameCodeSequence is a sequence"):
        dataset(ConceptNameCodeSequence=wrong)


@pytest.mark.parametrize(
    "wrong, right",
    [("PatientsName", "PatientName"), ("StudyInstanceUid", "StudyInstanceUID"), ("patientname", "PatientName")],
)
def test_a_wrong_keyword_is_told_what_may_have_been_meant(wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"{wrong} is not a keyword .*did you mean {right}"):
        query("STUDY", **{wrong: ""})


def test_a_keyword_like_none_other_is_refused_without_a_hint() -> None:
    with pytest.raises(ValueError, match=r"dictionary$"):
        dataset(**{"": 1})
    with pytest.raises(ValueError, match=r"dictionary$"):
        dataset(zzzzqqqq=1)


def test_a_wrong_keyword_in_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match="CodeValues"):
        dataset(ConceptNameCodeSequence=[{"CodeValues": "1"}])


def test_a_value_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="PixelSpacing"):
        dataset(PixelSpacing="wide")


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientName": "Müller^Jörg"},
        {"PatientName": ["A", "Ö"]},
        {"RequestAttributesSequence": [{"RequestedProcedureDescription": "Schädel"}]},
        {
            "RequestAttributesSequence": [
                dataset(RequestedProcedureDescription="Schädel", SpecificCharacterSet="ISO_IR 100")
            ]
        },
    ],
)
def test_texts_beyond_ascii_are_sent_as_utf_8(elements: dict[str, object]) -> None:
    ds = dataset(**elements)
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert decode(encode(ds, EXPLICIT_LE), EXPLICIT_LE) == ds


def test_the_character_set_may_be_chosen() -> None:
    ds = dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Müller")
    assert "Müller".encode("latin-1") in encode(ds, EXPLICIT_LE)


def test_ascii_needs_no_character_set() -> None:
    assert "SpecificCharacterSet" not in dataset(PatientName="Mueller", OtherPatientIDsSequence=[Dataset()])

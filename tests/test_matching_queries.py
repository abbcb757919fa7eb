"""Whole identifiers against whole candidates: sequences, responses, character sets, timezones (PS3.4 C.2.2.2)."""

from collections.abc import Mapping
from copy import deepcopy

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio.datasets import decode, encode
from dicomio.identifiers import dataset, query
from dicomio.matching import InvalidKey, MatchOptions, compile_query, matches, project

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
COMBINED = MatchOptions(combined_datetime=True)


def transmitted(ds: Dataset, transfer_syntax: str = IMPLICIT) -> Dataset:
    """A data set as it arrives at the other side, its values not looked at yet."""
    return decode(encode(ds, transfer_syntax), transfer_syntax)


def step(modality: str = "MR", day: str = "20240101", time: str = "1000", codes: object = None) -> dict[str, object]:
    """A scheduled procedure step."""
    start = {"ScheduledProcedureStepStartDate": day, "ScheduledProcedureStepStartTime": time}
    more = {} if codes is None else {"ScheduledProtocolCodeSequence": codes}
    return {"Modality": modality, "ScheduledStationAETitle": "MR1", **start, **more}


def worklist_entry(*steps: Mapping[str, object]) -> Dataset:
    """An entry of a modality worklist (PS3.4 K.6.1.2)."""
    return dataset(PatientName="DOE^JANE", PatientID="1", ScheduledProcedureStepSequence=list(steps))


def worklist_query(**step_keys: object) -> Dataset:
    """What a modality asks for."""
    return query("", PatientName="", ScheduledProcedureStepSequence=[step_keys])


# Sequence matching


@pytest.mark.parametrize(
    "keys, expected",
    [
        ({"Modality": "MR"}, True),
        ({"Modality": "CT"}, False),
        ({"Modality": "MR", "ScheduledProcedureStepStartDate": "20240101-20240103"}, True),
        ({"Modality": "MR", "ScheduledProcedureStepStartDate": "20250101-"}, False),
        ({"Modality": "MR", "ScheduledStationAETitle": "MR?"}, True),
        ({"Modality": "", "ScheduledStationAETitle": ""}, True),
        ({}, True),
        ({"Modality": '""'}, False),
        ({"ScheduledPerformingPhysicianName": '""'}, True),
        ({"ScheduledPerformingPhysicianName": "X"}, False),
    ],
)
def test_a_worklist_query(keys: dict[str, object], expected: bool) -> None:
    assert matches(worklist_query(**keys), worklist_entry(step())) is expected


def test_all_keys_have_to_match_in_one_and_the_same_item() -> None:
    entry = worklist_entry(step("MR", "20240101"), step("CT", "20240102"))
    assert matches(worklist_query(Modality="CT", ScheduledProcedureStepStartDate="20240102"), entry)
    assert not matches(worklist_query(Modality="CT", ScheduledProcedureStepStartDate="20240101"), entry)


@pytest.mark.parametrize("entry", [dataset(PatientID="1"), worklist_entry()])
def test_a_sequence_without_items_matches_only_what_asks_for_nothing(entry: Dataset) -> None:
    assert matches(worklist_query(Modality="", ScheduledStationAETitle="*"), entry)
    assert matches(query("", ScheduledProcedureStepSequence=[]), entry)
    assert not matches(worklist_query(Modality="MR"), entry)


def test_one_of_several_items_of_the_key_is_enough() -> None:
    identifier = query("", ScheduledProcedureStepSequence=[{"Modality": "CT"}, {"Modality": "M?"}])
    assert matches(identifier, worklist_entry(step("MR")))
    assert not matches(identifier, worklist_entry(step("US")))
    universal = query("", ScheduledProcedureStepSequence=[{"Modality": "CT"}, {}])
    assert matches(universal, worklist_entry(step("US")))


def test_sequences_in_sequences() -> None:
    first, second = ([{"CodeValue": value, "CodeMeaning": "a protocol"}] for value in ("P1", "P2"))
    entry = worklist_entry(step(codes=first), step(codes=second))
    identifier = worklist_query(ScheduledProtocolCodeSequence=[{"CodeValue": "P2"}])
    assert matches(identifier, entry)
    assert not matches(worklist_query(ScheduledProtocolCodeSequence=[{"CodeValue": "P3"}]), entry)
    (item,) = project(identifier, entry).ScheduledProcedureStepSequence
    assert item == dataset(**{"ScheduledProtocolCodeSequence": [{"CodeValue": "P2"}]})


# Responses


def test_a_response_has_what_was_asked_for() -> None:
    study = dataset(PatientID="1", PatientName="DOE", StudyDate="20240101", ModalitiesInStudy=["CT", "MR"])
    identifier = query("STUDY", PatientName="D*", ModalitiesInStudy="", AccessionNumber="", StudyTime="")
    response = project(identifier, study)
    assert [element.keyword for element in response] == [
        "StudyTime",
        "AccessionNumber",
        "QueryRetrieveLevel",
        "ModalitiesInStudy",
        "PatientName",
    ]
    assert response.PatientName == "DOE"
    assert response.ModalitiesInStudy == ["CT", "MR"]
    assert response.QueryRetrieveLevel == "STUDY"
    assert response["AccessionNumber"].is_empty
    assert response["StudyTime"].is_empty


def test_a_response_without_level_where_there_is_none() -> None:
    assert "QueryRetrieveLevel" not in project(query("", PatientID=""), dataset(PatientID="1"))


def test_the_level_is_that_of_the_query() -> None:
    study = dataset(PatientID="1", QueryRetrieveLevel="IMAGE", QueryRetrieveView="CLASSIC")
    response = project(query("STUDY", PatientID="", QueryRetrieveView="ENHANCED"), study)
    assert (response.QueryRetrieveLevel, response.QueryRetrieveView) == ("STUDY", "ENHANCED")


def test_file_meta_information_in_an_identifier_is_passed_over() -> None:
    """Orthanc 1.10 sends Media Storage SOP Instance UID beside SOP Instance UID."""
    image = dataset(SOPInstanceUID="1.2")
    identifier = query("IMAGE", SOPInstanceUID="1.2")
    identifier.add_new(0x00020003, "UI", "1.2")
    assert matches(identifier, image)
    assert [element.keyword for element in project(identifier, image)] == ["SOPInstanceUID", "QueryRetrieveLevel"]


def test_a_response_has_the_items_that_match() -> None:
    entry = worklist_entry(step("MR"), step("CT", "20240102"), step("MR", "20240103"))
    response = project(
        worklist_query(Modality="MR", ScheduledProcedureStepStartDate="", CommentsOnTheScheduledProcedureStep=""), entry
    )
    items = response.ScheduledProcedureStepSequence
    assert [item.ScheduledProcedureStepStartDate for item in items] == ["20240101", "20240103"]
    assert all(len(item) == 3 for item in items)
    assert all(item["CommentsOnTheScheduledProcedureStep"].is_empty for item in items)


def test_a_sequence_key_that_matches_everything_returns_every_item() -> None:
    entry = worklist_entry(step("MR"), step("CT"))
    response = project(worklist_query(Modality=""), entry)
    assert [list(item) for item in response.ScheduledProcedureStepSequence] == [
        [item["Modality"]] for item in entry.ScheduledProcedureStepSequence
    ]


@pytest.mark.parametrize("items", [[], [{}], [{}, {"Modality": ""}]])
def test_an_empty_sequence_or_item_asks_for_everything(items: list[object]) -> None:
    entry = worklist_entry(step("MR"), step("CT"))
    response = project(query("", ScheduledProcedureStepSequence=items), entry)
    assert response.ScheduledProcedureStepSequence == entry.ScheduledProcedureStepSequence


def test_each_item_is_answered_as_the_items_of_the_key_that_it_matches() -> None:
    keys = [
        {"Modality": "CT", "ScheduledStationAETitle": ""},
        {"ScheduledProcedureStepStartDate": "20240101"},
    ]
    entry = worklist_entry(step("MR"), step("CT", "20240102"), step("US", "20240103"), step("CT"))
    first, second, both = project(query("", ScheduledProcedureStepSequence=keys), entry).ScheduledProcedureStepSequence
    assert first == dataset(ScheduledProcedureStepStartDate="20240101")
    assert second == dataset(Modality="CT", ScheduledStationAETitle="MR1")
    assert both == dataset(Modality="CT", ScheduledStationAETitle="MR1", ScheduledProcedureStepStartDate="20240101")


def test_a_response_without_the_sequence_has_it_empty() -> None:
    response = project(worklist_query(Modality=""), dataset(PatientName="DOE"))
    assert len(response.ScheduledProcedureStepSequence) == 0


def test_a_value_that_cannot_be_read_is_answered_as_none() -> None:
    candidate = Dataset()
    candidate[Tag("Rows")] = RawDataElement(Tag("Rows"), "US", 3, b"\1\0\1", 0, False, True)
    assert project(query("IMAGE", Rows=""), candidate)["Rows"].is_empty


def test_private_blocks_keep_their_creator() -> None:
    identifier, candidate = Dataset(), Dataset()
    for ds, value in ((identifier, ""), (candidate, "ABC")):
        item = Dataset()
        item.private_block(0x0011, "dicomio", create=True).add_new(1, "LO", value)
        ds.private_block(0x0011, "dicomio", create=True).add_new(1, "LO", value)
        ds.ReferencedStudySequence = [item]
    response = project(identifier, candidate)
    assert response.private_block(0x0011, "dicomio")[1].value == "ABC"
    assert response.ReferencedStudySequence[0].private_block(0x0011, "dicomio")[1].value == "ABC"
    other = project(identifier, dataset(ReferencedStudySequence=[{}]))
    assert other.private_block(0x0011, "dicomio")[1].value == ""


def test_group_lengths_are_not_answered() -> None:
    identifier = query("STUDY", PatientID="")
    identifier.add_new(0x00100000, "UL", 12)
    assert Tag(0x00100000) not in project(identifier, dataset(PatientID="1"))


def test_nothing_is_shared_with_the_candidate() -> None:
    entry = worklist_entry(step("MR"))
    entry.ModalitiesInStudy = ["CT", "MR"]
    identifier = query("STUDY", PatientName="", ModalitiesInStudy="", ScheduledProcedureStepSequence=[])
    before = deepcopy((identifier, entry))
    response = project(identifier, entry)
    response.PatientName = "ROE"
    response.QueryRetrieveLevel = "SERIES"
    response.ModalitiesInStudy.append("US")
    response.ScheduledProcedureStepSequence[0].Modality = "US"
    assert (identifier, entry) == before


def test_a_query_serves_many_candidates() -> None:
    asked = compile_query(query("STUDY", PatientID="A*"))
    candidates = [dataset(PatientID=each) for each in ("A1", "B1", "A2")]
    answers = [asked.project(candidate) for candidate in candidates if asked.matches(candidate)]
    assert [answer.PatientID for answer in answers] == ["A1", "A2"]


# Character sets


@pytest.mark.parametrize(
    "asked, stored",
    [
        ("ISO_IR 100", "ISO_IR 192"),
        ("ISO_IR 192", "ISO_IR 100"),
        ("ISO_IR 101", "ISO_IR 100"),
        ("ISO_IR 100", "GB18030"),
    ],
)
def test_texts_match_across_character_sets(asked: str, stored: str) -> None:
    identifier = transmitted(query("STUDY", SpecificCharacterSet=asked, PatientName="müller*", PatientID="Ö?"))
    study = transmitted(dataset(SpecificCharacterSet=stored, PatientName="MÜLLER^JÖRG", PatientID="Ö1"))
    assert matches(identifier, study)
    response = transmitted(project(identifier, study))
    assert response.SpecificCharacterSet == stored
    assert response.PatientName == "MÜLLER^JÖRG"


def test_japanese_names_keep_their_bytes() -> None:
    charset = ["", "ISO 2022 IR 87"]
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    study = transmitted(dataset(SpecificCharacterSet=charset, PatientName=name))
    identifier = transmitted(query("STUDY", SpecificCharacterSet="ISO_IR 192", PatientName="*=山田*"))
    assert matches(identifier, study)
    response = encode(project(identifier, study), EXPLICIT)
    assert decode(response, EXPLICIT).PatientName == name
    assert b"\x1b$B;3ED" in response


def test_a_response_has_no_character_set_that_the_candidate_has_not() -> None:
    identifier = query("STUDY", SpecificCharacterSet="ISO_IR 192", PatientName="")
    assert "SpecificCharacterSet" not in project(identifier, dataset(PatientName="DOE"))


def test_items_keep_the_character_set_of_their_own() -> None:
    entry = dataset(
        SpecificCharacterSet="ISO_IR 100",
        ReferencedStudySequence=[{"SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "ł"}],
    )
    response = transmitted(project(query("", ReferencedStudySequence=[{"StudyDescription": ""}]), transmitted(entry)))
    assert response.ReferencedStudySequence[0].StudyDescription == "ł"


# Dates and times together


@pytest.mark.parametrize(
    "day, time, expected",
    [
        # PS3.4 C.2.2.2.5.4: one range from July 5, 10 am until July 7, 6 pm
        ("20060705", "095959", False),
        ("20060705", "100000", True),
        ("20060706", "030000", True),
        ("20060707", "1800", True),
        ("20060707", "180001", True),
        ("20060707", "180100", False),
        ("20060706", "", False),
    ],
)
def test_combined_datetime_matching(day: str, time: str, expected: bool) -> None:
    identifier = query("STUDY", StudyDate="20060705-20060707", StudyTime="1000-1800")
    assert matches(identifier, dataset(StudyDate=day, StudyTime=time), options=COMBINED) is expected


@pytest.mark.parametrize(
    "day, time, expected",
    [
        ("20240101", "215959", False),
        ("20240101", "2200", True),
        ("20240102", "060059", True),
        ("20240102", "0601", False),
    ],
)
def test_a_night_begins_and_ends_at_times_that_are_no_range(day: str, time: str, expected: bool) -> None:
    night = query("STUDY", StudyDate="20240101-20240102", StudyTime="2200-0600")
    assert matches(night, dataset(StudyDate=day, StudyTime=time), options=COMBINED) is expected


@pytest.mark.parametrize(
    "days, times", [("20240101-20240101", "2200-0600"), ("20240102-20240101", "0600-2200"), ("-", "-")]
)
def test_a_night_that_ends_before_it_begins_is_refused(days: str, times: str) -> None:
    with pytest.raises(InvalidKey, match=r"StudyDate: .* range"):
        matches(query("STUDY", StudyDate=days, StudyTime=times), dataset(), options=COMBINED)


def test_without_negotiation_dates_and_times_are_ranges_of_their_own() -> None:
    identifier = query("STUDY", StudyDate="20060705-20060707", StudyTime="1000-1800")
    assert not matches(identifier, dataset(StudyDate="20060706", StudyTime="0300"))


def test_open_ranges_are_combined_if_both_are_open_at_the_same_end() -> None:
    def combined(day: str, time: str) -> bool:
        candidate = dataset(StudyDate="20240102", StudyTime="0800")
        return matches(query("STUDY", StudyDate=day, StudyTime=time), candidate, options=COMBINED)

    assert combined("20240101-", "1000-")
    assert not combined("20240102-", "1000-")
    assert combined("-20240103", "-0700")
    assert not combined("20240101-", "0900-1000")
    assert not combined("20240101-20240103", "1000")
    assert combined("20240101-20240103", "08")
    assert combined("20240101-", "")
    assert not combined("20240101-20240103", "0900-")


def test_several_ranges_are_not_combined() -> None:
    identifier = query("STUDY", StudyDate=["20240101-", "-20230101"], StudyTime="1000-")
    assert not matches(identifier, dataset(StudyDate="20240102", StudyTime="0800"), options=COMBINED)
    assert matches(identifier, dataset(StudyDate="20240102", StudyTime="1100"), options=COMBINED)


def test_worklist_steps_are_combined_too() -> None:
    keys = {"ScheduledProcedureStepStartDate": "20240101-20240103", "ScheduledProcedureStepStartTime": "1200-1000"}
    assert matches(worklist_query(**keys), worklist_entry(step("MR", "20240102", "1100")), options=COMBINED)
    with pytest.raises(InvalidKey, match="ScheduledProcedureStepStartTime"):
        matches(worklist_query(**keys), worklist_entry(step()))
    keys["ScheduledProcedureStepStartTime"] = "1000-1200"
    assert matches(worklist_query(**keys), worklist_entry(step("MR", "20240102", "0300")), options=COMBINED)
    assert not matches(worklist_query(**keys), worklist_entry(step("MR", "20240102", "0300")))


# Timezones


@pytest.mark.parametrize(
    "key, there, expected",
    [
        # at +0100 an hour after what the candidate's clock at +0000 shows
        ({"StudyDate": "20240102"}, {"StudyDate": "20240101", "StudyTime": "233000"}, True),
        ({"StudyDate": "20240101"}, {"StudyDate": "20240101", "StudyTime": "233000"}, False),
        ({"StudyDate": "20240101-"}, {"StudyDate": "20231231", "StudyTime": "23"}, True),
        ({"StudyDate": "20240101"}, {"StudyDate": "20240101"}, True),
        ({"StudyTime": "0030"}, {"StudyDate": "20240101", "StudyTime": "2330"}, True),
        ({"StudyTime": "0030"}, {"StudyTime": "2330"}, True),
        ({"StudyTime": "2330"}, {"StudyTime": "2330"}, False),
        ({"AcquisitionDateTime": "202401010030"}, {"AcquisitionDateTime": "202312312330"}, True),
        ({"AcquisitionDateTime": "202401010030"}, {"AcquisitionDateTime": "202401010030+0100"}, True),
        ({"AcquisitionDateTime": "202401010030+0000"}, {"AcquisitionDateTime": "202401010030"}, True),
        ({"AcquisitionDateTime": "2024"}, {"AcquisitionDateTime": "no date"}, False),
        ({"AcquisitionDateTime": "2024"}, {"AcquisitionDateTime": "00000101"}, False),
        ({"LastMenstrualDate": "20240101"}, {"LastMenstrualDate": "20240101", "StudyTime": "2330"}, True),
        ({"PatientID": "1"}, {"PatientID": "1"}, True),
        ({"PatientID": "1", "StudyDate": "20240101"}, {"PatientID": "1"}, False),
        (
            {"ReferencedStudySequence": [{"StudyDate": "20240102", "PatientID": "1"}]},
            {"ReferencedStudySequence": [{"StudyDate": "20240101", "StudyTime": "2330", "PatientID": "1"}]},
            True,
        ),
        (
            {"ReferencedStudySequence": [{"PatientID": "1"}, {"StudyDate": "20240102"}]},
            {"ReferencedStudySequence": [{"StudyDate": "20240101", "StudyTime": "2330"}]},
            True,
        ),
    ],
)
def test_timezones(key: dict[str, object], there: dict[str, object], expected: bool) -> None:
    identifier = query("STUDY", TimezoneOffsetFromUTC="+0100", **key)
    assert matches(identifier, dataset(TimezoneOffsetFromUTC="+0000", **there)) is expected
    utc = MatchOptions(timezone="+0000")
    assert matches(identifier, dataset(**there), options=utc) is expected
    here = MatchOptions(timezone="+0100")
    unsaid = query("STUDY", **key)
    assert matches(unsaid, dataset(TimezoneOffsetFromUTC="+0000", **there), options=here) is expected


def test_where_a_timezone_is_not_known_the_clock_counts() -> None:
    study = dataset(StudyDate="20240101", StudyTime="2330")
    assert matches(query("STUDY", TimezoneOffsetFromUTC="+0100", StudyDate="20240101"), study)
    study.TimezoneOffsetFromUTC = "nowhere"
    assert matches(query("STUDY", TimezoneOffsetFromUTC="+0100", StudyDate="20240101"), study)
    study.TimezoneOffsetFromUTC = "-0500"
    assert matches(query("STUDY", StudyDate="20240101"), study)


def test_a_datetime_that_says_its_offset_needs_none_of_the_identifier() -> None:
    identifier = query("STUDY", AcquisitionDateTime="202401010030+0100")
    assert matches(identifier, dataset(TimezoneOffsetFromUTC="-0500", AcquisitionDateTime="202312311830"))
    assert not matches(identifier, dataset(TimezoneOffsetFromUTC="-0500", AcquisitionDateTime="202401010030"))


def test_days_at_the_end_of_the_calendar_stay_where_they_are() -> None:
    identifier = query("STUDY", TimezoneOffsetFromUTC="+1400", StudyDate="99991231")
    assert matches(identifier, dataset(TimezoneOffsetFromUTC="-1200", StudyDate="99991231", StudyTime="23"))


def test_combined_ranges_are_in_the_timezone_of_the_identifier() -> None:
    identifier = query("STUDY", TimezoneOffsetFromUTC="+0100", StudyDate="20240102-20240103", StudyTime="00-01")
    study = dataset(TimezoneOffsetFromUTC="+0000", StudyDate="20240101", StudyTime="2330")
    assert matches(identifier, study, options=COMBINED)


def test_a_response_has_the_values_of_the_candidate_and_its_timezone() -> None:
    steps = [step("MR", "20240101", "2330"), step("MR", "20240101", "1200")]
    entry = worklist_entry(*steps)
    entry.TimezoneOffsetFromUTC = "+0000"
    identifier = worklist_query(ScheduledProcedureStepStartDate="20240102")
    identifier.TimezoneOffsetFromUTC = "+0100"
    response = project(identifier, entry)
    assert response.TimezoneOffsetFromUTC == "+0000"
    assert [item.ScheduledProcedureStepStartDate for item in response.ScheduledProcedureStepSequence] == ["20240101"]


@pytest.mark.parametrize("offset", ["0100", "+1500", "-1201", "+01:00", "+0\u066000", ""])
def test_a_timezone_is_an_offset(offset: str) -> None:
    with pytest.raises(ValueError, match="is no offset from UTC"):
        MatchOptions(timezone=offset)


def test_an_identifier_with_a_timezone_that_is_none() -> None:
    with pytest.raises(InvalidKey, match="TimezoneOffsetFromUTC: 'CET' is no offset from UTC"):
        matches(query("STUDY", TimezoneOffsetFromUTC="CET"), dataset())

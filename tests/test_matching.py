"""What a key of each kind matches, case by case (PS3.4 C.2.2.2)."""

from typing import Any

import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio.identifiers import dataset, query
from dicomio.matching import (
    Empty,
    FuzzyName,
    InvalidKey,
    MatchOptions,
    Range,
    SequenceKey,
    Single,
    UIDList,
    Universal,
    Values,
    Wildcard,
    comparable,
    matches,
    parse_key,
)

STRICT = MatchOptions(ignore_case_in_names=False)
FUZZY = MatchOptions(fuzzy_names=True)


def found(keyword: str, key: object, candidate: object, options: MatchOptions | None = None) -> bool:
    """Whether an entity with this value matches a query for this key."""
    return matches(query("STUDY", **{keyword: key}), dataset(**{keyword: candidate}), options=options or MatchOptions())


def key_of(keyword: str, value: object) -> Any:
    """The key that an element of an identifier is."""
    return parse_key(query("", **{keyword: value})[keyword])


def raw(keyword: str, vr: str, value: bytes) -> RawDataElement:
    """An element as it came from the network."""
    return RawDataElement(Tag(keyword), vr, len(value), value, 0, False, True)


@pytest.mark.parametrize(
    "keyword, key, candidate, expected",
    [
        # text: case, padding, many values
        ("PatientID", "A1", "A1", True),
        ("PatientID", "A1", "a1", False),
        ("PatientID", "A1", "A12", False),
        ("PatientID", "A1 ", "A1", True),
        ("PatientID", " A1", "A1 ", True),
        ("PatientID", "A1", "", False),
        ("StudyDescription", "Köpf", "Köpf", True),
        ("StudyDescription", "Kopf", "Köpf", False),
        ("StudyDescription", "脳MR", "脳MR", True),
        ("ModalitiesInStudy", "MR", ["CT", "MR"], True),
        ("ModalitiesInStudy", "MR", ["CT", "MG"], False),
        ("PatientComments", "  indented", "  indented  ", True),
        ("PatientComments", "indented", "  indented", False),
        ("PatientAge", "045Y", "045Y", True),
        ("PatientAge", "045Y", "045M", False),
        # UIDs, one and many
        ("StudyInstanceUID", "1.2.3", "1.2.3", True),
        ("StudyInstanceUID", "1.2.3", "1.2.30", False),
        ("StudyInstanceUID", ["1.2.3", "1.2.4"], "1.2.4", True),
        ("StudyInstanceUID", ["1.2.3", "1.2.4"], "1.2.5", False),
        ("StudyInstanceUID", ["1.2.3", "1.2.4"], "", False),
        ("SOPClassesInStudy", ["1.2.3", "1.2.4"], ["1.2.9", "1.2.3"], True),
        # several values of anything else
        ("ModalitiesInStudy", ["CT", "MR"], "MR", True),
        ("ModalitiesInStudy", ["CT", "MR"], ["US", "CT"], True),
        ("ModalitiesInStudy", ["CT", "MR"], "US", False),
        ("PatientID", ["A*", "B1"], "A7", True),
        ("PatientID", ["A*", "B1"], "B7", False),
        ("StudyDate", ["20240101", "20250101-"], "20260101", True),
        ("StudyDate", ["20240101", "20250101-"], "20240102", False),
        # numbers are compared as numbers
        ("SeriesNumber", "1", "01", True),
        ("SeriesNumber", "1", "+1", True),
        ("SeriesNumber", "1", "10", False),
        ("SeriesNumber", "0", "0", True),
        ("SeriesNumber", "0", "", False),
        ("PatientWeight", "1", "1.0", True),
        ("PatientWeight", "0.1", "1e-1", True),
        ("PatientWeight", ".5", "0.5", True),
        ("PatientWeight", "0.1", "0.11", False),
        ("Rows", 512, 512, True),
        ("Rows", 512, 256, False),
        ("Rows", 0, 0, True),
        ("ImageIndex", 3, 3, True),
        ("SelectorFDValue", 0.5, [0.25, 0.5], True),
        ("SelectorATValue", 0x00100010, [0x00100020, 0x00100010], True),
        ("SelectorATValue", 0x00100010, 0x00100020, False),
        ("SelectorOBValue", b"\1\2", b"\1\2", True),
        ("SelectorOBValue", b"\1\2", b"\1\3", False),
        # empty value matching
        ("AccessionNumber", '""', "", True),
        ("AccessionNumber", '""', "A1", False),
        ("PatientName", '""', "", True),
        ("PatientName", '""', "DOE", False),
        ("StudyDate", '""', "", True),
        ("StudyDate", '""', "20240101", False),
        ("StudyInstanceUID", '""', "", True),
        ("StudyInstanceUID", '""', "1.2", False),
        ("AccessionNumber", ['""', "A1"], "", True),
        ("AccessionNumber", ['""', "A1"], "A1", True),
        ("AccessionNumber", ['""', "A1"], "A2", False),
    ],
)
def test_a_value_matches_the_same_value(keyword: str, key: object, candidate: object, expected: bool) -> None:
    assert found(keyword, key, candidate) is expected


@pytest.mark.parametrize(
    "key, candidate, expected",
    [
        ("*", "", True),
        ("**", "", True),
        ("*", "anything", True),
        ("A*", "A", True),
        ("A*", "ABC", True),
        ("A*", "BA", False),
        ("A*", "a", False),
        ("*A", "BA", True),
        ("*A*", "BAB", True),
        ("*A*", "BB", False),
        ("A?C", "ABC", True),
        ("A?C", "AC", False),
        ("A?", "A", False),
        ("?", "A", True),
        ("?", "", False),
        ("?*", "", False),
        ("A*B*C", "AxxBxxC", True),
        ("A*B*C", "AxxCxxB", False),
        ("[A]*", "[A]1", True),
        ("[A]*", "A", False),
        ("[!A]*", "B", False),
        ("A.*", "AB", False),
        ("A.*", "A.B", True),
        ("A%*", "A%", True),
        ("A_*", "AB", False),
        ("(*", "(1", True),
        ("?脳*", "左脳MR", True),
        ("* ", "A", True),
    ],
)
@pytest.mark.parametrize("keyword", ["PatientID", "StudyDescription", "StationAETitle", "InstitutionAddress"])
def test_wild_cards(keyword: str, key: str, candidate: str, expected: bool) -> None:
    assert found(keyword, key, candidate) is expected


def test_a_star_between_lines_and_in_any_value() -> None:
    assert found("PatientComments", "first*last", "first\r\nlast")
    assert found("ModalitiesInStudy", "M?", ["CT", "MR"])
    assert not found("ModalitiesInStudy", "M?", ["CT", "US"])


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not found("StudyDescription", "*a" * 200 + "b", "a" * 4000)


@pytest.mark.parametrize(
    "key, candidate, expected",
    [
        ("DOE^JOHN", "DOE^JOHN", True),
        ("doe^john", "DOE^JOHN", True),
        ("DOE^JOHN", "DOE^JOHN^^^", True),
        ("DOE^JOHN^^", "DOE^JOHN", True),
        ("DOE^JOHN", "DOE ^ JOHN ", True),
        ("DOE", "DOE^JOHN", False),
        ("DOE^JOHN", "DOE^JOHN^M", False),
        ("DOE*", "DOE^JOHN", True),
        ("doe*", "DOE^JOHN", True),
        ("*JOHN", "DOE^JOHN", True),
        ("DOE^J?HN", "DOE^JOHN", True),
        ("DOE^*", "DOE", True),
        ("DOE^*^*", "DOE", True),
        ("DOE^?*", "DOE", False),
        ("D?E^J*^^^", "DOE^JOHN", True),
        ("^^JOHN*", "DOE", False),
        ("^", "DOE", True),
        ("ÄRGER^Ö*", "ärger^özil", True),
        ("STRAßE", "STRASSE", True),
        ("Ä", "A\u0308", True),
        ("DOE", "", False),
        # component groups
        ("YAMADA^TAROU", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("やまだ*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("山田", "Yamada^Tarou=山田^太郎=やまだ^たろう", False),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Yamada^Tarou=山本^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", False),
        ("=山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("=山田^太郎", "Yamada^Tarou=山田^太郎", True),
        ("=山田^太郎", "山田^太郎", False),
        ("=*=やまだ*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("=*=やまだ*", "Yamada^Tarou=山田^太郎", False),
        ("Yamada*=*", "Yamada^Tarou", True),
        ("*=*=*", "", True),
        ("=", "DOE", True),
        ("A=B=C=D", "A=B=C", True),
    ],
)
def test_person_names(key: str, candidate: str, expected: bool) -> None:
    assert found("PatientName", key, candidate) is expected


def test_names_may_be_case_sensitive() -> None:
    assert not found("PatientName", "doe*", "DOE^JOHN", STRICT)
    assert not found("PatientName", "Doe^John", "DOE^JOHN", STRICT)
    assert found("PatientName", "DOE^J*", "DOE^JOHN", STRICT)


def test_one_of_many_names_is_enough() -> None:
    assert found("OtherPatientNames", "ROE^*", ["DOE^JANE", "ROE^JANE"])
    assert found("OtherPatientNames", ["DOE", "ROE"], ["POE", "ROE"])
    assert not found("OtherPatientNames", "ROE", ["DOE", "POE"])


@pytest.mark.parametrize(
    "key, candidate, expected",
    [
        ("müller", "MULLER^HANS", True),
        ("hans muller", "Müller^Hans", True),
        ("Hans^Müller", "MULLER^HANS^PETER", True),
        ("mul", "Müller^Hans", True),
        ("Müller^Fritz", "Müller^Hans", False),
        ("*ller", "Müller^Hans", True),
        ("m?ller hans", "Müller^Hans", True),
        ("*ulle", "Müller^Hans", False),
        ("sorensen", "Sørensen^Åse", True),
        ("OBRIEN", "O'Brien^Pat", True),
        ("smith", "Smith-Jones^Ann", True),
        ("jones", "Smith-Jones^Ann", True),
        ("山田", "Yamada^Tarou=山田^太郎", True),
        ("=山田", "Yamada^Tarou=山田^太郎", True),
        ("=山田", "Yamada^Tarou", False),
        ("", "DOE", True),
        ("*", "", True),
        ("^", "", True),
        ("DOE", "", False),
    ],
)
def test_fuzzy_names(key: str, candidate: str, expected: bool) -> None:
    assert found("PatientName", key, candidate, FUZZY) is expected


@pytest.mark.parametrize(
    "key, candidate, expected",
    [
        ("20240131", "20240131", True),
        ("20240131", "2024.01.31", True),
        ("2024.01.31", "20240131", True),
        ("20240131", "20240130", False),
        ("20240131", "", False),
        ("20240131", "garbage", False),
        ("20240101-20240131", "20240101", True),
        ("20240101-20240131", "20240131", True),
        ("20240101-20240131", "2024.01.15", True),
        ("20240101-20240131", "20240201", False),
        ("20240101 - 20240131", "20240110", True),
        ("20240101-", "20240101", True),
        ("20240101-", "99991231", True),
        ("20240101-", "20231231", False),
        ("-20240101", "20240101", True),
        ("-20240101", "20240102", False),
        ("-20240101", "", False),
        ("20240229-20240229", "20240229", True),
        ("*", "20240229", True),
    ],
)
def test_dates(key: str, candidate: str, expected: bool) -> None:
    assert found("StudyDate", key, candidate) is expected


@pytest.mark.parametrize(
    "key, candidate, expected",
    [
        # PS3.4 C.2.2.2.1: times are matched by their meaning
        ("2230", "223000", True),
        ("223000", "2230", True),
        ("223000", "22:30:00", True),
        ("22:30", "223000", True),
        ("1000", "100000", True),
        ("1000", "100059.999999", True),
        ("1000", "100100", False),
        ("10", "105959", True),
        ("10", "110000", False),
        ("100000", "100000.5", True),
        ("100000.5", "100000.500000", True),
        ("100000.5", "100000.6", False),
        ("10-1130", "100000", True),
        ("10-1130", "113059.9", True),
        ("10-1130", "113100", False),
        ("10-1130", "095959", False),
        ("10-", "235959", True),
        ("-10", "105959", True),
        ("-10", "110000", False),
        ("2359", "235960", True),
        ("10", "", False),
        ("10", "25", False),
        ("*", "10", True),
    ],
)
def test_times(key: str, candidate: str, expected: bool) -> None:
    assert found("StudyTime", key, candidate) is expected


@pytest.mark.parametrize(
    "key, candidate, expected",
    [
        ("2024", "20240704120000", True),
        ("2024", "20250101", False),
        ("202402", "20240229235959.999999", True),
        ("20240101", "2024010112", True),
        ("202401011200", "20240101120059", True),
        ("202401011200", "20240101120100", False),
        ("2024-2025", "20251231", True),
        ("2024-2025", "2026", False),
        ("2024-", "2030", True),
        ("-2024", "20241231235959", True),
        ("-2024", "2025", False),
        ("20240101-20240102", "20240102235959", True),
        # the hyphen of an offset is none of a range
        ("20240101120000+0100", "20240101110000+0000", True),
        ("20240101120000-0500", "20240101170000+0000", True),
        ("20240101120000-0500", "20240101120000+0000", False),
        ("20240101120000-0500-20240101130000-0500", "20240101173000+0000", True),
        ("20240101120000-0500-20240101130000-0500", "20240101183000+0000", False),
        ("20240101120000-0500-", "20240101170000+0000", True),
        ("20240101120000-0500-", "20240101165959+0000", False),
        ("-20240101120000-0500", "20240101170000+0000", True),
        ("-20240101120000-0500", "20240101170001+0000", False),
        ("20240101120000+0100-20240101130000+0200", "20240101110000+0000", True),
        ("2024-1200-2025", "20240701", True),
        ("2024-2025-1200", "20240701", True),
        # one side says nothing of its timezone: as the clock showed it
        ("20240101120000+0100", "20240101120000", True),
        ("20240101120000", "20240101120000-0500", True),
        ("20240101120000+0100-20240101130000", "20240101113000+0000", True),
        ("2024", "garbage", False),
        ("2024", "", False),
        ("*", "2024", True),
    ],
)
def test_datetimes(key: str, candidate: str, expected: bool) -> None:
    assert found("AcquisitionDateTime", key, candidate) is expected


@pytest.mark.parametrize(
    "keyword, value, key",
    [
        ("PatientID", "", Universal()),
        ("PatientID", None, Universal()),
        ("PatientID", "  ", Universal()),
        ("PatientID", "*", Universal()),
        ("PatientID", ["A", "*"], Universal()),
        ("PatientID", "A1 ", Single("A1", "LO")),
        ("PatientID", ["A", "", "B*"], Values((Single("A", "LO"), Wildcard("B*", "LO")))),
        ("PatientID", '""', Empty()),
        ("PatientName", "Doe^John^", Single("doe^john", "PN", ignore_case=True)),
        ("PatientName", "Doe^J*", Wildcard("doe^j*", "PN", ignore_case=True)),
        ("StudyInstanceUID", "1.2.3", Single("1.2.3", "UI")),
        ("StudyInstanceUID", ["1.2.3", "1.2.4"], UIDList(frozenset({"1.2.3", "1.2.4"}))),
        ("SeriesNumber", "007", Single(7, "IS")),
        ("PatientWeight", "70.50", Single(70.5, "DS")),
        ("StudyDate", "2024.01.31", Single("20240131", "DA")),
        ("StudyDate", "-20240131", Range(None, "20240131", "DA")),
        ("StudyTime", "10", Range("100000.000000", "105959.999999", "TM")),
        ("StudyTime", "1030-", Range("103000.000000", None, "TM")),
        ("AcquisitionDateTime", "202402", Range("20240201000000.000000", "20240229235959.999999", "DT")),
        ("AcquisitionDateTime", "2024+0130-", Range("20240101000000.000000", None, "DT", offset=90)),
        ("ReferencedStudySequence", [], Universal()),
        ("ReferencedStudySequence", [{}], Universal()),
        ("ReferencedStudySequence", [{"ReferencedSOPInstanceUID": ""}], Universal()),
    ],
)
def test_the_kind_of_a_key(keyword: str, value: object, key: object) -> None:
    assert key_of(keyword, value) == key


def test_a_fuzzy_name_and_a_sequence_are_kinds_of_their_own() -> None:
    assert parse_key(query("", PatientName="doe")["PatientName"], FUZZY) == FuzzyName("doe")
    key = key_of("ReferencedStudySequence", [{"ReferencedSOPInstanceUID": "1.2"}])
    assert isinstance(key, SequenceKey)
    assert dict(key.keys[0].single) == {Tag("ReferencedSOPInstanceUID"): Single("1.2", "UI")}


@pytest.mark.parametrize(
    "keyword, value, words",
    [
        ("StudyDate", "tomorrow", "StudyDate: 'tomorrow' is no value for DA"),
        ("StudyDate", "20240231", "is no value for DA"),
        ("StudyDate", "20241301", "is no value for DA"),
        ("StudyDate", "2024", "is no value for DA"),
        ("StudyDate", "20240101-x", "'x' is no value for DA"),
        ("StudyDate", "2024????", "is no value for DA"),
        ("StudyDate", "٢٠٢٤٠١٠١", "is no value for DA"),
        ("StudyDate", "-", "is a range without beginning and end"),
        ("StudyDate", "20240102-20240101", "is a range that ends before it begins"),
        ("StudyTime", "24", "is no value for TM"),
        ("StudyTime", "1", "is no value for TM"),
        ("StudyTime", "2200-0400", "is a range that ends before it begins"),
        ("AcquisitionDateTime", "today", "is no datetime"),
        ("AcquisitionDateTime", "2024-x", "is no datetime"),
        ("AcquisitionDateTime", "00000101", "is no datetime"),
        ("AcquisitionDateTime", "20240101+9900", "is no datetime"),
        ("AcquisitionDateTime", "-", "is a range without beginning and end"),
        ("AcquisitionDateTime", "2025-2024", "is a range that ends before it begins"),
        ("StudyInstanceUID", "1.2.*", "there are no wild cards"),
        ("StudyInstanceUID", "*", "there are no wild cards"),
        ("StudyInstanceUID", ["1.2", "1.?"], "there are no wild cards"),
        ("PatientAge", "45", "PatientAge: '45' is no age"),
        ("PatientID", "*x" * 600, "is a pattern of more than 1024 characters"),
        ("PatientID", [str(number) for number in range(1001)], "1001 values are more than 1000"),
        ("ReferencedStudySequence", [{}] * 1001, "1001 items are more than 1000"),
    ],
)
def test_what_nothing_can_be_matched_by(keyword: str, value: object, words: str) -> None:
    with pytest.raises(InvalidKey, match=r"^" + keyword) as caught:
        key_of(keyword, value)
    assert words in str(caught.value)
    assert caught.value.tag == Tag(keyword)
    assert (caught.value.status, caught.value.offending) == (0xA900, (Tag(keyword),))
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", ["abc", "1*", "1-5", "nan", "1_0", "٣", "9" * 5000])
def test_a_text_is_no_number(value: str) -> None:
    element = DataElement("SeriesNumber", "IS", None)
    element._value = value  # as pydicom leaves it when it came from the network
    with pytest.raises(InvalidKey, match="SeriesNumber"):
        parse_key(element)


def test_a_value_that_cannot_be_read() -> None:
    identifier = Dataset()
    identifier[Tag("Rows")] = raw("Rows", "US", b"\1\0\1")
    with pytest.raises(InvalidKey, match=r"Rows: b'\\x01\\x00\\x01' cannot be read"):
        matches(identifier, dataset(Rows=1))
    candidate = Dataset()
    candidate[Tag("Rows")] = raw("Rows", "US", b"\1\0\1")
    assert not matches(query("IMAGE", Rows=1), candidate)
    assert matches(query("IMAGE", Rows=None), candidate)


def test_zero_is_a_value() -> None:
    identifier = Dataset()
    identifier[Tag("SeriesNumber")] = DataElement("SeriesNumber", "LO", '""')
    assert not matches(identifier, dataset(SeriesNumber=0))
    assert matches(identifier, dataset(SeriesNumber=""))
    assert not matches(identifier, dataset(SeriesNumber=["", 0]))


def test_a_missing_attribute_matches_universal_keys_and_the_empty_value_only() -> None:
    study = dataset(PatientID="1")
    for keyword, key in {"StudyDate": "-20240101", "PatientName": "D*", "StudyInstanceUID": "1", "Rows": 1}.items():
        assert not matches(query("STUDY", **{keyword: key}), study)
        assert matches(query("STUDY", **{keyword: None}), study)
    assert not matches(query("STUDY", PatientName="D"), study, options=FUZZY)
    assert matches(query("STUDY", AccessionNumber='""', StudyDescription="*"), study)


def test_all_keys_have_to_match() -> None:
    study = dataset(PatientID="1", StudyDate="20240101", PatientName="DOE^JOHN")
    assert matches(query("STUDY", PatientID="1", StudyDate="2024.01.01", PatientName="doe*"), study)
    assert not matches(query("STUDY", PatientID="1", StudyDate="20240102", PatientName="doe*"), study)


def test_what_is_said_about_the_identifier_is_not_matched() -> None:
    identifier = query("STUDY", PatientID="1", QueryRetrieveView="ENHANCED", TimezoneOffsetFromUTC="+0100")
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.add_new(0x00100000, "UL", 12)
    assert matches(identifier, dataset(PatientID="1", SpecificCharacterSet="ISO_IR 100"))


def test_private_attributes_are_keys_like_others() -> None:
    identifier, candidate = Dataset(), Dataset()
    for ds, value in ((identifier, "A*"), (candidate, "ABC")):
        ds.private_block(0x0011, "dicomio", create=True).add_new(1, "LO", value)
    assert matches(identifier, candidate)
    candidate[0x00110010].value = "someone else"
    assert not matches(identifier, candidate)


def test_a_candidate_of_another_vr_is_just_no_match() -> None:
    sequence = DataElement("ReferencedStudySequence", "SQ", [dataset(PatientID="1")])
    assert not Single("1", "LO").accepts(sequence)
    assert not parse_key(sequence).accepts(DataElement("PatientID", "LO", "1"))
    assert not parse_key(DataElement("Rows", "US", 1)).accepts(DataElement("PatientID", "LO", "x"))


@pytest.mark.parametrize(
    "keyword, value, values",
    [
        ("PatientName", "Doe^John ^=山田", ["doe^john=山田"]),
        ("OtherPatientNames", ["A", "", "B"], ["a", "b"]),
        ("StudyDate", ["2024.01.01", "no date"], ["20240101"]),
        ("StudyTime", "10:30", ["103000.000000"]),
        ("AcquisitionDateTime", "2024+0100", ["20240101000000.000000"]),
        ("SeriesNumber", ["0", "12"], [0, 12]),
        ("PatientWeight", "70.50", [70.5]),
        ("ReferencedStudySequence", [{}], []),
        ("SelectorOBValue", b"\1\2\0", [b"\1\2"]),
        ("StudyID", None, []),
    ],
)
def test_values_as_keys_compare_them(keyword: str, value: object, values: list[object]) -> None:
    assert list(comparable(dataset(**{keyword: value})[keyword])) == values


def test_names_keep_their_case_where_it_counts() -> None:
    element = dataset(PatientName="Doe^John")["PatientName"]
    assert list(comparable(element, ignore_case_in_names=False)) == ["Doe^John"]

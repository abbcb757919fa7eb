"""What holds for all keys and candidates."""

from contextlib import suppress
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio.identifiers import dataset, query
from dicomio.matching import (
    Empty,
    InvalidKey,
    MatchOptions,
    Single,
    Universal,
    Values,
    comparable,
    compile_query,
    matches,
    parse_key,
    project,
)

OPTIONS = st.builds(
    MatchOptions,
    ignore_case_in_names=st.booleans(),
    fuzzy_names=st.booleans(),
    combined_datetime=st.booleans(),
    timezone=st.sampled_from([None, "+0000", "+0530", "-0800"]),
)
WORDS = st.text("ABCxyzäß山1", min_size=1, max_size=6)
DATES = st.dates(min_value=date(1, 1, 2), max_value=date(9999, 12, 30))
DATE_TEXTS = DATES.map(lambda day: f"{day.year:04}{day:%m%d}")
TIMES = st.times()
TIME_TEXTS = st.tuples(TIMES, st.integers(1, 3)).map(lambda found: found[0].strftime("%H%M%S")[: 2 * found[1]])
OFFSETS = st.integers(-12 * 60, 14 * 60)
UIDS = st.lists(st.integers(0, 99), min_size=2, max_size=5).map(lambda parts: ".".join(map(str, parts)))

VALUES = {
    "PatientName": st.lists(WORDS, min_size=1, max_size=3).map("^".join),
    "PatientID": WORDS,
    "StudyInstanceUID": UIDS,
    "StudyDate": DATE_TEXTS,
    "StudyTime": TIME_TEXTS,
    "AcquisitionDateTime": st.builds(str.__add__, DATE_TEXTS, TIME_TEXTS),
    "SeriesNumber": st.integers(-(2**31), 2**31 - 1).map(str),
    "PatientWeight": st.floats(0, 1000).map(lambda weight: f"{weight:.4f}"),
    "Rows": st.integers(0, 65535),
    "SelectorFDValue": st.floats(allow_nan=False, allow_infinity=False),
    "PatientAge": st.integers(0, 999).map(lambda years: f"{years:03}Y"),
    "ModalitiesInStudy": st.sampled_from(["CT", "MR", "US"]),
}
VRS = ["AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OW", "PN", "SH", "SL", "SQ", "SS"]
VRS += ["ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV"]


def entities(depth: int = 1) -> st.SearchStrategy[dict[str, object]]:
    """Attributes with one value each, and a sequence of the same."""
    values: dict[str, st.SearchStrategy[object]] = dict(VALUES)
    if depth:
        values["ReferencedStudySequence"] = st.lists(entities(depth - 1), min_size=1, max_size=2)
    return st.fixed_dictionaries({}, optional=values)


def looks_like(pattern: str, text: str) -> bool:
    """Wild card matching as PS3.4 C.2.2.2.4 defines it, by looking at all ways to match."""
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(text) and character in ("?", text[at])}
    return len(text) in reached


@given(st.text("AB*?[]!.-", max_size=12), st.text("AB[]!.-", min_size=1, max_size=12))
@example("*A*B", "AAB")
@example("[!A]", "B")
def test_wild_cards_match_by_definition(pattern: str, text: str) -> None:
    found = matches(query("STUDY", StudyDescription=pattern), dataset(StudyDescription=text))
    assert found is (pattern == "" or looks_like(pattern, text))


@given(st.text("AB*?^", max_size=10), st.text("AB^", min_size=1, max_size=10))
def test_wild_cards_in_names_match_the_name_with_empty_components_too(pattern: str, name: str) -> None:
    found = matches(query("STUDY", PatientName=pattern), dataset(PatientName=name))
    pattern, name = pattern.rstrip("^"), name.rstrip("^")
    padded = name + "^" * (pattern.count("^") - name.count("^"))
    either = looks_like(pattern, name) or looks_like(pattern, padded)
    assert found is (not pattern.strip("*") or (name != "" and either))


@given(DATES, DATES, DATES)
def test_ranges_of_dates(low: date, high: date, day: date) -> None:
    low, high = sorted((low, high))
    texts = [f"{each.year:04}{each:%m%d}" for each in (low, high, day)]
    candidate = dataset(StudyDate=texts[2])
    assert matches(query("STUDY", StudyDate=f"{texts[0]}-{texts[1]}"), candidate) is (low <= day <= high)
    assert matches(query("STUDY", StudyDate=f"{texts[0]}-"), candidate) is (low <= day)
    assert matches(query("STUDY", StudyDate=f"-{texts[1]}"), candidate) is (day <= high)
    assert matches(query("STUDY", StudyDate=texts[0]), candidate) is (low == day)


PRECISIONS = {"%H": timedelta(hours=1), "%H%M": timedelta(minutes=1), "%H%M%S": timedelta(seconds=1)}


def span(moment: time, form: str) -> tuple[datetime, datetime]:
    """The first moment of a time of some precision on some day, and the first after it."""
    first = datetime.combine(date(2024, 1, 1), datetime.strptime(moment.strftime(form), form).time())
    return first, first + PRECISIONS[form]


@given(TIMES, TIMES, TIMES, st.sampled_from(sorted(PRECISIONS)), st.sampled_from(sorted(PRECISIONS)))
def test_ranges_of_times(low: time, high: time, at: time, low_form: str, high_form: str) -> None:
    low, high = sorted((low, high))
    first, after = span(low, low_form)[0], span(high, high_form)[1]
    now = datetime.combine(date(2024, 1, 1), at)
    candidate = dataset(StudyTime=at.strftime("%H%M%S.%f"))
    key = f"{low.strftime(low_form)}-{high.strftime(high_form)}"
    assert matches(query("STUDY", StudyTime=key), candidate) is (first <= now < after)
    single = query("STUDY", StudyTime=low.strftime(low_form))
    assert matches(single, candidate) is (first <= now < span(low, low_form)[1])


MOMENTS = st.datetimes(datetime(1300, 1, 1), datetime(9998, 1, 1)).map(lambda moment: moment.replace(microsecond=0))


def text_at(moment: datetime, offset: int) -> str:
    """A moment in UTC as a DT at an offset."""
    there = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset)))
    return f"{there.year:04}{there:%m%d%H%M%S}{'-' if offset < 0 else '+'}{abs(offset) // 60:02}{abs(offset) % 60:02}"


@given(st.tuples(MOMENTS, MOMENTS, MOMENTS), st.tuples(OFFSETS, OFFSETS, OFFSETS))
def test_ranges_of_datetimes_at_any_offset(moments: tuple[datetime, ...], offsets: tuple[int, ...]) -> None:
    low, high = sorted(moments[:2])
    now = moments[2]
    first, last, at = (text_at(*each) for each in zip((low, high, now), offsets, strict=True))
    candidate = dataset(AcquisitionDateTime=at)
    assert matches(query("", AcquisitionDateTime=f"{first}-{last}"), candidate) is (low <= now <= high)
    assert matches(query("", AcquisitionDateTime=f"{first}-"), candidate) is (low <= now)
    assert matches(query("", AcquisitionDateTime=f"-{last}"), candidate) is (now <= high)
    assert matches(query("", AcquisitionDateTime=first), candidate) is (low == now)


@given(entities(), OPTIONS)
def test_an_entity_matches_its_own_values_and_is_its_own_answer(
    entity: dict[str, object], options: MatchOptions
) -> None:
    candidate = dataset(**entity)
    asked = compile_query(candidate, options)
    assert asked.matches(candidate)
    assert asked.project(candidate) == candidate


@given(entities(), st.sampled_from(["", "*"]), OPTIONS)
def test_universal_keys_match_everything(entity: dict[str, object], universal: str, options: MatchOptions) -> None:
    texts = dict.fromkeys(("PatientName", "PatientID", "StudyDate", "StudyTime", "AcquisitionDateTime"), universal)
    identifier = query("STUDY", StudyInstanceUID="", SeriesNumber="", Rows="", ReferencedStudySequence=[texts], **texts)
    assert matches(identifier, dataset(**entity), options=options)


@given(entities(), entities(), OPTIONS)
def test_nothing_is_changed(asked: dict[str, object], entity: dict[str, object], options: MatchOptions) -> None:
    identifier, candidate = dataset(**asked), dataset(**entity)
    before = deepcopy((identifier, candidate))
    matches(identifier, candidate, options=options)
    response = project(identifier, candidate, options=options)
    assert (identifier, candidate) == before
    expected = {element.tag for element in identifier} - {Tag("SpecificCharacterSet")}
    assert {element.tag for element in response} - {Tag("SpecificCharacterSet")} == expected


@given(entities(0), entities(0))
def test_an_identifier_matches_if_each_of_its_keys_does(asked: dict[str, object], entity: dict[str, object]) -> None:
    candidate = dataset(**entity)
    each = [matches(dataset(**{keyword: key}), candidate) for keyword, key in asked.items()]
    assert matches(dataset(**asked), candidate) is all(each)
    item = query("", ReferencedStudySequence=[asked])
    assert matches(item, dataset(ReferencedStudySequence=[entity])) is all(each)


@given(st.lists(st.text("AB*?", min_size=1, max_size=4), min_size=2, max_size=4), st.text("AB", max_size=4))
def test_several_values_match_if_one_of_them_does(keys: list[str], value: str) -> None:
    candidate = dataset(PatientID=value)
    each = [matches(query("", PatientID=key), candidate) for key in keys]
    assert matches(query("", PatientID=keys), candidate) is any(each)


@given(st.sampled_from(sorted(VALUES)), st.data())
def test_comparable_values_are_what_single_keys_compare(keyword: str, data: st.DataObject) -> None:
    key, value = data.draw(VALUES[keyword]), data.draw(VALUES[keyword])
    for other in (key, value):
        element = dataset(**{keyword: other})[keyword]
        wanted = parse_key(dataset(**{keyword: key})[keyword])
        if isinstance(wanted, Single):
            assert wanted.accepts(element) is (wanted.value in comparable(element))


HOSTILE = st.one_of(
    st.binary(max_size=24),
    st.text('0129-+.:*?^=\\"[ \0äX', max_size=24).map(lambda text: text.encode("latin-1")),
    st.sampled_from([b'""', b"*", b"-", b"\\", b"=", b"20240101-", b"\x1b$B", b"9" * 5000, b"1e999"]),
)


def raw(vr: str, value: bytes) -> Dataset:
    """A data set with one element as it came from the network."""
    tag = Tag(0x00110001)
    ds = Dataset()
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return ds


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@given(st.sampled_from(VRS), HOSTILE, HOSTILE, OPTIONS)
def test_whatever_comes_is_matched_or_refused(vr: str, key: bytes, value: bytes, options: MatchOptions) -> None:
    identifier, candidate = raw(vr, key), raw(vr, value)
    with suppress(InvalidKey):
        asked = compile_query(identifier, options)
        assert asked.matches(candidate) in (True, False)
        assert len(asked.project(candidate)) == 1


@pytest.mark.parametrize("kind", [Universal(), Empty(), Values((Empty(), Single("A", "LO")))])
def test_kinds_that_match_what_is_missing(kind: Universal | Empty | Values) -> None:
    assert kind.accepts(None)

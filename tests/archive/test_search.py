"""What SQL finds is what `dicomio.matching` finds among the same objects, for every kind of key at every level."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from sqlalchemy import event

from dicomio import PATIENT_ROOT, STUDY_ROOT, Instance, Refused, dataset, query
from dicomio.archive import Archive
from dicomio.archive.attributes import level_of
from dicomio.matching import InvalidKey, MatchOptions, matches
from dicomio.sop import CTImageStorage, MRImageStorage
from dicomio.testing import connected
from tests.archive.objects import collected, ct, uid

BASELINE = MatchOptions()
LEVELS = PATIENT_ROOT.levels
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
# What the objects say, by the level it belongs to: some of it is odd.
NAMES = [
    "Doe^John",
    "doe^JOHN^^^",
    "Doe^Jane^^Dr",
    "DOE",
    "Müller^Jürgen",
    "MÜLLER^JÜRGEN",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田^花子",
    "O_Neil^50%",
    "O'Neil^Shaquille",
    " Spaced ^ Name",
    "",
    None,
]
TEXTS = ["HEAD", "head", "Head 50%", "Head 50", "Head_50", "HEADX", "A/B", "[x]", "Größe", "größe", "", None, "ab*c"]
DATES = ["20240101", "20240131", "20240201", "2024.01.15", "19991231", "junk", "", None]
TIMES = ["101112", "1011", "10", "10:11:12", "235959.999999", "000000", "101112.5", "junk", "", None]
NUMBERS = ["1", "01", "2", "+3", "-4", "10", "", None]
POOLS: Mapping[str, Sequence[str | None]] = {
    "PatientName": NAMES,
    "PatientID": ["P1", "p1", "P_1", "P%1", "P11", "", None],
    "PatientBirthDate": DATES,
    "PatientSex": ["M", "F", "O", "", None],
    "PatientComments": TEXTS,
    "StudyDate": DATES,
    "StudyTime": TIMES,
    "StudyDescription": TEXTS,
    "AccessionNumber": ["1", "12", "A1", "", None],
    "StudyID": ["1", "S1", "", None],
    "ReferringPhysicianName": NAMES,
    "TimezoneOffsetFromUTC": ["+0100", "-0500", "+0000", None],
    "PatientAge": ["030Y", "031Y", "", None],
    "Modality": ["CT", "MR", "SR", "", None],
    "SeriesNumber": NUMBERS,
    "SeriesDescription": TEXTS,
    "BodyPartExamined": ["HEAD", "CHEST", "", None],
    "SeriesDate": DATES,
    "InstanceNumber": NUMBERS,
    "ImageComments": TEXTS,
    "ContentTime": TIMES,
    "AcquisitionDateTime": ["20240101101112+0100", "202401", "", None],
    "Rows": ["64", "128", None],
}
STUDIES, SERIES, INSTANCES = 14, 2, 2


COMPUTED = {
    "PATIENT": ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances"),
    "STUDY": ("ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    "SERIES": ("NumberOfSeriesRelatedInstances",),
    "IMAGE": (),
}
STUDIES, SERIES, INSTANCES = 14, 2, 2


def levels_to(level: str) -> Sequence[str]:
    """The levels down to one."""
    return LEVELS[: LEVELS.index(level) + 1]


def said_at(level: str, chance: random.Random) -> dict[str, Any]:
    """What an object says about an entity of a level."""
    chosen = {key: chance.choice(pool) for key, pool in POOLS.items() if level_of(tag_for_keyword(key) or 0) == level}
    return {key: int(value) if key == "Rows" else value for key, value in chosen.items() if value is not None}


def make(chance: random.Random) -> list[Dataset]:
    """Data sets that say something at each level, in the order in which they are kept."""
    found = []
    for study in range(STUDIES):
        of_study = said_at("PATIENT", chance) | said_at("STUDY", chance)
        of_study["ProcedureCodeSequence"] = {"CodeValue": f"C{study % 3}", "CodeMeaning": chance.choice(TEXTS) or ""}
        for series in range(SERIES):
            of_series = said_at("SERIES", chance)
            for number in range(INSTANCES):
                ds = dataset(**of_study, **of_series, **said_at("IMAGE", chance))
                ds.SOPClassUID = chance.choice([CTImageStorage, MRImageStorage])
                ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(study), uid(study, series)
                ds.SOPInstanceUID = uid(study, series, number)
                found.append(ds)
    return found


class Oracle:
    """The same objects in memory, searched with `dicomio.matching` alone."""

    def __init__(self, objects: Sequence[Dataset]) -> None:
        self.candidates = {level: self.entities(objects, level) for level in LEVELS}

    def entities(self, objects: Sequence[Dataset], level: str) -> list[Dataset]:
        """One candidate for each entity of a level: what the last of its objects says, and what is computed."""
        groups: dict[str, list[Dataset]] = {}
        for ds in objects:
            own = str(ds.get(UNIQUE[level], "")) or f"only {ds.StudyInstanceUID}"
            groups.setdefault(own, []).append(ds)
        return [self.candidate(group, objects, level) for group in groups.values()]

    def candidate(self, group: Sequence[Dataset], objects: Sequence[Dataset], level: str) -> Dataset:
        last = group[-1]
        found = Dataset({tag: last[tag] for tag in last.keys() if self.supports(tag, level)})
        study = [ds for ds in objects if ds.StudyInstanceUID == last.StudyInstanceUID]
        if level == "PATIENT":
            found.NumberOfPatientRelatedStudies = len({ds.StudyInstanceUID for ds in group})
            found.NumberOfPatientRelatedSeries = len({ds.SeriesInstanceUID for ds in group})
            found.NumberOfPatientRelatedInstances = len(group)
            return found
        found.ModalitiesInStudy = sorted({ds.Modality for ds in study if ds.get("Modality")})
        found.SOPClassesInStudy = sorted({ds.SOPClassUID for ds in study})
        found.NumberOfStudyRelatedSeries = len({ds.SeriesInstanceUID for ds in study})
        found.NumberOfStudyRelatedInstances = len(study)
        if level != "STUDY":
            series = [ds for ds in study if ds.SeriesInstanceUID == last.SeriesInstanceUID]
            found.NumberOfSeriesRelatedInstances = len(series)
        return found

    def find(self, identifier: Dataset, level: str, options: MatchOptions = BASELINE) -> list[Dataset]:
        """The candidates that match by the keys that are of this level or above."""
        supported = Dataset({tag: identifier[tag] for tag in identifier.keys() if self.supports(tag, level)})
        return [candidate for candidate in self.candidates[level] if matches(supported, candidate, options=options)]

    def supports(self, tag: BaseTag, level: str) -> bool:
        keyword = keyword_for_tag(tag)
        if keyword == "TimezoneOffsetFromUTC":
            return True  # it is no key, but says how the others are meant
        computed = [each for each in LEVELS if keyword in COMPUTED[each]]
        return (computed[0] if computed else level_of(tag)) in levels_to(level)


class Both:
    """An archive and the oracle with the same objects."""

    def __init__(self, runner: asyncio.Runner, archive: Archive, oracle: Oracle) -> None:
        self.runner, self.archive, self.oracle = runner, archive, oracle

    def find(self, identifier: Dataset, options: MatchOptions | None = None) -> list[Dataset]:
        """What the archive answers."""
        return self.runner.run(collected(self.archive.find(identifier, PATIENT_ROOT, options=options, relational=True)))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    objects = make(random.Random(7))

    async def fill(archive: Archive) -> None:
        for ds in objects:
            await archive.add(await asyncio.to_thread(Instance.from_dataset, ds))

    with asyncio.Runner() as runner:
        archive = Archive(tmp_path_factory.mktemp("search"), fsync=False)
        runner.run(archive.__aenter__())
        runner.run(fill(archive))
        yield Both(runner, archive, Oracle(objects))
        runner.run(archive.__aexit__(None, None, None))


@st.composite
def patterns(draw: st.DrawFn, pool: Sequence[str | None]) -> str:
    """A value, or part of one with wild cards in place of the rest."""
    text = draw(st.sampled_from([value for value in pool if value]))
    start, stop = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    return text[:start] + draw(st.sampled_from(["*", "?", "", "**", "?*"])) + text[stop:]


@st.composite
def ranges(draw: st.DrawFn, pool: Sequence[str | None]) -> str:
    """Two values, or one, and a hyphen."""
    values = st.sampled_from([*(value for value in pool if value and value != "junk"), ""])
    return f"{draw(values)}-{draw(values)}"


def values_for(keyword: str) -> st.SearchStrategy[Any]:
    """What may be asked for by a keyword."""
    if keyword in UNIQUE.values() and keyword != "PatientID":
        uids = st.sampled_from([uid(study, *rest) for study in range(3) for rest in ((), (0,), (0, 1))])
        return st.one_of(uids, st.lists(uids, min_size=2, max_size=4))
    pool = POOLS.get(keyword, ["CT", "MR", CTImageStorage] if "InStudy" in keyword else ["1", "2"])
    vr = dictionary_VR(keyword)
    plain = st.sampled_from([value for value in pool if value])
    kinds: list[st.SearchStrategy[Any]] = [plain, st.just(""), st.just('""')]
    if vr in ("DA", "TM", "DT"):
        kinds += [ranges(pool)] * 2
    elif vr not in ("IS", "US", "UI"):
        kinds += [patterns(pool), plain.map(str.swapcase), st.lists(patterns(pool), min_size=2, max_size=3)]
    return st.one_of(kinds) if vr not in ("IS", "US", "UI") else st.one_of(plain, st.just(""))


KEYWORDS = [
    *(keyword for keyword in POOLS if keyword != "TimezoneOffsetFromUTC"),
    *UNIQUE.values(),
    "ModalitiesInStudy",
    "SOPClassesInStudy",
    "NumberOfStudyRelatedInstances",
]


@st.composite
def identifiers(draw: st.DrawFn) -> Dataset:
    """An identifier with a few keys, some of them of other levels than its own."""
    level = draw(st.sampled_from(LEVELS))
    keywords = draw(st.lists(st.sampled_from(KEYWORDS), min_size=1, max_size=3, unique=True))
    keys = {keyword: draw(values_for(keyword)) for keyword in keywords}
    if draw(st.booleans()) and level != "PATIENT":
        keys["ProcedureCodeSequence"] = {"CodeValue": draw(st.sampled_from(["C1", "C?", ""]))}
    if draw(st.booleans()):
        keys["TimezoneOffsetFromUTC"] = draw(st.sampled_from(["+0000", "+0900"]))
    return query(level, **{UNIQUE[level]: ""} | keys)


AGREED = st.builds(MatchOptions, fuzzy_names=st.booleans(), combined_datetime=st.booleans())


@given(identifiers(), AGREED)
def test_sql_and_matching_find_the_same(both: Both, identifier: Dataset, options: MatchOptions) -> None:
    level = identifier.QueryRetrieveLevel
    try:
        expected = both.oracle.find(identifier, level, options)
    except InvalidKey:
        with pytest.raises(Refused):
            both.find(identifier, options)
        return
    unique = UNIQUE[level]
    found = Counter(str(answer.get(unique, "")) for answer in both.find(identifier, options))
    assert found == Counter(str(candidate.get(unique, "")) for candidate in expected)


@pytest.mark.parametrize("level", LEVELS)
def test_answers_say_what_the_objects_say(both: Both, level: str) -> None:
    computed = [keyword for each in levels_to(level)[-2:] for keyword in COMPUTED[each]]
    keywords = [keyword for keyword in POOLS if both.oracle.supports(BaseTag(tag_for_keyword(keyword) or 0), level)]
    asked = query(level, **dict.fromkeys([*keywords, *computed, *UNIQUE.values(), "ProcedureCodeSequence"], ""))
    expected = {str(candidate.get(UNIQUE[level])): candidate for candidate in both.oracle.candidates[level]}
    answers = both.find(asked)
    assert len(answers) == len(both.oracle.candidates[level])
    for answer in answers:
        if str(answer.get(UNIQUE[level], "")) == "":
            continue  # patients without an ID cannot be told apart here
        candidate = expected[str(answer.get(UNIQUE[level]))]
        for element in candidate:
            if element.tag in asked and element.keyword not in ("SpecificCharacterSet", "TimezoneOffsetFromUTC"):
                assert answer[element.tag] == element or not element.value, element.keyword


async def test_more_answers_than_are_read_at_a_time(archive: Archive) -> None:
    await asyncio.gather(*(archive.add(ct(1, 1, number)) for number in range(250)))
    statements: list[str] = []
    event.listen(archive.database.engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    keys = query("IMAGE", StudyInstanceUID=uid(1), SeriesInstanceUID=uid(1, 1), SOPInstanceUID="")
    answers = archive.find(keys)
    found = [str((await anext(answers)).SOPInstanceUID)]
    # Whoever reads slowly has the others wait in the database.
    assert len(statements) == 1
    found += [str(answer.SOPInstanceUID) async for answer in answers]
    assert len(statements) == 3
    assert sorted(found) == sorted(uid(1, 1, number) for number in range(250))


@pytest.mark.parametrize("count", [101, 1000])
async def test_many_alternatives(archive: Archive, count: int) -> None:
    await archive.add(ct(1))
    await archive.add(ct(2))
    keys = query("STUDY", StudyInstanceUID="", PatientID=[f"Q{number}*" for number in range(count - 1)] + ["P1"])
    (answer,) = await collected(archive.find(keys))
    assert answer.StudyInstanceUID == uid(1)


@pytest.mark.parametrize(
    "elements",
    [
        {"InstanceNumber": "1A"},
        {"InstanceNumber": "99999999999999999999999"},
        {"SeriesNumber": "1e400"},
        {"StudyDate": "in the summer", "StudyTime": "late"},
        {"PatientName": "=" * 20},
        {"PatientID": "P\\Q", "PatientName": "A^B\\C^D"},
        {"StudyDescription": "control \x07 character"},
        {"PatientComments": "\udcff".encode("utf-8", "replace").decode()},
    ],
)
async def test_what_objects_say_may_be_nonsense(archive: Archive, elements: dict[str, str]) -> None:
    instance = odd(**elements)
    await archive.add(instance)
    keys = {"StudyInstanceUID": uid(1), "SeriesInstanceUID": uid(1, 1), "PatientID": "", "PatientName": ""}
    async with connected(archive.app, contexts=[*STUDY_ROOT]) as peer:
        (answer,) = await peer.find(query("IMAGE", SOPInstanceUID="", **{**keys, **dict.fromkeys(elements, "")}))
    assert answer.SOPInstanceUID == instance.sop_instance_uid


def odd(**elements: str) -> Instance:
    """A CT image that says what no data set would be made with."""
    plain = ct().dataset()
    for keyword, value in elements.items():
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        data = value.encode()
        plain[tag] = RawDataElement(tag, dictionary_VR(tag), len(data), data, 0, False, True)
    return Instance.from_dataset(plain)

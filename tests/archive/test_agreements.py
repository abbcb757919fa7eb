"""What peers agree on with the archive beyond hierarchical queries (PS3.4 C.5), and what it does without agreement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dicomio import PATIENT_ROOT, STUDY_ROOT, Association, QueryExtension, QueryModel, Role, StatusError, query
from dicomio.archive import Archive
from dicomio.sop import PATIENT_STUDY_ONLY, CTImageStorage
from dicomio.testing import connected
from tests.archive.objects import ct, uid

MODELS = (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY)
EVERYTHING = QueryExtension(True, True, True, True, True, True, True)
NOTHING = QueryExtension()


@asynccontextmanager
async def agreeing(
    archive: Archive, wanted: QueryExtension = NOTHING, model: QueryModel = STUDY_ROOT, **options: Any
) -> AsyncIterator[tuple[Association, Association]]:
    """An association on which something is proposed for a model: our side of it, and that of the archive."""
    served: list[Association] = []

    @archive.app.on_connect
    async def note(association: Association) -> None:
        served.append(association)

    extended = dict.fromkeys(model, wanted) if wanted != NOTHING else {}
    contexts = [CTImageStorage, *(uid for each in MODELS for uid in each)]
    async with connected(archive.app, contexts=contexts, extended=extended, **options) as association:
        yield association, served[0]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.name))
async def test_what_the_archive_can_do_is_agreed_on(archive: Archive, model: QueryModel) -> None:
    async with agreeing(archive, EVERYTHING, model) as (peer, _):
        assert peer.agreement is not None
        assert peer.agreement.extended == {
            model.find: bytes([1, 1, 1, 1, 0, 1, 0]),
            model.move: bytes([1, 0]),
            model.get: bytes([1, 0]),
        }


async def test_keys_match_what_has_no_value_where_that_was_agreed_on(archive: Archive) -> None:
    """Two quotation marks stand for it (PS3.4 C.2.2.2.7)."""
    await archive.add(ct(1, AccessionNumber=""))
    await archive.add(ct(2, AccessionNumber="A2"))
    await archive.add(ct(3))
    keys = query("STUDY", StudyInstanceUID="", AccessionNumber='""')
    async with agreeing(archive, QueryExtension(empty_values=True)) as (peer, _):
        assert sorted(answer.StudyInstanceUID for answer in await peer.find(keys)) == [uid(1), uid(3)]


@pytest.mark.parametrize(
    "keys",
    [
        query("IMAGE", SOPInstanceUID=""),
        query("IMAGE", SOPInstanceUID="", StudyInstanceUID=[uid(1), uid(2)]),
        query("SERIES", SeriesInstanceUID="", PatientName="doe*"),
    ],
    ids=["nothing of the levels above", "two studies", "by name"],
)
async def test_queries_are_relational_where_that_was_agreed_on_and_for_that_sop_class(
    archive: Archive, keys: Any
) -> None:
    await archive.add(ct(1))
    await archive.add(ct(2))
    async with agreeing(archive, QueryExtension(relational=True)) as (peer, _):
        assert len(await peer.find(keys)) == 2
        with pytest.raises(StatusError, match="has to be one value"):
            await peer.find(keys, model=PATIENT_ROOT)
    async with agreeing(archive, QueryExtension(fuzzy=True)) as (peer, _):
        with pytest.raises(StatusError, match="has to be one value") as caught:
            await peer.find(keys)
    assert caught.value.status == 0xA900


async def test_names_match_fuzzily_where_that_was_agreed_on(archive: Archive) -> None:
    await archive.add(ct(1, PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100"))
    keys = query("STUDY", StudyInstanceUID="", PatientName="jurgen mull")
    async with agreeing(archive, QueryExtension(fuzzy=True)) as (peer, _):
        assert [answer.StudyInstanceUID for answer in await peer.find(keys)] == [uid(1)]
    async with agreeing(archive, QueryExtension(relational=True)) as (peer, _):
        assert await peer.find(keys) == []


async def test_dates_and_times_are_one_where_that_was_agreed_on(archive: Archive) -> None:
    await archive.add(ct(1, StudyDate="20240102", StudyTime="0800"))
    keys = query("STUDY", StudyInstanceUID="", StudyDate="20240101-20240103", StudyTime="2200-0600")
    async with agreeing(archive, QueryExtension(combined_datetime=True)) as (peer, _):
        assert len(await peer.find(keys)) == 1
    async with agreeing(archive) as (peer, _):
        with pytest.raises(StatusError, match="StudyTime"):
            await peer.find(keys)


ZONED = query("STUDY", StudyInstanceUID="", StudyDate="20240103", TimezoneOffsetFromUTC="+0900")


@pytest.mark.parametrize(
    "wanted, quirks",
    [
        (QueryExtension(timezone=True), []),
        (NOTHING, ["asked for times in a timezone, which was not negotiated"]),
    ],
)
async def test_a_timezone_is_heeded_and_noted_where_it_was_not_agreed_on(
    archive: Archive, wanted: QueryExtension, quirks: list[str]
) -> None:
    await archive.add(ct(1, StudyDate="20240102", StudyTime="2300", TimezoneOffsetFromUTC="+0000"))
    async with agreeing(archive, wanted) as (peer, served):
        assert len(await peer.find(ZONED)) == 1
        assert list(served.quirks) == quirks


@pytest.mark.parametrize(
    "wanted, quirks",
    [
        (QueryExtension(relational=True), []),
        (NOTHING, ["retrieved without the unique keys of all levels above"]),
    ],
)
async def test_uids_alone_retrieve_and_are_noted_where_that_was_not_agreed_on(
    archive: Archive, wanted: QueryExtension, quirks: list[str]
) -> None:
    await archive.add(ct(1))
    async with agreeing(archive, wanted, roles={CTImageStorage: Role.BOTH}) as (peer, served):
        async with peer.get(query("SERIES", SeriesInstanceUID=uid(1, 1)), storage=[CTImageStorage]) as objects:
            assert [len(await request.read()) > 0 async for request in objects] == [True]
        assert list(served.quirks) == quirks


async def test_what_was_not_agreed_on_is_refused_where_it_is_strict(archive: Archive) -> None:
    await archive.add(ct(1))
    async with agreeing(archive, strict=True) as (peer, served):
        for operation in (peer.find(ZONED), peer.get(query("SERIES", SeriesInstanceUID=uid(1, 1)))):
            with pytest.raises(StatusError, match=r"timezone|has to be one value") as caught:
                await operation
            assert caught.value.status == 0xA900
        assert list(served.quirks) == []
    async with agreeing(archive, EVERYTHING, strict=True) as (peer, served):
        assert len(await peer.find(ZONED)) == 0

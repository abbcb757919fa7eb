"""Every peer that asks queries asks us."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomio import STUDY_ROOT, Application, AssociationReleased, FindRequest, Refused, Status, serve
from tests.interop.catalogue import catalogue
from tests.interop.holdings import STUDIES, Holding, found, uid_of
from tests.interop.ours import HOST
from tests.interop.processes import require, run
from tests.interop.query_scus import find_scus, gdcm_find
from tests.interop.questions import FIND, expected, without

pytestmark = pytest.mark.interop

# What clients cannot ask, or not understand when it is answered.
NOT_ASKED: Mapping[str, Sequence[str]] = {
    "dcmtk": [],
    "pynetdicom": [],
    "odil": [],
    # It knows one character set at a time.
    "dcmjs": ["ISO 2022"],
    # It fails on answers with an empty first value of Specific Character Set (0008,0005), which is that of `japanese`.
    "orthanc": ["every patient", "every study", "dates from", "times between", "ISO 2022"],
}


@pytest.mark.parametrize("name", find_scus)
async def test_peer_asks_queries_of_all_kinds(name: str, holdings: Sequence[Holding], workdir: Path) -> None:
    questions = without(FIND, NOT_ASKED[name])
    app = catalogue([held.path for held in holdings])
    async with serve(app, HOST, 0) as server:
        asked = await asyncio.to_thread(find_scus[name], server.port, "ARCHIVE", questions, workdir)
    assert asked.result.code == 0, asked.result.output
    answers = {question.name: found(question.level, asked.matches(question)) for question in questions}
    assert answers == expected(questions)
    assert {type(reason) for reason in app.state.ended} == {AssociationReleased}

"""The archive with its index in PostgreSQL, by URL alone; collected where a server is installed."""

import asyncio
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomio import PATIENT_ROOT, Instance, query
from dicomio.archive import Archive
from tests.archive.conftest import INITDB
from tests.archive.objects import collected, ct, uid
from tests.archive.test_keeping import files, stored
from tests.archive.test_search import UNIQUE, Oracle, make

PORT = 54329


def as_server(*command: str | Path) -> list[str]:
    """A command as somebody whom PostgreSQL does not take for the superuser of the system."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return [*prefix, *map(str, command)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory with the socket of a server of the tests' own. Making one takes seconds."""
    assert INITDB is not None
    # The path of a socket is short, and whoever runs the server has to get there.
    directory = Path("/tmp") / f"dicomio-{os.getpid()}"
    directory.mkdir()
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres")
    data, control = directory / "data", INITDB.with_name("pg_ctl")
    options = f"-F -k {directory} -c listen_addresses="
    try:
        subprocess.run(
            as_server(INITDB, "-D", data, "-A", "trust", "-U", "test", "-N"), check=True, capture_output=True
        )
        start = as_server(control, "-D", data, "-o", options, "-l", directory / "log", "-w", "start")
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
        yield directory
        subprocess.run(as_server(control, "-D", data, "-m", "immediate", "stop"), check=True, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def index(server: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the test's own."""
    assert INITDB is not None
    name = f"test{abs(hash(request.node.name))}"
    subprocess.run([INITDB.with_name("createdb"), "-h", server, "-U", "test", name], check=True)
    # With a password in it asyncpg need not look for one in files, which would block the event loop.
    return f"postgresql://test:none@/{name}?host={server}"


async def test_what_is_kept_is_found(tmp_path: Path, index: str) -> None:
    objects = make(random.Random(3))
    oracle = Oracle(objects)
    async with Archive(tmp_path, index=index) as archive:
        instances = [await asyncio.to_thread(Instance.from_dataset, ds) for ds in objects]
        await asyncio.gather(*map(archive.add, instances))
        for level in PATIENT_ROOT.levels:
            for keys in (
                {"PatientName": "doe*"},
                {"StudyDate": "20240101-20240131"},
                {"PatientID": ["P1", "p_1"], "StudyDescription": "Head*"},
                {"ModalitiesInStudy": "M?", "ReferringPhysicianName": "müller^*"},
            ):
                identifier = query(level, **{UNIQUE[level]: ""} | keys)
                found = await collected(archive.find(identifier, PATIENT_ROOT, relational=True))
                unique = [str(each.get(UNIQUE[level], "")) for each in oracle.find(identifier, level)]
                assert Counter(str(answer.get(UNIQUE[level], "")) for answer in found) == Counter(unique)


async def test_one_object_is_one_object_whoever_receives_it(tmp_path: Path, index: str) -> None:
    async with Archive(tmp_path, index=index) as first, Archive(tmp_path, index=index) as second:
        await asyncio.gather(
            *(
                archive.add(ct(1, 1, number % 4, StudyDescription=f"version {number % 3}"))
                for number in range(40)
                for archive in (first, second)
            )
        )
        assert sorted(await stored(first)) == files(first)
        assert len(files(first)) == 4


async def test_it_comes_back_consistent(tmp_path: Path, index: str) -> None:
    async with Archive(tmp_path, index=index) as archive:
        await archive.add(ct(1))
        await archive.add(ct(2))
        (await stored(archive, 1))[0].unlink()
    async with Archive(tmp_path, index=index) as archive:
        answers = await collected(archive.find(query("STUDY", StudyInstanceUID="")))
        assert [answer.StudyInstanceUID for answer in answers] == [uid(2)]
        assert files(archive) == await stored(archive, 2)

"""An index of any revision becomes one of the newest, and that has the tables the code speaks of."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql, sqlite

from dicomio import PATIENT_ROOT, query
from dicomio.archive import Archive
from dicomio.archive.database import Database, load_migrations, migrate
from dicomio.archive.schema import metadata
from dicomio.archive.search import Search
from tests.archive.objects import collected, ct, uid

REVISIONS = [script.revision for script in load_migrations().walk_revisions()]


def url(directory: Path) -> str:
    return f"sqlite:///{directory / 'index.sqlite'}"


def differences(connection: Connection) -> list[Any]:
    """In what a database differs from the tables in the code."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("revision", [None, *REVISIONS])
async def test_an_index_of_any_revision_gets_the_tables_in_the_code(tmp_path: Path, revision: str | None) -> None:
    database = await asyncio.to_thread(Database, url(tmp_path))
    script = await asyncio.to_thread(load_migrations)
    if revision is not None:
        await migrate(database, script, revision)
    await migrate(database, script)
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        current = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
    await database.close()
    assert current == REVISIONS[0]


async def test_sqlite_writes_ahead_and_syncs(tmp_path: Path) -> None:
    for fsync, level in ((True, 2), (False, 0)):
        database = await asyncio.to_thread(Database, url(tmp_path), fsync=fsync)
        async with database.engine.connect() as connection:
            found = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        await database.close()
        assert found == ["wal", level, 1]


async def test_an_index_can_be_anywhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    async with Archive(tmp_path / "archive", index=url(tmp_path / "elsewhere")) as archive:
        await archive.add(ct())
        assert len(await collected(archive.find(query("STUDY", StudyInstanceUID="")))) == 1
    assert (tmp_path / "elsewhere" / "index.sqlite").exists()
    assert not (tmp_path / "archive" / "index.sqlite").exists()


async def test_several_archives_are_opened_at_once(tmp_path: Path) -> None:
    async def keep(number: int) -> int:
        async with Archive(tmp_path / str(number % 4)) as archive:
            await archive.add(ct(number))
            return len(await collected(archive.find(query("STUDY", StudyInstanceUID=""))))

    found = await asyncio.gather(*map(keep, range(8)))
    assert all(found)


@pytest.mark.parametrize("dialect", [postgresql, sqlite], ids=["postgresql", "sqlite"])
def test_searches_are_spoken_in_every_dialect(dialect: Any) -> None:
    keys = {
        "PatientID": "P1",
        "StudyInstanceUID": uid(1),
        "SeriesInstanceUID": uid(1, 1),
        "SOPInstanceUID": [uid(1, 1, 1), uid(1, 1, 2)],
        "PatientName": "Doe*",
        "StudyDate": "20240101-20241231",
        "ModalitiesInStudy": "C?",
        "StudyDescription": "50%_of*",
    }
    for level in PATIENT_ROOT.levels:
        search = Search(query(level, **keys), PATIENT_ROOT, ae_title="ME", relational=True)
        assert "LIKE" in str(search.statement(0).compile(dialect=dialect.dialect()))

"""The database of the index: connections for a URL, what each kind wants to be told, migrations."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.ext.asyncio import create_async_engine

__all__ = ["Database", "load_migrations", "migrate"]

T = TypeVar("T")

MIGRATING: Final = Lock()
MIGRATIONS: Final = Path(__file__).parent / "migrations"
DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
# Connections of searches; as many as can wait for the disk at once.
POOL_SIZE: Final = 8
# Seconds that a search waits for one of them, or a process for another that writes.
PATIENCE: Final = 60


class Database:
    """The database of an index. Making one blocks; it connects when it is first used.

    Args:
        url: of SQLAlchemy's kind; SQLite and PostgreSQL need not name their asyncio drivers.
        fsync: what is committed is on the disk; applies to SQLite, others are configured where they run.

    Attributes:
        engine: for searches.
    """

    def __init__(self, url: str, *, fsync: bool = True) -> None:
        made = make_url(url)
        made = made.set(drivername=DRIVERS.get(made.drivername, made.drivername))
        self.engine = create_async_engine(made, pool_size=POOL_SIZE, max_overflow=1, pool_timeout=PATIENCE)
        self.writer: Engine | None = None
        if self.engine.dialect.name == "sqlite":
            # The asyncio driver goes to a thread and back for each word with SQLite, which is ten times for the
            # shortest transaction; this way it is once.
            self.writer = create_engine(made.set(drivername="sqlite"), pool_size=1, max_overflow=0)
            for engine in (self.engine.sync_engine, self.writer):
                prepare_sqlite(engine, fsync)
            event.listen(self.writer, "begin", begin)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Does something in one transaction, which is durable on return. It goes on when the caller is cancelled.

        Args:
            work: gets the connection; what it raises rolls everything back.
        """
        if self.writer is not None:
            return await asyncio.to_thread(write, self.writer, work)
        async with self.engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Closes all connections."""
        await self.engine.dispose()
        if self.writer is not None:
            await asyncio.to_thread(self.writer.dispose)


def write(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Does something in one transaction with SQLite."""
    with engine.begin() as connection:
        return work(connection)


def prepare_sqlite(engine: Engine, fsync: bool) -> None:
    """Has SQLite write ahead, sync, check foreign keys, and begin transactions only when it is told to."""
    pragmas = (
        f"busy_timeout = {PATIENCE * 1000}",
        "journal_mode = WAL",
        f"synchronous = {'FULL' if fsync else 'OFF'}",
        "foreign_keys = ON",
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        # Otherwise the driver begins them when it thinks fit.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def begin(connection: Connection) -> None:
    """Begins at once, so that nobody else writes between what is read in a transaction and what is written."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def load_migrations() -> ScriptDirectory:
    """Reads the migrations that are part of this package. It blocks."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    script.get_heads()
    return script


async def migrate(database: Database, script: ScriptDirectory, revision: str = "head") -> None:
    """Brings an index to a revision, an empty one or one of an earlier version of this package.

    Args:
        database: of the index.
        script: the migrations.
        revision: which; the newest by default.
    """

    def steps(current: Any, context: MigrationContext) -> Any:
        return script._upgrade_revs(revision, current)

    def upgrade(connection: Connection) -> None:
        with EnvironmentContext(Config(), script, fn=steps, destination_rev=revision) as environment:
            environment.configure(connection=connection)
            with environment.begin_transaction():
                environment.run_migrations()

    def run() -> None:
        # What migrations call is global to the process.
        with MIGRATING:
            if database.writer is not None:
                write(database.writer, upgrade)
            else:
                asyncio.run(write_once(database.engine.url, upgrade))

    await asyncio.to_thread(run)


async def write_once(url: URL, work: Callable[[Connection], object]) -> None:
    """Does something in one transaction on a connection of its own."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(work)
    await engine.dispose()

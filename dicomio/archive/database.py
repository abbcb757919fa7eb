"""Opening the index: the engine for a URL, what each kind of database wants to be told, migrations."""

from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

__all__ = ["load_migrations", "migrate", "open_engine"]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
# Connections of searches; as many as can wait for the disk at once.
POOL_SIZE: Final = 8
# Seconds that a search waits for one of them, or a process for another that writes.
PATIENCE: Final = 60


def open_engine(url: str | URL, *, fsync: bool = True) -> AsyncEngine:
    """The engine for an index; it connects when it is first used.

    Args:
        url: of SQLAlchemy's kind; SQLite and PostgreSQL need not name their asyncio drivers.
        fsync: what is committed is on the disk; applies to SQLite, others are configured where they run.
    """
    made = make_url(url)
    made = made.set(drivername=DRIVERS.get(made.drivername, made.drivername))
    engine = create_async_engine(made, pool_size=POOL_SIZE, max_overflow=1, pool_timeout=PATIENCE)
    if engine.dialect.name == "sqlite":
        prepare_sqlite(engine, fsync)
    return engine


def prepare_sqlite(engine: AsyncEngine, fsync: bool) -> None:
    """Has SQLite write ahead, sync, check foreign keys, and begin transactions where something is written."""
    pragmas = (
        f"busy_timeout = {PATIENCE * 1000}",
        "journal_mode = WAL",
        f"synchronous = {'FULL' if fsync else 'OFF'}",
        "foreign_keys = ON",
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, record: object) -> None:
        # Otherwise the driver begins transactions when it thinks fit.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # What only reads needs none, and each word with SQLite is a visit to its thread.
        if connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def load_migrations() -> ScriptDirectory:
    """Reads the migrations that are part of this package. It blocks."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    script.get_heads()
    return script


async def migrate(engine: AsyncEngine, script: ScriptDirectory, revision: str = "head") -> None:
    """Brings an index to a revision, an empty one or one of an earlier version of this package.

    Args:
        engine: of the index.
        script: the migrations.
        revision: which; the newest by default.
    """

    def run(connection: Connection) -> None:
        def steps(current: Any, context: MigrationContext) -> Any:
            return script._upgrade_revs(revision, current)

        with EnvironmentContext(Config(), script, fn=steps, destination_rev=revision) as environment:
            environment.configure(connection=connection)
            with environment.begin_transaction():
                environment.run_migrations()

    async with engine.connect() as plain:
        connection = await plain.execution_options(writes=True)
        async with connection.begin():
            await connection.run_sync(run)

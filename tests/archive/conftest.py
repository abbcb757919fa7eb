"""An archive that is open, in a directory of the test."""

import shutil
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dicomio.archive import Archive

# Debian keeps the programs of a PostgreSQL server out of the path.
SERVERS = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *map(Path, filter(None, [shutil.which("initdb")]))]
INITDB = max((path.resolve() for path in SERVERS), default=None)

collect_ignore = [] if INITDB is not None and find_spec("asyncpg") else ["test_postgresql.py"]


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    async with Archive(tmp_path / "archive", fsync=False) as opened:
        yield opened

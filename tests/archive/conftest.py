"""An archive that is open, in a directory of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dicomio.archive import Archive


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    async with Archive(tmp_path / "archive", fsync=False) as opened:
        yield opened

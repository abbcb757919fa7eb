"""That the tests would notice if dicomio blocked the event loop."""

from pathlib import Path

import pytest
from blockbuster import BlockingError

from dicomio.datasets import Instance
from dicomio.threads import in_thread


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "empty"
    path.touch()
    return path


async def test_reading_a_file_on_the_loop_is_noticed(path: Path) -> None:
    with pytest.raises(BlockingError):
        Instance.open(path)


async def test_reading_it_in_a_thread_is_not(path: Path) -> None:
    with pytest.raises(ValueError, match="not a DICOM file"):
        await in_thread(Instance.open, path)

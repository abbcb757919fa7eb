from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

DATA = Path(pydicom.__file__).parent / "data"


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Finds a file that ships with pydicom."""

    def find(name: str) -> Path:
        (path,) = [*DATA.glob(f"*_files/{name}"), *DATA.glob(f"test_files/dicomdirtests/{name}")]
        return path

    return find


@pytest.fixture
def small() -> Dataset:
    """A data set that has what an instance needs, and a value of odd length."""
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = "1.2.3.4"
    ds.PatientID = "ODD"
    return ds

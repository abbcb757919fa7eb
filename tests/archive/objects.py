"""Objects to keep, made of keywords."""

from collections.abc import AsyncIterable
from typing import Any

from pydicom.dataset import Dataset

from dicomio import Instance, dataset
from dicomio.datasets import encode
from dicomio.sop import CTImageStorage, ExplicitVRLittleEndian

__all__ = ["UID", "collected", "ct", "uid"]

UID = "1.2.826.0.1.3680043.10.999"


def uid(*numbers: int) -> str:
    """A UID of the tests: of a study, of a series in it, of an instance in that."""
    return ".".join([UID, *map(str, numbers)])


def ct(study: int = 1, series: int = 1, number: int = 1, *, pixels: bytes = b"", **elements: Any) -> Instance:
    """A CT image; `elements` replace or add to what it says, `None` leaves an element out."""
    said: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(study, series, number),
        "StudyInstanceUID": uid(study),
        "SeriesInstanceUID": uid(study, series),
        "PatientID": f"P{study}",
        "PatientName": f"Doe^Number{study}",
        "Modality": "CT",
        "SeriesNumber": series,
        "InstanceNumber": number,
        **elements,
    }
    ds = dataset(**{keyword: value for keyword, value in said.items() if value is not None})
    if pixels:
        ds.add_new("PixelData", "OB", pixels)
    announced = uid(study, series, number)
    return Instance.from_bytes(CTImageStorage, announced, ExplicitVRLittleEndian, encode(ds, ExplicitVRLittleEndian))


async def collected(answers: AsyncIterable[Dataset]) -> list[Dataset]:
    """All answers."""
    return [answer async for answer in answers]

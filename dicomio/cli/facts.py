"""What received objects say about where they belong."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from dicomio import Instance
from dicomio.sop import DeflatedExplicitVRLittleEndian

__all__ = ["Facts", "facts_in", "facts_of", "tolerant"]

logger = logging.getLogger("dicomio.cli.facts")

SPECIFIC_CHARACTER_SET: Final = 0x00080005
SERIES_DATE: Final = 0x00080021
PATIENT_NAME: Final = 0x00100010
STUDY_INSTANCE_UID: Final = 0x0020000D


@dataclass(frozen=True, slots=True)
class Facts:
    """What an object says about where it belongs; what it does not say is empty.

    Args:
        study_uid: Study Instance UID (0020,000D).
        patient_name: Patient's Name (0010,0010).
        series_date: Series Date (0008,0021).
    """

    study_uid: str = ""
    patient_name: str = ""
    series_date: str = ""


def facts_of(path: Path) -> Facts:
    """Reads the beginning of a DICOM file.

    Raises:
        InvalidInstance: it cannot be decoded.
        OSError: it cannot be read.
    """
    instance = Instance.open(path)
    if instance.transfer_syntax == DeflatedExplicitVRLittleEndian:
        return facts_in(instance.dataset())
    tags = [Tag(tag) for tag in (SPECIFIC_CHARACTER_SET, SERIES_DATE, PATIENT_NAME, STUDY_INSTANCE_UID)]
    with path.open("rb") as file:
        return facts_in(read_partial(file, lambda tag, vr, length: tag > STUDY_INSTANCE_UID, specific_tags=list(tags)))


def facts_in(ds: Dataset) -> Facts:
    """What a data set says."""
    return Facts(text_in(ds, STUDY_INSTANCE_UID), name_in(ds), text_in(ds, SERIES_DATE))


def tolerant(look: Callable[[], Facts]) -> Facts:
    """Whatever can be found out: nothing, where an object cannot be decoded.

    Raises:
        OSError: its file cannot be read.
    """
    try:
        return look()
    except OSError:
        raise
    except Exception as error:  # whatever pydicom makes of hostile bytes
        logger.warning("an object cannot be decoded: %s", error)
        return Facts()


def text_in(ds: Dataset, tag: int) -> str:
    """A value as it stands there: pydicom has opinions on those that are not what they should be."""
    value = ds.get_item(tag).value if tag in ds else b""
    return value.decode("ascii", "replace").strip("\0 ") if isinstance(value, bytes) else str(value or "")


def name_in(ds: Dataset) -> str:
    """Patient's Name, where it can be decoded."""
    try:
        return str(ds.get("PatientName") or "")
    except Exception:  # whatever pydicom makes of hostile bytes
        return ""

"""From a file that has arrived to what the index is told of it."""

import os
import re
from pathlib import Path
from typing import Final

from dicomio import InvalidInstance, Refused, Status
from dicomio.archive.attributes import Attributes, key_of
from dicomio.archive.header import Fields, read_header
from dicomio.archive.index import Entry
from dicomio.archive.objects import key_for

__all__ = ["entry_of", "sync"]

# PS3.5 9.1, with leading zeros tolerated since they occur.
UID: Final = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*")
STUDY_INSTANCE_UID: Final = key_of("StudyInstanceUID")
SERIES_INSTANCE_UID: Final = key_of("SeriesInstanceUID")
SOP_CLASS_UID: Final = key_of("SOPClassUID")
SOP_INSTANCE_UID: Final = key_of("SOPInstanceUID")
MISMATCH: Final = Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS


def entry_of(file: Path) -> Entry:
    """Reads what the index has to know of an object. It blocks.

    Args:
        file: with file meta information that tells what was announced.

    Raises:
        Refused: it is not what was announced, or does not say where it belongs (PS3.4 B.2.3).
        OSError: it cannot be read.
    """
    try:
        instance, fields = read_header(file)
    except InvalidInstance as error:
        raise Refused(Status.CANNOT_UNDERSTAND, f"{error}".removeprefix(f"{file}: ")) from error
    for key, name, announced in (
        (SOP_CLASS_UID, "SOP Class", instance.sop_class_uid),
        (SOP_INSTANCE_UID, "SOP Instance", instance.sop_instance_uid),
    ):
        found = text(fields, key)
        if found and found != announced:
            raise Refused(MISMATCH, f"{name} UID is not that of the request")
    study_uid = checked(fields, STUDY_INSTANCE_UID, "Study Instance UID")
    series_uid = checked(fields, SERIES_INSTANCE_UID, "Series Instance UID")
    # An odd data set may leave them out.
    fields[SOP_CLASS_UID] = "UI", instance.sop_class_uid
    fields[SOP_INSTANCE_UID] = "UI", instance.sop_instance_uid
    return Entry(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax=instance.transfer_syntax,
        path=key_for(study_uid, series_uid, instance.sop_instance_uid),
        length=instance.length,
        attributes=Attributes.split(fields),
    )


def checked(fields: Fields, key: str, name: str) -> str:
    """A UID by which the object is going to be found.

    Raises:
        Refused: it is missing, or none.
    """
    uid = text(fields, key)
    if not uid:
        raise Refused(MISMATCH, f"no {name}")
    if UID.fullmatch(uid) is None:
        raise Refused(MISMATCH, f"{name} {uid[:24]!r} is no UID")
    return uid


def text(fields: Fields, key: str) -> str:
    """A text among the fields; empty where there is none."""
    value = fields[key][1] if key in fields else ""
    return value.strip() if isinstance(value, str) else ""


def sync(file: Path) -> None:
    """Makes what is in a file durable."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

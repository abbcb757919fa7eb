"""DICOMDIRs: the files of a File-set (PS3.10 8)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicomio import InvalidInstance
from dicomio.datasets import decode
from dicomio.datasets.part10 import parse_file_meta
from dicomio.sop import MediaStorageDirectoryStorage

__all__ = ["is_dicomdir", "referenced_files"]

HEAD: Final = 4096  # bytes of file meta information of a DICOMDIR, at most
INACTIVE: Final = 0  # PS3.3 F.3.2.2: a record that is no longer in use


def is_dicomdir(path: Path) -> bool:
    """Whether a file is a DICOMDIR, whatever its name."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    if head[128:132] != b"DICM":
        return False
    try:
        meta = parse_file_meta(head, 132)
    except InvalidInstance:
        return False
    return meta is not None and meta.sop_class_uid == MediaStorageDirectoryStorage


def referenced_files(dicomdir: Path) -> Iterator[Path]:
    """The files that the records of a DICOMDIR name, each once. They are below its directory, and may be missing.

    Raises:
        InvalidInstance: it cannot be decoded, or a File ID leads out of its directory.
        OSError: it cannot be read.
    """
    data = dicomdir.read_bytes()
    meta = parse_file_meta(data[:HEAD], 132)
    if meta is None:
        raise InvalidInstance(f"{dicomdir}: the file meta information is cut off")
    root = dicomdir.parent.resolve()
    try:
        records = decode(data[meta.end :], meta.transfer_syntax).get("DirectoryRecordSequence") or ()
        files = {tuple(file_id): None for file_id in map(file_id_of, records) if file_id}
    except InvalidInstance as error:
        raise InvalidInstance(f"{dicomdir}: {error}") from None
    for file_id in files:
        path = dicomdir.parent.joinpath(*file_id)
        # A component may be a link, or the name of a device; what counts is where it leads.
        if not all(map(is_plain, file_id)) or not path.resolve().is_relative_to(root):
            raise InvalidInstance(f"{dicomdir}: the File ID {'/'.join(file_id)} leads out of its directory")
        yield path


def file_id_of(record: Dataset) -> list[str]:
    """The components of the File ID of a record (PS3.3 F.3.2.2); none where it names no file, or is not in use."""
    try:
        value = record.get("ReferencedFileID") or ()
        in_use = record.get("RecordInUseFlag") != INACTIVE
    except Exception as error:  # whatever pydicom makes of damaged values
        raise InvalidInstance(f"a directory record cannot be read: {error}") from error
    if not in_use:
        return []
    return [value] if isinstance(value, str) else [str(component) for component in value]


def is_plain(component: str) -> bool:
    """Whether a component of a File ID is the name of a file or directory, and nothing else (PS3.10 8.2)."""
    return component not in ("", ".", "..") and not set(component) & set("/\\:\0")

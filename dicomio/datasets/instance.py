"""SOP instances ready to be sent."""

import os
import stat
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Self, TypeAlias

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicomio.config import Limits
from dicomio.datasets.codec import DEFAULT_LIMITS, decode, encode, inflate_prefix
from dicomio.datasets.elements import find_uids, sniff_implicit
from dicomio.datasets.part10 import FileMeta, parse_file_meta
from dicomio.datasets.syntax import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, encoding_of
from dicomio.errors import InvalidInstance

__all__ = ["Instance", "StrPath"]

StrPath: TypeAlias = str | PathLike[str]

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

HEAD = 4096  # bytes read at first: nearly always all of the file meta information
MOST_META = 1 << 20  # bytes of file meta information, private information (0002,0102) included
MOST_SEARCHED = 1 << 16  # bytes of a data set in which its UIDs are looked for

# Without O_NONBLOCK opening a named pipe waits for a writer; without O_BINARY Windows translates line ends.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Instance:
    """One SOP instance: what it is, and where its encoded data set lies (a region of a file, or memory).

    Args:
        sop_class_uid: SOP Class UID.
        sop_instance_uid: SOP Instance UID.
        transfer_syntax: UID of the transfer syntax the data set is encoded in.
        path: the file that holds the data set.
        offset: where in the file the data set begins, bytes.
        length: of the data set, bytes.
        data: the data set when it is in memory.
        stamp: size and time of change of the file, by which it is known to be the same later.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    path: Path | None = None
    offset: int = 0
    length: int = 0
    data: bytes | None = field(default=None, repr=False)
    stamp: tuple[int, int] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: StrPath) -> Self:
        """Reads the beginning of a DICOM file (PS3.10), or of a data set without file meta information.

        Args:
            path: a regular file.

        Raises:
            InvalidInstance: when it is not a file, not DICOM, damaged, or a DICOMDIR.
            OSError: when it cannot be read.
        """
        descriptor = os.open(path, OPEN_FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInstance("it is not a regular file")
            meta = read_meta(descriptor, status.st_size)
        except InvalidInstance as error:
            raise InvalidInstance(f"{os.fspath(path)}: {error}") from None
        finally:
            os.close(descriptor)
        sop_class, sop_instance, syntax, end = meta
        return cls(sop_class, sop_instance, syntax, Path(path), end, status.st_size - end, stamp=stamp_of(status))

    @classmethod
    def from_dataset(cls, ds: Dataset, transfer_syntax: str | None = None) -> Self:
        """Encodes a data set.

        Args:
            ds: needs SOP Class UID (0008,0016) and SOP Instance UID (0008,0018); group 0002 is left out.
            transfer_syntax: UID of the transfer syntax to encode in; by default the one its file meta
                information names, then the one it was decoded from, then Explicit VR Little Endian.

        Raises:
            InvalidInstance: when a UID is missing or a value cannot be encoded.
        """
        sop_class, sop_instance = (str(ds.get(name) or "") for name in ("SOPClassUID", "SOPInstanceUID"))
        if not sop_class or not sop_instance:
            missing = "SOP Instance UID (0008,0018)" if sop_class else "SOP Class UID (0008,0016)"
            raise InvalidInstance(f"the data set has no {missing}")
        syntax = transfer_syntax or transfer_syntax_of(ds)
        return cls.from_bytes(sop_class, sop_instance, syntax, encode(ds, syntax))

    @classmethod
    def from_bytes(cls, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str, data: bytes) -> Self:
        """Takes an encoded data set as it is."""
        return cls(sop_class_uid, sop_instance_uid, transfer_syntax, length=len(data), data=data)

    def read(self) -> bytes:
        """The encoded data set.

        Raises:
            InvalidInstance: when the file has become shorter.
            OSError: when it cannot be read.
        """
        if self.data is not None:
            return self.data
        if self.path is None:
            return b""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.length)
        if len(data) != self.length:
            raise InvalidInstance(f"{self.path}: {len(data)} bytes are left of a data set of {self.length}")
        return data

    def dataset(self, limits: Limits = DEFAULT_LIMITS) -> Dataset:
        """The decoded data set; its `file_meta` names the transfer syntax, as pixel data need it.

        Args:
            limits: `data_set`, `nesting` and `inflate_ratio` apply.

        Raises:
            InvalidInstance: when it cannot be decoded, or goes beyond the limits.
            OSError: when the file cannot be read.
        """
        if self.length > limits.data_set:
            raise InvalidInstance(f"the data set of {self.length} bytes is longer than {limits.data_set} bytes")
        ds = decode(self.read(), self.transfer_syntax, limits)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = UID(self.transfer_syntax)
        return ds


def stamp_of(status: os.stat_result) -> tuple[int, int]:
    """Size and time of change of a file."""
    return status.st_size, status.st_mtime_ns


def transfer_syntax_of(ds: Dataset) -> str:
    """The transfer syntax that a data set brings along."""
    meta = getattr(ds, "file_meta", None)
    if meta is not None and (named := meta.get("TransferSyntaxUID")):
        return str(named)
    implicit, little = ds.original_encoding
    if implicit:
        return IMPLICIT_LE
    return EXPLICIT_BE if little is False else EXPLICIT_LE


def read_meta(descriptor: int, size: int) -> FileMeta:
    """What an open file is, from its file meta information where possible (PS3.10 7.1)."""
    head = os.read(descriptor, HEAD)
    start = 132 if head[128:132] == b"DICM" else 0
    meta = parse_file_meta(head, start)
    if meta is None and size > len(head):
        head = read_up_to(descriptor, head, MOST_META)
        meta = parse_file_meta(head, start)
    if meta is None:
        raise InvalidInstance("the file meta information is cut off" if start else "it is not a DICOM file")
    if meta.sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        raise InvalidInstance("a DICOMDIR is not sent")
    if not (meta.sop_class_uid and meta.sop_instance_uid and meta.transfer_syntax):
        meta = complete(meta, read_up_to(descriptor, head, meta.end + MOST_SEARCHED)[meta.end :])
    if meta.end >= size:
        raise InvalidInstance("there is no data set behind the file meta information")
    return meta


def read_up_to(descriptor: int, head: bytes, most: int) -> bytes:
    """Reads on behind `head` until `most` bytes are there, or the file ends."""
    parts, count = [head], len(head)
    while count < most and (more := os.read(descriptor, most - count)):
        parts.append(more)
        count += len(more)
    return b"".join(parts)


def complete(meta: FileMeta, data: bytes) -> FileMeta:
    """Looks in the beginning of the data set for what the file meta information does not say."""
    syntax = meta.transfer_syntax or guess_transfer_syntax(data)
    encoding = encoding_of(syntax)
    plain = inflate_prefix(data, MOST_SEARCHED) if encoding.deflated else data
    try:
        sop_class, sop_instance = find_uids(plain, encoding)
    except InvalidInstance as error:
        raise InvalidInstance(f"it is not a DICOM file: {error}") from None
    sop_class, sop_instance = meta.sop_class_uid or sop_class, meta.sop_instance_uid or sop_instance
    if not sop_class or not sop_instance:
        raise InvalidInstance("it is not a DICOM file, or lacks SOP Class UID or SOP Instance UID")
    return FileMeta(sop_class, sop_instance, syntax, meta.end)


def guess_transfer_syntax(data: bytes) -> str:
    """The transfer syntax of a data set that says nothing about it; a deflated or compressed one cannot be told."""
    if sniff_implicit(data, 0, len(data)) is not False:
        return IMPLICIT_LE
    # Data sets begin with group 0008: as a big endian number its first byte is zero.
    return EXPLICIT_BE if data[0] == 0 else EXPLICIT_LE

"""Objects to send: DICOM files made piece by piece, and the comparison of what arrived with them."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.processes import Failure

__all__ = ["SMALL", "Corpus", "verify"]

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
# UIDs below 2.25 are made of a UUID, this one is 0xd1c0 and zeros.
UID_ROOT: Final = 0xD1C0 << 112

PIECE: Final = 1 << 20
LONGEST: Final = 0xFFFF_FFFE
PIXEL_DATA: Final = (0x7FE0, 0x0010)
# Private data elements (gggg,1000) to (gggg,10FF) belong to who reserved (gggg,0010) (PS3.5 7.8.1).
PRIVATE_GROUP: Final = 0x0029
PRIVATE_BLOCK: Final = 0x1000
# Pixel data of the object that each sender sends before the clock runs, bytes.
SMALL: Final = 4096
# Preamble, prefix, and the group length element of the file meta information (PS3.10 7.1).
META_START: Final = 132 + 12

# VRs whose length field has 32 bits (PS3.5 7.1.2).
LONG_VRS: Final = frozenset({"OB", "OW"})


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files with one object each, all of the same size.

    Attributes:
        first: a small object to send before the clock runs: it takes process start and association with it.
        folder: the directory of the files to measure with.
        files: those files, by SOP Instance UID.
        size: of the pixel data of each, bytes.
    """

    first: Path
    folder: Path
    files: dict[str, Path]
    size: int

    @classmethod
    def make(cls, directory: Path, size: int, count: int) -> Self:
        """Writes the files.

        Args:
            directory: to be made.
            size: of the pixel data of each, bytes; even.
            count: how many.
        """
        folder = directory / "folder"
        folder.mkdir(parents=True)
        first = directory / "first.dcm"
        write_object(first, uid(0), SMALL)
        files = {uid(number): folder / f"{number:06}.dcm" for number in range(1, count + 1)}
        for name, path in files.items():
            write_object(path, name, size)
        return cls(first, folder, files, size)

    @property
    def paths(self) -> list[str]:
        """The files to measure with, as arguments of a program."""
        return [str(path) for path in self.files.values()]

    @property
    def bytes(self) -> int:
        """Bytes of pixel data in the files to measure with."""
        return self.size * len(self.files)


def uid(number: int) -> str:
    """The SOP Instance UID of the object with a number."""
    return f"2.25.{UID_ROOT + number}"


def element(group: int, number: int, vr: str, value: bytes) -> bytes:
    """A data element in Explicit VR Little Endian (PS3.5 7.1.2)."""
    if len(value) % 2:
        value += b"\0" if vr in {"UI", "OB"} else b" "
    return element_header(group, number, vr, len(value)) + value


def element_header(group: int, number: int, vr: str, length: int) -> bytes:
    """The header of a data element in Explicit VR Little Endian."""
    tag = struct.pack("<HH2s", group, number, vr.encode())
    return tag + (struct.pack("<HI", 0, length) if vr in LONG_VRS else struct.pack("<H", length))


def write_object(path: Path, sop_instance_uid: str, size: int) -> None:
    """Writes a file with a secondary capture of so much pixel data, a piece at a time.

    What does not fit into one data element comes before, in private ones.

    Raises:
        ValueError: the size is odd.
    """
    if size % 2:
        raise ValueError(f"data elements have an even length, not {size}")
    meta = b"".join(
        (
            element(0x0002, 0x0001, "OB", b"\0\1"),
            element(0x0002, 0x0002, "UI", SECONDARY_CAPTURE.encode()),
            element(0x0002, 0x0003, "UI", sop_instance_uid.encode()),
            element(0x0002, 0x0010, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode()),
            element(0x0002, 0x0012, "UI", f"2.25.{UID_ROOT - 1}".encode()),
        )
    )
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM" + element(0x0002, 0x0000, "UL", struct.pack("<I", len(meta))) + meta)
        file.write(description(sop_instance_uid))
        for tag, length in parts(size):
            file.write(element_header(*tag, "OW", length))
            for piece in pixels(length):
                file.write(piece)


def description(sop_instance_uid: str) -> bytes:
    """The data elements before the pixel data."""
    return b"".join(
        (
            element(0x0008, 0x0016, "UI", SECONDARY_CAPTURE.encode()),
            element(0x0008, 0x0018, "UI", sop_instance_uid.encode()),
            element(0x0008, 0x0060, "CS", b"OT"),
            element(0x0010, 0x0010, "PN", b"Bench^Mark"),
            element(0x0010, 0x0020, "LO", b"BENCH"),
            element(0x0020, 0x000D, "UI", uid(1 << 40).encode()),
            element(0x0020, 0x000E, "UI", uid(1 << 41).encode()),
            element(0x0020, 0x0013, "IS", b"1"),
            element(0x0028, 0x0100, "US", struct.pack("<H", 16)),
            element(PRIVATE_GROUP, PRIVATE_BLOCK >> 8, "LO", b"BENCH"),
        )
    )


def parts(size: int) -> Iterator[tuple[tuple[int, int], int]]:
    """The data elements that hold so much, by tag, and how much is in each."""
    number = 0
    while size > LONGEST:
        number += 1
        size -= LONGEST
        yield (PRIVATE_GROUP, PRIVATE_BLOCK + number), LONGEST
    yield PIXEL_DATA, size


def pixels(size: int) -> Iterator[bytes]:
    """Bytes that tell where they belong: a random piece again and again, each time with its own number."""
    noise = os.urandom(min(PIECE, size))
    for start in range(0, size, PIECE):
        yield (struct.pack("<Q", start) + noise[8:])[: size - start]


def verify(corpus: Corpus, inbox: Path) -> None:
    """Compares what a receiver has stored with what was sent, byte for byte, and removes it.

    Raises:
        Failure: something is missing, there is something else, or a data set is another one.
    """
    stored = {uid_in_name(path.name): path for path in inbox.iterdir()}
    stored.pop(uid(0), inbox / "none").unlink(missing_ok=True)
    if stored.keys() != corpus.files.keys():
        raise Failure(f"{len(corpus.files)} objects were sent, {len(stored)} files are there: {sorted(stored)[:3]}")
    for name, path in corpus.files.items():
        if not same_data_set(path, stored[name]):
            raise Failure(f"the data set of {stored[name].name} is not what was sent")
        stored[name].unlink()


def uid_in_name(name: str) -> str:
    """The SOP Instance UID in `SC.1.2.3`, `1.2.3.dcm` or `1.2.3`."""
    return name.removesuffix(".dcm").removeprefix("SC.")


def same_data_set(one: Path, other: Path) -> bool:
    """Whether two files contain the same data set, whatever their file meta information says."""
    with one.open("rb") as left, other.open("rb") as right:
        left.seek(data_set_offset(left.read(META_START)))
        right.seek(data_set_offset(right.read(META_START)))
        while piece := left.read(PIECE):
            if piece != right.read(PIECE):
                return False
        return not right.read(1)


def data_set_offset(start: bytes) -> int:
    """Where the data set begins in a file that starts so (PS3.10 7.1)."""
    if len(start) < META_START or start[128:132] != b"DICM":
        raise Failure("a stored file does not begin as a DICOM file")
    (length,) = struct.unpack_from("<I", start, META_START - 4)
    return META_START + int(length)

"""DCMTK's `dcmqrscp` with many images in its database, as a server of queries at IMAGE level."""

import subprocess
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

import dicomio
from benchmarks.peers import dcmtk_environment
from benchmarks.processes import Failure, Server, free_port, start_probed
from benchmarks.programs.rows import IMAGE_KEYS, IMAGE_UID, image
from dicomio.datasets import encode, file_header
from dicomio.implementation import IMPLEMENTATION_CLASS_UID
from dicomio.sop import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

__all__ = ["FIRST", "IMAGES", "MANY", "QUERY", "save", "start_dcmqrscp"]

# As many as its index has room for: 32 MiB.
IMAGES: Final = 4_000
# The AE titles: of all of them, and of a single one.
MANY: Final = "BENCH"
FIRST: Final = "FIRST"
INDEX: Final = "index.dat"
# The query for all of them, as a file in the inbox.
QUERY: Final = "query.dcm"
# What `dcmqridx` keeps a UID in, closed with NULs.
UID_SIZE: Final = 64
SECONDS: Final = 20

CONFIGURATION: Final = """\
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
HostTable END
AETable BEGIN
{many_title} {many} RW (200, 1024mb) ANY
{first_title} {first} RW (200, 1024mb) ANY
AETable END
"""


def start_dcmqrscp(inbox: Path, log: Path) -> Server:
    """Starts it with `IMAGES` images for the AE title BENCH, and one for `FIRST`; it has a process per association.

    Raises:
        Failure: the index cannot be made, or it does not listen in time.
    """
    first, many = inbox / "first", inbox / "many"
    register(first, 1)
    one = (first / INDEX).read_bytes()
    register(many, 2)
    (many / INDEX).write_bytes(repeated(one, (many / INDEX).read_bytes()))
    save(dicomio.dataset(**IMAGE_KEYS), inbox / QUERY)
    configuration = inbox / "dcmqrscp.cfg"
    configuration.write_text(CONFIGURATION.format(many=many, first=first, many_title=MANY, first_title=FIRST))
    port, environment = free_port(), dcmtk_environment(no_delay=True)
    probe = ["echoscu", "-aec", MANY, "127.0.0.1", str(port)]
    return start_probed(["dcmqrscp", "-c", str(configuration), str(port)], port, probe, log, environment)


def register(folder: Path, count: int) -> None:
    """Makes an index of so many images. `dcmqridx` compares each with all before it, so that many take minutes."""
    folder.mkdir()
    paths = [folder / str(number) for number in range(count)]
    for number, path in enumerate(paths):
        save(image(number), path)
    command = ["dcmqridx", "-q", str(folder), *map(str, paths)]
    result = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if result.returncode:
        raise Failure(f"dcmqridx ended with code {result.returncode}")


def save(ds: Dataset, path: Path) -> None:
    """Writes a file that the programs of others read."""
    head = file_header(
        sop_class_uid=SecondaryCaptureImageStorage,
        sop_instance_uid=str(ds.get("SOPInstanceUID") or IMAGE_UID),
        transfer_syntax=ExplicitVRLittleEndian,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name="",
    )
    path.write_bytes(head + encode(ds, ExplicitVRLittleEndian))


def repeated(one: bytes, two: bytes) -> bytes:
    """An index of many images that differ in their SOP Instance UIDs, from one of one image and one of two.

    Raises:
        Failure: this is not how it is built.
    """
    size = len(two) - len(one)
    head, record = two[: len(one) - size], two[len(one) - size : len(one)]
    known = f"{IMAGE_UID}.".encode()
    before, found, after = record.partition(known)
    if not found or size <= 0:
        raise Failure("the index of dcmqridx is built in another way")
    after = after[UID_SIZE - len(known) :]
    uids = [f"{IMAGE_UID}.{number}".encode().ljust(UID_SIZE, b"\0") for number in range(IMAGES)]
    return head + b"".join([before + uid + after for uid in uids])

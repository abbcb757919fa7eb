"""How fast the archive is: `python -m benchmarks.archive`.

Ingest: objects of 40 kB over several associations from one process to another, each answered when it is durable, and
the same without waiting for the disk. Find: an index of many studies, asked over an association.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset

import dicomio
from benchmarks.loops import LOOPS, best_loop, run
from benchmarks.processes import Failure, Server, start_announcing
from dicomio import STUDY_ROOT, Association, Limits, dataset, query
from dicomio.archive import Archive
from dicomio.archive.attributes import Attributes
from dicomio.archive.header import read_header
from dicomio.archive.index import Entry
from dicomio.sop import CTImageStorage, ExplicitVRLittleEndian

ROOT: Final = "2.25.278938463374607431768211455"
PIXELS: Final = 40_000  # bytes
IMAGES_IN_SERIES: Final = 50
STUDIES_OF_A_FAMILY: Final = 100
QUERIES: Final = 100
ROWS_AT_ONCE: Final = 2_000

FASTEST_INGEST: Final = 300  # objects per second, at least
PATIENT_ID_MS: Final = 20  # milliseconds for an answer, at most
NAME_MS: Final = 200


def uid(*numbers: int) -> str:
    return ".".join([ROOT, *map(str, numbers)])


def image(study: int, series: int, number: int) -> Dataset:
    """A CT image without pixels, with about as many attributes as scanners give them."""
    return dataset(
        SpecificCharacterSet="ISO_IR 100",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        SOPClassUID=CTImageStorage,
        SOPInstanceUID=uid(study, series, number),
        StudyDate=f"2024{study % 12 + 1:02}{study % 28 + 1:02}",
        SeriesDate="20240101",
        AcquisitionDate="20240101",
        ContentDate="20240101",
        StudyTime="101112.131415",
        SeriesTime="101112.131415",
        AcquisitionTime="101112.131415",
        ContentTime="101112.131415",
        AccessionNumber=f"A{study:08}",
        Modality="CT",
        Manufacturer="Maker",
        InstitutionName="Hospital",
        ReferringPhysicianName="Referring^Physician",
        StationName="STATION",
        StudyDescription=f"Study number {study}",
        SeriesDescription=f"Series {series}, axial",
        InstitutionalDepartmentName="Radiology",
        OperatorsName="Operator^The",
        ManufacturerModelName="Model",
        ReferencedImageSequence={"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": uid(1)},
        PatientName=f"Family{study // STUDIES_OF_A_FAMILY:04}^Given{study}",
        PatientID=f"P{study:06}",
        PatientBirthDate="19700101",
        PatientSex="F",
        PatientAge="054Y",
        PatientWeight="70",
        BodyPartExamined="CHEST",
        ScanOptions="HELICAL",
        SliceThickness="1.25",
        KVP="120",
        DataCollectionDiameter="500",
        DeviceSerialNumber="1234",
        SoftwareVersions="1.0",
        ProtocolName="Chest routine",
        ReconstructionDiameter="350",
        GantryDetectorTilt="0",
        TableHeight="150",
        RotationDirection="CW",
        ExposureTime="500",
        XRayTubeCurrent="200",
        FilterType="BODY",
        ConvolutionKernel="STANDARD",
        PatientPosition="FFS",
        StudyInstanceUID=uid(study),
        SeriesInstanceUID=uid(study, series),
        StudyID=str(study),
        SeriesNumber=series,
        AcquisitionNumber="1",
        InstanceNumber=number,
        ImagePositionPatient=["-175.0", "-175.0", str(number)],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        FrameOfReferenceUID=uid(study, 0),
        PositionReferenceIndicator="SN",
        SliceLocation=str(number),
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=100,
        Columns=200,
        PixelSpacing=["0.7", "0.7"],
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        WindowCenter="40",
        WindowWidth="400",
        RescaleIntercept="-1024",
        RescaleSlope="1",
        PerformedProcedureStepStartDate="20240101",
        PerformedProcedureStepStartTime="101112",
        PerformedProcedureStepID="PPS1",
    )


def write(ds: Dataset, path: Path) -> Path:
    """Writes a file with pixels."""
    ds.add_new("PixelData", "OW", bytes(PIXELS))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # type: ignore[assignment]
    ds.save_as(path, enforce_file_format=True)
    return path


# ingest


async def listen(root: Path, fsync: bool) -> None:
    """Serves an archive until the process is ended; prints the port."""
    archive = Archive(root, ae_title="BENCH", fsync=fsync)
    async with dicomio.serve(archive.app, "127.0.0.1", 0) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


@contextmanager
def served(root: Path, loop: str, fsync: bool) -> Iterator[Server]:
    """An archive in a process of its own."""
    arguments = ["--serve", str(root), "--loop", loop, *([] if fsync else ["--no-fsync"])]
    server = start_announcing("benchmarks.archive", arguments, root.with_suffix(".log"))
    try:
        yield server
    finally:
        server.stop()


async def send(port: int, files: Sequence[Path], associations: int) -> float:
    """Stores files; returns objects per second.

    Raises:
        Failure: one was not stored, or the archive has another number of them.
    """
    limits = Limits(associations=associations)
    async with dicomio.Client(f"BENCH@127.0.0.1:{port}", limits=limits) as client:
        for path in files[:associations]:
            await client.store(path)
        started = time.perf_counter()
        outcomes = client.store_many(files[associations:])
        await outcomes
        seconds = time.perf_counter() - started
        studies = await client.find(query("STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances=""))
    kept = sum(int(study.NumberOfStudyRelatedInstances) for study in studies)
    if outcomes.failures or kept != len(files):
        raise Failure(f"{len(outcomes.failures)} of {len(files)} objects failed, {kept} are in the archive")
    return (len(files) - associations) / seconds


def ingest(directory: Path, given: argparse.Namespace) -> list[tuple[str, float, str, bool]]:
    """Objects per second with and without waiting for the disk."""
    folder = directory / "files"
    folder.mkdir()
    numbers = range(given.objects)
    files = [write(image(n // 200, n // IMAGES_IN_SERIES % 4, n), folder / f"{n:06}.dcm") for n in numbers]
    found = []
    for fsync in (True, False):
        with served(directory / f"archive-{fsync}", given.loop, fsync) as server:
            rate = run(send(server.port, files, given.associations), given.loop)
        name = f"ingest over {given.associations} associations, {'durable' if fsync else 'without fsync'}"
        found.append((name, rate, "objects/s", rate >= FASTEST_INGEST))
    return found


# find


def entry_of(template: Attributes, study: int, series: int, number: int) -> Entry:
    """What the index is told of one of many images."""
    return Entry(
        study_uid=uid(study),
        series_uid=uid(study, series),
        sop_instance_uid=uid(study, series, number),
        sop_class_uid=CTImageStorage,
        transfer_syntax=ExplicitVRLittleEndian,
        path=f"{uid(study)}/{uid(study, series)}/{uid(study, series, number)}.00000000.dcm",
        length=PIXELS,
        attributes=template,
    )


async def fill(archive: Archive, directory: Path, studies: int, instances: int) -> None:
    """Enters images into the index alone: no search looks at files."""
    each = instances // studies
    rows: list[Entry] = []
    for study in range(studies):
        for first in range(0, each, IMAGES_IN_SERIES):
            series = first // IMAGES_IN_SERIES
            template = Attributes.split(read_header(write(image(study, series, 1), directory / "one.dcm")).fields)
            last = min(first + IMAGES_IN_SERIES, each)
            rows += [entry_of(template, study, series, number) for number in range(first, last)]
        if len(rows) >= ROWS_AT_ONCE or study == studies - 1:
            await archive.index.enter(rows)
            rows.clear()


async def ask(peer: Association, identifiers: Sequence[Dataset], expected: int) -> list[float]:
    """Milliseconds that each query took.

    Raises:
        Failure: a query has another number of answers.
    """
    taken = []
    for identifier in identifiers:
        started = time.perf_counter()
        answers = await peer.find(identifier)
        taken.append((time.perf_counter() - started) * 1000)
        if len(answers) != expected:
            raise Failure(f"{len(answers)} answers in place of {expected} for {identifier}")
    return taken


KEYS: Final = {
    **dict.fromkeys(["StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"], ""),
    **dict.fromkeys(["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ModalitiesInStudy"], ""),
    **dict.fromkeys(["NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "ReferringPhysicianName"], ""),
}


async def find(directory: Path, given: argparse.Namespace) -> list[tuple[str, float, str, bool]]:
    """How long queries take among many studies; archive and client share one process."""
    found = []
    async with Archive(directory / "large", ae_title="BENCH", fsync=False) as archive:
        await fill(archive, directory, given.studies, given.instances)
        some = range(0, given.studies, max(1, given.studies // QUERIES))
        families = range(given.studies // STUDIES_OF_A_FAMILY)
        async with (
            dicomio.serve(archive.app, "127.0.0.1", 0) as server,
            dicomio.connect(f"BENCH@127.0.0.1:{server.port}", contexts=[*STUDY_ROOT]) as peer,
        ):
            for name, identifiers, expected, most in (
                (
                    "by patient ID",
                    [query("STUDY", **{**KEYS, "PatientID": f"P{n:06}"}) for n in some],
                    1,
                    PATIENT_ID_MS,
                ),
                (
                    f"{STUDIES_OF_A_FAMILY} matches by name with a wild card",
                    [query("STUDY", **{**KEYS, "PatientName": f"FAMILY{n:04}*"}) for n in families],
                    STUDIES_OF_A_FAMILY,
                    NAME_MS,
                ),
            ):
                await ask(peer, identifiers[:1], expected)
                taken = await ask(peer, identifiers, expected)
                median = statistics.median(taken)
                found.append((f"find {name}", median, "ms (median)", median < most))
                found.append((f"find {name}", max(taken), "ms (slowest)", max(taken) < most))
    return found


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--objects", type=int, default=2_000, help="to ingest, 2,000")
    parser.add_argument("--associations", type=int, default=4, help="to ingest over, 4")
    parser.add_argument("--studies", type=int, default=1_000, help="to search in, 1,000")
    parser.add_argument("--instances", type=int, default=100_000, help="in all of them, 100,000")
    parser.add_argument("--only", choices=("ingest", "find"), help="one of the two")
    parser.add_argument("--directory", type=Path, default=Path(), help="where, so that a real disk is used; here")
    parser.add_argument("--loop", choices=LOOPS, default=best_loop(), help=f"event loop, here {best_loop()}")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-fsync", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measures what is asked for.

    Returns:
        0 where every target was reached, else 1.
    """
    given = parse()
    if given.serve:
        run(listen(given.serve, not given.no_fsync), given.loop)
        return 0
    results: list[tuple[str, float, str, bool]] = []
    with tempfile.TemporaryDirectory(prefix="dicomio-bench-", dir=given.directory) as directory:
        if given.only != "find":
            results += ingest(Path(directory), given)
        if given.only != "ingest":
            results += run(find(Path(directory), given), given.loop)
    for name, value, unit, reached in results:
        print(f"{name:60} {value:10,.1f} {unit}{'' if reached else '  missed'}")
    return int(not all(reached for *_, reached in results))


if __name__ == "__main__":
    sys.exit(main())

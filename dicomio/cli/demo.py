"""`dicomio demo`: a study is stored in an archive, found there and retrieved, without a byte changed."""

import asyncio
import importlib.util
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydicom.dataset import Dataset
from rich.table import Column, Table

from dicomio import Client, DicomError, Instance, PresentationContext, query, serve
from dicomio.cli.archives import archive_class
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output, printable
from dicomio.cli.scu import complete, directory_of
from dicomio.datasets import safe_name
from dicomio.sop import name_of

__all__ = ["run"]

# Files that come with pydicom: what they show, and their names.
STUDY: Final = (
    ("explicit VR little endian", "CT_small.dcm"),
    ("implicit VR little endian", "SC_rgb_jpeg_dcmd.dcm"),
    ("explicit VR big endian", "ExplVR_BigEnd.dcm"),
    ("deflated", "image_dfl.dcm"),
    ("JPEG", "SC_rgb_jpeg_dcmtk.dcm"),
    ("JPEG-LS", "MR_small_jpeg_ls_lossless.dcm"),
    ("JPEG 2000", "GDCMJ2K_TextGBR.dcm"),
    ("RLE, two frames", "SC_rgb_rle_2frame.dcm"),
    ("JPEG, thirty frames", "examples_ybr_color.dcm"),
    ("segmentation", "liver_1frame.dcm"),
    ("structured report", "test-SR.dcm"),
    ("electrocardiogram", "waveform_ecg.dcm"),
)


@dataclass(slots=True)
class Journey:
    """What became of one file.

    Args:
        what: it shows.
        sent: the file as sent.
        fault: why it was not stored or not retrieved; empty where nothing went wrong.
        found: what the archive answers about it.
    """

    what: str
    sent: Instance
    fault: str = ""
    found: Dataset | None = field(default=None, repr=False)

    @property
    def words(self) -> str:
        """Patient and modality, as the archive knows them."""
        if self.found is None:
            return ""
        patient, modality = str(self.found.get("PatientName") or ""), str(self.found.get("Modality") or "")
        return printable(f"{patient.strip('^') or 'nameless'}, {modality or 'no modality'}")


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    study = study_files()
    archive_class()
    with TemporaryDirectory(prefix="dicomio-") as scratch:
        inbox = directory_of(args) if args.output_directory is not None else Path(scratch) / "retrieved"
        return complete(demonstrate(study, Path(scratch) / "archive", inbox, args, output))


def study_files() -> dict[Path, str]:
    """The files of the study that are there, with what each of them shows.

    Raises:
        UsageError: none is.
    """
    package = importlib.util.find_spec("pydicom")
    assert package is not None
    assert package.origin is not None
    directory = Path(package.origin).parent / "data" / "test_files"
    found = {directory / name: what for what, name in STUDY if (directory / name).is_file()}
    if not found:
        raise UsageError(f"{directory}: the files that come with pydicom are not there")
    return found


async def demonstrate(study: dict[Path, str], root: Path, inbox: Path, args: Namespace, output: Output) -> int:
    """Stores the study, finds it, gets it, compares, and prints a table."""
    journeys = await asyncio.to_thread(lambda: [Journey(what, Instance.open(path)) for path, what in study.items()])
    archive = archive_class()(root, ae_title="DEMO-SCP")
    started = time.perf_counter()
    async with serve(archive.app, "127.0.0.1", 0) as server:
        address = f"DEMO-SCP@127.0.0.1:{server.port}"
        output.say(f"storing {len(journeys)} files in the archive {address}")
        async with Client(address, ae_title="DEMO-SCU") as peer:
            await store(peer, journeys, output, wanted=not args.no_progress)
            studies = await find(peer, journeys)
            output.say(f"found {len(studies)} studies; getting them")
            await get(peer, studies, journeys, inbox)
    elapsed = time.perf_counter() - started
    await asyncio.to_thread(compare_all, journeys, inbox)
    present(journeys, elapsed, output)
    return 1 if any(journey.fault for journey in journeys) else 0


async def store(peer: Client, journeys: Sequence[Journey], output: Output, *, wanted: bool) -> None:
    """Stores every object over one association, with a progress bar."""
    by_path = {journey.sent.path: journey for journey in journeys}
    with output.bar(sum(journey.sent.length for journey in journeys), wanted=wanted) as bar:
        async with peer.store_many(journey.sent for journey in journeys) as outcomes:
            async for outcome in outcomes:
                journey = by_path[outcome.path]
                journey.fault = str(outcome.error or "")
                bar.describe(f"{outcomes.done}/{len(journeys)}")
                bar.advance(journey.sent.length)


async def find(peer: Client, journeys: Iterable[Journey]) -> list[str]:
    """Finds what the archive has, from studies down to objects (PS3.4 C.6.2); returns the UIDs of the studies."""
    by_uid = {journey.sent.sop_instance_uid: journey for journey in journeys}
    studies = await peer.find(query("STUDY", StudyInstanceUID="", PatientName=""))
    for study in studies:
        uid = study.StudyInstanceUID
        for series in await peer.find(query("SERIES", StudyInstanceUID=uid, SeriesInstanceUID="", Modality="")):
            keys = query("IMAGE", StudyInstanceUID=uid, SeriesInstanceUID=series.SeriesInstanceUID, SOPInstanceUID="")
            for image in await peer.find(keys):
                image.PatientName, image.Modality = study.get("PatientName"), series.get("Modality")
                if image.SOPInstanceUID in by_uid:
                    by_uid[image.SOPInstanceUID].found = image
    return [study.StudyInstanceUID for study in studies]


async def get(peer: Client, studies: Iterable[str], journeys: Iterable[Journey], inbox: Path) -> None:
    """Gets study by study, each object in the transfer syntax in which it was sent."""
    kinds = sorted({(journey.sent.sop_class_uid, journey.sent.transfer_syntax) for journey in journeys})
    contexts = [PresentationContext(uid, (syntax,), scu=False, scp=True) for uid, syntax in kinds]
    for study in studies:
        async for request in peer.get(query("STUDY", StudyInstanceUID=study), storage=contexts):
            await request.save(path_of(request.sop_instance_uid, inbox))


def path_of(sop_instance_uid: str, inbox: Path) -> Path:
    """Where an object goes that was retrieved."""
    return inbox / f"{safe_name(sop_instance_uid)}.dcm"


def compare_all(journeys: Iterable[Journey], inbox: Path) -> None:
    """Compares what was retrieved with what was sent."""
    for journey in journeys:
        if not journey.fault:
            journey.fault = "was not found" if journey.found is None else difference(journey.sent, inbox)


def difference(sent: Instance, inbox: Path) -> str:
    """What is different in what was retrieved, in words; nothing where nothing is."""
    try:
        got = Instance.open(path_of(sent.sop_instance_uid, inbox))
        data = sent.read()
        # A deflated data set of odd length travels with the NUL that PS3.5 A.5 wants behind it.
        if got.read() not in (data, data + b"\0" if len(data) % 2 else data):
            return "the data set is different"
    except (DicomError, OSError) as error:
        return str(error)
    for name in ("sop_class_uid", "sop_instance_uid", "transfer_syntax"):
        if getattr(got, name) != getattr(sent, name):
            return f"{name} is different"
    return ""


def present(journeys: Sequence[Journey], elapsed: float, output: Output) -> None:
    """Prints what came of it."""
    columns = [Column(name, overflow="fold") for name in ("what", "found as", "SOP class", "transfer syntax")]
    table = Table(*columns, Column("bytes", justify="right"), "came back")
    for journey in journeys:
        sent, verdict = journey.sent, journey.fault or "identical"
        names = name_of(sent.sop_class_uid), name_of(sent.transfer_syntax)
        if output.json:
            record = {"path": str(sent.path), "found": journey.words, "sop_class": names[0]}
            output.result("", {**record, "transfer_syntax": names[1], "came_back": verdict})
        table.add_row(journey.what, journey.words, *names, str(sent.length), verdict)
    if not output.json:
        output.table(table)
    good = sum(not journey.fault for journey in journeys)
    size = sum(journey.sent.length for journey in journeys)
    counts = f"{good} of {len(journeys)} files stored, found and retrieved without a byte changed"
    output.say(f"{counts}, {size} bytes in {elapsed:.2f} s")

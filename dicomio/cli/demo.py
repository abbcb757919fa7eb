"""`dicomio demo`: a study goes over the network and comes back from the disk without a byte changed."""

import asyncio
import importlib.util
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.table import Column, Table

from dicomio import Application, Client, DicomError, Instance, Outcome, StoreRequest, serve
from dicomio.cli.errors import UsageError
from dicomio.cli.output import Output
from dicomio.cli.scu import complete
from dicomio.datasets import safe_name
from dicomio.sop import name_of

__all__ = ["run"]

# Files that come with pydicom: what they show, and their names.
STUDY: Final = (
    ("explicit VR little endian", "CT_small.dcm"),
    ("implicit VR little endian", "MR_small_implicit.dcm"),
    ("explicit VR big endian", "ExplVR_BigEnd.dcm"),
    ("deflated", "image_dfl.dcm"),
    ("JPEG", "SC_rgb_jpeg_dcmtk.dcm"),
    ("JPEG-LS", "JPEGLSNearLossless_08.dcm"),
    ("JPEG 2000", "GDCMJ2K_TextGBR.dcm"),
    ("RLE, two frames", "SC_rgb_rle_2frame.dcm"),
    ("JPEG, thirty frames", "examples_ybr_color.dcm"),
    ("segmentation", "liver_1frame.dcm"),
    ("structured report", "test-SR.dcm"),
    ("radiotherapy plan", "rtplan.dcm"),
    ("radiotherapy dose", "rtdose.dcm"),
    ("electrocardiogram", "waveform_ecg.dcm"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one file.

    Args:
        what: what it shows.
        sent: the file as sent.
        fault: what is different in what was stored; empty where nothing is.
    """

    what: str
    sent: Instance
    fault: str


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    study = study_files()
    if args.output_directory is not None:
        return complete(demonstrate(study, Path(args.output_directory), args, output))
    with TemporaryDirectory(prefix="dicomio-") as directory:
        return complete(demonstrate(study, Path(directory), args, output))


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


async def demonstrate(study: dict[Path, str], inbox: Path, args: Namespace, output: Output) -> int:
    """Sends the study, compares, and prints a table."""
    app = Application("DEMO-SCP")

    @app.store()
    async def store(request: StoreRequest) -> None:
        await request.save(inbox / f"{safe_name(request.sop_instance_uid)}.dcm")

    started = time.perf_counter()
    async with serve(app, "127.0.0.1", 0) as server:
        address = f"DEMO-SCP@127.0.0.1:{server.port}"
        output.say(f"sending {len(study)} files to {address}")
        outcomes = await send(address, list(study), args, output)
    elapsed = time.perf_counter() - started
    checks = await asyncio.to_thread(compare_all, study, outcomes, inbox)
    present(checks, elapsed, output)
    return 1 if any(check.fault for check in checks) else 0


async def send(address: str, paths: Sequence[Path], args: Namespace, output: Output) -> list[Outcome]:
    """Sends files over one association, with a progress bar."""
    found: list[Outcome] = []
    instances = await asyncio.to_thread(lambda: [Instance.open(path) for path in paths])
    with output.bar(sum(instance.length for instance in instances), wanted=not args.no_progress) as bar:
        async with Client(address, ae_title="DEMO-SCU") as peer, peer.store_many(instances) as outcomes:
            async for outcome in outcomes:
                bar.describe(f"{outcomes.done}/{len(paths)}")
                bar.advance(outcome.instance.length if isinstance(outcome.instance, Instance) else 0)
                found.append(outcome)
    return found


def compare_all(study: dict[Path, str], outcomes: Sequence[Outcome], inbox: Path) -> list[Check]:
    """Compares what was stored with what was sent."""
    by_path = {outcome.path: outcome for outcome in outcomes}
    checks = []
    for path, what in study.items():
        sent = Instance.open(path)
        checks.append(Check(what, sent, difference(sent, by_path.get(path), inbox)))
    return checks


def difference(sent: Instance, outcome: Outcome | None, inbox: Path) -> str:
    """What is different in what was stored, in words; nothing where nothing is."""
    if outcome is None:
        return "was not sent"
    if outcome.error is not None:
        return str(outcome.error)
    try:
        stored = Instance.open(inbox / f"{safe_name(sent.sop_instance_uid)}.dcm")
        data = sent.read()
        # A deflated data set of odd length travels with the NUL that PS3.5 A.5 wants behind it.
        if stored.read() not in (data, data + b"\0" if len(data) % 2 else data):
            return "the data set is different"
    except (DicomError, OSError) as error:
        return str(error)
    for name in ("sop_class_uid", "sop_instance_uid", "transfer_syntax"):
        if getattr(stored, name) != getattr(sent, name):
            return f"{name} is different"
    return ""


def present(checks: Sequence[Check], elapsed: float, output: Output) -> None:
    """Prints what came of it."""
    columns = [Column(name, overflow="fold") for name in ("what", "SOP class", "transfer syntax")]
    table = Table(*columns, Column("bytes", justify="right"), "stored")
    for check in checks:
        sent, verdict = check.sent, check.fault or "identical"
        names = name_of(sent.sop_class_uid), name_of(sent.transfer_syntax)
        if output.json:
            record = {"path": str(sent.path), "sop_class": names[0], "transfer_syntax": names[1], "stored": verdict}
            output.result("", record)
        table.add_row(check.what, *names, str(sent.length), verdict)
    if not output.json:
        output.table(table)
    good = sum(not check.fault for check in checks)
    size = sum(check.sent.length for check in checks)
    output.say(f"{good} of {len(checks)} files stored without a byte changed, {size} bytes in {elapsed:.2f} s")

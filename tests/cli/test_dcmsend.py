"""`dicomio dcmsend`: what is decompressed, over how many associations, from which DICOMDIRs, and the report."""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicomio import Application, Instance, InvalidInstance, NoPresentationContext, Refused, Status, StoreRequest
from dicomio.cli.dcmsend_report import Report
from dicomio.cli.directories import is_dicomdir, referenced_files
from dicomio.cli.sending import Outcome
from dicomio.config import Role
from dicomio.datasets import encode, file_header
from dicomio.negotiation import AcceptedContext
from dicomio.sop import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from .conftest import DATA, Receive, Tool, serving

Sample = Callable[[str], Path]

CT = "CT_small.dcm"
MR = "MR_small.dcm"
RLE = "MR_small_RLE.dcm"
DEFLATED = "image_dfl.dcm"
JPEG = "SC_rgb_jpeg_dcmtk.dcm"
PLAIN_JPEG = "SC_rgb_jpeg_dcmd.dcm"  # what JPEG is, implicit and uncompressed
FILE_SET = DATA / "dicomdirtests"


# ---- decompression ----


@pytest.mark.parametrize(
    "option, sent",
    [
        ("+dls", [RLE, DEFLATED]),
        ("--decompress-lossless", [RLE, DEFLATED]),
        ("+dly", [RLE, DEFLATED, JPEG]),
        ("--decompress-lossy", [RLE, DEFLATED, JPEG]),
        ("-dn", []),
        ("--decompress-never", []),
        ("--no-progress", [RLE, DEFLATED]),
    ],
)
@pytest.mark.parametrize("name", [RLE, DEFLATED, JPEG])
def test_compressed_to_a_peer_that_takes_none(
    tool: Tool, receiver: Receive, sample: Sample, option: str, sent: Sequence[str], name: str
) -> None:
    peer = receiver("+xe")
    code, out, _ = tool("dcmsend", option, "localhost", peer.port, sample(name))
    if name in sent:
        assert (code, out) == (0, "")
        assert [Instance.open(path).transfer_syntax for path in peer.files] == [ExplicitVRLittleEndian]
    else:
        assert (code, peer.files) == (1, [])
        assert out.startswith(f"failed: {sample(name)}: ")


def test_never_decompresses_what_need_not_be(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver()
    assert tool("dcmsend", "-dn", "localhost", peer.port, sample(RLE), sample(CT)) == (0, "", "")
    assert sorted(Instance.open(path).transfer_syntax for path in peer.files) == [ExplicitVRLittleEndian, RLELossless]


def test_context_for_another_file_is_no_excuse(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver("+xe")
    code, out, _ = tool("dcmsend", "-nh", "localhost", peer.port, sample(PLAIN_JPEG), sample(JPEG))
    assert code == 1
    assert out.count("failed: ") == 1
    assert f"failed: {sample(JPEG)}: " in out
    assert "it is not to be decompressed" in out
    assert len(peer.files) == 1


# ---- associations ----


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Objects of so many SOP classes that their presentation contexts do not fit into one association."""
    directory = tmp_path / "many"
    directory.mkdir()
    for number in range(130):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = f"1.2.3.{number}", f"1.2.4.{number}"
        write(directory / f"{number:03}.dcm", ds)
    return directory


def write(path: Path, ds: Dataset) -> Path:
    """A DICOM file."""
    header = file_header(
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        transfer_syntax=ImplicitVRLittleEndian,
        implementation_class_uid="1.2",
        implementation_version_name="",
    )
    path.write_bytes(header + encode(ds, ImplicitVRLittleEndian))
    return path


def test_several_associations(tool: Tool, receiver: Receive, many: Path, tmp_path: Path) -> None:
    peer, report = receiver("-pm"), tmp_path / "report.txt"
    assert tool("dcmsend", "+sd", "+crf", report, "localhost", peer.port, many) == (0, "", "")
    assert len(peer.files) == 130
    peer.close()
    assert len(peer.ended) > 1
    assert f"Number of associations   : {len(peer.ended)}\n" in report.read_text()


def test_single_association(tool: Tool, receiver: Receive, many: Path, tmp_path: Path) -> None:
    peer, report = receiver("-pm"), tmp_path / "report.txt"
    code, out, err = tool("dcmsend", "-ma", "+sd", "+crf", report, "localhost", peer.port, many)
    assert (code, out) == (1, "")
    peer.close()
    assert len(peer.ended) == 1
    left = 130 - len(peer.files)
    assert 0 < left < 130
    assert f"{left} of 130 instances not sent over a single association" in err
    assert "Number of SOP instances  : 130\n" in report.read_text()
    assert report.read_text().count("DIMSE Status  : <not sent>\n") == left
    assert tool("dcmsend", "-ma", "+ma", "-nh", "localhost", peer.port, many / "000.dcm").code == 1  # nobody listens


def test_presentation_contexts_are_told(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver("+xe")
    words = ["localhost", peer.port, sample(RLE)]
    err = tool("dcmsend", "-v", "+v", *words).err
    assert "info: presentation context 1: MRImageStorage was refused with result 4\n" in err
    assert "info: presentation context 3: MRImageStorage in ExplicitVRLittleEndian\n" in err
    assert "presentation context" not in tool("dcmsend", "-v", *words).err


# ---- which files ----


def test_files_with_and_without_meta_information(tool: Tool, receiver: Receive, sample: Sample, tmp_path: Path) -> None:
    peer, bare = receiver(), tmp_path / "bare.dcm"
    bare.write_bytes(Instance.open(sample(MR)).read())
    whole = sample(CT)
    for option, path in (("+fo", bare), ("+f", bare), ("-f", bare), ("-f", whole), ("+f", whole), ("+fo", whole)):
        expected = 2 if (option, path) in (("+fo", bare), ("-f", whole)) else 0
        assert tool("dcmsend", option, "localhost", peer.port, path).code == expected
    code, out, err = tool("dcmsend", "localhost", peer.port, bare)
    assert (code, out) == (2, "")
    assert err == f"dicomio dcmsend: {bare}: it has no file meta information; +f sends it all the same\n"
    assert tool("storescu", "localhost", peer.port, bare).code == 0


def test_missing_file_is_passed_over(tool: Tool, receiver: Receive, sample: Sample, tmp_path: Path) -> None:
    peer, missing = receiver(), tmp_path / "missing.dcm"
    code, out, _ = tool("dcmsend", "-nh", "localhost", peer.port, missing, sample(CT))
    assert (code, out) == (2, f"failed: {missing}: No such file or directory\n")
    assert len(peer.files) == 1
    code, out, err = tool("dcmsend", "localhost", peer.port, missing, sample(CT))
    assert (code, out, err) == (2, "", f"dicomio dcmsend: {missing}: no such file\n")


@pytest.mark.parametrize(
    "sop_class, sop_instance, fault",
    [
        ("1.2.3", "1.2.03", "its SOP Instance UID 1.2.03 is not a UID"),
        ("1.2.3", "1.2.3" + "4" * 60, f"its SOP Instance UID 1.2.3{'4' * 60} is not a UID"),
        ("1.2.840.10008.1.1", "1.2.3", "its SOP Class UID 1.2.840.10008.1.1 is none of a storage SOP class"),
        ("1.2.840.10008.9.9", "1.2.3", "its SOP Class UID 1.2.840.10008.9.9 is none of a storage SOP class"),
        ("1.2.840.10008.5.1.4.38.1", "1.2.3", ""),
        ("1.2.840.10008.5.1.4.1.1.99999", "1.2.3", ""),
        ("1.2.3", "1.2.3" + "4" * 59, ""),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI", "ignore:The value length")
def test_uids_are_checked(
    tool: Tool, receiver: Receive, tmp_path: Path, sop_class: str, sop_instance: str, fault: str
) -> None:
    ds, peer = Dataset(), receiver("-pm")
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, sop_instance
    path = write(tmp_path / "file.dcm", ds)
    code, _, err = tool("dcmsend", "localhost", peer.port, path)
    assert code == (2 if fault else 0)
    assert err == (f"dicomio dcmsend: {path}: {fault}; -nuc sends it all the same\n" if fault else "")
    assert "is not a UID" not in tool("dcmsend", "-nuc", "localhost", peer.port, path).err


def test_illegal_proposals_are_refused(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver()
    assert tool("dcmsend", "-nip", "localhost", peer.port, sample(RLE)).code == 0
    code, _, err = tool("dcmsend", "-nip", "localhost", peer.port, sample(JPEG))
    assert code == 2
    assert "-nip excludes" in err
    assert tool("dcmsend", "-nip", "+dly", "localhost", peer.port, sample(JPEG)).code == 0


# ---- DICOMDIR ----


def test_files_of_a_dicomdir(tool: Tool, receiver: Receive) -> None:
    peer = receiver()
    assert tool("dcmsend", "+rd", "localhost", peer.port, FILE_SET / "DICOMDIR") == (0, "", "")
    assert len(peer.files) == 31


def test_dicomdir_itself_is_not_sent(tool: Tool, receiver: Receive) -> None:
    code, _, err = tool("dcmsend", "localhost", receiver().port, FILE_SET / "DICOMDIR")
    assert code == 2
    assert err.endswith("a DICOMDIR is not sent\n")


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"])
def test_every_encoding_of_a_dicomdir(name: str) -> None:
    assert is_dicomdir(FILE_SET / name)
    files = list(referenced_files(FILE_SET / name))
    assert len(set(files)) == len(files) > 0
    assert all(path.is_file() for path in files)


def test_what_is_no_dicomdir(sample: Sample, tmp_path: Path) -> None:
    assert not is_dicomdir(sample(CT))
    assert not is_dicomdir(tmp_path)
    assert not is_dicomdir(tmp_path / "missing")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 200)
    assert not is_dicomdir(tmp_path / "DICOMDIR")


def dicomdir(directory: Path, *file_ids: Sequence[str], in_use: int = 0xFFFF) -> Path:
    """A DICOMDIR that names files."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    ds.file_meta.MediaStorageSOPClassUID = UID(MediaStorageDirectoryStorage)
    ds.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    ds.DirectoryRecordSequence = []
    for file_id in file_ids:
        record = Dataset()
        record.RecordInUseFlag = in_use
        record.ReferencedFileID = list(file_id)
        ds.DirectoryRecordSequence.append(record)
    ds.save_as(directory / "DICOMDIR", enforce_file_format=True)
    return directory / "DICOMDIR"


@pytest.mark.parametrize(
    "file_id",
    [
        ["..", "SECRET"],
        ["A", "..", "..", "SECRET"],
        ["../SECRET"],
        ["/etc/passwd"],
        ["A", "/etc/passwd"],
        ["C:", "SECRET"],
        [".", "A"],
        ["LINK", "SECRET"],
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_no_file_id_leads_out(tool: Tool, receiver: Receive, tmp_path: Path, file_id: list[str]) -> None:
    directory = tmp_path / "set"
    directory.mkdir()
    (directory / "LINK").symlink_to(tmp_path)
    shutil.copy(DATA / CT, tmp_path / "SECRET")
    path = dicomdir(directory, file_id)
    with pytest.raises(InvalidInstance, match="leads out of its directory"):
        list(referenced_files(path))
    peer = receiver()
    code, _, err = tool("dcmsend", "+rd", "localhost", peer.port, path)
    assert code == 2
    assert "leads out of its directory" in err
    assert peer.files == []


def test_records_out_of_use_and_files_named_twice(tmp_path: Path) -> None:
    assert list(referenced_files(dicomdir(tmp_path, ["A"], ["A"], ["B", "C"]))) == [
        tmp_path / "A",
        tmp_path / "B" / "C",
    ]
    assert list(referenced_files(dicomdir(tmp_path, ["A"], in_use=0))) == []
    assert list(referenced_files(dicomdir(tmp_path))) == []


def test_files_that_a_dicomdir_names_in_vain(tool: Tool, receiver: Receive, sample: Sample, tmp_path: Path) -> None:
    shutil.copy(sample(CT), tmp_path / "A")
    path, peer = dicomdir(tmp_path, ["B"], ["A"]), receiver()
    code, out, _ = tool("dcmsend", "+rd", "-nh", "localhost", peer.port, path)
    assert (code, out) == (2, f"failed: {tmp_path / 'B'}: No such file or directory\n")
    assert len(peer.files) == 1


@pytest.mark.parametrize("cut", [140, 300, 400])
def test_damaged_dicomdir(tool: Tool, receiver: Receive, tmp_path: Path, cut: int) -> None:
    whole = dicomdir(tmp_path, ["A"] * 8, ["B"] * 8, ["C"] * 8)
    path = tmp_path / "DAMAGED"
    path.write_bytes(whole.read_bytes()[:cut])
    code, out, err = tool("dcmsend", "+rd", "localhost", receiver().port, path)
    assert (code, out) == (2, "")
    assert str(path) in err
    assert err.count("\n") == 1


# ---- what is told ----


def test_json(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver("+xe")
    code, out, _ = tool("dcmsend", "--json", "-nh", "localhost", peer.port, sample(CT), sample(JPEG))
    assert code == 1
    records = {record["path"]: record for record in map(json.loads, out.splitlines())}
    assert records[str(sample(CT))]["status"] == "0x0000"
    assert records[str(sample(JPEG))]["status"] is None
    assert records[str(sample(JPEG))]["error"]


def test_list_of_decoders(tool: Tool) -> None:
    code, out, err = tool("dcmsend", "--list-decoders")
    assert (code, err) == (0, "")
    assert "\n- Explicit VR Big Endian\n\nTransfer syntaxes supported by decoders:\n- Deflated" in out
    assert out.endswith("- RLE Lossless\n")


def test_report_that_cannot_be_written(tool: Tool, receiver: Receive, sample: Sample, tmp_path: Path) -> None:
    peer = receiver()
    nowhere = tmp_path / "none" / "report.txt"
    code, _, err = tool("dcmsend", "+crf", nowhere, "localhost", peer.port, sample(CT))
    assert (code, peer.files) == (2, [])
    assert err == f"dicomio dcmsend: {nowhere.parent} is not a directory for the report\n"
    code, _, err = tool("dcmsend", "+crf", tmp_path, "localhost", peer.port, sample(CT))
    assert code == 2
    assert err == f"dicomio dcmsend: {tmp_path}: Is a directory\n"


def test_no_report_after_halting(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    app, report = Application("FULL"), tmp_path / "report.txt"

    @app.store()
    async def store(request: StoreRequest) -> None:
        raise Refused(Status.OUT_OF_RESOURCES)

    with serving(app) as (server, _):
        words = ["+crf", report, "localhost", server.port, sample(CT), sample(MR)]
        assert tool("dcmsend", *words).code == 1
        assert not report.exists()
        assert tool("dcmsend", "-nh", *words).code == 1
    assert "  * with status REFUSED  : 2\n" in report.read_text()
    assert report.read_text().count("DIMSE Status  : 0xa700 (Out of resources)\n") == 2


REPORT = """\
Detailed Report on the Transfer of Instances
============================================

Communication Peer : archive:104
AE Titles used     : US -> THEM
Current Date/Time  : 2026-03-04 05:06:07


Number        : 1
Filename      : a\\udcff b
SOP Instance  : 1.2.3
SOP Class     : 1.2.840.10008.5.1.4.1.1.2 = CTImageStorage
Original Xfer : 1.2.840.10008.1.2.5 = RLE Lossless
Dataset Size  : 7 bytes
Association   : 1
Pres. Context : 3
Network Xfer  : 1.2.840.10008.1.2 = Implicit VR Little Endian
DIMSE Status  : 0xb007 (Data set does not match SOP class)

Number        : 2
Filename      : c
SOP Instance  : 1.2.3
SOP Class     : 1.2.840.10008.5.1.4.1.1.2 = CTImageStorage
Original Xfer : 1.2.840.10008.1.2.5 = RLE Lossless
Dataset Size  : 7 bytes
Association   : 2
Pres. Context : 0
Network Xfer  : 1.2.840.10008.1.2.5 = RLE Lossless
DIMSE Status  : <no acceptable presentation context>


Status Summary
--------------
Number of associations   : 2
Number of pres. contexts : 5
Number of SOP instances  : 2
- sent to the peer       : 1
  * with status WARNING  : 1
- NOT sent to the peer   : 1
  * no acceptable pres.  : 1
"""


def test_report() -> None:
    instance = Instance(CTImageStorage, "1.2.3", RLELossless, length=7)
    context = AcceptedContext(3, CTImageStorage, ImplicitVRLittleEndian, Role.SCU)
    outcomes = [
        Outcome(Path("a\udcff\nb"), instance, Status(0xB007), None, 1, context),
        Outcome(Path("c"), instance, None, NoPresentationContext(CTImageStorage, RLELossless), 2),
    ]
    report = Report("archive:104", "US -> THEM", 2, 5, datetime(2026, 3, 4, 5, 6, 7))
    assert report.text(outcomes) == REPORT


@pytest.mark.parametrize(
    "status, line",
    [
        (0x0000, "  * with status SUCCESS  : 1"),
        (0xB000, "  * with status WARNING  : 1"),
        (0xA900, "  * with status ERROR    : 1"),
        (0xC123, "  * with status ERROR    : 1"),
        (0xA7FF, "  * with status REFUSED  : 1"),
        (0x0122, "  * with status REFUSED  : 1"),
        (0xFF00, "  * with unknown status  : 1"),
    ],
)
def test_summary_of_a_report(status: int, line: str) -> None:
    instance = Instance(CTImageStorage, "1.2.3", ExplicitVRLittleEndian)
    lines = Report("h:1", "A -> B", 1, 1).text([Outcome(Path("a"), instance, Status(status))]).splitlines()
    assert lines[-2:] == ["- sent to the peer       : 1", line]

"""`dcmsend` of DCMTK and ours, with the same arguments, to the same peer: exit codes, and what arrives.

The command lines are those of DCMTK's manual page, and one or more for each of its options.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from dicomio import Instance
from dicomio.sop import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.interop.classic import arguments, at_once
from tests.interop.ours import HOST
from tests.interop.peers import RunningScp, scps
from tests.interop.processes import ScuResult, free_port, program, require, run, run_ours
from tests.interop.samples import Sample, lay_out

pytestmark = pytest.mark.interop

Samples = Mapping[str, Sample]

FILE_SET = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
UNCOMPRESSED = {ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian}
EVERYTHING = ("+xa", "+B", "-pm")


@dataclass(frozen=True, slots=True)
class Case:
    """A command line; HOST and PORT stand for the peer.

    Attributes:
        words: the arguments.
        code: our exit code.
        peer: options of the peer, DCMTK's storescp.
        count: how many objects arrive.
        lenient: DCMTK says 0 though not everything was sent; where it does not, both fail or both do not.
    """

    words: str
    code: int = 0
    peer: tuple[str, ...] = EVERYTHING
    count: int = 1
    lenient: bool = False


MANUAL = [
    Case("--verbose HOST PORT a.dcm b.dcm", count=2),
    Case("-v HOST PORT --scan-directories --recurse IMAGES", count=3),
    Case("-v +sd +r HOST PORT IMAGES_1 IMAGES_2 test.img a.dcm b.dcm", count=6),
    Case("-v HOST PORT --read-from-dicomdir DICOMDIR", count=31),
    Case("-v +sd +r +rd HOST PORT IMAGES_1 IMAGES_2 test.img DICOMDIR a.dcm b.dcm", count=37),
]

GENERAL = [
    Case("-q HOST PORT a.dcm"),
    Case("--debug HOST PORT a.dcm"),
    Case("-ll info HOST PORT a.dcm"),
    Case("-v +v HOST PORT a.dcm"),
    Case("HOST PORT", 2, count=0),
    Case("HOST PORT a.dcm --no-such-option", 2, count=0),
    Case("HOST port a.dcm", 2, count=0),
    Case("HOST PORT missing.dcm", 2, count=0),
]

INPUT = [
    Case("+fo HOST PORT a.dcm"),
    Case("HOST PORT bare.img", 2, count=0),
    Case("+f HOST PORT bare.img a.dcm", count=2),
    Case("--read-dataset HOST PORT bare.img"),
    Case("-f HOST PORT a.dcm", 2, count=0),
    Case("+sd HOST PORT IMAGES", count=2),
    Case("+sd -r HOST PORT IMAGES", count=2),
    Case("+sd +r +sp *.img HOST PORT IMAGES", count=1),
    Case("+sd +r --scan-pattern *.none HOST PORT IMAGES", 2, count=0),
    Case("HOST PORT DICOMDIR", 2, count=0),
]

PROCESSING = [
    Case("-dn HOST PORT rle.dcm jpeg.dcm", count=2),
    Case("--decompress-never HOST PORT rle.dcm", 1, ("+xi",), 0, lenient=True),
    Case("+dls HOST PORT rle.dcm", peer=("+x=",)),
    Case("HOST PORT rle.dcm", peer=("+xi",)),
    Case("-nh HOST PORT jpeg.dcm rle.dcm", 1, ("+x=",), 1, lenient=True),
    Case("HOST PORT jpeg.dcm", 1, ("+x=",), 0, lenient=True),
    Case("+dly HOST PORT jpeg.dcm", peer=("+x=",)),
    Case("--no-halt HOST PORT notes.txt a.dcm", 2, lenient=True),
    Case("HOST PORT notes.txt a.dcm", 2, count=0),
    Case("-nip HOST PORT a.dcm rle.dcm", count=2),
    Case("--no-illegal-proposal -dn HOST PORT rle.dcm", 2, count=0),
    Case("HOST PORT private.dcm"),
    Case("HOST PORT verification.dcm", 2, count=0),
    Case("-nuc HOST PORT verification.dcm"),
    Case("HOST PORT odd.dcm", 2, count=0),
    Case("--no-uid-checks HOST PORT odd.dcm"),
]

NETWORK = [
    Case("-aet SENDER --call RECEIVER HOST PORT a.dcm"),
    Case("+ma HOST PORT a.dcm b.dcm", count=2),
    Case("--single-association HOST PORT a.dcm b.dcm", count=2),
    Case("-to 5 -ta 5 -td 5 HOST PORT a.dcm"),
    Case("-pdu 4096 HOST PORT a.dcm"),
    Case("HOST PORT a.dcm", 1, ("--refuse",), 0),
    Case("HOST PORT a.dcm", 1, ("--abort-during",), 0),
]


@pytest.fixture(scope="module")
def library(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of files to send."""
    directory = tmp_path_factory.mktemp("library")
    shutil.copytree(FILE_SET, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("README*", "DICOMDIR-*"))
    places = {"a.dcm": "explicit", "b.dcm": "implicit", "test.img": "report", "rle.dcm": "rle", "jpeg.dcm": "jpeg"}
    places |= {"IMAGES/a.dcm": "explicit", "IMAGES/b.img": "implicit", "IMAGES/below/c.dcm": "report"}
    places |= {"IMAGES_1/rle.dcm": "rle", "IMAGES_1/below/jpeg.dcm": "jpeg", "IMAGES_2/deflated.dcm": "deflated"}
    lay_out(directory, samples, places)
    with_uids(samples["explicit"].path, "1.2.3.4.5", "1.2.3.4.6").save_as(directory / "private.dcm")
    with_uids(samples["explicit"].path, "1.2.840.10008.1.1", "1.2.3.4.7").save_as(directory / "verification.dcm")
    (directory / "odd.dcm").write_bytes((directory / "private.dcm").read_bytes().replace(b"1.2.3.4.6", b"1.2.03.46"))
    return directory


def with_uids(path: Path, sop_class: str, sop_instance: str) -> pydicom.FileDataset:
    """The object of a file under other UIDs."""
    ds = pydicom.dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class  # type: ignore[assignment]
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = sop_instance  # type: ignore[assignment]
    return ds


@dataclass(frozen=True, slots=True)
class Sender:
    """`dcmsend`, run in the directory of files.

    Attributes:
        library: that directory.
        log: where ours writes to.
        ours: it is ours, rather than DCMTK's.
    """

    library: Path
    log: Path
    ours: bool

    def send(self, words: str, port: int) -> ScuResult:
        """Runs it with arguments."""
        args = arguments(words, {"HOST": HOST, "PORT": str(port)})
        if self.ours:
            return run_ours(["dcmsend", *args], self.log, self.library)
        return run([program("dcmsend") or "dcmsend", *args], self.library)


@pytest.fixture
def senders(library: Path, tmp_path: Path) -> tuple[Sender, Sender]:
    """DCMTK's and ours."""
    require("dcmtk")
    return Sender(library, tmp_path / "dcmsend.log", False), Sender(library, tmp_path / "dcmsend.log", True)


def taken(scp: RunningScp) -> dict[str, str]:
    """What a peer has received: transfer syntaxes by SOP Instance UID."""
    instances = map(Instance.open, scp.received())
    return {instance.sop_instance_uid: without_choice(instance.transfer_syntax) for instance in instances}


def without_choice(transfer_syntax: str) -> str:
    """DCMTK converts between uncompressed transfer syntaxes as the peer prefers; we leave what the peer takes."""
    return "uncompressed" if transfer_syntax in UNCOMPRESSED else transfer_syntax


def both(
    words: str, senders: tuple[Sender, Sender], directory: Path, peer: Sequence[str]
) -> tuple[tuple[ScuResult, dict[str, str]], ...]:
    """What comes of a command line, and what arrives: DCMTK's, then ours, each to a peer of its own."""

    def one(sender: Sender) -> tuple[ScuResult, dict[str, str]]:
        with scps["storescp"](directory / ("ours" if sender.ours else "theirs"), options=peer) as scp:
            return sender.send(words, scp.port), taken(scp)

    theirs, ours = senders
    return at_once(lambda: one(theirs), lambda: one(ours))


@pytest.mark.parametrize("case", [*MANUAL, *GENERAL, *INPUT, *PROCESSING, *NETWORK], ids=lambda case: case.words)
def test_both_do_the_same(case: Case, senders: tuple[Sender, Sender], tmp_path: Path) -> None:
    theirs, ours = both(case.words, senders, tmp_path, case.peer)
    assert ours[0].code == case.code, ours[0].output
    assert (theirs[0].code == 0) is (case.code == 0 or case.lenient), theirs[0].output
    assert len(ours[1]) == case.count
    assert ours[1] == theirs[1]


def facts_of(report: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """A report of a transfer: what it says about each object, by SOP Instance UID, and the lines of the summary."""
    body, _, summary = report.read_text().partition("Status Summary\n")
    objects = {}
    for block in re.split(r"\n\n+", body):
        facts = dict(re.findall(r"^(.{13}) : (.*)$", block, re.MULTILINE))
        if "Number       " in facts:
            objects[facts["SOP Instance "]] = facts
    return objects, summary.splitlines()


def test_reports_say_the_same(senders: tuple[Sender, Sender], tmp_path: Path) -> None:
    words = "-nh +crf {} HOST PORT a.dcm b.dcm test.img rle.dcm jpeg.dcm"
    reports = []
    for name, sender in zip(("theirs", "ours"), senders, strict=True):
        with scps["storescp"](tmp_path / name, options=["+x="]) as scp:
            sender.send(words.format(tmp_path / f"{name}.txt"), scp.port)
        reports.append(facts_of(tmp_path / f"{name}.txt"))
    (theirs, their_summary), (ours, our_summary) = reports
    assert ours.keys() == theirs.keys()
    # Names of transfer syntaxes, the order of objects and the numbers of presentation contexts are one's own.
    for uid, facts in theirs.items():
        assert ours[uid].keys() == facts.keys()
        for name in ("Filename     ", "SOP Class    ", "Association  ", "DIMSE Status "):
            assert ours[uid][name] == facts[name]
        for name in ("Original Xfer", "Network Xfer "):
            assert without_choice(ours[uid][name].split()[0]) == without_choice(facts[name].split()[0])
    assert len(theirs) == 5
    assert [line for line in our_summary if "contexts" not in line] == [
        line for line in their_summary if "contexts" not in line
    ]


@pytest.mark.parametrize(
    "words, peer",
    [("HOST PORT a.dcm", ["--refuse"]), ("HOST PORT missing.dcm", []), ("HOST PORT a.dcm", ["--abort-during"])],
)
def test_no_report_after_an_error(
    words: str, peer: Sequence[str], senders: tuple[Sender, Sender], tmp_path: Path
) -> None:
    report = tmp_path / "report.txt"
    theirs, ours = both(f"+crf {report} {words}", senders, tmp_path, peer)
    assert theirs[0].code != 0
    assert ours[0].code != 0
    assert not report.exists()


def test_list_of_decoders_begins_alike(senders: tuple[Sender, Sender]) -> None:
    theirs, ours = (sender.send("--list-decoders", free_port()) for sender in senders)
    assert (theirs.code, ours.code) == (0, 0)
    headings = ["Transfer syntaxes supported natively:", "Transfer syntaxes supported by decoders:"]
    assert [line for line in ours.output.splitlines() if not line.startswith("-") and line] == headings
    assert all(heading in theirs.output for heading in headings)


def test_nobody_listens(senders: tuple[Sender, Sender]) -> None:
    theirs, ours = (sender.send("HOST PORT a.dcm", free_port()) for sender in senders)
    assert theirs.code != 0
    assert ours.code == 1


@pytest.mark.parametrize("words", ["--max-send-pdu 8192", "+cl 5", "--compression-level 5", "--arguments"])
def test_what_we_do_not_have_is_named(words: str, senders: tuple[Sender, Sender]) -> None:
    result = senders[1].send(f"{words} HOST PORT a.dcm", free_port())
    assert result.code == 2
    assert result.output == f"dicomio dcmsend: there is no option {words.split()[0]}\n"

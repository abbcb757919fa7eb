"""The command line against DCMTK's programs, whose spellings it has: what arrives, and what the exit codes say."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest
from pydicom.filereader import read_file_meta_info

import dicomio
from dicomio import sop
from tests.interop.ours import HOST, assert_same_bytes, assert_unchanged
from tests.interop.peers import RunningScp, echo_scus, store_scu_kinds, store_scus
from tests.interop.processes import ScuResult, free_port, require, run, running
from tests.interop.samples import Sample, by_instance, data_set_bytes, takeable

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]
StartOurs = Callable[..., tuple[int, "Popen[bytes]"]]

DICOMIO = [sys.executable, "-m", "dicomio"]
# Where it runs, so that it is found without being installed.
ROOT = Path(dicomio.__file__).parents[1]

# What storescp has to be told to take whatever there is, and to write it as it comes.
EVERYTHING = ["+xa", "+B", "-pm"]


def command(tool: str, *words: object) -> ScuResult:
    """Runs `dicomio`."""
    return run([*DICOMIO, tool, *map(str, words)], ROOT)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    directory = tmp_path / "inbox"
    directory.mkdir()
    return directory


@pytest.fixture
def start_ours(tmp_path: Path, inbox: Path) -> Iterator[StartOurs]:
    """Returns a function that runs `dicomio storescp` with options until the end of the test, given the options."""
    with ExitStack() as stack:

        def start(*options: str) -> tuple[int, "Popen[bytes]"]:
            port = free_port()
            argv = [*DICOMIO, "storescp", *options, "-od", str(inbox), str(port)]
            return port, stack.enter_context(running(argv, [port], tmp_path / "scp.log", ROOT))

        yield start


def originals(sent: list[Sample]) -> dict[str, Path]:
    return {sample.sop_instance_uid: sample.path for sample in sent}


# ---- echoscu ----


def test_echoscu(start_scp: StartScp) -> None:
    scp = start_scp("storescp")
    result = command("echoscu", "-aec", scp.ae_title, "--repeat", 3, HOST, scp.port)
    assert result.code == 0, result.output
    assert result.output.count("echo ") == 3
    assert scp.log().count("Association Received") == 1


def test_echoscu_that_is_rejected(start_scp: StartScp) -> None:
    refusing, particular = start_scp("storescp", options=["--refuse"]), start_scp("dcmqrscp")
    result = command("echoscu", HOST, refusing.port)
    assert (result.code, "rejected the association permanently: no reason given" in result.output) == (1, True)
    result = command("echoscu", "-aec", "NOBODY", HOST, particular.port)
    assert (result.code, "called AE title not recognized" in result.output) == (1, True)


def test_echoscu_where_nobody_listens() -> None:
    result = command("echoscu", HOST, free_port())
    assert result.code == 1
    assert len(result.output.splitlines()) == 1


def test_echoscu_with_wrong_arguments() -> None:
    assert command("echoscu", HOST).code == 2
    assert command("echoscu", HOST, "port").code == 2


# ---- storescu ----


def test_storescu(samples: Samples, start_scp: StartScp) -> None:
    sent = list(samples.values())
    scp = start_scp("storescp-all")
    result = command("storescu", "-aec", scp.ae_title, HOST, scp.port, *originals(sent).values())
    assert result.code == 0, result.output
    received = by_instance(scp.received())
    assert_unchanged(sent, received)
    assert_same_bytes(sent, received, originals(sent))


def test_storescu_of_a_directory_over_four_associations(samples: Samples, start_scp: StartScp, tmp_path: Path) -> None:
    scp = start_scp("storescp", options=["--fork", *EVERYTHING])
    below = tmp_path / "study" / "below"
    below.mkdir(parents=True)
    for sample in samples.values():
        (below / sample.path.name).symlink_to(sample.path)
    (below / "notes.txt").write_text("nothing to see")
    result = command("storescu", "+sd", "+r", "+sp", "*.dcm", "--jobs", 4, HOST, scp.port, tmp_path / "study")
    assert result.code == 0, result.output
    received = by_instance(scp.received())
    sent = list(samples.values())
    assert set(received) == set(originals(sent))
    assert_same_bytes(sent, received, originals(sent))


@pytest.mark.parametrize(
    "option, expected",
    [
        ("-x=", sop.ExplicitVRLittleEndian),
        ("-xe", sop.ExplicitVRLittleEndian),
        ("-xb", sop.ExplicitVRBigEndian),
        ("-xi", sop.ImplicitVRLittleEndian),
        ("-xd", sop.DeflatedExplicitVRLittleEndian),
        ("-xr", sop.RLELossless),
    ],
)
def test_storescu_converts_to_what_it_is_to_propose(
    option: str, expected: str, samples: Samples, start_scp: StartScp
) -> None:
    scp = start_scp("storescp-all")
    result = command("storescu", option, HOST, scp.port, samples["explicit"].path)
    assert result.code == 0, result.output
    (received,) = scp.received()
    assert read_file_meta_info(received).TransferSyntaxUID == expected
    assert_unchanged([samples["explicit"]], by_instance([received]))


@pytest.mark.parametrize("option", ["-xe", "-xb", "-xi"])
@pytest.mark.parametrize("accepts", ["+xi", "+xb"])
def test_storescu_reaches_whom_dcmtk_reaches(option: str, accepts: str, samples: Samples, start_scp: StartScp) -> None:
    scp = start_scp("storescp", options=[accepts, "+B"])
    path = str(samples["implicit"].path)
    for program in ([], DICOMIO):
        result = run([*program, "storescu", option, HOST, str(scp.port), path], ROOT)
        assert result.code == 0, result.output
        (received,) = scp.received()
        assert_unchanged([samples["implicit"]], by_instance([received]))
        received.unlink()


@pytest.mark.parametrize("options", [["--refuse"], ["--abort-after"], ["--abort-during"]])
def test_storescu_that_fails(options: list[str], samples: Samples, start_scp: StartScp) -> None:
    """The exit code is the same as DCMTK's says: not 0."""
    scp = start_scp("storescp", options=options)
    words = [HOST, str(scp.port), str(samples["explicit"].path)]
    assert run(["storescu", *words]).code != 0
    result = command("storescu", *words)
    assert result.code == 1
    assert ("rejected" if options == ["--refuse"] else "aborted") in result.output


def test_storescu_goes_on_only_where_it_is_told_to(samples: Samples, start_scp: StartScp) -> None:
    scp = start_scp("storescp", options=["+B"])
    unknown, known = samples["private-sop-class"].path, samples["explicit"]
    result = command("storescu", HOST, scp.port, unknown, known.path)
    assert (result.code, scp.received()) == (1, [])
    result = command("storescu", "-nh", HOST, scp.port, unknown, known.path)
    assert (result.code, list(by_instance(scp.received()))) == (1, [known.sop_instance_uid])
    assert "does not support the SOP class" in result.output


def test_storescu_with_nothing_to_send(start_scp: StartScp, tmp_path: Path) -> None:
    scp = start_scp("storescp")
    assert command("storescu", HOST, scp.port, tmp_path / "missing.dcm").code == 2
    (tmp_path / "text.dcm").write_text("no DICOM file")
    assert command("storescu", HOST, scp.port, tmp_path / "text.dcm").code == 2
    assert scp.log() == ""


@pytest.mark.parametrize("maximum", [4096, 5001, 16_384])
def test_storescu_with_a_maximum_length(maximum: int, samples: Samples, start_scp: StartScp) -> None:
    scp = start_scp("storescp", options=["-pdu", str(maximum), "+B"])
    result = command("storescu", "-pdu", maximum, HOST, scp.port, samples["large"].path)
    assert result.code == 0, result.output
    (received,) = scp.received()
    assert data_set_bytes(received) == data_set_bytes(samples["large"].path)


# ---- storescp ----


@pytest.mark.parametrize("name", ["storescu", "dcmsend", "gdcm", "ctn", "odil"])
def test_storescp(name: str, samples: Samples, start_ours: StartOurs, inbox: Path, workdir: Path) -> None:
    sent = takeable(samples.values(), store_scu_kinds[name])
    port, _ = start_ours("-pm")
    result = store_scus[name](port, "STORESCP", [sample.path for sample in sent], workdir)
    assert result.code == 0, result.output
    received = by_instance(inbox.iterdir())
    assert_unchanged(sent, received)
    if name == "gdcm":
        assert_same_bytes(sent, received, originals(sent))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_storescp_ends_in_good_order(signum: signal.Signals, start_ours: StartOurs) -> None:
    port, process = start_ours()
    assert echo_scus["dcmtk"](HOST, port, "STORESCP").code == 0
    process.send_signal(signum)
    assert process.wait(10) == 0


def test_storescp_that_cannot_listen(start_scp: StartScp, tmp_path: Path) -> None:
    scp = start_scp("storescp")
    result = command("storescp", "-od", tmp_path, scp.port)
    assert (result.code, f"cannot listen on port {scp.port}" in result.output) == (1, True)


def test_storescp_takes_standard_sop_classes_unless_it_is_promiscuous(
    samples: Samples, start_ours: StartOurs, inbox: Path, workdir: Path
) -> None:
    port, _ = start_ours()
    result = store_scus["dcmsend"](port, "STORESCP", [samples["private-sop-class"].path], workdir)
    assert (result.code != 0, list(inbox.iterdir())) == (True, []), result.output


@pytest.mark.parametrize("option", ["--refuse", "--abort-after", "--abort-during"])
def test_storescp_for_testing_peers(
    option: str, samples: Samples, start_ours: StartOurs, inbox: Path, workdir: Path
) -> None:
    port, _ = start_ours(option)
    for name in ("storescu", "dcmsend", "gdcm", "odil"):
        result = store_scus[name](port, "STORESCP", [samples["explicit"].path], workdir)
        assert result.code != 0, result.output
    assert list(inbox.iterdir()) == []


@pytest.mark.parametrize(
    "option, expected",
    [
        ("+xa", sop.ExplicitVRBigEndian),
        ("+x=", sop.ExplicitVRLittleEndian),
        ("+xe", sop.ExplicitVRLittleEndian),
        ("+xb", sop.ExplicitVRBigEndian),
        ("+xi", sop.ImplicitVRLittleEndian),
    ],
)
def test_storescp_prefers_transfer_syntaxes(
    option: str, expected: str, samples: Samples, start_ours: StartOurs, inbox: Path
) -> None:
    """The sender proposes all uncompressed ones in one context, big endian first."""
    require("dcmtk")
    port, _ = start_ours(option)
    result = run(["storescu", "-xb", "+C", HOST, str(port), samples["explicit"].path])
    assert result.code == 0, result.output
    (received,) = inbox.iterdir()
    assert read_file_meta_info(received).TransferSyntaxUID == expected
    assert_unchanged([samples["explicit"]], by_instance([received]))


def test_both_ends_are_ours(samples: Samples, start_ours: StartOurs, inbox: Path) -> None:
    sent = list(samples.values())
    port, _ = start_ours("-pm")
    result = command("storescu", HOST, port, *originals(sent).values())
    assert result.code == 0, result.output
    assert_same_bytes(sent, by_instance(inbox.iterdir()), originals(sent))

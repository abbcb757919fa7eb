"""`dicomio storescu`: which files, in which transfer syntax, over how many associations, and what failed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomio import Application, AssociationAborted, Instance, Limits, Refused, StoreRequest
from dicomio.cli.plan import MOST_CONTEXTS, Rules, batches_of, contexts_for
from dicomio.sop import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from .conftest import Receive, Tool, serving

Sample = Callable[[str], Path]

CT = "CT_small.dcm"
MR = "MR_small_implicit.dcm"
SR = "test-SR.dcm"
RLE = "SC_rgb_rle_2frame.dcm"


@pytest.fixture
def study(tmp_path: Path, sample: Sample) -> Path:
    """Three instances, one of them in a directory below, among things that are none."""
    directory = tmp_path / "study"
    (directory / "below").mkdir(parents=True)
    for name in (CT, MR):
        shutil.copy(sample(name), directory)
    shutil.copy(sample(SR), directory / "below")
    (directory / "README.txt").write_text("nothing to see")
    (directory / "below" / "empty.dcm").touch()
    return directory


def by_uid(paths: list[Path]) -> dict[str, bytes]:
    """Data sets of files by SOP Instance UID."""
    instances = [Instance.open(path) for path in paths]
    return {instance.sop_instance_uid: instance.read() for instance in instances}


def only(paths: list[Path]) -> Instance:
    """The one instance there is."""
    (path,) = paths
    return Instance.open(path)


def test_files_arrive_as_they_are(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer, paths = receiver(), [sample(name) for name in (CT, MR, SR, RLE, "ExplVR_BigEnd.dcm", "image_dfl.dcm")]
    assert tool("storescu", "127.0.0.1", peer.port, *paths) == (0, "", "")
    # A deflated data set of odd length gets the NUL that PS3.5 A.5 wants behind it.
    assert by_uid(peer.files) == {uid: data + bytes(len(data) % 2) for uid, data in by_uid(paths).items()}
    peer.close()
    assert len(peer.ended) == 1


def test_results_as_json_lines(tool: Tool, receiver: Receive, sample: Sample) -> None:
    code, out, err = tool("storescu", "127.0.0.1", receiver().port, sample(CT), sample(MR), "--json")
    assert (code, err) == (0, "")
    for line, name in zip(out.splitlines(), (CT, MR), strict=True):
        instance = Instance.open(sample(name))
        assert json.loads(line) == {
            "path": str(sample(name)),
            "sop_class_uid": instance.sop_class_uid,
            "sop_instance_uid": instance.sop_instance_uid,
            "transfer_syntax_uid": instance.transfer_syntax,
            "status": "0x0000",
            "error": None,
        }


def test_a_directory_needs_an_option(tool: Tool, study: Path) -> None:
    code, out, err = tool("storescu", "127.0.0.1", 9, study)
    assert (code, out) == (2, "")
    assert err == f"dicomio storescu: {study} is a directory; +sd sends the files in it\n"


@pytest.mark.parametrize(
    "options, names",
    [
        (["+sd"], [CT, MR]),
        (["+sd", "+r"], [CT, MR, SR]),
        (["+sd", "+r", "+sp", "*SR*"], [SR]),
        (["+sd", "+sp", "CT*"], [CT]),
    ],
)
def test_directories(
    tool: Tool, receiver: Receive, sample: Sample, study: Path, options: list[str], names: list[str]
) -> None:
    peer = receiver()
    code, out, _ = tool("storescu", "127.0.0.1", peer.port, study, *options)
    assert (code, out) == (0, "")
    assert by_uid(peer.files) == by_uid([sample(name) for name in names])


def test_other_files_in_directories_are_passed_over_with_a_warning(tool: Tool, receiver: Receive, study: Path) -> None:
    code, out, err = tool("storescu", "127.0.0.1", receiver().port, study, "+sd")
    assert (code, out) == (0, "")
    assert err.startswith(f"warning: passed over: {study / 'README.txt'}: it is not a DICOM file")
    assert err.count("\n") == 1


def test_nothing_to_send(tool: Tool, tmp_path: Path) -> None:
    assert tool("storescu", "127.0.0.1", 9, tmp_path, "+sd") == (
        2,
        "",
        "dicomio storescu: there are no DICOM files to send\n",
    )


@pytest.mark.parametrize("name", ["missing.dcm", "README.txt", "pipe"])
def test_unreadable_input(tool: Tool, receiver: Receive, sample: Sample, study: Path, name: str) -> None:
    os.mkfifo(study / "pipe")
    peer = receiver()
    code, out, err = tool("storescu", "127.0.0.1", peer.port, sample(CT), study / name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"dicomio storescu: {study / name}: ")
    assert peer.files == []


def test_file_that_may_not_be_read(tool: Tool, monkeypatch: pytest.MonkeyPatch, sample: Sample) -> None:
    def refuse(path: Path) -> Instance:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dicomio.cli.inputs.Instance.open", refuse)
    assert tool("storescu", "127.0.0.1", 9, sample(CT)) == (
        2,
        "",
        f"dicomio storescu: {sample(CT)}: Permission denied\n",
    )


def test_unreadable_input_can_be_passed_over(tool: Tool, receiver: Receive, sample: Sample, study: Path) -> None:
    peer = receiver()
    code, out, err = tool("storescu", "127.0.0.1", peer.port, study / "README.txt", sample(CT), "-nh")
    assert code == 2
    assert out.startswith(f"failed: {study / 'README.txt'}: it is not a DICOM file")
    assert err == "dicomio storescu: 1 of 2 instances failed\n"
    assert len(peer.files) == 1


@pytest.fixture
def picky() -> Application:
    """Refuses whatever is not a CT image."""
    app = Application("PICKY")

    @app.store()
    async def store(request: StoreRequest) -> None:
        if request.sop_class_uid != CTImageStorage:
            raise Refused(0xA700, "no room")

    return app


def test_the_first_failure_ends_it(tool: Tool, picky: Application, sample: Sample) -> None:
    with serving(picky) as (server, _):
        peer = f"ANY-SCP@127.0.0.1:{server.port}"
        code, out, err = tool("storescu", "127.0.0.1", server.port, sample(CT), sample(MR), sample(SR))
    reason = f"{peer} answered C-STORE of {Instance.open(sample(MR)).sop_instance_uid} with 0xA700"
    assert code == 1
    assert out.startswith(f"failed: {sample(MR)}: {reason}")
    assert "no room" in out
    assert err == "dicomio storescu: 1 of 3 instances failed, 1 not sent\n"
    assert err.count("\n") == out.count("\n") == 1


def test_failures_can_be_passed_over(tool: Tool, picky: Application, sample: Sample) -> None:
    with serving(picky) as (server, _):
        code, out, err = tool("storescu", "127.0.0.1", server.port, sample(MR), sample(CT), sample(SR), "-nh", "--json")
    assert code == 1
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["0xA700", "0x0000", "0xA700"]
    assert err.startswith("dicomio storescu: 2 of 3 instances failed: ")


def test_warnings_are_successes(tool: Tool, sample: Sample) -> None:
    app = Application("COERCER")

    @app.store()
    async def store(request: StoreRequest) -> int:
        return 0xB000

    with serving(app) as (server, _):
        code, out, err = tool("storescu", "127.0.0.1", server.port, sample(CT))
    assert (code, out) == (0, "")
    assert err.startswith(f"warning: {sample(CT)}: ANY-SCP@127.0.0.1:")
    assert "0xB000" in err


def test_sop_class_that_the_peer_does_not_take(tool: Tool, sample: Sample) -> None:
    app = Application("CTONLY")

    @app.store(CTImageStorage)
    async def store(request: StoreRequest) -> None:
        await request.read()

    with serving(app) as (server, _):
        code, out, err = tool("storescu", "127.0.0.1", server.port, sample(CT), sample(MR))
    assert code == 1
    assert out.startswith(f"failed: {sample(MR)}: ")
    assert "no presentation context accepted" in out
    assert err.count("\n") == 1


def test_rejecting_peer(tool: Tool, receiver: Receive, sample: Sample) -> None:
    port = receiver("--refuse").port
    code, out, err = tool("storescu", "127.0.0.1", port, sample(CT), sample(MR), "--jobs", 2)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"dicomio storescu: ANY-SCP@127.0.0.1:{port} rejected the association permanently")


def test_peer_that_aborts(tool: Tool, receiver: Receive, sample: Sample) -> None:
    port = receiver("--abort-during").port
    code, out, err = tool("storescu", "127.0.0.1", port, sample(CT), sample(MR))
    assert code == 1
    assert out.startswith(f"failed: {sample(CT)}: ANY-SCP@127.0.0.1:{port} aborted")
    assert err == "dicomio storescu: 1 of 2 instances failed, 1 not sent\n"


def test_lost_associations_are_opened_again_when_failures_are_passed_over(
    tool: Tool, receiver: Receive, sample: Sample
) -> None:
    peer = receiver("--abort-after")
    code, out, err = tool("storescu", "127.0.0.1", peer.port, sample(CT), sample(MR), "-nh")
    assert (code, out.count("\n")) == (1, 2)
    assert err == "dicomio storescu: 2 of 2 instances failed\n"
    peer.close()
    assert [type(ended) for ended in peer.ended] == [AssociationAborted, AssociationAborted]


def test_slow_peer(tool: Tool, receiver: Receive, sample: Sample) -> None:
    port = receiver("--sleep-after", 30).port
    code, out, err = tool("storescu", "127.0.0.1", port, sample(CT), "-td", "0.2")
    assert (code, err) == (1, "dicomio storescu: 1 of 1 instances failed\n")
    assert f"ANY-SCP@127.0.0.1:{port}: no response within 0.2 s" in out


@pytest.mark.parametrize(
    "option, name, expected",
    [
        ("-x=", MR, ExplicitVRLittleEndian),
        ("-xe", MR, ExplicitVRLittleEndian),
        ("-xb", CT, ExplicitVRBigEndian),
        ("-xi", CT, ImplicitVRLittleEndian),
        ("-xd", CT, DeflatedExplicitVRLittleEndian),
        ("-xr", CT, RLELossless),
        ("-xe", RLE, ExplicitVRLittleEndian),
        ("-xi", RLE, ImplicitVRLittleEndian),
        ("-xy", CT, ExplicitVRLittleEndian),
        ("-xr", SR, ExplicitVRLittleEndian),
    ],
)
def test_preferred_transfer_syntaxes(
    tool: Tool, receiver: Receive, sample: Sample, option: str, name: str, expected: str
) -> None:
    peer = receiver()
    assert tool("storescu", "127.0.0.1", peer.port, sample(name), option) == (0, "", "")
    stored = only(peer.files)
    assert stored.transfer_syntax == expected
    sent, got = Instance.open(sample(name)).dataset(), stored.dataset()
    if expected in (RLELossless, ExplicitVRBigEndian) or name == RLE:
        del sent.PixelData, got.PixelData
    assert got == sent


@pytest.mark.parametrize("option, expected", [("+xi", ImplicitVRLittleEndian), ("+xb", ExplicitVRBigEndian)])
def test_what_the_peer_prefers(tool: Tool, receiver: Receive, sample: Sample, option: str, expected: str) -> None:
    peer = receiver(option)
    assert tool("storescu", "127.0.0.1", peer.port, sample("ExplVR_BigEnd.dcm")) == (0, "", "")
    assert only(peer.files).transfer_syntax == expected


def test_preferred_transfer_syntax_that_the_peer_does_not_take(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver("+xi")
    assert tool("storescu", "127.0.0.1", peer.port, sample(CT), "-xr") == (0, "", "")
    assert only(peer.files).transfer_syntax == ImplicitVRLittleEndian


def test_several_associations(tool: Tool, receiver: Receive, study: Path) -> None:
    peer = receiver()
    assert tool("storescu", "127.0.0.1", peer.port, study, "+sd", "+r", "--jobs", 3, "-q") == (0, "", "")
    assert len(peer.files) == 3
    peer.close()
    assert len(peer.ended) == 3


def test_peer_with_room_for_one_association(tool: Tool, receiver: Receive, study: Path) -> None:
    peer = receiver("--max-associations", 1, "--sleep-after", "0.05")
    assert tool("storescu", "127.0.0.1", peer.port, study, "+sd", "+r", "--jobs", 3, "-q") == (0, "", "")
    assert len(peer.files) == 3


def test_repetition(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver("+uf")
    assert tool("storescu", "127.0.0.1", peer.port, sample(CT), sample(MR), "--repeat", 3) == (0, "", "")
    assert len(peer.files) == 6


def test_abort_in_place_of_release(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver()
    assert tool("storescu", "127.0.0.1", peer.port, sample(CT), "--abort") == (0, "", "")
    assert len(peer.files) == 1
    peer.close()
    assert [type(ended) for ended in peer.ended] == [AssociationAborted]


def test_only_what_is_needed_is_proposed(tool: Tool, receiver: Receive, sample: Sample) -> None:
    peer = receiver()
    tool("storescu", "127.0.0.1", peer.port, sample(CT), "-R")
    peer.close()
    assert peer.contexts == [{(CTImageStorage, ExplicitVRLittleEndian), (CTImageStorage, ImplicitVRLittleEndian)}]


def test_progress_bar_on_a_terminal(
    tool: Tool, receiver: Receive, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    port = receiver().port
    code, out, err = tool("storescu", "127.0.0.1", port, sample(CT), "-v")
    assert (code, out) == (0, "")
    assert "38.9/38.9 kB" in err
    assert f"info: {sample(CT)}: stored" in err
    assert "kB" not in tool("storescu", "127.0.0.1", port, sample(CT), "--no-progress").err


def test_names_that_are_not_text(tool: Tool, receiver: Receive, sample: Sample, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.dcm"))
    path.write_text("no")
    code, out, _ = tool("storescu", "127.0.0.1", receiver().port, path, "-nh")
    assert (code, out.count("\n")) == (2, 1)
    assert out.startswith(f"failed: {tmp_path}/\\udcff .dcm: ")


@pytest.mark.parametrize("option", ["--sleep-after", "--sleep-during"])
def test_interrupted(receiver: Receive, sample: Sample, option: str) -> None:
    peer = receiver(option, 30)
    argv = [sys.executable, "-m", "dicomio", "storescu", "127.0.0.1", str(peer.port), str(sample(CT)), "-v"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("info: association with ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", "dicomio storescu: interrupted\n")
    peer.close()
    assert [type(ended) for ended in peer.ended] == [AssociationAborted]


# planning


def instance_of(sop_class: str, transfer_syntax: str) -> Instance:
    return Instance(sop_class, "1.2.3", transfer_syntax)


def test_each_transfer_syntax_has_a_context_of_its_own() -> None:
    batches = batches_of([instance_of("1.2", JPEGBaseline8Bit), instance_of("1.2", RLELossless)], Rules())
    (batch,) = batches
    alone = [context.transfer_syntaxes for context in batch.contexts]
    assert (JPEGBaseline8Bit,) in alone
    assert (RLELossless,) in alone
    assert len(batch.instances) == 2


def test_more_contexts_than_one_association_has() -> None:
    instances = [instance_of(f"1.2.{number}", ExplicitVRLittleEndian) for number in range(MOST_CONTEXTS)]
    batches = batches_of(instances, Rules())
    assert [len(batch.instances) for batch in batches] == [MOST_CONTEXTS // 2] * 2
    assert all(len(batch.contexts) == MOST_CONTEXTS for batch in batches)


def test_many_kinds_of_objects_are_sent(tool: Tool, sample: Sample, tmp_path: Path) -> None:
    received: list[str] = []
    app = Application("ALL")

    @app.store("*")
    async def store(request: StoreRequest) -> None:
        received.append(request.sop_class_uid)
        await request.read()

    head = Instance.open(sample(CT))
    data = sample(CT).read_bytes()
    for number in range(70):
        uid = f"1.2.840.99999.{number:04}"
        changed = data.replace(CTImageStorage.encode() + b"\0", (uid + ".1.2.3.4").encode()[:26].ljust(26, b"0"))
        assert changed != data
        (tmp_path / f"{number}.dcm").write_bytes(changed)
    with serving(app, Limits(associations=1)) as (server, _):
        assert tool("storescu", "127.0.0.1", server.port, tmp_path, "+sd").code == 0
    assert len(set(received)) == 70
    assert head.sop_class_uid not in received


def test_implicit_only_proposes_nothing_else() -> None:
    (context,) = contexts_for("1.2", JPEGBaseline8Bit, Rules((ImplicitVRLittleEndian,)))
    assert context.transfer_syntaxes == (ImplicitVRLittleEndian,)

"""`dicomio storescp`: names of files, sorting, commands, and the behaviours that are there to test peers."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydicom.dataset import Dataset

from dicomio import (
    Association,
    AssociationAborted,
    AssociationRejected,
    DicomError,
    Instance,
    PresentationContext,
    Proposal,
    Status,
    StatusError,
    connect,
    dataset,
)
from dicomio.cli.command import parse
from dicomio.cli.errors import UsageError
from dicomio.cli.hooks import Hook, harmless
from dicomio.cli.output import Output
from dicomio.cli.storescp import StoreSCP
from dicomio.cli.studies import Facts, Studies, Study, ascii_name
from dicomio.sop import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    Verification,
)
from dicomio.testing import connected

from .conftest import STORESCP, Ran, command

PRIVATE_CLASS = "1.2.826.0.1.3680043.9.1.2"

# Writes its arguments, a line each, to the file that its first argument names.
RECORD = "import sys; open(sys.argv[1], 'a').write(chr(10).join(sys.argv[2:]) + chr(10))"


def instance(uid: str = "1.2.3", study: str = "1.2.9", **elements: Any) -> Dataset:
    return dataset(SOPClassUID=CTImageStorage, SOPInstanceUID=uid, StudyInstanceUID=study, **elements)


def receiver(inbox: Path, *options: object) -> StoreSCP:
    args = parse(STORESCP, ["-od", str(inbox), *map(str, options)])
    return StoreSCP(args, Output(STORESCP, args.log_level, json=args.json))


@asynccontextmanager
async def associated(inbox: Path, *options: object, syntax: str = ExplicitVRLittleEndian) -> AsyncIterator[Association]:
    """An association with a receiver, in memory."""
    contexts = [
        PresentationContext(CTImageStorage, (syntax,)),
        *map(PresentationContext, (PRIVATE_CLASS, Verification)),
    ]
    scp = await asyncio.to_thread(receiver, inbox, *options)
    async with connected(scp.application(), contexts=contexts) as association:
        yield association


def names(inbox: Path) -> list[str]:
    """Every file, by its path in the inbox."""
    return sorted(str(path.relative_to(inbox)) for path in inbox.rglob("*") if path.is_file())


async def store(association: Association, *datasets: Dataset) -> None:
    for each in datasets:
        assert (await association.store(each)).status == Status.SUCCESS


# names


@pytest.mark.parametrize(
    "options, pattern",
    [
        ([], r"CT\.1\.2\.3"),
        (["-uf"], r"CT\.1\.2\.3"),
        (["+uf", "-uf"], r"CT\.1\.2\.3"),
        (["-fe", ".img"], r"CT\.1\.2\.3\.img"),
        (["+uf"], r"CT\.X\.2\.25\.[0-9]+"),
        (["+uf", "-fe", ".dcm"], r"CT\.X\.2\.25\.[0-9]+\.dcm"),
        (["-tn"], r"[0-9]{17}\.CT"),
        (["-tn", "-fe", "x"], r"[0-9]{17}\.CTx"),
    ],
)
async def test_names_of_files(tmp_path: Path, options: list[str], pattern: str) -> None:
    async with associated(tmp_path, *options) as association:
        await store(association, instance())
    (name,) = names(tmp_path)
    assert re.fullmatch(pattern, name)


@pytest.mark.parametrize("options, count", [([], 1), (["+uf"], 2)])
async def test_the_same_instance_twice(tmp_path: Path, options: list[str], count: int) -> None:
    async with associated(tmp_path, *options) as association:
        await store(association, instance(PatientID="A"), instance(PatientID="B"))
    assert len(names(tmp_path)) == count


async def test_directory_is_made(tmp_path: Path) -> None:
    async with associated(tmp_path / "a" / "b") as association:
        await store(association, instance())
    assert names(tmp_path) == ["a/b/CT.1.2.3"]


@pytest.mark.parametrize("uid", ["../../escaped", "/etc/cron.d/x", "-rf", "1.2\\..\\3", "CON", "COM1.dcm"])
async def test_hostile_instance_uids_stay_in_the_directory(tmp_path: Path, uid: str) -> None:
    hostile = Instance.from_bytes(CTImageStorage, uid, ExplicitVRLittleEndian, b"\x08\0\x18\0UI\x04\x001.2\0")
    async with associated(tmp_path / "inbox") as association:
        with suppress(DicomError):
            await association.store(hostile)
        await association.echo()
    assert all(re.fullmatch(r"inbox/CT\.uid-[0-9a-f]{32}", name) for name in names(tmp_path))


# sorting


async def test_sorted_by_study_uid(tmp_path: Path) -> None:
    async with associated(tmp_path, "-su", "STUDY") as association:
        await store(association, instance("1.1", "9.1"), instance("1.2", "9.2"), instance("1.3", "9.1"))
    assert names(tmp_path) == ["STUDY_9.1/CT.1.1", "STUDY_9.1/CT.1.3", "STUDY_9.2/CT.1.2"]


async def test_empty_prefix_leaves_no_underscore(tmp_path: Path) -> None:
    async with associated(tmp_path, "-su", "") as association:
        await store(association, instance())
    assert names(tmp_path) == ["1.2.9/CT.1.2.3"]


async def test_sorted_by_study_and_time(tmp_path: Path) -> None:
    async with associated(tmp_path, "-ss", "S") as association:
        await store(association, instance("1.1", "9.1"), instance("1.2", "9.1"), instance("1.3", "9.2"))
    first, second, third = names(tmp_path)
    assert re.fullmatch(r"S_\d{8}_\d{9}/CT\.1\.1", first)
    assert second == first.replace("CT.1.1", "CT.1.2")
    assert third.split("/")[0] > first.split("/")[0]


@pytest.mark.parametrize(
    "patient, directory",
    [
        ("Doe^Jane", "Doe_Jane"),
        ("Müller^Jörg", "Muller_Jorg"),
        ("../../etc/passwd", "etc_passwd"),
        ("", "ANONYMOUS"),
        ("^^^", "ANONYMOUS"),
        ("山田^太郎", "ANONYMOUS"),
        ("A" * 64 + "B", "A" * 64),
    ],
)
async def test_sorted_by_patient_name(tmp_path: Path, patient: str, directory: str) -> None:
    assert ascii_name(patient) == directory
    async with associated(tmp_path, "-sp") as association:
        await store(association, instance(SpecificCharacterSet="ISO_IR 192", PatientName=patient[:64]))
    (name,) = names(tmp_path)
    assert re.fullmatch(rf"{directory}_\d{{8}}_\d{{9}}/CT\.1\.2\.3", name)


async def test_hostile_study_uids_stay_in_the_directory(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    element = b"\x20\0\x0d\0UI\x0a\0../../evil"
    hostile = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, element)
    async with associated(inbox, "-su", "S") as association:
        await association.store(hostile)
    (name,) = names(tmp_path)
    assert re.fullmatch(r"inbox/S_uid-[0-9a-f]{32}/CT\.1\.2\.3", name)


@pytest.mark.parametrize(
    "data",
    [b"\x08\0\x18\0UI\x04\x001.2\0", b"\x08\0\x16\0OB\0\0\xff\xff\xff\x7f12", b"\xff" * 40],
    ids=["none", "cut-off", "noise"],
)
async def test_objects_of_no_study_are_refused(tmp_path: Path, data: bytes) -> None:
    broken = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, data)
    async with associated(tmp_path, "-su", "S") as association:
        with pytest.raises(StatusError, match="no Study Instance UID") as raised:
            await association.store(broken)
        assert raised.value.status == Status.CANNOT_UNDERSTAND
        await association.echo()
    assert names(tmp_path) == []


async def test_deflated_objects_are_sorted(tmp_path: Path) -> None:
    async with associated(tmp_path, "-su", "S", syntax=DeflatedExplicitVRLittleEndian) as association:
        await association.store(Instance.from_dataset(instance(), DeflatedExplicitVRLittleEndian))
    assert names(tmp_path) == ["S_1.2.9/CT.1.2.3"]


# contents


async def test_bit_preserving_or_encoded_anew(tmp_path: Path) -> None:
    # Elements in an order that nobody would write them in.
    data = b"\x10\0\x20\0LO\x02\0ID\x08\0\x16\0UI\x1a\0" + CTImageStorage.encode() + b"\0\x08\0\x18\0UI\x06\x001.2.3\0"
    sent = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, data)
    for options, same in (["+B"], True), (["-B"], False):
        inbox = tmp_path / options[0]
        async with associated(inbox, *options) as association:
            await association.store(sent)
        (path,) = inbox.iterdir()
        stored = await asyncio.to_thread(Instance.open, path)
        assert (await asyncio.to_thread(stored.read) == data) is same
        assert await asyncio.to_thread(stored.dataset) == sent.dataset()


async def test_what_cannot_be_encoded_anew_is_refused(tmp_path: Path) -> None:
    broken = Instance.from_bytes(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, b"\xff" * 40)
    async with associated(tmp_path, "-B") as association:
        with pytest.raises(StatusError):
            await association.store(broken)
    assert names(tmp_path) == []


async def test_disk_that_cannot_be_written(tmp_path: Path) -> None:
    async with associated(tmp_path, "-su", "S") as association:
        (tmp_path / "S_1.2.9").touch()
        with pytest.raises(StatusError) as raised:
            await association.store(instance())
        assert raised.value.status == Status.OUT_OF_RESOURCES
    assert names(tmp_path) == ["S_1.2.9"]


# negotiation


async def test_private_sop_classes_need_an_option(tmp_path: Path) -> None:
    private = instance()
    private.SOPClassUID = PRIVATE_CLASS
    async with associated(tmp_path) as association:
        assert PRIVATE_CLASS not in {context.abstract_syntax for context in association.contexts.values()}
    async with associated(tmp_path, "-pm") as association:
        await store(association, private)
        await association.echo()
    assert names(tmp_path) == ["UNKNOWN.1.2.3"]


@pytest.mark.parametrize(
    "options, accepted",
    [
        ([], ImplicitVRLittleEndian),
        (["+xa"], ImplicitVRLittleEndian),
        (["+x="], ExplicitVRLittleEndian),
        (["+xe"], ExplicitVRLittleEndian),
        (["+xi"], ImplicitVRLittleEndian),
        (["+xs"], "1.2.840.10008.1.2.4.70"),
        (["+xr"], ExplicitVRLittleEndian),
    ],
)
async def test_preferred_transfer_syntaxes(tmp_path: Path, options: list[str], accepted: str) -> None:
    offer = ImplicitVRLittleEndian, "1.2.840.10008.1.2.4.70", ExplicitVRLittleEndian
    contexts = [PresentationContext(CTImageStorage, offer)]
    scp = await asyncio.to_thread(receiver, tmp_path, *options)
    async with connected(scp.application(), contexts=contexts) as association:
        (context,) = association.contexts.values()
        assert context.transfer_syntax == accepted


async def test_refuse(tmp_path: Path) -> None:
    with pytest.raises(AssociationRejected) as raised:
        async with associated(tmp_path, "--refuse"):
            pass
    assert (raised.value.result, raised.value.source, raised.value.reason) == (1, 1, 1)


async def test_reject_lets_others_in(tmp_path: Path) -> None:
    async with associated(tmp_path, "--reject") as association:
        await association.echo()


async def test_reject_without_implementation_class_uid(tmp_path: Path) -> None:
    scp = await asyncio.to_thread(receiver, tmp_path, "--reject")
    user = SimpleNamespace(implementation_class_uid=None)
    with pytest.raises(AssociationRejected):
        await scp.screen(cast("Proposal", SimpleNamespace(peer="A@h:1", pdu=SimpleNamespace(user=user))))


# behaviours for testing peers


async def test_ignore(tmp_path: Path) -> None:
    async with associated(tmp_path, "--ignore") as association:
        await store(association, instance())
    assert names(tmp_path) == []


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
async def test_aborts(tmp_path: Path, option: str) -> None:
    with pytest.raises(AssociationAborted) as raised:
        async with associated(tmp_path, option) as association:
            await association.store(instance())
    assert (raised.value.source, raised.value.local) == (0, False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("option", ["--sleep-after", "--sleep-during"])
async def test_sleeps(tmp_path: Path, option: str) -> None:
    async with associated(tmp_path, option, "0.05") as association:
        started = association.loop.time()
        await store(association, instance())
        assert association.loop.time() - started >= 0.05
    assert names(tmp_path) == ["CT.1.2.3"]


# commands


def recording(path: Path, *words: str) -> str:
    return " ".join([sys.executable, "-c", f'"{RECORD}"', str(path), *words])


async def test_command_for_each_object(tmp_path: Path) -> None:
    log, inbox = tmp_path / "log", tmp_path / "in box"
    async with associated(inbox, "-xcr", recording(log, "#p/#f", "x#ay", "#c", "#r", "#q", "##")) as association:
        await store(association, instance())
    lines = log.read_text().splitlines()
    assert lines == [f"{inbox}/CT.1.2.3", "xTESTy", "STORESCP", "memory", "#q", "##"]


async def test_command_for_each_object_of_a_sorted_study(tmp_path: Path) -> None:
    log, inbox = tmp_path / "log", tmp_path / "inbox"
    async with associated(inbox, "-su", "S", "-xcr", recording(log, "#p", "#f")) as association:
        await store(association, instance("1.1"), instance("1.2"))
    assert sorted(log.read_text().split()) == sorted([f"{inbox}/S_1.2.9", "CT.1.1", f"{inbox}/S_1.2.9", "CT.1.2"])


async def test_command_for_each_study(tmp_path: Path) -> None:
    log, inbox = tmp_path / "log", tmp_path / "inbox"
    async with associated(inbox, "-su", "S", "-xcs", recording(log, "#p")) as association:
        await store(association, instance("1.1", "9.1"), instance("1.2", "9.1"), instance("1.3", "9.2"))
    assert sorted(log.read_text().split()) == [f"{inbox}/S_9.1", f"{inbox}/S_9.2"]


async def test_study_is_complete_after_a_while(tmp_path: Path) -> None:
    log, inbox = tmp_path / "log", tmp_path / "inbox"
    scp = await asyncio.to_thread(receiver, inbox, "-ss", "S", "-xcs", recording(log, "#p"), "-tos", "0.01")
    app = scp.application()
    async with connected(app, contexts=[CTImageStorage]) as association:
        await store(association, instance("1.1"))
        assert len(scp.studies.current) == 1
        async with asyncio.timeout(10):
            while scp.studies.current:
                await asyncio.sleep(0)
        await store(association, instance("1.2"))
    first, second = sorted(log.read_text().split())
    assert names(inbox) == [f"{Path(first).name}/CT.1.1", f"{Path(second).name}/CT.1.2"]


async def test_more_studies_at_once_than_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.cli.studies.MOST_STUDIES", 2)
    args = await asyncio.to_thread(parse, STORESCP, ["-su", "S"])
    complete = []

    async def note(study: Study) -> None:
        complete.append(study.uid)

    studies = Studies(args, tmp_path, note)
    for number in range(4):
        studies.arrived(studies.study(Facts(f"1.{number}"), f"PEER{number}", "STORESCP", "host"))
    assert len(studies.current) == 2
    await studies.close()
    assert sorted(complete) == ["1.0", "1.1", "1.2", "1.3"]


async def test_command_that_fails_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with associated(tmp_path, "-xcr", "false") as association:
        await store(association, instance())
    assert "false ended with code 1" in caplog.text


@pytest.mark.parametrize(
    "command_line, words",
    [
        ("", "the command is empty"),
        ("'open", "No closing quotation"),
        ("no-such-program #f", "there is no program 'no-such-program'"),
        ("#a #f", "there is no program '#a'"),
    ],
)
def test_commands_that_cannot_be_run(tmp_path: Path, command_line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        receiver(tmp_path, "-xcr", command_line)


def test_file_name_has_no_value_for_a_study(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="option -xcs: #f has no value there"):
        receiver(tmp_path, "-xcs", "echo #f")


@pytest.mark.parametrize(
    "title, expected",
    [
        ("MODALITY 1", "MODALITY 1"),
        ("-rf", "_rf"),
        ("--help", "_-help"),
        ("../../etc", "_._.._etc"),
        ("$(reboot)", "__reboot_"),
        ("a;b|c&d`e`", "a_b_c_d_e_"),
        ("#p#f", "_p_f"),
        ("@file", "_file"),
        (" -x ", "_x"),
    ],
)
def test_what_peers_call_themselves_is_harmless(title: str, expected: str) -> None:
    assert harmless(title) == expected
    made = Hook("-xcr", "echo #a 'b #a'", "#a").arguments({"#a": harmless(title)})
    assert made == ["echo", expected, f"b {expected}"]


def test_values_are_not_searched_for_placeholders() -> None:
    made = Hook("-xcr", "echo #p #f", "#p #f").arguments({"#p": "/a#f", "#f": "x y;z"})
    assert made == ["echo", "/a#f", "x y;z"]


# usage


@pytest.mark.parametrize(
    "options, words",
    [
        (["-tos", 3], "option -tos needs one of"),
        (["-tos", 3, "-xcr", "true"], "option -tos needs one of"),
        (["-rns"], "option -rns needs one of"),
        (["--ignore", "-xcs", "true"], "option --ignore leaves nothing for -xcs"),
        (["--ignore", "-xcr", "echo #f"], "option -xcr: #f has no value there"),
        (["-tn", "--workers", 2], "names of files that are made of the time need --workers 1"),
        (["+tls", "key", "certificate", "+crv"], "option \\+crv needs \\+crl"),
        (["+B", "+te"], "option \\+B leaves nothing for \\+t"),
        (["+B", "-g", "-e"], "option \\+B leaves nothing for \\+e and -e, -g"),
        (["+te", "+cl", 3], "option \\+cl needs \\+td or \\+t="),
        (["+td", "+p", 512, 0], "option \\+p is not for -F and \\+td"),
        (["-F", "+p", 512, 0], "option \\+p is not for -F and \\+td"),
        (["--config-profile", "x"], "option --config-profile needs --config"),
    ],
)
def test_options_that_contradict_each_other(tmp_path: Path, options: list[object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        receiver(tmp_path, *options)


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = command("storescp", 0, "-od", tmp_path / "file")
    assert ran == (2, "", f"dicomio storescp: {tmp_path / 'file'}: File exists\n")


# the process


class Process:
    """A `storescp` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        self.process = process
        self.line = process.stderr.readline()
        self.port = int(self.line.rsplit(":", 1)[1])

    def end(self, number: signal.Signals = signal.SIGTERM) -> Ran:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return Ran(self.process.returncode, out, err)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts `storescp` in a process of its own."""
    processes = []

    def start(*options: object) -> Process:
        argv = [sys.executable, "-m", "dicomio", "storescp", "0", "-od", str(tmp_path / "inbox"), *map(str, options)]
        popen = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(popen)
        return Process(popen)

    yield start
    for each in processes:
        if each.poll() is None:
            each.kill()
            each.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(process: Callable[..., Process], number: signal.Signals) -> None:
    scp = process()
    assert re.fullmatch(r"listening on 0\.0\.0\.0:\d+\n", scp.line)
    assert command("echoscu", "127.0.0.1", scp.port).code == 0
    assert scp.end(number) == (0, "", "")


async def test_drains_and_reports_as_json_lines(process: Callable[..., Process], tmp_path: Path) -> None:
    scp = process("--json", "--sleep-after", "0.3", "-xcr", "echo from the command")
    address = f"PACS@127.0.0.1:{scp.port}"
    async with connect(address, contexts=[CTImageStorage], ae_title="MODALITY") as association:
        storing = association.store(instance())
        async for progress in storing:
            assert progress.total
            scp.process.send_signal(signal.SIGTERM)
            break
        assert (await storing).status == Status.SUCCESS
    out, err = scp.process.communicate(timeout=20)
    record = json.loads(out)
    assert scp.process.returncode == 0
    assert err == "from the command\n"
    assert record["path"] == str(tmp_path / "inbox" / "CT.1.2.3")
    assert record["sop_instance_uid"] == "1.2.3"
    assert record["peer"].startswith("MODALITY@127.0.0.1:")


async def test_more_associations_than_wanted_are_rejected(process: Callable[..., Process]) -> None:
    address = f"A@127.0.0.1:{process('--max-associations', 1).port}"
    async with connect(address, contexts=[Verification]) as association:
        with pytest.raises(AssociationRejected) as raised:
            async with connect(address, contexts=[Verification]):
                pass
        await association.echo()
    assert (raised.value.result, raised.value.source, raised.value.reason) == (2, 3, 2)


def test_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        code, out, err = command("storescp", port, "-od", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"dicomio storescp: cannot listen on port {port}: ")

"""`storescp` and `dcmrecv` of DCMTK and ours, with the same arguments, under the same sender: exit codes, and effects.

The command lines are those of DCMTK's manual pages, and one or more for each of their options. Effects are what the
sender is told, which directories and files there are under which names, what is in them, and which commands have run.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

from tests.interop.certificates import Authority
from tests.interop.classic import arguments, at_once
from tests.interop.ours import HOST
from tests.interop.processes import ScuResult, free_port, program, run, run_ours, running, running_ours, wait_for
from tests.interop.samples import Sample, data_set_bytes

pytestmark = pytest.mark.interop

Samples = Mapping[str, Sample]

SENT = ("private-elements", "explicit", "private-elements", "report")
ONE = ("report",)

# What differs from run to run, and what stands for it.
VARIABLE = (
    (r"\.X\.[0-9.]+[0-9](?=\.[a-z]|$)", ".X.UID"),
    (r"_[0-9a-f]{16}(?=\.|$)", "_CHANCE"),
    (r"\b[0-9]{14}\.[0-9]{6}\b", "MICROSECOND"),
    (r"[0-9]{8}_[0-9]{9}(?=/|$)", "TIME"),
    (r"\b[0-9]{17}(_[0-9]{4})?\b", "MILLISECOND"),
    (r"undef/[0-9]{8}/", "undef/TODAY/"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A command line; PORT, OUT and CONFIG stand for the port, the directory and a file of profiles.

    Attributes:
        words: the arguments.
        ran: how many commands print something.
        sender: options of storescu.
        exact: the data sets are the same, byte by byte.
        lasting: what is waited for among the names of files.
        sent: names of the samples that are sent.
    """

    words: str
    ran: int = 0
    sender: str = "-xe"
    exact: bool = True
    lasting: str = ""
    sent: tuple[str, ...] = SENT


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of a run.

    Attributes:
        sent: the sender said that all is well.
        files: names, from the directory on, with what differs from run to run replaced.
        contents: of each file transfer syntax and data set.
        ran: what commands have printed.
    """

    sent: bool
    files: list[str]
    contents: list[tuple[str, bytes]]
    ran: list[str]


STORESCP = [
    # general options
    Case("PORT -od OUT"),
    Case("-q PORT -od OUT"),
    Case("--verbose PORT -od OUT"),
    Case("-d +v PORT -od OUT"),
    Case("-ll info PORT --output-directory OUT"),
    # network options
    Case("--single-process PORT -od OUT"),
    Case("-xf CONFIG Default PORT -od OUT"),
    Case("--config-file CONFIG Default PORT -od OUT"),
    *(Case(f"{option} PORT -od OUT", sender="-xb +C") for option in ("+x=", "+xe", "+xb", "+xi")),
    *(Case(f"{option} PORT -od OUT") for option in ("+xs", "+xv", "+x4", "+xr", "+xd", "+xa")),
    Case("-ac -dhl -up -aet OTHER PORT -od OUT"),
    Case("-ts 10 -ta 10 -td 10 -pdu 4096 PORT -od OUT"),
    Case("-pm PORT -od OUT"),
    Case("--refuse PORT -od OUT"),
    Case("--reject PORT -od OUT"),
    Case("--ignore PORT -od OUT"),
    Case("--sleep-after 1 PORT -od OUT", sent=ONE),
    Case("--sleep-during 1 PORT -od OUT", sent=ONE),
    Case("--abort-after PORT -od OUT"),
    Case("--abort-during PORT -od OUT"),
    # output options
    Case("+B PORT -od OUT"),
    Case("-B PORT -od OUT"),
    Case("+F PORT -od OUT"),
    Case("-F PORT -od OUT"),
    Case("+B -F PORT -od OUT"),
    *(Case(f"{option} PORT -od OUT") for option in ("+t=", "+te", "+tb", "+ti")),
    *(Case(f"{option} PORT -od OUT", exact=False) for option in ("+td", "+td +cl 9", "+t= +cl 0")),
    *(Case(f"{option} PORT -od OUT") for option in ("+e", "-e", "-g", "-p", "-uc", "+uc")),
    Case("+p 512 16 PORT -od OUT", exact=False),
    Case("+ti +p 1024 64 PORT -od OUT", exact=False),
    Case("-ss S PORT -od OUT"),
    Case("-ss '' PORT -od OUT"),
    Case("-su S PORT -od OUT"),
    Case("--sort-on-patientname PORT -od OUT"),
    Case("-ss A -su B PORT -od OUT"),
    Case("-sp -ss A PORT -od OUT"),
    Case("-uf PORT -od OUT"),
    Case("+uf PORT -od OUT"),
    Case("+uf -su S -fe .dcm PORT -od OUT"),
    Case("-tn PORT -od OUT"),
    Case("-tn -fe .dcm PORT -od OUT"),
    Case("--filename-extension .img PORT -od OUT"),
    # event options
    Case("-xcr 'echo RAN #a #c #p/#f' -xs PORT -od OUT", ran=4),
    Case("--exec-on-reception 'echo RAN #f' -aet X PORT -od OUT", ran=4),
    Case("--ignore -xcr 'echo RAN #a #c' PORT -od OUT", ran=4),
    Case("-su S -xcs 'echo RAN #a #c #p' -tos 1 PORT -od OUT", ran=4),
    Case("-ss S --rename-on-eostudy --eostudy-timeout 1 -fe .dcm PORT -od OUT", lasting="SR000001"),
    Case("-ss S -rns -xcs 'echo RAN #p' -tos 1 PORT -od OUT", ran=4, lasting="SR000001"),
]

# These do not listen; DCMTK says 1, or 66, where ours says 2.
STORESCP_FAILURES = [
    "PORT -od OUT --no-such-option",
    "PORT -od OUT extra",
    "port -od OUT",
    "-od OUT PORT -aet",
    "-ll nothing PORT -od OUT",
    "-pdu 100 PORT -od OUT",
    "-rns PORT -od OUT",
    "-tos 1 PORT -od OUT",
    "+B +te PORT -od OUT",
    "+B -e PORT -od OUT",
    "+B -g PORT -od OUT",
    "+te +cl 3 PORT -od OUT",
    "+cl 10 PORT -od OUT",
    "+p 512 PORT -od OUT",
    "-F +p 512 16 PORT -od OUT",
    "-xf CONFIG Nothing PORT -od OUT",
    "-xf nothing Default PORT -od OUT",
    "-xf CONFIG Default -pm PORT -od OUT",
    "-xf CONFIG Default +xs PORT -od OUT",
]

# These mean something in DCMTK that they cannot mean here; the first is the example of the manual page.
STORESCP_REFUSED = {
    "-id +ac -od /tmp/storescp": "+ac",
    "--inetd": "--inetd",
    "--fork PORT -od OUT": "--fork",
    "--access-control PORT -od OUT": "+ac",
    "--arguments PORT -od OUT": "--arguments",
    "-u PORT -od OUT": "-u",
    "+u PORT -od OUT": "+u",
    "+g PORT -od OUT": "+g",
    "+g= PORT -od OUT": "+g=",
    "+cc": "+cc",
    "-der PORT -od OUT": "-der",
    "+tls a b +pa PORT -od OUT": "+pa",
    "+tls a b +cs TLS_RSA_WITH_NULL_SHA PORT -od OUT": "+cs",
    "+tls a b +ws PORT -od OUT +rs file": "+rs",
}

# By default, DCMTK encodes data sets anew, and ours does not.
DCMRECV = [
    # the examples of the manual page
    Case("--verbose PORT --config-file CONFIG Default -od OUT", exact=False),
    Case(
        "-v -xf CONFIG Default PORT --series-date-subdir --short-unique-names --filename-extension .dcm -od OUT",
        exact=False,
    ),
    Case("-v -xf CONFIG Default PORT --bit-preserving -od OUT"),
    # general and network options
    Case("-q -xf CONFIG Default PORT -od OUT", exact=False),
    Case("-d +v -xf CONFIG Default PORT -od OUT", exact=False),
    Case("-ll warn -xf CONFIG Default PORT -od OUT", exact=False),
    Case("-aet OTHER -uca -xf CONFIG Default PORT -od OUT", exact=False),
    Case("-ta 10 -td 10 -pdu 8192 -dhl -xf CONFIG Default PORT -od OUT", exact=False),
    # output options
    Case("-s -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+ssd -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+ssd +fst -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+fd -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+fu -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+fsu -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+fst -xf CONFIG Default PORT -od OUT", exact=False),
    Case("+fst -fe .dcm -xf CONFIG Default PORT -od OUT", exact=False),
    Case("-B -xf CONFIG Default PORT -od OUT"),
    Case("--ignore -xf CONFIG Default PORT -od OUT"),
]

DCMRECV_FAILURES = [
    "PORT -od OUT --fork",
    "PORT -od OUT extra",
    "PORT -od OUT +xs",
    "port -od OUT",
    "-xf CONFIG Nothing PORT -od OUT",
    "-xf nothing Default PORT -od OUT",
]

PROFILES = """
[[profiles.Default.contexts]]
sop_classes = ["storage"]
transfer_syntaxes = ["ExplicitVRLittleEndian", "ExplicitVRBigEndian", "ImplicitVRLittleEndian"]
"""


class Bench:
    """Runs either tool in directories of its own."""

    def __init__(self, directory: Path, samples: Samples) -> None:
        self.directory = directory
        self.samples = samples

    def arguments(self, ours: bool, words: str, port: int) -> list[str]:
        """The words of a case as arguments."""
        inbox = self.inbox(ours)
        inbox.mkdir(parents=True, exist_ok=True)
        profiles = self.directory / "association.toml"
        profiles.write_text(PROFILES)
        values = {
            "PORT": str(port),
            "OUT": str(inbox),
            "CONFIG": str(profiles) if ours else "/etc/dcmtk/storescp.cfg",
        }
        return arguments(words, values)

    def inbox(self, ours: bool) -> Path:
        return self.directory / ("ours" if ours else "dcmtk")

    def log(self, ours: bool) -> Path:
        return self.directory / ("ours.log" if ours else "dcmtk.log")

    def end(self, tool: str, words: str) -> ScuResult:
        """Runs ours where it does not listen, to its end."""
        return run_ours([tool, *self.arguments(True, words, free_port())], self.log(True), self.directory)

    def ends(self, tool: str, words: str) -> tuple[ScuResult, ScuResult]:
        """Runs both where they do not listen, to their ends."""
        argv = [str(program(tool)), *self.arguments(False, words, free_port())]
        return at_once(lambda: run(argv, self.directory), lambda: self.end(tool, words))

    def running(self, tool: str, ours: bool, words: str, port: int) -> AbstractContextManager[object]:
        """Runs a tool that listens."""
        args, log = self.arguments(ours, words, port), self.log(ours)
        if ours:
            return running_ours([tool, *args], [port], log, self.directory)
        return running([str(program(tool)), *args], [port], log, self.directory)

    def effect(self, tool: str, ours: bool, case: Case) -> Effect:
        """Runs a tool while the files are sent to it."""
        port = free_port()
        with self.running(tool, ours, case.words, port):
            files = [str(self.samples[name].path) for name in case.sent]
            sent = run(["storescu", *case.sender.split(), "-aec", "CALLED", HOST, str(port), *files])
            if "-tos" in case.words or "timeout" in case.words:
                wait_for(lambda: self.ran(ours), lambda ran: len(ran) >= case.ran)
                wait_for(lambda: self.lasting(ours, case.lasting), bool)
        wait_for(lambda: self.ran(ours), lambda ran: len(ran) >= case.ran)
        names = self.names(ours)
        contents = [self.content(path, "-F" in case.words) for path in names]
        # Commands of one object and the next may run at once.
        return Effect(
            sent.code == 0, sorted(names.values()), sorted(contents) if case.exact else [], sorted(self.ran(ours))
        )

    def names(self, ours: bool) -> dict[Path, str]:
        """Every file, with its name as it is compared."""
        inbox = self.inbox(ours)
        paths = sorted(path for path in inbox.rglob("*") if path.is_file())
        return {path: neutral(path.relative_to(inbox).as_posix()) for path in paths}

    def lasting(self, ours: bool, name: str) -> list[str]:
        return [each for each in self.names(ours).values() if name in each]

    def content(self, path: Path, bare: bool) -> tuple[str, bytes]:
        """Transfer syntax and data set of a file."""
        if bare:
            return "", path.read_bytes()
        meta = pydicom.dcmread(path, specific_tags=[]).file_meta
        return UID(meta.TransferSyntaxUID).name, data_set_bytes(path)

    def ran(self, ours: bool) -> list[str]:
        """What commands have printed."""
        log = self.log(ours).read_text(errors="replace")
        lines = [line.replace(str(self.inbox(ours)), "OUT") for line in log.splitlines() if line.startswith("RAN")]
        return [neutral(line) for line in lines]


def neutral(name: str) -> str:
    """A name without what differs from run to run."""
    for pattern, replacement in VARIABLE:
        name = re.sub(pattern, replacement, name)
    return name


@pytest.fixture
def bench(tmp_path: Path, samples: Samples) -> Bench:
    return Bench(tmp_path, samples)


def assert_same(bench: Bench, tool: str, case: Case) -> Effect:
    """Both tools have the same effect; returns it."""
    theirs, ours = at_once(lambda: bench.effect(tool, False, case), lambda: bench.effect(tool, True, case))
    assert ours == theirs
    return ours


@pytest.mark.parametrize("case", STORESCP, ids=lambda case: case.words)
def test_storescp(case: Case, bench: Bench) -> None:
    assert_same(bench, "storescp", case)


@pytest.mark.parametrize("case", DCMRECV, ids=lambda case: case.words)
def test_dcmrecv(case: Case, bench: Bench) -> None:
    assert_same(bench, "dcmrecv", case)


def test_padding(bench: Bench) -> None:
    """Only the lengths of file meta information differ, by our AE titles in it."""
    assert_same(bench, "storescp", Case("+p 1000 0 PORT -od OUT", exact=False))
    sizes = [path.stat().st_size for ours in (False, True) for path in bench.names(ours)]
    assert all(size % 1000 == 0 for size in sizes)


@pytest.mark.parametrize("words", STORESCP_FAILURES)
def test_storescp_that_cannot_be(words: str, bench: Bench) -> None:
    theirs, ours = bench.ends("storescp", words)
    assert theirs.code != 0
    assert (ours.code, len(ours.output.splitlines())) == (2, 1)


@pytest.mark.parametrize("words", DCMRECV_FAILURES)
def test_dcmrecv_that_cannot_be(words: str, bench: Bench) -> None:
    theirs, ours = bench.ends("dcmrecv", words)
    assert theirs.code != 0
    assert (ours.code, len(ours.output.splitlines())) == (2, 1)


@pytest.mark.parametrize("words, option", STORESCP_REFUSED.items())
def test_storescp_refuses_in_words_what_it_cannot_be(words: str, option: str, bench: Bench) -> None:
    result = bench.end("storescp", words)
    assert result.code == 2
    assert re.fullmatch(rf"dicomio storescp: option (\S+ or )?{re.escape(option)}( or \S+)? is not .*\n", result.output)


@pytest.mark.parametrize("tool", ["storescp", "dcmrecv"])
@pytest.mark.parametrize("peer", ["-rc +cf", "-vc +cf", "-ic"])
def test_tls(tool: str, peer: str, bench: Bench) -> None:
    authority = Authority(bench.directory)
    server, client = authority.issue("localhost"), authority.issue("client")
    trusting = peer.replace("+cf", f"+cf {authority.path}")
    profile = "-xf CONFIG Default" if tool == "dcmrecv" else ""
    case = Case(
        f"+tls {server.key} {server.certificate} {trusting} {profile} PORT -od OUT",
        sender=f"-xe +tls {client.key} {client.certificate} +cf {authority.path}",
        exact=tool == "storescp",
    )
    assert assert_same(bench, tool, case).sent

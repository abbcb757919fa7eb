"""`echoscu`, `storescu`, `findscu`, `getscu`, `movescu` and `termscu` of DCMTK and ours, with the same arguments.

The command lines are those of DCMTK's manual pages, and one or more for each group of their options. Both tools run at
once, each with peers of its own that have been started in the same way. Compared are exit codes, what is printed of
matches, the files that are written here and those that arrive elsewhere, and what the peer has heard.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

from dicomio.sop import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.interop.certificates import Authority
from tests.interop.classic import arguments, theirs_and_ours
from tests.interop.holdings import Holding, uid_of
from tests.interop.ours import HOST
from tests.interop.peers import RunningScp, scps, serving
from tests.interop.processes import ScuResult, free_port, require, run, wait_for
from tests.interop.samples import Sample, differences, lay_out
from tests.interop.test_worklist import write_items

pytestmark = pytest.mark.interop

UNCOMPRESSED = {ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian}


@dataclass(frozen=True, slots=True)
class Case:
    """A command line; words in capitals stand for peers, files and directories.

    Attributes:
        words: the arguments.
        code: our exit code.
        peer: which peer HOST and PORT are.
        difference: what CLI.md has otherwise, where exit codes or effects differ.
        theirs: whether DCMTK's exit code is 0; by default where ours is.
        alike: the effects are the same, too. They are not compared where ours looks at its input first, and ends.
        printed: DCMTK prints the same matches.
    """

    words: str
    code: int = 0
    peer: str = "storage"
    difference: str = ""
    theirs: bool | None = None
    alike: bool = True
    printed: bool = True


GENERAL = ("", "--quiet", "--verbose", "-d", "-ll info", "--log-level error", "-lc LOGGER")
TIMEOUTS = "-to 5 -ta 5 -td 5"
IDENTITIES = (
    "-usr me -pwd secret",
    "--user me --empty-password",
    "-usr me",
    "-kt TICKET",
    "--saml TICKET",
    "--jwt TICKET",
)
# CLI.md: all of them; DCMTK tells many more codes.
REFUSED = 1
MISUSED = 2


def misuses(rest: str) -> list[Case]:
    """Command lines that are none, for a tool that has `rest` behind its peer."""
    return [
        Case("", MISUSED, difference="the help is not what was asked for", theirs=True),
        *(
            Case(words, MISUSED)
            for words in (
                "HOST",
                f"HOST port {rest}",
                f"HOST PORT {rest} --no-such-option",
                f"-aet HOST PORT {rest} -aec",
                f"-ll nothing HOST PORT {rest}",
                f"-pdu 100 HOST PORT {rest}",
            )
        ),
    ]


ECHOSCU = [
    *(Case(f"{option} HOST PORT") for option in GENERAL),
    Case("-aet ME --call YOU HOST PORT"),
    Case(f"{TIMEOUTS} HOST PORT"),
    Case("-pdu 4096 HOST PORT"),
    Case("--repeat 3 HOST PORT"),
    Case("--abort HOST PORT"),
    Case("HOST PORT -aec FIRST -aec SECOND"),
    Case("HOST PORT", REFUSED, "refusing"),
    Case("HOST PORT", REFUSED, "nobody"),
    Case("-aec NOBODY HOST PORT", REFUSED, "archive"),
    Case("HOST PORT extra", MISUSED),
    *misuses(""),
    # TLS options
    *(
        Case(f"+tls CLIENT_KEY CLIENT_CERTIFICATE +cf AUTHORITY {profile} HOST PORT", peer="secure")
        for profile in ("", "-rc", "+py", "+px", "+pz", "-pem")
    ),
    Case("+tls LOCKED_KEY CLIENT_CERTIFICATE +pw secret +cf AUTHORITY HOST PORT", peer="secure"),
    Case("+tls CLIENT_KEY CLIENT_CERTIFICATE -pw +cd AUTHORITIES HOST PORT", peer="secure"),
    Case("+tls CLIENT_KEY CLIENT_CERTIFICATE -ic HOST PORT", peer="secure"),
    Case("+tls CLIENT_KEY CLIENT_CERTIFICATE HOST PORT", REFUSED, "secure"),
    Case("+tla +cf AUTHORITY HOST PORT", REFUSED, "secure"),
    Case("+tla +cf AUTHORITY HOST PORT", peer="lenient"),
    Case("+tls MISSING CLIENT_CERTIFICATE HOST PORT", MISUSED, "secure"),
    Case("HOST PORT", REFUSED, "secure"),
    Case("+tla -ic HOST PORT", REFUSED),
    Case("+tla -tls HOST PORT"),
]

STORESCU = [
    *(Case(f"{option} HOST PORT a.dcm") for option in GENERAL),
    Case("-v +v HOST PORT a.dcm b.dcm"),
    # input options
    Case("+f HOST PORT bare.img a.dcm"),
    Case("--read-file-only HOST PORT a.dcm"),
    Case("+fo HOST PORT bare.img", MISUSED),
    Case("-f HOST PORT bare.img"),
    Case("+sd HOST PORT IMAGES"),
    Case("+sd +r HOST PORT IMAGES a.dcm"),
    Case("--scan-directories -r HOST PORT IMAGES"),
    Case("+sd +r --scan-pattern *.img HOST PORT IMAGES"),
    Case("+sd +sp *.none HOST PORT IMAGES", MISUSED),
    Case("HOST PORT IMAGES", MISUSED),
    Case("HOST PORT missing.dcm", MISUSED),
    # network options
    Case("-aet ME -aec YOU HOST PORT a.dcm"),
    *(Case(f"{option} HOST PORT a.dcm b.dcm") for option in ("-x=", "-xe", "-xb", "-xi")),
    *(
        Case(f"{option} HOST PORT a.dcm")
        for option in (*(f"-x{letter}" for letter in "syxvwtu"), "--propose-jls-lossless", "-R")
    ),
    *(Case(f"{option} HOST PORT a.dcm", difference="preferred: what can be converted is") for option in ("-xr", "-xd")),
    Case("-xy HOST PORT jpeg.dcm"),
    Case("--propose-rle HOST PORT rle.dcm"),
    Case("-xd HOST PORT deflated.dcm"),
    Case("-xf CONFIG Default HOST PORT a.dcm"),
    Case("-xf CONFIG Nothing HOST PORT a.dcm", MISUSED),
    Case("-usr me -pwd secret -rsp HOST PORT a.dcm", REFUSED),
    *(Case(f"{option} HOST PORT a.dcm") for option in IDENTITIES),
    Case(f"{TIMEOUTS} HOST PORT a.dcm"),
    Case("--max-pdu 4096 HOST PORT a.dcm"),
    Case("--repeat 2 HOST PORT a.dcm b.dcm"),
    Case("--abort HOST PORT a.dcm"),
    Case("-nh HOST PORT a.dcm notes.txt", 2, difference="unreadable input is 2", theirs=True),
    Case("--no-halt HOST PORT a.dcm b.dcm"),
    Case("HOST PORT a.dcm", REFUSED, "refusing"),
    Case("HOST PORT a.dcm", REFUSED, "aborting"),
    Case("HOST PORT a.dcm", REFUSED, "nobody"),
    *misuses("a.dcm"),
    # TLS options
    Case("+tls CLIENT_KEY CLIENT_CERTIFICATE +cf AUTHORITY HOST PORT a.dcm", peer="secure"),
    Case("+tla -ic HOST PORT a.dcm", REFUSED, "secure"),
]

STUDY = f"-k 0008,0052=STUDY -k StudyInstanceUID={uid_of('chest')}"

FINDSCU = [
    # the examples of the manual page
    Case('-P -k "(0010,0010)=HEWETT*" HOST PORT patqry.dcm', peer="archive"),
    Case('-P -k PatientName="HEWETT*" HOST PORT patqry.dcm', peer="archive"),
    Case('-W -k "(0040,0100)[0].Modality=CT" HOST PORT', peer="worklist"),
    # what it says beside
    Case("-P -k 0010,0010=HEWETT* HOST PORT patqry.dcm", peer="archive"),
    Case("-P HOST PORT patqry.dcm", peer="archive"),
    Case("-P HOST PORT patqry.dcm patqry.dcm", peer="archive"),
    Case("-P -k PatientName HOST PORT patqry.dcm", peer="archive"),
    Case("-P -k PatientID=PAT002 -k PatientSex HOST PORT patqry.dcm", peer="archive"),
    Case("-P -k PatientName=NOBODY HOST PORT patqry.dcm", peer="archive"),
    # query options
    Case(f"-S {STUDY} -k PatientName HOST PORT", peer="archive"),
    Case("--study -k QueryRetrieveLevel=STUDY -k StudyDate=20210101- -k StudyInstanceUID HOST PORT", peer="archive"),
    Case("-O -k QueryRetrieveLevel=STUDY -k PatientID=ALPHA1 -k StudyInstanceUID HOST PORT", peer="archive"),
    Case(f"{STUDY} HOST PORT", peer="archive", difference="-S is the default", theirs=False, alike=False),
    Case("-W -k PatientName=Adam* -k AccessionNumber HOST PORT", peer="worklist"),
    Case(
        "-W -k ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20260106-20260107 "
        "-k AccessionNumber HOST PORT",
        peer="worklist",
    ),
    Case("-P -k NoSuchKeyword=1 HOST PORT patqry.dcm", MISUSED, "archive", "wrong usage is 2", theirs=True),
    Case("-P -k HOST PORT", MISUSED, "archive"),
    Case("-P HOST PORT missing.dcm", MISUSED, "archive"),
    # network options
    *(
        Case(
            f"{option} -P HOST PORT patqry.dcm", peer="archive", printed=option not in ("--quiet", "--log-level error")
        )
        for option in GENERAL
    ),
    Case("-aet ME -aec ANY-SCP -P HOST PORT patqry.dcm", peer="archive"),
    Case(f"{TIMEOUTS} -pdu 4096 -P HOST PORT patqry.dcm", peer="archive"),
    Case(
        "--cancel 1 -P HOST PORT patqry.dcm",
        peer="archive",
        difference="what comes after the C-CANCEL is not shown",
        printed=False,
    ),
    Case("-aec NOBODY -P HOST PORT patqry.dcm", REFUSED, "archive"),
    Case("-W HOST PORT patqry.dcm", REFUSED, "archive"),
    Case("-P HOST PORT patqry.dcm", REFUSED, "nobody"),
    *misuses("-k PatientName"),
    # output options
    Case("-X -od OUT -P HOST PORT patqry.dcm", peer="archive", printed=False),
    Case("--extract --output-directory OUT -W -k PatientName HOST PORT", peer="worklist", printed=False),
    # TLS options
    Case("+tls CLIENT_KEY CLIENT_CERTIFICATE +cf AUTHORITY -P HOST PORT patqry.dcm", REFUSED, "secure"),
]

GETSCU = [
    # the example of the manual page
    Case('-k "0010,0020=PAT002" -od OUT HOST PORT patient.dcm', peer="archive"),
    # what it says beside
    Case("-od OUT HOST PORT patient.dcm", peer="archive"),
    Case(
        "-od OUT HOST PORT patient.dcm patient.dcm",
        peer="archive",
        difference="DCMTK's is killed by a signal",
        theirs=False,
        alike=False,
    ),
    Case("-k QueryRetrieveLevel=PATIENT -k PatientID=PAT001 -od OUT HOST PORT", peer="archive"),
    # query options
    Case(f"-S {STUDY} -od OUT HOST PORT", peer="archive"),
    Case(f"--patient {STUDY} -k PatientID=ALPHA1 -od OUT HOST PORT", peer="archive"),
    Case(f"-O {STUDY} -k PatientID=ALPHA1 -od OUT HOST PORT", peer="archive"),
    Case("-k PatientID=NOBODY -od OUT HOST PORT patient.dcm", peer="archive"),
    # network options
    *(Case(f"{option} -od OUT HOST PORT patient.dcm", peer="archive") for option in GENERAL),
    Case(f"-aet ME -aec ANY-SCP {TIMEOUTS} -pdu 4096 -od OUT HOST PORT patient.dcm", peer="archive"),
    Case("-aec NOBODY -od OUT HOST PORT patient.dcm", REFUSED, "archive"),
    Case("-od OUT HOST PORT patient.dcm", REFUSED, "storage"),
    Case("-od OUT HOST PORT patient.dcm", REFUSED, "nobody"),
    Case("-od OUT HOST PORT missing.dcm", MISUSED, "archive"),
    *misuses("patient.dcm"),
    # output options
    Case(
        "+B --output-directory OUT HOST PORT patient.dcm",
        peer="archive",
        difference="the default, and names are as without it",
        alike=False,
    ),
]

MOVESCU = [
    # the example of the manual page, with the destination MOVESCU
    Case("-k 0010,0020=PAT002 HOST PORT patient.dcm", peer="archive"),
    # what it says beside
    Case("HOST PORT patient.dcm", peer="archive"),
    Case("HOST PORT patient.dcm patient.dcm", peer="archive"),
    Case("-k 0008,0052=PATIENT -k 0010,0020=PAT001 HOST PORT", peer="archive"),
    # query options
    Case(f"-S {STUDY} HOST PORT", peer="archive"),
    Case(f"--patient {STUDY} -k PatientID=ALPHA1 HOST PORT", peer="archive"),
    Case(f"-O {STUDY} -k PatientID=ALPHA1 HOST PORT", peer="archive"),
    Case("-k PatientID=NOBODY HOST PORT patient.dcm", peer="archive"),
    # network options
    *(Case(f"{option} HOST PORT patient.dcm", peer="archive") for option in GENERAL),
    Case("--move ELSEWHERE HOST PORT patient.dcm", peer="archive"),
    Case("-aem UNKNOWN HOST PORT patient.dcm", REFUSED, "archive"),
    Case(f"-aet MOVESCU -aec ANY-SCP {TIMEOUTS} -pdu 4096 HOST PORT patient.dcm", peer="archive"),
    Case("-aem RECEIVER +P RECEIVER_PORT -od OUT HOST PORT patient.dcm", peer="archive"),
    Case(f"-aet RECEIVER -aem RECEIVER --port RECEIVER_PORT -od OUT -S {STUDY} HOST PORT", peer="archive"),
    Case(
        "-aem RECEIVER +P RECEIVER_PORT +B -od OUT HOST PORT patient.dcm",
        peer="archive",
        difference="the default; DCMTK's passes over -od then",
        alike=False,
    ),
    Case("-aec NOBODY HOST PORT patient.dcm", REFUSED, "archive"),
    Case("HOST PORT patient.dcm", REFUSED, "storage"),
    Case("HOST PORT patient.dcm", REFUSED, "nobody"),
    Case("HOST PORT missing.dcm", MISUSED, "archive"),
    *misuses("patient.dcm"),
]

ENDED = "0 where the peer ends the association because of it"

TERMSCU = [
    *(
        Case(f"{option} HOST PORT", peer="ending", difference=ENDED, theirs=False)
        for option in (*GENERAL, "-aet ME -aec ANY-SCP", "-pdu 8192")
    ),
    Case("HOST PORT", REFUSED, "archive"),
    Case("HOST PORT", REFUSED, "storage"),
    Case("HOST PORT", REFUSED, "nobody"),
    Case("HOST PORT extra", MISUSED),
    *misuses(""),
]

# The query files of the manual pages, as their dump2dcm makes them.
QUERY_FILES = {
    "patqry": """
        # query patient names and IDs
        (0008,0052) CS [PATIENT]      # QueryRetrieveLevel
        (0010,0010) PN []             # PatientName
        (0010,0020) LO []             # PatientID
    """,
    "patient": """
        # request all images for the patient with ID=PAT001
        (0008,0052) CS [PATIENT]      # QueryRetrieveLevel
        (0010,0020) LO [PAT001]       # PatientID
    """,
}

# Whom the manual pages ask for, and of how many objects each is.
PATIENTS = {"PAT001": ("HEWETT^BILL", 1), "PAT002": ("HEWETT^DAVE", 2), "PAT003": ("HOPPER^GRACE", 1)}

# What storescu proposes with a profile.
PROFILES = (
    """
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = BigEndianExplicit
TransferSyntax3 = LittleEndianImplicit
[[PresentationContexts]]
[Images]
PresentationContext1 = MRImageStorage\\Uncompressed
PresentationContext2 = CTImageStorage\\Uncompressed
[[Profiles]]
[Default]
PresentationContexts = Images
""",
    """
[[profiles.Default.contexts]]
sop_classes = ["MRImageStorage", "CTImageStorage"]
transfer_syntaxes = ["ExplicitVRLittleEndian", "ExplicitVRBigEndian", "ImplicitVRLittleEndian"]
""",
)

# Where log records go: to a file, with what DCMTK's tools write.
LOGGERS = (
    """
log4cplus.rootLogger = INFO, file
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = tool.log
log4cplus.appender.file.layout = log4cplus::PatternLayout
log4cplus.appender.file.layout.ConversionPattern = %P: %m%n
""",
    """
[handlers.file]
class = "logging.FileHandler"
filename = "tool.log"
[loggers.dicomio]
level = "DEBUG"
handlers = ["file"]
""",
)

REQUEST = re.compile(r"BEGIN A-ASSOCIATE-RQ(.*?)END A-ASSOCIATE-RQ", re.DOTALL)
NEGOTIATED = re.compile(
    r"^D: +((?:Calling|Called) Application Name: +\S+|Their Max PDU Receive Size: +\d+|Authentication mode .*|"
    r"Username: .*|Positive Response requested: .*)$",
    re.MULTILINE,
)
MESSAGE = re.compile(r"^D: Message Type +: (.*)$", re.MULTILINE)
ENDING = re.compile(
    r"^[IE]: (Association Release|Association Aborted|Refusing Association|DIMSE failure \(aborting association\))",
    re.MULTILINE,
)

# An element as DCMTK prints it: [text], =name of a UID, (no value available), numbers. Sequences and items have none.
THEIR_ELEMENT = re.compile(
    r"^[ID]: +\((?!fffe)([0-9a-f]{4}),([0-9a-f]{4})\) (?!SQ)[A-Z]{2} "
    r"(?:\(no value available\)|[=\[]?(.*?)\]?)( +)# +[0-9]+,",
    re.MULTILINE,
)
OUR_ELEMENT = re.compile(r"(?:.*\.)?([A-Za-z0-9]+)=(.*)")


def identifier(case: Case) -> str:
    """How a test is called."""
    return f"{case.words} ({case.peer})"


@dataclass(slots=True)
class Effect:
    """What came of a run.

    Attributes:
        written: files that were written here, by name.
        stored: files that have arrived elsewhere, by SOP Instance UID.
        heard: what peers have been told.
    """

    written: dict[str, Path] = field(default_factory=dict)
    stored: dict[str, Path] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)


# The peers that can be asked what they have heard.
STORING = {"storage", "secure", "lenient", "refusing", "aborting"}


class Side:
    """The peers of DCMTK's tools, or of ours, which run until the end of the module.

    Args:
        directory: for their files, and to run the tools in.
        samples: what can be sent.
        archived: files of the objects that the archive has.
        ours: it is our side.
    """

    def __init__(self, directory: Path, samples: Mapping[str, Sample], archived: Sequence[Path], ours: bool) -> None:
        self.directory = directory
        self.ours = ours
        self.archived = archived
        self.stack = ExitStack()
        self.started = 0
        self.peers: dict[str, RunningScp] = {}
        self.receiver_port = free_port()
        self.inbox = directory / "out"
        self.inbox.mkdir(parents=True)
        (directory / self.settings("logger")).write_text(LOGGERS[ours])
        (directory / self.settings("association")).write_text(PROFILES[ours])
        (directory / "ticket").write_bytes(b"a ticket, of whatever kind")
        fill_library(directory, samples)
        self.certify()

    def settings(self, name: str) -> str:
        """The name of a file of settings."""
        return f"{name}.toml" if self.ours else f"{name}.cfg"

    def certify(self) -> None:
        """Makes certificates."""
        authority = Authority(self.directory / "authority")
        server, client = authority.issue("server", rsa=True), authority.issue("client", rsa=True)
        self.certificates = ["+tls", str(server.key), str(server.certificate), "+cf", str(authority.path)]
        self.values = {
            "CLIENT_KEY": str(client.key),
            "CLIENT_CERTIFICATE": str(client.certificate),
            "LOCKED_KEY": str(authority.locked(client, "secret")),
            "AUTHORITY": str(authority.path),
            "AUTHORITIES": str(authority.path.parent / "trusted"),
        }
        (authority.path.parent / "trusted").mkdir()
        shutil.copy(authority.path, authority.path.parent / "trusted")
        run(["openssl", "rehash", authority.path.parent / "trusted"])

    def peer(self, name: str) -> RunningScp:
        """A peer, started if need be."""
        if name not in self.peers:
            self.peers[name] = self.start(name, self.stack)
        return self.peers[name]

    def start(self, name: str, stack: ExitStack) -> RunningScp:
        """Starts a peer."""
        self.started += 1
        place = self.directory / f"{name}-{self.started}"
        if name == "worklist":
            return stack.enter_context(worklist_server(place))
        if name in ("archive", "ending"):
            storage = self.peer("storage").port
            destinations = {"MOVESCU": storage, "ELSEWHERE": storage, "RECEIVER": self.receiver_port}
            options = ["--allow-shutdown"] if name == "ending" else []
            scp = stack.enter_context(
                scps["dcmqrscp"](place, ae_title="ANY-SCP", destinations=destinations, options=options)
            )
            if name == "archive":
                assert run(["storescu", HOST, str(scp.port), *self.archived]).code == 0
            return scp
        options = {
            "storage": ["-d", "+xa", "+B"],
            "refusing": ["-d", "--refuse"],
            "aborting": ["-d", "--abort-during"],
            "secure": ["-d", *self.certificates],
            "lenient": ["-d", *self.certificates, "-ic"],
        }[name]
        return stack.enter_context(scps["storescp"](place, options=options))

    @contextmanager
    def visited(self, name: str) -> Iterator[RunningScp]:
        """A peer for a case: one of its own where it is to end."""
        with ExitStack() as stack:
            yield self.start(name, stack) if name == "ending" else self.peer(name)

    def arguments(self, words: str, port: int) -> list[str]:
        """The arguments of a case."""
        values = {
            "HOST": HOST,
            "PORT": str(port),
            "OUT": str(self.inbox),
            "RECEIVER_PORT": str(self.receiver_port),
            "CONFIG": self.settings("association"),
            "LOGGER": self.settings("logger"),
            "TICKET": "ticket",
            **self.values,
        }
        return arguments(words, values)

    def logs(self, name: str) -> dict[str, str]:
        """What the peer that is asked, and the one to which objects are moved, have written so far."""
        return {each: self.peers[each].log() for each in {name, "storage"} & self.peers.keys()}

    def clear(self) -> None:
        """Removes what the case before has brought."""
        (self.directory / "tool.log").unlink(missing_ok=True)
        received = [
            path for name in ("storage", "secure") if name in self.peers for path in self.peers[name].received()
        ]
        for path in (*self.inbox.iterdir(), *received):
            path.unlink()

    def effect(self, case: Case, before: Mapping[str, str]) -> Effect:
        """What has come of a case."""
        effect = Effect(written={path.name: path for path in self.inbox.iterdir()})
        for each in STORING & {case.peer, "storage"} & self.peers.keys():
            effect.heard += heard(self.peers[each], len(before.get(each, "")), case)
            effect.stored |= {
                str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID): path
                for path in self.peers[each].received()
            }
        return effect


def fill_library(directory: Path, samples: Mapping[str, Sample]) -> None:
    """Files to send, and query files."""
    places = {
        "a.dcm": "explicit",
        "b.dcm": "implicit",
        "jpeg.dcm": "jpeg",
        "rle.dcm": "rle",
        "deflated.dcm": "deflated",
    }
    places |= {"IMAGES/a.dcm": "explicit", "IMAGES/b.img": "implicit", "IMAGES/below/c.img": "report"}
    lay_out(directory, samples, places)
    for name, text in QUERY_FILES.items():
        (directory / f"{name}.dump").write_text(text)
        made = run(["dump2dcm", f"{name}.dump", f"{name}.dcm"], directory)
        assert made.code == 0, made.output


@contextmanager
def worklist_server(directory: Path) -> Iterator[RunningScp]:
    """Runs DCMTK's worklist server."""
    write_items(directory / "items" / "ANY-SCP")
    (directory / "items" / "ANY-SCP" / "lockfile").touch()
    port = free_port()
    argv = ["wlmscpfs", "-v", "-csk", "-dfp", str(directory / "items"), str(port)]
    with serving(argv, port, "ANY-SCP", directory, directory) as scp:
        yield scp


def heard(scp: RunningScp, offset: int, case: Case) -> list[str]:
    """What a peer has been told since its log was so long: once it knows how each association has ended."""
    text = wait_for(lambda: scp.log()[offset:], lambda text: len(ENDING.findall(text)) == len(REQUEST.findall(text)))
    facts = [fact for request in REQUEST.findall(text) for fact in NEGOTIATED.findall(request)]
    # By default ours takes longer PDUs. It releases an association that is good for nothing, where DCMTK's abort it.
    told = [fact for fact in facts if "-pdu" in case.words or "Max PDU" not in fact]
    return [*told, *MESSAGE.findall(text), *(ENDING.findall(text) if case.code == 0 else ())]


def their_matches(output: str) -> list[Counter[tuple[str, str]]]:
    """What findscu of DCMTK prints of matches: without sequences, but with what is in their items."""
    matches = []
    for text in re.split("Find Response: |Response Identifiers:", output)[1:]:
        found = THEIR_ELEMENT.findall(text.partition("Find Response")[0])
        matches.append(
            Counter(
                (keyword_for_tag(int(group + element, 16)), value.strip(" \0")) for group, element, value, _ in found
            )
        )
    return matches


def our_matches(output: str) -> list[Counter[tuple[str, str]]]:
    """What ours prints of matches, without the ways to elements."""
    paragraphs = [text.splitlines() for text in output.split("\n\n")]
    found = [[OUR_ELEMENT.fullmatch(line) for line in lines] for lines in paragraphs]
    return [Counter((each[1], each[2]) for each in match if each) for match in found if any(match)]


def library_of(sides: Path, holdings: Sequence[Holding]) -> list[Path]:
    """Files of the objects that archives have: the holdings, and the patients of the manual pages."""
    ds = pydicom.dcmread(holdings[0].path)
    # DCMTK's findscu prints names as they are encoded, and ours what they mean.
    files = [
        holding.path for holding in holdings if pydicom.dcmread(holding.path).PatientName.encode("utf-8").isascii()
    ]
    for patient, (name, count) in PATIENTS.items():
        ds.PatientID, ds.PatientName = patient, name
        ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(uid_of(patient)), UID(uid_of(f"{patient}/1"))
        for number in range(count):
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid_of(f"{patient}/1/{number}"))
            files.append(sides / f"{patient}-{number}.dcm")
            ds.save_as(files[-1], enforce_file_format=True)
    return files


@pytest.fixture(scope="module")
def sides(
    samples: Mapping[str, Sample], holdings: Sequence[Holding], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Side, Side]]:
    """DCMTK's side and ours."""
    require("dcmtk")
    directory = tmp_path_factory.mktemp("sides")
    archived = library_of(directory, holdings)
    theirs = Side(directory / "theirs", samples, archived, ours=False)
    ours = Side(directory / "ours", samples, archived, ours=True)
    with theirs.stack, ours.stack:
        yield theirs, ours


def run_both(tool: str, case: Case, sides: tuple[Side, Side], stack: ExitStack) -> list[tuple[ScuResult, Effect]]:
    """Runs a command line twice: exit codes and effects, DCMTK's first."""
    ports, before = [], []
    for side in sides:
        side.clear()
        scp = None if case.peer == "nobody" else stack.enter_context(side.visited(case.peer))
        ports.append(free_port() if scp is None else scp.port)
        before.append(side.logs(case.peer))
    argv = [side.arguments(case.words, port) for side, port in zip(sides, ports, strict=True)]
    results = theirs_and_ours(tool, argv[0], argv[1], sides[1].directory, (sides[0].directory, sides[1].directory))
    effects = [side.effect(case, logs) for side, logs in zip(sides, before, strict=True)]
    return list(zip(results, effects, strict=True))


def assert_same_files(theirs: Mapping[str, Path], ours: Mapping[str, Path]) -> None:
    """Files of the same names have the same in them."""
    assert ours.keys() == theirs.keys()
    for name, path in ours.items():
        assert differences(path, theirs[name]) == differences(theirs[name], path) == []


def assert_same(tool: str, case: Case, sides: tuple[Side, Side]) -> None:
    """Both do the same, but for what the case says."""
    with ExitStack() as stack:
        (theirs, their_effect), (ours, our_effect) = run_both(tool, case, sides, stack)
        assert ours.code == case.code, ours.output
        assert (theirs.code == 0) is (ours.code == 0 if case.theirs is None else case.theirs), theirs.output
        if case.code == MISUSED and case.theirs is None:
            assert our_effect == Effect()
        elif case.alike:
            if tool == "findscu" and case.printed:
                log = sides[0].directory / "tool.log"
                assert our_matches(ours.output) == their_matches(log.read_text() if log.exists() else theirs.output)
            assert_same_files(their_effect.written, our_effect.written)
            assert_same_files(their_effect.stored, our_effect.stored)
            assert our_effect.heard == their_effect.heard


@pytest.mark.parametrize("case", ECHOSCU, ids=identifier)
def test_echoscu(case: Case, sides: tuple[Side, Side]) -> None:
    assert_same("echoscu", case, sides)


@pytest.mark.parametrize("case", STORESCU, ids=identifier)
def test_storescu(case: Case, sides: tuple[Side, Side]) -> None:
    assert_same("storescu", case, sides)


@pytest.mark.parametrize("case", FINDSCU, ids=identifier)
def test_findscu(case: Case, sides: tuple[Side, Side]) -> None:
    assert_same("findscu", case, sides)


@pytest.mark.parametrize("case", GETSCU, ids=identifier)
def test_getscu(case: Case, sides: tuple[Side, Side]) -> None:
    assert_same("getscu", case, sides)


@pytest.mark.parametrize("case", MOVESCU, ids=identifier)
def test_movescu(case: Case, sides: tuple[Side, Side]) -> None:
    assert_same("movescu", case, sides)


@pytest.mark.parametrize("case", TERMSCU, ids=identifier)
def test_termscu(case: Case, sides: tuple[Side, Side]) -> None:
    assert_same("termscu", case, sides)

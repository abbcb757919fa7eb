"""The tools, their arguments and their options: the one table from which parser and help are made.

The spellings are those of the classic toolkit. Every option has a long spelling, `--name`, which stands last.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from dicomio import sop
from dicomio.cli import values
from dicomio.tls import Profile

__all__ = ["ARGUMENTS", "OPTIONS", "TOOLS", "Argument", "Option", "Tool", "arguments_of", "options_of"]

Convert: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Tool:
    """One subcommand.

    Args:
        name: of the subcommand.
        meaning: what it does, in a sentence.
        serves: it waits for peers, rather than going to one.
    """

    name: str
    meaning: str
    serves: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument.

    Args:
        name: as it stands in the usage.
        meaning: what it is for.
        tools: names of the tools that have it.
        repeat: how many there may be: `""` for one, `"?"`, `"+"` or `"*"`.
        convert: what makes a value of the text.
        default: the value where it is not given.
    """

    name: str
    meaning: str
    tools: tuple[str, ...]
    repeat: str = ""
    convert: Convert = str
    default: object = None


@dataclass(frozen=True, slots=True)
class Option:
    """An option.

    Args:
        spellings: every way to write it, the long one last.
        meaning: what it does.
        tools: names of the tools that have it.
        group: heading in the help.
        value: what its value is called; empty for an option without one.
        convert: what makes a value of the text.
        name: attribute that holds the value; options with the same one exclude each other, the last one given wins.
            By default the long spelling.
        const: the value that an option without a value stands for.
        default: the value where the option is not given.
        action: what argparse does, where that is not to store a value; `append` collects those of several options.
        words: how many words its value has.
    """

    spellings: tuple[str, ...]
    meaning: str
    tools: tuple[str, ...]
    group: str
    value: str = ""
    convert: Convert = str
    name: str = ""
    const: object = True
    default: object = None
    action: str = ""
    words: int = 1

    @property
    def long(self) -> str:
        """The long spelling."""
        return self.spellings[-1]

    @property
    def attribute(self) -> str:
        """The attribute that holds the value."""
        return self.name or self.long.removeprefix("--").replace("-", "_")


TOOLS: Final = (
    Tool("echoscu", "Asks a peer for a sign of life (C-ECHO) and prints the round-trip times."),
    Tool("storescu", "Sends DICOM files to a peer (C-STORE)."),
    Tool("storescp", "Receives DICOM objects and writes them to files (Storage and Verification SCP).", serves=True),
    Tool("findscu", "Asks a peer for what matches a query (C-FIND) and prints the matches as they come."),
    Tool("movescu", "Has a peer send objects to a destination that it knows (C-MOVE)."),
    Tool("getscu", "Retrieves objects from a peer and writes them to files (C-GET)."),
    Tool("qrscp", "Keeps objects in an archive, to be queried and retrieved (Query/Retrieve SCP).", serves=True),
    Tool("serve", "Serves a dicomio.Application of yours.", serves=True),
    Tool("demo", "Stores a study in an archive of its own on this machine, finds it, gets it and compares every byte."),
)

ALL: Final = tuple(tool.name for tool in TOOLS)
STORE: Final = ("storescu",)
FIND: Final = ("findscu",)
MOVE: Final = ("movescu",)
RETRIEVE: Final = ("movescu", "getscu")
QUERIES: Final = (*FIND, *RETRIEVE)
REPEATED: Final = ("echoscu", "storescu")
SCUS: Final = (*REPEATED, *QUERIES)
SCP: Final = ("storescp",)
ARCHIVE: Final = ("qrscp",)
SERVE: Final = ("serve",)
SCPS: Final = (*SCP, *ARCHIVE, *SERVE)
NETWORK: Final = (*SCUS, *SCPS)

GENERAL: Final = "general options"
CONNECTION: Final = "network options"
INPUT: Final = "input options"
QUERY: Final = "query options"
SENDING: Final = "sending options"
SYNTAX: Final = "transfer syntax options"
OUTPUT: Final = "output options"
TESTING: Final = "options for testing peers"
EVENTS: Final = "event options"
IDENTITY: Final = "user identity options"
SECURITY: Final = "TLS options"

UNCOMPRESSED: Final = (sop.ExplicitVRLittleEndian, sop.ExplicitVRBigEndian, sop.ImplicitVRLittleEndian)

# Letter, long name, what it is, and the transfer syntax that comes before the uncompressed ones.
COMPRESSED: Final = (
    ("s", "lossless", "JPEG lossless", "1.2.840.10008.1.2.4.70"),
    ("y", "jpeg8", "JPEG lossy for 8 bit data", "1.2.840.10008.1.2.4.50"),
    ("x", "jpeg12", "JPEG lossy for 12 bit data", "1.2.840.10008.1.2.4.51"),
    ("v", "j2k-lossless", "JPEG 2000 lossless", "1.2.840.10008.1.2.4.90"),
    ("w", "j2k-lossy", "JPEG 2000 lossy", "1.2.840.10008.1.2.4.91"),
    ("t", "jls-lossless", "JPEG-LS lossless", "1.2.840.10008.1.2.4.80"),
    ("u", "jls-lossy", "JPEG-LS lossy", "1.2.840.10008.1.2.4.81"),
    ("m", "mpeg2", "MPEG2 Main Profile @ Main Level", "1.2.840.10008.1.2.4.100"),
    ("h", "mpeg2-high", "MPEG2 Main Profile @ High Level", "1.2.840.10008.1.2.4.101"),
    ("n", "mpeg4", "MPEG4 AVC/H.264 High Profile / Level 4.1", "1.2.840.10008.1.2.4.102"),
    ("l", "mpeg4-bd", "MPEG4 AVC/H.264 BD-compatible", "1.2.840.10008.1.2.4.103"),
    ("2", "mpeg4-2-2d", "MPEG4 AVC/H.264 High Profile / Level 4.2, 2D", "1.2.840.10008.1.2.4.104"),
    ("3", "mpeg4-2-3d", "MPEG4 AVC/H.264 High Profile / Level 4.2, 3D", "1.2.840.10008.1.2.4.105"),
    ("o", "mpeg4-2-st", "MPEG4 AVC/H.264 Stereo / Level 4.2", "1.2.840.10008.1.2.4.106"),
    ("4", "hevc", "HEVC/H.265 Main Profile / Level 5.1", "1.2.840.10008.1.2.4.107"),
    ("5", "hevc10", "HEVC/H.265 Main 10 Profile / Level 5.1", "1.2.840.10008.1.2.4.108"),
    ("r", "rle", "RLE lossless", "1.2.840.10008.1.2.5"),
    ("d", "deflated", "deflated Explicit VR Little Endian", "1.2.840.10008.1.2.1.99"),
)


def syntax_options(sign: str, verb: str, tool: str, implicit: str) -> Iterable[Option]:
    """The options that prefer a transfer syntax: `-x…` of a sender, `+x…` of a receiver."""
    explicit, big, little = UNCOMPRESSED
    choices = [
        ("=", f"{verb}-uncompr", f"{verb} uncompressed, Explicit VR Little Endian first", UNCOMPRESSED),
        ("e", f"{verb}-little", f"{verb} Explicit VR Little Endian", UNCOMPRESSED),
        ("b", f"{verb}-big", f"{verb} Explicit VR Big Endian", (big, explicit, little)),
        ("i", implicit, f"{verb} Implicit VR Little Endian only", (little,)),
    ]
    for letter, name, meaning, uid in COMPRESSED:
        choices.append((letter, f"{verb}-{name}", f"{verb} {meaning}", (uid, *UNCOMPRESSED)))
    for letter, name, meaning, syntaxes in choices:
        spellings = (f"{sign}x{letter}", f"--{name}")
        yield Option(spellings, meaning, (tool,), SYNTAX, name="transfer_syntaxes", const=syntaxes)


ARGUMENTS: Final = (
    Argument("HOST", "host name or IP address of the peer; not with --profile", SCUS, convert=values.host),
    Argument("PORT", "TCP port of the peer; not with --profile", SCUS, convert=values.port),
    Argument("PATH", "DICOM file, or directory with +sd", STORE, "+"),
    Argument("QUERYFILE", "DICOM file with the keys of a query; each is one operation", QUERIES, "*"),
    Argument(
        "PORT",
        "TCP port (11112), 0 for any that is free",
        (*SCP, *ARCHIVE),
        "?",
        convert=values.server_port,
        default=11112,
    ),
    Argument("APPLICATION", "MODULE:APP, where APP is a dicomio.Application", SERVE),
)

OPTIONS: Final = (
    Option(("-h", "--help"), "print this help and exit", ALL, GENERAL, action="help"),
    Option(("--version",), "print the version and exit", ALL, GENERAL, action="version"),
    Option(("-v", "--verbose"), "tell what is done", ALL, GENERAL, name="log_level", const="info"),
    Option(("-d", "--debug"), "tell everything", ALL, GENERAL, name="log_level", const="debug"),
    Option(("-q", "--quiet"), "tell neither warnings nor errors", ALL, GENERAL, name="log_level", const="quiet"),
    Option(
        ("-ll", "--log-level"),
        f"one of {', '.join(values.LOG_LEVELS)} (warn)",
        ALL,
        GENERAL,
        "LEVEL",
        values.log_level,
        default="warn",
    ),
    Option(("--json",), "print results as JSON lines", ALL, GENERAL, default=False),
    Option(("--no-progress",), "show no progress", (*SCUS, "demo"), GENERAL, default=False),
    Option(("-aet", "--aetitle"), "our AE title (the tool's name)", NETWORK, CONNECTION, "TITLE", values.ae_title),
    Option(
        ("-aec", "--call"),
        "AE title of the peer",
        SCUS,
        CONNECTION,
        "TITLE",
        values.ae_title,
        default="ANY-SCP",
    ),
    Option(
        ("--profile",),
        "the peer is this table of the file of peers, which gives HOST, PORT and what no option says otherwise",
        SCUS,
        CONNECTION,
        "NAME",
    ),
    Option(("--peers",), "the file of peers, in TOML (peers.toml)", SCUS, CONNECTION, "FILE"),
    Option(("-to", "--timeout"), "seconds to connect (30)", SCUS, CONNECTION, "SECONDS", values.seconds, default=30.0),
    Option(
        ("-ta", "--acse-timeout"),
        "seconds for opening and releasing an association (30)",
        NETWORK,
        CONNECTION,
        "SECONDS",
        values.seconds,
        default=30.0,
    ),
    Option(
        ("-td", "--dimse-timeout"),
        "seconds for a message of the peer (unlimited; storescp: 600)",
        NETWORK,
        CONNECTION,
        "SECONDS",
        values.seconds,
    ),
    Option(
        ("-pdu", "--max-pdu"),
        "longest PDU to receive in bytes, 0 for any (262144)",
        NETWORK,
        CONNECTION,
        "BYTES",
        values.max_pdu,
        default=262_144,
    ),
    Option(
        ("--window",),
        "operations to have outstanding; not negotiated by default",
        SCUS,
        CONNECTION,
        "NUMBER",
        values.count,
    ),
    Option(("--repeat",), "do it this often (1)", REPEATED, CONNECTION, "NUMBER", values.count, default=1),
    Option(("--abort",), "abort the association instead of releasing it", REPEATED, CONNECTION, default=False),
    Option(
        ("--port",),
        "TCP port (11112), 0 for any that is free",
        SERVE,
        CONNECTION,
        "NUMBER",
        values.server_port,
        default=11112,
    ),
    Option(
        ("--reload",),
        "begin anew when a .py file below the current directory changes; for development",
        SERVE,
        CONNECTION,
        default=False,
    ),
    Option(("--host",), "address to listen on (all)", SERVE, CONNECTION, "ADDRESS", values.host),
    Option(("--workers",), "processes that share the port (1)", SCPS, CONNECTION, "NUMBER", values.count, default=1),
    Option(
        ("--max-associations",),
        "associations at once; more are rejected (1000)",
        SCPS,
        CONNECTION,
        "NUMBER",
        values.count,
    ),
    Option(("--index",), "URL of the index (SQLite in the archive)", ARCHIVE, OUTPUT, "URL"),
    Option(
        ("--peer",),
        "where objects can be moved to and reports of storage commitment go: AET=HOST:PORT",
        ARCHIVE,
        CONNECTION,
        "PEER",
        values.destination,
        action="append",
    ),
    Option(
        ("--worklist",),
        "a folder of DICOM files, one for each scheduled procedure step",
        ARCHIVE,
        INPUT,
        "DIRECTORY",
    ),
    Option(("-usr", "--user"), "user name", SCUS, IDENTITY, "NAME"),
    Option(("-pwd", "--password"), "passcode of the user", SCUS, IDENTITY, "PASSCODE"),
    Option(("-epw", "--empty-password"), "an empty passcode", SCUS, IDENTITY, default=False),
    Option(("-kt", "--kerberos"), "file with a Kerberos ticket", SCUS, IDENTITY, "FILE"),
    Option(("--saml",), "file with a SAML assertion", SCUS, IDENTITY, "FILE"),
    Option(("--jwt",), "file with a JSON Web Token", SCUS, IDENTITY, "FILE"),
    Option(
        ("-rsp", "--pos-response"),
        "expect a positive response",
        SCUS,
        IDENTITY,
        name="positive_response",
        default=False,
    ),
    Option(
        ("+tls", "--enable-tls"),
        "speak TLS with this private key and certificate (PEM files)",
        NETWORK,
        SECURITY,
        "KEY CERTIFICATE",
        values.two,
        name="tls",
        words=2,
    ),
    Option(
        ("+tla", "--anonymous-tls"),
        "speak TLS without a certificate of our own",
        SCUS,
        SECURITY,
        default=False,
    ),
    Option(("+cf", "--add-cert-file"), "trust the certificates in a file", NETWORK, SECURITY, "FILE", action="append"),
    Option(
        ("+cd", "--add-cert-dir"),
        "trust the certificates in a directory",
        NETWORK,
        SECURITY,
        "DIRECTORY",
        action="append",
    ),
    Option(
        ("-rc", "--require-peer-cert"),
        "refuse peers without a certificate that is trusted (default)",
        NETWORK,
        SECURITY,
        name="peer_certificate",
        const="require",
    ),
    Option(
        ("-vc", "--verify-peer-cert"),
        "verify the certificate of a peer that has one",
        SCPS,
        SECURITY,
        name="peer_certificate",
        const="verify",
    ),
    Option(
        ("-ic", "--ignore-peer-cert"),
        "take no notice of the certificate of the peer",
        NETWORK,
        SECURITY,
        name="peer_certificate",
        const="ignore",
    ),
    Option(("+pw", "--use-passwd"), "password of the private key", NETWORK, SECURITY, "PASSWORD"),
    Option(("-pw", "--null-passwd"), "the private key has no password", NETWORK, SECURITY, default=False),
    *(
        Option(spellings, meaning, NETWORK, SECURITY, name="tls_profile", const=profile)
        for spellings, meaning, profile in (
            (("+py", "--profile-bcp195-nd"), "non-downgrading BCP 195 profile (default)", Profile.NON_DOWNGRADING),
            (("+px", "--profile-bcp195"), "BCP 195 profile", Profile.BCP_195),
            (("+pz", "--profile-bcp195-ex"), "extended BCP 195 profile", Profile.EXTENDED),
        )
    ),
    Option(("-pm", "--promiscuous"), "accept any SOP class, private ones too", SCP, CONNECTION, default=False),
    Option(
        ("-aem", "--move"),
        "AE title of the destination (our own)",
        MOVE,
        CONNECTION,
        "TITLE",
        values.ae_title,
        name="destination",
    ),
    Option(
        ("+P", "--port"),
        "TCP port to receive the objects on: we are the destination",
        MOVE,
        CONNECTION,
        "NUMBER",
        values.port,
        name="receiving_port",
    ),
    Option(("--cancel",), "cancel after so many answers or objects", QUERIES, CONNECTION, "NUMBER", values.count),
    Option(
        ("-k", "--key"),
        "key to match or to ask for, in place of what query files have: KEY[=VALUE], where KEY is a keyword, gggg,eeee "
        "or a path such as ScheduledProcedureStepSequence[0].Modality",
        QUERIES,
        QUERY,
        "KEY",
        values.key,
        action="append",
    ),
    Option(("-W", "--worklist"), "modality worklist", FIND, QUERY, name="model", const=sop.WORKLIST),
    Option(
        ("-P", "--patient"),
        "patient root (default at the level PATIENT)",
        QUERIES,
        QUERY,
        name="model",
        const=sop.PATIENT_ROOT,
    ),
    Option(("-S", "--study"), "study root (default)", QUERIES, QUERY, name="model", const=sop.STUDY_ROOT),
    Option(("-O", "--psonly"), "patient/study only", QUERIES, QUERY, name="model", const=sop.PATIENT_STUDY_ONLY),
    Option(
        ("-U", "--ups"),
        "unified procedure steps (UPS pull)",
        FIND,
        QUERY,
        name="model",
        const=sop.UnifiedProcedureStepPull,
    ),
    Option(("+sd", "--scan-directories"), "take the files of directories", STORE, INPUT, default=False),
    Option(("+r", "--recurse"), "and of the directories within them", STORE, INPUT, default=False),
    Option(("+sp", "--scan-pattern"), "of directories, only files with such names", STORE, INPUT, "GLOB"),
    Option(("-nh", "--no-halt"), "go on after a failure", STORE, SENDING, default=False),
    Option(("-R", "--required"), "propose only what the files need (always so)", STORE, SENDING, default=True),
    Option(("--jobs",), "associations at once (1)", STORE, SENDING, "NUMBER", values.count, default=1),
    *syntax_options("-", "propose", "storescu", "propose-implicit"),
    Option(
        ("+xa", "--accept-all"),
        "accept every transfer syntax, the peer's choice first (default)",
        SCP,
        SYNTAX,
        name="transfer_syntaxes",
        const=None,
    ),
    *syntax_options("+", "prefer", "storescp", "implicit"),
    Option(
        ("-od", "--output-directory"),
        "where files are written (here; demo: nowhere that stays; findscu: implies -X; qrscp: ./archive)",
        (*SCP, *ARCHIVE, *QUERIES, "demo"),
        OUTPUT,
        "DIRECTORY",
    ),
    Option(("-X", "--extract"), "write each match to a file, rsp0001.dcm and so on", FIND, OUTPUT, default=False),
    Option(
        ("+B", "--bit-preserving"),
        "write data sets exactly as received (default)",
        (*SCP, *RETRIEVE),
        OUTPUT,
        name="bit_preserving",
        default=True,
    ),
    Option(("-B", "--normal"), "decode and encode data sets anew", SCP, OUTPUT, name="bit_preserving", const=False),
    Option(
        ("-uf", "--default-filenames"),
        "name files by their SOP Instance UID (default)",
        SCP,
        OUTPUT,
        name="unique_filenames",
        const=False,
        default=False,
    ),
    Option(
        ("+uf", "--unique-filenames"),
        "give every file a name of its own",
        SCP,
        OUTPUT,
        name="unique_filenames",
    ),
    Option(
        ("-fe", "--filename-extension"),
        "what file names end in (.dcm)",
        SCP,
        OUTPUT,
        "EXTENSION",
        values.name_part,
        default=".dcm",
    ),
    Option(
        ("-ss", "--sort-conc-studies"),
        "a directory for each study: PREFIX and the time",
        SCP,
        OUTPUT,
        "PREFIX",
        values.name_part,
    ),
    Option(
        ("-su", "--sort-on-study-uid"),
        "a directory for each study: PREFIX and its UID",
        SCP,
        OUTPUT,
        "PREFIX",
        values.name_part,
    ),
    Option(
        ("-sp", "--sort-on-patientname"),
        "a directory for each study: the patient's name and the time",
        SCP,
        OUTPUT,
        default=False,
    ),
    Option(("--refuse",), "reject every association", SCP, TESTING, default=False),
    Option(("--reject",), "reject associations without an implementation class UID", SCP, TESTING, default=False),
    Option(("--ignore",), "receive, but write nothing", SCP, TESTING, default=False),
    Option(("--abort-after",), "abort after a data set, in place of the response", SCP, TESTING, default=False),
    Option(("--abort-during",), "abort while a data set arrives", SCP, TESTING, default=False),
    Option(
        ("--sleep-after",),
        "wait before each response",
        SCP,
        TESTING,
        "SECONDS",
        values.duration,
        default=0.0,
    ),
    Option(
        ("--sleep-during",),
        "wait before taking each data set",
        SCP,
        TESTING,
        "SECONDS",
        values.duration,
        default=0.0,
    ),
    Option(
        ("-xcr", "--exec-on-reception"),
        "command to run for each object; #p directory, #f file, #a calling and #c called AE title, #r address",
        SCP,
        EVENTS,
        "COMMAND",
    ),
    Option(
        ("-xcs", "--exec-on-eostudy"),
        "command to run when a study is complete: an object of another one came, or -tos passed; as -xcr, without #f",
        SCP,
        EVENTS,
        "COMMAND",
    ),
    Option(
        ("-tos", "--eostudy-timeout"),
        "seconds without an object after which a study is complete",
        SCP,
        EVENTS,
        "SECONDS",
        values.seconds,
    ),
)


def options_of(tool: str) -> list[Option]:
    """The options of a tool."""
    return [option for option in OPTIONS if tool in option.tools]


def arguments_of(tool: str) -> list[Argument]:
    """The positional arguments of a tool."""
    return [argument for argument in ARGUMENTS if tool in argument.tools]

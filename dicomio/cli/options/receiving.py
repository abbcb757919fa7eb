"""Tools that receive objects into files."""

from collections.abc import Iterable
from typing import Final

from dicomio.cli import values
from dicomio.cli.options.syntaxes import syntax_options
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import (
    CONNECTION,
    EVENTS,
    GENERAL,
    OUTPUT,
    REFUSED,
    SCP,
    STORESCU,
    SYNTAX,
    TESTING,
)
from dicomio.sop import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

__all__ = ["ARGUMENTS", "OPTIONS"]

STORESCP: Final = ("storescp",)
DCMRECV: Final = ("dcmrecv",)

# What `-xf` and its like are for.
CONFIGURED: Final = (*SCP, *STORESCU)

ARGUMENTS: Final[tuple[Argument, ...]] = ()

# The transfer syntaxes to write what comes uncompressed in; an empty text for the one it comes in.
WRITTEN: Final = (
    ("+t=", "--write-xfer-same", "write data sets in the transfer syntax they come in (default); implies -B", ""),
    ("+te", "--write-xfer-little", "write in Explicit VR Little Endian", ExplicitVRLittleEndian),
    ("+tb", "--write-xfer-big", "write in Explicit VR Big Endian", ExplicitVRBigEndian),
    ("+ti", "--write-xfer-implicit", "write in Implicit VR Little Endian", ImplicitVRLittleEndian),
    ("+td", "--write-xfer-deflated", "write in deflated Explicit VR Little Endian", DeflatedExplicitVRLittleEndian),
)

ONE_CONNECTION: Final = "all associations are served at once, in one process or in those of --workers"
RETIRED: Final = "the profile is retired, and nothing but TLS 1.2 and 1.3 is spoken"
CIPHERS: Final = "which ciphersuites there are is said by the profiles +py, +px and +pz"
SEED: Final = "the operating system has random numbers enough"
GROUP_LENGTHS: Final = "group lengths are retired (PS3.5 7.2): data sets that are encoded anew have none"


def refused(spellings: tuple[str, ...], reason: str, tools: tuple[str, ...] = SCP, value: str = "") -> Option:
    """An option of the classic toolkit that cannot mean anything here: who gives it is told why.

    Args:
        spellings: every way to write it, the long one last.
        reason: why.
        tools: names of the tools that know it.
        value: what its values are called, of however many words they are.
    """
    text = f"option {' or '.join(spellings)} is not for this tool: {reason}"
    return Option(
        spellings,
        reason,
        tools,
        REFUSED,
        value,
        lambda _: text,
        name="refused",
        const=text,
        words=len(value.split()) or 1,
    )


def naming_options() -> Iterable[Option]:
    """The options that say how files are named."""
    choices = (
        (("-uf", "--default-filenames"), "name files by SOP Instance UID: CT.1.2.3 (default)", STORESCP, "instance"),
        (("+uf", "--unique-filenames"), "name files by a UID of their own: CT.X.2.25.1", STORESCP, "new-uid"),
        (("-tn", "--timenames"), "name files by the time: 20260102030405678.CT", STORESCP, "millisecond"),
        (("+fd", "--default-filenames"), "name files by SOP Instance UID: CT.1.2.3 (default)", DCMRECV, "instance"),
        (("+fu", "--unique-filenames"), "name files by a UID of their own: CT.X.2.25.1", DCMRECV, "new-uid"),
        (("+fsu", "--short-unique-names"), "name files by chance: CT_0123456789abcdef", DCMRECV, "chance"),
        (("+fst", "--system-time-names"), "name files by the time: 20260102030405.678901.CT", DCMRECV, "microsecond"),
    )
    for spellings, meaning, tools, naming in choices:
        yield Option(spellings, meaning, tools, OUTPUT, name="names", const=naming, default="instance")


OPTIONS: Final = (
    Option(("+v", "--verbose-pc"), "with -v, tell presentation contexts too", SCP, GENERAL, default=False),
    # negotiation
    Option(
        ("-xf", "--config-file"),
        "negotiate as this profile of this file says (docs/configuration.md)",
        CONFIGURED,
        CONNECTION,
        "FILE PROFILE",
        values.two,
        words=2,
    ),
    Option(("--config",), "negotiate as a profile of this file says", CONFIGURED, CONNECTION, "FILE"),
    Option(("--config-profile",), "which profile of --config (default)", CONFIGURED, CONNECTION, "NAME"),
    Option(
        ("-pm", "--promiscuous"),
        "accept any SOP class, private ones too",
        STORESCP,
        CONNECTION,
        default=False,
    ),
    Option(
        ("-uca", "--use-called-aetitle"),
        "answer with the AE title that was called (always so: PS3.8 9.3.3)",
        DCMRECV,
        CONNECTION,
        default=False,
    ),
    Option(
        ("-up", "--uid-padding"),
        "take UIDs that are padded with spaces (always so)",
        STORESCP,
        CONNECTION,
        default=False,
    ),
    Option(("-dhl", "--disable-host-lookup"), "look up no host names (always so)", SCP, CONNECTION, default=False),
    Option(("-ac", "--access-full"), "take connections from any host (default)", STORESCP, CONNECTION, default=False),
    Option(
        ("--single-process",),
        "serve all associations in one process (default)",
        STORESCP,
        CONNECTION,
        name="workers",
        const=1,
    ),
    Option(
        ("-ts", "--socket-timeout"),
        "seconds for a peer to read what is sent, 0 for any time (30)",
        STORESCP,
        CONNECTION,
        "SECONDS",
        values.duration,
    ),
    Option(
        ("+xa", "--accept-all"),
        "accept every transfer syntax, the peer's choice first (default)",
        STORESCP,
        SYNTAX,
        name="transfer_syntaxes",
        const=None,
        default=(),
    ),
    *syntax_options("+", "prefer", "storescp", "implicit"),
    # what is written
    Option(
        ("+B", "--bit-preserving"),
        "write data sets exactly as received (default)",
        SCP,
        OUTPUT,
        name="bit_preserving",
    ),
    Option(("-B", "--normal"), "decode and encode data sets anew", SCP, OUTPUT, name="bit_preserving", const=False),
    Option(("+F", "--write-file"), "write DICOM files (default)", STORESCP, OUTPUT, name="header", default=True),
    Option(
        ("-F", "--write-dataset"),
        "write data sets without file meta information",
        STORESCP,
        OUTPUT,
        name="header",
        const=False,
    ),
    *(
        Option((short, long), meaning, STORESCP, OUTPUT, name="write_transfer_syntax", const=uid)
        for short, long, meaning, uid in WRITTEN
    ),
    Option(
        ("+e", "--length-explicit"),
        "write sequences and items with explicit lengths (default); implies -B",
        STORESCP,
        OUTPUT,
        name="undefined_lengths",
        const=False,
    ),
    Option(
        ("-e", "--length-undefined"),
        "write sequences and items with undefined lengths; implies -B",
        STORESCP,
        OUTPUT,
        name="undefined_lengths",
    ),
    Option(("-g", "--group-length-remove"), "write no group lengths (default); implies -B", STORESCP, OUTPUT),
    Option(
        ("-p", "--padding-off"),
        "write no data set trailing padding (default); implies -B",
        STORESCP,
        OUTPUT,
        name="padding",
        const=(),
    ),
    Option(
        ("+p", "--padding-create"),
        "pad the file, and each item, to multiples of so many bytes; implies -B",
        STORESCP,
        OUTPUT,
        "FILE-PAD ITEM-PAD",
        values.paddings,
        name="padding",
        words=2,
    ),
    Option(
        ("-uc", "--retain-un"),
        "leave elements of VR UN as they are (default); implies -B",
        STORESCP,
        OUTPUT,
        name="convert_un",
        const=False,
    ),
    Option(
        ("+uc", "--convert-un"),
        "give elements of VR UN the VR that the dictionary has; implies -B",
        STORESCP,
        OUTPUT,
        name="convert_un",
    ),
    Option(
        ("+cl", "--compression-level"),
        "of deflation, 0 to 9 (6); implies -B",
        STORESCP,
        OUTPUT,
        "NUMBER",
        values.compression_level,
    ),
    # where, and by which names
    Option(
        ("-s", "--no-subdir"),
        "write all files into one directory (default)",
        DCMRECV,
        OUTPUT,
        name="series_date_subdir",
        const=False,
        default=False,
    ),
    Option(
        ("+ssd", "--series-date-subdir"),
        "write into data/YEAR/MONTH/DAY by series date, or undef/YEARMONTHDAY",
        DCMRECV,
        OUTPUT,
    ),
    *naming_options(),
    Option(
        ("-fe", "--filename-extension"),
        "what file names end in (nothing)",
        SCP,
        OUTPUT,
        "EXTENSION",
        values.name_part,
        default="",
    ),
    Option(
        ("-ss", "--sort-conc-studies"),
        "a directory for each study: PREFIX and the time",
        STORESCP,
        OUTPUT,
        "PREFIX",
        lambda text: ("time", values.name_part(text)),
        name="sorting",
    ),
    Option(
        ("-su", "--sort-on-study-uid"),
        "a directory for each study: PREFIX and its UID",
        STORESCP,
        OUTPUT,
        "PREFIX",
        lambda text: ("uid", values.name_part(text)),
        name="sorting",
    ),
    Option(
        ("-sp", "--sort-on-patientname"),
        "a directory for each study: the patient's name and the time",
        STORESCP,
        OUTPUT,
        name="sorting",
        const=("patient", ""),
    ),
    # commands
    Option(
        ("-xcr", "--exec-on-reception"),
        "command to run for each object; #p directory, #f file, #a calling and #c called AE title, #r address",
        STORESCP,
        EVENTS,
        "COMMAND",
    ),
    Option(
        ("-xcs", "--exec-on-eostudy"),
        "command to run when a study is complete: an object of another one came, or -tos passed; as -xcr, without #f",
        STORESCP,
        EVENTS,
        "COMMAND",
    ),
    Option(
        ("-rns", "--rename-on-eostudy"),
        "when a study is complete, number its files: CT000001",
        STORESCP,
        EVENTS,
        default=False,
    ),
    Option(
        ("-tos", "--eostudy-timeout"),
        "seconds without an object after which a study is complete",
        STORESCP,
        EVENTS,
        "SECONDS",
        values.seconds,
    ),
    Option(
        ("-xs", "--exec-sync"),
        "run one command at a time, and respond to an object when its command has ended",
        STORESCP,
        EVENTS,
        default=False,
    ),
    # for testing peers
    Option(("--refuse",), "reject every association", STORESCP, TESTING, default=False),
    Option(("--reject",), "reject associations without an implementation class UID", STORESCP, TESTING, default=False),
    Option(("--ignore",), "receive, but write nothing", SCP, TESTING, default=False),
    Option(("--abort-after",), "abort after a data set, in place of the response", STORESCP, TESTING, default=False),
    Option(("--abort-during",), "abort while a data set arrives", STORESCP, TESTING, default=False),
    Option(
        ("--sleep-after",),
        "wait before each response",
        STORESCP,
        TESTING,
        "SECONDS",
        values.duration,
        default=0.0,
    ),
    Option(
        ("--sleep-during",),
        "wait before taking each data set",
        STORESCP,
        TESTING,
        "SECONDS",
        values.duration,
        default=0.0,
    ),
    # what the classic tools have beside
    refused(("--fork",), ONE_CONNECTION, STORESCP),
    refused(("-id", "--inetd"), "it listens itself, and systemd or a process manager keeps it running", STORESCP),
    refused(("+ac", "--access-control"), "a firewall, or `Access` of the library, says who may connect", STORESCP),
    refused(("--arguments",), "the arguments are taken as they are given; there are no files of them"),
    refused(("+u", "--enable-new-vr"), "VRs are written as they are, whichever standard has brought them", STORESCP),
    refused(("-u", "--disable-new-vr"), "UN and UT as OB would lose what they are", STORESCP),
    refused(("+g=", "--group-length-recalc"), GROUP_LENGTHS, STORESCP),
    refused(("+g", "--group-length-create"), GROUP_LENGTHS, STORESCP),
    refused(("-der", "--der-keys"), "keys and certificates are PEM files; openssl converts others"),
    refused(("+cra", "--enable-crl-all"), "lists of revoked certificates are looked at for that of the peer: +crl"),
    refused(("+pb", "--profile-basic"), RETIRED),
    refused(("+pa", "--profile-aes"), RETIRED),
    refused(("+pn", "--profile-null"), RETIRED),
    refused(("+cc", "--list-ciphers"), CIPHERS),
    refused(("+cs", "--cipher"), CIPHERS, value="NAME"),
    refused(("+dp", "--dhparam"), CIPHERS, value="FILE"),
    refused(("+rs", "--seed"), SEED, value="FILE"),
    refused(("+ws", "--write-seed"), SEED),
    refused(("+wf", "--write-seed-file"), SEED, value="FILE"),
)

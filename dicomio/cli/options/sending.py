"""Tools that send files."""

from typing import Final

from dicomio.cli import values
from dicomio.cli.decoders import list_decoders
from dicomio.cli.options.syntaxes import syntax_options
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import DCMSEND, GENERAL, INPUT, OUTPUT, SENDING, STORE, STORESCU

__all__ = ["ARGUMENTS", "OPTIONS"]

ARGUMENTS: Final = (Argument("PATH", "DICOM file, or directory with +sd", STORE, "+"),)

OPTIONS: Final = (
    Option(
        ("--list-decoders",),
        "list the transfer syntaxes that objects can be converted from, and exit",
        STORE,
        GENERAL,
        action="print",
        const=list_decoders,
    ),
    Option(("+v", "--verbose-pc"), "with -v, tell the presentation contexts, too", STORE, GENERAL, default=False),
    Option(
        ("+f", "--read-file"),
        "take files with and without file meta information (storescu: default)",
        STORE,
        INPUT,
        name="file_format",
        const="any",
    ),
    Option(
        ("+fo", "--read-file-only"),
        "only files with file meta information (dcmsend: default)",
        STORE,
        INPUT,
        name="file_format",
        const="file",
    ),
    Option(
        ("-f", "--read-dataset"),
        "only files without file meta information",
        STORE,
        INPUT,
        name="file_format",
        const="data set",
    ),
    Option(
        ("+rd", "--read-from-dicomdir"),
        "take the files that DICOMDIRs among the paths name",
        STORE,
        INPUT,
        default=False,
    ),
    Option(("+sd", "--scan-directories"), "take the files of directories", STORE, INPUT, default=False),
    Option(
        ("-r", "--no-recurse"),
        "but not of the directories within them (default)",
        STORE,
        INPUT,
        name="recurse",
        const=False,
    ),
    Option(("+r", "--recurse"), "and of the directories within them", STORE, INPUT, default=False),
    Option(("+sp", "--scan-pattern"), "of directories, only files with such names", STORE, INPUT, "GLOB"),
    Option(("-nh", "--no-halt"), "go on after a failure", STORE, SENDING, default=False),
    Option(("-R", "--required"), "propose only what the files need (always so)", STORESCU, SENDING, default=True),
    Option(("--jobs",), "associations at once (1)", STORESCU, SENDING, "NUMBER", values.count, default=1),
    *(
        Option((short, f"--decompress-{name}"), meaning, DCMSEND, SENDING, name="decompression", const=const)
        for short, name, meaning, const in (
            ("-dn", "never", "never decompress", "never"),
            ("+dls", "lossless", "decompress what is compressed without loss, if need be (default)", "lossless"),
            ("+dly", "lossy", "decompress whatever is compressed, if need be", "any"),
        )
    ),
    Option(
        ("-nip", "--no-illegal-proposal"),
        "refuse files for which Implicit VR Little Endian would not be proposed, too",
        DCMSEND,
        SENDING,
        default=False,
    ),
    Option(("-nuc", "--no-uid-checks"), "do not check the UIDs of files", DCMSEND, SENDING, default=False),
    Option(
        ("+ma", "--multi-associations"),
        "one association after the other, as many as are needed (default)",
        DCMSEND,
        SENDING,
        name="association",
        const="multi",
        default="multi",
    ),
    Option(
        ("-ma", "--single-association"),
        "one association; what it has no room for is not sent",
        DCMSEND,
        SENDING,
        name="association",
        const="single",
    ),
    Option(
        ("+crf", "--create-report-file"),
        "write a report on the transfer, unless it ends with an error",
        DCMSEND,
        OUTPUT,
        "FILE",
    ),
    *syntax_options("-", "propose", "storescu", "propose-implicit"),
)

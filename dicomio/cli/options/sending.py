"""Tools that send files."""

from typing import Final

from dicomio.cli import values
from dicomio.cli.options.syntaxes import syntax_options
from dicomio.cli.options.table import Argument, Option
from dicomio.cli.options.tools import INPUT, SENDING, STORE

__all__ = ["ARGUMENTS", "OPTIONS"]

ARGUMENTS: Final = (Argument("PATH", "DICOM file, or directory with +sd", STORE, "+"),)

OPTIONS: Final = (
    Option(("+sd", "--scan-directories"), "take the files of directories", STORE, INPUT, default=False),
    Option(("+r", "--recurse"), "and of the directories within them", STORE, INPUT, default=False),
    Option(("+sp", "--scan-pattern"), "of directories, only files with such names", STORE, INPUT, "GLOB"),
    Option(("-nh", "--no-halt"), "go on after a failure", STORE, SENDING, default=False),
    Option(("-R", "--required"), "propose only what the files need (always so)", STORE, SENDING, default=True),
    Option(("--jobs",), "associations at once (1)", STORE, SENDING, "NUMBER", values.count, default=1),
    *syntax_options("-", "propose", "storescu", "propose-implicit"),
)

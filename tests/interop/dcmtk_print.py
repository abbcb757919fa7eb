"""The programs of DCMTK that print, and that are printers; they have everything from a configuration file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.interop.processes import free_port, require, run, running

__all__ = ["PRINTER", "dcmprscp", "dcmprscu", "dcmpsprt"]

# Name of the section of the configuration file, and AE title.
PRINTER = "PRINTER"

CONFIGURATION = r"""
[[GENERAL]]
[APPLICATION]
LogDirectory = log
[PRINT]
Directory = spool
MinPrintResolution = 1\1
[DATABASE]
Directory = database
[LUT]
Directory = lut
[NETWORK]
Aetitle = DCMPSTATE
[[COMMUNICATION]]
[PRINTER]
Aetitle = PRINTER
Description = Printer
Hostname = localhost
Port = {port}
Type = {kind}
DisplayFormat = 1,1\1,2\2,2\2,3
FilmDestination = MAGAZINE\PROCESSOR
FilmSizeID = 8INX10IN\14INX17IN
MagnificationType = REPLICATE\BILINEAR\CUBIC\NONE
MaxDensity = 320
MinDensity = 20
MediumType = PAPER\BLUE FILM
ResolutionID = STANDARD\HIGH
BorderDensity = 150\BLACK
EmptyImageDensity = 20\BLACK
SmoothingType = NONE
SupportsTrim = true
Supports12Bit = true
PresentationLUTMatchRequired = false
SupportsPresentationLUT = true
"""


def configure(workdir: Path, port: int, kind: str, more: str = "") -> Path:
    """Writes a configuration file, and makes the directories that it names."""
    for name in ("log", "spool", "database", "lut"):
        (workdir / name).mkdir(parents=True)
    path = workdir / "dcmpstat.cfg"
    path.write_text(CONFIGURATION.format(port=port, kind=kind) + more)
    return path


@contextmanager
def dcmprscp(workdir: Path) -> Iterator[int]:
    """Runs the printer; gives its port. What it printed is in `database`: images HG_*, films SP_*."""
    require("dcmtk")
    port = free_port()
    configuration = configure(workdir, port, "LOCALPRINTER")
    argv = ["dcmprscp", "-v", "+d", "-c", str(configuration), "-p", PRINTER]
    with running(argv, [port], workdir / "dcmprscp.log", workdir):
        yield port


def dcmpsprt(workdir: Path, port: int, options: Sequence[str], images: Sequence[Path], more: str = "") -> list[Path]:
    """Makes a film of images, for the printer at a port; gives the Stored Print objects."""
    require("dcmtk")
    configuration = configure(workdir, port, "PRINTER", more=more)
    result = run(["dcmpsprt", "-v", "-c", configuration, "-p", PRINTER, "--nospool", *options, *images], workdir)
    assert result.code == 0, result.output
    return sorted((workdir / "database").glob("SP_*"))


def dcmprscu(workdir: Path, films: Sequence[Path], options: Sequence[str]) -> str:
    """Prints Stored Print objects, and gives what it has to say."""
    argv: list[str | Path] = ["dcmprscu", "-v", "+d", "-c", workdir / "dcmpstat.cfg", "-p", PRINTER, *options, *films]
    result = run(argv, workdir)
    assert result.code == 0, result.output
    return result.output

"""`dicomio dcmrecv`: receives objects and writes them to files, with less to say about how than `storescp`."""

from argparse import Namespace
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from dicomio import StoreRequest
from dicomio.cli.facts import Facts
from dicomio.cli.output import Output
from dicomio.cli.receiving import Receiver, publish
from dicomio.cli.serving import serve_application
from dicomio.threads import in_thread

__all__ = ["DcmRecv", "run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    return serve_application(DcmRecv(args, output).application(), args, output)


class DcmRecv(Receiver):
    """The receiver.

    Raises:
        UsageError: the command line asks for what cannot be done.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        super().__init__(args, output)
        if self.rewriting is not None:
            # as the classic tool does it, which has no option about lengths
            self.rewriting = replace(self.rewriting, undefined=True)
        self.sorted = args.series_date_subdir

    async def place(self, request: StoreRequest, facts: Facts, staged: Path, name: str) -> Path:
        """Gives the file its name, in the directory of its series' date where that is wanted."""
        directory = self.root / subdirectory(facts.series_date, date.today()) if self.sorted else self.root
        return await in_thread(publish, staged, directory / name)


def subdirectory(series_date: str, today: date) -> Path:
    """`data/2026/01/31` for a date; `undef/20260131`, by the date of today, for what is none.

    Args:
        series_date: Series Date (0008,0021), as it stands there.
        today: the date of today.
    """
    try:
        # "YYYYMMDD" (PS3.5 6.2); strptime alone would be content with fewer digits
        found = datetime.strptime(series_date, "%Y%m%d") if len(series_date) == 8 else None
    except ValueError:
        found = None
    if found is None:
        return Path("undef", f"{today:%Y%m%d}")
    return Path("data", f"{found.year:04}", f"{found:%m}", f"{found:%d}")

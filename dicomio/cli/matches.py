"""How matches are shown: as lines of text, as a table that grows on a terminal, or as DICOM JSON."""

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TypeAlias

from pydicom.dataset import Dataset
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dicomio.cli.grid import grid_lines
from dicomio.cli.keys import paths_of
from dicomio.cli.output import Output, printable

__all__ = ["Show", "record_of", "showing"]

Show: TypeAlias = Callable[[Dataset], None]

# Rows after which a new table begins: their number is bounded by the peer alone.
PAGE: Final = 500
# Lines of a terminal that are not rows of the growing table: its headings, and the line below.
MARGIN: Final = 6

ITEM: Final = re.compile(r"\[[0-9]+\]")
# Characters of a cell; the peer may send more than anybody reads.
LONGEST_CELL: Final = 500

# What every query and every match has, and nobody wants to see in a table.
NO_COLUMNS: Final = ("SpecificCharacterSet", "QueryRetrieveLevel")
SPECIFIC_CHARACTER_SET: Final = "00080005"


@contextmanager
def showing(output: Output, identifier: Dataset, *, live: bool) -> Iterator[Show]:
    """What shows the matches of a query while the block runs.

    Args:
        output: the voice of the tool.
        identifier: the query: a table has a column for each of its keys.
        live: let a table on a terminal grow, rather than show it at the end.
    """
    console = Console(file=sys.stdout)
    if output.json:
        yield lambda match: output.result("", record_of(match))
    elif console.is_terminal:
        table = MatchTable(columns_of(identifier), console)
        try:
            with growing(table, output) if live else nullcontext():
                yield table.add
        finally:
            table.finish()
    else:
        yield lambda match: output.paragraph([f"{path}={text}" for path, text in paths_of(match)] + [""])


# tables


class MatchTable:
    """The matches so far, or the latest of them.

    Args:
        columns: paths of the keys, without numbers of items.
        console: where it is shown.
    """

    def __init__(self, columns: Sequence[str], console: Console) -> None:
        self.columns = columns
        self.console = console
        self.rows: list[list[str]] = []
        self.count = 0

    def add(self, match: Dataset) -> None:
        """One match more."""
        cells = cells_of(match)
        self.columns = self.columns or list(cells) or [""]
        self.rows.append([within(cells, column) for column in self.columns])
        self.count += 1
        if len(self.rows) >= PAGE:
            self.finish()

    def finish(self) -> None:
        """Prints the rows there are; a new table begins."""
        rows, self.rows = self.rows, []
        if rows:
            self.console.out(self.text(rows), highlight=False)

    def text(self, rows: Sequence[Sequence[str]]) -> str:
        """A table of some of the rows."""
        # The last step of a path says enough.
        headings = [column.rpartition(".")[2] for column in self.columns]
        return "\n".join(grid_lines(headings, rows, self.console.width))

    def __rich__(self) -> Text:
        """As many of the latest rows as the terminal has lines for."""
        rows = self.rows[-max(1, self.console.height - MARGIN) :]
        table = f"{self.text(rows)}\n" if rows else ""
        return Text(f"{table}{self.count} matches so far", no_wrap=True, overflow="crop")


@contextmanager
def growing(table: MatchTable, output: Output) -> Iterator[None]:
    """Shows the latest rows of a table while the block runs."""
    with Live(table, console=table.console, transient=True, redirect_stdout=False, redirect_stderr=False):
        # Lines for the same terminal have to go where the table is not.
        with output.beside(table.console) if sys.stderr.isatty() else nullcontext():
            yield


def columns_of(identifier: Dataset) -> list[str]:
    """The columns for a query: its keys."""
    return [path for path in cells_of(identifier) if path not in NO_COLUMNS]


def cells_of(ds: Dataset) -> dict[str, str]:
    """What is to be shown of a data set, by path without numbers of items."""
    cells: dict[str, str] = {}
    for path, text in paths_of(ds):
        column = ITEM.sub("", path)
        cells[column] = f"{cells[column]}\n{printable(text)}" if column in cells else printable(text)
    return cells


def within(cells: Mapping[str, str], column: str) -> str:
    """What belongs into a column; for a sequence all that is in it."""
    text = cells.get(column)
    if text is None:
        text = "\n".join(text for path, text in cells.items() if path.startswith(f"{column}."))
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


# JSON


def record_of(match: Dataset) -> dict[str, Any]:
    """A match in the DICOM JSON model (PS3.18 F.2)."""
    record = match.to_json_dict(suppress_invalid_tags=True)
    if SPECIFIC_CHARACTER_SET in record:
        # PS3.18 F.2.2: the value there is what the JSON text is in.
        record[SPECIFIC_CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    finite: dict[str, Any] = representable(record)
    return finite


def representable(value: Any) -> Any:
    """A value without the numbers that JSON does not have: they are texts there (PS3.18 F.2.3)."""
    if isinstance(value, dict):
        return {name: representable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [representable(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value

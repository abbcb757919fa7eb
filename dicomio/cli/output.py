"""What the tools say: results on stdout, everything for humans on stderr."""

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from dicomio.cli.options import Tool

# Half of the time that the command itself takes to load; most runs print neither bars nor tables.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID
    from rich.table import Table

    from dicomio import StoreRequest

__all__ = ["Bar", "Output", "complain", "object_record", "printable"]

QUIET: Final = logging.CRITICAL + 10
LEVELS: Final = {
    "quiet": QUIET,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}

# Columns of a table that goes to a file or a pipe.
TABLE_WIDTH: Final = 140


def printable(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey: some of it comes from peers."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character == "\n" else ascii(character)[1:-1]
        for character in text
    )


def complain(tool: str, text: str) -> None:
    """Says on stderr why a tool does not run."""
    sys.stderr.write(f"{f'dicomio {tool}'.strip()}: {printable(text)}\n")


def object_record(request: "StoreRequest", path: Path | None = None) -> dict[str, object]:
    """What `--json` prints of an object that was received, and of the file that it is in."""
    record: dict[str, object] = {
        "sop_class_uid": request.sop_class_uid,
        "sop_instance_uid": request.sop_instance_uid,
        "transfer_syntax_uid": request.transfer_syntax,
        "peer": str(request.peer),
    }
    return {"path": str(path), **record} if path is not None else record


class Bar:
    """A progress bar over objects and their bytes, or nothing where nobody would see it."""

    def __init__(self, progress: "Progress | None", task: "TaskID | None") -> None:
        self.progress = progress
        self.task = task

    @property
    def visible(self) -> bool:
        """Whether there is anything to see."""
        return self.progress is not None

    def advance(self, size: int) -> None:
        """So many bytes more have been dealt with."""
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task, size)

    def reach(self, done: int, total: int) -> None:
        """So much has been dealt with, of so much that there is."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=done, total=total)

    def describe(self, text: str) -> None:
        """Says what is being dealt with."""
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, description=printable(text))


class Output(logging.Handler):
    """The voice of a tool. In a `with` block it is also where log records go.

    Args:
        tool: whose.
        level: name of the log level.
        json: print results as JSON lines.
        configured: log records go where `--log-config` says.

    Attributes:
        developing: whether to tell where errors come from, whatever the level.
    """

    def __init__(self, tool: Tool, level: str, *, json: bool = False, configured: bool = False) -> None:
        super().__init__()
        self.tool = tool
        self.threshold = LEVELS[level]
        self.json = json
        self.configured = configured
        self.developing = False
        self.console: Console | None = None
        self.before: dict[str, int] = {}

    def __enter__(self) -> Self:
        logging.captureWarnings(True)
        if self.configured:
            return self
        # What the library warns of is for who serves; who asks gets it as the error that ends the command.
        library = max(self.threshold, logging.WARNING if self.tool.serves else logging.ERROR)
        if self.threshold <= logging.INFO:
            library = self.threshold
        levels = {"": max(self.threshold, logging.WARNING), "dicomio": library, "dicomio.cli": self.threshold}
        # What pydicom thinks of values that peers send is for those who look closely.
        for name in ("py.warnings", "pydicom"):
            levels[name] = logging.WARNING if self.threshold <= logging.DEBUG else QUIET
        for name, level in levels.items():
            self.before[name] = logging.getLogger(name).level
            logging.getLogger(name).setLevel(level)
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        logging.captureWarnings(False)
        for name, level in self.before.items():
            logging.getLogger(name).setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a log record, with its traceback where that is to be told."""
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text += f": {type(error).__name__}: {error}"
        self.line(text)
        self.trace(error)

    # for humans

    def line(self, text: str) -> None:
        """One line on stderr."""
        if self.console is not None:
            self.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{printable(text)}\n")
            sys.stderr.flush()

    def say(self, text: str) -> None:
        """One line on stderr, unless nothing is to be said."""
        if self.threshold < QUIET:
            self.line(text)

    def error(self, text: str, error: BaseException | None = None) -> None:
        """Why the tool ends."""
        if self.configured:
            logging.getLogger("dicomio.cli").error(
                "dicomio %s: %s", self.tool.name, printable(text), exc_info=error if self.tracing else None
            )
            return
        self.say(f"dicomio {self.tool.name}: {text}")
        self.trace(error)

    @property
    def tracing(self) -> bool:
        """Whether to tell where errors come from."""
        return self.threshold <= logging.DEBUG or (self.developing and self.threshold < QUIET)

    def trace(self, error: BaseException | None) -> None:
        """Where an error comes from, when that is to be told."""
        if error is not None and self.tracing:
            for line in "".join(traceback.format_exception(error)).splitlines():
                self.line(f"  {line}")

    @contextmanager
    def bar(self, total: int | None, *, objects: bool = False, wanted: bool = True) -> Iterator[Bar]:
        """A progress bar while the block runs, where stderr is a terminal.

        Args:
            total: bytes there are, or objects; `None` where that is not known yet.
            objects: it counts objects.
            wanted: whether it was not switched off.
        """
        from rich import progress as bars
        from rich.console import Console

        console = Console(stderr=True)
        if not (wanted and console.is_terminal and self.threshold < QUIET):
            yield Bar(None, None)
            return
        columns: list[ProgressColumn] = [bars.TextColumn("{task.description}", markup=False), bars.BarColumn()]
        if objects:
            columns += [bars.MofNCompleteColumn(), bars.TimeElapsedColumn()]
        else:
            columns += [bars.DownloadColumn(), bars.TransferSpeedColumn()]
        with bars.Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
            with self.beside(console):
                yield Bar(progress, progress.add_task("", total=total))

    @contextmanager
    def beside(self, console: "Console") -> Iterator[None]:
        """Writes lines above what is moving on a console while the block runs."""
        self.console = console
        try:
            yield
        finally:
            self.console = None

    # results

    def result(self, text: str, record: Mapping[str, object]) -> None:
        """One result on stdout: a line of text, or with `--json` the record; nothing where the text is empty."""
        if self.json:
            sys.stdout.write(f"{json.dumps(record)}\n")
            sys.stdout.flush()
        elif text:
            self.paragraph([text])

    def paragraph(self, lines: Iterable[str]) -> None:
        """Lines of text on stdout, for as long as somebody reads them."""
        sys.stdout.write("".join(f"{encodable(printable(line))}\n" for line in lines))
        sys.stdout.flush()

    def table(self, table: "Table") -> None:
        """A table on stdout."""
        from rich.console import Console

        console = Console(file=sys.stdout)
        if not console.is_terminal:
            console = Console(file=sys.stdout, width=TABLE_WIDTH)
        console.print(table)


def encodable(text: str) -> str:
    """The text without what stdout has no bytes for."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)

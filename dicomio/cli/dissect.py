"""`dicomio dissect`: the associations in a capture, in lines for people or for machines."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset

from dicomio.captures import (
    CaptureReader,
    Closed,
    Dissector,
    Event,
    Extractor,
    InvalidCapture,
    LiveCapture,
    Noted,
    Opened,
    all_of,
    event_record,
    lines_of,
    shown,
)
from dicomio.cli.errors import UsageError
from dicomio.cli.keys import paths_of
from dicomio.cli.output import Output

__all__ = ["run"]


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    if not args.live and args.file is None:
        raise UsageError("a FILE to read is missing, or --live")
    if not args.live and (args.seconds is not None or args.count is not None):
        raise UsageError("--seconds and --count are for --live")
    return Dissection(args, output).run()


class Dissection:
    """One run of the tool.

    Args:
        args: the command line.
        output: where the lines go.
    """

    def __init__(self, args: Namespace, output: Output) -> None:
        self.args = args
        self.output = output
        self.extractor = Extractor(Path(args.extract)) if args.extract is not None else None
        makers = [self.extractor] if self.extractor is not None else []
        shows = [shown(element_lines)] if args.data_sets else []
        self.dissector = Dissector(ports=frozenset(args.port or ()), sink=all_of([*makers, *shows]))
        self.closed = 0
        self.told = 0

    def run(self) -> int:
        """Reads all there is; returns the exit code."""
        if self.args.live:
            self.capture()
        else:
            self.read_file(self.args.file)
        self.tell(self.dissector.finish())
        if not self.dissector.associations:
            self.output.say("no association was found")
        missed = self.extractor.missed if self.extractor is not None else []
        for text in missed:
            self.output.error(text)
        return 1 if missed else 0

    def read_file(self, name: str) -> None:
        """Reads the file of this name, or standard input.

        Raises:
            UsageError: it cannot be read, or is no capture.
        """
        try:
            with nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as file:
                self.read(file)
        except InvalidCapture as error:
            raise UsageError(f"{name}: {error}") from error
        except OSError as error:
            if error.filename != name:
                raise
            raise UsageError(f"{name}: {error.strerror}") from error

    def read(self, file: BinaryIO) -> None:
        """Reads a file."""
        reader = CaptureReader(file)
        for packet in reader:
            self.tell(self.dissector.feed(packet))
        for quirk in reader.quirks:
            self.output.say(quirk)

    def capture(self) -> None:
        """Captures until it is enough, or somebody interrupts."""
        live = LiveCapture(self.args.file or "")
        with live, suppress(KeyboardInterrupt):
            self.output.line(f"capturing on {self.args.file or 'all interfaces'}")
            for packet in live.packets(self.args.seconds):
                if packet is not None:
                    self.tell(self.dissector.feed(packet))
                if self.args.count is not None and self.closed >= self.args.count:
                    break
        if live.dropped:
            self.output.say(f"{live.dropped} packets were lost, since they came too fast")

    def tell(self, events: Iterable[Event]) -> None:
        """Prints what happened."""
        for event in events:
            self.closed += isinstance(event, Closed)
            if self.output.json:
                self.output.result("", event_record(event))
            else:
                self.output.paragraph(self.lines(event))

    def lines(self, event: Event) -> Iterator[str]:
        """The lines of an event, after one that says of which association, where the last were of another one."""
        lines = lines_of(event, every_pdu=self.args.pdus)
        if isinstance(event, Noted):
            yield from lines
            return
        number = event.association.number
        for line in lines:
            if number != self.told and not isinstance(event, Opened):
                yield f"association {number}, continued:"
            self.told = number
            yield line


def element_lines(ds: Dataset) -> Iterator[str]:
    """A data set, element by element."""
    return (f"{path}={text}" for path, text in paths_of(ds))

"""Where the data sets of a capture go: into files, or into lines for people to read."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicomio.captures.dissector import DataSetStart, MakeSink
from dicomio.captures.side import Sink
from dicomio.datasets import decode, file_header, safe_name
from dicomio.errors import InvalidInstance
from dicomio.files import NewFile
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.wire.commands import CommandField

__all__ = ["Extractor", "all_of", "shown"]

# A data set that is longer is not shown.
LONGEST_SHOWN: Final = 16_777_216


class Extractor:
    """Writes the objects of C-STORE requests to a directory, as complete DICOM files (PS3.10).

    Use it as the `sink` of a `Dissector`. Writing blocks.

    Args:
        directory: where the files go; made when there is an object.

    Attributes:
        written: the files.
        missed: objects that were not written, and why, a sentence each.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.written: list[Path] = []
        self.missed: list[str] = []
        self.names: set[str] = set()

    def __call__(self, start: DataSetStart) -> Sink | None:
        """Where a data set goes: to a file if it is an object."""
        command = start.command
        if command.field != CommandField.C_STORE_RQ:
            return None
        if not start.transfer_syntax:
            return Missed(self, f"{command.affected_sop_instance_uid}: its transfer syntax is not in the capture")
        try:
            header = header_of(start)
        except InvalidInstance as error:
            return Missed(self, f"{command.affected_sop_instance_uid}: {error}")
        return ObjectFile(self, self.name_for(command.affected_sop_instance_uid or ""), header)

    def name_for(self, uid: str) -> str:
        """A name that no other object of the capture has."""
        stem = name = safe_name(uid)
        number = 1
        while name in self.names:
            number += 1
            name = f"{stem}-{number}"
        self.names.add(name)
        return f"{name}.dcm"


def header_of(start: DataSetStart) -> bytes:
    """What stands in front of the data set in a file."""
    receiver = "acceptor" if start.sender == "requestor" else "requestor"
    return file_header(
        sop_class_uid=start.command.affected_sop_class_uid or "",
        sop_instance_uid=start.command.affected_sop_instance_uid or "",
        transfer_syntax=start.transfer_syntax,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        sending_ae=start.association.ae_title(start.sender),
        receiving_ae=start.association.ae_title(receiver),
    )


class ObjectFile:
    """One object on its way to its file."""

    def __init__(self, extractor: Extractor, name: str, header: bytes) -> None:
        self.extractor = extractor
        self.header = header
        # Made first, for a directory that has a suffix would be taken for the name of the file.
        extractor.directory.mkdir(parents=True, exist_ok=True)
        self.file = NewFile(extractor.directory, name)

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Appends to the file."""
        header, self.header = self.header, b""
        self.file.write([header, *chunks] if header else chunks)

    def end(self, complete: bool) -> str:
        """Gives the file its name, or removes what there is of it."""
        if not complete:
            self.file.discard()
            text = f"{self.file.name}: the object is incomplete and was not written"
            self.extractor.missed.append(text)
            return text
        self.write([])
        self.file.publish()
        self.extractor.written.append(self.file.path)
        return f"written to {self.file.path}"


class Missed:
    """An object that cannot be written."""

    def __init__(self, extractor: Extractor, why: str) -> None:
        self.extractor = extractor
        self.why = why

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Drops it."""

    def end(self, complete: bool) -> str:
        """Says why."""
        text = f"not written: {self.why}"
        self.extractor.missed.append(text)
        return text


class Shown:
    """A data set that is shown when it is there."""

    def __init__(self, transfer_syntax: str, lines: Callable[[Dataset], Iterable[str]]) -> None:
        self.transfer_syntax = transfer_syntax
        self.lines = lines
        self.data = bytearray()
        self.length = 0

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Keeps it, unless it is too long."""
        for chunk in chunks:
            self.length += len(chunk)
            if self.length <= LONGEST_SHOWN:
                self.data += chunk

    def end(self, complete: bool) -> str:
        """The data set in lines, or why it cannot be shown."""
        if not complete:
            return "not shown: it is incomplete"
        if not self.transfer_syntax:
            return "not shown: its transfer syntax is not in the capture"
        if self.length > LONGEST_SHOWN:
            return f"not shown: it is longer than {LONGEST_SHOWN} bytes"
        try:
            return "\n".join(self.lines(decode(bytes(self.data), self.transfer_syntax)))
        except InvalidInstance as error:
            return f"not shown: {error}"


def shown(lines: Callable[[Dataset], Iterable[str]]) -> MakeSink:
    """A `sink` of a `Dissector` that shows every data set.

    Args:
        lines: makes lines of a data set.
    """
    return lambda start: Shown(start.transfer_syntax, lines)


class Both:
    """Several places for one data set."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = sinks

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Gives it to each."""
        for sink in self.sinks:
            sink.write(chunks)

    def end(self, complete: bool) -> str:
        """What each makes of it."""
        return "\n".join(sink.end(complete) for sink in self.sinks)


def all_of(makers: Sequence[MakeSink]) -> MakeSink:
    """A `sink` of a `Dissector` that gives each data set to several."""

    def make(start: DataSetStart) -> Sink | None:
        sinks = [sink for maker in makers if (sink := maker(start)) is not None]
        return Both(sinks) if sinks else None

    return make

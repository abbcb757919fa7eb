"""Plays one side of a recorded association to a live peer, and tells how that differs from the recorded one.

```python
replay = Replay.load("bug.pcapng")
async with replay.acceptor() as acceptor:            # be the server of the capture
    async with dicomio.connect(f"PACS@127.0.0.1:{acceptor.port}", contexts=[Verification]) as association:
        await association.echo()
assert acceptor.differences == []

differences = await replay.request("127.0.0.1", 11112)    # be the client of the capture
```
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Final, Self

from dicomio.captures.conversations import Connection, Connections, Listener
from dicomio.captures.dissector import TELLING, begins_association
from dicomio.captures.errors import InvalidCapture
from dicomio.captures.reading import CaptureReader
from dicomio.captures.reassembly import Piece
from dicomio.captures.records import PDU_NAMES, command_record, pdu_record
from dicomio.captures.side import DataSet, Message, PDUFrame, Side, SideEvent, Sink
from dicomio.config import Limits
from dicomio.wire.commands import Command
from dicomio.wire.pdus import HEADER, HEADER_LENGTH, PDUType

__all__ = ["Acceptor", "Recorded", "Replay"]

# Bytes of all associations that are replayed; they are kept in memory.
LONGEST: Final = 1_073_741_824
CHUNK: Final = 262_144
BILLION: Final = 1_000_000_000
# How long a peer may be silent where the capture has it say something, seconds.
PATIENCE: Final = 30.0
# How long one that had the last word waits for the other one to close the connection, seconds.
CLOSING: Final = 5.0
# Differences that are told of one association.
MOST_DIFFERENCES: Final = 1_000
# After these there is no association.
LAST_WORDS: Final = ("A-ASSOCIATE-RJ", "A-ABORT")
# What follows from other fields, and what is no part of the message.
DERIVED: Final = ("message", "command_field", "meaning", "category", "quirks")


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that is compared: a PDU other than P-DATA-TF, a command, or a data set.

    Args:
        name: what it is, in words.
        record: what it says.
    """

    name: str
    record: dict[str, Any]

    def differences(self, other: "Unit") -> Iterator[str]:
        """How another unit differs from this recorded one, as sentences."""
        if self.name != other.name:
            yield f"{other.name} came where {self.name} was recorded"
            return
        for path in dict.fromkeys([*self.record, *other.record]):
            before, now = self.record.get(path), other.record.get(path)
            if before != now:
                yield f"{self.name}: {path} is {now!r}, recorded was {before!r}"


class Digest:
    """A data set of which only length and hash are kept."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Takes its next bytes."""
        for chunk in chunks:
            self.hash.update(chunk)

    def end(self, complete: bool) -> str:
        """The hash, in hexadecimal digits."""
        return self.hash.hexdigest()


def digest(context_id: int, command: Command) -> Sink | None:
    """Data sets are compared by length and hash."""
    return Digest()


def units_of(events: Sequence[SideEvent]) -> Iterator[Unit]:
    """What of the events of one side is compared; how it was cut into P-DATA-TF is not."""
    for event in events:
        if isinstance(event, PDUFrame):
            if event.kind != PDUType.DATA_TF:
                yield Unit(PDU_NAMES[event.kind], leaves(pdu_record(event.pdu) if event.pdu is not None else {}))
        elif isinstance(event, Message):
            record = {"context_id": event.context_id, **command_record(event.command)}
            yield Unit(event.command.name, leaves(record))
        elif isinstance(event, DataSet):
            record = {"length": event.length, "sha256": event.outcome, "complete": event.complete}
            yield Unit(f"data set of {event.command.name}", record)
        elif not event.text.startswith("oddity"):
            yield Unit("trouble", {"text": event.text})


def leaves(record: dict[str, Any]) -> dict[str, Any]:
    """What is compared of a record."""
    return dict(flat({name: value for name, value in record.items() if name not in DERIVED}))


def flat(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a record, with the way there."""
    if isinstance(record, dict):
        for name, value in record.items():
            yield from flat(value, f"{path}.{name}" if path else name)
    elif isinstance(record, list):
        if not record:
            yield path, []
        for number, value in enumerate(record):
            yield from flat(value, f"{path}[{number}]")
    else:
        yield path, record


@dataclass(frozen=True, slots=True)
class Step:
    """A PDU that is sent when its time has come.

    Args:
        data: its bytes.
        heard: units of the other side that were complete before it.
        delay: nanoseconds since what came before it, from whichever side.
    """

    data: bytes
    heard: int
    delay: int


@dataclass(slots=True)
class Script:
    """What one side says, and what it hears meanwhile.

    Args:
        steps: what it sends, in order.
        units: what it hears, in order.
        last: whether it has the last word.
    """

    steps: list[Step] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    last: bool = False


class Recorded:
    """One association of a capture, as something to be played.

    Attributes:
        chunks: time in nanoseconds, side (0 for the requestor), bytes.
        whole: whether all of it is in the capture.
    """

    def __init__(self) -> None:
        self.chunks: list[tuple[int, int, bytes]] = []
        self.whole = True

    def script(self, role: int) -> Script:
        """What the requestor (0) or the acceptor (1) has to do.

        Raises:
            InvalidCapture: bytes are missing.
        """
        if not self.whole:
            raise InvalidCapture("the capture lacks bytes of the association, so it cannot be replayed")
        script = Script(last=self.chunks[-1][1] == role)
        other = Side(Limits(), digest)
        cutter = Cutter()
        before = self.chunks[0][0]
        for time, side, data in self.chunks:
            if side == role:
                for number, pdu in enumerate(cutter.feed(data)):
                    script.steps.append(Step(pdu, len(script.units), 0 if number else max(0, time - before)))
            else:
                script.units += units_of(other.feed(Piece(time, data)))
            before = time
        if cutter.rest:
            script.steps.append(Step(bytes(cutter.rest), len(script.units), 0))
        script.units += units_of(other.finish())
        return script


class Cutter:
    """Cuts bytes into PDUs by their lengths alone; what is no PDU stays in `rest`."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The PDUs that are whole now."""
        rest = self.rest
        rest += data
        at = 0
        while len(rest) - at >= HEADER_LENGTH:
            end = at + HEADER_LENGTH + HEADER.unpack_from(rest, at)[1]
            if end > len(rest):
                break
            yield bytes(rest[at:end])
            at = end
        del rest[:at]


class Library:
    """The associations of a capture while it is read."""

    def __init__(self) -> None:
        self.associations: list[Recorded] = []
        self.size = 0

    def listen(self, connection: Connection) -> Listener:
        """Keeps what is said on a connection."""
        return Keeper(self)


class Keeper:
    """Keeps what is said on one connection, if it is an association from its beginning on."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.recorded = Recorded()
        self.head = b""

    def arrived(self, side: int, piece: Piece) -> bool:
        """Keeps a piece; whether more is wanted."""
        recorded, library = self.recorded, self.library
        if piece.missing:
            recorded.whole = False
        if piece.data:
            recorded.chunks.append((piece.time, side, bytes(piece.data)))
        if len(self.head) < TELLING:
            self.head += bytes(piece.data[:TELLING])
            if side or not recorded.whole:
                return False
            if len(self.head) >= TELLING:
                if not begins_association(self.head, PDUType.ASSOCIATE_RQ):
                    return False
                library.associations.append(recorded)
        library.size += len(piece.data)
        if library.size > LONGEST:
            raise InvalidCapture(f"the associations have more than {LONGEST} bytes, too many to be replayed")
        return True

    def ended(self, time: int, how: str) -> None:
        """What was said is all there is to keep."""


class Player:
    """One association while it is played.

    Args:
        script: what is to be said and heard.
        reader: what the peer says.
        writer: what it gets.
        replay: how it is to be played.
    """

    def __init__(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replay: "Replay"
    ) -> None:
        self.script = script
        self.reader = reader
        self.writer = writer
        self.replay = replay
        self.heard = 0
        self.ended = False
        self.progress = asyncio.Event()
        self.differences: list[str] = []

    async def play(self) -> list[str]:
        """Says everything in its time; returns the differences."""
        hearing = asyncio.create_task(self.hear())
        try:
            await self.act()
        except OSError as error:
            self.differ(f"the connection fails: {error}")
        finally:
            self.writer.transport.abort() if self.ended else self.writer.close()
            hearing.cancel()
            await asyncio.wait([hearing])
            with suppress(OSError):
                await self.writer.wait_closed()
        return self.differences

    async def act(self) -> None:
        """Sends each step when what precedes it in the capture was heard."""
        for number, step in enumerate(self.script.steps):
            if not await self.listen_for(step.heard):
                self.differ(f"{len(self.script.steps) - number} PDUs were not sent")
                return
            if self.replay.timing and step.delay:
                await asyncio.sleep(step.delay / BILLION)
            self.writer.write(step.data)
            await self.writer.drain()
        await self.listen_for(len(self.script.units))
        if self.script.last:
            # Whoever hears the last word closes the connection; not all do.
            with suppress(TimeoutError):
                async with asyncio.timeout(min(CLOSING, self.replay.patience)):
                    await self.until(lambda: self.ended)

    async def listen_for(self, count: int) -> bool:
        """Waits until so many units were heard; whether they were."""
        try:
            async with asyncio.timeout(self.replay.patience):
                await self.until(lambda: self.heard >= count or self.ended)
        except TimeoutError:
            expected = self.script.units[self.heard].name
            self.differ(f"nothing came for {self.replay.patience:g} s where {expected} was recorded")
            return False
        if self.heard < count:
            self.differ(f"the peer closed the connection where {self.script.units[self.heard].name} was recorded")
            return False
        return True

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something is so that what is heard decides."""
        while not condition():
            self.progress.clear()
            await self.progress.wait()

    async def hear(self) -> None:
        """Compares what the peer says with what it said in the capture."""
        side = Side(Limits(), digest)
        try:
            while data := await self.reader.read(CHUNK):
                self.compare(side.feed(Piece(0, data)))
        except OSError as error:
            self.differ(f"the connection fails: {error}")
        finally:
            self.compare(side.finish())
            self.ended = True
            self.progress.set()

    def compare(self, events: Sequence[SideEvent]) -> None:
        """Takes what was heard."""
        for unit in units_of(events):
            if self.heard < len(self.script.units):
                expected = self.script.units[self.heard]
                for difference in expected.differences(unit):
                    self.differ(difference)
                if unit.name in LAST_WORDS and unit.name != expected.name:
                    # Nobody listens any more, whether or not the connection is closed.
                    self.ended = True
            else:
                self.differ(f"{unit.name} came where nothing more was recorded")
            self.heard += 1
        self.progress.set()

    def differ(self, text: str) -> None:
        """Notes a difference."""
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append(text)


class Acceptor:
    """Plays the acceptor of each association of a capture, one connection after the other.

    Attributes:
        port: where it listens.
        differences: how what requestors said differs from the capture, as sentences.
    """

    def __init__(self, replay: "Replay") -> None:
        self.replay = replay
        self.scripts = [recorded.script(1) for recorded in replay.associations]
        self.differences: list[str] = []
        self.port = 0
        self.begun = 0
        self.played = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.progress = asyncio.Event()

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Plays the next association."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        number, self.begun = self.begun, self.begun + 1
        try:
            if number >= len(self.scripts):
                self.differences.append(f"connection {number + 1} came where {len(self.scripts)} were recorded")
                writer.transport.abort()
            else:
                differences = await Player(self.scripts[number], reader, writer, self.replay).play()
                self.differences += named(differences, number, len(self.scripts))
        finally:
            self.played += 1
            self.tasks.discard(task)
            self.progress.set()

    async def wait_played(self) -> None:
        """Returns when every association of the capture has been played."""
        while self.played < len(self.scripts):
            self.progress.clear()
            await self.progress.wait()


def named(differences: Sequence[str], number: int, count: int) -> list[str]:
    """The differences, with the association they belong to where there are several."""
    return [f"association {number + 1}: {text}" if count > 1 else text for text in differences]


@dataclass(slots=True)
class Replay:
    """The associations of a capture, to be played to live peers byte for byte.

    Each PDU is sent when everything that preceded it in the capture was heard; what the peer says is compared with
    what is recorded: PDUs and commands field by field, data sets by length and hash, however they are cut into
    P-DATA-TF PDUs.

    Args:
        associations: in the order in which they began.
        timing: keep the delays of the capture.
        patience: seconds to wait for what the peer is to say.
    """

    associations: Sequence[Recorded]
    timing: bool = False
    patience: float = PATIENCE

    @classmethod
    def load(cls, path: str | PathLike[str], *, timing: bool = False, patience: float = PATIENCE) -> Self:
        """Reads a capture; this blocks.

        Args:
            path: a pcap or pcapng file.
            timing: keep the delays of the capture.
            patience: seconds to wait for what the peer is to say.

        Raises:
            InvalidCapture: it is no capture, or has no association from its beginning on.
            OSError: it cannot be read.
        """
        library = Library()
        connections = Connections(library.listen)
        with open(path, "rb") as file:
            for packet in CaptureReader(file):
                connections.feed(packet)
        connections.finish()
        if not library.associations:
            raise InvalidCapture("there is no association in the capture, or none whose beginning was captured")
        return cls(library.associations, timing, patience)

    @asynccontextmanager
    async def acceptor(self, host: str | None = "127.0.0.1", port: int = 0) -> AsyncIterator[Acceptor]:
        """Plays the acceptors' side while the block runs; leaving it waits for the connections under way.

        Args:
            host: address to listen on; `None` for all.
            port: port to listen on; 0 for any that is free.

        Raises:
            InvalidCapture: bytes of an association are missing.
            OSError: the port cannot be listened on.
        """
        acceptor = Acceptor(self)
        server = await asyncio.start_server(acceptor.accepted, host, port, limit=CHUNK)
        acceptor.port = server.sockets[0].getsockname()[1]
        try:
            yield acceptor
        except BaseException:
            for task in acceptor.tasks:
                task.cancel()
            raise
        finally:
            server.close()
            if acceptor.tasks:
                await asyncio.wait(acceptor.tasks)

    async def request(self, host: str, port: int) -> list[str]:
        """Plays the requestors' side, one association after the other.

        Args:
            host: of the acceptor.
            port: of the acceptor.

        Returns:
            How what it said differs from the capture, as sentences; nothing where all was the same.

        Raises:
            InvalidCapture: bytes of an association are missing.
            OSError: nobody answers there.
        """
        found: list[str] = []
        scripts = [recorded.script(0) for recorded in self.associations]
        for number, script in enumerate(scripts):
            reader, writer = await asyncio.open_connection(host, port, limit=CHUNK)
            found += named(await Player(script, reader, writer, self).play(), number, len(scripts))
        return found

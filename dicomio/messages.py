"""DIMSE messages out of the fragments that P-DATA-TF PDUs carry (PS3.7 6.3, PS3.8 Annex E)."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Protocol

from dicomio.errors import AbortReason, RemoteProtocolError
from dicomio.wire import commands
from dicomio.wire.commands import Command
from dicomio.wire.pdata import COMMAND, LAST, Fragment

__all__ = ["CommandReceived", "DataMissing", "DataReceived", "MessageAssembler", "MessageEvent"]

# A sentence may quote what the peer sent, so their number has to be bounded.
MOST_QUIRKS = 64
# Presentation-context-IDs are odd, but some peers propose even ones, 0 among them.
NO_CONTEXT = -1


@dataclass(slots=True)
class CommandReceived:
    """A whole command set; its data set follows as `DataReceived` where `command.has_data_set`."""

    context_id: int
    command: Command


@dataclass(slots=True)
class DataReceived:
    """A piece of the data set that belongs to the last command; the views are valid until the next bytes are fed."""

    context_id: int
    chunks: list[memoryview]
    last: bool


@dataclass(slots=True)
class DataMissing:
    """The peer announced a data set and began its next message without sending one."""

    context_id: int


MessageEvent = CommandReceived | DataReceived | DataMissing


class MessageEvents(Protocol):
    """Where events go: a list of them, or of more kinds."""

    def append(self, event: MessageEvent, /) -> None: ...


class MessageAssembler:
    """Turns fragments into commands and pieces of data sets, in the order of the wire.

    Args:
        longest_command: bytes a command set may have.
        strict: refuse what is tolerated otherwise.
        quirks: gets a sentence for each deviation that was tolerated.
    """

    __slots__ = (
        "awaiting",
        "command",
        "command_context",
        "contexts",
        "longest_command",
        "quirks",
        "repeated",
        "started",
        "strict",
    )

    def __init__(self, longest_command: int, *, strict: bool, quirks: list[str]) -> None:
        self.longest_command = longest_command
        self.strict = strict
        self.quirks = quirks
        self.contexts: Container[int] = ()
        self.command = bytearray()
        # The last response with a data set: those to a query have the same command set again and again.
        self.repeated: tuple[bytes, Command | None] = b"", None
        self.command_context = NO_CONTEXT
        self.awaiting = NO_CONTEXT
        self.started = False

    @property
    def idle(self) -> bool:
        """Whether the last message is complete, so that nothing of the next one has been seen."""
        return self.awaiting == self.command_context == NO_CONTEXT

    def feed(self, fragments: Iterable[Fragment], events: MessageEvents) -> None:
        """Takes fragments in the order they arrived.

        Args:
            fragments: (context id, message control header, bytes) each.
            events: gets what they come to, up to the fragment that is refused.

        Raises:
            RemoteProtocolError: a fragment that fits no message.
        """
        chunks: list[memoryview] = []
        try:
            for context_id, control, view in fragments:
                if control & COMMAND:
                    if self.awaiting != NO_CONTEXT:
                        self.give_up_data(events)
                    self.take_command(context_id, control, view, events)
                elif context_id == self.awaiting:
                    self.started = True
                    # A peer may send any number of empty fragments, and each would be kept.
                    if view:
                        chunks.append(view)
                    if control & LAST:
                        events.append(DataReceived(context_id, chunks, True))
                        chunks = []
                        self.awaiting = NO_CONTEXT
                else:
                    self.take_stray(context_id)
        finally:
            if chunks:
                events.append(DataReceived(self.awaiting, chunks, False))

    def take_command(self, context_id: int, control: int, view: memoryview, events: MessageEvents) -> None:
        """Adds to the command set that is being received; on its last fragment decodes it."""
        if context_id not in self.contexts:
            raise RemoteProtocolError(
                f"command on presentation context {context_id}, which was not accepted",
                AbortReason.UNEXPECTED_PDU_PARAMETER,
            )
        if self.command_context not in (NO_CONTEXT, context_id):
            raise RemoteProtocolError(
                f"command continues on presentation context {context_id} after beginning on {self.command_context}",
                AbortReason.UNEXPECTED_PDU_PARAMETER,
            )
        if len(self.command) + len(view) > self.longest_command:
            raise RemoteProtocolError(f"command set longer than {self.longest_command} bytes")
        if not control & LAST:
            self.command_context = context_id
            self.command += view
            return
        whole = bytes(self.command) + view if self.command else bytes(view)
        self.command.clear()
        self.command_context = NO_CONTEXT
        command = self.decode(whole)
        events.append(CommandReceived(context_id, command))
        if command.has_data_set:
            self.awaiting, self.started = context_id, False

    def decode(self, whole: bytes) -> Command:
        """The command of an encoded command set; that of a response that comes again is the same object."""
        before, repeated = self.repeated
        if repeated is not None and whole == before:
            return repeated
        command = commands.decode(whole)
        if command.quirks:
            self.take_quirks(command)
        elif command.has_data_set and command.is_response:
            self.repeated = whole, command
        return command

    def take_quirks(self, command: Command) -> None:
        """Notes what was odd about a command set."""
        if self.strict:
            raise RemoteProtocolError(f"peer sent a {command.name} with a defect: {command.quirks[0]}")
        self.note(*command.quirks)

    def give_up_data(self, events: MessageEvents) -> None:
        """A command where a data set was due: tolerable only where none of the data set has been seen."""
        if self.started:
            raise RemoteProtocolError(
                "a command begins in the middle of a data set", AbortReason.UNEXPECTED_PDU_PARAMETER
            )
        self.tolerate("announced a data set and did not send it")
        events.append(DataMissing(self.awaiting))
        self.awaiting = NO_CONTEXT

    def take_stray(self, context_id: int) -> None:
        """Data that belongs to no announced data set: some peers send one with a response that says it has none."""
        if not self.idle or context_id not in self.contexts:
            raise RemoteProtocolError(
                f"data set fragment on presentation context {context_id} belongs to no command",
                AbortReason.UNEXPECTED_PDU_PARAMETER,
            )
        self.tolerate("sent a data set that its command did not announce")

    def tolerate(self, quirk: str) -> None:
        """Notes a deviation, or refuses it where we are strict."""
        if self.strict:
            raise RemoteProtocolError(f"peer {quirk}", AbortReason.UNEXPECTED_PDU_PARAMETER)
        self.note(quirk)

    def note(self, *quirks: str) -> None:
        """Adds to `quirks` what is new."""
        for quirk in quirks:
            if quirk not in self.quirks and len(self.quirks) < MOST_QUIRKS:
                self.quirks.append(quirk)

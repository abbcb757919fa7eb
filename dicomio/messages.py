"""DIMSE messages out of the fragments that P-DATA-TF PDUs carry (PS3.7 6.3, PS3.8 Annex E)."""

from collections.abc import Container
from dataclasses import dataclass

from dicomio.errors import AbortReason, RemoteProtocolError
from dicomio.wire import commands
from dicomio.wire.commands import Command
from dicomio.wire.pdata import COMMAND, LAST, Fragment

__all__ = ["CommandReceived", "DataMissing", "DataReceived", "MessageAssembler", "MessageEvent"]

# A sentence may quote what the peer sent, so their number has to be bounded.
MOST_QUIRKS = 64


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


class MessageAssembler:
    """Turns fragments into commands and pieces of data sets, in the order of the wire.

    Args:
        longest_command: bytes a command set may have.
        strict: refuse what is tolerated otherwise.
        quirks: gets a sentence for each deviation that was tolerated.
    """

    __slots__ = ("awaiting", "command", "command_context", "contexts", "longest_command", "quirks", "started", "strict")

    def __init__(self, longest_command: int, *, strict: bool, quirks: list[str]) -> None:
        self.longest_command = longest_command
        self.strict = strict
        self.quirks = quirks
        self.contexts: Container[int] = ()
        self.command = bytearray()
        self.command_context = 0
        self.awaiting = 0
        self.started = False

    @property
    def idle(self) -> bool:
        """Whether the last message is complete, so that nothing of the next one has been seen."""
        return not self.awaiting and not self.command_context

    def feed(self, fragments: list[Fragment]) -> list[MessageEvent]:
        """Takes fragments in the order they arrived.

        Raises:
            RemoteProtocolError: a fragment that fits no message.
        """
        events: list[MessageEvent] = []
        chunks: list[memoryview] = []
        for context_id, control, view in fragments:
            if control & COMMAND:
                if self.awaiting:
                    self.give_up_data(chunks, events)
                self.take_command(context_id, control, view, events)
            elif context_id == self.awaiting:
                chunks.append(view)
                self.started = True
                if control & LAST:
                    events.append(DataReceived(context_id, chunks, True))
                    chunks = []
                    self.awaiting = 0
            else:
                self.take_stray(context_id, view)
        if chunks:
            events.append(DataReceived(self.awaiting, chunks, False))
        return events

    def take_command(self, context_id: int, control: int, view: memoryview, events: list[MessageEvent]) -> None:
        """Adds to the command set that is being received; on its last fragment decodes it."""
        if context_id not in self.contexts:
            raise RemoteProtocolError(
                f"command on presentation context {context_id}, which was not accepted",
                AbortReason.UNEXPECTED_PDU_PARAMETER,
            )
        if self.command_context and context_id != self.command_context:
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
        self.command_context = 0
        command = commands.decode(whole)
        self.note(*command.quirks)
        events.append(CommandReceived(context_id, command))
        if command.has_data_set:
            self.awaiting, self.started = context_id, False

    def give_up_data(self, chunks: list[memoryview], events: list[MessageEvent]) -> None:
        """A command where a data set was due: tolerable only where none of the data set has been seen."""
        if self.started or chunks:
            raise RemoteProtocolError(
                "a command begins in the middle of a data set", AbortReason.UNEXPECTED_PDU_PARAMETER
            )
        self.tolerate("announced a data set and did not send it")
        events.append(DataMissing(self.awaiting))
        self.awaiting = 0

    def take_stray(self, context_id: int, view: memoryview) -> None:
        """Data that belongs to no announced data set: some peers send one with a response that says it has none."""
        if self.awaiting or self.command_context or context_id not in self.contexts:
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
        for quirk in quirks:
            if quirk not in self.quirks and len(self.quirks) < MOST_QUIRKS:
                self.quirks.append(quirk)

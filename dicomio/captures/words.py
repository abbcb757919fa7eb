"""What events say, in lines for people to read."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from dicomio.captures.dissector import Association, Closed, Event, Noted, Opened, Said
from dicomio.captures.records import BILLION, ELEMENT_NAMES, PDU_NAMES, command_record, pdu_record, tag_text, time_text
from dicomio.captures.side import DataSet, Message, PDUFrame
from dicomio.sop import name_of
from dicomio.wire import pdus
from dicomio.wire.commands import Command
from dicomio.wire.items import UserInformation
from dicomio.wire.pdata import COMMAND, LAST

__all__ = ["lines_of"]

INDENT: Final = " " * 17
ARROWS: Final[Mapping[str, str]] = {"requestor": "→", "acceptor": "←"}
# What of a command is in the first line already, or is there for machines.
ELSEWHERE: Final = ("message", "command_field", "status", "meaning", "category", "has_data_set", "unknown_elements")
PRIORITIES: Final[Mapping[int, str]] = {0: "medium", 1: "high", 2: "low"}
# PS3.7 Table D.3-14
IDENTITIES: Final[Mapping[int, str]] = {
    1: "user name",
    2: "user name and passcode",
    3: "Kerberos ticket",
    4: "SAML assertion",
    5: "JSON Web Token",
}


def lines_of(event: Event, *, every_pdu: bool = False) -> Iterator[str]:
    """The lines that tell of an event.

    Args:
        event: what happened.
        every_pdu: have lines for each P-DATA-TF too, not only for the messages in it.
    """
    if isinstance(event, Noted):
        yield f"note: {event.text}"
    elif isinstance(event, Opened):
        yield from opened_lines(event.association)
    elif isinstance(event, Closed):
        yield f"{stamp(event.association, event.time)}   {event.how}"
        yield ""
    else:
        lines = said_lines(event, every_pdu=every_pdu)
        first = next(lines, None)
        if first is not None:
            yield f"{stamp(event.association, event.what.time)} {ARROWS[event.sender]} {first}"
            yield from (f"{INDENT}{line}" for line in lines)


def stamp(association: Association, time: int) -> str:
    """Seconds since the beginning of the association."""
    return f"{(time - association.time) / BILLION:+13.6f}"


def opened_lines(association: Association) -> Iterator[str]:
    """Who asks whom, and when."""
    ends = f"{association.requestor} → {association.acceptor}"
    yield f"association {association.number}: {ends}, {time_text(association.time)}"
    if not association.begun:
        yield f"{INDENT}its A-ASSOCIATE-RQ is not in the capture: what follows is told as far as it can be"


def said_lines(said: Said, *, every_pdu: bool) -> Iterator[str]:
    """What one side said."""
    what = said.what
    if isinstance(what, PDUFrame):
        if what.kind != pdus.PDUType.DATA_TF or every_pdu:
            yield from pdu_lines(what)
    elif isinstance(what, Message):
        yield from message_lines(said, what)
    elif isinstance(what, DataSet):
        yield from data_set_lines(said.association, what)
    else:
        yield what.text


# PDUs


def pdu_lines(frame: PDUFrame) -> Iterator[str]:
    """Type and length of a PDU, and what it says."""
    title = f"{PDU_NAMES[frame.kind]}, {frame.length} bytes"
    pdu = frame.pdu
    if isinstance(pdu, pdus.AssociateRQ):
        yield f"{title}: {pdu.calling_ae_title} calls {pdu.called_ae_title}"
        yield from associate_lines(pdu)
    elif isinstance(pdu, pdus.AssociateAC):
        yield title
        yield from associate_lines(pdu)
    elif isinstance(pdu, pdus.AssociateRJ | pdus.Abort):
        record = pdu_record(pdu)
        numbers = ", ".join(f"{name} {value}" for name, value in record.items() if name != "meaning")
        yield f"{title}: {record['meaning']} ({numbers})"
    else:
        yield title
        for context_id, control, length in frame.values:
            kind = "command" if control & COMMAND else "data set"
            yield f"context {context_id}, {kind}{', last' if control & LAST else ''}: {length} bytes"


def associate_lines(pdu: pdus.AssociateRQ | pdus.AssociateAC) -> Iterator[str]:
    """Contexts and user information."""
    if pdu.application_context != pdus.APPLICATION_CONTEXT:
        yield f"application context {pdu.application_context or 'missing'}"
    if pdu.protocol_version != 1:
        yield f"protocol version {pdu.protocol_version}"
    record = pdu_record(pdu)
    for context in record["contexts"]:
        yield context_line(context)
    yield from user_lines(pdu.user)
    for item in record["unknown_items"]:
        yield f"unknown item {item}"
    for quirk in pdu.quirks:
        yield f"oddity: {quirk}"


def context_line(context: Mapping[str, Any]) -> str:
    """A presentation context, proposed or answered."""
    if "abstract_syntax" in context:
        syntaxes = ", ".join(name_of(uid) for uid in context["transfer_syntaxes"])
        return f"context {context['id']}: {name_of(context['abstract_syntax'])} in {syntaxes}"
    if context["result"] == 0:
        return f"context {context['id']}: accepted, {name_of(context['transfer_syntax'])}"
    return f"context {context['id']}: refused, {context['meaning']} ({context['result']})"


def user_lines(user: UserInformation) -> Iterator[str]:
    """User information items."""
    if user.maximum_length is not None:
        yield f"maximum length {user.maximum_length or 'unlimited'}"
    if user.implementation_class_uid is not None or user.implementation_version_name is not None:
        yield f"implementation {user.implementation_class_uid or '?'} {user.implementation_version_name or ''}".rstrip()
    if user.async_window is not None:
        window = user.async_window
        yield f"asynchronous operations window: {window.invoked} invoked, {window.performed} performed"
    for role in user.roles:
        yield f"role selection for {name_of(role.sop_class_uid)}: SCU {role.scu:d}, SCP {role.scp:d}"
    for extended in user.extended:
        yield f"extended negotiation for {name_of(extended.sop_class_uid)}: {extended.information.hex(' ')}"
    for common in user.common_extended:
        related = ", ".join(map(name_of, common.related)) or "nothing"
        service = name_of(common.service_class_uid)
        yield f"common extended negotiation for {name_of(common.sop_class_uid)}: {service}, related to {related}"
    if user.user_identity is not None:
        identity = user.user_identity
        yield f"user identity, not shown: {IDENTITIES.get(identity.type, f'type {identity.type}')}"
    if user.user_identity_response is not None:
        yield f"user identity is accepted, {len(user.user_identity_response)} bytes of response"
    for item in user.unknown:
        yield f"unknown sub-item 0x{item.type:02X}, {len(item.data)} bytes"


# messages


def status_in_words(record: Mapping[str, object]) -> str:
    """A status, its category, and what it means where that is more than the category."""
    words = f"{record['status']} {record['category']}"
    return words if record["meaning"] == record["category"] else f"{words}, {record['meaning']}"


def message_lines(said: Said, message: Message) -> Iterator[str]:
    """A command: its name and status, then its elements."""
    command = message.command
    abstract_syntax = said.association.contexts.get(message.context_id, ("", ""))[0]
    syntax = f" ({name_of(abstract_syntax)})" if abstract_syntax else ""
    after = f", after {said.after / 1_000_000:.3f} ms" if said.after is not None else ""
    record = command_record(command)
    status = f": {status_in_words(record)}" if command.status is not None else ""
    yield f"{command.name} on context {message.context_id}{syntax}{status}{after}"
    for name, value in record.items():
        if name == "quirks":
            continue
        if name not in ELSEWHERE:
            yield f"{ELEMENT_NAMES.get(name, name)}: {element_text(name, value)}"
    yield from (f"unknown element {tag_text(tag)}, {len(raw)} bytes" for tag, raw in command.unknown.items())


def element_text(name: str, value: Any) -> str:
    """A value of a command."""
    if name == "priority":
        return PRIORITIES.get(value, str(value))
    if name.endswith("sop_class_uid"):
        return name_of(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def data_set_lines(association: Association, data_set: DataSet) -> Iterator[str]:
    """How much there was of a data set, and what became of it."""
    syntax = association.contexts.get(data_set.context_id, ("", ""))[1]
    encoded = f", {name_of(syntax)}" if syntax else ""
    whole = "" if data_set.complete else ", incomplete"
    plural = "" if data_set.pdus == 1 else "s"
    name = title_of(data_set.command)
    yield f"data set of {name}: {data_set.length} bytes in {data_set.pdus} P-DATA-TF PDU{plural}{encoded}{whole}"
    if data_set.outcome:
        yield from data_set.outcome.splitlines()


def title_of(command: Command) -> str:
    """A message by name and Message ID."""
    number = command.message_id if command.is_request else command.responding_to
    return f"{command.name} {number}" if number is not None else command.name

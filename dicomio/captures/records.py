"""What events say, as dictionaries of texts and numbers: for JSON, and to compare one conversation with another."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from dicomio.captures.dissector import Association, Closed, Event, Noted, Opened, Said
from dicomio.captures.side import DataSet, Message, PDUFrame, SideEvent, Trouble
from dicomio.errors import AssociationAborted, AssociationRejected
from dicomio.status import Status
from dicomio.wire import pdus
from dicomio.wire.commands import ELEMENTS, Command
from dicomio.wire.items import PresentationContextAC, PresentationContextRQ, UserInformation
from dicomio.wire.pdata import COMMAND, LAST

__all__ = ["PDU_NAMES", "command_record", "event_record", "pdu_record", "time_text"]

Record: TypeAlias = dict[str, Any]

# PS3.8 9.3.1
PDU_NAMES: Final[Mapping[int, str]] = {
    1: "A-ASSOCIATE-RQ",
    2: "A-ASSOCIATE-AC",
    3: "A-ASSOCIATE-RJ",
    4: "P-DATA-TF",
    5: "A-RELEASE-RQ",
    6: "A-RELEASE-RP",
    7: "A-ABORT",
}

# PS3.8 Table 9-18
RESULTS: Final[Mapping[int, str]] = {
    0: "acceptance",
    1: "user-rejection",
    2: "no-reason",
    3: "abstract-syntax-not-supported",
    4: "transfer-syntaxes-not-supported",
}

BILLION: Final = 1_000_000_000
TAG_LISTS: Final = ("attribute_identifiers", "offending_elements")


def time_text(time: int) -> str:
    """Nanoseconds since 1970-01-01 UTC as ISO 8601 has them; as seconds where they are of no year people know."""
    seconds, fraction = divmod(time, BILLION)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{seconds}.{fraction:09} s"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def event_record(event: Event) -> Record:
    """An event as one object of JSON."""
    if isinstance(event, Opened):
        association = event.association
        return {
            "event": "association",
            **where(association, association.time),
            "requestor": str(association.requestor),
            "acceptor": str(association.acceptor),
            "begun": association.begun,
        }
    if isinstance(event, Closed):
        return {"event": "end", **where(event.association, event.time), "how": event.how}
    if isinstance(event, Noted):
        return {"event": "note", "time": time_text(event.time), "text": event.text}
    return said_record(event)


def where(association: Association, time: int) -> Record:
    """Which association, and when in it."""
    return {
        "association": association.number,
        "time": time_text(time),
        "offset": round((time - association.time) / BILLION, 9),
    }


def said_record(said: Said) -> Record:
    """What one side said."""
    kind, content = content_record(said.what)
    record = {"event": kind, **where(said.association, said.what.time), "sender": said.sender, **content}
    if isinstance(said.what, Message | DataSet):
        abstract_syntax, transfer_syntax = said.association.contexts.get(said.what.context_id, ("", ""))
        record |= {"abstract_syntax": abstract_syntax, "transfer_syntax": transfer_syntax}
    if said.after is not None:
        record["after"] = round(said.after / BILLION, 9)
    return record


def content_record(what: SideEvent) -> tuple[str, Record]:
    """What kind of event, and its contents."""
    if isinstance(what, PDUFrame):
        record = {"type": PDU_NAMES[what.kind], "length": what.length}
        if what.kind == pdus.PDUType.DATA_TF:
            record["values"] = [
                {
                    "context_id": context_id,
                    "command": bool(control & COMMAND),
                    "last": bool(control & LAST),
                    "length": n,
                }
                for context_id, control, n in what.values
            ]
        return "pdu", record | (pdu_record(what.pdu) if what.pdu is not None else {})
    if isinstance(what, Message):
        return "message", {"context_id": what.context_id, **command_record(what.command)}
    if isinstance(what, Trouble):
        return "note", {"text": what.text}
    return "data set", {
        "context_id": what.context_id,
        "message": what.command.name,
        "message_id": what.command.message_id if what.command.is_request else what.command.responding_to,
        "length": what.length,
        "pdus": what.pdus,
        "complete": what.complete,
        "outcome": what.outcome,
    }


# PDUs


def pdu_record(pdu: pdus.PDU) -> Record:
    """The fields of a PDU other than P-DATA-TF; of a user identity nothing that is secret."""
    if isinstance(pdu, pdus.AssociateRQ | pdus.AssociateAC):
        return {
            "called_ae_title": pdu.called_ae_title,
            "calling_ae_title": pdu.calling_ae_title,
            "protocol_version": pdu.protocol_version,
            "application_context": pdu.application_context,
            "contexts": [context_record(context) for context in pdu.contexts],
            **user_record(pdu.user),
            "unknown_items": [f"0x{item.type:02X}, {len(item.data)} bytes" for item in pdu.unknown],
            "quirks": list(pdu.quirks),
        }
    if isinstance(pdu, pdus.AssociateRJ):
        words = str(AssociationRejected(pdu.result, pdu.source, pdu.reason)).partition("association ")[2]
        return {
            "result": pdu.result,
            "source": pdu.source,
            "reason": pdu.reason,
            "meaning": words.partition(" (result")[0],
        }
    if isinstance(pdu, pdus.Abort):
        words = str(AssociationAborted(pdu.source, pdu.reason)).partition(": ")[2]
        return {"source": pdu.source, "reason": pdu.reason, "meaning": words.partition(" (source")[0]}
    return {}


def context_record(context: PresentationContextRQ | PresentationContextAC) -> Record:
    """A presentation context, proposed or answered."""
    if isinstance(context, PresentationContextRQ):
        return {
            "id": context.id,
            "abstract_syntax": context.abstract_syntax,
            "transfer_syntaxes": list(context.transfer_syntaxes),
        }
    return {
        "id": context.id,
        "result": context.result,
        "meaning": RESULTS.get(context.result, "unknown result"),
        "transfer_syntax": context.transfer_syntax,
    }


def user_record(user: UserInformation) -> Record:
    """User information, without items that are absent."""
    record: Record = {
        "maximum_length": user.maximum_length,
        "implementation_class_uid": user.implementation_class_uid,
        "implementation_version_name": user.implementation_version_name,
    }
    if user.async_window is not None:
        window = user.async_window
        record["async_operations_window"] = {"invoked": window.invoked, "performed": window.performed}
    if user.roles:
        record["roles"] = [
            {"sop_class_uid": role.sop_class_uid, "scu": role.scu, "scp": role.scp} for role in user.roles
        ]
    if user.extended:
        record["extended_negotiation"] = [
            {"sop_class_uid": item.sop_class_uid, "information": item.information.hex()} for item in user.extended
        ]
    if user.common_extended:
        record["common_extended_negotiation"] = [
            {
                "sop_class_uid": item.sop_class_uid,
                "service_class_uid": item.service_class_uid,
                "related": list(item.related),
            }
            for item in user.common_extended
        ]
    return record | identity_record(user)


def identity_record(user: UserInformation) -> Record:
    """That somebody identified himself, and how; not with what."""
    record: Record = {}
    if user.user_identity is not None:
        identity = user.user_identity
        record["user_identity"] = {
            "type": identity.type,
            "positive_response": identity.positive_response,
            "primary_bytes": len(identity.primary),
            "secondary_bytes": len(identity.secondary),
        }
    if user.user_identity_response is not None:
        record["user_identity_response_bytes"] = len(user.user_identity_response)
    if user.unknown:
        record["unknown_sub_items"] = [f"0x{item.type:02X}, {len(item.data)} bytes" for item in user.unknown]
    return record


# commands


def command_record(command: Command) -> Record:
    """The elements of a command set, by the names of `dicomio.wire.commands.Command`."""
    record: Record = {"message": command.name, "command_field": f"0x{command.field:04X}"}
    for each in fields(Command):
        value = getattr(command, each.name)
        if each.name in ("field", "unknown", "quirks") or value is None or value == ():
            continue
        record[each.name] = [tag_text(tag) for tag in value] if each.name in TAG_LISTS else value
    if command.status is not None:
        record["status"] = f"0x{command.status:04X}"
        record["meaning"] = Status(command.status).meaning
        record["category"] = Status(command.status).category
    if command.unknown:
        record["unknown_elements"] = {tag_text(tag): len(raw) for tag, raw in command.unknown.items()}
    if command.quirks:
        record["quirks"] = list(command.quirks)
    return record


def tag_text(tag: int) -> str:
    """A tag as the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


ELEMENT_NAMES: Final[Mapping[str, str]] = {element.attribute: element.name for element in ELEMENTS.values()}

"""The seven PDUs of the DICOM upper layer and their encoding (PS3.8 9.3)."""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias, TypeVar

from dicomio.errors import AbortReason, LocalProtocolError, RemoteProtocolError
from dicomio.wire.cursor import Cursor, Writer
from dicomio.wire.items import (
    ItemType,
    Notes,
    PresentationContextAC,
    PresentationContextRQ,
    UnknownItem,
    UserInformation,
    UserInformationReader,
    read_context_ac,
    read_context_rq,
    read_uid,
    user_information_length,
    write_context_ac,
    write_context_rq,
    write_uid,
    write_user_information,
)

__all__ = [
    "APPLICATION_CONTEXT",
    "HEADER",
    "HEADER_LENGTH",
    "PDU",
    "Abort",
    "AssociateAC",
    "AssociateRJ",
    "AssociateRQ",
    "DataTF",
    "PDUType",
    "PresentationDataValue",
    "ReleaseRP",
    "ReleaseRQ",
    "decode",
    "encode",
]

# PS3.7 A.2.1
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

# PDU-type, reserved, PDU-length: the first six bytes of every PDU
HEADER = struct.Struct(">BxL")
HEADER_LENGTH = HEADER.size

# Protocol-version, Called-AE-title, Calling-AE-title, and the reserved fields among them (PS3.8 Table 9-11)
ASSOCIATE = struct.Struct(">H2x16s16s32x")

# PS3.8 9.3.2 and PS3.5 6.2 (AE): characters of ISO 646 without backslash and control characters
AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
# What the field can carry, and an A-ASSOCIATE-AC returns to the peer that sent it
FIELD_AE_TITLE = re.compile(r"[\0-\xff]{0,16}")

ContextT = TypeVar("ContextT")


class PDUType(IntEnum):
    """PDU-type, the first byte of a PDU (PS3.8 9.3.1)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


@dataclass(frozen=True, slots=True)
class AssociateRQ:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Args:
        called_ae_title: the destination, 1 to 16 characters.
        calling_ae_title: the source, 1 to 16 characters.
        contexts: proposed presentation contexts.
        user: User Information.
        application_context: Application Context Name; empty when the peer left it out.
        protocol_version: 16 bits, of which only bit 0 is to be tested.
        unknown: items of other types.
        quirks: what was tolerated in decoding it, as sentences; not part of comparisons.
    """

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[PresentationContextRQ, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    unknown: tuple[UnknownItem, ...] = ()
    quirks: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class AssociateAC:
    """A-ASSOCIATE-AC (PS3.8 9.3.3).

    Args:
        called_ae_title: as in the A-ASSOCIATE-RQ; not to be tested when received.
        calling_ae_title: as in the A-ASSOCIATE-RQ; not to be tested when received.
        contexts: answers to the proposed presentation contexts.
        user: User Information.
        application_context: Application Context Name; empty when the peer left it out.
        protocol_version: 16 bits, of which only bit 0 is to be tested.
        unknown: items of other types.
        quirks: what was tolerated in decoding it, as sentences; not part of comparisons.
    """

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[PresentationContextAC, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    unknown: tuple[UnknownItem, ...] = ()
    quirks: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class AssociateRJ:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4); the values are those of `dicomio.AssociationRejected`, or as received.

    Args:
        result: 1 rejected-permanent, 2 rejected-transient.
        source: 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation).
        reason: Reason/Diag., by source (PS3.8 Table 9-21).
    """

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class PresentationDataValue:
    """Presentation Data Value Item of a P-DATA-TF (PS3.8 9.3.5.1, Annex E).

    Args:
        context_id: Presentation-context-ID.
        header: Message Control Header: bit 0 command, bit 1 last fragment.
        data: fragment of a command set or a data set.
    """

    context_id: int
    header: int
    data: bytes

    @property
    def is_command(self) -> bool:
        """The fragment belongs to a command set, not to a data set."""
        return bool(self.header & 0b01)

    @property
    def is_last(self) -> bool:
        """The fragment is the last of its command set or data set."""
        return bool(self.header & 0b10)


@dataclass(frozen=True, slots=True)
class DataTF:
    """P-DATA-TF (PS3.8 9.3.5)."""

    values: tuple[PresentationDataValue, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRQ:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""


@dataclass(frozen=True, slots=True)
class ReleaseRP:
    """A-RELEASE-RP (PS3.8 9.3.7)."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8); the values are those of `AbortSource` and `AbortReason`, or as received.

    Args:
        source: 0 service-user, 2 service-provider.
        reason: Reason/Diag., significant when the source is the service-provider (PS3.8 Table 9-26).
    """

    source: int
    reason: int


PDU: TypeAlias = AssociateRQ | AssociateAC | AssociateRJ | DataTF | ReleaseRQ | ReleaseRP | Abort


def encode(pdu: PDU) -> bytes:
    """Encodes a PDU with its header.

    Args:
        pdu: what to send; quirks of a received one are not sent.

    Raises:
        LocalProtocolError: it has values that the standard does not allow to send, or that do not fit their fields.
    """
    kind, write = WRITERS[type(pdu)]
    writer = Writer()
    writer.u8(kind)
    writer.u8(0)
    with writer.block32():
        write(writer, pdu)
    return bytes(writer.data)


def decode(pdu_type: int, body: bytes | memoryview, *, max_items: int = 8192) -> PDU:
    """Decodes a PDU. Whatever the input, it returns a PDU or raises `RemoteProtocolError`.

    Args:
        pdu_type: from the header.
        body: what follows the header; nothing of it is kept, so its memory may be used again.
        max_items: items, sub-items and list entries allowed in the PDU.

    Raises:
        RemoteProtocolError: the type is not defined, a field is missing, or a length overruns its container.
    """
    reader = READERS.get(pdu_type)
    if reader is None:
        raise RemoteProtocolError(f"PDU type 0x{pdu_type:02X} is not defined", AbortReason.UNRECOGNIZED_PDU)
    if pdu_type not in ASSOCIATE_TYPES or len(body) > MOST_REMEMBERED:
        return reader(Cursor(body), Notes(max_items))
    key = pdu_type, max_items, bytes(body)
    known = REMEMBERED.get(key)
    if known is not None:
        return known
    pdu = reader(Cursor(body), Notes(max_items))
    if isinstance(pdu, AssociateRQ | AssociateAC) and not has_secret(pdu):
        remember(key, pdu)
    return pdu


ASSOCIATE_TYPES = (0x01, 0x02)
# Peers propose the same for each of their associations. These are the last ones, and how long they may be, in bytes.
REMEMBERED: dict[tuple[int, int, bytes], PDU] = {}
# The same by identity.
KEPT: dict[int, PDU] = {}
MOST_REMEMBERED = 4096
REMEMBERED_AT_ONCE = 64


def has_secret(pdu: AssociateRQ | AssociateAC) -> bool:
    """Whether it may have a password or the like in it."""
    return pdu.user.user_identity is not None or pdu.user.user_identity_response is not None


def remember(key: tuple[int, int, bytes], pdu: PDU) -> None:
    """Keeps an A-ASSOCIATE PDU for when it comes again."""
    if len(REMEMBERED) >= REMEMBERED_AT_ONCE:
        # All at once, since another thread may do the same.
        oldest, *_ = list(REMEMBERED)
        KEPT.pop(id(REMEMBERED.pop(oldest, None)), None)
    if REMEMBERED.setdefault(key, pdu) is pdu:
        KEPT[id(pdu)] = pdu


def is_remembered(pdu: PDU) -> bool:
    """Whether the next PDU with the same bytes is decoded to this very object."""
    return KEPT.get(id(pdu)) is pdu


def read_associate_rq(body: Cursor, notes: Notes) -> AssociateRQ:
    """Decodes an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    version, called, calling = ASSOCIATE.unpack(body.take(ASSOCIATE.size))
    contexts, user, application_context, unknown = read_variable_items(
        body, notes, ItemType.PRESENTATION_CONTEXT_RQ, read_context_rq
    )
    note_duplicates([context.id for context in contexts], notes)
    if not contexts:
        notes.quirk("no presentation context proposed")
    if user.user_identity_response is not None:
        notes.quirk("user identity response in an A-ASSOCIATE-RQ")
    return AssociateRQ(
        called_ae_title=read_ae_title(called, "called", notes),
        calling_ae_title=read_ae_title(calling, "calling", notes),
        contexts=contexts,
        user=user,
        application_context=application_context,
        protocol_version=version,
        unknown=unknown,
        quirks=notes.quirks,
    )


def read_associate_ac(body: Cursor, notes: Notes) -> AssociateAC:
    """Decodes an A-ASSOCIATE-AC (PS3.8 9.3.3), whose AE titles are reserved fields and may be anything."""
    version, called, calling = ASSOCIATE.unpack(body.take(ASSOCIATE.size))
    contexts, user, application_context, unknown = read_variable_items(
        body, notes, ItemType.PRESENTATION_CONTEXT_AC, read_context_ac
    )
    note_duplicates([context.id for context in contexts], notes)
    if user.user_identity is not None or user.common_extended:
        notes.quirk("user identity or common extended negotiation in an A-ASSOCIATE-AC")
    return AssociateAC(
        called_ae_title=strip_ae_title(called),
        calling_ae_title=strip_ae_title(calling),
        contexts=contexts,
        user=user,
        application_context=application_context,
        protocol_version=version,
        unknown=unknown,
        quirks=notes.quirks,
    )


def read_variable_items(
    body: Cursor, notes: Notes, context_type: ItemType, read_context: Callable[[Cursor, Notes], ContextT]
) -> tuple[tuple[ContextT, ...], UserInformation, str, tuple[UnknownItem, ...]]:
    """Decodes the variable items of an A-ASSOCIATE PDU: contexts, user information, application context, others."""
    contexts: list[ContextT] = []
    application_contexts: list[str] = []
    unknown: list[UnknownItem] = []
    user_items = 0
    user = UserInformationReader(notes)
    while body.remaining:
        notes.count_item()
        kind, length = body.item_header()
        if kind == context_type:
            contexts.append(read_context(body.block(length), notes))
        elif kind == ItemType.USER_INFORMATION:
            user.read(body.block(user_information_length(body, length, notes)))
            user_items += 1
        elif kind == ItemType.APPLICATION_CONTEXT:
            application_contexts.append(read_uid(body.take(length), "application context name", notes))
        else:
            notes.quirk(f"unknown item 0x{kind:02X}")
            unknown.append(UnknownItem(kind, body.take(length)))
    note_unless_one(user_items, "user information", notes)
    note_unless_one(len(application_contexts), "application context", notes)
    information = user.result() if user_items else UserInformation()
    return tuple(contexts), information, next(reversed(application_contexts), ""), tuple(unknown)


def note_unless_one(count: int, what: str, notes: Notes) -> None:
    """Notes an item that must occur once and does not."""
    if count != 1:
        notes.quirk(f"{count} {what} items")


def note_duplicates(context_ids: list[int], notes: Notes) -> None:
    """Notes presentation contexts that share an ID."""
    if len(set(context_ids)) < len(context_ids):
        notes.quirk("presentation contexts with the same ID")


def strip_ae_title(raw: bytes) -> str:
    """Decodes an AE title; spaces around it and NUL behind it are padding."""
    return raw.rstrip(b"\0 ").lstrip(b" ").decode("latin-1")


def read_ae_title(raw: bytes, which: str, notes: Notes) -> str:
    """Decodes an AE title of an A-ASSOCIATE-RQ, noting what PS3.8 9.3.2 does not allow."""
    title = strip_ae_title(raw)
    if not title:
        notes.quirk(f"{which} AE title is empty")
    elif not AE_TITLE.fullmatch(title):
        notes.quirk(f"{which} AE title {title!a} has characters that no AE title has")
    if raw.endswith(b"\0"):
        notes.quirk(f"{which} AE title is padded with NUL")
    return title


def read_associate_rj(body: Cursor, notes: Notes) -> AssociateRJ:
    """Decodes an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    body.advance(1)
    return AssociateRJ(body.u8(), body.u8(), body.u8())


def read_data_tf(body: Cursor, notes: Notes) -> DataTF:
    """Decodes a P-DATA-TF (PS3.8 9.3.5)."""
    values: list[PresentationDataValue] = []
    while body.remaining or not values:
        notes.count_item()
        value = body.block(body.u32())
        values.append(PresentationDataValue(value.u8(), value.u8(), value.rest()))
    return DataTF(tuple(values))


def read_release_rq(body: Cursor, notes: Notes) -> ReleaseRQ:
    """Decodes an A-RELEASE-RQ (PS3.8 9.3.6)."""
    body.advance(4)
    return ReleaseRQ()


def read_release_rp(body: Cursor, notes: Notes) -> ReleaseRP:
    """Decodes an A-RELEASE-RP (PS3.8 9.3.7)."""
    body.advance(4)
    return ReleaseRP()


def read_abort(body: Cursor, notes: Notes) -> Abort:
    """Decodes an A-ABORT (PS3.8 9.3.8)."""
    body.advance(2)
    return Abort(body.u8(), body.u8())


def write_associate_rq(writer: Writer, pdu: AssociateRQ) -> None:
    """Encodes an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    for title in (pdu.called_ae_title, pdu.calling_ae_title):
        if not AE_TITLE.fullmatch(title) or title.isspace():
            raise LocalProtocolError(f"{title!a} is not an AE title: 1 to 16 characters of ASCII, without backslash")
    if not pdu.contexts or len({context.id for context in pdu.contexts}) < len(pdu.contexts):
        raise LocalProtocolError("an A-ASSOCIATE-RQ needs presentation contexts, each with an ID of its own")
    if pdu.user.user_identity_response is not None:
        raise LocalProtocolError("a user identity response does not belong in an A-ASSOCIATE-RQ")
    write_fixed_fields(writer, pdu)
    for context in pdu.contexts:
        write_context_rq(writer, context)
    write_user_information(writer, pdu.user)
    write_unknown_items(writer, pdu.unknown, ItemType.PRESENTATION_CONTEXT_RQ)


def write_associate_ac(writer: Writer, pdu: AssociateAC) -> None:
    """Encodes an A-ASSOCIATE-AC (PS3.8 9.3.3), in which AE titles and context IDs are those of the peer."""
    if pdu.user.user_identity is not None or pdu.user.common_extended:
        raise LocalProtocolError("a user identity and common extended negotiation do not belong in an A-ASSOCIATE-AC")
    write_fixed_fields(writer, pdu)
    for context in pdu.contexts:
        write_context_ac(writer, context)
    write_user_information(writer, pdu.user)
    write_unknown_items(writer, pdu.unknown, ItemType.PRESENTATION_CONTEXT_AC)


def write_fixed_fields(writer: Writer, pdu: AssociateRQ | AssociateAC) -> None:
    """Encodes what precedes the presentation contexts."""
    writer.u16(pdu.protocol_version)
    writer.write(bytes(2))
    writer.write(padded_ae_title(pdu.called_ae_title))
    writer.write(padded_ae_title(pdu.calling_ae_title))
    writer.write(bytes(32))
    write_uid(writer, ItemType.APPLICATION_CONTEXT, pdu.application_context)


def padded_ae_title(title: str) -> bytes:
    """Encodes an AE title, be it one that only a peer may have."""
    if not FIELD_AE_TITLE.fullmatch(title):
        raise LocalProtocolError(f"AE title {title!a} does not fit in 16 bytes of Latin-1")
    return title.encode("latin-1").ljust(16)


def write_unknown_items(writer: Writer, items: tuple[UnknownItem, ...], context_type: ItemType) -> None:
    """Encodes items whose types are not defined."""
    known = (ItemType.APPLICATION_CONTEXT, context_type, ItemType.USER_INFORMATION)
    for item in items:
        if item.type in known:
            raise LocalProtocolError(f"item 0x{item.type:02X} is not an unknown one")
        writer.whole_item(item.type, item.data)


def write_associate_rj(writer: Writer, pdu: AssociateRJ) -> None:
    """Encodes an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    writer.u8(0)
    writer.u8(pdu.result)
    writer.u8(pdu.source)
    writer.u8(pdu.reason)


def write_data_tf(writer: Writer, pdu: DataTF) -> None:
    """Encodes a P-DATA-TF (PS3.8 9.3.5)."""
    if not pdu.values:
        raise LocalProtocolError("a P-DATA-TF needs a presentation data value")
    for value in pdu.values:
        with writer.block32():
            writer.u8(value.context_id)
            writer.u8(value.header)
            writer.write(value.data)


def write_release(writer: Writer, pdu: ReleaseRQ | ReleaseRP) -> None:
    """Encodes an A-RELEASE-RQ or A-RELEASE-RP (PS3.8 9.3.6, 9.3.7)."""
    writer.write(bytes(4))


def write_abort(writer: Writer, pdu: Abort) -> None:
    """Encodes an A-ABORT (PS3.8 9.3.8)."""
    writer.write(bytes(2))
    writer.u8(pdu.source)
    writer.u8(pdu.reason)


READERS: Mapping[int, Callable[[Cursor, Notes], PDU]] = {
    PDUType.ASSOCIATE_RQ: read_associate_rq,
    PDUType.ASSOCIATE_AC: read_associate_ac,
    PDUType.ASSOCIATE_RJ: read_associate_rj,
    PDUType.DATA_TF: read_data_tf,
    PDUType.RELEASE_RQ: read_release_rq,
    PDUType.RELEASE_RP: read_release_rp,
    PDUType.ABORT: read_abort,
}

WRITERS: Mapping[type, tuple[PDUType, Callable[[Writer, Any], None]]] = {
    AssociateRQ: (PDUType.ASSOCIATE_RQ, write_associate_rq),
    AssociateAC: (PDUType.ASSOCIATE_AC, write_associate_ac),
    AssociateRJ: (PDUType.ASSOCIATE_RJ, write_associate_rj),
    DataTF: (PDUType.DATA_TF, write_data_tf),
    ReleaseRQ: (PDUType.RELEASE_RQ, write_release),
    ReleaseRP: (PDUType.RELEASE_RP, write_release),
    Abort: (PDUType.ABORT, write_abort),
}

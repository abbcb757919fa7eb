"""Items and sub-items of the A-ASSOCIATE PDUs (PS3.8 9.3.2, 9.3.3 and Annex D; PS3.7 Annex D)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from dicomio.errors import LocalProtocolError, RemoteProtocolError
from dicomio.wire.cursor import Cursor, Writer

__all__ = [
    "SENDABLE_UID",
    "AsyncOperationsWindow",
    "CommonExtendedNegotiation",
    "ExtendedNegotiation",
    "ItemType",
    "Notes",
    "PresentationContextAC",
    "PresentationContextRQ",
    "RoleSelection",
    "UnknownItem",
    "UserIdentityRQ",
    "UserInformation",
    "UserInformationReader",
    "read_context_ac",
    "read_context_rq",
    "read_uid",
    "user_information_length",
    "write_context_ac",
    "write_context_rq",
    "write_uid",
    "write_user_information",
]

# Oddities are noted for people to read: enough is enough.
MOST_QUIRKS = 64

# PS3.5 9.1: components of digits with dots between them, at most 64 characters in all
UID = re.compile(rb"[0-9.]{1,64}")
# Letters occur in UIDs of the field and are sent on as given; spaces and NUL would be taken for padding.
SENDABLE_UID = re.compile(r"[!-~]{1,64}")
# PS3.7 Table D.3-3: 1 to 16 characters of ISO 646; a space at the end would be taken for padding
VERSION_NAME = re.compile(r"[ -~]{0,15}[!-~]")


class ItemType(IntEnum):
    """Item-type, the first byte of an item or sub-item (PS3.8 9.3.2, 9.3.3, D.1; PS3.7 D.3.3)."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT_RQ = 0x20
    PRESENTATION_CONTEXT_AC = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ASYNC_OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    EXTENDED_NEGOTIATION = 0x56
    COMMON_EXTENDED_NEGOTIATION = 0x57
    USER_IDENTITY_RQ = 0x58
    USER_IDENTITY_AC = 0x59


@dataclass(frozen=True, slots=True)
class PresentationContextRQ:
    """Presentation Context Item 0x20 of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2).

    Args:
        id: Presentation-context-ID, odd, 1 to 255.
        abstract_syntax: SOP class UID; empty when the peer left it out.
        transfer_syntaxes: transfer syntax UIDs in the order of the item.
    """

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PresentationContextAC:
    """Presentation Context Item 0x21 of an A-ASSOCIATE-AC (PS3.8 9.3.3.2).

    Args:
        id: Presentation-context-ID of the proposal that is answered.
        result: 0 acceptance, 1 user-rejection, 2 no-reason, 3 abstract-syntax-not-supported,
            4 transfer-syntaxes-not-supported (PS3.8 Table 9-18); other values as received.
        transfer_syntax: transfer syntax UID, significant with result 0 only; empty when the peer left it out.
    """

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AsyncOperationsWindow:
    """Asynchronous Operations Window Sub-Item 0x53 (PS3.7 D.3.3.3).

    Args:
        invoked: Maximum-number-operations-invoked, 0 for unlimited.
        performed: Maximum-number-operations-performed, 0 for unlimited.
    """

    invoked: int
    performed: int


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU Role Selection Sub-Item 0x54 (PS3.7 D.3.3.4): the roles of the association-requestor.

    Args:
        sop_class_uid: the SOP class it is about.
        scu: the requestor may act as SCU.
        scp: the requestor may act as SCP.
    """

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP Class Extended Negotiation Sub-Item 0x56 (PS3.7 D.3.3.5).

    Args:
        sop_class_uid: the SOP class it is about.
        information: Service-class-application-information, as PS3.4 defines it for the service class.
    """

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP Class Common Extended Negotiation Sub-Item 0x57 of an A-ASSOCIATE-RQ (PS3.7 D.3.3.6).

    Args:
        sop_class_uid: the SOP class it is about.
        service_class_uid: the service class to which that belongs.
        related: related general SOP class UIDs.
    """

    sop_class_uid: str
    service_class_uid: str
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentityRQ:
    """User Identity Sub-Item 0x58 of an A-ASSOCIATE-RQ (PS3.7 D.3.3.7.1).

    Args:
        type: 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON Web Token.
        primary: user name, ticket, assertion or token; kept out of the `repr`.
        secondary: passcode, with type 2 only; kept out of the `repr`.
        positive_response: the requestor wants a User Identity Sub-Item in the answer.
    """

    type: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    positive_response: bool = False


@dataclass(frozen=True, slots=True)
class UnknownItem:
    """An item or sub-item of a type that PS3.8 and PS3.7 do not define in its place.

    Args:
        type: its Item-type, 0 to 255.
        data: what follows its Item-length.
    """

    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UserInformation:
    """User Information Item 0x50 (PS3.8 9.3.2.3): what its sub-items say, `None` for those that are absent.

    Args:
        maximum_length: longest P-DATA-TF variable field the sender receives, bytes, 0 for any (0x51, PS3.8 D.1).
        implementation_class_uid: 0x52 (PS3.7 D.3.3.2).
        implementation_version_name: 0x55, 1 to 16 characters (PS3.7 D.3.3.2).
        async_window: 0x53.
        roles: 0x54.
        extended: 0x56.
        common_extended: 0x57, in an A-ASSOCIATE-RQ only.
        user_identity: 0x58, in an A-ASSOCIATE-RQ only.
        user_identity_response: Server-response of 0x59, in an A-ASSOCIATE-AC only (PS3.7 D.3.3.7.2).
        unknown: sub-items of other types.
    """

    maximum_length: int | None = None
    implementation_class_uid: str | None = None
    implementation_version_name: str | None = None
    async_window: AsyncOperationsWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentityRQ | None = None
    user_identity_response: bytes | None = field(default=None, repr=False)
    unknown: tuple[UnknownItem, ...] = ()


class Notes:
    """What is kept while one PDU is decoded: the oddities tolerated, and how many items it may still contain.

    Args:
        max_items: items, sub-items and list entries allowed in the PDU.
    """

    __slots__ = ("items_left", "sentences")

    def __init__(self, max_items: int) -> None:
        self.items_left = max_items
        # A dict for its order and because the same sentence twice tells nothing new.
        self.sentences: dict[str, None] = {}

    @property
    def quirks(self) -> tuple[str, ...]:
        """The sentences noted."""
        return tuple(self.sentences)

    def quirk(self, sentence: str) -> None:
        """Notes what was tolerated."""
        if len(self.sentences) < MOST_QUIRKS:
            self.sentences[sentence] = None

    def count_item(self) -> None:
        """Takes one item off the allowance.

        Raises:
            RemoteProtocolError: the PDU contains more than are allowed.
        """
        if self.items_left <= 0:
            raise RemoteProtocolError("the PDU contains too many items")
        self.items_left -= 1


def user_information_length(cursor: Cursor, length: int, notes: Notes) -> int:
    """The length of the User Information Item whose contents begin here: all that is left, if its sub-items fill that.

    Args:
        cursor: stands in the PDU.
        length: what the item says, bytes.
        notes: takes the quirk.
    """
    # Where neither length fits, decoding the item fails: so it happens once in a PDU at most.
    remaining = cursor.remaining
    if length >= remaining or cursor.items_fill(length) or not cursor.items_fill(remaining):
        return length
    notes.quirk(f"User Information Item says {length} bytes where its sub-items take {remaining}")
    return remaining


def read_uid(raw: bytes, what: str, notes: Notes) -> str:
    """Decodes a UID as it came, without the padding that PS3.8 Annex F forbids.

    Args:
        raw: the field.
        what: its name, for the note of a quirk.
        notes: takes quirks.
    """
    if UID.fullmatch(raw):
        return raw.decode("ascii")
    bare = raw.rstrip(b"\0 ")
    uid = bare.decode("latin-1")
    if len(bare) < len(raw):
        notes.quirk(f"{what} is padded")
    if not bare:
        notes.quirk(f"{what} is empty")
    elif len(bare) > 64:
        notes.quirk(f"{what} is longer than 64 characters")
    elif not UID.fullmatch(bare):
        notes.quirk(f"{what} {uid!a} has characters that no UID has")
    return uid


def read_prefixed_uid(item: Cursor, what: str, notes: Notes) -> str:
    """Decodes a UID that stands behind its length in two bytes."""
    return read_uid(item.take(item.u16()), what, notes)


def read_context_rq(item: Cursor, notes: Notes) -> PresentationContextRQ:
    """Decodes the contents of a Presentation Context Item 0x20 (PS3.8 9.3.2.2)."""
    context_id = item.u8()
    item.advance(3)
    if context_id % 2 == 0:
        notes.quirk(f"presentation context ID {context_id} is even")
    abstract_syntaxes, transfer_syntaxes = read_syntaxes(item, notes)
    if len(abstract_syntaxes) != 1:
        notes.quirk(f"presentation context with {len(abstract_syntaxes)} abstract syntaxes proposed")
    if not transfer_syntaxes:
        notes.quirk("presentation context without transfer syntaxes proposed")
    return PresentationContextRQ(context_id, next(reversed(abstract_syntaxes), ""), tuple(transfer_syntaxes))


def read_context_ac(item: Cursor, notes: Notes) -> PresentationContextAC:
    """Decodes the contents of a Presentation Context Item 0x21 (PS3.8 9.3.3.2)."""
    context_id = item.u8()
    item.advance(1)
    result = item.u8()
    item.advance(1)
    abstract_syntaxes, transfer_syntaxes = read_syntaxes(item, notes)
    if abstract_syntaxes:
        notes.quirk("presentation context answered with an abstract syntax")
    if len(transfer_syntaxes) != 1:
        notes.quirk(f"presentation context answered with {len(transfer_syntaxes)} transfer syntaxes")
    if result > 4:
        notes.quirk(f"presentation context answered with result {result}")
    return PresentationContextAC(context_id, result, next(reversed(transfer_syntaxes), ""))


def read_syntaxes(item: Cursor, notes: Notes) -> tuple[list[str], list[str]]:
    """Decodes the sub-items of a presentation context: abstract syntaxes, and transfer syntaxes but for empty ones."""
    abstract_syntaxes: list[str] = []
    transfer_syntaxes: list[str] = []
    while item.remaining:
        notes.count_item()
        kind, length = item.item_header()
        raw = item.take(length)
        if kind == ItemType.TRANSFER_SYNTAX:
            if uid := read_uid(raw, "transfer syntax", notes):
                transfer_syntaxes.append(uid)
        elif kind == ItemType.ABSTRACT_SYNTAX:
            abstract_syntaxes.append(read_uid(raw, "abstract syntax", notes))
        else:
            notes.quirk(f"unknown sub-item 0x{kind:02X} in a presentation context")
    return abstract_syntaxes, transfer_syntaxes


def read_maximum_length(item: Cursor, notes: Notes) -> int:
    """Decodes the contents of a Maximum Length Sub-Item 0x51 (PS3.8 D.1)."""
    return item.u32()


def read_implementation_class_uid(item: Cursor, notes: Notes) -> str:
    """Decodes the contents of an Implementation Class UID Sub-Item 0x52 (PS3.7 D.3.3.2.1)."""
    return read_uid(item.rest(), "implementation class UID", notes)


def read_implementation_version_name(item: Cursor, notes: Notes) -> str:
    """Decodes the contents of an Implementation Version Name Sub-Item 0x55 (PS3.7 D.3.3.2.3)."""
    raw = item.rest()
    name = raw.rstrip(b"\0 ").decode("latin-1")
    if len(name) < len(raw):
        notes.quirk("implementation version name is padded")
    if not VERSION_NAME.fullmatch(name):
        notes.quirk("implementation version name is not 1 to 16 characters of ASCII")
    return name


def read_async_window(item: Cursor, notes: Notes) -> AsyncOperationsWindow:
    """Decodes the contents of an Asynchronous Operations Window Sub-Item 0x53 (PS3.7 D.3.3.3)."""
    return AsyncOperationsWindow(item.u16(), item.u16())


def read_role_selection(item: Cursor, notes: Notes) -> RoleSelection:
    """Decodes the contents of an SCP/SCU Role Selection Sub-Item 0x54 (PS3.7 D.3.3.4)."""
    uid = read_prefixed_uid(item, "SOP class UID of a role selection", notes)
    scu, scp = item.u8(), item.u8()
    if scu > 1 or scp > 1:
        notes.quirk("role selection with a role that is neither 0 nor 1")
    return RoleSelection(uid, bool(scu), bool(scp))


def read_extended_negotiation(item: Cursor, notes: Notes) -> ExtendedNegotiation:
    """Decodes the contents of a SOP Class Extended Negotiation Sub-Item 0x56 (PS3.7 D.3.3.5)."""
    uid = read_prefixed_uid(item, "SOP class UID of an extended negotiation", notes)
    information = item.rest()
    # Some peers put a length in front of the information. It cannot be told from information, so it stays.
    if len(information) > 2 and int.from_bytes(information[:2]) == len(information) - 2:
        notes.quirk("extended negotiation information seems to begin with its length")
    return ExtendedNegotiation(uid, information)


def read_common_extended_negotiation(item: Cursor, notes: Notes) -> CommonExtendedNegotiation:
    """Decodes the contents of a SOP Class Common Extended Negotiation Sub-Item 0x57 (PS3.7 D.3.3.6)."""
    sop_class_uid = read_prefixed_uid(item, "SOP class UID of a common extended negotiation", notes)
    service_class_uid = read_prefixed_uid(item, "service class UID", notes)
    related: list[str] = []
    entries = item.block(item.u16())
    while entries.remaining:
        notes.count_item()
        related.append(read_prefixed_uid(entries, "related general SOP class UID", notes))
    return CommonExtendedNegotiation(sop_class_uid, service_class_uid, tuple(related))


def read_user_identity_rq(item: Cursor, notes: Notes) -> UserIdentityRQ:
    """Decodes the contents of a User Identity Sub-Item 0x58 (PS3.7 D.3.3.7.1)."""
    kind = item.u8()
    positive_response = item.u8()
    primary = item.take(item.u16())
    secondary = item.take(item.u16())
    if not 1 <= kind <= 5:
        notes.quirk(f"user identity of type {kind}")
    if positive_response > 1:
        notes.quirk(f"user identity that asks for a response with {positive_response}")
    return UserIdentityRQ(kind, primary, secondary, bool(positive_response))


def read_user_identity_ac(item: Cursor, notes: Notes) -> bytes:
    """Decodes the contents of a User Identity Sub-Item 0x59 (PS3.7 D.3.3.7.2)."""
    return item.take(item.u16())


USER_SUB_ITEMS: Mapping[int, Callable[[Cursor, Notes], Any]] = {
    ItemType.MAXIMUM_LENGTH: read_maximum_length,
    ItemType.IMPLEMENTATION_CLASS_UID: read_implementation_class_uid,
    ItemType.ASYNC_OPERATIONS_WINDOW: read_async_window,
    ItemType.ROLE_SELECTION: read_role_selection,
    ItemType.IMPLEMENTATION_VERSION_NAME: read_implementation_version_name,
    ItemType.EXTENDED_NEGOTIATION: read_extended_negotiation,
    ItemType.COMMON_EXTENDED_NEGOTIATION: read_common_extended_negotiation,
    ItemType.USER_IDENTITY_RQ: read_user_identity_rq,
    ItemType.USER_IDENTITY_AC: read_user_identity_ac,
}


class UserInformationReader:
    """Collects the sub-items of the User Information Items of one PDU; there should be one such item."""

    __slots__ = ("found", "notes", "unknown")

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.found: dict[int, list[Any]] = {}
        self.unknown: list[UnknownItem] = []

    def read(self, item: Cursor) -> None:
        """Decodes the contents of a User Information Item 0x50 (PS3.8 9.3.2.3)."""
        while item.remaining:
            self.notes.count_item()
            kind, length = item.item_header()
            sub_item = item.block(length)
            reader = USER_SUB_ITEMS.get(kind)
            if reader is None:
                self.notes.quirk(f"unknown sub-item 0x{kind:02X} in the user information")
                self.unknown.append(UnknownItem(kind, sub_item.rest()))
                continue
            self.found.setdefault(kind, []).append(reader(sub_item, self.notes))
            if sub_item.remaining:
                self.notes.quirk(f"sub-item 0x{kind:02X} is too long")

    def required(self, kind: ItemType) -> Any:
        """The value of a sub-item that must be there, or `None`."""
        if kind not in self.found:
            self.notes.quirk(f"no sub-item 0x{kind:02X} in the user information")
        return self.optional(kind)

    def optional(self, kind: ItemType) -> Any:
        """The value of a sub-item that occurs once, the last where it occurs more often, or `None`."""
        values = self.found.get(kind, [])
        if len(values) > 1:
            self.notes.quirk(f"sub-item 0x{kind:02X} occurs {len(values)} times")
        return next(reversed(values), None)

    def repeated(self, kind: ItemType) -> tuple[Any, ...]:
        """The values of a sub-item that may occur any number of times."""
        return tuple(self.found.get(kind, ()))

    def result(self) -> UserInformation:
        """All that was collected."""
        return UserInformation(
            maximum_length=self.required(ItemType.MAXIMUM_LENGTH),
            implementation_class_uid=self.required(ItemType.IMPLEMENTATION_CLASS_UID),
            implementation_version_name=self.optional(ItemType.IMPLEMENTATION_VERSION_NAME),
            async_window=self.optional(ItemType.ASYNC_OPERATIONS_WINDOW),
            roles=self.repeated(ItemType.ROLE_SELECTION),
            extended=self.repeated(ItemType.EXTENDED_NEGOTIATION),
            common_extended=self.repeated(ItemType.COMMON_EXTENDED_NEGOTIATION),
            user_identity=self.optional(ItemType.USER_IDENTITY_RQ),
            user_identity_response=self.optional(ItemType.USER_IDENTITY_AC),
            unknown=tuple(self.unknown),
        )


def uid_bytes(uid: str) -> bytes:
    """Encodes a UID, unpadded even where its length is odd (PS3.8 Annex F).

    Raises:
        LocalProtocolError: it is empty, longer than 64 characters or not of printable ASCII.
    """
    if not SENDABLE_UID.fullmatch(uid):
        raise LocalProtocolError(f"{uid!a} is not a UID: 1 to 64 characters of ASCII are needed")
    return uid.encode("ascii")


def write_uid(writer: Writer, kind: int, uid: str) -> None:
    """Encodes an item that is a UID."""
    writer.whole_item(kind, uid_bytes(uid))


def write_prefixed(writer: Writer, data: bytes) -> None:
    """Encodes bytes behind their length in two bytes."""
    with writer.block16():
        writer.write(data)


def write_context_rq(writer: Writer, context: PresentationContextRQ) -> None:
    """Encodes a Presentation Context Item 0x20 (PS3.8 9.3.2.2)."""
    if context.id % 2 == 0 or not context.transfer_syntaxes:
        raise LocalProtocolError(f"{context} needs an odd ID and a transfer syntax")
    with writer.item(ItemType.PRESENTATION_CONTEXT_RQ):
        writer.u8(context.id)
        writer.write(bytes(3))
        write_uid(writer, ItemType.ABSTRACT_SYNTAX, context.abstract_syntax)
        for uid in context.transfer_syntaxes:
            write_uid(writer, ItemType.TRANSFER_SYNTAX, uid)


def write_context_ac(writer: Writer, context: PresentationContextAC) -> None:
    """Encodes a Presentation Context Item 0x21 (PS3.8 9.3.3.2); its ID is that of the proposal, whatever that was."""
    with writer.item(ItemType.PRESENTATION_CONTEXT_AC):
        writer.u8(context.id)
        writer.u8(0)
        writer.u8(context.result)
        writer.u8(0)
        # "When the Result/Reason field has a value other than acceptance (0), this field shall not be significant"
        if context.result and not context.transfer_syntax:
            writer.whole_item(ItemType.TRANSFER_SYNTAX, b"")
        else:
            write_uid(writer, ItemType.TRANSFER_SYNTAX, context.transfer_syntax)


def write_user_information(writer: Writer, user: UserInformation) -> None:
    """Encodes a User Information Item 0x50 (PS3.8 9.3.2.3), its sub-items in the order of their types."""
    with writer.item(ItemType.USER_INFORMATION):
        if user.maximum_length is not None:
            with writer.item(ItemType.MAXIMUM_LENGTH):
                writer.u32(user.maximum_length)
        if user.implementation_class_uid is not None:
            write_uid(writer, ItemType.IMPLEMENTATION_CLASS_UID, user.implementation_class_uid)
        if user.async_window is not None:
            with writer.item(ItemType.ASYNC_OPERATIONS_WINDOW):
                writer.u16(user.async_window.invoked)
                writer.u16(user.async_window.performed)
        for role in user.roles:
            write_role_selection(writer, role)
        if user.implementation_version_name is not None:
            write_implementation_version_name(writer, user.implementation_version_name)
        for extended in user.extended:
            write_extended_negotiation(writer, extended)
        for common_extended in user.common_extended:
            write_common_extended_negotiation(writer, common_extended)
        if user.user_identity is not None:
            write_user_identity_rq(writer, user.user_identity)
        if user.user_identity_response is not None:
            with writer.item(ItemType.USER_IDENTITY_AC):
                write_prefixed(writer, user.user_identity_response)
        for item in user.unknown:
            write_unknown_sub_item(writer, item)


def write_role_selection(writer: Writer, role: RoleSelection) -> None:
    """Encodes an SCP/SCU Role Selection Sub-Item 0x54 (PS3.7 D.3.3.4)."""
    with writer.item(ItemType.ROLE_SELECTION):
        write_prefixed(writer, uid_bytes(role.sop_class_uid))
        writer.u8(role.scu)
        writer.u8(role.scp)


def write_implementation_version_name(writer: Writer, name: str) -> None:
    """Encodes an Implementation Version Name Sub-Item 0x55 (PS3.7 D.3.3.2.3)."""
    if not VERSION_NAME.fullmatch(name):
        raise LocalProtocolError(f"implementation version name {name!a} is not 1 to 16 characters of ASCII")
    writer.whole_item(ItemType.IMPLEMENTATION_VERSION_NAME, name.encode("ascii"))


def write_extended_negotiation(writer: Writer, extended: ExtendedNegotiation) -> None:
    """Encodes a SOP Class Extended Negotiation Sub-Item 0x56 (PS3.7 D.3.3.5)."""
    with writer.item(ItemType.EXTENDED_NEGOTIATION):
        write_prefixed(writer, uid_bytes(extended.sop_class_uid))
        writer.write(extended.information)


def write_common_extended_negotiation(writer: Writer, extended: CommonExtendedNegotiation) -> None:
    """Encodes a SOP Class Common Extended Negotiation Sub-Item 0x57, version 0 (PS3.7 D.3.3.6)."""
    with writer.item(ItemType.COMMON_EXTENDED_NEGOTIATION):
        write_prefixed(writer, uid_bytes(extended.sop_class_uid))
        write_prefixed(writer, uid_bytes(extended.service_class_uid))
        with writer.block16():
            for uid in extended.related:
                write_prefixed(writer, uid_bytes(uid))


def write_user_identity_rq(writer: Writer, identity: UserIdentityRQ) -> None:
    """Encodes a User Identity Sub-Item 0x58 (PS3.7 D.3.3.7.1)."""
    with writer.item(ItemType.USER_IDENTITY_RQ):
        writer.u8(identity.type)
        writer.u8(identity.positive_response)
        write_prefixed(writer, identity.primary)
        write_prefixed(writer, identity.secondary)


def write_unknown_sub_item(writer: Writer, item: UnknownItem) -> None:
    """Encodes a sub-item of the user information whose type is not defined."""
    if item.type in USER_SUB_ITEMS:
        raise LocalProtocolError(f"sub-item 0x{item.type:02X} of the user information is not an unknown one")
    writer.whole_item(item.type, item.data)

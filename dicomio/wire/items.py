"""Items and sub-items of the A-ASSOCIATE PDUs (PS3.8 9.3.2, 9.3.3 and Annex D; PS3.7 Annex D)."""

from dataclasses import dataclass, field

__all__ = [
    "AsyncOperationsWindow",
    "CommonExtendedNegotiation",
    "ExtendedNegotiation",
    "PresentationContextAC",
    "PresentationContextRQ",
    "RoleSelection",
    "UnknownItem",
    "UserIdentityRQ",
    "UserInformation",
]


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

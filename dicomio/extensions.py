"""What associations can agree on beside presentation contexts: user identity, SOP class extended negotiation.

User identity is PS3.7 D.3.3.7; extended negotiation is PS3.7 D.3.3.5 with the contents of PS3.4 B.3.1 and C.5.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeAlias

from dicomio.sop import BY_SOP_CLASS
from dicomio.wire.items import UserIdentityRQ

__all__ = [
    "Extension",
    "Identity",
    "QueryExtension",
    "RetrieveExtension",
    "StorageExtension",
    "extension_bytes",
    "responder",
]

USERNAME, PASSCODE, KERBEROS, SAML, JWT = 1, 2, 3, 4, 5

# Bytes that have a meaning (PS3.4 Table C.5-2; C.5.2.1.2 and C.5.3.1.2).
QUERY_FLAGS, RETRIEVE_FLAGS = 7, 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks for an association (PS3.7 D.3.3.7); made by one of the class methods.

    Args:
        type: 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON Web Token.
        primary: user name, ticket, assertion or token; kept out of the `repr`.
        secondary: passcode; kept out of the `repr`.
        positive_response: a server-response is wanted.
    """

    type: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    positive_response: bool = False

    @classmethod
    def username(cls, name: str, passcode: str | None = None, *, positive_response: bool = False) -> Self:
        """A user name, with a passcode or without."""
        if passcode is None:
            return cls(USERNAME, name.encode(), b"", positive_response)
        return cls(PASSCODE, name.encode(), passcode.encode(), positive_response)

    @classmethod
    def kerberos(cls, ticket: bytes, *, positive_response: bool = False) -> Self:
        """A Kerberos service ticket."""
        return cls(KERBEROS, ticket, b"", positive_response)

    @classmethod
    def saml(cls, assertion: bytes, *, positive_response: bool = False) -> Self:
        """A SAML assertion."""
        return cls(SAML, assertion, b"", positive_response)

    @classmethod
    def jwt(cls, token: bytes, *, positive_response: bool = False) -> Self:
        """A JSON Web Token."""
        return cls(JWT, token, b"", positive_response)

    @classmethod
    def from_item(cls, item: UserIdentityRQ) -> Self:
        """What a peer proposed."""
        return cls(item.type, item.primary, item.secondary, item.positive_response)

    def item(self) -> UserIdentityRQ:
        """As it goes into an A-ASSOCIATE-RQ."""
        return UserIdentityRQ(self.type, self.primary, self.secondary, self.positive_response)

    @property
    def name(self) -> str:
        """The user name; empty for other types."""
        return self.primary.decode(errors="replace") if self.type in (USERNAME, PASSCODE) else ""

    @property
    def passcode(self) -> str:
        """The passcode; empty where there is none."""
        return self.secondary.decode(errors="replace")


class Extension(Protocol):
    """What is negotiated about one SOP class beyond its being supported."""

    def encode(self) -> bytes:
        """As it goes into a SOP Class Extended Negotiation sub-item."""
        ...

    def agree(self, proposed: bytes) -> bytes:
        """What an acceptor that supports this answers to a proposal."""
        ...


@dataclass(frozen=True, slots=True)
class QueryExtension:
    """How queries may go beyond the baseline (PS3.4 C.5.1.1, K.5).

    Args:
        relational: relational queries: keys of any level.
        combined_datetime: a date and its time are matched as one range.
        fuzzy: fuzzy semantic matching of person names.
        timezone: times are adjusted to the time zone of the query.
        enhanced_multi_frame: the view in which enhanced multi-frame images are converted, or those they were converted
            from (Query/Retrieve View).
        empty_values: a key of two quotation marks matches what has no value.
        multiple_values: of a key with several values, each has to be among those of the attribute.
    """

    relational: bool = False
    combined_datetime: bool = False
    fuzzy: bool = False
    timezone: bool = False
    enhanced_multi_frame: bool = False
    empty_values: bool = False
    multiple_values: bool = False

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Reads a sub-item; what is missing is not supported."""
        return cls(*decode_flags(data, QUERY_FLAGS))

    def encode(self) -> bytes:
        """One byte for each, up to the last that is wanted."""
        return encode_flags(
            self.relational,
            self.combined_datetime,
            self.fuzzy,
            self.timezone,
            self.enhanced_multi_frame,
            self.empty_values,
            self.multiple_values,
        )

    def agree(self, proposed: bytes) -> bytes:
        """What both support, in no more bytes than were proposed."""
        return agree_flags(self.encode(), proposed, QUERY_FLAGS)


@dataclass(frozen=True, slots=True)
class RetrieveExtension:
    """How C-MOVE and C-GET may go beyond the baseline (PS3.4 C.5.2.1, C.5.3.1).

    Args:
        relational: relational retrievals: unique keys of the levels above may be missing.
        enhanced_multi_frame: the view in which enhanced multi-frame images are converted, or those they were converted
            from (Query/Retrieve View).
    """

    relational: bool = False
    enhanced_multi_frame: bool = False

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Reads a sub-item; what is missing is not supported."""
        return cls(*decode_flags(data, RETRIEVE_FLAGS))

    def encode(self) -> bytes:
        """One byte for each, up to the last that is wanted."""
        return encode_flags(self.relational, self.enhanced_multi_frame)

    def agree(self, proposed: bytes) -> bytes:
        """What both support, in no more bytes than were proposed."""
        return agree_flags(self.encode(), proposed, RETRIEVE_FLAGS)


def decode_flags(data: bytes, count: int) -> list[bool]:
    """The first bytes of a sub-item, as far as there are some."""
    return [byte == 1 for byte in data[:count]]


def encode_flags(*flags: bool) -> bytes:
    """One byte at least; those at its end that say no are left out, as older systems know of fewer."""
    return bytes(flags[:1]) + bytes(flags[1:]).rstrip(b"\0")


def agree_flags(supported: bytes, proposed: bytes, count: int) -> bytes:
    """What both support, in as many bytes as were proposed, of those there are."""
    padded = supported.ljust(count, b"\0")
    return bytes(ours & (theirs == 1) for ours, theirs in zip(padded, proposed, strict=False))


@dataclass(frozen=True, slots=True)
class StorageExtension:
    """What a Storage SCP does with objects (PS3.4 B.3.1).

    Args:
        level: level of support: 0 local, 1 base, 2 full, 3 not known.
        signatures: level of digital signature support, 0 to 3.
        coercion: element coercion: 0 does not, 1 may, 2 not known.
    """

    level: int = 2
    signatures: int = 1
    coercion: int = 0

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Reads a sub-item; what is missing is not known."""
        level, _, signatures, _, coercion, _ = [*data[:6], *bytes((3, 0, 0, 0, 2, 0))[len(data[:6]) :]]
        return cls(level, signatures, coercion)

    def encode(self) -> bytes:
        """Six bytes, every other one reserved."""
        return bytes((self.level, 0, self.signatures, 0, self.coercion, 0))

    def agree(self, proposed: bytes) -> bytes:
        """The SCP says what it does."""
        return self.encode()


Respond: TypeAlias = Callable[[bytes], bytes | None]


def extension_bytes(extended: Mapping[str, "bytes | Extension"] | None) -> dict[str, bytes]:
    """What `extended=` means: bytes stand for themselves."""
    return {
        uid: item if isinstance(item, bytes) else suited(uid, item).encode() for uid, item in (extended or {}).items()
    }


def responder(sop_class: str, extension: "Extension | Respond") -> Respond:
    """What answers a proposal: an extension that is supported, or a function of one's own."""
    return extension if callable(extension) else suited(sop_class, extension).agree


def suited(sop_class: str, extension: Extension) -> Extension:
    """An extension of queries as that of retrievals for their SOP classes, where other bytes mean other things."""
    model = BY_SOP_CLASS.get(sop_class)
    if isinstance(extension, QueryExtension) and model is not None and sop_class != model.find:
        return RetrieveExtension(extension.relational, extension.enhanced_multi_frame)
    return extension

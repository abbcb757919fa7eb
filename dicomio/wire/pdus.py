"""The seven PDUs of the DICOM upper layer and their encoding (PS3.8 9.3)."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from dicomio.wire.items import PresentationContextAC, PresentationContextRQ, UnknownItem, UserInformation

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
]

# PS3.7 A.2.1
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

# PDU-type, reserved, PDU-length: the first six bytes of every PDU
HEADER = struct.Struct(">BxL")
HEADER_LENGTH = HEADER.size


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

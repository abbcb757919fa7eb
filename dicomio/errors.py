"""Everything that dicomio raises on purpose, in one tree.

```
DicomError
├── ConnectFailed (OSError)            the peer could not be reached, or speaks something else
├── ConnectionLost (ConnectionError)   the transport ended without a release or an abort
├── AssociationRejected                A-ASSOCIATE-RJ: result, source, reason
├── AssociationAborted                 A-ABORT, from either side: source, reason
├── AssociationReleased                the association was released in good order
├── NoPresentationContext              nothing accepted carries this SOP class and transfer syntax
├── StatusError                        the peer answered with a Failure status
├── Refused                            raised by a handler: answer with this status
│   └── InvalidIdentifier              the identifier of a query or retrieval cannot be worked with
├── InvalidInstance (ValueError)       a file or data set that cannot be sent or decoded
├── DicomTimeout (TimeoutError)
│   ├── ConnectTimeout                 TCP (and TLS) connection; it is a ConnectFailed too
│   ├── NegotiationTimeout             answer to A-ASSOCIATE-RQ
│   ├── ResponseTimeout                DIMSE response
│   ├── WriteTimeout                   the peer stopped reading
│   ├── PoolTimeout                    no association of the pool became free
│   └── TransactionExpired             the result of a storage commitment request
└── ProtocolError
    ├── LocalProtocolError             we were asked to do what the protocol forbids
    └── RemoteProtocolError            the peer did what the protocol forbids
```
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from dicomio.sop import NAMES

__all__ = [
    "AbortReason",
    "AbortSource",
    "AssociationAborted",
    "AssociationRejected",
    "AssociationReleased",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionLost",
    "DicomError",
    "DicomTimeout",
    "InvalidIdentifier",
    "InvalidInstance",
    "LocalProtocolError",
    "NegotiationTimeout",
    "NoPresentationContext",
    "PoolTimeout",
    "ProtocolError",
    "Refused",
    "RejectResult",
    "RejectSource",
    "RemoteProtocolError",
    "ResponseTimeout",
    "StatusError",
    "TransactionExpired",
    "WriteTimeout",
]


class AbortSource(IntEnum):
    """Source field of an A-ABORT PDU (PS3.8 9.3.8)."""

    SERVICE_USER = 0
    RESERVED = 1
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Reason/Diag. field of an A-ABORT PDU whose source is the service-provider (PS3.8 9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    RESERVED = 3
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER = 6


class RejectResult(IntEnum):
    """Result field of an A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(IntEnum):
    """Source field of an A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""

    SERVICE_USER = 1
    ACSE = 2
    PRESENTATION = 3


REJECT_RESULTS: Mapping[int, str] = {1: "permanently", 2: "for now (transient)"}

REJECT_SOURCES: Mapping[int, str] = {
    1: "service user",
    2: "service provider (ACSE)",
    3: "service provider (presentation)",
}

# PS3.8 Table 9-21, by source and reason
REJECT_REASONS: Mapping[tuple[int, int], str] = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}

# PS3.8 Table 9-26
ABORT_REASONS: Mapping[int, str] = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


class HasStatus(Protocol):
    """What `StatusError` needs to know of a response: its status and the comment that came along."""

    @property
    def status(self) -> int: ...
    @property
    def error_comment(self) -> str | None: ...
    @property
    def offending_elements(self) -> Sequence[int]: ...
    @property
    def attribute_identifiers(self) -> Sequence[int]: ...


def restore(kind: type["DicomError"], args: tuple[object, ...]) -> "DicomError":
    """An error with these `args`, as it was before it was pickled or copied."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class DicomError(Exception):
    """The root of everything dicomio raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        # Its arguments are not those of the constructor: without this, no subclass comes out of another process.
        return restore, (type(self), self.args), self.__dict__


class ConnectFailed(DicomError, OSError):
    """No connection to the peer came about; the text names the peer and says why."""


class ConnectionLost(DicomError, ConnectionError):
    """The transport ended without a release or an abort."""


class AssociationRejected(DicomError):
    """The association was rejected; raise it in `@app.on_associate` to reject one (PS3.8 9.3.4).

    Args:
        result: 1 permanent, 2 transient.
        source: 1 service user, 2 ACSE, 3 presentation.
        reason: reason/diagnostic, whose meaning depends on the source (PS3.8 Table 9-21).
        peer: whom it concerns, for the text of the message.
    """

    def __init__(
        self,
        result: int = RejectResult.PERMANENT,
        source: int = RejectSource.SERVICE_USER,
        reason: int = 1,
        *,
        peer: str = "",
    ) -> None:
        self.result, self.source, self.reason = result, source, reason
        words = REJECT_REASONS.get((source, reason), "unknown reason")
        super().__init__(
            f"{peer or 'peer'} rejected the association {REJECT_RESULTS.get(result, f'with result {result}')}: {words} "
            f"(result {result}, source {source} {REJECT_SOURCES.get(source, 'unknown')}, reason {reason})"
        )


class AssociationAborted(DicomError):
    """The association was aborted, by the peer or by us (PS3.8 9.3.8).

    Args:
        source: 0 service user, 2 service provider.
        reason: meaningful where the source is the provider (PS3.8 Table 9-26).
        peer: whom it concerns, for the text of the message.
        local: true when this side aborted.
        detail: what led to it, in words.
    """

    def __init__(
        self, source: int = 0, reason: int = 0, *, peer: str = "", local: bool = False, detail: str = ""
    ) -> None:
        self.source, self.reason, self.local = source, reason, local
        who = f"we aborted the association with {peer or 'the peer'}" if local else f"{peer or 'peer'} aborted"
        by = "by its user" if source == AbortSource.SERVICE_USER else ABORT_REASONS.get(reason, "unknown reason")
        why = f"{detail}; " if detail else ""
        super().__init__(f"{who}: {why}{by} (source {source}, reason {reason})")


class AssociationReleased(DicomError):
    """The association was released in good order, so nothing more can be asked on it."""

    def __init__(self, message: str = "the association has been released") -> None:
        super().__init__(message)


def named(uid: str) -> str:
    """A UID with its keyword, where it has one."""
    return f"{uid} ({NAMES[uid]})" if uid in NAMES else uid


class NoPresentationContext(DicomError):
    """No accepted presentation context carries this SOP class, in this transfer syntax or one we can convert to."""

    def __init__(self, sop_class: str, transfer_syntax: str | None = None, *, detail: str = "") -> None:
        self.sop_class, self.transfer_syntax = sop_class, transfer_syntax
        syntax = f" with transfer syntax {named(transfer_syntax)}" if transfer_syntax else ""
        reason = f": {detail}" if detail else ""
        super().__init__(f"no presentation context accepted for SOP class {named(sop_class)}{syntax}{reason}")


class StatusError(DicomError):
    """The peer answered a request with a Failure status; the response is in `response`."""

    def __init__(self, message: str, response: HasStatus) -> None:
        self.response = response
        self.status = response.status
        super().__init__(message)


class Refused(DicomError):
    """Raise it in a handler to answer with a status of your choice.

    Args:
        status: the status to answer with, 0 to 0xFFFF.
        comment: Error Comment (0000,0902), at most 64 characters of it are sent.
        offending: Offending Element (0000,0901), the tags of the elements that are to blame.
        error_id: Error ID (0000,0903), 0 to 0xFFFF.

    Raises:
        ValueError: one of the numbers does not fit its element.
    """

    def __init__(
        self, status: int, comment: str = "", *, offending: Sequence[int] = (), error_id: int | None = None
    ) -> None:
        self.status, self.comment, self.offending, self.error_id = status, comment, tuple(offending), error_id
        if any(not 0 <= number <= 0xFFFF for number in (status, error_id or 0)):
            raise ValueError(f"a status and an error ID have 16 bits, unlike {status:#x} and {error_id}")
        if any(not isinstance(tag, int) or not 0 <= tag <= 0xFFFFFFFF for tag in self.offending):
            raise ValueError(f"offending elements are tags of 32 bits, unlike {self.offending}")
        super().__init__(f"refused with status 0x{int(status):04X}{f': {comment}' if comment else ''}")


class InvalidIdentifier(Refused):
    """The identifier of a C-FIND, C-MOVE or C-GET cannot be worked with; no handler is called for it."""


class InvalidInstance(DicomError, ValueError):
    """A file or data set that is not DICOM, or lacks what is needed to send or to decode it."""


class DicomTimeout(DicomError, TimeoutError):
    """A deadline passed; the subclass names which."""


class ConnectTimeout(DicomTimeout, ConnectFailed):
    """`Timeout.connect` passed before the connection stood."""


class NegotiationTimeout(DicomTimeout):
    """`Timeout.negotiate` passed before the peer answered the A-ASSOCIATE-RQ."""


class ResponseTimeout(DicomTimeout):
    """`Timeout.response` passed without a sign of progress from the peer."""


class WriteTimeout(DicomTimeout):
    """`Timeout.write` passed while the peer did not read what we sent."""


class PoolTimeout(DicomTimeout):
    """`Timeout.pool` passed before an association of the pool became free."""


class TransactionExpired(DicomTimeout):
    """Nobody reported what became of a storage commitment request before it expired (PS3.4 J.3.6.1.1)."""


class ProtocolError(DicomError):
    """What happened is not allowed by PS3.7 or PS3.8. Raised as one of the two subclasses."""


class LocalProtocolError(ProtocolError):
    """We were asked to do what the protocol forbids in this state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol forbids; `reason` is what an A-ABORT in answer carries."""

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER) -> None:
        self.reason = reason
        super().__init__(message)

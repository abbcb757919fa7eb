"""TLS handshakes that fail in words: the peer hears why, and so do we."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["FAREWELL", "FOR_EVER", "handshaking", "tell_peer", "tls_reason"]

# Seconds for an event loop that has a deadline of its own for handshakes where none is given.
FOR_EVER: Final = 1e9
# Seconds for a peer to answer the end of TLS (RFC 8446 6.1) before its connection is dropped.
FAREWELL: Final = 1.0

# What the peer says in an alert (RFC 8446 6.2), by the name that OpenSSL has for it.
ALERTS: Final[Mapping[str, str]] = {
    "ACCESS_DENIED": "the peer does not let our certificate in",
    "BAD_CERTIFICATE": "the peer says that our certificate is bad",
    "CERTIFICATE_EXPIRED": "the peer says that our certificate has expired",
    "CERTIFICATE_REQUIRED": "the peer wants a certificate of ours",
    "CERTIFICATE_REVOKED": "the peer says that our certificate has been revoked",
    "CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "DECRYPT_ERROR": "the peer says that our key does not belong to our certificate",
    "HANDSHAKE_FAILURE": "the peer finds nothing acceptable in what we offer, or wants a certificate of ours",
    "INSUFFICIENT_SECURITY": "the peer wants stronger cipher suites than we offer",
    "PROTOCOL_VERSION": "the peer wants another version of TLS than we offer",
    "UNKNOWN_CA": "the peer does not know who issued our certificate",
    "UNSUPPORTED_CERTIFICATE": "the peer does not support our kind of certificate",
}
# What we find ourselves.
FINDINGS: Final[Mapping[str, str]] = {
    "HTTP_REQUEST": "the peer speaks HTTP, not TLS",
    "NO_SHARED_CIPHER": "the peer offers no cipher suite that is admitted here",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer shows no certificate",
    "UNEXPECTED_EOF_WHILE_READING": "the peer closed the connection",
    "UNSUPPORTED_PROTOCOL": "the peer offers no version of TLS that is admitted here",
    "WRONG_VERSION_NUMBER": "the peer does not speak TLS on this port",
}


class Attempt:
    """A handshake under way.

    Attributes:
        deadline: when it is given up.
        error: why it has failed.
    """

    def __init__(self, deadline: asyncio.Timeout) -> None:
        self.deadline = deadline
        self.error: ssl.SSLError | None = None

    def fail(self, error: ssl.SSLError) -> None:
        """Gives it up as soon as the alert has been written."""
        if self.error is None and not self.deadline.expired():
            self.error = error
            self.deadline.reschedule(asyncio.get_running_loop().time())


ATTEMPT: ContextVar[Attempt | None] = ContextVar("ATTEMPT", default=None)


class TellingObject(ssl.SSLObject):
    """Has the alert sent that says why a handshake fails; asyncio drops it together with the connection."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            attempt = ATTEMPT.get()
            if attempt is None:
                raise
            attempt.fail(error)
            # Whoever is told that more is to be read sends first what there is to be sent.
            raise ssl.SSLWantReadError from error


def tell_peer(context: ssl.SSLContext) -> None:
    """Has handshakes with this context tell the peer why they fail, where they are made in `handshaking`."""
    if context.sslobject_class is ssl.SSLObject:
        context.sslobject_class = TellingObject


@asynccontextmanager
async def handshaking(limit: float | None) -> AsyncIterator[None]:
    """The time that a handshake may take.

    Args:
        limit: seconds; `None` for any number.

    Raises:
        ssl.SSLError: it failed, and the peer has been told.
        TimeoutError: it took longer.
    """
    attempt = Attempt(asyncio.timeout(limit))
    token = ATTEMPT.set(attempt)
    try:
        async with attempt.deadline:
            yield
    except TimeoutError:
        if attempt.error is not None:
            raise attempt.error from None
        raise
    finally:
        ATTEMPT.reset(token)


def tls_reason(error: ssl.SSLError) -> str:
    """What went wrong in a handshake, in words."""
    verification = getattr(error, "verify_message", "")
    if verification:
        return f"the certificate of the peer is not accepted: {verification.rstrip('.')}"
    reason = error.reason or ""
    alert = ALERTS.get(reason.partition("_ALERT_")[2])
    return alert or FINDINGS.get(reason) or reason.lower().replace("_", " ") or str(error)

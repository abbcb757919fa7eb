"""Opening associations: `connect`, and what turns every way in which that fails into the exception that names it."""

import asyncio
import errno
import os
import ssl as tls
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeAlias

from dicomio.association import Association
from dicomio.buffers import SHARED
from dicomio.config import (
    Address,
    Limits,
    PresentationContext,
    Role,
    Timeout,
    checked_ae_title,
    checked_uid,
    checked_window,
)
from dicomio.errors import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    DicomError,
    NegotiationTimeout,
    RemoteProtocolError,
)
from dicomio.extensions import Extension, Identity, extension_bytes
from dicomio.handshakes import FAREWELL, FOR_EVER, handshaking, tell_peer, tls_reason
from dicomio.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomio.negotiation import propose
from dicomio.operations import Dispatch, Inbound
from dicomio.profiles import Peer
from dicomio.protocol import UpperLayerProtocol, set_socket_options
from dicomio.services.reply import answer
from dicomio.session import UpperLayer
from dicomio.status import Status
from dicomio.tls import checked_context
from dicomio.wire.items import CommonExtendedNegotiation

__all__ = ["USUAL", "Locate", "Serves", "connect", "proposals"]

AE_TITLE = "DICOMIO"
# Stands for deadlines that are not given: those of the peer's profile, or 30 seconds each.
USUAL = -1.0
# What peers may mean that close a connection without a word.
HUNG_UP = "the peer closed the connection; it may not speak TLS on this port"
NO_TLS = "; it may want TLS on this port"
WRONG_CERTIFICATE = "; it may want another certificate of ours"


Locate: TypeAlias = Callable[[str], Awaitable[Address | Peer | None]]


class Given(NamedTuple):
    """What was given to `connect`, and goes before what the profile of a peer says."""

    ae_title: str | None
    window: int | tuple[int, int] | None
    timeout: Timeout | float | None
    limits: Limits | None
    ssl: tls.SSLContext | None
    local_host: str | None
    strict: bool


class Serves(Protocol):
    """What an association needs of an application to serve its peer."""

    @property
    def dispatch(self) -> Dispatch: ...
    def closed(self, association: Association, /) -> None: ...


def proposals(
    contexts: Iterable[str | PresentationContext], roles: Mapping[str, Role] | None = None
) -> list[PresentationContext]:
    """What `contexts=` and `roles=` mean: UIDs stand for themselves in the default transfer syntaxes.

    Raises:
        TypeError: one UID is given where several are expected.
        ValueError: something is not a UID, or a role is given for a SOP class that is not proposed.
    """
    if isinstance(contexts, str):
        raise TypeError(f"contexts is a list of SOP classes, not {contexts!r}")
    found = [item if isinstance(item, PresentationContext) else PresentationContext(item) for item in contexts]
    for item in found:
        checked_uid(item.abstract_syntax)
    for uid, role in (roles or {}).items():
        if all(item.abstract_syntax != uid for item in found):
            raise ValueError(f"a role is given for {uid}, which is not among the contexts")
        found = [with_role(item, role) if item.abstract_syntax == uid else item for item in found]
    return found


def with_role(context: PresentationContext, role: Role) -> PresentationContext:
    """The same proposal in other roles."""
    scu, scp = Role.SCU in role, Role.SCP in role
    return PresentationContext(context.abstract_syntax, context.transfer_syntaxes, scu, scp)


def refuse(inbound: Inbound) -> None:
    """Answers requests of a peer on an association that serves nothing."""
    answer(inbound, Status.SOP_CLASS_NOT_SUPPORTED)


class connect:  # used like a function
    """Opens an association: `async with connect(…) as association`, or `association = await connect(…)`.

    Leaving the block releases the association; leaving it by an exception aborts it.

    Args:
        address: the peer, `AET@host:port`, or its profile; the port is 104 where none is given.
        contexts: what to propose: SOP class UIDs, or `PresentationContext` for a choice of transfer syntaxes.
        ae_title: our AE title, DICOMIO by default.
        app: serves what the peer asks for on this association.
        roles: roles we want by SOP class, where they are not simply SCU (PS3.7 D.3.3.4).
        timeout: deadlines; a number is the default of each, which is 30 seconds.
        limits: what the peer may send.
        ssl: a TLS context; without it the connection is plain.
        local_host: address of ours that the connection comes from; the choice of the system by default.
        socket_options: `(level, name, value)` for the socket.
        strict: refuse deviations of the peer that are tolerated otherwise.
        window: operations that we want to have outstanding; with a second number those that the peer may have, 0 for
            any number. Not negotiated by default, since there are peers that it disturbs (PS3.7 D.3.3.3).
        identity: who asks for the association.
        extended: SOP class extended negotiation, by SOP class.
        common_extended: SOP class common extended negotiation.
        locate: finds an address by AE title, which is what `address` is then where it is a text.

    Raises:
        ConnectFailed: the peer cannot be reached, or does not speak DICOM.
        ConnectTimeout: it cannot be reached within `timeout.connect`.
        NegotiationTimeout: it does not answer within `timeout.negotiate`.
        AssociationRejected: it does not want the association.
        AssociationAborted: it aborts instead of answering.
        ConnectionLost: it closes the connection instead of answering.
        LocalProtocolError: the proposal is not a valid one.
    """

    def __init__(
        self,
        address: str | Address | Peer,
        *,
        contexts: Iterable[str | PresentationContext],
        ae_title: str | None = None,
        app: Serves | None = None,
        roles: Mapping[str, Role] | None = None,
        timeout: Timeout | float | None = USUAL,
        limits: Limits | None = None,
        ssl: tls.SSLContext | None = None,
        local_host: str | None = None,
        socket_options: Sequence[tuple[int, int, int]] = (),
        strict: bool = False,
        window: int | tuple[int, int] | None = None,
        identity: Identity | None = None,
        extended: Mapping[str, bytes | Extension] | None = None,
        common_extended: Sequence[CommonExtendedNegotiation] = (),
        locate: Locate | None = None,
    ) -> None:
        checked_context(ssl, "client_context")
        self.locate = locate
        self.destination = address if isinstance(address, str) else ""
        self.contexts = proposals(contexts, roles)
        self.app = app
        self.identity = identity
        self.extended = extension_bytes(extended)
        self.common_extended = common_extended
        self.socket_options = socket_options
        self.given = Given(ae_title, window, timeout, limits, ssl, local_host, strict)
        if locate is not None and isinstance(address, str):
            # An AE title; taken for an address, one that a peer has chosen for itself would tell us where to connect.
            address = Address(address.strip(), "", 0)
        self.take_profile(address if isinstance(address, Peer) else Peer(Address.parse(address)))
        self.association: Association | None = None

    def take_profile(self, peer: Peer) -> None:
        """Takes from the profile of the peer what was not given."""
        given = self.given
        window = given.window if given.window is not None else peer.window
        self.address = peer.address
        self.ae_title = checked_ae_title(given.ae_title or peer.ae_title or AE_TITLE)
        if window is not None:
            window = checked_window(window)
        self.window = (window, 1) if isinstance(window, int) else window
        self.timeout = peer.timeout if given.timeout == USUAL else Timeout.of(given.timeout)
        self.limits = peer.limits(given.limits)
        self.ssl = given.ssl or peer.ssl
        local_host = given.local_host or peer.local_host
        self.local_address = (local_host, 0) if local_host is not None else None
        self.strict = given.strict or peer.strict
        self.role_selection = peer.role_selection

    def __await__(self) -> Generator[Any, None, Association]:
        return self.open().__await__()

    async def __aenter__(self) -> Association:
        self.association = await self.open()
        return self.association

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.association is not None
        if exc is None:
            await self.association.release()
        else:
            self.association.abort(detail=f"left by {type(exc).__name__}")
            await self.association.wait_closed()

    def prepare(self) -> Association:
        """The association before its connection."""
        request = propose(
            called=self.address.ae_title,
            calling=self.ae_title,
            contexts=self.contexts,
            maximum_length=self.limits.max_pdu,
            window=self.window,
            extended=self.extended,
            common_extended=self.common_extended,
            user_identity=self.identity.item() if self.identity is not None else None,
            role_selection=self.role_selection,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        )
        timeout, limits = self.timeout, self.limits
        upper = UpperLayer(requestor=True, limits=limits, artim=timeout.artim, strict=self.strict, request=request)
        association = Association(
            upper,
            local=Address(self.ae_title, "", 0),
            peer=self.address,
            timeout=timeout,
            limits=limits,
            dispatch=self.app.dispatch if self.app is not None else refuse,
            on_end=self.ended,
        )
        association.identity = self.identity
        association.protocol = UpperLayerProtocol(upper, association, SHARED, timeout.write)
        return association

    def ended(self, association: Association, error: Exception) -> None:
        """The association is over, or never came about."""
        if self.app is not None:
            self.app.closed(association)

    async def open(self) -> Association:
        """Connects and negotiates."""
        if self.locate is not None and self.destination:
            found = await self.locate(self.destination)
            if isinstance(found, Peer):
                # The AE title of an application is the usual one; a profile knows of an exception.
                self.given = self.given._replace(ae_title=found.ae_title or self.given.ae_title)
                self.take_profile(found)
            elif found is not None:
                self.take_profile(Peer(found))
            else:
                raise ConnectFailed(f"{self.destination!r} is not among the destinations of {self.ae_title}")
        association = self.prepare()
        await self.connect(association)
        await negotiated(association, hint=NO_TLS if self.ssl is None else WRONG_CERTIFICATE)
        return association

    async def connect(self, association: Association) -> None:
        """Makes the transport connection."""
        loop = asyncio.get_running_loop()
        host, port = self.address.host, self.address.port
        limit = self.timeout.connect
        if self.ssl is not None:
            tell_peer(self.ssl)
        try:
            async with handshaking(limit):
                transport, _ = await loop.create_connection(
                    lambda: association.protocol,
                    host,
                    port,
                    ssl=self.ssl,
                    ssl_handshake_timeout=(limit or FOR_EVER) if self.ssl is not None else None,
                    ssl_shutdown_timeout=FAREWELL if self.ssl is not None else None,
                    local_addr=self.local_address,
                )
        except TimeoutError as error:
            raise ConnectTimeout(f"{self.address}: no connection within {limit} s") from error
        except tls.SSLError as error:
            raise ConnectFailed(f"{self.address}: TLS failed: {tls_reason(error)}") from error
        except ConnectionResetError as error:
            why = "the peer closed the connection" if self.ssl is None else f"TLS failed: {HUNG_UP}"
            raise ConnectFailed(f"{self.address}: {why}") from error
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"{self.address}: {os_reason(error)}") from error
        try:
            set_socket_options(transport, self.socket_options)
        except OSError as error:
            transport.abort()
            raise ConnectFailed(f"{self.address}: socket options: {error.strerror or error}") from error


async def negotiated(association: Association, *, hint: str = "") -> None:
    """Waits for the answer to the A-ASSOCIATE-RQ; where that is not a yes, the connection is closed.

    Args:
        association: the association in the making.
        hint: what may be the reason where the peer closes the connection without one.
    """
    peer, limit = association.peer, association.timeout.negotiate
    try:
        async with asyncio.timeout(limit):
            await association.opened
    except TimeoutError as error:
        association.abort(detail="no answer to A-ASSOCIATE-RQ")
        await association.wait_closed()
        raise NegotiationTimeout(f"{peer}: no answer to A-ASSOCIATE-RQ within {limit} s") from error
    except RemoteProtocolError as error:
        await association.wait_closed()
        raise ConnectFailed(f"{peer} does not speak DICOM there: {error}") from error
    except ConnectionLost as error:
        await association.wait_closed()
        raise lost(association, error, hint) from error
    except DicomError:
        await association.wait_closed()
        raise
    except asyncio.CancelledError:
        association.abort(detail="cancelled")
        association.protocol.kill()
        raise


def lost(association: Association, error: ConnectionLost, hint: str) -> DicomError:
    """What it means that a connection is lost before the A-ASSOCIATE-RQ has been answered."""
    cause = association.protocol.lost.__cause__ if association.protocol.lost is not None else None
    if isinstance(cause, tls.SSLError):
        # With TLS 1.3 a client has shaken hands before the server has looked at its certificate.
        return ConnectFailed(f"{association.peer}: TLS failed: {tls_reason(cause)}")
    return ConnectionLost(f"{error}{hint}")


def os_reason(error: Exception) -> str:
    """Why there is no connection, in the words of the system rather than of asyncio."""
    if isinstance(error, OSError):
        known = error.errno is not None and error.errno in errno.errorcode
        return os.strerror(error.errno or 0) if known else error.strerror or str(error)
    return str(error)

"""The private Shutdown SOP class of the classic toolkit: a peer that has it accepted asks a server to end."""

import logging
import os
import signal
from typing import Final

from dicomio import Application, Association, Role
from dicomio.config import DEFAULT_TRANSFER_SYNTAXES
from dicomio.negotiation import Supported
from dicomio.server import AcceptedProtocol

__all__ = ["SHUTDOWN", "decide_shutdown"]

logger = logging.getLogger("dicomio.cli.shutdown")

SHUTDOWN: Final = "1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"


def decide_shutdown(app: Application, *, allowed: bool) -> None:
    """Has an application accept the Shutdown SOP class and whatever serves it drain afterwards, or refuse it.

    It is to be refused explicitly, since those who store any private SOP class would accept this one, too. Negotiating
    it is all there is to it: no message is defined for it. Where it is accepted, the server drains when the association
    is over. Rejecting the association, as the classic servers do, would look like any other rejection to the peer.

    Args:
        app: the application; to be called in the process that is to end, before it has workers.
        allowed: whether peers may have the server end.
    """
    supported, process = app.admission.supported, os.getpid()

    def accepted(abstract_syntax: str) -> Supported | None:
        if abstract_syntax == SHUTDOWN:
            return Supported(SHUTDOWN, DEFAULT_TRANSFER_SYNTAXES, Role.SCP) if allowed else None
        return supported(abstract_syntax)

    async def close(association: Association) -> None:
        if asks_for_shutdown(association) and is_serving(association):
            logger.warning("%s asked for the end", association.peer)
            os.kill(process, signal.SIGTERM)

    app.admission.supported = accepted
    if allowed:
        app.on_close(close)


def asks_for_shutdown(association: Association) -> bool:
    """Whether the Shutdown SOP class was accepted on an association."""
    return any(context.abstract_syntax == SHUTDOWN for context in association.contexts.values())


def is_serving(association: Association) -> bool:
    """Whether the server has not begun to end: a second signal would have it drop what it is to finish."""
    protocol = association.protocol
    return isinstance(protocol, AcceptedProtocol) and protocol.server.is_serving

"""What every request of a peer is to its handler."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from dicomio.calling import call
from dicomio.config import Address
from dicomio.errors import Refused
from dicomio.operations import Inbound
from dicomio.status import Status
from dicomio.threads import in_thread
from dicomio.wire.commands import Command

if TYPE_CHECKING:
    from dicomio.association import Association

__all__ = ["EchoRequest", "Request", "UnknownRequest", "checked_uid"]

P = ParamSpec("P")
T = TypeVar("T")

# What may stand in a UID that programs are going to build file names from. Letters are outside of PS3.5 9.1 but occur.
UID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,127}")
# Bytes of a data set that are decoded in the event loop; more would keep others waiting.
DECODED_AT_ONCE: Final = 65_536


class Request:
    """A request of a peer's.

    Attributes:
        association: the association it came on.
        command: its command set (PS3.7 9.3, 10.3).
        status: what it is answered with in a loop over `Association.requests`, where that is not Success.
        comment: Error Comment, likewise.
    """

    __slots__ = ("after_calls", "association", "command", "comment", "inbound", "status")

    def __init__(self, inbound: Inbound) -> None:
        self.inbound = inbound
        self.association: Association = inbound.provider  # type: ignore[assignment]  # providers are associations
        self.command: Command = inbound.command
        self.after_calls: list[Callable[[], Awaitable[None]]] = []
        self.status: int | None = None
        self.comment = ""

    def __repr__(self) -> str:
        return f"<{self.command.name} {self.inbound.message_id} from {self.peer}>"

    @property
    def peer(self) -> Address:
        """Who asks."""
        return self.inbound.provider.peer

    @property
    def transfer_syntax(self) -> str:
        """UID of the transfer syntax of the presentation context."""
        return self.inbound.context.transfer_syntax

    @property
    def cancelled(self) -> bool:
        """Whether the peer has sent a C-CANCEL; its handler is cancelled too, at its next `await`."""
        return self.inbound.cancelled

    async def load(self) -> None:
        """Takes in what a handler needs before it runs."""

    async def decoded(self, decode: Callable[[bytes], T]) -> T | None:
        """What the data set decodes to, in a worker thread where it is long; `None` where there is none.

        Raises:
            Refused: it is longer than `Limits.data_set`.
        """
        if self.inbound.body is None:
            return None
        data = await self.inbound.body.read(self.inbound.provider.limits.data_set)
        return await in_thread(decode, data) if len(data) > DECODED_AT_ONCE else decode(data)

    def complete(self, response: Command) -> bytes | None:
        """Adds to the final response what belongs into it; returns its data set, if it has one."""
        return None

    def after(self, func: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Has a function called once the response has left, unless that is a failure.

        An async function is called in the event loop, another one in a thread.

        It runs on even where the association ends, and is waited for when the server closes.
        """
        self.after_calls.append(lambda: call(func, *args, **kwargs))


class EchoRequest(Request):
    """C-ECHO (PS3.7 9.1.5)."""

    __slots__ = ()


class UnknownRequest(Request):
    """A request that no handler is registered for."""

    __slots__ = ()


def checked_uid(uid: str, what: str) -> str:
    """A UID that is safe to build a file name from.

    Raises:
        Refused: it is not; "Invalid SOP Instance" (PS3.7 C.5.6).
    """
    if not UID.fullmatch(uid):
        raise Refused(Status.INVALID_SOP_INSTANCE, f"invalid SOP {what} UID {uid[:40]!r}")
    return uid

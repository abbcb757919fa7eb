"""`Association`: the DIMSE provider with the service calls, as users hold it."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset

from dicomio.config import PresentationContext
from dicomio.datasets import encode
from dicomio.dimse import DimseProvider
from dicomio.errors import AssociationReleased, DicomError, NoPresentationContext, Refused
from dicomio.identifiers import as_dataset
from dicomio.operations import Inbound, Reply
from dicomio.requests import REQUEST_TYPES, Request, StoreRequest, UnknownRequest
from dicomio.responses import Channel, Responses
from dicomio.services.contexts import refusal
from dicomio.services.reply import respond
from dicomio.services.user import ServiceUser
from dicomio.status import Status
from dicomio.wire.commands import Command, CommandField

__all__ = ["Association"]


class Association(DimseProvider, ServiceUser):
    """An association with a peer, whichever side opened it: ask it for something, release it, abort it.

    Obtained from `dicomio.connect`, or as `request.association` in a handler.

    Attributes:
        peer: address and AE title of the peer.
        local: our own.
        agreement: what was negotiated.
        ended: why it is over, `None` while it is not.
    """

    def reserve(self, contexts: Sequence[PresentationContext]) -> "Unshared":
        """The association itself, whatever contexts it has."""
        return Unshared(self)

    def requests(self) -> Responses[Request, None]:
        """The requests of the peer, one after the other, for a loop in place of handlers.

        A request is answered when the next one is asked for: with `request.status` and `request.comment`, which is
        Success unless the body of the loop has set another. Nobody is cancelled by a C-CANCEL here: look at
        `request.cancelled`. What an application has handlers for comes here as well while this is iterated; leaving an
        `async with` around the iteration gives it back to them.

        The iteration ends when the association has been released.

        Raises:
            DicomError: when iterated: it ended otherwise, aborted by either side or lost.
        """

        async def work(channel: Channel[Request]) -> None:
            before, self.dispatch = self.dispatch, lambda inbound: hand_over(inbound, channel)
            try:
                while self.ended is None:
                    await self.last_ended()
            finally:
                self.dispatch = before
            if not isinstance(self.ended, AssociationReleased):
                raise self.ended.with_traceback(None)

        return Responses(work)

    async def send(
        self,
        command: Command,
        data_set: Dataset | Mapping[str, Any] | bytes | None = None,
        *,
        context_id: int | None = None,
    ) -> Reply | None:
        """Sends a message of your own making, as it is: a request, a response or a C-CANCEL (PS3.7 6.3).

        Args:
            command: its command set; a request gets its message ID here.
            data_set: what goes with it, a data set or a mapping of keywords; bytes are encoded already.
            context_id: of the presentation context; by default the first one for the SOP class of the command.

        Returns:
            The final response to a request, whatever its status: `reply.command`, and `reply.data` as it is encoded.
            `None` for other messages, once they have left.

        Raises:
            TypeError: the data set is nothing of these.
            NoPresentationContext: none was accepted for it.
            InvalidInstance: the data set cannot be encoded.
            DicomError: the association is over.
        """
        if data_set is not None and not isinstance(data_set, bytes):
            data_set = as_dataset(data_set, "data_set")
        self.check_open()
        sop_class = command.affected_sop_class_uid or command.requested_sop_class_uid or ""
        for context in self.contexts.values():
            if context.id == context_id or (context_id is None and context.abstract_syntax == sop_class):
                break
        else:
            raise NoPresentationContext(sop_class, detail=refusal(self, sop_class))
        data = encode(data_set, context.transfer_syntax) if isinstance(data_set, Dataset) else data_set
        command.has_data_set = data is not None
        if command.is_request and command.field != CommandField.C_CANCEL_RQ:
            return await self.request(context, command, data)
        self.post(context.id, command, data)
        await self.drain()
        return None

    def __repr__(self) -> str:
        return f"<Association with {self.peer} {self.state}>"


class Unshared:
    """Lends an association for a request; it needs no care, since it is not taken from a pool."""

    __slots__ = ("association",)

    def __init__(self, association: Association) -> None:
        self.association = association

    async def __aenter__(self) -> Association:
        return self.association

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


async def hand_over(inbound: Inbound, channel: Channel[Request]) -> None:
    """One request for whoever iterates `Association.requests`; it is answered when the next is asked for."""
    inbound.on_cancel = leave_alone
    try:
        request = REQUEST_TYPES.get(inbound.command.field, UnknownRequest)(inbound)
        await request.load()
    except DicomError as error:
        status, offending = (error.status, error.offending) if isinstance(error, Refused) else (0xC000, ())
        await respond(inbound, status, getattr(error, "comment", ""), offending=offending)
        return
    async with channel.turn:
        nobody = channel.closed
        await channel.put(request)
    status, comment = status_of(request), request.comment
    if nobody or channel.failed or (isinstance(request, StoreRequest) and request.unsaved):
        status, comment = Status.PROCESSING_FAILURE, "the request was not taken"
    await respond(inbound, status, comment, complete=request.complete)


def status_of(request: Request) -> int:
    """What a request that was taken is answered with."""
    if request.status is not None:
        return request.status
    return Status.CANCEL if request.cancelled else Status.SUCCESS


def leave_alone() -> None:
    """What a C-CANCEL leads to where whoever serves the request looks for it."""

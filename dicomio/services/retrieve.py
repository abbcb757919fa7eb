"""Retrieve: C-MOVE and C-GET as SCU (PS3.4 C.4.2, C.4.3; PS3.7 9.1.3, 9.1.4)."""

import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar

from pydicom.dataset import Dataset

from dicomio.config import DEFAULT_TRANSFER_SYNTAXES, PresentationContext, Role
from dicomio.datasets import decode
from dicomio.dimse import DimseProvider
from dicomio.errors import Refused, StatusError
from dicomio.operations import Inbound, Pending, Reply
from dicomio.requests import Progress, StoreRequest
from dicomio.responses import Channel
from dicomio.services.contexts import pick_context, sop_class_of
from dicomio.services.operation import Operation, OperationResponses
from dicomio.services.reply import respond
from dicomio.sop.models import QueryModel
from dicomio.status import Status
from dicomio.wire.commands import Command, CommandField

__all__ = ["Retrieval", "RetrieveOperation", "get_contexts", "move_contexts", "send_get", "send_move"]

logger = logging.getLogger("dicomio.association")

T = TypeVar("T")

EXPLICIT, IMPLICIT = DEFAULT_TRANSFER_SYNTAXES
# What a SOP class can be proposed in, by the number of presentation contexts that takes. There are servers that convert
# everything to what stands later in the list, or earlier; with this order they leave as it is what is usual.
CHOICES: Final = (
    (
        ("1.2.840.10008.1.2.1.99",),
        (IMPLICIT,),
        (EXPLICIT,),
        ("1.2.840.10008.1.2.2",),
        ("1.2.840.10008.1.2.4.50",),
        ("1.2.840.10008.1.2.4.70",),
        ("1.2.840.10008.1.2.4.80",),
        ("1.2.840.10008.1.2.4.90",),
        ("1.2.840.10008.1.2.4.91",),
        ("1.2.840.10008.1.2.5",),
    ),
    ((IMPLICIT,), (EXPLICIT,)),
    (DEFAULT_TRANSFER_SYNTAXES,),
)
MOST_CONTEXTS: Final = 128


class RetrieveOperation(Operation):
    """What is known of a C-MOVE or C-GET.

    Attributes:
        progress: the latest numbers.
        failed_uids: SOP Instance UIDs of objects that failed, as the final response has them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress()
        self.failed_uids: list[str] = []

    def take(self, provider: DimseProvider, reply: Reply) -> None:
        """Takes what a response says."""
        self.take_numbers(reply)
        if reply.data and self.pending is not None:
            self.take_failures(provider, reply.data)

    def take_end(self, reply: Reply) -> None:
        self.take_numbers(reply)

    def take_numbers(self, reply: Reply) -> None:
        """Takes the numbers; those that a peer leaves out stay what they were."""
        command, last = reply.command, self.progress
        remaining = command.remaining if command.remaining is not None else last.remaining
        self.progress = Progress(
            command.completed if command.completed is not None else last.completed,
            command.failed if command.failed is not None else last.failed,
            command.warning if command.warning is not None else last.warning,
            remaining if reply.is_pending or command.remaining is not None else 0,
        )

    def take_failures(self, provider: DimseProvider, data: bytes) -> None:
        assert self.pending is not None
        try:
            ds = decode(data, self.pending.context.transfer_syntax, provider.limits)
            failed = ds.get("FailedSOPInstanceUIDList") or []
            if isinstance(failed, bytes):
                # UN, as a list too long for its VR has to be (PS3.5 6.2.2).
                failed = failed.decode("ascii").rstrip("\0 ").split("\\")
            self.failed_uids = [str(failed)] if isinstance(failed, str) else [str(uid) for uid in failed]
        except Exception:  # the numbers say what is essential, and whatever pydicom makes of a value is a quirk of it
            provider.upper.messages.note("sent a list of failed SOP instances that cannot be decoded")


class Retrieval(OperationResponses[T, Progress, RetrieveOperation]):
    """A C-MOVE or C-GET under way; when awaited, the final numbers.

    Attributes:
        received: items received so far.
    """

    def __init__(self, work: Callable[[Channel[T], RetrieveOperation], Coroutine[Any, Any, Progress]]) -> None:
        super().__init__(RetrieveOperation(), work)

    @property
    def progress(self) -> Progress:
        """The latest numbers of sub-operations."""
        return self._operation.progress

    @property
    def failed_uids(self) -> Sequence[str]:
        """SOP Instance UIDs of objects that were not retrieved, as the peer lists them in its final response."""
        return self._operation.failed_uids


def move_contexts(model: QueryModel | str) -> Sequence[PresentationContext]:
    """What to propose for a C-MOVE."""
    return [PresentationContext(sop_class_of(model, "C-MOVE"))]


def get_contexts(
    model: QueryModel | str, storage: Iterable[str | PresentationContext]
) -> Sequence[PresentationContext]:
    """What to propose for a C-GET: objects come on the same association, so that we are SCP for their SOP classes.

    Where there is room for it, SOP classes are proposed in each usual transfer syntax for itself, so that objects come
    as they are kept; otherwise in the two that everybody supports for themselves; or in one context for both.
    """
    classes = list(dict.fromkeys(storage))
    proposals = [item for item in classes if isinstance(item, PresentationContext)]
    plain = [uid for uid in classes if isinstance(uid, str)]
    room = MOST_CONTEXTS - 1 - len(proposals)
    choices = next((each for each in CHOICES if len(each) * len(plain) <= room), CHOICES[-1])
    proposals += [PresentationContext(uid, choice, scu=False, scp=True) for uid in plain for choice in choices]
    return [PresentationContext(sop_class_of(model, "C-GET")), *proposals]


async def send_move(
    provider: DimseProvider,
    sop_class: str,
    identifier: Dataset,
    destination: str,
    priority: int,
    channel: Channel[Progress],
    operation: RetrieveOperation,
) -> Progress:
    """C-MOVE as SCU.

    Raises:
        StatusError: the peer answered with a Failure status.
        InvalidInstance: the identifier cannot be encoded.
        DicomError: the association is over.
    """
    context = pick_context(provider, sop_class)
    command = Command(
        CommandField.C_MOVE_RQ, affected_sop_class_uid=sop_class, priority=priority, move_destination=destination
    )
    async with aclosing(operation.replies(provider, context, command, identifier, channel)) as replies:
        async for reply in replies:
            operation.take(provider, reply)
            if reply.is_pending:
                await channel.put(operation.progress)
            else:
                operation.conclude(provider, f"C-MOVE to {destination}", reply)
    return operation.progress


async def send_get(
    provider: DimseProvider,
    sop_class: str,
    identifier: Dataset,
    priority: int,
    channel: Channel[StoreRequest],
    operation: RetrieveOperation,
) -> Progress:
    """C-GET as SCU: objects go through the channel, each answered when whoever took it asks for the next.

    Where nobody takes them (the operation is only awaited) they go to the application of the association.

    Raises:
        StatusError: the peer answered with a Failure status.
        InvalidInstance: the identifier cannot be encoded.
        DicomError: the association is over.
    """
    context = pick_context(provider, sop_class)
    command = Command(CommandField.C_GET_RQ, affected_sop_class_uid=sop_class, priority=priority)
    wanted = None if channel.closed else channel

    def begun(pending: Pending) -> None:
        receive_objects(provider, pending, wanted)

    try:
        async with aclosing(operation.replies(provider, context, command, identifier, channel, begun)) as replies:
            async for reply in replies:
                operation.take(provider, reply)
                if not reply.is_pending:
                    operation.conclude(provider, "C-GET", reply)
    except StatusError:
        raise
    except BaseException:
        channel.close(failed=True)
        raise
    return operation.progress


def receive_objects(provider: DimseProvider, pending: Pending, channel: Channel[StoreRequest] | None) -> None:
    """Has the objects that come on an association handed over to a C-GET until its final response is there.

    After a C-CANCEL too: objects that are on their way then have to be answered.
    """

    def take(inbound: Inbound) -> Coroutine[Any, Any, None] | None:
        return provider.dispatch(inbound) if pending.future.done() else take_object(inbound, pending, channel)

    def forget(future: object) -> None:
        if provider.take_object is take:
            provider.take_object = None

    provider.take_object = take
    pending.future.add_done_callback(forget)


async def take_object(inbound: Inbound, pending: Pending, channel: Channel[StoreRequest] | None) -> None:
    """One C-STORE on behalf of a C-GET."""
    provider = inbound.provider
    if Role.SCP not in inbound.context.role and provider.upper.strict:
        await respond(inbound, Status.SOP_CLASS_NOT_SUPPORTED, "the role of an SCP was not negotiated")
        return
    if Role.SCP not in inbound.context.role:
        provider.upper.messages.note("sent an object of a SOP class for which it had not given us the role of an SCP")
    if channel is not None:
        await hand_over(inbound, channel)
    elif (serving := provider.dispatch(inbound)) is not None:
        await serving
    # It was our turn; now the peer has all of the time again.
    provider.expect_progress(pending)


async def hand_over(inbound: Inbound, channel: Channel[StoreRequest]) -> None:
    """One C-STORE on behalf of a C-GET: it is answered when what is done with the object is done."""
    try:
        request = StoreRequest(inbound)
    except Refused as error:
        await respond(inbound, error.status, error.comment)
        return
    if channel.closed:
        await respond(inbound, Status.PROCESSING_FAILURE, "the retrieval was ended")
        return
    # A window lets the peer send several at once, but they are taken one at a time.
    async with channel.turn:
        await channel.put(request)
    if was_kept(request, channel):
        await respond(inbound, Status.SUCCESS)
    else:
        await respond(inbound, Status.PROCESSING_FAILURE, "the object was not taken")
    for call in request.after_calls:
        try:
            await call()
        except Exception:
            logger.exception("%r: what was to run after the response failed", request)


def was_kept(request: StoreRequest, channel: Channel[StoreRequest]) -> bool:
    """Whether whoever got an object did with it what was to be done; who has left has to have read it at least."""
    return not channel.failed and not request.unsaved and (request.body.taken or not channel.closed)

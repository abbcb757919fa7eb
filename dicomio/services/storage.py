"""Storage: C-STORE as SCU (PS3.4 B, PS3.7 9.1.1). The SCP half is `dicomio.requests.StoreRequest`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from os import PathLike
from typing import Final, TypeAlias

from pydicom.dataset import Dataset

from dicomio.config import DEFAULT_TRANSFER_SYNTAXES, PresentationContext
from dicomio.datasets import Instance, convert, convertible
from dicomio.datasets.instance import StrPath
from dicomio.dimse import DimseProvider
from dicomio.errors import NoPresentationContext
from dicomio.negotiation import AcceptedContext
from dicomio.operations import Pending
from dicomio.outgoing import AT_ONCE, BytesData, DataSource, FileData, StreamData, read_region, send_message
from dicomio.pace import promptly
from dicomio.requests import StoreProgress, StoreRequest
from dicomio.responses import Channel
from dicomio.services.contexts import contexts_for, refusal
from dicomio.services.reply import Response, check
from dicomio.threads import in_thread
from dicomio.wire.commands import Command, CommandField

__all__ = ["Priority", "Source", "StoreOptions", "StoreResponse", "contexts_to_propose", "open_source", "send_store"]

Source: TypeAlias = StrPath | Dataset | Instance | StoreRequest
StoreResponse: TypeAlias = Response


# To a peer that takes PDUs of a few bytes, even short objects go in batches: laying out so many takes its time.
LEAST_PAYLOAD: Final = 1024


class Priority(IntEnum):
    """Priority (0000,0700) of an operation (PS3.7 E.1)."""

    MEDIUM = 0
    HIGH = 1
    LOW = 2


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a C-STORE-RQ says beside the object.

    Args:
        priority: how urgent it is.
        move_originator: AE title of who asked for the object with a C-MOVE.
        move_originator_message_id: message ID of that C-MOVE.
    """

    priority: int = Priority.MEDIUM
    move_originator: str | None = None
    move_originator_message_id: int | None = None


async def open_source(source: Source) -> Instance | StoreRequest:
    """Finds out what is to be sent; a file is only looked at, a data set is encoded.

    Raises:
        TypeError: it is nothing of what can be sent.
        InvalidInstance: it is not a DICOM object.
        OSError: the file cannot be read.
    """
    if isinstance(source, Instance | StoreRequest):
        return source
    if isinstance(source, Dataset):
        return await in_thread(Instance.from_dataset, source)
    if not isinstance(source, str | PathLike):
        raise TypeError(f"{repr(source)[:200]} cannot be sent: a path, a data set or an instance is expected")
    return await promptly(Instance.open, source)


@lru_cache(maxsize=1024)
def contexts_to_propose(sop_class: str, transfer_syntax: str) -> Sequence[PresentationContext]:
    """What to propose for an object: its own transfer syntax, and apart from that what it can be converted to."""
    own = PresentationContext(sop_class, (transfer_syntax,))
    others = tuple(syntax for syntax in DEFAULT_TRANSFER_SYNTAXES if syntax != transfer_syntax)
    if convertible(transfer_syntax, others) is None:
        return (own,)
    return (own, PresentationContext(sop_class, others))


async def send_store(
    provider: DimseProvider,
    source: Instance | StoreRequest,
    options: StoreOptions,
    progress: Channel[StoreProgress],
) -> StoreResponse:
    """C-STORE as SCU.

    Raises:
        NoPresentationContext: the peer accepted neither the transfer syntax nor one it can be converted to.
        StatusError: the peer answered with a Failure status.
        DicomError: the association is over, or the object cannot be converted.
        OSError: the file cannot be read.
    """
    provider.check_open()
    context, source = await fit(provider, source)
    command = Command(
        CommandField.C_STORE_RQ,
        affected_sop_class_uid=source.sop_class_uid,
        affected_sop_instance_uid=source.sop_instance_uid,
        priority=options.priority,
        move_originator=options.move_originator,
        move_originator_message_id=options.move_originator_message_id,
        has_data_set=True,
    )
    if isinstance(source, Instance) and source.length <= AT_ONCE and provider.upper.send_payload >= LEAST_PAYLOAD:
        pending = await provider.begin(context, CommandField.C_STORE_RQ)
        command.message_id = pending.message_id
        await send_at_once(provider, pending, command, source)
        progress.offer(StoreProgress(source.length, source.length))
    else:
        data = data_of(source)
        pending = await provider.begin(context, CommandField.C_STORE_RQ)
        command.message_id = pending.message_id
        await send_message(
            provider, pending, command, data, lambda sent: progress.offer(StoreProgress(sent, data.total))
        )
    reply = await provider.reply(pending)
    return check(provider, f"C-STORE of {source.sop_instance_uid}", reply, source.sop_class_uid)


async def fit(
    provider: DimseProvider, source: Instance | StoreRequest
) -> tuple[AcceptedContext, Instance | StoreRequest]:
    """The presentation context to send an object on, and the object as that context needs it."""
    accepted = {context.transfer_syntax: context for context in contexts_for(provider, source.sop_class_uid)}
    if context := accepted.get(source.transfer_syntax):
        return context, source
    target = convertible(source.transfer_syntax, accepted)
    if target is None:
        offer = f"accepted for it: {', '.join(accepted)}" if accepted else refusal(provider, source.sop_class_uid)
        raise NoPresentationContext(source.sop_class_uid, source.transfer_syntax, detail=offer)
    if isinstance(source, StoreRequest):
        data = await source.read()
        source = Instance.from_bytes(source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax, data)
    return accepted[target], await in_thread(convert, source, target, provider.limits)


async def send_at_once(provider: DimseProvider, pending: Pending, command: Command, instance: Instance) -> None:
    """Sends a request with a short data set in one piece, right behind a message that is being sent."""
    try:
        data = instance.data
        if data is None:
            assert instance.path is not None
            data = await promptly(read_region, instance.path, instance.offset, instance.length, instance.stamp)
        provider.check_open()
        # Data sets have even lengths; files that were deflated without the NUL of PS3.5 A.5 get theirs here.
        provider.post_for(pending, command, b"".join((data, b"\0")) if len(data) & 1 else data)
    except BaseException:
        provider.forget(pending)
        raise


def data_of(source: Instance | StoreRequest) -> DataSource:
    """Where the data set of an object comes from."""
    if isinstance(source, StoreRequest):
        return StreamData(source.chunks())
    if source.data is not None:
        return BytesData(source.data)
    assert source.path is not None
    return FileData(source.path, source.offset, source.length, source.stamp)

"""Query: C-FIND, both sides (PS3.4 C.4.1, K, PS3.7 9.1.2)."""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

import anyio.to_thread
from pydicom.dataset import Dataset

from dicomio.calling import call
from dicomio.config import PresentationContext
from dicomio.datasets import decode
from dicomio.dimse import DimseProvider
from dicomio.requests import FindRequest
from dicomio.responses import Channel, retrieve
from dicomio.services.contexts import pick_context, sop_class_of
from dicomio.services.operation import Operation, OperationResponses
from dicomio.sop.models import QueryModel
from dicomio.wire.commands import Command, CommandField

__all__ = ["Match", "Matches", "contexts_to_propose", "performer", "send_find"]

P = ParamSpec("P")
T = TypeVar("T")

Match: TypeAlias = Dataset | Mapping[str, Any]

# Matches that may be decoded before somebody takes them.
AHEAD: Final = 16
# A generator in a worker thread hands over so many matches at once, or what it found in so many seconds.
BATCH: Final = 64
PATIENCE: Final = 0.05


class Matches(OperationResponses[Dataset, Sequence[Dataset], Operation]):
    """The matches of a C-FIND as they come; when awaited, all of those that were not iterated.

    Attributes:
        received: matches received so far.
    """

    def __init__(self, work: Callable[[Channel[Dataset], Operation], Coroutine[Any, Any, Sequence[Dataset]]]) -> None:
        super().__init__(Operation(), work)


def contexts_to_propose(model: QueryModel | str) -> Sequence[PresentationContext]:
    """What to propose for a query."""
    return [PresentationContext(sop_class_of(model, "C-FIND"))]


async def send_find(
    provider: DimseProvider,
    sop_class: str,
    identifier: Dataset,
    priority: int,
    channel: Channel[Dataset],
    operation: Operation,
) -> Sequence[Dataset]:
    """C-FIND as SCU.

    Returns:
        The matches that nobody iterated.

    Raises:
        StatusError: the peer answered with a Failure status.
        InvalidInstance: the identifier cannot be encoded, or a match cannot be decoded.
        DicomError: the association is over.
    """
    context = pick_context(provider, sop_class)
    command = Command(CommandField.C_FIND_RQ, affected_sop_class_uid=sop_class, priority=priority)
    channel.capacity = AHEAD
    found: list[Dataset] = []
    async with aclosing(operation.replies(provider, context, command, identifier, channel)) as replies:
        async for reply in replies:
            if not reply.is_pending:
                operation.conclude(provider, "C-FIND", reply)
            elif reply.data is None:
                provider.upper.messages.note("sent a match without an identifier")
            else:
                match = decode(reply.data, context.transfer_syntax, provider.limits)
                if channel.closed:
                    found.append(match)
                else:
                    await channel.put(match)
    return [*channel.left, *found]


# as SCP


def performer(func: Callable[..., Any]) -> Callable[[FindRequest], Awaitable[Any]]:
    """A handler for C-FIND, of any kind, as one that sends its matches.

    It may be an async generator; a generator, which runs in a worker thread; or a function of either kind that
    returns matches, or a status.
    """

    async def perform(request: FindRequest) -> Any:
        request.identifier  # noqa: B018  # raises what is wrong with it, before the handler is called
        return await send_matches(request, await call(func, request))

    return perform


async def send_matches(request: FindRequest, result: Any) -> Any:
    """Sends what a handler came to; returns its status."""
    if isinstance(result, AsyncIterable):
        try:
            async for match in result:
                await request.send(match)
        finally:
            close = getattr(result, "aclose", None)
            if close is not None:
                await close()
        return None
    if isinstance(result, Iterator):
        await send_from_thread(request, result)
        return None
    if isinstance(result, Iterable) and not isinstance(result, Dataset | Mapping | str):
        for match in result:
            await request.send(match)
        return None
    return result


async def send_from_thread(request: FindRequest, matches: Iterator[Match]) -> None:
    """Sends what a generator yields in a worker thread."""
    try:
        while batch := await to_its_end(take, matches):
            for match in batch:
                if isinstance(match, Failure):
                    raise match.error
                await request.send(match)
    finally:
        close = getattr(matches, "close", None)
        if close is not None:
            await to_its_end(close)


class Failure:
    """What a generator raised after the matches before it."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def take(matches: Iterator[Match]) -> list[Match | Failure]:
    """The next few matches, in a worker thread; none at the end."""
    batch: list[Match | Failure] = []
    started = time.monotonic()
    try:
        for match in matches:
            batch.append(match)
            if len(batch) >= BATCH or time.monotonic() - started > PATIENCE:
                break
    except Exception as error:
        batch.append(Failure(error))
    return batch


async def to_its_end(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a function in a worker thread from which it may call back into the event loop.

    When cancelled it waits for the function first: a generator cannot be closed while it is running.
    """
    visit = asyncio.ensure_future(anyio.to_thread.run_sync(partial(func, *args, **kwargs)))
    try:
        return await asyncio.shield(visit)
    except asyncio.CancelledError:
        while not visit.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([visit])
        retrieve(visit)
        raise

"""Getting objects from a peer, in whichever way it can: by C-GET, or by a C-MOVE to ourselves (PS3.4 C.4.2, C.4.3)."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

from pydicom.dataset import Dataset

from dicomio import sop
from dicomio.config import PresentationContext
from dicomio.dimse import DimseProvider
from dicomio.errors import NoPresentationContext, StatusError
from dicomio.identifiers import query
from dicomio.receiver import Receiver
from dicomio.requests import Progress, StoreRequest
from dicomio.responses import Channel
from dicomio.services.contexts import contexts_for, sop_class_of
from dicomio.services.operation import Operation
from dicomio.services.query import send_find
from dicomio.services.reply import Response
from dicomio.services.retrieve import RetrieveOperation, get_contexts, send_get, send_move
from dicomio.sop.models import QueryModel
from dicomio.status import Status

__all__ = ["Retriever"]

# Presentation contexts of an association, without that of C-GET itself.
ROOM: Final = 127
# Seconds to wait for objects that come after the final response of a C-MOVE, where `Timeout.response` is not set.
PATIENCE: Final = 10.0

Reserve: TypeAlias = Callable[[Sequence[PresentationContext]], AbstractAsyncContextManager[DimseProvider]]
Storage: TypeAlias = Sequence[str | PresentationContext]


class Retriever:
    """One retrieval.

    Args:
        reserve: finds an association on which certain contexts were proposed.
        identifier: what to retrieve.
        model: the query model, or for C-GET alone the UID of a private SOP class.
        storage: SOP classes of the objects that may come; where there are none the peer is asked.
        priority: of the operation.
    """

    def __init__(
        self, reserve: Reserve, identifier: Dataset, model: QueryModel | str, storage: Storage, priority: int
    ) -> None:
        self.reserve = reserve
        self.identifier = identifier
        self.model = model
        self.storage = storage
        self.priority = priority

    # by C-GET

    async def get(self, channel: Channel[StoreRequest], operation: RetrieveOperation) -> Progress:
        """Retrieves by C-GET, over as many associations as the SOP classes need contexts.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support C-GET.
            DicomError: the association is over or could not be opened.
        """
        parts = list(self.parts(self.storage or await self.ask_classes() or sorted(sop.STORAGE)))
        for number, part in enumerate(parts):
            single = operation if len(parts) == 1 else RetrieveOperation()
            try:
                await self.get_part(part, channel, single)
            except StatusError:
                # Failing for want of contexts is what the other associations are for.
                is_last = number == len(parts) - 1
                if not single.progress.failed or (is_last and not operation.progress.completed):
                    raise
            finally:
                if single is not operation:
                    self.add_up(operation, single)
            if not single.progress.failed:
                break
        return operation.progress

    async def get_part(
        self, part: Sequence[str | PresentationContext], channel: Channel[StoreRequest], operation: RetrieveOperation
    ) -> None:
        """One C-GET for some of the SOP classes."""
        async with self.reserve(get_contexts(self.model, part)) as provider:
            sop_class = sop_class_of(self.model, "C-GET")
            await send_get(provider, sop_class, self.identifier, self.priority, channel, operation)

    def parts(self, storage: Iterable[str | PresentationContext]) -> Iterator[Storage]:
        """SOP classes in portions that fit one association."""
        every = list(dict.fromkeys(storage))
        for start in range(0, len(every), ROOM):
            yield every[start : start + ROOM]

    def add_up(self, whole: RetrieveOperation, part: RetrieveOperation) -> None:
        """Adds what came over one association; what failed there may come over the next."""
        before, now = whole.progress, part.progress
        if whole.response is None:
            whole.progress, whole.failed_uids = now, part.failed_uids
        else:
            # Every association has failures for want of the contexts of the others; and both may have some contexts.
            whole.failed_uids = [uid for uid in part.failed_uids if uid in whole.failed_uids]
            total, warning = max(before.total, now.total), before.warning + now.warning
            completed = before.completed + now.completed
            failed = len(whole.failed_uids) if part.failed_uids else max(0, total - completed - warning)
            whole.progress = Progress(min(completed, max(0, total - failed - warning)), failed, warning, now.remaining)
        whole.pending, whole.response = part.pending, part.response
        if part.response is not None and part.response.status.is_failure and whole.progress.completed:
            whole.response = Response(Status.COERCION_OF_DATA_ELEMENTS)
        if part.response is not None and now.failed and not whole.progress.failed:
            warned = whole.progress.warning > 0
            whole.response = Response(Status.COERCION_OF_DATA_ELEMENTS if warned else Status.SUCCESS)

    @property
    def study(self) -> str:
        """The study that the identifier is about; empty where that is not one."""
        uid = self.identifier.get("StudyInstanceUID")
        return uid if isinstance(uid, str) else ""

    async def ask_classes(self) -> Sequence[str]:
        """SOP Classes in Study (0008,0062), where a query can tell."""
        if not isinstance(self.model, QueryModel) or self.model.find is None or not self.study:
            return ()
        async with self.reserve([PresentationContext(self.model.find)]) as provider:
            return await self.classes_in_study(provider)

    async def classes_in_study(self, provider: DimseProvider) -> Sequence[str]:
        """Asks for the SOP classes in the study; a peer that does not support the key says nothing."""
        assert isinstance(self.model, QueryModel)
        find = self.model.find
        if find is None or not self.study or next(contexts_for(provider, find), None) is None:
            return ()
        keys = query("STUDY", StudyInstanceUID=self.study, SOPClassesInStudy="")
        if self.identifier.get("PatientID") and "PATIENT" in self.model.levels:
            keys.PatientID = self.identifier.PatientID
        nobody: Channel[Dataset] = Channel(closed=True)
        try:
            matches = await send_find(provider, find, keys, self.priority, nobody, Operation())
        except (StatusError, ValueError):
            return ()
        values = [match.get("SOPClassesInStudy") or [] for match in matches]
        return list(
            dict.fromkeys(str(uid) for value in values for uid in ([value] if isinstance(value, str) else value))
        )

    # either way

    async def retrieve(
        self,
        channel: Channel[StoreRequest],
        operation: RetrieveOperation,
        to: str,
        receiver: Callable[[], Awaitable[Receiver]],
    ) -> Progress:
        """Retrieves by C-GET where the peer accepts it, else by C-MOVE to ourselves.

        Args:
            channel: where the objects go.
            operation: what is known of it.
            to: AE title under which the peer knows us.
            receiver: gives the Storage SCP that listens there.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer supports neither.
            DicomError: the association is over or could not be opened.
            OSError: we cannot listen.
        """
        assert isinstance(self.model, QueryModel)
        model = self.model
        async with self.reserve([PresentationContext(uid) for uid in model]) as provider:
            can_get = model.get is not None and next(contexts_for(provider, model.get), None) is not None
            if not can_get:
                return await self.move(provider, channel, operation, to, await receiver())
            self.storage = self.storage or await self.classes_in_study(provider)
        return await self.get_or_move(channel, operation, to, receiver)

    async def get_or_move(
        self,
        channel: Channel[StoreRequest],
        operation: RetrieveOperation,
        to: str,
        receiver: Callable[[], Awaitable[Receiver]],
    ) -> Progress:
        """C-GET, unless the peer accepts no storage on our association: then C-MOVE after all."""
        assert isinstance(self.model, QueryModel)
        storage = list(self.storage or sorted(sop.STORAGE))[:ROOM]
        if self.model.move is not None:
            async with self.reserve(get_contexts(self.model, storage)) as provider:
                accepts = any(context.abstract_syntax not in self.model for context in provider.contexts.values())
            if not accepts:
                async with self.reserve([PresentationContext(self.model.move)]) as provider:
                    return await self.move(provider, channel, operation, to, await receiver())
        return await self.get(channel, operation)

    async def move(
        self,
        provider: DimseProvider,
        channel: Channel[StoreRequest],
        operation: RetrieveOperation,
        to: str,
        receiver: Receiver,
    ) -> Progress:
        """Retrieves by C-MOVE to the receiver."""
        assert isinstance(self.model, QueryModel)
        if self.model.move is None:
            raise NoPresentationContext(self.model.get or "", detail=f"{provider.peer} does not support C-GET")
        delivery = receiver.deliver(channel)
        nobody: Channel[Progress] = Channel(closed=True)
        # Objects name the C-MOVE they come for by its message ID, on whatever association it was.
        provider.next_id = delivery.message_id
        patience = provider.timeout.response if provider.timeout.response is not None else PATIENCE
        try:
            await send_move(provider, self.model.move, self.identifier, to, self.priority, nobody, operation)
            if operation.status != Status.CANCEL:
                await delivery.until(operation.progress.completed + operation.progress.warning, patience)
        except BaseException:
            channel.close(failed=True)
            raise
        finally:
            del receiver.deliveries[delivery.message_id]
        return operation.progress

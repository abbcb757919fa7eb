"""The calls that an association and a client have in common: everything one can ask a peer for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from pydicom.dataset import Dataset

from dicomio.config import PresentationContext, checked_ae_title
from dicomio.dimse import DimseProvider
from dicomio.requests import Progress, StoreProgress, StoreRequest
from dicomio.responses import Channel, Responses
from dicomio.services import query, retrieve, verification
from dicomio.services.operation import Operation
from dicomio.services.query import Matches
from dicomio.services.retrieve import Retrieval, RetrieveOperation
from dicomio.services.storage import (
    Priority,
    Source,
    StoreOptions,
    StoreResponse,
    contexts_to_propose,
    open_source,
    send_store,
)
from dicomio.sop import STUDY_ROOT, QueryModel

__all__ = ["ServiceUser"]


class ServiceUser(ABC):
    """Who can ask a peer for something: an association, or a client that finds an association for each request."""

    @abstractmethod
    def reserve(self, contexts: Sequence[PresentationContext]) -> AbstractAsyncContextManager[DimseProvider]:
        """An association for one request.

        Args:
            contexts: the presentation contexts that the request needs, all that were proposed to be on it.
        """

    async def echo(self) -> float:
        """Asks the peer for a sign of life (C-ECHO).

        Returns:
            The round-trip time in seconds.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support Verification.
            DicomError: the association is over or could not be opened.
        """
        async with self.reserve([verification.CONTEXT]) as provider:
            return await verification.send_echo(provider)

    def store(
        self,
        source: Source,
        *,
        priority: int = Priority.MEDIUM,
        move_originator: str | None = None,
        move_originator_message_id: int | None = None,
    ) -> Responses[StoreProgress, StoreResponse]:
        """Sends an object (C-STORE). Files are streamed from the disk, whatever their size.

        `await` it for the response; iterate it to see how many bytes have left. Cancelling it while the data set is
        on its way aborts the association, since a message cannot be stopped otherwise.

        Args:
            source: path of a DICOM file, a data set, an `Instance`, or a `StoreRequest` to pass on as it arrives.
            priority: 0 medium, 1 high, 2 low.
            move_originator: AE title of who asked for this object with a C-MOVE.
            move_originator_message_id: message ID of that C-MOVE.

        Raises:
            StatusError: the peer answered with a Failure status; a Warning is returned.
            NoPresentationContext: the peer accepts neither the object's transfer syntax nor one it can be converted to.
            InvalidInstance: the source is not a DICOM object.
            OSError: the file cannot be read.
            DicomError: the association is over or could not be opened.
        """
        options = StoreOptions(priority, move_originator, move_originator_message_id)

        async def work(progress: Channel[StoreProgress]) -> StoreResponse:
            opened = await open_source(source)
            contexts = contexts_to_propose(opened.sop_class_uid, opened.transfer_syntax)
            async with self.reserve(contexts) as provider:
                return await send_store(provider, opened, options, progress)

        return Responses(work)

    def find(
        self, identifier: Dataset, *, model: QueryModel | str = STUDY_ROOT, priority: int = Priority.MEDIUM
    ) -> Matches:
        """Asks for what matches an identifier (C-FIND).

        Iterate it for a `Dataset` for each match, or `await` it for all of them. Use `async with` around an iteration
        that may end early: then the peer is told (C-CANCEL), and what it still sends is dropped. Whoever iterates
        slowly holds the peer back.

        Args:
            identifier: keys to match and attributes to return; `dicomio.query` makes one.
            model: a query model, or the UID of a private SOP class.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            InvalidInstance: the identifier cannot be encoded, or a match not be decoded.
            DicomError: the association is over or could not be opened.
        """
        sop_class = query.find_uid(model)

        async def work(channel: Channel[Dataset], operation: Operation) -> Sequence[Dataset]:
            async with self.reserve(query.contexts_to_propose(model)) as provider:
                return await query.send_find(provider, sop_class, identifier, priority, channel, operation)

        return Matches(work)

    def move(
        self,
        identifier: Dataset,
        *,
        to: str,
        model: QueryModel | str = STUDY_ROOT,
        priority: int = Priority.MEDIUM,
    ) -> Retrieval[Progress]:
        """Has the peer send objects to an application entity it knows (C-MOVE).

        Iterate it for the `Progress`, or `await` it for the final numbers; `failed_uids` lists what was not sent.
        Leaving an `async with` around the iteration ends the operation (C-CANCEL).

        Args:
            identifier: what to send.
            to: AE title of the destination, as the peer knows it.
            model: a query model, or the UID of a private SOP class.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        sop_class, destination = retrieve.move_uid(model), checked_ae_title(to)

        async def work(channel: Channel[Progress], operation: RetrieveOperation) -> Progress:
            async with self.reserve(retrieve.move_contexts(model)) as provider:
                return await retrieve.send_move(
                    provider, sop_class, identifier, destination, priority, channel, operation
                )

        return Retrieval(work)

    def get(
        self,
        identifier: Dataset,
        *,
        storage: Sequence[str | PresentationContext] = (),
        model: QueryModel | str = STUDY_ROOT,
        priority: int = Priority.MEDIUM,
    ) -> Retrieval[StoreRequest]:
        """Has the peer send objects to us on this association (C-GET).

        Iterate it for a `StoreRequest` for each object, the same that a store handler gets: `save` it, read it. The
        peer hears Success when the body of the loop is done, and a failure if it raises. Where it is only awaited,
        objects go to the application of the association (`app=`), and it returns the final numbers.

        Args:
            identifier: what to send.
            storage: SOP classes of the objects that may come; an association has to have been opened with them in the
                role of an SCP.
            model: a query model, or the UID of a private SOP class.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        sop_class = retrieve.get_uid(model)

        async def work(channel: Channel[StoreRequest], operation: RetrieveOperation) -> Progress:
            async with self.reserve(retrieve.get_contexts(model, storage)) as provider:
                return await retrieve.send_get(provider, sop_class, identifier, priority, channel, operation)

        return Retrieval(work)

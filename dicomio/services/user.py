"""The calls that an association and a client have in common: everything one can ask a peer for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from dicomio.config import PresentationContext
from dicomio.dimse import DimseProvider
from dicomio.requests import StoreProgress
from dicomio.responses import Channel, Responses
from dicomio.services import verification
from dicomio.services.storage import (
    Priority,
    Source,
    StoreOptions,
    StoreResponse,
    contexts_to_propose,
    open_source,
    send_store,
)

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

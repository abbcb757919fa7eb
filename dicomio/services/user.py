"""The calls that an association and a client have in common: everything one can ask a peer for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from pydicom.dataset import Dataset

from dicomio.config import PresentationContext, Role, checked_ae_title
from dicomio.dimse import DimseProvider
from dicomio.identifiers import as_dataset
from dicomio.requests import Progress, StoreProgress, StoreRequest
from dicomio.responses import Channel, Responses
from dicomio.services import normalized, query, retrieve, verification
from dicomio.services.contexts import sop_class_of
from dicomio.services.normalized import Answer
from dicomio.services.operation import Operation
from dicomio.services.query import Matches
from dicomio.services.reply import Response
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
from dicomio.wire.commands import Command, CommandField

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
        self,
        identifier: Dataset | Mapping[str, Any],
        *,
        model: QueryModel | str = STUDY_ROOT,
        priority: int = Priority.MEDIUM,
    ) -> Matches:
        """Asks for what matches an identifier (C-FIND).

        Iterate it for a `Dataset` for each match, or `await` it for all of them. Use `async with` around an iteration
        that may end early: then the peer is told (C-CANCEL), and what it still sends is dropped. Whoever iterates
        slowly holds the peer back.

        Args:
            identifier: keys to match and attributes to return, as `dicomio.query` makes them, or a mapping of their
                keywords, `QueryRetrieveLevel` included.
            model: a query model, or the UID of a private SOP class.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            TypeError: the identifier is neither a data set nor a mapping of keywords.
            ValueError: a keyword is not in the data dictionary, or the model has no C-FIND.
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            InvalidInstance: the identifier cannot be encoded, or a match not be decoded.
            DicomError: the association is over or could not be opened.
        """
        sop_class, keys = sop_class_of(model, "C-FIND"), as_dataset(identifier, "identifier")

        async def work(channel: Channel[Dataset], operation: Operation) -> Sequence[Dataset]:
            async with self.reserve(query.contexts_to_propose(model)) as provider:
                return await query.send_find(provider, sop_class, keys, priority, channel, operation)

        return Matches(work)

    def move(
        self,
        identifier: Dataset | Mapping[str, Any],
        *,
        to: str,
        model: QueryModel | str = STUDY_ROOT,
        priority: int = Priority.MEDIUM,
    ) -> Retrieval[Progress]:
        """Has the peer send objects to an application entity it knows (C-MOVE).

        Iterate it for the `Progress`, or `await` it for the final numbers; `failed_uids` lists what was not sent.
        Leaving an `async with` around the iteration ends the operation (C-CANCEL).

        Args:
            identifier: what to send, as for `find`.
            to: AE title of the destination, as the peer knows it.
            model: a query model, or the UID of a private SOP class.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        sop_class, destination = sop_class_of(model, "C-MOVE"), checked_ae_title(to)
        keys = as_dataset(identifier, "identifier")

        async def work(channel: Channel[Progress], operation: RetrieveOperation) -> Progress:
            async with self.reserve(retrieve.move_contexts(model)) as provider:
                return await retrieve.send_move(provider, sop_class, keys, destination, priority, channel, operation)

        return Retrieval(work)

    def get(
        self,
        identifier: Dataset | Mapping[str, Any],
        *,
        storage: Sequence[str | PresentationContext] = (),
        model: QueryModel | str = STUDY_ROOT,
        priority: int = Priority.MEDIUM,
    ) -> Retrieval[StoreRequest]:
        """Has the peer send objects to us on the association of the request (C-GET).

        Iterate it for a `StoreRequest` for each object, the same that a store handler gets: `save` it, read it. The
        peer hears Success when the body of the loop is done, and a failure if it raises. Where it is only awaited,
        objects go to the application of the association or client (`app=`), and it returns the final numbers.

        Args:
            identifier: what to send, as for `find`.
            storage: SOP classes of the objects that may come. An association has to have been opened with them in the
                role of an SCP. A client asks the peer for SOP Classes in Study where none are given, and where it
                cannot tell, every standard one is proposed, on two associations if need be.
            model: a query model, or the UID of a private SOP class.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        sop_class_of(model, "C-GET")
        return Retrieval(partial(self._get, as_dataset(identifier, "identifier"), storage, model, priority))

    async def _get(
        self,
        identifier: Dataset,
        storage: Sequence[str | PresentationContext],
        model: QueryModel | str,
        priority: int,
        channel: Channel[StoreRequest],
        operation: RetrieveOperation,
    ) -> Progress:
        """The work of `get`."""
        async with self.reserve(retrieve.get_contexts(model, storage)) as provider:
            sop_class = sop_class_of(model, "C-GET")
            return await retrieve.send_get(provider, sop_class, identifier, priority, channel, operation)

    async def n_create(
        self,
        sop_class: str,
        instance: str | None,
        attributes: Dataset | Mapping[str, Any] | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> Answer:
        """Creates an instance (N-CREATE, PS3.7 10.1.5).

        Args:
            sop_class: SOP class UID.
            instance: SOP Instance UID, `None` to leave the choice to the peer.
            attributes: that the instance is to have: a data set, or a mapping of keywords.
            negotiated_as: abstract syntax of the presentation context, where that is a meta SOP class, or another one
                of the same service.

        Returns:
            The attributes that the peer sent back; `response.sop_instance_uid` tells what it chose.

        Raises:
            StatusError: the peer answered with a Failure status; `response` lists attributes at fault.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        command = Command(
            CommandField.N_CREATE_RQ, affected_sop_class_uid=sop_class, affected_sop_instance_uid=instance
        )
        return await self._invoke(command, sop_class, optional(attributes, "attributes"), negotiated_as)

    async def n_set(
        self,
        sop_class: str,
        instance: str,
        modifications: Dataset | Mapping[str, Any],
        *,
        negotiated_as: str | None = None,
    ) -> Answer:
        """Changes attributes of an instance (N-SET, PS3.7 10.1.3).

        Args:
            sop_class: SOP class UID.
            instance: SOP Instance UID.
            modifications: the attributes that change, as for `n_create`.
            negotiated_as: as for `n_create`.

        Returns:
            The attributes that the peer sent back.

        Raises:
            StatusError: the peer answered with a Failure status; `response` lists attributes at fault.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        command = Command(CommandField.N_SET_RQ, requested_sop_class_uid=sop_class, requested_sop_instance_uid=instance)
        return await self._invoke(command, sop_class, as_dataset(modifications, "modifications"), negotiated_as)

    async def n_get(
        self, sop_class: str, instance: str, *attributes: int | str, negotiated_as: str | None = None
    ) -> Answer:
        """Reads attributes of an instance (N-GET, PS3.7 10.1.2).

        Args:
            sop_class: SOP class UID.
            instance: SOP Instance UID.
            attributes: keywords or tags of those that are wanted; all of them where none is given.
            negotiated_as: as for `n_create`.

        Returns:
            The attributes. Where some do not exist its status is a Warning and `response` lists them.

        Raises:
            StatusError: the peer answered with a Failure status.
            ValueError: a keyword is not in the data dictionary.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        command = Command(
            CommandField.N_GET_RQ,
            requested_sop_class_uid=sop_class,
            requested_sop_instance_uid=instance,
            attribute_identifiers=normalized.tags_of(attributes),
        )
        return await self._invoke(command, sop_class, None, negotiated_as)

    async def n_delete(self, sop_class: str, instance: str, *, negotiated_as: str | None = None) -> Response:
        """Deletes an instance (N-DELETE, PS3.7 10.1.6).

        Args:
            sop_class: SOP class UID.
            instance: SOP Instance UID.
            negotiated_as: as for `n_create`.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        command = Command(
            CommandField.N_DELETE_RQ, requested_sop_class_uid=sop_class, requested_sop_instance_uid=instance
        )
        return (await self._invoke(command, sop_class, None, negotiated_as)).response

    async def n_action(
        self,
        sop_class: str,
        instance: str,
        action_type: int,
        information: Dataset | Mapping[str, Any] | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> Answer:
        """Has something done to an instance (N-ACTION, PS3.7 10.1.4).

        Args:
            sop_class: SOP class UID.
            instance: SOP Instance UID.
            action_type: Action Type ID.
            information: Action Information, a data set or a mapping of keywords.
            negotiated_as: as for `n_create`.

        Returns:
            The action reply.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class.
            DicomError: the association is over or could not be opened.
        """
        command = Command(
            CommandField.N_ACTION_RQ,
            requested_sop_class_uid=sop_class,
            requested_sop_instance_uid=instance,
            action_type_id=action_type,
        )
        return await self._invoke(command, sop_class, optional(information, "information"), negotiated_as)

    async def n_event_report(
        self,
        sop_class: str,
        instance: str,
        event_type: int,
        information: Dataset | Mapping[str, Any] | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> Answer:
        """Reports an event of an instance, as its SCP (N-EVENT-REPORT, PS3.7 10.1.1).

        Args:
            sop_class: SOP class UID.
            instance: SOP Instance UID.
            event_type: Event Type ID.
            information: Event Information, a data set or a mapping of keywords.
            negotiated_as: as for `n_create`.

        Returns:
            The event reply.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support the SOP class in that role.
            DicomError: the association is over or could not be opened.
        """
        command = Command(
            CommandField.N_EVENT_REPORT_RQ,
            affected_sop_class_uid=sop_class,
            affected_sop_instance_uid=instance,
            event_type_id=event_type,
        )
        return await self._invoke(command, sop_class, optional(information, "information"), negotiated_as, Role.SCP)

    async def _invoke(
        self,
        command: Command,
        sop_class: str,
        data_set: Dataset | None,
        negotiated_as: str | None,
        role: Role = Role.SCU,
    ) -> Answer:
        """Any of the six."""
        async with self.reserve(normalized.proposals(sop_class, negotiated_as, role)) as provider:
            return await normalized.invoke(provider, command, data_set, negotiated_as=negotiated_as, role=role)


def optional(given: Dataset | Mapping[str, Any] | None, name: str) -> Dataset | None:
    """A data set or nothing, of what may be given for it."""
    return as_dataset(given, name) if given is not None else None

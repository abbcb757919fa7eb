"""Asking a peer for work, giving it work, and doing it: the SCU of UPS Push, Pull and Query (PS3.4 CC)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio.association import Association
from dicomio.client import Client
from dicomio.config import PresentationContext
from dicomio.dimse import DimseProvider
from dicomio.errors import LocalProtocolError, NoPresentationContext
from dicomio.identifiers import dataset
from dicomio.responses import Channel
from dicomio.services import query
from dicomio.services.normalized import Answer
from dicomio.services.operation import Operation
from dicomio.services.query import Matches
from dicomio.services.storage import Priority
from dicomio.sop import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)
from dicomio.workflows.ups.attributes import Code, code_item, copy_of, scheduled
from dicomio.workflows.ups.states import UPSState
from dicomio.workflows.ups.step import UPSStep
from dicomio.workflows.ups.watching import ALL, UPSEvents, UPSWatcher

__all__ = ["UPSWorklist"]

T = TypeVar("T")

PUSH: Final = UnifiedProcedureStepPush
PULL: Final = UnifiedProcedureStepPull
WATCH: Final = UnifiedProcedureStepWatch

# Action Type IDs (PS3.4 Tables CC.2.1-1, CC.2.2-1, CC.2.3-1)
CHANGE_STATE: Final = 1
REQUEST_CANCEL: Final = 2
SUBSCRIBE: Final = 3
UNSUBSCRIBE: Final = 4
SUSPEND: Final = 5


class UPSWorklist:
    """The Unified Procedure Steps that a peer manages.

    All requests name the SOP class UPS Push, whichever of the five SOP classes the presentation context is for (PS3.4
    CC.3.1.1): a client proposes those that may be needed, of an association those are used that it has.

    Args:
        peer: an association with who manages the steps, or a client of it.
        watcher: gets the events, where steps are to be watched. Where its application is that of the client too, the
            peer may send them on the associations of the client.
    """

    def __init__(self, peer: Association | Client, watcher: UPSWatcher | None = None) -> None:
        self.peer = peer
        self.watcher = watcher
        classes = [PUSH, PULL, WATCH, UnifiedProcedureStepQuery]
        if watcher is not None and isinstance(peer, Client) and peer.app is watcher.app:
            # Here the peer may report events, as the SCP that it is, without opening an association of its own.
            classes.append(UnifiedProcedureStepEvent)
        self.contexts = [PresentationContext(uid) for uid in classes]

    @property
    def ae_title(self) -> str:
        """AE title of the peer."""
        return self.peer.address.ae_title if isinstance(self.peer, Client) else self.peer.peer.ae_title

    @property
    def local_ae_title(self) -> str:
        """Our own AE title."""
        return self.peer.ae_title if isinstance(self.peer, Client) else self.peer.local.ae_title

    # UPS Push

    async def create(self, step: Dataset, uid: str | None = None) -> str:
        """Has a step created, to be performed by whoever claims it (PS3.4 CC.2.5).

        Args:
            step: its attributes. Needed is a Procedure Step Label; the priority is MEDIUM, the start now and the input
                READY where nothing else is said, and what may be empty need not be there.
            uid: SOP Instance UID, a new one by default.

        Returns:
            Its SOP Instance UID.

        Raises:
            StatusError: the peer does not want it; `response` lists attributes at fault.
            NoPresentationContext: the peer does not support UPS Push.
            DicomError: the association is over or could not be opened.
        """
        attributes = scheduled(step, datetime.now().astimezone())
        uid = uid or str(generate_uid())
        answer = await self._ask([PUSH], lambda peer, used: peer.n_create(PUSH, uid, attributes, negotiated_as=used))
        return answer.response.sop_instance_uid or uid

    async def request_cancel(
        self, uid: str, reason: str = "", *, code: Code | None = None, contact: str = "", contact_uri: str = ""
    ) -> Answer:
        """Asks for a step that somebody else performs to be canceled (PS3.4 CC.2.2).

        Success means that the request has been accepted; whether the step is canceled is up to its performer.

        Args:
            uid: its SOP Instance UID.
            reason: Reason For Cancellation (0074,1238).
            code: a reason for Procedure Step Discontinuation Reason Code Sequence (0074,100E).
            contact: Contact Display Name (0074,100C) of who may be asked about it.
            contact_uri: Contact URI (0074,100A), likewise.

        Raises:
            StatusError: it is COMPLETED already, its performer declines or cannot be contacted, or there is none.
            NoPresentationContext: the peer supports neither UPS Push nor UPS Watch.
            DicomError: the association is over or could not be opened.
        """
        told = {"ReasonForCancellation": reason, "ContactDisplayName": contact, "ContactURI": contact_uri}
        information = dataset(**{keyword: value for keyword, value in told.items() if value})
        if code is not None:
            information.ProcedureStepDiscontinuationReasonCodeSequence = [code_item(code)]
        return await self._action([PUSH, WATCH], uid, REQUEST_CANCEL, information or None)

    # UPS Pull, UPS Query

    def find(self, identifier: Dataset, *, priority: int = Priority.MEDIUM) -> Matches:
        """Asks for steps that match an identifier (PS3.4 CC.2.8); see `Client.find`.

        Args:
            identifier: keys to match and attributes to return; `dicomio.dataset` makes one.
            priority: 0 medium, 1 high, 2 low.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer supports neither UPS Pull, UPS Watch nor UPS Query.
            DicomError: the association is over or could not be opened.
        """

        async def work(channel: Channel[Dataset], operation: Operation) -> Sequence[Dataset]:
            async with self.peer.reserve(self.contexts) as provider:
                used = negotiated(provider, [PULL, UnifiedProcedureStepQuery, WATCH])
                return await query.send_find(provider, used, identifier, priority, channel, operation)

        return Matches(work)

    async def get(self, uid: str, *attributes: int | str) -> Answer:
        """Reads attributes of a step (PS3.4 CC.2.7).

        Args:
            uid: its SOP Instance UID.
            attributes: keywords or tags of those that are wanted; all of them where none is given.

        Raises:
            StatusError: there is no such step.
            NoPresentationContext: the peer supports neither UPS Pull, UPS Watch nor UPS Push.
            DicomError: the association is over or could not be opened.
        """
        return await self._ask(
            [PULL, WATCH, PUSH], lambda peer, used: peer.n_get(PUSH, uid, *attributes, negotiated_as=used)
        )

    async def set(self, uid: str, modifications: Dataset, transaction_uid: str | None = None) -> Answer:
        """Changes attributes of a step (PS3.4 CC.2.6).

        Args:
            uid: its SOP Instance UID.
            modifications: the attributes that change.
            transaction_uid: that the step was claimed with; none while it is SCHEDULED.

        Raises:
            StatusError: somebody else has claimed it, it is in a final state, or an attribute is at fault.
            NoPresentationContext: the peer does not support UPS Pull.
            DicomError: the association is over or could not be opened.
        """
        changed = copy_of(modifications)
        if transaction_uid is not None:
            changed.TransactionUID = transaction_uid
        return await self._ask([PULL], lambda peer, used: peer.n_set(PUSH, uid, changed, negotiated_as=used))

    async def change_state(self, uid: str, state: UPSState | str, transaction_uid: str) -> Answer:
        """Changes the state of a step (PS3.4 CC.2.1); `claim` does so at the right moments.

        Args:
            uid: its SOP Instance UID.
            state: IN PROGRESS, COMPLETED or CANCELED.
            transaction_uid: a new one for IN PROGRESS, the same afterwards.

        Raises:
            StatusError: that is not possible from the state in which it is, the Transaction UID is not the right one,
                or the step lacks attributes that a final state needs.
            NoPresentationContext: the peer does not support UPS Pull.
            DicomError: the association is over or could not be opened.
        """
        information = Dataset()
        information.ProcedureStepState, information.TransactionUID = UPSState(state).value, transaction_uid
        return await self._action([PULL], uid, CHANGE_STATE, information)

    def claim(
        self,
        uid: str,
        *,
        station: Code | None = None,
        workitem: Code | None = None,
        transaction_uid: str | None = None,
        timeout: float | None = 10.0,
    ) -> UPSStep:
        """Claims a step: it is IN PROGRESS in the block, COMPLETED after it, and CANCELED if an exception leaves it.

        Args:
            uid: its SOP Instance UID.
            station: where it is performed; what was scheduled by default, or else our AE title as a local code.
            workitem: what is performed; what was scheduled by default, or else the step's label as a local code.
            transaction_uid: to go on with a step that was claimed with it before; a new one by default.
            timeout: seconds that telling the peer of an exception may take.

        Raises:
            StatusError: somebody else has claimed it, it has ended, or there is no such step.
            NoPresentationContext: the peer does not support UPS Pull.
            DicomError: the association is over or could not be opened.
        """
        return UPSStep(self, uid, station=station, workitem=workitem, transaction_uid=transaction_uid, timeout=timeout)

    # UPS Watch

    def watch(
        self,
        uid: str = ALL,
        *,
        filter: Dataset | None = None,
        deletion_lock: bool = False,
        timeout: float | None = 10.0,
    ) -> UPSEvents:
        """Watches a step, or all of them: `async with worklist.watch() as events`, then iterate the events.

        Args:
            uid: SOP Instance UID of a step; all of them by default.
            filter: keys that steps have to match, of all.
            deletion_lock: have steps kept that have ended, so that there is time to read them, until the block is left.
            timeout: seconds that unsubscribing may take where an exception leaves the block.

        Raises:
            LocalProtocolError: there is no watcher to get the events.
        """
        if self.watcher is None:
            raise LocalProtocolError("a worklist can be watched only with a watcher, which gets the events")
        return UPSEvents(self.watcher, self, uid, deletion_lock=deletion_lock, filter=filter, timeout=timeout)

    async def subscribe(
        self, uid: str = ALL, *, receiving_ae: str, deletion_lock: bool = False, filter: Dataset | None = None
    ) -> Answer:
        """Subscribes an application entity to the events of a step, or of all (PS3.4 CC.2.3).

        Args:
            uid: SOP Instance UID of the step.
            receiving_ae: AE title of who is to get them.
            deletion_lock: keep steps that have ended until it unsubscribes.
            filter: keys that steps have to match, for a filtered global subscription.

        Raises:
            StatusError: there is no such step, the AE title is not known, or there are no events.
            NoPresentationContext: the peer does not support UPS Watch.
            DicomError: the association is over or could not be opened.
        """
        information = Dataset()
        if filter is not None:
            information.update(filter)
        information.ReceivingAE, information.DeletionLock = receiving_ae, "TRUE" if deletion_lock else "FALSE"
        return await self._action([WATCH], uid, SUBSCRIBE, information)

    async def unsubscribe(self, uid: str = ALL, *, receiving_ae: str) -> Answer:
        """Ends the subscription to a step; with the default, every subscription that the application entity has.

        Raises:
            StatusError: there is no such step.
            NoPresentationContext: the peer does not support UPS Watch.
            DicomError: the association is over or could not be opened.
        """
        information = Dataset()
        information.ReceivingAE = receiving_ae
        return await self._action([WATCH], uid, UNSUBSCRIBE, information)

    async def suspend(self, *, receiving_ae: str) -> Answer:
        """Suspends a global subscription: steps created from now on are not subscribed to, those that are there stay.

        Raises:
            StatusError: the peer answered with a Failure status.
            NoPresentationContext: the peer does not support UPS Watch.
            DicomError: the association is over or could not be opened.
        """
        information = Dataset()
        information.ReceivingAE = receiving_ae
        return await self._action([WATCH], ALL, SUSPEND, information)

    async def _action(self, classes: Sequence[str], uid: str, action_type: int, information: Dataset | None) -> Answer:
        return await self._ask(
            classes, lambda peer, used: peer.n_action(PUSH, uid, action_type, information, negotiated_as=used)
        )

    async def _ask(self, classes: Sequence[str], call: Callable[[Association, str], Awaitable[T]]) -> T:
        """A request on a presentation context for one of some SOP classes."""
        async with self.peer.reserve(self.contexts) as provider:
            assert isinstance(provider, Association)
            return await call(provider, negotiated(provider, classes))


def negotiated(provider: DimseProvider, classes: Sequence[str]) -> str:
    """The first of some SOP classes for which there is a presentation context.

    Raises:
        NoPresentationContext: there is none.
    """
    accepted = {context.abstract_syntax for context in provider.contexts.values()}
    for uid in classes:
        if uid in accepted:
            return uid
    raise NoPresentationContext(classes[0])

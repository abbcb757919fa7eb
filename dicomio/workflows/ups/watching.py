"""Hearing of what happens to Unified Procedure Steps: the SCU of UPS Watch and UPS Event (PS3.4 CC.2.3, CC.2.4)."""

import logging
from types import TracebackType
from typing import Final, Protocol, Self

import anyio
from pydicom.dataset import Dataset

from dicomio.application import Application
from dicomio.errors import DicomError
from dicomio.requests import EventReport
from dicomio.services.normalized import Answer
from dicomio.sop import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from dicomio.status import Status
from dicomio.workflows.ups.events import SCPStatusChange, UPSEvent, read_event

__all__ = ["ALL", "Subscriber", "UPSEvents", "UPSWatcher"]

logger = logging.getLogger("dicomio.ups")

# The SOP Instance UID that stands for every step (PS3.4 CC.3.1.2).
ALL: Final = UPSGlobalSubscriptionInstance
EVERYTHING: Final = (UPSGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionInstance)

# Events that wait to be taken; then the peer has to wait.
AHEAD: Final = 1_000


class Subscriber(Protocol):
    """How to subscribe; `UPSWorklist` is one."""

    @property
    def ae_title(self) -> str:
        """AE title of who reports the events."""

    async def subscribe(
        self, uid: str, *, receiving_ae: str, deletion_lock: bool = False, filter: Dataset | None = None
    ) -> Answer:
        """Subscribes an AE to the events of a step."""

    async def unsubscribe(self, uid: str, *, receiving_ae: str) -> Answer:
        """Ends a subscription."""


class UPSWatcher:
    """Takes the event reports that peers send to an application, and gives them to who watches.

    One is needed for each application, however many worklists it watches: see `UPSWorklist.watch`. Reports may come on
    an association of ours with the peer, or on one that it opens, for which the application has to listen.

    Args:
        app: gets the handler for UPS events.
    """

    def __init__(self, app: Application) -> None:
        self.app = app
        self.watching: list[UPSEvents] = []
        app.n_event_report(UnifiedProcedureStepPush, UnifiedProcedureStepEvent)(self.report)

    async def report(self, request: EventReport) -> Status:
        """Serves an N-EVENT-REPORT; the answer waits until there is room for the event."""
        event = read_event(request)
        wanting = [events for events in self.watching if events.wants(event)]
        # The same step may be watched at one peer, and everything at another.
        from_it = [events for events in wanting if events.subscriber.ae_title == request.peer.ae_title]
        if not wanting:
            logger.info("%s: %s, for which nobody waits", request.peer, event)
            return Status.NO_SUCH_SOP_INSTANCE
        for events in from_it or wanting:
            await events.put(event)
        return Status.SUCCESS


class UPSEvents:
    """What happens to one step, or to all of them: `async with` subscribes and unsubscribes, iterating gives events.

    Args:
        watcher: where the events come in.
        subscriber: how to subscribe.
        uid: SOP Instance UID of the step, or `ALL`.
        deletion_lock: keep steps that have ended, until we unsubscribe.
        filter: keys that steps have to match, of all.
        timeout: seconds that unsubscribing may take where an exception has left the block.

    Attributes:
        answer: the response to the subscription; `None` before it is there. Its status is a Warning where the peer
            does not grant the deletion lock.
    """

    def __init__(
        self,
        watcher: UPSWatcher,
        subscriber: Subscriber,
        uid: str,
        *,
        deletion_lock: bool,
        filter: Dataset | None,
        timeout: float | None,
    ) -> None:
        self.watcher = watcher
        self.subscriber = subscriber
        self.uid = UPSFilteredGlobalSubscriptionInstance if filter is not None and uid == ALL else uid
        self.deletion_lock = deletion_lock
        self.filter = filter
        self.timeout = timeout
        self.answer: Answer | None = None
        self.incoming, self.outgoing = anyio.create_memory_object_stream[UPSEvent](AHEAD)

    async def subscribe(self) -> Answer:
        """Subscribes, as entering the block does; again, where the peer has forgotten it."""
        self.answer = await self.subscriber.subscribe(
            self.uid,
            receiving_ae=self.watcher.app.ae_title,
            deletion_lock=self.deletion_lock,
            filter=self.filter,
        )
        return self.answer

    async def __aenter__(self) -> Self:
        self.watcher.watching.append(self)
        try:
            await self.subscribe()
        except BaseException as error:
            self.close()
            # Where the task is cancelled before the response is there, we may be subscribed all the same.
            if not isinstance(error, Exception):
                await self._unsubscribe_after()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if exc is None:
            await self.unsubscribe()
        else:
            await self._unsubscribe_after()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> UPSEvent:
        """The next event."""
        try:
            return await self.outgoing.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Takes no more events, and lets those go that wait to be taken."""
        if self in self.watcher.watching:
            self.watcher.watching.remove(self)
        self.incoming.close()
        self.outgoing.close()

    async def unsubscribe(self) -> None:
        """Unsubscribes, unless another one watches the same; from everything, without ending what others watch."""
        mine = self.subscriber.ae_title
        others = [events for events in self.watcher.watching if events.subscriber.ae_title == mine]
        everything = self.uid in EVERYTHING
        if any(events.uid == self.uid or (everything and events.uid in EVERYTHING) for events in others):
            return
        await self.subscriber.unsubscribe(self.uid, receiving_ae=self.watcher.app.ae_title)
        # "The Unsubscribe Globally instruction … removes all subscriptions, global and specific" (PS3.4 CC.2.3.1).
        for events in others if everything else ():
            await events.subscribe()

    async def _unsubscribe_after(self) -> None:
        """Unsubscribes because of an exception, which is what its user is to see, whatever else happens."""
        try:
            # A cancelled task unsubscribes too, before it ends.
            with anyio.fail_after(self.timeout, shield=True):
                await self.unsubscribe()
        except (DicomError, TimeoutError) as error:
            logger.warning("%s: still subscribed to %s: %s", self.subscriber.ae_title, self.uid, error)

    def wants(self, event: UPSEvent) -> bool:
        """Whether an event is one of those that are watched."""
        return self.uid in EVERYTHING or event.uid == self.uid or isinstance(event, SCPStatusChange)

    async def put(self, event: UPSEvent) -> None:
        """Adds an event, once there is room for it."""
        try:
            await self.incoming.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            logger.info("%s came when nobody waited any more", event)

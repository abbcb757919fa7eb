"""Getting event reports to those who want them (PS3.4 CC.2.4.3)."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from dicomio.application import Application
from dicomio.association import Association
from dicomio.config import Address, PresentationContext, Timeout
from dicomio.errors import ConnectFailed, DicomError, InvalidInstance, StatusError
from dicomio.opening import connect
from dicomio.profiles import Peer
from dicomio.sop import UnifiedProcedureStepEvent, UnifiedProcedureStepPush
from dicomio.workflows.ups.events import UPSEvent

__all__ = ["Reporter"]

logger = logging.getLogger("dicomio.ups")

# Events that wait for one application entity; when there are more, the oldest are given up.
BACKLOG: Final = 100_000


class Reporter:
    """Sends each application entity its events in order.

    "The UPS SCP opens an Association for N-EVENT-REPORT messages as necessary" (PS3.4 CC.2.3.2), if it is known where
    the application entity listens; otherwise they go over an association of its own on which it has negotiated UPS
    Event.

    Args:
        app: opens associations, and knows where application entities listen.
        retries: seconds to wait before each further attempt to reach one.
        timeout: seconds for opening an association, and for each report to be answered.
    """

    def __init__(self, app: Application, retries: Sequence[float], timeout: float) -> None:
        self.app = app
        self.retries = retries
        self.timeout = timeout
        self.queues: dict[str, deque[UPSEvent]] = {}
        self.associations: dict[str, Association] = {}

    def notice(self, association: Association) -> None:
        """Remembers an association of a peer if events may be reported on it, and no other of the same peer is open."""
        title = association.peer.ae_title
        if self.open_association(title) is not None:
            return
        if any(context.abstract_syntax == UnifiedProcedureStepEvent for context in association.contexts.values()):
            self.associations[title] = association

    def forget(self, association: Association) -> None:
        """An association is over."""
        title = association.peer.ae_title
        if self.associations.get(title) is association:
            del self.associations[title]

    def open_association(self, ae_title: str) -> Association | None:
        """An association that an application entity has opened, and on which it takes reports."""
        association = self.associations.get(ae_title)
        return association if association is not None and association.is_established else None

    async def knows(self, ae_title: str) -> bool:
        """Whether an application entity can be told of events."""
        return self.open_association(ae_title) is not None or await self.app.locate(ae_title) is not None

    def post(self, ae_title: str, event: UPSEvent) -> None:
        """Has an event sent; returns at once."""
        queue = self.queues.get(ae_title)
        if queue is None:
            self.queues[ae_title] = queue = deque()
            self.app.spawn(self.attempt(ae_title, 0))
        if len(queue) >= BACKLOG:
            logger.warning("%s: too many events wait; %s is not reported", ae_title, queue.popleft())
        queue.append(event)

    async def attempt(self, ae_title: str, number: int) -> None:
        """Sends what is in a queue, and what gets into it meanwhile; where that fails, another attempt follows."""
        queue, again = self.queues[ae_title], False
        try:
            while queue:
                async with self.association(ae_title) as association:
                    await self.send(association, queue)
        except (DicomError, TimeoutError) as error:
            again = self.retry(ae_title, number, error)
        finally:
            if not again:
                del self.queues[ae_title]

    def retry(self, ae_title: str, number: int, error: Exception) -> bool:
        """Plans another attempt, unless there were enough. Until then nothing waits for it, as a server that closes."""
        if number >= len(self.retries):
            logger.warning("%s: %d events are not reported: %s", ae_title, len(self.queues[ae_title]), error)
            return False
        pause = self.retries[number]
        logger.info("%s: events will be reported in %s s: %s", ae_title, pause, error)
        loop = asyncio.get_running_loop()
        loop.call_later(pause, lambda: self.app.spawn(self.attempt(ae_title, number + 1)))
        return True

    @asynccontextmanager
    async def association(self, ae_title: str) -> AsyncIterator[Association]:
        """An association on which an application entity takes reports."""
        address = await self.app.locate(ae_title)
        theirs = self.open_association(ae_title)
        async with AsyncExitStack() as stack:
            association = theirs
            if address is not None:
                try:
                    association = await stack.enter_async_context(self.opening(address))
                except DicomError:
                    if theirs is None:
                        raise
            if association is None:
                raise ConnectFailed(f"{ae_title}: it is not known where this application entity listens")
            yield association

    def opening(self, address: Address | Peer) -> connect:
        """An association with an application entity that listens, where we are SCP of UPS Event."""
        return connect(
            address,
            contexts=[PresentationContext(UnifiedProcedureStepEvent, scu=False, scp=True)],
            ae_title=self.app.ae_title,
            app=self.app,
            timeout=Timeout(self.timeout, response=self.timeout),
        )

    async def send(self, association: Association, queue: deque[UPSEvent]) -> None:
        """Sends events until there is none; what is refused is not sent again."""
        while queue:
            event = queue[0]
            try:
                async with asyncio.timeout(self.timeout):
                    await association.n_event_report(
                        UnifiedProcedureStepPush,
                        event.uid,
                        event.event_type,
                        event.information,
                        negotiated_as=UnifiedProcedureStepEvent,
                    )
            except (StatusError, InvalidInstance) as error:
                logger.warning("%s: %s is not reported: %s", association.peer.ae_title, event, error)
            # A flood of events may have pushed it out meanwhile.
            if queue and queue[0] is event:
                queue.popleft()

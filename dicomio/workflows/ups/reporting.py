"""Getting event reports to those who want them (PS3.4 CC.2.4.3)."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from dicomio.application import Application
from dicomio.association import Association
from dicomio.config import PresentationContext, Timeout
from dicomio.errors import ConnectFailed, DicomError, InvalidInstance, StatusError
from dicomio.opening import connect
from dicomio.sop import UnifiedProcedureStepEvent, UnifiedProcedureStepPush
from dicomio.workflows.ups.events import UPSEvent

__all__ = ["Reporter"]

logger = logging.getLogger("dicomio.ups")

# Events that wait for one application entity; when there are more, the oldest are given up.
BACKLOG: Final = 100_000


class Reporter:
    """Sends each application entity its events in order, on an association that it has opened, or else on a new one.

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

    def listens(self, association: Association) -> bool:
        """Whether the peer takes event reports on an association that it has opened; they are sent there then."""
        if not any(context.abstract_syntax == UnifiedProcedureStepEvent for context in association.contexts.values()):
            return False
        self.associations[association.peer.ae_title] = association
        return True

    def forget(self, association: Association) -> None:
        """An association is over."""
        title = association.peer.ae_title
        if self.associations.get(title) is association:
            del self.associations[title]

    def post(self, ae_title: str, event: UPSEvent) -> None:
        """Has an event sent; returns at once."""
        queue = self.queues.get(ae_title)
        if queue is None:
            self.queues[ae_title] = queue = deque()
            self.app.spawn(self.work(ae_title, queue))
        if len(queue) >= BACKLOG:
            logger.warning("%s: too many events wait; %s is not reported", ae_title, queue.popleft())
        queue.append(event)

    async def work(self, ae_title: str, queue: deque[UPSEvent]) -> None:
        """Sends what is in a queue, and what gets into it meanwhile."""
        try:
            while queue:
                await self.send_or_give_up(ae_title, queue)
        finally:
            del self.queues[ae_title]

    async def send_or_give_up(self, ae_title: str, queue: deque[UPSEvent]) -> None:
        """Tries until everything is sent, or there is no attempt left."""
        for pause in (*self.retries, None):
            try:
                async with self.association(ae_title) as association:
                    await self.send(association, queue)
                return
            except (DicomError, TimeoutError) as error:
                if pause is None:
                    logger.warning("%s: %d events are not reported: %s", ae_title, len(queue), error)
                    queue.clear()
                    return
                logger.info("%s: events will be reported in %s s: %s", ae_title, pause, error)
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def association(self, ae_title: str) -> AsyncIterator[Association]:
        """An association on which an application entity takes reports."""
        association = self.associations.get(ae_title)
        if association is not None and association.is_established:
            yield association
            return
        address = await self.app.locate(ae_title)
        if address is None:
            raise ConnectFailed(f"{ae_title}: it is not known where this application entity listens")
        timeout = Timeout(self.timeout, response=self.timeout)
        contexts = [PresentationContext(UnifiedProcedureStepEvent, scu=False, scp=True)]
        async with connect(
            address, contexts=contexts, ae_title=self.app.ae_title, app=self.app, timeout=timeout
        ) as association:
            yield association

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

"""Managing Unified Procedure Steps for others: the SCP of PS3.4 CC."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio.application import Application
from dicomio.association import Association
from dicomio.errors import Refused
from dicomio.matching import InvalidKey, Query, compile_query
from dicomio.requests import ActionRequest, CreateRequest, FindRequest, GetRequest, SetRequest
from dicomio.requests.normalized import NormalizedRequest
from dicomio.sop import (
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from dicomio.status import Status
from dicomio.threads import in_thread
from dicomio.workflows.ups import attributes as rules
from dicomio.workflows.ups import events
from dicomio.workflows.ups.attributes import checked, text_of, without
from dicomio.workflows.ups.events import UPSEvent
from dicomio.workflows.ups.reporting import Reporter
from dicomio.workflows.ups.states import CANCEL, CREATE, FINAL, UPSState, change_to, modification, outcome
from dicomio.workflows.ups.store import MemoryUPSStore, UPSStore
from dicomio.workflows.ups.subscriptions import GlobalSubscription, Subscriptions

__all__ = ["UPSProvider"]

logger = logging.getLogger("dicomio.ups")

CancelHandler: TypeAlias = Callable[[str, Dataset], Awaitable[bool | None]]
EventHandler: TypeAlias = Callable[[UPSEvent], Awaitable[None]]

# Action Type IDs (PS3.4 Tables CC.2.1-1, CC.2.2-1, CC.2.3-1)
CHANGE_STATE: Final = 1
REQUEST_CANCEL: Final = 2
SUBSCRIBE: Final = 3
UNSUBSCRIBE: Final = 4
SUSPEND: Final = 5

EVERYTHING: Final = (UPSGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionInstance)
# What a step has that N-GET does not give (PS3.4 CC.2.7.3 and Table CC.2.5-3).
NOT_GIVEN: Final = ("TransactionUID", "SOPClassUID", "SOPInstanceUID")
# What says nothing about which steps are meant.
NO_KEYS: Final = ("SpecificCharacterSet", "TimezoneOffsetFromUTC", "TransactionUID", "ReceivingAE", "DeletionLock")
DOES_NOT_MATCH: Final = Status(0xA900)
# Bytes of a data set that are decoded in the event loop; more would keep others waiting.
DECODED_AT_ONCE: Final = 65_536
# Steps compared with a query at once.
CHUNK: Final = 200


class UPSProvider:
    """Keeps a worklist of Unified Procedure Steps: serves UPS Push, Pull, Watch and Query, and sends UPS events.

    It watches over the states of the steps and the locks on them (PS3.4 Table CC.1.1-2), their attributes (Table
    CC.2.5-3) and who is subscribed to what (Table CC.2.3-2). Events go to where `app.destinations` says that a
    subscriber listens, or else over an association of its own on which it has negotiated UPS Event.

    Its methods do what requests of peers do, with the same events; use them for steps of your own making.

    Args:
        app: gets the handlers.
        store: keeps the steps, by default in memory.
        worklist_label: Worklist Label (0074,1202) of steps that come without one.
        retention: seconds for which a step is kept once it is COMPLETED or CANCELED; longer where somebody has a
            deletion lock on it, for ever where it is `None`.
        retries: seconds to wait before each further attempt to report events to a subscriber.
        timeout: seconds for opening an association to a subscriber, and for each report to be answered.
        fallback: AE titles that are told of a restart even if they are not known as subscribers.
        subscribers: application entities that may be subscribed; more are refused with Resource Limitation. With 0
            there are no event reports.
        largest: bytes that a step may have; more are refused with Resource Limitation.
        clock: gives the present moment.

    Attributes:
        subscriptions: who is subscribed to what.
    """

    def __init__(
        self,
        app: Application,
        *,
        store: UPSStore | None = None,
        worklist_label: str = "WORKLIST",
        retention: float | None = 86_400.0,
        retries: Sequence[float] = (1.0, 10.0, 60.0),
        timeout: float = 30.0,
        fallback: Sequence[str] = (),
        subscribers: int = 1_000,
        largest: int = 4_194_304,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self.app = app
        self.store: UPSStore = store if store is not None else MemoryUPSStore()
        self.worklist_label = worklist_label
        self.retention = retention
        self.fallback = fallback
        self.subscribers = subscribers
        self.largest = largest
        self.clock = clock
        self.subscriptions = Subscriptions()
        self.reporter = Reporter(app, retries, timeout)
        self.changing = asyncio.Lock()
        self.ended: deque[tuple[float, str]] = deque()
        self.event_handlers: list[EventHandler] = []
        self.cancel_handler: CancelHandler | None = None
        self.lock_policy: Callable[[str, str], bool] = lambda ae_title, uid: True
        app.n_create(UnifiedProcedureStepPush)(self.serve_create)
        app.n_set(UnifiedProcedureStepPush)(self.serve_set)
        app.n_get(UnifiedProcedureStepPush)(self.serve_get)
        app.n_action(UnifiedProcedureStepPush)(self.serve_action)
        app.find(UnifiedProcedureStepPull, UnifiedProcedureStepWatch, UnifiedProcedureStepQuery)(self.serve_find)
        app.on_close(self.association_closed)

    # hooks

    def on_event(self, func: EventHandler) -> EventHandler:
        """Registers an async function that gets every `UPSEvent`, whoever is subscribed."""
        self.event_handlers.append(func)
        return func

    def on_cancel_request(self, func: CancelHandler) -> CancelHandler:
        """Registers an async function that decides on cancel requests for steps IN PROGRESS (PS3.4 CC.2.2.3).

        It gets the SOP Instance UID and the Action Information. It returns `True` where we perform the step ourselves
        and cancel it; `False` to decline; `None` to have the subscribers told, of whom one will be the performer.
        """
        self.cancel_handler = func
        return func

    def on_deletion_lock(self, func: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
        """Registers a function that says whether an AE title may have deletion locks on a SOP instance."""
        self.lock_policy = func
        return func

    # what may be done to steps

    async def get(self, uid: str) -> Dataset:
        """A step as peers see it.

        Raises:
            Refused: there is no such step.
        """
        return without(await self.step(uid), "TransactionUID")

    async def create(self, step: Dataset, uid: str | None = None) -> tuple[str, Status]:
        """Creates a step (PS3.4 CC.2.5).

        Args:
            step: its attributes.
            uid: SOP Instance UID, a new one by default.

        Returns:
            Its SOP Instance UID, and Success or a Warning.

        Raises:
            Refused: there is such a step already, or an attribute is at fault.
        """
        uid = uid or str(generate_uid())
        if uid in EVERYTHING:
            raise Refused(Status.INVALID_SOP_INSTANCE, "this UID stands for all procedure steps")
        async with self.changing:
            self.resolve(CREATE, await self.store.get(uid))
            created, modified = rules.created(step, uid, self.worklist_label, self.clock())
            await in_thread(rules.fitting, created, self.largest)
            await self.remove_ended()
            await self.store.put(uid, created)
            told = self.subscriptions.created(created)
            self.report(told, events.state_report(created), events.assigned(created))
        return uid, Status.UPS_CREATED_WITH_MODIFICATIONS if modified else Status.SUCCESS

    async def modify(self, uid: str, modifications: Dataset, transaction_uid: str = "") -> None:
        """Changes attributes of a step (PS3.4 CC.2.6).

        Args:
            uid: its SOP Instance UID.
            modifications: the attributes that change.
            transaction_uid: of whoever performs it; none while it is SCHEDULED.

        Raises:
            Refused: there is no such step, the Transaction UID is not the right one, or an attribute is at fault.
        """
        async with self.changing:
            step = await self.step(uid)
            right = transaction_uid == text_of(step, "TransactionUID")
            self.resolve(modification(transaction_uid, right=right), step)
            changed = rules.modified(step, without(modifications, "TransactionUID"), self.clock())
            await in_thread(rules.fitting, changed, self.largest)
            await self.store.put(uid, changed)
            self.report(self.subscriptions.of(uid), *events.changes(step, changed))

    async def change_state(self, uid: str, state: UPSState, transaction_uid: str) -> Status:
        """Changes the state of a step (PS3.4 CC.2.1).

        Args:
            uid: its SOP Instance UID.
            state: the new one.
            transaction_uid: of whoever performs it; it is what the step is locked with.

        Returns:
            Success, or a Warning where it was in that state already.

        Raises:
            Refused: PS3.4 Table CC.1.1-2 does not allow it, or the final state requirements are not met.
        """
        async with self.changing:
            step = await self.step(uid)
            scheduled = step.ProcedureStepState == UPSState.SCHEDULED
            right = bool(transaction_uid) and (scheduled or text_of(step, "TransactionUID") == transaction_uid)
            reached = self.resolve(change_to(state, right=right), step)
            if isinstance(reached, Status):
                return reached
            await self.put_state(step, reached, transaction_uid)
        return Status.SUCCESS

    async def request_cancel(self, uid: str, requesting_ae: str, information: Dataset | None = None) -> Status:
        """Asks for a step to be canceled (PS3.4 CC.2.2).

        Args:
            uid: its SOP Instance UID.
            requesting_ae: AE title of who asks.
            information: reasons, and whom to contact.

        Returns:
            Success where it was canceled or the request was passed on; a Warning where it was canceled before.

        Raises:
            Refused: it is COMPLETED, nobody can be told, or its performer declines.
        """
        information = information if information is not None else Dataset()
        decision = await self.decide(uid, information)
        async with self.changing:
            step = await self.step(uid)
            reached = self.resolve(CANCEL, step)
            if isinstance(reached, Status):
                return reached
            if reached is UPSState.IN_PROGRESS and not decision:
                self.check_performer(uid, decision)
            self.report(self.subscriptions.of(uid), events.cancel_requested(uid, information, requesting_ae))
            if reached is UPSState.CANCELED:
                step = await self.put_state(step, UPSState.IN_PROGRESS, str(generate_uid()))
            if reached is UPSState.CANCELED or decision:
                step = rules.fill_cancellation(step, self.clock(), information)
                await self.put_state(step, UPSState.CANCELED, step.TransactionUID)
        return Status.SUCCESS

    async def subscribe(
        self, ae_title: str, uid: str, *, lock: bool = False, identifier: Dataset | None = None
    ) -> Status:
        """Subscribes an application entity to events (PS3.4 CC.2.3).

        Args:
            ae_title: who is to get them.
            uid: SOP Instance UID of a step, or of one of the two global subscriptions.
            lock: whether steps are to be kept for it once they have ended.
            identifier: keys that steps have to match, for the filtered global subscription.

        Returns:
            Success, or a Warning where it gets no deletion lock.

        Raises:
            Refused: there is no such step, the AE cannot be reached, there are too many, or a key is at fault.
        """
        if not self.subscribers:
            raise Refused(Status.UPS_EVENT_REPORTS_NOT_SUPPORTED, "there are no event reports")
        if not await self.reporter.knows(ae_title):
            raise Refused(Status.UPS_RECEIVING_AE_UNKNOWN, f"it is not known where {ae_title} listens")
        async with self.changing:
            known = set(self.subscriptions.everyone())
            if ae_title not in known and len(known) >= self.subscribers:
                raise Refused(Status.RESOURCE_LIMITATION, f"there are {len(known)} subscribers already")
            granted = lock and self.lock_policy(ae_title, uid)
            if uid in EVERYTHING:
                filtered = uid == UPSFilteredGlobalSubscriptionInstance
                await self.subscribe_to_all(ae_title, granted, (identifier or Dataset()) if filtered else None)
            else:
                step = await self.step(uid)
                self.subscriptions.subscribe(ae_title, uid, lock=granted)
                self.report([ae_title], events.state_report(step))
        return Status.UPS_DELETION_LOCK_NOT_GRANTED if lock and not granted else Status.SUCCESS

    async def unsubscribe(self, ae_title: str, uid: str) -> None:
        """Ends the subscription of an application entity to a step, or every subscription that it has.

        Raises:
            Refused: there is no such step.
        """
        async with self.changing:
            if uid in EVERYTHING:
                self.subscriptions.unsubscribe_from_all(ae_title)
            else:
                await self.step(uid)
                self.subscriptions.unsubscribe(ae_title, uid)
            await self.remove_ended()

    async def announce(
        self, status: str = "RESTARTED", *, subscriptions_kept: bool = False, steps_kept: bool = False
    ) -> None:
        """Tells every subscriber and the fallback list that we have been restarted, or go down (PS3.4 CC.2.4.3).

        Args:
            status: RESTARTED or GOING DOWN.
            subscriptions_kept: whether subscribers are known as before.
            steps_kept: whether the steps are there as before.
        """
        told = dict.fromkeys([*self.fallback, *self.subscriptions.everyone()])
        event = events.status_change(status, subscriptions_kept=subscriptions_kept, steps_kept=steps_kept)
        self.report(list(told), event)

    # pieces of it

    async def step(self, uid: str) -> Dataset:
        step = await self.store.get(uid)
        if step is None:
            raise Refused(Status.UPS_NOT_FOUND, "there is no such procedure step")
        return step

    def resolve(self, request: str, step: Dataset | None) -> UPSState | Status:
        """What a request comes to by the table of states: the state reached, or a Warning.

        Raises:
            Refused: a Failure.
        """
        state = UPSState(step.ProcedureStepState) if step is not None else None
        reached = outcome(request, state)
        if isinstance(reached, Status) and reached.is_failure:
            raise Refused(reached, reached.meaning_for("ups"))
        return reached

    async def put_state(self, step: Dataset, state: UPSState, transaction_uid: str) -> Dataset:
        """Moves a step to another state.

        Raises:
            Refused: the final state requirements are not met.
        """
        if state is UPSState.CANCELED:
            step = rules.fill_cancellation(step, self.clock())
        if state in FINAL:
            missing = rules.missing_for(step, state)
            if missing:
                raise Refused(Status.UPS_FINAL_STATE_REQUIREMENTS_NOT_MET, f"no {', '.join(missing)}")
        changed = without(step, "ProcedureStepState", "TransactionUID")
        changed.ProcedureStepState, changed.TransactionUID = state.value, transaction_uid
        await self.store.put(changed.SOPInstanceUID, changed)
        self.report(self.subscriptions.of(changed.SOPInstanceUID), events.state_report(changed))
        if state in FINAL and self.retention is not None:
            self.ended.append((asyncio.get_running_loop().time() + self.retention, changed.SOPInstanceUID))
        return changed

    async def decide(self, uid: str, information: Dataset) -> bool | None:
        """What the cancel handler decides about a step that is IN PROGRESS; it may call us, so nothing is locked."""
        step = await self.store.get(uid)
        if self.cancel_handler is None or step is None or step.ProcedureStepState != UPSState.IN_PROGRESS:
            return None
        return await self.cancel_handler(uid, information)

    def check_performer(self, uid: str, decision: bool | None) -> None:
        """Refuses a cancel request that its performer declines, or does not hear of (PS3.4 CC.2.2.3)."""
        if decision is False:
            raise Refused(Status.UPS_PERFORMER_DECLINES_TO_CANCEL, "the performer chooses not to cancel")
        if not self.subscriptions.of(uid):
            raise Refused(Status.UPS_PERFORMER_NOT_CONTACTED, "nobody is subscribed to the procedure step")

    async def subscribe_to_all(self, ae_title: str, lock: bool, identifier: Dataset | None) -> None:
        wanted = [step async for step in self.store.select(identifier if identifier is not None else Dataset())]
        accepts = query_of(identifier).matches if identifier is not None else None
        if accepts is not None:
            wanted = await in_thread(lambda: list(filter(accepts, wanted)))
        by_uid = {str(step.SOPInstanceUID): step for step in wanted}
        told = self.subscriptions.subscribe_to_all(ae_title, GlobalSubscription(lock, accepts), by_uid)
        for number, uid in enumerate(told):
            self.report([ae_title], events.state_report(by_uid[uid]))
            if number % CHUNK == 0:
                await asyncio.sleep(0)

    def report(self, ae_titles: Sequence[str], *happened: UPSEvent | None) -> None:
        """Has events sent to subscribers, and tells the event handlers."""
        for event in happened:
            if event is None:
                continue
            for ae_title in ae_titles:
                self.reporter.post(ae_title, event)
            for handler in self.event_handlers:
                self.app.spawn(call_handler(handler, event))

    async def remove_ended(self) -> None:
        """Removes steps whose time is over; those with a deletion lock get another period."""
        now = asyncio.get_running_loop().time()
        while self.ended and self.ended[0][0] <= now:
            _, uid = self.ended.popleft()
            if self.subscriptions.locked(uid):
                self.ended.append((now + max(self.retention or 0.0, 1.0), uid))
            else:
                await self.store.delete(uid)
                self.subscriptions.forget(uid)

    async def association_closed(self, association: Association) -> None:
        self.reporter.forget(association)

    # serving

    async def serve_create(self, request: CreateRequest) -> Status:
        """N-CREATE."""
        self.reporter.notice(request.association)
        attributes = await taken(request)
        _, status = await self.create(attributes, request.sop_instance_uid)
        return status

    async def serve_set(self, request: SetRequest) -> Status:
        """N-SET."""
        self.reporter.notice(request.association)
        modifications = await taken(request)
        await self.modify(request.sop_instance_uid, modifications, text_of(modifications, "TransactionUID"))
        return Status.SUCCESS

    async def serve_get(self, request: GetRequest) -> tuple[Status, Dataset]:
        """N-GET."""
        self.reporter.notice(request.association)
        step = without(await self.step(request.sop_instance_uid), *NOT_GIVEN)
        if any(tag not in step for tag in request.attribute_identifiers):
            return Status.REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED, step
        return Status.SUCCESS, step

    async def serve_action(self, request: ActionRequest) -> Status:
        """N-ACTION."""
        self.reporter.notice(request.association)
        uid, information = request.sop_instance_uid, await taken(request)
        if request.action_type == CHANGE_STATE:
            return await self.change_state(uid, state_wanted(information), text_of(information, "TransactionUID"))
        if request.action_type == REQUEST_CANCEL:
            return await self.request_cancel(uid, request.peer.ae_title, information)
        if request.action_type in (SUBSCRIBE, UNSUBSCRIBE, SUSPEND):
            return await self.serve_subscription(request, information)
        raise Refused(Status.NO_SUCH_ACTION_TYPE, f"UPS actions have types 1 to 5, not {request.action_type}")

    async def serve_subscription(self, request: ActionRequest, information: Dataset) -> Status:
        """N-ACTION of type 3, 4 or 5."""
        uid, ae_title = request.sop_instance_uid, text_of(information, "ReceivingAE")
        if not ae_title:
            raise Refused(Status.INVALID_ARGUMENT_VALUE, "no Receiving AE")
        if request.action_type == SUBSCRIBE:
            lock = text_of(information, "DeletionLock") == "TRUE"
            return await self.subscribe(ae_title, uid, lock=lock, identifier=without(information, *NO_KEYS[2:]))
        if request.action_type == SUSPEND and uid not in EVERYTHING:
            raise Refused(Status.UPS_ACTION_NOT_APPROPRIATE, "only a global subscription can be suspended")
        if request.action_type == SUSPEND:
            self.subscriptions.suspend(ae_title)
        else:
            await self.unsubscribe(ae_title, uid)
        return Status.SUCCESS

    async def serve_find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        """C-FIND."""
        identifier = without(request.identifier, "TransactionUID")
        query = query_of(identifier)
        # "If there are no matching keys, then there are no matches" (PS3.4 CC.2.8.3.1).
        if not without(identifier, *NO_KEYS):
            return
        async for steps in in_chunks(self.store.select(identifier)):
            for answer in await in_thread(answers, query, steps):
                yield answer


async def taken(request: NormalizedRequest) -> Dataset:
    """The data set of a request, all of it decoded.

    Raises:
        Refused: it cannot be.
    """
    body = request.inbound.body
    if body is None or body.received <= DECODED_AT_ONCE:
        return checked(request.data_set)
    return await in_thread(checked, request.data_set)


def query_of(identifier: Dataset) -> Query:
    """The keys of an identifier, parsed.

    Raises:
        Refused: by one of them nothing can be matched.
    """
    try:
        return compile_query(identifier)
    except InvalidKey as error:
        raise Refused(DOES_NOT_MATCH, str(error), offending=[error.tag]) from error


async def in_chunks(steps: AsyncIterator[Dataset]) -> AsyncIterator[Sequence[Dataset]]:
    """Steps, a few at once."""
    chunk: list[Dataset] = []
    async for step in steps:
        chunk.append(step)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def answers(query: Query, steps: Sequence[Dataset]) -> Sequence[Dataset]:
    """What to answer for those of the steps that match."""
    return [query.project(step) for step in steps if query.matches(step)]


def state_wanted(information: Dataset) -> UPSState:
    """The state that a Change UPS State asks for."""
    text = text_of(information, "ProcedureStepState")
    try:
        return UPSState(text)
    except ValueError:
        raise Refused(Status.INVALID_ARGUMENT_VALUE, f"{text[:16]!r} is no Procedure Step State") from None


async def call_handler(handler: EventHandler, event: UPSEvent) -> None:
    """Calls an event handler; what it raises concerns no peer."""
    try:
        await handler(event)
    except Exception:
        logger.exception("%s: an event handler failed", event)

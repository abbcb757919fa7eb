"""Keeping performed procedure steps for others (PS3.4 F.7 to F.9, as SCP)."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakSet

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from dicomio.application import Application
from dicomio.association import Association
from dicomio.calling import awaitable
from dicomio.config import Address, Role
from dicomio.errors import DicomError, Refused, StatusError
from dicomio.requests import CreateRequest, GetRequest, SetRequest
from dicomio.sop import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from dicomio.status import Status
from dicomio.workflows.mpps.attributes import FIXED, STATUS, check_values, fill, lacking, merge, unsettable
from dicomio.workflows.mpps.states import EVENTS, StepEvent, StepState

__all__ = ["PerformedStepProvider", "StepChange"]

logger = logging.getLogger("dicomio.mpps")

F = TypeVar("F", bound=Callable[..., Any])

# PS3.4 Table F.7.2-2
MAY_NO_LONGER_BE_UPDATED: Final = "Performed Procedure Step Object may no longer be updated"
MAY_NO_LONGER_BE_UPDATED_ID: Final = 0xA710


@dataclass(frozen=True, slots=True)
class StepChange:
    """A change of a step that a provider keeps.

    Attributes:
        uid: SOP Instance UID of the step.
        attributes: all of its attributes, with the change.
        state: its state after the change.
        previous: its state before; `None` for a new one.
        request: by which it came; `None` where the provider was told to `amend` it.
    """

    uid: str
    attributes: Dataset
    state: StepState
    previous: StepState | None
    request: CreateRequest | SetRequest | None

    @property
    def event(self) -> StepEvent:
        """The type of event it is to others (PS3.4 Table F.9.2-1)."""
        return StepEvent.UPDATED if self.state is self.previous else EVENTS[self.state]


class PerformedStepProvider:
    """Serves Modality Performed Procedure Step and its Retrieve and Notification SOP classes (PS3.4 F.7 to F.9).

    ```python
    provider = PerformedStepProvider(app)

    @provider.on_change
    async def changed(change: StepChange) -> None:
        ...
    ```

    Steps are created IN PROGRESS, with a value for every attribute that needs one; once COMPLETED or DISCONTINUED
    they are not changed any more. Attributes that may be empty are added where a modality leaves them out.

    Args:
        app: what serves.
        notify: AE titles of `app.destinations`, or addresses, that hear of each change by an association of ours;
            peers that have negotiated Notification on an association of theirs hear of it there.
        retries: seconds to wait before a destination that cannot be reached is tried again, each time.
        limit: how many steps are kept. Beyond, those that ended first are forgotten; where all are in progress, new
            ones are refused.

    Attributes:
        steps: the attributes of each step by SOP Instance UID; not to be changed.
    """

    def __init__(
        self,
        app: Application,
        *,
        notify: Iterable[str | Address] = (),
        retries: Sequence[float] = (1.0, 10.0, 60.0),
        limit: int = 10_000,
    ) -> None:
        self.app = app
        self.notify = tuple(notify)
        self.retries = tuple(retries)
        self.limit = limit
        self.steps: dict[str, Dataset] = {}
        self.ended: dict[str, None] = {}
        self.hooks: list[Callable[[StepChange], Any]] = []
        # Connections that never become associations are not told to be over; nobody holds them then.
        self.listeners: WeakSet[Association] = WeakSet()
        self.lock = asyncio.Lock()
        app.n_create(ModalityPerformedProcedureStep)(self.create)
        app.n_set(ModalityPerformedProcedureStep)(self.set)
        # The three share their instances: whichever a peer names is meant. That of Notification is accepted by this.
        app.n_get(
            ModalityPerformedProcedureStepRetrieve,
            ModalityPerformedProcedureStep,
            ModalityPerformedProcedureStepNotification,
        )(self.get)
        app.on_connect(self.connected)
        app.on_close(self.closed)

    def on_change(self, func: F) -> F:
        """Registers a function that gets each `StepChange` before it is answered.

        What it raises is the answer, and then nothing has changed; so it is the place to keep the change for good.
        """
        self.hooks.append(awaitable(func))
        return func

    def restore(self, uid: str, attributes: Dataset) -> None:
        """Takes in a step from before, as a hook was given it."""
        self.steps[uid] = attributes
        if state_of(attributes).is_final:
            self.ended[uid] = None

    async def amend(self, uid: str, modifications: Dataset) -> None:
        """Changes any attribute of a step from this side, and tells others so.

        The standard lets an SCP do this to steps that have ended; but where a modality has failed, it may be the one
        to end them (PS3.4 F.7.2.2.3).

        Raises:
            Refused: there is no such step, it would be in no state, or leave a final one.
        """
        async with self.lock:
            held = self.held(uid)
            merged = merge(held, modifications)
            previous = state_of(held)
            change = StepChange(uid, merged, state_of(merged), previous, None)
            if previous.is_final and change.state is not previous:
                raise Refused(Status.PROCESSING_FAILURE, MAY_NO_LONGER_BE_UPDATED)
            await self.change(change)
        await self.announce(uid, change.event)

    async def delete(self, uid: str) -> None:
        """Forgets a step, and tells others so."""
        self.steps.pop(uid, None)
        self.ended.pop(uid, None)
        await self.announce(uid, StepEvent.DELETED)

    # operations

    async def create(self, request: CreateRequest) -> None:
        """N-CREATE (PS3.4 F.7.2.1)."""
        uid, attributes = request.sop_instance_uid, request.attributes
        async with self.lock:
            if uid in self.steps:
                raise Refused(Status.DUPLICATE_SOP_INSTANCE, "there is such a procedure step already")
            await asyncio.to_thread(prepare, attributes)
            self.make_room()
            await self.change(StepChange(uid, attributes, StepState.IN_PROGRESS, None, request))

    async def set(self, request: SetRequest) -> None:
        """N-SET (PS3.4 F.7.2.2)."""
        async with self.lock:
            held = self.held(request.sop_instance_uid)
            previous = state_of(held)
            if previous.is_final:
                raise Refused(Status.PROCESSING_FAILURE, MAY_NO_LONGER_BE_UPDATED, error_id=MAY_NO_LONGER_BE_UPDATED_ID)
            merged, ignored = await asyncio.to_thread(modified, held, request.modifications)
            await self.change(StepChange(request.sop_instance_uid, merged, state_of(merged), previous, request))
        if ignored:
            # PS3.7 C.4.2: the others have been changed.
            raise Refused(Status.ATTRIBUTE_LIST_ERROR, "attributes that may not be changed", offending=ignored)

    async def get(self, request: GetRequest) -> tuple[Status, Dataset]:
        """N-GET (PS3.4 F.8.2.1)."""
        attributes = self.held(request.sop_instance_uid)
        if any(tag not in attributes for tag in request.attribute_identifiers):
            return Status.REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED, attributes
        return Status.SUCCESS, attributes

    def held(self, uid: str) -> Dataset:
        """A step that is known."""
        if uid not in self.steps:
            raise Refused(Status.NO_SUCH_SOP_INSTANCE, "there is no such procedure step")
        return self.steps[uid]

    def make_room(self) -> None:
        """Forgets the step that ended first where there are too many."""
        if len(self.steps) < self.limit:
            return
        if not self.ended:
            raise Refused(Status.RESOURCE_LIMITATION, "too many procedure steps are in progress")
        oldest = next(iter(self.ended))
        del self.ended[oldest], self.steps[oldest]

    async def change(self, change: StepChange) -> None:
        """Makes a change, if no hook objects."""
        for hook in self.hooks:
            await hook(change)
        self.restore(change.uid, change.attributes)
        if change.request is not None:
            change.request.after(self.announce, change.uid, change.event)

    # notification

    async def connected(self, association: Association) -> None:
        """Remembers who might listen."""
        self.listeners.add(association)

    async def closed(self, association: Association) -> None:
        """Forgets it."""
        self.listeners.discard(association)

    async def announce(self, uid: str, event: StepEvent) -> None:
        """Reports an event to everybody who is to hear of it (PS3.4 F.9.2)."""
        listeners = [association for association in list(self.listeners) if is_listening(association)]
        told = {association.peer.ae_title for association in listeners}
        async with asyncio.TaskGroup() as tasks:
            for association in listeners:
                tasks.create_task(self.tell(association, uid, event))
            for destination in self.notify:
                name = destination.ae_title if isinstance(destination, Address) else destination.partition("@")[0]
                if name not in told:
                    tasks.create_task(self.report(destination, uid, event))

    async def tell(self, association: Association, uid: str, event: StepEvent) -> None:
        """Reports an event on an association that a peer opened for it."""
        try:
            await association.n_event_report(ModalityPerformedProcedureStepNotification, uid, event)
        except DicomError as error:
            logger.warning("%s was not told of procedure step %s: %s", association.peer, uid, error)

    async def report(self, destination: str | Address, uid: str, event: StepEvent) -> None:
        """Reports an event on an association of our own, again and again until it is heard or time is up."""
        # An AE title is looked up; what has the form of an address was given as one.
        target = Address.parse(destination) if "@" in str(destination) else destination
        for pause in (*self.retries, None):
            try:
                async with self.app.connect(
                    target,
                    contexts=[ModalityPerformedProcedureStepNotification],
                    roles={ModalityPerformedProcedureStepNotification: Role.SCP},
                ) as association:
                    await association.n_event_report(ModalityPerformedProcedureStepNotification, uid, event)
                return
            except StatusError as error:
                logger.warning("%s does not want to hear of procedure step %s: %s", destination, uid, error)
                return
            except DicomError as error:
                if pause is None:
                    logger.error("%s was not told of procedure step %s: %s", destination, uid, error)
                    return
                logger.warning("%s is told of procedure step %s in %g s: %s", destination, uid, pause, error)
                await asyncio.sleep(pause)


def prepare(attributes: Dataset) -> None:
    """Makes a step of what an N-CREATE says; the peer decides how much that is, so it is work for a thread."""
    check_values(attributes)
    require(attributes)
    if state_of(attributes) is not StepState.IN_PROGRESS:
        comment = "a procedure step is created IN PROGRESS"
        raise Refused(Status.INVALID_ATTRIBUTE_VALUE, comment, offending=[STATUS])
    fill(attributes)


def modified(held: Dataset, modifications: Dataset) -> tuple[Dataset, Sequence[int]]:
    """What an N-SET makes of a step, and the tags of what it may not change; likewise."""
    check_values(modifications)
    ignored = unsettable(modifications, held)
    for tag in FIXED:
        modifications.pop(tag, None)
    merged = merge(held, modifications)
    if state_of(merged).is_final:
        require(merged, final=True)
    return merged, ignored


def state_of(attributes: Dataset) -> StepState:
    """The state of a step.

    Raises:
        Refused: there is no such state; "Invalid attribute value".
    """
    try:
        return StepState(str(attributes.get("PerformedProcedureStepStatus")).strip())
    except ValueError as error:
        comment = "Performed Procedure Step Status is no state of a procedure step"
        raise Refused(Status.INVALID_ATTRIBUTE_VALUE, comment, offending=[STATUS]) from error


def require(attributes: Dataset, *, final: bool = False) -> None:
    """Refuses a step with attributes of type 1 that have no value (PS3.7 C.5.13, C.5.14)."""
    found = lacking(attributes, final=final)
    if found.absent:
        names = ", ".join(keyword_for_tag(tag) for tag in found.absent)
        raise Refused(Status.MISSING_ATTRIBUTE, f"missing {names}", offending=found.absent)
    if found.empty:
        names = ", ".join(keyword_for_tag(tag) for tag in found.empty)
        raise Refused(Status.MISSING_ATTRIBUTE_VALUE, f"without value: {names}", offending=found.empty)


def is_listening(association: Association) -> bool:
    """Whether a peer has negotiated to be told of events on its association."""
    return association.ended is None and any(
        context.abstract_syntax == ModalityPerformedProcedureStepNotification and Role.SCP in context.role
        for context in association.contexts.values()
    )

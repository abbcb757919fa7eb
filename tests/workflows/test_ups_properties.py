"""Whatever peers ask for in whatever order, steps and subscriptions are in the states of PS3.4 CC."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dicomio import Status, StatusError, UPSState, UPSStateReport, UPSWorklist, dataset
from dicomio.sop import UPSGlobalSubscriptionInstance as ALL
from tests.workflows.unified import Manager, asking, label, performed, status_of

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = UPSState

UIDS = ("1.2.1", "1.2.2")
LOCKS = ("1.2.91", "1.2.92", "")
PEERS = ("FAR", "OTHER")

steps = st.sampled_from(UIDS)
requests = st.one_of(
    st.tuples(st.just("create"), steps),
    st.tuples(st.just("change"), steps, st.sampled_from(list(UPSState)), st.sampled_from(LOCKS)),
    st.tuples(st.just("perform"), steps, st.sampled_from(LOCKS)),
    st.tuples(st.just("cancel"), steps),
    st.tuples(st.just("get"), steps),
)


@dataclass
class Step:
    """What is known of a step."""

    state: UPSState = SCHEDULED
    lock: str = ""
    performed: bool = False


class Model:
    """The states of PS3.4 CC.1.1 in the words of its text, as far as they are needed to foretell a status."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}

    def create(self, uid: str) -> int:
        """ "Creating a Unified Procedure Step (UPS) with an initial state of SCHEDULED"."""
        if uid in self.steps:
            return Status.DUPLICATE_SOP_INSTANCE
        self.steps[uid] = Step()
        return Status.SUCCESS

    def change(self, uid: str, wanted: UPSState, lock: str) -> int:
        """ "The SCP shall only perform legal state changes"."""
        step = self.steps.get(uid)
        if step is None:
            return Status.UPS_NOT_FOUND
        if wanted is SCHEDULED:
            return Status.UPS_SCHEDULED_ONLY_BY_CREATE
        if not lock or (step.state is not SCHEDULED and lock != step.lock):
            return Status.UPS_TRANSACTION_UID_NOT_CORRECT
        if wanted is IN_PROGRESS:
            return self.claim(step, lock)
        if step.state is SCHEDULED:
            return Status.UPS_NOT_IN_PROGRESS
        return self.end(step, wanted)

    def claim(self, step: Step, lock: str) -> int:
        """ "For a UPS with other status, the SCP rejects the request"."""
        if step.state is IN_PROGRESS:
            return Status.UPS_ALREADY_IN_PROGRESS
        if step.state is not SCHEDULED:
            return Status.UPS_MAY_NO_LONGER_BE_UPDATED
        step.state, step.lock = IN_PROGRESS, lock
        return Status.SUCCESS

    def end(self, step: Step, wanted: UPSState) -> int:
        """A final state is reached once, from IN PROGRESS, with what it needs."""
        if step.state is wanted:
            warnings = {
                COMPLETED: Status.UPS_ALREADY_COMPLETED_WARNING,
                CANCELED: Status.UPS_ALREADY_CANCELED_WARNING,
            }
            return warnings[wanted]
        if step.state is not IN_PROGRESS:
            return Status.UPS_MAY_NO_LONGER_BE_UPDATED
        if wanted is COMPLETED and not step.performed:
            return Status.UPS_FINAL_STATE_REQUIREMENTS_NOT_MET
        step.state = wanted
        return Status.SUCCESS

    def perform(self, uid: str, lock: str) -> int:
        """ "N-SET requests … where the Locking UID … does not match the Locking UID in the UPS are rejected"."""
        step = self.steps.get(uid)
        if step is None:
            return Status.UPS_NOT_FOUND
        if step.state in (COMPLETED, CANCELED):
            return Status.UPS_MAY_NO_LONGER_BE_UPDATED
        if step.state is SCHEDULED and lock:
            return Status.UPS_NOT_IN_PROGRESS
        if step.state is IN_PROGRESS and lock != step.lock:
            return Status.UPS_TRANSACTION_UID_NOT_CORRECT
        step.performed = True
        return Status.SUCCESS

    def cancel(self, uid: str) -> int:
        """ "If the UPS is still in the SCHEDULED state, the SCP first changes the UPS state to IN PROGRESS …"."""
        step = self.steps.get(uid)
        if step is None:
            return Status.UPS_NOT_FOUND
        if step.state is SCHEDULED:
            step.state, step.lock = CANCELED, "that of the manager"
            return Status.SUCCESS
        return {
            IN_PROGRESS: Status.UPS_PERFORMER_NOT_CONTACTED,
            COMPLETED: Status.UPS_ALREADY_COMPLETED,
            CANCELED: Status.UPS_ALREADY_CANCELED_WARNING,
        }[step.state]

    def get(self, uid: str) -> int:
        return Status.SUCCESS if uid in self.steps else Status.UPS_NOT_FOUND


async def ask(worklist: UPSWorklist, request: tuple[Any, ...]) -> int:
    """The status with which a request is answered."""
    match request:
        case ("create", uid):
            try:
                await worklist.create(label(), uid)
            except StatusError as error:
                return int(error.status)
            return Status.SUCCESS
        case ("change", uid, wanted, lock):
            return await status_of(worklist.change_state(uid, wanted, lock))
        case ("perform", uid, lock):
            return await status_of(worklist.set(uid, performed(), lock or None))
        case ("cancel", uid):
            return await status_of(worklist.request_cancel(uid))
    return await status_of(worklist.get(request[1]))


@given(st.lists(requests, max_size=30))
def test_states(history: list[tuple[Any, ...]]) -> None:
    run(check_states(history))


async def check_states(history: list[tuple[Any, ...]]) -> None:
    manager, model = Manager(), Model()
    async with asking(manager) as worklist:
        for name, *arguments in history:
            expected = getattr(model, name)(*arguments)
            assert await ask(worklist, (name, *arguments)) == expected, (name, *arguments)
        for uid, step in model.steps.items():
            assert await manager.state(uid) == step.state
            assert "TransactionUID" not in await worklist.get(uid)
        await manager.settled()
    # Every change was reported, once and in order.
    for uid in model.steps:
        told = [event.state for event in manager.events if isinstance(event, UPSStateReport) and event.uid == uid]
        assert told[:2] == [SCHEDULED, IN_PROGRESS][: len(told)]
        assert told[2:] in ([], [COMPLETED], [CANCELED])
        assert told[-1] == model.steps[uid].state


# subscriptions

peers = st.sampled_from(PEERS)
subscriptions = st.one_of(
    st.tuples(st.just("create"), steps),
    st.tuples(st.just("end"), steps),
    st.tuples(st.just("subscribe"), peers, st.sampled_from([*UIDS, ALL]), st.booleans()),
    st.tuples(st.just("unsubscribe"), peers, st.sampled_from([*UIDS, ALL])),
    st.tuples(st.just("suspend"), peers),
)


@dataclass
class Watched:
    """Who is subscribed to what, as PS3.4 CC.2.3.1 says it."""

    created: list[str] = field(default_factory=list)
    everything: dict[str, bool] = field(default_factory=dict)
    single: dict[tuple[str, str], bool] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    def create(self, uid: str) -> None:
        if uid in self.created:
            return
        self.created.append(uid)
        for peer, lock in self.everything.items():
            self.single[peer, uid] = lock
            self.told.append((peer, uid))

    def subscribe(self, peer: str, uid: str, lock: bool) -> None:
        if uid == ALL:
            self.everything[peer] = lock
            for each in self.created:
                if (peer, each) not in self.single:
                    self.single[peer, each] = lock
                    self.told += [(peer, each)] if lock else []
        elif uid in self.created:
            self.single[peer, uid] = lock
            self.told.append((peer, uid))

    def unsubscribe(self, peer: str, uid: str) -> None:
        if uid == ALL:
            self.everything.pop(peer, None)
        for each in self.created if uid == ALL else [uid]:
            self.single.pop((peer, each), None)

    def suspend(self, peer: str) -> None:
        self.everything.pop(peer, None)


@given(st.lists(subscriptions, max_size=30))
def test_subscriptions(history: list[tuple[Any, ...]]) -> None:
    run(check_subscriptions(history))


async def check_subscriptions(history: list[tuple[Any, ...]]) -> None:
    manager, model = Manager(), Watched()
    manager.app.destinations = dict.fromkeys(PEERS, "127.0.0.1:9")
    told: list[tuple[str, str]] = []
    manager.provider.reporter.post = lambda ae_title, event: told.append((ae_title, event.uid))  # type: ignore[method-assign]
    provider = manager.provider
    async with asking(manager) as worklist:
        for name, *arguments in history:
            if name == "end":
                before = len(told)
                await status_of(worklist.request_cancel(arguments[0]))
                # Everyone who is subscribed hears of it, and nobody else.
                heard = {peer for peer, _ in told[before:]}
                assert heard in (set(), {peer for peer, uid in model.single if uid == arguments[0]})
                del told[before:]
                continue
            getattr(model, name)(*arguments)
            await request_subscription(worklist, name, arguments)
        assert told == model.told
        assert {peer: each.lock for peer, each in provider.subscriptions.everything.items()} == model.everything
        held = provider.subscriptions.steps
        assert {(peer, uid): lock for uid, locks in held.items() for peer, lock in locks.items()} == model.single


async def request_subscription(worklist: UPSWorklist, name: str, arguments: list[Any]) -> None:
    match name, arguments:
        case "create", [uid]:
            await ask(worklist, ("create", uid))
        case "subscribe", [peer, uid, lock]:
            await status_of(worklist.subscribe(uid, receiving_ae=peer, deletion_lock=lock))
        case "unsubscribe", [peer, uid]:
            await status_of(worklist.unsubscribe(uid, receiving_ae=peer))
        case _:
            await worklist.suspend(receiving_ae=arguments[0])


# what peers put into their requests

keywords = st.sampled_from(
    [
        "ProcedureStepState",
        "ScheduledProcedureStepPriority",
        "InputReadinessState",
        "ProcedureStepLabel",
        "TransactionUID",
        "PatientName",
        "ProcedureStepProgressInformationSequence",
        "UnifiedProcedureStepPerformedProcedureSequence",
        "ReceivingAE",
        "DeletionLock",
    ]
)
values = st.sampled_from([None, "SCHEDULED", "IN PROGRESS", "COMPLETED", "TRUE", "HIGH", "READY", "1.2.3"])


@given(st.lists(st.tuples(st.integers(0, 7), st.dictionaries(keywords, values, max_size=6)), max_size=12))
def test_odd_requests_get_a_status(history: list[tuple[int, dict[str, Any]]]) -> None:
    run(check_odd_requests(history))


async def check_odd_requests(history: list[tuple[int, dict[str, Any]]]) -> None:
    """No request of a peer leads to a failure of ours, which would be Processing Failure, or ends the association."""
    manager = Manager()
    push = "1.2.840.10008.5.1.4.34.6.1"
    async with asking(manager) as worklist:
        association = worklist.peer
        await worklist.create(label(), UIDS[0])
        for kind, elements in history:
            given = dataset(**{name: None if name.endswith("Sequence") else value for name, value in elements.items()})
            if kind == 0:
                status = await status_of(association.n_create(push, UIDS[1], given))
            elif kind == 7:
                status = await status_of(association.n_set(push, UIDS[0], given))
            else:
                status = await status_of(association.n_action(push, UIDS[0], kind, given))
            assert status != Status.PROCESSING_FAILURE
        assert (await worklist.get(UIDS[0])).ProcedureStepState in list(UPSState)


def run(check: Coroutine[Any, Any, None]) -> None:
    """Runs one example in an event loop of its own."""
    asyncio.run(check)

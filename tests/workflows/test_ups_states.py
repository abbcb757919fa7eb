"""The tables of PS3.4 CC, cell by cell, as a peer sees them."""

import pytest
from pydicom.dataset import Dataset

from dicomio import Status, StatusError, UPSState, UPSWorklist, dataset
from dicomio.sop import UPSGlobalSubscriptionInstance as ALL
from dicomio.workflows.ups.subscriptions import GlobalSubscription, Subscriptions
from tests.workflows.unified import LOCK, UID, WRONG, Manager, asking, created, label, performed, status_of

STATES = None, UPSState.SCHEDULED, UPSState.IN_PROGRESS, UPSState.COMPLETED, UPSState.CANCELED
SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = STATES[1:]

# PS3.4 Table CC.1.1-2 by requested state and whether the Transaction UID is right: a status for each state.
CHANGES = {
    (IN_PROGRESS, LOCK): (0xC307, 0x0000, 0xC302, 0xC300, 0xC300),
    (IN_PROGRESS, WRONG): (0xC307, 0x0000, 0xC301, 0xC301, 0xC301),
    (IN_PROGRESS, ""): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    (SCHEDULED, LOCK): (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    (SCHEDULED, ""): (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    (COMPLETED, LOCK): (0xC307, 0xC310, 0x0000, 0xB306, 0xC300),
    (COMPLETED, WRONG): (0xC307, 0xC310, 0xC301, 0xC301, 0xC301),
    (COMPLETED, ""): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    (CANCELED, LOCK): (0xC307, 0xC310, 0x0000, 0xC300, 0xB304),
    (CANCELED, WRONG): (0xC307, 0xC310, 0xC301, 0xC301, 0xC301),
    (CANCELED, ""): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
}
CANCEL = (0xC307, 0x0000, 0x0000, 0xC311, 0xB304)
CREATE = (0x0000, 0x0111, 0x0111, 0x0111, 0x0111)
# PS3.4 CC.2.6.2 to CC.2.6.4
SETS = {
    LOCK: (0xC307, 0xC310, 0x0000, 0xC300, 0xC300),
    WRONG: (0xC307, 0xC310, 0xC301, 0xC300, 0xC300),
    "": (0xC307, 0x0000, 0xC301, 0xC300, 0xC300),
}


@pytest.mark.parametrize(
    "state, wanted, lock, expected",
    [
        (state, wanted, lock, status)
        for (wanted, lock), row in CHANGES.items()
        for state, status in zip(STATES, row, strict=True)
    ],
)
async def test_change_state(state: UPSState | None, wanted: UPSState, lock: str, expected: int) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(state)
        if wanted is COMPLETED and state is IN_PROGRESS:
            await worklist.set(UID, performed(), LOCK)
        before = len(await manager.happened())
        assert await status_of(worklist.change_state(UID, wanted, lock)) == expected
        changed = expected == 0x0000
        assert await manager.state() == (wanted if changed else state)
        assert (await manager.happened())[before:] == ([wanted] if changed else [])


@pytest.mark.parametrize("state, expected", list(zip(STATES, CANCEL, strict=True)))
async def test_request_cancel(state: UPSState | None, expected: int) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(state)
        manager.provider.subscriptions.subscribe("FAR", UID, lock=False)
        before = len(await manager.happened())
        assert await status_of(worklist.request_cancel(UID, "not needed")) == expected
        after = {
            SCHEDULED: ["UPSCancelRequested", "IN PROGRESS", "CANCELED"],
            IN_PROGRESS: ["UPSCancelRequested"],
        }
        assert (await manager.happened())[before:] == (after[state] if state in (SCHEDULED, IN_PROGRESS) else [])
        assert await manager.state() == (CANCELED if state is SCHEDULED else state)


@pytest.mark.parametrize("state, expected", list(zip(STATES, CREATE, strict=True)))
async def test_create(state: UPSState | None, expected: int) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(state)
        try:
            assert await worklist.create(label("Another"), UID) == UID
            status = 0
        except StatusError as error:
            status = error.status
        assert status == expected
        assert await manager.state() == (state or SCHEDULED)


@pytest.mark.parametrize(
    "state, lock, expected",
    [(state, lock, status) for lock, row in SETS.items() for state, status in zip(STATES, row, strict=True)],
)
async def test_set(state: UPSState | None, lock: str, expected: int) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(state)
        changes = dataset(ProcedureStepLabel="Changed")
        assert await status_of(worklist.set(UID, changes, lock or None)) == expected
        step = await manager.provider.store.get(UID)
        assert (step is not None and step.ProcedureStepLabel == "Changed") == (expected == 0)


# PS3.4 Table CC.2.3-2. `None` stands for "Not Subscribed"; otherwise whether there is a lock.
SUBSCRIPTION_STATES = (None, True, False)
# By action: the state that follows from each of the three, and whether an initial event is sent.
ACTIONS = {
    "globally with lock": (("True", True), ("True", False), ("False", False)),
    "globally w/o lock": (("False", False), ("True", False), ("False", False)),
    "specific with lock": (("True", True), ("True", True), ("True", True)),
    "specific w/o lock": (("False", True), ("False", True), ("False", True)),
    "unsubscribes from specific": (("None", False), ("None", False), ("None", False)),
    "unsubscribes globally": (("None", False), ("None", False), ("None", False)),
    "suspends": (("None", False), ("True", False), ("False", False)),
}
GLOBAL_AFTER = {
    "globally with lock": True,
    "globally w/o lock": False,
    "unsubscribes globally": None,
    "suspends": None,
}


@pytest.mark.parametrize("before_globally", SUBSCRIPTION_STATES)
@pytest.mark.parametrize(
    "action, before, after, told",
    [
        (action, before, after, told)
        for action, cells in ACTIONS.items()
        for before, (after, told) in zip(SUBSCRIPTION_STATES, cells, strict=True)
    ],
)
async def test_subscription(
    action: str,
    before: bool | None,
    after: str,
    told: bool,
    before_globally: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        await manager.reach(SCHEDULED)
        subscriptions = manager.provider.subscriptions
        if before is not None:
            subscriptions.subscribe("FAR", UID, lock=before)
        if before_globally is not None:
            subscriptions.everything["FAR"] = GlobalSubscription(before_globally)
        posted: list[str] = []
        monkeypatch.setattr(manager.provider.reporter, "post", lambda title, event: posted.append(title))
        await act(worklist, action)
        assert str(subscriptions.steps.get(UID, {}).get("FAR")) == after
        assert posted == (["FAR"] if told else [])
        globally = subscriptions.everything.get("FAR")
        expected = GLOBAL_AFTER.get(action, before_globally)
        assert (globally.lock if globally is not None else None) == expected


async def act(worklist: UPSWorklist, action: str) -> None:
    """Does what a line of the table names."""
    if action.startswith("unsubscribes"):
        await worklist.unsubscribe(UID if "specific" in action else ALL, receiving_ae="FAR")
    elif action == "suspends":
        await worklist.suspend(receiving_ae="FAR")
    else:
        uid = ALL if action.startswith("globally") else UID
        await worklist.subscribe(uid, receiving_ae="FAR", deletion_lock="with lock" in action)


@pytest.mark.parametrize("lock", SUBSCRIPTION_STATES)
def test_subscription_by_creation(lock: bool | None) -> None:
    subscriptions = Subscriptions()
    if lock is not None:
        subscriptions.everything["FAR"] = GlobalSubscription(lock)
    assert list(subscriptions.created(with_uid(created()))) == ([] if lock is None else ["FAR"])
    assert subscriptions.steps.get(UID, {}).get("FAR") is lock
    assert subscriptions.locked(UID) is (lock is True)


def with_uid(step: Dataset) -> Dataset:
    step.SOPInstanceUID = UID
    return step


async def test_a_status_is_explained_in_words() -> None:
    manager = Manager()
    async with asking(manager) as worklist:
        with pytest.raises(StatusError, match="no such procedure step") as caught:
            await worklist.get(UID)
        assert caught.value.status == Status.UPS_NOT_FOUND

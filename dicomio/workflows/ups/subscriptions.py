"""Who is told of which Unified Procedure Steps (PS3.4 CC.2.3)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pydicom.dataset import Dataset

__all__ = ["GlobalSubscription", "Subscriptions"]

# Which steps a filtered global subscription is about; all of them without a filter.
Filter: TypeAlias = Callable[[Dataset], bool]


@dataclass(frozen=True, slots=True)
class GlobalSubscription:
    """The Global Subscription State of an AE that has one.

    Args:
        lock: whether steps are kept for it once they have ended.
        accepts: which steps it is about, for a filtered one.
    """

    lock: bool
    accepts: Filter | None = None


@dataclass(slots=True)
class Subscriptions:
    """The subscription states of PS3.4 Table CC.2.3-2, those that are not "Not Subscribed".

    Attributes:
        everything: global subscriptions by AE title; a filtered one takes the place of one for everything, and the
            other way round.
        steps: by SOP Instance UID whether each AE that is subscribed to the step has a deletion lock on it.
    """

    everything: dict[str, GlobalSubscription] = field(default_factory=dict)
    steps: dict[str, dict[str, bool]] = field(default_factory=dict)

    def created(self, step: Dataset) -> Sequence[str]:
        """A step is created.

        Returns:
            The AEs that are to be told.
        """
        locks = {
            ae_title: subscription.lock
            for ae_title, subscription in self.everything.items()
            if subscription.accepts is None or subscription.accepts(step)
        }
        if locks:
            self.steps[step.SOPInstanceUID] = locks
        return list(locks)

    def subscribe(self, ae_title: str, uid: str, *, lock: bool) -> None:
        """An AE subscribes to a step; it is to be told its state."""
        self.steps.setdefault(uid, {})[ae_title] = lock

    def subscribe_to_all(self, ae_title: str, subscription: GlobalSubscription, steps: Iterable[str]) -> Sequence[str]:
        """An AE subscribes globally.

        Args:
            ae_title: who.
            subscription: with or without a lock.
            steps: the SOP Instance UIDs of all that it is about.

        Returns:
            Of these the steps whose state it is to be told.
        """
        self.everything[ae_title] = subscription
        new = [uid for uid in steps if ae_title not in self.steps.get(uid, ())]
        for uid in new:
            self.subscribe(ae_title, uid, lock=subscription.lock)
        return new if subscription.lock else ()

    def unsubscribe(self, ae_title: str, uid: str) -> None:
        """An AE unsubscribes from a step."""
        locks = self.steps.get(uid, {})
        locks.pop(ae_title, None)
        if not locks:
            self.steps.pop(uid, None)

    def unsubscribe_from_all(self, ae_title: str) -> None:
        """An AE unsubscribes globally, which ends its subscriptions to single steps too."""
        self.suspend(ae_title)
        for uid in list(self.steps):
            self.unsubscribe(ae_title, uid)

    def suspend(self, ae_title: str) -> None:
        """An AE suspends its global subscription: no step that is created from now on concerns it."""
        self.everything.pop(ae_title, None)

    def forget(self, uid: str) -> None:
        """A step is no more."""
        self.steps.pop(uid, None)

    def of(self, uid: str) -> Sequence[str]:
        """The AEs that are subscribed to a step."""
        return list(self.steps.get(uid, ()))

    def locked(self, uid: str) -> bool:
        """Whether a step has to be kept."""
        return any(self.steps.get(uid, {}).values())

    def everyone(self) -> Iterator[str]:
        """Every AE with any subscription, once."""
        titles = dict.fromkeys(self.everything)
        for locks in self.steps.values():
            titles.update(dict.fromkeys(locks))
        return iter(titles)

"""Where Unified Procedure Steps are kept."""

from collections.abc import AsyncIterator
from typing import Protocol

from pydicom.dataset import Dataset

from dicomio.errors import Refused
from dicomio.status import Status

__all__ = ["MemoryUPSStore", "UPSStore"]


class UPSStore(Protocol):
    """What keeps the steps of a `UPSProvider`: data sets with Transaction UID, by SOP Instance UID.

    The provider never changes a data set that it got or gave, and never asks for two changes at once. What a store
    raises is what the peer is answered: see `Refused`.
    """

    async def get(self, uid: str) -> Dataset | None:
        """A step, `None` where there is none of that UID."""

    async def put(self, uid: str, step: Dataset) -> None:
        """Keeps a step, in place of the one with the same UID."""

    async def delete(self, uid: str) -> None:
        """Removes a step, if it is there."""

    def select(self, identifier: Dataset) -> AsyncIterator[Dataset]:
        """The steps that may match an identifier, and others as well: which of them do, the provider finds out."""


class MemoryUPSStore:
    """Steps in memory.

    Args:
        limit: of steps; creating more is refused with Resource Limitation.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self.limit = limit
        self.steps: dict[str, Dataset] = {}

    async def get(self, uid: str) -> Dataset | None:
        """A step, `None` where there is none of that UID."""
        return self.steps.get(uid)

    async def put(self, uid: str, step: Dataset) -> None:
        """Keeps a step.

        Raises:
            Refused: there are too many.
        """
        if uid not in self.steps and len(self.steps) >= self.limit:
            raise Refused(Status.RESOURCE_LIMITATION, f"there are {self.limit} procedure steps already")
        self.steps[uid] = step

    async def delete(self, uid: str) -> None:
        """Removes a step, if it is there."""
        self.steps.pop(uid, None)

    async def select(self, identifier: Dataset) -> AsyncIterator[Dataset]:
        """All steps."""
        for step in list(self.steps.values()):
            yield step

"""What was made of objects that come again: peers propose the same for each of their associations."""

from collections.abc import Callable
from typing import Generic, TypeVar, TypeVarTuple, Unpack

__all__ = ["Memory"]

T = TypeVar("T")
Of = TypeVarTuple("Of")


class Memory(Generic[T]):
    """Results by the very objects that they were made of, which must not change.

    Args:
        most: results that are kept; the oldest goes first.
    """

    __slots__ = ("kept", "most")

    def __init__(self, most: int = 64) -> None:
        self.most = most
        self.kept: dict[tuple[int, ...], tuple[tuple[object, ...], T]] = {}

    def recall(self, make: Callable[[Unpack[Of]], T], *of: *Of) -> T:
        """What `make` has made of these objects before, or makes now."""
        # What is kept keeps its objects, too, so that no other object gets the identity of one of them.
        key = tuple(map(id, of))
        found = self.kept.get(key)
        if found is None:
            found = of, make(*of)
            if len(self.kept) >= self.most:
                # All at once, since another thread may do the same.
                oldest, *_ = list(self.kept)
                self.kept.pop(oldest, None)
            self.kept[key] = found
        return found[1]

    def clear(self) -> None:
        """Forgets everything."""
        self.kept.clear()

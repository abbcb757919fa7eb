"""What a cell is: several ways to do the same thing, and what ours has to reach beside the others."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from benchmarks.stage import Stage

__all__ = ["OURS", "Above", "AtLeast", "AtMost", "Below", "Cell", "Options", "Target", "Values", "Way", "cpu_of"]

# The series that ratios are formed with, where a cell has one of that name.
OURS = "dicomio"

Values: TypeAlias = Mapping[str, float]


def cpu_of(series: str) -> str:
    """What the processor time of a series is called among the values, where it is measured."""
    return f"{series}: CPU"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says to all cells.

    Args:
        loop: event loop of our processes, `asyncio` or `uvloop`.
        sizes: of the objects in the memory cells, bytes of pixel data.
    """

    loop: str
    sizes: Sequence[int]


class Target(Protocol):
    """What a cell has to reach."""

    @property
    def series(self) -> str:
        """The series it is about."""
        ...

    def value(self, medians: Values) -> float:
        """What is held against the limit.

        Raises:
            KeyError: a series that it needs was not measured.
        """
        ...

    def reached(self, medians: Values) -> bool:
        """Whether these medians are good enough; a series that is missing is not."""
        ...


@dataclass(frozen=True, slots=True)
class Ratio(ABC):
    """What a series is beside another one.

    Args:
        series: what it is about.
        times: the limit of their ratio.
        of: the other one.
    """

    series: str
    times: float
    of: str

    def value(self, medians: Values) -> float:
        return medians[self.series] / medians[self.of]

    def reached(self, medians: Values) -> bool:
        return {self.series, self.of} <= medians.keys() and self.suits(self.value(medians))

    @abstractmethod
    def suits(self, ratio: float) -> bool:
        """Whether a ratio is on the right side of the limit."""


class AtLeast(Ratio):
    """A series is at least so many times another one."""

    __slots__ = ()

    def suits(self, ratio: float) -> bool:
        return ratio >= self.times

    def __str__(self) -> str:
        return f"≥ {self.times:g} x {self.of}"


class AtMost(Ratio):
    """A series is at most so many times another one."""

    __slots__ = ()

    def suits(self, ratio: float) -> bool:
        return ratio <= self.times

    def __str__(self) -> str:
        return f"≤ {self.times:g} x {self.of}"


@dataclass(frozen=True, slots=True)
class Single(ABC):
    """What a series is, in the unit of the cell.

    Args:
        series: what it is about.
        limit: of its value.
    """

    series: str
    limit: float

    def value(self, medians: Values) -> float:
        return medians[self.series]

    def reached(self, medians: Values) -> bool:
        return self.series in medians and self.suits(self.value(medians))

    @abstractmethod
    def suits(self, value: float) -> bool:
        """Whether a value is on the right side of the limit."""


class Above(Single):
    """A series reaches a limit."""

    __slots__ = ()

    def suits(self, value: float) -> bool:
        return value >= self.limit

    def __str__(self) -> str:
        return f"≥ {self.limit:g}"


class Below(Single):
    """A series stays below a limit."""

    __slots__ = ()

    def suits(self, value: float) -> bool:
        return value < self.limit

    def __str__(self) -> str:
        return f"< {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do what a cell measures.

    Args:
        names: the series it gives values for.
        run: measures once, verifies what was done, and returns a value for each series, and of some the processor
            time, by `cpu_of`.
        needs: programs, modules or files without which it cannot run.
    """

    names: Sequence[str]
    run: Callable[[Stage], Values]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table: its ways run in turns, round after round.

    Args:
        topic: what `--only` selects it by.
        name: what is measured.
        unit: of every value.
        ways: ours first.
        targets: what has to be reached.
        rounds: most rounds that make sense, where a single one tells everything; `None` for as many as are asked for.
        cost: unit of the processor time, where that is measured.
    """

    topic: str
    name: str
    unit: str
    ways: Sequence[Way]
    targets: Sequence[Target] = ()
    rounds: int | None = None
    cost: str = ""

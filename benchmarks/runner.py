"""Runs cells: their ways in turns, round after round, so that whatever disturbs the machine disturbs all of them."""

import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.cells import Cell, Way, cpu_of
from benchmarks.processes import Failure
from benchmarks.stage import Stage

__all__ = ["CellResult", "Group", "Series", "run_cells"]


@dataclass(frozen=True, slots=True)
class Series:
    """What one participant reached in each round."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that share the objects they send.

    Args:
        cells: those of one topic.
        directory: where their temporary files go.
    """

    cells: Sequence[Cell]
    directory: Path


@dataclass(slots=True)
class CellResult:
    """What came out of a cell.

    Attributes:
        cell: the cell.
        values: what each series reached in each round.
        problems: why a series is incomplete or missing, by its name.
    """

    cell: Cell
    values: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def series(self) -> Mapping[str, Series]:
        """The complete ones."""
        failed = self.problems.keys() | {cpu_of(name) for name in self.problems}
        return {name: Series(values) for name, values in self.values.items() if name not in failed}

    @property
    def medians(self) -> Mapping[str, float]:
        return {name: series.median for name, series in self.series.items()}

    @property
    def reached(self) -> bool:
        """Whether every target is."""
        return all(target.reached(self.medians) for target in self.cell.targets)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many rounds there are, and when there is no time for another one.

    Every cell gets one round. It gets another only while the cells up to it have used no more than their share of the
    time, so that a slow machine measures less often, and not for longer.

    Args:
        rounds: at most.
        seconds: for all cells.
        cells: how many there are.
        started: when the first began, by `time.monotonic`.
    """

    rounds: int
    seconds: float
    cells: int
    started: float

    def rounds_of(self, cell: Cell, index: int) -> Iterator[int]:
        """The numbers of the rounds of a cell, as long as there is time.

        Args:
            cell: the cell.
            index: its place among all cells, from 0.
        """
        until = self.started + self.seconds * (index + 1) / self.cells
        for number in range(1, min(self.rounds, cell.rounds or self.rounds) + 1):
            if number == 1 or time.monotonic() < until:
                yield number


def run_cells(
    groups: Sequence[Group], rounds: int, seconds: float, progress: Callable[[str], None]
) -> list[CellResult]:
    """Runs the cells of several topics.

    Args:
        groups: the cells of each topic.
        rounds: how often each way runs, at most.
        seconds: after how long no further rounds begin; each cell gets one.
        progress: called with what is about to run.
    """
    pace = Pace(rounds, seconds, sum(len(group.cells) for group in groups), time.monotonic())
    results: list[CellResult] = []
    for group in groups:
        with Stage(group.directory) as stage:
            for cell in group.cells:
                results.append(run_cell(cell, pace.rounds_of(cell, len(results)), stage, progress))
                stage.stop_servers()
    return results


def run_cell(cell: Cell, rounds: Iterable[int], stage: Stage, progress: Callable[[str], None]) -> CellResult:
    """Runs a cell, each round from another way on; one that fails is left out from then on, and the others go on."""
    result = CellResult(cell)
    for number in rounds:
        # Who comes first touches memory that the machine has to find anew, and files where there were none.
        first = (number - 1) % len(cell.ways)
        for way in (*cell.ways[first:], *cell.ways[:first]):
            progress(f"{cell.topic}: {cell.name}, round {number}: {', '.join(way.names)}")
            run_way(way, stage, result)
    return result


def run_way(way: Way, stage: Stage, result: CellResult) -> None:
    """Runs a way once, unless it has failed before or lacks something."""
    if result.problems.keys() & set(way.names):
        return
    lacking = [need for need in dict.fromkeys(way.needs) if not available(need)]
    try:
        if lacking:
            raise Failure(f"not installed: {', '.join(lacking)}")
        values = way.run(stage)
    except Failure as failure:
        result.problems.update(dict.fromkeys(way.names, str(failure)))
        return
    for name, value in values.items():
        result.values.setdefault(name, []).append(value)


def available(need: str) -> bool:
    """Whether there is such a program, module or file."""
    return Path(need).exists() if need.startswith("/") else bool(shutil.which(need) or find_spec(need))

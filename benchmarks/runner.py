"""Runs cells: their ways in turns, round after round, so that whatever disturbs the machine disturbs all of them."""

import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.cells import Cell, Way
from benchmarks.processes import Failure
from benchmarks.stage import Stage

__all__ = ["CellResult", "Series", "run_cells"]


@dataclass(frozen=True, slots=True)
class Series:
    """What one participant reached in each round."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


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
        return {name: Series(values) for name, values in self.values.items() if name not in self.problems}

    @property
    def medians(self) -> Mapping[str, float]:
        return {name: series.median for name, series in self.series.items()}

    @property
    def reached(self) -> bool:
        """Whether every target is."""
        return all(target.reached(self.medians) for target in self.cell.targets)


def run_cells(
    cells: Sequence[Cell], rounds: int, directory: Path, progress: Callable[[str], None]
) -> Iterator[CellResult]:
    """Runs cells that share the objects they send.

    Args:
        cells: the cells.
        rounds: how often each way runs, at most.
        directory: where temporary files go.
        progress: called with what is about to run.
    """
    with Stage(directory) as stage:
        for cell in cells:
            yield run_cell(cell, rounds, stage, progress)
            stage.stop_servers()


def run_cell(cell: Cell, rounds: int, stage: Stage, progress: Callable[[str], None]) -> CellResult:
    """Runs a cell; a way that fails is left out from then on, and the others go on."""
    result = CellResult(cell)
    for number in range(1, min(rounds, cell.rounds or rounds) + 1):
        for way in cell.ways:
            progress(f"{cell.topic}: {cell.name}, round {number}: {', '.join(way.names)}")
            run_way(way, stage, result)
    return result


def run_way(way: Way, stage: Stage, result: CellResult) -> None:
    """Runs a way once, unless it has failed before or lacks something."""
    if result.problems.keys() & set(way.names):
        return
    lacking = [need for need in way.needs if not available(need)]
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

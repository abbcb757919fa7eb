"""Cells with ours on several event loops: on each in turns with all others, in the same rounds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from benchmarks.cells import OURS, Cell, Options, Values, Way, cpu_of
from benchmarks.stage import Stage

__all__ = ["Topic", "on_loops"]

Topic: TypeAlias = Callable[[Options], Sequence[Cell]]


def on_loops(topic: Topic, options: Options, loops: Sequence[str]) -> list[Cell]:
    """The cells of a topic; targets are for the first event loop.

    Args:
        topic: makes the cells.
        options: of the command line.
        loops: event loops; the series of all but the first have its name behind theirs.
    """
    cells = list(topic(replace(options, loop=loops[0])))
    for loop in loops[1:]:
        others = topic(replace(options, loop=loop))
        cells = [with_ways(cell, other, loop) for cell, other in zip(cells, others, strict=True)]
    return cells


def with_ways(cell: Cell, other: Cell, loop: str) -> Cell:
    """A cell with our ways of the same on another event loop, before those of others."""
    ours, theirs = split(cell)
    again = [on_loop(way, loop) for way in split(other)[0] if way.names[0] in {way.names[0] for way in ours}]
    return replace(cell, ways=[*ours, *again, *theirs])


def split(cell: Cell) -> tuple[list[Way], list[Way]]:
    """Our ways and those of others; where none has our name, all are ours."""
    ours = [way for way in cell.ways if way.names[0].startswith(OURS)]
    return (ours, [way for way in cell.ways if way not in ours]) if ours else (list(cell.ways), [])


def on_loop(way: Way, loop: str) -> Way:
    """A way with servers of its own, whose series have the loop in their names."""
    names = {name: f"{name}, {loop}" for name in way.names}
    renamed = names | {cpu_of(name): cpu_of(new) for name, new in names.items()}

    def run(stage: Stage) -> Values:
        with stage.apart(loop):
            return {renamed[name]: value for name, value in way.run(stage).items()}

    return replace(way, names=list(names.values()), run=run)

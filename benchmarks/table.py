"""`python -m benchmarks.table run.json`: the tables of README.md and docs/performance.md, from a run with `--json`.

There is one for each topic. Of several runs the last one counts in which a cell is. With `--into` tables take the place
of what is between two lines of comment in a file, else they are printed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.cells import OURS
from benchmarks.report import figures

__all__ = ["between", "merged", "missed", "table"]

# What is shown of each series, and what that is called in the lines of comment.
SPEED: Final = ("median", "figures")
PROCESSOR: Final = ("cpu", "processor times")
MISSED: Final = "missed targets"
BEGIN: Final = "<!-- {} of a run, made by python -m benchmarks.{} -->"
END: Final = "<!-- end of {} -->"
# Programs of DCMTK whose series are not named after it.
DCMTK: Final = ("DCMTK", "dcmqrscp", "findscu", "wlmscpfs")
PYNETDICOM: Final = "pynetdicom"
# The end of the names of our series on the other event loop.
ON_ASYNCIO: Final = ", asyncio"
OURS_ON_ASYNCIO: Final = f"{OURS} on asyncio"
RATIO: Final = f"{OURS} ÷ DCMTK"
COLUMNS: Final = (OURS, OURS_ON_ASYNCIO, "DCMTK", PYNETDICOM, "others", RATIO)
# Of the conditions of a run those that are told; some speak for themselves.
NAMED: Final = ("date", "machine", "dicomio", "Python", "DCMTK", "pynetdicom", "Orthanc", "uvloop")
SPEAKING: Final = ("date", "machine")
# In these runs have to be alike whose cells come together.
COMPARED: Final = ("machine", "dicomio", "Python", "DCMTK", "pynetdicom", "Orthanc", "uvloop")


def merged(runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """One run of several under the same conditions; each cell is as the last of them has it.

    Raises:
        ValueError: they were under different ones.
    """
    first, *others = (run["conditions"] for run in runs)
    for name in COMPARED:
        if any(about.get(name) != first.get(name) for about in others):
            raise ValueError(f"these runs differ in {name}")
    cells = {(cell["topic"], cell["name"]): cell for run in runs for cell in run["cells"]}
    dates = dict.fromkeys(run["conditions"]["date"] for run in runs if "date" in run["conditions"])
    said = {"date": ", ".join(dates)} if dates else {}
    return {"conditions": {**first, **said}, "cells": list(cells.values())}


def table(run: Mapping[str, Any], topics: Sequence[str] = (), value: str = "median") -> str:
    """Tables in Markdown, one for each topic.

    Args:
        run: what `python -m benchmarks --json` has printed.
        topics: those to show, without any all.
        value: of each series, `median` or `cpu`.
    """
    shown = [cell for cell in run["cells"] if not topics or cell["topic"] in topics]
    by_topic: dict[str, list[Mapping[str, Any]]] = {}
    for cell in shown:
        if any(value in series for series in cell["series"].values()):
            by_topic.setdefault(cell["topic"], []).append(cell)
    tables = [f"**{topic}**\n\n{of_topic(cells, value)}" for topic, cells in by_topic.items()]
    return "\n\n".join([conditions(run), *tables, *without(shown)])


def of_topic(cells: Sequence[Mapping[str, Any]], value: str) -> str:
    """The table of some cells, without the columns in which nothing is."""
    unit = "unit" if value == "median" else "cost"
    units = {cell[unit] for cell in cells}
    shared = units.pop() if len(units) == 1 else ""
    rows = [columns_of(cell, value) for cell in cells]
    used = [column for column in COLUMNS if any(row[column] for row in rows)]
    lines = [[shared, *used], ["---", *["---:"] * len(used)]]
    for cell, row in zip(cells, rows, strict=True):
        title = cell["name"] if shared else f"{cell['name']}, {cell[unit]}"
        lines.append([title, *(row[column] for column in used)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def without(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence about what could not be measured, if there is any."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        for name in cell.get("problems", {}):
            if cell["topic"] not in found.setdefault(name, []):
                found[name].append(cell["topic"])
    names = "; ".join(f"{name} ({', '.join(topics)})" for name, topics in found.items())
    return [f"Could not be measured: {names}."] if names else []


def missed(run: Mapping[str, Any], topics: Sequence[str] = ()) -> str:
    """The targets that were not reached, as a list in Markdown."""
    lines = [
        f"- {cell['topic']}: {cell['name']}: {target['target']}"
        for cell in run["cells"]
        if not topics or cell["topic"] in topics
        for target in cell["targets"]
        if not target["reached"]
    ]
    return "\n".join(lines) or "None."


def conditions(run: Mapping[str, Any]) -> str:
    """A sentence about the run."""
    about = run["conditions"]
    rounds = max((len(series["values"]) for cell in run["cells"] for series in cell["series"].values()), default=0)
    parts = [about[name] if name in SPEAKING else f"{name} {about[name]}" for name in NAMED if name in about]
    return f"Medians of up to {rounds} rounds; {'; '.join(parts)}."


def columns_of(cell: Mapping[str, Any], value: str) -> dict[str, str]:
    """What is in each column of the line of a cell."""
    found: dict[str, list[str]] = {column: [] for column in COLUMNS}
    for name, series in cell["series"].items():
        if value in series:
            column, label = place(name, cell)
            found[column].append(f"{figures(series[value])} {label}".strip())
    if value == "median":
        found[RATIO] = ratio(cell)
    return {column: "; ".join(words) for column, words in found.items()}


def place(name: str, cell: Mapping[str, Any]) -> tuple[str, str]:
    """In which column a series is, and what it is called there.

    Where none of a cell has our name, all are ours but for those of DCMTK and pynetdicom.
    """
    for theirs in DCMTK:
        if name.startswith(theirs):
            return "DCMTK", name.removeprefix("DCMTK").strip(", ")
    if name.startswith(PYNETDICOM):
        return PYNETDICOM, name.removeprefix(PYNETDICOM).strip(", ")
    if not name.startswith(OURS) and any(known.startswith(OURS) for known in (*cell["series"], *cell["problems"])):
        return "others", name
    column = OURS_ON_ASYNCIO if name.endswith(ON_ASYNCIO) else OURS
    return column, name.removesuffix(ON_ASYNCIO).removeprefix(OURS).strip(", ")


def ratio(cell: Mapping[str, Any]) -> list[str]:
    """How many times as much ours reached as the fastest of DCMTK's programs, where more is better."""
    medians = {name: series["median"] for name, series in cell["series"].items()}
    theirs = [median for name, median in medians.items() if name.startswith(DCMTK)]
    if not theirs or OURS not in medians or not cell["unit"].endswith("/s"):
        return []
    return [f"{figures(medians[OURS] / max(theirs))} x"]


def between(text: str, made: str, what: str, maker: str = "table") -> str:
    """A text with another table between the two lines of comment.

    Args:
        text: that of a file.
        made: the table.
        what: it shows, as the lines of comment have it.
        maker: module that makes it, likewise.

    Raises:
        ValueError: the text does not have these lines.
    """
    first, last = BEGIN.format(what, maker), END.format(what)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the two lines {first} and {last} are not there")
    return f"{before}{first}\n\n{made}\n\n{last}{after}"


def read(path: Path) -> Mapping[str, Any]:
    """A run.

    Raises:
        ValueError: this is none.
    """
    try:
        run: Mapping[str, Any] = json.loads(path.read_text())
        run["conditions"], run["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what `python -m benchmarks --json` prints: {error}") from error
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints or writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="run", help="what `python -m benchmarks --json` printed")
    parser.add_argument("--only", metavar="TOPIC,…", type=lambda text: text.split(","), default=[])
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--processor", action="store_true", help="processor time in place of speed")
    shown.add_argument("--missed", action="store_true", help="a list of the targets that were not reached")
    parser.add_argument("--into", type=Path, help="the file to write it into")
    given = parser.parse_args(arguments)
    names = ", ".join(map(str, given.runs))
    try:
        run = merged([read(path) for path in given.runs])
        absent = set(given.only) - {cell["topic"] for cell in run["cells"]}
    except ValueError as error:
        parser.error(f"{error}")
    if absent:
        parser.error(f"nothing of {', '.join(sorted(absent))} is in {names}")
    value, what = PROCESSOR if given.processor else SPEED
    if given.missed:
        made, what = missed(run, given.only), MISSED
    else:
        made = table(run, given.only, value)
    if given.into is None:
        print(made)
        return 0
    try:
        given.into.write_text(between(given.into.read_text(), made, what))
    except (OSError, ValueError) as error:
        parser.error(f"{given.into}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

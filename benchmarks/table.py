"""`python -m benchmarks.table run.json`: the tables of README.md and docs/performance.md, from a run with `--json`.

With `--into` a table takes the place of what is between its two lines of comment in a file, else it is printed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.cells import OURS
from benchmarks.report import figures

__all__ = ["between", "missed", "table"]

# What is shown of each series, and what that is called in the lines of comment.
SPEED: Final = ("median", "figures")
PROCESSOR: Final = ("cpu", "processor times")
MISSED: Final = "missed targets"
BEGIN: Final = "<!-- {} of a run, made by python -m benchmarks.table -->"
END: Final = "<!-- end of {} -->"
# Programs of DCMTK whose series are not named after it.
DCMTK: Final = ("DCMTK", "dcmqrscp", "findscu", "wlmscpfs")
PYNETDICOM: Final = "pynetdicom"
COLUMNS: Final = (OURS, "DCMTK", PYNETDICOM, "others")
MISSING: Final = "-"
# What stands before the length of PDUs, where cells differ in that alone.
PDU: Final = ", PDU "
NAMED: Final = ("machine", "Python", "DCMTK", "pynetdicom", "Orthanc", "uvloop")


def table(run: Mapping[str, Any], topics: Sequence[str] = (), value: str = "median") -> str:
    """A table in Markdown.

    Args:
        run: what `python -m benchmarks --json` has printed.
        topics: those to show, without any all.
        value: of each series, `median` or `cpu`.
    """
    cells = [cell for cell in run["cells"] if not topics or cell["topic"] in topics]
    merged: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        if any(value in series for series in cell["series"].values()):
            merged.setdefault((cell["topic"], cell["name"].partition(PDU)[0]), []).append(cell)
    head = ["", *COLUMNS, *([f"{OURS} ÷ DCMTK"] if value == "median" else [])]
    lines = [
        head,
        ["---"] * len(head),
        *(row(f"{topic}: {name}", group, value) for (topic, name), group in merged.items()),
    ]
    made = f"{conditions(run)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([made, *without(cells)])


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
    parts = [f"{name} {about[name]}" if name != "machine" else about[name] for name in NAMED if name in about]
    return f"Medians of up to {rounds} rounds; {'; '.join(parts)}."


def row(name: str, cells: Sequence[Mapping[str, Any]], value: str) -> list[str]:
    """The cells that differ in the length of PDUs alone, as one line."""
    lengths = [cell["name"].partition(PDU)[2] for cell in cells]
    unit = cells[0]["unit" if value == "median" else "cost"]
    title = ", ".join(part for part in (name, f"PDU {' / '.join(lengths)}" if lengths[0] else "", unit) if part)
    columns = [[words(cell, column, value) for cell in cells] for column in COLUMNS]
    if value == "median":
        columns.append([ratio(cell) for cell in cells])
    return [title, *(" / ".join(column) if set(column) != {MISSING} else "" for column in columns)]


def words(cell: Mapping[str, Any], column: str, value: str) -> str:
    """What the series of one column reached."""
    found = []
    for name, series in cell["series"].items():
        if column_of(name, cell) != column or value not in series:
            continue
        label = name.removeprefix(column).strip(", ")
        found.append(f"{figures(series[value])} {label}".strip())
    return "; ".join(found) or MISSING


def column_of(name: str, cell: Mapping[str, Any]) -> str:
    """Whose series this is; where none has our name, all are ours but for those of DCMTK and pynetdicom."""
    if name.startswith(DCMTK):
        return "DCMTK"
    if name.startswith(PYNETDICOM):
        return PYNETDICOM
    return OURS if name.startswith(OURS) or OURS not in cell["series"] else "others"


def ratio(cell: Mapping[str, Any]) -> str:
    """How many times as much ours reached as the fastest of DCMTK's programs, where more is better."""
    medians = {name: series["median"] for name, series in cell["series"].items()}
    theirs = [median for name, median in medians.items() if name.startswith(DCMTK)]
    if not theirs or OURS not in medians or not cell["unit"].endswith("/s"):
        return MISSING
    return f"{figures(medians[OURS] / max(theirs))} x"


def between(text: str, made: str, what: str) -> str:
    """A text with another table between the two lines of comment.

    Args:
        text: that of a file.
        made: the table.
        what: it shows, as the lines of comment have it.

    Raises:
        ValueError: the text does not have these lines.
    """
    first, last = BEGIN.format(what), END.format(what)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the two lines {first} and {last} are not there")
    return f"{before}{first}\n\n{made}\n\n{last}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints or writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("run", type=Path, help="what `python -m benchmarks --json` printed")
    parser.add_argument("--only", metavar="TOPIC,…", type=lambda text: text.split(","), default=[])
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--processor", action="store_true", help="processor time in place of speed")
    shown.add_argument("--missed", action="store_true", help="a list of the targets that were not reached")
    parser.add_argument("--into", type=Path, help="the file to write it into")
    given = parser.parse_args(arguments)
    try:
        run = json.loads(given.run.read_text())
        absent = set(given.only) - {cell["topic"] for cell in run["cells"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"{given.run} is not what `python -m benchmarks --json` prints: {error}")
    if absent:
        parser.error(f"nothing of {', '.join(sorted(absent))} is in {given.run}")
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

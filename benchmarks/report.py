"""What came out, as a table to read or as JSON."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from benchmarks.cells import OURS, Options, Target
from benchmarks.runner import CellResult, Series

__all__ = ["as_json", "conditions", "print_table"]

WIDTH = 160


def conditions(options: Options, directory: Path) -> dict[str, str]:
    """What the numbers depend on: the machine, the versions, the settings."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {options.loop}",
        **{name: version_of(name) for name in ("dicomio", "pydicom", "pynetdicom", "uvloop")},
        "DCMTK": dcmtk_version(),
        "files in": str(directory),
        "DCMTK's sockets": "TCP_NODELAY=1 in its environment, but in the cells of stall",
        "pynetdicom's sockets": "as it makes them, there is no setting",
    }


def version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"


def dcmtk_version() -> str:
    """The version of the `echoscu` that is found."""
    if shutil.which("echoscu") is None:
        return "not installed"
    output = subprocess.run(["echoscu", "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    words = output.split()
    return words[2] if len(words) > 2 else "unknown"


def print_table(results: Sequence[CellResult], file: TextIO) -> None:
    """Prints a line for each series: its median and spread, how ours compares to it, and the targets."""
    console = Console(file=file, width=None if file.isatty() else WIDTH)
    table = Table(show_edge=False, pad_edge=False)
    for title in ("topic", "cell", "series"):
        table.add_column(title)
    for title in ("rounds", "median", "least", "most"):
        table.add_column(title, justify="right")
    table.add_column("unit")
    table.add_column(f"{OURS} ÷ it", justify="right")
    table.add_column("target")
    for result in results:
        for row in rows(result):
            table.add_row(*row)
        table.add_section()
    console.print(table)
    for result in results:
        for name, problem in result.problems.items():
            console.print(f"{result.cell.topic}, {result.cell.name}: {name}: {problem}", markup=False, highlight=False)


def rows(result: CellResult) -> Iterator[list[str]]:
    """The lines of a cell."""
    cell = result.cell
    head = [cell.topic, cell.name]
    for name in (name for way in cell.ways for name in way.names):
        targets = ", ".join(verdict(target, result) for target in cell.targets if target.series == name)
        series = result.series.get(name)
        measured = numbers(series, cell.unit) if series is not None else ["", "failed", "", "", ""]
        yield [*head, name, *measured, ratio(name, result), targets]
        head = ["", ""]


def numbers(series: Series, unit: str) -> list[str]:
    """How many there are, median, least, most and their unit."""
    measured = series.median, min(series.values), max(series.values)
    return [str(len(series.values)), *map(figures, measured), unit]


def figures(value: float) -> str:
    """A number with about three significant figures."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(name: str, result: CellResult) -> str:
    """How many times as much ours reached, where that is a comparison."""
    medians = result.medians
    if name == OURS or OURS not in medians or not medians.get(name):
        return ""
    return f"{figures(medians[OURS] / medians[name])} x"


def verdict(target: Target, result: CellResult) -> str:
    """The target and what became of it."""
    medians = result.medians
    try:
        value = figures(target.value(medians))
    except KeyError:
        return f"{target}: not measured"
    return f"{target}: {value}, {'reached' if target.reached(medians) else 'MISSED'}"


def as_json(results: Sequence[CellResult], about: dict[str, str]) -> str:
    """Everything that was measured."""
    return json.dumps({"conditions": about, "cells": [plain(result) for result in results]}, indent=2)


def plain(result: CellResult) -> dict[str, Any]:
    """A cell as what JSON can say."""
    cell, medians = result.cell, result.medians
    return {
        "topic": cell.topic,
        "name": cell.name,
        "unit": cell.unit,
        "series": {
            name: {"median": series.median, "values": list(series.values)} for name, series in result.series.items()
        },
        "targets": [
            {"series": target.series, "target": str(target), "reached": target.reached(medians)}
            for target in cell.targets
        ],
        "problems": result.problems,
    }

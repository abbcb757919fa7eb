"""What came out, as a table to read or as JSON."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from benchmarks.cells import OURS, Target, cpu_of
from benchmarks.runner import CellResult, Series

__all__ = ["as_json", "conditions", "figures", "print_table"]

WIDTH = 190


def conditions(loops: Sequence[str]) -> dict[str, str]:
    """What the numbers depend on: the machine, the versions, the settings."""
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {' and '.join(loops)}",
        **{name: version_of(name) for name in ("dicomio", "pydicom", "pynetdicom", "uvloop")},
        "DCMTK": version_printed("echoscu"),
        "Orthanc": version_printed("Orthanc"),
        "DCMTK's sockets": "TCP_NODELAY=1 in its environment, but in the cells of stall and where 'default' is said",
        "sockets of others": "as they make them; dicomio sets TCP_NODELAY, and acknowledges at once where a peer waits",
    }


def version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"


def version_printed(program: str) -> str:
    """The version that a program says it is, as `Orthanc 1.12.0` or `$dcmtk: echoscu v3.6.7`."""
    if shutil.which(program) is None:
        return "not installed"
    output = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    words = output.split()
    return next((word for word in words if word.removeprefix("v")[:1].isdecimal()), "unknown")


def print_table(results: Sequence[CellResult], file: TextIO) -> None:
    """Prints a line for each series: its median and spread, how ours compares to it, and the targets."""
    console = Console(file=file, width=None if file.isatty() else WIDTH)
    table = Table(show_edge=False, pad_edge=False)
    for title in ("topic", "cell", "series"):
        table.add_column(title)
    for title in ("rounds", "median", "least", "most"):
        table.add_column(title, justify="right")
    table.add_column("unit")
    table.add_column("processor", justify="right")
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
        targets = ", ".join(verdict(target, result) for target in cell.targets if target.series in (name, cpu_of(name)))
        series = result.series.get(name)
        measured = numbers(series, cell.unit) if series is not None else ["", "failed", "", "", ""]
        yield [*head, name, *measured, cost(name, result), ratio(name, result), targets]
        head = ["", ""]


def numbers(series: Series, unit: str) -> list[str]:
    """How many there are, median, least, most and their unit."""
    measured = series.median, min(series.values), max(series.values)
    return [str(len(series.values)), *map(figures, measured), unit]


def cost(name: str, result: CellResult) -> str:
    """Its processor time, where that was measured."""
    median = result.medians.get(cpu_of(name))
    return "" if median is None else f"{figures(median)} {result.cell.cost}"


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
        "cost": cell.cost,
        "series": {name: plain_series(name, result) for way in cell.ways for name in way.names if name in medians},
        "targets": [
            {"series": target.series, "target": f"{target.series} {target}", "reached": target.reached(medians)}
            for target in cell.targets
        ],
        "problems": result.problems,
    }


def plain_series(name: str, result: CellResult) -> dict[str, Any]:
    """A series, with its processor time where that was measured."""
    series, cpu = result.series[name], result.series.get(cpu_of(name))
    said = {"median": series.median, "values": list(series.values)}
    return said | ({"cpu": cpu.median, "cpu_values": list(cpu.values)} if cpu is not None else {})

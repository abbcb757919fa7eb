"""The page of reference about the command, made from the table of options: `python -m dicomio.cli.reference`."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

from dicomio.cli.command import exit_codes, usage_of
from dicomio.cli.options import TOOLS, Option, Tool, arguments_of, options_of

__all__ = ["page"]

INTRODUCTION = """\
# The command

`dicomio TOOL ...` runs one tool; `python -m dicomio TOOL ...` is the same. The tools and the spellings of their
options are those of the classic toolkit, so that scripts which call `storescu ...` go on with `dicomio storescu ...`.
Options may stand anywhere; of those that exclude one another the last one counts, and a value may also follow the long
spelling in the same word (`--timeout=5`). An option that a tool does not have ends it with exit code 2 and a line that
names it.

Results go to stdout, as JSON lines with `--json`; everything for humans goes to stderr. Ctrl-C ends a tool that
goes to a peer with exit code 130: findscu, movescu and getscu cancel what is under way and release the association, the
others abort it. A server finishes what is under way and ends with exit code 0, or at once when Ctrl-C comes again.

`dicomio completion bash`, `zsh` or `fish` prints a script that completes command lines: in bash
`source <(dicomio completion bash)`.

This page is made from the table of options by `python -m dicomio.cli.reference > docs/cli.md`.
"""


def page() -> str:
    """The page, in Markdown."""
    overview = (f"| [`{tool.name}`](#{tool.name}) | {cell(tool.meaning)} |" for tool in TOOLS)
    parts = [INTRODUCTION, "\n".join(["| tool | does |", "| --- | --- |", *overview]) + "\n"]
    return "\n".join(parts + ["\n".join(section(tool)) for tool in TOOLS])


def section(tool: Tool) -> Iterator[str]:
    """What there is to say about one tool."""
    yield f"## {tool.name}\n\n{tool.meaning}\n\n```text\n{usage_of(tool)}\n```\n"
    if arguments := arguments_of(tool.name):
        yield table("argument", ((f"`{argument.name}`", argument.meaning) for argument in arguments))
    for group, options in groupby(options_of(tool.name), key=lambda option: option.group):
        yield f"### {tool.name}: {group}\n"
        yield table("option", ((spelled(option), option.meaning) for option in options))
    yield f"On stdout: {tool.results}.\n"
    yield table("exit code", ((str(code), meaning) for code, meaning in exit_codes(tool).items()))


def spelled(option: Option) -> str:
    """Every way to write an option, with what its value is called."""
    value = f" {option.value}" if option.value else ""
    return " ".join(f"`{spelling}{value}`" for spelling in option.spellings)


def table(heading: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns."""
    lines = [f"| {heading} | means |", "| --- | --- |", *(f"| {cell(name)} | {cell(text)} |" for name, text in rows)]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """The text in a table, in which nothing but code is markup."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page())

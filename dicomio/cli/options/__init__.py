"""The tools, their arguments and their options: the one table from which parser and help are made.

The spellings are those of the classic toolkit. Every option has a long spelling, `--name`, which stands last. A tool is
added by a row in `tools`, a module `dicomio.cli.<its name>` with a function `run`, and its name in the sets of tools
that options name.
"""

from typing import Final

from dicomio.cli.options import capturing, common, querying, receiving, sending, serving
from dicomio.cli.options.table import Argument, Option, Tool
from dicomio.cli.options.tools import GROUPS, SCPS, SCUS, SECURITY, TOOLS

__all__ = [
    "ARGUMENTS",
    "GROUPS",
    "OPTIONS",
    "SCPS",
    "SCUS",
    "SECURITY",
    "TOOLS",
    "Argument",
    "Option",
    "Tool",
    "arguments_of",
    "options_of",
]

FAMILIES: Final = (common, sending, querying, receiving, serving, capturing)

ARGUMENTS: Final = tuple(argument for family in FAMILIES for argument in family.ARGUMENTS)

OPTIONS: Final = tuple(
    sorted((option for family in FAMILIES for option in family.OPTIONS), key=lambda option: GROUPS.index(option.group))
)


def options_of(tool: str) -> list[Option]:
    """The options of a tool, in the order of their headings."""
    return [option for option in OPTIONS if tool in option.tools]


def arguments_of(tool: str) -> list[Argument]:
    """The positional arguments of a tool."""
    return [argument for argument in ARGUMENTS if tool in argument.tools]

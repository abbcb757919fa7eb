"""What the table of tools, arguments and options is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Argument", "Convert", "Option", "Tool"]

Convert: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Tool:
    """One subcommand.

    Args:
        name: of the subcommand.
        meaning: what it does, in a sentence.
        serves: it waits for peers, rather than going to one.
        results: what it prints on stdout, and what with `--json`.
        failure: what exit code 1 means.
        interrupted: what exit code 130 means, which Ctrl-C (SIGINT) ends it with.
        done: what exit code 0 means.
    """

    name: str
    meaning: str
    serves: bool = False
    results: str = "nothing"
    failure: str = "the peer or the network said no"
    interrupted: str = "interrupted"
    done: str = "all done"


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument.

    Args:
        name: as it stands in the usage.
        meaning: what it is for.
        tools: names of the tools that have it.
        repeat: how many there may be: `""` for one, `"?"`, `"+"` or `"*"`.
        convert: what makes a value of the text.
        default: the value where it is not given.
        choices: the only values there are.
    """

    name: str
    meaning: str
    tools: tuple[str, ...]
    repeat: str = ""
    convert: Convert = str
    default: object = None
    choices: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """How it stands in the usage."""
        return {"": self.name, "?": f"[{self.name}]", "*": f"[{self.name}...]", "+": f"{self.name}..."}[self.repeat]


@dataclass(frozen=True, slots=True)
class Option:
    """An option.

    Args:
        spellings: every way to write it, the long one last.
        meaning: what it does.
        tools: names of the tools that have it.
        group: heading in the help.
        value: what its value is called; empty for an option without one.
        convert: what makes a value of the text.
        name: attribute that holds the value; options with the same one exclude each other, the last one given wins.
            By default the long spelling.
        const: the value that an option without a value stands for.
        default: the value where the option is not given.
        action: what argparse does, where that is not to store a value; `append` collects those of several options,
            `print` prints what the function says that is the `const`, and ends.
        words: how many words its value has.
        choices: the only values there are.
    """

    spellings: tuple[str, ...]
    meaning: str
    tools: tuple[str, ...]
    group: str
    value: str = ""
    convert: Convert = str
    name: str = ""
    const: object = True
    default: object = None
    action: str = ""
    words: int = 1
    choices: tuple[str, ...] = ()

    @property
    def long(self) -> str:
        """The long spelling."""
        return self.spellings[-1]

    @property
    def attribute(self) -> str:
        """The attribute that holds the value."""
        return self.name or self.long.removeprefix("--").replace("-", "_")

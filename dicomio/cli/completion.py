"""`dicomio completion SHELL`: scripts that complete command lines, made from the table of options.

A script needs nothing but the shell: tools, options and values that come from a list stand in it.
"""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from dicomio.cli.options import TOOLS, Argument, Option, Tool, arguments_of, options_of
from dicomio.cli.output import Output

__all__ = ["run", "script"]

# What values are called that are files, or directories.
FILES: Final = frozenset({"FILE", "FILE PROFILE", "KEY CERTIFICATE", "PATH", "QUERYFILE"})
DIRECTORIES: Final = frozenset({"DIRECTORY"})


def run(args: Namespace, output: Output) -> int:
    """Runs the tool."""
    output.paragraph(script(args.shell).splitlines())
    return 0


def script(shell: str) -> str:
    """The script for one of the shells that the table names."""
    return SCRIPTS[shell]()


def spellings(options: Iterable[Option]) -> list[str]:
    """Every way to write the options."""
    return [spelling for option in options for spelling in option.spellings]


def quoted(text: str) -> str:
    """The text as one word of a shell, which bash, zsh and fish agree about."""
    return "'" + text.replace("'", "'\\''") + "'"


def one_line(meaning: str) -> str:
    """A meaning as completions show it."""
    return meaning.split("; ")[0].split(": ")[0]


def candidates(value: Option | Argument, files: str, directories: str, words: str) -> str:
    """The command of a shell that completes a value: given what completes files, directories, and words of a list."""
    name = value.value if isinstance(value, Option) else value.name
    if value.choices:
        return words.format(" ".join(value.choices))
    if name in FILES:
        return files
    return directories if name in DIRECTORIES else ""


def by_candidates(options: Iterable[Option], files: str, directories: str, words: str) -> dict[str, list[str]]:
    """The spellings of options that have a value, by the command that completes it."""
    found: dict[str, list[str]] = {}
    for option in options:
        if option.value:
            found.setdefault(candidates(option, files, directories, words), []).extend(option.spellings)
    return found


def positional(tool: Tool, files: str, directories: str, words: str) -> str:
    """The command that completes the arguments of a tool: those that are known, for wherever one stands."""
    commands = [candidates(argument, files, directories, words) for argument in arguments_of(tool.name)]
    return next(filter(None, commands), "")


def values_of(options: Sequence[Option], files: str, directories: str, words: str) -> Iterator[str]:
    """What completes the values of options in bash and zsh, by the word before, or the one before that."""
    two = [option for option in options if option.words == 2]
    for word, known in (("$previous", options), ("$before", two)):
        if commands := by_candidates(known, files, directories, words):
            yield f"        case {word} in"
            for command, written in commands.items():
                yield f"        {'|'.join(map(quoted, written))}) {command or ':'}; return;;"
            yield "        esac"


# ---- bash ----

BASH: Final = (
    'mapfile -t COMPREPLY < <(compgen -f -- "$word")',
    'mapfile -t COMPREPLY < <(compgen -d -- "$word")',
    "mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")",
)


def bash() -> str:
    """The script for bash."""
    lines = [
        "# bash completion of dicomio; load it with: source <(dicomio completion bash)",
        "_dicomio() {",
        "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} before=",
        "    COMPREPLY=()",
        "    if ((COMP_CWORD == 1)); then",
        f"        {BASH[2].format(' '.join(tool.name for tool in TOOLS))}",
        "        return",
        "    fi",
        "    ((COMP_CWORD > 2)) && before=${COMP_WORDS[COMP_CWORD-2]}",
        "    case ${COMP_WORDS[1]} in",
    ]
    for tool in TOOLS:
        lines += [f"    {tool.name})", *bash_tool(tool), "        ;;"]
    lines += ["    esac", "}", "complete -o filenames -F _dicomio dicomio"]
    return "\n".join(lines) + "\n"


def bash_tool(tool: Tool) -> Iterator[str]:
    """What completes the command line of one tool."""
    options = options_of(tool.name)
    yield from values_of(options, *BASH)
    yield "        if [[ $word == [-+]* ]]; then"
    yield f"            {BASH[2].format(' '.join(spellings(options)))}"
    if command := positional(tool, *BASH):
        yield "        else"
        yield f"            {command}"
    yield "        fi"


# ---- zsh ----

ZSH: Final = ("_files", "_files -/", "compadd -- {}")


def zsh() -> str:
    """The script for zsh."""
    lines = [
        "#compdef dicomio",
        "# zsh completion of dicomio; put it as _dicomio into a directory of $fpath, or load it after compinit.",
        "_dicomio() {",
        "    local before= previous=${words[CURRENT-1]}",
        "    local -a described",
        "    if ((CURRENT == 2)); then",
        "        described=(",
        *(f"            {zsh_described(tool.name, tool.meaning)}" for tool in TOOLS),
        "        )",
        "        _describe tool described",
        "        return",
        "    fi",
        "    ((CURRENT > 3)) && before=${words[CURRENT-2]}",
        "    case ${words[2]} in",
    ]
    for tool in TOOLS:
        lines += [f"    {tool.name})", *zsh_tool(tool), "        ;;"]
    lines += [
        "    esac",
        "}",
        'if [[ ${funcstack[1]:-} == _dicomio ]]; then _dicomio "$@"; else compdef _dicomio dicomio; fi',
    ]
    return "\n".join(lines) + "\n"


def zsh_described(name: str, meaning: str) -> str:
    """A candidate with what it means; the first colon is between them."""
    return quoted(f"{name}:{meaning}")


def zsh_tool(tool: Tool) -> Iterator[str]:
    """What completes the command line of one tool."""
    options = options_of(tool.name)
    yield from values_of(options, *ZSH)
    yield "        if [[ ${words[CURRENT]} == [-+]* ]]; then"
    yield "            described=("
    for option in options:
        for spelling in option.spellings:
            yield f"                {zsh_described(spelling, one_line(option.meaning))}"
    yield "            )"
    yield "            _describe -o option described"
    if command := positional(tool, *ZSH):
        yield "        else"
        yield f"            {command}"
    yield "        fi"


# ---- fish ----

FISH: Final = (" -F", " -a '(__fish_complete_directories)'", " -a '{}'")


def fish() -> str:
    """The script for fish."""
    lines = [
        "# fish completion of dicomio; put it into ~/.config/fish/completions/dicomio.fish",
        "function __dicomio_after",
        "    contains -- (commandline -opc)[-1] $argv",
        "end",
        "complete -c dicomio -f",
    ]
    lines += [
        f"complete -c dicomio -n __fish_use_subcommand -a {tool.name} -d {quoted(tool.meaning)}" for tool in TOOLS
    ]
    lines += [line for tool in TOOLS for line in fish_tool(tool)]
    return "\n".join(lines) + "\n"


def fish_tool(tool: Tool) -> Iterator[str]:
    """What completes the command line of one tool."""
    chosen = f"__fish_seen_subcommand_from {tool.name}"
    if command := positional(tool, *FISH):
        yield f"complete -c dicomio -n {quoted(chosen)}{command}"
    for option in options_of(tool.name):
        yield from fish_option(option, chosen)


def fish_option(option: Option, chosen: str) -> Iterator[str]:
    """One option. fish knows of none that begin with a plus: these are arguments to it, and so are their values."""
    value, meaning = candidates(option, *FISH), quoted(one_line(option.meaning))
    plus = [spelling for spelling in option.spellings if spelling.startswith("+")]
    words = [fish_spelling(spelling) for spelling in option.spellings if spelling not in plus]
    if option.value:
        words.append(f"-r{value}" if value == FISH[0] else f"-x{value}")
    yield f"complete -c dicomio -n {quoted(chosen)} {' '.join(words)} -d {meaning}"
    for spelling in plus:
        yield f"complete -c dicomio -n {quoted(chosen)} -a {quoted(spelling)} -d {meaning}"
        if option.value and value:
            yield f"complete -c dicomio -n {quoted(f'{chosen}; and __dicomio_after {spelling}')}{value}"


def fish_spelling(spelling: str) -> str:
    """How fish wants to be told of a spelling."""
    if spelling.startswith("--"):
        return f"-l {spelling[2:]}"
    return f"-s {spelling[1:]}" if len(spelling) == 2 else f"-o {quoted(spelling[1:])}"


SCRIPTS: Final[Mapping[str, Callable[[], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}

"""From the command line to an exit code."""

import os
import sys
from argparse import SUPPRESS, Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice, takewhile
from typing import Any, Final, NoReturn, TypeAlias

from dicomio.cli.errors import UsageError
from dicomio.cli.options import SCUS, SECURITY, TOOLS, Option, Tool, arguments_of, options_of
from dicomio.cli.output import Output, complain, printable
from dicomio.cli.profiles import profiled
from dicomio.errors import DicomError
from dicomio.implementation import VERSION

__all__ = ["exit_codes", "main", "parse", "usage_of"]

# Between the words of a value that has more than one; no argument can contain it.
SEPARATOR: Final = "\0"

DONE: Final = 0
REFUSED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130

# TLS options that say what is so where no TLS is spoken, too.
HARMLESS: Final = ("--disable-tls", "--pem-keys", "--std-passwd")

Run: TypeAlias = Callable[[Namespace, Output], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one tool.

    Args:
        argv: its name and arguments; those of the process by default.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        sys.stderr.write(overview())
        return MISUSED
    if words[0] in ("-h", "--help"):
        sys.stdout.write(overview())
        return DONE
    if words[0] == "--version":
        sys.stdout.write(f"dicomio {VERSION}\n")
        return DONE
    for tool in TOOLS:
        if tool.name == words[0]:
            return run(tool, words[1:])
    complain("", f"{words[0]!r} is not one of its tools: {', '.join(tool.name for tool in TOOLS)}")
    return MISUSED


def overview() -> str:
    """What `dicomio --help` prints."""
    width = max(len(tool.name) for tool in TOOLS)
    tools = "".join(f"  {tool.name:<{width}} {tool.meaning}\n" for tool in TOOLS)
    return f"usage: dicomio TOOL ...\n\nDICOM networking.\n\n{tools}\n`dicomio TOOL --help` tells more.\n"


def run(tool: Tool, words: Sequence[str]) -> int:
    """Runs a tool with its arguments."""
    try:
        args = parse(tool, words)
        if args.log_config is not None:
            from dicomio.cli.logs import configure

            configure(args.log_config)
    except UsageError as error:
        complain(tool.name, str(error))
        return MISUSED
    except SystemExit:  # argparse has printed what --help or --version ask for
        return DONE
    with Output(tool, args.log_level, json=args.json, configured=args.log_config is not None) as output:
        return guarded(function_of(tool), args, output)


def function_of(tool: Tool) -> Run:
    """What runs a tool: `run` of the module of its name."""
    function: Run = import_module(f"dicomio.cli.{tool.name}").run
    return function


def guarded(func: Run, args: Namespace, output: Output) -> int:
    """Runs the function of a tool; whatever it raises becomes one line and an exit code."""
    # Not for the version, the help and wrong usage, which need no event loop.
    from asyncio import CancelledError

    try:
        return func(args, output)
    except UsageError as error:
        output.error(str(error))
        return MISUSED
    except (KeyboardInterrupt, CancelledError):
        output.error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our results has gone; Python would say so once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except DicomError as error:
        output.error(str(error))
        return REFUSED
    except OSError as error:
        # Of a file that cannot get its name, the name that was meant for it.
        name = error.filename2 or error.filename
        output.error(f"{name}: {error.strerror}" if name else str(error))
        return REFUSED
    except Exception as error:
        output.error(f"internal error: {type(error).__name__}: {error}", error)
        return REFUSED


class Printing(Action):
    """Prints what the function says that is the constant of an option, and ends."""

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        function: Callable[[], str] = self.const
        sys.stdout.write(function())
        parser.exit()


class Parser(ArgumentParser):
    """An argument parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse(tool: Tool, words: Sequence[str]) -> Namespace:
    """Reads the arguments of a tool.

    Raises:
        UsageError: they are not right; the text names the option.
        SystemExit: help or version was asked for, and printed.
    """
    found = list(canonical(words, options_of(tool.name)))
    given = profiled(found) if tool.name in SCUS else {}
    parser = parser_of(tool, without=given)
    parser.set_defaults(**({"peer_profile": None} | dict(given)))
    args, more = parser.parse_known_args(found)
    if more:
        hint = "; --profile gives HOST and PORT" if given else ""
        raise UsageError(f"unrecognized arguments: {' '.join(more)}{hint}")
    refuse_without_tls(tool, found, args)
    return args


def refuse_without_tls(tool: Tool, words: Sequence[str], args: Namespace) -> None:
    """Refuses TLS options that nothing would come of: whoever gives them believes that TLS is spoken.

    Raises:
        UsageError: there is one, and neither +tls nor +tla.
    """
    if getattr(args, "tls", ()) not in (None, False):
        return
    given = {word.partition("=")[0] for word in takewhile(lambda word: word != "--", words)}
    options = [option for option in options_of(tool.name) if option.group == SECURITY and option.long in given]
    idle = [option.spellings[0] for option in options if option.attribute != "tls" and option.long not in HARMLESS]
    if not idle:
        return
    needed = "+tls or +tla" if tool.name in SCUS else "+tls"
    if args.peer_profile is not None and args.peer_profile.ssl is not None:
        raise UsageError(f"option {idle[0]} needs {needed}, which take the place of the TLS of the profile")
    raise UsageError(f"option {idle[0]} needs {needed}: no TLS is spoken without")


def usage_of(tool: Tool) -> str:
    """The tool and its arguments in one line."""
    return " ".join(["dicomio", tool.name, "[options]", *(argument.usage for argument in arguments_of(tool.name))])


def exit_codes(tool: Tool) -> dict[int, str]:
    """What the exit codes of a tool mean."""
    return {
        DONE: tool.done,
        REFUSED: tool.failure,
        MISUSED: "wrong usage, or input that cannot be read",
        INTERRUPTED: tool.interrupted,
    }


def epilog_of(tool: Tool) -> str:
    """What stands below the options: results and exit codes."""
    codes = "".join(f"\n  {code:<4}{meaning}" for code, meaning in exit_codes(tool).items())
    return f"results on stdout:\n  {tool.results}\n\nexit codes:{codes}"


def parser_of(tool: Tool, *, without: Container[str] = ()) -> Parser:
    """The parser of a tool, made from the table of options, without some of the positional arguments."""
    parser = Parser(
        prog=f"dicomio {tool.name}",
        usage=usage_of(tool),
        description=tool.meaning,
        epilog=epilog_of(tool),
        prefix_chars="-+",
        allow_abbrev=False,
        add_help=False,
        argument_default=SUPPRESS,
        formatter_class=RawDescriptionHelpFormatter,
    )
    for argument in arguments_of(tool.name):
        if argument.name.lower() in without:
            continue
        parser.add_argument(
            argument.name.lower(),
            metavar=argument.name,
            help=argument.meaning,
            nargs=argument.repeat or None,
            type=argument.convert,
            default=argument.default,
            choices=argument.choices or None,
        )
    groups = {}
    defaults: dict[str, object] = {}
    for option in options_of(tool.name):
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        groups[option.group].add_argument(*option.spellings, help=option.meaning, **keywords(option))
        if defaults.get(option.attribute) is None:
            defaults[option.attribute] = option.default
    parser.set_defaults(**defaults)
    return parser


def keywords(option: Option) -> dict[str, Any]:
    """What argparse calls the properties of an option."""
    if option.action == "help":
        return {"action": "help"}
    if option.action == "version":
        return {"action": "version", "version": f"dicomio {VERSION}"}
    if option.action == "print":
        return {"action": Printing, "nargs": 0, "const": option.const}
    if option.value:
        action = option.action or "store"
        return {"action": action, "dest": option.attribute, "metavar": option.value, "type": option.convert}
    return {"dest": option.attribute, "action": "store_const", "const": option.const}


def canonical(words: Sequence[str], options: Sequence[Option]) -> Iterator[str]:
    """The same arguments with long spellings: first the options, each with its value, then the rest.

    argparse alone takes `-dhl` for `-d -h -l`, and a value that begins with a dash for an option.

    Raises:
        UsageError: an option is unknown, or lacks its value.
    """
    by_spelling = {spelling: option for option in options for spelling in option.spellings}
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            rest += remaining
        elif len(word) < 2 or word[0] not in "-+":
            rest.append(word)
        elif (option := by_spelling.get(word)) is None:
            yield inline(word, by_spelling)
        elif not option.value:
            yield option.long
        else:
            found = list(islice(remaining, option.words))
            if len(found) < option.words:
                raise UsageError(f"option {word} needs a value ({option.value})")
            yield f"{option.long}={SEPARATOR.join(found)}"
    if any(word.startswith(("-", "+")) for word in rest):
        yield "--"
    yield from rest


def inline(word: str, by_spelling: Mapping[str, Option]) -> str:
    """An option with its value in one word, `--name=value`."""
    name, equals, value = word.partition("=")
    option = by_spelling.get(name)
    if option is None or not name.startswith("--"):
        raise UsageError(f"there is no option {printable(word)}")
    if not equals or not option.value:
        raise UsageError(f"option {name} takes no value")
    return f"{option.long}={value}"

"""The command line itself: tools, options, exit codes."""

import asyncio
import logging
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable

import pytest

from dicomio.cli.command import Run, function_of, parse
from dicomio.cli.errors import UsageError
from dicomio.cli.options import OPTIONS, SECURITY, TOOLS, arguments_of, options_of
from dicomio.cli.output import Output, printable

from .conftest import Tool, command

BY_NAME = {tool.name: tool for tool in TOOLS}


def positional(name: str) -> list[str]:
    """Arguments that a tool cannot do without."""
    needed = [argument for argument in arguments_of(name) if argument.repeat in ("", "+")]
    return ["104" if argument.name.endswith("PORT") else (argument.choices or ("m:app",))[0] for argument in needed]


def test_without_a_tool(tool: Tool) -> None:
    code, out, err = tool()
    assert (code, out) == (2, "")
    for each in TOOLS:
        assert each.name in err


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_names_every_tool(tool: Tool, word: str) -> None:
    code, out, err = tool(word)
    assert (code, err) == (0, "")
    for each in TOOLS:
        assert each.meaning in out


@pytest.mark.parametrize("words", [["--version"], ["echoscu", "--version"]])
def test_version(tool: Tool, words: list[str]) -> None:
    from dicomio import __version__

    assert tool(*words) == (0, f"dicomio {__version__}\n", "")


def test_unknown_tool(tool: Tool) -> None:
    code, out, err = tool("printscu")
    assert (code, out) == (2, "")
    assert err.startswith("dicomio: 'printscu' is not one of its tools: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", BY_NAME)
def test_every_tool_has_a_module(name: str) -> None:
    assert callable(function_of(BY_NAME[name]))


@pytest.mark.parametrize("name", BY_NAME)
def test_help_names_every_option(tool: Tool, name: str) -> None:
    code, out, err = tool(name, "--help")
    assert (code, err) == (0, "")
    for option in options_of(name):
        assert all(spelling in out for spelling in option.spellings)
    for argument in arguments_of(name):
        assert argument.name in out


def test_table_has_every_spelling_once_for_each_tool() -> None:
    for name in BY_NAME:
        spellings = [spelling for option in options_of(name) for spelling in option.spellings]
        assert len(spellings) == len(set(spellings))
    for option in OPTIONS:
        assert option.long.startswith("--")
        assert set(option.tools) <= set(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_spelling_is_understood(name: str) -> None:
    given = {"SECONDS": "2.5", "NUMBER": "7", "BYTES": "8192", "LEVEL": "error", "ADDRESS": "::1", "HOST PORT": "104"}
    given["FILE-PAD ITEM-PAD"] = "64"
    for option in options_of(name):
        if option.action or option.long == "--profile":
            continue
        for spelling in option.spellings:
            values = [given.get(option.value, "TEXT")] * option.words if option.value else []
            tls = ["+tls", "key", "certificate"] if option.group == SECURITY and option.attribute != "tls" else []
            args = parse(BY_NAME[name], [spelling, *values, *tls, *positional(name)])
            expected = option.convert("\0".join(values)) if option.value else option.const
            assert getattr(args, option.attribute) == expected


def test_last_of_several_options_wins() -> None:
    args = parse(BY_NAME["storescp"], ["+xs", "-B", "+xi", "+B"])
    assert args.transfer_syntaxes == ("1.2.840.10008.1.2",)
    assert args.bit_preserving is True
    assert parse(BY_NAME["storescp"], ["+xi", "+xa"]).transfer_syntaxes is None


def test_options_stand_anywhere() -> None:
    args = parse(BY_NAME["storescu"], ["-v", "host", "+sd", "104", "a", "-nh", "b", "--jobs", "3", "--", "-c", "+d"])
    assert (args.host, args.port, args.path) == ("host", 104, ["a", "b", "-c", "+d"])
    assert (args.scan_directories, args.no_halt, args.jobs, args.log_level) == (True, True, 3, "info")


@pytest.mark.parametrize("words", [["--repeat", "3"], ["--repeat=3"]])
def test_value_in_the_same_word_or_the_next(words: list[str]) -> None:
    assert parse(BY_NAME["echoscu"], ["h", "1", *words]).repeat == 3


def test_values_may_look_like_options() -> None:
    args = parse(BY_NAME["storescp"], ["-ss", "-v", "-fe", "", "-aet", "-h"])
    assert (args.sorting, args.filename_extension, args.aetitle) == (("time", "-v"), "", "-h")
    assert args.log_level == "warn"


@pytest.mark.parametrize(
    "words",
    [
        ["-dhl"],
        ["-vd"],
        ["-xf"],
        ["--ver"],
        ["-vc"],
        ["--workers"],
        ["--index"],
        ["--no-such-option=3"],
        ["-aet=X"],
        ["+B"],
        ["-od"],
    ],
)
def test_unknown_options_are_named(tool: Tool, words: list[str]) -> None:
    code, out, err = tool("echoscu", "localhost", "104", *words, "x")
    assert (code, out) == (2, "")
    assert err == f"dicomio echoscu: there is no option {words[0]}\n"


@pytest.mark.parametrize("option", ["--index", "--peer", "--reload", "+tla", "-usr", "--window"])
def test_unknown_options_of_storescp_are_named(tool: Tool, option: str) -> None:
    assert tool("storescp", option) == (2, "", f"dicomio storescp: there is no option {option}\n")


@pytest.mark.parametrize(
    "words, named",
    [
        ([], "HOST, PORT"),
        (["localhost"], "PORT"),
        (["localhost", "0"], "PORT"),
        (["localhost", "65536"], "PORT"),
        (["localhost", "dicom"], "PORT"),
        (["localhost", "\u0661"], "PORT"),
        (["", "104"], "HOST"),
        (["a" * 64, "104"], "HOST"),
        (["a..b", "104"], "HOST"),
        (["localhost", "104", "more"], "more"),
        (["localhost", "104", "-aet"], "-aet"),
        (["localhost", "104", "-aet", "SEVENTEEN-LETTERS"], "-aet"),
        (["localhost", "104", "-aec", "  "], "-aec"),
        (["localhost", "104", "-aec", "A\\B"], "-aec"),
        (["localhost", "104", "-aec", "ÄRZTE"], "-aec"),
        (["localhost", "104", "-to", "0"], "-to"),
        (["localhost", "104", "-ta", "nan"], "-ta"),
        (["localhost", "104", "-td", "inf"], "-td"),
        (["localhost", "104", "-td", "soon"], "-td"),
        (["localhost", "104", "-pdu", "4095"], "-pdu"),
        (["localhost", "104", "-pdu", "4294967296"], "-pdu"),
        (["localhost", "104", "-ll", "loud"], "-ll"),
        (["localhost", "104", "--repeat", "0"], "--repeat"),
        (["localhost", "104", "--repeat", "-1"], "--repeat"),
        (["localhost", "104", "--abort=yes"], "--abort"),
    ],
)
def test_wrong_usage_is_named_in_one_line(tool: Tool, words: list[str], named: str) -> None:
    code, out, err = tool("echoscu", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("dicomio echoscu: ")
    assert named in err


@pytest.mark.parametrize("name", ["-fe", "-ss", "-su"])
def test_parts_of_file_names_lead_nowhere(name: str) -> None:
    for value in ("../x", "a/b", "a\\b", "a\0b"):
        with pytest.raises(UsageError, match="cannot be part of a file name"):
            parse(BY_NAME["storescp"], [name, value])


def test_max_pdu_may_be_unlimited() -> None:
    assert parse(BY_NAME["echoscu"], ["h", "1", "-pdu", "0"]).max_pdu == 0


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_addresses_with_and_without_brackets(host: str) -> None:
    assert parse(BY_NAME["echoscu"], [host, "104"]).host == "::1"


def test_what_peers_say_cannot_command_the_terminal() -> None:
    assert printable("a\nb\x1b[2Jc\udcff\x07") == "a b\\x1b[2Jc\\udcff\\x07"
    assert printable("Großmann") == "Großmann"


def test_as_a_module() -> None:
    assert command("echoscu", "--frob") == (2, "", "dicomio echoscu: there is no option --frob\n")


def doing(function: Run) -> Callable[[object], Run]:
    """Finds this function for every tool."""
    return lambda _: function


def raising(error: BaseException) -> Callable[[object], Run]:
    """Finds a function that fails for every tool."""

    def run(args: Namespace, output: Output) -> int:
        raise error

    return doing(run)


@pytest.mark.parametrize(
    "error, code, text",
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (asyncio.CancelledError(), 130, "interrupted"),
        (RuntimeError("a\nmistake"), 1, "internal error: RuntimeError: a mistake"),
        (OSError(5, "Input/output error"), 1, "[Errno 5] Input/output error"),
        (FileNotFoundError(2, "No such file or directory", "a.pcap"), 1, "a.pcap: No such file or directory"),
    ],
)
def test_whatever_is_raised_is_one_line(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
) -> None:
    monkeypatch.setattr("dicomio.cli.command.function_of", raising(error))
    assert tool("echoscu", "localhost", "104") == (code, "", f"dicomio echoscu: {text}\n")


def test_debug_tells_where_a_mistake_is(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomio.cli.command.function_of", raising(RuntimeError("mistake")))
    code, _, err = tool("echoscu", "localhost", "104", "-d")
    assert code == 1
    assert "Traceback (most recent call last):" in err


def test_log_records_carry_no_traceback(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(args: Namespace, output: Output) -> int:
        logging.getLogger("dicomio.application").error("a handler failed", exc_info=ValueError("why"))
        logging.getLogger("asyncio").error("a task failed")
        logging.getLogger("dicomio.application").warning("not told")
        return 0

    monkeypatch.setattr("dicomio.cli.command.function_of", doing(run))
    expected = "error: a handler failed: ValueError: why\nerror: a task failed\n"
    assert tool("echoscu", "localhost", "104") == (0, "", expected)
    assert "not told" in tool("echoscu", "localhost", "104", "-v").err


def test_nobody_reads_the_results() -> None:
    argv = [sys.executable, "-m", "dicomio", "demo", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert b"Exception" not in err
    assert b"Traceback" not in err


def test_interrupts_while_loading_end_it_silently(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dicomio.cli.command.import_module", load)
    assert tool("echoscu", "localhost", 104) == (130, "", "")


def test_what_only_some_tools_need_is_loaded_by_these() -> None:
    code = "import sys, dicomio.cli.command; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "dicomio.cli.options" in loaded
    assert not {"rich", "sqlalchemy", "dicomio.archive", "dicomio.captures", "dicomio.cli.keys"}.intersection(loaded)


@pytest.mark.parametrize("name", BY_NAME)
def test_help_says_what_an_interrupt_comes_to(tool: Tool, name: str) -> None:
    out = tool(name, "--help").out
    assert f"  130 {BY_NAME[name].interrupted}" in out
    assert ("  0   ended by SIGINT (Ctrl-C)" in out) == BY_NAME[name].serves

"""Completion of command lines, by the shells themselves where they are asked without a terminal."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicomio.cli.completion import script
from dicomio.cli.options import TOOLS, options_of

from .conftest import Tool

NAMES = [tool.name for tool in TOOLS]


def complete(directory: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    path = directory / "completion.bash"
    path.write_text(script("bash"))
    asked = f"source {path}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _dicomio; "
    asked += "printf '%s\\n' \"${COMPREPLY[@]}\""
    argv = ["bash", "--norc", "-euc", asked]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30, cwd=directory)
    assert ran.stderr == ""
    return sorted(ran.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_printed(tool: Tool, shell: str) -> None:
    assert tool("completion", shell) == (0, script(shell), "")


def test_unknown_shell(tool: Tool) -> None:
    code, out, err = tool("completion", "csh")
    assert (code, out) == (2, "")
    assert "'csh'" in err


def test_bash_is_told_what_completes() -> None:
    asked = f"{script('bash')}\ncomplete -p dicomio"
    ran = subprocess.run(["bash", "--norc", "-euc", asked], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout == "complete -o filenames -F _dicomio dicomio\n"


def test_tools(tmp_path: Path) -> None:
    assert complete(tmp_path, "dicomio", "") == sorted(NAMES)
    assert complete(tmp_path, "dicomio", "mo") == ["movescu"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", ["-", "+"])
def test_options(tmp_path: Path, name: str, sign: str) -> None:
    spellings = [spelling for option in options_of(name) for spelling in option.spellings]
    expected = sorted(spelling for spelling in spellings if spelling.startswith(sign))
    assert complete(tmp_path, "dicomio", name, sign) == expected


@pytest.mark.parametrize(
    "words, expected",
    [
        (["echoscu", "--prof"], ["--profile", "--profile-bcp195", "--profile-bcp195-ex", "--profile-bcp195-nd"]),
        (["echoscu", "-ll", ""], ["debug", "error", "fatal", "info", "trace", "warn"]),
        (["echoscu", "--log-level", "w"], ["warn"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["echoscu", "-aet", "-"], []),
        (["echoscu", "lo"], []),
        (["storescu", "localhost", "104", "im"], ["image.dcm", "images"]),
        (["storescp", "-od", "im"], ["images"]),
        (["echoscu", "+tls", "im"], ["image.dcm", "images"]),
        (["echoscu", "+tls", "image.dcm", "im"], ["image.dcm", "images"]),
        (["echoscu", "+tls", "image.dcm", "image.dcm", "im"], []),
    ],
)
def test_values(tmp_path: Path, words: Sequence[str], expected: list[str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "image.dcm").touch()
    assert complete(tmp_path, "dicomio", *words) == expected

"""Completion of command lines by zsh and fish."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicomio.cli.completion import script
from dicomio.cli.options import TOOLS, options_of
from tests.interop.processes import require

pytestmark = pytest.mark.interop

NAMES = [tool.name for tool in TOOLS]

# zsh completes only at a terminal: what its functions would be asked to offer is printed instead.
ZSH = """
autoload -Uz compinit
compinit -u -d {directory}/compdump
source {script}
_describe() {{ local -a found; [[ $1 == -o ]] && shift; found=("${{(@P)2}}"); print -rl -- "${{found[@]%%:*}}"; }}
_files() {{ print -r -- "_files $*"; }}
compadd() {{ shift; print -rl -- "$@"; }}
words=("$@")
CURRENT=$#words
$_comps[dicomio]
"""


def zsh(directory: Path, *words: str) -> list[str]:
    """What zsh offers, whatever has been typed of the last of the words."""
    require("zsh")
    (directory / "completion.zsh").write_text(script("zsh"))
    asking = directory / "ask.zsh"
    asking.write_text(ZSH.format(directory=directory, script=directory / "completion.zsh"))
    return said(["zsh", "-f", str(asking), *words], directory)


def fish(directory: Path, *words: str) -> list[str]:
    """What fish offers for the last of the words."""
    require("fish")
    path = directory / "completion.fish"
    path.write_text(script("fish"))
    lines = said(["fish", "-N", "-c", f"source {path}; complete -C '{' '.join(words)}'"], directory)
    return [line.partition("\t")[0] for line in lines]


def said(argv: Sequence[str], directory: Path) -> list[str]:
    """What a shell prints, of which none may be a complaint."""
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30, cwd=directory)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_zsh_offers_tools(tmp_path: Path) -> None:
    assert zsh(tmp_path, "dicomio", "") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_zsh_offers_options(tmp_path: Path, name: str) -> None:
    expected = [spelling for option in options_of(name) for spelling in option.spellings]
    assert zsh(tmp_path, "dicomio", name, "-") == expected


@pytest.mark.parametrize(
    "words, expected",
    [
        (["echoscu", "-ll", ""], ["fatal", "error", "warn", "info", "debug", "trace"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["storescu", "localhost", "104", ""], ["_files "]),
        (["storescp", "-od", ""], ["_files -/"]),
        (["echoscu", "+tls", ""], ["_files "]),
        (["echoscu", "+tls", "key.pem", ""], ["_files "]),
        (["echoscu", "-aet", "-"], []),
        (["echoscu", ""], []),
    ],
)
def test_zsh_offers_values(tmp_path: Path, words: Sequence[str], expected: list[str]) -> None:
    assert zsh(tmp_path, "dicomio", *words) == expected


def test_fish_offers_tools(tmp_path: Path) -> None:
    assert sorted(fish(tmp_path, "dicomio", "")) == sorted(NAMES)
    assert fish(tmp_path, "dicomio", "mo") == ["movescu"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", ["--", "+"])
def test_fish_offers_options(tmp_path: Path, name: str, sign: str) -> None:
    spellings = [spelling for option in options_of(name) for spelling in option.spellings]
    expected = {spelling for spelling in spellings if spelling.startswith(sign)}
    # fish itself appends an equals sign to long options that have a value.
    offered = fish(tmp_path, "dicomio", name, sign)
    assert {word.removesuffix("=") if sign == "--" else word for word in offered} == expected


@pytest.mark.parametrize(
    "words, expected",
    [
        (["echoscu", "-ll", ""], ["debug", "error", "fatal", "info", "trace", "warn"]),
        (["echoscu", "--log-level", "w"], ["warn"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["storescu", "localhost", "104", "im"], ["image.dcm", "images/"]),
        (["storescp", "-od", "im"], ["images/"]),
        (["echoscu", "+tls", "im"], ["image.dcm", "images/"]),
        (["echoscu", "+cd", "im"], ["images/"]),
        (["echoscu", "-ae"], ["-aec", "-aet"]),
        (["echoscu", "im"], []),
    ],
)
def test_fish_offers_values(tmp_path: Path, words: Sequence[str], expected: list[str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "image.dcm").touch()
    assert sorted(fish(tmp_path, "dicomio", *words)) == expected

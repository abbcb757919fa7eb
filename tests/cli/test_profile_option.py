"""`--profile` and `--peers`: the peer, and what is special about it, from a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dicomio import Address, Timeout
from dicomio.cli.command import parse
from dicomio.cli.options import SCUS, TOOLS
from dicomio.cli.scu import ae_title_of, limits_of, peer_of, strict_of, timeout_of
from dicomio.cli.security import client_tls

from .conftest import Receive, Tool

BY_NAME = {tool.name: tool for tool in TOOLS}
FILES = {"storescu": ["file"], "dcmsend": ["file"]}
TEXT = """
[pacs]
address = "ARCHIVE@10.0.0.5:11113"
ae_title = "ME"
window = 8
max_pdu = 65536
associations = 3
strict = true
timeout = { connect = 5, response = 60, write = 7 }

[plain]
address = "OTHER@localhost:104"

[secret]
address = "OTHER@localhost:104"
tls = { profile = "BCP 195" }
"""


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of peers, where it is looked for."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "peers.toml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("name", SCUS)
@pytest.mark.usefixtures("peers")
def test_a_profile_stands_for_the_peer_and_what_is_special_about_it(name: str) -> None:
    args = parse(BY_NAME[name], ["--profile", "pacs", *FILES.get(name, [])])
    assert peer_of(args) == Address("ARCHIVE", "10.0.0.5", 11113)
    assert (ae_title_of(args, name), args.window, strict_of(args)) == ("ME", 8, True)
    assert limits_of(args).max_pdu == 65536
    assert timeout_of(args) == Timeout(connect=5, response=60, write=7)
    assert client_tls(args) is None
    if name == "storescu":
        assert (args.path, args.jobs) == (["file"], 3)


@pytest.mark.usefixtures("peers")
def test_what_a_profile_does_not_say_is_as_usual() -> None:
    plain = parse(BY_NAME["echoscu"], ["--profile", "plain"])
    usual = parse(BY_NAME["echoscu"], ["localhost", "104", "-aec", "OTHER"])
    for func in (peer_of, timeout_of, limits_of, strict_of, client_tls):
        assert func(plain) == func(usual)
    assert ae_title_of(plain, "echoscu") == "ECHOSCU"
    assert plain.window is None


@pytest.mark.usefixtures("peers")
def test_options_come_before_the_profile() -> None:
    words = ["--profile", "pacs", "-aec", "A", "-aet", "B", "-to", "1", "-ta", "2", "-td", "3", "-pdu", "0"]
    args = parse(BY_NAME["echoscu"], [*words, "--window", "2"])
    assert peer_of(args) == Address("A", "10.0.0.5", 11113)
    assert (ae_title_of(args, "echoscu"), args.window, limits_of(args).max_pdu) == ("B", 2, 0)
    special = Timeout(connect=5, response=60, write=7)
    assert timeout_of(args) == replace(special, connect=1, negotiate=2, release=2, artim=2, response=3)


@pytest.mark.usefixtures("peers")
def test_tls_of_a_profile() -> None:
    args = parse(BY_NAME["echoscu"], ["--profile", "secret"])
    assert client_tls(args) is args.peer_profile.ssl is not None
    assert client_tls(parse(BY_NAME["echoscu"], ["--profile", "secret", "+tla"])) is not args.peer_profile.ssl


def test_a_file_elsewhere(tool: Tool, receiver: Receive, tmp_path: Path, sample: Callable[[str], Path]) -> None:
    peer = receiver()
    file = tmp_path / "mine.toml"
    file.write_text(f'[here]\naddress = "STORE@127.0.0.1:{peer.port}"\n')
    code, out, _ = tool("echoscu", "--peers", file, "--profile=here")
    assert (code, out.split(": ")[0]) == (0, f"STORE@127.0.0.1:{peer.port}")
    assert tool("storescu", sample("CT_small.dcm"), "--profile", "here", "--peers", file).code == 0
    assert len(peer.files) == 1


@pytest.mark.usefixtures("peers")
@pytest.mark.parametrize(
    "words, text",
    [
        (["--profile", "nobody"], "peers.toml has no peer 'nobody'; it has pacs, plain, secret"),
        (["--profile", "pacs", "--peers", "no.toml"], "no.toml: No such file or directory"),
        (["--profile", "pacs", "localhost", "104"], "localhost 104; --profile gives HOST and PORT"),
        (["--profile"], "option --profile needs a value"),
    ],
)
def test_wrong_usage(tool: Tool, words: list[str], text: str) -> None:
    code, out, err = tool("echoscu", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err


@pytest.mark.parametrize(
    "content, text",
    [
        ("[pacs", "peers.toml: "),
        ("[pacs]\n", "[pacs]: address is missing"),
        ("[pacs]\naddress = 'A@h:1'\ncolour = 'red'\n", "colour: a peer has no such thing; it has address, ae_title, "),
        (
            "[pacs]\naddress = 'A@h:1'\ntimeout = { defalt = 1 }\n",
            "[pacs]: defalt: timeout has no such thing; it has default, ",
        ),
        (
            "[pacs]\naddress = 'A@h:1'\ntls = { cert = 'a' }\n",
            "[pacs]: cert: tls has no such thing; it has ca, certificate, ",
        ),
        (
            "[pacs]\naddress = 'A@h:1'\ntls = { ca = 'no.pem' }\n",
            "peers.toml: [pacs]: tls: ca: No such file or directory: no.pem",
        ),
        ("[pacs]\naddress = 'A@h:1'\ntls = { ca = 'peers.toml' }\n", "peers.toml: [pacs]: tls: ca: peers.toml: "),
        (
            "[pacs]\naddress = 'A@h:1'\ntls = { certificate = 'a', key = 'b' }\n",
            "[pacs]: tls: certificate, key: No such file",
        ),
        (
            "[pacs]\naddress = 'A@h:1'\ntls = { ca = 5 }\n",
            "[pacs]: tls: ca is 5; a file is expected, or a list of files",
        ),
        (
            "[pacs]\naddress = 'A@h:1'\ntls = { profile = 'x' }\n",
            "[pacs]: tls: profile is 'x'; one of 'BCP 195', 'non-downgrading BCP 195', ",
        ),
    ],
)
def test_files_that_are_wrong(tool: Tool, peers: Path, content: str, text: str) -> None:
    peers.write_text(content)
    code, out, err = tool("echoscu", "--profile", "pacs")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err


@pytest.mark.parametrize("name", ["storescp", "qrscp", "serve", "demo"])
def test_those_who_serve_have_no_profile(tool: Tool, name: str) -> None:
    assert tool(name, "--profile", "x") == (2, "", f"dicomio {name}: there is no option --profile\n")

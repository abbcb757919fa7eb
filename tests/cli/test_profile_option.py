"""`--profile` and `--peers`: the peer, and what is special about it, from a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dicomio import Address, Application, Peer, Proposal, load_peers
from dicomio.cli.command import parse
from dicomio.cli.options import SCUS, TOOLS
from dicomio.cli.scu import peer_of, remote_of
from dicomio.cli.security import client_tls
from dicomio.wire.items import AsyncOperationsWindow

from .conftest import Receive, Tool, serving

BY_NAME = {tool.name: tool for tool in TOOLS}
FILES = {"storescu": ["file"], "dcmsend": ["file"]}
STUDY = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
TEXT = """
[pacs]
address = "ARCHIVE@10.0.0.5:11113"
ae_title = "ME"
window = 8
max_pdu = 65536
associations = 3
strict = true
role_selection = false
local_host = "127.0.0.2"
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
    assert remote_of(args, name) == args.peer_profile == load_peers("peers.toml")["pacs"]
    if name == "storescu":
        assert (args.path, args.jobs) == (["file"], 3)


@pytest.mark.usefixtures("peers")
def test_what_a_profile_does_not_say_is_as_usual() -> None:
    plain = parse(BY_NAME["echoscu"], ["--profile", "plain"])
    usual = parse(BY_NAME["echoscu"], ["localhost", "104", "-aec", "OTHER"])
    wanted = Peer(Address("OTHER", "localhost", 104), ae_title="ECHOSCU", max_pdu=262_144)
    assert remote_of(plain, "echoscu") == remote_of(usual, "echoscu") == wanted


@pytest.mark.usefixtures("peers")
def test_options_come_before_the_profile() -> None:
    words = ["--profile", "pacs", "-aec", "A", "-aet", "B", "-to", "1", "-ta", "2", "-td", "3", "-pdu", "0"]
    args = parse(BY_NAME["echoscu"], [*words, "--window", "2"])
    profile = args.peer_profile
    assert remote_of(args, "echoscu") == replace(
        profile,
        address=Address("A", "10.0.0.5", 11113),
        ae_title="B",
        window=2,
        max_pdu=0,
        timeout=replace(profile.timeout, connect=1, negotiate=2, release=2, artim=2, response=3),
    )
    # That a value is the usual one does not make it count less.
    assert remote_of(parse(BY_NAME["echoscu"], [*words, "-pdu", "262144"]), "echoscu").max_pdu == 262_144


@pytest.mark.usefixtures("peers")
def test_tls_of_a_profile() -> None:
    args = parse(BY_NAME["echoscu"], ["--profile", "secret"])
    assert client_tls(args) is args.peer_profile.ssl is not None
    other = client_tls(parse(BY_NAME["echoscu"], ["--profile", "secret", "+tla"]))
    assert other is not None
    assert other is not args.peer_profile.ssl
    plain = parse(BY_NAME["echoscu"], ["--profile", "secret", "-tls"])
    assert plain.peer_profile.ssl is not None
    assert remote_of(plain, "echoscu").ssl is None


@pytest.mark.parametrize("name", SCUS)
def test_associations_are_asked_for_as_the_profile_says(
    tool: Tool, sample: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    app, asked = Application("PEER"), list[tuple[object, ...]]()

    @app.on_associate
    async def note(proposal: Proposal) -> None:
        peer, user = proposal.peer, proposal.pdu.user
        asked.append((peer.ae_title, peer.host, user.maximum_length, user.async_window, user.roles))

    more: dict[str, tuple[object, ...]] = {
        "storescu": (sample("CT_small.dcm"),),
        "dcmsend": (sample("CT_small.dcm"),),
        "findscu": STUDY,
        "getscu": (*STUDY, "-od", tmp_path),
        "movescu": STUDY,
    }
    with serving(app) as (server, _):
        file = tmp_path / "peers.toml"
        file.write_text(TEXT.replace("10.0.0.5:11113", f"127.0.0.1:{server.port}"))
        tool(name, "--peers", file, "--profile", "pacs", *more.get(name, ()))
    assert set(asked) == {("ME", "127.0.0.2", 65_536, AsyncOperationsWindow(8, 1), ())}


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

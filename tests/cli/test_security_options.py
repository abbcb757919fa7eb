"""TLS and user identity on the command line, of every tool."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dicomio import STUDY_ROOT, Access, Application, Identity, Proposal
from dicomio.cli.command import parse
from dicomio.cli.errors import UsageError
from dicomio.cli.options import SCPS, SCUS, TOOLS
from dicomio.cli.options.tools import NETWORK, SERVERS
from dicomio.cli.security import client_tls, identity_of, server_tls
from tests.interop.certificates import Authority, Certificate

from .conftest import Ran, Tool, serving
from .servers import running

Sample = Callable[[str], Path]

BY_NAME = {tool.name: tool for tool in TOOLS}
PLACE = ("localhost", "104")
PLACES = {
    "storescu": (*PLACE, "file"),
    "dcmsend": (*PLACE, "file"),
    "serve": ("mine:app",),
    "conformance": ("mine:app",),
}
STUDY = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.3.6.1.4.1.5962.1.2.1.20040119072730.12322")


@dataclass(frozen=True)
class Trust:
    """A CA, who it certifies, and who nobody knows."""

    authority: Authority
    server: Certificate
    client: Certificate
    stranger: Certificate

    @property
    def ca(self) -> tuple[object, ...]:
        """The option that trusts it."""
        return ("+cf", self.authority.path)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """Certificates of all kinds."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    issue = authority.issue
    return Trust(authority, issue("server"), issue("client"), authority.self_signed("stranger"))


def tls_of(certificate: Certificate) -> tuple[object, ...]:
    """The option that shows a certificate."""
    return ("+tls", certificate.key, certificate.certificate)


def words_for(name: str, port: int, sample: Sample, directory: Path) -> list[object]:
    """What an SCU is to do."""
    more: dict[str, tuple[object, ...]] = {
        "storescu": (sample("CT_small.dcm"),),
        "dcmsend": (sample("CT_small.dcm"),),
        "findscu": STUDY,
        "getscu": (*STUDY, "-od", directory),
        "movescu": (*STUDY, "-aem", "NOBODY"),
    }
    return [name, "127.0.0.1", port, *more.get(name, ())]


@pytest.fixture(scope="module")
def archive(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a `qrscp` that wants certificates of its peers."""
    root = tmp_path_factory.mktemp("archive")
    with running("qrscp", 0, "-od", root, *tls_of(trust.server), *trust.ca) as server:
        yield server.port


# TLS of those who go to a peer


@pytest.mark.parametrize("name", SCUS)
def test_every_scu_shows_its_certificate(
    tool: Tool, trust: Trust, archive: int, sample: Sample, tmp_path: Path, name: str
) -> None:
    assert tool("storescu", "127.0.0.1", archive, sample("CT_small.dcm"), *tls_of(trust.client), *trust.ca).code == 0
    ran = tool(*words_for(name, archive, sample, tmp_path), *tls_of(trust.client), *trust.ca)
    if name == "movescu":
        # It is heard, and knows of no such destination.
        assert "0xA801" in ran.err
    elif name == "termscu":
        assert "does not support being shut down" in ran.err
    else:
        assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("name", SCUS)
def test_no_scu_is_let_in_without_a_certificate(
    tool: Tool, trust: Trust, archive: int, sample: Sample, tmp_path: Path, name: str
) -> None:
    ran = tool(*words_for(name, archive, sample, tmp_path), "+tla", *trust.ca)
    assert ran.code == 1
    assert f"127.0.0.1:{archive}" in ran.err


def test_plain_peers_of_a_tls_port_hear_why(tool: Tool, archive: int) -> None:
    code, out, err = tool("echoscu", "127.0.0.1", archive)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "TLS" in err


def test_tls_on_a_plain_port_is_named(tool: Tool, trust: Trust) -> None:
    with serving(Application("PLAIN")) as (server, _):
        code, out, err = tool("echoscu", "127.0.0.1", server.port, "+tla", *trust.ca)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "TLS" in err


def echo(tool: Tool, port: int, *words: object) -> Ran:
    """Asks for a sign of life."""
    return tool("echoscu", "127.0.0.1", port, *words)


def test_the_certificate_of_the_peer_is_verified_unless_told_otherwise(
    tool: Tool, trust: Trust, tmp_path: Path
) -> None:
    directory = tmp_path / "authorities"
    directory.mkdir()
    (directory / "one.pem").write_bytes(trust.authority.path.read_bytes())
    with running("storescp", 0, "-od", tmp_path, *tls_of(trust.server), "-ic") as server:
        for words in (("+cf", trust.authority.path), ("+cd", directory), ("-ic",), (*trust.ca, "-rc")):
            assert echo(tool, server.port, "+tla", *words).code == 0
        for words in ((), ("-rc",), ("+cf", trust.stranger.certificate), ("-ic", "-rc")):
            code, _, err = echo(tool, server.port, "+tla", *words)
            assert code == 1
            assert "certificate" in err


def test_peers_with_revoked_certificates_are_refused(tool: Tool, trust: Trust, archive: int) -> None:
    known = (*tls_of(trust.client), *trust.ca)
    assert echo(tool, archive, *known, "+crl", trust.authority.revoke(trust.stranger), "+crv").code == 0
    code, _, err = echo(tool, archive, *known, "+crl", trust.authority.revoke(trust.server))
    assert (code, "certificate revoked" in err) == (1, True)
    assert echo(tool, archive, *known, "+crl", trust.authority.revoke(trust.server), "-ic").code == 0


def test_tls_is_as_the_last_option_says(trust: Trust) -> None:
    on, off, anonymous = tls_of(trust.client), ("-tls",), ("+tla",)
    for words, speaks in ((off, False), ((*on, *off), False), ((*anonymous, *off), False), ((*off, *anonymous), True)):
        args = parse(BY_NAME["echoscu"], ["127.0.0.1", "104", *map(str, words), "-pem", "+ps"])
        assert (client_tls(args) is not None) == speaks


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz", "--profile-bcp195-ex"])
def test_profiles(tool: Tool, trust: Trust, tmp_path: Path, profile: str) -> None:
    with running("storescp", 0, "-od", tmp_path, *tls_of(trust.server), *trust.ca, profile) as server:
        assert echo(tool, server.port, *tls_of(trust.client), *trust.ca, profile).code == 0


IDLE = (
    ("+cf", "ca.pem"),
    ("+cd", "authorities"),
    ("+crl", "revoked.pem"),
    ("+crv",),
    ("-rc",),
    ("-ic",),
    ("+pw", "secret"),
    ("-pw",),
    ("+py",),
    ("+px",),
    ("+pz",),
)


@pytest.mark.parametrize("words", IDLE, ids=lambda words: words[0])
@pytest.mark.parametrize("name", NETWORK)
def test_tls_options_are_refused_where_no_tls_is_spoken(tool: Tool, name: str, words: tuple[str, ...]) -> None:
    needed = "+tls or +tla" if name in SCUS else "+tls"
    text = f"option {words[0]} needs {needed}: no TLS is spoken without"
    assert tool(name, *PLACES.get(name, PLACE if name in SCUS else ()), *words) == (
        2,
        "",
        f"dicomio {name}: {text}\n",
    )


@pytest.mark.parametrize("name", SERVERS)
def test_optional_certificates_are_refused_where_no_tls_is_spoken(tool: Tool, name: str) -> None:
    ran = tool(name, *PLACES.get(name, ()), "-vc")
    assert ran == (2, "", f"dicomio {name}: option -vc needs +tls: no TLS is spoken without\n")


def test_tls_that_is_switched_off_again_is_no_tls(tool: Tool) -> None:
    words = ("+tls", "key", "certificate", "-tls", "--add-cert-file=ca.pem")
    ran = tool("echoscu", *PLACE, *words)
    assert ran == (2, "", "dicomio echoscu: option +cf needs +tls or +tla: no TLS is spoken without\n")


def test_the_tls_of_a_profile_is_as_the_profile_says(tool: Tool, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[a]\naddress = 'A@h:1'\ntls = { verify = false }\n[b]\naddress = 'B@h:1'\n")
    words = ("echoscu", "--peers", file, "-rc", "--profile")
    text = "option -rc needs +tls or +tla"
    assert tool(*words, "a") == (
        2,
        "",
        f"dicomio echoscu: {text}, which take the place of the TLS of the profile\n",
    )
    assert tool(*words, "b") == (2, "", f"dicomio echoscu: {text}: no TLS is spoken without\n")


# TLS of those who serve


@pytest.mark.parametrize(
    "words, stranger, anonymous",
    [(["-rc"], 1, 1), (["-vc"], 1, 0), (["-ic"], 0, 0), ([], 1, 1)],
    ids=["require", "verify", "ignore", "default"],
)
def test_which_certificates_of_peers_are_taken(
    tool: Tool, trust: Trust, tmp_path: Path, words: list[str], stranger: int, anonymous: int
) -> None:
    with running("storescp", 0, "-od", tmp_path, *tls_of(trust.server), *trust.ca, *words) as server:
        assert echo(tool, server.port, *tls_of(trust.client), *trust.ca).code == 0
        assert echo(tool, server.port, *tls_of(trust.stranger), *trust.ca).code == stranger
        assert echo(tool, server.port, "+tla", *trust.ca).code == anonymous


@pytest.mark.parametrize("workers", [1, 2])
def test_certificates_change_while_serving(tool: Tool, trust: Trust, tmp_path: Path, workers: int) -> None:
    """The new one is of a CA that the client trusts, as the old one was not."""
    own = trust.authority.issue("renewed")
    files = tmp_path / "key.pem", tmp_path / "certificate.pem"
    for file, old in zip(files, (trust.stranger.key, trust.stranger.certificate), strict=True):
        shutil.copy(old, file)
    words = ("-od", tmp_path, "+tls", *files, "-ic", "--workers", workers)
    with running("storescp", 0, *words) as server:
        assert echo(tool, server.port, "+tla", *trust.ca).code == 1
        for file, new in zip(files, (own.key, own.certificate), strict=True):
            shutil.copy(new, file)
        for _ in range(2 * workers):
            assert echo(tool, server.port, "+tla", *trust.ca).code == 0
        assert server.stop() == 0


def test_serve_speaks_tls_with_all_workers(tool: Tool, trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from dicomio import Application\napp = Application('MINE')\n")
    words = ("mine:app", "--port", 0, "--workers", 2, *tls_of(trust.server), *trust.ca)
    with running("serve", *words, directory=tmp_path) as server:
        for _ in range(6):
            assert echo(tool, server.port, *tls_of(trust.client), *trust.ca).code == 0
        assert server.stop() == 0


# keys with passwords, and files that are wrong


@pytest.fixture
def locked(trust: Trust, tmp_path: Path) -> Certificate:
    """The certificate of the client with a key that has a password."""
    key = load_pem_private_key(trust.client.key.read_bytes(), None)
    path = tmp_path / "locked.key"
    form = BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, form))
    return Certificate(trust.client.certificate, path)


def test_keys_with_passwords(tool: Tool, trust: Trust, archive: int, locked: Certificate) -> None:
    words = (*tls_of(locked), *trust.ca)
    assert echo(tool, archive, *words, "+pw", "secret").code == 0
    for wrong in (("+pw", "other"), ("-pw",)):
        code, out, err = echo(tool, archive, *words, *wrong)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"dicomio echoscu: TLS: {locked.certificate}, {locked.key}: ")
        assert "the password is wrong" in err


def test_a_key_with_a_password_is_not_asked_about(tool: Tool, trust: Trust, archive: int, locked: Certificate) -> None:
    text = f"TLS: the key {locked.key} has a password: give +pw"
    assert echo(tool, archive, *tls_of(locked), *trust.ca) == (2, "", f"dicomio echoscu: {text}\n")
    args = parse(BY_NAME["storescp"], [*map(str, tls_of(locked)), "-ic"])
    with pytest.raises(UsageError, match="has a password: give \\+pw"):
        server_tls(args)


def test_a_password_is_asked_for_where_that_is_wanted(
    tool: Tool, trust: Trust, archive: int, locked: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr("dicomio.cli.security.getpass", answer)
    assert echo(tool, archive, *tls_of(locked), *trust.ca, "+ps").code == 0
    assert asked == [f"password of {locked.key}: "]


def test_nobody_is_there_to_ask_for_a_password(
    tool: Tool, trust: Trust, archive: int, locked: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("dicomio.cli.security.getpass", nobody)
    ran = echo(tool, archive, *tls_of(locked), *trust.ca, "+ps")
    assert ran == (2, "", f"dicomio echoscu: TLS: nobody is there to give the password of {locked.key}\n")


def test_keys_without_a_password(tool: Tool, trust: Trust, archive: int) -> None:
    assert echo(tool, archive, *tls_of(trust.client), *trust.ca, "-pw").code == 0


@pytest.mark.parametrize("name", SCUS)
def test_files_that_are_not_there(tool: Tool, sample: Sample, tmp_path: Path, name: str) -> None:
    words = words_for(name, 1, sample, tmp_path)
    code, out, err = tool(*words, "+tls", "no.key", "no.crt")
    assert (code, out) == (2, "")
    assert "TLS" in err
    code, out, err = tool(*words, "+tla", "+cf", "no.pem")
    assert (code, out) == (2, "")
    assert "No such file" in err


@pytest.mark.parametrize("name", SCPS)
def test_servers_want_to_know_whom_to_trust(trust: Trust, name: str) -> None:
    words = [*(["mine:app"] if name == "serve" else []), *map(str, tls_of(trust.server))]
    with pytest.raises(UsageError, match=r"\+tls needs \+cf or \+cd"):
        server_tls(parse(BY_NAME[name], words))
    with pytest.raises(UsageError, match="TLS: "):
        server_tls(parse(BY_NAME[name], [*words, "+cf", "no.pem"]))
    assert server_tls(parse(BY_NAME[name], [*words, "-ic"])) is not None
    assert server_tls(parse(BY_NAME[name], words[:-3])) is None


def test_a_key_that_is_not_that_of_the_certificate(trust: Trust) -> None:
    words = ["h", "1", "+tls", str(trust.stranger.key), str(trust.client.certificate)]
    with pytest.raises(UsageError, match="TLS: "):
        client_tls(parse(BY_NAME["echoscu"], words))


# user identity


class Door:
    """A peer that wants to know who comes, and lets everybody in but Mallory.

    Attributes:
        seen: the identities that came.
        app: the peer.
    """

    def __init__(self) -> None:
        self.seen: list[Identity] = []
        self.app = Application("DOOR", access=Access(refusal=0.05))
        self.app.store("*")(self.keep)
        self.app.find(STUDY_ROOT)(self.find)
        self.app.get(STUDY_ROOT)(self.keep)
        self.app.move(STUDY_ROOT)(self.keep)
        self.app.authenticate(self.authenticate)

    async def keep(self, request: object) -> None:
        """Serves what is not looked at here."""

    async def find(self, request: object) -> list[object]:
        """Finds nothing."""
        return []

    async def authenticate(self, proposal: Proposal) -> str | None:
        """Notes who comes."""
        if proposal.identity is None:
            return None
        self.seen.append(proposal.identity)
        return None if proposal.identity.name == "mallory" else "somebody"


@pytest.mark.parametrize(
    "words, kind",
    [
        (["-usr", "ann"], 1),
        (["-usr", "ann", "-pwd", "secret"], 2),
        (["-usr", "ann", "-epw"], 2),
        (["-kt", "FILE"], 3),
        (["--saml", "FILE"], 4),
        (["--jwt", "FILE"], 5),
    ],
)
def test_identities_reach_the_peer(tool: Tool, tmp_path: Path, words: list[str], kind: int) -> None:
    file = tmp_path / "proof"
    file.write_bytes(b"a.b.c")
    given = [str(file) if word == "FILE" else word for word in words]
    door = Door()
    with serving(door.app) as (server, _):
        assert echo(tool, server.port, *given).code == 0
    (identity,) = door.seen
    assert identity == identity_of(parse(BY_NAME["echoscu"], ["h", "1", *given]))
    assert (identity.type, identity.positive_response) == (kind, False)
    assert identity.primary == (b"a.b.c" if kind > 2 else b"ann")
    assert identity.passcode == ("secret" if "secret" in words else "")


def test_tokens_may_end_in_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"a.b.c\n")
    found = identity_of(parse(BY_NAME["echoscu"], ["h", "1", "--jwt", str(tmp_path / "token")]))
    assert found == Identity.jwt(b"a.b.c")


@pytest.mark.parametrize("name", SCUS)
def test_every_scu_says_who_it_is(tool: Tool, sample: Sample, tmp_path: Path, name: str) -> None:
    door = Door()
    with serving(door.app) as (server, _):
        words = words_for(name, server.port, sample, tmp_path)
        refused = [tool(*words), tool(*words, "-usr", "mallory")]
        assert [ran.code for ran in refused] == [1, 1]
        assert all("rejected the association" in ran.err for ran in refused)
        before = len(door.seen)
        tool(*words, "-usr", "ann", "-rsp")
    assert before == 1
    assert {(identity.name, identity.positive_response) for identity in door.seen[before:]} == {("ann", True)}


@pytest.mark.parametrize("name", SCUS)
def test_an_answer_that_was_wanted_and_does_not_come(tool: Tool, sample: Sample, tmp_path: Path, name: str) -> None:
    door = Door()
    door.app.admission.authenticate = None
    with serving(door.app) as (server, _):
        words = words_for(name, server.port, sample, tmp_path)
        code, out, err = tool(*words, "-usr", "ann", "-rsp")
    assert (code, out) == (1, "")
    assert "did not answer the user identity" in err


@pytest.mark.parametrize(
    "words, text",
    [
        (["-pwd", "secret"], "options -pwd and -epw need -usr"),
        (["-epw"], "options -pwd and -epw need -usr"),
        (["-usr", "ann", "--jwt", "token"], "one of -usr, -kt, --saml and --jwt can be given"),
        (["-kt", "no-such-file"], "no-such-file: No such file or directory"),
        (["--saml", "no-such-file"], "no-such-file: No such file or directory"),
        (["--jwt", "no-such-file"], "no-such-file: No such file or directory"),
    ],
)
def test_identities_that_cannot_be_proposed(tool: Tool, words: list[str], text: str) -> None:
    assert tool("echoscu", "localhost", 1, *words) == (2, "", f"dicomio echoscu: {text}\n")

"""Profiles of peers, and the TOML files they are kept in."""

from pathlib import Path

import pytest

from dicomio import (
    Address,
    Application,
    Client,
    ConnectFailed,
    Limits,
    Peer,
    Proposal,
    Role,
    Timeout,
    connect,
    echo,
    load_peers,
    serve,
    sop,
)

PEERS = """
[archive]
address = "ARCHIVE@10.0.0.5:11112"
ae_title = "MODALITY1"
window = 8
max_pdu = 131072
associations = 3
timeout = 60
strict = true
role_selection = false

[printer]
address = "10.0.0.6:104"
window = [2, 1]
timeout = { default = 10.0, response = 120.0 }

[secure]
address = "S@10.0.0.7:2762"
tls = { verify = false, profile = "extended BCP 195" }
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "peers.toml"
    path.write_text(text)
    return path


def test_profiles_are_read_by_name(tmp_path: Path) -> None:
    peers = load_peers(written(tmp_path, PEERS))
    archive, printer, secure = peers["archive"], peers["printer"], peers["secure"]
    assert archive.address == Address("ARCHIVE", "10.0.0.5", 11112)
    assert (archive.ae_title, archive.window, archive.strict) == ("MODALITY1", 8, True)
    assert (archive.role_selection, printer.role_selection) == (False, True)
    assert archive.timeout == Timeout(60)
    assert archive.limits(Limits(nesting=5)) == Limits(nesting=5, max_pdu=131072, associations=3)
    assert (printer.window, printer.timeout) == ((2, 1), Timeout(10.0, response=120.0))
    assert (archive.ssl, printer.limits()) == (None, Limits())
    assert secure.ssl is not None


@pytest.mark.parametrize(
    "text, message",
    [
        ("archive = 1", "archive is not a table"),
        ("[a]\nwindow = 3", r"\[a\]: address is missing"),
        ('[a]\naddress = "A@h:1"\nwidnow = 3', r"\[a\]: widnow: a peer has no such thing"),
        ('[a]\naddress = "A@h:99999"', r"\[a\]: .*port 99999"),
        ('[a]\naddress = "A@h:1"\nae_title = "MUCH TOO LONG A TITLE"', r"\[a\]: .*AE title"),
        ('[a]\naddress = "A@h:1"\ntimeout = -1', r"\[a\]: Timeout"),
        ('[a]\naddress = "A@h:1"\ntimeout = {often = 1}', r"\[a\]: .*often"),
        ('[a]\naddress = "A@h:1"\ntls = {wrong = 1}', r"\[a\]: wrong: tls has no such thing; it has ca, "),
        ('[a]\naddress = "A@h:1"\ntls = {profile = "none"}', r"\[a\]: tls: profile is 'none'; one of 'BCP 195', "),
        ("[a]\naddress = 104", r"\[a\]: address is 104; str is expected"),
        ('[a]\naddress = "A@h:1"\nwindow = "8"', r"\[a\]: window is '8'; it must be a number"),
        ('[a]\naddress = "A@h:1"\nwindow = 70000', r"\[a\]: window is 70000"),
        ('[a]\naddress = "A@h:1"\nwindow = [1, 2, 3]', r"\[a\]: window is \[1, 2, 3\]"),
        ('[a]\naddress = "A@h:1"\nwindow = []', r"\[a\]: window is \[\]"),
        ('[a]\naddress = "A@h:1"\nmax_pdu = 100', r"\[a\]: Limits.max_pdu is 100"),
        ('[a]\naddress = "A@h:1"\nassociations = true', r"\[a\]: associations is True; int is expected"),
        ('[a]\naddress = "A@h:1"\nstrict = "no"', r"\[a\]: strict is 'no'; bool is expected"),
        ('[a]\naddress = "A@h:1"\ntls = true', r"\[a\]: tls is True; dict is expected"),
        ("this is not TOML", "Expected"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_peers(written(tmp_path, text))


def test_files_that_a_profile_names_lie_beside_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_peers(written(tmp_path, '[a]\naddress = "A@h:1"\ntls = {ca = "missing.pem"}'))


async def test_a_client_follows_the_profile_unless_told_otherwise() -> None:
    peer = Peer(Address("A", "h", 104), ae_title="ME", window=3, associations=5, timeout=Timeout(7), strict=True)
    client = Client(peer)
    assert (client.ae_title, client.limits.associations, client.timeout) == ("ME", 5, Timeout(7))
    other = Client(peer, ae_title="OTHER", timeout=9, limits=Limits(max_pdu=8192))
    assert (other.ae_title, other.timeout, other.limits) == ("OTHER", Timeout(9), Limits(max_pdu=8192, associations=5))
    assert Client(peer, limits=Limits(associations=2)).limits.associations == 2
    opening = connect(peer, contexts=[sop.Verification])
    assert (opening.window, opening.strict, opening.ae_title) == ((3, 1), True, "ME")


async def test_a_destination_may_be_a_profile() -> None:
    async with serve(Application("APP"), "127.0.0.1", 0) as server:
        peer = Peer(Address("APP", "127.0.0.1", server.port), ae_title="SPECIAL", window=4)
        ours = Application("OURS", destinations={"ARCHIVE": peer})
        async with ours.connect("ARCHIVE", contexts=[sop.Verification]) as association:
            assert await association.echo() > 0
            assert association.local.ae_title == "SPECIAL"
            assert association.window.size == 4


@pytest.mark.parametrize("role_selection, roles", [(True, [(sop.CTImageStorage, True, True)]), (False, [])])
async def test_a_peer_that_is_disturbed_by_it_is_not_asked_for_roles(
    role_selection: bool, roles: list[tuple[str, bool, bool]]
) -> None:
    app, asked = Application("APP"), list[tuple[str, bool, bool]]()
    app.store()(lambda request: None)

    @app.on_associate
    async def note(proposal: Proposal) -> None:
        asked.extend((item.sop_class_uid, item.scu, item.scp) for item in proposal.pdu.user.roles)

    async with serve(app, "127.0.0.1", 0) as server:
        peer = Peer(Address("APP", "127.0.0.1", server.port), role_selection=role_selection)
        wanted = {sop.CTImageStorage: Role.BOTH}
        async with connect(peer, contexts=[sop.CTImageStorage], roles=wanted) as association:
            assert [each.role for each in association.contexts.values()] == [Role.SCU]
    assert asked == roles


async def test_a_profile_is_enough_for_a_sign_of_life_and_for_an_application() -> None:
    app, callers = Application("APP"), list[str]()

    @app.on_associate
    async def note(proposal: Proposal) -> None:
        callers.append(proposal.peer.ae_title)

    async with serve(app, "127.0.0.1", 0) as server:
        peer = Peer(Address("APP", "127.0.0.1", server.port), ae_title="SPECIAL", timeout=Timeout(7))
        assert await echo(peer) > 0
        assert await echo(peer, ae_title="OTHER", timeout=5.0) > 0
        async with Application("OURS").connect(peer, contexts=[sop.Verification]) as association:
            assert association.timeout == Timeout(7)
        async with Application("OURS").connect(peer.address, contexts=[sop.Verification]) as association:
            assert association.timeout == Timeout()
    assert callers == ["SPECIAL", "OTHER", "SPECIAL", "OURS"]


@pytest.mark.parametrize("title", ["NOBODY", "@127.0.0.1:1", "X@127.0.0.1:1"])
async def test_an_ae_title_that_is_no_destination_is_never_taken_for_an_address(title: str) -> None:
    ours = Application("OURS", destinations={"ARCHIVE": "ARCHIVE@127.0.0.1:1"})
    with pytest.raises(ConnectFailed, match="is not among the destinations of OURS"):
        await ours.connect(title, contexts=[sop.Verification])

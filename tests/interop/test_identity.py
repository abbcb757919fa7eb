"""User identity with DCMTK, pynetdicom and dcmjs (PS3.7 D.3.3.7): every type, with and without a positive response."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicomio import (
    Access,
    Application,
    AssociationRejected,
    AssociationReleased,
    Identity,
    Proposal,
    StoreRequest,
    connect,
    serve,
)
from dicomio.sop import Verification
from tests.interop.agreeing import dcmjs_scp, dcmjs_scu, pynetdicom_scp, pynetdicom_scu
from tests.interop.ours import HOST, address_of
from tests.interop.processes import ScuResult, require, run
from tests.interop.samples import Sample

pytestmark = pytest.mark.interop

Samples = Mapping[str, Sample]

# Files of it hold what is sent, as they are.
TICKET, ASSERTION, TOKEN = b"\x60\x82ticket\x00\xff!", b"<saml:Assertion/>", b"head.body.mark"


class Guarded:
    """Stores for those it knows, and remembers who that was.

    Attributes:
        known: identities that may store; none are asked for a positive response here.
        seen: what was proposed.
        stored_for: identities of associations on which something was stored.
        ended: why associations ended.
    """

    def __init__(self, *known: Identity, response: bytes = b"") -> None:
        self.app = Application("ARCHIVE", access=Access(refusal=0.1))
        self.known = known
        self.response = response
        self.seen: list[Identity | None] = []
        self.stored_for: list[object] = []
        self.ended: list[Exception | None] = []
        self.app.authenticate(self.identify)
        self.app.store("*")(self.store)
        self.app.on_close(lambda association: self.ended.append(association.ended))

    async def identify(self, proposal: Proposal) -> str | None:
        identity = proposal.identity
        self.seen.append(identity)
        proposal.identity_response = self.response
        if identity is None:
            return None
        plain = Identity(identity.type, identity.primary, identity.secondary)
        return f"{identity.type} {identity.name}" if plain in self.known else None

    async def store(self, request: StoreRequest) -> None:
        await request.read()
        self.stored_for.append(request.association.identity)


def storescu(port: int, options: Sequence[str], path: Path, workdir: Path) -> ScuResult:
    require("dcmtk")
    return run(["storescu", "-v", "-R", "-xe", *options, "-aec", "ARCHIVE", HOST, str(port), path], workdir)


IDENTITIES = [
    (["-usr", "ali"], Identity.username("ali")),
    (["-usr", "ali", "-pwd", "open sesame"], Identity.username("ali", "open sesame")),
    (["-usr", "ali", "-epw"], Identity.username("ali", "")),
    (["-kt", "ticket"], Identity.kerberos(TICKET)),
    (["--saml", "assertion"], Identity.saml(ASSERTION)),
    (["--jwt", "token"], Identity.jwt(TOKEN)),
]


@pytest.fixture
def credentials(workdir: Path) -> Path:
    """Where DCMTK finds what it is to send."""
    for name, content in (("ticket", TICKET), ("assertion", ASSERTION), ("token", TOKEN)):
        (workdir / name).write_bytes(content)
    return workdir


@pytest.mark.parametrize("positive_response", [True, False])
@pytest.mark.parametrize("options, identity", IDENTITIES)
async def test_dcmtk_is_let_in(
    options: list[str], identity: Identity, positive_response: bool, samples: Samples, credentials: Path
) -> None:
    guarded = Guarded(identity, response=b"welcome")
    options = [*options, "-rsp"] if positive_response else options
    async with serve(guarded.app, HOST, 0) as server:
        result = await asyncio.to_thread(storescu, server.port, options, samples["large"].path, credentials)
    assert result.code == 0, result.output
    assert guarded.seen == [Identity(identity.type, identity.primary, identity.secondary, positive_response)]
    assert guarded.stored_for == [f"{identity.type} {identity.name}"]
    assert [type(reason) for reason in guarded.ended] == [AssociationReleased]


@pytest.mark.parametrize("options", [[], *(options for options, _ in IDENTITIES)])
async def test_dcmtk_is_turned_away(options: list[str], samples: Samples, credentials: Path) -> None:
    guarded = Guarded(Identity.username("somebody else", "open sesame"))
    async with serve(guarded.app, HOST, 0) as server:
        result = await asyncio.to_thread(storescu, server.port, options, samples["large"].path, credentials)
    assert result.code != 0
    assert "Association Rejected" in result.output
    assert guarded.stored_for == []


async def test_dcmtk_gets_no_response_from_who_does_not_look_at_identities(samples: Samples, workdir: Path) -> None:
    """Nobody is authenticated by mistake: without a hook there is no server-response, and DCMTK insists on one."""
    app = Application("ARCHIVE")
    app.store("*")(lambda request: None)
    async with serve(app, HOST, 0) as server:
        insisting = await asyncio.to_thread(
            storescu, server.port, ["-usr", "ali", "-rsp"], samples["large"].path, workdir
        )
        content = await asyncio.to_thread(storescu, server.port, ["-usr", "ali"], samples["large"].path, workdir)
    assert "User Identity Negotiation" in insisting.output
    assert (insisting.code == 0, content.code) == (False, 0)


# pynetdicom

PROVEN = [identity for _, identity in IDENTITIES if identity.secondary or identity.type != 2]


def as_item(identity: Identity, positive_response: bool) -> UserIdentityNegotiation:
    """An identity as pynetdicom has it."""
    item = UserIdentityNegotiation()
    item.user_identity_type = identity.type
    item.primary_field = identity.primary
    if identity.secondary:
        item.secondary_field = identity.secondary
    item.positive_response_requested = positive_response
    return item


@pytest.mark.parametrize("positive_response", [True, False])
@pytest.mark.parametrize("identity", PROVEN)
async def test_pynetdicom_is_let_in(identity: Identity, positive_response: bool) -> None:
    guarded = Guarded(identity, response=b"welcome")
    async with serve(guarded.app, HOST, 0) as server:
        found = await pynetdicom_scu(
            server.port,
            Verification,
            ext_neg=[as_item(identity, positive_response)],
            use=lambda association: (association.send_c_echo().Status, association.acceptor.user_identity),
        )
    assert found is not None
    status, response = found
    assert status == 0
    assert (response.server_response if response is not None else None) == (b"welcome" if positive_response else None)


@pytest.mark.parametrize("identity", PROVEN)
async def test_pynetdicom_is_turned_away(identity: Identity) -> None:
    guarded = Guarded()
    async with serve(guarded.app, HOST, 0) as server:
        item = as_item(identity, True)
        found = await pynetdicom_scu(server.port, Verification, ext_neg=[item], use=lambda association: "let in")
    assert found is None
    assert [type(reason) for reason in guarded.ended] == [AssociationRejected]


@pytest.mark.parametrize("identity", PROVEN)
async def test_we_prove_ourselves_to_pynetdicom(identity: Identity) -> None:
    seen: list[tuple[int, bytes, bytes]] = []

    def identify(event: Any) -> tuple[bool, bytes]:
        seen.append((event.user_id_type, event.primary_field, event.secondary_field))
        return event.primary_field != b"somebody else", b"welcome"

    asking = Identity(identity.type, identity.primary, identity.secondary, True)
    stranger = Identity(identity.type, b"somebody else", identity.secondary, True)
    async with pynetdicom_scp(Verification, handlers=[(evt.EVT_USER_ID, identify)]) as address:
        async with connect(address, contexts=[Verification], identity=asking) as association:
            assert await association.echo() > 0
            assert association.agreement is not None
            # It answers those that bring a ticket, an assertion or a token.
            assert association.agreement.identity_response == (b"welcome" if identity.type > 2 else None)
        with pytest.raises(AssociationRejected):
            await connect(address, contexts=[Verification], identity=stranger)
    assert seen[0] == (identity.type, identity.primary, identity.secondary)


# dcmjs


@pytest.mark.parametrize("positive_response", [True, False])
async def test_dcmjs_is_let_in_and_turned_away(positive_response: bool) -> None:
    guarded = Guarded(Identity.username("ali", "open sesame"), response=b"welcome")
    proposed = {"type": 2, "primaryField": "ali", "positiveResponseRequested": positive_response}
    async with serve(guarded.app, HOST, 0) as server:
        good = {**proposed, "secondaryField": "open sesame"}
        let_in = await asyncio.to_thread(dcmjs_scu, server.port, identity=good)
        bad = {**proposed, "secondaryField": "open barley"}
        turned_away = await asyncio.to_thread(dcmjs_scu, server.port, identity=bad)
    assert let_in.code == 0, let_in.output
    assert let_in.facts["identityResponse"] == ("welcome" if positive_response else "")
    assert turned_away.code == 1
    assert turned_away.facts["rejected"] == {"result": 1, "source": 1, "reason": 1}


async def test_we_prove_ourselves_to_dcmjs(tmp_path: Path) -> None:
    with dcmjs_scp(tmp_path / "dcmjs", known="ali", response="welcome") as scp:
        identity = Identity.username("ali", "open sesame", positive_response=True)
        async with connect(address_of(scp), contexts=[Verification], identity=identity) as association:
            assert await association.echo() > 0
            assert association.agreement is not None
            assert association.agreement.identity_response == b"welcome"
        with pytest.raises(AssociationRejected):
            await connect(address_of(scp), contexts=[Verification], identity=Identity.username("somebody else"))

"""User identity with DCMTK and pynetdicom (PS3.7 D.3.3.7): every type, with and without a positive response."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dicomio import Access, Application, AssociationReleased, Identity, Proposal, StoreRequest, serve
from tests.interop.ours import HOST
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

"""TLS with DCMTK in both directions: who proves to be whom, profiles of PS3.15 Annex B, certificates gone bad."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from dicomio import Client, serve, tls
from tests.interop.certificates import Authority, Certificate
from tests.interop.ours import HOST, address_of, archive, assert_same_bytes
from tests.interop.peers import RunningScp
from tests.interop.processes import ScuResult, require, run
from tests.interop.samples import Sample, by_instance

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

SENT = "large"

# The profiles of DCMTK 3.6.7, and what they are here.
PROFILES = [
    ("+px", tls.Profile.BCP_195),
    ("+py", tls.Profile.NON_DOWNGRADING),
    ("+pz", tls.Profile.EXTENDED),
    ("+pz", tls.Profile.RFC_9325),
]
# Who proves to be whom.
AUTHENTICATED = ["nobody", "server", "both"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def archive_certificate(authority: Authority) -> Certificate:
    return authority.issue("archive")


@pytest.fixture(scope="module")
def modality(authority: Authority) -> Certificate:
    return authority.issue("modality")


async def server_context(own: Certificate, **options: object) -> ssl.SSLContext:
    """`tls.server_context`, off the event loop."""
    return await asyncio.to_thread(tls.server_context, own.certificate, own.key, **options)  # type: ignore[arg-type]


async def client_context(own: Certificate | None = None, **options: object) -> ssl.SSLContext:
    """`tls.client_context`, likewise."""
    files = {} if own is None else {"certificate": own.certificate, "key": own.key}
    return await asyncio.to_thread(tls.client_context, **files, **options)  # type: ignore[arg-type]


def certified(own: Certificate) -> list[str]:
    """Options by which programs of DCMTK use a certificate."""
    return ["+tls", str(own.key), str(own.certificate)]


def trusting(authority: Authority) -> list[str]:
    """Options by which they trust a CA."""
    return ["+cf", str(authority.path)]


def holder(certificate: Mapping[str, object] | None) -> str | None:
    """The common name in a certificate."""
    return None if certificate is None else str(certificate["subject"]).split("'commonName', '")[1].split("'")[0]


def echoscu(port: int, options: Sequence[str]) -> ScuResult:
    require("dcmtk")
    return run(["echoscu", "-v", "-to", "10", *options, "-aec", "ARCHIVE", HOST, str(port)])


# DCMTK asks us


@pytest.mark.parametrize("option, profile", PROFILES)
@pytest.mark.parametrize("authenticated", AUTHENTICATED)
async def test_dcmtk_sends_to_us(
    option: str,
    profile: tls.Profile,
    authenticated: str,
    authority: Authority,
    archive_certificate: Certificate,
    modality: Certificate,
    samples: Samples,
    tmp_path: Path,
) -> None:
    require("dcmtk")
    app = archive(tmp_path / "inbox")
    holders = []
    app.on_associate(lambda proposal: holders.append(holder(proposal.association.certificate)))
    mutual = authenticated == "both"
    context = await server_context(archive_certificate, ca=authority.path if mutual else None, profile=profile)
    options = [
        option,
        *(certified(modality) if mutual else ["+tla"]),
        *(["-ic"] if authenticated == "nobody" else trusting(authority)),
    ]
    async with serve(app, HOST, 0, ssl=context) as server:
        argv = ["storescu", "-v", "-R", "-xe", *options, "-aec", "ARCHIVE", HOST, str(server.port)]
        result = await asyncio.to_thread(run, [*argv, samples[SENT].path])
    assert result.code == 0, result.output
    sample = samples[SENT]
    received = by_instance((tmp_path / "inbox").iterdir())
    assert_same_bytes([sample], received, {sample.sop_instance_uid: sample.path})
    assert holders == ["modality" if mutual else None]


# we ask DCMTK


@pytest.mark.parametrize("option, profile", PROFILES)
@pytest.mark.parametrize("authenticated", AUTHENTICATED)
async def test_we_send_to_dcmtk(
    option: str,
    profile: tls.Profile,
    authenticated: str,
    authority: Authority,
    archive_certificate: Certificate,
    modality: Certificate,
    samples: Samples,
    start_scp: StartScp,
) -> None:
    mutual, verify = authenticated == "both", authenticated != "nobody"
    options = [option, *certified(archive_certificate), *(trusting(authority) if mutual else ["-ic"])]
    scp = await asyncio.to_thread(start_scp, "storescp", options=[*options, "+B"])
    context = await client_context(
        modality if mutual else None, ca=authority.path if verify else None, verify=verify, profile=profile
    )
    sample = samples[SENT]
    async with Client(address_of(scp), ssl=context) as client:
        assert await client.store_many([sample.path]) == []
        async with client.reserve([]) as association:
            assert holder(association.certificate) == ("archive" if verify else None)
    received = by_instance(await asyncio.to_thread(scp.received))
    assert_same_bytes([sample], received, {sample.sop_instance_uid: sample.path})

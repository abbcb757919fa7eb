"""TLS with DCMTK in both directions: who proves to be whom, profiles of PS3.15 Annex B, certificates gone bad."""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from dicomio import Application, Client, ConnectFailed, ConnectionLost, connect, serve, sop, tls
from tests.association.peers import until
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
@pytest.mark.parametrize("name", ["storescp", "dcmrecv"])
async def test_we_send_to_dcmtk(
    name: str,
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
    scp = await asyncio.to_thread(start_scp, name, options=[*options, "+B"])
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


# what does not fit


FAULTS = ["expired", "self-signed", "unknown"]


@pytest.fixture(scope="module")
def bad(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Certificate]:
    """Certificates that nobody ought to accept, by what is wrong with them."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    return {
        "expired": authority.issue("expired", expired=True),
        "self-signed": authority.self_signed("self-signed"),
        "unknown": stranger.issue("unknown"),
    }


@pytest.mark.parametrize(
    "fault, words",
    [
        ("expired", "certificate has expired"),
        ("self-signed", "self.signed certificate"),
        ("unknown", "unable to get local issuer certificate"),
    ],
)
async def test_a_bad_certificate_of_dcmtk_is_named(
    fault: str,
    words: str,
    authority: Authority,
    archive_certificate: Certificate,
    bad: Mapping[str, Certificate],
    start_scp: StartScp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scp = await asyncio.to_thread(start_scp, "storescp", options=[*certified(bad[fault]), "-ic"])
    with pytest.raises(ConnectFailed, match=f"the certificate of the peer is not accepted: {words}"):
        await connect(address_of(scp), contexts=[sop.Verification], ssl=await client_context(ca=authority.path))

    context = await server_context(archive_certificate, ca=authority.path)
    async with serve(Application("ARCHIVE"), HOST, 0, ssl=context) as server:
        options = [*certified(bad[fault]), *trusting(authority)]
        result = await asyncio.to_thread(echoscu, server.port, options)
        await until(lambda: "connection not accepted" in caplog.text)
    assert result.code != 0
    assert re.search(f"the certificate of the peer is not accepted: {words}", caplog.text)


@pytest.mark.parametrize("option", ["+py", "+pz"])
@pytest.mark.parametrize(
    "fault, words",
    [
        ("expired", "the peer says that our certificate has expired"),
        ("self-signed", "the peer does not know who issued our certificate"),
        ("unknown", "the peer does not know who issued our certificate"),
        ("missing", "wants a certificate of ours"),
    ],
)
async def test_dcmtk_does_not_accept_ours(
    option: str,
    fault: str,
    words: str,
    authority: Authority,
    archive_certificate: Certificate,
    bad: Mapping[str, Certificate],
    start_scp: StartScp,
) -> None:
    """With +py in TLS 1.3, with +pz in TLS 1.2, where a client hears of it earlier."""
    options = [option, *certified(archive_certificate), *trusting(authority)]
    scp = await asyncio.to_thread(start_scp, "storescp", options=options)
    context = await client_context(bad.get(fault), ca=authority.path)
    with pytest.raises(ConnectFailed, match=f"TLS failed: .*{words}"):
        await connect(address_of(scp), contexts=[sop.Verification], ssl=context)


@pytest.mark.parametrize("fault", FAULTS)
async def test_dcmtk_as_scu_does_not_accept_ours(
    fault: str, authority: Authority, bad: Mapping[str, Certificate], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(Application("ARCHIVE"), HOST, 0, ssl=await server_context(bad[fault])) as server:
        result = await asyncio.to_thread(echoscu, server.port, ["+tla", *trusting(authority)])
        await until(lambda: "connection not accepted: the peer " in caplog.text)
    assert "certificate verify failed" in result.output
    assert "expired" in caplog.text if fault == "expired" else "does not know who issued" in caplog.text


async def test_revoked_certificates_are_refused_by_both(
    authority: Authority, archive_certificate: Certificate, start_scp: StartScp, caplog: pytest.LogCaptureFixture
) -> None:
    revoked = authority.issue("revoked")
    crl = authority.revoke(revoked)
    context = await server_context(archive_certificate, ca=authority.path, crl=crl)
    async with serve(Application("ARCHIVE"), HOST, 0, ssl=context) as server:
        result = await asyncio.to_thread(echoscu, server.port, [*certified(revoked), *trusting(authority)])
        await until(lambda: "certificate revoked" in caplog.text)
    assert result.code != 0

    options = [*certified(archive_certificate), *trusting(authority), "+crl", str(crl)]
    scp = await asyncio.to_thread(start_scp, "storescp", options=options)
    with pytest.raises(ConnectFailed, match="the peer says that our certificate has been revoked"):
        await connect(
            address_of(scp), contexts=[sop.Verification], ssl=await client_context(revoked, ca=authority.path)
        )


@pytest.mark.parametrize("profile, admitted", [(profile, profile is tls.Profile.BCP_195) for profile in tls.Profile])
async def test_the_retired_aes_profile_of_dcmtk(
    profile: tls.Profile, admitted: bool, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """TLS_RSA_WITH_AES_128_CBC_SHA has no forward secrecy: BCP 195 admits it where nothing better is offered."""
    context = await server_context(authority.issue("rsa", rsa=True), profile=profile)
    options = ["+tla", "+pa", *trusting(authority)]
    async with serve(Application("ARCHIVE"), HOST, 0, ssl=context) as server:
        result = await asyncio.to_thread(echoscu, server.port, options)
        assert admitted or "the peer offers no cipher suite that is admitted here" in caplog.text
    assert (result.code == 0) is admitted, result.output


async def test_plain_and_tls_do_not_meet(
    authority: Authority, archive_certificate: Certificate, start_scp: StartScp, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(Application("ARCHIVE"), HOST, 0, ssl=await server_context(archive_certificate)) as server:
        result = await asyncio.to_thread(echoscu, server.port, [])
        await until(lambda: "the peer does not speak TLS on this port" in caplog.text)
    assert result.code != 0
    async with serve(Application("ARCHIVE"), HOST, 0) as server:
        result = await asyncio.to_thread(echoscu, server.port, ["+tla", "-ic"])
        await until(lambda: "peer sent a TLS handshake on a port without TLS" in caplog.text)
    assert result.code != 0

    plain = await asyncio.to_thread(start_scp, "dcmrecv")
    with pytest.raises(ConnectFailed, match="not speak TLS on this port"):
        await connect(address_of(plain), contexts=[sop.Verification], ssl=await client_context(ca=authority.path))
    encrypted = await asyncio.to_thread(start_scp, "storescp", options=[*certified(archive_certificate), "-ic"])
    with pytest.raises(ConnectionLost, match="it may want TLS on this port"):
        await connect(address_of(encrypted), contexts=[sop.Verification])

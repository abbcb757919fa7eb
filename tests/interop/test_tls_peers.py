"""TLS with Orthanc, pynetdicom and dcmjs, in both directions, with certificates of both sides."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from dicomio import Application, Client, ConnectFailed, ConnectionLost, Identity, connect, serve, tls
from dicomio.sop import Verification
from tests.association.peers import until
from tests.interop.agreeing import dcmjs_scp, dcmjs_scu, pynetdicom_scp, pynetdicom_scu
from tests.interop.certificates import Authority, Certificate
from tests.interop.orthanc import Orthanc, orthanc
from tests.interop.ours import HOST, address_of, archive, assert_same_bytes
from tests.interop.processes import require
from tests.interop.samples import Sample, by_instance

pytestmark = pytest.mark.interop

SENT = "large"


class Certificates:
    """Two who trust each other, and one whom nobody does."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory / "authority")
        self.ca = authority.path
        self.ours = authority.issue("ours")
        self.theirs = authority.issue("theirs")
        self.stranger = Authority(directory / "elsewhere").issue("stranger")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def server_context(own: Certificate, ca: Path) -> ssl.SSLContext:
    """A context that wants certificates, made off the event loop."""
    return await asyncio.to_thread(tls.server_context, own.certificate, own.key, ca=ca)


async def client_context(own: Certificate | None, ca: Path) -> ssl.SSLContext:
    """A context with a certificate, or without one."""
    files: dict[str, Any] = {} if own is None else {"certificate": own.certificate, "key": own.key}
    return await asyncio.to_thread(tls.client_context, ca=ca, **files)


# Orthanc


def orthanc_with_tls(
    workdir: Path, own: Certificate, certificates: Certificates, peer: int = 104
) -> AbstractContextManager[Orthanc]:
    """Orthanc speaks TLS with everybody, and to the modality `peer` on a port of this host."""
    require("orthanc")
    options = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(own.certificate),
        "DicomTlsPrivateKey": str(own.key),
        "DicomTlsTrustedCertificates": str(certificates.ca),
        "DicomModalities": {"peer": {"AET": "ARCHIVE", "Host": HOST, "Port": peer, "UseDicomTls": True}},
    }
    workdir.mkdir()
    return orthanc(workdir, "ORTHANC", {}, options=options)


async def test_we_send_to_orthanc(certificates: Certificates, samples: Mapping[str, Sample], tmp_path: Path) -> None:
    sample = samples[SENT]
    with orthanc_with_tls(tmp_path / "orthanc", certificates.theirs, certificates) as server:
        address = f"ORTHANC@{HOST}:{server.port}"
        async with Client(address, ssl=await client_context(certificates.ours, certificates.ca)) as client:
            assert await client.store_many([sample.path]) == []
        received = by_instance(await asyncio.to_thread(server.download, tmp_path))
        with pytest.raises(ConnectFailed, match="wants a certificate of ours"):
            await connect(address, contexts=[Verification], ssl=await client_context(None, certificates.ca))
        strange = await client_context(certificates.stranger, certificates.ca)
        with pytest.raises(ConnectFailed, match="the peer does not know who issued our certificate"):
            await connect(address, contexts=[Verification], ssl=strange)
    assert_same_bytes([sample], received, {sample.sop_instance_uid: sample.path})


def stored_by(server: Orthanc, sample: Sample) -> int:
    """How many objects Orthanc could not store elsewhere."""
    body = {"Resources": [server.upload(sample.path)], "Synchronous": True, "Permissive": True}
    failed: int = server.post("/modalities/peer/store", json.dumps(body).encode())["FailedInstancesCount"]
    return failed


async def test_orthanc_sends_to_us(certificates: Certificates, samples: Mapping[str, Sample], tmp_path: Path) -> None:
    sample = samples[SENT]
    app = archive(tmp_path / "inbox")
    holders = []
    app.on_associate(lambda proposal: holders.append(str(proposal.association.certificate)))
    context = await server_context(certificates.ours, certificates.ca)
    async with serve(app, HOST, 0, ssl=context) as ours:
        with orthanc_with_tls(tmp_path / "orthanc", certificates.theirs, certificates, ours.port) as server:
            assert await asyncio.to_thread(stored_by, server, sample) == 0
    received = by_instance((tmp_path / "inbox").iterdir())
    assert_same_bytes([sample], received, {sample.sop_instance_uid: sample.path})
    assert ["theirs" in each for each in holders] == [True]


# pynetdicom


def context_of(own: Certificate, ca: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    """A context as it is made without dicomio."""
    context = ssl.create_default_context(purpose, cafile=str(ca))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own.certificate, own.key)
    return context


async def test_pynetdicom_asks_us(certificates: Certificates) -> None:
    identities: list[Any] = []
    app = Application("ARCHIVE")
    app.on_associate(lambda proposal: identities.append(proposal.association.certificate))
    async with serve(app, HOST, 0, ssl=await server_context(certificates.ours, certificates.ca)) as server:
        context = context_of(certificates.theirs, certificates.ca, ssl.Purpose.SERVER_AUTH)
        status = await pynetdicom_scu(
            server.port,
            Verification,
            tls_args=(context, "localhost"),
            use=lambda association: association.send_c_echo().Status,
        )
    assert status == 0
    assert ["theirs" in str(identity) for identity in identities] == [True]


async def test_we_ask_pynetdicom(certificates: Certificates) -> None:
    context = context_of(certificates.theirs, certificates.ca, ssl.Purpose.CLIENT_AUTH)
    ours = await client_context(certificates.ours, certificates.ca)
    async with (
        pynetdicom_scp(Verification, ssl_context=context) as address,
        connect(address, contexts=[Verification], ssl=ours) as association,
    ):
        assert "theirs" in str(association.certificate)
        assert await association.echo() > 0


# dcmjs


def tls_of(own: Certificate, ca: Path) -> Mapping[str, Any]:
    """Options of dcmjs."""
    files = {"key": str(own.key), "cert": str(own.certificate), "ca": str(ca)}
    return {**files, "requestCert": True, "rejectUnauthorized": True}


async def test_dcmjs_asks_us(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    context = await server_context(certificates.ours, certificates.ca)
    async with serve(Application("ARCHIVE"), HOST, 0, ssl=context) as server:
        good = {**tls_of(certificates.theirs, certificates.ca), "rejectUnauthorized": False}
        trusted = await asyncio.to_thread(dcmjs_scu, server.port, tls=good)
        bad = {**tls_of(certificates.stranger, certificates.ca), "rejectUnauthorized": False}
        strange = await asyncio.to_thread(dcmjs_scu, server.port, tls=bad)
        await until(lambda: "the certificate of the peer is not accepted" in caplog.text)
    assert trusted.code == 0, trusted.output
    assert strange.code != 0
    assert "alert unknown ca" in strange.facts["failed"]


async def test_we_ask_dcmjs(certificates: Certificates, tmp_path: Path) -> None:
    options = tls_of(certificates.theirs, certificates.ca)
    with dcmjs_scp(tmp_path / "dcmjs", tls=options, known="ali") as scp:
        context = await client_context(certificates.ours, certificates.ca)
        identity = Identity.username("ali")
        async with connect(address_of(scp), contexts=[Verification], ssl=context, identity=identity) as association:
            assert "theirs" in str(association.certificate)
            assert await association.echo() > 0
        strange = await client_context(certificates.stranger, certificates.ca)
        # It hangs up without an alert.
        with pytest.raises(ConnectionLost, match="it may want another certificate of ours"):
            await connect(address_of(scp), contexts=[Verification], ssl=strange, identity=identity)

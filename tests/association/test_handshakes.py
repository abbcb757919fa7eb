"""TLS handshakes that fail: what is wrong is named on both sides, and nobody else is delayed."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop

from dicomio import (
    Application,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    Limits,
    Timeout,
    connect,
    gate,
    serve,
    sop,
    tls,
)
from dicomio.handshakes import TellingObject, handshaking, tell_peer, tls_reason
from tests.association.peers import until
from tests.interop.certificates import Authority, Certificate

VERIFICATION = [sop.Verification]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Certificates:
    """Good ones and bad ones."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "authority")
        self.ca = self.authority.path
        self.good = self.authority.issue("good")
        revoked = self.authority.issue("revoked")
        self.revocations = self.authority.revoke(revoked)
        self.bad: dict[str, Certificate] = {
            "expired": self.authority.issue("expired", expired=True),
            "self-signed": self.authority.self_signed("self-signed"),
            "unknown": Authority(directory / "stranger").issue("unknown"),
            "revoked": revoked,
        }

    async def server(self, own: Certificate, *, mutual: bool = False) -> ssl.SSLContext:
        ca, crl = (self.ca, [self.revocations]) if mutual else (None, [])
        return await asyncio.to_thread(tls.server_context, own.certificate, own.key, ca=ca, crl=crl)

    async def client(self, own: Certificate | None, version: ssl.TLSVersion) -> ssl.SSLContext:
        files = (None, None) if own is None else (own.certificate, own.key)
        context = await asyncio.to_thread(
            tls.client_context, ca=self.ca, certificate=files[0], key=files[1], crl=self.revocations
        )
        context.maximum_version = version
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, **options: object) -> AsyncIterator[str]:
    """A server, and its address."""
    async with serve(Application("APP"), "127.0.0.1", 0, ssl=context, **options) as server:  # type: ignore[arg-type]
        yield f"APP@127.0.0.1:{server.port}"


async def echo(address: str, context: ssl.SSLContext | None) -> None:
    async with connect(address, contexts=VERIFICATION, ssl=context) as association:
        assert await association.echo() > 0


# certificates gone bad


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "fault, ours, theirs",
    [
        ("expired", "certificate has expired", "the peer says that our certificate has expired"),
        ("self-signed", "self.signed certificate", "the peer does not know who issued our certificate"),
        ("unknown", "unable to get local issuer certificate", "the peer does not know who issued our certificate"),
        ("revoked", "certificate revoked", "the peer says that our certificate has been revoked"),
    ],
)
async def test_a_bad_certificate_of_either_side_is_named_on_both(
    fault: str,
    ours: str,
    theirs: str,
    version: ssl.TLSVersion,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = certificates.bad[fault], certificates.good
    server, client = await certificates.server(bad), await certificates.client(None, version)
    async with serving(server) as address:
        with pytest.raises(ConnectFailed, match=f"TLS failed: the certificate of the peer is not accepted: {ours}"):
            await echo(address, client)
        await until(lambda: theirs in caplog.text)
    assert len(caplog.records) == 1
    caplog.clear()

    server, client = await certificates.server(good, mutual=True), await certificates.client(bad, version)
    async with serving(server) as address:
        with pytest.raises(ConnectFailed, match=f"TLS failed: {theirs}"):
            await echo(address, client)
        await until(lambda: "connection not accepted: the certificate of the peer is not accepted" in caplog.text)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "version, words",
    [
        (ssl.TLSVersion.TLSv1_2, "or wants a certificate of ours"),
        (ssl.TLSVersion.TLSv1_3, "the peer wants a certificate of ours"),
    ],
)
async def test_a_certificate_that_is_missing_is_named_on_both_sides(
    version: ssl.TLSVersion, words: str, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(await certificates.server(certificates.good, mutual=True)) as address:
        with pytest.raises(ConnectFailed, match=words):
            await echo(address, await certificates.client(None, version))
        await until(lambda: "the peer shows no certificate" in caplog.text)
        await echo(address, await certificates.client(certificates.good, version))


async def test_nothing_in_common_is_named_on_both_sides(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    good = certificates.good
    strict = tls.server_context(good.certificate, good.key, profile=tls.Profile.EXTENDED)
    client = tls.client_context(verify=False, profile=tls.Profile.BCP_195)
    client.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(strict) as address:
        with pytest.raises(ConnectFailed, match="the peer finds nothing acceptable in what we offer"):
            await echo(address, client)
        await until(lambda: "the peer offers no cipher suite that is admitted here" in caplog.text)


async def test_plain_dicom_on_a_tls_port_is_named_on_both_sides(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(await certificates.server(certificates.good)) as address:
        with pytest.raises(ConnectionLost, match="it may want TLS on this port"):
            await echo(address, None)
        await until(lambda: "the peer does not speak TLS on this port" in caplog.text)


async def test_a_server_that_goes_away_during_the_handshake() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match="it may not speak TLS on this port"):
            await echo(f"X@127.0.0.1:{port}", tls.client_context(verify=False))


async def test_the_deadline_of_a_handshake_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio has one of its own where it is not told."""
    monkeypatch.setattr("asyncio.constants.SSL_HANDSHAKE_TIMEOUT", 0.02)
    silent: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(lambda _, writer: silent.append(writer), "127.0.0.1", 0) as server:
        address = f"APP@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ConnectTimeout, match=r"no connection within 0\.1 s"):
            await connect(address, contexts=VERIFICATION, ssl=tls.client_context(verify=False), timeout=0.1)
        for writer in silent:
            writer.close()


def silent_after_handshake(port: int, context: ssl.SSLContext) -> socket.socket:
    """A connection whose other end thinks that TLS is spoken on it."""
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    silent = socket.socket(fileno=connection.detach())
    silent.setblocking(False)
    return silent


async def test_who_is_silent_after_the_handshake_is_dropped(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not answer the end of TLS either, for which asyncio would wait half a minute."""
    monkeypatch.setattr(gate, "FAREWELL", 0.05)
    loop, timeout = asyncio.get_running_loop(), Timeout(5, artim=0.1)
    server = await certificates.server(certificates.good)
    async with serve(Application("APP"), "127.0.0.1", 0, ssl=server, timeout=timeout) as served:
        context = await certificates.client(None, ssl.TLSVersion.TLSv1_3)
        with await asyncio.to_thread(silent_after_handshake, served.port, context) as silent:
            async with asyncio.timeout(2):
                with suppress(ConnectionResetError):
                    while await loop.sock_recv(silent, 4096):
                        pass
            await until(lambda: not served.connections)


async def test_on_uvloop_the_peer_is_told_too(certificates: Certificates) -> None:
    async def meet() -> None:
        server = await certificates.server(certificates.good, mutual=True)
        client = await certificates.client(certificates.bad["expired"], ssl.TLSVersion.TLSv1_3)
        async with serving(server) as address:
            with pytest.raises(ConnectFailed, match="the peer says that our certificate has expired"):
                await echo(address, client)

    await asyncio.to_thread(uvloop.run, meet())


# the mechanism


def test_an_ssl_object_of_the_user_is_left_alone() -> None:
    class Own(ssl.SSLObject):
        pass

    context, other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = Own
    tell_peer(context)
    tell_peer(other)
    assert (context.sslobject_class, other.sslobject_class) == (Own, TellingObject)


def test_a_handshake_made_by_others_fails_as_ever() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tell_peer(context)
    incoming = ssl.MemoryBIO()
    incoming.write(b"this is no TLS")
    with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="localhost").do_handshake()


async def test_a_cancellation_is_not_taken_for_a_deadline() -> None:
    async def wait() -> None:
        async with handshaking(60.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "reason, words",
    [
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "the peer says that our certificate has expired"),
        ("TLSV1_ALERT_UNKNOWN_CA", "the peer does not know who issued our certificate"),
        ("NO_SHARED_CIPHER", "the peer offers no cipher suite that is admitted here"),
        ("TLSV1_ALERT_NO_RENEGOTIATION", "tlsv1 alert no renegotiation"),
        ("BAD_EXTENSION", "bad extension"),
    ],
)
def test_reasons_in_words(reason: str, words: str) -> None:
    error = ssl.SSLError(1, "what OpenSSL says")
    error.reason = reason
    assert tls_reason(error) == words


# floods


THOUSAND = 1000


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for both ends of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * THOUSAND
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def begun(port: int, host: str = "127.0.0.1") -> asyncio.StreamWriter:
    """A handshake that has begun and goes no further."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    writer.write(b"\x16\x03\x01\x02\x00")
    return writer


@pytest.mark.usefixtures("many_descriptors")
async def test_a_thousand_stalled_handshakes_delay_nobody(certificates: Certificates) -> None:
    loop = asyncio.get_running_loop()
    context = await certificates.server(certificates.good)
    client = await certificates.client(None, ssl.TLSVersion.TLSv1_3)
    async with (
        serving(context) as address,
        connect(address, contexts=VERIFICATION, ssl=client) as before,
    ):
        port = int(address.rpartition(":")[2])
        stalled = [await begun(port) for _ in range(THOUSAND)]
        started = loop.time()
        await before.echo()
        await echo(address, client)
        # Far from the 30 seconds that a handshake may take.
        assert loop.time() - started < 5.0
        for writer in stalled:
            writer.close()


async def test_stalled_handshakes_of_one_host_cost_no_other_its_place(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    context = await certificates.server(certificates.good)
    async with serving(context, limits=Limits(half_open=5)) as address:
        port = int(address.rpartition(":")[2])
        other = await begun(port, "127.0.0.2")
        stalled = [await begun(port) for _ in range(20)]
        await until(lambda: caplog.text.count("too many without an association") == 16)
        assert "127.0.0.2" not in caplog.text
        for writer in (other, *stalled):
            writer.close()

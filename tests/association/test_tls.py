"""TLS on both sides, and what stands before an association: handshakes, balancers, sockets of all kinds."""

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from dicomio import (
    Application,
    ConnectFailed,
    ConnectionLost,
    DicomError,
    Limits,
    Proposal,
    connect,
    load_peers,
    serve,
    sop,
    tls,
)
from dicomio.server import inherited_socket
from tests.association.peers import until

VERIFICATION = [sop.Verification]


class Authority:
    """A CA with its files, and certificates from it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = trustme.CA()
        self.path = directory / "ca.pem"
        self.ca.cert_pem.write_to_path(self.path)

    def certify(self, name: str) -> Path:
        """A PEM file with a key and a certificate."""
        path = self.directory / f"{name}.pem"
        self.ca.issue_cert(name, common_name=name).private_key_and_cert_chain_pem.write_to_path(path)
        return path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def server_context(*args: Any, **options: Any) -> ssl.SSLContext:
    """`tls.server_context`, which reads files, off the event loop."""
    return await asyncio.to_thread(tls.server_context, *args, **options)


async def client_context(**options: Any) -> ssl.SSLContext:
    """`tls.client_context`, likewise."""
    return await asyncio.to_thread(tls.client_context, **options)


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, **options: object) -> AsyncIterator[tuple[str, Application]]:
    """A server, and its address."""
    app = Application("APP")
    async with serve(app, "127.0.0.1", 0, ssl=context, **options) as server:  # type: ignore[arg-type]
        yield f"APP@127.0.0.1:{server.port}", app


async def echo(address: str, context: ssl.SSLContext | None) -> None:
    async with connect(address, contexts=VERIFICATION, ssl=context) as association:
        assert await association.echo() > 0


@pytest.mark.parametrize("profile", tls.Profile)
async def test_every_profile_connects_to_itself(authority: Authority, profile: tls.Profile) -> None:
    server = await server_context(authority.certify("localhost"), profile=profile)
    async with serving(server) as (address, _):
        await echo(address, await client_context(ca=authority.path, profile=profile))


async def test_nothing_older_than_tls_1_2_is_spoken(authority: Authority) -> None:
    for context in (await client_context(ca=authority.path), await server_context(authority.certify("x"))):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("profile", [tls.Profile.EXTENDED, tls.Profile.RFC_9325])
def test_the_stricter_profiles_admit_authenticated_encryption_alone(profile: tls.Profile) -> None:
    names = [cipher["name"] for cipher in tls.client_context(verify=False, profile=profile).get_ciphers()]
    assert all("GCM" in name or "POLY1305" in name for name in names)


async def test_both_sides_show_certificates(authority: Authority) -> None:
    context = await server_context(authority.certify("localhost"), ca=authority.path)
    seen = []
    async with serving(context) as (address, app):

        @app.on_associate
        def look(proposal: Proposal) -> None:
            seen.append(proposal.association.certificate)

        client = await client_context(ca=authority.path, certificate=authority.certify("modality"))
        async with connect(address, contexts=VERIFICATION, ssl=client) as association:
            assert "localhost" in str(association.certificate)
    assert "modality" in str(seen[0])


async def test_without_tls_there_is_no_certificate() -> None:
    async with serving(None) as (address, _), connect(address, contexts=VERIFICATION) as association:
        assert association.certificate is None


async def test_a_peer_without_a_certificate_is_refused_where_one_is_required(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    context = await server_context(authority.certify("localhost"), ca=authority.path)
    async with serving(context) as (address, _):
        with pytest.raises(DicomError, match=r"127\.0\.0\.1"):
            await echo(address, await client_context(ca=authority.path))
        await until(lambda: "the peer shows no certificate" in caplog.text)
    await echo_optional(authority)


async def echo_optional(authority: Authority) -> None:
    context = await server_context(authority.certify("localhost"), ca=authority.path, required=False)
    async with serving(context) as (address, _):
        await echo(address, await client_context(ca=authority.path))


async def test_a_server_of_an_unknown_ca_is_refused_in_words(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    async with serving(await server_context(stranger.certify("localhost"))) as (address, _):
        with pytest.raises(
            ConnectFailed,
            match=r"not accepted: (unable to get local issuer|self.signed) certificate",
        ):
            await echo(address, await client_context(ca=authority.path))
        await echo(address, await client_context(verify=False))


async def test_host_names_are_compared_where_that_is_asked_for(authority: Authority) -> None:
    async with serving(await server_context(authority.certify("elsewhere"))) as (address, _):
        await echo(address, await client_context(ca=authority.path))
        with pytest.raises(ConnectFailed, match=r"not valid for '127\.0\.0\.1'"):
            await echo(address, await client_context(ca=authority.path, check_hostname=True))


async def test_a_directory_of_cas_is_trusted_as_a_whole(authority: Authority, tmp_path: Path) -> None:
    directory = tmp_path / "cas"
    directory.mkdir()
    shutil.copy(authority.path, directory)
    async with serving(await server_context(authority.certify("localhost"))) as (address, _):
        await echo(address, await client_context(ca=directory))


@pytest.mark.parametrize("password", ["secret", b"secret", lambda: "secret"])
def test_a_key_may_have_a_password(authority: Authority, password: object) -> None:
    path = encrypted(authority.certify("localhost"))
    tls.server_context(path, password=password)  # type: ignore[arg-type]
    with pytest.raises(ssl.SSLError):
        tls.server_context(path, password="wrong")


def test_nobody_is_asked_for_a_password(authority: Authority, tmp_path: Path) -> None:
    path = encrypted(authority.certify("localhost"))
    file = tmp_path / "peers.toml"
    file.write_text(f'[a]\naddress = "A@h"\ntls = {{ certificate = "{path}", verify = false }}\n')
    uses: list[Callable[[], object]] = [
        lambda: tls.server_context(path),
        lambda: tls.client_context(certificate=path),
        lambda: load_peers(file),
    ]
    for use in uses:
        with pytest.raises(ssl.SSLError, match=f"{path}: the key has a password: give password="):
            use()


def encrypted(path: Path) -> Path:
    """The same file with an encrypted key."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    text = path.read_bytes()
    key = load_pem_private_key(text, None)
    form = PrivateFormat.TraditionalOpenSSL
    locked = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
    certificates = text[text.index(b"-----BEGIN CERTIFICATE") :]
    path.write_bytes(locked + certificates)
    return path


@pytest.mark.parametrize("name", ["missing.pem", "nonsense.pem"])
def test_a_file_that_cannot_be_used_is_named(authority: Authority, tmp_path: Path, name: str) -> None:
    (tmp_path / "nonsense.pem").write_text("this is no certificate")
    own = authority.certify("localhost")
    uses: list[Callable[[], object]] = [
        lambda: tls.server_context(tmp_path / name),
        lambda: tls.server_context(own, tmp_path / name),
        lambda: tls.server_context(own, ca=tmp_path / name),
        lambda: tls.client_context(crl=tmp_path / name),
        lambda: tls.client_context(verify=False, certificate=tmp_path / name),
    ]
    for use in uses:
        with pytest.raises(OSError, match=name):
            use()


async def test_plain_dicom_on_a_tls_port_is_named_by_the_server(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(await server_context(authority.certify("localhost"))) as (address, _):
        with pytest.raises((ConnectFailed, ConnectionLost)):
            await echo(address, None)
        await until(lambda: "the peer does not speak TLS on this port" in caplog.text)


async def test_tls_on_a_plain_port_is_named_on_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(None) as (address, _):
        with pytest.raises(ConnectFailed, match="the peer does not speak TLS on this port"):
            await echo(address, await client_context(verify=False))
        await until(lambda: "peer sent a TLS handshake on a port without TLS" in caplog.text)


async def test_stalled_handshakes_delay_nobody_and_the_oldest_go(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    context = await server_context(authority.certify("localhost"))
    async with serving(context, limits=Limits(half_open=20)) as (address, _):
        port = int(address.rpartition(":")[2])
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        await echo(address, await client_context(ca=authority.path))
        assert caplog.text.count("too many without an association") >= 20
        for _, writer in silent:
            writer.close()


async def test_a_stalled_handshake_ends_at_the_deadline(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    context = await server_context(authority.certify("localhost"))
    async with serving(context, timeout=0.05) as (address, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        assert await reader.read() == b""
        writer.close()
    assert "no TLS handshake" in caplog.text


async def test_certificates_change_while_serving(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "server.pem"
    shutil.copy(authority.certify("before"), file)
    contexts = await asyncio.to_thread(tls.Reloading, lambda: tls.server_context(file), [file])
    client = await client_context(ca=authority.path)
    async with serving(contexts) as (address, _), connect(address, contexts=VERIFICATION, ssl=client) as old:  # type: ignore[arg-type]
        assert "before" in str(old.certificate)
        shutil.copy(authority.certify("afterwards"), file)
        async with connect(address, contexts=VERIFICATION, ssl=client) as new:
            assert "afterwards" in str(new.certificate)
        file.write_text("this is no certificate")
        async with connect(address, contexts=VERIFICATION, ssl=client) as still:
            assert "afterwards" in str(still.certificate)
        assert contexts.error is not None
        assert f"cannot be used: {file}: " in caplog.text
        assert await old.echo() > 0


# balancers


@asynccontextmanager
async def balancer(address: str, header: bytes) -> AsyncIterator[str]:
    """Passes connections on, behind a header."""
    port = int(address.rpartition(":")[2])
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        behind_writer.write(header)
        for task in (pump(reader, behind_writer), pump(behind_reader, writer)):
            tasks.add(asyncio.ensure_future(task))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with server:
        yield f"APP@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("encrypted_too", [False, True])
async def test_a_trusted_balancer_says_where_a_connection_comes_from(authority: Authority, encrypted_too: bool) -> None:
    context = await server_context(authority.certify("localhost")) if encrypted_too else None
    client = await client_context(ca=authority.path) if encrypted_too else None
    seen = []
    async with serving(context, proxies=["127.0.0.0/8"]) as (address, app):

        @app.on_associate
        def look(proposal: Proposal) -> None:
            seen.append((proposal.peer.host, proposal.peer.port))

        async with balancer(address, b"PROXY TCP4 192.0.2.7 192.0.2.2 56324 104\r\n") as through:
            await echo(through, client)
    assert seen == [("192.0.2.7", 56324)]


async def test_a_balancer_that_sends_no_header_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(None, proxies=["127.0.0.1"]) as (address, _):
        with pytest.raises(DicomError):
            await echo(address, None)
    assert "no PROXY protocol header" in caplog.text


async def test_a_balancer_may_connect_to_a_unix_socket(tmp_path: Path) -> None:
    app, seen = Application("APP"), []
    app.on_connect(lambda association: seen.append(association.peer.host))
    async with serve(app, path=tmp_path / "dicom.sock", proxies=["127.0.0.1"]):
        _, writer = await asyncio.open_unix_connection(tmp_path / "dicom.sock")
        writer.write(b"PROXY TCP4 192.0.2.7 192.0.2.2 56324 104\r\n")
        await until(lambda: bool(seen))
        writer.close()
    assert seen == ["192.0.2.7"]


async def test_a_balancer_is_known_on_a_socket_for_both_kinds_of_address() -> None:
    """There its address of IPv4 is written as one of IPv6."""
    app, seen = Application("APP"), []
    app.on_connect(lambda association: seen.append(association.peer.host))
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0))
    async with serve(app, sock=sock, proxies=["127.0.0.0/8"]) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PROXY TCP4 192.0.2.7 192.0.2.2 56324 104\r\n")
        await until(lambda: bool(seen))
        writer.close()
    assert seen == ["192.0.2.7"]


async def test_a_balancer_whose_network_is_none_is_refused_before_anything_listens() -> None:
    server = serve(Application("APP"), "127.0.0.1", 0, proxies=["nonsense"])
    with pytest.raises(ValueError, match="nonsense"):
        await server
    assert not server.addresses


async def test_a_function_without_a_context_costs_its_connection_alone(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    contexts = [await server_context(authority.certify("localhost"))]
    async with serve(Application("APP"), "127.0.0.1", 0, ssl=contexts.pop) as server:
        address = f"APP@127.0.0.1:{server.port}"
        client = await client_context(ca=authority.path)
        async with connect(address, contexts=VERIFICATION, ssl=client) as association:
            with pytest.raises(ConnectFailed, match="closed the connection"):
                await connect(address, contexts=VERIFICATION, ssl=client)
            assert await association.echo() > 0
    assert "pop from empty list" in caplog.text


async def test_whoever_is_no_balancer_is_not_believed() -> None:
    async with serving(None, proxies=["192.0.2.0/24"]) as (address, _):
        await echo(address, None)


# sockets


async def test_serving_on_a_socket_that_is_open_already() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    async with serve(Application("APP"), sock=sock) as server:
        await echo(f"APP@127.0.0.1:{server.port}", None)


async def test_serving_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "dicom.sock"
    async with serve(Application("APP"), path=path) as server:
        assert server.is_serving
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        assert (await reader.read(10))[:1] == b"\x07"
        writer.close()


async def test_serving_on_ipv6() -> None:
    async with serve(Application("APP"), "::1", 0) as server:
        await echo(f"APP@[::1]:{server.port}", None)


def test_a_socket_of_systemd_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert inherited_socket() is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setattr("dicomio.server.FIRST_INHERITED", os.dup(listener.fileno()))
        with inherited_socket() or socket.socket() as taken:
            assert taken.getsockname() == listener.getsockname()

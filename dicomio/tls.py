"""TLS for DICOM in one call: the secure transport connection profiles of PS3.15 Annex B as `ssl` contexts.

```python
server = tls.server_context("server.crt", "server.key", ca="clients.pem")
client = tls.client_context(ca="archive.pem", certificate="me.crt", key="me.key")
```
"""

import logging
import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeAlias

__all__ = ["Profile", "Reloading", "checked_context", "client_context", "server_context"]

logger = logging.getLogger("dicomio.server")

StrPath: TypeAlias = str | PathLike[str]
Password: TypeAlias = str | bytes | Callable[[], str | bytes] | None

FORWARD_SECRET_GCM: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES128-GCM-SHA256",
)
FORWARD_SECRET_CBC: Final = (
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "DHE-RSA-AES256-SHA256",
    "DHE-RSA-AES128-SHA256",
)
RSA_KEY_EXCHANGE: Final = ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA256", "AES128-SHA256", "AES128-SHA")


class Profile(Enum):
    """A secure transport connection profile (PS3.15 Annex B); all of them end at TLS 1.2, as RFC 8996 demands."""

    BCP_195 = "BCP 195"
    """PS3.15 B.9: whatever BCP 195 admits, peers without forward secrecy included."""
    NON_DOWNGRADING = "non-downgrading BCP 195"
    """PS3.15 B.10: forward secrecy only."""
    EXTENDED = "extended BCP 195"
    """PS3.15 B.11: forward secrecy and authenticated encryption only."""
    RFC_9325 = "BCP 195 RFC 8996, 9325"
    """PS3.15 B.12: what the first two have been replaced by."""


CIPHERS: Final = {
    Profile.BCP_195: (*FORWARD_SECRET_GCM, *FORWARD_SECRET_CBC, *RSA_KEY_EXCHANGE),
    Profile.NON_DOWNGRADING: (*FORWARD_SECRET_GCM, *FORWARD_SECRET_CBC),
    Profile.EXTENDED: FORWARD_SECRET_GCM,
    Profile.RFC_9325: FORWARD_SECRET_GCM[:4],
}


def client_context(
    *,
    ca: StrPath | Iterable[StrPath] | None = None,
    certificate: StrPath | None = None,
    key: StrPath | None = None,
    password: Password = None,
    crl: StrPath | Iterable[StrPath] = (),
    verify: bool = True,
    check_hostname: bool = False,
    profile: Profile = Profile.NON_DOWNGRADING,
) -> ssl.SSLContext:
    """A context for associations that we open.

    Host names are not compared with certificates unless asked for: devices are addressed by IP addresses, and their
    certificates name devices. What counts is that a trusted CA has issued them.

    Args:
        ca: files or directories of PEM certificates of CAs that are trusted; those of the system by default.
        certificate: PEM file of our own certificate, for peers that want one, with its chain.
        key: PEM file of its private key; in the same file as the certificate by default.
        password: of the key, or a function that gives it.
        crl: PEM files of certificate revocation lists; where there are some, every certificate has to be covered.
        verify: refuse peers whose certificate is not trusted.
        check_hostname: compare the host name too.
        profile: what may be negotiated.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: it is not what it should be, or the password is wrong or missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    restrict(context, profile)
    context.check_hostname = verify and check_hostname
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if certificate is not None:
        certify(context, certificate, key, password)
    if ca is not None:
        trust(context, ca)
    elif verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    revoke(context, crl)
    return context


def server_context(
    certificate: StrPath,
    key: StrPath | None = None,
    *,
    password: Password = None,
    ca: StrPath | Iterable[StrPath] | None = None,
    crl: StrPath | Iterable[StrPath] = (),
    required: bool = True,
    profile: Profile = Profile.NON_DOWNGRADING,
) -> ssl.SSLContext:
    """A context for associations that others open.

    Args:
        certificate: PEM file of our certificate, with its chain.
        key: PEM file of its private key; in the same file as the certificate by default.
        password: of the key, or a function that gives it.
        ca: files or directories of PEM certificates of CAs that peers have to be certified by; nobody is asked for a
            certificate by default.
        crl: PEM files of certificate revocation lists.
        required: refuse peers without a certificate, where `ca` is given.
        profile: what may be negotiated.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: it is not what it should be, or the password is wrong or missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    restrict(context, profile)
    certify(context, certificate, key, password)
    if ca is not None:
        trust(context, ca)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    revoke(context, crl)
    return context


class Reloading:
    """Contexts that follow the files they are made from: `serve(app, ssl=Reloading(make, files))`.

    Each handshake asks for a context. Where a file has changed since it was read, a new one is made; associations that
    stand keep theirs. A file that cannot be used leaves things as they were until it can; the log says so
    (`dicomio.server`).

    Args:
        make: makes a context, as `lambda: server_context(…)` does.
        files: the files it reads.

    Attributes:
        error: why the latest change of a file is not in effect, `None` where it is.
    """

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Sequence[StrPath]) -> None:
        self.make = make
        self.files = files
        self.stamp = self.look()
        self.context = make()
        self.error: OSError | None = None

    def look(self) -> tuple[tuple[int, int] | None, ...]:
        """Sizes and times of change of the files."""
        stamps: list[tuple[int, int] | None] = []
        for file in self.files:
            try:
                status = os.stat(file)
                stamps.append((status.st_size, status.st_mtime_ns))
            except OSError:
                stamps.append(None)
        return tuple(stamps)

    def __call__(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        stamp = self.look()
        if stamp != self.stamp:
            self.stamp = stamp
            try:
                self.context, self.error = self.make(), None
            except OSError as error:  # an ssl.SSLError is one too
                self.error = error
                logger.error("TLS goes on as before, since a file that has changed cannot be used: %s", error)
            else:
                logger.info("TLS goes on with files that have changed")
        return self.context


def checked_context(context: object, maker: Literal["client_context", "server_context"]) -> None:
    """Looks whether what is given as `ssl=` is a context; servers take functions that give one, too.

    Raises:
        TypeError: it is something else.
    """
    if context is None or isinstance(context, ssl.SSLContext) or (maker == "server_context" and callable(context)):
        return
    raise TypeError(f"ssl is {context!r}; a TLS context is expected, as dicomio.tls.{maker} makes one")


def restrict(context: ssl.SSLContext, profile: Profile) -> None:
    """Limits a context to what a profile admits."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(CIPHERS[profile]))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def certify(context: ssl.SSLContext, certificate: StrPath, key: StrPath | None, password: Password) -> None:
    """Adds our own certificate and its key."""
    with naming(certificate if key is None else f"{certificate}, {key}"):
        context.load_cert_chain(certificate, key, password if password is not None else refuse_to_ask)


def refuse_to_ask() -> NoReturn:
    """What gives the password where none was given; without it, OpenSSL would ask for one on the terminal.

    Raises:
        ssl.SSLError: the key has a password.
    """
    raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the key has a password: give password=")


def trust(context: ssl.SSLContext, ca: StrPath | Iterable[StrPath]) -> None:
    """Adds CAs; of a directory every file."""
    for place in several(ca):
        try:
            load(context, place)
        except OSError:
            path = Path(place)
            if not path.is_dir():
                raise
            for file in sorted(each for each in path.iterdir() if each.is_file()):
                load(context, file)


def revoke(context: ssl.SSLContext, crl: StrPath | Iterable[StrPath]) -> None:
    """Adds revocation lists, and has them looked at."""
    for file in several(crl):
        load(context, file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def load(context: ssl.SSLContext, file: StrPath) -> None:
    """Adds what is in a PEM file: certificates of CAs, or revocation lists."""
    with naming(file):
        context.load_verify_locations(file)


@contextmanager
def naming(file: StrPath) -> Iterator[None]:
    """Has an error say which file it is about, which `ssl` does not."""
    try:
        yield
    except ssl.SSLError as error:
        error.strerror = f"{file}: {error.strerror}"
        raise
    except OSError as error:
        error.filename = str(file)
        raise


def several(paths: StrPath | Iterable[StrPath]) -> Iterable[StrPath]:
    """One path, or several."""
    return [paths] if isinstance(paths, str | PathLike) else paths

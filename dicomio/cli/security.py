"""What the options about TLS and user identity come to."""

import ssl
from argparse import Namespace
from collections.abc import Callable
from functools import cache
from getpass import getpass
from pathlib import Path

from dicomio import Association, DicomError, Identity, tls
from dicomio.cli.errors import UsageError

__all__ = ["client_tls", "identity_of", "require_response", "server_tls"]


def client_tls(args: Namespace) -> ssl.SSLContext | None:
    """The context for associations that we open: of the TLS options, else of the profile; `None` for plain ones.

    Raises:
        UsageError: a file cannot be used.
    """
    if args.tls is None:
        return args.peer_profile.ssl if args.peer_profile is not None else None
    if args.tls is False:
        return None
    key, certificate = args.tls or (None, None)
    try:
        return tls.client_context(
            ca=authorities(args),
            crl=args.add_crl_file or (),
            certificate=certificate,
            key=key,
            password=password_of(args, key),
            verify=args.peer_certificate != "ignore",
            profile=args.tls_profile or tls.Profile.NON_DOWNGRADING,
        )
    except OSError as error:
        raise UsageError(f"TLS: {why(error)}") from error


def server_tls(args: Namespace) -> tls.Reloading | None:
    """The contexts for associations that others open, which follow the files; `None` without TLS options.

    Raises:
        UsageError: a file cannot be used.
    """
    if not args.tls:
        return None
    key, certificate = args.tls
    wanted = args.peer_certificate or "require"
    trusted = authorities(args) if wanted != "ignore" else None
    if wanted == "require" and trusted is None:
        raise UsageError("option +tls needs +cf or +cd to know whose certificates to accept, or -ic to ask for none")
    revoked, password = args.add_crl_file or (), password_of(args, key)

    def make() -> ssl.SSLContext:
        return tls.server_context(
            certificate,
            key,
            password=password,
            ca=trusted,
            crl=revoked,
            required=wanted == "require",
            profile=args.tls_profile or tls.Profile.NON_DOWNGRADING,
        )

    try:
        return tls.Reloading(make, [certificate, key, *(trusted or ()), *revoked])
    except OSError as error:
        raise UsageError(f"TLS: {why(error)}") from error


def authorities(args: Namespace) -> list[str] | None:
    """Files and directories of the CAs that are trusted; `None` for those of the system."""
    found = [*(args.add_cert_file or ()), *(args.add_cert_dir or ())]
    return found or None


def password_of(args: Namespace, key: str | None) -> str | Callable[[], str]:
    """The password of the private key, or what finds it where there is one; asked for at most once."""
    if args.null_passwd or args.use_passwd is not None:
        return "" if args.null_passwd else str(args.use_passwd)

    @cache
    def found() -> str:
        if not args.std_passwd:
            raise UsageError(f"TLS: the key {key} has a password: give +pw")
        try:
            return getpass(f"password of {key}: ")
        except EOFError:
            raise UsageError(f"TLS: nobody is there to give the password of {key}") from None

    return found


def why(error: OSError) -> str:
    """What is wrong with a file."""
    if isinstance(error, ssl.SSLError):
        files, _, _ = (error.strerror or "").partition(": [")
        return f"{files}: {error.reason or 'nothing that can be used, or the password is wrong'}"
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def identity_of(args: Namespace) -> Identity | None:
    """The user identity to propose; `None` where no option asks for one.

    Raises:
        UsageError: options contradict each other, or a file cannot be read.
    """
    given = [name for name in ("user", "kerberos", "saml", "jwt") if getattr(args, name) is not None]
    if len(given) > 1:
        raise UsageError("one of -usr, -kt, --saml and --jwt can be given")
    if not given:
        if args.password is not None or args.empty_password:
            raise UsageError("options -pwd and -epw need -usr")
        return None
    wanted = args.positive_response
    match given[0]:
        case "user":
            password = "" if args.empty_password else args.password
            return Identity.username(args.user, password, positive_response=wanted)
        case "kerberos":
            return Identity.kerberos(read(args.kerberos), positive_response=wanted)
        case "saml":
            return Identity.saml(read(args.saml), positive_response=wanted)
        case _:
            return Identity.jwt(read(args.jwt).strip(), positive_response=wanted)


def require_response(association: Association) -> None:
    """Looks whether a peer has answered the user identity, where an answer was wanted.

    Raises:
        DicomError: it has not.
    """
    identity, agreement = association.identity, association.agreement
    if identity is not None and identity.positive_response and agreement and agreement.identity_response is None:
        raise DicomError(f"{association.peer} did not answer the user identity")


def read(path: str) -> bytes:
    """A file with a ticket, an assertion or a token.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error

"""TLS contexts in words: which profile of PS3.15 Annex B they are, and whose certificates they want."""

import ssl as tls
from collections.abc import Iterator
from typing import Final

from dicomio.gate import Context
from dicomio.tls import CIPHERS, Profile, Reloading, restrict

__all__ = ["tls_items"]

VERIFIED: Final = {
    tls.CERT_NONE: "Peers are not asked for a certificate.",
    tls.CERT_OPTIONAL: "Peers may have a certificate; one that is not trusted is refused.",
    tls.CERT_REQUIRED: "Peers need a certificate that is trusted.",
}


def tls_items(ssl: Context | None) -> Iterator[str]:
    """What there is to say about TLS, in sentences."""
    context = ssl.context if isinstance(ssl, Reloading) else ssl
    if context is None:
        yield "Connections are not encrypted: no secure transport connection profile is used."
        return
    if not isinstance(context, tls.SSLContext):
        yield "Connections are secured by TLS. A function chooses its parameters for each of them; they are not known."
        return
    profile = profile_of(context)
    named = f"with the {profile.value} profile (PS3.15 Annex B)" if profile else "of no profile of PS3.15 Annex B"
    yield f"Connections are secured by TLS {named}."
    yield f"Protocol versions: {lowest(context.minimum_version)} or higher."
    yield f"Cipher suites: {', '.join(suites(context))}."
    yield VERIFIED[context.verify_mode]
    if context.verify_flags & (tls.VERIFY_CRL_CHECK_LEAF | tls.VERIFY_CRL_CHECK_CHAIN):
        yield "Revocation lists are looked at."
    if isinstance(ssl, Reloading):
        yield "Certificates and keys are read again when their files change."


def lowest(number: tls.TLSVersion) -> str:
    """The lowest version of TLS."""
    if number is tls.TLSVersion.MINIMUM_SUPPORTED:
        return "the lowest that the TLS library has"
    return number.name.replace("v", " ").replace("_", ".")


def suites(context: tls.SSLContext) -> list[str]:
    """The cipher suites of a context."""
    return [str(cipher["name"]) for cipher in context.get_ciphers()]


def profile_of(context: tls.SSLContext) -> Profile | None:
    """The profile that a context has been limited to, if it is one."""
    if context.minimum_version < tls.TLSVersion.TLSv1_2:
        return None
    own = set(suites(context))
    for profile in CIPHERS:
        example = tls.SSLContext(context.protocol)
        restrict(example, profile)
        if set(suites(example)) == own:
            return profile
    return None

"""A certification authority with certificates good and bad, as PEM files that every peer can read."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "Certificate"]

NAME = "localhost"
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate.

    Attributes:
        certificate: its file, with the chain.
        key: the file of its private key.
    """

    certificate: Path
    key: Path


class Authority:
    """A CA, and what it issues to `localhost`; who holds a certificate is told by its common name.

    Attributes:
        path: its own certificate.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self._ca = trustme.CA()
        self.path = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.path)

    def issue(self, holder: str, *, rsa: bool = False, expired: bool = False) -> Certificate:
        """Certify somebody; the key is one of ECDSA by default."""
        now = datetime.datetime.now(datetime.UTC)
        leaf = self._ca.issue_cert(
            NAME,
            common_name=holder,
            key_type=trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA,
            not_before=now - 2 * DAY,
            not_after=now - DAY if expired else now + DAY,
        )
        certificates = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return self._written(holder, certificates, leaf.private_key_pem.bytes())

    def self_signed(self, holder: str) -> Certificate:
        """Have somebody certify himself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, holder)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._written(holder, certificate.public_bytes(Encoding.PEM), private)

    def locked(self, certified: Certificate, password: str) -> Path:
        """Write the private key of somebody once more, encrypted."""
        key = load_pem_private_key(certified.key.read_bytes(), None)
        path = certified.key.with_suffix(".locked")
        encryption = BestAvailableEncryption(password.encode())
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return path

    def revoke(self, *revoked: Certificate) -> Path:
        """Write a revocation list with these certificates."""
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.load_pem_x509_certificate(self.path.read_bytes())
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
        builder = builder.last_update(now - DAY).next_update(now + DAY)
        for each in revoked:
            serial = x509.load_pem_x509_certificate(each.certificate.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        key = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        path = self._directory / "revoked.pem"
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path

    def _written(self, holder: str, certificate: bytes, key: bytes) -> Certificate:
        files = Certificate(self._directory / f"{holder}.crt", self._directory / f"{holder}.key")
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        return files

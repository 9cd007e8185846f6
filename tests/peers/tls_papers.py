"""Certificates as files, good and bad, for programs that are not ours."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mungos.tls import Credential
from mungos.x509 import certificates_from_pem

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

HOST = "localhost"
OTHER_HOST = "other.test"
PASSWORD = "mungos"
KINDS = ("p256", "p384", "ed25519", "rsa")
"""The kinds of keys that our engine signs with."""

SCHEMES = {
    "p256": "ecdsa_secp256r1_sha256",
    "p384": "ecdsa_secp384r1_sha384",
    "ed25519": "ed25519",
    "rsa": "rsa_pss_rsae_sha256",
}
"""The signature scheme that a key of each kind is used with."""

BAD = ("expired", "future", "misnamed", "stranger", "forged", "purpose", "too-long")
"""What is wrong with some certificates; see `Papers`."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issuer:
    """Who signs: a certificate and its key."""

    certificate: x509.Certificate
    key: Key


class Papers:
    """A folder with everything that both ends of a session may want to show or trust.

    For every credential NAME there are `NAME.pem` (chain, leaf first), `NAME.key` and `NAME.p12`. A server's
    are called by the kind of their key, a client's `client-KIND`, each issued by an intermediate; `other` is
    a server's for another name, issued by the root. The bad ones are called `server-FAULT` and
    `client-FAULT`:

    - expired, future: by two days;
    - misnamed: for another name (a client's name matters to nobody);
    - stranger: under an authority that nobody trusts;
    - forged: it names the trusted root and its key as its issuer, but was signed with another key;
    - purpose: a client's certificate shown by a server, and the other way round;
    - too-long: under an issuer below one whose path length is 0.

    Attributes:
        folder: where they are.
        root: the trusted certificate, PEM.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root = self._authority("Mungos Test Root")
        inner = self._authority("Mungos Test Intermediate", root, path_length=0)
        stranger = self._authority("Another Root")
        forged = Issuer(root.certificate, ec.generate_private_key(ec.SECP256R1()))
        sub = self._authority("Mungos Test Issuer Below", inner)
        self.root = root.certificate.public_bytes(Encoding.PEM)
        (folder / "root.pem").write_bytes(self.root)
        chain = [inner.certificate]
        for kind in KINDS:
            self._leaf(kind, inner, chain, key=_key(kind), server=True)
            self._leaf(f"client-{kind}", inner, chain, key=_key(kind), server=False)
        self._leaf("other", root, [], server=True, names=(OTHER_HOST,))
        now = datetime.now(UTC)
        for role, server in (("server", True), ("client", False)):
            self._leaf(f"{role}-expired", inner, chain, server=server, until=now - 2 * DAY)
            self._leaf(f"{role}-future", inner, chain, server=server, since=now + 2 * DAY)
            self._leaf(f"{role}-stranger", stranger, [], server=server)
            self._leaf(f"{role}-forged", forged, [], server=server)
            self._leaf(f"{role}-too-long", sub, [sub.certificate, inner.certificate], server=server)
            self._leaf(f"{role}-purpose", inner, chain, server=not server)
        self._leaf("server-misnamed", inner, chain, server=True, names=(OTHER_HOST,))

    def path(self, name: str) -> str:
        """Where a file is."""
        return str(self.folder / name)

    def credential(self, name: str) -> Credential:
        """A credential for our own end."""
        return Credential.from_files(self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def der(self, name: str) -> list[bytes]:
        """The certificates of a file, DER."""
        return certificates_from_pem((self.folder / name).read_bytes())

    def pin(self, name: str) -> str:
        """The hash of a certificate's public key, as browsers pin it: base64 of SHA-256 of its SPKI."""
        key = x509.load_der_x509_certificate(self.der(f"{name}.pem")[0]).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(sha256(spki).digest()).decode()

    def _authority(self, name: str, issuer: Issuer | None = None, path_length: int | None = None) -> Issuer:
        key = ec.generate_private_key(ec.SECP256R1())
        built = (
            _begun(name, issuer, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_usage(authority=True), critical=True)
        )
        signer = issuer.key if issuer is not None else key
        return Issuer(built.sign(signer, SHA256()), key)

    def _leaf(
        self,
        name: str,
        issuer: Issuer,
        above: Sequence[x509.Certificate],
        *,
        server: bool,
        key: Key | None = None,
        names: tuple[str, ...] = (HOST,),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        key = key or ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        built = (
            _begun(name, issuer, key, since, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False, rsa_key=isinstance(key, rsa.RSAPrivateKey)), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if server or name.startswith("server-"):
            general: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
            if HOST in names:
                general.append(x509.IPAddress(ip_address("127.0.0.1")))
            built = built.add_extension(x509.SubjectAlternativeName(general), critical=False)
        leaf = built.sign(issuer.key, SHA256())
        shown = b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, *above))
        (self.folder / f"{name}.pem").write_bytes(shown)
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (self.folder / f"{name}.p12").write_bytes(
            pkcs12.serialize_key_and_certificates(
                name.encode(), key, leaf, list(above) or None, BestAvailableEncryption(PASSWORD.encode())
            )
        )


def _key(kind: str) -> Key:
    match kind:
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case _:
            return ec.generate_private_key(ec.SECP256R1())


def _begun(
    name: str,
    issuer: Issuer | None,
    key: Key,
    since: datetime | None = None,
    until: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = own
    if issuer is not None:
        above = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since or now - 30 * DAY)
        .not_valid_after(until or now + 30 * DAY)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False)
    )


def _usage(*, authority: bool, rsa_key: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=rsa_key,  # NSS wants it, for TLS 1.3, too
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )

"""What the peer's own certificate says of itself is judged alike by every engine."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

from mungos import tls
from mungos.errors import ProtocolError
from tests.tls.pump import Ours, pump

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*, sign: bool, issue: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=True,
        key_cert_sign=issue,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


class Issuer:
    """A root, and leaves by it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("root", self.key, [x509.BasicConstraints(True, None)])
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(
        self, subject: str, key: ec.EllipticCurvePrivateKey, extensions: Sequence[x509.ExtensionType]
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            name("root"), name(subject), key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, *extensions: x509.ExtensionType) -> tls.Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        certificate = self._sign("leaf", key, [names, *extensions])
        return tls.Credential(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


ISSUER = Issuer()
CA = x509.BasicConstraints(True, None)
ODD = {
    "an issuer's": (CA,),
    "an issuer's, of no length": (x509.BasicConstraints(True, 0), usage(sign=True, issue=True)),
    "not to be signed with": (x509.BasicConstraints(False, None), usage(sign=False)),
}


def verdicts(
    client: tls.EngineFactory, server: tls.EngineFactory, credential: tls.Credential, roots: bytes
) -> tuple[Ours, Ours]:
    """A client that is shown the credential."""
    ends = (
        Ours(client.client(tls.ClientConfig(roots=roots), "localhost")),
        Ours(server.server(tls.ServerConfig((credential,)))),
    )
    pump(*ends)
    return ends


@pytest.mark.parametrize("odd", ODD)
def test_a_client_refuses_a_server_by_its_own_certificate(engine: tls.EngineFactory, odd: str) -> None:
    client, server = verdicts(engine, tls.select("openssl"), ISSUER.leaf(*ODD[odd]), ISSUER.pem)
    assert not client.established
    assert not server.established
    (failed,) = client.failures
    assert isinstance(failed.error, ProtocolError)


@pytest.mark.parametrize("odd", ODD)
def test_a_server_refuses_a_client_by_its_own_certificate(engine: tls.EngineFactory, odd: str) -> None:
    config = tls.ServerConfig((ISSUER.leaf(),), client_roots=ISSUER.pem, client_auth="required")
    shown = tls.ClientConfig(roots=ISSUER.pem, credential=ISSUER.leaf(*ODD[odd]))
    client = Ours(tls.select("openssl").client(shown, "localhost"))
    server = Ours(engine.server(config))
    pump(client, server)
    assert not server.established
    (failed,) = server.failures
    assert isinstance(failed.error, ProtocolError)


def test_a_certificate_for_clients_is_none_for_servers(engine: tls.EngineFactory) -> None:
    meant = x509.ExtendedKeyUsage([Purpose.CLIENT_AUTH])
    client, _ = verdicts(engine, tls.select("openssl"), ISSUER.leaf(meant), ISSUER.pem)
    assert not client.established
    assert client.failures


def test_an_issuers_certificate_that_is_itself_a_root_is_believed(engine: tls.EngineFactory) -> None:
    # As tools make them for development: signed by itself, CA:TRUE, and given as the root.
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        name("me"), name("me"), key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY
    )
    builder = builder.add_extension(CA, critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    own = tls.Credential(
        pem,
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    client, server = verdicts(engine, tls.select("openssl"), own, ISSUER.pem + pem)
    assert client.established
    assert server.established


def test_nobody_is_judged_who_is_not_verified(engine: tls.EngineFactory) -> None:
    credential = ISSUER.leaf(CA)
    client = Ours(engine.client(tls.ClientConfig(verify=False), "localhost"))
    server = Ours(tls.select("openssl").server(tls.ServerConfig((credential,))))
    pump(client, server)
    assert client.established

"""The self-signed certificate for development."""

from __future__ import annotations

import base64
import hashlib
import ssl
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mungos import tls
from mungos.cli.development_certificate import VALID_DAYS, make_development_certificate
from mungos.errors import Misuse
from mungos.x509 import Certificate
from tests.tls.pump import Ours, pump


def test_it_holds_what_it_says() -> None:
    made = make_development_certificate(["dev.example", "10.0.0.1", "localhost"])
    certificate = x509.load_pem_x509_certificate(made.credential.chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "dev.example"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
    ]
    assert made.names == ("localhost", "127.0.0.1", "::1", "dev.example", "10.0.0.1")
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.credential.chain.decode())).digest()
    assert bytes.fromhex(made.fingerprint.replace(":", "")) == digest
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(made.spki_sha256) == hashlib.sha256(public).digest()
    read = Certificate(ssl.PEM_cert_to_DER_cert(made.credential.chain.decode()))
    assert read.not_after - read.not_before <= VALID_DAYS * 86_400 + 3_600
    assert read.not_after == made.not_after.timestamp()


def test_its_chain_serves_as_roots(engine: tls.EngineFactory) -> None:
    made = make_development_certificate()
    for name in ("localhost", "127.0.0.1", "::1"):
        client = Ours(engine.client(tls.ClientConfig(roots=made.credential.chain), name))
        pump(client, Ours(engine.server(tls.ServerConfig((made.credential,)))))
        assert client.established


def test_name_that_cannot_be_in_a_certificate() -> None:
    with pytest.raises(Misuse, match="A-labels"):
        make_development_certificate(["b\u00fccher.example"])


def test_without_cryptography_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(Misuse, match=r"mungos\[tls\]"):
        make_development_certificate()

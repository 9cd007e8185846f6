"""What hostile certificates cost before they are refused, counted: signatures, exponentiations, names."""

from __future__ import annotations

from contextlib import suppress

import pytest

from mungos.crypto.contract import (
    MAX_RSA_EXPONENT,
    MAX_RSA_MODULUS,
    Provider,
    PublicKey,
    SignatureAlgorithm,
)
from mungos.crypto.pure.public_keys import spki_of_rsa
from mungos.crypto.pure.rsa import RSAPublic
from mungos.protocol import Buffer
from mungos.x509 import (
    CertificateError,
    CertificateMalformed,
    NameMismatch,
    PathTooHard,
    TrustStore,
    UnsupportedCertificate,
    name_constraints,
    verify_client,
    verify_server,
)
from mungos.x509.certificate import Certificate
from mungos.x509.der import MAX_INTEGER
from mungos.x509.path import MAX_CHAIN, MAX_SIGNATURES
from tests.crypto.crypto_providers import PROVIDERS, provider_named
from tests.tls.hellos import calls
from tests.x509.x509_forge import (
    CLIENT_AUTH,
    HASH_OIDS,
    KEY_CERT_SIGN,
    NOW,
    Made,
    basic_constraints,
    curve_key,
    directory,
    dns,
    extension,
    integer,
    ip,
    key_usage,
    make,
    make_leaf,
    make_root,
    name,
    oid,
    seq,
    tlv,
)
from tests.x509.x509_forge import name_constraints as constrained

HOST = "example.com"
ISSUER = [basic_constraints(True), key_usage(KEY_CERT_SIGN)]


class Counting:
    """A provider that notes what its keys are asked to check."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.checked: list[PublicKey] = []

    def __getattr__(self, attribute: str) -> object:
        return getattr(self._provider, attribute)

    def public_key(self, spki: Buffer) -> PublicKey:
        return _Counted(self._provider.public_key(spki), self.checked)


class _Counted:
    def __init__(self, key: PublicKey, checked: list[PublicKey]) -> None:
        self._key = key
        self._checked = checked
        self.kind, self.bits, self.spki = key.kind, key.bits, key.spki

    def verify(self, scheme: str, signature: Buffer, message: Buffer, /) -> None:
        self._checked.append(self._key)
        self._key.verify(scheme, signature, message)

    def verify_algorithm(self, algorithm: SignatureAlgorithm, signature: Buffer, message: Buffer, /) -> None:
        self._checked.append(self._key)
        self._key.verify_algorithm(algorithm, signature, message)


def counting(name: str) -> tuple[Counting, Provider]:
    made = Counting(provider_named(name))
    return made, made  # type: ignore[return-value]  # what is missing is the other provider's


def hostile_chain(n: int, e: int) -> list[bytes]:
    """Everybody could have issued everybody, by keys that take long."""
    rsa = seq(oid("1.2.840.113549.1.1.11"), tlv(5))
    others: list[Made] = [
        make("x", curve_key(2), ISSUER, spki=spki_of_rsa(n - 2 * each, e), identifier=rsa, serial=each + 1)
        for each in range(MAX_CHAIN - 1)
    ]
    leaf = make_leaf(others[0], identified=False, identifier=rsa)
    return [leaf.der, *(other.der for other in others)]


@pytest.fixture
def exponents(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Bits of exponent and modulus of each exponentiation of the pure provider."""
    seen: list[tuple[int, int]] = []
    recover = RSAPublic.recover

    def noting(self: RSAPublic, signature: bytes) -> int | None:
        seen.append((self.e.bit_length(), self.bits))
        return recover(self, signature)

    monkeypatch.setattr(RSAPublic, "recover", noting)
    return seen


@pytest.mark.parametrize("provider_name", PROVIDERS)
@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [(3072, 3071), (3072, MAX_RSA_EXPONENT + 1), (2048, 2047), (MAX_RSA_MODULUS + 1, 17), (16_384, 64)],
)
def test_no_exponentiation_beyond_the_bounds(
    provider_name: str, role: str, modulus: int, exponent: int, exponents: list[tuple[int, int]]
) -> None:
    counted, provider = counting(provider_name)
    chain = hostile_chain((1 << modulus) - 1, (1 << exponent) - 1)
    roots = TrustStore([make_root().der])
    if role == "client":
        chain[0] = make_leaf(
            make("x", curve_key(2), ISSUER), identified=False, meant_for=[CLIENT_AUTH],
            identifier=seq(oid("1.2.840.113549.1.1.11"), tlv(5)),
        ).der  # fmt: skip
    if role == "client":
        with pytest.raises(CertificateError):
            verify_client(chain, roots, provider, NOW)
    else:
        with pytest.raises(CertificateError):
            verify_server(chain, HOST, roots, provider, NOW)
    assert counted.checked == []
    assert exponents == []


@pytest.mark.parametrize("provider_name", PROVIDERS)
def test_a_leaf_whose_key_costs_too_much(provider_name: str) -> None:
    """CertificateVerify would be checked by it."""
    root = make_root()
    leaf = make_leaf(root, key=curve_key(3), spki=spki_of_rsa((1 << 3072) - 1, (1 << 3071) - 1))
    with pytest.raises(UnsupportedCertificate, match="exponent of 3071 bits"):
        verify_server([leaf.der], HOST, TrustStore([root.der]), provider_named(provider_name), NOW)


@pytest.mark.parametrize("provider_name", PROVIDERS)
def test_signatures_of_one_verification_are_counted(
    provider_name: str, exponents: list[tuple[int, int]]
) -> None:
    """All that could have issued each other: the budget holds for all of them together."""
    counted, provider = counting(provider_name)
    with pytest.raises(CertificateError):
        verify_server(hostile_chain((1 << 2048) - 1, 3), HOST, TrustStore([make_root().der]), provider, NOW)
    assert len(counted.checked) <= MAX_SIGNATURES
    assert all(bits <= MAX_RSA_EXPONENT for bits, _ in exponents)


def test_candidates_of_one_name_share_a_budget() -> None:
    counted, provider = counting("cryptography")
    roots = TrustStore([make_root("x", curve_key(200 + each)).der for each in range(MAX_SIGNATURES + 1)])
    leaf = make_leaf(make_root("x", curve_key(1)), identified=False)
    with pytest.raises(PathTooHard, match=f"over {MAX_SIGNATURES} signatures"):
        verify_server([leaf.der], HOST, roots, provider, NOW)
    assert len(counted.checked) == MAX_SIGNATURES


# --- names ------------------------------------------------------------------------------------------------


def spent(permitted: list[bytes], names: list[bytes]) -> int:
    """Calls for one verification."""
    root = make_root()
    issuer = make("issuer", curve_key(2), [*ISSUER, constrained(permitted)], issuer=root)
    leaf = make_leaf(issuer, [dns(HOST), *names])
    provider = provider_named("cryptography")
    roots = TrustStore([root.der])

    def work() -> None:
        with suppress(CertificateError):
            verify_server([leaf.der, issuer.der], HOST, roots, provider, NOW)

    work()
    return calls(work)


def test_constraints_of_another_form_cost_nothing_for_each_name(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0
    real = name_constraints._FITS[0x82]

    def noting(*arguments: object) -> bool:
        nonlocal looked_at
        looked_at += 1
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setitem(name_constraints._FITS, 0x82, noting)
    names = [dns(f"a{each}.com") for each in range(1_000)]
    few = spent([ip("10.0.0.0/8")] * 10 + [dns("com")], names)
    many = spent([ip("10.0.0.0/8")] * 1_000 + [dns("com")], names)
    assert looked_at
    # What is left is reading the constraints themselves.
    assert many - few < 20 * 1_000


def test_each_name_is_made_comparable_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    real = name_constraints._parse_name

    def noting(der: bytes) -> tuple[frozenset[tuple[bytes, int, str | bytes]], ...]:
        parsed.append(der)
        return real(der)

    monkeypatch.setattr(name_constraints, "_parse_name", noting)
    bases = [directory(name(f"base {each}")) for each in range(60)]
    spent(bases, [directory(name(f"name {each}")) for each in range(60)])
    assert len(parsed) <= 2 * 130  # two verifications: the bases, the names, the subject


@pytest.mark.parametrize("size", [1_025, 40_000])
def test_text_of_a_name_is_bounded(size: int) -> None:
    """To bring text into its normal form takes the square of what combines in it."""
    text = ("a" + "\u0316\u0300" * size).encode()[:size]
    subject = seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, text))))
    root = make_root()
    issuer = make("issuer", curve_key(2), [*ISSUER, constrained([directory(name("x"))])], issuer=root)
    leaf = make_leaf(issuer, [dns(HOST), directory(subject)])
    with pytest.raises(CertificateMalformed, match=r"attribute 2\.5\.4\.3 of \d+ bytes \(limit 1024 bytes\)"):
        verify_server(
            [leaf.der, issuer.der], HOST, TrustStore([root.der]), provider_named("cryptography"), NOW
        )


@pytest.mark.parametrize("where", ["name", "constraint"])
def test_dns_names_that_are_none_are_refused_by_their_length(where: str) -> None:
    long = tlv(0x82, b"a" * 60_000)
    root = make_root()
    issuer = make(
        "issuer", curve_key(2), [*ISSUER, constrained([long if where == "constraint" else dns("com")])],
        issuer=root,
    )  # fmt: skip
    leaf = make_leaf(issuer, [dns(HOST), long] if where == "name" else [dns(HOST)])
    with pytest.raises(CertificateError, match=r"60000 bytes"):
        verify_server(
            [leaf.der, issuer.der], HOST, TrustStore([root.der]), provider_named("cryptography"), NOW
        )


def test_names_of_a_leaf_are_cut_when_they_are_quoted() -> None:
    root = make_root()
    leaf = make_leaf(root, [tlv(0x82, b"a" * 20_000)] * 6)
    with pytest.raises(NameMismatch) as caught:
        verify_server([leaf.der], HOST, TrustStore([root.der]), provider_named("cryptography"), NOW)
    assert len(str(caught.value)) < 500
    assert str(caught.value).endswith(", ...")


# --- numbers ----------------------------------------------------------------------------------------------

HUGE = tlv(2, b"\1" + b"\x77" * 20_000)
HUGE_OID = tlv(6, b"\x81" * 20_000 + b"\1")
HASH = seq(oid(HASH_OIDS["sha256"]), tlv(5))
MASK = seq(oid("1.2.840.113549.1.1.8"), HASH)


def pss(*more: bytes) -> bytes:
    return seq(oid("1.2.840.113549.1.1.10"), seq(tlv(0xA0, HASH), tlv(0xA1, MASK), *more))


LEAVES: dict[str, dict[str, object]] = {
    "pathLenConstraint of no issuer": {"extra": [extension("2.5.29.19", seq(HUGE))]},
    "pathLenConstraint": {"extra": [extension("2.5.29.19", seq(tlv(1, b"\xff"), HUGE))]},
    "pathLenConstraint below zero": {
        "extra": [extension("2.5.29.19", seq(tlv(1, b"\xff"), tlv(2, b"\x87" * 20_000)))]
    },
    "critical extension": {"extra": [seq(HUGE_OID, tlv(1, b"\xff"), tlv(4, b""))]},
    "extension twice": {"extra": [seq(HUGE_OID, tlv(4, b""))] * 2},
    "signature algorithm": {"identifier": seq(HUGE_OID)},
    "salt": {"identifier": pss(tlv(0xA2, HUGE))},
    "trailer field": {"identifier": pss(tlv(0xA2, integer(32)), tlv(0xA3, HUGE))},
    "version": {"version": 1 << 160_000},
    "serial number": {"serial": b"\1" + b"\x77" * 20_000},
}


@pytest.mark.parametrize("kind", LEAVES)
def test_numbers_of_any_length_are_a_certificate_error(kind: str) -> None:
    """Python refuses to write a number of over 4,300 digits: that must not be what is raised."""
    root = make_root()
    leaf = make_leaf(root, **LEAVES[kind])  # type: ignore[arg-type]
    with pytest.raises(CertificateError) as caught:
        verify_server([leaf.der], HOST, TrustStore([root.der]), provider_named("cryptography"), NOW)
    assert len(str(caught.value)) < 300


def test_a_subject_of_an_identifier_without_end() -> None:
    subject = seq(tlv(0x31, seq(HUGE_OID, tlv(0x0C, b"x"))))
    assert len(str(Certificate(make(subject, curve_key(1), []).der))) < 100


def test_a_number_of_the_largest_size() -> None:
    def path_length(size: int) -> int | None:
        number = tlv(2, b"\1" + bytes(size - 1))
        der = make("x", curve_key(1), [extension("2.5.29.19", seq(tlv(1, b"\xff"), number))]).der
        return Certificate(der).extensions.path_length

    assert path_length(MAX_INTEGER) == 1 << 8 * (MAX_INTEGER - 1)
    with pytest.raises(CertificateMalformed, match=f"limit {MAX_INTEGER} bytes"):
        path_length(MAX_INTEGER + 1)

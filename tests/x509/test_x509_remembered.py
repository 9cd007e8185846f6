"""Certificates that were proved once: only their signatures, forms and keys are remembered."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mungos.crypto.contract import PublicKey
from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.x509 import (
    Certificate,
    CertificateExpired,
    CertificateNotYetValid,
    NameMismatch,
    PurposeMismatch,
    SignatureMismatch,
    TrustStore,
    UnknownIssuer,
    VerifiedPath,
    path,
    verify_client,
    verify_server,
)
from mungos.x509.signatures import check_signature
from mungos.x509.trust_store import MAX_REMEMBERED, MAX_REMEMBERED_SIZE
from tests.x509.x509_forge import DAY, NOW, Made, curve_key, extension, make_issuer, make_leaf, make_root

PROVIDER = CryptographyProvider()
ROOT = make_root()
ISSUER = make_issuer(ROOT)
LEAF = make_leaf(ISSUER)
FORGED = make_issuer(make_root(key=curve_key(99)), key=curve_key(98))


def check(
    store: TrustStore,
    chain: Sequence[Made] = (LEAF, ISSUER),
    host: str = "example.com",
    wall: float = NOW,
    provider: CryptographyProvider = PROVIDER,
) -> VerifiedPath:
    return verify_server([made.der for made in chain], host, store, provider, wall)


@pytest.fixture
def store() -> TrustStore:
    """A store that has proved the chain."""
    made = TrustStore([ROOT.der])
    check(made)
    return made


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The certificates whose signatures are checked."""
    ders: list[bytes] = []

    def counted(certificate: Certificate, key: PublicKey) -> None:
        ders.append(certificate.der)
        check_signature(certificate, key)

    monkeypatch.setattr(path, "check_signature", counted)
    return ders


def test_each_signature_is_checked_once(checked: list[bytes]) -> None:
    store = TrustStore([ROOT.der])
    first, second = check(store), check(store)
    assert checked == [LEAF.der, ISSUER.der]
    assert second.certificates == first.certificates
    assert second.public_key is first.public_key


def test_an_issuer_is_remembered_for_its_other_certificates(store: TrustStore, checked: list[bytes]) -> None:
    other = make_leaf(ISSUER, key=curve_key(50))
    check(store, [other, ISSUER])
    assert checked == [other.der]


def test_another_store_has_proved_nothing(store: TrustStore, checked: list[bytes]) -> None:
    with pytest.raises(UnknownIssuer):
        check(TrustStore([make_root("another", curve_key(60)).der]))
    assert checked == [LEAF.der]


def test_another_provider_has_proved_nothing(store: TrustStore, checked: list[bytes]) -> None:
    check(store, provider=CryptographyProvider())
    assert checked == [LEAF.der, ISSUER.der]


def test_rfc5280_4_1_2_5_dates_are_compared_each_time(store: TrustStore) -> None:
    with pytest.raises(CertificateExpired):
        check(store, wall=NOW + 101 * DAY)
    with pytest.raises(CertificateNotYetValid):
        check(store, wall=NOW - 101 * DAY)


def test_rfc9525_6_names_are_compared_each_time(store: TrustStore) -> None:
    with pytest.raises(NameMismatch):
        check(store, host="example.org")


def test_rfc5280_4_2_1_12_purposes_are_compared_each_time(store: TrustStore) -> None:
    with pytest.raises(PurposeMismatch):
        verify_client([LEAF.der, ISSUER.der], store, PROVIDER, NOW)


def test_a_twin_of_the_issuer_with_another_key_proves_nothing(store: TrustStore) -> None:
    with pytest.raises((SignatureMismatch, UnknownIssuer)):
        check(store, [LEAF, FORGED])
    check(store, [LEAF, FORGED, ISSUER])


def test_a_changed_signature_is_another_certificate(store: TrustStore) -> None:
    changed = LEAF.der[:-1] + bytes((LEAF.der[-1] ^ 1,))
    for _ in range(2):
        with pytest.raises(SignatureMismatch):
            verify_server([changed, ISSUER.der], "example.com", store, PROVIDER, NOW)


def test_what_led_nowhere_is_not_remembered(checked: list[bytes]) -> None:
    store = TrustStore([make_root("another", curve_key(60)).der])
    for _ in range(2):
        with pytest.raises(UnknownIssuer):
            check(store)
    assert checked == [LEAF.der, LEAF.der]


def test_what_is_remembered_is_bounded_in_number(checked: list[bytes]) -> None:
    store = TrustStore([ROOT.der])
    leaves = [make_leaf(ROOT, common=f"leaf {number}") for number in range(MAX_REMEMBERED + 1)]
    for leaf in leaves[:-1]:
        check(store, [leaf])
    check(store, [leaves[0]])
    assert len(checked) == MAX_REMEMBERED
    check(store, [leaves[-1]])
    check(store, [leaves[-1]])
    check(store, [leaves[0]])
    assert checked[MAX_REMEMBERED:] == [leaves[-1].der, leaves[0].der]


def test_what_is_remembered_is_bounded_in_bytes(checked: list[bytes]) -> None:
    store = TrustStore([ROOT.der])
    large = make_leaf(ROOT, extra=[extension("1.2.3.4.5", bytes(MAX_REMEMBERED_SIZE))])
    check(store, [large])
    check(store, [large])
    assert checked == [large.der, large.der]

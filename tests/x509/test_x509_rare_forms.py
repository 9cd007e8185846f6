"""Forms that hardly any certificate has: too many names, broken identifiers, names that nobody can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Malformed, Misuse
from mungos.x509 import Certificate, TrustStore, UnknownIssuer, verify_server
from mungos.x509.der import Reader
from mungos.x509.errors import CertificateMalformed
from mungos.x509.extensions import MAX_GENERAL_NAMES, parse_extensions
from mungos.x509.pem import certificates_from_pem
from mungos.x509.system_roots import find_roots
from tests.x509.x509_forge import (
    NOW,
    alt_names,
    curve_key,
    dns,
    extension,
    make,
    make_root,
    name_constraints,
    seq,
    tlv,
    to_pem,
)

ROOT = make_root()
UNREADABLE = seq(tlv(0x31, tlv(4, b"x")))
"""A name with something else in the place of an attribute."""

BROKEN = [b"", b"\x80\x01", b"\x55\x80", b"\x55\x80\x01", b"\x55\x81\x80\x01\x80\x02"]


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x01", b"\x55\x80", b"\x55\x80\x01", b"\x55\x81\x80\x01\x80\x02"]
)
def test_x690_8_19_2_broken_object_identifiers(content: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        Reader(tlv(6, content)).oid()


@pytest.mark.parametrize("content", [b"\x55", b"\x55\x81\x80\x01", b"\x81\x80\x80\x01"])
def test_x690_8_19_2_zeros_inside_a_part(content: bytes) -> None:
    assert Reader(tlv(6, content)).oid() == content


@pytest.mark.parametrize("excluded", [False, True])
@pytest.mark.parametrize(("count", "fine"), [(MAX_GENERAL_NAMES, True), (MAX_GENERAL_NAMES + 1, False)])
def test_names_in_constraints_are_bounded(excluded: bool, count: int, fine: bool) -> None:
    names = [dns("a.example")] * count
    value = seq(name_constraints((), names) if excluded else name_constraints(names))
    if fine:
        assert parse_extensions(value).name_constraints is not None
        return
    with pytest.raises(CertificateMalformed, match="nameConstraints"):
        parse_extensions(value)


def test_an_issuer_whose_name_nobody_can_read() -> None:
    """The message says so, and nothing else changes."""
    lost = make("leaf", curve_key(9), [alt_names(dns("leaf"))], issuer_name=UNREADABLE, signer=curve_key(8))
    with pytest.raises(UnknownIssuer, match="an unreadable name"):
        verify_server((lost.der,), "leaf", TrustStore.from_pem(ROOT.pem), CryptographyProvider(), NOW)


def test_a_subject_whose_name_nobody_can_read() -> None:
    made = make(UNREADABLE, curve_key(9), None, issuer=ROOT)
    assert str(Certificate(made.der)).startswith("the certificate of an unreadable name (serial ")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x30\x80\0\0", "a length of 0 bytes"),
        (b"\x30\x85\1\0\0\0\0", "a length of 5 bytes"),
        (b"\x30\xff" + bytes(127), "a length of 127 bytes"),
        (b"\x30\x82\1", "ends within the length"),
        (b"\x30\x84\1\1\1", "ends within the length"),
    ],
)
def test_x690_8_1_3_5_lengths_that_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(CertificateMalformed, match=words):
        Reader(data).enter(0x30)


@pytest.mark.parametrize("tag", [0xA0, 0xA1])
def test_rfc5280_4_2_1_10_empty_list_beside_a_full_one(tag: int) -> None:
    full = tlv(tag ^ 1, seq(dns("a.example")))
    lists = [tlv(tag), full] if tag == 0xA0 else [full, tlv(tag)]
    with pytest.raises(CertificateMalformed, match="empty list of subtrees"):
        parse_extensions(seq(extension("2.5.29.30", seq(*lists), critical=True)))


@pytest.mark.parametrize("cut", [1, 5, 26])
def test_pem_without_its_end(cut: int) -> None:
    text = to_pem(ROOT.der).rstrip()
    with pytest.raises(Malformed, match="no end line"):
        certificates_from_pem(text[:-cut])


def test_place_that_was_asked_for_and_does_not_serve(tmp_path: Path) -> None:
    """The next place is not looked at, and the reason is told."""
    empty, good = tmp_path / "empty", tmp_path / "good"
    empty.write_bytes(b"nothing")
    good.mkdir()
    (good / "root.pem").write_bytes(ROOT.pem)
    assert ROOT.der in find_roots({"SSL_CERT_DIR": str(good)})
    with pytest.raises(Misuse, match="no certificate"):
        find_roots({"SSL_CERT_FILE": str(empty), "SSL_CERT_DIR": str(good)})

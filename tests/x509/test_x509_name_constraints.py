"""What an issuer may speak for: RFC 5280 section 4.2.1.10."""

from __future__ import annotations

import pytest

from mungos.x509 import (
    Certificate,
    CertificateMalformed,
    NameConstraintViolated,
    PathTooHard,
    UnsupportedCertificate,
)
from mungos.x509.extensions import NameConstraints
from mungos.x509.name_constraints import Comparisons, check_names
from tests.x509.x509_forge import (
    alt_names,
    curve_key,
    directory,
    dns,
    ip,
    make,
    make_root,
    name,
    name_constraints,
    oid,
    seq,
    tlv,
)

KEY = curve_key(3)


def constraints(permitted: list[bytes], excluded: list[bytes]) -> NameConstraints:
    found = Certificate(make_root(extra=[name_constraints(permitted, excluded)]).der).extensions
    assert found.name_constraints is not None
    return found.name_constraints


def allowed(
    names: list[bytes], permitted: list[bytes], excluded: list[bytes], subject: bytes | None = None
) -> bool:
    certificate = Certificate(make(subject or seq(), KEY, [alt_names(*names)] if names else None).der)
    try:
        check_names(constraints(permitted, excluded), certificate, Comparisons())
    except NameConstraintViolated:
        return False
    return True


# constraint, name, whether the constraint holds it when it permits, whether it hits it when it excludes
DNS = [
    ("example.com", "example.com", True, True),
    ("example.com", "EXAMPLE.com", True, True),
    ("EXAMPLE.com", "www.example.com", True, True),
    ("example.com", "a.b.example.com", True, True),
    ("example.com", "wwwexample.com", False, False),
    ("example.com", "example.org", False, False),
    ("www.example.com", "example.com", False, False),
    ("", "example.com", True, True),
    (".example.com", "www.example.com", True, True),
    (".example.com", "example.com", False, True),
    (".example.com", "notexample.com", False, False),
    ("example.com", "*.example.com", True, True),
    ("example.com", "*.www.example.com", True, True),
    ("www.example.com", "*.example.com", False, True),
    ("a.www.example.com", "*.example.com", False, False),
    ("x.example.com", "*.example.com", False, True),
    (".example.com", "*.example.com", True, True),
    ("com", "*.example.com", True, True),
    ("", "*.example.com", True, True),
    ("example.org", "*.example.com", False, False),
]


@pytest.mark.parametrize(("base", "presented", "permits", "excludes"), DNS)
def test_dns_constraints(base: str, presented: str, permits: bool, excludes: bool) -> None:
    assert allowed([dns(presented)], [dns(base)], []) is permits
    assert allowed([dns(presented)], [], [dns(base)]) is not excludes


@pytest.mark.parametrize(
    "presented", ["example.com.", "", "*", "a..example.com", "w*.example.com", " example.com"]
)
def test_a_dns_name_that_is_none_is_refused_wherever_names_are_constrained(presented: str) -> None:
    assert not allowed([dns(presented)], [dns("")], [])
    assert not allowed([dns(presented)], [], [dns("other.example")])
    assert allowed([dns(presented)], [ip("10.0.0.0/8")], [])


@pytest.mark.parametrize("base", ["*.example.com", "example.com.", "..example.com", "exa mple.com"])
def test_a_dns_constraint_that_is_none_is_refused(base: str) -> None:
    for permitted, excluded in (([dns(base)], []), ([], [dns(base)])):
        with pytest.raises(CertificateMalformed):
            allowed([dns("www.example.com")], permitted, excluded)


IP = [
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("192.0.2.0/24", "192.0.2.255", True),
    ("192.0.2.0/25", "192.0.2.128", False),
    ("0.0.0.0/0", "203.0.113.9", True),
    ("192.0.2.1/32", "192.0.2.1", True),
    ("192.0.2.1/32", "192.0.2.0", False),
    ("2001:db8::/32", "2001:db8:1::1", True),
    ("2001:db8::/32", "2001:db9::1", False),
    ("0.0.0.0/0", "2001:db8::1", False),
    ("::/0", "192.0.2.1", False),
]


@pytest.mark.parametrize(("base", "presented", "holds"), IP)
def test_ip_constraints(base: str, presented: str, holds: bool) -> None:
    assert allowed([ip(presented)], [ip(base)], []) is holds
    assert allowed([ip(presented)], [], [ip(base)]) is not holds


@pytest.mark.parametrize(
    "base",
    [
        b"",
        bytes(4),
        bytes(7),
        bytes(9),
        bytes(16),
        bytes(33),
        b"\x0a\0\0\0\xff\0\xff\0",
        b"\x0a\0\0\0\x7f\0\0\0",
    ],
)
def test_ip_constraints_of_a_wrong_length_or_mask(base: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        allowed([ip("10.0.0.1")], [tlv(0x87, base)], [])


PERMITTED = name("", organization="Mungos Test")
DIRECTORY = [
    (name("leaf", organization="Mungos Test"), True),
    (name("leaf", organization="mungos  TEST"), True),
    (name("leaf", organization="Mungos Test", tag=0x13), True),
    (name("", organization="Mungos Test"), True),
    (name("leaf", organization="Mungos Tests"), False),
    (name("leaf"), False),
    (name("Mungos Test"), False),
]


@pytest.mark.parametrize(("subject", "holds"), DIRECTORY)
def test_directory_constraints(subject: bytes, holds: bool) -> None:
    assert allowed([], [directory(PERMITTED)], [], subject) is holds
    assert allowed([], [], [directory(PERMITTED)], subject) is not holds
    assert allowed([directory(subject)], [directory(PERMITTED)], []) is holds
    assert allowed([directory(subject)], [], [directory(PERMITTED)], name("other")) is not holds


def test_rfc5280_7_1_what_is_no_text_is_compared_byte_for_byte() -> None:
    def unique(bits: bytes) -> bytes:
        # x500UniqueIdentifier (X.520 section 6.2.7), a BIT STRING
        return seq(tlv(0x31, seq(oid("2.5.4.45"), tlv(3, b"\0", bits))))

    assert allowed([], [directory(unique(b"a"))], [], unique(b"a"))
    assert not allowed([], [directory(unique(b"a"))], [], unique(b"A"))


def test_directory_constraints_and_no_name_at_all() -> None:
    assert allowed([], [directory(PERMITTED)], [])
    assert allowed([dns("example.com")], [directory(PERMITTED)], [])


@pytest.mark.parametrize(
    "subject",
    [
        seq(tlv(0x31)),
        seq(seq(oid("2.5.4.3"), tlv(0x0C, b"x"))),
        seq(tlv(0x31, seq(oid("2.5.4.3")))),
        seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"\xff")))),
        seq(*[tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"x")))] * 300),
    ],
)
def test_directory_names_that_are_broken(subject: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        allowed([], [directory(PERMITTED)], [], subject)


def test_one_form_does_not_constrain_another() -> None:
    assert allowed([ip("192.0.2.1")], [dns("example.com")], [])
    assert allowed([dns("example.com")], [ip("10.0.0.0/8")], [ip("192.0.2.0/24")])


def test_excluded_wins_over_permitted_and_any_permitted_is_enough() -> None:
    assert allowed([dns("a.example")], [dns("b.example"), dns("a.example")], [])
    assert not allowed([dns("x.a.example")], [dns("a.example")], [dns("x.a.example")])
    assert not allowed([dns("a.example"), dns("c.example")], [dns("a.example")], [])


@pytest.mark.parametrize("tag", [0x81, 0x86, 0xA0, 0x88])
def test_a_form_that_is_not_processed_refuses_names_of_that_form(tag: int) -> None:
    base, value = tlv(tag, b"example.com"), tlv(tag, b"x@example.com")
    assert allowed([dns("example.com")], [base], [])
    for permitted, excluded in (([base], []), ([], [base])):
        with pytest.raises(UnsupportedCertificate):
            allowed([value], permitted, excluded)


def test_an_email_address_in_the_subject_is_a_name_too() -> None:
    subject = seq(tlv(0x31, seq(oid("1.2.840.113549.1.9.1"), tlv(0x16, b"x@example.com"))))
    with pytest.raises(UnsupportedCertificate):
        allowed([], [tlv(0x81, b"example.com")], [], subject)


def test_comparisons_are_bounded() -> None:
    certificate = Certificate(make("s", KEY, [alt_names(*[dns(f"a{i}.example") for i in range(200)])]).der)
    many = constraints([dns(f"b{i}.example") for i in range(199)] + [dns("example")], [])
    with pytest.raises(PathTooHard, match="10000 comparisons"):
        check_names(many, certificate, Comparisons())
    check_names(many, certificate, Comparisons(40_000))

"""Parsing a certificate: RFC 5280 section 4."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.x509 import Certificate, CertificateError, CertificateMalformed, UnsupportedCertificate
from mungos.x509.certificate import MAX_CERTIFICATE, subject_of
from mungos.x509.extensions import DIGITAL_SIGNATURE, MAX_EXTENSIONS, MAX_GENERAL_NAMES
from tests.x509.x509_forge import (
    IDENTIFIERS,
    NOW,
    Made,
    alt_names,
    basic_constraints,
    curve_key,
    directory,
    dns,
    extension,
    integer,
    ip,
    key_id,
    key_usage,
    make,
    make_leaf,
    make_root,
    name,
    name_constraints,
    oid,
    purposes,
    seq,
    spki_of,
    subject_key,
    tlv,
    utc_time,
)

PROVIDER = CryptographyProvider()
ROOT = make_root(extra=[name_constraints([dns("example.com")], [ip("10.0.0.0/8")])], path_length=3)
LEAF = make_leaf(ROOT, [dns("example.com"), dns("*.Example.com"), ip("192.0.2.1"), ip("2001:db8::1")])
BARE = curve_key(9)


def with_extensions(*extensions: bytes) -> Certificate:
    return Certificate(make("subject", BARE, extensions).der)


def test_fields_of_a_leaf() -> None:
    leaf = Certificate(LEAF.der)
    assert (leaf.version, leaf.serial) == (3, 0x5EED)
    assert (leaf.issuer, leaf.subject) == (ROOT.subject, LEAF.subject)
    assert subject_of(LEAF.der) == LEAF.subject
    assert leaf.spki == spki_of(LEAF.key)
    assert leaf.dns_names == ("example.com", "*.Example.com")
    assert leaf.ip_addresses == (bytes([192, 0, 2, 1]), bytes.fromhex("20010db8000000000000000000000001"))
    assert not leaf.self_issued
    found = leaf.extensions
    assert not found.is_ca
    assert found.key_usage == DIGITAL_SIGNATURE
    assert found.authority_key == key_id(ROOT.key)
    assert found.unknown_critical == []
    assert leaf.public_key(PROVIDER) is leaf.public_key(PROVIDER)
    assert leaf.public_key(PROVIDER).kind == "secp256r1"


def test_fields_of_an_issuer() -> None:
    root = Certificate(ROOT.der)
    found = root.extensions
    assert (found.is_ca, found.path_length, root.self_issued) == (True, 3, True)
    assert found.subject_key == key_id(ROOT.key)
    assert found.name_constraints is not None
    assert found.name_constraints.permitted == ((0x82, b"example.com"),)
    assert found.name_constraints.excluded == ((0x87, bytes([10, 0, 0, 0, 255, 0, 0, 0])),)
    assert found.names == ()
    assert found.purposes is None


def test_rfc5280_4_1_2_1_the_subject_of_a_certificate_of_version_1() -> None:
    # The version is not there: it is the default.
    old = make("old", BARE, None, version=1)
    assert Certificate(old.der).version == 1
    assert subject_of(old.der) == old.subject == Certificate(old.der).subject


def test_in_messages_a_certificate_has_its_subject_and_serial_number() -> None:
    assert str(Certificate(LEAF.der)) == "the certificate of CN=leaf (serial 5eed)"


@pytest.mark.parametrize("made", [ROOT, LEAF], ids=["root", "leaf"])
def test_truncated_at_every_byte(made: Made) -> None:
    for length in range(len(made.der)):
        with pytest.raises(CertificateMalformed):
            Certificate(made.der[:length])
        with pytest.raises(CertificateMalformed):
            subject_of(made.der[:length])
    with pytest.raises(CertificateMalformed, match="left over"):
        Certificate(made.der + b"\0")


@pytest.mark.parametrize("made", [ROOT, LEAF], ids=["root", "leaf"])
def test_every_byte_changed_ends_in_a_certificate_or_a_typed_error(made: Made) -> None:
    for at in range(len(made.der)):
        for change in (0x01, 0x80, 0xFF):
            changed = bytearray(made.der)
            changed[at] ^= change
            with contextlib.suppress(CertificateError):
                certificate = Certificate(bytes(changed))
                certificate.complete()
                certificate.public_key(PROVIDER)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_random_mutations_end_in_a_certificate_or_a_typed_error(data: st.DataObject) -> None:
    der = bytearray(data.draw(st.sampled_from([ROOT.der, LEAF.der])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(der) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                der[at] = data.draw(st.integers(0, 255))
            case 1:
                del der[at : at + data.draw(st.integers(1, 8))]
            case _:
                der[at:at] = data.draw(st.binary(max_size=8))
        if not der:
            break
    with contextlib.suppress(CertificateError):
        certificate = Certificate(bytes(der))
        certificate.complete()
        certificate.public_key(PROVIDER)


def test_too_large() -> None:
    with pytest.raises(CertificateMalformed, match=f"limit {MAX_CERTIFICATE} bytes"):
        Certificate(bytes(MAX_CERTIFICATE + 1))


def test_rfc5280_4_1_1_2_signature_algorithms_differ() -> None:
    made = make("s", BARE, [subject_key(BARE)], outer_identifier=IDENTIFIERS["ecdsa-sha384"])
    with pytest.raises(CertificateMalformed, match="differ"):
        Certificate(made.der)


def test_signature_with_unused_bits() -> None:
    der = bytearray(LEAF.der)
    at = der.rindex(b"\x03", 0, len(der) - 60)
    while der[at] != 3 or der[at + 2] != 0 or at + 2 + der[at + 1] != len(der):
        at = der.rindex(b"\x03", 0, at)
    der[at + 2] = 1
    der[-1] &= 0xFE
    with pytest.raises(CertificateMalformed, match="unused bits"):
        Certificate(bytes(der))


# --- version, serial number ----------------------------------------------------------------------------


def test_rfc5280_4_1_2_1_versions() -> None:
    assert Certificate(make("s", BARE, None, version=1).der).version == 1
    assert Certificate(make("s", BARE, None, version=2).der).version == 2
    assert Certificate(make("s", BARE, None, version=3).der).extensions.names == ()
    unique = tlv(0x81, b"\0\x01") + tlv(0x82, b"\0\x02")
    assert Certificate(make("s", BARE, None, version=2, after_spki=unique).der).version == 2
    for version in (0, 4, 200):
        with pytest.raises(CertificateMalformed, match="version"):
            Certificate(make("s", BARE, None, version=version).der)
    # X.690 section 11.5: the default is not encoded.
    der = make("s", BARE, None, version=2).der.replace(b"\xa0\x03\x02\x01\x01", b"\xa0\x03\x02\x01\x00")
    with pytest.raises(CertificateMalformed, match="version 1"):
        Certificate(der)


@pytest.mark.parametrize("version", [1, 2])
def test_rfc5280_4_1_2_9_extensions_only_in_version_3(version: int) -> None:
    with pytest.raises(CertificateMalformed, match="left over"):
        Certificate(make("s", BARE, [subject_key(BARE)], version=version).der)


def test_rfc5280_4_1_2_8_unique_identifiers_not_in_version_1() -> None:
    with pytest.raises(CertificateMalformed, match="left over"):
        Certificate(make("s", BARE, None, version=1, after_spki=tlv(0x81, b"\0\x01")).der)


def test_rfc5280_4_1_2_2_serial_numbers() -> None:
    assert Certificate(make("s", BARE, None, serial=2**160 - 1).der).serial == 2**160 - 1
    assert Certificate(make("s", BARE, None, serial=-5).der).serial == -5
    assert Certificate(make("s", BARE, None, serial=0).der).serial == 0
    for serial in (b"\x01" * 22, b"", b"\0\x01"):
        with pytest.raises(CertificateMalformed):
            Certificate(make("s", BARE, None, serial=serial).der)


# --- times ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "text", "moment", "odd"),
    [
        (0x17, b"500101000000Z", datetime(1950, 1, 1, tzinfo=UTC), False),
        (0x17, b"491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (0x17, b"700101000000Z", datetime(1970, 1, 1, tzinfo=UTC), False),
        (0x17, b"000229120000Z", datetime(2000, 2, 29, 12, tzinfo=UTC), False),
        (0x18, b"20500101000000Z", datetime(2050, 1, 1, tzinfo=UTC), False),
        (0x18, b"99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (0x18, b"20491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), True),
        (0x18, b"00010101000000Z", datetime(1, 1, 1, tzinfo=UTC), True),
    ],
)
def test_rfc5280_4_1_2_5_times(tag: int, text: bytes, moment: datetime, odd: bool) -> None:
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    early = Certificate(make("s", BARE, None, not_before=tlv(tag, text)).der)
    late = Certificate(make("s", BARE, None, not_after=tlv(tag, text)).der)
    assert (early.not_before, late.not_after) == (seconds, seconds)
    assert (early.odd_times, late.odd_times) == (odd, odd)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x17, b""),
        (0x17, b"Z"),
        (0x17, b"2601010000Z"),  # no seconds
        (0x17, b"260101000000"),
        (0x17, b"260101000000+0000"),
        (0x17, b"260101000000z"),
        (0x17, b"2601010000 0Z"),
        (0x17, b"26-101000000Z"),
        (0x17, b"260230000000Z"),
        (0x17, b"270229000000Z"),
        (0x17, b"261301000000Z"),
        (0x17, b"260001000000Z"),
        (0x17, b"260101240000Z"),
        (0x17, b"260101006000Z"),
        (0x17, b"260101000060Z"),
        (0x17, b"20260101000000Z"),
        (0x18, b"260101000000Z"),
        (0x18, b"20500101000000.5Z"),
        (0x18, b"00000101000000Z"),
        (0x16, b"260101000000Z"),
    ],
)
def test_rfc5280_4_1_2_5_times_that_are_refused(tag: int, text: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        Certificate(make("s", BARE, None, not_before=tlv(tag, text)).der)


def test_validity_of_three_times() -> None:
    assert Certificate(make("s", BARE, None).der).not_before < NOW
    with pytest.raises(CertificateMalformed):
        Certificate(make("s", BARE, None, not_after=utc_time(0) + utc_time(0)).der)


# --- extensions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([], id="empty-list"),
        pytest.param([subject_key(BARE), subject_key(BARE)], id="4.2-twice"),
        pytest.param([extension("1.2.3", b"x"), extension("1.2.3", b"y")], id="4.2-unknown-twice"),
        pytest.param([seq(oid("2.5.29.14"), tlv(1, b"\0"), tlv(4, tlv(4, b"x")))], id="critical-default"),
        pytest.param([seq(oid("2.5.29.14"), tlv(1, b"\1"), tlv(4, tlv(4, b"x")))], id="critical-of-one"),
        pytest.param([seq(oid("2.5.29.14"))], id="no-value"),
        pytest.param([seq(oid("2.5.29.14"), tlv(4, tlv(4, b"x")), tlv(5))], id="value-and-more"),
        pytest.param([extension("2.5.29.14", tlv(4, b"x") + b"\0")], id="left-over-inside"),
        pytest.param([extension("2.5.29.14", b"")], id="empty-value"),
        pytest.param([extension("2.5.29.19", seq(tlv(1, b"\0")))], id="ca-default"),
        pytest.param([extension("2.5.29.19", seq(tlv(1, b"\xff"), integer(-1)))], id="negative-path-length"),
        pytest.param([extension("2.5.29.19", seq(integer(1)))], id="path-length-of-no-ca"),
        pytest.param([extension("2.5.29.19", seq(integer(1), tlv(1, b"\xff")))], id="wrong-order"),
        pytest.param([extension("2.5.29.15", tlv(3, b"\0\0"))], id="no-usage"),
        pytest.param([extension("2.5.29.15", tlv(3, b"\0"))], id="no-usage-bits"),
        pytest.param([extension("2.5.29.15", tlv(3, b"\0\x80\x80\x80"))], id="many-usage-bits"),
        pytest.param([extension("2.5.29.15", tlv(3, b"\1\x81"))], id="unused-bit-set"),
        pytest.param([extension("2.5.29.37", seq())], id="no-purpose"),
        pytest.param([extension("2.5.29.37", seq(tlv(5)))], id="purpose-null"),
        pytest.param([alt_names()], id="no-name"),
        pytest.param([alt_names(tlv(0x87, b"\1\2\3"))], id="ip-of-three"),
        pytest.param([alt_names(tlv(0x87, bytes(8)))], id="ip-of-eight"),
        pytest.param([alt_names(tlv(0x82, b"\xc3\xbc.example"))], id="dns-not-ascii"),
        pytest.param([alt_names(tlv(0x89, b"x"))], id="unknown-form"),
        pytest.param([alt_names(tlv(0x02, b"\1"))], id="no-general-name"),
        pytest.param([alt_names(*[dns("a.example")] * (MAX_GENERAL_NAMES + 1))], id="too-many-names"),
        pytest.param([name_constraints()], id="no-subtree"),
        pytest.param([extension("2.5.29.30", seq(tlv(0xA0)))], id="empty-subtrees"),
        pytest.param([extension("2.5.29.30", seq(tlv(0xA0, seq(dns("a"), tlv(0x80, b"\0")))))], id="minimum"),
        pytest.param([extension("2.5.29.30", seq(tlv(0xA0, seq(dns("a"), tlv(0x81, b"\5")))))], id="maximum"),
        pytest.param([extension("2.5.29.35", seq(tlv(0x83, b"x")))], id="authority-key-unknown"),
        pytest.param([extension(f"1.2.{i}", b"") for i in range(MAX_EXTENSIONS + 1)], id="too-many"),
    ],
)
def test_broken_extensions(broken: list[bytes]) -> None:
    certificate = with_extensions(*broken)
    with pytest.raises(CertificateMalformed):
        certificate.complete()
    # The second look is no kinder.
    with pytest.raises(CertificateMalformed):
        certificate.complete()


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param((tlv(0xA0), tlv(0xA1, seq(dns("a.example")))), id="permitted"),
        pytest.param((tlv(0xA0, seq(dns("a.example"))), tlv(0xA1)), id="excluded"),
    ],
)
def test_rfc5280_4_2_1_10_each_list_of_subtrees_has_one_at_least(lists: tuple[bytes, bytes]) -> None:
    # GeneralSubtrees ::= SEQUENCE SIZE (1..MAX) OF GeneralSubtree
    certificate = with_extensions(extension("2.5.29.30", seq(*lists), True))
    with pytest.raises(CertificateMalformed, match="an empty list of subtrees"):
        certificate.complete()


def test_extensions_that_are_tolerated() -> None:
    policies = extension("2.5.29.32", seq(seq(oid("2.23.140.1.2.1"))))
    unknown = extension("1.3.6.1.4.1.99999.1", b"anything at all")
    other_names = alt_names(
        tlv(0xA0, b"x"), tlv(0x81, b"a@b"), tlv(0x86, b"spiffe://x"), directory(name("d")), dns("d")
    )
    found = with_extensions(policies, unknown, other_names, basic_constraints(False)).extensions
    assert found.unknown_critical == []
    assert len(found.names) == 5
    authority = extension(
        "2.5.29.35", seq(tlv(0x80, b"k"), tlv(0xA1, directory(name("d"))), tlv(0x82, b"\1"))
    )
    assert with_extensions(authority).extensions.authority_key == b"k"
    assert with_extensions(purposes("1.2.3")).extensions.purposes is not None
    assert with_extensions(key_usage(0x80)).extensions.key_usage == DIGITAL_SIGNATURE


def test_rfc5280_4_2_unknown_critical_extensions_are_remembered() -> None:
    certificate = with_extensions(extension("1.2.3.4", b"", True), extension("2.5.29.32", seq(), True))
    assert len(certificate.extensions.unknown_critical) == 2


# --- keys ----------------------------------------------------------------------------------------------


def test_keys_that_are_not_spoken() -> None:
    p521 = make("s", curve_key(1, ec.SECP521R1()), None, signer=BARE)
    with pytest.raises(UnsupportedCertificate):
        Certificate(p521.der).public_key(PROVIDER)
    wrong_point = bytearray(spki_of(BARE))
    wrong_point[-1] ^= 1
    with pytest.raises(CertificateMalformed):
        Certificate(make("s", BARE, None, spki=bytes(wrong_point)).der).public_key(PROVIDER)


def test_certificates_compare_by_their_bytes() -> None:
    assert Certificate(LEAF.der) == Certificate(bytes(bytearray(LEAF.der)))
    assert len({Certificate(LEAF.der), Certificate(LEAF.der), Certificate(ROOT.der)}) == 2
    assert Certificate(LEAF.der) != LEAF.der
    assert "5eed" in repr(Certificate(LEAF.der))

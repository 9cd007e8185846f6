"""Whether a certificate bears a name: RFC 9525."""

from __future__ import annotations

import ipaddress
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Misuse
from mungos.x509 import Certificate, bears_name, reference_identity
from mungos.x509.names import matches_dns_name
from tests.x509.x509_forge import alt_names, curve_key, dns, ip, make, make_leaf, make_root, name, tlv

KEY = curve_key(3)


@pytest.mark.parametrize(
    ("given_name", "identity"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"),
        ("host-1", "host-1"),
        ("1.example", "1.example"),
        ("127.0.0.1", b"\x7f\0\0\1"),
        ("::1", bytes(15) + b"\1"),
        ("[2001:DB8::1]", bytes.fromhex("20010db8000000000000000000000001")),
        ("::ffff:192.0.2.1", bytes.fromhex("00000000000000000000ffffc0000201")),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_reference_identity(given_name: str, identity: str | bytes) -> None:
    assert reference_identity(given_name) == identity


@pytest.mark.parametrize(
    "given_name",
    [
        "",
        ".",
        "example..com",
        ".example.com",
        "example.com..",
        "-a.example",
        "a-.example",
        "a b",
        "a\0.example",
        "*.example.com",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "b\u00fccher.example",
        "\u0130.example",
        "127.1",
        "1.2.3.4.5",
        "256.1.1.1",
        "0x7f.0x1",
        "example.0",
        "fe80::1%eth0",
        "127.0.0.1%lo",
        "[::1",
        "::1]",
        "[]",
        "https://example.com",
        "example.com:443",
    ],
)
def test_reference_identity_refused(given_name: str) -> None:
    with pytest.raises(Misuse, match="neither"):
        reference_identity(given_name)


# RFC 9525 section 6.3 (and section 6.4.1 of RFC 6125 for the case): presented, asked for, whether it fits.
TABLE = [
    ("example.com", "example.com", True),
    ("EXAMPLE.Com", "example.com", True),
    ("example.com", "www.example.com", False),
    ("www.example.com", "example.com", False),
    ("example.com.", "example.com", False),
    ("example.org", "example.com", False),
    ("*.example.com", "www.example.com", True),
    ("*.EXAMPLE.com", "www.example.com", True),
    ("*.example.com", "xn--bcher-kva.example.com", True),
    ("*.example.com", "a.b.example.com", False),
    ("*.example.com", "example.com", False),
    ("*.example.com", "wwwexample.com", False),
    ("*.a.b.example.com", "x.a.b.example.com", True),
    ("w*.example.com", "www.example.com", False),
    ("*w.example.com", "www.example.com", False),
    ("w*w.example.com", "www.example.com", False),
    ("www.*.com", "www.example.com", False),
    ("www.example.*", "www.example.com", False),
    ("*.*.com", "www.example.com", False),
    ("*", "localhost", False),
    ("*.", "localhost", False),
    ("*.com", "example.com", False),
    ("*.localhost", "a.localhost", False),
    ("**.example.com", "www.example.com", False),
    (".example.com", "www.example.com", False),
    ("xn--*.example.com", "xn--bcher-kva.example.com", False),
    ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
    ("XN--BCHER-KVA.example", "xn--bcher-kva.example", True),
    ("example.com\0.attacker.example", "example.com", False),
    ("example.com ", "example.com", False),
    (" example.com", "example.com", False),
    ("", "example.com", False),
]


@pytest.mark.parametrize(("presented", "asked", "fits"), TABLE)
def test_rfc9525_6_3_dns_names(presented: str, asked: str, fits: bool) -> None:
    assert matches_dns_name(presented, asked) is fits
    leaf = Certificate(make("cn", KEY, [alt_names(dns("other.example"), dns(presented))]).der)
    assert bears_name(leaf, reference_identity(asked)) is fits


IP_TABLE = [
    ([ip("192.0.2.1")], "192.0.2.1", True),
    ([ip("192.0.2.1")], "192.0.2.2", False),
    ([ip("2001:db8::1")], "2001:db8:0::1", True),
    ([ip("2001:db8::1")], "2001:db8::2", False),
    ([dns("192.0.2.1")], "192.0.2.1", False),
    ([dns("*.0.2.1")], "192.0.2.1", False),
    ([ip("192.0.2.1")], "::ffff:192.0.2.1", False),
    ([ip("::ffff:192.0.2.1")], "192.0.2.1", False),
]


@pytest.mark.parametrize(("presented", "asked", "fits"), IP_TABLE)
def test_rfc9525_6_4_addresses(presented: list[bytes], asked: str, fits: bool) -> None:
    leaf = Certificate(make("cn", KEY, [alt_names(*presented)]).der)
    assert bears_name(leaf, reference_identity(asked)) is fits


def test_rfc9525_6_2_the_common_name_is_never_looked_at() -> None:
    for extensions in ([], [alt_names(tlv(0x81, b"a@example.com"))], None):
        leaf = Certificate(make(name("example.com"), KEY, extensions or None).der)
        assert not bears_name(leaf, "example.com")


def test_other_forms_are_no_dns_names() -> None:
    others = alt_names(tlv(0x81, b"example.com"), tlv(0x86, b"example.com"), tlv(0x88, b"\x2a"))
    assert not bears_name(Certificate(make("cn", KEY, [others]).der), "example.com")


def test_names_of_a_whole_certificate() -> None:
    leaf = Certificate(make_leaf(make_root(), [dns("a.example"), ip("192.0.2.1"), dns("*.b.example")]).der)
    for asked in ("a.example", "x.b.example", "192.0.2.1"):
        assert bears_name(leaf, reference_identity(asked))
    for asked in ("b.example", "x.a.example", "192.0.2.3", "::1"):
        assert not bears_name(leaf, reference_identity(asked))


LABELS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8).map(lambda text: "x" + text)


@given(labels=st.lists(LABELS, min_size=3, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_wildcard_covers_one_label_exactly(labels: list[str]) -> None:
    identity = reference_identity(".".join(labels))
    assert isinstance(identity, str)
    parent = ".".join(labels[1:])
    assert matches_dns_name(".".join(labels).swapcase(), identity)
    assert matches_dns_name("*." + parent, identity)
    assert not matches_dns_name("*." + ".".join(labels), identity)
    assert not matches_dns_name("*." + ".".join(labels[2:]), identity)


@given(text=st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_text_is_an_identity_or_misuse(text: str) -> None:
    try:
        identity = reference_identity(text)
    except Misuse:
        return
    if isinstance(identity, bytes):
        assert ipaddress.ip_address(text.strip("[]")).packed == identity
    else:
        assert identity == text.lower().removesuffix(".")
        assert identity.isascii()

"""The small parsers of the engines over a library: a ClientHello's extensions, a certificate's names."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mungos.errors import Malformed
from mungos.tls.engines.foreign.certificate_names import covers, dns_names
from mungos.tls.engines.foreign.client_hello import FirstMessage, Offer, parse_client_hello
from mungos.tls.engines.foreign.records import HeldRecords
from tests.tls.conftest import Authority

SPOKEN = (0x0304, 0x0303)
"""The versions of TLS that the context below lists."""


def client_hello(name: str | None = "host.example", alpn: tuple[str, ...] = ("h2", "http/1.1")) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()[5:]


def by_hand(*extensions: tuple[int, bytes]) -> bytes:
    """RFC 8446 section 4.1.2, each length by hand."""
    body = b"".join(
        kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for kind, data in extensions
    )
    message = (
        b"\x03\x03"
        + bytes(32)
        + b"\x00"
        + b"\x00\x02\x13\x01"
        + b"\x01\x00"
        + len(body).to_bytes(2, "big")
        + body
    )
    return b"\x01" + len(message).to_bytes(3, "big") + message


def test_known_answer_by_hand() -> None:
    name = b"\x00\x0e\x00\x00\x0bExample.ORG"
    alpn = b"\x00\x0c\x02h2\x08http/1.1"
    assert parse_client_hello(by_hand((0, name), (16, alpn))) == Offer("example.org", (b"h2", b"http/1.1"))


def test_what_openssl_sends() -> None:
    assert parse_client_hello(client_hello()) == Offer("host.example", (b"h2", b"http/1.1"), SPOKEN)
    assert parse_client_hello(client_hello(None, ())) == Offer(versions=SPOKEN)


def test_no_extensions_at_all() -> None:
    message = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    assert parse_client_hello(b"\x01" + len(message).to_bytes(3, "big") + message) == Offer()


def test_name_that_is_not_ascii_is_no_name() -> None:
    assert parse_client_hello(by_hand((0, b"\x00\x05\x00\x00\x02\xff\xfe"))) == Offer()


def test_truncated_at_every_byte() -> None:
    hello = client_hello()
    for cut in range(4, len(hello)):
        if cut == 4 + 2 + 32 + 1 + hello[38] + 2 + int.from_bytes(hello[39 + hello[38] : 41 + hello[38]]) + 2:
            assert parse_client_hello(hello[:cut]) == Offer()  # exactly before the extensions
            continue
        with pytest.raises(Malformed):
            parse_client_hello(hello[:cut])


@given(st.binary(max_size=400), st.data())
def test_mutations_end_in_an_offer_or_malformed(junk: bytes, data: st.DataObject) -> None:
    hello = bytearray(by_hand((0, b"\x00\x0e\x00\x00\x0bexample.org"), (16, b"\x00\x03\x02h2"), (99, junk)))
    hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    try:
        offer = parse_client_hello(bytes(hello))
    except Malformed:
        return
    assert isinstance(offer, Offer)


def test_first_message_over_records() -> None:
    hello = client_hello()
    first = FirstMessage()
    offer = None
    for at in range(0, len(hello), 50):
        part = hello[at : at + 50]
        offer = first.add(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part)
        assert (offer is None) is (at + 50 < len(hello))
    assert offer == Offer("host.example", (b"h2", b"http/1.1"), SPOKEN)
    assert len(first.records) == len(hello) + 5 * -(-len(hello) // 50)


@pytest.mark.parametrize(
    "record",
    [
        b"\x17\x03\x03\x00\x01x",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"G",
    ],
)
def test_first_message_that_is_none_is_left_to_openssl(record: bytes) -> None:
    first = FirstMessage()
    assert first.add(record) == Offer()
    assert first.records == record


def test_names_of_a_certificate(authority: Authority) -> None:
    leaf = authority.leaf("One.example", "*.two.example", "10.0.0.1", "mail@example.org")
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    assert dns_names(der) == ("one.example", "*.two.example")
    for cut in range(len(der)):
        assert dns_names(der[:cut]) == ()


@given(st.binary(max_size=200))
def test_names_of_junk(junk: bytes) -> None:
    assert isinstance(dns_names(junk), tuple)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a.example", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", False),
        ("*.example", "example", False),
        ("*.example", ".example", True),
        ("*", "localhost", False),
        ("a*.example", "ab.example", False),
    ],
)
def test_covers(pattern: str, name: str, expected: bool) -> None:
    assert covers(pattern, name) is expected


@given(st.lists(st.binary(max_size=30), max_size=6), st.data())
def test_records_come_out_as_they_went_in(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(b"\x17\x03\x03" + len(each).to_bytes(2, "big") + each for each in contents)
    held = HeldRecords()
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        held.append(stream[:size])
        stream = stream[size:]
        while held.ready and data.draw(st.booleans()):
            found.append(held.next())
    while held.ready:
        found.append(held.next())
    assert [record[5:] for record in found] == contents
    assert len(held) == 0


@given(st.binary(min_size=1, max_size=60), st.data())
def test_junk_after_records_counts_as_ready(junk: bytes, data: st.DataObject) -> None:
    good = b"\x17\x03\x03\x00\x01x"
    held = HeldRecords()
    stream = good * 2 + b"\x00" + junk
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        held.append(stream[:size])
        stream = stream[size:]
    assert held.ready == len(held)
    assert held.next() == held.next() == good
    assert held.at_foreign
    assert held.next() == b"\x00" + junk
    held.append(b"more")
    assert held.at_foreign
    assert held.next() == b"more"


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        ((16, b"\x00\x03\x03h2"), "a protocol's name of 3 bytes, 2 bytes left"),
        ((16, b"\x00\x01\x01"), "a protocol's name of 1 bytes, 0 bytes left"),
        ((43, b"\x03\x03\x04\x03"), "3 bytes are no list of versions"),
    ],
)
def test_lists_that_do_not_fit_their_lengths(extension: tuple[int, bytes], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse_client_hello(by_hand(extension))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_an_extension_that_ends_behind_the_others(size: int) -> None:
    hello = by_hand((99, b""), (99, b"abcd"))
    # The block's own length is right: the last extension says that it is longer, or has no room for a length.
    whole = hello[:45] + (4 + size).to_bytes(2, "big") + hello[47 : 51 + size]
    with pytest.raises(Malformed, match=f"an extension of which {size} bytes are there"):
        parse_client_hello(whole)

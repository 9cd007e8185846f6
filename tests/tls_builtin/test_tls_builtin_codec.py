"""Reading and writing messages: what is packed is parsed again; whatever does not fit is a DecodeError."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed, Misuse, PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.engines.builtin import faults
from mungos.tls.engines.builtin.codec import Reader, Writer
from mungos.tls.engines.builtin.faults import DecodeError, IllegalParameter, alert_for
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    Context,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from mungos.tls.engines.builtin.messages import extensions as ext
from mungos.tls.engines.builtin.messages.registry import ALLOWED, HELLO_RETRY_RANDOM
from mungos.x509 import errors as x509_errors

UNKNOWN = st.integers(60, 0xFFFF)


def blocks(context: Context) -> st.SearchStrategy[ext.Extensions]:
    known = [code for code, contexts in ALLOWED.items() if context in contexts and code != 41]
    codes = st.one_of(UNKNOWN, st.sampled_from(known)) if known else UNKNOWN
    return st.dictionaries(codes, st.binary(max_size=30), max_size=5)


RANDOM = st.binary(min_size=32, max_size=32)
SESSION_ID = st.binary(max_size=32)
UINT16 = st.integers(0, 0xFFFF)
UINT32 = st.integers(0, 0xFFFFFFFF)
MESSAGES = st.one_of(
    st.builds(ClientHello, RANDOM, SESSION_ID, st.lists(UINT16, min_size=1, max_size=9), blocks(Context.CH)),
    st.builds(ServerHello, RANDOM, SESSION_ID, UINT16, blocks(Context.SH)),
    st.builds(ServerHello, st.just(HELLO_RETRY_RANDOM), SESSION_ID, UINT16, blocks(Context.HRR)),
    st.builds(EncryptedExtensions, blocks(Context.EE)),
    st.builds(CertificateRequest, st.binary(max_size=255), blocks(Context.CR)),
    st.builds(
        Certificate,
        st.binary(max_size=20),
        st.lists(
            st.builds(CertificateEntry, st.binary(min_size=1, max_size=50), blocks(Context.CT)), max_size=4
        ),
    ),
    st.builds(CertificateVerify, UINT16, st.binary(max_size=80)),
    st.builds(
        NewSessionTicket,
        UINT32,
        UINT32,
        st.binary(max_size=255),
        st.binary(min_size=1, max_size=60),
        blocks(Context.NST),
    ),
    st.builds(KeyUpdate, st.booleans()),
    st.builds(EndOfEarlyData),
)


@settings(max_examples=200)
@given(MESSAGES)
def test_packed_and_parsed_again(message: ClientHello) -> None:
    packed = message.pack()
    assert int.from_bytes(packed[1:4], "big") == len(packed) - 4
    assert type(message).parse(packed[4:]) == message
    assert type(message).parse(packed[4:]).pack() == packed


@settings(max_examples=100)
@given(MESSAGES)
def test_cut_at_every_byte_and_one_too_many(message: ClientHello) -> None:
    body = message.pack()[4:]
    for cut in range(len(body)):
        try:
            parsed = type(message).parse(body[:cut])
        except (DecodeError, IllegalParameter):
            continue
        # A hello of TLS 1.2 may end before its extensions.
        assert type(message) in (ClientHello, ServerHello)
        assert parsed.extensions == {}
    with pytest.raises(ProtocolError):
        type(message).parse(body + b"\0")


@settings(max_examples=200)
@given(
    st.sampled_from(
        [
            ClientHello,
            ServerHello,
            EncryptedExtensions,
            CertificateRequest,
            Certificate,
            CertificateVerify,
            NewSessionTicket,
            KeyUpdate,
            EndOfEarlyData,
        ]
    ),
    st.binary(max_size=200),
)
def test_junk_is_parsed_or_refused(kind: type[ClientHello], junk: bytes) -> None:
    try:
        parsed = kind.parse(junk)
    except ProtocolError:
        return
    if kind not in (ClientHello, ServerHello):
        assert parsed.pack()[4:] == junk


PARSERS: list[Callable[[bytes], object]] = [
    lambda body: ext.parse_uint16(body, "x"),
    lambda body: ext.parse_uint32(body, "x"),
    lambda body: ext.parse_empty(body, "x"),
    lambda body: ext.parse_uint16s(body, "x"),
    ext.parse_versions,
    ext.parse_psk_modes,
    ext.parse_cookie,
    ext.parse_server_name,
    ext.parse_alpn,
    ext.parse_single_alpn,
    ext.parse_key_shares,
    ext.parse_key_share,
    ext.parse_offered_psks,
]


@settings(max_examples=200)
@given(st.sampled_from(PARSERS), st.binary(max_size=60))
def test_junk_in_extensions(parse: Callable[[bytes], object], junk: bytes) -> None:
    try:
        parse(junk)
    except (DecodeError, IllegalParameter):
        return


@given(st.lists(st.binary(min_size=1, max_size=255), min_size=1, max_size=5))
def test_alpn_round_trip(names: list[bytes]) -> None:
    assert ext.parse_alpn(ext.pack_alpn(names)) == names


@given(st.dictionaries(UINT16, st.binary(min_size=1, max_size=99), max_size=5))
def test_key_shares_round_trip(shares: dict[int, bytes]) -> None:
    assert ext.parse_key_shares(ext.pack_key_shares(list(shares.items()))) == shares


@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=50), UINT32, st.binary(min_size=32, max_size=48)),
        min_size=1,
        max_size=4,
    )
)
def test_offered_psks_round_trip(psks: list[tuple[bytes, int, bytes]]) -> None:
    offer = ext.OfferedPsks(
        [ext.PskIdentity(identity, age) for identity, age, _ in psks], [binder for _, _, binder in psks]
    )
    packed = ext.pack_offered_psks(offer)
    parsed = ext.parse_offered_psks(packed)
    assert (parsed.identities, parsed.binders) == (offer.identities, offer.binders)
    assert parsed.binders_length == 2 + sum(1 + len(binder) for binder in offer.binders)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (ext.pack_server_name("localhost"), "localhost"),
        (ext.pack_server_name("A.Example"), "a.example"),
        (b"\0\4\7\0\1x", None),
    ],
)
def test_server_name(body: bytes, name: str | None) -> None:
    assert ext.parse_server_name(body) == name


@pytest.mark.parametrize("name", ["a b", "a\x7f", "a\0", "x" * 254, "caf\xe9"])
def test_server_name_that_is_none(name: str) -> None:
    raw = name.encode("latin-1")
    body = (len(raw) + 3).to_bytes(2, "big") + b"\0" + len(raw).to_bytes(2, "big") + raw
    with pytest.raises(IllegalParameter):
        ext.parse_server_name(body)


@pytest.mark.parametrize("context", list(Context))
def test_rfc8446_4_2_each_extension_in_each_message(context: Context) -> None:
    for code, contexts in ALLOWED.items():
        writer = Writer()
        ext.pack_extensions(writer, {code: b""})
        reader = Reader(writer.getvalue(), "x")
        if context in contexts:
            assert ext.parse_extensions(reader, context) == {code: b""}
        else:
            with pytest.raises(IllegalParameter, match="does not belong"):
                ext.parse_extensions(reader, context)


def test_finished_has_the_length_of_the_hash() -> None:
    assert Finished.parse(bytes(32), 32).pack() == b"\x14\0\0\x20" + bytes(32)
    for length in (0, 31, 33, 48):
        with pytest.raises(DecodeError):
            Finished.parse(bytes(length), 32)


def test_reader_says_where_and_how_much() -> None:
    with pytest.raises(DecodeError, match=r"Thing\.list: 5 bytes wanted, 2 bytes are left"):
        Reader(b"\0\5ab", "Thing").block(2, "list")
    with pytest.raises(DecodeError, match=r"Thing\.list: 2 bytes, must be 3 to 4 bytes"):
        Reader(b"\0\2ab", "Thing").block(2, "list", 3, 4)
    with pytest.raises(DecodeError, match="3 bytes are not a multiple of 2 bytes"):
        Reader(b"\0\3abc", "Thing").uints(2, 2, "list")
    with pytest.raises(DecodeError, match="2 bytes are left over"):
        Reader(b"ab", "Thing").close()


def test_writer_refuses_what_does_not_fit() -> None:
    with pytest.raises(Misuse, match="256 bytes"):
        Writer().vector(1, bytes(256))


# Errors and alerts


def test_every_fault_has_an_alert_of_its_own_class() -> None:
    for name in faults.__all__:
        kind = getattr(faults, name)
        if isinstance(kind, type):
            assert kind in faults.ALERTS, name
            assert issubclass(kind, Malformed | PeerMisbehaved | PeerIncompatible)


def test_alert_map_is_total() -> None:
    assert alert_for(Malformed("x")) is Alert.decode_error
    assert alert_for(PeerMisbehaved("x")) is Alert.illegal_parameter
    assert alert_for(PeerIncompatible("x")) is Alert.handshake_failure
    assert alert_for(ProtocolError("x")) is Alert.internal_error
    for name in x509_errors.__all__:
        kind = getattr(x509_errors, name)
        assert alert_for(kind("x")) is Alert[kind.alert]


@pytest.mark.parametrize("code", [*Alert, 41, 255])
def test_received_alerts_are_blamed(code: int) -> None:
    error = faults.received(code, "name")
    assert isinstance(error, PeerIncompatible if code in faults.REFUSALS else PeerMisbehaved)
    assert "name" in str(error)

"""Certificate compression (RFC 8879)."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed, PeerMisbehaved
from mungos.tls import ClientConfig, Credential, ServerConfig
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.engines.builtin.codec import Writer
from mungos.tls.engines.builtin.faults import BadCompression, DecodeError, IllegalParameter
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType, HandshakeType
from mungos.tls.engines.builtin.messages.compression import (
    MAX_CERTIFICATE,
    OFFER_ZLIB,
    compressed,
    inflated,
    parse_algorithms,
    takes_zlib,
)
from mungos.tls.engines.builtin.messages.registry import frame
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, Hook, factory, hooked_client, hooked_server, only, pump


@pytest.fixture
def compressing(client_config: ClientConfig) -> ClientConfig:
    return replace(client_config, compress_certificates=True)


@pytest.fixture
def squeezing(credential: Credential) -> ServerConfig:
    # Twice the same chain, so that there is something to compress.
    return ServerConfig((replace(credential, chain=credential.chain * 2),), compress_certificates=True)


def kinds(config: ClientConfig, server: ServerConfig) -> tuple[list[int], list[int], End, End]:
    """The types of the messages that each side sends."""
    sent: tuple[list[int], list[int]] = [], []

    def watch(place: int) -> Hook:
        def hook(message: bytes) -> bytes:
            sent[place].append(message[0])
            return message

        return hook

    client, end = hooked_client(config, watch(0)), hooked_server(server, watch(1))
    pump(client, end)
    return *sent, client, end


def test_off_by_default(client_config: ClientConfig, server_config: ServerConfig) -> None:
    assert not ClientConfig().compress_certificates
    assert not ServerConfig().compress_certificates
    _, sent, _, _ = kinds(client_config, server_config)
    assert HandshakeType.compressed_certificate not in sent


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize("server", [True, False])
def test_only_where_both_speak_it(
    client_config: ClientConfig, squeezing: ServerConfig, client: bool, server: bool
) -> None:
    _, sent, one, other = kinds(
        replace(client_config, compress_certificates=client), replace(squeezing, compress_certificates=server)
    )
    assert one.established
    assert other.established
    assert one.engine.negotiated is not None
    assert len(one.engine.negotiated.peer_chain) == 2
    both = client and server
    assert (HandshakeType.compressed_certificate in sent) is both
    assert (HandshakeType.certificate in sent) is not both


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize("server", [True, False])
def test_certificate_of_a_client(
    authority: Authority,
    client_config: ClientConfig,
    client_credential: Credential,
    squeezing: ServerConfig,
    client: bool,
    server: bool,
) -> None:
    shown = replace(client_credential, chain=client_credential.chain * 2)
    config = replace(client_config, compress_certificates=client, credential=shown)
    asking = replace(
        squeezing, compress_certificates=server, client_auth="required", client_roots=authority.roots
    )
    sent, _, one, other = kinds(config, asking)
    assert other.established, other.events
    assert other.engine.negotiated is not None
    assert len(other.engine.negotiated.peer_chain) == 2
    assert (HandshakeType.compressed_certificate in sent) is (client and server)
    assert one.established


def test_staple_inside(compressing: ClientConfig, squeezing: ServerConfig) -> None:
    stapled = replace(squeezing.credentials[0], staple=bytes(500))
    _, sent, client, _ = kinds(
        replace(compressing, ask_staple=True), replace(squeezing, credentials=(stapled,))
    )
    assert HandshakeType.compressed_certificate in sent
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.ocsp_staple == bytes(500)


def test_what_would_grow_is_not_compressed(compressing: ClientConfig, credential: Credential) -> None:
    """Not every certificate shrinks; ours is shown in whichever form is shorter."""
    end = factory().server(ServerConfig((credential,), compress_certificates=True))
    loaded = end._prepared.credentials[0]  # type: ignore[union-attr]
    plain, packed = loaded.message(), loaded.message(packed=True)
    assert len(packed) <= len(plain)
    assert loaded.message(packed=True) is packed
    assert loaded.message(stapled=True) == plain


# The server's choice


@pytest.mark.parametrize(
    ("body", "takes"),
    [
        (OFFER_ZLIB, True),
        (b"\6\0\2\0\3\0\1", True),
        (b"\4\0\2\0\3", False),
        (b"\2\x0a\x0a", False),
    ],
)
def test_rfc8879_3_offers(body: bytes, takes: bool) -> None:
    assert takes_zlib(body) is takes
    assert not takes_zlib(None)
    assert parse_algorithms(OFFER_ZLIB) == [1]


@pytest.mark.parametrize("body", [b"", b"\0", b"\1\0", b"\3\0\1\0", b"\2\0", b"\2\0\1x"])
def test_rfc8879_3_malformed_offers(
    client_config: ClientConfig, squeezing: ServerConfig, body: bytes
) -> None:
    with pytest.raises(DecodeError):
        parse_algorithms(body)

    def offer(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        parsed.extensions[ExtensionType.compress_certificate] = body
        return parsed.pack()

    server = End(factory().server(squeezing))
    pump(hooked_client(client_config, only(HandshakeType.client_hello, offer)), server)
    assert server.failure.alert is Alert.decode_error


# What is refused


def packed(algorithm: int, length: int, content: bytes) -> bytes:
    writer = Writer()
    writer.uint(2, algorithm)
    writer.uint(3, length)
    writer.vector(3, content)
    return frame(HandshakeType.compressed_certificate, writer.getvalue())


def repacked(change: str) -> Hook:
    """A server's certificate, compressed, and what is wrong with it."""

    def alter(message: bytes) -> bytes:
        body = message[4:]
        content = zlib.compress(body)
        match change:
            case "algorithm":
                return packed(2, len(body), content)
            case "longer than it says":
                return packed(1, len(body) - 1, content)
            case "shorter than it says":
                return packed(1, len(body) + 1, content)
            case "nothing, it says":
                return packed(1, 0, content)
            case "cut":
                return packed(1, len(body), content[:-1])
            case "more behind it":
                return packed(1, len(body), content + b"x")
            case "no zlib":
                return packed(1, len(body), b"what is this?")
            case "bad checksum":
                return packed(1, len(body), content[:-4] + bytes(4))
            case "empty":
                return packed(1, len(body), b"")
            case "over the limit":
                return packed(1, MAX_CERTIFICATE + 1, zlib.compress(bytes(MAX_CERTIFICATE + 1)))
            case "bomb":
                return packed(1, len(body), zlib.compress(bytes(20_000_000), 9))
            case _:
                return packed(1, 1, zlib.compress(b"x"))

    return only(HandshakeType.certificate, alter)


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        ("algorithm", Alert.illegal_parameter),
        ("longer than it says", Alert.bad_certificate),
        ("shorter than it says", Alert.bad_certificate),
        ("nothing, it says", Alert.bad_certificate),
        ("cut", Alert.bad_certificate),
        ("more behind it", Alert.bad_certificate),
        ("no zlib", Alert.bad_certificate),
        ("bad checksum", Alert.bad_certificate),
        ("empty", Alert.decode_error),
        ("over the limit", Alert.bad_certificate),
        ("bomb", Alert.bad_certificate),
        ("no certificate", Alert.decode_error),
    ],
)
def test_rfc8879_4_what_a_server_may_not_send(
    compressing: ClientConfig, server_config: ServerConfig, change: str, alert: Alert
) -> None:
    client = End(factory().client(compressing, "localhost"))
    server = hooked_server(server_config, repacked(change))
    pump(client, server)
    assert client.failure.alert is alert
    assert server.failure.alert is alert
    assert isinstance(client.failure.error, PeerMisbehaved | Malformed)


def test_rfc8879_4_compressed_without_being_offered(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(server_config, only(HandshakeType.certificate, compressed)))
    assert client.failure.alert is Alert.unexpected_message


def test_rfc8879_4_refused_by_its_header(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """What was not offered is not collected first."""
    half = frame(HandshakeType.compressed_certificate, bytes(30_000))[:100]
    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(server_config, only(HandshakeType.certificate, lambda _message: half)))
    assert client.failure.alert is Alert.unexpected_message


@pytest.mark.parametrize(("asked", "alert"), [(True, None), (False, Alert.unexpected_message)])
def test_rfc8879_4_client_s_certificate_compressed(
    authority: Authority,
    client_config: ClientConfig,
    client_credential: Credential,
    server_config: ServerConfig,
    asked: bool,
    alert: Alert | None,
) -> None:
    config = replace(client_config, credential=client_credential)
    server = End(
        factory().server(
            replace(
                server_config,
                compress_certificates=asked,
                client_auth="required",
                client_roots=authority.roots,
            )
        )
    )
    pump(hooked_client(config, only(HandshakeType.certificate, compressed)), server)
    if alert is None:
        assert server.established
    else:
        assert server.failure.alert is alert


def test_inflation_stops_at_what_it_says() -> None:
    """Memory is bounded before anything is inflated."""
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(BadCompression):
        inflated(packed(1, 100, bomb)[4:])
    with pytest.raises(BadCompression, match="limit"):
        inflated(packed(1, MAX_CERTIFICATE + 1, bomb)[4:])
    assert inflated(packed(1, MAX_CERTIFICATE, zlib.compress(bytes(MAX_CERTIFICATE)))[4:]) == bytes(
        MAX_CERTIFICATE
    )


@given(st.binary(max_size=2000), st.binary(min_size=1, max_size=30), st.integers(0, 2000))
@settings(max_examples=150, deadline=None)
def test_any_change_ends_in_a_typed_error(body: bytes, noise: bytes, at: int) -> None:
    message = compressed(frame(HandshakeType.certificate, body))
    assert inflated(message[4:]) == body
    changed = bytearray(message[4:])
    changed[at : at + len(noise)] = noise
    if bytes(changed) == message[4:]:
        return
    try:
        found = inflated(bytes(changed))
    except (BadCompression, DecodeError, IllegalParameter):
        return
    # Another compression of the same.
    assert len(found) == int.from_bytes(changed[2:5], "big")


@given(st.binary(max_size=500))
@settings(max_examples=30, deadline=None)
def test_truncation_at_every_byte(body: bytes) -> None:
    message = compressed(frame(HandshakeType.certificate, body))[4:]
    for cut in range(len(message)):
        with pytest.raises(DecodeError):
            inflated(message[:cut])

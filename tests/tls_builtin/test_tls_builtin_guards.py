"""What only a mistake of our own could lead to, and small refusals that no conversation comes by easily."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Misuse, PeerMisbehaved
from mungos.tls import ClientConfig, Credential, ServerConfig, SessionCache, TicketKeys
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.engines.builtin import BuiltinEngine
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.client_psks import OfferedPsk
from mungos.tls.engines.builtin.codec import Reader
from mungos.tls.engines.builtin.credentials import choose_scheme, load_credential
from mungos.tls.engines.builtin.faults import DecodeError
from mungos.tls.engines.builtin.key_schedule import EarlyStage, Kdf, Transcript
from mungos.tls.engines.builtin.messages import ClientHello, Context, ExtensionType, HandshakeType, KeyUpdate
from mungos.tls.engines.builtin.messages.extensions import (
    parse_extensions,
    parse_psk_modes,
    parse_uint16s,
    parse_versions,
)
from mungos.tls.engines.builtin.server import ServerHandshake
from mungos.tls.engines.builtin.tickets import TicketState
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import WALL, End, factory, hooked_client, meet, only, pump


def client_handshake(config: ClientConfig) -> ClientHandshake:
    engine = factory().client(config, "localhost")
    assert isinstance(engine._handshake, ClientHandshake)
    return engine._handshake


def server_handshake(config: ServerConfig) -> ServerHandshake:
    engine = factory().server(config)
    assert isinstance(engine._handshake, ServerHandshake)
    return engine._handshake


@pytest.mark.parametrize("kind", [0, HandshakeType.finished, HandshakeType.key_update, 255])
def test_message_out_of_turn_is_refused_by_the_handshake_itself(
    client_config: ClientConfig, server_config: ServerConfig, kind: int
) -> None:
    for handshake in (client_handshake(client_config), server_handshake(server_config)):
        before = handshake.state
        with pytest.raises(PeerMisbehaved, match=f"type {kind} in state"):
            handshake.handle(kind, bytes((kind, 0, 0, 0)))
        assert handshake.state is before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda handshake: handshake._certificate_verify(b"\x0f\0\0\0"), "before a key is known"),
        (lambda handshake: handshake._finished(b"\x14\0\0\0"), "no cipher suite"),
        (lambda handshake: handshake.agreed(), "no cipher suite"),
    ],
)
@pytest.mark.parametrize("role", ["client", "server"])
def test_steps_out_of_order_are_misuse(
    client_config: ClientConfig,
    server_config: ServerConfig,
    role: str,
    call: Callable[[ClientHandshake | ServerHandshake], object],
    words: str,
) -> None:
    handshake: ClientHandshake | ServerHandshake
    handshake = client_handshake(client_config) if role == "client" else server_handshake(server_config)
    with pytest.raises(Misuse, match=words):
        call(handshake)


def test_finished_before_the_key_exchange_is_misuse(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    for handshake in (client_handshake(client_config), server_handshake(server_config)):
        suite = handshake.prepared.suites[0]
        handshake.suite, handshake.kdf = suite, handshake.prepared.kdfs[suite.hash]
        with pytest.raises(Misuse, match="before the key exchange"):
            handshake._finished(b"\x14\0\0\0")


def test_second_hello_without_a_retry_is_misuse(server_config: ServerConfig) -> None:
    with pytest.raises(Misuse, match="HelloRetryRequest"):
        server_handshake(server_config)._second_client_hello(b"\1\0\0\0")


def test_certificate_without_roots_or_name_is_misuse(
    authority: Authority, client_config: ClientConfig, server_config: ServerConfig, credential: Credential
) -> None:
    loaded = load_credential(credential, CryptographyProvider())
    client = client_handshake(client_config)
    client._server_name = None
    with pytest.raises(Misuse, match="without a name"):
        client._certificate(loaded.message())
    with pytest.raises(Misuse, match="client_roots"):
        server_handshake(server_config)._certificate(loaded.message())


def test_early_data_without_a_ticket_is_misuse(client_config: ClientConfig) -> None:
    handshake = client_handshake(client_config)
    kdf = handshake.prepared.kdfs["sha256"]
    handshake._psks = [OfferedPsk(b"x", kdf, b"ext binder", EarlyStage(kdf, bytes(32)))]
    with pytest.raises(Misuse, match="without a ticket"):
        handshake._begin_early_data()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda engine: engine._key_update(KeyUpdate(False)), "KeyUpdate before"),
        (lambda engine: engine.update_keys(requested=False), "keys can't be updated"),
        (lambda engine: engine.send_early_again(), "without a key"),
    ],
)
def test_keys_before_there_are_any_are_misuse(
    client_config: ClientConfig, call: Callable[[BuiltinEngine], object], words: str
) -> None:
    with pytest.raises(Misuse, match=words):
        call(factory().client(client_config, "localhost"))


def test_transcript_has_one_hash() -> None:
    transcript = Transcript(CryptographyProvider())
    with pytest.raises(Misuse, match="no hash was chosen"):
        transcript.digest()
    transcript.choose("sha256")
    transcript.choose("sha256")
    with pytest.raises(Misuse, match="hashed with sha256"):
        transcript.choose("sha384")
    with pytest.raises(Misuse, match="hashed with sha256"):
        transcript.digest_with("sha384", b"")
    assert transcript.digest_with("sha256", b"") == transcript.digest()


def test_longest_label() -> None:
    kdf = Kdf(CryptographyProvider(), "sha256")
    assert len(kdf.expand_label(bytes(32), b"x" * 249, b"", 32)) == 32
    with pytest.raises(Misuse, match="249 bytes"):
        kdf.expand_label(bytes(32), b"x" * 250, b"", 32)


def test_exporting_before_and_after(client_config: ClientConfig, server_config: ServerConfig) -> None:
    engine = factory().client(client_config, "localhost")
    with pytest.raises(Misuse, match="nothing can be exported"):
        engine.export(b"EXPERIMENTAL", b"", 32)
    client, server = meet(client_config, server_config)
    assert client.engine.channel_binding() == server.engine.channel_binding()
    client.engine.release()
    with pytest.raises(Misuse):
        client.engine.export(b"EXPERIMENTAL", b"", 32)


# Lists whose form is their length


@pytest.mark.parametrize(
    ("parse", "good", "values"),
    [
        (lambda body: parse_uint16s(body, "x"), b"\0\4\1\2\3\4", [0x0102, 0x0304]),
        (parse_versions, b"\4\3\4\3\3", [0x0304, 0x0303]),
        (parse_psk_modes, b"\2\1\0", [1, 0]),
    ],
)
def test_lists_of_numbers(parse: Callable[[bytes], list[int]], good: bytes, values: list[int]) -> None:
    assert parse(good) == values
    for cut in range(len(good)):
        with pytest.raises(DecodeError):
            parse(good[:cut])
    for bad in (good + b"x", good + b"xx", b"\0", b"\0\0", b"\xff\xff" + good[2:]):
        with pytest.raises(DecodeError):
            parse(bad)


def test_numbers_of_other_sizes() -> None:
    assert Reader(b"\6\0\0\1\0\0\2", "x").uints(1, 3, "list") == [1, 2]
    with pytest.raises(DecodeError, match="multiple of 3"):
        Reader(b"\4\0\0\1\0", "x").uints(1, 3, "list")


# Credentials


def test_certificate_that_can_t_be_read_is_misuse(credential: Credential) -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    with pytest.raises(Misuse, match="can't be used"):
        load_credential(replace(credential, chain=broken), CryptographyProvider())


def test_key_without_a_scheme_of_tls_1_3_is_misuse(
    credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = CryptographyProvider().private_key(credential.key)
    monkeypatch.setattr(
        CryptographyProvider,
        "private_key",
        lambda self, pem: type("Key", (), {"public": key.public, "schemes": (), "kind": "odd"}),
    )
    with pytest.raises(Misuse, match="no signature scheme"):
        load_credential(credential, CryptographyProvider())


def test_key_of_another_certificate_is_misuse(authority: Authority, credential: Credential) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(Misuse, match="does not belong"):
        load_credential(replace(credential, key=pem), CryptographyProvider())


def test_scheme_that_the_peer_does_not_accept(credential: Credential) -> None:
    loaded = load_credential(credential, CryptographyProvider())
    assert choose_scheme(loaded, {0x0804}) is None
    assert choose_scheme(loaded, {0x0804, 0x0403}) == "ecdsa_secp256r1_sha256"


def test_credential_from_files(tmp_path: Path, credential: Credential) -> None:
    chain, key = tmp_path / "chain", tmp_path / "key"
    chain.write_bytes(credential.chain)
    with pytest.raises(FileNotFoundError):
        Credential.from_files(chain, key)
    key.write_bytes(credential.key)
    found = Credential.from_files(chain, str(key))
    assert (found.chain, found.key) == (credential.chain, credential.key)
    assert credential.key.decode() not in repr(found)


# Tickets


def test_ticket_of_another_format() -> None:
    packed = TicketState(0x1301, bytes(32), 1.0).pack()
    assert TicketState.parse(packed).psk == bytes(32)
    with pytest.raises(DecodeError, match="format"):
        TicketState.parse(b"\1" + packed[1:])
    for cut in range(len(packed)):
        with pytest.raises(DecodeError):
            TicketState.parse(packed[:cut])


def test_everything_in_a_ticket_comes_back() -> None:
    state = TicketState(
        0x1302, bytes(48), 12.345, (b"leaf", b"issuer"), b"lamp", 0xFFFFFFFF, 0xFFFFFFFF, "h2", "localhost"
    )
    assert TicketState.parse(state.pack()) == state


@pytest.mark.parametrize(("size", "kept"), [(0xFFFF, 2), (0x10000, 0)])
def test_ticket_too_large_for_its_message(
    client_config: ClientConfig,
    server_config: ServerConfig,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    kept: int,
) -> None:
    """A client's chain may make it so. The session goes on; it can't be resumed."""
    monkeypatch.setattr("mungos.tls.engines.builtin.server.seal_ticket", lambda *_: bytes(size))
    sessions = SessionCache(ticket_bytes=1 << 20)
    config = replace(client_config, sessions=sessions, wall=lambda: WALL)
    client, server = meet(config, replace(server_config, tickets=TicketKeys(), wall=lambda: WALL))
    assert server.established
    assert not client.failed
    assert len(sessions) == kept


def test_tickets_of_who_is_trusted_no_more(
    authority: Authority, credential: Credential, client_credential: Credential
) -> None:
    config = ClientConfig(
        roots=authority.roots, credential=client_credential, sessions=SessionCache(), wall=lambda: WALL
    )
    server = ServerConfig(
        (credential,),
        client_auth="optional",
        client_roots=authority.roots,
        tickets=TicketKeys(),
        wall=lambda: WALL,
    )
    meet(config, server)
    client, _ = meet(config, replace(server, client_roots=trustme.CA().cert_pem.bytes()), seed=1)
    assert client.failure.alert is Alert.unknown_ca


# A ClientHello with too little in it


@pytest.mark.parametrize(
    ("code", "alert"),
    [
        (ExtensionType.supported_groups, Alert.missing_extension),
        (ExtensionType.key_share, Alert.missing_extension),
        (ExtensionType.signature_algorithms, Alert.missing_extension),
        (ExtensionType.supported_versions, Alert.protocol_version),
    ],
)
def test_rfc8446_9_2_what_a_hello_must_hold(
    client_config: ClientConfig, server_config: ServerConfig, code: int, alert: Alert
) -> None:
    def forget(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        del parsed.extensions[code]
        return parsed.pack()

    server = End(factory().server(server_config))
    pump(hooked_client(client_config, only(HandshakeType.client_hello, forget)), server)
    assert server.failure.alert is alert


def test_schemes_are_missed_before_another_share_is_asked_for(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def forget(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        del parsed.extensions[ExtensionType.signature_algorithms]
        parsed.extensions[ExtensionType.key_share] = b"\0\0"
        return parsed.pack()

    client = hooked_client(client_config, only(HandshakeType.client_hello, forget))
    server = End(factory().server(server_config))
    server.give(client.take())
    server.pull()
    assert server.failure.alert is Alert.missing_extension


@pytest.mark.parametrize("body", [b"", b"x", b"xx"])
def test_extension_that_is_cut_at_the_end_of_its_block(body: bytes) -> None:
    block = b"\x12\x34\0\3" + body
    with pytest.raises(DecodeError, match="3 bytes" if body else "bytes"):
        parse_extensions(Reader(len(block).to_bytes(2, "big") + block, "x"), Context.CH)


def test_unknown_names_in_a_configuration_are_misuse(
    client_config: ClientConfig,
) -> None:
    """Beside known ones, too."""
    with pytest.raises(Misuse, match="unknown group 'nonesuch'"):
        factory().client(replace(client_config, groups=("x25519", "nonesuch")), "localhost")
    with pytest.raises(Misuse, match="unknown cipher suite 'nonesuch'"):
        factory().client(replace(client_config, suites=("TLS_AES_128_GCM_SHA256", "nonesuch")), "localhost")

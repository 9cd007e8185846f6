"""GREASE (RFC 8701): values that mean nothing are sent, passed over, and never accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mungos.tls import ClientConfig, Credential, ServerConfig, SessionCache, TicketKeys
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.engines.builtin.first_hello import grease
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    ExtensionType,
    HandshakeType,
    NewSessionTicket,
    ServerHello,
)
from mungos.tls.engines.builtin.messages.extensions import (
    pack_alpn,
    parse_alpn,
    parse_key_shares,
    parse_psk_modes,
    parse_uint16s,
    parse_versions,
)
from mungos.tls.engines.builtin.records import ContentType
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import WALL, End, Hook, factory, hooked_client, hooked_server, meet, only, pump

VALUES = [0x0A0A + 0x1010 * nibble for nibble in range(16)]


def first_hello(config: ClientConfig, seed: int | str = 0) -> ClientHello:
    return ClientHello.parse(End(factory(seed).client(config, "localhost")).take()[9:])


@pytest.fixture
def config(client_config: ClientConfig) -> ClientConfig:
    return replace(client_config, alpn=("one",))


def test_rfc8701_2_the_reserved_values() -> None:
    assert [grease(nibble) for nibble in range(16)] == VALUES
    assert grease(16) == VALUES[0]
    assert VALUES[0] == 0x0A0A
    assert VALUES[-1] == 0xFAFA


def test_rfc8701_3_1_one_value_in_each_list(config: ClientConfig) -> None:
    hello = first_hello(config)
    extensions = hello.extensions
    assert hello.suites[0] in VALUES
    groups = parse_uint16s(extensions[ExtensionType.supported_groups], "")
    assert groups[0] in VALUES
    assert parse_uint16s(extensions[ExtensionType.signature_algorithms], "")[0] in VALUES
    assert parse_versions(extensions[ExtensionType.supported_versions])[0] in VALUES
    # Mbed TLS 3.6 refuses a mode that it does not know.
    assert parse_psk_modes(extensions[ExtensionType.psk_key_exchange_modes]) == [1]
    shares = parse_key_shares(extensions[ExtensionType.key_share])
    assert next(iter(shares)) == groups[0]
    assert shares[groups[0]] == b"\0"
    names = parse_alpn(extensions[ExtensionType.application_layer_protocol_negotiation])
    assert names[0] == b"one"
    assert int.from_bytes(names[1], "big") in VALUES
    greased = [code for code in extensions if code in VALUES]
    assert len(greased) == 2
    assert next(iter(extensions)) == greased[0]
    assert next(reversed(extensions)) == greased[1]
    assert [extensions[code] for code in greased] == [b"", b"\0"]


def test_values_are_chosen_at_random(config: ClientConfig) -> None:
    found = {first_hello(config, seed).suites[0] for seed in range(200)}
    assert found == set(VALUES)
    assert first_hello(config, 7) == first_hello(config, 7)


def test_off_where_it_is_not_wanted(config: ClientConfig) -> None:
    hello = first_hello(replace(config, grease=False))
    assert not any(code in VALUES for code in hello.extensions)
    assert not any(code in VALUES for code in hello.suites)
    names = parse_alpn(hello.extensions[ExtensionType.application_layer_protocol_negotiation])
    assert names == [b"one"]


def test_pre_shared_key_stays_the_last_extension(config: ClientConfig, credential: Credential) -> None:
    """RFC 8446 section 4.2.11."""
    sessions = SessionCache()
    config = replace(config, sessions=sessions, wall=lambda: WALL, alpn=())
    meet(config, ServerConfig((credential,), tickets=TicketKeys(count=1), wall=lambda: WALL))
    hello = first_hello(config)
    assert [*hello.extensions][-1] == ExtensionType.pre_shared_key
    assert [*hello.extensions][-2] in VALUES


@pytest.mark.parametrize("seed", range(16))
def test_every_form_completes_also_after_a_retry(
    config: ClientConfig, credential: Credential, seed: int
) -> None:
    engine = factory(seed).client(config, "localhost")
    prepared = engine._prepared
    prepared.forms = (prepared.forms[seed],)  # type: ignore[union-attr]
    for groups in (("x25519",), ("secp384r1",)):
        client = End(factory(seed).client(config, "localhost"))
        server = End(factory(1).server(ServerConfig((credential,), groups=groups, alpn=("one",))))
        pump(client, server)
        assert client.established
        assert server.established
        assert client.engine.negotiated is not None
        assert client.engine.negotiated.alpn == "one"


# The server passes over what it does not know


@pytest.mark.parametrize("value", [0x0A0A, 0xFAFA, 0x1234, 0xFF01])
def test_server_passes_over_unknown_values(
    client_config: ClientConfig, server_config: ServerConfig, value: int
) -> None:
    """In every list of a ClientHello, in front of what it knows (RFC 8701 section 3.2)."""
    number = value.to_bytes(2, "big")

    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        parsed.suites = [value, *parsed.suites]
        for code, prefix in (
            (ExtensionType.supported_groups, 2),
            (ExtensionType.signature_algorithms, 2),
            (ExtensionType.supported_versions, 1),
        ):
            body = number + parsed.extensions[code][prefix:]
            parsed.extensions[code] = len(body).to_bytes(prefix, "big") + body
        shares = number + b"\0\1x" + parsed.extensions[ExtensionType.key_share][2:]
        parsed.extensions[ExtensionType.key_share] = len(shares).to_bytes(2, "big") + shares
        parsed.extensions[ExtensionType.psk_key_exchange_modes] = b"\2\x0b\1"
        parsed.extensions[ExtensionType.compress_certificate] = b"\2" + number
        parsed.extensions[ExtensionType.application_layer_protocol_negotiation] = pack_alpn([number, b"two"])
        parsed.extensions = {value: b"anything", **parsed.extensions}
        return parsed.pack()

    client = hooked_client(
        replace(client_config, grease=False, alpn=("one", "two")), only(HandshakeType.client_hello, alter)
    )
    server = End(factory().server(replace(server_config, alpn=("two",))))
    pump(client, server)
    assert client.established, client.events
    assert server.established


# The client takes none of its own


def chosen(hook: Callable[[ClientHello], Hook], config: ClientConfig, server: ServerConfig) -> Alert | None:
    """The alert by which our client refuses a server that answers with what was offered as GREASE."""
    client = End(factory(3).client(config, "localhost"))
    stream = client.take()
    hello = ClientHello.parse(stream[9:])
    end = hooked_server(server, hook(hello))
    end.give(stream)
    client.give(end.take())
    pump(client, end)
    return client.failure.alert


def answer(change: Callable[[ServerHello, ClientHello], None]) -> Callable[[ClientHello], Hook]:
    def made(hello: ClientHello) -> Hook:
        def alter(message: bytes) -> bytes:
            parsed = ServerHello.parse(message[4:])
            change(parsed, hello)
            return parsed.pack()

        return only(HandshakeType.server_hello, alter)

    return made


def _suite(parsed: ServerHello, hello: ClientHello) -> None:
    parsed.suite = hello.suites[0]


def _version(parsed: ServerHello, hello: ClientHello) -> None:
    parsed.extensions[ExtensionType.supported_versions] = hello.suites[0].to_bytes(2, "big")


def _group(parsed: ServerHello, hello: ClientHello) -> None:
    parsed.extensions[ExtensionType.key_share] = hello.suites[0].to_bytes(2, "big") + b"\0\1\0"


def _extension(parsed: ServerHello, hello: ClientHello) -> None:
    parsed.extensions[next(iter(hello.extensions))] = b""


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        (_suite, Alert.illegal_parameter),
        (_version, Alert.illegal_parameter),
        (_group, Alert.illegal_parameter),
        (_extension, Alert.unsupported_extension),
    ],
)
def test_rfc8701_3_1_server_hello_with_grease(
    config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ServerHello, ClientHello], None],
    alert: Alert,
) -> None:
    assert chosen(answer(change), config, server_config) is alert


def _retry_group(parsed: ServerHello, hello: ClientHello) -> None:
    if parsed.is_retry:
        parsed.extensions[ExtensionType.key_share] = hello.suites[0].to_bytes(2, "big")


def _retry_extension(parsed: ServerHello, hello: ClientHello) -> None:
    if parsed.is_retry:
        _extension(parsed, hello)


@pytest.mark.parametrize(
    ("change", "alert"),
    [(_retry_group, Alert.illegal_parameter), (_retry_extension, Alert.unsupported_extension)],
)
def test_rfc8701_3_1_hello_retry_request_with_grease(
    config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ServerHello, ClientHello], None],
    alert: Alert,
) -> None:
    assert chosen(answer(change), config, replace(server_config, groups=("secp384r1",))) is alert


def _encrypted(name: str) -> Callable[[ClientHello], Hook]:
    def made(hello: ClientHello) -> Hook:
        def alter(message: bytes) -> bytes:
            parsed = EncryptedExtensions.parse(message[4:])
            if name == "extension":
                parsed.extensions[next(iter(hello.extensions))] = b""
            else:
                body = pack_alpn([hello.suites[0].to_bytes(2, "big")])
                parsed.extensions[ExtensionType.application_layer_protocol_negotiation] = body
            return parsed.pack()

        return only(HandshakeType.encrypted_extensions, alter)

    return made


@pytest.mark.parametrize(
    ("name", "alert"), [("extension", Alert.unsupported_extension), ("protocol", Alert.illegal_parameter)]
)
def test_rfc8701_3_1_encrypted_extensions_with_grease(
    config: ClientConfig, server_config: ServerConfig, name: str, alert: Alert
) -> None:
    assert chosen(_encrypted(name), config, replace(server_config, alpn=("one",))) is alert


def _certificate(hello: ClientHello) -> Hook:
    def alter(message: bytes) -> bytes:
        parsed = Certificate.parse(message[4:])
        parsed.entries[0].extensions[next(iter(hello.extensions))] = b""
        return parsed.pack()

    return only(HandshakeType.certificate, alter)


def _signature(hello: ClientHello) -> Hook:
    def alter(message: bytes) -> bytes:
        parsed = CertificateVerify.parse(message[4:])
        return CertificateVerify(hello.suites[0], parsed.signature).pack()

    return only(HandshakeType.certificate_verify, alter)


@pytest.mark.parametrize(
    ("hook", "alert"),
    [(_certificate, Alert.unsupported_extension), (_signature, Alert.illegal_parameter)],
)
def test_rfc8701_3_1_authentication_with_grease(
    config: ClientConfig,
    server_config: ServerConfig,
    hook: Callable[[ClientHello], Hook],
    alert: Alert,
) -> None:
    assert chosen(hook, config, replace(server_config, alpn=("one",))) is alert


# The client passes over what a server sends so (section 4)


def test_rfc8701_4_certificate_request_and_ticket_with_grease(
    authority: Authority,
    client_config: ClientConfig,
    server_config: ServerConfig,
    client_credential: Credential,
) -> None:
    asking = replace(server_config, client_auth="required", client_roots=authority.roots)
    config = replace(client_config, credential=client_credential, sessions=SessionCache())

    def alter(message: bytes) -> bytes:
        parsed = CertificateRequest.parse(message[4:])
        schemes = parsed.extensions[ExtensionType.signature_algorithms][2:]
        body = b"\x1a\x1a" + schemes
        parsed.extensions[ExtensionType.signature_algorithms] = len(body).to_bytes(2, "big") + body
        parsed.extensions[0x2A2A] = b"x"
        return parsed.pack()

    client = End(factory().client(config, "localhost"))
    server = hooked_server(asking, only(HandshakeType.certificate_request, alter))
    pump(client, server)
    assert client.established
    assert server.established
    ticket = NewSessionTicket(100, 0, b"", b"t", {0x3A3A: b"y"}).pack()
    client.give(server.inject(ContentType.handshake, ticket))
    client.pull()
    assert not client.failed
    assert config.sessions is not None
    assert len(config.sessions) == 1

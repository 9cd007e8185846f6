"""Post-handshake authentication is never offered, and refused (RFC 8446 sections 4.2.6 and 4.6.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mungos.errors import PeerMisbehaved
from mungos.tls import ClientConfig, Credential, ServerConfig, SessionCache
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateRequest,
    ClientHello,
    ExtensionType,
    Finished,
    HandshakeType,
)
from mungos.tls.engines.builtin.records import ContentType
from tests.tls_builtin.ends import End, factory, hooked_client, meet, only, pump

REQUEST = CertificateRequest(b"x", {ExtensionType.signature_algorithms: b"\0\2\4\3"}).pack()


@pytest.mark.parametrize("grease", [True, False])
def test_never_offered(client_config: ClientConfig, client_credential: Credential, grease: bool) -> None:
    config = replace(client_config, credential=client_credential, sessions=SessionCache(), grease=grease)
    hello = ClientHello.parse(End(factory().client(config, "localhost")).take()[9:])
    assert ExtensionType.post_handshake_auth not in hello.extensions


@pytest.mark.parametrize("shows", [True, False])
@pytest.mark.parametrize("context", [b"x", b""])
def test_request_after_the_handshake(
    client_config: ClientConfig,
    server_config: ServerConfig,
    client_credential: Credential,
    shows: bool,
    context: bytes,
) -> None:
    """Section 4.6.2: a client that has not offered it answers with unexpected_message, whatever it has."""
    config = replace(client_config, credential=client_credential) if shows else client_config
    client, server = meet(config, server_config)
    request = CertificateRequest(context, {ExtensionType.signature_algorithms: b"\0\2\4\3"}).pack()
    client.give(server.inject(ContentType.handshake, request))
    client.pull()
    assert client.failure.alert is Alert.unexpected_message
    assert isinstance(client.failure.error, PeerMisbehaved)
    server.give(client.take())
    server.pull()
    assert server.failure.alert is Alert.unexpected_message


def test_refused_by_its_header_already(client_config: ClientConfig, server_config: ServerConfig) -> None:
    client, server = meet(client_config, server_config)
    client.give(server.inject(ContentType.handshake, REQUEST[:4]))
    client.pull()
    assert client.failure.alert is Alert.unexpected_message


@pytest.mark.parametrize(
    "message",
    [
        Certificate(b"").pack(),
        Finished(bytes(32)).pack(),
        REQUEST,
        bytes((HandshakeType.certificate_verify, 0, 0, 0)),
        bytes((HandshakeType.end_of_early_data, 0, 0, 0)),
        bytes((HandshakeType.compressed_certificate, 0, 0, 0)),
        bytes((HandshakeType.new_session_ticket, 0, 0, 0)),
    ],
    ids=lambda message: str(message[0]),
)
def test_server_takes_no_answer_that_it_did_not_ask_for(
    client_config: ClientConfig, server_config: ServerConfig, message: bytes
) -> None:
    client, server = meet(client_config, server_config)
    server.give(client.inject(ContentType.handshake, message))
    server.pull()
    assert server.failure.alert is Alert.unexpected_message


def test_client_that_offers_it_is_asked_for_nothing(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def offer(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        parsed.extensions[ExtensionType.post_handshake_auth] = b""
        return parsed.pack()

    client = hooked_client(client_config, only(HandshakeType.client_hello, offer))
    server = End(factory().server(server_config))
    pump(client, server)
    assert client.established
    assert server.established

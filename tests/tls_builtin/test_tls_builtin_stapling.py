"""OCSP staples (RFC 6066 section 8, RFC 8446 section 4.4.2.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed, Misuse, ProtocolError
from mungos.tls import ClientConfig, Credential, ServerConfig
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.engines.builtin.codec import Writer
from mungos.tls.engines.builtin.faults import DecodeError
from mungos.tls.engines.builtin.messages import Certificate, ClientHello, ExtensionType, HandshakeType
from mungos.tls.engines.builtin.messages.stapling import (
    ASK_STAPLE,
    MAX_STAPLE,
    pack_staple,
    parse_staple,
    staple_asked,
)
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, Hook, factory, hooked_client, hooked_server, meet, only, pump

STAPLE = bytes.fromhex("30030a0106")  # an OCSPResponse that says "unauthorized"


@pytest.fixture
def stapled(credential: Credential) -> ServerConfig:
    return ServerConfig((replace(credential, staple=STAPLE),))


@pytest.fixture
def asking(authority: Authority) -> ClientConfig:
    return ClientConfig(roots=authority.roots, ask_staple=True)


def shown(client: End) -> bytes:
    assert client.engine.negotiated is not None, client.events
    return client.engine.negotiated.ocsp_staple


def test_shown_when_asked_for(asking: ClientConfig, stapled: ServerConfig) -> None:
    assert shown(meet(asking, stapled)[0]) == STAPLE


def test_not_asked_for_by_default(client_config: ClientConfig, stapled: ServerConfig) -> None:
    assert shown(meet(client_config, stapled)[0]) == b""


def test_none_there(asking: ClientConfig, server_config: ServerConfig) -> None:
    assert shown(meet(asking, server_config)[0]) == b""


def test_each_credential_has_its_own(authority: Authority, asking: ClientConfig) -> None:
    names = ("localhost", "other.example")
    credentials = tuple(replace(authority.credential(name), staple=name.encode()) for name in names)
    for name in names:
        assert shown(meet(asking, ServerConfig(credentials), name=name)[0]) == name.encode()


def test_a_server_has_nothing_to_show_of_a_client(
    asking: ClientConfig, authority: Authority, credential: Credential, client_credential: Credential
) -> None:
    """Our CertificateRequest asks for no staple, and a client shows none."""
    config = replace(asking, credential=replace(client_credential, staple=STAPLE))
    server = ServerConfig((credential,), client_auth="required", client_roots=authority.roots)
    client, end = meet(config, server)
    assert end.established
    assert shown(client) == b""


def test_rfc6066_8_request_by_the_letter() -> None:
    assert bytes.fromhex("01 0000 0000") == ASK_STAPLE
    assert staple_asked(ASK_STAPLE)
    assert staple_asked(bytes.fromhex("01 0005 0003 616263 0002 3000"))
    # Of another type nothing is known, not even its form.
    assert not staple_asked(b"\2whatever")


@pytest.mark.parametrize(
    "body", [b"", b"\1", b"\1\0", b"\1\0\0\0", b"\1\0\2\0\0\0\0", b"\1\0\1x\0\0", ASK_STAPLE + b"x"]
)
def test_malformed_requests(body: bytes, client_config: ClientConfig, stapled: ServerConfig) -> None:
    with pytest.raises(DecodeError):
        staple_asked(body)

    def ask(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        parsed.extensions[ExtensionType.status_request] = body
        return parsed.pack()

    server = End(factory().server(stapled))
    pump(hooked_client(client_config, only(HandshakeType.client_hello, ask)), server)
    assert server.failure.alert is Alert.decode_error


def entry(place: int, body: bytes) -> Hook:
    """Puts a status_request beside a certificate."""

    def alter(message: bytes) -> bytes:
        parsed = Certificate.parse(message[4:])
        parsed.entries[place].extensions[ExtensionType.status_request] = body
        return parsed.pack()

    return only(HandshakeType.certificate, alter)


@pytest.mark.parametrize(
    ("body", "alert"),
    [
        (pack_staple(bytes(MAX_STAPLE + 1)), Alert.bad_certificate_status_response),
        (b"\2" + pack_staple(STAPLE)[1:], Alert.bad_certificate_status_response),
        (pack_staple(b""), Alert.decode_error),
        (pack_staple(STAPLE)[:-1], Alert.decode_error),
        (pack_staple(STAPLE) + b"x", Alert.decode_error),
        (b"", Alert.decode_error),
    ],
    ids=["too large", "type", "empty", "cut", "longer", "nothing"],
)
def test_answers_that_are_refused(
    asking: ClientConfig, server_config: ServerConfig, body: bytes, alert: Alert
) -> None:
    client = End(factory().client(asking, "localhost"))
    server = hooked_server(server_config, entry(0, body))
    pump(client, server)
    assert client.failure.alert is alert
    assert isinstance(client.failure.error, Malformed)
    assert server.failure.alert is alert


def test_largest_answer(asking: ClientConfig, credential: Credential) -> None:
    server = ServerConfig((replace(credential, staple=bytes(MAX_STAPLE)),))
    assert shown(meet(asking, server)[0]) == bytes(MAX_STAPLE)


def test_answer_that_nobody_asked_for(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """RFC 8446 section 4.2: unsupported_extension."""
    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(server_config, entry(0, pack_staple(STAPLE))))
    assert client.failure.alert is Alert.unsupported_extension


@pytest.mark.parametrize(("body", "fine"), [(pack_staple(b"of the issuer"), True), (b"\1\0", False)])
def test_answer_about_the_issuer_is_looked_at_but_not_shown(
    asking: ClientConfig, credential: Credential, body: bytes, fine: bool
) -> None:
    config = ServerConfig((replace(credential, chain=credential.chain * 2, staple=STAPLE),))
    client = End(factory().client(asking, "localhost"))
    pump(client, hooked_server(config, entry(1, body)))
    assert client.established is fine
    if fine:
        assert shown(client) == STAPLE
    else:
        assert client.failure.alert is Alert.decode_error


@pytest.mark.parametrize("size", [0, MAX_STAPLE + 1])
def test_staples_out_of_range_are_misuse(credential: Credential, size: int) -> None:
    with pytest.raises(Misuse, match="OCSP"):
        factory().server(ServerConfig((replace(credential, staple=bytes(size)),)))


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=100, deadline=None)
def test_answers_are_parsed_as_they_were_packed(staple: bytes) -> None:
    packed = pack_staple(staple)
    assert parse_staple(packed) == staple
    for cut in range(len(packed)):
        with pytest.raises(ProtocolError):
            parse_staple(packed[:cut])


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.binary(max_size=20))
@settings(max_examples=100, deadline=None)
def test_any_well_formed_request_is_understood(responders: list[bytes], extensions: bytes) -> None:
    names, writer = Writer(), Writer()
    for responder in responders:
        names.vector(2, responder)
    writer.uint(1, 1)
    writer.vector(2, names.getvalue())
    writer.vector(2, extensions)
    assert staple_asked(writer.getvalue())

"""What our server refuses of a client, each with the alert of RFC 8446; and how it chooses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.errors import Malformed, PeerIncompatible, PeerMisbehaved
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateVerify,
    ClientHello,
    ExtensionType,
    HandshakeType,
)
from mungos.tls.engines.builtin.messages.extensions import pack_key_shares, pack_server_name
from mungos.tls.engines.builtin.messages.registry import frame
from mungos.tls.engines.builtin.records import ContentType, plain_record
from mungos.tls.engines.builtin.server import MAX_SKIPPED_EARLY_DATA
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, Hook, alerts, factory, hooked_client, meet, only, pump, records

Change = Callable[[ClientHello], None]


def put(**fields: object) -> Change:
    def change(parsed: ClientHello) -> None:
        for name, value in fields.items():
            setattr(parsed, name, value)

    return change


def extend(code: int, body: bytes | None) -> Change:
    def change(parsed: ClientHello) -> None:
        if body is None:
            del parsed.extensions[code]
        else:
            parsed.extensions[code] = body

    return change


def hello(change: Change) -> Hook:
    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return only(HandshakeType.client_hello, alter)


def refused(
    client_config: ClientConfig,
    server_config: ServerConfig,
    hook: Hook,
    alert: Alert,
    kind: type[Exception] = PeerMisbehaved,
) -> End:
    client = hooked_client(client_config, hook)
    server = End(factory().server(server_config))
    pump(client, server)
    assert server.failure.alert is alert, server.failure
    assert isinstance(server.failure.error, kind)
    assert not server.failure.sent_by_peer
    assert not server.established
    assert client.failure.sent_by_peer
    assert client.failure.alert is alert
    return server


def _twice(parsed: ClientHello) -> None:
    shares = parsed.extensions[ExtensionType.key_share][2:]
    parsed.extensions[ExtensionType.key_share] = (2 * len(shares)).to_bytes(2, "big") + shares * 2


ET = ExtensionType
PSK: bytes = b"\0\7\0\1x" + bytes(4) + b"\0\x21\x20" + bytes(32)
X: bytes = b"\x4a\x4a\0\1x"  # a share of one byte, for a group that is none
MISBEHAVED, INCOMPATIBLE = PeerMisbehaved, PeerIncompatible
HELLOS: dict[str, tuple[Change, Alert, type[Exception]]] = {
    "T25 no version": (extend(ET.supported_versions, None), Alert.protocol_version, INCOMPATIBLE),
    "T25 old versions": (extend(ET.supported_versions, b"\4\3\3\3\2"), Alert.protocol_version, INCOMPATIBLE),
    "odd versions": (extend(ET.supported_versions, b"\3\3\4\3"), Alert.decode_error, Malformed),
    "legacy version": (put(legacy_version=0x0301), Alert.illegal_parameter, MISBEHAVED),
    "compression": (put(compressions=b"\1\0"), Alert.illegal_parameter, MISBEHAVED),
    "no compression": (put(compressions=b""), Alert.decode_error, Malformed),
    "long session id": (put(session_id=bytes(33)), Alert.decode_error, Malformed),
    "no suite": (put(suites=[]), Alert.decode_error, Malformed),
    "no suite in common": (put(suites=[0xC02F, 0x0A0A]), Alert.handshake_failure, INCOMPATIBLE),
    "no groups": (extend(ET.supported_groups, None), Alert.missing_extension, MISBEHAVED),
    "no key share": (extend(ET.key_share, None), Alert.missing_extension, MISBEHAVED),
    "no schemes": (extend(ET.signature_algorithms, None), Alert.missing_extension, MISBEHAVED),
    "no scheme in the list": (extend(ET.signature_algorithms, b"\0\0"), Alert.decode_error, Malformed),
    "no scheme in common": (
        extend(ET.signature_algorithms, b"\0\4\4\1\2\1"),
        Alert.handshake_failure,
        INCOMPATIBLE,
    ),
    "no group in common": (
        lambda h: (h.extensions.update({ET.supported_groups: b"\0\2\0\x19", ET.key_share: b"\0\0"}), None)[1],
        Alert.handshake_failure,
        INCOMPATIBLE,
    ),
    "share of a group not offered": (
        extend(ET.supported_groups, b"\0\2\0\x17"),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "two shares for one group": (_twice, Alert.illegal_parameter, MISBEHAVED),
    "share of a wrong length": (
        extend(ET.key_share, pack_key_shares([(0x1D, b"short")])),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "share of zeros": (
        extend(ET.key_share, pack_key_shares([(0x1D, bytes(32))])),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "shares without a length": (extend(ET.key_share, b"\0"), Alert.decode_error, Malformed),
    "no bytes of shares": (extend(ET.key_share, b""), Alert.decode_error, Malformed),
    "shares longer than their length": (
        extend(ET.key_share, b"\0\x05" + X + X),
        Alert.decode_error,
        Malformed,
    ),
    "shares shorter than their length": (
        extend(ET.key_share, b"\0\x0b" + X + X),
        Alert.decode_error,
        Malformed,
    ),
    "bytes behind the shares": (extend(ET.key_share, b"\0\x06" + X + b"\0"), Alert.decode_error, Malformed),
    "empty share": (extend(ET.key_share, b"\0\x09\x4a\x4a\0\0" + X), Alert.decode_error, Malformed),
    "share cut short": (extend(ET.key_share, b"\0\x05\x4a\x4a\0\2x"), Alert.decode_error, Malformed),
    "point off the curve": (
        extend(ET.key_share, pack_key_shares([(0x17, b"\4" + bytes(64))])),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "two names": (
        extend(ET.server_name, b"\0\x08\0\0\1a\0\0\1b"),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "empty name": (extend(ET.server_name, b"\0\3\0\0\0"), Alert.decode_error, Malformed),
    "no name in the list": (extend(ET.server_name, b"\0\0"), Alert.decode_error, Malformed),
    "name with a NUL": (
        extend(ET.server_name, pack_server_name("a\0b")),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "empty protocol": (
        extend(ET.application_layer_protocol_negotiation, b"\0\1\0"),
        Alert.decode_error,
        Malformed,
    ),
    "PSK without modes": (
        lambda h: (
            h.extensions.pop(ET.psk_key_exchange_modes),
            h.extensions.update({ET.pre_shared_key: PSK}),
            None,
        )[2],
        Alert.missing_extension,
        MISBEHAVED,
    ),
    "early data without PSK": (extend(ET.early_data, b""), Alert.illegal_parameter, MISBEHAVED),
    "early data with content": (extend(ET.early_data, b"x"), Alert.decode_error, Malformed),
    "extension of another message": (extend(ET.oid_filters, b""), Alert.illegal_parameter, MISBEHAVED),
    "binders do not match": (
        extend(ET.pre_shared_key, b"\0\x0e" + (b"\0\1x" + bytes(4)) * 2 + b"\0\x21\x20" + bytes(32)),
        Alert.illegal_parameter,
        MISBEHAVED,
    ),
    "short binder": (
        extend(ET.pre_shared_key, b"\0\7\0\1x" + bytes(4) + b"\0\x20\x1f" + bytes(31)),
        Alert.decode_error,
        Malformed,
    ),
}


@pytest.mark.parametrize("case", HELLOS)
def test_client_hello(client_config: ClientConfig, credential: Credential, case: str) -> None:
    change, alert, kind = HELLOS[case]
    config = ServerConfig((credential,), alpn=("x",))
    refused(client_config, config, hello(change), alert, kind)


def test_pre_shared_key_must_be_last(client_config: ClientConfig, server_config: ServerConfig) -> None:
    def change(parsed: ClientHello) -> None:
        parsed.extensions = {ET.pre_shared_key: PSK, **parsed.extensions}

    refused(client_config, server_config, hello(change), Alert.illegal_parameter)


def test_extension_twice(client_config: ClientConfig, server_config: ServerConfig) -> None:
    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        parsed.extensions[0x4A4A] = b""
        body = parsed.pack()[4:]
        at = len(body) - sum(4 + len(each) for each in parsed.extensions.values()) - 2
        length = int.from_bytes(body[at : at + 2], "big") + 4
        body = body[:at] + length.to_bytes(2, "big") + body[at + 2 :] + b"\x4a\x4a\0\0"
        return frame(HandshakeType.client_hello, body)

    refused(client_config, server_config, only(1, alter), Alert.illegal_parameter)


def test_unknown_values_are_passed_over(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """RFC 8701: what is unknown is ignored wherever a client may grease."""

    def change(parsed: ClientHello) -> None:
        parsed.suites = [0x0A0A, *parsed.suites]
        parsed.extensions = {
            0x0A0A: b"",
            **parsed.extensions,
            ET.supported_versions: b"\4\x0a\x0a\3\4",
            ET.psk_key_exchange_modes: b"\2\x0a\1",
            0xFAFA: b"\0",
        }
        groups = parsed.extensions[ET.supported_groups][2:]
        parsed.extensions[ET.supported_groups] = (len(groups) + 2).to_bytes(2, "big") + b"\x0a\x0a" + groups
        shares = parsed.extensions[ET.key_share][2:]
        parsed.extensions[ET.key_share] = (len(shares) + 5).to_bytes(2, "big") + b"\x0a\x0a\0\1\0" + shares

    server = End(factory().server(server_config))
    pump(hooked_client(client_config, hello(change)), server)
    assert server.established


def test_server_name_of_an_unknown_type_is_ignored(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client = hooked_client(client_config, hello(extend(ET.server_name, b"\0\4\x07\0\1x")))
    server = End(factory().server(server_config))
    pump(client, server)
    assert server.established
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.server_name is None


def test_unknown_psk_is_passed_over(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """A ticket of an older server, or of another: the handshake goes on without it (section 4.2.11)."""
    server = End(factory().server(server_config))
    client = hooked_client(client_config, hello(extend(ET.pre_shared_key, PSK)))
    pump(client, server)
    assert server.established
    assert server.engine.negotiated is not None
    assert not server.engine.negotiated.resumed


def test_rfc8446_9_2_ticket_of_no_use_without_schemes(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def change(parsed: ClientHello) -> None:
        del parsed.extensions[ET.signature_algorithms]
        parsed.extensions[ET.pre_shared_key] = PSK

    refused(client_config, server_config, hello(change), Alert.missing_extension)


@pytest.mark.parametrize("name", ["under_score.example", "..", "[::1]", "x" * 200])
def test_odd_server_name_falls_to_the_first_credential(authority: Authority, name: str) -> None:
    config = ServerConfig((authority.credential("localhost"), authority.credential("other.example")))
    hook = hello(extend(ET.server_name, pack_server_name(name)))
    client, server = (
        hooked_client(ClientConfig(roots=authority.roots), hook),
        End(factory().server(config)),
    )
    pump(client, server)
    assert client.established
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.server_name == name


# The second ClientHello


@pytest.fixture
def retrying(credential: Credential) -> ServerConfig:
    return ServerConfig((credential,), groups=("secp384r1",), retry_cookie=True)


def second(change: Change) -> Hook:
    seen = 0

    def alter(message: bytes) -> bytes:
        nonlocal seen
        seen += 1
        if seen == 1:
            return message
        parsed = ClientHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return only(HandshakeType.client_hello, alter)


SECONDS: dict[str, tuple[Change, Alert]] = {
    "random": (put(random=bytes(32)), Alert.illegal_parameter),
    "session id": (put(session_id=b"x"), Alert.illegal_parameter),
    "suites": (put(suites=[0x1301]), Alert.illegal_parameter),
    "new extension": (extend(0x4A4A, b""), Alert.illegal_parameter),
    "changed extension": (extend(ET.signature_algorithms, b"\0\2\4\3"), Alert.illegal_parameter),
    "extension gone": (extend(ET.psk_key_exchange_modes, None), Alert.illegal_parameter),
    "no cookie": (extend(ET.cookie, None), Alert.missing_extension),
    "another cookie": (extend(ET.cookie, b"\0\1x"), Alert.illegal_parameter),
    "no share": (extend(ET.key_share, b"\0\0"), Alert.illegal_parameter),
    "share of another group": (
        extend(ET.key_share, pack_key_shares([(0x1D, bytes(range(32)))])),
        Alert.illegal_parameter,
    ),
    "early data": (extend(ET.early_data, b""), Alert.illegal_parameter),
    "early data with a ticket": (
        lambda h: h.extensions.update({ET.early_data: b"", ET.pre_shared_key: PSK}),
        Alert.illegal_parameter,
    ),
}


@pytest.mark.parametrize("case", SECONDS)
def test_rfc8446_4_1_2_second_client_hello(
    client_config: ClientConfig, retrying: ServerConfig, case: str
) -> None:
    change, alert = SECONDS[case]
    refused(client_config, retrying, second(change), alert)


def test_cookie_that_was_never_sent(client_config: ClientConfig, credential: Credential) -> None:
    config = ServerConfig((credential,), groups=("secp384r1",))
    refused(client_config, config, second(extend(ET.cookie, b"\0\1x")), Alert.illegal_parameter)


def test_second_client_hello_may_pad(client_config: ClientConfig, retrying: ServerConfig) -> None:
    server = End(factory().server(retrying))
    pump(hooked_client(client_config, second(extend(ET.padding, bytes(100)))), server)
    assert server.established


def test_client_hello_instead_of_finished(client_config: ClientConfig, server_config: ServerConfig) -> None:
    def alter(message: bytes) -> bytes:
        return frame(HandshakeType.client_hello, message[4:])

    refused(client_config, server_config, only(HandshakeType.finished, alter), Alert.unexpected_message)


@pytest.mark.parametrize("kind", [0, 2, 4, 5, 8, 11, 13, 15, 20, 24, 254])
def test_message_instead_of_a_client_hello(server_config: ServerConfig, kind: int) -> None:
    server = End(factory().server(server_config))
    server.give(plain_record(ContentType.handshake, bytes((kind,)) + b"\0\0\0"))
    server.pull()
    assert server.failure.alert is Alert.unexpected_message
    assert alerts(records(server.take())) == [Alert.unexpected_message]


def test_t21_bad_finished_of_the_client(client_config: ClientConfig, server_config: ServerConfig) -> None:
    def flip(message: bytes) -> bytes:
        return message[:-1] + bytes((message[-1] ^ 1,))

    refused(client_config, server_config, only(HandshakeType.finished, flip), Alert.decrypt_error)


# Early data


def early(client_config: ClientConfig, server_config: ServerConfig, sizes: list[int]) -> tuple[End, End]:
    """A client that sends records of these sizes under keys that nobody has, behind its hello."""

    def change(parsed: ClientHello) -> None:
        parsed.extensions[ET.early_data] = b""
        parsed.extensions[ET.pre_shared_key] = PSK

    client = hooked_client(client_config, hello(change))
    server = End(factory().server(server_config))
    server.give(client.take())
    for size in sizes:
        server.give(plain_record(ContentType.application_data, bytes(size)))
    server.pull()
    return client, server


@pytest.mark.parametrize("groups", [("x25519",), ("secp384r1",)])
def test_rfc8446_4_2_10_refused_early_data_are_passed_over(
    client_config: ClientConfig, credential: Credential, groups: tuple[str, ...]
) -> None:
    config = ServerConfig((credential,), groups=groups)
    client, server = early(client_config, config, [16_000, 17, 100])
    # The second hello is sent as it is: without early_data, as section 4.1.2 demands.
    client.engine._handshake.hook = lambda message: message  # type: ignore[union-attr]
    pump(client, server)
    assert server.established
    assert not server.data


def test_early_data_are_passed_over_up_to_a_limit(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    _, server = early(client_config, server_config, [16_384] * 4)
    assert not server.failed
    _, server = early(client_config, server_config, [16_384] * 4 + [17])
    assert server.failure.alert is Alert.bad_record_mac
    assert MAX_SKIPPED_EARLY_DATA == 4 * 16_384


def test_nothing_is_passed_over_after_the_first_good_record(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client, server = early(client_config, server_config, [])
    client.give(server.take())
    server.give(client.take())
    server.pull()
    assert server.established
    server.give(plain_record(ContentType.application_data, bytes(40)))
    server.pull()
    assert server.failure.alert is Alert.bad_record_mac


# Choices


def test_t24_no_protocol_in_common(authority: Authority, credential: Credential) -> None:
    client, server = meet(
        ClientConfig(roots=authority.roots, alpn=("h2",)),
        ServerConfig((credential,), alpn=("http/1.1", "mqtt")),
    )
    assert server.failure.alert is client.failure.alert is Alert.no_application_protocol
    assert isinstance(server.failure.error, PeerIncompatible)
    assert client.failure.sent_by_peer


def test_alpn_follows_the_servers_order(authority: Authority, credential: Credential) -> None:
    client, server = meet(
        ClientConfig(roots=authority.roots, alpn=("a", "b", "c")),
        ServerConfig((credential,), alpn=("c", "b")),
    )
    assert client.engine.negotiated is not None
    assert server.engine.negotiated is not None
    assert client.engine.negotiated.alpn == server.engine.negotiated.alpn == "c"


@pytest.mark.parametrize(("offered", "spoken"), [((), ("x",)), (("x",), ())])
def test_alpn_of_one_side_only(
    authority: Authority, credential: Credential, offered: tuple[str, ...], spoken: tuple[str, ...]
) -> None:
    client, _ = meet(
        ClientConfig(roots=authority.roots, alpn=offered), ServerConfig((credential,), alpn=spoken)
    )
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.alpn is None


def test_suite_and_group_follow_the_servers_order(authority: Authority, credential: Credential) -> None:
    server_config = ServerConfig(
        (credential,),
        suites=("TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"),
        groups=("secp256r1", "x25519"),
    )
    _, server = meet(ClientConfig(roots=authority.roots), server_config)
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.suite == "TLS_CHACHA20_POLY1305_SHA256"
    # A share for x25519 is there, none for secp256r1: a round trip less wins.
    assert server.engine.negotiated.group == "x25519"


def test_first_choice_is_the_hybrid(client_config: ClientConfig, server_config: ServerConfig) -> None:
    client, _ = meet(client_config, server_config)
    assert client.engine.negotiated is not None
    if client.engine._provider.supports("X25519MLKEM768"):
        assert client.engine.negotiated.group == "X25519MLKEM768"


def test_credential_is_chosen_by_name(authority: Authority) -> None:
    config = ServerConfig(
        (
            authority.credential("one.example"),
            authority.credential("*.two.example"),
            authority.credential("localhost"),
        )
    )
    client_config = ClientConfig(roots=authority.roots)
    for name in ("one.example", "a.two.example", "localhost"):
        client, _ = meet(client_config, config, name=name)
        assert client.established, name
    client, _ = meet(client_config, config, name="three.example")
    assert client.failure.alert is Alert.bad_certificate


def test_credential_is_chosen_by_scheme(
    authority: Authority, credential: Credential, rsa_credential: Credential
) -> None:
    config = ServerConfig((credential, rsa_credential))
    schemes = {b"\0\2\4\3": "ecdsa_secp256r1_sha256", b"\0\2\x08\4": "rsa_pss_rsae_sha256"}
    for offered, expected in schemes.items():
        hook = hello(extend(ET.signature_algorithms, offered))
        server = End(factory().server(config))
        pump(hooked_client(ClientConfig(roots=authority.roots), hook), server)
        assert server.engine.negotiated is not None
        assert server.engine.negotiated.scheme == expected


# Client certificates


def auth(authority: Authority, credential: Credential, how: str) -> ServerConfig:
    roots = None if how == "none" else authority.roots
    return ServerConfig((credential,), client_roots=roots, client_auth=how)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["none", "optional", "required"])
@pytest.mark.parametrize("show", [True, False])
def test_client_certificate(
    authority: Authority, credential: Credential, client_credential: Credential, how: str, show: bool
) -> None:
    config = ClientConfig(roots=authority.roots, credential=client_credential if show else None)
    client, server = meet(config, auth(authority, credential, how))
    if how == "required" and not show:
        assert server.failure.alert is Alert.certificate_required
        # T23: the client was connected already, and reads it afterwards.
        assert client.established
        assert client.failure.alert is Alert.certificate_required
        assert client.failure.sent_by_peer
        return
    assert server.engine.negotiated is not None
    assert bool(server.engine.negotiated.peer_chain) is (show and how != "none")


def test_client_certificate_of_a_stranger(authority: Authority, credential: Credential) -> None:
    import trustme

    leaf = trustme.CA().issue_cert("stranger@example.org")
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    stranger = Credential(chain, leaf.private_key_pem.bytes())
    client, server = meet(
        ClientConfig(roots=authority.roots, credential=stranger), auth(authority, credential, "optional")
    )
    assert server.failure.alert is client.failure.alert is Alert.unknown_ca


def _flip(message: bytes) -> bytes:
    return message[:-1] + bytes((message[-1] ^ 1,))


CLIENT_FLIGHT: dict[str, tuple[int, Callable[[bytes], bytes | None], Alert]] = {
    "bad signature": (15, _flip, Alert.decrypt_error),
    "no signature": (15, lambda _: None, Alert.unexpected_message),
    "PKCS1": (
        15,
        lambda m: CertificateVerify(0x0401, CertificateVerify.parse(m[4:]).signature).pack(),
        Alert.illegal_parameter,
    ),
    "no certificate": (11, lambda _: None, Alert.unexpected_message),
    "context": (
        11,
        lambda m: Certificate(b"x", Certificate.parse(m[4:]).entries).pack(),
        Alert.illegal_parameter,
    ),
    "signature without certificate": (11, lambda _: Certificate(b"").pack(), Alert.unexpected_message),
}


@pytest.mark.parametrize("case", CLIENT_FLIGHT)
def test_client_authentication(
    authority: Authority, credential: Credential, client_credential: Credential, case: str
) -> None:
    code, change, alert = CLIENT_FLIGHT[case]
    config = ClientConfig(roots=authority.roots, credential=client_credential)
    refused(config, auth(authority, credential, "optional"), only(code, change), alert)


def test_extension_in_a_clients_certificate_was_not_asked_for(
    authority: Authority, credential: Credential, client_credential: Credential
) -> None:
    def alter(message: bytes) -> bytes:
        parsed = Certificate.parse(message[4:])
        parsed.entries[0].extensions[ET.status_request] = b""
        return parsed.pack()

    config = ClientConfig(roots=authority.roots, credential=client_credential)
    refused(config, auth(authority, credential, "optional"), only(11, alter), Alert.unsupported_extension)


def test_client_shows_nothing_when_its_key_has_no_scheme_in_common(
    authority: Authority, credential: Credential, client_credential: Credential
) -> None:
    from mungos.tls.engines.builtin.messages import CertificateRequest
    from tests.tls_builtin.ends import hooked_server

    packed = CertificateRequest(b"", {ET.signature_algorithms: b"\0\2\x08\7"}).pack()
    client = End(
        factory().client(ClientConfig(roots=authority.roots, credential=client_credential), "localhost")
    )
    server = hooked_server(auth(authority, credential, "optional"), only(13, lambda _: packed))
    pump(client, server)
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.peer_chain == ()

"""What our client refuses of a server, each with the alert of RFC 8446, and who is blamed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.errors import Broken, Malformed, PeerIncompatible, PeerMisbehaved
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.builtin.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    EncryptedExtensions,
    ExtensionType,
    HandshakeType,
    ServerHello,
)
from mungos.tls.engines.builtin.messages.extensions import pack_alpn, pack_cookie, pack_uints
from mungos.tls.engines.builtin.messages.registry import HELLO_RETRY_RANDOM, frame
from mungos.tls.engines.builtin.records import ContentType, plain_record
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, Hook, factory, hooked_server, only, pump, records


def refused(
    client_config: ClientConfig,
    server_config: ServerConfig,
    hook: Hook,
    alert: Alert,
    kind: type[Exception] = PeerMisbehaved,
) -> None:
    """Our client fails with this alert, and the server hears it."""
    client = End(factory().client(client_config, "localhost"))
    server = hooked_server(server_config, hook)
    pump(client, server)
    assert client.failure.alert is alert, client.failure
    assert isinstance(client.failure.error, kind)
    assert not client.failure.sent_by_peer
    assert not client.established
    assert server.failure.sent_by_peer
    assert server.failure.alert is alert


def hello(change: Callable[[ServerHello], None]) -> Hook:
    def alter(message: bytes) -> bytes:
        parsed = ServerHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return only(HandshakeType.server_hello, alter)


def put(**fields: object) -> Callable[[ServerHello], None]:
    def change(parsed: ServerHello) -> None:
        for name, value in fields.items():
            setattr(parsed, name, value)

    return change


def extend(code: int, body: bytes | None) -> Callable[[ServerHello], None]:
    def change(parsed: ServerHello) -> None:
        if body is None:
            del parsed.extensions[code]
        else:
            parsed.extensions[code] = body

    return change


HELLOS = {
    "session id": (put(session_id=b"other"), Alert.illegal_parameter, PeerMisbehaved),
    "compression": (put(compression=1), Alert.illegal_parameter, PeerMisbehaved),
    "legacy version": (put(legacy_version=0x0302), Alert.illegal_parameter, PeerMisbehaved),
    "unknown suite": (put(suite=0xC02F), Alert.illegal_parameter, PeerMisbehaved),
    "no version": (
        extend(ExtensionType.supported_versions, None),
        Alert.protocol_version,
        PeerIncompatible,
    ),
    "old version": (
        extend(ExtensionType.supported_versions, b"\3\3"),
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "no key share": (extend(ExtensionType.key_share, None), Alert.missing_extension, PeerMisbehaved),
    "share of a group not sent": (
        extend(ExtensionType.key_share, b"\0\x18\0\x02ab"),
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "share of a wrong length": (
        extend(ExtensionType.key_share, b"\0\x1d\0\x02ab"),
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "share of zeros": (
        extend(ExtensionType.key_share, b"\0\x1d\0\x20" + bytes(32)),
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "bytes behind the share": (
        extend(ExtensionType.key_share, b"\0\x1d\0\x20" + bytes(33)),
        Alert.decode_error,
        Malformed,
    ),
    "PSK that was not offered": (
        extend(ExtensionType.pre_shared_key, b"\0\0"),
        Alert.unsupported_extension,
        PeerMisbehaved,
    ),
    "extension of another message": (
        extend(ExtensionType.server_name, b""),
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "extension that was not offered": (extend(0x4A4A, b""), Alert.unsupported_extension, PeerMisbehaved),
}


@pytest.mark.parametrize("case", HELLOS)
def test_server_hello(client_config: ClientConfig, server_config: ServerConfig, case: str) -> None:
    change, alert, kind = HELLOS[case]
    client = End(factory().client(client_config, "localhost"))
    server = hooked_server(server_config, hello(change))
    server.give(client.take())
    client.give(records(server.take())[0])
    client.pull()
    assert client.failure.alert is alert, client.failure
    assert isinstance(client.failure.error, kind)
    assert client.take()[:3] == b"\x15\x03\x03"


@pytest.mark.parametrize("mark", [b"DOWNGRD\x00", b"DOWNGRD\x01"])
def test_rfc8446_4_1_3_downgrade_is_noticed(
    client_config: ClientConfig, server_config: ServerConfig, mark: bytes
) -> None:
    def change(parsed: ServerHello) -> None:
        parsed.random = parsed.random[:24] + mark
        del parsed.extensions[ExtensionType.supported_versions]

    refused(client_config, server_config, hello(change), Alert.illegal_parameter)


def test_tls_1_2_answer_names_the_engine_to_ask_for(client_config: ClientConfig) -> None:
    client = End(factory().client(client_config, "localhost"))
    client.take()
    body = b"\3\3" + bytes(32) + b"\0" + b"\xc0\x2f" + b"\0"
    client.give(plain_record(ContentType.handshake, frame(HandshakeType.server_hello, body)))
    client.pull()
    assert client.failure.alert is Alert.protocol_version
    assert "openssl" in str(client.failure.error)


def retry(config: ClientConfig, extensions: dict[int, bytes], **fields: object) -> End:
    """A client that got this HelloRetryRequest."""
    client = End(factory().client(config, "localhost"))
    (first,) = records(client.take())
    session_id = first[5 + 39 : 5 + 39 + first[5 + 38]]
    answer = ServerHello(
        HELLO_RETRY_RANDOM, session_id, 0x1301, {**extensions, ExtensionType.supported_versions: b"\3\4"}
    )
    put(**fields)(answer)
    client.give(plain_record(ContentType.handshake, answer.pack()))
    client.pull()
    return client


RETRIES: dict[str, tuple[dict[int, bytes], Alert]] = {
    "no change": ({}, Alert.illegal_parameter),
    "group already sent": ({ExtensionType.key_share: b"\0\x1d"}, Alert.illegal_parameter),
    "group not offered": ({ExtensionType.key_share: b"\0\x19"}, Alert.illegal_parameter),
    "share instead of a group": ({ExtensionType.key_share: b"\0\x17\0\1x"}, Alert.decode_error),
    "empty cookie": ({ExtensionType.cookie: b"\0\0"}, Alert.decode_error),
    "extension not offered": (
        {ExtensionType.key_share: b"\0\x17", 0x4A4A: b""},
        Alert.unsupported_extension,
    ),
    "extension of another message": (
        {ExtensionType.key_share: b"\0\x17", ExtensionType.pre_shared_key: b"\0\0"},
        Alert.illegal_parameter,
    ),
}


@pytest.mark.parametrize("case", RETRIES)
def test_hello_retry_request(client_config: ClientConfig, case: str) -> None:
    extensions, alert = RETRIES[case]
    client = retry(client_config, extensions)
    assert client.failure.alert is alert, client.failure


def test_t12_second_hello_retry_request(client_config: ClientConfig) -> None:
    client = retry(client_config, {ExtensionType.key_share: b"\0\x17"})
    ccs, second = records(client.take())
    assert ccs == bytes.fromhex("140303000101")
    assert second[:3] == b"\x16\3\3"
    session_id = second[5 + 39 : 5 + 39 + 32]
    answer = ServerHello(
        HELLO_RETRY_RANDOM,
        session_id,
        0x1301,
        {ExtensionType.key_share: b"\0\x18", ExtensionType.supported_versions: b"\3\4"},
    )
    client.give(plain_record(ContentType.handshake, answer.pack()))
    client.pull()
    assert client.failure.alert is Alert.unexpected_message


def test_t11_hello_retry_request_then_end_of_stream(client_config: ClientConfig) -> None:
    client = retry(client_config, {ExtensionType.cookie: pack_cookie(b"c" * 1000)})
    assert b"c" * 1000 in client.take()
    client.engine.receive_eof(0.0)
    client.pull()
    assert isinstance(client.failure.error, Broken)
    assert client.engine._handshake is None


def test_rfc8446_4_1_4_suite_changes_after_hello_retry_request(
    client_config: ClientConfig, credential: Credential
) -> None:
    config = ServerConfig((credential,), groups=("secp384r1",))

    def alter(message: bytes) -> bytes:
        parsed = ServerHello.parse(message[4:])
        if not parsed.is_retry:
            parsed.suite = 0x1303
        return parsed.pack()

    client = End(factory().client(client_config, "localhost"))
    server = hooked_server(config, only(HandshakeType.server_hello, alter))
    pump(client, server)
    assert client.failure.alert is Alert.illegal_parameter


def test_rfc8446_4_2_8_group_changes_after_hello_retry_request(
    client_config: ClientConfig, credential: Credential
) -> None:
    config = ServerConfig((credential,), groups=("secp384r1",))

    def alter(message: bytes) -> bytes:
        parsed = ServerHello.parse(message[4:])
        if not parsed.is_retry:
            parsed.extensions[ExtensionType.key_share] = b"\0\x1d\0\x20" + bytes(range(32))
        return parsed.pack()

    client = End(factory().client(client_config, "localhost"))
    server = hooked_server(config, only(HandshakeType.server_hello, alter))
    pump(client, server)
    assert client.failure.alert is Alert.illegal_parameter


EE: dict[str, tuple[dict[int, bytes], Alert, type[Exception]]] = {
    "not offered": ({0x4A4A: b""}, Alert.unsupported_extension, PeerMisbehaved),
    "early data not offered": ({ExtensionType.early_data: b""}, Alert.unsupported_extension, PeerMisbehaved),
    "of another message": ({ExtensionType.key_share: b""}, Alert.illegal_parameter, PeerMisbehaved),
    "ALPN not offered": (
        {ExtensionType.application_layer_protocol_negotiation: pack_alpn([b"h2"])},
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "two protocols": (
        {ExtensionType.application_layer_protocol_negotiation: pack_alpn([b"one", b"two"])},
        Alert.decode_error,
        Malformed,
    ),
    "no protocol": (
        {ExtensionType.application_layer_protocol_negotiation: b"\0\0"},
        Alert.decode_error,
        Malformed,
    ),
    "server name that is not empty": ({ExtensionType.server_name: b"x"}, Alert.decode_error, Malformed),
    "groups that are none": ({ExtensionType.supported_groups: b"\0\0"}, Alert.decode_error, Malformed),
}


@pytest.mark.parametrize("case", EE)
def test_encrypted_extensions(authority: Authority, server_config: ServerConfig, case: str) -> None:
    extensions, alert, kind = EE[case]
    config = ClientConfig(roots=authority.roots, alpn=("one", "two"))
    packed = EncryptedExtensions(extensions).pack()
    refused(config, server_config, only(HandshakeType.encrypted_extensions, lambda _: packed), alert, kind)


def test_groups_of_the_server_are_ignored(client_config: ClientConfig, server_config: ServerConfig) -> None:
    packed = EncryptedExtensions({ExtensionType.supported_groups: pack_uints(2, 2, [0x17])}).pack()
    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(server_config, only(HandshakeType.encrypted_extensions, lambda _: packed)))
    assert client.established


def test_alpn_that_was_never_offered(client_config: ClientConfig, server_config: ServerConfig) -> None:
    packed = EncryptedExtensions(
        {ExtensionType.application_layer_protocol_negotiation: pack_alpn([b"h2"])}
    ).pack()
    hook = only(HandshakeType.encrypted_extensions, lambda _: packed)
    refused(client_config, server_config, hook, Alert.unsupported_extension)


def _scheme(code: int) -> Callable[[bytes], bytes]:
    def change(message: bytes) -> bytes:
        return CertificateVerify(code, CertificateVerify.parse(message[4:]).signature).pack()

    return change


def _flip(message: bytes) -> bytes:
    return message[:-1] + bytes((message[-1] ^ 1,))


def _entry_extension(message: bytes) -> bytes:
    parsed = Certificate.parse(message[4:])
    parsed.entries[0].extensions[ExtensionType.status_request] = b"x"
    return parsed.pack()


def _without(message: bytes) -> None:
    return None


CERTIFICATES: dict[str, tuple[int, Callable[[bytes], bytes | None], Alert, type[Exception]]] = {
    "none": (11, lambda _: Certificate(b"").pack(), Alert.decode_error, Malformed),
    "context": (
        11,
        lambda m: Certificate(b"c", Certificate.parse(m[4:]).entries).pack(),
        Alert.illegal_parameter,
        PeerMisbehaved,
    ),
    "not a certificate": (
        11,
        lambda _: Certificate(b"", [CertificateEntry(b"junk")]).pack(),
        Alert.bad_certificate,
        Malformed,
    ),
    "extension not offered": (11, _entry_extension, Alert.unsupported_extension, PeerMisbehaved),
    "left out": (11, _without, Alert.unexpected_message, PeerMisbehaved),
    "signature left out": (15, _without, Alert.unexpected_message, PeerMisbehaved),
    "bad signature": (15, _flip, Alert.decrypt_error, PeerMisbehaved),
    "RSASSA-PKCS1-v1_5": (15, _scheme(0x0401), Alert.illegal_parameter, PeerMisbehaved),
    "scheme not offered": (15, _scheme(0x0203), Alert.illegal_parameter, PeerMisbehaved),
    "scheme of another key": (15, _scheme(0x0804), Alert.illegal_parameter, PeerMisbehaved),
    "bad Finished": (20, _flip, Alert.decrypt_error, PeerMisbehaved),
    "short Finished": (20, lambda m: frame(HandshakeType.finished, m[5:]), Alert.decode_error, Malformed),
    "EncryptedExtensions left out": (8, _without, Alert.unexpected_message, PeerMisbehaved),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_t21_t22_authentication(client_config: ClientConfig, server_config: ServerConfig, case: str) -> None:
    code, change, alert, kind = CERTIFICATES[case]
    refused(client_config, server_config, only(code, change), alert, kind)


@pytest.mark.parametrize(
    ("name", "alert"), [("other.example", Alert.bad_certificate), ("127.0.0.1", Alert.bad_certificate)]
)
def test_t22_wrong_name(
    client_config: ClientConfig, server_config: ServerConfig, name: str, alert: Alert
) -> None:
    made = factory()
    client, server = End(made.client(client_config, name)), End(made.server(server_config))
    pump(client, server)
    assert client.failure.alert is server.failure.alert is alert
    assert server.failure.sent_by_peer


def test_t22_unknown_issuer(client_config: ClientConfig) -> None:
    import trustme

    leaf = trustme.CA().issue_cert("localhost")
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    config = ServerConfig((Credential(chain, leaf.private_key_pem.bytes()),))
    refused(client_config, config, lambda message: message, Alert.unknown_ca)


def test_t22_dates_are_those_of_the_wall_clock(authority: Authority, server_config: ServerConfig) -> None:
    config = ClientConfig(roots=authority.roots, wall=lambda: 1e11)
    refused(config, server_config, lambda message: message, Alert.certificate_expired)


def test_without_verification_anything_goes(server_config: ServerConfig) -> None:
    for name in (None, "whatever.example"):
        made = factory()
        client = End(made.client(ClientConfig(verify=False), name))
        pump(client, End(made.server(server_config)))
        assert client.established


def test_without_verification_the_key_is_still_proved(server_config: ServerConfig) -> None:
    refused(ClientConfig(verify=False), server_config, only(15, _flip), Alert.decrypt_error)


REQUESTS: dict[str, tuple[CertificateRequest, Alert]] = {
    "context": (
        CertificateRequest(b"c", {ExtensionType.signature_algorithms: b"\0\2\4\3"}),
        Alert.illegal_parameter,
    ),
    "no schemes": (CertificateRequest(b""), Alert.missing_extension),
    "no scheme in the list": (
        CertificateRequest(b"", {ExtensionType.signature_algorithms: b"\0\0"}),
        Alert.decode_error,
    ),
    "extension of another message": (
        CertificateRequest(b"", {ExtensionType.key_share: b""}),
        Alert.illegal_parameter,
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_certificate_request(
    client_config: ClientConfig, authority: Authority, credential: Credential, case: str
) -> None:
    request, alert = REQUESTS[case]
    config = ServerConfig((credential,), client_auth="optional", client_roots=authority.roots)
    packed = request.pack()
    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(config, only(HandshakeType.certificate_request, lambda _: packed)))
    assert client.failure.alert is alert


def test_unknown_extension_of_a_certificate_request_is_ignored(
    client_config: ClientConfig, authority: Authority, credential: Credential
) -> None:
    config = ServerConfig((credential,), client_auth="optional", client_roots=authority.roots)

    def alter(message: bytes) -> bytes:
        parsed = CertificateRequest.parse(message[4:])
        parsed.extensions[0x4A4A] = b"x"
        return parsed.pack()

    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(config, only(HandshakeType.certificate_request, alter)))
    assert client.established


@pytest.mark.parametrize("kind", [0, 1, 4, 5, 24, 254, 255])
def test_message_that_may_not_come(
    client_config: ClientConfig, server_config: ServerConfig, kind: int
) -> None:
    def alter(message: bytes) -> bytes:
        return bytes((kind,)) + message[1:]

    refused(client_config, server_config, only(8, alter), Alert.unexpected_message)


def test_large_certificate_over_several_records(client_config: ClientConfig, authority: Authority) -> None:
    """T14, without a cut: 40 certificates of no use behind the right one."""
    good = authority.credential("localhost")
    more = b"".join(authority.credential(f"host{index}.example").chain for index in range(40))
    client = End(factory().client(client_config, "localhost"))
    server = End(factory().server(ServerConfig((Credential(good.chain + more, good.key),))))
    pump(client, server)
    flights = client.engine.negotiated.peer_chain if client.engine.negotiated else ()
    assert client.established or client.failure.alert in (Alert.certificate_unknown, Alert.bad_certificate)
    assert not flights or len(flights) > 40

"""What an authenticated or hostile peer may make the built-in engine hold or read, each bound at its edge."""

from __future__ import annotations

import pytest

from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.bounds import MAX_CLIENT_HELLO, MAX_FRAGMENTS
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.builtin import client, offer
from mungos.tls.engines.builtin.faults import DecodeError
from mungos.tls.engines.builtin.messages import Certificate, CertificateEntry, ClientHello
from mungos.tls.engines.builtin.messages.authentication import MAX_CERTIFICATES
from mungos.tls.engines.builtin.messages.extensions import parse_alpn, parse_offered_psks
from mungos.tls.engines.builtin.messages.registry import HandshakeType, frame
from mungos.tls.engines.builtin.messages.stapling import staple_asked
from mungos.tls.engines.builtin.reading import MAX_EVENTS, MAX_HANDSHAKE_MESSAGE
from mungos.tls.engines.builtin.records import ContentType, plain_record
from mungos.x509 import PathTooHard
from tests.tls.hellos import calls, listed
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, factory, meet, records


@pytest.fixture
def pair(client_config: ClientConfig, server_config: ServerConfig) -> tuple[End, End]:
    return meet(client_config, server_config)


def test_certificates_of_one_message_are_bounded() -> None:
    entries = [CertificateEntry(b"x")] * MAX_CERTIFICATES
    assert len(Certificate.parse(Certificate(b"", entries).pack()[4:]).entries) == MAX_CERTIFICATES
    over = Certificate(b"", [*entries, CertificateEntry(b"x")]).pack()[4:]
    with pytest.raises(PathTooHard, match=f"over {MAX_CERTIFICATES} certificates"):
        Certificate.parse(over)
    # No more is spent on twenty thousand.
    many = Certificate(b"", [CertificateEntry(b"x")] * 21_000).pack()[4:]

    def refused() -> None:
        with pytest.raises(PathTooHard):
            Certificate.parse(many)

    assert calls(refused) < 40 * MAX_CERTIFICATES


def test_records_of_a_message_are_bounded_under_keys(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    made = factory()
    client, server = End(made.client(client_config, "localhost")), End(made.server(server_config))
    server.give(client.take())
    client.give(records(server.take())[0])
    message = frame(HandshakeType.encrypted_extensions, bytes(MAX_FRAGMENTS))
    # The server has gone on to the keys of application data: both take others.
    handshake = client.engine._handshake
    assert handshake is not None
    suite, kdf = handshake.agreed()
    server.engine.write_with(suite, kdf, b"\1" * kdf.hash_length)
    client.engine.read_with(suite, kdf, b"\1" * kdf.hash_length)
    for at in range(MAX_FRAGMENTS):
        client.give(server.inject(ContentType.handshake, message[at : at + 1]))
    assert not client.failed
    client.give(server.inject(ContentType.handshake, b"\0"))
    client.pull()
    assert client.failure.alert is Alert.decode_error
    assert str(MAX_FRAGMENTS) in str(client.failure.error)


def test_several_messages_in_many_records_are_not_counted_together(pair: tuple[End, End]) -> None:
    client, server = pair
    update = frame(HandshakeType.key_update, b"\0")
    for _ in range(3):
        for at in range(len(update)):
            server.give(client.inject(ContentType.handshake, update[at : at + 1]))
        assert server.engine._fragments <= len(update)
        client.engine.update_keys(requested=False)
        client.take()
        client.engine._sealer.sequence = 0  # type: ignore[union-attr]
    assert not server.failed


def test_only_a_client_hello_has_the_smaller_bound(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    made = factory()
    server = End(made.server(server_config))
    length = MAX_CLIENT_HELLO - 4
    server.give(plain_record(ContentType.handshake, b"\1" + length.to_bytes(3, "big")))
    assert not server.failed
    server = End(made.server(server_config))
    server.give(plain_record(ContentType.handshake, b"\1" + (length + 1).to_bytes(3, "big")))
    server.pull()
    assert server.failure.alert is Alert.decode_error
    client = End(made.client(client_config, "localhost"))
    length = MAX_HANDSHAKE_MESSAGE - 4
    client.give(plain_record(ContentType.handshake, b"\2" + length.to_bytes(3, "big")))
    assert not client.failed


def test_records_of_one_byte_do_not_fill_the_memory(pair: tuple[End, End]) -> None:
    """A queue of events has a length of its own, whatever their bytes."""
    client, server = pair
    data, taken = b"", 0
    for _ in range(2):
        data = b"".join(client.inject(ContentType.application_data, b"x") for _ in range(MAX_EVENTS + 1))
        taken = server.engine.receive(data, 0.0)
        if taken < len(data):
            break
    assert taken == 0
    assert len(server.engine._events) == MAX_EVENTS + 1
    server.give(data)  # events are pulled
    assert bytes(server.data) == b"x" * 2 * (MAX_EVENTS + 1)


def test_a_record_of_one_byte_costs_what_any_costs(pair: tuple[End, End]) -> None:
    client, server = pair

    def spent(count: int, size: int) -> int:
        content = b"x" * size
        data = b"".join(client.inject(ContentType.application_data, content) for _ in range(count))
        used = calls(lambda: server.engine.receive(data, 0.0))
        server.pull()
        return used

    spent(2, 1)
    assert spent(2_000, 1) <= 1.1 * 20 * spent(100, 1_000)


class Unsearched(list):  # type: ignore[type-arg]
    """A peer's list: to look something up in it takes as long as the peer likes."""

    def _search(self, *_: object) -> bool:
        raise AssertionError("a list of the peer's was searched")

    __contains__ = index = count = _search


def test_no_list_of_a_peer_is_searched(
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority,
    credential: Credential,
    client_credential: Credential,
) -> None:
    """Groups, shares, schemes, protocols, suites: looked up in sets, by both roles."""
    # Not versions and modes of key exchange, which have 255 bytes at most.
    for module, name in ((offer, "parse_uint16s"), (offer, "parse_alpn"), (client, "parse_uint16s")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, real=real: Unsearched(real(*given)))
    parsed = ClientHello.parse.__func__  # type: ignore[attr-defined]

    def parse(kind: type[ClientHello], body: bytes) -> ClientHello:
        hello: ClientHello = parsed(kind, body)
        hello.suites = Unsearched(hello.suites)
        return hello

    monkeypatch.setattr(ClientHello, "parse", classmethod(parse))
    one, other = meet(
        ClientConfig(roots=authority.roots, alpn=("h2", "http/1.1"), credential=client_credential),
        ServerConfig(
            (authority.credential("example.org"), credential),
            alpn=("http/1.1",),
            client_auth="required",
            client_roots=authority.roots,
        ),
    )
    assert one.established
    assert other.established


@pytest.mark.parametrize(
    ("identities", "binders", "words"),
    [
        (b"\0\0aaaaa", b"\x20" + bytes(32), "an identity of 0 bytes"),
        (b"\0\4abc\0\0\0\0", b"\x20" + bytes(32), "an identity of 4 bytes, 7 are there"),
        (b"\0\1a\0\0\0\0\0", b"\x20" + bytes(32), "an identity of 0 bytes"),
        (b"\0\1a\0\0\0\0", b"\x1f" + bytes(32), "a binder of 31 bytes"),
        (b"\0\1a\0\0\0\0", b"\x21" + bytes(32), "a binder of 33 bytes, 32 are there"),
    ],
)
def test_offered_keys_that_do_not_fit_their_lengths(identities: bytes, binders: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        parse_offered_psks(listed(identities) + listed(binders))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\0\3\3h2", "a name of 3 bytes, 2 are there"),
        (b"\0\2\0\0", "a name of 0 bytes"),
        (b"\0\3\1h", "no list"),
    ],
)
def test_protocols_that_do_not_fit_their_lengths(body: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        parse_alpn(body)


@pytest.mark.parametrize("responders", [b"\0", b"\0\0", b"\0\2a"])
def test_responders_that_do_not_fit_their_lengths(responders: bytes) -> None:
    with pytest.raises(DecodeError, match="responder_id_list"):
        staple_asked(b"\1" + listed(responders) + b"\0\0")

"""record_size_limit (RFC 8449)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Malformed, Misuse, PeerMisbehaved
from mungos.tls import ClientConfig, Credential, ExternalPsk, ServerConfig, SessionCache, TicketKeys
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import MAX_RECORD_SIZE
from mungos.tls.engines.builtin.messages import ClientHello, EncryptedExtensions, ExtensionType, HandshakeType
from mungos.tls.engines.builtin.records import OVERHEAD, ContentType
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import (
    WALL,
    End,
    Hook,
    factory,
    hooked_client,
    hooked_server,
    meet,
    only,
    pump,
    records,
)

LIMITS = [64, 65, 100, 1024, 1025, 1026, 4096, 16384, 16385]


def protected(stream: bytes) -> list[int]:
    """Bytes inside of each protected record, content type included."""
    return [len(record) - OVERHEAD + 1 for record in records(stream) if record[0] == 23]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("role", ["client", "server"])
def test_rfc8449_4_our_records_obey_the_peer(
    client_config: ClientConfig, server_config: ServerConfig, limit: int, role: str
) -> None:
    """Those of the handshake, too, and not a byte smaller than they may be."""
    if role == "server":
        client_config = replace(client_config, record_size_limit=limit)
    else:
        server_config = replace(server_config, record_size_limit=limit)
    client, server = End(factory().client(client_config, "localhost")), End(factory().server(server_config))
    flights = {"client": b"", "server": b""}
    for _ in range(3):
        for name, source, sink in (("client", client, server), ("server", server, client)):
            stream = source.take()
            flights[name] += stream
            sink.give(stream)
            sink.pull()
    assert client.established
    assert server.established
    assert max(protected(flights[role])) <= limit
    sender, receiver = (client, server) if role == "client" else (server, client)
    for parts in ([bytes(50_000)], [bytes(30_000), b"", bytes(20_000)], [bytes(limit - 1)], [bytes(limit)]):
        total = sum(map(len, parts))
        assert sender.engine.write(parts) == total
        stream = sender.take()
        sizes = protected(stream)
        most = min(limit, MAX_RECORD_SIZE)
        assert sizes == [most] * (total // (most - 1)) + [1 + total % (most - 1)] * (total % (most - 1) > 0)
        receiver.give(stream)
        receiver.pull()
    assert len(receiver.data) == 100_000 + 2 * limit - 1


def test_limits_of_both_are_their_own(client_config: ClientConfig, server_config: ServerConfig) -> None:
    client, server = meet(
        replace(client_config, record_size_limit=100), replace(server_config, record_size_limit=200)
    )
    client.engine.write([bytes(1000)])
    server.engine.write([bytes(1000)])
    assert max(protected(client.take())) == 200
    assert max(protected(server.take())) == 100


@pytest.mark.parametrize("limit", [64, 1025, 2000])
@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("how", ["content", "padding", "among others"])
def test_rfc8449_4_overlong_records_of_the_peer(
    client_config: ClientConfig, server_config: ServerConfig, limit: int, role: str, how: str
) -> None:
    """record_overflow; padding counts."""
    if role == "client":
        client, server = meet(replace(client_config, record_size_limit=limit), server_config)
        ours, peer = client, server
    else:
        client, server = meet(client_config, replace(server_config, record_size_limit=limit))
        ours, peer = server, client
    ours.give(peer.inject(ContentType.application_data, bytes(limit - 1)))
    ours.give(peer.inject(ContentType.application_data, bytes(limit - 5), padding=4))
    ours.pull()
    assert len(ours.data) == 2 * limit - 6
    if how == "padding":
        ours.give(peer.inject(ContentType.application_data, bytes(limit - 5), padding=5))
    else:
        stream = peer.inject(ContentType.application_data, bytes(limit))
        if how == "among others":
            stream = peer.inject(ContentType.application_data, b"x") + stream
            # The first of the two was made last.
            stream = b"".join(reversed(records(stream)))
        ours.give(stream)
    ours.pull()
    assert ours.failure.alert is Alert.record_overflow
    assert isinstance(ours.failure.error, Malformed)


def hello(body: bytes) -> Hook:
    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        parsed.extensions[ExtensionType.record_size_limit] = body
        return parsed.pack()

    return only(HandshakeType.client_hello, alter)


def answer(body: bytes | None) -> Hook:
    def alter(message: bytes) -> bytes:
        parsed = EncryptedExtensions.parse(message[4:])
        if body is None:
            parsed.extensions.pop(ExtensionType.record_size_limit, None)
        else:
            parsed.extensions[ExtensionType.record_size_limit] = body
        return parsed.pack()

    return only(HandshakeType.encrypted_extensions, alter)


BAD = [
    (b"\0\x3f", Alert.illegal_parameter),
    (b"\0\0", Alert.illegal_parameter),
    (b"", Alert.decode_error),
    (b"\1", Alert.decode_error),
    (b"\0\1\0", Alert.decode_error),
]


@pytest.mark.parametrize(("body", "alert"), BAD)
def test_rfc8449_4_what_a_client_may_not_say(
    client_config: ClientConfig, server_config: ServerConfig, body: bytes, alert: Alert
) -> None:
    server = End(factory().server(server_config))
    pump(hooked_client(client_config, hello(body)), server)
    assert server.failure.alert is alert


@pytest.mark.parametrize(("body", "alert"), BAD)
def test_rfc8449_4_what_a_server_may_not_say(
    client_config: ClientConfig, server_config: ServerConfig, body: bytes, alert: Alert
) -> None:
    client = End(factory().client(client_config, "localhost"))
    pump(client, hooked_server(server_config, answer(body)))
    assert client.failure.alert is alert
    assert isinstance(client.failure.error, PeerMisbehaved | Malformed)


def test_overlong_records_of_the_handshake(
    authority: Authority,
    client_config: ClientConfig,
    client_credential: Credential,
    server_config: ServerConfig,
) -> None:
    """The client was told another limit than the server holds it to."""
    config = replace(client_config, credential=client_credential)
    server = hooked_server(
        replace(server_config, record_size_limit=64, client_auth="required", client_roots=authority.roots),
        answer(b"\x40\x01"),
    )
    client = End(factory().client(config, "localhost"))
    pump(client, server)
    assert server.failure.alert is Alert.record_overflow


@pytest.mark.parametrize("body", [b"\x40\x02", b"\xff\xff"])
def test_rfc8449_4_more_than_tls_allows_says_nothing(
    client_config: ClientConfig, server_config: ServerConfig, body: bytes
) -> None:
    """A later version may allow more: no error, and no larger records."""
    client = End(factory().client(client_config, "localhost"))
    server = hooked_server(server_config, answer(body))
    pump(client, server)
    client.engine.write([bytes(40_000)])
    assert max(protected(client.take())) == MAX_RECORD_SIZE
    client, server = hooked_client(client_config, hello(body)), End(factory().server(server_config))
    pump(client, server)
    server.engine.write([bytes(40_000)])
    assert max(protected(server.take())) == MAX_RECORD_SIZE


def test_server_that_does_not_know_it_is_not_held_to_it(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client = End(factory().client(replace(client_config, record_size_limit=64), "localhost"))
    server = hooked_server(server_config, answer(None))
    pump(client, server)
    client.give(server.inject(ContentType.application_data, bytes(1000)))
    client.pull()
    assert len(client.data) == 1000


def test_client_that_does_not_know_it_is_not_told(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def forget(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        del parsed.extensions[ExtensionType.record_size_limit]
        return parsed.pack()

    seen: list[EncryptedExtensions] = []

    def watch(message: bytes) -> bytes:
        seen.append(EncryptedExtensions.parse(message[4:]))
        return message

    client = hooked_client(client_config, only(HandshakeType.client_hello, forget))
    server = hooked_server(
        replace(server_config, record_size_limit=64), only(HandshakeType.encrypted_extensions, watch)
    )
    pump(client, server)
    assert client.established
    assert ExtensionType.record_size_limit not in seen[0].extensions
    server.give(client.inject(ContentType.application_data, bytes(1000)))
    server.pull()
    assert len(server.data) == 1000


@pytest.mark.parametrize("before", [64, 16385])
def test_a_resumed_session_has_limits_of_its_own(
    client_config: ClientConfig, server_config: ServerConfig, before: int
) -> None:
    """RFC 8449 section 4: negotiated anew when a session is resumed."""
    config = replace(client_config, sessions=SessionCache(), wall=lambda: WALL)
    first = replace(server_config, tickets=TicketKeys(count=1), wall=lambda: WALL, record_size_limit=before)
    meet(config, first)
    client, _ = meet(config, replace(first, record_size_limit=1000), seed=1)
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.resumed
    client.engine.write([bytes(5000)])
    assert max(protected(client.take())) == 1000


@pytest.mark.parametrize("limit", [0, 63, MAX_RECORD_SIZE + 1])
def test_limits_out_of_range_are_misuse(server_config: ServerConfig, limit: int) -> None:
    with pytest.raises(Misuse, match="record_size_limit"):
        factory().client(ClientConfig(record_size_limit=limit), "localhost")
    with pytest.raises(Misuse, match="record_size_limit"):
        factory().server(replace(server_config, record_size_limit=limit))


@given(st.integers(64, 3000), st.lists(st.integers(0, 5000), min_size=1, max_size=4), st.integers(1, 7000))
@settings(max_examples=60, deadline=None)
def test_any_limit_any_parts_any_pieces(limit: int, sizes: list[int], chunk: int) -> None:
    sender, receiver = _pair(limit)
    parts = [bytes((index,)) * size for index, size in enumerate(sizes)]
    accepted = sender.engine.write(parts)
    assert accepted == sum(sizes)
    stream = sender.take()
    assert all(size <= limit for size in protected(stream))
    for at in range(0, len(stream), chunk):
        receiver.give(stream[at : at + chunk])
    receiver.pull()
    assert receiver.data == b"".join(parts)


def _pair(limit: int) -> tuple[End, End]:
    """Cheap ones: no certificates."""
    psk = ExternalPsk(b"x", bytes(16))
    client, server = meet(
        ClientConfig(psks=(psk,), groups=("x25519",)),
        ServerConfig(psks=(psk,), groups=("x25519",), record_size_limit=limit),
        name=None,
    )
    return client, server

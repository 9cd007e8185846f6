"""Tickets and resumption (RFC 8446 sections 2.2, 4.2.11 and 4.6.1), and what keeps them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.errors import Misuse
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType, HandshakeType, ServerHello
from mungos.tls.engines.builtin.messages.extensions import pack_offered_psks, parse_offered_psks
from mungos.tls.engines.builtin.tickets import TicketState, open_ticket, seal_ticket
from mungos.tls.sessions import MAX_TICKET_LIFETIME, ClientSession, SessionCache, TicketKey, TicketKeys
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import WALL, End, factory, hooked_client, hooked_server, meet, only, pump


class Clock:
    """Civil time that a test moves."""

    def __init__(self) -> None:
        self.now = WALL

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions() -> SessionCache:
    return SessionCache()


@pytest.fixture
def client_config(authority: Authority, sessions: SessionCache, clock: Clock) -> ClientConfig:
    return ClientConfig(roots=authority.roots, sessions=sessions, wall=clock)


@pytest.fixture
def server_config(credential: Credential, clock: Clock) -> ServerConfig:
    return ServerConfig((credential,), tickets=TicketKeys(count=1), wall=clock)


def resumed(client: End, server: End) -> bool:
    for end in (client, server):
        assert end.engine.negotiated is not None, end.events
    assert client.engine.negotiated.resumed is server.engine.negotiated.resumed  # type: ignore[union-attr]
    return client.engine.negotiated.resumed  # type: ignore[union-attr]


def test_second_session_is_resumed(client_config: ClientConfig, server_config: ServerConfig) -> None:
    first = meet(client_config, server_config)
    second = meet(client_config, server_config, seed=1)
    assert not resumed(*first)
    assert resumed(*second)
    one, two = first[0].engine.negotiated, second[0].engine.negotiated
    assert one is not None
    assert two is not None
    assert one.peer_chain == two.peer_chain
    assert two.scheme is None
    assert two.group is not None
    assert resumed(*meet(client_config, server_config, seed=2))


def test_each_ticket_is_used_once(
    client_config: ClientConfig, server_config: ServerConfig, sessions: SessionCache
) -> None:
    meet(client_config, server_config)
    assert len(sessions) == 1
    End(factory(1).client(client_config, "localhost"))
    assert len(sessions) == 0


def test_another_name_is_not_resumed(authority: Authority, client_config: ClientConfig, clock: Clock) -> None:
    config = ServerConfig(
        (authority.credential("localhost", "other.example"),), tickets=TicketKeys(), wall=clock
    )
    meet(client_config, config)
    assert not resumed(*meet(client_config, config, name="other.example", seed=1))
    assert resumed(*meet(client_config, config, name="LOCALHOST.", seed=2))


def test_another_way_of_trust_is_not_resumed(
    authority: Authority, server_config: ServerConfig, sessions: SessionCache, clock: Clock
) -> None:
    """A session that nobody verified must not be taken up where verification is on."""
    loose = ClientConfig(verify=False, sessions=sessions, wall=clock)
    strict = ClientConfig(roots=authority.roots, sessions=sessions, wall=clock)
    meet(loose, server_config)
    assert not resumed(*meet(strict, server_config, seed=1))
    assert resumed(*meet(loose, server_config, seed=2))


@pytest.mark.parametrize(("later", "expected"), [(7199, True), (7201, False), (-10, False)])
def test_age_of_a_ticket_at_the_client(
    client_config: ClientConfig, server_config: ServerConfig, clock: Clock, later: float, expected: bool
) -> None:
    meet(client_config, server_config)
    clock.now += later
    assert resumed(*meet(client_config, server_config, seed=1)) is expected


def test_age_of_a_ticket_at_the_server(
    client_config: ClientConfig, credential: Credential, sessions: SessionCache
) -> None:
    server_clock = Clock()
    config = ServerConfig((credential,), tickets=TicketKeys(lifetime=100), wall=server_clock)
    meet(client_config, config)
    server_clock.now += 101
    client, server = meet(client_config, config, seed=1)
    assert not resumed(client, server)
    assert client.established


@pytest.mark.parametrize("hash_suites", [("TLS_AES_256_GCM_SHA384",), ("TLS_CHACHA20_POLY1305_SHA256",)])
def test_rfc8446_4_2_11_hash_of_the_suite(
    client_config: ClientConfig,
    server_config: ServerConfig,
    credential: Credential,
    clock: Clock,
    hash_suites: tuple[str, ...],
) -> None:
    meet(client_config, server_config)
    assert server_config.tickets is not None
    other = ServerConfig((credential,), tickets=server_config.tickets, suites=hash_suites, wall=clock)
    # The same hash is enough: the suite may differ.
    assert resumed(*meet(client_config, other, seed=1)) is (hash_suites[0].endswith("SHA256"))


def test_ticket_of_another_server(client_config: ClientConfig, credential: Credential, clock: Clock) -> None:
    meet(client_config, ServerConfig((credential,), tickets=TicketKeys(), wall=clock))
    for tickets in (TicketKeys(), None):
        client, server = meet(client_config, ServerConfig((credential,), tickets=tickets, wall=clock), seed=1)
        assert not resumed(client, server)


def offer(change: Callable[[bytes, bytes, int], tuple[bytes, bytes, int]]) -> Callable[[bytes], bytes]:
    """Alters identity, binder and age in the hello."""

    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        body = parsed.extensions.get(ExtensionType.pre_shared_key)
        if body is None:
            return message
        psks = parse_offered_psks(body)
        identity = psks.identities[0]
        identity.identity, psks.binders[0], identity.obfuscated_age = change(
            identity.identity, psks.binders[0], identity.obfuscated_age
        )
        parsed.extensions[ExtensionType.pre_shared_key] = pack_offered_psks(psks)
        return parsed.pack()

    return alter


def test_bad_binder_is_fatal(client_config: ClientConfig, server_config: ServerConfig) -> None:
    meet(client_config, server_config)
    hook = only(1, offer(lambda identity, binder, age: (identity, bytes(len(binder)), age)))
    client, server = hooked_client(client_config, hook), End(factory().server(server_config))
    pump(client, server)
    assert server.failure.alert is client.failure.alert is Alert.decrypt_error


def test_binder_covers_the_hello(client_config: ClientConfig, server_config: ServerConfig) -> None:
    meet(client_config, server_config)
    hook = only(1, offer(lambda identity, binder, age: (identity, binder, age ^ 1)))
    client, server = hooked_client(client_config, hook), End(factory().server(server_config))
    pump(client, server)
    assert server.failure.alert is Alert.decrypt_error


@pytest.mark.parametrize("at", [0, 15, 16, 27, 28, -1])
def test_changed_ticket_is_passed_over(
    client_config: ClientConfig, server_config: ServerConfig, at: int
) -> None:
    meet(client_config, server_config)

    def change(identity: bytes, binder: bytes, age: int) -> tuple[bytes, bytes, int]:
        changed = bytearray(identity)
        changed[at] ^= 1
        return bytes(changed), binder, age

    client, server = (
        hooked_client(client_config, only(1, offer(change))),
        End(factory().server(server_config)),
    )
    pump(client, server)
    assert server.established
    assert server.engine.negotiated is not None
    assert not server.engine.negotiated.resumed


def answer(change: Callable[[ServerHello], None]) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        parsed = ServerHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return alter


def _identity(value: bytes) -> Callable[[ServerHello], None]:
    return lambda parsed: parsed.extensions.update({ExtensionType.pre_shared_key: value})


def _no_share(parsed: ServerHello) -> None:
    del parsed.extensions[ExtensionType.key_share]


def _other_hash(parsed: ServerHello) -> None:
    parsed.suite = 0x1302


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        (_identity(b"\0\1"), Alert.illegal_parameter),
        (_identity(b"\xff\xff"), Alert.illegal_parameter),
        (_identity(b"\0"), Alert.decode_error),
        (_no_share, Alert.missing_extension),
        (_other_hash, Alert.illegal_parameter),
    ],
)
def test_what_a_server_may_not_answer_to_a_ticket(
    client_config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ServerHello], None],
    alert: Alert,
) -> None:
    meet(client_config, server_config)
    client = End(factory(1).client(client_config, "localhost"))
    server = hooked_server(server_config, only(HandshakeType.server_hello, answer(change)))
    server.give(client.take())
    client.give(server.take())
    client.pull()
    assert client.failure.alert is alert


def test_no_certificate_after_a_ticket(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """A server that resumes shows no certificate and asks for none (section 4.3.2)."""
    meet(client_config, server_config)
    client = End(factory(1).client(client_config, "localhost"))
    server = hooked_server(server_config, only(HandshakeType.finished, lambda m: b"\x0d\0\0\x03\0\0\0"))
    pump(client, server)
    assert client.failure.alert is Alert.unexpected_message


def test_hello_retry_request_with_a_ticket(
    client_config: ClientConfig, credential: Credential, clock: Clock
) -> None:
    config = ServerConfig((credential,), tickets=TicketKeys(), groups=("secp384r1",), wall=clock)
    assert not resumed(*meet(client_config, config))
    assert resumed(*meet(client_config, config, seed=1))


def test_hello_retry_request_of_another_hash_drops_the_ticket(
    client_config: ClientConfig, server_config: ServerConfig, credential: Credential, clock: Clock
) -> None:
    meet(client_config, server_config)
    config = ServerConfig(
        (credential,),
        tickets=server_config.tickets,
        groups=("secp384r1",),
        suites=("TLS_AES_256_GCM_SHA384",),
        wall=clock,
    )
    client, server = meet(client_config, config, seed=1)
    assert not resumed(client, server)


def test_client_certificates_are_remembered_and_checked_again(
    authority: Authority, credential: Credential, client_credential: Credential, sessions: SessionCache
) -> None:
    clock = Clock()
    config = ClientConfig(roots=authority.roots, sessions=sessions, credential=client_credential, wall=clock)
    tickets = TicketKeys()
    required = ServerConfig(
        (credential,), tickets=tickets, client_auth="required", client_roots=authority.roots, wall=clock
    )
    _, first = meet(config, required)
    client, second = meet(config, required, seed=1)
    assert resumed(client, second)
    assert first.engine.negotiated is not None
    assert second.engine.negotiated is not None
    assert second.engine.negotiated.peer_chain == first.engine.negotiated.peer_chain != ()
    # Who trusts others does not take the old proof for new.
    import trustme

    elsewhere = ServerConfig(
        (credential,),
        tickets=tickets,
        client_auth="optional",
        client_roots=trustme.CA().cert_pem.bytes(),
        wall=clock,
    )
    _, third = meet(config, elsewhere, seed=2)
    assert third.failure.alert is Alert.unknown_ca


def test_certificate_that_nobody_checks_now_is_not_shown(
    authority: Authority,
    credential: Credential,
    client_credential: Credential,
    sessions: SessionCache,
    clock: Clock,
) -> None:
    config = ClientConfig(roots=authority.roots, sessions=sessions, credential=client_credential, wall=clock)
    tickets = TicketKeys()
    required = ServerConfig(
        (credential,), tickets=tickets, client_auth="required", client_roots=authority.roots, wall=clock
    )
    meet(config, required)
    client, server = meet(config, ServerConfig((credential,), tickets=tickets, wall=clock), seed=1)
    assert resumed(client, server)
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.peer_chain == ()


def test_ticket_without_a_certificate_where_one_is_required(
    authority: Authority, credential: Credential, client_config: ClientConfig, clock: Clock
) -> None:
    tickets = TicketKeys()
    meet(client_config, ServerConfig((credential,), tickets=tickets, wall=clock))
    required = ServerConfig(
        (credential,), tickets=tickets, client_auth="required", client_roots=authority.roots, wall=clock
    )
    _, server = meet(client_config, required, seed=1)
    assert server.failure.alert is Alert.certificate_required


def test_t76_tickets_of_a_failed_session_are_forgotten(
    client_config: ClientConfig, server_config: ServerConfig, sessions: SessionCache
) -> None:
    client, server = meet(client_config, server_config)
    assert len(sessions) == 1
    server.engine.fail(Alert.internal_error)
    client.give(server.take())
    client.pull()
    assert client.failed
    assert len(sessions) == 0


# The objects of the configuration


def session(
    name: str | None = "a", ticket: bytes = b"t", obtained: float = 0.0, trust: bytes = b""
) -> ClientSession:
    return ClientSession(ticket, b"s", "TLS_AES_128_GCM_SHA256", name, trust, 0, obtained, obtained + 10)


def test_cache_hands_out_the_newest_first_and_each_once() -> None:
    cache = SessionCache()
    for index in range(3):
        assert cache.put(session(ticket=bytes((index,))))
    assert [cache.take("a", b"", 1.0).ticket for _ in range(3)] == [b"\2", b"\1", b"\0"]  # type: ignore[union-attr]
    assert cache.take("a", b"", 1.0) is None
    assert len(cache) == 0


def test_cache_is_bounded() -> None:
    cache = SessionCache(servers=2, tickets=2, ticket_bytes=10)
    assert not cache.put(session(ticket=b"x" * 11))
    assert not cache.put(session(None))
    for name in ("a", "b", "c"):
        for _ in range(5):
            cache.put(session(name))
    assert len(cache) == 4
    assert cache.take("a", b"", 1.0) is None
    cache.forget("b")
    assert len(cache) == 2


def test_cache_drops_what_is_stale() -> None:
    cache = SessionCache()
    cache.put(session(obtained=100.0))
    assert cache.take("a", b"", 110.0) is None
    cache.put(session(obtained=100.0))
    assert cache.take("a", b"", 99.0) is None
    assert len(cache) == 0
    cache.put(session(trust=b"one"))
    assert cache.take("a", b"two", 1.0) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: TicketKeys(lifetime=0),
        lambda: TicketKeys(lifetime=MAX_TICKET_LIFETIME + 1),
        lambda: TicketKeys(rotation=0),
        lambda: TicketKeys(count=17),
        lambda: SessionCache(servers=0),
        lambda: SessionCache(tickets=0),
        lambda: SessionCache(ticket_bytes=0),
    ],
)
def test_limits_out_of_range_are_misuse(make: Callable[[], object]) -> None:
    with pytest.raises(Misuse):
        make()


def test_ticket_keys_rotate_and_are_forgotten() -> None:
    keys = TicketKeys(lifetime=100, rotation=50)
    counter = iter(range(1, 100))

    def random(size: int) -> bytes:
        return bytes((next(counter),)) * size

    first = keys.sealing(0.0, random)
    assert keys.sealing(49.0, random) is first
    second = keys.sealing(50.0, random)
    assert second is not first
    assert keys.opening(first.name, 149.0) is first
    assert keys.opening(first.name, 151.0) is None
    assert keys.opening(second.name, 151.0) is second
    assert keys.opening(b"unknown", 151.0) is None
    # A clock that went back starts a new key.
    assert keys.sealing(10.0, random) is not second


def test_tickets_survive_nothing_but_themselves() -> None:
    from mungos.crypto.with_cryptography import CryptographyProvider

    provider = CryptographyProvider()
    keys = TicketKeys(lifetime=100)
    state = TicketState(0x1301, bytes(32), 1000, (b"leaf", b"issuer"))
    ticket = seal_ticket(state, keys, provider, lambda size: bytes(range(size)), 1000.0)
    assert open_ticket(ticket, keys, provider, 1100.0) == state
    assert open_ticket(ticket, keys, provider, 1101.0) is None
    assert open_ticket(ticket, keys, provider, 999.0) is None
    for cut in range(len(ticket)):
        assert open_ticket(ticket[:cut], keys, provider, 1000.0) is None
    key: TicketKey = keys._keys[0]
    assert key.name == ticket[:16]
    assert state.psk.hex() not in ticket.hex()

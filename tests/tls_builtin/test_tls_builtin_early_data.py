"""0-RTT data (RFC 8446 sections 2.3, 4.2.10, 4.5 and 8), both roles; T33 and T34."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mungos.errors import Broken, Closed, Misuse
from mungos.tls import (
    ClientConfig,
    Credential,
    EarlyDataGuard,
    ExternalPsk,
    ServerConfig,
    SessionCache,
    TicketKeys,
)
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.contract import EarlyData, Established, Failed, Negotiated
from mungos.tls.engines.builtin.messages import (
    ClientHello,
    EncryptedExtensions,
    ExtensionType,
    HandshakeType,
    NewSessionTicket,
)
from mungos.tls.engines.builtin.messages.extensions import parse_offered_psks
from mungos.tls.engines.builtin.records import ContentType
from mungos.tls.engines.builtin.server import MAX_SKIPPED_EARLY_DATA
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import (
    WALL,
    End,
    alerts,
    factory,
    hooked_client,
    hooked_server,
    meet,
    only,
    pump,
    records,
)

EARLY = b"GET /early"


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
def client_config(authority: Authority, clock: Clock) -> ClientConfig:
    return ClientConfig(
        roots=authority.roots, sessions=SessionCache(), wall=clock, early_data="report", alpn=("one", "two")
    )


@pytest.fixture
def server_config(credential: Credential, clock: Clock) -> ServerConfig:
    return ServerConfig(
        (credential,),
        tickets=TicketKeys(count=1),
        early_data=EarlyDataGuard(),
        wall=clock,
        alpn=("one",),
    )


def begin(config: ClientConfig, data: bytes = EARLY, seed: int = 5) -> End:
    """A client that has sent its hello and early data, if it may."""
    client = End(factory(seed).client(config, "localhost"))
    client.engine.write_early([data])
    return client


def again(client: ClientConfig, server: ServerConfig, data: bytes = EARLY) -> tuple[End, End]:
    """A second session, with early data."""
    one, other = begin(client, data), End(factory(6).server(server))
    pump(one, other)
    return one, other


def early(end: End) -> bytes:
    """The early data that an end was handed, all before `Established`."""
    kinds = [type(event) for event in end.events]
    if Established in kinds:
        assert EarlyData not in kinds[kinds.index(Established) :]
    return b"".join(bytes(event.data) for event in end.events if isinstance(event, EarlyData))


def fates(*ends: End) -> list[str]:
    found: list[str] = []
    for end in ends:
        negotiated = end.engine.negotiated
        assert isinstance(negotiated, Negotiated), end.events
        found.append(negotiated.early_data)
    return found


def test_off_by_default(authority: Authority, credential: Credential) -> None:
    assert ClientConfig().early_data == "off"
    assert ServerConfig().early_data is None
    sessions = SessionCache()
    client = ClientConfig(roots=authority.roots, sessions=sessions)
    meet(client, ServerConfig((credential,), tickets=TicketKeys(count=1)))
    ((session,),) = sessions._sessions.values()
    assert session.max_early_data == 0


def test_accepted(client_config: ClientConfig, server_config: ServerConfig) -> None:
    assert fates(*meet(client_config, server_config)) == ["none", "none"]
    client, server = again(client_config, server_config)
    assert fates(client, server) == ["accepted", "accepted"]
    assert early(server) == EARLY
    assert server.data == b""
    client.engine.write([b"late"])
    pump(client, server)
    assert server.data == b"late"
    assert server.engine.unread == 0


def test_early_data_come_before_the_server_has_answered(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    server.give(client.take())
    server.pull()
    assert early(server) == EARLY
    assert not server.established
    # More may follow until the server's Finished has come.
    assert client.engine.write_early([b" and", b" more"]) == 9
    server.give(client.take())
    server.pull()
    assert early(server) == EARLY + b" and more"
    pump(client, server)
    assert client.engine.write_early([b"too late"]) == 0
    assert fates(client, server) == ["accepted", "accepted"]


def test_appendix_d4_change_cipher_spec_stands_behind_the_first_hello(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    first = records(client.take())
    assert [record[0] for record in first] == [22, 20, 23]
    assert first[0][1:3] == b"\3\1"
    server.give(b"".join(first))
    client.give(server.take())
    assert [record[0] for record in records(client.take())] == [23, 23]  # EndOfEarlyData, Finished


def test_nothing_sent_early(client_config: ClientConfig, server_config: ServerConfig) -> None:
    meet(client_config, server_config)
    client, server = again(client_config, server_config, b"")
    assert fates(client, server) == ["accepted", "accepted"]
    assert early(server) == b""


def test_limit_of_the_ticket(client_config: ClientConfig, server_config: ServerConfig) -> None:
    config = replace(server_config, early_data=EarlyDataGuard(max_bytes=20_000))
    meet(client_config, config)
    client = End(factory(5).client(client_config, "localhost"))
    assert client.engine.write_early([bytes(15_000)]) == 15_000
    assert client.engine.write_early([bytes(4_000), bytes(4_000)]) == 5_000
    assert client.engine.write_early([b"x"]) == 0
    server = End(factory(6).server(config))
    pump(client, server)
    assert early(server) == bytes(20_000)


def test_limit_of_unsent_bytes(client_config: ClientConfig, server_config: ServerConfig) -> None:
    config = replace(server_config, early_data=EarlyDataGuard(max_bytes=1_000_000))
    small = replace(client_config, max_unsent=40_000)
    meet(small, config)
    client = End(factory(5).client(small, "localhost"))
    assert client.engine.write_early([bytes(100_000)]) == 2 << 14
    assert client.engine.unsent <= 40_000
    client.take()
    assert client.engine.write_early([bytes(16_000)]) == 16_000


def test_write_early_without_a_ticket_and_after_the_end(client_config: ClientConfig) -> None:
    client = End(factory(5).client(client_config, "localhost"))
    assert client.engine.write_early([b"x"]) == 0
    client.engine.close_write()
    with pytest.raises(Closed):
        client.engine.write_early([b"x"])


def test_a_server_sends_no_early_data(server_config: ServerConfig) -> None:
    assert End(factory(5).server(server_config)).engine.write_early([b"x"]) == 0


def test_close_before_the_server_has_answered(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The alerts go out under the early key, too: the server has no other yet."""
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    client.engine.close_write()
    server.give(client.take())
    server.pull()
    assert early(server) == EARLY
    assert server.failure.alert is Alert.close_notify
    assert server.failure.sent_by_peer


def test_t33_cut_before_end_of_early_data(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """Accepted, marked as replayable, and the session is no clean one (sections 4.2.10 and 4.5)."""
    meet(client_config, server_config)
    stream = begin(client_config).take()
    size = len(records(stream)[0])
    for cut in range(size, len(stream) + 1):
        config = replace(server_config, early_data=EarlyDataGuard())
        server = End(factory(6).server(config))
        server.give(stream[:cut])
        server.engine.receive_eof(0.0)
        server.pull()
        assert early(server) == (EARLY if cut == len(stream) else b"")
        assert isinstance(server.failure.error, Broken)
        assert not server.established


# Refused, for each reason there is


def offers_early(config: ClientConfig) -> bool:
    hello = ClientHello.parse(End(factory(5).client(config, "localhost")).take()[9:].split(b"\x14\3\3")[0])
    return ExtensionType.early_data in hello.extensions


def _no_guard(config: ServerConfig) -> ServerConfig:
    return replace(config, early_data=None)


def _other_guard_full(config: ServerConfig) -> ServerConfig:
    guard = EarlyDataGuard(capacity=1)
    guard.admit(b"another", issued=WALL, age=0.0, wall=WALL)
    return replace(config, early_data=guard)


def _other_suite(config: ServerConfig) -> ServerConfig:
    return replace(config, suites=("TLS_CHACHA20_POLY1305_SHA256",))


def _other_protocol(config: ServerConfig) -> ServerConfig:
    return replace(config, alpn=("two",))


def _no_protocol(config: ServerConfig) -> ServerConfig:
    return replace(config, alpn=())


def _other_keys(config: ServerConfig) -> ServerConfig:
    return replace(config, tickets=TicketKeys(count=1))


def _retry(config: ServerConfig) -> ServerConfig:
    return replace(config, groups=("secp384r1",))


REFUSALS = [
    _no_guard,
    _other_guard_full,
    _other_suite,
    _other_protocol,
    _no_protocol,
    _other_keys,
    _retry,
]


@pytest.mark.parametrize("change", REFUSALS)
def test_t34_refused_is_reported(
    client_config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ServerConfig], ServerConfig],
) -> None:
    meet(client_config, server_config)
    client, server = again(client_config, change(server_config))
    assert fates(client, server) == ["rejected", "rejected"]
    assert early(server) == b""
    assert server.data == b""
    client.engine.write([b"late"])
    server.engine.write([b"answer"])
    pump(client, server)
    assert server.data == b"late"
    assert client.data == b"answer"


@pytest.mark.parametrize("change", REFUSALS)
@pytest.mark.parametrize("size", [10, 40_000])
def test_t34_refused_is_sent_again_exactly_once(
    client_config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ServerConfig], ServerConfig],
    size: int,
) -> None:
    """But never to another protocol (section 4.2.10: "MUST NOT")."""
    data = bytes(range(250)) * (size // 250) + bytes(size % 250)
    config = replace(client_config, early_data="resend")
    server_config = replace(server_config, early_data=EarlyDataGuard(max_bytes=50_000))
    meet(config, server_config)
    client, server = again(config, change(server_config), data)
    same = change not in (_other_protocol, _no_protocol)
    assert fates(client, server) == ["resent" if same else "rejected", "rejected"]
    client.engine.write([b"late"])
    pump(client, server)
    assert server.data == (data if same else b"") + b"late"
    assert early(server) == b""


def test_sent_again_in_records_that_the_server_takes(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """RFC 8449 section 4: the limit of this handshake, not of the one before."""
    config = replace(client_config, early_data="resend")
    meet(config, server_config)
    client, server = again(config, replace(_no_guard(server_config), record_size_limit=100), bytes(1000))
    assert fates(client, server) == ["resent", "rejected"]
    assert server.data == bytes(1000)


def test_refused_and_accepted_alike_in_pieces(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    for config, fate in ((server_config, "accepted"), (_no_guard(server_config), "rejected")):
        meet(client_config, server_config, seed=fate)
        client, server = begin(client_config), End(factory(6).server(config))
        pump(client, server, 1)
        assert fates(client, server) == [fate, fate]


def test_section_8_1_each_ticket_once(client_config: ClientConfig, server_config: ServerConfig) -> None:
    meet(client_config, server_config)
    stream = begin(client_config).take()
    first, second = (End(factory(6).server(server_config)) for _ in range(2))
    for server in (first, second):
        server.give(stream)
        server.pull()
    assert early(first) == EARLY
    assert early(second) == b""
    assert not second.failed


@pytest.mark.parametrize(("later", "fate"), [(9.9, "accepted"), (10.1, "rejected"), (300.0, "rejected")])
def test_section_8_3_only_while_it_is_fresh(
    client_config: ClientConfig, server_config: ServerConfig, clock: Clock, later: float, fate: str
) -> None:
    meet(client_config, server_config)
    stale = begin(client_config).take()
    clock.now += later
    server = End(factory(6).server(server_config))
    server.give(stale)
    server.pull()
    assert (early(server) == EARLY) is (fate == "accepted")


def test_section_8_3_age_of_the_ticket_itself_does_not_matter(
    client_config: ClientConfig, server_config: ServerConfig, clock: Clock
) -> None:
    meet(client_config, server_config)
    clock.now += 3600
    assert fates(*again(client_config, server_config)) == ["accepted", "accepted"]


@pytest.mark.parametrize("lie", [-60_000, 60_000])
def test_section_8_3_client_that_lies_about_the_age(
    client_config: ClientConfig, server_config: ServerConfig, clock: Clock, lie: int
) -> None:
    meet(client_config, server_config)
    sessions = client_config.sessions
    assert sessions is not None
    (kept,) = sessions._sessions.values()
    kept[0] = replace(kept[0], age_add=kept[0].age_add + lie)
    clock.now += 100
    assert fates(*again(client_config, server_config)) == ["rejected", "rejected"]


def test_section_8_2_tickets_from_before_the_guard(
    client_config: ClientConfig, server_config: ServerConfig, clock: Clock
) -> None:
    """What another guard may have let in is refused while it could still look fresh."""
    meet(client_config, server_config)
    meet(client_config, server_config, seed=1)
    clock.now += 1
    restarted = replace(server_config, early_data=EarlyDataGuard())
    # The second of the two: a resumption takes up the newest ticket.
    assert fates(*again(client_config, restarted)) == ["rejected", "rejected"]
    clock.now += 20
    assert fates(*again(client_config, restarted)) == ["accepted", "accepted"]


def test_section_4_2_10_only_with_the_first_key(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Early data belong to the first of the PSKs; a server that takes the second refuses them."""
    psk = ExternalPsk(b"lamp", bytes(16))
    config = replace(client_config, psks=(psk,))
    server = replace(server_config, psks=(psk,))
    meet(config, server)
    client, end = again(config, replace(server, tickets=TicketKeys()))
    assert fates(client, end) == ["rejected", "rejected"]
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.psk_identity == b"lamp"


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, early_data="off"),
        lambda config: replace(config, suites=("TLS_CHACHA20_POLY1305_SHA256",)),
        lambda config: replace(config, alpn=("two",)),
        lambda config: replace(config, alpn=()),
    ],
)
def test_client_does_not_offer_what_can_t_be_accepted(
    client_config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ClientConfig], ClientConfig],
) -> None:
    meet(client_config, server_config)
    sessions = client_config.sessions
    assert sessions is not None
    kept = [session for each in sessions._sessions.values() for session in each]
    assert offers_early(client_config)
    for session in kept:
        sessions.put(session)
    assert not offers_early(change(client_config))


def test_another_name_is_another_ticket(
    authority: Authority, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """A ticket of one name is not used, and so sends nothing, under another; a server checks it as well."""
    both = replace(server_config, credentials=(authority.credential("localhost", "other.example"),))
    meet(client_config, both)

    client = End(factory(5).client(client_config, "other.example"))
    assert client.engine.write_early([EARLY]) == 0
    sessions = client_config.sessions
    assert sessions is not None
    ((kept,),) = sessions._sessions.values()
    sessions.put(replace(kept, server_name="other.example"))
    client = End(factory(5).client(client_config, "other.example"))
    assert client.engine.write_early([EARLY]) == len(EARLY)
    server = End(factory(6).server(both))
    pump(client, server)
    assert fates(client, server) == ["rejected", "rejected"]


# What a peer may not do


def test_more_than_the_ticket_allows(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """Section 4.2.10: unexpected_message."""
    config = replace(server_config, early_data=EarlyDataGuard(max_bytes=10))
    meet(client_config, config)
    sessions = client_config.sessions
    assert sessions is not None
    (kept,) = sessions._sessions.values()
    kept[0] = replace(kept[0], max_early_data=100)
    client, server = begin(client_config, bytes(10)), End(factory(6).server(config))
    client.engine.write_early([b"x"])
    server.give(client.take())
    server.pull()
    assert early(server) == bytes(10)
    assert server.failure.alert is Alert.unexpected_message


def test_empty_records_of_early_data_are_counted(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    client, server = begin(client_config, b"x"), End(factory(6).server(server_config))
    stream = client.take() + b"".join(client.inject(ContentType.application_data, b"") for _ in range(70))
    server.give(stream)
    server.pull()
    assert server.failure.alert is Alert.unexpected_message


@pytest.mark.parametrize("kind", [HandshakeType.finished, HandshakeType.key_update])
def test_section_4_5_what_may_not_come_in_place_of_end_of_early_data(
    client_config: ClientConfig, server_config: ServerConfig, kind: HandshakeType
) -> None:
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    server.give(client.take() + client.inject(ContentType.handshake, bytes((kind, 0, 0, 0))))
    server.pull()
    assert server.failure.alert is Alert.unexpected_message


def test_section_4_5_end_of_early_data_is_empty(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    server.give(client.take() + client.inject(ContentType.handshake, b"\5\0\0\1x"))
    server.pull()
    assert server.failure.alert is Alert.decode_error


def test_section_4_5_end_of_early_data_that_nobody_expects(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client = hooked_client(
        client_config, lambda m: m if m[0] != HandshakeType.finished else b"\5\0\0\0", "localhost"
    )
    server = End(factory(6).server(server_config))
    pump(client, server)
    assert server.failure.alert is Alert.unexpected_message


def test_section_4_5_keys_change_behind_end_of_early_data(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """A record of early data after it is under the wrong key."""
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    server.give(client.take() + client.inject(ContentType.handshake, b"\5\0\0\0"))
    server.give(client.inject(ContentType.application_data, b"x"))
    server.pull()
    assert server.failure.alert is Alert.bad_record_mac


def test_end_of_early_data_ends_its_record(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """Section 5.1: a key changes right behind it."""
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    server.give(client.take() + client.inject(ContentType.handshake, b"\5\0\0\0\x14"))
    server.pull()
    assert server.failure.alert is Alert.unexpected_message


def _hello(change: Callable[[ClientHello], None]) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        parsed = ClientHello.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return alter


def test_section_4_2_10_early_data_without_a_key(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    def add(parsed: ClientHello) -> None:
        parsed.extensions[ExtensionType.early_data] = b""

    client = hooked_client(client_config, only(HandshakeType.client_hello, _hello(add)))
    server = End(factory(6).server(server_config))
    pump(client, server)
    assert server.failure.alert is Alert.illegal_parameter


def test_section_4_2_10_offer_is_empty(client_config: ClientConfig, server_config: ServerConfig) -> None:
    meet(client_config, server_config)

    def fill(parsed: ClientHello) -> None:
        psks = parsed.extensions.pop(ExtensionType.pre_shared_key)
        parsed.extensions |= {ExtensionType.early_data: b"x", ExtensionType.pre_shared_key: psks}

    client = hooked_client(client_config, only(HandshakeType.client_hello, _hello(fill)))
    server = End(factory(6).server(server_config))
    pump(client, server)
    assert server.failure.alert is Alert.decode_error


def test_section_4_1_2_not_offered_again_after_a_retry(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    config = _retry(server_config)
    hellos: list[ClientHello] = []

    def watch(message: bytes) -> bytes:
        hellos.append(ClientHello.parse(message[4:]))
        return message

    client, server = (
        hooked_client(client_config, only(HandshakeType.client_hello, watch)),
        End(factory(6).server(config)),
    )
    client.engine.write_early([EARLY])
    pump(client, server)
    assert [ExtensionType.early_data in hello.extensions for hello in hellos] == [True, False]
    assert fates(client, server) == ["rejected", "rejected"]


def test_section_4_1_2_offered_again_after_a_retry(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    config = _retry(server_config)
    seen: list[bytes] = []

    def insist(message: bytes) -> bytes:
        seen.append(message)
        if len(seen) == 1:
            return message
        parsed = ClientHello.parse(message[4:])
        psks = parsed.extensions.pop(ExtensionType.pre_shared_key)
        parsed.extensions |= {ExtensionType.early_data: b"", ExtensionType.pre_shared_key: psks}
        return parsed.pack()

    client = hooked_client(client_config, only(HandshakeType.client_hello, insist))
    server = End(factory(6).server(config))
    pump(client, server)
    assert server.failure.alert is Alert.illegal_parameter


@pytest.mark.parametrize("change", [_no_guard, _retry], ids=["refused", "asked again"])
def test_refused_data_are_passed_over_up_to_a_limit(
    client_config: ClientConfig,
    server_config: ServerConfig,
    change: Callable[[ServerConfig], ServerConfig],
) -> None:
    """Section 4.2.10; T78's cousin: no more than that is decrypted for nothing."""
    meet(client_config, server_config)
    client, server = begin(client_config, b""), End(factory(6).server(change(server_config)))
    server.give(client.take())
    server.take()
    record = client.inject(ContentType.application_data, bytes(1 << 14))
    body = len(record) - 5
    extra = EarlyDataGuard().max_bytes if change is _retry else 0
    for _ in range((MAX_SKIPPED_EARLY_DATA + extra) // body):
        server.give(record)
    server.pull()
    assert not server.failed
    server.give(record)
    server.pull()
    assert server.failure.alert is (Alert.bad_record_mac if change is _no_guard else Alert.unexpected_message)


def answers(change: Callable[[EncryptedExtensions], None]) -> Callable[[bytes], bytes]:
    def alter(message: bytes) -> bytes:
        parsed = EncryptedExtensions.parse(message[4:])
        change(parsed)
        return parsed.pack()

    return only(HandshakeType.encrypted_extensions, alter)  # type: ignore[return-value]


def _accept(parsed: EncryptedExtensions) -> None:
    parsed.extensions[ExtensionType.early_data] = b""


def _fill(parsed: EncryptedExtensions) -> None:
    parsed.extensions[ExtensionType.early_data] = b"x"


def _rename(parsed: EncryptedExtensions) -> None:
    _accept(parsed)
    parsed.extensions[ExtensionType.application_layer_protocol_negotiation] = b"\0\4\3two"


@pytest.mark.parametrize(
    ("config", "answer", "alert"),
    [
        (_other_keys, _accept, Alert.illegal_parameter),  # a full handshake
        (_other_suite, _accept, Alert.illegal_parameter),
        (_other_protocol, _accept, Alert.illegal_parameter),
        (lambda config: config, _rename, Alert.illegal_parameter),
        (lambda config: config, _fill, Alert.decode_error),
        (_retry, _accept, Alert.unsupported_extension),
    ],
)
def test_section_4_2_10_what_a_server_may_not_accept(
    client_config: ClientConfig,
    server_config: ServerConfig,
    config: Callable[[ServerConfig], ServerConfig],
    answer: Callable[[EncryptedExtensions], None],
    alert: Alert,
) -> None:
    meet(client_config, server_config)
    client = begin(client_config)
    server = hooked_server(config(server_config), answers(answer))
    for _ in range(2):
        server.give(client.take())
        client.give(server.take())
    client.pull()
    assert client.failure.alert is alert


def test_accepted_without_being_offered(client_config: ClientConfig, server_config: ServerConfig) -> None:
    client = begin(client_config)
    server = hooked_server(server_config, answers(_accept))
    pump(client, server)
    assert client.failure.alert is Alert.unsupported_extension


def test_accepted_with_the_second_key(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """Section 4.2.10: "the client MUST verify that the server's selected_identity is 0"."""
    psk = ExternalPsk(b"lamp", bytes(16))
    config = replace(client_config, psks=(psk,))
    server_config = replace(server_config, psks=(psk,))
    meet(config, server_config)
    client = begin(config)
    server = hooked_server(replace(server_config, tickets=TicketKeys()), answers(_accept))
    pump(client, server)
    assert client.failure.alert is Alert.illegal_parameter


@pytest.mark.parametrize("body", [b"", b"\0\0\0", b"\0\0\0\0\0"])
def test_section_4_6_1_max_early_data_size_has_four_bytes(
    client_config: ClientConfig, server_config: ServerConfig, body: bytes
) -> None:
    client, server = meet(client_config, server_config)
    ticket = NewSessionTicket(100, 0, b"", b"t", {ExtensionType.early_data: body}).pack()
    client.give(server.inject(ContentType.handshake, ticket))
    client.pull()
    assert client.failure.alert is Alert.decode_error


def test_keys_of_early_data_are_logged(
    client_config: ClientConfig, server_config: ServerConfig, clock: Clock
) -> None:
    lines: list[list[str]] = [[], []]
    client = replace(client_config, keylog=lines[0].append)
    server = replace(server_config, keylog=lines[1].append)
    meet(client, server)
    assert not any(line.startswith("CLIENT_EARLY") for line in lines[0])
    again(client, server)
    assert sorted(lines[0]) == sorted(lines[1])
    assert sum(line.startswith("CLIENT_EARLY_TRAFFIC_SECRET ") for line in lines[0]) == 1


def test_ticket_age_is_told(client_config: ClientConfig, server_config: ServerConfig, clock: Clock) -> None:
    """Section 4.2.11.1: milliseconds, the ticket's own number added."""
    meet(client_config, server_config)
    sessions = client_config.sessions
    assert sessions is not None
    ((kept,),) = sessions._sessions.values()
    clock.now += 1.5
    hello = ClientHello.parse(records(begin(client_config).take())[0][9:])
    (identity,) = parse_offered_psks(hello.extensions[ExtensionType.pre_shared_key]).identities
    assert identity.obfuscated_age == (kept.age_add + 1500) % (1 << 32)


def test_wrong_policies_are_misuse(client_config: ClientConfig, server_config: ServerConfig) -> None:
    with pytest.raises(Misuse, match="early_data"):
        factory().client(replace(client_config, early_data="always"), "localhost")  # type: ignore[arg-type]
    with pytest.raises(Misuse, match="without tickets"):
        factory().server(replace(server_config, tickets=None))


def test_alert_of_the_client_is_read_under_the_early_key(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    meet(client_config, server_config)
    client, server = begin(client_config), End(factory(6).server(server_config))
    client.engine.fail(Alert.internal_error)
    stream = client.take()
    assert alerts(records(stream)) == []
    server.give(stream)
    server.pull()
    assert isinstance(server.events[-1], Failed)
    assert server.failure.alert is Alert.internal_error
    assert server.failure.sent_by_peer


# The guard itself


def test_guard_lets_each_ticket_in_once() -> None:
    guard = EarlyDataGuard(window=10)
    guard.begin(0)
    assert guard.admit(b"a", issued=100, age=5, wall=105)
    assert not guard.admit(b"a", issued=100, age=5, wall=105)
    assert guard.admit(b"b", issued=100, age=5, wall=105)
    # The last instant at which the same hello would be fresh.
    assert not guard.admit(b"a", issued=100, age=5, wall=115)
    assert not guard.admit(b"a", issued=100, age=15, wall=125)


def test_guard_remembers_for_twice_its_window() -> None:
    """A hello that came as early as it may is fresh for that long."""
    guard = EarlyDataGuard(window=10)
    guard.begin(0)
    assert guard.admit(b"a", issued=100, age=15, wall=105)
    assert not guard.admit(b"a", issued=100, age=15, wall=125)
    assert len(guard) == 1
    assert not guard.admit(b"a", issued=100, age=15, wall=125.001)
    guard.admit(b"b", issued=126, age=0, wall=126)
    assert len(guard) == 1


def test_guard_is_bounded() -> None:
    guard = EarlyDataGuard(window=10, capacity=3)
    names = [bytes((number,)) for number in range(10)]
    assert [guard.admit(name, issued=100, age=0, wall=100) for name in names] == [True] * 3 + [False] * 7
    assert len(guard) == 3
    assert guard.admit(b"x", issued=121, age=0, wall=121)
    assert len(guard) == 1
    assert "1 of 3 tickets" in repr(guard)


@pytest.mark.parametrize(("age", "fresh"), [(90, True), (89.9, False), (110, True), (110.1, False)])
def test_guard_s_window(age: float, fresh: bool) -> None:
    guard = EarlyDataGuard(window=10)
    guard.begin(0)
    assert guard.admit(b"a", issued=1000, age=age, wall=1100) is fresh


def test_guard_refuses_while_the_clock_is_behind() -> None:
    guard = EarlyDataGuard(window=10)
    guard.begin(100)
    assert guard.admit(b"a", issued=100, age=0, wall=100)
    assert guard.admit(b"b", issued=130, age=0, wall=130)
    assert not guard.admit(b"a", issued=100, age=0, wall=100)
    assert not guard.admit(b"c", issued=129, age=0, wall=129)
    assert guard.admit(b"c", issued=130, age=0, wall=130)


def test_guard_begins_once() -> None:
    guard = EarlyDataGuard(window=10)
    guard.begin(100)
    guard.begin(200)
    assert not guard.admit(b"a", issued=99, age=1, wall=100)
    assert not guard.admit(b"a", issued=99, age=20.9, wall=119.9)
    assert guard.admit(b"a", issued=99, age=21, wall=120)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EarlyDataGuard(max_bytes=0),
        lambda: EarlyDataGuard(max_bytes=1 << 32),
        lambda: EarlyDataGuard(window=0),
        lambda: EarlyDataGuard(window=3601),
        lambda: EarlyDataGuard(capacity=0),
    ],
)
def test_guards_out_of_range_are_misuse(make: Callable[[], object]) -> None:
    with pytest.raises(Misuse):
        make()
    assert EarlyDataGuard(max_bytes=(1 << 32) - 1, window=3600, capacity=1).max_bytes == (1 << 32) - 1

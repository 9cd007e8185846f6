"""The open session and its end: key updates, tickets, alerts, close_notify. Cases of groups B, C and D."""

from __future__ import annotations

import pytest

from mungos.errors import Broken, Closed, Misuse, PeerMisbehaved, TimedOut
from mungos.tls.alerts import AlertDescription as Alert
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import Established, PeerClosed, ReadSide, WriteSide
from mungos.tls.engines.builtin.messages import (
    CertificateRequest,
    ExtensionType,
    HandshakeType,
    KeyUpdate,
    NewSessionTicket,
)
from mungos.tls.engines.builtin.messages.registry import frame
from mungos.tls.engines.builtin.reading import MAX_QUIET
from mungos.tls.engines.builtin.records import ContentType
from mungos.tls.sessions import SessionCache, TicketKeys
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, alerts, factory, meet, pump, records

JUNK = b"\x16\x03\x03 this is no record"
UPDATE, REQUEST = KeyUpdate(False).pack(), KeyUpdate(True).pack()
CLOSE_NOTIFY = bytes((1, 0))


@pytest.fixture
def pair(client_config: ClientConfig, server_config: ServerConfig) -> tuple[End, End]:
    return meet(client_config, server_config)


def refused(end: End, alert: Alert) -> None:
    end.pull()
    assert end.failure.alert is alert, end.failure
    assert isinstance(end.failure.error, PeerMisbehaved)


# KeyUpdate


def test_key_updates_both_ways(pair: tuple[End, End]) -> None:
    client, server = pair
    for turn in range(6):
        one, other = (client, server) if turn % 2 else (server, client)
        one.engine.update_keys(requested=turn < 3)
        one.engine.write([b"x"])
        pump(client, server)
        other.engine.write([b"y"])
        pump(client, server)
    assert client.data == b"xyxyxy"
    assert server.data == b"yxyxyx"


def test_t83_answer_comes_before_the_next_data_and_only_once(pair: tuple[End, End]) -> None:
    client, server = pair
    server.engine.write([b"blocked"])  # nobody takes it
    before = server.engine.unsent
    for _ in range(5):
        server.give(client.inject(ContentType.handshake, REQUEST))
        client.engine._write_secret = client.engine._kdf.next_generation(client.engine._write_secret)  # type: ignore[union-attr]
        client.engine.write_with(client.engine._suite, client.engine._kdf, client.engine._write_secret)  # type: ignore[arg-type]
        client.engine._writer = client.engine._sealer
    assert not server.failed
    assert server.engine.unsent == before + 5 + 5 + 1 + 16
    server.engine.write([b" no more"])
    client.give(server.take())
    client.pull()
    assert client.data == b"blocked no more"


def test_t84_key_update_crosses_close_notify(pair: tuple[End, End]) -> None:
    client, server = pair
    server.engine.close_write()
    client.give(server.take())
    client.engine.update_keys(requested=True)
    client.engine.write([b"after"])
    server.give(client.take())
    server.pull()
    assert server.data == b"after"
    assert server.take() == b""
    assert server.engine.write_side is WriteSide.ENDED
    assert not server.failed


def test_t85_key_update_flood(pair: tuple[End, End]) -> None:
    client, server = pair
    for _ in range(MAX_QUIET):
        client.engine.update_keys(requested=True)
        server.give(client.take())
    assert not server.failed
    # One answer waits, however often it was asked for.
    assert server.engine.unsent == 5 + 5 + 1 + 16
    client.engine.update_keys(requested=True)
    server.give(client.take())
    refused(server, Alert.unexpected_message)


def test_t86_record_under_the_old_key(pair: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.handshake, UPDATE))
    client.engine.write([b"old"])
    server.give(client.take())
    refused(server, Alert.bad_record_mac)


@pytest.mark.parametrize("value", [2, 255])
def test_rfc8446_4_6_3_value_that_is_neither(pair: tuple[End, End], value: int) -> None:
    client, server = pair
    server.give(client.inject(ContentType.handshake, frame(HandshakeType.key_update, bytes((value,)))))
    refused(server, Alert.illegal_parameter)


def test_t53_rfc8446_5_5_keys_are_updated_at_their_limit(pair: tuple[End, End]) -> None:
    client, _ = pair
    assert client.engine._writer is not None
    assert client.engine._writer.limit == 1 << 24
    client.engine._writer.limit = 3
    for _ in range(3):
        client.engine.write([b"x"])
    old = client.engine._writer
    client.engine.write([b"y"])
    assert client.engine._writer is not old
    assert len(records(client.take())) == 5
    client.engine.close_write()


def test_t53_keys_are_updated_before_a_long_write(pair: tuple[End, End]) -> None:
    client, server = pair
    assert client.engine._writer is not None
    client.engine._writer.limit = 3
    client.engine.write([bytes(70_000)])
    server.give(client.take())
    server.pull()
    assert len(server.data) == 70_000
    assert not server.failed


# Other messages after the handshake


def test_t88_certificate_request_after_the_handshake(pair: tuple[End, End]) -> None:
    client, server = pair
    message = CertificateRequest(b"x", {ExtensionType.signature_algorithms: b"\0\2\4\3"}).pack()
    client.give(server.inject(ContentType.handshake, message))
    refused(client, Alert.unexpected_message)


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("kind", [0, 1, 2, 5, 8, 11, 15, 20, 254, 255])
def test_message_that_may_not_come(pair: tuple[End, End], kind: int, role: int) -> None:
    one, other = pair[role], pair[1 - role]
    other.give(one.inject(ContentType.handshake, bytes((kind,)) + b"\0\0\0"))
    refused(other, Alert.unexpected_message)


def test_ticket_to_a_server(pair: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.handshake, NewSessionTicket(1, 2, b"", b"t").pack()))
    refused(server, Alert.unexpected_message)


def test_ticket_flood_is_bounded(pair: tuple[End, End]) -> None:
    client, server = pair
    message = NewSessionTicket(1, 2, b"n", b"t" * 200).pack()
    for _ in range(MAX_QUIET):
        client.give(server.inject(ContentType.handshake, message))
    assert not client.failed
    client.give(server.inject(ContentType.handshake, message))
    refused(client, Alert.unexpected_message)


@pytest.mark.parametrize("ticket", [b"", b"\0" * 9, b"\0\0\0\1\0\0\0\0\0\0\0\0\0"])
def test_broken_ticket(pair: tuple[End, End], ticket: bytes) -> None:
    client, server = pair
    client.give(server.inject(ContentType.handshake, frame(HandshakeType.new_session_ticket, ticket)))
    client.pull()
    assert client.failure.alert is Alert.decode_error


def test_extensions_of_a_ticket(pair: tuple[End, End]) -> None:
    client, server = pair
    cases: list[tuple[dict[int, bytes], Alert | None]] = [
        ({0x4A4A: b"x"}, None),
        ({ExtensionType.early_data: b"\0\0\1\0"}, None),
        ({ExtensionType.early_data: b"\0"}, Alert.decode_error),
    ]
    for extensions, alert in cases:
        message = NewSessionTicket(1, 2, b"", b"t", extensions).pack()
        client.give(server.inject(ContentType.handshake, message))
        client.pull()
        assert client.failed is (alert is not None)
    assert client.failure.alert is Alert.decode_error


def test_rfc8446_4_6_1_ticket_without_a_lifetime_is_dropped(
    authority: Authority, credential: Credential
) -> None:
    sessions = SessionCache()
    client, server = meet(ClientConfig(roots=authority.roots, sessions=sessions), ServerConfig((credential,)))
    for lifetime, kept in ((0, 0), (1 << 31, 1)):
        ticket = NewSessionTicket(lifetime, 2, b"n", b"t").pack()
        client.give(server.inject(ContentType.handshake, ticket))
        assert len(sessions) == kept
    (stored,) = sessions._sessions.values()
    assert stored[0].expires - stored[0].obtained == 604_800


def test_t87_ticket_during_shutdown(
    authority: Authority, credential: Credential, client_config: ClientConfig
) -> None:
    sessions = SessionCache()
    client, server = meet(ClientConfig(roots=authority.roots, sessions=sessions), ServerConfig((credential,)))
    client.engine.close_write()
    server.give(client.take())
    ticket = NewSessionTicket(100, 2, b"n", b"late").pack()
    client.give(server.inject(ContentType.handshake, ticket))
    assert len(sessions) == 1
    assert not client.data
    server.engine.close_write()
    client.give(server.take())
    client.pull()
    assert client.engine.read_side is ReadSide.ENDED
    assert client.engine.write_side is WriteSide.ENDED


def test_t20_tickets_and_the_clients_first_write_cross(authority: Authority, credential: Credential) -> None:
    made = factory()
    sessions = SessionCache()
    client = End(made.client(ClientConfig(roots=authority.roots, sessions=sessions), "localhost"))
    server = End(made.server(ServerConfig((credential,), tickets=TicketKeys(count=4))))
    server.give(client.take())
    client.give(server.take())
    client.pull()
    client.engine.write([b"first"])
    # T18: Finished and the first data in one segment.
    server.give(client.take())
    server.pull()
    assert server.data == b"first"
    # T19: nobody takes the tickets, and nothing depends on them.
    server.engine.write([b"answer"])
    client.give(server.take())
    client.pull()
    assert client.data == b"answer"
    assert len(sessions) == 4


# close_notify


def test_t56_clean_on_both_sides(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.close_write()
    sides = [client.engine.write_side]
    server.give(client.take())
    sides.append(client.engine.write_side)
    assert sides == [WriteSide.FLUSHING, WriteSide.ENDED]
    server.pull()
    assert server.engine.read_side is ReadSide.ENDED
    server.engine.receive_eof(0.0)
    server.engine.close_write()
    client.give(server.take())
    client.pull()
    client.engine.receive_eof(0.0)
    for end in pair:
        assert sum(isinstance(event, PeerClosed) for event in end.events) == 1
        assert not end.failed
        assert end.engine.read_side is ReadSide.ENDED


def test_t57_data_go_on_after_the_peers_close_notify(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.close_write()
    server.give(client.take())
    server.pull()
    for _ in range(10):
        server.engine.write([b"more"])
    client.give(server.take())
    client.pull()
    assert client.data == b"more" * 10
    assert client.engine.read_side is ReadSide.OPEN


def test_t59_both_close_at_once(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.close_write()
    server.engine.close_write()
    pump(client, server)
    for end in pair:
        assert sum(isinstance(event, PeerClosed) for event in end.events) == 1
        assert (end.engine.read_side, end.engine.write_side) == (ReadSide.ENDED, WriteSide.ENDED)


@pytest.mark.parametrize("cut", [0, 1])
def test_t46_t63_end_of_stream_without_close_notify(pair: tuple[End, End], cut: int) -> None:
    client, server = pair
    client.engine.write([b"whole"])
    server.give(client.take())
    client.engine.write([b"cut"])
    server.give(client.take()[:-1] if cut else b"")
    server.engine.receive_eof(0.0)
    server.pull()
    assert server.data == b"whole"
    assert server.engine.read_side is ReadSide.TRUNCATED
    assert not any(isinstance(event, PeerClosed) for event in server.events)
    # Our direction is still open: what the peer can read is not ours to know.
    assert server.engine.write([b"x"]) == 1


def test_t63_truncation_shows_behind_the_data(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([b"before"])
    server.engine.receive(client.take(), 0.0)
    server.engine.receive_eof(0.0)
    sides = [server.engine.read_side]
    server.pull()
    sides.append(server.engine.read_side)
    assert sides == [ReadSide.OPEN, ReadSide.TRUNCATED]
    assert server.data == b"before"


def test_t65_end_of_stream_after_close_notify(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.close_write()
    server.give(client.take())
    server.engine.receive_eof(0.0)
    server.engine.receive_eof(0.0)
    server.pull()
    assert server.engine.read_side is ReadSide.ENDED


def test_t66_t67_t68_whatever_follows_close_notify_is_ignored(pair: tuple[End, End]) -> None:
    client, server = pair
    more = client.inject(ContentType.alert, CLOSE_NOTIFY)
    more += client.inject(ContentType.application_data, b"late")
    more += client.inject(ContentType.alert, CLOSE_NOTIFY)
    more += JUNK
    server.give(more)
    server.give(JUNK)
    server.pull()
    assert not server.data
    (established, closed) = server.events
    assert isinstance(established, Established)
    assert isinstance(closed, PeerClosed)
    assert server.engine.unread == 0


def test_t69_closing_twice(pair: tuple[End, End]) -> None:
    client, _ = pair
    client.engine.close_write()
    client.engine.close_write()
    assert len(records(client.take())) == 1
    client.engine.close_write()
    assert client.take() == b""


def test_t73_data_in_flight_are_read_after_our_close(pair: tuple[End, End]) -> None:
    client, server = pair
    server.engine.write([b"in flight"])
    client.engine.close_write()
    client.give(server.take())
    client.pull()
    assert client.data == b"in flight"


def test_t74_write_after_our_close(pair: tuple[End, End]) -> None:
    client, _ = pair
    client.engine.close_write()
    client.take()
    with pytest.raises(Closed):
        client.engine.write([b"x"])
    assert client.engine.unsent == 0


def test_t79_unwrap_gives_what_followed(pair: tuple[End, End]) -> None:
    client, server = pair
    with pytest.raises(Misuse):
        server.engine.unwrap()
    client.engine.close_write()
    server.give(client.take() + b"plain")
    server.engine.close_write()
    server.give(b" text")
    with pytest.raises(Misuse):
        server.engine.unwrap()
    server.take()
    server.pull()
    assert server.engine.unwrap() == b"plain text"
    assert server.engine.unwrap() == b""


def test_unwrap_does_not_lose_silently(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.close_write()
    server.give(client.take())
    server.engine.close_write()
    server.take()
    server.pull()
    for _ in range(5):
        server.engine.receive(bytes(65_536), 0.0)
    with pytest.raises(Misuse, match="262144 bytes"):
        server.engine.unwrap()


# Alerts


@pytest.mark.parametrize("content", [b"\x02", b"\x02\x28\x02", b"\x01\0\x01\0"])
def test_t48_alert_split_or_joined(pair: tuple[End, End], content: bytes) -> None:
    client, server = pair
    server.give(client.inject(ContentType.alert, content))
    server.pull()
    assert server.failure.alert is Alert.decode_error


@pytest.mark.parametrize("level", [0, 1, 2, 255])
@pytest.mark.parametrize("code", [10, 40, 80, 86, 100, 41, 255])
def test_t75_every_other_alert_is_fatal(pair: tuple[End, End], level: int, code: int) -> None:
    client, server = pair
    server.engine.write([b"never taken"])
    server.give(client.inject(ContentType.alert, bytes((level, code))))
    server.pull()
    assert server.failure.sent_by_peer
    assert server.failure.alert == (code if code in set(Alert) else None)
    assert str(code) in str(server.failure.error)
    # Section 6.2: nothing is sent after a fatal alert, a close_notify neither (T76).
    assert server.take() == b""
    assert server.engine.write_side is WriteSide.ENDED
    assert server.engine.write([b"x"]) == 0
    server.engine.close_write()
    assert server.take() == b""


def test_t30_user_canceled_then_close_notify(pair: tuple[End, End]) -> None:
    client, server = pair
    server.give(client.inject(ContentType.alert, bytes((1, Alert.user_canceled))))
    server.pull()
    assert not server.failed
    server.give(client.inject(ContentType.alert, CLOSE_NOTIFY))
    server.pull()
    assert isinstance(server.events[-1], PeerClosed)


def test_user_canceled_flood_is_bounded(pair: tuple[End, End]) -> None:
    client, server = pair
    for _ in range(MAX_QUIET + 1):
        server.give(client.inject(ContentType.alert, bytes((1, Alert.user_canceled))))
    refused(server, Alert.unexpected_message)


def test_t29_close_notify_before_finished(client_config: ClientConfig, server_config: ServerConfig) -> None:
    made = factory()
    client, server = End(made.client(client_config, "localhost")), End(made.server(server_config))
    server.give(client.take())
    client.give(records(server.take())[0])
    server.give(client.inject(ContentType.alert, CLOSE_NOTIFY))
    server.pull()
    assert isinstance(server.failure.error, Broken)
    assert server.failure.alert is Alert.close_notify
    assert server.failure.sent_by_peer
    assert server.engine._handshake is None


@pytest.mark.parametrize("steps", range(4))
def test_t30_t31_cancelling_at_every_step(
    client_config: ClientConfig, server_config: ServerConfig, steps: int
) -> None:
    made = factory()
    client, server = End(made.client(client_config, "localhost")), End(made.server(server_config))
    ends = [client, server]
    for step in range(steps):
        ends[(step + 1) % 2].give(ends[step % 2].take())
    was_open = client.engine.negotiated is not None
    client.engine.close_write()
    sent = client.take()
    assert client.engine.write_side is WriteSide.ENDED
    server.give(sent)
    server.pull()
    if was_open:
        assert server.established
        assert isinstance(server.events[-1], PeerClosed)
    else:
        assert alerts(records(sent)) == [Alert.user_canceled, Alert.close_notify]
        assert server.failure.alert is Alert.close_notify
        client.pull()
        assert client.events == []
        assert client.engine.deadline is None
    client.engine.release()


def test_fail_tells_the_peer(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([b"before"])
    client.engine.fail(Alert.access_denied)
    client.engine.fail(Alert.internal_error)
    client.pull()
    assert client.failure.alert is Alert.access_denied
    assert not client.failure.sent_by_peer
    with pytest.raises(Closed):
        client.engine.write([b"x"])
    server.give(client.take())
    server.pull()
    assert server.data == b"before"
    assert server.failure.alert is Alert.access_denied
    assert server.failure.sent_by_peer


def test_no_alert_after_our_close_notify(pair: tuple[End, End]) -> None:
    client, server = pair
    server.engine.close_write()
    server.take()
    server.give(client.inject(ContentType.handshake, b"\0\0\0\0"))
    server.pull()
    assert server.failure.alert is None
    assert server.take() == b""


# Deadlines and ends


def test_t01_t35_deadline(client_config: ClientConfig, server_config: ServerConfig) -> None:
    server = End(factory().server(server_config))
    assert server.engine.deadline == 10.0
    server.engine.expire(9.99)
    assert server.engine.deadline == 10.0
    server.engine.expire(10.0)
    server.pull()
    assert isinstance(server.failure.error, TimedOut)
    assert server.failure.error.phase == "securing"
    assert server.engine.deadline is None


def test_t35_complete_but_not_handed_out_is_too_late(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    made = factory()
    client, server = End(made.client(client_config, "localhost")), End(made.server(server_config))
    server.give(client.take())
    client.engine.receive(server.take(), 0.0)
    assert client.engine.deadline == 10.0
    client.engine.expire(10.0)
    client.pull()
    assert not client.established
    assert isinstance(client.failure.error, TimedOut)


def test_no_deadline_once_open(pair: tuple[End, End]) -> None:
    for end in pair:
        assert end.engine.deadline is None
        end.engine.expire(1e9)
        assert not end.failed


def test_t02_end_of_stream_before_anything(server_config: ServerConfig) -> None:
    server = End(factory().server(server_config))
    server.engine.receive_eof(0.0)
    server.pull()
    assert isinstance(server.failure.error, Broken)
    assert server.failure.alert is None
    assert server.take() == b""


def test_release_leaves_nothing(pair: tuple[End, End]) -> None:
    client, server = pair
    client.engine.write([bytes(50_000)])
    server.give(client.take()[:30_000])
    client.engine.write([b"never taken"])
    for end in pair:
        end.engine.release()
        end.engine.release()
        engine = end.engine
        assert engine.unread == engine.unsent == 0
        assert engine.deadline is None
        for held in (engine._opener, engine._sealer, engine._reader, engine._writer, engine._handshake):
            assert held is None
        assert not engine._read_secret
        assert not engine._write_secret
        assert not engine._exporter
        assert engine.next_event() is None
        assert engine.take(100) == []
        assert engine.receive(b"anything", 0.0) == 8
        assert engine.next_event() is None
        engine.receive_eof(0.0)
        engine.close_write()
        engine.fail(Alert.internal_error)
        engine.expire(1e9)
        assert engine.next_event() is None
        with pytest.raises(Closed):
            engine.write([b"x"])
        with pytest.raises(Misuse):
            engine.unwrap()
        with pytest.raises(Misuse):
            engine.export(b"x", b"", 1)


def test_start_twice_is_misuse(client_config: ClientConfig) -> None:
    client = End(factory().client(client_config, "localhost"))
    with pytest.raises(Misuse):
        client.engine.start(0.0)


# Facts of the session


def test_rfc9266_channel_binding_and_exporters_agree(pair: tuple[End, End]) -> None:
    client, server = pair
    binding = client.engine.channel_binding()
    assert binding == server.engine.channel_binding()
    assert len(binding) == 32
    for context in (b"", b"context"):
        one = client.engine.export(b"EXPERIMENTAL label", context, 50)
        assert one == server.engine.export(b"EXPERIMENTAL label", context, 50)
        assert len(one) == 50
        assert one != client.engine.export(b"EXPERIMENTAL other", context, 50)
    assert client.engine.export(b"x", b"", 10) != client.engine.export(b"x", b"y", 10)


def test_nothing_is_exported_before_the_end_of_the_handshake(client_config: ClientConfig) -> None:
    with pytest.raises(Misuse):
        End(factory().client(client_config, "localhost")).engine.channel_binding()


def test_rfc9850_key_log(authority: Authority, credential: Credential) -> None:
    lines: dict[str, list[str]] = {"client": [], "server": []}
    meet(
        ClientConfig(roots=authority.roots, keylog=lines["client"].append),
        ServerConfig((credential,), keylog=lines["server"].append),
    )
    assert sorted(lines["client"]) == sorted(lines["server"])
    assert [line.split()[0] for line in lines["client"]] == [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]
    for line in lines["client"]:
        _, random, secret = line.split()
        assert len(random) == len(secret) == 64


def test_no_secret_stands_in_any_repr(authority: Authority, credential: Credential) -> None:
    secrets: list[str] = []
    sessions, keys = SessionCache(), TicketKeys()
    client, server = meet(
        ClientConfig(roots=authority.roots, sessions=sessions, keylog=secrets.append),
        ServerConfig((credential,), tickets=keys, keylog=secrets.append),
    )
    (stored,) = sessions._sessions.values()
    things: list[object] = [
        client.engine,
        server.engine,
        sessions,
        keys,
        *stored,
        *keys._keys,
        *client.events,
        credential,
    ]
    things += [client.engine._prepared, server.engine._tickets, client.engine._sealer]
    shown = " ".join(map(repr, things))
    hidden = [line.split()[2] for line in secrets] + [each.secret.hex() for each in stored]
    for secret in hidden + [key.key.hex() for key in keys._keys]:
        assert secret not in shown
        assert repr(bytes.fromhex(secret))[2:-1] not in shown


def test_handshake_state_is_dropped(pair: tuple[End, End]) -> None:
    for end in pair:
        assert end.engine._handshake is None
        assert not hasattr(end.engine, "__dict__")

"""Every flight cut at each byte, each byte flipped, mutated at random: one typed failure, one alert, never an
exception, never a completed handshake."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mungos.errors import Broken, ProtocolError
from mungos.tls.alerts import AlertDescription
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import Failed
from mungos.tls.engines.builtin.writing import WritingHalf
from tests.thinning import STRIDE
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, factory, pump, records

Fresh = Callable[[], tuple[End, End]]
FLIGHTS = ["client hello", "server flight", "client flight", "hello retry request", "second client hello"]


@pytest.fixture
def queued_alerts(monkeypatch: pytest.MonkeyPatch) -> list[WritingHalf]:
    """Whoever queues an alert stands here, once for each."""
    queued: list[WritingHalf] = []
    original = WritingHalf.queue_alert

    def noting(self: WritingHalf, alert: AlertDescription) -> None:
        queued.append(self)
        original(self, alert)

    monkeypatch.setattr(WritingHalf, "queue_alert", noting)
    return queued


@pytest.fixture
def fresh(authority: Authority) -> Fresh:
    """Two ends that say the same at every call; small messages, so that all can be tried."""
    client = ClientConfig(
        roots=authority.roots,
        groups=("x25519",),
        credential=authority.ed25519("client", ExtendedKeyUsageOID.CLIENT_AUTH),
    )
    server = ServerConfig(
        (authority.ed25519("localhost", ExtendedKeyUsageOID.SERVER_AUTH),),
        groups=("x25519",),
        client_auth="optional",
        client_roots=authority.roots,
    )

    def make() -> tuple[End, End]:
        made = factory("hostile")
        return End(made.client(client, "localhost")), End(made.server(server))

    return make


@pytest.fixture
def fresh_retry(authority: Authority) -> Fresh:
    """As `fresh`, with a HelloRetryRequest."""
    client = ClientConfig(roots=authority.roots, groups=("x25519", "secp256r1"))
    credential = authority.ed25519("localhost", ExtendedKeyUsageOID.SERVER_AUTH)
    server = ServerConfig((credential,), groups=("secp256r1",), retry_cookie=True)

    def make() -> tuple[End, End]:
        made = factory("hostile retry")
        return End(made.client(client, "localhost")), End(made.server(server))

    return make


def before(ends: tuple[End, End], flight: int) -> tuple[bytes, End, End]:
    """Play up to a flight. Returns it, who sent it, and who is to get it."""
    for step in range(flight):
        ends[(step + 1) % 2].give(ends[step % 2].take())
    return ends[flight % 2].take(), ends[flight % 2], ends[(flight + 1) % 2]


def number(flight: str) -> int:
    return {"hello retry request": 1, "second client hello": 2}.get(flight, FLIGHTS.index(flight))


@pytest.mark.parametrize("flight", FLIGHTS)
def test_t03_t04_t10_t17_cut_at_every_byte(fresh: Fresh, fresh_retry: Fresh, flight: str) -> None:
    make = fresh_retry if flight in FLIGHTS[3:] else fresh
    data, _, sink = before(make(), number(flight))
    # What has begun can be ended at every byte; one session is fed byte by byte, and one is cut at each.
    for cut in range(0, len(data), STRIDE * (1 if len(data) < 400 else 3)):
        data, _, sink = before(make(), number(flight))
        sink.give(data[:cut])
        assert not sink.failed
        assert not sink.established
        sink.engine.receive_eof(0.0)
        sink.pull()
        assert isinstance(sink.failure.error, Broken)
        assert sink.failure.alert is None
        assert sink.engine._handshake is None
        assert not sink.engine._messages
        assert not sink.engine._incoming


@pytest.mark.parametrize("flight", FLIGHTS)
def test_every_byte_flipped(
    fresh: Fresh, fresh_retry: Fresh, flight: str, queued_alerts: list[WritingHalf]
) -> None:
    make = fresh_retry if flight in FLIGHTS[3:] else fresh
    data, _, _ = before(make(), number(flight))
    versions = set()
    at = 0
    for record in records(data):
        if record[0] != 23:
            versions |= {at + 1, at + 2}  # section 5.1: ignored
        at += len(record)
    for at in range(0, len(data), STRIDE):
        data, source, sink = before(make(), number(flight))
        queued_alerts.clear()
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        sink.give(bytes(changed))
        sink.pull()
        pump(source, sink)
        if at not in versions:
            assert not (source.established and sink.established), at
        for end in (source, sink):
            assert len([event for event in end.events if isinstance(event, Failed)]) <= 1
            if end.failed and not end.failure.sent_by_peer:
                assert isinstance(end.failure.error, ProtocolError)
                assert end.failure.alert is not None
                assert queued_alerts.count(end.engine) == 1
            else:
                assert queued_alerts.count(end.engine) == 0


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flights_mutated_at_random(fresh: Fresh, data: st.DataObject) -> None:
    flight, _, sink = before(fresh(), data.draw(st.integers(0, 2)))
    changed = bytearray(flight)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(changed) - 1, 0)))
        length = data.draw(st.integers(0, 40))
        changed[at : at + length] = data.draw(st.binary(max_size=40))
    pieces = data.draw(st.lists(st.integers(1, 300), max_size=10))
    at = 0
    for size in [*pieces, len(changed)]:
        sink.give(bytes(changed[at : at + size]))
        at += size
    sink.pull()
    sink.engine.receive_eof(0.0)
    sink.pull()
    assert sink.failed or sink.established or changed == flight
    assert len([event for event in sink.events if isinstance(event, Failed)]) <= 1


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=300), kind=st.sampled_from([20, 21, 22, 23]))
def test_junk_in_a_record_of_each_kind(fresh: Fresh, junk: bytes, kind: int) -> None:
    for end in fresh():
        end.take()
        end.give(bytes((kind, 3, 3)) + len(junk).to_bytes(2, "big") + junk)
        end.pull()
        assert not end.established


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=60)), min_size=1, max_size=4))
def test_junk_messages_in_an_open_session(fresh: Fresh, messages: list[tuple[int, bytes]]) -> None:
    ends = fresh()
    pump(*ends)
    assert ends[0].established
    sealer = ends[0].engine._sealer
    assert sealer is not None
    from mungos.tls.engines.builtin.records import ContentType

    for kind, body in messages:
        content = bytes((kind,)) + len(body).to_bytes(3, "big") + body
        ends[1].give(ends[0].inject(ContentType.handshake, content))
    ends[1].pull()
    assert ends[1].failed or all(kind == 24 for kind, _ in messages)


def test_t14_large_chain_cut_in_each_record(authority: Authority) -> None:
    good = authority.credential("localhost")
    big = Credential(
        good.chain + b"".join(authority.credential("more.example").chain for _ in range(45)), good.key
    )
    client_config = ClientConfig(verify=False)

    def make() -> tuple[End, End]:
        made = factory("large")
        return End(made.client(client_config, None)), End(made.server(ServerConfig((big,))))

    data, _, client = before(make(), 1)
    edges = []
    at = 0
    for record in records(data):
        edges += [at + 3, at + 5 + (len(record) - 5) // 2]
        at += len(record)
    assert len(edges) >= 8
    for cut in edges:
        data, _, client = before(make(), 1)
        client.give(data[:cut])
        client.engine.receive_eof(0.0)
        client.pull()
        assert isinstance(client.failure.error, Broken)
        assert not client.engine._messages
    data, _, client = before(make(), 1)
    client.give(data)
    client.pull()
    assert client.established

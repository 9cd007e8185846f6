"""The handshake: whole, in pieces, cut anywhere, refused, too late. Cases of group A."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from mungos import tls
from mungos.errors import Broken, Malformed, PeerIncompatible, TimedOut
from tests.tls.conftest import Authority, Meeting, Pair, foreign_context, speaks
from tests.tls.pump import Foreign, Ours, pieces, pump, records

PLAIN_CLOSE_NOTIFY = bytes.fromhex("15 0303 0002 01 00")


def flights(fresh: Callable[[], Pair]) -> list[bytes]:
    """The client's first flight, the server's, the client's second."""
    pair = fresh()
    first = pair.client.take()
    pair.server.give(first)
    pair.server.pull()
    second = pair.server.take()
    pair.client.give(second)
    pair.client.pull()
    return [first, second, pair.client.take()]


def cuts(flight: bytes) -> list[int]:
    """Every byte of the first 64 and the last 64, every record's header, and a sample of what is between."""
    near = {*range(min(64, len(flight))), *range(max(0, len(flight) - 64), len(flight))}
    at = 0
    for record in records(flight):
        near.update(range(at, min(at + 7, len(flight))))
        at += len(record)
    return sorted(near | set(range(0, len(flight), 13)))


def test_handshake_says_what_was_agreed(
    engine_pair: Pair, authority: Authority, engine: tls.EngineFactory, other_engine: tls.EngineFactory
) -> None:
    client, server = engine_pair.client.engine.negotiated, engine_pair.server.engine.negotiated
    assert client is not None
    assert server is not None
    newest = all(speaks(each.name, "TLSv1.3") for each in (engine, other_engine))
    assert client.version == server.version == ("TLSv1.3" if newest else "TLSv1.2")
    assert client.suite == server.suite
    assert client.suite.startswith("TLS_")
    assert client.server_name == server.server_name == "localhost"
    assert client.alpn is server.alpn is None
    leaf = ssl.PEM_cert_to_DER_cert(authority.leaf("localhost").cert_chain_pems[0].bytes().decode())
    assert client.peer_chain[0] == leaf
    assert all(isinstance(each, bytes) for each in client.peer_chain)
    assert server.peer_chain == ()
    assert not client.resumed


def test_established_is_handed_out_once(engine_pair: Pair) -> None:
    engine_pair.client.write(b"x")
    engine_pair.pump()
    for end in (engine_pair.client, engine_pair.server):
        assert sum(isinstance(event, tls.Established) for event in end.events) == 1
        assert isinstance(end.events[0], tls.Established)
        assert end.engine.deadline is None


def test_suite_of_tls_1_2_has_the_name_of_iana(met_12: Meeting) -> None:
    negotiated = met_12.ours.engine.negotiated
    assert negotiated is not None
    assert negotiated.version == "TLSv1.2"
    assert negotiated.suite.startswith("TLS_ECDHE_ECDSA_WITH_")


def test_nothing_is_written_before_established(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    assert pair.client.engine.write((b"too early",)) == 0
    assert pair.server.engine.write((b"too early",)) == 0


def test_t01_silent_client_is_ended_by_the_deadline(fresh: Callable[[], Pair]) -> None:
    server = fresh().server
    deadline = server.engine.deadline
    assert deadline is not None
    assert deadline == 10.0
    server.engine.expire(deadline - 0.001)
    server.pull()
    assert not server.events
    server.engine.expire(deadline)
    server.pull()
    (failed,) = server.failures
    assert isinstance(failed.error, TimedOut)
    assert failed.error.phase == "securing"
    assert server.engine.deadline is None
    assert server.engine.receive(b"x" * 100, deadline) == 100


def test_t02_immediate_end(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    for end in (pair.client, pair.server):
        end.eof()
        (failed,) = end.failures
        assert isinstance(failed.error, Broken)
        assert not failed.sent_by_peer


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_t03_cut_inside_the_record_header(fresh: Callable[[], Pair], length: int) -> None:
    pair = fresh()
    pair.server.give(pair.client.take()[:length])
    pair.server.pull()
    assert pair.server.engine.unread == 0
    pair.server.eof()
    assert isinstance(pair.server.failures[0].error, Broken)


def test_t04_client_hello_cut_anywhere(fresh: Callable[[], Pair]) -> None:
    hello = flights(fresh)[0]
    for cut in cuts(hello):
        server = fresh().server
        server.give(hello[:cut])
        server.pull()
        assert not server.events
        server.eof()
        (failed,) = server.events
        assert isinstance(failed, tls.Failed)
        assert isinstance(failed.error, Broken)


def test_t05_one_byte_segments(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    pair.pump(chunk=1)
    assert pair.client.established
    assert pair.server.established


def test_t05_one_byte_segments_with_a_foreign_end(unmet: Meeting) -> None:
    unmet.pump(chunk=1)
    assert unmet.ours.established
    assert unmet.foreign.established


def test_t06_client_hello_in_one_byte_records(
    engine: tls.EngineFactory, server_config: tls.ServerConfig, authority: Authority, version: str
) -> None:
    server = Ours(engine.server(server_config))
    client = Foreign(foreign_context(False, authority, version), server=False, server_name="localhost")
    for piece in pieces(client.take()[5:], 1):
        server.give(b"\x16\x03\x01\x00\x01" + piece)
        server.pull()
    pump(client, server)
    assert server.established
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.server_name == "localhost"


def test_t07_zero_length_handshake_fragments_end_in_an_error(fresh: Callable[[], Pair]) -> None:
    """OpenSSL bears a few of them (a fact of the library), a flood of them it does not."""
    server = fresh().server
    server.give(b"\x16\x03\x01\x00\x00" * 64)
    server.pull()
    (failed,) = server.failures
    assert failed.alert in (tls.AlertDescription.unexpected_message, None)


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x80\x2e\x01\x00\x02\x00\x15",
        b"\x16\x04\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        bytes(64),
    ],
)
def test_t08_no_tls_at_all(fresh: Callable[[], Pair], junk: bytes) -> None:
    pair = fresh()
    for end in (pair.client, pair.server):
        end.take()
        end.give(junk)
        end.pull()
        (failed,) = end.failures
        assert isinstance(failed.error, Malformed)
        assert end.take()[:1] == b"\x15"
        assert end.writes() is tls.WriteSide.ENDED


def test_t09_four_bytes_then_the_end(fresh: Callable[[], Pair]) -> None:
    client = fresh().client
    client.give(b"\x15\x03\x03\x00")
    client.eof()
    assert isinstance(client.failures[0].error, Broken)


def test_t10_t13_t15_server_flight_cut_anywhere(
    fresh: Callable[[], Pair], client_config: tls.ClientConfig
) -> None:
    """Cut in the ServerHello, before EncryptedExtensions, before and inside CertificateVerify."""
    pair = fresh()
    pair.server.give(pair.client.take())
    pair.server.pull()
    flight = pair.server.take()
    fed = 0
    for cut in cuts(flight):
        pair.client.give(flight[fed:cut])
        fed = cut
        pair.client.pull()
        assert not pair.client.events
    pair.client.eof()
    (failed,) = pair.client.failures
    assert isinstance(failed.error, Broken)
    assert not pair.client.established


def test_t10_each_record_of_the_server_flight_cut(fresh: Callable[[], Pair]) -> None:
    flight = flights(fresh)[1]
    count = len(records(flight))
    for kept in range(count):
        pair = fresh()
        pair.server.give(pair.client.take())
        pair.server.pull()
        parts = records(pair.server.take())
        pair.client.give(b"".join(parts[:kept]) + parts[kept][:-1])
        pair.client.eof()
        assert isinstance(pair.client.failures[0].error, Broken)


@pytest.mark.usefixtures("tls_1_3")
def test_t11_hello_retry_request_then_cut(
    engine: tls.EngineFactory, client_config: tls.ClientConfig, authority: Authority
) -> None:
    context = foreign_context(True, authority)
    context.set_ecdh_curve("secp384r1")
    client = Ours(engine.client(client_config, "localhost"))
    server = Foreign(context, server=True)
    server.give(client.take())
    server.pull()
    client.give(server.take())
    client.pull()
    assert client.take()
    client.eof()
    assert isinstance(client.failures[0].error, Broken)


@pytest.mark.usefixtures("tls_1_3")
def test_t11_hello_retry_request_is_followed(
    engine: tls.EngineFactory,
    client_config: tls.ClientConfig,
    server_config: tls.ServerConfig,
    authority: Authority,
) -> None:
    context = foreign_context(True, authority)
    context.set_ecdh_curve("secp384r1")
    client = Ours(engine.client(client_config, "localhost"))
    pump(client, Foreign(context, server=True))
    assert client.established


def test_t16_server_finished_missing(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    pair.server.give(pair.client.take())
    pair.server.pull()
    flight = pair.server.take()
    pair.client.give(flight[:-1])
    pair.client.eof()
    assert not pair.client.established
    assert isinstance(pair.client.failures[0].error, Broken)


@pytest.mark.usefixtures("tls_1_3")
def test_t17_client_finished_missing(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    pair.server.give(pair.client.take())
    pair.server.pull()
    pair.client.give(pair.server.take())
    pair.client.pull()
    assert pair.client.established
    finished = pair.client.take()
    pair.client.write(b"data")
    pair.server.give(finished[:-1])
    pair.server.eof()
    (failed,) = pair.server.events
    assert isinstance(failed, tls.Failed)
    assert isinstance(failed.error, Broken)


@pytest.mark.usefixtures("tls_1_3")
def test_t18_finished_and_data_in_one_segment(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    pair.server.give(pair.client.take())
    pair.server.pull()
    pair.client.give(pair.server.take())
    pair.client.pull()
    pair.client.write(b"first data")
    pair.server.give(pair.client.take())
    assert isinstance(pair.server.engine.next_event(), tls.Established)
    assert pair.server.engine.unread > 0
    pair.server.pull()
    assert pair.server.data == b"first data"
    assert pair.server.engine.unread == 0


@pytest.mark.usefixtures("tls_1_3")
def test_t19_end_right_after_finished_and_data(
    engine: tls.EngineFactory, client_config: tls.ClientConfig, authority: Authority
) -> None:
    config = tls.ServerConfig((authority.credential("localhost"),), tickets=tls.TicketKeys())
    client, server = Ours(engine.client(client_config, "localhost")), Ours(engine.server(config))
    server.give(client.take())
    server.pull()
    client.give(server.take())
    client.pull()
    client.write(b"all of it")
    client.engine.close_write()
    server.give(client.take())
    server.eof()
    assert server.data == b"all of it"
    assert server.closed == 1
    assert not server.failures


@pytest.mark.usefixtures("tls_1_3")
def test_t25_version_mismatch(
    engine: tls.EngineFactory, authority: Authority, client_config: tls.ClientConfig
) -> None:
    config = tls.ServerConfig((authority.credential("localhost"),), minimum_version="TLSv1.3")
    server = Ours(engine.server(config))
    client = Foreign(foreign_context(False, authority, "TLSv1.2"), server=False, server_name="localhost")
    pump(client, server)
    assert client.saw_alert("protocol version")
    (failed,) = server.failures
    assert isinstance(failed.error, PeerIncompatible)
    assert failed.alert is tls.AlertDescription.protocol_version
    assert not failed.sent_by_peer


@pytest.mark.usefixtures("tls_1_3")
def test_t25_the_peer_wants_another_version(engine: tls.EngineFactory, authority: Authority) -> None:
    client = Ours(
        engine.client(tls.ClientConfig(roots=authority.pem, minimum_version="TLSv1.3"), "localhost")
    )
    server = Foreign(foreign_context(True, authority, "TLSv1.2"), server=True)
    pump(client, server)
    (failed,) = client.failures
    assert isinstance(failed.error, PeerIncompatible)
    assert failed.sent_by_peer
    assert failed.alert is tls.AlertDescription.protocol_version


def test_t29_close_notify_before_finished(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    for end in (pair.client, pair.server):
        end.take()
        end.give(PLAIN_CLOSE_NOTIFY)
        end.pull()
        (failed,) = end.events
        assert isinstance(failed, tls.Failed)
        assert isinstance(failed.error, Broken)
        assert failed.alert is tls.AlertDescription.close_notify
        assert failed.sent_by_peer


def test_t29_close_notify_after_the_server_flight(fresh: Callable[[], Pair]) -> None:
    server = fresh().server
    server.give(fresh().client.take())
    server.pull()
    assert server.take()
    server.give(PLAIN_CLOSE_NOTIFY)
    server.pull()
    assert not server.established
    assert server.failures[0].alert is tls.AlertDescription.close_notify


def test_fatal_alert_instead_of_a_client_hello(fresh: Callable[[], Pair]) -> None:
    server = fresh().server
    server.give(bytes.fromhex("15 0303 0002 02 50"))
    server.pull()
    (failed,) = server.failures
    assert failed.sent_by_peer
    assert failed.alert is tls.AlertDescription.internal_error
    assert server.take() == b""


def test_t30_user_canceled_then_close_notify(fresh: Callable[[], Pair]) -> None:
    pair = fresh()
    pair.client.engine.close_write()
    pair.server.give(pair.client.take()[-14:])
    pair.server.pull()
    (failed,) = pair.server.failures
    assert failed.alert in (tls.AlertDescription.close_notify, tls.AlertDescription.user_canceled)
    assert failed.sent_by_peer
    pair.client.pull()
    assert not pair.client.events
    assert pair.client.writes() is tls.WriteSide.ENDED
    assert pair.client.engine.deadline is None


def test_t31_cancelled_at_every_step(fresh: Callable[[], Pair]) -> None:
    for steps in range(4):
        pair = fresh()
        ends = [pair.client, pair.server]
        for step in range(steps):
            ends[(step + 1) % 2].give(ends[step % 2].take())
            ends[(step + 1) % 2].pull()
        for end in ends:
            end.engine.close_write()
            end.pull()
            end.take()
            assert end.writes() is tls.WriteSide.ENDED
            end.engine.release()
            assert end.engine.unread == end.engine.unsent == 0
            assert end.engine.deadline is None


@pytest.mark.usefixtures("tls_1_3")
def test_t35_at_the_deadline_exactly_one_of_both(fresh: Callable[[], Pair]) -> None:
    for pulled_first in (True, False):
        pair = fresh()
        first = pair.client.take()
        pair.server.give(first)
        pair.server.pull()
        pair.client.give(pair.server.take())
        if pulled_first:
            pair.client.pull()
        pair.client.engine.expire(10.0)
        pair.client.pull()
        assert pair.client.established is pulled_first
        assert bool(pair.client.failures) is not pulled_first


@pytest.mark.parametrize("flight", [0, 1, 2])
def test_bit_flips_in_each_flight_end_in_a_verdict(fresh: Callable[[], Pair], flight: int) -> None:
    """Never both established with different facts; never an exception; the alert is there to be taken."""
    for at in range(0, 600, 23):
        pair = fresh()
        ends = [pair.client, pair.server]
        for step in range(3):
            data = bytearray(ends[step % 2].take())
            if step == flight and data:
                where = at % len(data)
                if data[0] == 20 and where in {1, 2}:
                    where = 0  # a plain record's legacy_record_version must be ignored (RFC 8446 section 5.1)
                data[where] ^= 1 << (at % 8)
            ends[(step + 1) % 2].give(bytes(data))
            ends[(step + 1) % 2].pull()
        pair.pump()
        for end in ends:
            assert len(end.failures) <= 1
            assert not (end.failures and end.data)
        if flight == 2:
            assert pair.server.failures or not pair.server.established

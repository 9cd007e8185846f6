"""close_notify, end of stream, alerts. Cases of group C."""

from __future__ import annotations

import pytest

from mungos import tls
from mungos.errors import Closed, Misuse, PeerMisbehaved
from tests.tls.conftest import Meeting, Pair
from tests.tls.forge import ALERT, DATA, HANDSHAKE
from tests.tls.pump import records

ENDED, OPEN = tls.ReadSide.ENDED, tls.ReadSide.OPEN


def test_t55_unread_plaintext_at_release(met: Meeting) -> None:
    met.foreign.write(b"never read")
    met.ours.give(met.foreign.take())
    assert met.ours.engine.unread > 0
    met.ours.engine.close_write()
    met.ours.engine.release()
    met.ours.engine.release()
    assert met.ours.engine.unread == met.ours.engine.unsent == 0
    assert met.ours.engine.next_event() is None
    assert met.ours.engine.receive(b"late", 0) == 4
    assert met.ours.engine.take(100) == []
    with pytest.raises(Closed):
        met.ours.engine.write((b"x",))


def test_t56_clean(engine_pair: Pair) -> None:
    client, server = engine_pair.client, engine_pair.server
    client.engine.close_write()
    assert client.writes() is tls.WriteSide.FLUSHING
    engine_pair.pump()
    assert client.writes() is tls.WriteSide.ENDED
    assert server.reads() is ENDED
    assert server.closed == 1
    server.eof()
    assert server.reads() is ENDED
    server.engine.close_write()
    engine_pair.pump()
    client.eof()
    assert client.reads() is ENDED
    assert client.closed == 1
    assert not client.failures
    assert not server.failures


def test_t57_peer_goes_on_writing_after_our_close_notify(met_13: Meeting) -> None:
    met_13.ours.engine.close_write()
    met_13.pump()
    assert met_13.foreign.closed
    for index in range(20):
        met_13.foreign.write(bytes([index]) * 5000)
    met_13.foreign.close()
    met_13.pump()
    assert len(met_13.ours.data) == 100_000
    assert met_13.ours.closed == 1
    assert met_13.ours.reads() is ENDED


def test_t57_our_side_stays_open_after_the_peers_close_notify(met_13: Meeting) -> None:
    met_13.foreign.close()
    met_13.pump()
    assert met_13.ours.closed == 1
    assert met_13.ours.writes() is tls.WriteSide.OPEN
    met_13.ours.write(b"x" * 40_000)
    met_13.ours.engine.close_write()
    met_13.pump()
    assert len(met_13.foreign.data) == 40_000
    assert met_13.foreign.closed


def test_t58_tls_1_2_answers_at_once(met_12: Meeting) -> None:
    """RFC 5246 section 7.2.1: the other party MUST respond with its own, dropping pending writes."""
    met_12.foreign.close()
    met_12.ours.give(met_12.foreign.take())
    met_12.ours.pull()
    assert met_12.ours.closed == 1
    assert met_12.ours.writes() is tls.WriteSide.FLUSHING
    assert met_12.ours.engine.write((b"dropped",)) == 0
    assert len(records(met_12.ours.take())) == 1
    assert met_12.ours.writes() is tls.WriteSide.ENDED
    met_12.ours.engine.close_write()
    assert met_12.ours.take() == b""


def test_t59_close_notify_crossing(engine_pair: Pair) -> None:
    engine_pair.client.engine.close_write()
    engine_pair.server.engine.close_write()
    engine_pair.pump()
    for end in (engine_pair.client, engine_pair.server):
        assert end.closed == 1
        assert end.reads() is ENDED
        assert end.writes() is tls.WriteSide.ENDED
        assert not end.failures


def test_t59_crossing_with_a_foreign_end(met: Meeting) -> None:
    met.ours.engine.close_write()
    met.foreign.close()
    met.pump()
    assert met.ours.closed == 1
    assert met.foreign.closed
    assert met.foreign.error is None


def test_t62_peer_ends_without_close_notify_after_ours(met: Meeting) -> None:
    met.ours.engine.close_write()
    met.ours.take()
    met.ours.eof()
    assert met.ours.writes() is tls.WriteSide.ENDED
    assert met.ours.reads() is tls.ReadSide.TRUNCATED
    assert not met.ours.failures


def test_t63_end_of_stream_unprompted(met: Meeting) -> None:
    met.foreign.write(b"before")
    data = met.foreign.take()
    met.ours.engine.receive(data, 0)
    met.ours.engine.receive_eof(0)
    assert met.ours.reads() is OPEN
    met.ours.pull()
    assert met.ours.data == b"before"
    assert met.ours.reads() is tls.ReadSide.TRUNCATED
    assert not met.ours.closed


def test_t65_end_after_close_notify_is_clean(met: Meeting) -> None:
    met.foreign.close()
    met.ours.give(met.foreign.take())
    met.ours.engine.receive_eof(0)
    met.ours.pull()
    assert met.ours.reads() is ENDED
    assert met.ours.closed == 1


def test_t66_data_after_close_notify_is_ignored(met_13: Meeting) -> None:
    forge = met_13.forge()
    met_13.ours.give(forge.record(DATA, b"before") + forge.close_notify() + forge.record(DATA, b"after"))
    met_13.ours.pull()
    met_13.ours.give(forge.record(DATA, b"later"))
    met_13.ours.pull()
    assert met_13.ours.data == b"before"
    assert met_13.ours.closed == 1
    assert met_13.ours.engine.unread == 0
    met_13.ours.write(b"ours goes on")
    met_13.ours.engine.close_write()
    met_13.pump()
    assert met_13.foreign.data == b"ours goes on"
    assert met_13.foreign.closed


def test_t67_junk_after_close_notify_is_ignored(met: Meeting) -> None:
    met.foreign.close()
    met.ours.give(met.foreign.take() + b"\x17\x03\x03\x00\x20" + bytes(32) + b"junk" * 100)
    met.ours.pull()
    assert met.ours.closed == 1
    assert not met.ours.failures
    assert met.ours.engine.receive(bytes(1 << 20), 0) == 1 << 20
    assert met.ours.engine.next_event() is None
    assert met.ours.reads() is ENDED


def test_t68_second_close_notify_is_ignored(met_13: Meeting) -> None:
    forge = met_13.forge()
    met_13.ours.give(forge.close_notify() + forge.close_notify())
    met_13.ours.pull()
    assert met_13.ours.closed == 1
    assert not met_13.ours.failures


def test_t69_close_write_twice(met: Meeting) -> None:
    met.ours.engine.close_write()
    met.ours.engine.close_write()
    assert len(records(met.ours.take())) == 1
    met.ours.engine.close_write()
    assert met.ours.take() == b""


def test_t73_data_in_flight_at_our_close_notify(met: Meeting) -> None:
    """The peer's records are already here, whole and half, when we close: all of it stays readable."""
    for index in range(5):
        met.foreign.write(bytes([index]) * 3000)
    stream = met.foreign.take()
    met.ours.give(stream[:7000])
    met.ours.engine.close_write()
    met.ours.give(stream[7000:])
    met.ours.pull()
    assert len(met.ours.data) == 15_000
    assert not met.ours.failures
    assert len(records(met.ours.take())) == 1


def test_t74_write_after_our_close_notify(met: Meeting) -> None:
    met.ours.engine.close_write()
    met.ours.take()
    with pytest.raises(Closed):
        met.ours.engine.write((b"too late",))
    assert met.ours.engine.unsent == 0


def test_what_was_written_goes_out_before_close_notify(met: Meeting) -> None:
    met.ours.write(b"x" * 50_000)
    met.ours.engine.close_write()
    met.pump()
    assert len(met.foreign.data) == 50_000
    assert met.foreign.closed
    assert met.foreign.error is None


@pytest.mark.parametrize("level", [1, 2])
def test_t75_unknown_alert(engine: tls.EngineFactory, met_13: Meeting, level: int) -> None:
    """RFC 8446 section 6: unknown alerts are fatal, whatever their level."""
    if engine.name == "mbedtls" and level == 1:
        pytest.skip("Mbed TLS passes over warnings that it does not know")
    met_13.ours.give(met_13.forge().record(ALERT, bytes((level, 200))))
    met_13.ours.pull()
    assert met_13.ours.failures
    assert met_13.ours.reads() is tls.ReadSide.FAILED


@pytest.mark.parametrize("alert", [20, 40, 80, 116, 120])
def test_t76_fatal_alert_mid_stream(met_13: Meeting, alert: int) -> None:
    forge = met_13.forge()
    met_13.ours.give(forge.record(DATA, b"before") + forge.record(ALERT, bytes((2, alert))))
    met_13.ours.pull()
    (failed,) = met_13.ours.failures
    assert met_13.ours.data == b"before"
    assert failed.sent_by_peer
    assert failed.alert is tls.AlertDescription(alert)
    assert met_13.ours.take() == b""
    met_13.ours.engine.close_write()
    assert met_13.ours.take() == b""
    assert met_13.ours.writes() is tls.WriteSide.ENDED


def test_t77_our_alert_can_be_taken_with_input_unread(met: Meeting) -> None:
    met.foreign.write(b"bad")
    record = bytearray(met.foreign.take())
    record[-1] ^= 1
    met.ours.give(bytes(record) * 3)
    met.ours.pull()
    assert met.ours.writes() is tls.WriteSide.FLUSHING
    assert met.ours.engine.unread == 0
    met.pump()
    assert met.foreign.saw_alert("bad record mac")


def test_t79_plaintext_after_both_close_notify(met: Meeting) -> None:
    met.foreign.write(b"last of TLS")
    met.foreign.close()
    met.ours.give(met.foreign.take() + b"EHLO ")
    met.ours.pull()
    met.ours.engine.close_write()
    met.ours.take()
    met.ours.give(b"plain")
    met.ours.pull()
    assert met.ours.data == b"last of TLS"
    assert met.ours.engine.unwrap() == b"EHLO plain"
    assert met.ours.engine.unwrap() == b""


def test_t79_unwrap_too_early(met: Meeting) -> None:
    with pytest.raises(Misuse):
        met.ours.engine.unwrap()
    met.ours.engine.close_write()
    met.ours.take()
    with pytest.raises(Misuse):
        met.ours.engine.unwrap()


def test_t83_t84_key_update_around_close_notify(engine: tls.EngineFactory, met_13: Meeting) -> None:
    """A key update that asks for ours is accepted before and after our close_notify."""
    if "key updates" in engine.availability().lacks:
        pytest.skip(f"{engine.name} has no key updates")
    forge = met_13.forge()
    met_13.ours.engine.close_write()
    sent = met_13.ours.take()
    met_13.ours.give(forge.record(HANDSHAKE, b"\x18\x00\x00\x01\x01"))
    met_13.ours.pull()
    assert not met_13.ours.failures
    assert met_13.ours.take() == b""
    met_13.foreign.give(sent)
    met_13.foreign.pull()
    assert met_13.foreign.closed


@pytest.mark.parametrize("role", ["client"], indirect=True)
def test_t87_ticket_after_our_close_notify(met_13: Meeting) -> None:
    met_13.ours.engine.close_write()
    ticket = b"\x00\x00\x1c\x20" + bytes(4) + b"\x01\x00" + b"\x00\x08" + b"ticket!!" + b"\x00\x00"
    forge = met_13.forge()
    message = b"\x04" + len(ticket).to_bytes(3, "big") + ticket
    met_13.ours.give(forge.record(HANDSHAKE, message) + forge.record(DATA, b"data") + forge.close_notify())
    met_13.ours.pull()
    assert met_13.ours.data == b"data"
    assert met_13.ours.closed == 1


def test_fail_ends_the_session(met: Meeting) -> None:
    """OpenSSL can't send an alert of our choice once keys are on: the peer sees a stream that was cut."""
    met.ours.engine.fail(tls.AlertDescription.internal_error)
    met.ours.pull()
    (failed,) = met.ours.failures
    assert isinstance(failed.error, PeerMisbehaved)
    assert met.ours.engine.ending is failed
    met.pump()
    assert not met.foreign.closed
    met.ours.engine.fail(tls.AlertDescription.internal_error)
    met.ours.pull()
    assert len(met.ours.failures) == 1


def test_fail_before_anything_was_encrypted(unmet: Meeting) -> None:
    hello = unmet.ours.take()
    unmet.ours.engine.fail(tls.AlertDescription.access_denied)
    assert unmet.ours.take() == bytes.fromhex("15 0303 0002 02 31")
    unmet.ours.pull()
    assert unmet.ours.failures[0].alert is tls.AlertDescription.access_denied
    assert bool(hello) is (unmet.role == "client")

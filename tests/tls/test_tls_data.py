"""Application data: records, caps, hidden data, damage. Cases of group B."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos import tls
from mungos.errors import ProtocolError
from tests.tls.conftest import LAX, Meeting, Pair
from tests.tls.forge import ALERT, DATA, HANDSHAKE
from tests.tls.pump import Ours, pieces, records


def test_t36_record_in_small_pieces(met: Meeting) -> None:
    met.foreign.write(b"x" * 1000)
    for piece in pieces(met.foreign.take(), 1):
        assert not met.ours.data
        met.ours.give(piece)
        met.ours.pull()
    assert met.ours.data == b"x" * 1000
    assert sum(isinstance(event, tls.Data) for event in met.ours.events) == 1


@pytest.mark.parametrize("count", [2, 3, 7])
def test_t37_message_across_records(met: Meeting, count: int) -> None:
    message = bytes(range(256)) * 32
    for piece in pieces(message, -(-len(message) // count)):
        met.foreign.write(piece)
    met.pump()
    assert met.ours.data == message


def test_t38_two_records_in_one_segment_are_not_hidden(met: Meeting) -> None:
    met.foreign.write(b"one")
    met.foreign.write(b"two")
    engine = met.ours.engine
    data = met.foreign.take()
    assert engine.receive(data, 0) == len(data)
    assert engine.unread > 0
    first = engine.next_event()
    assert isinstance(first, tls.Data)
    assert bytes(first.data) == b"one"
    assert engine.unread > 0
    second = engine.next_event()
    assert isinstance(second, tls.Data)
    assert bytes(second.data) == b"two"
    assert engine.unread == 0
    assert engine.next_event() is None


def test_t39_half_a_record_is_no_work(met: Meeting) -> None:
    met.foreign.write(b"one")
    met.foreign.write(b"two")
    first, second = records(met.foreign.take())
    met.ours.give(first + second[:-1])
    met.ours.pull()
    assert met.ours.data == b"one"
    assert met.ours.engine.unread == 0
    assert met.ours.engine.next_event() is None
    met.ours.give(second[-1:])
    assert met.ours.engine.unread > 0
    met.ours.pull()
    assert met.ours.data == b"onetwo"


def test_t40_largest_plaintext_and_one_more(engine: tls.EngineFactory, met_13: Meeting) -> None:
    forge = met_13.forge()
    met_13.ours.give(forge.record(DATA, b"x" * (1 << 14)))
    met_13.ours.pull()
    assert len(met_13.ours.data) == 1 << 14
    met_13.ours.give(forge.record(DATA, b"x" * ((1 << 14) + 1)))
    met_13.ours.pull()
    (failed,) = met_13.ours.failures
    assert isinstance(failed.error, ProtocolError)
    assert len(met_13.ours.data) == 1 << 14
    met_13.pump()
    assert met_13.foreign.saw_alert("record overflow") or engine.name in LAX


def test_t41_ciphertext_too_long(met_13: Meeting) -> None:
    met_13.ours.give(met_13.forge().record(DATA, b"x", padding=(1 << 14) + 256))
    met_13.pump()
    assert met_13.ours.failures
    assert met_13.foreign.error is not None
    assert "alert" in str(met_13.foreign.error)


def test_t42_empty_and_padded_records_are_neither_end_nor_message(met_13: Meeting) -> None:
    forge = met_13.forge()
    met_13.ours.give(
        forge.record(DATA, b"") + forge.record(DATA, b"", padding=100) + forge.record(DATA, b"x", 9)
    )
    met_13.ours.pull()
    assert met_13.ours.data == b"x"
    assert met_13.ours.reads() is tls.ReadSide.OPEN
    assert [type(event) for event in met_13.ours.events[1:]] == [tls.Data]


def test_t43_flood_of_empty_records_ends(met_13: Meeting) -> None:
    """Either each costs one call and yields nothing, or the engine refuses the flood, as OpenSSL may."""
    forge = met_13.forge()
    met_13.ours.give(b"".join(forge.record(DATA, b"") for _ in range(200)))
    met_13.ours.pull()
    assert not met_13.ours.data
    assert met_13.ours.engine.unread == 0


def test_t44_inner_plaintext_all_zero(engine: tls.EngineFactory, met_13: Meeting) -> None:
    met_13.ours.give(met_13.forge().record(0, b"", padding=20))
    met_13.pump()
    assert met_13.ours.failures
    assert met_13.foreign.saw_alert("unexpected message") or engine.name in LAX


def test_t45_flipped_bit(met: Meeting) -> None:
    met.foreign.write(b"good")
    met.foreign.write(b"bad")
    met.foreign.write(b"after")
    good, bad, after = records(met.foreign.take())
    broken = bytearray(bad)
    broken[-1] ^= 1
    met.ours.give(good + bytes(broken) + after)
    met.pump()
    assert met.ours.data == b"good"
    (failed,) = met.ours.failures
    assert met.ours.events[-1] is failed
    # The alert itself is seen by the peer, below; an engine without exact alerts may not know it.
    assert failed.alert is tls.AlertDescription.bad_record_mac or not met.ours.engine.exact_alerts
    assert not failed.sent_by_peer
    assert met.foreign.saw_alert("bad record mac")
    assert met.ours.engine.ending is failed
    assert met.ours.reads() is tls.ReadSide.FAILED
    assert met.ours.writes() is tls.WriteSide.ENDED


def test_bit_flips_in_each_byte_of_a_record(fresh: Callable[[], Pair]) -> None:
    """Behind the header, that is: its bytes have a test of their own."""
    for at in range(5, 5 + len(b"payload") + 1 + 16):
        pair = fresh()
        pair.pump()
        pair.client.write(b"payload")
        record = bytearray(pair.client.take())
        record[at] ^= 1 << (at % 8)
        pair.server.give(bytes(record))
        pair.pump()
        assert not pair.server.data
        assert len(pair.server.failures) == len(pair.client.failures) == 1
        assert pair.client.failures[0].sent_by_peer


@pytest.mark.parametrize("at", range(5))
def test_damaged_record_header(met: Meeting, at: int) -> None:
    met.foreign.write(b"payload")
    record = bytearray(met.foreign.take())
    record[at] ^= 0x80
    met.ours.give(bytes(record))
    met.ours.pull()
    met.ours.eof()
    assert not met.ours.data
    if at == 4:  # a length of 128 more: it waits for the rest, and the stream ends inside a record
        assert met.ours.reads() is tls.ReadSide.TRUNCATED
    elif at != 2:  # RFC 8446 section 5.1: the minor version is ignored, but authenticated
        assert met.ours.failures


def test_t46_last_byte_of_a_record_missing(met: Meeting) -> None:
    met.foreign.write(b"whole")
    met.foreign.write(b"cut short")
    met.ours.give(met.foreign.take()[:-1])
    met.ours.eof()
    assert met.ours.data == b"whole"
    assert met.ours.reads() is tls.ReadSide.TRUNCATED
    assert not met.ours.failures
    assert not met.ours.closed


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x01\x00\x01\x00"])
def test_t48_t49_alert_of_the_wrong_size(met_13: Meeting, content: bytes) -> None:
    met_13.ours.give(met_13.forge().record(ALERT, content))
    met_13.ours.pull()
    assert met_13.ours.failures
    assert not met_13.ours.closed


def test_t50_plain_close_notify_after_keys(met: Meeting) -> None:
    met.ours.give(bytes.fromhex("15 0303 0002 01 00"))
    met.pump()
    (failed,) = met.ours.failures
    assert isinstance(failed.error, ProtocolError)
    assert not met.ours.closed
    assert met.ours.reads() is tls.ReadSide.FAILED
    assert met.foreign.error is not None


def test_t26_handshake_message_in_data_phase(engine: tls.EngineFactory, met_13: Meeting) -> None:
    met_13.ours.give(met_13.forge().record(HANDSHAKE, b"\x0b\x00\x00\x01\x00"))
    met_13.pump()
    assert met_13.ours.failures
    assert met_13.foreign.saw_alert("unexpected message") or engine.name in LAX


@pytest.mark.parametrize("sizes", [(5,), (0, 3, 0), (100, 16_300), (100, 50_000, 7), (20_000, 20_000)])
def test_write_takes_several_buffers_in_order(engine_pair: Pair, sizes: tuple[int, ...]) -> None:
    rng = random.Random(1)
    parts = [rng.randbytes(size) for size in sizes]
    buffers = [memoryview(part) if index % 2 else bytearray(part) for index, part in enumerate(parts)]
    assert engine_pair.client.engine.write(buffers) == sum(sizes)
    engine_pair.pump()
    assert engine_pair.server.data == b"".join(parts)


def test_small_parts_share_a_record(engine_pair: Pair) -> None:
    engine_pair.client.engine.write((b"head", b"body", b"tail"))
    assert len(records(engine_pair.client.take())) == 1


def test_max_unsent_bounds_what_is_accepted(engine: tls.EngineFactory, met: Meeting) -> None:
    cap = 256 * 1024
    data = bytes(1 << 20)
    accepted = met.ours.engine.write((b"head", data))
    assert 0 < accepted < len(data)
    assert accepted >= cap - 2 * (1 << 14)
    assert met.ours.engine.unsent <= cap
    assert met.ours.engine.write((data,)) == 0
    met.pump()
    assert len(met.foreign.data) == accepted
    assert met.ours.engine.write((data,)) > 0


def test_max_unread_bounds_what_is_held(met: Meeting) -> None:
    cap = 256 * 1024
    for _ in range(40):
        met.foreign.write(bytes(1 << 14))
    data = met.foreign.take()
    taken = met.ours.engine.receive(data, 0)
    assert taken <= cap
    assert met.ours.engine.unread <= cap
    assert met.ours.engine.receive(data[taken:], 0) < len(data) - taken
    event = met.ours.engine.next_event()
    assert isinstance(event, tls.Data)
    assert len(event.data) == 1 << 14
    assert met.ours.engine.receive(data[taken:], 0) > 0


def test_take_is_bounded_by_its_limit(met: Meeting) -> None:
    met.ours.write(bytes(50_000))
    parts = []
    while met.ours.engine.unsent:
        taken = met.ours.engine.take(4096)
        assert 0 < sum(len(part) for part in taken) <= 4096 + (1 << 14) + 300
        parts += taken
    met.foreign.give(b"".join(bytes(part) for part in parts))
    met.foreign.pull()
    assert len(met.foreign.data) == 50_000
    assert met.ours.engine.take(4096) == []


@pytest.mark.parametrize("chunk", [0, 1500, 65_536])
def test_a_mebibyte_each_way_at_once_under_caps(
    engine: tls.EngineFactory,
    other_engine: tls.EngineFactory,
    client_config: tls.ClientConfig,
    server_config: tls.ServerConfig,
    chunk: int,
) -> None:
    small = {"max_unread": 20_000, "max_unsent": 20_000}
    client = Ours(
        engine.client(tls.ClientConfig(roots=client_config.roots, grease=False, **small), "localhost")  # type: ignore[arg-type]
    )
    server = Ours(
        other_engine.server(tls.ServerConfig(server_config.credentials, **small))  # type: ignore[arg-type]
    )
    pair = Pair(client, server)
    pair.pump()
    size = 1 << 20
    source = random.Random(3).randbytes(size)
    sent = {"client": 0, "server": 0}
    while len(client.data) < size or len(server.data) < size:
        for name, end, sink in (("client", client, server), ("server", server, client)):
            view = memoryview(source)[sent[name] : sent[name] + 100_000]
            sent[name] += end.engine.write((view,))
            assert end.engine.unsent <= 20_000
            data = end.take()
            for piece in pieces(data, chunk or len(data)):
                sink.give(piece)
                assert sink.engine.unread <= 20_000
            sink.pull()
    assert client.data == source
    assert server.data == source


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_split_of_writes_and_segments_carries_the_same_bytes(data: st.DataObject) -> None:
    pair = _pair()
    writes = data.draw(st.lists(st.binary(max_size=400), max_size=8))
    for piece in writes:
        pair.client.write(piece)
    stream = pair.client.take()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        pair.server.give(stream[:size])
        if data.draw(st.booleans()):
            pair.server.pull()
        stream = stream[size:]
    pair.server.pull()
    assert pair.server.data == b"".join(writes)
    assert pair.server.engine.unread == 0


_make: list[Callable[[], Pair]] = []


def _pair() -> Pair:
    pair = _make[-1]()
    pair.pump()
    return pair


@pytest.fixture(autouse=True)
def _remember(fresh: Callable[[], Pair]) -> None:
    _make[:] = [fresh]

"""The pieces that the engines over a library share."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mungos.tls import AlertDescription as Alert
from mungos.tls.engines.foreign.joining import Joiner
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.pipe import Pipe
from mungos.tls.engines.foreign.records import HeldRecords
from mungos.tls.engines.foreign.suites import groups, suites
from mungos.tls.engines.foreign.verdicts import plain_alert_description
from mungos.x509 import CertificateExpired

HEAD = b"\x16\x03\x03"


def record(body: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 3)) + len(body).to_bytes(2, "big") + body


def message(body: bytes) -> bytes:
    return b"\x02" + len(body).to_bytes(3, "big") + body


@given(pieces=st.lists(st.binary(max_size=50), max_size=10), sizes=st.lists(st.integers(0, 80), max_size=20))
def test_outbox_hands_out_what_it_got(pieces: list[bytes], sizes: list[int]) -> None:
    outbox, expected, got = Outbox(), b"".join(pieces), b""
    for piece in pieces:
        assert outbox.write(piece) == len(piece)
    assert outbox.pending == len(expected)
    for size in sizes:
        taken = outbox.read(size)
        assert len(taken) <= size
        got += taken
        assert outbox.pending == len(expected) - len(got)
    assert got + outbox.read() == expected
    assert outbox.pending == 0


def test_joiner_passes_whole_messages_as_they_came() -> None:
    joiner = Joiner()
    two = record(message(b"one") + message(b"two"))
    assert joiner.add(two) == two
    assert joiner.add(record(b"\x01", 20)) == record(b"\x01", 20)
    assert joiner.done
    half = record(message(b"encrypted")[:3])
    assert joiner.add(half) == half


@given(data=st.data())
def test_joiner_puts_a_message_together(data: st.DataObject) -> None:
    whole = b"".join(
        message(body) for body in data.draw(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
    )
    joiner, rest, got = Joiner(), whole, b""
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        got += joiner.add(record(rest[:size]))
        rest = rest[size:]
    held = HeldRecords()
    held.append(got)
    bodies = b""
    while held.ready:
        bodies += held.next()[5:]
    assert bodies == whole
    assert not len(held)


def test_joiner_gives_up_a_message_that_something_else_interrupts() -> None:
    joiner = Joiner()
    half, alert = record(message(b"never ends")[:6]), record(b"\x02\x28", 21)
    assert joiner.add(half) == b""
    assert joiner.add(alert) == half + alert


def test_joiner_holds_no_more_than_its_limit() -> None:
    joiner, held = Joiner(), 0
    for _ in range(20):
        piece = record(b"\x02\xff\xff\xff" + bytes(16_000))
        held += len(piece) - len(joiner.add(piece))
        assert held <= 128 * 1024
    assert joiner.done


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x28", True),
        (b"\x15\x03\x03\x00\x02\x02", False),
        (b"\x15\x03\x03\x00\x1a" + bytes(26), False),
        (b"\x16\x03\x03\x00\x02\x02\x28", False),
        (b"", False),
    ],
)
def test_alert_in_the_clear_is_known_by_its_length(data: bytes, expected: bool) -> None:
    held = HeldRecords()
    held.append(data)
    assert held.at_plain_alert is expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("15 0303 0002 02 28", Alert.handshake_failure),
        ("15 0303 0002 01 00", None),  # a warning
        ("15 0303 0002 02 c8", None),  # nobody knows it
        ("15 0303 0003 02 28", None),
        ("16 0303 0002 02 28", None),
        ("15 0303 0002 02", None),
        ("15 0303 0003 02 28 00", None),
    ],
)
def test_fatal_alert_in_the_clear(record: str, expected: Alert | None) -> None:
    assert plain_alert_description(bytes.fromhex(record)) is expected


def test_pipe_carries_bytes_in_pieces() -> None:
    pipe = Pipe(Outbox(), None)
    buffer = ctypes.create_string_buffer(8)
    assert pipe.pull(ctypes.addressof(buffer), 8) == 0
    before = pipe.untouched
    pipe.write(b"abcde")
    assert pipe.pull(ctypes.addressof(buffer), 3) == 3
    pipe.write(b"fg")
    assert pipe.pull(ctypes.addressof(buffer), 8) == 4
    assert buffer.raw[:4] == b"defg"
    assert before
    assert not pipe.untouched
    assert pipe.push(ctypes.addressof(buffer), 4) == 4
    assert pipe.outgoing.read() == b"defg"
    pipe.muted = True
    assert pipe.push(ctypes.addressof(buffer), 4) == 4
    assert not pipe.outgoing.pending


def test_pipe_keeps_what_a_judge_raises_and_takes_it_for_no() -> None:
    def judge(_chain: object) -> CertificateExpired:
        raise KeyboardInterrupt

    pipe = Pipe(Outbox(), judge)
    assert pipe.judge(lambda: [b"leaf"]) is False
    assert not pipe.judged
    with pytest.raises(KeyboardInterrupt):
        pipe.check()
    pipe.check()


def test_pipe_remembers_the_refusal() -> None:
    refusal = CertificateExpired("long ago")
    pipe = Pipe(Outbox(), lambda _chain: refusal)
    assert pipe.judge(lambda: [b"leaf"]) is False
    assert pipe.refusal is refusal
    assert pipe.chain == (b"leaf",)
    assert pipe.judge(list, empty=True) is True
    assert not pipe.judged


def test_pipe_sees_when_keys_are_switched_on() -> None:
    pipe = Pipe(Outbox(), None)
    for data, keyed in ((record(b"hello"), False), (record(b"more") + record(b"\x01", 20), True)):
        buffer = ctypes.create_string_buffer(data, len(data))
        pipe.push(ctypes.addressof(buffer), len(data))
        assert pipe.keyed is keyed


def test_suites_and_groups_by_number() -> None:
    assert suites(("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")) == (0x1302, 0x1301)
    assert groups(("X25519MLKEM768", "x25519", "secp384r1")) == (0x001D, 0x0018)

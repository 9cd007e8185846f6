"""Messages in both directions: assembled, validated, bounded, however they are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.errors import Closed, Misuse
from mungos.protocol import Failed
from mungos.websocket import FloodRefused, InvalidText, Message, MessageTooBig, Ping, Pong, State
from mungos.websocket.assembly import MAX_EMPTY_FRAGMENTS
from mungos.websocket.session import MAX_UNREAD
from tests.websocket.driver import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    ROLES,
    TEXT,
    close_frame,
    events,
    exchange,
    feed,
    feed_bytewise,
    frame,
    from_peer,
    open_pair,
    open_session,
    output,
    sent,
)

LENGTHS = [0, 1, 125, 126, 127, 399, 400, 401, 8192, 65535, 65536]


def text_of(size: int) -> str:
    return "".join(chr(32 + i % 90) for i in range(size))


def failed_with(session: Any, found: list[Any], kind: type, code: int) -> None:
    """The last event is a Failed of this kind, and its code was sent, once."""
    assert isinstance(found[-1], Failed)
    assert isinstance(found[-1].error, kind)
    assert session.ended
    assert session.state is State.CLOSED
    assert session.deadline is None
    closes = [payload for first, payload in sent(session) if first == 0x80 | CLOSE]
    assert [int.from_bytes(payload[:2], "big") for payload in closes] == [code]
    assert session.detail.code == 1006
    assert not session.detail.clean
    assert feed(session, frame(TEXT, b"x") * 10) == []
    assert session.unsent == 0


# Whole messages.


def test_rfc6455_5_7_messages_of_the_examples() -> None:
    server = open_session("server")
    assert feed(server, bytes.fromhex("818537fa213d7f9f4d5158")) == [Message("Hello")]
    client = open_session("client")
    assert feed(client, bytes.fromhex("810548656c6c6f")) == [Message("Hello")]
    assert feed(client, bytes.fromhex("010348656c80026c6f")) == [Message("Hello")]
    assert feed(client, bytes.fromhex("890548656c6c6f")) == [Ping(b"Hello")]
    assert sent(client) == [(0x80 | PONG, b"Hello")]
    assert feed(server, bytes.fromhex("8a8537fa213d7f9f4d5158")) == [Pong(b"Hello")]
    assert feed(client, bytes.fromhex("827e0100") + bytes(256)) == [Message(bytes(256))]
    assert feed(client, bytes.fromhex("827f0000000000010000") + bytes(65536)) == [Message(bytes(65536))]


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("role", ROLES)
def test_w22_messages_of_each_length_class_received(role: str, size: int) -> None:
    session = open_session(role)
    text = text_of(size)
    data = frame(TEXT, text.encode(), masked=from_peer(role)) + frame(
        BINARY, text.encode(), masked=from_peer(role)
    )
    found = feed(session, data)
    assert found == [Message(text), Message(text.encode())]
    assert type(found[1].data) is bytes


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("role", ROLES)
def test_w22_messages_of_each_length_class_sent(role: str, size: int) -> None:
    session = open_session(role, high_watermark=1 << 20)
    text = text_of(size)
    for data in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
        assert session.send(data) is True
    raw = output(session)
    expected = frame(TEXT, text.encode(), masked=False) + 3 * frame(BINARY, text.encode(), masked=False)
    if role == "server":
        assert raw == expected
    assert len(raw) == len(expected) + (16 if role == "client" else 0)
    assert session.unsent == 0


def test_a_clients_masking_keys_are_fresh_for_each_frame() -> None:
    drawn = []

    def random(size: int) -> bytes:
        drawn.append(size)
        return b"".join((len(drawn) << 16 | i).to_bytes(4, "big") for i in range(size // 4))

    session = open_session("client", random=random)
    keys = set()
    for _ in range(2500):
        session.send(b"")
        keys.add(output(session)[2:6])
    assert len(keys) == 2500
    assert drawn == [16, 4096, 4096, 4096]


def test_large_payloads_are_not_changed_by_their_owner_after_send() -> None:
    for role in ROLES:
        session = open_session(role)
        data = bytearray(b"a" * 50_000)
        session.send(data)
        session.send(memoryview(data))
        data[:] = b"b" * 50_000
        assert [payload for _, payload in sent(session)] == [b"a" * 50_000] * 2


def test_memoryview_of_wider_items_is_sent_by_its_bytes() -> None:
    session = open_session("server")
    session.send(memoryview(bytes(range(16))).cast("I"))
    assert sent(session) == [(0x82, bytes(range(16)))]


def test_text_with_a_lone_surrogate_is_misuse_and_nothing_is_sent() -> None:
    session = open_session("server")
    with pytest.raises(Misuse, match="UTF-8"):
        session.send("a\udc80")
    with pytest.raises(Misuse, match="UTF-8"):
        session.send_fragment("\ud800", True)
    assert session.unsent == 0
    assert session.send("a")


# Cut anywhere.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65536])
def test_w21_message_cut_at_every_byte_of_its_header(role: str, size: int) -> None:
    data = frame(BINARY, bytes(size), masked=from_peer(role))
    for cut in range(len(data) - size + 1):
        session = open_session(role)
        assert feed(session, data[:cut]) == ([Message(b"")] if cut == len(data) else [])
        if cut < len(data):
            assert feed(session, data[cut:]) == [Message(bytes(size))]


def test_w24_header_and_payload_in_different_reads_deliver_once() -> None:
    session = open_session("server")
    payload = bytes(i * 3 & 255 for i in range(8192))
    data = frame(BINARY, payload)
    assert feed(session, data[:8]) == []
    assert feed(session, data[8:]) == [Message(payload)]
    assert feed(session, frame(TEXT, b"next")) == [Message("next")]


STREAM = [
    (TEXT, "häß€\U0001f600".encode(), True),
    (BINARY, b"\xff" * 130, False),
    (PING, b"p", True),
    (0, b"", False),
    (0, b"\x80", True),
    (PONG, b"q", True),
    (TEXT, b"", True),
    (TEXT, "\U0001f600".encode()[:1], False),
    (PING, b"", True),
    (0, "\U0001f600".encode()[1:], True),
]


@pytest.mark.parametrize("role", ROLES)
def test_one_byte_at_a_time_is_the_same_as_all_at_once(role: str) -> None:
    data = b"".join(frame(op, body, fin=fin, masked=from_peer(role)) for op, body, fin in STREAM)
    whole, single = open_session(role), open_session(role)
    found = feed(whole, data)
    assert found == feed_bytewise(single, data)
    assert sent(whole) == sent(single) == [(0x8A, b"p"), (0x8A, b"")]
    assert found == [
        Message("häß€\U0001f600"),
        Ping(b"p"),
        Message(b"\xff" * 130 + b"\x80"),
        Pong(b"q"),
        Message(""),
        Ping(b""),
        Message("\U0001f600"),
    ]


FRAMES = st.lists(
    st.tuples(
        st.sampled_from([TEXT, TEXT, BINARY, PING, PONG]),
        st.text(max_size=40),
        st.lists(st.integers(0, 160), max_size=4),
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(
    messages=FRAMES, cuts=st.lists(st.integers(1, 90), min_size=1, max_size=6), role=st.sampled_from(ROLES)
)
def test_property_messages_survive_any_fragments_and_any_reads(
    messages: list[tuple[int, str, list[int]]], cuts: list[int], role: str
) -> None:
    data = b""
    expected: list[Any] = []
    masked = from_peer(role)
    for opcode, text, fragments in messages:
        body = text.encode()[:120] if opcode in (PING, PONG) else text.encode()
        if opcode in (PING, PONG):
            data += frame(opcode, body, masked=masked)
            expected.append(Ping(body) if opcode == PING else Pong(body))
            continue
        edges = [0, *sorted(min(edge, len(body)) for edge in fragments), len(body)]
        for i in range(len(edges) - 1):
            piece = body[edges[i] : edges[i + 1]]
            data += frame(opcode if i == 0 else 0, piece, fin=i == len(edges) - 2, masked=masked)
        expected.append(Message(text if opcode == TEXT else body))
    session = open_session(role)
    found = []
    at = i = 0
    while at < len(data):
        found += feed(session, data[at : at + cuts[i % len(cuts)]])
        at += cuts[i % len(cuts)]
        i += 1
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(payload=st.one_of(st.text(max_size=300), st.binary(max_size=700)))
def test_property_what_one_side_sends_the_other_gets(payload: str | bytes) -> None:
    client, server = open_pair()
    client.send(payload)
    server.send(payload)
    assert exchange(client, server) == ([Message(payload)], [Message(payload)])


# Fragments.


@pytest.mark.parametrize("role", ROLES)
def test_w25_thousands_of_one_byte_fragments_with_a_ping_between_each(role: str) -> None:
    client, server = open_pair(ping_interval=None)
    session, peer = (client, server) if role == "client" else (server, client)
    text = text_of(3000)
    told: list[Any] = []
    pongs: list[Any] = []
    for i, letter in enumerate(text):
        session.send_fragment(letter, i == len(text) - 1)
        session.ping(b"%d" % i)
        if i % 20 == 19:
            ours, theirs = exchange(client, server)
            told += theirs if role == "client" else ours
            pongs += ours if role == "client" else theirs
    assert [event for event in told if isinstance(event, Message)] == [Message(text)]
    assert [event.data for event in told if isinstance(event, Ping)] == [b"%d" % i for i in range(3000)]
    assert [event.data for event in pongs] == [b"%d" % i for i in range(3000)]
    session.close_with(1000)
    exchange(client, server)
    assert session.detail.clean
    assert peer.detail.clean


def test_w25_thousands_of_one_byte_fragments_in_one_read() -> None:
    session = open_session("server")
    text = text_of(5000).encode()
    data = b"".join(
        frame(0 if i else TEXT, text[i : i + 1], fin=i == len(text) - 1) for i in range(len(text))
    )
    assert feed(session, data) == [Message(text.decode())]


def test_fragments_sent_are_frames_of_one_message() -> None:
    session = open_session("server")
    session.send_fragment("a", False)
    session.send_fragment("", False)
    session.ping(b"x")
    session.send_fragment("b", True)
    session.send("c")
    assert sent(session) == [(0x01, b"a"), (0x00, b""), (0x89, b"x"), (0x80, b"b"), (0x81, b"c")]


def test_a_message_inside_of_a_fragmented_one_is_misuse() -> None:
    session = open_session("server")
    session.send_fragment(b"a", False)
    with pytest.raises(Misuse, match="unfinished"):
        session.send(b"b")
    with pytest.raises(Misuse, match="mixed"):
        session.send_fragment("b", True)
    session.send_fragment(b"c", True)
    assert sent(session) == [(0x02, b"a"), (0x80, b"c")]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "frames",
    [
        [(0, b"x", True)],
        [(0, b"", False)],
        [(TEXT, b"x", False), (TEXT, b"y", True)],
        [(TEXT, b"x", False), (BINARY, b"y", False)],
        [(BINARY, b"x", True), (0, b"y", True)],
    ],
)
def test_rfc6455_5_4_fragments_out_of_order_1002(role: str, frames: list[tuple[int, bytes, bool]]) -> None:
    session = open_session(role)
    data = b"".join(frame(op, body, fin=fin, masked=from_peer(role)) for op, body, fin in frames)
    failed_with(session, feed(session, data), Exception, 1002)


# What is refused.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_w26_unmasked_client_frame_and_masked_server_frame_1002(role: str, opcode: int) -> None:
    session = open_session(role)
    failed_with(session, feed(session, frame(opcode, b"", masked=not from_peer(role))), Exception, 1002)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rsv", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING])
def test_rfc6455_5_2_reserved_bits_1002(role: str, rsv: int, opcode: int) -> None:
    session = open_session(role)
    failed_with(session, feed(session, frame(opcode, b"a", rsv=rsv, masked=from_peer(role))), Exception, 1002)


@pytest.mark.parametrize("role", ROLES)
def test_faults_after_good_messages_do_not_hide_them(role: str) -> None:
    session = open_session(role)
    data = frame(TEXT, b"good", masked=from_peer(role)) + b"\x83"
    found = feed(session, data)
    assert found[0] == Message("good")
    failed_with(session, found, Exception, 1002)


def test_w23_top_bit_of_a_64_bit_length_fails_the_session_1002() -> None:
    session = open_session("server")
    failed_with(session, feed(session, bytes.fromhex("82ff8000000000000001")), Exception, 1002)


# UTF-8.

GOOD_TEXTS = ["κόσμε", "\0\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff", "\ud7ff\ue000\ufffd", "ab\u00e9"]
BAD_TEXTS = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\x80",
    b"a\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xe2\x28\xa1",
    b"\xf0\x9f\x41\x80",
]


@pytest.mark.parametrize("text", GOOD_TEXTS)
def test_rfc6455_8_1_valid_text_at_each_split(text: str) -> None:
    data = text.encode()
    for cut in range(len(data) + 1):
        session = open_session("server")
        parts = frame(TEXT, data[:cut], fin=False) + frame(0, data[cut:])
        assert feed(session, parts) == [Message(text)]
        session = open_session("server")
        assert feed_bytewise(session, parts) == [Message(text)]


@pytest.mark.parametrize("data", BAD_TEXTS)
def test_rfc6455_8_1_invalid_text_whole_or_split_1007(data: bytes) -> None:
    session = open_session("server")
    failed_with(session, feed(session, frame(TEXT, data)), InvalidText, 1007)
    for cut in range(len(data) + 1):
        session = open_session("server")
        found = feed(session, frame(TEXT, data[:cut], fin=False) + frame(0, data[cut:]))
        failed_with(session, found, InvalidText, 1007)


def first_bad_prefix(data: bytes) -> int:
    """Bytes after which no continuation can be valid, by trying them all where one byte decides."""
    for size in range(1, len(data) + 1):
        tails = [b"", b"\x80", b"\xa0", b"\xbf", b"\x90"]
        tails += [a + b for a in tails[1:] for b in tails[1:]]
        tails += [a + b"\x80" for a in tails[5:]]
        if not any(_is_utf8(data[:size] + tail) for tail in tails):
            return size
    raise AssertionError


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("data", BAD_TEXTS)
def test_rfc6455_8_1_invalid_text_is_seen_with_the_byte_that_shows_it(data: bytes) -> None:
    due = first_bad_prefix(data)
    # One frame that is not complete, and one fragment for each byte.
    session = open_session("server")
    whole = frame(TEXT, data + b"more text", fin=False)
    at = len(whole) - 9 - len(data)
    assert feed(session, whole[: at + due - 1]) == []
    failed_with(session, feed(session, whole[at + due - 1 : at + due]), InvalidText, 1007)
    session = open_session("server")
    for i in range(due - 1):
        assert feed(session, frame(0 if i else TEXT, data[i : i + 1], fin=False)) == []
    last = frame(0 if due > 1 else TEXT, data[due - 1 : due], fin=False)
    failed_with(session, feed(session, last), InvalidText, 1007)


def test_text_that_ends_inside_of_a_character_1007() -> None:
    for parts in ([(TEXT, b"a\xc3", True)], [(TEXT, b"a\xc3", False), (0, b"", True)]):
        session = open_session("server")
        data = b"".join(frame(op, body, fin=fin) for op, body, fin in parts)
        failed_with(session, feed(session, data), InvalidText, 1007)


def test_binary_needs_no_utf8() -> None:
    session = open_session("server")
    assert feed(session, frame(BINARY, b"\xff\xfe", fin=False) + frame(0, b"\xc3")) == [
        Message(b"\xff\xfe\xc3")
    ]


# Bounds.


def test_message_of_exactly_the_limit_and_one_byte_more_1009() -> None:
    session = open_session("server", max_message=100)
    assert feed(session, frame(BINARY, bytes(100))) == [Message(bytes(100))]
    assert feed(session, frame(BINARY, bytes(60), fin=False) + frame(0, bytes(40))) == [Message(bytes(100))]
    # The header alone shows it: nothing is waited for.
    failed_with(session, feed(session, frame(BINARY, bytes(101))[:6]), MessageTooBig, 1009)
    session = open_session("server", max_message=100)
    data = frame(BINARY, bytes(60), fin=False) + frame(0, bytes(41))
    failed_with(session, feed(session, data[:-41]), MessageTooBig, 1009)


def test_announced_length_of_exabytes_1009_without_a_byte_of_it() -> None:
    session = open_session("server")
    failed_with(session, feed(session, bytes.fromhex("82ff7fffffffffffffff") + b"key!"), MessageTooBig, 1009)


def test_flood_of_empty_fragments_1008() -> None:
    session = open_session("server")
    legal = frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * (MAX_EMPTY_FRAGMENTS - 2)
    assert feed(session, legal + frame(0, b"x")) == [Message("x")]
    flood = frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * MAX_EMPTY_FRAGMENTS
    failed_with(session, feed(session, flood), FloodRefused, 1008)


def test_flood_of_pings_queues_a_bounded_number_of_pongs() -> None:
    for role in ROLES:
        session = open_session(role)
        ping = frame(PING, b"x" * 125, masked=from_peer(role))
        for _ in range(20):
            assert len(feed(session, ping * 300)) == 300
        assert len(feed(session, frame(PING, b"last", masked=from_peer(role)))) == 1
        assert session.unsent < 6000
        # What waited goes out, then the Pong for the latest Ping; and there is room again.
        pongs = sent(session) + sent(session)
        assert pongs[-1] == (0x8A, b"last")
        assert len(pongs) < 50
        feed(session, ping)
        assert sent(session) == [(0x8A, b"x" * 125)]


def test_pings_in_one_read_each_get_their_pong_while_there_is_room() -> None:
    session = open_session("server")
    found = feed(session, b"".join(frame(PING, b"%d" % i) for i in range(10)))
    assert found == [Ping(b"%d" % i) for i in range(10)]
    assert sent(session) == [(0x8A, b"%d" % i) for i in range(10)]


def test_receive_takes_no_more_than_its_cap_until_events_are_pulled() -> None:
    session = open_session("server")
    data = frame(BINARY, bytes(1000)) * 400
    taken = session.receive(data, 0.0)
    assert taken == MAX_UNREAD
    assert session.receive(data[taken:], 0.0) == 0
    assert isinstance(session.next_event(), Message)
    assert session.receive(data[taken:], 0.0) == len(frame(BINARY, bytes(1000)))


def test_message_larger_than_the_cap_on_unread_bytes() -> None:
    for role in ROLES:
        session = open_session(role)
        payload = bytes(i * 7 & 255 for i in range(1 << 20))
        data = frame(BINARY, payload, masked=False)
        if role == "server":
            header = bytearray(data[:10])
            header[1] |= 0x80
            data = bytes(header) + bytes(4) + payload
        found = []
        for at in range(0, len(data), 65536):
            found += feed(session, data[at : at + 65536])
        assert found == [Message(payload)]


# Sending within bounds.


def test_send_is_false_over_the_high_watermark_and_refused_over_the_limit() -> None:
    session = open_session("server", high_watermark=1000, max_unsent=3000)
    assert session.send(bytes(900)) is True
    assert session.send(bytes(900)) is False
    assert session.send(bytes(900)) is False
    before = session.unsent
    with pytest.raises(Misuse, match="limit is 3000 bytes"):
        session.send(bytes(900))
    with pytest.raises(Misuse, match="limit is 3000 bytes"):
        session.send_fragment(bytes(900), True)
    assert session.unsent == before
    assert len(output(session)) == before
    assert session.send(bytes(900)) is True


def test_ping_of_more_than_125_bytes_is_misuse() -> None:
    session = open_session("client")
    with pytest.raises(Misuse, match="126 bytes, the limit is 125 bytes"):
        session.ping(bytes(126))
    session.ping(bytes(125))
    assert sent(session) == [(0x89, bytes(125))]


@pytest.mark.parametrize("limit", [0, 1, 7, 1000, 65536, 1 << 20])
@pytest.mark.parametrize("role", ROLES)
def test_take_hands_out_everything_in_order_in_any_portions(role: str, limit: int) -> None:
    session = open_session(role)
    bodies = [bytes([i]) * size for i, size in enumerate([0, 5, 200, 17_000, 3, 66_000, 1])]
    if limit < 100:
        bodies = bodies[:3]
    for body in bodies:
        session.send(body)
    data = b""
    while session.unsent:
        before = session.unsent
        pieces = session.take(limit)
        size = sum(len(piece) for piece in pieces)
        assert 0 < size <= max(limit, 1)
        assert session.unsent == before - size
        data += b"".join(pieces)
    assert session.take(limit) == []
    other = open_session("server" if role == "client" else "client")
    assert feed(other, data) == [Message(body) for body in bodies]


def test_every_sender_wakes_the_connection() -> None:
    session = open_session("server")
    woken = []
    session.wake = lambda: woken.append(1)
    session.send("a")
    session.send_fragment("b", True)
    session.ping()
    session.close_with(1000)
    assert len(woken) == 4


def test_w32_send_after_close_raises_and_sends_nothing() -> None:
    session = open_session("server")
    session.send("before")
    session.close_with(1000)
    with pytest.raises(Closed):
        session.send("x")
    with pytest.raises(Closed):
        session.send_fragment("x", True)
    with pytest.raises(Closed):
        session.ping()
    assert sent(session) == [(0x81, b"before"), (0x88, b"\x03\xe8")]


def test_events_left_in_the_buffer_come_one_by_one() -> None:
    session = open_session("server")
    data = frame(TEXT, b"x") * 1500 + close_frame(1000)
    session.receive(data, 0.0)
    for _ in range(1500):
        assert session.next_event() == Message("x")
    assert [type(event).__name__ for event in events(session)] == ["CloseReceived"]

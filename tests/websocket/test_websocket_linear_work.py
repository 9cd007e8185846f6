"""Frames and handshakes cost work in proportion to their bytes, and floods of them are bounded: counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mungos.http import HTTPLimits, heads, inspection
from mungos.protocol import MORE, Failed
from mungos.websocket import (
    CloseReceived,
    Established,
    Message,
    Ping,
    Session,
    assembly,
    client_session,
    server_session,
    session,
)
from mungos.websocket.assembly import MAX_EMPTY_FRAGMENTS
from mungos.websocket.session import MAX_UNREAD
from tests.websocket.driver import (
    BINARY,
    CLOSE,
    PING,
    REQUEST,
    ROLES,
    TEXT,
    close_frame,
    events,
    feed,
    frame,
    make,
    open_session,
    output,
    read_frames,
    response_to,
    sent,
)
from tests.work_counted import counted, counted_calls, cut

MODULES = [heads, inspection, session, assembly, server_session, client_session]
KIB = 1024
SIZES = [1 * KIB, 4 * KIB, 16 * KIB]
CUTS = [1, 2, 7, 100, 1 << 20, -1]
ROOMY = HTTPLimits(max_head=20 * KIB, max_line=18 * KIB, max_headers=10_000)
MOST_LOOKS = 4
MOST_MOVES = 8
MOST_CALLS = 12
MOST_FRAMES = 64  # in one pull


def in_fragments(size: int, each: int, opcode: int = TEXT) -> bytes:
    data = b"".join(
        frame(0 if i else opcode, b"x" * each, fin=False)
        for i in range(size // (each + 6 + 2 * (each > 125)))
    )
    return data + frame(0, b"end")


def handshake(size: int) -> bytes:
    fields = (size - len(REQUEST)) // 40 * (b"X-Field: " + b"v" * 29 + b"\r\n")
    return REQUEST[:-2] + fields + b"\r\n"


def opened() -> Session:
    return open_session("server")


def unopened() -> Session:
    made = make("server", limits=ROOMY)
    made.start(0.0)
    return made


INPUTS: dict[str, tuple[Callable[[], Session], Callable[[int], bytes], type]] = {
    "one frame": (opened, lambda n: frame(TEXT, b"x" * n), Message),
    "text in fragments of one byte": (opened, lambda n: in_fragments(n, 1), Message),
    "bytes in fragments of one byte": (opened, lambda n: in_fragments(n, 1, BINARY), Message),
    "text in fragments of 200 bytes": (opened, lambda n: in_fragments(n, 200), Message),
    "small messages": (opened, lambda n: frame(TEXT, b"hello") * (n // 11), Message),
    "pings of 125 bytes": (opened, lambda n: frame(PING, b"p" * 125) * (n // 131), Ping),
    "opening handshake": (unopened, handshake, Established),
    "opening handshake, one long line": (
        unopened,
        lambda n: REQUEST[:-2] + b"X: " + b"v" * (n - len(REQUEST)) + b"\r\n\r\n",
        Established,
    ),
}


def fed(under_test: Session, piece: bytes) -> list[object]:
    assert under_test.receive(piece, 0.0) == len(piece)
    found: list[object] = []
    while (event := under_test.next_event()) is not None:
        found.append(event)
    return found


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("cutting", CUTS)
def test_bytes_are_looked_at_four_times_at_most_however_they_are_cut(name: str, cutting: int) -> None:
    make_session, build, expected = INPUTS[name]
    for size in SIZES:
        data = build(size)
        with counted(*MODULES) as work:
            under_test = make_session()
            work.looked = work.moved = 0
            found: list[object] = []
            for piece in cut(data, len(data) - 1 if cutting < 0 else cutting):
                found += fed(under_test, piece)
            assert work.looked <= MOST_LOOKS * len(data), f"{size} bytes: each was looked at too often"
            assert work.moved <= MOST_MOVES * len(data), f"{size} bytes: each was moved too often"
        assert any(isinstance(event, expected) for event in found)
        assert not any(isinstance(event, Failed) for event in found)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("cutting", [1, 2, 7])
def test_a_piece_costs_twelve_calls_at_most(name: str, cutting: int) -> None:
    make_session, build, _ = INPUTS[name]
    for size in SIZES:
        under_test = make_session()
        pieces = cut(build(size), cutting)
        with counted_calls() as calls:
            for piece in pieces:
                fed(under_test, piece)
        # `fed` itself is not the session's.
        assert calls[0] - len(pieces) <= MOST_CALLS * len(pieces)


def test_a_clients_handshake_costs_work_in_proportion_too() -> None:
    for size in SIZES:
        with counted(*MODULES) as work:
            under_test = make("client", limits=ROOMY)
            under_test.start(0.0)
            data = response_to(output(under_test), *[b"X-Field: " + b"v" * 29] * (size // 40))
            work.looked = work.moved = 0
            found: list[object] = []
            for piece in cut(data, 1):
                found += fed(under_test, piece)
            assert work.looked <= MOST_LOOKS * len(data)
        assert isinstance(found[-1], Established)


def test_one_pull_goes_through_a_bounded_number_of_fragments() -> None:
    under_test = open_session("server", max_fragments=100_000)
    tiny = frame(0, b"x", fin=False)
    flood = frame(BINARY, b"x", fin=False) + tiny * (MAX_UNREAD // len(tiny) - 1)
    assert under_test.receive(flood, 0.0) == len(flood)
    pulls = 0
    while True:
        before = len(under_test._buffer) - under_test._start
        event = under_test.next_event()
        assert before - (len(under_test._buffer) - under_test._start) <= MOST_FRAMES * len(tiny)
        if event is None:
            break
        assert event is MORE
        pulls += 1
    assert pulls >= len(flood) // (MOST_FRAMES * len(tiny))
    assert fed(under_test, frame(0, b"end"))[-1] == Message(b"x" * (len(flood) // len(tiny)) + b"end")


def test_one_pull_goes_through_a_bounded_number_of_frames_after_our_close() -> None:
    under_test = open_session("server")
    under_test.close_with(1000)
    flood = frame(TEXT, b"x") * 1000
    under_test.receive(flood + close_frame(1000), 0.0)
    before = len(under_test._buffer)
    assert under_test.next_event() is MORE
    assert before - (len(under_test._buffer) - under_test._start) <= MOST_FRAMES * 7
    assert events(under_test) == [CloseReceived(1000, "")]


@pytest.mark.parametrize("role", ROLES)
def test_more_fragments_than_max_fragments_1008(role: str) -> None:
    masked = role == "server"
    under_test = open_session(role, max_fragments=3)
    begun = frame(TEXT, b"a", fin=False, masked=masked) + frame(0, b"b", fin=False, masked=masked)
    last = frame(0, b"c", masked=masked)
    assert feed(under_test, begun + last) == [Message("abc")]
    found = feed(under_test, begun + frame(0, b"c", fin=False, masked=masked) + last)
    assert isinstance(found[-1], Failed)
    assert "max_fragments" in str(found[-1].error)
    ((first, payload),) = sent(under_test)
    assert (first, payload[:2]) == (0x80 | CLOSE, (1008).to_bytes(2, "big"))
    assert under_test.ended


def test_the_default_ends_what_costs_work_and_lets_real_messages_in() -> None:
    tiny = frame(0, b"x", fin=False)
    under_test = open_session("server")
    found = feed(under_test, frame(BINARY, b"x", fin=False) + tiny * 200_000)
    assert isinstance(found[-1], Failed)
    # The longest message that is taken by default, in fragments as small as 256 bytes.
    under_test = open_session("server")
    found = feed(under_test, b"".join(
        frame(0 if i else BINARY, b"x" * 256, fin=i == 16_383) for i in range(16_384)
    ))  # fmt: skip
    assert found == [Message(b"x" * (4 << 20))]
    assert MAX_EMPTY_FRAGMENTS < 16_384


@pytest.mark.parametrize("closing", [False, True])
def test_a_flood_of_pings_is_answered_within_a_bound(closing: bool) -> None:
    under_test = open_session("server")
    if closing:
        under_test.close_with(1000)
    for i in range(2000):
        feed(under_test, frame(PING, b"%0125d" % i))
    assert under_test.unsent <= 8 * KIB
    # RFC 6455 section 5.5.3: the latest is answered in any case.
    assert read_frames(output(under_test, 1 << 16) + output(under_test, 1 << 16))[-1][1] == b"%0125d" % 1999

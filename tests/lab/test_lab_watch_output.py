"""Output as lines: bounds, bytes that are no text, floods."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.lab.order import Order
from mungos.lab.verdicts import Verdict
from mungos.lab.watch import run
from mungos.lab.watch.explanation import reading_meanwhile
from mungos.lab.watch.output import KEPT_BYTES, KEPT_LINES, LINE_LIMIT, Kept, Splitter, readable
from tests.lab.lab_watch_programs import checked, only, python, shell, texts


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_lines_do_not_depend_on_how_the_bytes_came(parts: list[bytes]) -> None:
    data = b"".join(parts)
    splitter = Splitter("stdout")
    got = [line for part in parts for line in splitter.feed(1.0, part)] + splitter.finish()
    whole = Splitter("stdout")
    assert got == whole.feed(1.0, data) + whole.finish()
    assert [readable(line).complete for line in got].count(True) == data.count(b"\n")


def test_what_is_no_utf_8_stays_visible() -> None:
    attempt = only(checked(Order(python(r"import os; os.write(1, b'\x00\xff\xfe\x80 \xc3\xa4\r\n\x1b[0m')"))))
    assert [(line.text, line.complete) for line in attempt.lines] == [
        ("\0\\xff\\xfe\\x80 ä", True),
        ("\x1b[0m", False),
    ]


def test_a_huge_line_comes_in_pieces() -> None:
    splitter = Splitter("stdout")
    text = "é" * LINE_LIMIT  # two bytes each
    data = b"x" + text.encode() + b"\n"
    found = [
        readable(line)
        for place in range(0, len(data), 1000)
        for line in splitter.feed(0.0, data[place : place + 1000])
    ]
    assert "".join(line.text for line in found) == "x" + text
    assert all(len(line.text.encode()) <= LINE_LIMIT for line in found)
    assert [line.complete for line in found] == [False, False, True]


def test_a_line_without_an_end_is_bounded() -> None:
    attempt = only(checked(Order(python("import os\nfor _ in range(64): os.write(1, b'x' * 65536)"))))
    assert sum(len(line.text) for line in attempt.lines) == 64 * 65536
    assert max(len(line.text) for line in attempt.lines) <= LINE_LIMIT


def test_lines_and_bytes_kept_are_bounded() -> None:
    kept = Kept()
    kept.add(0.0, "stdout", b"".join(b"%d\n" % number for number in range(KEPT_LINES + 5)))
    assert (len(kept.lines()), kept.dropped, kept.lines()[0].text) == (KEPT_LINES, 5, "5")
    for _ in range(3):
        for _ in range(64):
            kept.add(0.0, "stdout", b"x" * (KEPT_BYTES // 128) + b"\n")
    assert sum(len(line.text) for line in kept.lines()) <= KEPT_BYTES
    assert len(kept.lines()) + kept.dropped == KEPT_LINES + 5 + 3 * 64
    for number in range(5 * KEPT_LINES):  # driblets of two streams without any end of line
        kept.add(0.0, ("stdout", "stderr")[number % 2], b".")
    assert len(kept.lines()) + kept.dropped <= KEPT_LINES + 5 + 3 * 64 + 2


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from([b"", b"a", b"b\n", b"\nc\nd"]))
    )
)
def test_what_is_kept_is_what_came(parts: list[tuple[str, bytes]]) -> None:
    kept = Kept()
    for stream, data in parts:
        kept.add(0.0, stream, data)
    for name in ("stdout", "stderr"):
        lines = [line for line in kept.lines() if line.stream == name]
        text = "".join(line.text + "\n" * line.complete for line in lines)
        assert text.encode() == b"".join(data for stream, data in parts if stream == name)
    assert kept.dropped == 0


def test_the_last_lines_are_kept_and_the_others_counted() -> None:
    attempt = only(checked(Order(("seq", "1", "50000"))))
    assert [line.text for line in attempt.lines] == [
        str(number) for number in range(50001 - KEPT_LINES, 50001)
    ]
    assert attempt.lines_dropped == 50000 - KEPT_LINES


@pytest.mark.parametrize("listener", [None, lambda line: None], ids=["unheard", "heard"])
@pytest.mark.parametrize("command", [("yes",), ("cat", "/dev/zero")], ids=["lines", "bytes"])
def test_a_flood_does_not_hold_up_the_clocks(command: tuple[str, ...], listener: None) -> None:
    record = run(Order(command, deadline=0.7, stall=0.3), listener)
    assert record.verdict is Verdict.TIMED_OUT
    attempt = only(record)
    assert attempt.duration < 5
    assert attempt.samples[-1].output > 0
    assert len(attempt.lines) <= KEPT_LINES + 2


def test_who_prints_is_not_held_up_by_an_autopsy() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    got: list[int] = []

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(len(os.read(reading, 65536)))

    before = signal.getsignal(signal.SIGIO)
    try:
        with reading_meanwhile([reading], read):
            # Much more than a pipe holds.
            command = ["dd", "if=/dev/zero", "bs=4096", "count=1000", "status=none"]
            subprocess.run(command, stdout=writing, check=True, timeout=8)
        assert sum(got) == 4_096_000
        assert signal.getsignal(signal.SIGIO) == before
        os.write(writing, b"x")  # now no signal may come
    finally:
        os.close(reading)
        os.close(writing)


def test_the_two_streams_are_told_apart_and_in_order() -> None:
    attempt = only(
        checked(Order(shell("for i in 1 2 3; do echo o$i; sleep 0.05; echo e$i >&2; sleep 0.05; done")))
    )
    assert [(line.stream, line.text) for line in attempt.lines] == [
        (stream, f"{stream.removeprefix('std')[0]}{number}")
        for number in (1, 2, 3)
        for stream in ("stdout", "stderr")
    ]
    assert texts(attempt, "terminal") == []

"""Output that is passed on: the bytes as they came, at once, and without waiting for who reads them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mungos.lab.order import Order
from mungos.lab.verdicts import Verdict
from mungos.lab.watch import run
from mungos.lab.watch.passing import HELD_LIMIT, Passage
from tests.lab.lab_watch_programs import python, shell

PATIENCE = 30.0
LAB = (sys.executable, "-m", "mungos", "lab", "run", "--no-history")

pytestmark = pytest.mark.timeout(60)


def test_bytes_are_passed_on_as_they_are() -> None:
    said = rb"\x00\xff\xfe a\r\nb\rc"
    done = subprocess.run(
        [*LAB, "--", *python(f"import os; os.write(1, b'{said.decode()}')")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout == b"\x00\xff\xfe a\r\nb\rc"


def test_a_prompt_without_an_end_is_there_at_once() -> None:
    process = subprocess.Popen(
        [*LAB, "--stall", "30", "--", "sh", "-c", "printf 'name? '; sleep 100"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"name? "
        assert process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_is_stuck_does_not_stop_the_clocks(stream: str) -> None:
    reading, writing = os.pipe()
    passage = Passage({stream: writing}, 0.1)
    try:
        record = run(Order(shell("yes 0123456789 | tee /dev/stderr"), deadline=1.0, stall=0.8), None, passage)
        assert record.verdict is Verdict.TIMED_OUT
        assert record.attempts[0].duration < PATIENCE / 2
        assert len(passage.finish()) == 1
    finally:
        passage.close()
        os.close(reading)
        os.close(writing)


def test_a_slow_reader_gets_everything() -> None:
    reading, writing = os.pipe()
    passage = Passage({"stdout": writing}, 5.0)
    size = 3 * HELD_LIMIT
    child = subprocess.Popen(
        python(f"import os, time; time.sleep(0.3)\nn = 0\nwhile n < {size}: n += len(os.read(0, 4096))"),
        stdin=reading,
    )
    os.close(reading)
    try:
        record = run(Order(("head", "-c", str(size), "/dev/zero")), None, passage)
        assert passage.finish() == []
        assert record.verdict is Verdict.PASSED
        passage.close()
        os.close(writing)
        assert child.wait(PATIENCE) == 0
    finally:
        child.kill()
        child.wait()


def test_what_nobody_reads_is_left_out_and_told() -> None:
    reading, writing = os.pipe()
    passage = Passage({"stdout": writing}, 0.01)
    piece = b"x" * 65535 + b"\n"
    end = time.monotonic() + PATIENCE
    count = 0
    while not count or not passage.held("stdout"):
        passage.take(0.0, "stdout", piece)
        count += 1
        assert time.monotonic() < end
    while passage.held("stdout"):
        assert time.monotonic() < end
    passage.take(0.0, "stdout", piece)
    got = b""
    os.set_blocking(reading, False)
    while passage.waiting():
        got += os.read(reading, 1 << 20)
        passage.push()
    got += os.read(reading, 1 << 20)
    passage.take(0.0, "stdout", b"again\n")
    assert passage.finish() == [
        f"65536 bytes of output were not passed on to descriptor {writing}: nobody read them for 0.01 s"
    ]
    passage.close()
    os.close(writing)
    os.set_blocking(reading, True)
    with open(reading, "rb") as rest:
        got += rest.read()
    note = b"mungos lab: 65536 bytes are left out here: nobody read them in time\nagain\n"
    assert got == piece * count + note


def test_what_can_not_be_written_is_told_and_changes_no_verdict() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*LAB, "--", "echo", "lost"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
    assert done.returncode == 0
    assert "mungos lab: output can't be passed on to descriptor 1: No space left on device" in done.stderr


def test_times_stand_where_lines_begin() -> None:
    reading, writing = os.pipe()
    passage = Passage({"stdout": writing, "stderr": writing}, 1.0, timed=True)
    passage.take(0.5, "stdout", b"pro")
    passage.take(1.5, "stdout", b"mpt\n\nnext\n")
    passage.take(2.0, "stderr", b"bad")
    passage.line_start("stderr")
    assert passage.finish() == []
    passage.close()
    os.close(writing)
    with open(reading, "rb") as got:
        assert got.read() == (b"    0.500   prompt\n    1.500   \n    1.500   next\n    2.000 ! bad\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed_do_no_harm(closed: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *LAB, "--json", str(report), "--",
         *shell("echo one; echo two >&2; exit 3")],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout == ("" if ">&-" in closed.split() else "one\n")
    assert '"two"' in report.read_text()

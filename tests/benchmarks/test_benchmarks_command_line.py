"""What the benchmarks' command lines share: statuses, interruption, and whether the machine was busy."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import command, command_line, tls
from benchmarks.command_line import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    TARGETS_MISSED,
    OwnLoad,
    interruptible,
    load_line,
    status_of,
)
from benchmarks.hostile import command as hostile

MAKEFILE = Path(command_line.__file__).parent.parent / "Makefile"


def test_figures_of_a_busy_machine_are_told_as_such() -> None:
    assert load_line(2.0, 3.0) == "load average of the machine at the end: 3.0"
    busy = load_line(2.0, 3.1)
    assert busy.endswith("3.1, of which the benchmark makes 2.0: these are the figures of a busy machine")
    # a run of seconds has hardly moved the average yet, and is one process all the same
    assert "busy" not in load_line(0.0, 1.5)
    assert "busy" in load_line(0.0, 1.6)


def test_own_load_decays_as_the_kernel_s_average_does() -> None:
    now = 0.0
    own = OwnLoad(lambda: now)
    with own.of(4):
        now = 600.0
    assert own.average() == pytest.approx(4.0, abs=0.01)
    now += 60.0
    assert own.average() == pytest.approx(4.0 / 2.71828, abs=0.01)
    with own.of(1):
        now += 600.0
    assert own.average() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("strict", "met", "failed", "status"),
    [
        (False, [None, False], False, FINISHED),
        (True, [True], False, FINISHED),
        (True, [True, None], False, TARGETS_MISSED),
        (True, [False], True, FAILED),
    ],
)
def test_statuses(strict: bool, met: list[bool | None], failed: bool, status: int) -> None:
    verdicts = [SimpleNamespace(met=each) for each in met]
    assert status_of(argparse.Namespace(strict=strict), verdicts, failed=failed) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_by_way_of_what_is_entered(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    left = []

    def run() -> int:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            left.append(number)
        return FINISHED

    before = signal.getsignal(signal.SIGTERM)
    assert (interruptible(run), left) == (INTERRUPTED, [number])
    assert signal.getsignal(signal.SIGTERM) == before
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("benchmark", [command, hostile, tls], ids=lambda each: str(each.__name__))
def test_strict_needs_check_in_each_of_them(benchmark: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["--strict"])  # type: ignore[attr-defined]
    assert "--strict needs --check" in capsys.readouterr().err


def test_make_holds_what_attacks_cost_to_the_targets() -> None:
    assert "python -m benchmarks.hostile --check $(BENCH_ARGS)" in MAKEFILE.read_text(encoding="utf-8")

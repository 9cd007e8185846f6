"""When which clock runs out, without running anything."""

from __future__ import annotations

import os
import time

import pytest

from mungos.lab.record import Sample
from mungos.lab.verdicts import Verdict
from mungos.lab.watch.clocks import Clocks
from mungos.lab.watch.meter import Look, Meter, Samples


def ran(rate: float, wanted: float | None = None, io: int = 0, outputs: tuple[float, ...] = ()) -> Clocks:
    """Clocks (deadline 100 s, stall 10 s) after 20 s of looks, one a second, at this share of a CPU."""
    clocks = Clocks(100.0, 10.0, idle_ok=False)
    for second in range(1, 21):
        for at in outputs:
            if second - 1 <= at < second:
                clocks.output(at)
        clocks.look(second, rate * second, io * second, (rate if wanted is None else wanted) * second)
    return clocks


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [(0.0, Verdict.STALLED), (0.0099, Verdict.STALLED), (0.011, None), (0.5, None), (0.89, None),
     (0.91, Verdict.SPINNING), (1.9, Verdict.SPINNING)],
)  # fmt: skip
def test_between_idle_and_busy_is_neither(rate: float, verdict: Verdict | None) -> None:
    found = ran(rate).ran_out(20.0)
    assert (found and found[0]) == verdict


def test_io_is_progress_of_who_is_busy_and_not_of_who_is_idle() -> None:
    assert ran(1.0, io=1).ran_out(20.0) is None
    found = ran(0.0, io=1).ran_out(20.0)
    assert found is not None
    assert found[0] is Verdict.STALLED


@pytest.mark.parametrize(
    ("rate", "wanted", "spins"), [(0.3, 1.0, True), (0.3, 0.8, False), (0.04, 1.0, False)]
)
def test_on_a_crowded_machine_what_was_wanted_counts(rate: float, wanted: float, spins: bool) -> None:
    assert (ran(rate, wanted).ran_out(20.0) is not None) == spins


def test_output_restarts_the_stall_clock() -> None:
    assert ran(0.0, outputs=(10.5,)).ran_out(20.0) is None
    assert ran(0.0, outputs=(9.5,)).ran_out(20.0) == (
        Verdict.STALLED,
        20.0,
    )  # the look at 10 s begins the ten


def test_cpu_long_ago_does_not_count() -> None:
    clocks = Clocks(100.0, 10.0, idle_ok=False)
    clocks.look(1.0, 1.0, 0, 1.0)
    clocks.look(10.9, 1.0, 0, 1.0)
    assert clocks.ran_out(10.9) is None
    clocks.look(11.0, 1.0, 0, 1.0)
    assert clocks.ran_out(11.0) == (Verdict.STALLED, 11.0)
    assert clocks.active == 1.0


def test_the_deadline_comes_first_and_alone_counts_when_idle_is_ok() -> None:
    assert ran(0.0).ran_out(100.0) == (Verdict.TIMED_OUT, 100.0)
    clocks = Clocks(100.0, 10.0, idle_ok=True)
    clocks.look(50.0, 0.0, 0, 0.0)
    assert clocks.ran_out(99.9) is None
    assert clocks.next_look(99.0, 0.5) == 99.5


def test_the_next_look_is_when_the_clock_may_run_out() -> None:
    clocks = Clocks(100.0, 10.0, idle_ok=False)
    clocks.look(4.0, 1.0, 0, 1.0)
    assert clocks.next_look(9.9, 0.5) == 10.0
    assert clocks.next_look(10.0, 0.5) == 10.5
    assert clocks.next_look(13.7, 0.5) == 14.0


def test_samples_get_coarser_and_lose_nothing() -> None:
    samples = Samples()
    for number in range(1, 10_001):
        samples.add(number * 0.5, Look(number * 0.25, 0.0, number * 10, 1, 2, number % 7), number * 3)
    kept = samples.all()
    assert 500 < len(kept) <= 2001
    assert sum(sample.output for sample in kept) == pytest.approx(30_000, rel=0.01)
    assert sum(sample.io for sample in kept) == pytest.approx(100_000, rel=0.01)
    assert all(sample.cpu == pytest.approx(0.5) for sample in kept)
    assert [sample.at for sample in kept] == sorted({sample.at for sample in kept})
    assert max(sample.sockets or 0 for sample in kept) == 6
    assert all(isinstance(sample, Sample) for sample in kept)


def test_a_meter_adapts_to_what_looking_costs() -> None:
    meter = Meter(os.getpid(), guard=False, network=False, stall=60.0)
    began = time.thread_time()
    pauses = 0.0
    for _ in range(20):
        meter.look()
        pauses += meter.pause()
    assert time.thread_time() - began <= 0.02 * pauses + 0.02


def test_a_meter_sees_the_cpu_and_the_io_of_a_process() -> None:
    meter = Meter(os.getpid(), guard=False, network=True, stall=60.0)
    before = meter.look()
    end = time.process_time() + 0.1
    with open("/dev/zero", "rb", buffering=0) as zeros:
        while time.process_time() < end:
            zeros.read(1000)
    after = meter.look()
    assert after.cpu - before.cpu >= 0.05
    assert after.wanted >= after.cpu - before.cpu
    assert after.io - before.io >= 1000
    assert (after.processes, after.sockets is not None) == (1, True)

"""The heap of lazy entries, against a list that is simply sorted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.core.timers import NEVER, Timer, Timers


class Sleeper:
    def __init__(self, name: int) -> None:
        self.name = name
        self.timer_at = NEVER

    def on_timer(self, now: float) -> None: ...


def test_an_empty_heap_waits_for_ever() -> None:
    timers = Timers()
    assert timers.earliest() == NEVER
    assert timers.due(1e9) is None


def test_a_later_instant_costs_nothing_and_an_earlier_one_wins() -> None:
    timers, sleeper = Timers(), Sleeper(1)
    assert timers.schedule(sleeper, 10.0)
    assert not timers.schedule(sleeper, 20.0)
    assert timers.earliest() == 10.0
    assert timers.schedule(sleeper, 5.0)
    assert timers.due(4.9) is None
    assert timers.due(5.0) is sleeper
    assert sleeper.timer_at == NEVER
    # The stale entry of 10.0 wakes nobody.
    assert timers.due(100.0) is None
    assert timers.earliest() == NEVER


def test_a_forgotten_sleeper_is_never_woken() -> None:
    timers, gone, there = Timers(), Sleeper(1), Sleeper(2)
    timers.schedule(gone, 1.0)
    timers.schedule(there, 2.0)
    gone.timer_at = NEVER
    assert timers.earliest() == 2.0
    assert timers.due(3.0) is there


def test_equal_instants_keep_their_order() -> None:
    timers = Timers()
    sleepers = [Sleeper(number) for number in range(10)]
    for sleeper in sleepers:
        timers.schedule(sleeper, 1.0)
    assert [timers.due(1.0) for _ in range(10)] == sleepers


def test_timers_are_called_once_and_released_once() -> None:
    said: list[str] = []
    timer = Timer(1.0, lambda: said.append("call"), lambda: said.append("release"))
    timer.on_timer(1.0)
    timer.on_timer(1.0)
    timer.cancel()
    assert said == ["release", "call"]
    assert not timer.pending
    cancelled = Timer(1.0, lambda: said.append("never"), lambda: said.append("release"))
    cancelled.cancel()
    cancelled.cancel()
    cancelled.on_timer(2.0)
    assert said == ["release", "call", "release"]


STEPS = st.lists(
    st.tuples(st.sampled_from(["schedule", "forget", "pass"]), st.integers(0, 5), st.integers(0, 20)),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_as_a_sorted_list_would_do(steps: list[tuple[str, int, int]]) -> None:
    timers = Timers()
    sleepers = [Sleeper(number) for number in range(6)]
    expected: dict[int, float] = {}
    now = 0.0
    for verb, which, value in steps:
        if verb == "schedule":
            timers.schedule(sleepers[which], now + value)
            expected[which] = min(expected.get(which, NEVER), now + value)
        elif verb == "forget":
            sleepers[which].timer_at = NEVER
            expected.pop(which, None)
        else:
            now += value
            woken = []
            while (sleeper := timers.due(now)) is not None:
                assert isinstance(sleeper, Sleeper)
                woken.append(sleeper.name)
            due = {name: when for name, when in expected.items() if when <= now}
            assert sorted(woken) == sorted(due)
            assert [due[name] for name in woken] == sorted(due.values())
            for name in woken:
                del expected[name]
        assert timers.earliest() == min(expected.values(), default=NEVER)

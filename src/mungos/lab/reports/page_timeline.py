"""The timeline of an attempt: output, CPU, connections, and where time stopped.

Plots are SVG that is stretched to the page's width; words stand beside them in HTML, and so keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mungos.lab.order import Order
from mungos.lab.record import Attempt, Sample
from mungos.lab.reports.page_text import text
from mungos.lab.reports.wording import amount, count, duration
from mungos.lab.verdicts import Verdict

__all__ = ["Scale", "timeline"]

COLUMNS = 500
"""Columns that samples are gathered in; the SVG's own width."""

HEIGHT = 100
STILL_SHARE = 0.6
ACTIVE_WIDTH = 0.64
"""When the standstill takes over `STILL_SHARE` of the time, what was before gets `ACTIVE_WIDTH` of it all."""

TOGETHER = 0.025
"""Marks closer than this share of the width have one flag."""

MOST_TICKS = 4000


class Scale:
    """Seconds to a share of the width; the standstill may be drawn shorter than it was.

    Args:
        end: seconds at the right edge.
        still_from: where nothing moved any more, None when that is not known.
    """

    __slots__ = ("_parts", "broken", "end")

    def __init__(self, end: float, still_from: float | None = None) -> None:
        self.end = max(end, 1e-3)
        at = still_from if still_from is not None else self.end
        self.broken = 0 < at < self.end and (self.end - at) > STILL_SHARE * self.end
        self._parts = (
            ((0.0, at, 0.0, ACTIVE_WIDTH), (at, self.end, ACTIVE_WIDTH, 1.0))
            if self.broken
            else ((0.0, self.end, 0.0, 1.0),)
        )

    def __call__(self, seconds: float) -> float:
        """The place of a time, 0.0 to 1.0."""
        for first, last, left, right in self._parts:
            if seconds <= last:
                return left + (right - left) * max(0.0, seconds - first) / (last - first)
        return 1.0

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Places of the axis and what stands there."""
        for first, last, left, right in self._parts:
            step = _step((last - first) / max(1.0, 10 * (right - left)))
            number = math.floor(first / step) + 1 if first else 0
            while number * step <= last:
                at = number * step
                place = self(at)
                # The names of two parts may not meet at the break, nor leave the page.
                if (first == 0 or place - left > 0.06) and (last == self.end or right - place > 0.03):
                    yield place, _tick(at, step)
                number += 1


@dataclass(frozen=True, slots=True)
class _Mark:
    at: float
    kind: str
    words: str


def timeline(order: Order, attempt: Attempt) -> str:
    """The section's HTML.

    Args:
        order: whose clocks ran.
        attempt: any.
    """
    samples = [each for each in attempt.samples if math.isfinite(each.at)]
    lines = [each for each in attempt.lines if math.isfinite(each.at)]
    ends = [attempt.duration, *(each.at for each in samples[-1:]), *(each.at for each in lines[-1:])]
    if attempt.autopsy is not None:
        ends.append(attempt.autopsy.at)
    end = max((each for each in ends if math.isfinite(each)), default=0.0)
    stuck = attempt.verdict in {Verdict.STALLED, Verdict.SPINNING, Verdict.TIMED_OUT}
    still = attempt.stopped_at if stuck else None
    scale = Scale(end, still)
    lanes = [*_lanes(attempt, samples, scale)]
    marks = _flagged(_marks(order, attempt, end, still), scale)
    parts = ['<div class="timeline"><div class="lanes">', _still(scale, still, attempt.verdict)]
    parts += [
        f'<div class="mark {mark.kind}" style="left:{scale(mark.at) * 100:.3f}%"></div>'
        for _, group in marks
        for mark in group
    ]
    parts += [
        f'<div class="flag {group[0].kind}{" last" if scale(group[0].at) > 0.97 else ""}" '
        f'style="left:{scale(group[0].at) * 100:.3f}%">{letters}</div>'
        for letters, group in marks
    ]
    parts += [*lanes, '<div class="axis">']
    parts += [f'<span style="left:{place * 100:.3f}%">{name}</span>' for place, name in scale.ticks()]
    parts.append("</div></div>")
    parts.append('<ul class="legend">')
    for letters, group in marks:
        for letter, mark in zip(letters, group, strict=True):
            parts.append(f'<li class="{mark.kind}"><b>{letter}</b> {text(mark.words)}</li>')
    if scale.broken:
        parts.append('<li class="note">the standstill is drawn shorter than it was</li>')
    parts.append("</ul></div>")
    return "".join(parts)


def _marks(order: Order, attempt: Attempt, end: float, still: float | None) -> list[_Mark]:
    marks = []
    if still is not None:
        words = {
            Verdict.SPINNING: f"the last output or I/O, at {duration(still)}: from here on it only burns CPU",
            Verdict.STALLED: f"the last movement, at {duration(still)}: here time stopped",
        }.get(attempt.verdict, f"the last movement, at {duration(still)}")
        marks.append(_Mark(still, "stop", words))
        stall = order.stall * order.factor
        if attempt.verdict in {Verdict.STALLED, Verdict.SPINNING} and still + stall <= end * 1.1:
            # Looks are some time apart: the clock may have begun a little before the last movement was seen.
            limit = end if attempt.autopsy is None else min(end, attempt.autopsy.at)
            marks.append(
                _Mark(min(still + stall, limit), "clock", f"the stall clock of {duration(stall)} ran out")
            )
    deadline = order.deadline * order.factor
    if deadline <= end * 1.02:
        marks.append(_Mark(min(deadline, end), "clock", f"the deadline of {duration(deadline)} came"))
    if attempt.autopsy is not None:
        took = f"took {duration(attempt.autopsy.took)}"
        marks.append(
            _Mark(attempt.autopsy.at, "autopsy", f"the autopsy, at {duration(attempt.autopsy.at)}, {took}")
        )
    marks.append(_Mark(end, "end", f"the end, at {duration(end)}: {attempt.verdict.value}"))
    return sorted(marks, key=lambda mark: mark.at)


def _flagged(marks: Sequence[_Mark], scale: Scale) -> list[tuple[str, list[_Mark]]]:
    """Marks with letters; those that stand close together in one group."""
    groups: list[tuple[str, list[_Mark]]] = []
    for number, mark in enumerate(marks):
        letter = chr(ord("A") + number)
        if groups and scale(mark.at) - scale(groups[-1][1][0].at) < TOGETHER:
            letters, group = groups.pop()
            groups.append((letters + letter, [*group, mark]))
        else:
            groups.append((letter, [mark]))
    return groups


def _still(scale: Scale, still: float | None, verdict: Verdict) -> str:
    if still is None or still >= scale.end:
        return ""
    words = "busy, and gets nowhere" if verdict is Verdict.SPINNING else "nothing moves"
    left = scale(still) * 100
    label = f"<span>{words} for {duration(scale.end - still)}</span>" if left < 80 else ""
    cut = " broken" if scale.broken else ""
    kind = "spin" if verdict is Verdict.SPINNING else "stall"
    return f'<div class="still {kind}{cut}" style="left:{left:.3f}%">{label}</div>'


def _lanes(attempt: Attempt, samples: Sequence[Sample], scale: Scale) -> Iterator[str]:
    total = sum(each.output for each in samples)
    printed = count(len(attempt.lines) + attempt.lines_dropped, "line")
    bars = _gathered(samples, scale, lambda each: float(each.output))
    most = max(bars, default=0.0)
    heights = [math.log1p(each) / math.log1p(most) if each else 0.0 for each in bars] if most else []
    ticks = _line_ticks(attempt, scale)
    yield _lane(
        "output",
        "Output",
        f"{printed}, {amount(total)}" if total else printed,
        f'<path class="bars" d="{_bars(heights)}"/>{ticks}',
    )
    if not samples:
        yield _empty_lane("It was over before the first look at its processes.")
        return
    cpu = _gathered(samples, scale, lambda each: each.cpu)
    top = max(1.0, math.ceil(max(cpu) * 0.98))
    line = f'<path class="grid" d="M0 {HEIGHT * (1 - 1 / top):.1f}H{COLUMNS}"/>'
    yield _lane("cpu", "CPU", f"{duration(attempt.cpu)} used; the line is one CPU", line + _area(cpu, top))
    sockets = [each for each in samples if each.sockets is not None]
    if sockets:
        held = _gathered(sockets, scale, lambda each: float(each.sockets or 0))
        yield _lane("sockets", "Connections", f"at most {max(held):.0f}", _area(held, max(1.0, *held)))
    else:
        yield _empty_lane("Connections: not counted, it shared the machine's network.")
    processes = _gathered(samples, scale, lambda each: float(each.processes))
    threads = _gathered(samples, scale, lambda each: float(each.threads))
    top = max(1.0, *threads, *processes)
    yield _lane(
        "tree",
        "Processes and threads",
        f"at most {max(processes):.0f} and {max(threads):.0f}",
        _area(threads, top) + _area(processes, top, "inner"),
    )


def _empty_lane(words: str) -> str:
    return f'<div class="lane"><p class="none">{words}</p></div>'


def _lane(kind: str, name: str, more: str, drawing: str) -> str:
    return (
        f'<div class="lane {kind}"><p><b>{name}</b> {text(more)}</p>'
        f'<svg viewBox="0 0 {COLUMNS} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{name}">'
        f"{drawing}</svg></div>"
    )


def _gathered(samples: Sequence[Sample], scale: Scale, value: Callable[[Sample], float]) -> list[float]:
    """The largest value in each column; a sample stands for the time since the one before."""
    seen = math.ceil(scale(samples[-1].at) * COLUMNS) if samples else 0
    columns = [0.0] * max(1, min(COLUMNS, seen))
    before = 0.0
    for sample in samples:
        first = min(len(columns) - 1, max(0, int(scale(before) * COLUMNS)))
        last = min(len(columns) - 1, max(first, math.ceil(scale(sample.at) * COLUMNS) - 1))
        measured = value(sample)
        measured = max(0.0, measured) if math.isfinite(measured) else 0.0
        for column in range(first, last + 1):
            columns[column] = max(columns[column], measured)
        before = sample.at
    return columns


def _area(values: Sequence[float], top: float, kind: str = "area") -> str:
    steps = [f"M0 {HEIGHT}"]
    before = 0.0
    for column, each in enumerate(values):
        if each != before:
            steps.append(f"H{column}V{HEIGHT * (1 - min(1.0, each / top)):.1f}")
            before = each
    steps.append(f"H{len(values)}V{HEIGHT}Z")
    return f'<path class="{kind}" d="{"".join(steps)}"/>'


def _bars(heights: Sequence[float]) -> str:
    return "".join(
        f"M{column} {HEIGHT}v{-HEIGHT * 0.78 * each:.1f}h1V{HEIGHT}z"
        for column, each in enumerate(heights)
        if each > 0
    )


def _line_ticks(attempt: Attempt, scale: Scale) -> str:
    """A mark for each line that was kept, at the top: standard error has its own colour."""
    places: dict[str, set[int]] = {"out": set(), "err": set()}
    for line in attempt.lines[-MOST_TICKS:]:
        if math.isfinite(line.at):
            place = min(COLUMNS * 2 - 1, int(scale(line.at) * COLUMNS * 2))
            places["err" if line.stream == "stderr" else "out"].add(place)
    drawn = []
    for kind, top in (("out", 0), ("err", 10)):
        if places[kind]:
            path = "".join(f"M{place / 2:g} {top}v9" for place in sorted(places[kind]))
            drawn.append(f'<path class="ticks {kind}" d="{path}"/>')
    return "".join(drawn)


def _step(rough: float) -> float:
    """A round number of seconds, at least `rough`."""
    for each in (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0):
        if 30.0 < rough <= each:
            return each
    if rough > 86400:
        return 86400.0 * math.ceil(rough / 86400)
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-6)))
    return next((power * each for each in (1, 2, 5, 10) if power * each >= rough), power * 10)


def _tick(at: float, step: float) -> str:
    if at == 0:
        return "0"
    if step < 1:
        return f"{round(at * 1e3, 3):g} ms" if at < 0.9995 else f"{at:.{2 if step < 0.1 else 1}f} s"
    if step < 60:
        return f"{at:.0f} s"
    if step < 3600:
        return f"{at / 60:.0f} min"
    return f"{at / 3600:.0f} h"

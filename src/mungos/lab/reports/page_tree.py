"""The process tree as a picture: a row for each process, and an arrow for each wait for another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mungos.lab.facts import Autopsy, Process
from mungos.lab.record import Finding
from mungos.lab.reports.page_text import shortened, text
from mungos.lab.reports.waits import Wait, waits
from mungos.lab.reports.wording import count, duration, percent

__all__ = ["tree"]

ROW = 64
"""Pixels of a row: the arrows count on it."""

GUTTER = 30
LANE = 14
INDENT = 22
MOST_DEPTH = 8
MOST_ROWS = 60
STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in the kernel",
    "T": "stopped",
    "t": "traced",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}


def tree(autopsy: Autopsy, findings: Sequence[Finding]) -> str:
    """The picture's HTML.

    Args:
        autopsy: with at least one process.
        findings: of the attempt: processes that they name are marked.
    """
    processes = [*_in_order(autopsy.processes)]
    shown = processes[:MOST_ROWS]
    arrows = [each for each in waits(autopsy) if any(process.pid == each.pid for _, process in shown)]
    rows: dict[int, int] = {process.pid: index for index, (_, process) in enumerate(shown)}
    outside: dict[int, str] = {}
    for arrow in arrows:
        if arrow.other not in rows:
            rows[arrow.other] = len(shown) + len(outside)
            outside[arrow.other] = arrow.other_command
    knots = _knots(arrows)
    accused = {each.pid: number for number, each in reversed([*enumerate(findings, 1)]) if each.pid}
    merged = _merged(arrows, rows)
    lanes = _lanes(merged)
    width = GUTTER + LANE * (max(lanes, default=-1) + 1) if merged else 0
    parts = [f'<div class="tree" style="--gutter:{width}px"><div class="rows">']
    parts += [
        _row(process, depth, accused.get(process.pid), [each for each in arrows if each.pid == process.pid])
        for depth, process in shown
    ]
    parts += [
        f'<div class="node outside"><div class="box"><div class="who"><b>{pid}</b> '
        f"<code>{text(command)}</code></div><div class=does>not of this tree</div></div></div>"
        for pid, command in outside.items()
    ]
    parts.append("</div>")
    if merged:
        parts.append(_drawing(merged, lanes, width, ROW * (len(shown) + len(outside))))
    parts.append("</div>")
    if len(processes) > len(shown):
        parts.append(
            f'<p class="none">and {count(len(processes) - len(shown), "process", "processes")} more</p>'
        )
    notes = []
    if merged:
        notes.append("An arrow leads from who waits to whom it waits for.")
    if knots:
        notes.append(
            '<b class="knot">Red arrows close a ring: none of these can go on before another does.</b>'
        )
    return "".join(parts) + (f'<p class="hint">{" ".join(notes)}</p>' if notes else "")


def _in_order(processes: Sequence[Process]) -> Iterator[tuple[int, Process]]:
    """Depth first, with each one's depth; nobody twice, whatever the parents say."""
    children: dict[int, list[Process]] = {}
    known = {each.pid for each in processes}
    for each in processes:
        children.setdefault(
            each.parent if each.parent in known and each.parent != each.pid else 0, []
        ).append(each)
    seen: set[int] = set()
    pending = [(0, each) for each in reversed(children.get(0, []))]
    while pending:
        depth, process = pending.pop()
        if process.pid in seen:
            continue
        seen.add(process.pid)
        yield depth, process
        pending += [(depth + 1, each) for each in reversed(children.get(process.pid, []))]
    yield from ((0, each) for each in processes if each.pid not in seen)


def _row(process: Process, depth: int, finding: int | None, arrows: Sequence[Wait]) -> str:
    threads = process.threads
    main = next((each for each in threads if each.tid == process.pid), threads[0] if threads else None)
    does = ""
    if main is not None:
        does = main.call.described if main.call else "runs" if main.running else f"in {main.wchan or '?'}"
    elif process.state == "Z":
        does = "has ended; its parent has not asked for its status"
    state = text(STATES.get(process.state, process.state))
    chips = [f'<span class="chip state-{text(process.state)}">{state}</span>']
    if process.inner == 1:
        chips.append('<span class="chip one">process 1</span>')
    if process.emulated:
        chips.append(f'<span class="chip">{text(process.emulated)}</span>')
    if process.orphan:
        chips.append('<span class="chip warn">orphan</span>')
    if process.zombies:
        chips.append(f'<span class="chip warn">{count(len(process.zombies), "zombie")}</span>')
    if len(threads) > 1:
        chips.append(f'<span class="chip">{len(threads)} threads</span>')
    recent = [each.recent_cpu for each in threads if each.recent_cpu is not None]
    if recent and sum(recent) >= 0.01:
        chips.append(f'<span class="chip warn">{percent(sum(recent))} CPU</span>')
    if finding is not None:
        chips.insert(0, f'<span class="chip accused">finding {finding}</span>')
    goals = {f"{each.on} → {'itself' if each.other == each.pid else each.other}": None for each in arrows}
    tail = f'<span class="goal">{text(", ".join(goals))}</span>' if goals else ""
    title = f"{process.command}\n{does}\nage {duration(process.age)}, CPU {duration(process.cpu)}"
    indent = min(depth, MOST_DEPTH) * INDENT
    return (
        f'<div class="node{" guilty" if finding is not None else ""}" style="--indent:{indent}px" '
        f'title="{text(shortened(title, 2000))}"><div class="box"><div class="who"><b>{process.pid}</b> '
        f"<code>{text(shortened(process.command, 300))}</code>"
        f'<span class="chips">{"".join(chips)}</span></div>'
        f'<div class="does"><span>{text(shortened(does, 300))}</span>{tail}</div></div></div>'
    )


_Arrow = tuple[int, int, bool, str]  # row of who waits, row of whom, in a ring, words


def _merged(arrows: Sequence[Wait], rows: dict[int, int]) -> list[_Arrow]:
    """One arrow for all waits between two."""
    knots = _knots(arrows)
    words: dict[tuple[int, int], list[str]] = {}
    ring: dict[tuple[int, int], bool] = {}
    for each in arrows:
        key = rows[each.pid], rows[each.other]
        words.setdefault(key, []).append(f"{each.pid} waits for {each.other}: {each.on}")
        ring[key] = ring.get(key, False) or (each.pid, each.other) in knots
    return [(*key, ring[key], "\n".join(dict.fromkeys(said))) for key, said in words.items()]


def _knots(arrows: Sequence[Wait]) -> set[tuple[int, int]]:
    """The waits that are part of a ring."""
    onward: dict[int, set[int]] = {}
    for each in arrows:
        onward.setdefault(each.pid, set()).add(each.other)
    found = set()
    for each in arrows:
        seen, pending = set(), [each.other]
        while pending:
            at = pending.pop()
            if at == each.pid:
                found.add((each.pid, each.other))
                break
            if at not in seen:
                seen.add(at)
                pending += onward.get(at, ())
    return found


def _lanes(arrows: Sequence[_Arrow]) -> list[int]:
    """How far out each arrow runs: shorter ones inside, none over another."""
    taken: list[list[tuple[int, int]]] = []
    lanes = [0] * len(arrows)
    for index in sorted(range(len(arrows)), key=lambda each: abs(arrows[each][0] - arrows[each][1])):
        first, last = sorted(arrows[index][:2])
        free = (
            lane
            for lane, spans in enumerate(taken)
            if all(last < other_first or other_last < first for other_first, other_last in spans)
        )
        lanes[index] = next(free, len(taken))
        if lanes[index] == len(taken):
            taken.append([])
        taken[lanes[index]].append((first, last))
    return lanes


def _drawing(arrows: Sequence[_Arrow], lanes: Sequence[int], width: int, height: int) -> str:
    parts = [
        f'<svg class="arrows" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="who waits for whom"><defs>',
        *(
            f'<marker id="head-{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path class="head {name}" d="M0 0L8 4L0 8z"/></marker>'
            for name in ("plain", "ring")
        ),
        "</defs>",
    ]
    for (waiter, other, ring, words), lane in zip(arrows, lanes, strict=True):
        kind = "ring" if ring else "plain"
        out = GUTTER + LANE * lane - 8
        top = ROW * waiter + ROW // 2 + (0 if waiter == other else 5 if other > waiter else -5)
        goal = ROW * other + ROW // 2 + (-5 if other > waiter else 5)
        if waiter == other:
            top, goal = ROW * waiter + ROW // 2 - 9, ROW * waiter + ROW // 2 + 9
        bend = 9 if goal > top else -9
        path = (
            f"M0 {top}H{out - 9}Q{out} {top} {out} {top + bend}V{goal - bend}Q{out} {goal} {out - 9} {goal}H3"
        )
        parts.append(
            f'<path class="arrow {kind}" d="{path}" marker-end="url(#head-{kind})">'
            f"<title>{text(words)}</title></path>"
        )
    return "".join(parts) + "</svg>"

"""One page about one or more runs: complete in itself, without a script, without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mungos.lab.record import Attempt, Finding, Line, Record
from mungos.lab.reports.page_style import STYLE
from mungos.lab.reports.page_tables import about, facts
from mungos.lab.reports.page_text import shortened, table, text
from mungos.lab.reports.page_timeline import timeline
from mungos.lab.reports.page_tree import tree
from mungos.lab.reports.plain_text import LAST_LINES, LOST_TAIL
from mungos.lab.reports.wording import (
    command_line,
    count,
    duration,
    headline,
    name_of,
    tail_may_be_lost,
    took,
)
from mungos.lab.verdicts import Verdict

__all__ = ["to_html"]

QUIET = 1.0
"""Seconds without a line that the last lines show as a gap."""

MOST_EVIDENCE = 100

_ICONS = {
    Verdict.PASSED: '<path d="M7 17l6 6 12-14"/>',
    Verdict.FAILED: '<path d="M9 9l14 14M23 9L9 23"/>',
    Verdict.FLAKY: '<path d="M9 12h11a4 4 0 0 1 0 11h-6M13 8l-4 4 4 4"/>',
    Verdict.LEAKED: '<path d="M16 6c5 6 7 9 7 12a7 7 0 0 1-14 0c0-3 2-6 7-12z"/>',
    Verdict.STALLED: '<path d="M12 8v16M20 8v16"/>',
    Verdict.SPINNING: '<path d="M25 16a9 9 0 1 1-3-6.7M22 4v6h-6"/>',
    Verdict.TIMED_OUT: '<path d="M16 8v8l5 4"/><circle cx="16" cy="16" r="11"/>',
    Verdict.NOT_STARTED: '<path d="M16 7v11M16 24v1"/>',
}


def to_html(runs: Sequence[Record]) -> str:
    """The page.

    Args:
        runs: at least one; several are of one command, on several processors.
    """
    first = runs[0]
    worst = next((run for run in runs if run.exit_status), first)
    title = f"{worst.verdict.value}: {shortened(name_of(first), 80)}"
    body = "".join(_run(index, run) for index, run in enumerate(runs, 1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        # Nothing may be fetched and nothing may run, whatever a program managed to print.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>{text(title)}</title><style>{STYLE}</style></head>\n'
        f"<body><main>{_matrix(runs)}{body}</main>"
        f"<footer>mungos lab {text(first.version)}, {_when(first.started)}</footer></body></html>\n"
    )


def _matrix(runs: Sequence[Record]) -> str:
    if len(runs) == 1:
        return ""
    rows = []
    for index, run in enumerate(runs, 1):
        platform = run.platform
        found = next((each.title for attempt in run.attempts for each in attempt.findings), "")
        cells = [
            f'<a href="#run-{index}">{text(platform.processor)}</a>',
            text(f"{platform.byte_order}-endian, {platform.word_size} bits"),
            text(f"Debian {platform.suite}" if platform.suite else "no root"),
            text(platform.emulator or "no emulator"),
            f'<span class="word {_kind(run.verdict)}">{text(run.verdict.value)}</span>',
            text(duration(took(run))),
            text(found),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = ["processor", "proven there", "root", "emulator", "verdict", "took", "first finding"]
    return (
        f'<section class="card matrix"><h2>{text(name_of(runs[0]))}</h2><p class="hint">on '
        f"{count(len(runs), 'processor')}</p>{table(heads, rows)}</section>"
    )


def _run(index: int, run: Record) -> str:
    parts = [f'<article id="run-{index}">', _hero(run)]
    several = len(run.attempts) > 1
    for number, attempt in enumerate(run.attempts, 1):
        inside = "".join(_attempt(run, attempt))
        if several:
            passed = attempt.verdict is Verdict.PASSED
            parts.append(
                f'<details class="attempt"{"" if passed else " open"}><summary>Attempt {number} of '
                f'{len(run.attempts)} <span class="word {_kind(attempt.verdict)}">'
                f"{text(attempt.verdict.value)}</span> "
                f"<small>after {duration(attempt.duration)}</small></summary>{inside}</details>"
            )
        else:
            parts.append(inside)
    parts.append(f'<section class="card facts">{about(run)}</section></article>')
    return "".join(parts)


def _kind(verdict: Verdict) -> str:
    return "v-" + verdict.value.replace(" ", "-")


def _hero(run: Record) -> str:
    platform = run.platform
    word, _, rest = headline(run).partition(": ")
    if word != run.verdict.value:
        word, rest = run.verdict.value, headline(run).removeprefix(run.verdict.value).strip()
    last = run.attempts[-1] if run.attempts else None
    stats = [("took", duration(took(run)))]
    if last is not None:
        stats.append(("CPU", duration(sum(each.cpu for each in run.attempts))))
    stats.append(("exit status", str(run.exit_status)))
    if len(run.attempts) > 1:
        stats.append(("attempts", str(len(run.attempts))))
    if last is not None and last.explained_in is not None:
        stats.append(("explained in", duration(last.explained_in)))
    stats.append(
        ("processor", f"{platform.processor}, {platform.byte_order}-endian, {platform.word_size} bits")
    )
    if platform.suite:
        stats.append(("root", f"Debian {platform.suite}"))
    if platform.emulator:
        stats.append(("emulated by", f"{platform.emulator}, {platform.factor:.1f} times slower"))
    if last is not None and last.isolation:
        stats.append(("isolation", last.isolation))
    stats.append(("began", _when(run.started)))
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in stats)
    name = f'<p class="name">{text(run.name)}</p>' if run.name else ""
    return (
        f'<header class="hero {_kind(run.verdict)}"><svg class="icon" viewBox="0 0 32 32" aria-hidden="true">'
        f"{_ICONS[run.verdict]}</svg><div>{name}<h1>{text(word)}</h1>"
        f'<p class="sentence">{text(_sentence(rest))}</p>'
        f"<pre class=command>{text(shortened(command_line(run.order.command), 2000))}</pre></div>"
        f"<dl>{items}</dl></header>"
    )


def _sentence(rest: str) -> str:
    return rest[:1].upper() + rest[1:] + ("." if rest else "")


def _when(started: float) -> str:
    try:
        return datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "?"


def _attempt(run: Record, attempt: Attempt) -> Iterator[str]:
    if attempt.problem and attempt.verdict is not Verdict.NOT_STARTED:
        yield f'<p class="torn">{text(attempt.problem)}</p>'
    if attempt.findings:
        cards = "".join(_finding(number, each) for number, each in enumerate(attempt.findings, 1))
        yield f'<section class="findings"><h2>Why</h2>{cards}</section>'
    elif attempt.autopsy is not None:
        yield (
            '<section class="findings"><h2>Why</h2><p class="card none">No rule explains it. '
            "The facts are below.</p></section>"
        )
    if attempt.left:
        items = "".join(f"<li><code>{text(each)}</code></li>" for each in attempt.left)
        title = "Left running, and ended by the lab"
        yield f'<section class="card left"><h2>{title}</h2><ul>{items}</ul></section>'
    if attempt.verdict is not Verdict.NOT_STARTED:
        yield f'<section class="card"><h2>When</h2>{timeline(run.order, attempt)}</section>'
    if attempt.autopsy is not None and attempt.autopsy.processes:
        autopsy = attempt.autopsy
        seen = (
            f"{duration(autopsy.at)} after the start, before anything was ended. Process 1 of its namespace: "
            f"{autopsy.init}."
        )
        yield (
            f'<section class="card"><h2>Who</h2><p class="hint">{text(seen)}</p>'
            f"{tree(autopsy, attempt.findings)}</section>"
        )
    yield f'<section class="card"><h2>What it said last</h2>{_output(attempt)}</section>'
    if attempt.autopsy is not None:
        yield f'<section class="card facts"><h2>All facts</h2>{facts(attempt.autopsy)}</section>'


def _finding(number: int, finding: Finding) -> str:
    likely = (
        "" if finding.certainty == "certain" else f'<span class="chip warn">{text(finding.certainty)}</span>'
    )
    since = ""
    if finding.since is not None:
        since = f'<span class="since">since {text(duration(finding.since))} after the start</span>'
    goal = (
        '<span class="to"><span class="arrow" aria-hidden="true">→</span><span class="pill goal">'
        f"<small>waits for</small> {text(finding.waits_for)}</span></span>"
        if finding.waits_for
        else ""
    )
    evidence = "".join(f"<li>{text(each)}</li>" for each in finding.evidence[:MOST_EVIDENCE])
    proof = f"<ul class=evidence>{evidence}</ul>" if evidence else ""
    advice = f'<p class="advice"><b>What to do</b> {text(finding.advice)}</p>' if finding.advice else ""
    return (
        f'<div class="card finding"><div class="number">{number}</div><div><h3>{text(finding.title)}</h3>'
        f'<p class="tags"><code>{text(finding.rule)}</code>{likely}{since}</p>'
        f'<p class="waits"><span class="pill"><small>who</small> {text(finding.who)}</span>{goal}</p>'
        f"{proof}{advice}</div></div>"
    )


def _output(attempt: Attempt) -> str:
    lines = attempt.lines[-LAST_LINES:]
    older = len(attempt.lines) - len(lines) + attempt.lines_dropped
    parts = ['<div class="log">']
    if older:
        parts.append(f'<div class="gap">{count(older, "earlier line")} left out</div>')
    before: float | None = None
    for line in lines:
        if before is not None and line.at - before >= QUIET:
            parts.append(f'<div class="gap">{duration(line.at - before)} of silence</div>')
        parts.append(_line(line))
        before = line.at
    if not lines:
        parts.append('<div class="gap">nothing was printed</div>')
    silent = attempt.duration - (before or 0.0)
    if silent >= QUIET and lines:
        parts.append(f'<div class="gap end">then nothing, for {duration(silent)}</div>')
    parts.append("</div>")
    if tail_may_be_lost(attempt):
        parts.append(f'<p class="torn">{text(LOST_TAIL)}</p>')
    return "".join(parts)


def _line(line: Line) -> str:
    words = text(shortened(line.text, 4000)) or "&nbsp;"
    cut = "" if line.complete else '<i title="no end of line came">⏎ missing</i>'
    return f'<div class="line {text(line.stream)}"><time>{line.at:.3f}</time><span>{words}{cut}</span></div>'

"""The explanation of a run as plain text, for where nothing else is shown: JUnit, logs."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.record import Attempt, Finding, Record
from mungos.lab.reports.wording import command_line, count, duration, headline, on_which, tail_may_be_lost
from mungos.lab.verdicts import Verdict

__all__ = ["LAST_LINES", "LOST_TAIL", "explanation", "finding_lines"]

LAST_LINES = 50

LOST_TAIL = (
    "The output was a pipe, which programs fill in blocks: what it printed last may have stayed in the "
    "program, and is lost. --pty shows each line at once."
)


def explanation(run: Record) -> str:
    """Verdict, findings and the last lines of output; what the program printed is not escaped yet.

    Args:
        run: any record.
    """
    return "\n".join(_explanation(run)) + "\n"


def _explanation(run: Record) -> Iterator[str]:
    yield headline(run)
    yield f"command: {command_line(run.order.command)}"
    yield f"processor: {on_which(run.platform)}"
    for index, attempt in enumerate(run.attempts, 1):
        if len(run.attempts) > 1:
            yield ""
            after = f"{attempt.verdict.value} after {duration(attempt.duration)}"
            yield f"attempt {index} of {len(run.attempts)}: {after}"
        yield from _attempt(attempt)


def _attempt(attempt: Attempt) -> Iterator[str]:
    if attempt.problem and attempt.verdict is not Verdict.NOT_STARTED:
        yield f"problem: {attempt.problem}"
    for finding in attempt.findings:
        yield ""
        yield from finding_lines(finding)
    if attempt.left:
        yield ""
        yield f"left running: {count(len(attempt.left), 'process', 'processes')}"
        yield from (f"  {each}" for each in attempt.left)
    autopsy = attempt.autopsy
    if autopsy is not None and autopsy.processes:
        yield ""
        yield f"{count(len(autopsy.processes), 'process', 'processes')} at {duration(autopsy.at)}:"
        for process in autopsy.processes:
            yield f"  {process.pid} (state {process.state}, parent {process.parent}): {process.command}"
            for thread in process.threads:
                doing = (
                    thread.call.described if thread.call else "running" if thread.running else thread.wchan
                )
                yield f"    thread {thread.tid} ({thread.name}): {doing}"
    if attempt.lines:
        yield ""
        shown = attempt.lines[-LAST_LINES:]
        yield f"the last {count(len(shown), 'line')} of output:"
        for line in shown:
            yield f"  {line.at:10.3f} {line.stream:8} {line.text}" + (
                "" if line.complete else " (no end of line)"
            )
        if tail_may_be_lost(attempt):
            yield LOST_TAIL


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding as lines, indented below the first.

    Args:
        finding: any.
    """
    yield f"{finding.title} [{finding.rule}" + (
        "]" if finding.certainty == "certain" else f", {finding.certainty}]"
    )
    yield f"  who:       {finding.who}"
    if finding.waits_for:
        yield f"  waits for: {finding.waits_for}"
    if finding.since is not None:
        yield f"  since:     {duration(finding.since)} after the start"
    for index, each in enumerate(finding.evidence):
        yield f"  {'evidence:' if index == 0 else '':9}  {each}"
    if finding.advice:
        yield f"  to do:     {finding.advice}"

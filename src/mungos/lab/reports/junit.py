"""JUnit XML as Jenkins and GitLab read it: a suite for each run, with one case.

What did not pass is a `failure` whose type is the verdict and whose text is the findings; `not started` is an
`error`. Flaky is a failure, too, with the type "flaky": readers that know `flakyFailure` would show it green.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from mungos.lab.record import Attempt, Record
from mungos.lab.reports.plain_text import explanation
from mungos.lab.reports.wording import command_line, headline, name_of, took
from mungos.lab.verdicts import Verdict
from mungos.printable import printable

__all__ = ["to_junit"]

OUTPUT_LINES = 200
"""Lines of output that go into a report, the last ones."""


def to_junit(runs: Iterable[Record]) -> str:
    """The document.

    Args:
        runs: in any order; each becomes a suite.
    """
    suites = [_suite(run) for run in runs]
    totals = {name: sum(suite[0][name] for suite in suites) for name in ("tests", "failures", "errors")}
    seconds = sum(suite[1] for suite in suites)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="mungos lab" {_numbers(totals)} time="{seconds:.3f}">',
            *(suite[2] for suite in suites),
            "</testsuites>",
            "",
        ]
    )


def _suite(run: Record) -> tuple[dict[str, int], float, str]:
    name, platform, seconds = _line(name_of(run)), run.platform, took(run)
    started = datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    error = run.verdict is Verdict.NOT_STARTED
    counted = {
        "tests": 1,
        "failures": int(run.verdict not in {Verdict.PASSED, Verdict.NOT_STARTED}),
        "errors": int(error),
        "skipped": 0,
    }
    properties = {
        "command": command_line(run.order.command),
        "verdict": run.verdict.value,
        "exit status": str(run.exit_status),
        "flaky": "true" if run.verdict is Verdict.FLAKY else "false",
        "attempts": str(len(run.attempts)),
        "processor": platform.processor,
        "machine": f"{platform.machine}, {platform.word_size} bits, {platform.byte_order}-endian",
        "root": f"Debian {platform.suite}" if platform.suite else "none",
        "emulator": platform.emulator or "none",
        "kernel": platform.kernel,
        "mungos": run.version,
    }
    parts = [
        f' <testsuite name={_attribute(name)} {_numbers(counted)} time="{seconds:.3f}" '
        f'timestamp="{started}">',
        "  <properties>",
        *(f'   <property name="{key}" value={_attribute(value)}/>' for key, value in properties.items()),
        "  </properties>",
        f"  <testcase classname={_attribute('lab.' + platform.processor)} name={_attribute(name)} "
        f'time="{seconds:.3f}">',
    ]
    if run.verdict is not Verdict.PASSED:
        tag = "error" if error else "failure"
        text = _text(explanation(run))
        message = _attribute(headline(run))
        parts.append(f'   <{tag} type="{run.verdict.value}" message={message}>{text}</{tag}>')
    for tag, streams in (("system-out", {"stdout", "terminal"}), ("system-err", {"stderr"})):
        if output := "".join(_output(run, streams)):
            parts.append(f"   <{tag}>{_text(output)}</{tag}>")
    parts += ["  </testcase>", " </testsuite>"]
    return counted, seconds, "\n".join(parts)


def _output(run: Record, streams: set[str]) -> Iterable[str]:
    for index, attempt in enumerate(run.attempts, 1):
        if len(run.attempts) > 1:
            yield f"--- attempt {index} of {len(run.attempts)}: {attempt.verdict.value}\n"
        yield from _lines(attempt, streams)


def _lines(attempt: Attempt, streams: set[str]) -> Iterable[str]:
    lines = [line for line in attempt.lines if line.stream in streams]
    dropped = max(0, len(lines) - OUTPUT_LINES)
    if dropped or attempt.lines_dropped:
        yield "--- earlier lines left out\n"
    for line in lines[dropped:]:
        yield line.text + "\n"


def _numbers(values: dict[str, int]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in values.items())


def _line(text: str) -> str:
    return printable(text)


def _attribute(text: str) -> str:
    return quoteattr(printable(text))


def _text(text: str) -> str:
    """Character data: XML 1.0 has no place for most control characters, not even escaped."""
    return escape(printable(text, keep="\n\t"))

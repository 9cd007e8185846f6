"""The rule unflushed-pipe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mungos.lab.findings.rules.unflushed_pipe import RULE
from mungos.lab.order import Order
from mungos.lab.record import Line
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    line,
    pipe,
    plain,
    process,
    stack,
    thread,
)

OUT, _ = pipe(1, 9)
WRITER = replace(OUT, pipe=replace(OUT.pipe, end="write") if OUT.pipe else None)


@pytest.mark.parametrize(
    ("lines", "certainty", "evidence"),
    [
        ([line("the answer is", complete=False)], "certain", "has no end: 'the answer is'"),
        ([line("x" * 4096, complete=False)], "certain", "4096 bytes came, 1 whole blocks"),
        ([line("y" * 4095)], "certain", "4096 bytes came, 1 whole blocks"),
        ([], "likely", "nothing came on standard output"),
    ],
)
def test_a_stalled_program_whose_output_stops_in_a_block(
    lines: list[Line], certainty: str, evidence: str
) -> None:
    (finding,) = found(RULE, case(process(thread("read", 3), descriptors=[WRITER]), lines=lines))
    assert finding.certainty == certainty
    assert any(evidence in text for text in finding.evidence)
    assert "stdbuf" in finding.advice


def test_a_program_that_aborted() -> None:
    scene = case(verdict=Verdict.FAILED, status=134, lines=[line("all is well")])
    (finding,) = found(RULE, scene)
    assert any("signal 6" in text for text in finding.evidence)


def test_who_has_nothing_to_say_is_not_suspected() -> None:
    for executable in ("/usr/bin/sleep", "/bin/bash"):
        assert not found(RULE, case(process(thread("pause"), descriptors=[WRITER], executable=executable)))
    waits = stack("Event.wait (threading.py:3)\n<module> (a.py:4)")
    assert not found(RULE, case(process(thread("futex"), descriptors=[WRITER], stacks=[waits])))


def test_near_misses() -> None:
    silent = process(thread("read", 3), descriptors=[WRITER])
    # Whole lines: it flushes.
    assert not found(RULE, case(silent, lines=[line("one"), line("two")]))
    # A terminal; no pipe at all; output went to a file.
    assert not found(RULE, case(silent, pipes=False))
    assert not found(RULE, case(silent, order=Order(("a",), terminal=True)))
    assert not found(RULE, case(process(thread("read", 3), descriptors=[plain(1)])))
    # It left by exit(), which flushes; or was killed after whole lines.
    assert not found(RULE, case(verdict=Verdict.FAILED, status=1))
    assert not found(RULE, case(verdict=Verdict.FAILED, status=137, lines=[line("one")]))
    assert not found(RULE, case(verdict=Verdict.PASSED, status=0, lines=[line("one", complete=False)]))


def test_a_prompt_is_no_unflushed_block() -> None:
    keyboard, _ = pipe(0, 9)
    scene = case(
        process(thread("read", 0), descriptors=[keyboard, WRITER]), lines=[line("name? ", complete=False)]
    )
    assert not found(RULE, scene)

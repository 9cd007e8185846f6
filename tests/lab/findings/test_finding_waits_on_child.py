"""The rule waits-on-child."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.waits_on_child import RULE
from tests.lab.findings.scenes import (
    case,
    found,
    pipe,
    process,
    thread,
)


def test_its_end_and_its_output() -> None:
    child = process(thread("pause", tid=200), pid=200, parent=100, inner=3, command="sleep 1000")
    (finding,) = found(RULE, case(process(thread("wait4", 3)), child))
    assert "200 (sleep 1000)" in finding.title
    reading, output = pipe(5, 1)
    writer = replace(child, descriptors=(output,))
    (finding,) = found(RULE, case(process(thread("read", 5), descriptors=[reading]), writer))
    assert "the output of its child" in finding.title


def test_it_names_the_child_that_is_meant() -> None:
    first = process(thread("pause", tid=200), pid=200, parent=100, inner=3)
    second = process(thread("pause", tid=300), pid=300, parent=100, inner=4)
    (finding,) = found(RULE, case(process(thread("wait4", 4)), first, second))
    assert "300" in finding.waits_for
    assert "200" not in finding.waits_for


def test_near_misses() -> None:
    stranger = process(thread("pause", tid=200), pid=200, parent=50)
    assert not found(RULE, case(process(thread("wait4", 0xFFFFFFFFFFFFFFFF)), stranger))
    child = process(thread("pause", tid=200), pid=200, parent=100)
    assert not found(RULE, case(process(thread("pause")), child))

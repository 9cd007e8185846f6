"""The order of findings, and what all rules have in common."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import mungos.lab.findings.rules as rules_of_the_lab
from mungos.lab.findings import RULES, Rule, explain
from mungos.lab.order import Order
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import BOOTSTRAP, THREADED, case, line, pipe, process, signals, stack, thread

WISHED = (
    *(
        "abort-as-pid1",
        "unflushed-pipe",
        "no-timer-armed",
        "thread-at-exit",
        "self-join",
        "lock-order",
        "orphan-holds",
    ),
    *("spin", "accept-at-emfile", "hidden-data", "peer-never-closes", "half-open-peer", "zombie-unreaped"),
)


def test_names_are_unique_and_of_one_form() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(WISHED) <= set(names)
    for rule in RULES:
        assert rule.name == rule.name.lower()
        assert " " not in rule.name
        assert rule.summary[-1] not in ".,"


def test_one_file_and_one_test_a_rule() -> None:
    folder = Path(next(iter(rules_of_the_lab.__path__)))
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {rule.name.replace("-", "_") for rule in RULES}
    tests = {
        path.stem.removeprefix("test_finding_") for path in Path(__file__).parent.glob("test_finding_*.py")
    }
    assert files <= tests


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_says_what_to_do(rule: Rule) -> None:
    module = import_module(f"mungos.lab.findings.rules.{rule.name.replace('-', '_')}")
    assert module.RULE is rule
    assert module.ADVICE


@pytest.mark.parametrize("verdict", list(Verdict))
def test_nothing_of_a_run_without_facts(verdict: Verdict) -> None:
    assert explain(case(verdict=verdict, status=0)) == ()


def test_nothing_of_a_run_that_passed() -> None:
    reading, writing = pipe(5, 1, unread=65536)
    parent = process(thread("wait4"), descriptors=[reading])
    child = process(thread("write", 1, tid=200), pid=200, parent=100, descriptors=[writing])
    assert explain(case(parent, child))
    assert explain(case(parent, child, verdict=Verdict.PASSED, status=0)) == ()


def test_the_cause_goes_before_those_who_wait_for_it() -> None:
    reading, writing = pipe(5, 1, unread=65536)
    parent = process(thread("wait4"), descriptors=[reading])
    child = process(thread("write", 1, tid=200), pid=200, parent=100, descriptors=[writing])
    assert [finding.rule for finding in explain(case(parent, child))][:3] == [
        "full-pipe",
        "wait-cycle",
        "waits-on-child",
    ]


def test_the_story_of_the_abort() -> None:
    masked = signals(blocked=[n for n in range(1, 32) if n not in (6, 9, 19)], caught=[11])
    _, output = pipe(9, 1)
    first = process(thread("rt_sigsuspend"), inner=1, emulated="s390x", signals=masked, descriptors=[output])
    findings = explain(case(first, order=Order(("./x25519",), pid1=True)))
    assert [finding.rule for finding in findings] == ["abort-as-pid1", "unflushed-pipe", "no-timer-armed"]


def test_a_place_is_left_out_where_the_cause_is_known() -> None:
    waits = (
        "Condition.wait (threading.py:327)\nEvent.wait (threading.py:629)\nwork (a.py:3)\n"
        + THREADED
        + BOOTSTRAP
    )
    stacks = [stack("_shutdown (threading.py:1590)"), stack(waits, 101, "worker")]
    leaving = process(thread("futex"), thread("futex", tid=101), stacks=stacks)
    names = [finding.rule for finding in explain(case(leaving, lines=[line("done")]))]
    assert names == ["thread-at-exit", "no-timer-armed"]


def test_each_is_said_once_and_not_a_hundred_times() -> None:
    sleepers = [
        process(thread("clock_nanosleep", timeout=1000.0, tid=pid), pid=pid) for pid in range(100, 150)
    ]
    findings = explain(case(*sleepers))
    assert len(findings) == len(set(findings))
    assert len([finding for finding in findings if finding.rule == "long-sleep"]) == 4


def test_findings_do_not_depend_on_the_order_of_processes() -> None:
    reading, writing = pipe(5, 1, unread=65536)
    parent = process(thread("wait4"), descriptors=[reading])
    child = process(thread("write", 1, tid=200), pid=200, parent=100, descriptors=[writing])
    there, back = explain(case(parent, child)), explain(case(child, parent))
    assert [f.rule for f in there if f.rule != "no-timer-armed"] == [
        f.rule for f in back if f.rule != "no-timer-armed"
    ]


def test_since_when() -> None:
    scene = case(process(thread("pause")), lines=[line("one", 2.5)])
    assert {finding.since for finding in explain(scene)} == {2.5}
    assert {finding.since for finding in explain(replace(scene, lines=()))} == {None}

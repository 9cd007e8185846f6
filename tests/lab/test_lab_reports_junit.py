"""JUnit XML, read back with a parser."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mungos.lab.record import Record
from mungos.lab.reports.junit import to_junit
from tests.lab import lab_reports_records as made


def read(*runs: Record) -> ElementTree.Element:
    return ElementTree.fromstring(to_junit(runs))


def only(run: Record, path: str) -> ElementTree.Element:
    found = read(run).find(path)
    assert found is not None
    return found


def test_root_counts_suites() -> None:
    root = read(*made.every())
    assert root.tag == "testsuites"
    assert {name: int(root.get(name, "")) for name in ("tests", "failures", "errors")} == {
        "tests": 10,
        "failures": 8,
        "errors": 1,
    }
    assert float(root.get("time", "")) == pytest.approx(
        sum(float(suite.get("time", "")) for suite in root), abs=0.01
    )


def test_every_suite_has_what_jenkins_and_gitlab_read() -> None:
    for suite in read(*made.every()):
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"} == set(suite.keys())
        assert [child.tag for child in suite] == ["properties", "testcase"]
        case = suite[1]
        assert {"classname", "name", "time"} == set(case.keys())
        assert {child.tag for child in case} <= {"failure", "error", "system-out", "system-err"}
        assert sum(child.tag in {"failure", "error"} for child in case) == int(
            suite.get("failures", "")
        ) + int(suite.get("errors", ""))


def test_passed_has_no_failure() -> None:
    case = only(made.passed(), "testsuite/testcase")
    assert [child.tag for child in case] == ["system-out"]
    assert case.get("classname") == "lab.amd64"


def test_findings_are_the_text_of_the_failure() -> None:
    failure = only(made.stalled(), "testsuite/testcase/failure")
    assert failure.get("type") == "stalled"
    assert str(failure.get("message")).startswith("stalled: no output")
    assert failure.text is not None
    for part in (
        "Two processes wait for each other",
        "[pipe-ring]",
        "who:",
        "waits for:",
        "communicate() does both",
    ):
        assert part in failure.text


def test_flaky_is_marked_and_red() -> None:
    suite = only(made.flaky(), "testsuite")
    failure = only(made.flaky(), "testsuite/testcase/failure")
    assert failure.get("type") == "flaky"
    assert "passed on attempt 2 of 2" in str(failure.get("message"))
    assert {each.get("name"): each.get("value") for each in suite[0]}["flaky"] == "true"


def test_not_started_is_an_error() -> None:
    error = only(made.not_started(), "testsuite/testcase/error")
    assert error.get("message") == "not started: ./missing: No such file or directory"


def test_emulation_is_among_the_properties() -> None:
    suite = only(made.emulated(), "testsuite")
    properties = {each.get("name"): each.get("value") for each in suite[0]}
    assert properties["machine"] == "s390x, 64 bits, big-endian"
    assert properties["emulator"] == "qemu-s390x-static 7.2.9"
    assert properties["root"] == "Debian bookworm"


def test_hostile_text_is_escaped_and_still_xml() -> None:
    text = to_junit([made.hostile()])
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "<img" not in text
    out = ElementTree.fromstring(text).find("testsuite/testcase/system-out")
    assert out is not None
    assert str(out.text).startswith("</script><img src=x onerror=alert(1)>\\x1b[2J\\x00\\u202e&'\"\\xff")

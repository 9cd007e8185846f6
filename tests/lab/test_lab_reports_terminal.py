"""The report on a terminal, and the words that all reports share."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from mungos.lab.facts import Autopsy
from mungos.lab.record import Record
from mungos.lab.reports.plain_text import explanation
from mungos.lab.reports.report_files import UnwritableReport, check_report_files, write_report
from mungos.lab.reports.terminal import console_for, print_matrix, print_report
from mungos.lab.reports.waits import waits
from mungos.lab.reports.wording import amount, command_line, duration, headline, percent, signal_name
from mungos.printable import printable
from tests.lab import lab_reports_records as made


def shown(run: Record, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    print_report(run, console_for(stream))
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_findings_come_before_facts() -> None:
    text = shown(made.stalled())
    places = [
        text.index(part)
        for part in (
            "mungos lab: stalled",
            "1. Two processes",
            "waits for",
            "evidence",
            "to do",
            "2. A child",
            "5 processes",
            "What each thread does",
            "Signals and timers",
            "Descriptors",
            "Sockets that no process",
            "Stack of 811",
            "Mungos in 811",
            "Could not be had",
            "The last 32 lines",
            "The output was a pipe",
            "status 123",
        )
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("run", made.every(), ids=lambda run: run.verdict.value)
def test_nothing_that_a_program_chose_reaches_the_terminal_raw(run: Record) -> None:
    for text in (shown(run), printable(explanation(run), keep="\n")):
        assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("run", made.every(), ids=lambda run: run.verdict.value)
def test_a_terminal_without_unicode_is_served(run: Record) -> None:
    assert shown(run, "ascii").isascii()


def test_attempts_are_told_apart() -> None:
    text = shown(made.flaky())
    assert "Attempt 1 of 2: stalled" in text
    assert "passed on attempt 2 of 2" in text


def test_matrix_has_a_row_for_each_processor() -> None:
    stream = io.StringIO()
    print_matrix([made.passed(), made.emulated()], console_for(stream))
    text = stream.getvalue()
    assert "amd64" in text
    assert "s390x" in text
    assert "bookworm" in text
    assert "9.6" in text
    assert "aborted as process 1" in " ".join(text.split())


def test_a_wide_facts_list_says_how_much_more_there_is() -> None:
    run = made.stalled()
    attempt = run.attempts[0]
    autopsy = attempt.autopsy
    assert autopsy is not None
    many = tuple(replace(autopsy.processes[1], pid=n) for n in range(900, 1000))
    text = shown(replace(run, attempts=(replace(attempt, autopsy=replace(autopsy, processes=many)),)))
    assert "and 75 more: --json FILE has them all" in text


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (made.passed, "passed in 210 ms"),
        (made.failed, "failed: SIGABRT ended it after 210 ms"),
        (made.leaked, "leaked: it ended with status 0 after 1.00 s and left 1 process running"),
        (made.stalled, "stalled: no output and hardly any CPU for 1 min, after the first 840 ms"),
        (made.spinning, "spinning: a CPU is busy for 1 min without output or I/O"),
        (made.timed_out, "timed out: the deadline of 1 min came"),
        (made.not_started, "not started: ./missing: No such file or directory"),
    ],
)
def test_headline(make: object, sentence: str) -> None:
    assert callable(make)
    assert headline(make()) == sentence


def test_headline_scales_the_clock_of_an_emulated_run() -> None:
    assert "for 9 min 36 s" in headline(made.emulated())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"),
        (0.0126, "13 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.00 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (61.9, "1 min 2 s"),
        (3600.0, "1 h"),
        (7261.0, "2 h 1 min"),
        (200_000.0, "2 days 7 h"),
        (float("nan"), "?"),
        (float("inf"), "?"),
        (-2.0, "-2.00 s"),
        (None, "?"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_other_words() -> None:
    assert [amount(size) for size in (None, 0, 1023, 1024, 1 << 20, 3 << 30)] == [
        "?",
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.0 MiB",
        "3.0 GiB",
    ]
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.9999, 1.0)] == [
        "0 %",
        "0.4 %",
        "50 %",
        "100.0 %",
        "100 %",
    ]
    assert command_line(("a b", "it's", "", "x=1")) == "'a b' 'it'\"'\"'s' '' x=1"
    assert [signal_name(number) for number in (6, 200)] == ["SIGABRT", "signal 200"]


def test_waits_follow_pipes_sockets_and_children() -> None:
    autopsy = made.stalled().attempts[0].autopsy
    assert autopsy is not None
    assert {(each.pid, each.on, each.other) for each in waits(autopsy)} == {
        (810, "its end", 811),
        (811, "pipe 7", 812),
        (812, "pipe 1", 811),
        (813, "socket 6", 811),
    }


def test_waiting_for_one_child_points_to_that_one() -> None:
    parent = made.process(10, 2, 1, "sh", made.thread(10, made.call("wait4", "wait4 for 4", 4)))
    children = (made.process(11, 3, 10, "a"), made.process(12, 4, 10, "b"))
    autopsy = Autopsy(1.0, 0.1, (parent, *children), (), "the lab's init")
    assert [each.other for each in waits(autopsy)] == [12]


def test_reports_are_written_whole_or_not_at_all(tmp_path: object) -> None:
    path = f"{tmp_path}/report"
    check_report_files([path])
    write_report(path, "one \udcff")
    with open(path, encoding="utf-8") as file:
        assert file.read() == "one \\udcff"
    write_report("/dev/null", "x")
    with pytest.raises(UnwritableReport, match="No space left"):
        write_report("/dev/full", "x")


@pytest.mark.parametrize("path", ["/proc/report", "/no/such/folder/report", "/"])
def test_a_report_that_can_not_be_written_is_refused(path: str) -> None:
    with pytest.raises(UnwritableReport, match="can't be written"):
        check_report_files([path])


def test_two_reports_in_one_file_are_refused(tmp_path: object) -> None:
    with pytest.raises(UnwritableReport, match="two reports"):
        check_report_files([f"{tmp_path}/a", f"{tmp_path}/../{str(tmp_path).rpartition('/')[2]}/a"])

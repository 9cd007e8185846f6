"""The selftest judges rightly: with a lab that says what is planted here, and expectations that are wrong."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from mungos.cli.lab_selftest import selftest as command
from mungos.lab.order import Order
from mungos.lab.record import Attempt, Finding, Line, Platform, Record
from mungos.lab.selftest import BUGS, Bug, Outcome, Results, Task, find_bugs, selftest
from mungos.lab.selftest.catalogue import CANNOT_RUN, DIFFERENT_OUTPUTS, LEFT_OUT, PROGRAMS
from mungos.lab.selftest.compiling import Unavailable, compile_program, find_compiler
from mungos.lab.selftest.outcome import faults, finding_is_right, verdict_is_right
from mungos.lab.selftest.table import markdown, print_results
from mungos.lab.selftest.workers import perform_all, pressure
from mungos.lab.verdicts import Verdict

README = Path(__file__).with_name("README.md")
STALLS = Bug("T01", "waits for ever", "b01_lost_wakeup.py", Verdict.STALLED, ("lost-wakeup",))
FAILS = Bug("T02", "fails by its own check", "b04_spurious_wakeup.py", Verdict.FAILED)
NATIVE = Platform("amd64", "x86_64", "little", 64, None, 1.0, "6.18")


def finding(rule: str) -> Finding:
    return Finding(rule, "It waits", "process 7", "", None, (), "")


def record(
    order: Order,
    verdict: Verdict,
    rules: tuple[str, ...] = (),
    status: int | None = None,
    *,
    left: tuple[str, ...] = (),
    problem: str = "",
) -> Record:
    attempt = Attempt(
        verdict, status, None, 0.1, 0.0, (Line(0.1, "stdout", "the last line"),), 0, (), None,
        tuple(map(finding, rules)), left, explained_in=0.25 if verdict is Verdict.STALLED else None,
        problem=problem,
    )  # fmt: skip
    return Record(order, 0.0, verdict, 0, (attempt,), NATIVE, "0")


def lab(
    verdict: Verdict,
    rules: tuple[str, ...] = (),
    *,
    twin: Verdict = Verdict.PASSED,
    twin_rules: tuple[str, ...] = (),
    status: int | None = None,
) -> Callable[[Order], Record]:
    """A lab that always says this of bugs, and that of twins."""

    def run(order: Order) -> Record:
        if order.command[-1] == "repaired":
            return record(order, twin, twin_rules, 0)
        return record(order, verdict, rules, status)

    return run


def test_right_verdicts_and_findings_are_good() -> None:
    results = selftest(3, jobs=2, bugs=[STALLS], run=lab(Verdict.STALLED, ("lost-wakeup", "no-timer-armed")))
    assert results.good
    assert (results.found, results.runs, results.clean, results.twins) == (3, 3, 3, 3)
    assert results.named() == (3, 3)
    assert results.explained_in == (0.25, 0.25, 0.25)
    assert results.faults == []


def test_wrong_verdict_is_no_good_and_named() -> None:
    results = selftest(bugs=[STALLS], run=lab(Verdict.PASSED, ("lost-wakeup",), status=0))
    assert not results.good
    assert results.faults == [
        "T01: passed (status 0), and not stalled; it last said: the last line",
    ]


def test_wrong_finding_is_no_good_and_named() -> None:
    results = selftest(2, bugs=[STALLS], run=lab(Verdict.STALLED, ("no-timer-armed", "lost-wakeup")))
    assert results.found == 2
    assert results.named() == (0, 2)
    assert not results.good
    assert results.faults[0].startswith("T01: found no-timer-armed, lost-wakeup, and not lost-wakeup first")
    assert results.faults[0].endswith("(2 times)")


def test_finding_beside_an_own_check_is_a_wrong_one() -> None:
    assert selftest(bugs=[FAILS], run=lab(Verdict.FAILED, status=1)).good
    results = selftest(bugs=[FAILS], run=lab(Verdict.FAILED, ("spin",), status=1))
    assert not results.good
    assert results.named(own_check=True) == (0, 1)


@pytest.mark.parametrize(
    ("twin", "rules"), [(Verdict.FAILED, ()), (Verdict.STALLED, ()), (Verdict.PASSED, ("spin",))]
)
def test_twin_that_is_not_clean_is_no_good(twin: Verdict, rules: tuple[str, ...]) -> None:
    results = selftest(bugs=[STALLS], run=lab(Verdict.STALLED, ("lost-wakeup",), twin=twin, twin_rules=rules))
    assert results.found == results.runs == 1
    assert not results.good
    assert results.clean == 0
    assert results.faults[0].startswith("T01 (twin): ")


def test_one_finding_in_twenty_may_be_wrong_but_no_more() -> None:
    results = Results.of([STALLS])
    right, wrong = (
        Outcome(Verdict.STALLED, findings=("lost-wakeup",)),
        Outcome(Verdict.STALLED, findings=("spin",)),
    )
    for outcome in [right] * 19 + [wrong]:
        results.rows["T01"].add(Task(STALLS, False), outcome)
    assert results.good
    results.rows["T01"].add(Task(STALLS, False), wrong)
    assert not results.good


def test_rule_may_come_later_only_where_the_bug_says_so() -> None:
    outcome = Outcome(Verdict.STALLED, findings=("wait-cycle", "hidden-data"))
    later = Bug("T03", "", "b01_lost_wakeup.py", Verdict.STALLED, ("hidden-data",), anywhere=True)
    first = Bug("T03", "", "b01_lost_wakeup.py", Verdict.STALLED, ("hidden-data",))
    assert finding_is_right(Task(later, False), outcome)
    assert not finding_is_right(Task(first, False), outcome)


def test_program_that_cannot_show_its_bug_here_does_not_count() -> None:
    results = selftest(bugs=[STALLS], run=lab(Verdict.FAILED, status=CANNOT_RUN, twin=Verdict.PASSED))
    assert results.rows["T01"].not_run == "the last line"
    assert results.runs == 0
    assert not results.good  # nothing was shown


def test_trouble_of_the_lab_itself_is_no_right_verdict() -> None:
    def broken(order: Order) -> Record:
        return record(order, Verdict.STALLED, ("lost-wakeup",), problem="the autopsy failed: it was cold")

    def untidy(order: Order) -> Record:
        return record(order, Verdict.PASSED, left=("812 sleep 1000",))

    results = selftest(bugs=[STALLS], run=broken)
    assert results.found == 0
    assert "T01: the autopsy failed: it was cold" in results.faults
    results = selftest(bugs=[STALLS], run=untidy)
    assert "T01 (twin): called passed, and left 812 sleep 1000" in results.faults


def test_worker_that_dies_is_replaced_and_its_run_is_no_good() -> None:
    def run(order: Order) -> Record:
        if order.command[-1] == "bug":
            os._exit(3)
        return record(order, Verdict.PASSED)

    results = selftest(2, jobs=2, bugs=[STALLS], run=run)
    assert results.faults == ["T01: the lab failed: its process ended with 3 (2 times)"]
    assert results.clean == results.twins == 2


def test_lab_that_does_not_come_back_is_ended() -> None:
    def do(task: Task) -> Outcome:
        while not task.twin:
            time.sleep(1)
        return Outcome(Verdict.PASSED)

    tasks = [Task(STALLS, False), Task(STALLS, True), Task(STALLS, True)]
    done = dict(perform_all(tasks, do, 2, patience=lambda _: 0.3))
    assert done[tasks[0]].trouble == "the lab did not come back, and was ended"
    assert done[tasks[1]].trouble == ""


def test_workers_end_when_nobody_wants_the_rest() -> None:
    def do(task: Task) -> Outcome:
        if not task.twin:
            time.sleep(60)
        return Outcome(Verdict.PASSED)

    performing = perform_all([Task(STALLS, True), Task(STALLS, False)], do, 2)
    assert next(performing)[0].twin
    performing.close()  # what is left behind, the leak check would say


def test_pressure_keeps_cpus_busy_and_ends() -> None:
    with pressure(2):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert len(children) == 2
        until = time.monotonic() + 5
        while time.monotonic() < until:
            times = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in children]
            if all(int(each[11]) > 0 for each in times):
                break
            time.sleep(0.05)
        else:
            pytest.fail("they are not busy")


def test_outcome_survives_the_way_between_processes() -> None:
    outcome = Outcome(Verdict.TIMED_OUT, 3, ("spin", "wait-cycle"), 1.5, 0.25, ("one", "two"), "odd", "no")
    assert Outcome.from_json(json.loads(json.dumps(outcome.as_json()))) == outcome


def test_every_class_has_a_program_or_a_reason() -> None:
    shown = {bug.name[:3] for bug in BUGS}
    assert shown | set(LEFT_OUT) == {f"B{number:02}" for number in range(1, 63)}
    assert not shown & set(LEFT_OUT)
    names = [bug.name for bug in BUGS]
    assert names == sorted(set(names))


def test_every_program_belongs_to_a_bug_of_its_number() -> None:
    assert {bug.program for bug in BUGS} == {
        path.name for path in PROGRAMS.iterdir() if path.suffix in {".py", ".c"} and path.stem != "__init__"
    }
    assert [bug.name for bug in BUGS if not bug.program.startswith(bug.name[:3].lower() + "_")] == []


def test_every_expected_finding_is_a_rule() -> None:
    from mungos.lab.findings import RULES

    expected = {rule for bug in BUGS for rule in bug.findings} - {DIFFERENT_OUTPUTS}
    assert expected - {rule.name for rule in RULES} == set()


def test_programs_need_nothing_but_the_standard_library() -> None:
    for path in PROGRAMS.glob("b*.py"):
        names = re.findall(r"^\s*(?:from|import) ([a-z_]+)", path.read_text(), re.MULTILINE)
        assert set(names) <= sys.stdlib_module_names, path


def test_table_of_the_catalogue_is_up_to_date() -> None:
    # python -c 'from mungos.lab.selftest.table import markdown; print(markdown(), end="")'
    assert markdown() in README.read_text()


def test_bugs_are_found_by_class_and_by_program() -> None:
    assert [bug.name for bug in find_bugs(("b36",))] == ["B36", "B36c"]
    assert [bug.name for bug in find_bugs(("B36C", "B12"))] == ["B12", "B36c"]
    assert find_bugs() == BUGS
    with pytest.raises(LookupError, match="B99"):
        find_bugs(("B99", "B12"))


def test_compiler_that_is_missing_or_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no C compiler here"):
        find_compiler("pdp11")
    try:
        find_compiler()
    except Unavailable as reason:
        pytest.skip(str(reason))
    wrong = tmp_path / "wrong.c"
    wrong.write_text("int main(void) { return }\n")
    with pytest.raises(Unavailable, match=r"fails on wrong\.c"):
        compile_program(wrong, tmp_path)


def test_results_as_a_person_sees_them() -> None:
    skipped = Bug("T04", "can't be run", "b42_vanished_peer.py", Verdict.STALLED, ("half-open-peer",))
    results = Results.of([STALLS, FAILS, skipped])
    results.rows["T01"].add(
        Task(STALLS, False), Outcome(Verdict.STALLED, findings=("lost-wakeup",), explained_in=0.3)
    )
    results.rows["T01"].add(Task(STALLS, True), Outcome(Verdict.PASSED))
    results.rows["T02"].add(Task(FAILS, False), Outcome(Verdict.PASSED, 0, tail=("all is well",)))
    results.rows["T04"].add(Task(skipped, False), Outcome(Verdict.NOT_STARTED, not_run="not allowed"))
    for encoding in ("utf-8", "ascii"):
        buffer = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        print_results(results, Console(file=buffer, width=112))
        buffer.seek(0)
        text = buffer.read()
        assert "lost-wakeup" in text
        assert "not run: T04: not allowed" in text
        assert "T02: passed (status 0), and not failed; it last said: all is well" in text
        assert "findings: 1 of 1 were rightly named (100.0%)" in text
        assert "The lab can't be relied upon here: 1 wrong verdicts" in text


def test_verdict_and_faults_of_a_single_run() -> None:
    task = Task(STALLS, False)
    right = Outcome(Verdict.STALLED, findings=("lost-wakeup",))
    assert verdict_is_right(task, right)
    assert faults(task, right) == ""
    assert faults(Task(STALLS, True), Outcome(Verdict.PASSED)) == ""
    assert faults(task, Outcome(Verdict.NOT_STARTED, not_run="no compiler")) == ""


def test_command_lists_without_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "--only", "B60"], standalone_mode=False) == 0
    printed = capsys.readouterr().out
    assert "abort-as-pid1" in printed
    assert "B61" not in printed


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_that_is_told_to_stop_judges_what_it_has_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "mungos", "lab", "selftest", "--json", "--times", "1000", "--only", "B12"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as program:
        while not list(tmp_path.glob("mungos-selftest-*")):
            assert program.poll() is None
            time.sleep(0.02)
        program.send_signal(number)
        printed, complaints = program.communicate(timeout=50)
    assert program.returncode == 128 + number, complaints
    assert complaints == ""
    assert json.loads(printed)["bugs"]["runs"] < 1000
    assert list(tmp_path.iterdir()) == []


def test_enough_is_enough() -> None:
    results = selftest(1000, bugs=[STALLS], run=lab(Verdict.STALLED, ("lost-wakeup",)), stop=lambda: True)
    assert results.runs + results.twins == 1


@pytest.mark.timeout(60)
def test_command_runs_and_says_so_by_its_status() -> None:
    words = [sys.executable, "-m", "mungos", "lab", "selftest", "--json", "--twins", "2", "--only", "B12"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr + done.stdout
    printed = json.loads(done.stdout)
    assert printed["good"]
    assert printed["twins"] == {"runs": 2, "clean": 2}
    done = subprocess.run(
        [*words[:5], "--only", "B99"], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 2
    assert "no planted bug is called B99" in done.stderr

"""The command line of `python -m mutants`."""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mutants.branches import Branch, find
from mutants.covering import Coverage, measure
from mutants.judging import KILLED, SURVIVED, Judged, judge_all, warm_up

__all__ = ["main"]

FINISHED, TOO_FEW, USAGE = 0, 1, 2
ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PACKAGES = ("mungos/tls", "mungos/x509", "mungos/crypto")
TESTS = (
    "tests/tls",
    "tests/tls_builtin",
    "tests/tls_foreign",
    "tests/testing_tls",
    "tests/x509",
    "tests/crypto",
)
REASONS = Path(__file__).with_name("survivors.toml")
LEAST = 0.98  # of the branches must be noticed
AT_ONCE = 60  # tests that are tried first; the rest only if these notice nothing

EPILOG = """\
examples:
  python -m mutants                           every branch that raises or alerts
  python -m mutants --only tls.engines.builtin.client
  python -m mutants --list

Each branch is deleted in turn, in memory, and the tests that reach it are run. Exit status: 0
when at least 98 % are noticed and each of the others has its reason in survivors.toml; 1 otherwise; 2 for
a wrong command line.
"""


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m mutants",
        description="Delete each branch that refuses something: a test must notice.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--only", metavar="TEXT", help="modules whose dotted name holds this")
    command.add_argument("--list", action="store_true", help="list the branches")
    command.add_argument("--processes", type=int, default=2, help="at a time (default 2)")
    command.add_argument("--tests", nargs="+", default=list(TESTS), metavar="PATH")
    command.add_argument("--folder", type=Path, default=Path(".cache/mutants"), help="for what is measured")
    command.add_argument("--json", type=Path, metavar="FILE", help="write every result")
    return command


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status (see EPILOG)."""
    command = parser()
    options = command.parse_args(arguments)
    if not 1 <= options.processes <= 64:
        command.error(f"--processes {options.processes}: must be 1 to 64")
    paths = _modules(options.only)
    branches = [branch for module, path in paths.items() for branch in find(module, path.read_text())]
    if not branches:
        command.error(f"no branch in a module named like {options.only!r}")
    if options.list:
        for branch in branches:
            print(f"{paths[branch.module].relative_to(ROOT)}:{branch.line}: {branch.key}")
        return FINISHED
    console = Console()
    folder = options.folder.resolve()
    sources = [SOURCE / package for package in PACKAGES]
    console.print(f"{len(branches)} branches; first every test once, to see which reach which")
    covered = measure(folder, options.tests, sources, processes=options.processes)
    results = _judge(branches, paths, covered, folder, options.processes, console)
    if options.json:
        options.json.write_text(json.dumps([_row(result) for result in results], indent=1))
    return _report(results, console, whole=options.only is None)


def _modules(only: str | None) -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((SOURCE / package).rglob("*.py")):
            name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
            if only is None or only in name:
                found[name] = path
    return found


def _judge(
    branches: Sequence[Branch],
    paths: dict[str, Path],
    covered: Coverage,
    folder: Path,
    processes: int,
    console: Console,
) -> list[Judged]:
    warm_up()
    tests = {branch: covered.of(str(paths[branch.module]), branch.line) for branch in branches}
    first_tests = sorted({name for names in tests.values() for name in names[:AT_ONCE]})
    _see_that_they_pass(first_tests, folder, covered.seconds)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    results: list[Judged] = []
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("deleting", total=len(branches))
        first = [(branch, tests[branch][:AT_ONCE]) for branch in branches]
        again: list[tuple[Branch, Sequence[str]]] = []
        for judged in judge_all(first, folder, processes=processes, seconds=covered.seconds):
            rest = tests[judged.branch][AT_ONCE:]
            if judged.verdict == SURVIVED and rest:
                again.append((judged.branch, rest))
                continue
            results.append(judged)
            progress.advance(task)
        for judged in judge_all(again, folder, processes=processes, seconds=covered.seconds):
            results.append(replace(judged, tests=len(tests[judged.branch])))
            progress.advance(task)
    return sorted(results, key=lambda judged: judged.branch.key)


def _see_that_they_pass(tests: Sequence[str], folder: Path, seconds: Mapping[str, float]) -> None:
    """The same tests in the same kind of process, with nothing deleted: else all would seem noticed."""
    nothing = Branch("nothing", -1, 0, "nothing deleted")
    for judged in judge_all([(nothing, tests)], folder, processes=1, seconds=seconds):
        if judged.verdict != SURVIVED:
            raise RuntimeError(f"with nothing deleted the tests fail:\n{judged.said}")


def _row(judged: Judged) -> dict[str, object]:
    branch = judged.branch
    return {"branch": branch.key, "line": branch.line, "verdict": judged.verdict, "tests": judged.tests,
            "seconds": round(judged.seconds, 3), "said": judged.said}  # fmt: skip


def _report(results: Sequence[Judged], console: Console, *, whole: bool) -> int:
    reasons: dict[str, str] = tomllib.loads(REASONS.read_text())
    survivors = [judged for judged in results if judged.verdict == SURVIVED]
    unexplained = [judged for judged in survivors if judged.branch.key not in reasons]
    for judged in survivors:
        reason = reasons.get(judged.branch.key, f"NO REASON GIVEN ({judged.tests} tests reach it)")
        console.print(
            f"survived: {judged.branch.key} (line {judged.branch.line}): {reason}",
            markup=False,
            soft_wrap=True,
        )
    killed = sum(judged.verdict == KILLED for judged in results)
    share = killed / len(results)
    took = sum(judged.seconds for judged in results)
    console.print(
        f"{killed} of {len(results)} branches noticed, {share:.2%}; {len(survivors)} survive, "
        f"{len(unexplained)} without a reason; {took:.0f} s of tests, at {time.strftime('%H:%M')}"
    )
    stale = sorted(set(reasons) - {judged.branch.key for judged in survivors}) if whole else []
    for key in stale:
        console.print(f"no survivor any more, take it off the list: {key}", markup=False, soft_wrap=True)
    return TOO_FEW if share < LEAST or unexplained or stale else FINISHED

"""`python -m benchmarks.tls`: the built-in TLS 1.3 beside `ssl`, both ends in one process, no sockets."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:
    # As a script, this folder stands first in the path, and its modules are not to be mistaken for others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.command_line import (
    FINISHED,
    USAGE,
    add_shared_options,
    exit_statuses,
    interruptible,
    refuse_contradictions,
    status_of,
    write_json,
)
from benchmarks.processes import Child, ChildFailed, cpus_for
from benchmarks.tls_cases import CASES, PEERS, REFERENCE, SUBJECT, TARGETS, Case
from benchmarks.tls_peers import missing
from benchmarks.tls_report import Outcome, Row, as_json, judge, outcome_table, verdict_table, write_table

__all__ = ["main"]

SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
SPARE_SECONDS = 60.0  # what a worker may take beyond what it measures
MEMORY_ROUNDS = 3

EPILOG = """\
examples:
  python -m benchmarks.tls                        everything: about a minute
  python -m benchmarks.tls --quick                2 short rounds: does it all run?
  python -m benchmarks.tls --only full --only mungos --only ssl
                                                  two contestants in one case
  python -m benchmarks.tls --check --strict --json tls.json
                                                  hold the ratios to the targets, keep every round
""" + exit_statuses(
    "every case finished",
    "a case failed: no session, wrong data, a process that did not finish",
    "the command line is wrong, or nothing of what it names can run here",
)


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.tls",
        description="CPU time and memory of TLS 1.3 in memory: mungos, ssl, and others beside them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*(case.name for case in CASES), SUBJECT, REFERENCE, *PEERS]
    command.add_argument(
        "--only", action="append", default=[], metavar="NAME", choices=names, help="a case or a contestant"
    )
    command.add_argument("--rounds", type=int, default=None, help="1 to 99 (default 9)")
    command.add_argument(
        "--seconds",
        type=float,
        default=None,
        help="CPU time of a contestant's turn, 0.01 to 10 (default 0.2)",
    )
    command.add_argument(
        "--pairs", type=int, default=None, help="open sessions for `memory`, 50 to 100,000 (default 500)"
    )
    command.add_argument("--suite", default=SUITES[0], choices=SUITES, help=f"default {SUITES[0]}")
    add_shared_options(
        command, quick="2 rounds of 0.05 s, 100 sessions", json="every round", listed="cases and targets"
    )
    return command


def plan_from(options: argparse.Namespace, command: argparse.ArgumentParser) -> dict[str, Any]:
    quick = bool(options.quick)
    rounds = options.rounds if options.rounds is not None else (2 if quick else 9)
    seconds = options.seconds if options.seconds is not None else (0.05 if quick else 0.2)
    pairs = options.pairs if options.pairs is not None else (100 if quick else 500)
    if not 1 <= rounds <= 99:
        command.error(f"--rounds {rounds}: must be 1 to 99")
    if not 0.01 <= seconds <= 10:
        command.error(f"--seconds {seconds:g}: must be 0.01 to 10")
    if not 50 <= pairs <= 100_000:
        command.error(f"--pairs {pairs}: must be 50 to 100,000")
    return {"rounds": rounds, "seconds": seconds, "pairs": pairs, "suite": options.suite}


def print_list() -> None:
    print("cases:")
    for case in CASES:
        print(f"  {case.name:16} {case.title} ({', '.join(case.contestants)})")
    print("contestants:")
    for name in (SUBJECT, REFERENCE, *PEERS):
        print(f"  {name:16} {missing(name) or 'ready'}")
    print(f"targets ({SUBJECT} ÷ {REFERENCE}):")
    for target in TARGETS:
        print(
            f"  {target.case:16} {target.figure:10} {'at most' if target.most else 'at least'} {target.bound}"
        )


def choose(only: Sequence[str]) -> list[tuple[Case, list[str]]]:
    """The cases and contestants that are asked for and can run here; says what is left out."""
    cases = [case for case in CASES if case.name in only] or list(CASES)
    wanted = set(only) - {case.name for case in CASES}
    absent = {name: why for name in (SUBJECT, *PEERS) if (why := missing(name)) is not None}
    chosen = []
    for case in cases:
        asked = [name for name in case.contestants if not wanted or name in wanted]
        for name in asked:
            if name in absent:
                print(f"left out of {case.name}: {name} ({absent[name]})", file=sys.stderr)
        able = [name for name in asked if name not in absent]
        if able:
            chosen.append((case, able))
    return chosen


def write_files(folder: Path, suite: str) -> dict[str, str]:
    """A root, what it issued, and a configuration of OpenSSL: the same for all of a run."""
    import trustme

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    files = {name: str(folder / f"{name}.pem") for name in ("roots_file", "chain_file", "key_file")}
    authority.cert_pem.write_to_path(files["roots_file"])
    leaf.cert_chain_pems[0].write_to_path(files["chain_file"])
    leaf.private_key_pem.write_to_path(files["key_file"])
    # Before Python 3.15 `ssl` can't choose among the suites of TLS 1.3; OpenSSL's own configuration can.
    conf = folder / "openssl.cnf"
    conf.write_text(
        "openssl_conf = init\n[init]\nssl_conf = sections\n[sections]\nsystem_default = tls\n"
        f"[tls]\nCiphersuites = {suite}\n",
        encoding="ascii",
    )
    return {**files, "openssl_conf": str(conf)}


def run_worker(folder: Path, job: dict[str, Any], within: float) -> dict[str, Any]:
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    name = f"{job['kind']} of {', '.join(job['contestants'])}"
    with Child(name, ["-m", "benchmarks.tls_worker", str(path)], cpu=cpus_for()[1]) as child:
        result: dict[str, Any] = json.loads(child.wait_done(within))
    return result


def run_case(
    case: Case, names: list[str], plan: dict[str, Any], folder: Path, files: dict[str, str]
) -> Outcome:
    outcome = Outcome(case)
    job = {**plan, **files, "kind": case.kind, "size": case.size, "cut": case.cut, "traced": False}
    try:
        if case.kind == "memory":
            for _ in range(min(MEMORY_ROUNDS, plan["rounds"])):
                for name in names:
                    found = run_worker(
                        folder, {**job, "contestants": [name]}, SPARE_SECONDS + plan["pairs"] / 20
                    )
                    add(outcome, name, found[name])
            subject = outcome.row(SUBJECT)
            if subject is not None:
                traced = {**job, "contestants": [SUBJECT], "traced": True}
                found = run_worker(folder, traced, SPARE_SECONDS + plan["pairs"] / 20)
                subject.traced = found[SUBJECT]["rounds"][0]
        else:
            limit = SPARE_SECONDS + 10 * plan["seconds"] * plan["rounds"] * len(names)
            found = run_worker(folder, {**job, "contestants": names}, limit)
            for name in names:
                add(outcome, name, found[name])
    except ChildFailed as fault:
        outcome.faults.append(str(fault))
        return outcome
    suites = {row.suite for row in outcome.rows}
    if len(suites) > 1:
        outcome.faults.append(
            f"{case.name}: different suites, nothing to compare: {', '.join(sorted(suites))}"
        )
    return outcome


def add(outcome: Outcome, name: str, found: dict[str, Any]) -> None:
    row = outcome.row(name)
    if row is None:
        outcome.rows.append(Row(name, found["suite"], list(found["rounds"]), found.get("operations", 0)))
    else:
        row.rounds += found["rounds"]


def run(options: argparse.Namespace, plan: dict[str, Any], step: Callable[[str], None]) -> int:
    chosen = choose(options.only)
    if not chosen:
        print("nothing of this can run here; see --list", file=sys.stderr)
        return USAGE
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="mungos-tls-") as name:
        folder = Path(name)
        files = write_files(folder, options.suite)
        for case, names in chosen:
            step(f"{case.name}: {', '.join(names)}")
            outcome = run_case(case, names, plan, folder, files)
            outcomes.append(outcome)
            if outcome.rows:
                write_table(outcome_table(outcome), sys.stdout)
            for line in outcome.faults:
                print(f"failed: {line}", file=sys.stderr)
    verdicts = judge(outcomes) if options.check else []
    if options.check:
        write_table(verdict_table(verdicts), sys.stdout)
    write_json(options.json, lambda: as_json(outcomes, verdicts, plan))
    return status_of(options, verdicts, failed=any(outcome.faults for outcome in outcomes))


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status (see EPILOG)."""
    command = parser()
    options = command.parse_args(arguments)
    plan = plan_from(options, command)
    refuse_contradictions(options, command)
    if options.list:
        print_list()
        return FINISHED

    def step(text: str) -> None:
        if sys.stderr.isatty():
            print(text, file=sys.stderr)

    return interruptible(lambda: run(options, plan, step))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

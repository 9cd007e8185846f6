"""A process is stopped: it does nothing until it is told to go on."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Find who stopped it (SIGSTOP, a debugger, a background job that reads the terminal); run it with "
    "/dev/null as standard input or in the foreground."
)


def _why(process: Process) -> str:
    if "t" in (process.state, *(thread.state for thread in process.threads)):
        return "a tracer (debugger) has stopped it"
    terminal = any(each.kind == "terminal" for each in process.descriptors)
    if terminal and process.signals.pending & {21, 22}:
        return "it used the terminal from the background (SIGTTIN or SIGTTOU)"
    return (
        "SIGSTOP or SIGTSTP, or use of the terminal from the background" if terminal else "SIGSTOP or SIGTSTP"
    )


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        if process.state not in ("T", "t"):
            continue
        yield found(
            case,
            RULE.name,
            "A process is stopped, and does nothing until it gets SIGCONT",
            process,
            process.threads[0] if process.threads else None,
            waits_for="SIGCONT",
            evidence=(f"state {process.state}: {_why(process)}",),
            advice=ADVICE,
        )


RULE = Rule("stopped-process", "a process is stopped (SIGSTOP, terminal, tracer)", _examine)

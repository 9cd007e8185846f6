"""The command ended with 0 and left a process that holds nothing of interest."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.orphan_holds import holdings
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "End and wait for every process that is started, in a finally; a wrapper that is killed has to "
    "take its children with it."
)


def _examine(case: Case) -> Iterator[Finding]:
    if case.verdict is not Verdict.LEAKED:
        return
    scene = scene_of(case)
    for process in scene.living():
        if not holdings(scene, process):
            yield found(
                case,
                RULE.name,
                "The command ended and left this process running",
                process,
                process.threads[0] if process.threads else None,
                evidence=(f"process {process.pid} is {process.age:.1f} s old, state {process.state}",),
                advice=ADVICE,
            )


RULE = Rule("left-running", "the command ended and left processes running", _examine)

"""Processes that wait for each other in a ring."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import command, found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Break the ring: who speaks first, who reads while it writes, and who closes has to be settled, "
    "and each wait needs a deadline."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for ring in scene.cycles():
        members = [scene.processes[pid] for pid in ring]
        names = [f"{p.pid} ({command(p.command)})" for p in members]
        yield found(
            case,
            RULE.name,
            f"Processes wait for each other in a ring: {' -> '.join([*names, str(ring[0])])}",
            members[0],
            members[0].threads[0],
            waits_for=f"process {members[1].pid}, which waits for this one",
            evidence=[f"process {p.pid}: {stands(p, t)}" for p in members for t in p.threads[:2]][:8],
            advice=ADVICE,
        )


RULE = Rule(
    "wait-cycle", "processes wait for each other in a ring, through pipes, sockets or children", _examine
)

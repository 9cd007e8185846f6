"""A process waits for a child that does not end, or for its output."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import command, found, hung, listing, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = "Look at the child's own finding; give the wait a time-out after which the child is ended."


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for wait in scene.waits:
        if not wait.for_ever:
            continue
        if wait.kind == "child":
            awaited = [scene.processes[pid] for pid in sorted(wait.targets)]
            how = "end"
        elif wait.kind in ("read", "ready"):
            pids = sorted(
                {
                    end.pid
                    for each in wait.descriptors
                    if each.pipe is not None
                    for end in scene.opposite(each)
                    if end.descriptor < 3
                }
                - {wait.process.pid}
            )
            awaited = [
                p
                for pid in pids
                if (p := scene.processes.get(pid)) is not None and p.parent == wait.process.pid
            ]
            how = "output"
        else:
            continue
        if not awaited:
            continue
        names = listing(f"{p.pid} ({command(p.command)})" for p in awaited)
        yield found(
            case,
            RULE.name,
            f"It waits for the {how} of its child{'ren' * (len(awaited) != 1)} {names}",
            wait.process,
            wait.thread,
            waits_for=f"process {names}",
            evidence=[f"process {p.pid}: {stands(p, p.threads[0])}" for p in awaited[:4] if p.threads],
            advice=ADVICE,
        )


RULE = Rule("waits-on-child", "a process waits for the end or the output of a child that goes on", _examine)

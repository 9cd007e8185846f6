"""A program reads its standard input, and nobody writes or closes it."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, holders, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Give it /dev/null or its data as standard input, and close the writing end when all is written "
    "(communicate(), stdin.close())."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for wait in scene.waits:
        each = wait.descriptors[0] if len(wait.descriptors) == 1 else None
        if each is None or each.number != 0 or wait.kind not in ("read", "ready") or not wait.for_ever:
            continue
        ends = scene.opposite(each)
        prompt = case.lines[-1].text if case.lines and not case.lines[-1].complete else ""
        yield found(
            case,
            RULE.name,
            "It reads its standard input, and nobody writes to it or closes it",
            wait.process,
            wait.thread,
            waits_for=f"input from {holders(ends)}" if ends else f"input ({each.kind})",
            evidence=(
                f"descriptor 0 is a {each.kind}: {each.target}",
                f"its other end is held by {holders(ends)}" if ends else "",
                f"the last line, without an end, looks like a prompt: {prompt[-60:]!r}" if prompt else "",
                f"call: {calls.name_of(wait.thread)}",
            ),
            advice=ADVICE,
        )


RULE = Rule("waits-on-stdin", "a program reads its standard input, and nobody writes or closes it", _examine)

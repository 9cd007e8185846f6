"""Nothing more is known than where it stands."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = "Look at the call and the stack; gdb and py-spy, where installed, would show more."


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    leaves = [process for process in scene.living() if process.threads and not scene.children(process.pid)]
    for process in leaves[:4]:
        thread = process.threads[0]
        own = stacks.owned(stacks.python(process, thread))
        yield found(
            case,
            RULE.name,
            "It does not end; this is where it stands"
            + (f": {stacks.place(own)}" if own is not None else ""),
            process,
            thread,
            waits_for=thread.call.described if thread.call is not None else "",
            evidence=(
                *(stands(process, each) for each in process.threads[:6]),
                *(f"not known: {text}" for text in process.missing[:4]),
            ),
            advice=ADVICE,
            likely=True,
        )


RULE = Rule("waits-for-ever", "no other rule knows more than where it stands", _examine)

"""A thread stands in the kernel where no signal reaches it."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "Look at the disk, the network file system or the device behind it (dmesg); even SIGKILL waits "
    "until the kernel's operation ends."
)

_VFORK = ("vfork", "clone", "clone3")


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case) or case.verdict is Verdict.SPINNING:
        return
    for process, thread in scene_of(case).threads():
        if thread.state != "D" or (thread.recent_cpu or 0.0) > 0.05:
            continue
        forks = thread.call is not None and thread.call.name in _VFORK
        yield found(
            case,
            RULE.name,
            "A thread waits where no signal reaches it"
            + (": for a child of vfork that neither execs nor ends" if forks else ""),
            process,
            thread,
            waits_for=thread.wchan or "the kernel",
            evidence=(f"state D, wait channel {thread.wchan or 'unknown'}",),
            advice=ADVICE,
        )


RULE = Rule("uninterruptible", "a thread waits in the kernel where no signal reaches it (state D)", _examine)

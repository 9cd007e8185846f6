"""No descriptor is left, and connections wait to be accepted."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE"]

ADVICE = (
    "Stop accepting at EMFILE until a connection has closed (take the listener out of the loop, or "
    "keep a spare descriptor to accept and close), limit connections, and look for descriptors that "
    "leak."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        limit, used = process.descriptor_limit, len(process.descriptors)
        if limit is None or used < limit - 1:
            continue
        waiting = [
            each.socket
            for each in process.descriptors
            if each.socket is not None and each.socket.state == "LISTEN" and each.socket.unread
        ]
        if not waiting:
            continue
        spins = case.verdict is Verdict.SPINNING or any((t.recent_cpu or 0) > 0.5 for t in process.threads)
        yield found(
            case,
            RULE.name,
            f"Every descriptor is used ({used} of {limit}), and connections wait to be accepted"
            + (": accept fails again and again" if spins else ""),
            process,
            process.threads[0] if process.threads else None,
            waits_for="a free descriptor",
            evidence=(
                f"{used} descriptors are open, the limit (RLIMIT_NOFILE) is {limit}",
                *(f"listener {s.local}: {s.unread} connections not accepted" for s in waiting[:4]),
                f"kinds: {listing(sorted({each.kind for each in process.descriptors}))}",
            ),
            advice=ADVICE,
        )


RULE = Rule(
    "accept-at-emfile", "descriptors are at their limit while connections wait to be accepted", _examine
)

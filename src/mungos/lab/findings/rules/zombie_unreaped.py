"""Children have ended, and nobody asks for their status."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing, signal_name
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Call wait() for every child that is started (Popen.wait, a SIGCHLD handler, with), and don't ask by "
    "kill(pid, 0) whether it lives: a zombie does. As process 1, run an init (docker run --init)."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        if not process.zombies or not process.threads:
            continue
        count = len(process.zombies)
        first = process.inner == 1
        ignored = 17 in process.signals.ignored
        yield found(
            case,
            RULE.name,
            f"{count} child{'ren' * (count != 1)} ended and {'were' if count != 1 else 'was'} not waited for"
            + (": process 1 has to collect orphans as well" if first else ""),
            process,
            process.threads[0],
            evidence=(
                f"zombies: {listing(map(str, process.zombies))}",
                f"it does not catch {signal_name(17)}"
                if 17 not in process.signals.caught and not ignored
                else "",
            ),
            advice=ADVICE,
        )


RULE = Rule("zombie-unreaped", "children ended and were not waited for", _examine)

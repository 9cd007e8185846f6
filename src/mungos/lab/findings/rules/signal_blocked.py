"""A signal that should end or wake the process is pending, but blocked."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing, signal_name
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Unblock it (pthread_sigmask) in one thread, or take it with sigwait or a signalfd; a mask is "
    "inherited by children, so set it back before exec."
)

_HARMLESS = frozenset(
    {18, 19, 20, 21, 22, 23, 28, 9}
)  # job control, SIGURG, SIGWINCH; SIGKILL can't be blocked
_CHILD = 17


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        signals = process.signals
        stuck = (signals.pending & signals.blocked) - _HARMLESS
        if stuck == {_CHILD} and not (process.zombies and _CHILD in signals.caught):
            stuck = frozenset()
        stuck = frozenset(number for number in stuck if number < 32)
        if not stuck or not process.threads:
            continue
        names = listing(signal_name(number) for number in sorted(stuck))
        thread = process.threads[0]
        yield found(
            case,
            RULE.name,
            f"{names} {'are' if len(stuck) > 1 else 'is'} pending but blocked, and has no effect",
            process,
            thread,
            waits_for=f"{names}, which it blocks itself",
            evidence=(
                f"pending: {listing(signal_name(n) for n in sorted(signals.pending))}",
                f"blocked: {listing((signal_name(n) for n in sorted(signals.blocked) if n < 32), 12)}",
            ),
            advice=ADVICE,
        )


RULE = Rule(
    "signal-blocked", "a signal that should end or wake the process is pending, but blocked", _examine
)

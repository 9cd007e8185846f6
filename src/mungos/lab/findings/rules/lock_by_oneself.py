"""A thread that waits for a lock which it holds itself."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.lock_order import lockers
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Split the function into one that takes the lock and one that expects it held, or use an RLock if "
    "being entered twice is meant."
)
_ADVICE_NATIVE = "Make the mutex recursive only if being entered twice is meant; else unlock before calling."


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        for each in lockers(case, process):
            if each.locks.wanted is None or not any(key == each.locks.wanted for key, _ in each.locks.held):
                continue
            yield found(
                case,
                RULE.name,
                f"A thread waits for the lock {each.locks.wanted_name}, which it holds itself",
                process,
                each.thread,
                waits_for=f"itself, by the lock {each.locks.wanted_name}",
                evidence=[f"its frames: {stacks.place(frame)}" for frame in each.stack.frames[:6]],
                advice=ADVICE,
                likely=not each.locks.exact,
            )
        for thread in process.threads:
            words = thread.call.described if thread.call is not None else ""
            if calls.native_lock(thread) is not None and "a lock held by itself" in words:
                yield found(
                    case,
                    RULE.name,
                    "A thread waits for a mutex that it owns itself",
                    process,
                    thread,
                    waits_for="itself",
                    advice=_ADVICE_NATIVE,
                )


RULE = Rule("lock-by-oneself", "a thread waits for a lock that it holds itself", _examine)

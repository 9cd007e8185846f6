"""A thread waits for a lock whose holder waits for something else, or is gone."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.lock_order import holder_of, lockers, owner_of
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.sources import line_of
from mungos.lab.findings.wording import found, hung, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Don't wait (read, join, sleep) while a lock is held: take what is needed under the lock, release "
    "it, then wait; release in a `with` block, so that an exception can't keep it."
)
_ADVICE_NATIVE = (
    "Find which of the other threads holds it (gdb: p *mutex, __owner), and don't wait while holding."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process in scene_of(case).living():
        some = lockers(case, process)
        for each in some:
            wanted = each.locks.wanted
            if wanted is None or any(key == wanted for key, _ in each.locks.held):
                continue
            owner = holder_of(some, each)
            if owner is not None and owner.locks.wanted is not None and holder_of(some, owner) is each:
                continue  # see lock-order
            if owner is None and len(process.threads) == 1 and process.parent in scene_of(case).processes:
                continue  # nobody here holds it: see fork-with-lock
            line = line_of(case, process, stacks.owned(each.stack))
            yield found(
                case,
                RULE.name,
                f"A thread waits for the lock {each.locks.wanted_name}, whose holder waits for something else"
                if owner
                else f"A thread waits for the lock {each.locks.wanted_name}, which nobody is seen to "
                "hold any more",
                process,
                each.thread,
                waits_for=f"the lock {each.locks.wanted_name}"
                + (f", held by thread {owner.thread.tid} ({owner.stack.name})" if owner else ""),
                evidence=(
                    f"thread {each.thread.tid} is at {stacks.waits_at(each.stack)} `{line}`",
                    f"the holder: {stands(process, owner.thread)}" if owner else "",
                ),
                advice=ADVICE,
                likely=owner is None or not each.locks.exact,
            )
        waits = [thread for thread in process.threads if calls.native_lock(thread) is not None]
        python = any(stacks.python(process, thread) is not None for thread in waits)
        if len(waits) == 1 and not python and len(process.threads) > 1:
            others = [thread for thread in process.threads if thread is not waits[0]]
            if any(not calls.for_ever(thread) for thread in others):
                continue
            owned = owner_of(waits[0], process)
            yield found(
                case,
                RULE.name,
                "A thread waits for a mutex whose holder waits for something else",
                process,
                waits[0],
                waits_for=f"a mutex held by thread {owned}" if owned is not None else "a mutex",
                evidence=[stands(process, thread) for thread in (waits[0], *others[:4])],
                advice=_ADVICE_NATIVE,
                likely=owned is None,
            )


RULE = Rule(
    "lock-held", "a thread waits for a lock whose holder waits for something else, or is gone", _examine
)

"""A process waits for a lock on a file."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Holder
from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, holders, hung
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Take it without blocking and with a deadline (LOCK_NB), hold it shortly, and open the file once: "
    "locks of flock belong to the open file, so a second open() waits for the first."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process, thread in scene.threads():
        how = calls.file_lock(thread.call) if thread.call is not None else ""
        number = calls.descriptor_of(thread.call) if thread.call is not None else None
        each = next((one for one in process.descriptors if one.number == number), None)
        if not how:
            continue
        others = [
            Holder(other.pid, one.number, other.command)
            for other in scene.living()
            for one in other.descriptors
            if each is not None
            and one.target == each.target
            and (other.pid, one.number) != (process.pid, number)
        ]
        itself = bool(others) and all(held.pid == process.pid for held in others)
        target = each.target if each is not None else "a file"
        yield found(
            case,
            RULE.name,
            f"It waits for a lock ({how}) on {target}, "
            + ("which it holds itself by another descriptor" if itself else "held by somebody else"),
            process,
            thread,
            waits_for=f"the lock on {target}",
            evidence=(
                f"the file is open in {holders(others)}" if others else "no process of the tree has it open",
            ),
            advice=ADVICE,
            likely=not others,
        )


RULE = Rule("file-lock", "a process waits for a lock on a file (flock, fcntl)", _examine)

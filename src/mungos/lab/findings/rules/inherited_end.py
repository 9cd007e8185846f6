"""A child has inherited an end that it never uses: who waits for its end waits for ever."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Holder
from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.hidden_data import unread_of
from mungos.lab.findings.scene import Scene, scene_of
from mungos.lab.findings.wording import found, holders, hung, listing, stands
from mungos.lab.record import Finding

__all__ = ["RULE", "idle_holder"]

ADVICE = (
    "Keep it from being inherited (O_CLOEXEC, close_fds=True, spawn instead of fork, close it in the "
    "child), or say the end on the wire: shutdown() reaches the peer whoever else holds the socket."
)


def idle_holder(scene: Scene, held: Holder, reader: int) -> bool:
    """Whether the holder only has it, from its parent, and does something that has nothing to do with it."""
    process = scene.processes.get(held.pid)
    if process is None or process.orphan or held.pid == reader or held.descriptor < 3:
        return False
    parent = scene.processes.get(process.parent)
    if parent is None or not process.threads:
        return False
    idle = calls.SIGNAL | calls.NAP | calls.CHILD
    if all(calls.name_of(thread) in idle for thread in process.threads):
        return True
    other_program = process.executable != parent.executable
    used = any(
        held.descriptor == each.number for wait in scene.waits_of(held.pid) for each in wait.descriptors
    )
    return other_program and not used


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for wait in scene.waits:
        if wait.kind not in ("read", "ready") or not wait.for_ever:
            continue
        for each in wait.descriptors:
            state = each.socket.state if each.socket is not None else ""
            ends = [held for held in scene.opposite(each) if held.pid != wait.process.pid]
            if not ends or unread_of(each) or state in ("FIN_WAIT1", "FIN_WAIT2"):
                continue
            if not all(idle_holder(scene, held, wait.process.pid) for held in ends):
                continue
            keepers = [scene.processes[pid] for pid in sorted({held.pid for held in ends})]
            both = any(each.socket is not None and h.pid == p.pid for p in keepers
                       for h in (scene.sharing(each.socket) if each.socket is not None else ()))  # fmt: skip
            yield found(
                case,
                RULE.name,
                f"It waits for the end of descriptor {each.number}, which a child has inherited and "
                "keeps open: "
                f"{holders(ends, 2)}",
                wait.process,
                wait.thread,
                waits_for=f"process {listing(str(p.pid) for p in keepers)} to close its copy",
                evidence=(
                    f"the other end of descriptor {each.number} is held by {holders(ends)}, by nobody else",
                    *(f"process {p.pid} does not use it: {stands(p, p.threads[0])}" for p in keepers[:3]),
                    "the child holds both ends of this connection" if both else "",
                ),
                advice=ADVICE,
            )
            break


RULE = Rule(
    "inherited-end", "the end of a pipe or connection never comes: a child has inherited it", _examine
)

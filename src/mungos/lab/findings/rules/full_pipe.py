"""A writer is blocked, because who holds the other end does not read."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Descriptor
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import Scene, scene_of
from mungos.lab.findings.wording import found, holders, hung, socket_text, stands
from mungos.lab.record import Finding

__all__ = ["RULE", "filled"]

ADVICE = (
    "Read while the other one runs (communicate() instead of wait(), a reader thread or task, "
    "non-blocking writes that keep reading), or send its output to a file or /dev/null."
)


def filled(each: Descriptor) -> str:
    """How full it is, as text."""
    if each.pipe is not None:
        if each.pipe.unread is None:
            return "pipe"
        size = f" of {each.pipe.capacity}" if each.pipe.capacity is not None else ""
        return f"pipe with {each.pipe.unread}{size} bytes unread"
    return f"socket {socket_text(each.socket)}" if each.socket is not None else each.kind


def _full(each: Descriptor) -> bool:
    if each.pipe is not None:
        return each.pipe.unread is None or each.pipe.capacity is None or each.pipe.unread > 0
    return each.socket is not None and each.socket.kind != "datagram"


def _reads(scene: Scene, pid: int, numbers: set[int]) -> bool:
    """Whether a thread of the process waits to read it, or may still come to do so."""
    return any(
        wait.kind in ("read", "ready") and any(each.number in numbers for each in wait.descriptors)
        for wait in scene.waits_of(pid)
    )


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    told: set[tuple[int, int]] = set()
    for wait in scene.waits:
        each = wait.descriptors[0] if wait.kind == "write" and wait.descriptors else None
        if each is None or not _full(each) or not wait.for_ever:
            continue
        ends = [held for held in scene.opposite(each) if held.pid in scene.processes]
        if not ends or any(_reads(scene, h.pid, {h.descriptor}) for h in ends if h.pid != wait.process.pid):
            continue
        if (wait.process.pid, each.number) in told:
            continue
        told.add((wait.process.pid, each.number))
        itself = all(held.pid == wait.process.pid for held in ends)
        readers = [scene.processes[pid] for pid in sorted({h.pid for h in ends if h.pid != wait.process.pid})]
        back = [p for p in readers if any(wait.process.pid in w.targets for w in scene.waits_of(p.pid))]
        title = (
            f"A writer is blocked: the buffer of descriptor {each.number} is full and only the writer "
            "itself could read it"
            if itself
            else f"A writer is blocked: the buffer of descriptor {each.number} is full and "
            f"{holders(ends, 2)} does not read it" + (", but waits for the writer" if back else "")
        )
        yield found(
            case,
            RULE.name,
            title,
            wait.process,
            wait.thread,
            waits_for=f"a reader: {holders(ends)}",
            evidence=(
                f"descriptor {each.number}: {filled(each)}",
                stands(wait.process, wait.thread),
                *(
                    f"the reader, process {p.pid}: {stands(p, p.threads[0])}"
                    for p in readers[:3]
                    if p.threads
                ),
                *(f"cycle: {wait.process.pid} -> {p.pid} -> {wait.process.pid}" for p in back[:1]),
            ),
            advice=ADVICE,
        )


RULE = Rule(
    "full-pipe", "a writer is blocked: the buffer is full and who holds the other end does not read", _examine
)

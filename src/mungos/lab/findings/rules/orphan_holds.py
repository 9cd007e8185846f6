"""A process that outlived its parent keeps a pipe or a port open."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Descriptor, Process
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import Scene, scene_of
from mungos.lab.findings.wording import command, found, hung, listing
from mungos.lab.record import Finding
from mungos.lab.verdicts import Verdict

__all__ = ["RULE", "holdings"]

ADVICE = (
    "End it with what started it (a process group, PR_SET_PDEATHSIG, kill and wait in a finally), and "
    "don't let it inherit what it does not need (close_fds, O_CLOEXEC, its output to /dev/null)."
)


def _waited_for(scene: Scene, process: Process, each: Descriptor) -> int | None:
    """The process that waits for the other end of this one."""
    ends = {(held.pid, held.descriptor) for held in scene.opposite(each)}
    for wait in scene.waits:
        if wait.process.pid != process.pid and wait.kind in ("read", "ready"):
            if any((wait.process.pid, other.number) in ends for other in wait.descriptors):
                return wait.process.pid
    return None


def holdings(scene: Scene, process: Process) -> list[str]:
    """Ports, and pipes and connections that lead out of the process, as text."""
    texts = []
    for each in process.descriptors:
        socket = each.socket
        if socket is not None and socket.state == "LISTEN":
            texts.append(f"the listening socket {socket.local} (descriptor {each.number})")
        elif socket is not None and socket.state not in ("CLOSE", "UNCONNECTED") and socket.remote:
            texts.append(f"the connection {socket.local} to {socket.remote} (descriptor {each.number})")
        elif socket is not None and socket.family in ("inet", "inet6") and socket.local:
            texts.append(f"the {socket.kind} socket {socket.local} (descriptor {each.number})")
        elif each.pipe is not None:
            ends = [held for held in scene.opposite(each) if held.pid != process.pid]
            if ends:
                whose = listing(f"{held.pid} ({command(held.command)})" for held in ends[:3])
                texts.append(f"the {each.pipe.end} end of a pipe of {whose} (descriptor {each.number})")
    return texts


def _examine(case: Case) -> Iterator[Finding]:
    scene = scene_of(case)
    leaked = case.verdict is Verdict.LEAKED
    if not leaked and not hung(case):
        return
    for process in scene.living():
        if not process.orphan and not leaked:
            continue
        held = holdings(scene, process)
        if not leaked:
            awaited = [(each, _waited_for(scene, process, each)) for each in process.descriptors]
            held = [f"descriptor {each.number} ({each.target})" for each, pid in awaited if pid is not None]
            waiters = sorted({pid for _, pid in awaited if pid is not None})
        else:
            waiters = []
        if not held:
            continue
        yield found(
            case,
            RULE.name,
            f"A process that outlived its parent keeps {listing(held, 3)} open",
            process,
            process.threads[0] if process.threads else None,
            evidence=(
                f"process {process.pid} is {process.age:.1f} s old; its first parent ended before it",
                f"it holds {listing(held)}",
                f"process{'es' * (len(waiters) > 1)} {listing(map(str, waiters))} wait for the other end"
                if waiters
                else "",
            ),
            advice=ADVICE,
        )


RULE = Rule(
    "orphan-holds", "a process that outlived its parent keeps a pipe, connection or port open", _examine
)

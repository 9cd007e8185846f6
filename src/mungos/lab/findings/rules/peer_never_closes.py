"""One side has said its end and waits for the other's, which never comes."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Process, Thread
from mungos.lab.findings import stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.hidden_data import unread_of
from mungos.lab.findings.rules.inherited_end import idle_holder
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, holders, hung, socket_text, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Give the wait for the peer's end a deadline and close after it; in the peer, close a connection "
    "when its end is read."
)

_SAID = ("FIN_WAIT1", "FIN_WAIT2")


def _thread(process: Process) -> Thread | None:
    return process.threads[0] if process.threads else None


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    told: set[tuple[int, int]] = set()
    for wait in scene.waits:
        if wait.kind not in ("read", "ready") or not wait.for_ever:
            continue
        if stacks.passes(
            stacks.python(wait.process, wait.thread), "multiprocessing/pool.py", "_handle_results"
        ):
            continue  # a helper of a pool waits by design
        for each in wait.descriptors:
            socket = each.socket
            said = socket is not None and socket.state in _SAID
            pair = [end for end in scene.opposite(each) if end.pid != wait.process.pid]
            direct = (
                wait.kind == "read" and socket is not None and socket.state == "ESTABLISHED" and bool(pair)
            )
            piped = wait.kind == "read" and each.pipe is not None and bool(pair)
            if unread_of(each) or (wait.process.pid, each.number) in told or not (said or direct or piped):
                continue
            if piped and any(end.descriptor < 3 for end in pair):
                continue  # the output of a program that still runs: see waits-on-child
            living = [scene.processes[end.pid] for end in pair if end.pid in scene.processes]
            if not said:
                if not living or any(idle_holder(scene, end, wait.process.pid) for end in pair):
                    continue
                if any(wait.process.pid in other.targets for p in living for other in scene.waits_of(p.pid)):
                    continue  # both wait: see wait-cycle
            if (
                said
                and not pair
                and socket is not None
                and scene.pairs(socket) == []
                and not socket.peer_known
            ):
                continue  # it is not there any more: see half-open-peer
            told.add((wait.process.pid, each.number))
            closing = [
                f"its end: descriptor {d.number} of process {p.pid}, {socket_text(s)}"
                for p, d, s in (scene.pairs(socket) if socket is not None else [])
            ]
            yield found(
                case,
                RULE.name,
                f"It has said its end on descriptor {each.number} and waits for the peer's, which never comes"
                if said
                else f"It waits for data or the end of descriptor {each.number}, and the peer, who "
                "lives, sends neither",
                wait.process,
                wait.thread,
                waits_for=f"the end from {holders(pair) if pair else 'its peer'}",
                evidence=(
                    f"descriptor {each.number}: {socket_text(socket)}"
                    if socket is not None
                    else f"pipe {each.number}",
                    *closing[:2],
                    *(f"the peer, process {p.pid}: {stands(p, t)}" for p in living[:2] if (t := _thread(p))),
                ),
                advice=ADVICE,
                likely=not said,
            )


RULE = Rule(
    "peer-never-closes",
    "one side waits for the end of a connection that its living peer never sends",
    _examine,
)

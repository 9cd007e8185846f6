"""A connection is established, its peer is gone or silent, and nothing would ever notice."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Descriptor, Socket
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules import peer_never_closes
from mungos.lab.findings.rules.inherited_end import idle_holder
from mungos.lab.findings.scene import Scene, Wait, scene_of
from mungos.lab.findings.wording import found, hung, socket_text
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Set a read deadline or an idle time-out, and SO_KEEPALIVE (with TCP_KEEPIDLE) or pings of the "
    "protocol, so that a vanished peer is noticed."
)


def _silent(scene: Scene, wait: Wait, each: Descriptor, socket: Socket) -> tuple[str, bool]:
    """Why nothing comes on this connection, and whether that is only likely; empty when it may."""
    ends = [end for end in scene.opposite(each) if end.pid != wait.process.pid]
    own = [end for end in scene.opposite(each) if end.pid == wait.process.pid]
    if own:
        return "", False
    if not ends:
        listening = any(
            one.socket is not None
            and one.socket.state == "LISTEN"
            and one.socket.local.rpartition(":")[2] == socket.remote.rpartition(":")[2]
            and one.socket.unread
            for other in scene.living()
            for one in other.descriptors
        )
        if listening or scene.loose_pair(socket) is not None:
            return "", False  # it stands in a backlog, or the kernel still works on it
        where = (
            "is in no namespace that can be seen"
            if not socket.peer_known
            else "is held by no process that can be seen"
        )
        return f"its peer {socket.remote} {where}", socket.peer_known
    living = [scene.processes[end.pid] for end in ends if end.pid in scene.processes]
    if not living or any(idle_holder(scene, end, wait.process.pid) for end in ends):
        return "", False
    if any(process.state in "Tt" for process in living):
        return f"its peer, process {living[0].pid}, is stopped", False
    return "", False  # it lives: see peer-never-closes and wait-cycle


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    closing = {finding.pid for finding in peer_never_closes.RULE.examine(case)}
    told: set[int] = set()
    for wait in scene.waits:
        if wait.kind not in ("read", "ready") or not wait.for_ever or wait.process.pid in closing | told:
            continue
        for each in wait.descriptors:
            socket = each.socket
            if socket is None or socket.family not in ("inet", "inet6") or socket.kind != "stream":
                continue
            if socket.state not in ("ESTABLISHED", "FIN_WAIT2") or socket.unread or socket.timer:
                continue
            why, likely = _silent(scene, wait, each, socket)
            if not why:
                continue
            told.add(wait.process.pid)
            yield found(
                case,
                RULE.name,
                f"It waits on an established connection to {socket.remote}, of which nothing will ever "
                "come: no "
                "keep-alive, no time-out",
                wait.process,
                wait.thread,
                waits_for=f"data from {socket.remote}",
                evidence=(f"descriptor {each.number}: {socket_text(socket)}", why),
                advice=ADVICE,
                likely=likely,
            )
            break


RULE = Rule("half-open-peer", "a connection's peer is gone or silent, and no timer would notice", _examine)

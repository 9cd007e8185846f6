"""Connections stand in a listener's backlog and nobody accepts them."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, listing, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Close the listener when no more is to be accepted (then clients get a reset at once), or keep it "
    "in the loop; accept until EAGAIN."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    told: set[int] = set()
    for process in scene.living():
        if process.descriptor_limit is not None and len(process.descriptors) >= process.descriptor_limit - 1:
            continue  # see accept-at-emfile
        for each in process.descriptors:
            socket = each.socket
            if socket is None or socket.state != "LISTEN" or not socket.unread or socket.inode in told:
                continue
            port = socket.local.rpartition(":")[2]
            clients = [
                wait
                for wait in scene.waits
                if wait.kind in ("read", "write", "ready", "connect")
                and any(
                    one.socket is not None
                    and (one.socket.remote.rpartition(":")[2] == port or one.socket.remote == socket.local)
                    and one.socket.state not in ("LISTEN",)
                    for one in wait.descriptors
                )
            ]
            if any(
                calls.name_of(t) in calls.ACCEPT and calls.descriptor_of(t.call) == each.number
                for t in process.threads
                if t.call is not None
            ):
                continue
            told.add(socket.inode)
            yield found(
                case,
                RULE.name,
                f"{socket.unread} connection{'s' * (socket.unread != 1)} to {socket.local} wait to be "
                "accepted, "
                "and nobody accepts",
                process,
                process.threads[0] if process.threads else None,
                evidence=(
                    f"listener {socket.local}, descriptor {each.number}: {socket.unread} in its backlog "
                    f"of {socket.unsent}",
                    f"who waits: {listing(f'process {w.process.pid}' for w in clients)}" if clients else "",
                    *(stands(w.process, w.thread) for w in clients[:2]),
                ),
                advice=ADVICE,
            )


RULE = Rule(
    "connection-not-accepted", "connections wait in a listener's backlog, and nobody accepts them", _examine
)

"""A connection is being made, without a time-out, to somebody who does not answer."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, socket_text, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Connect with a time-out (settimeout, asyncio.timeout, a non-blocking connect and poll); to stop "
    "a thread in connect, shut its socket down before joining it."
)


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process, thread in scene.threads():
        if thread.call is None or thread.call.timeout is not None:
            continue
        awaited = calls.awaited(process, thread)
        connects = thread.call.name == "connect"
        waits = connects or (thread.call.name in calls.READY and calls.for_ever(thread))
        target = next(
            (e for e in awaited if e.socket is not None and (connects or e.socket.state == "SYN_SENT")), None
        )
        if not waits or (target is None and not connects):
            continue
        socket = target.socket if target is not None else None
        to = (socket.remote if socket is not None else "") or "its peer"
        full = [
            f"listener {each.socket.local} of process {other.pid}: {each.socket.unread} of "
            f"{each.socket.unsent} "
            "connections wait to be accepted"
            for other in scene.living()
            for each in other.descriptors
            if each.socket is not None and each.socket.state == "LISTEN" and each.socket.unread
        ]
        others = [t for t in process.threads if t is not thread and calls.name_of(t) in calls.FUTEX]
        yield found(
            case,
            RULE.name,
            f"It is connecting to {to} without a time-out, and nobody answers",
            process,
            thread,
            waits_for=f"an answer from {to}",
            evidence=(
                f"socket {socket_text(socket)}" if socket is not None else "",
                *full[:3],
                *(f"meanwhile {stands(process, t)}" for t in others[:2]),
            ),
            advice=ADVICE,
        )


RULE = Rule("blocked-connect", "a connection is being made without a time-out, and nobody answers", _examine)

"""A server waits for visitors, and nobody comes."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Descriptor
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import Scene, Wait, scene_of
from mungos.lab.findings.wording import found, hung, listing
from mungos.lab.record import Finding

__all__ = ["RULE", "doors_of"]

ADVICE = (
    "If it is a server that is meant to go on, use --idle-ok; else have it stop when told to (a signal, "
    "a message), or give accept a deadline."
)


def doors_of(wait: Wait) -> list[str]:
    """The addresses on which visitors are awaited; nothing when it waits for something else as well."""
    open_ones: list[str] = []
    for each in wait.descriptors:
        if _door(each) and each.socket is not None:
            open_ones.append(each.socket.local)
        elif each.socket is not None and each.socket.family in ("inet", "inet6"):
            return []
    return open_ones


def _door(each: Descriptor) -> bool:
    socket = each.socket
    if socket is None or not socket.local:
        return False
    if socket.state == "LISTEN":
        return not socket.unread
    return socket.kind == "datagram" and not socket.remote and not socket.unread


def _expected(scene: Scene, pid: int) -> bool:
    """Whether another process waits for this one: then it is no mere server. Another server does not count:
    the workers of one share their listener, and often a channel."""
    return any(pid in wait.targets and not doors_of(wait) for wait in scene.waits if wait.kind != "child")


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for wait in scene.waits:
        # With a time-out, too: a loop that looks now and then whether it is to stop.
        if wait.kind not in ("accept", "read", "ready") or not (wait.for_ever or wait.kind == "ready"):
            continue
        doors = doors_of(wait)
        if not doors or _expected(scene, wait.process.pid):
            continue
        yield found(
            case,
            RULE.name,
            f"It waits for visitors on {listing(doors, 3)}, and nobody comes",
            wait.process,
            wait.thread,
            waits_for="a connection or a datagram",
            evidence=("nothing waits to be accepted or read there",),
            advice=ADVICE,
            likely=True,
        )


RULE = Rule("idle-server", "a server waits for visitors, and nobody comes", _examine)

"""Bytes are to be written, but the loop waits only for reading."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.findings import calls, sources, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.rules.hidden_data import both_wait
from mungos.lab.findings.scene import scene_of
from mungos.lab.findings.wording import found, hung, socket_text
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Arm write interest whenever something is left to write (after a handshake step, SSLWantWrite, a "
    "short send), and disarm it when all is written."
)

_OUT = 4
_WRITING = ("EPOLLOUT", "POLLOUT", "EVENT_WRITE", "SSLWantWrite", "add_writer")


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process, thread in scene.threads():
        if calls.name_of(thread) not in calls.READY or not calls.for_ever(thread):
            continue
        stack = stacks.python(process, thread)
        if not sources.mentions(case, process, stack, *_WRITING):
            continue
        number = calls.descriptor_of(thread.call) if thread.call is not None else None
        own = next((each for each in process.descriptors if each.number == number), None)
        if own is not None and own.name_only:
            continue
        armed = {entry.descriptor for entry in own.epoll if entry.events & _OUT} if own is not None else set()
        for each in calls.awaited(process, thread):
            peer = both_wait(scene, process, each)
            if peer is None or each.socket is None or each.number in armed:
                continue
            yield found(
                case,
                RULE.name,
                "Both ends of a connection wait to read: what is to be written on descriptor "
                f"{each.number} is not armed",
                process,
                thread,
                waits_for=f"process {peer}, which waits for this one",
                evidence=(
                    f"descriptor {each.number}: {socket_text(each.socket)}",
                    f"it is watched for reading only, and the peer, process {peer}, waits to read as well",
                ),
                advice=ADVICE,
                likely=True,
            )
            break


RULE = Rule("write-not-armed", "bytes are to be written, but the loop waits only for reading", _examine)

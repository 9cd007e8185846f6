"""A loop sleeps, and the descriptor that would wake it is closed."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Descriptor, Process, Thread
from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import scene_of, seen_whole
from mungos.lab.findings.wording import found, hung, listing, stands
from mungos.lab.record import Finding

__all__ = ["RULE"]

ADVICE = (
    "Wake the loop first, join its thread, and only then close the eventfd or the self-pipe; treat an "
    "error of the notify as an error."
)


def _reason(process: Process, thread: Thread) -> tuple[str, bool]:
    """Why nothing can wake the thread, and whether that is only likely; empty when something can."""
    call = thread.call
    if call is None or not calls.for_ever(thread):
        return "", False
    table: dict[int, Descriptor] = {each.number: each for each in process.descriptors}
    number = calls.descriptor_of(call)
    if not seen_whole(process):
        return "", False  # what is not in the table may be open all the same
    if number is not None and table and number not in table and call.name in calls.READ | calls.READY:
        return f"descriptor {number} was closed while the thread waits on it", False
    polled = [entry.descriptor for entry in call.polled]
    if polled and not call.name.startswith("epoll") and not set(polled) & set(table):
        which = listing(f"descriptor {number}" for number in polled)
        return f"all that it polls was closed meanwhile: {which}", False
    if number is None or not call.name.startswith("epoll"):
        return "", False
    own = table.get(number)
    if own is None or own.kind != "epoll" or own.name_only:
        return "", False
    if not own.epoll:
        return f"epoll {number} watches nothing at all: what would have woken it is closed", False
    gone = [entry.descriptor for entry in own.epoll if entry.descriptor not in table]
    if gone and len(gone) == len(own.epoll):
        return f"all that epoll {number} watches is closed: descriptors {gone}", False
    watched = {entry.descriptor for entry in own.epoll}
    for each in process.descriptors:
        if each.kind == "eventfd" and each.eventfd and each.number not in watched:
            return (
                f"eventfd {each.number} was notified ({each.eventfd}), but epoll {number} does not watch it",
                True,
            )
    return "", False


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    for process, thread in scene_of(case).threads():
        reason, likely = _reason(process, thread)
        if reason:
            yield found(
                case,
                RULE.name,
                f"A loop sleeps, and what would wake it is gone: {reason}",
                process,
                thread,
                waits_for="a notification that cannot come",
                evidence=(reason, stands(process, thread)),
                advice=ADVICE,
                likely=likely,
            )


RULE = Rule("closed-wakeup", "a loop sleeps and the descriptor that would wake it is closed", _examine)

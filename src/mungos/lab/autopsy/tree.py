"""Which processes the trees consist of, and who of them lost the one that started it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from mungos.lab.autopsy.proc import Stat, names, stat_of, status_of

__all__ = ["find", "inner_of", "orphans", "parents_first", "zombies_by_parent"]


def find(roots: Sequence[int], own: Collection[int]) -> tuple[list[Stat], list[Stat]]:
    """The processes of the trees, parents before children: those to be examined, and those of `own`."""
    children: dict[int, list[Stat]] = {}
    by_number: dict[int, Stat] = {}
    for pid in names("/proc"):
        found = stat_of(pid)
        if found is not None:
            by_number[pid] = found
            children.setdefault(found.parent, []).append(found)
    kept: list[Stat] = []
    left_out: list[Stat] = []
    seen: set[int] = set()
    waiting = [by_number[pid] for pid in roots if pid in by_number]
    while waiting:
        each = waiting.pop(0)
        if each.pid in seen:
            continue
        seen.add(each.pid)
        (left_out if each.pid in own else kept).append(each)
        waiting += children.get(each.pid, [])
    return parents_first(kept), left_out


def parents_first(found: list[Stat]) -> list[Stat]:
    """The processes in an order in which each comes after its parent."""
    # A root may stand below another one: breadth first alone would show it before its parent.
    inside = {each.pid for each in found}
    depth: dict[int, int] = {}
    by_number = {each.pid: each for each in found}
    for each in found:
        chain: list[int] = []
        pid = each.pid
        while pid in inside and pid not in depth:
            depth[pid] = 0  # a circle can't be, but a torn snapshot may look like one
            chain.append(pid)
            pid = by_number[pid].parent
        below = depth[pid] + 1 if pid in depth and pid not in chain else 0
        for number in reversed(chain):
            depth[number], below = below, below + 1
    return sorted(found, key=lambda each: (depth[each.pid], each.started, each.pid))


def orphans(
    kept: Sequence[Stat], roots: Collection[int], own: Collection[int], inner: Mapping[int, tuple[int, ...]]
) -> frozenset[int]:
    """Those whose first parent ended before them: adopted by the lab's init, its keeper, or process 1.

    A child of the lab's own was started by it when it is a root. Where no root is left to be the command, it
    is number 2 in its own namespace, the init's first child; without one, whoever leads its own group and
    came before all that it could leave behind.

    Args:
        kept: the processes.
        roots, own: as `examine` has them.
        inner: numbers of each process, from the lab's namespace inwards.
    """
    adopted = [each for each in kept if each.parent in own or (each.parent <= 1 and each.pid not in roots)]
    found = {each.pid for each in adopted if each.pid not in roots}
    if not all(root in own for root in roots):
        return frozenset(found)
    numbers = {each.pid: inner.get(each.pid, ()) for each in adopted}
    if any(len(levels) > len(inner_of(os.getpid())) for levels in numbers.values()):
        return frozenset(pid for pid in found if numbers[pid][-1:] != (2,))
    leaders = [each for each in adopted if each.group == each.pid]
    if leaders:
        first = min(leaders, key=lambda each: (each.started, each.pid))
        if all(first.started <= each.started for each in adopted):
            found.discard(first.pid)
    return frozenset(found)


def inner_of(pid: int) -> tuple[int, ...]:
    """A process's numbers in all namespaces that it is in, from ours inwards."""
    return tuple(int(word) for word in status_of(f"/proc/{pid}/status").get("NSpid", "").split()) or (pid,)


def zombies_by_parent(kept: Iterable[Stat]) -> dict[int, tuple[int, ...]]:
    """Children that ended and were not waited for. A leader whose other threads go on is none of them."""
    found: dict[int, tuple[int, ...]] = {}
    for each in kept:
        if each.state == "Z" and len(names(f"/proc/{each.pid}/task")) <= 1:
            found[each.parent] = (*found.get(each.parent, ()), each.pid)
    return found

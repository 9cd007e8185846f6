"""The case as a graph: who waits, on what, and who could end that wait.

A wait that several could end is only hopeless when none of them can; so a ring of processes counts as a cycle
when every one that could wake a member is a member itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mungos.lab.facts import Descriptor, Holder, Process, Socket, Thread
from mungos.lab.findings import calls
from mungos.lab.findings.contract import Case

__all__ = ["Scene", "Wait", "scene_of", "seen_whole"]

_WHOLE = 1 << 32


@dataclass(frozen=True, slots=True)
class Wait:
    """A thread that waits, and the processes that could end its wait."""

    process: Process
    thread: Thread
    kind: (
        str  # "read", "write", "ready", "child", "accept", "connect", "futex", "sleep", "file lock", "other"
    )
    descriptors: tuple[Descriptor, ...]
    targets: frozenset[int]  # outer pids, its own left out
    outside: bool  # somebody who was not seen could end it too
    for_ever: bool


class Scene:
    """A case's processes, indexed; waits and their ends."""

    def __init__(self, case: Case) -> None:
        self.case = case
        autopsy = case.autopsy
        every = autopsy.processes if autopsy is not None else ()
        self.processes = {process.pid: process for process in every}
        self.loose = autopsy.sockets if autopsy is not None else ()
        self._ends: dict[tuple[int, str], list[Holder]] = {}
        self._opposite: dict[int, tuple[Holder, ...]] = {}
        self._unnamed: dict[int, Socket] = {}
        self._halves: dict[int, int] | None = None
        self._same: dict[int, list[Holder]] = {}
        self._by_address: dict[tuple[str, str], list[tuple[Process, Descriptor, Socket]]] = {}
        for process in every:
            for each in process.descriptors:
                self._add(process, each)
        self.waits = tuple(self._wait(p, t) for p in every for t in p.threads if t.call is not None)

    def _add(self, process: Process, each: Descriptor) -> None:
        held = Holder(process.pid, each.number, process.command)
        if each.pipe is not None:
            for end in ("read", "write") if each.pipe.end == "both" else (each.pipe.end,):
                self._ends.setdefault((each.pipe.inode, end), []).append(held)
        if each.socket is not None:
            unnamed = each.socket.family == "unix" and not each.socket.local and not each.socket.remote
            if unnamed and each.socket.state == "ESTABLISHED":
                self._unnamed[each.socket.inode] = each.socket
            self._same.setdefault(each.socket.inode, []).append(held)
            key = (each.socket.local, each.socket.remote)
            self._by_address.setdefault(key, []).append((process, each, each.socket))

    @property
    def whole(self) -> bool:
        """Whether every holder of a pipe or socket is known; else "nobody else has it" is only likely."""
        autopsy = self.case.autopsy
        return (
            autopsy is not None
            and not autopsy.missing
            and all(seen_whole(process) for process in self.living())
        )

    def living(self) -> Iterator[Process]:
        """Its processes, those that have ended and wait for their parent left out."""
        return (process for process in self.processes.values() if process.state not in "ZX")

    def threads(self) -> Iterator[tuple[Process, Thread]]:
        """Every thread of every living process."""
        return ((process, thread) for process in self.living() for thread in process.threads)

    def children(self, pid: int) -> list[Process]:
        """Living children of a process."""
        return [process for process in self.living() if process.parent == pid]

    def opposite(self, each: Descriptor) -> tuple[Holder, ...]:
        """Who holds the other end of a pipe or of a connection."""
        found = self._opposite.get(id(each))  # the case keeps it alive for as long as the scene
        if found is None:
            found = self._opposite[id(each)] = self._ends_opposite(each)
        return found

    def _ends_opposite(self, each: Descriptor) -> tuple[Holder, ...]:
        if each.pipe is not None:
            end = "write" if each.pipe.end == "read" else "read"
            ends = () if each.pipe.end == "both" else self._ends.get((each.pipe.inode, end), ())
            return _once((*each.pipe.others, *ends))
        if each.socket is not None:
            shared = {
                (held.pid, held.descriptor) for held in (*self.sharing(each.socket), *each.socket.sharers)
            }
            others = [held for held in each.socket.others if (held.pid, held.descriptor) not in shared]
            pairs = [Holder(p.pid, d.number, p.command) for p, d, _ in self.pairs(each.socket)]
            if not others and not pairs and not each.socket.peer_known:
                pairs = self._guessed(each.socket)
            return _once((*others, *pairs))
        return ()

    def _guessed(self, socket: Socket) -> list[Holder]:
        """Who holds the other half of an unnamed socket pair, by its number: the halves are made together."""
        if self._halves is None:
            self._halves = _paired(inode for inode, each in self._unnamed.items() if not each.peer_known)
        other = self._halves.get(socket.inode)
        return self.sharing(self._unnamed[other]) if other is not None else []

    def pairs(self, socket: Socket) -> list[tuple[Process, Descriptor, Socket]]:
        """The opposite sockets of a connection that processes of the tree hold."""
        if not socket.remote or not socket.local or socket.family not in ("inet", "inet6"):
            return []
        found = self._by_address.get((socket.remote, socket.local), [])
        return [each for each in found if each[2].inode != socket.inode]

    def loose_pair(self, socket: Socket) -> Socket | None:
        """The opposite socket when no process holds it any more."""
        for each in self.loose:
            if each.local == socket.remote and each.remote == socket.local and each.local:
                return each
        return None

    def sharing(self, socket: Socket) -> list[Holder]:
        """Everybody who has this very socket open."""
        return self._same.get(socket.inode, [])

    def waits_of(self, pid: int) -> list[Wait]:
        """The waits of a process's threads."""
        return [wait for wait in self.waits if wait.process.pid == pid]

    def _wait(self, process: Process, thread: Thread) -> Wait:
        call = thread.call
        name = calls.name_of(thread)
        descriptors = calls.awaited(process, thread)
        targets: set[int] = set()
        outside = False
        if name in calls.CHILD:
            targets = {each.pid for each in self._awaited_children(process, thread)}
            kind = "child"
        elif name in calls.READ | calls.WRITE | calls.READY:
            kind = "read" if name in calls.READ else "write" if name in calls.WRITE else "ready"
            for each in descriptors:
                ends = {held.pid for held in self.opposite(each)}
                targets |= ends
                if not ends <= set(self.processes) or (
                    not ends and each.kind not in ("pipe", "eventfd", "epoll")
                ):
                    outside = True
                if each.socket is not None and each.socket.state == "LISTEN":
                    outside = True
            outside = outside or (name in calls.READY and not descriptors)
        elif name in calls.FUTEX:
            kind = "futex"
        elif name in calls.NAP:
            kind = "sleep"
        elif name in calls.ACCEPT or name == "connect":
            kind, outside = ("connect" if name == "connect" else "accept"), True
        elif call is not None and calls.file_lock(call):
            kind, outside = "file lock", True
        else:
            kind, outside = "other", True
        targets.discard(process.pid)
        seen = frozenset(pid for pid in targets if pid in self.processes)
        return Wait(process, thread, kind, descriptors, seen, outside, calls.for_ever(thread))

    def _awaited_children(self, process: Process, thread: Thread) -> list[Process]:
        """The children that a wait4 or waitid is for."""
        every = self.children(process.pid)
        call = thread.call
        if call is None or not call.arguments:
            return every
        first, second = (*call.arguments, 0)[:2]
        wanted = (second if first == 1 else 0) if call.name == "waitid" else first
        if 0 < wanted < _WHOLE >> 1:
            return [child for child in every if child.inner == wanted] or every
        return every

    def cycles(self) -> list[tuple[int, ...]]:
        """Rings of processes that only wait for each other, each as the pids in the order of waiting."""
        edges: dict[int, set[int]] = {}
        for process in self.living():
            waits = self.waits_of(process.pid)
            ends = [wait for wait in waits if wait.kind != "futex"]
            whole = len(waits) == len(process.threads) and all(wait.for_ever for wait in waits)
            if whole and ends and not any(wait.outside for wait in ends):
                edges[process.pid] = {pid for wait in ends for pid in wait.targets}
        rings = []
        for component in _components(edges):
            closed = all(edges.get(pid, {0}) <= component for pid in component)
            if len(component) > 1 and closed:
                rings.append(_ring(component, edges))
        return rings

    def height(self, pid: int) -> int:
        """How long the chain of processes is that this one waits for; 0 when it waits for none."""
        level, seen, front = 0, {pid}, {pid}
        while front:
            front = {
                target
                for each in front
                for wait in self.waits_of(each)
                for target in wait.targets
                if target not in seen
            }
            seen |= front
            level += bool(front)
        return level


def seen_whole(process: Process) -> bool:
    """Whether all of a process's descriptors are known, at least by name."""
    return bool(process.descriptors or process.executable) and process.descriptors_open <= len(
        process.descriptors
    )


def _once(some: Iterable[Holder]) -> tuple[Holder, ...]:
    """Each descriptor once, whatever its holder's command is called."""
    found: dict[tuple[int, int], Holder] = {}
    for each in some:
        found.setdefault((each.pid, each.descriptor), each)
    return tuple(found.values())


def _paired(inodes: Iterable[int]) -> dict[int, int]:
    """Each with its neighbour, in runs of consecutive numbers of even length; an odd one tells nothing."""
    runs: list[list[int]] = []
    for inode in sorted(inodes):
        if runs and runs[-1][-1] == inode - 1:
            runs[-1].append(inode)
        else:
            runs.append([inode])
    found: dict[int, int] = {}
    for run in runs:
        if len(run) % 2 == 0:
            for first, second in zip(run[::2], run[1::2], strict=True):
                found |= {first: second, second: first}
    return found


def _components(edges: dict[int, set[int]]) -> list[set[int]]:
    """Strongly connected components, by who reaches whom: trees of processes are small."""
    reach: dict[int, set[int]] = {}
    for start, following in edges.items():
        seen: set[int] = set()
        waiting = list(following)
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting.extend(edges.get(each, ()))
        reach[start] = seen
    found: list[set[int]] = []
    for pid in edges:
        if pid in reach[pid] and not any(pid in each for each in found):
            found.append({other for other in reach[pid] if other in edges and pid in reach[other]})
    return found


def _ring(component: set[int], edges: dict[int, set[int]]) -> tuple[int, ...]:
    """A way round through a component, from its smallest number, by the shortest way back to it."""
    start = min(component)
    ways: list[tuple[int, ...]] = [(start,)]
    while ways:
        way = ways.pop(0)
        for target in sorted(edges[way[-1]] & component):
            if target == start:
                return way
            if target not in way:
                ways.append((*way, target))
    return tuple(sorted(component))


_last: list[Scene] = []


def scene_of(case: Case) -> Scene:
    """The scene of a case; kept for the rules that follow on the same one."""
    if not _last or _last[0].case is not case:
        _last[:] = [Scene(case)]
    return _last[0]

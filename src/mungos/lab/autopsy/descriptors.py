"""Every descriptor of a process in full: pipes, sockets, epoll sets, event counters, timers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mungos.lab.autopsy.borrowing import Lender
from mungos.lab.autopsy.holders import Entry, Holders
from mungos.lab.autopsy.network import Network, Row, same_machine
from mungos.lab.autopsy.proc import read
from mungos.lab.autopsy.unix_peers import Peer
from mungos.lab.facts import Descriptor, EpollEntry, Holder, Pipe, Socket, Timer

__all__ = ["Surroundings", "describe_all", "kind_of"]

MOST_IN_FULL = 512  # descriptors of one process
MOST_URGENT = 64  # descriptors that threads wait on, of one process
MOST_POLLED = 256  # entries of epoll sets that are asked whether they are ready
MOST_ENTRIES_KEPT = 4096  # of one epoll set
_ANONYMOUS = {
    "eventpoll": "epoll",
    "eventfd": "eventfd",
    "timerfd": "timerfd",
    "signalfd": "signalfd",
    "inotify": "inotify",
    "fanotify": "fanotify",
    "pidfd": "pidfd",
    "io_uring": "io_uring",
    "userfaultfd": "userfaultfd",
    "perf_event": "perf event",
    "bpf-map": "bpf",
    "bpf-prog": "bpf",
}
_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/ptmx", "/dev/console", "/dev/pty")
_NAMESPACES = ("net:[", "mnt:[", "pid:[", "user:[", "uts:[", "ipc:[", "cgroup:[", "time:[")
_POLLABLE = {"pipe", "socket", "eventfd", "timerfd", "epoll", "pidfd", "inotify", "terminal"}


@dataclass(slots=True)
class Surroundings:
    """What a descriptor's description needs beside the process.

    Attributes:
        holders: who holds what.
        networks: the tables by namespace; the process's own first.
        peers: Unix sockets of all namespaces.
    """

    holders: Holders
    networks: Sequence[Network]
    peers: dict[int, Peer]

    def row(self, inode: int) -> tuple[Network, Row] | None:
        """A socket, in whichever namespace it was made."""
        for network in self.networks:
            row = network.rows.get(inode)
            if row is not None:
                return network, row
        return None


def kind_of(entry: Entry) -> str:
    """What it is, in the words of `Descriptor.kind`."""
    target = entry.target
    if entry.what:
        return entry.what
    if target.startswith("anon_inode:"):
        name = target.removeprefix("anon_inode:").strip("[]").partition(":")[0]
        return _ANONYMOUS.get(name, "other")
    if target.startswith("pidfd:"):
        return "pidfd"
    if target.startswith(_TERMINALS):
        return "terminal"
    if target.startswith("/memfd:"):
        return "memory"
    if target.startswith(_NAMESPACES):
        return "namespace"
    if target.startswith("/dev/") and target.count("/") == 2:
        return "device"
    return "file" if target.startswith("/") else "other"


def describe_all(
    pid: int, entries: Sequence[Entry], about: Surroundings, first: frozenset[int], until: float
) -> tuple[tuple[Descriptor, ...], int]:
    """The descriptors, the first few hundred in full, and how many are not.

    Args:
        pid: whose.
        entries: as found.
        about: the rest of the tree and its networks.
        first: those in which system calls wait: before all others, and in full however late it is.
        until: instant (monotonic) from which on none of the others is described in full any more.
    """
    wanted = {entry.number for entry in entries[:MOST_IN_FULL]} | first
    urgent = set(sorted(first)[:MOST_URGENT])
    found: list[Descriptor] = []
    short = 0
    polled = 0
    kinds = {entry.number: kind_of(entry) for entry in entries}
    with Lender(pid) as lender:
        for entry in sorted(entries, key=lambda each: each.number not in urgent):
            late = entry.number not in urgent and time.monotonic() > until
            if late or entry.number not in wanted:
                short += 1
                found.append(Descriptor(entry.number, kinds[entry.number], entry.target, name_only=True))
                continue
            each = _in_full(pid, entry, kinds[entry.number], about, lender)
            if each.epoll and polled < MOST_POLLED:
                each = replace(each, epoll=_with_readiness(each.epoll, kinds, lender, MOST_POLLED - polled))
                polled += len(each.epoll)
            found.append(each)
    return tuple(sorted(found, key=lambda each: each.number)), short


def _in_full(pid: int, entry: Entry, kind: str, about: Surroundings, lender: Lender) -> Descriptor:
    information = read(f"/proc/{pid}/fdinfo/{entry.number}").decode("utf-8", "replace")
    fields: dict[str, str] = {}
    entries: list[EpollEntry] = []
    for line in information.splitlines():
        key, _, value = line.partition(":")
        if key == "tfd":
            if len(entries) < MOST_ENTRIES_KEPT:
                words = value.split()
                entries.append(EpollEntry(int(words[0]), int(words[2], 16)))
        else:
            fields[key.strip()] = value.strip()
    flags = int(fields.get("flags") or "0", 8)
    basic = Descriptor(entry.number, kind, entry.target, flags)
    match kind:
        case "pipe":
            unread, capacity = lender.pipe(entry.number)
            others = about.holders.opposite(entry, pid)
            return replace(basic, pipe=Pipe(entry.inode, entry.end, unread, capacity, others))
        case "socket":
            return replace(basic, socket=_socket(pid, entry, about, lender))
        case "epoll":
            return replace(basic, epoll=tuple(entries))
        case "eventfd":
            return replace(basic, eventfd=_number(fields.get("eventfd-count"), 16))
        case "timerfd":
            return replace(basic, timer=_timerfd(fields))
    return basic


def _number(text: str | None, base: int) -> int | None:
    try:
        return int(text, base) if text is not None else None
    except ValueError:
        return None


def _timerfd(fields: dict[str, str]) -> Timer | None:
    """None when it is disarmed."""
    value, interval = _seconds(fields.get("it_value", "")), _seconds(fields.get("it_interval", ""))
    if not value and not interval:
        return None
    return Timer("timerfd", value, interval or None)


def _seconds(text: str) -> float:
    """ "(3, 250000000)" in seconds."""
    whole, _, part = text.strip("() ").partition(",")
    try:
        return int(whole) + int(part) / 1e9
    except ValueError:
        return 0.0


def _with_readiness(
    entries: tuple[EpollEntry, ...], kinds: dict[int, str], lender: Lender, most: int
) -> tuple[EpollEntry, ...]:
    wanted = [
        (each.descriptor, each.events)
        for each in entries[:most]
        if kinds.get(each.descriptor) in _POLLABLE  # signalfd would tell of our own signals
    ]
    ready = lender.ready(wanted)
    return tuple(replace(each, ready=ready.get(each.descriptor)) for each in entries)


def _socket(pid: int, entry: Entry, about: Surroundings, lender: Lender) -> Socket:
    known = about.row(entry.inode)
    holders = about.holders
    unread, unsent = lender.queues(entry.number)
    if known is None:
        # Closed at both ends, never bound, or of a family that /proc does not list.
        shared = holders.of_socket([entry.inode], pid, entry.number)
        return Socket(
            entry.inode, "unknown", "unknown", "CLOSE", "", "", unread, unsent, None, shared,
            peer_known=False, sharers=shared,
        )  # fmt: skip
    network, row = known
    others: list[Holder] = []
    peer_known = True
    if row.family == "unix":
        peer = about.peers.get(entry.inode)
        if peer is not None:
            if row.state == "LISTEN":
                unread, unsent = peer.unread, peer.unsent
            else:
                # The kernel counts memory, not bytes, in a Unix socket's send queue.
                opposite_end = about.peers.get(peer.peer)
                unsent = opposite_end.unread if opposite_end is not None else None
                unread = peer.unread if unread is None else unread
            if peer.peer:
                others += holders.of_socket([peer.peer], pid, entry.number)
        remote = _unix_remote(peer, about)
        peer_known = peer is not None and (bool(others) or not peer.peer)
    else:
        remote = row.remote
        if (row.family in {"inet", "inet6"} and row.kind == "stream") or unread is None:
            unread, unsent = row.unread, row.unsent
        opposite = network.opposite(row) if row.remote else None
        if opposite is not None and opposite.inode:
            others += holders.of_socket([opposite.inode], pid, entry.number)
        elif opposite is None:
            peer_known = not row.remote or same_machine(row)
    received = sent = None
    if row.kind == "stream" and row.family in {"inet", "inet6"}:
        times = lender.tcp(entry.number)
        if times is not None and row.state == "LISTEN":
            unread, unsent = times.queued, times.backlog
        elif times is not None and row.state not in {"CLOSE", "SYN_SENT"}:
            received, sent = times.received_ago, times.sent_ago
    shared = holders.of_socket([entry.inode], pid, entry.number)
    return Socket(
        entry.inode, row.family, row.kind, row.state, row.local, remote, unread, unsent, row.timer,
        tuple(others) + tuple(each for each in shared if each not in others),
        peer_known, received, sent, shared,
    )  # fmt: skip


def _unix_remote(peer: Peer | None, about: Surroundings) -> str:
    if peer is None or not peer.peer:
        return ""
    known = about.row(peer.peer)
    return known[1].local if known is not None else ""

"""Sockets as /proc/PID/net shows them: addresses, states, queues, timers, of one network namespace."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from mungos.lab.autopsy.proc import read, tick
from mungos.lab.facts import Socket

__all__ = ["Network", "Row", "look", "same_machine"]

TABLE_LIMIT = 8 << 20  # bytes of one table
TCP_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECV",
}
UNIX_STATES = {1: "UNCONNECTED", 2: "CONNECTING", 3: "ESTABLISHED", 4: "DISCONNECTING"}
UNIX_KINDS = {1: "stream", 2: "datagram", 5: "seqpacket"}
_LISTENING = 0x10000  # __SO_ACCEPTCON, net/unix
_INTERNET = (
    ("tcp", "inet", "stream"),
    ("tcp6", "inet6", "stream"),
    ("udp", "inet", "datagram"),
    ("udp6", "inet6", "datagram"),
    ("udplite", "inet", "datagram"),
    ("raw", "inet", "raw"),
    ("raw6", "inet6", "raw"),
    ("icmp", "inet", "raw"),
)


@dataclass(slots=True)
class Row:
    """One line of a table; `peer` is the inode of the opposite end, 0 when it is not known."""

    inode: int
    family: str
    kind: str
    state: str
    local: str
    remote: str
    unread: int | None = None
    unsent: int | None = None
    timer: str | None = None
    peer: int = 0
    ends: tuple[str, str] = ("", "")  # both addresses, mapped IPv4 as what it is

    def bare(self) -> Socket:
        """As a fact of its own, for one that no process holds."""
        return Socket(
            self.inode, self.family, self.kind, self.state, self.local, self.remote,
            self.unread, self.unsent, self.timer, peer_known=same_machine(self),
        )  # fmt: skip


@dataclass(slots=True)
class Network:
    """All tables of one namespace."""

    identity: str  # as /proc/PID/ns/net names it
    rows: dict[int, Row] = field(default_factory=dict)  # by inode
    unheld: list[Row] = field(default_factory=list)  # of no process: inode 0
    by_ends: dict[tuple[str, str, str], Row] = field(default_factory=dict)

    def opposite(self, row: Row) -> Row | None:
        """The other end of an internet socket, when it is in this namespace."""
        return self.by_ends.get((row.kind, row.ends[1], row.ends[0]))


def look(pid: int, identity: str) -> Network:
    """The tables of a process's network namespace; empty ones when they can't be read."""
    network = Network(identity)
    for name, family, kind in _INTERNET:
        for row in _internet(
            read(f"/proc/{pid}/net/{name}", TABLE_LIMIT).decode("ascii", "replace"), family, kind
        ):
            if row.inode:
                network.rows[row.inode] = row
            elif kind == "stream":
                network.unheld.append(row)
            if row.remote:
                network.by_ends[(kind, *row.ends)] = row
    for row in _unix(read(f"/proc/{pid}/net/unix", TABLE_LIMIT).decode("utf-8", "replace")):
        network.rows[row.inode] = row
    for row in _numbered(read(f"/proc/{pid}/net/netlink", TABLE_LIMIT).decode("ascii", "replace"), "netlink"):
        network.rows[row.inode] = row
    for row in _numbered(read(f"/proc/{pid}/net/packet", TABLE_LIMIT).decode("ascii", "replace"), "packet"):
        network.rows[row.inode] = row
    return network


def same_machine(row: Row) -> bool:
    """Whether the opposite end, if there is one, must be in the same namespace."""
    if row.family == "unix":
        return True
    host = row.ends[1].rpartition(":")[0].strip("[]")
    try:
        return (
            not host
            or ipaddress.ip_address(host).is_loopback
            or host == row.ends[0].rpartition(":")[0].strip("[]")
        )
    except ValueError:
        return False


def _internet(text: str, family: str, kind: str) -> Iterator[Row]:
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10:
            continue
        try:
            state = int(fields[3], 16)
            local, remote = _address(fields[1]), _address(fields[2])
            unsent, _, unread = fields[4].partition(":")
            yield Row(
                inode=int(fields[9]),
                family=family,
                kind=kind,
                state=TCP_STATES.get(state, str(state)) if kind == "stream" else _datagram_state(state),
                local=local[0],
                remote=remote[0],
                unread=int(unread, 16),
                unsent=int(unsent, 16),
                timer=_timer(fields[5], int(fields[6], 16), state) if kind == "stream" else None,
                ends=(local[1], remote[1]),
            )
        except ValueError:  # a table of another shape
            continue


def _datagram_state(state: int) -> str:
    return "ESTABLISHED" if state == 1 else "UNCONNECTED"


def _address(text: str) -> tuple[str, str]:
    """As it is written, and with a mapped IPv4 address as what it is; both empty for "nobody"."""
    host, _, port = text.partition(":")
    number = int(port, 16)
    # Each word is printed as a number of the machine's own byte order.
    raw = b"".join(int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8))
    if len(raw) == 4:
        name = socket.inet_ntop(socket.AF_INET, raw)
        return (f"{name}:{number}",) * 2 if number or any(raw) else ("", "")
    name = socket.inet_ntop(socket.AF_INET6, raw)
    shown = f"[{name}]:{number}" if number or any(raw) else ""
    if raw.startswith(b"\0" * 10 + b"\xff\xff"):
        return shown, f"{socket.inet_ntop(socket.AF_INET, raw[12:])}:{number}"
    return shown, shown


def _timer(text: str, tries: int, state: int) -> str | None:
    which, _, when = text.partition(":")
    seconds = int(when, 16) / tick()
    kind = int(which, 16)
    if kind == 1:
        return f"retransmit in {seconds:.1f} s, {tries} tries"
    if kind == 2:
        what = "FIN_WAIT2's end" if state == 5 else "keep-alive"
        return f"{what} in {seconds:.1f} s"
    if kind == 3:
        return f"gone in {seconds:.1f} s"
    if kind == 4:
        return f"window probe in {seconds:.1f} s, {tries} tries"
    return None


def _unix(text: str) -> Iterator[Row]:
    for line in text.splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) < 7:
            continue
        try:
            listening = int(fields[3], 16) & _LISTENING
            state = "LISTEN" if listening else UNIX_STATES.get(int(fields[5], 16), fields[5])
            kind = UNIX_KINDS.get(int(fields[4], 16), fields[4])
            yield Row(int(fields[6]), "unix", kind, state, fields[7] if len(fields) > 7 else "", "")
        except ValueError:
            continue


def _numbered(text: str, family: str) -> Iterator[Row]:
    lines = text.splitlines()
    if not lines:
        return
    names = lines[0].split()
    at = names.index("Inode") if "Inode" in names else -1
    for line in lines[1:]:
        fields = line.split()
        try:
            inode = int(fields[at])
        except (ValueError, IndexError):
            continue
        yield Row(inode, family, "raw", "UNCONNECTED", "", "")

"""Descriptors in words, as they stand in the description of a system call."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from mungos.lab.facts import Descriptor, Holder, Pipe, Socket
from mungos.lab.naming import brief

__all__ = ["descriptor_in_words", "holders_in_words", "set_in_words", "socket_address"]

MOST_NAMED = 4
_READABLE, _WRITABLE, _ENDED = 0x1, 0x4, 0x2018  # POLLIN, POLLOUT; POLLERR, POLLHUP, POLLRDHUP
_EDGE = 1 << 31


def holders_in_words(holders: Sequence[Holder], pid: int) -> str:
    """ "812 (sleep 1000), 813 (cat)"; whoever has it open twice is named once."""
    named: dict[int, str] = {}
    for holder in holders:
        own = f"itself (descriptor {holder.descriptor})"
        named.setdefault(holder.pid, own if holder.pid == pid else f"{holder.pid} ({brief(holder.command)})")
    shown = list(named.values())
    more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more


def descriptor_in_words(found: Descriptor | None, number: int, pid: int) -> str:
    """What a descriptor is, who is at its other end, and what lies in it."""
    if found is None:
        return f"descriptor {number}, which is not open"
    if found.pipe is not None:
        return f"pipe {number} {_pipe(found.pipe, pid)}"
    if found.socket is not None:
        return f"socket {number} {_socket(found.socket, pid)}".rstrip()
    if found.kind == "eventfd" and found.eventfd is not None:
        return f"eventfd {number} (counter {found.eventfd})"
    if found.kind == "timerfd":
        when = found.timer.within if found.timer is not None else None
        return f"timerfd {number} ({'disarmed' if when is None else f'fires in {when:.3g} s'})"
    if found.kind in {"file", "terminal", "device", "other"}:
        return f"{found.kind} {number} {found.target}"
    return f"{found.kind} {number}"


def _pipe(pipe: Pipe, pid: int) -> str:
    other = {"read": "write", "write": "read"}.get(pipe.end, "other")
    outside = [holder for holder in pipe.others if holder.pid != pid]
    if not pipe.others:
        held = f"whose {other} end nobody holds"
    elif not outside:
        held = f"whose {other} end is held by itself alone (descriptor {pipe.others[0].descriptor})"
    else:
        held = f"whose {other} end is held by {holders_in_words(pipe.others, pid)}"
    if pipe.unread:
        full = f" of {pipe.capacity}" if pipe.end == "write" and pipe.capacity else ""
        held += f", {pipe.unread}{full} bytes unread in it"
    return held


def _socket(found: Socket, pid: int) -> str:
    ends = found.local
    if found.remote:
        ends = f"{found.local} ↔ {found.remote}".strip()
    facts = [found.state]
    if found.state == "LISTEN":
        if found.unread:
            facts.append(f"{found.unread} connections not yet accepted")
    else:
        if found.unread is not None:
            facts.append(f"{found.unread} bytes unread" if found.unread else "nothing unread")
        if found.unsent:
            facts.append(f"{found.unsent} bytes unsent")
    if found.timer:
        facts.append(found.timer)
    text = f"{ends} ({', '.join(facts)})".strip()
    peers = [holder for holder in found.others if holder not in found.sharers]
    if peers:
        text += f" whose other end is held by {holders_in_words(peers, pid)}"
    return text


def set_in_words(
    wanted: Sequence[tuple[int, int]],
    ready: Mapping[int, int],
    descriptors: Mapping[int, Descriptor],
    pid: int,
    *,
    everything: bool = False,
) -> str:
    """A poll set: "3 sockets, none readable, 128 bytes unread in socket 7 127.0.0.1:4000".

    Args:
        wanted: descriptor and events.
        ready: what poll() says of those that could be asked.
        descriptors: the process's.
        pid: whose.
        everything: tell of data in sockets that are not in the set, too.
    """
    if not wanted:
        text = "an empty set"
    elif len(wanted) == 1:
        text = descriptor_in_words(descriptors.get(wanted[0][0]), wanted[0][0], pid)
        if wanted[0][0] not in descriptors:
            text = f"descriptor {wanted[0][0]}"
    else:
        text = _counted(wanted, descriptors)
    woken = {number: mask for number, mask in ready.items() if mask}
    reading = all(not events & _WRITABLE for _, events in wanted)
    if wanted and not woken and len(ready) == len(wanted):
        text += ", not ready" if len(wanted) == 1 else f", none {'readable' if reading else 'ready'}"
    elif woken:
        edges = {number for number, events in wanted if events & _EDGE}
        shown = [
            f"{number} is {_events_in_words(mask)}{' (edge-triggered)' if number in edges else ''}"
            for number, mask in list(woken.items())[:MOST_NAMED]
        ]
        text += f", but {', '.join(shown)}"
    numbers = {number for number, _ in wanted}
    for found in descriptors.values():
        inside = found.number in numbers
        if found.socket is None or not found.socket.unread or (len(wanted) == 1 and inside):
            continue
        if (inside or everything) and found.socket.state != "LISTEN":
            where = "" if inside else ", which is not in the set"
            text += (
                f", {found.socket.unread} bytes unread in socket {found.number} {found.socket.local}{where}"
            )
    return text


def _counted(wanted: Sequence[tuple[int, int]], descriptors: Mapping[int, Descriptor]) -> str:
    kinds: dict[str, int] = {}
    for number, _ in wanted:
        found = descriptors.get(number)
        kind = found.kind if found is not None else "unknown descriptor"
        kinds[kind] = kinds.get(kind, 0) + 1
    parts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _events_in_words(mask: int) -> str:
    words = []
    if mask & _READABLE:
        words.append("readable")
    if mask & _WRITABLE:
        words.append("writable")
    if mask & _ENDED:
        words.append("ended" if not mask & 0x8 else "in error")
    return " and ".join(words) or f"ready ({mask:#x})"


def socket_address(data: bytes) -> str:
    """A struct sockaddr in words."""
    if len(data) < 2:
        return "?"
    family = int.from_bytes(data[:2], "little" if data[0] else "big")
    if family == socket.AF_INET and len(data) >= 8:
        return f"{socket.inet_ntop(socket.AF_INET, data[4:8])}:{int.from_bytes(data[2:4], 'big')}"
    if family == socket.AF_INET6 and len(data) >= 24:
        return f"[{socket.inet_ntop(socket.AF_INET6, data[8:24])}]:{int.from_bytes(data[2:4], 'big')}"
    if family == socket.AF_UNIX:
        name = data[2:]
        text = name[1:] if name.startswith(b"\0") else name.partition(b"\0")[0]
        return ("@" if name.startswith(b"\0") else "") + text.rstrip(b"\0").decode("utf-8", "replace")
    return f"family {family}"

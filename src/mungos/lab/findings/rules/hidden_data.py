"""Data has arrived, but the wait is on something that stays quiet."""

from __future__ import annotations

from collections.abc import Iterator

from mungos.lab.facts import Descriptor, Process, Thread
from mungos.lab.findings import calls, sources, stacks
from mungos.lab.findings.contract import Case, Rule
from mungos.lab.findings.scene import Scene, scene_of
from mungos.lab.findings.wording import amount, found, hung, socket_text
from mungos.lab.record import Finding

__all__ = ["RULE", "both_wait", "unread_of"]

ADVICE = "Read an edge-triggered descriptor until EAGAIN; keep every connection that is read in the set."
_ADVICE_BUFFER = (
    "Ask the layer above first (SSLSocket.pending(), the reader's buffer) and wait on the socket only "
    "when it has nothing; or read until it would block."
)

_EDGE, _IN = 1 << 31, 1
_BUFFERS = (
    "wrap_socket(",
    "SSLContext(",
    "makefile(",
    "BufferedReader(",
    "wrap_bio(",
    "create_default_context(",
)


def unread_of(each: Descriptor) -> int:
    """Bytes that stand in the kernel for this descriptor."""
    if each.pipe is not None:
        return (each.pipe.unread or 0) if each.pipe.end != "write" else 0
    if each.socket is not None and each.socket.state != "LISTEN":
        return each.socket.unread or 0
    return 0


def both_wait(scene: Scene, process: Process, each: Descriptor) -> int | None:
    """The peer that waits to read this very connection, while nothing is under way in either direction."""
    if each.socket is None or each.socket.unread or each.socket.unsent:
        return None
    ends = {(held.pid, held.descriptor) for held in scene.opposite(each) if held.pid != process.pid}
    for wait in scene.waits:
        for other in wait.descriptors:
            if wait.kind in ("read", "ready") and (wait.process.pid, other.number) in ends:
                if wait.for_ever and not unread_of(other) and not (other.socket and other.socket.unsent):
                    return wait.process.pid
    return None


def _edge(process: Process, thread: Thread) -> Iterator[tuple[Descriptor, str]]:
    call = thread.call
    number = calls.descriptor_of(call) if call is not None and call.name.startswith("epoll") else None
    table = {each.number: each for each in process.descriptors}
    own = table.get(number) if number is not None else None
    if own is None or own.name_only or not calls.for_ever(thread):
        return
    watched = {entry.descriptor: entry for entry in own.epoll}
    for entry in own.epoll:
        each = table.get(entry.descriptor)
        if each is not None and entry.events & _EDGE and entry.events & _IN and unread_of(each):
            yield (
                each,
                "it is watched edge-triggered (EPOLLET), so that what was left unread brings no further "
                "event",
            )
    for each in process.descriptors:
        socket = each.socket
        if socket is None or socket.state not in ("ESTABLISHED", "CLOSE_WAIT") or not unread_of(each):
            continue
        held = watched.get(each.number)
        if held is None and len(process.threads) == 1:
            yield each, f"epoll {number} does not watch it"
        elif held is not None and not held.events & _IN:
            yield each, f"epoll {number} does not watch it for reading"


def _examine(case: Case) -> Iterator[Finding]:
    if not hung(case):
        return
    scene = scene_of(case)
    for process, thread in scene.threads():
        for each, why in _edge(process, thread):
            count = unread_of(each)
            yield found(
                case,
                RULE.name,
                f"{amount(count, 'byte')} stand unread in descriptor {each.number}, and the wait does "
                "not see them",
                process,
                thread,
                waits_for="an event that has already been",
                evidence=(
                    why,
                    f"descriptor {each.number}: {socket_text(each.socket)}"
                    if each.socket is not None
                    else "",
                    f"descriptor {each.number}: pipe with {amount(count, 'byte')} unread"
                    if each.pipe is not None
                    else "",
                ),
                advice=ADVICE,
                likely="EPOLLET" not in why,
            )
            break
        else:
            yield from _buffered(case, scene, process, thread)


def _buffered(case: Case, scene: Scene, process: Process, thread: Thread) -> Iterator[Finding]:
    """It waits for the socket to become ready, the peer waits for an answer, and a buffer lies between."""
    if calls.name_of(thread) not in calls.READY or not calls.for_ever(thread):
        return
    stack = stacks.python(process, thread)
    if not sources.mentions(case, process, stack, *_BUFFERS) and not _holds_buffer(process, thread):
        return
    watched = calls.awaited(process, thread) or process.descriptors
    for each in watched:
        peer = both_wait(scene, process, each) if each.socket is not None else None
        if peer is None or each.socket is None:
            continue
        own = stacks.owned(stack)
        line = sources.line_of(case, process, own)
        yield found(
            case,
            RULE.name,
            f"It waits on the quiet socket {each.number} while data most likely stand in a TLS object or "
            "reader above it",
            process,
            thread,
            waits_for="bytes on a socket whose data have been read already",
            evidence=(
                f"descriptor {each.number}: {socket_text(each.socket)}",
                f"the peer, process {peer}, waits for an answer on the same connection",
                f"the socket is wrapped by a buffering reader; it waits at {stacks.place(own)} `{line}`"
                if own
                else "",
            ),
            advice=_ADVICE_BUFFER,
            likely=True,
        )
        return


def _holds_buffer(process: Process, thread: Thread) -> bool:
    """Whether a frame of its stack has a TLS object or a buffered reader among its variables."""
    stack = stacks.python(process, thread)
    kinds = ("<SSLSocket", "<SSLObject", "<_SSLSocket", "<_io.BufferedReader", "<_ssl.", "<ssl.SSL")
    return stack is not None and any(
        text.startswith(kinds) for frame in stack.frames for _, text in frame.locals
    )


RULE = Rule("hidden-data", "data has arrived, but the wait is on something that stays quiet", _examine)

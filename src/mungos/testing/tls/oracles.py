"""What every lifecycle case owes, whatever it tries: a verdict, in time; a prefix of the data; no residue."""

from __future__ import annotations

from collections.abc import Collection

from mungos import Closed, CloseKind, CloseReason, Connection, Manager
from mungos.testing.tls.world import Notes, World

__all__ = ["ANY_BREAK", "Crowd", "ended", "exact_prefix", "no_residue", "one_verdict", "quiet"]

ANY_BREAK = frozenset({CloseKind.PEER_RESET, CloseKind.BROKEN, CloseKind.TRUNCATED, CloseKind.TLS_ALERT})
"""The verdicts that blame the peer or the world."""


def one_verdict(events: Collection[object], allowed: Collection[CloseKind]) -> CloseReason:
    """Exactly one Closed, nothing after it, and its verdict is an allowed one."""
    last = [event for event in events if isinstance(event, Closed)]
    if len(last) != 1:
        raise AssertionError(f"{len(last)} Closed events, not one: {list(events)}")
    if list(events)[-1] is not last[0]:
        raise AssertionError(f"events after Closed: {list(events)}")
    reason = last[0].reason
    if reason.kind not in allowed:
        raise AssertionError(f"the verdict is {reason!r}, not one of {[kind.value for kind in allowed]}")
    return reason


def exact_prefix(received: bytes | bytearray, sent: bytes | bytearray) -> None:
    """What was delivered is what was sent, up to some point."""
    if bytes(received) != bytes(sent[: len(received)]):
        at = next((i for i, (a, b) in enumerate(zip(received, sent, strict=False)) if a != b), len(sent))
        raise AssertionError(
            f"{len(received)} bytes came that are no prefix of {len(sent)} sent: from {at} on"
        )


def no_residue(manager: Manager) -> None:
    """Nothing is alive but listeners."""
    kept = [entry for entry in manager.ledger if not entry.what.startswith("listener ")]
    if kept or manager.connections:
        raise AssertionError(f"left behind: {[str(entry) for entry in kept]} {list(manager.connections)}")


def ended(
    world: World,
    notes: Notes,
    allowed: CloseKind | Collection[CloseKind],
    *,
    sent: bytes | bytearray | None = None,
    within: float = 5.0,
) -> CloseReason:
    """The oracle of every row: a verdict in time, an allowed one, once; a prefix of the data; no residue."""
    world.run(lambda: notes.closed, within)
    world.run(lambda: not any(manager.busy for manager in world.managers if not manager.closed), within)
    reason = one_verdict(notes.events, {allowed} if isinstance(allowed, CloseKind) else allowed)
    if sent is not None:
        exact_prefix(notes.data, sent)
    for face in notes.faces:
        manager = getattr(face, "manager", None)
        if isinstance(manager, Manager) and not manager.connections:
            no_residue(manager)
    return reason


def quiet(manager: Manager) -> None:
    """Nothing spins: the manager has nothing to do, and its poller nothing to report."""
    found = manager.wire.wait(0)
    if manager.busy or found:
        raise AssertionError(f"it is busy: ready list or calls {manager.busy}, poller reports {found}")


class Crowd:
    """A handler that keeps each connection's events apart.

    Attributes:
        told: the events of each connection, by its number.
    """

    def __init__(self) -> None:
        self.told: dict[int, list[object]] = {}

    def __call__(self, face: Connection, event: object) -> None:
        self.told.setdefault(face.id, []).append(event)

    @property
    def closed(self) -> int:
        """How many connections have ended."""
        return sum(isinstance(events[-1], Closed) for events in self.told.values())

    def names(self) -> set[str]:
        """The types of all events."""
        return {type(event).__name__ for events in self.told.values() for event in events}

    def all_ended(self, count: int, allowed: Collection[CloseKind]) -> list[CloseReason]:
        """So many connections, each with one allowed verdict."""
        if len(self.told) != count:
            raise AssertionError(f"{len(self.told)} connections were told of, not {count}")
        return [one_verdict(events, allowed) for events in self.told.values()]

"""Section B: buffers that are full at the end, on both sides; and the limit of a key (T51 to T55)."""

from __future__ import annotations

from mungos import CloseKind, Limits
from mungos.testing.tls.c_closing import text
from mungos.testing.tls.case import scene
from mungos.testing.tls.stand import Stand
from mungos.testing.tls.verdicts import NotApplicable, expect, require

LARGE = 6 << 20
"""Bytes: more than the kernel's buffers take from a peer that does not read."""


@scene("T51")
def short_sends_then_close(stand: Stand) -> None:
    """The peer's window opens in bits; all that was sent arrives, then close_notify, then FIN."""
    notes, said = stand.notes(), text(300_000)
    stand.world.network.capacity = 5000
    peer = stand.open(notes)
    peer.raw.deaf = True
    notes.send(said)
    stand.world.sleep(0.01)
    notes.connection.close()
    stand.world.sleep(0.01)
    require(notes.connection.unsent > 0 and not notes.closed, "it waits for room", notes.names)
    peer.raw.deaf = False
    stand.world.run(lambda: peer.notified)
    require(
        peer.data == said, "all of it arrives before close_notify", f"{len(peer.data)} bytes of {len(said)}"
    )
    peer.leave()
    expect(stand.ended(notes, CloseKind.CLEAN).unsent, 0, "bytes unsent")


@scene("T51")
def short_sends_then_abort(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.raw.deaf = True
    notes.send(bytes(300_000))
    stand.world.sleep(0.01)
    notes.connection.abort()
    reason = stand.ended(notes, CloseKind.ABORTED)
    require(reason.unsent > 0, "the rest is reported", reason)
    peer.raw.deaf = False
    stand.world.run(lambda: peer.raw.reset or peer.raw.ended)
    require(not peer.notified, "the peer sees no clean end")


@scene("T52")
def window_zero_at_close(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    peer.raw.deaf = True
    notes.send(bytes(LARGE))
    stand.world.sleep(0.01)
    began = stand.world.now()
    notes.connection.close(0.2)
    reason = stand.ended(notes, CloseKind.TIMED_OUT)
    require(
        stand.world.now() - began >= 0.199, "it waits for its deadline", f"{stand.world.now() - began:g} s"
    )
    require(reason.unsent > 0, "the rest is reported", reason)
    expect(reason.phase, "closing", "the phase")
    peer.raw.deaf = False
    stand.world.run(lambda: peer.raw.reset)
    require(not peer.notified, "the peer sees no clean end")


@scene("T52")
def window_zero_while_sending(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes, limits=Limits(least_rate=1024, rate_window=0.2))
    peer.raw.deaf = True
    notes.send(bytes(LARGE))
    reason = stand.ended(notes, CloseKind.TIMED_OUT)
    require("least rate" in str(reason.error), "the reason says so", reason)
    require(reason.unsent > 0, "the rest is reported", reason)


@scene("T53")
def key_that_nears_its_limit(stand: Stand) -> None:
    """A key of the built-in engine is told that it may protect three records only; others count alone."""
    notes = stand.notes()
    peer = stand.open(notes)
    secure = getattr(notes.connection, "_secure", None)
    sealer = getattr(getattr(getattr(secure, "engine", None), "inner", None), "_sealer", None)
    if sealer is None or getattr(sealer, "limit", None) is None:
        raise NotApplicable(
            "the library counts for itself; its limit of 2^24.5 records can't be lowered from here"
        )
    sealer.limit = sealer.sequence + 3
    said = b""
    for number in range(8):
        part = b"record %d" % number
        notes.send(part)
        said += part
        stand.world.run(lambda said=said: peer.data == said)  # type: ignore[misc]
    engine = secure.engine.inner  # type: ignore[union-attr]
    require(engine._sealer is not sealer, "the key is changed before its limit", f"{sealer.sequence} records")
    require(
        sealer.sequence <= sealer.limit + 1, "no more than the limit", f"{sealer.sequence} of {sealer.limit}"
    )
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    expect(peer.failure, "", "what the peer died of")
    peer.leave()
    stand.ended(notes, CloseKind.CLEAN)


def _paused_at_close(stand: Stand, size: int) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    notes.connection.pause()
    peer.send(bytes(size))
    stand.world.sleep(0.02)
    notes.connection.close()
    stand.world.run(lambda: peer.notified)
    stand.world.run(lambda: not peer.out)
    peer.leave()
    reason = stand.ended(notes, CloseKind.CLEAN)
    # Discarded knowingly: every byte is either delivered or counted.
    expect(len(notes.data) + reason.discarded, size, "bytes delivered and bytes told as discarded")


@scene("T54")
def paused_at_close(stand: Stand) -> None:
    _paused_at_close(stand, 1000)


@scene("T54", "T55")
def paused_and_full_at_close(stand: Stand) -> None:
    _paused_at_close(stand, 1_000_000)


@scene("T55")
def unread_at_an_abort(stand: Stand) -> None:
    notes = stand.notes(Received=lambda connection, _: connection.abort())
    peer = stand.open(notes)
    peer.out += b"".join(peer.seal(b"x" * 100) for _ in range(3))
    stand.ended(notes, CloseKind.ABORTED)
    expect(len(notes.data), 100, "bytes delivered before the abort")

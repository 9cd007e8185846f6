"""Who broke what. Every exception of this package, and every fault that an event carries, is one of these.

`Closed`: you closed it. `Broken`: the world did. `TimedOut`: a deadline passed, in a named phase.
`Misuse`: the call itself was wrong. The three kinds of `ProtocolError` blame the peer: it broke a rule
(`PeerMisbehaved`), asks for what we don't speak (`PeerIncompatible`), or sent what can't be parsed
(`Malformed`).
"""

from __future__ import annotations

from mungos.printable import MAX_MESSAGE_CHARACTERS

__all__ = [
    "Broken",
    "Closed",
    "Malformed",
    "Misuse",
    "MungosError",
    "PeerIncompatible",
    "PeerMisbehaved",
    "ProtocolError",
    "TimedOut",
]


class MungosError(Exception):
    """The root of every exception that this package raises on purpose."""


class Closed(MungosError):
    """The thing was closed on this side, by `close()` or `abort()`, before the call."""


class Broken(MungosError):
    """The world broke it: a reset, a refusal, an unreachable host, an end of stream too early."""


class TimedOut(MungosError):
    """A deadline passed.

    Args:
        phase: what was being waited for ("connecting", "securing", "head", "closing", ...).
        message: the text; made from the phase and the limit when not given.
        limit: how long it was waited, in seconds.
    """

    def __init__(self, phase: str, message: str = "", *, limit: float | None = None) -> None:
        if not message:
            message = f"timed out while {phase}" + (f" (limit {limit:g} s)" if limit is not None else "")
        super().__init__(message)
        self.phase = phase
        self.limit = limit


class Misuse(MungosError):
    """The call breaks this package's own rules (wrong state, wrong thread, value out of range)."""


class ProtocolError(MungosError):
    """The peer is to blame: one of the three kinds below, and which of them is in the type.

    Args:
        message: what was seen. It may repeat what the peer sent: it is cut at `MAX_MESSAGE_CHARACTERS`.
    """

    def __init__(self, message: str = "") -> None:
        if len(message) > MAX_MESSAGE_CHARACTERS:
            message = f"{message[:MAX_MESSAGE_CHARACTERS]}... ({len(message)} characters)"
        super().__init__(message)


class PeerMisbehaved(ProtocolError):
    """The peer sent something well formed that the protocol forbids here."""


class PeerIncompatible(ProtocolError):
    """The peer keeps the rules, but there is nothing that both sides speak."""


class Malformed(ProtocolError):
    """The peer sent bytes that are not a message of the protocol."""

"""Why a connection ended: one kind, decided once, and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mungos.errors import Broken, Closed, MungosError, TimedOut

__all__ = ["CloseKind", "CloseReason"]


class CloseKind(Enum):
    """The one word for the end."""

    CLEAN = "clean"
    ABORTED = "aborted"
    PEER_RESET = "peer reset"
    TIMED_OUT = "timed out"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NOT_RESOLVED = "not resolved"
    TLS_ALERT = "TLS alert"
    PROTOCOL_ERROR = "protocol error"
    HANDLER_ERROR = "handler error"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class CloseReason:
    """How one connection ended.

    Attributes:
        kind: the word.
        phase: what was being waited for when it ended ("connecting", "closing", ...).
        unsent: bytes accepted from the application that were not handed to the kernel.
        discarded: bytes received that were thrown away knowingly after the close began.
        error: what broke it; None after a clean end or an abort.
    """

    kind: CloseKind
    phase: str
    unsent: int = 0
    discarded: int = 0
    error: BaseException | None = None

    @property
    def clean(self) -> bool:
        """True when both sides ended in the way that the protocol has for it."""
        return self.kind is CloseKind.CLEAN

    def exception(self) -> MungosError:
        """The exception that a face raises for this end."""
        if isinstance(self.error, MungosError):
            return self.error
        text = str(self)
        if self.kind is CloseKind.TIMED_OUT:
            return TimedOut(self.phase, text)
        if self.kind in {CloseKind.CLEAN, CloseKind.ABORTED}:
            return Closed(text)
        return Broken(text)

    def __str__(self) -> str:
        text = self.kind.value
        if self.kind is CloseKind.TIMED_OUT or self.kind is CloseKind.ABORTED:
            text += f" while {self.phase}"
        if self.error is not None:
            told = str(self.error)
            text = told if told.startswith(text) else f"{text}: {told}"
        return f"{text}, {self.unsent} bytes unsent" if self.unsent else text

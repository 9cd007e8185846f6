"""What an engine asks of a library's session, and what a session tells of its end."""

from __future__ import annotations

from typing import Protocol as Contract

from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import Failed, Negotiated

__all__ = ["Ended", "LibrarySession", "MustRead", "Outgoing"]


class Outgoing(Contract):
    """Ciphertext that the library wants sent: `ssl.MemoryBIO`, or what does the same."""

    @property
    def pending(self) -> int:
        """Bytes that wait."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size` where it is not negative."""

    def write(self, data: Buffer, /) -> int:
        """Add bytes."""


class Ended(Exception):
    """The library ended the session; never leaves the engine.

    Attributes:
        verdict: whose fault, and the alert that passed.
    """

    def __init__(self, verdict: Failed) -> None:
        super().__init__(str(verdict.error))
        self.verdict = verdict


class MustRead(Exception):
    """The library can't send before it has read the rest of a handshake message that came by half (RFC 8446
    section 5.1 lets one be spread over records, also after the handshake); never leaves the engine."""


class LibrarySession(Contract):
    """A session of a library over memory. Ciphertext is fed one whole record at a time, and what the library
    wants sent is appended to an `Outgoing` at once, so that it never has to wait for writing."""

    def write(self, data: Buffer, /) -> int:
        """Hand in ciphertext, which is copied. Returns bytes taken: all."""

    def handshake(self) -> bool:
        """Go on with the handshake. Returns whether it is complete. Raises Ended."""

    def negotiated(self, server_name: str | None) -> Negotiated:
        """What the handshake agreed on."""

    def decrypt(self, size: int) -> Buffer | None:
        """The plaintext of what was fed, at most `size` bytes; None where there is none, empty where the
        peer's close_notify came. Raises Ended."""

    def encrypt(self, data: Buffer) -> int:
        """Queue plaintext. Returns bytes taken. Raises Ended, and MustRead with nothing taken."""

    def close_notify(self) -> None:
        """Queue close_notify; called once, and again after MustRead. Raises Ended."""

    def alert(self, alert: AlertDescription) -> bool:
        """Queue a fatal alert under the keys. False where the library can't."""

    def free(self) -> None:
        """Give back what the library holds. Idempotent."""

"""Ciphertext that waits to be taken."""

from __future__ import annotations

from collections import deque

from mungos.protocol import Buffer

__all__ = ["Outbox"]


class Outbox:
    """A queue of bytes, in the pieces in which they came.

    Attributes:
        pending: bytes that wait.
    """

    __slots__ = ("_pieces", "pending")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self.pending = 0

    def write(self, data: Buffer, /) -> int:
        """Add bytes."""
        piece = bytes(data)
        if piece:
            self._pieces.append(piece)
            self.pending += len(piece)
        return len(piece)

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size` where it is not negative."""
        if size < 0:
            size = self.pending
        taken: list[bytes] = []
        left = min(size, self.pending)
        self.pending -= left
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        return taken[0] if len(taken) == 1 else b"".join(taken)

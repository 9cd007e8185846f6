"""What the lab is going to say, written down first: only then is it known how much there is to wait for."""

from __future__ import annotations

import io

__all__ = ["Paper"]


class Paper(io.StringIO):
    """Text for a stream, made as if it were written there.

    Args:
        encoding: of the stream.
        terminal: it is one.
    """

    encoding = ""  # the base class has none

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__()
        self.encoding = encoding
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether colours may be used, and the width is that of the terminal."""
        return self._terminal

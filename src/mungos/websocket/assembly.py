"""A message put together from its fragments, its text checked as it comes (RFC 6455 sections 5.4 and 8.1)."""

from __future__ import annotations

from codecs import utf_8_decode

from mungos.errors import PeerMisbehaved
from mungos.websocket.close_codes import FloodRefused, InvalidText, MessageTooBig
from mungos.websocket.frames import CONTINUATION, TEXT

__all__ = ["MAX_EMPTY_FRAGMENTS", "Assembly", "invalid_text"]

MAX_EMPTY_FRAGMENTS = 1024
"""Empty fragments in one message beyond which it is a flood: they are legal, and carry nothing."""


class Assembly:
    """The message under way. One at a time: fragments of two are never interleaved (RFC 6455 section 5.4).

    Args:
        max_message: bytes of a message at most, all its fragments together.
        max_fragments: how many they are at most.

    Attributes:
        kind: the opcode of its first frame, 0 while no message is under way.
    """

    __slots__ = ("_carry", "_data", "_empty", "_fragments", "_max_fragments", "_max_message", "kind")

    def __init__(self, max_message: int, max_fragments: int) -> None:
        self._max_message = max_message
        self._max_fragments = max_fragments
        self.drop()

    @property
    def size(self) -> int:
        """Bytes of the message under way that have come."""
        return len(self._data)

    def drop(self) -> None:
        """Forget the message under way."""
        self.kind = 0
        self._data = bytearray()
        self._carry = b""
        self._empty = 0
        self._fragments = 0

    def begin(self, opcode: int, length: int) -> None:
        """A data frame begins.

        Raises:
            PeerMisbehaved: it continues nothing, or is not the continuation that is due.
            MessageTooBig: with its announced length in bytes the message would pass the limit.
            FloodRefused: one fragment too many, or one empty fragment.
        """
        if opcode == CONTINUATION:
            if not self.kind:
                raise PeerMisbehaved("a continuation frame, and no message to be continued")
        elif self.kind:
            raise PeerMisbehaved("a new message begins inside of a fragmented one")
        else:
            self.kind = opcode
        size = len(self._data) + length
        if size > self._max_message:
            raise MessageTooBig(f"a message of at least {size} bytes, the limit is {self._max_message} bytes")
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise FloodRefused(
                f"more than {self._max_fragments} fragments in one message (max_fragments), "
                f"{len(self._data)} bytes so far"
            )
        if not length:
            self._empty += 1
            if self._empty > MAX_EMPTY_FRAGMENTS:
                raise FloodRefused(f"more than {MAX_EMPTY_FRAGMENTS} empty fragments in one message")

    def add(self, data: bytes | bytearray) -> None:
        """A piece of the frame begun, unmasked.

        Raises:
            InvalidText: it can't be a part of UTF-8: with the first byte that shows it, wherever frames and
                reads are cut.
        """
        self._data += data
        if self.kind != TEXT:
            return
        if self._carry:
            data = self._carry + data
        try:
            _, used = utf_8_decode(data, "strict", False)
        except UnicodeDecodeError as error:
            raise invalid_text(error) from None
        self._carry = carry = bytes(data[used:])
        # The decoder waits for the third byte of a surrogate before it refuses one.
        if len(carry) > 1 and carry[0] == 0xED and carry[1] > 0x9F:
            raise InvalidText("a text message holds a surrogate, which UTF-8 has none of")

    def finish(self) -> str | bytes:
        """The last frame is complete: hand the message out.

        Raises:
            InvalidText: the text ends inside of a character.
        """
        if self._carry:
            raise InvalidText("a text message ends inside of a character")
        data = self._data.decode() if self.kind == TEXT else bytes(self._data)
        self.drop()
        return data


def invalid_text(error: UnicodeDecodeError) -> InvalidText:
    """Text that is not UTF-8, in the words of the decoder."""
    return InvalidText(f"a text message is not UTF-8: {error.reason} at byte {error.start} of a piece")

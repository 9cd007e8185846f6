"""Frames on their way out: small ones gathered, large ones passed by reference, Pongs bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mungos.errors import Misuse
from mungos.protocol import Buffer
from mungos.websocket.frames import FIN, MASKED, PONG, encode_header
from mungos.websocket.masking import mask

__all__ = ["Outgoing"]

_LARGE = 16 * 1024
"""Bytes from which a payload is queued as it is, not copied behind the frames before it."""

_GATHERED = 64 * 1024
"""Bytes after which a buffer of gathered frames is not added to any more."""

_PONG_ROOM = 4 * 1024
"""Bytes of Pongs that may wait; the Pings beyond get one Pong, for the latest (RFC 6455 section 5.5.3)."""

_ENTROPY_BLOCK = 4096
"""Bytes of randomness drawn at once: 1,024 masking keys, none used twice."""


class Outgoing:
    """Frames are put in whole; `take` hands out bytes.

    Args:
        random: where a client's masking keys come from: called with a number of bytes, returns as many that
            nobody can predict. None for a server, which must not mask (RFC 6455 section 5.1).
    """

    __slots__ = ("_entropy", "_entropy_at", "_late_pong", "_out", "_pong_room", "_random", "_tail", "unsent")

    unsent: int
    """Bytes queued that `take` has not handed out yet."""

    def __init__(self, random: Callable[[int], bytes] | None) -> None:
        self.unsent = 0
        self._random = random
        self._entropy = b""
        self._entropy_at = 0
        self._out: deque[Buffer] = deque()
        self._tail = bytearray()
        self._pong_room = _PONG_ROOM
        self._late_pong: bytes | None = None

    def take(self, limit: int) -> list[Buffer]:
        """Hand out queued output: about `limit` bytes, at least one byte if any is queued."""
        out = self._out
        if not out and self._late_pong is None:
            unsent = self.unsent
            if not unsent:
                return []
            if unsent <= limit:
                tail = self._tail
                self._tail = bytearray()
                self._pong_room = _PONG_ROOM
                self.unsent = 0
                return [tail]
        return self._take_some(max(limit, 1))

    def _take_some(self, limit: int) -> list[Buffer]:
        out = self._out
        if self._tail:
            out.append(self._tail)
            self._tail = bytearray()
        taken: list[Buffer] = []
        room = limit
        while out and room:
            piece = out[0]
            if len(piece) > room:
                view = memoryview(piece)
                taken.append(view[:room])
                out[0] = view[room:]
                room = 0
            else:
                taken.append(out.popleft())
                room -= len(piece)
        self.unsent -= limit - room
        if not out:
            self._pong_room = _PONG_ROOM
            if self._late_pong is not None:
                late, self._late_pong = self._late_pong, None
                self._queue_pong(late)
        return taken

    def _queue_bytes(self, data: bytes) -> None:
        """Bytes that are no frame: the opening handshake."""
        self._tail += data
        self.unsent += len(data)

    def _queue_frame(self, first: int, payload: bytes | bytearray) -> None:
        size = len(payload)
        tail = self._tail
        if self._random is None:
            header = encode_header(first, size, 0)
        else:
            # RFC 6455 section 5.3: a fresh key for each frame, unpredictable.
            key = self._draw_key()
            header = encode_header(first, size, MASKED) + key
            payload = mask(payload, key, 0)
        tail += header
        self.unsent += len(header) + size
        if size < _LARGE:
            tail += payload
            if len(tail) > _GATHERED:
                self._out.append(tail)
                self._tail = bytearray()
        else:
            self._out.append(tail)
            self._out.append(bytes(payload))
            self._tail = bytearray()

    def _queue_pong(self, payload: bytes) -> None:
        size = len(payload) + 6
        if self._late_pong is None and self._pong_room >= size:
            self._pong_room -= size
            self._queue_frame(FIN | PONG, payload)
        else:
            # RFC 6455 section 5.5.3: it may elect to answer only the most recently processed Ping.
            self._late_pong = payload

    def _drop_late_pong(self) -> None:
        self._late_pong = None

    def _drop_output(self) -> None:
        self._out.clear()
        self._tail = bytearray()
        self._late_pong = None
        self.unsent = 0

    def _draw_key(self) -> bytes:
        at = self._entropy_at
        if at >= len(self._entropy):
            if self._random is None:
                raise Misuse("masking keys need a source of randomness")
            self._entropy = self._random(_ENTROPY_BLOCK)
            if len(self._entropy) != _ENTROPY_BLOCK:
                raise Misuse(
                    f"the random source gave {len(self._entropy)} bytes, {_ENTROPY_BLOCK} were asked for"
                )
            at = 0
        self._entropy_at = at + 4
        return self._entropy[at : at + 4]

"""A scripted TLS peer: the standard library's session in memory over a bare peer, misbehaving as told."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

from tests.cases.world import RawPeer, World


class TlsPeer:
    """Drives a session of `ssl` in every turn of its world, until it is told otherwise.

    Attributes:
        raw: the bare peer below: `end`, `close`, `cut` and `deaf` are there.
        out: ciphertext on its way; append junk to it at will.
        chunk: bytes that it sends in one turn at most; 0 for all.
        budget: bytes that it may still send; None for no limit. What lies above is kept back.
        held: while this is True the session sees nothing of what arrives.
        data: plaintext received.
        established, notified, truncated: the handshake is complete; close_notify came; the end came without.
        error: what the session died of.
        sent: bytes of ciphertext sent so far.
    """

    def __init__(
        self,
        world: World,
        raw: RawPeer,
        context: ssl.SSLContext,
        *,
        server: bool,
        chunk: int = 0,
        budget: int | None = None,
    ) -> None:
        self.raw = raw
        self.out = bytearray()
        self.chunk = chunk
        self.budget = budget
        self.held = False
        self.data = bytearray()
        self.established = False
        self.notified = False
        self.truncated = False
        self.error: ssl.SSLError | None = None
        self.sent = 0
        self.on_spent: Callable[[], None] | None = None
        self._fed = 0
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server,
            server_hostname=None if server else "localhost",
        )
        self._told_end = False
        world.actors.append(self.turn)
        self._advance()

    # What it does by itself.

    def turn(self) -> bool:
        """One step. True if anything moved."""
        return self._take() | self._flush()

    def _take(self) -> bool:
        fresh = self.raw.received[self._fed :]
        over = self.raw.ended and not self._told_end
        if self.held or not (fresh or over):
            return False
        self._fed += len(fresh)
        self._incoming.write(fresh)
        if over:
            self._told_end = True
            self._incoming.write_eof()
        self._advance()
        return True

    def _advance(self) -> None:
        try:
            if self.error is None and not self.established:
                self.session.do_handshake()
                self.established = True
            while self.established and not self.notified and self.error is None:
                data = self.session.read(1 << 16)
                self.notified = not data
                self.data += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.notified = True
        except ssl.SSLEOFError:
            self.truncated = True
        except ssl.SSLError as error:
            self.error = error
        self.out += self._outgoing.read()

    def _flush(self) -> bool:
        if self.raw.closed or self.raw.reset:
            return False
        size = len(self.out)
        if self.chunk:
            size = min(size, self.chunk)
        if self.budget is not None:
            size = min(size, self.budget)
        count = self.raw.send(bytes(self.out[:size])) if size else 0
        del self.out[:count]
        self.sent += count
        if self.budget is not None:
            self.budget -= count
            if not self.budget and self.on_spent is not None:
                spent, self.on_spent = self.on_spent, None
                spent()
        return count > 0

    # What it is told to do.

    def seal(self, data: bytes) -> bytes:
        """The records of this plaintext, not sent."""
        self.session.write(data)
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        """Encrypt and send."""
        self.out += self.seal(data)

    def close_notify(self) -> None:
        """Queue close_notify; nothing below it ends."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.unwrap()
        self.out += self._outgoing.read()

    def fatal_alert(self) -> None:
        """Queue a fatal alert of its own: it sees a record that nobody can have sent."""
        self._incoming.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        self._advance()

    def saw_alert(self, words: str) -> bool:
        """Whether it died of an alert of that name, in OpenSSL's words."""
        return self.error is not None and f"alert {words}" in str(self.error)

    def drop(self) -> None:
        """Let the session go, and its context with it."""
        self.error = None
        self.__dict__.pop("session", None)

"""The peer in memory over a bare stream, misbehaving as told: what the two kinds have in common."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable

from mungos.testing.tls.papers import is_cut
from mungos.testing.tls.world import RawPeer, World
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import Data, Engine, Established, Failed, PeerClosed, ReadSide

__all__ = ["CLOSE_NOTIFY", "EnginePeer", "LibraryPeer", "Peer", "cut", "records"]

CLOSE_NOTIFY = bytes.fromhex("15 03 03 00 02 01 00")
"""The alert in the clear."""


def cut(raw: RawPeer, how: str) -> None:
    """FIN, RST, or silence from here on."""
    if how == "FIN":
        raw.end()
    elif how == "RST":
        raw.cut()
    else:
        raw.deaf = True


def records(data: bytes | bytearray) -> list[bytes]:
    """The records in a stream of TLS."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append(bytes(data[:size]))
        data = data[size:]
    return found


class Peer:
    """A session driven in every turn of its world, until it is told otherwise.

    Attributes:
        raw: the bare peer below: `end`, `close`, `cut` and `deaf` are there.
        out: ciphertext on its way; append junk to it at will.
        chunk: bytes that it sends in one turn at most; 0 for all.
        budget: bytes that it may still send; None for no limit. What lies above is kept back.
        held: while this is True the session sees nothing of what arrives.
        data: plaintext received.
        said: plaintext that was sealed, in order.
        established, notified, truncated: the handshake is complete; close_notify came; the end came without.
        sent: bytes of ciphertext sent so far.
        on_spent: called once, when the budget is used up.
    """

    def __init__(self, world: World, raw: RawPeer, *, chunk: int = 0, budget: int | None = None) -> None:
        self.raw = raw
        self.out = bytearray()
        self.chunk = chunk
        self.budget = budget
        self.held = False
        self.data = bytearray()
        self.said = bytearray()
        self.established = False
        self.notified = False
        self.truncated = False
        self.sent = 0
        self.on_spent: Callable[[], None] | None = None
        self._fed = 0
        self._told_end = False
        world.actors.append(self.turn)

    # What a session does.

    def feed(self, data: bytes, over: bool) -> None:
        """Take what arrived; `over` when the stream ended behind it."""
        raise NotImplementedError

    def seal(self, data: bytes) -> bytes:
        """The records of this plaintext, not sent."""
        raise NotImplementedError

    def close_notify(self) -> None:
        """Queue close_notify; nothing below it ends."""
        raise NotImplementedError

    def fatal_alert(self) -> None:
        """Queue a fatal alert of its own: bad_record_mac."""
        raise NotImplementedError

    def saw_alert(self, name: str) -> bool:
        """Whether it died of an alert of that name of RFC 8446 section 6."""
        raise NotImplementedError

    @property
    def failure(self) -> str:
        """What the session died of; "" while it lives."""
        raise NotImplementedError

    # What it does by itself.

    def turn(self) -> bool:
        """One step. True if anything moved."""
        return self._take() | self._flush()

    def _take(self) -> bool:
        over = self.raw.ended and not self._told_end
        if self.held or not (over or len(self.raw.received) > self._fed):
            return False
        fresh = bytes(self.raw.received[self._fed :])
        self._fed += len(fresh)
        self._told_end = self._told_end or over
        self.feed(fresh, over)
        return True

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

    def send(self, data: bytes) -> None:
        """Encrypt and send."""
        self.out += self.seal(data)

    def spend(self, budget: int, how: str) -> None:
        """Send so many bytes more, then cut the stream in this way."""
        self.budget = budget
        if budget:
            self.on_spent = lambda: cut(self.raw, how)
        else:
            cut(self.raw, how)

    def leave(self) -> None:
        """close_notify and FIN."""
        self.close_notify()
        self.turn()
        self.raw.end()

    @property
    def ending(self) -> str:
        """How it ended, in few words."""
        if self.held:
            return "silent"
        if self.notified:
            return "close_notify"
        if self.failure:
            # OpenSSL's texts end in a place of its source, which changes with its version.
            return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", self.failure)
        if self.raw.reset:
            return "reset"
        if self.truncated or self.raw.ended:
            return "truncated"
        return "its own cut" if self.raw.closed else "no end"


class LibraryPeer(Peer):
    """A session of the standard library, which is known to be right.

    Attributes:
        session: it.
        error: what it died of.
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
        super().__init__(world, raw, chunk=chunk, budget=budget)
        self.error: ssl.SSLError | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server,
            server_hostname=None if server else "localhost",
        )
        self._advance()

    def feed(self, data: bytes, over: bool) -> None:
        self._incoming.write(data)
        if over:
            self._incoming.write_eof()
        self._advance()

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
        except ssl.SSLError as error:
            if is_cut(error):
                self.truncated = True
            else:
                self.error = error.with_traceback(None)
        self.out += self._outgoing.read()

    def seal(self, data: bytes) -> bytes:
        self.session.write(data)
        self.said += data
        return self._outgoing.read()

    def close_notify(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.unwrap()
        self.out += self._outgoing.read()

    def fatal_alert(self) -> None:
        # It sees a record that nobody can have sent.
        self._incoming.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        self._advance()

    def saw_alert(self, name: str) -> bool:
        text = self.failure
        return f"alert {name.replace('_', ' ')}" in text or f"_{name.upper()}" in text

    @property
    def failure(self) -> str:
        return str(self.error) if self.error is not None else ""

    def drop(self) -> None:
        """Let the session go, and its context with it."""
        self.error = None
        self.__dict__.pop("session", None)


class EnginePeer(Peer):
    """A session of any engine that keeps the contract.

    Attributes:
        engine: it, not started yet.
        failed: how it ended, of its own accord or by an alert.
    """

    def __init__(
        self, world: World, raw: RawPeer, engine: Engine, *, chunk: int = 0, budget: int | None = None
    ) -> None:
        super().__init__(world, raw, chunk=chunk, budget=budget)
        self.engine = engine
        self.failed: Failed | None = None
        engine.start(0.0)
        self.collect()

    def feed(self, data: bytes, over: bool) -> None:
        while data and self.failed is None:
            taken = self.engine.receive(data, 0.0)
            data = data[taken:]
            self._pull()
        if over and self.failed is None:
            self.engine.receive_eof(0.0)
            self._pull()
            self.truncated = self.engine.read_side is ReadSide.TRUNCATED
        self.collect()

    def _pull(self) -> None:
        while (event := self.engine.next_event()) is not None:
            if isinstance(event, Data):
                self.data += event.data
            elif isinstance(event, Established):
                self.established = True
            elif isinstance(event, PeerClosed):
                self.notified = True
            elif isinstance(event, Failed):
                self.failed = event

    def _taken(self) -> bytes:
        return b"".join(bytes(part) for part in self.engine.take(1 << 30))

    def collect(self) -> None:
        """Take what the session wants to send."""
        self.out += self._taken()

    def seal(self, data: bytes) -> bytes:
        self.collect()
        out, rest = b"", memoryview(data)
        while rest:
            rest = rest[self.engine.write((rest,)) :]
            out += self._taken()
        self.said += data
        return out

    def close_notify(self) -> None:
        self.engine.close_write()
        self.collect()

    def fatal_alert(self) -> None:
        self.engine.fail(AlertDescription.bad_record_mac)
        self.collect()

    def saw_alert(self, name: str) -> bool:
        failed = self.failed
        return failed is not None and failed.sent_by_peer and failed.alert is AlertDescription[name]

    @property
    def failure(self) -> str:
        failed = self.failed
        if failed is None:
            return ""
        if failed.sent_by_peer and failed.alert is not None:
            return f"alert {failed.alert.name}"
        return f"its own fault: {failed.error}"

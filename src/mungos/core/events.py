"""What a handler is told about the connection itself. Protocols add their own."""

from __future__ import annotations

from typing import Literal

from mungos.core.reasons import CloseReason
from mungos.protocol import Buffer
from mungos.wires.contract import Address

__all__ = ["Closed", "Datagram", "DatagramError", "Ended", "Opened", "Received", "Writable"]


class Opened:
    """The connection can carry the application's bytes (over TLS: it is verified)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Opened()"


class Received:
    """Bytes from the peer, in order.

    Attributes:
        data: yours to keep.
    """

    __slots__ = ("data",)
    __match_args__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Received({len(self.data)} bytes)"


class Ended:
    """The peer will send nothing more.

    Attributes:
        how: "clean", or "truncated" when TLS's close_notify was missing (RFC 8446 section 6.1).
    """

    __slots__ = ("how",)
    __match_args__ = ("how",)

    def __init__(self, how: Literal["clean", "truncated"]) -> None:
        self.how = how

    def __repr__(self) -> str:
        return f"Ended({self.how})"


class Writable:
    """There is room in the send buffer again, after a sender returned False."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Writable()"


class Closed:
    """The last event of every connection, exactly once.

    Attributes:
        reason: how it ended.
        detail: what the protocol adds (a WebSocket's close code), or None.
    """

    __slots__ = ("detail", "reason")
    __match_args__ = ("reason",)

    def __init__(self, reason: CloseReason, detail: object | None = None) -> None:
        self.reason = reason
        self.detail = detail

    def __repr__(self) -> str:
        return f"Closed({self.reason})"


class Datagram:
    """One UDP datagram.

    Attributes:
        peer: who sent it.
        data: its payload, possibly empty.
    """

    __slots__ = ("data", "peer")
    __match_args__ = ("peer", "data")

    def __init__(self, peer: Address, data: Buffer) -> None:
        self.peer = peer
        self.data = data

    def __repr__(self) -> str:
        return f"Datagram({self.peer}, {len(self.data)} bytes)"


class DatagramError:
    """An ICMP error or a refused send: one datagram is lost, the socket lives on.

    Attributes:
        error: the system's error.
        peer: whom the lost datagram was for, where it is known.
    """

    __slots__ = ("error", "peer")
    __match_args__ = ("error", "peer")

    def __init__(self, error: OSError, peer: Address | None = None) -> None:
        self.error = error
        self.peer = peer

    def __repr__(self) -> str:
        return f"DatagramError({self.error}, {self.peer})"

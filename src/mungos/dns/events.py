"""What a lookup asks its caller to do, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass

from mungos.dns.config import ServerAddress
from mungos.errors import Broken, TimedOut

__all__ = [
    "CloseExchange",
    "Event",
    "Failed",
    "Found",
    "NameNotFound",
    "OpenStream",
    "Resolved",
    "SendDatagram",
    "ServerFailed",
]


class NameNotFound(Broken):
    """The servers answered: there is no such name (NXDOMAIN), or it has no address of the families asked for.

    Args:
        host: the host that was looked up.
        reason: what was found instead.
        exists: True when a name was there, without an address of the families asked for.
    """

    def __init__(self, host: str, reason: str, *, exists: bool) -> None:
        super().__init__(f"host {host!r} not found: {reason}")
        self.host = host
        self.exists = exists


class ServerFailed(Broken):
    """No server gave a usable answer, and one at least said so instead of staying silent.

    Args:
        host: the host that was looked up.
        reasons: for each server that was asked, what happened with it last.
    """

    def __init__(self, host: str, reasons: dict[ServerAddress, str]) -> None:
        told = "; ".join(f"{server.host} port {server.port}: {reason}" for server, reason in reasons.items())
        super().__init__(f"host {host!r} can't be resolved: {told}")
        self.host = host
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Make a UDP socket of its own for this exchange, connected to the server (so that the kernel draws its
    port and drops what others send), send the payload, and hand each datagram to `receive_datagram`."""

    exchange_id: int
    server: ServerAddress
    payload: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect to the server over TCP, send the payload (its length prefix is in it), and hand what comes to
    `receive_stream`; the end of the stream is an `exchange_failed`."""

    exchange_id: int
    server: ServerAddress
    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseExchange:
    """Close the exchange's socket: each exchange that was begun is closed once, whatever happened to it."""

    exchange_id: int


@dataclass(frozen=True, slots=True)
class Found:
    """At most once, before the end: what is known while a family's answer is still to come, in the order in
    which to try it; never empty. `Resolved` follows, with these addresses and perhaps more (RFC 8305 section
    3)."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The end: the addresses, canonical literals, in the order in which to try them; never empty."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The end: there are no addresses, and whose fault that is."""

    error: NameNotFound | ServerFailed | TimedOut


Event = SendDatagram | OpenStream | CloseExchange | Found | Resolved | Failed

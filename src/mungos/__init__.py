"""Mungos: TCP, UDP, HTTP, WebSocket and TLS on one small event loop; what it opens, it provably closes.

The core is here; protocols are in `mungos.http` and `mungos.websocket`, TLS's configuration in `mungos.tls`,
exceptions in `mungos.errors`.
"""

from mungos.addresses import AccessList
from mungos.core import (
    Closed,
    CloseKind,
    CloseReason,
    CloseReport,
    Closing,
    Connection,
    Datagram,
    DatagramConnection,
    DatagramError,
    Ended,
    Host,
    Limits,
    Listener,
    Manager,
    Opened,
    Phase,
    ReadSide,
    Received,
    Timer,
    Writable,
    WriteSide,
    close_all,
)

__version__ = "0.1.0"

__all__ = [
    "AccessList",
    "CloseKind",
    "CloseReason",
    "CloseReport",
    "Closed",
    "Closing",
    "Connection",
    "Datagram",
    "DatagramConnection",
    "DatagramError",
    "Ended",
    "Host",
    "Limits",
    "Listener",
    "Manager",
    "Opened",
    "Phase",
    "ReadSide",
    "Received",
    "Timer",
    "Writable",
    "WriteSide",
    "close_all",
]

"""The event loop: managers, connections, listeners, and how they end."""

from mungos.core.closing import CloseReport, Closing, ConnectionEnd
from mungos.core.connection import Connection, Handler
from mungos.core.datagrams import DatagramConnection
from mungos.core.events import Closed, Datagram, DatagramError, Ended, Opened, Received, Writable
from mungos.core.host import Host
from mungos.core.ledger import Entry, Ledger, Origin
from mungos.core.limits import Limits
from mungos.core.listener import Listener
from mungos.core.manager import Manager
from mungos.core.reasons import CloseKind, CloseReason
from mungos.core.states import Phase, ReadSide, WriteSide
from mungos.core.timers import Timer
from mungos.core.together import close_all

__all__ = [
    "CloseKind",
    "CloseReason",
    "CloseReport",
    "Closed",
    "Closing",
    "Connection",
    "ConnectionEnd",
    "Datagram",
    "DatagramConnection",
    "DatagramError",
    "Ended",
    "Entry",
    "Handler",
    "Host",
    "Ledger",
    "Limits",
    "Listener",
    "Manager",
    "Opened",
    "Origin",
    "Phase",
    "ReadSide",
    "Received",
    "Timer",
    "Writable",
    "WriteSide",
    "close_all",
]

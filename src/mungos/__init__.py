"""Mungos: TCP, UDP, HTTP, WebSocket and TLS on one small event loop; what it opens, it provably closes.

The core is here; protocols are in `mungos.http` and `mungos.websocket`, TLS's configuration in `mungos.tls`,
exceptions in `mungos.errors`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
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

if not TYPE_CHECKING:

    def __getattr__(name):
        # The core is large, and the lab, which starts programs in milliseconds, lives here without it.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - start-up counts

        home = importlib.import_module("mungos.addresses" if name == "AccessList" else "mungos.core")
        globals()[name] = value = getattr(home, name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})

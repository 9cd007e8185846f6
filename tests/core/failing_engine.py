"""A TLS engine that works until one of its calls raises, and raises ever after."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import cast

from mungos.errors import Closed, Misuse, PeerMisbehaved
from mungos.protocol import Buffer
from mungos.tls import ClientConfig, ServerConfig
from mungos.tls.contract import (
    Availability,
    Engine,
    EngineFactory,
    Event,
    Failed,
    Negotiated,
    ReadSide,
    WriteSide,
)

__all__ = ["ERRORS", "INTERRUPTS", "FailingEngine", "FailingFactory", "Fault"]

ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: TypeError("a path where bytes are wanted"),
    lambda: ValueError("an odd value"),
    lambda: KeyError("none"),
    lambda: IndexError("out of range"),
    lambda: OSError(5, "Input/output error"),
    lambda: ConnectionResetError(104, "Connection reset by peer"),
    lambda: BlockingIOError(11, "Resource temporarily unavailable"),
    MemoryError,
    lambda: RuntimeError("a defect"),
    lambda: RecursionError("too deep"),
    NotImplementedError,
    lambda: AttributeError("no such thing"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda: ssl.SSLError(1, "[SSL] internal error"),
    lambda: ssl.SSLWantReadError(2, "The operation did not complete (read)"),
    lambda: ZeroDivisionError("division by zero"),
    lambda: OverflowError("too large"),
    StopIteration,
    lambda: AssertionError("a check"),
    EOFError,
    lambda: Misuse("the configuration can't work"),
    lambda: Closed("write after close_notify"),
    lambda: PeerMisbehaved("a fault of the peer that should have been an event"),
)
"""What libraries raise, and what they should not."""

INTERRUPTS: tuple[Callable[[], BaseException], ...] = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What is no Exception."""


class Fault:
    """Which call raises what.

    Attributes:
        call: a method or attribute of engine or factory; `select` stands for the choice of the factory.
        armed: whether it raises by now.
        fired: whether it has.
    """

    def __init__(self, call: str, error: Callable[[], BaseException]) -> None:
        self.call = call
        self.error = error
        self.armed = False
        self.fired = False

    def at(self, call: str) -> None:
        """This call is made."""
        if self.armed and call == self.call:
            self.fired = True
            raise self.error()


class FailingEngine:
    """Another engine's session, with the fault in front of it."""

    def __init__(self, inner: Engine, fault: Fault) -> None:
        self.inner = inner
        self.fault = fault

    @property
    def exact_alerts(self) -> bool:
        return self.inner.exact_alerts

    @property
    def unread(self) -> int:
        self.fault.at("unread")
        return self.inner.unread

    @property
    def unsent(self) -> int:
        self.fault.at("unsent")
        return self.inner.unsent

    @property
    def deadline(self) -> float | None:
        self.fault.at("deadline")
        return self.inner.deadline

    @property
    def read_side(self) -> ReadSide:
        self.fault.at("read_side")
        return self.inner.read_side

    @property
    def write_side(self) -> WriteSide:
        self.fault.at("write_side")
        return self.inner.write_side

    @property
    def negotiated(self) -> Negotiated | None:
        self.fault.at("negotiated")
        return self.inner.negotiated

    @property
    def ending(self) -> Failed | None:
        self.fault.at("ending")
        return self.inner.ending

    def start(self, now: float) -> None:
        self.fault.at("start")
        self.inner.start(now)

    def receive(self, data: Buffer, now: float) -> int:
        self.fault.at("receive")
        return self.inner.receive(data, now)

    def receive_eof(self, now: float) -> None:
        self.fault.at("receive_eof")
        self.inner.receive_eof(now)

    def next_event(self) -> Event | None:
        self.fault.at("next_event")
        return self.inner.next_event()

    def write(self, parts: Sequence[Buffer]) -> int:
        self.fault.at("write")
        return self.inner.write(parts)

    def write_early(self, parts: Sequence[Buffer]) -> int:
        self.fault.at("write_early")
        return self.inner.write_early(parts)

    def close_write(self) -> None:
        self.fault.at("close_write")
        self.inner.close_write()

    def expire(self, now: float) -> None:
        self.fault.at("expire")
        self.inner.expire(now)

    def take(self, limit: int) -> list[Buffer]:
        self.fault.at("take")
        return self.inner.take(limit)

    def release(self) -> None:
        # Whatever is raised: the library's own memory is given back.
        self.inner.release()
        self.fault.at("release")


class FailingFactory:
    """Another engine's factory, with the fault in front of it and of its sessions."""

    def __init__(self, inner: EngineFactory, fault: Fault) -> None:
        self.inner = inner
        self.fault = fault
        self.name = inner.name

    def availability(self) -> Availability:
        self.fault.at("availability")
        return self.inner.availability()

    def client(self, config: ClientConfig, server_name: str | None) -> Engine:
        self.fault.at("client")
        return cast("Engine", FailingEngine(self.inner.client(config, server_name), self.fault))

    def server(self, config: ServerConfig) -> Engine:
        self.fault.at("server")
        return cast("Engine", FailingEngine(self.inner.server(config), self.fault))

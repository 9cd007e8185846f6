"""An engine that passes everything on to another: what is put around one says only what it changes."""

from __future__ import annotations

from collections.abc import Sequence

from mungos.protocol import Buffer
from mungos.tls.alerts import AlertDescription
from mungos.tls.contract import Engine, Event, Failed, Negotiated, ReadSide, WriteSide

__all__ = ["PassingEngine"]


class PassingEngine:
    """Follows the contract as far as `inner` does.

    Attributes:
        inner: what does the work.
    """

    def __init__(self, inner: Engine) -> None:
        self.inner = inner

    @property
    def exact_alerts(self) -> bool:
        return self.inner.exact_alerts

    @property
    def unread(self) -> int:
        return self.inner.unread

    @property
    def unsent(self) -> int:
        return self.inner.unsent

    @property
    def deadline(self) -> float | None:
        return self.inner.deadline

    @property
    def read_side(self) -> ReadSide:
        return self.inner.read_side

    @property
    def write_side(self) -> WriteSide:
        return self.inner.write_side

    @property
    def negotiated(self) -> Negotiated | None:
        return self.inner.negotiated

    @property
    def ending(self) -> Failed | None:
        return self.inner.ending

    def start(self, now: float) -> None:
        self.inner.start(now)

    def receive(self, data: Buffer, now: float) -> int:
        return self.inner.receive(data, now)

    def receive_eof(self, now: float) -> None:
        self.inner.receive_eof(now)

    def next_event(self) -> Event | None:
        return self.inner.next_event()

    def write(self, parts: Sequence[Buffer]) -> int:
        return self.inner.write(parts)

    def write_early(self, parts: Sequence[Buffer]) -> int:
        return self.inner.write_early(parts)

    def close_write(self) -> None:
        self.inner.close_write()

    def fail(self, alert: AlertDescription) -> None:
        self.inner.fail(alert)

    def expire(self, now: float) -> None:
        self.inner.expire(now)

    def take(self, limit: int) -> list[Buffer]:
        return self.inner.take(limit)

    def unwrap(self) -> bytes:
        return self.inner.unwrap()

    def release(self) -> None:
        self.inner.release()

"""From a URL to a connected stream: resolve, try the addresses in turn, hand over."""

from __future__ import annotations

import errno
import logging
from collections import deque
from typing import TYPE_CHECKING

from mungos.addresses import literal
from mungos.core.limits import Limits
from mungos.core.reasons import CloseKind
from mungos.core.resolving import Resolving
from mungos.core.states import Phase
from mungos.core.timers import NEVER
from mungos.errors import Broken, MungosError, TimedOut
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.url import URL
from mungos.wires.contract import WRITABLE, Address

if TYPE_CHECKING:
    from mungos.core.stream import Stream

__all__ = ["Opening", "addresses_of", "unix_address"]

log = logging.getLogger("mungos.connection")

_LEAST_SHARE = 0.25
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EHOSTDOWN}


def unix_address(url: URL) -> Address:
    """The Unix domain's address of a URL; an abstract name begins with NUL for the kernel."""
    path = url.path
    return Address("\0" + path[1:] if path.startswith("@") else path, 0, 0)


def addresses_of(literals: tuple[str, ...], port: int) -> list[Address]:
    """IP literals as addresses."""
    return [Address(text, port, 6 if ":" in text else 4) for text in literals]


class Opening:
    """One connection's way to its transport."""

    __slots__ = (
        "_attempt_until",
        "_connection",
        "_errors",
        "_limits",
        "_resolving",
        "_secure",
        "_until",
        "_url",
        "_waiting",
    )

    def __init__(
        self,
        connection: Stream,
        url: URL,
        secure: tuple[ClientConfig | ServerConfig, str | None, str] | None,
        limits: Limits,
    ) -> None:
        self._connection = connection
        self._url = url
        self._secure = secure
        self._limits = limits
        self._resolving: Resolving | None = None
        self._waiting: deque[Address] = deque()
        self._errors: list[str] = []
        self._until = NEVER
        self._attempt_until = NEVER

    @property
    def deadline(self) -> float:
        """When `on_timer` wants to be called; a lookup looks after itself."""
        return min(self._until, self._attempt_until)

    def begin(self) -> None:
        """Start; failures end the connection, they are not raised."""
        url = self._url
        if url.transport == "unix":
            self._try([unix_address(url)])
        elif literal(url.host) is not None:
            self._try(addresses_of((url.host,), url.port))
        else:
            self._resolving = Resolving(
                self._connection.manager,
                url.host,
                self._limits.resolve_within,
                self._connection.origin,
                self._resolved,
            )
            self._resolving.begin()

    def _resolved(self, addresses: tuple[str, ...], error: MungosError | None) -> None:
        self._resolving = None
        connection = self._connection
        if connection.phase is Phase.CLOSED:
            return
        if error is not None:
            timed_out = isinstance(error, TimedOut)
            connection.finish(CloseKind.TIMED_OUT if timed_out else CloseKind.NOT_RESOLVED, error)
        else:
            self._try(addresses_of(addresses, self._url.port))

    def _try(self, addresses: list[Address]) -> None:
        connection = self._connection
        connection.enter_connecting()
        self._waiting.extend(addresses)
        self._until = connection.manager.now + self._limits.connect_within
        self._next(CloseKind.UNREACHABLE)

    def _next(self, kind: CloseKind) -> None:
        """Try the next address; with none left, the connection ends for the last one's reason."""
        connection, manager = self._connection, self._connection.manager
        connection.detach()
        while self._waiting:
            address = self._waiting.popleft()
            left = self._until - manager.now
            share = max(left / (len(self._waiting) + 1), _LEAST_SHARE)
            self._attempt_until = min(self._until, manager.now + share)
            try:
                endpoint = manager.wire.connect(address)
            except OSError as error:
                kind = self._failed(address, error)
                continue
            connection.attach(endpoint, WRITABLE)
            manager.schedule(connection, self._attempt_until)
            return
        if kind is CloseKind.TIMED_OUT:
            connection.finish(kind, TimedOut("connecting", limit=self._limits.connect_within))
        else:
            connection.finish(kind, Broken("; ".join(self._errors)))

    def _failed(self, address: Address, error: OSError) -> CloseKind:
        self._errors.append(f"{address}: {error.strerror or error}")
        log.debug("%s attempt at %s failed: %s", self._connection, address, error)
        if error.errno == errno.ECONNREFUSED or isinstance(error, FileNotFoundError):
            return CloseKind.REFUSED
        if error.errno in _UNREACHABLE:
            return CloseKind.UNREACHABLE
        # Accepted and reset before we had looked.
        return CloseKind.PEER_RESET if isinstance(error, ConnectionResetError) else CloseKind.BROKEN

    def on_io(self) -> None:
        """The attempt under way has an answer."""
        endpoint = self._connection.endpoint
        if endpoint is None:
            return
        error = endpoint.connected()
        if error is None:
            self._connection.transport_ready(self._secure)
        elif error.errno == errno.ENOTCONN:
            return  # a stale hint: the answer has not come yet
        else:
            self._next(self._failed(endpoint.remote, error))

    def on_timer(self, now: float) -> None:
        """This attempt's deadline."""
        if now >= self.deadline:
            endpoint = self._connection.endpoint
            self._errors.append(f"{endpoint.remote if endpoint else self._url}: no answer in time")
            self._next(CloseKind.TIMED_OUT)

    def cancel(self) -> None:
        """The connection ends before it was open."""
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        self._waiting.clear()

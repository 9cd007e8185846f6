"""Two ends in memory, `ssl` as a foreign one, and ends of ours that send what they should not."""

from __future__ import annotations

import contextlib
import random
import ssl
from collections.abc import Callable, Iterable

from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Data, Established, Event, Failed
from mungos.tls.engines.builtin import BuiltinEngine, BuiltinFactory
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.records import ContentType
from mungos.tls.engines.builtin.server import ServerHandshake

TURNS = 100
WALL = 1_800_000_000.0

Hook = Callable[[bytes], bytes | None]
"""Sees a handshake message before it is sent; returns what is sent instead, None for nothing."""


def factory(seed: int | str = 0, wall: Callable[[], float] = lambda: WALL) -> BuiltinFactory:
    """A factory that makes the same sessions at every run."""
    return BuiltinFactory(random.Random(seed).randbytes, wall)


class End:
    """An engine with the events that it gave."""

    def __init__(self, engine: BuiltinEngine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self.data = bytearray()
        engine.start(0.0)

    def give(self, data: bytes) -> None:
        """All of it, pulling events whenever the engine is full."""
        while data:
            taken = self.engine.receive(data, 0.0)
            data = data[taken:]
            self.pull()

    def pull(self) -> None:
        while (event := self.engine.next_event()) is not None:
            if isinstance(event, Data):
                self.data += event.data
            else:
                self.events.append(event)

    def take(self) -> bytes:
        return b"".join(bytes(part) for part in self.engine.take(1 << 24))

    @property
    def established(self) -> bool:
        return any(isinstance(event, Established) for event in self.events)

    @property
    def failure(self) -> Failed:
        """The one failure."""
        (failed,) = [event for event in self.events if isinstance(event, Failed)]
        assert self.events[-1] is failed
        assert self.engine.ending is failed
        return failed

    @property
    def failed(self) -> bool:
        return any(isinstance(event, Failed) for event in self.events)

    def inject(self, kind: ContentType, content: bytes, padding: int = 0) -> bytes:
        """A record that the engine would never send, under its current key."""
        sealer = self.engine._sealer
        assert sealer is not None
        inner = content + bytes((kind,)) + bytes(padding)
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (sealer.iv ^ sealer.sequence).to_bytes(12, "big")
        sealer.sequence += 1
        return header + sealer.encrypt(nonce, inner, header)


class ForeignEnd:
    """A session of `ssl`."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self._in, self._out, server_side=server_name is None, server_hostname=server_name
        )
        self.data = bytearray()
        self.established = self.closed = False
        self.error: ssl.SSLError | None = None
        self.pull()

    def give(self, data: bytes) -> None:
        self._in.write(data)
        self.pull()

    def pull(self) -> None:
        if self.error is not None:
            return
        try:
            if not self.established:
                self.session.do_handshake()
                self.established = True
            while data := self.session.read(1 << 16):
                self.data += data
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            self.error = error

    def take(self) -> bytes:
        return self._out.read()

    def close(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.unwrap()


AnyEnd = End | ForeignEnd


def pump(one: AnyEnd, other: AnyEnd, chunk: int = 0) -> None:
    """Carry bytes until nothing moves, `chunk` at a time where it is not 0."""
    for _ in range(TURNS):
        moved = False
        for source, sink in ((one, other), (other, one)):
            source.pull()
            data = source.take()
            moved = moved or bool(data)
            step = chunk or len(data) or 1
            for at in range(0, len(data), step):
                sink.give(data[at : at + step])
        if not moved:
            return
    raise AssertionError(f"still moving after {TURNS} turns")


def records(data: bytes) -> list[bytes]:
    """The records of a stream."""
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append(data[:size])
        data = data[size:]
    return found


def meet(
    client: ClientConfig, server: ServerConfig, *, name: str | None = "localhost", seed: int | str = 0
) -> tuple[End, End]:
    """Two ends of ours, pumped until nothing moves."""
    made = factory(seed)
    one, other = End(made.client(client, name)), End(made.server(server))
    pump(one, other)
    return one, other


class _HookedClient(ClientHandshake):
    hook: Hook

    def send(self, message: bytes) -> None:
        changed = self.hook(message)
        if changed is not None:
            super().send(changed)


class _HookedServer(ServerHandshake):
    hook: Hook

    def send(self, message: bytes) -> None:
        changed = self.hook(message)
        if changed is not None:
            super().send(changed)


def hooked_client(config: ClientConfig, hook: Hook, name: str = "localhost", seed: int = 1) -> End:
    """A client whose messages pass through `hook`: keys and transcript follow what is really sent."""
    engine = factory(seed).client(config, name)
    handshake = _HookedClient(engine._prepared, engine, name, name)  # type: ignore[arg-type]
    handshake.hook = hook
    engine._handshake = handshake
    return End(engine)


def hooked_server(config: ServerConfig, hook: Hook, seed: int = 2) -> End:
    """A server whose messages pass through `hook`."""
    engine = factory(seed).server(config)
    handshake = _HookedServer(engine._prepared, engine)  # type: ignore[arg-type]
    handshake.hook = hook
    engine._handshake = handshake
    return End(engine)


def only(kind: int, change: Callable[[bytes], bytes | None]) -> Hook:
    """A hook for messages of one type."""
    return lambda message: change(message) if message[0] == kind else message


def alerts(stream: Iterable[bytes]) -> list[int]:
    """Descriptions of the alerts in the clear."""
    return [record[6] for record in stream if record[0] == ContentType.alert]

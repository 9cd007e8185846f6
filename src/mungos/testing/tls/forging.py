"""A peer that can say anything at any place: the built-in TLS, its messages passed through hooks.

Keys and transcript follow what is really sent. Its pieces are tested by the vectors of RFC 8448; where any
correct peer will do, the cases take the standard library's session instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from mungos.testing.tls.peers import EnginePeer
from mungos.testing.tls.world import RawPeer, World
from mungos.tls import ClientConfig, ServerConfig
from mungos.tls.alerts import AlertDescription
from mungos.tls.engines.builtin import BUILTIN, BuiltinEngine
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.messages.registry import HandshakeType
from mungos.tls.engines.builtin.records import MAX_PLAINTEXT, ContentType
from mungos.tls.engines.builtin.records import Sealer as Key
from mungos.tls.engines.builtin.server import ServerHandshake

__all__ = [
    "ALERT",
    "CHANGE_CIPHER_SPEC",
    "DATA",
    "HANDSHAKE",
    "ForgingPeer",
    "HandshakeType",
    "Hook",
    "can_forge",
    "plain_record",
]

CHANGE_CIPHER_SPEC, ALERT = int(ContentType.change_cipher_spec), int(ContentType.alert)
HANDSHAKE, DATA = int(ContentType.handshake), int(ContentType.application_data)

Hook = Callable[["ForgingPeer", bytes], bytes | None]
"""Sees a handshake message before it is sent; returns what is sent instead, which may be several messages, or
a part of one; None for nothing."""


def can_forge() -> bool:
    """Whether the pieces can be loaded here: they want the package cryptography."""
    return BUILTIN.availability().present


def plain_record(kind: int, content: bytes) -> bytes:
    """A record in the clear."""
    return bytes((kind, 3, 3)) + len(content).to_bytes(2, "big") + content


class _Hooks:
    """Between a handshake and its channel."""

    peer: ForgingPeer
    hooks: Mapping[int, Hook]

    def changed(self, message: bytes) -> bytes | None:
        hook = self.hooks.get(message[0])
        return message if hook is None else hook(self.peer, message)


class _ForgingClient(ClientHandshake, _Hooks):
    def send(self, message: bytes) -> None:
        changed = self.changed(message)
        if changed is not None:
            super().send(changed)


class _ForgingServer(ServerHandshake, _Hooks):
    def send(self, message: bytes) -> None:
        changed = self.changed(message)
        if changed is not None:
            super().send(changed)


class ForgingPeer(EnginePeer):
    """A session of the built-in TLS 1.3 that says what it is told.

    Args:
        config: of its role.
        hooks: by the type of the handshake message.

    Attributes:
        session: the same as `engine`, its type better known.
    """

    def __init__(
        self,
        world: World,
        raw: RawPeer,
        config: ClientConfig | ServerConfig,
        *,
        hooks: Mapping[int, Hook] | None = None,
        chunk: int = 0,
        budget: int | None = None,
    ) -> None:
        self._last_key: Key | None = None
        engine: BuiltinEngine
        handshake: _ForgingClient | _ForgingServer
        if isinstance(config, ServerConfig):
            engine = BUILTIN.server(config)
            handshake = _ForgingServer(engine._prepared, engine)  # type: ignore[arg-type]
        else:
            engine = BUILTIN.client(config, "localhost" if config.verify else None)
            name = "localhost" if config.verify else None
            handshake = _ForgingClient(engine._prepared, engine, name, name)  # type: ignore[arg-type]
        handshake.peer = self
        handshake.hooks = hooks or {}
        engine._handshake = handshake
        self.session = engine
        super().__init__(world, raw, engine, chunk=chunk, budget=budget)

    def collect(self) -> None:
        self._last_key = self.session._sealer or self._last_key
        super().collect()

    def seal(self, data: bytes) -> bytes:
        return b"".join(self.text(data[at : at + MAX_PLAINTEXT]) for at in range(0, len(data), MAX_PLAINTEXT))

    def close_notify(self) -> None:
        self.out += self.record(ALERT, b"\x01\x00")

    def fatal_alert(self) -> None:
        self.alert(AlertDescription.bad_record_mac)

    # What it is told to say.

    @property
    def key(self) -> Key | None:
        """The key of its direction as it stands; None while it speaks in the clear."""
        self._last_key = self.session._sealer or self._last_key
        return self._last_key

    def record(self, kind: int, content: bytes, padding: int = 0, *, key: Key | None = None) -> bytes:
        """A record of any content, under its current key, or another; in the clear while there is none."""
        key = key or self.key
        if key is None:
            return plain_record(kind, content)
        inner = content + (bytes((kind,)) if kind else b"") + bytes(padding)
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (key.iv ^ key.sequence).to_bytes(12, "big")
        key.sequence += 1
        return header + key.encrypt(nonce, inner, header)

    def text(self, content: bytes, padding: int = 0) -> bytes:
        """A record of application data that ought to be delivered."""
        self.said += content
        return self.record(DATA, content, padding)

    def alert(self, description: AlertDescription, level: Literal[1, 2] = 2) -> None:
        """Queue an alert."""
        self.out += self.record(ALERT, bytes((level, description)))

    def update_keys(self, *, requested: bool = False) -> None:
        """Queue a KeyUpdate, and go on under the next key."""
        self.session.update_keys(requested=requested)
        self.collect()

    def inject(self, kind: int, content: bytes) -> None:
        """A record into the middle of a flight, behind what was sent so far, under the key of that place."""
        self.session.flush()
        self.session._queue(self.record(kind, content))

    def inject_plain(self, kind: int, content: bytes) -> None:
        """The same in the clear."""
        self.session.flush()
        self.session._queue(plain_record(kind, content))

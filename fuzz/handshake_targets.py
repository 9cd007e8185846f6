"""The whole handshake of the built-in TLS, in both roles, against a peer that sends almost the right thing.

An input is a list of changes. Most are made to the peer's messages before they are hashed and sealed: keys,
transcript and signatures then follow what is really sent, and the change is met by the code behind them.
The others are made to the peer's bytes on their way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from fuzz.certificates import WALL
from fuzz.target import Defect, Target, require
from fuzz.tls_ends import End, Watched, configs, make_client, make_server, pump
from mungos.errors import ProtocolError
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.engines.builtin.client import ClientHandshake
from mungos.tls.engines.builtin.messages import (
    ClientHello,
    EncryptedExtensions,
    HandshakeType,
    ServerHello,
)
from mungos.tls.engines.builtin.preparation import PreparedClient
from mungos.tls.engines.builtin.server import ServerHandshake
from mungos.tls.sessions import ClientSession, SessionCache, TicketKeys

__all__ = ["TARGETS"]

HEAD = 6
ON_THE_WIRE = 0x80
OPERATIONS = 8
STRUCTURAL = 0x20
"""The operation bit of changes to the list of extensions, whose lengths then fit."""

WITH_EXTENSIONS: dict[int, type[ClientHello] | type[ServerHello] | type[EncryptedExtensions]] = {
    HandshakeType.client_hello: ClientHello,
    HandshakeType.server_hello: ServerHello,
    HandshakeType.encrypted_extensions: EncryptedExtensions,
}
VARIANTS = 16
LONGEST = 200_000
"""Bytes of a changed message: more than a handshake message may have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of which message (or flight), what, where, how much, and to what."""

    which: int
    operation: int
    at: int
    size: int
    content: bytes

    def apply(self, data: bytes) -> bytes:
        """What is sent instead; nothing when it is empty."""
        at = self.at % (len(data) + 1)
        match self.operation % OPERATIONS:
            case 0:
                return data[:at] + self.content + data[at + len(self.content) :]
            case 1:
                return data[:at] + self.content + data[at:]
            case 2:
                return data[:at] + data[at + self.size :]
            case 3:
                return data[:at]
            case 4:
                return data + data
            case 5:
                return b""
            case 6:
                return self.content + data
        number = int.from_bytes(data[at : at + 2], "big") + self.size - 128
        return data[:at] + (number & 0xFFFF).to_bytes(2, "big") + data[at + 2 :]


def changes_in(data: bytes) -> list[Change]:
    """After the first byte: which, operation, two bytes of place, size, length of content, content."""
    found = []
    at = 1
    while len(data) - at >= HEAD:
        which, operation, high, low, size, length = data[at : at + HEAD]
        at += HEAD
        found.append(Change(which, operation, high << 8 | low, size, data[at : at + length]))
        at += length
    return found


class _ChangingClient(ClientHandshake):
    __slots__ = ("changes", "sent")

    changes: list[Change]
    sent: int

    def send(self, message: bytes) -> None:
        message = changed(message, self.sent, self.changes)
        self.sent += 1
        if message:
            super().send(message)


class _ChangingServer(ServerHandshake):
    __slots__ = ("changes", "sent")

    changes: list[Change]
    sent: int

    def send(self, message: bytes) -> None:
        message = changed(message, self.sent, self.changes)
        self.sent += 1
        if message:
            super().send(message)


def restructured(message: bytes, change: Change) -> bytes:
    """One extension less, another body or another type for one, or one more."""
    kind = WITH_EXTENSIONS.get(message[0]) if message else None
    if kind is None:
        return message
    try:
        parsed = kind.parse(message[4:])
    except ProtocolError:  # an earlier change broke it
        return message
    found = parsed.extensions
    code = list(found)[change.at % len(found)] if found else change.size
    match change.operation % 4:
        case 0:
            found.pop(code, None)
        case 1:
            found[code] = change.content
        case 2:
            found[change.size] = found.pop(code, b"")
        case _:
            found[change.size] = change.content
    return parsed.pack()


def changed(data: bytes, number: int, changes: list[Change]) -> bytes:
    for change in changes:
        if change.which == number:
            if change.operation & STRUCTURAL and not number & ON_THE_WIRE:
                data = restructured(data, change)
                continue
            fixed = change.apply(data)[:LONGEST]
            # Half of the operations also mend the message's length, so that more than the framing is reached.
            if change.operation & OPERATIONS and len(fixed) >= 4 and not number & ON_THE_WIRE:
                fixed = fixed[:1] + (len(fixed) - 4).to_bytes(3, "big") + fixed[4:]
            data = fixed
    return data


@cache
def prepared(variant: int) -> tuple[ClientConfig, ServerConfig, tuple[ClientSession, ...]]:
    """Configurations, and tickets of an earlier session. Bits: client certificate, retry, cookie, ticket."""
    groups = ("secp256r1", "x25519") if variant & 2 else ("x25519",)
    client, server = configs(client_auth=bool(variant & 1), groups=groups, cookie=bool(variant & 4))
    if not variant & 8:
        return client, server, ()
    keys, sessions = TicketKeys(count=1), SessionCache()
    client, server = replace(client, sessions=sessions), replace(server, tickets=keys)
    one, other = End(make_client(Watched, client)), End(make_server(Watched, server))
    pump(one, other)
    trust = one.engine._prepared
    if not isinstance(trust, PreparedClient):
        raise Defect("a client prepared as a server")
    kept = sessions.take("localhost", trust.trust, WALL)
    require(kept is not None, "no ticket came")
    return client, server, (kept,) if kept is not None else ()


def meet(data: bytes, *, judge_client: bool) -> str:
    variant = data[0] % VARIANTS if data else 0
    changes = changes_in(data)
    client_config, server_config, tickets = prepared(variant)
    if client_config.sessions is not None:
        client_config.sessions.forget("localhost")
        for ticket in tickets:
            client_config.sessions.put(ticket)
    client_engine, server_engine = make_client(Watched, client_config), make_server(Watched, server_config)
    if judge_client:
        server_handshake = _ChangingServer(server_engine._prepared, server_engine)  # type: ignore[arg-type]
        server_handshake.changes, server_handshake.sent = changes, 0
        server_engine._handshake = server_handshake
    else:
        handshake = _ChangingClient(client_engine._prepared, client_engine, "localhost", "localhost")  # type: ignore[arg-type]
        handshake.changes, handshake.sent = changes, 0
        client_engine._handshake = handshake
    client, server = End(client_engine, judged=judge_client), End(server_engine, judged=not judge_client)
    judged, peer = (client, server) if judge_client else (server, client)
    flights = 0

    def on_the_wire(source: End, sent: bytes) -> bytes:
        nonlocal flights
        if source is not peer:
            return sent
        flights += 1
        return changed(sent, ON_THE_WIRE | (flights - 1), changes)

    pump(client, server, on_the_wire)
    if not changes:
        require(client.established and server.established, f"no session: {client.events} {server.events}")
    if judged.established and judged.failure is None:
        judged.engine.write((b"data",))
        peer.give(judged.take())
    judged.take()
    judged.eof()
    ending = f"{variant} {judged.ending()}"
    for end in (client, server):
        end.release()
    return ending


def to_client(data: bytes) -> str:
    return meet(data, judge_client=True)


def to_server(data: bytes) -> str:
    return meet(data, judge_client=False)


def seeds() -> list[bytes]:
    """Every variant untouched, and each operation on the first messages and flights."""
    found = [bytes((variant,)) for variant in range(VARIANTS)]
    for which in (0, 1, 2, 3, 4, 5, ON_THE_WIRE, ON_THE_WIRE | 1):
        for operation in range(2 * OPERATIONS):
            found.append(bytes((0, which, operation, 0, 40, 7, 2)) + b"\0\x01")
    for which in (0, 1, 2):
        for at in range(8):
            for operation in range(4):
                found.append(bytes((at, which, STRUCTURAL | operation, 0, at, 44, 2)) + b"\0\x01")
    return found


WORDS = (
    b"\0\x2b\0\x03\x02\x03\x04", b"\0\x33", b"\0\x29", b"\0\x10\0\x04\0\x02\x01b", b"\x13\x01",
    b"\x0b\0\0\x04", b"\x14\0\0\x20", b"\x08\0\0\x02\0\0", b"\x0d\0\0\0", b"\x15\x03\x03\0\x02\x02\x28",
    b"\x14\x03\x03\0\x01\x01", b"\xcf\x21\xad\x74",
)  # fmt: skip

TARGETS = (
    Target("tls-client-handshake", "our client against a server that errs", to_client, seeds, WORDS, 512),
    Target("tls-server-handshake", "our server against a client that errs", to_server, seeds, WORDS, 512),
)

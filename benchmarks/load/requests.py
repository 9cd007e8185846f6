"""A bounded pool of varied requests, made ahead from a seed, so that sending one costs next to nothing.

HTTP: path, header values, the set of headers and their order differ. WebSocket: mask key and payload differ.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Exchange", "client_frame", "http_pool", "websocket_pool"]

WORDS = ("orders", "items", "users", "sensors", "rooms", "invoices", "search", "status", "files", "maps")
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "curl", "okhttp", "python-client", "Go-http-client")
LANGUAGES = ("en", "de", "fr", "en-GB;q=0.8", "pt-BR", "ja")
ACCEPTED = (
    "*/*",
    "text/plain",
    "text/html,application/xhtml+xml;q=0.9",
    "application/json, text/plain;q=0.5",
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it goes out, and what must come back: a body (HTTP) or a whole frame (WebSocket)."""

    request: bytes
    expected: bytes


def http_request(dice: random.Random) -> bytes:
    """One small GET with between four and nine headers, in any order."""
    target = "/" + "/".join(dice.sample(WORDS, dice.randint(1, 2))) + f"/{dice.randrange(10**6)}"
    if dice.random() < 0.5:
        target += f"?page={dice.randrange(500)}&sort={dice.choice(WORDS)}"
    headers = [
        f"Host: {dice.choice(('www', 'api', 'static'))}.example.com",
        f"User-Agent: {dice.choice(AGENTS)}/{dice.randrange(1, 20)}.{dice.randrange(100)}",
        f"Accept: {dice.choice(ACCEPTED)}",
        f"X-Request-ID: {dice.randbytes(8).hex()}",
    ]
    optional = [
        f"Accept-Language: {dice.choice(LANGUAGES)}",
        "Accept-Encoding: gzip, deflate, br",
        f"Cookie: session={dice.randbytes(12).hex()}; theme={dice.choice(('dark', 'light'))}",
        "Cache-Control: no-cache",
        f"Referer: https://www.example.com/{dice.choice(WORDS)}",
    ]
    headers += dice.sample(optional, dice.randint(0, len(optional)))
    dice.shuffle(headers)
    if (
        dice.random() < 0.25
    ):  # field names are case-insensitive (RFC 9110 section 5.1), and some clients use that
        headers = [name.lower() + ":" + value for name, _, value in (line.partition(":") for line in headers)]
    return "\r\n".join([f"GET {target} HTTP/1.1", *headers, "", ""]).encode("ascii")


def http_pool(count: int, *, seed: int) -> list[Exchange]:
    """`count` different GETs, each to be answered with status 200 and the body `ok`."""
    dice = random.Random(seed)
    requests: dict[bytes, None] = {}
    while len(requests) < count:
        requests[http_request(dice)] = None
    return [Exchange(request, b"ok") for request in requests]


def frame_head(length: int, *, masked: bool, opcode: int) -> bytes:
    """FIN, opcode, and the shortest form of the length (RFC 6455 section 5.2)."""
    bit = 0x80 if masked else 0
    if length < 126:
        return bytes((0x80 | opcode, bit | length))
    if length < 65536:
        return bytes((0x80 | opcode, bit | 126)) + length.to_bytes(2, "big")
    return bytes((0x80 | opcode, bit | 127)) + length.to_bytes(8, "big")


def client_frame(payload: bytes, key: bytes, *, opcode: int = 2) -> bytes:
    """A whole frame, masked with the four bytes of `key` (RFC 6455 section 5.3)."""
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
    return frame_head(size, masked=True, opcode=opcode) + key + masked


def websocket_pool(count: int, *, size: int, seed: int) -> list[Exchange]:
    """`count` binary messages of `size` bytes, each with a payload and a mask key of its own."""
    dice = random.Random(seed)
    exchanges = []
    for _ in range(count):
        payload = dice.randbytes(size)
        echo = frame_head(size, masked=False, opcode=2) + payload
        exchanges.append(Exchange(client_frame(payload, dice.randbytes(4)), echo))
    return exchanges

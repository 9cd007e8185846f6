"""Is this answer whole, and right? Called once for each answer, so each check is a few operations."""

from __future__ import annotations

import base64
import hashlib
import re

__all__ = ["WrongAnswer", "check_echo", "check_http", "check_upgrade"]

LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+) *\r\n")
LARGEST_HEAD = 65536
SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


class WrongAnswer(Exception):
    """The server answered, but not what a right server answers; the round counts for nothing."""


def check_http(data: bytes, body: bytes) -> bool:
    """True: `data` is one whole response with status 200 and `body`. False: not all of it is there yet.

    Raises:
        WrongAnswer: another status, no Content-Length, another body, or bytes after it.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        if len(data) > LARGEST_HEAD:
            raise WrongAnswer(f"no end of the head in {len(data)} bytes (limit {LARGEST_HEAD} bytes)")
        return False
    if not data.startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer(f"status line {data[:60]!r}, expected 200")
    length = LENGTH.search(data, 0, end)
    if length is None:
        raise WrongAnswer(f"no Content-Length in {data[:end]!r}")
    missing = end + int(length.group(1)) - len(data)
    if missing > 0:
        return False
    if missing < 0 or data[end:] != body:
        raise WrongAnswer(
            f"body {data[end:][:80]!r} with Content-Length {int(length.group(1))}, expected {body!r}"
        )
    return True


def check_echo(data: bytes, frame: bytes) -> bool:
    """True: `data` is `frame`. False: it is the beginning of it.

    Raises:
        WrongAnswer: it is anything else.
    """
    if data == frame:
        return True
    if len(data) >= len(frame) or not frame.startswith(data):
        raise WrongAnswer(
            f"echo of {len(data)} bytes {data[:24]!r}…, expected {len(frame)} bytes {frame[:24]!r}…"
        )
    return False


def check_upgrade(head: bytes, key: bytes) -> None:
    """The server's half of the opening handshake (RFC 6455 section 4.1).

    Raises:
        WrongAnswer: not status 101, or an accept value that does not belong to `key`.
    """
    accept = base64.b64encode(hashlib.sha1(key + SUFFIX).digest())
    if not head.startswith(b"HTTP/1.1 101 "):
        raise WrongAnswer(f"status line {head[:60]!r}, expected 101")
    if not re.search(rb"\r\nsec-websocket-accept: *" + re.escape(accept) + rb" *\r\n", head, re.IGNORECASE):
        raise WrongAnswer(f"no Sec-WebSocket-Accept of {accept!r} in {head!r}")

"""The upper bound for WebSocket: one epoll loop in plain Python that echoes whole binary frames.

Not a server to use: no fragments, no pings, no limits, no deadlines. A close frame ends the connection.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import select
import signal
import socket
import sys
from types import FrameType

KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r ]+)", re.IGNORECASE)
SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


def handshake(head: bytes) -> bytes:
    key = KEY.search(head)
    if key is None:
        raise ValueError(f"no Sec-WebSocket-Key in {head!r}")
    accept = base64.b64encode(hashlib.sha1(key.group(1) + SUFFIX).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


SHIFTED = [bytes(byte ^ other for byte in range(256)) for other in range(256)]


def unmask(payload: bytes, key: bytes) -> bytes | bytearray:
    """XOR with the key over and over: as one large integer, or when long by four table look-ups."""
    size = len(payload)
    if size > 512:
        plain = bytearray(payload)
        for offset in range(4):
            plain[offset::4] = plain[offset::4].translate(SHIFTED[key[offset]])
        return plain
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def echoes(data: bytes) -> tuple[list[bytes | bytearray], int, bool]:
    """Every whole frame in `data` as its echo, the bytes used up, and whether a close frame came."""
    parts: list[bytes | bytearray] = []
    start = 0
    total = len(data)
    while total - start >= 6:
        length = data[start + 1] & 0x7F
        head = 2
        if length == 126:
            length = int.from_bytes(data[start + 2 : start + 4], "big")
            head = 4
        elif length == 127:
            length = int.from_bytes(data[start + 2 : start + 10], "big")
            head = 10
        end = start + head + 4 + length
        if end > total:
            break
        payload = unmask(data[start + head + 4 : end], data[start + head : start + head + 4])
        first = data[start]
        if length < 126:
            parts.append(bytes((first, length)))
        elif length < 65536:
            parts.append(bytes((first, 126, length >> 8, length & 0xFF)))
        else:
            parts.append(bytes((first, 127)) + length.to_bytes(8, "big"))
        parts.append(payload)
        start = end
        if first == 0x88:
            return parts, start, True
    return parts, start, False


def run(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=8192)
    listener.setblocking(False)
    listening = listener.fileno()
    poller = select.epoll()
    poller.register(listening, select.EPOLLIN)
    open_sockets: dict[int, socket.socket] = {}
    upgraded: set[int] = set()
    held: dict[int, bytes] = {}
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            if fd == listening:
                accepted, _ = listener.accept()
                accepted.setblocking(False)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_sockets[accepted.fileno()] = accepted
                poller.register(accepted.fileno(), select.EPOLLIN)
                continue
            sock = open_sockets[fd]
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            closing = not data
            if data:
                if fd in held:
                    data = held.pop(fd) + data
                used = 0
                if fd in upgraded:
                    parts, used, closing = echoes(data)
                    if parts:
                        sock.send(b"".join(parts))
                elif (end := data.find(b"\r\n\r\n")) >= 0:
                    sock.send(handshake(data[:end]))
                    upgraded.add(fd)
                    used = end + 4
                if used < len(data):
                    held[fd] = data[used:]
            if closing:
                poller.unregister(fd)
                del open_sockets[fd]
                upgraded.discard(fd)
                held.pop(fd, None)
                sock.close()


def stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    signal.signal(signal.SIGTERM, stop)
    run(arguments.parse_args().port)

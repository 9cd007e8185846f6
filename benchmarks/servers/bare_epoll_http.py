"""The upper bound for HTTP: one epoll loop in plain Python, with no deadlines, limits or error answers.

Not a server to use. `--parse` says how much of each head is looked at, so that the cost of reading it shows:
`none` finds its end, `line` splits the request line too, `headers` makes a table of every field.
"""

from __future__ import annotations

import argparse
import select
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok"
)


def parse_none(_head: bytes) -> bool:
    return True


def parse_line(head: bytes) -> bool:
    method, _target, version = head[: head.index(b"\r\n")].split(b" ")
    return method == b"GET" and version == b"HTTP/1.1"


def parse_headers(head: bytes) -> bool:
    lines = head.split(b"\r\n")
    method, _target, version = lines[0].split(b" ")
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    return (
        method == b"GET"
        and version == b"HTTP/1.1"
        and b"host" in fields
        and b"content-length" not in fields
        and b"transfer-encoding" not in fields
        and fields.get(b"connection", b"").lower() != b"close"
    )


PARSERS: dict[str, Callable[[bytes], bool]] = {
    "none": parse_none,
    "line": parse_line,
    "headers": parse_headers,
}


def run(port: int, parse: Callable[[bytes], bool]) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=8192)
    listener.setblocking(False)
    listening = listener.fileno()
    poller = select.epoll()
    poller.register(listening, select.EPOLLIN)
    open_sockets: dict[int, socket.socket] = {}
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
            if not data:
                poller.unregister(fd)
                del open_sockets[fd]
                held.pop(fd, None)
                sock.close()
                continue
            if fd in held:
                data = held.pop(fd) + data
            answers = 0
            start = 0
            while (end := data.find(b"\r\n\r\n", start)) >= 0:
                if not parse(data[start:end]):
                    raise ValueError(f"not a plain GET: {data[start:end]!r}")
                answers += 1
                start = end + 4
            if start < len(data):
                held[fd] = data[start:]
            if answers:
                sock.send(RESPONSE * answers)


def stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--parse", choices=sorted(PARSERS), default="headers")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, stop)
    run(options.port, PARSERS[options.parse])

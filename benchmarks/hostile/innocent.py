"""A client that does nothing wrong: a GET every few milliseconds, on one connection and on new ones.

python -m benchmarks.hostile.innocent --port P --seconds S

Prints one line of JSON: the seconds that each answer took.
"""

from __future__ import annotations

import argparse
import json
import socket
import time

__all__ = ["PATIENCE"]

PATIENCE = 20.0
PAUSE = 0.005
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def connect(port: int) -> socket.socket:
    """A connection whose reads give up after PATIENCE."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def ask(sock: socket.socket) -> None:
    """One request and its answer."""
    sock.sendall(GET)
    data = b""
    while not data.endswith(b"\r\n\r\nok"):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError("the server closed the innocent client's connection")
        data += more


def main() -> None:
    """Ask for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    kept: list[float] = []
    fresh: list[float] = []
    end = time.monotonic() + options.seconds
    with connect(options.port) as sock:
        ask(sock)
        while time.monotonic() < end:
            begun = time.monotonic()
            ask(sock)
            kept.append(time.monotonic() - begun)
            time.sleep(PAUSE)
            begun = time.monotonic()
            with connect(options.port) as new:
                ask(new)
            fresh.append(time.monotonic() - begun)
            time.sleep(PAUSE)
    print(json.dumps({"kept": kept, "fresh": fresh}), flush=True)


if __name__ == "__main__":
    main()

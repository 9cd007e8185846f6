"""WebSocket load: varied mask keys and payloads, one message in flight a connection, every echo compared."""

from __future__ import annotations

import base64
import random
import socket
import sys
from contextlib import ExitStack

from benchmarks.load.answers import WrongAnswer, check_echo, check_upgrade
from benchmarks.load.closed_loop import Measured, connect, run
from benchmarks.load.options import load_options, report
from benchmarks.load.requests import client_frame, websocket_pool

CLOSE = client_frame((1000).to_bytes(2, "big"), b"\x11\x22\x33\x44", opcode=8)


def upgrade(sock: socket.socket, port: int, dice: random.Random) -> None:
    """The client's half of the opening handshake (RFC 6455 section 4.1)."""
    key = base64.b64encode(dice.randbytes(16))
    sock.sendall(
        b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (port, key)
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = sock.recv(4096)
        if not part or len(head) > 16384:
            raise WrongAnswer(f"no whole answer to the opening handshake, only {head[:80]!r}")
        head += part
    check_upgrade(head, key)


def say_goodbye(sock: socket.socket) -> None:
    """The closing handshake (RFC 6455 section 7.1.2), so that no server has a broken connection to report."""
    sock.sendall(CLOSE)
    sock.settimeout(1.0)
    while sock.recv(4096):
        pass


def main() -> int:
    parser = load_options(__doc__ or "")
    parser.add_argument("--size", type=int, default=64, help="bytes in a message")
    options = parser.parse_args()

    def measure() -> Measured:
        dice = random.Random(options.seed)
        pool = websocket_pool(options.pool, size=options.size, seed=options.seed)
        with ExitStack() as closing:
            sockets = [closing.enter_context(connect(options.port)) for _ in range(options.connections)]
            for sock in sockets:
                upgrade(sock, options.port, dice)
            measured = run(
                sockets,
                pool,
                check_echo,
                server_pid=options.server_pid,
                warm_up=options.warm_up,
                seconds=options.seconds,
                requests=options.requests,
            )
            for sock in sockets:
                say_goodbye(sock)
            return measured

    return report(measure)


if __name__ == "__main__":
    sys.exit(main())

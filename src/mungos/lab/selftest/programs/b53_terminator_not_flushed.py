"""The last chunk of an answer stays in the buffer, and the connection stays open for the next request."""

from __future__ import annotations

import os
import socket
import sys


def serve(connection: socket.socket, repaired: bool) -> None:
    """Answer requests in chunks."""
    writer = connection.makefile("wb", buffering=4096)
    while connection.recv(1000):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        writer.flush()
        writer.write(b"0\r\n\r\n")
        if repaired:
            writer.flush()


def main(repaired: bool) -> int:
    """Ask, and read to the last chunk."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs, repaired)
        os._exit(0)
    theirs.close()
    ours.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"0\r\n\r\n"):
        answer += ours.recv(1000)
    ours.close()
    os.waitpid(pid, 0)
    print(f"{len(answer)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

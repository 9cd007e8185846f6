"""The request is cancelled, but the iterator over its body, and with it the connection, stays open."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator


async def body(connection: socket.socket) -> AsyncGenerator[bytes, None]:
    """The blocks of a body; the connection is closed behind the last one."""
    try:
        while block := await asyncio.get_running_loop().sock_recv(connection, 100):
            yield block
    finally:
        connection.close()


async def serve(connection: socket.socket, repaired: bool) -> None:
    """Read a body, be cancelled after its first block, and wait for other work."""
    connection.setblocking(False)
    blocks = body(connection)
    await anext(blocks)
    if repaired:
        await blocks.aclose()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        await asyncio.get_running_loop().sock_accept(listener)
    del blocks


def main(repaired: bool) -> int:
    """Send the first block of a body, and wait for the server to close."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        asyncio.run(serve(theirs, repaired))
    theirs.close()
    ours.send(b"block")
    ours.recv(100)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

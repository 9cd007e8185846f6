"""SO_LINGER 0 throws away what was not yet sent of the last answer."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys

SIZE = 8 << 20


def serve(connection: socket.socket, repaired: bool) -> None:
    """Answer with SIZE bytes, and close."""
    connection.setblocking(False)
    pending = memoryview(bytes(SIZE))
    while pending:
        select.select([], [connection], [])
        try:
            pending = pending[connection.send(pending) :]
        except BlockingIOError:
            continue
        if not repaired:
            # The kernel has it all, is what the author believes.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            break
    connection.close()


def main(repaired: bool) -> int:
    """Read an answer of SIZE bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    connection, _ = listener.accept()
    pid = os.fork()
    if pid == 0:
        client.close()
        serve(connection, repaired)
        os._exit(0)
    connection.close()
    listener.close()
    taken = 0
    if not repaired:
        os.waitpid(pid, 0)
    try:
        while block := client.recv(65536):
            taken += len(block)
    except ConnectionResetError as error:
        print(f"check failed: {taken} of {SIZE} bytes came, then: {error}")
        return 1
    os.waitpid(pid, 0)
    print(taken)
    return int(taken != SIZE)


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

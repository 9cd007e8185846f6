"""A KeyUpdate has to be answered before reading goes on; the answer can't be written, for nobody reads."""

from __future__ import annotations

import os
import select
import socket
import sys

KEY_UPDATE, DATA = b"K", b"D"
BLOCK = 16384
BLOCKS = 128


def talk(connection: socket.socket, outgoing: bytes, repaired: bool) -> int:
    """Write everything and read everything; the KeyUpdates seen."""
    connection.setblocking(repaired)
    pending, expected, seen = bytearray(outgoing), BLOCKS * BLOCK + 1, 0
    if not repaired:
        connection.setblocking(True)
        for start in range(0, len(pending), BLOCK):
            connection.sendall(pending[start : start + BLOCK])
            if select.select([connection], [], [], 0)[0] and connection.recv(1) == KEY_UPDATE:
                connection.sendall(KEY_UPDATE)  # at once, before anything else is read
                seen += 1
        return seen
    connection.setblocking(False)
    while pending or expected:
        ways = ([connection] if expected else [], [connection] if pending else [])
        readable, writable, _ = select.select(*ways, [])
        if writable:
            del pending[: connection.send(pending[:65536])]
        if readable:
            block = connection.recv(65536)
            seen += block.count(KEY_UPDATE)
            expected -= len(block)
    return seen


def main(repaired: bool) -> int:
    """Both ends ask for new keys in the middle of much data."""
    ours, theirs = socket.socketpair()
    outgoing = KEY_UPDATE + DATA * (BLOCKS * BLOCK)
    pid = os.fork()
    if pid == 0:
        ours.close()
        os._exit(talk(theirs, outgoing, repaired) != 1)
    theirs.close()
    seen = talk(ours, outgoing, repaired)
    _, status = os.waitpid(pid, 0)
    print(f"{seen} KeyUpdate")
    return int(status != 0 or seen != 1)


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

"""The peer is gone without a word, as when its machine lost power; nobody asks whether it still lives."""

from __future__ import annotations

import socket
import sys

TCP_REPAIR = 19  # linux/tcp.h: a socket that is closed under repair says nothing to its peer
CANNOT_RUN = 77
PATIENCE = 0.05  # seconds


def main(repaired: bool) -> int:
    """Wait for data of a peer that vanished."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    peer, _ = listener.accept()
    listener.close()
    try:
        peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError as error:
        print(f"can't run: TCP_REPAIR: {error.strerror}")
        return CANNOT_RUN
    peer.close()
    if repaired:
        client.settimeout(PATIENCE)
    try:
        client.recv(100)
    except TimeoutError:
        client.send(b"are you there?")
        try:
            client.recv(100)
        except ConnectionResetError as reason:
            print(f"the peer is gone: {reason}")
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

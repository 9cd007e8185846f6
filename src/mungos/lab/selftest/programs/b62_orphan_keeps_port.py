"""The watchdog ends the wrapper that it started, not the server that the wrapper had started."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


def wrap(report: int, listener: socket.socket) -> None:
    """Start the server, say who it is, wait for it."""
    os.setpgid(0, 0)
    server = os.fork()
    if server == 0:
        listener.accept()
        os._exit(0)
    os.write(report, str(server).encode())
    os.waitpid(server, 0)


def main(repaired: bool) -> int:
    """Start the wrapper and end it."""
    listener = socket.create_server(("127.0.0.1", 0))
    reader, writer = os.pipe()
    wrapper = os.fork()
    if wrapper == 0:
        wrap(writer, listener)
        os._exit(0)
    listener.close()
    server = int(os.read(reader, 100))
    if repaired:
        handle = os.pidfd_open(server)
        os.killpg(wrapper, signal.SIGTERM)
        select.select([handle], [], [])
    else:
        os.kill(wrapper, signal.SIGTERM)
    os.waitpid(wrapper, 0)
    print("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

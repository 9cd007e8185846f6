"""Everything is written, but the loop still asks whether it could write: always, at once."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys


def main(repaired: bool) -> int:
    """Write a request, then wait for the answer of a process that takes its time."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        theirs.recv(100)
        if repaired:
            theirs.send(b"answer")
        else:
            while True:
                signal.pause()
        os._exit(0)
    theirs.close()
    outgoing = b"request"
    poller = select.epoll()
    poller.register(ours, select.EPOLLIN | select.EPOLLOUT)
    answer = b""
    while not answer:
        for _, events in poller.poll():
            if events & select.EPOLLOUT and outgoing:
                outgoing = outgoing[ours.send(outgoing) :]
                if repaired and not outgoing:
                    poller.modify(ours, select.EPOLLIN)
            if events & select.EPOLLIN:
                answer = ours.recv(100)
    os.waitpid(pid, 0)
    print(answer.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

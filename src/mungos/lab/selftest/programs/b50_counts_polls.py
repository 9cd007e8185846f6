"""The patience is counted in turns of the loop: where something else keeps it busy, there is none."""

from __future__ import annotations

import select
import socket
import sys
import time

PATIENCE = 10.0  # seconds
TURN = 0.01  # seconds that a turn lasts when nothing happens
NEEDED = 2000  # turns until the answer comes, at once after one another


def main(repaired: bool) -> int:
    """Wait for an answer on one connection while another one is always ready."""
    ours, theirs = socket.socketpair()
    busy, busy_peer = socket.socketpair()
    busy_peer.send(b"noise")
    started, turns, answer = time.monotonic(), 0, b""
    while not answer:
        turns += 1
        waited = time.monotonic() - started
        if waited > PATIENCE if repaired else turns * TURN > PATIENCE:
            print(f"check failed: gave up after {turns} turns, and not after {PATIENCE:g} s")
            return 1
        if turns == NEEDED:
            theirs.send(b"answer")
        readable, _, _ = select.select([ours, busy], [], [], TURN)
        if ours in readable:
            answer = ours.recv(100)
    print(answer.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

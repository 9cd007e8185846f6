"""A TLS record holds two messages: one is taken, then the loop sleeps on a socket that has nothing more."""

from __future__ import annotations

import os
import select
import socket
import ssl
import sys

SIZE = 4


def settings(side: int) -> ssl.SSLContext:
    """TLS 1.2 without certificates: this program only ever talks to itself."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def serve(connection: socket.socket, repaired: bool) -> None:
    """Answer each message of SIZE bytes."""
    tls = settings(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True)
    while True:
        if not (repaired and tls.pending()):
            select.select([tls], [], [])
        message = tls.recv(SIZE)
        if not message:
            return
        tls.sendall(message.upper())


def main(repaired: bool) -> int:
    """Send two messages in one record and wait for both answers."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs, repaired)
        os._exit(0)
    theirs.close()
    tls = settings(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours)
    tls.sendall(b"onetwo  ")
    answers = b""
    while len(answers) < 2 * SIZE:
        answers += tls.recv(100)
    tls.close()
    os.waitpid(pid, 0)
    print(answers.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

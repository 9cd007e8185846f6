"""The socket is shut down below TLS; what then comes is handed upward as it is, encrypted."""

from __future__ import annotations

import os
import socket
import ssl
import sys


def settings(side: int) -> ssl.SSLContext:
    """TLS 1.2 without certificates: this program only ever talks to itself."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def main(repaired: bool) -> int:
    """Close for writing, and read the rest of the answer."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        server = settings(ssl.PROTOCOL_TLS_SERVER).wrap_socket(theirs, server_side=True)
        server.send(b"last words")
        os._exit(0)
    theirs.close()
    tls = settings(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours)
    if repaired:
        content = tls.recv(100)
    else:
        tls.shutdown(socket.SHUT_WR)  # of the socket: the object forgets its TLS
        content = tls.recv(100)
    os.waitpid(pid, 0)
    print(content)
    if content != b"last words":
        print(f"check failed: {len(content)} bytes of ciphertext were read as data")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

"""A connection that was cut, without close_notify, is reported as having ended cleanly."""

from __future__ import annotations

import os
import socket
import ssl
import sys

WHOLE = b"the first half, the second half"


def settings(side: int) -> ssl.SSLContext:
    """TLS 1.2 without certificates: this program only ever talks to itself."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def fetch(connection: socket.socket, repaired: bool) -> tuple[bytes, str]:
    """What came, and how it ended."""
    context = settings(ssl.PROTOCOL_TLS_CLIENT)
    if repaired:
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # on in some versions of Python
    content = b""
    with context.wrap_socket(connection, suppress_ragged_eofs=not repaired) as tls:
        try:
            while block := tls.recv(100):
                content += block
        except ssl.SSLError:  # in some versions of Python not yet the SSLEOFError that it is
            return content, "cut off"
    return content, "complete"


def main(repaired: bool) -> int:
    """Fetch something from a server that dies half-way."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        server = settings(ssl.PROTOCOL_TLS_SERVER).wrap_socket(theirs, server_side=True)
        server.send(WHOLE[:15])
        server.shutdown(socket.SHUT_WR)  # of the socket alone
        while os.read(server.fileno(), 100):  # some versions of OpenSSL have something to say to that
            pass
        os._exit(0)
    theirs.close()
    content, ending = fetch(ours, repaired)
    os.waitpid(pid, 0)
    if ending == "complete" and content != WHOLE:
        print(f"check failed: {content!r} was reported as complete")
        return 1
    print(f"{content!r} was {ending}")
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

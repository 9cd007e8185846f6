"""The close_notify is built, but stays in the buffer when the socket is closed."""

from __future__ import annotations

import contextlib
import ssl
import sys


def settings(side: int) -> ssl.SSLContext:
    """TLS 1.2 without certificates: this program only ever talks to itself."""
    context = ssl.SSLContext(side)
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # on in some versions of Python
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def main(repaired: bool) -> int:
    """Say goodbye, close, and ask the peer what it saw."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = settings(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_client, to_server)
    outgoing = ssl.MemoryBIO()
    server = settings(ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_server, outgoing, server_side=True)
    for _ in range(4):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
            to_client.write(outgoing.read())
    server.write(b"the whole answer")
    to_client.write(outgoing.read())
    with contextlib.suppress(ssl.SSLWantReadError):
        server.unwrap()
    if repaired:
        to_client.write(outgoing.read())
    to_client.write_eof()
    content = client.read(100)
    try:
        client.read(100)
    except ssl.SSLError as error:  # in some versions of Python not yet the SSLEOFError that it is
        print(f"check failed: the peer can't tell an end from a cut: {error}")
        return 1
    print(content.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main("repaired" in sys.argv))

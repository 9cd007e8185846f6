"""STARTTLS, both sides in one program: a greeting in plain text, then everything else over TLS.

python examples/starttls.py
"""

from __future__ import annotations

import sys

from mungos import Closed, Connection, Manager, Opened, Received
from mungos.cli.development_certificate import make_development_certificate
from mungos.tls import ClientConfig, ServerConfig

CERTIFICATE = make_development_certificate()
SERVER = ServerConfig((CERTIFICATE.credential,))
CLIENT = ClientConfig(roots=CERTIFICATE.credential.chain)


def show(who: str, connection: Connection, text: str) -> None:
    """Say what came, and how."""
    agreed = connection.negotiated
    print(f"{who} ({agreed.version if agreed else 'plain text'}): {text.strip()}", flush=True)


def serve(connection: Connection, event: object) -> None:
    """`Opened` comes twice: when the connection stands, and when TLS is verified."""
    if isinstance(event, Opened) and connection.negotiated is None:
        connection.send(b"220 STARTTLS is expected here\n")
    elif isinstance(event, Received):
        show("server got", connection, event.data.decode())
        if connection.negotiated is None:
            connection.send(b"220 go ahead\n")  # goes out in plain text, before the first byte of TLS
            connection.start_tls(SERVER)
        else:
            connection.send(b"221 goodbye\n")
            connection.close()


def ask(connection: Connection, event: object) -> None:
    """One short line at a time in either direction comes whole here; a real client collects lines."""
    if isinstance(event, Opened) and connection.negotiated is not None:
        connection.send(b"the secret is 42\n")
    elif isinstance(event, Received):
        show("client got", connection, event.data.decode())
        if event.data.startswith(b"220 STARTTLS"):
            connection.send(b"STARTTLS\n")
        elif event.data.startswith(b"220 go"):
            connection.start_tls(CLIENT, server_name="localhost")
    elif isinstance(event, Closed):
        print("client closed:", event.reason)
        connection.manager.close()


if __name__ == "__main__":
    manager = Manager()
    manager.connect(str(manager.listen("tcp://127.0.0.1:0", serve).url), ask)
    sys.exit(0 if manager.run().ok else 1)

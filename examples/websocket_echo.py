"""Send every WebSocket message back.

python examples/websocket_echo.py [ws://127.0.0.1:8080/]
"""

from __future__ import annotations

import sys

from mungos import Closed, Manager, Writable
from mungos.websocket import Message, ServerConnection, listen


def echo(session: ServerConnection, event: object) -> None:
    """A peer that does not read its echoes is not read from, until there is room again."""
    if isinstance(event, Message):
        if not session.send(event.data):
            session.connection.pause()
    elif isinstance(event, Writable):
        session.connection.resume()
    elif isinstance(event, Closed):
        print("closed:", event.reason, event.detail, flush=True)


def main(url: str = "ws://127.0.0.1:8080/") -> int:
    """Serve until SIGINT or SIGTERM; every peer is told 1001. Status 0 when nothing was left open."""
    manager = Manager()
    print("listening at", listen(manager, url, echo).url, flush=True)
    report = manager.run()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Fetch one page, in ten lines.

python examples/get.py http://127.0.0.1:8080/you
"""

from __future__ import annotations

import sys

from mungos import Closed, Manager, Opened
from mungos.http import ClientConnection, Data, EndOfMessage, Response, connect
from mungos.url import parse


def main(url: str = "http://127.0.0.1:8080/") -> int:
    """Print the body; status 0 when the whole of it came."""
    complete = False

    def on_event(session: ClientConnection, event: object) -> None:
        nonlocal complete
        if isinstance(event, Opened):
            session.request("GET", parse(url).target)
        elif isinstance(event, Response):
            print(event.status, event.reason, file=sys.stderr)
        elif isinstance(event, Data):
            sys.stdout.buffer.write(event.data)
        elif isinstance(event, EndOfMessage):
            complete = True
            session.connection.close()
        elif isinstance(event, Closed):
            print("closed:", event.reason, file=sys.stderr)
            manager.close()

    manager = Manager()
    connect(manager, url, on_event)
    report = manager.run()
    return 0 if complete and report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

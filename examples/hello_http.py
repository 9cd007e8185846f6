"""A web server in ten lines.

python examples/hello_http.py [http://127.0.0.1:8080/], then open http://127.0.0.1:8080/you
"""

from __future__ import annotations

import sys

from mungos import Manager
from mungos.http import Request, ServerConnection, listen


def answer(session: ServerConnection, event: object) -> None:
    """Called with whatever happens on any connection; only requests matter here."""
    if isinstance(event, Request):
        session.respond(200, f"Hello, {event.path}\n".encode(), content_type="text/plain; charset=utf-8")


def main(url: str = "http://127.0.0.1:8080/") -> int:
    """Serve until SIGINT or SIGTERM; status 0 when nothing was left open."""
    manager = Manager()
    print("listening at", listen(manager, url, answer).url, flush=True)
    report = manager.run()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

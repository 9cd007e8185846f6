"""Send back whatever comes, and read no faster than the peer takes it.

python examples/tcp_echo.py [tcp://127.0.0.1:7007]
"""

from __future__ import annotations

import sys

from mungos import Connection, Ended, Manager, Received, Writable


def echo(connection: Connection, event: object) -> None:
    """Whoever sends without reading is not read from any more, until there is room again."""
    if isinstance(event, Received):
        if not connection.send(event.data):
            connection.pause()
    elif isinstance(event, Writable):
        connection.resume()
    elif isinstance(event, Ended):
        connection.close()


def main(url: str = "tcp://127.0.0.1:7007") -> int:
    """Serve until SIGINT or SIGTERM; status 0 when nothing was left open."""
    manager = Manager()
    print("listening at", manager.listen(url, echo).url, flush=True)
    report = manager.run()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

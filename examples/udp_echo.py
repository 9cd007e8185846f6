"""Send every datagram back to where it came from.

python examples/udp_echo.py [udp://127.0.0.1:7007]
"""

from __future__ import annotations

import sys

from mungos import Datagram, DatagramConnection, DatagramError, Manager


def echo(socket: DatagramConnection, event: object) -> None:
    """One socket for all peers; an error concerns one datagram and ends nothing.

    Low ports get no answer: two echo services would play with one forged datagram for ever.
    """
    if isinstance(event, Datagram) and event.peer.port >= 1024:
        socket.send(event.data, event.peer)
    elif isinstance(event, DatagramError):
        print("lost:", event.error, file=sys.stderr)


def main(url: str = "udp://127.0.0.1:7007") -> int:
    """Serve until SIGINT or SIGTERM; status 0 when nothing was left open."""
    manager = Manager()
    print("listening at", manager.listen(url, echo).url, flush=True)
    report = manager.run()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

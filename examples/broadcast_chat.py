"""Chat rooms over WebSocket: one room a path, and whoever reads too slowly is dropped.

python examples/broadcast_chat.py [ws://127.0.0.1:8080/]
"""

from __future__ import annotations

import sys
from collections import defaultdict

from mungos import Closed, Manager
from mungos.websocket import CloseReceived, Established, Message, ServerConnection, State, listen

rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


def broadcast(room: str, data: str | bytes) -> None:
    """Queue it for everybody. A sender's False means that a peer is `high_watermark` bytes behind: it goes,
    or its queue would grow at the pace of the others."""
    for member in list(rooms[room]):
        if member.state is State.OPEN and not member.send(data):
            print("dropped for being slow:", member.connection.remote, flush=True)
            member.connection.abort("too slow for this room")


def leave(session: ServerConnection) -> None:
    """Out of the room, and the room goes with its last member."""
    room = str(session.user)
    rooms[room].discard(session)
    if not rooms[room]:
        del rooms[room]


def chat(session: ServerConnection, event: object) -> None:
    """Join with the handshake, leave with the peer's Close or with whatever else ends the connection."""
    if isinstance(event, Established):
        session.user = event.path
        rooms[event.path].add(session)
    elif isinstance(event, Message):
        broadcast(str(session.user), event.data)
    elif isinstance(event, CloseReceived | Closed) and session.user is not None:
        leave(session)


def main(url: str = "ws://127.0.0.1:8080/") -> int:
    """Serve until SIGINT or SIGTERM; every peer is told 1001. Status 0 when nothing was left open."""
    manager = Manager()
    print("listening at", listen(manager, url, chat).url, flush=True)
    report = manager.run()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The states of a session, each named by what it waits for, and the moves allowed. It knows no role."""

from __future__ import annotations

from enum import Enum

__all__ = ["TRANSITIONS", "State"]


class State(Enum):
    """What a session waits for (RFC 6455 sections 4 and 7)."""

    AWAITING_HANDSHAKE = "awaiting the opening handshake"
    OPEN = "open"
    AWAITING_CLOSE = "awaiting the peer's Close"
    AWAITING_STREAM_END = "awaiting the end of the stream"
    CLOSED = "closed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.AWAITING_HANDSHAKE: frozenset({State.OPEN, State.CLOSED}),
    State.OPEN: frozenset({State.AWAITING_CLOSE, State.AWAITING_STREAM_END, State.CLOSED}),
    State.AWAITING_CLOSE: frozenset({State.AWAITING_STREAM_END, State.CLOSED}),
    State.AWAITING_STREAM_END: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}

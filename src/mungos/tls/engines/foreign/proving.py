"""Whether a key is that of its certificate, tried before anybody connects: a handshake in memory.

The libraries' own checks let some wrong keys pass, or need structures of unknown shape; and whatever else is
wrong with a credential for its library, it shows here.
"""

from __future__ import annotations

from mungos.errors import Misuse
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.records import HeldRecords
from mungos.tls.engines.foreign.session import Ended, LibrarySession

__all__ = ["prove"]

_FLIGHTS = 6


def prove(client: LibrarySession, server: LibrarySession, outboxes: tuple[Outbox, Outbox]) -> None:
    """Raises Misuse where the two do not come together. Both are freed.

    Args:
        client: one that believes everything but a wrong signature.
        server: one that shows the credential.
        outboxes: where each leaves its ciphertext.
    """
    ends = (client, server)
    done = [False, False]
    held = HeldRecords()
    try:
        for flight in range(_FLIGHTS):
            at = flight % 2
            if not done[at]:
                done[at] = ends[at].handshake()
            held.append(outboxes[at].read())
            while held.feed(ends[1 - at]):
                pass
    except Ended as ended:
        raise Misuse(f"credential: no handshake succeeds with it: {ended.verdict.error}") from None
    finally:
        for end in ends:
            end.free()
    if done != [True, True]:
        raise Misuse("credential: no handshake succeeds with it")

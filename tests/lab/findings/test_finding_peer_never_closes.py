"""The rule peer-never-closes."""

from __future__ import annotations

from mungos.lab.findings import Case
from mungos.lab.findings.rules.peer_never_closes import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    listener,
    pipe,
    process,
    thread,
    unix_pair,
)


def scene(states: tuple[str, str], *, call: str = "recvfrom", peer: str = "accept", **more: int) -> Case:
    near, far = connection(3, 4, states, **more)
    server = process(thread(peer, 9, tid=200), pid=200, parent=100, descriptors=[far, listener(9)])
    return case(process(thread(call, 3), descriptors=[near]), server)


def test_the_end_was_said_and_is_not_answered() -> None:
    (finding,) = found(RULE, scene(("FIN_WAIT2", "CLOSE_WAIT")))
    assert finding.certainty == "certain"
    assert "200" in finding.waits_for
    assert any("CLOSE_WAIT" in text for text in finding.evidence)


def test_the_peer_lives_and_does_something_else() -> None:
    (finding,) = found(RULE, scene(("ESTABLISHED", "ESTABLISHED")))
    assert finding.certainty == "likely"
    near, far = unix_pair((100, 3), (200, 4))
    server = process(thread("accept", 9, tid=200), pid=200, descriptors=[far, listener(9)])
    assert len(found(RULE, case(process(thread("recvfrom", 3), descriptors=[near]), server))) == 1


def test_near_misses() -> None:
    # Data is there; a time-out runs; both wait for each other; the peer is not seen.
    assert not found(RULE, scene(("FIN_WAIT2", "CLOSE_WAIT"), unread=5))
    near, far = connection(3, 4, ("FIN_WAIT2", "CLOSE_WAIT"))
    timed = process(thread("recvfrom", 3, timeout=5.0, forever=False), descriptors=[near])
    server = process(thread("accept", 9, tid=200), pid=200, descriptors=[far, listener(9)])
    assert not found(RULE, case(timed, server))
    near, far = connection(3, 4)
    client = process(thread("recvfrom", 3), descriptors=[near])
    assert not found(RULE, case(client, process(thread("recvfrom", 4, tid=200), pid=200, descriptors=[far])))
    assert not found(RULE, case(client))
    # The output of a program that still runs.
    reading, output = pipe(3, 1)
    child = process(thread("accept", 9, tid=200), pid=200, parent=100, descriptors=[output, listener(9)])
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading]), child))

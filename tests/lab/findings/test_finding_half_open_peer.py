"""The rule half-open-peer."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.half_open_peer import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    listener,
    process,
    thread,
)


def test_the_peer_vanished() -> None:
    near, _ = connection(3, 4)
    (finding,) = found(RULE, case(process(thread("recvfrom", 3), descriptors=[near])))
    assert finding.certainty == "likely"
    assert near.socket is not None
    outside = replace(near, socket=replace(near.socket, peer_known=False))
    (finding,) = found(RULE, case(process(thread("recvfrom", 3), descriptors=[outside])))
    assert finding.certainty == "certain"
    assert "SO_KEEPALIVE" in finding.advice


def test_the_peer_is_stopped() -> None:
    near, far = connection(3, 4)
    peer = process(thread("recvfrom", 4, tid=200), pid=200, state="T", descriptors=[far])
    (finding,) = found(RULE, case(process(thread("recvfrom", 3), descriptors=[near]), peer))
    assert any("is stopped" in text for text in finding.evidence)


def test_near_misses() -> None:
    near, far = connection(3, 4)
    client = process(thread("recvfrom", 3), descriptors=[near])
    # It lives; it stands in a backlog; keep-alive, a deadline; data is there; the kernel closes it.
    assert not found(RULE, case(client, process(thread("accept", 9, tid=200), pid=200, descriptors=[far])))
    assert not found(
        RULE, case(client, process(thread("pause", tid=200), pid=200, descriptors=[listener(9, 1)]))
    )
    watched, _ = connection(3, 4, timer="keep-alive in 7100 s")
    assert not found(RULE, case(process(thread("recvfrom", 3), descriptors=[watched])))
    assert not found(RULE, case(process(thread("poll", timeout=9.0), descriptors=[near])))
    full, _ = connection(3, 4, unread=10)
    assert not found(RULE, case(process(thread("recvfrom", 3), descriptors=[full])))
    assert far.socket is not None
    assert not found(RULE, case(client, sockets=[far.socket]))

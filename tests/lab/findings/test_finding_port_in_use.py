"""The rule port-in-use."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.port_in_use import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    line,
    listener,
    process,
    thread,
)

SAID = line("OSError: [Errno 98] Address already in use: ('127.0.0.1', 8000)")


def test_who_listens() -> None:
    server = process(thread("accept", 3), descriptors=[listener(3, address="127.0.0.1:8000")])
    (finding,) = found(RULE, case(server, lines=[SAID]))
    assert any("listens on 127.0.0.1:8000" in text for text in finding.evidence)


def test_time_wait_or_unknown() -> None:
    near, _ = connection(states=("TIME_WAIT", "CLOSE"))
    assert near.socket is not None
    old = replace(near.socket, local="127.0.0.1:8000")
    (finding,) = found(RULE, case(process(thread("pause")), lines=[SAID], sockets=[old]))
    assert "TIME_WAIT" in finding.title
    assert len(found(RULE, case(lines=[SAID], verdict=Verdict.FAILED, status=1))) == 1


def test_near_misses() -> None:
    assert not found(RULE, case(lines=[SAID], verdict=Verdict.PASSED, status=0))
    assert not found(RULE, case(lines=[line("address in use is checked")], verdict=Verdict.FAILED, status=1))

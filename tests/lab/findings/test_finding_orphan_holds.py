"""The rule orphan-holds."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.orphan_holds import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import (
    case,
    found,
    listener,
    pipe,
    plain,
    process,
    thread,
)


def test_a_leaked_server_keeps_its_port() -> None:
    left = process(thread("accept", 3), orphan=True, descriptors=[listener(3, address="127.0.0.1:8000")])
    (finding,) = found(RULE, case(left, verdict=Verdict.LEAKED, status=0))
    assert "127.0.0.1:8000" in finding.title


def test_an_orphan_keeps_the_pipe_that_somebody_reads() -> None:
    reading, writing = pipe(5, 1)
    reader = process(thread("read", 5), descriptors=[reading])
    sleeper = process(
        thread("nanosleep", timeout=1000.0, tid=200), pid=200, orphan=True, descriptors=[writing]
    )
    (finding,) = found(RULE, case(reader, sleeper))
    assert finding.pid == 200
    assert any("100" in text for text in finding.evidence)
    # The same with its parent still there.
    assert not found(RULE, case(reader, replace(sleeper, orphan=False)))
    # Nobody waits for it.
    assert not found(RULE, case(replace(reader, threads=(thread("pause"),)), sleeper))


def test_near_misses() -> None:
    quiet = process(thread("pause"), orphan=True, descriptors=[plain(1)])
    assert not found(RULE, case(quiet, verdict=Verdict.LEAKED, status=0))
    assert not found(RULE, case(quiet))

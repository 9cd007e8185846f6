"""The rule fifo-opened-alone."""

from __future__ import annotations

from dataclasses import replace

from mungos.lab.findings.rules.fifo_opened_alone import RULE
from mungos.lab.verdicts import Verdict
from tests.lab.findings.scenes import case, found, process, thread


def test_nobody_opens_the_other_end() -> None:
    waits = replace(thread("openat", described="openat of /tmp/queue"), wchan="fifo_open")
    assert len(found(RULE, case(process(waits)))) == 1


def test_near_misses() -> None:
    slow = replace(thread("openat", described="openat of /net/file"), wchan="nfs_wait")
    assert not found(RULE, case(process(slow)))
    waits = replace(thread("read", 3), wchan="pipe_read")
    assert not found(RULE, case(process(waits)))
    opens = replace(thread("openat"), wchan="fifo_open")
    assert not found(RULE, case(process(opens), verdict=Verdict.FAILED))

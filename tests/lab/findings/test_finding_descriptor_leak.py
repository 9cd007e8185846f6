"""The rule descriptor-leak."""

from __future__ import annotations

from mungos.lab.facts import Descriptor
from mungos.lab.findings.rules.descriptor_leak import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    plain,
    process,
    thread,
)


def ended(number: int, state: str = "CLOSE_WAIT") -> list[Descriptor]:
    return [connection(10 + at, 90, (state, "FIN_WAIT2"))[0] for at in range(number)]


def test_a_heap_of_ended_connections() -> None:
    (finding,) = found(RULE, case(process(thread("accept", 3), descriptors=ended(24))))
    assert finding.title.startswith("24 connections stand in CLOSE_WAIT")


def test_the_limit_is_near() -> None:
    files = [plain(at, target="/tmp/same") for at in range(60)]
    (finding,) = found(RULE, case(process(thread("pause"), descriptors=files, limit=64)))
    assert any("60 /tmp/same" in text for text in finding.evidence)


def test_near_misses() -> None:
    assert not found(RULE, case(process(thread("pause"), descriptors=ended(3))))
    assert not found(RULE, case(process(thread("pause"), descriptors=ended(24, "ESTABLISHED"))))
    files = [plain(at, target="/tmp/same") for at in range(60)]
    assert not found(RULE, case(process(thread("pause"), descriptors=files, limit=1024)))
    assert not found(RULE, case(process(thread("pause"), descriptors=files, limit=None)))

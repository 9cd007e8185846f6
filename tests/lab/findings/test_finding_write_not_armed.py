"""The rule write-not-armed."""

from __future__ import annotations

from pathlib import Path

from mungos.lab.findings import Case
from mungos.lab.findings.rules.write_not_armed import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    epoll,
    found,
    process,
    stack,
    thread,
)


def scene(tmp_path: Path, events: int = 1, source: str = "EPOLLOUT", unsent: int = 0) -> Case:
    path = tmp_path / "loop.py"
    path.write_text(f"flags = select.{source}\n")
    near, far = connection(4, 9, unsent=unsent)
    trace = stack(f"<module> ({path}:1)")
    server = process(thread("epoll_wait", 5), descriptors=[near, epoll(5, (4, events))], stacks=[trace])
    return case(server, process(thread("recvfrom", 9, tid=200), pid=200, descriptors=[far]))


def test_only_reading_is_armed(tmp_path: Path) -> None:
    (finding,) = found(RULE, scene(tmp_path))
    assert finding.certainty == "likely"


def test_near_misses(tmp_path: Path) -> None:
    assert not found(RULE, scene(tmp_path, events=5))
    assert not found(RULE, scene(tmp_path, source="EPOLLIN"))
    assert not found(RULE, scene(tmp_path, unsent=10))

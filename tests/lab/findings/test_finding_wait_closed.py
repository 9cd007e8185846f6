"""The rule wait-closed."""

from __future__ import annotations

from pathlib import Path

from mungos.lab.findings import Case
from mungos.lab.findings.rules.wait_closed import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    listener,
    process,
    stack,
    thread,
)


def scene(
    tmp_path: Path,
    *,
    source: str = "await server.wait_closed()",
    version: str = "3.12",
    listens: bool = False,
    opened: bool = True,
    timeout: float | None = None,
) -> Case:
    path = tmp_path / "server.py"
    path.write_text(f"server = await asyncio.start_server(serve)\n{source}\n")
    lib = f"/usr/lib/python{version}"
    trace = stack(
        f"EpollSelector.select ({lib}/selectors.py:468)\nBaseEventLoop._run_once "
        f"({lib}/asyncio/base_events.py:1933)\n"
        f"BaseEventLoop.run_until_complete ({lib}/asyncio/base_events.py:671)\n<module> ({path}:9)"
    )
    near, _ = connection(7, 9)
    held = [*([near] if opened else []), *([listener(8)] if listens else [])]
    return case(process(thread("epoll_wait", 5, timeout=timeout), descriptors=held, stacks=[trace]))


def test_a_connection_is_still_open(tmp_path: Path) -> None:
    (finding,) = found(RULE, scene(tmp_path))
    assert "1 connection still open" in finding.title


def test_near_misses(tmp_path: Path) -> None:
    assert not found(RULE, scene(tmp_path, version="3.11"))
    assert not found(RULE, scene(tmp_path, listens=True))
    assert not found(RULE, scene(tmp_path, opened=False))
    assert not found(RULE, scene(tmp_path, source="await other()"))
    assert not found(RULE, scene(tmp_path, timeout=5.0))

"""The rule hidden-data."""

from __future__ import annotations

from pathlib import Path

from mungos.lab.findings import Case
from mungos.lab.findings.rules.hidden_data import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    epoll,
    found,
    plain,
    process,
    stack,
    thread,
)

EDGE = 1 << 31


def test_edge_triggered_and_not_drained() -> None:
    near, far = connection(4, 9, unread=7168)
    reader = process(thread("epoll_wait", 5), descriptors=[near, epoll(5, (4, 1 | EDGE))])
    (finding,) = found(RULE, case(reader))
    assert "7168 bytes" in finding.title
    assert finding.certainty == "certain"
    # Level-triggered: the kernel would have reported it, so it has come only now.
    level = process(thread("epoll_wait", 5), descriptors=[near, epoll(5, (4, 1))])
    assert not found(RULE, case(level))
    drained = process(thread("epoll_wait", 5), descriptors=[far, epoll(5, (9, 1 | EDGE))])
    assert not found(RULE, case(drained))
    soon = process(thread("epoll_wait", 5, timeout=0.1), descriptors=[near, epoll(5, (4, 1 | EDGE))])
    assert not found(RULE, case(soon))


def test_data_on_a_connection_that_is_not_watched() -> None:
    near, _ = connection(4, 9, unread=128)
    wake = plain(6, "eventfd", eventfd=0)
    (finding,) = found(
        RULE, case(process(thread("epoll_wait", 5), descriptors=[near, wake, epoll(5, (6, 1))]))
    )
    assert finding.certainty == "likely"


def pair(
    tmp_path: Path, source: str, call: str = "pselect6", *, unread: int = 0, peer_reads: bool = True
) -> Case:
    path = tmp_path / "tls.py"
    path.write_text(source)
    near, far = connection(4, 9, unread=unread)
    trace = stack(f"serve ({path}:2)\n<module> ({path}:9)")
    described = f"{call} on socket 4 127.0.0.1:1, not ready"
    server = process(thread(call, 5, described=described), descriptors=[near], stacks=[trace])
    waits = thread("recvfrom", 9, tid=200) if peer_reads else thread("pause", tid=200)
    return case(server, process(waits, pid=200, descriptors=[far]))


TLS = "tls = context.wrap_socket(wire)\nselect.select([tls], [], [])\n"


def test_both_ends_wait_above_a_tls_object(tmp_path: Path) -> None:
    (finding,) = found(RULE, pair(tmp_path, TLS))
    assert finding.certainty == "likely"
    assert "process 200" in " ".join(finding.evidence)


def test_near_misses_above_a_socket(tmp_path: Path) -> None:
    # No layer that could hide anything; the peer is not waiting; data is on its way.
    assert not found(RULE, pair(tmp_path, "select.select([wire], [], [])\n"))
    assert not found(RULE, pair(tmp_path, TLS, peer_reads=False))
    assert not found(RULE, pair(tmp_path, TLS, unread=5))
    # It reads the socket itself.
    assert not found(RULE, pair(tmp_path, TLS, "recvfrom"))

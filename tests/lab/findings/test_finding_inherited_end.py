"""The rule inherited-end."""

from __future__ import annotations

from mungos.lab.findings.rules.inherited_end import RULE
from tests.lab.findings.scenes import (
    case,
    connection,
    found,
    listener,
    pipe,
    process,
    thread,
)


def test_a_child_holds_the_servers_end() -> None:
    near, far = connection(3, 4)
    reader = process(thread("recvfrom", 3), descriptors=[near])
    child = process(thread("pause", tid=200), pid=200, parent=100, descriptors=[far])
    (finding,) = found(RULE, case(reader, child))
    assert finding.pid == 100
    assert "200" in finding.waits_for


def test_another_program_holds_a_pipes_end() -> None:
    reading, writing = pipe(3, 7)
    reader = process(thread("read", 3), descriptors=[reading])
    child = process(thread("read", 0, tid=200), pid=200, parent=100, command="cat", descriptors=[writing])
    assert len(found(RULE, case(reader, child))) == 1


def test_near_misses() -> None:
    reading, writing = pipe(3, 7)
    reader = process(thread("read", 3), descriptors=[reading])
    # It uses the end; it is the child's standard output; it is an orphan; the reader holds it itself, too.
    user = process(thread("write", 7, tid=200), pid=200, parent=100, command="cat", descriptors=[writing])
    assert not found(RULE, case(reader, user))
    reading_one, output = pipe(3, 1)
    plain_child = process(thread("pause", tid=200), pid=200, parent=100, descriptors=[output])
    assert not found(RULE, case(process(thread("read", 3), descriptors=[reading_one]), plain_child))
    orphan = process(thread("pause", tid=200), pid=200, orphan=True, descriptors=[writing])
    assert not found(RULE, case(reader, orphan))
    # A server's own connection, while it waits for the next one.
    near, far = connection(3, 4)
    server = process(thread("accept", 9, tid=200), pid=200, parent=100, descriptors=[far, listener(9)])
    assert not found(RULE, case(process(thread("recvfrom", 3), descriptors=[near]), server))
    # The client has said its end: the peer has to answer it.
    near, far = connection(3, 4, ("FIN_WAIT2", "CLOSE_WAIT"))
    child = process(thread("pause", tid=200), pid=200, parent=100, descriptors=[far])
    assert not found(RULE, case(process(thread("recvfrom", 3), descriptors=[near]), child))

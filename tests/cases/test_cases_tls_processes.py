"""Dropped objects, forks and executed programs with a live TLS connection, on kernel sockets (T90, T91)."""

from __future__ import annotations

import gc
import os
import subprocess
import warnings

import pytest

from mungos import CloseKind, Manager
from mungos.testing.tls.forking import in_child, refusal
from tests.cases.oracles import ended
from tests.cases.tls_stand import Role, Stand
from tests.cases.world import Notes, World

pytestmark = pytest.mark.parametrize("world", ["kernel"], indirect=True)


def test_t91_fork_child_holds_no_copy_and_refuses_to_work(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    manager, connection = world.managers[0], notes.connection
    sockets = {os.stat(f"/proc/self/fd/{connection.endpoint.fd}").st_ino} if connection.endpoint else set()
    assert sockets

    def work() -> str:
        held = set()
        for name in os.listdir("/proc/self/fd"):
            try:
                held.add(os.stat(f"/proc/self/fd/{name}").st_ino)
            except OSError:
                continue
        return "\n".join(
            [
                f"copies {len(held & sockets)}",
                refusal(lambda: manager.poll(0)),
                refusal(lambda: connection.send(b"from the child")),
                refusal(manager.close),
            ]
        )

    said, let_go = in_child(work)
    try:
        copies, *refusals = said.split("\n")
        assert copies == "copies 0"
        assert len(refusals) == 3
        assert all(line.startswith("Misuse") and "fork" in line for line in refusals), said
        # The reset goes out only when the last copy of the descriptor is closed.
        connection.abort()
        world.run(lambda: peer.raw.reset)
        ended(world, notes, CloseKind.ABORTED)
    finally:
        let_go()


def test_t91_fork_parent_goes_on(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    _, let_go = in_child(lambda: "here")
    try:
        peer.send(b"after the fork")
        world.run(lambda: notes.data == b"after the fork")
        notes.connection.send(b"answer")
        notes.connection.close()
        world.run(lambda: peer.notified and peer.raw.ended)
        peer.raw.end()
        ended(world, notes, CloseKind.CLEAN)
    finally:
        let_go()


def test_t91_executed_program_inherits_nothing(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as program:
        notes.connection.abort()
        world.run(lambda: peer.raw.reset)
        ended(world, notes, CloseKind.ABORTED)
        assert program.stdin is not None
        program.stdin.close()


def test_t90_dropped_connection_is_the_managers_to_close(stand: Stand, role: Role) -> None:
    world, notes = stand.world, Notes()
    peer = stand.open(role, notes)
    notes.faces.clear()
    gc.collect()
    peer.send(b"still there")
    world.run(lambda: notes.data == b"still there")
    assert world.managers[0].close(0.2).ok
    assert len(notes.of("Closed")) == 1


def test_t90_dropped_manager_warns_with_its_origin_and_its_descriptors_are_reclaimed(world: World) -> None:
    before = set(os.listdir("/proc/self/fd"))

    def forget() -> None:
        manager = Manager()
        manager.listen("tcp://127.0.0.1:0", Notes())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forget()
        gc.collect()
    told = [str(warning.message) for warning in caught]
    caught.clear()  # each keeps what it warns of
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert any("never closed" in text and __file__ in text and "forget" in text for text in told), told
    assert set(os.listdir("/proc/self/fd")) <= before
    del world

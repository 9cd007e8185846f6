"""Section D: dropped objects, forks and executed programs, other processors (T90 to T92)."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import subprocess
import warnings

from mungos import CloseKind, Manager
from mungos.testing.tls.case import scene
from mungos.testing.tls.direct import Direct, pump
from mungos.testing.tls.forking import in_child, refusal
from mungos.testing.tls.papers import ed25519_credential, roots, wall
from mungos.testing.tls.stand import Stand
from mungos.testing.tls.verdicts import NotApplicable, expect, require
from mungos.tls import ClientConfig, ServerConfig
from mungos.tls.engines.builtin import BuiltinFactory

RECORDED = "5e6ba2a60f341c2bf9efc5642585b3b7afac3679e614c325078e1a607a100b9d"
"""SHA-256 of the session that `_session` plays: of all that both ends send, in order."""


@scene("T90")
def dropped_session(stand: Stand) -> None:
    """A session that nobody released: freed with its object, no noise, no crash."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            if stand.role == "server":
                Direct(stand.factory.server(stand.server_config()))
            else:
                Direct(stand.factory.client(stand.client_config(), "localhost")).take()
        gc.collect()
        told = [str(each.message) for each in caught]
    expect(told, [], "warnings")


@scene("T90")
def dropped_connection(stand: Stand) -> None:
    """It belongs to its manager: the application need not hold it."""
    notes = stand.notes()
    peer = stand.open(notes)
    notes.faces.clear()
    gc.collect()
    peer.send(b"still there")
    stand.world.run(lambda: notes.data == b"still there")
    require(stand.world.managers[0].close(0.2).ok, "nothing is left behind")
    expect(len(notes.of("Closed")), 1, "ends told")


@scene("T90")
def dropped_manager(stand: Stand) -> None:
    """It warns, and its descriptors are reclaimed, an open session's among them."""
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()

    def forget() -> None:
        manager = Manager()
        notes = stand.notes()
        if stand.role == "server":
            raw = stand.world.connect(str(stand.serve(notes, manager=manager).url))
        else:
            listener = stand.world.listener()
            stand.dial(listener.port, notes, manager=manager)
            raw = stand.world.accept(listener)
            listener.close()
        peer = stand.library(raw)
        for _ in range(1000):
            manager.poll(0.005)
            stand.world.turn()
            if peer.established and notes.of("Opened"):
                break
        require(bool(notes.of("Opened")), "the connection opens")
        stand.forget(notes)
        notes.faces.clear()
        notes.owners.clear()
        notes.events.clear()
        raw.close()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forget()
        gc.collect()
    told = [str(each.message) for each in caught]
    caught.clear()  # each keeps what it warns of
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    stand.watch.alive.clear()
    require(any("never closed" in text for text in told), "a warning names its owner", told)
    if before:
        left = set(os.listdir("/proc/self/fd")) - before
        expect(left, set(), "descriptors that are left")


@scene("T91")
def forked_child_holds_no_copy(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    manager, connection = stand.world.managers[0], notes.connection
    endpoint = connection.endpoint
    if endpoint is None or not os.path.isdir("/proc/self/fd"):
        raise NotApplicable("the system does not tell which descriptors a process holds")
    socket = os.stat(f"/proc/self/fd/{endpoint.fd}").st_ino

    def work() -> str:
        held = []
        for name in os.listdir("/proc/self/fd"):
            try:
                held.append(os.stat(f"/proc/self/fd/{name}").st_ino)
            except OSError:
                continue
        refusals = [
            refusal(lambda: manager.poll(0)),
            refusal(lambda: connection.send(b"from the child")),
            refusal(manager.close),
        ]
        return "\n".join([f"{held.count(socket)} copies", *refusals])

    said, let_go = in_child(work)
    try:
        copies, *refusals = said.split("\n")
        expect(copies, "0 copies", "what the child holds")
        refused = [line.startswith("Misuse") and "fork" in line for line in refusals]
        expect(refused, [True] * 3, "the child's calls are refused")
        # The reset goes out only when the last copy of the descriptor is closed.
        connection.abort()
        stand.world.run(lambda: peer.raw.reset)
        stand.ended(notes, CloseKind.ABORTED)
    finally:
        let_go()


@scene("T91")
def parent_goes_on(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    _, let_go = in_child(lambda: "here")
    try:
        peer.send(b"after the fork")
        stand.world.run(lambda: notes.data == b"after the fork")
        notes.send(b"answer")
        notes.connection.close()
        stand.world.run(lambda: peer.notified and peer.raw.ended)
        peer.raw.end()
        stand.ended(notes, CloseKind.CLEAN)
        expect(bytes(peer.data), b"answer", "what arrives")
    finally:
        let_go()


@scene("T91")
def executed_program_inherits_nothing(stand: Stand) -> None:
    notes = stand.notes()
    peer = stand.open(notes)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as program:  # noqa: S607
        notes.connection.abort()
        stand.world.run(lambda: peer.raw.reset)
        stand.ended(notes, CloseKind.ABORTED)
        if program.stdin is not None:
            program.stdin.close()


def _session() -> str:
    """One session of two built-in ends whose randomness is given: the hash of all that they sent."""
    client_config = ClientConfig(roots=roots(), wall=wall, groups=("x25519",), suites=SUITES, grease=False)
    server_config = ServerConfig((ed25519_credential(),), wall=wall, groups=("x25519",), suites=SUITES)
    ends = [
        Direct(_seeded(1).client(client_config, "localhost")),
        Direct(_seeded(2).server(server_config)),
    ]
    digest = hashlib.sha256()
    tapped = [_Tap(end, digest) for end in ends]
    pump(*tapped)
    for end, data in zip(ends, (b"from the client", b"from the server"), strict=True):
        end.write(data)
        pump(*tapped)
    for end in ends:
        end.engine.close_write()
        pump(*tapped)
    for end in ends:
        expect(end.names, ["Established", "PeerClosed"], "the verdicts")
        digest.update(end.data)
        end.engine.release()
    return digest.hexdigest()


SUITES = ("TLS_AES_128_GCM_SHA256",)


def _seeded(seed: int) -> BuiltinFactory:
    source = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    return BuiltinFactory(source.randbytes, wall)


class _Tap:
    """Hashes what an end sends."""

    def __init__(self, end: Direct, digest: object) -> None:
        self._end = end
        self._digest = digest

    def give(self, data: bytes) -> None:
        self._end.give(data)

    def take(self) -> bytes:
        data = self._end.take()
        self._digest.update(data)  # type: ignore[attr-defined]
        return data


@scene("T92")
def recorded_session(stand: Stand) -> None:
    """What goes over the wire is the same on every processor, byte for byte."""
    if stand.factory.name != BuiltinFactory.name:
        raise NotApplicable("the library draws its own randomness: no two sessions are alike")
    expect(_session(), RECORDED, "SHA-256 of all that both ends send")

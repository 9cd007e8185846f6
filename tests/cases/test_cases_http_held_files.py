"""Files that slow readers hold open: a part of the descriptors, and the others are answered meanwhile."""

from __future__ import annotations

import os
import pathlib
from dataclasses import replace

import pytest

from mungos import Limits, Manager, http
from tests.cases.web import Watch, Web, get
from tests.cases.web_peers import Speaker

MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)
DESCRIPTORS, RESERVED = 100, 10
SPARE = DESCRIPTORS - RESERVED
FILES = SPARE // 3
TIMELESS = Limits(reserved_descriptors=RESERVED, idle_accepted=None)
LARGE = 2 << 20


class Site:
    """A server of files, and how it was asked."""

    def __init__(self, web: Web, root: pathlib.Path, limits: Limits = TIMELESS) -> None:
        (root / "large").write_bytes(bytes(LARGE))
        (root / "small").write_bytes(b"small")
        files = http.FileServer(root)
        self.web = web
        self.watch: Watch = web.watch(
            Request=lambda session, event: files.handle(session, event, 0.0),
            Writable=lambda session, _event: files.pump(session),
        )
        web.world.network.descriptor_limit = DESCRIPTORS
        self.manager: Manager = web.world.manager(limits)
        self.listener = web.serve(self.watch, self.manager)
        self.before = len(os.listdir("/proc/self/fd"))

    def peer(self, *, deaf: bool = False) -> Speaker:
        """Somebody who connects, and takes nothing where `deaf`."""
        made = self.web.peer(self.listener)
        made.deaf = deaf
        return made

    def ask(self, peer: Speaker, path: str) -> int:
        """The status that the peer gets for one more request."""
        already = len(peer.statuses)
        peer.say(get(path))
        self.web.run(lambda: len(peer.statuses) > already)
        return peer.statuses[-1]

    def turns(self) -> None:
        """Whatever can happen now."""
        for _ in range(10):
            self.web.world.turn()

    @property
    def open_files(self) -> int:
        """As the system counts them: in memory nothing else has a descriptor."""
        return len(os.listdir("/proc/self/fd")) - self.before


@MEMORY
def test_slow_readers_hold_a_third_and_an_innocent_client_is_answered(
    web: Web, tmp_path: pathlib.Path
) -> None:
    site = Site(web, tmp_path, replace(TIMELESS, max_connections=SPARE - FILES))
    for _ in range(SPARE):
        site.peer(deaf=True).say(get("/large"))
    site.turns()
    assert site.open_files == FILES
    web.run(lambda: len(site.manager.connections) == FILES)
    innocent = site.peer()
    for _ in range(3):
        assert site.ask(innocent, "/small") == 200


@MEMORY
def test_without_a_descriptor_for_a_file_the_answer_closes_the_connection(
    web: Web, tmp_path: pathlib.Path
) -> None:
    site = Site(web, tmp_path)
    slow = [site.peer(deaf=True) for _ in range(FILES)]
    for peer in slow:
        peer.say(get("/large"))
    site.turns()
    late = site.peer()
    assert site.ask(late, "/large") == 503
    assert late.responses[-1][1]["connection"] == "close"
    web.run(lambda: late.over)
    slow[0].cut()
    web.run(lambda: site.open_files == FILES - 1)
    another = site.peer()
    assert site.ask(another, "/large") == 200
    web.run(lambda: len(another.received) > LARGE)
    assert site.open_files == FILES - 1
    site.manager.close(0.1)
    assert site.open_files == site.manager.descriptors.files == 0


@MEMORY
def test_who_is_connected_gets_a_large_file_while_others_take_all_connections(
    web: Web, tmp_path: pathlib.Path
) -> None:
    site = Site(web, tmp_path)
    kept = site.peer()
    assert site.ask(kept, "/small") == 200
    idle = [site.peer() for _ in range(SPARE)]
    site.turns()
    assert site.manager.is_full
    assert site.ask(kept, "/large") == 200
    web.run(lambda: len(kept.received) > LARGE)
    assert site.open_files == 0
    # Whoever waited comes in as soon as somebody leaves.
    count = site.watch.count("Opened")
    idle[0].close()
    web.run(lambda: site.watch.count("Opened") == count + 1)


@MEMORY
def test_connections_and_held_files_stop_accepting_together(web: Web, tmp_path: pathlib.Path) -> None:
    site = Site(web, tmp_path)
    slow = [site.peer(deaf=True) for _ in range(FILES)]
    for peer in slow:
        peer.say(get("/large"))
    site.turns()
    for _ in range(SPARE):
        site.peer()
    site.turns()
    assert len(site.manager.connections) == SPARE - FILES
    slow[0].deaf = False
    web.run(lambda: len(site.manager.connections) == SPARE - FILES + 1)
    assert site.open_files == FILES - 1

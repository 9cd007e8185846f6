"""What is made is freed, once: sessions, contexts, and the registry of the callbacks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mungos import tls
from mungos.errors import Misuse
from tests.tls.conftest import Authority
from tests.tls.pump import Ours
from tests.tls_foreign.conftest import PIPES, pair

SESSIONS = 1000
ROUNDS = 4


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_thousand_sessions_leave_no_memory_behind(engine: tls.EngineFactory, authority: Authority) -> None:
    """Made, started, fed the other's first flight, released. Of 1,000 sessions that were not freed each would
    keep its buffers, 10 to 40 KiB."""
    asking = tls.ClientConfig(authority.pem)
    showing = tls.ServerConfig((authority.credential("localhost"),))
    before = len(PIPES[engine.name])

    def one() -> None:
        client, server = Ours(engine.client(asking, "localhost")), Ours(engine.server(showing))
        server.give(client.take())
        server.pull()
        for end in (client, server):
            end.engine.release()
            end.engine.release()

    sizes = []
    for _ in range(ROUNDS):
        for _ in range(SESSIONS // 2 // ROUNDS):
            one()
        gc.collect()
        sizes.append(resident())
    assert len(PIPES[engine.name]) == before
    assert sizes[-1] - sizes[0] < 3_000_000, f"grew by {sizes[-1] - sizes[0]} bytes: {sizes}"


def test_a_session_that_is_dropped_is_freed_too(engine: tls.EngineFactory, authority: Authority) -> None:
    before = len(PIPES[engine.name])
    made = pair(engine.name, engine.name, authority)
    made.pump()
    assert len(PIPES[engine.name]) == before + 2
    del made
    gc.collect()
    assert len(PIPES[engine.name]) == before


def test_contexts_go_with_their_configuration(engine: tls.EngineFactory, authority: Authority) -> None:
    """A session outlives its configuration; then nothing refers to the library's context any more."""
    config = tls.ServerConfig((authority.credential("localhost"),))
    client = Ours(engine.client(tls.ClientConfig(authority.pem), "localhost"))
    server = Ours(engine.server(config))
    server.give(client.take())
    del config
    gc.collect()
    server.pull()
    assert server.take()
    server.engine.release()
    client.engine.release()


def test_after_release_nothing_reaches_the_library(engine: tls.EngineFactory, authority: Authority) -> None:
    made = pair(engine.name, engine.name, authority)
    made.pump()
    for end in made.ends:
        subject = end.engine
        subject.release()
        assert subject.receive(b"\x17\x03\x03\x00\x05hello", 0) == 10
        assert subject.next_event() is None
        subject.receive_eof(0)
        subject.close_write()
        subject.fail(tls.AlertDescription.internal_error)
        subject.expire(1e9)
        assert subject.take(100) == []
        with pytest.raises(Misuse):
            subject.unwrap()
        subject.release()


def test_what_python_raises_inside_the_library_comes_out(
    engine: tls.EngineFactory, authority: Authority
) -> None:
    """The certificate is judged in a function that C calls: an exception there must not be lost."""

    class Stopped(BaseException):
        pass

    def wall() -> float:
        raise Stopped

    client = Ours(engine.client(tls.ClientConfig(authority.pem, wall=wall), "localhost"))
    server = Ours(engine.server(tls.ServerConfig((authority.credential("localhost"),))))

    def exchange() -> None:
        for _ in range(3):
            server.give(client.take())
            server.pull()
            client.give(server.take())
            client.pull()

    with pytest.raises(Stopped):
        exchange()
    assert not client.established
    client.engine.release()
    server.engine.release()


FORKED = """
import os, sys
from mungos import tls
name, roots, chain, key = sys.argv[1], *(open(path, "rb").read() for path in sys.argv[2:5])
factory = tls.select(name)
asking, showing = tls.ClientConfig(roots), tls.ServerConfig((tls.Credential(chain, key),))

def meet():
    client, server = factory.client(asking, "localhost"), factory.server(showing)
    client.start(0.0), server.start(0.0)
    hello = b"".join(client.take(1 << 20))
    server.receive(hello, 0.0)
    server.next_event()
    client.receive(b"".join(server.take(1 << 20)), 0.0)
    while client.next_event() is not None: pass
    return client, server, hello[11:43]

kept = meet()
read, write = os.pipe()
child = os.fork()
if child == 0:
    for each in kept[:2]: each.release()   # a copy: left alone
    os.write(write, meet()[2])
    os._exit(0)
mine = meet()[2]
theirs = os.read(read, 32)
status = os.waitpid(child, 0)[1]
for each in kept[:2]: each.release()
print(status, len(theirs), mine != theirs)
"""


def test_after_a_fork_both_go_on_with_randomness_of_their_own(
    engine: tls.EngineFactory, authority: Authority, tmp_path: Path
) -> None:
    credential = authority.credential("localhost")
    texts = {"roots": authority.pem, "chain": credential.chain, "key": credential.key}
    paths = [tmp_path / name for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_bytes(text)
    line = [sys.executable, "-c", FORKED, engine.name, *map(str, paths)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["0", "32", "True"], done.stderr

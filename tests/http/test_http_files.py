"""The file server: what it gives, and what it never gives."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.errors import Broken, Misuse
from mungos.http import FileServer, FileStream, HTTPLimits
from tests.http.http_peers import Client, Server, drain

MODIFIED = 784111777
LAST_MODIFIED = b"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
NOW = 1_700_000_000.0
LARGE = bytes(range(256)) * 2000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    (top / "sub dir").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "hello.txt").write_bytes(b"hello world")
    (top / "index.html").write_bytes(b"<p>top")
    (top / "sub dir" / "index.html").write_bytes(b"<p>sub")
    (top / "large.bin").write_bytes(LARGE)
    (top / "none.css").write_bytes(b"")
    (top / ".secret").write_bytes(b"secret")
    (top / ".well-known").mkdir()
    (top / ".well-known" / "x").write_bytes(b"known")
    (tmp_path / "outside.txt").write_bytes(b"outside")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "x").write_bytes(b"outside")
    for path in top.rglob("*"):
        os.utime(path, (MODIFIED, MODIFIED))
    return top


class Reply:
    def __init__(self, data: bytes, method: str) -> None:
        client = Client().get(method=method).feed(data)
        _, self.status, _, fields = client.notes[0]
        self.fields = dict(fields)  # type: ignore[call-overload]
        self.body = b"".join(each[1] for each in client.notes if each[0] == "data")  # type: ignore[misc]
        assert client.kinds[-1] == "end"


Ask = Callable[..., Reply]


@pytest.fixture
def ask(root: Path) -> Ask:
    def call(target: str, method: str = "GET", server: FileServer | None = None, **fields: str) -> Reply:
        files = server or FileServer(root)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        peer = Server(lambda session, event: files.handle(session, event, NOW))
        peer.feed(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode("latin-1"))
        while peer.session.stream is not None:
            files.pump(peer.session)
            peer.pull()
        assert not peer.session.ended
        return Reply(peer.sent, method)

    return call


def test_a_file(ask: Ask, root: Path) -> None:
    reply = ask("/hello.txt?query")
    assert (reply.status, reply.body) == (200, b"hello world")
    facts = (root / "hello.txt").stat()
    assert reply.fields == {
        "content-type": "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",
        "etag": f'"{facts.st_mtime_ns:x}-b"',
        "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
        "accept-ranges": "bytes",
        "content-length": "11",
    }
    head = ask("/hello.txt", "HEAD")
    assert (head.fields, head.body) == (reply.fields, b"")
    cached = ask("/hello.txt", server=FileServer(root, cache_control="no-cache"))
    assert cached.fields["cache-control"] == "no-cache"


def test_other_files(ask: Ask) -> None:
    assert ask("/none.css").body == b""
    assert ask("/none.css").fields["content-length"] == "0"
    assert ask("/large.bin").body == LARGE
    assert ask("/").body == b"<p>top"
    assert ask("/sub%20dir/").body == b"<p>sub"
    assert ask("http://other//sub%20dir/./index.html").body == b"<p>sub"
    assert ask("/.well-known/x").body == b"known"


def test_directories_are_redirected_to_their_slash(ask: Ask, root: Path) -> None:
    reply = ask("/sub%20dir?a=b")
    assert (reply.status, reply.fields["location"]) == (301, "/sub%20dir/?a=b")
    assert ask("//sub%20dir").fields["location"] == "/sub%20dir/"
    (root / "example.com").mkdir()
    assert ask("//example.com").fields["location"] == "/example.com/"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/missing", 404),
        ("/hello.txt/", 404),
        ("/hello.txt/x", 404),
        ("/empty/", 404),
        ("/.secret", 404),
        ("/sub%20dir/../hello.txt", 400),
        ("/../outside.txt", 400),
        ("/%2e%2e/outside.txt", 400),
        ("/..%2foutside.txt", 400),
        ("/sub%20dir%2f..%2f..%2foutside.txt", 400),
        ("/%2e%2e/root2/x", 400),
        ("/hello.txt%00.html", 400),
        ("/" + "a" * 300, 404),
        ("/%", 400),
        ("/..\\outside.txt", 404),
    ],
)
def test_what_is_not_given(ask: Ask, target: str, status: int) -> None:
    reply = ask(target)
    assert reply.status == status
    assert b"outside" not in reply.body
    assert ask(target, "HEAD").body == b""


def test_links_are_followed_below_the_root_only(ask: Ask, root: Path) -> None:
    (root / "inside").symlink_to("hello.txt")
    (root / "out").symlink_to("../outside.txt")
    (root / "absolute").symlink_to(root.parent / "outside.txt")
    (root / "up").symlink_to("..")
    (root / "beside").symlink_to("../root2")
    (root / "loop").symlink_to("loop")
    (root / "empty" / "index.html").symlink_to("../../outside.txt")
    assert ask("/inside").body == b"hello world"
    for target in ("/out", "/absolute", "/up/outside.txt", "/up/", "/beside/x", "/loop", "/empty/"):
        assert ask(target).status == 404, target


def test_things_that_are_no_files_are_not_opened(ask: Ask, root: Path) -> None:
    os.mkfifo(root / "fifo")
    assert ask("/fifo").status == 404


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read_are_403(ask: Ask, root: Path) -> None:
    (root / "hello.txt").chmod(0)
    assert ask("/hello.txt").status == 403


def test_methods(ask: Ask) -> None:
    assert ask("/hello.txt", "DELETE").status == 405
    assert ask("/hello.txt", "DELETE").fields["allow"] == "GET, HEAD, OPTIONS"
    assert ask("/hello.txt", "OPTIONS").status == 204
    assert ask("*", "OPTIONS").status == 204


def test_hidden_files_can_be_allowed(ask: Ask, root: Path) -> None:
    assert ask("/.secret", server=FileServer(root, hidden=True)).body == b"secret"


def test_conditions(ask: Ask) -> None:
    first = ask("/hello.txt")
    reply = ask("/hello.txt", if_none_match=first.fields["etag"])
    assert (reply.status, reply.body) == (304, b"")
    assert set(reply.fields) == {"etag", "last-modified"}
    assert ask("/hello.txt", if_modified_since=first.fields["last-modified"]).status == 304
    assert ask("/hello.txt", if_match='"other"').status == 412


@pytest.mark.parametrize("target", ["/hello.txt", "/large.bin"])
def test_ranges(ask: Ask, target: str) -> None:
    whole = ask(target).body
    size = len(whole)
    reply = ask(target, range="bytes=2-5")
    assert (reply.status, reply.body) == (206, whole[2:6])
    assert reply.fields["content-range"] == f"bytes 2-5/{size}"
    assert ask(target, range="bytes=-4").body == whole[-4:]
    assert ask(target, range="bytes=1-").body == whole[1:]
    refused = ask(target, range=f"bytes={size}-")
    assert (refused.status, refused.fields["content-range"]) == (416, f"bytes */{size}")
    assert ask(target, range="bytes=0-1,3-4").body == whole
    assert ask(target, range="bytes=0-1", if_range='"other"').status == 200
    assert ask(target, range="bytes=0-1", if_range=reply.fields["etag"]).status == 206
    assert ask(target, "HEAD", range="bytes=0-1").status == 200


def test_precompressed_files(ask: Ask, root: Path) -> None:
    (root / "hello.txt.gz").write_bytes(gzip.compress(b"hello world"))
    plain = ask("/hello.txt")
    packed = ask("/hello.txt", accept_encoding="br, gzip")
    assert plain.body == gzip.decompress(packed.body) == b"hello world"
    assert packed.fields["content-encoding"] == "gzip"
    assert packed.fields["content-type"] == "text/plain; charset=utf-8"
    assert packed.fields["vary"] == plain.fields["vary"] == "Accept-Encoding"
    assert packed.fields["etag"] != plain.fields["etag"]
    assert ask("/hello.txt", accept_encoding="gzip", range="bytes=0-1").body == b"he"
    off = ask("/hello.txt", accept_encoding="gzip", server=FileServer(root, precompressed=False))
    assert off.body == b"hello world"
    assert "vary" not in off.fields


def start_large(root: Path) -> tuple[FileServer, Server]:
    files = FileServer(root)
    peer = Server(lambda session, event: files.handle(session, event, NOW), HTTPLimits(high_watermark=70_000))
    peer.session.receive(b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n", 0.0)
    while (event := peer.session.next_event()) is not None:
        files.handle(peer.session, event, NOW)
    return files, peer


def test_a_large_file_waits_for_room(root: Path) -> None:
    files, peer = start_large(root)
    session = peer.session
    assert 70_000 < session.unsent < 140_000
    files.pump(session)
    received = b""
    turns = 0
    while session.stream is not None:
        received += drain(session)
        files.pump(session)
        assert session.unsent < 140_000
        turns += 1
    received += drain(session)
    assert received.endswith(LARGE)
    assert turns > 2
    files.pump(session)
    assert peer.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").sent.endswith(b"<p>top")


def test_h19_a_session_that_is_dropped_gives_its_file_back(root: Path) -> None:
    _, peer = start_large(root)
    stream = peer.session.stream
    assert isinstance(stream, FileStream)
    assert not stream.closed
    stream.close()
    stream.close()
    assert stream.closed


def test_a_file_that_shrinks_breaks_the_response(root: Path) -> None:
    files, peer = start_large(root)
    stream = peer.session.stream
    assert isinstance(stream, FileStream)
    (root / "large.bin").write_bytes(b"short")
    drain(peer.session)
    with pytest.raises(Broken):
        files.pump(peer.session)
    assert stream.closed


def test_a_root_that_is_no_directory_is_misuse(root: Path) -> None:
    with pytest.raises(Misuse):
        FileServer(root / "hello.txt")

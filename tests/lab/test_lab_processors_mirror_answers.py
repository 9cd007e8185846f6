"""What a mirror's answers mean, and what is no mirror: real apt asks a server that answers as it is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mungos.errors import Misuse
from mungos.lab.processors import (
    ARCHITECTURES,
    MirrorLacks,
    Unavailable,
    add_root,
    building,
    find_root,
    host_architecture,
    roots,
)
from mungos.lab.processors.mirror import missing_files
from mungos.lab.processors.places import NOTE
from tests.lab.debian_mirror import Mirror, unsigned_bootstrap

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(host_architecture() not in ARCHITECTURES, reason="no architecture of the table"),
]
real = pytest.mark.foreign("mmdebstrap")
NAME = host_architecture()
NEW, OLD = "trixie", "bookworm"
RELEASED = (
    "Err:2 http://m/debian trixie Release\n  {why}\nReading package lists...\n"
    "E: The repository 'http://m/debian trixie Release' does not have a Release file.\n"
    "E: mmdebstrap failed to run\n"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the roots are; nothing is tried twice."""
    monkeypatch.setenv("MUNGOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MUNGOS_DEBIAN_MIRROR", raising=False)
    monkeypatch.setattr(building, "TRIES", 1)
    return tmp_path / "cache"


@contextmanager
def answering(release: int) -> Iterator[str]:
    """The URL of a server with the status `release` for dists/SUITE/Release, and 404 for all else; 302 leads
    to itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = release if release == 302 or self.path.endswith("/Release") else 404
            self.send_response(status)
            if status == 302:
                self.send_header("Location", self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/debian"
        finally:
            server.shutdown()
            thread.join()


def add(*options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mungos", "lab", "arch", "add", NAME, "--include", "", *options]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)


@real
@pytest.mark.parametrize(("release", "said"), [(302, "Redirection loop"), (403, "403  Forbidden")])
def test_release_that_is_answered_with_anything_but_404_is_no_lack(release: int, said: str) -> None:
    with answering(release) as url, pytest.raises(Unavailable, match=said) as raised:
        add_root(NAME, mirror=url, include=())
    assert not isinstance(raised.value, MirrorLacks)
    assert f"Err:2 {url} trixie Release:" in str(raised.value)


@real
def test_release_that_is_answered_with_404_is_a_lack() -> None:
    with answering(404) as url, pytest.raises(MirrorLacks):
        add_root(NAME, mirror=url, include=())


@pytest.mark.parametrize(
    "why", ["503  Service Unavailable [IP: 192.0.2.1 80]", "Redirection loop encountered", "4040  Odd", ""]
)
def test_what_apt_says_of_a_release_is_read_with_the_answer(why: str) -> None:
    assert missing_files(RELEASED.format(why="404  Not Found"), "http://m/debian") == (
        "dists/trixie/Release",
    )
    assert missing_files(RELEASED.format(why=why), "http://m/debian") == ()
    both = RELEASED.format(why="404  Not Found") + RELEASED.format(why=why)
    assert missing_files(both, "http://m/debian") == ()
    complaint = RELEASED.partition("lists...\n")[2]
    assert missing_files(complaint, "http://m/debian") == ()


@pytest.mark.parametrize(
    "mirror",
    [
        "foo",
        "ftp://x/",
        "",
        " ",
        "http://",
        "http:///debian",
        "http://x/a b",
        "http://x/?a",
        "-o",
        "file://x",
    ],
)
def test_what_is_no_mirror_is_wrong_usage_at_once(mirror: str) -> None:
    with pytest.raises(Misuse, match="is no URL of a Debian mirror: write http://host/debian"):
        add_root(NAME, mirror=mirror, say=pytest.fail)


def test_command_line_refuses_what_is_no_mirror() -> None:
    for mirror in ("", "ftp://u:secret@x/"):
        done = add("--mirror", mirror)
        assert done.returncode == 2
        assert "is no URL of a Debian mirror" in done.stderr
        assert "secret" not in done.stderr


@real
@pytest.mark.parametrize(("suite", "status"), [("nope", 3), (NEW, 77)])
def test_release_that_nobody_knows_is_a_wrong_name_and_no_lack(suite: str, status: int) -> None:
    with answering(404) as url:
        done = add("--mirror", url, "--suite", suite)
    assert done.returncode == status, done.stderr
    last = done.stderr.splitlines()[-1]
    assert (f"has no Debian release 'nope': is the name right? Those of {NAME} are {NEW}" in last) == (
        suite == "nope"
    )


def bootstrap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsigned mirrors will do from here on."""
    if shutil.which("mmdebstrap"):
        unsigned_bootstrap(folder / "bin", folder / "asked")
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")


@real
def test_password_of_a_mirror_is_shown_and_kept_nowhere(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap(tmp_path, monkeypatch)
    mirror = Mirror(tmp_path / "debian", NAME, [OLD])
    said: list[str] = []
    with mirror.served() as url:
        secret = url.replace("://", "://u:secret@")
        root = add_root(NAME, mirror=secret, include=(), say=said.append)
        assert add_root(NAME, mirror=secret, include=(), say=said.append) == root  # the same mirror
        mirror.file(OLD, "bash").unlink()
        lacking = add("--mirror", secret, "--rebuild")
    assert (root.suite, root.mirror) == (OLD, url.replace("://", "://...@"))
    assert any(line.startswith("unpacking") for line in said)
    assert lacking.returncode == 77
    kept = [path for path in cache.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    assert ("secret" in "\n".join(said) + lacking.stderr, kept) == (False, [])


@real
def test_mirror_that_lacks_a_release_is_named_though_the_root_is_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap(tmp_path, monkeypatch)
    with Mirror(tmp_path / "one", NAME, [OLD]).served() as one, answering(404) as other:
        first = add_root(NAME, mirror=one, include=())
        assert f"of which {one} lacked" in first.instead
        second = add_root(NAME, mirror=other, include=())
        assert (second.path, second.mirror, second.built) == (first.path, one, first.built)
        assert f"of which {other} lacked" in second.instead
        assert find_root(NAME) == second
        # the one asked last is not asked again for a day; the first one is
        said: list[str] = []
        assert add_root(NAME, mirror=other, include=(), say=said.append) == second
        assert said == [f"Debian {OLD} {second.instead}; it is asked for again after a day"]
        assert f"of which {one} lacked" in add_root(NAME, mirror=one, include=()).instead


def test_note_of_an_older_version_is_read(cache: Path) -> None:
    folder = cache / "roots" / f"{OLD}-{NAME}"
    folder.mkdir(parents=True)
    known = {
        "path": None, "architecture": NAME, "suite": OLD, "packages": ["bash"], "mirror": "http://m",
        "built": "2026-01-01T00:00:00+00:00", "recipe": "x", "instead": "in place of trixie",
    }  # fmt: skip
    (folder / NOTE).write_text(json.dumps(known))
    assert [(root.path, root.asked) for root in roots()] == [(folder, "")]


def test_folder_of_roots_that_can_not_be_read_is_told(cache: Path) -> None:
    cache.mkdir()
    (cache / "roots").write_text("")
    with pytest.raises(Unavailable, match=r"can't read .*roots: Not a directory"):
        roots()
    done = subprocess.run(
        [sys.executable, "-m", "mungos", "lab", "arch", "list"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (3, f"mungos: can't read {cache}/roots: Not a directory\n")

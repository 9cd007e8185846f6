"""SIGHUP: certificates read again, and a terminal that has gone."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.programs import MUNGOS, PATIENCE, Server, child, mungos, server
from tests.peers.tls_papers import Papers


class Files:
    """A certificate and its key in places where a server reads them, to be replaced."""

    def __init__(self, papers: Papers, folder: Path) -> None:
        self.papers = papers
        self.chain = folder / "chain.pem"
        self.key = folder / "key.pem"
        self.put("p256")

    def put(self, name: str) -> None:
        """Another pair."""
        shutil.copy(self.papers.path(f"{name}.pem"), self.chain)
        shutil.copy(self.papers.path(f"{name}.key"), self.key)

    @property
    def options(self) -> tuple[str, ...]:
        """For the server."""
        return ("--tls-cert", str(self.chain), "--tls-key", str(self.key))


@pytest.fixture
def files(papers: Papers, tmp_path: Path) -> Files:
    return Files(papers, tmp_path)


@contextmanager
def connected(serving: Server, papers: Papers, scheme: str = "tls") -> Iterator[ssl.SSLSocket]:
    """A connection with a verified certificate."""
    context = ssl.create_default_context(cadata=papers.root.decode("ascii"))
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", serving.port(scheme)), timeout=PATIENCE) as bare,
        context.wrap_socket(bare, server_hostname="localhost") as secure,
    ):
        yield secure


def shown(serving: Server, papers: Papers, scheme: str = "tls") -> bytes | None:
    """The certificate that a new connection gets."""
    with connected(serving, papers, scheme) as secure:
        return secure.getpeercert(True)


def hang_up(serving: Server, says: str) -> None:
    """Send SIGHUP, and wait for what is said about it."""
    before = serving.errors().count(says)
    serving.signal(signal.SIGHUP)
    while serving.errors().count(says) == before:
        assert serving.process.poll() is None


@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_reload_is_for_new_connections_and_leaves_the_old_alone(
    papers: Papers, files: Files, engine: str
) -> None:
    listen = ("--listen", "tls://127.0.0.1:0", "--listen", "https://127.0.0.1:0")
    with server("echo", *listen, *files.options, "--tls-engine", engine) as serving:
        with connected(serving, papers) as old:
            assert old.getpeercert(True) == papers.der("p256.pem")[0]
            files.put("rsa")
            assert shown(serving, papers) == papers.der("p256.pem")[0]
            hang_up(serving, "SIGHUP: new connections get a certificate for localhost until ")
            assert shown(serving, papers) == papers.der("rsa.pem")[0]
            assert shown(serving, papers, "https") == papers.der("rsa.pem")[0]
            old.sendall(b"still here")
            assert old.recv(100) == b"still here"
        with connected(serving, papers, "https") as new:
            assert new.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda files: files.chain.write_text("no PEM"), "the certificate can't be used: "),
        (lambda files: files.key.unlink(), "can't read "),
        (lambda files: shutil.copy(files.papers.path("rsa.pem"), files.chain), "can't be used: "),
    ],
    ids=["no-pem", "no-file", "other-key"],
)
@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_bad_new_files_keep_the_old_certificate_and_it_is_said(
    papers: Papers, files: Files, engine: str, spoil: object, says: str
) -> None:
    with server(
        "echo", "--listen", "tls://127.0.0.1:0", *files.options, "--tls-engine", engine, "-q"
    ) as serving:
        assert callable(spoil)
        spoil(files)
        hang_up(serving, "; the certificates from before stay in use")
        assert shown(serving, papers) == papers.der("p256.pem")[0]
        files.put("p384")
        serving.signal(signal.SIGHUP)
        while shown(serving, papers) != papers.der("p384.pem")[0]:
            pass
    assert serving.errors().startswith("mungos: SIGHUP: ")
    assert says in serving.errors()
    assert serving.errors().count("\n") == 1


def test_reload_of_the_clients_issuers(site: Path, papers: Papers, files: Files, tmp_path: Path) -> None:
    trusted = tmp_path / "clients.pem"
    shutil.copy(papers.path("server-stranger.pem"), trusted)
    ours = ("--tls-cert", papers.path("client-p256.pem"), "--tls-key", papers.path("client-p256.key"))
    with server(
        "serve", site, "--listen", "https://127.0.0.1:0", *files.options, "--tls-client-ca", trusted
    ) as serving:
        get = ("get", serving.url("https") + "hello.txt", "--tls-ca", papers.path("root.pem"), *ours)
        assert mungos(*get).returncode == 1
        shutil.copy(papers.path("root.pem"), trusted)
        hang_up(serving, "SIGHUP: new connections get ")
        assert mungos(*get).stdout == b"hello\n"


def test_reload_of_what_has_not_changed(papers: Papers, files: Files) -> None:
    with server("echo", "--listen", "tls://127.0.0.1:0", *files.options) as serving:
        hang_up(serving, "SIGHUP: the certificate files have not changed")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_hang_up_without_files_changes_nothing(site: Path, scheme: str) -> None:
    with server("serve", site, "--listen", f"{scheme}://127.0.0.1:0") as serving:
        hang_up(serving, "SIGHUP: there are no certificate files to read again")
        done = mungos("get", serving.urls[0] + "hello.txt", *(["--insecure"] if scheme == "https" else []))
        assert done.stdout == b"hello\n"


def test_terminal_that_goes_ends_the_server(site: Path) -> None:
    """Its SIGHUP is a farewell."""
    master, slave = pty.openpty()
    try:
        # The first terminal that a session's leader opens is the one that controls it.
        adopt = (
            "import os, sys; os.setsid(); os.close(os.open(sys.argv[1], os.O_RDWR)); "
            "os.execv(sys.argv[2], sys.argv[2:])"
        )
        command = [sys.executable, "-c", adopt, os.ttyname(slave), *MUNGOS]
        with child([*command, "serve", str(site), "--listen", "http://127.0.0.1:0"]) as serving:
            serving.line("^listening at")
            os.close(master)
            master = -1
            assert serving.ended() == 0
        assert serving.errors().endswith("All connections closed\n")
    finally:
        os.close(slave)
        if master >= 0:
            os.close(master)

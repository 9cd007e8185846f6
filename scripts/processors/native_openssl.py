"""Mungos on another processor against a native openssl, both ways: two ends built alike prove little.

    python3 scripts/processors/native_openssl.py ARCHITECTURE [--engine NAME]...

Exit status: 0 when every exchange was right, 1 when one was not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mungos.lab.processors import wrap

_MAKE = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
    "-addext",
    "extendedKeyUsage=serverAuth",
]
_FETCH = [
    "openssl",
    "s_client",
    "-CAfile",
    "cert.pem",
    "-quiet",
    "-verify_return_error",
    "-verify_hostname",
    "localhost",
    "-ign_eof",
]
_GET = ["python3", "-m", "mungos", "get"]
PATIENCE = 90.0  # seconds for one exchange: a start of the emulated program alone takes several


def in_root(architecture: str, *command: str) -> list[str]:
    """The command line that runs `command` on the other processor."""
    return list(wrap(architecture, command))


@contextlib.contextmanager
def running(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended at the end, whatever happens."""
    child = subprocess.Popen(command, text=True, **options)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def make_certificate(folder: Path) -> None:
    """A self-signed certificate for localhost, by the native openssl."""
    subprocess.run(
        [*_MAKE, "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        stderr=subprocess.DEVNULL,
    )


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def emulated_client(architecture: str, engine: str, shown: str, folder: Path) -> str:
    """Our client gets a page from `openssl s_server`."""
    port = free_port()
    serve = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-WWW", "-quiet"]
    with running([*serve, "-cert", "cert.pem", "-key", "key.pem"], cwd=folder, stdin=subprocess.DEVNULL):
        for _ in range(200):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
        got = subprocess.run(
            in_root(
                architecture,
                *_GET,
                f"https://localhost:{port}/page.txt",
                f"--cacert={shown}/cert.pem",
                f"--tls-engine={engine}",
            ),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    page = (folder / "page.txt").read_text()
    if got.returncode or got.stdout != page:
        return f"status {got.returncode}, {len(got.stdout)} of {len(page)} bytes: {got.stderr.strip()}"
    return ""


def emulated_server(architecture: str, engine: str, shown: str, folder: Path) -> str:
    """`openssl s_client` gets a page from our server."""
    command = in_root(
        architecture, "python3", "-m", "mungos", "serve", shown, "--listen", "https://127.0.0.1:0"
    )
    command += ["--tls-cert", f"{shown}/cert.pem", "--tls-key", f"{shown}/key.pem", "--tls-engine", engine]
    with running([*command, "--quiet"], stdout=subprocess.PIPE) as server:
        if server.stdout is None:
            return "no output to read"
        line = server.stdout.readline()
        port = line.strip().rstrip("/").rpartition(":")[2]
        got = subprocess.run(
            [*_FETCH, "-connect", f"127.0.0.1:{port}"],
            cwd=folder,
            input="GET /page.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        server.terminate()
        status = server.wait(PATIENCE)
    page = (folder / "page.txt").read_text()
    if page not in got.stdout or " 200 " not in got.stdout:
        return f"openssl's status {got.returncode}: {got.stdout[:80]!r} {got.stderr.strip()}"
    return f"the server ended with status {status}" if status else ""


def main() -> int:
    """Run every exchange and print a line for each."""
    os.environ["PYTHONPATH"] = "src"  # the root has no Mungos installed
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("architecture")
    parser.add_argument("--engine", action="append", default=[])
    options = parser.parse_args()
    failed = 0
    here = Path.cwd()
    (here / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=here / ".cache", prefix="native-openssl-") as name:
        folder = Path(name)
        # What stands here appears in the root under /src.
        shown = f"/src/{folder.relative_to(here)}"
        os.chmod(folder, 0o755)
        make_certificate(folder)
        os.chmod(folder / "key.pem", 0o644)  # the emulated program may run as a mapped user
        (folder / "page.txt").write_text(secrets.token_hex(100_000))
        for engine in options.engine or ["openssl"]:
            for exchange in (emulated_client, emulated_server):
                fault = exchange(options.architecture, engine, shown, folder)
                print(f"{exchange.__name__} with {engine}: {fault or 'right'}", flush=True)
                failed += bool(fault)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`mungos get` against nginx with TLS."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.cli.programs import PATIENCE, mungos

pytestmark = pytest.mark.foreign("nginx")

LARGE = bytes(range(256)) * 12_000

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{tls_1_3} ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate {folder}/chain.pem;
        ssl_certificate_key {folder}/key.pem;
        root {folder}/site;
        location /chunked/ {{ ssi on; ssi_types *; alias {folder}/site/; }}
    }}
    server {{
        listen 127.0.0.1:{tls_1_2} ssl;
        ssl_protocols TLSv1.2;
        ssl_certificate {folder}/chain.pem;
        ssl_certificate_key {folder}/key.pem;
        root {folder}/site;
    }}
}}
"""


class Nginx:
    """A running nginx.

    Attributes:
        authority: whom to trust.
        tls_1_3, tls_1_2: its addresses.
    """

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        self.authority = folder / "ca.pem"
        self.tls_1_3, self.tls_1_2 = (f"https://127.0.0.1:{port}/" for port in ports)


@pytest.fixture(scope="module")
def nginx(foreign_program: Callable[[str], str]) -> Iterator[Nginx]:
    program = foreign_program("nginx")
    # Readable for the user that nginx becomes when the tests run as root, which pytest's own folders are not.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "site").mkdir()
        (folder / "site" / "a.txt").write_bytes(b"from nginx\n")
        (folder / "site" / "large.bin").write_bytes(LARGE)
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        issued.cert_chain_pems[0].write_to_path(str(folder / "chain.pem"))
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        ports = _two_free_ports()
        configuration = folder / "nginx.conf"
        text = CONFIGURATION.format(folder=folder, tls_1_3=ports[0], tls_1_2=ports[1])
        configuration.write_text(text, encoding="utf-8")
        with subprocess.Popen(
            [program, "-p", str(folder), "-e", "stderr", "-c", str(configuration)], stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None
            try:
                said = []
                # Its sockets listen before it says which way of waiting for events it uses.
                for line in process.stderr:
                    said.append(line.decode())
                    if "event method" in said[-1]:
                        break
                else:
                    pytest.fail("".join(said))
                yield Nginx(folder, ports)
            finally:
                process.terminate()
                process.wait(PATIENCE)


def _two_free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_get_from_nginx(nginx: Nginx, engine: str) -> None:
    done = mungos("get", nginx.tls_1_3 + "a.txt", "--cacert", nginx.authority, "--tls-engine", engine, "-v")
    assert (done.returncode, done.stdout) == (0, b"from nginx\n"), done.stderr
    assert b"TLSv1.3, " in done.stderr
    assert b"ended: clean" in done.stderr


@pytest.mark.parametrize("engine", ["builtin", "openssl"])
@pytest.mark.parametrize("folder", ["", "chunked/"])
def test_get_large_file_from_nginx(nginx: Nginx, engine: str, folder: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = mungos(
        "get",
        f"{nginx.tls_1_3}{folder}large.bin",
        *("--cacert", nginx.authority, "--tls-engine", engine, "-v", "-o", out),
    )
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == LARGE
    assert (b"transfer-encoding: chunked" in done.stderr.lower()) is bool(folder)


def test_get_from_nginx_with_tls_1_2(nginx: Nginx) -> None:
    done = mungos(
        "get", nginx.tls_1_2 + "a.txt", "--cacert", nginx.authority, "--tls-engine", "openssl", "-v"
    )
    assert (done.returncode, done.stdout) == (0, b"from nginx\n"), done.stderr
    assert b"TLSv1.2, " in done.stderr


def test_get_from_nginx_without_tls_1_3_names_the_engine(nginx: Nginx) -> None:
    done = mungos("get", nginx.tls_1_2, "--cacert", nginx.authority, "--tls-engine", "builtin")
    assert done.returncode == 1
    assert b"--tls-engine openssl" in done.stderr


def test_get_from_nginx_with_an_untrusted_authority(nginx: Nginx) -> None:
    done = mungos("get", nginx.tls_1_3)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"--cacert FILE" in done.stderr


def test_get_none_from_nginx(nginx: Nginx) -> None:
    done = mungos("get", nginx.tls_1_3 + "none", "--cacert", nginx.authority)
    assert done.returncode == 1
    assert b"404 Not Found" in done.stdout

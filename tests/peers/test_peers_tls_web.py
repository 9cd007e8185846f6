"""The web and our built-in TLS engine: curl and Chromium at our HTTP server, our client at nginx."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mungos.errors import PeerIncompatible, ProtocolError
from mungos.http import Data, EndOfMessage, Request, ServerConnection, listen
from mungos.tls import ClientConfig, ServerConfig, SessionCache, TicketKeys
from mungos.x509 import errors as x509
from tests.peers.tls_papers import KINDS, SCHEMES, Papers
from tests.peers.tls_programs import GROUPS, MEGABYTE, SUITES, Door, End, Program, Stage, free_port

CURVES = dict(zip(GROUPS, ("X25519", "P-256", "P-384"), strict=True))


class Site(Door):
    """Our HTTP server: it sends what it gets back, and a page to who only asks."""

    def __init__(self, stage: Stage, config: ServerConfig) -> None:
        super().__init__(None)
        self._bodies: dict[ServerConnection, bytearray] = {}
        listener = listen(stage.manager, "https://127.0.0.1:0", self.answer, tls=config, engine="builtin")
        self.port = listener.url.port

    def answer(self, session: ServerConnection, event: object) -> None:
        self(session.connection, event)
        if isinstance(event, Request):
            self._bodies[session] = bytearray()
        elif isinstance(event, Data):
            self._bodies[session] += event.data
        elif isinstance(event, EndOfMessage):
            body = self._bodies.pop(session)
            session.respond(200, bytes(body) or b"<p>from mungos</p>\n", content_type="text/html")


def serving(papers: Papers, *names: str, **options: object) -> ServerConfig:
    credentials = tuple(papers.credential(name) for name in names or ("p256",))
    return ServerConfig(credentials, **options)  # type: ignore[arg-type]


# curl

Curl = Callable[..., Program]


@pytest.fixture
def curl(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Curl:
    """Starts curl, which says what it does and verifies."""
    program = foreign_program("curl")

    def run(*arguments: str) -> Program:
        return stage.run(
            program, *("-sSv", "--max-time", "8", "--cacert", papers.path("root.pem"), *arguments)
        )

    return run


@pytest.mark.foreign("curl")
@pytest.mark.parametrize(
    ("suite", "group", "kind"), list(zip(SUITES, GROUPS, ("p384", "ed25519", "rsa"), strict=True))
)
def test_curl_gets_its_mebibyte_back(
    stage: Stage, papers: Papers, curl: Curl, tmp_path: Path, suite: str, group: str, kind: str
) -> None:
    """With a certificate on both sides."""
    site = Site(stage, serving(papers, kind, client_auth="required", client_roots=papers.root))
    (tmp_path / "in").write_bytes(MEGABYTE)
    client = curl(
        *("--tls13-ciphers", suite, "--curves", CURVES[group], "--data-binary", f"@{tmp_path / 'in'}"),
        *("--cert", papers.path(f"client-{kind}.pem"), "--key", papers.path(f"client-{kind}.key")),
        *("-o", str(tmp_path / "out"), f"https://localhost:{site.port}/"),
    )
    text = stage.ends(client)
    stage.until(lambda: site.closed)
    assert client.process.returncode == 0, text
    assert (tmp_path / "out").read_bytes() == MEGABYTE
    assert f"SSL connection using TLSv1.3 / {suite}" in text
    assert "ALPN: server accepted http/1.1" in text
    assert "SSL certificate verify ok." in text
    agreed = site.end.agreed
    assert (agreed.suite, agreed.group, agreed.scheme) == (suite, group, SCHEMES[kind])
    assert (agreed.alpn, agreed.server_name) == ("http/1.1", "localhost")
    assert list(agreed.peer_chain) == papers.der(f"client-{kind}.pem")
    site.end.ended_cleanly()


@pytest.mark.foreign("curl")
def test_curl_resumes(stage: Stage, papers: Papers, curl: Curl) -> None:
    """And is asked for another share each time."""
    site = Site(stage, serving(papers, groups=("secp384r1",), tickets=TicketKeys(), retry_cookie=True))
    url = f"https://localhost:{site.port}/"
    client = curl("-H", "Connection: close", url, url)
    text = stage.ends(client)
    stage.until(lambda: site.closed)
    assert client.process.returncode == 0, text
    assert text.count("<p>from mungos</p>") == 2
    assert "SSL re-using session ID" in text
    assert [end.agreed.resumed for end in site.ends] == [False, True]
    assert [end.agreed.group for end in site.ends] == ["secp384r1"] * 2


@pytest.mark.foreign("curl")
@pytest.mark.parametrize(
    ("fault", "told", "alert"),
    [
        ("expired", "certificate has expired", "certificate_expired"),
        ("misnamed", "no alternative certificate subject name matches target host name", None),
        ("stranger", "unable to get local issuer certificate", "unknown_ca"),
        ("forged", "curl: (35) ", "decrypt_error"),
    ],
)
def test_curl_refuses_our_certificate(
    stage: Stage, papers: Papers, curl: Curl, fault: str, told: str, alert: str | None
) -> None:
    site = Site(stage, serving(papers, f"server-{fault}"))
    client = curl(f"https://localhost:{site.port}/")
    text = stage.ends(client)
    stage.until(lambda: site.closed)
    assert client.process.returncode == (35 if fault == "forged" else 60)
    assert told in text
    if alert is not None:
        site.end.failed(ProtocolError, alert, by_peer=True)
    else:
        site.end.ended_cleanly()  # it looks at the name after the handshake


@pytest.mark.foreign("curl")
@pytest.mark.parametrize(
    ("settings", "options", "alert"),
    [
        ({}, ("--tls-max", "1.2"), "protocol_version"),
        ({"suites": SUITES[:1]}, ("--tls13-ciphers", SUITES[1]), "handshake_failure"),
        ({"groups": GROUPS[:1]}, ("--curves", "P-256"), "handshake_failure"),
        ({"alpn": ("http/1.0",)}, (), "no_application_protocol"),
    ],
    ids=["TLS 1.2", "suites", "groups", "ALPN"],
)
def test_nothing_in_common_with_curl(
    stage: Stage,
    papers: Papers,
    curl: Curl,
    settings: dict[str, object],
    options: tuple[str, ...],
    alert: str,
) -> None:
    site = Site(stage, serving(papers, **settings))
    client = curl(*options, f"https://localhost:{site.port}/")
    text = stage.ends(client)
    stage.until(lambda: site.closed)
    assert client.process.returncode == 35
    assert "alert " + alert.replace("_", " ") in text.replace("sslv3 ", "").replace("tlsv1 ", "")
    site.end.failed(PeerIncompatible, alert, by_peer=False)


# Chromium


@pytest.mark.foreign("chromium")
@pytest.mark.timeout(30)
@pytest.mark.parametrize("groups", [(), ("secp384r1",)], ids=["hybrid", "HelloRetryRequest"])
def test_chromium_loads_a_page(
    stage: Stage,
    papers: Papers,
    foreign_program: Callable[[str], str],
    short_folder: Path,
    groups: tuple[str, ...],
) -> None:
    """It offers X25519MLKEM768, and x25519 beside it."""
    options: dict[str, object] = {"groups": groups} if groups else {}
    site = Site(stage, serving(papers, tickets=TicketKeys(), **options))
    home = str(short_folder)
    browser = stage.run(
        foreign_program("chromium"),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--disable-dev-shm-usage", "--disable-extensions", "--no-proxy-server"),
        f"--user-data-dir={short_folder / 'profile'}",
        f"--ignore-certificate-errors-spki-list={papers.pin('p256')}",
        *("--timeout=8000", "--dump-dom", f"https://localhost:{site.port}/"),
        HOME=home,
        TMPDIR=home,
        XDG_CONFIG_HOME=home,
    )
    text = stage.ends(browser, 20)
    assert "<p>from mungos</p>" in text
    met = [end.agreed for end in site.ends if end.open]
    assert met
    for agreed in met:
        assert agreed.group == (groups[0] if groups else "X25519MLKEM768")
        assert (agreed.alpn, agreed.server_name) == ("http/1.1", "localhost")
    stage.until(lambda: site.closed)


# nginx

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 4m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_session_cache none;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        {settings}
        root {folder};
        location = /facts {{
            return 200 "$ssl_protocol|$ssl_cipher|$ssl_session_reused|$ssl_server_name|$ssl_client_s_dn";
        }}
    }}
}}
"""

Nginx = Callable[..., tuple[Program, int]]


@pytest.fixture
def nginx(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Iterator[Nginx]:
    """Starts nginx with settings of its server; it and its port."""
    program = foreign_program("nginx")
    # Readable for the user that nginx becomes when the tests run as root, which pytest's own folders are not.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "large").write_bytes(MEGABYTE)

        def run(*settings: str, shows: str = "p256") -> tuple[Program, int]:
            port = free_port()
            own = [
                "ssl_protocols TLSv1.3",
                f"ssl_certificate {papers.path(shows)}.pem",
                f"ssl_certificate_key {papers.path(shows)}.key",
            ]
            written = [f"{each};" for each in own if not any(each.split()[0] in given for given in settings)]
            written += [f"{each};" for each in settings]
            text = CONFIGURATION.format(folder=folder, port=port, settings="\n        ".join(written))
            (folder / "nginx.conf").write_text(text, encoding="utf-8")
            server = stage.run(program, "-p", name, "-e", "stderr", "-c", str(folder / "nginx.conf"))
            # Its sockets listen before it says which way of waiting for events it uses.
            stage.says(server, "event method")
            return server, port

        yield run


def config(papers: Papers, **options: object) -> ClientConfig:
    return ClientConfig(roots=papers.root, **options)  # type: ignore[arg-type]


def get(stage: Stage, end: End, path: str = "/facts") -> bytes:
    """The body; nginx takes its leave."""
    stage.until(lambda: end.open or end.reason)
    assert end.open, end.reason
    end.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    stage.until(lambda: end.reason)
    end.ended_cleanly()
    assert end.ended == "clean"
    assert end.data.startswith(b"HTTP/1.1 200 OK\r\n")
    return bytes(end.data.partition(b"\r\n\r\n")[2])


@pytest.mark.foreign("nginx")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("suite", "group"), list(zip(SUITES, GROUPS, strict=True)))
def test_nginx_serves_us(
    stage: Stage, papers: Papers, nginx: Nginx, suite: str, group: str, kind: str
) -> None:
    """Afresh and resumed, by way of a HelloRetryRequest, a certificate on both sides, and a mebibyte."""
    _, port = nginx(
        f"ssl_conf_command Ciphersuites {suite}",
        f"ssl_ecdh_curve {group.replace('secp256r1', 'prime256v1')}",
        "ssl_verify_client on",
        f"ssl_client_certificate {papers.path('root.pem')}",
        "ssl_verify_depth 3",
        shows=kind,
    )
    others = tuple(each for each in GROUPS if each != group)
    settings = config(
        papers,
        groups=(*others, group),
        credential=papers.credential(f"client-{kind}"),
        sessions=SessionCache(),
        alpn=("http/1.1",),
    )
    for resumed in (False, True):
        end = stage.connect(port, settings)
        facts = get(stage, end).decode().split("|")
        assert facts[:2] == ["TLSv1.3", suite]
        assert facts[2:] == ["r" if resumed else ".", "localhost", f"CN=client-{kind}"]
        agreed = end.agreed
        assert (agreed.suite, agreed.group, agreed.alpn, agreed.resumed) == (
            suite,
            group,
            "http/1.1",
            resumed,
        )
        assert list(agreed.peer_chain) == papers.der(f"{kind}.pem")
    assert get(stage, stage.connect(port, settings), "/large") == MEGABYTE


@pytest.mark.foreign("nginx")
@pytest.mark.parametrize(
    ("fault", "error", "alert", "number"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", 45),
        ("misnamed", x509.NameMismatch, "bad_certificate", 42),
        ("stranger", x509.UnknownIssuer, "unknown_ca", 48),
    ],
)
def test_we_refuse_the_certificate_of_nginx(
    stage: Stage, papers: Papers, nginx: Nginx, fault: str, error: type[Exception], alert: str, number: int
) -> None:
    server, port = nginx(shows=f"server-{fault}")
    end = stage.connect(port, config(papers))
    stage.until(lambda: end.reason)
    end.failed(error, alert, by_peer=False)
    stage.says(server, f"SSL alert number {number}")


@pytest.mark.foreign("nginx")
def test_nginx_with_tls_1_2_only(stage: Stage, papers: Papers, nginx: Nginx) -> None:
    server, port = nginx("ssl_protocols TLSv1.2")
    end = stage.connect(port, config(papers))
    stage.until(lambda: end.reason)
    assert "the engine 'openssl'" in end.failed(PeerIncompatible, "protocol_version", by_peer=True)
    stage.says(server, "unsupported protocol")


@pytest.mark.foreign("nginx")
def test_nginx_chooses_nothing_in_common(stage: Stage, papers: Papers, nginx: Nginx) -> None:
    server, port = nginx("ssl_ecdh_curve secp384r1")
    end = stage.connect(port, config(papers, groups=GROUPS[:1]))
    stage.until(lambda: end.reason)
    end.failed(PeerIncompatible, "handshake_failure", by_peer=True)
    stage.says(server, "no suitable key share")

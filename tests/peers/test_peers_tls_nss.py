"""NSS (Firefox's TLS) against our built-in TLS engine, by its tools tstclnt and selfserv."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.errors import PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls import ClientConfig, ServerConfig, SessionCache, TicketKeys
from mungos.x509 import errors as x509
from tests.peers.tls_papers import OTHER_HOST, PASSWORD, SCHEMES, Papers
from tests.peers.tls_programs import (
    GROUPS,
    MEGABYTE,
    PATIENCE,
    SUITES,
    Door,
    End,
    Program,
    Stage,
    echo,
    free_port,
)

pytestmark = pytest.mark.foreign("certutil", "pk12util", "selfserv", "tstclnt")

CIPHERS = dict(zip(SUITES, (":1301", ":1302", ":1303"), strict=True))
CURVES = dict(zip(GROUPS, ("x25519", "P256", "P384"), strict=True))
KINDS = ("p256", "p384", "rsa")  # Ed25519 is not spoken
FAULTS = ("expired", "misnamed", "stranger", "purpose", "too-long")
TLS_1_3 = ("-V", "tls1.3:tls1.3")
LINE = b"= there and back\n"
LABEL = "EXPERIMENTAL mungos"

Client = Callable[..., Program]
Server = Callable[..., tuple[Program, int]]


@pytest.fixture(scope="module")
def database(
    papers: Papers, foreign_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Makes a database with the root and some credentials, once for each set of them."""
    certutil, pk12util = foreign_program("certutil"), foreign_program("pk12util")
    made: dict[tuple[str, ...], str] = {}

    def database(*names: str) -> str:
        if names not in made:
            folder = f"sql:{tmp_path_factory.mktemp('nss')}"
            commands = [
                [certutil, "-N", "-d", folder, "--empty-password"],
                [certutil, "-A", "-d", folder, "-n", "root", "-t", "CT,,", "-i", papers.path("root.pem")],
            ]
            commands += [
                [pk12util, "-i", papers.path(f"{name}.p12"), "-d", folder, "-W", PASSWORD] for name in names
            ]
            for command in commands:
                subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            made[names] = folder
        return made[names]

    return database


@pytest.fixture
def tstclnt(
    stage: Stage, database: Callable[..., str], foreign_program: Callable[[str], str], tmp_path: Path
) -> Client:
    """Starts tstclnt against a door; it verifies, and can show a certificate."""
    program = foreign_program("tstclnt")

    def run(
        door: Door,
        *options: str,
        says: bytes = LINE,
        shows: str | None = None,
        versions: tuple[str, ...] = TLS_1_3,
    ) -> Program:
        # At the end of a pipe it turns round and round, at the end of a file it waits for the server's leave.
        (tmp_path / "request").write_bytes(says)
        shown = ("-d", database(shows), "-n", shows) if shows is not None else ("-d", database())
        return stage.run(
            program,
            "-4",
            "-h",
            "localhost",
            "-p",
            str(door.port),
            *versions,
            *shown,
            *options,
            *("-A", str(tmp_path / "request")),
        )

    return run


@pytest.fixture
def selfserv(stage: Stage, database: Callable[..., str], foreign_program: Callable[[str], str]) -> Server:
    """Starts selfserv, which answers requests of HTTP; it and its port."""
    program = foreign_program("selfserv")

    def run(*options: str, shows: str = "p256", versions: tuple[str, ...] = TLS_1_3) -> tuple[Program, int]:
        port = free_port()
        nickname = ("-n", shows) if shows == "rsa" else ("-e", shows)
        server = stage.run(
            program, "-d", database(shows), "-p", str(port), *nickname, "-v", *versions, *options
        )
        stage.says(server, "About to call accept")
        return server, port

    return run


def serving(papers: Papers, *names: str, **options: object) -> ServerConfig:
    credentials = tuple(papers.credential(name) for name in names or ("p256",))
    return ServerConfig(credentials, **options)  # type: ignore[arg-type]


def config(papers: Papers, **options: object) -> ClientConfig:
    return ClientConfig(roots=papers.root, **options)  # type: ignore[arg-type]


def talk(stage: Stage, client: Program, door: Door, says: bytes = LINE) -> None:
    """What it says there and back, then our leave, which is its cue: clean on both sides."""
    stage.until(lambda: door.ends and len(door.end.data) >= len(says))
    door.end.close()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert door.end.data == says
    assert says in client.output
    assert client.process.returncode == 0, client.text
    door.end.ended_cleanly()


def get(stage: Stage, end: End) -> None:
    """A request, its answer, and their leave."""
    stage.until(lambda: end.open or end.reason)
    assert end.open, end.reason
    end.send(b"GET /mungos HTTP/1.0\r\n\r\n")
    stage.until(lambda: end.reason)
    assert end.data.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"GET /mungos HTTP/1.0\r\n" in end.data
    assert end.ended == "clean"
    end.ended_cleanly()


# tstclnt


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_tstclnt_speaks_every_suite_and_group(
    stage: Stage, papers: Papers, tstclnt: Client, suite: str, group: str
) -> None:
    door = stage.listen(serving(papers), echo)
    client = tstclnt(door, "-c", CIPHERS[suite], "-I", CURVES[group], "-x", f"{LABEL}:40")
    stage.until(lambda: door.open)
    exported = door.end.engine.export(LABEL.encode(), b"", 40).hex(":").replace(":", r":\s*")
    talk(stage, client, door)
    assert re.search(rf"Keying Material:\s*{exported}", client.text)
    assert (door.end.agreed.suite, door.end.agreed.group) == (suite, group)
    assert door.end.agreed.server_name == "localhost"


@pytest.mark.parametrize("kind", KINDS)
def test_tstclnt_believes_every_kind_of_certificate_and_shows_one(
    stage: Stage, papers: Papers, tstclnt: Client, kind: str
) -> None:
    door = stage.listen(serving(papers, kind, client_auth="required", client_roots=papers.root), echo)
    client = tstclnt(door, "-v", shows=f"client-{kind}")
    talk(stage, client, door)
    assert f"subject DN: CN={kind}" in client.text
    assert door.end.agreed.scheme == SCHEMES[kind]
    assert door.end.agreed.peer_chain[0] == papers.der(f"client-{kind}.pem")[0]


def test_tstclnt_resumes_and_is_asked_for_another_share(
    stage: Stage, papers: Papers, tstclnt: Client
) -> None:
    settings = serving(papers, groups=("secp384r1",), retry_cookie=True, tickets=TicketKeys())
    door = stage.listen(settings, echo)
    client = tstclnt(door, "-v", "-u", "-I", "x25519,P384", "-L", "2")
    stage.until(lambda: door.ends and door.end.data == LINE)
    door.end.close()
    stage.until(lambda: len(door.ends) == 2 and door.end.open)
    door.end.close()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert len(door.ends) == 2
    assert [end.agreed.group for end in door.ends] == ["secp384r1"] * 2
    assert [end.agreed.resumed for end in door.ends] == [False, True]


def test_tstclnt_names_the_server(stage: Stage, papers: Papers, tstclnt: Client) -> None:
    door = stage.listen(serving(papers, "p256", "other"), echo)
    client = tstclnt(door, "-v", "-a", OTHER_HOST)
    talk(stage, client, door)
    assert door.end.agreed.server_name == OTHER_HOST
    assert "subject DN: CN=other" in client.text


def test_tstclnt_sends_a_mebibyte_and_gets_it_back(stage: Stage, papers: Papers, tstclnt: Client) -> None:
    door = stage.listen(serving(papers), echo)
    talk(stage, tstclnt(door, says=MEGABYTE), door, MEGABYTE)


@pytest.mark.parametrize(
    ("fault", "told", "alert"),
    [
        ("expired", "SEC_ERROR_EXPIRED_CERTIFICATE", "certificate_expired"),
        ("misnamed", "SSL_ERROR_BAD_CERT_DOMAIN", "bad_certificate"),
        ("stranger", "SEC_ERROR_UNKNOWN_ISSUER", "unknown_ca"),
        ("forged", "SEC_ERROR_BAD_SIGNATURE", "bad_certificate"),
        ("purpose", "SEC_ERROR_INADEQUATE_CERT_TYPE", "certificate_unknown"),
        ("too-long", "SEC_ERROR_PATH_LEN_CONSTRAINT_INVALID", "bad_certificate"),
    ],
)
def test_tstclnt_refuses_our_certificate(
    stage: Stage, papers: Papers, tstclnt: Client, fault: str, told: str, alert: str
) -> None:
    door = stage.listen(serving(papers, f"server-{fault}"))
    text = stage.ends(tstclnt(door))
    stage.until(lambda: door.closed)
    assert told in text
    door.end.failed(ProtocolError, alert, by_peer=True)


@pytest.mark.parametrize(
    ("fault", "error", "alert", "told"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", "SSL_ERROR_EXPIRED_CERT_ALERT"),
        ("stranger", x509.UnknownIssuer, "unknown_ca", "SSL_ERROR_UNKNOWN_CA_ALERT"),
        (None, PeerMisbehaved, "certificate_required", "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT"),
    ],
)
def test_we_refuse_the_certificate_of_tstclnt(
    stage: Stage,
    papers: Papers,
    tstclnt: Client,
    fault: str | None,
    error: type[Exception],
    alert: str,
    told: str,
) -> None:
    door = stage.listen(serving(papers, client_auth="required", client_roots=papers.root))
    client = tstclnt(door, shows=f"client-{fault}" if fault is not None else None)
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    assert told in text
    door.end.failed(error, alert, by_peer=False)


@pytest.mark.parametrize(
    ("settings", "options", "versions", "alert", "told"),
    [
        ({}, (), ("-V", "tls1.2:tls1.2"), "protocol_version", "SSL_ERROR_PROTOCOL_VERSION_ALERT"),
        (
            {"suites": SUITES[:1]},
            ("-c", ":1303"),
            TLS_1_3,
            "handshake_failure",
            "SSL_ERROR_NO_CYPHER_OVERLAP",
        ),
        (
            {"groups": GROUPS[:1]},
            ("-I", "P256"),
            TLS_1_3,
            "handshake_failure",
            "SSL_ERROR_NO_CYPHER_OVERLAP",
        ),
    ],
    ids=["TLS 1.2", "suites", "groups"],
)
def test_nothing_in_common_with_tstclnt(
    stage: Stage,
    papers: Papers,
    tstclnt: Client,
    settings: dict[str, object],
    options: tuple[str, ...],
    versions: tuple[str, ...],
    alert: str,
    told: str,
) -> None:
    door = stage.listen(serving(papers, **settings))
    text = stage.ends(tstclnt(door, *options, versions=versions))
    stage.until(lambda: door.closed)
    assert told in text
    door.end.failed(PeerIncompatible, alert, by_peer=False)


# selfserv


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_selfserv_speaks_every_suite_and_group(
    stage: Stage, papers: Papers, selfserv: Server, suite: str, group: str
) -> None:
    server, port = selfserv("-c", CIPHERS[suite], "-x", f"{LABEL}:40")
    end = stage.connect(port, config(papers, groups=(group,)))
    stage.until(lambda: end.open)
    exported = end.engine.export(LABEL.encode(), b"", 40).hex(":").replace(":", r":\s*")
    get(stage, end)
    assert (end.agreed.suite, end.agreed.group) == (suite, group)
    stage.says(server, rf"Keying Material:\s*{exported}")


@pytest.mark.parametrize("kind", KINDS)
def test_selfserv_believes_our_certificate_and_we_believe_its(
    stage: Stage, papers: Papers, selfserv: Server, kind: str
) -> None:
    server, port = selfserv("-r", "-r", shows=kind)
    end = stage.connect(port, config(papers, credential=papers.credential(f"client-{kind}")))
    get(stage, end)
    assert end.agreed.scheme == SCHEMES[kind]
    assert end.agreed.peer_chain[0] == papers.der(f"{kind}.pem")[0]
    stage.says(server, f"subject DN: CN=client-{kind}")


def test_we_resume_with_selfserv_and_it_asks_for_another_share(
    stage: Stage, papers: Papers, selfserv: Server
) -> None:
    server, port = selfserv("-u", "-I", "P384")
    settings = config(papers, groups=("x25519", "secp384r1"), sessions=SessionCache())
    for number, resumed in enumerate([False, True]):
        end = stage.connect(port, settings)
        get(stage, end)
        assert (end.agreed.group, end.agreed.resumed) == ("secp384r1", resumed)
        stage.says(server, f"{number} stateless resumes")


def test_selfserv_agrees_on_a_protocol(stage: Stage, papers: Papers, selfserv: Server) -> None:
    _, port = selfserv("-Q")
    end = stage.connect(port, config(papers, alpn=("http/1.1",)))
    get(stage, end)
    assert end.agreed.alpn == "http/1.1"


@pytest.mark.parametrize(
    ("fault", "error", "alert", "told"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", "error -12269"),
        ("misnamed", x509.NameMismatch, "bad_certificate", "error -12271"),
        ("stranger", x509.UnknownIssuer, "unknown_ca", "error -12195"),
    ],
)
def test_we_refuse_the_certificate_of_selfserv(
    stage: Stage,
    papers: Papers,
    selfserv: Server,
    fault: str,
    error: type[Exception],
    alert: str,
    told: str,
) -> None:
    server, port = selfserv(shows=f"server-{fault}")
    end = stage.connect(port, config(papers))
    stage.until(lambda: end.reason)
    end.failed(error, alert, by_peer=False)
    stage.says(server, told)


@pytest.mark.parametrize(
    ("fault", "alert", "told"),
    [
        ("expired", "certificate_expired", "error -8181"),
        ("stranger", "unknown_ca", "error -8179"),
        (None, "certificate_required", "error -12285"),
    ],
)
def test_selfserv_refuses_our_certificate(
    stage: Stage, papers: Papers, selfserv: Server, fault: str | None, alert: str, told: str
) -> None:
    server, port = selfserv("-r", "-r")
    credential = papers.credential(f"client-{fault}") if fault is not None else None
    end = stage.connect(port, config(papers, credential=credential))
    stage.until(lambda: end.reason)
    end.failed(ProtocolError, alert, by_peer=True)
    stage.says(server, told)


@pytest.mark.parametrize(
    ("settings", "options", "versions", "alert"),
    [
        ({}, (), ("-V", "tls1.2:tls1.2"), "protocol_version"),
        ({"suites": SUITES[:1]}, ("-c", ":1303"), TLS_1_3, "handshake_failure"),
        ({"groups": GROUPS[:1]}, ("-I", "P256"), TLS_1_3, "handshake_failure"),
    ],
    ids=["TLS 1.2", "suites", "groups"],
)
def test_nothing_in_common_with_selfserv(
    stage: Stage,
    papers: Papers,
    selfserv: Server,
    settings: dict[str, object],
    options: tuple[str, ...],
    versions: tuple[str, ...],
    alert: str,
) -> None:
    _, port = selfserv(*options, versions=versions)
    end = stage.connect(port, config(papers, **settings))
    stage.until(lambda: end.reason)
    told = end.failed(PeerIncompatible, alert, by_peer=True)
    assert ("the engine 'openssl'" in told) is (alert == "protocol_version")

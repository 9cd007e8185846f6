"""GnuTLS's gnutls-cli and gnutls-serv against our built-in TLS engine."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mungos.errors import PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls import ClientConfig, ServerConfig, SessionCache, TicketKeys
from mungos.x509 import errors as x509
from tests.peers.tls_papers import KINDS, OTHER_HOST, SCHEMES, Papers
from tests.peers.tls_programs import (
    GROUPS,
    MEGABYTE,
    SUITES,
    Door,
    End,
    Program,
    Stage,
    echo,
    free_port,
)

pytestmark = pytest.mark.foreign("gnutls-cli", "gnutls-serv")

CIPHERS = dict(zip(SUITES, ("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"), strict=True))
CURVES = dict(zip(GROUPS, ("GROUP-X25519", "GROUP-SECP256R1", "GROUP-SECP384R1"), strict=True))
TLS_1_3 = "NORMAL:-VERS-ALL:+VERS-TLS1.3"
SIGNATURES = {
    "p256": "ECDSA-SECP256R1-SHA256",
    "p384": "ECDSA-SECP384R1-SHA384",
    "ed25519": "EdDSA-Ed25519",
    "rsa": "RSA-PSS-RSAE-SHA256",
}
LABEL = "EXPERIMENTAL mungos"

Client = Callable[..., Program]
Server = Callable[..., tuple[Program, int]]


@pytest.fixture
def cli(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Client:
    """Starts gnutls-cli against a door; it verifies."""
    program = foreign_program("gnutls-cli")

    def run(door: Door, *options: str, priority: str = TLS_1_3) -> Program:
        return stage.run(
            program,
            *("localhost", "-p", str(door.port), "--x509cafile", papers.path("root.pem")),
            *("--priority", priority, *options),
        )

    return run


@pytest.fixture
def serv(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Server:
    """Starts gnutls-serv, which echoes; it and its port."""
    program = foreign_program("gnutls-serv")

    def run(*options: str, shows: str = "p256", priority: str = TLS_1_3) -> tuple[Program, int]:
        port = free_port()
        server = stage.run(
            program,
            *("-p", str(port), "--echo", "--crlf", "--x509cafile", papers.path("root.pem")),
            *("--x509certfile", papers.path(f"{shows}.pem"), "--x509keyfile", papers.path(f"{shows}.key")),
            *("--priority", priority, *(options or ("--disable-client-cert",))),
        )
        stage.says(server, r"listening on IPv4 .*done$")
        return server, port

    return run


def serving(papers: Papers, *names: str, **options: object) -> ServerConfig:
    credentials = tuple(papers.credential(name) for name in names or ("p256",))
    return ServerConfig(credentials, **options)  # type: ignore[arg-type]


def config(papers: Papers, **options: object) -> ClientConfig:
    return ClientConfig(roots=papers.root, **options)  # type: ignore[arg-type]


def talk(stage: Stage, client: Program, door: Door) -> None:
    """A line there and back, then the client's leave: clean on both sides."""
    stage.says(client, "Simple Client Mode:")
    client.write(b"= there and back\n")
    stage.says(client, "^= there and back$")
    client.shut()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert client.process.returncode == 0, client.text
    door.end.ended_cleanly()


def converse(stage: Stage, end: End) -> None:
    """A line there and back, then our leave."""
    stage.until(lambda: end.open or end.reason)
    assert end.open, end.reason
    end.send(b"= there and back\n")
    stage.until(lambda: b"= there and back\n" in end.data)
    end.close()
    stage.until(lambda: end.reason)
    end.ended_cleanly()


# gnutls-cli


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_gnutls_cli_speaks_every_suite_and_group(
    stage: Stage, papers: Papers, cli: Client, suite: str, group: str
) -> None:
    door = stage.listen(serving(papers), echo)
    priority = f"{TLS_1_3}:-CIPHER-ALL:+{CIPHERS[suite]}:-GROUP-ALL:+{CURVES[group]}"
    client = cli(door, "--keymatexport", LABEL, "--keymatexportsize", "40", priority=priority)
    exported = stage.says(client, "- Key material: ([0-9a-f]+)$")[1]
    stage.until(lambda: door.open)
    assert door.end.engine.export(LABEL.encode(), b"", 40).hex() == exported
    talk(stage, client, door)
    assert "Status: The certificate is trusted." in client.text
    curve = CURVES[group].removeprefix("GROUP-")
    assert re.search(rf"Description: \(TLS1.3.*-{curve}\).*\({CIPHERS[suite]}\)", client.text)
    assert (door.end.agreed.suite, door.end.agreed.group) == (suite, group)


@pytest.mark.parametrize("kind", KINDS)
def test_gnutls_cli_believes_every_kind_of_certificate_and_shows_one(
    stage: Stage, papers: Papers, cli: Client, kind: str
) -> None:
    door = stage.listen(serving(papers, kind, client_auth="required", client_roots=papers.root), echo)
    name = f"client-{kind}"
    client = cli(
        door, "--x509certfile", papers.path(f"{name}.pem"), "--x509keyfile", papers.path(f"{name}.key")
    )
    talk(stage, client, door)
    assert "Status: The certificate is trusted." in client.text
    assert door.end.agreed.scheme == SCHEMES[kind]
    assert list(door.end.agreed.peer_chain) == papers.der(f"{name}.pem")


def test_gnutls_cli_resumes(stage: Stage, papers: Papers, cli: Client) -> None:
    door = stage.listen(serving(papers, tickets=TicketKeys()), echo)
    client = cli(door, "--resume", "--waitresumption")
    talk(stage, client, door)
    assert "*** This is a resumed session" in client.text
    assert [end.agreed.resumed for end in door.ends] == [False, True]
    door.ends[0].ended_cleanly()


def test_gnutls_cli_is_asked_for_another_share(stage: Stage, papers: Papers, cli: Client) -> None:
    """HelloRetryRequest, and resumption after it: RFC 8446 sections 4.1.4 and 4.2.11.2."""
    settings = serving(papers, groups=("secp384r1",), tickets=TicketKeys(), retry_cookie=True)
    door = stage.listen(settings, echo)
    priority = f"{TLS_1_3}:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1"
    client = cli(door, "--single-key-share", "--resume", "--waitresumption", "-d", "4", priority=priority)
    talk(stage, client, door)
    assert len(re.findall("HELLO RETRY REQUEST .* was received", client.text)) == 2
    assert [end.agreed.group for end in door.ends] == ["secp384r1"] * 2
    assert door.end.agreed.resumed


def test_gnutls_cli_agrees_on_a_protocol_and_names_the_server(
    stage: Stage, papers: Papers, cli: Client
) -> None:
    door = stage.listen(serving(papers, "p256", "other", alpn=("b", "a")), echo)
    client = cli(
        door, *("--alpn", "a", "--alpn", "b", "--sni-hostname", OTHER_HOST, "--verify-hostname", OTHER_HOST)
    )
    talk(stage, client, door)
    assert "- Application protocol: b" in client.text
    assert "subject `CN=other'" in client.text
    assert (door.end.agreed.alpn, door.end.agreed.server_name) == ("b", OTHER_HOST)


def test_gnutls_cli_updates_its_keys(stage: Stage, papers: Papers, cli: Client) -> None:
    """It asks for our update, too."""
    door = stage.listen(serving(papers), echo)
    client = cli(door, "--inline-commands", "-d", "4")
    stage.says(client, "Simple Client Mode:")
    for round_ in range(3):
        client.write(b"^rekey^\n")
        stage.says(client, "KEY_UPDATE .* was received", round_ + 1)
        client.write(f"= round {round_}\n".encode())
        stage.says(client, f"^= round {round_}$")
    talk(stage, client, door)


def test_gnutls_cli_sends_a_mebibyte_and_gets_it_back(stage: Stage, papers: Papers, cli: Client) -> None:
    door = stage.listen(serving(papers), echo)
    client = cli(door, "--logfile", papers.path("gnutls.log"))
    client.write(MEGABYTE)
    stage.until(lambda: MEGABYTE in client.output)
    assert door.end.data == MEGABYTE
    door.end.close()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert client.process.returncode == 0


def test_our_close_is_clean_for_gnutls_cli(stage: Stage, papers: Papers, cli: Client) -> None:
    door = stage.listen(serving(papers), echo)
    client = cli(door)
    stage.says(client, "Simple Client Mode:")
    stage.until(lambda: door.open)
    door.end.close()
    assert "- Peer has closed the GnuTLS connection" in stage.ends(client)
    assert client.process.returncode == 0
    stage.until(lambda: door.closed)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("expired", "The certificate chain uses expired certificate"),
        ("future", "The certificate chain uses not yet valid certificate"),
        ("misnamed", "The name in the certificate does not match the expected"),
        ("stranger", "The certificate issuer is unknown"),
        ("forged", "The signature in the certificate is invalid"),
        ("purpose", "The certificate chain does not match the intended purpose"),
        ("too-long", "The certificate chain violates the signer's constraints"),
    ],
)
def test_gnutls_cli_refuses_our_certificate(
    stage: Stage, papers: Papers, cli: Client, fault: str, told: str
) -> None:
    door = stage.listen(serving(papers, f"server-{fault}"))
    client = cli(door)
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    assert told in text
    assert client.process.returncode == 1
    assert not door.end.open
    door.end.failed(ProtocolError, "bad_certificate", by_peer=True)


@pytest.mark.parametrize(
    ("fault", "error", "alert", "told"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", "Certificate is expired"),
        ("stranger", x509.UnknownIssuer, "unknown_ca", "CA is unknown"),
        ("forged", x509.SignatureMismatch, "bad_certificate", "Certificate is bad"),
        ("purpose", x509.PurposeMismatch, "unsupported_certificate", "Certificate is not supported"),
        (None, PeerMisbehaved, "certificate_required", "Certificate is required"),
    ],
)
def test_we_refuse_the_certificate_of_gnutls_cli(
    stage: Stage,
    papers: Papers,
    cli: Client,
    fault: str | None,
    error: type[Exception],
    alert: str,
    told: str,
) -> None:
    door = stage.listen(serving(papers, client_auth="required", client_roots=papers.root))
    name = f"client-{fault}"
    shown = ["--x509certfile", papers.path(f"{name}.pem"), "--x509keyfile", papers.path(f"{name}.key")]
    client = cli(door, *(shown if fault is not None else ()))
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    assert "Received alert" in text
    assert told in text
    door.end.failed(error, alert, by_peer=False)


@pytest.mark.parametrize(
    ("settings", "priority", "options", "alert", "told"),
    [
        ({}, "NORMAL:-VERS-ALL:+VERS-TLS1.2", (), "protocol_version", r"\[70\]"),
        ({"suites": SUITES[:1]}, f"{TLS_1_3}:-AES-128-GCM", (), "handshake_failure", r"\[40\]"),
        ({"groups": GROUPS[:1]}, f"{TLS_1_3}:-GROUP-X25519", (), "handshake_failure", r"\[40\]"),
        ({"alpn": ("a",)}, TLS_1_3, ("--alpn", "b"), "no_application_protocol", r"\[120\]"),
    ],
    ids=["TLS 1.2", "suites", "groups", "ALPN"],
)
def test_nothing_in_common_with_gnutls_cli(
    stage: Stage,
    papers: Papers,
    cli: Client,
    settings: dict[str, object],
    priority: str,
    options: tuple[str, ...],
    alert: str,
    told: str,
) -> None:
    door = stage.listen(serving(papers, **settings))
    text = stage.ends(cli(door, *options, priority=priority))
    stage.until(lambda: door.closed)
    assert re.search(f"Received alert {told}", text)
    door.end.failed(PeerIncompatible, alert, by_peer=False)


# gnutls-serv


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_gnutls_serv_speaks_every_suite_and_group(
    stage: Stage, papers: Papers, serv: Server, suite: str, group: str
) -> None:
    server, port = serv(priority=f"{TLS_1_3}:-CIPHER-ALL:+{CIPHERS[suite]}")
    end = stage.connect(port, config(papers, groups=(group,)))
    stage.until(lambda: end.open)
    binding = end.engine.channel_binding().hex()
    converse(stage, end)
    assert (end.agreed.suite, end.agreed.group) == (suite, group)
    curve = CURVES[group].removeprefix("GROUP-")
    stage.says(server, rf"Description: \(TLS1.3.*-{curve}\).*\({CIPHERS[suite]}\)")
    stage.says(server, f"'tls-exporter': {binding}")


@pytest.mark.parametrize("kind", KINDS)
def test_gnutls_serv_believes_our_certificate_and_we_believe_its(
    stage: Stage, papers: Papers, serv: Server, kind: str
) -> None:
    server, port = serv("--require-client-cert", "--verify-client-cert", shows=kind)
    end = stage.connect(port, config(papers, credential=papers.credential(f"client-{kind}")))
    converse(stage, end)
    assert end.agreed.scheme == SCHEMES[kind]
    assert list(end.agreed.peer_chain) == papers.der(f"{kind}.pem")
    stage.says(server, f"Client Signature: {SIGNATURES[kind]}")


def test_we_resume_with_gnutls_serv(stage: Stage, papers: Papers, serv: Server) -> None:
    server, port = serv()
    settings = config(papers, sessions=SessionCache())
    ends = []
    for _ in range(3):
        ends.append(stage.connect(port, settings))
        converse(stage, ends[-1])
    assert [end.agreed.resumed for end in ends] == [False, True, True]
    stage.says(server, r"\*\*\* This is a resumed session", 2)


def test_gnutls_serv_asks_for_another_share(stage: Stage, papers: Papers, serv: Server) -> None:
    server, port = serv("--disable-client-cert", "-d", "4", priority=f"{TLS_1_3}:-GROUP-ALL:+GROUP-SECP384R1")
    settings = config(papers, groups=("x25519", "secp384r1"), sessions=SessionCache())
    for number, resumed in enumerate([False, True], 1):
        end = stage.connect(port, settings)
        converse(stage, end)
        assert (end.agreed.group, end.agreed.resumed) == ("secp384r1", resumed)
        stage.says(server, "HELLO RETRY REQUEST", number)


def test_gnutls_serv_agrees_on_a_protocol(stage: Stage, papers: Papers, serv: Server) -> None:
    server, port = serv("--disable-client-cert", "--alpn", "b", "--alpn", "a")
    end = stage.connect(port, config(papers, alpn=("c", "a")))
    converse(stage, end)
    assert end.agreed.alpn == "a"
    stage.says(server, "Application protocol: a")
    stage.says(server, "Given server name.*: localhost")


def test_gnutls_serv_gives_a_mebibyte_back(stage: Stage, papers: Papers, serv: Server) -> None:
    _, port = serv()
    end = stage.connect(port, config(papers))
    stage.until(lambda: end.open)
    end.send(MEGABYTE)
    stage.until(lambda: len(end.data) >= len(MEGABYTE))
    assert end.data == MEGABYTE
    converse(stage, end)


def test_killed_gnutls_serv_is_a_truncation(stage: Stage, papers: Papers, serv: Server) -> None:
    server, port = serv()
    end = stage.connect(port, config(papers))
    stage.until(lambda: end.open)
    end.send(b"= there and back\n")
    stage.until(lambda: end.data == b"= there and back\n")
    server.process.kill()
    stage.until(lambda: end.reason)
    end.was_truncated()


@pytest.mark.parametrize(
    ("fault", "error", "alert", "told"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", "Certificate is expired"),
        ("misnamed", x509.NameMismatch, "bad_certificate", "Certificate is bad"),
        ("stranger", x509.UnknownIssuer, "unknown_ca", "CA is unknown"),
        ("purpose", x509.PurposeMismatch, "unsupported_certificate", "Certificate is not supported"),
        ("too-long", x509.BadCertificate, "bad_certificate", "Certificate is bad"),
    ],
)
def test_we_refuse_the_certificate_of_gnutls_serv(
    stage: Stage,
    papers: Papers,
    serv: Server,
    fault: str,
    error: type[Exception],
    alert: str,
    told: str,
) -> None:
    server, port = serv("--disable-client-cert", "-d", "5", shows=f"server-{fault}")
    end = stage.connect(port, config(papers))
    stage.until(lambda: end.reason)
    end.failed(error, alert, by_peer=False)
    stage.says(server, f"Alert.*{told} - was received")


@pytest.mark.parametrize("fault", ["expired", "stranger"])
def test_gnutls_serv_refuses_our_certificate(stage: Stage, papers: Papers, serv: Server, fault: str) -> None:
    server, port = serv("--require-client-cert", "--verify-client-cert", "-d", "5")
    end = stage.connect(port, config(papers, credential=papers.credential(f"client-{fault}")))
    stage.until(lambda: end.reason)
    end.failed(ProtocolError, "access_denied", by_peer=True)
    stage.says(server, r"Alert\[2\|49\] - Access was denied")


@pytest.mark.parametrize(
    ("settings", "priority", "options", "alert"),
    [
        # Without TLS 1.3 it looks at our cipher suites first.
        ({}, "NORMAL:-VERS-ALL:+VERS-TLS1.2", (), "handshake_failure"),
        ({"suites": SUITES[:1]}, f"{TLS_1_3}:-AES-128-GCM", (), "handshake_failure"),
        ({"groups": GROUPS[:1]}, f"{TLS_1_3}:-GROUP-X25519", (), "handshake_failure"),
        (
            {"alpn": ("a",)},
            TLS_1_3,
            ("--disable-client-cert", "--alpn", "b", "--alpn-fatal"),
            "no_application_protocol",
        ),
    ],
    ids=["TLS 1.2", "suites", "groups", "ALPN"],
)
def test_nothing_in_common_with_gnutls_serv(
    stage: Stage,
    papers: Papers,
    serv: Server,
    settings: dict[str, object],
    priority: str,
    options: tuple[str, ...],
    alert: str,
) -> None:
    server, port = serv(*options, priority=priority)
    end = stage.connect(port, config(papers, **settings))
    stage.until(lambda: end.reason)
    end.failed(PeerIncompatible, alert, by_peer=True)
    stage.says(server, "Error in handshake")

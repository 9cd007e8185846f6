"""Pre-shared keys from outside TLS: openssl and GnuTLS against our built-in engine, both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.errors import PeerIncompatible, PeerMisbehaved
from mungos.tls import ClientConfig, ExternalPsk, ServerConfig, SessionCache, TicketKeys
from tests.peers.tls_papers import Papers
from tests.peers.tls_programs import Door, End, Program, Stage, echo, free_port

KEY = bytes(range(32))
PSK = ExternalPsk(b"lamp", KEY)
TLS_1_3 = "NORMAL:-VERS-ALL:+VERS-TLS1.3"
BY_KEY = f"{TLS_1_3}:-KX-ALL:+ECDHE-PSK"


def there_and_back(stage: Stage, client: Program, door: Door) -> None:
    """A line both ways through our server."""
    stage.until(lambda: door.open)
    client.write(b"= there and back\n")
    stage.says(client, "^= there and back$")


def gone(stage: Stage, door: Door) -> None:
    stage.until(lambda: door.closed)
    door.end.ended_cleanly()


@pytest.fixture
def s_client(stage: Stage, foreign_program: Callable[[str], str]) -> Callable[..., Program]:
    program = foreign_program("openssl")

    def run(door: Door, *options: str) -> Program:
        return stage.run(program, "s_client", "-connect", f"127.0.0.1:{door.port}", *options)

    return run


@pytest.fixture
def s_server(stage: Stage, foreign_program: Callable[[str], str]) -> Callable[..., tuple[Program, int]]:
    program = foreign_program("openssl")

    def run(*options: str) -> tuple[Program, int]:
        server = stage.run(program, "s_server", "-accept", "127.0.0.1:0", *options)
        return server, int(stage.says(server, r"^ACCEPT 127\.0\.0\.1:(\d+)")[1])

    return run


def talked(stage: Stage, server: Program, end: End) -> None:
    """A line each way with s_server, then our leave."""
    stage.until(lambda: end.open or end.reason is not None)
    end.send(b"= from us to them\n")
    stage.says(server, "= from us to them$")
    server.write(b"= from them to us\n")
    stage.until(lambda: b"= from them to us\n" in end.data)
    end.close()
    stage.says(server, "^DONE$")
    stage.until(lambda: end.reason is not None)
    end.ended_cleanly()
    server.output.clear()


@pytest.mark.foreign("openssl")
@pytest.mark.parametrize("groups", [("x25519",), ("secp384r1",)], ids=["at once", "asked again"])
def test_s_client_with_a_key(stage: Stage, s_client: Callable[..., Program], groups: tuple[str, ...]) -> None:
    """openssl binds its keys to SHA-256 unless a program says otherwise."""
    door = stage.listen(ServerConfig(psks=(PSK,), groups=groups, tickets=TicketKeys()), echo)
    client = s_client(door, "-psk", KEY.hex(), "-psk_identity", "lamp", "-groups", "X25519:P-384")
    there_and_back(stage, client, door)
    client.write(b"Q\n")
    stage.ends(client)
    gone(stage, door)
    assert door.end.agreed.psk_identity == b"lamp"
    assert door.end.agreed.group == groups[0]
    assert "Reused, TLSv1.3" in client.text


@pytest.mark.foreign("openssl")
def test_s_client_resumes_what_began_with_a_key(
    stage: Stage, s_client: Callable[..., Program], tmp_path: Path
) -> None:
    door = stage.listen(ServerConfig(psks=(PSK,), tickets=TicketKeys()), echo)
    session = str(tmp_path / "session")
    for words in (("-sess_out", session), ("-sess_in", session)):
        client = s_client(door, "-psk", KEY.hex(), "-psk_identity", "lamp", *words)
        there_and_back(stage, client, door)
        client.write(b"Q\n")
        stage.ends(client)
        gone(stage, door)
    assert [end.agreed.resumed for end in door.ends] == [False, True]
    assert door.end.agreed.psk_identity == b"lamp"


@pytest.mark.foreign("openssl")
@pytest.mark.parametrize(
    ("identity", "key", "error", "alert", "told"),
    [
        ("lamp", KEY[::-1], PeerMisbehaved, "decrypt_error", "decrypt error"),
        ("fan", KEY, PeerIncompatible, "unknown_psk_identity", "alert number 115"),
    ],
    ids=["key", "identity"],
)
def test_s_client_with_the_wrong(
    stage: Stage,
    s_client: Callable[..., Program],
    identity: str,
    key: bytes,
    error: type[Exception],
    alert: str,
    told: str,
) -> None:
    door = stage.listen(ServerConfig(psks=(PSK,)))
    client = s_client(door, "-psk", key.hex(), "-psk_identity", identity)
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    door.end.failed(error, alert, by_peer=False)
    assert told in text


@pytest.mark.foreign("openssl")
def test_s_client_with_another_key_gets_our_certificate(
    stage: Stage, s_client: Callable[..., Program], papers: Papers
) -> None:
    door = stage.listen(ServerConfig((papers.credential("p256"),), psks=(PSK,)), echo)
    client = s_client(
        door, "-psk", KEY.hex(), "-psk_identity", "fan", "-CAfile", papers.path("root.pem"),
        "-verify_return_error",
    )  # fmt: skip
    there_and_back(stage, client, door)
    client.write(b"Q\n")
    stage.ends(client)
    gone(stage, door)
    assert door.end.agreed.psk_identity is None
    assert "Verify return code: 0 (ok)" in client.text


@pytest.mark.foreign("openssl")
def test_s_server_with_a_key(stage: Stage, s_server: Callable[..., tuple[Program, int]]) -> None:
    server, port = s_server("-nocert", "-psk", KEY.hex(), "-psk_identity", "lamp")
    sessions = SessionCache()
    found = []
    for _ in range(2):
        config = ClientConfig(psks=(PSK,), sessions=sessions)
        end = stage.connect(port, config)
        talked(stage, server, end)
        found.append(end.agreed)
    assert [each.psk_identity for each in found] == [b"lamp", b"lamp"]
    assert [each.peer_chain for each in found] == [(), ()]


@pytest.mark.foreign("openssl")
def test_s_server_does_not_know_the_key(
    stage: Stage, papers: Papers, s_server: Callable[..., tuple[Program, int]]
) -> None:
    shown = ("-cert", papers.path("p256.pem"), "-key", papers.path("p256.key"))
    chain = ("-cert_chain", papers.path("p256.pem"))
    server, port = s_server(*shown, *chain, "-psk", KEY.hex(), "-psk_identity", "fan")
    end = stage.connect(port, ClientConfig(roots=papers.root, psks=(PSK,)))
    talked(stage, server, end)
    assert end.agreed.psk_identity is None
    assert end.agreed.peer_chain


@pytest.mark.foreign("openssl")
def test_s_server_refuses_the_wrong_key(stage: Stage, s_server: Callable[..., tuple[Program, int]]) -> None:
    _, port = s_server("-nocert", "-psk", KEY.hex(), "-psk_identity", "lamp")
    end = stage.connect(port, ClientConfig(psks=(ExternalPsk(b"lamp", KEY[::-1]),)))
    stage.until(lambda: end.reason)
    end.failed(PeerMisbehaved, "illegal_parameter", by_peer=True)


@pytest.mark.foreign("gnutls-cli")
@pytest.mark.parametrize("tickets", [None, TicketKeys()], ids=["once", "with tickets"])
def test_gnutls_cli_with_a_key(
    stage: Stage, foreign_program: Callable[[str], str], tickets: TicketKeys | None
) -> None:
    door = stage.listen(ServerConfig(psks=(PSK,), tickets=tickets), echo)
    again = ("--resume", "--waitresumption") if tickets is not None else ()
    client = stage.run(
        foreign_program("gnutls-cli"),
        *("127.0.0.1", "-p", str(door.port), "--priority", BY_KEY),
        *("--pskusername", "lamp", "--pskkey", KEY.hex(), *again),
    )
    stage.says(client, "Simple Client Mode:")
    there_and_back(stage, client, door)
    client.shut()
    stage.ends(client)
    assert client.process.returncode == 0
    gone(stage, door)
    assert {end.agreed.psk_identity for end in door.ends} == {b"lamp"}
    assert [end.agreed.resumed for end in door.ends] == [False, True][: len(door.ends)]
    assert len(door.ends) == (1 if tickets is None else 2)


@pytest.mark.foreign("gnutls-serv")
def test_gnutls_serv_with_a_key(stage: Stage, foreign_program: Callable[[str], str], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"lamp:{KEY.hex()}\n")
    port = free_port()
    server = stage.run(
        foreign_program("gnutls-serv"),
        *("-p", str(port), "--echo", "--crlf", "--pskpasswd", str(keys), "--priority", BY_KEY),
    )
    stage.says(server, r"listening on IPv4 .*done$")
    end = stage.connect(port, ClientConfig(psks=(PSK,)))
    stage.until(lambda: end.open or end.reason)
    assert end.agreed.psk_identity == b"lamp"
    end.send(b"= there and back\n")
    stage.until(lambda: b"there and back" in end.data)
    end.close()
    stage.until(lambda: end.reason is not None)
    end.ended_cleanly()

"""0-RTT data: openssl and GnuTLS against our built-in engine, both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.tls import ClientConfig, EarlyDataGuard, ServerConfig, SessionCache, TicketKeys
from tests.peers.tls_papers import Papers
from tests.peers.tls_programs import Door, End, Program, Stage, echo, free_port

TLS_1_3 = "NORMAL:-VERS-ALL:+VERS-TLS1.3"
EARLY = b"= in the first flight\n"

Client = Callable[..., Program]
Server = Callable[..., tuple[Program, int]]


@pytest.fixture
def s_client(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Client:
    program = foreign_program("openssl")

    def run(door: Door, *options: str) -> Program:
        trust = ("-CAfile", papers.path("root.pem"), "-verify_return_error", "-servername", "localhost")
        return stage.run(program, "s_client", "-connect", f"127.0.0.1:{door.port}", *trust, *options)

    return run


@pytest.fixture
def s_server(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Server:
    program = foreign_program("openssl")

    def run(*options: str) -> tuple[Program, int]:
        shown = ("-cert", papers.path("p256.pem"), "-key", papers.path("p256.key"))
        chain = ("-cert_chain", papers.path("p256.pem"))
        server = stage.run(program, "s_server", "-accept", "127.0.0.1:0", *shown, *chain, *options)
        return server, int(stage.says(server, r"^ACCEPT 127\.0\.0\.1:(\d+)")[1])

    return run


def serving(
    papers: Papers, *, guard: EarlyDataGuard | None, tickets: TicketKeys | None = None
) -> ServerConfig:
    return ServerConfig((papers.credential("p256"),), tickets=tickets or TicketKeys(), early_data=guard)


def left(stage: Stage, client: Program, door: Door, quit_by: bytes = b"Q\n") -> None:
    """A line there and back, then the client's leave."""
    client.write(b"= there and back\n")
    stage.says(client, "^= there and back$")
    client.write(quit_by)
    stage.ends(client)
    stage.until(lambda: door.closed)
    door.end.ended_cleanly()


@pytest.mark.foreign("openssl")
def test_s_client_sends_early_data(stage: Stage, papers: Papers, s_client: Client, tmp_path: Path) -> None:
    """Once; the same ticket again is refused, and what it brought is not heard."""
    door = stage.listen(serving(papers, guard=EarlyDataGuard()), echo)
    session, early = str(tmp_path / "session"), tmp_path / "early"
    early.write_bytes(EARLY)
    client = s_client(door, "-sess_out", session)
    stage.until(lambda: door.open)
    left(stage, client, door)
    assert "Max Early Data: 16384" in client.text
    for fate in ("accepted", "rejected"):
        client = s_client(door, "-sess_in", session, "-early_data", str(early))
        stage.says(client, f"Early data was {fate}")
        left(stage, client, door)
        assert door.end.agreed.resumed
        assert door.end.agreed.early_data == fate
        assert door.end.data == (EARLY if fate == "accepted" else b"") + b"= there and back\n"


@pytest.mark.foreign("openssl")
def test_s_client_is_asked_for_another_share_after_its_early_data(
    stage: Stage, papers: Papers, s_client: Client, tmp_path: Path
) -> None:
    tickets = TicketKeys()
    door = stage.listen(serving(papers, guard=EarlyDataGuard(), tickets=tickets), echo)
    session, early = str(tmp_path / "session"), tmp_path / "early"
    early.write_bytes(EARLY * 300)
    client = s_client(door, "-sess_out", session)
    stage.until(lambda: door.open)
    left(stage, client, door)
    retrying = ServerConfig(
        (papers.credential("p256"),), tickets=tickets, early_data=EarlyDataGuard(), groups=("secp384r1",)
    )
    other = stage.listen(retrying, echo)
    client = s_client(other, "-sess_in", session, "-early_data", str(early), "-groups", "X25519:P-384")
    stage.says(client, "Early data was rejected")
    left(stage, client, other)
    assert other.end.agreed.early_data == "rejected"
    assert other.end.data == b"= there and back\n"


def first_visit(stage: Stage, port: int, config: ClientConfig, server: Program) -> None:
    """A session that leaves tickets."""
    end = stage.connect(port, config)
    stage.until(lambda: end.open or end.reason)
    server.write(b"= hello\n")
    stage.until(lambda: b"= hello\n" in end.data)
    end.close()
    stage.until(lambda: end.reason)
    end.ended_cleanly()
    stage.says(server, "^DONE$")
    server.output.clear()


@pytest.mark.foreign("openssl")
def test_s_server_takes_our_early_data(stage: Stage, papers: Papers, s_server: Server) -> None:
    """Once; where it refuses them they are sent once more, after the handshake."""
    server, port = s_server("-early_data", "-max_early_data", "4096")
    config = ClientConfig(roots=papers.root, sessions=SessionCache(), early_data="resend")
    first_visit(stage, port, config, server)
    sessions = config.sessions
    assert sessions is not None
    ((*_, ticket),) = sessions._sessions.values()
    assert _visit(stage, port, config, server) == "accepted"
    # The same ticket again, which it takes for a replay.
    sessions.put(ticket)
    assert _visit(stage, port, config, server) == "resent"


def _visit(stage: Stage, port: int, config: ClientConfig, server: Program) -> str:
    """What became of early data."""
    end = _early(stage, port, config)
    stage.says(server, "= in the first flight")
    assert server.output.count(b"= in the first flight") == 1
    server.write(b"= answer\n")
    stage.until(lambda: b"= answer\n" in end.data)
    end.close()
    stage.says(server, "^DONE$")
    stage.until(lambda: end.reason)
    server.output.clear()
    return end.agreed.early_data


def _early(stage: Stage, port: int, config: ClientConfig) -> End:
    """A connection on which data were sent before anything was heard of it; open."""
    end = stage.connect(port, config)
    (connection,) = stage.manager.connections.values()
    connection.send(EARLY)
    stage.until(lambda: end.open or end.reason)
    return end


@pytest.mark.foreign("gnutls-cli")
@pytest.mark.parametrize("guarded", [True, False], ids=["accepted", "never"])
def test_gnutls_cli_sends_early_data(
    stage: Stage,
    papers: Papers,
    foreign_program: Callable[[str], str],
    tmp_path: Path,
    guarded: bool,
) -> None:
    early = tmp_path / "early"
    early.write_bytes(EARLY)
    door = stage.listen(serving(papers, guard=EarlyDataGuard() if guarded else None), echo)
    client = stage.run(
        foreign_program("gnutls-cli"),
        *("localhost", "-p", str(door.port), "--x509cafile", papers.path("root.pem"), "--priority", TLS_1_3),
        *("--resume", "--waitresumption", "--earlydata", str(early)),
    )
    stage.until(lambda: len(door.ends) == 2 and door.open)
    client.write(b"= there and back\n")
    stage.says(client, "^= there and back$")
    client.shut()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert door.end.agreed.resumed
    # It offers them whatever the ticket says; but then it has none.
    assert door.end.agreed.early_data == ("accepted" if guarded else "rejected")
    assert door.end.data == (EARLY if guarded else b"") + b"= there and back\n"


@pytest.mark.foreign("gnutls-serv")
def test_gnutls_serv_takes_our_early_data(
    stage: Stage, papers: Papers, foreign_program: Callable[[str], str]
) -> None:
    port = free_port()
    server = stage.run(
        foreign_program("gnutls-serv"),
        *("-p", str(port), "--echo", "--crlf", "--disable-client-cert", "--priority", TLS_1_3),
        *("--x509certfile", papers.path("p256.pem"), "--x509keyfile", papers.path("p256.key")),
        *("--earlydata", "--maxearlydata", "4096"),
    )
    stage.says(server, r"listening on IPv4 .*done$")
    config = ClientConfig(roots=papers.root, sessions=SessionCache(), early_data="resend")
    first = stage.connect(port, config)
    stage.until(lambda: first.open)
    first.send(b"= hello\n")
    stage.until(lambda: b"= hello" in first.data)
    first.close()
    stage.until(lambda: first.reason)
    again = _early(stage, port, config)
    assert again.agreed.early_data == "accepted"
    again.send(b"= there and back\n")
    stage.until(lambda: b"there and back" in again.data)
    again.close()
    stage.until(lambda: again.reason)

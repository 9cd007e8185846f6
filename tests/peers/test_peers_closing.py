"""Who takes leave, who truncates, who resets: openssl's and GnuTLS's programs against our engines.

A program that is killed ends its stream without close_notify; one that was stopped before, with data of ours
unread, resets it; one that is only stopped says nothing any more.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mungos import CloseKind, Connection, Ended, Limits, Listener, ReadSide
from mungos.tls import ClientConfig, ServerConfig
from tests.cases.oracles import one_verdict
from tests.cases.world import Notes
from tests.peers.tls_papers import Papers
from tests.peers.tls_programs import Program, Stage, free_port

pytestmark = pytest.mark.foreign("openssl", "gnutls-cli", "gnutls-serv")

LIMITS = Limits(linger=0.3)
LINE = b"= there and back\n"
PEERS = ["s_client", "gnutls-cli", "s_server", "gnutls-serv"]
SENT_NOTIFY = r">>> .*Alert .*, warning close_notify"
GOT_NOTIFY = r"<<< .*Alert .*, warning close_notify"
# What a program says when our end came without close_notify.
MISSED_IT = {
    "s_client": r"unexpected eof|errno=104|read:errno=0|SSL_read",
    "gnutls-cli": r"not properly terminated|Error in the pull|reset",
    "s_server": r"unexpected eof|errno=104|ERROR|SSL_read",
    "gnutls-serv": r"not properly terminated|Error in the pull|reset|Error",
}


@dataclass
class Meeting:
    """A program and our end, open, a line there and back behind them.

    Attributes:
        name: the program's.
        verbose: whether it tells of the alerts that it sends and gets.
    """

    stage: Stage
    name: str
    program: Program
    notes: Notes
    verbose: bool

    @property
    def connection(self) -> Connection:
        return self.notes.connection

    def stop(self) -> None:
        """It says nothing any more, and reads nothing."""
        self.program.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Its kernel ends the stream."""
        self.program.process.kill()
        self.program.process.wait(5)

    def ended(self, *kinds: CloseKind) -> None:
        """The verdict of our end."""
        self.stage.until(lambda: self.notes.closed)
        one_verdict(self.notes.events, kinds)


@pytest.fixture(params=["builtin", "openssl"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=PEERS)
def met(
    request: pytest.FixtureRequest,
    stage: Stage,
    papers: Papers,
    foreign_program: Callable[[str], str],
    engine: str,
) -> Meeting:
    """Each program against each engine."""
    name: str = request.param
    path = foreign_program("openssl" if name.startswith("s_") else name)
    notes = Notes()
    if name in {"s_client", "gnutls-cli"}:
        config = ServerConfig((papers.credential("p256"),))
        listener = stage.manager.listen("tls://127.0.0.1:0", notes, tls=config, engine=engine, limits=LIMITS)
        assert isinstance(listener, Listener)
        program = stage.run(path, *_client(name, papers, listener.url.port))
    else:
        port = free_port()
        program = stage.run(path, *_server(name, papers, port))
        stage.says(program, "^ACCEPT" if name == "s_server" else r"listening on IPv4 .*done$")
        stage.manager.connect(
            f"tls://127.0.0.1:{port}",
            notes,
            tls=ClientConfig(roots=papers.root),
            server_name="localhost",
            engine=engine,
            limits=LIMITS,
        )
    stage.until(lambda: bool(notes.events))
    assert notes.of("Opened"), notes.events
    met = Meeting(stage, name, program, notes, verbose=name.startswith("s_"))
    _talk(met)
    return met


def _client(name: str, papers: Papers, port: int) -> tuple[str, ...]:
    root = papers.path("root.pem")
    if name == "s_client":
        return (
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-servername",
            "localhost",
            "-CAfile",
            root,
            "-msg",
        )
    priority = "NORMAL:-VERS-ALL:+VERS-TLS1.3"
    return ("localhost", "-p", str(port), "--x509cafile", root, "--priority", priority)


def _server(name: str, papers: Papers, port: int) -> tuple[str, ...]:
    chain, key = papers.path("p256.pem"), papers.path("p256.key")
    if name == "s_server":
        return (
            "s_server",
            "-accept",
            f"127.0.0.1:{port}",
            "-cert",
            chain,
            "-cert_chain",
            chain,
            "-key",
            key,
            "-msg",
        )
    shown = ("--x509certfile", chain, "--x509keyfile", key, "--disable-client-cert")
    return ("-p", str(port), "--echo", *shown, "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3")


def _talk(met: Meeting) -> None:
    """A line in each direction, so that tickets and all are behind us."""
    met.connection.send(LINE)
    if met.name == "gnutls-serv":
        met.stage.until(lambda: LINE in met.notes.data)
        return
    met.stage.says(met.program, "^= there and back$")
    met.program.write(LINE)
    met.stage.until(lambda: LINE in met.notes.data)


def test_t56_we_leave_first(met: Meeting) -> None:
    met.connection.close()
    met.ended(CloseKind.CLEAN)
    if met.verbose:
        met.stage.says(met.program, GOT_NOTIFY)
        met.stage.says(met.program, SENT_NOTIFY)
        assert met.connection.read_side is ReadSide.ENDED
    if met.name == "gnutls-cli":
        assert "- Peer has closed the GnuTLS connection" in met.stage.ends(met.program)


def _leave(met: Meeting) -> None:
    """The program's own way to go."""
    if met.name == "gnutls-serv":
        pytest.skip("gnutls-serv has no word by which it leaves one client")
    if met.name == "gnutls-cli":
        met.program.shut()
    else:
        met.program.write(b"Q\n")


def test_t56_the_program_leaves_first(met: Meeting) -> None:
    _leave(met)
    truncates = met.name == "s_server"  # its Q says nothing of it to the client
    met.ended(CloseKind.TRUNCATED if truncates else CloseKind.CLEAN)
    ends = [event.how for event in met.notes.events if isinstance(event, Ended)]
    assert ends == ["truncated" if truncates else "clean"]
    if met.verbose and not truncates:
        met.stage.says(met.program, SENT_NOTIFY)


def test_t57_our_direction_ends_and_the_program_goes(met: Meeting) -> None:
    """None of them writes on; gnutls-cli goes without a word, and that is told from a clean end."""
    met.connection.end()
    met.ended(CloseKind.TRUNCATED if met.name == "gnutls-cli" else CloseKind.CLEAN)
    assert met.notes.data.count(LINE) == 1


def test_t59_both_leave_at_once(met: Meeting) -> None:
    _leave(met)
    met.connection.close()
    # A program that has left may be gone before our alert arrives: then its kernel resets.
    met.ended(CloseKind.CLEAN, CloseKind.PEER_RESET, CloseKind.BROKEN)


def test_t60_our_abort_is_no_clean_end_for_it(met: Meeting) -> None:
    met.connection.abort()
    met.ended(CloseKind.ABORTED)
    met.stage.says(met.program, MISSED_IT[met.name])
    if met.verbose:
        assert not re.search(GOT_NOTIFY, met.program.text)


def test_t61_it_is_silent_after_our_close(met: Meeting) -> None:
    met.stop()
    began = time.monotonic()
    met.connection.close(5.0)
    met.ended(CloseKind.TIMED_OUT)
    assert 0.25 < time.monotonic() - began < 4.5


def test_t62_it_is_killed_after_our_close(met: Meeting) -> None:
    met.stop()
    met.connection.close(5.0)
    met.stage.until(lambda: met.connection.unsent == 0)
    met.kill()
    # With our close_notify unread its kernel resets, which may meet our FIN; all that we had to say was said.
    met.ended(CloseKind.CLEAN, CloseKind.PEER_RESET, CloseKind.BROKEN)


def test_t63_it_is_killed_unprompted(met: Meeting) -> None:
    met.kill()
    met.ended(CloseKind.TRUNCATED)
    assert [event.how for event in met.notes.events if isinstance(event, Ended)] == ["truncated"]
    assert met.notes.data.count(LINE) == 1


def test_t64_it_is_killed_with_our_data_unread(met: Meeting) -> None:
    met.stop()
    met.connection.send(LINE)
    met.stage.until(lambda: met.connection.unsent == 0)
    met.kill()
    met.ended(CloseKind.PEER_RESET)
    assert met.notes.data.count(LINE) == 1


def test_t76_a_fatal_alert_of_ours_reaches_it(met: Meeting) -> None:
    secure = met.connection._secure
    assert secure is not None
    before = len(met.notes.events)
    # A record that nobody can have sent, as if it had come from the program.
    secure.receive(b"\x17\x03\x03\x00\x20" + bytes(32), met.stage.manager.now)
    met.connection.wake()
    met.ended(CloseKind.TLS_ALERT)
    assert len(met.notes.events) == before + 1
    told = r"alert bad record mac|[Bb]ad record MAC|fatal bad_record_mac|received"
    met.stage.says(met.program, told)

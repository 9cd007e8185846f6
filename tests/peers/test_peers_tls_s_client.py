"""openssl's s_client against our built-in TLS engine as the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mungos.errors import PeerIncompatible, PeerMisbehaved, ProtocolError
from mungos.tls import ServerConfig, TicketKeys
from mungos.x509 import errors as x509
from tests.peers.tls_papers import KINDS, OTHER_HOST, SCHEMES, Papers
from tests.peers.tls_programs import GROUPS, MEGABYTE, SUITES, Door, Program, Stage, echo

pytestmark = pytest.mark.foreign("openssl")

CURVES = {"x25519": "X25519", "secp256r1": "P-256", "secp384r1": "P-384"}
LABEL = "EXPERIMENTAL mungos"

Run = Callable[..., Program]


@pytest.fixture
def s_client(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Run:
    """Starts s_client against a door; it verifies the certificate and stops at a bad one."""
    program = foreign_program("openssl")

    def run(door: Door, *options: str, trust: bool = True) -> Program:
        verify = ["-CAfile", papers.path("root.pem"), "-verify_return_error", "-verify_hostname", "localhost"]
        return stage.run(
            program,
            *("s_client", "-connect", f"127.0.0.1:{door.port}", "-servername", "localhost"),
            *(verify if trust else ()),
            *options,
        )

    return run


def config(papers: Papers, *names: str, **options: object) -> ServerConfig:
    credentials = tuple(papers.credential(name) for name in names or ("p256",))
    return ServerConfig(credentials, **options)  # type: ignore[arg-type]


def talk(stage: Stage, client: Program, door: Door) -> None:
    """A line there and back, then the client's leave: clean on both sides."""
    stage.until(lambda: door.open)
    client.write(b"= there and back\n")
    stage.says(client, "= there and back$")
    client.write(b"Q\n")
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert client.process.returncode == 0
    door.end.ended_cleanly()


def lines(text: str) -> Iterable[str]:
    return sorted(line for line in text.splitlines() if line and not line.startswith("#"))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_s_client_speaks_every_suite_and_group(
    stage: Stage, papers: Papers, s_client: Run, tmp_path: Path, suite: str, group: str
) -> None:
    """And both ends log the same keys, and export the same."""
    keys: list[str] = []
    door = stage.listen(config(papers, keylog=keys.append), echo)
    log = tmp_path / "keys"
    client = s_client(
        door,
        *("-ciphersuites", suite, "-groups", CURVES[group], "-keylogfile", str(log)),
        *("-keymatexport", LABEL, "-keymatexportlen", "40"),
    )
    exported = stage.says(client, r"Keying material: ([0-9A-F]+)\n")[1]
    stage.until(lambda: door.open)
    assert door.end.engine.export(LABEL.encode(), b"", 40).hex().upper() == exported
    talk(stage, client, door)
    assert f"New, TLSv1.3, Cipher is {suite}" in client.text
    assert "Verify return code: 0 (ok)" in client.text
    assert (door.end.agreed.suite, door.end.agreed.group) == (suite, group)
    assert lines(log.read_text()) == lines("\n".join(keys))
    assert len(keys) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_s_client_believes_every_kind_of_certificate(
    stage: Stage, papers: Papers, s_client: Run, kind: str
) -> None:
    door = stage.listen(config(papers, kind), echo)
    client = s_client(door)
    talk(stage, client, door)
    assert "depth=2 CN = Mungos Test Root" in client.text
    assert "depth=1 CN = Mungos Test Intermediate" in client.text
    assert f"depth=0 CN = {kind}" in client.text
    assert door.end.agreed.scheme == SCHEMES[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_s_client_shows_a_certificate(stage: Stage, papers: Papers, s_client: Run, kind: str) -> None:
    door = stage.listen(config(papers, client_auth="required", client_roots=papers.root), echo)
    name = f"client-{kind}"
    shown = ["-cert", papers.path(f"{name}.pem"), "-key", papers.path(f"{name}.key")]
    client = s_client(door, *shown, "-cert_chain", papers.path(f"{name}.pem"))
    talk(stage, client, door)
    chain = door.end.agreed.peer_chain
    # With -cert_chain the leaf stands in the file a second time.
    assert chain[0] == papers.der(f"{name}.pem")[0]
    assert papers.der(f"{name}.pem")[1] in chain


@pytest.mark.parametrize("needed", ["none", "optional"])
def test_s_client_need_not_show_a_certificate(
    stage: Stage, papers: Papers, s_client: Run, needed: str
) -> None:
    roots = papers.root if needed == "optional" else None
    door = stage.listen(config(papers, client_auth=needed, client_roots=roots), echo)
    client = s_client(door)
    talk(stage, client, door)
    assert door.end.agreed.peer_chain == ()
    asked = "Requested Signature Algorithms" in client.text
    assert asked is (needed == "optional")


def test_s_client_must_show_a_certificate(stage: Stage, papers: Papers, s_client: Run) -> None:
    door = stage.listen(config(papers, client_auth="required", client_roots=papers.root))
    client = s_client(door)
    told = stage.ends(client)
    stage.until(lambda: door.closed)
    assert "alert number 116" in told
    door.end.failed(PeerMisbehaved, "certificate_required", by_peer=False)


@pytest.mark.parametrize("auth", ["none", "required"])
def test_s_client_resumes(stage: Stage, papers: Papers, s_client: Run, tmp_path: Path, auth: str) -> None:
    roots = papers.root if auth == "required" else None
    settings = config(papers, tickets=TicketKeys(), client_auth=auth, client_roots=roots)
    door = stage.listen(settings, echo)
    shown = ["-cert", papers.path("client-p256.pem"), "-key", papers.path("client-p256.key")]
    shown += ["-cert_chain", papers.path("client-p256.pem")]
    session = str(tmp_path / "session")
    first = s_client(door, "-sess_out", session, *shown)
    talk(stage, first, door)
    assert "Post-Handshake New Session Ticket arrived" in first.text
    assert "New, TLSv1.3" in first.text
    second = s_client(door, "-sess_in", session, *shown)
    talk(stage, second, door)
    assert "Reused, TLSv1.3" in second.text
    assert [end.agreed.resumed for end in door.ends] == [False, True]
    assert door.end.agreed.peer_chain == door.ends[0].agreed.peer_chain
    assert bool(door.end.agreed.peer_chain) is (auth == "required")


def test_s_client_with_a_ticket_of_other_keys_starts_afresh(
    stage: Stage, papers: Papers, s_client: Run, tmp_path: Path
) -> None:
    session = str(tmp_path / "session")
    door = stage.listen(config(papers, tickets=TicketKeys()), echo)
    first = s_client(door, "-sess_out", session)
    talk(stage, first, door)
    assert "Post-Handshake New Session Ticket arrived" in first.text
    door = stage.listen(config(papers, tickets=TicketKeys()), echo)
    second = s_client(door, "-sess_in", session)
    talk(stage, second, door)
    assert "New, TLSv1.3" in second.text
    assert not door.end.agreed.resumed


@pytest.mark.parametrize("cookie", [False, True])
@pytest.mark.parametrize("resumed", [False, True])
def test_s_client_is_asked_for_another_share(
    stage: Stage, papers: Papers, s_client: Run, tmp_path: Path, cookie: bool, resumed: bool
) -> None:
    """HelloRetryRequest, RFC 8446 section 4.1.4; with a ticket, its binder covers the first two messages."""
    tickets = TicketKeys()
    session = []
    if resumed:
        door = stage.listen(config(papers, tickets=tickets), echo)
        first = s_client(door, "-sess_out", str(tmp_path / "session"))
        talk(stage, first, door)
        assert "Post-Handshake New Session Ticket arrived" in first.text
        session = ["-sess_in", str(tmp_path / "session")]
    settings = config(papers, groups=("secp384r1",), retry_cookie=cookie, tickets=tickets)
    door = stage.listen(settings, echo)
    client = s_client(door, "-groups", "X25519:P-384", "-msg", *session)
    talk(stage, client, door)
    assert len(re.findall("^>>> .*ClientHello", client.text, re.MULTILINE)) == 2
    assert len(re.findall("^<<< .*ServerHello", client.text, re.MULTILINE)) == 2
    assert door.end.agreed.group == "secp384r1"
    assert door.end.agreed.resumed is resumed
    assert ("Reused, TLSv1.3" if resumed else "New, TLSv1.3") in client.text


def test_s_client_agrees_on_a_protocol(stage: Stage, papers: Papers, s_client: Run) -> None:
    door = stage.listen(config(papers, alpn=("b", "a")), echo)
    client = s_client(door, "-alpn", "a,b,c")
    talk(stage, client, door)
    assert "ALPN protocol: b" in client.text
    assert door.end.agreed.alpn == "b"


def test_s_client_without_alpn_and_a_server_without(stage: Stage, papers: Papers, s_client: Run) -> None:
    for ours, theirs in ((("a",), ()), ((), ("-alpn", "a"))):
        door = stage.listen(config(papers, alpn=ours), echo)
        client = s_client(door, *theirs)
        talk(stage, client, door)
        assert "No ALPN negotiated" in client.text
        assert door.end.agreed.alpn is None


@pytest.mark.parametrize(
    ("name", "shown"), [("localhost", "p256"), (OTHER_HOST, "other"), (None, "p256"), ("none.test", "p256")]
)
def test_s_client_names_the_server(
    stage: Stage, papers: Papers, s_client: Run, name: str | None, shown: str
) -> None:
    door = stage.listen(config(papers, "p256", "other"), echo)
    option = ("-servername", name) if name is not None else ("-noservername",)
    expected = OTHER_HOST if shown == "other" else "localhost"
    # What comes later on the command line is what counts.
    client = s_client(door, *option, "-verify_hostname", expected)
    if name is None:
        stage.ends(client)  # it refuses -servername and -noservername together
        client = stage.run(
            client.command[0], "s_client", "-connect", f"127.0.0.1:{door.port}", "-noservername"
        )
    talk(stage, client, door)
    assert f"subject=CN = {shown}" in client.text
    assert door.end.agreed.server_name == name


@pytest.mark.parametrize("letter", ["K", "k"])
def test_s_client_updates_its_keys(stage: Stage, papers: Papers, s_client: Run, letter: str) -> None:
    """K asks for our update, too (RFC 8446 section 4.6.3)."""
    door = stage.listen(config(papers), echo)
    client = s_client(door, "-msg")
    stage.until(lambda: door.open)
    for round_ in range(3):
        client.write(f"{letter}\n".encode())
        stage.says(client, "KEYUPDATE", round_ + 1)
        client.write(f"= round {round_}\n".encode())
        stage.says(client, f"= round {round_}$")
    talk(stage, client, door)
    assert len(re.findall("^>>> .*KeyUpdate", client.text, re.MULTILINE)) == 3
    answers = len(re.findall("^<<< .*KeyUpdate", client.text, re.MULTILINE))
    assert answers == (3 if letter == "K" else 0)


@pytest.mark.parametrize("requested", [False, True])
def test_our_server_updates_its_keys(stage: Stage, papers: Papers, s_client: Run, requested: bool) -> None:
    door = stage.listen(config(papers), echo)
    client = s_client(door, "-msg")
    stage.until(lambda: door.open)
    for round_ in range(3):
        door.end.engine.update_keys(requested=requested)
        client.write(f"= round {round_}\n".encode())
        stage.says(client, f"= round {round_}$")
    talk(stage, client, door)
    assert len(re.findall("^<<< .*KeyUpdate", client.text, re.MULTILINE)) == 3
    assert len(re.findall("^>>> .*KeyUpdate", client.text, re.MULTILINE)) == (3 if requested else 0)


@pytest.mark.parametrize("suite", SUITES)
def test_s_client_sends_a_mebibyte_and_gets_it_back(
    stage: Stage, papers: Papers, s_client: Run, suite: str
) -> None:
    door = stage.listen(config(papers, suites=(suite,)), echo)
    client = s_client(door, "-quiet", "-nocommands")
    client.write(MEGABYTE)
    client.shut()
    stage.until(lambda: len(door.end.data if door.ends else b"") >= len(MEGABYTE))
    assert door.end.data == MEGABYTE
    stage.until(lambda: MEGABYTE in client.output)
    door.end.close()
    stage.ends(client)
    stage.until(lambda: door.closed)
    assert client.process.returncode == 0


def test_our_close_is_clean_for_s_client(stage: Stage, papers: Papers, s_client: Run) -> None:
    door = stage.listen(config(papers), echo)
    client = s_client(door, "-msg")
    stage.until(lambda: door.open)
    door.end.close()
    told = stage.ends(client)
    stage.until(lambda: door.closed)
    assert re.search("^<<< .*Alert.*\n.*01 00$|warning close_notify", told, re.MULTILINE)
    assert re.search("^closed$", told, re.MULTILINE)
    assert "read:errno" not in told
    door.end.ended_cleanly()


def test_killed_s_client_is_a_truncation(stage: Stage, papers: Papers, s_client: Run) -> None:
    """RFC 8446 section 6.1: an end of the stream without close_notify."""
    door = stage.listen(config(papers), echo)
    client = s_client(door)
    stage.until(lambda: door.open)
    client.write(b"= the last line\n")
    stage.says(client, "= the last line$")
    client.process.kill()
    stage.until(lambda: door.closed)
    door.end.was_truncated()


@pytest.mark.parametrize(
    ("fault", "alert", "told"),
    [
        ("expired", "certificate_expired", "verify error:num=10:certificate has expired"),
        ("future", "bad_certificate", "verify error:num=9:certificate is not yet valid"),
        ("misnamed", "bad_certificate", "verify error:num=62:hostname mismatch"),
        ("stranger", "unknown_ca", "verify error:num=20:unable to get local issuer certificate"),
        ("forged", "decrypt_error", "verify error:num=7:certificate signature failure"),
        ("purpose", "unsupported_certificate", "verify error:num=26:unsuitable certificate purpose"),
        ("too-long", "unknown_ca", "verify error:num=25:path length constraint exceeded"),
    ],
)
def test_s_client_refuses_our_certificate(
    stage: Stage, papers: Papers, s_client: Run, fault: str, alert: str, told: str
) -> None:
    door = stage.listen(config(papers, f"server-{fault}"))
    client = s_client(door)
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    assert told in text
    assert client.process.returncode == 1
    assert alert in door.end.failed(ProtocolError, alert, by_peer=True)


@pytest.mark.parametrize(
    ("fault", "error", "alert", "number"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", 45),
        ("future", x509.CertificateNotYetValid, "certificate_expired", 45),
        ("stranger", x509.UnknownIssuer, "unknown_ca", 48),
        ("forged", x509.SignatureMismatch, "bad_certificate", 42),
        ("purpose", x509.PurposeMismatch, "unsupported_certificate", 43),
        ("too-long", x509.BadCertificate, "bad_certificate", 42),
    ],
)
def test_we_refuse_the_certificate_of_s_client(
    stage: Stage, papers: Papers, s_client: Run, fault: str, error: type[Exception], alert: str, number: int
) -> None:
    door = stage.listen(config(papers, client_auth="optional", client_roots=papers.root))
    name = f"client-{fault}"
    shown = ["-cert", papers.path(f"{name}.pem"), "-key", papers.path(f"{name}.key")]
    client = s_client(door, *shown, "-cert_chain", papers.path(f"{name}.pem"))
    text = stage.ends(client)
    stage.until(lambda: door.closed)
    assert f"alert number {number}" in text
    door.end.failed(error, alert, by_peer=False)


@pytest.mark.parametrize(
    ("settings", "options", "alert", "number", "says"),
    [
        ({}, ["-tls1_2"], "protocol_version", 70, "openssl"),
        ({"suites": SUITES[:1]}, ["-ciphersuites", SUITES[1]], "handshake_failure", 40, "1302"),
        ({"groups": GROUPS[:1]}, ["-groups", "P-256"], "handshake_failure", 40, "0017"),
        ({}, ["-sigalgs", "ed25519"], "handshake_failure", 40, "scheme"),
        ({"alpn": ("a",)}, ["-alpn", "b,c"], "no_application_protocol", 120, "b'b'"),
    ],
    ids=["TLS 1.2", "suites", "groups", "schemes", "ALPN"],
)
def test_nothing_in_common_with_s_client(
    stage: Stage,
    papers: Papers,
    s_client: Run,
    settings: dict[str, object],
    options: list[str],
    alert: str,
    number: int,
    says: str,
) -> None:
    door = stage.listen(config(papers, **settings))
    text = stage.ends(s_client(door, *options))
    stage.until(lambda: door.closed)
    assert f"alert number {number}" in text
    assert says in door.end.failed(PeerIncompatible, alert, by_peer=False)

"""openssl's s_server against our built-in TLS engine as the client."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos.errors import PeerIncompatible, PeerMisbehaved
from mungos.tls import ClientConfig, SessionCache
from mungos.x509 import errors as x509
from tests.peers.tls_papers import KINDS, OTHER_HOST, SCHEMES, Papers
from tests.peers.tls_programs import GROUPS, MEGABYTE, SUITES, End, Program, Stage

pytestmark = pytest.mark.foreign("openssl")

CURVES = {"x25519": "X25519", "secp256r1": "P-256", "secp384r1": "P-384"}
LABEL = "EXPERIMENTAL mungos"

Run = Callable[..., tuple[Program, int]]


@pytest.fixture
def s_server(stage: Stage, papers: Papers, foreign_program: Callable[[str], str]) -> Run:
    """Starts s_server with a credential; it and its port."""
    program = foreign_program("openssl")

    def run(*options: str, shows: str = "p256") -> tuple[Program, int]:
        chain, key = papers.path(f"{shows}.pem"), papers.path(f"{shows}.key")
        server = stage.run(
            program,
            *("s_server", "-accept", "127.0.0.1:0", "-cert", chain, "-cert_chain", chain, "-key", key),
            *("-CAfile", papers.path("root.pem"), *options),
        )
        return server, int(stage.says(server, r"^ACCEPT 127\.0\.0\.1:(\d+)")[1])

    return run


def config(papers: Papers, **options: object) -> ClientConfig:
    return ClientConfig(roots=papers.root, **options)  # type: ignore[arg-type]


def opened(stage: Stage, end: End) -> None:
    stage.until(lambda: end.open or end.reason is not None)
    assert end.open, end.reason


def failed(stage: Stage, end: End) -> None:
    stage.until(lambda: end.reason is not None)


def arrived(stage: Stage, end: End, data: bytes) -> None:
    stage.until(lambda: data in end.data)


def talk(stage: Stage, server: Program, end: End) -> None:
    """A line each way, then our leave: clean on both sides."""
    opened(stage, end)
    end.send(b"= from us to them\n")
    stage.says(server, "= from us to them$")
    server.write(b"= from them to us\n")
    arrived(stage, end, b"= from them to us\n")
    end.close()
    stage.says(server, "^DONE$")
    stage.until(lambda: end.reason is not None)
    end.ended_cleanly()
    server.output.clear()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("suite", SUITES)
def test_s_server_speaks_every_suite_and_group(
    stage: Stage, papers: Papers, s_server: Run, tmp_path: Path, suite: str, group: str
) -> None:
    """And both ends log the same keys, and export the same."""
    keys: list[str] = []
    log = tmp_path / "keys"
    server, port = s_server(
        *("-ciphersuites", suite, "-keylogfile", str(log)),
        *("-keymatexport", LABEL, "-keymatexportlen", "40"),
    )
    end = stage.connect(port, config(papers, keylog=keys.append, groups=(group,)))
    exported = stage.says(server, r"Keying material: ([0-9A-F]+)\n")[1]
    opened(stage, end)
    assert end.engine.export(LABEL.encode(), b"", 40).hex().upper() == exported
    assert f"CIPHER is {suite}" in server.text
    assert f"Shared groups: {CURVES[group]}".lower() in server.text.lower().replace(
        "secp256r1", "p-256"
    ).replace("secp384r1", "p-384")
    talk(stage, server, end)
    assert (end.agreed.suite, end.agreed.group) == (suite, group)
    logged = [line for line in log.read_text().splitlines() if line and not line.startswith("#")]
    assert sorted(logged) == sorted(keys)
    assert len(keys) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_we_believe_every_kind_of_certificate(stage: Stage, papers: Papers, s_server: Run, kind: str) -> None:
    server, port = s_server(shows=kind)
    end = stage.connect(port, config(papers))
    talk(stage, server, end)
    assert end.agreed.scheme == SCHEMES[kind]
    # With -cert_chain the leaf stands in the file, and is sent, a second time.
    assert set(papers.der(f"{kind}.pem")) == set(end.agreed.peer_chain)


@pytest.mark.parametrize("kind", KINDS)
def test_s_server_believes_our_certificate(stage: Stage, papers: Papers, s_server: Run, kind: str) -> None:
    server, port = s_server("-Verify", "2", "-verify_return_error")
    end = stage.connect(port, config(papers, credential=papers.credential(f"client-{kind}")))
    stage.says(server, f"subject=CN = client-{kind}")
    talk(stage, server, end)


def test_s_server_asks_for_a_certificate_and_gets_none(stage: Stage, papers: Papers, s_server: Run) -> None:
    server, port = s_server("-verify", "2")
    end = stage.connect(port, config(papers))
    stage.says(server, "CIPHER is")
    assert "Client certificate" not in server.text
    talk(stage, server, end)


def test_s_server_demands_a_certificate_and_gets_none(stage: Stage, papers: Papers, s_server: Run) -> None:
    server, port = s_server("-Verify", "2")
    end = stage.connect(port, config(papers))
    failed(stage, end)
    stage.says(server, "peer did not return a certificate")
    told = end.failed(PeerMisbehaved, "certificate_required", by_peer=True)
    assert told == "the peer ended the session with the alert certificate_required (116)"


@pytest.mark.parametrize(
    ("fault", "alert", "told"),
    [
        ("expired", "certificate_expired", "verify error:num=10:certificate has expired"),
        ("future", "bad_certificate", "verify error:num=9:certificate is not yet valid"),
        ("stranger", "unknown_ca", "verify error:num=20:unable to get local issuer certificate"),
        ("forged", "decrypt_error", "verify error:num=7:certificate signature failure"),
        ("purpose", "unsupported_certificate", "verify error:num=26:unsuitable certificate purpose"),
        ("too-long", "unknown_ca", "verify error:num=25:path length constraint exceeded"),
    ],
)
def test_s_server_refuses_our_certificate(
    stage: Stage, papers: Papers, s_server: Run, fault: str, alert: str, told: str
) -> None:
    server, port = s_server("-Verify", "5", "-verify_return_error")
    end = stage.connect(port, config(papers, credential=papers.credential(f"client-{fault}")))
    failed(stage, end)
    stage.says(server, told)
    assert alert in end.failed((PeerMisbehaved, PeerIncompatible), alert, by_peer=True)


@pytest.mark.parametrize(
    ("fault", "error", "alert", "number"),
    [
        ("expired", x509.CertificateExpired, "certificate_expired", 45),
        ("future", x509.CertificateNotYetValid, "certificate_expired", 45),
        ("misnamed", x509.NameMismatch, "bad_certificate", 42),
        ("stranger", x509.UnknownIssuer, "unknown_ca", 48),
        ("forged", x509.SignatureMismatch, "bad_certificate", 42),
        ("purpose", x509.PurposeMismatch, "unsupported_certificate", 43),
        ("too-long", x509.BadCertificate, "bad_certificate", 42),
    ],
)
def test_we_refuse_the_certificate_of_s_server(
    stage: Stage, papers: Papers, s_server: Run, fault: str, error: type[Exception], alert: str, number: int
) -> None:
    server, port = s_server(shows=f"server-{fault}")
    end = stage.connect(port, config(papers))
    failed(stage, end)
    stage.says(server, f"SSL alert number {number}$")
    end.failed(error, alert, by_peer=False)
    assert not end.open


@pytest.mark.parametrize("asks", [False, True])
def test_we_resume_with_s_server(stage: Stage, papers: Papers, s_server: Run, asks: bool) -> None:
    server, port = s_server(*(("-Verify", "2") if asks else ()))
    credential = papers.credential("client-p256") if asks else None
    settings = config(papers, sessions=SessionCache(), credential=credential)
    first = stage.connect(port, settings)
    opened(stage, first)
    stage.says(server, "CIPHER is")
    assert "Reused session-id" not in server.text
    talk(stage, server, first)
    second = stage.connect(port, settings)
    opened(stage, second)
    stage.says(server, "Reused session-id")
    talk(stage, server, second)
    assert (first.agreed.resumed, second.agreed.resumed) == (False, True)
    assert second.agreed.peer_chain == first.agreed.peer_chain


def test_s_server_that_lost_its_keys_starts_afresh(stage: Stage, papers: Papers, s_server: Run) -> None:
    settings = config(papers, sessions=SessionCache())
    for _ in range(2):
        server, port = s_server()
        end = stage.connect(port, settings)
        talk(stage, server, end)
        assert not end.agreed.resumed


@pytest.mark.parametrize("resumed", [False, True])
def test_s_server_asks_for_another_share(stage: Stage, papers: Papers, s_server: Run, resumed: bool) -> None:
    """HelloRetryRequest, RFC 8446 section 4.1.4; with a ticket, its binder covers the first two messages."""
    server, port = s_server("-groups", "P-384", "-msg")
    sessions = SessionCache()
    if resumed:
        talk(stage, server, stage.connect(port, config(papers, sessions=sessions)))
    end = stage.connect(port, config(papers, sessions=sessions, groups=("x25519", "secp384r1")))
    opened(stage, end)
    assert len(re.findall("^<<< .*ClientHello", server.text, re.MULTILINE)) == 2
    talk(stage, server, end)
    assert end.agreed.group == "secp384r1"
    assert end.agreed.resumed is resumed


def test_s_server_agrees_on_a_protocol(stage: Stage, papers: Papers, s_server: Run) -> None:
    server, port = s_server("-alpn", "b,a")
    end = stage.connect(port, config(papers, alpn=("a", "b", "c")))
    opened(stage, end)
    stage.says(server, "ALPN protocols selected: b")
    talk(stage, server, end)
    assert end.agreed.alpn == "b"


def test_s_server_without_alpn(stage: Stage, papers: Papers, s_server: Run) -> None:
    server, port = s_server()
    end = stage.connect(port, config(papers, alpn=("a",)))
    talk(stage, server, end)
    assert end.agreed.alpn is None


def test_s_server_chooses_by_name(stage: Stage, papers: Papers, s_server: Run) -> None:
    other = ("-cert2", papers.path("other.pem"), "-key2", papers.path("other.key"))
    server, port = s_server("-servername", OTHER_HOST, *other)
    end = stage.connect(port, config(papers), server_name=OTHER_HOST)
    opened(stage, end)
    stage.says(server, f'Hostname in TLS extension: "{OTHER_HOST}"')
    stage.says(server, "Switching server context")
    assert end.agreed.peer_chain[0] == papers.der("other.pem")[0]
    talk(stage, server, end)


def test_an_address_is_not_sent_as_a_name(stage: Stage, papers: Papers, s_server: Run) -> None:
    """RFC 6066 section 3; the certificate's address is checked all the same."""
    other = ("-cert2", papers.path("other.pem"), "-key2", papers.path("other.key"))
    server, port = s_server("-servername", OTHER_HOST, *other)
    end = stage.connect(port, config(papers), server_name="127.0.0.1")
    opened(stage, end)
    stage.says(server, "CIPHER is")
    assert "Hostname in TLS extension" not in server.text
    talk(stage, server, end)


@pytest.mark.parametrize("letter", ["K", "k"])
def test_s_server_updates_its_keys(stage: Stage, papers: Papers, s_server: Run, letter: str) -> None:
    """K asks for our update, too (RFC 8446 section 4.6.3)."""
    server, port = s_server("-msg")
    end = stage.connect(port, config(papers))
    opened(stage, end)
    stage.says(server, "CIPHER is")
    for round_ in range(3):
        server.write(f"{letter}\n".encode())
        stage.says(server, "^>>> .*KeyUpdate", round_ + 1)
        told = f"= theirs {round_}\n".encode()
        server.write(told)
        arrived(stage, end, told)
        end.send(f"= ours {round_}\n".encode())
        stage.says(server, f"= ours {round_}$")
    answers = len(re.findall("^<<< .*KeyUpdate", server.text, re.MULTILINE))
    assert answers == (3 if letter == "K" else 0)
    talk(stage, server, end)


@pytest.mark.parametrize("requested", [False, True])
def test_our_client_updates_its_keys(stage: Stage, papers: Papers, s_server: Run, requested: bool) -> None:
    server, port = s_server("-msg")
    end = stage.connect(port, config(papers))
    opened(stage, end)
    stage.says(server, "CIPHER is")
    for round_ in range(3):
        end.engine.update_keys(requested=requested)
        end.send(f"= ours {round_}\n".encode())
        stage.says(server, f"= ours {round_}$")
        told = f"= theirs {round_}\n".encode()
        server.write(told)
        arrived(stage, end, told)
    assert len(re.findall("^<<< .*KeyUpdate", server.text, re.MULTILINE)) == 3
    assert len(re.findall("^>>> .*KeyUpdate", server.text, re.MULTILINE)) == (3 if requested else 0)
    talk(stage, server, end)


@pytest.mark.parametrize("suite", SUITES)
def test_a_mebibyte_each_way(stage: Stage, papers: Papers, s_server: Run, suite: str) -> None:
    server, port = s_server("-ciphersuites", suite)
    end = stage.connect(port, config(papers))
    opened(stage, end)
    end.send(MEGABYTE)
    server.write(MEGABYTE)
    stage.until(lambda: len(end.data) >= len(MEGABYTE))
    assert end.data == MEGABYTE
    stage.until(lambda: MEGABYTE in server.output)
    end.close()
    stage.until(lambda: end.reason is not None)
    end.ended_cleanly()


def test_s_server_ends_first_with_close_notify(stage: Stage, papers: Papers, s_server: Run) -> None:
    server, port = s_server("-www", "-msg")
    end = stage.connect(port, config(papers))
    opened(stage, end)
    end.send(b"GET / HTTP/1.0\r\n\r\n")
    stage.until(lambda: end.reason is not None)
    assert end.data.startswith(b"HTTP/1.0 200 ok")
    assert end.ended == "clean"
    end.ended_cleanly()
    assert "warning close_notify" in server.text


def test_s_server_ends_without_close_notify(stage: Stage, papers: Papers, s_server: Run) -> None:
    """RFC 8446 section 6.1: the data before stand, and the end is a truncation."""
    server, port = s_server()
    end = stage.connect(port, config(papers))
    opened(stage, end)
    server.write(b"= the last line\n")
    stage.until(lambda: end.data == b"= the last line\n")
    server.process.kill()
    stage.until(lambda: end.reason is not None)
    end.was_truncated()


def test_s_server_with_tls_1_2_only(stage: Stage, papers: Papers, s_server: Run) -> None:
    server, port = s_server("-tls1_2")
    end = stage.connect(port, config(papers))
    failed(stage, end)
    told = end.failed(PeerIncompatible, "protocol_version", by_peer=True)
    assert "protocol_version (70)" in told
    assert "openssl" in told
    stage.says(server, "unsupported protocol")


@pytest.mark.parametrize(
    ("settings", "options", "alert", "told"),
    [
        ({"suites": SUITES[:1]}, ["-ciphersuites", SUITES[1]], "handshake_failure", "no shared cipher"),
        ({"groups": GROUPS[:1]}, ["-groups", "P-256"], "handshake_failure", "no suitable key share"),
        ({"alpn": ("a",)}, ["-alpn", "b,c"], "no_application_protocol", "no application protocol"),
        (
            {},
            ["-servername", OTHER_HOST, "-servername_fatal", "-cert2", "CERT", "-key2", "KEY"],
            "unrecognized_name",
            "callback failed",
        ),
    ],
    ids=["suites", "groups", "ALPN", "name"],
)
def test_nothing_in_common_with_s_server(
    stage: Stage,
    papers: Papers,
    s_server: Run,
    settings: dict[str, object],
    options: list[str],
    alert: str,
    told: str,
) -> None:
    files = {"CERT": papers.path("other.pem"), "KEY": papers.path("other.key")}
    server, port = s_server(*(files.get(option, option) for option in options))
    end = stage.connect(port, config(papers, **settings))
    failed(stage, end)
    stage.says(server, told)
    assert alert in end.failed(PeerIncompatible, alert, by_peer=True)

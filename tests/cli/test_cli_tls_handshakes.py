"""The options of TLS, our client against our server: what both agree on, and what they refuse."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.programs import Server, mungos, server
from tests.peers.tls_papers import OTHER_HOST, Papers

HTTPS = ("--listen", "https://127.0.0.1:0")


def pair(papers: Papers, *names: str) -> list[str]:
    """--tls-cert and --tls-key for each."""
    return [
        word
        for name in names
        for word in ("--tls-cert", papers.path(f"{name}.pem"), "--tls-key", papers.path(f"{name}.key"))
    ]


def got(
    serving: Server, papers: Papers, *options: str | Path, trust: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """`mungos get -v` of the file."""
    trusted = ("--tls-ca", papers.path("root.pem")) if trust else ()
    return mungos("get", serving.url("https") + "hello.txt", "-v", *trusted, *options)


def succeeded(done: subprocess.CompletedProcess[bytes]) -> str:
    """What was said about it."""
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    return done.stderr.decode()


def failed(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line of what was said about it."""
    assert (done.returncode, done.stdout) == (1, b""), done.stderr
    return done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_client_certificate_required(site: Path, papers: Papers, engine: str) -> None:
    asked = ("--tls-client-ca", papers.path("root.pem"), "--tls-engine", engine)
    with server("serve", site, *HTTPS, *pair(papers, "p256"), *asked) as serving:
        succeeded(got(serving, papers, *pair(papers, "client-ed25519"), "--tls-engine", engine))
        without = failed(got(serving, papers))
        stranger = failed(got(serving, papers, *pair(papers, "client-stranger")))
    assert "certificate_required" in without
    assert without.endswith("(the peer wants to see a certificate: give --tls-cert and --tls-key)")
    assert "unknown_ca" in stranger
    assert stranger.endswith("(the peer does not accept the certificate that it was shown)")


def test_client_certificate_optional(site: Path, papers: Papers) -> None:
    asked = ("--tls-client-ca", papers.path("root.pem"), "--tls-client-auth", "optional")
    with server("serve", site, *HTTPS, *pair(papers, "p256"), *asked) as serving:
        succeeded(got(serving, papers))
        succeeded(got(serving, papers, *pair(papers, "client-rsa")))
        failed(got(serving, papers, *pair(papers, "client-expired")))


def test_client_certificate_that_nobody_asks_for(site: Path, papers: Papers) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "p256")) as serving:
        succeeded(got(serving, papers, *pair(papers, "client-stranger")))


@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_name_chooses_among_two_certificates(site: Path, papers: Papers, engine: str) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "p256", "other"), "--tls-engine", engine) as serving:
        first = succeeded(got(serving, papers, "--tls-name", "localhost"))
        second = succeeded(got(serving, papers, "--tls-name", OTHER_HOST))
        neither = succeeded(got(serving, papers))
    assert "certificate 0: subject CN=p256\n" in first
    assert "certificate 0: subject CN=other\n" in second
    assert "certificate 0: subject CN=p256\n" in neither


def test_groups_of_the_server_force_a_retry(site: Path, papers: Papers) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "p256"), "--tls-groups", "secp384r1") as serving:
        assert ", group secp384r1, " in succeeded(got(serving, papers))
        line = failed(got(serving, papers, "--tls-groups", "x25519"))
    assert "handshake_failure" in line
    assert line.endswith(
        "(no group, cipher suite or signature scheme in common: see --tls-groups and --tls-ciphers; "
        "or it wants a pre-shared key: --tls-psk)"
    )


def test_groups_and_ciphers_of_the_client_in_any_case(site: Path, papers: Papers) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "rsa")) as serving:
        said = succeeded(
            got(
                serving,
                papers,
                *("--tls-groups", "SECP256R1,x25519"),
                *("--tls-ciphers", "tls_chacha20_poly1305_sha256"),
            )
        )
    assert "TLSv1.3, TLS_CHACHA20_POLY1305_SHA256, group " in said
    assert "signature rsa_pss_rsae_sha256, ALPN http/1.1, new session\n" in said


def test_server_prefers_in_its_own_order(site: Path, papers: Papers) -> None:
    suites = "TLS_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256"
    with server("serve", site, *HTTPS, *pair(papers, "p256"), "--tls-ciphers", suites) as serving:
        assert "TLSv1.3, TLS_AES_256_GCM_SHA384, " in succeeded(got(serving, papers))


def test_verbose_tells_the_chain(site: Path, papers: Papers) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "rsa")) as serving:
        said = succeeded(got(serving, papers))
    pattern = (
        r"\* certificate 0: subject CN=rsa\n"
        r"\*   issuer CN=Mungos Test Intermediate\n"
        r"\*   valid \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d, for localhost, 127\.0\.0\.1\n"
        r"\*   key RSA 2048 bits, serial [0-9a-f]+\n"
        r"\*   SHA-256 [0-9a-f]{64}\n"
        r"\* certificate 1: subject CN=Mungos Test Intermediate\n"
        r"\*   issuer CN=Mungos Test Root\n"
        r"\*   valid .*, for no name\n"
        r"\*   key EC secp256r1, serial [0-9a-f]+\n"
    )
    assert re.search(pattern, said)
    assert said.endswith("* ended: clean\n")


def test_refused_certificate_is_named(site: Path, papers: Papers) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "server-stranger")) as serving:
        line = failed(got(serving, papers, "--tls-engine", "builtin"))
    assert "the certificate of CN=server-stranger (serial " in line
    assert "was issued by CN=Another Root, which is not trusted" in line
    assert line.endswith("(if it is to be trusted, give its certificate or its issuer's with --cacert FILE)")


@pytest.mark.parametrize("engine", ["builtin", "openssl"])
def test_authorities_of_many_files_and_a_directory(
    site: Path, papers: Papers, tmp_path: Path, engine: str
) -> None:
    folder = tmp_path / "authorities"
    (folder / "below").mkdir(parents=True)
    (folder / "README").write_text("no certificate\n", encoding="ascii")
    shutil.copy(papers.path("p256.key"), folder)
    with server("serve", site, *HTTPS, *pair(papers, "p256")) as serving:
        lone = ("--tls-ca", papers.path("server-stranger.pem"), "--tls-engine", engine)
        failed(got(serving, papers, *lone, trust=False))
        succeeded(got(serving, papers, *lone, "--tls-ca", papers.path("root.pem"), trust=False))
        shutil.copy(papers.path("server-stranger.pem"), folder)
        failed(got(serving, papers, "--cacert", folder, trust=False))
        shutil.copy(papers.path("root.pem"), folder)
        succeeded(got(serving, papers, "--cacert", folder, "--tls-engine", engine, trust=False))


def test_alpn_is_the_first_of_the_servers_that_the_client_offers(papers: Papers) -> None:
    listen = ("--listen", "tls://127.0.0.1:0", "--tls-alpn", "one,two")
    with server("echo", *listen, *pair(papers, "p256")) as serving:
        connect = ("connect", serving.url("tls"), "-v", "--tls-ca", papers.path("root.pem"))
        both = mungos(*connect, "--tls-alpn", "three,two,one", stdin=b"x")
        none = mungos(*connect, stdin=b"x")
        other = mungos(*connect, "--tls-alpn", "three", stdin=b"x")
    assert (both.returncode, both.stdout) == (0, b"x")
    assert b", ALPN one, new session\n" in both.stderr
    assert (none.returncode, none.stdout) == (0, b"x")
    assert b", no ALPN, new session\n" in none.stderr
    assert other.returncode == 1
    assert b"no_application_protocol" in other.stderr
    assert other.stderr.endswith(b"(the peer speaks none of the protocols offered by ALPN)\n")


def test_alpn_of_echo_leaves_https_alone(papers: Papers) -> None:
    listen = ("--listen", "tls://127.0.0.1:0", *HTTPS, "--tls-alpn", "one")
    with server("echo", *listen, *pair(papers, "p256")) as serving:
        done = mungos("get", serving.url("https"), "-v", "--tls-ca", papers.path("root.pem"))
    assert b", ALPN http/1.1, " in done.stderr


def test_key_logs_of_both_ends_are_the_same(papers: Papers, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "client.keys", tmp_path / "server.keys"
    listen = ("--listen", "wss://127.0.0.1:0", "--tls-keylog", theirs)
    with server("echo", *listen, *pair(papers, "p256")) as serving:
        trusted = ("--tls-ca", papers.path("root.pem"), "--tls-keylog", ours)
        done = mungos("ws", serving.url("wss"), "--send", "hello", *trusted)
        # Every line is there before the server has ended.
        kept = theirs.read_text("ascii").splitlines()
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    assert b"mungos: --tls-keylog: session keys are written to " in done.stderr
    assert "mungos: --tls-keylog: session keys are written to " in serving.errors()
    assert sorted(ours.read_text("ascii").splitlines()) == sorted(kept)
    assert all(re.fullmatch(r"[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]{64,96}", line) for line in kept)
    assert {line.split()[0] for line in kept} >= {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    }
    assert [stat.S_IMODE(path.stat().st_mode) for path in (ours, theirs)] == [0o600, 0o600]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_key_log_that_fails_is_said_once_and_the_traffic_goes_on(site: Path, papers: Papers) -> None:
    with server("serve", site, *HTTPS, *pair(papers, "p256"), "--tls-keylog", "/dev/full") as serving:
        succeeded(got(serving, papers))
        succeeded(got(serving, papers))
    assert serving.errors().count("can't write /dev/full: No space left on device") == 1

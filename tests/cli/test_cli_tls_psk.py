"""`--tls-psk`: a key in place of a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from mungos.cli.program import run
from tests.cli.programs import mungos, server
from tests.peers.tls_papers import Papers

KEY = "00112233445566778899aabbccddeeff"
PSK = ("--tls-psk", f"lamp:{KEY}")
LISTEN = ("serve", ".", "--listen", "https://127.0.0.1:0")
NOWHERE = "https://127.0.0.1:1/"


@pytest.mark.parametrize("ending", ["", ":sha256", ":sha384"])
def test_key_in_place_of_a_certificate(site: Path, ending: str) -> None:
    psk = ("--tls-psk", f"lamp:{KEY}{ending}")
    with server("serve", site, "--listen", "https://127.0.0.1:0", *psk) as serving:
        done = mungos("get", serving.url("https") + "hello.txt", "-v", *psk)
        without = mungos("get", serving.url("https") + "hello.txt", "--insecure")
        wrong = mungos("get", serving.url("https") + "hello.txt", "--tls-psk", f"lamp:{KEY[::-1]}{ending}")
        other = mungos("get", serving.url("https") + "hello.txt", "--tls-psk", f"fan:{KEY}{ending}")
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    assert b"pre-shared key lamp" in done.stderr
    assert b"certificate" not in done.stderr
    assert (without.returncode, wrong.returncode, other.returncode) == (1, 1, 1)
    assert b"handshake_failure" in without.stderr
    assert b"or it wants a pre-shared key: --tls-psk)" in without.stderr
    assert b"decrypt_error" in wrong.stderr
    assert b"the peer knows another key than ours: that of --tls-psk" in wrong.stderr
    assert b"unknown_psk_identity" in other.stderr
    assert b"see --tls-psk" in other.stderr


@pytest.mark.parametrize("scheme", ["tls", "wss"])
def test_echo_connect_and_ws_take_keys(scheme: str) -> None:
    with server("echo", "--listen", f"{scheme}://127.0.0.1:0", *PSK) as echoing:
        url = echoing.url(scheme)
        if scheme == "wss":
            done = mungos("ws", url, "--send", "there and back", "--count", "1", *PSK)
        else:
            done = mungos("connect", url, *PSK, stdin=b"there and back\n")
    assert done.returncode == 0, done.stderr
    assert b"there and back" in done.stdout


def test_certificate_for_those_without_the_key(site: Path, papers: Papers) -> None:
    papers_given = ("--tls-cert", papers.path("p256.pem"), "--tls-key", papers.path("p256.key"))
    with server("serve", site, "--listen", "https://127.0.0.1:0", *PSK, *papers_given) as serving:
        url = serving.url("https") + "hello.txt"
        trusted = ("--tls-ca", papers.path("root.pem"))
        by_certificate = mungos("get", url, "-v", *trusted)
        by_other_key = mungos("get", url, "-v", *trusted, "--tls-psk", f"fan:{KEY}")
        by_key = mungos("get", url, "-v", *trusted, *PSK)
    for done in (by_certificate, by_other_key):
        assert done.returncode == 0, done.stderr
        assert b"certificate 0: subject CN=p256" in done.stderr
    assert by_key.returncode == 0, by_key.stderr
    assert b"certificate 0" not in by_key.stderr


@pytest.mark.parametrize("command", [("get", NOWHERE), LISTEN], ids=["get", "serve"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lamp", "IDENTITY:HEX"),
        ("lamp:", "IDENTITY:HEX"),
        ("lamp:xyz", "IDENTITY:HEX"),
        ("lamp:0011", "at least 16 bytes"),
        (f":{KEY}", "identity of 0 bytes"),
    ],
)
def test_what_is_no_key_exits_with_2(
    command: tuple[str, ...], value: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--tls-psk", value]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "http://127.0.0.1:1/", *PSK), "plain text"),
        (("serve", ".", *PSK), "of no use"),
        ((*LISTEN, *PSK, "--save-cert", "x"), "there is no certificate"),
        ((*LISTEN, *PSK, "--tls-client-ca", "x"), "--tls-client-auth optional"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_contradictions_exit_with_2(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("command", [("get", NOWHERE), LISTEN], ids=["get", "serve"])
def test_openssl_engine_has_no_keys(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, *PSK, "--tls-engine", "openssl"]) == 3
    assert "--tls-engine builtin" in capsys.readouterr().err

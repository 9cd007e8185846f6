"""The options of TLS: what is refused before anything begins, and why."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mungos.cli.program import run
from mungos.tls.engines.builtin.suites import GROUP_CODES, SUITES
from tests.peers.tls_papers import Papers

NOWHERE = "https://127.0.0.1:1/"
LISTEN = ("serve", ".", "--listen", "https://127.0.0.1:0")


@pytest.mark.parametrize("option", ["--tls-groups", "--tls-ciphers"])
@pytest.mark.parametrize("command", [("get", NOWHERE), LISTEN], ids=["get", "serve"])
@pytest.mark.parametrize("names", ["ffdhe2048", "", "x25519,", "TLS_AES_128_CCM_SHA256"])
def test_unknown_names_exit_with_2_and_list_the_known(
    command: tuple[str, ...], option: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, option, names]) == 2
    known = GROUP_CODES if option == "--tls-groups" else SUITES
    assert f"known are {', '.join(known)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", NOWHERE, "--tls-groups", "x25519,X25519"), "x25519 is named twice"),
        (("get", "http://127.0.0.1:1/", "--tls-groups", "x25519"), "plain text"),
        (("get", "http://127.0.0.1:1/", "--tls-keylog", "keys"), "plain text"),
        (("get", NOWHERE, "--tls-ca", "a", "--insecure"), "contradict"),
        (("connect", "wss://127.0.0.1:1/", "--tls-alpn", "a"), "--tls-alpn is for tls"),
        (("connect", "tcp://127.0.0.1:1", "--tls-alpn", "a"), "--tls-alpn is for tls"),
        (("connect", "tls://127.0.0.1:1", "--tls-alpn", "a,,b"), "no ALPN name"),
        (("connect", "tls://127.0.0.1:1", "--tls-alpn", "é"), "no ALPN name"),
        (("connect", "tls://127.0.0.1:1", "--tls-alpn", "a" * 256), "no ALPN name"),
        (("echo", "--listen", "https://127.0.0.1:0", "--tls-alpn", "a"), "--tls-alpn is for tls"),
        ((*LISTEN, "--tls-client-auth", "required"), "needs --tls-client-ca"),
        ((*LISTEN, "--tls-client-ca", "x", "--tls-client-auth", "none"), "'required', 'optional'"),
        (
            (*LISTEN, "--tls-cert", "a", "--tls-cert", "b", "--tls-key", "a"),
            "2 of the one and 1 of",
        ),
        (("serve", ".", "--tls-groups", "x25519"), "of no use"),
        (("serve", ".", "--tls-client-ca", "x"), "of no use"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_contradictions_exit_with_2(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--tls-groups", "secp384r1"),
        ("--tls-ciphers", "TLS_AES_256_GCM_SHA384"),
        ("--tls-keylog", "keys"),
    ],
)
@pytest.mark.parametrize("command", [("get", NOWHERE), LISTEN], ids=["get", "serve"])
def test_engine_that_can_not_do_it_exits_with_3_and_names_the_one_that_can(
    command: tuple[str, ...],
    option: str,
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*command, option, value, "--tls-engine", "openssl"]) == 3
    seen = capsys.readouterr()
    assert "TLS can't be set up: the engine openssl" in seen.err
    assert seen.err.endswith("the built-in one can: --tls-engine builtin\n")
    assert seen.out == ""
    assert list(tmp_path.iterdir()) == []


def test_missing_and_broken_authorities_exit_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    broken.mkdir()
    (broken / "a.pem").write_text("-----BEGIN CERTIFICATE-----\nMA==\n", encoding="ascii")
    for option, command in (("--tls-ca", ("get", NOWHERE)), ("--tls-client-ca", LISTEN)):
        assert run([*command, option, str(tmp_path / "none")]) == 3
        assert f"can't read {tmp_path / 'none'}: No such file" in capsys.readouterr().err
        assert run([*command, option, str(empty)]) == 3
        assert f"{empty} holds no certificate" in capsys.readouterr().err
        assert run([*command, option, str(broken)]) == 3
        assert f"{broken / 'a.pem'}: certificate 1 of the PEM text has no end line" in capsys.readouterr().err


def test_bad_one_of_several_certificates_is_named(papers: Papers, capsys: pytest.CaptureFixture[str]) -> None:
    good = ("--tls-cert", papers.path("p256.pem"), "--tls-key", papers.path("p256.key"))
    bad = ("--tls-cert", papers.path("rsa.pem"), "--tls-key", papers.path("p384.key"))
    assert run([*LISTEN, *good, *bad]) == 3
    says = f"the certificate can't be used: {papers.path('rsa.pem')}: "
    assert says in capsys.readouterr().err


def test_key_log_that_can_not_be_written_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["get", NOWHERE, "--tls-keylog", "/nowhere/keys"]) == 3
    assert "can't write /nowhere/keys: No such file" in capsys.readouterr().err


def test_key_log_of_everybody_becomes_that_of_its_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# before\n", encoding="ascii")
    keys.chmod(0o644)
    assert run(["get", NOWHERE, "--tls-keylog", str(keys)]) == 1  # nobody listens there
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert keys.read_text("ascii") == "# before\n"
    assert f"session keys are written to {keys}: who reads it reads the traffic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("get", "--tls-ca --tls-groups --tls-ciphers --tls-keylog --tls-cert --tls-engine --tls-provider"),
        ("ws", "--tls-ca --tls-groups --tls-ciphers --tls-keylog --tls-cert --tls-name --tls-engine"),
        ("connect", "--tls-ca --tls-groups --tls-ciphers --tls-keylog --tls-cert --tls-name --tls-alpn"),
        ("serve", "--tls-cert --tls-key --tls-client-ca --tls-client-auth --tls-keylog --tls-provider"),
        ("echo", "--tls-cert --tls-key --tls-client-ca --tls-client-auth --tls-ciphers --tls-alpn"),
    ],
)
def test_help_names_the_options(command: str, options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert [option for option in options.split() if option not in text] == []

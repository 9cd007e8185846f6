"""`--tls-provider`: by what the built-in engine computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mungos.cli.engine_choice import PROVIDERS
from mungos.cli.program import run
from mungos.tls.engines.builtin import BUILTIN
from tests.cli.programs import mungos, server
from tests.peers.tls_papers import Papers

NOWHERE = "https://127.0.0.1:1/"
LISTEN = ("serve", ".", "--listen", "https://127.0.0.1:0")
SLOW = b"slow, and not constant in time"


def test_choices_are_those_of_the_engine() -> None:
    assert [provider.name for provider in BUILTIN.availability().providers] == list(PROVIDERS)


def test_both_ends_by_the_pure_provider(site: Path, papers: Papers) -> None:
    served = ("--tls-cert", papers.path("p256.pem"), "--tls-key", papers.path("p256.key"))
    quick = ("--tls-groups", "x25519", "--tls-ciphers", "TLS_CHACHA20_POLY1305_SHA256")
    signing = ("--tls-provider", "pure-with-private-keys")
    with server("serve", site, "--listen", "https://127.0.0.1:0", *served, *quick, *signing) as serving:
        url = serving.url("https") + "hello.txt"
        done = mungos("get", url, "--tls-ca", papers.path("root.pem"), "--tls-provider", "pure")
        usual = mungos("get", url, "--tls-ca", papers.path("root.pem"), "--tls-provider", "cryptography")
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    assert done.stderr.count(SLOW) == 1
    assert b"SlowCryptography" not in done.stderr
    assert (usual.returncode, usual.stdout, usual.stderr) == (0, b"hello\n", b"")


def test_pure_loads_no_private_key_without_a_word(papers: Papers, capsys: pytest.CaptureFixture[str]) -> None:
    served = ("--tls-cert", papers.path("p256.pem"), "--tls-key", papers.path("p256.key"))
    assert run([*LISTEN, *served, "--tls-provider", "pure"]) == 3
    assert "pure-with-private-keys" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("get", NOWHERE), LISTEN], ids=["get", "serve"])
def test_engine_without_providers_exits_with_3(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--tls-engine", "openssl", "--tls-provider", "pure"]) == 3
    seen = capsys.readouterr().err
    assert "openssl: it has one cryptographic provider only, its own" in seen
    assert "slow" not in seen


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", NOWHERE, "--tls-provider", "quantum"), "'cryptography', 'pure', 'pure-with-private-keys'"),
        (("get", "http://127.0.0.1:1/", "--tls-provider", "pure"), "plain text"),
        (("serve", ".", "--tls-provider", "pure"), "of no use"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_wrong_usage_exits_with_2(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    assert says in capsys.readouterr().err


def test_engines_lists_the_providers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["engines"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    for provider in BUILTIN.availability().providers:
        assert provider.version in rows[provider.name]
    assert "yes, default" in rows["cryptography"]
    assert "yes, by name" in rows["pure"]
    assert "private keys" in rows["pure"]
    assert "constant time" in rows["pure-with-private-keys"]

"""A configuration's provider decides whether the engine can be used; none is taken in another's place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mungos
from mungos.errors import Misuse
from mungos.tls.contract import Availability
from mungos.tls.engines import select
from mungos.tls.engines.builtin import BUILTIN
from tests.tls_builtin.conftest import Authority

PURE = ("pure", "pure-with-private-keys")


def test_availability_names_the_providers_and_makes_no_slow_one() -> None:
    # A warning of its choice would be an error here.
    found = BUILTIN.availability()
    assert [provider.name for provider in found.providers] == ["cryptography", *PURE]
    assert all(provider.present and provider.version for provider in found.providers)
    assert found.version == found.providers[0].version
    assert "private keys" in found.providers[1].lacks
    assert "constant time" in found.providers[2].lacks


@pytest.mark.parametrize("engine", ["auto", "builtin"])
@pytest.mark.parametrize("provider", [None, "cryptography", *PURE])
def test_providers_belong_to_the_builtin_engine(engine: str, provider: str | None) -> None:
    assert select(engine, provider).name == "builtin"


def test_engine_without_providers_is_not_taken() -> None:
    with pytest.raises(Misuse, match="openssl: it has one cryptographic provider only, its own"):
        select("openssl", "pure")


@pytest.mark.parametrize("engine", ["auto", "builtin"])
def test_unknown_provider_names_the_known(engine: str) -> None:
    with pytest.raises(Misuse, match=r"'quantum'; known are cryptography, pure, pure-with-private-keys"):
        select(engine, "quantum")


SCRIPT = """
import sys; sys.modules['cryptography'] = None
import warnings; warnings.simplefilter('ignore')
from mungos.errors import Misuse
from mungos.tls import ClientConfig, select
roots = sys.stdin.buffer.read()
for engine in ('builtin', 'auto'):
    select(engine, 'pure').client(ClientConfig(roots=roots, provider='pure'), 'localhost').start(0.0)
assert select('auto').name != 'builtin', select('auto').name
for provider in (None, 'cryptography'):
    try:
        select('builtin', provider)
    except Misuse as error:
        assert 'install mungos[tls]' in str(error), error
    else:
        raise SystemExit('taken in another\\'s place')
"""


def test_pure_works_where_the_library_is_missing_and_only_by_name(authority: Authority) -> None:
    place = {**os.environ, "PYTHONPATH": str(Path(str(mungos.__file__)).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=authority.roots, capture_output=True, check=False, env=place
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_missing_library_leaves_the_others_present(monkeypatch: pytest.MonkeyPatch) -> None:
    from mungos.tls.engines.builtin import factory

    factory._provider.cache_clear()
    monkeypatch.setitem(factory._PROVIDERS, "cryptography", ("mungos.crypto.no_such_module", "Provider"))
    found = BUILTIN.availability()
    factory._provider.cache_clear()
    assert not found.present
    assert [provider.present for provider in found.providers] == [False, True, True]
    assert found.reason == found.providers[0].reason


def test_availability_of_engines_without_a_choice() -> None:
    assert Availability("other", present=True).providers == ()

"""The choice of an engine, and what each says of itself."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import pytest

from mungos import tls
from mungos.errors import Misuse
from mungos.tls.engines.openssl import contexts
from tests.tls.conftest import Authority
from tests.tls.pump import Ours, pump


def test_openssl_is_always_listed() -> None:
    (found,) = (each for each in tls.all_engines() if each.name == "openssl")
    assert found.present
    assert found.version.startswith("OpenSSL")
    assert not found.reason
    assert "early data" in found.lacks


def test_select_by_name_and_auto() -> None:
    assert tls.select("openssl").name == "openssl"
    assert tls.select().name in {each.name for each in tls.all_engines() if each.present}
    assert tls.select("openssl") is tls.select("openssl")


def test_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(Misuse, match="openssl"):
        tls.select("nonesuch")


def test_engine_whose_module_is_missing_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mungos.tls.engines.openssl")
    monkeypatch.setitem(sys.modules, "mungos.tls.engines.openssl.factory", None)
    (found,) = (each for each in tls.all_engines() if each.name == "openssl")
    assert not found.present
    assert found.reason
    with pytest.raises(Misuse, match="openssl"):
        tls.select("openssl")


def test_one_context_for_each_configuration(authority: Authority) -> None:
    config = tls.ClientConfig(roots=authority.pem)
    assert contexts.client_context(config) is contexts.client_context(config)
    assert contexts.client_context(config) is not contexts.client_context(
        tls.ClientConfig(roots=authority.pem)
    )
    server = tls.ServerConfig((authority.credential("localhost"),))
    assert contexts.server_contexts(server) is contexts.server_contexts(server)


def test_contexts_go_with_their_configuration(authority: Authority) -> None:
    config = tls.ClientConfig(roots=authority.pem)
    reference = weakref.ref(contexts.client_context(config))
    del config
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_key_is_left_behind(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_memory: bool
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    if not in_memory:
        monkeypatch.delattr("os.memfd_create", raising=False)
    good = authority.credential("localhost")
    tls.select("openssl").server(tls.ServerConfig((good,)))
    with pytest.raises(Misuse):
        tls.select("openssl").server(tls.ServerConfig((tls.Credential(good.chain, b"junk"),)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "config",
    [
        tls.ClientConfig(suites=("TLS_AES_128_GCM_SHA256",)),
        tls.ClientConfig(groups=("x25519",)),
        tls.ClientConfig(keylog=print),
        tls.ClientConfig(wall=lambda: 0.0),
    ],
)
def test_openssl_refuses_what_it_lacks(config: tls.ClientConfig) -> None:
    with pytest.raises(Misuse, match="openssl"):
        tls.select("openssl").client(config, "localhost")


def test_tickets_only_when_there_are_keys(authority: Authority) -> None:
    engine = tls.select("openssl")
    sizes = []
    for tickets in (None, tls.TicketKeys(count=2)):
        config = tls.ServerConfig((authority.credential("localhost"),), tickets=tickets)
        client, server = (
            Ours(engine.client(tls.ClientConfig(authority.pem), "localhost")),
            Ours(engine.server(config)),
        )
        server.give(client.take())
        server.pull()
        client.give(server.take())
        client.pull()
        server.give(client.take())
        server.pull()
        sizes.append(server.engine.unsent)
        pump(client, server)
        assert client.established
        assert not client.data
    assert sizes[0] == 0
    assert sizes[1] > 0

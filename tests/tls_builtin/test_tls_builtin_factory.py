"""What the factory makes, keeps and refuses."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import pytest

from mungos.crypto.with_cryptography import CryptographyProvider
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import Engine, EngineFactory
from mungos.tls.engines.builtin import BUILTIN, BuiltinFactory
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, factory, meet, pump


def test_it_is_an_engine_factory(client_config: ClientConfig) -> None:
    made: EngineFactory = BUILTIN
    engine: Engine = made.client(client_config, "localhost")
    assert engine.exact_alerts
    assert made.name == "builtin"


def test_availability() -> None:
    found = BUILTIN.availability()
    assert found.present
    assert found.name == "builtin"
    assert found.version
    assert "TLSv1.2" in found.lacks


def test_a_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    from mungos.tls.engines.builtin import factory as module

    module._provider.cache_clear()
    monkeypatch.setitem(module._PROVIDERS, "cryptography", ("mungos.crypto.no_such_module", "Provider"))
    found = BUILTIN.availability()
    module._provider.cache_clear()
    assert not found.present
    assert "install" in found.reason


def test_the_real_sources_of_randomness_and_time(authority: Authority, credential: Credential) -> None:
    client = End(BUILTIN.client(ClientConfig(roots=authority.roots), "localhost"))
    pump(client, End(BUILTIN.server(ServerConfig((credential,)))))
    assert client.established
    first = BUILTIN.client(ClientConfig(roots=authority.roots), "localhost")
    second = BUILTIN.client(ClientConfig(roots=authority.roots), "localhost")
    first.start(0.0)
    second.start(0.0)
    assert first.take(5000) != second.take(5000)


def test_what_follows_from_a_configuration_is_kept_as_long_as_it(authority: Authority) -> None:
    made = BuiltinFactory(os.urandom)
    config = ClientConfig(roots=authority.roots)
    one, two = made.client(config, "localhost"), made.client(config, "other.example")
    assert one._prepared is two._prepared
    assert len(made._clients) == 1
    del config
    gc.collect()
    assert len(made._clients) == 0


def test_sessions_are_freed_without_the_collector(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    import weakref

    class Witness:
        """A thing whose life can be watched; engines can't."""

    client, server = meet(client_config, server_config)
    gc.collect()
    gc.disable()
    try:
        for end in (client, server):
            witness = Witness()
            watched = weakref.ref(witness)
            end.engine._events.append(witness)  # type: ignore[arg-type]
            del witness
            end.engine = None  # type: ignore[assignment]
            assert watched() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", [None, ""])
def test_verification_needs_a_name(client_config: ClientConfig, name: str | None) -> None:
    with pytest.raises(Misuse, match="server_name"):
        BUILTIN.client(client_config, name)


@pytest.mark.parametrize("name", ["a..b", "caf\xe9.example", "x" * 64 + ".example", "1.2.3.4.5.6:7"])
def test_name_that_is_none(client_config: ClientConfig, name: str) -> None:
    with pytest.raises(Misuse):
        BUILTIN.client(client_config, name)


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "::1%lo"])
def test_addresses_are_not_sent(authority: Authority, name: str) -> None:
    config = ServerConfig((authority.credential("127.0.0.1", "::1"),))
    client, server = meet(ClientConfig(roots=authority.roots), config, name=name)
    assert client.established
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.server_name is None


CONFIGURATIONS: list[Callable[[Authority, Credential], ClientConfig | ServerConfig]] = [
    lambda a, c: ClientConfig(roots=a.roots, provider="no such"),
    lambda a, c: ClientConfig(roots=a.roots, suites=("TLS_RSA_WITH_NULL_MD5",)),
    lambda a, c: ClientConfig(roots=a.roots, suites=()),
    lambda a, c: ClientConfig(roots=a.roots, groups=("ffdhe2048",)),
    lambda a, c: ClientConfig(roots=a.roots, groups=()),
    lambda a, c: ClientConfig(roots=a.roots, alpn=("",)),
    lambda a, c: ClientConfig(roots=a.roots, alpn=("\xe9",)),
    lambda a, c: ClientConfig(roots=a.roots, alpn=("x" * 256,)),
    lambda a, c: ClientConfig(roots=b"junk"),
    lambda a, c: ClientConfig(roots=a.roots, credential=Credential(b"junk", b"junk")),
    lambda a, c: ServerConfig(()),
    lambda a, c: ServerConfig((Credential(c.chain, a.credential("x.example").key),)),
    lambda a, c: ServerConfig((Credential(b"-----BEGIN CERTIFICATE-----\nAA", c.key),)),
    lambda a, c: ServerConfig((c,), client_auth="required"),
    lambda a, c: ServerConfig((c,), client_auth="perhaps"),  # type: ignore[arg-type]
    lambda a, c: ServerConfig((c,), minimum_version="SSLv3"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", CONFIGURATIONS)
def test_configuration_that_can_not_work(
    authority: Authority,
    credential: Credential,
    make: Callable[[Authority, Credential], ClientConfig | ServerConfig],
) -> None:
    def build_and_use() -> None:
        config = make(authority, credential)
        if isinstance(config, ClientConfig):
            BUILTIN.client(config, "localhost")
        else:
            BUILTIN.server(config)

    with pytest.raises(Misuse):  # by the configuration, or by the engine
        build_and_use()


def test_same_seed_same_hello(client_config: ClientConfig) -> None:
    hellos = [
        End(
            factory(7).client(ClientConfig(roots=client_config.roots, groups=("x25519",)), "localhost")
        ).take()
    ]
    hellos += [
        End(
            factory(7).client(ClientConfig(roots=client_config.roots, groups=("x25519",)), "localhost")
        ).take()
    ]
    assert hellos[0] == hellos[1]


class Older(CryptographyProvider):
    """A library without the hybrid group and without ChaCha20, as on a frugal machine."""

    def supports(self, feature: str) -> bool:
        return feature not in ("X25519MLKEM768", "CHACHA20-POLY1305") and super().supports(feature)


def test_what_the_provider_lacks_is_not_offered(
    authority: Authority, credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mungos.tls.engines.builtin import factory as module

    monkeypatch.setattr(module, "_provider", lambda name: Older())
    client, server = meet(ClientConfig(roots=authority.roots), ServerConfig((credential,)))
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.group == "x25519"
    prepared = server.engine._prepared
    assert "X25519MLKEM768" not in prepared.groups
    assert [suite.name for suite in prepared.suites] == ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]
    with pytest.raises(Misuse, match="X25519MLKEM768"):
        module.BuiltinFactory().client(
            ClientConfig(roots=authority.roots, groups=("X25519MLKEM768",)), "localhost"
        )


def test_a_peer_without_the_hybrid_needs_no_second_round(
    authority: Authority, credential: Credential
) -> None:
    made = factory()
    client = End(made.client(ClientConfig(roots=authority.roots), "localhost"))
    server = End(made.server(ServerConfig((credential,), groups=("x25519", "secp256r1"))))
    server.give(client.take())
    client.give(server.take())
    client.pull()
    assert client.established

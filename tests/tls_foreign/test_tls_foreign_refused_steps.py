"""A library that refuses one step of a set-up: said at once, by its name, and nothing is left behind."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NoReturn

import pytest

from mungos import tls
from mungos.errors import Misuse
from mungos.tls.engines.mbedtls import callbacks
from tests.tls.conftest import Authority
from tests.tls_foreign.conftest import PIPES
from tests.tls_foreign.planted import Planted, ask_nobody, plant

# The engine, the function, what it returns instead, what is raised, and words of it.
CLIENT = [
    ("wolfssl", "wolfSSL_CTX_new", None, MemoryError, "wolfSSL_CTX_new"),
    ("wolfssl", "wolfSSL_CTX_SetMinVersion", 0, Misuse, "does not take minimum_version"),
    ("wolfssl", "wolfSSL_CTX_set_cipher_list", 0, Misuse, "does not take the suites .*TLS13-AES128"),
    ("wolfssl", "wolfSSL_CTX_set_groups", -173, Misuse, r"does not take groups \(.*x25519.* \(-173\)"),
    ("wolfssl", "wolfSSL_CTX_set_session_cache_mode", 0, Misuse, "a session cache that is off"),
    ("wolfssl", "wolfSSL_new", None, MemoryError, "wolfSSL_new"),
    ("wolfssl", "wolfSSL_UseSNI", -173, Misuse, r"does not take server_name 'localhost': .* \(-173\)"),
    ("wolfssl", "wolfSSL_UseSNI", -125, MemoryError, "does not take server_name 'localhost'"),
    ("wolfssl", "wolfSSL_UseALPN", 0, Misuse, "does not take alpn b'h2,http/1.1'"),
    ("mbedtls", "mbedtls_ssl_config_defaults", -0x7F00, MemoryError, "does not take a configuration"),
    ("mbedtls", "mbedtls_ssl_config_defaults", -0x7100, Misuse, "take a configuration: SSL - Bad input"),
    ("mbedtls", "mbedtls_ssl_conf_alpn_protocols", -0x7100, Misuse, r"take alpn \(b'h2', b'http/1.1'\)"),
    ("mbedtls", "mbedtls_ssl_setup", -0x7F00, MemoryError, "does not take the configuration for a session"),
    ("mbedtls", "mbedtls_ssl_setup", -0x5E80, Misuse, "does not take the configuration for a session"),
    ("mbedtls", "mbedtls_ssl_set_hostname", -0x7F00, MemoryError, "does not take server_name 'localhost'"),
    ("mbedtls", "mbedtls_ssl_set_hostname", -0x7100, Misuse, "does not take server_name 'localhost'"),
]

SERVER = [
    ("wolfssl", "wolfSSL_CTX_no_ticket_TLSv13", -173, Misuse, r"does not take no tickets: .* \(-173\)"),
    ("wolfssl", "wolfSSL_CTX_NoTicketTLSv12", -173, Misuse, r"does not take no tickets: .* \(-173\)"),
    ("wolfssl", "wolfSSL_CTX_use_certificate_chain_buffer", -4, Misuse, "does not take the credential"),
    ("wolfssl", "wolfSSL_CTX_use_PrivateKey_buffer", -4, Misuse, "does not take the credential"),
    ("wolfssl", "wolfSSL_CTX_use_PrivateKey_buffer", -125, MemoryError, "does not take the credential"),
    ("wolfssl", "wolfSSL_CTX_check_private_key", 0, Misuse, "does not take the credential .*unencrypted key"),
    ("mbedtls", "mbedtls_x509_crt_parse", 1, Misuse, "take the credential .*: 1 certificates can't be read"),
    ("mbedtls", "mbedtls_x509_crt_parse", -0x2880, MemoryError, "does not take the credential"),
    ("mbedtls", "mbedtls_pk_parse_key", -0x3D00, Misuse, "take the credential .*unencrypted key of"),
    ("mbedtls", "mbedtls_pk_parse_key", -0x3F80, MemoryError, "does not take the credential"),
    ("mbedtls", "mbedtls_ssl_conf_own_cert", -0x7F00, MemoryError, "does not take the credential"),
    ("mbedtls", "mbedtls_ssl_conf_own_cert", -0x7100, Misuse, "does not take the credential"),
]

SEALING = [
    ("wolfssl", "wolfSSL_CTX_set_num_tickets", 0, Misuse, "does not take tickets"),
    ("wolfssl", "wolfSSL_CTX_set_TicketHint", -173, Misuse, "does not take tickets"),
    ("mbedtls", "mbedtls_ssl_ticket_setup", -0x7100, Misuse, "does not take tickets"),
]

STEP = ("name", "function", "result", "kind", "words")


def refused(planted: Planted, make: Callable[[], object], kind: type[Exception], words: str) -> None:
    """With this error, and nothing is left of what was made before it."""
    gc.collect()
    before = {name: len(pipes) for name, pipes in PIPES.items()}
    with pytest.raises(kind, match=words) as caught:
        make()
    assert type(caught.value) is kind
    del caught
    gc.collect()
    assert not planted.alive, "made, and not freed"
    assert {name: len(pipes) for name, pipes in PIPES.items()} == before


@pytest.mark.parametrize(STEP, CLIENT)
def test_a_client_that_the_library_refuses(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    function: str,
    result: object,
    kind: type[Exception],
    words: str,
) -> None:
    planted = plant(name, monkeypatch)
    planted.fails(function, result)

    def make() -> None:
        tls.select(name).client(tls.ClientConfig(alpn=("h2", "http/1.1"), verify=False), "localhost")

    refused(planted, make, kind, words)
    assert planted.called[function] == 1


@pytest.mark.parametrize(STEP, SERVER)
def test_a_server_that_the_library_refuses(
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority,
    name: str,
    function: str,
    result: object,
    kind: type[Exception],
    words: str,
) -> None:
    planted = plant(name, monkeypatch)
    planted.fails(function, result)
    config = tls.ServerConfig((authority.credential("localhost"),))
    refused(planted, lambda: tls.select(name).server(config), kind, words)
    assert planted.called[function] == 1


@pytest.mark.parametrize(STEP, SEALING)
def test_tickets_that_the_library_refuses(
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority,
    name: str,
    function: str,
    result: object,
    kind: type[Exception],
    words: str,
) -> None:
    planted = plant(name, monkeypatch)
    planted.fails(function, result)
    config = tls.ServerConfig((authority.credential("localhost"),), tickets=tls.TicketKeys())
    refused(planted, lambda: tls.select(name).server(config), kind, words)


def test_what_is_made_in_peace_is_freed_once(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory, authority: Authority
) -> None:
    """The count itself: it sees what the tests above say is not there."""
    planted = plant(engine.name, monkeypatch)
    config = tls.ServerConfig((authority.credential("localhost"),), tickets=tls.TicketKeys())
    client = engine.client(tls.ClientConfig(authority.pem), "localhost")
    server = engine.server(config)
    gc.collect()
    assert planted.alive
    client.release()
    server.release()
    del client, server, config
    gc.collect()
    assert not planted.alive


def test_no_credential_that_no_peer_can_check(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory, authority: Authority
) -> None:
    """A trial handshake in which the library shows its certificate to nobody proves nothing."""
    planted = plant(engine.name, monkeypatch)
    ask_nobody(planted)
    config = tls.ServerConfig((authority.credential("localhost"),))
    words = "no handshake succeeds with it: .* without asking who the peer is"
    refused(planted, lambda: engine.server(config), Misuse, words)


class Stopped(BaseException):
    pass


def stop(size: int) -> NoReturn:
    raise Stopped


def test_what_is_raised_for_randomness_in_a_set_up_comes_out(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    """Ticket keys are random: an exception there is that of the set-up, and of nothing that comes later."""
    planted = plant("mbedtls", monkeypatch)
    factory = tls.select("mbedtls")
    config = tls.ServerConfig((authority.credential("localhost"),), tickets=tls.TicketKeys())
    with monkeypatch.context() as patched:
        patched.setattr(callbacks, "random_bytes", stop)
        with pytest.raises(Stopped):
            factory.server(config)
    gc.collect()
    assert not planted.alive
    factory.server(config).release()
    factory.client(tls.ClientConfig(authority.pem), "localhost").start(0.0)

"""A library that fails, or misbehaves, in the middle of a session: a verdict, and no byte that it does not
vouch for."""

from __future__ import annotations

import ctypes
import gc
import hmac
import os
import ssl
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mungos import tls
from mungos.errors import Broken, Malformed, PeerIncompatible, PeerMisbehaved
from mungos.tls.engines.foreign.outbox import Outbox
from mungos.tls.engines.foreign.session import LibrarySession
from mungos.tls.engines.mbedtls import callbacks as mbedtls_callbacks
from mungos.tls.engines.mbedtls import library as mbedtls_library
from mungos.tls.engines.mbedtls.contexts import client_context as mbedtls_context
from mungos.tls.engines.mbedtls.session import MbedTLSSession
from mungos.tls.engines.wolfssl import callbacks as wolfssl_callbacks
from mungos.tls.engines.wolfssl.contexts import client_context as wolfssl_context
from mungos.tls.engines.wolfssl.session import WolfSSLSession
from tests.tls.conftest import Authority, foreign_context
from tests.tls.pump import Foreign, Ours, pump, records
from tests.tls_foreign.conftest import PIPES, needed
from tests.tls_foreign.planted import Planted, ask_nobody, plant

Alert = tls.AlertDescription


def ends(engine: tls.EngineFactory, authority: Authority, **client: Any) -> tuple[Ours, Ours]:
    asking = tls.ClientConfig(authority.pem, **client)
    showing = tls.ServerConfig((authority.credential("localhost"),))
    return Ours(engine.client(asking, "localhost")), Ours(engine.server(showing))


def only_failure(end: Ours) -> tls.Failed:
    (failed,) = end.failures
    assert end.events[-1] is failed
    assert end.reads() is tls.ReadSide.FAILED
    return failed


# Who the peer is


@pytest.mark.parametrize("verify", [True, False])
def test_a_server_that_nobody_asked_about(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory, authority: Authority, verify: bool
) -> None:
    """A library that does not call back has checked nobody: the client takes no data from the server, nor
    gives it any."""
    showing = tls.ServerConfig((authority.credential("localhost"),))
    server = Ours(engine.server(showing))
    planted = plant(engine.name, monkeypatch)
    ask_nobody(planted)
    client = Ours(
        engine.client(tls.ClientConfig(authority.pem if verify else None, verify=verify), "localhost")
    )
    pump(client, server)
    failed = only_failure(client)
    assert isinstance(failed.error, Broken)
    assert "finished the handshake without asking who the peer is" in str(failed.error)
    assert not client.established
    assert client.engine.write((b"secret",)) == 0
    client.engine.release()
    server.engine.release()
    gc.collect()
    assert not [made for made in planted.alive if made[0] in ("wolfSSL_new", "mbedtls_ssl_init")]


def test_a_client_that_nobody_asked_about(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory, authority: Authority
) -> None:
    """A server that requires a certificate, over a library that asks for none."""
    showing = tls.ServerConfig(
        (authority.credential("localhost"),), client_auth="required", client_roots=authority.pem
    )
    planted = plant(engine.name, monkeypatch)
    config_of = {"mbedtls": "mbedtls_ssl_conf_authmode", "wolfssl": "wolfSSL_CTX_set_verify"}[engine.name]
    ask_nobody(planted)
    fault = planted.faults.pop(config_of)
    calls = [0]

    def only_the_servers(real: Any, *arguments: Any) -> Any:
        calls[0] += 1
        return fault(real, *arguments) if calls[0] == 1 else real(*arguments)

    planted.faults[config_of] = only_the_servers  # not the two of the trial handshake
    server = Ours(engine.server(showing))
    client = Ours(engine.client(tls.ClientConfig(authority.pem), "localhost"))
    pump(client, server)
    failed = only_failure(server)
    assert isinstance(failed.error, Broken)
    assert "finished the handshake without asking who the peer is" in str(failed.error)
    assert not server.established
    client.engine.release()
    server.engine.release()


def test_a_chain_the_wrong_way_round(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    """wolfSSL's list of what the peer sent has stood both ways round."""
    planted = plant("wolfssl", monkeypatch)
    child = authority.ca.create_child_ca()
    leaf = child.issue_cert("localhost")
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    factory = tls.select("wolfssl")
    showing = tls.ServerConfig((tls.Credential(chain, leaf.private_key_pem.bytes()),))
    shown = []
    for backwards in (False, True):
        if backwards:

            def value(real: Any, stack: int, at: int) -> Any:
                return real(stack, planted.real.wolfSSL_sk_X509_num(stack) - 1 - at)

            planted.faults["wolfSSL_sk_X509_value"] = value
        client = Ours(factory.client(tls.ClientConfig(authority.pem), "localhost"))
        server = Ours(factory.server(showing))
        pump(client, server)
        assert client.established
        assert client.engine.negotiated is not None
        shown.append(client.engine.negotiated.peer_chain)
        client.engine.release()
        server.engine.release()
    assert shown[0] == shown[1]
    assert len(shown[0]) == 2


def test_no_client_certificate_under_tls_1_2(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5246 section 7.4.6: handshake_failure, whose name in TLS 1.3 is certificate_required; version 3 of
    Mbed TLS has one error for both."""
    plant("mbedtls", monkeypatch)
    showing = tls.ServerConfig(
        (authority.credential("localhost"),), client_auth="required", client_roots=authority.pem
    )
    server = Ours(tls.select("mbedtls").server(showing))
    mbedtls_library.mbedtls().speaks_13 = True
    client = Foreign(foreign_context(False, authority, "TLSv1.2"), server=False, server_name="localhost")
    pump(client, server)
    failed = only_failure(server)
    assert isinstance(failed.error, PeerIncompatible)
    assert failed.alert is Alert.handshake_failure
    assert client.saw_alert("handshake failure")


# Errors of the library


def test_a_library_that_can_not_encrypt(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory, authority: Authority
) -> None:
    planted = plant(engine.name, monkeypatch)
    client, server = ends(engine, authority)
    pump(client, server)
    planted.fails("mbedtls_ssl_write", -0x6C00, times=1)
    planted.fails("wolfSSL_write", -1, times=1)
    planted.fails("wolfSSL_get_error", -308, times=1)
    assert client.engine.write((b"x" * 1000,)) == 0
    client.pull()
    failed = only_failure(client)
    assert isinstance(failed.error, Broken)
    assert "TLS failed" in str(failed.error)
    assert failed.error is client.engine.ending.error  # type: ignore[union-attr]
    assert not failed.sent_by_peer
    assert client.engine.write((b"more",)) == 0
    server.give(client.take())
    server.pull()
    assert not server.data
    client.engine.release()
    server.engine.release()


class Stopped(BaseException):
    pass


def stop(size: int) -> NoReturn:
    raise Stopped


def test_what_is_raised_for_randomness_comes_out(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    """Of the session that asked for it, and never of a later one."""
    factory = needed("mbedtls")
    config = tls.ClientConfig(authority.pem)
    subject = factory.client(config, "localhost")
    with monkeypatch.context() as patched:
        patched.setattr(mbedtls_callbacks, "random_bytes", stop)
        with pytest.raises(Stopped):
            subject.start(0.0)
    assert not subject.take(100)
    subject.release()
    again = factory.client(config, "localhost")
    again.start(0.0)
    assert again.unsent
    again.release()


def test_an_alert_of_no_known_number(engine: tls.EngineFactory, authority: Authority) -> None:
    """RFC 8446 section 6: unknown alert types are error alerts."""
    client, server = ends(engine, authority)
    client.take()
    client.give(bytes((21, 3, 3, 0, 2, 2, 200)))
    client.pull()
    failed = only_failure(client)
    assert isinstance(failed.error, PeerMisbehaved)
    assert str(failed.error) == "the peer ended the session with the unknown alert 200"
    assert failed.alert is None
    assert failed.sent_by_peer
    assert client.take() == b""
    client.engine.release()
    server.engine.release()


def client_record(keylog: Path, hellos: tuple[bytes, bytes], kind: int, content: bytes) -> bytes:
    """The first record under the client's keys: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (RFC 5246 sections 5,
    6.2.3.3 and 6.3, RFC 5288 section 3)."""
    (line,) = (line for line in keylog.read_text().splitlines() if line.startswith("CLIENT_RANDOM"))
    secret = bytes.fromhex(line.split()[2])
    client_random, server_random = (hello[11:43] for hello in hellos)
    seed = step = b"key expansion" + server_random + client_random
    block = b""
    while len(block) < 40:
        step = hmac.digest(secret, step, "sha256")
        block += hmac.digest(secret, step + seed, "sha256")
    explicit = bytes(8)
    bound = bytes(8) + bytes((kind, 3, 3)) + len(content).to_bytes(2, "big")
    sealed = explicit + AESGCM(block[:16]).encrypt(block[32:36] + explicit, content, bound)
    return bytes((kind, 3, 3)) + len(sealed).to_bytes(2, "big") + sealed


def test_close_notify_under_keys_in_place_of_finished(
    engine: tls.EngineFactory, authority: Authority, tmp_path: Path
) -> None:
    """TLS 1.2: the client changes its cipher, and closes. The library alone can read that."""
    context = foreign_context(False, authority, "TLSv1.2")
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    context.keylog_filename = str(tmp_path / "keylog")
    client = Foreign(context, server=False, server_name="localhost")
    server = Ours(engine.server(tls.ServerConfig((authority.credential("localhost"),))))
    hello = client.take()
    server.give(hello)
    server.pull()
    answer = server.take()
    client.give(answer)
    client.pull()
    *flight, _finished = records(client.take())
    assert flight[-1] == b"\x14\x03\x03\x00\x01\x01"
    closing = bytes((1, Alert.close_notify))
    server.give(b"".join(flight) + client_record(tmp_path / "keylog", (hello, answer), 21, closing))
    server.pull()
    failed = only_failure(server)
    assert isinstance(failed.error, Broken)
    assert str(failed.error) == "the peer closed the session before the handshake was complete"
    assert failed.alert is Alert.close_notify
    assert failed.sent_by_peer
    assert not server.established
    server.engine.release()


# What only TLS 1.3 has, with a library that says of its session that it is one


def as_if_1_3(planted: Planted) -> None:
    planted.fails("mbedtls_ssl_get_version", b"TLSv1.3")
    mbedtls_library.mbedtls().speaks_13 = True


@pytest.mark.parametrize(("size", "refused"), [(16640, False), (16641, True)])
def test_rfc8446_5_2_a_record_that_is_too_long(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, size: int, refused: bool
) -> None:
    """TLS 1.3 allows 256 bytes beyond the plaintext, TLS 1.2 2,048: Mbed TLS knows the latter limit only."""
    planted = plant("mbedtls", monkeypatch)
    client, server = ends(tls.select("mbedtls"), authority)
    pump(client, server)
    as_if_1_3(planted)
    server.give(b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size))
    server.pull()
    failed = only_failure(server)
    if refused:
        assert isinstance(failed.error, Malformed)
        assert str(failed.error) == f"a record of {5 + size} bytes (limit 16645 bytes)"
        assert failed.alert is Alert.record_overflow
    else:
        assert failed.alert is Alert.bad_record_mac
    client.give(server.take())
    client.pull()
    assert only_failure(client).alert is failed.alert
    client.engine.release()
    server.engine.release()


def test_a_ticket_is_not_what_was_asked_for(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    """Version 3 of Mbed TLS says so; the data behind it is still to come."""
    planted = plant("mbedtls", monkeypatch)
    client, server = ends(tls.select("mbedtls"), authority)
    pump(client, server)
    as_if_1_3(planted)
    planted.fails("mbedtls_ssl_read", -0x7B00, times=2)
    server.write(b"behind two tickets")
    client.give(server.take())
    client.pull()
    assert client.data == b"behind two tickets"
    assert not client.failures
    client.engine.release()
    server.engine.release()


# Tickets


@pytest.mark.parametrize("count", [0, 2])
def test_a_client_comes_back_with_its_ticket(
    engine: tls.EngineFactory, authority: Authority, count: int
) -> None:
    """TLS 1.2 with `ssl`, which says whether its session was taken up again."""
    config = tls.ServerConfig((authority.credential("localhost"),), tickets=tls.TicketKeys(count=count))
    context = foreign_context(False, authority, "TLSv1.2")
    kept: ssl.SSLSession | None = None
    resumed = []
    for _ in range(2):
        server = Ours(engine.server(config))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost", session=kept)
        for _ in range(4):
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                server.give(outgoing.read())
                server.pull()
                incoming.write(server.take())
        server.give(outgoing.read())
        server.pull()
        assert server.established
        kept = client.session
        resumed.append(client.session_reused)
        server.engine.release()
    assert resumed == [False, count > 0]


# After the end


def test_nothing_reaches_the_library_after_free(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory
) -> None:
    """Freed memory would be used: a session answers by itself, whoever still holds it."""
    planted = plant(engine.name, monkeypatch)
    config = tls.ClientConfig(verify=False)
    session: LibrarySession
    if engine.name == "wolfssl":
        shared = wolfssl_context(planted, config)  # type: ignore[arg-type]
        session = WolfSSLSession(
            planted,  # type: ignore[arg-type]
            shared.context,
            Outbox(),
            server=False,
            judge=None,
            must_show=True,
        )
    else:
        library = mbedtls_library.mbedtls()
        context = mbedtls_context(library, config).context
        session = MbedTLSSession(library, context, Outbox(), server=False, judge=None, must_show=True)
    session.free()
    session.free()
    planted.called.clear()
    assert not session.handshake()
    assert session.decrypt(1000) is None
    assert session.encrypt(b"data") == 0
    assert not session.alert(Alert.internal_error)
    session.close_notify()
    assert not planted.called


def test_what_a_fork_copied_is_not_freed_in_the_child(
    monkeypatch: pytest.MonkeyPatch, engine: tls.EngineFactory
) -> None:
    planted = plant(engine.name, monkeypatch)
    config = tls.ClientConfig(verify=False)
    subject = engine.client(config, "localhost")
    made = planted.alive.copy()
    gc.collect()
    registered = len(PIPES[engine.name])
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        subject.release()
        del subject, config
        gc.collect()
    assert planted.alive == made
    assert len(PIPES[engine.name]) == registered - 1


def test_callbacks_of_a_session_that_is_gone() -> None:
    """They get errors, and touch nothing."""
    nobody = 1 << 40
    buffer = ctypes.create_string_buffer(b"untouched")
    place = ctypes.addressof(buffer)
    assert wolfssl_callbacks.receive(nobody, place, 9, None) < 0
    assert wolfssl_callbacks.send(nobody, place, 9, None) < 0
    assert mbedtls_callbacks.receive(nobody, place, 9) < 0
    assert mbedtls_callbacks.send(nobody, place, 9) < 0
    flags = ctypes.c_uint32(8)
    mbedtls_callbacks.check_certificate(nobody, None, 0, ctypes.byref(flags))
    assert flags.value == 0x0200
    assert buffer.raw == b"untouched\0"

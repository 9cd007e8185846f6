"""Against OpenSSL, by way of `ssl`: every suite and group that it can be made to speak, in both roles."""

from __future__ import annotations

import ssl

import pytest

from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.contract import PeerClosed, ReadSide, WriteSide
from mungos.tls.sessions import SessionCache, TicketKeys
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import End, ForeignEnd, factory, pump

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
CURVES = {"x25519": "X25519", "secp256r1": "prime256v1", "secp384r1": "secp384r1"}
CHUNKS = [0, 1, 7]


def server_context(authority: Authority, credential: str = "ECDSA", curve: str = "") -> ssl.SSLContext:
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    leaf = authority.ca.issue_cert("localhost", key_type=trustme.KeyType[credential])
    leaf.configure_cert(context)
    if curve and curve.lower() != "x25519":  # OpenSSL's own first choice; some Pythons can't name it
        context.set_ecdh_curve(curve)
    return context


def client_context(authority: Authority, curve: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    authority.ca.configure_trust(context)
    if curve and curve.lower() != "x25519":  # OpenSSL's own first choice; some Pythons can't name it
        context.set_ecdh_curve(curve)
    return context


def exchange(ours: End, foreign: ForeignEnd, chunk: int = 0) -> None:
    """Data both ways, then our close, then theirs."""
    pump(ours, foreign, chunk)
    assert ours.established, ours.events
    assert foreign.established, foreign.error
    sent = bytes(range(256)) * 150
    assert ours.engine.write([sent[:1], sent[1:20_000], b"", sent[20_000:]]) == len(sent)
    foreign.session.write(sent)
    pump(ours, foreign, chunk)
    assert ours.data == foreign.data == sent
    ours.engine.close_write()
    pump(ours, foreign)
    assert foreign.closed
    foreign.session.write(b"after your end")
    foreign.close()
    pump(ours, foreign)
    assert ours.data.endswith(b"after your end")
    assert isinstance(ours.events[-1], PeerClosed)
    assert ours.engine.read_side is ReadSide.ENDED
    assert ours.engine.write_side is WriteSide.ENDED


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("group", CURVES)
def test_our_client(authority: Authority, suite: str, group: str) -> None:
    config = ClientConfig(roots=authority.roots, suites=(suite,), groups=(group,))
    client = End(factory().client(config, "localhost"))
    foreign = ForeignEnd(server_context(authority))
    exchange(client, foreign)
    negotiated = client.engine.negotiated
    assert negotiated is not None
    assert (negotiated.suite, negotiated.group) == (suite, group)
    assert foreign.session.cipher()[0] == suite  # type: ignore[index]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("group", CURVES)
def test_our_server(authority: Authority, credential: Credential, suite: str, group: str) -> None:
    server = End(factory().server(ServerConfig((credential,), suites=(suite,), groups=(group,))))
    foreign = ForeignEnd(client_context(authority, CURVES[group]), "localhost")
    exchange(server, foreign)
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.group == group
    assert server.engine.negotiated.server_name == "localhost"


@pytest.mark.parametrize("chunk", CHUNKS)
def test_t05_t36_in_small_pieces(authority: Authority, credential: Credential, chunk: int) -> None:
    client = End(factory().client(ClientConfig(roots=authority.roots), "localhost"))
    exchange(client, ForeignEnd(server_context(authority)), chunk)
    server = End(factory().server(ServerConfig((credential,))))
    exchange(server, ForeignEnd(client_context(authority), "localhost"), chunk)


@pytest.mark.parametrize("cookie", [False, True])
def test_hello_retry_request_from_our_server(
    authority: Authority, credential: Credential, cookie: bool
) -> None:
    # OpenSSL sends a share for X25519 alone, and speaks secp384r1.
    config = ServerConfig((credential,), groups=("secp384r1",), retry_cookie=cookie)
    server = End(factory().server(config))
    foreign = ForeignEnd(client_context(authority), "localhost")
    exchange(server, foreign)
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.group == "secp384r1"


@pytest.mark.parametrize("suite", SUITES)
def test_hello_retry_request_to_our_client(authority: Authority, suite: str) -> None:
    config = ClientConfig(roots=authority.roots, suites=(suite,))
    client = End(factory().client(config, "localhost"))
    exchange(client, ForeignEnd(server_context(authority, curve="secp384r1")))
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.group == "secp384r1"


@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_certificates_of_both_kinds(authority: Authority, kind: str, rsa_credential: Credential) -> None:
    client = End(factory().client(ClientConfig(roots=authority.roots), "localhost"))
    exchange(client, ForeignEnd(server_context(authority, kind)))
    server = End(factory().server(ServerConfig((rsa_credential,))))
    exchange(server, ForeignEnd(client_context(authority), "localhost"))
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.scheme == "rsa_pss_rsae_sha256"


def test_alpn(authority: Authority, credential: Credential) -> None:
    context = server_context(authority)
    context.set_alpn_protocols(["http/1.1"])
    config = ClientConfig(roots=authority.roots, alpn=("mqtt", "http/1.1"))
    client = End(factory().client(config, "localhost"))
    foreign = ForeignEnd(context)
    exchange(client, foreign)
    assert client.engine.negotiated is not None
    assert client.engine.negotiated.alpn == foreign.session.selected_alpn_protocol() == "http/1.1"
    context = client_context(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = End(factory().server(ServerConfig((credential,), alpn=("http/1.1", "mqtt"))))
    foreign = ForeignEnd(context, "localhost")
    exchange(server, foreign)
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.alpn == foreign.session.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("show", [True, False])
def test_client_certificates_of_both_roles(
    authority: Authority, credential: Credential, client_credential: Credential, show: bool
) -> None:
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED if show else ssl.CERT_OPTIONAL
    authority.ca.configure_trust(context)
    config = ClientConfig(roots=authority.roots, credential=client_credential if show else None)
    client = End(factory().client(config, "localhost"))
    foreign = ForeignEnd(context)
    exchange(client, foreign)
    assert (foreign.session.getpeercert(True) is not None) is show
    context = client_context(authority)
    if show:
        authority.ca.issue_cert("other@example.org").configure_cert(context)
    auth = "required" if show else "optional"
    server = End(
        factory().server(
            ServerConfig((credential,), client_roots=authority.roots, client_auth=auth)  # type: ignore[arg-type]
        )
    )
    exchange(server, ForeignEnd(context, "localhost"))
    assert server.engine.negotiated is not None
    assert bool(server.engine.negotiated.peer_chain) is show


def test_t23_no_certificate_where_one_is_required(authority: Authority, credential: Credential) -> None:
    config = ServerConfig((credential,), client_roots=authority.roots, client_auth="required")
    server = End(factory().server(config))
    foreign = ForeignEnd(client_context(authority), "localhost")
    pump(server, foreign)
    assert server.failure.alert is not None
    assert server.failure.alert.name == "certificate_required"
    assert foreign.established  # the client thinks so, until it reads
    assert "certificate required" in str(foreign.error)


@pytest.mark.parametrize("suite", SUITES)
def test_resumption_by_our_client(authority: Authority, suite: str) -> None:
    context = server_context(authority)
    config = ClientConfig(roots=authority.roots, sessions=SessionCache(), suites=(suite,))
    resumed = []
    for seed in range(3):
        client = End(factory(seed).client(config, "localhost"))
        foreign = ForeignEnd(context)
        exchange(client, foreign)
        assert client.engine.negotiated is not None
        assert client.engine.negotiated.peer_chain
        assert foreign.session.session_reused is client.engine.negotiated.resumed
        resumed.append(client.engine.negotiated.resumed)
    assert resumed == [False, True, True]


@pytest.mark.parametrize("suite", SUITES)
def test_resumption_at_our_server(authority: Authority, credential: Credential, suite: str) -> None:
    context = client_context(authority)
    config = ServerConfig((credential,), tickets=TicketKeys(), suites=(suite,))
    session = None
    for expected in (False, True, True):
        server = End(factory().server(config))
        foreign = ForeignEnd(context, "localhost")
        if session is not None:
            foreign = resuming(context, session)
        pump(server, foreign)
        assert server.engine.negotiated is not None
        assert server.engine.negotiated.resumed is foreign.session.session_reused is expected
        session = foreign.session.session
        exchange(server, foreign)


def resuming(context: ssl.SSLContext, session: ssl.SSLSession) -> ForeignEnd:
    """A client of `ssl` that offers a session."""
    foreign = ForeignEnd.__new__(ForeignEnd)
    foreign._in, foreign._out = ssl.MemoryBIO(), ssl.MemoryBIO()
    foreign.session = context.wrap_bio(
        foreign._in, foreign._out, server_hostname="localhost", session=session
    )
    foreign.data = bytearray()
    foreign.established = foreign.closed = False
    foreign.error = None
    foreign.pull()
    return foreign


def test_resumption_through_a_hello_retry_request(authority: Authority, credential: Credential) -> None:
    context = server_context(authority, curve="secp384r1")
    config = ClientConfig(roots=authority.roots, sessions=SessionCache())
    for expected in (False, True):
        client = End(factory().client(config, "localhost"))
        exchange(client, ForeignEnd(context))
        assert client.engine.negotiated is not None
        assert client.engine.negotiated.resumed is expected
    foreign_context = client_context(authority)
    server_config = ServerConfig((credential,), tickets=TicketKeys(), groups=("secp384r1",))
    server = End(factory().server(server_config))
    foreign = ForeignEnd(foreign_context, "localhost")
    exchange(server, foreign)
    session = foreign.session.session
    assert session is not None
    server = End(factory().server(server_config))
    exchange(server, resuming(foreign_context, session))
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.resumed


def test_key_update_is_read_by_openssl(authority: Authority) -> None:
    client = End(factory().client(ClientConfig(roots=authority.roots), "localhost"))
    foreign = ForeignEnd(server_context(authority))
    pump(client, foreign)
    for requested in (True, False, True):
        client.engine.update_keys(requested=requested)
        client.engine.write([b"x"])
        pump(client, foreign)
        foreign.session.write(b"y")
        pump(client, foreign)
    assert bytes(foreign.data) == b"xxx"
    assert bytes(client.data) == b"yyy"


def test_peer_of_tls_1_2_is_told_which_engine_speaks_it(authority: Authority, credential: Credential) -> None:
    context = server_context(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = End(factory().client(ClientConfig(roots=authority.roots), "localhost"))
    foreign = ForeignEnd(context)
    pump(client, foreign)
    assert client.failed
    context = client_context(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = End(factory().server(ServerConfig((credential,))))
    foreign = ForeignEnd(context, "localhost")
    pump(server, foreign)
    assert server.failure.alert is not None
    assert server.failure.alert.name == "protocol_version"
    assert "openssl" in str(server.failure.error)
    assert "protocol version" in str(foreign.error)

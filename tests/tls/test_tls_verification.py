"""Who the peer is: names, issuers, dates, client certificates, the choice of a credential, ALPN."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable

import pytest
from cryptography import x509

from mungos import tls
from mungos.errors import Misuse, PeerIncompatible, PeerMisbehaved
from mungos.tls.engines.foreign.verdicts import plain_alert
from tests.tls.conftest import Authority, credential, foreign_context
from tests.tls.pump import Foreign, Ours, pump

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
TOMORROW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


def meet(
    engine: tls.EngineFactory,
    client: tls.ClientConfig,
    server: tls.ServerConfig,
    name: str | None = "localhost",
) -> tuple[Ours, Ours]:
    ends = Ours(engine.client(client, name)), Ours(engine.server(server))
    pump(*ends)
    return ends


def assert_refused(
    engine: tls.EngineFactory,
    authority: Authority,
    leaf: ssl.SSLContext,
    name: str,
    alert: tls.AlertDescription,
) -> None:
    """Our client refuses, the foreign server is told why, and our verdict names the same alert."""
    client = Ours(engine.client(tls.ClientConfig(roots=authority.pem), name))
    server = Foreign(leaf, server=True)
    pump(client, server)
    assert not client.established
    (failed,) = client.failures
    assert isinstance(failed.error, PeerMisbehaved)
    assert failed.alert is alert
    assert not failed.sent_by_peer
    assert server.saw_alert(alert.name.replace("_", " "))


def test_t22_wrong_name(engine: tls.EngineFactory, authority: Authority, version: str) -> None:
    context = foreign_context(True, authority, version)
    assert_refused(engine, authority, context, "elsewhere.example", tls.AlertDescription.bad_certificate)


def test_t22_wrong_address(engine: tls.EngineFactory, authority: Authority, version: str) -> None:
    context = foreign_context(True, authority, version, ("127.0.0.1",))
    assert_refused(engine, authority, context, "127.0.0.2", tls.AlertDescription.bad_certificate)


def test_t22_unknown_issuer(
    engine: tls.EngineFactory, authority: Authority, stranger: Authority, version: str
) -> None:
    context = foreign_context(True, stranger, version)
    assert_refused(engine, authority, context, "localhost", tls.AlertDescription.unknown_ca)


def test_t22_expired(engine: tls.EngineFactory, authority: Authority, version: str) -> None:
    context = foreign_context(True, authority, version)
    authority.ca.issue_cert("localhost", not_after=YESTERDAY).configure_cert(context)
    assert_refused(engine, authority, context, "localhost", tls.AlertDescription.certificate_expired)


def test_t22_not_yet_valid(engine: tls.EngineFactory, authority: Authority, version: str) -> None:
    context = foreign_context(True, authority, version)
    leaf = authority.ca.issue_cert("localhost", not_before=TOMORROW)
    leaf.configure_cert(context)
    # RFC 8446 section 6.2: certificate_expired is for one that "is not currently valid"; OpenSSL differs.
    alert = {"openssl": tls.AlertDescription.bad_certificate}.get(
        engine.name, tls.AlertDescription.certificate_expired
    )
    assert_refused(engine, authority, context, "localhost", alert)


def test_t22_our_server_hears_why(
    engine: tls.EngineFactory, authority: Authority, stranger: Authority, version: str
) -> None:
    server = Ours(engine.server(tls.ServerConfig((stranger.credential("localhost"),))))
    client = Foreign(foreign_context(False, authority, version), server=False, server_name="localhost")
    pump(client, server)
    (failed,) = server.failures
    assert failed.sent_by_peer
    assert failed.alert is tls.AlertDescription.unknown_ca


def test_common_name_does_not_count(engine: tls.EngineFactory, authority: Authority) -> None:
    leaf = authority.ca.issue_cert("other.example", common_name="localhost")
    client, _ = meet(engine, tls.ClientConfig(roots=authority.pem), tls.ServerConfig((credential(leaf),)))
    assert client.failures


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "::1%lo", "0:0:0:0:0:0:0:1"])
def test_address_in_the_certificate(engine: tls.EngineFactory, authority: Authority, name: str) -> None:
    config = tls.ServerConfig((authority.credential("127.0.0.1", "::1"),))
    client, server = meet(engine, tls.ClientConfig(roots=authority.pem), config, name)
    assert client.established
    # RFC 6066 section 3: literal addresses are not sent.
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.server_name is None


@pytest.mark.parametrize("name", ["a.wild.example", "A.Wild.Example", "a.wild.example."])
def test_wildcard_covers_one_label(engine: tls.EngineFactory, authority: Authority, name: str) -> None:
    config = tls.ServerConfig((authority.credential("*.wild.example"),))
    client, _ = meet(engine, tls.ClientConfig(roots=authority.pem), config, name)
    assert client.established
    client, _ = meet(engine, tls.ClientConfig(roots=authority.pem), config, "a.b.wild.example")
    assert client.failures


def test_no_roots_means_those_of_the_system(
    engine: tls.EngineFactory, server_config: tls.ServerConfig
) -> None:
    client, server = meet(engine, tls.ClientConfig(), server_config)
    assert client.failures
    assert server.failures[0].sent_by_peer


def test_verification_off_accepts_anything(engine: tls.EngineFactory, stranger: Authority) -> None:
    config = tls.ServerConfig((stranger.credential("other.example"),))
    for name in ("localhost", None):
        client, server = meet(engine, tls.ClientConfig(verify=False), config, name)
        assert client.established
        assert client.engine.negotiated is not None
        assert client.engine.negotiated.peer_chain
        assert server.engine.negotiated is not None
        assert server.engine.negotiated.server_name == name


def test_a_leaf_given_as_root_is_trusted(engine: tls.EngineFactory, authority: Authority) -> None:
    leaf = authority.credential("localhost")
    client, _ = meet(engine, tls.ClientConfig(roots=leaf.chain), tls.ServerConfig((leaf,)))
    assert client.established


def test_verification_without_a_name_is_misuse(engine: tls.EngineFactory, authority: Authority) -> None:
    for name in (None, ""):
        with pytest.raises(Misuse, match="server_name"):
            engine.client(tls.ClientConfig(roots=authority.pem), name)


@pytest.mark.parametrize("name", [".example", "a..example", "x" * 64 + ".example", "nul\0.example"])
def test_name_that_is_none_is_misuse(engine: tls.EngineFactory, authority: Authority, name: str) -> None:
    with pytest.raises(Misuse):
        engine.client(tls.ClientConfig(roots=authority.pem), name)


# Client certificates


def mutual(authority: Authority, auth: str) -> tls.ServerConfig:
    return tls.ServerConfig(
        (authority.credential("localhost"),),
        client_roots=None if auth == "none" else authority.pem,
        client_auth=auth,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("auth", ["none", "optional", "required"])
def test_client_certificate_shown(engine: tls.EngineFactory, authority: Authority, auth: str) -> None:
    shown = authority.credential("client@example.org")
    client, server = meet(engine, tls.ClientConfig(authority.pem, credential=shown), mutual(authority, auth))
    assert client.established
    assert server.engine.negotiated is not None
    assert bool(server.engine.negotiated.peer_chain) is (auth != "none")


@pytest.mark.parametrize("auth", ["none", "optional"])
def test_client_certificate_not_shown(engine: tls.EngineFactory, authority: Authority, auth: str) -> None:
    client, server = meet(engine, tls.ClientConfig(authority.pem), mutual(authority, auth))
    assert client.established
    assert server.established
    assert server.engine.negotiated is not None
    assert server.engine.negotiated.peer_chain == ()


@pytest.mark.usefixtures("tls_1_3")
def test_t23_client_certificate_required_but_empty(engine: tls.EngineFactory, authority: Authority) -> None:
    """Under TLS 1.3 the client is already connected: its first read surfaces the alert."""
    client, server = meet(engine, tls.ClientConfig(authority.pem), mutual(authority, "required"))
    assert not server.established
    assert server.failures[0].alert is tls.AlertDescription.certificate_required
    assert not server.failures[0].sent_by_peer
    assert client.established
    (failed,) = client.failures
    if any("alerts that a TLS 1.3 client can read" in each for each in engine.availability().lacks):
        return
    assert failed.alert is tls.AlertDescription.certificate_required
    assert failed.sent_by_peer


@pytest.mark.tls_1_2
def test_t23_under_tls_1_2_the_handshake_fails(engine: tls.EngineFactory, authority: Authority) -> None:
    server = Ours(engine.server(mutual(authority, "required")))
    client = Foreign(foreign_context(False, authority, "TLSv1.2"), server=False, server_name="localhost")
    pump(client, server)
    assert client.saw_alert("handshake failure")
    assert server.failures[0].alert is tls.AlertDescription.handshake_failure


def test_client_certificate_of_a_stranger(
    engine: tls.EngineFactory, authority: Authority, stranger: Authority
) -> None:
    shown = stranger.credential("client@example.org")
    client, server = meet(
        engine, tls.ClientConfig(authority.pem, credential=shown), mutual(authority, "optional")
    )
    assert server.failures[0].alert is tls.AlertDescription.unknown_ca
    if any("alerts that a TLS 1.3 client can read" in each for each in engine.availability().lacks):
        return
    assert client.failures[0].sent_by_peer
    assert client.failures[0].alert is tls.AlertDescription.unknown_ca


# The choice of a credential


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one.example", "one.example"),
        ("TWO.example", "two.example"),
        ("a.three.example", "*.three.example"),
        ("unknown.example", "one.example"),
        (None, "one.example"),
    ],
)
def test_server_name_chooses_the_credential(
    engine: tls.EngineFactory, authority: Authority, name: str | None, expected: str
) -> None:
    names = ("one.example", "two.example", "*.three.example")
    config = tls.ServerConfig(tuple(authority.credential(each) for each in names))
    client, _ = meet(engine, tls.ClientConfig(verify=False), config, name)
    assert client.engine.negotiated is not None
    leaf = x509.load_der_x509_certificate(client.engine.negotiated.peer_chain[0])
    extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == [expected]


# ALPN


@pytest.mark.parametrize(
    ("client_offers", "server_speaks", "expected"),
    [
        (("h2", "http/1.1"), ("http/1.1",), "http/1.1"),
        (("a", "b"), ("b", "a"), "b"),
        ((), ("http/1.1",), None),
        (("http/1.1",), (), None),
    ],
)
def test_rfc7301_3_2_choice(
    engine: tls.EngineFactory,
    authority: Authority,
    client_offers: tuple[str, ...],
    server_speaks: tuple[str, ...],
    expected: str | None,
) -> None:
    client, server = meet(
        engine,
        tls.ClientConfig(authority.pem, alpn=client_offers),
        tls.ServerConfig((authority.credential("localhost"),), alpn=server_speaks),
    )
    for end in (client, server):
        assert end.engine.negotiated is not None
        assert end.engine.negotiated.alpn == expected


def test_t24_no_protocol_in_common(engine: tls.EngineFactory, authority: Authority, version: str) -> None:
    config = tls.ServerConfig((authority.credential("localhost"),), alpn=("http/1.1",))
    context = foreign_context(False, authority, version)
    context.set_alpn_protocols(["h2"])
    client = Foreign(context, server=False, server_name="localhost")
    server = Ours(engine.server(config))
    pump(client, server)
    assert client.saw_alert("no application protocol")
    (failed,) = server.failures
    assert isinstance(failed.error, PeerIncompatible)
    assert failed.alert is tls.AlertDescription.no_application_protocol


def test_an_alpn_list_of_thousands_is_cut_where_it_is_quoted(
    engine: tls.EngineFactory, authority: Authority
) -> None:
    config = tls.ServerConfig((authority.credential("localhost"),), alpn=("http/1.1",))
    context = foreign_context(False, authority, "TLSv1.3")
    context.set_alpn_protocols([f"{i:x}" for i in range(9000)])
    client = Foreign(context, server=False, server_name="localhost")
    server = Ours(engine.server(config))
    pump(client, server)
    (failed,) = server.failures
    assert len(str(failed.error)) <= 1000


def test_t24_our_client_is_told(engine: tls.EngineFactory, authority: Authority) -> None:
    config = tls.ServerConfig((authority.credential("localhost"),), alpn=("http/1.1",))
    client, _ = meet(engine, tls.ClientConfig(authority.pem, alpn=("h2",)), config)
    (failed,) = client.failures
    assert isinstance(failed.error, PeerIncompatible)
    assert failed.alert is tls.AlertDescription.no_application_protocol
    assert failed.sent_by_peer


@pytest.mark.parametrize("alert", list(tls.AlertDescription)[1:])
def test_every_fatal_alert_is_named(
    engine: tls.EngineFactory, client_config: tls.ClientConfig, alert: tls.AlertDescription
) -> None:
    if alert is tls.AlertDescription.user_canceled:
        return  # a warning, which OpenSSL passes over
    client = Ours(engine.client(client_config, "localhost"))
    client.take()
    client.give(plain_alert(alert))
    client.pull()
    (failed,) = client.failures
    assert failed.alert is alert
    assert failed.sent_by_peer


# Misuse of configurations


def _encrypted(authority: Authority) -> tls.Credential:
    from cryptography.hazmat.primitives import serialization as ser

    good = authority.credential("localhost")
    key = ser.load_pem_private_key(good.key, None)
    sealed = key.private_bytes(
        ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.BestAvailableEncryption(b"secret")
    )
    return tls.Credential(good.chain, sealed)


BROKEN: list[Callable[[Authority], tls.ServerConfig | tls.ClientConfig]] = [
    lambda a: tls.ServerConfig(()),
    lambda a: tls.ServerConfig((tls.Credential(b"", b""),)),
    lambda a: tls.ServerConfig((tls.Credential(b"junk", b"junk"),)),
    lambda a: tls.ServerConfig((tls.Credential(a.credential("localhost").chain, b""),)),
    lambda a: tls.ServerConfig(
        (tls.Credential(a.credential("localhost").chain, a.credential("x.example").key),)
    ),
    lambda a: tls.ServerConfig((_encrypted(a),)),
    lambda a: tls.ServerConfig((a.credential("localhost"),), client_auth="required"),
    lambda a: tls.ServerConfig((a.credential("localhost"),), client_roots=b"junk", client_auth="required"),
    lambda a: tls.ServerConfig((a.credential("localhost"),), client_auth="maybe"),  # type: ignore[arg-type]
    lambda a: tls.ServerConfig((a.credential("localhost"),), alpn=("",)),
    lambda a: tls.ServerConfig((a.credential("localhost"),), minimum_version="TLSv1"),  # type: ignore[arg-type]
    lambda a: tls.ClientConfig(roots=b""),
    lambda a: tls.ClientConfig(roots=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    lambda a: tls.ClientConfig(alpn=("\u00e9",)),
    lambda a: tls.ClientConfig(alpn=("x" * 256,)),
    lambda a: tls.ClientConfig(credential=tls.Credential(b"junk", b"junk")),
]


@pytest.mark.parametrize("make", BROKEN)
def test_configuration_that_cannot_work(
    engine: tls.EngineFactory,
    authority: Authority,
    make: Callable[[Authority], tls.ServerConfig | tls.ClientConfig],
) -> None:
    def build_and_use() -> None:
        config = make(authority)
        if isinstance(config, tls.ServerConfig):
            engine.server(config)
        else:
            engine.client(config, "localhost")

    with pytest.raises(Misuse):  # by the configuration, or by the engine
        build_and_use()

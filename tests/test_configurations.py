"""Configurations are judged as they are built: what can't be meant is refused, with what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mungos import AccessList, Limits
from mungos.addresses import order_for_connecting
from mungos.dns import Hosts, Lookup, ResolverConfig, ServerAddress, Zone
from mungos.errors import Misuse
from mungos.http import HTTPLimits
from mungos.tls import (
    ClientConfig,
    Credential,
    EarlyDataGuard,
    ExternalPsk,
    ServerConfig,
    SessionCache,
    TicketKeys,
)
from mungos.websocket import Rejection

CHAIN = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
GOOD = Credential(CHAIN, KEY)

Refused = tuple[Callable[..., object], tuple[object, ...], dict[str, object], tuple[str, ...]]


def refused(
    make: Callable[..., object], *values: object, says: tuple[str, ...], **options: object
) -> Refused:
    """A call that must be Misuse, and what its message must contain."""
    return make, values, options, says


TABLE: list[Refused] = [
    # Paths, and text, where PEM bytes are wanted.
    refused(Credential, "a.pem", "a.key", says=("chain", "Credential.from_files(")),
    refused(Credential, CHAIN, "a.key", says=("key", "not shown", "Credential.from_files(")),
    refused(Credential, Path("a.pem"), KEY, says=("chain", "Credential.from_files(")),
    refused(Credential, KEY, CHAIN, says=("chain", "Credential(chain, key)")),
    refused(Credential, CHAIN, CHAIN, says=("key", "certificate", "Credential(chain, key)")),
    refused(Credential, CHAIN, KEY, staple="x", says=("staple", "DER")),
    refused(ClientConfig, roots="ca.pem", says=("roots", "'ca.pem'", "Path('ca.pem').read_bytes()")),
    refused(ClientConfig, roots=Path("ca.pem"), says=("roots", "Path('ca.pem').read_bytes()")),
    refused(ClientConfig, roots=CHAIN.decode(), says=("roots", "PEM bytes")),
    refused(
        ServerConfig,
        (GOOD,),
        client_roots="ca.pem",
        client_auth="required",
        says=("client_roots", "'ca.pem'", "Path('ca.pem').read_bytes()"),
    ),
    # One thing where a tuple of them is wanted; a str above all.
    refused(ServerConfig, GOOD, says=("credentials", "a Credential", "(Credential(chain, key),)")),
    refused(ServerConfig, ("a.pem",), says=("credentials[0]", "(Credential(chain, key),)")),
    refused(ServerConfig, "a.pem", says=("credentials", "(Credential(chain, key),)")),
    refused(ServerConfig, [GOOD, None], says=("credentials[1]", "None")),
    refused(ServerConfig, (GOOD,), psks="me:00", says=("psks", "not shown", "(ExternalPsk(identity, key),)")),
    refused(ServerConfig, (GOOD,), psks=("me:00",), says=("psks[0]", "not shown")),
    refused(ClientConfig, psks=ExternalPsk(b"me", bytes(16)), says=("psks", "an ExternalPsk")),
    refused(ClientConfig, alpn="h2", says=("alpn", "'h2'", '("http/1.1",)')),
    refused(ClientConfig, alpn=b"h2", says=("alpn", "b'h2'")),
    refused(ServerConfig, (GOOD,), alpn=(b"http/1.1",), says=("alpn[0]", "b'http/1.1'", '("http/1.1",)')),
    refused(ClientConfig, alpn=("",), says=("alpn[0]", "''")),
    refused(ClientConfig, alpn=("\xe9",), says=("alpn", "ASCII")),
    refused(ClientConfig, alpn=("h2\r\n",), says=("alpn", "ASCII")),
    refused(ClientConfig, alpn=("x" * 256,), says=("alpn", "1 to 255", "...")),
    refused(ClientConfig, alpn={"h2"}, says=("alpn", "a set")),
    refused(ClientConfig, alpn=None, says=("alpn", "None")),
    refused(ClientConfig, groups="x25519", says=("groups", "'x25519'", '("x25519", "secp256r1")')),
    refused(ClientConfig, groups=None, says=("groups", "None", '("x25519", "secp256r1")')),
    refused(ServerConfig, (GOOD,), groups=None, says=("groups", "None")),
    refused(ServerConfig, (GOOD,), groups=(), says=("groups", "empty")),
    refused(ServerConfig, (GOOD,), groups=("x25519:secp256r1",), says=("groups", "'x25519:secp256r1'")),
    refused(ClientConfig, suites="TLS_AES_128_GCM_SHA256", says=("suites", "a tuple")),
    refused(ClientConfig, suites=(b"TLS_AES_128_GCM_SHA256",), says=("suites[0]", "b'TLS_AES")),
    refused(ClientConfig, suites=[], says=("suites", "empty")),
    # Words, switches and numbers that are none of those that there are.
    refused(ServerConfig, (GOOD,), client_auth=True, says=("client_auth", "True", "'required'")),
    refused(ServerConfig, (GOOD,), client_auth="maybe", says=("client_auth", "'maybe'", "'optional'")),
    refused(ServerConfig, (GOOD,), client_auth="required", says=("client_auth", "client_roots")),
    refused(ServerConfig, (GOOD,), client_roots=CHAIN, says=("client_roots", "client_auth='required'")),
    refused(ClientConfig, minimum_version="TLSv1", says=("minimum_version", "'TLSv1'", "'TLSv1.3'")),
    refused(ClientConfig, minimum_version=1.3, says=("minimum_version", "1.3", "'TLSv1.3'")),
    refused(ClientConfig, verify="no", says=("verify", "'no'", "True or False")),
    refused(ClientConfig, verify=None, says=("verify", "None")),
    refused(ClientConfig, verify=0, says=("verify", "0", "True or False")),
    refused(ClientConfig, early_data=True, says=("early_data", "'resend'")),
    refused(ServerConfig, (GOOD,), early_data="resend", says=("early_data", "EarlyDataGuard()")),
    refused(ServerConfig, (GOOD,), tickets=True, says=("tickets", "TicketKeys()")),
    refused(ClientConfig, sessions={}, says=("sessions", "a dict", "SessionCache()")),
    refused(ClientConfig, credential=(GOOD,), says=("credential", "a tuple", "Credential(chain, key)")),
    refused(ClientConfig, credential="a.pem", says=("credential", "not shown")),
    refused(ClientConfig, keylog="keys.txt", says=("keylog", "'keys.txt'", "function")),
    refused(ClientConfig, wall=1.5, says=("wall", "1.5", "function")),
    refused(ClientConfig, provider=b"pure", says=("provider", "b'pure'")),
    refused(ClientConfig, handshake_timeout=math.nan, says=("handshake_timeout", "nan", "seconds")),
    refused(ClientConfig, handshake_timeout=-1, says=("handshake_timeout", "-1")),
    refused(ClientConfig, handshake_timeout=None, says=("handshake_timeout", "None")),
    refused(ClientConfig, handshake_timeout=0, says=("handshake_timeout", "more than 0")),
    refused(ClientConfig, max_unsent=True, says=("max_unsent", "True")),
    refused(ClientConfig, max_unsent=1e6, says=("max_unsent", "1000000.0", "whole number")),
    refused(ClientConfig, record_size_limit=63, says=("record_size_limit", "63", "64 to 16385")),
    refused(ExternalPsk, "me", bytes(16), says=("identity", "'me'", 'b"me"')),
    refused(ExternalPsk, b"me", "secret of thirty-two characters!", says=("key", "not shown")),
    refused(ExternalPsk, b"me", bytes(16), hash="md5", says=("hash", "'md5'", "'sha256'")),
    refused(TicketKeys, lifetime="7200", says=("lifetime", "'7200'", "1 to 604800")),
    refused(TicketKeys, rotation=math.nan, says=("rotation", "nan")),
    refused(TicketKeys, count=True, says=("count", "True", "0 to 16")),
    refused(SessionCache, servers="3", says=("servers", "'3'")),
    refused(EarlyDataGuard, window=math.nan, says=("window", "nan", "at most 3600")),
    refused(EarlyDataGuard, max_bytes=1 << 40, says=("max_bytes", "1099511627776")),
    # The core's limits: kinds, signs, order.
    refused(Limits, max_connections="3", says=("max_connections", "'3'", "whole number")),
    refused(Limits, max_connections=True, says=("max_connections", "True")),
    refused(Limits, max_connections=10.0, says=("max_connections", "10.0")),
    refused(Limits, max_connections=None, says=("max_connections", "None")),
    refused(Limits, events_per_turn=0, says=("events_per_turn", "0", "1 or more")),
    refused(Limits, linger=-0.1, says=("linger", "-0.1", "0 or more")),
    refused(Limits, close_within=None, says=("close_within", "None")),
    refused(Limits, close_within=math.inf, says=("close_within", "inf")),
    refused(Limits, idle_within=0, says=("idle_within", "or None")),
    refused(Limits, half_open="no", says=("half_open", "'no'")),
    refused(Limits, send_low=300_000, says=("send_low", "300000", "send_high")),
    refused(Limits, send_high=1 << 30, says=("send_high", "send_hard")),
    # HTTP's.
    refused(HTTPLimits, max_head="16384", says=("max_head", "'16384'")),
    refused(HTTPLimits, max_line=1 << 20, says=("max_line", "max_head")),
    refused(HTTPLimits, max_receive=100, says=("max_receive", "100")),
    refused(HTTPLimits, high_watermark=1 << 30, says=("high_watermark", "max_unsent")),
    refused(HTTPLimits, head_timeout=None, says=("head_timeout", "None")),
    refused(HTTPLimits, body_timeout=math.nan, says=("body_timeout", "nan", "or None")),
    refused(HTTPLimits, max_body=-1, says=("max_body", "-1", "or None")),
    # The resolver's.
    refused(ResolverConfig, "192.0.2.1", says=("servers", "'192.0.2.1'", "ServerAddress(")),
    refused(ResolverConfig, ("192.0.2.1",), says=("servers[0]", "'192.0.2.1'", "ServerAddress(")),
    refused(ResolverConfig, (("dns.example", 53),), says=("'dns.example'", "IP address")),
    refused(ResolverConfig, (("192.0.2.1", "53"),), says=("port", "'53'")),
    refused(ResolverConfig, (), says=("servers", "empty")),
    refused(ResolverConfig, search="example.org", says=("search", "'example.org'", '("example.org",)')),
    refused(ResolverConfig, attempts=True, says=("attempts", "True", "1 to 5")),
    refused(ResolverConfig, timeout=math.nan, says=("timeout", "nan", "at most 30")),
    refused(ResolverConfig, rotate=1, says=("rotate", "1", "True or False")),
    refused(Hosts, {"example.org": "192.0.2.1"}, says=("'example.org'", "'192.0.2.1'", '("192.0.2.1",)')),
    refused(Hosts, ["192.0.2.1"], says=("addresses", "a list")),
    refused(Zone, {"example.org": "192.0.2.1"}, says=("'example.org'", "'192.0.2.1'", '["192.0.2.1"]')),
    refused(Zone, {}, minimum="60", says=("minimum", "'60'")),
    refused(order_for_connecting, "192.0.2.1", says=("addresses", "'192.0.2.1'", '("192.0.2.1",)')),
    refused(
        Lookup,
        "example.org",
        config=ResolverConfig(),
        hosts=Hosts(),
        families="A",
        random=bytes,
        now=0.0,
        within=1.0,
        says=("families", "'A'", "('A', 'AAAA')"),
    ),
    # Others.
    refused(AccessList, 5, says=("5", "10.0.0.0/8")),
    refused(AccessList, b"10.0.0.0/8", says=("b'10.0.0.0/8'",)),
    refused(AccessList, (5,), says=("5", "10.0.0.0/8")),
    refused(Rejection, 404.5, says=("status", "404.5", "300 to 599")),
    refused(Rejection, 404, b"no", says=("text", "b'no'")),
    refused(Rejection, 404, headers="X: 1", says=("pairs of name and value", "not a str")),
    refused(Rejection, 404, headers=("ab",), says=("pairs of name and value", "not a str")),
]


@pytest.mark.parametrize(("make", "values", "options", "says"), TABLE)
def test_a_value_that_cannot_be_meant_is_refused_with_what_to_write(
    make: Callable[..., object], values: tuple[object, ...], options: dict[str, object], says: tuple[str, ...]
) -> None:
    with pytest.raises(Misuse) as caught:
        make(*values, **options)
    message = str(caught.value)
    assert [word for word in says if word not in message] == [], message
    assert "secret" not in message
    assert "c2VjcmV0" not in message
    assert len(message) < 300


def test_sequences_of_any_kind_are_kept_as_tuples() -> None:
    server = ServerConfig([GOOD], alpn=["http/1.1"], groups=["x25519"], suites=["TLS_AES_128_GCM_SHA256"])
    assert server.credentials == (GOOD,)
    assert (server.alpn, server.groups) == (("http/1.1",), ("x25519",))
    assert server.suites == ("TLS_AES_128_GCM_SHA256",)
    assert ClientConfig(psks=[ExternalPsk(b"me", bytes(16))]).psks == (ExternalPsk(b"me", bytes(16)),)
    resolver = ResolverConfig([ServerAddress("192.0.2.1")], ["example.org"])
    assert resolver == ResolverConfig((ServerAddress("192.0.2.1"),), ("example.org",))
    assert hash(resolver) == hash(ResolverConfig((ServerAddress("192.0.2.1"),), ("example.org",)))


def test_a_list_that_changes_later_does_not_change_a_configuration() -> None:
    names = ["http/1.1"]
    config = ClientConfig(alpn=names)
    names.append("h2")
    assert config.alpn == ("http/1.1",)


def test_a_key_is_in_no_message_whatever_is_wrong_with_it() -> None:
    text = KEY.decode()
    for values in ((CHAIN, text), (text, KEY), (CHAIN, bytearray(KEY)), (KEY, KEY), (KEY, CHAIN)):
        with pytest.raises(Misuse) as caught:
            Credential(*values)
        assert "c2VjcmV0" not in str(caught.value)

"""Every engine with every other, in both roles."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from mungos import tls
from mungos.errors import PeerIncompatible
from tests.tls.conftest import Authority
from tests.tls.pump import Ours, pump
from tests.tls_foreign.conftest import ALL, ENGINES, Pair, common, pair

PAIRS = [(client, server) for client in ALL for server in ALL if client in ENGINES or server in ENGINES]


@pytest.fixture(params=PAIRS, ids="-".join)
def met(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Pair]:
    """Two ends, their handshake done."""
    client, server = request.param
    if not common(client, server):
        pytest.skip(f"{client} and {server} have no version of TLS in common here")
    made = pair(client, server, authority)
    made.pump()
    assert made.client.established
    assert made.server.established
    yield made
    made.release()


@pytest.mark.parametrize(("client", "server"), PAIRS)
def test_no_version_in_common_is_said_on_both_sides(authority: Authority, client: str, server: str) -> None:
    """What a library with TLS 1.2 alone and an engine with TLS 1.3 alone have to tell each other."""
    made = pair(client, server, authority)
    if common(client, server):
        made.release()
        return
    made.pump()
    for end in made.ends:
        (failed,) = end.failures
        assert isinstance(failed.error, PeerIncompatible)
        assert failed.alert is tls.AlertDescription.protocol_version
    assert made.client.failures[0].sent_by_peer != made.server.failures[0].sent_by_peer
    made.release()


def test_200_kb_each_way(met: Pair) -> None:
    rng = random.Random(1)
    sources = rng.randbytes(200_000), rng.randbytes(200_000)
    for end, source in zip(met.ends, sources, strict=True):
        sent = 0
        while sent < len(source):
            sent += end.engine.write((memoryview(source)[sent:],))
            met.pump()
    assert met.server.data == sources[0]
    assert met.client.data == sources[1]


@pytest.mark.parametrize("first", [0, 1])
def test_close_notify_each_way(met: Pair, first: int) -> None:
    closer, other = met.ends if first == 0 else met.ends[::-1]
    closer.write(b"the last words")
    closer.engine.close_write()
    met.pump()
    assert other.data == b"the last words"
    assert other.closed == 1
    other.engine.close_write()
    met.pump()
    assert closer.closed == 1
    for end in met.ends:
        end.eof()
        assert end.reads() is tls.ReadSide.ENDED
        assert end.writes() is tls.WriteSide.ENDED
        assert not end.failures


def test_end_without_close_notify_is_truncated(met: Pair) -> None:
    met.client.write(b"before")
    met.server.give(met.client.take())
    for end in met.ends:
        end.eof()
        assert end.reads() is tls.ReadSide.TRUNCATED
        assert not end.failures
        assert not end.closed
    assert met.server.data == b"before"


def test_both_say_the_same(met: Pair) -> None:
    client, server = (end.engine.negotiated for end in met.ends)
    assert client is not None
    assert server is not None
    assert (client.version, client.suite, client.alpn) == (server.version, server.suite, server.alpn)
    assert client.suite.startswith("TLS_")
    assert client.server_name == server.server_name == "localhost"
    assert client.peer_chain
    assert not server.peer_chain


@pytest.mark.parametrize("engine_name", ENGINES)
def test_chain_with_an_intermediate(authority: Authority, engine_name: str) -> None:
    """What the peer sent besides its own certificate is there to be verified with, and to be shown."""
    made = pair(engine_name, engine_name, authority)
    child = authority.ca.create_child_ca()
    leaf = child.issue_cert("localhost")
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    credential = tls.Credential(chain, leaf.private_key_pem.bytes())
    factory = tls.select(engine_name)
    ends = (
        Ours(factory.client(tls.ClientConfig(authority.pem), "localhost")),
        Ours(factory.server(tls.ServerConfig((credential,)))),
    )
    pump(*ends)
    assert ends[0].engine.negotiated is not None
    assert len(ends[0].engine.negotiated.peer_chain) == chain.count(b"BEGIN") >= 2
    made.release()
    for end in ends:
        end.engine.release()


@pytest.mark.parametrize("engine_name", ENGINES)
def test_rsa_credential(authority: Authority, engine_name: str) -> None:
    import trustme

    made = pair(engine_name, engine_name, authority)
    made.release()
    leaf = authority.ca.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    factory = tls.select(engine_name)
    config = tls.ServerConfig((tls.Credential(chain, leaf.private_key_pem.bytes()),))
    ends = Ours(factory.client(tls.ClientConfig(authority.pem), "localhost")), Ours(factory.server(config))
    pump(*ends)
    assert all(end.established for end in ends)
    for end in ends:
        end.engine.release()

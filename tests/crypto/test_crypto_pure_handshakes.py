"""TLS 1.3 with the pure provider on one end or on both: the same sessions, and nothing left of them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from mungos.crypto.contract import GROUPS
from mungos.crypto.pure import SlowCryptography
from mungos.tls.config import DEFAULT_SUITES, ClientConfig, ServerConfig
from mungos.tls.contract import PeerClosed
from mungos.tls.engines.builtin import BuiltinFactory
from mungos.tls.sessions import SessionCache, TicketKeys
from tests.crypto.crypto_certificates import KINDS, authority
from tests.crypto.crypto_providers import NIGHTLY, provider_named
from tests.crypto.crypto_vectors import needs
from tests.tls_builtin.ends import End, pump

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{SlowCryptography.__module__}.{SlowCryptography.__qualname__}"
)

PURE = "pure-with-private-keys"
PAIRS = [(PURE, PURE), (PURE, "cryptography"), ("cryptography", PURE)]
pair = pytest.mark.parametrize(("client", "server"), PAIRS, ids=["both", "client", "server"])
TEXT = bytes(range(256)) * 80  # two records

AEAD_OF = {"TLS_CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305"}
FACTORY = BuiltinFactory()


def meet(client: ClientConfig, server: ServerConfig) -> tuple[End, End]:
    one, other = End(FACTORY.client(client, "localhost")), End(FACTORY.server(server))
    pump(one, other)
    assert one.established
    assert other.established
    return one, other


def converse(one: End, other: End, text: bytes = TEXT) -> None:
    """Say something both ways, and close."""
    for source, sink in ((one, other), (other, one)):
        assert source.engine.write([text]) == len(text)
        pump(one, other)
        assert sink.data == text
    one.engine.close_write()
    other.engine.close_write()
    pump(one, other)
    for end in (one, other):
        assert isinstance(end.events[-1], PeerClosed)
        end.engine.release()


@pair
@pytest.mark.parametrize("kind", KINDS)
def test_credentials_of_every_kind(client: str, server: str, kind: str) -> None:
    """Shown by both ends, and checked by both."""
    credential = authority().credential(kind)
    roots = authority().roots
    one, other = meet(
        ClientConfig(roots=roots, credential=credential, provider=client),
        ServerConfig((credential,), client_roots=roots, client_auth="required", provider=server),
    )
    negotiated = other.engine.negotiated
    assert negotiated is not None
    assert len(negotiated.peer_chain) == 1
    converse(one, other)


@pair
@pytest.mark.parametrize("group", GROUPS)
def test_groups(client: str, server: str, group: str) -> None:
    for name in (client, server):
        needs(provider_named("cryptography" if name == "cryptography" else "pure"), group)
    credential = authority().credential("p256")
    one, other = meet(
        ClientConfig(roots=authority().roots, groups=(group,), provider=client),
        ServerConfig((credential,), groups=(group,), provider=server),
    )
    assert one.engine.negotiated is not None
    assert one.engine.negotiated.group == group
    converse(one, other)


@pair
@pytest.mark.parametrize("suite", DEFAULT_SUITES)
def test_suites(client: str, server: str, suite: str) -> None:
    needs(provider_named("cryptography"), AEAD_OF.get(suite, "AES-128-GCM"))
    credential = authority().credential("ed25519")
    one, other = meet(
        ClientConfig(roots=authority().roots, suites=(suite,), provider=client),
        ServerConfig((credential,), suites=(suite,), provider=server),
    )
    assert one.engine.negotiated is not None
    assert one.engine.negotiated.suite == suite
    converse(one, other)


@pair
def test_resumption(client: str, server: str) -> None:
    sessions, tickets = SessionCache(), TicketKeys()
    configs = (
        ClientConfig(roots=authority().roots, sessions=sessions, provider=client),
        ServerConfig((authority().credential("p256"),), tickets=tickets, provider=server),
    )
    for resumed in (False, True):
        one, other = meet(*configs)
        assert one.engine.negotiated is not None
        assert one.engine.negotiated.resumed is resumed
        converse(one, other)


@pytest.fixture
def quiet_collector() -> Iterator[None]:
    gc.collect()
    yield
    gc.collect()


def handshakes(count: int) -> int:
    """That many sessions with the pure provider on both ends, nothing of which is lost; returns the blocks of
    memory that are held more than before."""
    configs = [
        (
            ClientConfig(roots=authority().roots, groups=(group,), provider=PURE),
            ServerConfig((authority().credential(kind),), groups=(group,), provider=PURE),
        )
        for group in ("x25519", "secp256r1")
        for kind in ("p256", "ed25519")
    ]

    def one(index: int) -> None:
        converse(*meet(*configs[index % len(configs)]), text=index.to_bytes(4, "big") * 25)

    for index in range(2 * len(configs)):
        one(index)
    gc.collect()
    before = sys.getallocatedblocks()
    for index in range(count):
        one(index)
    gc.collect()
    return sys.getallocatedblocks() - before


@pytest.mark.usefixtures("quiet_collector")
def test_ten_handshakes_lose_nothing_and_leak_nothing() -> None:
    # One block lost by every session would be ten; a session itself holds hundreds.
    assert handshakes(10) < 10


@pytest.mark.skipif(not NIGHTLY, reason="half a minute: in the nightly profile")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("quiet_collector")
def test_a_thousand_handshakes_lose_nothing_and_leak_nothing() -> None:
    assert handshakes(1000) < 100

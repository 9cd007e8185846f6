"""What is packed once for a configuration is what packing it anew gives."""

from __future__ import annotations

import pytest

from mungos.tls.config import ClientConfig
from mungos.tls.engines.builtin.client_opening import ClientOpening
from mungos.tls.engines.builtin.messages import ClientHello, ExtensionType
from mungos.tls.engines.builtin.messages.extensions import pack_each, packed_extensions
from mungos.tls.external_psk import ExternalPsk
from tests.tls_builtin.conftest import Authority
from tests.tls_builtin.ends import factory


def first_hello(config: ClientConfig, name: str | None) -> ClientHello:
    engine = factory().client(config, name)
    engine.start(0.0)
    handshake = engine._handshake
    assert isinstance(handshake, ClientOpening)
    return handshake._hello


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("grease", [True, False])
def test_first_hello(authority: Authority, name: str, grease: bool) -> None:
    config = ClientConfig(
        roots=authority.roots, grease=grease, alpn=("h2",), ask_staple=True, compress_certificates=True
    )
    hello = first_hello(config, name)
    begun, start = hello.packed
    assert start == pack_each(dict(list(hello.extensions.items())[:begun]))
    assert ExtensionType.key_share in list(hello.extensions)[begun:]
    packed = hello.pack()
    hello.packed = (0, b"")
    assert hello.pack() == packed
    assert ClientHello.parse(packed[4:]).extensions == hello.extensions


def test_hello_without_signatures_is_packed_whole(authority: Authority) -> None:
    psk = ExternalPsk(b"lamp", bytes(range(32)))
    hello = first_hello(ClientConfig(roots=authority.roots, psks=(psk,)), None)
    assert ExtensionType.signature_algorithms not in hello.extensions
    assert hello.packed == (0, b"")


def test_block() -> None:
    extensions = {1: b"a", 0xFFFF: b""}
    assert packed_extensions(extensions) == bytes.fromhex("0009 0001 0001 61 ffff 0000")
    assert packed_extensions(extensions, 1, pack_each({1: b"a"})) == packed_extensions(extensions)
    assert packed_extensions({}) == b"\0\0"

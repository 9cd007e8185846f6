"""The pure provider is chosen by name, with a warning, and loads private keys on explicit word only."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import mungos
from mungos.crypto.contract import AEADS, GROUPS, HASHES, SCHEMES
from mungos.crypto.pure import PureProvider, PureSigningProvider, SlowCryptography
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines import select
from mungos.tls.engines.builtin import BuiltinFactory, factory
from tests.crypto.crypto_certificates import authority


@pytest.fixture(autouse=True)
def providers_made_anew() -> Iterator[None]:
    """The factory keeps a provider once made, and with it its warning."""
    factory._provider.cache_clear()
    yield
    factory._provider.cache_clear()


@pytest.fixture
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowCryptography)
        yield


def test_it_warns_of_itself() -> None:
    with pytest.warns(SlowCryptography, match="not constant in time"):
        PureProvider(os.urandom)
    with pytest.warns(SlowCryptography, match="slow"):
        BuiltinFactory().client(ClientConfig(roots=authority().roots, provider="pure"), "localhost")


@pytest.mark.usefixtures("silent")
def test_it_has_everything_of_the_contract() -> None:
    provider = PureProvider(os.urandom)
    for feature in (*AEADS, *HASHES, *GROUPS, *SCHEMES):
        assert provider.supports(feature)
    assert not provider.supports("encrypt-into")
    assert repr(provider) == "PureProvider(private_keys=False)"


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", AEADS)
@pytest.mark.parametrize("length", [0, 8, 11, 13, 16])
def test_rfc5116_5_a_nonce_has_12_bytes(name: str, length: int) -> None:
    key = PureProvider(os.urandom).aead(name, bytes(AEADS[name].key_length))
    with pytest.raises(Misuse, match=f"a nonce has 12 bytes, not {length}"):
        key.encrypt(bytes(length), b"", b"")
    with pytest.raises(Misuse, match=f"a nonce has 12 bytes, not {length}"):
        key.decrypt(bytes(length), bytes(16), b"")


@pytest.mark.usefixtures("silent")
def test_private_keys_need_a_word() -> None:
    key = authority().credential("p256").key
    with pytest.raises(Misuse, match="private_keys=True"):
        PureProvider(os.urandom).private_key(key)
    assert PureProvider(os.urandom, private_keys=True).private_key(key).kind == "secp256r1"
    assert PureSigningProvider(os.urandom).private_key(key).kind == "secp256r1"


@pytest.mark.usefixtures("silent")
def test_a_server_and_a_clients_credential_need_a_word() -> None:
    made = BuiltinFactory()
    credential = authority().credential("p256")
    roots = authority().roots
    with pytest.raises(Misuse, match="pure-with-private-keys"):
        made.server(ServerConfig((credential,), provider="pure"))
    with pytest.raises(Misuse, match="pure-with-private-keys"):
        made.client(ClientConfig(roots=roots, credential=credential, provider="pure"), "localhost")
    made.server(ServerConfig((credential,), provider="pure-with-private-keys"))
    config = ClientConfig(roots=roots, credential=credential, provider="pure-with-private-keys")
    made.client(config, "localhost")


def test_it_is_never_taken_in_anothers_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(factory._PROVIDERS, "cryptography", ("mungos.crypto.no_such_module", "Provider"))
    # A warning of its choice would be an error here.
    assert not BuiltinFactory().availability().present
    with pytest.raises(Misuse, match="can't be loaded"):
        BuiltinFactory().client(ClientConfig(roots=authority().roots), "localhost")
    assert select("auto").name != "builtin"
    with pytest.raises(Misuse, match="builtin"):
        select("builtin")


def test_it_imports_nothing_but_the_standard_library() -> None:
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "from mungos.crypto.pure import PureSigningProvider\n"
        "import os; provider = PureSigningProvider(os.urandom)\n"
        "share = provider.key_exchange('X25519MLKEM768').generate()\n"
        "public, secret = provider.key_exchange('X25519MLKEM768').encapsulate(share.public)\n"
        "assert share.exchange(public) == secret\n"
        "roots = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(root for root in roots if not root.startswith('__')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.stderr == ""
    assert done.stdout == "['cryptography', 'mungos']\n"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(str(mungos.__file__)).parents[1])}


def test_a_credential_stays_out_of_messages(silent: None) -> None:
    broken = Credential(
        authority().credential("p256").chain,
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----",
    )
    with pytest.raises(Misuse) as caught:
        BuiltinFactory().server(ServerConfig((broken,), provider="pure-with-private-keys"))
    assert "c2VjcmV0" not in str(caught.value)
    assert "secret" not in str(caught.value)

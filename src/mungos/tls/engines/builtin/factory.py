"""Makes sessions: the one place where randomness and civil time come in."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from platform import python_version
from weakref import WeakKeyDictionary

from mungos.crypto.contract import Provider, Random
from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Availability
from mungos.tls.engines.builtin.engine import BuiltinEngine
from mungos.tls.engines.builtin.preparation import PreparedClient, PreparedServer
from mungos.x509 import wanted_identity

__all__ = ["BUILTIN", "BuiltinFactory"]

_DEFAULT_PROVIDER = "cryptography"
_PROVIDERS = {
    "cryptography": ("mungos.crypto.with_cryptography", "CryptographyProvider"),
    "pure": ("mungos.crypto.pure", "PureProvider"),
    # The explicit word without which the pure provider touches no private key that lasts.
    "pure-with-private-keys": ("mungos.crypto.pure", "PureSigningProvider"),
}
_WITHOUT_RANDOM = frozenset({"pure", "pure-with-private-keys"})
"""Those that have no source of randomness of their own, and are handed one."""

_LACKS = ("TLSv1.2",)
_PURE_LACKS = {
    "pure": ("speed", "constant time", "private keys"),
    "pure-with-private-keys": ("speed", "constant time"),
}


def _civil_time() -> float:
    return datetime.now(UTC).timestamp()


class BuiltinFactory:
    """Sessions of the built-in TLS 1.3.

    Args:
        random: the source of everything random: keys, nonces, session ids.
        wall: civil time in seconds since 1970, where a configuration does not bring its own.
    """

    name = "builtin"

    def __init__(self, random: Random = os.urandom, wall: Callable[[], float] = _civil_time) -> None:
        self._random = random
        self._wall = wall
        self._clients: WeakKeyDictionary[ClientConfig, PreparedClient] = WeakKeyDictionary()
        self._servers: WeakKeyDictionary[ServerConfig, PreparedServer] = WeakKeyDictionary()

    def availability(self) -> Availability:
        """Whether the default provider can be loaded, and which others there are."""
        providers = tuple(map(_provider_availability, _PROVIDERS))
        default = providers[0]
        return Availability(self.name, default.present, default.version, default.reason, _LACKS, providers)

    def client(self, config: ClientConfig, server_name: str | None) -> BuiltinEngine:
        """A client session. Raises Misuse when the configuration can't work."""
        if not server_name and config.verify and not config.psks:
            raise Misuse("a server's certificate can't be verified without server_name")
        # RFC 6874: a zone names an interface of this machine; it is no part of the address.
        name = server_name.partition("%")[0] if server_name and ":" in server_name else server_name
        identity = wanted_identity(name) if name else None
        prepared = self._clients.get(config)
        if prepared is None:
            provider = _provider(config.provider or _DEFAULT_PROVIDER)
            prepared = PreparedClient(config, provider, self._random, self._wall)
            self._clients[config] = prepared
        # RFC 6066 section 3: addresses are not sent.
        sni = identity if isinstance(identity, str) else None
        return BuiltinEngine(prepared, sni or name, sni)

    def server(self, config: ServerConfig) -> BuiltinEngine:
        """A server session. Raises Misuse when the configuration can't work."""
        prepared = self._servers.get(config)
        if prepared is None:
            provider = _provider(config.provider or _DEFAULT_PROVIDER)
            prepared = PreparedServer(config, provider, self._random, self._wall)
            self._servers[config] = prepared
        return BuiltinEngine(prepared)


@cache
def _provider(name: str) -> Provider:
    if name not in _PROVIDERS:
        raise Misuse(f"unknown cryptographic provider {name!r}; known are {', '.join(_PROVIDERS)}")
    module, kind = _PROVIDERS[name]
    try:
        made = getattr(import_module(module), kind)
    except ImportError as error:
        raise Misuse(f"the provider {name} can't be loaded ({error}); install mungos[tls]") from error
    provider: Provider = made(os.urandom) if name in _WITHOUT_RANDOM else made()
    return provider


def _provider_availability(name: str) -> Availability:
    if name in _WITHOUT_RANDOM:
        # Nothing need be installed for them; to make one is to choose it, which it warns of.
        return Availability(name, present=True, version=python_version(), lacks=_PURE_LACKS[name])
    try:
        return Availability(name, present=True, version=_provider(name).version)
    except Misuse as error:
        return Availability(name, present=False, reason=str(error))


BUILTIN = BuiltinFactory()

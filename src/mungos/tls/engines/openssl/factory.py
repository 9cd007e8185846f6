"""Makes sessions of the `openssl` engine."""

from __future__ import annotations

import ipaddress
import ssl

from mungos.errors import Misuse
from mungos.tls.config import ClientConfig, ServerConfig
from mungos.tls.contract import Availability
from mungos.tls.engines.openssl.contexts import client_context, server_contexts
from mungos.tls.engines.openssl.engine import OpenSSLEngine

__all__ = ["OPENSSL", "OpenSSLFactory"]

_LACKS = (
    "early data",
    "exact alerts",
    "fatal alerts of the caller's choice once keys are on",
    "group and signature scheme in Negotiated",
    "resumption by a client",
    "the caller's civil time for certificates",
)


class OpenSSLFactory:
    """Sessions over `ssl.MemoryBIO`; see `mungos.tls.contract.EngineFactory`."""

    name = "openssl"

    def availability(self) -> Availability:
        """Always present: the module that this one imports is there."""
        return Availability("openssl", present=True, version=ssl.OPENSSL_VERSION, lacks=_LACKS)

    def client(self, config: ClientConfig, server_name: str | None) -> OpenSSLEngine:
        """A client session; a final dot and an IPv6 zone are cut off `server_name`.

        Raises Misuse when the configuration can't work, when it verifies and there is no name to verify,
        and when the name is not one.
        """
        if config.verify and not server_name:
            raise Misuse("verification needs a server_name: give one, or say verify=False")
        name = _reference_name(server_name) if server_name else None
        engine = OpenSSLEngine(config, name)
        try:
            engine.secure(client_context(config))
        except (ValueError, TypeError, ssl.SSLError) as error:
            raise Misuse(f"server_name {server_name!r} is neither a DNS name nor an IP address") from error
        return engine

    def server(self, config: ServerConfig) -> OpenSSLEngine:
        """A server session. Raises Misuse when the configuration can't work."""
        return OpenSSLEngine(config, None, server_contexts(config))


def _reference_name(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name.split("%", 1)[0]))
    except ValueError:
        # RFC 6066 section 3: the name is sent without a trailing dot.
        return name[:-1] if name.endswith(".") else name


OPENSSL = OpenSSLFactory()

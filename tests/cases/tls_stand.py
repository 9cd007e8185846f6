"""Our side over TLS in either role, on each engine, and a scripted peer in the other."""

from __future__ import annotations

import functools
import ssl
from dataclasses import replace
from typing import Any, Literal

import pytest
import trustme

from mungos import Connection, Limits, Listener, Manager
from mungos.core import Handler
from mungos.testing.tls import peers
from mungos.tls import ClientConfig, Credential, ServerConfig, all_engines
from tests.cases.tls_peer import TlsPeer
from tests.cases.world import Notes, RawPeer, World

_ABSENT = {each.name: each.reason for each in all_engines() if not each.present}
_LACKS = {each.name: each.lacks for each in all_engines()}

ENGINES = [
    pytest.param(name, marks=pytest.mark.skip(f"{name}: {_ABSENT[name]}")) if name in _ABSENT else name
    for name in ("openssl", "builtin", "wolfssl", "mbedtls")
    if "TLSv1.3" not in _LACKS.get(name, ())
]
"""Whom the cases are put to: their peer speaks TLS 1.3 where nothing else is said."""

LAX = {"wolfssl", "mbedtls"}
"""Of some faults these libraries say nothing to the peer, or something else than RFC 8446 asks for."""

SPEAKS_TLS_1_2 = {name for name, lacks in _LACKS.items() if "TLSv1.2" not in lacks}

Role = Literal["client", "server"]

cut = peers.cut


@functools.cache
def authority() -> trustme.CA:
    """Whom both sides trust."""
    return trustme.CA()


@functools.cache
def stranger() -> trustme.CA:
    """Whom nobody trusts."""
    return trustme.CA()


@functools.cache
def _leaf(trusted: bool = True) -> trustme.LeafCert:
    return (authority() if trusted else stranger()).issue_cert("localhost")


@functools.cache
def credential(trusted: bool = True) -> Credential:
    """For localhost."""
    leaf = _leaf(trusted)
    return Credential(b"".join(blob.bytes() for blob in leaf.cert_chain_pems), leaf.private_key_pem.bytes())


@functools.cache
def server_config() -> ServerConfig:
    """Ours, as a server."""
    return ServerConfig((credential(),))


@functools.cache
def client_config() -> ClientConfig:
    """Ours, as a client."""
    return ClientConfig(roots=authority().cert_pem.bytes())


_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@functools.cache
def foreign_context(
    server: bool,
    version: str = "TLSv1.3",
    *,
    trusted: bool = True,
    tickets: int = 0,
    alpn: tuple[str, ...] = (),
    wants_certificate: bool = False,
    curve: str = "",
) -> ssl.SSLContext:
    """The peer's: one version only, no tickets unless they are asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = _VERSIONS[version]
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # on in some versions of Python
    authority().configure_trust(context)
    if server:
        _leaf(trusted).configure_cert(context)
        context.num_tickets = tickets
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
    if curve:
        context.set_ecdh_curve(curve)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Stand:
    """Makes our end in one role and the scripted peer in the other."""

    def __init__(self, world: World, engine: str) -> None:
        self.world = world
        self.engine = engine

    def serve(
        self,
        notes: Handler,
        *,
        limits: Limits | None = None,
        manager: Manager | None = None,
        **options: Any,
    ) -> Listener:
        """Our server; `options` replace those of its configuration."""
        listener = (manager or self.world.manager()).listen(
            "tls://127.0.0.1:0",
            notes,
            tls=replace(server_config(), **options) if options else server_config(),
            engine=self.engine,
            limits=limits,
        )
        assert isinstance(listener, Listener)
        return listener

    def dial(
        self,
        port: int,
        notes: Handler,
        *,
        limits: Limits | None = None,
        manager: Manager | None = None,
        **options: Any,
    ) -> Connection:
        """Our client."""
        connection = (manager or self.world.manager()).connect(
            f"tls://127.0.0.1:{port}",
            notes,
            tls=replace(client_config(), **options) if options else client_config(),
            server_name="localhost",
            engine=self.engine,
            limits=limits,
        )
        assert isinstance(connection, Connection)
        return connection

    def raw(self, role: Role, notes: Handler, *, limits: Limits | None = None, **options: Any) -> RawPeer:
        """Our end in `role`, its peer bare: TCP is there, nobody has spoken."""
        if role == "server":
            return self.world.connect(str(self.serve(notes, limits=limits, **options).url))
        listener = self.world.listener()
        self.dial(listener.port, notes, limits=limits, **options)
        return self.world.accept(listener)

    def meet(
        self,
        role: Role,
        notes: Handler,
        *,
        context: ssl.SSLContext | None = None,
        version: str = "TLSv1.3",
        limits: Limits | None = None,
        chunk: int = 0,
        budget: int | None = None,
        **options: Any,
    ) -> TlsPeer:
        """Our end in `role`, its peer scripted, the handshake not begun."""
        raw = self.raw(role, notes, limits=limits, **options)
        if context is None:
            context = foreign_context(role == "client", version)
        return TlsPeer(self.world, raw, context, server=role == "client", chunk=chunk, budget=budget)

    def open(
        self,
        role: Role,
        notes: Notes,
        *,
        version: str = "TLSv1.3",
        limits: Limits | None = None,
        **options: Any,
    ) -> TlsPeer:
        """The same with the handshake done."""
        peer = self.meet(role, notes, version=version, limits=limits, **options)
        self.world.run(lambda: peer.established and bool(notes.of("Opened")))
        return peer

    def ours(
        self, server: Notes, client: Notes, *, limits: Limits | None = None
    ) -> tuple[Connection, Connection]:
        """Both ends ours, in managers of their own, open: the client's and the server's connection."""
        listener = self.serve(server, limits=limits)
        connection = self.dial(listener.address.port, client, limits=limits)
        self.world.run(lambda: bool(server.of("Opened")) and bool(client.of("Opened")))
        return connection, server.connection

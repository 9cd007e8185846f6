"""One `ssl.SSLContext` for each configuration (and credential), built at its first use, then shared."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from mungos.errors import Malformed, Misuse
from mungos.tls.config import ClientConfig, Credential, ServerConfig
from mungos.tls.engines.foreign.contexts import ServerContexts
from mungos.tls.engines.foreign.credentials import check_places, names_of
from mungos.tls.engines.foreign.refusals import refuse_what_is_lacking
from mungos.x509 import CertificateError, certificates_from_pem, check_end_entity, system_trust_store

if TYPE_CHECKING:
    from mungos.tls.engines.foreign.pipe import Judge

__all__ = ["Shared", "client_context", "server_contexts"]

# RFC 9325 section 4.2: forward secrecy and authenticated encryption only. These are the suites of TLS 1.2;
# those of TLS 1.3 are not chosen by this string.
_SUITES_12 = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20"

# What a configuration may ask of this engine. Sessions that a client would resume are not kept.
_HAS = frozenset({"TLSv1.3", "provider", "resumption", "tickets"})

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Shared:
    """What sessions share.

    Attributes:
        context: the library's.
        judge: what the peer's own certificate is held to besides, once the library believes it; None where
            the peer is not verified.
    """

    context: ssl.SSLContext
    judge: Judge | None


_clients: WeakKeyDictionary[ClientConfig, Shared] = WeakKeyDictionary()
_servers: WeakKeyDictionary[ServerConfig, ServerContexts[Shared]] = WeakKeyDictionary()


def client_context(config: ClientConfig) -> Shared:
    """The context of a client's configuration. Raises Misuse where it can't work."""
    shared = _clients.get(config)
    if shared is not None:
        return shared
    refuse_what_is_lacking("openssl", config, _HAS)
    context = _context(ssl.PROTOCOL_TLS_CLIENT, config.minimum_version, config.alpn)
    context.hostname_checks_common_name = False  # RFC 9525 section 2
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif config.roots is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, config.roots, "roots")
    if config.credential is not None:
        _load(context, config.credential)
    judge = _judge(config.roots, server=True) if config.verify else None
    shared = _clients[config] = Shared(context, judge)
    return shared


def server_contexts(config: ServerConfig) -> ServerContexts[Shared]:
    """The contexts of a server's configuration. Raises Misuse where it can't work."""
    contexts = _servers.get(config)
    if contexts is not None:
        return contexts
    refuse_what_is_lacking("openssl", config, _HAS)
    if config.client_auth != "none" and config.client_roots is None:
        raise Misuse(f'client_auth is "{config.client_auth}", but client_roots names no issuer to trust')
    made = []
    judge = None if config.client_auth == "none" else _judge(config.client_roots, server=False)
    for credential in config.credentials:
        context = _context(ssl.PROTOCOL_TLS_SERVER, config.minimum_version, config.alpn)
        context.verify_mode = _CLIENT_AUTH[config.client_auth]
        # Tickets are sealed with keys of the context's own, which live as long as the configuration.
        context.num_tickets = config.tickets.count if config.tickets else 0
        if config.tickets is None:
            context.options |= ssl.OP_NO_TICKET
        if config.client_roots is not None:
            _trust(context, config.client_roots, "client_roots")
        _load(context, credential)
        made.append(Shared(context, judge))
    names = tuple(names_of(credential) for credential in config.credentials)
    alpn = tuple(name.encode("ascii") for name in config.alpn)
    contexts = _servers[config] = ServerContexts(tuple(made), names, alpn)
    return contexts


def _context(protocol: ssl._SSLMethod, minimum_version: str, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = _VERSIONS[minimum_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_SUITES_12)
    if alpn:
        try:
            context.set_alpn_protocols(list(alpn))
        except (ValueError, ssl.SSLError) as error:
            raise Misuse(f"alpn {alpn!r}: each name is 1 to 255 bytes of ASCII") from error
    return context


def _trust(context: ssl.SSLContext, pem: bytes, what: str) -> None:
    blocks = _CERTIFICATE.findall(pem)
    try:
        context.load_verify_locations(cadata=b"\n".join(blocks).decode("ascii"))
    except (ValueError, ssl.SSLError) as error:
        raise Misuse(f"{what}: not readable as PEM certificates: {error}") from error
    # RFC 5280 section 6.1.1: whatever the caller trusts is an anchor, self-signed or not.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _judge(roots: bytes | None, *, server: bool) -> Judge:
    """OpenSSL lets pass what path validation forbids, such as an issuer's certificate in the place of the
    peer's own: the verdict is that of the other engines.

    Args:
        roots: as in the configuration.
        server: whether it is servers that are judged.
    """
    trusted = frozenset(_CERTIFICATE.findall(roots)) if roots is not None else None

    def judge(chain: Sequence[bytes]) -> CertificateError | None:
        leaf = chain[0]
        try:
            check_end_entity(leaf, server=server)
        except CertificateError as error:
            if leaf in (system_trust_store() if trusted is None else _ders(trusted)):
                return None  # trusted as it stands
            return error
        return None

    return judge


def _ders(blocks: Iterable[bytes]) -> set[bytes]:
    found = set()
    for block in blocks:
        with suppress(Malformed):
            found.update(certificates_from_pem(block))
    return found


def _load(context: ssl.SSLContext, credential: Credential) -> None:
    """`load_cert_chain` wants a path: a file in memory where possible, else a private one for a moment."""
    # It looks for both in one text, and would find them in the wrong places.
    check_places(credential)
    pem = credential.chain.rstrip() + b"\n" + credential.key
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("credential", os.MFD_CLOEXEC)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(pem)
            path = Path(f"/proc/self/fd/{descriptor}")
            if path.exists():
                _load_file(context, path)
                return
        finally:
            os.close(descriptor)
    with tempfile.TemporaryDirectory() as folder:  # mode 0700, removed at once, also on failure
        path = Path(folder, "credential.pem")
        path.touch(mode=0o600)
        path.write_bytes(pem)
        _load_file(context, path)


def _load_file(context: ssl.SSLContext, path: Path) -> None:
    try:
        # Without a password given, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(path, password=b"")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        words = getattr(error, "reason", None) or error.__class__.__name__
        raise Misuse(
            f"credential: can't be used ({words}): PEM, leaf first, unencrypted key of that leaf"
        ) from error

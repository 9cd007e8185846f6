"""TLS of the commands that listen: certificates, who must show one, and all of it read again on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from mungos import Manager
from mungos.cli.authorities import read_authorities
from mungos.cli.development_certificate import DevelopmentCertificate, make_development_certificate
from mungos.cli.engine_choice import checked_engine
from mungos.cli.explaining import day_text
from mungos.cli.negotiating import HANDSHAKE_OPTIONS, bundled, handshake, read_credential, set_up_failure
from mungos.cli.parameter_types import OUTPUT_FILE
from mungos.cli.statuses import NotStarted
from mungos.errors import Misuse, ProtocolError
from mungos.own_files import write_whole
from mungos.printable import printable
from mungos.tls import Credential, ExternalPsk, ServerConfig, TicketKeys, select
from mungos.url import URL
from mungos.x509 import Certificate, certificates_from_pem

__all__ = ["Secured", "ServerTLS", "secured", "server_tls_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_LOOPBACK = frozenset({"", "::", "0.0.0.0", "localhost", "127.0.0.1", "::1"})
_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """The options of `server_tls_options`, as given."""

    certs: tuple[Path, ...]
    keys: tuple[Path, ...]
    save_cert: Path | None
    client_authorities: tuple[Path, ...]
    client_auth: Literal["optional", "required"] | None
    groups: tuple[str, ...] | None
    suites: tuple[str, ...] | None
    keylog: Path | None
    psks: tuple[ExternalPsk, ...]
    engine: str
    provider: str | None

    @property
    def given(self) -> bool:
        """Whether any of them was."""
        return self.engine != "auto" or any(
            getattr(self, field.name) for field in fields(self) if field.name != "engine"
        )


def server_tls_options(command: Command) -> Command:
    """The options; the command takes them as `tls`."""
    options = [
        click.option(
            "--tls-cert",
            "certs",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="CHAIN.pem",
            help="Certificates, leaf first; repeatable, each with its --tls-key: the client's name and "
            "signature schemes choose. Without it, and without --tls-psk, TLS uses a self-made one, for "
            "development only.",
        ),
        click.option(
            "--tls-key",
            "keys",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="KEY.pem",
            help="The certificate's private key; repeatable, in the same order.",
        ),
        click.option(
            "--save-cert",
            type=OUTPUT_FILE,
            metavar="FILE",
            help="Write the certificate used (of several, the first) to FILE, for the --tls-ca of clients.",
        ),
        click.option(
            "--tls-client-ca",
            "client_authorities",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE|DIR",
            help="Ask clients for a certificate of these issuers (PEM; of a directory, all files); "
            "repeatable.",
        ),
        click.option(
            "--tls-client-auth",
            "client_auth",
            type=click.Choice(["required", "optional"]),
            help="Whether a client must show one. Default with --tls-client-ca: required.",
        ),
        *HANDSHAKE_OPTIONS,
    ]
    command = bundled(ServerTLS)(command)
    for option in reversed(options):
        command = option(command)
    return command


class Secured:
    """How the secure ones of a command's listeners are secured.

    Attributes:
        engine: the TLS engine's name.
    """

    def __init__(self, options: ServerTLS, config: ServerConfig | None) -> None:
        self.engine = options.engine
        self._options = options
        self._config = config

    def config(self, url: URL, alpn: tuple[str, ...] = ()) -> ServerConfig | None:
        """The configuration for an address; None for one in plain text."""
        if not url.secure or self._config is None:
            return None
        return replace(self._config, alpn=alpn) if alpn else self._config

    def reload(self, manager: Manager) -> str:
        """Read the files again; connections accepted from now on get what is in them.

        Returns:
            What was done, in words.

        Raises:
            NotStarted: they can't be used; everything stays as it was.
        """
        old, options = self._config, self._options
        if old is None or not (options.certs or options.client_authorities):
            return "there are no certificate files to read again"
        credentials = _credentials(options) or old.credentials
        client_roots = read_authorities(options.client_authorities)
        if client_roots == old.client_roots and _same(credentials, old.credentials):
            return "the certificate files have not changed"
        # Tickets from before would let clients in by what an old configuration had found good.
        new = replace(old, credentials=credentials, client_roots=client_roots, tickets=TicketKeys())
        _check(options, new)
        self._config = new
        for listener in manager.listeners.values():
            if listener.url.secure:
                listener.use_tls(new)
        return "new connections get " + ("; ".join(map(_described, credentials)) or "pre-shared keys only")


def secured(urls: list[URL], options: ServerTLS, say: Callable[[str], None]) -> Secured:
    """The configuration for those of the addresses that are secure.

    Args:
        urls: where it listens.
        options: as given.
        say: takes lines about a certificate that was made for lack of one.

    Raises:
        UsageError: options that contradict each other, or without a secure address.
        NotStarted: a file can't be read, does not hold what it should, or the engine can't do it.
    """
    checked_engine(options.engine, options.provider)
    if len(options.certs) != len(options.keys):
        raise click.UsageError(
            f"--tls-cert and --tls-key belong together: there are {len(options.certs)} of the one "
            f"and {len(options.keys)} of the other"
        )
    if options.client_auth and not options.client_authorities:
        raise click.UsageError(
            "--tls-client-auth needs --tls-client-ca: who issues the clients' certificates?"
        )
    if not any(url.secure for url in urls):
        if options.given:
            raise click.UsageError("TLS options are of no use here: no --listen URL is https, tls or wss")
        return Secured(options, None)
    if options.psks and options.client_authorities and options.client_auth != "optional":
        raise click.UsageError(
            "whoever has a pre-shared key can't be asked for a certificate: --tls-psk with --tls-client-ca "
            "needs --tls-client-auth optional"
        )
    if options.save_cert is not None and options.psks and not options.certs:
        raise click.UsageError("--save-cert: there is no certificate, but only --tls-psk")
    agreed = handshake(options.groups, options.suites, options.keylog)
    client_roots = read_authorities(options.client_authorities)
    made = None if options.certs or options.psks else _development_certificate(urls)
    config = ServerConfig(
        _credentials(options) if made is None else (made.credential,),
        client_roots=client_roots,
        client_auth="none" if client_roots is None else options.client_auth or "required",
        groups=agreed.groups,
        suites=agreed.suites,
        tickets=TicketKeys(),
        keylog=agreed.keylog,
        psks=options.psks,
        provider=options.provider,
    )
    _check(options, config)
    if made is not None:
        say(f"development certificate for {', '.join(made.names)}, until {made.not_after:%Y-%m-%d}")
        say(f"certificate fingerprint (SHA-256): {made.fingerprint}")
        say(f"public key hash (SHA-256 of SPKI): {made.spki_sha256}")
    if agreed.keylog is not None:
        agreed.keylog.open()
    if options.save_cert is not None:
        try:
            write_whole(os.fspath(options.save_cert), config.credentials[0].chain, 0o666)
        except OSError as error:
            raise NotStarted(f"can't write {options.save_cert}: {error.strerror}") from None
    return Secured(options, config)


def _credentials(options: ServerTLS) -> tuple[Credential, ...]:
    return tuple(read_credential(chain, key) for chain, key in zip(options.certs, options.keys, strict=True))


def _same(ones: Sequence[Credential], others: Sequence[Credential]) -> bool:
    return [(one.chain, one.key) for one in ones] == [(other.chain, other.key) for other in others]


def _check(options: ServerTLS, config: ServerConfig) -> None:
    """Whether the engine can work with it. Raises NotStarted, naming the file that is to blame."""
    engine = select(options.engine, options.provider)
    # First one by one and without the roots, so that the message is about what is bad.
    for place, credential in enumerate(config.credentials):
        alone = replace(config, credentials=(credential,), client_roots=None, client_auth="none")
        try:
            engine.server(alone).release()
        except Misuse as error:
            of = f"{options.certs[place]}: " if options.certs else ""
            raise set_up_failure(engine.name, error, f"the certificate can't be used: {of}") from None
    try:
        engine.server(config).release()
    except Misuse as error:
        raise set_up_failure(engine.name, error) from None


def _described(credential: Credential) -> str:
    """A certificate's first names and its last day."""
    try:
        leaf = Certificate(certificates_from_pem(credential.chain)[0])
        names = leaf.dns_names
    except (ProtocolError, IndexError):
        return "a certificate"
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    until = day_text(leaf.not_after)
    return printable(f"a certificate for {shown or 'no name'} until {until}, serial {leaf.serial:x}")


def _development_certificate(urls: list[URL]) -> DevelopmentCertificate:
    names = [url.host for url in urls if url.secure and url.host not in _LOOPBACK]
    try:
        return make_development_certificate(names)
    except Misuse as error:
        raise NotStarted(f"{error}; or give --tls-cert and --tls-key") from None

"""What the commands that connect have in common: whom they trust, as whom they show themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from mungos.cli.authorities import read_authorities
from mungos.cli.engine_choice import checked_engine
from mungos.cli.negotiating import HANDSHAKE_OPTIONS, bundled, handshake, read_credential, set_up_failure
from mungos.errors import Misuse
from mungos.tls import ClientConfig, ExternalPsk
from mungos.url import URL, parse

__all__ = ["ClientTLS", "Trust", "client_options", "target", "trust"]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Trust:
    """How the peer is verified.

    Attributes:
        tls: None for a URL without TLS.
        server_name: the name asked for in place of the URL's host.
        engine: the TLS engine's name.
    """

    tls: ClientConfig | None
    server_name: str | None
    engine: str


@dataclass(frozen=True, slots=True)
class ClientTLS:
    """The options of `client_options`, as given."""

    authorities: tuple[Path, ...]
    tls_name: str | None
    insecure: bool
    cert: Path | None
    key: Path | None
    groups: tuple[str, ...] | None
    suites: tuple[str, ...] | None
    keylog: Path | None
    psks: tuple[ExternalPsk, ...]
    engine: str
    provider: str | None

    @property
    def given(self) -> bool:
        """Whether any of them was."""
        names = (field.name for field in fields(self) if field.name != "engine")
        return self.engine != "auto" or any(getattr(self, name) for name in names)


def client_options(command: Command) -> Command:
    """The options of a command that connects; the command takes them as `tls`."""
    options = [
        click.option(
            "--cacert",
            "--tls-ca",
            "authorities",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE|DIR",
            help="Trust these certificates (PEM; of a directory, all files) in place of the system's; "
            "repeatable.",
        ),
        click.option(
            "--tls-name",
            metavar="NAME",
            help="The name that the certificate must bear; the URL's host otherwise.",
        ),
        click.option(
            "--insecure", is_flag=True, help="Accept any certificate and any name: for experiments only."
        ),
        click.option(
            "--tls-cert",
            "cert",
            type=click.Path(path_type=Path),
            metavar="CHAIN.pem",
            help="Our own certificate, for a server that asks for one.",
        ),
        click.option(
            "--tls-key",
            "key",
            type=click.Path(path_type=Path),
            metavar="KEY.pem",
            help="Our certificate's private key.",
        ),
        *HANDSHAKE_OPTIONS,
    ]
    command = bundled(ClientTLS)(command)
    for option in reversed(options):
        command = option(command)
    return command


def target(text: str, schemes: tuple[str, ...], instead: str) -> URL:
    """The URL to connect to.

    Args:
        text: as given.
        schemes: what the command speaks.
        instead: what to use for the others.

    Raises UsageError for what is no URL, or of another scheme.
    """
    try:
        url = parse(text, schemes=schemes)
    except Misuse as error:
        raise click.UsageError(str(error)) from None
    if url.scheme not in schemes:
        raise click.UsageError(f"this command speaks {', '.join(schemes)}, not {url.scheme}: {instead}")
    return url


def trust(url: URL, options: ClientTLS, alpn: tuple[str, ...] = ()) -> Trust:
    """From the options to a configuration that works; loud where nothing is verified.

    Raises:
        UsageError: options that contradict each other.
        NotStarted: a file can't be read, does not hold what it should, or the engine can't do it.
    """
    engine = checked_engine(options.engine, options.provider)
    if not url.secure:
        if options.given:
            raise click.UsageError(f"{url.scheme} is plain text: TLS options need tls, https or wss")
        return Trust(None, None, options.engine)
    if (options.cert is None) is not (options.key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both, or neither")
    if options.insecure and options.authorities:
        raise click.UsageError("--insecure and --cacert contradict each other: leave one out")
    agreed = handshake(options.groups, options.suites, options.keylog)
    config = ClientConfig(
        roots=read_authorities(options.authorities),
        verify=not options.insecure,
        credential=read_credential(options.cert, options.key) if options.cert and options.key else None,
        alpn=alpn,
        groups=agreed.groups,
        suites=agreed.suites,
        keylog=agreed.keylog,
        psks=options.psks,
        provider=options.provider,
    )
    try:
        engine.client(config, options.tls_name or url.host).release()
    except Misuse as error:
        raise set_up_failure(engine.name, error) from None
    if agreed.keylog is not None:
        agreed.keylog.open()
    if options.insecure:
        click.echo("mungos: --insecure: the peer is NOT verified, anybody may be at the other end", err=True)
    return Trust(config, options.tls_name, options.engine)

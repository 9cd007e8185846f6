"""What the commands that connect have in common: whom they trust, as whom they show themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from mungos.cli.engine_choice import checked_engine, engine_option
from mungos.cli.statuses import NotStarted
from mungos.errors import Misuse
from mungos.tls import ClientConfig, Credential, select
from mungos.url import URL, parse

__all__ = ["Trust", "client_options", "target", "trust"]

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


def client_options(command: Command) -> Command:
    """The options of a command that connects."""
    options = [
        click.option(
            "--cacert",
            "--tls-ca",
            "cacert",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Trust these certificates (PEM) in place of the system's.",
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
            "--tls-cert", type=click.Path(path_type=Path), metavar="CHAIN.pem", help="Our own certificate."
        ),
        click.option(
            "--tls-key",
            type=click.Path(path_type=Path),
            metavar="KEY.pem",
            help="Our certificate's private key.",
        ),
        engine_option,
    ]
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
        url = parse(text)
    except Misuse as error:
        raise click.UsageError(str(error)) from None
    if url.scheme not in schemes:
        raise click.UsageError(f"this command speaks {', '.join(schemes)}, not {url.scheme}: {instead}")
    return url


def trust(
    url: URL,
    *,
    cacert: Path | None,
    tls_name: str | None,
    insecure: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    engine: str,
    alpn: tuple[str, ...] = (),
) -> Trust:
    """From the options to a configuration that works; loud where nothing is verified.

    Raises:
        UsageError: options that contradict each other.
        NotStarted: a file can't be read, or does not hold what it should.
    """
    checked_engine(engine)
    if not url.secure:
        if cacert or tls_name or insecure or tls_cert or tls_key:
            raise click.UsageError(f"{url.scheme} is plain text: TLS options need tls, https or wss")
        return Trust(None, None, engine)
    if (tls_cert is None) is not (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together: give both, or neither")
    if insecure and cacert is not None:
        raise click.UsageError("--insecure and --cacert contradict each other: leave one out")
    try:
        config = ClientConfig(
            roots=None if cacert is None else cacert.read_bytes(),
            verify=not insecure,
            credential=Credential.from_files(tls_cert, tls_key) if tls_cert and tls_key else None,
            alpn=alpn,
        )
    except OSError as error:
        raise NotStarted(f"can't read {error.filename}: {error.strerror}") from None
    try:
        select(engine).client(config, tls_name or url.host).release()
    except Misuse as error:
        raise NotStarted(f"TLS can't be set up: {error}") from None
    if insecure:
        click.echo("mungos: --insecure: the peer is NOT verified, anybody may be at the other end", err=True)
    return Trust(config, tls_name, engine)

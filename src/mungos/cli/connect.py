"""`mungos connect`: standard input to the peer, the peer to standard output."""

from __future__ import annotations

import click
from click.core import ParameterSource

from mungos import (
    Closed,
    Connection,
    Datagram,
    DatagramConnection,
    DatagramError,
    Ended,
    Manager,
    Opened,
    Received,
    Timer,
    Writable,
)
from mungos.cli.negotiating import ALPN_LIST
from mungos.cli.sizes import SECONDS
from mungos.cli.standard_streams import StandardInput
from mungos.cli.statuses import STATUSES, Failure
from mungos.cli.talking import Talk, remark
from mungos.cli.trusting import ClientTLS, Trust, client_options, target, trust
from mungos.cli.ws import Conversation, converse
from mungos.core.datagrams import MAX_DATAGRAM
from mungos.url import URL

__all__ = ["connect"]

_SCHEMES = ("tcp", "tls", "unix", "udp", "ws", "wss")


@click.command(
    epilog=f"""\b
Examples:
  printf 'HEAD / HTTP/1.0\\r\\n\\r\\n' | mungos connect tls://example.org:443 -v
  mungos connect tls://127.0.0.1:7443 --tls-ca ca.pem --tls-groups secp384r1 --tls-alpn one,two -v
  mungos connect tcp://127.0.0.1:7000 < large.bin > echoed.bin
  echo ping | mungos connect udp://127.0.0.1:7000
  mungos connect wss://127.0.0.1:8443/ --cacert dev.pem --tls-keylog keys.log

{STATUSES}"""
)
@click.argument("url", metavar="URL")
@click.option("-v", "--verbose", is_flag=True, help="Say what TLS negotiated and how it ended.")
@click.option(
    "--within",
    type=SECONDS,
    metavar="SECONDS",
    help="For everything; without it there is no limit.",
)
@click.option(
    "--wait",
    type=SECONDS,
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="udp, ws, wss: after the end of input, how long a silence of the peer ends it.",
)
@click.option(
    "--tls-alpn",
    "alpn",
    type=ALPN_LIST,
    default=(),
    metavar="LIST",
    help="tls: protocols to offer, in order of preference.",
)
@client_options
def connect(
    *,
    url: str,
    verbose: bool,
    within: float | None,
    wait: float,
    alpn: tuple[str, ...],
    tls: ClientTLS,
) -> int:
    """Send standard input to the peer at URL, and write what it sends to standard output.

    tcp, tls and unix carry the bytes as they are: the end of input half-closes, and the peer's end is waited
    for. udp: each piece read (a line of a terminal) is a datagram. ws and wss: each line is a text message,
    as with `mungos ws`. The exit status is 0 only after a clean end.
    """
    place = target(url, _SCHEMES, "`mungos get` is for http, and tcp or tls for its bare bytes")
    if alpn and place.scheme != "tls":
        raise click.UsageError(f"--tls-alpn is for tls, not {place.scheme}")
    given = click.get_current_context().get_parameter_source("wait")
    if place.scheme in {"tcp", "tls", "unix"} and given is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"--wait is for udp, ws and wss: {place.scheme} waits for the peer's end")
    trusted = trust(place, tls, ("http/1.1",) if place.scheme == "wss" else alpn)
    if place.scheme in {"ws", "wss"}:
        return converse(place, trusted, Conversation(wait=wait), verbose=verbose, within=within)
    with Manager() as manager:
        talk = Talk(manager, place, verbose=verbose)
        if place.scheme == "udp":
            _Datagrams(talk, wait).connect(manager, place)
        else:
            _Stream(talk).connect(manager, place, trusted)
        return talk.run(within)


class _Stream:
    """tcp, tls, unix."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._input = StandardInput(talk.manager, self._take, talk.fail)

    def connect(self, manager: Manager, url: URL, trusted: Trust) -> None:
        """Begin."""
        self._talk.connection = manager.connect(
            url, self._handle, tls=trusted.tls, server_name=trusted.server_name, engine=trusted.engine
        )

    def _handle(self, connection: Connection, event: object) -> None:
        if isinstance(event, Opened):
            self._talk.opened(connection)
            self._input.start()
        elif isinstance(event, Received):
            self._talk.write(event.data)
        elif isinstance(event, Writable):
            self._input.go_on()
        elif isinstance(event, Ended) and self._talk.verbose:
            remark(f"the peer ended its direction: {event.how}")
        elif isinstance(event, Closed):
            self._talk.closed(event.reason)

    def _take(self, data: bytes) -> None:
        connection = self._talk.connection
        if not isinstance(connection, Connection) or connection.phase.value != "open":
            return
        if not data:
            connection.end()
        elif connection.send(data):
            self._input.go_on()


class _Datagrams:
    """udp."""

    def __init__(self, talk: Talk, wait: float) -> None:
        self._talk = talk
        self._wait = wait
        self._silence: Timer | None = None
        self._input = StandardInput(talk.manager, self._take, talk.fail, MAX_DATAGRAM)

    def connect(self, manager: Manager, url: URL) -> None:
        """Begin."""
        self._talk.connection = manager.connect(url, self._handle)

    def _handle(self, connection: DatagramConnection, event: object) -> None:
        if isinstance(event, Opened):
            self._talk.opened(connection)
            self._input.start()
        elif isinstance(event, Datagram):
            self._talk.write(event.data)
            if self._silence is not None:
                self._arm(connection)
        elif isinstance(event, Writable):
            self._input.go_on()
        elif isinstance(event, DatagramError):
            reason = event.error.strerror or str(event.error)
            self._talk.fail(Failure(f"{self._talk.url}: {reason}: does anything listen there?"))
        elif isinstance(event, Closed):
            self._talk.closed(event.reason)

    def _take(self, data: bytes) -> None:
        connection = self._talk.connection
        if not isinstance(connection, DatagramConnection) or connection.phase.value != "open":
            return
        if not data:
            self._arm(connection)
        elif connection.send(data):
            self._input.go_on()

    def _arm(self, connection: DatagramConnection) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._talk.manager.call_later(self._wait, connection.close)

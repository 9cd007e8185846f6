"""`mungos echo`: what comes is sent back, in every protocol that Mungos speaks."""

from __future__ import annotations

from functools import partial

import click

from mungos import (
    Connection,
    Datagram,
    DatagramConnection,
    Ended,
    Limits,
    Manager,
    Received,
    Writable,
)
from mungos.cli.negotiating import ALPN_LIST
from mungos.cli.securing import ServerTLS, secured
from mungos.cli.serving import addresses, listening, say, serve_until_signalled, server_options
from mungos.cli.sizes import SIZE
from mungos.cli.statuses import STATUSES
from mungos.http import Data, EndOfMessage, HTTPLimits, Request
from mungos.http import attach as http
from mungos.tls import ServerConfig
from mungos.url import SCHEMES, URL
from mungos.websocket import Message
from mungos.websocket import attach as websocket
from mungos.wires import Address

__all__ = ["echo"]

_ROOM = 1024 * 1024  # bytes unsent that a WebSocket may have before a message of full size is queued
_MAX_DATAGRAMS_UNSENT = 256 * 1024  # bytes
_FIRST_CLIENT_PORT = 1024
_ANSWERS = 1000  # datagrams a second to one peer
_IN_A_ROW = 1000  # answers to one peer; after them it misses one
_PEERS = 1024  # whose answers are counted


@click.command(
    epilog=f"""\b
Examples:
  mungos echo --listen tcp://127.0.0.1:7000 --listen udp://127.0.0.1:7000
  mungos echo --listen wss://127.0.0.1:8443 --allow-origin https://localhost:3000
  mungos echo --listen tls://127.0.0.1:7443 --tls-client-ca ca.pem --tls-groups secp384r1
  mungos echo --listen http://127.0.0.1:8000 --max-message 1G
  curl -T large.bin http://127.0.0.1:8000/ | cmp - large.bin

{STATUSES}"""
)
@server_options
@click.option(
    "--max-message",
    type=SIZE,
    default="16M",
    show_default=True,
    metavar="SIZE",
    help="Longest WebSocket message and longest HTTP body: 65536, 64k, 16M, 1G.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Whose pages may open a WebSocket; may be given several times. Without it: any.",
)
@click.option(
    "--tls-alpn",
    "alpn",
    type=ALPN_LIST,
    default=(),
    metavar="LIST",
    help="tls: protocols to agree to, in order of preference.",
)
def echo(
    *,
    listen: tuple[str, ...],
    close_within: float,
    quiet: bool,
    verbose: int,
    tls: ServerTLS,
    max_message: int,
    origins: tuple[str, ...],
    alpn: tuple[str, ...],
) -> int:
    """Send back what comes.

    tcp, tls and unix: the bytes, until the peer ends. udp: each datagram, up to 1,000 a second to a peer,
    which misses one after 1,000. ws and wss: each message. http and https: any method on any target is
    answered with 200 and the request's own body, while it is still coming; a WebSocket may be opened there,
    too.

    Each address is printed as `listening at URL` once it takes connections. SIGTERM or ^C lets what is under
    way complete, within --close-within; a second one cuts it short. SIGHUP reads certificates and keys again,
    for new connections.
    """
    if not listen:
        raise click.UsageError("say where: --listen tcp://127.0.0.1:7000, or another URL")
    urls = addresses(listen, tuple(SCHEMES))
    if alpn and not any(url.scheme == "tls" for url in urls):
        raise click.UsageError("--tls-alpn is for tls, and no --listen URL is")
    secure = secured(urls, tls, say)
    echoing = _Echo(max_message, origins or None)
    with Manager(limits=Limits(close_within=close_within, half_open=True)) as manager:
        for url in urls:
            protocols = alpn if url.scheme == "tls" else ()
            config = secure.config(url, protocols)
            listening(url, partial(echoing.listen, manager, url, config, secure.engine))
        return serve_until_signalled(manager, secure, close_within=close_within, quiet=quiet, verbose=verbose)


class _Echo:
    """The handlers, one for each kind of face."""

    def __init__(self, max_message: int, origins: tuple[str, ...] | None) -> None:
        self._max_message = max_message
        self._origins = origins
        self._http_limits = HTTPLimits(max_body=max_message)
        self._answers = _Answers()

    def listen(self, manager: Manager, url: URL, tls: ServerConfig | None, engine: str) -> None:
        """Listen at one URL."""
        if url.scheme in {"http", "https"}:
            http.listen(manager, url, self.on_http, tls=tls, engine=engine, http_limits=self._http_limits)
        elif url.scheme in {"ws", "wss"}:
            websocket.listen(
                manager,
                url,
                self.on_websocket,
                tls=tls,
                engine=engine,
                max_message=self._max_message,
                max_unsent=self._max_message + _ROOM,
                origins=self._origins,
            )
        elif url.scheme == "udp":
            manager.listen(url, self.on_datagram)
        else:
            manager.listen(url, self.on_stream, tls=tls, engine=engine)

    def on_stream(self, connection: Connection, event: object) -> None:
        """tcp, tls, unix: whoever does not read its echo is not read."""
        if isinstance(event, Received):
            if not connection.send(event.data):
                connection.pause()
        elif isinstance(event, Writable):
            connection.resume()
        elif isinstance(event, Ended):
            connection.end()

    def on_datagram(self, socket: DatagramConnection, event: object) -> None:
        """udp. Two echoes would play with one forged datagram for ever: so ports below 1024 get no answer,
        nobody gets more than 1,000 a second, and after 1,000 in a row everybody misses one, which ends such a
        game however long the way is."""
        if isinstance(event, Datagram) and event.peer.port >= _FIRST_CLIENT_PORT:
            # What UDP can't carry away is lost, as it may be anyway.
            if socket.unsent <= _MAX_DATAGRAMS_UNSENT and self._answers.allow(event.peer, socket.manager.now):
                socket.send(event.data, event.peer)

    def on_http(self, session: http.ServerConnection, event: object) -> None:
        """http, https: the answer streams while the request does."""
        if isinstance(event, Request):
            if "websocket" in event.upgrade and not event.has_body:
                self._upgrade(session)
            elif event.method == "CONNECT":
                # RFC 9110 section 9.3.6: 200 would make a tunnel of it, and a tunnel has no body.
                session.respond(405, b"no tunnels here\n", content_type="text/plain")
            else:
                _begin_answer(session, event)
        elif isinstance(event, Data):
            if not session.send_body(event.data):
                session.connection.pause()
        elif isinstance(event, EndOfMessage):
            if session.request is not None and session.request.method != "CONNECT":
                session.end_response()
        elif isinstance(event, Writable):
            session.connection.resume()

    def _upgrade(self, session: http.ServerConnection) -> None:
        websocket.upgrade(
            session,
            self.on_websocket,
            max_message=self._max_message,
            max_unsent=self._max_message + _ROOM,
            origins=self._origins,
        )

    def on_websocket(self, session: websocket.ServerConnection, event: object) -> None:
        """ws, wss."""
        if isinstance(event, Message):
            if not session.send(event.data):
                session.connection.pause()
        elif isinstance(event, Writable):
            session.connection.resume()


class _Answers:
    """For each peer of late a token bucket, and how many answers it had since it missed one.

    Of a game with so many datagrams under way each miss ends one, and there are at most a thousand answers
    between two misses.
    """

    def __init__(self) -> None:
        self._peers: dict[Address, tuple[float, float, int]] = {}
        self.refused = 0

    def allow(self, peer: Address, now: float) -> bool:
        """Whether one more answer is within the peer's rate, and not the one that it misses."""
        known = self._peers.pop(peer, None)
        if known is not None:
            left, when, row = known
        else:
            left, when, row = float(_ANSWERS), now, 0
            if len(self._peers) >= _PEERS:
                # Who was silent longest makes room, and leaves its row: games of very many peers end, too.
                row = self._peers.pop(next(iter(self._peers)))[2]
        left = min(left + (now - when) * _ANSWERS, float(_ANSWERS))
        allowed = left >= 1 and row < _IN_A_ROW
        if allowed:
            left -= 1
            row += 1
        else:
            self.refused += 1
            row = 0
        self._peers[peer] = (left, now, row)
        return allowed


def _begin_answer(session: http.ServerConnection, request: Request) -> None:
    # RFC 9110 section 10.1.1: once the final response has begun, nobody asks for the body any more.
    if request.expects_continue:
        session.send_continue()
    headers = []
    content_type = request.headers.get("content-type")
    if content_type is not None:
        headers.append(("Content-Type", content_type))
    length: int | None = 0
    if request.has_body:
        announced = request.headers.get("content-length")
        length = int(announced) if announced is not None else None
    session.start_response(200, headers, length)

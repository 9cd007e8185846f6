"""Name servers that are functions, and a lookup that is driven against them with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from mungos.dns import (
    Cache,
    CloseExchange,
    Failed,
    Family,
    Found,
    Header,
    Hosts,
    Lookup,
    Message,
    OpenStream,
    Resolved,
    ResolverConfig,
    SendDatagram,
    ServerAddress,
    Zone,
    decode,
    encode,
    respond,
)

ONE = ServerAddress("192.0.2.53")
TWO = ServerAddress("2001:db8::53")

BOTH = Resolved(("2001:db8::1", "192.0.2.1"))
ZONE = Zone({"example.com": ["192.0.2.1", "2001:db8::1"], "v4.example.com": ["192.0.2.4"]})

Server = Callable[[Message, bool], bytes | None]
"""Takes a query, and whether it came over a stream; answers, or stays silent."""


def zone(query: Message, stream: bool) -> bytes | None:
    """A good server."""
    return ZONE.answer(encode(query), stream=stream)


def silent(query: Message, stream: bool) -> bytes | None:
    """A server that drops everything."""
    return None


def says(rcode: int) -> Server:
    """A server that fails, with the question repeated."""
    return lambda query, stream: respond(query, rcode=rcode)


def bare(rcode: int, **flags: bool) -> Server:
    """A server that sends twelve octets."""
    return lambda query, stream: encode(
        Message(replace(Header(query.header.id, response=True, rcode=rcode), **flags))
    )


class Net:
    """Servers by address.

    Attributes:
        asked: whom a query went to, over what ("udp", "tcp"), with EDNS or not; in order.
    """

    def __init__(self, **servers: Server) -> None:
        self.servers = {ONE: servers.get("one", silent), TWO: servers.get("two", silent)}
        self.asked: list[tuple[str, str, str]] = []
        self.now = 100.0

    def lookup(
        self,
        host: str = "example.com",
        *,
        config: ResolverConfig | None = None,
        cache: Cache | None = None,
        families: Sequence[Family] = ("A", "AAAA"),
        within: float = 5.0,
    ) -> Resolved | Failed:
        """Look a host up; time passes where nobody answers."""
        numbers = count(0x1111)
        machine = Lookup(
            host,
            config=config or ResolverConfig(servers=(ONE,)),
            hosts=Hosts(),
            families=families,
            cache=cache,
            random=lambda size: next(numbers).to_bytes(size, "big"),
            now=self.now,
            within=within,
        )
        while True:
            event = machine.next_event()
            match event:
                case None:
                    assert machine.deadline is not None
                    self.now = machine.deadline
                    machine.expire(self.now)
                case SendDatagram(number, server, payload):
                    answer = self._answer(server, payload, False)
                    if answer is not None:
                        machine.receive_datagram(number, answer, self.now)
                case OpenStream(number, server, payload):
                    answer = self._answer(server, payload[2:], True)
                    if answer is not None:
                        machine.receive_stream(number, len(answer).to_bytes(2, "big") + answer, self.now)
                case Resolved() | Failed():
                    return event
                case CloseExchange() | Found():
                    pass

    def _answer(self, server: ServerAddress, payload: bytes, stream: bool) -> bytes | None:
        query = decode(payload)
        self.asked.append(
            (
                "one" if server == ONE else "two",
                "tcp" if stream else "udp",
                "plain" if query.edns is None else "edns",
            )
        )
        return self.servers[server](query, stream)

"""The lookup over the kernel's sockets, against a zone on the loopback address."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from mungos.dns.answers import Zone
from mungos.dns.config import ResolverConfig, ServerAddress
from mungos.dns.events import CloseExchange, Failed, OpenStream, Resolved, SendDatagram, ServerFailed
from mungos.dns.hosts import Hosts
from mungos.dns.lookup import Lookup

ZONE = Zone(
    {
        "www.example.com": ["example.com."],
        "example.com": ["192.0.2.1", "2001:db8::1"],
        "big.example.com": [f"2001:db8::{n:x}" for n in range(1, 65)],
    }
)


@contextmanager
def name_server() -> Iterator[tuple[ServerAddress, socket.socket, socket.socket]]:
    """A UDP socket and a TCP listener on one port."""
    for _ in range(20):
        with ExitStack() as stack:
            datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            datagrams.bind(("127.0.0.1", 0))
            port = datagrams.getsockname()[1]
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            listener.listen()
            yield ServerAddress("127.0.0.1", port), datagrams, listener
            return
    raise OSError("no port was free for both UDP and TCP")


def answer_stream(listener: socket.socket) -> None:
    # The query is small: it comes in one piece over the loopback, and in MSG_WAITALL's pieces at worst.
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(5)
        length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
        answer = ZONE.answer(connection.recv(length, socket.MSG_WAITALL), stream=True)
        assert answer is not None
        connection.sendall(len(answer).to_bytes(2, "big") + answer)


def resolve(host: str, config: ResolverConfig, *servers: socket.socket) -> Resolved | Failed:
    started = time.monotonic()
    machine = Lookup(host, config=config, hosts=Hosts(), random=os.urandom, now=started, within=8.0)
    clients: dict[int, tuple[socket.socket, bool]] = {}
    end: Resolved | Failed | None = None
    with ExitStack() as stack:
        while end is None:
            event = machine.next_event()
            if isinstance(event, SendDatagram | OpenStream):
                stream = isinstance(event, OpenStream)
                kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
                client = stack.enter_context(socket.socket(socket.AF_INET, kind))
                clients[event.exchange_id] = client, stream
                try:
                    client.connect(event.server)
                    client.send(event.payload)
                except OSError as error:
                    machine.exchange_failed(event.exchange_id, str(error), time.monotonic())
            elif isinstance(event, CloseExchange):
                clients.pop(event.exchange_id)[0].close()
            elif isinstance(event, Resolved | Failed):
                end = event
            elif event is not None:
                continue  # some addresses of more to come
            else:
                deadline = machine.deadline
                assert deadline is not None
                readable, _, _ = select.select(
                    [*servers, *(client for client, _ in clients.values())],
                    [],
                    [],
                    max(0.0, deadline - time.monotonic()),
                )
                for server in servers:
                    if server in readable and server.type == socket.SOCK_STREAM:
                        answer_stream(server)
                    elif server in readable:
                        query, peer = server.recvfrom(2048)
                        answer = ZONE.answer(query)
                        assert answer is not None
                        server.sendto(answer, peer)
                for exchange_id, (client, stream) in list(clients.items()):
                    if client in readable:
                        try:
                            data = client.recv(4096)
                        except OSError as error:
                            machine.exchange_failed(exchange_id, str(error), time.monotonic())
                            continue
                        if stream:
                            machine.receive_stream(exchange_id, data, time.monotonic())
                        else:
                            machine.receive_datagram(exchange_id, data, time.monotonic())
                machine.expire(time.monotonic())
        assert not clients
    return end


@pytest.mark.parametrize("use_stream", [False, True])
def test_a_name_is_resolved_over_the_loopback(use_stream: bool) -> None:
    with name_server() as (address, datagrams, listener):
        config = ResolverConfig(servers=(address,), use_stream=use_stream, grace=8.0)
        assert resolve("www.example.com", config, datagrams, listener) == Resolved(
            ("2001:db8::1", "192.0.2.1")
        )


def test_a_truncated_answer_is_fetched_over_tcp() -> None:
    with name_server() as (address, datagrams, listener):
        end = resolve("big.example.com", ResolverConfig(servers=(address,), grace=8.0), datagrams, listener)
        assert isinstance(end, Resolved)
        assert len(end.addresses) == 64


def test_where_nobody_listens_the_failure_says_so() -> None:
    with name_server() as (address, _, _):
        pass
    end = resolve("example.com", ResolverConfig(servers=(address,)))
    assert isinstance(end, Failed)
    assert isinstance(end.error, ServerFailed)
    assert "refused" in str(end.error).lower()

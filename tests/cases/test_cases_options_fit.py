"""What is given to a call and does not fit its URL is refused: it is used, or an error, never passed over."""

from __future__ import annotations

import socket
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from mungos import Manager
from mungos.addresses import AccessList
from mungos.errors import Closed, Misuse
from mungos.testing.tls import papers
from mungos.tls import ClientConfig
from tests.cases.world import Notes, World

CLIENT = ClientConfig(roots=papers.client_config(True).roots)
SERVER = papers.server_config(True)
GIVEN: dict[str, dict[str, dict[str, object]]] = {
    "connect": {
        "tls": {"tls": CLIENT, "server_name": "localhost"},
        "server_name": {"server_name": "localhost"},
        "protocol": {"protocol": lambda connection: connection.protocol},
    },
    "listen": {
        "tls": {"tls": SERVER},
        "protocol": {"protocol": lambda connection: connection.protocol},
        "access": {"access": AccessList("+10.0.0.0/8")},
        "max_connections": {"max_connections": 3},
        "backlog": {"backlog": 3},
    },
    "adopt": {
        "tls": {"tls": CLIENT, "server_name": "localhost"},
        "server_name": {"server_name": "localhost"},
        "a server's server_name": {"tls": SERVER, "server_name": "localhost"},
        "protocol": {"protocol": lambda connection: connection.protocol},
    },
}
USED = {
    *product(["connect"], ["tls", "unix"], ["tls"]),
    *product(["connect"], ["tls"], ["server_name"]),
    *product(["listen"], ["tls", "unix"], ["tls"]),
    *product(["connect", "listen"], ["tcp", "tls", "unix"], ["protocol"]),
    *product(["listen"], ["tcp", "tls"], ["access"]),
    *product(["listen"], ["tcp", "tls", "unix"], ["max_connections", "backlog"]),
    *product(["adopt"], ["a socket"], ["tls", "protocol"]),
}
CELLS = [
    (verb, scheme, argument)
    for verb, arguments in GIVEN.items()
    for scheme in (["a socket"] if verb == "adopt" else ["tcp", "tls", "udp", "unix"])
    for argument in arguments
]


def call(manager: Manager, verb: str, scheme: str, path: Path, given: dict[str, object]) -> object:
    """The verb at a URL of the scheme, with what such a URL needs and what is given."""
    url = (
        f"unix://{path}/socket"
        if scheme == "unix"
        else f"{scheme}://127.0.0.1:{'0' if verb == 'listen' else '9'}"
    )
    if scheme == "tls" and verb == "listen":
        given = {"tls": SERVER, **given}
    if scheme == "tls" and verb == "connect" and "tls" not in given:
        given = {"tls": CLIENT, **given}
    call: Callable[..., object] = getattr(manager, verb)
    return call(url, Notes(), **given)


@pytest.mark.parametrize(("verb", "scheme", "argument"), CELLS)
def test_what_is_given_is_used_or_refused_and_never_passed_over(
    verb: str, scheme: str, argument: str, tmp_path: Path
) -> None:
    given = GIVEN[verb][argument]
    with Manager() as manager:
        one, other = socket.socketpair()
        with one, other:

            def attempt() -> object:
                if verb == "adopt":
                    return manager.adopt(one, Notes(), **given)  # type: ignore[arg-type]
                return call(manager, verb, scheme, tmp_path, given)

            if (verb, scheme, argument) in USED:
                attempt()
                asked = verb != "listen" and (scheme == "tls" or "tls" in given)
                assert manager.ledger.made.get("engine", 0) == asked
            else:
                before = dict(manager.ledger.made)
                with pytest.raises(Misuse, match=r"server_name|plain text|don't fit|leave it out"):
                    attempt()
                assert dict(manager.ledger.made) == before
                assert (manager.connections, manager.listeners) == ({}, {})
                one.send(b"it is the caller's still")
        manager.close(0)


def test_a_server_that_starts_tls_has_no_name_to_verify_and_ends(world: World) -> None:
    notes = Notes()
    manager = world.manager()
    peer = world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    world.run(lambda: bool(notes.of("Opened")))
    with pytest.raises(Misuse, match="server_name is what a client verifies"):
        notes.connection.start_tls(SERVER, server_name="localhost")
    with pytest.raises(Closed):
        notes.connection.send(b"plain")
    world.run(lambda: peer.reset or peer.ended)
    assert not peer.received


def test_datagrams_to_which_tls_was_asked_never_leave() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, Manager() as manager:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        url = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        for given in ({"tls": CLIENT}, {"server_name": "localhost"}):
            with pytest.raises(Misuse):
                manager.connect(url, Notes(), **given)
        with pytest.raises(BlockingIOError):
            receiver.recv(1)


def test_who_accepted_a_connection_is_told_to_write_a_servers_configuration(world: World) -> None:
    notes = Notes()
    manager = world.manager()
    world.connect(str(manager.listen("tcp://127.0.0.1:0", notes).url))
    world.run(lambda: bool(notes.of("Opened")))
    with pytest.raises(
        Misuse, match=r"^config is None: write ServerConfig\(\(credential,\)\), or ClientConfig"
    ):
        notes.connection.start_tls(None)  # type: ignore[arg-type]

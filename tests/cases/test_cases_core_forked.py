"""In a forked child every verb of a manager, of its connections and of their faces is refused with Misuse."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Iterator

import pytest

from mungos import Connection, Listener, Manager, close_all, http, websocket
from mungos.core import DatagramConnection
from mungos.testing.tls.forking import in_child
from mungos.tls import ClientConfig
from tests.cases.world import Notes, World


def verdict(call: Callable[[], object]) -> str:
    """What came of a call."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - told to the parent
        return f"{type(error).__name__}: {str(error)[:60]}"
    return "it succeeded"


def refused_in_a_child(calls: dict[str, Callable[[], object]]) -> None:
    """Each of them must be Misuse that speaks of the fork."""

    def work() -> str:
        warnings.simplefilter("ignore")
        told = {name: verdict(call) for name, call in calls.items()}
        return "; ".join(
            f"{name}: {words}"
            for name, words in told.items()
            if not words.startswith("Misuse: this manager was made before a fork")
        )

    said, let_go = in_child(work)
    let_go()
    assert not said


def verbs_of(manager: Manager) -> dict[str, Callable[[], object]]:
    return {
        "listen": lambda: manager.listen("tcp://127.0.0.1:0", Notes()),
        "connect": lambda: manager.connect("tcp://127.0.0.1:1", Notes()),
        "adopt": lambda: manager.adopt(socket.socket(), Notes()),
        "call_soon": lambda: manager.call_soon(print),
        "call_later": lambda: manager.call_later(1.0, print),
        "poll": lambda: manager.poll(0),
        "turn": manager.turn,
        "run": manager.run,
        "stop": manager.stop,
        "begin_close": manager.begin_close,
        "close": manager.close,
        "close_all": lambda: close_all((manager,), 1.0),
    }


def verbs_of_a_connection(connection: Connection) -> dict[str, Callable[[], object]]:
    return {
        "send": lambda: connection.send(b"x"),
        "end": connection.end,
        "close": connection.close,
        "abort": connection.abort,
        "pause": connection.pause,
        "resume": connection.resume,
        "start_tls": lambda: connection.start_tls(ClientConfig(), server_name="localhost"),
        "upgrade": lambda: connection.upgrade(connection.protocol),
    }


@pytest.fixture
def kernel(time_factor: float) -> Iterator[World]:
    """A fork copies descriptors, and the memory wire has none."""
    made = World("kernel", time_factor)
    yield made
    made.close()


def test_manager_listener_and_connections(kernel: World) -> None:
    manager = kernel.manager()
    notes = Notes()
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    assert isinstance(listener, Listener)
    kernel.connect(str(listener.url))
    kernel.run(lambda: bool(notes.of("Opened")))
    datagrams = manager.listen("udp://127.0.0.1:0", Notes())
    assert isinstance(datagrams, DatagramConnection)
    refused_in_a_child(
        {
            **verbs_of(manager),
            **verbs_of_a_connection(notes.connection),
            "listener's close": listener.close,
            "udp send": lambda: datagrams.send(b"x", datagrams.local),
            "udp pause": datagrams.pause,
            "udp resume": datagrams.resume,
            "udp close": datagrams.close,
            "udp abort": datagrams.abort,
        }
    )
    # And the parent goes on.
    notes.send(b"still here")
    kernel.run(lambda: kernel.peers[0].received == b"still here")


def test_http_faces_also_when_the_fork_is_in_a_handler(kernel: World) -> None:
    manager = kernel.manager()
    told: list[str] = []

    def serve(session: http.ServerConnection, event: object) -> None:
        if not isinstance(event, http.Request):
            return
        for name, call in {
            "respond": lambda: session.respond(200, b"from the child"),
            "informational": lambda: session.informational(103),
            "start_response": lambda: session.start_response(200, length=5),
        }.items():
            told.append(name)
            refused_in_a_child({name: call})
        session.start_response(200, length=5)
        refused_in_a_child({"send_body": lambda: session.send_body(b"child")})
        session.send_body(b"whole")
        refused_in_a_child({"end_response": session.end_response})
        session.end_response()

    listener = http.listen(manager, "http://127.0.0.1:0", serve)
    peer = kernel.connect(f"tcp://127.0.0.1:{listener.url.port}")
    peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    kernel.run(lambda: peer.received.endswith(b"whole"))
    assert len(told) == 3


def test_an_http_request_and_a_websockets_messages(kernel: World) -> None:
    manager = kernel.manager()
    bare = kernel.listener()
    opened: list[http.ClientConnection] = []

    def fetch(session: http.ClientConnection, event: object) -> None:
        if type(event).__name__ == "Opened":
            opened.append(session)

    http.connect(manager, bare.url.replace("tcp", "http"), fetch)
    kernel.accept(bare)
    kernel.run(lambda: bool(opened))
    refused_in_a_child({"request": lambda: opened[0].request("GET", "/")})
    opened[0].request("POST", "/", length=5)
    refused_in_a_child({"send_body": lambda: opened[0].send_body(b"hello")})
    opened[0].send_body(b"hello")
    refused_in_a_child({"end_request": opened[0].end_request})
    for session in websocket_pair(kernel):
        refused_in_a_child(verbs_of_a_websocket(session))


def verbs_of_a_websocket(
    session: websocket.ServerConnection | websocket.ClientConnection,
) -> dict[str, Callable[[], object]]:
    return {
        "send": lambda: session.send("x"),
        "send_fragment": lambda: session.send_fragment("x", False),
        "ping": lambda: session.ping(b"x"),
        "close_with": lambda: session.close_with(1000),
    }


def websocket_pair(
    world: World,
) -> tuple[websocket.ServerConnection, websocket.ClientConnection]:
    """Both ends of a WebSocket, open."""
    manager = world.manager()
    sides: dict[str, object] = {}

    def noting(side: str) -> Callable[..., None]:
        def handler(session: object, event: object) -> None:
            if isinstance(event, websocket.Established):
                sides[side] = session

        return handler

    listener = websocket.listen(manager, "ws://127.0.0.1:0", noting("server"))
    websocket.connect(manager, f"ws://127.0.0.1:{listener.url.port}", noting("client"))
    world.run(lambda: len(sides) == 2)
    server, client = sides["server"], sides["client"]
    assert isinstance(server, websocket.ServerConnection)
    assert isinstance(client, websocket.ClientConnection)
    return server, client

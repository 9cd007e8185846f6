"""The options of listen, connect, adopt and start_tls are judged at the call: nothing is opened."""

from __future__ import annotations

import os
import signal
import socket
from array import array
from collections.abc import Callable
from dataclasses import replace

import pytest

from mungos import Limits, Listener, Manager, Opened, close_all, http, websocket
from mungos.dns import Hosts, ResolverConfig
from mungos.errors import Closed, Misuse
from mungos.tls import ClientConfig, Credential, ServerConfig
from mungos.url import URL
from mungos.websocket import handshake
from mungos.websocket.options import ServerOptions
from tests.cases.web import Web
from tests.cases.world import Notes, World

CREDENTIAL = Credential(
    b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
)
SERVER = ServerConfig((CREDENTIAL,))
CLIENT = ClientConfig()

Call = Callable[..., object]
Wrong = tuple[dict[str, object], tuple[str, ...]]


def handler(_face: object, _event: object) -> None:
    """Never called here."""


def listen(manager: Manager, **options: object) -> object:
    return manager.listen(**{"url": "tcp://127.0.0.1:0", "handler": handler, **options})  # type: ignore[arg-type]


def connect(manager: Manager, **options: object) -> object:
    return manager.connect(**{"url": "tcp://127.0.0.1:1", "handler": handler, **options})  # type: ignore[arg-type]


def listen_http(manager: Manager, **options: object) -> object:
    return http.listen(manager, **{"url": "http://127.0.0.1:0", "handler": handler, **options})  # type: ignore[arg-type]


def connect_http(manager: Manager, **options: object) -> object:
    return http.connect(manager, **{"url": "http://127.0.0.1:1", "handler": handler, **options})  # type: ignore[arg-type]


def listen_ws(manager: Manager, **options: object) -> object:
    return websocket.listen(manager, **{"url": "ws://127.0.0.1:0", "handler": handler, **options})  # type: ignore[arg-type]


def connect_ws(manager: Manager, **options: object) -> object:
    return websocket.connect(manager, **{"url": "ws://127.0.0.1:1", "handler": handler, **options})  # type: ignore[arg-type]


BOTH: list[Wrong] = [
    ({"handler": None}, ("handler", "None", "function")),
    ({"handler": "handler"}, ("handler", "'handler'")),
    ({"limits": {}}, ("limits", "a dict", "Limits(...)")),
    ({"limits": http.HTTPLimits()}, ("limits", "HTTPLimits: ", "Limits(...)")),
    ({"engine": None}, ("engine", "None", '"auto"')),
    ({"engine": 3}, ("engine", "3")),
    ({"url": 5}, ("url", "5", "tcp://host:port")),
    ({"url": None}, ("url", "None")),
    ({"url": b"tcp://127.0.0.1:0"}, ("url", "b'tcp:")),
    ({"tls": "ca.pem"}, ("tls", "'ca.pem'", "Config(")),
    ({"tls": True}, ("tls", "True")),
    ({"nosuch": 1}, ("nosuch",)),
]
LISTENING: list[Wrong] = [
    ({"tls": CLIENT}, ("tls", "a ClientConfig", "ServerConfig(")),
    ({"access": "+10.0.0.0/8"}, ("access", "'+10.0.0.0/8'", "AccessList('+10.0.0.0/8')")),
    ({"access": ["+10.0.0.0/8"]}, ("access", "a list", "AccessList(")),
    ({"max_connections": "3"}, ("max_connections", "'3'", "1 or more")),
    ({"max_connections": 0}, ("max_connections", "0", "1 or more")),
    ({"max_connections": True}, ("max_connections", "True")),
    ({"max_connections": 2.0}, ("max_connections", "2.0")),
]
CONNECTING: list[Wrong] = [
    ({"tls": SERVER}, ("tls", "a ServerConfig", "ClientConfig(")),
    ({"server_name": 5}, ("server_name", "5")),
    ({"server_name": ""}, ("server_name", "''")),
    ({"server_name": b"example.org"}, ("server_name", "b'example.org'")),
]
PLAIN: list[Wrong] = [({"protocol": "http"}, ("protocol", "'http'", "function"))]
BACKLOG: list[Wrong] = [
    ({"backlog": "128"}, ("backlog", "'128'")),
    ({"backlog": 0}, ("backlog", "0", "1 or more")),
    ({"backlog": -1}, ("backlog", "-1")),
]
HTTP: list[Wrong] = [
    ({"http_limits": {}}, ("http_limits", "a dict", "HTTPLimits(...)")),
    ({"http_limits": None}, ("http_limits", "None")),
    ({"http_limits": Limits()}, ("http_limits", "a Limits", "HTTPLimits(...)")),
]
WEBSOCKET: list[Wrong] = [
    ({"nosuch": 1}, ("nosuch", "max_message", "subprotocols")),
    ({"subprotocols": 3}, ("subprotocols", "3", '("chat"')),
    ({"subprotocols": ("a b",)}, ("subprotocols", "'a b'")),
    ({"subprotocols": ("a", "a")}, ("twice",)),
    ({"headers": "X: 1"}, ("pairs of name and value", "not a str")),
    ({"headers": 3}, ("headers", "3")),
    ({"headers": ({"X": "1"},)}, ("pairs of name and value",)),
    ({"headers": (("X", "a\r\nY: 1"),)}, ("field X", r"'\r'")),
    ({"headers": (("Upgrade", "x"),)}, ("Upgrade",)),
    ({"max_message": "4096"}, ("max_message", "'4096'")),
    ({"max_unsent": 10}, ("high_watermark", "max_unsent")),
    ({"ping_interval": float("nan")}, ("ping_interval", "nan", "or None")),
    ({"close_timeout": -1}, ("close_timeout", "-1")),
    ({"handshake_timeout": None}, ("handshake_timeout", "None")),
]
WEBSOCKET_SERVER: list[Wrong] = [
    ({"origins": 5}, ("origins", "5", "None to let every page in")),
    ({"origins": "*"}, ("origins", "'*'", "None to let every page in")),
    ({"origins": ("https://good.example/",)}, ("origins", "https://good.example/", "as browsers write")),
    ({"origins": ("good.example",)}, ("origins", "'good.example'")),
    ({"origins": ("https://Good.example",)}, ("origins", "Good")),
    ({"origins": ("https://good.example:443",)}, ("origins", ":443")),
    ({"origins": (b"https://good.example",)}, ("origins[0]", "b'https")),
    ({"origins": ""}, ("origins", "''")),
    ({"authorize": True}, ("authorize", "True", "function")),
    ({"origin": "https://good.example"}, ("origin", "origins")),
]
WEBSOCKET_CLIENT: list[Wrong] = [
    ({"origin": ("https://good.example",)}, ("origin", "a tuple")),
    ({"origin": "https://good.example\r\nX: 1"}, ("origin", r"\r\n")),
    ({"origins": "https://good.example"}, ("origins", "origin,")),
]
TABLE: list[tuple[Call, Wrong]] = [
    (call, wrong)
    for call, wrongs in (
        (listen, [*BOTH[:-1], *PLAIN, *LISTENING, *BACKLOG]),
        (connect, [*BOTH[:-1], *PLAIN, *CONNECTING]),
        (listen_http, [*BOTH[:-1], *LISTENING, *HTTP]),
        (connect_http, [*BOTH[:-1], *CONNECTING, *HTTP]),
        (listen_ws, [*BOTH, *LISTENING, *WEBSOCKET, *WEBSOCKET_SERVER]),
        (connect_ws, [*BOTH, *CONNECTING, *WEBSOCKET, *WEBSOCKET_CLIENT]),
    )
    for wrong in wrongs
]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(("call", "wrong"), TABLE)
def test_a_wrong_option_fails_at_the_call_and_nothing_is_opened(
    world: World, call: Call, wrong: Wrong
) -> None:
    given, says = wrong
    manager = world.manager()
    made, descriptors_before = dict(manager.ledger.made), descriptors()
    with pytest.raises(Misuse) as caught:
        call(manager, **given)
    message = str(caught.value)
    assert [word for word in says if word not in message] == [], message
    assert (dict(manager.ledger.made), descriptors()) == (made, descriptors_before)
    assert (manager.connections, manager.listeners) == ({}, {})


def test_a_wrong_option_leaves_an_adopted_socket_to_its_owner(world: World) -> None:
    manager = world.manager()
    one, other = socket.socketpair()
    with one, other:
        for given in ({"tls": "ca.pem"}, {"handler": None}, {"limits": 3}, {"server_name": 5}, {"engine": 1}):
            with pytest.raises(Misuse, match=next(iter(given))):
                manager.adopt(one, **{"handler": handler, **given})  # type: ignore[arg-type]
        one.send(b"x")
        assert other.recv(1) == b"x"
    assert manager.connections == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"config": "ca.pem"}, "config is"),
        ({"config": None}, "config is"),
        ({"config": True}, "config is"),
        ({"config": (CREDENTIAL,)}, "config is"),
        ({"config": CLIENT, "server_name": 5}, "server_name is 5"),
        ({"config": CLIENT, "engine": None}, "engine is None"),
    ],
    ids=str,
)
def test_start_tls_with_what_is_no_configuration_ends_the_connection(
    world: World, options: dict[str, object], says: str
) -> None:
    notes = Notes()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    peer = world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    connection = notes.connection
    with pytest.raises(Misuse, match=says):
        connection.start_tls(**options)  # type: ignore[arg-type]
    # Who has asked for TLS says nothing in the clear from there on.
    with pytest.raises(Closed):
        connection.send(b"plain")
    world.run(lambda: peer.reset or peer.ended)
    assert not peer.received


@pytest.mark.parametrize("within", ["5", -1, -0.1, float("nan"), float("inf"), True, b"1"], ids=repr)
def test_seconds_of_a_close_are_a_finite_number_that_is_not_negative(world: World, within: float) -> None:
    notes = Notes()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    calls: list[Call] = [
        manager.begin_close,
        manager.close,
        manager.poll,
        notes.connection.close,
        lambda seconds: manager.run(within=seconds),
        lambda seconds: manager.call_later(seconds, handler),
        lambda seconds: close_all([manager], seconds),
    ]
    for call in calls:
        with pytest.raises(Misuse, match=r"^(within|delay) is .*seconds, 0 or more"):
            call(within)
    assert len(manager.connections) == 1


def test_signals_are_a_sequence_of_numbers(world: World) -> None:
    manager = world.manager()
    for signals in (signal.SIGINT, "INT", ("INT",), None):
        with pytest.raises(Misuse, match="signals"):
            manager.run(signals=signals)  # type: ignore[arg-type]
    with pytest.raises(Misuse, match=r"managers is a Manager: write \[manager\]"):
        close_all(manager, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limits": {}}, r"limits is a dict: write Limits\(\.\.\.\)"),
        ({"resolver": ResolverConfig()}, r"resolver is a ResolverConfig: write both: \(ResolverConfig"),
        ({"resolver": (ResolverConfig(), {})}, "resolver is a tuple"),
        ({"resolver": (Hosts(), ResolverConfig())}, "resolver is a tuple"),
    ],
)
def test_a_manager_judges_its_options(options: dict[str, object], says: str) -> None:
    before = descriptors()
    with pytest.raises(Misuse, match=says):
        Manager(**options)  # type: ignore[arg-type]
    assert descriptors() == before


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (("http", "a\r\nX: 1", 80, "/"), r"a\\r\\nX: 1"),
        (("http", "a", 80, "/ HTTP/1.1\r\nX: 1"), "path"),
        (("nosuch", "a"), "scheme is 'nosuch'"),
        (("tcp", b"a"), "host"),
        (("tcp", "a", "80"), "port is '80'"),
        (("tcp", "a", 65536), "port is 65536"),
        (("http", "a", 80, "/", 0), "query is 0"),
    ],
)
def test_a_url_made_by_hand_is_judged_like_its_text(
    world: World, parts: tuple[object, ...], says: str
) -> None:
    manager = world.manager()
    call = http.connect if parts[0] == "http" else Manager.connect
    with pytest.raises(Misuse, match=says):
        call(manager, URL(*parts), handler)  # type: ignore[arg-type]
    assert manager.connections == {}


def answer(web: Web, listener: Listener, *fields: str) -> bytes:
    """The head of what a listener answers to a handshake with these fields."""
    peer = web.peer(listener)
    peer.say(REQUEST + "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n")
    web.run(lambda: b"\r\n\r\n" in peer.received)
    return bytes(peer.received)


def test_one_str_is_one_origin_and_never_searched(web: Web) -> None:
    listener = web.serve_sockets(web.watch(), origins="https://good.example")
    for origin, status in (
        ("https://good.example", b"101"),
        ("https://good.exam", b"403"),
        ("https", b"403"),
        ("", b"403"),
    ):
        assert answer(web, listener, f"Origin: {origin}").startswith(b"HTTP/1.1 " + status), origin


def test_one_str_is_one_subprotocol_and_not_its_letters(web: Web) -> None:
    listener = web.serve_sockets(web.watch(), subprotocols="chat")
    head = answer(web, listener, "Sec-WebSocket-Protocol: c, h, a, t, chat")
    assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in head
    assert b"Sec-WebSocket-Protocol" not in answer(web, listener, "Sec-WebSocket-Protocol: c, h")


REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def test_options_of_a_listener_are_judged_once_and_not_for_each_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[object] = []
    judge = ServerOptions.__post_init__

    def count(options: ServerOptions) -> None:
        judged.append(options)
        judge(options)

    monkeypatch.setattr(ServerOptions, "__post_init__", count)
    built: list[object] = []
    build = handshake.build_response

    def count_built(*arguments: object) -> bytes:
        built.append(arguments)
        return build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("mungos.websocket.server_session.build_response", count_built)
    opened: list[object] = []
    manager = world.manager()
    listener = websocket.listen(
        manager, "ws://127.0.0.1:0", lambda face, event: opened.append(event), subprotocols=["chat"]
    )
    for _ in range(5):
        world.connect(str(listener.url))
    world.run(lambda: len([event for event in opened if isinstance(event, Opened)]) == 5)
    assert (len(judged), len(built)) == (1, 0)


def test_alpn_is_filled_in_for_configurations_only() -> None:
    assert http.attach.with_alpn(replace(CLIENT, alpn=[])).alpn == ("http/1.1",)
    with pytest.raises(Misuse, match="tls is 'x'"):
        http.attach.with_alpn("x")  # type: ignore[type-var]


@pytest.mark.parametrize("data", ["text", 5, [1, 2], None, {}], ids=repr)
def test_what_is_no_bytes_is_not_sent_and_takes_nothing_with_it(world: World, data: bytes) -> None:
    notes = Notes()
    manager = world.manager()
    listener = manager.listen("tcp://127.0.0.1:0", notes)
    peer = world.connect(str(listener.url))
    world.run(lambda: bool(notes.of("Opened")))
    with pytest.raises(Misuse, match=r"data is .*: write bytes"):
        notes.connection.send(b"begun ", data)
    assert notes.connection.send(b"whole ", memoryview(array("H", [0x4141, 0x4141])), b"")
    assert notes.connection.unsent == 10
    world.run(lambda: peer.received == b"whole AAAA")


@pytest.mark.parametrize("data", [5, [1, 2], None, {}, ("x",)], ids=repr)
def test_what_is_no_message_leaves_a_websocket_whole(web: Web, data: bytes) -> None:
    watch = web.watch()
    peer = web.open_peer(web.serve_sockets(watch), watch)
    session = watch.socket
    for call in (session.send, session.ping, lambda data: session.send_fragment(data, True)):
        with pytest.raises(Misuse, match=r"data is .*: write bytes"):
            call(data)
    session.send("whole")
    web.run(lambda: peer.received.endswith(b"whole"))
    assert bytes(peer.received).endswith(b"\r\n\r\n\x81\x05whole") or bytes(peer.received) == b"\x81\x05whole"

"""What a call could not make use of is refused by it: limits not its own, names nobody speaks, paths."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from mungos import Limits, Manager, http, websocket
from mungos.errors import Misuse
from mungos.testing.tls import papers
from tests.cases.world import Notes

CLIENT = papers.client_config(True)
SERVER = papers.server_config(True)
OF_A_MANAGER = {"max_connections": 3, "reserved_descriptors": 5, "held_per_manager": 99, "turn_within": 0.5}
Call = Callable[..., object]


def each_opening(manager: Manager, one: socket.socket) -> dict[str, Call]:
    """Every call that takes limits."""
    return {
        "listen": lambda **given: manager.listen("tcp://127.0.0.1:0", Notes(), **given),
        "datagrams": lambda **given: manager.listen("udp://127.0.0.1:0", Notes(), **given),
        "connect": lambda **given: manager.connect("tcp://127.0.0.1:9", Notes(), **given),
        "adopt": lambda **given: manager.adopt(one, Notes(), **given),
        "http.listen": lambda **given: http.listen(manager, "http://127.0.0.1:0", Notes(), **given),
        "http.connect": lambda **given: http.connect(manager, "http://127.0.0.1:9", Notes(), **given),
        "websocket.listen": lambda **given: websocket.listen(manager, "ws://127.0.0.1:0", Notes(), **given),
        "websocket.connect": lambda **given: websocket.connect(manager, "ws://127.0.0.1:9", Notes(), **given),
    }


@pytest.mark.parametrize("name", OF_A_MANAGER)
def test_a_limit_of_a_whole_manager_given_to_a_call_is_refused(name: str) -> None:
    one, other = socket.socketpair()
    with one, other, Manager() as manager:
        for call in each_opening(manager, one).values():
            with pytest.raises(
                Misuse, match=rf"^{name} is .*give it to Manager\(limits=Limits\({name}="
            ) as no:
                call(limits=Limits(**{name: OF_A_MANAGER[name]}))  # type: ignore[arg-type]
            assert ("max_connections=... to this listen" in str(no.value)) == (name == "max_connections")
        assert not manager.ledger.census().get("descriptor")
        manager.close(0)


def test_limits_that_are_the_managers_or_nobodys_fit_every_call() -> None:
    own = Limits(**{**OF_A_MANAGER, "max_connections": 100})  # type: ignore[arg-type]
    for given in (own, replace(own, linger=0.5), Limits(linger=0.5)):
        one, other = socket.socketpair()
        with one, other, Manager(limits=own) as manager:
            for name, call in each_opening(manager, one).items():
                assert call(limits=given), name
            manager.close(0)


def test_the_limits_that_only_a_manager_looks_at_are_those_that_calls_refuse() -> None:
    refused = set()
    with Manager() as manager:
        for field in fields(Limits):
            default = getattr(Limits(), field.name)
            other = True if field.name == "half_open" else (default or 9) + 1
            try:
                manager.listen("tcp://127.0.0.1:0", Notes(), limits=Limits(**{field.name: other}))  # type: ignore[arg-type]
            except Misuse:
                refused.add(field.name)
        manager.close(0)
    assert refused == set(OF_A_MANAGER)


@pytest.mark.parametrize("alpn", [("h2", "http/1.1"), ("http/1.1", "h2"), ("spdy",)])
def test_a_protocol_that_http_and_websocket_do_not_speak_is_not_negotiated(alpn: tuple[str, ...]) -> None:
    server, client = replace(SERVER, alpn=alpn), replace(CLIENT, alpn=alpn)
    with Manager() as manager:
        for call in (
            lambda: http.listen(manager, "https://127.0.0.1:0", Notes(), tls=server),
            lambda: http.connect(manager, "https://127.0.0.1:9", Notes(), tls=client),
            lambda: websocket.listen(manager, "wss://127.0.0.1:0", Notes(), tls=server),
            lambda: websocket.connect(manager, "wss://127.0.0.1:9", Notes(), tls=client),
        ):
            with pytest.raises(Misuse, match=r"^alpn has .*write alpn=\(\'http/1.1\',\), or leave it out$"):
                call()
        assert not manager.ledger.made.get("engine")
        manager.close(0)


@pytest.mark.parametrize("module", [http, websocket])
def test_a_renewed_configuration_names_no_other_protocol_either(module: object) -> None:
    scheme = "https" if module is http else "wss"
    with Manager() as manager:
        listener = module.listen(manager, f"{scheme}://127.0.0.1:0", Notes(), tls=SERVER)  # type: ignore[attr-defined]
        listener.use_tls(replace(SERVER, alpn=("http/1.0",)))
        with pytest.raises(Misuse, match=r"^alpn has 'h2'"):
            listener.use_tls(replace(SERVER, alpn=("h2",)))
        plain = manager.listen("tls://127.0.0.1:0", Notes(), tls=SERVER)
        plain.use_tls(replace(SERVER, alpn=("h2",)))  # type: ignore[union-attr]
        manager.close(0)


def test_both_versions_of_http_1_may_be_negotiated() -> None:
    both = replace(SERVER, alpn=("http/1.1", "http/1.0"))
    assert http.attach.with_alpn(both) is both


@pytest.mark.parametrize("path", ["/sub", "/sub/", "/?x=1", "//"])
def test_http_is_served_at_every_path_and_a_url_with_one_is_refused(path: str) -> None:
    with Manager() as manager:
        with pytest.raises(Misuse, match=r"write http://127.0.0.1:0/, and look at Request.path$"):
            http.listen(manager, f"http://127.0.0.1:0{path}", Notes())
        assert (manager.connections, manager.listeners) == ({}, {})


def test_a_websocket_is_served_at_one_path_with_every_query() -> None:
    with Manager() as manager:
        with pytest.raises(Misuse, match=r"write ws://127.0.0.1:0/chat, and look at Request.query"):
            websocket.listen(manager, "ws://127.0.0.1:0/chat?room=1", Notes())
        websocket.listen(manager, "ws://127.0.0.1:0/chat", Notes())
        manager.close(0)

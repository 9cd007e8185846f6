"""Every field of every configuration is judged: a field that is added later can't be forgotten."""

from __future__ import annotations

import importlib
import inspect
import math
import os
import pkgutil
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import pytest

import mungos
from mungos import AccessList, Limits, Manager, checking, close_all
from mungos.dns import Cache, Hosts, Lookup, ResolverConfig
from mungos.errors import Misuse
from mungos.http import HTTPLimits
from mungos.tls import (
    ClientConfig,
    Credential,
    EarlyDataGuard,
    ExternalPsk,
    ServerConfig,
    SessionCache,
    TicketKeys,
)
from mungos.url import URL
from mungos.websocket import Rejection
from mungos.websocket.options import (
    ClientKeywords,
    ClientOptions,
    ClientSessionKeywords,
    ServerKeywords,
    ServerOptions,
    ServerSessionKeywords,
    SessionKeywords,
    SessionOptions,
)

CHAIN = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"

MAKERS: dict[type[Any], Callable[..., object]] = {
    Limits: Limits,
    HTTPLimits: HTTPLimits,
    ResolverConfig: ResolverConfig,
    ClientConfig: ClientConfig,
    ServerConfig: ServerConfig,
    Credential: lambda **given: Credential(**{"chain": CHAIN, "key": KEY, **given}),
    ExternalPsk: lambda **given: ExternalPsk(**{"identity": b"me", "key": bytes(16), **given}),
    Rejection: lambda **given: Rejection(**{"status": 404, **given}),
    SessionOptions: SessionOptions,
    ServerOptions: ServerOptions,
    ClientOptions: ClientOptions,
    AccessList: AccessList,
    Cache: Cache,
    EarlyDataGuard: EarlyDataGuard,
    Hosts: Hosts,
    SessionCache: SessionCache,
    TicketKeys: TicketKeys,
    URL: lambda **given: URL(**{"scheme": "tcp", **given}),
}
"""Each configuration, and how one is made of the rest of its fields."""

OUR_OWN = {
    # Made by this package, and handed in again.
    *("ClientConnection", "Connection", "DatagramConnection", "EngineFactory", "Listener", "Manager"),
    *("ServerConnection", "ServerSession"),
    # What happened, as this package tells it.
    *("CloseKind", "CloseReason", "Headers", "NameNotFound", "Negotiated", "Request", "Rule", "ServerFailed"),
    # Messages, judged where they are written.
    *("Edns", "Header", "Message", "Question", "Record"),
    # Judged in what they are given to: a configuration, or an engine's report on itself.
    *("AlertDescription", "Availability", "ServerAddress"),
    # A contract: what keeps it is the application's own.
    "Host",
}
"""Public classes that a public call takes and that are no configurations."""

OTHERS = ("mungos.__main__", "mungos.cli", "mungos.lab", "mungos.testing", "mungos.tls.engines.")
"""What has no configurations of the application's."""

PUBLIC = ("mungos", "mungos.dns", "mungos.http", "mungos.tls", "mungos.websocket")


class Given(NamedTuple):
    """A field, or an argument that makes an object."""

    name: str
    type: str


def given_to(kind: type[Any]) -> list[Given]:
    if is_dataclass(kind):
        return [Given(field.name, str(field.type)) for field in fields(kind)]
    return [Given(each.name, str(each.annotation)) for each in inspect.signature(kind).parameters.values()]


FIELDS = [(kind, field) for kind in MAKERS for field in given_to(kind)]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Given) else getattr(value, "__name__", "")


def refusal(kind: type[Any], field: Given, value: object) -> str:
    with pytest.raises(Misuse) as caught:
        MAKERS[kind](**{field.name: value})
    return str(caught.value)


def public_calls() -> list[Callable[..., object]]:
    """Public functions, and methods and makers of public classes."""
    found: list[Callable[..., object]] = []
    for package in map(importlib.import_module, PUBLIC):
        for each in (getattr(package, name) for name in package.__all__):
            parts = {"": each} if not inspect.isclass(each) else vars(each)
            for name, part in parts.items():
                call = getattr(part, "__func__", part)
                if inspect.isfunction(call) and (name == "__init__" or not name.startswith("_")):
                    found.append(call)
    return found


def test_every_configuration_by_its_name_is_in_this_table() -> None:
    found = set()
    for module in pkgutil.walk_packages(mungos.__path__, "mungos."):
        if module.name.startswith(OTHERS):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            public = isinstance(value, type) and is_dataclass(value) and not name.startswith("_")
            if public and name.endswith(("Config", "Limits", "Options", "Credential", "Psk")):
                found.add(value)
    assert found <= set(MAKERS)


def test_every_class_that_a_public_call_takes_is_in_this_table_or_named_as_no_configuration() -> None:
    public = {
        value: name
        for module in map(importlib.import_module, PUBLIC)
        for name, value in ((name, getattr(module, name)) for name in module.__all__)
        if inspect.isclass(value)
    }
    named = {name: kind for kind, name in public.items()}
    taken = set()
    for call in public_calls():
        for parameter in inspect.signature(call).parameters.values():
            for word in re.findall(r"\w+", str(parameter.annotation)):
                # What is imported for its type alone is known by its name.
                kind = call.__globals__.get(word, named.get(word))
                if inspect.isclass(kind) and kind in public:
                    taken.add(kind)
    assert {kind.__name__ for kind in taken - set(MAKERS)} == OUR_OWN
    assert {AccessList, Cache, EarlyDataGuard, Hosts, Limits, SessionCache, TicketKeys} <= taken


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=name_of)
def test_a_field_refuses_what_is_nothing_it_knows_and_is_named(kind: type[Any], field: Given) -> None:
    message = refusal(kind, field, object())
    assert field.name in message or (field.name == "headers" and "fields" in message)


NUMBERS = [(kind, field) for kind, field in FIELDS if str(field.type).split(" | ")[0] in ("int", "float")]


@pytest.mark.parametrize(("kind", "field"), NUMBERS, ids=name_of)
@pytest.mark.parametrize(
    "value", [True, -1, "1", math.nan, math.inf, -0.5, b"1", 10**400], ids=checking.shown
)
def test_a_number_is_no_bool_no_text_not_negative_and_a_float_holds_it(
    kind: type[Any], field: Given, value: object
) -> None:
    assert field.name in refusal(kind, field, value)


COLLECTIONS = [
    (kind, field) for kind, field in FIELDS if str(field.type).startswith(("Sequence[", "Iterable["))
]


@pytest.mark.parametrize(("kind", "field"), COLLECTIONS, ids=name_of)
@pytest.mark.parametrize("value", [b"x", 3, (b"x",), (3,), None], ids=repr)
def test_a_collection_is_not_made_of_what_is_none(kind: type[Any], field: Given, value: object) -> None:
    refusal(kind, field, value)


@pytest.mark.parametrize(("kind", "field"), COLLECTIONS, ids=name_of)
def test_a_str_is_never_taken_for_the_collection_of_its_characters(kind: type[Any], field: Given) -> None:
    if field.name == "subprotocols":
        assert MAKERS[kind](subprotocols="chat") == MAKERS[kind](subprotocols=("chat",))
    else:
        refusal(kind, field, "ab")


@pytest.mark.parametrize(
    ("kind", "keywords"),
    [
        (SessionOptions, SessionKeywords),
        (ServerOptions, ServerKeywords),
        (ServerOptions, ServerSessionKeywords),
        (ClientOptions, ClientKeywords),
        (ClientOptions, ClientSessionKeywords),
    ],
    ids=name_of,
)
def test_the_keywords_of_a_websocket_are_the_fields_of_its_options(kind: type[Any], keywords: type) -> None:
    names = {field.name for field in fields(kind)}
    given = set(keywords.__annotations__)
    assert given <= names
    assert names - given <= {"limits", "going_away"}
    for field in fields(kind):
        if field.name in given:
            assert str(keywords.__annotations__[field.name].__forward_arg__) == field.type


def test_messages_show_values_cut_and_call_nothing_of_theirs() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError

        __str__ = __repr__

    assert checking.shown(Loud()) == "a Loud"
    assert checking.shown("x" * 1000) == repr("x" * 60) + "..."
    assert checking.shown(b"x" * 1000) == repr(b"x" * 60) + "..."
    assert checking.shown(10**5000) == "an int of 16610 bits"
    assert checking.shown(7) == "7"
    assert checking.shown(math.nan) == "nan"
    assert checking.shown({}) == "a dict"
    assert checking.shown(None) == "None"
    assert "hunter2" not in str(checking.wrong("key", "hunter2", "bytes", secret=True))


def test_a_field_that_nobody_judges_is_its_classs_mistake() -> None:
    @dataclass
    class Fresh:
        size: int = 1
        name: str = "x"
        rate: int | str = 1

    with pytest.raises(TypeError, match=r"Fresh\.name: nobody judges a field of str"):
        checking.numbers(Fresh(), others=("rate",))
    with pytest.raises(TypeError, match=r"Fresh\.rate: nobody judges a field of int \| str"):
        checking.numbers(Fresh(), others=("name",))
    checking.numbers(Fresh(), others=("name", "rate"))


def waits(stack: ExitStack) -> dict[str, Callable[[Any], object]]:
    """Each public call that is told seconds, by its name."""

    def handler(_face: object, _event: object) -> None:
        """Hears nothing."""

    def manager() -> Manager:
        made = Manager()
        stack.callback(made.close, 0)
        return made

    ours, theirs = socket.socketpair()
    stack.callback(theirs.close)
    one = manager()
    connection = one.adopt(ours, handler)
    datagrams = one.listen("udp://127.0.0.1:0", handler)
    closing = manager().begin_close()

    def look_up(within: Any) -> object:
        config = ResolverConfig()
        return Lookup("example.org", config=config, hosts=Hosts(), random=os.urandom, now=0.0, within=within)

    return {
        "Manager.poll": one.poll,
        "Manager.turn": one.turn,
        "Manager.run": lambda value: one.run(within=value),
        "Manager.call_later": lambda value: one.call_later(value, lambda: None),
        "Manager.wait_time": one.wait_time,
        "Manager.begin_close": one.begin_close,
        "Manager.close": one.close,
        "Connection.close": connection.close,
        "DatagramConnection.close": datagrams.close,  # type: ignore[dict-item]
        "Closing.shorten": closing.shorten,
        "Lookup.__init__": look_up,
        "close_all": lambda value: close_all([one], value),
    }


NOT_TOLD = {"CloseReport.__init__", "Closing.__init__"}
"""Made by the manager, with seconds that it was told."""


def test_every_public_call_that_is_told_seconds_is_among_those() -> None:
    found = {"Manager.turn"}
    for call in public_calls():
        if {"within", "delay"} & set(inspect.signature(call).parameters):
            found.add(call.__qualname__)
    with ExitStack() as stack:
        assert found - NOT_TOLD == set(waits(stack))


@pytest.mark.parametrize("value", [10**400, 1e300, math.inf, -1, math.nan, "1", True], ids=checking.shown)
def test_seconds_that_are_none_are_refused_by_every_call_that_is_told_any(value: Any) -> None:
    with ExitStack() as stack:
        for call in waits(stack).values():
            with pytest.raises(Misuse, match=r"^(within|delay|now) is .*: write seconds"):
                call(value)


@pytest.mark.parametrize("value", [3e6, 10**7], ids=checking.shown)
def test_seconds_that_no_wait_can_have_are_refused_by_every_call_that_waits(value: Any) -> None:
    with ExitStack() as stack:
        for name, call in waits(stack).items():
            if name != "Manager.turn":  # which is told the time
                with pytest.raises(Misuse, match="write seconds"):
                    call(value)


def test_the_longest_wait_can_be_waited_for() -> None:
    manager = Manager()
    try:
        manager.call_later(checking.MAX_SECONDS, lambda: None)
        manager.call_soon(lambda: None)
        manager.poll(checking.MAX_SECONDS)
        assert manager.wait_time(None) is not None
        manager.poll(0.0)
    finally:
        manager.close(0)


WRONG = [
    ({"handler": None}, "handler is None: write a function"),
    ({"protocol": "http"}, "protocol is 'http': write a function"),
    ({"limits": {}}, r"limits is a dict: write Limits\("),
    ({"engine": 7}, "engine is 7: write an engine's name"),
    ({"engine": ""}, "engine is '': write an engine's name"),
    ({"tls": "server.pem"}, "tls is 'server.pem': write"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG)
@pytest.mark.parametrize("verb", ["listen", "connect", "adopt"])
def test_options_are_judged_alike_by_every_call_that_takes_them(
    verb: str, wrong: dict[str, Any], says: str
) -> None:
    manager = Manager()
    ours, theirs = socket.socketpair()
    url = "tls://127.0.0.1:0" if verb == "listen" else "tls://127.0.0.1:9"
    try:
        call = getattr(manager, verb)
        arguments = {"handler": lambda _connection, _event: None, **wrong}
        with pytest.raises(Misuse, match=says):
            call(ours if verb == "adopt" else url, arguments.pop("handler"), **arguments)
        assert ours.fileno() >= 0
        assert len(manager.connections) == len(manager.listeners) == 0
    finally:
        manager.close(0)
        ours.close()
        theirs.close()

"""Every field of every configuration is judged: a field that is added later can't be forgotten."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import Field, fields, is_dataclass
from typing import Any

import pytest

import mungos
from mungos import Limits, checking
from mungos.core import options as core_options
from mungos.dns import ResolverConfig
from mungos.errors import Misuse
from mungos.http import HTTPLimits
from mungos.tls import ClientConfig, Credential, ExternalPsk, ServerConfig
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
}
"""Each configuration, and how one is made of the rest of its fields."""

FIELDS = [(kind, field) for kind in MAKERS for field in fields(kind)]
OTHERS = ("mungos.__main__", "mungos.cli", "mungos.lab", "mungos.testing", "mungos.tls.engines.")
"""What has no configurations of the application's."""


def name_of(value: object) -> str:
    return value.name if isinstance(value, Field) else getattr(value, "__name__", "")


def refusal(kind: type[Any], field: Field[Any], value: object) -> str:
    with pytest.raises(Misuse) as caught:
        MAKERS[kind](**{field.name: value})
    return str(caught.value)


def test_every_configuration_is_in_this_table() -> None:
    found = set()
    for module in pkgutil.walk_packages(mungos.__path__, "mungos."):
        if module.name.startswith(OTHERS):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            public = isinstance(value, type) and is_dataclass(value) and not name.startswith("_")
            if public and name.endswith(("Config", "Limits", "Options", "Credential", "Psk")):
                found.add(value)
    assert found <= set(MAKERS)


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=name_of)
def test_a_field_refuses_what_is_nothing_it_knows_and_is_named(kind: type[Any], field: Field[Any]) -> None:
    message = refusal(kind, field, object())
    assert field.name in message or (field.name == "headers" and "fields" in message)


NUMBERS = [(kind, field) for kind, field in FIELDS if str(field.type).split(" | ")[0] in ("int", "float")]


@pytest.mark.parametrize(("kind", "field"), NUMBERS, ids=name_of)
@pytest.mark.parametrize("value", [True, -1, "1", math.nan, math.inf, -0.5, b"1"], ids=repr)
def test_a_number_is_no_bool_no_text_not_negative_and_finite(
    kind: type[Any], field: Field[Any], value: object
) -> None:
    assert field.name in refusal(kind, field, value)


COLLECTIONS = [
    (kind, field) for kind, field in FIELDS if str(field.type).startswith(("Sequence[", "Iterable["))
]


@pytest.mark.parametrize(("kind", "field"), COLLECTIONS, ids=name_of)
@pytest.mark.parametrize("value", [b"x", 3, (b"x",), (3,), None], ids=repr)
def test_a_collection_is_not_made_of_what_is_none(kind: type[Any], field: Field[Any], value: object) -> None:
    refusal(kind, field, value)


@pytest.mark.parametrize(("kind", "field"), COLLECTIONS, ids=name_of)
def test_a_str_is_never_taken_for_the_collection_of_its_characters(
    kind: type[Any], field: Field[Any]
) -> None:
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


def test_options_of_calls_are_judged_by_one_module() -> None:
    with pytest.raises(Misuse, match="handler is None"):
        core_options.judge_opening(None, None, None, "auto")

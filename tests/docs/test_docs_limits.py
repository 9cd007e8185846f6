"""docs/limits.md: every limit and deadline, with its unit, its default, and what happens at it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from mungos import Limits
from mungos.dns import ResolverConfig
from mungos.http import HTTPLimits
from mungos.tls import ClientConfig, EarlyDataGuard, ServerConfig, SessionCache, TicketKeys
from mungos.websocket.options import SessionOptions
from scripts.state_pictures import NO_LIMITS, constants_of, fixed_limits, row, rows_of

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
KINDS = [
    Limits,
    HTTPLimits,
    SessionOptions,
    ClientConfig,
    ResolverConfig,
    TicketKeys,
    SessionCache,
    EarlyDataGuard,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_docs_limits_have_a_line_for_each_number_that_can_be_given(kind: type) -> None:
    rows = rows_of(kind)
    assert rows
    for each in rows:
        assert each.bounds
        assert each.at_it
        line = rf"^\| `(?:{kind.__name__}\.)?{each.name}` \| {each.unit} \| {re.escape(each.default)} \|"
        assert re.search(line, PAGE, re.MULTILINE), f"{kind.__name__}.{each.name} has no line: run make draw"


def test_docs_limits_leave_out_no_number_of_a_configuration() -> None:
    for kind in (Limits, HTTPLimits, SessionOptions, ClientConfig, ResolverConfig):
        numbers = {
            field.name for field in fields(kind) if str(field.type).split(" | ")[0] in ("int", "float")
        }
        assert {each.name for each in rows_of(kind)} == numbers - NO_LIMITS


def test_docs_limits_of_tls_are_the_same_for_both_sides() -> None:
    client = {field.name: field.default for field in fields(ClientConfig)}
    server = {
        field.name: field.default
        for field in fields(ServerConfig)
        if str(field.type).split(" | ")[0] in ("int", "float")
    }
    assert server == {name: client[name] for name in server}
    assert set(server) == {each.name for each in rows_of(ClientConfig)}


def test_docs_limits_are_read_from_docstrings() -> None:
    made = row("Limits.high", 1 << 16, "bytes of | it, kept. At it: it waits; or ends.")
    assert made == ("high", "bytes", "64 KiB", "bytes of / it, kept", "it waits; or ends")


@pytest.mark.parametrize(
    ("default", "meaning", "says"),
    [
        (1, "", "begin its docstring with the unit"),
        (1, "at most so many. At it: no more.", "begin its docstring with the unit"),
        (1.0, "bytes of it. At it: no more.", "begin its docstring with the unit"),
        (1, "bytes of it.", "end its docstring with 'At it: '"),
    ],
)
def test_docs_limits_say_what_a_docstring_lacks_and_how_to_draw(
    default: object, meaning: str, says: str
) -> None:
    with pytest.raises(ValueError, match=rf"^Limits\.new: {says}.*make draw$"):
        row("Limits.new", default, meaning)


def test_docs_limits_have_the_constants_that_a_peer_can_meet() -> None:
    table = fixed_limits()
    assert "| `mungos.websocket.session.MAX_UNREAD` | 256 KiB | Bytes received that may wait" in table
    assert table in PAGE


@pytest.mark.parametrize(
    "name",
    [
        "core.holdings.LEAST_COUNTED",
        "dns.config.MAX_ATTEMPTS",
        "dns.config.MAX_NDOTS",
        "http.framing._MOST_PIECES",
        "url.MAX_URL_CHARACTERS",
        "websocket.session._MOST_FRAMES",
        "websocket.session._MOST_LAST_LOOKS",
    ],
)
def test_docs_limits_have_the_constants_that_are_annotated_private_or_in_no_package(name: str) -> None:
    assert f"| `mungos.{name}` | " in fixed_limits()


def test_docs_limits_refuse_a_bound_that_nothing_is_said_of() -> None:
    said = '"""Bytes\n    of it."""'
    text = (
        f"MAX_A = 1\n{said}\nLEAST_B: Final[int] = 2\n{said}\n_MOST_C: int = 3\n{said}\n_MAX_D = 4\nE = 5\n"
    )
    assert constants_of("m", text) == [
        ("MAX_A", "Bytes of it"),
        ("LEAST_B", "Bytes of it"),
        ("_MOST_C", "Bytes of it"),
    ]
    for bare in ("MAX_E = 5", "MAX_E: int = 5", "MAX_E = 5\nx = 1"):
        with pytest.raises(ValueError, match=r"^m\.MAX_E: say below it.*make draw$"):
            constants_of("m", f"{text}{bare}\n")

"""One table of options, two readers of it: they may never differ."""

from __future__ import annotations

from typing import cast

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mungos.cli.lab_run import run
from mungos.cli.lab_run_options import OPTIONS, Option, Request, parse
from mungos.cli.lab_run_work import _order
from mungos.lab.order import Order

CHOSEN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "seconds": st.one_of(
        st.floats().map(repr),
        st.integers(-5, 500).map(str),
        st.sampled_from(["1e3", " 7 ", "1_0", "0x1", "inf", "-1"]),
        CHOSEN,
    ),
    "count": st.one_of(st.integers(-2, 1002).map(str), st.sampled_from([" 3", "1_0", "٣", "1.0"]), CHOSEN),
    "text": CHOSEN,
    "file": st.one_of(st.sampled_from(["", "-", "./-", "a"]), CHOSEN),
    "choice": st.sampled_from(["private", "host", "Host", "", "hos"]),
}


@st.composite
def one_option(draw: st.DrawFn) -> list[str]:
    option = draw(st.sampled_from(OPTIONS))
    name = draw(st.sampled_from(option.names))
    if option.kind in {"flag", "pair"}:
        return [name]
    value = draw(VALUES[option.kind])
    return [f"{name}={value}"] if draw(st.booleans()) and name.startswith("--") else [name, value]


COMMANDS = st.lists(
    st.sampled_from(["true", "-x", "--", "--pty", "a b", "", "-", "--deadline", "1"]), max_size=4
)
NOISE = st.sampled_from(
    [[], ["--"], ["--unknown"], ["--dead", "3"], ["--pty=1"], ["-qt"], ["-h"], ["--no-historyx"]]
)


def as_click_has_it(arguments: list[str]) -> Request | None:
    """What click makes of it; None when it complains."""
    try:
        context = run.make_context("run", list(arguments))
    except (click.ClickException, click.exceptions.Exit):
        return None
    values = dict(context.params)
    return Request(values, cast("tuple[str, ...]", values.pop("command")))


def told(request: Request) -> dict[str, object]:
    return {name: getattr(request, name) for name in Request.__slots__}


@settings(max_examples=400, deadline=None)
@given(st.lists(one_option(), max_size=4), NOISE, COMMANDS)
def test_what_the_short_reader_accepts_click_reads_alike(
    options: list[list[str]], noise: list[str], command: list[str]
) -> None:
    arguments = [word for option in options for word in option] + noise + command
    short = parse(arguments)
    long = as_click_has_it(arguments)
    if short is not None:
        assert long is not None
        assert told(short) == told(long)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.attribute)
def test_the_short_reader_knows_every_option(option: Option) -> None:
    value = {"seconds": "3", "count": "3", "text": "x", "file": "x", "choice": "host"}.get(option.kind)
    for name in option.names:
        arguments = [name] if value is None else [name, value]
        request = parse([*arguments, "--", "true"])
        assert request is not None
        assert told(request) == told(cast("Request", as_click_has_it([*arguments, "--", "true"])))


def test_defaults_are_those_of_an_order() -> None:
    request = parse(["true"])
    assert request is not None
    assert (request.deadline, request.stall, request.grace, request.retries) == (600.0, 60.0, 2.0, 0)
    assert (request.terminal, request.network, request.arch) == (False, None, "native")
    assert _order(request, "native").network == Order(("true",)).network == "private"
    assert request.command == ("true",)


def test_every_attribute_of_a_request_is_an_option_or_the_command() -> None:
    assert {option.attribute for option in OPTIONS} | {"command"} == set(Request.__slots__)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--"],
        ["--pty"],
        ["--deadline"],
        ["--deadline", "x", "true"],
        ["--nope", "true"],
        ["--help"],
        ["-x", "true"],
        ["--quiet=1", "true"],
        ["--network", "none", "true"],
        ["--retries", "-1", "true"],
        ["--stall", "nan", "true"],
        *(
            [option, name, "true"]
            for option in ("--json", "--junit", "--html", "--history")
            for name in ("", "-")
        ),
    ],
)
def test_what_is_wrong_is_left_to_click(arguments: list[str]) -> None:
    assert parse(arguments) is None
    assert as_click_has_it(arguments) is None


def test_what_follows_the_command_is_the_commands() -> None:
    request = parse(["-q", "ls", "--pty", "--", "-l"])
    assert request is not None
    assert request.command == ("ls", "--pty", "--", "-l")

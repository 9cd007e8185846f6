"""Published vectors (tests/vectors), and a report that names every case that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from mungos.crypto.contract import Provider

VECTORS = Path(__file__).parents[1] / "vectors"
H = bytes.fromhex

JSON = str | int | list[str]
Case = dict[str, JSON]


class Group:
    """Cases that share parameters (a key, a curve, a hash).

    Attributes:
        parameters: what they share.
        cases: each a mapping; those of Wycheproof have `id`, `flags` and `result`.
    """

    def __init__(self, parameters: dict[str, str], cases: list[Case]) -> None:
        self.parameters = parameters
        self.cases = cases


@cache
def groups(name: str) -> list[Group]:
    """The groups of one file."""
    text = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    assert text["source"]
    assert text["licence"]
    return [Group({k: v for k, v in g.items() if k != "tests"}, g["tests"]) for g in text["groups"]]


def cases(name: str) -> Iterator[tuple[dict[str, str], Case]]:
    """Every case of a file with its group's parameters."""
    for group in groups(name):
        for case in group.cases:
            yield group.parameters, case


def octets(case: Case, field: str) -> bytes:
    """A field in hexadecimal."""
    value = case[field]
    assert isinstance(value, str)
    return H(value)


def number(case: Case, field: str) -> int:
    """A field that is a number, or one in hexadecimal."""
    value = case[field]
    assert not isinstance(value, list)
    return value if isinstance(value, int) else int(value, 16)


def flags(case: Case) -> set[str]:
    """What Wycheproof says of a case."""
    value = case["flags"]
    assert isinstance(value, list)
    return set(value)


def check(name: str, least: int, holds: Callable[[dict[str, str], Case], bool]) -> None:
    """Every case of a file, of which there are at least `least`. Fails with the numbers of those that do not
    hold."""
    count = 0
    failed = []
    for parameters, case in cases(name):
        count += 1
        if not holds(parameters, case):
            failed.append(f"{parameters.get('file', name)} {case['id']} {case.get('comment', '')}".strip())
    if failed:
        pytest.fail(f"{len(failed)} of {count} cases: " + "; ".join(failed), pytrace=False)
    if count < least:
        pytest.fail(f"{name} holds {count} cases, {least} were expected", pytrace=False)


def needs(provider: Provider, *features: str) -> None:
    """Skip where the provider lacks one of them, and say so."""
    for feature in features:
        if not provider.supports(feature):
            pytest.skip(f"{provider.name} {provider.version} has no {feature}")

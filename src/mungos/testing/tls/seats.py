"""Seats for factories that the library's own list does not know: a manager asks for an engine by its name."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from mungos.errors import Misuse
from mungos.tls.contract import EngineFactory
from mungos.tls.engines import select, selection

__all__ = ["load", "seated"]

_numbers = itertools.count(1)
_taken: dict[str, EngineFactory] = {}


def __getattr__(name: str) -> EngineFactory:
    if name in _taken:
        return _taken[name]
    raise AttributeError(name)


@contextmanager
def seated(factory: EngineFactory) -> Iterator[str]:
    """A name by which a manager finds this factory, as long as the block lasts."""
    name = f"kit_{next(_numbers)}"
    _taken[name] = factory
    selection._ENGINES[name] = (__name__, name)
    try:
        yield name
    finally:
        del selection._ENGINES[name]
        del _taken[name]


def load(engine: str) -> EngineFactory:
    """A factory by its name ("builtin"), or by the place where it is ("package.module:FACTORY").

    Raises Misuse when there is none, or it can't be used here.
    """
    module, colon, attribute = engine.partition(":")
    if not colon:
        return select(engine)
    try:
        found: object = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Misuse(f"there is no engine at {engine}: {error}") from None
    factory = cast("EngineFactory", found)
    if not (callable(getattr(factory, "client", None)) and callable(getattr(factory, "availability", None))):
        raise Misuse(f"{engine} is no factory of engines: it has no `client` and `availability`")
    available = factory.availability()
    if not available.present:
        raise Misuse(f"the engine {engine} can't be used here: {available.reason}")
    return factory

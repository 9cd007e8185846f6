"""Records as JSON, and back: complete, versioned, and strict about what it reads.

A document is `{"format": "mungos-lab", "version": 1, "runs": [RECORD, …]}`. A record has the fields of
`mungos.lab.record.Record`, and so on downwards: enumerations by value, sets as sorted arrays, numbers that
JSON has no word for as "NaN", "Infinity" and "-Infinity". Whoever reads ignores fields that it does not know;
a field that later versions add has a default, so that version 1 stays readable.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache

from mungos.errors import Malformed
from mungos.lab import facts, order, record, verdicts
from mungos.lab.record import Record

__all__ = ["FORMAT", "VERSION", "from_json", "records_from_json", "records_to_json", "to_json"]

FORMAT = "mungos-lab"
VERSION = 1

_NO_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MODULES = (facts, order, record, verdicts)


def to_json(run: Record) -> str:
    """A document of one run.

    Args:
        run: any record.
    """
    return records_to_json([run])


def from_json(text: str) -> Record:
    """The only run of a document.

    Raises:
        Malformed: it is no such document, or has not exactly one run; the message says where and why.
    """
    runs = records_from_json(text)
    if len(runs) != 1:
        raise Malformed(f"the document has {len(runs)} runs, one was expected")
    return runs[0]


def records_to_json(runs: Iterable[Record]) -> str:
    """A document of several runs, in their order."""
    document = {"format": FORMAT, "version": VERSION, "runs": [_plain(run) for run in runs]}
    return json.dumps(document, allow_nan=False, indent=1) + "\n"


def records_from_json(text: str) -> tuple[Record, ...]:
    """All runs of a document.

    Raises:
        Malformed: it is no such document; the message says where and why.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Malformed(f'not a report of the lab: it has no "format": "{FORMAT}"')
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Malformed(f"version is {_shown(version)}, not a whole number from 1")
    if version > VERSION:
        raise Malformed(f"the document is of version {version}, this program reads up to {VERSION}")
    runs = document.get("runs")
    if not isinstance(runs, list):
        raise Malformed(f"runs is {_shown(runs)}, not an array")
    made = (_object(Record, each, f"runs[{index}]") for index, each in enumerate(runs))
    return tuple(typing.cast("Iterable[Record]", made))


def _plain(value: object) -> object:
    """What `json` writes for it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a record")


@cache
def _types(kind: type) -> dict[str, tuple[Field[object], object]]:
    # The modules may import each other for the checker alone: the names are looked up in all of them.
    names = {name: value for module in _MODULES for name, value in vars(module).items()}
    hints = typing.get_type_hints(kind, {**names, "Mapping": Mapping})
    return {each.name: (each, hints[each.name]) for each in fields(kind)}


def _object(kind: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise Malformed(f"{where} is {_shown(value)}, not an object")
    made: dict[str, object] = {}
    for name, (field, wanted) in _types(kind).items():
        if name in value:
            made[name] = _read(wanted, value[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Malformed(f"{where} has no {name}")
    return kind(**made)


def _read(wanted: object, value: object, where: str) -> object:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in {types.UnionType, typing.Union}:
        if value is None and types.NoneType in arguments:
            return None
        [wanted] = [each for each in arguments if each is not types.NoneType]
        return _read(wanted, value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if origin is frozenset:
        return frozenset(_read(arguments[0], each, where) for each in _array(value, where))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise Malformed(f"{where} is {_shown(value)}, not an object")
        return {name: _read(arguments[1], each, f"{where}.{name}") for name, each in value.items()}
    if isinstance(wanted, type):
        return _read_simple(wanted, value, where)
    raise TypeError(f"{where}: {wanted!r} has no place in a record")


def _read_tuple(arguments: tuple[object, ...], value: object, where: str) -> tuple[object, ...]:
    items = _array(value, where)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_read(arguments[0], each, f"{where}[{index}]") for index, each in enumerate(items))
    if len(items) != len(arguments):
        raise Malformed(f"{where} has {len(items)} items, not {len(arguments)}")
    pairs = zip(arguments, items, strict=True)
    return tuple(_read(wanted, each, f"{where}[{index}]") for index, (wanted, each) in enumerate(pairs))


def _read_simple(wanted: type, value: object, where: str) -> object:
    if is_dataclass(wanted):
        return _object(wanted, value, where)
    if issubclass(wanted, Enum):
        for each in wanted:
            if each.value == value:
                return each
        raise Malformed(f"{where} is {_shown(value)}, not one of {', '.join(str(e.value) for e in wanted)}")
    if wanted is float:
        if isinstance(value, str) and value in _NO_NUMBERS:
            return _NO_NUMBERS[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise Malformed(f"{where} is too large for a number of seconds") from None
    elif type(value) is wanted:
        return value
    raise Malformed(f"{where} is {_shown(value)}, not of type {wanted.__name__}")


def _array(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise Malformed(f"{where} is {_shown(value)}, not an array")
    return value


def _shown(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else text[:39] + "…"

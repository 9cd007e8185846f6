"""What an application gives is judged when it is given: each refusal names the value and says what to write.

Values are shown cut, and only those that can't be long, foreign or secret; of all others the type is named. A
str is never taken for a collection of its characters, nor a bool for a number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

from mungos.errors import Misuse
from mungos.printable import MAX_SHOWN_CHARACTERS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "MAX_COUNT",
    "MAX_SECONDS",
    "as_bytes",
    "count",
    "flag",
    "function",
    "instance",
    "items",
    "kind_of",
    "known_options",
    "matches",
    "names",
    "numbers",
    "octets",
    "one_of",
    "seconds",
    "shown",
    "text",
    "wrong",
]

Item = TypeVar("Item")

MAX_COUNT = (1 << 63) - 1
"""Bytes, or of whatever is counted, that an application may ask for, where nothing else is said."""

MAX_SECONDS = 24 * 24 * 3600
"""Seconds that an application may ask for, where nothing else is said: 24 days, since the kernel waits for
less than 2**31 milliseconds (epoll_wait(2))."""

_STRINGS = (str, bytes, bytearray, memoryview)


def shown(value: object) -> str:
    """The value as a message may show it. Nothing of the application's is called for it."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        size = value.bit_length()
        return int.__repr__(value) if size <= 64 else f"an int of {size} bits"
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str | bytes):
        cut = value[:MAX_SHOWN_CHARACTERS]
        return f"{cut!r}{'...' if len(cut) < len(value) else ''}"
    return kind_of(value)


def kind_of(value: object) -> str:
    """The value's type as a message may name it: "a str"."""
    return f"{'an' if _kind(value)[:1] in 'aeiouAEIOU' else 'a'} {_kind(value)}"


def wrong(name: str, value: object, write: str, *, secret: bool = False) -> Misuse:
    """The error for a value that can't be taken.

    Args:
        name: of the argument.
        value: what was given.
        write: what it has to be, as an order: "1 or more".
        secret: only its type is shown.
    """
    seen = f"{kind_of(value)}, not shown here" if secret and isinstance(value, _STRINGS) else shown(value)
    return Misuse(f"{name} is {seen}: write {write}")


def flag(name: str, value: object) -> None:
    """Raises Misuse unless it is True or False."""
    if not isinstance(value, bool):
        raise wrong(name, value, "True or False")


def count(name: str, value: object, least: int = 0, most: int = MAX_COUNT, *, none: bool = False) -> None:
    """Raises Misuse unless it is a whole number from `least` to `most`, or None where that is taken."""
    if none and value is None:
        return
    too_much = False
    if isinstance(value, int) and not isinstance(value, bool):
        if least <= value <= most:
            return
        too_much = value > most
    limits = f"{least} to {most}" if most != MAX_COUNT or too_much else f"{least} or more"
    raise wrong(name, value, f"a whole number, {limits}{' (or None)' if none else ''}")


def seconds(
    name: str, value: object, *, zero: bool = False, none: bool = False, most: float = MAX_SECONDS
) -> None:
    """Raises Misuse unless it is a number of seconds, more than 0 (or 0 where `zero`) and at most `most`, or
    None where that is taken."""
    if none and value is None:
        return
    too_much = False
    if isinstance(value, int | float) and not isinstance(value, bool):
        # What is no number is refused by the comparison, too.
        if 0 <= value <= most and (value or zero):
            return
        too_much = value > most
    least = "0 or more" if zero else "more than 0"
    limit = f" and at most {most:.9g}" if most != MAX_SECONDS or too_much else ""
    raise wrong(name, value, f"seconds, {least}{limit}{' (or None)' if none else ''}")


def text(name: str, value: object, *, write: str = "a str", none: bool = False) -> None:
    """Raises Misuse unless it is a str that is not empty, or None where that is taken."""
    if none and value is None:
        return
    if not isinstance(value, str) or not value:
        raise wrong(name, value, write)


def matches(value: object, pattern: re.Pattern[str]) -> bool:
    """Whether it is a str, and the pattern fits all of it."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def octets(name: str, value: object, *, write: str, none: bool = False, secret: bool = False) -> None:
    """Raises Misuse unless they are bytes, or None where that is taken."""
    if none and value is None:
        return
    if not isinstance(value, bytes):
        raise wrong(name, value, write, secret=secret)


def as_bytes(name: str, value: object) -> bytes:
    """A copy of what is to be sent. Raises Misuse for what is no bytes: of a number, above all, `bytes` would
    make as many zeros."""
    if not isinstance(value, bytes | bytearray | memoryview):
        write = "bytes: text.encode()" if isinstance(value, str) else "bytes"
        raise wrong(name, value, write, secret=True)
    return bytes(value)


def one_of(name: str, value: object, words: Sequence[str]) -> None:
    """Raises Misuse unless it is one of the words."""
    if not isinstance(value, str) or value not in words:
        raise wrong(name, value, f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}")


def instance(
    name: str,
    value: object,
    kind: type | tuple[type, ...],
    *,
    write: str,
    none: bool = False,
    secret: bool = False,
) -> None:
    """Raises Misuse unless it is of the kind, or None where that is taken."""
    if not (isinstance(value, kind) or (none and value is None)):
        raise wrong(name, value, write, secret=secret)


def function(name: str, value: object, *, write: str, none: bool = False) -> None:
    """Raises Misuse unless it can be called, or is None where that is taken."""
    if not (callable(value) or (none and value is None)):
        raise wrong(name, value, write)


def names(
    name: str, value: object, *, write: str, ordered: bool = True, one: bool = False
) -> tuple[str, ...]:
    """The members of a collection of str, none of them empty; of a sequence where their order counts. One str
    is a collection of one where `one`.

    Raises:
        Misuse: it is something else; without `one`, a str above all.
    """
    if one and isinstance(value, str):
        value = (value,)
    return items(name, value, str, write=write, ordered=ordered)


def items(
    name: str, value: object, kind: type[Item], *, write: str, ordered: bool = True, secret: bool = False
) -> tuple[Item, ...]:
    """The members of a collection of one kind; of a sequence where their order counts.

    Raises:
        Misuse: it is something else, or one of its members is.
    """
    if isinstance(value, _STRINGS) or not isinstance(value, Sequence if ordered else Collection):
        raise wrong(name, value, write, secret=secret)
    found = tuple(value)
    for at, member in enumerate(found):
        if not isinstance(member, kind) or (kind is str and not member):
            raise wrong(f"{name}[{at}]", member, write, secret=secret)
    return found


def numbers(config: DataclassInstance, *, zero: Collection[str] = (), others: Collection[str] = ()) -> None:
    """Judge all counts, seconds and switches of a dataclass by their annotations: `int` and `float` are more
    than 0, `bool` is True or False; None only where the annotation has it.

    Args:
        config: its fields are annotated in words ("int | None").
        zero: the names of those that may be 0.
        others: the names of the fields that its class judges itself.

    Raises:
        Misuse: a value can't be taken.
        TypeError: nobody judges a field, which is its class's mistake.
    """
    for field in fields(config):
        kind, _, none = str(field.type).partition(" | ")
        value = getattr(config, field.name)
        if field.name in others:
            continue
        if none not in {"", "None"} or kind not in {"bool", "int", "float"} or (none and kind == "bool"):
            raise TypeError(f"{type(config).__name__}.{field.name}: nobody judges a field of {field.type}")
        if kind == "bool":
            flag(field.name, value)
        elif kind == "int":
            count(field.name, value, 0 if field.name in zero else 1, none=bool(none))
        else:
            seconds(field.name, value, zero=field.name in zero, none=bool(none))


def known_options(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises Misuse for the first option that the call does not have, and names those that it has."""
    wanted = sorted(known)
    for name in given:
        if name not in wanted:
            raise Misuse(f"{call} has no option {shown(name)}: write one of {', '.join(wanted)}")


def _kind(value: object) -> str:
    return type(value).__name__[:MAX_SHOWN_CHARACTERS]

"""Work, counted instead of timed: the bytes that a parser looks at, those that it moves, and its calls.

What is counted by `counted`: each byte that an expression or a search goes over in what was received, and
each byte that is copied, while the modules named hold instrumented expressions and buffers. A match that
fails is charged with all that it was given: never less than it looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any, SupportsIndex

import pytest


class Work:
    """The counts.

    Attributes:
        looked: bytes gone over.
        moved: bytes copied.
    """

    def __init__(self) -> None:
        self.looked = 0
        self.moved = 0


class _Expression:
    """A compiled expression that charges for what it looks at."""

    def __init__(self, work: Work, pattern: re.Pattern[bytes] | re.Pattern[str]) -> None:
        self._work = work
        self._pattern = pattern

    def _charged(self, name: str, text: bytes | str, at: int, end: int) -> re.Match[bytes] | None:
        end = min(end, len(text))
        match: re.Match[bytes] | None = getattr(self._pattern, name)(text, at, end)
        self._work.looked += (end if match is None else min(match.end() + 1, end)) - min(at, end)
        return match

    def match(self, text: bytes, at: int = 0, end: int = sys.maxsize) -> re.Match[bytes] | None:
        return self._charged("match", text, at, end)

    def fullmatch(self, text: bytes, at: int = 0, end: int = sys.maxsize) -> re.Match[bytes] | None:
        return self._charged("fullmatch", text, at, end)

    def findall(self, text: bytes, at: int = 0, end: int = sys.maxsize) -> list[object]:
        self._work.looked += min(end, len(text)) - at
        found: list[object] = getattr(self._pattern, "findall")(text, at, end)  # noqa: B009
        return found


def _buffer_types(work: Work) -> tuple[type[bytes], type[bytearray]]:
    def searched(found: int, size: int, args: tuple[int, ...], length: int) -> int:
        start = args[0] if args else 0
        stop = min(args[1], length) if len(args) > 1 else length
        work.looked += max((stop if found < 0 else found + size) - start, 0)
        return found

    class CountedBytes(bytes):
        def find(self, part: bytes, *args: int) -> int:  # type: ignore[override]
            return searched(super().find(part, *args), len(part), args, len(self))

        def startswith(self, part: bytes, *args: int) -> bool:  # type: ignore[override]
            work.looked += len(part)
            return super().startswith(part, *args)

        def count(self, part: bytes, *args: int) -> int:  # type: ignore[override]
            searched(-1, 0, args, len(self))
            return super().count(part, *args)

        def decode(self, *args: str) -> str:
            work.moved += len(self)
            return super().decode(*args)

        def __getitem__(self, key: SupportsIndex | slice) -> CountedBytes | int:  # type: ignore[override]
            got = super().__getitem__(key)
            if isinstance(got, int):
                work.looked += 1
                return got
            work.moved += len(got)
            return CountedBytes(got)

        def __add__(self, other: bytes) -> CountedBytes:  # type: ignore[override]
            work.moved += len(self) + len(other)
            return CountedBytes(super().__add__(other))

        def __radd__(self, other: bytes) -> CountedBytes:
            work.moved += len(self) + len(other)
            return CountedBytes(bytes(other) + bytes(self))

    class CountedBytearray(bytearray):
        def find(self, part: bytes, *args: int) -> int:  # type: ignore[override]
            return searched(super().find(part, *args), len(part), args, len(self))

        def startswith(self, part: bytes, *args: int) -> bool:  # type: ignore[override]
            work.looked += len(part)
            return super().startswith(part, *args)

        def decode(self, *args: str) -> str:
            work.moved += len(self)
            return super().decode(*args)

        def __getitem__(self, key: SupportsIndex | slice) -> CountedBytearray | int:  # type: ignore[override]
            got = super().__getitem__(key)
            if isinstance(got, int):
                work.looked += 1
                return got
            work.moved += len(got)
            return CountedBytearray(got)

        def __iadd__(self, other: bytes) -> CountedBytearray:  # type: ignore[override, misc]
            work.moved += len(other)
            super().__iadd__(other)
            return self

    return CountedBytes, CountedBytearray


def _instrumented(work: Work, value: object) -> object:
    if isinstance(value, re.Pattern):
        return _Expression(work, value)
    if isinstance(value, tuple) and value and all(isinstance(each, re.Pattern) for each in value):
        return tuple(_Expression(work, each) for each in value)
    return value


def _leaf(work: Work, name: str, real: Callable[..., Any], whole: type[bytes]) -> Callable[..., Any]:
    """A function that looks at a frame: at its head, or at all of the payload that it gets."""

    def charged(data: bytes, *args: Any) -> Any:
        if name == "scan_frame":
            header = real(data, *args)
            work.looked += min(len(data) - args[0], 14) if header is None else header[5] - args[0]
            return header
        work.looked += len(data)
        work.moved += len(data)
        result = real(data, *args)
        return whole(result) if isinstance(result, bytes) else result

    return charged


@contextmanager
def counted(*modules: ModuleType) -> Iterator[Work]:
    """While it lasts, expressions and buffers of `modules` count; sessions have to be made inside."""
    work = Work()
    whole, growing = _buffer_types(work)
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name, value in list(vars(module).items()):
                if (better := _instrumented(work, value)) is not value:
                    patch.setattr(module, name, better)
            patch.setattr(module, "bytes", whole, raising=False)
            patch.setattr(module, "bytearray", growing, raising=False)
            for name in ("mask", "utf_8_decode", "scan_frame"):
                if hasattr(module, name):
                    patch.setattr(module, name, _leaf(work, name, getattr(module, name), whole))
        yield work


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """While it lasts, the calls of Python functions are counted: the one element of the list."""
    count = [0]

    def count_call(_frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            count[0] += 1

    sys.setprofile(count_call)
    try:
        yield count
    finally:
        sys.setprofile(None)
        count[0] -= 2  # the manager's own end


def cut(data: bytes, size: int) -> list[bytes]:
    """The data in pieces of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]

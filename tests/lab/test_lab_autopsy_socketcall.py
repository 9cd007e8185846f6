"""socketcall(2) is told as the call that is meant; this process's own memory stands for the caller's."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest

from mungos.lab.autopsy.memory import Memory
from mungos.lab.autopsy.socketcall import unwrap

WORDS = (ctypes.c_size_t * 6)(7, 0x5000, 300, 4, 5, 6)
THERE = ctypes.addressof(WORDS)


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(os.getpid(), ctypes.sizeof(ctypes.c_size_t)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("number", "name", "count"),
    [(3, "connect", 3), (5, "accept", 3), (10, "recv", 4), (12, "recvfrom", 6), (18, "accept4", 4)],
)
def test_what_is_done_with_a_socket(memory: Memory, number: int, name: str, count: int) -> None:
    assert unwrap(memory, "socketcall", (number, THERE, 0, 0, 0, 0)) == (name, tuple(WORDS)[:count])


def test_any_other_call_stays(memory: Memory) -> None:
    assert unwrap(memory, "read", (3, THERE, 0, 0, 0, 0)) == ("read", (3, THERE, 0, 0, 0, 0))
    assert unwrap(memory, "", ()) == ("", ())


@pytest.mark.parametrize("arguments", [(1, THERE), (99, THERE), (12, 1), (12,)])
def test_what_cannot_be_read_stays(memory: Memory, arguments: tuple[int, ...]) -> None:
    assert unwrap(memory, "socketcall", arguments) == ("socketcall", arguments)

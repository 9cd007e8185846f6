"""Finding a system's shared library and declaring what is called in it. No compiler, no headers: ctypes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from mungos.errors import Misuse
from mungos.tls.contract import Availability

__all__ = ["RESULT", "Absent", "Prototype", "declare", "load", "needed"]

T = TypeVar("T")

RESULT = ctypes.c_long
"""What the functions return that C calls, where C has an int. Some processors' calling conventions (s390x,
ppc64) want an int's sign in the whole register, and ctypes sets only its lower half: compiled code then sees
what was left in the other. A long fills the register, and where it is no longer than an int, is one."""

Prototype = tuple[type | None, tuple[type, ...]]
"""What a function returns (None: void) and takes, as ctypes types."""


class Absent(Exception):
    """The library can't be used here; never leaves its engine.

    Attributes:
        reason: why, and what to install.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def availability(self, engine: str) -> Availability:
        """The same as the contract has it."""
        return Availability(engine, present=False, reason=self.reason)


def load(variable: str, names: Iterable[str], install: str) -> ctypes.CDLL:
    """Open the library whose path stands in the environment variable, else the first of `names` that the
    system's loader finds. Raises Absent."""
    path = os.environ.get(variable)
    if path:
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            raise Absent(f"{variable}={path} can't be loaded: {error}") from error
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise Absent(f"no shared library found: install {install}, or set {variable} to its path")


def needed(engine: str, find: Callable[[], T]) -> T:
    """The library that `find` gives. Raises Misuse where it is absent."""
    try:
        return find()
    except Absent as absent:
        raise Misuse(f"the engine {engine} can't be used here: {absent.reason}") from absent


def declare(library: ctypes.CDLL, prototypes: Mapping[str, Prototype]) -> None:
    """Give every function its types: without them ctypes would cut pointers. Raises Absent, naming the first
    function that the library has not."""
    for name, (returns, takes) in prototypes.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise Absent(f"{library._name} has no {name}: it was built without what is needed here") from None
        function.restype = returns
        function.argtypes = takes

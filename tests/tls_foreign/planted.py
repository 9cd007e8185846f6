"""The real library with a fault planted in one of its functions, and a count of what it made and freed."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mungos.tls.engines.mbedtls import library as mbedtls_library
from mungos.tls.engines.wolfssl import library as wolfssl_library
from mungos.tls.engines.wolfssl.library import CHECK
from tests.tls_foreign.conftest import needed

Function = Callable[..., Any]

# What is made by one function is freed by another. wolfSSL returns what it made, Mbed TLS is handed it.
_RETURNED = {"wolfSSL_CTX_new": "wolfSSL_CTX_free", "wolfSSL_new": "wolfSSL_free"}
_HANDED = {f"mbedtls_{kind}_init": f"mbedtls_{kind}_free" for kind in
           ("ssl", "ssl_config", "ssl_ticket", "x509_crt", "pk")}  # fmt: skip
_FREEING = {free: make for make, free in (_RETURNED | _HANDED).items()}


class Planted:
    """Stands where the loaded library stands, and hands every call on to it.

    Attributes:
        faults: functions called instead of the library's, by name. Each gets that of the library, then the
            arguments.
        called: how often each function was.
        alive: what was made and not freed, by the function that made it and the address.
    """

    _name = "planted"

    def __init__(self, real: ctypes.CDLL) -> None:
        self.real = real
        self.faults: dict[str, Function] = {}
        self.called: Counter[str] = Counter()
        self.alive: Counter[tuple[str, int]] = Counter()
        self._functions: dict[str, Function] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._functions:
            if not hasattr(self.real, name) and name not in self.faults:
                raise AttributeError(name)
            self._functions[name] = self._watched(name)
        return self._functions[name]

    def _watched(self, name: str) -> Any:
        real = getattr(self.real, name, None)

        def call(*arguments: Any) -> Any:
            self.called[name] += 1
            fault = self.faults.get(name)
            if real is not None:
                for kept in ("restype", "argtypes"):
                    if kept in call.__dict__:
                        setattr(real, kept, call.__dict__[kept])
            result = fault(real, *arguments) if fault is not None else real(*arguments)  # type: ignore[misc]
            self._count(name, result, arguments)
            return result

        if name.endswith(("_ticket_write", "_ticket_parse")):
            return real  # the library is handed their addresses
        return call

    def _count(self, name: str, result: Any, arguments: tuple[Any, ...]) -> None:
        if name in _RETURNED and result:
            self.alive[name, result] += 1
        elif name in _HANDED:
            self.alive[name, _address(arguments[0])] += 1
        elif name in _FREEING:
            key = _FREEING[name], _address(arguments[0])
            self.alive[key] -= 1
            assert self.alive[key] >= 0, f"{name} of what {key[0]} has not made, or a second time"
            if not self.alive[key]:
                del self.alive[key]

    def fails(self, name: str, result: object, *, times: int = -1) -> None:
        """Let a function do nothing and return `result`, that many times; for ever where it is negative."""
        left = [times]

        def fault(real: Function, *arguments: Any) -> Any:
            if left[0] == 0:
                return real(*arguments)
            left[0] -= 1
            return result

        self.faults[name] = fault


def _address(place: Any) -> int:
    return place if isinstance(place, int) else ctypes.addressof(place)


def plant(name: str, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Have the engine of that name use the planted library until the test ends; skips where it is not there.
    Only what is made from now on goes through it."""
    needed(name)
    if name == "wolfssl":
        planted = Planted(wolfssl_library.wolfssl())
        monkeypatch.setattr(wolfssl_library, "_found", lambda: planted)
    else:
        found = mbedtls_library.mbedtls()
        planted = Planted(found.functions)
        other = replace(found, functions=planted)  # type: ignore[arg-type]
        monkeypatch.setattr(mbedtls_library, "_found", lambda: other)
    return planted


def ask_nobody(planted: Planted) -> None:
    """Let the library pass over what it is told about certificates."""
    planted.faults["wolfSSL_CTX_set_verify"] = lambda real, pointer, mode, check: real(pointer, 0, CHECK(0))
    planted.faults["mbedtls_ssl_conf_authmode"] = lambda real, memory, mode: real(memory, 0)
